"""How the vault writes: beside the place, flushed, renamed, readable by the owner alone."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import UserError

#: Below the vault: where databases that see clear values spill, each into a folder of its own.
SPILL = "spill"


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step, mode 0600."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    move(temporary, path)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, mode 0600; nothing is left of it if that fails.

    Raises
    ------
    UserError
        If it is there, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(
            "the file cannot be written",
            where=str(path),
            found=error.strerror or type(error).__name__,
            valid="a new file in a folder that this user may write",
            next_step="name another file; one that is there is never replaced",
        ) from error


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a JSON file in one step, mode 0600."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def write_parquet(path: Path, table: pa.Table, mode: int = 0o600) -> None:
    """Replace a Parquet file in one step."""
    move(stage_parquet(path, table, mode), path)


def stage_parquet(path: Path, table: pa.Table, mode: int = 0o600) -> Path:
    """Write a Parquet file beside its place, flushed; where it lies."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.tmp")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    pq.write_table(table, temporary, compression="zstd")
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    return temporary


def move(source: Path, target: Path) -> None:
    """Rename within a folder, so that it survives a power cut."""
    source.replace(target)
    flush(target.parent)


def flush(folder: Path) -> None:
    """Make renames and removals inside a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Append one line of JSON to a file that only its owner may read; it is on the disk and was read back.

    A last line that was torn by a power failure was never acknowledged: it is cut off first, or the new line would be
    swallowed with it. One that lacks nothing but its end is ended.

    Raises
    ------
    UserError
        If what was written is not what the file holds.
    """
    is_new = not path.exists()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = (json.dumps(value, sort_keys=True, ensure_ascii=False) + "\n").encode()
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _mend_tail(handle)
        begin = handle.seek(0, os.SEEK_END)
        handle.write(line)
        handle.flush()
        os.fsync(handle.fileno())
        handle.seek(begin)
        if handle.read() != line:
            raise UserError(
                "a line that was appended is not what the file holds",
                where=str(path),
                found="other bytes, or none",
                next_step="look into the disk, then do it again: nothing that relies on the line was done",
            )
    if is_new:
        flush(path.parent)


def _mend_tail(handle: BinaryIO) -> None:
    """End a last line that is whole, cut off one that is torn."""
    content = handle.read()
    end = content.rfind(b"\n") + 1
    tail = content[end:]
    if not tail:
        return
    if _parsed(tail) is None:
        handle.truncate(end)
    else:
        handle.write(b"\n")


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line.decode("utf-8"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file written by `append_line`; none if it is not there.

    Raises
    ------
    UserError
        If a line is no JSON object; a last line that was torn by a power failure is passed over.
    """
    if not path.is_file():
        return []
    # Only the line feed ends a line: text may hold others of Unicode's line ends.
    *lines, tail = path.read_bytes().split(b"\n")
    found = []
    for number, line in enumerate(lines, start=1):
        value = _parsed(line)
        if value is None:
            raise UserError(
                "a line of an append-only file cannot be read",
                where=f"{path}, line {number}",
                found="no JSON",
                next_step="restore the file from a backup",
            )
        found.append(value)
    last = _parsed(tail)
    return found if last is None else [*found, last]


def spill_folder(vault_root: Path) -> str:
    """A folder inside the walls where one database may spill clear values; `sweep_spill` empties what is left."""
    folder = vault_root / SPILL
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(folder / secrets.token_hex(8))


def sweep_spill(vault_root: Path) -> None:
    """Remove what killed processes spilled, unless another process is at work: then it may be its own."""
    left = list((vault_root / SPILL).glob("*"))
    if not left:
        return
    try:
        with locked(vault_root, exclusively=True):
            for path in left:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
    except UserError:  # the lock is held
        return


@contextmanager
def locked(vault_root: Path, *, exclusively: bool) -> Iterator[None]:
    """Hold the vault: several may land or read at a time, one alone may turn keys or erase.

    Raises
    ------
    UserError
        If another process holds it in a way that does not go together.
    """
    vault_root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(vault_root / ".lock", os.O_RDWR | os.O_CREAT, 0o600), "r+") as handle:
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                "another process is working in the vault",
                where=str(vault_root),
                found="its lock is held",
                next_step="wait until that process ends, then run again",
            ) from error
        yield
