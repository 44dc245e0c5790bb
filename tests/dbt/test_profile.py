"""One profile per person: what was mined, how old it is, and why it is absent."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from star_bank import FIRST_PASS

AS_OF = "2024-03-31"
PERSONS = 4


@pytest.fixture(scope="module")
def bank(new_warehouse):
    warehouse = new_warehouse()
    warehouse.deliver("products", [{"product_code": "CURRENT", "category": "deposit_demand", "side": "liability"}])
    customers = [{"source_customer_id": str(number), "party_type": "personal"} for number in range(PERSONS)]
    warehouse.deliver("customers", customers)
    opened = date(2024, 1, 1)
    accounts = [
        {"account_id": f"A{number}", "source_customer_id": str(number), "product_code": "CURRENT", "currency": "CZK",
         "opened_on": opened}
        for number in range(PERSONS - 1)
    ]  # fmt: skip
    warehouse.deliver("accounts", accounts, opened)
    transactions = [
        {"transaction_id": account["account_id"], "account_id": account["account_id"], "currency": "CZK",
         "posted_at": datetime(2024, 1, 1, 12), "amount": 150_000 * (number + 1), "initiated_by": "customer"}
        for number, account in enumerate(accounts)
    ]  # fmt: skip
    warehouse.deliver("transactions", transactions, opened)
    outcome = warehouse.dbt_command("build", AS_OF, *FIRST_PASS)
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
    return warehouse


def _mine(warehouse, run_id: str, miner: str, *, status: str, reason: str | None = None, as_of: str) -> None:
    warehouse.execute("create schema if not exists mined")
    warehouse.execute(
        "create table if not exists mined.model_run (run_id varchar, miner varchar, status varchar, reason_en varchar, "
        "reason_zh varchar, as_of date, started_at timestamp, seconds double, row_count bigint, person_count bigint, "
        "feature_count bigint, window_from varchar, window_to varchar, seed bigint, parameters varchar, "
        "feature_hash varchar, data_hash varchar, library_versions varchar, method_en varchar, method_zh varchar, "
        "model_id varchar)"
    )
    quoted = "null" if reason is None else f"'{reason}'"
    warehouse.execute(
        "insert into mined.model_run (run_id, miner, status, reason_en, reason_zh, as_of, row_count, person_count) "
        f"values ('{run_id}', '{miner}', '{status}', {quoted}, {quoted}, date '{as_of}', 1, 1)"
    )


def _second_pass(warehouse) -> None:
    outcome = warehouse.dbt_command("build", AS_OF, "--select", "tag:mined", "--exclude-resource-type", "unit_test")
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]


def test_a_bank_that_nothing_was_mined_of_has_profiles_that_say_so(bank):
    _second_pass(bank)
    assert bank.rows(
        "select aum_band, segment_absence, loyalty_absence, churn_absence, top_rule_absence, count(*) "
        "from customer.customer_profile group by all order by all"
    ) == [
        ("gold", *["not mined yet"] * 4, 2),
        ("mass", *["not mined yet"] * 4, 1),
        (None, *["not mined yet"] * 4, 1),
    ]


def test_a_result_is_shown_with_its_age_and_a_refusal_with_its_reason(bank):
    person = bank.rows("select person_id from core.dim_customer order by all")[0][0]
    # churn: the model of February stands, that of March was refused
    _mine(bank, "old", "churn_closure_or_drop", status="published", as_of="2024-02-29")
    _mine(bank, "new", "churn_closure_or_drop", status="refused", reason="Too few left.", as_of="2024-03-31")
    _mine(bank, "s", "segmentation", status="refused", reason="No groups.", as_of="2024-03-31")
    reasons = ", ".join(
        f"{value} as reason_{rank}_{part}"
        for rank, values in enumerate(
            (("'rate_gap'", "0.4", "'Rate.'", "'利率。'"), ("null",) * 4, ("null",) * 4), start=1
        )
        for part, value in zip(("column", "effect", "en", "zh"), values, strict=True)
    )
    bank.execute(
        "create or replace table mined.churn_closure_or_drop_score as select "
        f"'{person}' as person_id, '2024-02-29' as month_on, 'old' as run_id, 'm' as model_id, 0.25 as probability, "
        "1 as risk_rank, 1 as risk_decile, true as is_listed, 1000.0 as value_at_stake, 250.0 as expected_loss, "
        + reasons
    )
    _second_pass(bank)
    columns = "churn_probability, churn_age_days, churn_reason_1_zh, churn_reason_2, churn_absence, segment_absence"
    assert bank.rows(f"select {columns} from customer.customer_profile where person_id = '{person}'") == [
        (0.25, 31, "利率。", None, None, "No groups.")
    ]
    assert bank.rows(f"select distinct {columns} from customer.customer_profile where person_id <> '{person}'") == [
        (None, None, None, None, "Too few left.", "No groups.")
    ]
    assert bank.rows("select reason_rank, column_name from mining.churn_reason") == [(1, "rate_gap")]
