"""The ledger: one small JSON file per delivery, written last, which makes the delivery exist.

What a delivery contains belongs to `landing`, what becomes of its rows to `registration`. A landed Parquet file
without its ledger entry is a leftover of an interrupted landing and is swept away by the next one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.errors import UserError

if TYPE_CHECKING:
    from warehouse.sources.bank import Bank

#: The business date of rows that carry no date of their own in an initial load: known from the start.
KNOWN_FROM_THE_START = date(1900, 1, 1)
LEDGER_FOLDER = "ledger"
#: Beside it, below the landing of a bank: what was found by comparing with its databases.
RECONCILIATION = "reconciliation"
_DATES = ("known_on", "known_from", "known_to")


@dataclass(frozen=True)
class LedgerEntry:
    """One landed delivery of one source.

    Attributes
    ----------
    delivery_id
        16 hex digits: what was delivered, by which source, for which date, read by which landing specification.
    file
        Path of the delivered file below the data folder, with `/`.
    file_sha256, parquet_sha256
        Of the file as delivered and of the landed Parquet file.
    landing_hash
        Of everything in the mapping that decides what is landed from given bytes.
    mapping_hash
        Of the whole mapping in force when it was landed.
    known_on
        Business date of the delivery; None for an initial load.
    known_from, known_to
        First and last `_known_on` of its rows; None if no row was landed.
    rows_read
        Physical records, counted on the bytes; equals rows_landed + rows_quarantined + rows_filtered + rows_erased +
        rows_unchanged.
    bytes
        Size of the file as delivered.
    landed_at
        UTC, and later than that of the delivery it supersedes.
    key_id
        Name of the vault's token key its tokens were made with.
    supersedes
        The delivery that stood in its place before: same source, date, operation and file.
    undeclared_columns
        Columns the mapping does not know. Their values are in the vault and nowhere else.
    rows_erased
        Records of persons who were erased.
    rows_unchanged
        Rows of a database that were landed before and are the same still: an overlap, or a table read whole.
    watermark
        Highest value of the source's cursor up to this delivery; None without a cursor, or of a trial.
    is_trial
        Whether the mapping limited the rows: the next delivery begins where the one before it ended.
    replays
        Delivery whose quarantined records it holds.
    delivered_columns
        The columns of the file in its own order; empty in deliveries of before this was kept.
    erasures
        Certificates of the erasures that rewrote it, in their order. What it was before is in `ledger/history`.
    """

    delivery_id: str
    bank: str
    source_system: str
    source: str
    operation: str
    file: str
    file_sha256: str
    landing_hash: str
    mapping_hash: str
    known_on: date | None
    known_from: date | None
    known_to: date | None
    rows_read: int
    rows_landed: int
    rows_quarantined: int
    rows_filtered: int
    bytes: int
    landed_at: datetime
    parquet_sha256: str
    key_id: str
    supersedes: str | None = None
    undeclared_columns: tuple[str, ...] = ()
    rows_erased: int = 0
    erasures: tuple[str, ...] = ()
    rows_unchanged: int = 0
    watermark: str | None = None
    is_trial: bool = False
    replays: str | None = None
    delivered_columns: tuple[str, ...] = ()

    @property
    def rows_lost(self) -> int:
        """Records that were read and are nowhere: always 0, or the delivery was refused."""
        kept = self.rows_landed + self.rows_quarantined + self.rows_filtered
        return self.rows_read - kept - self.rows_erased - self.rows_unchanged

    @property
    def place(self) -> tuple[str, str, date, str, str]:
        """What only one delivery can be in force for: bank, source, date, operation, file."""
        return (self.bank, self.source, self.known_on or KNOWN_FROM_THE_START, self.operation, self.file)

    def parquet_path(self, landing_root: Path) -> Path:
        """Where its rows lie."""
        return landing_root / self.bank / self.source / f"{self.delivery_id}.parquet"


def delivery_id(
    bank: str, source: str, known_on: date | None, *, operation: str, file_sha256: str, landing_hash: str
) -> str:
    """First 16 hex digits of the sha256 of what makes a delivery the same delivery.

    Examples
    --------
    >>> content = {"operation": "upsert", "file_sha256": "aa", "landing_hash": "bb"}
    >>> delivery_id("berka", "trans", None, **content) == delivery_id("berka", "trans", date(1998, 1, 1), **content)
    False
    """
    parts = [
        bank,
        source,
        "initial" if known_on is None else known_on.isoformat(),
        operation,
        file_sha256,
        landing_hash,
    ]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def read_ledger(landing_root: Path, bank: str) -> list[LedgerEntry]:
    """All deliveries ever landed for a bank, also the superseded ones.

    Parameters
    ----------
    landing_root
        The folder `landing` of the installation.
    bank
        Name of the bank.

    Returns
    -------
    list of LedgerEntry
        Ordered by date (initial loads first), source, file and delivery: never by arrival.

    Raises
    ------
    UserError
        If an entry cannot be read.
    """
    entries = [_read_entry(path) for path in sorted((landing_root / bank / LEDGER_FOLDER).glob("[0-9a-f]*.json"))]
    return sorted(
        entries,
        key=lambda e: (e.known_on or KNOWN_FROM_THE_START, e.source, e.operation, e.file, e.delivery_id),
    )


def write_entry(landing_root: Path, entry: LedgerEntry) -> None:
    """Make a delivery exist: write its entry beside, flush it to disk, rename it into place."""
    folder = landing_root / entry.bank / LEDGER_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(entry), default=_as_json, indent=1, ensure_ascii=False, sort_keys=True)
    temporary = folder / f".{entry.delivery_id}.tmp"
    with temporary.open("w", encoding="utf-8") as handle:
        handle.write(text + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(folder / f"{entry.delivery_id}.json")
    flush_folder(folder)


def flush_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def in_force(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Deliveries that count: for each source, date, operation and file the one that was put there last.

    A file that is delivered again with other content, or read again by a changed mapping, takes the place of the
    one before. The others stay in the ledger as its history. Replayed records count as long as the delivery they were
    quarantined of does.

    Examples
    --------
    >>> in_force([])
    []
    """
    latest: dict[tuple[str, str, date, str, str], LedgerEntry] = {}
    kept = list(entries)
    for entry in kept:
        rival = latest.get(entry.place)
        if rival is None or (rival.landed_at, rival.delivery_id) < (entry.landed_at, entry.delivery_id):
            latest[entry.place] = entry
    standing = {entry.delivery_id: entry for entry in latest.values()}

    def is_standing(entry: LedgerEntry) -> bool:
        while entry.replays is not None:
            if entry.replays not in standing:
                return False
            entry = standing[entry.replays]
        return True

    return [entry for entry in kept if latest[entry.place] is entry and is_standing(entry)]


def default_as_of(entries: Iterable[LedgerEntry], bank: Bank) -> date:
    """Date up to which the bank's core system has delivered everything.

    The sources that count are those of `bank.yml: as_of.source_system` which feed the contract table
    `transactions`. For an initial load it is the last date of their own rows; with dated deliveries the last date
    on which each of those sources delivered, if that is later.

    Parameters
    ----------
    entries
        The ledger.
    bank
        Mapping and settings.

    Raises
    ------
    UserError
        If nothing that was delivered says so.
    """
    system = bank.settings.as_of.source_system
    table = bank.mapping.tables.get("transactions")
    feeding = {
        select.source
        for select in (table.selects if table else ())
        if select.source is not None and bank.mapping.sources[select.source].source_system == system
    }
    relevant = [
        entry
        for entry in in_force(entries)
        if entry.bank == bank.mapping.bank and entry.source in feeding and entry.operation == "upsert"
    ]
    dates_by_source = [
        {e.known_on for e in relevant if e.source == source and e.known_on} for source in sorted(feeding)
    ]
    candidates = set.intersection(*dates_by_source) if dates_by_source else set()
    # The rows of an initial load carry their own dates; the constant one stands for "no date of its own".
    own = [
        max((e.known_to for e in relevant if e.source == source and not e.known_on and e.known_to), default=None)
        for source in sorted(feeding)
    ]
    candidates |= {day for day in own if day is not None and day != KNOWN_FROM_THE_START}
    if not candidates:
        raise UserError(
            "no as-of date can be derived from what was delivered",
            where=f"{bank.mapping.path}: tables.transactions",
            found=f"sources of system '{system}' that feed transactions: {', '.join(sorted(feeding)) or 'none'}; "
            f"deliveries of them with dated rows: {sum(e.rows_landed for e in relevant)} rows, no date",
            valid="a source with `known_on` (the date of its rows), or deliveries in dated folders YYYY/MM/DD",
            next_step="give the date: AS_OF=YYYY-MM-DD",
        )
    return max(candidates)


def _as_json(value: object) -> str:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in the ledger")


def _read_entry(path: Path) -> LedgerEntry:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in _DATES:
            values[name] = None if values[name] is None else date.fromisoformat(values[name])
        values["landed_at"] = datetime.fromisoformat(values["landed_at"])
        values["undeclared_columns"] = tuple(values["undeclared_columns"])
        values["delivered_columns"] = tuple(values.get("delivered_columns", ()))
        values["erasures"] = tuple(values.get("erasures", ()))
        return LedgerEntry(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "a ledger entry cannot be read",
            where=str(path),
            found=f"{type(error).__name__}: {error}",
            valid="the JSON that landing wrote",
            next_step="restore the file from a backup, or remove it to land that delivery again",
        ) from error
