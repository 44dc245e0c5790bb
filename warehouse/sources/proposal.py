"""A mapping proposed from a database's own schema: a beginning, to be read and corrected by who knows the source."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from warehouse.contract.model import Contract, Table, load_contract
from warehouse.errors import UserError
from warehouse.sources.database import Address, Session
from warehouse.yaml_file import closest_names

_INFORMATION_SCHEMA = """
select c.table_schema as s, c.table_name as t, c.column_name as c, c.data_type as k,
    c.numeric_precision as p, c.numeric_scale as d, c.is_nullable as n, c.ordinal_position as o,
    case when {is_key} then 1 else 0 end as y
from information_schema.columns c
where lower(c.table_schema) not in ('information_schema', 'pg_catalog', 'mysql', 'performance_schema', 'sys')
"""
_IS_KEY = """exists (
    select 1 from information_schema.key_column_usage u
    inner join information_schema.table_constraints x
        on x.constraint_name = u.constraint_name and x.table_schema = u.table_schema and x.table_name = u.table_name
    where x.constraint_type = 'PRIMARY KEY' and u.table_schema = c.table_schema
        and u.table_name = c.table_name and u.column_name = c.column_name
)"""
#: The standard's views of constraints show them only to who may change the table: who may only read sees none.
_IS_KEY_FOR_READERS = {
    "postgresql": """exists (
    select 1 from pg_catalog.pg_constraint x
    inner join pg_catalog.pg_class r on r.oid = x.conrelid
    inner join pg_catalog.pg_namespace s on s.oid = r.relnamespace
    inner join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum = any(x.conkey)
    where x.contype = 'p' and s.nspname = c.table_schema and r.relname = c.table_name and a.attname = c.column_name
)""",
    "mysql": "c.column_key = 'PRI'",
}
_SQLITE = """
select 'main' as s, m.name as t, p.name as c, p.type as k, null as p, null as d,
    case when p."notnull" = 1 then 'NO' else 'YES' end as n, p.cid as o, p.pk as y
from sqlite_master m, pragma_table_info(m.name) p
where m.type = 'table' and m.name not like 'sqlite%'
"""
_ORACLE = """
select c.owner as "s", c.table_name as "t", c.column_name as "c", c.data_type as "k", c.data_precision as "p",
    c.data_scale as "d", case when c.nullable = 'N' then 'NO' else 'YES' end as "n", c.column_id as "o",
    case when exists (
        select 1 from all_constraints x inner join all_cons_columns u
            on u.owner = x.owner and u.constraint_name = x.constraint_name
        where x.constraint_type = 'P' and u.owner = c.owner and u.table_name = c.table_name
            and u.column_name = c.column_name
    ) then 1 else 0 end as "y"
from all_tab_columns c
where c.owner not in ('SYS', 'SYSTEM', 'XDB', 'MDSYS', 'CTXSYS', 'WMSYS')
"""
_CURSORS = ("updated_at", "changed_at", "modified_at", "last_update", "last_modified", "update_time", "posted_at")
#: Times of the contract that are no cursor: they may lie ahead, and rows are added behind the highest.
_NO_CURSORS = ("due_on", "valid_from")
#: Times of the contract that name a period by its first day: what it tells is known at its end.
_KNOWN_AT_MONTH_END = ("month",)
_UNKNOWN_KEY = "TODO"
_IDENTIFYING = re.compile(
    r"(^|_)(name|surname|full_?name|first_?name|last_?name|id_?(number|no|card)|passport|ssn|mobile|phone|tel|telephone"
    r"|e?_?mail|address|street|iban|card_?(number|no)|counterparty_account)($|_)",
    re.IGNORECASE,
)
_FREE_TEXT = re.compile(r"(^|_)(note|notes|memo|remark|remarks|comment|comments|text|description)($|_)", re.IGNORECASE)
_QUASI = re.compile(r"(^|_)(born|birth|birthday|gender|sex|city|zip|postcode|occupation|education)", re.IGNORECASE)


@dataclass(frozen=True)
class ProposedColumn:
    """A column of a source, its type in the mapping's terms, and whether it is part of the primary key."""

    name: str
    type: str
    is_key: bool
    is_required: bool


def propose(address: Address, variable: str, schemas: Sequence[str] = (), *, bank: str = "my_bank") -> str:
    """Text of a mapping for the tables of a database.

    Parameters
    ----------
    address
        The database.
    variable
        Environment variable that will hold its address.
    schemas
        Only these schemas; all by default.
    bank
        Name of the bank, which names its folders in a home.

    Raises
    ------
    UserError
        If it cannot be reached, or holds no tables.
    """
    with Session(address) as session:
        found = session.table(_statement(address.kind))
    tables = _tables(found, schemas)
    if not tables:
        raise UserError(
            "the database shows no tables",
            where=address.variable,
            found=f"schemas {', '.join(sorted(set(map(str, found.column(0).to_pylist())))) or 'none'}",
            valid="tables that this user may read" + (f", in {', '.join(schemas)}" if schemas else ""),
        )
    contract = load_contract()
    names = [table for _, table in tables]
    sources = []
    fed: dict[str, list[str]] = {}
    for (schema, name), columns in sorted(tables.items()):
        source = _plain(name if names.count(name) == 1 else f"{schema}_{name}")
        full = name if address.kind == "sqlite" else f"{schema}.{name}"
        guessed = _contract_table(name, contract)
        system = schema if address.kind != "sqlite" else "core"
        sources.append(_source_text(source, system, full, variable, columns=columns, feeds=guessed))
        if guessed is not None:
            fed.setdefault(guessed.name, []).append(_select_text(source, guessed, columns))
    missing = [table.name for table in contract.tables.values() if table.needed and table.name not in fed]
    head = (
        "# Proposed from the schema of the source. Read every line: keys, cursors and above all personal_data\n"
        "# are guesses by name. Take out what the warehouse does not need. Then: mainbank sources check mapping.yml\n"
        "# Times are taken as UTC. Where a column holds the bank's local time, write bank_time_to_utc(column) below\n"
        "# tables; where it holds UTC, known_on is the bank's day: in Shanghai cast(column + to_hours(8) as date).\n"
    )
    lines = [f"{head}bank: {bank}\n\nsources:", *sources, "\ntables:"]
    lines += [f"  {table}:\n{''.join(selects)}" for table, selects in fed.items()]
    lines += [f"  # {name} is needed: no table of a name like it was found" for name in missing]
    return "\n".join(lines) + "\n"


def proposed_name(folder: Path) -> str:
    """Name of a bank after the folder it is written into, as a mapping may state it.

    Examples
    --------
    >>> proposed_name(Path("banks/My-Bank 2"))
    'my_bank_2'
    """
    return _plain(re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_") or "my_bank")


def propose_settings(bank: str) -> str:
    """Text of `bank.yml` for a bank. What nothing tells is TODO, which is refused until somebody states it."""
    return (
        "# Read every line: the name readers see, base currency (ISO 4217), time zone (IANA), and the source system\n"
        "# whose deliveries say how far the bank is known. Nothing here was read from the source.\n"
        f'name: {{en: "{bank}", zh: "{bank}"}}\n'
        "environment: production\n"
        "base_currency: TODO\n"
        "time_zone: TODO\n"
        "as_of: {rule: last_complete_delivery, source_system: TODO}\n"
        "quarantine: {maximum_share: 0.01}\n"
        "release: {kept: 14}\n"
        "resources: {memory_limit: 4GB, threads: 2}\n"
    )


def column_proposal(name: str, type_: str, personal_data: str | None = None) -> str:
    """Line that declares a column; its class is guessed by name where it is not given.

    Examples
    --------
    >>> column_proposal("mobile_phone", "VARCHAR")
    'mobile_phone: {personal_data: direct_identifier}'
    """
    parts = [] if type_ == "VARCHAR" else [f'type: "{type_}"' if "(" in type_ else f"type: {type_}"]
    class_ = personal_data or (
        "direct_identifier"
        if _IDENTIFYING.search(name) and type_ == "VARCHAR"
        else "free_text"
        if _FREE_TEXT.search(name) and type_ == "VARCHAR"
        else "quasi_identifier"
        if _QUASI.search(name)
        else None
    )
    parts += [f"personal_data: {class_}"] if class_ not in (None, "none") else []
    return f"{name}: {{{', '.join(parts)}}}"


def _statement(kind: str) -> str:
    """What asks a kind of server for its columns."""
    own = {"sqlite": _SQLITE, "oracle": _ORACLE}
    return own.get(kind) or _INFORMATION_SCHEMA.format(is_key=_IS_KEY_FOR_READERS.get(kind, _IS_KEY))


def _tables(found: pa.Table, schemas: Sequence[str]) -> dict[tuple[str, str], list[ProposedColumn]]:
    wanted = {schema.lower() for schema in schemas}
    tables: dict[tuple[str, str], list[ProposedColumn]] = {}
    rows = [dict(zip("stckpdnoy", row.values(), strict=True)) for row in found.to_pylist()]
    for row in sorted(rows, key=lambda row: (str(row["s"]), str(row["t"]), int(row["o"]))):
        if wanted and str(row["s"]).lower() not in wanted:
            continue
        column = ProposedColumn(
            str(row["c"]), _type(str(row["k"]), row["p"], row["d"]), int(row["y"]) > 0, row["n"] == "NO"
        )
        tables.setdefault((str(row["s"]), str(row["t"])), []).append(column)
    return tables


def _type(kind: str, precision: object, scale: object) -> str:
    text = kind.lower()
    stated = re.search(r"\((\d+)(?:\s*,\s*(\d+))?\)", text)
    if any(word in text for word in ("numeric", "decimal", "number", "money")):
        digits = int(str(precision)) if precision is not None else int(stated[1]) if stated else 38
        places = int(str(scale)) if scale is not None else int(stated[2] or 0) if stated else 10
        return f"DECIMAL({min(digits, 38)},{min(places, digits, 38)})" if places else "BIGINT"
    for words, type_ in (
        (("bool", "bit"), "BOOLEAN"),
        (("timestamp", "datetime"), "TIMESTAMP"),
        (("date",), "DATE"),
        (("int", "serial"), "BIGINT"),
        (("double", "float", "real"), "DOUBLE"),
    ):
        if any(word in text for word in words):
            return type_
    return "VARCHAR"


def _plain(name: str) -> str:
    text = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return text if text[:1].isalpha() else f"t_{text}"


def _contract_table(name: str, contract: Contract) -> Table | None:
    plain = re.sub(r"^(t|tbl|dim|fact)_", "", name.lower())
    words = plain.split("_")
    for first in range(len(words)):
        # what is before it is the system's name (card_customers), unless it is another table's: customer_accounts
        if any(f"{word}{end}" in contract.tables for word in words[:first] for end in ("", "s", "es")):
            break
        stem = "_".join(words[first:])
        for candidate in (stem, f"{stem}s", f"{stem}es"):
            if candidate in contract.tables:
                return contract.tables[candidate]
    near = difflib.get_close_matches(plain, list(contract.tables), n=1, cutoff=0.8)
    return contract.tables[near[0]] if near else None


def _times(columns: Sequence[ProposedColumn], time: str | None) -> tuple[ProposedColumn | None, str | None]:
    """The column to extract by, and the expression for when a row was known; `time` is the contract's own."""
    by_name = {column.name.lower(): column for column in columns if column.type in ("DATE", "TIMESTAMP")}
    own = by_name.get(time) if time is not None else None
    changed = next((by_name[name] for name in _CURSORS if name in by_name and by_name[name].type == "TIMESTAMP"), None)
    # What moves with each change comes first: a row that is corrected keeps its day.
    cursor = changed or (None if time in _NO_CURSORS else own)
    told = own or cursor
    if told is None:
        return None, None
    day = told.name if told.type == "DATE" else f"cast({told.name} as date)"
    return cursor, f"cast(last_day({told.name}) as date)" if time in _KNOWN_AT_MONTH_END and told is own else day


def _source_text(
    source: str,
    system: str,
    table: str,
    variable: str,
    *,
    columns: Sequence[ProposedColumn],
    feeds: Table | None,
) -> str:
    listed = list(columns)
    keys = [column.name for column in listed if column.is_key]
    time = feeds.cursor if feeds is not None else None
    cursor, known = _times(listed, time)
    ids = [
        column.name for column in listed if re.search(r"(customer|client|cust)_?(id|no|number)$", column.name.lower())
    ]
    lines = [f"  {source}:", f"    source_system: {_plain(system)}", "    database:", f"      url_from: {variable}"]
    lines += [f"      table: {table}"]
    if cursor is not None:
        lines += [f"      cursor: {cursor.name}", "      overlap: 1 day"]
    else:
        lines += [
            "      # no cursor found by name: the whole table is read each time, and what is unchanged is left out"
        ]
    lines += ["      # deletes: {keys: true}  # otherwise rows that are deleted there stay here"]
    # Rows of one key are one row, so a key is not guessed: what stands here is refused until it is written.
    note = "" if keys else "  # no primary key is declared: name the columns that tell rows apart"
    lines += [f"    key: [{', '.join(keys or [_UNKNOWN_KEY])}]{note}"]
    lines += [f"    record: {ids[0]}"] if ids else []
    lines += [f"    known_on: {known}"] if known is not None else []
    if known is None and time is not None:
        lines += [
            "    # known_on: no time found by name: without it rows of the initial load count as known since 1900"
        ]
    lines += ["    columns:"]
    for column in listed:
        # What becomes a column of the contract has its class; the names of branches are nobody's.
        fed = feeds.column(column.name.lower()) if feeds is not None else None
        line = column_proposal(column.name, column.type, fed.personal_data if fed is not None else None)
        if column.is_key or column.is_required:
            line = line.replace("{", "{required: true, ", 1).replace(", }", "}")
        lines.append(f"      {line}")
    return "\n".join(lines)


def _select_text(source: str, table: Table, columns: Iterable[ProposedColumn]) -> str:
    names = {column.name.lower(): column.name for column in columns}
    lines = [f"    - from: {source}", "      columns:"]
    for column in table.columns:
        if column.name == "source_system" and column.name not in names:
            continue
        if column.name in names:
            lines.append(f"        {column.name}: {names[column.name]}")
        elif column.required:
            near = closest_names(column.name, names.values())
            lines.append(f"        # {column.name} ({column.type}) is needed; near by name: {near}")
    return "\n".join(lines) + "\n"
