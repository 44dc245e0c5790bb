"""The features of a month depend on what was known at its end: nothing later reaches them, none is restated."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from star_bank import Warehouse

from warehouse.contract import load_contract

FEATURES = ["--select", "+mining_features_customer_month", "+loyalty_measures_customer_month"]
TABLES = ("features.mining_features_customer_month", "features.loyalty_measures_customer_month")
LAST_DAY = "2025-03-31"
CUT = date(2025, 1, 31)
CUSTOMERS = 24
COMES, GOES = ("salary", "pension", "wealth_redeem"), ("payment", "purchase", "withdrawal", "fee")


def _day(number: int) -> date:
    return date(2024, 1, 1) + timedelta(days=number)


def _month_end(month: int) -> date:
    """Last day of a month, counted from January 2024."""
    return date(2024 + (month + 1) // 12, (month + 1) % 12 + 1, 1) - timedelta(days=1)


def _delivery_day(day: int) -> int:
    """Deliveries come every ten days, so that there are few of them."""
    return -(-day // 10) * 10


def _transactions(generator: random.Random) -> list[tuple[date, dict[str, Any]]]:
    """Fifteen months of life with the day each row became known: mostly its own, some weeks later."""
    rows = []
    for customer in range(CUSTOMERS):
        balance = 500 * customer if customer % 2 else 0
        for number, offset in enumerate(sorted(generator.sample(range(2, 450), 60))):
            amount = generator.randrange(-300, 400)
            balance += amount
            kind = generator.choice(
                [
                    "salary",
                    "pension",
                    "transfer",
                    "payment",
                    "purchase",
                    "withdrawal",
                    "fee",
                    "wealth_buy",
                    "wealth_redeem",
                ]
            )
            late = generator.randrange(5, 80) if generator.random() < 0.15 else 0
            rows.append(
                (
                    _day(_delivery_day(offset + late)),
                    {
                        "transaction_id": f"{customer}-{number}",
                        "account_id": f"C{customer}",
                        "posted_at": datetime.combine(_day(offset), datetime.min.time()) + timedelta(hours=11),
                        "currency": "CZK",
                        "amount": abs(amount) + 1 if kind in COMES else -abs(amount) - 1 if kind in GOES else amount,
                        "kind": kind,
                        "channel": generator.choice(["mobile", "web", "counter", "atm", "pos"]),
                        "initiated_by": "third_party"
                        if kind in ("salary", "pension")
                        else generator.choice(["customer", "bank"]),
                        "counterparty_kind": generator.choice(["own", "bank", "bank", "wallet", "money_fund", None]),
                        "counterparty_bank": "another bank",
                        "balance_after": balance if customer % 3 else None,
                    },
                )
            )
    return rows


def _fill(warehouse: Warehouse) -> None:
    generator = random.Random(11)
    warehouse.deliver("branches", [{"branch_id": "B1", "name": "One", "region": "North"}])
    products = [
        {"product_code": code, "name": code, "category": category, "side": side, "term_days": term}
        for code, category, side, term in (
            ("CURRENT", "deposit_demand", "liability", None),
            ("TERM", "deposit_term", "liability", 365),
            ("LOAN", "loan_consumer", "asset", None),
            ("MORTGAGE", "loan_mortgage", "asset", None),
            ("CARD", "credit_card", "asset", None),
            ("WEALTH", "wealth", "aum", None),
            ("INSURANCE", "insurance", "aum", None),
        )
    ]
    warehouse.deliver("products", products)
    warehouse.deliver("products", [{**products[1], "category": "fund", "side": "aum"}], date(2025, 2, 3))
    warehouse.deliver(
        "customers",
        [
            {"source_customer_id": str(number), "party_type": "personal" if number % 7 else "corporate",
             "gender": "female" if number % 2 else "male", "born_on": date(1960 + number, 1, 1),
             "region": "North" if number % 3 else "South", "risk_profile": 1 + number % 5,
             "education": "master" if number % 4 else "bachelor"}
            for number in range(CUSTOMERS)
        ],
    )  # fmt: skip
    warehouse.deliver("customers", [{"source_customer_id": "3", "party_type": "personal"}], date(2025, 2, 20))
    deliveries: dict[tuple[str, date], list[dict[str, Any]]] = {}

    def deliver(table: str, row: dict[str, Any], known_on: date) -> None:
        deliveries.setdefault((table, known_on), []).append(row)

    for number in range(CUSTOMERS):
        opened = date(2019, 1, 1) if number % 2 else _day(_delivery_day(number))
        account = {
            "account_id": f"C{number}", "source_customer_id": str(number), "product_code": "CURRENT",
            "branch_id": "B1", "currency": "CZK", "opened_on": opened, "is_payroll": False,
        }  # fmt: skip
        term = {
            **account, "account_id": f"T{number}", "product_code": "TERM", "rate": 0.01, "amount": 1000,
            "matures_on": _day(100 + 14 * number), "opened_on": date(2023, 9, 1), "settlement_account_id": f"C{number}",
            "source_customer_id": None,
        }  # fmt: skip
        deliver("accounts", account, opened)
        deliver("accounts", term, opened)
        deliver("accounts", {**account, "is_payroll": True}, _day(_delivery_day(60 + 18 * number)))
        closed = _day(_delivery_day(101 + 14 * number))
        deliver("accounts", {**term, "closed_on": closed, "closure_reason": "matured"}, closed)
        held = {"account_id": f"T{number}", "balance_on": date(2023, 12, 31), "balance": 1000}
        deliver("balances", held, date(2023, 12, 31))
        if number % 5 == 0:
            deliver("balances", {**held, "balance": 1200}, _day(_delivery_day(70 + 16 * number)))
        for place, code in enumerate(("LOAN", "MORTGAGE", "CARD", "WEALTH", "INSURANCE")):
            if (number + place) % 3 == 0:
                later = _day(_delivery_day(20 * number + 30 * place))
                further = {**account, "account_id": f"{code}{number}", "product_code": code, "opened_on": later}
                deliver("accounts", further, later)
                sign = 1 if code in ("WEALTH", "INSURANCE") else -1
                held = {"account_id": f"{code}{number}", "balance_on": later, "balance": sign * (500 + number)}
                deliver("balances", held, later)
                if number % 2:
                    ended = later + timedelta(days=150)
                    deliver("accounts", {**further, "closed_on": ended, "closure_reason": "customer_request"}, ended)
        for month in range(15):
            told = _month_end(month)
            state = {"account_id": f"LOAN{number}", "as_of": told, "days_past_due": 7 * ((number + month) % 4)}
            deliver("loan_status", {**state, "overdue_amount": 10 * ((number + month) % 4)}, told)
        for turn in range(3):
            began = _day(_delivery_day(17 * number + 90 * turn))
            ended = began + timedelta(days=80)
            looked_after = {
                "customer_source_system": "core", "source_customer_id": str(number), "employee_id": f"E{turn}",
                "valid_from": began,
            }  # fmt: skip
            deliver("relationship_assignments", looked_after, began)
            deliver("relationship_assignments", {**looked_after, "valid_to": ended}, ended)
        made = datetime(2024 + number % 15 // 12, 1 + number % 15 % 12, 5, 9)
        complaint = {
            "complaint_id": str(number), "source_customer_id": str(number), "kind": "complaint", "opened_at": made,
        }  # fmt: skip
        deliver("complaints", complaint, made.date())
        answered = made + timedelta(days=3 * number)
        deliver("complaints", {**complaint, "closed_at": answered}, answered.date())
    for (table, known_on), rows_of_day in deliveries.items():
        warehouse.deliver(table, rows_of_day, known_on)
    for month in range(15):
        first = _month_end(month).replace(day=1)
        rate = {
            "rate_on": first, "kind": "competitor_best", "category": "deposit_term",
            "tenor_days": 365, "rate": 0.01 + month / 1000,
        }  # fmt: skip
        warehouse.deliver("market_rates", [rate], first)
    rows = _transactions(generator)
    corrections = [
        (known_on + timedelta(days=10 * generator.randrange(1, 7)), {**row, "amount": row["amount"] + 77})
        for known_on, row in generator.sample(rows, 60)
    ]
    for versions in (rows, corrections):
        for known_on in sorted({known for known, _ in versions}):
            warehouse.deliver("transactions", [row for known, row in versions if known == known_on], known_on)
    for known_on in sorted({known for known, _ in rows[::30]}):
        deleted = [row for known, row in rows[::30] if known == known_on]
        warehouse.deliver("transactions", deleted, known_on + timedelta(days=90), operation="delete")


def _corrupted(name: str, kind: str) -> str:
    """Another value of the column's type, such that models go on and figures go wrong."""
    if kind == "DATE":
        return "date '2024-02-03'"
    if kind == "TIMESTAMP":
        return "timestamp '2024-02-03 08:00'"
    if kind == "BOOLEAN":
        return f"not coalesce({name}, false)"
    if kind.startswith(("DECIMAL", "INTEGER", "BIGINT")):
        return f"coalesce({name}, 0) * 3 + 0.05"
    return {
        "product_code": "'LOAN'",
        "account_id": "'C1'",
        "source_customer_id": "'1'",
        "kind": "'salary'",
        "counterparty_kind": "'wallet'",
        "initiated_by": "'customer'",
        "channel": "'counter'",
        "currency": "currency",
        "operation": "operation",
    }.get(name, "'corrupted'")


def _corrupt(warehouse: Warehouse, day: date) -> int:
    """Change all but the key of every row known after a day, and add rows for the past that are known after it."""
    changed = 0
    for table in load_contract().tables.values():
        columns = [column for column in table.columns if column.name not in table.key]
        values = ", ".join(f"{column.raw_name} = {_corrupted(column.name, column.type)}" for column in columns)
        where = f"where known_on > date '{day}'"
        changed += warehouse.rows(f"select count(*) from raw.{table.name} {where}")[0][0]
        warehouse.execute(f"update raw.{table.name} set {values}, row_hash = row_hash || 'x' {where}")
    for booked_on in (date(2023, 1, 5), date(2024, 2, 10)):
        rows = [
            {"transaction_id": f"false {booked_on} {number}", "account_id": f"{code}{number}", "kind": "salary",
             "posted_at": datetime.combine(booked_on, datetime.min.time()), "currency": "CZK", "amount": 5000,
             "initiated_by": "customer", "counterparty_kind": "wallet", "balance_after": 5000}
            for number in range(CUSTOMERS)
            for code in "CT"
        ]  # fmt: skip
        warehouse.deliver("transactions", rows, day + timedelta(days=1))
    return changed


def _rows_until(warehouse: Warehouse, table: str, day: date) -> list[tuple[Any, ...]]:
    return warehouse.rows(f"from {table} where month_start_on <= date '{day}' order by all")


@pytest.fixture(scope="module")
def delivered(new_warehouse) -> Warehouse:
    """Everything delivered, nothing built."""
    warehouse = new_warehouse()
    _fill(warehouse)
    return warehouse


@pytest.fixture(scope="module")
def built(delivered, new_warehouse) -> Warehouse:
    warehouse = new_warehouse(copy_of=delivered.file)
    warehouse.build(LAST_DAY, *FEATURES)
    return warehouse


def test_features_of_a_month_do_not_change_when_everything_known_later_is_corrupted(delivered, built, new_warehouse):
    corrupted = new_warehouse(copy_of=delivered.file)
    assert _corrupt(corrupted, CUT) > 250
    corrupted.build(LAST_DAY, *FEATURES)
    for table in TABLES:
        expected = _rows_until(built, table, CUT)
        assert len(expected) == len({row[:2] for row in expected}) > 100
        assert _rows_until(corrupted, table, CUT) == expected
        # the corruption is there, and reaches the months after
        last = date.fromisoformat(LAST_DAY)
        assert _rows_until(corrupted, table, last) != _rows_until(built, table, last)


def test_the_proof_is_about_every_single_feature(delivered, built, new_warehouse):
    """Each feature differs between the rows that must not change, and is changed by what is known later."""
    table = TABLES[0]
    names = [row[0] for row in built.rows(f"select column_name from (describe {table})")]
    corrupted = new_warehouse(copy_of=delivered.file)
    _corrupt(corrupted, CUT)
    corrupted.build(LAST_DAY, *FEATURES)
    shown = list(zip(*_rows_until(built, table, CUT), strict=True))
    assert [name for name, values in zip(names, shown, strict=True) if len(set(values)) < 2] == []
    later = date.fromisoformat(LAST_DAY)
    honest, poisoned = (list(zip(*_rows_until(bank, table, later), strict=True)) for bank in (built, corrupted))
    untouched = [name for name, before, after in zip(names, honest, poisoned, strict=True) if before == after]
    assert untouched == []
    assert len(names) - 2 >= 80


def test_features_of_a_month_are_those_that_were_built_at_its_end(delivered, built, new_warehouse):
    then = new_warehouse(copy_of=delivered.file)
    then.build(CUT.isoformat(), *FEATURES)
    for table in TABLES:
        assert _rows_until(then, table, CUT) == _rows_until(built, table, CUT)


def test_late_corrected_and_deleted_rows_count_from_the_month_they_arrive_in(new_warehouse):
    warehouse = new_warehouse()
    warehouse.deliver("products", [{"product_code": "CURRENT", "category": "deposit_demand", "side": "liability"}])
    warehouse.deliver("customers", [{"source_customer_id": "1", "party_type": "personal"}])
    opened = date(2024, 1, 1)
    account = {"account_id": "A", "source_customer_id": "1", "product_code": "CURRENT", "currency": "CZK"}
    warehouse.deliver("accounts", [{**account, "opened_on": opened}], opened)

    def row(number: int, day: date, amount: float) -> dict[str, Any]:
        return {
            "transaction_id": str(number), "account_id": "A", "currency": "CZK", "amount": amount, "kind": "deposit",
            "posted_at": datetime.combine(day, datetime.min.time()) + timedelta(hours=11), "initiated_by": "customer",
        }  # fmt: skip

    warehouse.deliver("transactions", [row(1, date(2024, 1, 1), 100)], date(2024, 1, 1))
    # 50 of 17 January arrives in February: nothing in January, the whole of February
    warehouse.deliver("transactions", [row(2, date(2024, 1, 17), 50)], date(2024, 2, 10))
    # corrected to 80 in March, deleted in April
    warehouse.deliver("transactions", [row(2, date(2024, 1, 17), 80)], date(2024, 3, 5))
    warehouse.deliver("transactions", [row(2, date(2024, 1, 17), 80)], date(2024, 4, 5), operation="delete")
    warehouse.build("2024-04-30", *FEATURES)
    found = warehouse.rows(
        "select month(month_start_on), aum_average, aum_end, inflow_3m, customer_transactions_3m, "
        "days_since_last_customer_transaction from features.mining_features_customer_month order by all"
    )
    assert [
        (month, float(average), float(end), float(inflow), *rest) for month, average, end, inflow, *rest in found
    ] == [
        (1, 100, 100, 100, 1, 30),
        (2, 150, 150, 150, 2, 43),
        (3, 180, 180, 180, 2, 74),
        (4, 100, 100, 0, 0, 120),
    ]


def test_what_a_bank_does_not_deliver_is_absent_and_not_zero(new_warehouse):
    warehouse = new_warehouse()
    warehouse.deliver("products", [{"product_code": "CURRENT", "category": "deposit_demand"}])
    warehouse.deliver("customers", [{"source_customer_id": "1"}])
    account = {"account_id": "A", "source_customer_id": "1", "product_code": "CURRENT", "currency": "CZK"}
    warehouse.deliver("accounts", [{**account, "opened_on": date(2024, 1, 1)}])
    posted = {
        "transaction_id": "1",
        "account_id": "A",
        "currency": "CZK",
        "amount": 5,
        "posted_at": datetime(2024, 1, 1, 12),
    }
    warehouse.deliver("transactions", [posted])
    warehouse.build("2024-02-29", *FEATURES)
    assert warehouse.rows(
        "select distinct complaints_open, complaints_12m, customer_transactions_3m, active_months_6m, "
        "wallet_outflow_3m, external_outflow_3m, salary_months_3m, salary_stopped, rate_gap, digital_share_3m, "
        "income_3m, spending_3m, cash_withdrawn_3m, fees_3m, other_bank_inflow_3m, wallet_outflow_3m_ratio, "
        "customer_transactions_6m, customer_transactions_change_3m_ratio, inflow_change_3m_ratio, mobile_share_3m, "
        "has_manager, manager_changed_3m, manager_days, days_past_due, overdue_amount, average_interest_rate, "
        "aum_end::int, inflow_3m::int "
        "from features.mining_features_customer_month"
    ) == [(*[None] * 26, 5, 5)]
