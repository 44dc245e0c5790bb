"""Table `cost_rates`: what one act costs the bank, by what drives it and the channel, set anew every January."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.columns import dates, decimals, strings
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ledger import CHANNELS
from warehouse.sample_bank.parameters import Parameters
from warehouse.sample_bank.random_numbers import FloatArray

#: Years of rates before the first one of the window.
HISTORY_YEARS = 3
_REFERENCE_YEAR = 2024


def unit_cost(parameters: Parameters, driver: str, channel: str, year: int) -> float:
    """Cost of one act in a year, CNY, as the table states it.

    Examples
    --------
    >>> unit_cost(Parameters(), "transaction", "counter", 2025)
    4.12
    """
    further = parameters.further
    costs = {(row[0], row[1]): row[2] for row in further.unit_costs}
    return round(costs[driver, channel] * (1 + further.cost_growth) ** (year - _REFERENCE_YEAR), 4)


def transaction_costs(parameters: Parameters, year: int) -> FloatArray:
    """Cost of a transaction by position of its channel, CNY."""
    return np.array([unit_cost(parameters, "transaction", channel, year) for channel in CHANNELS])


def cost_rates_table(parameters: Parameters, first_year: int, last_year: int) -> pa.Table:
    """Rates of every year from `HISTORY_YEARS` before the first.

    Parameters
    ----------
    parameters
        Of the bank.
    first_year, last_year
        Of the window.
    """
    rows = [
        (driver, channel, Month(year * 12).first_day, unit_cost(parameters, driver, channel, year))
        for year in range(first_year - HISTORY_YEARS, last_year + 1)
        for driver, channel, _ in parameters.further.unit_costs
    ]
    return pa.table(
        {
            "source_system": strings(["finance"], np.zeros(len(rows), np.int64)),
            "driver": pa.array([row[0] for row in rows], pa.string()),
            "channel": pa.array([row[1] for row in rows], pa.string()),
            "valid_from": dates(np.array([row[2] for row in rows])),
            "unit_cost": decimals(np.array([round(row[3] * 10_000) for row in rows], np.int64), 18, 4),
        }
    )
