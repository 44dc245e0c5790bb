"""Table `market_rates`: what competitors pay and what loans cost, and the bank's own posted rates that follow late."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.columns import dates, decimals, strings
from warehouse.sample_bank.dates import FIRST_YEAR, LAST_YEAR, Month
from warehouse.sample_bank.parameters import (
    CASH_WEALTH,
    FUND_BOND,
    FUND_MIXED,
    GOLD,
    TERM_1Y,
    TERM_3M,
    TERM_3Y,
    WEALTH_180,
    Parameters,
)
from warehouse.sample_bank.random_numbers import Draws, FloatArray

#: Months of history delivered before the first month: enough to price the deposits that are held then.
HISTORY_MONTHS = 36

_FIRST_MONTH = FIRST_YEAR * 12
_MONTHS = (LAST_YEAR + 1 - FIRST_YEAR) * 12
#: Product, category and tenor in days of each quoted rate; None: not a product of ours.
_QUOTES: tuple[tuple[int | None, str, str, int], ...] = (
    (TERM_3M, "competitor_best", "deposit_term", 91),
    (TERM_1Y, "competitor_best", "deposit_term", 365),
    (TERM_3Y, "competitor_best", "deposit_term", 1095),
    (CASH_WEALTH, "competitor_best", "wealth", 1),
    (WEALTH_180, "competitor_best", "wealth", 180),
    (None, "benchmark_loan", "loan_consumer", 365),
    (None, "benchmark_loan", "loan_mortgage", 1825),
)


class Market:
    """Rates and returns per calendar month; the same for every bank of a seed, whatever its start.

    Parameters
    ----------
    seed
        The bank's seed.
    parameters
        Levels, and how rates and returns move.
    """

    def __init__(self, seed: int, parameters: Parameters) -> None:
        self._parameters = parameters
        months = np.arange(_MONTHS)
        draws = Draws(seed, "market_rates", _FIRST_MONTH + months)
        common = draws.normal("common")
        levels = (
            parameters.competitor_term_3m,
            parameters.competitor_term_1y,
            parameters.competitor_term_3y,
            parameters.competitor_cash,
            parameters.competitor_wealth,
            parameters.benchmark_one_year,
            parameters.benchmark_five_years,
        )
        self._rates = np.empty((len(_QUOTES), _MONTHS))
        for quote, level in enumerate(levels):
            # Four fifths of a move is common to all tenors, as on any yield curve.
            moves = parameters.rate_walk * (0.8 * common + 0.6 * draws.normal("own", counter=quote))
            distance = 0.0
            for month in months:
                distance = parameters.rate_reversion * distance + moves[month]
                self._rates[quote, month] = max(round(level + distance, 4), 0.001)
        self._returns = {
            product: mean + deviation * draws.normal(f"return {product}")
            for product, (mean, deviation) in (
                (FUND_MIXED, parameters.fund_mixed_return),
                (FUND_BOND, parameters.fund_bond_return),
                (GOLD, parameters.gold_return),
            )
        }

    def competitor(self, product: int, month: int) -> float:
        """Best rate for a product at other banks, as a fraction per year."""
        quote = next(number for number, row in enumerate(_QUOTES) if row[0] == product)
        return float(self._rates[quote, min(max(month - _FIRST_MONTH, 0), _MONTHS - 1)])

    def own(self, product: int, month: int) -> float:
        """Rate posted by the bank: competitors' of some months ago, less a margin."""
        lag = self._parameters.own_rate_lag_months
        return max(self.competitor(product, month - lag) + self._parameters.own_rate_margin, 0.0005)

    def own_history(self, product: int) -> FloatArray:
        """Rates posted by the bank in each month since January 2000."""
        return np.array([self.own(product, _FIRST_MONTH + month) for month in range(_MONTHS)])

    def benchmark(self, tenor_days: int, month: int) -> float:
        """Benchmark rate of loans (one or five years), as a fraction per year."""
        quote = 5 if tenor_days <= 365 else 6
        return float(self._rates[quote, min(max(month - _FIRST_MONTH, 0), _MONTHS - 1)])

    def monthly_return(self, product: int, month: int) -> float:
        """Return of a fund or of gold in a month."""
        return float(self._returns[product][month - _FIRST_MONTH])

    def table(self, months: list[int]) -> pa.Table:
        """Rows of `market_rates` for given calendar months, quoted on the first of each."""
        days = np.array([Month(month).first_day for month in months])
        quotes = len(_QUOTES)
        rates = np.array([[self._rates[q, month - _FIRST_MONTH] for q in range(quotes)] for month in months])
        size = quotes * len(months)
        return pa.table(
            {
                "source_system": strings(["market"], np.zeros(size, np.int64)),
                "rate_on": dates(np.repeat(days, quotes)),
                "kind": strings([row[1] for row in _QUOTES], np.tile(np.arange(quotes), len(months))),
                "category": strings([row[2] for row in _QUOTES], np.tile(np.arange(quotes), len(months))),
                "tenor_days": pa.array(np.tile([row[3] for row in _QUOTES], len(months)).astype(np.int32)),
                "rate": decimals(np.rint(rates.reshape(-1) * 1e8).astype(np.int64), 12, 8),
            }
        )
