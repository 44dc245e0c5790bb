"""The sample bank looks like a bank: concentration, products, seasons, groups that overlap."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date

import duckdb
import numpy as np
import pytest

from warehouse.sample_bank.dates import Month, month_number
from warehouse.sample_bank.generate import generate

CUSTOMERS = 4_000
LOANS = "('CREDIT-CARD', 'MORTGAGE', 'CONSUMER-LOAN', 'BUSINESS-LOAN')"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("shape")
    generate(folder / "bank", customers=CUSTOMERS, months=15, truth_dir=folder / "truth")
    with duckdb.connect() as connection:
        for table in ("accounts", "customers", "balances", "transactions", "complaints"):
            connection.execute(f"create view {table} as select * from '{folder}/bank/{table}/*.parquet'")
        connection.execute(f"create view groups as select * from '{folder}/truth/groups/*.parquet'")
        connection.execute(
            f"""
            create table latest as select * from accounts
            qualify row_number() over (partition by account_id order by updated_at desc, closed_on is null) = 1;
            create table aum as
            with flows as (select account_id, sum(amount) as amount from transactions group by account_id)
            select source_customer_id, bool_or(closed_on is null) as is_open,
                coalesce(sum(coalesce(balance, 0) + coalesce(flows.amount, 0))
                    filter (product_code not in {LOANS}), 0)::double as aum
            from latest left join balances using (account_id) left join flows using (account_id)
            group by source_customer_id;
            """
        )
        yield connection


def numbers(tables: duckdb.DuckDBPyConnection, query: str) -> np.ndarray:
    return np.array([row[0] for row in tables.execute(query).fetchall()], dtype=float)


def by(tables: duckdb.DuckDBPyConnection, query: str) -> dict[str, float]:
    return {row[0]: float(row[1]) for row in tables.execute(query).fetchall()}


def test_a_fifth_of_the_customers_holds_70_to_85_per_cent_of_aum(tables: duckdb.DuckDBPyConnection) -> None:
    aum = np.sort(numbers(tables, "select aum from aum where is_open"))[::-1]
    assert 0.70 <= aum[: len(aum) // 5].sum() / aum.sum() <= 0.85


def test_the_tail_of_aum_is_heavy(tables: duckdb.DuckDBPyConnection) -> None:
    aum = np.sort(numbers(tables, "select aum from aum where is_open and aum > 0"))[::-1]
    tail = aum[: len(aum) // 20]
    # Hill's estimate of the tail index: between 1 and 2.5 is what wealth has; a normal tail has far more.
    assert 1.0 < 1 / np.log(tail[:-1] / tail[-1]).mean() < 2.5


def test_tiers_form_a_pyramid(tables: duckdb.DuckDBPyConnection) -> None:
    aum = numbers(tables, "select aum from aum where is_open")
    counts = np.histogram(aum, [0, 200_000, 500_000, 1_000_000, 10_000_000])[0]
    assert (np.diff(counts) < 0).all()
    assert 0.8 < counts[0] / counts.sum() < 0.92


def test_most_customers_hold_one_to_three_products(tables: duckdb.DuckDBPyConnection) -> None:
    held = numbers(
        tables, "select count(distinct product_code) from latest where closed_on is null group by source_customer_id"
    )
    assert 0.7 < (held <= 3).mean() < 0.95
    assert (held == 1).mean() < 0.45


def test_customers_make_some_four_to_eight_postings_a_month(tables: duckdb.DuckDBPyConnection) -> None:
    assert 4 < numbers(tables, "select count(*) from transactions")[0] / (CUSTOMERS * 15) < 8


def test_salaries_come_on_working_days_and_the_thirteenth_before_spring_festival(
    tables: duckdb.DuckDBPyConnection,
) -> None:
    weekdays = by(
        tables, "select dayofweek(value_on)::varchar, count(*) from transactions where kind = 'salary' group by 1"
    )
    assert set(weekdays) <= {"1", "2", "3", "4", "5"}
    months = by(
        tables, "select strftime(value_on, '%Y-%m'), avg(amount) from transactions where kind = 'salary' group by 1"
    )
    # New Year is on 10 February 2024 and on 29 January 2025.
    usual = np.median(list(months.values()))
    assert months["2024-01"] > 1.4 * usual
    assert months["2024-12"] > 1.4 * usual
    assert all(value < 1.2 * usual for name, value in months.items() if name not in ("2024-01", "2024-12"))


def test_migrant_workers_carry_savings_home_at_spring_festival(tables: duckdb.DuckDBPyConnection) -> None:
    sent = by(
        tables,
        """
        select strftime(value_on, '%Y-%m'), -sum(amount)
        from transactions inner join groups
            on source_customer_id = (substr(account_id, 3, 9)::bigint + 100000000)::varchar
        where "group" = 'migrant_workers' and counterparty_kind = 'household' and amount < 0
        group by 1
        """,
    )
    usual = np.median(list(sent.values()))
    assert sent["2024-02"] > 2 * usual
    assert sent["2025-01"] > 2 * usual


def test_money_is_brought_for_the_end_of_a_quarter_and_goes_again(tables: duckdb.DuckDBPyConnection) -> None:
    moved = by(
        tables,
        """
        select case when amount > 0 and day(value_on) >= 28 then 'comes' else 'goes' end || month(value_on),
            sum(abs(amount))
        from transactions
        where kind = 'transfer' and counterparty_kind = 'bank' and year(value_on) = 2024 and abs(amount) > 50000
            and ((amount > 0 and day(value_on) >= 28) or (amount < 0 and day(value_on) <= 7))
        group by 1
        """,
    )
    quarter_ends = sum(moved.get(f"comes{month}", 0) for month in (3, 6, 9, 12)) / 4
    other_ends = sum(moved.get(f"comes{month}", 0) for month in (1, 2, 4, 5, 7, 8, 10, 11)) / 8
    assert quarter_ends > 1.5 * other_ends
    assert (
        sum(moved.get(f"goes{month}", 0) for month in (4, 7, 10)) / 3
        > 1.5 * sum(moved.get(f"goes{month}", 0) for month in (2, 3, 5, 6, 8, 9, 11, 12)) / 8
    )


def test_more_money_goes_to_wallets_and_money_funds_from_year_to_year(tables: duckdb.DuckDBPyConnection) -> None:
    shares = by(
        tables,
        """
        select year(value_on)::varchar,
            sum(amount) filter (where counterparty_kind in ('wallet', 'money_fund')) / sum(amount)
        from transactions
        where initiated_by = 'customer' and amount < 0 and counterparty_kind is distinct from 'own'
            and kind in ('purchase', 'payment', 'transfer', 'withdrawal') and month(value_on) in (2, 3)
        group by 1
        """,
    )
    assert shares["2025"] > 1.03 * shares["2024"]


def test_cities_and_joining_are_spread(tables: duckdb.DuckDBPyConnection) -> None:
    cities = by(tables, "select city, count(distinct source_customer_id) from customers group by 1")
    assert len(cities) == 6
    newcomers = numbers(tables, "select count(*) from customers where registered_on >= date '2024-01-01'")[0]
    assert 0.04 < newcomers / CUSTOMERS < 0.13


def test_groups_differ_and_overlap(tables: duckdb.DuckDBPyConnection) -> None:
    rows = tables.execute(
        """select "group", quantile_cont(ln(1 + aum), [0.25, 0.5, 0.9])
        from aum inner join groups using (source_customer_id) where is_open and not is_asleep_at_start group by 1"""
    ).fetchall()
    quantiles = dict(rows)
    assert len(quantiles) == 8
    order = sorted(quantiles, key=lambda name: quantiles[name][1])
    assert order[0] == "students"
    assert order[-1] == "wealth_clients"
    # Neighbours overlap: the upper tenth of one reaches well into the next.
    for lower, upper in itertools.pairwise(order):
        assert quantiles[lower][2] > quantiles[upper][0]


def test_about_a_hundred_complaints_and_enquiries_a_year_per_thousand(tables: duckdb.DuckDBPyConnection) -> None:
    made = numbers(
        tables, "select count(distinct complaint_id) from complaints where opened_at < timestamp '2024-12-31 16:00:00'"
    )[0]
    assert 70 < made / CUSTOMERS * 1000 < 130


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2024, 6, 15), date(2024, 6, 14)),  # a Saturday
        (date(2024, 5, 15), date(2024, 5, 15)),
        (date(2024, 2, 10), date(2024, 2, 8)),  # New Year's Day
        (date(2024, 2, 15), date(2024, 2, 8)),  # in the holiday week
        (date(2025, 2, 1), date(2025, 2, 5)),  # in the holiday week, with nothing before it in the month
    ],
)
def test_a_payday_that_is_no_working_day_is_the_one_before_in_its_month(day: date, expected: date) -> None:
    assert Month(month_number(day)).working_day(day.day - 1) == expected.day - 1
