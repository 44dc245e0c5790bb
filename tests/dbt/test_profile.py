"""One profile per person: what was mined, how old it is, and why it is absent."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from star_bank import FIRST_PASS

AS_OF = "2024-03-31"
MEASURES = (
    "repeat_transactions", "persistence", "price_sensitivity", "competitors", "after_complaint", "growth",
    "low_churn_risk", "new_products", "volume", "satisfaction",
)  # fmt: skip
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
    english, chinese = ("null", "null") if reason is None else (f"'{part}'" for part in reason.split("|"))
    warehouse.execute(
        "insert into mined.model_run (run_id, miner, status, reason_en, reason_zh, as_of, row_count, person_count) "
        f"values ('{run_id}', '{miner}', '{status}', {english}, {chinese}, date '{as_of}', 1, 1)"
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
    chinese = [f"{name}_absence_zh" for name in ("segment", "loyalty", "churn", "dormancy", "top_rule")]
    assert bank.rows(f"select distinct {', '.join(chinese)} from customer.customer_profile") == [("尚未挖掘",) * 5]


def test_a_result_is_shown_with_its_age_and_a_refusal_with_its_reason(bank):
    persons = bank.rows(
        "select person_id, coalesce(accounts_open, 0) from customer.customer_profile order by 2 desc, person_id"
    )
    person = persons[0][0]
    assert [accounts for _, accounts in persons] == [1, 1, 1, 0]
    # churn: the model of February stands, that of March was refused
    _mine(bank, "old", "churn_closure_or_drop", status="published", as_of="2024-02-29")
    _mine(
        bank, "new", "churn_closure_or_drop", status="refused", reason="Too few left.|离开者过少。", as_of="2024-03-31"
    )
    _mine(bank, "s", "segmentation", status="refused", reason="No groups.|无群体。", as_of="2024-03-31")
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
    # loyalty: one is covered, one is not, nobody is proven
    _mine(bank, "l", "loyalty", status="published", as_of="2024-03-31")
    measures = ", ".join(f"cast(null as double) as measure_{name}" for name in MEASURES)
    bank.execute(
        "create or replace table mined.loyalty_score as select *, 'l' as run_id, '2024-03-31' as month_on, "
        "false as is_proven, 'No proof yet.' as proof_en, '尚无检验。' as proof_zh, '' as measures_used, "
        f"'' as measures_used_en, '' as measures_used_zh, 0 as measures_used_count, {measures} from (values "
        f"('{persons[0][0]}', 0.5, 5, 'steady', '稳定', 0.8), ('{persons[1][0]}', null, null, null, null, 0.3)) "
        "as scores (person_id, loyalty_index, loyalty_decile, level_en, level_zh, weight_covered_ratio)"
    )
    _second_pass(bank)
    columns = "churn_probability, churn_age_days, churn_reason_1_zh, churn_reason_2, churn_absence, segment_absence"
    assert bank.rows(f"select {columns} from customer.customer_profile where person_id = '{person}'") == [
        (0.25, 31, "利率。", None, None, "No groups.")
    ]
    profile = {
        row[0]: row[1:]
        for row in bank.rows(
            "select person_id, churn_absence, churn_absence_zh, segment_absence_zh, loyalty_absence, "
            "loyalty_absence_zh, is_loyalty_proven from customer.customer_profile"
        )
    }
    not_scored = ("not scored by the model in force", "现行模型未对其评分")
    no_account = ("no open account in the last complete month", "最近完整月份末无存续账户")
    too_few = ("too few measures of loyalty are known", "可得的忠诚度度量过少")
    assert profile[persons[0][0]] == (None, None, "无群体。", None, None, False)
    assert profile[persons[1][0]] == (*not_scored, "无群体。", *too_few, False)
    # the model of February stands: its refused successor is no reason, nor is anything but the closed accounts
    assert profile[persons[3][0]] == (*no_account, "无群体。", *no_account, None)
    assert bank.rows("select reason_rank, column_name from mining.churn_reason") == [(1, "rate_gap")]
