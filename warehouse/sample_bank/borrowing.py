"""Loans and cards: drawn, used, paid back."""

from __future__ import annotations

import numpy as np

from warehouse.sample_bank.ledger import BANK, CHANNELS, CUSTOMER, Posting
from warehouse.sample_bank.month_of_life import MonthOfLife, repeated
from warehouse.sample_bank.parameters import (
    CREDIT_CARD,
    CURRENT,
    GROUPS,
    LOAN_PRODUCTS,
    MORTGAGE,
)
from warehouse.sample_bank.random_numbers import IntegerArray
from warehouse.sample_bank.state import (
    ACTIVE,
    ASLEEP,
    DRAINING,
    LEFT,
    loan_terms,
)

_MOBILE = CHANNELS.index("mobile")


def pay_loans(life: MonthOfLife) -> None:
    """Interest and instalments of loans; who is short brings the money from elsewhere, or misses the payment."""
    state, month = life.state, life.month
    for product in LOAN_PRODUCTS:
        rows = np.flatnonzero(
            state.is_open[product]
            & (state.opened_day[product] < month.first_day)
            & life.in_mode(ACTIVE, DRAINING, LEFT, ASLEEP)
        )
        if len(rows) == 0:
            continue
        owed = -state.balance[product, rows]
        interest = np.rint(owed * state.rate[product, rows] / 12).astype(np.int64)
        due = np.minimum(state.payment[product, rows], owed + interest)
        ends = state.matures_day[product, rows] <= month.last_day
        due = np.where(ends, owed + interest, due)
        day = 9 + life.people.salary_day[rows] % 12
        short = np.maximum(due - life.budget[rows], 0)
        brings = (short > 0) & life.draws.happens(f"brings {product}", 0.93, rows)
        bringing = rows[brings]
        life.arrive(f"for loan {product}", bringing, short[brings], day[brings] - 1)
        pays = (short == 0) | brings
        paying, paid = rows[pays], due[pays]
        life.budget[paying] -= np.minimum(paid, life.budget[paying])
        life.ledger.post(Posting(f"loan interest {product}", "interest", hour=1.0), rows, product, -interest, day)
        life.ledger.post(
            Posting(f"instalment {product}", "loan_repayment", by=BANK, counterparty="own", hour=9.5),
            paying,
            CURRENT,
            -paid,
            day[pays],
        )
        life.ledger.post(
            Posting(f"instalment {product}", "loan_repayment", by=BANK, counterparty="own", hour=9.5),
            paying,
            product,
            paid,
            day[pays],
        )
        finished = paying[state.balance[product, paying] >= 0]
        life.ledger.close(finished, product, 9 + life.people.salary_day[finished] % 12, "matured")
        again = np.flatnonzero(state.mode[finished] == ACTIVE)
        if product != MORTGAGE and len(again):
            renewing = finished[again][life.draws.happens(f"borrows again {product}", 0.75, finished[again])]
            state.pending_month[product, renewing] = (
                month.number + 1 + life.draws.integer(f"again {product}", 4, renewing)
            )


def use_cards(life: MonthOfLife) -> None:
    """Last month's card statement is paid, this month's purchases make the next one."""
    state, people, month = life.state, life.people, life.month
    holders = state.is_open[CREDIT_CARD] & life.in_mode(ACTIVE, DRAINING, LEFT, ASLEEP)
    rows = np.flatnonzero(holders & (state.card_statement > 0))
    statement = np.minimum(state.card_statement[rows], -state.balance[CREDIT_CARD, rows])
    partly = life.draws.uniform("partial payer", rows) < life.parameters.partial_card_payers
    wanted = np.where(partly, statement // 5, statement)
    paid = life.spend(rows, np.maximum(wanted, 0))
    day = 7 + people.salary_day[rows] // 2
    life.ledger.post(
        Posting("card payment", "payment", channel="batch", by=BANK, counterparty="own", hour=10.0),
        rows,
        CURRENT,
        -paid,
        day,
    )
    life.ledger.post(
        Posting("card payment", "payment", channel="batch", by=BANK, counterparty="own", hour=10.0),
        rows,
        CREDIT_CARD,
        paid,
        day,
    )
    carried = statement - paid
    # 0.05 % a day is the customary rate of card interest.
    interest = np.rint(carried * 0.0005 * 30).astype(np.int64)
    life.ledger.post(Posting("card interest", "interest", hour=2.0), rows, CREDIT_CARD, -interest, month.days - 1)

    rate = np.array([group.card_purchases for group in GROUPS])[people.group] * people.activity * life.presence()
    count = np.where(holders & (people.joined_month < month.number), life.draws.poisson("card", rate, most=8), 0)
    buyers, counter = repeated(count)
    if len(buyers):
        typical = people.income * 0.22 / np.maximum(rate, 0.8)
        amount = typical[buyers] * np.exp(0.8 * life.draws.normal("card amount", buyers, counter) - 0.32)
        cents = np.maximum(np.rint(amount), 500).astype(np.int64)
        room = np.maximum(state.contract_amount[CREDIT_CARD] + state.balance[CREDIT_CARD], 0)
        total = np.bincount(buyers, cents, len(state))
        fits = np.minimum(1.0, room / np.maximum(total, 1))
        cents = np.floor(cents * fits[buyers]).astype(np.int64)
        cents[cents < 500] = 0
        day = life.draws.integer("day card", month.days, buyers, counter)
        at_till = life.draws.happens("card at till", 0.4, buyers, counter)
        channel = np.where(at_till, CHANNELS.index("pos"), _MOBILE)
        life.ledger.post(
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


def open_loan(life: MonthOfLife, rows: IntegerArray, product: int, day: IntegerArray) -> None:
    """Draw a loan and spend it on what it was taken for."""
    state = life.state
    terms = loan_terms(product, life.people, rows, month=life.month.number, market=life.market, draws=life.draws)
    state.contract_amount[product, rows] = terms.principal
    state.rate[product, rows] = terms.rate
    state.payment[product, rows] = terms.payment
    state.matures_day[product, rows] = life.month.first_day + day + terms.term_days
    life.ledger.open(rows, product, day)
    life.ledger.post(
        Posting(f"drawdown {product}", "loan_drawdown", by=CUSTOMER, counterparty="own", hour=11.0),
        rows,
        product,
        -terms.principal,
        day,
    )
    life.ledger.post(
        Posting(f"drawdown {product}", "loan_drawdown", by=CUSTOMER, counterparty="own", hour=11.0),
        rows,
        CURRENT,
        terms.principal,
        day,
    )
    # A home's seller is paid at once; of other loans most is spent on what they were taken for.
    used = terms.principal
    if product != MORTGAGE:
        used = np.floor(used * (0.7 + 0.3 * life.draws.uniform(f"used {product}", rows))).astype(np.int64)
    to = "other" if product == MORTGAGE else "merchant"
    life.ledger.post(
        Posting(f"used {product}", "payment", channel="counter", by=CUSTOMER, counterparty=to, hour=14.0, spread=3.0),
        rows,
        CURRENT,
        -used,
        day,
    )
