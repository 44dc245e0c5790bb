"""Quarantined records once more: those a corrected mapping accepts now, and those that were repaired, are landed.

A replay is a delivery of its own, of the same date, that holds all records quarantined of another one: what is
accepted is landed under the row number it had, what is not stays quarantined there. It can be replayed in its turn.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import Delivery, LandingResult, open_landing
from warehouse.ledger import LedgerEntry, in_force
from warehouse.quarantine import quarantine_path
from warehouse.sources.bank import Bank
from warehouse.sources.database import is_text_type
from warehouse.sources.delivered import SOURCE_ROW, RowBatch
from warehouse.sources.specification import CsvFormat, SourceSpec


def replay(
    bank: Bank,
    home: Home,
    delivery: str | None = None,
    *,
    repaired: Path | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> list[LandingResult]:
    """Land quarantined records that can be landed now.

    Parameters
    ----------
    bank
        Mapping and settings in force now.
    home
        The installation.
    delivery
        Only records of this delivery; all deliveries of the bank by default.
    repaired
        File of JSON lines, each with `source_row` and the columns that are put right; for one delivery.
    progress
        Receives one line per delivery.

    Returns
    -------
    list of LandingResult
        One per delivery of which records were landed.

    Raises
    ------
    UserError
        If there is no such delivery, or the repairs do not fit its records.
    """
    if repaired is not None and delivery is None:
        raise UserError(
            "repaired rows belong to one delivery",
            where="--repaired",
            valid="a delivery beside it: mainbank quarantine replay DELIVERY --repaired FILE",
        )
    results = []
    with open_landing(bank, home, progress) as (landing, entries):
        waiting = [e for e in unreplayed(in_force(entries)) if delivery in (None, e.delivery_id)]
        if delivery is not None and not waiting:
            raise UserError(
                "nothing is quarantined of this delivery",
                where=delivery,
                valid=", ".join(e.delivery_id for e in unreplayed(in_force(entries))) or "none: nothing is quarantined",
                next_step="mainbank quarantine list",
            )
        for entry in waiting:
            source = bank.mapping.sources.get(entry.source)
            if source is None:
                progress(f"{entry.source}: the mapping has no such source any more")
                continue
            repairs = _read_repairs(repaired) if repaired is not None else {}
            records = landing.quarantined(entry)
            strange = sorted(set(repairs) - set(records))
            if strange:
                raise UserError(
                    "repaired rows that are not quarantined",
                    where=str(repaired),
                    found=f"source_row {', '.join(map(str, strange[:10]))}",
                    valid=f"source_row of a record of delivery {entry.delivery_id}, as mainbank quarantine list shows",
                )
            rows = ReplayedRows(entry, source, records, repairs, home)
            chosen = Delivery(source, rows.path, f"{entry.file}#replayed", entry.known_on, entry.operation)
            content = json.dumps([sorted(records.items()), sorted(repairs.items())], default=str)
            sha256 = hashlib.sha256(f"{entry.delivery_id}\x1f{content}".encode()).hexdigest()
            result = landing.replay(chosen, rows, replace(entry, file_sha256=sha256), entries)
            if result is None:
                progress(f"{entry.source}: {entry.file}: none of {len(records):,} quarantined records fits yet")
            else:
                results.append(result)
    return results


def unreplayed(standing: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """Deliveries with quarantined records that no other delivery has taken over."""
    taken = {entry.replays for entry in standing if entry.replays is not None}
    return [entry for entry in standing if entry.rows_quarantined and entry.delivery_id not in taken]


class ReplayedRows:
    """Quarantined records of a delivery, perhaps repaired, as rows."""

    def __init__(
        self,
        entry: LedgerEntry,
        source: SourceSpec,
        records: dict[int, str],
        repairs: dict[int, dict[str, Any]],
        home: Home,
    ) -> None:
        self.path = Path(f"quarantine of {entry.file}")
        form = {
            row["source_row"]: row["reason"]
            for row in pq.read_table(
                quarantine_path(home.quarantine, entry.bank, entry.delivery_id),
                columns=["source_row", "column", "reason"],
            ).to_pylist()
            if row["column"] is None
        }
        names = [*(column.name for column in source.columns), *entry.undeclared_columns]
        delivered = list(entry.delivered_columns) or [column.name for column in source.columns]
        values: dict[int, dict[str, Any]] = {}
        self._records = records
        self._faults: dict[int, str] = {}
        for number, text in sorted(records.items()):
            repair = repairs.get(number)
            fields = None if number in form else _fields(text, source, delivered)
            if fields is None and (repair is None or any(name not in repair for name in names)):
                self._faults[number] = form.get(number, "not a record of the source's columns")
                continue
            unknown = sorted(set(repair or {}) - set(names))
            if unknown:
                raise UserError(
                    "a repaired row has columns its source has not",
                    where=f"source_row {number}",
                    found=", ".join(unknown),
                    valid=", ".join(names),
                )
            values[number] = {name: {**(fields or {}), **(repair or {})}.get(name) for name in names}
        columns = [pa.array([_text(row[name]) for row in values.values()], pa.string()) for name in names]
        types = _landed_types(entry, home)
        typed = [_as_landed(column, types.get(name)) for name, column in zip(names, columns, strict=True)]
        self._table = pa.table([*typed, pa.array(list(values), pa.int64())], names=[*names, SOURCE_ROW])

    @property
    def column_names(self) -> list[str]:
        """The columns of the source."""
        return [name for name in self._table.column_names if name != SOURCE_ROW]

    def is_text(self, column: str) -> bool:
        """Whether the values of a column come as text."""
        return is_text_type(self._table.schema.field(column).type)

    @property
    def most_records(self) -> int | None:
        """Not asked: a replay may fail as a whole."""
        return None

    def empty_rows(self) -> pa.Table:
        """No rows, with the columns of a batch."""
        return self._table.slice(0, 0)

    def batches(self) -> Iterator[RowBatch]:
        """All of them at once: they are few, or the delivery would have been refused."""
        yield RowBatch(
            self._table, len(self._records), lambda numbers: [(n, self._records[n]) for n in numbers], self._faults
        )


def _fields(text: str, source: SourceSpec, delivered: Sequence[str]) -> dict[str, Any] | None:
    """Values of a record as it stands in the quarantine; None if it has not one for each column."""
    if not isinstance(source.format, CsvFormat):
        try:
            found = json.loads(text)
        except ValueError:
            return None
        if not isinstance(found, dict):
            return None
        record: dict[str, Any] = found
        names = source.renamed(record)
        return {names.get(name, name): value for name, value in record.items()}
    form = source.format
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=form.delimiter,
        quotechar=form.quote or None,
        quoting=csv.QUOTE_MINIMAL if form.quote else csv.QUOTE_NONE,
        doublequote=form.escape == form.quote,
        escapechar=None if form.escape in ("", form.quote) else form.escape,
    )
    row = next(reader, [])
    return dict(zip(delivered, row, strict=True)) if len(row) == len(delivered) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _landed_types(entry: LedgerEntry, home: Home) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in pq.read_schema(entry.parquet_path(home.landing))}


def _as_landed(column: pa.Array, type_: pa.DataType | None) -> pa.Array:
    """The column in the type its delivery was landed with, if all of it can be read so."""
    if type_ is None or is_text_type(type_):
        return column
    try:
        return column.cast(type_)
    except pa.ArrowException:
        return column


def _read_repairs(path: Path) -> dict[int, dict[str, Any]]:
    repairs: dict[int, dict[str, Any]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            "the file of repaired rows cannot be read", where=str(path), found=type(error).__name__
        ) from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            row = values.pop("source_row")
        except (ValueError, KeyError, AttributeError):
            row = None
            values = {}
        if not isinstance(row, int):
            raise UserError(
                "a repaired row cannot be read",
                where=f"{path}, line {number}",
                valid='one JSON object per line, for example {"source_row": 7, "amount": "12.50"}',
            )
        repairs[row] = values
    return repairs
