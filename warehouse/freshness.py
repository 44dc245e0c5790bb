"""How fresh each source is, and which stand still since what they deliver is no longer what the mapping says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.ledger import KNOWN_FROM_THE_START, LedgerEntry, in_force
from warehouse.sources.bank import Bank


class DriftError(UserError):
    """What a source delivers is not what the mapping says: columns are missing, renamed or of another type.

    Parameters
    ----------
    problem, details
        As of `UserError`.
    reason_en, reason_zh
        Expected and found in one line, for readers of a release.
    """

    def __init__(self, problem: str, *, reason_en: str, reason_zh: str, **details: str | None) -> None:
        super().__init__(problem, **details)
        self.reason_en = reason_en
        self.reason_zh = reason_zh


@dataclass(frozen=True)
class Stop:
    """A source that stands still.

    Attributes
    ----------
    stale_since
        Date of the last delivery that was landed; None: the initial load.
    refused_on
        Date of the delivery that was refused; None: an initial one.
    reason
        Expected and found, and what to do, as the run tells it.
    reason_en, reason_zh
        Expected and found in one line; None if it was noted before there were such lines.
    """

    source: str
    stale_since: date | None
    refused_on: date | None
    reason: str
    reason_en: str | None
    reason_zh: str | None


@dataclass(frozen=True)
class Freshness:
    """How fresh one source is.

    Attributes
    ----------
    tables
        Contract tables that it feeds.
    last_delivery_on
        Date of the last delivery; None: only an initial load.
    last_known_on
        Last date on which a row of it was known.
    behind_days
        Days behind the freshest source of the bank; None if nothing says so.
    """

    source: str
    source_system: str
    tables: tuple[str, ...]
    rows: int
    last_delivery_on: date | None
    last_known_on: date | None
    watermark: str | None
    behind_days: int | None
    stop: Stop | None


def _folder(home: Home, bank: str) -> Path:
    return home.landing / bank / "stopped"


def record_stop(
    home: Home, bank: str, source: str, *, entries: Iterable[LedgerEntry], refused: date | None, why: DriftError
) -> Stop:
    """Note that a source stands still; since when is the date of what was landed last."""
    own = [entry for entry in in_force(entries) if entry.source == source]
    dates = [day for entry in own for day in (entry.known_on or entry.known_to,) if day and day != KNOWN_FROM_THE_START]
    stop = Stop(source, max(dates, default=None), refused, str(why), why.reason_en, why.reason_zh)
    path = _folder(home, bank) / f"{source}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(
        json.dumps(
            {
                "stale_since": _text(stop.stale_since),
                "refused_on": _text(stop.refused_on),
                "reason": stop.reason,
                "reason_en": stop.reason_en,
                "reason_zh": stop.reason_zh,
            },
            ensure_ascii=False,
        ),
        encoding="utf-8",
    )
    new.replace(path)
    return stop


def end_stop(home: Home, bank: str, source: str) -> None:
    """Note that a source goes on."""
    (_folder(home, bank) / f"{source}.json").unlink(missing_ok=True)


def stops(home: Home, bank: str) -> dict[str, Stop]:
    """The sources that stand still, by name."""
    found = {}
    for path in sorted(_folder(home, bank).glob("*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = Stop(
            path.stem,
            _date(values["stale_since"]),
            _date(values["refused_on"]),
            str(values["reason"]),
            values.get("reason_en"),
            values.get("reason_zh"),
        )
    return found


def freshness(home: Home, bank: Bank, entries: Iterable[LedgerEntry]) -> list[Freshness]:
    """How fresh each source of a bank is, in the order of the mapping."""
    standing = in_force(entries)
    stopped = stops(home, bank.name)
    latest = {
        name: max((_last_known(entry) for entry in standing if entry.source == name), default=None)
        for name in bank.mapping.sources
    }
    dated = [day for day in latest.values() if day is not None and day != KNOWN_FROM_THE_START]
    freshest = max(dated, default=None)
    found = []
    for source in bank.mapping.sources.values():
        own = [entry for entry in standing if entry.source == source.name]
        marked = [entry for entry in own if entry.watermark is not None]
        known = latest[source.name]
        is_dated = known is not None and known != KNOWN_FROM_THE_START
        found.append(
            Freshness(
                source=source.name,
                source_system=source.source_system,
                tables=tuple(t.name for t in bank.mapping.tables.values() if source.name in t.sources),
                rows=sum(entry.rows_landed for entry in own),
                last_delivery_on=max((entry.known_on for entry in own if entry.known_on), default=None),
                last_known_on=known if is_dated else None,
                watermark=max(marked, key=_last_known).watermark if marked else None,
                behind_days=(freshest - known) // timedelta(days=1)
                if is_dated and freshest is not None and known is not None
                else None,
                stop=stopped.get(source.name),
            )
        )
    return found


@dataclass(frozen=True)
class Forgotten:
    """Columns of landed rows that the mapping no longer reads, while it reads others that those rows have not.

    If one became the other, what was landed before it is left out: `delivered_as` keeps them one column.
    """

    source: str
    no_longer_read: tuple[str, ...]
    not_there: tuple[str, ...]
    deliveries: int
    rows: int

    def __str__(self) -> str:
        gone, new = ", ".join(self.no_longer_read), ", ".join(self.not_there)
        return (
            f"{self.source}: {self.rows:,} rows of {self.deliveries} deliveries have {gone}, which the mapping no "
            f"longer reads, and no {new}, which stays empty there; if a column was only renamed, let it keep its name "
            f"in the mapping and write the new one below it: delivered_as: [...]"
        )


def forgotten_columns(bank: Bank, entries: Iterable[LedgerEntry]) -> list[Forgotten]:
    """Where a column that was renamed in the mapping would silently have lost its past."""
    found: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[LedgerEntry]] = {}
    for entry in in_force(entries):
        source = bank.mapping.sources.get(entry.source)
        # Keys of deleted rows have no other columns, and of early deliveries the columns are not known.
        if source is None or entry.operation == "delete" or not entry.delivered_columns:
            continue
        landed = [name for name in entry.delivered_columns if name not in entry.undeclared_columns]
        names = [(column.name, *column.delivered_as) for column in source.columns]
        gone = tuple(name for name in landed if not any(name in each for each in names))
        new = tuple(each[0] for each in names if not set(each).intersection(entry.delivered_columns))
        if gone and new:
            found.setdefault((source.name, gone, new), []).append(entry)
    return [
        Forgotten(source, gone, new, len(own), sum(entry.rows_landed for entry in own))
        for (source, gone, new), own in found.items()
    ]


def _last_known(entry: LedgerEntry) -> date:
    return max(entry.known_on or KNOWN_FROM_THE_START, entry.known_to or KNOWN_FROM_THE_START)


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
