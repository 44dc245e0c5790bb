"""Erasure: the only rewrite. Keys are destroyed, deliveries rewritten, a tombstone keeps the person from coming back.

What is to be done is stated in the vault before anything is changed; each step can be repeated, so that an erasure
that was killed is completed by the next landing or erasure. Its certificate is a line of `decisions/erasures.jsonl`.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.identity import decisions
from warehouse.judgement import ErasedRows
from warehouse.ledger import LEDGER_FOLDER, RECONCILIATION, LedgerEntry, read_ledger, write_entry
from warehouse.person import PersonRows, find_rows, records_of
from warehouse.quarantine import FAULTS, QUARANTINED_RECORDS, quarantine_path, quarantined_records, with_block
from warehouse.release import list_releases
from warehouse.sources.bank import Bank
from warehouse.sources.queries import named_ids
from warehouse.tombstones import ERASURES, hashed_ids, tombstones
from warehouse.vault import KeyRing, VaultKeys, check_files, held_keys, keys_path, read_clear, sealed_path
from warehouse.vault.files import append_line, move, read_lines, spill_folder, write_json, write_parquet
from warehouse.vault.keys import key_files
from warehouse.vault.manifests import Manifests
from warehouse.vault.sealed import (
    BLOCK_VALUES,
    SEALED,
    block_row,
    blocks_of,
    open_block,
    read_sealed,
    seal_block,
)
from warehouse.vault.tokens import token_expression, use_key

HOLDS = "legal_holds.jsonl"
ERASED_ROWS = "erased_rows"
JOURNAL = "erasure.json"
ROLE, PURPOSE, HOLD_PURPOSE = "data_protection_officer", "erasure_check", "legal_hold"


@dataclass(frozen=True)
class ErasurePlan:
    """What an erasure does, or did.

    Attributes
    ----------
    rows
        Where the persons stand.
    models
        Models in whose fit they had a part: every one of the bank, since each was fitted on all persons up to its date.
    releases
        Releases published so far; each holds the persons until it is pruned.
    as_of_files
        Builds as of an old date; they are deleted and can be made again.
    holds
        Reasons of legal holds, by person; any of them blocks.
    """

    rows: PersonRows
    models: tuple[str, ...]
    releases: tuple[str, ...]
    as_of_files: tuple[str, ...]
    holds: dict[str, str]


def erased_rows(connection: duckdb.DuckDBPyConnection, home: Home, bank: Bank, entry: LedgerEntry) -> ErasedRows:
    """What must not be landed of a delivery: whatever names erased persons, and rows erased from this very file.

    Parameters
    ----------
    connection
        Used to parse expressions of the mapping.
    home, bank, entry
        The installation, its bank, and the delivery.
    """
    path = _erased_rows_path(home, bank.name, entry.delivery_id)
    rows = pq.read_table(path)["source_row"].to_pylist() if path.is_file() else []
    erased = tombstones(home, bank.name)
    named = named_ids(connection, bank.mapping, bank.mapping.sources[entry.source])
    conditions = [
        condition
        for name in named
        if (condition := erased.condition(name.kind, f"({name.system})", f"cast(({name.identity}) as varchar)"))
    ]
    return ErasedRows(erased.record_ids, frozenset(rows), " or ".join(conditions) or None)


def _erased_rows_path(home: Home, bank: str, delivery_id: str) -> Path:
    return home.decisions / ERASED_ROWS / bank / f"{delivery_id}.parquet"


def legal_holds(home: Home, bank: str) -> dict[str, str]:
    """Persons under legal hold, with the reason."""
    held: dict[str, str] = {}
    for line in read_lines(home.decisions / HOLDS):
        if line["bank"] != bank:
            continue
        if line["action"] == "hold":
            held[line["person_id"]] = line["reason"]
        else:
            held.pop(line["person_id"], None)
    return held


def set_hold(home: Home, bank: Bank, person_id: str, *, reason: str, who: str, is_release: bool) -> None:
    """Put a person under legal hold, or release them.

    Raises
    ------
    UserError
        If there is no such person, somebody is released who is not held, no reason is given, or it is not for `who`
        to decide.
    """
    _refuse_blank(reason, "a legal hold" if not is_release else "the end of a legal hold")
    records = records_of(home, bank, [person_id])
    read_clear(home, bank.name, records, purpose=HOLD_PURPOSE, role=ROLE, who=who)
    if is_release and person_id not in legal_holds(home, bank.name):
        raise UserError("this person is under no legal hold", where=str(home.decisions / HOLDS), found=person_id)
    append_line(
        home.decisions / HOLDS,
        {
            "bank": bank.name,
            "person_id": person_id,
            "action": "release" if is_release else "hold",
            "reason": reason,
            "who": who,
            "at": _now(),
        },
    )


def _refuse_blank(reason: str, what: str) -> None:
    if not reason.strip():
        raise UserError(f"{what} needs a reason", where="--reason", found="nothing", valid="why, in words")


def plan(home: Home, bank: Bank, person_ids: Sequence[str], *, who: str) -> ErasurePlan:
    """What erasing persons would do; nothing is changed.

    Raises
    ------
    UserError
        If a person is unknown, the warehouse is not up to date, or it is not for `who` to erase.
    """

    def identifiers(record_ids: Iterable[str]) -> list[str]:
        values = read_clear(home, bank.name, record_ids, purpose=PURPOSE, role=ROLE, who=who)
        return [value.value for value in values]

    with held_keys(home.vault) as keys:
        # A file that cannot be rewritten is told before the erasure is stated: afterwards it has to be completed.
        check_files(home, bank.name, keys, is_thorough=True)
    rows = find_rows(home, bank, person_ids, identifiers)
    held = legal_holds(home, bank.name)
    models = home.root / "models" / bank.name
    return ErasurePlan(
        rows,
        tuple(path.relative_to(home.root).as_posix() for path in sorted(models.glob("*/[!.]*")) if path.is_dir()),
        tuple(item.release_id for item in list_releases(home) if item.bank == bank.name),
        tuple(path.name for path in sorted(home.as_of.glob("*.duckdb"))),
        # Who shares an account is held with it.
        {person: held[person] for person in sorted({*rows.person_ids, *rows.shared_with}) if person in held},
    )


def erase(
    home: Home, bank: Bank, person_ids: Sequence[str], *, reason: str, who: str, with_shared: bool = False
) -> dict[str, Any]:
    """Erase persons: afterwards no key, landed row, quarantined record or decision about them is left.

    The warehouse file is deleted, since deleted rows stay in DuckDB's bytes: the next run builds a new one.

    Parameters
    ----------
    home, bank
        The installation and its bank.
    person_ids
        The persons.
    reason, who
        Go into the certificate.
    with_shared
        Whether accounts go that somebody else may dispose of too.

    Returns
    -------
    dict
        The certificate, as it stands in `decisions/erasures.jsonl`.

    Raises
    ------
    UserError
        If a legal hold blocks it, an account is shared, a run is going on, a person is not found, or it is not for
        `who` to erase.
    """
    _refuse_blank(reason, "an erasure")
    with _no_run(home):
        completed = complete(home)
        if completed is not None and set(person_ids) <= set(completed["person_ids"]):
            return completed
        planned = plan(home, bank, person_ids, who=who)
        if planned.holds:
            raise UserError(
                "a legal hold blocks the erasure; nothing was changed",
                where=str(home.decisions / HOLDS),
                found="; ".join(f"{person}: {why}" for person, why in planned.holds.items()),
                next_step="mainbank hold PERSON --release --reason ..., once the hold has ended",
            )
        if planned.rows.shared_accounts and not with_shared:
            raise UserError(
                "accounts of the person are shared with others, who would lose their history; nothing was changed",
                where="raw.account_holders",
                found=f"{len(planned.rows.shared_accounts)} of {len(planned.rows.accounts)} accounts",
                next_step="settle or transfer them at the source first, or erase --with-shared",
            )
        _state_erasure(home, bank, planned, reason, who)
        certificate = complete(home)
    if certificate is None:
        raise RuntimeError("an erasure was stated and not completed")
    return certificate


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _state_erasure(home: Home, bank: Bank, planned: ErasurePlan, reason: str, who: str) -> None:
    rows, at = planned.rows, _now()
    identity = hashlib.sha256("\x1f".join([bank.name, at, *rows.person_ids]).encode()).hexdigest()[:16]
    statement = {
        "erasure_id": identity,
        "bank": bank.name,
        "person_ids": list(rows.person_ids),
        "record_ids": sorted(rows.record_ids),
        "customers": hashed_ids("customer", rows.customers),
        "accounts": hashed_ids("account", rows.accounts),
        "reason": reason,
        "who": who,
        "at": at,
        "models": list(planned.models),
        "releases": list(planned.releases),
        "as_of_files": list(planned.as_of_files),
        "superseded": list(rows.superseded),
        "landed": {delivery: sorted(numbers) for delivery, numbers in rows.landed.items()},
        "quarantined": {
            delivery: sorted({*rows.quarantined.get(delivery, ()), *rows.perhaps_quarantined.get(delivery, ())})
            for delivery in sorted({*rows.quarantined, *rows.perhaps_quarantined})
        },
    }
    write_json(home.vault / JOURNAL, statement)


def complete(home: Home) -> dict[str, Any] | None:
    """Do what is left of an erasure that was stated; its certificate, or None if there is none.

    Raises
    ------
    UserError
        If the statement cannot be read, or the vault's keys do not open.
    """
    path = home.vault / JOURNAL
    if not path.is_file():
        return None
    try:
        stated: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            "the statement of an erasure cannot be read",
            where=str(path),
            found=type(error).__name__,
            next_step="restore it from a backup, or delete it and erase again",
        ) from error
    with held_keys(home.vault, exclusively=True) as keys:
        certificate = _Erasure(home, keys, stated).run()
        path.unlink(missing_ok=True)
    return certificate


class _Erasure:
    """The steps of one erasure; each may be done again."""

    def __init__(self, home: Home, keys: VaultKeys, stated: dict[str, Any]) -> None:
        self._home = home
        self._keys = keys
        self._stated = stated
        self._bank: str = stated["bank"]
        self._id: str = stated["erasure_id"]
        self._ring = KeyRing(keys, home.vault, self._bank)
        self._manifests = Manifests(home.vault, self._bank, keys.token)
        self._records = pa.array(stated["record_ids"], pa.string())

    def run(self) -> dict[str, Any]:
        home, stated = self._home, self._stated
        entries = {entry.delivery_id: entry for entry in read_ledger(home.landing, self._bank)}
        landed: dict[str, list[int]] = stated["landed"]
        quarantined: dict[str, list[int]] = stated["quarantined"]
        deliveries = []
        for delivery in sorted({*landed, *quarantined}):
            numbers = sorted({*landed.get(delivery, []), *quarantined.get(delivery, [])})
            self._remember(delivery, numbers)
            deliveries.append(self._rewrite(entries[delivery], numbers))
        for delivery in stated["superseded"]:
            self._drop(entries[delivery])
        for path in sorted((home.vault / self._bank).glob("[0-9a-f]*.parquet")):
            self._drop_records(path)
        for path in key_files(home.vault, self._bank):
            self._destroy_keys(path)
        for path in sorted((home.root / "models" / self._bank).glob("*/*/*.parquet")):
            self._drop_persons(path)
        decisions.forget(home, self._bank, stated["record_ids"], stated["person_ids"])
        self._remove_built()
        self._manifests.settle()
        known = {line["erasure_id"]: line for line in read_lines(home.decisions / ERASURES)}
        if self._id in known:
            return known[self._id]
        kept = ("erasure_id", "bank", "person_ids", "record_ids", "customers", "accounts", "reason", "who", "at")
        listed = ("models", "releases", "as_of_files", "superseded")
        content: dict[str, Any] = {name: stated[name] for name in (*kept, *listed)} | {"deliveries": deliveries}
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        content["certificate"] = hashlib.sha256(text.encode()).hexdigest()
        append_line(home.decisions / ERASURES, content)
        return content

    def _remember(self, delivery: str, numbers: Sequence[int]) -> None:
        path = _erased_rows_path(self._home, self._bank, delivery)
        before = pq.read_table(path)["source_row"].to_pylist() if path.is_file() else []
        rows = pa.array(sorted({*before, *numbers}), pa.int64())
        write_parquet(path, pa.table({"source_row": rows}), 0o600)

    def _rewrite(self, entry: LedgerEntry, numbers: Sequence[int]) -> dict[str, Any]:
        """Rewrite a delivery without rows; what it was and is, for the certificate."""
        gone = pa.array(numbers, pa.int64())
        path = entry.parquet_path(self._home.landing)
        tokens = self._rewrite_landed(path, gone)
        remaining = self._rewrite_quarantined(entry, set(numbers))
        self._rewrite_blocks(entry, gone, tokens)
        self._forget_unused(entry)
        with path.open("rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        history = self._home.landing / self._bank / LEDGER_FOLDER / "history"
        history.mkdir(parents=True, exist_ok=True)
        before = history / f"{entry.delivery_id}.{self._id}.json"
        if self._id in entry.erasures:
            old = json.loads(before.read_text(encoding="utf-8"))
        else:
            landed = pq.read_metadata(path).num_rows
            if not before.exists():
                standing = before.parent.parent / f"{entry.delivery_id}.json"
                shutil.copyfile(standing, before.with_suffix(".tmp"))
                move(before.with_suffix(".tmp"), before)
            old = dataclasses.asdict(entry)
            write_entry(
                self._home.landing,
                replace(
                    entry,
                    rows_landed=landed,
                    rows_quarantined=remaining,
                    rows_erased=entry.rows_read - landed - remaining - entry.rows_filtered - entry.rows_unchanged,
                    parquet_sha256=sha256,
                    erasures=(*entry.erasures, self._id),
                ),
            )
        return {
            "delivery_id": entry.delivery_id,
            "rows": len(numbers),
            "sha256_before": old["parquet_sha256"],
            "sha256_after": sha256,
        }

    @staticmethod
    def _rewrite_landed(path: Path, gone: pa.Array) -> set[str]:
        """Rewrite the landed file, batch by batch; the tokens its rows still have."""
        temporary = path.with_name(f".{path.stem}.tmp")
        tokens: set[str] = set()
        source = pq.ParquetFile(path)
        texts = [f.name for f in source.schema_arrow if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        with pq.ParquetWriter(temporary, source.schema_arrow, compression="zstd") as writer:
            for batch in source.iter_batches(batch_size=1 << 17):
                rows = pa.Table.from_batches([batch])
                rows = rows.filter(pc.invert(pc.is_in(rows["_source_row"].cast(pa.int64()), value_set=gone)))
                writer.write_table(rows)
                for name in texts:
                    distinct = rows[name].drop_null().unique()
                    tokens.update(distinct.filter(pc.equal(pc.utf8_length(distinct), 64)).to_pylist())
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        move(temporary, path)
        return tokens

    def _rewrite_blocks(self, entry: LedgerEntry, gone: pa.Array, tokens: set[str]) -> None:
        """Seal anew the values of rows without a record, but for those no row is left of."""
        path = sealed_path(self._home.vault, self._bank, entry.delivery_id)
        if not path.is_file():
            return
        table = read_sealed(path)
        blocks = [(name, sealed) for name, sealed in blocks_of(table) if f"/values-{self._id}/" not in name]
        if not blocks:
            return
        keys = self._ring.find([name for name, _ in blocks])
        kept, fresh = [table.filter(table["block"].is_null())], []
        spill = spill_folder(self._home.vault)
        with duckdb.connect(":memory:", config={"temp_directory": spill}) as connection:
            use_key(connection, self._keys.token)
            connection.register("left_token", pa.table({"token": pa.array(sorted(tokens), pa.string())}))
            connection.register("gone", pa.table({"source_row": gone}))
            for number, (name, sealed) in enumerate(blocks, start=1):
                connection.register("block", open_block(keys[name], self._bank, name, sealed))
                values = connection.sql(
                    'select "column", source_row, value from block where case when source_row is null '
                    f"then {token_expression('value')} in (select token from left_token) "
                    "else source_row not in (select source_row from gone) end"
                ).to_arrow_table()
                connection.unregister("block")
                new = f"{entry.delivery_id}/values-{self._id}/{number:06d}"
                _, content, key = seal_block(self._ring, self._bank, new, values.cast(BLOCK_VALUES))
                kept.append(block_row(new, content))
                fresh.append(key)
        self._exchange(entry, path, pa.concat_tables(kept).cast(SEALED), fresh)

    def _rewrite_quarantined(self, entry: LedgerEntry, gone: set[int]) -> int:
        """Rewrite the quarantine of a delivery; the number of records left in it."""
        path = quarantine_path(self._home.quarantine, self._bank, entry.delivery_id)
        if not path.is_file():
            return 0
        table = pq.read_table(path)
        numbers = set(table["source_row"].to_pylist())
        if not numbers & gone:
            return len(numbers)
        records = quarantined_records(self._ring, self._bank, path)
        is_left = pc.invert(pc.is_in(table["source_row"], value_set=pa.array(sorted(gone), pa.int64())))
        faults = table.filter(is_left).select(FAULTS.names).cast(FAULTS)
        left = [{"source_row": n, "raw": text} for n, text in records.items() if n not in gone]
        if not left:
            self._manifests.remove(path)
            return 0
        new = f"{entry.delivery_id}/quarantine-{self._id}/000001"
        content = pa.Table.from_pylist(left, schema=QUARANTINED_RECORDS)
        _, sealed, key = seal_block(self._ring, self._bank, new, content)
        self._exchange(entry, path, with_block(faults, new, sealed), [key])
        return len(left)

    def _exchange(self, entry: LedgerEntry, path: Path, table: pa.Table, fresh: list[pa.Table]) -> None:
        """Replace a sealed file: its new keys are there before it; the old ones go when all is rewritten."""
        keys = keys_path(self._home.vault, self._bank, entry.delivery_id)
        standing = pq.read_table(keys)
        names = pa.concat_arrays([key["name"].combine_chunks() for key in fresh])
        standing = standing.filter(pc.invert(pc.is_in(standing["name"], value_set=names)))
        self._manifests.replace(keys, pa.concat_tables([standing, *fresh]).replace_schema_metadata(self._ring.metadata))
        self._manifests.replace(path, table)

    def _forget_unused(self, entry: LedgerEntry) -> None:
        """Destroy the keys of blocks that are in no file any more."""
        keys = keys_path(self._home.vault, self._bank, entry.delivery_id)
        if not keys.is_file():
            return
        used = []
        for path in (
            sealed_path(self._home.vault, self._bank, entry.delivery_id),
            quarantine_path(self._home.quarantine, self._bank, entry.delivery_id),
        ):
            if path.is_file():
                used += read_sealed(path, ["block"])["block"].drop_null().to_pylist()
        table = pq.read_table(keys)
        is_used = pc.is_in(table["name"], value_set=pa.array(used, pa.string()))
        left = table.filter(pc.or_(is_used, pc.equal(pc.utf8_length(table["name"]), 64)))
        if left.num_rows < table.num_rows:
            self._manifests.replace(keys, left.replace_schema_metadata(self._ring.metadata))

    def _drop(self, entry: LedgerEntry) -> None:
        """Remove the files of a delivery that is no longer in force; its ledger entry stays."""
        entry.parquet_path(self._home.landing).unlink(missing_ok=True)
        self._manifests.remove(sealed_path(self._home.vault, self._bank, entry.delivery_id))
        self._manifests.remove(quarantine_path(self._home.quarantine, self._bank, entry.delivery_id))
        self._forget_unused(entry)

    def _drop_records(self, path: Path) -> None:
        """Take the records' rows out of a sealed file: without their keys they are noise, but noise that remains."""
        ids = read_sealed(path, ["record_id"])["record_id"]
        if not pc.any(pc.is_in(ids, value_set=self._records)).as_py():
            return
        table = read_sealed(path)
        self._manifests.replace(path, table.filter(pc.invert(pc.is_in(table["record_id"], value_set=self._records))))

    def _destroy_keys(self, path: Path) -> None:
        table = pq.read_table(path)
        is_theirs = pc.is_in(table["name"], value_set=self._records)
        if pc.any(is_theirs).as_py():
            left = table.filter(pc.invert(is_theirs)).replace_schema_metadata(table.schema.metadata)
            self._manifests.replace(path, left)

    def _drop_persons(self, path: Path) -> None:
        """Take the persons' rows out of what a miner kept beside a model."""
        schema = pq.read_schema(path)
        if "person_id" not in schema.names:
            return
        table = pq.read_table(path)
        persons = pa.array(self._stated["person_ids"], pa.string())
        is_theirs = pc.is_in(table["person_id"].cast(pa.string()), value_set=persons)
        if pc.any(is_theirs).as_py():
            write_parquet(path, table.filter(pc.invert(is_theirs)), path.stat().st_mode & 0o777)

    def _remove_built(self) -> None:
        """Remove what is built from landing: deleted rows would stay in the bytes of a DuckDB file.

        So does what was found by comparing with sources: it lists rows, and the next run compares again.
        """
        for path in (self._home.landing / self._bank / RECONCILIATION).glob("*"):
            path.unlink()
        built = [self._home.warehouse, *self._home.as_of.glob("*.duckdb")]
        for file in built:
            for path in (file, file.with_name(f"{file.name}.wal")):
                path.unlink(missing_ok=True)


@contextmanager
def _no_run(home: Home) -> Iterator[None]:
    """Hold the lock that every run holds: an erasure in the middle of one would be undone by it."""
    home.temporary.mkdir(parents=True, exist_ok=True)
    with (home.temporary / "run.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                "a run is working on this home",
                where=str(home.root),
                next_step="wait until it ends, then erase again",
            ) from error
        yield
