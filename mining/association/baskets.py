"""Baskets as the miners read them: checked, coded by item, weighted, in one order whatever order they came in.

Belongs here: every accepted form of input and every complaint about it. Does not belong here: counting, and where
baskets come from (a holding at a date, openings in a window: the warehouse decides and says so).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionDtype
from scipy import sparse

__all__ = ["BasketError", "BasketInput", "Baskets", "read_baskets"]

Integers = npt.NDArray[np.int64]

LARGEST_BASKET_COUNT = 3_037_000_499
"""Products of two counts are kept in 64-bit integers; this is the square root of their largest value."""


class BasketError(ValueError):
    """The baskets or a setting of the mine cannot be used; the message says what was found and what would be valid."""


@dataclass(frozen=True, eq=False)
class Baskets:
    """Checked baskets: rows of sorted item codes, each row with the number of baskets that look like it.

    Attributes
    ----------
    items : tuple
        The labels, sorted; the code of an item is its place here.
    offsets : ndarray of int64, shape (rows + 1,)
        Row r holds ``codes[offsets[r]:offsets[r + 1]]``.
    codes : ndarray of int32, shape (memberships,)
        Item codes, ascending within a row.
    weights : ndarray of int64, shape (rows,)
        How many baskets a row stands for.
    basket_count : int
        The denominator of every support; baskets without any item are counted here and nowhere else.
    """

    items: tuple[Hashable, ...]
    offsets: Integers
    codes: npt.NDArray[np.int32]
    weights: Integers
    basket_count: int

    @property
    def widths(self) -> Integers:
        """Number of items in each row."""
        return np.diff(self.offsets)

    def item_counts(self) -> Integers:
        """Return in how many baskets each item is, shape (items,)."""
        counts = np.bincount(self.codes, weights=np.repeat(self.weights, self.widths), minlength=len(self.items))
        return counts.astype(np.int64)

    def matrix(self) -> sparse.csr_array:
        """Return the rows as a sparse boolean matrix, shape (rows, items)."""
        return sparse.csr_array(
            (np.ones(len(self.codes), dtype=bool), self.codes, self.offsets),
            shape=(len(self.weights), len(self.items)),
        )

    def without(self, dropped: npt.NDArray[np.bool_]) -> Baskets:
        """Return the same baskets without the marked items; the basket count stays.

        Parameters
        ----------
        dropped : ndarray of bool, shape (items,)
        """
        new_codes = np.cumsum(~dropped, dtype=np.int32) - np.int32(1)
        kept = ~dropped[self.codes]
        rows = np.repeat(np.arange(len(self.weights)), self.widths)[kept]
        widths = np.bincount(rows, minlength=len(self.weights))
        filled = widths > 0
        return Baskets(
            items=tuple(item for item, drop in zip(self.items, dropped, strict=True) if not drop),
            offsets=np.concatenate([[0], np.cumsum(widths[filled])]).astype(np.int64),
            codes=new_codes[self.codes[kept]],
            weights=self.weights[filled],
            basket_count=self.basket_count,
        )


@dataclass(frozen=True, eq=False)
class PackedBaskets:
    """Baskets as bits: the fastest input, made by one aggregate in a database.

    Attributes
    ----------
    items : sequence
        Label of each bit; sorted. Item i is bit ``i % 64`` of word ``i // 64``.
    words : ndarray of uint64, shape (rows, words)
        The items of each row.
    weights : ndarray of int64, shape (rows,)
        How many baskets a row stands for; equal rows need not be merged.
    basket_count : int
        The denominator of every support.
    """

    items: tuple[Hashable, ...]
    words: npt.NDArray[np.uint64]
    weights: Integers
    basket_count: int

    def item_counts(self) -> Integers:
        octets = np.ascontiguousarray(self.words).view(np.uint8)
        even = bool((self.weights == 1).all())
        counts = np.zeros(len(self.items), dtype=np.int64)
        for item in range(len(self.items)):
            held = octets[:, item >> 3] & np.uint8(1 << (item & 7))
            counts[item] = np.count_nonzero(held) if even else self.weights[held != 0].sum()
        return counts


BasketInput = Baskets | pd.DataFrame | Mapping[tuple[Hashable, ...], int]


def read_baskets(baskets: BasketInput, *, basket_count: int | None = None) -> Baskets:
    """Check baskets in any accepted form and code them.

    Parameters
    ----------
    baskets : DataFrame, mapping or Baskets
        One of: a long frame with the columns ``basket`` and ``item``, and optionally ``weight`` (how many baskets
        this one stands for, the same on all its rows); a frame with one boolean column per item and one row per
        basket (dense or sparse); a mapping from a tuple of items to the number of baskets with exactly these items.
    basket_count : int, optional
        The number of all baskets, empty ones included. A long frame cannot show an empty basket, so pass it when
        there are any. Default: the sum of the weights.

    Raises
    ------
    BasketError
        For an empty frame, missing columns, missing or repeated values, items that cannot be put in order, weights
        that are not positive whole numbers, or a `basket_count` below the number of baskets given.

    Examples
    --------
    >>> read = read_baskets({("card", "loan"): 3, ("card",): 2}, basket_count=10)
    >>> read.items, read.item_counts().tolist(), read.basket_count
    (('card', 'loan'), [5, 3], 10)
    """
    if isinstance(baskets, Baskets):
        read = baskets
    elif isinstance(baskets, pd.DataFrame):
        read = _read_long(baskets) if _is_long(baskets) else _read_boolean(baskets)
    elif isinstance(baskets, Mapping):
        read = _read_mapping(baskets)
    else:
        raise BasketError(
            f"Baskets came as {type(baskets).__name__}; valid are a DataFrame (columns basket, item and optionally "
            "weight, or one boolean column per item) and a mapping from a tuple of items to a count."
        )
    if basket_count is not None:
        if basket_count < read.basket_count:
            raise BasketError(
                f"basket_count is {basket_count:,}, but {read.basket_count:,} baskets were given; "
                "it must count all of them and the empty ones."
            )
        read = Baskets(read.items, read.offsets, read.codes, read.weights, int(basket_count))
    if read.basket_count > LARGEST_BASKET_COUNT:
        raise BasketError(f"{read.basket_count:,} baskets are too many; the limit is {LARGEST_BASKET_COUNT:,}.")
    return read


def _is_long(frame: pd.DataFrame) -> bool:
    """Tell a long frame from a boolean one; a frame that is neither is refused here."""
    columns = list(frame.columns)
    if {"basket", "item"} <= set(columns):
        return True
    if columns and all(_is_zero_one(dtype) for dtype in frame.dtypes):
        return False
    missing = [name for name in ("basket", "item") if name not in columns]
    raise BasketError(
        f"The frame of baskets has no column {' and no column '.join(missing)} (found: "
        f"{', '.join(map(str, columns[:10])) or 'none'}). Valid are a long frame with the columns basket, item and "
        "optionally weight, or a frame whose columns are all boolean, one per item."
    )


def _is_zero_one(dtype: ExtensionDtype | np.dtype[Any]) -> bool:
    inner = dtype.subtype if isinstance(dtype, pd.SparseDtype) else dtype
    return bool(pd.api.types.is_bool_dtype(inner) or pd.api.types.is_numeric_dtype(inner))


def _read_long(frame: pd.DataFrame) -> Baskets:
    if frame.empty:
        raise BasketError("The frame of baskets is empty; at least one row with a basket and an item is needed.")
    repeated = [name for name in ("basket", "item", "weight") if list(frame.columns).count(name) > 1]
    if repeated:
        raise BasketError(f"The frame of baskets has the column {repeated[0]} twice; one is needed.")
    for name in ("basket", "item", "weight"):
        if name in frame and frame[name].isna().any():
            row = int(np.flatnonzero(frame[name].isna().to_numpy())[0])
            raise BasketError(
                f"Row {row} of the baskets has no {name}; drop such rows, or name what is missing, before mining."
            )
    basket_codes, basket_labels = pd.factorize(frame["basket"])
    item_codes, item_labels = pd.factorize(frame["item"])
    items, places = _sorted_items(list(item_labels))
    row_count = len(basket_labels)
    members = sparse.coo_array(
        (np.ones(len(frame), dtype=np.int32), (basket_codes, places[item_codes])), shape=(row_count, len(items))
    ).tocsr()
    members.sort_indices()
    if members.nnz < len(frame):
        first = int(np.flatnonzero(frame.duplicated(subset=["basket", "item"]).to_numpy())[0])
        found = frame.iloc[first]
        raise BasketError(
            f"Row {first} of the baskets repeats item {found['item']!r} in basket {found['basket']!r} "
            f"({len(frame) - members.nnz:,} repeated rows in all); a basket holds an item once: remove duplicates."
        )
    weights = np.ones(row_count, dtype=np.int64)
    if "weight" in frame:
        row_weights = _positive_integers(frame["weight"].to_numpy(), "weight")
        weights[basket_codes] = row_weights
        if (weights[basket_codes] != row_weights).any():
            row = int(np.flatnonzero(weights[basket_codes] != row_weights)[0])
            raise BasketError(
                f"Row {row} gives basket {frame['basket'].iloc[row]!r} the weight {row_weights[row]}, another row of "
                f"the same basket {weights[basket_codes[row]]}; all rows of a basket carry its one weight."
            )
    return _checked(items, members.indptr, members.indices, weights)


def _read_boolean(frame: pd.DataFrame) -> Baskets:
    if frame.empty:
        raise BasketError("The frame of baskets has no rows; at least one basket is needed.")
    labels = list(frame.columns)
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise BasketError(f"The column {twice!r} occurs twice; each item has one column.")
    items, places = _sorted_items(labels)
    if all(isinstance(dtype, pd.SparseDtype) for dtype in frame.dtypes):
        cells = frame.sparse.to_coo()  # type: ignore[attr-defined]
        values, rows, columns = cells.data, cells.row, cells.col
    else:
        dense = frame.to_numpy()
        rows, columns = np.nonzero(dense)
        values = dense[rows, columns]
    wrong = np.flatnonzero(~np.isin(values.astype(float), (0.0, 1.0)))
    if len(wrong):
        place = wrong[0]
        raise BasketError(
            f"Row {rows[place]}, column {labels[columns[place]]!r} is {values[place]}; a frame of baskets holds only "
            "True and False (or 1 and 0), without missing values."
        )
    held = values.astype(bool)
    members = sparse.coo_array(
        (np.ones(int(held.sum()), dtype=np.int32), (rows[held], places[columns[held]])),
        shape=(len(frame), len(items)),
    ).tocsr()
    members.sort_indices()
    return _checked(items, members.indptr, members.indices, np.ones(len(frame), dtype=np.int64))


def _read_mapping(counts: Mapping[tuple[Hashable, ...], int]) -> Baskets:
    if not counts:
        raise BasketError("The mapping of baskets is empty; at least one basket is needed.")
    widths = np.fromiter((len(basket) for basket in counts), dtype=np.int64, count=len(counts))
    flat = [item for basket in counts for item in basket]
    labels = list(dict.fromkeys(flat))
    if any(label is None or label is pd.NA or label != label for label in labels):  # noqa: PLR0124 (NaN)
        raise BasketError("A basket has a missing item; name what is missing, or drop it, before mining.")
    items, places = _sorted_items(labels)
    code_of = {label: places[code] for code, label in enumerate(labels)}
    codes = np.fromiter((code_of[item] for item in flat), dtype=np.int32, count=len(flat))
    members = sparse.csr_array(
        (np.ones(len(codes), dtype=np.int32), codes, np.concatenate([[0], np.cumsum(widths)])),
        shape=(len(counts), len(items)),
    )
    members.sum_duplicates()
    if members.nnz < len(codes):
        twice = next(basket for basket in counts if len(set(basket)) < len(basket))
        raise BasketError(f"The basket {twice!r} names an item twice; a basket holds an item once.")
    weights = _positive_integers(np.array(list(counts.values())), "count")
    return _checked(items, members.indptr, members.indices, weights)


def _sorted_items(labels: Sequence[Hashable]) -> tuple[tuple[Hashable, ...], npt.NDArray[np.int32]]:
    """Return the labels in order, and for each label as it came its place in that order."""
    try:
        order = sorted(range(len(labels)), key=lambda code: labels[code])  # type: ignore[arg-type,return-value]
    except TypeError:
        kinds = sorted({type(label).__name__ for label in labels})
        raise BasketError(
            f"Items are of types that have no common order ({', '.join(kinds)}); use one type, such as text."
        ) from None
    places = np.empty(len(labels), dtype=np.int32)
    places[order] = np.arange(len(labels), dtype=np.int32)
    return tuple(labels[code] for code in order), places


def _positive_integers(values: npt.NDArray[np.generic], name: str) -> Integers:
    numbers = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=np.float64)
    whole = (numbers >= 1) & (numbers == np.floor(numbers)) & (numbers <= LARGEST_BASKET_COUNT)
    if not whole.all():
        row = int(np.flatnonzero(~whole)[0])
        raise BasketError(
            f"Row {row} of the baskets has the {name} {values.tolist()[row]!r}; "
            "it must be a whole number of baskets, 1 or more."
        )
    return numbers.astype(np.int64)


def _checked(items: tuple[Hashable, ...], offsets: npt.ArrayLike, codes: npt.ArrayLike, weights: Integers) -> Baskets:
    return Baskets(
        items=items,
        offsets=np.asarray(offsets, dtype=np.int64),
        codes=np.asarray(codes, dtype=np.int32),
        weights=weights,
        basket_count=int(weights.sum()),
    )
