"""Table `ftp_curve`: what the treasury pays for money of each tenor, set on the first of every month."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.columns import dates, decimals, strings
from warehouse.sample_bank.dates import FIRST_YEAR, Month
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.parameters import TERM_1Y, TERM_3M, TERM_3Y, Parameters
from warehouse.sample_bank.random_numbers import FloatArray

TENORS = (1, 30, 91, 180, 365, 730, 1095, 1825, 3650, 9125)
#: Tenors between which rates are interpolated, evenly in the logarithm.
_NODES = np.log(np.array([1.0, 91.0, 365.0, 1095.0, 3650.0]))
#: The first curve: mortgages of then still run, and a rate is locked when a loan is granted.
FIRST_MONTH = FIRST_YEAR * 12


def ftp_rates(market: Market, last_month: int, parameters: Parameters) -> FloatArray:
    """Rates by month since `FIRST_MONTH` and tenor: competitors' deposit rates and a margin, as fractions per year."""
    further = parameters.further
    rates = np.empty((last_month + 1 - FIRST_MONTH, len(TENORS)))
    for position, month in enumerate(range(FIRST_MONTH, last_month + 1)):
        three_months, one_year, three_years = (
            market.competitor(product, month) for product in (TERM_3M, TERM_1Y, TERM_3Y)
        )
        nodes = (
            three_months + further.ftp_overnight,
            three_months,
            one_year,
            three_years,
            three_years + further.ftp_ten_years,
        )
        rates[position] = np.interp(np.log(np.array(TENORS, float)), _NODES, np.array(nodes)) + further.ftp_margin
    return np.asarray(np.round(np.maximum(rates, 0.001), 5), np.float64)


def ftp_curve_table(market: Market, last_month: int, parameters: Parameters) -> pa.Table:
    """All curves up to and with a month.

    Parameters
    ----------
    market, parameters
        Of the bank.
    last_month
        Calendar month.
    """
    rates = ftp_rates(market, last_month, parameters)
    days = np.array([Month(month).first_day for month in range(FIRST_MONTH, last_month + 1)])
    zeros = np.zeros(rates.size, np.int64)
    return pa.table(
        {
            "source_system": strings(["treasury"], zeros),
            "currency": strings(["CNY"], zeros),
            "rate_on": dates(np.repeat(days, len(TENORS))),
            "tenor_days": pa.array(np.tile(np.array(TENORS, np.int32), len(days))),
            "rate": decimals(np.rint(rates.reshape(-1) * 1e8).astype(np.int64), 12, 8),
        }
    )
