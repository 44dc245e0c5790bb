"""One month of everybody's life with the bank, step by step in an order that never changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warehouse.sample_bank.borrowing import pay_loans, use_cards
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.employees import Staff
from warehouse.sample_bank.income import earn
from warehouse.sample_bank.leaving import (
    Decisions,
    close_all,
    complain,
    decide,
    die,
    drain,
    join,
    move_salaries,
    settle_estates,
)
from warehouse.sample_bank.ledger import Ledger
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.month_of_life import MonthOfLife
from warehouse.sample_bank.parameters import Parameters
from warehouse.sample_bank.random_numbers import IntegerArray
from warehouse.sample_bank.relationships import look_after
from warehouse.sample_bank.saving import book_for_the_bank, dress_windows, meet_maturities, open_products, sweep
from warehouse.sample_bank.spending import celebrate, make_large_purchases, spend
from warehouse.sample_bank.state import State

#: Weight of the past in the smoothed share of wallets: a memory of about four months.
_WALLET_MEMORY = 0.75


@dataclass(frozen=True)
class MonthRecord:
    """What a month decided, by position of customers, for the truth: who left and why, who died, what only looks so."""

    decisions: Decisions
    deceased: IntegerArray
    large_purchases: IntegerArray
    window_dressing: IntegerArray
    matured: dict[str, IntegerArray]


def live_through(
    state: State, month: Month, *, seed: int, market: Market, staff: Staff, parameters: Parameters, ledger: Ledger
) -> MonthRecord:
    """Step a state through one month.

    Parameters
    ----------
    state
        Changed in place.
    month
        The month to live through; the state must stand at the end of the month before.
    seed
        Seed of the draws: the bank's own, or another one for a possible future.
    market, staff, parameters
        Of the bank.
    ledger
        Takes the bookings; its state must be `state`.

    Returns
    -------
    MonthRecord
        What was decided, by position of customers.
    """
    life = MonthOfLife(state, month, seed=seed, market=market, parameters=parameters, ledger=ledger)
    state.aum_before = state.aum()
    join(life)
    deceased = die(life)
    complain(life)
    move_salaries(life)
    decisions = decide(life)
    dressed = dress_windows(life)
    earn(life)
    pay_loans(life)
    use_cards(life)
    close_all(life)
    drain(life)
    purchases = make_large_purchases(life)
    celebrate(life)
    spend(life)
    matured = meet_maturities(life)
    open_products(life)
    sweep(life)
    book_for_the_bank(life)
    settle_estates(life)
    look_after(ledger, staff, seed, parameters)
    _remember(life)
    return MonthRecord(decisions, deceased, purchases, dressed, matured)


def _remember(life: MonthOfLife) -> None:
    """Carry into the next month what drives decisions: the share of wallets, the average AUM."""
    state = life.state
    share = life.wallet_outflow / np.maximum(life.outflow, 1)
    smoothed = _WALLET_MEMORY * state.wallet_share + (1 - _WALLET_MEMORY) * share
    state.wallet_share = np.where(life.outflow > 0, smoothed, state.wallet_share)
    state.average_aum[:-1] = state.average_aum[1:]
    state.average_aum[-1] = life.ledger.average_aum
