"""Baskets kept in parts: what is added up or mined in parts is what one mine of everything gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.association import (
    BasketError,
    Baskets,
    frequent_itemsets,
    frequent_itemsets_of_parts,
    merge_baskets,
    pack_baskets,
    read_baskets,
)
from mining.association.baskets import distinct_baskets, merged_rows


def split(frame: pd.DataFrame, parts: int) -> list[pd.DataFrame]:
    return [frame[frame["basket"] % parts == part] for part in range(parts)]


@pytest.fixture(scope="module")
def parts(quest_baskets: pd.DataFrame) -> list[Baskets]:
    return [read_baskets(part) for part in split(quest_baskets, 4)]


def test_parts_added_up_are_the_whole(parts: list[Baskets], quest_baskets: pd.DataFrame) -> None:
    merged = merge_baskets(parts)
    whole = distinct_baskets(read_baskets(quest_baskets))
    assert merged.items == whole.items
    for name in ("offsets", "codes", "weights"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    assert merged.basket_count == 100_000


def test_parts_as_words_add_up_too() -> None:
    one, two = pack_baskets(["card", "loan"], [1, 3], [2, 1]), pack_baskets(["card"], [1], [3], basket_count=10)
    merged = merge_baskets([one, two])
    assert (merged.items, merged.weights.tolist(), merged.basket_count) == (("card", "loan"), [5, 1], 13)


def test_parts_come_in_every_form_that_baskets_come_in() -> None:
    parts = [{("card", "loan"): 2}, pd.DataFrame({"basket": [1, 2], "item": ["card", "loan"]})]
    whole = frequent_itemsets({("card", "loan"): 2, ("card",): 1, ("loan",): 1}, min_count=1)
    pd.testing.assert_frame_equal(frequent_itemsets(merge_baskets(parts), min_count=1), whole)
    pd.testing.assert_frame_equal(frequent_itemsets_of_parts(iter(parts), min_count=1), whole)
    with pytest.raises(BasketError, match="no common order"):
        frequent_itemsets_of_parts([{("card",): 1}, {(7,): 1}], min_count=1)


def test_parts_mined_beside_each_other_give_the_answer_of_one_mine(
    parts: list[Baskets], quest_baskets: pd.DataFrame
) -> None:
    whole = frequent_itemsets(quest_baskets, min_count=500)
    pd.testing.assert_frame_equal(frequent_itemsets_of_parts(parts, min_count=500), whole)
    with ThreadPoolExecutor(2) as executor:
        beside = frequent_itemsets_of_parts(parts, min_support=0.005, executor=executor)
    pd.testing.assert_frame_equal(beside, whole)


def test_a_change_of_some_customers_needs_only_their_part(parts: list[Baskets], quest_baskets: pd.DataFrame) -> None:
    changed = quest_baskets.drop(quest_baskets.index[quest_baskets["basket"] % 4 == 2][:5000])
    again = [*parts[:2], read_baskets(changed[changed["basket"] % 4 == 2]), parts[3]]
    pd.testing.assert_frame_equal(
        frequent_itemsets(merge_baskets(again), min_count=500), frequent_itemsets(changed, min_count=500)
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.frozensets(st.sampled_from("abcdefg")).map(lambda held: tuple(sorted(held))),
            st.integers(1, 5),
            min_size=1,
            max_size=12,
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 12),
)
def test_any_parts_give_the_answer_of_the_whole(given_parts: list[dict[tuple[str, ...], int]], min_count: int) -> None:
    read = [read_baskets(part) for part in given_parts]
    whole = merge_baskets(read)
    expected = frequent_itemsets(whole, min_count=min_count)
    pd.testing.assert_frame_equal(frequent_itemsets_of_parts(read, min_count=min_count), expected)
    packed = [part.pack() for part in read]
    pd.testing.assert_frame_equal(frequent_itemsets_of_parts(packed, min_count=min_count), expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 70), max_size=4), min_size=1, max_size=60))
def test_merging_equal_rows_changes_no_count(held: list[frozenset[int]]) -> None:
    frame = pd.DataFrame(
        [(basket, item) for basket, items in enumerate(held) for item in items], columns=["basket", "item"]
    )
    if frame.empty:
        return
    read = read_baskets(frame)
    distinct = distinct_baskets(read)
    for form in (read, read.pack()):
        merged = merged_rows(form)
        back = merged if isinstance(merged, Baskets) else merged.unpack()
        again = distinct_baskets(back)
        for name in ("offsets", "codes", "weights"):
            np.testing.assert_array_equal(getattr(again, name), getattr(distinct, name))


def test_no_parts_and_parts_with_too_many_itemsets_are_refused(parts: list[Baskets]) -> None:
    with pytest.raises(BasketError, match="No parts"):
        frequent_itemsets_of_parts([], min_count=1)
    with pytest.raises(BasketError, match="No parts"):
        merge_baskets([])
    with pytest.raises(
        BasketError, match=r"A part of 25,\d+ baskets has more than max_itemsets = 500|max_itemsets = 500"
    ):
        frequent_itemsets_of_parts(parts, min_count=500, max_itemsets=500)
