"""Table `fx_rates`: middle rates of foreign currencies on working days. The accounts here are all in CNY."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.columns import dates, decimals, strings
from warehouse.sample_bank.daily_paths import daily_path, working_days
from warehouse.sample_bank.dates import FIRST_YEAR, Month
from warehouse.sample_bank.parameters import Parameters
from warehouse.sample_bank.random_numbers import Draws, FloatArray, IntegerArray

#: Months of rates delivered before the first month.
HISTORY_MONTHS = 12


def fx_rates_table(seed: int, parameters: Parameters, months: list[int]) -> pa.Table:
    """Rates of all currencies in given months.

    Parameters
    ----------
    seed, parameters
        Of the bank.
    months
        Calendar months, consecutive.
    """
    further = parameters.further
    code_pieces: list[IntegerArray] = []
    day_pieces: list[IntegerArray] = []
    rate_pieces: list[FloatArray] = []
    shown = {number: working_days(Month(number)) for number in months}
    since = np.arange(FIRST_YEAR * 12, months[-1] + 1)
    for position, (currency, level, deviation) in enumerate(further.currencies):
        moves = deviation * Draws(seed, "fx_rates", since).normal(currency)
        distances = [0.0]
        for move in moves.tolist():
            distances.append(further.currency_reversion * distances[-1] + move)
        ends = level * np.exp(np.array(distances))
        for number in months:
            month, place = Month(number), number - FIRST_YEAR * 12
            days, rates = daily_path(
                seed, f"fx {currency}", month, before=ends[place], after=ends[place + 1], deviation=deviation
            )
            day_pieces.append(days[shown[number]])
            rate_pieces.append(rates[shown[number]])
            code_pieces.append(np.full(int(shown[number].sum()), position))
    codes, rates = np.concatenate(code_pieces), np.concatenate(rate_pieces)
    return pa.table(
        {
            "source_system": strings(["market"], np.zeros(len(codes), np.int64)),
            "currency": strings([row[0] for row in further.currencies], codes),
            "rate_on": dates(np.concatenate(day_pieces)),
            "middle_rate": decimals(np.rint(rates * 1e8).astype(np.int64), 18, 8),
        }
    )
