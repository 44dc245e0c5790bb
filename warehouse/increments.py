"""What a delivery from a database asks for, and which of the rows it gives are news.

The rows of a source on one delivery date are one delivery: what changed since the watermark of the last date before it,
less the overlap. Extracting again on the same date reads the same stretch again and takes the place of the delivery
before. Of what is read twice only rows whose content changed are landed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.errors import UserError
from warehouse.ledger import LedgerEntry
from warehouse.sources.database import Dialect, lower_bound
from warehouse.sources.delivered import SOURCE_ROW
from warehouse.sources.specification import SourceSpec, quote_name, quote_text, typed_expression

#: Stands for the file in the ledger: one delivery of a database for each source, date and operation.
DATABASE_FILE = "(database)"
_ABSENT = "chr(1)"


@dataclass(frozen=True)
class Window:
    """The stretch of a source that one delivery covers.

    Attributes
    ----------
    known_on
        Date of the delivery; None for the initial load.
    watermark
        Where the deliveries before it ended; None if there are none, or no cursor.
    lower, lower_sql
        Where it begins: as text, and in the source's SQL; None: at the beginning.
    before
        Deliveries in force that its rows may repeat.
    """

    known_on: date | None
    watermark: str | None
    lower: str | None
    lower_sql: str | None
    before: tuple[LedgerEntry, ...]


def next_window(source: SourceSpec, standing: Sequence[LedgerEntry], delivered_on: date, dialect: Dialect) -> Window:
    """The stretch that a delivery of a date covers.

    Parameters
    ----------
    source
        With its `database`.
    standing
        The deliveries in force of this source.
    delivered_on
        Business date of the delivery.
    dialect
        How the source's SQL is written.

    Raises
    ------
    UserError
        If a later date was delivered already: a database shows its present, not its past.
    """
    whole = [entry for entry in standing if not entry.is_trial and entry.replays is None]
    if not whole:
        return Window(None, None, None, None, ())
    latest = max((entry.known_on for entry in whole if entry.known_on), default=None)
    if latest is not None and delivered_on < latest:
        raise UserError(
            f"source {source.name} was delivered for a later date already",
            where="the date of delivery (DELIVERED_ON)",
            found=f"{delivered_on}; {latest} is in the ledger",
            valid=f"{latest} or later: a database shows what it holds now, not what it held then",
        )
    before = [entry for entry in standing if entry.known_on is None or entry.known_on < delivered_on]
    marks = [entry.watermark for entry in before if entry.watermark is not None and not entry.is_trial]
    column = source.find(source.database.cursor) if source.database and source.database.cursor else None
    if source.database is None or column is None or column.type is None or not marks:
        return Window(delivered_on, None, None, None, tuple(before))
    # Numbers are compared as numbers, times as the ISO text they are kept as.
    watermark = max(marks, key=int) if column.type in ("INTEGER", "BIGINT") else max(marks)
    lower, lower_sql = lower_bound(watermark, column.type, source.database.overlap or "0", dialect)
    return Window(delivered_on, watermark, lower, lower_sql, tuple(before))


def request_hash(statement: str, attempt: int) -> str:
    """sha256 of what was asked, told apart from what was asked before for the same date."""
    return hashlib.sha256(f"{attempt}\x1f{statement}".encode()).hexdigest()


class Extract:
    """What is learned while the rows of a delivery go by: the highest cursor, and which rows are news.

    Parameters
    ----------
    source, window
        What is read.
    landing_root
        Folder of landed deliveries.
    memory_limit, threads, spill
        Of the database it compares in.
    """

    def __init__(
        self, source: SourceSpec, window: Window, landing_root: Path, *, memory_limit: str, threads: int, spill: Path
    ) -> None:
        self._source = source
        self._window = window
        self._connection = duckdb.connect(
            ":memory:", config={"memory_limit": memory_limit, "threads": threads, "temp_directory": str(spill)}
        )
        self._connection.execute("set TimeZone = 'UTC'")
        self._has_known = self._read_known([entry.parquet_path(landing_root) for entry in self._repeated()])
        self._connection.execute("create table seen (key_hash uhugeint)")
        self._highest: str | None = None

    def close(self) -> None:
        """Give the memory back."""
        self._connection.close()

    @property
    def watermark(self) -> str | None:
        """Where the next delivery begins, less its overlap."""
        if self._source.database is None or self._source.database.cursor is None:
            return None
        if self._highest is None:
            return self._window.watermark
        standing = self._window.watermark
        if standing is None:
            return self._highest
        column = next(item for item in self._source.columns if item.name == self._source.database.cursor)
        return _higher(self._highest, standing, column.type)

    def observe(self, rows: pa.Table) -> None:
        """Note the highest cursor of rows as they come, faulty ones included."""
        database = self._source.database
        if database is None or database.cursor is None:
            return
        column = next(item for item in self._source.columns if item.name == database.cursor)
        kind = rows.schema.field(column.name).type
        typed = typed_expression(column, pa.types.is_string(kind) or pa.types.is_large_string(kind))
        self._connection.register("batch", rows)
        ((highest,),) = self._connection.execute(f"select cast(max({typed}) as varchar) from batch").fetchall()
        self._connection.unregister("batch")
        if highest is not None:
            self._highest = highest if self._highest is None else _higher(self._highest, highest, column.type)

    def is_news(self, landed: pa.Table) -> pa.Array:
        """Which rows, as they would be landed, are not there in the same content already."""
        self._connection.register("batch", landed)
        names = set(landed.column_names)
        self._connection.execute(f"insert into seen select {_key_hash(self._source, names)} from batch")
        if self._has_known:
            found = self._connection.sql(
                f"""
                select batch.row_hash is distinct from known.row_hash as is_news
                from (select {SOURCE_ROW} as row, {_key_hash(self._source, names)} as key_hash,
                    {_row_hash(self._source, names)} as row_hash from batch) as batch
                left join known on known.key_hash = batch.key_hash
                order by batch.row
                """
            ).to_arrow_table()
            is_news: pa.Array = found.column("is_news").combine_chunks()
        else:
            is_news = pa.array([True] * landed.num_rows, pa.bool_())
        self._connection.unregister("batch")
        return is_news

    def not_seen(self, keys: pa.Table) -> pa.Table:
        """Those of some keys that no row of this delivery has."""
        self._connection.register("batch", keys)
        found = self._connection.sql(
            f"""
            select distinct {", ".join(quote_name(name) for name in self._source.key)} from batch
            where {_key_hash(self._source, set(keys.column_names))} not in (select key_hash from seen)
            order by all
            """
        ).to_arrow_table()
        self._connection.unregister("batch")
        return found

    def not_deleted(self, keys: pa.Table, files: Iterable[Path]) -> pa.Table:
        """Those of some keys whose deletion was not landed yet."""
        paths = [str(file) for file in files]
        if not paths:
            return keys
        self._connection.register("batch", keys)
        listed = ", ".join(quote_text(path) for path in paths)
        names = set(keys.column_names)
        found = self._connection.sql(
            f"""
            select * from batch
            where {_key_hash(self._source, names)} not in (
                select {_key_hash(self._source, names)} from read_parquet([{listed}], union_by_name = true)
                where _operation = 'delete'
            )
            order by all
            """
        ).to_arrow_table()
        self._connection.unregister("batch")
        return found

    def vanished(self, keys: pa.Table, files: Sequence[Path]) -> tuple[pa.Table, int]:
        """Keys that were landed, are not deleted, and are not among those the source has now; of how many standing."""
        if not files:
            return keys.slice(0, 0), 0
        self._connection.register("batch", keys)
        names = ", ".join(quote_name(name) for name in self._source.key)
        listed = ", ".join(quote_text(str(file)) for file in files)
        key_hash = _key_hash(self._source, set(keys.column_names))
        self._connection.execute(
            f"""
            create or replace temporary table standing as
            select * exclude (_operation) from (
                select {names}, _operation, {key_hash} as key_hash
                from read_parquet([{listed}], union_by_name = true)
                qualify row_number() over (
                    partition by key_hash order by _known_on desc, _operation asc, _source_row desc
                ) = 1
            )
            where _operation = 'upsert'
            """
        )
        found = self._connection.sql(
            f"select {names} from standing where key_hash not in (select {key_hash} from batch) order by all"
        ).to_arrow_table()
        (count,) = self._connection.execute("select count(*) from standing").fetchall()[0]
        self._connection.execute("drop table standing")
        self._connection.unregister("batch")
        return found, int(count)

    def _repeated(self) -> list[LedgerEntry]:
        """Deliveries in which a row of this one may stand already."""
        database = self._source.database
        required = {column.name for column in self._source.columns if column.required}
        if database is None or self._window.lower is None or database.cursor not in required:
            return list(self._window.before)
        column = self._source.find(str(database.cursor))
        kind = column.type if column is not None and column.type is not None else "VARCHAR"
        return [
            entry
            for entry in self._window.before
            if entry.watermark is None or _higher(entry.watermark, self._window.lower, kind) == entry.watermark
        ]

    def _read_known(self, files: list[Path]) -> bool:
        """Make `known`: the content of the last landed version of each key that may come again."""
        if not files:
            return False
        listed = ", ".join(quote_text(str(file)) for file in files)
        relation = f"read_parquet([{listed}], union_by_name = true)"
        types = {
            str(row[0]): str(row[1])
            for row in self._connection.execute(f"describe select * from {relation}").fetchall()
        }
        condition = "true"
        database = self._source.database
        if self._window.lower is not None and database is not None and database.cursor in types:
            column = next(item for item in self._source.columns if item.name == database.cursor)
            is_same = types[column.name] == column.type
            cursor = quote_name(column.name) if is_same else typed_expression(column, types[column.name] == "VARCHAR")
            condition = (
                f"({cursor} >= cast({quote_text(self._window.lower)} as {column.type}) "
                f"or {cursor} is null or _operation = 'delete')"
            )
        self._connection.execute(
            f"""
            create table known as
            select key_hash, row_hash from (
                select
                    {_key_hash(self._source, set(types))} as key_hash,
                    {_row_hash(self._source, set(types))} as row_hash,
                    _known_on, _operation, _source_row
                from {relation} where {condition}
            )
            qualify row_number() over (
                partition by key_hash order by _known_on desc, _operation asc, _source_row desc
            ) = 1
            """
        )
        return True


def _higher(one: str, other: str, kind: str) -> str:
    return max(one, other, key=int) if kind in ("INTEGER", "BIGINT") else max(one, other)


def _hash_of(columns: Iterable[str], present: set[str]) -> str:
    parts = [
        f"coalesce(cast({quote_name(name)} as varchar), {_ABSENT})" if name in present else _ABSENT for name in columns
    ]
    return f"md5_number(concat_ws(chr(31), {', '.join(parts)}))"


def _key_hash(source: SourceSpec, present: set[str]) -> str:
    return _hash_of(source.key, present)


def _row_hash(source: SourceSpec, present: set[str]) -> str:
    operation = "_operation" if "_operation" in present else "'upsert'"
    content = _hash_of(source.column_names, present)
    # A row that marks itself as deleted is other content than the row before it, whatever its columns say.
    return f"case when {operation} = 'upsert' then {content} else {content} + 1 end"
