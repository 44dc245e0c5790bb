"""What a mapping says, as immutable values: sources, columns, lookups, selects, tables.

Here are no files and no database: `mapping` reads these from YAML, `landing` and `registration` act on them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

#: Classes of personal data, from none to most protected. A mapping may raise the class of a column, never lower it.
PERSONAL_DATA_CLASSES = ("none", "quasi_identifier", "sensitive", "free_text", "direct_identifier")
#: Columns of these classes leave the row at landing: the value goes to the vault, a keyed token stays.
IDENTIFYING_CLASSES = frozenset({"direct_identifier", "free_text"})

SIMPLE_TYPES = ("BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP")
_DECIMAL = re.compile(r"DECIMAL\((\d{1,2}),(\d{1,2})\)")


def is_column_type(text: str) -> bool:
    """Whether a column type may stand in a mapping or in the contract.

    Examples
    --------
    >>> is_column_type("DECIMAL(18,2)"), is_column_type("DECIMAL(40,2)"), is_column_type("STRUCT")
    (True, False, False)
    """
    decimal = _DECIMAL.fullmatch(text)
    return text in SIMPLE_TYPES or (
        decimal is not None and 1 <= int(decimal[1]) <= 38 and int(decimal[2]) <= int(decimal[1])
    )


_UNITS = {"day": "days", "hour": "hours", "minute": "minutes", "second": "seconds"}
_OVERLAP = re.compile(r"(\d+) (day|hour|minute|second)s?")


def overlap_of(text: str) -> timedelta:
    """Length of an overlap in time.

    Raises
    ------
    ValueError
        If it is not written so.

    Examples
    --------
    >>> overlap_of("2 days")
    datetime.timedelta(days=2)
    """
    match = _OVERLAP.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def quote_name(name: str) -> str:
    """Name as a quoted SQL identifier.

    Examples
    --------
    >>> quote_name('odd"name')
    '"odd""name"'
    """
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Text as a SQL string literal.

    Examples
    --------
    >>> quote_text("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def content_hash(value: object) -> str:
    """First 16 hex digits of the sha256 of a value's canonical JSON (dataclasses become dictionaries).

    A field whose metadata says `is_content: False` does not count.
    """

    def plain(item: object) -> object:
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return {
                field.name: getattr(item, field.name)
                for field in dataclasses.fields(item)
                if field.metadata.get("is_content", True)
            }
        raise TypeError(f"{type(item).__name__} has no canonical form")

    text = json.dumps(value, default=plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class CsvFormat:
    """A delimited text file. `header: false` means: the declared columns, in their order."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    encoding: str = "utf-8"
    header: bool = True
    null_values: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class ParquetFormat:
    """A Parquet file: columns keep the types they were written with."""

    null_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatabaseFormat:
    """Rows of a database: columns have the types its driver gives them."""

    null_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeletesSpec:
    """How a source tells what it deleted, beside a condition on its rows (`deleted_when`).

    `keys` compares the keys of the whole source with what was landed; `query` is a statement that lists deleted keys.
    """

    keys: bool = False
    query: str | None = None


@dataclass(frozen=True)
class ReconciliationSpec:
    """What is counted and summed by day at the source and in what was landed: two columns."""

    day: str
    amount: str


@dataclass(frozen=True)
class DatabaseSpec:
    """Where the rows of a source are asked for.

    `url_from` names an environment variable. Either `table` or `query` is given. `where` is a condition in the source's
    own SQL. `cursor` is the column that grows with each change, `overlap` how far behind its highest value the next
    delivery begins. `limit` makes every delivery a trial.
    """

    url_from: str
    table: str | None = None
    query: str | None = None
    where: str | None = None
    cursor: str | None = None
    overlap: str | None = None
    chunk_rows: int = 1 << 16
    limit: int | None = None
    lock_seconds: int = 60
    deletes: DeletesSpec = DeletesSpec()
    reconcile: ReconciliationSpec | None = None


@dataclass(frozen=True)
class SourceColumn:
    """One column as the source delivers it, and how its text is to be read.

    `minimum` and `maximum` are inclusive and kept as the text of the mapping, to be cast to `type`.
    `null_values` are already merged: the column's own, else those of the format. `delivered_as` are names under which
    the source delivers it in the place of its own: it was renamed there, and keeps its name here.
    """

    name: str
    type: str = "VARCHAR"
    required: bool = False
    format: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    values: tuple[str, ...] = ()
    null_values: tuple[str, ...] = ()
    personal_data: str = "none"
    # What was landed under one name is the same under another, so it decides nothing about what is landed.
    delivered_as: tuple[str, ...] = field(default=(), metadata={"is_content": False})

    @property
    def is_identifying(self) -> bool:
        """Whether the value goes to the vault and only a token is landed."""
        return self.personal_data in IDENTIFYING_CLASSES


@dataclass(frozen=True)
class DerivedColumn:
    """An expression over the typed, clear columns of a source, evaluated at landing before the split.

    `type` None means: whatever type the expression has.
    """

    name: str
    expression: str
    type: str | None = None
    personal_data: str = "none"

    @property
    def is_identifying(self) -> bool:
        """Whether the value goes to the vault and only a token is landed."""
        return self.personal_data in IDENTIFYING_CLASSES


@dataclass(frozen=True)
class SourceSpec:
    """One source table or file: what is landed, as delivered.

    `file` is relative to the DATA folder and may be a glob. `record` names the column that holds the source's
    own id of the customer. `known_on` is an expression over the typed columns, used in an initial load;
    `deleted_when` a condition over them: such a row deletes its key. A source with a `database` has no file.
    """

    name: str
    source_system: str
    file: str
    format: CsvFormat | ParquetFormat | DatabaseFormat
    key: tuple[str, ...]
    columns: tuple[SourceColumn, ...]
    derive: tuple[DerivedColumn, ...] = ()
    record: str | None = None
    known_on: str | None = None
    where: str | None = None
    deleted_when: str | None = None
    database: DatabaseSpec | None = None

    @property
    def all_columns(self) -> tuple[SourceColumn | DerivedColumn, ...]:
        """Declared, then derived columns: what an expression over the landed source may read."""
        return (*self.columns, *self.derive)

    def find(self, name: str) -> SourceColumn | DerivedColumn | None:
        """Declared or derived column of that name, in any case as in SQL; None if there is none."""
        return next((column for column in self.all_columns if column.name.lower() == name.lower()), None)

    def renamed(self, delivered: Iterable[str]) -> dict[str, str]:
        """Delivered name -> own name, of the columns that a delivery has only under another name."""
        there = set(delivered)
        return {
            other: column.name
            for column in self.columns
            if column.name not in there
            for other in [next((name for name in column.delivered_as if name in there), None)]
            if other is not None
        }

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the declared, then of the derived columns."""
        return tuple(column.name for column in self.all_columns)

    @property
    def landing_hash(self) -> str:
        """Hash of everything that decides what is landed from given bytes (not of where the file lies)."""
        decided = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "database"}
        # Left out where it is not used, so that deliveries landed before it existed stay what they are.
        if self.deleted_when is None:
            del decided["deleted_when"]
        return content_hash(decided | {"file": ""})

    @property
    def table_hash(self) -> str:
        """Hash of what decides how landed text becomes typed values at registration."""
        return content_hash(
            [
                self.name,
                self.source_system,
                self.key,
                self.record,
                [(c.name, c.type, c.format, c.null_values, c.personal_data, c.delivered_as) for c in self.columns],
                [(c.name, c.type, c.personal_data) for c in self.derive],
            ]
        )


@dataclass(frozen=True)
class LookupSpec:
    """An equality join to the latest version of another, small source.

    `on` maps a column of the looked-up source to an expression over the driving source (or an earlier lookup).
    """

    name: str
    source: str
    on: tuple[tuple[str, str], ...]
    where: str | None = None


@dataclass(frozen=True)
class CodeTranslation:
    """A value looked up in a code table: `of` is an expression, `otherwise` the contract code for all others."""

    code: str
    of: str
    otherwise: str | None = None


@dataclass(frozen=True)
class SelectSpec:
    """One select that feeds a contract table: from a source, or constant rows (`source` None).

    `columns` maps contract columns to expressions or translations; `rows` holds constants, in the contract's
    own terms, as text (None is NULL).
    """

    position: int
    source: str | None = None
    where: str | None = None
    columns: tuple[tuple[str, str | CodeTranslation], ...] = ()
    lookups: tuple[LookupSpec, ...] = ()
    rows: tuple[tuple[tuple[str, str | None], ...], ...] = ()


@dataclass(frozen=True)
class TableSpec:
    """A contract table and the selects that feed it."""

    name: str
    selects: tuple[SelectSpec, ...]

    @property
    def sources(self) -> frozenset[str]:
        """Names of the sources it reads, directly or by lookup."""
        return frozenset(
            name
            for select in self.selects
            for name in (select.source, *(lookup.source for lookup in select.lookups))
            if name is not None
        )


@dataclass(frozen=True)
class Mapping:
    """A bank's own names and codes, mapped to the contract."""

    bank: str
    path: Path
    sources: Dictionary[str, SourceSpec]
    #: Code table -> source code (None: no code) -> contract code (None: known, and nothing in the contract).
    codes: Dictionary[str, Dictionary[str | None, str | None]]
    tables: Dictionary[str, TableSpec]
    hash: str
    #: Line of each place in the file, by its path in the YAML (`sources.trans.columns.date`).
    lines: Dictionary[str, int] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @property
    def table_hash(self) -> str:
        """Hash of everything that decides what is registered from what was landed."""
        return content_hash(
            [
                self.bank,
                {name: source.table_hash for name, source in self.sources.items()},
                {
                    name: sorted(
                        ([key, value] for key, value in codes.items()), key=lambda pair: (pair[0] is not None, pair[0])
                    )
                    for name, codes in self.codes.items()
                },
                dict(self.tables),
            ]
        )

    def place(self, path: str) -> str:
        """Where a path of the YAML stands: file, line and path, for messages."""
        probe = path
        while probe and probe not in self.lines:
            probe = re.sub(r"(\.[^.\[\]]*|\[\d+\])$", "", probe) if re.search(r"[.\[]", probe) else ""
        line = self.lines.get(probe)
        return f"{self.path}{f', line {line}' if line else ''}: {path}"


def typed_expression(column: SourceColumn, delivered_as_text: bool) -> str:
    r"""SQL expression that reads one landed column as its declared type.

    NULL stands for a null value and for text that is not of the type: landing tells the two apart by testing
    the text itself, registration never meets the second. A number is not rounded: `1.5` is no BIGINT and
    `0.125` no DECIMAL(18,2). Dates follow `column.format` (strptime; `%y` reads 69-99 as 19xx and 00-68 as
    20xx), without one they are ISO 8601.

    Parameters
    ----------
    column
        The column as declared in the mapping.
    delivered_as_text
        Whether the landed column is VARCHAR (always so for CSV; for Parquet, ask the file).

    Returns
    -------
    str
        An expression over the quoted column name, of type `column.type`.

    Examples
    --------
    >>> typed_expression(SourceColumn("day", "DATE", format="%y%m%d", null_values=("",)), True)
    'cast(try_strptime(nullif("day", \'\'), \'%y%m%d\') as DATE)'
    """
    value = quote_name(column.name)
    if not delivered_as_text:
        if column.type == "VARCHAR" and column.is_identifying:
            return value
        read = f"try_cast({value} as {column.type})"
        is_exact = column.type in ("INTEGER", "BIGINT") or column.type.startswith("DECIMAL")
        # A cast alone would round: 0.125 is no DECIMAL(18,2), whatever type it comes in.
        return f"case when {read} = {value} then {read} end" if is_exact else read
    if len(column.null_values) == 1:
        value = f"nullif({value}, {quote_text(column.null_values[0])})"
    elif column.null_values:
        nulls = ", ".join(quote_text(text) for text in column.null_values)
        value = f"case when {value} not in ({nulls}) then {value} end"
    if column.type == "VARCHAR":
        return value
    if column.type in ("DATE", "TIMESTAMP"):
        if column.format is not None:
            return f"cast(try_strptime({value}, {quote_text(column.format)}) as {column.type})"
        # A cast alone would read 'epoch', cut the time off a date and drop an offset from UTC without a word.
        iso = r"\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
        iso += (
            r"([ T]00:00(:00(\.0+)?)?)?\s*"
            if column.type == "DATE"
            else r"([ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?Z?)?\s*"
        )
        return f"case when regexp_full_match({value}, '{iso}') then try_cast({value} as {column.type}) end"
    if column.type in ("INTEGER", "BIGINT"):
        # A cast alone would read '1.5' as 2, '1e3' as 1000 and '1_0' as 10.
        return (
            f"case when regexp_full_match({value}, '\\s*[+-]?[0-9]+\\s*') then try_cast({value} as {column.type}) end"
        )
    decimal = _DECIMAL.fullmatch(column.type)
    if decimal is not None:
        scale = int(decimal[2])
        number = f"\\s*[+-]?([0-9]+(\\.[0-9]{{0,{scale}}}0*)?|\\.[0-9]{{1,{scale}}}0*)\\s*"
        return f"case when regexp_full_match({value}, '{number}') then try_cast({value} as {column.type}) end"
    if column.type == "DOUBLE":
        return f"case when isfinite(try_cast({value} as DOUBLE)) then try_cast({value} as DOUBLE) end"
    return f"try_cast({value} as {column.type})"
