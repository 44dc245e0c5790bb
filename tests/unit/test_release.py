import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from warehouse import release
from warehouse.errors import UserError
from warehouse.home import Home

SETTINGS = {"memory_limit": "500MB", "threads": "1"}


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.prepare()
    return home


@pytest.fixture
def warehouse(tmp_path):
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema core; create schema staging")
        connection.execute("create table core.fct as select range as id, 'x' || range as name from range(10)")
        connection.execute("create table staging.hidden as select 'secret' as name")
        connection.execute("comment on table core.fct is 'Facts. | 事实。'")
        connection.execute("comment on column core.fct.name is 'Name. | 名称。'")
    return file


def meta(release_id, bank="first"):
    frame = pa.table({"release_id": [release_id], "bank": [bank]})
    return {
        "release": release.MetaTable(frame, "Which. | 哪个。", {"release_id": "Id. | 编号。", "bank": "Bank. | 银行。"})
    }


def make(home, warehouse, release_id, bank="first"):
    with release.staging_folder(home, release_id) as folder:
        release.stage(warehouse, folder / release.FILE_NAME, meta(release_id, bank), open_settings=SETTINGS)
        release.audit_in_a_fresh_process(folder)
        return release.publish(home, folder)


def test_a_release_holds_the_public_tables_with_their_comments_and_nothing_else(home, warehouse):
    published = make(home, warehouse, "2024-01-31.001")
    with duckdb.connect(str(home.current / "mainbank.duckdb"), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() order by 1"
        ).fetchall()
        assert tables == [("core.fct",), ("meta.release",), ("meta.release_table",)]
        assert connection.execute("select count(*) from core.fct").fetchone() == (10,)
        comment = connection.execute(
            "select comment from duckdb_columns() where table_name = 'fct' and column_name = 'name'"
        ).fetchone()
        assert comment == ("Name. | 名称。",)
        tags = connection.execute("select tags from duckdb_databases() where database_name = 'mainbank'").fetchone()
        assert "v1.0" in str(tags)
    assert b"secret" not in published.file.read_bytes()


def test_current_is_a_link_to_a_folder_and_moves_with_each_release(home, warehouse):
    make(home, warehouse, "2024-01-31.001")
    make(home, warehouse, "2024-02-29.002")
    assert home.current.is_symlink()
    assert os.readlink(home.current) == "releases/2024-02-29.002"
    assert [item.is_current for item in release.list_releases(home)] == [False, True]


def test_a_reader_of_the_old_release_goes_on_while_a_new_one_is_published(home, warehouse):
    make(home, warehouse, "2024-01-31.001")
    with duckdb.connect(str(home.current / "mainbank.duckdb"), read_only=True) as reader:
        make(home, warehouse, "2024-02-29.001")
        assert reader.execute("select release_id from meta.release").fetchone() == ("2024-01-31.001",)


def test_an_audit_finds_a_damaged_file_and_nothing_is_published(home, warehouse):
    make(home, warehouse, "2024-01-31.001")
    with release.staging_folder(home, "x.002") as folder:
        file = folder / release.FILE_NAME
        release.stage(warehouse, file, meta("x.002"), open_settings=SETTINGS)
        with duckdb.connect(str(file)) as connection:
            connection.execute("delete from core.fct where id = 3")
        with pytest.raises(UserError, match="did not pass its audit"):
            release.audit_in_a_fresh_process(folder)
    assert os.readlink(home.current) == "releases/2024-01-31.001"
    assert not (home.temporary / "staging" / "x.002").exists()


def test_a_type_bi_drivers_cannot_read_is_refused_by_name(home, warehouse):
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create table core.odd as select [1, 2] as numbers")
    with (
        pytest.raises(UserError, match=r"core\.odd\.numbers is INTEGER\[\]"),
        release.staging_folder(home, "x.001") as folder,
    ):
        release.stage(warehouse, folder / release.FILE_NAME, meta("x.001"), open_settings=SETTINGS)


def test_rolling_back_goes_by_publication_and_stays_with_the_bank(home, warehouse):
    make(home, warehouse, "1998-12-31.0001")
    make(home, warehouse, "2024-01-31.0002", bank="second")
    make(home, warehouse, "1994-03-30.0003")
    assert [item.bank for item in release.list_releases(home)] == ["first", "second", "first"]
    assert release.roll_back(home).release_id == "1998-12-31.0001"
    assert release.prune(home, kept=2) == []  # the oldest is current
    assert release.next_release_id(home, date(1990, 1, 1)) == "1990-01-01.0004"


def test_rolling_back_shows_the_earlier_release_and_pruning_keeps_the_current(home, warehouse):
    for name in ("2024-01-31.0001", "2024-02-29.0002", "2024-03-31.0003"):
        make(home, warehouse, name)
    assert release.roll_back(home).release_id == "2024-02-29.0002"
    assert release.roll_back(home).release_id == "2024-01-31.0001"
    with pytest.raises(UserError, match="no release before"):
        release.roll_back(home)
    with pytest.raises(UserError, match=r"Kept: 2024-01-31\.0001, 2024-02-29\.0002, 2024-03-31\.0003"):
        release.roll_back(home, "2023-12-31.0001")
    assert release.prune(home, kept=1) == ["2024-02-29.0002"]
    assert (home.current / "mainbank.duckdb").is_file()


def test_release_numbers_of_a_day_go_up(home, warehouse):
    assert release.next_release_id(home, date(2024, 1, 31)) == "2024-01-31.0001"
    make(home, warehouse, "2024-01-31.0001")
    assert release.next_release_id(home, date(2024, 1, 31)) == "2024-01-31.0002"


def test_table_hashes_ignore_the_order_of_rows_and_see_a_changed_value(tmp_path):
    files = []
    for name, query in {
        "a": "select * from (values (1, 'x'), (2, 'y')) t(i, s)",
        "b": "select * from (values (2, 'y'), (1, 'x')) t(i, s)",
        "c": "select * from (values (2, 'x'), (1, 'y')) t(i, s)",
    }.items():
        file = tmp_path / f"{name}.duckdb"
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"create schema core; create table core.t as {query}")
        files.append(release.table_hashes(file)["core.t"])
    assert files[0] == files[1] != files[2]


def test_the_audit_program_ends_with_two_and_says_why(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    with duckdb.connect(str(folder / release.FILE_NAME)) as connection:
        connection.execute("create schema meta; create table meta.release_table as select 1 as x")
    outcome = subprocess.run(  # noqa: PLW1510
        [sys.executable, "-m", "warehouse.release", str(folder)],
        capture_output=True,
        text=True,
        cwd=Path(release.__file__).parents[1],
    )
    assert outcome.returncode == 2
    assert "meta.release_table has no description" in outcome.stderr
