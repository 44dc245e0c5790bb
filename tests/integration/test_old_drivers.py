"""A release is read by DuckDB drivers older than the one that wrote it, installed beside, comments included."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

READER = """
import json, sys
import duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
tables = connection.execute(
    "select schema_name || '.' || table_name from duckdb_tables() order by 1").fetchall()
counts = {name: connection.execute(f"select count(*) from {name}").fetchall()[0][0] for (name,) in tables}
comments = connection.execute(
    "select count(*) from duckdb_columns() where comment like '%客户%' and schema_name = 'core'").fetchall()[0][0]
print(json.dumps({"version": duckdb.__version__, "counts": counts, "comments": comments}))
"""

#: Its sources are files: nothing is asked of a database, so nothing is reconciled; and nobody belongs to a group.
EMPTY_AFTER_A_FIRST_RUN = {
    "core.dim_customer_group",
    "meta.reconciliation",
    "mining.model_refusal",
    "mining.segment_drift",
    "mining.segment_migration",
}


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    def python_with(version):
        folder = tmp_path_factory.mktemp(f"duckdb-{version}")
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        installed = subprocess.run(  # noqa: PLW1510
            [uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", f"duckdb=={version}"],
            capture_output=True,
            text=True,
        )
        if installed.returncode != 0:
            pytest.skip(f"duckdb {version} cannot be installed here: {installed.stderr.strip()[-200:]}")
        return folder / "bin" / "python"

    return python_with


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.1.3", "1.5.5"])
def test_an_older_driver_reads_every_table_and_the_chinese_comments(version, driver, default_home):
    outcome = subprocess.run(  # noqa: PLW1510
        [driver(version), "-c", READER, str(default_home / "current" / "mainbank.duckdb")],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    assert outcome.returncode == 0, outcome.stderr
    read = json.loads(outcome.stdout)
    assert read["version"] == version
    assert read["counts"]["core.fct_transaction"] > 0
    assert {name for name, count in read["counts"].items() if count == 0} == EMPTY_AFTER_A_FIRST_RUN
    assert len(read["counts"]) >= 40
    assert read["comments"] > 0
