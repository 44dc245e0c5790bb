"""Where one person stands: the records, accounts, landed rows and quarantined records that are theirs.

Erasure and export ask here. A row is the person's if it names one of their records, or an account they own, or if it
is another version of such a row. Everything is found by pseudonyms and source keys; only quarantined records, which
could not be read, are searched for clear values, through the vault's one reading function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.contract.model import Table, load_contract
from warehouse.database import open_read_only
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.ledger import LedgerEntry, in_force, read_ledger
from warehouse.quarantine import quarantine_path, quarantined_records
from warehouse.sources.bank import Bank
from warehouse.sources.specification import quote_name, quote_text
from warehouse.vault.keys import KeyRing, held_keys

#: A value that by itself says who is meant: a number of a document, of a telephone or account, an e-mail address. A
#: name or an address may be another person's too.
_TELLING = re.compile(r"[0-9A-Za-z@._+\-]{8,}")
_TWO_VALUES = 2
_ROWS = pa.schema([("delivery_id", pa.string()), ("source_row", pa.int64())])


@dataclass(frozen=True)
class PersonRows:
    """All that is held of some persons, by where it stands.

    Attributes
    ----------
    person_ids, record_ids
        The persons, with the ids that went into theirs, and the pseudonyms of their source records.
    customers, accounts
        Source system and source id of each.
    shared_accounts
        Those of the accounts that somebody else may dispose of too.
    landed
        Rows of deliveries in force, by delivery.
    superseded
        Deliveries that are no longer in force and may hold rows of them.
    shared_with
        Persons who may dispose of those too.
    quarantined
        Numbers of quarantined records that are theirs, by delivery: they name one of their records.
    perhaps_quarantined
        Those that name no known record, and seem to be theirs by what they hold.
    """

    person_ids: tuple[str, ...]
    record_ids: frozenset[str]
    customers: frozenset[tuple[str, str]]
    accounts: frozenset[tuple[str, str]]
    shared_accounts: frozenset[tuple[str, str]]
    shared_with: frozenset[str]
    landed: dict[str, frozenset[int]]
    superseded: tuple[str, ...]
    quarantined: dict[str, frozenset[int]] = field(default_factory=dict)
    perhaps_quarantined: dict[str, frozenset[int]] = field(default_factory=dict)


def records_of(home: Home, bank: Bank, person_ids: Sequence[str]) -> list[str]:
    """Pseudonyms of the source records of persons, sorted; an id that went into another stands for that one.

    Raises
    ------
    UserError
        If there is no such person, or no warehouse to ask.
    """
    with _asked(home, bank, person_ids, is_followed=True) as connection:
        rows = connection.execute(
            "select distinct record_id from raw.person_records "
            "semi join customer using (source_system, source_customer_id) order by 1"
        ).fetchall()
    return [str(row[0]) for row in rows if row[0] is not None]


def find_rows(
    home: Home, bank: Bank, person_ids: Sequence[str], clear_values: Callable[[Iterable[str]], Iterable[str]]
) -> PersonRows:
    """Find what is held of persons.

    Parameters
    ----------
    home, bank
        The installation, and the bank whose warehouse it holds.
    person_ids
        The persons.
    clear_values
        Gives the direct identifiers of records, if whoever asks may read them.

    Raises
    ------
    UserError
        If there is no such person, or the warehouse does not hold everything that was landed.
    """
    entries = read_ledger(home.landing, bank.name)
    current = in_force(entries)
    with _asked(home, bank, person_ids) as connection:
        _refuse_stale(connection, bank, current)
        accounts, shared, shared_with = _accounts(connection)
        record_ids, rows = _rows_of_raw(connection)
        customers = connection.execute("select distinct source_system, source_customer_id from customer").fetchall()
        named = _known_records(connection, _records_in_quarantine(home, bank, current))
        former, former_of_others = _former_ids(connection, person_ids), _former_ids(connection, sorted(shared_with))
    landed = _landed_rows(home, bank, current, record_ids, rows)
    # Asked in any case: it is where whoever asks is refused.
    values = {value for value in clear_values(record_ids) if len(value) > 1}
    quarantined, perhaps = _quarantined_rows(
        home, bank, current, record_ids, named, {id_ for _, id_ in customers}, values
    )
    _add_replayed(current, landed, quarantined, perhaps)
    kept = {entry.delivery_id for entry in current}
    touched = {entry.source for entry in current if entry.delivery_id in {*landed, *quarantined, *perhaps}}
    superseded = [
        entry.delivery_id
        for entry in entries
        if entry.delivery_id not in kept and entry.source in touched and _files_of(home, entry)
    ]
    return PersonRows(
        tuple(sorted({*person_ids, *former})),
        frozenset(record_ids),
        frozenset((str(system), str(id_)) for system, id_ in customers),
        accounts,
        shared,
        shared_with | set(former_of_others),
        landed,
        tuple(superseded),
        quarantined,
        perhaps,
    )


@contextmanager
def _asked(
    home: Home, bank: Bank, person_ids: Sequence[str], *, is_followed: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, with the records of the persons as the temporary table `customer`."""
    if not home.warehouse.is_file():
        raise UserError(
            "persons are found through the warehouse, and there is none",
            where=str(home.warehouse),
            next_step="run `mainbank run`, then this again",
        )
    with open_read_only(home.warehouse, bank.settings.resources, home.temporary) as connection:
        went = _went_into(connection, person_ids)
        asked = {went.get(person, person) if is_followed else person for person in person_ids}
        connection.register("asked", pa.table({"person_id": pa.array(sorted(asked), pa.string())}))
        connection.execute(
            "create temp table customer as select p.source_system, p.source_customer_id, p.person_id "
            "from raw.person_records as p semi join asked using (person_id) where p.known_to = date '9999-12-31'"
        )
        found = {row[0] for row in connection.execute("select distinct person_id from customer").fetchall()}
        unknown = sorted(asked - found)
        if unknown:
            raise UserError(
                "there is no such person",
                where=f"{home.warehouse}: raw.person_records",
                found=", ".join(
                    f"{person} is {went[person]} now" if person in went else person for person in unknown[:5]
                ),
                valid="a person_id of core.dim_customer",
                next_step="a person who was erased before is in decisions/erasures.jsonl",
            )
        yield connection


def _records_in_quarantine(home: Home, bank: Bank, current: Sequence[LedgerEntry]) -> set[str]:
    found: set[str] = set()
    for entry in current:
        path = quarantine_path(home.quarantine, bank.name, entry.delivery_id)
        if entry.rows_quarantined and path.is_file():
            found.update(pq.read_table(path, columns=["record_id"])["record_id"].drop_null().to_pylist())
    return found


def _known_records(connection: duckdb.DuckDBPyConnection, record_ids: Iterable[str]) -> set[str]:
    """Those of the records that are some person's."""
    connection.register("named", pa.table({"record_id": pa.array(sorted(record_ids), pa.string())}))
    rows = connection.execute("select distinct record_id from raw.person_records semi join named using (record_id)")
    return {str(row[0]) for row in rows.fetchall()}


def _went_into(connection: duckdb.DuckDBPyConnection, person_ids: Sequence[str]) -> dict[str, str]:
    """Under which ids persons go now whose own one went into another's."""
    rows = connection.execute(
        "select merged_person_id, person_id from raw.person_merges where merged_person_id in (select unnest($asked))",
        {"asked": list(person_ids)},
    ).fetchall()
    return dict(rows)


def _former_ids(connection: duckdb.DuckDBPyConnection, person_ids: Sequence[str]) -> list[str]:
    """Ids that went into those of persons: what was said of them, holds of the person."""
    rows = connection.execute(
        "select merged_person_id from raw.person_merges where person_id in (select unnest($asked))",
        {"asked": list(person_ids)},
    ).fetchall()
    return [row[0] for row in rows]


def _files_of(home: Home, entry: LedgerEntry) -> list[Path]:
    paths = (
        entry.parquet_path(home.landing),
        home.vault / entry.bank / f"{entry.delivery_id}.parquet",
        quarantine_path(home.quarantine, entry.bank, entry.delivery_id),
    )
    return [path for path in paths if path.is_file()]


def _refuse_stale(connection: duckdb.DuckDBPyConnection, bank: Bank, current: Sequence[LedgerEntry]) -> None:
    held = connection.execute("select bank from bookkeeping.build").fetchall()
    booked = {row[0] for row in connection.execute("select delivery_id from bookkeeping.registration").fetchall()}
    used = {name for table in bank.mapping.tables.values() for name in table.sources}
    missing = [e for e in current if e.source in used and e.rows_landed and e.delivery_id not in booked]
    if held != [(bank.name,)] or missing:
        raise UserError(
            "the warehouse does not hold everything that was landed, so not all of a person would be found",
            where="bookkeeping.registration",
            found=f"bank {held[0][0] if held else 'none'}; {len(missing)} deliveries landed and not registered",
            valid=f"bank {bank.name}, all deliveries",
            next_step="run `mainbank run`, then this again",
        )


def _accounts(
    connection: duckdb.DuckDBPyConnection,
) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]], frozenset[str]]:
    """Accounts the persons own by the last version known, those of them that others hold too, and who these are."""
    connection.execute(
        """
        create temp table account as
        with latest as (
            select source_system, account_id, customer_source_system, source_customer_id
            from raw.accounts
            where source_customer_id is not null
            qualify row_number() over (
                partition by source_system, account_id order by known_on desc, source_row desc, row_hash desc
            ) = 1
        )

        select distinct a.source_system, a.account_id
        from latest as a
        inner join customer as c
            on a.customer_source_system = c.source_system and a.source_customer_id = c.source_customer_id
        """
    )
    shared = connection.execute(
        """
        select distinct h.source_system, h.account_id, p.person_id
        from raw.account_holders as h
        inner join account as a on h.source_system = a.source_system and h.account_id = a.account_id
        left join raw.person_records as p
            on h.customer_source_system = p.source_system and h.source_customer_id = p.source_customer_id
                and p.known_to = date '9999-12-31'
        anti join customer as c
            on h.customer_source_system = c.source_system and h.source_customer_id = c.source_customer_id
        """
    ).fetchall()
    shared_with = frozenset(str(row[2]) for row in shared if row[2] is not None)
    owned = connection.execute("select source_system, account_id from account").fetchall()
    return frozenset(map(tuple, owned)), frozenset((row[0], row[1]) for row in shared), shared_with


def _conditions(table: Table) -> list[tuple[str, bool]]:
    """Joins by which a raw table names the persons or their accounts, and whether its record is the person's."""
    names = {column.raw_name for column in table.columns}
    joins = []
    if "source_customer_id" in names:
        system = "customer_source_system" if "customer_source_system" in names else "source_system"
        joins.append(
            (f"customer as c on t.{system} = c.source_system and t.source_customer_id = c.source_customer_id", True)
        )
    if "account_id" in names:
        joins.append(("account as a on t.source_system = a.source_system and t.account_id = a.account_id", False))
    return joins


def _rows_of_raw(connection: duckdb.DuckDBPyConnection) -> tuple[set[str], pa.Table]:
    records: set[str] = set()
    rows = [_ROWS.empty_table()]
    for table in load_contract().tables.values():
        for join, is_own in _conditions(table):
            found = connection.sql(
                f"select distinct t.delivery_id, cast(t.source_row as bigint) as source_row "
                f"from raw.{quote_name(table.name)} as t semi join {join}"
            ).to_arrow_table()
            rows.append(found.cast(_ROWS))
            if is_own and table.belongs_to_customer:
                ids = connection.execute(
                    f"select distinct t.record_id from raw.{quote_name(table.name)} as t semi join {join}"
                ).fetchall()
                records |= {row[0] for row in ids if row[0] is not None}
    ids = connection.execute(
        "select distinct record_id from raw.person_records semi join customer using (source_system, source_customer_id)"
    ).fetchall()
    return records | {row[0] for row in ids if row[0] is not None}, pa.concat_tables(rows)


def _landed_rows(
    home: Home, bank: Bank, current: Sequence[LedgerEntry], record_ids: Iterable[str], rows: pa.Table
) -> dict[str, frozenset[int]]:
    """Rows of deliveries in force: those found in raw, those of the records, and other versions of either."""
    found: dict[str, set[int]] = {}
    settings = bank.settings.resources
    with duckdb.connect(
        ":memory:",
        config={
            "memory_limit": settings.memory_limit,
            "threads": settings.threads,
            "temp_directory": str(home.temporary),
        },
    ) as connection:
        connection.register("raw_row", rows)
        connection.register("record", pa.table({"record_id": pa.array(sorted(record_ids), pa.string())}))
        for source in bank.mapping.sources.values():
            files = [
                str(entry.parquet_path(home.landing))
                for entry in current
                if entry.source == source.name and entry.parquet_path(home.landing).is_file()
            ]
            if not files:
                continue
            listed = ", ".join(quote_text(file) for file in files)
            keys = ", ".join(f"cast(l.{quote_name(name)} as varchar) as key_{i}" for i, name in enumerate(source.key))
            names = ", ".join(f"key_{i}" for i in range(len(source.key)))
            record = "l.record_id" if source.record is not None else "cast(null as varchar)"
            connection.execute(
                f"create or replace temp view landed as select parse_filename(l._file, true) as delivery_id, "
                f"cast(l._source_row as bigint) as source_row, {record} as record_id, {keys} "
                f"from read_parquet([{listed}], union_by_name = true, filename = '_file') as l"
            )
            connection.execute(
                "create or replace temp table own as "
                "select * from landed semi join raw_row using (delivery_id, source_row) "
                "union select * from landed semi join record using (record_id)"
            )
            for delivery, row in connection.execute(
                f"select delivery_id, source_row from landed semi join own using ({names}) "
                "union select delivery_id, source_row from own"
            ).fetchall():
                found.setdefault(str(delivery), set()).add(int(row))
    return {delivery: frozenset(numbers) for delivery, numbers in sorted(found.items())}


def _add_replayed(
    current: Sequence[LedgerEntry],
    landed: dict[str, frozenset[int]],
    quarantined: dict[str, frozenset[int]],
    perhaps: dict[str, frozenset[int]],
) -> None:
    """Add the records as which replayed rows still lie in the quarantine they came from, under the same numbers."""
    # A replay is landed after what it replays: the last ones first, each hands on what it was handed.
    for entry in sorted(current, key=lambda one: one.landed_at, reverse=True):
        if entry.replays is None:
            continue
        own = landed.get(entry.delivery_id, frozenset()) | quarantined.get(entry.delivery_id, frozenset())
        for found, numbers in ((quarantined, own), (perhaps, perhaps.get(entry.delivery_id, frozenset()))):
            if numbers:
                found[entry.replays] = found.get(entry.replays, frozenset()) | numbers


def _quarantined_rows(  # noqa: PLR0917
    home: Home,
    bank: Bank,
    current: Sequence[LedgerEntry],
    record_ids: Iterable[str],
    named_records: set[str],
    source_ids: set[str],
    values: set[str],
) -> tuple[dict[str, frozenset[int]], dict[str, frozenset[int]]]:
    """Quarantined records that are the persons', and those that seem to be.

    One that names a known record is that record's person's, whatever else it holds. Of the others only the text can be
    asked: one that holds a source id as a whole field, a telling value anywhere, or two values of any kind seems to be.
    For erasure rather one record too many: it could not be read anyway, and a corrected file brings it again.
    """
    if not any(entry.rows_quarantined for entry in current):
        return {}, {}
    own, found, perhaps = set(record_ids), {}, {}
    field_of = re.compile(r"[^0-9A-Za-z_.\-]+")
    with held_keys(home.vault) as keys:
        ring = KeyRing(keys, home.vault, bank.name)
        for entry in current:
            path = quarantine_path(home.quarantine, bank.name, entry.delivery_id)
            if not entry.rows_quarantined or not path.is_file():
                continue
            faults = pq.read_table(path, columns=["source_row", "record_id"]).to_pylist()
            numbers = {row["source_row"] for row in faults if row["record_id"] in own}
            named = {row["source_row"] for row in faults if row["record_id"] in named_records}
            seeming = set()
            for number, text in quarantined_records(ring, bank.name, path).items():
                if number in named or number in numbers:
                    continue
                held = [value for value in values if value in text]
                is_telling = len(held) >= _TWO_VALUES or any(_TELLING.fullmatch(value) for value in held)
                if is_telling or source_ids & set(field_of.split(text)):
                    seeming.add(number)
            if numbers:
                found[entry.delivery_id] = frozenset(numbers)
            if seeming:
                perhaps[entry.delivery_id] = frozenset(seeming)
    return found, perhaps
