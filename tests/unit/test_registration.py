"""Registration applies the mapping to what was landed: in any order, once, with every row accounted for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from small_bank import FILES, MAPPING, SETTINGS, write_bank, write_data

from warehouse import identity
from warehouse.contract import load_contract
from warehouse.database import open_warehouse
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import LedgerEntry, read_ledger
from warehouse.registration import RegistrationResult, build_fingerprint, current_fingerprint, register
from warehouse.sources.bank import Bank, load_bank


class Installed:
    """A small bank with its data and home below one folder."""

    def __init__(self, folder: Path, mapping: str = MAPPING, settings: str = SETTINGS) -> None:
        self.folder = folder
        self.bank: Bank = load_bank(write_bank(folder / "bank", mapping, settings))
        self.home = Home(folder / "home")
        self.data = folder / "data"

    def deliver(self, files: dict[str, str]) -> list[LedgerEntry]:
        land(self.bank, write_data(self.data, files), self.home)
        return self.ledger()

    def ledger(self) -> list[LedgerEntry]:
        return read_ledger(self.home.landing, self.bank.name)

    @contextmanager
    def open(self, name: str = "warehouse") -> Iterator[duckdb.DuckDBPyConnection]:
        path = self.home.root / f"{name}.duckdb"
        with open_warehouse(path, self.bank.settings.resources, self.home.temporary) as connection:
            yield connection

    def register(self, name: str = "warehouse", entries: list[LedgerEntry] | None = None) -> RegistrationResult:
        with self.open(name) as connection:
            result = register(connection, self.bank, self.home.landing, self.ledger() if entries is None else entries)
            identity.assign(connection, self.home, self.bank)
            return result

    def rows(self, query: str, name: str = "warehouse") -> list[tuple[object, ...]]:
        with self.open(name) as connection:
            return connection.execute(query).fetchall()

    def raw(self, name: str = "warehouse") -> dict[str, list[tuple[object, ...]]]:
        # landed_at and batch differ from run to run by their nature.
        names = {
            table: [column.name for column in spec.raw_columns if column.name not in ("landed_at", "batch")]
            for table, spec in load_contract().tables.items()
        }
        names["person_records"] = ["*"]
        with self.open(name) as connection:
            return {
                table: connection.execute(f"select {', '.join(kept)} from raw.{table} order by all").fetchall()
                for table, kept in names.items()
            }


@pytest.fixture
def small(tmp_path: Path) -> Installed:
    installed = Installed(tmp_path)
    installed.deliver(FILES)
    return installed


def test_landed_rows_become_rows_of_the_contract(small):
    result = small.register()
    assert result.rows_registered == {
        "branches": 2,
        "products": 2,
        "customers": 2,
        "accounts": 2,
        "transactions": 2,
    }
    assert sum(result.rows_rejected.values()) == 0
    accounts = small.rows(
        "select account_id, customer_source_system, source_customer_id, product_code, branch_id, known_on, "
        "is_known_on_assumed from raw.accounts order by 1"
    )
    assert accounts == [
        ("10", "core", "1", "DEMAND", "1", date(2021, 3, 1), True),
        ("11", "core", "2", "TERM", "2", date(2021, 4, 1), True),
    ]


def test_a_wall_clock_time_of_the_bank_becomes_utc(small):
    small.register()
    assert small.rows("select posted_at from raw.transactions order by transaction_id") == [
        (datetime(2021, 3, 2, 1, 0),),
        (datetime(2021, 4, 2, 15, 30),),
    ]


def test_a_clear_identifier_is_nowhere_in_the_warehouse(small):
    small.register()
    content = (small.home.root / "warehouse.duckdb").read_bytes()
    for clear in (b"Zhang San", b"Li Si", b"62220001"):
        assert clear not in content
    ((token, record),) = small.rows("select name_token, record_id from raw.customers where source_customer_id = '1'")
    assert token
    assert record
    assert small.rows("select record_id from raw.accounts where account_id = '10'") == [(record,)]


def test_a_table_nobody_maps_exists_typed_and_empty(small):
    small.register()
    with small.open() as connection:
        cursor = connection.execute("select as_of, pd from raw.loan_status")
        assert [str(kind) for _, kind, *_ in cursor.description or []] == ["DATE", "DECIMAL(9,6)"]
        assert cursor.fetchall() == []


def test_registering_twice_changes_nothing(small):
    small.register()
    before = small.raw()
    again = small.register()
    assert again.batch is None
    assert not again.changed_tables
    assert small.raw() == before


def test_a_code_without_translation_is_null_and_counted(tmp_path):
    installed = Installed(tmp_path)
    files = FILES | {
        "posting.csv": "posting_id,contract_id,booked_at,amount,why,other_side\n"
        "1,10,2021-03-02 09:00:00,1,S,\n2,10,2021-03-02 09:00:00,1,Q,\n3,10,2021-03-02 09:00:00,1,Q,\n"
        "4,10,2021-03-02 09:00:00,1,X,\n5,10,2021-03-02 09:00:00,1,,\n"
    }
    installed.deliver(files)
    result = installed.register()
    # X is known and means nothing in the contract; an empty code is no code.
    assert result.untranslated_codes == (("transactions", "kind", "why", "Q", 2),)
    assert installed.rows("select count(*) from raw.transactions where kind is null") == [(4,)]


def test_a_code_of_a_classed_column_is_counted_and_not_shown(tmp_path):
    installed = Installed(tmp_path)
    installed.deliver(FILES | {"person.csv": FILES["person.csv"].replace(",F,", ",Unusual,")})
    assert installed.register().untranslated_codes == (("customers", "gender", "sex", "***", 1),)


def test_a_row_the_contract_cannot_take_is_counted_with_its_reason(tmp_path):
    installed = Installed(tmp_path)
    installed.deliver(
        FILES
        | {
            "posting.csv": FILES["posting.csv"] + "102,10,2021-04-03 00:00:00,,S,\n103,,2021-04-03 00:00:00,,S,\n",
            "person.csv": FILES["person.csv"] + "3,Wang Wu,M,-5.00,2020-01-01,1\n",
        }
    )
    result = installed.register()
    assert result.rows_rejected["transactions"] == 2
    assert result.rows_rejected["customers"] == 1
    assert installed.rows(
        "select table_name, source_row, column_name, reason from bookkeeping.rejected_row order by all"
    ) == [
        ("customers", 3, "annual_income", "below 0"),
        ("transactions", 3, "amount", "required and absent"),
        ("transactions", 4, "account_id", "required and absent"),
        ("transactions", 4, "amount", "required and absent"),
    ]
    lost = installed.rows(
        """
        select rows_registered + rows_rejected from bookkeeping.registration where table_name = 'transactions'
        """
    )
    assert lost == [(4,)]


def test_a_number_that_does_not_fit_is_rejected_and_not_bent(tmp_path):
    mapping = MAPPING.replace(
        "        opened_on: opened_on\n", "        opened_on: opened_on\n        rate: share_of\n"
    )
    installed = Installed(tmp_path, mapping)
    installed.deliver(FILES | {"contract.csv": FILES["contract.csv"] + "12,1,D,2021-05-01,123456789\n"})
    installed.register()
    assert installed.rows("select column_name, reason from bookkeeping.rejected_row") == [
        ("rate", "does not fit DECIMAL(12,8)")
    ]


def test_an_expression_that_fails_on_a_row_is_a_clear_error_and_nothing_is_registered(tmp_path):
    mapping = MAPPING.replace("name: town", 'name: "cast(cast(town as integer) as varchar)"')
    installed = Installed(tmp_path, mapping)
    installed.deliver(FILES)
    with pytest.raises(UserError) as refused:
        installed.register()
    assert "tables.branches[0]" in str(refused.value)
    assert "Hangzhou" not in str(refused.value)
    assert installed.rows("select count(*) from duckdb_tables() where schema_name = 'raw'") == [(0,)]


def test_a_lookup_that_finds_two_rows_for_a_key_is_refused(tmp_path):
    mapping = MAPPING.replace("on: {person_id: person_id}", "on: {branch_id: person_id}")
    installed = Installed(tmp_path, mapping)
    installed.deliver(FILES | {"person.csv": FILES["person.csv"].replace("2020-02-05,2", "2020-02-05,1")})
    with pytest.raises(UserError) as refused:
        installed.register()
    assert "finds 2 rows of person" in str(refused.value)
    assert "branch_id = 1" in str(refused.value)
    assert "lookups.owner" in str(refused.value)


PERSON_HEADER = "person_id,full_name,sex,income,joined_on,branch_id\n"
#: Later deliveries: a correction, a move of a customer to another branch, a new contract whose owner comes a day
#: later, a deletion.
LATER = [
    {"2022/01/10/posting.csv": "posting_id,contract_id,booked_at,amount,why,other_side\n"
     "101,11,2021-04-02 23:30:00,-2.00,F,\n102,10,2022-01-09 12:00:00,7.00,S,62220001\n"},
    {"2022/01/11/person.csv": PERSON_HEADER + "1,Zhang San,M,1000.00,2020-01-05,2\n"},
    {"2022/01/12/contract.csv": "contract_id,person_id,kind,opened_on,share_of\n12,3,D,2022-01-12,1\n"},
    {"2022/01/13/person.csv": PERSON_HEADER + "3,Wang Wu,M,5.00,2022-01-13,1\n"},
    {"2022/01/14/deletes/person.csv": "person_id\n2\n"},
]  # fmt: skip


def test_a_correction_of_a_looked_up_row_is_a_new_version_from_the_day_it_was_known(small):
    small.deliver(LATER[1])
    small.register()
    versions = small.rows(
        "select account_id, branch_id, known_on, is_known_on_assumed from raw.accounts order by account_id, known_on"
    )
    assert versions == [
        ("10", "1", date(2021, 3, 1), True),
        ("10", "2", date(2022, 1, 11), False),
        ("11", "2", date(2021, 4, 1), True),
    ]


def test_an_owner_who_comes_after_the_contract_completes_it_from_that_day(small):
    small.deliver(LATER[2])
    small.deliver(LATER[3])
    small.register()
    assert small.rows(
        "select source_customer_id, customer_source_system, known_on from raw.accounts "
        "where account_id = '12' order by known_on"
    ) == [(None, None, date(2022, 1, 12)), ("3", "core", date(2022, 1, 13))]


def test_a_deletion_needs_no_more_than_the_key(small):
    small.deliver(LATER[4])
    result = small.register()
    assert sum(result.rows_rejected.values()) == 0
    assert small.rows("select source_customer_id, known_on from raw.customers where operation = 'delete'") == [
        ("2", date(2022, 1, 14))
    ]
    # What it was looked up for is unknown from that day.
    assert small.rows("select branch_id, known_on from raw.accounts where account_id = '11' order by known_on") == [
        ("2", date(2021, 4, 1)),
        (None, date(2022, 1, 14)),
    ]


@pytest.mark.parametrize("order", [(4, 3, 2, 1, 0), (2, 0, 4, 1, 3)])
def test_deliveries_registered_in_any_order_give_the_same_rows_as_all_at_once(tmp_path, order):
    installed = Installed(tmp_path)
    installed.deliver(FILES)
    for files in LATER:
        installed.deliver(files)
    entries = installed.ledger()
    installed.register("at_once")
    by_day = sorted({entry.known_on for entry in entries if entry.known_on})
    initial = [entry for entry in entries if entry.known_on is None]
    arrived: list[LedgerEntry] = []
    for position in order:
        arrived += [entry for entry in entries if entry.known_on == by_day[position]]
        installed.register("bit_by_bit", arrived)
    # The initial load comes last of all.
    installed.register("bit_by_bit", arrived + initial)
    assert installed.raw("bit_by_bit") == installed.raw("at_once")
    booked = "select * exclude (batch) from bookkeeping.registration order by all"
    assert installed.rows(booked, "bit_by_bit") == installed.rows(booked, "at_once")


def test_a_file_delivered_again_with_other_content_takes_the_place_of_the_first(small):
    small.register()
    small.deliver({"branch.csv": "branch_id,town\n1,Hangzhou\n2,Ningbo\n3,Wenzhou\n"})
    result = small.register()
    assert result.rows_withdrawn["branches"] == 2
    assert result.rows_registered["branches"] == 3
    assert "customers" not in result.changed_tables
    assert small.rows("select count(*), count(distinct delivery_id) from raw.branches") == [(3, 1)]


def test_the_number_of_a_withdrawn_batch_is_not_given_again(small):
    small.register()
    small.deliver({"2022/01/10/posting.csv": FILES["posting.csv"]})
    second = small.register()
    # As many rows in the place of the last delivery: a reader that remembers the batch must see that they are new.
    small.deliver({"2022/01/10/posting.csv": FILES["posting.csv"].replace("50.00", "51.00")})
    third = small.register()
    assert third.rows_withdrawn == {"transactions": 2}
    assert second.batch is not None
    assert third.batch is not None
    assert third.batch > second.batch
    assert small.rows("select max(batch) from raw.transactions") == [(third.batch,)]


def test_rows_that_a_looked_up_delivery_does_not_change_keep_their_batch(small):
    first = small.register()
    small.deliver(LATER[1])
    second = small.register()
    assert second.rows_registered["accounts"] == 1
    assert second.rows_withdrawn == {}
    assert small.rows("select account_id, batch from raw.accounts order by all") == [
        ("10", first.batch),
        ("10", second.batch),
        ("11", first.batch),
    ]


def test_a_changed_mapping_is_registered_again_from_landing_into_a_new_file(small):
    small.register()
    changed = Installed(small.folder, MAPPING.replace("S: salary", "S: transfer"))
    assert build_fingerprint(changed.bank) != build_fingerprint(small.bank)
    with pytest.raises(UserError, match="another mapping, contract or bank"):
        changed.register()
    changed.register("new")
    assert changed.rows("select kind from raw.transactions order by transaction_id", "new") == [("transfer",), ("fee",)]
    with changed.open("new") as connection:
        assert current_fingerprint(connection) == build_fingerprint(changed.bank)


def test_an_empty_warehouse_has_no_fingerprint(small):
    with small.open("empty") as connection:
        assert current_fingerprint(connection) is None


def test_a_missing_landed_file_is_named(small):
    entry = next(entry for entry in small.ledger() if entry.source == "branch")
    entry.parquet_path(small.home.landing).unlink()
    with pytest.raises(UserError) as refused:
        small.register()
    assert entry.delivery_id in str(refused.value)


def test_a_person_is_named_for_good_by_the_first_known_version_of_the_record(small):
    small.register()
    name = hashlib.sha256(b"2020-01-05|core|1").hexdigest()[:16]
    assert small.rows("select person_id from raw.person_records where source_customer_id = '1'") == [(name,)]
    small.deliver(
        {
            "2022/01/11/person.csv": "person_id,full_name,sex,income,joined_on,branch_id\n"
            "1,Zhang San,M,1.00,1999-01-05,2\n"
        }
    )
    small.register()
    assert small.rows("select person_id from raw.person_records where source_customer_id = '1'") == [(name,)]


def test_rows_that_differ_have_different_hashes_and_equal_rows_the_same(small):
    small.deliver({"2022/01/11/branch.csv": "branch_id,town\n1,Hangzhou\n2,Ningbo (new)\n"})
    small.register()
    hashes = small.rows(
        "select branch_id, count(*), count(distinct row_hash) from raw.branches group by all order by 1"
    )
    assert hashes == [("1", 2, 1), ("2", 2, 2)]
