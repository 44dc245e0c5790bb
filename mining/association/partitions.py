"""Mining the parts of a bank's customers one by one, with the answer of mining them together.

Each part keeps its own baskets. When customers change, their part is read again and the others stay as they are;
`merge_baskets` adds the parts up, or `frequent_itemsets_of_parts` mines them beside each other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from concurrent.futures import Executor
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from mining.association.baskets import (
    BasketError,
    BasketInput,
    Baskets,
    Integers,
    PackedBaskets,
    as_read,
    merged_rows,
    row_order,
    sorted_items,
)
from mining.association.itemsets import MAXIMUM_ITEMSETS, count_bound, find_itemsets, itemset_frame
from mining.association.table import Codes, ItemsetTable
from mining.association.vertical import count_itemsets

__all__ = ["frequent_itemsets_of_parts"]


def frequent_itemsets_of_parts(
    parts: Iterable[BasketInput],
    *,
    min_count: int | None = None,
    min_support: float | None = None,
    max_len: int | None = None,
    max_itemsets: int = MAXIMUM_ITEMSETS,
    executor: Executor | None = None,
) -> pd.DataFrame:
    """Return what `frequent_itemsets` returns for all parts together, from a mine of each part.

    Parameters
    ----------
    parts : iterable of DataFrame, mapping, Baskets or PackedBaskets
        Each in a form that `read_baskets` takes; a basket is in one part.
    min_count, min_support : int, float
        The bound over all parts: exactly one.
    max_len, max_itemsets : int, optional
        As in `frequent_itemsets`; a part with more than `max_itemsets` is an error here.
    executor : concurrent.futures.Executor, optional
        Runs the parts beside each other; one after the other by default.

    Raises
    ------
    BasketError
        When a bound cannot be used, or a part has too many itemsets at its share of the bound.

    Notes
    -----
    Savasere, Omiecinski & Navathe (1995): an itemset that misses its share of the bound in every part misses the
    bound, so the itemsets frequent in some part are all there can be. Each of these is then counted in every part.
    Parts should be large: the share of a small part may be a single basket.

    Examples
    --------
    >>> from mining.association import read_baskets
    >>> parts = [read_baskets({("card", "loan"): 2, ("card",): 1}), read_baskets({("loan",): 4, ("card", "loan"): 1})]
    >>> found = frequent_itemsets_of_parts(parts, min_count=3)
    >>> [(sorted(itemset), count) for itemset, count in zip(found["itemsets"], found["count"])]
    [(['loan'], 7), (['card'], 4), (['card', 'loan'], 3)]
    """
    given = [as_read(part) for part in parts]
    if not given:
        raise BasketError("No parts of baskets were given; at least one is needed.")
    run = map if executor is None else executor.map
    basket_count = sum(part.basket_count for part in given)
    bound = count_bound(basket_count, min_count=min_count, min_support=min_support)
    held = [int(part.weights.sum()) for part in given]
    shares = [max(1, -(-bound * count // max(1, sum(held)))) for count in held]
    merged = list(run(merged_rows, given))
    tables = list(run(partial(_mined, max_len=max_len, max_itemsets=max_itemsets), merged, shares))
    items, _ = sorted_items(list(dict.fromkeys(item for part in given for item in part.items)))
    levels = _together(items, tables)
    by_part = list(run(partial(_counted, items=items, levels=levels), merged))
    counts = [np.sum(of_level, axis=0) for of_level in zip(*by_part, strict=True)]
    frequent = [np.flatnonzero(count >= bound) for count in counts]
    kept = sum(len(places) > 0 for places in frequent)
    table = ItemsetTable(
        items,
        tuple(level[places] for level, places in zip(levels[:kept], frequent, strict=False)),
        tuple(count[places] for count, places in zip(counts[:kept], frequent, strict=False)),
    )
    return itemset_frame(table, basket_count)


def _mined(part: Baskets | PackedBaskets, bound: int, max_len: int | None, max_itemsets: int) -> ItemsetTable:
    if not len(part.weights):
        return ItemsetTable(part.items, (), ())
    table = find_itemsets(part, bound, max_len=max_len, max_itemsets=max_itemsets)
    if table.cut:
        raise BasketError(
            f"A part of {part.basket_count:,} baskets has more than max_itemsets = {max_itemsets:,} itemsets at its "
            f"share of the bound, a count of {bound:,}; make fewer, larger parts, or raise the bound or max_itemsets."
        )
    return table


def _together(items: tuple[Hashable, ...], tables: list[ItemsetTable]) -> list[Codes]:
    """Return the itemsets of all tables, each once, in codes of the common items."""
    code_of = {item: code for code, item in enumerate(items)}
    levels = []
    for level in range(max(len(table.levels) for table in tables)):
        pieces = []
        for table in tables:
            if level < len(table.levels):
                common = np.array([code_of[item] for item in table.items], dtype=np.int32)
                pieces.append(common[table.levels[level]])  # ascending codes stay ascending
        codes = np.concatenate(pieces)
        codes = codes[row_order(codes, len(items))]
        levels.append(codes[np.append(True, (codes[1:] != codes[:-1]).any(axis=1))])
    return levels


def _counted(part: Baskets | PackedBaskets, items: tuple[Hashable, ...], levels: list[Codes]) -> list[Integers]:
    """Return how many baskets of a part hold each itemset; what has an item the part lacks is in none."""
    place_of = {item: place for place, item in enumerate(part.items)}
    places: npt.NDArray[np.int64] = np.array([place_of.get(item, -1) for item in items], dtype=np.int64)
    counts = []
    for level in levels:
        own = places[level]
        known = np.flatnonzero((own >= 0).all(axis=1))
        found = np.zeros(len(level), dtype=np.int64)
        if len(known) and len(part.weights):
            found[known] = count_itemsets(part, own[known])
        counts.append(found)
    return counts
