"""The star on a small bank: its own tests find faults, and nothing is assumed about what a bank brings."""

from __future__ import annotations

import json
from datetime import date, datetime

import pytest
from star_bank import FIRST_PASS

from warehouse.contract import load_contract

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
    # What was mined must be there, empty: a worked case asks the columns of what it stands for.
    outcome = star.dbt_command("build", AS_OF, "--select", "tag:mined", "--exclude-resource-type", "unit_test")
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
    outcome = star.dbt_command("test", AS_OF, "--select", "test_type:unit")
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
    assert len(outcome.result.results) == 32


def test_the_pages_of_dbt_are_made_with_every_table_and_its_meaning(star):
    """`dbt docs generate` reads the built tables: what it shows of a column is what a BI tool sees as its comment."""
    outcome = star.dbt_command("build", AS_OF, "--select", "tag:mined", "--exclude-resource-type", "unit_test")
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
    outcome = star.dbt_command(["docs", "generate"], AS_OF)
    assert outcome.success, outcome.exception
    target = star.dbt.folder / "target"
    assert "dbt Docs" in (target / "index.html").read_text()
    catalog = json.loads((target / "catalog.json").read_text())
    assert not catalog["errors"]
    models = [
        node
        for node in star.dbt.manifest.nodes.values()
        if node.resource_type == "model" and node.config.contract.enforced
    ]
    assert len(models) > 70
    for model in models:
        shown = catalog["nodes"][model.unique_id]["columns"]
        assert {name: column["comment"] for name, column in shown.items()} == {
            name: column.description for name, column in model.columns.items()
        }, model.name
    staged = [node for node in catalog["nodes"] if ".stg_" in node]
    raw = [node for node in catalog["sources"] if ".raw." in node]
    assert (len(staged), len(raw)) == (len(load_contract().tables), len(load_contract().tables) + 2)


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
        "no_customer_record_is_lost": None,
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


def _write_mined(warehouse, confidence: float) -> None:
    """One rule as a miner's frame brings it: whole numbers as BIGINT, an infinite conviction as null."""
    warehouse.execute("create schema if not exists mined")
    warehouse.execute(
        f"""
        create or replace table mined.association_rule as
        select
            'r' as run_id, 'a' as rule_id, 'holdings' as basket, 'FUND' as antecedent, 'LOAN' as consequent,
            cast(1 as bigint) as antecedent_length, cast(1 as bigint) as consequent_length,
            8 as basket_count, 3 as antecedent_count, 3 as consequent_count, 3 as rule_count,
            0.375 as support, {confidence} as confidence, 2.6667 as lift, 0.234375 as leverage,
            cast(null as double) as conviction, 1.0 as zhangs_metric, 1.0 as jaccard, 1.0 as certainty,
            1.0 as kulczynski, 0.0 as imbalance_ratio, 0.43 as confidence_lower, 1.0 as confidence_upper,
            0.018 as fisher_p_value, 0.018 as adjusted_p_value, true as is_significant,
            'Who has a fund has a loan.' as sentence_en, '有基金者有贷款。' as sentence_zh
        """
    )
    warehouse.execute(
        """
        create or replace table mined.model_run as
        select
            'r' as run_id, 'association' as miner, 'published' as status, cast(null as varchar) as reason_en,
            cast(null as varchar) as reason_zh, date '2024-03-10' as as_of, now() as started_at, 0.1 as seconds,
            6 as row_count,
            '{}' as parameters, 'h' as data_hash, '{}' as library_versions, cast(null as bigint) as seed,
            cast(null as date) as window_from, cast(null as date) as window_to, 8 as person_count, 1 as feature_count,
            'f' as feature_hash, 'm' as method_en, 'm' as method_zh, cast(null as varchar) as model_id
        """
    )


def test_what_was_mined_is_published_without_its_clock_and_a_wrong_figure_is_stopped(star):
    _write_mined(star, confidence=1.0)
    outcome = star.dbt_command("build", AS_OF, "--select", "tag:mined")
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
    columns = star.rows("select column_name from (describe mining.model_run)")
    assert not {("started_at",), ("seconds",)} & set(columns)
    assert star.rows("select count(*) from meta.model_run_clock") == [(1,)]

    _write_mined(star, confidence=0.9)
    outcome = star.dbt_command("build", AS_OF, "--select", "tag:mined")
    failed = [node for node in outcome.result.results if str(node.status) == "fail"]
    assert [node.node.name for node in failed] == ["association_rule_columns_hold"]
    assert star.rows(failed[0].node.compiled_code) == [("confidence_is_its_share does not hold", 1, "r / a")]
