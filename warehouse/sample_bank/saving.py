"""Investments: opened, matured and bought again, filled from surplus, credited with what they earn."""

from __future__ import annotations

import numpy as np

from warehouse.sample_bank.borrowing import open_loan
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ledger import BANK, Posting
from warehouse.sample_bank.month_of_life import MonthOfLife
from warehouse.sample_bank.parameters import (
    AUM_PRODUCTS,
    CASH_WEALTH,
    CREDIT_CARD,
    CURRENT,
    DEMAND_RATE,
    FUND_BOND,
    FUND_MIXED,
    GOLD,
    INSURANCE,
    LIQUID_PRODUCTS,
    LOAN_PRODUCTS,
    MATURING_PRODUCTS,
    PAYROLL,
    PRODUCT_COUNT,
    PRODUCTS,
)
from warehouse.sample_bank.random_numbers import BooleanArray, IntegerArray
from warehouse.sample_bank.state import (
    ACTIVE,
    ASLEEP,
    CLOSED,
    DECEASED,
    DRAINING,
    LEFT,
    NOT_JOINED,
    card_limit,
)


def meet_maturities(life: MonthOfLife) -> dict[str, IntegerArray]:
    """What matures (deposits, wealth, insurance): paid out, and bought again at once, later, or after a stay elsewhere.

    Returns the positions of customers by what they did.
    """
    state, people, month, parameters = life.state, life.people, life.month, life.parameters
    outcomes: dict[str, list[IntegerArray]] = {"at_once": [], "parked": [], "elsewhere": []}
    for product in (*MATURING_PRODUCTS, INSURANCE):
        rows = np.flatnonzero(
            state.is_open[product]
            & (state.matures_day[product] <= month.last_day)
            & life.in_mode(ACTIVE, DRAINING, LEFT, ASLEEP, DECEASED)
        )
        if len(rows) == 0:
            continue
        day = np.maximum(state.matures_day[product, rows] - month.first_day, 0)
        # Insurance is credited every year: what is left is the last one.
        term = 365 if product == INSURANCE else PRODUCTS[product].term_days or 1
        interest = np.rint(state.balance[product, rows] * state.rate[product, rows] * term / 365).astype(np.int64)
        life.ledger.post(Posting(f"yield {product}", "interest", hour=0.5), rows, product, interest, day)
        proceeds = state.balance[product, rows].copy()
        life.move(f"matures {product}", rows, product, -proceeds, day, hour=1.0, spread=0.0, by=BANK)
        life.ledger.close(rows, product, day, "matured")

        gone = life.in_mode(DRAINING, LEFT)[rows]
        leaving = np.flatnonzero(gone)
        last = month.days - 1
        life.depart(f"after maturity {product}", rows[leaving], proceeds[leaving], np.minimum(day[leaving] + 1, last))

        active = state.mode[rows] == ACTIVE
        usual_odds = parameters.rebooked_at_once / (1 - parameters.rebooked_at_once)
        odds = usual_odds * parameters.rebooking_loyalty ** people.loyalty[rows]
        position = life.draws.uniform(f"after maturity {product}", rows)
        at_once = active & (position < odds / (1 + odds))
        elsewhere = (
            active
            & ~at_once
            & (
                life.draws.uniform(f"shops {product}", rows)
                < parameters.rebooked_elsewhere / (1 - parameters.rebooked_at_once)
            )
        )
        parked = active & ~at_once & ~elsewhere

        kept = np.flatnonzero(at_once)
        lag = life.draws.integer(f"lag {product}", 13, rows[kept])
        on = np.minimum(day[kept] + np.where(lag > 6, lag - 6, 0), last)
        unit = np.where(proceeds[kept] >= 1_000_000, 10_000, 100)
        again = proceeds[kept] // unit * unit
        life.price(rows[kept], product, again, on)
        life.book_account(rows[kept], product, again, on, f"again {product}")

        kept = np.flatnonzero(elsewhere)
        life.depart(
            f"shops {product}",
            rows[kept],
            proceeds[kept],
            np.minimum(day[kept] + 1 + life.draws.integer(f"shop day {product}", 5, rows[kept]), last),
        )
        for chosen, is_outside in ((elsewhere, True), (parked, False)):
            kept = np.flatnonzero(chosen)
            wait = 1 + life.draws.integer(f"wait {product}", 2 if is_outside else 3, rows[kept])
            state.pending_month[product, rows[kept]] = month.number + wait
            state.pending_amount[product, rows[kept]] = proceeds[kept]
            state.is_pending_outside[product, rows[kept]] = is_outside
        for name, chosen in (("at_once", at_once), ("parked", parked), ("elsewhere", elsewhere)):
            outcomes[name].append(rows[chosen])
    return {name: np.concatenate(rows) if rows else np.empty(0, np.int64) for name, rows in outcomes.items()}


def open_products(life: MonthOfLife) -> None:
    """New products that were wanted, and what was waiting after a maturity or a loan's end."""
    state, people, month = life.state, life.people, life.month
    active = state.mode == ACTIVE
    for product in range(PRODUCT_COUNT):
        if product == CURRENT:
            continue
        due = people.opening_month[product] == month.number
        waits = state.pending_month[product] == month.number
        rows = np.flatnonzero(active & ~state.is_open[product] & (due | waits))
        if len(rows) == 0:
            continue
        joined = people.joined_month[rows] == month.number
        first = np.where(joined, people.joined_day[rows] - month.first_day, 1)
        day = first + np.floor((month.days - 1 - first) * life.draws.uniform(f"opens {product}", rows)).astype(np.int64)
        day = np.clip(day, 0, month.days - 1)
        waited = waits[rows]
        state.pending_month[product, rows] = 0
        if product in AUM_PRODUCTS:
            _open_investment(life, rows, product, day=day, waited=waited)
        elif product in LOAN_PRODUCTS:
            open_loan(life, rows, product, day)
        else:
            if product == CREDIT_CARD:
                state.contract_amount[product, rows] = card_limit(people, rows, life.draws)
            life.ledger.open(rows, product, day)
            if product == PAYROLL:
                state.salary_moved_month[rows] = 0
                life.ledger.change_account(rows, CURRENT, day)


def _open_investment(
    life: MonthOfLife, rows: IntegerArray, product: int, *, day: IntegerArray, waited: BooleanArray
) -> None:
    state = life.state
    amount = np.where(waited, state.pending_amount[product, rows], life.people.amount[product, rows])
    parked = waited & ~state.is_pending_outside[product, rows]
    share = np.where(parked, 1.0, np.where(waited, 0.0, 0.5))
    own = life.spend(rows, np.minimum(amount, np.floor(life.budget[rows] * share).astype(np.int64)))
    # Parked money was partly spent meanwhile: only what is left is invested; the rest comes from other banks.
    fresh = np.where(parked, np.maximum(PRODUCTS[product].minimum * 100 - own, 0), amount - own)
    life.arrive(f"for {product}", rows, fresh, day)
    state.pending_amount[product, rows] = 0
    state.is_pending_outside[product, rows] = False
    life.price(rows, product, own + fresh, day)
    life.book_account(rows, product, own + fresh, day, f"opens {product}")


def sweep(life: MonthOfLife) -> None:
    """Surplus is invested or carried elsewhere; a shortage is filled from wealth or from another bank."""
    state, people = life.state, life.people
    settled = (state.mode == ACTIVE) & (people.joined_month < life.month.number)
    growth = (1 + life.parameters.income_growth) ** life.years
    target = state.demand_target * growth
    free = life.budget - life.parked()
    moves = life.draws.happens("sweeps", life.parameters.sweep)
    surplus = free - 1.4 * target
    rows = np.flatnonzero(settled & moves & (surplus > np.maximum(200_000, 0.3 * target)))
    amount = (
        np.floor(surplus[rows] * (0.5 + 0.5 * life.draws.uniform("sweep share", rows)) / 10_000).astype(np.int64)
        * 10_000
    )
    into = _liquid_choice(life, rows)
    stays = life.draws.happens("sweep stays", 1 / (1 + np.exp(-(1.0 + 0.6 * people.loyalty[rows]))), rows)
    day = life.day("sweep", rows, 3, 26)
    for product in LIQUID_PRODUCTS:
        chosen = np.flatnonzero(stays & (into == product))
        taken = life.spend(rows[chosen], amount[chosen])
        life.move(f"adds {product}", rows[chosen], product, taken, day[chosen])
    outside = np.flatnonzero(~(stays & (into > 0)))
    fund_share = 0.15 * (1 + life.parameters.money_fund_growth) ** life.years * people.wallet_taste[rows[outside]]
    to_fund = life.draws.happens("sweep to fund", np.minimum(fund_share, 0.8), rows[outside])
    for counterparty, chosen in (("money_fund", outside[to_fund]), ("bank", outside[~to_fund])):
        taken = life.spend(rows[chosen], amount[chosen])
        life.depart(f"sweep {counterparty}", rows[chosen], taken, day[chosen], counterparty)

    short = settled & moves & (free < 0.5 * target) & (target > 50_000)
    rows = np.flatnonzero(short)
    wanted = np.floor((0.9 * target[rows] - free[rows]) / 100).astype(np.int64) * 100
    wanted = np.maximum(wanted, 0)
    day = life.day("fill", rows, 1, 24)
    held = state.is_open[CASH_WEALTH, rows] & (state.opened_day[CASH_WEALTH, rows] < life.month.first_day)
    cash = np.where(held, state.balance[CASH_WEALTH, rows] // 2, 0)
    redeemed = np.where(cash >= wanted, wanted, 0)
    life.move("fill", rows, CASH_WEALTH, -redeemed, day)
    life.arrive("fill from outside", rows, np.where(redeemed > 0, 0, wanted), day)


def _liquid_choice(life: MonthOfLife, rows: IntegerArray) -> IntegerArray:
    """One of the liquid products each customer holds, evenly; 0 if none is held."""
    score = np.zeros(len(rows))
    choice = np.zeros(len(rows), np.int64)
    for product in LIQUID_PRODUCTS:
        drawn = life.draws.uniform(f"choice {product}", rows)
        better = (
            life.state.is_open[product, rows]
            & (life.state.opened_day[product, rows] < life.month.first_day)
            & (drawn > score)
        )
        choice = np.where(better, product, choice)
        score = np.where(better, drawn, score)
    return choice


def dress_windows(life: MonthOfLife) -> IntegerArray:
    """Money brought for the last days of a quarter, because a branch asked for it, and gone early in the next month.

    Returns the positions of customers who bring some.
    """
    state, month, parameters = life.state, life.month, life.parameters
    # The money of last month goes before anything else is done with it.
    rows = np.flatnonzero((state.dressing > 0) & state.is_open[CURRENT])
    life.depart("dressing goes", rows, life.spend(rows, state.dressing[rows]), life.day("dressing goes", rows, 0, 6))
    state.dressing[:] = 0
    if not month.is_quarter_end:
        return np.empty(0, np.int64)
    aum = state.aum()
    share = np.where(aum >= 20_000_000, parameters.dressing_wealthy, parameters.dressing_others)
    settled = (state.mode == ACTIVE) & (life.people.joined_month < month.number)
    rows = np.flatnonzero(settled & life.draws.happens("dressing", share))
    low, high = parameters.dressing_size
    size = low + (high - low) * life.draws.uniform("dressing size", rows)
    amount = np.ceil(aum[rows] * size / 100_000).astype(np.int64) * 100_000
    life.arrive("dressing comes", rows, amount, life.day("dressing comes", rows, month.days - 3, month.days - 1), 14.0)
    state.dressing[rows] = amount
    return rows


def book_for_the_bank(life: MonthOfLife) -> None:
    """Interest, changes of market value and fees: what the bank books of itlife."""
    state, month = life.state, life.month
    last = month.days - 1
    here = ~life.in_mode(NOT_JOINED, CLOSED)
    if month.is_quarter_end:
        rows = np.flatnonzero(here & state.is_open[CURRENT] & (state.opened_day[CURRENT] < month.first_day))
        interest = np.rint(life.budget[rows] * DEMAND_RATE / 4).astype(np.int64)
        life.ledger.post(Posting("demand interest", "interest", hour=23.5), rows, CURRENT, interest, 19)
        feed = life.draws.happens("message fee", 0.2, rows)
        fee_rows = rows[feed]
        fee = np.where(life.budget[fee_rows] >= 600, 600, 0)
        life.budget[fee_rows] -= fee
        life.ledger.post(Posting("message fee", "fee", hour=3.0), fee_rows, CURRENT, -fee, 20)
    rows = np.flatnonzero(here & state.is_open[CASH_WEALTH])
    earned = np.rint(state.balance[CASH_WEALTH, rows] * state.rate[CASH_WEALTH, rows] / 12).astype(np.int64)
    life.ledger.post(Posting("cash wealth yield", "interest", hour=23.6), rows, CASH_WEALTH, earned, last)
    # The yield of daily wealth floats with the posted rate.
    state.rate[CASH_WEALTH, rows] += 0.25 * (life.market.own(CASH_WEALTH, month.number) - state.rate[CASH_WEALTH, rows])
    for product in (FUND_MIXED, FUND_BOND, GOLD):
        rows = np.flatnonzero(here & state.is_open[product])
        change = state.balance[product, rows] * life.market.monthly_return(product, month.number)
        life.ledger.post(
            Posting(f"value {product}", "revaluation", hour=23.7),
            rows,
            product,
            np.rint(change).astype(np.int64),
            last,
        )
    rows = np.flatnonzero(here & state.is_open[INSURANCE] & _has_anniversary(state.opened_day[INSURANCE], month))
    earned = np.rint(state.balance[INSURANCE, rows] * state.rate[INSURANCE, rows]).astype(np.int64)
    life.ledger.post(Posting("insurance value", "interest", hour=23.8), rows, INSURANCE, earned, last)


def _has_anniversary(day: IntegerArray, month: Month) -> BooleanArray:
    """Whether the month is a yearly return of a day, counted in months of 30.44 days since it."""
    elapsed = np.floor((month.last_day - day) / 30.436875)
    returns: BooleanArray = (elapsed > 0) & (elapsed % 12 == 0)
    return returns
