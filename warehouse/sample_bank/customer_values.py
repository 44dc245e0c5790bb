"""The truth of what customers are worth: earned and cost in the last year of the window, and expected from then on.

Margins follow from the tables alone: balances at month ends, their rates and the funds transfer price that was locked
when they began; commissions and interchange; less what transactions, accounts and loan reviews cost. What is expected
is the mean monthly margin for as long as the customer stays: m q / (1 - q) with q = (1 - leaving) (1 - death) / (1 + d)
at the last month's true hazard, which is held constant; of those who left in name it is what the last month earned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from warehouse.sample_bank.columns import booleans, strings
from warehouse.sample_bank.cost_rates import transaction_costs, unit_cost
from warehouse.sample_bank.customers import customer_ids
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ftp_curve import FIRST_MONTH, TENORS, ftp_rates
from warehouse.sample_bank.leaving import drivers_at, hazard_of
from warehouse.sample_bank.ledger import CUSTOMER, KINDS
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.parameters import (
    CREDIT_CARD,
    CURRENT,
    DEMAND_RATE,
    LOAN_PRODUCTS,
    MERCHANT_QR,
    MORTGAGE,
    PRODUCT_CODES,
    PRODUCTS,
    TERM_1Y,
    TERM_3M,
    TERM_3Y,
    Parameters,
)
from warehouse.sample_bank.random_numbers import FloatArray, IntegerArray
from warehouse.sample_bank.state import ACTIVE, CLOSED, DECEASED, NOT_JOINED, State

COMPONENTS = (
    "deposit_margin", "loan_margin", "commissions", "card_income", "fees", "transaction_cost", "account_cost",
    "loan_review_cost",
)  # fmt: skip
_DEPOSIT, _LOAN, _COMMISSION, _CARD, _FEES, _TRANSACTIONS, _ACCOUNTS, _REVIEWS = range(len(COMPONENTS))
#: Months of the window, at its end, that are counted.
COUNTED_MONTHS = 12
_PURCHASE, _INTEREST, _FEE = (KINDS.index(name) for name in ("purchase", "interest", "fee"))


class CustomerValues:
    """Margins of the customers of a block, summed over the last months.

    Parameters
    ----------
    block
        Of the customers.
    market, parameters
        Of the bank.
    last_month
        Last calendar month of the window.
    """

    def __init__(self, block: State, market: Market, parameters: Parameters, last_month: int) -> None:
        self._market, self._parameters, self._last = market, parameters, last_month
        self._curve = ftp_rates(market, last_month, parameters)
        self._sums = np.zeros((len(COMPONENTS), len(block)))
        self._latest = np.zeros(len(block))
        self._months = np.zeros(len(block), np.int64)

    def add(self, block: State, month: Month, postings: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add a month, if it is counted; the block stands at its end."""
        if month.number <= self._last - COUNTED_MONTHS:
            return
        parts = np.zeros_like(self._sums)
        balance = block.balance / 100
        parts[_DEPOSIT] += balance[CURRENT] * (self._demand_price(month) - DEMAND_RATE) / 12
        for product in (TERM_3M, TERM_1Y, TERM_3Y):
            price = self._locked_price(block.opened_day[product], PRODUCTS[product].term_days or 1)
            parts[_DEPOSIT] += balance[product] * (price - block.rate[product]) / 12
        for product in LOAN_PRODUCTS:
            term = block.matures_day[product] - block.opened_day[product]
            # Mortgages are priced anew every January.
            begun = block.opened_day[product]
            if product == MORTGAGE:
                begun = np.maximum(begun, Month(month.year * 12).first_day)
            price = self._locked_price(begun, term)
            parts[_LOAN] += np.where(block.is_open[product], -balance[product] * (block.rate[product] - price) / 12, 0)
        parts[_LOAN] += balance[CREDIT_CARD] * self._curve[month.number - FIRST_MONTH, 1] / 12
        for code, rate in self._parameters.further.commissions:
            parts[_COMMISSION] += balance[PRODUCT_CODES.index(code)] * rate / 12
        self._add_postings(parts, month, postings, len(block))
        year = month.year
        parts[_ACCOUNTS] -= unit_cost(self._parameters, "account_month", "all", year) * block.is_open.sum(axis=0)
        parts[_ACCOUNTS] -= unit_cost(self._parameters, "card_month", "all", year) * block.is_open[CREDIT_CARD]
        parts[_ACCOUNTS] -= unit_cost(self._parameters, "merchant_month", "all", year) * block.is_open[MERCHANT_QR]
        reviewed = block.is_open[list(LOAN_PRODUCTS)].sum(axis=0)
        # A loan is reviewed once a year.
        parts[_REVIEWS] -= unit_cost(self._parameters, "loan_review", "all", year) / 12 * reviewed
        self._sums += parts
        self._latest = parts.sum(axis=0)
        self._months += block.is_open[CURRENT]

    def _add_postings(
        self, parts: FloatArray, month: Month, postings: Mapping[str, npt.NDArray[Any]], size: int
    ) -> None:
        if not postings:
            return
        row, kind, product = postings["row"], postings["kind"], postings["product"]
        amount = postings["amount"] / 100
        cost = transaction_costs(self._parameters, month.year)[postings["channel"].astype(np.int64)]
        own = np.where(postings["by"] == CUSTOMER, cost, 0)
        parts[_TRANSACTIONS] -= np.bincount(row, own, size)
        on_card = product == CREDIT_CARD
        bought = np.where(on_card & (kind == _PURCHASE), -amount, 0) * self._parameters.further.card_interchange
        parts[_CARD] += np.bincount(row, bought + np.where(on_card & (kind == _INTEREST), -amount, 0), size)
        parts[_FEES] += np.bincount(row, np.where(kind == _FEE, -amount, 0), size)

    def _demand_price(self, month: Month) -> float:
        """Price of demand deposits: a year's moving average of three-month money."""
        end = month.number - FIRST_MONTH + 1
        return float(self._curve[max(end - 12, 0) : end, TENORS.index(91)].mean())

    def _locked_price(self, begun: IntegerArray, term: IntegerArray | int) -> FloatArray:
        """Price of money of the nearest tenor that is not shorter, on the curve of the month in which it began."""
        month = begun.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12 - FIRST_MONTH
        tenor = np.searchsorted(np.array(TENORS), np.broadcast_to(np.asarray(term), begun.shape))
        return self._curve[np.clip(month, 0, len(self._curve) - 1), np.minimum(tenor, len(TENORS) - 1)]

    def table(self, block: State, month: Month) -> pa.Table:
        """What each customer of the block, which stands at the window's end, earned and is expected to earn."""
        rows = np.flatnonzero(block.mode != NOT_JOINED)
        following = Month(month.number + 1)
        hazard = hazard_of(drivers_at(block, following, self._market), self._parameters)
        is_active = block.mode == ACTIVE
        gone = np.isin(block.mode, (CLOSED, DECEASED))
        age = (following.first_day - block.people.born_day) / 365.25
        yearly = self._parameters.death_at_30 * np.exp(self._parameters.death_growth * (age - 30))
        death = np.minimum(yearly / 12, 0.2)
        leaving = np.where(is_active, hazard, 0.0)
        stays = (1 - leaving) * (1 - death) / (1 + self._parameters.further.discount_rate) ** (1 / 12)
        margin = self._sums.sum(axis=0)
        monthly = np.where(is_active, margin / np.maximum(self._months, 1), self._latest)
        expected = np.where(gone, 0.0, monthly * stays / (1 - stays))
        below = (margin < 0) & (self._months > 0)
        columns = {"source_customer_id": customer_ids(block.people.number[rows])}
        columns["months"] = pa.array(self._months[rows])
        for position, name in enumerate(COMPONENTS):
            columns[name] = pa.array(np.round(self._sums[position, rows], 2))
        columns["margin"] = pa.array(np.round(margin[rows], 2))
        columns["leaving_probability"] = pa.array(np.where(gone, np.nan, leaving)[rows])
        columns["expected_value"] = pa.array(np.round(expected[rows], 2))
        columns["is_below_marginal_cost"] = booleans(below[rows])
        columns["largest_loss"] = strings(COMPONENTS, np.where(below, self._sums.argmin(axis=0), -1)[rows])
        return pa.table(columns)
