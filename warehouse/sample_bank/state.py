"""What changes about customers: accounts, balances and moods; and how all of it stands when the window opens."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.parameters import (
    ADULT_PRODUCTS,
    AUM_PRODUCTS,
    BUSINESS_LOAN,
    CASH_WEALTH,
    CONSUMER_LOAN,
    CREDIT_CARD,
    CURRENT,
    GROUPS,
    INSURANCE,
    LOAN_PRODUCTS,
    MATURING_PRODUCTS,
    MORTGAGE,
    PAYROLL,
    PRODUCT_COUNT,
    PRODUCTS,
)
from warehouse.sample_bank.population import HELD_AT_START, Population, eighteenth_birthday
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, FloatArray, IntegerArray

# Modes of a customer's life with the bank.
NOT_JOINED, ACTIVE, DRAINING, LEFT, ASLEEP, CLOSING, DECEASED, CLOSED = range(8)
MODE_NAMES = ("not_joined", "active", "draining", "left", "asleep", "closing", "deceased", "closed")

#: Months of average AUM that are remembered: whether a drop against three months' baseline, held for two, ended
#: within the last three months.
REMEMBERED_MONTHS = 7

Integers = npt.NDArray[np.int64]


@dataclass
class State:
    """Everything that decides a customer's future, besides chance. Products first; money in cents; 0 means none.

    A copy of it, stepped with other random numbers, is another possible future.
    """

    people: Population
    mode: IntegerArray
    mode_month: IntegerArray
    balance: IntegerArray
    is_open: BooleanArray
    sequence: IntegerArray
    opened_day: IntegerArray
    matures_day: IntegerArray
    rate: FloatArray
    contract_amount: IntegerArray
    payment: IntegerArray
    pending_month: IntegerArray
    pending_amount: IntegerArray
    is_pending_outside: BooleanArray
    demand_target: FloatArray
    card_statement: IntegerArray
    salary_moved_month: IntegerArray
    complaint_month: IntegerArray
    complaint_opened_day: IntegerArray
    complaint_answer_day: IntegerArray
    is_complaint_slow: BooleanArray
    slow_answer_day: IntegerArray
    wallet_share: FloatArray
    notice_month: IntegerArray
    estate_month: IntegerArray
    dressing: IntegerArray
    last_act_day: IntegerArray
    average_aum: FloatArray
    aum_before: IntegerArray
    #: Who looks after a customer: place (-1 for nobody) and holder of `Staff`, since when, agreed by the customer when.
    manager_place: IntegerArray
    manager_holder: IntegerArray
    manager_since: IntegerArray
    manager_agreed: IntegerArray
    #: Day on which another manager took over.
    manager_changed_day: IntegerArray

    def __len__(self) -> int:
        return len(self.mode)

    def copy(self) -> State:
        """A state that can be stepped without changing this one; the people are shared, they do not change."""
        copied = copy(self)
        for field in fields(self):
            if field.name != "people":
                setattr(copied, field.name, getattr(self, field.name).copy())
        return copied

    def rows(self, rows: IntegerArray) -> State:
        """The state of some of the customers."""
        some = copy(self)
        for field in fields(self):
            values = getattr(self, field.name)
            setattr(some, field.name, values.rows(rows) if field.name == "people" else values[..., rows])
        return some

    def aum(self) -> IntegerArray:
        """Assets under management of each customer, in cents."""
        total: IntegerArray = self.balance[list(AUM_PRODUCTS)].sum(axis=0)
        return total

    def loans_open(self) -> BooleanArray:
        """Whether a customer owes a loan."""
        owing: BooleanArray = np.any(self.is_open[list(LOAN_PRODUCTS)], axis=0)
        return owing


def monthly_payment(principal: FloatArray, rate: FloatArray, months: FloatArray) -> FloatArray:
    """Equal instalment of a loan (annuity): P r / (1 - (1 + r)^-n) with r the monthly rate.

    Examples
    --------
    >>> round(float(monthly_payment(np.array([100_000.0]), np.array([0.06]), np.array([12.0]))[0]), 2)
    8606.64
    """
    monthly = rate / 12
    payment: FloatArray = principal * monthly / -np.expm1(-months * np.log1p(monthly))
    return payment


@dataclass(frozen=True)
class LoanTerms:
    """Terms of new loans, one per row. Money in cents."""

    principal: IntegerArray
    rate: FloatArray
    term_days: IntegerArray
    payment: IntegerArray


def loan_terms(
    product: int, people: Population, rows: IntegerArray, *, month: int, market: Market, draws: Draws
) -> LoanTerms:
    """Size, rate and instalment of a loan taken in a month: multiples of income, benchmark plus a spread."""
    income = people.income[rows]
    if product == MORTGAGE:
        # The instalment may take at most half of the income; homes in these cities cost more than that buys.
        years = (15 + 5 * draws.integer("mortgage years", 4, rows)).astype(np.float64)
        rate = market.benchmark(1825, month) + 0.001 + 0.004 * draws.uniform("mortgage rate", rows)
        factor = monthly_payment(np.ones(len(rows)), rate, years * 12)
        principal = income * (0.2 + 0.25 * draws.uniform("mortgage size", rows)) / factor
        principal = np.clip(principal, 15_000_000, 1_000_000_000)
        days = np.floor(years * 365.25).astype(np.int64)
        months = years * 12
    elif product == CONSUMER_LOAN:
        months = (12 + 12 * draws.integer("consumer years", 3, rows)).astype(np.float64)
        rate = market.benchmark(365, month) + 0.003 + 0.03 * draws.uniform("consumer rate", rows)
        principal = np.clip(income * (1.5 + 3 * draws.uniform("consumer size", rows)), 500_000, 30_000_000)
        days = np.floor(months * 30.44).astype(np.int64)
    else:
        months = np.full(len(rows), 12.0)
        rate = market.benchmark(365, month) + 0.005 + 0.015 * draws.uniform("business rate", rows)
        principal = np.clip(income * (4 + 6 * draws.uniform("business size", rows)), 3_000_000, 300_000_000)
        days = np.full(len(rows), 365)
    rounded = (np.rint(principal / 100_000) * 100_000).astype(np.int64)
    payment = np.ceil(monthly_payment(rounded.astype(float), rate, months)).astype(np.int64)
    return LoanTerms(rounded, np.round(rate, 4), days, payment)


def card_limit(people: Population, rows: IntegerArray, draws: Draws) -> IntegerArray:
    """Credit limit of a card, in cents: one to four monthly incomes in whole thousands."""
    limit = people.income[rows] * (1 + 3 * draws.uniform("card limit", rows))
    return (np.clip(np.rint(limit / 100_000), 3, 300) * 100_000).astype(np.int64)


def personal_rate(product: int, posted: FloatArray | float, rows: IntegerArray, draws: Draws) -> FloatArray:
    """Rate a customer gets: the posted one and up to 6 basis points more, as branches may grant."""
    return np.round(posted + 0.0006 * draws.uniform(f"rate {product}", rows), 5)


def usual_wallet_share(people: Population) -> FloatArray:
    """Share of what leaves that goes to wallets and money funds, as a customer's habits have it."""
    to_wallets = np.array([1.5 * group.wallet_payments + 5 * group.money_fund_transfers for group in GROUPS])
    other = np.array([group.purchases + 4 * group.transfers_out + 2.5 * group.cash_withdrawals for group in GROUPS])
    wallets = to_wallets[people.group] * people.wallet_taste
    share: FloatArray = wallets / (wallets + other[people.group])
    return share


def opening_state(people: Population, start: int, seed: int, market: Market) -> State:
    """State on the eve of the first day of the month `start`.

    Parameters
    ----------
    people
        Who the customers are.
    start
        Calendar month in which the window opens.
    seed, market
        Of the bank.
    """
    size = len(people)
    draws = Draws(seed, "opening", people.number)
    eve = Month(start).first_day - 1
    is_old = people.joined_month == 0

    def zeros() -> IntegerArray:
        return np.zeros(size, np.int64)

    def grid() -> IntegerArray:
        return np.zeros((PRODUCT_COUNT, size), np.int64)

    state = State(
        people=people,
        mode=np.where(is_old, np.where(people.is_asleep_at_start, ASLEEP, ACTIVE), NOT_JOINED),
        mode_month=zeros(),
        balance=grid(),
        is_open=is_old & people.wants & (people.opening_month == HELD_AT_START),
        sequence=grid(),
        opened_day=grid(),
        matures_day=grid(),
        rate=np.zeros((PRODUCT_COUNT, size)),
        contract_amount=grid(),
        payment=grid(),
        pending_month=grid(),
        pending_amount=grid(),
        is_pending_outside=np.zeros((PRODUCT_COUNT, size), np.bool_),
        demand_target=people.amount[CURRENT].astype(float),
        card_statement=zeros(),
        salary_moved_month=zeros(),
        complaint_month=zeros(),
        complaint_opened_day=zeros(),
        complaint_answer_day=zeros(),
        is_complaint_slow=np.zeros(size, np.bool_),
        slow_answer_day=zeros(),
        wallet_share=np.zeros(size),
        notice_month=zeros(),
        estate_month=zeros(),
        dressing=zeros(),
        last_act_day=np.where(is_old, eve - draws.integer("last act", 30), 0),
        average_aum=np.zeros((REMEMBERED_MONTHS, size)),
        aum_before=zeros(),
        manager_place=np.full(size, -1, np.int64),
        manager_holder=zeros(),
        manager_since=zeros(),
        manager_agreed=zeros(),
        manager_changed_day=zeros(),
    )
    # The demand account comes with the customer; who is asleep holds nothing beside it but small change.
    state.is_open[CURRENT] = is_old
    asleep = state.mode == ASLEEP
    state.is_open[:, asleep] = False
    state.is_open[CURRENT, asleep] = True
    for product, between in ((CONSUMER_LOAN, 0.09), (BUSINESS_LOAN, 0.17)):
        # Between two loans: as large a share of borrowers as the months between are of a term and the months between.
        waits = state.is_open[product] & draws.happens(f"between {product}", between)
        state.is_open[product] &= ~waits
        state.pending_month[product] = np.where(waits, start + draws.integer(f"between {product} until", 4), 0)
    state.sequence[state.is_open] = 1

    for product in range(PRODUCT_COUNT):
        rows = np.flatnonzero(state.is_open[product])
        joined = people.joined_day[rows]
        share = people.opening_fraction[product, rows]
        opened = joined + np.floor(share * (eve - joined)).astype(np.int64)
        if product in ADULT_PRODUCTS:
            opened = np.maximum(opened, eighteenth_birthday(people.born_day[rows]))
        if product in AUM_PRODUCTS:
            state.balance[product, rows] = people.amount[product, rows]
            state.contract_amount[product, rows] = people.amount[product, rows] if product != CURRENT else 0
        if product in MATURING_PRODUCTS:
            _age_deposits(state, product, rows, opened, eve=eve, draws=draws, market=market)
        elif product in LOAN_PRODUCTS:
            _age_loans(state, product, rows, opened, eve=eve, start=start, draws=draws, market=market)
        else:
            state.opened_day[product, rows] = np.minimum(opened, eve)
        if product == CREDIT_CARD:
            state.contract_amount[product, rows] = card_limit(people, rows, draws)
            owed = np.floor(people.income[rows] * 0.25 * draws.uniform("card owed", rows)).astype(np.int64)
            state.balance[product, rows] = -owed
            state.card_statement[rows] = owed
        if product == CASH_WEALTH:
            state.rate[product, rows] = personal_rate(product, market.own(product, start - 1), rows, draws)
        if product == INSURANCE:
            # Inside the present term, as deposits: bought again whenever it matured.
            term = PRODUCTS[product].term_days or 1
            state.opened_day[product, rows] = eve - (eve - opened) % term
            state.matures_day[product, rows] = state.opened_day[product, rows] + term
            state.sequence[product, rows] = 1 + (eve - opened) // term
            state.rate[product, rows] = 0.025
    state.balance[CURRENT, asleep] = np.floor(
        np.exp(np.log(8_000) + 1.5 * draws.normal("asleep", np.flatnonzero(asleep)))
    ).astype(np.int64)
    state.last_act_day[asleep] = np.maximum(
        people.joined_day[asleep], eve - 200 - draws.integer("asleep since", 1500, np.flatnonzero(asleep))
    )
    employed = np.flatnonzero(state.is_open[PAYROLL])
    state.opened_day[PAYROLL, employed] = np.maximum(
        state.opened_day[PAYROLL, employed], state.opened_day[CURRENT, employed]
    )
    state.wallet_share = usual_wallet_share(people)
    state.average_aum[:] = state.aum()
    state.aum_before = state.aum()
    return state


def _age_deposits(
    state: State,
    product: int,
    rows: IntegerArray,
    opened: IntegerArray,
    *,
    eve: int,
    draws: Draws,
    market: Market,
) -> None:
    """Place each deposit inside its present term: bought again at every maturity since it was first opened."""
    term = PRODUCTS[product].term_days or 1
    into_term = np.minimum((eve - opened) % term, eve - opened)
    state.opened_day[product, rows] = eve - into_term
    state.matures_day[product, rows] = eve - into_term + term
    state.sequence[product, rows] = 1 + (eve - opened) // term
    posted = market.own_history(product)
    opened_on = state.opened_day[product, rows]
    month = ((opened_on - Month(2000 * 12).first_day) / 30.436875).astype(np.int64)
    state.rate[product, rows] = personal_rate(product, posted[np.clip(month, 0, len(posted) - 1)], rows, draws)


def _age_loans(
    state: State,
    product: int,
    rows: IntegerArray,
    opened: IntegerArray,
    *,
    eve: int,
    start: int,
    draws: Draws,
    market: Market,
) -> None:
    """Place each loan at a point of its term that the customer's tenure allows, and leave what is still owed."""
    terms = loan_terms(product, state.people, rows, month=start - 1, market=market, draws=draws)
    elapsed = np.minimum(
        eve - opened,
        np.floor(0.97 * terms.term_days * draws.uniform(f"loan age {product}", rows)).astype(np.int64),
    )
    state.opened_day[product, rows] = eve - elapsed
    state.matures_day[product, rows] = eve - elapsed + terms.term_days
    state.rate[product, rows] = terms.rate
    state.contract_amount[product, rows] = terms.principal
    state.payment[product, rows] = terms.payment
    monthly = terms.rate / 12
    paid = np.floor(elapsed / 30.44)
    grown = np.exp(paid * np.log1p(monthly))
    owed = terms.principal * grown - terms.payment * (grown - 1) / monthly
    state.balance[product, rows] = -np.maximum(np.rint(owed), terms.payment).astype(np.int64)
