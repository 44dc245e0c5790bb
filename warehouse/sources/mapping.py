"""A bank's mapping file, read into the values of `specification`: what is landed, how it becomes the contract."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

from warehouse.errors import UserError
from warehouse.sources.specification import (
    IDENTIFYING_CLASSES,
    PERSONAL_DATA_CLASSES,
    SIMPLE_TYPES,
    CodeTranslation,
    CsvFormat,
    DatabaseFormat,
    DatabaseSpec,
    DeletesSpec,
    DerivedColumn,
    LookupSpec,
    Mapping,
    ParquetFormat,
    ReconciliationSpec,
    SelectSpec,
    SourceColumn,
    SourceSpec,
    TableSpec,
    is_column_type,
    overlap_of,
    quote_name,
    quote_text,
    typed_expression,
)
from warehouse.sources.validation import find_problems
from warehouse.yaml_file import Node, closest_names, read_yaml

__all__ = [
    "IDENTIFYING_CLASSES",
    "PERSONAL_DATA_CLASSES",
    "CodeTranslation",
    "CsvFormat",
    "DerivedColumn",
    "LookupSpec",
    "Mapping",
    "MappingError",
    "ParquetFormat",
    "SelectSpec",
    "SourceColumn",
    "SourceSpec",
    "TableSpec",
    "load_mapping",
    "quote_name",
    "quote_text",
    "shipped_banks",
    "typed_expression",
]

SHIPPED_BANKS = Path(__file__).parent.parent / "banks"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
#: What was found to fit in this process, by file and content: a run asks in several places, and checking takes 0.3 s.
_FITTING: set[tuple[Path, str]] = set()
#: Names that landing adds to every row.
_RESERVED_COLUMNS = ("record_id",)


class MappingError(UserError):
    """Everything found in a mapping that does not fit, each with its place; `problems` holds them one by one."""

    def __init__(self, file: Path, problems: list[UserError]) -> None:
        self.problems = problems
        listed = "\n".join(str(problem).replace("\n", "\n  ") for problem in problems)
        super().__init__(
            f"{len(problems)} things in {file} do not fit:\n{listed}",
            next_step=f"correct them, then run: mainbank sources check {file}",
        )


def shipped_banks() -> list[str]:
    """Names of the banks whose mapping comes with the project."""
    return sorted(file.parent.name for file in SHIPPED_BANKS.glob("*/mapping.yml"))


def find_mapping_file(source: str | Path) -> Path:
    """Mapping file that a shipped name, a folder or a path stands for.

    Raises
    ------
    UserError
        There is no such file.
    """
    path = Path(source)
    shipped = SHIPPED_BANKS / str(source) / "mapping.yml"
    if _NAME.fullmatch(str(source)) and shipped.is_file():
        return shipped
    candidate = path / "mapping.yml" if path.is_dir() else path
    if not candidate.is_file():
        raise UserError(
            "there is no such bank",
            where=f"SOURCE={source}",
            found="no shipped name, and no file at that path",
            valid=f"a shipped name ({closest_names(str(source), shipped_banks())}), a folder with mapping.yml and "
            "bank.yml, or the path of a mapping file",
            next_step="correct SOURCE",
        )
    return candidate.resolve()


def load_mapping(source: str | Path) -> Mapping:
    """Mapping from a shipped name, a folder or a path, checked against the contract.

    Parameters
    ----------
    source
        For example `berka`, `/etc/bank` or `/etc/bank/mapping.yml`.

    Raises
    ------
    UserError
        The file is absent or not of the form of a mapping.
    MappingError
        It names what does not exist, or breaks a rule; all such places are listed.
    """
    mapping = read_mapping(find_mapping_file(source))
    content = (mapping.path, mapping.hash)
    if content in _FITTING:
        return mapping
    problems = find_problems(mapping)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise MappingError(mapping.path, problems)
    _FITTING.add(content)
    return mapping


def _content_hash(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise UserError("this file cannot be read", where=str(file), found=error.strerror) from error


def read_mapping(file: Path) -> Mapping:
    """Mapping as the file states it, its form checked, but not whether what it names exists."""
    root = read_yaml(file)
    if any(key == "like" for key, _ in root.entries or ()):
        # Another bank on the same systems: its files read in the same way, everything it delivers kept apart.
        fields = root.fields(["bank", "like"])
        like = (file.parent / fields["like"].as_text()).resolve()
        if not like.is_file() or "like" in dict(read_yaml(like).entries or ()):
            raise fields["like"].error("there is no such mapping", valid="the path of another whole mapping, from here")
        return dataclasses.replace(read_mapping(like), bank=_plain_name(fields["bank"]))
    fields = root.fields(["bank", "sources", "tables"], ["codes"])
    sources = {name: _source(name, node) for name, node in fields["sources"].as_named()}
    codes: dict[str, dict[str | None, str | None]] = {
        name: {code: None if value.is_null else value.as_text() for code, value in node.as_entries()}
        for name, node in (fields["codes"].as_named() if "codes" in fields else ())
    }
    tables = {
        name: TableSpec(name, tuple(_select(i, select) for i, select in enumerate(node.as_list())))
        for name, node in fields["tables"].as_named()
    }
    return Mapping(
        bank=_plain_name(fields["bank"]),
        path=file,
        sources=sources,
        codes=codes,
        tables=tables,
        hash=_content_hash(file),
        lines={node.path: node.line for node in root.walk()},
    )


def _plain_name(node: Node, name: str | None = None) -> str:
    text = node.as_text() if name is None else name
    if not _NAME.fullmatch(text):
        raise node.error(
            f"{text!r} cannot be a name here: it names folders and SQL relations",
            valid="ASCII letters, digits and underscores, a letter first",
        )
    return text


def _source(name: str, node: Node) -> SourceSpec:
    _plain_name(node, name)
    optional = ["derive", "record", "known_on", "where", "deleted_when"]
    from_database = any(key == "database" for key, _ in node.entries or ())
    origin = ["database"] if from_database else ["file", "format"]
    fields = node.fields(["source_system", *origin, "key", "columns"], optional)
    source_format = DatabaseFormat() if from_database else _format(fields["format"])
    columns = tuple(_source_column(column, child, source_format) for column, child in fields["columns"].as_named())
    derive = tuple(
        _derived_column(column, child) for column, child in (fields["derive"].as_named() if "derive" in fields else ())
    )
    seen: dict[str, str] = {}
    both: tuple[SourceColumn | DerivedColumn, ...] = (*columns, *derive)
    for column in both:
        place = fields["columns"] if isinstance(column, SourceColumn) else fields["derive"]
        if column.name.startswith("_") or column.name.lower() in _RESERVED_COLUMNS:
            raise place.error(
                f"the column name {column.name!r} is taken by landing",
                valid="a name that does not begin with an underscore and is not record_id",
                next_step="deliver the column under another name",
            )
        if column.name.lower() in seen:
            raise place.error(
                f"the columns {seen[column.name.lower()]!r} and {column.name!r} cannot be told apart",
                valid="names that differ in more than upper and lower case",
            )
        seen[column.name.lower()] = column.name
    for column in columns:
        for other in column.delivered_as:
            if other.lower() in seen:
                raise fields["columns"].error(
                    f"{column.name!r} cannot be delivered as {other!r}: {seen[other.lower()]!r} stands for that name",
                    valid="a name that no other column has or is delivered as",
                )
            seen[other.lower()] = column.name
    names = [column.name for column in both]
    key = tuple(child.as_one_of(names) for child in fields["key"].as_list())
    if not key:
        raise fields["key"].error("a source needs a key", valid=", ".join(names))
    return SourceSpec(
        name=name,
        source_system=_plain_name(fields["source_system"]),
        file="" if from_database else fields["file"].as_text(),
        format=source_format,
        key=key,
        columns=columns,
        derive=derive,
        record=fields["record"].as_one_of(names) if "record" in fields else None,
        known_on=fields["known_on"].as_text() if "known_on" in fields else None,
        where=fields["where"].as_text() if "where" in fields else None,
        deleted_when=fields["deleted_when"].as_text() if "deleted_when" in fields else None,
        database=_database(fields["database"], key, columns) if from_database else None,
    )


def _database(node: Node, key: tuple[str, ...], columns: tuple[SourceColumn, ...]) -> DatabaseSpec:
    fields = node.fields(
        ["url_from"],
        ["table", "query", "where", "cursor", "overlap", "chunk_rows", "limit", "lock_seconds", "deletes", "reconcile"],
    )
    variable = fields["url_from"].as_text()
    if not _VARIABLE.fullmatch(variable):
        # What stands there may be the address itself, with its password: it is not repeated.
        raise UserError(
            "url_from is the name of an environment variable that holds the address of the database",
            where=fields["url_from"].where,
            found="something else (not shown: it may be an address with a password)",
            valid="a name in capitals, for example CORE_DATABASE_URL",
            next_step="set that variable where the run is started; an address never stands in a mapping",
        )
    if ("table" in fields) == ("query" in fields):
        raise node.error("a database source reads a table or a query", valid="one of table, query")
    if ("cursor" in fields) != ("overlap" in fields):
        raise node.error(
            "a cursor and its overlap go together",
            valid='both, for example cursor: updated_at, overlap: 2 days (overlap: "0" for a number that only grows)',
        )
    by_name = {column.name: column for column in columns}
    if "cursor" in fields:
        cursor = by_name[fields["cursor"].as_one_of(list(by_name))]
        is_time = cursor.type in ("DATE", "TIMESTAMP")
        if cursor.is_identifying or not (is_time or cursor.type in ("INTEGER", "BIGINT")):
            raise fields["cursor"].error(
                f"a {cursor.type} of class {cursor.personal_data} cannot be a cursor",
                valid="a column of type DATE, TIMESTAMP, INTEGER or BIGINT that is not identifying",
            )
        overlap = fields["overlap"].as_text()
        try:
            _ = overlap_of(overlap) if is_time else int(overlap)
        except ValueError as error:
            raise fields["overlap"].error(
                "this is no overlap", valid="for example 2 days, 90 minutes; of a number: a number"
            ) from error
    deletes = DeletesSpec()
    if "deletes" in fields:
        found = fields["deletes"].fields([], ["keys", "query"])
        if len(found) != 1:
            raise fields["deletes"].error("deleted rows are found in one way", valid="keys: true, or query: select ...")
        deletes = DeletesSpec(
            "keys" in found and found["keys"].as_boolean(), found["query"].as_text() if "query" in found else None
        )
        identifying = [name for name in key if name in by_name and by_name[name].is_identifying]
        derived = [name for name in key if name not in by_name]
        if identifying or derived:
            raise fields["deletes"].error(
                f"keys that were deleted cannot be told: {', '.join(identifying or derived)} is identifying or derived",
                valid="a key of declared columns that are not identifying",
            )
    reconcile = None
    if "reconcile" in fields:
        asked = fields["reconcile"].fields(["day", "amount"])
        reconcile = ReconciliationSpec(asked["day"].as_one_of(list(by_name)), asked["amount"].as_one_of(list(by_name)))
        if by_name[reconcile.day].type not in ("DATE", "TIMESTAMP"):
            raise asked["day"].error("a day is a DATE or TIMESTAMP", valid="a column of that type")
        if not by_name[reconcile.amount].type.startswith(("DECIMAL", "BIGINT", "INTEGER")):
            raise asked["amount"].error("an amount is a DECIMAL or a whole number", valid="a column of that type")

    def text(name: str) -> str | None:
        return fields[name].as_text() if name in fields else None

    default = DatabaseSpec(variable)
    return DatabaseSpec(
        url_from=variable,
        table=text("table"),
        query=text("query"),
        where=text("where"),
        cursor=text("cursor"),
        overlap=text("overlap"),
        chunk_rows=fields["chunk_rows"].as_integer(minimum=1) if "chunk_rows" in fields else default.chunk_rows,
        limit=fields["limit"].as_integer(minimum=1) if "limit" in fields else None,
        lock_seconds=fields["lock_seconds"].as_integer(minimum=1) if "lock_seconds" in fields else default.lock_seconds,
        deletes=deletes,
        reconcile=reconcile,
    )


def _format(node: Node) -> CsvFormat | ParquetFormat:
    kinds = {
        "csv": ["delimiter", "quote", "escape", "encoding", "header", "null_values"],
        "parquet": ["null_values"],
    }
    kind = dict(node.as_named()).get("type")
    if kind is None:
        raise node.error("a format needs its type", valid=", ".join(kinds))
    fields = node.fields(["type"], kinds[kind.as_one_of(kinds)])
    null_values = fields["null_values"].as_texts() if "null_values" in fields else None
    if kind.as_text() == "parquet":
        return ParquetFormat(null_values or ())
    default = CsvFormat()
    quote = fields["quote"].as_text() if "quote" in fields else default.quote
    text_format = CsvFormat(
        delimiter=fields["delimiter"].as_text() if "delimiter" in fields else default.delimiter,
        quote=quote,
        escape=fields["escape"].as_text() if "escape" in fields else quote,
        encoding=fields["encoding"].as_text() if "encoding" in fields else default.encoding,
        header=fields["header"].as_boolean() if "header" in fields else default.header,
        null_values=default.null_values if null_values is None else null_values,
    )
    if text_format.delimiter in ("", "\n", "\r", text_format.quote):
        raise fields["delimiter"].error("this cannot delimit columns", valid='for example "," or ";" or "\\t"')
    return text_format


def _source_column(name: str, node: Node, source_format: CsvFormat | ParquetFormat | DatabaseFormat) -> SourceColumn:
    optional = [
        "type",
        "required",
        "format",
        "minimum",
        "maximum",
        "values",
        "null_values",
        "personal_data",
        "delivered_as",
    ]
    # `name: {}` and `name:` alone declare a text column.
    fields = {} if node.is_null else node.fields([], optional)
    column_type = _type(fields["type"]) if "type" in fields else "VARCHAR"
    if "format" in fields and column_type not in ("DATE", "TIMESTAMP"):
        raise fields["format"].error(f"a {column_type} has no format", valid="format stands with DATE and TIMESTAMP")
    return SourceColumn(
        name=name,
        type=column_type,
        required="required" in fields and fields["required"].as_boolean(),
        format=fields["format"].as_text() if "format" in fields else None,
        minimum=fields["minimum"].as_text() if "minimum" in fields else None,
        maximum=fields["maximum"].as_text() if "maximum" in fields else None,
        values=fields["values"].as_texts() if "values" in fields else (),
        null_values=fields["null_values"].as_texts() if "null_values" in fields else source_format.null_values,
        personal_data=_class(fields.get("personal_data")),
        delivered_as=fields["delivered_as"].as_texts() if "delivered_as" in fields else (),
    )


def _derived_column(name: str, node: Node) -> DerivedColumn:
    if node.text is not None:
        return DerivedColumn(name, node.text)
    fields = node.fields(["expression"], ["type", "personal_data"])
    return DerivedColumn(
        name,
        fields["expression"].as_text(),
        _type(fields["type"]) if "type" in fields else None,
        _class(fields.get("personal_data")),
    )


def _class(node: Node | None) -> str:
    return "none" if node is None else node.as_one_of(PERSONAL_DATA_CLASSES)


def _type(node: Node) -> str:
    text = node.as_text().upper().replace(" ", "")
    if not is_column_type(text):
        raise node.error("no such column type", valid=", ".join((*SIMPLE_TYPES, "DECIMAL(precision,scale)")))
    return text


def _select(position: int, node: Node) -> SelectSpec:
    if "rows" in dict(node.as_named()):
        fields = node.fields(["rows"])
        return SelectSpec(
            position,
            rows=tuple(
                tuple((name, None if value.is_null else value.as_text()) for name, value in row.as_named())
                for row in fields["rows"].as_list()
            ),
        )
    fields = node.fields(["from", "columns"], ["where", "lookups"])
    lookups = tuple(
        _lookup(name, child) for name, child in (fields["lookups"].as_named() if "lookups" in fields else ())
    )
    return SelectSpec(
        position=position,
        source=fields["from"].as_text(),
        where=fields["where"].as_text() if "where" in fields else None,
        columns=tuple((name, _value(child)) for name, child in fields["columns"].as_named()),
        lookups=lookups,
    )


def _lookup(name: str, node: Node) -> LookupSpec:
    _plain_name(node, name)
    fields = node.fields(["source", "on"], ["where"])
    on = tuple((column, value.as_text()) for column, value in fields["on"].as_named())
    if not on:
        raise fields["on"].error("a lookup is joined on at least one column", valid="{its column: an expression}")
    return LookupSpec(name, fields["source"].as_text(), on, fields["where"].as_text() if "where" in fields else None)


def _value(node: Node) -> str | CodeTranslation:
    if node.text is not None:
        return node.text
    fields = node.fields(["code", "of"], ["otherwise"])
    return CodeTranslation(
        fields["code"].as_text(),
        fields["of"].as_text(),
        fields["otherwise"].as_text() if "otherwise" in fields else None,
    )
