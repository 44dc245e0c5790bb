"""Where life books what happens: balances always, rows only when somebody will read them.

`Ledger` keeps balances, the month's average AUM and who acted: enough for a possible future.
`RecordingLedger` keeps every posting, every version of an account and every complaint as well.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.parameters import AUM_PRODUCTS, CURRENT, PAYROLL, PRODUCT_COUNT
from warehouse.sample_bank.random_numbers import Draws, FloatArray, IntegerArray
from warehouse.sample_bank.state import State

KINDS = (
    "deposit", "withdrawal", "transfer", "payment", "purchase", "salary", "pension", "interest", "fee",
    "insurance_premium", "loan_drawdown", "loan_repayment", "wealth_buy", "wealth_redeem", "revaluation",
)  # fmt: skip
CHANNELS = ("counter", "atm", "mobile", "web", "phone", "pos", "rm", "batch")
INITIATORS = ("customer", "bank", "third_party")
COUNTERPARTIES = ("own", "household", "bank", "wallet", "money_fund", "merchant", "employer", "other")
CUSTOMER, BANK, THIRD_PARTY = range(3)

STATUSES = ("active", "dormant", "closed", "matured")
CLOSURE_REASONS = ("matured", "customer_request", "bank_decision", "death", "other")

_COUNTER = CHANNELS.index("counter")
#: Hour at which counters close.
_COUNTER_CLOSES = 17.0
_IS_AUM = np.isin(np.arange(PRODUCT_COUNT), AUM_PRODUCTS)

Days = IntegerArray | int


@dataclass(frozen=True)
class Posting:
    """What kind of thing is booked, apart from whose, how much and when.

    Parameters
    ----------
    tag
        Names the posting, so that its clock time can be drawn.
    kind
        One of `KINDS`.
    channel, counterparty
        A name for all rows, or positions in `CHANNELS` and `COUNTERPARTIES`, one per row.
    by
        Who caused it, a position in `INITIATORS`.
    hour, spread
        Local time: between `hour` and `hour + spread`.
    counter
        Tells repeated postings of one tag and customer apart.
    """

    tag: str
    kind: str
    channel: str | IntegerArray = "batch"
    by: int = BANK
    counterparty: str | IntegerArray | None = None
    hour: float = 9.0
    spread: float = 0.0
    counter: IntegerArray | int = 0


class Ledger:
    """Books one month of the lives of the customers of one state.

    Parameters
    ----------
    state
        Changed in place by every booking.
    month
        The month that is booked.
    """

    def __init__(self, state: State, month: Month) -> None:
        self.state = state
        self.month = month
        self.average_aum: FloatArray = state.aum().astype(float)
        #: Day on which a customer closed the demand account this month; 0 for the others.
        self.closing_day: IntegerArray = np.zeros(len(state), np.int64)

    def post(self, posting: Posting, rows: IntegerArray, product: int, amount: IntegerArray, day: Days) -> None:
        """Book an amount on one account of each row.

        Parameters
        ----------
        posting
            What is booked.
        rows
            Positions of customers; a position may occur more than once.
        product
            Product of the account.
        amount
            Cents, positive if the customer receives them. Zero amounts are not kept.
        day
            Day of the month, from 0.
        """
        np.add.at(self.state.balance[product], rows, amount)
        days = np.asarray(day, np.int64)
        if _IS_AUM[product]:
            weight = (self.month.days - days) / self.month.days
            self.average_aum += np.bincount(rows, amount * weight, len(self.average_aum))
        if posting.by == CUSTOMER:
            np.maximum.at(self.state.last_act_day, rows, np.where(amount != 0, self.month.first_day + days, 0))

    def open(self, rows: IntegerArray, product: int, day: Days) -> None:
        """Open an account of each row; rate, amount and maturity must stand in the state already."""
        self.state.is_open[product, rows] = True
        self.state.sequence[product, rows] += 1
        self.state.opened_day[product, rows] = self.month.first_day + np.asarray(day)

    def close(self, rows: IntegerArray, product: int, day: Days, reason: str) -> None:
        """Close an account of each row; its balance must be zero."""
        del reason
        self.state.is_open[product, rows] = False
        if product == CURRENT:
            self.closing_day[rows] = self.month.first_day + np.asarray(day)

    def change_account(self, rows: IntegerArray, product: int, day: Days) -> None:
        """Note that an account's attributes changed."""

    def join(self, rows: IntegerArray, day: Days) -> None:
        """Note that customers are registered."""

    def note_death(self, rows: IntegerArray, day: Days) -> None:
        """Note that the bank learns of a death."""

    def complain(self, rows: IntegerArray, day: Days, is_answer: bool) -> None:
        """Note that a complaint is made, or answered."""

    def assign(self, rows: IntegerArray, until: IntegerArray | int, reason: int, updated: IntegerArray) -> None:
        """Note that the managers who stand in the state begin (`until` is 0) or end to look after customers."""


@dataclass
class Columns:
    """Columns of rows of one kind, collected in pieces."""

    pieces: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)

    def add(self, size: int, **columns: npt.ArrayLike) -> None:
        """Add rows; a scalar stands for a constant column."""
        for name, values in columns.items():
            array = np.asarray(values)
            if array.ndim == 0:
                array = np.full(size, array)
            self.pieces.setdefault(name, []).append(array)

    def collected(self) -> dict[str, npt.NDArray[Any]]:
        """All rows in the order they were added; no key at all if there are none."""
        return {name: np.concatenate(pieces) for name, pieces in self.pieces.items()}


def _codes(names: tuple[str, ...], value: str | IntegerArray | None, rows: IntegerArray) -> IntegerArray:
    if value is None:
        return np.full(len(rows), -1, np.int64)
    if isinstance(value, str):
        return np.full(len(rows), names.index(value), np.int64)
    return value


class RecordingLedger(Ledger):
    """A ledger that keeps every row of the month for the tables.

    Parameters
    ----------
    state, month
        As for `Ledger`.
    seed
        The bank's seed, for the clock times of postings.
    products
        Those whose postings are kept; by default all are.
    """

    def __init__(self, state: State, month: Month, seed: int, products: Collection[int] | None = None) -> None:
        super().__init__(state, month)
        self._products = range(PRODUCT_COUNT) if products is None else products
        self._clock = Draws(seed, "clock", state.people.number, month.number)
        self.opening_balance = state.balance.copy()
        self.postings = Columns()
        self.accounts = Columns()
        self.customers = Columns()
        self.assignments = Columns()
        # A month without complaints has a file too, with no row in it.
        self.complaints = Columns()
        none = np.empty(0, np.int64)
        self.complaints.add(0, row=none, month=none, opened_day=none, answer_day=none, is_slow=none.astype(np.bool_))

    def post(self, posting: Posting, rows: IntegerArray, product: int, amount: IntegerArray, day: Days) -> None:
        """Book an amount on one account of each row, and keep it. See `Ledger.post`."""
        super().post(posting, rows, product, amount, day)
        if product not in self._products:
            return
        booked = np.flatnonzero(amount)
        if len(booked) == 0:
            return
        kept = rows[booked]
        within: FloatArray | float = 0.0
        if posting.spread:
            within = self._clock.uniform(posting.tag, kept, _pick(posting.counter, booked))
        channel = _pick(_codes(CHANNELS, posting.channel, rows), booked)
        # What the day leaves time for on a phone is done at a counter before it closes.
        before_closing = max(min(posting.spread, _COUNTER_CLOSES - posting.hour), 0.0)
        spread = np.where(channel == _COUNTER, before_closing, posting.spread)
        second = np.asarray((posting.hour + spread * within) * 3600).astype(np.int64)
        self.postings.add(
            len(booked),
            row=kept,
            product=product,
            sequence=self.state.sequence[product, kept],
            amount=amount[booked],
            second=_pick(np.asarray(day, np.int64), booked) * 86_400 + second,
            kind=KINDS.index(posting.kind),
            channel=channel,
            by=posting.by,
            counterparty=_pick(_codes(COUNTERPARTIES, posting.counterparty, rows), booked),
        )

    def _keep_account(self, rows: IntegerArray, product: int, day: Days, hour: float, reason: str | None) -> None:
        if len(rows) == 0:
            return
        state = self.state
        day_number = self.month.first_day + np.asarray(day, np.int64)
        self.accounts.add(
            len(rows),
            row=rows,
            product=product,
            sequence=state.sequence[product, rows],
            opened_day=state.opened_day[product, rows],
            matures_day=state.matures_day[product, rows],
            rate=state.rate[product, rows],
            contract_amount=state.contract_amount[product, rows],
            is_payroll=is_salary_paid(state, product, rows),
            closed_day=day_number if reason is not None else 0,
            reason=-1 if reason is None else CLOSURE_REASONS.index(reason),
            updated=day_number * 86_400 + int(hour * 3600),
        )

    def open(self, rows: IntegerArray, product: int, day: Days) -> None:
        """Open an account of each row and keep its first version."""
        super().open(rows, product, day)
        self._keep_account(rows, product, day, 8.0, None)

    def close(self, rows: IntegerArray, product: int, day: Days, reason: str) -> None:
        """Close an account of each row and keep its last version."""
        super().close(rows, product, day, reason)
        self._keep_account(rows, product, day, 22.0, reason)

    def change_account(self, rows: IntegerArray, product: int, day: Days) -> None:
        """Keep a further version of an account."""
        self._keep_account(rows, product, day, 20.0, None)

    def join(self, rows: IntegerArray, day: Days) -> None:
        """Keep the first version of customers."""
        self._keep_customer(rows, day, 8.0, False)

    def note_death(self, rows: IntegerArray, day: Days) -> None:
        """Keep the version of customers that says they died."""
        self._keep_customer(rows, day, 17.0, True)

    def _keep_customer(self, rows: IntegerArray, day: Days, hour: float, is_deceased: bool) -> None:
        if len(rows):
            updated = (self.month.first_day + np.asarray(day, np.int64)) * 86_400 + int(hour * 3600)
            self.customers.add(len(rows), row=rows, is_deceased=is_deceased, updated=updated)

    def complain(self, rows: IntegerArray, day: Days, is_answer: bool) -> None:
        """Keep a version of complaints: as made, or as answered."""
        if len(rows):
            self.complaints.add(
                len(rows),
                row=rows,
                month=self.state.complaint_month[rows],
                opened_day=self.state.complaint_opened_day[rows],
                answer_day=self.month.first_day + np.asarray(day, np.int64) if is_answer else 0,
                is_slow=self.state.is_complaint_slow[rows],
            )

    def complaints_made(self) -> dict[str, npt.NDArray[Any]]:
        """All versions of complaints, but for what would be made after a customer's last account was closed.

        Complaints of a month are made before it is known who closes in it; what would be answered later is by then.
        """
        versions = self.complaints.collected()
        closed = self.closing_day[versions["row"]]
        versions["answer_day"] = np.where(
            closed > 0, np.minimum(versions["answer_day"], closed), versions["answer_day"]
        )
        made = (closed == 0) | (versions["opened_day"] <= closed)
        return {name: values[made] for name, values in versions.items()}

    def assign(self, rows: IntegerArray, until: IntegerArray | int, reason: int, updated: IntegerArray) -> None:
        """Keep a version of assignments."""
        state = self.state
        self.assignments.add(
            len(rows),
            row=rows,
            place=state.manager_place[rows],
            holder=state.manager_holder[rows],
            since=state.manager_since[rows],
            agreed=state.manager_agreed[rows],
            until=until,
            reason=reason,
            updated=updated,
        )


def is_salary_paid(state: State, product: int, rows: IntegerArray) -> npt.NDArray[np.bool_]:
    """Whether a salary is paid into the accounts of a product: into demand accounts with an open payroll service."""
    if product != CURRENT:
        return np.zeros(len(rows), np.bool_)
    paid: npt.NDArray[np.bool_] = state.is_open[PAYROLL, rows]
    return paid


def _pick(values: IntegerArray | int, kept: IntegerArray) -> IntegerArray | int:
    array = np.asarray(values)
    return values if array.ndim == 0 else array[kept]
