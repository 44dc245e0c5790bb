"""A bank that goes on: the next days as deliveries, a folder for each, in the shape landing understands.

Nothing is kept between two calls but the manifest. The months that hold the days are lived again, which gives the same
lives, and cut by the day on which a row is known. The lives are those of the bank that is there: all with a number up
to its last customer's, of whom more have joined with every month.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import UserError
from warehouse.sample_bank.dates import Month, day_number, month_number
from warehouse.sample_bank.dirt import (
    CLEAN_ROWS,
    LATEST_DAYS,
    Dirt,
    arranged,
    delivered,
    drift_faults,
    drifted,
    soiled,
    without_helpers,
)
from warehouse.sample_bank.files import FORMATS, MANIFEST, TableFiles
from warehouse.sample_bank.parameters import DEFAULT_PARAMETERS, Parameters
from warehouse.sample_bank.population import joining_month, life_numbers
from warehouse.sample_bank.simulation import BankSettings
from warehouse.sample_bank.table_shapes import TableShape, shape_of

FAULTS_FOLDER = "faults"
#: Name of the record of the initial load's faults.
INITIAL = "initial"
MOST_DAYS = 3660
#: Below the folder of a day: keys of rows that are deleted.
_DELETES = "deletes"
#: Written for every day, with no row in it if need be: a day without postings was delivered too.
_EVERY_DAY = "transactions"
_MONTH = re.compile(r"\d{4}-\d{2}")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class KnownBank:
    """A sample bank that was written before, as its manifest says.

    Attributes
    ----------
    settings
        What it was generated from.
    formats
        Of its files.
    dirt
        What is wrong with its rows.
    until
        Last day that is there: the window's, or that of the last delivery.
    manifest
        All of the manifest.
    """

    folder: Path
    settings: BankSettings
    formats: tuple[str, ...]
    dirt: Dirt
    until: date
    manifest: dict[str, Any]

    @property
    def initial_end(self) -> date:
        """Last day of the window, which came as the initial load."""
        return _last_day(self.settings.all_months[-1])


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest as it was written.

    Raises
    ------
    UserError
        It is not there, or is none.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            "there is no sample bank that could go on",
            where=str(path.parent),
            found=f"no {path.name}",
            valid="a folder that `mainbank sample --out` has written",
            next_step="write the bank first, without --days",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    if not isinstance(manifest, dict):
        raise _damaged(path, f"{type(manifest).__name__}, no mapping")
    return manifest


def _damaged(path: Path, found: str) -> UserError:
    return UserError(
        "the manifest of the sample bank cannot be read",
        where=str(path),
        found=found,
        valid="as `mainbank sample` wrote it",
        next_step="write the bank again",
    )


def read_bank(folder: Path, parameters: Parameters = DEFAULT_PARAMETERS) -> KnownBank:
    """What the manifest of a bank's folder says.

    Raises
    ------
    UserError
        There is no sample bank in the folder, or its manifest is none.
    """
    path = folder / MANIFEST
    manifest = read_manifest(path)
    formats = tuple(name for name in FORMATS if any(folder.glob(f"*/*.{name}")))
    try:
        settings = BankSettings(
            manifest["customers"],
            manifest["months"],
            date.fromisoformat(manifest["start"]),
            manifest["seed"],
            _part(manifest["slice"]),
            parameters,
        )
        settings.check()
        dirt = Dirt.from_manifest(manifest.get("dirt", {}))
        dirt.check(formats)
        end = _last_day(settings.all_months[-1])
        until = manifest.get("delivered_until")
        last = end if until is None else date.fromisoformat(until)
        _check_rest(manifest["rows"], last, end)
    except (UserError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        told = f"{error.problem} ({error.where}: {error.found})" if isinstance(error, UserError) else str(error)
        raise _damaged(path, f"{type(error).__name__}: {told}") from error
    if not formats:
        raise UserError(
            "the sample bank has no tables",
            where=str(folder),
            found=f"a {MANIFEST} alone",
            valid="a folder as `mainbank sample --out` wrote it",
            next_step="write the bank again",
        )
    return KnownBank(folder, settings, formats, dirt, last, manifest)


def _part(value: object) -> tuple[int, int] | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == len(("first", "last")) and all(_is_count(number) for number in value):
        return value[0], value[1]
    raise ValueError(f"slice {value!r}, no two positions")


def _check_rest(rows: dict[str, object], last: date, end: date) -> None:
    if last < end:
        raise ValueError(f"delivered until {last}, before the window ends on {end}")
    if not all(_is_count(number) for number in rows.values()):
        raise ValueError("rows that are no numbers")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def longer(settings: BankSettings, months: int) -> BankSettings:
    """The same bank with a longer window: its lives stay, and those of them that join later are there too.

    Parameters
    ----------
    settings
        The bank.
    months
        Length of the longer window.

    Returns
    -------
    BankSettings
        With as many customers as have joined by then. Generated from these, one long bank has the rows of the shorter
        one and of its deliveries.
    """
    start = settings.first_month.number

    def position(number: int) -> int:
        """Lives below a number that join before the longer window ends."""
        return sum(
            int(
                np.count_nonzero(
                    joining_month(
                        np.arange(first, min(first + _CHUNK, number)), start, settings.seed, settings.parameters
                    )
                    < start + months
                )
            )
            for first in range(0, number, _CHUNK)
        )

    def life(place: int) -> int:
        end = start + settings.months
        return int(life_numbers(place, place + 1, start, end, seed=settings.seed, parameters=settings.parameters)[0])

    customers = position(life(settings.customers - 1) + 1)
    part = None
    if settings.part is not None:
        first, last = settings.part
        part = (
            position(life(first)) if first else 0,
            position(life(last)) if last < settings.customers else customers,
        )
    return replace(settings, customers=customers, months=months, part=part)


class SoiledFiles:
    """Files of a bank's window with dirt in them, and the record of it.

    Parameters
    ----------
    folder, formats
        As for `TableFiles`.
    faults
        Receives rows of `FAULTS`.
    dirt, seed
        What is wrong.
    initial_end
        Last day of the window.
    """

    def __init__(
        self,
        folder: Path,
        formats: tuple[str, ...],
        faults: Callable[[str, pa.Table], None],
        *,
        dirt: Dirt,
        seed: int,
        initial_end: date,
    ) -> None:
        self._formats = formats
        self._faults = faults
        self._dirt = dirt
        self._seed = seed
        self._end = day_number(initial_end)
        self._files = TableFiles(folder, formats, is_soiled=True)
        self._numbers: dict[tuple[str, str], int] = {}

    @property
    def rows(self) -> dict[str, int]:
        """Rows by table."""
        return self._files.rows

    def write(self, table: str, name: str, rows: pa.Table) -> None:
        """Append rows to a file of a table, but for those that come late."""
        shape = shape_of(table)
        rows = arranged(shape, rows, self._dirt, seed=self._seed, initial_end=self._end)
        rows = rows.filter(pc.less_equal(rows["_day"], self._end))
        day = date.fromisoformat(f"{name}-01") if _MONTH.fullmatch(name) else date.min
        self.write_arranged(shape, name, rows, place=f"{table}/{name}", day=day, recorded_as=INITIAL)

    def write_arranged(
        self, shape: TableShape, name: str, rows: pa.Table, *, place: str, day: date, recorded_as: str
    ) -> None:
        """Append arranged rows to a file of a table."""
        key = (shape.name, name)
        number = self._numbers.get(key)
        plain, faults = soiled(
            shape,
            rows,
            seed=self._seed,
            delivery=place,
            first_row=(number or 0) + 1,
            as_text="parquet" not in self._formats,
        )
        plain, drift = drifted(shape, plain, self._dirt, day)
        if number is None and drift:
            self._faults(recorded_as, drift_faults(shape.name, place, drift))
        if faults.num_rows:
            self._faults(recorded_as, faults)
        self._numbers[key] = (number or 0) + rows.num_rows
        self._files.write(shape.name, name, plain)

    def finish(self, table: str, name: str) -> None:
        """Close a file, so that it takes no more memory."""
        self._files.finish(table, name)

    def close(self) -> None:
        """Close all files."""
        self._files.close()


class DailyFiles:
    """The files of some days: rows are gathered by the day of their delivery and written when their month is over.

    Parameters
    ----------
    folder
        Where `YYYY/MM/DD/<table>/<file>` are written.
    bank
        The bank that goes on.
    first, last
        The days.
    faults
        Receives rows of `FAULTS`.
    """

    def __init__(
        self,
        folder: Path,
        bank: KnownBank,
        first: date,
        last: date,
        faults: Callable[[str, pa.Table], None],
    ) -> None:
        self._folder = folder
        self._bank = bank
        self._first, self._last = day_number(first), day_number(last)
        self._faults = faults
        self._gathered: dict[tuple[str, str], list[pa.Table]] = {}
        self._schemas: dict[tuple[str, str], pa.Table] = {}
        self._every_day_from = self._first
        self.rows: dict[str, int] = {}

    def write(self, table: str, name: str, rows: pa.Table) -> None:
        """Gather what of the rows is delivered in these days."""
        bank = self._bank
        # One file per month becomes one per day; any other keeps its name.
        key = (table, "" if _MONTH.fullmatch(name) else name)
        rows = arranged(
            shape_of(table),
            rows,
            bank.dirt,
            seed=bank.settings.seed,
            initial_end=day_number(bank.initial_end),
        )
        self._schemas.setdefault(key, rows.slice(0, 0))
        rows = delivered(rows, self._first, self._last)
        if rows.num_rows:
            self._gathered.setdefault(key, []).append(rows)

    def finish(self, table: str, name: str) -> None:
        """Write the days up to the end of the month that a file is named after: all their rows are there."""
        if _MONTH.fullmatch(name):
            self._write_days(table, "", day_number(_last_day(Month(month_number(date.fromisoformat(f"{name}-01"))))))

    def close(self) -> None:
        """Write what is still gathered."""
        for table, name in sorted(self._schemas):
            self._write_days(table, name, self._last)

    def _write_days(self, table: str, name: str, last: int) -> None:
        key = (table, name)
        pieces = self._gathered.pop(key, [])
        empty = self._schemas.get(key)
        if empty is None:
            return
        rows = pa.concat_tables([empty, *pieces])
        waiting = rows.filter(pc.greater(rows["_day"], last))
        if waiting.num_rows:
            self._gathered[key] = [waiting]
        days = rows["_day"].to_numpy()
        wanted = set(np.unique(days[days <= last]).tolist())
        if table == _EVERY_DAY:
            following = max(self._every_day_from, min(last, self._last) + 1)
            wanted |= set(range(self._every_day_from, following))
            self._every_day_from = following
        for day in sorted(wanted):
            self._write_day(table, name, day, rows.filter(pa.array(days == day)))

    def _folder_of(self, day: int) -> Path:
        return self._folder / _date(day).strftime("%Y/%m/%d")

    def _write_day(self, table: str, name: str, day: int, rows: pa.Table) -> None:
        bank, shape, on = self._bank, shape_of(table), _date(day)
        deletions = without_helpers(rows.filter(rows["_is_delete"])).select(list(shape.key))
        upserts = rows.filter(pc.invert(rows["_is_delete"]))
        file_name = name or on.isoformat()
        place = f"{on:%Y/%m/%d}/{table}/{file_name}"
        if upserts.num_rows or table == _EVERY_DAY:
            if bank.dirt.is_clean:
                files: TableFiles | SoiledFiles = TableFiles(self._folder_of(day), bank.formats)
                files.write(table, file_name, without_helpers(upserts))
            else:
                files = SoiledFiles(
                    self._folder_of(day),
                    bank.formats,
                    self._faults,
                    dirt=bank.dirt,
                    seed=bank.settings.seed,
                    initial_end=bank.initial_end,
                )
                files.write_arranged(shape, file_name, upserts, place=place, day=on, recorded_as=on.isoformat())
            files.close()
            self.rows[table] = self.rows.get(table, 0) + upserts.num_rows
        if deletions.num_rows:
            files = TableFiles(self._folder_of(day) / _DELETES, bank.formats)
            files.write(table, file_name, deletions)
            files.close()


class FaultFiles:
    """The record of what is wrong, one file for the initial load and one for each day with faults."""

    def __init__(self, folder: Path) -> None:
        self._files = TableFiles(folder, ("parquet",))

    def __call__(self, name: str, faults: pa.Table) -> None:
        """Append rows of `FAULTS`."""
        self._files.write(FAULTS_FOLDER, name, faults)

    def close(self) -> None:
        """Close all files."""
        self._files.close()


def next_days(bank: KnownBank, days: int) -> tuple[date, date, BankSettings]:
    """First and last of the next days of a bank, and the settings of a bank that reaches as far.

    Raises
    ------
    UserError
        The number of days is none, or the bank cannot go on for so long.
    """
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MOST_DAYS:
        raise UserError(
            "the sample bank cannot go on for so many days",
            where="days",
            found=repr(days),
            valid=f"a whole number from 1 to {MOST_DAYS:,}",
        )
    first, last = bank.until + timedelta(days=1), bank.until + timedelta(days=days)
    settings = bank.settings
    months = month_number(last) - settings.first_month.number + 1
    horizon = settings.parameters.horizon_months
    if months > horizon:
        end = _last_day(Month(settings.first_month.number + horizon - 1))
        raise UserError(
            "the sample bank cannot go on for so many days",
            where="days",
            found=f"{days}, until {last}",
            valid=f"at most {(end - bank.until).days:,} days, until {end}: {horizon} months from its start",
            next_step="ask for fewer days, or write a bank that starts later",
        )
    return first, last, longer(settings, months)


def first_month_needed(first: date) -> int:
    """Calendar month from which rows may be delivered on a day or later."""
    return month_number(first - timedelta(days=LATEST_DAYS))


def move_days(staged: Path, bank: KnownBank) -> None:
    """Bring the folders of the days from where they were written into the bank's, all or none."""
    moved: list[Path] = []
    try:
        for folder in sorted(staged.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]")):
            target = bank.folder / folder.relative_to(staged)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Beyond the manifest's last day nothing was delivered: it is what an interrupted call left.
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)
            moved.append(target)
    except BaseException:
        for target in moved:
            shutil.rmtree(target, ignore_errors=True)
        raise


def dirt_in_manifest(dirt: Dirt) -> dict[str, Any]:
    """What a manifest says of the dirt: nothing of none."""
    return {} if dirt == CLEAN_ROWS else {"dirt": dirt.as_manifest()}


def _last_day(month: Month) -> date:
    return _date(month.last_day)


def _date(day: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + day)
