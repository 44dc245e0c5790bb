"""The warehouse is opened by one writer with explicit limits, and a conflict names who has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from warehouse.database import open_read_only, open_warehouse
from warehouse.errors import UserError
from warehouse.sources.bank import ResourceSettings

RESOURCES = ResourceSettings("512MB", 1)
HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


def test_limits_and_time_zone_are_set_and_not_the_hosts(tmp_path):
    with open_warehouse(tmp_path / "w.duckdb", RESOURCES, tmp_path / "spill") as connection:
        settings = dict(
            connection.execute(
                "select name, value from duckdb_settings() where name in "
                "('memory_limit', 'threads', 'temp_directory', 'max_temp_directory_size', 'TimeZone')"
            ).fetchall()
        )
    assert settings["memory_limit"] == "488.2 MiB"
    assert settings["threads"] == "1"
    assert settings["temp_directory"] == str(tmp_path / "spill")
    assert settings["TimeZone"] == "UTC"
    assert "%" not in settings["max_temp_directory_size"]


def test_a_second_writer_is_told_which_process_has_the_warehouse(tmp_path):
    path = tmp_path / "w.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        for opening in (open_warehouse, open_read_only):
            with pytest.raises(UserError) as refused, opening(path, RESOURCES, tmp_path):
                pass
            assert f"process {holder.pid}" in str(refused.value)
        assert holder.stdin is not None
        holder.stdin.close()
    with open_warehouse(path, RESOURCES, tmp_path) as connection:
        connection.execute("select 1")


def test_after_closing_another_process_can_open_it(tmp_path):
    path = tmp_path / "w.duckdb"
    with open_warehouse(path, RESOURCES, tmp_path) as connection:
        connection.execute("create table t as select 42 as answer")
    script = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('from t').fetchone()[0])"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"


def test_reading_what_is_not_there_is_a_clear_error_and_makes_nothing(tmp_path):
    with pytest.raises(UserError, match="no warehouse yet"), open_read_only(tmp_path / "w.duckdb", RESOURCES, tmp_path):
        pass
    assert not (tmp_path / "w.duckdb").exists()


def test_a_reader_cannot_write(tmp_path):
    path = tmp_path / "w.duckdb"
    with open_warehouse(path, RESOURCES, tmp_path):
        pass
    with (
        open_read_only(path, RESOURCES, tmp_path) as connection,
        pytest.raises(Exception, match="read-only"),
    ):
        connection.execute("create table t (i integer)")


@pytest.mark.parametrize("content", [b"<html>", b"\x00" * 8192])
def test_a_file_that_is_no_warehouse_is_a_clear_error(tmp_path, content):
    path = tmp_path / "w.duckdb"
    path.write_bytes(content)
    with pytest.raises(UserError) as refused, open_warehouse(path, RESOURCES, tmp_path):
        pass
    assert str(path) in str(refused.value)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    path = Path(tmp_path / "file" / "w.duckdb")
    with pytest.raises(UserError) as refused, open_warehouse(path, RESOURCES, tmp_path):
        pass
    assert str(path) in str(refused.value)
