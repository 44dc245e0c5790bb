"""Prices of every day between given month ends, and the days on which prices are published."""

from __future__ import annotations

import numpy as np

from warehouse.sample_bank.dates import Month, is_working_day
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, FloatArray, IntegerArray


def working_days(month: Month) -> BooleanArray:
    """Whether each day of a month is a working day: no weekend and no public holiday.

    Examples
    --------
    >>> int(working_days(Month(2024 * 12 + 5)).sum())
    20
    """
    return np.array([is_working_day(day) for day in range(month.first_day, month.last_day + 1)])


def daily_path(
    seed: int, name: str, month: Month, *, before: float, after: float, deviation: float
) -> tuple[IntegerArray, FloatArray]:
    """Days of a month and a price on each, from the last one of the month before to `after` on the last day.

    Parameters
    ----------
    seed, name
        Of the bank and of the price: another name is another path.
    month
        The month.
    before, after
        Price at the end of the month before, and at its own end.
    deviation
        Standard deviation of the month's logarithmic moves; the path is a Brownian bridge.

    Examples
    --------
    >>> days, prices = daily_path(1, "gold", Month(24288), before=100.0, after=110.0, deviation=0.04)
    >>> len(days), round(float(prices[-1]), 6)
    (31, 110.0)
    """
    days = month.first_day + np.arange(month.days)
    steps = Draws(seed, f"daily path {name}", days).normal("step") / np.sqrt(month.days)
    walk = np.cumsum(steps)
    part = np.arange(1, month.days + 1) / month.days
    logarithm = np.log(before) + part * np.log(after / before) + deviation * (walk - part * walk[-1])
    prices: FloatArray = np.exp(logarithm)
    return days, prices
