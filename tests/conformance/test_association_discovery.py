"""A whole run: what is published, what is refused, and that the same input gives the same rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mining.association import PUBLISHED_COLUMNS, AssociationSettings, BasketError, mine_rules
from mining.association.discovery import round_significant
from mining.knowledge.interpretation import RuleEvidence, TestEvidence, Unit, explain_rule, explain_tests

SETTINGS = AssociationSettings(min_count=45, unit=Unit("accounts", "个账户"))


def test_a_run_publishes_the_agreed_columns_in_order(berka_baskets: pd.DataFrame) -> None:
    result = mine_rules(berka_baskets, SETTINGS, basket_count=4500)
    assert result.refused is None
    assert list(result.rules.columns) == list(PUBLISHED_COLUMNS)
    assert len(result.itemsets) == result.metadata["itemset_count"] == 77
    assert result.rules["rule_id"].is_unique
    assert set(result.rules["run_id"]) == {result.run_id}
    loan = result.rules.set_index(["antecedent", "consequent"]).loc[("LOAN", "UVER")]
    assert (loan["rule_count"], loan["basket_count"], loan["confidence"]) == (682, 4500, 1.0)
    assert np.isnan(loan["conviction"])
    assert loan["is_significant"]


def test_the_same_baskets_give_the_same_rows_in_any_order(berka_baskets: pd.DataFrame) -> None:
    first = mine_rules(berka_baskets, SETTINGS, basket_count=4500)
    second = mine_rules(berka_baskets.sample(frac=1.0, random_state=3), SETTINGS, basket_count=4500)
    pd.testing.assert_frame_equal(first.rules, second.rules)
    assert first.metadata == second.metadata


def test_distinct_baskets_with_weights_are_the_same_run(berka_baskets: pd.DataFrame) -> None:
    tuples = berka_baskets.groupby("basket")["item"].agg(lambda items: tuple(sorted(items)))
    counted = tuples.value_counts().to_dict()
    assert len(counted) < 300
    pd.testing.assert_frame_equal(
        mine_rules(berka_baskets, SETTINGS, basket_count=4500).rules,
        mine_rules(counted, SETTINGS, basket_count=4500).rules,
    )


def test_another_setting_or_basket_is_another_run(berka_baskets: pd.DataFrame) -> None:
    runs = {
        mine_rules(berka_baskets, SETTINGS, basket_count=4500).run_id,
        mine_rules(berka_baskets, SETTINGS, basket_count=4501).run_id,
        mine_rules(berka_baskets.iloc[1:], SETTINGS, basket_count=4500).run_id,
        mine_rules(berka_baskets, AssociationSettings(min_count=46), basket_count=4500).run_id,
    }
    assert len(runs) == 4


def test_a_rule_keeps_its_name_from_run_to_run(berka_baskets: pd.DataFrame) -> None:
    loose = mine_rules(berka_baskets, AssociationSettings(min_count=45), basket_count=4500).rules
    tight = mine_rules(berka_baskets, AssociationSettings(min_count=200), basket_count=4500).rules
    keys = ["antecedent", "consequent", "rule_id"]
    shared = loose.merge(tight, on=keys[:2], suffixes=("", "_tight"))
    assert len(shared) == len(tight) > 0
    assert (shared["rule_id"] == shared["rule_id_tight"]).all()


def test_what_everybody_has_is_dropped_and_named() -> None:
    counted = {("current", "card", "loan"): 300, ("current", "card"): 200, ("current",): 500}
    result = mine_rules(counted, AssociationSettings(min_support=0.05))
    assert result.metadata["dropped_items"] == ["current"]
    assert not result.rules["consequent"].str.contains("current").any()
    kept = mine_rules(counted, AssociationSettings(min_support=0.05, universal_share=1.01, keep_redundant=True))
    assert kept.rules["consequent"].str.contains("current").any()


@pytest.mark.parametrize("baskets", [{("card", "loan"): 60}, pd.DataFrame({"basket": [], "item": []})])
def test_too_few_baskets_are_refused_with_the_reason(baskets: object) -> None:
    result = mine_rules(baskets, AssociationSettings(min_support=0.1))  # type: ignore[arg-type]
    assert result.refused is not None
    assert "minimum_baskets = 100" in result.refused
    assert result.rules.empty
    assert result.itemsets.empty
    assert (
        result.rules.dtypes.astype(str).to_dict()
        == mine_rules({("card", "loan"): 300, ("card",): 300}, AssociationSettings(min_support=0.1))
        .rules.dtypes.astype(str)
        .to_dict()
    )


def test_independent_products_are_hardly_ever_called_significant() -> None:
    runs_with_a_false_rule = 0
    for seed in range(30):
        generator = np.random.default_rng(seed)
        held = pd.DataFrame(generator.random((2000, 8)) < generator.uniform(0.1, 0.5, 8), columns=list("abcdefgh"))
        result = mine_rules(held, AssociationSettings(min_support=0.01, keep_redundant=True))
        assert len(result.rules) >= 50
        runs_with_a_false_rule += bool(result.metadata["rules_significant"])
    assert runs_with_a_false_rule <= 4  # expected at most 5 % of 30; 5 or more would happen once in 70 suites


def test_redundant_rules_are_published_only_on_request(berka_baskets: pd.DataFrame) -> None:
    short = mine_rules(berka_baskets, SETTINGS, basket_count=4500).rules
    every = mine_rules(berka_baskets, AssociationSettings(min_count=45, keep_redundant=True), basket_count=4500).rules
    assert len(short) < len(every)
    assert set(short["rule_id"]) < set(every["rule_id"])
    assert (short["lift"] > 1).all()


@pytest.mark.parametrize("setting", ["min_confidence", "false_discovery_rate", "universal_share"])
def test_a_setting_out_of_range_is_refused_by_name(setting: str) -> None:
    with pytest.raises(BasketError, match=f"{setting} is -1"):
        AssociationSettings(**{"min_count": 1, setting: -1})
    with pytest.raises(BasketError, match=f"{setting} is nan"):
        AssociationSettings(**{"min_count": 1, setting: float("nan")})


def test_published_floats_have_ten_significant_digits(berka_baskets: pd.DataFrame) -> None:
    rules = mine_rules(berka_baskets, SETTINGS, basket_count=4500).rules
    for name, kind in PUBLISHED_COLUMNS.items():
        if kind == "float64":
            values = rules[name].to_numpy()
            np.testing.assert_array_equal(values, round_significant(values), err_msg=name)


def test_sentences_state_number_denominator_comparator_and_uncertainty(berka_baskets: pd.DataFrame) -> None:
    settings = AssociationSettings(
        min_count=45,
        unit=Unit("accounts", "个账户"),
        labels={"LOAN": ("a loan", "贷款"), "UVER": ("a loan payment order", "还贷委托")},
    )
    rules = mine_rules(berka_baskets, settings, basket_count=4500).rules
    loan = rules.set_index(["antecedent", "consequent"]).loc[("LOAN", "UVER")]
    assert loan["sentence_en"] == (
        "Of 682 accounts with a loan, 682 (100.0 %; 95 % interval 99.4 to 100.0 %) also have a loan payment order, "
        "against 717 of all 4,500 (15.9 %): 6.28 times the average. "
        "Chance does not explain it (adjusted p < 1e-300, 290 rules tested)."
    )
    assert loan["sentence_zh"] == (
        "在有贷款的682个账户中，682个账户（100.0%，95%置信区间99.4%至100.0%）同时有还贷委托；"
        "全部4,500个账户中有717个账户（15.9%），即平均水平的6.28倍。"
        "该结果难以用偶然解释（校正后p < 1e-300，共检验290条规则）。"
    )


def test_a_sentence_does_not_round_almost_all_to_all_nor_call_chance_a_finding() -> None:
    evidence = RuleEvidence(["a"], ["b"], 10_000, 5_000, 9_999, 100_000, 0.9994, 0.99998, 0.95, 0.3, False, 7)
    english, chinese = explain_rule(evidence)
    assert "9,999 (> 99.9 %" in english
    assert "It may be chance (adjusted p = 0.3, 7 rules tested)." in english
    assert "该结果可能出于偶然（校正后p = 0.3，共检验7条规则）。" in chinese


def test_a_large_lift_and_a_single_month_are_written_as_people_write_them() -> None:
    evidence = RuleEvidence(["a"], ["b"], 6, 5, 5, 100_000, 0.44, 0.97, 0.999, 1e-20, True, 2)
    english, chinese = explain_rule(evidence)
    assert "99.9 % interval" in english
    assert "(< 0.1 %): 16,667 times the average." in english
    assert "即平均水平的16,667倍" in chinese
    tests = explain_tests(TestEvidence(1234.5, 2.0, 1.5, ["age_band"], "held", 3.0, None, 1))
    assert "On baskets held out: 1,234 times the average." in tests[0]
    assert "In the 1 month after an earlier date" in tests[0]
    assert "留出样本中为平均的1,234倍" in tests[1]


def test_a_rule_that_the_search_apart_did_not_find_is_not_said_to_have_failed_on_the_baskets_held_out() -> None:
    english, chinese = explain_tests(
        TestEvidence(3.17, 1.42, 1.18, ["age_band"], "not_shown", float("nan"), "holdout", 6)
    )
    assert english.endswith("A search without the baskets held out did not find it, or these did not confirm it.")
    assert chinese.endswith("不含留出样本的搜索未能发现它，或留出样本未能证实它。")
