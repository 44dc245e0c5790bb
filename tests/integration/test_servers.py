"""The same warehouse comes out of every kind of source; what interrupts a server loses and doubles nothing."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from opened_vault import plant_keys
from servers import MariaDB, Postgres, free_port, mariadb, odbc_driver, postgres

from warehouse.database import open_warehouse
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.identity import assign
from warehouse.landing import land
from warehouse.ledger import in_force, read_ledger
from warehouse.reconciliation import reconciliations
from warehouse.registration import register
from warehouse.sample_bank.databases import addresses, load
from warehouse.sample_bank.generate import generate
from warehouse.sources.bank import SHIPPED_BANKS, load_bank
from warehouse.sources.database import Address, ConnectionFailedError, Session
from warehouse.sources.mapping import load_mapping

TODAY = date(2026, 1, 2)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bank_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "bank"
    generate(folder, customers=120, months=2, formats=("parquet", "csv"))
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(scope="module")
def maria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with mariadb(tmp_path_factory.mktemp("servers") / "mariadb") as running:
        yield running


@pytest.fixture(autouse=True)
def known_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINBANK_VAULT_KEY", "ab" * 32)


def raw_tables(folder: Path, mapping: Path | str, data: Path, home: Home | None = None) -> dict[str, list[Any]]:
    """Every version of every row that comes out, and whose it is, by table, whatever it was read from."""
    bank = load_bank(mapping)
    home = home or plant_keys(Home(folder / "home"), "ab" * 32)
    land(bank, data, home, delivered_on=TODAY)
    with open_warehouse(folder / "w.duckdb", bank.settings.resources, folder / "spill") as connection:
        register(connection, bank, home.landing, read_ledger(home.landing, bank.name))
        assign(connection, home, bank)
        return {
            table: connection.execute(
                f"select * exclude (delivery_id, landed_at, batch, source_row) from raw.{table} order by all"
            ).fetchall()
            for table in bank.mapping.tables
        } | {"person_records": connection.execute("from raw.person_records order by all").fetchall()}


@pytest.fixture(scope="module")
def from_parquet(bank_files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAINBANK_VAULT_KEY", "ab" * 32)
        found = raw_tables(tmp_path_factory.mktemp("parquet"), "sample", bank_files)
    assert len(found["transactions"]) > 1000
    assert len({row[1] for row in found["person_records"]}) < len(found["person_records"])
    return found


def written_into(url: str, bank_files: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sample bank in a database; the folder of the mapping that reads it."""
    load(bank_files, url, folder / "mapping")
    for variable in addresses(folder / "mapping"):
        system = variable.removeprefix("SAMPLE_").removesuffix("_URL").lower()
        own = url if not url.startswith("sqlite") else re.sub(r"(\.db)$", rf"-{system}\1", url)
        monkeypatch.setenv(variable, own)
    return folder / "mapping"


def test_csv_gives_the_warehouse_of_parquet(
    bank_files: Path, tmp_path: Path, from_parquet: dict[str, list[Any]]
) -> None:
    text = (SHIPPED_BANKS / "sample" / "mapping.yml").read_text()
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "mapping.yml").write_text(
        text.replace(".parquet", ".csv").replace("type: parquet", "type: csv")
    )
    shutil.copy(SHIPPED_BANKS / "sample" / "bank.yml", tmp_path / "csv")
    assert raw_tables(tmp_path, tmp_path / "csv", bank_files) == from_parquet


def test_sqlite_gives_the_warehouse_of_parquet(
    bank_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_parquet: dict[str, list[Any]]
) -> None:
    mapping = written_into(f"sqlite:///{tmp_path}/bank.db", bank_files, tmp_path, monkeypatch)
    assert raw_tables(tmp_path, mapping, tmp_path) == from_parquet


def test_postgresql_gives_the_warehouse_of_parquet(
    server: Postgres,
    bank_files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    from_parquet: dict[str, list[Any]],
) -> None:
    mapping = written_into(server.url, bank_files, tmp_path, monkeypatch)
    home = plant_keys(Home(tmp_path / "home"), "ab" * 32)
    assert raw_tables(tmp_path, mapping, tmp_path, home) == from_parquet
    assert [(found.source, found.is_equal) for found in reconciliations(home, "sample")] == [("transactions", True)]
    for path in home.root.rglob("*"):
        assert not path.is_file() or b"not-told" not in path.read_bytes(), path


def test_mariadb_gives_the_warehouse_of_parquet(
    maria: MariaDB,
    bank_files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    from_parquet: dict[str, list[Any]],
) -> None:
    mapping = written_into(maria.url, bank_files, tmp_path, monkeypatch)
    home = plant_keys(Home(tmp_path / "home"), "ab" * 32)
    assert raw_tables(tmp_path, mapping, tmp_path, home) == from_parquet
    assert all(found.is_equal for found in reconciliations(home, "sample"))


def test_odbc_gives_the_warehouse_of_parquet(
    server: Postgres,
    bank_files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    from_parquet: dict[str, list[Any]],
) -> None:
    driver = odbc_driver()
    mapping = written_into(server.url, bank_files, tmp_path, monkeypatch)
    address = f"odbc:Driver={driver};Server=127.0.0.1;Port={server.port};Database=postgres;UID=postgres;PWD=not-told"
    for variable in addresses(mapping):
        monkeypatch.setenv(variable, address)
    assert raw_tables(tmp_path, mapping, tmp_path) == from_parquet


# --- what interrupts

BIG = """\
bank: small
sources:
  branch:
    source_system: core
    database: {url_from: BIG_URL, table: branch}
    key: [branch_id]
    columns: {branch_id: {type: BIGINT, required: true}}
  person:
    source_system: core
    database: {url_from: BIG_URL, query: "select 1 as person_id, cast('Zhang' as text) as full_name"}
    key: [person_id]
    record: person_id
    columns: {person_id: {type: BIGINT, required: true}, full_name: {personal_data: direct_identifier}}
  contract:
    source_system: core
    database: {url_from: BIG_URL, query: "select 10 as contract_id, date '2020-01-01' as opened_on"}
    key: [contract_id]
    columns: {contract_id: {type: BIGINT, required: true}, opened_on: {type: DATE}}
  posting:
    source_system: core
    database: {url_from: BIG_URL, table: posting, cursor: posting_id, overlap: "10", chunk_rows: 5000, lock_seconds: 1}
    key: [posting_id]
    known_on: booked_on
    columns:
      posting_id: {type: BIGINT, required: true}
      booked_on: {type: DATE, required: true}
      amount: {type: "DECIMAL(18,2)"}
tables:
  branches:
    - {from: branch, columns: {branch_id: branch_id}}
  products:
    - rows: [{product_code: DEMAND, category: deposit_demand, side: liability}]
  customers:
    - {from: person, columns: {source_customer_id: person_id, party_type: "'personal'", name: full_name}}
  accounts:
    - from: contract
      columns: {account_id: contract_id, product_code: "'DEMAND'", currency: "'CNY'", opened_on: opened_on}
  transactions:
    - from: posting
      columns:
        transaction_id: posting_id
        account_id: "'10'"
        posted_at: bank_time_to_utc(booked_on)
        currency: "'CNY'"
        amount: amount
"""


@pytest.fixture
def big(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from small_bank import SETTINGS, write_bank

    server.run(
        "drop table if exists branch, posting; create table branch (branch_id int); insert into branch values (1);"
        "create table posting as select i as posting_id, date '2024-01-01' + i % 300 as booked_on, "
        "(i % 1000)::numeric(18,2) as amount from generate_series(1, 200000) i;"
    )
    monkeypatch.setenv("BIG_URL", server.url)
    return write_bank(tmp_path / "bank", BIG, SETTINGS)


def landed_ids(home: Home) -> list[int]:
    import pyarrow.parquet as pq

    entries = [entry for entry in in_force(read_ledger(home.landing, "small")) if entry.source == "posting"]
    files = [entry.parquet_path(home.landing) for entry in entries]
    return sorted(number for file in files for number in pq.read_table(file)["posting_id"].to_pylist())


def test_a_server_killed_in_mid_extract_loses_and_doubles_nothing(
    big: Path, server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, bank = Home(tmp_path / "home"), load_bank(big)
    batches = Session._batches
    seen: list[int] = []
    killed: list[bool] = []

    def until_killed(self: Session, *arguments: Any) -> Iterator[Any]:
        for batch in batches(self, *arguments):
            seen.append(batch.num_rows)
            yield batch
            if "posting_id" in batch.schema.names and sum(seen) > 20_000 and not killed:
                killed.append(True)
                server.kill()

    monkeypatch.setattr(Session, "_batches", until_killed)
    with pytest.raises(ConnectionFailedError) as failed:
        land(bank, tmp_path, home, delivered_on=TODAY)
    assert "not-told" not in str(failed.value)
    assert landed_ids(home) == []
    with pytest.raises(ConnectionFailedError, match="cannot be reached"):
        land(bank, tmp_path, home, delivered_on=TODAY)
    server.start()
    land(bank, tmp_path, home, delivered_on=TODAY)
    assert landed_ids(home) == list(range(1, 200_001))
    assert not list((home.landing / "small").rglob("*.tmp"))


def test_a_locked_table_is_told_and_the_next_run_completes(big: Path, server: Postgres, tmp_path: Path) -> None:
    import psycopg

    home, bank = Home(tmp_path / "home"), load_bank(big)
    with psycopg.connect(server.url) as holder:
        holder.execute("lock table posting in access exclusive mode")
        with pytest.raises(UserError, match="a table of the source is locked"):
            land(bank, tmp_path, home, delivered_on=TODAY)
    land(bank, tmp_path, home, delivered_on=TODAY)
    assert landed_ids(home) == list(range(1, 200_001))


def test_a_refused_connection_says_so_at_once_and_names_no_secret(
    big: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIG_URL", f"postgresql://somebody:not-told@127.0.0.1:{free_port()}/core")
    started = time.monotonic()
    with pytest.raises(ConnectionFailedError) as failed:
        land(load_bank(big), tmp_path, Home(tmp_path / "home"), delivered_on=TODAY)
    assert time.monotonic() - started < 20
    assert "Connection refused" in str(failed.value)
    assert "BIG_URL" in str(failed.value)
    assert not any(secret in str(failed.value) for secret in ("not-told", "somebody"))


def test_a_value_that_a_server_repeats_is_masked_and_the_type_of_a_column_is_told(
    big: Path, server: Postgres, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Session(Address.of(server.url)) as session, pytest.raises(UserError) as failed:
        session.table("select cast(x as int) from (values ('1'), ('Zhang San')) v(x)")
    assert "invalid input syntax" in str(failed.value)
    assert "Zhang" not in str(failed.value) + "".join(capfd.readouterr())


def test_columns_added_dropped_and_retyped_stop_only_their_table(big: Path, server: Postgres, tmp_path: Path) -> None:
    from warehouse.freshness import freshness, stops

    home, bank = Home(tmp_path / "home"), load_bank(big)
    land(bank, tmp_path, home, delivered_on=TODAY)
    server.run("alter table posting add column memo text")
    server.run("insert into posting values (200001, '2025-01-01', 1, 'm')")
    landed = {r.entry.source: r.entry for r in land(bank, tmp_path, home, delivered_on=TODAY)}
    assert landed["posting"].undeclared_columns == ("memo",)
    assert landed["posting"].rows_landed == 1
    server.run("alter table posting rename column amount to amount_cny; insert into branch values (2);")
    landed = {r.entry.source: r.entry for r in land(bank, tmp_path, home, delivered_on=date(2026, 1, 3))}
    assert "posting" not in landed
    assert landed["branch"].rows_landed == 1
    stop = stops(home, "small")["posting"]
    assert stop.stale_since == TODAY
    assert "missing: amount" in stop.reason
    assert "amount to amount_cny" in stop.reason
    (found,) = [f for f in freshness(home, bank, read_ledger(home.landing, "small")) if f.source == "posting"]
    assert (found.behind_days, found.stop) == (1, stop)
    server.run("alter table posting rename column amount_cny to amount")
    server.run("alter table posting alter booked_on type bigint using 1")
    land(bank, tmp_path, home, delivered_on=date(2026, 1, 4))
    assert "booked_on int64" in stops(home, "small")["posting"].reason
    server.run("alter table posting drop column booked_on; alter table posting add column booked_on date")
    server.run("update posting set booked_on = date '2025-01-01'")
    land(bank, tmp_path, home, delivered_on=date(2026, 1, 5))
    assert stops(home, "small") == {}


def test_rows_that_are_written_while_they_are_read_come_with_this_delivery_or_the_next(
    big: Path, server: Postgres, tmp_path: Path
) -> None:
    home, bank = Home(tmp_path / "home"), load_bank(big)
    done = threading.Event()

    def write() -> None:
        for number in range(20):
            server.run(
                f"insert into posting select 200000 + {number} * 10 + i, '2025-01-01', 1 from generate_series(1, 10) i"
            )
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    day = 2
    while not done.is_set():
        land(bank, tmp_path, home, delivered_on=date(2026, 1, day))
        day += 1
    writer.join()
    land(bank, tmp_path, home, delivered_on=date(2026, 1, day))
    assert landed_ids(home) == list(range(1, 200_201))


def test_the_mapping_written_for_a_database_is_the_shipped_one_but_for_where_it_reads(
    bank_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = load_mapping(written_into(f"sqlite:///{tmp_path}/bank.db", bank_files, tmp_path, monkeypatch))
    assert mapping.table_hash == load_mapping("sample").table_hash
