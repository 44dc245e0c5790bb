"""What could still have happened: a bank's customers lived on from their true state many times, with other chances.

For tests and benchmarks only. The share of futures in which an event happens is the best probability anybody could
have stated at that time; its AUC against what did happen is the ceiling of any model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from warehouse.errors import UserError
from warehouse.sample_bank.customers import customer_ids
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ledger import Ledger
from warehouse.sample_bank.life import live_through
from warehouse.sample_bank.random_numbers import BooleanArray, FloatArray, IntegerArray, stable_seed
from warehouse.sample_bank.simulation import BankAt
from warehouse.sample_bank.state import CLOSED, DECEASED, NOT_JOINED, State


@dataclass(frozen=True)
class Future:
    """One possible future of all customers; months first, customers in the order of the bank.

    `average_aum` is the day-weighted average of each month in CNY. `is_closed` says that at the month's end every
    account is closed, `is_deceased` that the customer has died by then, `last_act_day` when the customer last did
    something (days since 1970-01-01) by the end of the last month.
    """

    average_aum: FloatArray
    is_closed: BooleanArray
    is_deceased: BooleanArray
    last_act_day: IntegerArray


def simulate_futures(bank: BankAt, futures: int = 200, months: int = 4) -> Iterator[Future]:
    """Live a bank's customers on from their true state, again and again.

    The market of rates and returns is the bank's own: futures differ in what customers do, not in the economy.

    Parameters
    ----------
    bank
        From `state_at`.
    futures
        How many.
    months
        Length of each, from the month after the state's.

    Yields
    ------
    Future
        One at a time, so that any definition of churn can be counted without keeping them all.

    Raises
    ------
    UserError
        `futures` or `months` is below one.
    """
    for name, value in (("futures", futures), ("months", months)):
        if value < 1:
            raise UserError("nothing to simulate", where=name, found=str(value), valid="1 or more")
    for number in range(futures):
        seed = stable_seed(bank.settings.seed, "future", bank.month.number, number)
        pieces = [_live_on(bank, block, seed, months) for block in bank.blocks]
        yield Future(
            *(
                np.concatenate([getattr(piece, name) for piece in pieces], axis=-1)
                for name in ("average_aum", "is_closed", "is_deceased", "last_act_day")
            )
        )


def _live_on(bank: BankAt, block: State, seed: int, months: int) -> Future:
    state = block.copy()
    average, closed, deceased = [], [], []
    for offset in range(1, months + 1):
        month = Month(bank.month.number + offset)
        ledger = Ledger(state, month)
        live_through(state, month, seed=seed, market=bank.market, parameters=bank.settings.parameters, ledger=ledger)
        average.append(ledger.average_aum / 100)
        closed.append(state.mode == CLOSED)
        deceased.append((state.mode == DECEASED) | (state.notice_month > 0))
    return Future(np.array(average), np.array(closed), np.array(deceased), state.last_act_day.copy())


@dataclass(frozen=True)
class ChurnChances:
    """Monte-Carlo probabilities of an evaluated churn definition, one per customer.

    `is_eligible`: a customer at as-of, alive, not closed, with a baseline of at least the smallest AUM.
    `in_outcome` is the share of futures with the event in the outcome window among those without it in the gap.
    """

    source_customer_id: pa.Array
    is_eligible: BooleanArray
    in_outcome: FloatArray
    in_gap: FloatArray
    baseline: FloatArray


def churn_chances(
    bank: BankAt,
    *,
    futures: int = 200,
    gap: int = 1,
    outcome: int = 3,
    drop: float = 0.5,
    held: int = 1,
    baseline_months: int = 1,
    smallest_aum: float = 0.0,
) -> ChurnChances:
    """Probability of churn as it is evaluated: closure, or a drop of the monthly-average AUM.

    The event: all accounts closed (not by death) by the end of the outcome window, or the average AUM of each of
    its last `held` months at most (1 - `drop`) times the baseline, for customers alive at its end.

    Parameters
    ----------
    bank
        From `state_at`: the as-of month's end.
    futures
        Number of futures; the standard error of a probability p is sqrt(p (1 - p) / futures).
    gap, outcome
        Months to act, and months in which the event counts.
    drop, held
        Size of the drop, and for how many months at the end of the outcome window it must hold.
    baseline_months
        Months up to as-of whose mean is the baseline, at most 6.
    smallest_aum
        Baselines below it (CNY) are not eligible.
    """
    baseline = np.concatenate([block.average_aum[-baseline_months:].mean(axis=0) / 100 for block in bank.blocks])
    mode = np.concatenate([block.mode for block in bank.blocks])
    noticed = np.concatenate([block.notice_month for block in bank.blocks])
    is_eligible = ~np.isin(mode, (NOT_JOINED, CLOSED, DECEASED)) & (noticed == 0)
    is_eligible &= (baseline >= smallest_aum) & (baseline > 0)
    early, late = np.zeros(len(mode)), np.zeros(len(mode))
    for future in simulate_futures(bank, futures, gap + outcome):
        lives = ~future.is_deceased[-1]
        closed_early = future.is_closed[gap - 1] & ~future.is_deceased[gap - 1] if gap else np.zeros(len(mode), bool)
        dropped = (future.average_aum[-held:] <= (1 - drop) * baseline).all(axis=0)
        event = (future.is_closed[-1] | dropped) & lives & ~closed_early
        early += closed_early
        late += event
    return ChurnChances(
        customer_ids(np.concatenate([block.people.number for block in bank.blocks])),
        is_eligible,
        late / np.maximum(futures - early, 1),
        early / futures,
        baseline,
    )
