"""What a customer's life, the calendar and the staff allow: no row of the sample bank contradicts another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest

from warehouse.sample_bank.customers_elsewhere import customers_elsewhere_tables
from warehouse.sample_bank.dates import Month, day_number, is_working_day, month_number
from warehouse.sample_bank.generate import GeneratedBank, generate
from warehouse.sample_bank.parameters import DEFAULT_PARAMETERS
from warehouse.sample_bank.population import draw_population

TABLES = ("account_holders", "accounts", "branches", "complaints", "contacts", "customers", "employees", "fx_rates",
          "product_nav", "relationship_assignments", "transactions")  # fmt: skip


def connected(folder: Path) -> duckdb.DuckDBPyConnection:
    """The bank's tables, and `latest`: each account as it stands in the end."""
    connection = duckdb.connect(config={"threads": 1})
    for table in TABLES:
        connection.execute(f"create view {table} as from read_parquet('{folder}/bank/{table}/*.parquet')")
    if (folder / "truth").is_dir():
        connection.execute(f"create view true_wants as from read_parquet('{folder}/truth/wants/*.parquet')")
    connection.execute(
        """create table latest as select * from accounts
        qualify row_number() over (partition by account_id order by updated_at desc, closed_on is null) = 1"""
    )
    return connection


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> GeneratedBank:
    # As many customers and months as it takes for what is rare to happen.
    folder = tmp_path_factory.mktemp("consistent")
    return generate(folder / "bank", customers=3_000, months=24, truth_dir=folder / "truth")


@pytest.fixture(scope="module")
def tables(bank: GeneratedBank) -> Iterator[duckdb.DuckDBPyConnection]:
    with connected(bank.folder.parent) as connection:
        yield connection


def count(tables: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(tables.execute(f"select count(*) from ({query})").fetchall()[0][0])


@pytest.fixture(scope="module")
def records() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    start = month_number(date(2024, 1, 1))
    people = draw_population(np.arange(60_000), start, 1, DEFAULT_PARAMETERS)
    table, truth = customers_elsewhere_tables(people, 1, DEFAULT_PARAMETERS, last_day=day_number(date(2026, 1, 1)))
    core, relative = (truth.column(name).to_pylist() for name in ("core_customer_id", "relative_of_customer_id"))
    return {
        "id": np.array([int(value) for value in table.column("source_customer_id").to_pylist()]),
        "system": np.array(table.column("source_system").to_pylist()),
        "person": np.array([int(one or other) for one, other in zip(core, relative, strict=True)]),
        "is_relative": np.array([value is None for value in core]),
    }


class TestIdentities:
    def test_ids_are_unique_within_their_system(self, records: dict[str, np.ndarray]) -> None:  # type: ignore[type-arg]
        pairs = set(zip(records["system"].tolist(), records["id"].tolist(), strict=True))
        assert len(pairs) == len(records["id"]) > 3_000

    def test_ids_say_nothing_of_who_it_is_nor_whether_a_relative(
        self,
        records: dict[str, np.ndarray],  # type: ignore[type-arg]
    ) -> None:
        for system in ("card", "crm"):
            of_system = records["system"] == system
            ids, people, kind = (records[name][of_system] for name in ("id", "person", "is_relative"))
            bound = 4 / np.sqrt(len(ids))
            ranks = [np.argsort(np.argsort(values)) for values in (ids, people)]
            assert abs(np.corrcoef(*ranks)[0, 1]) < bound
            # Neither does the order of the rows.
            assert abs(np.corrcoef(np.arange(len(ids)), ranks[1])[0, 1]) < bound
            # No multiple of the id, nor any of its last digits, goes with the person or the kind.
            for modulus in (2, 3, 5, 7, 10, 16, 237_570, 7_919, 23_757):
                part = (ids % modulus).astype(float)
                assert abs(np.corrcoef(part, people)[0, 1]) < bound
                assert abs(np.corrcoef(part, kind)[0, 1]) < bound
            # Ids of two records of neighbours have no usual distance.
            steps = np.diff(ids[np.argsort(people)])
            assert len(np.unique(steps)) > 0.99 * len(steps)

    def test_another_seed_numbers_them_otherwise(self) -> None:
        start = month_number(date(2024, 1, 1))
        last = day_number(date(2026, 1, 1))
        found = []
        for seed in (1, 2):
            people = draw_population(np.arange(3_000), start, seed, DEFAULT_PARAMETERS)
            table, _ = customers_elsewhere_tables(people, seed, DEFAULT_PARAMETERS, last_day=last)
            found.append(set(table.column("source_customer_id").to_pylist()))
        assert not found[0] & found[1]


class TestLives:
    def test_nobody_holds_or_uses_an_account_before_being_registered(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert count(tables, "from account_holders where role <> 'owner'") > 50
        early = """from account_holders as held where updated_at < (
            select min(updated_at) from customers where source_customer_id = held.source_customer_id)"""
        assert count(tables, early) == 0

    def test_the_truth_names_what_is_open_at_the_start(self, tables: duckdb.DuckDBPyConnection) -> None:
        opened = "select distinct source_customer_id, product_code from accounts where opened_on < date '2024-01-01'"
        told = "select source_customer_id, product_code from true_wants where is_held_at_start"
        assert count(tables, f"{opened} except {told}") == count(tables, f"{told} except {opened}") == 0
        assert count(tables, told) > 5_000
        # A borrower between two loans is told with the month in which the next one is taken.
        assert count(tables, "from true_wants where is_held_at_start and opens_in is not null") == 0
        assert count(tables, "from true_wants where not is_held_at_start and opens_in is null") > 50

    def test_what_matures_is_paid_out(self, tables: duckdb.DuckDBPyConnection) -> None:
        past = "from latest inner join products using (product_code) where matures_on <= date '2025-12-31'"
        tables.execute("create or replace temp view products as select 'INSURANCE' as product_code")
        assert count(tables, f"{past} and status = 'active'") == 0
        assert count(tables, f"{past} and status = 'matured'") >= 5

    def test_minors_have_no_credit_and_take_no_payments_for_a_trade(self, tables: duckdb.DuckDBPyConnection) -> None:
        people = "(select distinct source_customer_id, born_on from customers)"
        young = f"""from latest inner join {people} using (source_customer_id)
            where opened_on < born_on + interval 18 years"""
        credit = "('CREDIT-CARD', 'MORTGAGE', 'CONSUMER-LOAN', 'BUSINESS-LOAN', 'MERCHANT-QR')"
        assert count(tables, young) > 20
        assert count(tables, f"{young} and product_code in {credit}") == 0

    def test_whose_last_account_is_closed_complains_no_more(self, tables: duckdb.DuckDBPyConnection) -> None:
        gone = """from complaints inner join (
                select source_customer_id, max(closed_on) as closed_on from latest
                group by 1 having count(*) = count(closed_on)
            ) as gone using (source_customer_id)"""
        late = "(complaints.{} + interval 8 hours)::date > gone.closed_on"
        assert count(tables, gone) > 30
        assert count(tables, f"{gone} where {late.format('opened_at')} or {late.format('updated_at')}") == 0
        unanswered = f"""from (select complaint_id, bool_or(closed_at is not null) as answered {gone} group by 1)
            where not answered"""
        assert count(tables, unanswered) == 0

    def test_counters_serve_during_their_hours(self, tables: duckdb.DuckDBPyConnection) -> None:
        served = "from transactions where channel = 'counter'"
        assert count(tables, served) > 5_000
        assert count(tables, f"{served} and hour(posted_at + interval 8 hours) not between 9 and 16") == 0


class TestStaff:
    def test_a_manager_contacts_only_whom_he_looks_after_on_that_day(self, tables: duckdb.DuckDBPyConnection) -> None:
        made = """from contacts inner join (
                select distinct employee_id from employees where role = 'relationship_manager'
            ) using (employee_id)"""
        assert count(tables, made) > 3_000
        in_charge = """(select 1 from relationship_assignments as stands
            where stands.source_customer_id = contacts.source_customer_id
                and stands.employee_id = contacts.employee_id
                and stands.valid_from <= (contacts.happened_at + interval 8 hours)::date)"""
        assert count(tables, f"{made} where not exists {in_charge}") == 0

    @pytest.mark.parametrize("start", [date(2001, 1, 1), date(2024, 1, 1)])
    def test_nobody_is_registered_or_employed_before_the_branch_opened(self, tmp_path: Path, start: date) -> None:
        generate(tmp_path / "bank", customers=1_000, months=1, start=start)
        with connected(tmp_path) as found:
            for table, branch, day in (
                ("customers", "registered_branch_id", "registered_on"),
                ("accounts", "branch_id", "opened_on"),
                ("employees", "branch_id", "hired_on"),
            ):
                early = f"""from {table} as rows inner join branches on branches.branch_id = rows.{branch}
                    where rows.{day} < branches.opened_on"""
                assert count(found, early) == 0, table


class TestCalendar:
    @pytest.mark.parametrize(
        ("day", "expected"),
        [
            (date(2024, 10, 5), date(2024, 10, 8)),  # National Day fills the month up to it
            (date(2025, 5, 5), date(2025, 5, 6)),  # Labour Day, and a Sunday before it
            (date(2019, 5, 5), date(2019, 5, 6)),  # a Sunday after three days of Labour Day
            (date(2022, 2, 5), date(2022, 2, 8)),  # Spring Festival on 1 February
            (date(2022, 1, 31), date(2022, 1, 28)),  # its eve
            (date(2023, 1, 28), date(2023, 1, 20)),
        ],
    )
    def test_paydays_are_never_in_public_holidays(self, day: date, expected: date) -> None:
        assert Month(month_number(day)).working_day(day.day - 1) == expected.day - 1

    def test_every_payday_until_the_calendar_ends_is_a_working_day(self) -> None:
        for number in range(2001 * 12, 2040 * 12):
            month = Month(number)
            assert all(is_working_day(month.first_day + month.working_day(day)) for day in range(31)), month.name

    def test_salaries_are_paid_on_working_days(self, tables: duckdb.DuckDBPyConnection) -> None:
        days = tables.execute("select distinct value_on from transactions where kind in ('salary', 'pension')")
        paid = [day for (day,) in days.fetchall()]
        assert len(paid) > 150
        assert [day for day in paid if not is_working_day(day_number(day))] == []

    def test_prices_are_those_of_working_days_and_month_ends(self, tables: duckdb.DuckDBPyConnection) -> None:
        for table, column in (("fx_rates", "rate_on"), ("product_nav", "nav_on")):
            days = [day for (day,) in tables.execute(f"select distinct {column} from {table}").fetchall()]
            is_end = {day: day_number(day) == Month(month_number(day)).last_day for day in days}
            off = [day for day in days if not is_working_day(day_number(day))]
            assert [day for day in off if table == "fx_rates" or not is_end[day]] == []
            assert date(2024, 5, 1) not in days
            assert date(2025, 10, 2) not in days
