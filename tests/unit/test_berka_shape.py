"""The generated bank has the shape of Berka's files, balances that add up, and keys that refer to something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import default_as_of, read_ledger
from warehouse.sample_bank.berka_shape import ensure_generated, split_into_deliveries, write_berka_shaped_bank
from warehouse.sources.bank import load_bank

NAMES = ("account", "card", "client", "disp", "district", "loan", "order", "trans")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_berka_shaped_bank(tmp_path_factory.mktemp("bank") / "data", customers=300)


@pytest.fixture(scope="module")
def tables(bank: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for name in NAMES:
            path = bank / f"{name}.asc"
            connection.execute(
                f"""create table "{name}" as from read_csv('{path}', delim=';', header=true, quote='"',
                    columns={columns_of(path)})"""
            )
        yield connection


def columns_of(path: Path) -> str:
    texts = {"date", "type", "operation", "k_symbol", "bank", "account", "birth_number", "issued", "status"}
    texts |= {"frequency", "bank_to", "account_to"}
    money = {"amount", "balance", "payments"}
    names = path.read_text().splitlines()[0].replace('"', "").split(";")
    texts |= {name for name in names if name.startswith("A") and name != "A1"}
    types = {n: "VARCHAR" if n in texts else "DECIMAL(18,2)" if n in money else "BIGINT" for n in names}
    return "{" + ", ".join(f"'{name}': '{type_}'" for name, type_ in types.items()) + "}"


def one(connection: duckdb.DuckDBPyConnection, query: str) -> object:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(bank: Path, tmp_path: Path) -> None:
    again = write_berka_shaped_bank(tmp_path / "again", customers=300)
    other = write_berka_shaped_bank(tmp_path / "other", customers=300, seed=2000)
    assert contents(again) == contents(bank)
    assert contents(other)["trans.asc"] != contents(bank)["trans.asc"]


def test_headers_and_line_ends_are_those_of_berka(bank: Path, shared_data: Path) -> None:
    for name in NAMES:
        ours, real = ((folder / f"{name}.asc").read_bytes() for folder in (bank, shared_data / "berka"))
        assert ours.split(b"\n")[0] == real.split(b"\n")[0], name
        assert ours.count(b"\r\n") == ours.count(b"\n") > 1
        assert real.endswith(b"\r\n") == ours.endswith(b"\r\n")


def test_the_same_fields_stand_in_quotes_as_in_berka(bank: Path, shared_data: Path) -> None:
    def shapes(path: Path) -> Counter[str]:
        lines = path.read_text().splitlines()[1:]
        return Counter("".join('"' if field.startswith('"') else "-" for field in line.split(";")) for line in lines)

    for name in NAMES:
        ours, real = shapes(bank / f"{name}.asc"), shapes(shared_data / "berka" / f"{name}.asc")
        assert set(ours) <= set(real), name


def test_every_key_refers_to_something_and_none_is_twice(tables: duckdb.DuckDBPyConnection) -> None:
    references = [
        ("client", "district_id", "district", "A1"),
        ("account", "district_id", "district", "A1"),
        ("disp", "client_id", "client", "client_id"),
        ("disp", "account_id", "account", "account_id"),
        ('"order"', "account_id", "account", "account_id"),
        ("loan", "account_id", "account", "account_id"),
        ("card", "disp_id", "disp", "disp_id"),
        ("trans", "account_id", "account", "account_id"),
    ]
    for child, key, parent, parent_key in references:
        orphans = one(tables, f"select count(*) from {child} where {key} not in (select {parent_key} from {parent})")
        assert orphans == 0, (child, key)
    for table in ("client", "account", "disp", '"order"', "loan", "card", "trans"):
        key = f"{table.strip(chr(34))}_id"
        assert one(tables, f"select count(*) - count(distinct {key}) from {table}") == 0, table


def test_amounts_cumulate_to_a_stated_balance_of_each_day(tables: duckdb.DuckDBPyConnection) -> None:
    wrong = one(
        tables,
        """
        with days as (
            select account_id, date, list(balance) as stated,
                sum(sum(if(type = 'PRIJEM', amount, -amount))) over (partition by account_id order by date) as cumulated
            from trans group by account_id, date
        )
        select count(*) from days where not list_contains(stated, cumulated)
        """,
    )
    assert wrong == 0


def test_the_quirks_of_berka_are_there(tables: duckdb.DuckDBPyConnection, bank: Path) -> None:
    assert one(tables, "select count(*) from trans where type = 'VYBER'") > 0
    assert one(tables, "select count(*) from trans where k_symbol = ' '") > 0
    assert one(tables, "select count(*) from client where substr(birth_number, 3, 2)::int > 50") > 100
    assert (bank / "district.asc").read_text().count(";?") == 2
    assert one(tables, "select count(*) from trans where balance < 0") > 0
    assert one(tables, "select count(distinct type) from card") == 3
    # Inside a day the file is in no order: some balance is stated before the one it builds upon.
    lines = [line.split(";") for line in (bank / "trans.asc").read_text().splitlines()[1:]]
    assert [line[2] for line in lines] == sorted(line[2] for line in lines)
    assert [int(line[0]) for line in lines] != sorted(int(line[0]) for line in lines)


def test_accounts_open_over_the_whole_time_and_nothing_happens_before(tables: duckdb.DuckDBPyConnection) -> None:
    assert one(tables, "select count(distinct left(date, 4)) from account") > 12
    for table, day in (("trans", "date"), ("loan", "date")):
        early = f"select count(*) from {table} t join account a using (account_id) where t.{day} < a.date"
        assert one(tables, early) == 0
    assert one(tables, "select min(date) || max(date) from trans") == "930101941231"


def test_products_go_together_as_they_do_in_berka(tables: duckdb.DuckDBPyConnection) -> None:
    with_order = "select account_id from \"order\" where k_symbol = '{}'"
    assert one(tables, f"select count(*) from loan where account_id not in ({with_order.format('UVER')})") == 0
    others = f"select count(*) from ({with_order.format(' ')}) where account_id not in ({with_order.format('SIPO')})"
    assert one(tables, others) == 0
    youngest_without = one(
        tables,
        """select min(93 - left(birth_number, 2)::int) from card join disp using (disp_id)
           join client using (client_id) where card.type != 'junior'""",
    )
    oldest_with = one(
        tables,
        """select max(93 - left(birth_number, 2)::int) from card join disp using (disp_id)
           join client using (client_id) where card.type = 'junior'""",
    )
    assert oldest_with < 25 <= youngest_without


def test_the_shipped_mapping_lands_all_of_it(bank: Path, tmp_path: Path) -> None:
    home, loaded = Home(tmp_path / "home"), load_bank("sample")
    results = land(loaded, bank, home)
    assert sum(result.entry.rows_quarantined for result in results) == 0
    lines = len((bank / "trans.asc").read_bytes().splitlines()) - 1
    assert next(r.entry.rows_landed for r in results if r.entry.source == "trans") == lines
    assert default_as_of(read_ledger(home.landing, "sample"), loaded) == date(1994, 12, 31)


def test_the_folder_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from warehouse.sample_bank import berka_shape

    def fail(folder: Path, name: str, lines: object) -> None:
        (folder / name).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(berka_shape, "_write_file", fail)
    with pytest.raises(UserError, match="No space left"):
        write_berka_shaped_bank(tmp_path / "data", customers=20)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_overwritten_and_a_generated_one_is_used_again(tmp_path: Path) -> None:
    data = ensure_generated(tmp_path, 20)
    assert ensure_generated(tmp_path, 20) == data
    assert ensure_generated(tmp_path, 30) != data
    with pytest.raises(UserError, match="exists already"):
        write_berka_shaped_bank(data, customers=20)


def test_too_small_a_bank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 10 customers"):
        write_berka_shaped_bank(tmp_path / "data", customers=3)


def test_deliveries_bring_the_same_rows_late_corrected_and_deleted(tmp_path: Path) -> None:
    data = write_berka_shaped_bank(tmp_path / "data", customers=60)
    days = [date(1994, 9, 30), date(1994, 10, 15), date(1994, 11, 30), date(1994, 12, 31)]
    cut = split_into_deliveries(data, tmp_path / "cut", days)

    def rows(path: Path) -> list[str]:
        return path.read_text().splitlines()[1:] if path.is_file() else []

    for name in NAMES:
        latest: dict[str, str] = {}
        deleted: set[str] = set()
        versions = 0
        for position, day in enumerate(days):
            folder = cut if position == 0 else cut / f"{day:%Y/%m/%d}"
            for row in rows(folder / f"{name}.asc"):
                latest[row.split(";")[0]] = row
                versions += 1
            deleted |= {row.split(";")[0] for row in rows(folder / "deletes" / f"{name}.asc")}
        assert {row for key, row in latest.items() if key not in deleted} == set(rows(data / f"{name}.asc"))
        if name == "trans":
            assert deleted
            assert versions > len(latest), "some are corrected"
            late = [row for row in rows(cut / "1994/10/15/trans.asc") if row.split(";")[2] <= "940930"]
            assert late
