"""Tiers and stages of the whole sample bank, worked out a second time in plain Python, row for row the same."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from star_bank import PROJECT

from dagster_project.lib import dbt
from dagster_project.lib.build import start_build
from warehouse.home import Home
from warehouse.landing import land
from warehouse.sample_bank.generate import generate
from warehouse.sources.bank import load_bank

pytestmark = pytest.mark.slow

CUSTOMERS, MONTHS = 1000, 24
History = dict[str, list[tuple[date, dict[str, Any]]]]


def _seed(name: str) -> list[dict[str, str]]:
    with (PROJECT / "seeds" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


BANDS = [
    (Decimal(row["aum_from"] or "-Infinity"), Decimal(row["aum_below"] or "Infinity"), int(row["misses_allowed"]), row)
    for row in _seed("tier_bands")
]
BOUNDS = {row["bound"]: Decimal(row["value"]) for row in _seed("lifecycle_bounds")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with a sample bank and its truth."""
    folder = tmp_path_factory.mktemp("oracle")
    generate(folder / "bank", customers=CUSTOMERS, months=MONTHS, seed=5, truth_dir=folder / "truth")
    return folder


@pytest.fixture(scope="module")
def bank(folder):
    """Connection to a warehouse of it, built by the shipped models."""
    home, settings = Home(folder / "home"), load_bank("sample")
    home.prepare()
    land(settings, folder / "bank", home)
    build = start_build(settings, home, None, "test", progress=lambda _: None).build
    values = {"as_of": build.as_of.isoformat(), "base_currency": "CNY", "time_zone": "Asia/Shanghai"}
    results = dbt.invoke(
        [
            *("build", "--quiet", "--no-write-json", "--exclude-resource-type", "unit_test"),
            *("--exclude", "tag:mined", "--vars", json.dumps(values)),
        ],
        environment=dbt.variables(build.warehouse, build.temporary, "2GB", 2),
    )
    assert [(result.name, result.message) for result in results if not result.is_good] == []
    with duckdb.connect(str(build.warehouse), read_only=True) as connection:
        yield connection


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _next(day: date) -> date:
    return _month_end(day) + timedelta(days=1)


def _months_between(first: date, last: date) -> int:
    return (last.year - first.year) * 12 + last.month - first.month


@pytest.fixture(scope="module")
def histories(bank) -> History:
    """For each person the months from the first in which the bank knew of it, with their facts."""
    facts = {
        (person, month): (account_count, product_count, initiated, aum)
        for person, month, account_count, product_count, initiated, aum in bank.execute(
            "select person_id, month_start_on, account_count, product_count, customer_initiated_count, "
            "aum_average_base from core.fct_customer_month"
        ).fetchall()
    }
    opened = dict(bank.execute("select person_id, min(opened_on) from core.dim_account group by person_id").fetchall())
    known = dict(
        bank.execute(
            "select person_id, min(coalesce(registered_on, valid_from)) from core.dim_customer group by person_id"
        ).fetchall()
    )
    acts = defaultdict(set)
    for person, day in bank.execute(
        "select distinct person_id, booked_on from core.fct_transaction inner join core.dim_account using (account_id) "
        "where initiated_by = 'customer'"
    ).fetchall():
        acts[person].add(day)
    first, last = min(month for _, month in facts), max(month for _, month in facts)
    histories: History = {}
    for person, registered in known.items():
        since = min(day for day in (registered, opened.get(person)) if day is not None)
        month, rows = max(first, since.replace(day=1)), []
        while month <= last:
            accounts, products, initiated, aum = facts.get((person, month), (0, 0, 0, Decimal(0)))
            until = [day for day in acts[person] if day <= _month_end(month)]
            rows.append(
                (
                    month,
                    {
                        "accounts": accounts, "products": products, "initiated": initiated, "aum": aum,
                        "opened": opened.get(person), "last": max(until, default=None),
                        "is_first_of_history": month == first,
                    },
                )
            )  # fmt: skip
            month = _next(month)
        histories[person] = rows
    return histories


def _reached(aum: Decimal | None) -> int | None:
    return None if aum is None else next(rank for rank, band in enumerate(BANDS) if band[0] <= aum < band[1])


def _tiers(rows: list[tuple[date, dict[str, Any]]]) -> list[tuple[date, int | None, int, int | None]]:
    """(month, rank in force, misses in a row, rank in force from the next month on), month after month."""
    found = []
    tier = _reached(rows[0][1]["aum"]) if rows[0][1]["is_first_of_history"] else 0
    missed = 0
    for month, fact in rows:
        reached = _reached(fact["aum"])
        following = tier
        if reached is not None:
            if tier is None or reached >= tier:
                missed, following = 0, reached
            else:
                missed += 1
                if missed == BANDS[tier][2]:
                    following = reached
        found.append((month, tier, missed, following))
        if following != tier:
            missed = 0
        tier = following
    return found


def _stages(rows: list[tuple[date, dict[str, Any]]]) -> list[tuple[date, str, bool]]:
    """(month, stage, whether won back in it)."""
    found: list[tuple[date, str, bool]] = []
    returned = None
    was_gone = False
    for position, (month, fact) in enumerate(rows):
        window = [row[1] for row in rows[max(0, position - 5) : position + 1]]
        recent, before = window[-3:], window[:-3]
        starts = [day for day in (fact["opened"], fact["last"]) if day is not None]
        if rows[0][1]["is_first_of_history"]:
            starts.append(rows[0][0])
        has_account = fact["opened"] is not None and fact["opened"] <= _month_end(month)
        silent = (_month_end(month) - max(starts)).days if has_account else 0
        is_gone = has_account and (
            fact["accounts"] == 0
            or (silent >= BOUNDS["dormant_days"] and fact["aum"] is not None and fact["aum"] < BOUNDS["dormant_aum"])
        )
        is_won_back = was_gone and not is_gone
        if is_won_back:
            returned = month
        was_gone = is_gone
        rises = falls = False
        if len(window) == 6:
            assets = [sum(row["aum"] for row in part) for part in (before, recent)]
            if assets[0] >= 3 * BOUNDS["dormant_aum"]:
                rises |= assets[1] > (1 + BOUNDS["trend_aum_ratio"]) * assets[0]
                falls |= assets[1] < (1 - BOUNDS["trend_aum_ratio"]) * assets[0]
            acts = [sum(row["initiated"] for row in part) for part in (before, recent)]
            if acts[0] >= BOUNDS["activity_minimum"]:
                rises |= acts[1] >= (1 + BOUNDS["growth_activity_ratio"]) * acts[0]
                falls |= acts[1] <= (1 - BOUNDS["decline_activity_ratio"]) * acts[0]
        is_young = (
            has_account
            and _months_between(max(fact["opened"], returned or date.min), month) < BOUNDS["development_tenure_months"]
        )
        if is_gone:
            stage = "termination"
        elif not has_account:
            stage = "potential"
        elif falls:
            stage = "decline"
        elif is_young and fact["products"] < BOUNDS["development_products"]:
            stage = "development"
        elif rises:
            stage = "growth"
        else:
            stage = "maturity"
        found.append((month, stage, is_won_back))
    return found


def test_every_tier_of_every_person_and_month_is_the_one_worked_out_by_hand(bank, histories):
    names = [None, *(band[3]["tier"] for band in BANDS)]
    expected = {
        (person, month, names[0 if tier is None else tier + 1], missed, names[0 if after is None else after + 1])
        for person, rows in histories.items()
        if rows
        for month, tier, missed, after in _tiers(rows)
    }
    found = bank.execute(
        "select person_id, month_start_on, tier, missed_months, next_tier from customer.customer_tier_month"
    ).fetchall()
    assert len(found) == len(expected) > 20_000
    assert set(found) == expected
    # the bank has what the engine is for: falls after three misses, by more than one tier, and recoveries
    moves = dict(bank.execute("select tier_move, count(*) from customer.customer_tier_month group by 1").fetchall())
    assert moves["up"] > 30
    assert moves["down"] > 20
    # every move has its reason, and the flows explain it to the cent
    assert bank.execute(
        "select max(abs(move_unexplained_base)) < 0.1 from customer.customer_tier_month"
    ).fetchall() == [(True,)]


def test_every_stage_of_every_person_and_month_is_the_one_worked_out_by_hand(bank, histories):
    expected = {(person, *stage) for person, rows in histories.items() if rows for stage in _stages(rows)}
    found = bank.execute(
        "select person_id, month_start_on, lifecycle_stage, is_won_back from customer.customer_lifecycle_month"
    ).fetchall()
    assert len(found) == len(expected)
    assert set(found) == expected
    assert {stage for _, _, stage, _ in found} >= {"development", "growth", "maturity", "decline", "termination"}


def test_every_person_has_one_tier_one_stage_and_one_type_of_each_kind_in_every_month(bank, histories):
    months = sum(len(rows) for rows in histories.values())
    for table, column in (
        ("customer_tier_month", "tier"),
        ("customer_lifecycle_month", "lifecycle_stage"),
        ("customer_type_month", "business_type"),
        ("customer_type_month", "value_type"),
    ):
        assert bank.execute(
            f"select count(*), count(distinct (person_id, month_start_on)), count({column}) from customer.{table}"
        ).fetchall() == [(months,) * 3]


def test_effects_and_moves_add_up_over_every_dimension(bank):
    totals = bank.execute(
        "select month_start_on, dimension, sum(person_count), sum(entered_count), sum(left_count), "
        "sum(moved_in_count) - sum(moved_out_count), sum(count_effect_base + balance_effect_base), "
        "sum(aum_average_base) from customer.customer_structure_month group by all"
    ).fetchall()
    by_month = defaultdict(set)
    for month, _, *rest in totals:
        by_month[month].add(tuple(rest))
        assert rest[3] == 0
    assert len(by_month) == MONTHS - 1
    assert all(len(found) == 1 for found in by_month.values())
    assets = dict(
        bank.execute(
            "select month_start_on, sum(aum_average_base) from core.fct_customer_month "
            "where account_count > 0 group by 1"
        ).fetchall()
    )
    assert {month: next(iter(found))[5] for month, found in by_month.items()} == {
        month: assets[month] for month in by_month
    }
    assert bank.execute(
        "select count(*) from (select sum(person_ratio) as whole from customer.customer_migration_month "
        "group by month_start_on, dimension, from_member) where abs(whole - 1) > 1e-9"
    ).fetchall() == [(0,)]


def test_window_dressing_is_found_where_it_was_planted(bank, folder):
    """Whoever brought 10,000 or more for a quarter's end, a tenth of the assets, and took it away within ten days."""
    planted = bank.execute(
        "select count(*), count(*) filter (where months.is_window_dressed) "
        f"from '{folder / 'truth'}/window_dressing/*.parquet' as truth "
        "inner join raw.person_records as persons on persons.source_customer_id = truth.source_customer_id "
        "and persons.source_system = 'core' and persons.known_to = date '9999-12-31' "
        "inner join customer.customer_asset_month as months on months.person_id = persons.person_id "
        "and months.month_start_on = date_trunc('month', truth.month) "
        "where months.excess_base >= 10000 and months.excess_gone_base is not null"
    ).fetchall()[0]
    assert planted[0] > 10
    assert planted[1] >= 0.9 * planted[0]
