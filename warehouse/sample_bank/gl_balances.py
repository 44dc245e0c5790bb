"""Table `gl_balances`: the general ledger by branch, product and month, to the cent the sum of its accounts.

`balance` is what the accounts hold at the month's end, signed from the customers' side like theirs. `cost` is interest
credited to deposits, `income` is interest and fees charged, both when they are booked; on assets under management
income is the commission on what every account holds at the month's end (`FurtherParameters.commissions`), one twelfth
of the yearly rate, rounded account by account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from warehouse.sample_bank.branches import BRANCH_IDS
from warehouse.sample_bank.columns import dates, decimals, strings
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ledger import KINDS
from warehouse.sample_bank.parameters import PRODUCT_CODES, PRODUCT_COUNT, PRODUCTS, SERVICE_PRODUCTS, Parameters
from warehouse.sample_bank.random_numbers import IntegerArray
from warehouse.sample_bank.state import State

_CELLS = len(BRANCH_IDS) * PRODUCT_COUNT
_INTEREST, _FEE = KINDS.index("interest"), KINDS.index("fee")
_IS_LIABILITY = np.array([product.side == "liability" for product in PRODUCTS])
_IS_ASSET = np.array([product.side == "asset" for product in PRODUCTS])


class GeneralLedger:
    """Sums of one month over all blocks of customers.

    Parameters
    ----------
    parameters
        Of the bank.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._commissions = {PRODUCT_CODES.index(code): rate / 12 for code, rate in parameters.further.commissions}
        self._reset()

    def _reset(self) -> None:
        self._balance, self._income, self._cost = (np.zeros(_CELLS, np.int64) for _ in range(3))
        self._is_used = np.zeros(_CELLS, np.bool_)

    def add(self, block: State, postings: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add a block at the end of the month, and what was booked in it."""
        branch = block.people.branch
        for product in range(PRODUCT_COUNT):
            if product in SERVICE_PRODUCTS:
                continue
            cells = branch * PRODUCT_COUNT + product
            balance = block.balance[product]
            # Sums of cents below 2**53 are exact in floating point.
            self._balance += _sums(cells, balance)
            if product in self._commissions:
                self._income += _sums(cells, np.rint(balance * self._commissions[product]).astype(np.int64))
            self._is_used[cells[block.is_open[product]]] = True
        if postings:
            kind, booked = postings["kind"], postings["product"]
            chosen = np.flatnonzero((kind == _INTEREST) | (kind == _FEE))
            booked, amount = booked[chosen], postings["amount"][chosen]
            cells = branch[postings["row"][chosen]] * PRODUCT_COUNT + booked
            pays = _IS_LIABILITY[booked] & (amount > 0)
            earns = (_IS_LIABILITY[booked] | _IS_ASSET[booked]) & (amount < 0)
            self._cost += _sums(cells, np.where(pays, amount, 0))
            self._income += _sums(cells, np.where(earns, -amount, 0))
            self._is_used[cells] = True

    def table(self, month: Month) -> pa.Table:
        """Rows of the month, of branches and products with an account or a booking in it; sums start anew."""
        cells = np.flatnonzero(self._is_used)
        zeros = np.zeros(len(cells), np.int64)
        rows = pa.table(
            {
                "source_system": strings(["finance"], zeros),
                "branch_id": strings(BRANCH_IDS, cells // PRODUCT_COUNT),
                "product_code": strings(PRODUCT_CODES, cells % PRODUCT_COUNT),
                "month": dates(zeros + month.first_day),
                "balance": decimals(self._balance[cells]),
                "income": decimals(self._income[cells]),
                "cost": decimals(self._cost[cells]),
            }
        )
        self._reset()
        return rows


def _sums(cells: IntegerArray, amounts: IntegerArray) -> IntegerArray:
    return np.rint(np.bincount(cells, amounts, _CELLS)).astype(np.int64)
