"""Frequent itemsets: which items are held together, and by how many.

Belongs here: the bounds of a mine, the compact table that rules are made from, and the frame a caller sees.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import pandas as pd
from mlxtend.frequent_patterns import fpgrowth

from mining.association.baskets import BasketError, BasketInput, Baskets, Integers, read_baskets

__all__ = ["ItemsetTable", "count_bound", "find_itemsets", "frequent_itemsets"]

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class ItemsetTable:
    """Itemsets by length, each length in lexicographic order of codes.

    Attributes
    ----------
    items : tuple
        Label of each code.
    levels : tuple of ndarray of int32
        ``levels[k - 1]`` has shape (itemsets of k items, k); codes ascend within a row, rows are sorted.
    counts : tuple of ndarray of int64
        ``counts[k - 1][i]`` baskets hold all items of ``levels[k - 1][i]``.
    """

    items: tuple[Hashable, ...]
    levels: tuple[Codes, ...]
    counts: tuple[Integers, ...]

    def __len__(self) -> int:
        return sum(len(level) for level in self.levels)

    def sets(self, level: int) -> npt.NDArray[np.object_]:
        """Return the itemsets of one level as frozensets of labels."""
        labels = np.empty(len(self.items), dtype=object)
        labels[:] = self.items
        made = np.empty(len(self.levels[level]), dtype=object)
        made[:] = [frozenset(row) for row in labels[self.levels[level]].tolist()]
        return made


def count_bound(basket_count: int, *, min_count: int | None = None, min_support: float | None = None) -> int:
    """Return the smallest count that satisfies the bound.

    A share is not multiplied with the basket count (0.07 x 100 is 7.000000000000001 in floating point, which would
    lose the itemsets with 7): the answer is the smallest c with c / basket_count >= min_support.

    Parameters
    ----------
    basket_count : int
        All baskets, at least 1.
    min_count, min_support : int, float
        Exactly one: a number of baskets of 1 or more, or a share with 0 < share <= 1.

    Raises
    ------
    BasketError
        When none or both are given or the one given is out of range.

    Examples
    --------
    >>> count_bound(9835, min_support=0.006), count_bound(100, min_support=0.07)
    (60, 7)
    """
    if (min_count is None) == (min_support is None):
        given = "neither" if min_count is None else "both"
        raise BasketError(f"Give exactly one of min_count and min_support; {given} was given.")
    if min_count is not None:
        if isinstance(min_count, bool) or int(min_count) != min_count or min_count < 1:
            raise BasketError(f"min_count is {min_count!r}; it must be a whole number of baskets, 1 or more.")
        return int(min_count)
    if min_support is None or not 0.0 < min_support <= 1.0:
        raise BasketError(f"min_support is {min_support!r}; it must be a share of the baskets, 0 < share <= 1.")
    share = float(min_support)
    bound = max(int(share * basket_count) - 1, 1)
    while bound / basket_count < share:
        bound += 1
    return bound


def frequent_itemsets(
    baskets: BasketInput,
    *,
    min_count: int | None = None,
    min_support: float | None = None,
    max_len: int | None = None,
    basket_count: int | None = None,
) -> pd.DataFrame:
    """Return every itemset that at least so many baskets hold.

    Parameters
    ----------
    baskets : DataFrame or mapping
        See `read_baskets`: a long frame (basket, item and optionally weight), a boolean frame, or counted tuples.
    min_count, min_support : int, float
        The bound, as a number of baskets or as a share of them; give exactly one.
    max_len : int, optional
        Longest itemset wanted; all lengths by default.
    basket_count : int, optional
        All baskets, empty ones included; default: the baskets given.

    Returns
    -------
    DataFrame
        ``support`` (share), ``count`` (baskets), ``itemsets`` (frozenset), in the order: short before long, frequent
        before rare, then by the items.

    Raises
    ------
    BasketError
        When the baskets or a bound cannot be used.

    Examples
    --------
    >>> held = pd.DataFrame({"basket": [1, 1, 2, 2, 3], "item": ["card", "loan", "card", "loan", "card"]})
    >>> found = frequent_itemsets(held, min_count=2)
    >>> [(sorted(itemset), count) for itemset, count in zip(found["itemsets"], found["count"])]
    [(['card'], 3), (['loan'], 2), (['card', 'loan'], 2)]
    """
    read = read_baskets(baskets, basket_count=basket_count)
    bound = count_bound(read.basket_count, min_count=min_count, min_support=min_support)
    if max_len is not None and (isinstance(max_len, bool) or int(max_len) != max_len or max_len < 1):
        raise BasketError(f"max_len is {max_len!r}; it must be a whole number of items, 1 or more.")
    return itemset_frame(find_itemsets(read, bound, max_len=max_len), read.basket_count)


def itemset_frame(table: ItemsetTable, basket_count: int) -> pd.DataFrame:
    """Return the table as mlxtend's frame, with counts."""
    sets, counts = [], []
    for level, (codes, level_counts) in enumerate(zip(table.levels, table.counts, strict=True)):
        order = np.lexsort((*codes.T[::-1], -level_counts))
        sets.append(table.sets(level)[order])
        counts.append(level_counts[order])
    every_count = np.concatenate(counts) if counts else np.empty(0, dtype=np.int64)
    every_set = np.concatenate(sets) if sets else np.empty(0, dtype=object)
    return pd.DataFrame({"support": every_count / basket_count, "count": every_count, "itemsets": every_set})


def find_itemsets(baskets: Baskets, min_count: int, *, max_len: int | None = None) -> ItemsetTable:
    """Mine the itemsets that at least `min_count` baskets hold, as the compact table that rules are made from."""
    if not len(baskets.weights) or min_count > baskets.basket_count:
        return ItemsetTable(baskets.items, (), ())
    repeated = baskets.matrix()[np.repeat(np.arange(len(baskets.weights)), baskets.weights)]
    found = fpgrowth(
        pd.DataFrame.sparse.from_spmatrix(repeated),  # type: ignore[attr-defined]
        min_support=(min_count - 0.5) / repeated.shape[0],
        max_len=max_len,
    )
    counts = np.rint(found["support"].to_numpy(dtype=np.float64) * repeated.shape[0]).astype(np.int64)
    sets = [sorted(itemset) for itemset in found["itemsets"]]
    return table_of(baskets.items, sets, counts)


def table_of(items: tuple[Hashable, ...], sets: list[list[int]], counts: Integers) -> ItemsetTable:
    """Build the table from lists of ascending codes and their counts, in any order."""
    lengths = np.fromiter(map(len, sets), dtype=np.int64, count=len(sets))
    flat = np.fromiter(chain.from_iterable(sets), dtype=np.int32, count=int(lengths.sum()))
    starts = np.cumsum(lengths) - lengths
    levels, level_counts = [], []
    for length in range(1, int(lengths.max(initial=0)) + 1):
        of_length = np.flatnonzero(lengths == length)
        codes = flat[starts[of_length, None] + np.arange(length)]
        order = np.lexsort(codes.T[::-1])
        levels.append(codes[order])
        level_counts.append(counts[of_length][order])
    return ItemsetTable(items, tuple(levels), tuple(level_counts))
