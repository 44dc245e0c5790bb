"""Opening the warehouse: one writer with explicit limits, or read-only; every connection is closed again.

DuckDB's own defaults look at the host and not at the container, so memory, threads and spill space are always set.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from warehouse.errors import UserError
from warehouse.sources.bank import ResourceSettings

#: Share of the free disk that spilling may take: the rest is for what is being built meanwhile.
SPILL_SHARE_OF_FREE_DISK = 0.8
_HOLDER = re.compile(r"held in (?P<program>.*?) \(PID (?P<pid>\d+)\)")


def connection_settings(resources: ResourceSettings, temporary: Path) -> dict[str, str]:
    """DuckDB settings with which every connection to the warehouse is opened.

    All connections of a process must be opened with the same ones, or DuckDB refuses the second.

    Parameters
    ----------
    resources
        Memory limit and threads of `bank.yml`.
    temporary
        Folder for spill files; made if absent.
    """
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        "memory_limit": resources.memory_limit,
        "threads": str(resources.threads),
        "temp_directory": str(temporary),
        "max_temp_directory_size": _spill_limit(temporary),
    }


@functools.cache
def _spill_limit(temporary: Path) -> str:
    """Asked once: free space changes, and all connections of a process must agree."""
    free = shutil.disk_usage(temporary).free
    return f"{max(1, int(free * SPILL_SHARE_OF_FREE_DISK) >> 20)}MiB"


@contextmanager
def open_warehouse(path: Path, resources: ResourceSettings, temporary: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Connection that may write; the file is made if absent. Only one process at a time can have it.

    Parameters
    ----------
    path
        The DuckDB file.
    resources
        Memory limit and threads.
    temporary
        Folder for spill files.

    Raises
    ------
    UserError
        Another process has the file open (its PID is named), it cannot be made, or it is no DuckDB file.
    """
    with _open(path, connection_settings(resources, temporary), read_only=False) as connection:
        yield connection


@contextmanager
def open_read_only(path: Path, resources: ResourceSettings, temporary: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Connection that reads; many processes can have one while none writes.

    Raises
    ------
    UserError
        There is no such file, or another process is writing to it (its PID is named).
    """
    if not path.is_file():
        raise UserError(
            "there is no warehouse yet", where=str(path), found="no such file", next_step="run: mainbank run"
        )
    with _open(path, connection_settings(resources, temporary), read_only=True) as connection:
        yield connection


@contextmanager
def _open(path: Path, settings: dict[str, str], *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=dict(settings))
    except duckdb.Error as error:
        raise _open_error(path, error) from error
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _open_error(path: Path, error: duckdb.Error) -> UserError:
    message = str(error)
    if "lock" in message.lower():
        holder = _HOLDER.search(message)
        by = f"held by process {holder['pid']} ({holder['program']})" if holder else message.split("\n", 1)[0]
        return UserError(
            "another process has the warehouse open",
            where=str(path),
            found=by,
            valid="one process that writes, or several that read",
            next_step="wait until it ends; readers and BI tools open current/mainbank.duckdb instead",
        )
    return UserError(
        "the warehouse cannot be opened",
        where=str(path),
        found=message.split("\n", 1)[0],
        valid="a writable place, and a file written by this or an older DuckDB",
        next_step="check the path and its permissions; a warehouse can always be built again from landing",
    )
