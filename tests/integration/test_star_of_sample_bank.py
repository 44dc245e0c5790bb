"""The star of the sample bank against the bank's own files and the lives behind them, computed here another way."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from warehouse.sample_bank.customers import customer_ids
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.ledger import COUNTERPARTIES, Days, Ledger, Posting
from warehouse.sample_bank.parameters import AUM_PRODUCTS, CREDIT_CARD, LOAN_PRODUCTS
from warehouse.sample_bank.random_numbers import IntegerArray
from warehouse.sample_bank.simulation import BankSettings, Simulation
from warehouse.sample_bank.state import State

ROOT = Path(__file__).resolve().parents[2]
CUSTOMERS = 300
Row = dict[str, Any]
Table = Callable[[str], list[Row]]


@pytest.fixture(scope="module")
def table(generated_home) -> Table:
    """Function that reads a table of the bank as it was written."""

    def read(name: str) -> list[Row]:
        (bank,) = (generated_home / "sample").iterdir()
        folder = bank / name
        return [row for file in sorted(folder.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]

    return read


@pytest.fixture(scope="module")
def rows(generated_release) -> Callable[[str], list[tuple[Any, ...]]]:
    def ask(query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(generated_release), read_only=True) as connection:
            return connection.execute(query).fetchall()

    return ask


@pytest.fixture(scope="module")
def persons(generated_home) -> dict[str, str]:
    """Person of each customer of the bank."""
    return read_persons(generated_home / "warehouse.duckdb")


def read_persons(file: Path) -> dict[str, str]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return dict(
            connection.execute(
                "select source_customer_id, person_id from raw.person_records "
                "where source_system = 'core' and known_to = date '9999-12-31'"
            ).fetchall()
        )


def _last(rows: list[Row], *key: str) -> dict[tuple[Any, ...], Row]:
    """The last version of each key."""
    return {tuple(row[name] for name in key): row for row in sorted(rows, key=lambda row: row["updated_at"])}


#: What each cause of a posting is to the customer, where its name alone says it.
CAUSES = (
    (r".* interest|loan interest \d+|cash wealth yield|insurance value|message fee|yield \d", "interest_and_fees"),
    (r"value \d", "market_value"),
    (r"(adds|again|before closing|closing|drain|large purchase|matures|opens) \d|fill", "own_products"),
    (r"card payment|card cleared|instalment \d+|drawdown \d+|estate [1-9]", "own_products"),
    (r"estate 1\d|estate rest|gives|takes home", "household"),
    (r"salary|pension|turnover|(first|regular|transfer in) cash", "income"),
    (r"purchase|card purchase|cash|used \d+", "spending"),
    (r"wallet", "external_wallet"),
    (r"money fund|sweep money_fund", "external_money_fund"),
    (
        r"(after maturity|for|for loan|shops|regular|transfer in) \d+|before closing|closing rest|drain|dressing .*",
        "bank",
    ),
    (r"fill from outside|first transfer|large purchase|send|sweep bank|to clear the card", "bank"),
)


def component_of(cause: str, counterparty: int) -> str:
    """Component of the ledger by the cause of a posting; money from and to others goes by who they are."""
    found = next((component for pattern, component in CAUSES if re.fullmatch(pattern, cause)), None)
    assert found is not None, cause
    if found != "bank":
        return found
    return "household" if COUNTERPARTIES[counterparty] == "household" else "external_bank"


class CauseLedger(Ledger):
    """Books like any ledger and keeps the cents by customer, side and cause."""

    def __init__(self, state: State, month: Month, kept: Counter[tuple[str, date, str, str]]) -> None:
        super().__init__(state, month)
        self.kept = kept

    def post(self, posting: Posting, rows: IntegerArray, product: int, amount: IntegerArray, day: Days) -> None:
        super().post(posting, rows, product, amount, day)
        side = "aum" if product in AUM_PRODUCTS else "lum" if product in LOAN_SIDE else "other"
        first = date.fromordinal(date(1970, 1, 1).toordinal() + self.month.first_day)
        sides = posting.counterparty
        codes = np.full(len(rows), -1) if sides is None or isinstance(sides, str) else np.asarray(sides)
        if isinstance(sides, str):
            codes = np.full(len(rows), COUNTERPARTIES.index(sides))
        names = customer_ids(self.state.people.number[rows]).to_pylist()
        for name, cents, code in zip(names, amount.tolist(), codes.tolist(), strict=True):
            if cents:
                self.kept[name, first, side, component_of(posting.tag, code)] += cents


LOAN_SIDE = frozenset({*LOAN_PRODUCTS, CREDIT_CARD})


def causes_of_money(customers: int, months: int) -> Counter[tuple[str, date, str, str]]:
    """Cents by customer, month, side and component, as the lives were lived."""
    settings = BankSettings(customers=customers, months=months)
    simulation = Simulation(settings)
    kept: Counter[tuple[str, date, str, str]] = Counter()
    for block in simulation.blocks:
        for offset in range(months):
            month = Month(settings.first_month.number + offset)
            simulation.step(block, month, CauseLedger(block, month, kept))
    return kept


def check_money_flows(rows, persons: dict[str, str], customers: int) -> int:
    components = (
        "own_products", "household", "interest_and_fees", "market_value", "income", "spending", "external_bank",
        "external_wallet", "external_money_fund", "unclassified",
    )  # fmt: skip
    listed = " union all ".join(
        f"select person_id, month_start_on, side, '{name}' as component, {name}_base as amount "
        f"from customer.customer_money_flow_month where {name}_base <> 0"
        for name in components
    )
    found = {tuple(row[:4]): row[4] for row in rows(listed)}
    expected = {
        (persons[customer], month, side, component): Decimal(cents) / 100
        for (customer, month, side, component), cents in causes_of_money(customers, 24).items()
        if cents and customer in persons
    }
    assert found == expected
    return len(found)


def test_every_component_of_the_money_flow_is_what_the_lives_made_it(rows, persons):
    assert check_money_flows(rows, persons, CUSTOMERS) > 20 * CUSTOMERS
    ((unclassified, gross, residual),) = rows(
        "select sum(unclassified_gross_base), sum(gross_flow_base), sum(abs(residual_base)) "
        "from customer.customer_money_flow_month"
    )
    assert residual == 0
    assert gross > 0
    assert unclassified <= gross / 100
    # what one own account gives another receives, in the same month
    assert rows("select sum(own_products_base) from customer.customer_money_flow_month") == [(0,)]


def test_a_month_opens_with_what_the_last_one_closed_with_but_for_balances_that_became_known(rows):
    broken = rows(
        """
        select m.person_id, m.month_start_on, m.opening_balance_base - before.closing_balance_base
        from customer.customer_money_flow_month as m
        inner join customer.customer_money_flow_month as before
            on before.person_id = m.person_id and before.side = m.side
            and before.month_start_on = m.month_start_on - interval 1 month
        where m.side = 'aum' and m.opening_balance_base <> before.closing_balance_base
        """
    )
    assert broken == []


def test_what_leaves_the_bank_is_the_same_by_counterparty(rows, table, persons):
    account = {row["account_id"]: row["source_customer_id"] for row in table("accounts")}
    sent: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in table("transactions"):
        if row["counterparty_kind"] in ("wallet", "money_fund"):
            sent[persons[account[row["account_id"]]], row["counterparty_bank"]] += row["amount"]
    found = rows(
        "select person_id, counterparty_name, sum(net_flow_base) from customer.customer_external_flow_month "
        "where counterparty_kind <> 'external_bank' group by all"
    )
    assert {(person, name): amount for person, name, amount in found} == dict(sent)


def test_instalments_and_their_lateness_are_those_of_the_schedule(rows, table, persons):
    account = {row["account_id"]: persons[row["source_customer_id"]] for row in table("accounts")}
    expected = {}
    for row in table("payment_schedule"):
        paid = row["paid_amount"] if row["paid_on"] else Decimal(0)
        is_paid = bool(row["paid_on"]) and paid >= row["due_amount"]
        late = (row["paid_on"] if is_paid else date(2025, 12, 31)) - row["due_on"]
        expected["core:" + row["account_id"], row["due_on"]] = (
            account[row["account_id"]], row["due_amount"], paid, is_paid, late.days if is_paid or late.days else None,
        )  # fmt: skip
    found = rows(
        "select account_id, due_on, person_id, due_amount, paid_amount, is_paid, late_days from core.fct_payment_due"
    )
    assert {row[:2]: row[2:] for row in found} == expected


def test_a_loan_month_shows_what_is_owed_and_how_the_loan_stands(rows, table):
    loans = {row["account_id"] for row in table("accounts")} & {row["account_id"] for row in table("loan_status")}
    owed: dict[str, list[tuple[date, Decimal]]] = defaultdict(list)
    for row in table("balances"):
        owed[row["account_id"]].append((row["balance_on"], row["balance"]))
    for row in table("transactions"):
        if row["account_id"] in loans:
            owed[row["account_id"]].append(((row["posted_at"] + timedelta(hours=8)).date(), row["amount"]))
    states = {("core:" + row["account_id"], row["as_of"]): row for row in table("loan_status")}
    found = rows(
        "select account_id, status_on, days_past_due, five_class, outstanding_period_end_amount, "
        "default_probability_ratio from core.fct_loan_month where status_on is not null"
    )
    assert len(found) == len(states) > 100
    for account, day, late, five_class, outstanding, probability in found:
        state = states[account, day]
        assert (late, five_class, probability) == (state["days_past_due"], state["five_class"], state["pd"])
        assert outstanding == -sum(amount for on, amount in owed[account.removeprefix("core:")] if on <= day)


def test_prices_move_as_the_prices_say(rows, table):
    prices = sorted((row["product_code"], row["nav_on"], row["nav"]) for row in table("product_nav"))
    expected = {
        (code, day): (before, float(price) / float(before) - 1)
        for (other, _, before), (code, day, price) in pairwise(prices)
        if other == code and day <= date(2025, 12, 31)
    }
    found = {
        row[:2]: row[2:]
        for row in rows("select product_code, nav_on, previous_nav, change_ratio from core.fct_product_nav")
    }
    assert sum(price is None for price, _ in found.values()) == len({code for code, _, _ in prices})
    for key, (before, change) in expected.items():
        assert found[key][0] == before
        assert found[key][1] == pytest.approx(change, abs=1e-12)


def test_events_are_the_last_version_of_each_row_and_name_persons(rows, table, persons):
    contacts = _last(table("contacts"), "contact_id")
    found = rows("select contact_id, person_id, is_control, is_goal_met, contact_minutes from core.fct_contact")
    assert {row[0]: row[1:] for row in found} == {
        f"crm:{key}": (persons[row["source_customer_id"]], row["is_control"], row["goal_met"], row["minutes"])
        for (key,), row in contacts.items()
    }
    complaints = _last(table("complaints"), "complaint_id")
    found = rows("select complaint_id, person_id, is_open, kind from core.fct_complaint")
    assert {row[0]: row[1:] for row in found} == {
        f"service:{key}": (persons[row["source_customer_id"]], row["closed_at"] is None, row["kind"])
        for (key,), row in complaints.items()
    }
    targets = _last(table("campaign_contacts"), "campaign_id", "source_customer_id")
    found = rows("select campaign_id, person_id, is_control, is_converted, cost_base from core.fct_campaign_contact")
    assert {row[:2]: row[2:] for row in found} == {
        (f"crm:{campaign}", persons[customer]): (row["is_control"], row["converted_at"] is not None, row["cost"])
        for (campaign, customer), row in targets.items()
    }
    # references over systems: the CRM names employees that the staff system delivers, and none is unknown
    assert rows("select count(*) from core.dim_employee where is_inferred") == [(0,)]
    assert rows("select count(*) from core.dim_branch where is_inferred") == [(0,)]


def test_recommendation_is_that_of_the_answers(rows, table):
    answers = _last(table("survey_responses"), "response_id", "item")
    scores = [row["nps"] for row in answers.values() if row["nps"] is not None]
    invited = {key for key, _ in answers}
    expected = (sum(score >= 9 for score in scores), sum(score <= 6 for score in scores), len(scores), len(invited))
    assert len(scores) > 5
    assert rows(
        """
        select
            count(*) filter (where recommendation_group = 'promoter'),
            count(*) filter (where recommendation_group = 'detractor'),
            count(recommendation_score),
            count(distinct response_id)
        from core.fct_survey_response
        """
    ) == [expected]


def test_households_are_who_owns_jointly(rows, table, persons):
    owner = {row["account_id"]: row["source_customer_id"] for row in table("accounts")}
    leader = {person: person for person in persons.values()}

    def find(person: str) -> str:
        while leader[person] != person:
            person = leader[person]
        return person

    for row in _last(table("account_holders"), "account_id", "source_customer_id").values():
        if row["role"] in ("owner", "joint"):
            one, other = find(persons[owner[row["account_id"]]]), find(persons[row["source_customer_id"]])
            leader[max(one, other)] = min(one, other)
    found = dict(rows("select person_id, household_id from core.bridge_customer_household"))
    assert found == {person: hashlib.sha256(f"household|{find(person)}".encode()).hexdigest()[:16] for person in leader}
    sizes = Counter(found.values())
    assert max(sizes.values()) > 1
    assert dict(rows("select household_id, member_count from core.dim_household")) == sizes


def test_the_closure_rolls_accounts_up_to_the_head_office(rows, table):
    parent = {f"core:{row['branch_id']}": row["parent_branch_id"] for row in table("branches")}
    expected: Counter[str] = Counter()
    for (branch,) in rows("select branch_id from core.dim_account where branch_id is not null"):
        above = branch
        while above:
            expected[above] += 1
            above = f"core:{parent[above]}" if parent[above] else ""
    found = rows(
        "select ancestor_branch_id, count(*) from core.dim_account "
        "inner join core.bridge_branch using (branch_id) group by all"
    )
    assert dict(found) == expected


def test_employees_have_a_version_for_each_day_something_of_them_changed(rows, table):
    versions = {
        (f"hr:{row['employee_id']}", (row["updated_at"] + timedelta(hours=8)).date()): (row["grade"], row["left_on"])
        for row in sorted(table("employees"), key=lambda row: row["updated_at"])
    }
    found = rows("select employee_id, valid_from, grade, left_on from core.dim_employee")
    assert {row[:2]: row[2:] for row in found} == versions


def test_a_table_without_rows_says_why(rows):
    assert rows("select subject, detail_en from meta.quality where rule = 'table_without_rows' order by all") == [
        ("core.dim_customer_group", "no row of customer_relationships is known"),
        ("core.merged_customer", "no row of person_merges is known"),
        ("customer.customer_asset_gap", "no row of crm_stated_assets is known"),
    ]


def test_the_calendar_of_the_window_is_that_of_the_notices(rows):
    with (ROOT / "dbt" / "seeds" / "bank_holidays.csv").open(encoding="utf-8") as file:
        notices = {date.fromisoformat(row["date_on"]): row for row in csv.DictReader(file)}
    days = [date.fromordinal(number) for number in range(date(2024, 1, 1).toordinal(), date(2026, 1, 1).toordinal())]
    worked = {day: notices[day]["is_workday"] == "true" if day in notices else day.weekday() < 5 for day in days}
    last = {}
    for day in days:
        if worked[day]:
            last[day.year, day.month] = day
    found = rows(
        "select date_on, is_workday, is_makeup_workday, is_last_workday_of_month, festival_zh "
        "from core.dim_date where calendar_year >= 2024 order by all"
    )
    assert found == [
        (
            day,
            worked[day],
            worked[day] and day.weekday() >= 5,
            last[day.year, day.month] == day,
            notices[day]["festival_zh"] if day in notices and not worked[day] else None,
        )
        for day in days
    ]
    # before the first notice nothing is guessed
    assert rows(
        "select count(is_workday), count(distinct workday_basis) from core.dim_date where calendar_year < 2018"
    ) == [(0, 1)]
