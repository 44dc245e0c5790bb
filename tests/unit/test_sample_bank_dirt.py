"""Dirt: the quarantine holds what the truth says is unreadable, nothing is lost, what can be repaired is."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from opened_vault import plant_keys

from warehouse.contract.model import load_contract
from warehouse.database import open_warehouse
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import LandingResult, land
from warehouse.ledger import read_ledger
from warehouse.quarantine import quarantine_path
from warehouse.registration import register
from warehouse.sample_bank.dirt import LATEST_DAYS, ROW_KINDS, UNREADABLE_KINDS, Dirt
from warehouse.sample_bank.generate import deliver, generate
from warehouse.sample_bank.table_shapes import table_shapes
from warehouse.sources.bank import load_bank

CUSTOMERS = 400
DAYS = 20
KEY = "ab" * 32


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write(folder: Path, dirt: Dirt, kind: str = "csv", steps: tuple[int, ...] = (DAYS,)) -> Path:
    """A bank of two months and some days of deliveries, with its truth beside it."""
    generate(folder / "bank", customers=CUSTOMERS, months=2, formats=(kind,), truth_dir=folder / "truth", dirt=dirt)
    for days in steps:
        deliver(folder / "bank", days, truth_dir=folder / "truth")
    return folder / "bank"


def landed(folder: Path, kind: str = "csv") -> tuple[Home, list[LandingResult]]:
    home = plant_keys(Home(folder / "home"), KEY)
    return home, land(load_bank(folder / "bank" / "mapping" if kind == "csv" else "sample"), folder / "bank", home)


def faults(folder: Path, columns: str, where: str = "true") -> list[tuple[object, ...]]:
    return duckdb.sql(f"select {columns} from '{folder}/truth/faults/*.parquet' where {where} order by all").fetchall()


def latest(folder: Path, kind: str) -> dict[str, dict[tuple[object, ...], tuple[object, ...]]]:
    """What stands in the warehouse in the end: of each version of each key the row that was known last."""
    home, _ = landed(folder, kind)
    bank = load_bank(folder / "bank" / "mapping" if kind == "csv" else "sample")
    found = {}
    with open_warehouse(home.root / "warehouse.duckdb", bank.settings.resources, home.temporary) as connection:
        register(connection, bank, home.landing, read_ledger(home.landing, bank.name))
        for table, shape in table_shapes().items():
            contract = load_contract().tables[table]
            key = [*shape.key, *(["updated_at"] if shape.is_versioned else [])]
            columns = [column.raw_name for column in contract.columns]
            named, shown = (", ".join(f"{name}::varchar" for name in names) for names in (key, columns))
            rows = connection.execute(
                f"""with last as (
                    select * from raw.{table}
                    qualify row_number() over (
                        partition by {", ".join(key)} order by known_on desc, operation, row_hash) = 1
                )
                select [{named}], [{shown}] from last where operation = 'upsert'"""
            ).fetchall()
            found[table] = {tuple(name): tuple(row) for name, row in rows}
    return found


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dirty")
    write(folder, Dirt.of_rate(0.05), steps=(3, DAYS - 3))
    return folder


class TestQuarantine:
    def test_it_holds_exactly_the_rows_the_truth_says_are_unreadable(self, dirty: Path) -> None:
        home, results = landed(dirty)
        found = set()
        for result in results:
            if result.entry.rows_quarantined:
                path = quarantine_path(home.quarantine, result.entry.bank, result.entry.delivery_id)
                rows = duckdb.sql(f"select distinct source_row from '{path}'").fetchall()
                found |= {(result.entry.file, row) for (row,) in rows}
        names = ", ".join(f"'{kind}'" for kind in UNREADABLE_KINDS)
        told = faults(dirty, "delivery || '.csv', row_number, kind", f"kind in ({names})")
        assert found == {row[:2] for row in told}
        assert len(told) == len(found) > 60
        assert {row[2] for row in told} == set(UNREADABLE_KINDS)
        assert any(str(row[0]).startswith("2024/03") for row in told)
        for entry in (result.entry for result in results):
            assert entry.rows_read == entry.rows_landed + entry.rows_quarantined + entry.rows_filtered

    def test_columns_and_reasons_are_those_of_the_truth(self, dirty: Path) -> None:
        home, results = landed(dirty)
        found = {}
        for entry in (result.entry for result in results if result.entry.rows_quarantined):
            path = quarantine_path(home.quarantine, entry.bank, entry.delivery_id)
            for row, column, reason in duckdb.sql(f"select source_row, \"column\", reason from '{path}'").fetchall():
                found[entry.file, row] = (column, reason)
        for file, row, kind, column in faults(
            dirty,
            "delivery || '.csv', row_number, kind, \"column\"",
            "kind in ('wrong_type', 'impossible_date', 'gbk_bytes')",
        ):
            where, reason = found[file, row]
            if kind == "gbk_bytes":
                assert "bytes that are not utf-8" in reason
            else:
                assert where == column
                assert reason.startswith("not a ")

    def test_every_kind_is_there(self, dirty: Path) -> None:
        counts = Counter(row[0] for row in faults(dirty, "kind", "\"table\" = 'transactions'"))
        assert set(counts) == set(ROW_KINDS)

    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    @pytest.mark.parametrize("rate", [0.02, 0.3, 1.0])
    def test_the_share_of_faulty_rows_is_the_one_asked_for(self, tmp_path: Path, kind: str, rate: float) -> None:
        generate(
            tmp_path / "bank", customers=CUSTOMERS, months=2, formats=(kind,), truth_dir=tmp_path / "truth",
            dirt=Dirt.of_rate(rate, (kind,)),
        )  # fmt: skip
        clean = generate(tmp_path / "clean", customers=CUSTOMERS, months=2)
        size = sum(clean.rows[table] for table, shape in table_shapes().items() if shape.is_of_customers)
        # What is late beyond the end of the window is told with the day it comes on.
        found = len(faults(tmp_path, "kind"))
        assert abs(found - rate * size) < 4 * (rate * (1 - rate) * size) ** 0.5 + 0.03 * rate * size

    def test_every_table_about_customers_is_hit_and_no_other(self, tmp_path: Path) -> None:
        generate(
            tmp_path / "bank", customers=300, months=3, formats=("csv",), truth_dir=tmp_path / "truth",
            dirt=Dirt.of_rate(1.0),
        )  # fmt: skip
        hit = {row[0] for row in faults(tmp_path, 'distinct "table"')}
        assert hit == {table for table, shape in table_shapes().items() if shape.is_of_customers}
        assert hit >= {"contacts", "survey_responses", "loan_status", "payment_schedule", "campaign_contacts"}

    def test_the_record_finds_each_row_in_its_file(self, dirty: Path) -> None:
        for delivery, row, key in faults(
            dirty,
            "delivery, row_number, key",
            "\"table\" = 'transactions' and kind in ('duplicate', 'orphan', 'late', 'correction', 'delete')",
        ):
            lines = (dirty / "bank" / f"{delivery}.csv").read_bytes().splitlines()
            assert f'"{key}"'.encode() == lines[int(str(row))].split(b",")[1]


class TestRepair:
    KINDS = Dirt(duplicate=0.02, late=0.03, correction=0.02, delete=0.02)

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_what_can_be_repaired_leaves_the_warehouse_of_the_clean_bank(self, tmp_path: Path, kind: str) -> None:
        # Days enough after the last ones for everything late to have come.
        write(tmp_path / "dirty", self.KINDS, kind, (DAYS + LATEST_DAYS,))
        write(tmp_path / "clean", Dirt(), kind, (DAYS + LATEST_DAYS,))
        counts = Counter(row[0] for row in faults(tmp_path / "dirty", "kind"))
        assert set(counts) == {"duplicate", "late", "correction", "delete"}
        end = date(2024, 2, 29) + timedelta(days=DAYS)
        soiled, clean = latest(tmp_path / "dirty", kind), latest(tmp_path / "clean", kind)
        settled = {
            str(row[0])
            for row in faults(
                tmp_path / "dirty", "key", f"kind = 'delete' and settled_on > date '{end}' + {LATEST_DAYS}"
            )
        }
        for table, rows in clean.items():
            known = rows.keys() if table != "transactions" else {
                key for key, row in rows.items()
                if str(row[load_contract().tables[table].column_names.index("value_on")]) <= str(end)
            }  # fmt: skip
            if table_shapes()[table].is_versioned:
                # A version that is late beyond the last day is not there yet.
                known &= soiled[table].keys()
                assert len(known) > 0.98 * len(rows)
            assert {key: soiled[table].get(key) for key in known} == {key: rows[key] for key in known}, table
            assert {key for key in soiled[table] if key not in rows and "|".join(key[1:]) not in settled} == set(), (
                table
            )

    def test_corrections_and_deletes_are_wrong_until_they_are_settled(self, tmp_path: Path) -> None:
        write(tmp_path, Dirt(correction=0.05, delete=0.05), steps=(12,))
        bank = tmp_path / "bank"
        told = faults(tmp_path, 'delivery, key, kind, settled_on, "table"')
        assert {row[4] for row in told} == {"transactions", "payment_schedule"}
        for delivery, key, kind, settled, table in told:
            assert isinstance(settled, date)
            line = f"core,{key},".replace("|", ",")
            assert line in (bank / f"{delivery}.csv").read_text().replace('"', "")
            if settled > date(2024, 3, 12):
                continue
            day = bank / f"{settled:%Y/%m/%d}"
            place = day / "deletes" if kind == "delete" else day
            lines = (place / str(table) / f"{settled}.csv").read_text().replace('"', "").splitlines()
            assert any(f"{found},".startswith(line) for found in lines)


class TestDrift:
    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_a_column_added_or_retyped_midway_changes_no_row(self, tmp_path: Path, kind: str) -> None:
        drift = Dirt(column_added=date(2024, 2, 1), column_retyped=date(2024, 3, 3))
        write(tmp_path / "dirty", drift, kind, (5,))
        write(tmp_path / "clean", Dirt(), kind, (5,))
        assert latest(tmp_path / "dirty", kind) == latest(tmp_path / "clean", kind)
        changed = faults(tmp_path / "dirty", 'kind, "column", delivery')
        assert [row for row in changed if row[0] == "column_retyped"] == [
            ("column_retyped", "value_on", f"2024/03/0{day}/transactions/2024-03-0{day}") for day in (3, 4, 5)
        ]
        assert ("column_added", "device", "transactions/2024-02") in changed
        assert len(changed) == 1 + 5 + 3

    def test_a_column_renamed_midway_is_told_by_landing(self, tmp_path: Path) -> None:
        write(tmp_path, Dirt(column_renamed=date(2024, 3, 2)), steps=(3,))
        with pytest.raises(UserError, match="columns of source transactions are missing") as error:
            landed(tmp_path)
        assert "missing: place_city" in str(error.value)
        assert "2024/03/02" in str(error.value)
        assert [row[0] for row in faults(tmp_path, "delivery")] == [
            f"2024/03/0{day}/transactions/2024-03-0{day}" for day in (2, 3)
        ]


class TestDeterminism:
    def test_the_same_rows_are_faulty_however_the_days_are_cut(self, dirty: Path, tmp_path: Path) -> None:
        write(tmp_path, Dirt.of_rate(0.05), steps=(1, 1, DAYS - 2))
        assert contents(tmp_path / "bank") == contents(dirty / "bank")
        assert contents(tmp_path / "truth") == contents(dirty / "truth")

    def test_it_ends_when_it_is_told_to(self, tmp_path: Path) -> None:
        write(tmp_path, Dirt(late=0.2, duplicate=0.1, until=date(2024, 3, 4)), steps=(2, 10))
        late = faults(tmp_path, "settled_on", "kind = 'late'")
        assert date(2024, 2, 24) < late[0][0] < late[-1][0] == date(2024, 3, 4)
        assert faults(tmp_path, "delivery", "kind = 'duplicate' and delivery > '2024/03/05'  and delivery < 'a'") == []

    def test_no_dirt_is_the_clean_bank_and_says_nothing_of_it(self, tmp_path: Path) -> None:
        generate(tmp_path / "one", customers=50, months=1, dirt=Dirt())
        generate(tmp_path / "two", customers=50, months=1)
        assert contents(tmp_path / "one") == contents(tmp_path / "two")
        assert "dirt" not in json.loads((tmp_path / "one" / "sample_bank.json").read_text())


class TestErrors:
    @pytest.mark.parametrize(
        ("dirt", "formats", "place"),
        [
            (Dirt(late=-0.1), ("csv",), "dirt.late"),
            (Dirt(duplicate=1.5), ("csv",), "dirt.duplicate"),
            (Dirt(duplicate=float("nan")), ("csv",), "dirt.duplicate"),
            (Dirt(duplicate=True), ("csv",), "dirt.duplicate"),
            (Dirt(duplicate=0.6, late=0.6), ("csv",), "dirt"),
            (Dirt(column_added="2024-01-01"), ("csv",), "dirt.column_added"),  # type: ignore[arg-type]
            (Dirt(late=0.1, until="2024-01-01"), ("csv",), "dirt.until"),  # type: ignore[arg-type]
            (Dirt(gbk_bytes=0.1), ("parquet",), "dirt, formats"),
            (Dirt(wrong_type=0.1), ("parquet", "csv"), "dirt, formats"),
        ],
    )
    def test_dirt_that_cannot_be_is_refused(
        self, tmp_path: Path, dirt: Dirt, formats: tuple[str, ...], place: str
    ) -> None:
        with pytest.raises(UserError) as error:
            generate(
                tmp_path / "bank", customers=10, months=1, dirt=dirt, formats=formats, truth_dir=tmp_path / "truth"
            )
        assert error.value.where == place
        assert list(tmp_path.iterdir()) == []

    def test_dirt_without_a_place_for_its_record_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no folder") as error:
            generate(tmp_path / "bank", customers=10, months=1, dirt=Dirt(late=0.1))
        assert error.value.where == "truth_dir"
        generate(tmp_path / "bank", customers=10, months=1, dirt=Dirt(late=0.1), truth_dir=tmp_path / "truth")
        with pytest.raises(UserError, match="no folder"):
            deliver(tmp_path / "bank", 1)
