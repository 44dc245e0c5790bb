"""Files of a bank: written in order by one thread into a folder beside the target, which then takes its place."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from warehouse.errors import UserError

FORMATS = ("parquet", "csv")
#: Bytes are part of the promise, so nothing here may depend on the machine.
_ROW_GROUP_ROWS = 131_072
#: Stands in every folder written here; a folder without it is never replaced.
MANIFEST = "sample_bank.json"


class TableFiles:
    """The files of one folder of tables, kept open until all rows are in.

    Parameters
    ----------
    folder
        Where `<table>/<name>.<format>` are written.
    formats
        Any of `FORMATS`.
    """

    def __init__(self, folder: Path, formats: tuple[str, ...]) -> None:
        self._folder = folder
        self._formats = formats
        self._stack = ExitStack()
        self._writers: dict[tuple[str, str], list[pq.ParquetWriter | pyarrow.csv.CSVWriter]] = {}
        self.rows: dict[str, int] = {}

    def write(self, table: str, name: str, rows: pa.Table) -> None:
        """Append rows to a file of a table; the first rows make the file, even if there are none."""
        key = (table, name)
        if key not in self._writers:
            (self._folder / table).mkdir(parents=True, exist_ok=True)
            self._writers[key] = [self._open(kind, table, name, rows.schema) for kind in self._formats]
        for writer in self._writers[key]:
            if isinstance(writer, pq.ParquetWriter):
                writer.write_table(_plain(rows, keep_dictionary=True), row_group_size=_ROW_GROUP_ROWS)
            else:
                writer.write_table(_plain(rows, keep_dictionary=False))
        self.rows[table] = self.rows.get(table, 0) + rows.num_rows

    def _open(self, kind: str, table: str, name: str, schema: pa.Schema) -> pq.ParquetWriter | pyarrow.csv.CSVWriter:
        path = self._folder / table / f"{name}.{kind}"
        if kind == "parquet":
            repeated = [
                field.name for field in schema if pa.types.is_dictionary(field.type) or pa.types.is_date(field.type)
            ]
            # The Arrow schema is left out: readers are to see plain text columns, not dictionaries. A Parquet
            # dictionary for columns of mostly distinct values costs two fifths of the writing time and the size.
            return self._stack.enter_context(
                pq.ParquetWriter(
                    path, schema, compression="zstd", compression_level=1, store_schema=False, use_dictionary=repeated
                )
            )
        fields = [
            pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
            for field in schema
        ]
        return self._stack.enter_context(pyarrow.csv.CSVWriter(path, pa.schema(fields)))

    def finish(self, table: str, name: str) -> None:
        """Close a file, so that it takes no more memory."""
        for writer in self._writers.pop((table, name), []):
            writer.close()

    def close(self) -> None:
        """Close all files."""
        self._stack.close()


def _plain(rows: pa.Table, keep_dictionary: bool) -> pa.Table:
    if keep_dictionary:
        return rows
    columns = [
        column.cast(field.type.value_type) if pa.types.is_dictionary(field.type) else column
        for field, column in zip(rows.schema, rows.columns, strict=True)
    ]
    return pa.table(columns, names=rows.schema.names)


@contextmanager
def replaced_folders(*targets: Path) -> Iterator[list[Path]]:
    """Folders to write into that take the place of the targets when everything went well, and vanish otherwise.

    Raises
    ------
    UserError
        A target is a file, a folder of something else, or cannot be written; the disk is full.
    """
    partial: list[Path] = []
    try:
        for target in targets:
            _refuse_foreign(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.append(Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent)))
        yield partial
        for folder, target in zip(partial, targets, strict=True):
            folder.chmod(0o755)
            _swap(folder, target)
    except OSError as error:
        raise _as_user_error(error, targets) from error
    finally:
        for folder in partial:
            shutil.rmtree(folder, ignore_errors=True)


def _refuse_foreign(target: Path) -> None:
    if target.is_dir() and not (target / MANIFEST).exists() and any(target.iterdir()):
        raise UserError(
            "the folder holds something that is no sample bank",
            where=str(target),
            found=f"files, but no {MANIFEST}",
            valid="an empty or new folder, or one with a sample bank, which is replaced",
            next_step="name another folder or empty this one",
        )
    if target.exists() and not target.is_dir():
        raise UserError("the sample bank needs a folder", where=str(target), found="a file", valid="a folder")


def _swap(folder: Path, target: Path) -> None:
    if not target.exists():
        folder.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old-", dir=target.parent))
    target.rename(old / "bank")
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _as_user_error(error: OSError, targets: tuple[Path, ...]) -> UserError:
    place = ", ".join(str(target) for target in targets)
    text = os.strerror(error.errno) if error.errno else str(error)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "No space left" in str(error)
    if full or "File too large" in str(error):
        return UserError(
            "the disk is full: no sample bank was written",
            where=place,
            found=text,
            valid="about 60 bytes per transaction, some 5 transactions per customer and month",
            next_step="free space, name another folder, or generate fewer customers or months",
        )
    return UserError(
        "the sample bank cannot be written there",
        where=place,
        found=text,
        valid="a folder that may be written",
        next_step="name another folder or change its permissions",
    )
