"""Table `balances`: what every account held on the eve of the window, from where the transactions carry on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.accounts import account_ids
from warehouse.sample_bank.columns import dates, decimals, nothing, strings
from warehouse.sample_bank.parameters import SERVICE_PRODUCTS
from warehouse.sample_bank.state import State


def balances_table(state: State, day: int) -> pa.Table:
    """Balances of all open accounts on a day, ordered by customer and product.

    Parameters
    ----------
    state
        At the end of that day.
    day
        Days since 1970-01-01.
    """
    held = state.is_open.copy()
    held[list(SERVICE_PRODUCTS)] = False
    row, product = np.nonzero(held.T)
    size = len(row)
    zeros = np.zeros(size, np.int64)
    return pa.table(
        {
            "source_system": strings(["core"], zeros),
            "account_id": account_ids(state.people.number[row], product, state.sequence[product, row]),
            "balance_on": dates(zeros + day),
            "balance": decimals(state.balance[product, row]),
            "units": nothing(size, pa.decimal128(18, 6)),
        }
    )
