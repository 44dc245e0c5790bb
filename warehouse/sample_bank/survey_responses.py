"""Table `survey_responses`: who was asked at a quarter's end, who answered, and what; nothing is made up."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.branches import BRANCH_IDS
from warehouse.sample_bank.columns import digits, nothing, strings, timestamps
from warehouse.sample_bank.contacts import chance, engagement, known_customers
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS, customer_ids
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.leaving import drivers_at
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.parameters import Parameters
from warehouse.sample_bank.random_numbers import Draws, FloatArray, IntegerArray
from warehouse.sample_bank.state import State

#: The five dimensions of SERVQUAL (Parasuraman, Zeithaml and Berry 1988); `overall` holds the recommendation.
DIMENSIONS = ("tangibles", "reliability", "responsiveness", "assurance", "empathy")
ITEMS = ("overall", *DIMENSIONS)
#: How much satisfaction shows in each dimension, and what customers expect of it, on a scale of seven (assumed).
_LOADS = np.array([0.3, 0.8, 1.0, 0.7, 0.8])
_EXPECTED = np.array([5.2, 6.2, 5.8, 6.1, 5.5])


def branch_service(seed: int, parameters: Parameters) -> FloatArray:
    """Quality of service of each branch, in standard deviations of satisfaction."""
    draws = Draws(seed, "branch service", np.arange(len(BRANCH_IDS)))
    return parameters.further.satisfaction_branch * draws.normal("quality")


def satisfaction(block: State, month: Month, market: Market, seed: int, parameters: Parameters) -> FloatArray:
    """What moves everybody's satisfaction at the end of a month, without the noise of the day."""
    further = parameters.further
    drivers = drivers_at(block, Month(month.number + 1), market)
    felt: FloatArray = (
        further.satisfaction_complaint * drivers["unanswered_complaint"]
        + further.satisfaction_rate_gap * drivers["rate_gap"]
        + further.satisfaction_loyalty * drivers["loyalty"]
        + branch_service(seed, parameters)[block.people.branch]
    )
    return felt


def survey_table(
    block: State, month: Month, closed: IntegerArray, *, market: Market, seed: int, parameters: Parameters
) -> pa.Table:
    """Invitations and answers of a month; only the last one of a quarter has any.

    Of an invited customer there is a row `overall` from the invitation on, and its version with the answer; the five
    dimensions are there only if they answered.

    Parameters
    ----------
    block, month
        What was lived.
    closed
        Who closed the last account when.
    market, seed, parameters
        Of the bank.
    """
    further, people = parameters.further, block.people
    draws = Draws(seed, "surveys", people.number, month.number)
    known = known_customers(block, month.number) & (people.joined_day < month.first_day) & (closed == 0)
    asked = np.flatnonzero(known & month.is_quarter_end & draws.happens("invited", further.invited))
    felt = satisfaction(block, month, market, seed, parameters)[asked] if len(asked) else np.empty(0)
    felt = felt + further.satisfaction_noise * draws.normal("opinion", asked)
    answers = draws.uniform("answers", asked) < chance(further.answers_base + engagement(block, parameters)[asked])
    invited = (month.first_day + 4 + draws.integer("day", 8, asked)) * 86_400 + 9 * 3600
    answered = invited + (86_400 * 14 * draws.uniform("takes", asked)).astype(np.int64)
    nps = np.clip(np.rint(7.2 + 1.5 * felt + draws.normal("nps", asked)), 0, 10)

    who = np.flatnonzero(answers)
    count = len(DIMENSIONS)
    item = np.concatenate([np.zeros(len(asked) + len(who), np.int64), np.tile(np.arange(1, count + 1), len(who))])
    position = np.concatenate([np.arange(len(asked)), who, np.repeat(who, count)])
    is_answer = np.concatenate([np.zeros(len(asked), np.bool_), np.ones(len(who) * (count + 1), np.bool_)])
    of_dimension = item > 0
    dimension = np.maximum(item - 1, 0)
    noise = draws.normal("item", asked[position], item)
    perception = np.clip(np.rint(5.4 + _LOADS[dimension] * felt[position] + 0.7 * noise), 1, 7)
    expected = np.clip(np.rint(_EXPECTED[dimension] + 0.6 * draws.normal("expects", asked[position], item)), 1, 7)
    row = asked[position]
    updated = np.where(is_answer, answered[position], invited[position])
    order = np.lexsort((item, updated, row))
    row, item, position, updated = (values[order] for values in (row, item, position, updated))
    is_answer, of_dimension = is_answer[order], of_dimension[order]
    perception, expected = perception[order], expected[order]
    numbers = people.number[row]
    size = len(row)
    zeros = np.zeros(size, np.int64)
    # A bad mark is followed up by the branch within a week, by most.
    followed = is_answer & (nps[position] <= 6) & draws.happens("followed up", 0.6, row)
    return pa.table(
        {
            "source_system": strings(["service"], zeros),
            "response_id": digits((month.year * 100 + month.of_year) * 1_000_000_000 + numbers),
            "item": strings(ITEMS, item),
            "customer_source_system": strings(["core"], zeros),
            "source_customer_id": customer_ids(numbers),
            "survey": strings(["quarterly_service"], zeros),
            "dimension": strings(DIMENSIONS, np.where(of_dimension, item - 1, -1)),
            "expectation": pa.array(expected.astype(np.int32), mask=~of_dimension),
            "perception": pa.array(perception.astype(np.int32), mask=~of_dimension),
            "nps": pa.array(nps[position].astype(np.int32), mask=~(is_answer & ~of_dimension)),
            "invited_at": timestamps(invited[position] - UTC_OFFSET_SECONDS),
            "responded_at": timestamps(answered[position] - UTC_OFFSET_SECONDS, is_answer),
            "followed_up_at": nothing(size, pa.timestamp("us")),
            "action": strings(["call_back"], np.where(followed, 0, -1)),
            "updated_at": timestamps(updated - UTC_OFFSET_SECONDS),
        }
    )
