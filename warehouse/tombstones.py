"""Tombstones: by which hashes erased persons, their customers' records and accounts are known again and kept out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from warehouse.home import Home
from warehouse.vault.files import read_lines

ERASURES = "erasures.jsonl"


@dataclass(frozen=True)
class Tombstones:
    """Who was erased, as far as it must be known to keep them out.

    Attributes
    ----------
    record_ids
        Pseudonyms of source records.
    customers, accounts
        Hashes of source system and source id, see `hashed_ids`.
    """

    record_ids: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()

    def condition(self, kind: str, system_sql: str, id_sql: str) -> str | None:
        """SQL, never NULL: an id is an erased one. None if none of its kind was erased."""
        hashes = sorted(self.customers if kind == "customer" else self.accounts)
        if not hashes:
            return None
        listed = ", ".join(f"'{hashed}'" for hashed in hashes)
        return f"coalesce({hashed_id_expression(kind, system_sql, id_sql)} in ({listed}), false)"


NOBODY = Tombstones()


def tombstones(home: Home, bank: str) -> Tombstones:
    """Everybody who was erased from a bank."""
    lines = [line for line in read_lines(home.decisions / ERASURES) if line["bank"] == bank]
    return Tombstones(
        frozenset(record for line in lines for record in line["record_ids"]),
        frozenset(hashed for line in lines for hashed in line["customers"]),
        frozenset(hashed for line in lines for hashed in line["accounts"]),
    )


def hashed_ids(kind: str, ids: Iterable[tuple[str, str]]) -> list[str]:
    """Hashes of pairs of source system and source id, sorted."""
    return sorted(hashlib.sha256("\x1f".join((kind, system, id_)).encode()).hexdigest() for system, id_ in ids)


def hashed_id_expression(kind: str, system_sql: str, id_sql: str) -> str:
    """SQL for one of `hashed_ids`."""
    return f"sha256('{kind}' || chr(31) || {system_sql} || chr(31) || {id_sql})"
