"""Reading clear values: who asks, as what and why is checked and written down before anything is given.

Only identity, worklists, and the answers to persons and authorities read; everything else works with tokens. There is
one way in (`_admit`) and two shapes of the answer: values one by one with where they came from, and values in bulk.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.ledger import KNOWN_FROM_THE_START, LedgerEntry, read_ledger
from warehouse.sources.expressions import parse_expression
from warehouse.vault.files import append_line, read_lines, spill_folder
from warehouse.vault.keys import KeyRing, VaultKeys, held_keys, require_vault
from warehouse.vault.manifests import Manifests
from warehouse.vault.sealed import blocks_of, open_block, open_record, read_sealed, sealed_path
from warehouse.vault.tokens import token_expression, use_key

if TYPE_CHECKING:
    from warehouse.sources.specification import Mapping as BankMapping

ACCESS_LOG = "access.jsonl"
READERS_FILE = "readers.csv"
DISCLOSURE = "disclosure"
#: Sealed rows opened in one go: their keys and values take some 100 MB.
ROWS_AT_A_TIME = 1 << 17
RULES = Path(__file__).with_name("access.yml")
_READERS_COLUMNS = ("who", "role", "from_on", "left_on")
_RECORD_ID = re.compile(r"[0-9a-f]{64}")
#: By source, the columns a role may read, without capitals.
Columns = dict[str, frozenset[str]]


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
    mapping: BankMapping | None = None,
    only_for: str | None = None,
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
    mapping
        Of the bank: says which of its columns are those a role is limited to. Such a role is refused without it.
    only_for
        The one purpose that whatever is done with the values serves; any other is refused.

    Returns
    -------
    list of ClearValue
        Ordered by record, date, delivery and row. A record that was erased, or never had values, has none.

    Raises
    ------
    UserError
        If the reading is not allowed, a record id is none, a key is wrong or missing, or something inside is gone or
        was changed.
    """
    require_vault(home.vault)
    wanted = sorted(set(record_ids))
    fault = _fault_of_ids(wanted)
    # What is no record id may be a name: it goes into no log.
    shown = [record for record in wanted if _RECORD_ID.fullmatch(record)] if fault else wanted
    columns = _admit(home, bank, shown, Access(who, role, purpose, authority), on, mapping, only_for, fault)
    with held_keys(home.vault) as keys:
        check_files(home, bank, keys, is_thorough=False)
        ring = KeyRing(keys, home.vault, bank)
        manifests = Manifests(home.vault, bank, keys.token)
        entries = read_ledger(home.landing, bank)
        found = _record_values(home, ring, manifests, wanted, entries)
        for entry in entries:
            if tokens and entry.delivery_id in tokens:
                found += _block_values(home, ring, keys, entry, tokens[entry.delivery_id])
    allowed = [value for value in found if columns is None or value.column.casefold() in columns.get(value.source, ())]
    return sorted(
        allowed, key=lambda v: (v.record_id or "~", v.known_on, v.delivery_id, v.source_row or 0, v.column, v.value)
    )


def read_sealed_values(
    home: Home, bank: str, mapping: BankMapping, *, purpose: str, role: str, who: str, on: date | None = None
) -> Iterator[pa.Array]:
    """All clear values of the columns a role is limited to, batch by batch: to compare all customers.

    Which record a value is of is not said: its token leads there. The values of an erased record are not among them.

    Parameters
    ----------
    home, bank
        The installation and its bank.
    mapping
        Of the bank: says which of its columns those of the role are.
    purpose, role, who, on
        As for `read_clear`; the reading is recorded as one line that names sources in place of records.

    Yields
    ------
    pyarrow.Array
        Values, each once per batch.

    Raises
    ------
    UserError
        As `read_clear`; also for a role that is limited to no columns.
    """
    require_vault(home.vault)
    stated = access_rules()["roles"].get(role, {}).get("columns")
    if stated == "all":
        raise UserError(
            "all values at once are given only to a role that is limited to columns",
            where=f"role {role}",
            valid=", ".join(name for name, rule in access_rules()["roles"].items() if rule["columns"] != "all"),
            next_step="read the records that are asked for: read_clear",
        )
    columns = _columns_of(role, mapping) if stated else {}
    asked = [f"all records of {source}" for source in sorted(columns or ())]
    columns = _admit(home, bank, asked, Access(who, role, purpose), on, mapping) or {}
    with held_keys(home.vault) as keys:
        ring, manifests = KeyRing(keys, home.vault, bank), Manifests(home.vault, bank, keys.token)
        waiting: list[tuple[LedgerEntry, pa.Table]] = []
        for entry in check_files(home, bank, keys, is_thorough=False):
            path = sealed_path(home.vault, bank, entry.delivery_id)
            if entry.source not in columns or not manifests.holds(path):
                continue
            table = read_sealed(path, ["record_id", "source_row", "sealed"])
            for batch in table.filter(table["record_id"].is_valid()).to_batches(max_chunksize=ROWS_AT_A_TIME):
                waiting.append((entry, batch))
                # Over many small deliveries too: each search of a key reads all files of keys.
                if sum(part.num_rows for _, part in waiting) >= ROWS_AT_A_TIME:
                    yield _opened_values(ring, waiting, columns)
                    waiting = []
        yield _opened_values(ring, waiting, columns)


def _opened_values(ring: KeyRing, sealed: Sequence[tuple[LedgerEntry, pa.RecordBatch]], columns: Columns) -> pa.Array:
    keys = ring.find([name for _, batch in sealed for name in batch["record_id"].to_pylist()])
    values: set[str] = set()
    for entry, batch in sealed:
        allowed = columns[entry.source]
        for name, row, content in zip(*(batch[column].to_pylist() for column in batch.schema.names), strict=True):
            if name in keys:
                opened = json.loads(open_record(keys[name], entry.bank, entry.delivery_id, name, row, content))
                values.update(
                    value for column, value in opened.items() if value is not None and column.casefold() in allowed
                )
    return pa.array(sorted(values), pa.string())


def _admit(  # noqa: PLR0917 - all that decides about a reading
    home: Home,
    bank: str,
    asked: Sequence[str],
    access: Access,
    on: date | None,
    mapping: BankMapping | None,
    only_for: str | None = None,
    fault: UserError | None = None,
) -> Columns | None:
    """Record who reads what and why, and stop where it is not allowed; what columns are given."""
    columns = None
    try:
        reason = fault.problem if fault else _why_not(home, asked, access, on or datetime.now(UTC).date())
        if reason is None and only_for not in {None, access.purpose}:
            reason = f"this is done for purpose {only_for} only"
        if reason is None:
            columns = _columns_of(access.role, mapping)
    except UserError as error:
        fault, reason = error, error.problem
    append_line(
        home.vault / ACCESS_LOG,
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "who": access.who,
            "role": access.role,
            "purpose": access.purpose,
            "authority": access.authority,
            "bank": bank,
            "records": list(asked) if len(asked) <= 1000 else [f"{len(asked)} records"],
            "is_allowed": reason is None,
            "reason": reason,
        },
    )
    if fault is not None:
        raise fault
    if reason is not None:
        raise UserError(
            "reading clear values is refused, and the attempt was recorded",
            where=f"{access.who} as {access.role}, for {access.purpose}",
            found=reason,
            valid="; ".join(f"{name}: {', '.join(rule['purposes'])}" for name, rule in access_rules()["roles"].items()),
            next_step="read for a purpose of your role, or have yourself named in vault/readers.csv",
        )
    return columns


def _fault_of_ids(record_ids: Sequence[str]) -> UserError | None:
    malformed = [record for record in record_ids if not _RECORD_ID.fullmatch(record)]
    if not malformed:
        return None
    return UserError(
        "this is no record id",
        where="record",
        found=f"{len(malformed[0])} characters, not shown since they may be a clear value",
        valid="64 hexadecimal digits in lower case: column record_id of landing and raw",
        next_step="give the record id, not the name or number of the customer",
    )


def _columns_of(role: str, mapping: BankMapping | None) -> Columns | None:
    """By source, the columns whose values a role may read: those that are a contract column it is limited to."""
    limited = access_rules()["roles"][role]["columns"]
    if limited == "all":
        return None
    if mapping is None:
        raise UserError(
            "a role that is limited to columns reads only where the bank's mapping is known",
            where=f"role {role}",
            valid=f"{', '.join(limited)}",
            next_step="give the mapping to the reading",
        )
    found: dict[str, set[str]] = {}
    with duckdb.connect(":memory:") as connection:
        for name, table in mapping.tables.items():
            for select in table.selects:
                sources = {lookup.name: lookup.source for lookup in select.lookups} | {select.source: select.source}
                for column, value in select.columns:
                    if not isinstance(value, str) or f"{name}.{column}" not in limited:
                        continue
                    # An identifying column is always read by its bare name: the mapping's check sees to that.
                    *alias, of = parse_expression(connection, value).references[0]
                    source = sources.get(alias[0] if alias else select.source)
                    if source is not None:
                        found.setdefault(source, set()).add(of.casefold())
    return {source: frozenset(names) for source, names in found.items()}


def check_files(
    home: Home, bank: str, keys: VaultKeys, *, is_thorough: bool, is_landing: bool = False
) -> list[LedgerEntry]:
    """Compare the files inside the walls with the manifests of all deliveries in the ledger.

    Parameters
    ----------
    home, bank
        The installation and its bank.
    keys
        Its keys; held while this is done.
    is_thorough
        Whether content is hashed; otherwise only size and presence are asked.
    is_landing
        Whether deliveries whose landed file is missing are about to be landed again: of those only the keys count.

    Returns
    -------
    list of LedgerEntry
        The ledger.

    Raises
    ------
    UserError
        If a file is gone, or is not what was written.
    """
    entries = read_ledger(home.landing, bank)
    again = [e.delivery_id for e in entries if is_landing and not e.parquet_path(home.landing).is_file()]
    manifests = Manifests(home.vault, bank, keys.token)
    manifests.check([entry.delivery_id for entry in entries], is_thorough=is_thorough, keys_only=again)
    return entries


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
    rows = [row for row in _read_readers(path) if (row.who, row.role) == (access.who, access.role)]
    if not rows:
        return f"{access.who} is not named for role {access.role} in vault/{READERS_FILE}"
    for row in rows:
        if (row.from_on is None or row.from_on <= today) and (row.left_on is None or today < row.left_on):
            return None
    return f"the access of {access.who} as {access.role} has ended, or has not begun"


@dataclass(frozen=True)
class _Reader:
    """A row of `readers.csv`."""

    who: str
    role: str
    from_on: date | None
    left_on: date | None


def _read_readers(path: Path) -> list[_Reader]:
    """Who may read; the whole file must be right, or a slip of the pen would let somebody in or out unnoticed."""

    def wrong(where: str, found: str, valid: str) -> UserError:
        return UserError(
            f"vault/{READERS_FILE} cannot be read, so nobody reads",
            where=f"{path}, {where}",
            found=found,
            valid=valid,
            next_step="correct the file, then read again",
        )

    try:
        # Spreadsheets begin a file of UTF-8 with a mark.
        with path.open(encoding="utf-8-sig", newline="") as handle:
            lines = [line for line in csv.reader(handle, strict=True) if line]
    except (OSError, ValueError, csv.Error) as error:
        raise wrong("the file", type(error).__name__, "a CSV file in UTF-8, separated by commas") from error
    header = ",".join(_READERS_COLUMNS)
    if not lines or tuple(lines[0]) != _READERS_COLUMNS:
        raise wrong("line 1", "another header, or another separator", header)
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(_READERS_COLUMNS):
            raise wrong(f"row {number}", f"{len(line)} fields", header)
        dates: list[date | None] = []
        for name, text in zip(_READERS_COLUMNS[2:], line[2:], strict=True):
            try:
                dates.append(date.fromisoformat(text) if text else None)
            except ValueError as error:
                raise wrong(f"row {number}, column {name}", repr(text[:20]), "YYYY-MM-DD, or empty") from error
        rows.append(_Reader(line[0], line[1], *dates))
    return rows


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
    home: Home, ring: KeyRing, manifests: Manifests, record_ids: Sequence[str], entries: Sequence[LedgerEntry]
) -> list[ClearValue]:
    keys = ring.find(record_ids)
    asked = pa.array(sorted(keys), pa.string())
    values = []
    for entry in entries if keys else ():
        bank, path = entry.bank, sealed_path(home.vault, entry.bank, entry.delivery_id)
        if not manifests.holds(path):
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
    if not tokens or not Manifests(home.vault, entry.bank, keys.token).holds(path):
        return []
    table = read_sealed(path)
    blocks = list(blocks_of(table))
    found = ring.find([name for name, _ in blocks])
    values: set[tuple[str, str, str]] = set()
    with duckdb.connect(":memory:", config={"temp_directory": spill_folder(home.vault)}) as connection:
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
    """What the vault holds; every key is opened and every file compared with its manifest, so that a fault is told.

    Raises
    ------
    UserError
        If there is no vault, a key is wrong or missing, or a file is gone or was changed.
    """
    records = blocks = 0
    with held_keys(home.vault) as keys:
        for folder in sorted(path for path in home.landing.glob("*") if path.is_dir()):
            check_files(home, folder.name, keys, is_thorough=True)
            ring = KeyRing(keys, home.vault, folder.name)
            for file in ring.files():
                for name, _ in ring.opened(file):
                    is_record = len(name) == 64
                    records, blocks = records + is_record, blocks + (not is_record)
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
