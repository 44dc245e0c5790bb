"""What goes out in ordinary life, at Spring Festival, and once in a while for a home."""

from __future__ import annotations

import numpy as np

from warehouse.sample_bank.ledger import CHANNELS, COUNTERPARTIES, CUSTOMER, Posting
from warehouse.sample_bank.month_of_life import MonthOfLife, repeated
from warehouse.sample_bank.parameters import (
    CURRENT,
    GROUP_NAMES,
    GROUPS,
    MERCHANT_QR,
    PAYROLL,
)
from warehouse.sample_bank.random_numbers import IntegerArray
from warehouse.sample_bank.state import (
    ACTIVE,
    DRAINING,
    LEFT,
)

_COUNTER, _ATM, _MOBILE = (CHANNELS.index(name) for name in ("counter", "atm", "mobile"))
_MIGRANTS = GROUP_NAMES.index("migrant_workers")


def make_large_purchases(life: MonthOfLife) -> IntegerArray:
    """Homes, cars, weddings: most liquid money leaves, but nobody leaves the bank. Returns whose."""
    age = (life.month.first_day - life.people.born_day) / 365.25
    able = (life.state.mode == ACTIVE) & (age >= 24) & (age < 60) & (life.people.joined_month < life.month.number)
    rows = np.flatnonzero(able & life.draws.happens("large purchase", life.parameters.large_purchase))
    share = 0.5 + 0.4 * life.draws.uniform("large purchase share", rows)
    life.take_out(rows, share, "large purchase")
    return rows


def celebrate(life: MonthOfLife) -> None:
    """Spring Festival: migrant workers carry savings home, everybody gives to the family."""
    month, parameters = life.month, life.parameters
    festival = month.spring_festival
    if festival is None:
        return
    active = (life.state.mode == ACTIVE) & (life.people.joined_month < month.number)
    last = max(festival - 1, 0)
    remitting, low, high = parameters.festival_remittance
    goes = active & (life.people.group == _MIGRANTS) & life.draws.happens("goes home", remitting)
    rows = np.flatnonzero(goes)
    share = low + (high - low) * life.draws.uniform("takes home", rows)
    amount = life.spend(rows, np.floor(life.budget[rows] * share).astype(np.int64))
    life.depart("takes home", rows, amount, life.day("takes home", rows, max(last - 10, 0), last), "household")
    gives = active & ~goes & life.draws.happens("gives", parameters.festival_gift)
    rows = np.flatnonzero(gives)
    gift = np.floor(life.people.income[rows] * (0.02 + 0.2 * life.draws.uniform("gift", rows)) / 8_800)
    amount = life.spend(rows, (gift * 8_800).astype(np.int64))
    life.depart("gives", rows, amount, life.day("gives", rows, max(last - 4, 0), last), "household")


def spend(life: MonthOfLife) -> None:
    """Ordinary life: purchases, wallet top-ups, money funds, transfers and cash, out of one monthly plan."""
    people, state, parameters, month = life.people, life.state, life.parameters, life.month
    lively = life.in_mode(ACTIVE, DRAINING, LEFT) & (people.joined_month < month.number)
    presence = life.presence()
    activity = people.activity * presence
    paid = state.is_open[PAYROLL] & (state.salary_moved_month == 0)
    merchants = state.is_open[MERCHANT_QR]
    share = np.where(paid, 1.08, np.where(merchants, 1.08, people.income_share))
    income = people.income * (1 + parameters.income_growth) ** life.years * share
    income = np.where(paid | merchants, income, income * presence)
    season = 1.15 if month.is_before_spring_festival or month.of_year in (6, 11) else 1.0
    excess = life.budget - state.demand_target - life.parked()
    plan = income * parameters.spending_share * season * np.exp(0.2 * life.draws.normal("spending"))
    # Households keep a buffer: beyond what is needed at hand a third is spent besides, below it life gets cheaper.
    plan = np.maximum(plan + 0.3 * excess, 0.2 * plan)
    limit = np.minimum(plan, np.maximum(life.budget - life.parked(), 0))
    taste = people.wallet_taste
    wallets = (1 + parameters.wallet_growth) ** life.years * taste
    funds = (1 + parameters.money_fund_growth) ** life.years * taste
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
        count = np.where(lively, life.draws.poisson(tag, rate, most=most), 0)
        rows, counter = repeated(count)
        weight = size * np.exp(0.8 * life.draws.normal(f"{tag} size", rows, counter))
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
        _post_spending(life, tag, rows, counter, amount, kind=kind, counterparty=counterparty)


def _post_spending(
    life: MonthOfLife,
    tag: str,
    rows: IntegerArray,
    counter: IntegerArray,
    amount: IntegerArray,
    *,
    kind: str,
    counterparty: str | None,
) -> None:
    day = life.draws.integer(f"day {tag}", life.month.days, rows, counter)
    channel: IntegerArray | str
    sides: IntegerArray | str | None = counterparty
    if tag == "purchase":
        at_till = life.draws.happens("at till", 0.25, rows, counter)
        channel = np.where(at_till, CHANNELS.index("pos"), _MOBILE)
    elif tag in ("wallet", "money fund"):
        channel = "mobile"
    else:
        channel = life.channel(tag, rows, counter)
    if tag == "cash":
        channel = np.where(channel == _COUNTER, _COUNTER, _ATM)
    if tag == "send":
        position = life.draws.uniform("receiver", rows, counter)
        codes = [COUNTERPARTIES.index(name) for name in ("household", "bank", "other")]
        # The less loyal keep more accounts elsewhere and feed them.
        elsewhere = 0.3 + 0.3 / (1 + np.exp(life.people.loyalty[rows]))
        sides = np.where(position < 0.3, codes[0], np.where(position < 0.3 + elsewhere, codes[1], codes[2]))
    late = tag in ("purchase", "wallet")
    life.ledger.post(
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
    spent = np.bincount(rows, amount, len(life.state)).astype(np.int64)
    life.budget -= spent
    life.outflow += spent
    if tag in ("wallet", "money fund"):
        life.wallet_outflow += spent
