"""A bank's own rows in place of a seed's: ``overrides/<seed>.csv``, validated against it, written before dbt runs.

What may be replaced, and what a replacement must keep to, is said beside the seeds, in ``dbt/seeds/_seeds.yml``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import yaml

from dagster_project.lib.dbt import PROJECT
from warehouse.errors import UserError
from warehouse.sources.specification import quote_name
from warehouse.yaml_file import closest_names

if TYPE_CHECKING:
    from warehouse.home import Home
    from warehouse.sources.bank import Bank

FOLDER = "overrides"
SEEDS = PROJECT / "seeds"
OPEN_END = date(9999, 12, 31)
_DECIMAL = re.compile(r"decimal\((\d+), *(\d+)\)")

Row = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """What a replacement must keep to, see ``_seeds.yml``."""

    key: tuple[str, ...]
    fixed_keys: bool = False
    band: tuple[str, ...] = ()
    rank: str | None = None
    minimum: Mapping[str, int] | None = None
    values: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class Seed:
    """A seed that may be replaced: types of its columns in order, its rules and the rows it ships."""

    name: str
    columns: Mapping[str, str]
    rules: Rules
    rows: tuple[Row, ...]

    @property
    def has_validity(self) -> bool:
        """Whether its rows hold from a date to a date."""
        return "valid_from" in self.columns


@dataclass(frozen=True)
class Override:
    """Rows that take the place of a seed's, the file they are from, and whose file it is: ``bank`` or ``home``."""

    seed: str
    columns: Mapping[str, str]
    file: Path
    owner: str
    rows: tuple[Row, ...]
    text: bytes


def replaceable_seeds() -> dict[str, Seed]:
    """The seeds that may be replaced, by name, with the rows they ship."""
    found = {}
    for entry in yaml.safe_load((SEEDS / "_seeds.yml").read_text())["seeds"]:
        rules = entry.get("config", {}).get("meta", {}).get("replaceable")
        if rules is None:
            continue
        lists = {name: tuple(rules[name]) for name in ("key", "band") if name in rules}
        name, columns = entry["name"], entry["config"]["column_types"]
        file = SEEDS / f"{name}.csv"
        rows = _read_rows(file, file.read_bytes(), columns)
        found[name] = Seed(name, columns, Rules(**{**rules, **lists}), tuple(row for _, row in rows))
    return found


def read_overrides(bank: Bank, home: Home) -> list[Override]:
    """The bank's own rows for seeds, validated.

    Parameters
    ----------
    bank
        Its folder may have a folder ``overrides``, beside the mapping.
    home
        So may the home.

    Returns
    -------
    list of Override
        In order of the seeds' names.

    Raises
    ------
    UserError
        Naming file, line and column of the first thing that does not fit.
    """
    places = {"bank": bank.folder / FOLDER, "home": home.root / FOLDER}
    files = [
        (owner, file)
        for owner, folder in places.items()
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if not file.name.startswith(".")
    ]
    if not files:
        return []
    seeds = replaceable_seeds()
    found: dict[str, Override] = {}
    for owner, file in files:
        seed = seeds.get(file.stem) if file.suffix == ".csv" else None
        if seed is None:
            raise UserError(
                "nothing of that name can be replaced",
                where=str(file),
                found=file.name,
                valid=closest_names(file.name, [f"{name}.csv" for name in seeds]),
                next_step="give the file the name of a seed, or move it elsewhere",
            )
        if seed.name in found:
            raise UserError(
                "two files replace the same settings",
                where=str(file),
                found=f"also {found[seed.name].file}",
                valid="one of them",
                next_step="remove the one that shall not count",
            )
        text = file.read_bytes()
        rows = _read_rows(file, text, seed.columns)
        _validate(seed, file, rows)
        found[seed.name] = Override(seed.name, seed.columns, file, owner, tuple(row for _, row in rows), text)
    return [found[name] for name in sorted(found)]


def write_overrides(connection: duckdb.DuckDBPyConnection, overrides: Iterable[Override]) -> None:
    """Put the bank's own rows where dbt finds them (``bookkeeping.override_<seed>``), and take away those of before."""
    connection.execute("begin")
    connection.execute("create schema if not exists bookkeeping")
    connection.execute("create or replace table bookkeeping.override_file (seed varchar, owner varchar, file varchar)")
    for (table,) in connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'bookkeeping' "
        "and starts_with(table_name, 'override_') and table_name <> 'override_file' order by all"
    ).fetchall():
        connection.execute(f"drop table bookkeeping.{quote_name(table)}")
    for override in overrides:
        table = f"bookkeeping.{quote_name('override_' + override.seed)}"
        columns = ", ".join(f"{quote_name(name)} {kind}" for name, kind in override.columns.items())
        connection.execute(f"create table {table} ({columns})")
        connection.executemany(
            f"insert into {table} values ({', '.join('?' for _ in override.columns)})",
            [[row[name] for name in override.columns] for row in override.rows],
        )
        connection.execute(
            "insert into bookkeeping.override_file values (?, ?, ?)",
            [override.seed, override.owner, f"{FOLDER}/{override.file.name}"],
        )
    connection.execute("commit")


def settings_in_force(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, str]]:
    """Rows of the replaceable seeds as they stand in the warehouse: (setting, value, origin, file).

    The origin is ``shipped`` or ``override``. Names and meanings for readers are left out: they decide nothing.
    """
    files = {
        seed: (owner, file)
        for seed, owner, file in connection.execute(
            "select seed, owner, file from bookkeeping.override_file"
        ).fetchall()
    }
    rows = []
    for seed in replaceable_seeds().values():
        owner, file = files.get(seed.name, (None, f"dbt/seeds/{seed.name}.csv"))
        columns = [name for name in seed.columns if not name.startswith(("name_", "meaning_"))]
        chosen = ", ".join(f"{quote_name(name)}::varchar" for name in columns)
        found = connection.execute(f"select {chosen} from settings.{quote_name(seed.name)} order by all").fetchall()
        for values in found:
            row = dict(zip(columns, values, strict=True))
            key = ".".join((seed.name, *(row.pop(name) for name in seed.rules.key)))
            start = row.get("valid_from")
            said = {name: value for name, value in row.items() if value is not None}
            if seed.has_validity and (start, row["valid_to"]) == ("1900-01-01", str(OPEN_END)):
                del said["valid_from"], said["valid_to"]
            elif seed.has_validity:
                key = f"{key}@{start}"
            text = ", ".join(f"{name} {value}" for name, value in said.items())
            rows.append(
                (key, text, "shipped" if owner is None else "override", file if owner != "home" else f"home: {file}")
            )
    return rows


def _read_rows(file: Path, text: bytes, columns: Mapping[str, str]) -> list[tuple[int, Row]]:
    """Lines of a CSV file as typed rows with their line numbers; an empty field is None."""
    try:
        reader = csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""), strict=True)
        lines = [(reader.line_num, fields) for fields in reader if fields]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            "the file is no CSV in UTF-8", where=str(file), found=str(error), valid="comma, double quotes, UTF-8"
        ) from error
    header = lines[0][1] if lines else []
    absent = [name for name in columns if name not in header]
    unknown = [name for name in header if name not in columns]
    if absent or unknown or len(set(header)) < len(header):
        raise UserError(
            "the columns are not those of the seed",
            where=f"{file}, line 1",
            found="; ".join(
                [*(f"no column {name}" for name in absent), *(f"{name!r} is none of them" for name in unknown)]
            )
            or "a column stands twice",
            valid=", ".join(columns),
        )
    rows = []
    for number, fields in lines[1:]:
        if len(fields) != len(header):
            raise UserError(
                "a row has not as many fields as there are columns",
                where=f"{file}, line {number}",
                found=str(len(fields)),
                valid=str(len(header)),
            )
        row = {}
        for name, value in zip(header, fields, strict=True):
            row[name] = None if not value else _typed(file, number, name, value, columns[name])
        rows.append((number, row))
    return rows


def _typed(file: Path, line: int, column: str, value: str, kind: str) -> Any:
    """A field as a value of the column's type."""
    decimals = _DECIMAL.fullmatch(kind)
    readers: dict[str, tuple[Callable[[str], Any], str]] = {
        "varchar": (str, "a text"),
        "integer": (_whole, "a whole number, for example 3"),
        "boolean": ({"true": True, "false": False}.__getitem__, "true, false"),
        "date": (date.fromisoformat, "a date as 2024-03-31"),
    }
    if decimals:
        digits, places = int(decimals[1]), int(decimals[2])
        read = (lambda text: _decimal(text, digits, places), f"a number with at most {places} decimals")
    else:
        read = readers[kind]
    try:
        return read[0](value)
    except (ValueError, KeyError) as error:
        raise UserError(
            f"a value does not fit its column, {kind}",
            where=f"{file}, line {line}, column {column}",
            found=repr(value),
            valid=read[1],
        ) from error


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ValueError(text)
    return int(text)


def _decimal(text: str, digits: int, places: int) -> Decimal:
    whole, _, fraction = text.lstrip("-").partition(".")
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) or len(fraction) > places or len(whole) > digits - places:
        raise ValueError(text)
    return Decimal(text)


def _validate(seed: Seed, file: Path, rows: Sequence[tuple[int, Row]]) -> None:
    """Raise for the first thing in which rows differ from what the seed is."""

    def refuse(problem: str, line: int | None, found: str, valid: str, column: str | None = None) -> UserError:
        place = [str(file), *([f"line {line}"] if line else []), *([f"column {column}"] if column else [])]
        return UserError(problem, where=", ".join(place), found=found, valid=valid)

    rules = seed.rules
    if not rows:
        raise refuse("there is no row", None, "a header alone", f"rows like those of {SEEDS.name}/{seed.name}.csv")
    required = [name for name in seed.columns if all(row[name] is not None for row in seed.rows)]
    for line, row in rows:
        for name in required:
            if row[name] is None:
                raise refuse("a value is missing", line, "nothing", seed.columns[name], name)
        for name, smallest in (rules.minimum or {}).items():
            if row[name] < smallest:
                raise refuse("a value is too small", line, str(row[name]), f"at least {smallest}", name)
        for name, valid in (rules.values or {}).items():
            if row[name] is not None and row[name] not in valid:
                raise refuse("a value is none of the list", line, repr(row[name]), ", ".join(valid), name)

    def key_of(row: Row) -> str:
        return " / ".join(str(row[name]) for name in rules.key)

    shipped = {key_of(row) for row in seed.rows}
    keys: dict[str, list[tuple[int, Row]]] = {}
    for line, row in rows:
        if rules.fixed_keys and key_of(row) not in shipped:
            raise refuse(
                "no rule asks for this row", line, key_of(row), closest_names(key_of(row), shipped), rules.key[0]
            )
        keys.setdefault(key_of(row), []).append((line, row))
    if rules.fixed_keys and (absent := sorted(shipped - set(keys))):
        raise refuse(
            "a row is missing that rules ask for", None, f"no {absent[0]}", f"a row for each of {len(shipped)}"
        )
    first = min(row["valid_from"] for row in seed.rows) if seed.has_validity else OPEN_END
    for key, group in keys.items():
        if not seed.has_validity:
            if len(group) > 1:
                raise refuse("a row stands twice", group[1][0], key, "one row each")
            continue
        expected = first
        for line, row in sorted(group, key=lambda item: item[1]["valid_from"]):
            start, end = row["valid_from"], row["valid_to"]
            if start >= end:
                raise refuse("an interval is empty", line, f"{start} to {end}", "valid_from before valid_to")
            if start != expected:
                word = "a gap" if start > expected else "an overlap"
                raise refuse(
                    f"the intervals of {key} have {word}", line, f"from {start}", f"from {expected}", "valid_from"
                )
            expected = end
        if expected != OPEN_END:
            raise refuse(f"the intervals of {key} end", group[-1][0], f"{expected}", f"{OPEN_END}", "valid_to")
    if rules.band:
        _validate_bands(seed, [row for _, row in rows], refuse)


def _validate_bands(seed: Seed, rows: Sequence[Row], refuse: Callable[..., UserError]) -> None:
    """Raise where, on some day, the bands leave a gap, overlap, or do not reach as far as the seed's."""
    lower, upper = seed.rules.band
    rank = seed.rules.rank
    lowest = [row[lower] for row in seed.rows]
    highest = [row[upper] for row in seed.rows]
    first = None if None in lowest else min(lowest)
    last = None if None in highest else max(highest)
    for day in sorted({row["valid_from"] for row in rows}):
        bands = [row for row in rows if row["valid_from"] <= day < row["valid_to"]]
        bands.sort(key=lambda row: (row[lower] is not None, row[lower] or 0))
        expected = first
        for position, row in enumerate(bands, start=1):
            name = f"{row[seed.rules.key[0]]} on {day}"
            start, end = row[lower], row[upper]
            if start != expected:
                problem = f"the band {name} does not begin where the one below it ends"
                raise refuse(problem, None, str(start), str(expected), lower)
            if (end is None and position < len(bands)) or (None not in (start, end) and start >= end):
                raise refuse(f"the band {name} is empty or has others above it", None, str(end), "more", upper)
            if rank and row[rank] != position:
                raise refuse(f"the rank of {name} is not its place", None, str(row[rank]), str(position), rank)
            expected = end
        if expected != last:
            raise refuse(f"the highest band on {day} ends elsewhere", None, str(expected), str(last), upper)
