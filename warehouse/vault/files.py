"""How the vault writes: beside the place, flushed, renamed, readable by the owner alone."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import UserError


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
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.tmp")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    pq.write_table(table, temporary, compression="zstd")
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    move(temporary, path)


def move(source: Path, target: Path) -> None:
    """Rename within a folder, so that it survives a power cut."""
    source.replace(target)
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Append one line of JSON to a file that only its owner may read, and flush it to disk."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps(value, sort_keys=True, ensure_ascii=False) + "\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file written by `append_line`; none if it is not there.

    Raises
    ------
    UserError
        If a line is no JSON; a last line that was cut off by a power failure is passed over.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise UserError(
                "a line of an append-only file cannot be read",
                where=f"{path}, line {number}",
                found="no JSON",
                next_step="restore the file from a backup",
            ) from error
    return found


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
