"""The sample bank goes on: days one by one, many at once and one long bank are the same; CSV and Parquet too."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
from opened_vault import plant_keys

from warehouse.contract.model import load_contract
from warehouse.database import open_warehouse
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import read_ledger
from warehouse.registration import register
from warehouse.sample_bank.deliveries import longer, read_bank
from warehouse.sample_bank.generate import deliver, generate
from warehouse.sample_bank.simulation import BankSettings
from warehouse.sample_bank.table_shapes import LIKE, shape_of, table_shapes
from warehouse.sources.bank import load_bank

START = date(2024, 1, 1)
#: Every table of a bank, those that no mapping reads too.
TABLES = (*table_shapes(), *LIKE)
CUSTOMERS = 300


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows_of(folder: Path, table: str, until: date | None = None) -> list[tuple[object, ...]]:
    """All rows of a table in the initial load and the deliveries, those known by a day, sorted."""
    known_on = shape_of(table).known_on
    condition = "true" if until is None or known_on is None else f"({known_on})::date <= date '{until}'"
    files = sorted(
        str(path)
        for pattern in (f"{table}/*.parquet", f"[0-9]*/*/*/{table}/*.parquet")
        for path in folder.glob(pattern)
    )
    return duckdb.sql(f"select t::varchar from read_parquet({files}) as t where {condition} order by 1").fetchall()


#: Columns of raw that name files and runs, and how it came about that a row was known.
BOOKKEEPING = {"delivery_id", "source_row", "batch", "landed_at", "is_known_on_assumed"}


def raw_rows(folder: Path, source: str | Path, home: Home) -> dict[str, list[tuple[object, ...]]]:
    """The contract's tables as they stand in the warehouse, without what names files and runs."""
    bank = load_bank(source)
    # Tokens of two homes are equal under the same keys only.
    land(bank, folder, plant_keys(home, "ab" * 32))
    contract = load_contract().tables
    with open_warehouse(home.root / "warehouse.duckdb", bank.settings.resources, home.temporary) as connection:
        register(connection, bank, home.landing, read_ledger(home.landing, bank.name))
        found = {}
        for table in table_shapes():
            kept = [column.name for column in contract[table].raw_columns if column.name not in BOOKKEEPING]
            found[table] = connection.execute(f"select {', '.join(kept)} from raw.{table} order by all").fetchall()
        return found


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One long bank of four months, of the lives of a bank of two."""
    folder = tmp_path_factory.mktemp("long")
    settings = longer(BankSettings(CUSTOMERS, 2, START), 4)
    generate(folder / "bank", customers=settings.customers, months=4, start=START)
    return folder / "bank"


class TestDays:
    def test_day_by_day_is_as_many_at_once_and_as_one_long_bank(self, tmp_path: Path, long: Path) -> None:
        for name in ("single", "at once"):
            generate(tmp_path / name, customers=CUSTOMERS, months=2, start=START)
        # One by one over both ends of a month.
        for days in (1, 1, 1, 28, 1, 1, 1, 1, 1):
            deliver(tmp_path / "single", days)
        told = deliver(tmp_path / "at once", 36)
        assert (told.first_day, told.last_day) == (date(2024, 3, 1), date(2024, 4, 5))
        assert contents(tmp_path / "single") == contents(tmp_path / "at once")
        assert {path.parent.name for path in (tmp_path / "single").rglob("*.parquet")} == set(TABLES)
        for table in TABLES:
            found = rows_of(tmp_path / "single", table)
            assert found, table
            assert found == rows_of(long, table, date(2024, 4, 5)), table

    def test_whole_months_of_deliveries_make_the_long_bank_whole(self, tmp_path: Path, long: Path) -> None:
        bank = generate(tmp_path / "bank", customers=CUSTOMERS, months=2, start=START)
        more = deliver(bank.folder, 61)
        assert more.last_day == date(2024, 4, 30)
        manifest, of_long = (json.loads((folder / "sample_bank.json").read_text()) for folder in (bank.folder, long))
        assert manifest["rows"] == of_long["rows"]
        assert manifest["customers_then"] == of_long["customers"] > CUSTOMERS
        for table in TABLES:
            assert rows_of(bank.folder, table) == rows_of(long, table), table
            assert len(rows_of(bank.folder, table, bank.last_day)) == bank.rows[table], table

    def test_a_bank_knows_nothing_of_the_days_after_its_window(self, long: Path) -> None:
        for table in TABLES:
            assert rows_of(long, table) == rows_of(long, table, date(2024, 4, 30)), table

    def test_what_was_lived_before_the_first_day_is_remembered(self, tmp_path: Path) -> None:
        # Arrears, managers and contact lists of the day come from months that are lived again, not written.
        for name, truth in (("without truth", None), ("with truth", tmp_path / "truth")):
            generate(tmp_path / name, customers=CUSTOMERS, months=14, truth_dir=truth)
            deliver(tmp_path / name, 31, truth_dir=truth)
        one, other = contents(tmp_path / "without truth"), contents(tmp_path / "with truth")
        assert one == other
        (behind,) = duckdb.sql(
            f"""select count(*) from '{tmp_path}/with truth/2025/03/31/loan_status/*.parquet'
            where days_past_due > 90"""
        ).fetchall()[0]
        assert behind > 0

    def test_slices_go_on_and_are_still_the_whole(self, tmp_path: Path) -> None:
        for name, part in (("whole", None), ("one", (0, 120)), ("two", (120, CUSTOMERS))):
            generate(tmp_path / name, customers=CUSTOMERS, months=1, slice=part)
            deliver(tmp_path / name, 40)
        of_customers = [table for table in TABLES if shape_of(table).owner or table in ("customers", *LIKE)]
        assert len(of_customers) > 12
        for table in of_customers:
            parts = rows_of(tmp_path / "one", table) + rows_of(tmp_path / "two", table)
            assert sorted(parts) == rows_of(tmp_path / "whole", table), table

    def test_the_warehouse_reads_deliveries_as_one_initial_load(self, tmp_path: Path, long: Path) -> None:
        generate(tmp_path / "bank", customers=CUSTOMERS, months=2, start=START)
        deliver(tmp_path / "bank", 61)
        by_day = raw_rows(tmp_path / "bank", "sample", Home(tmp_path / "by day"))
        at_once = raw_rows(long, "sample", Home(tmp_path / "at once"))
        for table, rows in by_day.items():
            assert rows, table
            assert rows == at_once[table], table

    def test_every_day_is_delivered_and_holds_what_is_known_on_it(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=10, months=1, start=date(2023, 2, 1))
        deliver(tmp_path / "bank", 31)
        days = sorted((tmp_path / "bank" / "2023" / "03").iterdir())
        assert [day.name for day in days] == [f"{day:02d}" for day in range(1, 32)]
        for day in days:
            (file,) = (day / "transactions").iterdir()
            found = duckdb.sql(f"select distinct value_on::varchar from '{file}'").fetchall()
            assert found in ([], [(f"2023-03-{day.name}",)])

    def test_the_truth_follows(self, tmp_path: Path, long: Path) -> None:
        generate(tmp_path / "bank", customers=CUSTOMERS, months=2, truth_dir=tmp_path / "truth")
        deliver(tmp_path / "bank", 61, truth_dir=tmp_path / "truth")
        generate(tmp_path / "long", customers=300 + 4, months=4, truth_dir=tmp_path / "long truth")
        customers = json.loads((long / "sample_bank.json").read_text())["customers"]
        assert customers == 304
        skipped = {"sample_bank_truth.json"}
        one, other = contents(tmp_path / "truth"), contents(tmp_path / "long truth")
        assert {name: one[name] for name in one.keys() - skipped} == {
            name: other[name] for name in other.keys() - skipped
        }

    def test_what_an_interrupted_call_left_beyond_the_last_day_is_replaced(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            generate(tmp_path / name, customers=20, months=1)
        left = tmp_path / "one" / "2024" / "02" / "02" / "transactions"
        left.mkdir(parents=True)
        (left / "half.parquet").write_bytes(b"half")
        for name in ("one", "two"):
            deliver(tmp_path / name, 3)
        assert contents(tmp_path / "one") == contents(tmp_path / "two")


class TestCsv:
    def test_csv_and_parquet_are_equal_tables_through_the_mapping(self, tmp_path: Path) -> None:
        for kind in ("parquet", "csv"):
            generate(tmp_path / kind, customers=CUSTOMERS, months=3, formats=(kind,))
            deliver(tmp_path / kind, 3)
        parquet = raw_rows(tmp_path / "parquet", "sample", Home(tmp_path / "home of parquet"))
        csv = raw_rows(tmp_path / "csv", tmp_path / "csv" / "mapping", Home(tmp_path / "home of csv"))
        for table, rows in parquet.items():
            assert rows, table
            assert csv[table] == rows, table


class TestErrors:
    @pytest.mark.parametrize("days", [0, -3, 3661, 1.5, True])
    def test_days_that_are_none_are_refused(self, tmp_path: Path, days: int) -> None:
        generate(tmp_path / "bank", customers=10, months=1)
        before = contents(tmp_path)
        with pytest.raises(UserError) as error:
            deliver(tmp_path / "bank", days)
        assert error.value.where == "days"
        assert contents(tmp_path) == before

    def test_a_bank_does_not_go_on_beyond_its_horizon(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=10, months=1)
        with pytest.raises(UserError, match="until 2033-12-31"):
            deliver(tmp_path / "bank", 3650)

    def test_where_no_bank_is_none_goes_on(self, tmp_path: Path) -> None:
        for folder in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(UserError, match="no sample bank that could go on"):
                deliver(folder, 1)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("text", ["{", '{"customers": 3}', '{"customers": 10, "months": 1, "start": "?"}'])
    def test_a_manifest_that_is_none_is_named(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "sample_bank.json").write_text(text)
        with pytest.raises(UserError) as error:
            read_bank(tmp_path)
        assert str(tmp_path / "sample_bank.json") in str(error.value)

    def test_a_full_disk_leaves_no_day_behind(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=2_000, months=1)
        before = contents(tmp_path)
        script = f"""
import resource, signal
from warehouse.errors import UserError
from warehouse.sample_bank.generate import deliver
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, {resource.RLIM_INFINITY}))
try:
    deliver({str(tmp_path / "bank")!r}, 5)
except UserError as error:
    print(error)
    raise SystemExit(error.exit_code)
"""
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert run.returncode == 2, run.stderr
        assert "disk is full" in run.stdout
        assert str(tmp_path / "bank") in run.stdout
        assert contents(tmp_path) == before
