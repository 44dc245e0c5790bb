"""Arrow columns from integer arrays, without a Python object per row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.sample_bank.random_numbers import BooleanArray, IntegerArray

AnyIntegers = npt.NDArray[np.integer]


def _validity(present: BooleanArray | None) -> pa.Buffer | None:
    if present is None or present.all():
        return None
    return pa.py_buffer(np.packbits(present, bitorder="little").tobytes())


def decimals(units: IntegerArray, precision: int = 18, scale: int = 2, present: BooleanArray | None = None) -> pa.Array:
    """Decimals from integers in the last decimal place (cents for money).

    Examples
    --------
    >>> decimals(np.array([-150, 5])).to_pylist()
    [Decimal('-1.50'), Decimal('0.05')]
    """
    words = np.empty((len(units), 2), np.int64)
    words[:, 0] = units
    words[:, 1] = np.where(units < 0, -1, 0)
    buffers = [_validity(present), pa.py_buffer(words.tobytes())]
    return pa.Array.from_buffers(pa.decimal128(precision, scale), len(units), buffers)


def dates(days: AnyIntegers, present: BooleanArray | None = None) -> pa.Array:
    """Dates from days since 1970-01-01."""
    buffers = [_validity(present), pa.py_buffer(days.astype(np.int32).tobytes())]
    return pa.Array.from_buffers(pa.date32(), len(days), buffers)


def timestamps(seconds: IntegerArray, present: BooleanArray | None = None) -> pa.Array:
    """Timestamps from seconds since 1970-01-01 00:00 UTC."""
    buffers = [_validity(present), pa.py_buffer((seconds.astype(np.int64) * 1_000_000).tobytes())]
    return pa.Array.from_buffers(pa.timestamp("us"), len(seconds), buffers)


def booleans(values: BooleanArray) -> pa.Array:
    """Booleans."""
    return pa.array(values)


def strings(words: Sequence[str], codes: AnyIntegers, encoded: bool = True) -> pa.Array:
    """Words by their position; a negative position is a null. A word may stand at several positions.

    Examples
    --------
    >>> strings(["a", "b", "a"], np.array([1, -1, 2])).to_pylist()
    ['b', None, 'a']
    """
    present = codes >= 0
    # A dictionary with a word in it twice is written with uninitialised bytes (pyarrow 26): other bytes each time.
    distinct = list(dict.fromkeys(words))
    places = np.array([distinct.index(word) for word in words], np.int32)
    chosen = places[np.where(present, codes, 0)]
    indices = pa.array(chosen, mask=None if present.all() else ~present)
    column = pa.DictionaryArray.from_arrays(indices, pa.array(distinct, pa.string()))
    return column if encoded else column.dictionary_decode()


def digits(numbers: AnyIntegers, present: BooleanArray | None = None) -> pa.Array:
    """Decimal digits of whole numbers, as text."""
    mask = None if present is None or present.all() else ~present
    return pc.cast(pa.array(numbers.astype(np.int64), mask=mask), pa.string())


def joined(*parts: pa.Array | str) -> pa.Array:
    """Texts put together row by row."""
    columns = [part if isinstance(part, str) else pc.cast(part, pa.string()) for part in parts]
    return pc.binary_join_element_wise(*columns, "")


def nothing(size: int, kind: pa.DataType) -> pa.Array:
    """A column of nulls."""
    return pa.nulls(size, kind)
