"""A bank whose CRM states its customers' assets: its CSV goes the whole road, and the gaps planted in it are found."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MONTH_END, MIDDLE = date(2025, 11, 30), date(2025, 11, 17)
STRANGER = ("core", "NOBODY")
SOURCE = """\
  crm_assets:
    source_system: crm
    file: crm_assets/crm_assets.csv
    format: {type: csv, delimiter: ";", encoding: gb18030}
    key: [cust_system, cust_no, asset_date]
    record: cust_no
    known_on: cast(asset_date as date)
    columns:
      cust_system: {type: VARCHAR, required: true}
      cust_no: {type: VARCHAR, required: true}
      asset_date: {type: DATE, required: true}
      asset_wan: {type: "DECIMAL(18,6)", required: true}

"""
TABLE = """\
  crm_stated_assets:
    - from: crm_assets
      columns:
        customer_source_system: cust_system
        source_customer_id: cust_no
        as_of: asset_date
        aum: cast(asset_wan * 10000 as decimal(18, 2))

"""
Record = tuple[str, str]


def _write(file: Path, stated: dict[tuple[Record, date], Decimal]) -> None:
    """Amounts in units of 10,000, under the CRM's own names."""
    file.parent.mkdir(parents=True)
    with file.open("w", encoding="gb18030", newline="") as handle:
        writer = csv.writer(handle, delimiter=";")
        writer.writerow(["cust_system", "cust_no", "asset_date", "asset_wan"])
        writer.writerows([*record, day, amount / 10000] for (record, day), amount in sorted(stated.items()))


def _core(home: Path) -> tuple[dict[tuple[str, date], Decimal], dict[str, list[Record]]]:
    """What core has of each person on the two days, by other tables than the gap's; and the records of each person."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        at_end = connection.execute(
            "select person_id, last_day(month_start_on), aum_period_end_base from core.fct_customer_month "
            "where month_start_on = date '2025-11-01'"
        ).fetchall()
        in_the_middle = connection.execute(
            """
            select person_id, date '2025-11-17', sum(opening_balance_base + coalesce(booked, 0))
            from core.fct_account_month
            inner join core.dim_account using (account_id)
            left join (
                select account_id, sum(amount) as booked from core.fct_transaction
                where booked_on between date '2025-11-01' and date '2025-11-17' group by account_id
            ) using (account_id)
            where month_start_on = date '2025-11-01' and is_aum and person_id is not null
            group by person_id
            """
        ).fetchall()
        records = defaultdict(list)
        for person, *record in connection.execute(
            "select person_id, source_system, source_customer_id from raw.person_records order by all"
        ).fetchall():
            records[person].append((record[0], record[1]))
    return {(person, day): amount for person, day, amount in at_end + in_the_middle if amount}, dict(records)


@pytest.fixture(scope="module")
def delivered(generated_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Folder with the bank, its mapping and its deliveries; what is planted: gap by person and day."""
    folder = tmp_path_factory.mktemp("bank")
    (sample,) = (generated_home / "sample").iterdir()
    shutil.copytree(sample, folder / "data")
    shipped = ROOT / "warehouse" / "banks" / "sample"
    mapping = (shipped / "mapping.yml").read_text(encoding="utf-8")
    assert mapping.count("sources:\n") == mapping.count("\ntables:\n") == 1
    mapping = mapping.replace("sources:\n", "sources:\n" + SOURCE).replace("\ntables:\n", "\ntables:\n" + TABLE)
    (folder / "bank").mkdir()
    (folder / "bank" / "mapping.yml").write_text(mapping, encoding="utf-8")
    shutil.copyfile(shipped / "bank.yml", folder / "bank" / "bank.yml")

    core, records = _core(generated_home)
    stated: dict[tuple[Record, date], Decimal] = {}
    for (person, day), amount in core.items():
        first, *others = records[person]
        part = (amount / 3).quantize(Decimal("0.01")) if others else Decimal(0)
        stated[first, day] = amount - part * len(others)
        stated |= {(record, day): part for record in others}
    of_one = sorted(person for person, day in core if day == MONTH_END and len(records[person]) == 1)
    of_several = sorted(
        person for person, day in core if day == MONTH_END and len(records[person]) > 1 and core[person, day] > 1000
    )
    too_much, tolerated, too_little, corrected, spoilt, long_ago = of_one[:6]
    doubled, halved = of_several[:2]
    gaps: dict[tuple[str, date], Decimal] = {}

    def plant(person: str, day: date, gap: str) -> None:
        stated[records[person][0], day] += Decimal(gap)
        gaps[person, day] = Decimal(gap)

    plant(too_much, MONTH_END, "100.01")
    plant(tolerated, MONTH_END, "100.00")
    plant(too_little, MONTH_END, "-250.00")
    plant(long_ago, MIDDLE, "5000.00")
    # each record of a person states all of the person's assets: counted as often as there are records
    for record in records[doubled]:
        stated[record, MONTH_END] = core[doubled, MONTH_END]
    gaps[doubled, MONTH_END] = core[doubled, MONTH_END] * (len(records[doubled]) - 1)
    # one record of a person is forgotten
    gaps[halved, MONTH_END] = -stated.pop((records[halved][-1], MONTH_END))
    stated[STRANGER, MONTH_END] = Decimal("1000.00")
    # two weeks later one mistake of the month's end is mended and another made
    stated[records[corrected][0], MONTH_END] += 9999
    _write(folder / "data" / "crm_assets" / "crm_assets.csv", stated)
    later = {
        (records[corrected][0], MONTH_END): core[corrected, MONTH_END],
        (records[spoilt][0], MONTH_END): core[spoilt, MONTH_END] + 777,
    }
    gaps[spoilt, MONTH_END] = Decimal(777)
    _write(folder / "data" / "2025" / "12" / "15" / "crm_assets" / "crm_assets.csv", later)
    return folder, {"core": core, "records": records, "gaps": gaps, "tolerated": tolerated}


@pytest.fixture(scope="module")
def home(delivered, generated_home, tmp_path_factory, mainbank) -> Path:
    """A home in which the bank with these statements was run."""
    home = tmp_path_factory.mktemp("asset_gap") / "home"
    shutil.copytree(generated_home, home, symlinks=True)
    folder, _ = delivered
    outcome = mainbank(home, "run", "--source", str(folder / "bank"), "--data", str(folder / "data"))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return home


@pytest.fixture(scope="module")
def ask(home) -> Callable[[str], list[tuple[Any, ...]]]:
    """Function that asks the release."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(home / "current" / "mainbank.duckdb"), read_only=True) as connection:
            return connection.execute(query).fetchall()

    return rows


def test_exactly_the_planted_gaps_are_found(ask, delivered):
    planted = delivered[1]
    found = ask("select person_id, stated_on, gap_base, is_above_tolerance from customer.customer_asset_gap")
    compared = {(person, day): (gap, is_above) for person, day, gap, is_above in found if gap is not None}
    assert compared.keys() == planted["core"].keys()
    assert len(compared) > 400
    assert {key: gap for key, (gap, _) in compared.items() if gap} == planted["gaps"]
    listed = {key for key, (_, is_above) in compared.items() if is_above}
    # a gap of the tolerance itself is none
    assert listed == planted["gaps"].keys() - {(planted["tolerated"], MONTH_END)}


def test_the_records_of_a_person_add_up_and_a_stranger_is_compared_with_nothing(ask, delivered):
    planted = delivered[1]
    several = {person: len(of) for person, of in planted["records"].items() if len(of) > 1}
    counts = dict(
        ask("select person_id, record_count from customer.customer_asset_gap where stated_on = date '2025-11-17'")
    )
    assert counts == {person: several.get(person, 1) for person, day in planted["core"] if day == MIDDLE}
    assert ask(
        "select aum_stated_base, aum_core_base, gap_base, gap_ratio, is_above_tolerance, aum_core_absence "
        "from customer.customer_asset_gap where aum_core_absence is not null"
    ) == [
        (1000, None, None, None, None, "the customer was never delivered: which accounts to compare with is not known")
    ]


def test_the_gap_is_described_counted_and_timed_in_the_release(ask, delivered):
    planted = delivered[1]
    columns = ask("select column_name from duckdb_columns() where table_name = 'customer_asset_gap'")
    described = ask(
        "select column_name from meta.data_dictionary where schema_name = 'customer' and "
        "table_name = 'customer_asset_gap' and meaning_en <> '' and meaning_zh <> ''"
    )
    assert len(columns) == 12
    assert sorted(columns) == sorted(described)
    assert ask("select checked_count, failing_count from meta.quality where rule = 'crm_assets_differ_from_core'") == [
        (len(planted["core"]), len(planted["gaps"]) - 1)
    ]
    assert ask("select value, origin from meta.settings where setting like '%asset_gap_tolerance%'") == [
        ("value 100.000000, unit base currency", "shipped")
    ]
    # the two rows that came on a day of their own, fifteen days after the day they are about
    assert ask(
        "select source_system, timed_count, delivery_p50_hours from meta.table_lag "
        "where table_name = 'crm_stated_assets'"
    ) == [("crm", 2, 15 * 24)]
    empty = ask("select subject from meta.quality where rule = 'table_without_rows'")
    assert ("customer.customer_asset_gap",) not in empty


def test_dagster_shows_the_lag_of_each_table_that_has_one(ask, home):
    script = (
        "import json, dagster as dg\n"
        "event = dg.DagsterInstance.get().get_latest_materialization_event(dg.AssetKey(['meta', 'table_lag']))\n"
        "metadata = event.asset_materialization.metadata\n"
        "print(json.dumps({name: value.value for name, value in metadata.items()}))\n"
    )
    outcome = subprocess.run(  # noqa: PLW1510
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "DAGSTER_HOME": str(home / "dagster")},
    )
    shown = json.loads(outcome.stdout)
    lags = ask(
        "select table_name, source_system, landing_p50_hours, landing_p95_hours from meta.table_lag order by all"
    )
    assert {name: hours for name, hours in shown.items() if name.endswith(" hours")} == {
        f"{table} ({system}), {name} hours": hours
        for table, system, *measured in lags
        for name, hours in zip(("p50", "p95"), measured, strict=True)
        if hours is not None
    }
    assert "crm_stated_assets (crm), p95 hours" in shown
    # a line for each table; those of the initial load say why they have no lag
    lines = shown["lag by table"].splitlines()[2:]
    assert [line.split(" | ")[:2] for line in lines] == [[f"| {table}", system] for table, system, *_ in lags]
    assert sum("initial load" in line for line in lines) == len(lags) - 1
