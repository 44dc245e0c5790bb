"""Which warehouse file a run builds, as of when, and what is kept about it between the run's steps."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from dagster_project.lib import dbt
from dagster_project.lib.overrides import Override, read_overrides, write_overrides
from warehouse import identity, registration
from warehouse.database import open_read_only, open_warehouse
from warehouse.decisions import write_decisions
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.ledger import KNOWN_FROM_THE_START, default_as_of, in_force, read_ledger
from warehouse.sources.specification import quote_name
from warehouse.tombstones import tombstones

if TYPE_CHECKING:
    from warehouse.sources.bank import Bank

OWNERS = ["team:data-engineering"]
"""Owner of every asset; a bank that splits the work changes it here."""


@dataclass(frozen=True)
class Build:
    """The warehouse file a run works on.

    Parameters
    ----------
    warehouse : pathlib.Path
        The DuckDB file.
    temporary : pathlib.Path
        Folder for spill files.
    as_of : datetime.date
        Rows known up to this business date count.
    is_live : bool
        Whether a release of it becomes the current one; a build as of an old date has a file of its own.
    run_id : str
        The Dagster run that began it.
    """

    warehouse: Path
    temporary: Path
    as_of: date
    is_live: bool
    run_id: str


@dataclass(frozen=True)
class StartedBuild:
    """A build and what its registration brought, see `start_build`."""

    build: Build
    rows_registered: Mapping[str, int]


def fingerprint_of(bank: Bank, overrides: Sequence[Override]) -> str:
    """Hash of what, beside the deliveries, decides the warehouse: mapping, contract, models, settings."""
    parts = [registration.build_fingerprint(bank), dbt.project_fingerprint(), bank.settings.base_currency]
    parts += [f"{override.seed} {hashlib.sha256(override.text).hexdigest()}" for override in overrides]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _plan(home: Home) -> Path:
    return home.temporary / "build.json"


def current_build(home: Home) -> Build:
    """The build that registration began, for the steps after it.

    Raises
    ------
    UserError
        If nothing was registered yet.
    """
    path = _plan(home)
    if not path.is_file():
        raise UserError(
            "no build was begun in this home",
            where=str(path),
            next_step="materialize the raw tables first, or run the whole job",
        )
    values = json.loads(path.read_text())
    return Build(
        warehouse=Path(values["warehouse"]),
        temporary=home.temporary,
        as_of=date.fromisoformat(values["as_of"]),
        is_live=values["is_live"],
        run_id=values["run_id"],
    )


def last_build(home: Home, bank: Bank) -> Build:
    """The build of the last run, or the live warehouse where its plan was cleared away.

    Raises
    ------
    UserError
        If nothing was built yet.
    """
    if _plan(home).is_file() and (build := current_build(home)).warehouse.is_file():
        return build
    state = _state(home, bank)
    if state is None:
        raise UserError("nothing was built in this home yet", where=str(home.warehouse), next_step="run: mainbank run")
    return Build(home.warehouse, home.temporary, state[3], is_live=True, run_id="")


def _state(home: Home, bank: Bank) -> tuple[str, str, str, date] | None:
    """Bank, environment, fingerprint and as-of date of the live warehouse; None where there is none to go on with."""
    if not home.warehouse.is_file():
        return None
    try:
        with open_read_only(home.warehouse, bank.settings.resources, home.temporary) as connection:
            rows = connection.execute("select bank, environment, fingerprint, as_of from bookkeeping.state").fetchall()
    except duckdb.CatalogException:
        return None  # killed before its first registration was committed
    return rows[0] if rows else None


def start_build(
    bank: Bank,
    home: Home,
    as_of: date | None,
    run_id: str,
    *,
    is_full_rebuild: bool = False,
    progress: Callable[[str], None],
) -> StartedBuild:
    """Choose the file to build, register what was landed and not registered yet, and give persons their ids.

    A warehouse is continued only if mapping, contract, settings and models are those it was made with and time goes
    forward; else a new file is begun, from landing alone. A build as of an earlier date than the live warehouse goes
    to a file of its own.

    Raises
    ------
    UserError
        If the home holds the production warehouse of another bank, or an override does not fit its seed.
    """
    overrides = read_overrides(bank, home)
    entries = in_force(read_ledger(home.landing, bank.mapping.bank))
    day = as_of or default_as_of(entries, bank)
    first = min((e.known_from for e in entries if e.known_from and e.known_from != KNOWN_FROM_THE_START), default=day)
    if day < first:
        raise UserError(
            "nothing was known yet at that date",
            where="AS_OF",
            found=str(day),
            valid=f"{first} or later: the first date on which a delivered row was known",
        )
    fingerprint = fingerprint_of(bank, overrides)
    state = _state(home, bank)
    if state is not None and state[0] != bank.mapping.bank and state[1] == "production":
        raise UserError(
            "this home holds the production warehouse of another bank",
            where=str(home.root),
            found=f"bank {state[0]}; asked for: {bank.mapping.bank}",
            next_step="give each bank a home of its own: MAINBANK_HOME=/path/to/another",
        )
    is_live = as_of is None or state is None or state[0] != bank.mapping.bank or day >= state[3]
    warehouse = home.warehouse if is_live else home.as_of / f"{day}.building.duckdb"
    is_new = (
        is_full_rebuild
        or not is_live
        or state is None
        or state[:3] != (bank.mapping.bank, bank.settings.environment, fingerprint)
        or day < state[3]
    )
    for left in home.as_of.glob("*.building.duckdb*"):
        left.unlink()
    published = identity.published_persons(home, bank)
    if is_new:
        for path in (warehouse, warehouse.with_name(warehouse.name + ".wal")):
            path.unlink(missing_ok=True)
        warehouse.parent.mkdir(parents=True, exist_ok=True)
    progress(f"as of {day}: {'a new file' if is_new else 'continuing'} {warehouse.name}")
    with open_warehouse(warehouse, bank.settings.resources, home.temporary) as connection:
        result = registration.register(connection, bank, home.landing, entries, tombstones(home, bank.name))
        write_overrides(connection, overrides)
        count = identity.assign(connection, home, bank, who=getpass.getuser(), published=published)
        if count is not None:
            progress(f"identity: {count:,} customer records resolved")
        connection.execute(
            "create table if not exists bookkeeping.state "
            "(bank varchar, environment varchar, fingerprint varchar, as_of date)"
        )
        connection.execute("begin")
        connection.execute("delete from bookkeeping.state")
        connection.execute(
            "insert into bookkeeping.state values (?, ?, ?, ?)",
            [bank.mapping.bank, bank.settings.environment, fingerprint, day],
        )
        write_decisions(connection, home, bank.name)
        connection.execute("commit")
    build = Build(warehouse, home.temporary, day, is_live, run_id)
    plan = {
        "warehouse": str(warehouse),
        "as_of": day.isoformat(),
        "is_live": is_live,
        "run_id": run_id,
    }
    path = _plan(home)
    path.with_suffix(".new").write_text(json.dumps(plan))
    path.with_suffix(".new").replace(path)
    return StartedBuild(build, result.rows_registered)


@contextmanager
def reading(build: Build, bank: Bank) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the build's warehouse."""
    with open_read_only(build.warehouse, bank.settings.resources, build.temporary) as connection:
        yield connection


def row_counts(build: Build, bank: Bank, tables: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Rows of tables, those that exist; views are not counted, since counting would run them."""
    with reading(build, bank) as connection:
        existing = set(connection.execute("select schema_name, table_name from duckdb_tables()").fetchall())
        wanted = [table for table in tables if table in existing]
        if not wanted:
            return {}
        counts = connection.execute(
            " union all ".join(
                f"select {position}, count(*) from {quote_name(schema)}.{quote_name(table)}"
                for position, (schema, table) in enumerate(wanted)
            )
        ).fetchall()
    return {wanted[position]: count for position, count in counts}


def record_checks(build: Build, bank: Bank, pass_name: str, results: Sequence[dbt.NodeResult]) -> None:
    """Keep what the tests of a pass found, for the release's table of quality."""
    rows = [
        (pass_name, result.name, result.status, result.failures, result.message)
        for result in results
        if result.resource_type in ("test", "unit_test")
    ]
    with open_warehouse(build.warehouse, bank.settings.resources, build.temporary) as connection:
        connection.execute(
            "create table if not exists bookkeeping.check_result "
            "(pass varchar, name varchar, status varchar, failures bigint, message varchar)"
        )
        connection.execute("begin")
        connection.execute("delete from bookkeeping.check_result where pass = ?", [pass_name])
        if rows:
            connection.executemany("insert into bookkeeping.check_result values (?, ?, ?, ?, ?)", rows)
        connection.execute("commit")


def write_results(
    build: Build,
    bank: Bank,
    tables: Mapping[str, pa.Table | None],
    *,
    shared: Mapping[str, pa.Table],
    miner: str,
) -> None:
    """Write what a miner found into schema ``mined``, all of it in one transaction.

    Parameters
    ----------
    build, bank
        Where.
    tables
        Tables of this miner; each replaces what is there, None takes it away.
    shared
        Rows of this miner in tables that all miners share; they replace its rows of before.
    miner
        Its name, column ``miner`` of the shared tables.
    """
    with open_warehouse(build.warehouse, bank.settings.resources, build.temporary) as connection:
        connection.execute("begin")
        connection.execute("create schema if not exists mined")
        for name, frame in tables.items():
            connection.execute(f"drop table if exists mined.{quote_name(name)}")
            if frame is None:
                continue
            connection.register("frame_to_write", frame)
            connection.execute(f"create table mined.{quote_name(name)} as from frame_to_write")
            connection.unregister("frame_to_write")
        for name, frame in shared.items():
            table = f"mined.{quote_name(name)}"
            connection.register("frame_to_write", frame)
            connection.execute(f"create table if not exists {table} as from frame_to_write limit 0")
            connection.execute(f"delete from {table} where miner = ?", [miner])
            connection.execute(f"insert into {table} from frame_to_write")
            connection.unregister("frame_to_write")
        connection.execute("commit")
