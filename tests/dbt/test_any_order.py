"""Deliveries by the month, by the day, or in any order and grouping end as the tables that one full build makes.

A bank of 1,000 customers with late rows, corrections, deletions and repeats: 24 months of daily deliveries behind a
first month. What lasts between two builds are the raw tables and the incremental models, so only these, and what they
are made from, are made after each step; everything else is made whole each time, here once at the end.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pytest
from star_bank import FIRST_PASS, Dbt

from warehouse import identity
from warehouse.database import open_warehouse
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import LedgerEntry, default_as_of, in_force, read_ledger
from warehouse.registration import register
from warehouse.sample_bank.dirt import Dirt
from warehouse.sample_bank.generate import deliver, generate
from warehouse.sources.bank import Bank, load_bank

pytestmark = pytest.mark.slow

CUSTOMERS, DAYS, DAILY, SPLITS = 1_000, 730, 60, 10
DIRT = Dirt(duplicate=0.01, late=0.02, correction=0.01, delete=0.01)
INCREMENTAL = ("--select", "+config.materialized:incremental", "--exclude-resource-type", "test", "unit_test")
#: What is made from deliveries; bookkeeping tells of the steps themselves.
NOT_COMPARED = ("raw", "bookkeeping", "staging")

Step = list[LedgerEntry]


class History:
    """A home in which everything was landed, and warehouses that are made from it step by step."""

    def __init__(self, folder: Path, dbt: Dbt) -> None:
        self.dbt = dbt
        self.folder = folder
        data = folder / "data"
        generate(data, customers=CUSTOMERS, months=1, formats=("csv",), dirt=DIRT, truth_dir=folder / "truth")
        deliver(data, DAYS, truth_dir=folder / "truth")
        self.bank: Bank = load_bank(data / "mapping")
        self.home = Home(folder / "home")
        land(self.bank, data, self.home)
        self.entries = in_force(read_ledger(self.home.landing, self.bank.name))
        self.initial = [entry for entry in self.entries if entry.known_on is None]
        self.later = [entry for entry in self.entries if entry.known_on is not None]
        self.last = default_as_of(self.entries, self.bank)

    def by_date(self, key: Callable[[date], Any]) -> list[Step]:
        """The deliveries behind the initial load in steps of their dates."""

        def of(entry: LedgerEntry) -> Any:
            assert entry.known_on is not None
            return key(entry.known_on)

        return [list(group) for _, group in groupby(sorted(self.later, key=of), key=of)]

    def build(self, name: str, steps: Sequence[Step]) -> Path:
        """A warehouse that was continued with each step, as it stands after the last."""
        file, so_far = self.folder / f"{name}.duckdb", list[LedgerEntry]()
        resources = self.bank.settings.resources
        as_of = date.min
        for step in steps:
            so_far += step
            chosen = {entry.delivery_id for entry in so_far}
            entries = [entry for entry in self.entries if entry.delivery_id in chosen]
            with open_warehouse(file, resources, self.home.temporary) as connection:
                register(connection, self.bank, self.home.landing, entries)
                identity.create(connection)
            # Time goes forward, whatever comes late.
            as_of = max(as_of, default_as_of(entries, self.bank))
            self._dbt(file, as_of, *INCREMENTAL)
        assert as_of == self.last
        with open_warehouse(file, resources, self.home.temporary) as connection:
            identity.assign(connection, self.home, self.bank)
        self._dbt(file, as_of, *FIRST_PASS, "--exclude-resource-type", "test")
        return file

    def _dbt(self, file: Path, as_of: date, *arguments: str) -> None:
        settings = {
            "as_of": as_of.isoformat(),
            "base_currency": self.bank.settings.base_currency,
            "time_zone": self.bank.settings.time_zone,
        }
        outcome = self.dbt.invoke(["build", "--vars", json.dumps(settings), *arguments], file)
        assert outcome.success, [
            (node.node.name, node.message) for node in outcome.result.results if str(node.status) == "error"
        ]


def differences(one: Path, other: Path) -> dict[str, tuple[int, int]]:
    """Rows of each table that only one of two warehouses has."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        tables = connection.execute(
            f"select distinct schema_name, table_name from duckdb_tables() "
            f"where database_name in ('one', 'other') and schema_name not in {NOT_COMPARED} order by all"
        ).fetchall()
        found = {}
        for schema, table in tables:
            only = [
                connection.execute(
                    f"select count(*) from (from {first}.{schema}.{table} except all from {second}.{schema}.{table})"
                ).fetchall()[0][0]
                for first, second in (("one", "other"), ("other", "one"))
            ]
            found[f"{schema}.{table}"] = (only[0], only[1])
    return found


def assert_equal(one: Path, other: Path) -> None:
    found = differences(one, other)
    assert len(found) > 50
    assert {table: rows for table, rows in found.items() if rows != (0, 0)} == {}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory, dbt: Dbt) -> History:
    return History(tmp_path_factory.mktemp("history"), dbt)


@pytest.fixture(scope="module")
def full(history: History) -> Path:
    file = history.build("full", [history.entries])
    with duckdb.connect(file, read_only=True) as connection:
        kinds = connection.execute(
            "select count(*), count(distinct transaction_id), count(*) filter (operation = 'delete') "
            "from raw.transactions"
        ).fetchall()[0]
    # Late rows, corrections and deletions are there, or this would prove nothing.
    assert kinds[0] > 1.02 * kinds[1]
    assert kinds[2] > 100
    return file


def test_months_one_by_one_are_one_full_build(history: History, full: Path) -> None:
    steps = [history.initial, *history.by_date(lambda day: (day.year, day.month))]
    assert len(steps) >= 1 + 24
    assert_equal(full, history.build("months", steps))


def test_days_one_by_one_are_one_full_build(history: History, full: Path) -> None:
    days = history.by_date(lambda day: day)
    before, last = days[:-DAILY], days[-DAILY:]
    assert len({step[0].known_on.month for step in last if step[0].known_on}) > 1
    assert_equal(full, history.build("days", [history.initial + [e for step in before for e in step], *last]))


@pytest.mark.parametrize("seed", range(SPLITS))
def test_deliveries_in_any_order_and_grouping_are_one_full_build(history: History, full: Path, seed: int) -> None:
    chance = random.Random(seed)
    shuffled = list(history.entries)
    chance.shuffle(shuffled)
    # The first step has a delivery that says up to when the bank has delivered.
    shuffled.sort(key=lambda entry: not (entry.source == "transactions" and entry.known_on is None))
    ends = sorted(chance.sample(range(1, len(shuffled)), chance.randint(1, 5)))
    steps = [shuffled[start:end] for start, end in zip([0, *ends], [*ends, len(shuffled)], strict=True)]
    assert_equal(full, history.build(f"order_{seed}", steps))
