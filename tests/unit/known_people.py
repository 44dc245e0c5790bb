"""People of the sample bank as three systems know them, and who is who: customer tables alone, without their lives."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import identity
from warehouse.database import open_warehouse
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import read_ledger
from warehouse.registration import register
from warehouse.sample_bank.customers import customers_table
from warehouse.sample_bank.customers_elsewhere import customers_elsewhere_tables
from warehouse.sample_bank.parameters import Parameters
from warehouse.sample_bank.population import draw_population, life_numbers
from warehouse.sources.bank import Bank, load_bank
from warehouse.tombstones import tombstones

FIRST_MONTH, MONTHS = 2024 * 12, 24
LAST_DAY = (date(2025, 12, 31) - date(1970, 1, 1)).days
FILES = ("customers", "customers_elsewhere")


def known_people(customers: int, seed: int) -> tuple[pa.Table, pa.Table, dict[tuple[str, str], str]]:
    """Records of the core system, those of the others, and the person of each record."""
    parameters = Parameters()
    numbers = life_numbers(0, customers, FIRST_MONTH, FIRST_MONTH + MONTHS, seed=seed, parameters=parameters)
    people = draw_population(numbers, FIRST_MONTH, seed, parameters)
    rows = np.arange(len(people))
    core = customers_table(people, seed, rows, np.zeros(len(rows), np.bool_), people.joined_day * 86_400 + 9 * 3600)
    elsewhere, truth = customers_elsewhere_tables(people, seed, parameters, last_day=LAST_DAY)
    who = {("core", number): number for number in core["source_customer_id"].to_pylist()}
    for row in truth.to_pylist():
        record = (row["source_system"], row["source_customer_id"])
        who[record] = row["core_customer_id"] or f"relative of {row['relative_of_customer_id']}"
    return plain(core), plain(elsewhere), who


def plain(table: pa.Table) -> pa.Table:
    """A table whose text columns are text, not dictionaries."""
    return pa.table(
        {
            name: table[name].cast(pa.string()) if pa.types.is_dictionary(table[name].type) else table[name]
            for name in table.column_names
        }
    )


def bank_of_customers() -> Bank:
    """The shipped sample bank, as far as it is customers."""
    bank = load_bank("sample")
    sources = {name: source for name, source in bank.mapping.sources.items() if name.endswith("customers")}
    tables = {"customers": bank.mapping.tables["customers"]}
    return dataclasses.replace(bank, mapping=dataclasses.replace(bank.mapping, sources=sources, tables=tables))


class Resolved:
    """A home in which customers are landed, registered and resolved, delivery by delivery."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bank = bank_of_customers()
        self.home = Home(folder / "home")
        self.home.prepare()
        self.data = folder / "data"

    def deliver(self, tables: dict[str, pa.Table], day: date | None = None) -> None:
        """Put files into the folder of deliveries: the first ones, or those of a day."""
        place = self.data if day is None else self.data / f"{day:%Y/%m/%d}"
        for name, table in tables.items():
            (place / name).mkdir(parents=True, exist_ok=True)
            pq.write_table(table, place / name / f"{name}.parquet")

    def land(self) -> None:
        land(self.bank, self.data, self.home)

    def resolve(self, *, only: Iterable[str] | None = None) -> int | None:
        """Register what was landed (some deliveries, or all) and resolve who is who."""
        entries = read_ledger(self.home.landing, self.bank.name)
        if only is not None:
            entries = [entry for entry in entries if entry.delivery_id in set(only)]
        with open_warehouse(self.home.warehouse, self.bank.settings.resources, self.home.temporary) as connection:
            erased = tombstones(self.home, self.bank.name)
            result = register(connection, self.bank, self.home.landing, entries, erased)
            assert result is not None
            connection.execute("create table if not exists bookkeeping.state (as_of date)")
            connection.execute("delete from bookkeeping.state")
            connection.execute("insert into bookkeeping.state select max(known_on) from raw.customers")
            return identity.assign(connection, self.home, self.bank)

    def run(self) -> Resolved:
        self.land()
        self.resolve()
        return self

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def persons(self) -> dict[tuple[str, str], str]:
        """The person each record is now."""
        rows = self.query(
            "select source_system, source_customer_id, person_id from raw.person_records where known_to = '9999-12-31'"
        )
        found = {(system, number): person for system, number, person in rows}
        assert len(found) == len(rows), "one person per record"
        return found


def pairs(persons: Iterable[str]) -> int:
    """Pairs of records of one person."""
    return sum(count * (count - 1) // 2 for count in Counter(persons).values())


def precision_and_recall(found: dict[tuple[str, str], str], truth: dict[tuple[str, str], str]) -> tuple[float, float]:
    """Shares of the pairs found that are true, and of the true pairs that are found."""
    assert found.keys() <= truth.keys()
    both = pairs(f"{found[record]}|{truth[record]}" for record in found)
    return both / pairs(found.values()), both / pairs(truth[record] for record in found)
