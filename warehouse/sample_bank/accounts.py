"""Table `accounts`: one row per version of an account, in force from `updated_at`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from warehouse.sample_bank.branches import BRANCH_CITIES, BRANCH_IDS
from warehouse.sample_bank.columns import AnyIntegers, booleans, dates, decimals, digits, nothing, strings, timestamps
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS, customer_ids
from warehouse.sample_bank.ledger import CHANNELS, CLOSURE_REASONS, is_salary_paid
from warehouse.sample_bank.parameters import (
    BUSINESS_LOAN,
    CREDIT_CARD,
    CURRENT,
    MERCHANT_QR,
    MORTGAGE,
    PAYROLL,
    PRODUCT_CODES,
    PRODUCT_COUNT,
)
from warehouse.sample_bank.population import Population
from warehouse.sample_bank.random_numbers import BooleanArray, Draws
from warehouse.sample_bank.state import State

#: Columns of versions as the ledger collects them, by name.
Versions = dict[str, npt.NDArray[Any]]

#: Products that are only sold over the counter; the others follow the customer's habit.
_AT_COUNTER = (MORTGAGE, BUSINESS_LOAN, PAYROLL, MERCHANT_QR)


def account_numbers(numbers: AnyIntegers, product: AnyIntegers | int, sequence: AnyIntegers | int) -> AnyIntegers:
    """Account numbers: product, customer and how many of that product came before, in fourteen digits."""
    return ((np.asarray(product, np.int64) + 10) * 1_000_000_000 + numbers) * 1_000 + sequence


def account_ids(
    numbers: AnyIntegers,
    product: AnyIntegers | int,
    sequence: AnyIntegers | int,
    present: BooleanArray | None = None,
) -> pa.Array:
    """Account numbers as text."""
    return digits(account_numbers(numbers, product, sequence), present)


def opening_versions(state: State) -> Versions:
    """Versions of all accounts open when the window opens, each dated on its own opening."""
    pieces: list[Versions] = []
    for product in range(PRODUCT_COUNT):
        rows = np.flatnonzero(state.is_open[product])
        opened = state.opened_day[product, rows]
        pieces.append(
            {
                "row": rows,
                "product": np.full(len(rows), product),
                "sequence": state.sequence[product, rows],
                "opened_day": opened,
                "matures_day": state.matures_day[product, rows],
                "rate": state.rate[product, rows],
                "contract_amount": state.contract_amount[product, rows],
                "is_payroll": is_salary_paid(state, product, rows),
                "closed_day": np.zeros(len(rows), np.int64),
                "reason": np.full(len(rows), -1),
                "updated": opened * 86_400 + 8 * 3600,
            }
        )
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def accounts_table(people: Population, seed: int, versions: Versions) -> pa.Table:
    """Versions of `accounts`, ordered by customer, product, account and time.

    Parameters
    ----------
    people
        Who the customers are.
    seed
        The bank's seed.
    versions
        Columns as `opening_versions` and the ledger's `accounts` collect them.
    """
    # Versions are collected in the order they came about, which a stable sort keeps for equal times.
    order = np.lexsort((versions["updated"], versions["sequence"], versions["product"], versions["row"]))
    columns = {name: values[order] for name, values in versions.items()}
    row, product, sequence = columns["row"], columns["product"], columns["sequence"]
    numbers, branch = people.number[row], people.branch[row]
    draws = Draws(seed, "accounts", account_numbers(numbers, product, sequence))
    size = len(row)
    zeros = np.zeros(size, np.int64)

    position = draws.uniform("opened channel")
    counter = np.where(np.isin(product, (*_AT_COUNTER, CURRENT)), 0.9, people.counter_share[row])
    counter = np.where(product == CURRENT, np.maximum(people.counter_share[row], 0.55), counter)
    by_manager = counter + (1 - counter) * 0.05
    names = [CHANNELS.index(name) for name in ("counter", "rm", "mobile")]
    channel = np.where(position < counter, names[0], np.where(position < by_manager, names[1], names[2]))

    is_card = product == CREDIT_CARD
    closed = columns["closed_day"] > 0
    matures = columns["matures_day"]
    amount = columns["contract_amount"]
    reset = np.where(product == MORTGAGE, _next_january(columns["updated"] // 86_400), 0)
    status = np.where(closed, np.where(columns["reason"] == CLOSURE_REASONS.index("matured"), 2, 1), 0)
    settles = product != CURRENT
    return pa.table(
        {
            "source_system": strings(["core"], zeros),
            "account_id": account_ids(numbers, product, sequence),
            "customer_source_system": strings(["core"], zeros),
            "source_customer_id": customer_ids(numbers),
            "settlement_account_id": account_ids(numbers, CURRENT, 1, settles),
            "product_code": strings(PRODUCT_CODES, product),
            "branch_id": strings(BRANCH_IDS, branch),
            "currency": strings(["CNY"], zeros),
            "opened_on": dates(columns["opened_day"]),
            "closed_on": dates(columns["closed_day"], closed),
            "matures_on": dates(matures, matures > 0),
            "rate": decimals(np.rint(columns["rate"] * 1e8).astype(np.int64), 12, 8, columns["rate"] > 0),
            "rate_reset_on": dates(reset, reset > 0),
            "credit_limit": decimals(amount, present=is_card),
            "amount": decimals(amount, present=~is_card & (amount > 0)),
            "status": strings(["active", "closed", "matured"], status),
            "closure_reason": strings(CLOSURE_REASONS, columns["reason"]),
            "is_payroll": booleans(columns["is_payroll"].astype(np.bool_)),
            "opened_channel": strings(CHANNELS, channel),
            "opened_place": strings(BRANCH_CITIES, np.where(channel == names[0], branch, -1)),
            "sold_by_employee_id": nothing(size, pa.string()),
            "updated_at": timestamps(columns["updated"] - UTC_OFFSET_SECONDS),
        }
    )


def _next_january(day: AnyIntegers) -> AnyIntegers:
    """First of January after a day: when mortgage rates are set anew."""
    years = day.astype("datetime64[D]").astype("datetime64[Y]") + 1
    return years.astype("datetime64[D]").astype(np.int64)
