"""A source whose columns changed stands still, the others go on; and what was landed under an earlier mapping stays."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_bank import FILES, MAPPING, write_bank, write_data

from dagster_project.lib.meta import freshness_table
from warehouse.errors import UserError
from warehouse.freshness import DriftError, freshness, stops
from warehouse.home import Home
from warehouse.landing import check_deliveries, land
from warehouse.ledger import read_ledger
from warehouse.sources.bank import load_bank

DRIFTED = {
    "2024/03/01/posting.csv": FILES["posting.csv"].replace("amount", "amount_cny", 1),
    "2024/03/01/branch.csv": "branch_id,town\n3,Wenzhou\n",
    "2024/03/02/posting.csv": FILES["posting.csv"],
}


def test_a_file_with_other_columns_stops_its_source_and_not_the_others(tmp_path: Path) -> None:
    bank, home = load_bank(write_bank(tmp_path / "bank")), Home(tmp_path / "home")
    data = write_data(tmp_path / "data", FILES | {"2024/02/28/posting.csv": FILES["posting.csv"]})
    land(bank, data, home)
    write_data(data, DRIFTED)
    check_deliveries(bank, data, home)
    landed = {result.entry.file for result in land(bank, data, home) if result.is_new}
    # Nothing of the source behind the delivery that was refused, everything of the others.
    assert landed == {"2024/03/01/branch.csv"}
    stop = stops(home, "small")["posting"]
    assert (stop.stale_since, stop.refused_on) == (date(2024, 2, 28), date(2024, 3, 1))
    assert "missing: amount" in stop.reason
    assert stop.reason_en == "missing: amount; not declared: amount_cny"
    assert stop.reason_zh == "缺少字段：amount；未声明字段：amount_cny"
    found = {item.source: item for item in freshness(home, bank, read_ledger(home.landing, "small"))}
    assert (found["posting"].behind_days, found["posting"].stop, found["branch"].stop) == (2, stop, None)
    shown = {row["source"]: row for row in freshness_table(list(found.values())).frame.to_pylist()}
    assert (shown["posting"]["reason_en"], shown["posting"]["reason_zh"]) == (stop.reason_en, stop.reason_zh)
    assert (shown["branch"]["reason_en"], shown["branch"]["reason_zh"]) == (None, None)
    write_data(data, {"2024/03/01/posting.csv": FILES["posting.csv"]})
    landed = {result.entry.file for result in land(bank, data, home) if result.is_new}
    assert landed == {"2024/03/01/posting.csv", "2024/03/02/posting.csv"}
    assert stops(home, "small") == {}


def test_a_file_without_a_row_is_landed_and_told(tmp_path: Path) -> None:
    bank, told = load_bank(write_bank(tmp_path / "bank")), list[str]()
    data = write_data(tmp_path / "data", FILES | {"2024/03/01/branch.csv": "branch_id,town\n"})
    land(bank, data, Home(tmp_path / "home"), told.append)
    assert [line.split(":")[1].strip() for line in told if "there is no row in the file" in line] == [
        "2024/03/01/branch.csv"
    ]


def test_a_source_that_never_came_stops_everything_before_anything_is_landed(tmp_path: Path) -> None:
    bank, home = load_bank(write_bank(tmp_path / "bank")), Home(tmp_path / "home")
    data = write_data(tmp_path / "data", FILES | {"posting.csv": DRIFTED["2024/03/01/posting.csv"]})
    for attempt in (check_deliveries, land):
        with pytest.raises(DriftError, match="renamed, by the look of it: amount to amount_cny"):
            attempt(bank, data, home)
    assert read_ledger(home.landing, "small") == []


def test_a_mapping_that_asks_for_more_leaves_what_was_landed_before_as_it_is(tmp_path: Path) -> None:
    home, data = Home(tmp_path / "home"), write_data(tmp_path / "data")
    land(load_bank(write_bank(tmp_path / "bank")), data, home)
    more = load_bank(
        write_bank(tmp_path / "bank", MAPPING.replace("      town: {}\n", "      town: {}\n      city: {}\n"))
    )
    write_data(data, {"2024/03/01/branch.csv": "branch_id,town,city\n1,Xihu,Hangzhou\n"})
    # The file of before lacks the column, and is in the ledger.
    landed = {result.entry.file for result in land(more, data, home) if result.is_new}
    assert "2024/03/01/branch.csv" in landed
    assert stops(home, "small") == {}


def test_a_parquet_file_of_another_type_is_told_as_expected_and_found(tmp_path: Path) -> None:
    mapping = MAPPING.replace(
        "file: branch.csv\n    format: {type: csv}", "file: b.parquet\n    format: {type: parquet}"
    )
    data = write_data(tmp_path / "data")
    pq.write_table(pa.table({"branch_id": [date(2024, 1, 1)], "town": ["a"]}), data / "b.parquet")
    with pytest.raises(DriftError) as refused:
        land(load_bank(write_bank(tmp_path / "bank", mapping)), data, Home(tmp_path / "home"))
    assert "branch_id date32" in str(refused.value)
    assert "branch_id BIGINT" in str(refused.value)
    assert refused.value.reason_en.startswith("of another type: branch_id date32")
    assert refused.value.reason_zh.startswith("类型不符：branch_id 为 date32")


def test_numbers_of_a_parquet_file_are_not_rounded(tmp_path: Path) -> None:
    mapping = MAPPING.replace(
        "file: posting.csv\n    format: {type: csv}", "file: p.parquet\n    format: {type: parquet}"
    )
    data, home = write_data(tmp_path / "data"), Home(tmp_path / "home")
    columns = {name: ["1", "2"] for name in ("posting_id", "contract_id", "why", "other_side")}
    columns |= {"booked_at": ["2021-03-02 09:00:00"] * 2}
    pq.write_table(pa.table(columns | {"amount": [0.5, 0.125]}), data / "p.parquet")
    results = land(load_bank(write_bank(tmp_path / "bank", mapping)), data, home)
    entry = next(result.entry for result in results if result.entry.source == "posting")
    assert (entry.rows_landed, entry.rows_quarantined) == (1, 1)


def test_a_file_whose_column_was_renamed_lands_under_the_name_of_the_mapping(tmp_path: Path) -> None:
    home, data = Home(tmp_path / "home"), write_data(tmp_path / "data")
    land(load_bank(write_bank(tmp_path / "bank")), data, home)
    write_data(data, DRIFTED)
    other = MAPPING.replace(
        'amount: {type: "DECIMAL(18,2)"}', 'amount: {type: "DECIMAL(18,2)", delivered_as: [amount_cny]}'
    )
    bank = load_bank(write_bank(tmp_path / "bank", other))
    landed = {result.entry.file: result.entry for result in land(bank, data, home) if result.is_new}
    # What was landed before is the same delivery still.
    assert set(landed) == set(DRIFTED)
    entry = landed["2024/03/01/posting.csv"]
    assert entry.rows_lost == 0
    assert entry.undeclared_columns == ()
    rows = pq.read_table(entry.parquet_path(home.landing)).to_pylist()
    assert rows
    assert all(row["amount"] is not None for row in rows)
    assert stops(home, "small") == {}


def test_one_name_cannot_stand_for_two_columns(tmp_path: Path) -> None:
    mapping = MAPPING.replace("town: {}", "town: {delivered_as: [branch_id]}")
    with pytest.raises(UserError, match="'town' cannot be delivered as 'branch_id'"):
        load_bank(write_bank(tmp_path / "bank", mapping))
