"""The contract as immutable values, read from `tables/*.yml`, and the raw tables it defines."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from pathlib import Path

from warehouse.sources.specification import (
    IDENTIFYING_CLASSES,
    PERSONAL_DATA_CLASSES,
    content_hash,
    is_column_type,
    quote_name,
)
from warehouse.yaml_file import Node, closest_names, read_yaml

TABLES_FOLDER = Path(__file__).parent / "tables"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Meaning:
    """What a table or column means, in English and Chinese."""

    en: str
    zh: str

    @property
    def both(self) -> str:
        """English and Chinese in one line, as they stand in comments and dictionaries."""
        return f"{self.en} | {self.zh}"


@dataclass(frozen=True)
class Column:
    """One column of a contract table. `minimum` and `maximum` are inclusive, as text of the column's type."""

    name: str
    type: str
    meaning: Meaning
    required: bool = False
    values: tuple[str, ...] = ()
    minimum: str | None = None
    maximum: str | None = None
    personal_data: str = "none"

    @property
    def is_identifying(self) -> bool:
        """Whether the value lives in the vault and raw holds its token."""
        return self.personal_data in IDENTIFYING_CLASSES

    @property
    def raw_name(self) -> str:
        """Name in the raw table: an identifying column is there as its token."""
        return f"{self.name}_token" if self.is_identifying else self.name

    @property
    def raw_type(self) -> str:
        """Type in the raw table."""
        return "VARCHAR" if self.is_identifying else self.type


@dataclass(frozen=True)
class Reference:
    """Columns that hold the key of another table, in the order of that key."""

    columns: tuple[str, ...]
    table: str


@dataclass(frozen=True)
class Table:
    """One contract table.

    `needed` marks the tables without which there is no warehouse. `cursor` is what incremental extraction
    follows. `belongs_to_customer` tables carry `record_id`, the keyed hash of the customer's source id.
    """

    name: str
    meaning: Meaning
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    needed: bool = False
    cursor: str | None = None
    belongs_to_customer: bool = False
    references: tuple[Reference, ...] = ()

    def column(self, name: str) -> Column | None:
        """Column of that name, None if there is none."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def raw_columns(self) -> tuple[Column, ...]:
        """Columns of the raw table: the contract's (identifying ones as tokens), then those of every raw table."""
        tokens = tuple(
            Column(
                column.raw_name, column.raw_type, column.meaning, column.required, personal_data=column.personal_data
            )
            for column in self.columns
        )
        return (*tokens, *((RECORD_ID,) if self.belongs_to_customer else ()), *DELIVERY_COLUMNS)


@dataclass(frozen=True)
class Contract:
    """All contract tables by name, in the order of their files, and the hash of what they say."""

    tables: Dictionary[str, Table]
    hash: str


RECORD_ID = Column(
    "record_id",
    "VARCHAR",
    Meaning("Keyed hash of the customer's source system and source id.", "客户源系统与源编号的带密钥哈希。"),
    personal_data="quasi_identifier",
)

#: What registration adds to every raw table.
DELIVERY_COLUMNS = (
    Column(
        "operation",
        "VARCHAR",
        Meaning("What the delivery does with the key: upsert or delete.", "操作：新增更新或删除。"),
        required=True,
        values=("upsert", "delete"),
    ),
    Column("delivery_id", "VARCHAR", Meaning("Delivery the row came with.", "数据交付批次编号。"), required=True),
    Column(
        "known_on",
        "DATE",
        Meaning("Business date on which the bank knew the row.", "获知日期（业务日期）。"),
        required=True,
    ),
    Column(
        "is_known_on_assumed",
        "BOOLEAN",
        Meaning(
            "Whether known_on is the row's own date in an initial load, not the date of a delivery.",
            "获知日期是否为推定值。",
        ),
        required=True,
    ),
    Column(
        "landed_at",
        "TIMESTAMP",
        Meaning("Clock time of landing, UTC; bookkeeping only.", "落地时间（UTC，仅供记账）。"),
        required=True,
    ),
    Column(
        "source_row",
        "BIGINT",
        Meaning("Number of the physical record in the delivered file.", "源文件记录序号。"),
        required=True,
    ),
    Column(
        "row_hash",
        "VARCHAR",
        Meaning("sha256 of the contract columns, as hex.", "契约字段的 sha256 哈希。"),
        required=True,
    ),
    Column(
        "batch", "BIGINT", Meaning("Registration batch; bookkeeping only.", "登记批次（仅供记账）。"), required=True
    ),
)

#: Not brought by a bank: written by `warehouse.identity` beside the raw tables.
PERSON_RECORDS = Table(
    name="person_records",
    meaning=Meaning(
        "Which person each customer record of a source system stands for.", "源系统客户记录与自然人（客户主体）的对应。"
    ),
    key=("source_system", "source_customer_id", "known_from"),
    columns=(
        Column("record_id", "VARCHAR", RECORD_ID.meaning, personal_data="quasi_identifier"),
        Column(
            "person_id", "VARCHAR", Meaning("The person; never changes.", "客户主体编号，永不改变。"), required=True
        ),
        Column("source_system", "VARCHAR", Meaning("Source system of the record.", "源系统。"), required=True),
        Column(
            "source_customer_id",
            "VARCHAR",
            Meaning("Id of the customer in that system.", "源系统客户编号。"),
            required=True,
        ),
        Column(
            "known_from",
            "DATE",
            Meaning("Day from which the record was known to be this person.", "获知归属该客户主体之日。"),
            required=True,
        ),
        Column(
            "known_to",
            "DATE",
            Meaning("Day from which it was known to be another; 9999-12-31: it is this one.", "归属失效日（不含）。"),
            required=True,
        ),
        Column("evidence", "VARCHAR", Meaning("Why the record is this person.", "归属依据。"), required=True),
    ),
)

#: Written by `warehouse.identity` too.
PERSON_MERGES = Table(
    name="person_merges",
    meaning=Meaning(
        "Persons that turned out to be part of another one: which id went, and into which.",
        "被认定与他人为同一主体的客户：原编号与并入的编号。",
    ),
    key=("merged_person_id",),
    columns=(
        Column("merged_person_id", "VARCHAR", Meaning("The id that went.", "被并入的编号。"), required=True),
        Column("person_id", "VARCHAR", Meaning("The id the person goes by now.", "现用编号。"), required=True),
        Column("known_on", "DATE", Meaning("Day on which that became known.", "获知日期。"), required=True),
        Column("evidence", "VARCHAR", Meaning("Why they are one.", "合并依据。"), required=True),
    ),
)


@functools.cache
def load_contract(folder: Path = TABLES_FOLDER) -> Contract:
    """Contract of all tables in a folder of YAML files.

    Raises
    ------
    UserError
        A file is not of the contract's form, or a key, cursor or reference names what does not exist.
    """
    tables = {}
    for file in sorted(folder.glob("*.yml")):
        table = _table(file, read_yaml(file))
        tables[table.name] = table
    for table in tables.values():
        _check_references(folder / f"{table.name}.yml", table, tables)
    return Contract(tables, content_hash([tables, RECORD_ID, DELIVERY_COLUMNS]))


def raw_ddl(table: Table, schema: str = "raw") -> str:
    """`create table if not exists` statement of a contract table's raw table, empty until something is mapped.

    Without keys and constraints: raw holds every version of a row, and what a row must satisfy is checked when it
    is registered, where the faulty ones can be counted instead of stopping the rest.
    """
    columns = ",\n".join(
        f"    {quote_name(column.name)} {column.type}{' not null' if column in DELIVERY_COLUMNS else ''}"
        for column in table.raw_columns
    )
    return f"create table if not exists {schema}.{quote_name(table.name)} (\n{columns}\n)"


def _table(file: Path, root: Node) -> Table:
    fields = root.fields(["table", "meaning", "key", "columns"], ["needed", "cursor", "belongs_to", "references"])
    name = fields["table"].as_text()
    if name != file.stem or not _NAME.fullmatch(name):
        raise fields["table"].error("a table is named like its file", valid=file.stem)
    columns = tuple(_column(column, node) for column, node in fields["columns"].as_named())
    names = [column.name for column in columns]
    key = tuple(node.as_one_of(names) for node in fields["key"].as_list())
    for column in columns:
        if column.name in key and not column.required:
            raise fields["key"].error(f"the key column {column.name} must be required", next_step="required: true")
    if "belongs_to" in fields:
        fields["belongs_to"].as_one_of(["customer"])
        if "source_customer_id" not in names:
            raise fields["belongs_to"].error("a table of a customer needs the column source_customer_id")
    references = []
    for node in fields["references"].as_list() if "references" in fields else ():
        parts = node.fields(["columns", "table"])
        own = tuple(column.as_one_of(names) for column in parts["columns"].as_list())
        references.append(Reference(own, parts["table"].as_text()))
    return Table(
        name=name,
        meaning=_meaning(fields["meaning"]),
        key=key,
        columns=columns,
        needed="needed" in fields and fields["needed"].as_boolean(),
        cursor=fields["cursor"].as_one_of(names) if "cursor" in fields else None,
        belongs_to_customer="belongs_to" in fields,
        references=tuple(references),
    )


def _column(name: str, node: Node) -> Column:
    fields = node.fields(["type", "en", "zh"], ["required", "values", "minimum", "maximum", "personal_data"])
    if not _NAME.fullmatch(name):
        raise node.error("a column name is lower-case ASCII letters, digits and underscores")
    column_type = fields["type"].as_text()
    if not is_column_type(column_type):
        raise fields["type"].error("no such type", valid="VARCHAR, DATE, DECIMAL(18,2), ...")
    return Column(
        name=name,
        type=column_type,
        meaning=_meaning(node, fields),
        required="required" in fields and fields["required"].as_boolean(),
        values=fields["values"].as_texts() if "values" in fields else (),
        minimum=fields["minimum"].as_text() if "minimum" in fields else None,
        maximum=fields["maximum"].as_text() if "maximum" in fields else None,
        personal_data=(
            fields["personal_data"].as_one_of(PERSONAL_DATA_CLASSES) if "personal_data" in fields else "none"
        ),
    )


def _meaning(node: Node, fields: dict[str, Node] | None = None) -> Meaning:
    texts = fields or node.fields(["en", "zh"])
    english, chinese = texts["en"].as_text(), texts["zh"].as_text()
    if not english.endswith(".") or not chinese.endswith("。") or "|" in english + chinese:
        raise node.error(
            "a meaning is a sentence in English and one in Chinese, without the separator",
            valid="en ends with '.', zh with '。', neither holds '|'",
        )
    return Meaning(english, chinese)


def _check_references(file: Path, table: Table, tables: dict[str, Table]) -> None:
    root = read_yaml(file)
    for position, reference in enumerate(table.references):
        node = dict(root.as_named())["references"].as_list()[position]
        target = tables.get(reference.table)
        if target is None:
            raise node.error("no such contract table", valid=closest_names(reference.table, tables))
        if len(target.key) != len(reference.columns):
            raise node.error("a reference gives the whole key of its table", valid=", ".join(target.key))
