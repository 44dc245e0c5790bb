"""Deliveries from a database: only what is news, nothing lost, nothing doubled. SQLite, so that they are quick."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opened_vault import plant_keys
from small_bank import SETTINGS as STRICT
from small_bank import write_bank

from dagster_project.lib.meta import delivery_table
from warehouse.database import open_warehouse
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import LandingResult, land
from warehouse.ledger import in_force, read_ledger
from warehouse.reconciliation import reconciliations
from warehouse.registration import register
from warehouse.sources.bank import Bank, load_bank
from warehouse.tombstones import ERASURES, hashed_ids
from warehouse.vault.files import append_line

#: Contracts are few here: that all of them go is no fault.
SETTINGS = STRICT + "deletes: {maximum_share: 1}\n"
VARIABLE = "SMALL_BANK_URL"
TODAY = date(2024, 3, 1)
MAPPING = """\
bank: small
sources:
  branch:
    source_system: core
    database: {url_from: SMALL_BANK_URL, table: branch}
    key: [branch_id]
    columns:
      branch_id: {type: BIGINT, required: true}
      town: {}
  person:
    source_system: core
    database:
      url_from: SMALL_BANK_URL
      query: select person_id, full_name, changed_at, gone from person
      cursor: changed_at
      overlap: 1 hour
    key: [person_id]
    record: person_id
    known_on: cast(changed_at as date)
    deleted_when: gone = '1'
    columns:
      person_id: {type: BIGINT, required: true}
      full_name: {personal_data: direct_identifier}
      changed_at: {type: TIMESTAMP, required: true}
      gone: {}
  contract:
    source_system: core
    database:
      url_from: SMALL_BANK_URL
      table: contract
      deletes: {keys: true}
    key: [contract_id]
    known_on: opened_on
    columns:
      contract_id: {type: BIGINT, required: true}
      person_id: {type: BIGINT}
      opened_on: {type: DATE, required: true}
  posting:
    source_system: core
    database:
      url_from: SMALL_BANK_URL
      table: posting
      cursor: posting_id
      overlap: "2"
      deletes: {query: select posting_id from posting_deleted}
      reconcile: {day: booked_at, amount: amount}
    key: [posting_id]
    known_on: cast(booked_at as date)
    columns:
      posting_id: {type: BIGINT, required: true}
      contract_id: {type: BIGINT}
      booked_at: {type: TIMESTAMP, required: true}
      amount: {type: "DECIMAL(18,2)"}
tables:
  branches:
    - from: branch
      columns: {branch_id: branch_id, name: town}
  products:
    - rows: [{product_code: DEMAND, category: deposit_demand, side: liability}]
  customers:
    - from: person
      columns: {source_customer_id: person_id, party_type: "'personal'", name: full_name}
  accounts:
    - from: contract
      columns:
        account_id: contract_id
        source_customer_id: person_id
        product_code: "'DEMAND'"
        currency: "'CNY'"
        opened_on: opened_on
  transactions:
    - from: posting
      columns:
        transaction_id: posting_id
        account_id: contract_id
        posted_at: bank_time_to_utc(booked_at)
        currency: "'CNY'"
        amount: amount
"""
ROWS = """
create table branch (branch_id integer, town text);
insert into branch values (1, 'Hangzhou'), (2, 'Ningbo');
create table person (person_id integer, full_name text, changed_at text, gone text);
insert into person values (1, 'Zhang San', '2020-01-05 10:00:00', '0'), (2, 'Li Si', '2020-02-05 10:00:00', '0');
create table contract (contract_id integer, person_id integer, opened_on text);
insert into contract values (10, 1, '2021-03-01'), (11, 2, '2021-04-01');
create table posting (posting_id integer, contract_id integer, booked_at text, amount text);
insert into posting values (100, 10, '2021-03-02 09:00:00', '50.00'), (101, 11, '2021-04-02 23:30:00', '-1.00');
create table posting_deleted (posting_id integer);
"""


class SmallDatabase:
    """A source of a few tables, its bank, and a home."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, mapping: str = MAPPING) -> None:
        self.file = folder / "core.db"
        monkeypatch.setenv(VARIABLE, f"sqlite:///{self.file}")
        self.folder = folder
        self.bank = self.with_mapping(mapping)
        self.home = Home(folder / "home")
        self.run(ROWS)

    def with_mapping(self, mapping: str, settings: str = SETTINGS) -> Bank:
        self.bank = load_bank(write_bank(self.folder / "bank", mapping, settings))
        return self.bank

    def run(self, script: str) -> None:
        connection = sqlite3.connect(self.file)
        connection.executescript(script)
        connection.commit()
        connection.close()

    def land(self, day: date = TODAY) -> dict[tuple[str, str], LandingResult]:
        results = land(self.bank, self.folder, self.home, delivered_on=day)
        return {(result.entry.source, result.entry.operation): result for result in results}

    def rows(self, result: LandingResult) -> list[dict[str, object]]:
        return pq.read_table(result.entry.parquet_path(self.home.landing)).to_pylist()

    def warehouse(self) -> dict[str, list[tuple[object, ...]]]:
        """The rows that count in the end, by table."""
        entries = read_ledger(self.home.landing, "small")
        file = self.folder / "w.duckdb"
        file.unlink(missing_ok=True)
        with open_warehouse(file, self.bank.settings.resources, self.folder / "spill") as connection:
            register(connection, self.bank, self.home.landing, entries)
            return {
                table: connection.execute(
                    f"select * exclude (known_on, operation, delivery_id, is_known_on_assumed, landed_at, batch, "
                    f"source_row, row_hash) from (select *, row_number() over (partition by {key} order by "
                    f"known_on desc, operation asc, delivery_id desc, source_row desc) as nth from raw.{table}) "
                    "where nth = 1 and operation = 'upsert' order by all"
                ).fetchall()
                for table, key in (
                    ("branches", "branch_id"),
                    ("customers", "source_customer_id"),
                    ("accounts", "account_id"),
                    ("transactions", "transaction_id"),
                )
            }


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallDatabase:
    return SmallDatabase(tmp_path, monkeypatch)


def counts(result: LandingResult) -> tuple[int, int, int]:
    entry = result.entry
    assert entry.rows_lost == 0
    return entry.rows_read, entry.rows_landed, entry.rows_unchanged


def test_the_first_delivery_is_an_initial_load_with_the_rows_own_dates(source: SmallDatabase) -> None:
    landed = source.land()
    person = landed["person", "upsert"]
    assert person.entry.known_on is None
    assert person.entry.watermark == "2020-02-05 10:00:00"
    assert [row["_known_on"] for row in source.rows(person)] == [date(2020, 1, 5), date(2020, 2, 5)]
    assert landed["posting", "upsert"].entry.watermark == "101"
    assert all(row["full_name"] not in ("Zhang San", "Li Si") for row in source.rows(person))


def test_a_later_delivery_reads_from_the_watermark_on_and_lands_only_what_changed(source: SmallDatabase) -> None:
    source.land()
    source.run(
        "insert into person values (3, 'Wang Wu', '2024-02-29 08:00:00', '0');"
        "insert into posting values (102, 10, '2024-02-29 08:00:00', '7.00');"
        "update posting set amount = '51.00' where posting_id = 100;"
    )
    landed = source.land()
    assert counts(landed["person", "upsert"]) == (2, 1, 1)
    # 101 - 2 = 99: the overlap reads three rows again, of which one was corrected and one is new.
    assert counts(landed["posting", "upsert"]) == (3, 2, 1)
    assert counts(landed["branch", "upsert"]) == (2, 0, 2)
    assert {row["_known_on"] for row in source.rows(landed["posting", "upsert"])} == {TODAY}


def test_what_is_told_of_a_database_speaks_of_no_file_and_of_one_row(
    source: SmallDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.land()
    source.run("insert into branch values (3, 'Wenzhou'); alter table contract rename column opened_on to begun_on;")
    told: list[str] = []
    land(source.bank, source.folder, source.home, told.append, TODAY)
    (branch,) = [line for line in told if line.startswith("branch: ")]
    assert "1 row landed" in branch
    (stopped,) = [line for line in told if line.startswith("contract stands still")]
    assert "correct the table or query of the database" in stopped
    assert "correct the file" not in stopped


def test_extracting_again_on_the_same_date_changes_nothing_or_takes_the_place(source: SmallDatabase) -> None:
    source.land()
    source.run("insert into posting values (102, 10, '2024-02-29 08:00:00', '7.00')")
    first = source.land()["posting", "upsert"]
    assert first.is_new
    again = source.land()["posting", "upsert"]
    assert not again.is_new
    source.run("insert into posting values (103, 10, '2024-02-29 09:00:00', '8.00')")
    third = source.land()["posting", "upsert"]
    assert third.entry.supersedes == first.entry.delivery_id
    assert third.entry.rows_landed == 2
    standing = in_force(read_ledger(source.home.landing, "small"))
    assert sum(entry.rows_landed for entry in standing if entry.source == "posting") == 4


def test_keys_that_are_gone_are_deleted_and_come_back(source: SmallDatabase) -> None:
    source.land()
    source.run("delete from contract where contract_id = 11")
    deleted = source.land()["contract", "delete"]
    assert [(row["contract_id"], row["_operation"]) for row in source.rows(deleted)] == [("11", "delete")]
    assert len(source.warehouse()["accounts"]) == 1
    source.run("insert into contract values (11, 2, '2021-04-01')")
    back = source.land(TODAY + timedelta(days=1))
    assert back["contract", "upsert"].entry.rows_landed == 1
    assert len(source.warehouse()["accounts"]) == 2


def test_listed_deletes_are_landed_once_and_not_what_came_back_since(source: SmallDatabase) -> None:
    source.land()
    source.run("delete from posting where posting_id = 100; insert into posting_deleted values (100), (101);")
    landed = source.land()
    # 101 is listed and is there: whoever lists it did not know yet that it came back.
    assert [row["posting_id"] for row in source.rows(landed["posting", "delete"])] == ["100"]
    assert ("posting", "delete") not in source.land(TODAY + timedelta(days=1))


def test_deletions_of_most_of_a_source_are_refused_with_their_counts(source: SmallDatabase) -> None:
    source.with_mapping(MAPPING, STRICT)
    source.run("insert into contract values (12, 2, '2021-05-01')")
    source.land()
    source.run("delete from contract where contract_id <> 10")
    with pytest.raises(UserError, match="too many deletions") as refused:
        source.land()
    assert "2 of 3 keys (66.67%) are gone; the source has 1 now" in str(refused.value)
    assert "at most 50.00% (bank.yml: deletes.maximum_share)" in str(refused.value)
    assert len(source.warehouse()["accounts"]) == 3
    # What is allowed, in words that say what it is.
    source.run("insert into contract values (12, 2, '2021-05-01')")
    said: list[str] = []
    land(source.bank, source.folder, source.home, said.append, TODAY)
    assert any(line.startswith("contract: (database): 1 deletion landed") for line in said)
    assert len(source.warehouse()["accounts"]) == 2


def test_unchanged_deletions_of_one_date_are_the_same_delivery(source: SmallDatabase) -> None:
    source.land()
    source.run(
        "delete from contract where contract_id = 11; delete from posting where posting_id = 100; "
        "insert into posting_deleted values (100);"
    )
    first = source.land()
    again = source.land()
    for name in ("contract", "posting"):
        assert first[name, "delete"].is_new
        assert not again[name, "delete"].is_new
        assert again[name, "delete"].entry.delivery_id == first[name, "delete"].entry.delivery_id
    told = delivery_table(in_force(read_ledger(source.home.landing, "small"))).frame.to_pylist()
    assert sum(row["operation"] == "delete" for row in told) == 2


def test_a_row_that_says_it_is_deleted_deletes_its_key(source: SmallDatabase) -> None:
    source.land()
    source.run("update person set gone = '1', changed_at = '2024-02-29 10:00:00' where person_id = 2")
    rows = source.rows(source.land()["person", "upsert"])
    assert [(row["person_id"], row["_operation"]) for row in rows] == [("2", "delete")]
    assert len(source.warehouse()["customers"]) == 1


def test_a_trial_takes_some_rows_and_leaves_no_watermark(source: SmallDatabase) -> None:
    trial = MAPPING.replace("table: posting\n", "table: posting\n      limit: 1\n")
    source.with_mapping(trial)
    entry = source.land()["posting", "upsert"].entry
    assert (entry.rows_landed, entry.watermark, entry.is_trial) == (1, None, True)
    source.with_mapping(MAPPING)
    whole = source.land()["posting", "upsert"].entry
    assert (whole.rows_landed, whole.known_on, whole.supersedes) == (2, None, entry.delivery_id)


def test_a_date_before_the_last_one_is_refused(source: SmallDatabase) -> None:
    source.land()
    source.land(TODAY)
    with pytest.raises(UserError, match="later date already"):
        source.land(TODAY - timedelta(days=1))


def test_differences_from_the_source_are_listed_to_the_row(source: SmallDatabase) -> None:
    source.land()
    assert [found.is_equal for found in reconciliations(source.home, "small")] == [True]
    # Changed behind the cursor, out of reach of the overlap: only the sums show it.
    source.run(
        "insert into posting values (102, 10, '2024-02-01 08:00:00', '1.00'), "
        "(103, 10, '2024-02-01 08:00:00', '1.00'), (104, 10, '2024-02-01 08:00:00', '1.00');"
    )
    source.land()
    source.run("update posting set amount = '99.00' where posting_id = 100")
    source.land(TODAY + timedelta(days=1))
    (found,) = reconciliations(source.home, "small")
    assert [(day.day, day.amount_source, day.amount_landed) for day in found.differing_days] == [
        ("2021-03-02", "99", "50")
    ]
    assert [(row.key, row.amount_source, row.amount_landed) for row in found.rows] == [("100", "99", "50")]
    assert (found.rows_source, found.rows_landed) == (5, 5)
    # Once somebody was erased, a row that only the source has may be theirs: its day is told, the row is not.
    source.run("insert into posting values (99, 10, '2021-03-02 09:00:00', '7.00')")
    line = {"bank": "small", "record_ids": [], "customers": [], "accounts": hashed_ids("account", [("core", "77")])}
    append_line(source.home.decisions / ERASURES, line)
    source.land(TODAY + timedelta(days=2))
    (found,) = reconciliations(source.home, "small")
    assert [(day.day, day.rows_source, day.rows_landed) for day in found.differing_days] == [("2021-03-02", 2, 1)]
    assert [row.key for row in found.rows] == ["100"]


def test_a_difference_behind_the_cursor_is_found_and_stays_until_it_is_gone(source: SmallDatabase) -> None:
    # The day that is reconciled is the cursor too.
    source.with_mapping(
        MAPPING.replace('cursor: posting_id\n      overlap: "2"', "cursor: booked_at\n      overlap: 1 day")
    )
    source.land()
    source.run("update posting set amount = '99.00' where posting_id = 100")
    for later in (1, 2):
        source.land(TODAY + timedelta(days=later))
        (found,) = reconciliations(source.home, "small")
        assert [(day.day, day.amount_source, day.amount_landed) for day in found.differing_days] == [
            ("2021-03-02", "99", "50")
        ]
        assert found.days == 2
    source.run("update posting set amount = '50.00' where posting_id = 100")
    source.land(TODAY + timedelta(days=3))
    assert [found.is_equal for found in reconciliations(source.home, "small")] == [True]


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("post"), st.integers(1, 999)),
        st.tuples(st.just("rename"), st.integers(1, 2)),
        st.tuples(st.just("town"), st.integers(1, 3)),
        st.tuples(st.just("open"), st.integers(12, 14)),
        st.tuples(st.just("close"), st.integers(10, 14)),
        st.tuples(st.just("run"), st.integers(0, 2)),
    ),
    min_size=3,
    max_size=9,
)


@pytest.mark.slow
@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    # Each example runs some ten deliveries: shrinking one would take minutes.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=CHANGES)
def test_many_deliveries_give_the_warehouse_of_one_full_load(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, changes: list[tuple[str, int]]
) -> None:
    # The same keys in both homes, so that records have the same ids.
    monkeypatch.setenv("MAINBANK_VAULT_KEY", "ab" * 32)
    folder = tmp_path_factory.mktemp("many")
    many = SmallDatabase(folder, monkeypatch)
    plant_keys(many.home, "ab" * 32)
    many.land()
    day, posting = TODAY, 200
    for at, (kind, number) in enumerate(changes):
        moment = f"2024-03-01 10:{at:02d}:00"
        if kind == "post":
            posting += 1
            many.run(f"insert into posting values ({posting}, 10, '{moment}', '{number}.00')")
        elif kind == "rename":
            many.run(f"update person set full_name = 'N{at}', changed_at = '{moment}' where person_id = {number}")
        elif kind == "town":
            many.run(f"delete from branch where branch_id = {number}; insert into branch values ({number}, 'T{at}')")
        elif kind == "open":
            many.run(
                f"insert into contract select {number}, 1, '2024-03-01' "
                f"where not exists (select 1 from contract where contract_id = {number})"
            )
        elif kind == "close":
            many.run(f"delete from contract where contract_id = {number}")
        else:
            day += timedelta(days=number)
            many.land(day)
    many.land(day)
    once = tmp_path_factory.mktemp("once")
    full = SmallDatabase.__new__(SmallDatabase)
    full.folder, full.bank, full.home, full.file = once, many.bank, Home(once / "home"), many.file
    plant_keys(full.home, "ab" * 32)
    full.land(day)
    assert many.warehouse() == full.warehouse()


RENAMED_AT_THE_SOURCE = (
    "alter table posting rename column amount to amount_cny; alter table posting rename column posting_id to id;"
    "alter table person rename column full_name to name;"
    "insert into posting values (102, 10, '2024-02-29 08:00:00', '7.00'); delete from posting where id = 100;"
    "insert into posting_deleted values (100);"
)


def test_columns_renamed_at_the_source_keep_their_name_their_values_and_their_tokens(source: SmallDatabase) -> None:
    source.land()
    before = source.warehouse()
    source.run(RENAMED_AT_THE_SOURCE)
    source.with_mapping(
        MAPPING.replace(
            '      amount: {type: "DECIMAL(18,2)"}', "      amount: {type: 'DECIMAL(18,2)', delivered_as: [amount_cny]}"
        )
        .replace(
            "posting_id: {type: BIGINT, required: true}",
            "posting_id: {type: BIGINT, required: true, delivered_as: [id]}",
        )
        .replace("full_name: {", "full_name: {delivered_as: [formal_name, name], ")
        .replace("query: select person_id, full_name, changed_at, gone", "query: select *")
    )
    landed = source.land()
    # Rows, deleted keys, what is unchanged and what the source sums: all under the names of the mapping.
    assert counts(landed["posting", "upsert"]) == (2, 1, 1)
    assert counts(landed["posting", "delete"]) == (1, 1, 0)
    assert counts(landed["person", "upsert"]) == (1, 0, 1)
    assert landed["posting", "upsert"].entry.undeclared_columns == ()
    assert all(found.is_equal for found in reconciliations(source.home, "small"))
    after = source.warehouse()
    assert after["customers"] == before["customers"]
    amounts = [value for row in after["transactions"] for value in row if isinstance(value, Decimal)]
    assert amounts == [Decimal("-1.00"), Decimal("7.00")]


def test_a_column_renamed_in_the_mapping_itself_is_told_with_what_it_leaves_behind(source: SmallDatabase) -> None:
    source.land()
    source.run("alter table branch rename column town to city; insert into branch values (3, 'Wenzhou');")
    source.with_mapping(MAPPING.replace("town: {}", "city: {}").replace("name: town", "name: city"))
    told: list[str] = []
    land(source.bank, source.folder, source.home, told.append, TODAY)
    (line,) = [line for line in told if "no longer reads" in line]
    assert line.startswith("branch: 2 rows of 1 deliveries have town, which the mapping no longer reads, and no city")
    source.with_mapping(MAPPING.replace("town: {}", "town: {delivered_as: [city]}"))
    told.clear()
    land(source.bank, source.folder, source.home, told.append, date(2024, 3, 2))
    assert not [line for line in told if "no longer reads" in line]
    # Those that were landed under the other name meanwhile are not lost either.
    assert {"Hangzhou", "Ningbo", "Wenzhou"} <= {value for row in source.warehouse()["branches"] for value in row}
