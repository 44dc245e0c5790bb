"""Table `contacts`: what managers and the bank's own messages say to customers, why, and whether it was answered.

Lists are made at the end of a month for the next one, from what the bank knows then; of every list a random share is
held out (`is_control`) and only watched. Whether a customer responds within 14 days depends on the contact by the
effect of its trigger (`further_parameters.CONTACT_TRIGGERS`). Contacts change nothing else: nobody stays, leaves or
moves money because of one.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.branches import BRANCH_CITIES
from warehouse.sample_bank.columns import booleans, dates, digits, nothing, strings, timestamps
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS, consents, customer_ids
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.employees import Staff, employee_ids
from warehouse.sample_bank.further_parameters import CONTACT_TRIGGERS
from warehouse.sample_bank.loans import Arrears
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.parameters import CURRENT, FUND_MIXED, MATURING_PRODUCTS, Parameters
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, FloatArray, IntegerArray
from warehouse.sample_bank.state import ASLEEP, DECEASED, DRAINING, LEFT, State

CONTACT_CHANNELS = ("call", "sms", "visit", "event", "email", "app")
FORMS = ("hardware", "personal", "functional", "psychological", "special")
OUTCOMES = ("held_out", "not_reached", "answered", "no_interest")
GOAL = "response_within_14_days"
_CALL, _SMS, _VISIT, _, _EMAIL, _APP = range(len(CONTACT_CHANNELS))
_NAMES = [trigger.name for trigger in CONTACT_TRIGGERS]
_EFFECTS = np.array([trigger.effect for trigger in CONTACT_TRIGGERS])
_PURPOSES = tuple(dict.fromkeys(trigger.purpose for trigger in CONTACT_TRIGGERS))
_PURPOSE_OF = np.array([_PURPOSES.index(trigger.purpose) for trigger in CONTACT_TRIGGERS])
#: Selling needs consent; service, collection and care do not.
_NEEDS_CONSENT = np.array([trigger.purpose in ("sales", "deposit_drive", "renewal") for trigger in CONTACT_TRIGGERS])


def known_customers(block: State, month: int) -> BooleanArray:
    """Who has an account at a month's end and is not known to be dead."""
    is_known_dead = (block.notice_month > 0) & (block.notice_month <= month)
    known: BooleanArray = block.is_open[CURRENT] & ~is_known_dead
    return known


def engagement(block: State, parameters: Parameters) -> FloatArray:
    """What everybody's inclination to respond adds to the log odds; minus infinity for the dead."""
    further, people = parameters.further, block.people
    leaving = np.select(
        [block.mode == DRAINING, block.mode == LEFT, block.mode == ASLEEP], further.response_leaving, 0.0
    )
    added = further.response_activity * np.log(people.activity) + further.response_loyalty * people.loyalty + leaving
    return np.where(block.mode == DECEASED, -np.inf, added)


def chance(log_odds: FloatArray) -> FloatArray:
    """Probability of log odds."""
    probability: FloatArray = 1 / (1 + np.exp(-log_odds))
    return probability


class Contacts:
    """The contact lists of a block, one month after the other.

    Parameters
    ----------
    staff, market, seed, parameters
        Of the bank.
    """

    def __init__(self, staff: Staff, market: Market, seed: int, parameters: Parameters) -> None:
        self._staff, self._market, self._seed, self._parameters = staff, market, seed, parameters
        #: Position of the trigger in `CONTACT_TRIGGERS` by customer; -1 for none.
        self.planned = np.empty(0, np.int64)
        self._place_before = np.empty(0, np.int64)

    def plan(self, block: State, month: Month, arrears: Arrears) -> None:
        """Make the list of a month from what is known on its eve, where the block stands."""
        further, number = self._parameters.further, month.number
        eve = month.first_day - 1
        known = known_customers(block, number - 1)
        managed = block.manager_place >= 0
        aum, before = block.aum(), block.aum_before
        moved = aum - before
        large = np.maximum(further.large_share * np.maximum(before, aum), further.large_amount * 100)
        matures = np.zeros(len(block), np.bool_)
        for product in MATURING_PRODUCTS:
            matures |= block.is_open[product] & (block.matures_day[product] <= month.last_day)
        born = block.people.born_day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
        nav_moved = abs(self._market.monthly_return(FUND_MIXED, number - 1)) >= further.nav_moved
        everybody = np.ones(len(block), np.bool_)
        reasons = {
            "complaint_open": (block.complaint_opened_day > 0) & (block.complaint_opened_day <= eve - 15),
            "loan_overdue": arrears.is_behind(),
            "large_outflow": -moved >= large,
            "product_maturing": matures,
            "large_inflow": moved >= large,
            "nav_moved": block.is_open[FUND_MIXED] & nav_moved,
            "birthday": born == month.of_year,
            "quarter_end": everybody & month.is_quarter_end,
            "festival": everybody & (month.spring_festival is not None),
            "routine": everybody,
        }
        consenting = consents(Draws(self._seed, "customers", block.people.number))
        draws = Draws(self._seed, "contact lists", block.people.number, number)
        self.planned = np.full(len(block), -1, np.int64)
        for position, trigger in enumerate(CONTACT_TRIGGERS):
            rows = np.flatnonzero(
                reasons[trigger.name] & known & (self.planned < 0) & (consenting | ~_NEEDS_CONSENT[position])
            )
            share = np.where(managed[rows], trigger.managed, trigger.others)
            self.planned[rows[draws.happens(trigger.name, share, rows)]] = position
        self._place_before = block.manager_place.copy()

    def carry_out(self, block: State, month: Month, closed: IntegerArray) -> tuple[pa.Table, pa.Table]:
        """Rows of a month, and their truth: how likely a response was with the contact and without it.

        Parameters
        ----------
        block, month
            What was lived.
        closed
            Who closed the last account when.
        """
        people, further = block.people, self._parameters.further
        rows = np.flatnonzero(self.planned >= 0)
        trigger = self.planned[rows]
        draws = Draws(self._seed, "contacts", people.number[rows], month.number)
        # Responses are awaited for 14 days and must be in before the month ends.
        day = month.first_day + 1 + draws.integer("day", 13)
        kept = np.flatnonzero((closed[rows] == 0) | (closed[rows] > day))
        rows, trigger, day = rows[kept], trigger[kept], day[kept]
        size = len(rows)
        control = draws.happens("control", further.control_share, kept)
        base = further.response_base + engagement(block, self._parameters)[rows]
        without, contacted = chance(base), chance(base + _EFFECTS[trigger])
        responds = draws.uniform("responds", kept) < np.where(control, without, contacted)

        # Who has a manager when the list is made is contacted by the one in charge on that day.
        managed = self._place_before[rows] >= 0
        is_handed_over = (block.manager_place[rows] >= 0) & (block.manager_since[rows] <= day)
        in_charge = np.where(is_handed_over, block.manager_place[rows], self._place_before[rows])
        position = draws.uniform("channel", kept)
        calls, apps = further.manager_channels
        messages, notes = further.message_channels
        by_manager = np.where(position < calls, _CALL, np.where(position < calls + apps, _APP, _VISIT))
        by_message = np.where(position < messages, _SMS, np.where(position < messages + notes, _APP, _EMAIL))
        needs_voice = np.isin(trigger, (_NAMES.index("complaint_open"), _NAMES.index("loan_overdue")))
        channel = np.where(managed, by_manager, np.where(needs_voice, _CALL, by_message))
        personal = np.isin(channel, (_CALL, _VISIT))
        place = np.where(
            managed,
            in_charge,
            np.where(personal, self._staff.lobby_place(people.branch[rows]), -1),
        )
        holder = self._staff.holder(np.maximum(place, 0), day)
        reached = ~personal | draws.happens("reached", further.reached, kept) | responds
        outcome = np.where(control, 0, np.where(~reached, 1, np.where(responds, 2, 3)))
        second = day * 86_400 + (9 * 3600 + 8 * 3600 * draws.uniform("hour", kept)).astype(np.int64)
        minutes = np.where(
            channel == _VISIT, 20 + draws.integer("long", 40, kept), 2 + draws.integer("minutes", 9, kept)
        )
        form = np.where(channel == _VISIT, 1, np.where(_PURPOSE_OF[trigger] == _PURPOSES.index("care"), 3, 2))
        numbers = people.number[rows]
        ids = digits((month.year * 100 + month.of_year) * 1_000_000_000 + numbers)
        zeros = np.zeros(size, np.int64)
        done = ~control
        table = pa.table(
            {
                "source_system": strings(["crm"], zeros),
                "contact_id": ids,
                "customer_source_system": strings(["core"], zeros),
                "source_customer_id": customer_ids(numbers),
                "employee_id": employee_ids(place, holder),
                "happened_at": timestamps(second - UTC_OFFSET_SECONDS),
                "channel": strings(CONTACT_CHANNELS, np.where(done, channel, -1)),
                "form": strings(FORMS, np.where(done, form, -1)),
                "planned_on": dates(np.full(size, month.first_day)),
                "place": strings(BRANCH_CITIES, np.where(done & (channel == _VISIT), people.branch[rows], -1)),
                "purpose": strings(_PURPOSES, _PURPOSE_OF[trigger]),
                "trigger": strings(_NAMES, trigger),
                "goal": strings([GOAL], zeros),
                "goal_met": booleans(responds),
                "minutes": pa.array(minutes.astype(np.int32), mask=~(done & personal & reached)),
                "outcome": strings(OUTCOMES, outcome),
                "is_control": booleans(control),
                "note": nothing(size, pa.string()),
                # What became of it is written down when the fortnight is over.
                "updated_at": timestamps(second + 14 * 86_400 - UTC_OFFSET_SECONDS),
            }
        )
        truth = pa.table(
            {
                "contact_id": ids,
                "trigger": strings(_NAMES, trigger),
                "is_control": booleans(control),
                "probability_without": pa.array(without),
                "probability_contacted": pa.array(contacted),
            }
        )
        return table, truth
