"""From an address to a checked mapping: `sources init`, `sources check`, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_bank import SETTINGS, write_bank
from test_increments import MAPPING, VARIABLE, SmallDatabase
from typer.testing import CliRunner

from dagster_project.cli import application
from warehouse.errors import UserError
from warehouse.sources.bank import load_bank, read_settings
from warehouse.sources.database import DIALECTS, Address, message_of, read_statement
from warehouse.sources.proposal import propose
from warehouse.sources.specification import DatabaseSpec, SourceColumn
from warehouse.trial import check_bank


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallDatabase:
    return SmallDatabase(tmp_path, monkeypatch)


def test_a_mapping_is_proposed_with_keys_cursors_and_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = SmallDatabase(tmp_path, monkeypatch)
    database.run(
        "create table customers (source_customer_id integer primary key, party_type text not null, name text, "
        "mobile text, born_on date, income decimal(12,2), updated_at timestamp);"
    )
    monkeypatch.setenv("CORE_URL", f"sqlite:///{database.file}")
    outcome = CliRunner().invoke(application, ["sources", "init", "CORE_URL", "--out", str(tmp_path / "made")])
    assert outcome.exit_code == 0, outcome.output
    text = (tmp_path / "made" / "mapping.yml").read_text()
    for line in (
        "url_from: CORE_URL",
        "key: [source_customer_id]",
        "cursor: updated_at",
        "mobile: {personal_data: direct_identifier}",
        "born_on: {type: DATE, personal_data: quasi_identifier}",
        'income: {type: "DECIMAL(12,2)"}',
        "party_type: {required: true}",
        "# accounts is needed: no table of a name like it was found",
    ):
        assert line in text, line
    assert str(database.file) not in text
    assert "bank: made" in text.splitlines()
    settings = (tmp_path / "made" / "bank.yml").read_text()
    assert 'name: {en: "made", zh: "made"}' in settings
    assert "environment: production" in settings
    assert "ample bank" not in settings
    # whose currency and hours nobody stated, no figure may be made of
    with pytest.raises(UserError, match="ISO 4217"):
        read_settings(tmp_path / "made" / "bank.yml", load_bank(write_bank(tmp_path / "other")).mapping)
    again = CliRunner().invoke(application, ["sources", "init", "CORE_URL", "--out", str(tmp_path / "made")])
    assert isinstance(again.exception, UserError)


@pytest.mark.parametrize(
    ("table", "feeds"),
    [
        ("card_customers", "customers"),
        ("core_banking_account", "accounts"),
        ("t_transactions", "transactions"),
        ("loan_status", "loan_status"),
        ("customer_accounts", None),
        ("weather", None),
    ],
)
def test_a_table_is_recognised_whatever_system_its_name_begins_with(
    table: str, feeds: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = SmallDatabase(tmp_path, monkeypatch)
    database.run(f"create table {table} (some_id text primary key);")
    text = propose(Address.from_environment(VARIABLE, "test"), VARIABLE)
    part = text.split("\ntables:")[1].split(f"    - from: {table}\n")
    assert (part[0].split()[-1] if len(part) > 1 else None) == (f"{feeds}:" if feeds else None)


def test_a_proposed_mapping_that_is_completed_can_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = SmallDatabase(tmp_path, monkeypatch)
    database.run(
        "create table branches (branch_id text primary key);"
        "create table products (product_code text primary key, category text not null);"
        "create table customers (source_customer_id text primary key, party_type text not null);"
        "create table accounts (account_id text primary key, product_code text not null, currency text not null, "
        "opened_on date not null);"
        "create table transactions (transaction_id text primary key, account_id text not null, posted_at timestamp "
        "not null, currency text not null, amount decimal(18,2) not null);"
        "drop table branch; drop table person; drop table contract; drop table posting; drop table posting_deleted;"
    )
    text = propose(Address.from_environment(VARIABLE, "test"), VARIABLE)
    bank = load_bank(write_bank(tmp_path / "proposed", text, SETTINGS))
    assert {"branches", "products", "customers", "accounts", "transactions"} <= set(bank.mapping.tables)


def test_the_times_of_the_contract_are_cursors_and_say_when_rows_were_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = SmallDatabase(tmp_path, monkeypatch)
    database.run(
        "create table balances (account_id text, balance_on date, balance decimal(18,2), "
        "primary key (account_id, balance_on));"
        "create table payment_schedule (account_id text, due_on date, primary key (account_id, due_on));"
        "create table gl_balances (branch_id text, month date, primary key (branch_id, month));"
        "create table complaints (complaint_id text primary key);"
    )
    text = propose(Address.from_environment(VARIABLE, "test"), VARIABLE)
    part = {
        name: text[text.index(f"\n  {name}:\n") :].split("    columns:")[0]
        for name in ("balances", "payment_schedule", "gl_balances", "complaints")
    }
    assert "cursor: balance_on" in part["balances"]
    assert "    known_on: balance_on\n" in part["balances"]
    # Payments that are due lie ahead of those that are added later.
    assert "cursor: " not in part["payment_schedule"]
    assert "    known_on: due_on\n" in part["payment_schedule"]
    assert "known_on: cast(last_day(month) as date)" in part["gl_balances"]
    assert "    known_on: " not in part["complaints"]
    assert "# known_on: no time found by name" in part["complaints"]


def test_a_check_warns_of_rows_known_before_they_happened(source: SmallDatabase) -> None:
    def warned() -> list[str]:
        return [line.where for line in check_bank(source.bank) if "look-ahead" in line.what]

    assert warned() == []
    source.with_mapping(MAPPING.replace("    known_on: cast(booked_at as date)\n", ""))
    assert warned() == ["sources.posting"]


def test_a_check_connects_and_judges_a_sample_and_lands_nothing(source: SmallDatabase) -> None:
    source.run(
        "insert into posting values (102, 10, 'yesterday', '7.00'); alter table person add column nick_name text;"
    )
    lines = check_bank(source.bank)
    said = "\n".join(f"{line.status} {line.where} {line.what}" for line in lines)
    assert "of 3 rows sampled 2 would be landed, 1 quarantined: booked_at: not a TIMESTAMP (1)" in said
    assert "posting_id less 2 on" in said
    assert not any(line.status == "error" for line in lines)
    assert not source.home.landing.exists()
    source.with_mapping(
        MAPPING.replace("select person_id, full_name, changed_at, gone from person", "select * from person")
    )
    said = "\n".join(line.what for line in check_bank(source.bank))
    assert "to take it: nick_name: {personal_data: direct_identifier}" in said


def test_a_key_that_is_not_known_is_refused_until_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = SmallDatabase(tmp_path, monkeypatch)
    database.run("create table branches (town text, branch_id text);")
    text = propose(Address.from_environment(VARIABLE, "test"), VARIABLE)
    assert "key: [TODO]  # no primary key" in text
    with pytest.raises(UserError, match="TODO"):
        load_bank(write_bank(tmp_path / "proposed", text, SETTINGS))


def test_a_check_refuses_a_key_that_does_not_tell_rows_apart(source: SmallDatabase) -> None:
    source.run("insert into posting values (102, 10, '2021-05-02 09:00:00', '5.00')")
    assert not any(line.status == "error" for line in check_bank(source.bank))
    source.with_mapping(
        MAPPING.replace("      deletes: {query: select posting_id from posting_deleted}\n", "").replace(
            "    key: [posting_id]", "    key: [contract_id]"
        )
    )
    (error,) = [line for line in check_bank(source.bank) if line.status == "error"]
    assert error.where == "sources.posting.key"
    assert "3 rows sampled have 2 keys, one of them 2 times" in error.what


def test_versions_of_a_record_are_no_fault_and_rows_that_are_told_apart_by_nothing_are(source: SmallDatabase) -> None:
    source.run("insert into person values (1, 'Zhang San', '2023-01-05 10:00:00', '0')")
    source.with_mapping(MAPPING.replace("name: full_name}", "name: full_name, updated_at: changed_at}"))
    keys = [line for line in check_bank(source.bank) if line.where == "sources.person.key"]
    assert [(line.status, "1 are further versions of a key, told by changed_at" in line.what) for line in keys] == [
        ("fits", True)
    ]
    source.run("insert into person values (1, 'Zhang San', '2023-01-05 10:00:00', '0')")
    keys = [line for line in check_bank(source.bank) if line.where == "sources.person.key"]
    assert [line.status for line in keys] == ["error"]


def test_a_check_says_where_deletions_are_not_seen(source: SmallDatabase) -> None:
    unseen = {line.where for line in check_bank(source.bank) if "rows deleted there stay here" in line.what}
    # The others compare or list keys, or say so in the row.
    assert unseen == {"sources.branch"}


def test_a_check_says_what_is_missing(source: SmallDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    source.run("alter table posting rename column amount to amount_cny")
    errors = [line.what for line in check_bank(source.bank) if line.status == "error"]
    assert errors == [
        "no column amount; there: posting_id, contract_id, booked_at, amount_cny; "
        "renamed, by the look of it: amount to amount_cny (under amount: delivered_as: [amount_cny])"
    ]
    # Declared as one more column it would begin empty: that is not offered.
    assert not any("to take it: amount_cny" in line.what for line in check_bank(source.bank))
    monkeypatch.delenv(VARIABLE)
    errors = [line.what for line in check_bank(source.bank) if line.status == "error"]
    assert len(errors) == 4
    assert all(VARIABLE in what for what in errors)


@pytest.mark.parametrize(
    ("changed", "to", "problem"),
    [
        (
            "url_from: SMALL_BANK_URL, table: branch",
            "url_from: postgresql://me:hidden@h/d, table: branch",
            "name of an env",
        ),
        ("table: branch}", "table: branch, query: select 1}", "a table or a query"),
        ("      overlap: 1 hour\n", "", "go together"),
        ("overlap: 1 hour", "overlap: some time", "no overlap"),
        ("cursor: changed_at", "cursor: full_name", "cannot be a cursor"),
        ("deletes: {keys: true}", "deletes: {keys: true, query: select 1}", "found in one way"),
        ("day: booked_at", "day: amount", "a day is"),
        ("amount: amount}\n    key", "amount: booked_at}\n    key", "an amount is"),
    ],
)
def test_a_database_that_is_described_wrongly_is_refused_with_its_line(
    tmp_path: Path, changed: str, to: str, problem: str
) -> None:
    assert changed in MAPPING
    with pytest.raises(UserError, match=problem) as refused:
        load_bank(write_bank(tmp_path / "bank", MAPPING.replace(changed, to, 1), SETTINGS))
    assert "mapping.yml, line" in str(refused.value)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["", "hidden", "ftp://me:hidden@host/d", "postgresql://me:hidden@", "mysql://host:hidden/d"]
)
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UserError, match="no address of a database") as refused:
        Address.of(url, "CORE_URL")
    assert "hidden" not in str(refused.value)
    assert "hidden" not in repr(Address.of("postgresql://me:hidden@host/d"))


def test_secrets_and_values_are_in_no_message() -> None:
    address = Address.of("postgresql://teller:s%40crets@host:5/d")
    assert address.hidden("user teller, s@crets, s%40crets, host teller2") == "user ***, ***, ***, host teller2"
    panic = (
        'cx writer failed: Source(DbError { message: "bad value \\"Zhang\\" in column \\"amount\\"", detail: None })'
    )
    assert message_of(panic, {"amount"}) == 'bad value *** in column "amount"'


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_every_dialect_asks_for_decimals_as_text_and_for_rows_without_a_cursor(kind: str) -> None:
    spec = DatabaseSpec("U", table="core.t", where="x > 0", cursor="at", overlap="1 day")
    columns = [SourceColumn("at", "TIMESTAMP"), SourceColumn("amount", "DECIMAL(18,2)")]
    dialect = DIALECTS[kind]
    statement = read_statement(spec, dialect, columns, ["new"], dialect.moment.format("2024-01-01 00:00:00"))
    assert dialect.text.format(dialect.name("amount")) in statement
    assert "(x > 0) and (" in statement
    assert f"{dialect.name('at')} is null)" in statement
    assert statement.count("{") == (1 if kind == "odbc" else 0)
