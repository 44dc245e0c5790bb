"""One month that is being lived: what its steps share, and the ways in which money moves.

On the demand account nothing is spent in a month that was not there when the month began, so a balance never falls
below zero, in whatever order the postings of a day stand. `budget` keeps that account.
"""

from __future__ import annotations

import numpy as np

from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ledger import CHANNELS, CUSTOMER, Ledger, Posting
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.parameters import (
    CURRENT,
    DEMAND_RATE,
    INSURANCE,
    LIQUID_PRODUCTS,
    MATURING_PRODUCTS,
    PRODUCTS,
    RATED_PRODUCTS,
    Parameters,
)
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, FloatArray, IntegerArray
from warehouse.sample_bank.state import (
    ACTIVE,
    DRAINING,
    LEFT,
    State,
    personal_rate,
)

_COUNTER, _MOBILE, _WEB = (CHANNELS.index(name) for name in ("counter", "mobile", "web"))


class MonthOfLife:
    """State, chance and ledger of one month. Rows are positions of customers; money is in cents."""

    def __init__(
        self, state: State, month: Month, *, seed: int, market: Market, parameters: Parameters, ledger: Ledger
    ) -> None:
        self.state = state
        self.people = state.people
        self.month = month
        self.market = market
        self.parameters = parameters
        self.ledger = ledger
        self.draws = Draws(seed, "life", state.people.number, month.number)
        #: What may still be spent from the demand account this month: what was there at its beginning.
        self.budget = np.maximum(state.balance[CURRENT], 0)
        self.outflow = np.zeros(len(state), np.int64)
        self.wallet_outflow = np.zeros(len(state), np.int64)
        self.years = (month.number - 2024 * 12) / 12

    def channel(self, tag: str, rows: IntegerArray, counter: IntegerArray | int = 0) -> IntegerArray:
        """Channel of customers' own acts: counter, browser or mobile phone, by personal habit."""
        position = self.draws.uniform(f"channel {tag}", rows, counter)
        at_counter = self.people.counter_share[rows]
        on_web = at_counter + (1 - at_counter) * self.people.web_share[rows]
        channel: IntegerArray = np.where(position < at_counter, _COUNTER, np.where(position < on_web, _WEB, _MOBILE))
        return channel

    def day(self, tag: str, rows: IntegerArray, first: int, last: int) -> IntegerArray:
        """Days of the month, evenly from `first` to `last`."""
        return first + self.draws.integer(f"day {tag}", last - first + 1, rows)

    def in_mode(self, *modes: int) -> BooleanArray:
        """Whether a customer is in one of some modes."""
        return np.isin(self.state.mode, modes)

    def spend(self, rows: IntegerArray, wanted: IntegerArray) -> IntegerArray:
        """Take from the budget what is there of what is wanted; rows must be distinct."""
        taken: IntegerArray = np.minimum(wanted, self.budget[rows])
        self.budget[rows] -= taken
        return taken

    def arrive(
        self,
        tag: str,
        rows: IntegerArray,
        amount: IntegerArray,
        day: IntegerArray | int,
        hour: float = 8.5,
    ) -> None:
        """Money of the customer arrives from another bank."""
        self.ledger.post(
            Posting(tag, "transfer", channel="batch", by=CUSTOMER, counterparty="bank", hour=hour, spread=0.4),
            rows,
            CURRENT,
            amount,
            day,
        )

    def depart(
        self, tag: str, rows: IntegerArray, amount: IntegerArray, day: IntegerArray, counterparty: str = "bank"
    ) -> None:
        """Money of the customer goes to another bank or a money fund, in the afternoon."""
        self.ledger.post(
            Posting(
                tag,
                "transfer",
                channel=self.channel(tag, rows),
                by=CUSTOMER,
                counterparty=counterparty,
                hour=16.0,
                spread=3.0,
            ),
            rows,
            CURRENT,
            -amount,
            day,
        )
        np.add.at(self.outflow, rows, amount)
        if counterparty in ("wallet", "money_fund"):
            np.add.at(self.wallet_outflow, rows, amount)

    def move(
        self,
        tag: str,
        rows: IntegerArray,
        product: int,
        amount: IntegerArray,
        day: IntegerArray | int,
        *,
        hour: float = 10.0,
        spread: float = 4.0,
        by: int = CUSTOMER,
    ) -> None:
        """Move money from the demand account into a product (positive) or back (negative)."""
        channel = self.channel(tag, rows) if by == CUSTOMER else "batch"
        category = PRODUCTS[product].category
        if category == "deposit_term":
            kind = "transfer"
        elif category == "insurance":
            kind = "insurance_premium"
        else:
            kind = "wealth_buy" if (amount > 0).any() else "wealth_redeem"
        self.ledger.post(
            Posting(tag, kind, channel=channel, by=by, counterparty="own", hour=hour, spread=spread),
            rows,
            CURRENT,
            -amount,
            day,
        )
        self.ledger.post(
            Posting(tag, kind, channel=channel, by=by, counterparty="own", hour=hour, spread=spread),
            rows,
            product,
            amount,
            day,
        )

    def presence(self) -> FloatArray:
        """How much of a customer's ordinary activity still happens here."""
        return np.select(
            [self.state.mode == ACTIVE, self.state.mode == DRAINING, self.state.mode == LEFT], [1.0, 0.6, 0.15], 0.0
        )

    def parked(self) -> IntegerArray:
        """Money on the demand account that waits to be invested again."""
        state = self.state
        waits = (state.pending_month > 0) & ~state.is_pending_outside
        parked: IntegerArray = np.where(waits, state.pending_amount, 0).sum(axis=0)
        return parked

    def price(self, rows: IntegerArray, product: int, amount: IntegerArray, day: IntegerArray) -> None:
        """Set what a new account is opened with: rate of the month, amount, maturity."""
        state = self.state
        term = PRODUCTS[product].term_days
        state.contract_amount[product, rows] = amount
        state.matures_day[product, rows] = self.month.first_day + day + term if term is not None else 0
        if product in RATED_PRODUCTS:
            posted = self.market.own(product, self.month.number)
            state.rate[product, rows] = personal_rate(product, posted, rows, self.draws)
        elif product == INSURANCE:
            state.rate[product, rows] = 0.025

    def book_account(self, rows: IntegerArray, product: int, amount: IntegerArray, day: IntegerArray, tag: str) -> None:
        """Open an account and move its first amount in from the demand account."""
        self.ledger.open(rows, product, day)
        self.move(tag, rows, product, amount, day, hour=11.0, spread=4.0)

    def redeem_all(self, tag: str, rows: IntegerArray, product: int, day: IntegerArray) -> None:
        """Turn a product into money on the demand account; a deposit broken early earns the demand rate."""
        state = self.state
        if product in MATURING_PRODUCTS:
            held = np.maximum(self.month.first_day + day - state.opened_day[product, rows], 0)
            is_broken = self.month.first_day + day < state.matures_day[product, rows]
            rate = np.where(is_broken, DEMAND_RATE, state.rate[product, rows])
            interest = np.rint(state.balance[product, rows] * rate * held / 365).astype(np.int64)
            self.ledger.post(Posting(f"{tag} interest", "interest", hour=9.0), rows, product, interest, day)
        self.move(tag, rows, product, -state.balance[product, rows].copy(), day, hour=9.5, spread=2.0)

    def take_out(self, rows: IntegerArray, share: FloatArray | float, tag: str) -> None:
        """Send a share of the liquid money to another bank; deposits are broken for it, each with that chance."""
        if len(rows) == 0:
            return
        state = self.state
        shares = np.broadcast_to(np.asarray(share, float), rows.shape)
        day = self.day(tag, rows, 4, 22)
        freed = np.zeros(len(rows), np.int64)
        for product in (*LIQUID_PRODUCTS, *MATURING_PRODUCTS):
            held = state.is_open[product, rows]
            if product in MATURING_PRODUCTS:
                # What matures this month anyway is not broken.
                held = held & (state.matures_day[product, rows] > self.month.last_day)
            held = np.flatnonzero(held)
            if len(held) == 0:
                continue
            if product in MATURING_PRODUCTS:
                breaks = self.draws.happens(f"breaks {product}", shares[held], rows[held])
                held = held[breaks]
                before = state.balance[CURRENT, rows[held]].copy()
                self.redeem_all(f"{tag} {product}", rows[held], product, day[held])
                freed[held] += state.balance[CURRENT, rows[held]] - before
                self.ledger.close(rows[held], product, day[held], "customer_request")
            else:
                amount = np.floor(state.balance[product, rows[held]] * shares[held]).astype(np.int64)
                self.move(f"{tag} {product}", rows[held], product, -amount, day[held], hour=9.5, spread=2.0)
                freed[held] += amount
        own = self.spend(rows, np.floor(self.budget[rows] * shares).astype(np.int64))
        self.depart(tag, rows, freed + own, day)


def repeated(count: IntegerArray) -> tuple[IntegerArray, IntegerArray]:
    """Rows repeated by their counts, and a counter from 0 within each row.

    Examples
    --------
    >>> [array.tolist() for array in repeated(np.array([2, 0, 1]))]
    [[0, 0, 2], [0, 1, 0]]
    """
    rows = np.repeat(np.arange(len(count)), count)
    counter = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    return rows, counter
