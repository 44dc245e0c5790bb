"""Export: everything that is held of one person, readable, through the vault's one reading function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.database import open_read_only
from warehouse.erasure import legal_holds
from warehouse.home import Home
from warehouse.ledger import LedgerEntry, read_ledger
from warehouse.person import PersonRows, find_rows
from warehouse.quarantine import quarantine_path, quarantined_records
from warehouse.sources.bank import Bank
from warehouse.sources.specification import quote_name
from warehouse.vault import ClearValue, KeyRing, held_keys, read_clear

#: Schemas that hold what was delivered or how it was built; the landed rows themselves are exported instead.
_NOT_EXPORTED = ("raw", "bookkeeping", "staging", "intermediate")


def export_person(home: Home, bank: Bank, person_id: str, *, purpose: str, role: str, who: str) -> dict[str, Any]:
    """All that is held of a person, as JSON can hold it.

    Parameters
    ----------
    home, bank
        The installation and its bank.
    person_id
        The person.
    purpose, role, who
        Checked and recorded by `vault.read_clear`, before anything is read.

    Returns
    -------
    dict
        `identifiers` (clear values by record), `delivered` (landed rows by source, tokens replaced by the values),
        `quarantined` (records that could not be read), `perhaps` (where others lie that name nobody and hold something
        of the person's: not given, since they may be somebody else's), `warehouse` (rows by table, mined results
        included).
    """

    def read(record_ids: Sequence[str], tokens: dict[str, frozenset[str]] | None = None) -> list[ClearValue]:
        return read_clear(
            home,
            bank.name,
            record_ids,
            purpose=purpose,
            role=role,
            who=who,
            tokens=tokens,
            mapping=bank.mapping,
            only_for="access_request",
        )

    rows = find_rows(home, bank, [person_id], lambda ids: [value.value for value in read(list(ids))])
    entries = {entry.delivery_id: entry for entry in read_ledger(home.landing, bank.name)}
    landed = {delivery: _landed(home, entries[delivery], numbers) for delivery, numbers in rows.landed.items()}
    tokens = {delivery: _tokens(bank, entries[delivery], table) for delivery, table in landed.items()}
    values = read(sorted(rows.record_ids), tokens)
    return {
        "person_id": person_id,
        "bank": bank.name,
        "exported_at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "legal_hold": legal_holds(home, bank.name).get(person_id),
        "identifiers": [_plain(asdict(value)) for value in values if value.record_id is not None],
        "delivered": _delivered(entries, landed, values),
        "quarantined": _quarantined(home, bank, rows, entries),
        "perhaps": [
            {"file": entries[delivery].file, "source_row": number}
            for delivery, numbers in rows.perhaps_quarantined.items()
            for number in sorted(numbers)
        ],
        "warehouse": _warehouse(home, bank, person_id, rows),
    }


def _landed(home: Home, entry: LedgerEntry, numbers: frozenset[int]) -> pa.Table:
    table = pq.read_table(entry.parquet_path(home.landing))
    wanted = pa.array(sorted(numbers), pa.int64())
    return table.filter(pc.is_in(table["_source_row"].cast(pa.int64()), value_set=wanted))


def _tokens(bank: Bank, entry: LedgerEntry, table: pa.Table) -> frozenset[str]:
    source = bank.mapping.sources[entry.source]
    names = [
        column.name for column in source.all_columns if column.is_identifying and column.name in table.column_names
    ]
    return frozenset(token for name in names for token in table[name].drop_null().to_pylist())


def _delivered(
    entries: dict[str, LedgerEntry], landed: dict[str, pa.Table], values: Sequence[ClearValue]
) -> dict[str, list[dict[str, Any]]]:
    of_rows = {(v.delivery_id, v.source_row, v.column): v.value for v in values if v.record_id is not None}
    of_tokens = {(v.delivery_id, v.column, v.token): v.value for v in values if v.token is not None}
    delivered: dict[str, list[dict[str, Any]]] = {}
    for delivery, table in landed.items():
        for row in table.to_pylist():
            number = row["_source_row"]
            clear = {
                name: of_rows.get((delivery, number, name), of_tokens.get((delivery, name, value), value))
                for name, value in row.items()
            }
            rows = delivered.setdefault(entries[delivery].source, [])
            rows.append({"file": entries[delivery].file, **_plain(clear)})
    return delivered


def _quarantined(home: Home, bank: Bank, rows: PersonRows, entries: dict[str, LedgerEntry]) -> list[dict[str, Any]]:
    if not rows.quarantined:
        return []
    found = []
    with held_keys(home.vault) as keys:
        ring = KeyRing(keys, home.vault, bank.name)
        for delivery, numbers in rows.quarantined.items():
            records = quarantined_records(ring, bank.name, quarantine_path(home.quarantine, bank.name, delivery))
            found += [
                {"file": entries[delivery].file, "source_row": number, "record": records[number]}
                for number in sorted(numbers)
                if number in records
            ]
    return found


def _warehouse(home: Home, bank: Bank, person_id: str, rows: PersonRows) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table that names the person, and of those that name an account of theirs and no person."""
    accounts = sorted(f"{system}:{account}" for system, account in rows.accounts)
    found: dict[str, list[dict[str, Any]]] = {}
    with open_read_only(home.warehouse, bank.settings.resources, home.temporary) as connection:
        columns: dict[tuple[str, str], set[str]] = {}
        for schema, table, column in connection.execute(
            "select c.schema_name, c.table_name, c.column_name from duckdb_columns() as c "
            "semi join duckdb_tables() as t using (schema_name, table_name) where not c.internal order by all"
        ).fetchall():
            if schema not in _NOT_EXPORTED:
                columns.setdefault((schema, table), set()).add(column)
        for (schema, table), names in columns.items():
            key, asked = ("person_id", [person_id]) if "person_id" in names else ("account_id", accounts)
            if key in names and asked:
                held = _rows(connection, f"{quote_name(schema)}.{quote_name(table)}", key, asked)
                if held:
                    found[f"{schema}.{table}"] = held
    return found


def _rows(connection: duckdb.DuckDBPyConnection, table: str, key: str, asked: Sequence[str]) -> list[dict[str, Any]]:
    result = connection.execute(f"from {table} where {key} in (select unnest($asked))", {"asked": list(asked)})
    names = [column[0] for column in result.description or ()]
    return [_plain(dict(zip(names, row, strict=True))) for row in result.fetchall()]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat()
        if isinstance(value, date | datetime)
        else str(value)
        if isinstance(value, Decimal)
        else value
        for name, value in row.items()
    }
