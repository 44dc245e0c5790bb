"""Whether a mapping names only what exists, reads only what it may, and gives the contract what it asks for.

`find_problems` collects everything that is wrong at once; `check_mapping` also says what fits and what will happen.
The rules for personal data stand here: a mapping can raise the class of a column and never lower it.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from warehouse.contract.model import Column, Contract, Table, load_contract
from warehouse.errors import UserError
from warehouse.sources.expressions import (
    Expression,
    ExpressionError,
    parse_expression,
    refused_functions,
    result_type,
)
from warehouse.sources.queries import (
    BANK_TIME_MACRO,
    clear_relation,
    column_class,
    create_bank_time_macro,
    empty_landed_relation,
    landed_column_type,
    record_relation,
    values_with_defaults,
)
from warehouse.sources.specification import (
    IDENTIFYING_CLASSES,
    PERSONAL_DATA_CLASSES,
    CodeTranslation,
    CsvFormat,
    DatabaseSpec,
    LookupSpec,
    Mapping,
    SelectSpec,
    SourceSpec,
    quote_name,
    quote_text,
)
from warehouse.yaml_file import closest_names

if TYPE_CHECKING:
    from warehouse.sources.bank import Bank


@dataclass(frozen=True)
class CheckLine:
    """One finding about a mapping.

    `status` is `fits`, `does` (what it will do), `missing` (allowed, but something stays empty) or `error`.
    """

    status: str
    where: str
    what: str


def find_problems(mapping: Mapping, contract: Contract | None = None) -> list[UserError]:
    """Everything in a mapping that cannot stand, in the order of the file."""
    with duckdb.connect() as connection:
        return _Validation(connection, mapping, contract or load_contract()).run()


def check_mapping(bank: Bank, data: Path | None = None) -> list[CheckLine]:
    """What of a bank's mapping fits, what is missing and what it will do; with `data`, also against its files.

    Parameters
    ----------
    bank
        A loaded bank: what cannot stand in a mapping has been refused by then.
    data
        Folder with the bank's files, or None to look at the mapping alone.
    """
    contract = load_contract()
    mapping = bank.mapping
    lines = [CheckLine("fits", mapping.path.name, f"{len(mapping.sources)} sources, {len(mapping.tables)} tables")]
    for source in mapping.sources.values():
        lines += _source_lines(mapping, source, contract)
        if data is not None and source.database is None:
            lines += _file_lines(source, data)
    for table in contract.tables.values():
        lines += _table_lines(mapping, table)
    for name, codes in mapping.codes.items():
        users = [
            f"{table.name}.{column}" + ("" if value.otherwise is None else f" (others: {value.otherwise})")
            for table in mapping.tables.values()
            for select in table.selects
            for column, value in select.columns
            if isinstance(value, CodeTranslation) and value.code == name
        ]
        used = ", ".join(users) or "nothing"
        lines.append(CheckLine("does", f"codes.{name}", f"translates {len(codes)} codes for {used}"))
    return lines


class _Validation:
    """One pass over a mapping; problems are collected, each check goes on where the next can still say something."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, mapping: Mapping, contract: Contract) -> None:
        self.connection = connection
        self.mapping = mapping
        self.contract = contract
        self.problems: list[UserError] = []
        self.derived_types: dict[str, dict[str, str]] = {}
        # Any time zone will do to bind against.
        create_bank_time_macro(connection, "UTC")
        self.refused = refused_functions(connection)

    def run(self) -> list[UserError]:
        for source in self.mapping.sources.values():
            self.check_source(source)
        if self.problems:
            # What tables would say about sources that are wrong themselves would only repeat it.
            self.check_table_names()
            return self.problems
        self.check_table_names()
        for name, spec in self.mapping.tables.items():
            table = self.contract.tables.get(name)
            if table is not None:
                for select in spec.selects:
                    self.check_select(table, select)
        return self.problems

    def add(
        self,
        path: str,
        problem: str,
        found: str | None = None,
        valid: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.problems.append(
            UserError(problem, where=self.mapping.place(path), found=found, valid=valid, next_step=next_step)
        )

    def check_table_names(self) -> None:
        for name in self.mapping.tables:
            if name not in self.contract.tables:
                self.add(
                    f"tables.{name}",
                    "the contract has no such table",
                    repr(name),
                    closest_names(name, self.contract.tables),
                    "correct the name; docs/source_contract.md lists all tables",
                )
        for table in self.contract.tables.values():
            if table.needed and table.name not in self.mapping.tables:
                self.add(
                    "tables",
                    f"the contract table {table.name} is needed and not mapped",
                    ", ".join(self.mapping.tables) or "no tables",
                    next_step=f"map {', '.join(c.name for c in table.columns if c.required)} at least",
                )

    def check_source(self, source: SourceSpec) -> None:
        path = f"sources.{source.name}"
        for column in source.columns:
            place = f"{path}.columns.{column.name}"
            for label, bound in (("minimum", column.minimum), ("maximum", column.maximum)):
                if bound is not None and not self.casts(bound, column.type):
                    self.add(f"{place}.{label}", f"this is no {column.type}", repr(bound))
            for value in column.values:
                if not self.casts(value, column.type):
                    self.add(f"{place}.values", f"this is no {column.type}", repr(value))
            if column.format is not None:
                try:
                    self.connection.execute(f"select try_strptime('', {quote_text(column.format)})").fetchall()
                except duckdb.Error as error:
                    self.add(f"{place}.format", "this is no date format", repr(column.format), _first_line(error))
        clear = clear_relation(source)
        names = tuple(column.name for column in source.columns)
        self.derived_types[source.name] = {}
        for derived in source.derive:
            place = f"{path}.derive.{derived.name}"
            expression = self.parse(place, derived.expression, {"": names})
            if expression is None:
                continue
            if expression.is_bare:
                copied = source.find(expression.references[0][-1])
                if copied is not None and _rank(derived.personal_data) < _rank(copied.personal_data):
                    self.add(
                        place,
                        f"a bare copy of {copied.name} would lower its class of personal data",
                        derived.personal_data,
                        f"{copied.personal_data}, or an expression that keeps less of it",
                    )
            found = self.type_of(place, expression, clear)
            if found is not None:
                self.derived_types[source.name][derived.name] = "VARCHAR" if found == "NULL" else found
                if derived.type is not None and not _fits(found, derived.type):
                    self.add(place, f"this does not become a {derived.type}", f"an expression of type {found}")
        if source.known_on is not None:
            expression = self.parse(f"{path}.known_on", source.known_on, {"": names})
            found = self.type_of(f"{path}.known_on", expression, clear)
            if found is not None and _family(found) != "time":
                self.add(f"{path}.known_on", "a row is known on a date", f"an expression of type {found}", "DATE")
        for label, condition in (("where", source.where), ("deleted_when", source.deleted_when)):
            if condition is not None:
                self.check_condition(f"{path}.{label}", condition, {"": names}, clear)

    def check_select(self, table: Table, select: SelectSpec) -> None:
        path = f"tables.{table.name}[{select.position}]"
        if select.source is None:
            self.check_rows(path, table, select)
            return
        if select.source not in self.mapping.sources:
            self.add(
                f"{path}.from",
                "no such source is declared",
                repr(select.source),
                closest_names(select.source, self.mapping.sources),
                "correct the name, or declare the source under `sources`",
            )
            return
        scope = {"": self.mapping.sources[select.source].column_names}
        relation = self.landed(select.source)
        for lookup in select.lookups:
            if not self.check_lookup(f"{path}.lookups.{lookup.name}", select, lookup, scope, relation):
                return
            looked_up = self.mapping.sources[lookup.source]
            scope[lookup.name] = looked_up.column_names
            relation = (
                f"(select driver.*, looked_up as {quote_name(lookup.name)} "
                f"from {relation} as driver cross join {self.landed(lookup.source)} as looked_up)"
            )
        if select.where is not None:
            expression = self.check_condition(f"{path}.where", select.where, scope, relation)
            self.refuse_identifying(f"{path}.where", select, expression)
        values = values_with_defaults(self.mapping, table, select)
        for name, value in values.items():
            column = table.column(name)
            if column is None:
                self.add(
                    f"{path}.columns.{name}",
                    f"the contract table {table.name} has no such column",
                    repr(name),
                    closest_names(name, table.column_names),
                )
                continue
            self.check_value(f"{path}.columns.{name}", select, column, value, scope=scope, relation=relation)
        self.check_completeness(path, table, values.keys())
        if self.problems or table.name != "customers":
            return
        if record_relation(self.connection, self.mapping, select) is None:
            self.add(
                f"{path}.columns.source_customer_id",
                "customers are kept apart from their identity by the column their source declares as `record`",
                repr(values.get("source_customer_id")),
                "the bare name of that column",
                f"declare `record:` in sources.{select.source} and use that column here",
            )

    def check_lookup(
        self, path: str, select: SelectSpec, lookup: LookupSpec, scope: dict[str, tuple[str, ...]], relation: str
    ) -> bool:
        before = len(self.problems)
        source = self.mapping.sources.get(lookup.source)
        if source is None:
            self.add(
                f"{path}.source",
                "no such source is declared",
                repr(lookup.source),
                closest_names(lookup.source, self.mapping.sources),
            )
            return False
        if lookup.name.lower() in {name.lower() for name in (*scope[""], *scope)}:
            self.add(path, "this name is taken by a column of the source or by another lookup", repr(lookup.name))
        for column_name, text in lookup.on:
            place = f"{path}.on.{column_name}"
            column = source.find(column_name)
            if column is None:
                self.add(
                    place,
                    f"the source {source.name} has no such column",
                    repr(column_name),
                    closest_names(column_name, source.column_names),
                )
                continue
            expression = self.parse(place, text, scope)
            self.refuse_identifying(place, select, expression)
            if column.is_identifying:
                self.add(place, "a lookup cannot be joined on an identifying column", column.name)
            found = self.type_of(place, expression, relation)
            kind = self.derived_types[source.name].get(column.name) or landed_column_type(column)
            if found is not None and found != "NULL" and _family(found) != _family(kind):
                self.add(place, "the two sides of a join must be of one kind", f"{kind} = {found}", "cast one of them")
        if lookup.where is not None:
            own_scope = {"": source.column_names}
            expression = self.check_condition(f"{path}.where", lookup.where, own_scope, self.landed(source.name))
            alone = SelectSpec(position=0, source=source.name)
            self.refuse_identifying(f"{path}.where", alone, expression)
        return len(self.problems) == before

    def check_value(
        self,
        path: str,
        select: SelectSpec,
        column: Column,
        value: str | CodeTranslation,
        *,
        scope: dict[str, tuple[str, ...]],
        relation: str,
    ) -> None:
        if isinstance(value, CodeTranslation):
            self.check_translation(path, column, value)
            path, text = f"{path}.of", value.of
        else:
            text = value
        expression = self.parse(path, text, scope)
        if expression is None:
            return
        if column.is_identifying:
            self.check_identifying(path, select, column, value, expression)
            return
        self.check_class(path, select, column, expression)
        self.check_declared_class(path, select, column, expression)
        found = self.type_of(path, expression, relation)
        if found is None or isinstance(value, CodeTranslation):
            return
        if column.type == "TIMESTAMP" and found == "DATE":
            self.add(
                path,
                f"{column.name} is a point in time (UTC), a DATE is a whole day of the bank",
                repr(text),
                f"{BANK_TIME_MACRO}({text}): midnight at the bank, as UTC",
            )
        elif not _fits(found, column.type):
            self.add(
                path,
                f"{column.name} is a {column.type} and this does not become one unseen",
                f"an expression of type {found}",
                f"declare the type of the source column, or cast: cast(... as {column.type})",
            )

    def check_translation(self, path: str, column: Column, value: CodeTranslation) -> None:
        codes = self.mapping.codes.get(value.code)
        if codes is None:
            self.add(
                f"{path}.code",
                "no such code table is declared",
                repr(value.code),
                closest_names(value.code, self.mapping.codes),
                "correct the name, or add it under `codes`",
            )
            return
        if column.type != "VARCHAR" or column.is_identifying:
            self.add(path, f"{column.name} is no code: it cannot be translated into", column.type)
            return
        targets: dict[str, str | None] = {
            f"codes.{value.code}.{'~' if code is None else code}": to for code, to in codes.items()
        }
        if value.otherwise is not None:
            targets[f"{path}.otherwise"] = value.otherwise
        for place, to in targets.items():
            if to is not None and column.values and to not in column.values:
                self.add(
                    place, f"{column.name} has no such code in the contract", repr(to), closest_names(to, column.values)
                )

    def check_identifying(
        self, path: str, select: SelectSpec, column: Column, value: str | CodeTranslation, expression: Expression
    ) -> None:
        classes = [column_class(self.mapping, select, reference) for reference in expression.references]
        if isinstance(value, CodeTranslation) or not expression.is_bare or classes[0] not in IDENTIFYING_CLASSES:
            of = f" of class {classes[0]}" if expression.is_bare and classes else ""
            self.add(
                path,
                f"{column.name} is a {column.personal_data}: only the token of an identifying column may stand here",
                f"{expression.text!r}{of}",
                "the bare name of a source or derived column with "
                f"personal_data: {' or '.join(sorted(IDENTIFYING_CLASSES))}",
                "class the source column so; an expression over several columns belongs under `derive` of the source",
            )

    def check_class(self, path: str, select: SelectSpec, column: Column, expression: Expression) -> None:
        for reference in expression.references:
            found = column_class(self.mapping, select, reference)
            if found in IDENTIFYING_CLASSES:
                self.add(
                    path,
                    f"{column.name} is not identifying and may not read {'.'.join(reference)}, which is",
                    found,
                    "a derived column that keeps only what is needed",
                    "add it under `derive` of the source: it is evaluated before the value goes to the vault",
                )
            elif _rank(found) > _rank(column.personal_data):
                self.add(
                    path,
                    f"this would lower the class of personal data of {'.'.join(reference)}",
                    f"{found} into {column.name}, which is {column.personal_data}",
                    "a contract column of at least that class, or a derived column that keeps less of it",
                )

    def check_declared_class(self, path: str, select: SelectSpec, column: Column, expression: Expression) -> None:
        """A customer's own column is to be classed at its source: landing masks by that class, and comes first."""
        source = self.mapping.sources[str(select.source)]
        for reference in expression.references if source.record is not None else ():
            if len(reference) == 1 and _rank(column_class(self.mapping, select, reference)) < _rank(
                column.personal_data
            ):
                self.add(
                    path,
                    f"{reference[0]} feeds {column.name}, which is {column.personal_data}, and is not classed so",
                    column_class(self.mapping, select, reference),
                    f"personal_data: {column.personal_data}",
                    f"add it to {reference[0]} in sources.{source.name}: landing masks its values by it",
                )

    def refuse_identifying(self, path: str, select: SelectSpec, expression: Expression | None) -> None:
        for reference in expression.references if expression else ():
            if column_class(self.mapping, select, reference) in IDENTIFYING_CLASSES:
                self.add(
                    path,
                    f"{'.'.join(reference)} is identifying: at registration only its token is there",
                    repr(expression.text if expression else ""),
                    "a column that is not, or a derived column",
                )

    def check_rows(self, path: str, table: Table, select: SelectSpec) -> None:
        systems = {source.source_system for source in self.mapping.sources.values()}
        if table.belongs_to_customer:
            self.add(f"{path}.rows", f"{table.name} holds customers' data, which is never written into a mapping")
            return
        for number, row in enumerate(select.rows):
            place = f"{path}.rows[{number}]"
            given = dict(row)
            for name, text in row:
                column = table.column(name)
                if column is None:
                    self.add(
                        f"{place}.{name}",
                        f"the contract table {table.name} has no such column",
                        repr(name),
                        closest_names(name, table.column_names),
                    )
                elif text is not None:
                    self.check_constant(f"{place}.{name}", column, text)
            if len(systems) == 1:
                given.setdefault("source_system", next(iter(systems)))
            self.check_completeness(place, table, [name for name, text in given.items() if text is not None])

    def check_constant(self, path: str, column: Column, text: str) -> None:
        if not self.casts(text, column.type):
            self.add(path, f"{column.name} is a {column.type}", repr(text))
        elif column.values and text not in column.values:
            self.add(path, f"{column.name} has no such value", repr(text), closest_names(text, column.values))
        else:
            for bound, sign in ((column.minimum, "<"), (column.maximum, ">")):
                if bound is not None and self.holds(
                    f"cast({quote_text(text)} as {column.type}) {sign} cast({quote_text(bound)} as {column.type})"
                ):
                    valid = f"{column.minimum or '...'} to {column.maximum or '...'}"
                    self.add(path, f"{column.name} is out of range", repr(text), valid)

    def check_completeness(self, path: str, table: Table, given: Iterable[str]) -> None:
        names = set(given)
        missing = [column.name for column in table.columns if column.required and column.name not in names]
        if missing:
            self.add(
                path,
                f"the contract table {table.name} needs more columns than are mapped here",
                ", ".join(sorted(names)) or "none",
                f"also {', '.join(missing)}",
            )

    def check_condition(
        self, path: str, text: str, scope: dict[str, tuple[str, ...]], relation: str
    ) -> Expression | None:
        expression = self.parse(path, text, scope)
        found = self.type_of(path, expression, relation)
        if found is not None and found not in ("BOOLEAN", "NULL"):
            self.add(path, "a condition is true or false", f"an expression of type {found}", "BOOLEAN")
        return expression

    def parse(self, path: str, text: str, scope: dict[str, tuple[str, ...]]) -> Expression | None:
        """Expression whose names all exist and whose functions may stand, or None with the problem noted."""
        try:
            expression = parse_expression(self.connection, text)
        except ExpressionError as error:
            self.add(path, error.problem, repr(text), error.valid)
            return None
        before = len(self.problems)
        for reference in expression.references:
            self.check_reference(path, reference, scope)
        for function in expression.functions:
            if function in self.refused:
                self.add(path, f"the function {function} may not stand here: {self.refused[function]}", repr(text))
        return expression if len(self.problems) == before else None

    def check_reference(self, path: str, reference: tuple[str, ...], scope: dict[str, tuple[str, ...]]) -> None:
        lookups = {name.lower(): columns for name, columns in scope.items() if name}
        own = {name.lower() for name in scope[""]}
        if len(reference) == 1:
            if reference[0].lower() not in own:
                self.add(
                    path,
                    "no such column can be read here",
                    repr(reference[0]),
                    closest_names(reference[0], scope[""]),
                    "text constants stand in single quotes" if reference[0].lower() not in lookups else None,
                )
            return
        columns = lookups.get(reference[0].lower())
        if columns is None:
            self.add(
                path,
                "no such lookup is declared",
                repr(".".join(reference)),
                closest_names(reference[0], [name for name in scope if name]) or "no lookups here: a bare column name",
            )
        elif len(reference) > 2 or reference[1].lower() not in {name.lower() for name in columns}:
            self.add(
                path, "the lookup has no such column", repr(".".join(reference)), closest_names(reference[1], columns)
            )

    def type_of(self, path: str, expression: Expression | None, relation: str) -> str | None:
        if expression is None:
            return None
        try:
            return result_type(self.connection, expression.text, relation)
        except ExpressionError as error:
            self.add(path, error.problem, repr(expression.text))
            return None

    def landed(self, source: str) -> str:
        return empty_landed_relation(self.mapping.sources[source], self.derived_types.get(source))

    def casts(self, text: str, kind: str) -> bool:
        return self.holds(f"try_cast({quote_text(text)} as {kind}) is not null")

    def holds(self, condition: str) -> bool:
        row = self.connection.execute(f"select {condition}").fetchone()
        return bool(row and row[0])


def _source_lines(mapping: Mapping, source: SourceSpec, contract: Contract) -> list[CheckLine]:
    where = f"sources.{source.name}"
    kind = "csv" if isinstance(source.format, CsvFormat) else "parquet"
    users = [table.name for table in mapping.tables.values() if source.name in table.sources]
    known = f"known from `{source.known_on}`" if source.known_on else "without a date of its own: known from the start"
    origin = (
        f"{source.file} ({kind})"
        if source.database is None
        else _database_text(source.database, sees_deletions=source.deleted_when is not None)
    )
    lines = [
        CheckLine(
            "does",
            where,
            f"lands {origin} of {source.source_system}: {len(source.columns)} columns, "
            f"{known}; feeds {', '.join(users) or 'no table yet'}",
        )
    ]
    secret = [column.name for column in source.all_columns if column.is_identifying]
    if secret:
        lines.append(CheckLine("does", where, f"keeps in the vault, and lands as tokens: {', '.join(secret)}"))
    dated = [
        f"{name}.{table.cursor}" for name in users if (table := contract.tables.get(name)) is not None and table.cursor
    ]
    if source.known_on is None and dated:
        what = "no known_on: rows of the initial load count as known since 1900, before what they tell had happened"
        offer = f"say when each was known, as {', '.join(dated)} does"
        lines.append(CheckLine("missing", where, f"{what} (look-ahead in all that is mined); {offer}"))
    return lines


def _database_text(database: DatabaseSpec, *, sees_deletions: bool) -> str:
    """What is asked of a database, in words."""
    parts = [database.table or "a query"]
    parts.append(
        f"from {database.cursor} less {database.overlap} on"
        if database.cursor
        else "whole each time, unchanged rows left out"
    )
    parts += [f"only where {database.where}"] if database.where else []
    parts += [f"at most {database.limit:,} rows, as a trial"] if database.limit else []
    parts += ["keys that are gone are deleted"] if database.deletes.keys else []
    parts += ["deleted keys as listed"] if database.deletes.query else []
    sees_deletions = sees_deletions or database.deletes.keys or database.deletes.query is not None
    parts += [] if sees_deletions else ["rows deleted there stay here (no deletes, no deleted_when)"]
    parts += [f"{database.reconcile.amount} reconciled by day"] if database.reconcile else []
    return f"{', '.join(parts)} ({database.url_from})"


def _table_lines(mapping: Mapping, table: Table) -> list[CheckLine]:
    where = f"tables.{table.name}"
    spec = mapping.tables.get(table.name)
    if spec is None:
        return [CheckLine("missing", where, f"not mapped, stays empty: {table.meaning.en}")]
    given: set[str] = set()
    for select in spec.selects:
        given |= values_with_defaults(mapping, table, select).keys()
        given |= {name for row in select.rows for name, _ in row}
    absent = [name for name in table.column_names if name not in given and name != "source_system"]
    sources = ", ".join(sorted(spec.sources)) or "constant rows"
    count = len(table.columns) - len(absent)
    lines = [CheckLine("fits", where, f"{count} of {len(table.columns)} columns from {sources}")]
    if absent:
        lines.append(CheckLine("missing", where, f"stay empty: {', '.join(absent)}"))
    return lines


def _file_lines(source: SourceSpec, data: Path) -> list[CheckLine]:
    where = f"sources.{source.name}"
    files = sorted(file for file in data.glob(source.file) if file.is_file())
    if not files:
        there = closest_names(source.file, [file.name for file in data.iterdir()] if data.is_dir() else [])
        return [CheckLine("error", where, f"no file {source.file} in {data}; there: {there or 'nothing'}")]
    lines = []
    for file in files:
        try:
            found = _columns_of(source, file)
        except (OSError, UnicodeDecodeError, LookupError, duckdb.Error) as error:
            lines.append(CheckLine("error", where, f"{file.name} cannot be read: {_first_line(error)}"))
            continue
        declared = [column.name for column in source.columns]
        lost = [name for name in declared if name not in found]
        new = [name for name in found if name not in declared]
        if lost:
            near = closest_names(lost[0], found)
            lines.append(CheckLine("error", where, f"{file.name} has no column {', '.join(lost)}; it has: {near}"))
        if new:
            lines.append(
                CheckLine("missing", where, f"{file.name}: not declared, goes to the vault whole: {', '.join(new)}")
            )
        if not lost:
            lines.append(CheckLine("fits", where, f"{file.name} has the {len(declared)} declared columns"))
    return lines


def _columns_of(source: SourceSpec, file: Path) -> list[str]:
    if isinstance(source.format, CsvFormat):
        codecs.lookup(source.format.encoding)
        with file.open(encoding=source.format.encoding, newline="") as handle:
            reader = csv.reader(handle, delimiter=source.format.delimiter, quotechar=source.format.quote or None)
            first = next(reader, [])
        if source.format.header:
            return first
        return [column.name for column in source.columns][: len(first)]
    with duckdb.connect() as connection:
        rows = connection.execute(f"describe select * from read_parquet({quote_text(str(file))})").fetchall()
    return [str(row[0]) for row in rows]


def _rank(personal_data: str) -> int:
    return PERSONAL_DATA_CLASSES.index(personal_data)


def _family(kind: str) -> str:
    if kind == "BOOLEAN":
        return "boolean"
    if kind.startswith(("DATE", "TIMESTAMP")):
        return "time"
    if kind.startswith(("DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "U", "FLOAT", "DOUBLE")):
        return "null" if kind == "UNKNOWN" else "number"
    return {"VARCHAR": "text", "NULL": "null"}.get(kind, "other")


def _fits(found: str, wanted: str) -> bool:
    """Whether a value of one type becomes the other without a reading of text."""
    families = _family(found), _family(wanted)
    return families[0] in ("null", families[1]) or (families[1] == "text" and families[0] != "other")


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
