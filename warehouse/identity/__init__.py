"""One person, one customer: which person each customer record of a source system stands for.

Records are compared inside the vault's walls (`values`, `names`, `linking`, `model`); what comes out are links between
records, of which `persons` makes persons and `decisions` keeps what was decided. Only `record_id`, `person_id` and the
evidence leave, never a clear value. The result is a function of what was landed, of the model in force and of the
decisions: a rebuild gives the same persons.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from warehouse.contract.model import PERSON_MERGES, PERSON_RECORDS, Column, Table
from warehouse.database import open_read_only
from warehouse.home import Home
from warehouse.identity import decisions, values
from warehouse.identity.linking import LINKS, links
from warehouse.identity.model import Model, model_in_force
from warehouse.identity.persons import ONE_RECORD, Assignment, Link, Persons, Record, rules_of
from warehouse.sources.bank import Bank
from warehouse.sources.specification import content_hash, quote_name

__all__ = ["ONE_RECORD", "assign", "create", "published_persons"]

#: Raised when persons are made another way: a warehouse then makes them anew.
LAYOUT = 1
OPEN_END = date(9999, 12, 31)
_IS_CURRENT = "known_to = date '9999-12-31'"
PUBLISHED = pa.schema([("record_id", pa.string()), ("person_id", pa.string())])
_ASSIGNMENTS = pa.schema(
    [
        ("record", pa.int64()),
        ("person_id", pa.string()),
        ("known_from", pa.date32()),
        ("known_to", pa.date32()),
        ("evidence", pa.string()),
    ]
)


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `raw.person_records`, `raw.person_merges` and the bookkeeping if they are not there yet."""
    for table in (PERSON_RECORDS, PERSON_MERGES):
        connection.execute(f"create table if not exists raw.{table.name} ({_columns(table)})")
    connection.execute("create table if not exists bookkeeping.identity (fingerprint varchar not null)")


def _columns(table: Table) -> str:
    return ", ".join(f"{quote_name(column.name)} {_definition(column)}" for column in table.columns)


def _definition(column: Column) -> str:
    return f"{column.type}{' not null' if column.required else ''}"


def published_persons(home: Home, bank: Bank) -> pa.Table:
    """Which person each record was in the live warehouse, before it is continued or replaced: `PUBLISHED`.

    Ids that were given out are kept, also where a system that is connected later brings records known earlier.
    """
    if not home.warehouse.is_file():
        return PUBLISHED.empty_table()
    with open_read_only(home.warehouse, bank.settings.resources, home.temporary) as connection:
        try:
            held = connection.execute("select bank from bookkeeping.build").fetchall()
            if held != [(bank.name,)]:
                return PUBLISHED.empty_table()
            return (
                connection.sql(
                    f"select record_id, person_id from raw.person_records where {_IS_CURRENT} and record_id is not null"
                )
                .to_arrow_table()
                .cast(PUBLISHED)
            )
        except (duckdb.CatalogException, duckdb.BinderException):
            # Killed before its first registration, or of an older layout: nothing was published from it.
            return PUBLISHED.empty_table()


def assign(
    connection: duckdb.DuckDBPyConnection,
    home: Home,
    bank: Bank,
    *,
    who: str = decisions.PIPELINE,
    published: pa.Table | None = None,
) -> int | None:
    """Give every customer record in `raw.customers` its person, in one transaction.

    `person_id` is the first 16 hex digits of sha256(registered_on|source_system|source_customer_id) of the person's
    record known first, of the version of it known first. It never changes when records arrive: where an earlier one
    comes late, the id that was given out is kept by a decision. A record of which only deletions are known is no
    person.

    Parameters
    ----------
    connection
        The warehouse, open for writing.
    home, bank
        The installation and its bank.
    who
        Account that reads the vault.
    published
        `published_persons` from before the warehouse was changed; by default those the connection holds.

    Returns
    -------
    int or None
        Records; None if nothing changed since the last time, and nothing was done.
    """
    create(connection)
    model = model_in_force(home, bank.name)
    landed = decisions.read_decisions(home, bank.name)
    fingerprint = _fingerprint(connection, model, landed)
    if connection.execute("select fingerprint from bookkeeping.identity").fetchall() == [(fingerprint,)]:
        return None
    if published is None:
        published = connection.sql(
            f"select record_id, person_id from raw.person_records where {_IS_CURRENT} and record_id is not null"
        ).to_arrow_table()
    connection.execute("begin transaction")
    try:
        count = _Assignment(connection, home, bank, model, who).run(landed, published)
        # Ids that are kept, or went into others, are decisions too: landed by `run`, so read again.
        fingerprint = _fingerprint(connection, model, decisions.read_decisions(home, bank.name))
        connection.execute("delete from bookkeeping.identity")
        connection.execute("insert into bookkeeping.identity values (?)", [fingerprint])
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")
    return count


def _fingerprint(connection: duckdb.DuckDBPyConnection, model: Model, landed: Sequence[dict[str, Any]]) -> str:
    """Hash of what persons follow from: the deliveries of customers, the model, the decisions."""
    registered = connection.execute(
        "select delivery_id, batch, rows_registered from bookkeeping.registration where table_name = 'customers' "
        "order by all"
    ).fetchall()
    return content_hash([LAYOUT, model.name, json.dumps(landed, sort_keys=True), registered])


class _Assignment:
    """State of one call of `assign`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, home: Home, bank: Bank, model: Model, who: str) -> None:
        self.connection = connection
        self.home = home
        self.bank = bank
        self.model = model
        self.who = who

    def run(self, landed: list[dict[str, Any]], published: pa.Table) -> int:
        count = values.number_records(self.connection)
        found, cards = self.compare() if count else (LINKS.empty_table(), [])
        self.connection.register("published_arrow", published)
        persons = self.resolve(landed, found, cards)
        if self.keep_ids(persons):
            landed = decisions.read_decisions(self.home, self.bank.name)
            persons = self.resolve(landed, found, cards)
        self.write(persons)
        self.note_merged(landed)
        self.connection.unregister("published_arrow")
        self.connection.execute("drop table temp.numbered_record")
        return count

    def compare(self) -> tuple[pa.Table, list[tuple[int, int]]]:
        """Links between records, and pairs among those linked whose identity cards are two persons'."""
        with values.walls(self.home, self.bank) as inside:
            values.gather(self.connection, inside, self.home, self.bank, who=self.who)
            found = links(inside, self.model)
            return found, _other_cards(inside, found)

    def resolve(self, landed: list[dict[str, Any]], found: pa.Table, cards: list[tuple[int, int]]) -> Persons:
        linked = [
            Link(*row)
            for row in zip(
                *(found[name].to_pylist() for name in ("left", "right", "known_on", "evidence")), strict=True
            )
        ]
        self.connection.register("named_arrow", pa.table({"record_id": pa.array(sorted(_named(landed)), pa.string())}))
        self.connection.register(
            "linked_arrow",
            pa.table(
                {
                    "record": pa.concat_arrays([*found["left"].chunks, *found["right"].chunks])
                    if found.num_rows
                    else pa.array([], pa.int64())
                }
            ),
        )
        rows = self.connection.execute(
            """
            select record, record_id, own_id, known_on
            from temp.numbered_record
            where record in (select record from linked_arrow) or record_id in (select record_id from named_arrow)
            order by record
            """
        ).fetchall()
        self.connection.unregister("named_arrow")
        self.connection.unregister("linked_arrow")
        records = {number: Record(record_id, own_id, known_on) for number, record_id, own_id, known_on in rows}
        numbers = {record.record_id: number for number, record in records.items() if record.record_id is not None}
        persons = Persons(records, rules_of(landed, numbers), cards)
        persons.follow(linked)
        return persons

    def keep_ids(self, persons: Persons) -> bool:
        """Land a decision for each id that was given out and would vanish though its person is there; whether any was.

        That is so where a record comes that was known before the one the person goes by.
        """
        self.assigned(persons)
        rows = self.connection.execute(
            """
            with held as (
                select a.person_id, p.person_id as published_id, min(a.record) as record
                from assigned as a
                inner join temp.numbered_record as n on a.record = n.record
                inner join published_arrow as p on n.record_id = p.record_id
                group by all
            )

            select held.record, n.record_id, held.published_id
            from held
            inner join temp.numbered_record as n on held.record = n.record
            -- of a person that was several before one of its ids stays anyway, or the first of them is kept
            where held.person_id not in (select published_id from held as other where other.person_id = held.person_id)
                and held.published_id not in (select person_id from assigned)
            qualify row_number() over (partition by held.person_id order by held.record) = 1
                and row_number() over (partition by held.published_id order by held.record) = 1
            order by held.record
            """
        ).fetchall()
        for _, record_id, person in rows:
            decisions.land(
                self.home,
                self.bank.name,
                decisions.KEEP,
                person_id=person,
                records=[record_id],
                reason="a record known earlier came later; the id that was given out stays",
                who=decisions.PIPELINE,
            )
        self.connection.execute("drop table temp.assigned")
        return bool(rows)

    def assigned(self, persons: Persons) -> None:
        """Make temp table `assigned`: every record with the person it is now."""
        rows = [row for row in persons.assignments() if row.until is None]
        self.connection.register("assignment_arrow", _as_table(rows))
        self.connection.execute(
            """
            create or replace temp table assigned as
            select n.record, coalesce(a.person_id, n.own_id) as person_id
            from temp.numbered_record as n
            left join assignment_arrow as a on n.record = a.record
            """
        )
        self.connection.unregister("assignment_arrow")

    def write(self, persons: Persons) -> None:
        self.connection.register("assignment_arrow", _as_table(persons.assignments()))
        self.connection.execute("delete from raw.person_records")
        self.connection.execute(
            """
            insert into raw.person_records by name
            select
                n.record_id,
                coalesce(a.person_id, n.own_id) as person_id,
                n.source_system,
                n.source_customer_id,
                coalesce(a.known_from, n.known_on) as known_from,
                coalesce(a.known_to, $open_end) as known_to,
                coalesce(a.evidence, $alone) as evidence
            from temp.numbered_record as n
            left join assignment_arrow as a on n.record = a.record
            order by n.source_system, n.source_customer_id, known_from
            """,
            {"open_end": OPEN_END, "alone": ONE_RECORD},
        )
        self.connection.unregister("assignment_arrow")

    def note_merged(self, landed: list[dict[str, Any]]) -> None:
        """Write `raw.person_merges`, and land what was given out before and is now part of another person."""
        earlier = {
            (line["merged_person_id"], line["records"][0], line["known_on"], line["reason"])
            for line in landed
            if line["action"] == decisions.MERGED
        }
        rows = self.connection.execute(
            f"""
            select p.person_id, r.person_id, r.record_id, r.evidence,
                (select max(known_on) from raw.customers) as known_on
            from published_arrow as p
            inner join raw.person_records as r on p.record_id = r.record_id and r.{_IS_CURRENT}
            where p.person_id <> r.person_id
                and p.person_id not in (select person_id from raw.person_records where {_IS_CURRENT})
            qualify row_number() over (partition by p.person_id order by r.source_system, r.source_customer_id) = 1
            order by p.person_id
            """
        ).fetchall()
        known = {person for person, *_ in earlier}
        for merged, person, record_id, evidence, known_on in rows:
            if merged not in known:
                reason = f"one person: {evidence}"
                decisions.land(
                    self.home,
                    self.bank.name,
                    decisions.MERGED,
                    merged_person_id=merged,
                    person_id=person,
                    records=[record_id],
                    known_on=known_on.isoformat(),
                    reason=reason,
                    who=decisions.PIPELINE,
                )
                earlier.add((merged, record_id, known_on.isoformat(), reason))
        names = ("merged_person_id", "record_id", "known_on", "evidence")
        columns = list(zip(*sorted(earlier), strict=True)) or [()] * len(names)
        self.connection.register(
            "merged_arrow",
            pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)}),
        )
        self.connection.execute("delete from raw.person_merges")
        self.connection.execute(
            f"""
            insert into raw.person_merges by name
            with present as (from raw.person_records where {_IS_CURRENT}),

            said as (
                select m.merged_person_id, p.person_id, cast(m.known_on as date) as known_on, m.evidence
                from merged_arrow as m
                inner join present as p on m.record_id = p.record_id
                union all
                select past.person_id as merged_person_id, p.person_id, past.known_to as known_on, p.evidence
                from raw.person_records as past
                inner join present as p
                    on past.source_system = p.source_system and past.source_customer_id = p.source_customer_id
                where past.known_to <> p.known_to
            )

            from said
            where merged_person_id not in (select person_id from present)
            qualify row_number() over (partition by merged_person_id order by known_on, person_id, evidence) = 1
            order by merged_person_id
            """
        )
        self.connection.unregister("merged_arrow")


def _named(landed: Iterable[dict[str, Any]]) -> set[str]:
    """Pseudonyms of the records that decisions name."""
    named: set[str] = set()
    for line in landed:
        for entry in (*line.get("records", ()), *line.get("staying", ())):
            named.update([entry] if isinstance(entry, str) else entry)
    return named


def _as_table(rows: Sequence[Assignment]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "record": row.record,
                "person_id": row.person_id,
                "known_from": row.since,
                "known_to": row.until or OPEN_END,
                "evidence": row.evidence,
            }
            for row in rows
        ],
        schema=_ASSIGNMENTS,
    )


def _other_cards(inside: duckdb.DuckDBPyConnection, found: pa.Table) -> list[tuple[int, int]]:
    """Pairs of records within reach of each other over links whose identity cards are of two persons."""
    leader: dict[int, int] = {}

    def led_by(record: int) -> int:
        while leader.setdefault(record, record) != record:
            leader[record] = leader[leader[record]]
            record = leader[record]
        return record

    for left, right in zip(found["left"].to_pylist(), found["right"].to_pylist(), strict=True):
        first, second = sorted((led_by(left), led_by(right)))
        leader[second] = first
    inside.register(
        "reach_arrow",
        pa.table(
            {"record": pa.array(list(leader), pa.int64()), "leader": pa.array([led_by(r) for r in leader], pa.int64())}
        ),
    )
    rows = inside.execute(
        """
        with card as (
            select n.record, r.leader, n.document
            from node as n
            inner join reach_arrow as r on n.record = r.record
            where n.document_type = 'identity_card'
        )

        select l.record, r.record
        from card as l
        inner join card as r on l.leader = r.leader and l.record < r.record
        group by all
        -- a record whose number was corrected has two; one that goes with the other's is enough
        having min(damerau_levenshtein(l.document, r.document)) > 1
        order by all
        """
    ).fetchall()
    inside.unregister("reach_arrow")
    return [(int(left), int(right)) for left, right in rows]
