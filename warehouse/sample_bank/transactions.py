"""Table `transactions`: every posting of a month, with the balance after it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.sample_bank.accounts import account_ids
from warehouse.sample_bank.branches import BRANCH_CITIES, BRANCH_IDS, SUB_BRANCHES
from warehouse.sample_bank.columns import dates, decimals, digits, nothing, strings, timestamps
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ledger import CHANNELS, COUNTERPARTIES, INITIATORS, KINDS, RecordingLedger
from warehouse.sample_bank.parameters import PRODUCT_COUNT
from warehouse.sample_bank.population import Population
from warehouse.sample_bank.random_numbers import Draws, IntegerArray

#: Institutions of the other side; none of them exists.
_INSTITUTIONS = ("甲银行", "乙银行", "丙银行", "丁银行", "戊银行", "钱包甲", "钱包乙", "货币基金甲", "货币基金乙")
#: Merchant categories of ISO 18245: groceries, restaurants, transport, clothing, department stores, fuel, pharmacies,
#: utilities, electronics, hotels, schools, hospitals; commoner ones more than once.
_MERCHANTS = (
    "5411", "5411", "5411", "5812", "5812", "5812", "4111", "4111", "5651", "5311", "5541", "5912", "4900", "5732",
    "7011", "8211", "8062",
)  # fmt: skip
_COUNTER, _ATM, _POS = (CHANNELS.index(name) for name in ("counter", "atm", "pos"))
_OWN, _HOUSEHOLD, _BANK, _WALLET, _FUND, _MERCHANT, _EMPLOYER, _OTHER = range(len(COUNTERPARTIES))


def transactions_table(people: Population, seed: int, month: Month, ledger: RecordingLedger) -> pa.Table:
    """All postings of a month, ordered by customer and time.

    Parameters
    ----------
    people
        Who the customers are.
    seed
        The bank's seed.
    month
        The month that was booked.
    ledger
        What was booked.
    """
    postings = ledger.postings.collected()
    if not postings:
        empty = np.empty(0, np.int64)
        return _table(people, seed, month, columns={}, balance=empty, position=empty)
    by_time = np.argsort(postings["row"] * (32 * 86_400) + postings["second"], kind="stable")
    columns = {name: values[by_time].astype(np.int64) for name, values in postings.items()}
    row = columns["row"]
    balance = _balance_after(columns, ledger.opening_balance)
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    position = np.arange(len(row)) - np.repeat(starts, np.diff(np.append(starts, len(row))))
    return _table(people, seed, month, columns=columns, balance=balance, position=position)


def _balance_after(columns: dict[str, IntegerArray], opening: IntegerArray) -> IntegerArray:
    """Balance of the account after each posting; the postings are in the order of time within each customer."""
    account = (columns["row"] * PRODUCT_COUNT + columns["product"]) * 1_000 + columns["sequence"]
    by_account = np.argsort(account, kind="stable")
    ordered = account[by_account]
    amounts = columns["amount"][by_account]
    running = np.cumsum(amounts)
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    sizes = np.diff(np.append(starts, len(ordered)))
    row, product = columns["row"][by_account[starts]], columns["product"][by_account[starts]]
    # Within a month the account that was there at its beginning has the lowest sequence; later ones start from zero.
    is_first = np.append(True, (row[1:] != row[:-1]) | (product[1:] != product[:-1]))
    brought = np.where(is_first, opening[product, row], 0)
    before = running[starts] - amounts[starts] - brought
    balance = np.empty_like(running)
    balance[by_account] = running - np.repeat(before, sizes)
    return balance


def _table(
    people: Population,
    seed: int,
    month: Month,
    *,
    columns: dict[str, IntegerArray],
    balance: IntegerArray,
    position: IntegerArray,
) -> pa.Table:
    empty = np.empty(0, np.int64)
    row = columns.get("row", empty)
    numbers = people.number[row]
    number = (numbers * 10_000 + (month.year % 100) * 100 + month.of_year) * 1_000 + position
    draws = Draws(seed, "transactions", number)
    channel, side = columns.get("channel", empty), columns.get("counterparty", empty)
    second = month.first_day * 86_400 + columns.get("second", empty)
    zeros = np.zeros(len(row), np.int64)

    # Most people have one other bank and one wallet; employers and the family are always the same account.
    habits = Draws(seed, "habits", numbers)
    bank = np.where(draws.happens("usual bank", 0.85), habits.integer("bank", 5), draws.integer("bank", 5))
    wallet = 5 + np.where(draws.happens("usual wallet", 0.9), habits.integer("wallet", 2), draws.integer("wallet", 2))
    fund = 7 + habits.integer("fund", 2)
    institution = np.select(
        [np.isin(side, (_BANK, _HOUSEHOLD, _EMPLOYER, _OTHER)), side == _WALLET, side == _FUND],
        [bank, wallet, fund],
        -1,
    )
    usual = np.select(
        [side == _BANK, side == _HOUSEHOLD, side == _EMPLOYER, side == _WALLET, side == _FUND],
        [numbers * 10 + 1, numbers * 10 + 2, numbers * 10 + 3, numbers * 10 + 4, numbers * 10 + 5],
        number,
    )
    other_account = Draws(seed, "counterparties", usual).integer("account", 10**15) + 10**15
    has_account = (side >= 0) & (side != _OWN) & (side != _MERCHANT)

    is_local = np.isin(channel, (_COUNTER, _ATM))
    elsewhere = draws.happens("other branch", 0.1)
    branch = np.where(elsewhere, np.array(SUB_BRANCHES)[draws.integer("branch", len(SUB_BRANCHES))], people.branch[row])
    merchant = np.where(side == _MERCHANT, draws.integer("merchant", len(_MERCHANTS)), -1)
    categories = sorted(set(_MERCHANTS))
    codes = np.array([categories.index(category) for category in _MERCHANTS])
    return pa.table(
        {
            "source_system": strings(["core"], zeros),
            "transaction_id": digits(number),
            "account_id": account_ids(numbers, columns.get("product", empty), columns.get("sequence", empty)),
            "posted_at": timestamps(second - UTC_OFFSET_SECONDS),
            "value_on": dates(second // 86_400),
            "currency": strings(["CNY"], zeros),
            "reverses_transaction_id": nothing(len(row), pa.string()),
            "amount": decimals(columns.get("amount", empty)),
            "kind": strings(KINDS, columns.get("kind", empty)),
            "channel": strings(CHANNELS, channel),
            "branch_id": strings(BRANCH_IDS, np.where(is_local, branch, -1)),
            "initiated_by": strings(INITIATORS, columns.get("by", empty)),
            "counterparty_bank": strings(_INSTITUTIONS, institution),
            "counterparty_kind": strings(COUNTERPARTIES, side),
            "counterparty_account": pc.binary_join_element_wise("000", digits(other_account, has_account), ""),
            "merchant_category": strings(categories, np.where(merchant >= 0, codes[merchant], -1)),
            "place_city": strings(BRANCH_CITIES, np.where(is_local | (channel == _POS), branch, -1)),
            "fee_amount": nothing(len(row), pa.decimal128(18, 2)),
            "balance_after": decimals(balance),
        }
    )
