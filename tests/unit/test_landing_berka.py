"""The real Berka files are landed whole, field for field."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from warehouse.home import Home
from warehouse.landing import LandingResult, land
from warehouse.ledger import default_as_of, read_ledger
from warehouse.sources.bank import Bank, load_bank

ROWS = {
    "account": 4_500,
    "card": 892,
    "client": 5_369,
    "disp": 5_369,
    "district": 77,
    "loan": 682,
    "order": 6_471,
    "trans": 46_997,
}


@pytest.fixture(scope="module")
def landed(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bank, Home, list[LandingResult]]:
    home, bank = Home(tmp_path_factory.mktemp("berka")), load_bank("berka")
    return bank, home, land(bank, shared_data / "berka", home)


def test_every_row_of_every_file_is_landed(landed: tuple[Bank, Home, list[LandingResult]]) -> None:
    _, _, results = landed
    found = {result.entry.file.removesuffix(".asc"): result.entry for result in results}
    assert {name: entry.rows_landed for name, entry in found.items()} == ROWS
    assert all(result.entry.rows_read == result.entry.rows_landed for result in results)


def test_every_clear_field_is_landed_as_python_reads_it(
    landed: tuple[Bank, Home, list[LandingResult]], shared_data: Path
) -> None:
    bank, home, results = landed
    for result in results:
        source = bank.mapping.sources[result.entry.source]
        clear = [column.name for column in source.columns if not column.is_identifying]
        with (shared_data / "berka" / result.entry.file).open(encoding="utf-8", newline="") as handle:
            expected = [[row[name] for name in clear] for row in csv.DictReader(handle, delimiter=";")]
        table = pq.read_table(result.entry.parquet_path(home.landing))
        assert [list(row.values()) for row in table.select(clear).to_pylist()] == expected, source.name
        assert table.column("_source_row").to_pylist() == list(range(1, len(expected) + 1))


def test_berka_is_complete_up_to_its_last_transaction(landed: tuple[Bank, Home, list[LandingResult]]) -> None:
    bank, home, _ = landed
    assert default_as_of(read_ledger(home.landing, "berka"), bank) == date(1994, 3, 30)
