"""Who the customers are: everything about them that does not change, drawn once for their whole life."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.special import ndtr, ndtri

from warehouse.sample_bank.affinities import age_band, draw_wants
from warehouse.sample_bank.branches import BRANCH_OPENED, SUB_BRANCHES
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.parameters import (
    ADULT_PRODUCTS,
    AFFINITIES,
    AUM_PRODUCTS,
    CURRENT,
    GROUPS,
    PAYROLL,
    PRODUCT_COUNT,
    PRODUCTS,
    Parameters,
)
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, FloatArray, IntegerArray

#: Month of opening of a product that is held when the window opens.
HELD_AT_START = 0
#: Month of opening of a product that is not wanted.
NEVER = 1 << 30

_DAYS_PER_YEAR = 365.25


@dataclass
class Population:
    """Customers as columns; products first where there are two axes. Money in cents, days since 1970-01-01.

    `number` is a customer's life number: it keys every draw and is part of every id. Numbers have gaps, because
    people who join after the window have a number too.
    """

    number: IntegerArray
    group: IntegerArray
    band: IntegerArray
    loyalty: FloatArray
    is_woman: BooleanArray
    born_day: IntegerArray
    joined_day: IntegerArray
    joined_month: IntegerArray
    income: FloatArray
    wealth: FloatArray
    activity: FloatArray
    income_share: FloatArray
    wallet_taste: FloatArray
    counter_share: FloatArray
    web_share: FloatArray
    salary_day: IntegerArray
    branch: IntegerArray
    is_asleep_at_start: BooleanArray
    wants: BooleanArray
    opening_month: IntegerArray
    opening_fraction: FloatArray
    amount: IntegerArray

    def __len__(self) -> int:
        return len(self.number)

    def rows(self, rows: IntegerArray) -> Population:
        """Some of the customers."""
        return Population(**{field.name: getattr(self, field.name)[..., rows] for field in fields(self)})


def joining_month(numbers: IntegerArray, start: int, seed: int, parameters: Parameters) -> IntegerArray:
    """Calendar month in which each life joins the bank; 0 for those who were customers at the start."""
    draws = Draws(seed, "joining", numbers)
    growth = parameters.newcomers * parameters.horizon_months
    position = draws.uniform("month") * (1 + growth)
    later = np.floor((position - 1) / parameters.newcomers).astype(np.int64)
    return np.where(position < 1, 0, start + np.clip(later, 0, parameters.horizon_months - 1))


def life_numbers(first: int, last: int, start: int, end: int, *, seed: int, parameters: Parameters) -> IntegerArray:
    """Life numbers of the customers from position `first` up to but not including `last`.

    Customers are all lives that join before the month `end`, in the order of their numbers. So the first thousand
    customers of a large bank are the customers of a bank of one thousand.
    """
    found: list[IntegerArray] = []
    position, number, size = 0, 0, 1 << 16
    while position < last:
        numbers = np.arange(number, number + size)
        joined = numbers[joining_month(numbers, start, seed, parameters) < end]
        found.append(joined[max(first - position, 0) : max(last - position, 0)])
        position += len(joined)
        number += size
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _of_group(attribute: list[float], group: IntegerArray) -> FloatArray:
    return np.array(attribute)[group]


def _ages(group: IntegerArray, draws: Draws) -> FloatArray:
    """Ages in years, normal within each group and cut at its bounds."""
    table = np.array([entry.age for entry in GROUPS], float)[group]
    mean, deviation, youngest, oldest = table.T
    low, high = ndtr((youngest - mean) / deviation), ndtr((oldest - mean) / deviation)
    ages: FloatArray = mean + deviation * ndtri(low + (high - low) * draws.uniform("age"))
    return np.clip(ages, youngest, oldest - 0.01)


def _opening_months(
    wants: BooleanArray,
    joined_month: IntegerArray,
    start: int,
    draws: Draws,
    parameters: Parameters,
    *,
    comes_of_age: IntegerArray,
) -> tuple[IntegerArray, FloatArray]:
    """Month in which each wanted product is opened; for those held at the start, the point between joining and start.

    Whether a product is already held does not depend on which, so that the lift of two wants is the lift of two
    holdings. Only minors have no credit and take no payments for a trade: they wait for the month after their
    eighteenth birthday. A consequent that comes in order waits for its antecedent.
    """
    size = wants.shape[1]
    is_newcomer = joined_month > 0
    months = np.full((PRODUCT_COUNT, size), NEVER, np.int64)
    fractions = np.zeros((PRODUCT_COUNT, size))
    adult_month = comes_of_age.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12 + 1
    for product in range(PRODUCT_COUNT):
        position = draws.uniform(f"opening {product}")
        late = (position - parameters.held_at_start) / (1 - parameters.held_at_start)
        of_old = np.where(
            late < 0,
            HELD_AT_START,
            start + np.floor(np.maximum(late, 0) * parameters.late_opening_months).astype(np.int64),
        )
        mean = 1.5 if product == PAYROLL else parameters.newcomer_opening_months
        of_new = joined_month + np.floor(-mean * np.log(position)).astype(np.int64)
        month = np.where(is_newcomer, of_new, of_old)
        if product == CURRENT:
            month = joined_month.copy()
        if product in ADULT_PRODUCTS:
            # Who comes of age before the window may hold it when it opens: not since before that birthday.
            month = np.where(comes_of_age >= Month(start).first_day, np.maximum(month, adult_month), month)
        months[product] = np.where(wants[product], month, NEVER)
        fractions[product] = 0.0 if product == CURRENT else draws.uniform(f"opened at {product}")
    for link in AFFINITIES:
        if not link.is_ordered:
            continue
        before, after = months[link.antecedent], months[link.consequent]
        both = wants[link.antecedent] & wants[link.consequent]
        wait = 1 + draws.integer(f"wait {link.consequent}", 8)
        waits = both & (before > HELD_AT_START) & (after <= before)
        months[link.consequent] = np.where(waits, before + wait, after)
        fraction = fractions[link.antecedent]
        fractions[link.consequent] = np.where(
            both, fraction + (1 - fraction) * fractions[link.consequent], fractions[link.consequent]
        )
    return months, fractions


def _joined_and_born(
    numbers: IntegerArray,
    start: int,
    seed: int,
    parameters: Parameters,
) -> tuple[IntegerArray, IntegerArray, FloatArray, IntegerArray, IntegerArray]:
    """Group, branch, age in years, day of joining and day of birth of each life."""
    draws = Draws(seed, "population", numbers)
    shares = np.cumsum([group.share for group in GROUPS])
    group = np.searchsorted(shares[:-1], draws.uniform("group"), side="right").astype(np.int64)
    branch = np.array(SUB_BRANCHES)[draws.integer("branch", len(SUB_BRANCHES))]
    joined_month = joining_month(numbers, start, seed, parameters)
    is_newcomer = joined_month > 0
    first_day = Month(start).first_day
    join_day_of_month = draws.integer("join day", 27)
    month_days = {month: Month(month).first_day for month in np.unique(joined_month[is_newcomer]).tolist()}
    known = np.array(sorted(month_days), np.int64)
    firsts = np.array([month_days[month] for month in known.tolist()], np.int64)
    newcomer_day = firsts[np.searchsorted(known, joined_month[is_newcomer])] + join_day_of_month[is_newcomer]

    age = _ages(group, draws)
    # Tenure: exponential, cut where the customer would have been younger than 16.
    longest = np.minimum(np.maximum(age - 16, 0.3), parameters.longest_tenure_years)
    cut = -np.expm1(-longest / parameters.mean_tenure_years)
    tenure = -parameters.mean_tenure_years * np.log1p(-draws.uniform("tenure") * cut)
    joined_day = first_day - 1 - np.floor(tenure * _DAYS_PER_YEAR).astype(np.int64)
    # Nobody is older with the bank than the branch; that binds only where a window starts long ago.
    joined_day = np.maximum(joined_day, BRANCH_OPENED[branch])
    joined_day[is_newcomer] = newcomer_day
    reference = np.where(is_newcomer, joined_day, first_day)
    born_day = reference - np.floor(age * _DAYS_PER_YEAR).astype(np.int64)
    return group, branch, age, joined_day, born_day


def joining_day(numbers: IntegerArray, start: int, seed: int, parameters: Parameters) -> IntegerArray:
    """Day on which each life joins the bank, as days since 1970-01-01."""
    return _joined_and_born(numbers, start, seed, parameters)[3]


def eighteenth_birthday(born_day: IntegerArray) -> IntegerArray:
    """Day on which each comes of age; who was born on 29 February does so on 1 March.

    Examples
    --------
    >>> born = np.array(["2004-02-29", "2006-07-05"], "datetime64[D]").astype(np.int64)
    >>> eighteenth_birthday(born).astype("datetime64[D]").astype(str).tolist()
    ['2022-03-01', '2024-07-05']
    """
    born = born_day.astype("datetime64[D]")
    month = born.astype("datetime64[M]")
    day: IntegerArray = ((month + 18 * 12).astype("datetime64[D]") + (born - month.astype("datetime64[D]"))).astype(
        np.int64
    )
    return day


def draw_population(numbers: IntegerArray, start: int, seed: int, parameters: Parameters) -> Population:
    """Draw everything that does not change about given customers.

    Parameters
    ----------
    numbers
        Life numbers.
    start
        Calendar month in which the window opens.
    seed
        The bank's seed.
    parameters
        The bank's parameters.
    """
    draws = Draws(seed, "population", numbers)
    group, branch, age, joined_day, born_day = _joined_and_born(numbers, start, seed, parameters)
    band = age_band(age)
    loyalty = draws.normal("loyalty")
    joined_month = joining_month(numbers, start, seed, parameters)
    is_newcomer = joined_month > 0

    income_median = _of_group([entry.income[0] for entry in GROUPS], group)
    income_sigma = _of_group([entry.income[1] for entry in GROUPS], group)
    wealth_median = _of_group([entry.wealth[0] for entry in GROUPS], group)
    wealth_sigma = _of_group([entry.wealth[1] for entry in GROUPS], group)
    correlation = parameters.income_wealth_correlation
    income_score = draws.normal("income")
    wealth_score = correlation * income_score + np.sqrt(1 - correlation**2) * draws.normal("wealth")
    income = 100 * income_median * np.exp(income_sigma * income_score)
    wealth = 100 * wealth_median * np.exp(wealth_sigma * wealth_score)

    base, by_loyalty, noise = parameters.income_share
    income_share = 1 / (1 + np.exp(-(base + by_loyalty * loyalty + noise * draws.normal("income share"))))
    activity = np.exp(parameters.activity_sigma * draws.normal("activity") + 0.15 * loyalty)
    wallet_taste = np.exp(0.6 * draws.normal("wallet taste") - 0.35 * loyalty)
    counter = _of_group([entry.counter_share for entry in GROUPS], group)
    web = _of_group([entry.web_share for entry in GROUPS], group)
    counter_share = 1 / (1 + np.exp(-(np.log(counter / (1 - counter)) + 0.7 * draws.normal("counter"))))

    wants = draw_wants(group, band, draws)
    opening_month, opening_fraction = _opening_months(
        wants, joined_month, start, draws, parameters, comes_of_age=eighteenth_birthday(born_day)
    )

    weight = np.zeros((PRODUCT_COUNT, len(numbers)))
    for product in AUM_PRODUCTS:
        demand = _of_group([entry.demand_weight for entry in GROUPS], group)
        size = demand if product == CURRENT else 1.0
        weight[product] = size * np.exp(0.55 * draws.normal(f"weight {product}")) * wants[product]
    amount = wealth * weight / weight.sum(axis=0)
    for product in AUM_PRODUCTS:
        smallest = PRODUCTS[product].minimum * 100 * (1 + 0.5 * draws.uniform(f"minimum {product}"))
        amount[product] = np.where(wants[product], np.maximum(amount[product], smallest), 0)
        if product != CURRENT:
            # Investments are made in round sums.
            unit = np.where(amount[product] >= 1_000_000, 100_000, 10_000)
            amount[product] = np.ceil(amount[product] / unit) * unit

    # A household keeps at hand what it spends in some two weeks, however little it owns.
    amount[CURRENT] = np.maximum(amount[CURRENT], 0.5 * income * np.where(wants[PAYROLL], 1.0, income_share))

    salary_days = np.array([4, 7, 9, 9, 14, 14, 19, 24, 27])
    return Population(
        number=numbers,
        group=group,
        band=band,
        loyalty=loyalty,
        is_woman=draws.happens("woman", 0.5),
        born_day=born_day,
        joined_day=joined_day,
        joined_month=joined_month,
        income=income,
        wealth=wealth,
        activity=activity,
        income_share=income_share,
        wallet_taste=wallet_taste,
        counter_share=counter_share,
        web_share=web,
        salary_day=salary_days[draws.integer("salary day", len(salary_days))],
        branch=branch,
        is_asleep_at_start=draws.happens("asleep", parameters.asleep_at_start) & ~is_newcomer,
        wants=wants,
        opening_month=opening_month,
        opening_fraction=opening_fraction,
        amount=np.rint(amount).astype(np.int64),
    )
