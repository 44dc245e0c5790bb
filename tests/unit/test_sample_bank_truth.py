"""What was planted is there, is stated exactly, and does not leak."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mining.churn import label_months
from warehouse.errors import UserError
from warehouse.sample_bank.affinities import cell_weights, joint_shares, lift, wanted_shares
from warehouse.sample_bank.dates import Month, day_number, month_number
from warehouse.sample_bank.futures import (
    ChurnDefinition,
    average_aum_until,
    churn_chances,
    churn_labels,
    simulate_futures,
    what_happened,
)
from warehouse.sample_bank.generate import generate
from warehouse.sample_bank.leaving import DRIVERS, hazard_of
from warehouse.sample_bank.parameters import (
    AFFINITIES,
    CURRENT,
    DEFAULT_PARAMETERS,
    INSURANCE,
    PRODUCT_CODES,
    PRODUCT_COUNT,
    SHOWN_AS_NULL,
    TERM_3Y,
)
from warehouse.sample_bank.population import HELD_AT_START, draw_population, life_numbers
from warehouse.sample_bank.simulation import BankAt, BankSettings, state_at
from warehouse.sample_bank.state import CLOSED

SETTINGS = BankSettings(customers=6_000, months=14)
AS_OF = date(2024, 9, 30)
Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truth")
    generate(folder / "bank", customers=SETTINGS.customers, months=SETTINGS.months, truth_dir=folder / "truth")
    return folder


@pytest.fixture(scope="module")
def tables(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for table in ("accounts", "customers", "balances", "transactions", "complaints", "market_rates"):
            connection.execute(f"create view {table} as select * from '{folder}/bank/{table}/*.parquet'")
        for table in ("groups", "wants", "affinities", "hazards", "departures", "confounders"):
            connection.execute(f"create view truth_{table} as select * from '{folder}/truth/{table}/*.parquet'")
        yield connection


@pytest.fixture(scope="module")
def bank_at() -> BankAt:
    return state_at(AS_OF, SETTINGS)


class TestAffinities:
    def test_the_wants_of_many_people_have_the_stated_lifts(self) -> None:
        start = month_number(SETTINGS.start)
        numbers = life_numbers(0, 120_000, start, start + 1, seed=11, parameters=DEFAULT_PARAMETERS)
        people = draw_population(numbers, start, 11, DEFAULT_PARAMETERS)
        weights = cell_weights()
        for first in range(1, PRODUCT_COUNT):
            for second in range(first + 1, PRODUCT_COUNT):
                expected = float((weights * joint_shares(first, second)).sum())
                found = float((people.wants[first] & people.wants[second]).mean())
                error = np.sqrt(expected * (1 - expected) / len(numbers))
                assert abs(found - expected) < 5 * error, (PRODUCT_CODES[first], PRODUCT_CODES[second])

    def test_cells_are_the_whole_population_and_shares_are_kept_by_links(self) -> None:
        assert cell_weights().sum() == pytest.approx(1)
        for link in AFFINITIES:
            joint = joint_shares(link.antecedent, link.consequent)
            shares = wanted_shares()
            assert np.allclose(joint, link.lift * shares[..., link.antecedent] * shares[..., link.consequent])
        for product in range(1, PRODUCT_COUNT):
            assert np.allclose(joint_shares(product, product), wanted_shares()[..., product])

    def test_null_pairs_show_a_lift_that_is_all_confounding(self) -> None:
        for first, second in SHOWN_AS_NULL:
            assert lift(first, second) > 1.15
            assert lift(first, second, "cell") == pytest.approx(1)

    def test_simpsons_pair_turns_inside_every_age_band(self) -> None:
        assert lift(TERM_3Y, INSURANCE) > 1.3
        assert lift(TERM_3Y, INSURANCE, "age_band") == pytest.approx(0.6)
        assert lift(TERM_3Y, INSURANCE, "group") < 0.8

    def test_lift_is_the_same_in_both_orders(self, tables: duckdb.DuckDBPyConnection) -> None:
        pairs = tables.execute("select antecedent, consequent, population_lift from truth_affinities").fetchall()
        lifts = {(first, second): value for first, second, value in pairs}
        assert len(lifts) == 15 * 14
        assert all(lifts[second, first] == pytest.approx(value) for (first, second), value in lifts.items())

    def test_ordered_consequents_are_opened_after_their_antecedents(self) -> None:
        start = month_number(SETTINGS.start)
        numbers = np.arange(40_000)
        people = draw_population(numbers, start, 1, DEFAULT_PARAMETERS)
        for link in AFFINITIES:
            both = people.wants[link.antecedent] & people.wants[link.consequent]
            before, after = people.opening_month[link.antecedent][both], people.opening_month[link.consequent][both]
            in_window = (before > HELD_AT_START) & (after > HELD_AT_START)
            assert in_window.sum() > 20
            in_order = (before < after)[in_window].mean()
            if link.is_ordered:
                assert in_order == 1
            else:
                assert 0.2 < in_order < 0.8

    def test_holding_a_product_at_the_start_depends_on_nothing_but_wanting_it(self) -> None:
        start = month_number(SETTINGS.start)
        people = draw_population(np.arange(40_000), start, 1, DEFAULT_PARAMETERS)
        old = people.joined_month == 0
        for product in range(1, PRODUCT_COUNT):
            if any(link.is_ordered and link.consequent == product for link in AFFINITIES):
                continue
            held = people.opening_month[product][people.wants[product] & old] == HELD_AT_START
            error = np.sqrt(0.86 * 0.14 / len(held))
            assert abs(held.mean() - DEFAULT_PARAMETERS.held_at_start) < 4 * error


class TestDepartures:
    def test_as_many_leave_as_the_hazards_say(self, tables: duckdb.DuckDBPyConnection) -> None:
        expected, spread, left = tables.execute(
            """
            select sum(hazard), sqrt(sum(hazard * (1 - hazard))), (
                select count(*) from truth_departures where kind in ('closure', 'drain', 'dormancy')
            ) from truth_hazards
            """
        ).fetchone() or (0, 0, 0)
        assert abs(left - expected) < 4 * spread

    def test_hazards_are_the_stated_function_of_the_stated_drivers(self, tables: duckdb.DuckDBPyConnection) -> None:
        frame = tables.execute("select * from truth_hazards").df()
        drivers = {name: frame[name].to_numpy(float) for name in DRIVERS}
        assert np.allclose(hazard_of(drivers, DEFAULT_PARAMETERS), frame["hazard"])
        for name in DRIVERS:
            assert frame[name].std() > 0, name

    def test_a_year_costs_the_bank_between_8_and_15_per_cent_of_its_customers(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        rate = tables.execute("select 1 - pow(1 - avg(hazard), 12) from truth_hazards").fetchone()
        assert rate is not None
        assert 0.08 < rate[0] < 0.15

    def test_every_way_to_leave_is_taken_and_shows_in_the_tables(self, tables: duckdb.DuckDBPyConnection) -> None:
        kinds = dict(tables.execute("select kind, count(*) from truth_departures group by 1").fetchall())
        assert min(kinds[kind] for kind in ("closure", "drain", "dormancy")) > 50
        assert kinds["death"] > 5
        closed = tables.execute(
            """
            with closing as (
                select source_customer_id, bool_and(closed_on is not null) as is_closed
                from (
                    select * from accounts
                    qualify row_number() over (partition by account_id order by updated_at desc, closed_on is null) = 1
                ) group by 1
            )
            select avg(is_closed::int) from truth_departures inner join closing using (source_customer_id)
            where kind = 'closure' and ends_in < date '2025-03-01'
                and source_customer_id not in (select source_customer_id from truth_departures where kind = 'death')
            """
        ).fetchone()
        assert closed == (1.0,)
        acts = tables.execute(
            """
            select count(*) from transactions inner join truth_departures
                on source_customer_id = (substr(account_id, 3, 9)::bigint + 100000000)::varchar
            where truth_departures.kind = 'dormancy' and initiated_by = 'customer' and value_on >= decided_in
            """
        ).fetchone()
        assert acts == (0,)

    def test_the_dead_do_nothing_and_the_bank_learns_of_it_later(self, tables: duckdb.DuckDBPyConnection) -> None:
        rows = tables.execute(
            """
            select
                (select count(*) from transactions
                    where initiated_by = 'customer' and value_on >= decided_in
                    and source_customer_id = (substr(account_id, 3, 9)::bigint + 100000000)::varchar),
                (select min(updated_at) from customers
                    where is_deceased and customers.source_customer_id = truth_departures.source_customer_id),
                decided_in
            from truth_departures where kind = 'death'
            """
        ).fetchall()
        assert all(acts == 0 for acts, _, _ in rows)
        assert all(noted is None or noted.date() >= decided for _, noted, decided in rows)
        assert any(noted is not None for _, noted, _ in rows)

    def test_what_only_looks_like_leaving_is_recorded(self, tables: duckdb.DuckDBPyConnection) -> None:
        kinds = {row[0] for row in tables.execute("select distinct kind from truth_confounders").fetchall()}
        assert kinds == {
            "large_purchase", "window_dressing", "rebooked_at_once", "rebooked_parked", "rebooked_elsewhere",
        }  # fmt: skip


def known_columns(tables: duckdb.DuckDBPyConnection, as_of: date) -> dict[str, Floats]:
    """Single columns a bank could know at the as-of date, per customer, from the published tables alone."""
    frame = tables.execute(
        f"""
        with known_accounts as (
            select * exclude (amount) from accounts where updated_at + to_hours(8) < date '{as_of}' + 1
            qualify row_number() over (partition by account_id order by updated_at desc, closed_on is null) = 1
        ),
        booked as (select * from transactions where value_on <= date '{as_of}'),
        holdings as (
            select
                source_customer_id,
                count(*) filter (where closed_on is null) as open_accounts,
                count(distinct product_code) filter (where closed_on is null) as products,
                count(*) filter (where closed_on > date '{as_of}' - 92) as closed_lately,
                count(*) filter (where opened_on > date '{as_of}' - 183) as opened_lately,
                max(is_payroll::int) as is_payroll,
                avg(rate) filter (where closed_on is null) as average_rate,
                date '{as_of}' - min(opened_on) as age_of_oldest_account
            from known_accounts group by 1
        ),
        amounts as (
            select
                source_customer_id,
                sum(amount) filter (
                    where product_code not in ('CREDIT-CARD', 'MORTGAGE', 'CONSUMER-LOAN', 'BUSINESS-LOAN')
                ) as flow,
                sum(amount) filter (where value_on > date '{as_of}' - 31 and amount < 0
                    and counterparty_kind = 'bank') as to_banks,
                sum(amount) filter (where value_on > date '{as_of}' - 92 and amount < 0
                    and counterparty_kind in ('wallet', 'money_fund')) as to_wallets,
                sum(amount) filter (where value_on > date '{as_of}' - 92 and amount > 0
                    and initiated_by = 'third_party') as received,
                sum(amount) filter (where value_on > date '{as_of}' - 62 and kind in ('salary', 'pension')) as salary,
                count(*) filter (where value_on > date '{as_of}' - 31 and initiated_by = 'customer') as acts_month,
                count(*) filter (where value_on > date '{as_of}' - 92 and initiated_by = 'customer') as acts_quarter,
                date '{as_of}' - max(value_on) filter (where initiated_by = 'customer') as days_since_act
            from booked inner join known_accounts using (account_id) group by 1
        ),
        opening as (
            select source_customer_id, sum(balance) as balance
            from balances inner join known_accounts using (account_id)
            where product_code not in ('CREDIT-CARD', 'MORTGAGE', 'CONSUMER-LOAN', 'BUSINESS-LOAN') group by 1
        ),
        voices as (
            select source_customer_id, count(*) as complaints,
                count(*) filter (where closed_at is null or closed_at > date '{as_of}' + 1) as unanswered
            from complaints where opened_at <= date '{as_of}' and kind = 'complaint' group by 1
        ),
        people as (
            select source_customer_id, date '{as_of}' - any_value(born_on) as age,
                date '{as_of}' - any_value(registered_on) as tenure, any_value(risk_profile) as risk_profile,
                any_value(annual_income) as annual_income
            from customers group by 1
        )
        select people.*, holdings.* exclude (source_customer_id), amounts.* exclude (source_customer_id),
            voices.* exclude (source_customer_id), coalesce(opening.balance, 0) + coalesce(amounts.flow, 0) as aum
        from truth_hazards
        inner join people using (source_customer_id)
        left join holdings using (source_customer_id)
        left join amounts using (source_customer_id)
        left join opening using (source_customer_id)
        left join voices using (source_customer_id)
        where month = date '{as_of}' + 1
        order by source_customer_id
        """
    ).df()
    return {name: frame[name].to_numpy() for name in frame.columns}


class TestNoLeak:
    def test_no_single_column_known_at_the_as_of_date_predicts_departure(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        columns = known_columns(tables, AS_OF)
        leavers = {
            row[0]
            for row in tables.execute(
                """select source_customer_id from truth_departures
                where kind in ('closure', 'drain', 'dormancy')
                and decided_in between date '2024-10-01' and date '2025-02-01'"""
            ).fetchall()
        }
        customers = columns.pop("source_customer_id")
        leaves = np.array([customer in leavers for customer in customers])
        assert leaves.sum() > 100
        for name, values in columns.items():
            known = np.nan_to_num(np.asarray(values, dtype=float), nan=-1.0)
            area = roc_auc_score(leaves, known)
            assert max(area, 1 - area) <= 0.75, name

    def test_the_tables_say_nothing_of_group_loyalty_or_hazard(self, folder: Path) -> None:
        words = ("group", "loyal", "hazard", "truth", "wealth_score", "activity", "departure")
        for path in (folder / "bank").rglob("*.parquet"):
            names = duckdb.sql(f"describe select * from '{path}'").fetchall()
            assert not [row[0] for row in names if any(word in row[0] for word in words)]

    def test_parameters_are_all_written_down(self, folder: Path) -> None:
        written = json.loads((folder / "truth" / "parameters.json").read_text())
        assert written["parameters"]["hazard"]["salary_moved"] == DEFAULT_PARAMETERS.hazard.salary_moved
        assert len(written["groups"]) == 8
        assert {link["consequent"] for link in written["affinities"]} == {
            PRODUCT_CODES[link.consequent] for link in AFFINITIES
        }


class TestFutures:
    def test_the_state_is_that_of_the_generated_bank(self, tables: duckdb.DuckDBPyConnection, bank_at: BankAt) -> None:
        rows = tables.execute(
            f"""
            select (substr(account_id, 3, 9)::bigint) as number, (substr(account_id, 1, 2)::int - 10) as product,
                sum(amount)::decimal(18, 2) as balance
            from (
                select account_id, amount, value_on from transactions
                union all select account_id, balance, balance_on from balances
            ) where value_on <= date '{AS_OF}' group by all having sum(amount) <> 0
            """
        ).fetchall()
        state = bank_at.blocks[0]
        position = {number: row for row, number in enumerate(state.people.number.tolist())}
        booked = np.zeros_like(state.balance)
        for number, product, balance in rows:
            booked[product, position[number]] = round(balance * 100)
        assert np.array_equal(booked, state.balance)

    def test_futures_leave_the_state_alone_and_differ(self, bank_at: BankAt) -> None:
        before = bank_at.blocks[0].balance.copy()
        one, two = simulate_futures(bank_at, futures=2, months=2)
        assert np.array_equal(bank_at.blocks[0].balance, before)
        assert one.average_aum.shape == (2, SETTINGS.customers)
        assert (one.average_aum != two.average_aum).mean() > 0.5
        again = next(iter(simulate_futures(bank_at, futures=1, months=2)))
        assert np.array_equal(one.average_aum, again.average_aum)

    def test_what_happened_is_one_of_the_things_that_could(self, bank_at: BankAt) -> None:
        chances = churn_chances(bank_at, futures=40)
        happened = churn_labels(what_happened(bank_at), average_aum_until(bank_at), ChurnDefinition())
        chosen = chances.is_eligible & ~np.isnan(happened)
        expected, found = chances.in_outcome[chosen], happened[chosen]
        spread = np.sqrt((expected * (1 - expected)).sum())
        assert abs(found.sum() - expected.sum()) < 4 * spread
        assert 0.02 < found.mean() < 0.10
        # The best that can be known is worth knowing, and is no certainty.
        assert 0.65 < roc_auc_score(found, expected) < 0.92

    def test_a_future_is_judged_as_the_miner_judges_what_happened(self, bank_at: BankAt) -> None:
        future, chances = what_happened(bank_at), churn_chances(bank_at, futures=1)
        past = average_aum_until(bank_at)
        aum = np.vstack([past, future.average_aum])
        never, count = np.zeros_like(past, np.bool_), len(chances.baseline)
        month_ends = pd.period_range("2024-03", periods=len(aum), freq="M").to_timestamp(how="end").normalize()
        mode = np.concatenate([block.mode for block in bank_at.blocks])
        closed = np.vstack([never, future.is_closed])
        closed[len(past) - 1] = mode == CLOSED
        panel = pd.DataFrame(
            {
                "person_id": np.tile(np.arange(count), len(aum)),
                "month_on": np.repeat(month_ends, count),
                "aum_average": aum.ravel(),
                "accounts_open": (~closed).astype(int).ravel(),
                "is_deceased": np.vstack([never, future.is_deceased]).ravel(),
                "is_rebooked": np.vstack([never[1:], future.is_rebooked]).ravel(),
            }
        )
        joined = np.isfinite(aum).ravel()
        labels = label_months(panel[joined])
        own = labels[labels["month_on"] == AS_OF.isoformat()]
        expected = np.full(count, np.nan)
        expected[own["person_id"].astype(int)] = own["label"].to_numpy(np.float64, na_value=np.nan)
        found = np.where(
            chances.is_eligible, churn_labels(future, average_aum_until(bank_at), ChurnDefinition()), np.nan
        )
        assert np.array_equal(found, expected, equal_nan=True)
        assert np.isin([0, 1], expected).all()

    def test_more_of_a_driver_means_more_departures(self, bank_at: BankAt) -> None:
        angry = replace(DEFAULT_PARAMETERS.hazard, intercept=DEFAULT_PARAMETERS.hazard.intercept + 2)
        worse = replace(
            bank_at, settings=replace(bank_at.settings, parameters=replace(DEFAULT_PARAMETERS, hazard=angry))
        )
        usual = next(iter(simulate_futures(bank_at, futures=1, months=3)))
        wild = next(iter(simulate_futures(worse, futures=1, months=3)))
        assert wild.is_closed[-1].sum() > 1.5 * usual.is_closed[-1].sum()

    @pytest.mark.parametrize("day", [date(2024, 9, 29), date(2025, 3, 31), date(2023, 11, 30)])
    def test_there_is_a_state_only_at_the_end_of_a_month_of_the_bank(self, day: date) -> None:
        with pytest.raises(UserError) as error:
            state_at(day, SETTINGS)
        assert error.value.where == "as_of"

    def test_nothing_to_simulate_is_refused(self, bank_at: BankAt) -> None:
        with pytest.raises(UserError):
            next(iter(simulate_futures(bank_at, futures=0)))


def test_days_and_months_are_counted_from_the_same_epoch() -> None:
    assert Month(month_number(date(2024, 2, 29))).last_day == day_number(date(2024, 2, 29))
    assert CURRENT == 0
