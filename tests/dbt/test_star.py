"""The star on a small bank: its own tests find faults, and nothing is assumed about what a bank brings."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from small_bank import FIRST_PASS

AS_OF = "2024-03-10"


def _fill(warehouse) -> None:
    warehouse.deliver("branches", [{"branch_id": "B1", "name": "One", "region": "North"}])
    warehouse.deliver(
        "products",
        [
            {"product_code": code, "name": code, "category": category, "side": side}
            for code, category, side in (
                ("CURRENT", "deposit_demand", "liability"),
                ("FUND", "fund", "aum"),
                ("LOAN", "loan_consumer", "asset"),
            )
        ],
    )
    customers = [{"source_customer_id": str(number), "party_type": "personal"} for number in range(8)]
    warehouse.deliver("customers", customers)
    accounts = [
        {"account_id": f"{code}{number}", "source_customer_id": str(number), "product_code": code, "branch_id": "B1",
         "currency": "CZK", "opened_on": date(2024, 1, 2 + number)}
        for number in range(8)
        for code in ("CURRENT", "FUND", "LOAN")
        if code == "CURRENT" or number % 3 == 0
    ]  # fmt: skip
    warehouse.deliver("accounts", accounts)
    warehouse.deliver(
        "transactions",
        [
            {"transaction_id": f"{account['account_id']}-{day}", "account_id": account["account_id"], "currency": "CZK",
             "posted_at": datetime(2024, 1 + day // 28, 2 + day % 28, 20), "initiated_by": "customer",
             "kind": "deposit", "amount": day * 3 - 40}
            for account in accounts
            for day in range(0, 60, 7)
            if account["product_code"] != "LOAN"
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def star(new_warehouse):
    warehouse = new_warehouse()
    _fill(warehouse)
    outcome = warehouse.dbt_command("build", AS_OF, *FIRST_PASS)
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
    return warehouse


def test_the_worked_cases_hold(star):
    outcome = star.dbt_command("test", AS_OF, "--select", "test_type:unit")
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
    assert len(outcome.result.results) == 7


def test_near_universal_items_are_left_out_of_baskets_and_counted(star):
    assert star.rows(
        "select item, holder_count, basket_count, is_near_universal from features.mining_basket_items order by all"
    ) == [("CURRENT", 8, 8, True), ("FUND", 3, 8, False), ("LOAN", 3, 8, False)]
    assert star.rows("select distinct item from features.mining_baskets order by all") == [("FUND",), ("LOAN",)]


def test_a_loan_without_transactions_has_no_balance_and_no_zero(star):
    assert star.rows(
        "select distinct has_balance, balance_basis from core.dim_account where product_code = 'LOAN'"
    ) == [(False, "absent: no transaction known")]
    assert star.rows(
        "select count(*), count(lum_period_end_base), count(aum_period_end_base) from core.fct_customer_month "
        "where account_count = 3"
    ) == [(9, 0, 9)]


def test_every_planted_fault_is_found_and_named(star, new_warehouse):
    faults = {
        "fct_transaction_columns_hold": "insert into core.fct_transaction from core.fct_transaction limit 1",
        "fct_account_month_columns_hold": "update core.fct_account_month set closing_balance_amount = "
        "closing_balance_amount + 0.01 where account_id = 'core:FUND3'",
        "month_opens_where_the_last_one_closed": None,
        "fct_account_balance_intervals_hold": "update core.fct_account_balance set valid_to = valid_to - 1 "
        "where not is_current and account_id = 'core:FUND0'",
        "month_average_is_the_integral_of_the_balances": None,
        "customers_hold_what_their_accounts_hold": "update core.fct_customer_month set outflow_base = outflow_base - 1 "
        "where person_id = 'person of 1'",
        "balances_are_the_sum_of_transactions": None,
        "dim_account_columns_hold": "update core.dim_account set branch_id = 'core:nowhere' "
        "where account_id = 'core:LOAN0'",
        "dim_customer_columns_hold": "update core.dim_customer set is_current = false where person_id = 'person of 2'",
    }
    broken = new_warehouse(copy_of=star.file)
    for statement in filter(None, faults.values()):
        broken.execute(statement)
    outcome = broken.dbt_command("test", AS_OF, *FIRST_PASS)
    failed = {node.node.name: node for node in outcome.result.results if str(node.status) != "pass"}
    assert failed.keys() == faults.keys()
    found = broken.rows(failed["dim_account_columns_hold"].node.compiled_code)
    assert found == [("branch_id is not in dim_branch", 1, "core:nowhere")]
    found = broken.rows(failed["fct_account_month_columns_hold"].node.compiled_code)
    assert found == [("opening_and_flows_make_closing does not hold", 3, "core:FUND3 / 2024-01-01")]


def test_a_bank_that_brings_nothing_has_an_empty_star_and_no_error(new_warehouse):
    warehouse = new_warehouse()
    outcome = warehouse.dbt_command("build", AS_OF, *FIRST_PASS)
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
    assert warehouse.rows("select count(*) from core.fct_customer_month") == [(0,)]
    assert warehouse.rows("select count(*) from core.dim_date") == [(366,)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"base_currency": "CZK", "time_zone": "Europe/Prague"}', "variable `as_of` is missing"),
        ('{"as_of": "30.3.1994", "base_currency": "CZK", "time_zone": "Europe/Prague"}', "'30.3.1994', not a date"),
    ],
)
def test_a_missing_or_wrong_as_of_date_is_refused(star, settings, message):
    outcome = star.dbt.invoke(["run", "--vars", settings, "--select", "stg_branches"], star.file)
    assert not outcome.success
    assert message in outcome.result.results[0].message
