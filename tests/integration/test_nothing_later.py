"""A build as of a date is the same whatever became known after it: rows, features, models and scores."""

from pathlib import Path

import duckdb
import pytest

from warehouse.release import table_hashes
from warehouse.sample_bank.generate import generate

AS_OF = "2025-06-30"
LAST_MOMENT = "2025-06-30 16:00:00"  # the bank's midnight, in UTC


def rewrite(path: Path, changes: dict[str, str], condition: str) -> int:
    """Give columns of the rows that meet a condition other values; return how many rows there were."""
    with duckdb.connect() as connection:
        columns = [row[0] for row in connection.execute(f"select column_name from (describe from '{path}')").fetchall()]
        chosen = ", ".join(
            f"case when {condition} then {changes[name]} else {name} end as {name}" if name in changes else name
            for name in columns
        )
        count = connection.execute(f"select count(*) from '{path}' where {condition}").fetchall()[0][0]
        connection.execute(f"create table rows as select {chosen} from '{path}'")
        connection.execute(f"copy rows to '{path}' (format parquet)")
    return count


@pytest.mark.slow
def test_what_becomes_known_later_changes_nothing(tmp_path, mainbank):
    for name in ("honest", "poisoned"):
        generate(tmp_path / name, customers=2000, seed=7)
    later = f"updated_at > timestamp '{LAST_MOMENT}'"
    poisoned = tmp_path / "poisoned"
    changed = [
        rewrite(path, {"amount": "-7 * amount", "balance_after": "0"}, "true")
        for path in sorted((poisoned / "transactions").glob("*.parquet"))
        if path.stem > AS_OF[:7]
    ]
    changed += [
        rewrite(path, {"closed_at": f"timestamp '{LAST_MOMENT}' + interval 1 day"}, later)
        for path in sorted((poisoned / "complaints").glob("*.parquet"))
        if path.stem > AS_OF[:7]
    ]
    changed += [
        rewrite(poisoned / "customers" / "customers.parquet", {"gender": "'M'", "is_deceased": "true"}, later),
        rewrite(poisoned / "accounts" / "accounts.parquet", {"status": "'frozen'", "rate": "0.5"}, later),
        rewrite(poisoned / "market_rates" / "market_rates.parquet", {"rate": "9 * rate"}, f"rate_on > date '{AS_OF}'"),
    ]
    assert all(changed), changed
    found = []
    for name in ("honest", "poisoned"):
        outcome = mainbank(
            tmp_path / f"home-{name}", "run", "--source", "sample", "--data", str(tmp_path / name), "--as-of", AS_OF
        )
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        release = tmp_path / f"home-{name}" / "current" / "mainbank.duckdb"
        found.append(table_hashes(release, schemas=("core", "customer", "mining")))
        with duckdb.connect(str(release), read_only=True) as connection:
            assert connection.execute("select count(*) from mining.churn_score").fetchall()[0][0] > 1000
            assert connection.execute("select count(*) from core.fct_transaction").fetchall()[0][0] > 10_000
    assert found[0] == found[1]
