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
from warehouse.sample_bank.ledger import Days, Ledger
from warehouse.sample_bank.life import live_through
from warehouse.sample_bank.parameters import AUM_PRODUCTS
from warehouse.sample_bank.random_numbers import BooleanArray, FloatArray, IntegerArray, stable_seed
from warehouse.sample_bank.simulation import BankAt
from warehouse.sample_bank.state import CLOSED, NOT_JOINED, REMEMBERED_MONTHS, State

REBOOKING_DAYS = 30
"""Money of a matured product that is booked again within these days was only away."""


@dataclass(frozen=True)
class Future:
    """One possible future of all customers; months first, customers in the order of the bank.

    `average_aum` is the day-weighted average of each month in CNY. `is_closed` says that at the month's end every
    account is closed, `is_deceased` that the bank knows by then that the customer has died, `last_act_day` when the
    customer last did something (days since 1970-01-01) by the end of the last month. `is_rebooked`, which begins with
    the month before the first one, says that money of a product that matured in the month was gone at its end and was
    booked again within `REBOOKING_DAYS`, as far as that happens in this future.
    """

    average_aum: FloatArray
    is_closed: BooleanArray
    is_deceased: BooleanArray
    is_rebooked: BooleanArray
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
        yield _future(bank, stable_seed(bank.settings.seed, "future", bank.month.number, number), months)


def what_happened(bank: BankAt, months: int = 4) -> Future:
    """The future that came about: the one with the bank's own chances."""
    return _future(bank, bank.settings.seed, months)


def _future(bank: BankAt, seed: int, months: int) -> Future:
    pieces = [_live_on(bank, block, seed, months) for block in bank.blocks]
    return Future(
        *(
            np.concatenate([getattr(piece, name) for piece in pieces], axis=-1)
            for name in ("average_aum", "is_closed", "is_deceased", "is_rebooked", "last_act_day")
        )
    )


_Amounts = tuple[IntegerArray, IntegerArray, IntegerArray]


class _MaturityLedger(Ledger):
    """A ledger that keeps which products matured and which were opened, as (customers, days, amounts)."""

    def __init__(self, state: State, month: Month) -> None:
        super().__init__(state, month)
        self.matured: list[_Amounts] = []
        self.opened: list[_Amounts] = []

    def _amounts(self, rows: IntegerArray, product: int, day: Days) -> _Amounts:
        days = np.broadcast_to(self.month.first_day + np.asarray(day, np.int64), rows.shape)
        return rows, days, self.state.contract_amount[product, rows]

    def open(self, rows: IntegerArray, product: int, day: Days) -> None:
        super().open(rows, product, day)
        if product in AUM_PRODUCTS:
            self.opened.append(self._amounts(rows, product, day))

    def close(self, rows: IntegerArray, product: int, day: Days, reason: str) -> None:
        super().close(rows, product, day, reason)
        if product in AUM_PRODUCTS and reason == "matured":
            self.matured.append(self._amounts(rows, product, day))


def _live_on(bank: BankAt, block: State, seed: int, months: int) -> Future:
    state = block.copy()
    average, closed, deceased = [], [], []
    matured, opened, end_aum = [_matured_already(state, bank.month)], [], [state.aum_before, state.aum()]
    for offset in range(1, months + 1):
        month = Month(bank.month.number + offset)
        ledger = _MaturityLedger(state, month)
        live_through(
            state,
            month,
            seed=seed,
            market=bank.market,
            staff=bank.staff,
            parameters=bank.settings.parameters,
            ledger=ledger,
        )
        average.append(ledger.average_aum / 100)
        closed.append(state.mode == CLOSED)
        deceased.append(_is_known_deceased(state, month))
        matured.append(_joined(ledger.matured))
        opened.extend(ledger.opened)
        end_aum.append(state.aum())
    renewals = _joined(opened)
    rebooked = [
        2 * (before - after) >= _rebooked_amount(maturities, renewals, len(state))
        for before, after, maturities in zip(end_aum, end_aum[1:], matured, strict=False)
    ]
    return Future(
        np.array(average), np.array(closed), np.array(deceased), np.array(rebooked), state.last_act_day.copy()
    )


def _is_known_deceased(state: State, month: Month) -> BooleanArray:
    return (state.notice_month > 0) & (state.notice_month <= month.number)


def _joined(amounts: list[_Amounts]) -> _Amounts:
    if not amounts:
        none = np.empty(0, np.int64)
        return none, none, none
    rows, days, cents = (np.concatenate(parts) for parts in zip(*amounts, strict=True))
    return rows, days, cents


def _matured_already(state: State, month: Month) -> _Amounts:
    """What matured in the state's own month and was not opened again in it."""
    product, rows = np.nonzero(
        ~state.is_open & (state.matures_day >= month.first_day) & (state.matures_day <= month.last_day)
    )
    held = np.isin(product, AUM_PRODUCTS)
    product, rows = product[held], rows[held]
    return rows, state.matures_day[product, rows], state.contract_amount[product, rows]


def _rebooked_amount(matured: _Amounts, opened: _Amounts, size: int) -> FloatArray:
    """Largest amount of each customer that matured and was opened again, at least by half; infinite without any."""
    order = np.argsort(opened[0], kind="stable")
    owner, on, cents = (values[order] for values in opened)
    first, last = np.searchsorted(owner, matured[0]), np.searchsorted(owner, matured[0], side="right")
    which = np.repeat(np.arange(len(matured[0])), last - first)
    renewal = np.arange(len(which)) - np.repeat(np.cumsum(last - first) - last, last - first)
    rows, ended, amount = (values[which] for values in matured)
    wait = on[renewal] - ended
    returned = (wait > 0) & (wait <= REBOOKING_DAYS) & (2 * cents[renewal] >= amount)
    largest = np.full(size, -np.inf)
    np.maximum.at(largest, rows[returned], amount[returned])
    return np.where(np.isfinite(largest), largest, np.inf)


@dataclass(frozen=True)
class ChurnDefinition:
    """Churn as it is evaluated: closure of the last account, or a lasting drop of the monthly-average AUM.

    Parameters
    ----------
    gap, outcome
        Months to act, and months in which the event counts.
    drop, held
        Share of the baseline lost, and for how many months at the end of the outcome window.
    baseline_months
        Months up to and with as-of whose mean is the baseline, at most 3.
    smallest_baseline
        Baseline (CNY) below which only closure counts.
    """

    gap: int = 1
    outcome: int = 3
    drop: float = 0.5
    held: int = 2
    baseline_months: int = 3
    smallest_baseline: float = 1_000.0


@dataclass(frozen=True)
class ChurnChances:
    """Monte-Carlo probabilities of an evaluated churn definition, one per customer.

    `is_eligible`: a customer at as-of, not known to be dead, who has not left by the definition before. `in_outcome`
    is the share of futures with the event among those that have a label: no closure in the gap and no drop that had
    lasted by its end, no death that the bank learns of, no matured money that was only away. `in_gap` is the share of
    futures that left before the window.
    """

    source_customer_id: pa.Array
    is_eligible: BooleanArray
    in_outcome: FloatArray
    in_gap: FloatArray
    baseline: FloatArray


def churn_chances(bank: BankAt, definition: ChurnDefinition | None = None, futures: int = 200) -> ChurnChances:
    """Probability of churn as it is evaluated, given the customers' true state.

    Parameters
    ----------
    bank
        From `state_at`: the as-of month's end.
    definition
        `ChurnDefinition()` by default.
    futures
        Number of futures; the standard error of a probability p is sqrt(p (1 - p) / futures).

    Notes
    -----
    A future ends with the outcome window: money that matured in it and came back later counts as gone.
    """
    chosen = definition or ChurnDefinition()
    past = average_aum_until(bank)
    baseline = _mean(past[-chosen.baseline_months :])
    is_eligible = _is_at_risk(bank, past, chosen)
    early, late, labelled = (np.zeros(len(baseline)) for _ in range(3))
    for future in simulate_futures(bank, futures, chosen.gap + chosen.outcome):
        labels = churn_labels(future, past, chosen)
        labelled += ~np.isnan(labels)
        late += labels == 1
        early += _left_early(future, past, chosen)
    return ChurnChances(
        customer_ids(np.concatenate([block.people.number for block in bank.blocks])),
        is_eligible,
        late / np.maximum(labelled, 1),
        early / futures,
        baseline,
    )


def churn_labels(future: Future, past: FloatArray, definition: ChurnDefinition) -> FloatArray:
    """Churn in a future after the months of `past` (`average_aum_until`): 1, 0, or NaN where there is no label."""
    is_closed = future.is_closed[-1]
    dropped = _is_low(future, past, definition)[-definition.held :].all(axis=0)
    has_label = ~(_left_early(future, past, definition) | future.is_deceased[-1] | future.is_rebooked.any(axis=0))
    return np.where(has_label, (is_closed | dropped).astype(float), np.nan)


def _is_low(future: Future, past: FloatArray, definition: ChurnDefinition) -> BooleanArray:
    """Whether AUM is down, in the `held` - 1 months up to as-of, which may be the first of a drop, and after."""
    baseline = _mean(past[-definition.baseline_months :])
    average = np.concatenate([past[len(past) + 1 - definition.held :], future.average_aum])
    with np.errstate(invalid="ignore"):
        is_low: BooleanArray = average <= (1 - definition.drop) * baseline
    return is_low & (baseline >= definition.smallest_baseline) & (baseline > 0)


def _left_early(future: Future, past: FloatArray, definition: ChurnDefinition) -> BooleanArray:
    """Closed in the gap, or down to the end and, when the gap ended, for `held` months already."""
    if definition.gap == 0:
        return np.zeros(future.is_closed.shape[1], np.bool_)
    last = definition.gap - 1
    dropped = _is_low(future, past, definition)[last:].all(axis=0)
    early: BooleanArray = (future.is_closed[last] | dropped) & ~future.is_deceased[last]
    return early


def average_aum_until(bank: BankAt) -> FloatArray:
    """Average AUM (CNY) of the months that are remembered, NaN where the customer or the window had not begun."""
    months = bank.month.number - np.arange(REMEMBERED_MONTHS)[::-1]
    joined = np.concatenate([block.people.joined_month for block in bank.blocks])
    average = np.concatenate([block.average_aum for block in bank.blocks], axis=-1) / 100
    is_known = months[:, None] >= np.maximum(joined, bank.settings.first_month.number)
    known: FloatArray = np.where(is_known, average, np.nan)
    return known


def _is_at_risk(bank: BankAt, past: FloatArray, definition: ChurnDefinition) -> BooleanArray:
    mode = np.concatenate([block.mode for block in bank.blocks])
    deceased = np.concatenate([_is_known_deceased(block, bank.month) for block in bank.blocks])
    left = np.isin(mode, (NOT_JOINED, CLOSED)) | deceased
    # Who dropped within the baseline's months has left already.
    for end in range(len(past) - definition.baseline_months, len(past)):
        start = end - definition.held + 1
        before = _mean(past[max(0, start - definition.baseline_months) : start])
        with np.errstate(invalid="ignore"):
            is_low = (past[start : end + 1] <= (1 - definition.drop) * before).all(axis=0)
        left |= is_low & (before >= definition.smallest_baseline)
    at_risk: BooleanArray = ~left
    return at_risk


def _mean(months: FloatArray) -> FloatArray:
    """Mean over the months that are known, NaN without any."""
    known = np.isfinite(months)
    count = known.sum(axis=0)
    mean: FloatArray = np.where(count > 0, np.where(known, months, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
    return mean
