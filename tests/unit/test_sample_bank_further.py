"""The sample bank's tables that look on: they tie to the accounts to the cent, and change no life."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest

from warehouse.sample_bank import simulation
from warehouse.sample_bank.customers import has_right_check_digit
from warehouse.sample_bank.employees import staff_of
from warehouse.sample_bank.further_parameters import CAMPAIGN_TEMPLATES, CONTACT_TRIGGERS
from warehouse.sample_bank.generate import GeneratedBank, generate
from warehouse.sample_bank.parameters import DEFAULT_PARAMETERS

START = date(2024, 11, 1)
#: The tables of lives, which are what they are whatever looks on.
LIVES = ("account_holders", "accounts", "balances", "branches", "complaints", "customers", "market_rates", "products",
         "transactions")  # fmt: skip
FURTHER = ("employees", "relationship_assignments", "product_nav", "fx_rates", "ftp_curve", "cost_rates", "gl_balances",
           "payment_schedule", "loan_status", "contacts", "survey_responses", "campaigns", "campaign_contacts",
           "customers_elsewhere")  # fmt: skip
TRUTH = (
    "hazards",
    "identities",
    "contact_effects",
    "campaign_effects",
    "window_dressing",
    "values",
    "departures",
    "wants",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("further")


@pytest.fixture(scope="module")
def bank(folder: Path) -> GeneratedBank:
    return generate(folder / "bank", customers=1_500, months=14, start=START, truth_dir=folder / "truth")


@pytest.fixture(scope="module")
def tables(bank: GeneratedBank, folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for table in (*LIVES, *FURTHER):
            connection.execute(f"create view {table} as select * from read_parquet('{bank.folder}/{table}/*.parquet')")
        for table in TRUTH:
            connection.execute(f"create view true_{table} as select * from read_parquet('{folder}/truth/{table}/*')")
        connection.execute(
            """create table latest as select * from accounts
            qualify row_number() over (partition by account_id order by updated_at desc, closed_on is null) = 1"""
        )
        connection.execute(
            # What every account holds at every month end: the eve's balance and all that was posted since.
            """create table held as
            with moved as (
                select account_id, date_trunc('month', value_on)::date as month, sum(amount) as amount
                from transactions group by all
                union all select account_id, date '2024-10-01', balance from balances
            ),
            months as (select distinct month from moved where month >= date '2024-11-01')
            select moved.account_id, months.month, branch_id, product_code, sum(moved.amount) as balance
            from months inner join moved on moved.month <= months.month
            inner join latest using (account_id)
            group by all"""
        )
        yield connection


def rows(tables: duckdb.DuckDBPyConnection, query: str) -> list[tuple[object, ...]]:
    return tables.execute(query).fetchall()


def one(tables: duckdb.DuckDBPyConnection, query: str) -> object:
    return rows(tables, query)[0][0]


def all_rows(folder: Path, table: str) -> list[tuple[object, ...]]:
    return duckdb.sql(f"select t::varchar from read_parquet('{folder}/{table}/*.parquet') as t order by 1").fetchall()


class TestLivesAreLeftAlone:
    def test_the_tables_of_lives_are_what_they_were_before_anybody_looked_on(self, tmp_path: Path) -> None:
        # Who looks after whom is the one of these tables that drives departures.
        hazard = replace(DEFAULT_PARAMETERS.hazard, manager_change=0.0)
        generate(tmp_path / "bank", customers=120, months=3, parameters=replace(DEFAULT_PARAMETERS, hazard=hazard))
        digest = hashlib.sha256()
        for table in LIVES:
            digest.update("\n".join(str(row[0]) for row in all_rows(tmp_path / "bank", table)).encode())
        assert digest.hexdigest().startswith("b4b5b7d8d0f4")


class TestLedger:
    def test_its_balances_are_those_of_the_accounts_to_the_cent(self, tables: duckdb.DuckDBPyConnection) -> None:
        wrong = rows(
            tables,
            """
            with accounts_sum as (select branch_id, product_code, month, sum(balance) as held from held group by all)
            select * from gl_balances full join accounts_sum using (branch_id, product_code, month)
            where coalesce(balance, 0) <> coalesce(held, 0)
            """,
        )
        assert wrong == []
        assert one(tables, "select count(*) from gl_balances where balance <> 0") > 3_000

    def test_its_income_and_cost_are_what_is_booked_on_the_accounts(self, tables: duckdb.DuckDBPyConnection) -> None:
        wrong = rows(
            tables,
            """
            with booked as (
                select
                    branch_id_of as branch_id, product_code, date_trunc('month', value_on)::date as month,
                    sum(amount) filter (amount > 0 and side = 'liability') as paid,
                    -sum(amount) filter (amount < 0 and side <> 'aum') as earned
                from transactions
                inner join (select account_id, branch_id as branch_id_of, product_code from latest) using (account_id)
                inner join products using (product_code)
                where kind in ('interest', 'fee') group by all
            )
            select gl_balances.* from gl_balances
            inner join products using (product_code)
            full join booked using (branch_id, product_code, month)
            where coalesce(cost, 0) <> coalesce(paid, 0)
            or (coalesce(side, '') <> 'aum' and coalesce(income, 0) <> coalesce(earned, 0))
            """,
        )
        assert wrong == []

    def test_commissions_are_those_of_every_account_rounded(self, tables: duckdb.DuckDBPyConnection) -> None:
        for code, rate in DEFAULT_PARAMETERS.further.commissions:
            cents = tables.execute(
                "select branch_id, month, (balance * 100)::bigint as cents from held where product_code = ?", [code]
            ).fetchnumpy()
            found = {
                (branch, str(month)): int(income)
                for branch, month, income in tables.execute(
                    "select branch_id, month, (income * 100)::bigint from gl_balances where product_code = ?", [code]
                ).fetchall()
            }
            expected: dict[tuple[str, str], int] = dict.fromkeys(found, 0)
            earned = np.rint(cents["cents"] * (rate / 12)).astype(int)
            for branch, month, amount in zip(cents["branch_id"], cents["month"], earned, strict=True):
                key = (str(branch), str(month)[:10])
                expected[key] = expected.get(key, 0) + int(amount)
            assert {key: value for key, value in expected.items() if value} == {k: v for k, v in found.items() if v}


class TestPrices:
    def test_a_change_of_value_is_the_holding_times_the_move_of_the_price(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        checked, wrong = rows(
            tables,
            """
            with ends as (
                select product_code, date_trunc('month', nav_on)::date as month, arg_max(nav, nav_on)::double as nav
                from product_nav group by all
            ),
            moves as (
                select *, nav / lag(nav) over (partition by product_code order by month) - 1 as move from ends
            )
            select
                count(*),
                count(*) filter (
                    abs(t.amount - round((balance_after - t.amount)::double * move, 2)) > 0.010001
                )
            from transactions as t inner join latest using (account_id)
            inner join moves using (product_code) where kind = 'revaluation'
            and moves.month = date_trunc('month', value_on)
            """,
        )[0]
        assert checked > 1_000
        assert wrong == 0

    def test_units_times_price_is_what_the_accounts_hold(self, tables: duckdb.DuckDBPyConnection) -> None:
        """Deals are struck at the last valuation's price; each month end rounds to the cent, up to half a cent off."""
        checked, largest = rows(
            tables,
            """
            with ends as (
                select product_code, date_trunc('month', nav_on)::date as month, arg_max(nav, nav_on)::double as nav
                from product_nav group by all
            ),
            deals as (
                select
                    account_id, product_code, date_trunc('month', value_on)::date as month,
                    transactions.amount::double as amount
                from transactions inner join latest using (account_id) where kind in ('wealth_buy', 'wealth_redeem')
                union all select account_id, product_code, date '2024-11-01', balance::double
                from balances inner join latest using (account_id)
            ),
            units as (
                select account_id, product_code, deals.month, sum(amount / nav) as units from deals
                inner join ends using (product_code)
                where product_code in ('FUND-MIXED', 'FUND-BOND', 'GOLD')
                and ends.month = deals.month - interval 1 month
                group by all
            ),
            valued as (
                select held.account_id, held.month, any_value(balance)::double as balance, sum(units) as units
                from held inner join units on units.account_id = held.account_id and units.month <= held.month
                inner join latest on latest.account_id = held.account_id
                and (closed_on is null or closed_on > last_day(held.month)) group by all
            )
            select count(*), max(abs(balance - units * nav)) from valued
            inner join latest using (account_id) inner join ends using (product_code, month)
            """,
        )[0]
        assert checked > 1_000
        # Fourteen roundings of half a cent each, grown by what the fund earned since.
        assert largest < 14 * 0.005 * 1.5

    def test_they_stand_on_working_days_and_month_ends(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert one(tables, "select max(isodow(rate_on)) from fx_rates") == 5
        assert one(tables, "select bool_and(isodow(nav_on) < 6 or nav_on = last_day(nav_on)) from product_nav")
        assert one(tables, "select count(*) from product_nav where nav_on between '2025-01-29' and '2025-01-30'") == 0
        assert one(tables, "select min(nav) > 0 from product_nav")

    def test_money_costs_more_than_deposits_pay_and_less_than_loans_earn(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        margin = rows(
            tables,
            """
            select product_code, avg(latest.rate - ftp_curve.rate)::double from latest
            inner join products using (product_code)
            inner join ftp_curve on rate_on = date_trunc('month', opened_on) and tenor_days = case product_code
                when 'TERM-3M' then 91 when 'TERM-1Y' then 365 when 'TERM-3Y' then 1095 when 'CONSUMER-LOAN' then 730
                when 'BUSINESS-LOAN' then 365 end
            where opened_on >= '2023-01-01' group by 1
            """,
        )
        assert len(margin) == 5
        for product, points in margin:
            assert (points < 0) == str(product).startswith("TERM"), (product, points)
            assert 0.002 < abs(points) < 0.04, (product, points)


class TestLoans:
    def test_what_is_paid_on_the_schedule_is_what_is_repaid(self, tables: duckdb.DuckDBPyConnection) -> None:
        wrong = rows(
            tables,
            """
            with repaid as (
                select account_id, value_on, sum(transactions.amount) as amount from transactions
                inner join latest using (account_id) inner join products using (product_code)
                where kind = 'loan_repayment' and side = 'asset' group by all
            ),
            scheduled as (
                select account_id, paid_on as value_on, paid_amount from payment_schedule where paid_amount > 0
            )
            select * from repaid full join scheduled using (account_id, value_on)
            where coalesce(amount, 0) <> coalesce(paid_amount, 0)
            """,
        )
        assert wrong == []
        assert one(tables, "select count(*) from payment_schedule where paid_amount > 0") > 2_000

    def test_an_instalment_is_paid_in_full_or_not_at_all(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert one(tables, "select bool_and(paid_amount in (0, due_amount)) from payment_schedule")
        assert one(tables, "select bool_and((paid_on is null) = (paid_amount = 0)) from payment_schedule")
        assert one(tables, "select count(*) from payment_schedule where paid_on is null") > 0

    def test_a_loan_is_past_due_since_the_first_instalment_missed_after_the_last_payment(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        wrong = rows(
            tables,
            """
            with paid as (
                select as_of, status.account_id, max(paid_on) as last_paid from loan_status as status
                left join payment_schedule as s on s.account_id = status.account_id and due_on <= as_of group by all
            ),
            missed as (
                select as_of, paid.account_id, min(due_on) as since from paid
                inner join payment_schedule as s on s.account_id = paid.account_id
                and due_on <= as_of and paid_on is null and (last_paid is null or due_on > last_paid) group by all
            )
            select * from loan_status left join missed using (account_id, as_of)
            where days_past_due <> coalesce(as_of - since, 0) or (overdue_amount > 0) <> (since is not null)
            """,
        )
        assert wrong == []
        assert one(tables, "select count(*) from loan_status where days_past_due > 0") > 0

    def test_every_open_loan_has_a_state_at_every_month_end(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert (
            one(
                tables,
                """
                select count(*) from (
                    select account_id, last_day(month)::date as as_of from held where product_code like '%LOAN'
                    or product_code = 'MORTGAGE' group by all having sum(balance) < 0
                ) full join (select account_id, as_of, five_class from loan_status) using (account_id, as_of)
                where five_class is null
                """,
            )
            == 0
        )


class TestStaff:
    def test_nobody_looks_after_customers_before_or_after_being_employed(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        assert (
            one(
                tables,
                """
                with person as (
                    select employee_id, min(hired_on) as hired_on, max(left_on) as left_on from employees group by 1
                )
                select count(*) from relationship_assignments left join person using (employee_id)
                where hired_on is null or valid_from < hired_on or valid_from > left_on or valid_to > left_on
                """,
            )
            == 0
        )

    def test_a_customer_has_one_manager_at_a_time_of_his_own_branch(self, tables: duckdb.DuckDBPyConnection) -> None:
        tables.execute(
            """create or replace temp table assigned as select * from relationship_assignments
            qualify row_number() over (
                partition by source_customer_id, employee_id, valid_from order by updated_at desc
            ) = 1"""
        )
        assert (
            one(
                tables,
                """select count(*) from (
                    select valid_from <= lag(coalesce(valid_to, date '9999-01-01')) over (
                        partition by source_customer_id order by valid_from
                    ) as is_double from assigned
                ) where is_double""",
            )
            == 0
        )
        assert (
            one(
                tables,
                """
                select count(*) from assigned
                inner join (select distinct employee_id, branch_id, role from employees) using (employee_id)
                inner join (select distinct source_customer_id, registered_branch_id from customers)
                using (source_customer_id)
                where branch_id <> registered_branch_id or role <> 'relationship_manager'
                """,
            )
            == 0
        )
        assert one(tables, "select count(*) from assigned where reason = 'manager_left' and valid_to is null") > 0

    def test_whose_accounts_are_closed_has_no_manager(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert (
            one(
                tables,
                """select count(*) from relationship_assignments as a
                inner join latest using (source_customer_id)
                where product_code = 'CURRENT' and closed_on is not null and (valid_from > closed_on or (
                    valid_to is null and not exists (from relationship_assignments as b
                    where b.source_customer_id = a.source_customer_id and b.valid_from = a.valid_from
                    and b.valid_to is not null)))""",
            )
            == 0
        )

    def test_a_new_manager_drives_departures_for_three_months(self, tables: duckdb.DuckDBPyConnection) -> None:
        months, wrong = rows(
            tables,
            """
            with changes as (
                select source_customer_id, valid_from from relationship_assignments
                -- The version that begins with the next manager; the one that ends has the same reason.
                where reason in ('manager_left', 'handed_over') and valid_to is null
            ),
            driven as (
                select hazards.*, exists (
                    from changes where changes.source_customer_id = hazards.source_customer_id
                    and valid_from between month - 90 and month - 1
                ) as is_new
                from true_hazards as hazards
            )
            select count(*) filter (is_new), count(*) filter (is_new <> (manager_change > 0)) from driven
            """,
        )[0]
        assert months > 50
        assert wrong == 0

    def test_a_larger_bank_keeps_the_staff_of_a_smaller_one(self) -> None:
        small, large = (staff_of(1, largest, DEFAULT_PARAMETERS) for largest in (1_000, 260_000))
        assert (large.starts[: len(small.starts)] == small.starts).all()
        assert len(large.starts) - len(small.starts) == 5 * 36 * 2


class TestContacts:
    def test_who_is_held_out_is_not_contacted(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert one(tables, "select bool_and((channel is null) = is_control) from contacts")
        assert one(tables, "select bool_and((outcome = 'held_out') = is_control) from contacts")
        assert 0.07 < one(tables, "select avg(is_control::int) from contacts") < 0.13
        assert one(tables, "select bool_and((contacted_at is null) = is_control) from campaign_contacts")

    def test_nobody_known_to_be_dead_or_gone_is_contacted(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert (
            one(
                tables,
                """select count(*) from contacts inner join customers using (source_customer_id)
                where is_deceased and customers.updated_at < planned_on""",
            )
            == 0
        )
        assert (
            one(
                tables,
                """select count(*) from contacts inner join latest using (source_customer_id)
                where product_code = 'CURRENT' and closed_on < happened_at::date""",
            )
            == 0
        )

    def test_nobody_answers_or_takes_anything_up_after_closing(self, tables: duckdb.DuckDBPyConnection) -> None:
        for table, times in (
            ("survey_responses", ("invited_at", "responded_at", "followed_up_at")),
            ("campaign_contacts", ("contacted_at", "responded_at", "converted_at")),
        ):
            for time in times:
                query = f"""select
                    count({time}), count(*) filter ({time} + interval 8 hour >= closed_on + interval 1 day)
                from {table} inner join latest using (source_customer_id) where product_code = 'CURRENT'"""
                happened, wrong = rows(tables, query)[0]
                assert happened > 0, (table, time)
                assert wrong == 0, (table, time)

    def test_an_effect_is_the_same_log_odds_for_everybody_and_what_was_stated(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        found = rows(
            tables,
            """
            with odds as (
                select trigger, ln(probability_contacted / (1 - probability_contacted))
                - ln(probability_without / (1 - probability_without)) as effect
                from true_contact_effects where probability_without > 0
            )
            select trigger, min(effect), max(effect) from odds group by 1
            """,
        )
        stated = {trigger.name: trigger.effect for trigger in CONTACT_TRIGGERS}
        assert {trigger for trigger, _, _ in found} <= set(stated)
        for trigger, low, high in found:
            assert low == pytest.approx(stated[str(trigger)], abs=1e-9)
            assert high == pytest.approx(stated[str(trigger)], abs=1e-9)
        assert min(stated.values()) < 0
        assert sorted(stated.values()).count(0) == 2

    def test_responses_come_as_often_as_the_truth_says(self, tables: duckdb.DuckDBPyConnection) -> None:
        for table, happened, truth, key in (
            ("contacts", "goal_met", "contact_effects", "contact_id"),
            (
                "(select campaign_id, source_customer_id, bool_or(converted_at is not null) as took "
                "from campaign_contacts group by all)",
                "took",
                "campaign_effects",
                "campaign_id, source_customer_id",
            ),
        ):
            count, expected, deviation, size = rows(
                tables,
                f"""
                with chances as (select *, case when t.is_control then probability_without else probability_contacted
                end as p from {table} inner join true_{truth} as t using ({key}))
                select sum({happened}::int), sum(p), sqrt(sum(p * (1 - p))), count(*) from chances
                """,
            )[0]
            assert size > 200
            assert abs(count - expected) < 4 * deviation

    def test_a_contact_changes_no_departure(self, tables: duckdb.DuckDBPyConnection) -> None:
        names = {row[0] for row in rows(tables, "describe true_departures")}
        assert names == {"source_customer_id", "kind", "decided_in", "ends_in"}

    def test_only_who_answered_has_answers(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert one(tables, "select bool_and(item = 'overall' or responded_at is not null) from survey_responses")
        assert one(
            tables,
            "select bool_and((nps is null) = (responded_at is null)) from survey_responses where item = 'overall'",
        )
        assert one(tables, "select bool_and(perception is not null) from survey_responses where item <> 'overall'")


class TestRecordsElsewhere:
    def test_every_record_is_a_customers_or_a_relatives(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert (
            one(
                tables,
                """
                select count(*) from customers_elsewhere full join true_identities
                using (source_system, source_customer_id)
                where name is null or (core_customer_id is null) = (relative_of_customer_id is null)
                or coalesce(core_customer_id, relative_of_customer_id) not in
                (select source_customer_id from customers)
                """,
            )
            == 0
        )
        key = "source_system, source_customer_id"
        assert one(tables, f"select count(*) - count(distinct ({key})) from customers_elsewhere") == 0
        share = one(tables, "select count(distinct core_customer_id) from true_identities") / 1_500
        assert abs(share - 0.06) < 4 * np.sqrt(0.06 * 0.94 / 1_500)

    def test_records_of_the_same_person_differ_where_the_truth_says_so(self, tables: duckdb.DuckDBPyConnection) -> None:
        tables.execute(
            """create or replace temp table pairs as
            select e.*, t.*, c.name as core_name, c.mobile as core_mobile, c.address as core_address,
                c.id_number as core_id_number, c.born_on as core_born_on
            from customers_elsewhere as e inner join true_identities as t
                on t.source_system = e.source_system and t.source_customer_id = e.source_customer_id
            inner join (from customers qualify row_number() over (partition by source_customer_id) = 1) as c
                on c.source_customer_id = core_customer_id"""
        )
        for condition in (
            "(name <> core_name) = (has_name_typo or has_names_swapped)",
            "(mobile <> core_mobile) = has_old_mobile",
            "(address <> core_address) = has_old_address",
            "(born_on is null) = lacks_birth_date",
            "(id_number is null) = lacks_identity_number",
            "coalesce(born_on, core_born_on) = core_born_on",
        ):
            assert rows(tables, f"select * from pairs where not ({condition})") == [], condition

    def test_they_are_invalid_by_construction_too(self, tables: duckdb.DuckDBPyConnection) -> None:
        people = rows(tables, "select id_number, mobile, email from customers_elsewhere")
        assert any(number for number, _, _ in people)
        for id_number, mobile, email in people:
            assert id_number is None or (str(id_number).startswith("99") and not has_right_check_digit(str(id_number)))
            assert str(mobile).startswith("154")
            assert len(str(mobile)) == 11
            assert email is None or str(email).endswith(".invalid")


class TestCuts:
    def test_slices_together_are_the_whole(self, bank: GeneratedBank, tmp_path: Path) -> None:
        parts = [tmp_path / "one", tmp_path / "two"]
        for part, cut in zip(parts, ((0, 600), (600, 1_500)), strict=True):
            generate(part, customers=1_500, months=14, start=START, slice=cut)
        for table in FURTHER:
            found = [all_rows(part, table) for part in parts]
            if table in ("relationship_assignments", "payment_schedule", "loan_status", "contacts", "survey_responses",
                         "campaign_contacts", "customers_elsewhere"):  # fmt: skip
                assert sorted(found[0] + found[1]) == all_rows(bank.folder, table), table
            elif table != "gl_balances":
                assert found[0] == found[1] == all_rows(bank.folder, table), table
        sums = "sum(balance), sum(income), sum(cost)"
        query = f"select branch_id, product_code, month, {sums} from read_parquet([{{}}]) group by all order by all"
        both = ", ".join(f"'{part}/gl_balances/*.parquet'" for part in parts)
        assert (
            duckdb.sql(query.format(both)).fetchall()
            == duckdb.sql(query.format(f"'{bank.folder}/gl_balances/*.parquet'")).fetchall()
        )

    def test_a_small_bank_is_the_beginning_of_a_large_one(self, bank: GeneratedBank, tmp_path: Path) -> None:
        generate(tmp_path / "small", customers=400, months=14, start=START, truth_dir=tmp_path / "truth")
        small, large = tmp_path / "small", bank.folder
        known = f"(select source_customer_id from read_parquet('{small}/customers/*.parquet'))"
        for table in ("relationship_assignments", "contacts", "survey_responses", "campaign_contacts"):
            found = duckdb.sql(
                f"""select t::varchar from read_parquet('{large}/{table}/*.parquet') as t
                where source_customer_id in {known} order by 1"""
            ).fetchall()
            assert all_rows(small, table) == found, table
        assert set(all_rows(small, "customers_elsewhere")) <= set(all_rows(large, "customers_elsewhere"))
        assert set(all_rows(small, "employees")) <= set(all_rows(large, "employees"))
        for table in ("values", "contact_effects", "campaign_effects", "window_dressing", "identities"):
            assert set(all_rows(tmp_path / "truth", table)) <= set(all_rows(large.parent / "truth", table)), table

    def test_how_customers_are_stepped_together_does_not_matter(
        self, bank: GeneratedBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(simulation, "BLOCK_CUSTOMERS", 700)
        generate(tmp_path / "blocks", customers=1_500, months=14, start=START)
        for table in FURTHER:
            assert all_rows(tmp_path / "blocks", table) == all_rows(bank.folder, table), table


class TestTruth:
    def test_values_are_sums_of_their_parts_and_say_what_puts_customers_below_cost(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        parts = "deposit_margin + loan_margin + commissions + card_income + fees + transaction_cost + account_cost"
        assert one(tables, f"select max(abs(margin - ({parts} + loan_review_cost))) from true_values") < 0.05
        assert one(tables, "select bool_and(is_below_marginal_cost = (margin < 0)) from true_values where months > 0")
        assert one(tables, "select bool_and((largest_loss is null) = not is_below_marginal_cost) from true_values")
        assert 0.01 < one(tables, "select avg(is_below_marginal_cost::int) from true_values") < 0.2
        assert one(tables, "select count(*) - count(distinct source_customer_id) from true_values") == 0

    def test_commissions_of_customers_are_those_of_the_ledger(self, tables: duckdb.DuckDBPyConnection) -> None:
        """The last twelve months of fourteen: the same but for the rounding of each account to the cent."""
        customers = one(tables, "select sum(commissions) from true_values")
        ledger = one(
            tables,
            """select sum(income)::double from gl_balances inner join products using (product_code)
            where side = 'aum' and month >= '2025-01-01'""",
        )
        assert abs(customers - ledger) < 0.01 * one(tables, "select count(*) from held")

    def test_window_dressing_is_brought_at_quarter_ends_only(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert one(tables, "select count(*) from true_window_dressing where amount > 0") > 0
        assert one(tables, "select bool_and(month(month) % 3 = 0) from true_window_dressing")

    def test_what_was_planted_is_written_with_it(self, tables: duckdb.DuckDBPyConnection, folder: Path) -> None:
        planted = json.loads((folder / "truth" / "parameters.json").read_text(encoding="utf-8"))
        assert [row["name"] for row in planted["contact_triggers"]] == [row.name for row in CONTACT_TRIGGERS]
        assert len(planted["campaigns"]) == len(CAMPAIGN_TEMPLATES)
        assert planted["parameters"]["further"]["control_share"] == DEFAULT_PARAMETERS.further.control_share
        assert all(row["reason"] for row in planted["contact_triggers"] + planted["campaigns"])
