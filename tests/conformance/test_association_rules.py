"""Rules: measures equal to mlxtend's, known numbers of rules, and redundancy as it is defined."""

from __future__ import annotations

import math
from itertools import combinations

import mlxtend.frequent_patterns as peer
import numpy as np
import pandas as pd
import pytest

from mining.association import BasketError, association_rules, frequent_itemsets
from mining.association.rules import RULE_COLUMNS


def keyed(rules: pd.DataFrame) -> pd.DataFrame:
    keys = pd.MultiIndex.from_arrays(
        [rules[side].map(lambda items: tuple(sorted(items))) for side in ("antecedents", "consequents")]
    )
    return rules.set_index(keys).sort_index()


def test_groceries_give_the_published_numbers_of_rules(groceries_baskets: pd.DataFrame) -> None:
    found = frequent_itemsets(groceries_baskets, min_support=0.006)
    assert found["count"].min() == 60
    rules = association_rules(found, 9835, metric="confidence", min_threshold=0.25, max_consequent=1)
    assert len(rules) == 463


def test_groceries_give_the_published_strict_rules(groceries_baskets: pd.DataFrame) -> None:
    found = frequent_itemsets(groceries_baskets, min_support=0.001)
    rules = association_rules(found, 9835, min_threshold=0.8, max_consequent=1)
    sizes = rules["antecedents"].map(len) + 1
    assert sizes.value_counts().sort_index().to_dict() == {3: 29, 4: 229, 5: 140, 6: 12}


def test_loan_implies_its_payment_order_on_berka(berka_baskets: pd.DataFrame) -> None:
    found = frequent_itemsets(berka_baskets, min_count=45, basket_count=4500)
    rules = keyed(association_rules(found, 4500, min_threshold=0.0))
    rule = rules.loc[(("LOAN",), ("UVER",)), :]
    assert (rule["rule_count"], rule["antecedent_count"], rule["confidence"]) == (682, 682, 1.0)
    assert np.isinf(rule["conviction"])
    assert rule["lift"] == pytest.approx(4500 / 717, rel=1e-15)
    assert rule["fisher_p_value"] == 0.0  # below the smallest float, which is why the logarithm is kept
    ways = math.comb(4500 - 682, 717 - 682), math.comb(4500, 717)  # every loan among those with the order
    assert rule["log_p_value"] == pytest.approx(math.log(ways[0]) - math.log(ways[1]), abs=1e-9)


@pytest.mark.parametrize("min_count", [45, 200])
def test_every_measure_equals_mlxtends(berka_baskets: pd.DataFrame, min_count: int) -> None:
    found = frequent_itemsets(berka_baskets, min_count=min_count, basket_count=4500)
    expected = keyed(peer.association_rules(found, num_itemsets=4500, metric="support", min_threshold=0.0))
    ours = keyed(association_rules(found, 4500, metric="support", min_threshold=0.0))
    assert list(ours.columns) == list(RULE_COLUMNS)
    assert set(expected.columns) <= set(ours.columns)
    assert ours.index.equals(expected.index)
    for name in expected.columns.drop(["antecedents", "consequents"]):
        np.testing.assert_allclose(
            ours[name].to_numpy(), expected[name].to_numpy(), rtol=1e-12, atol=1e-12, err_msg=name
        )


def test_mlxtends_own_itemsets_are_accepted(groceries_baskets: pd.DataFrame) -> None:
    ours = frequent_itemsets(groceries_baskets, min_support=0.006)
    theirs = ours[["support", "itemsets"]].sample(frac=1.0, random_state=1)
    pd.testing.assert_frame_equal(
        association_rules(ours, 9835, min_threshold=0.25), association_rules(theirs, 9835, min_threshold=0.25)
    )


@pytest.mark.parametrize("max_consequent", [1, 2, None])
def test_a_rule_is_redundant_when_a_simpler_one_is_as_good(
    berka_baskets: pd.DataFrame, max_consequent: int | None
) -> None:
    found = frequent_itemsets(berka_baskets, min_count=30, basket_count=4500)
    count = dict(zip(found["itemsets"], found["count"].tolist(), strict=True)) | {frozenset(): 4500}
    rules = association_rules(found, 4500, metric="support", min_threshold=0.0, max_consequent=max_consequent)
    assert 0 < rules["is_redundant"].sum() < len(rules)
    for rule in rules.itertuples():
        simpler = [
            frozenset(part) for size in range(len(rule.antecedents)) for part in combinations(rule.antecedents, size)
        ]
        best = max(count[part | rule.consequents] / count[part] for part in simpler)
        assert rule.improvement == pytest.approx(rule.confidence - best, abs=1e-15)
        assert rule.is_redundant == (rule.confidence <= best)


def test_max_consequent_keeps_the_same_rules_with_the_same_numbers(groceries_baskets: pd.DataFrame) -> None:
    found = frequent_itemsets(groceries_baskets, min_support=0.003)
    every = keyed(association_rules(found, 9835, min_threshold=0.0))
    every = every[every["consequents"].map(len) <= 2]
    bounded = keyed(association_rules(found, 9835, min_threshold=0.0, max_consequent=2))
    same = [name for name in RULE_COLUMNS if name not in ("adjusted_p_value", "holm_p_value")]
    pd.testing.assert_frame_equal(every[same], bounded[same])


def test_the_threshold_hides_rules_but_not_their_tests(groceries_baskets: pd.DataFrame) -> None:
    found = frequent_itemsets(groceries_baskets, min_support=0.006)
    every = association_rules(found, 9835, min_threshold=0.0)
    strict = association_rules(found, 9835, min_threshold=0.5)
    assert strict.attrs["rules_tested"] == every.attrs["rules_tested"] > len(every) > len(strict)
    pd.testing.assert_frame_equal(strict, every[every["confidence"] >= 0.5].reset_index(drop=True))


def test_pairs_that_never_became_frequent_count_as_tested() -> None:
    counted = {("a",): 10, ("b",): 10, ("c",): 10, ("a", "b"): 5}
    found = frequent_itemsets(counted, min_count=5)
    rules = association_rules(found, 35, metric="support", min_threshold=0.0)
    assert len(rules) == 2
    assert rules.attrs["rules_tested"] == 6  # three pairs of frequent items, two rules each


def test_rules_need_every_part(berka_baskets: pd.DataFrame) -> None:
    found = frequent_itemsets(berka_baskets, min_count=45, basket_count=4500)
    without = found[found["itemsets"] != frozenset({"LOAN", "SIPO"})]
    with pytest.raises(BasketError, match="not all its parts"):
        association_rules(without, 4500)
    with pytest.raises(BasketError, match="not all its parts"):
        association_rules(found[found["itemsets"].map(len) > 1], 4500)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"basket_count": 4400}, "do not fit 4,400 baskets"),
        ({"metric": "liftt"}, "metric is 'liftt'; valid are antecedent support"),
        ({"max_consequent": 0}, "max_consequent is 0"),
        ({"max_rules": 100}, "more than max_rules = 100"),
        ({"itemsets": pd.DataFrame({"support": [0.5]})}, "no column itemsets"),
        ({"itemsets": pd.DataFrame({"support": [0.5, 0.5], "itemsets": [frozenset("a")] * 2})}, "a occurs twice"),
        ({"itemsets": pd.DataFrame({"support": [0.5], "itemsets": [frozenset()]})}, "empty set"),
        ({"itemsets": pd.DataFrame({"support": [0.5], "itemsets": ["card"]})}, "Row 0 of the itemsets is 'card'"),
        ({"itemsets": pd.DataFrame({"support": [0.5], "itemsets": [["a", "a"]]})}, r"Row 0 .*\['a', 'a'\].*each once"),
        ({"basket_count": 4500.5}, "basket_count is 4500.5"),
        ({"min_threshold": float("nan")}, "min_threshold is nan"),
    ],
)
def test_unusable_itemsets_and_bounds_are_refused(
    berka_baskets: pd.DataFrame, change: dict[str, object], message: str
) -> None:
    found = frequent_itemsets(berka_baskets, min_count=45, basket_count=4500)
    arguments: dict[str, object] = {"itemsets": found, "basket_count": 4500} | change
    with pytest.raises(BasketError, match=message):
        association_rules(**arguments)  # type: ignore[arg-type]


def test_no_itemsets_give_no_rules() -> None:
    found = frequent_itemsets({("a",): 3}, min_count=5)
    rules = association_rules(found, 3)
    assert list(rules.columns) == list(RULE_COLUMNS)
    assert rules.empty
