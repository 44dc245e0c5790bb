"""Quarantine: the records that were read and not landed, kept inside the vault's walls with the reason.

`landing` writes them; here they are counted and shown. The records themselves are sealed as in the vault; values of
classed columns are masked where they are stored already, so that counting and showing needs no key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.ledger import LedgerEntry, in_force, read_ledger
from warehouse.vault.keys import KeyRing
from warehouse.vault.sealed import blocks_of, open_block

#: One row per fault: a record with three faults has three rows and counts once.
FAULTS = pa.schema(
    [
        ("source_row", pa.int64()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("value", pa.string()),
        ("record_id", pa.string()),
    ]
)
#: What is sealed, in one block for each batch: the records as they stand in the file.
QUARANTINED_RECORDS = pa.schema([("source_row", pa.int64()), ("raw", pa.string())])
#: As it lies: the first fault of each batch carries the block.
QUARANTINED = FAULTS.append(pa.field("block", pa.string())).append(pa.field("sealed", pa.binary()))


def with_block(faults: pa.Table, name: str, sealed: bytes) -> pa.Table:
    """Faults of a batch (`FAULTS`) and their sealed records, as they lie in the quarantine."""
    rest = faults.num_rows - 1
    blocks = pa.array([name, *[None] * rest], pa.string())
    return pa.table([*faults.columns, blocks, pa.array([sealed, *[None] * rest], pa.binary())], schema=QUARANTINED)


@dataclass(frozen=True)
class QuarantinedGroup:
    """Records of one delivery that were quarantined for one reason.

    Attributes
    ----------
    column
        Name of the column, empty if the record as a whole is malformed.
    rows
        Number of records.
    first_line
        Line of the delivered file (row of a Parquet file) where the first of them stands.
    example
        Value found there, masked if its column is classed; None if the record as a whole is malformed.
    """

    bank: str
    source: str
    file: str
    delivery_id: str
    column: str
    reason: str
    rows: int
    first_line: int
    example: str | None


def quarantine_path(quarantine_root: Path, bank: str, delivery_id: str) -> Path:
    """Where the quarantined records of a delivery lie, if it has any."""
    return quarantine_root / bank / f"{delivery_id}.parquet"


def quarantined_records(ring: KeyRing, bank: str, path: Path) -> dict[int, str]:
    """The records of one delivery as they stand in the file, by row number; for erasure, which the vault logs."""
    blocks = list(blocks_of(pq.read_table(path, columns=["block", "sealed"])))
    keys = ring.find([name for name, _ in blocks])
    tables = [open_block(keys[name], bank, name, sealed) for name, sealed in blocks if name in keys]
    return {row["source_row"]: row["raw"] for table in tables for row in table.to_pylist()}


def summarise(home: Home, bank: str | None = None) -> list[QuarantinedGroup]:
    """What is quarantined in the deliveries in force, by delivery, column and reason.

    Parameters
    ----------
    home
        The installation.
    bank
        Name of a bank; all banks of the installation by default.

    Raises
    ------
    UserError
        If the ledger counts quarantined records whose file is not there.
    """
    banks = [bank] if bank else sorted(folder.name for folder in home.landing.glob("*") if folder.is_dir())
    entries = [entry for name in banks for entry in in_force(read_ledger(home.landing, name))]
    # What was replayed is quarantined where it was replayed, if it still is.
    taken = {entry.replays for entry in entries}
    entries = [entry for entry in entries if entry.delivery_id not in taken]
    return [group for entry in entries if entry.rows_quarantined for group in summarise_delivery(home, entry)]


def summarise_delivery(home: Home, entry: LedgerEntry) -> list[QuarantinedGroup]:
    """What is quarantined of one delivery, by column and reason, ordered by the first line."""
    path = quarantine_path(home.quarantine, entry.bank, entry.delivery_id)
    if not path.is_file():
        raise UserError(
            "quarantined records of a delivery are gone",
            where=str(path),
            found=f"no file; the ledger counts {entry.rows_quarantined:,} records of {entry.file}",
            next_step="restore the file from a backup",
        )
    faults = pq.read_table(path, columns=["source_row", "line", "column", "reason", "value"]).to_pylist()
    groups: dict[tuple[str, str], list[dict[str, object]]] = {}
    for fault in faults:
        groups.setdefault((fault["column"] or "", fault["reason"]), []).append(fault)
    return sorted(
        (_group(entry, column, reason, rows) for (column, reason), rows in groups.items()),
        key=lambda group: (group.first_line, group.column, group.reason),
    )


def _group(entry: LedgerEntry, column: str, reason: str, faults: Iterable[dict[str, object]]) -> QuarantinedGroup:
    ordered = sorted(faults, key=lambda fault: int(str(fault["source_row"])))
    first = ordered[0]
    return QuarantinedGroup(
        bank=entry.bank,
        source=entry.source,
        file=entry.file,
        delivery_id=entry.delivery_id,
        column=column,
        reason=reason,
        rows=len({fault["source_row"] for fault in ordered}),
        first_line=int(str(first["line"])),
        example=None if first["value"] is None else str(first["value"]),
    )
