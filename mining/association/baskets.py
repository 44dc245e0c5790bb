"""Baskets as the miners read them: checked, coded by item, weighted, in one order whatever order they came in.

Belongs here: every accepted form of input and every complaint about it. Does not belong here: counting, and where
baskets come from (a holding at a date, openings in a window: the warehouse decides and says so).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionDtype
from scipy import sparse

__all__ = [
    "BasketError",
    "BasketInput",
    "Baskets",
    "PackedBaskets",
    "distinct_baskets",
    "merge_baskets",
    "pack_baskets",
    "read_baskets",
]

Integers = npt.NDArray[np.int64]

LARGEST_BASKET_COUNT = 3_037_000_499
"""Products of two counts are kept in 64-bit integers; this is the square root of their largest value."""
ROWS_AT_ONCE = 1 << 16
"""Rows turned from bits to codes or back at once, which bounds the memory of it: 64 kB per item."""


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

    def rows(self, kept: npt.NDArray[np.bool_]) -> Baskets:
        """Return the marked rows; the basket count stays."""
        widths = self.widths
        return Baskets(
            items=self.items,
            offsets=np.concatenate([[0], np.cumsum(widths[kept])]).astype(np.int64),
            codes=self.codes[np.repeat(kept, widths)],
            weights=self.weights[kept],
            basket_count=self.basket_count,
        )

    def pack(self) -> PackedBaskets:
        """Return the same baskets as words of item bits."""
        words = -(-max(len(self.items), 1) // 64)
        packed = np.empty((len(self.weights), 8 * words), dtype=np.uint8)
        for start in range(0, len(packed), ROWS_AT_ONCE):
            offsets = self.offsets[start : start + ROWS_AT_ONCE + 1]
            cells = np.zeros((len(offsets) - 1, 64 * words), dtype=bool)
            rows = np.repeat(np.arange(len(cells)), np.diff(offsets))
            cells[rows, self.codes[offsets[0] : offsets[-1]]] = True
            packed[start : start + len(cells)] = np.packbits(cells, axis=1, bitorder="little")
        return PackedBaskets(self.items, packed.view(np.uint64), self.weights, self.basket_count)

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
    """Baskets as words of item bits: what one aggregate in a database makes of millions of rows.

    Attributes
    ----------
    items : tuple
        The labels, sorted; item i is bit ``i % 64`` of word ``i // 64``.
    words : ndarray of uint64, shape (rows, words)
        The items of each row. Equal rows need not be merged.
    weights : ndarray of int64, shape (rows,)
        How many baskets a row stands for.
    basket_count : int
        The denominator of every support.
    """

    items: tuple[Hashable, ...]
    words: npt.NDArray[np.uint64]
    weights: Integers
    basket_count: int

    @property
    def widths(self) -> Integers:
        """Number of items in each row."""
        widths: Integers = np.bitwise_count(self.words).sum(axis=1, dtype=np.int64)
        return widths

    def rows(self, kept: npt.NDArray[np.bool_]) -> PackedBaskets:
        """Return the marked rows; the basket count stays."""
        return PackedBaskets(self.items, self.words[kept], self.weights[kept], self.basket_count)

    def unpack(self) -> Baskets:
        """Return the same baskets as lists of codes."""
        octets = np.ascontiguousarray(self.words).view(np.uint8)
        pieces = [np.empty(0, dtype=np.int32)]
        for start in range(0, len(octets), ROWS_AT_ONCE):
            cells = np.unpackbits(octets[start : start + ROWS_AT_ONCE], axis=1, bitorder="little").view(bool)
            pieces.append(np.nonzero(cells)[1].astype(np.int32))
        return Baskets(
            items=self.items,
            offsets=np.concatenate([[0], np.cumsum(self.widths)]),
            codes=np.concatenate(pieces),
            weights=self.weights,
            basket_count=self.basket_count,
        )


def pack_baskets(
    items: Sequence[Hashable],
    words: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    basket_count: int | None = None,
) -> PackedBaskets:
    """Check words of item bits and return them as baskets.

    Parameters
    ----------
    items : sequence
        The labels in ascending order; item i is bit ``i % 64`` of word ``i // 64``.
    words : array_like of int, shape (rows,) or (rows, words)
        As many words of 64 bits as the items need.
    weights : array_like of int, optional
        How many baskets each row stands for; 1 by default.
    basket_count : int, optional
        All baskets, empty ones included; default: the sum of the weights.

    Examples
    --------
    >>> packed = pack_baskets(["card", "loan"], [0b01, 0b11], [200, 300], basket_count=1000)
    >>> packed.unpack().item_counts().tolist()
    [500, 300]
    """
    labels, _ = sorted_items(list(items))
    if labels != tuple(items) or len(set(labels)) < len(labels):
        raise BasketError("The items of packed baskets must be in ascending order, each once; order them in the query.")
    if not labels:
        raise BasketError("Packed baskets need at least one item.")
    packed = np.asarray(words)
    if packed.dtype.kind not in "iu":
        raise BasketError(f"The words of packed baskets are {packed.dtype}; they must be integers of 64 bits.")
    if packed.ndim not in (1, 2):
        raise BasketError(f"The words of packed baskets have {packed.ndim} dimensions; they must have one or two.")
    packed = np.ascontiguousarray(packed.astype(np.uint64, copy=False).reshape(len(packed), -1))
    needed = -(-len(labels) // 64)
    if not len(packed) or packed.shape[1] != needed:
        raise BasketError(
            f"The words of packed baskets have the shape {packed.shape}; {len(labels)} items need (rows, {needed}), "
            "with at least one row."
        )
    spare = np.uint64(2 ** (len(labels) - 64 * (needed - 1)) - 1)
    beyond = np.flatnonzero(packed[:, -1] & ~spare)
    if len(beyond):
        raise BasketError(f"Row {beyond[0]} of the packed baskets has a bit for which there is no item.")
    counts = np.ones(len(packed), dtype=np.int64)
    if weights is not None:
        counts = _positive_integers(np.asarray(weights), "weight")
    if len(counts) != len(packed):
        raise BasketError(f"{len(counts):,} weights were given for {len(packed):,} rows; each row has one.")
    return PackedBaskets(labels, packed, counts, _basket_count(int(counts.sum()), basket_count))


BasketInput = Baskets | PackedBaskets | pd.DataFrame | Mapping[tuple[Hashable, ...], int]


def read_baskets(baskets: BasketInput, *, basket_count: int | None = None) -> Baskets:
    """Check baskets in any accepted form and code them.

    Parameters
    ----------
    baskets : DataFrame, mapping, Baskets or PackedBaskets
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
    read = as_read(baskets, basket_count=basket_count)
    return read.unpack() if isinstance(read, PackedBaskets) else read


def as_read(baskets: BasketInput, *, basket_count: int | None = None) -> Baskets | PackedBaskets:
    """Check baskets in any accepted form and return them as lists or as words, whichever is nearer."""
    read: Baskets | PackedBaskets
    if isinstance(baskets, Baskets | PackedBaskets):
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
    count = _basket_count(read.basket_count, basket_count)
    return read if count == read.basket_count else replace(read, basket_count=count)


def _basket_count(given: int, basket_count: int | None) -> int:
    """Return the number of all baskets, or say why it cannot be that."""
    count = given if basket_count is None else whole_number("basket_count", basket_count, "baskets")
    if count < given:
        raise BasketError(
            f"basket_count is {count:,}, but {given:,} baskets were given; "
            "it must count all of them and the empty ones."
        )
    if count > LARGEST_BASKET_COUNT:
        raise BasketError(f"{count:,} baskets are too many; the limit is {LARGEST_BASKET_COUNT:,}.")
    return count


def whole_number(name: str, value: float, unit: str) -> int:
    """Return a setting that must be a whole number of 1 or more, or say so."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not (value >= 1 and float(value).is_integer()):
        raise BasketError(f"{name} is {value!r}; it must be a whole number of {unit}, 1 or more.")
    return int(value)


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
    try:
        basket_codes, basket_labels = pd.factorize(frame["basket"])
        item_codes, item_labels = pd.factorize(frame["item"])
    except TypeError as error:
        raise BasketError(
            f"A basket or an item cannot be told apart from others ({error}); each row has one item of one basket, "
            "such as text or a number (a column of lists: frame.explode('item'))."
        ) from error
    items, places = sorted_items(list(item_labels))
    row_count = len(basket_labels)
    members = sparse.coo_array(
        (np.ones(len(frame), dtype=np.int32), (basket_codes, places[item_codes])), shape=(row_count, len(items))
    ).tocsr()
    members.sort_indices()
    if members.nnz < len(frame):
        first = int(np.flatnonzero(frame.duplicated(subset=["basket", "item"]).to_numpy())[0])
        item, basket = (frame[name].iloc[[first]].tolist()[0] for name in ("item", "basket"))
        raise BasketError(
            f"Row {first} of the baskets repeats item {item!r} in basket {basket!r} "
            f"({len(frame) - members.nnz:,} repeated rows in all); a basket holds an item once: remove duplicates."
        )
    weights = np.ones(row_count, dtype=np.int64)
    if "weight" in frame:
        row_weights = _positive_integers(frame["weight"].to_numpy(), "weight")
        weights[basket_codes] = row_weights
        if (weights[basket_codes] != row_weights).any():
            row = int(np.flatnonzero(weights[basket_codes] != row_weights)[0])
            basket = frame["basket"].iloc[[row]].tolist()[0]
            raise BasketError(
                f"Row {row} gives basket {basket!r} the weight {row_weights[row]}, another row of the same basket "
                f"{weights[basket_codes[row]]}; all rows of a basket carry its one weight."
            )
    return _checked(items, members.indptr, members.indices, weights)


def _read_boolean(frame: pd.DataFrame) -> Baskets | PackedBaskets:
    if frame.empty:
        raise BasketError("The frame of baskets has no rows; at least one basket is needed.")
    labels = list(frame.columns)
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise BasketError(f"The column {twice!r} occurs twice; each item has one column.")
    items, places = sorted_items(labels)
    weights = np.ones(len(frame), dtype=np.int64)
    if all(isinstance(dtype, pd.SparseDtype) and dtype.fill_value == 0 for dtype in frame.dtypes):
        cells = frame.sparse.to_coo()  # type: ignore[attr-defined]
        _check_zero_one(cells.data, cells.row, cells.col, labels)
        held = cells.data.astype(bool)
        members = sparse.coo_array(
            (np.ones(int(held.sum()), dtype=np.int32), (cells.row[held], places[cells.col[held]])),
            shape=(len(frame), len(items)),
        ).tocsr()
        members.sort_indices()
        return _checked(items, members.indptr, members.indices, weights)
    order = np.argsort(places)
    words = -(-len(items) // 64)
    octets = np.zeros((len(frame), 8 * words), dtype=np.uint8)
    for start in range(0, len(frame), ROWS_AT_ONCE):
        piece = frame.iloc[start : start + ROWS_AT_ONCE]
        held = piece.to_numpy()
        if held.dtype != np.bool_:
            values = piece.to_numpy(dtype=np.float64, na_value=np.nan)
            rows, columns = np.nonzero(values)
            _check_zero_one(values[rows, columns], rows + start, columns, labels)
            held = values.astype(bool)
        packed = np.packbits(held[:, order], axis=1, bitorder="little")
        octets[start : start + len(piece), : packed.shape[1]] = packed
    return PackedBaskets(items, octets.view(np.uint64), weights, len(frame))


def _check_zero_one(
    values: npt.NDArray[Any], rows: npt.NDArray[Any], columns: npt.NDArray[Any], labels: Sequence[Hashable]
) -> None:
    wrong = np.flatnonzero(~np.isin(values.astype(float), (0.0, 1.0)))
    if len(wrong):
        place = wrong[0]
        raise BasketError(
            f"Row {rows[place]}, column {labels[columns[place]]!r} is {values[place]}; a frame of baskets holds only "
            "True and False (or 1 and 0), without missing values."
        )


def _read_mapping(counts: Mapping[tuple[Hashable, ...], int]) -> Baskets:
    if not counts:
        raise BasketError("The mapping of baskets is empty; at least one basket is needed.")
    for basket in counts:
        if isinstance(basket, str | bytes) or not isinstance(basket, Collection):
            raise BasketError(
                f"The mapping has the key {basket!r}; a basket is a tuple of items, also one of a single item: "
                f"({basket!r},)."
            )
    widths = np.fromiter((len(basket) for basket in counts), dtype=np.int64, count=len(counts))
    flat = [item for basket in counts for item in basket]
    labels = list(dict.fromkeys(flat))
    if any(label is None or label is pd.NA or label != label for label in labels):  # noqa: PLR0124 (NaN)
        raise BasketError("A basket has a missing item; name what is missing, or drop it, before mining.")
    items, places = sorted_items(labels)
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


def sorted_items(labels: Sequence[Hashable]) -> tuple[tuple[Hashable, ...], npt.NDArray[np.int32]]:
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


def _positive_integers(values: npt.NDArray[Any], name: str) -> Integers:
    if values.dtype.kind in "iu" and values.min(initial=1) >= 1 and values.max(initial=1) <= LARGEST_BASKET_COUNT:
        return values.astype(np.int64)
    numbers = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=np.float64)
    whole = (numbers >= 1) & (numbers == np.floor(numbers)) & (numbers <= LARGEST_BASKET_COUNT)
    if not whole.all():
        row = int(np.flatnonzero(~whole)[0])
        raise BasketError(
            f"Row {row} of the baskets has the {name} {values.tolist()[row]!r}; "
            f"it must be a whole number of baskets, 1 to {LARGEST_BASKET_COUNT:,}."
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


def distinct_baskets(baskets: Baskets) -> Baskets:
    """Return the baskets with equal rows merged, in one order whatever the order they came in.

    Examples
    --------
    >>> held = read_baskets(pd.DataFrame({"basket": [1, 2, 2, 3], "item": ["b", "a", "b", "b"]}))
    >>> merged = distinct_baskets(held)
    >>> merged.codes.tolist(), merged.offsets.tolist(), merged.weights.tolist()
    ([1, 0, 1], [0, 1, 3], [2, 1])
    """
    widths = baskets.widths
    codes, counts, rows = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for width in np.unique(widths).tolist():
        of_width = np.flatnonzero(widths == width)
        members = baskets.codes[baskets.offsets[of_width, None] + np.arange(width)]
        order = row_order(members, len(baskets.items))
        members = members[order]
        first = np.flatnonzero(np.append(True, (members[1:] != members[:-1]).any(axis=1)))
        codes.append(members[first].ravel())
        counts.append(np.add.reduceat(baskets.weights[of_width[order]], first))
        rows.append(np.full(len(first), width))
    return Baskets(
        items=baskets.items,
        offsets=np.concatenate([[0], np.cumsum(np.concatenate(rows))]).astype(np.int64),
        codes=np.concatenate(codes),
        weights=np.concatenate(counts),
        basket_count=baskets.basket_count,
    )


def merge_baskets(parts: Iterable[BasketInput]) -> Baskets:
    """Return the baskets of several parts as one: counts of equal baskets and numbers of baskets add up.

    A bank of millions of customers keeps the distinct baskets of each part of them; when customers change, only the
    parts they belong to are read again.

    Examples
    --------
    >>> one = read_baskets({("card",): 2, ("card", "loan"): 1})
    >>> two = read_baskets({("card",): 3}, basket_count=10)
    >>> merged = merge_baskets([one, two])
    >>> merged.weights.tolist(), merged.basket_count
    ([5, 1], 13)
    """
    given = [read_baskets(part) for part in parts]
    if not given:
        raise BasketError("No parts of baskets were given; at least one is needed.")
    labels = list(dict.fromkeys(item for part in given for item in part.items))
    items, places = sorted_items(labels)
    place_of = {label: places[code] for code, label in enumerate(labels)}
    codes = [np.array([place_of[item] for item in part.items], dtype=np.int32)[part.codes] for part in given]
    widths = np.concatenate([part.widths for part in given])
    total = sum(part.basket_count for part in given)
    joined = Baskets(
        items=items,
        offsets=np.concatenate([[0], np.cumsum(widths)]).astype(np.int64),
        codes=np.concatenate(codes),
        weights=np.concatenate([part.weights for part in given]),
        basket_count=_basket_count(total, None),
    )
    return distinct_baskets(joined)


def merged_rows(baskets: Baskets | PackedBaskets) -> Baskets | PackedBaskets:
    """Return the baskets with most equal rows merged, fast and in no particular order.

    Rows are sorted by a 64-bit hash and merged with an equal neighbour; the comparison is exact, so a collision of
    hashes can only leave equal rows apart.
    """
    if isinstance(baskets, PackedBaskets):
        if baskets.words.shape[1] == 1 and (baskets.weights == 1).all():  # values alone sort three times as fast
            words, counts = np.unique(baskets.words[:, 0], return_counts=True)
            return replace(baskets, words=words[:, None], weights=counts)
        keys = baskets.words[:, 0]
        for column in baskets.words.T[1:]:
            keys = _mixed(keys) ^ column
    else:
        hashes = _mixed(np.arange(len(baskets.items), dtype=np.uint64))
        sums = np.append(np.uint64(0), np.cumsum(hashes[baskets.codes]))  # wraps around, and so do the differences
        keys = np.diff(sums[baskets.offsets])
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    alike = np.flatnonzero(ordered[1:] == ordered[:-1])
    if 20 * len(alike) < len(keys):
        return baskets
    before, after = order[alike], order[alike + 1]
    if isinstance(baskets, PackedBaskets):
        equal = (baskets.words[before] == baskets.words[after]).all(axis=1)
    else:
        widths = baskets.widths
        equal = widths[before] == widths[after]
        before, after, alike = before[equal], after[equal], alike[equal]
        within = np.arange(int(widths[before].sum())) - np.repeat(
            np.cumsum(widths[before]) - widths[before], widths[before]
        )
        one, other = (np.repeat(baskets.offsets[rows], widths[before]) + within for rows in (before, after))
        unequal = np.repeat(np.arange(len(before)), widths[before])[baskets.codes[one] != baskets.codes[other]]
        equal = np.ones(len(before), dtype=bool)
        equal[unequal] = False
    begins = np.ones(len(order), dtype=bool)
    begins[alike[equal] + 1] = False
    first = np.flatnonzero(begins)
    weights = np.add.reduceat(baskets.weights[order], first)
    kept = np.zeros(len(order), dtype=bool)
    kept[order[first]] = True
    of_row = np.zeros(len(order), dtype=np.int64)
    of_row[order[first]] = weights
    return replace(baskets.rows(kept), weights=of_row[kept])


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return a well-mixed 64-bit hash of each number (the finaliser of SplitMix64; Steele, Lea & Flood 2014)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def row_order(codes: npt.NDArray[np.int32], base: int) -> npt.NDArray[np.intp]:
    """Return the order that sorts rows of codes below `base`; as few keys are sorted as their bits allow.

    Examples
    --------
    >>> row_order(np.array([[1, 2], [0, 3], [1, 0]], dtype=np.int32), 4).tolist()
    [1, 2, 0]
    """
    bits = max(base - 1, 1).bit_length()
    together = 63 // bits
    keys = [np.zeros(len(codes), dtype=np.int64)]
    for column, values in enumerate(codes.T):
        if column and column % together == 0:
            keys.append(np.zeros(len(codes), dtype=np.int64))
        keys[-1] = keys[-1] << bits | values
    return np.argsort(keys[0], kind="stable") if len(keys) == 1 else np.lexsort(keys[::-1])
