"""The shipped mapping reads the published Berka files as they are, and says nothing the bank could not know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from warehouse.database import open_warehouse
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import read_ledger
from warehouse.registration import RegistrationResult, register
from warehouse.sources.bank import load_bank

#: Every way in which type, operation and k_symbol stand together in the complete published data, blank as `""`, `" "`
#: or nothing, with what it means in the contract: sign, kind, channel, who caused it, kind of the other side.
COMBINATIONS = [
    ("PRIJEM", "VKLAD", '""', 1, "deposit", "counter", "customer", None),
    ("PRIJEM", "PREVOD Z UCTU", '""', 1, "transfer", "batch", "third_party", "other"),
    ("PRIJEM", "PREVOD Z UCTU", '" "', 1, "transfer", "batch", "third_party", "other"),
    ("PRIJEM", "PREVOD Z UCTU", '"DUCHOD"', 1, "pension", "batch", "third_party", "other"),
    ("PRIJEM", "", '"UROK"', 1, "interest", "batch", "bank", "bank"),
    ("VYDAJ", "VYBER", '""', -1, "withdrawal", "counter", "customer", None),
    ("VYDAJ", "VYBER", '" "', -1, "withdrawal", "counter", "customer", None),
    ("VYDAJ", "VYBER", "", -1, "withdrawal", "counter", "customer", None),
    ("VYDAJ", "VYBER", '"SLUZBY"', -1, "fee", "batch", "bank", "bank"),
    ("VYDAJ", "VYBER", '"SANKC. UROK"', -1, "penalty_interest", "batch", "bank", "bank"),
    ("VYDAJ", "VYBER", '"SIPO"', -1, "payment", "counter", "customer", None),
    ("VYDAJ", "VYBER KARTOU", '""', -1, "withdrawal", "atm", "customer", None),
    ("VYDAJ", "PREVOD NA UCET", '""', -1, "transfer", "batch", "customer", "other"),
    ("VYDAJ", "PREVOD NA UCET", '" "', -1, "transfer", "batch", "customer", "other"),
    ("VYDAJ", "PREVOD NA UCET", '"SIPO"', -1, "payment", "batch", "customer", "other"),
    ("VYDAJ", "PREVOD NA UCET", '"POJISTNE"', -1, "insurance_premium", "batch", "customer", "other"),
    ("VYDAJ", "PREVOD NA UCET", '"UVER"', -1, "loan_repayment", "batch", "customer", "other"),
    ("VYBER", "VYBER", '""', -1, "withdrawal", "counter", "customer", None),
]

Warehouse = tuple[duckdb.DuckDBPyConnection, RegistrationResult]


def build(data: Path, folder: Path) -> Iterator[Warehouse]:
    bank, home = load_bank("berka"), Home(folder)
    land(bank, data, home)
    with open_warehouse(home.warehouse, bank.settings.resources, home.temporary) as connection:
        yield connection, register(connection, bank, home.landing, read_ledger(home.landing, bank.name))


@pytest.fixture(scope="module")
def published(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    if not (shared_data / "berka").is_dir():
        pytest.skip("the Berka data are not beside the repository (../shared/data/berka)")
    yield from build(shared_data / "berka", tmp_path_factory.mktemp("berka"))


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A few clients of every kind, in the files' own form: CR LF, quotes, blanks and all."""
    folder = tmp_path_factory.mktemp("made_up")
    files = {
        "district.asc": ";".join(f"A{i}" for i in range(1, 17))
        + '\n69;"Jesenik";"north Moravia";42821;4;13;5;1;3;48.4;8173;?;7.01;124;?;1358\n',
        "client.asc": '"client_id";"birth_number";"district_id"\n1;"110820";69\n2;"876227";69\n3;"005101";69\n',
        "disp.asc": '"disp_id";"client_id";"account_id";"type"\n1;1;10;"OWNER"\n2;2;10;"DISPONENT"\n3;3;11;"OWNER"\n',
        "account.asc": '"account_id";"district_id";"frequency";"date"\n10;69;"POPLATEK MESICNE";930101\n'
        '11;69;"POPLATEK PO OBRATU";930102\n',
        "loan.asc": '"loan_id";"account_id";"date";"amount";"duration";"payments";"status"\n'
        + "".join(
            f'{i};{10 + i % 2};{day};96396;{months};8033.00;"{status}"\n'
            for i, (day, months, status) in enumerate(
                [("930705", 12, "A"), ("940131", 24, "B"), ("980101", 60, "C"), ("970101", 36, "D")]
            )
        ),
        "card.asc": '"card_id";"disp_id";"type";"issued"\n1;1;"classic";931107 00:00:00\n'
        '2;3;"gold";931108 00:00:00\n3;2;"junior";931109 00:00:00\n',
        "order.asc": '"order_id";"account_id";"bank_to";"account_to";"amount";"k_symbol"\n'
        '1;10;"YZ";"87144583";2452.00;" "\n',
        "trans.asc": '"trans_id";"account_id";"date";"type";"operation";"amount";"balance";'
        '"k_symbol";"bank";"account"\r\n'
        + "".join(
            f'{i};10;930101;"{kind}";"{operation}";{100 + i}.50;700.00;{symbol};'
            + ('"YZ";"87144583"' if operation.startswith("PREVOD") else ";0" if i % 2 else ";")
            + "\r\n"
            for i, (kind, operation, symbol, *_) in enumerate(COMBINATIONS)
        ),
    }
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    yield from build(folder, folder / "home")


def rows(warehouse: Warehouse, query: str) -> list[tuple[object, ...]]:
    return warehouse[0].execute(query).fetchall()


def test_every_published_row_is_registered(published):
    assert published[1].rows_registered == {
        "branches": 77,
        "products": 5,
        "customers": 5369,
        "accounts": 4500 + 682 + 892,
        "account_holders": 5369,
        "transactions": 46_997,
        "loan_status": 682,
    }
    assert sum(published[1].rows_rejected.values()) == 0
    assert published[1].untranslated_codes == ()


def test_accounts_known_at_the_end_of_the_transactions_are_those_of_the_data_notes(published):
    assert rows(
        published,
        """
        select count(*) filter (product_code = 'CURRENT'), count(*) filter (product_code = 'LOAN'),
            count(*) filter (product_code like 'CARD%')
        from raw.accounts where known_on <= '1994-03-30'
        """,
    ) == [(1229, 37, 6)]


def test_women_are_told_by_their_month_and_nobody_is_born_in_the_next_century(published):
    assert rows(
        published,
        "select count(*) filter (gender = 'female'), count(*) filter (gender = 'male'), min(born_on), max(born_on), "
        "count(born_on) from raw.customers",
    ) == [(2645, 5369 - 2645, date(1911, 8, 20), date(1987, 9, 27), 5369)]


def test_signed_amounts_cumulate_to_a_stated_balance_on_every_account_day(published):
    assert rows(
        published,
        """
        with days as (
            select account_id, value_on, sum(amount) as change, list(balance_after) as stated
            from raw.transactions group by all
        ),
        running as (
            select *, sum(change) over (partition by account_id order by value_on) as cumulated from days
        )
        select count(*), count(*) filter (len(list_filter(stated, lambda s: abs(s - cumulated) <= 1.0)) > 0)
        from running
        """,
    ) == [(38_821, 38_821)]


def test_every_loan_and_card_has_its_owner_account_and_branch(published):
    assert rows(
        published,
        """
        select count(*) from raw.accounts
        where product_code <> 'CURRENT'
            and (source_customer_id is null or settlement_account_id is null or branch_id is null or record_id is null)
        """,
    ) == [(0,)]
    assert rows(published, "select sum(amount) from raw.accounts where product_code = 'LOAN'") == [(103_261_740,)]


def test_what_became_of_a_loan_is_not_known_before_it_happened(published):
    assert rows(published, "select count(*) from raw.loan_status where known_on < as_of") == [(0,)]
    assert rows(published, "select count(*) from raw.loan_status where known_on <= '1994-03-30'") == [(0,)]
    assert rows(
        published,
        """
        select count(*) from raw.loan_status as status
        inner join raw.accounts as loan using (account_id)
        where status.as_of < least(loan.matures_on, date '1998-12-31')
        """,
    ) == [(0,)]
    # B and D of the data notes.
    assert rows(published, "select count(*) from raw.loan_status where five_class <> 'normal'") == [(76,)]


def test_no_delivered_account_number_or_birth_number_is_in_the_warehouse(published, shared_data):
    clear = rows(
        published,
        "select count(counterparty_account_token), count(*) filter (length(counterparty_account_token) < 32) "
        "from raw.transactions",
    )
    assert clear == [(10_115, 0)]
    columns = rows(published, "select column_name from duckdb_columns() where schema_name = 'raw'")
    assert ("birth_number",) not in columns


@pytest.mark.parametrize("number", range(len(COMBINATIONS)), ids=[" ".join(c[:3]) for c in COMBINATIONS])
def test_each_combination_of_codes_means_what_it_should(made_up, number):
    *_, sign, kind, channel, initiator, other_side = COMBINATIONS[number]
    found = rows(
        made_up,
        "select sign(amount), kind, channel, initiated_by, counterparty_kind, counterparty_account_token is not null, "
        f"counterparty_bank from raw.transactions where transaction_id = '{number}'",
    )
    has_account = other_side == "other"
    assert found == [(sign, kind, channel, initiator, other_side, has_account, "YZ" if has_account else None)]


def test_no_code_of_the_published_data_stays_untranslated(made_up):
    assert made_up[1].untranslated_codes == ()
    assert sum(made_up[1].rows_rejected.values()) == 0


def test_birth_numbers_keep_their_century(made_up):
    assert rows(made_up, "select born_on, gender from raw.customers order by source_customer_id") == [
        (date(1911, 8, 20), "male"),
        (date(1987, 12, 27), "female"),
        (date(1900, 1, 1), "female"),
    ]


def test_a_loan_that_is_over_is_judged_on_its_last_day_and_one_that_runs_when_the_data_end(made_up):
    assert rows(
        made_up, "select account_id, as_of, days_past_due, five_class from raw.loan_status order by account_id"
    ) == [
        ("LOAN-0", date(1994, 7, 5), 0, "normal"),
        ("LOAN-1", date(1996, 1, 31), None, "special_mention"),
        ("LOAN-2", date(1998, 12, 31), 0, "normal"),
        ("LOAN-3", date(1998, 12, 31), None, "special_mention"),
    ]


def test_a_card_is_its_holders_and_a_loan_the_account_owners(made_up):
    assert rows(
        made_up,
        "select account_id, source_customer_id, settlement_account_id, branch_id from raw.accounts "
        "where product_code <> 'CURRENT' order by account_id",
    ) == [
        ("CARD-1", "1", "10", "69"),
        ("CARD-2", "3", "11", "69"),
        ("CARD-3", "2", "10", "69"),
        ("LOAN-0", "1", "10", "69"),
        ("LOAN-1", "3", "11", "69"),
        ("LOAN-2", "1", "10", "69"),
        ("LOAN-3", "3", "11", "69"),
    ]
