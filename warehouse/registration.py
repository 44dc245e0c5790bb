"""Registration: landed deliveries become rows of the contract's tables, in schema `raw`; what was done is booked.

The mapping is applied here and not at landing, so a wrong mapping is repaired by registering again from landing. raw
holds every version of every row of the deliveries in force; which of them counts on a day is decided in dbt. Nothing
here depends on the order in which deliveries arrived. References between tables are not judged: a missing parent may
arrive tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from warehouse.contract.model import Table, load_contract, raw_ddl
from warehouse.errors import UserError
from warehouse.ledger import KNOWN_FROM_THE_START, LedgerEntry, in_force
from warehouse.sources.bank import Bank
from warehouse.sources.queries import (
    CandidateQuery,
    candidate_query,
    conflicting_lookup_key,
    create_bank_time_macro,
    empty_landed_relation,
    landed_relation,
    lookup_fields,
    lookup_versions,
    row_hash,
)
from warehouse.sources.specification import LookupSpec, SelectSpec, SourceSpec, content_hash, quote_name, quote_text
from warehouse.tombstones import NOBODY, Tombstones

#: Raised when the form of raw or bookkeeping changes: an older warehouse file is then built anew.
LAYOUT = 2
#: Delivery of the constant rows that stand in the mapping itself.
CONSTANT_ROWS = "mapping"
_DELIVERIES = "temp.registered_delivery"
_CANDIDATE = "temp.candidate_row"
_FAULTY = "temp.faulty_row"
_RESTATED = "temp.restated_row"
#: What makes a row of raw the same row when its table is worked out again.
_SAME_ROW = ("delivery_id", "source_row", "known_on", "is_known_on_assumed", "operation", "row_hash")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")

_BOOKKEEPING = """
create schema if not exists raw;
create schema if not exists bookkeeping;
create table if not exists bookkeeping.build (
    bank varchar not null,
    fingerprint varchar not null,
    mapping_hash varchar not null,
    contract_hash varchar not null,
    created_at timestamp not null,
    last_batch bigint not null
);
create table if not exists bookkeeping.registration (
    delivery_id varchar not null,
    source varchar not null,
    table_name varchar not null,
    batch bigint not null,
    rows_registered bigint not null,
    rows_rejected bigint not null
);
create table if not exists bookkeeping.rejected_row (
    delivery_id varchar not null,
    source_row bigint not null,
    table_name varchar not null,
    column_name varchar not null,
    reason varchar not null
);
create table if not exists bookkeeping.untranslated_code (
    delivery_id varchar not null,
    table_name varchar not null,
    column_name varchar not null,
    code_table varchar not null,
    source_code varchar not null,
    rows bigint not null
);
"""


@dataclass(frozen=True)
class RegistrationResult:
    """What one registration did.

    Attributes
    ----------
    batch
        Number of the batch; None if there was nothing to do.
    rows_registered, rows_rejected
        Rows that are new in each contract table, and landed rows that could not be registered.
    rows_withdrawn
        Rows removed from each contract table: their delivery is no longer in force, or (tables with lookups) a
        delivery that came late changes what was known then.
    untranslated_codes
        (contract table, column, code table, source code, rows) of this batch, sorted. Codes of classed columns
        are masked.
    """

    batch: int | None
    rows_registered: dict[str, int]
    rows_rejected: dict[str, int]
    rows_withdrawn: dict[str, int]
    untranslated_codes: tuple[tuple[str, str, str, str, int], ...]

    @property
    def changed_tables(self) -> frozenset[str]:
        """Contract tables whose rows are not those of before."""
        return frozenset(
            name for counts in (self.rows_registered, self.rows_withdrawn) for name, rows in counts.items() if rows
        )


def build_fingerprint(bank: Bank) -> str:
    """Hash of what a warehouse file is built with: bank, time zone, mapping of tables, contract, layout.

    A warehouse with another fingerprint cannot be continued: the caller starts a new file and registers everything
    again from landing.
    """
    return content_hash([LAYOUT, bank.name, bank.settings.time_zone, bank.mapping.table_hash, load_contract().hash])


def current_fingerprint(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Fingerprint of an open warehouse; None if nothing was ever registered in it."""
    exists = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = 'bookkeeping' and table_name = 'build'"
    ).fetchone()
    if not exists or not exists[0]:
        return None
    row = connection.execute("select fingerprint from bookkeeping.build").fetchone()
    return str(row[0]) if row else None


def register(
    connection: duckdb.DuckDBPyConnection,
    bank: Bank,
    landing_root: Path,
    deliveries: Sequence[LedgerEntry],
    erased: Tombstones = NOBODY,
) -> RegistrationResult:
    """Bring schema `raw` up to the deliveries in force, in one transaction.

    A delivery that is in force and not yet registered is appended; one that is registered and no longer in force is
    removed; a table with lookups is worked out again in full when any of its sources has such a delivery (the rows
    that did not change keep their batch).

    Parameters
    ----------
    connection
        The warehouse, open for writing; its session time zone is UTC.
    bank
        Mapping and settings.
    landing_root
        Folder of landed deliveries.
    deliveries
        The whole ledger of the bank (or any part that is to be in the warehouse).
    erased
        Who was erased: a row that names one of their records or accounts is left out, whenever it was delivered.

    Returns
    -------
    RegistrationResult
        What was done. Calling again with the same deliveries does nothing.

    Raises
    ------
    UserError
        The warehouse was built with another mapping or contract, a lookup is not unique, a landed file is missing,
        or an expression fails on a row.
    """
    return _Registration(connection, bank, landing_root, deliveries, erased).run()


class _Registration:
    """State of one call of `register`."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        bank: Bank,
        landing_root: Path,
        deliveries: Sequence[LedgerEntry],
        erased: Tombstones,
    ) -> None:
        self.erased = erased
        self.connection = connection
        self.bank = bank
        self.mapping = bank.mapping
        self.contract = load_contract()
        self.landing_root = landing_root
        self.now = datetime.now(UTC).replace(tzinfo=None)
        own = [entry for entry in deliveries if entry.bank == bank.name and entry.source in self.mapping.sources]
        self.in_force = {entry.delivery_id: entry for entry in in_force(own)}
        self.by_source: dict[str, list[LedgerEntry]] = {name: [] for name in self.mapping.sources}
        for entry in self.in_force.values():
            self.by_source[entry.source].append(entry)
        self.registered: dict[str, int] = {}
        self.rejected: dict[str, int] = {}
        self.withdrawn: dict[str, int] = {}
        self.batch = 0

    def run(self) -> RegistrationResult:
        create_bank_time_macro(self.connection, self.bank.settings.time_zone)
        with self.transaction():
            self.prepare()
            # Counted apart from the rows: a batch that was withdrawn again must not lend its number to another.
            self.batch = self.number("select last_batch + 1 from bookkeeping.build")
            for name in self.mapping.tables:
                self.register_constants(self.contract.tables[name])
                self.register_deliveries(self.contract.tables[name])
            is_new = self.number("select count(*) from bookkeeping.registration where batch = ?", [self.batch]) > 0
            if is_new or self.withdrawn:
                self.connection.execute("update bookkeeping.build set last_batch = ?", [self.batch])
            codes = self.connection.execute(
                """
                select code.table_name, code.column_name, code.code_table, code.source_code, sum(code.rows)
                from bookkeeping.untranslated_code as code
                inner join bookkeeping.registration as registration
                    on registration.delivery_id = code.delivery_id and registration.table_name = code.table_name
                where registration.batch = ?
                group by all
                order by all
                """,
                [self.batch],
            ).fetchall()
        return RegistrationResult(
            self.batch if is_new or self.withdrawn else None,
            self.registered,
            self.rejected,
            self.withdrawn,
            tuple((table, column, code_table, code, int(rows)) for table, column, code_table, code, rows in codes),
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.execute("begin transaction")
        try:
            yield
        except BaseException:
            self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    def prepare(self) -> None:
        """Make what is not there yet, and refuse a warehouse that was built with something else."""
        wanted, found = build_fingerprint(self.bank), current_fingerprint(self.connection)
        if found not in (None, wanted):
            raise UserError(
                "this warehouse was built with another mapping, contract or bank",
                where="bookkeeping.build",
                found=f"fingerprint {found}",
                valid=f"fingerprint {wanted}",
                next_step="register into a new warehouse file; landing holds everything it needs",
            )
        self.connection.execute(_BOOKKEEPING)
        for table in self.contract.tables.values():
            self.connection.execute(raw_ddl(table))
        if found is None:
            self.connection.execute(
                "insert into bookkeeping.build values (?, ?, ?, ?, ?, 0)",
                [self.bank.name, wanted, self.mapping.hash, self.contract.hash, self.now],
            )
        self.connection.execute(
            f"create or replace temporary table {_DELIVERIES} (delivery_id varchar, landed_at timestamp)"
        )
        if self.in_force:
            self.connection.executemany(
                f"insert into {_DELIVERIES} values (?, ?)",
                [[entry.delivery_id, _utc(entry.landed_at)] for entry in self.in_force.values()],
            )

    def register_constants(self, table: Table) -> None:
        """Append the rows that stand in the mapping, once per warehouse file: another mapping starts a new one."""
        rows = [row for select in self.mapping.tables[table.name].selects for row in select.rows]
        booked = self.number(
            "select count(*) from bookkeeping.registration where delivery_id = ? and table_name = ?",
            [CONSTANT_ROWS, table.name],
        )
        if not rows or booked:
            return
        systems = sorted({source.source_system for source in self.mapping.sources.values()})
        selects = []
        for number, row in enumerate(rows, start=1):
            # Validation has made sure that the system is stated where there is more than one.
            given = {"source_system": systems[0], **dict(row)}
            values = [
                f"cast({'null' if text is None else quote_text(text)} as {column.raw_type})"
                f" as {quote_name(column.raw_name)}"
                for column in table.columns
                for text in [given.get(column.name)]
            ]
            selects.append(f"select {', '.join(values)}, {number} as source_row")
        self.connection.execute(
            f"""
            insert into raw.{quote_name(table.name)} by name
            select
                *,
                'upsert' as operation,
                {quote_text(CONSTANT_ROWS)} as delivery_id,
                {_literal_date(KNOWN_FROM_THE_START)} as known_on,
                true as is_known_on_assumed,
                cast($now as timestamp) as landed_at,
                {row_hash(table)} as row_hash,
                {self.batch} as batch
            from ({" union all ".join(selects)})
            """,
            {"now": self.now},
        )
        self.book(CONSTANT_ROWS, CONSTANT_ROWS, table, len(rows), 0)
        self.count(self.registered, table, len(rows))

    def register_deliveries(self, table: Table) -> None:
        """Bring a table up to the deliveries in force of all sources it reads."""
        spec = self.mapping.tables[table.name]
        seen = {
            delivery
            for (delivery,) in self.connection.execute(
                "select delivery_id from bookkeeping.registration where table_name = ? and delivery_id <> ?",
                [table.name, CONSTANT_ROWS],
            ).fetchall()
        }
        current = {entry.delivery_id for name in spec.sources for entry in self.by_source[name]}
        if seen == current:
            return
        if any(select.lookups for select in spec.selects):
            # A new row of a looked-up source can change any row of the table: all are worked out again.
            self.forget(table, seen)
            target = _RESTATED
            self.connection.execute(
                f"create or replace temporary table {target} as from raw.{quote_name(table.name)} limit 0"
            )
            added = current
        else:
            self.forget(table, seen - current)
            self.remove(table, "delivery_id in (select unnest($gone))", {"gone": sorted(seen - current)})
            target = f"raw.{quote_name(table.name)}"
            added = current - seen
        booked = dict.fromkeys(sorted(added), (0, 0))
        for select in spec.selects:
            entries = [entry for entry in self.by_source.get(select.source or "", []) if entry.delivery_id in added]
            if entries:
                for delivery, counts in self.register_select(table, select, entries, target).items():
                    booked[delivery] = (booked[delivery][0] + counts[0], booked[delivery][1] + counts[1])
        for delivery, (registered, rejected) in booked.items():
            self.book(delivery, self.in_force[delivery].source, table, registered, rejected)
        if target == _RESTATED:
            self.restate(table)
        else:
            self.count(self.registered, table, sum(registered for registered, _ in booked.values()))

    def restate(self, table: Table) -> None:
        """Make a raw table what was worked out again, leaving the rows that did not change as they are."""
        same = " and ".join(f"restated.{name} is not distinct from standing.{name}" for name in _SAME_ROW)
        raw = f"raw.{quote_name(table.name)}"
        self.remove(
            table,
            f"delivery_id <> $constant and not exists (select 1 from {_RESTATED} as restated where {same})",
            {"constant": CONSTANT_ROWS},
        )
        self.connection.execute(
            f"""
            insert into {raw} by name
            select restated.*
            from {_RESTATED} as restated
            where not exists (select 1 from {raw} as standing where {same})
            """
        )
        self.connection.execute(f"drop table {_RESTATED}")
        new = self.counts(raw)
        self.count(self.registered, table, sum(rows for delivery, rows in new.items() if delivery != CONSTANT_ROWS))

    def forget(self, table: Table, deliveries: set[str]) -> None:
        """Remove what was booked about deliveries and a table."""
        for booked in ("registration", "rejected_row", "untranslated_code"):
            self.connection.execute(
                f"delete from bookkeeping.{booked} where table_name = $table and delivery_id in (select unnest($gone))",
                {"table": table.name, "gone": sorted(deliveries)},
            )

    def remove(self, table: Table, condition: str, parameters: dict[str, object]) -> None:
        """Delete rows of a raw table and count them as withdrawn."""
        raw = f"raw.{quote_name(table.name)} as standing"
        rows = self.number(f"select count(*) from {raw} where {condition}", parameters)
        if rows:
            self.connection.execute(f"delete from {raw} where {condition}", parameters)
            self.count(self.withdrawn, table, rows)

    def register_select(
        self, table: Table, select: SelectSpec, entries: list[LedgerEntry], target: str
    ) -> dict[str, tuple[int, int]]:
        """Append the rows of one select to `target`; (registered, rejected) rows by delivery."""
        driver = str(select.source)
        relations = {driver: self.relation(self.mapping.sources[driver], entries)}
        for lookup in select.lookups:
            # A source may drive a select and be looked up by it: then both read all its deliveries.
            relations[lookup.source] = self.relation(self.mapping.sources[lookup.source], self.by_source[lookup.source])
        for lookup in select.lookups:
            self.refuse_ambiguous(table, select, lookup, relations[lookup.source])
        query = candidate_query(self.connection, self.mapping, table, select, relations)
        if select.lookups:
            # Small by agreement, dear to work out, and read several times below.
            self.execute(
                table,
                select,
                f"create or replace temporary table {_CANDIDATE} as {query.steps} select * from candidate",
            )
            query = replace(query, steps=f"with candidate as (select * from {_CANDIDATE})")
        before = self.counts(target)
        names = ", ".join(quote_name(column.raw_name) for column in table.columns)
        record = ", _record_id as record_id" if table.belongs_to_customer else ""
        self.execute(
            table,
            select,
            f"""
            insert into {target} by name
            {query.steps}
            select
                {names}{record},
                _operation as operation,
                _delivery_id as delivery_id,
                _from as known_on,
                _is_assumed as is_known_on_assumed,
                _landed_at as landed_at,
                _source_row as source_row,
                {row_hash(table)} as row_hash,
                {self.batch} as batch
            from candidate
            where not {query.is_faulty} {self.not_erased(table)}
            """,
        )
        after = self.counts(target)
        registered = {delivery: rows - before.get(delivery, 0) for delivery, rows in after.items()}
        expected = sum(entry.rows_landed for entry in entries)
        rejected: dict[str, int] = {}
        if select.where or select.lookups or sum(registered.values()) != expected:
            rejected = self.reject(table, select, query)
        self.note_untranslated(table, select, query)
        self.connection.execute(f"drop table if exists {_CANDIDATE}")
        return {
            delivery: (registered.get(delivery, 0), rejected.get(delivery, 0)) for delivery in {*registered, *rejected}
        }

    def not_erased(self, table: Table) -> str:
        """Condition on `candidate` that leaves out rows of erased persons; nothing as long as there are none."""
        names = {column.raw_name for column in table.columns}
        customer = "customer_source_system" if "customer_source_system" in names else "source_system"
        conditions = [
            self.erased.condition(kind, system, name)
            for kind, system, name in (
                ("customer", customer, "source_customer_id"),
                ("account", "source_system", "account_id"),
            )
            if name in names
        ]
        return " ".join(f"and not {condition}" for condition in conditions if condition)

    def reject(self, table: Table, select: SelectSpec, query: CandidateQuery) -> dict[str, int]:
        """Book every reason for which a row could not be registered; rejected rows by delivery.

        A row is judged by its last state: an earlier one may only lack a looked-up row that came later.
        """
        reasons = [f"{judgement.reason} as _reason_{judgement.position}" for judgement in query.judgements]
        self.execute(
            table,
            select,
            f"""
            create or replace temporary table {_FAULTY} as
            {query.steps}
            select {", ".join(["_delivery_id", "_source_row", *reasons])}
            from candidate
            where _is_final and {query.is_faulty}
            """,
        )
        for judgement in query.judgements:
            self.connection.execute(
                f"""
                insert into bookkeeping.rejected_row
                select _delivery_id, _source_row, ?, ?, _reason_{judgement.position}
                from {_FAULTY}
                where _reason_{judgement.position} is not null
                """,
                [table.name, table.columns[judgement.position].name],
            )
        rows = self.connection.execute(f"select _delivery_id, count(*) from {_FAULTY} group by all").fetchall()
        self.connection.execute(f"drop table {_FAULTY}")
        return {str(delivery): int(count) for delivery, count in rows}

    def note_untranslated(self, table: Table, select: SelectSpec, query: CandidateQuery) -> None:
        """Book source codes that a code table does not know and that had no `otherwise`, with their rows."""
        for i, translation in query.translated:
            if translation.otherwise is not None:
                continue
            known = ", ".join(quote_text(code) for code in self.mapping.codes[translation.code] if code is not None)
            shown = "'***'" if i in query.masked else f"_of_{i}"
            self.execute(
                table,
                select,
                f"""
                insert into bookkeeping.untranslated_code
                {query.steps}
                select
                    _delivery_id,
                    {quote_text(table.name)},
                    {quote_text(table.columns[i].name)},
                    {quote_text(translation.code)},
                    {shown},
                    count(*)
                from candidate
                where _is_final and _of_{i} is not null {f"and _of_{i} not in ({known})" if known else ""}
                group by all
                """,
            )

    def relation(self, source: SourceSpec, entries: list[LedgerEntry]) -> str:
        """Relation of the landed rows of some deliveries of a source."""
        files = []
        for entry in entries:
            file = entry.parquet_path(self.landing_root)
            if not file.is_file():
                raise UserError(
                    "a landed file of the ledger is missing",
                    where=str(file),
                    found=f"a ledger entry of {source.name}, {entry.rows_landed} rows, and no file",
                    next_step="restore the landing folder from a backup",
                )
            files.append(str(file))
        if not files:
            return empty_landed_relation(source, dict.fromkeys((derived.name for derived in source.derive), "VARCHAR"))
        listed = ", ".join(quote_text(file) for file in files)
        described = self.connection.execute(
            f"describe select * from read_parquet([{listed}], union_by_name = true)"
        ).fetchall()
        return landed_relation(source, files, {str(row[0]): str(row[1]) for row in described}, _DELIVERIES)

    def refuse_ambiguous(self, table: Table, select: SelectSpec, lookup: LookupSpec, relation: str) -> None:
        """Stop where a lookup finds several rows for one key: which one counts would be a guess."""
        source = self.mapping.sources[lookup.source]
        fields = lookup_fields(self.connection, self.mapping, select, lookup)
        versions = lookup_versions(lookup, source, relation, fields)
        row = self.connection.execute(conflicting_lookup_key(lookup, versions)).fetchone()
        if row is not None:
            on = ", ".join(column for column, _ in lookup.on)
            raise UserError(
                f"the lookup {lookup.name} finds {row[1]} rows of {source.name} for one key",
                where=self.mapping.place(f"tables.{table.name}[{select.position}].lookups.{lookup.name}"),
                found=f"{on} = {row[0]}",
                valid="one row for each key",
                next_step="narrow it with `where`, or join it on more columns",
            )

    def execute(self, table: Table, select: SelectSpec, statement: str) -> None:
        """Run a statement made from a mapping's expressions; if one fails on a row, say which select it is in."""
        try:
            self.connection.execute(statement)
        except (duckdb.DataError, duckdb.InvalidInputException) as error:
            # What DuckDB quotes may be a value of a classed column.
            message = _QUOTED.sub("'***'", str(error).split("\n", 1)[0])
            raise UserError(
                "an expression of the mapping fails on a row that was landed",
                where=self.mapping.place(f"tables.{table.name}[{select.position}]"),
                found=message,
                valid="expressions that give NULL where they have no answer (try_cast, nullif, case)",
                next_step="correct the expression and run again; nothing was registered",
            ) from error

    def book(self, delivery: str, source: str, table: Table, registered: int, rejected: int) -> None:
        self.connection.execute(
            "insert into bookkeeping.registration values (?, ?, ?, ?, ?, ?)",
            [delivery, source, table.name, self.batch, registered, rejected],
        )
        self.count(self.rejected, table, rejected)

    @staticmethod
    def count(counts: dict[str, int], table: Table, rows: int) -> None:
        counts[table.name] = counts.get(table.name, 0) + rows

    def counts(self, target: str) -> dict[str, int]:
        """Rows of the current batch in a relation, by delivery."""
        rows = self.connection.execute(
            f"select delivery_id, count(*) from {target} where batch = ? group by all", [self.batch]
        ).fetchall()
        return {str(delivery): int(count) for delivery, count in rows}

    def number(self, query: str, parameters: list[object] | dict[str, object] | None = None) -> int:
        row = self.connection.execute(query, parameters or []).fetchone()
        return int(row[0]) if row else 0


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _literal_date(day: date) -> str:
    return f"date '{day.isoformat()}'"
