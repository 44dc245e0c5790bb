"""Files of a bank: written in order by one thread into a folder beside the target, which then takes its place."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from warehouse.errors import UserError

FORMATS = ("parquet", "csv")
#: Bytes are part of the promise, so nothing here may depend on the machine.
_ROW_GROUP_ROWS = 131_072
#: Stands in the folder of a bank, and in that of a truth: a folder without its own is never replaced.
MANIFEST = "sample_bank.json"
TRUTH_MANIFEST = "sample_bank_truth.json"
_KINDS = {MANIFEST: "sample bank", TRUTH_MANIFEST: "truth of a sample bank"}
#: What is replaced lies under this name until it is.
_ASIDE = "bank"
#: Stand around text that a soiled CSV file is to hold in GBK: characters of private use, which no text of ours has.
GBK_BEGIN, GBK_END = "\ue000", "\ue001"
#: Decimals with no more places than this are written as such, whatever their value.
_PLAIN_SCALE = 6
_IN_GBK = re.compile(f"{GBK_BEGIN}(.*?){GBK_END}".encode())


class _Writer(Protocol):
    """A file that rows are appended to."""

    def write_table(self, rows: pa.Table) -> None:
        """Append rows."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


class TableFiles:
    """The files of one folder of tables, kept open until all rows are in.

    Parameters
    ----------
    folder
        Where `<table>/<name>.<format>` are written.
    formats
        Any of `FORMATS`.
    is_soiled
        Whether CSV files may hold bytes of another encoding.
    """

    def __init__(self, folder: Path, formats: tuple[str, ...], is_soiled: bool = False) -> None:
        self._folder = folder
        self._is_soiled = is_soiled
        self._formats = formats
        self._stack = ExitStack()
        self._writers: dict[tuple[str, str], list[_Writer]] = {}
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

    def _open(self, kind: str, table: str, name: str, schema: pa.Schema) -> _Writer:
        path = self._folder / table / f"{name}.{kind}"
        if kind == "parquet":
            repeated = [
                field.name for field in schema if pa.types.is_dictionary(field.type) or pa.types.is_date(field.type)
            ]
            # The Arrow schema is left out: readers are to see plain text columns, not dictionaries. A Parquet
            # dictionary for columns of mostly distinct values costs two fifths of the writing time and the size.
            parquet: _Writer = self._stack.enter_context(
                pq.ParquetWriter(
                    path, schema, compression="zstd", compression_level=1, store_schema=False, use_dictionary=repeated
                )
            )
            return parquet
        fields = _plain(schema.empty_table(), keep_dictionary=False).schema
        kind_of_writer = _SoiledCsvWriter if self._is_soiled else pyarrow.csv.CSVWriter
        csv: _Writer = self._stack.enter_context(kind_of_writer(path, fields))
        return csv

    def finish(self, table: str, name: str) -> None:
        """Close a file, so that it takes no more memory."""
        for writer in self._writers.pop((table, name), []):
            writer.close()

    def close(self) -> None:
        """Close all files."""
        self._stack.close()


class _SoiledCsvWriter:
    """A CSV file with some texts in GBK, which Arrow's own writer refuses."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = path.open("wb")
        self._write(schema.empty_table(), has_header=True)

    def __enter__(self) -> _SoiledCsvWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_table(self, rows: pa.Table) -> None:
        """Append rows."""
        self._write(rows, has_header=False)

    def _write(self, rows: pa.Table, *, has_header: bool) -> None:
        text = io.BytesIO()
        pyarrow.csv.write_csv(rows, text, pyarrow.csv.WriteOptions(include_header=has_header))
        self._file.write(_IN_GBK.sub(lambda found: found[1].decode().encode("gbk"), text.getvalue()))

    def close(self) -> None:
        """Complete the file."""
        self._file.close()


def _plain(rows: pa.Table, keep_dictionary: bool) -> pa.Table:
    if keep_dictionary:
        return rows
    columns = [
        column.cast(field.type.value_type)
        if pa.types.is_dictionary(field.type)
        else texts_of(column)
        if _may_be_exponential(field.type)
        else column
        for field, column in zip(rows.schema, rows.columns, strict=True)
    ]
    return pa.table(columns, names=rows.schema.names)


def _may_be_exponential(type_: pa.DataType) -> bool:
    """Whether Arrow writes some numbers of a type like 0E-8, which readers take for no decimal."""
    return bool(pa.types.is_decimal(type_) and type_.scale > _PLAIN_SCALE)


def texts_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text, decimals with all their digits.

    Examples
    --------
    >>> from decimal import Decimal
    >>> texts_of(pa.chunked_array([pa.array([Decimal("0E-8"), Decimal("0.00150000"), None])])).to_pylist()
    ['0.00000000', '0.00150000', None]
    """
    text = pc.cast(column, pa.string())
    if not _may_be_exponential(column.type):
        return text
    exponential = pc.fill_null(pc.match_substring(text, "E"), False)
    if not pc.any(exponential).as_py():
        return text
    written = [f"{value.as_py():f}" for value in column.filter(exponential)]
    return pc.replace_with_mask(text.combine_chunks(), exponential.combine_chunks(), pa.array(written, pa.string()))


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other runs off a folder; one that is not there needs nobody kept off.

    Raises
    ------
    UserError
        Another run is at work on it.
    """
    if not folder.is_dir():
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if not _is_locked(handle):
            raise UserError(
                "another run is at work on this folder",
                where=str(folder),
                found="its lock is taken",
                valid="one run at a time",
                next_step="wait until the other one has ended",
            )
        yield
    finally:
        os.close(handle)


def _is_locked(handle: int) -> bool:
    """Take the lock of an open folder, until it is closed or the process ends; whether nobody else has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # Some file systems have no locks.
        return True
    return True


@contextmanager
def _temporary_folder(target: Path, purpose: str) -> Iterator[Path]:
    """A folder beside a target, locked while this process lives, so that no other run takes it for a leftover."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.{purpose}-", dir=target.parent))
        handle = os.open(folder, os.O_RDONLY)
        # Between its making and its lock another run may have swept it.
        if _is_locked(handle) and folder.exists():
            break
        os.close(handle)
    try:
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove what killed runs left beside a target, and put back a bank that one of them had moved aside."""
    if not target.parent.is_dir():
        return
    leftover = re.compile(rf"\.{re.escape(target.name)}\.(partial|old)-[a-z0-9_]{{8}}")
    for folder in sorted(path for path in target.parent.iterdir() if leftover.fullmatch(path.name)):
        try:
            handle = os.open(folder, os.O_RDONLY)
        except OSError:
            continue
        try:
            if _is_locked(handle):
                if (folder / _ASIDE).is_dir() and not target.exists():
                    (folder / _ASIDE).rename(target)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


@contextmanager
def replaced_folders(*targets: tuple[Path, str]) -> Iterator[list[Path]]:
    """Folders to write into that take the place of the targets when everything went well, and vanish otherwise.

    Parameters
    ----------
    targets
        Each with the name of the manifest that a folder must hold to be replaced.

    Raises
    ------
    UserError
        A target is a file, a folder of something else, or cannot be written; another run is at work on it; the disk
        is full.
    """
    places = tuple(target for target, _ in targets)
    try:
        with ExitStack() as stack:
            partial: list[Path] = []
            for target, manifest in targets:
                _sweep(target)
                _refuse_foreign(target, manifest)
                stack.enter_context(locked_folder(target))
                target.parent.mkdir(parents=True, exist_ok=True)
                partial.append(stack.enter_context(_temporary_folder(target, "partial")))
            yield partial
            for folder, target in zip(partial, places, strict=True):
                folder.chmod(0o755)
                _swap(folder, target)
    except OSError as error:
        raise _as_user_error(error, places) from error


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """A folder beside a bank's, to write into what is to come into it; it vanishes in the end.

    Raises
    ------
    UserError
        Nothing can be written there; the disk is full.
    """
    try:
        _sweep(target)
        with _temporary_folder(target, "partial") as staged:
            yield staged
    except OSError as error:
        raise _as_user_error(error, (target,)) from error


def write_manifest(folder: Path, text: str, name: str = MANIFEST) -> None:
    """Put a manifest in the place of the one that is there, at once."""
    partial = folder / f".{name}.partial"
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / name)
    finally:
        partial.unlink(missing_ok=True)


def _refuse_foreign(target: Path, manifest: str) -> None:
    if target.is_dir() and not (target / manifest).is_file() and any(target.iterdir()):
        wanted, other = _KINDS[manifest], _KINDS[MANIFEST if manifest == TRUTH_MANIFEST else TRUTH_MANIFEST]
        is_other = any((target / name).is_file() for name in _KINDS)
        raise UserError(
            f"the folder holds something that is no {wanted}",
            where=str(target),
            found=f"a {other}" if is_other else f"files, but no {manifest}",
            valid=f"an empty or new folder, or one with a {wanted}, which is replaced",
            next_step="name another folder or empty this one",
        )
    if target.exists() and not target.is_dir():
        raise UserError("the sample bank needs a folder", where=str(target), found="a file", valid="a folder")


def _swap(folder: Path, target: Path) -> None:
    if not target.exists():
        folder.rename(target)
        return
    with _temporary_folder(target, "old") as old:
        target.rename(old / _ASIDE)
        try:
            folder.rename(target)
        except OSError:
            (old / _ASIDE).rename(target)
            raise


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
