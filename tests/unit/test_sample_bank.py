"""The sample bank as files: the same each time, the same lives in every cut, whole books, nobody's real data."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest

from warehouse.contract.model import load_contract
from warehouse.errors import UserError
from warehouse.sample_bank import simulation
from warehouse.sample_bank.customers import _CHECK_DIGITS, _CHECK_WEIGHTS
from warehouse.sample_bank.generate import GeneratedBank, generate
from warehouse.sample_bank.random_numbers import Draws
from warehouse.sources.bank import load_bank
from warehouse.sources.validation import check_mapping

TABLES = (
    "branches", "products", "market_rates", "customers", "accounts", "account_holders", "balances", "transactions",
    "complaints", "employees", "relationship_assignments", "product_nav", "fx_rates", "ftp_curve", "cost_rates",
    "gl_balances", "payment_schedule", "loan_status", "contacts", "survey_responses", "campaigns", "campaign_contacts",
)  # fmt: skip
#: Tables of which no row has versions.
UNVERSIONED = (
    "branches", "products", "market_rates", "transactions", "product_nav", "fx_rates", "ftp_curve", "cost_rates",
    "gl_balances", "payment_schedule", "loan_status", "contacts", "campaigns",
)  # fmt: skip
#: Where each table names the customer whose row it is.
OWNERS = {
    "customers": "source_customer_id",
    "accounts": "source_customer_id",
    "account_holders": "substr(account_id, 3, 9)::bigint + 100000000",
    "balances": "substr(account_id, 3, 9)::bigint + 100000000",
    "transactions": "substr(account_id, 3, 9)::bigint + 100000000",
    "complaints": "source_customer_id",
    "relationship_assignments": "source_customer_id",
    "payment_schedule": "substr(account_id, 3, 9)::bigint + 100000000",
    "loan_status": "substr(account_id, 3, 9)::bigint + 100000000",
    "contacts": "source_customer_id",
    "survey_responses": "source_customer_id",
    "campaign_contacts": "source_customer_id",
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows_of(folder: Path, table: str, where: str = "true") -> list[tuple[object, ...]]:
    """All rows of a table as sorted text, so that rows can be compared whatever file they are in."""
    return duckdb.sql(
        f"select t::varchar from read_parquet('{folder}/{table}/*.parquet') as t where {where} order by 1"
    ).fetchall()


def customers_of(folder: Path) -> list[str]:
    found = duckdb.sql(
        f"select distinct source_customer_id from read_parquet('{folder}/customers/*.parquet')"
    ).fetchall()
    return sorted(row[0] for row in found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bank")


@pytest.fixture(scope="module")
def bank(folder: Path) -> GeneratedBank:
    return generate(folder / "bank", customers=600, months=8, start=date(2024, 11, 1), truth_dir=folder / "truth")


@pytest.fixture(scope="module")
def tables(bank: GeneratedBank) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for table in TABLES:
            connection.execute(f"create view {table} as select * from read_parquet('{bank.folder}/{table}/*.parquet')")
        connection.execute(
            """create table latest as select * from accounts
            qualify row_number() over (partition by account_id order by updated_at desc, closed_on is null) = 1"""
        )
        yield connection


def one(tables: duckdb.DuckDBPyConnection, query: str) -> object:
    row = tables.execute(query).fetchone()
    assert row is not None
    return row[0]


class TestDeterminism:
    def test_the_same_arguments_give_the_same_bytes(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            generate(
                tmp_path / name / "bank", customers=250, months=3, formats=("parquet", "csv"),
                truth_dir=tmp_path / name / "truth",
            )  # fmt: skip
        assert contents(tmp_path / "one") == contents(tmp_path / "two")

    def test_another_process_gives_the_same_bytes(self, tmp_path: Path) -> None:
        generate(tmp_path / "here", customers=60, months=2)
        script = f"""
from warehouse.sample_bank.generate import generate
generate({str(tmp_path / "there")!r}, customers=60, months=2)
"""
        subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
        assert contents(tmp_path / "here") == contents(tmp_path / "there")

    def test_another_seed_is_another_bank(self, tmp_path: Path) -> None:
        for seed in (1, 2):
            generate(tmp_path / str(seed), customers=50, months=1, seed=seed)
        for table in ("customers", "accounts", "transactions", "market_rates"):
            assert rows_of(tmp_path / "1", table) != rows_of(tmp_path / "2", table)

    def test_the_customers_of_a_small_bank_live_the_same_lives_in_a_large_one(
        self, bank: GeneratedBank, tmp_path: Path
    ) -> None:
        generate(tmp_path / "small", customers=200, months=8, start=date(2024, 11, 1))
        known = ", ".join(f"'{customer}'" for customer in customers_of(tmp_path / "small"))
        assert customers_of(tmp_path / "small") == customers_of(bank.folder)[:200]
        for table, owner in OWNERS.items():
            small = rows_of(tmp_path / "small", table)
            assert small
            assert small == rows_of(bank.folder, table, f"({owner})::varchar in ({known})"), table

    def test_slices_together_are_the_whole(self, bank: GeneratedBank, tmp_path: Path) -> None:
        for part in ((0, 250), (250, 600)):
            generate(tmp_path / str(part[0]), customers=600, months=8, start=date(2024, 11, 1), slice=part)
        for table in OWNERS:
            parts = rows_of(tmp_path / "0", table) + rows_of(tmp_path / "250", table)
            assert sorted(parts) == rows_of(bank.folder, table), table

    def test_a_longer_window_only_adds_months(self, bank: GeneratedBank, tmp_path: Path) -> None:
        generate(tmp_path / "short", customers=600, months=3, start=date(2024, 11, 1))
        both = sorted(set(customers_of(tmp_path / "short")) & set(customers_of(bank.folder)))
        assert len(both) > 550
        known = ", ".join(f"'{customer}'" for customer in both)
        before = {
            "customers": "updated_at < timestamp '2025-01-31 16:00:00'",
            "accounts": "updated_at < timestamp '2025-01-31 16:00:00'",
            "account_holders": "updated_at < timestamp '2025-01-31 16:00:00'",
            "complaints": "updated_at < timestamp '2025-01-31 16:00:00'",
            "transactions": "value_on < date '2025-02-01'",
            "payment_schedule": "due_on < date '2025-02-01'",
            "loan_status": "as_of < date '2025-02-01'",
            **dict.fromkeys(
                ("relationship_assignments", "contacts", "survey_responses", "campaign_contacts"),
                "updated_at < timestamp '2025-01-31 16:00:00'",
            ),
            "balances": "true",
        }
        for table, condition in before.items():
            owner = f"({OWNERS[table]})::varchar in ({known})"
            assert rows_of(tmp_path / "short", table, owner) == rows_of(
                bank.folder, table, f"{owner} and {condition}"
            ), table

    def test_how_customers_are_stepped_together_does_not_matter(
        self, bank: GeneratedBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(simulation, "BLOCK_CUSTOMERS", 130)
        generate(tmp_path / "blocks", customers=600, months=8, start=date(2024, 11, 1))
        for table in OWNERS:
            assert rows_of(tmp_path / "blocks", table) == rows_of(bank.folder, table), table

    def test_draws_are_uniform_and_independent_between_neighbours(self) -> None:
        draws = Draws(1, "test", np.arange(200_000))
        first, second = draws.uniform("a"), draws.uniform("a", counter=1)
        following = Draws(1, "test", np.arange(200_000), month=1).uniform("a")
        counts = np.bincount((first * 100).astype(int), minlength=100)
        # Chi-square of 99 degrees of freedom: 149 is its 99.9 % point.
        assert ((counts - 2_000) ** 2 / 2_000).sum() < 149
        for other in (second, following, draws.uniform("b"), np.roll(first, 1)):
            assert abs(np.corrcoef(first, other)[0, 1]) < 4 / np.sqrt(200_000)


class TestBooks:
    def test_there_are_as_many_customers_as_asked_for(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert one(tables, "select count(distinct source_customer_id) from customers") == 600

    def test_every_balance_is_the_opening_balance_and_all_postings_since(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        wrong = one(
            tables,
            """
            with running as (
                select
                    account_id,
                    balance_after,
                    sum(amount) over (
                        partition by account_id order by posted_at, transaction_id::bigint
                    ) as cumulated
                from transactions
            )
            select count(*)
            from running left join balances using (account_id)
            where cumulated + coalesce(balance, 0) <> balance_after
            """,
        )
        assert wrong == 0

    def test_accounts_without_opening_balance_were_opened_in_the_window(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        assert (
            one(
                tables,
                """
                select count(*) from latest
                where (opened_on < date '2024-11-01') <> (account_id in (select account_id from balances))
                and product_code not in ('PAYROLL', 'MERCHANT-QR')
                """,
            )
            == 0
        )

    def test_no_deposit_is_ever_overdrawn_and_no_loan_overpaid(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert (
            one(
                tables,
                """
                select count(*)
                from transactions
                inner join latest using (account_id)
                inner join products using (product_code)
                where case when side = 'asset' then balance_after > 0 else balance_after < 0 end
                """,
            )
            == 0
        )

    def test_nothing_is_booked_before_an_account_opens_or_after_it_closes(
        self, tables: duckdb.DuckDBPyConnection
    ) -> None:
        assert (
            one(
                tables,
                """
                select count(*) from transactions left join latest using (account_id)
                where latest.account_id is null or value_on < opened_on or value_on > closed_on
                """,
            )
            == 0
        )

    def test_closed_accounts_are_empty(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert (
            one(
                tables,
                """
                with last_balance as (
                    select account_id, arg_max(balance_after, (posted_at, transaction_id::bigint)) as balance
                    from transactions group by account_id
                )
                select count(*) from latest inner join last_balance using (account_id)
                where closed_on is not null and balance <> 0
                """,
            )
            == 0
        )

    def test_money_between_a_customers_own_accounts_is_booked_on_both(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert (
            one(
                tables,
                """
                select count(*) from (
                    select substr(account_id, 3, 9) as customer, value_on, kind, sum(amount) as rest
                    from transactions where counterparty_kind = 'own' group by all
                ) where rest <> 0
                """,
            )
            == 0
        )

    def test_posting_and_value_dates_are_in_the_banks_own_time(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert one(tables, "select bool_and(cast(posted_at + to_hours(8) as date) = value_on) from transactions")

    @pytest.mark.parametrize(
        ("table", "key"),
        [(name, load_contract().tables[name].key) for name in UNVERSIONED],
    )
    def test_keys_are_unique(self, tables: duckdb.DuckDBPyConnection, table: str, key: tuple[str, ...]) -> None:
        assert one(tables, f"select count(*) - count(distinct ({', '.join(key)})) from {table}") == 0

    def test_versions_of_a_key_differ_and_follow_each_other(self, tables: duckdb.DuckDBPyConnection) -> None:
        for table, key in (
            ("accounts", "account_id"),
            ("customers", "source_customer_id"),
            ("complaints", "complaint_id"),
            ("employees", "employee_id"),
            ("relationship_assignments", "source_customer_id, employee_id, valid_from"),
            ("survey_responses", "response_id, item"),
            ("campaign_contacts", "campaign_id, source_customer_id"),
        ):
            assert one(tables, f"select count(*) - count(distinct ({key}, updated_at)) from {table}") == 0
        # A complaint stands as unanswered until it is answered: who reads as of then must not see the answer.
        assert one(tables, "select bool_and(closed_at is null or updated_at = closed_at) from complaints")
        assert one(
            tables,
            "select bool_and(closed_on is null or closed_on = cast(updated_at + to_hours(8) as date)) from accounts",
        )
        # Nothing more is said of an account that is closed.
        assert (
            one(
                tables,
                """select count(*) from latest where closed_on is null
                and account_id in (select account_id from accounts where closed_on is not null)""",
            )
            == 0
        )

    def test_every_reference_finds_its_row(self, tables: duckdb.DuckDBPyConnection) -> None:
        for name in TABLES:
            for reference in load_contract().tables[name].references:
                target = load_contract().tables[reference.table]
                source, found = ", ".join(reference.columns[1:]), ", ".join(target.key[1:])
                assert (
                    one(
                        tables,
                        f"""
                        select count(*) from {name}
                        where ({source}) is not null and {reference.columns[-1]} is not null
                        and ({source}) not in (select ({found}) from {reference.table})
                        """,
                    )
                    == 0
                ), (name, reference)


class TestContract:
    @pytest.mark.parametrize("name", TABLES)
    def test_tables_have_the_contracts_columns_types_and_codes(
        self, tables: duckdb.DuckDBPyConnection, name: str
    ) -> None:
        table = load_contract().tables[name]
        described = {row[0]: row[1] for row in tables.execute(f"describe {name}").fetchall()}
        assert list(described) == list(table.column_names)
        for column in table.columns:
            filled = one(tables, f"select count({column.name}) from {name}")
            assert not filled or described[column.name] == column.type, column.name
            if column.required:
                assert filled == one(tables, f"select count(*) from {name}"), column.name
            if column.values:
                found = {row[0] for row in tables.execute(f"select distinct {column.name} from {name}").fetchall()}
                assert found - {None} <= set(column.values), column.name

    def test_the_shipped_mapping_fits_the_files(self, bank: GeneratedBank) -> None:
        lines = check_mapping(load_bank("sample"), bank.folder)
        assert [line for line in lines if line.status == "error"] == []

    def test_people_are_invalid_by_construction(self, tables: duckdb.DuckDBPyConnection) -> None:
        people = tables.execute("select id_number, mobile, email from customers").fetchall()
        for id_number, mobile, email in people:
            digits = np.array([int(digit) for digit in id_number[:17]])
            assert len(id_number) == 18
            assert id_number.startswith("99")
            assert id_number[17] != _CHECK_DIGITS[int((digits * _CHECK_WEIGHTS).sum()) % 11]
            assert len(mobile) == 11
            assert mobile.startswith("154")
            assert email is None or email.endswith(".invalid")

    def test_an_identity_number_says_when_its_owner_was_born(self, tables: duckdb.DuckDBPyConnection) -> None:
        assert one(tables, "select bool_and(substr(id_number, 7, 8) = strftime(born_on, '%Y%m%d')) from customers")
        assert one(
            tables, "select bool_and((substr(id_number, 17, 1)::int % 2 = 0) = (gender = 'female')) from customers"
        )

    def test_csv_holds_the_same_rows(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=60, months=2, formats=("parquet", "csv"))
        for table in TABLES:
            counts = [
                duckdb.sql(f"select count(*) from '{tmp_path}/bank/{table}/*.{kind}'").fetchall()
                for kind in ("parquet", "csv")
            ]
            assert counts[0] == counts[1], table


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "place"),
        [
            ({"customers": 0}, "customers"),
            ({"customers": -5}, "customers"),
            ({"customers": 10.0}, "customers"),
            ({"months": 0}, "months"),
            ({"months": 121}, "months"),
            ({"seed": -1}, "seed"),
            ({"start": date(2024, 1, 2)}, "start"),
            ({"start": date(1900, 1, 1)}, "start"),
            ({"start": "2024-01-01"}, "start"),
            ({"start": date(2038, 6, 1), "months": 60}, "start, months"),
            ({"slice": (10, 10)}, "slice"),
            ({"slice": (0, 1_000)}, "slice"),
            ({"slice": (-1, 10)}, "slice"),
            ({"formats": ()}, "formats"),
            ({"formats": ("parquet", "xml")}, "formats"),
        ],
    )
    def test_what_cannot_be_generated_is_refused_by_name(
        self, tmp_path: Path, arguments: dict[str, object], place: str
    ) -> None:
        with pytest.raises(UserError) as error:
            generate(tmp_path / "bank", **{"customers": 100, "months": 1, **arguments})  # type: ignore[arg-type]
        assert error.value.where == place
        assert error.value.valid
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_of_something_else_is_never_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "letters").mkdir()
        (tmp_path / "letters" / "letter.txt").write_text("dear bank")
        with pytest.raises(UserError, match="no sample bank"):
            generate(tmp_path / "letters", customers=10, months=1)
        assert contents(tmp_path) == {"letters/letter.txt": b"dear bank"}

    def test_a_sample_bank_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=20, months=3)
        generate(tmp_path / "bank", customers=20, months=1)
        assert [path.name for path in (tmp_path / "bank" / "transactions").iterdir()] == ["2024-01.parquet"]
        assert [path.name for path in tmp_path.iterdir()] == ["bank"]

    def test_a_file_in_the_way_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for target in (tmp_path / "file", tmp_path / "file" / "bank"):
            with pytest.raises(UserError) as error:
                generate(target, customers=10, months=1)
            assert str(target) in str(error.value)

    def test_the_truth_cannot_lie_inside_the_bank(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="truth"):
            generate(tmp_path / "bank", customers=10, months=1, truth_dir=tmp_path / "bank" / "truth")

    def test_a_full_disk_leaves_no_partial_bank_and_keeps_the_old_one(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=30, months=1)
        before = contents(tmp_path)
        limit = 200_000

        def restrict() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        script = f"""
from warehouse.errors import UserError
from warehouse.sample_bank.generate import generate
try:
    generate({str(tmp_path / "bank")!r}, customers=3000, months=1)
except UserError as error:
    print(error)
    raise SystemExit(error.exit_code)
"""
        run = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, preexec_fn=restrict, check=False
        )
        assert run.returncode == 2, run.stderr
        assert "disk is full" in run.stdout
        assert str(tmp_path / "bank") in run.stdout
        assert contents(tmp_path) == before

    def test_an_interruption_leaves_nothing_behind(self, tmp_path: Path) -> None:
        def interrupt(done: int, months: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            generate(tmp_path / "bank", customers=20, months=3, truth_dir=tmp_path / "truth", progress=interrupt)
        assert list(tmp_path.iterdir()) == []


class TestManifest:
    def test_it_says_what_the_bank_was_made_from_and_nothing_of_clock_or_machine(self, bank: GeneratedBank) -> None:
        manifest = json.loads((bank.folder / "sample_bank.json").read_text())
        assert manifest["customers"] == 600
        assert manifest["start"] == "2024-11-01"
        assert manifest["rows"] == dict(sorted(bank.rows.items()))
        assert set(manifest) == {"customers", "months", "start", "seed", "slice", "rows", "version", "parameters"}

    def test_progress_is_told_month_by_month(self, tmp_path: Path) -> None:
        told: list[tuple[int, int]] = []
        generate(tmp_path / "bank", customers=20, months=3, progress=lambda done, all_: told.append((done, all_)))
        assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_thousand_customers_take_less_than_three_seconds(tmp_path: Path) -> None:
    # Processor time, Python's imports included: other work on the machine does not count.
    script = f"""
import time
from warehouse.sample_bank.generate import generate
generate({str(tmp_path / "bank")!r}, customers=1_000, months=12)
print(time.process_time())
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 3
