"""Trying a mapping on what is really there: connect, compare names and types, judge a sample, land nothing."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from warehouse import vault
from warehouse.contract.model import load_contract
from warehouse.errors import UserError
from warehouse.judgement import Judge
from warehouse.landing import discover, likely_renames, open_rows, renames_text
from warehouse.sources.bank import Bank
from warehouse.sources.database import (
    Address,
    DatabaseRows,
    Session,
    fits_type,
    probe_statement,
    read_statement,
    under_own_names,
)
from warehouse.sources.delivered import DeliveredRows
from warehouse.sources.proposal import column_proposal
from warehouse.sources.specification import SourceSpec
from warehouse.sources.validation import CheckLine, check_mapping

#: Rows of each source that are judged.
SAMPLED_ROWS = 1_000
#: Column of the contract's tables that hold a record once for each time it changed.
VERSIONED_BY = "updated_at"


def check_bank(bank: Bank, data: Path | None = None) -> list[CheckLine]:
    """What of a mapping fits the contract, the databases it names and (with `data`) the files; what it will do.

    Parameters
    ----------
    bank
        A loaded bank.
    data
        Folder with its files, or None.
    """
    lines = check_mapping(bank, data)
    for source in bank.mapping.sources.values():
        if source.database is not None:
            lines += _database_lines(bank, source)
    if data is not None and not any(line.status == "error" for line in lines):
        sampled: set[str] = set()
        for delivery in discover(bank, data):
            if delivery.source.name not in sampled and delivery.operation == "upsert":
                sampled.add(delivery.source.name)
                lines += _sample_lines(bank, delivery.source, open_rows(delivery))
    return lines


def _database_lines(bank: Bank, source: SourceSpec) -> list[CheckLine]:
    where, spec = f"sources.{source.name}", source.database
    if spec is None:
        return []
    try:
        address = Address.from_environment(spec.url_from, where)
        with Session(address, lock_seconds=spec.lock_seconds) as session:
            there = session.probe(probe_statement(spec, address.dialect))
            names = source.renamed(there.column_names)
            source = under_own_names(source, there.column_names, address.dialect)
            empty = there.rename_columns([names.get(name, name) for name in there.column_names])
            lines = _column_lines(source, empty, is_typed=address.kind != "sqlite")
            if source.database is not None and not any(line.status == "error" for line in lines):
                statement = read_statement(source.database, address.dialect, source.columns, [], None)
                rows = DatabaseRows(
                    session, statement, rows_in_batch=SAMPLED_ROWS, limit=SAMPLED_ROWS, place=spec.url_from
                )
                lines += _sample_lines(bank, source, rows)
    except UserError as error:
        return [CheckLine("error", where, " ".join(str(error).split()))]
    return lines


def _column_lines(source: SourceSpec, empty: pa.Table, *, is_typed: bool) -> list[CheckLine]:
    where = f"sources.{source.name}"
    declared = {column.name: column for column in source.columns}
    lost = [name for name in declared if name not in empty.column_names]
    new = [field for field in empty.schema if field.name not in declared]
    wrong = [
        f"{field.name} is {field.type}, declared {declared[field.name].type}"
        for field in empty.schema
        if is_typed and field.name in declared and not fits_type(declared[field.name].type, field.type)
    ]
    lines = []
    renamed = likely_renames(lost, [field.name for field in new])
    if lost:
        told = f"no column {', '.join(lost)}; there: {', '.join(empty.column_names)}"
        lines.append(CheckLine("error", where, told + (f"; {renames_text(renamed)}" if renamed else "")))
    if wrong:
        lines.append(CheckLine("error", where, "; ".join(wrong)))
    if not lines:
        lines.append(CheckLine("fits", where, f"connected; the {len(declared)} declared columns are there"))
    for field in (field for field in new if field.name not in renamed.values()):
        offer = column_proposal(field.name, _type_of(field.type))
        lines.append(CheckLine("missing", where, f"not declared, goes to the vault whole; to take it: {offer}"))
    return lines


def _type_of(type_: pa.DataType) -> str:
    if pa.types.is_boolean(type_):
        return "BOOLEAN"
    if pa.types.is_integer(type_):
        return "BIGINT"
    if pa.types.is_decimal(type_):
        return "DECIMAL(18,2)"
    if pa.types.is_floating(type_):
        return "DOUBLE"
    if pa.types.is_date(type_):
        return "DATE"
    return "TIMESTAMP" if pa.types.is_timestamp(type_) else "VARCHAR"


def _sample_lines(bank: Bank, source: SourceSpec, rows: DeliveredRows) -> list[CheckLine]:
    """What would become of the first rows."""
    where = f"sources.{source.name}"
    names = rows.column_names
    # A key of the moment: nothing that comes out of here is kept.
    with duckdb.connect(":memory:", config={"memory_limit": bank.settings.resources.memory_limit}) as connection:
        vault.use_key(connection, secrets.token_bytes(32))
        connection.execute("set TimeZone = 'UTC'")
        judge = Judge(
            connection,
            source,
            names=names,
            text_columns=frozenset(name for name in names if rows.is_text(name)),
            known_on=None,
            operation="upsert",
        )
        batch = next(iter(rows.batches()), None)
        if batch is None:
            return [CheckLine("missing", where, "no rows")]
        judged = judge.judge(batch.rows.slice(0, SAMPLED_ROWS))
    sampled = min(batch.rows.num_rows, SAMPLED_ROWS)
    faulty = len({fault.source_row for fault in judged.faults})
    text = f"of {sampled:,} rows sampled {judged.landed.num_rows:,} would be landed"
    text += f", {judged.filtered:,} filtered" if judged.filtered else ""
    lines = [CheckLine("fits", where, text)]
    if faulty:
        reasons = Counter((fault.column, fault.reason) for fault in judged.faults).most_common(5)
        listed = "; ".join(f"{column}: {reason} ({count:,})" for (column, reason), count in reasons)
        lines[0] = replace(lines[0], what=f"{text}, {faulty:,} quarantined: {listed}")
        share = bank.settings.quarantine.maximum_share
        if faulty > share * sampled:
            lines.append(CheckLine("error", where, f"more than {share:.2%} quarantined: the delivery would be refused"))
    return lines + _key_lines(bank, source, judged.landed)


def _version_column(bank: Bank, source: SourceSpec) -> str | None:
    """Column that says since when a row is so, where the table it feeds keeps the versions of a record."""
    contract = load_contract()
    for spec in bank.mapping.tables.values():
        if contract.tables[spec.name].cursor != VERSIONED_BY:
            continue
        for select in spec.selects:
            value = dict(select.columns).get(VERSIONED_BY) if select.source == source.name else None
            words = set(re.findall(r"\w+", value.lower())) if isinstance(value, str) else set()
            found = [column.name for column in source.columns if column.name.lower() in words]
            if found:
                return found[0]
    return None


def _key_lines(bank: Bank, source: SourceSpec, landed: pa.Table) -> list[CheckLine]:
    """Whether the key tells the sampled rows apart: of rows with one key only the last would count."""
    if not landed.num_rows:
        return []
    times = landed.group_by(list(source.key)).aggregate([([], "count_all")]).column("count_all")
    repeated = landed.num_rows - len(times)
    if not repeated:
        return []
    versioned = _version_column(bank, source)
    if versioned is not None:
        both = landed.group_by([*dict.fromkeys([*source.key, versioned])]).aggregate([([], "count_all")])
        if both.num_rows == landed.num_rows:
            what = (
                f"of {landed.num_rows:,} rows sampled {repeated:,} are further versions of a key, told by {versioned}"
            )
            return [CheckLine("fits", f"sources.{source.name}.key", f"{what}: the last one is in force")]
    what = (
        f"the key {', '.join(source.key)} does not tell rows apart: {landed.num_rows:,} rows sampled have "
        f"{len(times):,} keys, one of them {pc.max(times).as_py():,} times; of rows with one key only the last counts"
    )
    # A file may hold several versions of a row, a table of a database one.
    if source.database is None:
        return [CheckLine("missing", f"sources.{source.name}.key", what)]
    return [CheckLine("error", f"sources.{source.name}.key", f"{what}: name the columns that are unique together")]
