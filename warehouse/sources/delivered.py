"""What every kind of source gives to landing: batches of rows as delivered, as Arrow tables with numbered rows.

Connectors for files and databases live beside this module; what a value may be is judged by `landing`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pyarrow as pa

#: Name of the column with the number of a row within its delivery, from 1.
SOURCE_ROW = "_source_row"


@dataclass(frozen=True)
class RowBatch:
    """Consecutive rows of a delivery.

    Attributes
    ----------
    rows
        The well-formed rows: the source's columns and `_source_row`.
    records
        How many physical records the batch was made from, faulty ones included.
    faults
        Reason by row number, of the records that are no rows at all.
    originals
        For some row numbers, the line each stands on and the record as it stands in the file.
    """

    rows: pa.Table
    records: int
    originals: Callable[[Sequence[int]], list[tuple[int, str]]]
    faults: dict[int, str] = field(default_factory=dict)


class DeliveredRows(Protocol):
    """One delivery of one source, opened and found to be what it is said to be."""

    path: Path

    @property
    def column_names(self) -> list[str]:
        """The columns it has, in its own order."""
        ...

    def is_text(self, column: str) -> bool:
        """Whether the values of a column come as text, to be read as the declared type."""
        ...

    @property
    def most_records(self) -> int | None:
        """More records than this it cannot hold; None if that cannot be told beforehand."""
        ...

    def batches(self) -> Iterator[RowBatch]:
        """The rows, in order and in bounded memory."""
        ...

    def empty_rows(self) -> pa.Table:
        """No rows, with the columns of a batch."""
        ...


class RenamedRows:
    """A delivery some of whose columns have other names than in the mapping, under the names of the mapping.

    Parameters
    ----------
    rows
        The delivery.
    names
        Delivered name -> name in the mapping.
    """

    def __init__(self, rows: DeliveredRows, names: Mapping[str, str]) -> None:
        self.path = rows.path
        self._rows = rows
        self._names = dict(names)
        self._delivered = {own: delivered for delivered, own in names.items()}

    @property
    def column_names(self) -> list[str]:
        """The columns it has, in its own order."""
        return [self._names.get(name, name) for name in self._rows.column_names]

    def is_text(self, column: str) -> bool:
        """Whether the values of a column come as text."""
        return self._rows.is_text(self._delivered.get(column, column))

    @property
    def most_records(self) -> int | None:
        """More records than this it cannot hold; None if that cannot be told beforehand."""
        return self._rows.most_records

    def batches(self) -> Iterator[RowBatch]:
        """The rows, in order and in bounded memory."""
        for batch in self._rows.batches():
            yield replace(batch, rows=self._renamed(batch.rows))

    def empty_rows(self) -> pa.Table:
        """No rows, with the columns of a batch."""
        return self._renamed(self._rows.empty_rows())

    def _renamed(self, rows: pa.Table) -> pa.Table:
        return rows.rename_columns([self._names.get(name, name) for name in rows.column_names])


class Originals:
    """Rows of one batch as JSON, for the quarantine; `first` is the number of its first row, None: look them up."""

    def __init__(self, rows: pa.Table, first: int | None = None) -> None:
        self._rows = rows
        self._first = first

    def __call__(self, numbers: Sequence[int]) -> list[tuple[int, str]]:
        """Row number and record of some rows."""
        if self._first is None:
            places = {number: place for place, number in enumerate(self._rows.column(SOURCE_ROW).to_pylist())}
            chosen = [places[number] for number in numbers]
        else:
            chosen = [number - self._first for number in numbers]
        taken = self._rows.drop_columns([SOURCE_ROW]).take(pa.array(chosen, pa.int64()))
        texts = [json.dumps(row, ensure_ascii=False, default=str) for row in taken.to_pylist()]
        return list(zip(numbers, texts, strict=True))
