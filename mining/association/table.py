"""The compact table of itemsets, and where the parts of each itemset are in it.

Rules, closed and maximal itemsets are read from these places, whole levels at a time.
"""

from __future__ import annotations

import gc
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from mining.association.baskets import BasketError, Integers, row_order

__all__ = ["Codes", "ItemsetTable", "Lattice", "table_of"]

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
    cut : tuple of str
        What bounds left out, in words; empty when the table is complete.
    """

    items: tuple[Hashable, ...]
    levels: tuple[Codes, ...]
    counts: tuple[Integers, ...]
    cut: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(len(level) for level in self.levels)

    def sets(self, level: int) -> npt.NDArray[np.object_]:
        """Return the itemsets of one level as frozensets of labels."""
        labels = np.empty(len(self.items), dtype=object)
        labels[:] = self.items
        made = np.empty(len(self.levels[level]), dtype=object)
        columns = [labels[codes].tolist() for codes in self.levels[level].T]
        # The collector would look through all sets again and again as they are made: without it, half the time.
        collects = gc.isenabled()
        gc.disable()
        try:
            made[:] = list(map(frozenset, zip(*columns, strict=True)))
        finally:
            if collects:
                gc.enable()
        return made


def table_of(items: tuple[Hashable, ...], sets: list[list[int]], counts: Integers) -> ItemsetTable:
    """Build the table from lists of ascending codes and their counts, in any order."""
    lengths = np.fromiter(map(len, sets), dtype=np.int64, count=len(sets))
    flat = np.fromiter(chain.from_iterable(sets), dtype=np.int32, count=int(lengths.sum()))
    starts = np.cumsum(lengths) - lengths
    levels, level_counts = [], []
    for length in range(1, int(lengths.max(initial=0)) + 1):
        of_length = np.flatnonzero(lengths == length)
        codes = flat[starts[of_length, None] + np.arange(length)]
        order = row_order(codes, len(items))
        levels.append(codes[order])
        level_counts.append(counts[of_length][order])
    return ItemsetTable(items, tuple(levels), tuple(level_counts))


class Lattice:
    """Places of the parts of itemsets within their levels.

    ``facets[k - 1]`` has shape (itemsets of k items, k): the place, in the level below, of the itemset without its
    i-th item. ``keys[k - 1]`` are ascending: place of the prefix times the number of items, plus the last code.
    """

    def __init__(self, table: ItemsetTable) -> None:
        self.table = table
        self.keys: list[Integers] = []
        self.facets: list[Integers] = []
        for level, codes in enumerate(table.levels):
            if level == 0:
                self.keys.append(codes[:, 0].astype(np.int64))
                self.facets.append(np.zeros((len(codes), 1), dtype=np.int64))
                continue
            prefix = np.zeros(len(codes), dtype=np.int64)
            for part in range(level):
                prefix = self._find(part, prefix, codes[:, part])
            facets = np.empty((len(codes), level + 1), dtype=np.int64)
            facets[:, level] = prefix
            self.keys.append(prefix * len(table.items) + codes[:, level])
            if level == 1:
                facets[:, 0] = self._find(0, prefix, codes[:, 1])
            else:
                for removed in range(level):
                    facets[:, removed] = self._find(level - 1, self.facets[level - 1][prefix, removed], codes[:, level])
            self.facets.append(facets)

    def _find(self, level: int, prefix: Integers, last: npt.NDArray[np.int32]) -> Integers:
        """Return the places of itemsets given by the place of their prefix and their last code."""
        wanted = last.astype(np.int64) if level == 0 else prefix * len(self.table.items) + last
        keys = self.keys[level]
        places = np.searchsorted(keys, wanted)
        found = keys[np.minimum(places, len(keys) - 1)] == wanted if len(keys) else np.zeros(wanted.shape, dtype=bool)
        if not found.all():
            code = int(np.broadcast_to(last, found.shape)[~found][0])
            raise BasketError(
                f"An itemset with {self.table.items[code]!r} is given, but not all its parts of {level + 1} items; "
                "rules need every frequent itemset (not only closed or maximal ones), with the lengths below."
            )
        return places

    def candidates(self) -> list[int]:
        """Return per length how many itemsets the search had to count: pairs of siblings of the level below."""
        counts = [len(self.table.items)][: len(self.keys)]
        for level in range(1, len(self.keys)):
            below = self.keys[level - 1] // len(self.table.items) if level > 1 else np.zeros(len(self.keys[0]))
            siblings = np.unique(below, return_counts=True)[1].astype(np.int64)
            counts.append(int((siblings * (siblings - 1) // 2).sum()))
        return counts

    def parts_by_removal(self, length: int, masks: Integers, first_place: Integers) -> Integers:
        """Return the global places of large parts, shape (itemsets, masks); masks hold all supersets they need."""
        rows = len(self.table.levels[length - 1])
        column = {int(mask): place for place, mask in enumerate(masks)}
        places = np.empty((rows, len(masks)), dtype=np.int64)
        sizes = np.bitwise_count(masks)
        for size in range(length - 1, 0, -1):
            wanted = np.flatnonzero(sizes == size)
            if not len(wanted):
                break
            missing = ~masks[wanted] & ((1 << length) - 1)
            bit = missing & -missing
            bit_place = np.bitwise_count((bit - 1) & masks[wanted]).astype(np.int64)
            if size == length - 1:
                places[:, wanted] = self.facets[length - 1][:, bit_place]
            else:
                above = [column[int(mask)] for mask in masks[wanted] | bit]
                places[:, wanted] = self.facets[size][places[:, above], bit_place]
        return places + first_place[sizes.astype(np.int64) - 1]

    def parts_by_lookup(self, length: int, masks: Integers, first_place: Integers) -> Integers:
        """Return the global places of small parts, shape (itemsets, masks), built up from single items."""
        codes = self.table.levels[length - 1]
        places = np.empty((len(codes), len(masks)), dtype=np.int64)
        column = {int(mask): place for place, mask in enumerate(masks)}
        sizes = np.bitwise_count(masks)
        for size in range(1, int(sizes.max(initial=0)) + 1):
            wanted = np.flatnonzero(sizes == size)
            top = np.floor(np.log2(masks[wanted])).astype(np.int64)
            below = [column.get(int(mask), 0) for mask in masks[wanted] & ~(np.int64(1) << top)]
            prefix = places[:, below] if size > 1 else np.zeros((len(codes), len(wanted)), dtype=np.int64)
            places[:, wanted] = self._find(size - 1, prefix, codes[:, top])
        return places + first_place[sizes.astype(np.int64) - 1]
