"""Table `product_nav`: unit prices of wealth products, funds (CNY per unit) and gold (CNY per gram).

Funds and gold are valued at the end of a month, and every deal of a month is struck at the price of the last
valuation: so units x price is what the accounts hold, and the price's move from one month end to the next is the
change of value that the ledger books. Wealth products are kept at cost and pay their yield in money: a unit is one.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.columns import dates, decimals, strings
from warehouse.sample_bank.daily_paths import daily_path, working_days
from warehouse.sample_bank.dates import FIRST_YEAR, Month
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.parameters import (
    CASH_WEALTH,
    FUND_BOND,
    FUND_MIXED,
    GOLD,
    PRODUCT_CODES,
    WEALTH_180,
    Parameters,
)
from warehouse.sample_bank.random_numbers import FloatArray, IntegerArray

#: Months of prices delivered before the first month: a year, as fund sheets show.
HISTORY_MONTHS = 12
PRICED_PRODUCTS = (FUND_MIXED, FUND_BOND, GOLD)
AT_COST_PRODUCTS = (CASH_WEALTH, WEALTH_180)
#: Funds publish four decimals; here as many as it takes to value millions to the cent.
_DECIMALS = 10


def month_end_prices(market: Market, product: int, last_month: int, parameters: Parameters) -> FloatArray:
    """Prices at the end of every month from December of the year before `FIRST_YEAR` to `last_month`."""
    base = parameters.further.gold_base if product == GOLD else 1.0
    returns = [market.monthly_return(product, month) for month in range(FIRST_YEAR * 12, last_month + 1)]
    prices: FloatArray = base * np.cumprod(np.append(1.0, 1 + np.array(returns)))
    return prices


def product_nav_table(market: Market, seed: int, parameters: Parameters, months: list[int]) -> pa.Table:
    """Prices of every working day and month end of the months, and of the eve of the first.

    Parameters
    ----------
    market, seed, parameters
        Of the bank.
    months
        Calendar months, consecutive.
    """
    deviations = {
        FUND_MIXED: parameters.fund_mixed_return[1],
        FUND_BOND: parameters.fund_bond_return[1],
        GOLD: parameters.gold_return[1],
    }
    product_pieces: list[IntegerArray] = []
    day_pieces: list[IntegerArray] = []
    price_pieces: list[FloatArray] = []
    published = {number: working_days(Month(number)) for number in months}
    for number in months:
        published[number][-1] = True
    eve = np.array([Month(months[0]).first_day - 1])
    for product in (*AT_COST_PRODUCTS, *PRICED_PRODUCTS):
        ends = month_end_prices(market, product, months[-1], parameters) if product in PRICED_PRODUCTS else None
        start = months[0] - FIRST_YEAR * 12
        pieces = [(eve, np.ones(1) if ends is None else ends[start : start + 1])]
        for position, number in enumerate(months, start=start):
            month, shown = Month(number), published[number]
            if ends is None:
                days, prices = month.first_day + np.arange(month.days), np.ones(month.days)
            else:
                name = f"nav {PRODUCT_CODES[product]}"
                days, prices = daily_path(
                    seed, name, month, before=ends[position], after=ends[position + 1], deviation=deviations[product]
                )
            pieces.append((days[shown], prices[shown]))
        day_pieces += [days for days, _ in pieces]
        price_pieces += [prices for _, prices in pieces]
        product_pieces.append(np.full(sum(len(days) for days, _ in pieces), product))
    codes, navs = np.concatenate(product_pieces), np.concatenate(price_pieces)
    return pa.table(
        {
            "source_system": strings(["market"], np.zeros(len(codes), np.int64)),
            "product_code": strings(PRODUCT_CODES, codes),
            "nav_on": dates(np.concatenate(day_pieces)),
            "nav": decimals(np.rint(navs * 10**_DECIMALS).astype(np.int64), 18, _DECIMALS),
        }
    )
