"""Parquet files as sources: columns keep the types they were written with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import UserError
from warehouse.sources.delivered import SOURCE_ROW, Originals, RowBatch

#: About the number of rows that DuckDB processes at a time.
BATCH_ROWS = 1 << 17


class ParquetRows:
    """A Parquet file.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    UserError
        If it is not a whole Parquet file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(
                "the file is not a whole Parquet file",
                where=str(path),
                found=f"{path.stat().st_size:,} bytes; {_first_line(error)}",
                valid="a Parquet file, or another `format` of the source in the mapping",
                next_step="export it again",
            ) from error

    @property
    def column_names(self) -> list[str]:
        """The columns it has, in its own order."""
        return list(self._file.schema_arrow.names)

    def is_text(self, column: str) -> bool:
        """Whether the values of a column come as text."""
        type_ = self._file.schema_arrow.field(column).type
        return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_null(type_))

    def types(self) -> dict[str, pa.DataType]:
        """Type of each column, as it was written."""
        return {field.name: field.type for field in self._file.schema_arrow}

    @property
    def most_records(self) -> int | None:
        """The number of rows its footer states."""
        return int(self._file.metadata.num_rows)

    def empty_rows(self) -> pa.Table:
        """No rows, with the columns of a batch."""
        return self._file.schema_arrow.empty_table().append_column(SOURCE_ROW, pa.nulls(0, pa.int64()))

    def batches(self) -> Iterator[RowBatch]:
        """The rows, in order and in bounded memory.

        Raises
        ------
        UserError
            If the file is damaged, or holds another number of rows than its footer says.
        """
        expected, found = self._file.metadata.num_rows, 0
        try:
            for batch in self._file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
                # Text that is not UTF-8 would be refused later on, and less clearly.
                batch.validate(full=True)
                numbers = np.arange(found + 1, found + 1 + batch.num_rows, dtype=np.int64)
                rows = pa.Table.from_batches([batch]).append_column(SOURCE_ROW, pa.array(numbers))
                yield RowBatch(rows, batch.num_rows, Originals(rows, found + 1))
                found += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                "the Parquet file is damaged",
                where=f"{self.path}, behind row {found:,}",
                found=_first_line(error),
                next_step="export it again",
            ) from error
        if found != expected:
            raise UserError(
                "the Parquet file holds another number of rows than its footer says",
                where=str(self.path),
                found=f"{found:,} rows, {expected:,} in the footer",
                next_step="export it again",
            )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
