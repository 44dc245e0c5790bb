"""What every frequent-itemset miner must do: mlxtend's two and ours, ours also with its blocks made tiny.

A miner takes a boolean frame, a count and a longest length, and returns the count of every frequent itemset.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlxtend.frequent_patterns import apriori, fpgrowth

from mining.association import frequent_itemsets, pack_baskets, read_baskets, vertical
from mining.association.baskets import Baskets, PackedBaskets

Counts = dict[frozenset[object], int]
Miner = Callable[[pd.DataFrame, int, int | None], Counts]


def of_mlxtend(algorithm: Callable[..., pd.DataFrame]) -> Miner:
    def mine(frame: pd.DataFrame, min_count: int, max_len: int | None) -> Counts:
        # Half a basket below the count, since mlxtend multiplies the share back and may round it up.
        support = max(min_count - 0.5, 0.5) / len(frame)
        if support > 1:
            return {}
        found = algorithm(frame, min_support=support, use_colnames=True, max_len=max_len)
        counts = np.rint(found["support"].to_numpy() * len(frame)).astype(int)
        return dict(zip(found["itemsets"], counts.tolist(), strict=True))

    return mine


def of_ours(form: Callable[[pd.DataFrame], object]) -> Miner:
    def mine(frame: pd.DataFrame, min_count: int, max_len: int | None) -> Counts:
        found = frequent_itemsets(form(frame), min_count=min_count, max_len=max_len)  # type: ignore[arg-type]
        return dict(zip(found["itemsets"], found["count"].tolist(), strict=True))

    return mine


def as_long(frame: pd.DataFrame) -> pd.DataFrame:
    rows, columns = np.nonzero(frame.to_numpy())
    return pd.DataFrame({"basket": rows, "item": frame.columns.to_numpy()[columns]})


def as_counted(frame: pd.DataFrame) -> dict[tuple[object, ...], int]:
    tuples = [tuple(frame.columns[row]) for row in frame.to_numpy()]
    return pd.Series(tuples, dtype=object).value_counts().to_dict()


def as_packed(frame: pd.DataFrame) -> PackedBaskets:
    return read_baskets(frame).pack()


MINERS = {
    "mlxtend fpgrowth": of_mlxtend(fpgrowth),
    "mlxtend apriori": of_mlxtend(apriori),
    "ours, boolean frame": of_ours(lambda frame: frame),
    "ours, sparse frame": of_ours(lambda frame: frame.astype(pd.SparseDtype(bool, False))),
    "ours, counted tuples": of_ours(as_counted),
    "ours, packed": of_ours(as_packed),
}


@pytest.fixture(params=list(MINERS))
def miner(request: pytest.FixtureRequest) -> Miner:
    return MINERS[request.param]


def by_hand(frame: pd.DataFrame, min_count: int, max_len: int | None) -> Counts:
    cells = frame.to_numpy()
    found: Counts = {}
    for length in range(1, (max_len or cells.shape[1]) + 1):
        for columns in combinations(range(cells.shape[1]), length):
            count = int(cells[:, columns].all(axis=1).sum())
            if count >= min_count:
                found[frozenset(frame.columns[list(columns)])] = count
    return found


@pytest.fixture
def held() -> pd.DataFrame:
    cells = np.random.default_rng(4).random((60, 7)) < [0.9, 0.7, 0.5, 0.5, 0.3, 0.1, 0.02]
    return pd.DataFrame(cells, columns=list("gfedcba"))


@pytest.mark.parametrize("min_count", [1, 2, 10, 40, 60, 61])
@pytest.mark.parametrize("max_len", [1, 2, 3, None])
def test_every_frequent_itemset_is_found_with_its_count(
    miner: Miner, held: pd.DataFrame, min_count: int, max_len: int | None
) -> None:
    assert miner(held, min_count, max_len) == by_hand(held, min_count, max_len)


def test_an_item_in_every_basket_is_in_half_of_all_itemsets(miner: Miner, held: pd.DataFrame) -> None:
    counts = miner(held.assign(always=True), 5, None)
    with_it = {itemset for itemset in counts if "always" in itemset}
    assert len(with_it) == (len(counts) + 1) / 2
    assert all(counts[itemset] == counts.get(itemset - {"always"}, 60) for itemset in with_it)


def test_equal_baskets_give_every_subset_with_the_same_count(miner: Miner) -> None:
    counts = miner(pd.DataFrame(np.ones((50, 6), dtype=bool), columns=list("abcdef")), 50, None)
    assert len(counts) == 2**6 - 1
    assert set(counts.values()) == {50}


def test_a_part_is_never_rarer_than_the_whole(miner: Miner, held: pd.DataFrame) -> None:
    counts = miner(held, 3, None)
    for itemset, count in counts.items():
        for item in itemset:
            if len(itemset) > 1:
                assert counts[itemset - {item}] >= count


def test_baskets_without_any_item_are_counted_but_hold_nothing(miner: Miner, held: pd.DataFrame) -> None:
    empty = pd.DataFrame(False, index=range(40), columns=held.columns)
    assert miner(pd.concat([held, empty], ignore_index=True), 6, None) == miner(held, 6, None)


# Ours alone, on whatever hypothesis thinks of, by each of its ways and with blocks so small that all of them are used.

BLOCKS = {
    "as measured best": {},
    "tiny blocks": {
        "TILE_WORDS": 8,
        "CANDIDATE_WORDS": 4,
        "TABLE_CELLS": 16,
        "KEYS_AT_ONCE": 128,
        "SPREAD_BYTES": 256,
    },
    "cut at every turn": {"WIDE_WORDS": 1, "CUT_CALL": -1, "CUT_WORD": 0, "CUT_RATIO": 0},
    "cut where sparse, tiny blocks": {
        "WIDE_WORDS": 1,
        "CUT_CALL": -1,
        "CUT_WORD": 0,
        "CUT_RATIO": 3,
        "TILE_WORDS": 8,
        "CANDIDATE_WORDS": 4,
    },
}
WAYS = {"lists": False, "words": True}


@st.composite
def weighted_baskets(draw: st.DrawFn) -> tuple[Baskets, int]:
    items = draw(st.integers(1, 12))
    baskets = draw(
        st.dictionaries(
            st.frozensets(st.integers(0, items - 1), max_size=items).map(lambda held: tuple(sorted(held))),
            st.one_of(st.integers(1, 4), st.sampled_from([1, 64, 1000, 2**24])),
            min_size=1,
            max_size=60,
        )
    )
    min_count = draw(st.one_of(st.integers(1, 6), st.sampled_from([64, 1001, 2**24 + 1])))
    return read_baskets(baskets), min_count


@st.composite
def boolean_frames(draw: st.DrawFn) -> tuple[pd.DataFrame, int, int | None]:
    rows, columns = draw(st.integers(1, 120)), draw(st.integers(1, 9))
    seed, density = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.02, 0.1, 0.3, 0.6, 0.95]))
    generator = np.random.default_rng(seed)
    cells = generator.random((rows, columns)) < density * generator.uniform(0.2, 1.05, columns)
    frame = pd.DataFrame(cells, columns=[f"item {place}" for place in range(columns)])
    return frame, draw(st.integers(1, max(1, rows // 3))), draw(st.sampled_from([None, None, 2, 3]))


@pytest.fixture
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, way = request.param
    for name, value in BLOCKS[blocks].items():
        monkeypatch.setattr(vertical, name, value)
    monkeypatch.setattr(vertical, "_words_are_cheaper", lambda *_: WAYS[way])


EVERY_ENGINE = pytest.mark.parametrize("engine", [(blocks, way) for blocks in BLOCKS for way in WAYS], indirect=True)


@EVERY_ENGINE
@settings(max_examples=65, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(boolean_frames())
def test_ours_equals_fpgrowth_itemset_by_itemset(
    engine: None, case: tuple[pd.DataFrame, int, int | None]
) -> None:  # 65 cases for each of 8 engines: 520 random basket sets
    frame, min_count, max_len = case
    expected = of_mlxtend(fpgrowth)(frame, min_count, max_len)
    assert of_ours(read_baskets)(frame, min_count, max_len) == expected


@EVERY_ENGINE
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(weighted_baskets())
def test_weights_count_like_repeated_baskets(engine: None, case: tuple[Baskets, int]) -> None:
    baskets, min_count = case
    expected: Counts = {}
    for row, weight in enumerate(baskets.weights.tolist()):
        held = baskets.codes[baskets.offsets[row] : baskets.offsets[row + 1]].tolist()
        for length in range(1, len(held) + 1):
            for part in combinations(held, length):
                itemset = frozenset(baskets.items[code] for code in part)
                expected[itemset] = expected.get(itemset, 0) + weight
    found = frequent_itemsets(baskets, min_count=min_count)
    assert dict(zip(found["itemsets"], found["count"].tolist(), strict=True)) == {
        itemset: count for itemset, count in expected.items() if count >= min_count
    }


@pytest.mark.parametrize("density", [0.003, 0.05, 0.4])
def test_both_ways_agree_on_baskets_large_enough_to_be_cut(density: float, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(9)
    shares = density * generator.uniform(0.3, 1.6, 90 if density < 0.1 else 14)
    cells = generator.random((30_000, len(shares))) < shares
    cells[:4000, :6] |= generator.random((4000, 1)) < 0.7
    frame = pd.DataFrame(cells, columns=[f"{place:03}" for place in range(len(shares))])
    answers = []
    for way in WAYS.values():
        monkeypatch.setattr(vertical, "_words_are_cheaper", lambda *_, way=way: way)
        answers.append(frequent_itemsets(frame, min_count=40))
    assert answers[0]["itemsets"].map(len).max() >= 5
    pd.testing.assert_frame_equal(*answers)


@pytest.mark.parametrize("min_count", [1000, 500])
def test_both_ways_agree_on_t10i4d100k(
    quest_baskets: pd.DataFrame, min_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_baskets(quest_baskets)
    lists = frequent_itemsets(read, min_count=min_count)
    monkeypatch.setattr(vertical, "_words_are_cheaper", lambda *_: True)
    pd.testing.assert_frame_equal(lists, frequent_itemsets(read, min_count=min_count))


def test_more_than_64_items_take_several_words() -> None:
    generator = np.random.default_rng(1)
    frame = pd.DataFrame(generator.random((500, 150)) < 0.05, columns=[f"{place:03}" for place in range(150)])
    packed = as_packed(frame)
    assert packed.words.shape == (500, 3)
    again = pack_baskets(packed.items, packed.words)
    assert of_ours(lambda _: again)(frame, 4, None) == of_mlxtend(fpgrowth)(frame, 4, None)
