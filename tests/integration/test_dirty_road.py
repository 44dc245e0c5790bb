"""A bank whose dirt can be repaired goes the whole road and ends as the clean one; so do days and one long load."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from warehouse.sample_bank.deliveries import longer
from warehouse.sample_bank.dirt import LATEST_DAYS, Dirt
from warehouse.sample_bank.generate import deliver, generate
from warehouse.sample_bank.simulation import BankSettings

CUSTOMERS, MONTHS, DAYS = 300, 13, 28
#: Everything is settled when the last day of February 2025 is delivered.
DIRT = Dirt(
    duplicate=0.01, late=0.02, correction=0.01, delete=0.01, column_added=date(2025, 2, 10),
    column_retyped=date(2025, 2, 5), until=date(2025, 2, DAYS - LATEST_DAYS),
)  # fmt: skip
#: Hashes features as known at each month's end: what came late after January is rightly not in January's.
AS_KNOWN_THEN = "mining.model_run"
SCHEMAS = ("core", "customer", "relationship", "mining")


def differences(one: Path, other: Path) -> dict[str, tuple[int, int]]:
    """Rows of each released table that only one of two homes has; when a row came to be known may differ."""
    found = {}
    with duckdb.connect() as connection:
        for name, home in (("one", one), ("other", other)):
            connection.execute(f"attach '{home}/current/mainbank.duckdb' as {name} (read_only)")
        columns = connection.execute(
            f"""select schema_name, table_name, list(column_name order by column_index) from duckdb_columns()
            where database_name = 'one' and schema_name in {SCHEMAS}
                and column_name not like 'known_%' and column_name not in ('is_known_on_assumed', 'run_id')
            group by all order by all"""
        ).fetchall()
        for schema, table, names in columns:
            shown = ", ".join(f'"{name}"' for name in names)
            counts = [
                connection.execute(
                    f"""select count(*) from (
                        select {shown} from {first}.{schema}.{table}
                        except all select {shown} from {second}.{schema}.{table})"""
                ).fetchall()[0][0]
                for first, second in (("one", "other"), ("other", "one"))
            ]
            found[f"{schema}.{table}"] = (counts[0], counts[1])
    return found


@pytest.mark.slow
def test_days_with_dirt_that_can_be_repaired_end_as_the_clean_bank(tmp_path: Path, mainbank) -> None:
    settings = longer(BankSettings(CUSTOMERS, MONTHS), MONTHS + 1)
    generate(tmp_path / "clean", customers=settings.customers, months=MONTHS + 1)
    generate(
        tmp_path / "dirty",
        customers=CUSTOMERS,
        months=MONTHS,
        formats=("csv",),
        dirt=DIRT,
        truth_dir=tmp_path / "truth",
    )
    deliver(tmp_path / "dirty", DAYS, truth_dir=tmp_path / "truth")
    kinds = duckdb.sql(f"select distinct kind from '{tmp_path}/truth/faults/*.parquet'").fetchall()
    assert {row[0] for row in kinds} == {
        "duplicate", "late", "correction", "delete", "column_added", "column_retyped",
    }  # fmt: skip
    for name, source in (("clean", "sample"), ("dirty", str(tmp_path / "dirty" / "mapping"))):
        outcome = mainbank(tmp_path / f"home of {name}", "run", "--source", source, "--data", str(tmp_path / name))
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    found = differences(tmp_path / "home of clean", tmp_path / "home of dirty")
    assert len(found) > 10
    assert {table for table, counts in found.items() if counts != (0, 0)} <= {AS_KNOWN_THEN}
