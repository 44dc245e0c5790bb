"""Identity over a million records: how long each step takes, against landing the same records and against bare Splink.

The records are the customer tables of the sample bank: the core system's, and those of the card and the relationship
system. "Bare Splink" is the same model over the same clear values in a plain DuckDB, without vault, keys, persons or
warehouse. `CUSTOMERS` and `SEED` in the environment change size and bank.
"""

import dataclasses
import gc
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import identity
from warehouse.database import open_warehouse
from warehouse.home import Home
from warehouse.identity import linking, values
from warehouse.identity.model import SHIPPED, read_model
from warehouse.landing import land
from warehouse.ledger import read_ledger
from warehouse.registration import register
from warehouse.sample_bank.customers import customers_table
from warehouse.sample_bank.customers_elsewhere import customers_elsewhere_tables
from warehouse.sample_bank.parameters import Parameters
from warehouse.sample_bank.population import draw_population, life_numbers
from warehouse.sources.bank import Bank, load_bank

#: With the 7.9 records elsewhere per hundred customers: a million.
CUSTOMERS = int(os.environ.get("CUSTOMERS", "927000"))
SEED = int(os.environ.get("SEED", "6001"))
FIRST_MONTH, LAST_DAY = 2024 * 12, 20_453
AT_A_TIME = 100_000


def write_people(folder: Path) -> dict[tuple[str, str], str]:
    """Write the customer tables block by block; who each record is."""
    parameters, truth = Parameters(), {}
    writers: dict[str, pq.ParquetWriter] = {}
    for first in range(0, CUSTOMERS, AT_A_TIME):
        last = min(first + AT_A_TIME, CUSTOMERS)
        numbers = life_numbers(first, last, FIRST_MONTH, FIRST_MONTH + 24, seed=SEED, parameters=parameters)
        people = draw_population(numbers, FIRST_MONTH, SEED, parameters)
        rows = np.arange(len(people))
        core = customers_table(people, SEED, rows, np.zeros(len(rows), np.bool_), people.joined_day * 86_400 + 32_400)
        elsewhere, told = customers_elsewhere_tables(people, SEED, parameters, last_day=LAST_DAY)
        for name, table in (("customers", core), ("customers_elsewhere", elsewhere)):
            plain = pa.table(
                [c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in table.columns],
                names=table.column_names,
            )
            if name not in writers:
                (folder / name).mkdir(parents=True)
                writers[name] = pq.ParquetWriter(folder / name / f"{name}.parquet", plain.schema)
            writers[name].write_table(plain)
        truth |= {("core", number): number for number in core["source_customer_id"].to_pylist()}
        for row in told.to_pylist():
            person = row["core_customer_id"] or f"relative of {row['relative_of_customer_id']}"
            truth[row["source_system"], row["source_customer_id"]] = person
    for writer in writers.values():
        writer.close()
    return truth


def bank_of_customers() -> Bank:
    bank = load_bank("sample")
    sources = {name: source for name, source in bank.mapping.sources.items() if name.endswith("customers")}
    tables = {"customers": bank.mapping.tables["customers"]}
    return dataclasses.replace(bank, mapping=dataclasses.replace(bank.mapping, sources=sources, tables=tables))


@contextmanager
def timed(owner: Any, name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Add up how long a function of a module takes while this lasts."""
    function: Callable[..., Any] = getattr(owner, name)

    def measured(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started

    setattr(owner, name, measured)
    try:
        yield
    finally:
        setattr(owner, name, function)


def bare_splink(inside_of: Path, bank: Bank, home: Home) -> float:
    """Seconds of Splink alone: the statements made comparable already, blocked and predicted, as pairs of records."""
    with (
        open_warehouse(inside_of, bank.settings.resources, home.temporary) as connection,
        values.walls(home, bank) as inside,
    ):
        values.number_records(connection)
        values.gather(connection, inside, home, bank, who="benchmark")
        inside.execute(
            "create table whole as select *, "
            + ", ".join(f"{v} as {k}" for k, v in values.KEYS.items())
            + " from node where party_type = 'personal'"
        )
        started = time.perf_counter()
        model = read_model(SHIPPED)
        linking.linker(inside, model, table="whole").inference.predict(threshold_match_weight=model.threshold_weight)
        return time.perf_counter() - started


def pairs(persons: Any) -> int:
    return sum(count * (count - 1) // 2 for count in Counter(persons).values())


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        truth = write_people(root / "data")
        bank, home = bank_of_customers(), Home(root / "home")
        home.prepare()
        seconds: dict[str, float] = {}
        started = time.perf_counter()
        land(bank, root / "data", home)
        seconds["landing"] = time.perf_counter() - started
        with open_warehouse(home.warehouse, bank.settings.resources, home.temporary) as connection:
            started = time.perf_counter()
            register(connection, bank, home.landing, read_ledger(home.landing, bank.name))
            seconds["registration"] = time.perf_counter() - started
            gc.collect()
            started, cpu = time.perf_counter(), time.process_time()
            with (
                timed(values, "_read_values", seconds),
                timed(values, "_normalise", seconds),
                timed(linking, "_by_rule", seconds),
                timed(linking, "_by_model", seconds),
                timed(linking, "block", seconds),
            ):
                count = identity.assign(connection, home, bank)
            seconds["identity"], cpu = time.perf_counter() - started, time.process_time() - cpu
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            found = {
                (system, number): person
                for system, number, person in connection.execute(
                    "select source_system, source_customer_id, person_id from raw.person_records"
                    " where known_to = date '9999-12-31'"
                ).fetchall()
            }
            started = time.perf_counter()
            assert identity.assign(connection, home, bank) is None
            seconds["again, nothing new"] = time.perf_counter() - started
        both = pairs(f"{found[record]}|{truth[record]}" for record in found)
        precision, recall = both / pairs(found.values()), both / pairs(truth[record] for record in found)
        seconds["bare Splink"] = bare_splink(home.warehouse, bank, home)
    steps = {
        "read the vault": seconds["_read_values"],
        "make comparable": seconds["_normalise"],
        "block": seconds["block"],
        "rules": seconds["_by_rule"],
        "Splink": seconds["_by_model"],
    }
    steps["persons, tables"] = seconds["identity"] - sum(steps.values())
    print(f"{count:,} records, {len(set(found.values())):,} persons; seed {SEED}, {os.cpu_count()} cores\n")
    print("| step | seconds |\n|---|---:|")
    for step, spent in steps.items():
        print(f"| {step} | {spent:.1f} |")
    print(f"| **identity** | **{seconds['identity']:.1f}** (CPU {cpu:.1f}) |")
    print(f"| again, nothing new | {seconds['again, nothing new']:.2f} |")
    print(f"\n{count / seconds['identity']:,.0f} records per second; peak memory {peak:.1f} GB (landing included)")
    print(
        f"Ratio to landing the same records ({seconds['landing']:.1f} s): "
        f"{seconds['identity'] / seconds['landing']:.2f}"
    )
    print(f"Ratio to bare Splink ({seconds['bare Splink']:.1f} s): {seconds['identity'] / seconds['bare Splink']:.2f}")
    print(f"Pairwise precision {precision:.5f}, recall {recall:.4f}")


if __name__ == "__main__":
    main()
