"""Databases as sources: a statement becomes a stream of Arrow batches of the source's own columns.

Whatever is asked is read by `database_process`; here are the addresses, the small differences between the servers' SQL,
and what a failure is called. An address holds a password: it is known by the name of an environment variable, and
neither it nor a value of a row is in any message.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
import pyarrow as pa

from warehouse.errors import UserError
from warehouse.sources.delivered import SOURCE_ROW, Originals, RowBatch
from warehouse.sources.specification import DatabaseSpec, SourceColumn, SourceSpec, overlap_of

#: Rows of a batch where the mapping says nothing: some tens of megabytes for a wide table.
BATCH_ROWS = 1 << 16
#: Seconds to wait for a connection.
CONNECT_SECONDS = 10
#: Longest text a driver that cannot tell beforehand makes room for, in characters.
LONGEST_TEXT = 4096
_PIPE_BYTES = 1 << 20
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_WORD = re.compile(r"[\w$.]+")
_PANIC = re.compile(r'message: "((?:[^"\\]|\\.)*)"')
_LOST_CONNECTION = re.compile(
    r"timed out waiting for connection|connection (closed|reset|refused|to server)|server closed|closed the connection"
    r"|terminating connection|broken pipe|gone away|lost connection|not connect|unexpected eof|communication link"
    r"|starting up|shutting down|unexpectedeof|IoError|State: 08|57P0[123]|ended without a word",
    re.IGNORECASE,
)
#: What no further try mends. A pool of connections tries on for half a minute, whatever the server said.
_LOGIN_REFUSED = re.compile(
    r"authentication failed|no pg_hba\.conf entry|role [^ ]+ (does not exist|is not permitted to log in)"
    r"|no password supplied|permission denied for database|access denied for user|login failed for user"
    r"|database [^ ]+ does not exist|unknown database|cannot open database|ORA-01017|ORA-28000|ORA-01045"
    r"|State: 28|28P01|SQLSTATE[^0-9]{0,3}28",
    re.IGNORECASE,
)
#: How often a wait for an answer looks at what the driver says meanwhile, in seconds.
_LOOK_SECONDS = 0.2
_LOCKED = re.compile(r"lock timeout|lock wait timeout|is locked|55P03|deadlock", re.IGNORECASE)


class ConnectionFailedError(UserError):
    """A server cannot be reached, or was lost on the way: worth another try."""


class SourceRefusedError(UserError):
    """A server was reached and refused what was asked, or who asks: not worth another try."""


@dataclass(frozen=True)
class Dialect:
    """How one kind of server writes what is needed here.

    Attributes
    ----------
    quotes
        What stands before and behind a name.
    text
        Expression that gives a value as text, with `{}` for the value: exact for decimals.
    cast_types
        Types, as declared, whose columns are asked for as text. Drivers round decimals to ten places or six, make
        single precision of double, and SQLite has no types at all.
    moment, day
        Literals of a time and of a date.
    before
        Statement given before the question; `{}` is the number of seconds to wait for a lock.
    """

    quotes: str
    text: str
    cast_types: tuple[str, ...] = ("DECIMAL", "DOUBLE")
    moment: str = "timestamp '{}'"
    day: str = "date '{}'"
    before: str = ""

    def name(self, name: str) -> str:
        """Name, quoted."""
        first, last = self.quotes[0], self.quotes[1]
        return f"{first}{name.replace(last, last * 2)}{last}"

    def table(self, name: str) -> str:
        """Name of a table, perhaps with its schema, quoted."""
        return ".".join(self.name(part) for part in name.split("."))


DIALECTS = {
    "postgresql": Dialect(
        '""', "cast({} as text)", before="set timezone to 'UTC'; set lock_timeout to '{}s'; set extra_float_digits to 1"
    ),
    "mysql": Dialect("``", "cast({} as char)", before="set time_zone = '+00:00', lock_wait_timeout = {}"),
    "mssql": Dialect("[]", "convert(varchar(64), {})", moment="cast('{}' as datetime2)", day="cast('{}' as date)"),
    "oracle": Dialect('""', "to_char({}, 'TM9', 'NLS_NUMERIC_CHARACTERS=''. ''')"),
    "sqlite": Dialect(
        '""',
        "cast({} as text)",
        ("DECIMAL", "DOUBLE", "DATE", "TIMESTAMP", "BOOLEAN", "INTEGER", "BIGINT", "VARCHAR"),
        moment="'{}'",
        day="'{}'",
    ),
    "odbc": Dialect('""', "cast({} as varchar(64))", moment="{{ts '{}'}}", day="{{d '{}'}}"),
}
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433, "oracle": 1521}
_SCHEMES = {"postgres": "postgresql", "mariadb": "mysql"}
_VALID_ADDRESSES = (
    "postgresql://user:password@host:5432/database, mysql://user:password@host:3306/database, "
    "mssql://user:password@host:1433/database, oracle://user:password@host:1521/service, sqlite:///path/of/file, "
    "or odbc:Driver=...;Server=...;UID=...;PWD=..."
)


@dataclass(frozen=True)
class Address:
    """Where a database is. What is printed of it holds no secret.

    Attributes
    ----------
    variable
        Environment variable it was found in, or what stands in its place in messages.
    kind
        Key of `DIALECTS`.
    url
        As the driver takes it; secret.
    secrets
        Texts that may be in no message.
    """

    variable: str
    kind: str
    url: str = field(repr=False)
    host: str | None = None
    port: int | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def dialect(self) -> Dialect:
        """How its SQL is written."""
        return DIALECTS[self.kind]

    @classmethod
    def of(cls, url: str, variable: str = "URL") -> Address:
        """Read an address.

        Raises
        ------
        UserError
            If it is none; what was given is not repeated.
        """
        if url.startswith("odbc:"):
            text = url.removeprefix("odbc:")
            values = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
            hidden = [
                value for key, value in values.items() if key.strip().lower() in ("uid", "pwd", "user", "password")
            ]
            return cls(variable, "odbc", text, secrets=(text, *hidden))
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urllib.parse.urlsplit(""), None
        scheme = parts.scheme.partition("+")[0]
        kind = _SCHEMES.get(scheme, scheme)
        is_file = kind == "sqlite"
        if kind not in DIALECTS or kind == "odbc" or (not is_file and not parts.hostname) or not parts.path.strip("/"):
            raise UserError(
                "this is no address of a database",
                where=variable,
                found=("something" if not parts.scheme else f"an address of kind {parts.scheme}")
                + " (not shown: it may hold a password)",
                valid=_VALID_ADDRESSES,
            )
        if is_file:
            return cls(variable, kind, "sqlite:///" + urllib.parse.unquote(parts.path).lstrip("/"))
        own = [text for text in (parts.password, parts.username) if text]
        secrets = (url, *own, *(urllib.parse.unquote(text) for text in own), *([parts.netloc] if own else []))
        return cls(variable, kind, f"{kind}:{url.partition(':')[2]}", parts.hostname, port or _PORTS[kind], secrets)

    @classmethod
    def from_environment(cls, variable: str, where: str) -> Address:
        """The address that an environment variable holds.

        Raises
        ------
        UserError
            If it is not set, or holds no address.
        """
        url = os.environ.get(variable)
        if not url:
            raise UserError(
                f"the environment variable {variable} is not set: it holds the address of a database",
                where=where,
                valid=_VALID_ADDRESSES,
                next_step=f"set {variable} where the run is started; never write the address into the mapping",
            )
        return cls.of(url, variable)

    def hidden(self, text: str) -> str:
        """Text without the secrets of the address."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            if len(secret) > 1:
                text = re.sub(rf"(?<![\w]){re.escape(secret)}(?![\w])", "***", text)
        return text

    def reach(self) -> None:
        """Say at once whether the server can be reached: drivers try for half a minute, and say less."""
        if self.kind == "sqlite":
            path = Path(self.url.removeprefix("sqlite://"))
            if not path.is_file():
                raise UserError("there is no such database file", where=self.variable, found=path.name)
            return
        if self.host is None or self.port is None:
            return
        try:
            socket.create_connection((self.host, self.port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            raise ConnectionFailedError(
                "the database cannot be reached",
                where=f"{self.variable}: port {self.port}",
                found=error.strerror or str(error),
                valid="a server that listens there, and a network that lets this machine through",
                next_step="see whether the server runs, then run again: nothing of it was landed",
            ) from None


class Session:
    """Asks one database, through a process that is started at the first question and ended by `close`.

    `lock_seconds` is how long a statement waits for a lock; `tell` receives a line while a connection is waited for.
    """

    def __init__(self, address: Address, *, lock_seconds: int = 60, tell: Callable[[str], None] | None = None) -> None:
        self.address = address
        self.lock_seconds = lock_seconds
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._is_reading = False
        self._stderr: BinaryIO | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, also in the middle of an answer."""
        process, self._process = self._process, None
        self._is_reading = False
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    def stream(
        self, statement: str, rows: int = BATCH_ROWS, *, within: float | None = None
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Schema and batches of what a statement gives; the batches must be read to their end, or all be closed.

        `within` is how many seconds the answer may take to begin.

        Raises
        ------
        ConnectionFailedError
            If the server cannot be reached or is lost, also while the batches are read.
        SourceRefusedError
            If it refuses what is asked, or the user, its password or the database of the address.
        """
        if self._is_reading:
            # The answer before was not read to its end.
            self.close()
        self.address.reach()
        process = self._started()
        self._is_reading = True
        assert process.stdin is not None  # noqa: S101 - asked for when it was started
        assert process.stdout is not None  # noqa: S101
        request = {
            "driver": self.address.kind if self.address.kind in ("odbc", "sqlite") else "connectorx",
            "url": self.address.url,
            "statement": statement,
            "rows": rows,
            "before": [
                part.strip() for part in self.address.dialect.before.format(self.lock_seconds).split(";") if part
            ],
            "seconds": CONNECT_SECONDS,
            "lock_seconds": self.lock_seconds,
            "longest_text": LONGEST_TEXT,
        }
        said_before = self._said_until()
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            self._await_answer(process.stdout, said_before, statement, within)
            reader = pa.ipc.open_stream(process.stdout)
        except (OSError, pa.ArrowException) as error:
            raise self._ended(statement) from error
        if not reader.schema.names:
            self._read_to_end(reader, statement)
        return reader.schema, self._batches(reader, statement)

    def _await_answer(self, answer: IO[bytes], said_before: int, statement: str, within: float | None) -> None:
        """Wait until an answer begins; no longer than `within`, nor once the login was refused."""
        end = None if within is None else time.monotonic() + within
        told = ""
        while not select.select([answer], [], [], _LOOK_SECONDS)[0]:
            said = self._said(said_before)
            if _LOGIN_REFUSED.search(said):
                self.close()
                raise self._failed(said, statement)
            if said and said != told and self._tell is not None:
                shown = message_of(self.address.hidden(said))
                self._tell(f"{self.address.variable}: waiting for a connection: {shown}")
                told = said
            if end is not None and time.monotonic() > end:
                self.close()
                raise self._locked(statement, f"no answer within {within:.0f} seconds")

    def _said_until(self) -> int:
        return os.fstat(self._stderr.fileno()).st_size if self._stderr is not None else 0

    def _said(self, since: int) -> str:
        """Last line that the driver logged since a position: why a connection is not there yet."""
        if self._stderr is None or (size := self._said_until()) <= since:
            return ""
        # Read by position: the process writes through the same handle.
        read = os.pread(self._stderr.fileno(), 4096, max(since, size - 4096)).decode(errors="replace")
        lines = [line for line in read.splitlines() if line.startswith("[") and " ERROR " in line]
        return lines[-1].partition("] ")[2] if lines else ""

    def table(self, statement: str) -> pa.Table:
        """All that a statement gives, in memory: for small answers."""
        schema, batches = self.stream(statement)
        return pa.Table.from_batches(list(batches), schema)

    def _batches(self, reader: pa.RecordBatchStreamReader, statement: str) -> Iterator[pa.RecordBatch]:
        rows = 0
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                break
            except (OSError, pa.ArrowException) as error:
                raise self._ended(statement) from error
            rows += batch.num_rows
            yield batch
        told = self._outcome(statement)
        if told != rows:
            raise SourceRefusedError(
                "the driver gave another number of rows than it says",
                where=self.address.variable,
                found=f"{rows:,} rows, {told:,} told",
                next_step="run again",
            )

    def _read_to_end(self, reader: pa.RecordBatchStreamReader, statement: str) -> None:
        for _ in reader:
            pass
        self._outcome(statement)
        raise SourceRefusedError("the statement gives no columns", where=self.address.variable, found=statement)

    def _outcome(self, statement: str) -> int:
        assert self._process is not None  # noqa: S101 - somebody asked it
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            # A stream that is cut off between two messages looks whole: only this line says that it is.
            raise self._ended(statement)
        outcome: dict[str, Any] = json.loads(line)
        self._is_reading = False
        if "error" in outcome:
            raise self._failed(outcome["error"], statement)
        return int(outcome["rows"])

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._stderr = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - until it is closed
            self._process = subprocess.Popen(
                [sys.executable, "-m", "warehouse.sources.database_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**os.environ, "RUST_BACKTRACE": "0", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
            assert self._process.stdout is not None  # noqa: S101 - asked for just now
            # Batches are some megabytes, and each filling of a pipe wakes both processes. It works without.
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return self._process

    def probe(self, statement: str) -> pa.Table:
        """What a statement gives that gives no rows: it can only be slow if it waits for a lock."""
        # Drivers ask for the columns on a connection of its own, on which no time limit for locks was set.
        schema, batches = self.stream(statement, within=self.lock_seconds + CONNECT_SECONDS)
        return pa.Table.from_batches(list(batches), schema)

    def _locked(self, statement: str, found: str) -> UserError:
        return SourceRefusedError(
            "a table of the source is locked",
            where=self.address.variable,
            found=f"{found}: {' '.join(statement.split())[:200]}",
            valid=f"a lock that is released within {self.lock_seconds} seconds (database.lock_seconds)",
            next_step="run again when the lock is gone: what was being read was not landed",
        )

    def _ended(self, statement: str) -> UserError:
        self.close()
        return self._failed("the process that reads the database ended without a word", statement)

    def _failed(self, message: str, statement: str) -> UserError:
        told = message_of(self.address.hidden(message), known=set(_WORD.findall(statement)))
        if _LOGIN_REFUSED.search(message):
            return SourceRefusedError(
                "the server refuses the login: the user, its password or the database",
                where=self.address.variable,
                found=told,
                valid="a user that may log in to that database, with its password (@ in it is written %40)",
                next_step=f"correct the address in {self.address.variable} or the rights at the server, then run again",
            )
        is_lost = bool(_LOST_CONNECTION.search(message))
        if is_lost:
            return ConnectionFailedError(
                "the database was lost, or refuses the connection",
                where=self.address.variable,
                found=told,
                next_step="see to the server and run again: what was being read was not landed",
            )
        if _LOCKED.search(message):
            return self._locked(statement, told)
        return SourceRefusedError(
            "the database refuses what the mapping asks",
            where=self.address.variable,
            found=told,
            next_step="correct the mapping, or the rights of the user; then run again",
        )


def message_of(text: str, known: Iterable[str] = ()) -> str:
    """What a server said, in one line, quoted texts masked but for names that stand in the statement.

    Examples
    --------
    >>> message_of('ERROR: invalid input for column "amount": "Zhang San"', {"amount"})
    'ERROR: invalid input for column "amount": ***'
    """
    panic = _PANIC.search(text)
    line = panic[1].replace('\\"', '"') if panic else " ".join(text.split())
    names = {part for name in known for part in (name, *name.split("."))}

    def shown(match: re.Match[str]) -> str:
        return match[0] if match[0][1:-1] in names else "***"

    return _QUOTED.sub(shown, line)[:400]


def relation_of(spec: DatabaseSpec, dialect: Dialect) -> str:
    """What is read from: the table, or the query of the mapping."""
    return dialect.table(spec.table) if spec.table else f"(\n{str(spec.query).strip().rstrip(';')}\n)"


def under_own_names(source: SourceSpec, delivered: Iterable[str], dialect: Dialect) -> SourceSpec:
    """The source, asked so that columns it has under another name (`delivered_as`) come under their own."""
    names = source.renamed(delivered)
    if source.database is None or not names:
        return source
    aliases = ", ".join(f"source_named.{dialect.name(name)} as {dialect.name(own)}" for name, own in names.items())
    # Those of the other name stand beside them: conditions of the mapping may be written in either.
    query = f"select source_named.*, {aliases} from {relation_of(source.database, dialect)} source_named"
    return replace(source, database=replace(source.database, table=None, query=query))


def probe_statement(spec: DatabaseSpec, dialect: Dialect) -> str:
    """Statement that gives no rows, for the columns a source has now."""
    return f"select * from {relation_of(spec, dialect)} source_rows where 1 = 0"


def read_statement(
    spec: DatabaseSpec, dialect: Dialect, columns: Sequence[SourceColumn], others: Sequence[str], lower: str | None
) -> str:
    """Statement that gives the rows from a lower bound of the cursor on.

    Parameters
    ----------
    spec, dialect
        What is read, and how it is written.
    columns
        The declared columns that are there.
    others
        Columns that are there and not declared.
    lower
        Bound as SQL; None for all rows.
    """
    selected = []
    for column in columns:
        name = dialect.name(column.name)
        is_cast = column.type.partition("(")[0] in dialect.cast_types
        selected.append(f"{dialect.text.format(name)} as {name}" if is_cast else name)
    selected += [dialect.name(name) for name in others]
    conditions = [f"({spec.where})"] if spec.where else []
    if lower is not None and spec.cursor is not None:
        cursor = dialect.name(spec.cursor)
        is_required = any(column.name == spec.cursor and column.required for column in columns)
        # A row without a cursor is never behind the watermark: it is read each time, and known by its content.
        conditions.append(f"{cursor} >= {lower}" if is_required else f"({cursor} >= {lower} or {cursor} is null)")
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return f"select {', '.join(selected)} from {relation_of(spec, dialect)} source_rows{where}"


def lower_bound(watermark: str, kind: str, overlap: str, dialect: Dialect) -> tuple[str, str]:
    """Watermark less the overlap: as text, and as SQL of the source.

    Parameters
    ----------
    watermark
        Highest value of the cursor that was read, as text.
    kind
        Declared type of the cursor.
    overlap
        As in the mapping, for example `2 days` or `1000`.

    Examples
    --------
    >>> lower_bound("2024-03-02", "DATE", "1 day", DIALECTS["postgresql"])
    ('2024-03-01', "date '2024-03-01'")
    >>> lower_bound("500", "BIGINT", "100", DIALECTS["mysql"])
    ('400', '400')
    """
    if kind in ("DATE", "TIMESTAMP"):
        moment = datetime.fromisoformat(watermark) - overlap_of(overlap)
        if kind == "DATE":
            day = moment.date().isoformat()
            return day, dialect.day.format(day)
        text = moment.isoformat(" ")
        return text, dialect.moment.format(text)
    number = str(Decimal(watermark) - Decimal(overlap))
    return number, number


class DatabaseRows:
    """The rows of one statement, as a delivery."""

    def __init__(self, session: Session, statement: str, *, rows_in_batch: int, limit: int | None, place: str) -> None:
        self.path = Path(place)
        self._session = session
        self._limit = limit
        self._schema, self._stream = session.stream(statement, rows_in_batch)

    @property
    def column_names(self) -> list[str]:
        """The columns it has, in its own order."""
        return list(self._schema.names)

    def is_text(self, column: str) -> bool:
        """Whether the values of a column come as text."""
        return is_text_type(self._schema.field(column).type)

    @property
    def most_records(self) -> int | None:
        """Not known beforehand."""
        return None

    def empty_rows(self) -> pa.Table:
        """No rows, with the columns of a batch."""
        return self._schema.empty_table().append_column(SOURCE_ROW, pa.nulls(0, pa.int64()))

    def batches(self) -> Iterator[RowBatch]:
        """The rows, in the order the source gives them and in bounded memory."""
        found = 0
        for batch in self._stream:
            # ODBC drivers may hand over text that is not UTF-8: it would be refused later on, and less clearly.
            batch.validate(full=True)
            taken = batch if self._limit is None else batch.slice(0, self._limit - found)
            if taken.num_rows:
                numbers = np.arange(found + 1, found + 1 + taken.num_rows, dtype=np.int64)
                rows = pa.Table.from_batches([taken]).append_column(SOURCE_ROW, pa.array(numbers))
                yield RowBatch(rows, taken.num_rows, Originals(rows, found + 1))
                found += taken.num_rows
            if self._limit is not None and found >= self._limit:
                self._session.close()
                return


class TableRows:
    """Rows that are in memory already, as a delivery: keys of deleted rows, replayed records."""

    def __init__(self, table: pa.Table, place: str, first_row: int = 1) -> None:
        self.path = Path(place)
        self._table = table
        self._first = first_row

    @property
    def column_names(self) -> list[str]:
        """The columns it has."""
        return [name for name in self._table.column_names if name != SOURCE_ROW]

    def is_text(self, column: str) -> bool:
        """Whether the values of a column come as text."""
        return is_text_type(self._table.schema.field(column).type)

    @property
    def most_records(self) -> int | None:
        """The number of its rows."""
        return int(self._table.num_rows)

    def empty_rows(self) -> pa.Table:
        """No rows, with the columns of a batch."""
        return self._numbered().slice(0, 0)

    def batches(self) -> Iterator[RowBatch]:
        """The rows."""
        rows = self._numbered()
        if rows.num_rows:
            yield RowBatch(rows, rows.num_rows, Originals(rows))

    def _numbered(self) -> pa.Table:
        if SOURCE_ROW in self._table.column_names:
            return self._table
        numbers = np.arange(self._first, self._first + self._table.num_rows, dtype=np.int64)
        return self._table.append_column(SOURCE_ROW, pa.array(numbers, pa.int64()))


def is_text_type(type_: pa.DataType) -> bool:
    """Whether an Arrow type is text (or nothing but nulls)."""
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_null(type_))


def fits_type(declared: str, type_: pa.DataType) -> bool:
    """Whether values of an Arrow type can be read as a declared type, at least some of them.

    Examples
    --------
    >>> fits_type("DATE", pa.int64()), fits_type("DATE", pa.string()), fits_type("BIGINT", pa.decimal128(10, 2))
    (False, True, True)
    """
    if is_text_type(type_) or declared == "VARCHAR":
        return not (pa.types.is_nested(type_) or pa.types.is_binary(type_))
    if declared in ("DATE", "TIMESTAMP"):
        return bool(pa.types.is_temporal(type_) and not pa.types.is_time(type_) and not pa.types.is_duration(type_))
    if declared == "BOOLEAN":
        return bool(pa.types.is_boolean(type_) or pa.types.is_integer(type_))
    return bool(pa.types.is_integer(type_) or pa.types.is_decimal(type_) or pa.types.is_floating(type_))


def text_of_watermark(value: object) -> str:
    """A value of a cursor as the ledger keeps it."""
    return (
        value.isoformat(" ")
        if isinstance(value, datetime)
        else value.isoformat()
        if isinstance(value, date)
        else str(value)
    )
