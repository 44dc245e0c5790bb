"""What the star costs: a full rebuild beside bare DuckDB, a day beside a full rebuild, and how both grow.

`CUSTOMERS=20000 MONTHS=24 .venv/bin/python -m benchmarks.star` generates a sample bank and one more day,
lands and registers it, and then, in one process and with the memory limit of the bank:

- `full`: all models of the first pass made anew by dbt;
- `bare`: the same compiled statements, in the same order, in one bare DuckDB connection on the same raw tables;
- `day`: the next day's deliveries registered, models brought up to it; `empty`: the same again with nothing new.

Tests are timed apart. Rows are compared: `bare` must make the tables that dbt made. `BARE=0` leaves it out, which takes
half the room on the disk.

What is rebuilt each day whatever came takes the same time in `day` and in `empty`, but for chance. So the cost of a day
is shown twice: by the time of the whole runs, and by that of the incremental models alone.
"""

import json
import math
import os
import resource
import shutil
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb

from dagster_project.lib import dbt
from warehouse import identity
from warehouse.database import open_warehouse
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import LedgerEntry, default_as_of, in_force, read_ledger
from warehouse.registration import register
from warehouse.sample_bank.generate import deliver, generate
from warehouse.sources.bank import Bank, load_bank

CUSTOMERS = int(os.environ.get("CUSTOMERS", "20000"))
MONTHS = int(os.environ.get("MONTHS", "24"))
WITH_BARE = os.environ.get("BARE", "1") != "0"
DEAREST = 12
FIRST_PASS = ("--exclude", "tag:mined")


class Warehouse:
    """A warehouse file and what dbt is told about it."""

    def __init__(self, file: Path, bank: Bank, home: Home) -> None:
        self.file, self.bank, self.home = file, bank, home
        self.as_of = date.min
        resources = bank.settings.resources
        self.environment = dbt.variables(file, home.temporary, resources.memory_limit, resources.threads)

    def register(self, entries: list[LedgerEntry]) -> float:
        """Seconds that registration of deliveries took, persons included."""
        started = time.perf_counter()
        with open_warehouse(self.file, self.bank.settings.resources, self.home.temporary) as connection:
            register(connection, self.bank, self.home.landing, entries)
            identity.assign(connection, self.home, self.bank)
        self.as_of = default_as_of(entries, self.bank)
        return time.perf_counter() - started

    def run(self, command: str, *arguments: str) -> tuple[float, list[dbt.NodeResult]]:
        """Seconds that a command of dbt took, and its results."""
        settings = {
            "as_of": self.as_of.isoformat(),
            "base_currency": self.bank.settings.base_currency,
            "time_zone": self.bank.settings.time_zone,
        }
        started = time.perf_counter()
        called = [command, "--quiet", "--vars", json.dumps(settings), *FIRST_PASS, *arguments]
        results = dbt.invoke(called, environment=self.environment)
        seconds = time.perf_counter() - started
        failed = [result for result in results if not result.is_good]
        if failed:
            raise RuntimeError(f"{failed[0].name}: {failed[0].message}")
        return seconds, results


def bare(warehouse: Warehouse, results: list[dbt.NodeResult], kinds: dict[str, tuple[str, str, str]]) -> float:
    """Seconds that the compiled statements take in one bare connection, in the file they were compiled for."""
    resources = warehouse.bank.settings.resources
    with open_warehouse(warehouse.file, resources, warehouse.home.temporary) as connection:
        for schema, name, kind in kinds.values():
            connection.execute(f"drop {'view' if kind == 'view' else 'table'} if exists {schema}.{name} cascade")
        started = time.perf_counter()
        for result in results:
            schema, name, kind = kinds[result.unique_id]
            what = "view" if kind == "view" else "table"
            connection.execute(f"create {what} {schema}.{name} as {result.compiled}")
        connection.execute("checkpoint")
        return time.perf_counter() - started


def rows_of(file: Path, kinds: dict[str, tuple[str, str, str]]) -> dict[str, int]:
    """Rows of each table."""
    with duckdb.connect(file, read_only=True) as connection:
        return {
            f"{schema}.{name}": connection.execute(f"select count(*) from {schema}.{name}").fetchall()[0][0]
            for schema, name, kind in kinds.values()
            if kind != "view"
        }


def seconds_of_incremental(results: list[dbt.NodeResult], incremental: set[str]) -> float:
    """Seconds that the incremental models took, added up over threads."""
    return sum(result.seconds for result in results if result.unique_id in incremental)


def main() -> None:
    """Print the measurements and the ratios."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        generate(folder / "data", customers=CUSTOMERS, months=MONTHS, formats=("csv",))
        shutil.move(folder / "data" / "mapping", folder / "mapping")
        bank, home = load_bank(folder / "mapping"), Home(folder / "home")
        started = time.perf_counter()
        land(bank, folder / "data", home)
        landing = time.perf_counter() - started
        deliver(folder / "data", 1)
        started = time.perf_counter()
        land(bank, folder / "data", home)
        landing_day = time.perf_counter() - started
        shutil.rmtree(folder / "data")
        entries = in_force(read_ledger(home.landing, bank.name))
        initial = [entry for entry in entries if entry.known_on is None]
        transactions = sum(entry.rows_landed for entry in initial if entry.source == "transactions")

        home.prepare()
        warehouse = Warehouse(folder / "warehouse.duckdb", bank, home)
        registration = warehouse.register(initial)
        warehouse.run("seed")
        nodes = dbt.load_manifest()["nodes"]
        full, results = warehouse.run("run", "--full-refresh")
        kinds = {
            result.unique_id: (
                nodes[result.unique_id]["schema"],
                nodes[result.unique_id]["alias"],
                nodes[result.unique_id]["config"]["materialized"],
            )
            for result in results
        }
        alone = math.nan
        if WITH_BARE:
            made = rows_of(warehouse.file, kinds)
            # Compiled statements name the catalog, which goes by the name of the file.
            (folder / "bare").mkdir()
            copy = Warehouse(folder / "bare" / warehouse.file.name, bank, home)
            shutil.copyfile(warehouse.file, copy.file)
            alone = bare(copy, results, kinds)
            if rows_of(copy.file, kinds) != made:
                raise RuntimeError("the bare statements made other tables")
            copy.file.unlink()
        tests, _ = warehouse.run("test", "--exclude-resource-type", "unit_test")
        registration_day = warehouse.register(entries)
        day, day_results = warehouse.run("run")
        empty, empty_results = warehouse.run("run")
        incremental = {name for name, node in nodes.items() if node["config"].get("materialized") == "incremental"}
        parts = [seconds_of_incremental(of, incremental) for of in (results, day_results, empty_results)]

        print(f"{CUSTOMERS:,} customers x {MONTHS} months: {transactions:,} transactions; memory limit", end=" ")
        print(f"{bank.settings.resources.memory_limit}, {bank.settings.resources.threads} threads\n")
        print("| step | seconds |\n|---|---:|")
        for step, seconds in (
            ("landing", landing),
            ("registration, persons", registration),
            ("full rebuild, dbt", full),
            *([("the same statements, bare DuckDB", alone)] if WITH_BARE else []),
            ("tests", tests),
            ("landing of a day", landing_day),
            ("registration of a day", registration_day),
            ("day, dbt", day),
            ("empty day, dbt", empty),
        ):
            print(f"| {step} | {seconds:.1f} |")
        if WITH_BARE:
            print(f"\ndbt beside bare DuckDB: {full / alone:.2f}")
        print(f"(day - empty) / (full - empty): {(day - empty) / (full - empty):.3f}; day / full: {day / full:.2f}")
        print(
            f"incremental models alone: full {parts[0]:.1f} s, day {parts[1]:.1f} s, empty day {parts[2]:.1f} s;",
            end=" ",
        )
        print(f"(day - empty) / (full - empty): {(parts[1] - parts[2]) / (parts[0] - parts[2]):.3f}")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")
        for what, of in (("a full rebuild", results), ("a day", day_results), ("an empty day", empty_results)):
            dearest = sorted(of, key=lambda result: -result.seconds)[:DEAREST]
            print(
                f"\nDearest models of {what}:", ", ".join(f"{result.name} {result.seconds:.1f}" for result in dearest)
            )


if __name__ == "__main__":
    main()
