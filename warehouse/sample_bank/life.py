"""One month of everybody's life with the bank: income, spending, saving, borrowing, complaining, leaving, dying.

Everything is booked through a ledger. On the demand account nothing is spent in a month that was not there when the
month began: so a balance never falls below zero, in whatever order the postings of a day stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ledger import BANK, CHANNELS, COUNTERPARTIES, CUSTOMER, THIRD_PARTY, Ledger, Posting
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.parameters import (
    AUM_PRODUCTS,
    CASH_WEALTH,
    CREDIT_CARD,
    CURRENT,
    FUND_BOND,
    FUND_MIXED,
    GOLD,
    GROUP_NAMES,
    GROUPS,
    INSURANCE,
    LIQUID_PRODUCTS,
    LOAN_PRODUCTS,
    MATURING_PRODUCTS,
    MERCHANT_QR,
    MORTGAGE,
    PAYROLL,
    PRODUCT_COUNT,
    PRODUCTS,
    SERVICE_PRODUCTS,
    Parameters,
)
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, FloatArray, IntegerArray
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
    card_limit,
    loan_terms,
    personal_rate,
    usual_wallet_share,
)

_COUNTER, _ATM, _MOBILE, _WEB = (CHANNELS.index(name) for name in ("counter", "atm", "mobile", "web"))
_RETIREES, _STUDENTS, _MIGRANTS = (GROUP_NAMES.index(n) for n in ("retirees", "students", "migrant_workers"))
_TRADING = tuple(GROUP_NAMES.index(name) for name in ("entrepreneurs", "small_business_owners"))
_RATED_PRODUCTS = (*MATURING_PRODUCTS, CASH_WEALTH)
#: Demand interest per year, paid on the 20th of the last month of a quarter.
_DEMAND_RATE = 0.002

DRIVERS = ("unanswered_complaint", "rate_gap", "salary_moved", "wallet_outflow", "tenure", "products", "loyalty")


@dataclass
class MonthRecord:
    """What a month decided, for the truth: who was at risk and why, who left and how."""

    at_risk: IntegerArray
    hazard: FloatArray
    drivers: dict[str, FloatArray]
    leavers: IntegerArray
    leaving_kind: IntegerArray
    deceased: IntegerArray
    large_purchases: IntegerArray
    rebooked: dict[str, IntegerArray]


def drivers_at(state: State, month: Month, market: Market) -> dict[str, FloatArray]:
    """What drives departure at the end of the month before `month`, one value per customer and driver."""
    first = month.first_day
    open_long = (state.complaint_answer_day >= first) & (state.complaint_opened_day <= first - 15)
    answered_late = (state.slow_answer_day > 0) & (state.slow_answer_day >= first - 90)
    complaint = (state.complaint_opened_day > 0) & open_long & state.is_complaint_slow
    aum = np.maximum(state.aum(), 1)
    gap = np.zeros(len(state))
    for product in _RATED_PRODUCTS:
        better = market.competitor(product, month.number - 1) - state.rate[product]
        gap += np.where(state.is_open[product], np.maximum(better, 0) * 100 * state.balance[product] / aum, 0)
    since_moved = month.number - state.salary_moved_month
    moved = (state.salary_moved_month > 0) & (since_moved >= 1) & (since_moved <= 6)
    years = np.maximum(first - state.people.joined_day, 0) / 365.25
    return {
        "unanswered_complaint": (complaint | answered_late).astype(float),
        "rate_gap": gap,
        "salary_moved": moved.astype(float),
        "wallet_outflow": state.wallet_share,
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


def live_through(
    state: State, month: Month, *, seed: int, market: Market, parameters: Parameters, ledger: Ledger
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
    market, parameters
        Of the bank.
    ledger
        Takes the bookings; its state must be `state`.

    Returns
    -------
    MonthRecord
        What was decided, by position of customers.
    """
    return _MonthOfLife(state, month, seed=seed, market=market, parameters=parameters, ledger=ledger).live()


class _MonthOfLife:
    """The steps of a month, in their order. Rows are positions of customers; money is in cents."""

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
        self.rebooked: dict[str, IntegerArray] = {}

    def live(self) -> MonthRecord:
        """All steps."""
        self._joining()
        deceased = self._deaths()
        self._complaints()
        self._salaries_move()
        at_risk, hazard, drivers, leavers, kinds = self._decisions()
        self._income()
        self._loan_payments()
        self._cards()
        self._closings()
        self._drains()
        purchases = self._large_purchases()
        self._festival()
        self._spending()
        self._maturities()
        self._openings()
        self._sweeps()
        self._bank_postings()
        self._estates()
        self._close_month()
        return MonthRecord(at_risk, hazard, drivers, leavers, kinds, deceased, purchases, self.rebooked)

    # Tools.

    def _channel(self, tag: str, rows: IntegerArray, counter: IntegerArray | int = 0) -> IntegerArray:
        """Channel of customers' own acts: counter, browser or mobile phone, by personal habit."""
        position = self.draws.uniform(f"channel {tag}", rows, counter)
        at_counter = self.people.counter_share[rows]
        on_web = at_counter + (1 - at_counter) * self.people.web_share[rows]
        channel: IntegerArray = np.where(position < at_counter, _COUNTER, np.where(position < on_web, _WEB, _MOBILE))
        return channel

    def _day(self, tag: str, rows: IntegerArray, first: int, last: int) -> IntegerArray:
        """Days of the month, evenly from `first` to `last`."""
        return first + self.draws.integer(f"day {tag}", last - first + 1, rows)

    def _in_mode(self, *modes: int) -> BooleanArray:
        return np.isin(self.state.mode, modes)

    def _spend(self, rows: IntegerArray, wanted: IntegerArray) -> IntegerArray:
        """Take from the budget what is there of what is wanted; rows must be distinct."""
        taken: IntegerArray = np.minimum(wanted, self.budget[rows])
        self.budget[rows] -= taken
        return taken

    def _arrive(
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

    def _depart(
        self, tag: str, rows: IntegerArray, amount: IntegerArray, day: IntegerArray, counterparty: str = "bank"
    ) -> None:
        """Money of the customer goes to another bank or a money fund, in the afternoon."""
        self.ledger.post(
            Posting(
                tag,
                "transfer",
                channel=self._channel(tag, rows),
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

    def _move(
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
        channel = self._channel(tag, rows) if by == CUSTOMER else "batch"
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

    # Steps.

    def _joining(self) -> None:
        """Newcomers open a demand account and pay something in."""
        state, people = self.state, self.people
        rows = np.flatnonzero((state.mode == NOT_JOINED) & (people.joined_month == self.month.number))
        if len(rows) == 0:
            return
        state.mode[rows] = ACTIVE
        day = people.joined_day[rows] - self.month.first_day
        self.ledger.join(rows, day)
        self.ledger.open(rows, CURRENT, day)
        first = np.floor(people.amount[CURRENT, rows] * (0.3 + 0.7 * self.draws.uniform("first", rows)))
        cash = self.draws.happens("first in cash", people.counter_share[rows], rows)
        paid_in = np.maximum(first.astype(np.int64), 1_000)
        by_cash, by_transfer = rows[cash], rows[~cash]
        self.ledger.post(
            Posting("first cash", "deposit", channel="counter", by=CUSTOMER, counterparty=None, hour=9.0, spread=6.0),
            by_cash,
            CURRENT,
            paid_in[cash],
            day[cash],
        )
        self._arrive("first transfer", by_transfer, paid_in[~cash], day[~cash], 12.0)
        state.wallet_share[rows] = usual_wallet_share(people)[rows]

    def _deaths(self) -> IntegerArray:
        state = self.state
        age = (self.month.first_day - self.people.born_day) / 365.25
        yearly = self.parameters.death_at_30 * np.exp(self.parameters.death_growth * (age - 30))
        living = self._in_mode(ACTIVE, DRAINING, LEFT, ASLEEP, CLOSING)
        living &= self.people.joined_month < self.month.number
        rows = np.flatnonzero(living & self.draws.happens("death", np.minimum(yearly / 12, 0.2)))
        state.mode[rows] = DECEASED
        state.mode_month[rows] = self.month.number
        state.notice_month[rows] = self.month.number + 1 + self.draws.integer("notice", 3, rows)
        state.estate_month[rows] = state.notice_month[rows] + 1 + self.draws.integer("estate", 4, rows)
        noticed = np.flatnonzero((state.mode == DECEASED) & (state.notice_month == self.month.number))
        self.ledger.note_death(noticed, self._day("notice", noticed, 2, 24))
        return rows

    def _complaints(self) -> None:
        state, parameters, month = self.state, self.parameters, self.month
        free = state.complaint_opened_day == 0
        rows = np.flatnonzero(
            free
            & (state.mode == ACTIVE)
            & (self.people.joined_month < month.number)
            & self.draws.happens("complaint", parameters.complaint)
        )
        if len(rows):
            day = self._day("complaint", rows, 0, month.days - 1)
            is_complaint = complaint_kinds(self.draws, rows) == 0
            slow = is_complaint & self.draws.happens("slow", parameters.complaint_slow, rows)
            quick_low, quick_high = parameters.complaint_days_quick
            slow_low, slow_high = parameters.complaint_days_slow
            wait = np.where(
                slow,
                self._day("slow answer", rows, slow_low, slow_high),
                self._day("quick answer", rows, quick_low, quick_high),
            )
            state.complaint_month[rows] = month.number
            state.complaint_opened_day[rows] = month.first_day + day
            state.complaint_answer_day[rows] = month.first_day + day + wait
            state.is_complaint_slow[rows] = slow
            self.ledger.complain(rows, day, is_answer=False)
        answered = np.flatnonzero((state.complaint_opened_day > 0) & (state.complaint_answer_day <= month.last_day))
        self.ledger.complain(answered, state.complaint_answer_day[answered] - month.first_day, is_answer=True)
        slowly = answered[state.is_complaint_slow[answered]]
        state.slow_answer_day[slowly] = state.complaint_answer_day[slowly]
        state.complaint_opened_day[answered] = 0
        state.complaint_answer_day[answered] = 0

    def _salaries_move(self) -> None:
        """Salaries that go elsewhere from this month on; the service is closed two months later."""
        state = self.state
        paid = state.is_open[PAYROLL] & (state.salary_moved_month == 0)
        rows = np.flatnonzero(
            paid & self._in_mode(ACTIVE, LEFT) & self.draws.happens("salary moved", self.parameters.salary_moved)
        )
        state.salary_moved_month[rows] = self.month.number
        ended = np.flatnonzero(
            state.is_open[PAYROLL]
            & (state.salary_moved_month > 0)
            & (state.salary_moved_month == self.month.number - 2)
            & self._in_mode(ACTIVE, DRAINING, LEFT, ASLEEP)
        )
        day = self._day("payroll ends", ended, 1, 20)
        self.ledger.close(ended, PAYROLL, day, "bank_decision")
        self.ledger.change_account(ended, CURRENT, day)
        # The next employer, or the same one some time later, may pay through this bank again.
        returning = ended[self.draws.happens("salary returns", self.parameters.salary_returns, ended)]
        wait = 2 + self.draws.integer("salary returns after", 12, returning)
        state.pending_month[PAYROLL, returning] = self.month.number + wait

    def _decisions(
        self,
    ) -> tuple[IntegerArray, FloatArray, dict[str, FloatArray], IntegerArray, IntegerArray]:
        """Who decides to leave this month, and how."""
        state, parameters = self.state, self.parameters
        at_risk = np.flatnonzero((state.mode == ACTIVE) & (self.people.joined_month < self.month.number))
        drivers = {name: values[at_risk] for name, values in drivers_at(state, self.month, self.market).items()}
        hazard = hazard_of(drivers, parameters)
        leavers = at_risk[self.draws.happens("leave", hazard, at_risk)]
        size = np.log(np.maximum(state.aum()[leavers], 100) / 2_000_000)
        owes = state.loans_open()[leavers]
        closure = np.where(owes, 0.0, parameters.closure_weight * np.exp(-0.25 * size))
        dormancy = np.where(owes, 0.0, parameters.dormancy_weight * np.exp(-0.5 * size))
        drain = 1 - parameters.closure_weight - parameters.dormancy_weight
        position = self.draws.uniform("leaving kind", leavers) * (closure + dormancy + drain)
        kinds = np.where(position < closure, 0, np.where(position < closure + drain, 1, 2))
        state.mode[leavers] = np.array([CLOSING, DRAINING, ASLEEP])[kinds]
        state.mode_month[leavers] = self.month.number
        moves = np.where(
            kinds == 1, self.draws.happens("leaver's salary", parameters.drain_moves_salary, leavers), True
        )
        employed = leavers[moves & state.is_open[PAYROLL, leavers] & (state.salary_moved_month[leavers] == 0)]
        state.salary_moved_month[employed] = self.month.number
        return at_risk, hazard, drivers, leavers, kinds

    def _income(self) -> None:
        people, state, parameters, month = self.people, self.state, self.parameters, self.month
        growth = (1 + parameters.income_growth) ** self.years
        income = people.income * growth
        lively = self._in_mode(ACTIVE, DRAINING, LEFT) & (people.joined_month < month.number)

        paid = lively & state.is_open[PAYROLL] & (state.salary_moved_month == 0)
        rows = np.flatnonzero(paid)
        amount = income[rows] * (1 + 0.03 * self.draws.normal("salary", rows))
        if month.is_before_spring_festival:
            low, high = parameters.bonus_size
            size = low + (high - low) * self.draws.uniform("bonus size", rows)
            retired = people.group[rows] == _RETIREES
            amount = amount * (1 + size * (self.draws.happens("bonus", parameters.bonus_share, rows) & ~retired))
        working_days = np.array([month.working_day(day) for day in range(31)])
        day = working_days[people.salary_day[rows]]
        retired = people.group[rows] == _RETIREES
        for kind, chosen in (("pension", retired), ("salary", ~retired)):
            self.ledger.post(
                Posting(
                    kind,
                    kind,
                    channel="batch",
                    by=THIRD_PARTY,
                    counterparty="employer" if kind == "salary" else "other",
                    hour=9.0,
                    spread=2.0,
                ),
                rows[chosen],
                CURRENT,
                np.rint(np.maximum(amount[chosen], 10_000)).astype(np.int64),
                day[chosen],
            )

        merchants = lively & state.is_open[MERCHANT_QR]
        rows = np.flatnonzero(merchants)
        quiet = 0.55 if month.spring_festival is not None else 1.0
        for week in range(4):
            turnover = income[rows] * 0.25 * quiet * np.exp(0.35 * self.draws.normal("turnover", rows, week))
            self.ledger.post(
                Posting(
                    "turnover",
                    "deposit",
                    channel="batch",
                    by=THIRD_PARTY,
                    counterparty="merchant",
                    hour=23.0,
                    spread=0.5,
                    counter=week,
                ),
                rows,
                CURRENT,
                np.rint(turnover * self._presence()[rows]).astype(np.int64),
                6 + 7 * week,
            )

        # Wages, pensions and allowances that are paid elsewhere are brought here once a month, by most.
        brings = lively & ~paid & ~merchants & self.draws.happens("brings income", 0.85 * self._presence())
        rows = np.flatnonzero(brings)
        amount = income[rows] * people.income_share[rows] * np.exp(0.15 * self.draws.normal("regular", rows))
        day = np.minimum(people.salary_day[rows] + self.draws.integer("day regular", 5, rows), month.days - 1)
        self._incoming("regular", rows, amount, day, np.zeros(len(rows), np.int64))

        # And now and then family, friends and customers of a trade send something.
        rate = np.array([group.transfers_in for group in GROUPS])[people.group] * people.activity * self._presence()
        count = np.where(lively, self.draws.poisson("transfers in", rate, most=6), 0)
        rows, counter = _repeated(count)
        amount = (income * 0.08 / np.maximum(rate, 0.4))[rows]
        amount = amount * np.exp(0.7 * self.draws.normal("transfer in", rows, counter) - 0.245)
        day = self.draws.integer("day transfer in", month.days, rows, counter)
        self._incoming("transfer in", rows, amount, day, counter)

    def _incoming(
        self, tag: str, rows: IntegerArray, amount: FloatArray, day: IntegerArray, counter: IntegerArray
    ) -> None:
        """Transfers and cash that come in, each from its source."""
        if len(rows) == 0:
            return
        source = self._sources(tag, rows, counter)
        own = source == COUNTERPARTIES.index("bank")
        cash = self.draws.happens(f"{tag} cash", 0.45 * self.people.counter_share[rows], rows, counter)
        cents = np.maximum(np.rint(amount), 100).astype(np.int64)
        deposits = np.flatnonzero(cash)
        self.ledger.post(
            Posting(
                f"{tag} cash",
                "deposit",
                channel="counter",
                by=CUSTOMER,
                counterparty=None,
                hour=9.0,
                spread=8.0,
                counter=counter[deposits],
            ),
            rows[deposits],
            CURRENT,
            cents[deposits] // 10_000 * 10_000,
            day[deposits],
        )
        for by, chosen in ((CUSTOMER, own & ~cash), (THIRD_PARTY, ~own & ~cash)):
            kept = np.flatnonzero(chosen)
            self.ledger.post(
                Posting(
                    f"{tag} {by}",
                    "transfer",
                    channel="batch",
                    by=by,
                    counterparty=source[kept],
                    hour=8.0,
                    spread=14.0,
                    counter=counter[kept],
                ),
                rows[kept],
                CURRENT,
                cents[kept],
                day[kept],
            )

    def _presence(self) -> FloatArray:
        """How much of a customer's ordinary activity still happens here."""
        return np.select(
            [self.state.mode == ACTIVE, self.state.mode == DRAINING, self.state.mode == LEFT], [1.0, 0.6, 0.15], 0.0
        )

    def _sources(self, tag: str, rows: IntegerArray, counter: IntegerArray) -> IntegerArray:
        """Where incoming money comes from: own money elsewhere, the family, customers of a trade, others."""
        position = self.draws.uniform(f"{tag} source", rows, counter)
        group = self.people.group[rows]
        if tag == "regular":
            own = np.where(group == _STUDENTS, 0.03, 0.75)
            family = np.where(group == _STUDENTS, 0.97, np.where(group == _RETIREES, 0.15, 0.05))
        else:
            own = np.where(group == _STUDENTS, 0.05, 0.25)
            family = np.where(group == _STUDENTS, 0.9, np.where(group == _RETIREES, 0.5, 0.35))
            family = np.where(np.isin(group, _TRADING), 0.1, family)
        bank, household, other = (COUNTERPARTIES.index(name) for name in ("bank", "household", "other"))
        return np.where(position < own, bank, np.where(position < own + family, household, other))

    def _loan_payments(self) -> None:
        state, month = self.state, self.month
        for product in LOAN_PRODUCTS:
            rows = np.flatnonzero(
                state.is_open[product]
                & (state.opened_day[product] < month.first_day)
                & self._in_mode(ACTIVE, DRAINING, LEFT, ASLEEP)
            )
            if len(rows) == 0:
                continue
            owed = -state.balance[product, rows]
            interest = np.rint(owed * state.rate[product, rows] / 12).astype(np.int64)
            due = np.minimum(state.payment[product, rows], owed + interest)
            ends = state.matures_day[product, rows] <= month.last_day
            due = np.where(ends, owed + interest, due)
            day = 9 + self.people.salary_day[rows] % 12
            short = np.maximum(due - self.budget[rows], 0)
            brings = (short > 0) & self.draws.happens(f"brings {product}", 0.93, rows)
            bringing = rows[brings]
            self._arrive(f"for loan {product}", bringing, short[brings], day[brings] - 1)
            pays = (short == 0) | brings
            paying, paid = rows[pays], due[pays]
            self.budget[paying] -= np.minimum(paid, self.budget[paying])
            self.ledger.post(Posting(f"loan interest {product}", "interest", hour=1.0), rows, product, -interest, day)
            self.ledger.post(
                Posting(f"instalment {product}", "loan_repayment", by=BANK, counterparty="own", hour=9.5),
                paying,
                CURRENT,
                -paid,
                day[pays],
            )
            self.ledger.post(
                Posting(f"instalment {product}", "loan_repayment", by=BANK, counterparty="own", hour=9.5),
                paying,
                product,
                paid,
                day[pays],
            )
            finished = paying[state.balance[product, paying] >= 0]
            self.ledger.close(finished, product, 9 + self.people.salary_day[finished] % 12, "matured")
            again = np.flatnonzero(state.mode[finished] == ACTIVE)
            if product != MORTGAGE and len(again):
                renewing = finished[again][self.draws.happens(f"borrows again {product}", 0.75, finished[again])]
                state.pending_month[product, renewing] = (
                    month.number + 1 + self.draws.integer(f"again {product}", 4, renewing)
                )

    def _cards(self) -> None:
        state, people, month = self.state, self.people, self.month
        holders = state.is_open[CREDIT_CARD] & self._in_mode(ACTIVE, DRAINING, LEFT, ASLEEP)
        rows = np.flatnonzero(holders & (state.card_statement > 0))
        statement = np.minimum(state.card_statement[rows], -state.balance[CREDIT_CARD, rows])
        partly = self.draws.uniform("partial payer", rows) < self.parameters.partial_card_payers
        wanted = np.where(partly, statement // 5, statement)
        paid = self._spend(rows, np.maximum(wanted, 0))
        day = 7 + people.salary_day[rows] // 2
        self.ledger.post(
            Posting("card payment", "payment", channel="batch", by=BANK, counterparty="own", hour=10.0),
            rows,
            CURRENT,
            -paid,
            day,
        )
        self.ledger.post(
            Posting("card payment", "payment", channel="batch", by=BANK, counterparty="own", hour=10.0),
            rows,
            CREDIT_CARD,
            paid,
            day,
        )
        carried = statement - paid
        # 0.05 % a day is the customary rate of card interest.
        interest = np.rint(carried * 0.0005 * 30).astype(np.int64)
        self.ledger.post(Posting("card interest", "interest", hour=2.0), rows, CREDIT_CARD, -interest, month.days - 1)

        rate = np.array([group.card_purchases for group in GROUPS])[people.group] * people.activity * self._presence()
        count = np.where(holders & (people.joined_month < month.number), self.draws.poisson("card", rate, most=8), 0)
        buyers, counter = _repeated(count)
        if len(buyers):
            typical = people.income * 0.22 / np.maximum(rate, 0.8)
            amount = typical[buyers] * np.exp(0.8 * self.draws.normal("card amount", buyers, counter) - 0.32)
            cents = np.maximum(np.rint(amount), 500).astype(np.int64)
            room = np.maximum(state.contract_amount[CREDIT_CARD] + state.balance[CREDIT_CARD], 0)
            total = np.bincount(buyers, cents, len(state))
            fits = np.minimum(1.0, room / np.maximum(total, 1))
            cents = np.floor(cents * fits[buyers]).astype(np.int64)
            cents[cents < 500] = 0
            day = self.draws.integer("day card", month.days, buyers, counter)
            at_till = self.draws.happens("card at till", 0.4, buyers, counter)
            channel = np.where(at_till, CHANNELS.index("pos"), _MOBILE)
            self.ledger.post(
                Posting(
                    "card purchase",
                    "purchase",
                    channel=channel,
                    by=CUSTOMER,
                    counterparty="merchant",
                    hour=8.0,
                    spread=14.0,
                    counter=counter,
                ),
                buyers,
                CREDIT_CARD,
                -cents,
                day,
            )
        state.card_statement = np.where(state.is_open[CREDIT_CARD], np.maximum(-state.balance[CREDIT_CARD], 0), 0)

    def _closings(self) -> None:
        """Customers who close everything: at once, or after most of the money went in the month before."""
        state, month = self.state, self.month
        decided_now = (state.mode == CLOSING) & (state.mode_month == month.number)
        at_once = self.draws.happens("close at once", self.parameters.closure_at_once)
        leaving_later = np.flatnonzero(decided_now & ~at_once)
        self._take_out(leaving_later, 0.7, "before closing")
        rows = np.flatnonzero((state.mode == CLOSING) & ~(decided_now & ~at_once))
        if len(rows) == 0:
            return
        day = self._day("closing", rows, 15, 26)
        for product in range(PRODUCT_COUNT):
            if product in (CURRENT, CREDIT_CARD):
                continue
            held = state.is_open[product, rows]
            owners, on = rows[held], day[held]
            if product in MATURING_PRODUCTS:
                on = np.clip(state.matures_day[product, owners] - month.first_day, 0, on)
            if product in AUM_PRODUCTS:
                self._redeem_all(f"closing {product}", owners, product, on)
            self.ledger.close(owners, product, on, "customer_request")
        carded = state.is_open[CREDIT_CARD, rows]
        owners, on = rows[carded], day[carded]
        owed = -state.balance[CREDIT_CARD, owners]
        missing = np.maximum(owed - state.balance[CURRENT, owners], 0)
        self._arrive("to clear the card", owners, missing, on)
        self.ledger.post(
            Posting("card cleared", "payment", channel="batch", by=CUSTOMER, counterparty="own", hour=13.0),
            owners,
            CURRENT,
            -owed,
            on,
        )
        self.ledger.post(
            Posting("card cleared", "payment", channel="batch", by=CUSTOMER, counterparty="own", hour=13.0),
            owners,
            CREDIT_CARD,
            owed,
            on,
        )
        self.ledger.close(owners, CREDIT_CARD, on, "customer_request")
        state.card_statement[owners] = 0
        self._empty_current("closing", rows, day, "customer_request", CUSTOMER)
        state.mode[rows] = CLOSED
        state.mode_month[rows] = month.number

    def _empty_current(self, tag: str, rows: IntegerArray, day: IntegerArray, reason: str, by: int) -> None:
        """Pay out the last interest and the balance of the demand account, and close it."""
        state = self.state
        interest = np.rint(state.balance[CURRENT, rows] * _DEMAND_RATE / 8).astype(np.int64)
        self.ledger.post(Posting(f"{tag} interest", "interest", hour=15.0), rows, CURRENT, interest, day)
        rest = state.balance[CURRENT, rows].copy()
        self.ledger.post(
            Posting(
                f"{tag} rest",
                "transfer",
                channel="counter",
                by=by,
                counterparty="bank" if by == CUSTOMER else "household",
                hour=20.5,
                spread=0.4,
            ),
            rows,
            CURRENT,
            -rest,
            day,
        )
        self.outflow[rows] += rest
        self.budget[rows] = 0
        self.ledger.close(rows, CURRENT, day, reason)
        state.pending_month[:, rows] = 0

    def _redeem_all(self, tag: str, rows: IntegerArray, product: int, day: IntegerArray) -> None:
        """Turn a product into money on the demand account; a deposit broken early earns the demand rate."""
        state = self.state
        if product in MATURING_PRODUCTS:
            held = np.maximum(self.month.first_day + day - state.opened_day[product, rows], 0)
            is_broken = self.month.first_day + day < state.matures_day[product, rows]
            rate = np.where(is_broken, _DEMAND_RATE, state.rate[product, rows])
            interest = np.rint(state.balance[product, rows] * rate * held / 365).astype(np.int64)
            self.ledger.post(Posting(f"{tag} interest", "interest", hour=9.0), rows, product, interest, day)
        self._move(tag, rows, product, -state.balance[product, rows].copy(), day, hour=9.5, spread=2.0)

    def _take_out(self, rows: IntegerArray, share: FloatArray | float, tag: str) -> None:
        """Send a share of the liquid money to another bank; deposits are broken for it, each with that chance."""
        if len(rows) == 0:
            return
        state = self.state
        shares = np.broadcast_to(np.asarray(share, float), rows.shape)
        day = self._day(tag, rows, 4, 22)
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
                self._redeem_all(f"{tag} {product}", rows[held], product, day[held])
                freed[held] += state.balance[CURRENT, rows[held]] - before
                self.ledger.close(rows[held], product, day[held], "customer_request")
            else:
                amount = np.floor(state.balance[product, rows[held]] * shares[held]).astype(np.int64)
                self._move(f"{tag} {product}", rows[held], product, -amount, day[held], hour=9.5, spread=2.0)
                freed[held] += amount
        own = self._spend(rows, np.floor(self.budget[rows] * shares).astype(np.int64))
        self._depart(tag, rows, freed + own, day)

    def _drains(self) -> None:
        """Customers who leave in name only: three months of money going elsewhere."""
        state, month = self.state, self.month
        for step, share in enumerate(self.parameters.drain_share):
            rows = np.flatnonzero((state.mode == DRAINING) & (state.mode_month == month.number - step))
            varied = np.clip(share * (0.75 + 0.5 * self.draws.uniform("drain", rows)), 0, 0.97)
            self._take_out(rows, varied, "drain")
            state.demand_target[rows] *= 0.5
            if step == len(self.parameters.drain_share) - 1:
                state.mode[rows] = LEFT

    def _large_purchases(self) -> IntegerArray:
        age = (self.month.first_day - self.people.born_day) / 365.25
        able = (self.state.mode == ACTIVE) & (age >= 24) & (age < 60) & (self.people.joined_month < self.month.number)
        rows = np.flatnonzero(able & self.draws.happens("large purchase", self.parameters.large_purchase))
        share = 0.5 + 0.4 * self.draws.uniform("large purchase share", rows)
        self._take_out(rows, share, "large purchase")
        return rows

    def _festival(self) -> None:
        """Spring Festival: migrant workers carry savings home, everybody gives to the family."""
        month, parameters = self.month, self.parameters
        festival = month.spring_festival
        if festival is None:
            return
        active = (self.state.mode == ACTIVE) & (self.people.joined_month < month.number)
        last = max(festival - 1, 0)
        remitting, low, high = parameters.festival_remittance
        goes = active & (self.people.group == _MIGRANTS) & self.draws.happens("goes home", remitting)
        rows = np.flatnonzero(goes)
        share = low + (high - low) * self.draws.uniform("takes home", rows)
        amount = self._spend(rows, np.floor(self.budget[rows] * share).astype(np.int64))
        self._depart("takes home", rows, amount, self._day("takes home", rows, max(last - 10, 0), last), "household")
        gives = active & ~goes & self.draws.happens("gives", parameters.festival_gift)
        rows = np.flatnonzero(gives)
        gift = np.floor(self.people.income[rows] * (0.02 + 0.2 * self.draws.uniform("gift", rows)) / 8_800)
        amount = self._spend(rows, (gift * 8_800).astype(np.int64))
        self._depart("gives", rows, amount, self._day("gives", rows, max(last - 4, 0), last), "household")

    def _spending(self) -> None:
        """Ordinary life: purchases, wallet top-ups, money funds, transfers and cash, out of one monthly plan."""
        people, state, parameters, month = self.people, self.state, self.parameters, self.month
        lively = self._in_mode(ACTIVE, DRAINING, LEFT) & (people.joined_month < month.number)
        presence = self._presence()
        activity = people.activity * presence
        paid = state.is_open[PAYROLL] & (state.salary_moved_month == 0)
        merchants = state.is_open[MERCHANT_QR]
        share = np.where(paid, 1.08, np.where(merchants, 1.08, people.income_share))
        income = people.income * (1 + parameters.income_growth) ** self.years * share
        income = np.where(paid | merchants, income, income * presence)
        season = 1.15 if month.is_before_spring_festival or month.of_year in (6, 11) else 1.0
        excess = self.budget - state.demand_target - self._parked()
        plan = income * parameters.spending_share * season * np.exp(0.2 * self.draws.normal("spending"))
        # Households keep a buffer: beyond what is needed at hand a third is spent besides, below it life gets cheaper.
        plan = np.maximum(plan + 0.3 * excess, 0.2 * plan)
        limit = np.minimum(plan, np.maximum(self.budget - self._parked(), 0))
        taste = people.wallet_taste
        wallets = (1 + parameters.wallet_growth) ** self.years * taste
        funds = (1 + parameters.money_fund_growth) ** self.years * taste
        festive = 1.4 if month.spring_festival is not None else 1.0
        # Tag, monthly rate, size of one against a purchase, most per month, kind, counterparty.
        kinds = (
            ("purchase", [g.purchases for g in GROUPS], activity, 1.0, 8, "purchase", "merchant"),
            ("wallet", [g.wallet_payments for g in GROUPS], activity * wallets, 1.5, 6, "payment", "wallet"),
            (
                "money fund",
                [g.money_fund_transfers for g in GROUPS],
                activity * funds,
                5.0,
                3,
                "transfer",
                "money_fund",
            ),
            ("send", [g.transfers_out for g in GROUPS], activity, 4.0, 5, "transfer", None),
            ("cash", [g.cash_withdrawals for g in GROUPS], activity * festive, 2.5, 4, "withdrawal", None),
        )
        drawn = []
        for tag, by_group, factor, size, most, kind, counterparty in kinds:
            rate = np.array(by_group)[people.group] * factor
            count = np.where(lively, self.draws.poisson(tag, rate, most=most), 0)
            rows, counter = _repeated(count)
            weight = size * np.exp(0.8 * self.draws.normal(f"{tag} size", rows, counter))
            drawn.append((tag, rows, counter, weight, kind, counterparty))
        total = np.zeros(len(state))
        for _, rows, _, weight, _, _ in drawn:
            total += np.bincount(rows, weight, len(state))
        # A month with few payments is a cheap month, not one of huge payments.
        ordinary = 0.5 * np.array([g.purchases + g.transfers_out * 3 + g.wallet_payments for g in GROUPS])[people.group]
        unit = limit / np.maximum(total, ordinary)
        for tag, rows, counter, weight, kind, counterparty in drawn:
            amount = np.floor(unit[rows] * weight).astype(np.int64)
            if tag == "cash":
                amount = amount // 10_000 * 10_000
            amount[amount < 100] = 0
            self._post_spending(tag, rows, counter, amount, kind=kind, counterparty=counterparty)

    def _post_spending(
        self,
        tag: str,
        rows: IntegerArray,
        counter: IntegerArray,
        amount: IntegerArray,
        *,
        kind: str,
        counterparty: str | None,
    ) -> None:
        day = self.draws.integer(f"day {tag}", self.month.days, rows, counter)
        channel: IntegerArray | str
        sides: IntegerArray | str | None = counterparty
        if tag == "purchase":
            at_till = self.draws.happens("at till", 0.25, rows, counter)
            channel = np.where(at_till, CHANNELS.index("pos"), _MOBILE)
        elif tag in ("wallet", "money fund"):
            channel = "mobile"
        else:
            channel = self._channel(tag, rows, counter)
        if tag == "cash":
            channel = np.where(channel == _COUNTER, _COUNTER, _ATM)
        if tag == "send":
            position = self.draws.uniform("receiver", rows, counter)
            codes = [COUNTERPARTIES.index(name) for name in ("household", "bank", "other")]
            # The less loyal keep more accounts elsewhere and feed them.
            elsewhere = 0.3 + 0.3 / (1 + np.exp(self.people.loyalty[rows]))
            sides = np.where(position < 0.3, codes[0], np.where(position < 0.3 + elsewhere, codes[1], codes[2]))
        late = tag in ("purchase", "wallet")
        self.ledger.post(
            Posting(
                tag,
                kind,
                channel=channel,
                by=CUSTOMER,
                counterparty=sides,
                hour=8.0 if late else 9.0,
                spread=14.0 if late else 8.0,
                counter=counter,
            ),
            rows,
            CURRENT,
            -amount,
            day,
        )
        spent = np.bincount(rows, amount, len(self.state)).astype(np.int64)
        self.budget -= spent
        self.outflow += spent
        if tag in ("wallet", "money fund"):
            self.wallet_outflow += spent

    def _parked(self) -> IntegerArray:
        """Money on the demand account that waits to be invested again."""
        state = self.state
        waits = (state.pending_month > 0) & ~state.is_pending_outside
        parked: IntegerArray = np.where(waits, state.pending_amount, 0).sum(axis=0)
        return parked

    def _maturities(self) -> None:
        state, people, month, parameters = self.state, self.people, self.month, self.parameters
        outcomes: dict[str, list[IntegerArray]] = {"at_once": [], "parked": [], "elsewhere": []}
        for product in MATURING_PRODUCTS:
            rows = np.flatnonzero(
                state.is_open[product]
                & (state.matures_day[product] <= month.last_day)
                & self._in_mode(ACTIVE, DRAINING, LEFT, ASLEEP, DECEASED)
            )
            if len(rows) == 0:
                continue
            day = np.maximum(state.matures_day[product, rows] - month.first_day, 0)
            term = PRODUCTS[product].term_days or 1
            interest = np.rint(state.balance[product, rows] * state.rate[product, rows] * term / 365).astype(np.int64)
            self.ledger.post(Posting(f"yield {product}", "interest", hour=0.5), rows, product, interest, day)
            proceeds = state.balance[product, rows].copy()
            self._move(f"matures {product}", rows, product, -proceeds, day, hour=1.0, spread=0.0, by=BANK)
            self.ledger.close(rows, product, day, "matured")

            gone = self._in_mode(DRAINING, LEFT)[rows]
            leaving = np.flatnonzero(gone)
            last = month.days - 1
            self._depart(
                f"after maturity {product}", rows[leaving], proceeds[leaving], np.minimum(day[leaving] + 1, last)
            )

            active = state.mode[rows] == ACTIVE
            usual_odds = parameters.rebooked_at_once / (1 - parameters.rebooked_at_once)
            odds = usual_odds * parameters.rebooking_loyalty ** people.loyalty[rows]
            position = self.draws.uniform(f"after maturity {product}", rows)
            at_once = active & (position < odds / (1 + odds))
            elsewhere = (
                active
                & ~at_once
                & (
                    self.draws.uniform(f"shops {product}", rows)
                    < parameters.rebooked_elsewhere / (1 - parameters.rebooked_at_once)
                )
            )
            parked = active & ~at_once & ~elsewhere

            kept = np.flatnonzero(at_once)
            lag = self.draws.integer(f"lag {product}", 13, rows[kept])
            on = np.minimum(day[kept] + np.where(lag > 6, lag - 6, 0), last)
            unit = np.where(proceeds[kept] >= 1_000_000, 10_000, 100)
            again = proceeds[kept] // unit * unit
            self._price(rows[kept], product, again, on)
            self._book_account(rows[kept], product, again, on, f"again {product}")

            kept = np.flatnonzero(elsewhere)
            self._depart(
                f"shops {product}",
                rows[kept],
                proceeds[kept],
                np.minimum(day[kept] + 1 + self.draws.integer(f"shop day {product}", 5, rows[kept]), last),
            )
            for chosen, is_outside in ((elsewhere, True), (parked, False)):
                kept = np.flatnonzero(chosen)
                wait = 1 + self.draws.integer(f"wait {product}", 2 if is_outside else 3, rows[kept])
                state.pending_month[product, rows[kept]] = month.number + wait
                state.pending_amount[product, rows[kept]] = proceeds[kept]
                state.is_pending_outside[product, rows[kept]] = is_outside
            for name, chosen in (("at_once", at_once), ("parked", parked), ("elsewhere", elsewhere)):
                outcomes[name].append(rows[chosen])
        self.rebooked = {
            name: np.concatenate(rows) if rows else np.empty(0, np.int64) for name, rows in outcomes.items()
        }

    def _price(self, rows: IntegerArray, product: int, amount: IntegerArray, day: IntegerArray) -> None:
        """Set what a new account is opened with: rate of the month, amount, maturity."""
        state = self.state
        term = PRODUCTS[product].term_days
        state.contract_amount[product, rows] = amount
        state.matures_day[product, rows] = self.month.first_day + day + term if term is not None else 0
        if product in _RATED_PRODUCTS:
            posted = self.market.own(product, self.month.number)
            state.rate[product, rows] = personal_rate(product, posted, rows, self.draws)
        elif product == INSURANCE:
            state.rate[product, rows] = 0.025

    def _book_account(
        self, rows: IntegerArray, product: int, amount: IntegerArray, day: IntegerArray, tag: str
    ) -> None:
        """Open an account and move its first amount in from the demand account."""
        self.ledger.open(rows, product, day)
        self._move(tag, rows, product, amount, day, hour=11.0, spread=4.0)

    def _openings(self) -> None:
        """New products that were wanted, and what was waiting after a maturity or a loan's end."""
        state, people, month = self.state, self.people, self.month
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
            day = first + np.floor((month.days - 1 - first) * self.draws.uniform(f"opens {product}", rows)).astype(
                np.int64
            )
            day = np.clip(day, 0, month.days - 1)
            waited = waits[rows]
            state.pending_month[product, rows] = 0
            if product in AUM_PRODUCTS:
                self._open_investment(rows, product, day, waited)
            elif product in LOAN_PRODUCTS:
                self._open_loan(rows, product, day)
            else:
                if product == CREDIT_CARD:
                    state.contract_amount[product, rows] = card_limit(people, rows, self.draws)
                self.ledger.open(rows, product, day)
                if product == PAYROLL:
                    state.salary_moved_month[rows] = 0
                    self.ledger.change_account(rows, CURRENT, day)

    def _open_investment(self, rows: IntegerArray, product: int, day: IntegerArray, waited: BooleanArray) -> None:
        state = self.state
        amount = np.where(waited, state.pending_amount[product, rows], self.people.amount[product, rows])
        parked = waited & ~state.is_pending_outside[product, rows]
        share = np.where(parked, 1.0, np.where(waited, 0.0, 0.5))
        own = self._spend(rows, np.minimum(amount, np.floor(self.budget[rows] * share).astype(np.int64)))
        # Parked money was partly spent meanwhile: only what is left is invested; the rest comes from other banks.
        fresh = np.where(parked, np.maximum(PRODUCTS[product].minimum * 100 - own, 0), amount - own)
        self._arrive(f"for {product}", rows, fresh, day)
        state.pending_amount[product, rows] = 0
        state.is_pending_outside[product, rows] = False
        self._price(rows, product, own + fresh, day)
        self._book_account(rows, product, own + fresh, day, f"opens {product}")

    def _open_loan(self, rows: IntegerArray, product: int, day: IntegerArray) -> None:
        state = self.state
        terms = loan_terms(product, self.people, rows, month=self.month.number, market=self.market, draws=self.draws)
        state.contract_amount[product, rows] = terms.principal
        state.rate[product, rows] = terms.rate
        state.payment[product, rows] = terms.payment
        state.matures_day[product, rows] = self.month.first_day + day + terms.term_days
        self.ledger.open(rows, product, day)
        self.ledger.post(
            Posting(f"drawdown {product}", "loan_drawdown", by=CUSTOMER, counterparty="own", hour=11.0),
            rows,
            product,
            -terms.principal,
            day,
        )
        self.ledger.post(
            Posting(f"drawdown {product}", "loan_drawdown", by=CUSTOMER, counterparty="own", hour=11.0),
            rows,
            CURRENT,
            terms.principal,
            day,
        )
        # A home's seller is paid at once; of other loans most is spent on what they were taken for.
        used = terms.principal
        if product != MORTGAGE:
            used = np.floor(used * (0.7 + 0.3 * self.draws.uniform(f"used {product}", rows))).astype(np.int64)
        to = "other" if product == MORTGAGE else "merchant"
        self.ledger.post(
            Posting(
                f"used {product}", "payment", channel="counter", by=CUSTOMER, counterparty=to, hour=14.0, spread=3.0
            ),
            rows,
            CURRENT,
            -used,
            day,
        )

    def _sweeps(self) -> None:
        """Surplus is invested or carried elsewhere; a shortage is filled from wealth or from another bank."""
        state, people = self.state, self.people
        settled = (state.mode == ACTIVE) & (people.joined_month < self.month.number)
        growth = (1 + self.parameters.income_growth) ** self.years
        target = state.demand_target * growth
        free = self.budget - self._parked()
        moves = self.draws.happens("sweeps", self.parameters.sweep)
        surplus = free - 1.4 * target
        rows = np.flatnonzero(settled & moves & (surplus > np.maximum(200_000, 0.3 * target)))
        amount = (
            np.floor(surplus[rows] * (0.5 + 0.5 * self.draws.uniform("sweep share", rows)) / 10_000).astype(np.int64)
            * 10_000
        )
        into = self._liquid_choice(rows)
        stays = self.draws.happens("sweep stays", 1 / (1 + np.exp(-(1.0 + 0.6 * people.loyalty[rows]))), rows)
        day = self._day("sweep", rows, 3, 26)
        for product in LIQUID_PRODUCTS:
            chosen = np.flatnonzero(stays & (into == product))
            taken = self._spend(rows[chosen], amount[chosen])
            self._move(f"adds {product}", rows[chosen], product, taken, day[chosen])
        outside = np.flatnonzero(~(stays & (into > 0)))
        fund_share = 0.15 * (1 + self.parameters.money_fund_growth) ** self.years * people.wallet_taste[rows[outside]]
        to_fund = self.draws.happens("sweep to fund", np.minimum(fund_share, 0.8), rows[outside])
        for counterparty, chosen in (("money_fund", outside[to_fund]), ("bank", outside[~to_fund])):
            taken = self._spend(rows[chosen], amount[chosen])
            self._depart(f"sweep {counterparty}", rows[chosen], taken, day[chosen], counterparty)

        short = settled & moves & (free < 0.5 * target) & (target > 50_000)
        rows = np.flatnonzero(short)
        wanted = np.floor((0.9 * target[rows] - free[rows]) / 100).astype(np.int64) * 100
        wanted = np.maximum(wanted, 0)
        day = self._day("fill", rows, 1, 24)
        held = state.is_open[CASH_WEALTH, rows] & (state.opened_day[CASH_WEALTH, rows] < self.month.first_day)
        cash = np.where(held, state.balance[CASH_WEALTH, rows] // 2, 0)
        redeemed = np.where(cash >= wanted, wanted, 0)
        self._move("fill", rows, CASH_WEALTH, -redeemed, day)
        self._arrive("fill from outside", rows, np.where(redeemed > 0, 0, wanted), day)

    def _liquid_choice(self, rows: IntegerArray) -> IntegerArray:
        """One of the liquid products each customer holds, evenly; 0 if none is held."""
        score = np.zeros(len(rows))
        choice = np.zeros(len(rows), np.int64)
        for product in LIQUID_PRODUCTS:
            drawn = self.draws.uniform(f"choice {product}", rows)
            better = (
                self.state.is_open[product, rows]
                & (self.state.opened_day[product, rows] < self.month.first_day)
                & (drawn > score)
            )
            choice = np.where(better, product, choice)
            score = np.where(better, drawn, score)
        return choice

    def _bank_postings(self) -> None:
        """Interest, changes of market value and fees: what the bank books of itself."""
        state, month = self.state, self.month
        last = month.days - 1
        here = ~self._in_mode(NOT_JOINED, CLOSED)
        if month.is_quarter_end:
            rows = np.flatnonzero(here & state.is_open[CURRENT] & (state.opened_day[CURRENT] < month.first_day))
            interest = np.rint(self.budget[rows] * _DEMAND_RATE / 4).astype(np.int64)
            self.ledger.post(Posting("demand interest", "interest", hour=23.5), rows, CURRENT, interest, 19)
            feed = self.draws.happens("message fee", 0.2, rows)
            fee_rows = rows[feed]
            fee = np.where(self.budget[fee_rows] >= 600, 600, 0)
            self.budget[fee_rows] -= fee
            self.ledger.post(Posting("message fee", "fee", hour=3.0), fee_rows, CURRENT, -fee, 20)
        rows = np.flatnonzero(here & state.is_open[CASH_WEALTH])
        earned = np.rint(state.balance[CASH_WEALTH, rows] * state.rate[CASH_WEALTH, rows] / 12).astype(np.int64)
        self.ledger.post(Posting("cash wealth yield", "interest", hour=23.6), rows, CASH_WEALTH, earned, last)
        # The yield of daily wealth floats with the posted rate.
        state.rate[CASH_WEALTH, rows] += 0.25 * (
            self.market.own(CASH_WEALTH, month.number) - state.rate[CASH_WEALTH, rows]
        )
        for product in (FUND_MIXED, FUND_BOND, GOLD):
            rows = np.flatnonzero(here & state.is_open[product])
            change = state.balance[product, rows] * self.market.monthly_return(product, month.number)
            self.ledger.post(
                Posting(f"value {product}", "revaluation", hour=23.7),
                rows,
                product,
                np.rint(change).astype(np.int64),
                last,
            )
        rows = np.flatnonzero(here & state.is_open[INSURANCE] & _has_anniversary(state.opened_day[INSURANCE], month))
        earned = np.rint(state.balance[INSURANCE, rows] * state.rate[INSURANCE, rows]).astype(np.int64)
        self.ledger.post(Posting("insurance value", "interest", hour=23.8), rows, INSURANCE, earned, last)

    def _estates(self) -> None:
        """Accounts of the dead are paid out to the heirs some months later."""
        state, month = self.state, self.month
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
                self._estate_move(product, owners, amount, on)
            elif product not in SERVICE_PRODUCTS:
                owed = -state.balance[product, owners]
                self.ledger.post(
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
            self.ledger.close(owners, product, on, "death")
        rest = state.balance[CURRENT, rows].copy()
        self.ledger.post(
            Posting("estate rest", "transfer", channel="counter", by=THIRD_PARTY, counterparty="household", hour=23.95),
            rows,
            CURRENT,
            -rest,
            day,
        )
        self.ledger.close(rows, CURRENT, day, "death")
        state.pending_month[:, rows] = 0
        state.mode[rows] = CLOSED
        state.mode_month[rows] = month.number

    def _estate_move(self, product: int, rows: IntegerArray, amount: IntegerArray, day: IntegerArray) -> None:
        kind = "transfer" if PRODUCTS[product].category == "deposit_term" else "wealth_redeem"
        for account, cents in ((product, -amount), (CURRENT, amount)):
            self.ledger.post(
                Posting(f"estate {product}", kind, by=BANK, counterparty="own", hour=23.9), rows, account, cents, day
            )

    def _close_month(self) -> None:
        state = self.state
        share = self.wallet_outflow / np.maximum(self.outflow, 1)
        state.wallet_share = np.where(self.outflow > 0, 0.75 * state.wallet_share + 0.25 * share, state.wallet_share)
        state.average_aum[:-1] = state.average_aum[1:]
        state.average_aum[-1] = self.ledger.average_aum


def complaint_kinds(draws: Draws, rows: IntegerArray) -> IntegerArray:
    """Kinds of what is brought forward: 0 complaint, 1 suggestion, 2 enquiry."""
    position = draws.uniform("complaint kind", rows)
    return np.where(position < 0.45, 0, np.where(position < 0.6, 1, 2))


def _repeated(count: IntegerArray) -> tuple[IntegerArray, IntegerArray]:
    """Rows repeated by their counts, and a counter from 0 within each row.

    Examples
    --------
    >>> [array.tolist() for array in _repeated(np.array([2, 0, 1]))]
    [[0, 0, 2], [0, 1, 0]]
    """
    rows = np.repeat(np.arange(len(count)), count)
    counter = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    return rows, counter


def _has_anniversary(day: IntegerArray, month: Month) -> BooleanArray:
    """Whether the month is a yearly return of a day, counted in months of 30.44 days since it."""
    elapsed = np.floor((month.last_day - day) / 30.436875)
    returns: BooleanArray = (elapsed > 0) & (elapsed % 12 == 0)
    return returns
