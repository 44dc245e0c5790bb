"""Joining, complaining, leaving and dying; what drives the decision to leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ledger import BANK, CUSTOMER, THIRD_PARTY, Posting
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.month_of_life import MonthOfLife
from warehouse.sample_bank.parameters import (
    AUM_PRODUCTS,
    CREDIT_CARD,
    CURRENT,
    DEMAND_RATE,
    LOAN_PRODUCTS,
    MATURING_PRODUCTS,
    PAYROLL,
    PRODUCT_COUNT,
    PRODUCTS,
    RATED_PRODUCTS,
    SERVICE_PRODUCTS,
    Parameters,
)
from warehouse.sample_bank.random_numbers import Draws, FloatArray, IntegerArray
from warehouse.sample_bank.state import (
    ACTIVE,
    ASLEEP,
    CLOSED,
    CLOSING,
    DECEASED,
    DRAINING,
    LEFT,
    NOT_JOINED,
    State,
    usual_wallet_share,
)

DRIVERS = (
    "unanswered_complaint", "rate_gap", "salary_moved", "wallet_outflow", "manager_change", "tenure", "products",
    "loyalty",
)  # fmt: skip


@dataclass(frozen=True)
class Decisions:
    """Who was at risk of leaving in a month and why, and who decided to leave and how. Positions of customers."""

    at_risk: IntegerArray
    hazard: FloatArray
    drivers: dict[str, FloatArray]
    leavers: IntegerArray
    kinds: IntegerArray


def drivers_at(state: State, month: Month, market: Market) -> dict[str, FloatArray]:
    """What drives departure at the end of the month before `month`, one value per customer and driver."""
    first = month.first_day
    open_long = (state.complaint_answer_day >= first) & (state.complaint_opened_day <= first - 15)
    answered_late = (state.slow_answer_day > 0) & (state.slow_answer_day >= first - 90)
    complaint = (state.complaint_opened_day > 0) & open_long & state.is_complaint_slow
    aum = np.maximum(state.aum(), 1)
    gap = np.zeros(len(state))
    for product in RATED_PRODUCTS:
        better = market.competitor(product, month.number - 1) - state.rate[product]
        gap += np.where(state.is_open[product], np.maximum(better, 0) * 100 * state.balance[product] / aum, 0)
    since_moved = month.number - state.salary_moved_month
    moved = (state.salary_moved_month > 0) & (since_moved >= 1) & (since_moved <= 6)
    is_manager_new = (state.manager_changed_day > 0) & (state.manager_changed_day >= first - 90)
    years = np.maximum(first - state.people.joined_day, 0) / 365.25
    return {
        "unanswered_complaint": (complaint | answered_late).astype(float),
        "rate_gap": gap,
        "salary_moved": moved.astype(float),
        "wallet_outflow": state.wallet_share,
        "manager_change": is_manager_new.astype(float),
        "tenure": np.log1p(years),
        "products": state.is_open.sum(axis=0) - 1.0,
        "loyalty": state.people.loyalty,
    }


def hazard_of(drivers: dict[str, FloatArray], parameters: Parameters) -> FloatArray:
    """Monthly probability of deciding to leave: logistic in the drivers (`parameters.Hazard`)."""
    logit = np.full(len(drivers["tenure"]), parameters.hazard.intercept)
    for name in DRIVERS:
        logit = logit + getattr(parameters.hazard, name) * drivers[name]
    hazard: FloatArray = 1 / (1 + np.exp(-logit))
    return hazard


def join(life: MonthOfLife) -> None:
    """Newcomers open a demand account and pay something in."""
    state, people = life.state, life.people
    rows = np.flatnonzero((state.mode == NOT_JOINED) & (people.joined_month == life.month.number))
    if len(rows) == 0:
        return
    state.mode[rows] = ACTIVE
    day = people.joined_day[rows] - life.month.first_day
    life.ledger.join(rows, day)
    life.ledger.open(rows, CURRENT, day)
    first = np.floor(people.amount[CURRENT, rows] * (0.3 + 0.7 * life.draws.uniform("first", rows)))
    cash = life.draws.happens("first in cash", people.counter_share[rows], rows)
    paid_in = np.maximum(first.astype(np.int64), 1_000)
    by_cash, by_transfer = rows[cash], rows[~cash]
    life.ledger.post(
        Posting("first cash", "deposit", channel="counter", by=CUSTOMER, counterparty=None, hour=9.0, spread=6.0),
        by_cash,
        CURRENT,
        paid_in[cash],
        day[cash],
    )
    life.arrive("first transfer", by_transfer, paid_in[~cash], day[~cash], 12.0)
    state.wallet_share[rows] = usual_wallet_share(people)[rows]


def die(life: MonthOfLife) -> IntegerArray:
    """Deaths by age; the bank learns of them one to three months later."""
    state = life.state
    age = (life.month.first_day - life.people.born_day) / 365.25
    yearly = life.parameters.death_at_30 * np.exp(life.parameters.death_growth * (age - 30))
    living = life.in_mode(ACTIVE, DRAINING, LEFT, ASLEEP, CLOSING)
    living &= life.people.joined_month < life.month.number
    rows = np.flatnonzero(living & life.draws.happens("death", np.minimum(yearly / 12, 0.2)))
    state.mode[rows] = DECEASED
    state.mode_month[rows] = life.month.number
    state.notice_month[rows] = life.month.number + 1 + life.draws.integer("notice", 3, rows)
    state.estate_month[rows] = state.notice_month[rows] + 1 + life.draws.integer("estate", 4, rows)
    noticed = np.flatnonzero((state.mode == DECEASED) & (state.notice_month == life.month.number))
    life.ledger.note_death(noticed, life.day("notice", noticed, 2, 24))
    return rows


def complain(life: MonthOfLife) -> None:
    """What customers bring forward, and the answers that are due; slow answers are remembered."""
    state, parameters, month = life.state, life.parameters, life.month
    free = state.complaint_opened_day == 0
    rows = np.flatnonzero(
        free
        & (state.mode == ACTIVE)
        & (life.people.joined_month < month.number)
        & life.draws.happens("complaint", parameters.complaint)
    )
    if len(rows):
        day = life.day("complaint", rows, 0, month.days - 1)
        is_complaint = complaint_kinds(life.draws, rows) == 0
        slow = is_complaint & life.draws.happens("slow", parameters.complaint_slow, rows)
        quick_low, quick_high = parameters.complaint_days_quick
        slow_low, slow_high = parameters.complaint_days_slow
        wait = np.where(
            slow,
            life.day("slow answer", rows, slow_low, slow_high),
            life.day("quick answer", rows, quick_low, quick_high),
        )
        state.complaint_month[rows] = month.number
        state.complaint_opened_day[rows] = month.first_day + day
        state.complaint_answer_day[rows] = month.first_day + day + wait
        state.is_complaint_slow[rows] = slow
        life.ledger.complain(rows, day, is_answer=False)
    answered = np.flatnonzero((state.complaint_opened_day > 0) & (state.complaint_answer_day <= month.last_day))
    life.ledger.complain(answered, state.complaint_answer_day[answered] - month.first_day, is_answer=True)
    slowly = answered[state.is_complaint_slow[answered]]
    state.slow_answer_day[slowly] = state.complaint_answer_day[slowly]
    state.complaint_opened_day[answered] = 0
    state.complaint_answer_day[answered] = 0


def move_salaries(life: MonthOfLife) -> None:
    """Salaries that go elsewhere from this month on; the service is closed two months later."""
    state = life.state
    paid = state.is_open[PAYROLL] & (state.salary_moved_month == 0)
    rows = np.flatnonzero(
        paid & life.in_mode(ACTIVE, LEFT) & life.draws.happens("salary moved", life.parameters.salary_moved)
    )
    state.salary_moved_month[rows] = life.month.number
    ended = np.flatnonzero(
        state.is_open[PAYROLL]
        & (state.salary_moved_month > 0)
        & (state.salary_moved_month == life.month.number - 2)
        & life.in_mode(ACTIVE, DRAINING, LEFT, ASLEEP)
    )
    day = life.day("payroll ends", ended, 1, 20)
    life.ledger.close(ended, PAYROLL, day, "bank_decision")
    life.ledger.change_account(ended, CURRENT, day)
    # The next employer, or the same one some time later, may pay through this bank again.
    returning = ended[life.draws.happens("salary returns", life.parameters.salary_returns, ended)]
    wait = 2 + life.draws.integer("salary returns after", 12, returning)
    state.pending_month[PAYROLL, returning] = life.month.number + wait


def decide(life: MonthOfLife) -> Decisions:
    """Who decides to leave this month, and how."""
    state, parameters = life.state, life.parameters
    at_risk = np.flatnonzero((state.mode == ACTIVE) & (life.people.joined_month < life.month.number))
    drivers = {name: values[at_risk] for name, values in drivers_at(state, life.month, life.market).items()}
    hazard = hazard_of(drivers, parameters)
    leavers = at_risk[life.draws.happens("leave", hazard, at_risk)]
    size = np.log(np.maximum(state.aum()[leavers], 100) / 2_000_000)
    owes = state.loans_open()[leavers]
    closure = np.where(owes, 0.0, parameters.closure_weight * np.exp(-0.25 * size))
    dormancy = np.where(owes, 0.0, parameters.dormancy_weight * np.exp(-0.5 * size))
    drain = 1 - parameters.closure_weight - parameters.dormancy_weight
    position = life.draws.uniform("leaving kind", leavers) * (closure + dormancy + drain)
    kinds = np.where(position < closure, 0, np.where(position < closure + drain, 1, 2))
    state.mode[leavers] = np.array([CLOSING, DRAINING, ASLEEP])[kinds]
    state.mode_month[leavers] = life.month.number
    moves = np.where(kinds == 1, life.draws.happens("leaver's salary", parameters.drain_moves_salary, leavers), True)
    employed = leavers[moves & state.is_open[PAYROLL, leavers] & (state.salary_moved_month[leavers] == 0)]
    state.salary_moved_month[employed] = life.month.number
    return Decisions(at_risk, hazard, drivers, leavers, kinds)


def close_all(life: MonthOfLife) -> None:
    """Customers who close everything: at once, or after most of the money went in the month before."""
    state, month = life.state, life.month
    decided_now = (state.mode == CLOSING) & (state.mode_month == month.number)
    at_once = life.draws.happens("close at once", life.parameters.closure_at_once)
    leaving_later = np.flatnonzero(decided_now & ~at_once)
    life.take_out(leaving_later, 0.7, "before closing")
    rows = np.flatnonzero((state.mode == CLOSING) & ~(decided_now & ~at_once))
    if len(rows) == 0:
        return
    # After the last day on which a payroll service may end this month.
    day = life.day("closing", rows, 21, 27)
    for product in range(PRODUCT_COUNT):
        if product in (CURRENT, CREDIT_CARD):
            continue
        held = state.is_open[product, rows]
        owners, on = rows[held], day[held]
        if product in MATURING_PRODUCTS:
            on = np.clip(state.matures_day[product, owners] - month.first_day, 0, on)
        if product in AUM_PRODUCTS:
            life.redeem_all(f"closing {product}", owners, product, on)
        life.ledger.close(owners, product, on, "customer_request")
    carded = state.is_open[CREDIT_CARD, rows]
    owners, on = rows[carded], day[carded]
    owed = -state.balance[CREDIT_CARD, owners]
    missing = np.maximum(owed - state.balance[CURRENT, owners], 0)
    life.arrive("to clear the card", owners, missing, on)
    life.ledger.post(
        Posting("card cleared", "payment", channel="batch", by=CUSTOMER, counterparty="own", hour=13.0),
        owners,
        CURRENT,
        -owed,
        on,
    )
    life.ledger.post(
        Posting("card cleared", "payment", channel="batch", by=CUSTOMER, counterparty="own", hour=13.0),
        owners,
        CREDIT_CARD,
        owed,
        on,
    )
    life.ledger.close(owners, CREDIT_CARD, on, "customer_request")
    state.card_statement[owners] = 0
    _empty_current(life, "closing", rows, day, reason="customer_request", by=CUSTOMER)
    _end_complaints(life, rows, day)
    state.mode[rows] = CLOSED
    state.mode_month[rows] = month.number


def _empty_current(life: MonthOfLife, tag: str, rows: IntegerArray, day: IntegerArray, *, reason: str, by: int) -> None:
    """Pay out the last interest and the balance of the demand account, and close it."""
    state = life.state
    interest = np.rint(state.balance[CURRENT, rows] * DEMAND_RATE / 8).astype(np.int64)
    life.ledger.post(Posting(f"{tag} interest", "interest", hour=15.0), rows, CURRENT, interest, day)
    rest = state.balance[CURRENT, rows].copy()
    life.ledger.post(
        Posting(
            f"{tag} rest",
            "transfer",
            channel="counter",
            by=by,
            counterparty="bank" if by == CUSTOMER else "household",
            # After the day's other postings, and before the counter closes.
            hour=16.0,
            spread=0.4,
        ),
        rows,
        CURRENT,
        -rest,
        day,
    )
    life.outflow[rows] += rest
    life.budget[rows] = 0
    life.ledger.close(rows, CURRENT, day, reason)
    state.pending_month[:, rows] = 0


def _end_complaints(life: MonthOfLife, rows: IntegerArray, day: IntegerArray) -> None:
    """With the last account everything is settled: what is unanswered is answered on that day."""
    state = life.state
    opened = state.complaint_opened_day[rows]
    unanswered = (opened > 0) & (opened <= life.month.first_day + day)
    life.ledger.complain(rows[unanswered], day[unanswered], is_answer=True)
    state.complaint_opened_day[rows] = 0
    state.complaint_answer_day[rows] = 0


def drain(life: MonthOfLife) -> None:
    """Customers who leave in name only: three months of money going elsewhere."""
    state, month = life.state, life.month
    for step, share in enumerate(life.parameters.drain_share):
        rows = np.flatnonzero((state.mode == DRAINING) & (state.mode_month == month.number - step))
        varied = np.clip(share * (0.75 + 0.5 * life.draws.uniform("drain", rows)), 0, 0.97)
        life.take_out(rows, varied, "drain")
        state.demand_target[rows] *= 0.5
        if step == len(life.parameters.drain_share) - 1:
            state.mode[rows] = LEFT


def settle_estates(life: MonthOfLife) -> None:
    """Accounts of the dead are paid out to the heirs some months later."""
    state, month = life.state, life.month
    rows = np.flatnonzero((state.mode == DECEASED) & (state.estate_month == month.number))
    if len(rows) == 0:
        return
    # After the month's own postings, so that nothing is booked on a closed account.
    day = np.full(len(rows), month.days - 1)
    for product in range(PRODUCT_COUNT):
        if product == CURRENT:
            continue
        held = state.is_open[product, rows]
        owners, on = rows[held], day[held]
        if product in AUM_PRODUCTS:
            amount = state.balance[product, owners].copy()
            _estate_move(life, product, owners, amount, on)
        elif product not in SERVICE_PRODUCTS:
            owed = -state.balance[product, owners]
            life.ledger.post(
                Posting(
                    f"estate {product}",
                    "loan_repayment" if product in LOAN_PRODUCTS else "payment",
                    by=THIRD_PARTY,
                    counterparty="household",
                    hour=23.85,
                ),
                owners,
                product,
                owed,
                on,
            )
        life.ledger.close(owners, product, on, "death")
    rest = state.balance[CURRENT, rows].copy()
    life.ledger.post(
        # The day's last batch: what the accounts earned on it belongs to the heirs.
        Posting("estate rest", "transfer", channel="batch", by=THIRD_PARTY, counterparty="household", hour=23.95),
        rows,
        CURRENT,
        -rest,
        day,
    )
    life.ledger.close(rows, CURRENT, day, "death")
    state.pending_month[:, rows] = 0
    _end_complaints(life, rows, day)
    state.mode[rows] = CLOSED
    state.mode_month[rows] = month.number


def _estate_move(life: MonthOfLife, product: int, rows: IntegerArray, amount: IntegerArray, day: IntegerArray) -> None:
    kind = "transfer" if PRODUCTS[product].category == "deposit_term" else "wealth_redeem"
    for account, cents in ((product, -amount), (CURRENT, amount)):
        life.ledger.post(
            Posting(f"estate {product}", kind, by=BANK, counterparty="own", hour=23.9), rows, account, cents, day
        )


def complaint_kinds(draws: Draws, rows: IntegerArray) -> IntegerArray:
    """Kinds of what is brought forward: 0 complaint, 1 suggestion, 2 enquiry."""
    position = draws.uniform("complaint kind", rows)
    return np.where(position < 0.45, 0, np.where(position < 0.6, 1, 2))
