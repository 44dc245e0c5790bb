"""Reconciliation: what a source says it holds, by day, against what was landed of it, in the same run.

All days up to the watermark are asked for each time, so what was found stays found until it is gone. Rows and the sum
of an amount are compared for each day; where they differ, rows are compared one by one. What is found is kept beside
the ledger and published; it stops nothing, since the reason may be at the source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.home import Home
from warehouse.ledger import RECONCILIATION, LedgerEntry, in_force
from warehouse.sources.bank import Bank
from warehouse.sources.database import Dialect, Session, read_statement, relation_of
from warehouse.sources.specification import (
    DatabaseSpec,
    ReconciliationSpec,
    SourceColumn,
    SourceSpec,
    quote_name,
    quote_text,
    typed_expression,
)
from warehouse.tombstones import NOBODY, tombstones
from warehouse.vault import mask
from warehouse.vault.files import spill_folder

#: Differing rows and days that are listed.
LISTED = 100


@dataclass(frozen=True)
class DayDifference:
    """A day on which source and landing differ."""

    day: str
    rows_source: int
    rows_landed: int
    amount_source: str
    amount_landed: str


@dataclass(frozen=True)
class RowDifference:
    """A row that differs: its key (masked where it is classed), and its amounts; None: it is not there."""

    key: str
    day: str
    amount_source: str | None
    amount_landed: str | None


@dataclass(frozen=True)
class Reconciliation:
    """What was compared and found.

    Attributes
    ----------
    delivery_id
        The delivery after which it was done.
    days
        Number of days compared.
    differing_days, rows
        The differences, at most `LISTED` of each.
    """

    source: str
    delivery_id: str
    watermark: str | None
    days: int
    rows_source: int
    rows_landed: int
    amount_source: str
    amount_landed: str
    differing_days: tuple[DayDifference, ...]
    rows: tuple[RowDifference, ...]

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differing_days


def _path(home: Home, bank: str, source: str) -> Path:
    return home.landing / bank / RECONCILIATION / f"{source}.json"


def reconciliations(home: Home, bank: str) -> list[Reconciliation]:
    """What was found last, for each source that is reconciled."""
    found = []
    for path in sorted(_path(home, bank, "x").parent.glob("*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        values["differing_days"] = tuple(DayDifference(**item) for item in values["differing_days"])
        values["rows"] = tuple(RowDifference(**item) for item in values["rows"])
        found.append(Reconciliation(**values))
    return found


def reconcile(
    session: Session,
    source: SourceSpec,
    bank: Bank,
    home: Home,
    *,
    entries: Iterable[LedgerEntry],
    entry: LedgerEntry,
    tell: Callable[[str], None],
) -> Reconciliation:
    """Compare a source with what was landed of it, up to the watermark, and keep what was found.

    Parameters
    ----------
    session
        Asks the source.
    entries, entry
        The ledger, and the delivery that was just landed.
    tell
        Receives a line about what was found.
    """
    spec, asked = source.database, source.database.reconcile if source.database else None
    if spec is None or asked is None:
        raise ValueError("nothing to reconcile")
    columns = {column.name: column for column in source.columns}
    bounded = _bounded(spec, columns, session.address.dialect, entry.watermark)
    files = [e.parquet_path(home.landing) for e in in_force(entries) if e.source == source.name and e.rows_landed]
    resources = bank.settings.resources
    configuration: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": resources.memory_limit,
        "threads": resources.threads,
        "temp_directory": spill_folder(home.vault),
    }
    with duckdb.connect(":memory:", config=configuration) as connection:
        connection.execute("set TimeZone = 'UTC'")
        _landed(connection, source, asked, files)
        connection.register("source_day", _source_days(session, bounded, source, asked))
        compared = connection.execute(
            """
            select
                coalesce(source_day.day, landed_day.day) as day,
                coalesce(source_day.n, 0), coalesce(landed_day.n, 0),
                coalesce(source_day.amount, 0), coalesce(landed_day.amount, 0)
            from source_day
            full join (select day, count(*) as n, sum(amount) as amount from landed group by day) as landed_day
                on landed_day.day is not distinct from source_day.day
            order by all
            """
        ).fetchall()
        differing = [row for row in compared if row[1] != row[2] or row[3] != row[4]]
        # What the source has beyond landing may be a person's who was erased: of those only the day is told.
        is_told = tombstones(home, bank.name) == NOBODY
        rows = _differing_rows(connection, session, bounded, source, asked, is_told=is_told) if differing else []
    found = Reconciliation(
        source=source.name,
        delivery_id=entry.delivery_id,
        watermark=entry.watermark,
        days=len(compared),
        rows_source=sum(row[1] for row in compared),
        rows_landed=sum(row[2] for row in compared),
        amount_source=_plain(sum((row[3] for row in compared), Decimal(0))),
        amount_landed=_plain(sum((row[4] for row in compared), Decimal(0))),
        differing_days=tuple(
            DayDifference(str(day), one, other, _plain(amount), _plain(landed))
            for day, one, other, amount, landed in differing[:LISTED]
        ),
        rows=tuple(rows),
    )
    path = _path(home, bank.name, source.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
    new.replace(path)
    tell(
        f"{source.name}: {found.days:,} days"
        + (f" ({compared[0][0]} to {compared[-1][0]})" if compared else "")
        + " reconciled with the source, "
        + ("equal" if found.is_equal else f"{len(differing):,} differ, first {differing[0][0]}")
    )
    return found


def _bounded(
    spec: DatabaseSpec, columns: dict[str, SourceColumn], dialect: Dialect, watermark: str | None
) -> DatabaseSpec:
    """The source up to the watermark: rows that came since the extract are not compared yet."""
    conditions = [spec.where] if spec.where else []
    if spec.cursor is not None and watermark is not None:
        kind, name = columns[spec.cursor].type, dialect.name(spec.cursor)
        bound = dialect.day if kind == "DATE" else dialect.moment if kind == "TIMESTAMP" else "{}"
        conditions.append(f"({name} <= {bound.format(watermark)} or {name} is null)")
    return DatabaseSpec(
        spec.url_from,
        table=spec.table,
        query=spec.query,
        where=" and ".join(f"({part})" for part in conditions) or None,
    )


def _amount(value: str) -> str:
    # Drivers give decimals of ten places or text; neither may be rounded before it is summed.
    return f"cast({value} as decimal(38, 6))"


def _landed(
    connection: duckdb.DuckDBPyConnection,
    source: SourceSpec,
    asked: ReconciliationSpec,
    files: list[Path],
) -> None:
    """Make `landed`: key, day and amount of the last version of each row that is not deleted."""
    if not files:
        connection.execute("create table landed (key varchar, day date, amount decimal(38, 6))")
        return
    columns = {column.name: column for column in source.columns}
    relation = f"read_parquet([{', '.join(quote_text(str(file)) for file in files)}], union_by_name = true)"
    types = {str(row[0]): str(row[1]) for row in connection.execute(f"describe select * from {relation}").fetchall()}
    key = _key(source)
    day = f"cast({typed_expression(columns[asked.day], types[asked.day] == 'VARCHAR')} as date)"
    amount = _amount(typed_expression(columns[asked.amount], types[asked.amount] == "VARCHAR"))
    connection.execute(
        f"""
        create table landed as
        select key, day, amount from (
            select {key} as key, {day} as day, {amount} as amount, _operation
            from {relation}
            qualify row_number() over (
                partition by {key} order by _known_on desc, _operation asc, _source_row desc
            ) = 1
        )
        where _operation = 'upsert'
        """
    )


def _key(source: SourceSpec) -> str:
    return f"concat_ws(', ', {', '.join(f'cast({quote_name(name)} as varchar)' for name in source.key)})"


def _source_days(session: Session, spec: DatabaseSpec, source: SourceSpec, asked: ReconciliationSpec) -> pa.Table:
    """Day, rows and sum as the source works them out."""
    dialect = session.address.dialect
    if session.address.kind == "sqlite":
        # It sums decimals in floating point: the rows are summed here.
        rows = session.table(_rows_statement(spec, source, asked, dialect))
        with duckdb.connect() as connection:
            connection.register("source_row", rows)
            return connection.sql(
                f"select try_cast({quote_name(asked.day)} as date) as day, count(*) as n, "
                f"sum({_amount(quote_name(asked.amount))}) as amount from source_row group by all"
            ).to_arrow_table()
    day = dialect.name(asked.day)
    as_date = f"trunc({day})" if session.address.kind == "oracle" else f"cast({day} as date)"
    where = f" where {spec.where}" if spec.where else ""
    days = session.table(
        f"select {as_date} as {dialect.name('d')}, count(*) as {dialect.name('n')}, "
        f"{dialect.text.format(f'sum({dialect.name(asked.amount)})')} as {dialect.name('a')} "
        f"from {relation_of(spec, dialect)} source_rows{where} group by {as_date}"
    )
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("source_row", days)
        return connection.sql(
            f"select cast(d as date) as day, cast(n as bigint) as n, {_amount('a')} as amount from source_row"
        ).to_arrow_table()


def _rows_statement(spec: DatabaseSpec, source: SourceSpec, asked: ReconciliationSpec, dialect: Dialect) -> str:
    wanted = [column for column in source.columns if column.name in (*source.key, asked.day, asked.amount)]
    return read_statement(spec, dialect, wanted, [], None)


def _differing_rows(
    connection: duckdb.DuckDBPyConnection,
    session: Session,
    spec: DatabaseSpec,
    source: SourceSpec,
    asked: ReconciliationSpec,
    *,
    is_told: bool,
) -> list[RowDifference]:
    """The rows that differ, compared one by one; if `is_told`, also those that only the source has."""
    connection.register("source_row", session.table(_rows_statement(spec, source, asked, session.address.dialect)))
    found = connection.execute(
        f"""
        select
            coalesce(source.key, landed.key), cast(coalesce(source.day, landed.day) as varchar),
            cast(source.amount as varchar), cast(landed.amount as varchar)
        from (
            select {_key(source)} as key, try_cast({quote_name(asked.day)} as date) as day,
                {_amount(quote_name(asked.amount))} as amount
            from source_row
        ) as source
        full join landed on landed.key = source.key
        where (source.key is null or landed.key is null
            or source.amount is distinct from landed.amount or source.day is distinct from landed.day)
            {"" if is_told else "and landed.key is not null"}
        order by all
        limit {LISTED}
        """
    ).fetchall()
    columns = [source.find(name) for name in source.key]
    is_classed = any(column is not None and column.personal_data != "none" for column in columns)
    return [
        RowDifference(
            str(mask(key, "quasi_identifier") if is_classed else key),
            str(day),
            None if amount is None else _plain(Decimal(amount)),
            None if landed is None else _plain(Decimal(landed)),
        )
        for key, day, amount, landed in found
    ]


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}" if amount else "0"
