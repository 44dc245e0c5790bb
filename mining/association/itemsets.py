"""Frequent itemsets: which items are held together, and by how many.

Belongs here: the bounds of a mine, the compact table that rules are made from, and the frame a caller sees.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from numbers import Real
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from mining.association.baskets import BasketError, BasketInput, Baskets, PackedBaskets, as_read, whole_number
from mining.association.table import ItemsetTable, Lattice
from mining.association.vertical import OutputBoundError, search

__all__ = ["ItemsetsCutWarning", "Kind", "count_bound", "find_itemsets", "frequent_itemsets", "itemset_frame"]

Kind = Literal["all", "closed", "maximal"]

MAXIMUM_ITEMSETS = 1_000_000
"""Itemsets returned by default: about 0.5 GB as a frame. Beyond, the longest are left out and a warning says so."""


LENGTH_CUT = "Itemsets of"
"""How the message begins that says which lengths were left out."""


class ItemsetsCutWarning(UserWarning):
    """Some itemsets were left out because of a bound; the message says which and what to change."""


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
        return whole_number("min_count", min_count, "baskets")
    if not isinstance(min_support, Real) or not 0.0 < min_support <= 1.0:
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
    kind: Kind = "all",
    max_width: int | None = None,
    max_itemsets: int = MAXIMUM_ITEMSETS,
) -> pd.DataFrame:
    """Return every itemset that at least so many baskets hold, exactly.

    Parameters
    ----------
    baskets : DataFrame, mapping, Baskets or PackedBaskets
        See `read_baskets`: a long frame (basket, item and optionally weight), a boolean frame, counted tuples, or
        baskets that were read or packed before.
    min_count, min_support : int, float
        The bound, as a number of baskets or as a share of them; give exactly one.
    max_len : int, optional
        Longest itemset wanted; all lengths by default.
    basket_count : int, optional
        All baskets, empty ones included; default: the baskets given.
    kind : str
        "all"; "closed": only itemsets that no larger one has the count of; "maximal": only itemsets that no larger
        one is frequent with. Larger ones are sought up to `max_len`, and no further than `max_itemsets` allows.
    max_width : int, optional
        Baskets with more items than this are left out (and still counted in the denominator); none by default.
    max_itemsets : int
        With more itemsets than this the longest lengths are left out.

    Returns
    -------
    DataFrame
        ``support`` (share), ``count`` (baskets), ``itemsets`` (frozenset), in the order: short before long, frequent
        before rare, then by the items. ``attrs["cut"]`` lists what `max_width` and `max_itemsets` left out; each is
        also given as an `ItemsetsCutWarning`.

    Raises
    ------
    BasketError
        When the baskets or a bound cannot be used, or when even the single items are more than `max_itemsets`.

    Examples
    --------
    >>> held = pd.DataFrame({"basket": [1, 1, 2, 2, 3], "item": ["card", "loan", "card", "loan", "card"]})
    >>> found = frequent_itemsets(held, min_count=2)
    >>> [(sorted(itemset), count) for itemset, count in zip(found["itemsets"], found["count"])]
    [(['card'], 3), (['loan'], 2), (['card', 'loan'], 2)]
    >>> [sorted(itemset) for itemset in frequent_itemsets(held, min_count=2, kind="closed")["itemsets"]]
    [['card'], ['card', 'loan']]
    """
    if kind not in get_args(Kind):
        raise BasketError(f"kind is {kind!r}; valid are {', '.join(get_args(Kind))}.")
    read = as_read(baskets, basket_count=basket_count)
    bound = count_bound(read.basket_count, min_count=min_count, min_support=min_support)
    table = find_itemsets(read, bound, max_len=max_len, max_width=max_width, max_itemsets=max_itemsets)
    if kind != "all" and any(message.startswith(LENGTH_CUT) for message in table.cut):
        unknown = f"Not all that are returned need be {kind}: of those left out, none was compared with them."
        table = replace(table, cut=(*table.cut, unknown))
    for message in table.cut:
        warnings.warn(message, ItemsetsCutWarning, stacklevel=2)
    return itemset_frame(table, read.basket_count, kind)


def itemset_frame(table: ItemsetTable, basket_count: int, kind: Kind = "all") -> pd.DataFrame:
    """Return the table as mlxtend's frame, with counts."""
    sets, counts = [np.empty(0, dtype=object)], [np.empty(0, dtype=np.int64)]
    for level, wanted in enumerate(_of_kind(table, kind)):
        order = wanted[np.argsort(-table.counts[level][wanted], kind="stable")]
        sets.append(table.sets(level)[order])
        counts.append(table.counts[level][order])
    every_count = np.concatenate(counts)
    frame = pd.DataFrame(
        {"support": every_count / max(basket_count, 1), "count": every_count, "itemsets": np.concatenate(sets)}
    )
    frame.attrs["cut"] = list(table.cut)
    return frame


def _of_kind(table: ItemsetTable, kind: Kind) -> list[npt.NDArray[np.intp]]:
    """Return the places of the itemsets of a kind, by level."""
    wanted = [np.ones(len(level), dtype=bool) for level in table.levels]
    if kind != "all":
        for level, facets in enumerate(Lattice(table).facets[1:]):
            same_count = table.counts[level][facets] == table.counts[level + 1][:, None]
            wanted[level][facets if kind == "maximal" else facets[same_count]] = False
    return [np.flatnonzero(level) for level in wanted]


def find_itemsets(
    baskets: Baskets | PackedBaskets,
    min_count: int,
    *,
    max_len: int | None = None,
    max_width: int | None = None,
    max_itemsets: int = MAXIMUM_ITEMSETS,
) -> ItemsetTable:
    """Mine the itemsets that at least `min_count` baskets hold, as the compact table that rules are made from.

    Parameters are those of `frequent_itemsets`.
    """
    length = whole_number("max_len", max_len, "items") if max_len is not None else None
    limit = whole_number("max_itemsets", max_itemsets, "itemsets")
    cut: list[str] = []
    if max_width is not None:
        baskets = _narrow(baskets, whole_number("max_width", max_width, "items"), cut)
    while True:
        try:
            levels, counts = search(baskets, min_count, max_len=length, limit=limit)
        except OutputBoundError as bound:
            length = _length_within(bound.sizes, limit)
            if length == 0:
                raise BasketError(
                    f"{bound.sizes[0]:,} items are in at least {min_count:,} baskets, more than max_itemsets = "
                    f"{limit:,}; raise the bound of frequency, or max_itemsets."
                ) from None
            cut = [message for message in cut if not message.startswith(LENGTH_CUT)]
            cut.append(
                f"{LENGTH_CUT} more than {length} item{'s'[: length > 1]} were left out: there are more than "
                f"max_itemsets = {limit:,} in all. Those returned are complete and exact. Raise min_count or "
                "min_support, set max_len or max_width, or raise max_itemsets."
            )
            continue
        return ItemsetTable(baskets.items, tuple(levels), tuple(counts), tuple(cut))


def _length_within(sizes: list[int], limit: int) -> int:
    """Return the greatest length whose itemsets, as far as they were found, are within the limit."""
    return int((np.cumsum(sizes) <= limit).sum())  # less than all lengths, since all itemsets exceed the limit


def _narrow(baskets: Baskets | PackedBaskets, max_width: int, cut: list[str]) -> Baskets | PackedBaskets:
    """Return the baskets without those of too many items, and say how many these were."""
    widths = baskets.widths
    wide = widths > max_width
    if not wide.any():
        return baskets
    count = int(baskets.weights[wide].sum())
    cut.append(
        f"{count:,} {'basket' if count == 1 else 'baskets'} of more than max_width = {max_width:,} items (the widest "
        f"holds {int(widths.max()):,}) {'was' if count == 1 else 'were'} left out of all counts, though not of the "
        "number of baskets. Raise max_width."
    )
    return baskets.rows(~wide)
