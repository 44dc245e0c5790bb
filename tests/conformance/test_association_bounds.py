"""Bounds: what is cut is said, what is returned is complete, and no input makes time or memory explode."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from mining.association import (
    BasketError,
    ItemsetsCutWarning,
    PackedBaskets,
    association_rules,
    frequent_itemsets,
    pack_baskets,
)

WIDE = tuple(range(2000))


def test_a_basket_of_2000_items_at_support_one_in_n_ends_with_the_items_and_a_clear_warning() -> None:
    with pytest.warns(ItemsetsCutWarning, match="Itemsets of more than 1 item were left out.*max_itemsets = 1,000,000"):
        found = frequent_itemsets({WIDE: 1, (0, 1): 1}, min_support=1 / 2)
    assert len(found) == 2000
    assert len(found.attrs["cut"]) == 1


def test_one_basket_of_2000_items_costs_nothing_when_it_alone_holds_them() -> None:
    generator = np.random.default_rng(2)
    others = {tuple(sorted(generator.choice(2000, 8, replace=False).tolist())): 1 for _ in range(3000)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with_it = frequent_itemsets(others | {WIDE: 1}, min_count=3)
        without = frequent_itemsets(others, min_count=2)
    assert set(with_it["itemsets"]) == set(without["itemsets"])


def test_a_million_identical_baskets_are_one_row() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = frequent_itemsets(pack_baskets(range(12), np.full(1_000_000, 4095)), min_support=0.5)
    assert len(found) == 4095
    assert set(found["count"]) == {1_000_000}


def customers(count: int, products: int) -> PackedBaskets:
    """Return customers who each hold a product with a chance of one in four."""
    generator = np.random.default_rng(9)
    words = generator.integers(0, 1 << products, (2, count), dtype=np.uint64)
    return pack_baskets(range(products), words[0] & words[1])


@pytest.mark.parametrize(
    ("baskets", "bound", "megabytes"),
    [
        ({WIDE: 1, (0, 1): 1}, {"min_support": 1 / 2}, 400),
        ({WIDE: 1, **{(item,): 1 for item in range(2000)}}, {"min_support": 1 / 2001}, 400),
        (pack_baskets(range(12), np.full(1_000_000, 4095)), {"min_support": 0.5}, 150),
        (customers(1_000_000, 16), {"min_support": 0.01}, 25),
        (customers(100_000, 60), {"min_support": 0.05}, 60),
        ({tuple(range(40)): 1_000_000, (40,): 1}, {"min_count": 1_000_000, "max_itemsets": 100_000}, 400),
    ],
    ids=[
        "one wide basket",
        "support of one in n",
        "a million alike",
        "a million of 16 products",
        "all distinct",
        "forty items in every basket",
    ],
)
def test_no_explosion_takes_more_than_some_memory(baskets: object, bound: dict[str, float], megabytes: int) -> None:
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ItemsetsCutWarning)
            found = frequent_itemsets(baskets, **bound)  # type: ignore[arg-type]
        assert 1 <= len(found) <= 1_000_000
        assert tracemalloc.get_traced_memory()[1] / 2**20 < megabytes
    finally:
        tracemalloc.stop()


def test_an_item_in_every_basket_doubles_the_answer_and_no_more() -> None:
    cells = np.random.default_rng(5).random((20_000, 8)) < 0.3
    frame = pd.DataFrame(cells, columns=list("abcdefgh"))
    without = frequent_itemsets(frame, min_count=50)
    with_it = frequent_itemsets(frame.assign(always=True), min_count=50)
    assert len(with_it) == 2 * len(without) + 1


def test_what_is_returned_under_a_bound_of_output_is_complete_up_to_a_length() -> None:
    cells = np.random.default_rng(6).random((400, 14)) < 0.6
    frame = pd.DataFrame(cells, columns=[f"{place:02}" for place in range(14)])
    every = frequent_itemsets(frame, min_count=20)
    sizes = every["itemsets"].map(len)
    for bound in (50, 500, 1500):
        with pytest.warns(ItemsetsCutWarning, match=f"max_itemsets = {bound:,} in all") as caught:
            found = frequent_itemsets(frame, min_count=20, max_itemsets=bound)
        longest = found["itemsets"].map(len).max()
        assert f"more than {longest} item" in str(caught[0].message)
        assert len(found) <= bound < (sizes <= longest + 1).sum()
        pd.testing.assert_frame_equal(found, every[sizes <= longest].reset_index(drop=True))


def test_more_items_than_itemsets_allowed_is_an_error() -> None:
    with pytest.raises(BasketError, match="2,000 items are in at least 1 baskets, more than max_itemsets = 100"):
        frequent_itemsets({WIDE: 1}, min_count=1, max_itemsets=100)


def test_more_items_than_the_search_takes_is_an_error() -> None:
    with pytest.raises(BasketError, match="70,000 items are in at least 1 baskets; the search takes 65,536"):
        frequent_itemsets({tuple(range(70_000)): 1}, min_count=1)


@pytest.mark.parametrize("form", [lambda baskets: baskets, lambda baskets: pd.DataFrame(np.array([[True] * 2000]))])
def test_baskets_wider_than_allowed_are_left_out_and_counted_in_the_denominator(
    form: Callable[[object], object],
) -> None:
    with pytest.warns(ItemsetsCutWarning, match=r"1 basket of more than max_width = 50 items \(the widest holds 2,000"):
        assert frequent_itemsets(form({WIDE: 1}), min_count=1, max_width=50).empty  # type: ignore[arg-type]
    baskets = {WIDE: 3, (0, 1): 5, (1,): 2}
    with pytest.warns(ItemsetsCutWarning, match="3 baskets of more than max_width"):
        found = frequent_itemsets(baskets, min_count=1, max_width=50)
    assert dict(zip(found["itemsets"], found["support"], strict=True)) == {
        frozenset({1}): 0.7,
        frozenset({0}): 0.5,
        frozenset({0, 1}): 0.5,
    }


@pytest.mark.parametrize("kind", ["closed", "maximal"])
@pytest.mark.parametrize("max_len", [None, 3])
def test_closed_and_maximal_itemsets_are_those_of_the_definition(kind: str, max_len: int | None) -> None:
    cells = np.random.default_rng(7).random((80, 9)) < 0.5
    cells[:, 3] |= cells[:, 1]
    frame = pd.DataFrame(cells, columns=list("abcdefghi"))
    counts = frequent_itemsets(frame, min_count=10, max_len=max_len)
    count = dict(zip(counts["itemsets"], counts["count"].tolist(), strict=True))
    expected = {
        itemset
        for itemset in count
        if not any(itemset < larger and (kind == "maximal" or count[larger] == count[itemset]) for larger in count)
    }
    found = frequent_itemsets(frame, min_count=10, max_len=max_len, kind=kind)  # type: ignore[arg-type]
    assert set(found["itemsets"]) == expected
    assert len(expected) < len(count)
    assert all(
        count[itemset] == found_count for itemset, found_count in zip(found["itemsets"], found["count"], strict=True)
    )


@pytest.mark.parametrize("kind", ["closed", "maximal"])
def test_that_larger_ones_left_out_were_not_compared_is_said(kind: str) -> None:
    baskets = {("a", "b", "c"): 3, ("a",): 2}
    with pytest.warns(ItemsetsCutWarning) as caught:
        found = frequent_itemsets(baskets, min_count=1, kind=kind, max_itemsets=6)  # type: ignore[arg-type]
    assert frozenset({"a", "b"}) in set(found["itemsets"])  # which is neither, beside a, b and c together
    assert found.attrs["cut"] == [str(one.message) for one in caught]
    assert found.attrs["cut"][-1].startswith(f"Not all that are returned need be {kind}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not frequent_itemsets(baskets, min_count=1, kind=kind).attrs["cut"]  # type: ignore[arg-type]


def test_all_itemsets_can_be_made_again_from_the_closed_ones() -> None:
    frame = pd.DataFrame(np.random.default_rng(8).random((60, 8)) < 0.6, columns=list("abcdefgh"))
    closed = frequent_itemsets(frame, min_count=12, kind="closed")
    again: dict[frozenset[str], int] = {}
    for itemset, count in zip(closed["itemsets"], closed["count"].tolist(), strict=True):
        for length in range(1, len(itemset) + 1):
            for part in map(frozenset, combinations(itemset, length)):
                again[part] = max(count, again.get(part, 0))
    every = frequent_itemsets(frame, min_count=12)
    assert again == dict(zip(every["itemsets"], every["count"].tolist(), strict=True))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BasketError, match="kind is 'open'; valid are all, closed, maximal"):
        frequent_itemsets({("a",): 1}, min_count=1, kind="open")  # type: ignore[arg-type]


def test_a_long_itemset_does_not_make_rules_without_bound() -> None:
    found = frequent_itemsets({tuple(range(15)): 1}, min_count=1)
    with pytest.raises(BasketError, match="32,767 itemsets of up to 15 items make 14,283,372 rules"):
        association_rules(found, 1)
    assert len(association_rules(found, 1, max_consequent=1, min_threshold=0.0)) == 15 * (2**14 - 1)
