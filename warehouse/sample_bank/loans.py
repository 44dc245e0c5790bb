"""Tables `payment_schedule` and `loan_status`: what was due on loans and paid, and how far behind a loan is.

An instalment that is missed is not asked for again by itself: its interest stays owed, so the last payment takes it.
A payment therefore cures a loan, and it is past due from the first day missed until the next payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from warehouse.sample_bank.accounts import account_ids, account_numbers
from warehouse.sample_bank.columns import dates, decimals, strings
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ledger import KINDS, RecordingLedger
from warehouse.sample_bank.parameters import LOAN_PRODUCTS, MORTGAGE, Parameters
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, IntegerArray
from warehouse.sample_bank.state import State

FIVE_CLASSES = ("normal", "special_mention", "substandard", "doubtful", "loss")
#: Days past due from which a class holds: rules on the risk classification of financial assets (2023).
CLASS_DAYS = (0, 1, 91, 271, 361)
_INTEREST, _REPAYMENT = KINDS.index("interest"), KINDS.index("loan_repayment")


@dataclass
class Arrears:
    """What each customer of a block is behind with, loans first; cents, days since 1970-01-01, 0 means nothing."""

    overdue: IntegerArray
    since: IntegerArray

    @staticmethod
    def none(customers: int) -> Arrears:
        """Nobody is behind: how the window opens."""
        shape = (len(LOAN_PRODUCTS), customers)
        return Arrears(np.zeros(shape, np.int64), np.zeros(shape, np.int64))

    def is_behind(self) -> BooleanArray:
        """Whether a customer is behind with any loan."""
        behind: BooleanArray = self.since.max(axis=0) > 0
        return behind


def payment_schedule_table(
    block: State, ledger: RecordingLedger, postings: Mapping[str, npt.NDArray[Any]], month: Month, arrears: Arrears
) -> pa.Table:
    """Instalments that fell due in a month, ordered by customer and product; brings the arrears up to date.

    Parameters
    ----------
    block
        At the end of the month.
    ledger, postings
        Of the month.
    month
        The month.
    arrears
        At the end of the month before; changed in place.
    """
    pieces: list[dict[str, IntegerArray]] = []
    size = len(block)
    for position, product in enumerate(LOAN_PRODUCTS):
        owed = -ledger.opening_balance[product]
        # A loan that was drawn stays negative until it is paid back.
        rows = np.flatnonzero(owed > 0)
        due_day = 9 + block.people.salary_day % 12
        interest, paid, settled = (np.zeros(size, np.int64) for _ in range(3))
        if postings:
            own = np.flatnonzero(postings["product"] == product)
            row, kind, amount = (postings[name][own] for name in ("row", "kind", "amount"))
            on_due_day = postings["second"][own] // 86_400 == due_day[row]
            interest = _by_row(row, -amount, kind == _INTEREST, size)
            paid = _by_row(row, amount, (kind == _REPAYMENT) & on_due_day, size)
            # Estates are settled on the last day: whatever is owed is paid then, outside the plan.
            settled = _by_row(row, amount, (kind == _REPAYMENT) & ~on_due_day, size)
        everything = owed + interest
        ends = block.matures_day[product] <= month.last_day
        due = np.where(ends, everything, np.minimum(block.payment[product], everything))
        missed = rows[paid[rows] == 0]
        fresh = missed[arrears.since[position, missed] == 0]
        arrears.since[position, fresh] = month.first_day + due_day[fresh]
        arrears.overdue[position, missed] = np.where(
            ends[missed], due[missed], arrears.overdue[position, missed] + due[missed]
        )
        for cured in (rows[paid[rows] > 0], rows[settled[rows] > 0], np.flatnonzero(~block.is_open[product])):
            arrears.since[position, cured] = 0
            arrears.overdue[position, cured] = 0
        pieces.append(
            {
                "row": rows, "product": np.full(len(rows), product), "due": due[rows], "paid": paid[rows],
                "day": due_day[rows],
            }
        )  # fmt: skip
        estates = rows[settled[rows] > 0]
        pieces.append(
            {
                "row": estates, "product": np.full(len(estates), product), "due": settled[estates],
                "paid": settled[estates], "day": np.full(len(estates), month.days - 1),
            }
        )  # fmt: skip
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    order = np.lexsort((columns["day"], columns["product"], columns["row"]))
    row, of, due, paid, day = (columns[name][order] for name in ("row", "product", "due", "paid", "day"))
    day = month.first_day + day
    return pa.table(
        {
            "source_system": strings(["core"], np.zeros(len(row), np.int64)),
            "account_id": account_ids(block.people.number[row], of, block.sequence[of, row]),
            "due_on": dates(day),
            "due_amount": decimals(due),
            "paid_on": dates(day, paid > 0),
            "paid_amount": decimals(paid),
        }
    )


def loan_status_table(block: State, month: Month, seed: int, parameters: Parameters, arrears: Arrears) -> pa.Table:
    """State of all open loans at a month's end, ordered by customer and product.

    Parameters
    ----------
    block, month
        The customers at the end of the month.
    seed, parameters
        Of the bank.
    arrears
        At the end of the month.
    """
    further = parameters.further
    loans = np.array(LOAN_PRODUCTS)
    row, position = np.nonzero(block.is_open[loans].T)
    product = loans[position]
    numbers = account_numbers(block.people.number[row], product, block.sequence[product, row])
    since = arrears.since[position, row]
    days = np.where(since > 0, month.last_day - since, 0)
    class_of = np.searchsorted(np.array(CLASS_DAYS), days, side="right") - 1
    low, high = further.loan_to_value
    share = low + (high - low) * Draws(seed, "collateral", numbers).uniform("share")
    is_mortgage = product == MORTGAGE
    value = np.rint(block.contract_amount[product, row] / share / 1_000_000).astype(np.int64) * 1_000_000
    default = np.array(further.default_by_class)[class_of] * np.where(is_mortgage, 1.0, further.unsecured_factor)
    loss = np.array(further.loss_given_default)[position]
    return pa.table(
        {
            "source_system": strings(["core"], np.zeros(len(row), np.int64)),
            "account_id": account_ids(block.people.number[row], product, block.sequence[product, row]),
            "as_of": dates(np.full(len(row), month.last_day)),
            "days_past_due": pa.array(days.astype(np.int32)),
            "overdue_amount": decimals(arrears.overdue[position, row]),
            "five_class": strings(FIVE_CLASSES, class_of),
            "collateral_value": decimals(value, present=is_mortgage),
            "pd": decimals(np.rint(np.minimum(default, 1) * 1e6).astype(np.int64), 9, 6),
            "lgd": decimals(np.rint(loss * 1e6).astype(np.int64), 9, 6),
        }
    )


def _by_row(rows: IntegerArray, amounts: IntegerArray, chosen: BooleanArray, size: int) -> IntegerArray:
    return np.rint(np.bincount(rows[chosen], amounts[chosen], size)).astype(np.int64)
