"""Table `account_holders`: demand accounts that a second person owns too or may use."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.accounts import account_ids
from warehouse.sample_bank.columns import decimals, strings, timestamps
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS, customer_ids
from warehouse.sample_bank.parameters import CURRENT, Parameters
from warehouse.sample_bank.population import Population, joining_day, joining_month
from warehouse.sample_bank.random_numbers import Draws, IntegerArray

_ROLES = ("owner", "joint", "authorised")


def account_holders_table(
    people: Population,
    seed: int,
    start: int,
    parameters: Parameters,
    *,
    rows: IntegerArray,
    opened: IntegerArray,
) -> pa.Table:
    """Holders of demand accounts.

    The second person is a customer with a lower number who joined before the month of the account, or like it before
    the window: so it exists in every bank that has the account, whatever the number of customers. Where this person
    was registered after the account was opened, it is shared from then on.

    Parameters
    ----------
    people, seed, start, parameters
        Of the bank; `start` is the calendar month in which the window opens.
    rows
        Positions of customers who open a demand account, ascending.
    opened
        Day of each opening.
    """
    numbers = people.number[rows]
    draws = Draws(seed, "account_holders", numbers)
    partner = numbers - 1 - draws.integer("partner", 60)
    position = draws.uniform("holder")
    joined = people.joined_month[rows]
    partner_joined = joining_month(np.maximum(partner, 0), start, seed, parameters)
    is_earlier = np.where(joined == 0, partner_joined == 0, partner_joined < joined)
    # Assumed: 3 % joint accounts, 4 % that a child or carer may use.
    has_second = (position < 0.07) & (partner >= 0) & is_earlier
    is_joint = has_second & (position < 0.03)
    holding = np.flatnonzero(has_second)
    since = np.maximum(opened[holding], joining_day(partner[holding], start, seed, parameters))
    holder = np.repeat(holding, 2)
    is_second = np.tile(np.array([False, True]), len(holding))
    joint = is_joint[holder]
    role = np.where(~is_second, 0, np.where(joint, 1, 2))
    share = np.where(joint, 500_000, np.where(is_second, 0, 1_000_000))
    size = len(holder)
    zeros = np.zeros(size, np.int64)
    return pa.table(
        {
            "source_system": strings(["core"], zeros),
            "account_id": account_ids(numbers[holder], CURRENT, 1),
            "customer_source_system": strings(["core"], zeros),
            "source_customer_id": customer_ids(np.where(is_second, partner[holder], numbers[holder])),
            "role": strings(_ROLES, role),
            "share": decimals(share, 9, 6),
            "updated_at": timestamps(np.repeat(since, 2) * 86_400 + 8 * 3600 - UTC_OFFSET_SECONDS),
        }
    )
