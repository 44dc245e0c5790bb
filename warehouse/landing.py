"""Landing: deliveries become immutable Parquet files as they came, identifiers apart, every record accounted for.

A delivery is one file of one source. It is written beside its place, renamed, and exists once its ledger entry does:
vault, quarantine, landed rows, ledger, in this order, so whatever an interrupted landing leaves behind is invisible
and swept away by the next one. What rows mean belongs to `registration`.
"""

from __future__ import annotations

import difflib
import errno
import fcntl
import hashlib
import os
import re
import time
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import vault
from warehouse.erasure import complete as complete_erasure
from warehouse.erasure import erased_rows
from warehouse.errors import UserError
from warehouse.freshness import DriftError, end_stop, forgotten_columns, record_stop
from warehouse.home import Home
from warehouse.increments import DATABASE_FILE, Extract, Window, next_window, request_hash
from warehouse.judgement import ADDED_COLUMNS, RECORD_ID, ErasedRows, Fault, Judge, JudgedRows
from warehouse.ledger import (
    KNOWN_FROM_THE_START,
    LedgerEntry,
    delivery_id,
    flush_folder,
    in_force,
    read_ledger,
    write_entry,
)
from warehouse.quarantine import (
    FAULTS,
    QUARANTINED,
    QUARANTINED_RECORDS,
    quarantine_path,
    quarantined_records,
    with_block,
)
from warehouse.reconciliation import reconcile
from warehouse.sources.bank import Bank
from warehouse.sources.database import (
    Address,
    DatabaseRows,
    Session,
    TableRows,
    fits_type,
    probe_statement,
    read_statement,
    under_own_names,
)
from warehouse.sources.delimited import DelimitedRows, likely_delimiter
from warehouse.sources.delivered import DeliveredRows, RenamedRows, RowBatch
from warehouse.sources.parquet import ParquetRows
from warehouse.sources.queries import create_bank_time_macro
from warehouse.sources.specification import CsvFormat, DatabaseSpec, DerivedColumn, SourceColumn, SourceSpec
from warehouse.vault.files import spill_folder
from warehouse.vault.keys import TOKEN_FILE
from warehouse.vault.manifests import FOLDER as MANIFESTS
from warehouse.vault.manifests import Fingerprint, Manifests, fingerprint
from warehouse.vault.sealed import SEALED, block_row

DELETES_FOLDER = "deletes"
_DATED_FOLDER = re.compile(r"(\d{4})/(\d{2})/(\d{2})")
#: An unclassed value of a source that also holds identifiers is shown only if it can be no name, phone or number of
#: an account: fields may have slipped by one.
_HARMLESS = re.compile(r"[0-9 .,:/+-]{1,10}")
_EXAMPLES = 3
#: By how many rows it is told whether the values of a column repeat.
_FIRST_ROWS = 1 << 13


@dataclass(frozen=True)
class Delivery:
    """A file found in the data folder, and what it is a delivery of.

    Attributes
    ----------
    file
        Its path below the data folder, with `/`.
    known_on
        Date of the delivery; None for an initial load.
    """

    source: SourceSpec
    path: Path
    file: str
    known_on: date | None
    operation: str


@dataclass(frozen=True)
class LandingResult:
    """What became of one delivery.

    Attributes
    ----------
    entry
        Its ledger entry.
    is_new
        Whether this call landed it (or put it back in force); otherwise it was there already.
    seconds
        Time it took.
    """

    entry: LedgerEntry
    is_new: bool
    seconds: float


def land(
    bank: Bank,
    data_dir: Path,
    home: Home,
    progress: Callable[[str], None] | None = None,
    delivered_on: date | None = None,
) -> list[LandingResult]:
    """Land every delivery of a data folder that is not in the ledger yet, and what the databases have that is new.

    All files are found and their headers compared with the mapping before the first one is landed; databases are read
    after the files, one source after the other. Each delivery is landed whole or not at all; calling again after any
    failure goes on where it stopped.

    A source whose columns are no longer those of the mapping stands still, the others go on: see `freshness.stops`. If
    nothing of it was ever landed there is nothing to go on with: a file then stops everything before anything is
    landed, a table of a database what would be read after it. What was landed before it stays.

    Parameters
    ----------
    bank
        Mapping and settings.
    data_dir
        Initial files directly below it, later deliveries in folders `YYYY/MM/DD`, deleted rows in `deletes` below.
    home
        The installation.
    progress
        Receives one line per delivery.
    delivered_on
        Business date of what the databases deliver now; today at the bank by default.

    Returns
    -------
    list of LandingResult
        One per delivery found, by date and in the order of the mapping's sources; those of databases last.

    Raises
    ------
    UserError
        If something is missing, is not what the mapping says, cannot be written, or has too many faulty records.
    """
    tell = progress or (lambda _line: None)
    today = delivered_on or datetime.now(zoneinfo.ZoneInfo(bank.settings.time_zone)).date()
    deliveries = discover(bank, data_dir, tell)
    opened = [_opened(delivery) for delivery in deliveries]
    addresses = _addresses(bank)
    with open_landing(bank, home, tell) as (landing, entries):
        ready, stopped = _without_stopped(bank, home, deliveries, opened, entries=entries)
        results = [landing.land(delivery, rows, entries) for delivery, rows in ready]
        # Only now, since what was landed before the refused delivery says since when a source is stale.
        for delivery, drift in stopped:
            name = delivery.source.name
            stop = record_stop(home, bank.name, name, entries=entries, refused=delivery.known_on, why=drift)
            tell(f"{name} stands still since {stop.stale_since or 'the initial load'}: {drift}")
        for source, address in addresses.items():
            results += landing.extract(bank.mapping.sources[source], address, entries, today)
        for forgotten in forgotten_columns(bank, entries):
            tell(str(forgotten))
        return results


@contextmanager
def open_landing(bank: Bank, home: Home, tell: Callable[[str], None]) -> Iterator[tuple[Landing, list[LedgerEntry]]]:
    """A home made ready to be landed in, by one process at a time, and its ledger."""
    home.prepare()
    with _told_when_unwritable(home), _exclusive(home, bank.name):
        complete_erasure(home)
        entries = read_ledger(home.landing, bank.name)
        with vault.held_keys(home.vault, may_create=not entries) as keys:
            _check_key(entries, keys, home)
            vault.check_files(home, bank.name, keys, is_thorough=False, is_landing=True)
            _sweep(home, bank.name, {entry.delivery_id for entry in entries})
            with _judging_connection(bank, home, keys.token) as connection:
                landing = Landing(bank, home, connection, keys, tell)
                try:
                    yield landing, entries
                finally:
                    landing.close()


def check_deliveries(bank: Bank, data_dir: Path, home: Home) -> None:
    """Raise what `land` would raise before it lands anything.

    Raises
    ------
    UserError
        If something is missing, or is not what the mapping says.
    """
    _addresses(bank)
    deliveries = discover(bank, data_dir)
    opened = [_opened(delivery) for delivery in deliveries]
    _refuse_what_never_came(deliveries, opened, read_ledger(home.landing, bank.name))


def _addresses(bank: Bank) -> dict[str, Address]:
    """Address of each source that is in a database."""
    return {
        source.name: Address.from_environment(
            source.database.url_from, bank.mapping.place(f"sources.{source.name}.database.url_from")
        )
        for source in bank.mapping.sources.values()
        if source.database is not None
    }


def _opened(delivery: Delivery) -> DeliveredRows | DriftError:
    try:
        return open_rows(delivery)
    except DriftError as drift:
        return drift


def _refuse_what_never_came(
    deliveries: Sequence[Delivery], opened: Sequence[DeliveredRows | DriftError], entries: Sequence[LedgerEntry]
) -> None:
    standing = {entry.source for entry in in_force(entries)}
    for delivery, rows in zip(deliveries, opened, strict=True):
        if isinstance(rows, DriftError) and delivery.source.name not in standing:
            raise rows


def _without_stopped(
    bank: Bank,
    home: Home,
    deliveries: Sequence[Delivery],
    opened: Sequence[DeliveredRows | DriftError],
    *,
    entries: list[LedgerEntry],
) -> tuple[list[tuple[Delivery, DeliveredRows]], list[tuple[Delivery, DriftError]]]:
    """The deliveries that can be landed, of a source that drifted those up to that delivery; and those refused."""
    _refuse_what_never_came(deliveries, opened, entries)
    places = {entry.place: entry for entry in in_force(entries)}
    ready: list[tuple[Delivery, DeliveredRows]] = []
    stopped: dict[str, tuple[Delivery, DriftError]] = {}
    for delivery, rows in zip(deliveries, opened, strict=True):
        source = delivery.source.name
        if isinstance(rows, DriftError):
            place = (bank.name, source, delivery.known_on or KNOWN_FROM_THE_START, delivery.operation, delivery.file)
            # What was landed under an earlier mapping stays as it was landed.
            if place not in places or places[place].file_sha256 != _sha256(delivery.path):
                stopped.setdefault(source, (delivery, rows))
        elif source not in stopped:
            ready.append((delivery, rows))
    for source_ in bank.mapping.sources.values():
        if source_.database is None and source_.name not in stopped:
            end_stop(home, bank.name, source_.name)
    return ready, list(stopped.values())


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def discover(bank: Bank, data_dir: Path, tell: Callable[[str], None] = lambda _line: None) -> list[Delivery]:
    """Files of a data folder that the mapping knows, by date, source and name.

    Raises
    ------
    UserError
        If the folder or every file of a source is missing, or a dated folder is no date.
    """
    if all(source.database is not None for source in bank.mapping.sources.values()):
        return []
    if not data_dir.is_dir():
        raise UserError(
            "the folder with the deliveries is not there",
            where="DATA",
            found=f"{data_dir}, which is {'a file' if data_dir.exists() else 'nothing'}",
            valid="an existing folder with the files the mapping names",
        )
    folders = _dated_folders(data_dir)
    deliveries = []
    for source in bank.mapping.sources.values():
        if source.database is not None:
            continue
        found = [
            Delivery(source, path, path.relative_to(data_dir).as_posix(), known_on, operation)
            for folder, known_on, operation in [(data_dir, None, "upsert"), *folders]
            for path in _matching(folder, source.file, is_initial=known_on is None)
        ]
        if not found:
            present = sorted(path.name for path in data_dir.iterdir() if path.is_file())
            raise UserError(
                "a source of the mapping has no file",
                where=bank.mapping.place(f"sources.{source.name}.file"),
                found=f"no {source.file} in {data_dir}"
                + (f"; files there: {', '.join(present[:20])}" if present else ""),
                valid=f"{data_dir / source.file}, or the same name in a folder YYYY/MM/DD below it",
                next_step="put the file there, name the right folder with DATA, or correct the mapping",
            )
        deliveries += found
    known = {delivery.path for delivery in deliveries}
    _refuse_misnamed_folders(bank, data_dir)
    for folder in (data_dir, *(folder for folder, _, _ in folders)):
        for path in sorted(folder.iterdir()):
            if path.is_file() and path not in known and not path.name.startswith((".", "_")):
                tell(f"{path.relative_to(data_dir).as_posix()} belongs to no source of the mapping and was left alone")
    order = {name: position for position, name in enumerate(bank.mapping.sources)}
    return sorted(
        deliveries,
        key=lambda found: (found.known_on or date.min, order[found.source.name], found.operation, found.file),
    )


def open_rows(delivery: Delivery) -> DeliveredRows:
    """Open a delivery and compare its columns with the mapping.

    Raises
    ------
    UserError
        If it is not of the declared format, or its columns are not those declared.
    """
    source = delivery.source
    rows: DeliveredRows
    try:
        if isinstance(source.format, CsvFormat):
            rows = DelimitedRows(delivery.path, source.format, [column.name for column in source.columns])
        else:
            rows = ParquetRows(delivery.path)
    except OSError as error:
        raise UserError(
            "a delivered file cannot be read", where=str(delivery.path), found=error.strerror or str(error)
        ) from error
    names = source.renamed(rows.column_names)
    types = rows.types() if isinstance(rows, ParquetRows) else {}
    if names:
        rows = RenamedRows(rows, names)
    _check_columns(delivery, rows)
    _check_types(delivery, {names.get(name, name): type_ for name, type_ in types.items()})
    return rows


def _check_types(delivery: Delivery, types: dict[str, pa.DataType]) -> None:
    """Refuse columns whose type can hold no value of the declared one."""
    wrong = [
        (column, types[column.name])
        for column in delivery.source.columns
        if column.name in types and not fits_type(column.type, types[column.name])
    ]
    if wrong:
        types_en = ", ".join(f"{column.name} {type_} in the place of {column.type}" for column, type_ in wrong)
        types_zh = "，".join(f"{column.name} 为 {type_}，应为 {column.type}" for column, type_ in wrong)
        raise DriftError(
            f"columns of source {delivery.source.name} are of another type",
            reason_en=f"of another type: {types_en}",
            reason_zh=f"类型不符：{types_zh}",
            where=f"{delivery.path}, schema",
            found=", ".join(f"{column.name} {type_}" for column, type_ in wrong),
            valid=", ".join(f"{column.name} {column.type}" for column, _ in wrong),
            next_step=f"correct sources.{delivery.source.name}.columns in the mapping, or what the source delivers",
        )


def _delivered_as(source: SourceSpec) -> str:
    """What somebody corrects who corrects what a source delivers."""
    return "the file" if source.database is None else "the table or query of the database"


def likely_renames(missing: Sequence[str], additional: Sequence[str]) -> dict[str, str]:
    """Missing column -> the additional one that it may be called now, by likeness of the names."""
    return {name: near[0] for name in missing if (near := difflib.get_close_matches(name, additional, n=1))}


def renames_text(renamed: dict[str, str]) -> str:
    """What is said of likely renames, and what to write into the mapping."""
    told = "; ".join(f"{a} to {b} (under {a}: delivered_as: [{b}])" for a, b in renamed.items())
    return f"renamed, by the look of it: {told}"


def _check_columns(delivery: Delivery, rows: DeliveredRows) -> None:
    source, found = delivery.source, rows.column_names
    declared = [column.name for column in source.columns]
    needed = list(source.key) if delivery.operation == "delete" else declared
    twice = [name for name, count in Counter(name.casefold() for name in found).items() if count > 1]
    missing = [name for name in needed if name not in found]
    additional = [name for name in found if name not in declared]
    known_names = {name.casefold() for name in declared}
    # A first row taken for a header holds values, perhaps a name and a phone: those are not told.
    is_header = 2 * len(known_names.intersection(name.casefold() for name in found)) >= len(declared)
    shown = [name if is_header or name.casefold() in known_names else f"{name[:1]}*" for name in found]
    where = f"{delivery.path}, {'line 1' if isinstance(source.format, CsvFormat) else 'schema'}"
    if missing:
        next_step = f"correct {_delivered_as(source)}, or the columns of the source in the mapping"
        if isinstance(source.format, CsvFormat) and source.format.header:
            delimiter = likely_delimiter(delivery.path, source.format, set(declared))
            if delimiter is not None:
                next_step = (
                    f"the header seems to be separated by {delimiter}, the mapping says "
                    f"'{source.format.delimiter}': correct sources.{source.name}.format.delimiter"
                )
        renamed = likely_renames(missing, additional)
        if renamed and is_header:
            next_step += f"; {renames_text(renamed)}"
        is_told = bool(additional) and is_header
        raise DriftError(
            f"columns of source {source.name} are missing",
            reason_en=f"missing: {', '.join(missing)}"
            + (f"; not declared: {', '.join(additional[:50])}" if is_told else ""),
            reason_zh=f"缺少字段：{'、'.join(missing)}"
            + (f"；未声明字段：{'、'.join(additional[:50])}" if is_told else ""),
            where=where,
            found=f"{', '.join(shown[:50])}" + ("" if is_header else " (masked: this is hardly a header)"),
            valid=f"{', '.join(needed)}\n    missing: {', '.join(missing)}"
            + (f"\n    not declared: {', '.join(additional[:50])}" if is_told else ""),
            next_step=next_step,
        )
    reserved = [name for name in found if name.startswith("_") or name == RECORD_ID]
    if twice or reserved:
        raise UserError(
            "column names of a delivery cannot be used",
            where=where,
            found=f"twice: {', '.join(twice)}" if twice else f"reserved: {', '.join(reserved)}",
            valid=f"names that differ by more than capitals, and are none of {', '.join((*ADDED_COLUMNS, RECORD_ID))} "
            "(names that begin with _ are reserved)",
            next_step="rename them in the export",
        )


def _refuse_misnamed_folders(bank: Bank, data_dir: Path) -> None:
    """Refuse folders that are meant as dates and are none: what lies in them would be passed over in silence.

    A folder that the mapping names is meant as what it is, whatever its name begins with.
    """
    named = {source.file.split("/")[0] for source in bank.mapping.sources.values()}
    for pattern in ("[0-9]*", "[0-9][0-9][0-9][0-9]/*", "[0-9][0-9][0-9][0-9]/[0-9][0-9]/*"):
        for folder in sorted(data_dir.glob(pattern)):
            name = folder.relative_to(data_dir).as_posix()
            is_date = re.fullmatch(r"\d{4}(/\d{2}(/\d{2})?)?", name)
            if folder.is_dir() and not is_date and name.split("/")[0] not in named:
                raise UserError(
                    "the folder of a delivery is no date",
                    where=str(folder),
                    found=name,
                    valid="YYYY/MM/DD, for example 2024/02/29",
                    next_step="rename the folder",
                )


def _dated_folders(data_dir: Path) -> list[tuple[Path, date, str]]:
    """Folders YYYY/MM/DD and their `deletes`, with date and operation, in order of the date."""
    folders = []
    for folder in sorted(data_dir.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]")):
        if not folder.is_dir():
            continue
        name = folder.relative_to(data_dir).as_posix()
        try:
            known_on = date.fromisoformat(name.replace("/", "-"))
        except ValueError as error:
            raise UserError(
                "the folder of a delivery is no date",
                where=str(folder),
                found=f"{name}: {error}",
                valid="YYYY/MM/DD, for example 2024/02/29",
                next_step="rename the folder",
            ) from error
        folders.append((folder, known_on, "upsert"))
        if (folder / DELETES_FOLDER).is_dir():
            folders.append((folder / DELETES_FOLDER, known_on, "delete"))
    return folders


def _matching(folder: Path, pattern: str, *, is_initial: bool) -> list[Path]:
    is_glob = any(character in pattern for character in "*?[")
    paths = sorted(folder.glob(pattern)) if is_glob else [folder / pattern]
    found = [path for path in paths if path.is_file()]
    # A glob like **/*.csv must not read the dated deliveries as an initial load.
    return [p for p in found if not (is_initial and _DATED_FOLDER.match(p.relative_to(folder).as_posix()))]


class Landing:
    """Lands the deliveries of one call; made by `open_landing`."""

    def __init__(
        self,
        bank: Bank,
        home: Home,
        connection: duckdb.DuckDBPyConnection,
        keys: vault.VaultKeys,
        tell: Callable[[str], None],
    ) -> None:
        self._bank = bank
        self._home = home
        self._connection = connection
        self._key_id = keys.token_id
        self._manifests = Manifests(home.vault, bank.name, keys.token)
        self._ring = vault.KeyRing(keys, home.vault, bank.name, bank.settings.resources.memory_limit)
        self._tell = tell
        self._sessions: dict[Address, Session] = {}

    def close(self) -> None:
        """Let go of the keys."""
        self._ring.close()
        for session in self._sessions.values():
            session.close()

    def land(self, delivery: Delivery, rows: DeliveredRows, entries: list[LedgerEntry]) -> LandingResult:
        """Land one delivery; `entries` is the ledger, to which what is landed is added."""
        started = time.perf_counter()
        size = delivery.path.stat().st_size
        file_sha256 = _sha256(delivery.path)
        draft = self._draft(delivery, file_sha256, size)
        known = next((entry for entry in entries if entry.delivery_id == draft.delivery_id), None)
        if known is not None and known.parquet_path(self._home.landing).is_file():
            return self._seen_again(replace(known, file=delivery.file), known, entries, started)

        def check(entry: LedgerEntry) -> LedgerEntry:
            if _sha256(delivery.path) != file_sha256:
                raise UserError(
                    "a delivered file changed while it was read, so nothing of it was landed",
                    where=str(delivery.path),
                    next_step="wait until it is complete, then run again",
                )
            return entry

        return self._land_rows(delivery, rows, draft, entries, check, started=started)

    def extract(
        self, source: SourceSpec, address: Address, entries: list[LedgerEntry], delivered_on: date
    ) -> list[LandingResult]:
        """Land what a database has that is new: changed rows, then deleted keys."""
        database = source.database
        if database is None:
            raise ValueError("the source is no database")
        standing = [entry for entry in in_force(entries) if entry.source == source.name]
        window = next_window(source, standing, delivered_on, address.dialect)
        place = f"{address.variable}: {database.table or 'query'}"
        resources = self._bank.settings.resources
        delivery = Delivery(source, Path(place), DATABASE_FILE, window.known_on, "upsert")
        # One process for all sources of an address: starting it takes longer than a small table.
        session = self._sessions.setdefault(address, Session(address, tell=self._tell))
        session.lock_seconds = database.lock_seconds
        try:
            delivery, statement = _checked_statement(session, delivery, window)
        except DriftError as drift:
            if not standing:
                raise
            stop = record_stop(
                self._home, self._bank.name, source.name, entries=entries, refused=delivered_on, why=drift
            )
            self._tell(f"{source.name} stands still since {stop.stale_since or 'the initial load'}: {drift}")
            return []
        source = delivery.source
        extract = Extract(
            source,
            window,
            self._home.landing,
            memory_limit=resources.memory_limit,
            threads=resources.threads,
            spill=Path(spill_folder(self._home.vault)),
        )
        try:
            listed = self._listed_deletes(session, source) if window.known_on else None
            started = time.perf_counter()
            rows = DatabaseRows(
                session, statement, rows_in_batch=database.chunk_rows, limit=database.limit, place=place
            )
            results = [self._land_extract(delivery, rows, extract, entries, statement=statement, started=started)]
            if window.known_on is not None and database.limit is None:
                results += self._land_deletes(session, delivery, extract, entries, listed)
            end_stop(self._home, self._bank.name, source.name)
            if database.reconcile is not None and database.limit is None:
                reconcile(
                    session,
                    source,
                    self._bank,
                    self._home,
                    entries=entries,
                    entry=results[0].entry,
                    tell=self._tell,
                )
            return results
        finally:
            extract.close()

    def quarantined(self, entry: LedgerEntry) -> dict[int, str]:
        """Quarantined records of a delivery as they stood in the file, by row number; they stay in this process."""
        path = quarantine_path(self._home.quarantine, entry.bank, entry.delivery_id)
        # Compared with the manifest by its content: what was put in its place must not be landed.
        return quarantined_records(self._ring, entry.bank, path) if self._manifests.holds(path) else {}

    def replay(
        self, delivery: Delivery, rows: DeliveredRows, replayed: LedgerEntry, entries: list[LedgerEntry]
    ) -> LandingResult | None:
        """Land what can be landed of quarantined records; None if that is none of them."""
        draft = self._draft(delivery, replayed.file_sha256, 0)

        def complete(entry: LedgerEntry) -> LedgerEntry:
            # Records stay as they stand in the file that was delivered, in its order of columns.
            return replace(entry, replays=replayed.delivery_id, delivered_columns=replayed.delivered_columns)

        result = self._land_rows(delivery, rows, draft, entries, complete, started=time.perf_counter(), is_replay=True)
        return result if result.is_new else None

    def _land_extract(
        self,
        delivery: Delivery,
        rows: DeliveredRows,
        extract: Extract,
        entries: list[LedgerEntry],
        *,
        statement: str,
        started: float,
    ) -> LandingResult:
        draft = self._draft(delivery, self._asked(delivery, entries, statement), 0)
        is_trial = delivery.source.database is not None and delivery.source.database.limit is not None

        def complete(entry: LedgerEntry) -> LedgerEntry:
            return replace(entry, watermark=None if is_trial else extract.watermark, is_trial=is_trial)

        needs_seen = delivery.source.database is not None and delivery.source.database.deletes.query is not None
        is_first = delivery.known_on is None and not needs_seen
        return self._land_rows(
            delivery,
            rows,
            draft,
            entries,
            complete,
            started=started,
            extract=extract,
            is_all_news=is_first,
            is_asked=True,
        )

    def _asked(self, delivery: Delivery, entries: Sequence[LedgerEntry], statement: str) -> str:
        place = (
            self._bank.name,
            delivery.source.name,
            delivery.known_on or KNOWN_FROM_THE_START,
            delivery.operation,
            delivery.file,
        )
        return request_hash(statement, sum(entry.place == place for entry in entries))

    def _listed_deletes(self, session: Session, source: SourceSpec) -> pa.Table | None:
        """Keys that the source lists as deleted; read before its rows, so that what came back since is not deleted."""
        if source.database is None or source.database.deletes.query is None:
            return None
        dialect = session.address.dialect
        spec = DatabaseSpec(source.database.url_from, query=source.database.deletes.query)
        columns = [column for column in source.columns if column.name in source.key]
        return session.table(read_statement(spec, dialect, columns, [], None))

    def _land_deletes(
        self,
        session: Session,
        upserts: Delivery,
        extract: Extract,
        entries: list[LedgerEntry],
        listed: pa.Table | None,
    ) -> list[LandingResult]:
        source = upserts.source
        delivery = replace(upserts, operation="delete")
        own = [entry for entry in in_force(entries) if entry.source == source.name]
        before = [e for e in own if e.operation != "delete" or e.known_on != delivery.known_on]
        if listed is not None:
            files = [entry.parquet_path(self._home.landing) for entry in before if entry.operation == "delete"]
            keys = extract.not_deleted(extract.not_seen(listed), files)
        elif source.database is not None and source.database.deletes.keys:
            columns = [column for column in source.columns if column.name in source.key]
            asked = replace(source.database, cursor=None)
            present = session.table(read_statement(asked, session.address.dialect, columns, [], None))
            files = [entry.parquet_path(self._home.landing) for entry in before]
            keys, standing = extract.vanished(present, files)
            self._check_deletions(delivery, deleted=keys.num_rows, standing=standing, present=present.num_rows)
        else:
            return []
        if not keys.num_rows and len(before) == len(own):
            return []
        started = time.perf_counter()
        draft = self._draft(delivery, self._asked(delivery, entries, "deleted keys"), 0)
        rows = TableRows(keys, str(delivery.path))
        return [self._land_rows(delivery, rows, draft, entries, lambda entry: entry, started=started, is_asked=True)]

    def _check_deletions(self, delivery: Delivery, *, deleted: int, standing: int, present: int) -> None:
        """Refuse deletions of too large a part of a source: more likely it is empty, or shows the user less."""
        share = self._bank.settings.deletes.maximum_share
        if deleted <= share * standing:
            return
        raise UserError(
            "too many deletions: they are refused and none of them was landed",
            where=str(delivery.path),
            found=f"{deleted:,} of {standing:,} keys ({deleted / standing:.2%}) are gone; "
            f"the source has {present:,} now",
            valid=f"at most {share:.2%} (bank.yml: deletes.maximum_share)",
            next_step="see whether the source is whole and the user may read all of it; if the rows are really gone, "
            "allow a larger share for this run",
        )

    def _draft(self, delivery: Delivery, file_sha256: str, size: int) -> LedgerEntry:
        landing_hash = delivery.source.landing_hash
        return LedgerEntry(
            delivery_id=delivery_id(
                self._bank.name,
                delivery.source.name,
                delivery.known_on,
                operation=delivery.operation,
                file_sha256=file_sha256,
                landing_hash=landing_hash,
            ),
            bank=self._bank.name,
            source_system=delivery.source.source_system,
            source=delivery.source.name,
            operation=delivery.operation,
            file=delivery.file,
            file_sha256=file_sha256,
            landing_hash=landing_hash,
            mapping_hash=self._bank.mapping.hash,
            known_on=delivery.known_on,
            known_from=None,
            known_to=None,
            rows_read=0,
            rows_landed=0,
            rows_quarantined=0,
            rows_filtered=0,
            bytes=size,
            landed_at=datetime.now(UTC),
            parquet_sha256="",
            key_id=self._key_id,
        )

    def _land_rows(
        self,
        delivery: Delivery,
        rows: DeliveredRows,
        draft: LedgerEntry,
        entries: list[LedgerEntry],
        complete: Callable[[LedgerEntry], LedgerEntry],
        *,
        started: float,
        extract: Extract | None = None,
        is_all_news: bool = False,
        is_replay: bool = False,
        is_asked: bool = False,
    ) -> LandingResult:
        """Write a delivery's rows and make it exist; `complete` has the last word on its entry.

        `is_asked`: a database was asked for it, and may say the same as the last time.
        """
        with _Staged(self._home, draft, self._ring, self._manifests) as staged:
            entry = complete(
                self._write_rows(
                    delivery, rows, draft, staged, extract, is_all_news=is_all_news, may_all_fail=is_replay
                )
            )
            if is_replay and entry.rows_quarantined == entry.rows_read:
                return LandingResult(entry, False, time.perf_counter() - started)
            entry = self._in_place_of(entry, entries)
            standing = next((other for other in entries if other.delivery_id == entry.supersedes), None)
            if is_asked and standing is not None and _is_same(entry, standing):
                # The database says the same as the last time it was asked for this date.
                return LandingResult(standing, False, time.perf_counter() - started)
            staged.publish()
        write_entry(self._home.landing, entry)
        entries[:] = [other for other in entries if other.delivery_id != entry.delivery_id] + [entry]
        seconds = time.perf_counter() - started
        self._report(entry, seconds)
        return LandingResult(entry, True, seconds)

    def _seen_again(
        self, entry: LedgerEntry, known: LedgerEntry, entries: list[LedgerEntry], started: float
    ) -> LandingResult:
        """A delivery that was landed before: nothing to do, unless another one has taken its place since."""
        if any(other is known for other in in_force(entries)):
            return LandingResult(known, False, time.perf_counter() - started)
        restored = self._in_place_of(replace(entry, landed_at=datetime.now(UTC)), entries)
        write_entry(self._home.landing, restored)
        entries[entries.index(known)] = restored
        self._tell(f"{entry.source}: {entry.file} is in force again, in the place of {restored.supersedes}")
        return LandingResult(restored, True, time.perf_counter() - started)

    @staticmethod
    def _in_place_of(entry: LedgerEntry, entries: Sequence[LedgerEntry]) -> LedgerEntry:
        """The entry with the delivery it supersedes, later than it even if the clock was set back."""
        rival = next((other for other in in_force(entries) if other.place == entry.place), None)
        if rival is None or rival.delivery_id == entry.delivery_id:
            return entry
        landed_at = max(entry.landed_at, rival.landed_at + timedelta(microseconds=1))
        return replace(entry, supersedes=rival.delivery_id, landed_at=landed_at)

    def _write_rows(
        self,
        delivery: Delivery,
        rows: DeliveredRows,
        draft: LedgerEntry,
        staged: _Staged,
        extract: Extract | None = None,
        *,
        is_all_news: bool = False,
        may_all_fail: bool = False,
    ) -> LedgerEntry:
        source = delivery.source
        names = rows.column_names
        erased = self._erased(draft)
        judge = Judge(
            self._connection,
            source,
            names=names,
            text_columns=frozenset(name for name in names if rows.is_text(name)),
            known_on=delivery.known_on,
            operation=delivery.operation,
            erased=erased,
            is_news=None if extract is None or is_all_news else extract.is_news,
        )
        show = _Shown(source, bool(judge.undeclared))
        counts = _Counts()
        size = 0
        for batch in _ahead(rows.batches()):
            size += batch.rows.nbytes
            if extract is not None:
                extract.observe(batch.rows)
            judged = judge.judge(batch.rows)
            malformed = {row: why for row, why in batch.faults.items() if row not in erased.source_rows}
            counts.erased += len(batch.faults) - len(malformed)
            faults = [Fault(row, "", reason, None) for row, reason in malformed.items()] + judged.faults
            faults.sort(key=lambda fault: fault.source_row)
            staged.landed.write(judged.landed)
            staged.seal(judged.record_values, judged.block_values)
            if faults:
                table, originals, lines = _quarantined(batch, faults, show)
                staged.quarantine(table, originals)
                counts.add_faults(faults, lines)
            counts.add_rows(batch.records, judged)
            if rows.most_records is not None:
                # So many are faulty already that the others cannot outweigh them: the rest need not be read.
                self._check_share(delivery, counts, rows.most_records)
        if not counts.read:
            staged.landed.write(judge.judge(rows.empty_rows()).landed)
        staged.close()
        if not may_all_fail:
            self._check_share(delivery, counts, counts.read)
        written = pq.read_metadata(staged.landed.path).num_rows
        accounted = written + counts.quarantined + counts.filtered + counts.erased + counts.unchanged
        if counts.read != accounted:
            raise UserError(
                "records of a delivery are not accounted for, so nothing of it was landed",
                where=str(delivery.path),
                found=f"{counts.read:,} read; {written:,} landed + {counts.quarantined:,} quarantined + "
                f"{counts.filtered:,} filtered + {counts.erased:,} erased + {counts.unchanged:,} unchanged = "
                f"{accounted:,}",
                valid="the same number on both sides",
                next_step="report this with the mapping of the source: it is a fault of landing",
            )
        return replace(
            draft,
            known_from=counts.known_from,
            known_to=counts.known_to,
            rows_read=counts.read,
            rows_landed=written,
            rows_quarantined=counts.quarantined,
            rows_filtered=counts.filtered,
            rows_erased=counts.erased,
            rows_unchanged=counts.unchanged,
            bytes=draft.bytes or size,
            parquet_sha256=staged.landed.sha256(),
            undeclared_columns=tuple(judge.undeclared),
            delivered_columns=tuple(names),
        )

    def _erased(self, entry: LedgerEntry) -> ErasedRows:
        with self._connection.cursor() as parser:
            return erased_rows(parser, self._home, self._bank, entry)

    def _check_share(self, delivery: Delivery, counts: _Counts, records: int) -> None:
        """Refuse a delivery of (at most) so many records if too many of them are faulty."""
        share = self._bank.settings.quarantine.maximum_share
        if counts.quarantined <= share * records:
            return
        common = ", ".join(
            f"{f'{column}: ' if column else ''}{reason}" for (column, reason), _ in counts.reasons.most_common(5)
        )
        source = delivery.source
        next_step = f"correct {_delivered_as(source)} or the mapping, or allow a larger share"
        is_about_encoding = any("bytes that are not" in reason for _, reason in counts.reasons)
        if is_about_encoding and isinstance(source.format, CsvFormat):
            next_step = (
                f"sources.{source.name}.format.encoding says {source.format.encoding}: "
                "correct it (gb18030 for Chinese systems, cp1250 or latin-1 for others), or the export"
            )
        part = counts.quarantined / counts.read
        raise UserError(
            "too many faulty records: the delivery is refused and nothing of it was landed",
            where=str(delivery.path),
            found=f"{counts.quarantined:,} of {counts.read:,} records read ({part:.2%}): {common}\n    "
            + "\n    ".join(counts.examples),
            valid=f"at most {share:.2%} (bank.yml: quarantine.maximum_share)",
            next_step=next_step,
        )

    def _report(self, entry: LedgerEntry, seconds: float) -> None:
        kind = "deletion" if entry.operation == "delete" else "row"
        parts = [f"{entry.rows_landed:,} {kind}{'' if entry.rows_landed == 1 else 's'} landed"]
        # An export that failed often looks like this.
        parts += ["there is no row in the file"] if not entry.rows_read and entry.file != DATABASE_FILE else []
        parts += [f"{entry.rows_quarantined:,} quarantined"] if entry.rows_quarantined else []
        parts += [f"{entry.rows_filtered:,} filtered"] if entry.rows_filtered else []
        parts += [f"{entry.rows_erased:,} left out: their persons were erased"] if entry.rows_erased else []
        parts += [f"{entry.rows_unchanged:,} unchanged"] if entry.rows_unchanged else []
        parts += [f"in the place of {entry.supersedes}"] if entry.supersedes else []
        if entry.undeclared_columns:
            names = ", ".join(entry.undeclared_columns)
            parts.append(f"columns not declared in the mapping, kept in the vault only: {names}")
        self._tell(f"{entry.source}: {entry.file}: {', '.join(parts)} ({seconds:.1f} s)")


@dataclass
class _Counts:
    """What was counted of a delivery so far."""

    read: int = 0
    quarantined: int = 0
    filtered: int = 0
    erased: int = 0
    unchanged: int = 0
    known_from: date | None = None
    known_to: date | None = None
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add_rows(self, records: int, judged: JudgedRows) -> None:
        """Count the records of a batch and what became of its rows."""
        self.read += records
        self.filtered += judged.filtered
        self.erased += judged.erased
        self.unchanged += judged.unchanged
        if judged.landed.num_rows:
            bounds = pc.min_max(judged.landed.column("_known_on")).as_py()
            self.known_from = min(self.known_from or date.max, bounds["min"])
            self.known_to = max(self.known_to or date.min, bounds["max"])

    def add_faults(self, faults: Sequence[Fault], lines: Sequence[str]) -> None:
        """Count the records that are quarantined; a record with two faults counts once."""
        self.quarantined += len({fault.source_row for fault in faults})
        self.reasons.update((fault.column, fault.reason) for fault in faults)
        self.examples += lines[: _EXAMPLES - len(self.examples)]


def _is_same(entry: LedgerEntry, standing: LedgerEntry) -> bool:
    """Whether two extracts of one date hold the same rows."""
    return (entry.parquet_sha256, entry.rows_quarantined, entry.watermark, entry.is_trial, entry.landing_hash) == (
        standing.parquet_sha256,
        standing.rows_quarantined,
        standing.watermark,
        standing.is_trial,
        standing.landing_hash,
    )


def _checked_statement(session: Session, delivery: Delivery, window: Window) -> tuple[Delivery, str]:
    """A delivery under the mapping's names, and the statement that reads it, after its columns were compared."""
    dialect, database = session.address.dialect, delivery.source.database
    if database is None:
        raise ValueError("the source is no database")
    there = session.probe(probe_statement(database, dialect))
    source = under_own_names(delivery.source, there.column_names, dialect)
    if source.database is None:
        raise ValueError("the source is no database")
    delivery = replace(delivery, source=source)
    names = source.renamed(there.column_names)
    empty = TableRows(there.rename_columns([names.get(name, name) for name in there.column_names]), str(delivery.path))
    _check_columns(delivery, empty)
    types = {field.name: field.type for field in empty.empty_rows().schema}
    # SQLite gives no types: what it declares is only a hint.
    if session.address.kind != "sqlite":
        _check_types(delivery, types)
    declared = {column.name for column in source.columns}
    others = [name for name in empty.column_names if name not in declared]
    return delivery, read_statement(source.database, dialect, source.columns, others, window.lower_sql)


class _Shown:
    """How a faulty value may be shown, given what else its source holds."""

    def __init__(self, source: SourceSpec, has_undeclared: bool) -> None:
        columns: list[SourceColumn | DerivedColumn] = [*source.columns, *source.derive]
        self._classes = {column.name: column.personal_data for column in columns}
        self._is_mixed = has_undeclared or any(column.is_identifying for column in columns)

    def __call__(self, column: str, value: str | None) -> str | None:
        class_ = self._classes.get(column, "direct_identifier")
        if class_ == "none" and self._is_mixed and value is not None and not _HARMLESS.fullmatch(value):
            class_ = "sensitive"
        return vault.mask(value, class_)


def _quarantined(batch: RowBatch, faults: list[Fault], show: _Shown) -> tuple[pa.Table, pa.Table, list[str]]:
    """Rows for the quarantine, the records to be sealed, and a line for each of the first that may be printed."""
    originals = dict(
        zip(
            (numbers := sorted({fault.source_row for fault in faults})),
            batch.originals(numbers),
            strict=True,
        )
    )
    rows = [
        {
            "source_row": fault.source_row,
            "line": originals[fault.source_row][0],
            "column": fault.column or None,
            "reason": fault.reason,
            "value": show(fault.column, fault.value),
            "record_id": fault.record_id,
        }
        for fault in faults
    ]
    lines = [
        f"line {row['line']:,}: "
        + (f"column {row['column']}: " if row["column"] else "")
        + f"{row['reason']}"
        + (f", found '{row['value']}'" if row["value"] is not None else "")
        for row in rows[:_EXAMPLES]
    ]
    raw = pa.Table.from_pylist(
        [{"source_row": number, "raw": text} for number, (_, text) in originals.items()], schema=QUARANTINED_RECORDS
    )
    return pa.Table.from_pylist(rows, schema=FAULTS), raw, lines


def _repeating_columns(table: pa.Table) -> list[str]:
    """Columns of which few values are distinct, by the first rows."""
    first = table.slice(0, _FIRST_ROWS)
    return [
        field.name
        for field in table.schema
        if not pa.types.is_binary(field.type)
        and pc.count_distinct(first.column(field.name), mode="all").as_py() <= max(1, first.num_rows // 10)
    ]


class _StagedFile:
    """A Parquet file that is written beside its place, by a thread of its own; created with its first rows."""

    def __init__(self, final: Path, mode: int, schema: pa.Schema | None, pool: ThreadPoolExecutor) -> None:
        self.final = final
        self.path = final.with_name(f".{final.stem}.tmp")
        self._mode = mode
        self._schema = schema
        self._pool = pool
        self._writer: pq.ParquetWriter | None = None
        self._pending: Future[None] | None = None

    def write(self, table: pa.Table) -> None:
        """Append rows, behind the caller's back. A file with a schema given beforehand is not made for no rows."""
        if table.num_rows == 0 and (self._schema is not None or self._writer is not None):
            return
        if self._pending is not None:
            self._pending.result()
        # One table waits while the next is judged: memory stays bounded and both cores are busy.
        self._pending = self._pool.submit(self.append, table)

    def append(self, table: pa.Table) -> None:
        """Append rows now."""
        if table.num_rows == 0 and (self._schema is not None or self._writer is not None):
            return
        if self._writer is None:
            self.final.parent.mkdir(parents=True, exist_ok=True)
            if self._mode == 0o600:
                self.final.parent.chmod(0o700)
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode))
            self._writer = pq.ParquetWriter(
                self.path,
                self._schema or table.schema,
                compression="zstd",
                # What hardly repeats is larger with a dictionary than without, and takes three times as long.
                use_dictionary=_repeating_columns(table),
                # Of text nobody asks for a range; of a cursor, an extract does.
                write_statistics=[f.name for f in table.schema if not pa.types.is_string(f.type)],
            )
        self._writer.write_table(table)

    def close(self) -> None:
        """Complete the file and flush it to disk."""
        if self._pending is not None:
            self._pending.result()
        if self._writer is None:
            return
        self._writer.close()
        with self.path.open("rb") as handle:
            os.fsync(handle.fileno())

    def publish(self) -> None:
        """Rename it into place."""
        if self._writer is not None:
            self.path.replace(self.final)
            flush_folder(self.final.parent)

    def discard(self) -> None:
        """Remove what is left beside its place."""
        self.path.unlink(missing_ok=True)

    def fingerprint(self) -> Fingerprint | None:
        """Size and hash of the complete file; None if it has no rows."""
        return fingerprint(self.path)

    def sha256(self) -> str:
        """Hash of the complete file."""
        with self.path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()


class _Staged:
    """The files of a delivery, published together or not at all."""

    def __init__(self, home: Home, entry: LedgerEntry, ring: vault.KeyRing, manifests: Manifests) -> None:
        self._delivery_id = entry.delivery_id
        self._manifests = manifests
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="landing-writer")
        self._vault_pool = ThreadPoolExecutor(1, thread_name_prefix="landing-sealer")
        self._pending: Future[None] | None = None
        self._sealer = vault.Sealer(ring, entry.bank, entry.delivery_id)
        self.landed = _StagedFile(entry.parquet_path(home.landing), 0o644, None, self._pool)
        vault_file = vault.sealed_path(home.vault, entry.bank, entry.delivery_id)
        self._sealed = _StagedFile(vault_file, 0o600, SEALED, self._vault_pool)
        quarantine_file = quarantine_path(home.quarantine, entry.bank, entry.delivery_id)
        self._quarantined = _StagedFile(quarantine_file, 0o600, QUARANTINED, self._vault_pool)
        keys_file = vault.keys_path(home.vault, entry.bank, entry.delivery_id)
        self._keys = _StagedFile(keys_file, 0o600, ring.schema, self._vault_pool)
        # A delivery whose landed file was lost is landed again: the keys it brought stay what they are.
        self._standing_keys = pq.read_table(keys_file) if keys_file.is_file() else None
        self._inside = (self._keys, self._sealed, self._quarantined)
        self._files = (*self._inside, self.landed)

    def seal(self, records: pa.Table, values: pa.Table) -> None:
        """Seal identifying values and append them, behind the caller's back."""
        if records.num_rows or values.num_rows:
            self._submit(self._seal, records, values)

    def quarantine(self, faults: pa.Table, records: pa.Table) -> None:
        """Append faults, the records they are of sealed, behind the caller's back."""
        self._submit(self._seal_quarantined, faults, records)

    def _submit(self, work: Callable[[pa.Table, pa.Table], None], *tables: pa.Table) -> None:
        if self._pending is not None:
            self._pending.result()
        self._pending = self._vault_pool.submit(work, *tables)

    def _seal(self, records: pa.Table, values: pa.Table) -> None:
        if records.num_rows:
            sealed, fresh = self._sealer.records(records)
            self._sealed.append(sealed)
            self._append_keys(fresh)
        if values.num_rows:
            name, content, fresh = self._sealer.block("values", values)
            self._sealed.append(block_row(name, content))
            self._append_keys(fresh)

    def _seal_quarantined(self, faults: pa.Table, records: pa.Table) -> None:
        name, content, fresh = self._sealer.block("quarantine", records)
        self._quarantined.append(with_block(faults, name, content))
        self._append_keys(fresh)

    def _append_keys(self, fresh: pa.Table) -> None:
        if fresh.num_rows and self._standing_keys is not None:
            standing, self._standing_keys = self._standing_keys, None
            # Its blocks are sealed anew, under new keys of the same names.
            is_record = pc.equal(pc.utf8_length(standing["name"]), 64)
            self._keys.append(standing.filter(is_record).cast(fresh.schema))
        self._keys.append(fresh)

    def __enter__(self) -> _Staged:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True)
        self._vault_pool.shutdown(wait=True)
        for file in self._files:
            file.discard()

    def close(self) -> None:
        """Complete all files."""
        if self._pending is not None:
            self._pending.result()
        for file in self._files:
            file.close()

    def publish(self) -> None:
        """Rename all files into place; only the ledger makes them count.

        The manifest fits whatever an interruption leaves: a delivery whose landed file is missing is landed again.
        """
        written = {file.final: found for file in self._inside if (found := file.fingerprint()) is not None}
        self._manifests.announce(self._delivery_id, written)
        for file in self._inside:
            file.publish()
        self._manifests.state(self._delivery_id, written)
        self.landed.publish()


def _ahead(batches: Iterator[RowBatch]) -> Iterator[RowBatch]:
    """The same, each read by another thread while the one before is worked on."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="landing-reader") as pool:
        future: Future[object] = pool.submit(next, batches, end)
        while isinstance(batch := future.result(), RowBatch):
            future = pool.submit(next, batches, end)
            yield batch


@contextmanager
def _judging_connection(bank: Bank, home: Home, key: bytes) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory for expressions of the mapping: it can open no file, and spills inside the vault."""
    resources = bank.settings.resources
    configuration: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": resources.memory_limit,
        "threads": resources.threads,
        "temp_directory": spill_folder(home.vault),
    }
    with duckdb.connect(":memory:", config=configuration) as connection:
        vault.use_key(connection, key)
        connection.execute("set TimeZone = 'UTC'")
        # Rows that name erased persons are found as registration would read them.
        create_bank_time_macro(connection, bank.settings.time_zone)
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield connection


@contextmanager
def _exclusive(home: Home, bank: str) -> Iterator[None]:
    """One landing at a time: another one would sweep away what this one is writing."""
    folder = home.landing / bank
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"another process is landing deliveries of {bank}",
                where=str(folder),
                next_step="wait until it ends, then run again",
            ) from error
        yield


@contextmanager
def _told_when_unwritable(home: Home) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise UserError(
            "the disk is full; the delivery that was being landed was not"
            if is_full
            else "a file cannot be written or read",
            where=str(error.filename or home.root),
            found=error.strerror or str(error),
            valid="a disk with room, and folders this user may write",
            next_step="make room and run again: what was landed stays" if is_full else "put it right and run again",
        ) from error


def _sweep(home: Home, bank: str, delivery_ids: set[str]) -> None:
    """Remove what interrupted landings left: files beside their places, and files without a ledger entry."""
    for root in (home.landing, home.vault, home.quarantine):
        # A manifest goes before the files it names: what has none is asked for by nobody.
        for path in sorted((root / bank).rglob("*"), key=lambda path: (path.parent.name != MANIFESTS, path)):
            is_half_written = path.name.startswith(".") and path.suffix == ".tmp"
            is_of_delivery = path.suffix == ".parquet" or path.parent == home.vault / bank / MANIFESTS
            is_unknown = is_of_delivery and path.stem not in delivery_ids
            if path.is_file() and (is_half_written or is_unknown):
                path.unlink()


def _check_key(entries: Sequence[LedgerEntry], keys: vault.VaultKeys, home: Home) -> None:
    others = {entry.key_id for entry in entries} - {keys.token_id}
    if others:
        raise UserError(
            "the vault's key is not the one earlier deliveries were landed with",
            where=str(home.vault / TOKEN_FILE),
            found=f"token key {keys.token_id}",
            valid=f"token key {', '.join(sorted(others))}, whose tokens are in landing",
            next_step="restore that key: with another one the same customer would be two",
        )
