"""What was decided about persons: merges and splits by people, ids that stay, ids that went into another. Append-only.

Lines name records by their pseudonyms and persons by their ids; what they say holds in every rebuild.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from warehouse.database import open_read_only
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.identity.model import FOLDER
from warehouse.sources.bank import Bank
from warehouse.vault.files import append_line, locked, read_lines, write_bytes

FILE = "decisions.jsonl"
MERGE, SPLIT, KEEP, MERGED = "merge", "split", "keep", "merged"
#: Who is named where no person decided.
PIPELINE = "pipeline"
#: In the place of the reason of a decision that named somebody who was erased since.
ERASED = "erased"
_IS_CURRENT = "known_to = date '9999-12-31'"


def decisions_path(home: Home, bank: str) -> Path:
    """Where the decisions about a bank's persons stand."""
    return home.decisions / FOLDER / bank / FILE


def read_decisions(home: Home, bank: str) -> list[dict[str, Any]]:
    """All decisions, in the order in which they were made."""
    return read_lines(decisions_path(home, bank))


def land(home: Home, bank: str, action: str, *, who: str, reason: str, **content: object) -> None:
    """Append a decision; refused while an erasure rewrites what was decided."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with locked(home.vault, exclusively=False):
        append_line(decisions_path(home, bank), {"action": action, **content, "reason": reason, "who": who, "at": at})


def forget(home: Home, bank: str, record_ids: Collection[str], person_ids: Collection[str]) -> None:
    """Take erased records and persons out of the decisions; what was decided about others stays in force.

    The reason of a line that named one goes too: it is in somebody's own words. The vault is held exclusively.
    """
    path = decisions_path(home, bank)
    if not path.is_file():
        return
    records, persons = frozenset(record_ids), frozenset(person_ids)
    before = read_decisions(home, bank)
    after = [kept for line in before if (kept := _without(line, records, persons)) is not None]
    if after != before:
        text = "".join(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n" for line in after)
        write_bytes(path, text.encode())


def _without(line: dict[str, Any], records: frozenset[str], persons: frozenset[str]) -> dict[str, Any] | None:
    """A decision without erased records and persons; None if nothing is left that it is about."""
    kept = dict(line)
    if line["action"] == MERGE:
        kept["records"] = [living for group in line["records"] if (living := [r for r in group if r not in records])]
        kept["person_ids"] = [person for person in line["person_ids"] if person not in persons]
    else:
        kept |= {name: [r for r in line[name] if r not in records] for name in ("records", "staying") if name in line}
    if "records" in line and not kept["records"] and not kept.get("staying"):
        return None
    if persons.intersection((line.get("person_id"), line.get("merged_person_id"))):
        if line["action"] != SPLIT:
            return None
        kept["person_id"] = None
    return kept if kept == line else kept | {"reason": ERASED}


@dataclass(frozen=True)
class PersonRecord:
    """A record of a person, without anything that identifies them.

    Attributes
    ----------
    record_id, person_id, source_system, source_customer_id, evidence
        As in `raw.person_records`.
    party_type
        Of its last version.
    """

    record_id: str | None
    person_id: str
    source_system: str
    source_customer_id: str
    evidence: str
    party_type: str

    @property
    def place(self) -> str:
        """How commands name it."""
        return f"{self.source_system}:{self.source_customer_id}"


def records_of(home: Home, bank: Bank, person_ids: Sequence[str]) -> dict[str, list[PersonRecord]]:
    """The records of persons, as the last run resolved them.

    Raises
    ------
    UserError
        If a person is not known; one that went into another is told with that one's id.
    """
    with open_read_only(home.warehouse, bank.settings.resources, home.temporary) as connection:
        rows = connection.execute(
            f"""
            select p.record_id, p.person_id, p.source_system, p.source_customer_id, p.evidence, c.party_type
            from raw.person_records as p
            inner join (
                from raw.customers where operation = 'upsert'
                qualify row_number() over (
                    partition by source_system, source_customer_id order by known_on desc, source_row desc, row_hash
                ) = 1
            ) as c using (source_system, source_customer_id)
            where p.person_id in (select unnest($asked)) and p.{_IS_CURRENT}
            order by p.source_system, p.source_customer_id
            """,
            {"asked": list(person_ids)},
        ).fetchall()
        found: dict[str, list[PersonRecord]] = {person: [] for person in person_ids}
        for row in rows:
            found[row[1]].append(PersonRecord(*row))
        for person, records in found.items():
            if not records:
                raise UserError(
                    "there is no such person",
                    where=f"{home.warehouse}: raw.person_records",
                    found=f"{person}{_went_into(connection, person)}",
                    valid="a person_id of core.dim_customer",
                )
    return found


def _went_into(connection: duckdb.DuckDBPyConnection, person: str) -> str:
    row = connection.execute("select person_id from raw.person_merges where merged_person_id = ?", [person]).fetchone()
    return f", who is {row[0]} now" if row else ""


def merge(home: Home, bank: Bank, person_ids: Sequence[str], *, reason: str, who: str) -> None:
    """Decide that persons are one; the next run makes them one.

    Raises
    ------
    UserError
        Fewer than two persons, an unknown one, a person and a firm, or a record without pseudonym.
    """
    persons = sorted(set(person_ids))
    if len(persons) < 2:
        raise UserError("it takes two persons to be one", where="PERSON", found=", ".join(persons) or "none")
    records = records_of(home, bank, persons)
    kinds = {record.party_type for of_person in records.values() for record in of_person}
    if len(kinds) > 1:
        raise UserError(
            "a person and a firm are never one customer",
            where="raw.customers.party_type",
            found=", ".join(sorted(kinds)),
            valid="persons only, or firms only",
        )
    land(
        home,
        bank.name,
        MERGE,
        person_ids=persons,
        records=[_pseudonyms(records[person]) for person in persons],
        known_on=_as_of(home, bank).isoformat(),
        reason=reason,
        who=who,
    )


def split(home: Home, bank: Bank, person_id: str, places: Sequence[str], *, reason: str, who: str) -> None:
    """Decide that records are not of the person they are counted to; the next run parts them.

    Parameters
    ----------
    home, bank, person_id
        The person as of the last run.
    places
        The records that leave, as `system:id`; together they are one person.
    reason, who
        Go into the decision.

    Raises
    ------
    UserError
        The person is unknown, a record is not of the person, or none would stay.
    """
    records = records_of(home, bank, [person_id])[person_id]
    known = {record.place: record for record in records}
    strange = sorted(set(places) - set(known))
    if strange or not places:
        raise UserError(
            "these are not records of the person",
            where="--record",
            found=", ".join(strange) or "none",
            valid=", ".join(known),
            next_step=f"mainbank identity show {person_id}",
        )
    staying = [record for place, record in known.items() if place not in places]
    if not staying:
        raise UserError(
            "no record would stay with the person",
            where="--record",
            found=f"all {len(known)} of them",
            valid=f"at most {len(known) - 1} of: {', '.join(known)}",
        )
    land(
        home,
        bank.name,
        SPLIT,
        person_id=person_id,
        records=_pseudonyms([known[place] for place in sorted(set(places))]),
        staying=_pseudonyms(staying),
        reason=reason,
        who=who,
    )


def _pseudonyms(records: Sequence[PersonRecord]) -> list[str]:
    missing = [record.place for record in records if record.record_id is None]
    if missing:
        raise UserError(
            "nothing can be decided about a record without pseudonym",
            where="raw.person_records.record_id",
            found=", ".join(missing),
            next_step="name the column with the customer's id as `record` of the source in the mapping",
        )
    return [str(record.record_id) for record in records]


def _as_of(home: Home, bank: Bank) -> date:
    """Date up to which the warehouse shows persons: a merge holds from then on, and restates nothing before."""
    with open_read_only(home.warehouse, bank.settings.resources, home.temporary) as connection:
        (row,) = connection.execute("select as_of from bookkeeping.state").fetchall()
    day: date = row[0]
    return day
