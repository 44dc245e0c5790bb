"""The sample bank in a database: a schema (PostgreSQL), database (MariaDB) or file (SQLite) for each source system.

Used to try out connectors on a real server. The mapping that reads it back is written too.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shutil
import sqlite3
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from warehouse.contract.model import load_contract
from warehouse.errors import UserError
from warehouse.sources.database import Address
from warehouse.sources.mapping import SHIPPED_BANKS, load_mapping
from warehouse.sources.specification import SourceSpec

_BATCH_ROWS = 1 << 16
_SOURCE_FILE = re.compile(r"    file: .*\n    format: .*\n")
_TYPES = {
    "postgresql": {"VARCHAR": "text", "DOUBLE": "double precision"},
    "mysql": {"VARCHAR": "varchar(255)", "TIMESTAMP": "datetime(6)"},
    # It keeps what it is given: text stays exact.
    "sqlite": dict.fromkeys(("VARCHAR", "DOUBLE", "DATE", "TIMESTAMP", "BOOLEAN"), "text"),
}


class Loader(Protocol):
    """Fills one kind of database."""

    def create(self, system: str, table: str, columns: dict[str, str]) -> None:
        """Make an empty table, in the place of one of that name."""
        ...

    def fill(self, system: str, table: str, batch: pa.RecordBatch) -> None:
        """Append rows."""
        ...

    def complete(self) -> None:
        """Commit."""
        ...

    def table_name(self, system: str, table: str) -> str:
        """Name of a table in the mapping."""
        ...


def load(bank: Path, url: str, out: Path) -> dict[str, int]:
    """Write the tables of a sample bank into a database, and the mapping that reads them.

    Parameters
    ----------
    bank
        Folder of a sample bank, as Parquet.
    url
        Address of a database of which schemas, databases or files of the source systems' names may be replaced.
    out
        Folder that receives `mapping.yml` and `bank.yml`.

    Returns
    -------
    dict of str to int
        Rows by table.

    Raises
    ------
    UserError
        If the database is of no kind that is written here, or cannot be written.
    """
    address = Address.of(url, "--into")
    if address.kind not in _TYPES:
        raise UserError(
            "the sample bank is written into PostgreSQL, MariaDB or MySQL, and SQLite",
            where="--into",
            found=f"an address of kind {address.kind}",
            valid="postgresql://..., mysql://... or sqlite:///...",
        )
    if address.kind != "sqlite":
        address.reach()
    mapping = load_mapping("sample")
    rows: dict[str, int] = {}
    with _told(address), _loader(address, url) as loader:
        for source in mapping.sources.values():
            types = _TYPES[address.kind]
            columns = {c.name: types.get(c.type, c.type.replace("DECIMAL", "numeric")) for c in source.columns}
            if address.kind == "sqlite":
                columns = {name: "text" if "numeric" in kind else kind for name, kind in columns.items()}
            loader.create(source.source_system, source.name, columns)
            rows[source.name] = 0
            for file in sorted(bank.glob(source.file)):
                for batch in pq.ParquetFile(file).iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
                    # Records of several systems lie in one file: each system's database has its own.
                    own = batch.filter(pc.equal(batch["source_system"], source.source_system))
                    loader.fill(source.source_system, source.name, own)
                    rows[source.name] += own.num_rows
        loader.complete()
        _write_mapping(out, loader)
    return rows


def variable_of(system: str) -> str:
    """Environment variable with the address of a source system of the sample bank."""
    return f"SAMPLE_{system.upper()}_URL"


def _write_mapping(out: Path, loader: Loader) -> None:
    """The shipped mapping with a database in the place of each file."""
    out.mkdir(parents=True, exist_ok=True)
    mapping = load_mapping("sample")
    text = (SHIPPED_BANKS / "sample" / "mapping.yml").read_text(encoding="utf-8")
    blocks = iter(_database_block(source, loader) for source in mapping.sources.values())
    text = _SOURCE_FILE.sub(lambda _: next(blocks), text)
    (out / "mapping.yml").write_text(text, encoding="utf-8")
    shutil.copyfile(SHIPPED_BANKS / "sample" / "bank.yml", out / "bank.yml")


def _database_block(source: SourceSpec, loader: Loader) -> str:
    # A source is named after the contract table it feeds, but for the customers that other systems have.
    table = load_contract().tables.get(source.name, load_contract().tables["customers"])
    cursor = table.cursor
    lines = [
        "    database:",
        f"      url_from: {variable_of(source.source_system)}",
        f"      table: {loader.table_name(source.source_system, source.name)}",
    ]
    if cursor is not None and source.find(cursor) is not None:
        lines += [f"      cursor: {cursor}", "      overlap: 2 days"]
    if source.name == "transactions":
        lines += ["      reconcile: {day: posted_at, amount: amount}"]
    return "\n".join(lines) + "\n"


def _csv(batch: pa.RecordBatch) -> bytes:
    # Plain text columns: dictionaries are not written.
    table = pa.Table.from_batches([batch])
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(field.type.value_type))
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(table, buffer, pyarrow.csv.WriteOptions(include_header=False))
    return buffer.getvalue()


class _Postgres:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._made: set[str] = set()

    def create(self, system: str, table: str, columns: dict[str, str]) -> None:
        if system not in self._made:
            self._connection.execute(f'create schema if not exists "{system}"')
            self._made.add(system)
        self._connection.execute(f'drop table if exists "{system}"."{table}"')
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        self._connection.execute(f'create table "{system}"."{table}" ({listed})')

    def fill(self, system: str, table: str, batch: pa.RecordBatch) -> None:
        names = ", ".join(f'"{name}"' for name in batch.schema.names)
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f'copy "{system}"."{table}" ({names}) from stdin (format csv)') as copy,
        ):
            copy.write(_csv(batch))

    def complete(self) -> None:
        self._connection.commit()

    def table_name(self, system: str, table: str) -> str:
        return f"{system}.{table}"


class _MariaDB:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._columns: dict[str, dict[str, str]] = {}

    def create(self, system: str, table: str, columns: dict[str, str]) -> None:
        self._columns[table] = columns
        with self._connection.cursor() as cursor:
            cursor.execute(f"create database if not exists `{system}` character set utf8mb4 collate utf8mb4_bin")
            cursor.execute(f"drop table if exists `{system}`.`{table}`")
            listed = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
            cursor.execute(f"create table `{system}`.`{table}` ({listed})")

    def fill(self, system: str, table: str, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        kinds = self._columns[table]
        read = ", ".join(f"@v{i}" for i in range(len(names)))
        as_read = [
            f"`{name}` = nullif(@v{i}, '')"
            if kinds[name] != "BOOLEAN"
            else f"`{name}` = case @v{i} when 'true' then 1 when 'false' then 0 end"
            for i, name in enumerate(names)
        ]
        with _file_of(_csv(batch)) as path, self._connection.cursor() as cursor:
            cursor.execute(
                f"load data local infile '{path}' into table `{system}`.`{table}` character set utf8mb4 "
                f"fields terminated by ',' optionally enclosed by '\"' escaped by '' lines terminated by '\\n' "
                f"({read}) set {', '.join(as_read)}"
            )

    def complete(self) -> None:
        self._connection.commit()

    def table_name(self, system: str, table: str) -> str:
        return f"{system}.{table}"


@contextlib.contextmanager
def _file_of(content: bytes) -> Iterator[str]:
    """A file with some bytes, for a server that reads nothing else."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(content)
        file.flush()
        yield file.name


class _SQLite:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._connections: dict[str, sqlite3.Connection] = {}

    def _file(self, system: str) -> Path:
        return self._path.with_name(f"{self._path.stem}-{system}{self._path.suffix or '.db'}")

    def create(self, system: str, table: str, columns: dict[str, str]) -> None:
        if system not in self._connections:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connections[system] = sqlite3.connect(self._file(system))
        connection = self._connections[system]
        connection.execute(f'drop table if exists "{table}"')
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        connection.execute(f'create table "{table}" ({listed})')

    def fill(self, system: str, table: str, batch: pa.RecordBatch) -> None:
        columns = [self._stored(column) for column in batch.columns]
        marks = ", ".join("?" * len(columns))
        rows = zip(*columns, strict=True)
        self._connections[system].executemany(f'insert into "{table}" values ({marks})', rows)

    @staticmethod
    def _stored(column: pa.Array) -> list[Any]:
        if pa.types.is_integer(column.type):
            return list(column.to_pylist())
        if pa.types.is_decimal(column.type):
            # Arrow's own text of a small one has an exponent: 0E-8.
            return [None if value is None else f"{value:f}" for value in column.to_pylist()]
        return list(column.cast(pa.string()).to_pylist())

    def complete(self) -> None:
        for connection in self._connections.values():
            connection.commit()
            connection.close()

    def table_name(self, system: str, table: str) -> str:  # noqa: ARG002 - a file for each system
        return table


@contextlib.contextmanager
def _loader(address: Address, url: str) -> Iterator[Loader]:
    parts = urllib.parse.urlsplit(url)
    user, password = (urllib.parse.unquote(text or "") for text in (parts.username, parts.password))
    database = parts.path.strip("/")
    if address.kind == "postgresql":
        psycopg = _imported("psycopg")
        with psycopg.connect(
            host=address.host, port=address.port, user=user, password=password, dbname=database, connect_timeout=10
        ) as connection:
            yield _Postgres(connection)
    elif address.kind == "mysql":
        pymysql = _imported("pymysql")
        with pymysql.connect(
            host=address.host,
            port=address.port,
            user=user,
            password=password,
            database=database,
            local_infile=True,
            charset="utf8mb4",
        ) as connection:
            yield _MariaDB(connection)
    else:
        yield _SQLite(Path(urllib.parse.unquote(address.url.removeprefix("sqlite://"))))


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"{name} is not installed: databases are written with it",
            where="--into",
            next_step='pip install "mainbank[sample-databases]"',
        ) from error


@contextlib.contextmanager
def _told(address: Address) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("psycopg", "pymysql", "sqlite3"):
            raise
        raise UserError(
            "the database refuses what the sample bank writes",
            where="--into",
            found=address.hidden(str(error).splitlines()[0]),
            valid="a user who may create schemas (databases) and tables",
        ) from None


def addresses(bank_folder: Path) -> list[str]:
    """Environment variables that the mapping written into a folder needs."""
    sources = load_mapping(bank_folder).sources.values()
    return sorted({source.database.url_from for source in sources if source.database is not None})
