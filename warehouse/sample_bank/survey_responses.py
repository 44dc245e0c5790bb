"""Table `survey_responses`: who was asked at a quarter's end, who answered, and what; nothing is made up."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.branches import BRANCH_IDS
from warehouse.sample_bank.columns import digits, strings, timestamps
from warehouse.sample_bank.contacts import chance, engagement
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS, customer_ids
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.leaving import drivers_at
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.parameters import CURRENT, Parameters
from warehouse.sample_bank.random_numbers import Draws, FloatArray, IntegerArray
from warehouse.sample_bank.state import State

#: The five dimensions of SERVQUAL (Parasuraman, Zeithaml and Berry 1988); `overall` holds the recommendation.
DIMENSIONS = ("tangibles", "reliability", "responsiveness", "assurance", "empathy")
ITEMS = ("overall", *DIMENSIONS)


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

    Of an invited customer there is a row `overall` from the invitation on, its version with the answer, and one when
    the branch has called back; the five dimensions are there only if they answered.

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
    # Who closes or is known to have died later in the month was asked like everybody else.
    was_dead = (block.notice_month > 0) & (block.notice_month < month.number)
    known = (block.is_open[CURRENT] | (closed > 0)) & ~was_dead & (people.joined_day < month.first_day)
    day = month.first_day + 4 + draws.integer("day", 8)
    is_there = (closed == 0) | (closed > day)
    asked = np.flatnonzero(known & is_there & month.is_quarter_end & draws.happens("invited", further.invited))
    felt = satisfaction(block, month, market, seed, parameters)[asked] if len(asked) else np.empty(0)
    felt = felt + further.satisfaction_noise * draws.normal("opinion", asked)
    invited = day[asked] * 86_400 + 9 * 3600
    answered = invited + (86_400 * 14 * draws.uniform("takes", asked)).astype(np.int64)
    # Nobody answers, or is called back, who has closed the last account meanwhile.
    until = np.where(closed[asked] > 0, closed[asked] * 86_400, np.iinfo(np.int64).max)
    answers = draws.uniform("answers", asked) < chance(further.answers_base + engagement(block, parameters)[asked])
    answers &= answered < until
    nps = np.clip(np.rint(further.nps_mean + further.nps_by * felt + draws.normal("nps", asked)), 0, 10)

    who = np.flatnonzero(answers)
    called = answered + 86_400 + (86_400 * draws.uniform("called", asked)).astype(np.int64)
    calls = draws.happens("followed up", further.followed_up, asked) & (called < until)
    unhappy = np.flatnonzero(answers & (nps <= 6) & calls)
    count = len(DIMENSIONS)
    # Steps of a row: 0 invited, 1 answered, 2 called back.
    pieces = [
        (np.arange(len(asked)), np.zeros(len(asked), np.int64), 0),
        (who, np.zeros(len(who), np.int64), 1),
        (np.repeat(who, count), np.tile(np.arange(1, count + 1), len(who)), 1),
        (unhappy, np.zeros(len(unhappy), np.int64), 2),
    ]
    position = np.concatenate([piece[0] for piece in pieces])
    item = np.concatenate([piece[1] for piece in pieces])
    step = np.concatenate([np.full(len(piece[0]), piece[2]) for piece in pieces])
    order = np.lexsort((item, step, asked[position]))
    position, item, step = position[order], item[order], step[order]
    row = asked[position]
    updated = np.choose(step, [invited[position], answered[position], called[position]])
    is_answer, is_called, of_dimension = step > 0, step == 2, item > 0
    dimension = np.maximum(item - 1, 0)
    shown = np.array(further.perceived_by)[dimension] * felt[position]
    noise = further.perceived_spread * draws.normal("item", row, item)
    perception = np.clip(np.rint(further.perceived + shown + noise), 1, 7)
    hoped = np.array(further.expected)[dimension] + further.expected_spread * draws.normal("expects", row, item)
    expected = np.clip(np.rint(hoped), 1, 7)
    numbers = people.number[row]
    size = len(row)
    zeros = np.zeros(size, np.int64)
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
            "followed_up_at": timestamps(called[position] - UTC_OFFSET_SECONDS, is_called),
            "action": strings(["call_back"], np.where(is_called, 0, -1)),
            "updated_at": timestamps(updated - UTC_OFFSET_SECONDS),
        }
    )
