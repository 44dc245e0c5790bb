"""From links to persons: which records come together, in the order in which that was known, and under which id.

A person's id is that of the record known first. Links are followed in the order in which they became known, so a record
that comes later joins a person and changes none. Decisions go before links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from warehouse.identity.decisions import KEEP, MERGE, SPLIT

#: Why a record is the person it is, where there is no link to name.
ONE_RECORD = "one record, one person"
FIRST_RECORD = "first known record of the person"
DECIDED = "decided"


@dataclass(frozen=True)
class Link:
    """Two records that are one person, since when that is known, and why."""

    left: int
    right: int
    known_on: date
    evidence: str
    is_decided: bool = False


@dataclass(frozen=True)
class Record:
    """A record by its number: records are numbered in the order in which they were known.

    Attributes
    ----------
    record_id
        Pseudonym.
    own_id
        Id of the person it founds.
    known_on
        When it was first known.
    """

    record_id: str | None
    own_id: str
    known_on: date


@dataclass(frozen=True)
class Assignment:
    """Whose record a record is, from when to when as far as is known; the last one is open (`until` None)."""

    record: int
    person_id: str
    since: date
    until: date | None
    evidence: str


@dataclass
class Rules:
    """What decisions say, by numbers of records.

    Attributes
    ----------
    merges
        Links that were decided.
    apart
        By record, those it must not come together with.
    kept
        By record, the id its person keeps, and how early that was landed.
    """

    merges: list[Link] = field(default_factory=list)
    apart: dict[int, set[int]] = field(default_factory=dict)
    kept: dict[int, tuple[int, str]] = field(default_factory=dict)

    def part(self, left: Iterable[int], right: Iterable[int]) -> None:
        """Keep two groups of records apart."""
        first, second = set(left), set(right)
        for group, other in ((first, second), (second, first)):
            for record in group:
                self.apart.setdefault(record, set()).update(other - {record})

    def join(self, groups: Sequence[Sequence[int]], known_on: date) -> None:
        """Bring groups of records together, whatever was decided before."""
        members = {record for group in groups for record in group}
        for record in members:
            self.apart.get(record, set()).difference_update(members)
        leaders = sorted(min(group) for group in groups if group)
        self.merges += [Link(leaders[0], other, known_on, DECIDED, is_decided=True) for other in leaders[1:]]


def rules_of(decisions: Sequence[Mapping[str, Any]], numbers: Mapping[str, int]) -> Rules:
    """Decisions as rules over the records there are; of the same records the later decision counts.

    Parameters
    ----------
    decisions
        Lines of `decisions.read_decisions`.
    numbers
        Number by pseudonym; records that were erased or withdrawn have none.
    """

    def known(record_ids: Iterable[str]) -> list[int]:
        return [numbers[record] for record in record_ids if record in numbers]

    rules = Rules()
    for place, line in enumerate(decisions):
        if line["action"] == MERGE:
            rules.join([known(group) for group in line["records"]], date.fromisoformat(line["known_on"]))
        elif line["action"] == SPLIT:
            leaving, staying = set(known(line["records"])), set(known(line["staying"]))
            rules.part(leaving, staying)
            rules.merges = [
                link
                for link in rules.merges
                if not ({link.left, link.right} & leaving and {link.left, link.right} & staying)
            ]
            # Each side stays one person, whichever record held it together.
            for side in (leaving, staying):
                rules.join([[record] for record in sorted(side)], date.min)
        elif line["action"] == KEEP:
            for record in known(line["records"]):
                rules.kept.setdefault(record, (place, line["person_id"]))
    return rules


class Persons:
    """Persons that come together link by link.

    Parameters
    ----------
    records
        The records that any link or decision names, by number.
    rules
        Of decisions.
    other_cards
        Pairs of records whose identity cards differ: a decision alone brings them together.
    """

    def __init__(
        self, records: Mapping[int, Record], rules: Rules, other_cards: Iterable[tuple[int, int]] = ()
    ) -> None:
        self._records = records
        self._rules = rules
        self._cards: dict[int, set[int]] = {}
        for left, right in other_cards:
            self._cards.setdefault(left, set()).add(right)
            self._cards.setdefault(right, set()).add(left)
        self._members = {number: [number] for number in records}
        self._of = {number: number for number in records}
        self._evidence: dict[int, str] = {}
        self._history = {number: [(record.known_on, self._id([number]))] for number, record in records.items()}

    def _id(self, members: Sequence[int]) -> str:
        kept = [self._rules.kept[member] for member in members if member in self._rules.kept]
        return min(kept)[1] if kept else self._records[min(members)].own_id

    def follow(self, links: Iterable[Link]) -> None:
        """Follow links in the order in which they became known; of one day, decisions first."""
        ordered = sorted(
            [*self._rules.merges, *links], key=lambda link: (link.known_on, not link.is_decided)
        )  # stable: of one day the strongest first, as they come
        for link in ordered:
            self._join(link)

    def _join(self, link: Link) -> None:
        first, second = sorted((self._of[link.left], self._of[link.right]))
        if first == second or self._must_stay_apart(first, second, is_decided=link.is_decided):
            return
        members, joining = self._members[first], self._members.pop(second)
        before = {first: self._id(members), second: self._id(joining)}
        # A cluster goes by its record known first, so `second` is the one that was known later.
        self._evidence[second] = link.evidence
        whole = members + joining
        now = self._id(whole)
        for cluster, group in ((first, members), (second, joining)):
            if before[cluster] != now:
                for member in group:
                    self._history[member].append((link.known_on, now))
        self._members[first] = whole
        for member in joining:
            self._of[member] = first

    def _must_stay_apart(self, first: int, second: int, *, is_decided: bool) -> bool:
        smaller, larger = sorted((first, second), key=lambda cluster: len(self._members[cluster]))
        others = set(self._members[larger])
        for member in self._members[smaller]:
            if not others.isdisjoint(self._rules.apart.get(member, ())):
                return True
            if not is_decided and not others.isdisjoint(self._cards.get(member, ())):
                return True
        return False

    def clusters(self) -> list[list[int]]:
        """Records by person, those of several records first and last."""
        return [sorted(members) for members in self._members.values()]

    def person_of(self, record: int) -> str:
        """Whose record it is now."""
        return self._history[record][-1][1]

    def assignments(self) -> list[Assignment]:
        """Whose record each record was and is."""
        found = []
        for number in sorted(self._records):
            steps: list[tuple[date, str]] = []
            for since, person in self._history[number]:
                day = max(since, self._records[number].known_on)
                if steps and steps[-1][0] >= day:
                    steps.pop()
                if not steps or steps[-1][1] != person:
                    steps.append((day if steps else self._records[number].known_on, person))
            is_alone = len(self._members[self._of[number]]) == 1
            evidence = self._evidence.get(number, ONE_RECORD if is_alone else FIRST_RECORD)
            for (since, person), following in zip(steps, [*steps[1:], None], strict=True):
                found.append(Assignment(number, person, since, following[0] if following else None, evidence))
        return found
