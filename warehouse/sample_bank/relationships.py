"""Table `relationship_assignments`: which manager looks after whom, in versions: begun, and ended with the reason.

Customers of 200,000 and more have a manager, of the team of their branch; the senior one from a million on. They keep
him until he leaves, the books are evened out, or they close their accounts: when their wealth grows or shrinks
nothing changes, so grades and tiers come apart as they do in banks. A new manager changes nobody's life here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from warehouse.sample_bank.columns import dates, strings, timestamps
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS, customer_ids
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.employees import Staff, employee_ids
from warehouse.sample_bank.ledger import Columns
from warehouse.sample_bank.parameters import CURRENT, Parameters
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, IntegerArray
from warehouse.sample_bank.state import State

REASONS = ("tier_reached", "manager_left", "handed_over", "account_closed")
_TIER, _LEFT, _HANDED, _CLOSED = range(len(REASONS))


def closing_days(block: State, accounts: Mapping[str, npt.NDArray[Any]]) -> IntegerArray:
    """Day on which each customer of a block closed the demand account in a month; 0 for the others."""
    days = np.zeros(len(block), np.int64)
    if accounts:
        closes = (accounts["product"] == CURRENT) & (accounts["closed_day"] > 0)
        days[accounts["row"][closes]] = accounts["closed_day"][closes]
    return days


class Relationships:
    """Who looks after the customers of a block.

    Parameters
    ----------
    block
        When the window opens.
    staff
        Of the bank.
    seed, parameters
        Of the bank.
    """

    def __init__(self, block: State, staff: Staff, seed: int, parameters: Parameters) -> None:
        size = len(block)
        self._staff, self._seed, self._parameters = staff, seed, parameters
        #: -1: no manager.
        self.place = np.full(size, -1, np.int64)
        self.holder = np.zeros(size, np.int64)
        self._since = np.zeros(size, np.int64)
        self._agreed = np.zeros(size, np.int64)

    def is_managed(self) -> BooleanArray:
        """Whether a customer has a manager."""
        return self.place >= 0

    def _seats(self, aum: IntegerArray) -> IntegerArray:
        return np.where(aum >= self._parameters.further.senior_aum * 100, 0, 1)

    def _begin(
        self, versions: Columns, rows: IntegerArray, place: IntegerArray, day: IntegerArray, *, reason: int,
        agreed: IntegerArray | None = None,
    ) -> None:  # fmt: skip
        self.place[rows] = place
        self.holder[rows] = self._staff.holder(place, day)
        self._since[rows] = day
        self._agreed[rows] = 0 if agreed is None else agreed
        self._keep(versions, rows, np.zeros(len(rows), np.int64), reason, day * 86_400 + 8 * 3600)

    def _end(self, versions: Columns, rows: IntegerArray, day: IntegerArray, reason: int) -> None:
        self._keep(versions, rows, day, reason, day * 86_400 + 22 * 3600)

    def _keep(
        self, versions: Columns, rows: IntegerArray, until: IntegerArray, reason: int, updated: IntegerArray
    ) -> None:
        versions.add(
            len(rows), row=rows, place=self.place[rows], holder=self.holder[rows], since=self._since[rows],
            until=until, reason=reason, agreed=self._agreed[rows], updated=updated,
        )  # fmt: skip

    def opening(self, block: State, eve: int) -> pa.Table:
        """Assignments that stand when the window opens."""
        versions = Columns()
        aum = block.aum()
        rows = np.flatnonzero(block.is_open[CURRENT] & (aum >= self._parameters.further.managed_aum * 100))
        draws = Draws(self._seed, "relationships", block.people.number)
        place = self._places(block, rows, aum)
        holder = self._staff.holder(place, eve)
        since = np.maximum(
            np.maximum(self._staff.starts[place, holder], block.people.joined_day[rows]),
            eve - draws.integer("managed since", 1_500, rows),
        )
        self._begin(versions, rows, place, since, reason=_TIER)
        return self._table(block, versions)

    def _places(self, block: State, rows: IntegerArray, aum: IntegerArray) -> IntegerArray:
        people = block.people
        size = self._parameters.further.numbers_per_team
        return self._staff.manager_place(people.number[rows], people.branch[rows], self._seats(aum[rows]), size)

    def _settled_day(self, place: IntegerArray, day: IntegerArray, month: Month) -> IntegerArray:
        """The day itself, or that on which the place's last holder of the month begins: nobody is given to a leaver."""
        return np.maximum(day, self._staff.starts[place, self._staff.holder(place, month.last_day)])

    def step(self, block: State, month: Month, closed: IntegerArray) -> pa.Table:
        """Versions of a month; the block stands at its end.

        Parameters
        ----------
        block, month
            What was lived.
        closed
            From `closing_days`.
        """
        further, versions = self._parameters.further, Columns()
        draws = Draws(self._seed, "relationships", block.people.number, month.number)
        first = month.first_day

        managed = np.flatnonzero(self.place >= 0)
        # Who closes in the month leaves the book on that day, whoever held it then.
        now = self._staff.holder(self.place[managed], month.last_day)
        changed = managed[now != self.holder[managed]]
        day = self._staff.starts[self.place[changed], self.holder[changed] + 1]
        stays = (closed[changed] == 0) | (closed[changed] >= day)
        changed, day = changed[stays], day[stays]
        self._end(versions, changed, day - 1, _LEFT)
        self._begin(versions, changed, self.place[changed], day, reason=_LEFT)

        settled = (self.place >= 0) & (closed == 0) & (self._since < first)
        rows = np.flatnonzero(settled & draws.happens("handed over", further.handed_over))
        seat = self._staff.seat[self.place[rows]]
        place = self.place[rows] + np.where(seat == 0, 1, -1)
        day = self._settled_day(place, first + 2 + draws.integer("hand-over day", 24, rows), month)
        self._end(versions, rows, day - 1, _HANDED)
        agreed = np.where(draws.happens("agrees", further.agrees, rows), day - 1 - draws.integer("agreed", 10, rows), 0)
        self._begin(versions, rows, place, day, reason=_HANDED, agreed=agreed)

        leaving = np.flatnonzero((self.place >= 0) & (closed > 0))
        self._end(versions, leaving, closed[leaving], _CLOSED)
        self.place[leaving] = -1

        aum = block.aum_before
        is_known_dead = (block.notice_month > 0) & (block.notice_month <= month.number)
        rows = np.flatnonzero(
            (self.place < 0)
            & block.is_open[CURRENT]
            & ~is_known_dead
            & (block.people.joined_day < first)
            & (aum >= further.managed_aum * 100)
        )
        place = self._places(block, rows, aum)
        day = self._settled_day(place, first + 1 + draws.integer("assigned", 8, rows), month)
        self._begin(versions, rows, place, day, reason=_TIER)
        return self._table(block, versions)

    def _table(self, block: State, versions: Columns) -> pa.Table:
        columns = versions.collected()
        order = np.lexsort((columns["updated"], columns["row"]))
        row, place, holder, since, until, reason, agreed, updated = (
            columns[name][order].astype(np.int64)
            for name in ("row", "place", "holder", "since", "until", "reason", "agreed", "updated")
        )
        zeros = np.zeros(len(row), np.int64)
        return pa.table(
            {
                "source_system": strings(["crm"], zeros),
                "customer_source_system": strings(["core"], zeros),
                "source_customer_id": customer_ids(block.people.number[row]),
                "employee_id": employee_ids(place, holder),
                "valid_from": dates(since),
                "valid_to": dates(until, until > 0),
                "reason": strings(REASONS, reason),
                "customer_agreed_on": dates(agreed, agreed > 0),
                "updated_at": timestamps(updated - UTC_OFFSET_SECONDS),
            }
        )
