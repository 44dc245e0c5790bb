"""Reading clear values: who asks, as what and why is checked and written down before anything is given.

Only identity, worklists, and the answers to persons and authorities read; everything else works with tokens. There is
one way in (`_admit`) and two shapes of the answer: values one by one, and sealed rows in bulk.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.ledger import KNOWN_FROM_THE_START, LedgerEntry, read_ledger
from warehouse.vault.files import append_line, locked, read_lines
from warehouse.vault.keys import KeyRing, VaultKeys, check_master, key_files, load_keys
from warehouse.vault.sealed import blocks_of, open_block, open_record, read_sealed, sealed_path
from warehouse.vault.tokens import token_expression, use_key

ACCESS_LOG = "access.jsonl"
READERS_FILE = "readers.csv"
DISCLOSURE = "disclosure"
#: Rows opened in one go: their keys and values take some 100 MB.
SEALED_ROWS_AT_A_TIME = 1 << 17
RULES = Path(__file__).with_name("access.yml")


@dataclass(frozen=True)
class ClearValue:
    """One identifying value as it was delivered.

    Attributes
    ----------
    record_id
        Pseudonym of the record; None for a value of a row that names no record.
    delivery_id, source, source_row
        Where it was delivered; the row is None where only its token says so.
    known_on
        Date of the delivery; of an initial load, the constant for "from the start".
    token
        Of a value that names no record.
    """

    record_id: str | None
    delivery_id: str
    source: str
    source_row: int | None
    known_on: date
    column: str
    value: str
    token: str | None = None


@dataclass(frozen=True)
class Access:
    """Who reads, as what, and why.

    Attributes
    ----------
    who
        Name of the account of whoever reads.
    role, purpose, authority
        Of `access.yml`; an authority is named for disclosure and nothing else.
    """

    who: str
    role: str
    purpose: str
    authority: str | None = None


@cache
def access_rules() -> dict[str, Any]:
    """Roles with their purposes, and the authorities something may be disclosed to."""
    rules: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return rules


def read_clear(
    home: Home,
    bank: str,
    record_ids: Iterable[str],
    *,
    purpose: str,
    role: str,
    who: str,
    authority: str | None = None,
    tokens: Mapping[str, frozenset[str]] | None = None,
    on: date | None = None,
) -> list[ClearValue]:
    """Clear values of records. Every reading is recorded before anything is given, refused ones too.

    Parameters
    ----------
    home
        The installation.
    bank
        Short name of the bank.
    record_ids
        Pseudonyms of source records.
    purpose, role, who, authority
        Why, as what, who, and for which authority: checked against `access.yml` and `vault/readers.csv`.
    tokens
        By delivery, tokens of values of rows that name no record, such as the counterparties of a person's postings.
    on
        Today, for the dates of `readers.csv`.

    Returns
    -------
    list of ClearValue
        Ordered by record, date, delivery and row. A record that was erased, or never had values, has none.

    Raises
    ------
    UserError
        If the reading is not allowed, a key is wrong or missing, or something sealed was changed.
    """
    wanted = sorted(set(record_ids))
    _admit(home, bank, wanted, Access(who, role, purpose, authority), on)
    keys = load_keys(home.vault, may_create=False)
    with locked(home.vault, exclusively=False):
        ring = KeyRing(keys, home.vault, bank)
        entries = read_ledger(home.landing, bank)
        found = _record_values(home, ring, bank, wanted, entries)
        for entry in entries:
            if tokens and entry.delivery_id in tokens:
                found += _block_values(home, ring, keys, entry, tokens[entry.delivery_id])
    return sorted(
        found, key=lambda v: (v.record_id or "~", v.known_on, v.delivery_id, v.source_row or 0, v.column, v.value)
    )


def read_sealed_rows(
    home: Home,
    bank: str,
    sources: Collection[str],
    *,
    purpose: str,
    role: str,
    who: str,
    on: date | None = None,
) -> Iterator[tuple[str, pa.Table]]:
    """Clear values of all records of some sources as they were sealed, batch by batch: to compare all customers.

    Parameters
    ----------
    home, bank
        The installation and its bank.
    sources
        Sources whose deliveries are read.
    purpose, role, who, on
        As for `read_clear`; the reading is recorded as one line.

    Yields
    ------
    tuple
        The source, and a table of `record_id` and `payload` (a JSON object of the row's identifying columns).

    Raises
    ------
    UserError
        As `read_clear`.
    """
    _admit(home, bank, [f"all records of {name}" for name in sorted(sources)], Access(who, role, purpose), on)
    keys = load_keys(home.vault, may_create=False)
    with locked(home.vault, exclusively=False):
        ring = KeyRing(keys, home.vault, bank)
        for entry in read_ledger(home.landing, bank):
            path = sealed_path(home.vault, bank, entry.delivery_id)
            if entry.source not in sources or not path.is_file():
                continue
            table = read_sealed(path)
            for batch in table.filter(table["record_id"].is_valid()).to_batches(max_chunksize=SEALED_ROWS_AT_A_TIME):
                names = batch["record_id"].to_pylist()
                found = ring.find(names)
                payloads = [
                    open_record(found[name], bank, entry.delivery_id, name, row, sealed) if name in found else None
                    for name, row, sealed in zip(
                        names, batch["source_row"].to_pylist(), batch["sealed"].to_pylist(), strict=True
                    )
                ]
                yield (
                    entry.source,
                    pa.table({"record_id": batch["record_id"], "payload": pa.array(payloads, pa.binary())}),
                )


def _admit(home: Home, bank: str, record_ids: Sequence[str], access: Access, on: date | None) -> None:
    """Record who reads what and why; stop where it is not allowed."""
    reason = _why_not(home, record_ids, access, on or datetime.now(UTC).date())
    append_line(
        home.vault / ACCESS_LOG,
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "who": access.who,
            "role": access.role,
            "purpose": access.purpose,
            "authority": access.authority,
            "bank": bank,
            "records": list(record_ids) if len(record_ids) <= 1000 else [f"{len(record_ids)} records"],
            "is_allowed": reason is None,
            "reason": reason,
        },
    )
    if reason is not None:
        raise UserError(
            "reading clear values is refused, and the attempt was recorded",
            where=f"{access.who} as {access.role}, for {access.purpose}",
            found=reason,
            valid="; ".join(f"{name}: {', '.join(rule['purposes'])}" for name, rule in access_rules()["roles"].items()),
            next_step="read for a purpose of your role, or have yourself named in vault/readers.csv",
        )


def _why_not(home: Home, record_ids: Sequence[str], access: Access, today: date) -> str | None:
    """Why a reading is not allowed; None if it is."""
    rules = access_rules()
    role = rules["roles"].get(access.role)
    if role is None:
        return f"no role '{access.role}'"
    if access.purpose not in role["purposes"]:
        return f"purpose '{access.purpose}' is none of role {access.role}"
    missing = _why_no_reader(home, access, today)
    if missing is not None:
        return missing
    if access.purpose != DISCLOSURE:
        return f"an authority is named, but the purpose is not {DISCLOSURE}" if access.authority else None
    rule = rules["disclosure_authorities"].get(access.authority)
    if rule is None:
        return f"no authority '{access.authority}'; there are {', '.join(rules['disclosure_authorities'])}"
    allowed = set(rule["may_query"])
    if allowed == {"personal", "corporate"}:
        return None
    kinds = party_types(home, record_ids)
    forbidden = {kinds.get(record, "unknown") for record in record_ids} - allowed
    if forbidden or not allowed:
        may = f"may query {', '.join(sorted(allowed))} customers only" if allowed else "may query no customer"
        return f"{access.authority} {may}; asked for: {', '.join(sorted(forbidden)) or 'some'}"
    return None


def _why_no_reader(home: Home, access: Access, today: date) -> str | None:
    path = home.vault / READERS_FILE
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["who"] == access.who and row["role"] == access.role]
    if not rows:
        return f"{access.who} is not named for role {access.role} in vault/{READERS_FILE}"
    for row in rows:
        begins, ends = row.get("from_on") or "", row.get("left_on") or ""
        if (not begins or date.fromisoformat(begins) <= today) and (not ends or today < date.fromisoformat(ends)):
            return None
    return f"the access of {access.who} as {access.role} has ended, or has not begun"


def party_types(home: Home, record_ids: Sequence[str]) -> dict[str, str]:
    """Whether records are of persons or of firms, as far as the warehouse knows them."""
    if not home.warehouse.is_file():
        return {}
    with duckdb.connect(str(home.warehouse), read_only=True) as connection:
        rows = connection.execute(
            "select record_id, min(party_type), max(party_type) from raw.customers "
            "where record_id in (select unnest($asked)) group by record_id",
            {"asked": list(record_ids)},
        ).fetchall()
    return {record: first for record, first, last in rows if first == last}


def _record_values(
    home: Home, ring: KeyRing, bank: str, record_ids: Sequence[str], entries: Sequence[LedgerEntry]
) -> list[ClearValue]:
    keys = ring.find(record_ids)
    by_file = {sealed_path(home.vault, bank, entry.delivery_id): entry for entry in entries}
    asked = pa.array(sorted(keys), pa.string())
    values = []
    for path, entry in by_file.items():
        if not path.is_file() or not keys:
            continue
        table = read_sealed(path)
        rows = table.filter(pc.is_in(table["record_id"], value_set=asked)).to_pylist()
        for row in rows:
            record, number = row["record_id"], row["source_row"]
            content = open_record(keys[record], bank, entry.delivery_id, record, number, row["sealed"])
            values += [
                ClearValue(record, entry.delivery_id, entry.source, number, _known_on(entry), column, value)
                for column, value in json.loads(content).items()
                if value is not None
            ]
    return values


def _block_values(
    home: Home, ring: KeyRing, keys: VaultKeys, entry: LedgerEntry, tokens: frozenset[str]
) -> list[ClearValue]:
    path = sealed_path(home.vault, entry.bank, entry.delivery_id)
    if not path.is_file() or not tokens:
        return []
    table = read_sealed(path)
    blocks = list(blocks_of(table))
    found = ring.find([name for name, _ in blocks])
    values: set[tuple[str, str, str]] = set()
    with duckdb.connect(":memory:") as connection:
        use_key(connection, keys.token)
        connection.register("asked", pa.table({"token": pa.array(sorted(tokens), pa.string())}))
        for name, sealed in blocks:
            if name not in found:
                continue
            connection.register("block", open_block(found[name], entry.bank, name, sealed))
            values.update(
                connection.execute(
                    f'select distinct "column", value, {token_expression("value")} as token from block '
                    "where token in (select token from asked)"
                ).fetchall()
            )
            connection.unregister("block")
    return [
        ClearValue(None, entry.delivery_id, entry.source, None, _known_on(entry), column, value, token)
        for column, value, token in sorted(values)
    ]


def _known_on(entry: LedgerEntry) -> date:
    return entry.known_on or KNOWN_FROM_THE_START


@dataclass(frozen=True)
class VaultStatus:
    """What the vault holds, without a clear value.

    Attributes
    ----------
    master_key, token_key
        Names of the keys.
    key_source
        Where the master key comes from.
    records, blocks
        Wrapped data keys of records and of blocks.
    sealed_files, sealed_bytes
        Files of sealed values.
    readings, refused
        Lines of the access log.
    """

    master_key: str
    token_key: str
    key_source: str
    records: int
    blocks: int
    sealed_files: int
    sealed_bytes: int
    readings: int
    refused: int


def status(home: Home, key_source: str) -> VaultStatus:
    """What the vault holds; its keys are opened, so that a wrong one is told.

    Raises
    ------
    UserError
        If a key is wrong or missing, or a file of keys is not whole.
    """
    keys = load_keys(home.vault, may_create=False)
    records = blocks = 0
    for file in key_files(home.vault):
        check_master(file, keys.master_id)
        names = read_sealed(file, ["name"])["name"]
        count = int(pc.sum(pc.equal(pc.utf8_length(names), 64)).as_py() or 0)
        records, blocks = records + count, blocks + len(names) - count
    files = [path for path in home.vault.glob("*/*.parquet") if path.is_file()]
    readings = read_lines(home.vault / ACCESS_LOG)
    return VaultStatus(
        keys.master_id,
        keys.token_id,
        key_source,
        records,
        blocks,
        len(files),
        sum(path.stat().st_size for path in files),
        len(readings),
        sum(not reading["is_allowed"] for reading in readings),
    )
