"""Releases: what readers open. Staged in a folder of its own, audited by a fresh process, then published by one rename.

A release is a DuckDB file of tables only (a view keeps the name of the catalog it was made in), written in the storage
format that every driver since 1.0 reads. The link ``current`` points to a *folder*: a link to a file would change the
name of the catalog with each release.

Run as a program (``python -m warehouse.release RELEASE_FOLDER``) it audits one staged release.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.sources.specification import quote_name, quote_text

PUBLIC_SCHEMAS = ("core", "customer", "relationship", "corporate", "mining", "meta")
"""The schemas of a release, and nothing else."""

STORAGE_VERSION = "v1.0.0"
"""Readable by DuckDB 1.0 and newer: BI drivers lag behind the version that writes."""

FILE_NAME = "mainbank.duckdb"

PUBLIC_TYPES = frozenset(
    {"BOOLEAN", "INTEGER", "BIGINT", "DECIMAL", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP"},
)
"""Column types every BI driver understands; DECIMAL stands for all its precisions."""


@dataclass(frozen=True)
class MetaTable:
    """A table about the release itself.

    Parameters
    ----------
    frame : pyarrow.Table
        Its rows.
    description : str
        What it is, ``English. | 中文。``.
    columns : mapping of str to str
        Description of each column, in both languages too.
    """

    frame: pa.Table
    description: str
    columns: Mapping[str, str]


RELEASE_TABLE_DESCRIPTION = "Every table of the release with its rows. | 本次发布的全部数据表及行数。"
RELEASE_TABLE_COLUMNS = {
    "schema_name": "Schema. | 模式。",
    "table_name": "Table. | 表。",
    "row_count": "Rows. | 行数。",
}


@dataclass(frozen=True)
class Release:
    """One release on disk.

    Parameters
    ----------
    release_id : str
        Name of its folder: as-of date and a number in the order of publication (``2024-03-31.0001``).
    folder : pathlib.Path
        Where it is.
    is_current : bool
        Whether readers see this one.
    """

    release_id: str
    folder: Path
    is_current: bool

    @property
    def file(self) -> Path:
        """The DuckDB file that BI tools open."""
        return self.folder / FILE_NAME

    @property
    def number(self) -> int:
        """Place in the order of publication."""
        return int(self.release_id.rsplit(".", 1)[1])

    @property
    def bank(self) -> str:
        """Short name of the bank it is of."""
        with duckdb.connect(str(self.file), read_only=True) as connection:
            return str(connection.execute("select bank from meta.release").fetchall()[0][0])


def list_releases(home: Home) -> list[Release]:
    """Releases on disk, in the order in which they were published."""
    current = home.current.resolve().name if home.current.exists() else None
    folders = [path for path in home.releases.glob("*.*") if (path / FILE_NAME).is_file()]
    found = [Release(folder.name, folder, folder.name == current) for folder in folders]
    return sorted(found, key=lambda item: item.number)


def next_release_id(home: Home, as_of: date) -> str:
    """Name of the next release: ``<as_of>.<number>``, the number one more than that of the last published."""
    return f"{as_of}.{max((item.number for item in list_releases(home)), default=0) + 1:04d}"


def public_tables(connection: duckdb.DuckDBPyConnection, catalog: str) -> list[tuple[str, str]]:
    """Schema and name of every table or view in the public schemas of a catalog, in order of name."""
    return connection.execute(
        """
        select schema_name, table_name from duckdb_tables() where database_name = $catalog
        union all
        select schema_name, view_name from duckdb_views() where database_name = $catalog and not internal
        order by all
        """,
        {"catalog": catalog},
    ).fetchall()


def stage(
    warehouse: Path,
    file: Path,
    meta: Mapping[str, MetaTable],
    *,
    open_settings: Mapping[str, str],
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, int]:
    """Write the public tables of a warehouse, and the tables about the release itself, into a new file.

    Parameters
    ----------
    warehouse : pathlib.Path
        The warehouse; opened read-only.
    file : pathlib.Path
        The file to write; its folder must exist and the file must not.
    meta : mapping of str to MetaTable
        Tables of schema ``meta`` by name; ``release_table`` is added here, since only here rows are known.
    open_settings : mapping of str to str
        DuckDB settings (memory limit, threads, temporary folder).
    progress : callable, optional
        Told each table before it is written.

    Returns
    -------
    dict of str to int
        Rows per ``schema.table``.

    Raises
    ------
    UserError
        If a public table has a column type that BI drivers do not understand.
    """
    rows: dict[str, int] = {}
    with duckdb.connect(":memory:", config=dict(open_settings)) as connection:
        connection.execute(f"attach {quote_text(str(warehouse))} as source (read_only)")
        connection.execute(f"attach {quote_text(str(file))} as release (storage_version '{STORAGE_VERSION}')")
        for schema in PUBLIC_SCHEMAS:
            connection.execute(f"create schema release.{quote_name(schema)}")
        for schema, table in public_tables(connection, "source"):
            if schema not in PUBLIC_SCHEMAS:
                continue
            progress(f"{schema}.{table}")
            name = f"{quote_name(schema)}.{quote_name(table)}"
            connection.execute(f"create table release.{name} as from source.{name}")
        for table, content in meta.items():
            progress(f"meta.{table}")
            _write_meta(connection, table, content)
        _copy_comments(connection)
        for schema, table in public_tables(connection, "release"):
            name = f"{quote_name(schema)}.{quote_name(table)}"
            rows[f"{schema}.{table}"] = connection.execute(f"select count(*) from release.{name}").fetchall()[0][0]
        names = [*rows, "meta.release_table"]
        rows["meta.release_table"] = len(names)
        frame = pa.table(
            {
                "schema_name": [name.split(".")[0] for name in names],
                "table_name": [name.split(".")[1] for name in names],
                "row_count": pa.array([rows[name] for name in names], pa.int64()),
            }
        )
        _write_meta(connection, "release_table", MetaTable(frame, RELEASE_TABLE_DESCRIPTION, RELEASE_TABLE_COLUMNS))
        _refuse_odd_types(connection)
        connection.execute("checkpoint release")
        connection.execute("detach release")
    return rows


def _write_meta(connection: duckdb.DuckDBPyConnection, table: str, content: MetaTable) -> None:
    """Write one table of schema ``meta`` with its comments into catalog ``release``."""
    name = f"release.meta.{quote_name(table)}"
    connection.register("frame_to_write", content.frame)
    connection.execute(f"create table {name} as from frame_to_write")
    connection.unregister("frame_to_write")
    connection.execute(f"comment on table {name} is {quote_text(content.description)}")
    for column, description in content.columns.items():
        connection.execute(f"comment on column {name}.{quote_name(column)} is {quote_text(description)}")


def _copy_comments(connection: duckdb.DuckDBPyConnection) -> None:
    """Copy the comments of tables, views and columns from catalog ``source`` to catalog ``release``."""
    table_comments = connection.execute(
        """
        select schema_name, table_name, comment from duckdb_tables()
        where database_name = 'source' and comment is not null
        union all
        select schema_name, view_name, comment from duckdb_views()
        where database_name = 'source' and comment is not null and not internal
        order by all
        """
    ).fetchall()
    for schema, table, comment in table_comments:
        if schema in PUBLIC_SCHEMAS:
            connection.execute(
                f"comment on table release.{quote_name(schema)}.{quote_name(table)} is {quote_text(comment)}"
            )
    column_comments = connection.execute(
        """
        select schema_name, table_name, column_name, comment from duckdb_columns()
        where database_name = 'source' and comment is not null
        order by all
        """
    ).fetchall()
    for schema, table, column, comment in column_comments:
        if schema in PUBLIC_SCHEMAS:
            connection.execute(
                f"comment on column release.{quote_name(schema)}.{quote_name(table)}.{quote_name(column)} "
                f"is {quote_text(comment)}"
            )


def _refuse_odd_types(connection: duckdb.DuckDBPyConnection) -> None:
    """Raise for a public column whose type a BI driver may not understand."""
    columns = connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where database_name = 'release' order by all"
    ).fetchall()
    for schema, table, column, data_type in columns:
        if data_type.split("(")[0] not in PUBLIC_TYPES or data_type.endswith("[]"):
            raise UserError(
                f"{schema}.{table}.{column} is {data_type}, which BI drivers may not read. "
                f"Valid types: {', '.join(sorted(PUBLIC_TYPES))}. Cast it in the model that makes it."
            )


def audit(folder: Path) -> dict[str, int]:
    """Read a staged release as a BI tool would and compare it with its own list of tables.

    Parameters
    ----------
    folder : pathlib.Path
        The staged release.

    Returns
    -------
    dict of str to int
        Rows per ``schema.table`` as read.

    Raises
    ------
    UserError
        Naming the first thing that is wrong.
    """
    file = folder / FILE_NAME
    if file.with_name(file.name + ".wal").exists():
        raise UserError(f"{file} still has a write-ahead log beside it: it was not closed properly.")
    with duckdb.connect(str(file), read_only=True) as connection:
        views = connection.execute(
            "select schema_name || '.' || view_name from duckdb_views() where not internal order by all"
        ).fetchall()
        if views:
            raise UserError(f"{file}: a release holds tables only; found view {views[0][0]}.")
        foreign = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where schema_name not in "
            f"({', '.join(quote_text(name) for name in PUBLIC_SCHEMAS)}) order by all"
        ).fetchall()
        if foreign:
            raise UserError(f"{file}: {foreign[0][0]} is not in a public schema ({', '.join(PUBLIC_SCHEMAS)}).")
        uncommented = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where comment is null order by all"
        ).fetchall()
        if uncommented:
            raise UserError(f"{file}: {uncommented[0][0]} has no description; write one in its .yml file.")
        stated = dict(
            connection.execute(
                "select schema_name || '.' || table_name, row_count from meta.release_table order by all"
            ).fetchall()
        )
        found: dict[str, int] = {}
        for schema, table in connection.execute(
            "select schema_name, table_name from duckdb_tables() order by all"
        ).fetchall():
            name = f"{quote_name(schema)}.{quote_name(table)}"
            # Every column of every row is read, so that a damaged block is found here and not by a reader.
            read = connection.execute(f"select count(*), bit_xor(hash(t)) from {name} as t").fetchall()
            found[f"{schema}.{table}"] = read[0][0]
    for name, count in found.items():
        if stated.get(name) != count:
            raise UserError(f"{file}: {name} holds {count} rows, its list of tables states {stated.get(name)}.")
    missing = sorted(set(stated) - set(found))
    if missing:
        raise UserError(f"{file}: {missing[0]} is listed but not there.")
    return found


def audit_in_a_fresh_process(folder: Path) -> dict[str, int]:
    """Audit a staged release in another process, which shares no open file and no cache with the writer.

    Raises
    ------
    UserError
        What the audit found.
    """
    outcome = subprocess.run(
        [sys.executable, "-m", "warehouse.release", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode != 0:
        raise UserError(
            f"The staged release {folder.name} did not pass its audit, so it is not published; "
            f"readers keep the release they have. {outcome.stderr.strip().splitlines()[-1:] or outcome.stderr}"
        )
    counts: dict[str, int] = json.loads(outcome.stdout)
    return counts


@contextmanager
def staging_folder(home: Home, release_id: str) -> Iterator[Path]:
    """A folder to make a release in; it is removed when making it fails."""
    folder = home.temporary / "staging" / release_id
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(home: Home, staged: Path) -> Release:
    """Move a staged and audited release to its place and let ``current`` point to it, both by a rename.

    Parameters
    ----------
    home : Home
        The installation.
    staged : pathlib.Path
        Folder of the staged release; its name is the release's id.
    """
    home.releases.mkdir(parents=True, exist_ok=True)
    folder = home.releases / staged.name
    staged.rename(folder)
    point_current_to(home, folder)
    return Release(folder.name, folder, is_current=True)


def point_current_to(home: Home, folder: Path) -> None:
    """Replace the link ``current`` in one step, so that no reader ever finds it missing."""
    link = home.root / f".current.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(home.releases.name) / folder.name, target_is_directory=True)
    link.replace(home.current)


def roll_back(home: Home, release_id: str | None = None) -> Release:
    """Let readers see an earlier release again.

    Parameters
    ----------
    home : Home
        The installation.
    release_id : str, optional
        Which one; by default the one of the same bank that was published before the current.

    Raises
    ------
    UserError
        If there is no such release.
    """
    releases = list_releases(home)
    names = [release.release_id for release in releases]
    if release_id is None:
        shown = next((item for item in releases if item.is_current), None)
        earlier = [item for item in releases if shown and item.number < shown.number and item.bank == shown.bank]
        if not earlier:
            raise UserError(
                f"There is no release before the current one in {home.releases}. Kept: {', '.join(names) or 'none'}."
            )
        release_id = earlier[-1].release_id
    if release_id not in names:
        raise UserError(f"No release {release_id} in {home.releases}. Kept: {', '.join(names) or 'none'}.")
    point_current_to(home, home.releases / release_id)
    return Release(release_id, home.releases / release_id, is_current=True)


def prune(home: Home, kept: int) -> list[str]:
    """Delete the oldest releases beyond a number; the current one always stays.

    Returns
    -------
    list of str
        Ids of the releases that were deleted.
    """
    releases = list_releases(home)
    doomed = [release for release in releases[: max(0, len(releases) - kept)] if not release.is_current]
    for release in doomed:
        shutil.rmtree(release.folder)
    return [release.release_id for release in doomed]


def table_hashes(file: Path, *, schemas: Sequence[str] = PUBLIC_SCHEMAS) -> dict[str, str]:
    """A hash of the rows of each table, in which their order does not count.

    Columns that may change from run to run (``landed_at``) and schema ``meta`` are for the caller to leave out.

    Returns
    -------
    dict of str to str
        Hex digest per ``schema.table``; equal digests mean equal rows, column names and types.
    """
    digests: dict[str, str] = {}
    with duckdb.connect(str(file), read_only=True) as connection:
        for schema, table in connection.execute(
            "select schema_name, table_name from duckdb_tables() order by all"
        ).fetchall():
            if schema not in schemas:
                continue
            name = f"{quote_name(schema)}.{quote_name(table)}"
            columns = connection.execute(
                "select column_name, data_type from duckdb_columns() "
                "where schema_name = ? and table_name = ? order by column_index",
                [schema, table],
            ).fetchall()
            totals = connection.execute(
                f"select count(*), sum(('0x' || left(md5(t::varchar), 15))::hugeint)::varchar from {name} as t"
            ).fetchall()
            digests[f"{schema}.{table}"] = hashlib.sha256(repr((columns, totals)).encode()).hexdigest()
    return digests


def main(arguments: Sequence[str]) -> int:
    """Audit the release in the folder given; print its counts as JSON."""
    try:
        counts = audit(Path(arguments[0]))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
