"""Who looks after whom, as life goes on and as the table `relationship_assignments` in versions: begun, and ended.

Customers of 200,000 and more have a manager, of the team of their branch; the senior one from a million on. They keep
him until he leaves, the books are evened out, or they close their accounts: when their wealth grows or shrinks
nothing changes, so grades and tiers come apart as they do in banks. A new manager drives departures for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.columns import dates, strings, timestamps
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS, customer_ids
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.employees import Staff, employee_ids
from warehouse.sample_bank.ledger import Columns, Ledger
from warehouse.sample_bank.parameters import CURRENT, Parameters
from warehouse.sample_bank.random_numbers import Draws, IntegerArray
from warehouse.sample_bank.state import State

REASONS = ("tier_reached", "manager_left", "handed_over", "account_closed")
_TIER, _LEFT, _HANDED, _CLOSED = range(len(REASONS))


@dataclass(frozen=True)
class Managers:
    """Places in `Staff` that take over customers, and on which day each."""

    place: IntegerArray
    day: IntegerArray


def open_relationships(state: State, eve: int, staff: Staff, seed: int, parameters: Parameters) -> None:
    """Give managers to those who have one on the eve of the window."""
    aum = state.aum()
    rows = np.flatnonzero(state.is_open[CURRENT] & (aum >= parameters.further.managed_aum * 100))
    draws = Draws(seed, "relationships", state.people.number)
    place = _places(state, rows, aum, staff, parameters)
    since = np.maximum(
        np.maximum(staff.starts[place, staff.holder(place, eve)], state.people.joined_day[rows]),
        eve - draws.integer("managed since", 1_500, rows),
    )
    _settle(state, rows, Managers(place, since), staff=staff)


def opening_assignments_table(block: State) -> pa.Table:
    """Assignments that stand when the window opens."""
    rows = np.flatnonzero(block.manager_place >= 0)
    versions = Columns()
    versions.add(
        len(rows), row=rows, place=block.manager_place[rows], holder=block.manager_holder[rows],
        since=block.manager_since[rows], agreed=0, until=0, reason=_TIER,
        updated=block.manager_since[rows] * 86_400 + 8 * 3600,
    )  # fmt: skip
    return assignments_table(block, versions)


def look_after(ledger: Ledger, staff: Staff, seed: int, parameters: Parameters) -> None:
    """Managers who leave, hand over, lose and gain customers in a month, at whose end the state stands.

    Parameters
    ----------
    ledger
        Of the month and the state.
    staff
        Of the bank.
    seed
        Of the draws.
    parameters
        Of the bank.
    """
    state, month, closed = ledger.state, ledger.month, ledger.closing_day
    further = parameters.further
    draws = Draws(seed, "relationships", state.people.number, month.number)
    first = month.first_day

    managed = np.flatnonzero(state.manager_place >= 0)
    # Who closes in the month leaves the book on that day, whoever held it then.
    now = staff.holder(state.manager_place[managed], month.last_day)
    changed = managed[now != state.manager_holder[managed]]
    day = staff.starts[state.manager_place[changed], state.manager_holder[changed] + 1]
    stays = (closed[changed] == 0) | (closed[changed] >= day)
    changed, day = changed[stays], day[stays]
    _hand_over(ledger, changed, Managers(state.manager_place[changed], day), staff=staff, reason=_LEFT)

    settled = (state.manager_place >= 0) & (closed == 0) & (state.manager_since < first)
    rows = np.flatnonzero(settled & draws.happens("handed over", further.handed_over))
    place = state.manager_place[rows] + np.where(staff.seat[state.manager_place[rows]] == 0, 1, -1)
    day = _settled_day(staff, place, first + 2 + draws.integer("hand-over day", 24, rows), month)
    agreed = np.where(draws.happens("agrees", further.agrees, rows), day - 1 - draws.integer("agreed", 10, rows), 0)
    _hand_over(ledger, rows, Managers(place, day), staff=staff, reason=_HANDED, agreed=agreed)

    leaving = np.flatnonzero((state.manager_place >= 0) & (closed > 0))
    ledger.assign(leaving, closed[leaving], _CLOSED, closed[leaving] * 86_400 + 22 * 3600)
    state.manager_place[leaving] = -1

    aum = state.aum_before
    is_known_dead = (state.notice_month > 0) & (state.notice_month <= month.number)
    rows = np.flatnonzero(
        (state.manager_place < 0)
        & state.is_open[CURRENT]
        & ~is_known_dead
        & (state.people.joined_day < first)
        & (aum >= further.managed_aum * 100)
    )
    place = _places(state, rows, aum, staff, parameters)
    day = _settled_day(staff, place, first + 1 + draws.integer("assigned", 8, rows), month)
    _settle(state, rows, Managers(place, day), staff=staff)
    ledger.assign(rows, 0, _TIER, day * 86_400 + 8 * 3600)


def _hand_over(
    ledger: Ledger, rows: IntegerArray, to: Managers, *, staff: Staff, reason: int, agreed: IntegerArray | int = 0
) -> None:
    """End what stands on the day before, and begin with another manager."""
    before = to.day - 1
    ledger.assign(rows, before, reason, before * 86_400 + 22 * 3600)
    _settle(ledger.state, rows, to, staff=staff, agreed=agreed)
    ledger.state.manager_changed_day[rows] = to.day
    ledger.assign(rows, 0, reason, to.day * 86_400 + 8 * 3600)


def _settle(state: State, rows: IntegerArray, to: Managers, *, staff: Staff, agreed: IntegerArray | int = 0) -> None:
    state.manager_place[rows] = to.place
    state.manager_holder[rows] = staff.holder(to.place, to.day)
    state.manager_since[rows] = to.day
    state.manager_agreed[rows] = agreed


def _places(state: State, rows: IntegerArray, aum: IntegerArray, staff: Staff, parameters: Parameters) -> IntegerArray:
    people, further = state.people, parameters.further
    seats = np.where(aum[rows] >= further.senior_aum * 100, 0, 1)
    return staff.manager_place(people.number[rows], people.branch[rows], seats, further.numbers_per_team)


def _settled_day(staff: Staff, place: IntegerArray, day: IntegerArray, month: Month) -> IntegerArray:
    """The day itself, or that on which the place's last holder of the month begins: nobody is given to a leaver."""
    return np.maximum(day, staff.starts[place, staff.holder(place, month.last_day)])


def assignments_table(block: State, versions: Columns) -> pa.Table:
    """Rows of the table from versions that a ledger kept."""
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
