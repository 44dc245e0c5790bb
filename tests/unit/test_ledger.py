"""The ledger says what exists, what counts, and up to when everything is there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from small_bank import write_bank, write_data

from warehouse.errors import UserError
from warehouse.ledger import (
    KNOWN_FROM_THE_START,
    LedgerEntry,
    default_as_of,
    delivery_id,
    in_force,
    read_ledger,
    write_entry,
)
from warehouse.sources.bank import Bank, load_bank

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def entry(
    identity: str,
    *,
    source: str = "posting",
    known_on: date | None = None,
    known_to: date | None = None,
    minutes: int = 0,
    operation: str = "upsert",
    file: str = "posting.csv",
) -> LedgerEntry:
    return LedgerEntry(
        delivery_id=identity,
        bank="small",
        source_system="core",
        source=source,
        operation=operation,
        file=file,
        file_sha256="aa",
        landing_hash="bb",
        mapping_hash="cc",
        known_on=known_on,
        known_from=known_to,
        known_to=known_to,
        rows_read=3,
        rows_landed=2,
        rows_quarantined=1,
        rows_filtered=0,
        bytes=10,
        landed_at=NOON + timedelta(minutes=minutes),
        parquet_sha256="dd",
        key_id="ee",
        undeclared_columns=("x", "y"),
    )


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return load_bank(write_bank(tmp_path / "bank"))


def test_what_is_written_is_read_back_in_an_order_that_is_not_that_of_arrival(tmp_path: Path) -> None:
    first, second = entry("a1", known_on=date(2024, 1, 1), minutes=5), entry("b2", minutes=9)
    for item in (first, second):
        write_entry(tmp_path, item)
    assert read_ledger(tmp_path, "small") == [second, first]
    assert read_ledger(tmp_path, "another") == []


def test_a_half_written_entry_does_not_exist(tmp_path: Path) -> None:
    write_entry(tmp_path, entry("a1"))
    (tmp_path / "small/ledger/.b2.tmp").write_text('{"delivery_id": "b')
    assert [item.delivery_id for item in read_ledger(tmp_path, "small")] == ["a1"]


def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    write_entry(tmp_path, entry("a1"))
    path = tmp_path / "small/ledger/a1.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(UserError, match=r"a1\.json"):
        read_ledger(tmp_path, "small")


def test_a_delivery_is_another_one_if_anything_that_makes_it_changes() -> None:
    def identity(source: str = "s", known_on: date | None = None, operation: str = "upsert", sha: str = "x") -> str:
        return delivery_id("b", source, known_on, operation=operation, file_sha256=sha, landing_hash="h")

    others = [identity("t"), identity(known_on=date(2024, 1, 1)), identity(operation="delete"), identity(sha="y")]
    assert len({identity(), *others}) == 5


def test_one_delivery_counts_per_place_and_it_is_the_last_one_put_there() -> None:
    entries = [
        entry("old", minutes=0),
        entry("new", minutes=1),
        entry("day", known_on=date(2024, 1, 1), minutes=0),
        entry("gone", known_on=date(2024, 1, 1), minutes=2, operation="delete"),
        entry("other file", file="posting2.csv"),
    ]
    for order in permutations(entries):
        assert {item.delivery_id for item in in_force(order)} == {"new", "day", "gone", "other file"}


def test_as_of_an_initial_load_is_the_last_day_of_its_transactions(bank: Bank) -> None:
    entries = [
        entry("a", known_to=date(1994, 3, 30)),
        entry("b", source="contract", known_to=date(1998, 12, 31), file="contract.csv"),
    ]
    assert default_as_of(entries, bank) == date(1994, 3, 30)


def test_as_of_dated_deliveries_is_the_last_one_of_the_transactions(bank: Bank) -> None:
    entries = [
        entry("a", known_to=date(1994, 3, 30)),
        entry("b", known_on=date(1994, 4, 1), known_to=date(1994, 4, 1)),
        entry("c", known_on=date(1994, 4, 2), known_to=date(1994, 4, 2)),
        entry("d", source="contract", known_on=date(1994, 4, 9), file="contract.csv"),
        entry("e", known_on=date(1994, 4, 8), operation="delete"),
    ]
    assert default_as_of(entries, bank) == date(1994, 4, 2)


def test_as_of_ignores_what_no_longer_counts(bank: Bank) -> None:
    entries = [entry("a", known_to=date(1999, 1, 1)), entry("b", known_to=date(1994, 3, 30), minutes=1)]
    assert default_as_of(entries, bank) == date(1994, 3, 30)


@pytest.mark.parametrize("known_to", [None, KNOWN_FROM_THE_START])
def test_without_a_dated_row_there_is_no_as_of_date(known_to: date | None, bank: Bank) -> None:
    with pytest.raises(UserError, match="AS_OF=YYYY-MM-DD"):
        default_as_of([entry("a", known_to=known_to)], bank)


def test_as_of_of_real_deliveries(bank: Bank, tmp_path: Path) -> None:
    from warehouse.home import Home
    from warehouse.landing import land

    home = Home(tmp_path / "home")
    land(bank, write_data(tmp_path / "data"), home)
    assert default_as_of(read_ledger(home.landing, "small"), bank) == date(2021, 4, 2)
