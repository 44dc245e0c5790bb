"""What comes in: salaries and pensions, turnover, money brought from elsewhere, gifts."""

from __future__ import annotations

import numpy as np

from warehouse.sample_bank.ledger import COUNTERPARTIES, CUSTOMER, THIRD_PARTY, Posting
from warehouse.sample_bank.month_of_life import MonthOfLife, repeated
from warehouse.sample_bank.parameters import (
    CURRENT,
    GROUP_NAMES,
    GROUPS,
    MERCHANT_QR,
    PAYROLL,
)
from warehouse.sample_bank.random_numbers import FloatArray, IntegerArray
from warehouse.sample_bank.state import (
    ACTIVE,
    DRAINING,
    LEFT,
)

_RETIREES, _STUDENTS = (GROUP_NAMES.index(name) for name in ("retirees", "students"))
_TRADING = tuple(GROUP_NAMES.index(name) for name in ("entrepreneurs", "small_business_owners"))


def earn(life: MonthOfLife) -> None:
    """Salaries and pensions on their days, turnover twice a month, income from elsewhere, and what others send."""
    people, state, parameters, month = life.people, life.state, life.parameters, life.month
    growth = (1 + parameters.income_growth) ** life.years
    income = people.income * growth
    lively = life.in_mode(ACTIVE, DRAINING, LEFT) & (people.joined_month < month.number)

    paid = lively & state.is_open[PAYROLL] & (state.salary_moved_month == 0)
    rows = np.flatnonzero(paid)
    amount = income[rows] * (1 + 0.03 * life.draws.normal("salary", rows))
    if month.is_before_spring_festival:
        low, high = parameters.bonus_size
        size = low + (high - low) * life.draws.uniform("bonus size", rows)
        retired = people.group[rows] == _RETIREES
        amount = amount * (1 + size * (life.draws.happens("bonus", parameters.bonus_share, rows) & ~retired))
    working_days = np.array([month.working_day(day) for day in range(31)])
    day = working_days[people.salary_day[rows]]
    retired = people.group[rows] == _RETIREES
    for kind, chosen in (("pension", retired), ("salary", ~retired)):
        life.ledger.post(
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
    for half in range(2):
        turnover = income[rows] * 0.5 * quiet * np.exp(0.3 * life.draws.normal("turnover", rows, half))
        life.ledger.post(
            Posting(
                "turnover",
                "deposit",
                channel="batch",
                by=THIRD_PARTY,
                counterparty="merchant",
                hour=23.0,
                spread=0.5,
                counter=half,
            ),
            rows,
            CURRENT,
            np.rint(turnover * life.presence()[rows]).astype(np.int64),
            13 + 14 * half,
        )

    # Wages, pensions and allowances that are paid elsewhere are brought here once a month, by most.
    brings = lively & ~paid & ~merchants & life.draws.happens("brings income", 0.85 * life.presence())
    rows = np.flatnonzero(brings)
    amount = income[rows] * people.income_share[rows] * np.exp(0.15 * life.draws.normal("regular", rows))
    day = np.minimum(people.salary_day[rows] + life.draws.integer("day regular", 5, rows), month.days - 1)
    _take_in(life, "regular", rows, amount, day=day, counter=np.zeros(len(rows), np.int64))

    # And now and then family, friends and customers of a trade send something.
    rate = np.array([group.transfers_in for group in GROUPS])[people.group] * people.activity * life.presence()
    count = np.where(lively, life.draws.poisson("transfers in", rate, most=6), 0)
    rows, counter = repeated(count)
    amount = (income * 0.08 / np.maximum(rate, 0.4))[rows]
    amount = amount * np.exp(0.7 * life.draws.normal("transfer in", rows, counter) - 0.245)
    day = life.draws.integer("day transfer in", month.days, rows, counter)
    _take_in(life, "transfer in", rows, amount, day=day, counter=counter)


def _take_in(
    life: MonthOfLife, tag: str, rows: IntegerArray, amount: FloatArray, *, day: IntegerArray, counter: IntegerArray
) -> None:
    """Transfers and cash that come in, each from its source."""
    if len(rows) == 0:
        return
    source = _sources(life, tag, rows, counter)
    own = source == COUNTERPARTIES.index("bank")
    cash = life.draws.happens(f"{tag} cash", 0.45 * life.people.counter_share[rows], rows, counter)
    cents = np.maximum(np.rint(amount), 100).astype(np.int64)
    deposits = np.flatnonzero(cash)
    life.ledger.post(
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
        life.ledger.post(
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


def _sources(life: MonthOfLife, tag: str, rows: IntegerArray, counter: IntegerArray) -> IntegerArray:
    """Where incoming money comes from: own money elsewhere, the family, customers of a trade, others."""
    position = life.draws.uniform(f"{tag} source", rows, counter)
    group = life.people.group[rows]
    if tag == "regular":
        own = np.where(group == _STUDENTS, 0.03, 0.75)
        family = np.where(group == _STUDENTS, 0.97, np.where(group == _RETIREES, 0.15, 0.05))
    else:
        own = np.where(group == _STUDENTS, 0.05, 0.25)
        family = np.where(group == _STUDENTS, 0.9, np.where(group == _RETIREES, 0.5, 0.35))
        family = np.where(np.isin(group, _TRADING), 0.1, family)
    bank, household, other = (COUNTERPARTIES.index(name) for name in ("bank", "household", "other"))
    return np.where(position < own, bank, np.where(position < own + family, household, other))
