"""What the warehouse says depends on what was known by the as-of date, and on nothing else."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from star_bank import FIRST_PASS, Warehouse

Delivery = tuple[str, list[dict[str, Any]], date, str]

LAST_DAY = "2024-03-01"
ONLY_TRANSACTIONS = ["--select", "stg_transactions", "fct_transaction"]
DAYS = [date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2), date(2024, 3, 1)]


def _transaction(number: int, day: date, amount: float, account: str = "A1", **more: Any) -> dict[str, Any]:
    return {
        "transaction_id": str(number),
        "account_id": account,
        "posted_at": datetime(day.year, day.month, day.day, 11, 0),
        "currency": "CZK",
        "amount": amount,
        "kind": "deposit",
        "initiated_by": "customer",
        **more,
    }


def _account(account: str, customer: str | None, opened: date, **more: Any) -> dict[str, Any]:
    return {
        "account_id": account,
        "source_customer_id": customer,
        "product_code": "CURRENT",
        "branch_id": "B1",
        "currency": "CZK",
        "opened_on": opened,
        **more,
    }


def _deliveries() -> list[Delivery]:
    """An initial load and three days of corrections, deletes, late rows and repeated rows."""
    start, first, second, third = DAYS
    known = date(1900, 1, 1)
    generator = random.Random(7)
    history = [
        _transaction(number, date(2024, 1, 1) + timedelta(days=generator.randrange(30)), generator.randrange(-50, 90))
        for number in range(1, 60)
    ]
    return [
        ("branches", [{"branch_id": "B1", "name": "One"}], known, "upsert"),
        (
            "products",
            [
                {"product_code": "CURRENT", "name": "Current", "category": "deposit_demand", "side": "liability"},
                {"product_code": "FUND", "name": "Fund", "category": "fund", "side": "aum"},
            ],
            known,
            "upsert",
        ),
        (
            "customers",
            [
                {
                    "source_customer_id": "1",
                    "party_type": "personal",
                    "born_on": date(1980, 2, 29),
                    "city": "Praha",
                    "name_token": "a name under one key",
                },
                {"source_customer_id": "2", "party_type": "personal", "born_on": date(1990, 1, 1), "city": "Brno"},
            ],
            known,
            "upsert",
        ),
        ("accounts", [_account("A1", "1", date(2024, 1, 1)), _account("A2", "2", date(2024, 1, 5))], known, "upsert"),
        ("transactions", history, start, "upsert"),
        # a correction, a row for the past, an unchanged row and one of an account nobody delivered
        (
            "transactions",
            [
                {**history[3], "amount": 1000},
                _transaction(100, date(2024, 1, 15), 77),
                history[5],
                _transaction(101, date(2024, 2, 1), 5, account="GHOST"),
            ],
            first,
            "upsert",
        ),
        ("transactions", [history[8], history[9]], second, "delete"),
        ("transactions", [{**history[3], "amount": 2000}, history[8]], third, "upsert"),
        ("customers", [{"source_customer_id": "1", "party_type": "personal", "city": "Plzen"}], second, "upsert"),
        ("customers", [{"source_customer_id": "2"}], third, "delete"),
        ("accounts", [_account("GHOST", "9", date(2024, 1, 20), product_code="FUND")], second, "upsert"),
        ("accounts", [_account("A2", "2", date(2024, 1, 5), closed_on=date(2024, 2, 20))], third, "upsert"),
        *_further_deliveries(),
    ]


def _further_deliveries() -> list[Delivery]:
    """Staff, loans, prices, contacts, complaints, surveys and campaigns: each corrected, deleted or late once."""
    start, first, second, third = DAYS
    known = date(1900, 1, 1)
    loan = _account("L1", "3", date(2024, 1, 2), product_code="LOAN")
    employee = {"employee_id": "E1", "branch_id": "B1", "role": "relationship_manager", "grade": "trainee"}
    contact = {
        "contact_id": "K1", "source_customer_id": "1", "employee_id": "E1", "channel": "call", "is_control": False,
        "happened_at": datetime(2024, 1, 20, 9), "trigger": "birthday", "goal_met": False, "minutes": 5,
    }  # fmt: skip
    complaint = {
        "complaint_id": "C1",
        "source_customer_id": "2",
        "opened_at": datetime(2024, 1, 9),
        "kind": "complaint",
    }
    invitation = {
        "response_id": "R1", "item": "overall", "source_customer_id": "1", "invited_at": datetime(2024, 1, 30),
    }  # fmt: skip
    target = {"campaign_id": "M1", "customer_source_system": "core", "is_control": False, "cost": 2}
    instalments = [{"account_id": "L1", "due_on": date(2024, month, 5), "due_amount": 100} for month in (1, 2, 3)]
    prices = [{"product_code": "FUND", "nav_on": date(2024, 1, day), "nav": 1 + day / 100} for day in (2, 3, 4)]
    marriage = {
        "customer_source_system": "core", "source_customer_id": "1", "related_source_system": "core",
        "related_customer_id": "2", "kind": "spouse", "valid_from": date(2020, 1, 1),
    }  # fmt: skip
    stated = {"source_system": "crm", "customer_source_system": "core", "as_of": date(2024, 1, 31), "aum": 500}
    return [
        ("products", [{"product_code": "LOAN", "category": "loan_consumer", "side": "asset"}], known, "upsert"),
        (
            "customers",
            [{"source_customer_id": "3", "party_type": "personal", "name_token": "another name under one key"}],
            known,
            "upsert",
        ),
        ("employees", [employee, {**employee, "employee_id": "E2"}], start, "upsert"),
        ("employees", [{**employee, "grade": "4"}], second, "upsert"),
        ("employees", [{"employee_id": "E2"}], third, "delete"),
        # the loan comes a day after its first instalments and its state
        ("payment_schedule", instalments, start, "upsert"),
        ("loan_status", [{"account_id": "L1", "as_of": date(2024, 1, 31), "days_past_due": 0}], start, "upsert"),
        ("accounts", [loan], first, "upsert"),
        ("payment_schedule", [{**instalments[0], "paid_on": second, "paid_amount": 100}], second, "upsert"),
        ("payment_schedule", [instalments[2]], second, "delete"),
        ("loan_status", [{"account_id": "L1", "as_of": date(2024, 1, 31), "days_past_due": 26}], third, "upsert"),
        ("product_nav", prices, start, "upsert"),
        ("product_nav", [{**prices[1], "nav": 2}], second, "upsert"),
        ("product_nav", [prices[0]], third, "delete"),
        ("fx_rates", [{"currency": "EUR", "rate_on": date(2024, 1, 31), "middle_rate": 25}], start, "upsert"),
        ("fx_rates", [{"currency": "EUR", "rate_on": date(2024, 1, 31), "middle_rate": 24}], third, "upsert"),
        ("contacts", [contact, {**contact, "contact_id": "K2", "source_customer_id": "STRANGER"}], start, "upsert"),
        ("contacts", [{**contact, "goal_met": True}], first, "upsert"),
        ("contacts", [{**contact, "contact_id": "K3", "happened_at": datetime(2024, 1, 2, 9)}], second, "upsert"),
        ("contacts", [{"contact_id": "K2", "source_customer_id": "STRANGER"}], third, "delete"),
        ("complaints", [complaint], start, "upsert"),
        ("complaints", [{**complaint, "closed_at": datetime(2024, 2, 1), "resolution": "refund"}], first, "upsert"),
        ("survey_responses", [invitation], start, "upsert"),
        ("survey_responses", [{**invitation, "responded_at": datetime(2024, 2, 1, 9), "nps": 9}], second, "upsert"),
        # the list of a campaign that is delivered later
        (
            "campaign_contacts",
            [{**target, "source_customer_id": "1"}, {**target, "source_customer_id": "2"}],
            first,
            "upsert",
        ),
        ("campaigns", [{"campaign_id": "M1", "name": "Spring", "product_code": "GOLD"}], second, "upsert"),
        (
            "campaign_contacts",
            [{**target, "source_customer_id": "1", "contacted_at": datetime(2024, 2, 1, 9)}],
            second,
            "upsert",
        ),
        ("campaign_contacts", [{**target, "source_customer_id": "2"}], third, "delete"),
        # what the CRM states of the first customer is corrected, of the second taken back, and one statement comes late
        ("crm_stated_assets", [{**stated, "source_customer_id": customer} for customer in "12"], start, "upsert"),
        ("crm_stated_assets", [{**stated, "source_customer_id": "1", "aum": 1}], second, "upsert"),
        ("crm_stated_assets", [{**stated, "source_customer_id": "2"}], third, "delete"),
        ("crm_stated_assets", [{**stated, "source_customer_id": "1", "as_of": date(2024, 1, 15)}], third, "upsert"),
        ("customer_relationships", [marriage], start, "upsert"),
        ("customer_relationships", [{**marriage, "valid_to": date(2024, 2, 1)}], second, "upsert"),
        (
            "relationship_assignments",
            [{"customer_source_system": "core", "source_customer_id": "1", "employee_id": "E9", "valid_from": start}],
            start,
            "upsert",
        ),
    ]


def _deliver(warehouse: Warehouse, deliveries: list[Delivery]) -> None:
    for table, rows, known_on, operation in deliveries:
        warehouse.deliver(table, rows, known_on, operation)


def _assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for table, rows in expected.items():
        assert found[table] == rows, table


def _deliver_as_of(warehouse: Warehouse, day: date) -> None:
    """What arrives on a day; deliveries known from the start arrive with the first one."""
    _deliver(warehouse, [delivery for delivery in _deliveries() if max(delivery[2], DAYS[0]) == day])


@pytest.fixture(scope="module")
def full(new_warehouse) -> Warehouse:
    """Everything delivered, then built once."""
    warehouse = new_warehouse()
    _deliver(warehouse, _deliveries())
    warehouse.build(LAST_DAY)
    return warehouse


@pytest.fixture(scope="module")
def released(new_warehouse) -> dict[date, dict[str, Any]]:
    """The tables of each day, of a bank that builds after each delivery."""
    warehouse = new_warehouse()
    tables = {}
    for day in DAYS:
        _deliver_as_of(warehouse, day)
        warehouse.build(day.isoformat())
        tables[day] = warehouse.tables()
    return tables


def test_a_build_after_each_delivery_equals_one_full_build(full, released):
    expected = full.tables()
    # 59 at first, two later ones; two deleted, of which one was delivered anew
    assert len(expected["core.fct_transaction"]) == 59 + 2 - 1
    _assert_equal(released[DAYS[-1]], expected)


@pytest.mark.slow
def test_deliveries_in_another_order_give_the_same_warehouse(full, new_warehouse):
    shuffled = new_warehouse()
    deliveries = _deliveries()
    random.Random(3).shuffle(deliveries)
    _deliver(shuffled, deliveries[:6])
    shuffled.build(LAST_DAY)
    _deliver(shuffled, deliveries[6:])
    shuffled.build(LAST_DAY)
    _assert_equal(shuffled.tables(), full.tables())


def test_a_build_as_of_an_old_date_equals_what_was_released_that_day(full, released, new_warehouse):
    moved = new_warehouse(copy_of=full.file)
    moved.build("2024-02-01")
    _assert_equal(moved.tables(), released[date(2024, 2, 1)])


def test_the_gap_between_the_crm_and_core_follows_what_was_known_each_day(released):
    mid, end = date(2024, 1, 15), date(2024, 1, 31)
    found = {
        day: [(row[0], row[1], row[4]) for row in tables["customer.customer_asset_gap"]]
        for day, tables in released.items()
    }
    both = [("person of 1", end, 500), ("person of 2", end, 500)]
    assert found == {
        DAYS[0]: both,
        DAYS[1]: both,
        DAYS[2]: [("person of 1", end, 1), both[1]],
        DAYS[3]: [("person of 1", mid, 500), ("person of 1", end, 1)],
    }


def test_an_orphan_is_counted_and_healed_when_its_account_arrives(released):
    def orphans(day: date) -> list[int]:
        return [
            row[4] for row in released[day]["quality.quality_summary"] if row[0] == "transaction_of_unknown_account"
        ]

    assert [orphans(day) for day in DAYS] == [[0], [1], [0], [0]]
    ghost = [row for row in released[date(2024, 2, 2)]["core.dim_account"] if row[0] == "core:GHOST"]
    owner = [row for row in released[date(2024, 2, 2)]["core.dim_customer"] if row[0] == ghost[0][2]]
    # its customer was never delivered: an inferred person owns it
    assert len(owner) == 1
    assert owner[0][-2] is True


def test_members_are_inferred_until_they_come_and_events_follow_their_last_version(full, released, new_warehouse):
    def failing(rule: str) -> list[int]:
        return [row[4] for day in DAYS for row in released[day]["quality.quality_summary"] if row[0] == rule]

    assert failing("instalment_of_unknown_account") == [3, 0, 0, 0]
    assert failing("campaign_never_delivered") == [0, 1, 0, 0]
    assert failing("event_of_unknown_customer") == [1, 1, 1, 0]
    assert failing("employee_never_delivered") == [1, 1, 1, 1]
    # a price nobody can sell: the campaign's product was never delivered
    assert full.rows("select is_inferred from core.dim_product where product_code = 'GOLD'") == [(True,)]
    assert full.rows(
        "select grade, is_deleted, valid_from from core.dim_employee order by employee_id, valid_from"
    ) == [
        ("trainee", False, DAYS[0]),
        ("4", False, DAYS[2]),
        ("trainee", False, DAYS[0]),
        ("trainee", True, DAYS[3]),
        (None, False, date(1900, 1, 1)),
    ]
    assert full.rows("select due_on, is_paid, late_days from core.fct_payment_due order by due_on") == [
        (date(2024, 1, 5), True, 28),
        (date(2024, 2, 5), False, 25),
    ]
    loan_month = (
        "select days_past_due, instalment_count, paid_instalment_count from core.fct_loan_month order by month_start_on"
    )
    assert full.rows(loan_month) == [(26, 1, 1), (None, 1, 0), (None, 0, 0)]
    assert full.rows("select nav, previous_nav from core.fct_product_nav order by nav_on") == [
        (2, None),
        (Decimal("1.04"), 2),
    ]
    assert full.rows("select contact_id, is_goal_met from core.fct_contact order by all") == [
        ("core:K1", True),
        ("core:K3", False),
    ]
    assert full.rows("select is_open, waiting_days, resolution from core.fct_complaint") == [(False, 23, "refund")]
    assert full.rows("select recommendation_group from core.fct_survey_response") == [("promoter",)]
    assert full.rows("select person_id, is_contacted, cost_base from core.fct_campaign_contact") == [
        ("person of 1", True, 2)
    ]
    households = {day: sorted(row[1] for row in released[day]["core.dim_household"]) for day in DAYS}
    # married until the 1st of February; the strangers count as households of their own while they are inferred
    assert [max(households[day]) for day in DAYS] == [2, 2, 1, 1]


@pytest.mark.slow
def test_a_deleted_account_and_customer_keep_what_was_known_and_are_not_taken_for_unknown(full, new_warehouse):
    warehouse = new_warehouse(copy_of=full.file)
    deleted_on = date(2024, 3, 3)
    _deliver(
        warehouse,
        [
            ("accounts", [{"account_id": "A1"}, {"account_id": "NEVER_DELIVERED"}], deleted_on, "delete"),
            ("customers", [{"source_customer_id": "1"}], deleted_on, "delete"),
            ("transactions", [_transaction(102, date(2024, 2, 1), 5, account="NEVER_DELIVERED")], deleted_on, "upsert"),
        ],
    )
    day_before, day = "2024-03-02", "2024-03-03"
    account = (
        "select person_id, opened_on, product_code, ended_on, is_open, is_deleted, is_inferred, has_balance, open_days "
        "from core.dim_account where account_id = 'core:A1'"
    )
    customer = (
        "select party_type, city, is_deleted, is_inferred, record_count, valid_from "
        "from core.dim_customer where person_id = 'person of 1' and is_current"
    )
    unknown = (
        "select rule, failing_count from quality.quality_summary "
        "where rule in ('transaction_of_unknown_account', 'account_of_unknown_customer') order by rule"
    )
    held = "select max(holder_count) from features.mining_basket_items where item = 'CURRENT'"
    opened = date(2024, 1, 1)

    warehouse.build(day_before)
    assert warehouse.rows(account) == [("person of 1", opened, "CURRENT", None, True, False, False, True, 61)]
    assert warehouse.rows(customer) == [("personal", "Plzen", None, False, 1, date(2024, 2, 2))]
    assert warehouse.rows(unknown) == [("account_of_unknown_customer", 1), ("transaction_of_unknown_account", 0)]
    assert warehouse.rows(held) == [(1,)]

    outcome = warehouse.dbt_command("build", day, *FIRST_PASS)
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
    assert warehouse.rows(account) == [("person of 1", opened, "CURRENT", deleted_on, False, True, False, True, 62)]
    assert warehouse.rows(customer) == [("personal", "Plzen", True, False, 0, deleted_on)]
    # the customer 9 and the last account, of which nothing but a delete ever came
    assert warehouse.rows(unknown) == [("account_of_unknown_customer", 1), ("transaction_of_unknown_account", 1)]
    assert warehouse.rows(held) == [(None,)]
    # what was held before the delete stays in the months before it
    assert warehouse.rows(
        "select month_start_on, account_count from core.fct_customer_month where person_id = 'person of 1' order by all"
    ) == [(date(2024, 1, 1), 1), (date(2024, 2, 1), 1), (date(2024, 3, 1), 0)]


def test_a_delete_wins_over_an_upsert_of_the_same_day_in_whatever_order_they_arrive(new_warehouse):
    day = date(2024, 2, 1)
    upserts = [_transaction(number, date(2024, 1, 2), 1) for number in (1, 2, 3)]
    both = [
        ("transactions", upserts, day, "upsert"),
        ("transactions", [upserts[2]], day, "delete"),
    ]
    for deliveries in (both, both[::-1]):
        warehouse = new_warehouse()
        for delivery in deliveries:
            _deliver(warehouse, [delivery])
            warehouse.build(day.isoformat(), *ONLY_TRANSACTIONS)
        assert warehouse.rows("select transaction_id from core.fct_transaction order by all") == [
            ("core:1",),
            ("core:2",),
        ]


def test_what_the_vault_and_the_clock_add_does_not_reach_the_star(full, new_warehouse):
    other = new_warehouse()
    _deliver(other, _deliveries())
    # another key makes other tokens of the same values; that a value is there at all the source says, not the vault
    other.execute("update raw.customers set name_token = 'under another key' where name_token is not null")
    other.execute("update raw.customers set record_id = 'other key', landed_at = now()")
    other.execute("update raw.transactions set counterparty_account_token = 'other key', delivery_id = 'other'")
    other.build(LAST_DAY)
    _assert_equal(other.tables(), full.tables())
    named = "select person_id from customer.customer_completeness where not contains(missing_attributes, 'name')"
    assert other.rows(f"{named} order by all") == [("person of 3",)]


@pytest.mark.slow
def test_records_that_turn_out_to_be_one_person_are_one_in_every_table_from_that_day(full, new_warehouse):
    warehouse = new_warehouse(copy_of=full.file)
    before, day = date(2024, 3, 4), date(2024, 3, 5)
    mine = {"source_system": "crm", "customer_source_system": "crm", "source_customer_id": "7", "employee_id": "E1"}
    _deliver(
        warehouse,
        [
            (
                "customers",
                [{"source_system": "crm", "source_customer_id": "7", "party_type": "personal", "city": "Brno"}],
                DAYS[0],
                "upsert",
            ),
            (
                "accounts",
                [_account("A7", "7", date(2024, 1, 3), customer_source_system="crm")],
                DAYS[0],
                "upsert",
            ),
            ("transactions", [_transaction(700, date(2024, 1, 10), 500, account="A7")], DAYS[0], "upsert"),
            ("contacts", [{**mine, "contact_id": "K7", "happened_at": datetime(2024, 1, 9, 9)}], DAYS[0], "upsert"),
            ("relationship_assignments", [{**mine, "valid_from": DAYS[0]}], DAYS[0], "upsert"),
        ],
    )
    # the third customer of the core system is on the 5th of March found to be the seventh of the relationship system
    warehouse.execute(
        f"update raw.person_records set known_to = date '{day}' where source_system = 'crm'; "
        f"insert into raw.person_records select * replace ('person of 3' as person_id, date '{day}' as known_from, "
        "date '9999-12-31' as known_to) from raw.person_records where source_system = 'crm'; "
        f"insert into raw.person_merges values ('person of 7', 'person of 3', date '{day}', 'same document')"
    )
    person_tables = (
        "select schema_name || '.' || table_name from duckdb_columns() where column_name = 'person_id' "
        "and schema_name in ('core', 'customer', 'features') and table_name <> 'merged_customer' order by all"
    )

    def naming(person: str) -> set[str]:
        names = [name for (name,) in warehouse.rows(person_tables)]
        counted = " union all ".join(
            f"select '{name}', count(*) from {name} where person_id = '{person}'" for name in names
        )
        return {name for name, count in warehouse.rows(counted) if count}

    persons = "select count(*), sum(record_count) from core.dim_customer where is_current"
    assets = (
        "select month_start_on, sum(aum_average_base), sum(aum_period_end_base), sum(account_count) "
        "from core.fct_customer_month group by all order by all"
    )
    warehouse.build(before.isoformat())
    ((count, records),) = warehouse.rows(persons)
    held, told = warehouse.rows(assets), naming("person of 7")
    assert {
        "core.dim_account", "core.fct_contact", "core.fct_customer_month", "customer.customer_tier_month",
        "customer.customer_lifecycle_month", "customer.customer_type_month", "customer.customer_money_flow_month",
        "customer.customer_completeness", "features.mining_features_customer_month",
    } <= told  # fmt: skip
    assert warehouse.rows("select count(*) from core.merged_customer") == [(0,)]

    outcome = warehouse.dbt_command("build", day.isoformat(), *FIRST_PASS)
    assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
    assert warehouse.rows(persons) == [(count - 1, records)]
    assert warehouse.rows(assets) == held
    assert naming("person of 7") == set()
    assert told <= naming("person of 3")
    assert warehouse.rows("select merged_person_id, person_id from core.merged_customer") == [
        ("person of 7", "person of 3")
    ]
    for table in ("customer.customer_tier_month", "customer.customer_type_month", "core.fct_customer_month"):
        assert warehouse.rows(
            f"select count(*) - count(distinct (person_id, month_start_on)) from {table}"
        ) == [(0,)]  # fmt: skip


def test_a_build_touches_only_what_came_since(new_warehouse):
    warehouse = new_warehouse()
    _deliver(warehouse, _deliveries())
    warehouse.build("2024-03-05", *ONLY_TRANSACTIONS)
    # a mark that only survives on rows that are left alone
    warehouse.execute("update core.fct_transaction set place_city = 'left alone'")
    warehouse.deliver("transactions", [_transaction(7, date(2024, 1, 3), 1)], date(2024, 3, 6))
    warehouse.build("2024-03-06", *ONLY_TRANSACTIONS)
    assert warehouse.rows("select transaction_id from core.fct_transaction where place_city is null") == [("core:7",)]


def test_a_build_sums_up_only_the_account_months_that_were_touched(new_warehouse):
    warehouse, whole = new_warehouse(), new_warehouse()
    summed = ["--select", "+config.materialized:incremental"]
    # GHOST's only row moves from the 1st to the 3rd of February; A1 gets one of the 9th
    moved = [_transaction(101, date(2024, 2, 3), 6, account="GHOST"), _transaction(500, date(2024, 2, 9), 1)]
    later = ("transactions", moved, date(2024, 3, 6), "upsert")
    _deliver(warehouse, _deliveries())
    warehouse.build("2024-03-05", *summed)
    # a mark that only survives on rows that are left alone
    marks = {
        "int_account_day": ("customer_initiated_count", "booked_on"),
        "int_account_month_flow": ("without_rate_count", "month_start_on"),
        "int_account_month_booked": ("salary_count", "booked_month_on"),
    }
    for table, (column, _) in marks.items():
        warehouse.execute(f"update intermediate.{table} set {column} = -1")
    _deliver(warehouse, [later])
    warehouse.build("2024-03-06", *summed)
    _deliver(whole, [*_deliveries(), later])
    whole.build("2024-03-06", *summed)
    for table, (column, day) in marks.items():
        made_again = (
            f"from intermediate.{table} where account_id in ('core:A1', 'core:GHOST') and {day} >= date '2024-02-01'"
        )
        assert warehouse.rows(f"from intermediate.{table} where {column} >= 0 order by all") == whole.rows(
            f"{made_again} order by all"
        )
        kept = warehouse.rows(f"select * exclude ({column}) from intermediate.{table} order by all")
        assert kept == whole.rows(f"select * exclude ({column}) from intermediate.{table} order by all")
        assert len(kept) > len(whole.rows(made_again)) > 1


FROZEN = {
    "intermediate.int_account_month_version": "term_days",
    "intermediate.int_account_month_known": "term_days",
    "intermediate.int_person_month_flow": "foreign_count_3m",
    "intermediate.int_person_month_holding": "products_held",
    "features.mining_features_customer_month": "products_held",
    "features.loyalty_measures_customer_month": "tenure_months",
}


def _marked(warehouse: Warehouse) -> set[str]:
    """The tables that hold the mark: they were left alone since it was made."""
    return {
        table
        for table, column in FROZEN.items()
        if warehouse.rows(f"select 1 from {table} where {column} = -77 limit 1")
    }


@pytest.fixture(scope="module")
def marked(new_warehouse):
    """Built up to the 1st of March, with a mark in every table that may stand."""
    warehouse = new_warehouse()
    _deliver(warehouse, _deliveries())
    warehouse.build("2024-03-01")
    for table, column in FROZEN.items():
        warehouse.execute(f"update {table} set {column} = -77")
    assert _marked(warehouse) == set(FROZEN)
    return warehouse


@pytest.mark.parametrize(
    ("came", "is_made_again"),
    [
        pytest.param((), False, id="nothing", marks=pytest.mark.slow),
        pytest.param(
            ("transactions", _transaction(900, date(2024, 3, 2), 5), 3), False, id="open month", marks=pytest.mark.slow
        ),
        pytest.param(("transactions", _transaction(900, date(2024, 1, 9), 5), 3), False, id="late and known now"),
        pytest.param(
            ("transactions", _transaction(900, date(2024, 1, 9), 5), 2), True, id="of February", marks=pytest.mark.slow
        ),
        pytest.param(("customers", {"source_customer_id": "8"}, 3), False, id="new customer", marks=pytest.mark.slow),
        pytest.param(("customers", {"source_customer_id": "8"}, 2), True, id="customer of February", marks=pytest.mark.slow),
        pytest.param(("customers", {"source_customer_id": "9"}, 3), True, id="the owner of an account"),
    ],
)
def test_months_that_are_over_stand_while_nothing_came_of_them(new_warehouse, marked, came, is_made_again):
    warehouse, whole = new_warehouse(copy_of=marked.file), new_warehouse()
    warehouse.batch = marked.batch
    later: list[Delivery] = [(came[0], [came[1]], date(2024, came[2], 2), "upsert")] if came else []
    _deliver(warehouse, later)
    warehouse.build("2024-03-02")
    assert _marked(warehouse) == (set() if is_made_again else set(FROZEN))
    _deliver(whole, [*_deliveries(), *later])
    whole.build("2024-03-02")
    for table, column in FROZEN.items():
        query = f"select * exclude ({column}) from {table} order by all"
        assert warehouse.rows(query) == whole.rows(query)


def test_raw_rows_that_were_taken_back_leave_no_trace(new_warehouse):
    warehouse, without = new_warehouse(), new_warehouse()
    _deliver(warehouse, _deliveries())
    warehouse.build("2024-03-05", *ONLY_TRANSACTIONS)
    warehouse.execute("delete from raw.transactions where known_on = date '2024-02-01'")
    warehouse.build("2024-03-05", *ONLY_TRANSACTIONS)
    _deliver(without, [d for d in _deliveries() if (d[0], d[2]) != ("transactions", DAYS[1])])
    without.build("2024-03-05", *ONLY_TRANSACTIONS)
    _assert_equal(warehouse.tables(), without.tables())


def test_a_failed_model_leaves_neither_rows_nor_the_mark_that_they_were_applied(new_warehouse):
    warehouse = new_warehouse()
    _deliver(warehouse, _deliveries())
    warehouse.build("2024-02-01", *ONLY_TRANSACTIONS)
    before = warehouse.rows("from core.fct_transaction order by all"), warehouse.rows("from bookkeeping.model_applied")
    broken = {**_deliveries()[4][1][20], "account_id": None}
    warehouse.deliver("transactions", [broken], date(2024, 2, 3))
    assert not warehouse.dbt_command("run", "2024-02-03", *ONLY_TRANSACTIONS).success
    assert before == (
        warehouse.rows("from core.fct_transaction order by all"),
        warehouse.rows("from bookkeeping.model_applied"),
    )
