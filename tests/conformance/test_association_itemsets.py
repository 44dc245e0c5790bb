"""Frequent itemsets: counts known from published data, equal answers for equal input, clear refusals."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mining.association import BasketError, count_bound, frequent_itemsets, read_baskets

HELD = pd.DataFrame({"basket": [1, 1, 2, 2, 3], "item": ["card", "loan", "card", "loan", "card"]})


def counts_of(found: pd.DataFrame) -> dict[frozenset[object], int]:
    return dict(zip(found["itemsets"], found["count"].tolist(), strict=True))


def test_t10i4d100k_has_the_published_numbers_of_itemsets(quest_baskets: pd.DataFrame) -> None:
    found = frequent_itemsets(quest_baskets, min_count=500)
    sizes = found["itemsets"].map(len)
    assert sizes.value_counts().sort_index().tolist() == [569, 342, 110, 43, 9]
    assert sizes[found["count"] >= 1000].value_counts().sort_index().tolist() == [375, 9, 1]


@pytest.mark.slow
def test_t10i4d100k_at_count_100_has_27532_itemsets(quest_baskets: pd.DataFrame) -> None:
    assert len(frequent_itemsets(quest_baskets, min_count=100)) == 27_532


def test_berka_baskets_have_77_itemsets_and_the_known_counts(berka_baskets: pd.DataFrame) -> None:
    counts = counts_of(frequent_itemsets(berka_baskets, min_count=45, basket_count=4500))
    assert len(counts) == 77
    singles = {next(iter(items)): count for items, count in counts.items() if len(items) == 1}
    assert singles == {
        "SIPO": 3365,
        "ORD_OTHER": 1198,
        "DISPONENT": 869,
        "UVER": 717,
        "LOAN": 682,
        "CARD_CLASSIC": 659,
        "POJISTNE": 532,
        "LEASING": 341,
        "CARD_JUNIOR": 145,
        "CARD_GOLD": 88,
    }
    assert counts[frozenset({"LOAN", "UVER"})] == 682
    assert counts[frozenset({"ORD_OTHER", "SIPO"})] == 1198


def test_supports_are_shares_of_all_baskets_also_of_the_empty_ones(berka_baskets: pd.DataFrame) -> None:
    assert berka_baskets["basket"].nunique() == 3997
    found = frequent_itemsets(berka_baskets, min_support=0.01, basket_count=4500)
    assert len(found) == 77
    assert (found["support"] == found["count"] / 4500).all()


def test_the_order_is_the_same_whatever_the_order_of_the_rows(berka_baskets: pd.DataFrame) -> None:
    shuffled = berka_baskets.sample(frac=1.0, random_state=7)
    pd.testing.assert_frame_equal(
        frequent_itemsets(berka_baskets, min_count=45), frequent_itemsets(shuffled, min_count=45)
    )
    found = frequent_itemsets(berka_baskets, min_count=45)
    keys = [(len(items), -count, sorted(items)) for items, count in zip(found["itemsets"], found["count"], strict=True)]
    assert keys == sorted(keys)


def test_every_form_of_the_same_baskets_gives_the_same_answer() -> None:
    boolean = pd.DataFrame({"loan": [True, True, False], "card": [True, True, True]})
    answers = [
        frequent_itemsets(form, min_count=1)
        for form in (
            HELD,
            HELD.astype({"item": "category"}),
            HELD.assign(weight=1),
            boolean,
            boolean.astype(int),
            boolean.astype(pd.SparseDtype(bool, False)),
            boolean.astype(pd.SparseDtype(bool, True)),
            {("card", "loan"): 2, ("card",): 1},
            read_baskets(HELD),
        )
    ]
    for answer in answers[1:]:
        pd.testing.assert_frame_equal(answers[0], answer)


def test_a_weight_counts_like_as_many_baskets() -> None:
    weighted = pd.DataFrame({"basket": ["a", "a", "b"], "item": ["card", "loan", "card"], "weight": [3, 3, 2]})
    counts = counts_of(frequent_itemsets(weighted, min_count=1))
    assert counts == {frozenset({"card"}): 5, frozenset({"loan"}): 3, frozenset({"card", "loan"}): 3}


def test_max_len_leaves_out_longer_itemsets_and_nothing_else(berka_baskets: pd.DataFrame) -> None:
    every = frequent_itemsets(berka_baskets, min_count=45)
    pd.testing.assert_frame_equal(
        frequent_itemsets(berka_baskets, min_count=45, max_len=2),
        every[every["itemsets"].map(len) <= 2].reset_index(drop=True),
    )


def test_no_frequent_itemset_gives_an_empty_frame_with_the_columns() -> None:
    found = frequent_itemsets(HELD, min_count=4)
    assert list(found.columns) == ["support", "count", "itemsets"]
    assert found.empty


@pytest.mark.parametrize(
    ("baskets", "share", "bound"),
    [
        (9835, 0.006, 60),
        (100, 0.07, 7),
        (10, 0.1, 1),
        (49, 1 / 49, 1),
        (3, 2 / 3, 2),
        (100_000, 0.01, 1000),
        (5, 1.0, 5),
    ],
)
def test_the_support_bound_is_exact(baskets: int, share: float, bound: int) -> None:
    assert count_bound(baskets, min_support=share) == bound


def test_the_support_bound_admits_the_count_it_was_made_from() -> None:
    generator = np.random.default_rng(3)
    for total in generator.integers(1, 10**9, 300).tolist():
        count = int(generator.integers(1, total + 1))
        assert count_bound(total, min_support=count / total) == count


@pytest.mark.parametrize(
    ("baskets", "message"),
    [
        (HELD.iloc[:0], "frame of baskets is empty"),
        (HELD[["item"]], "no column basket"),
        (HELD.rename(columns={"item": "thing"}), "no column item"),
        (pd.DataFrame(), "no column basket and no column item"),
        (HELD.assign(item=["card", None, "card", "loan", "card"]), "Row 1 of the baskets has no item"),
        (HELD.assign(basket=[1, 1, np.nan, 2, 3]), "Row 2 of the baskets has no basket"),
        (pd.concat([HELD, HELD.iloc[[1]]], ignore_index=True), "Row 5 of the baskets repeats item 'loan'"),
        (HELD.assign(weight=[1, 1, 0, 0, 1]), "Row 2 of the baskets has the weight 0"),
        (HELD.assign(weight=[1, 1, 1.5, 1.5, 1]), "weight 1.5"),
        (HELD.assign(weight=[1, 1, 2, 2, -1]), "Row 4 of the baskets has the weight -1"),
        (HELD.assign(weight=["x", "x", "1", "1", "1"]), "weight 'x'"),
        (HELD.assign(weight=[1, 2, 1, 1, 1]), "all rows of a basket carry its one weight"),
        (HELD.assign(item=["card", 3, "card", 3, "card"]), r"no common order \(int, str\)"),
        (pd.DataFrame({"card": [1, 2], "loan": [0, 1]}), "Row 1, column 'card' is 2"),
        (pd.DataFrame({"card": [1.0, np.nan]}), "Row 1, column 'card' is nan"),
        (pd.DataFrame([[True, True]], columns=["card", "card"]), "column 'card' occurs twice"),
        (pd.DataFrame({"card": pd.Series(dtype=bool)}), "no rows"),
        ({}, "mapping of baskets is empty"),
        ({("card", "card"): 1}, "names an item twice"),
        ({("card",): 0}, "count 0"),
        ({("card", None): 1}, "missing item"),
        ([["card"]], "came as list"),
        ({"card": 1}, r"the key 'card'; a basket is a tuple of items, also one of a single item: \('card',\)"),
        ({7: 1}, r"the key 7; a basket is a tuple"),
        (HELD.assign(item=[["card"]] * 5), r"cannot be told apart from others .*explode"),
        (HELD.assign(weight=[1, 1, 1, 2, 1]), "gives basket 2 the weight 1, another row of the same basket 2"),
        (pd.DataFrame({"card": [1.0, np.nan]}).astype(pd.SparseDtype(float, np.nan)), "Row 1, column 'card' is nan"),
        (HELD.assign(weight=[4_000_000_000, 4_000_000_000, 1, 1, 1]), "4000000000; it must be .* 1 to 3,037,000,499"),
    ],
)
def test_unusable_baskets_are_refused_with_what_was_found(baskets: object, message: str) -> None:
    with pytest.raises(BasketError, match=message):
        frequent_itemsets(baskets, min_count=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "exactly one of min_count and min_support; neither"),
        ({"min_count": 1, "min_support": 0.1}, "both"),
        ({"min_count": 0}, "min_count is 0"),
        ({"min_count": 1.5}, "min_count is 1.5"),
        ({"min_support": 0.0}, "min_support is 0.0"),
        ({"min_support": 1.01}, "min_support is 1.01"),
        ({"min_support": float("nan")}, "min_support is nan"),
        ({"min_count": 1, "max_len": 0}, "max_len is 0"),
        ({"min_count": 1, "basket_count": 2}, "basket_count is 2, but 3 baskets"),
        ({"min_count": 1, "basket_count": 10.7}, "basket_count is 10.7; it must be a whole number of baskets"),
        ({"min_count": 1, "basket_count": float("nan")}, "basket_count is nan"),
        ({"min_count": "2"}, "min_count is '2'"),
        ({"min_count": 1, "max_len": "2"}, "max_len is '2'"),
        ({"min_support": "0.2"}, "min_support is '0.2'"),
    ],
)
def test_bounds_out_of_range_are_refused(bounds: dict[str, float], message: str) -> None:
    with pytest.raises(BasketError, match=message):
        frequent_itemsets(HELD, **bounds)  # type: ignore[arg-type]


def test_groceries_files_hold_what_the_other_tests_assume(groceries_baskets: pd.DataFrame) -> None:
    assert groceries_baskets["basket"].nunique() == 9835
    assert groceries_baskets["item"].nunique() == 169


def test_item_names_are_taken_as_they_are(shared_data: Path, groceries_baskets: pd.DataFrame) -> None:
    with (shared_data / "groceries" / "groceries.csv").open(newline="") as file:
        found = {item for row in csv.reader(file) for item in row}
    assert found == set(groceries_baskets["item"])
