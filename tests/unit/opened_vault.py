"""A vault opened for tests: fixed keys, and what is sealed in it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq

from warehouse.home import Home
from warehouse.ledger import read_ledger
from warehouse.quarantine import quarantine_path, quarantined_records
from warehouse.vault import KeyRing, VaultKeys, keys_path, load_keys, sealed_path
from warehouse.vault.files import write_bytes
from warehouse.vault.keys import _write_token_key
from warehouse.vault.manifests import Manifests, fingerprint
from warehouse.vault.sealed import blocks_of, open_block, open_record, read_sealed

#: Files that differ between homes that hold the same, or belong to no delivery.
OWN_FILES = frozenset({".lock", "master.key", "token.key"})


def plant_keys(home: Home, master: str, token: str = "2e" * 32) -> Home:
    """Give a home its keys, so that tokens are those of another home with the same ones."""
    home.vault.mkdir(parents=True, exist_ok=True)
    home.vault.chmod(0o700)
    write_bytes(home.vault / "master.key", f"{master}\n".encode())
    _write_token_key(home.vault, bytes.fromhex(master), bytes.fromhex(token))
    return home


def sealed_values(home: Home, bank: str, delivery_id: str) -> list[tuple[str | None, int | None, str, str]]:
    """Record, row, column and value of everything sealed of one delivery, in the order of the rows."""
    keys = load_keys(home.vault, may_create=False)
    ring, path = KeyRing(keys, home.vault, bank), sealed_path(home.vault, bank, delivery_id)
    if not path.is_file():
        return []
    table = read_sealed(path)
    found: list[tuple[str | None, int | None, str, str]] = []
    blocks = dict(blocks_of(table))
    wrapped = ring.find([*table["record_id"].drop_null().to_pylist(), *blocks])
    for row in table.filter(table["record_id"].is_valid()).to_pylist():
        record, number = row["record_id"], row["source_row"]
        if record in wrapped:
            content = open_record(wrapped[record], bank, delivery_id, record, number, row["sealed"])
            found += [(record, number, name, value) for name, value in json.loads(content).items() if value is not None]
    for name, sealed in blocks.items():
        rows = open_block(wrapped[name], bank, name, sealed).to_pylist()
        found += [(None, row["source_row"], row["column"], row["value"]) for row in rows]
    return found


def quarantined(home: Home, bank: str, delivery_id: str) -> list[dict[str, Any]]:
    """The faults of one delivery, each with its record as it stood in the file."""
    ring = KeyRing(load_keys(home.vault, may_create=False), home.vault, bank)
    path = quarantine_path(home.quarantine, bank, delivery_id)
    raw = quarantined_records(ring, bank, path)
    rows = pq.read_table(path).drop_columns(["block", "sealed"]).to_pylist()
    return [{**row, "raw": raw[row["source_row"]]} for row in rows]


def contents(home: Home) -> dict[str, Any]:
    """Everything a home holds, sealed values opened, but for the clock and the keys themselves."""
    found: dict[str, Any] = {}
    banks = [folder.name for folder in home.landing.glob("*") if folder.is_dir()]
    for path in sorted(home.root.rglob("*")):
        place = path.relative_to(home.root)
        if not path.is_file() or path.name in OWN_FILES:
            continue
        if place.parts[0] in ("vault", "quarantine"):
            found[place.as_posix()] = sorted(pq.read_table(path)["name"].to_pylist()) if "keys" in place.parts else None
            continue
        found[place.as_posix()] = path.read_bytes()
        if path.suffix == ".json":
            found[place.as_posix()] = {k: v for k, v in json.loads(path.read_text()).items() if k != "landed_at"}
    for bank in banks:
        for entry in read_ledger(home.landing, bank):
            found[f"sealed/{bank}/{entry.delivery_id}"] = sealed_values(home, bank, entry.delivery_id)
            if quarantine_path(home.quarantine, bank, entry.delivery_id).is_file():
                found[f"quarantined/{bank}/{entry.delivery_id}"] = quarantined(home, bank, entry.delivery_id)
    assert found
    return found


def keys_of(home: Home) -> VaultKeys:
    """The keys of a home."""
    return load_keys(home.vault, may_create=False)


def everything_inside(home: Home) -> str:
    """All clear values inside the walls as one text."""
    return json.dumps(
        {k: v for k, v in contents(home).items() if k.startswith(("sealed/", "quarantined/"))}, ensure_ascii=False
    )


def restate(home: Home, bank: str) -> None:
    """Make the manifests fit the files as they are, as only whoever has the token key can."""
    manifests = Manifests(home.vault, bank, keys_of(home).token)
    for delivery in manifests.deliveries():
        paths = [place(home.vault, bank, delivery) for place in (sealed_path, keys_path)]
        manifests.state(delivery, {path: found for path in paths if (found := fingerprint(path)) is not None})
