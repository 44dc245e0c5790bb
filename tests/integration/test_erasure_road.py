"""The equalities of the road hold modulo tombstones: before and after one person in a hundred is erased."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from warehouse.release import table_hashes
from warehouse.sample_bank.generate import generate

BUSINESS = ("core", "customer", "relationship", "corporate", "mining")
CUSTOMERS = 300
TABLES_OF_ACCOUNTS = ("accounts", "account_holders", "balances", "transactions")
TABLES_OF_CUSTOMERS = ("customers", "customers_elsewhere", "account_holders", "complaints")


def write_without(data: Path, folder: Path, customers: list[str]) -> Path:
    """The same deliveries as if some customers had never been there."""
    with duckdb.connect() as connection:
        connection.execute("create table gone_customer as select unnest($gone) as id", {"gone": customers})
        connection.execute(
            f"create table gone_account as select distinct account_id as id from '{data}/accounts/*.parquet' "
            "where source_customer_id in (from gone_customer)"
        )
        for path in sorted(data.rglob("*.parquet")):
            table, place = path.parent.name, folder / path.relative_to(data)
            conditions = []
            if table in TABLES_OF_ACCOUNTS:
                conditions.append("account_id not in (from gone_account)")
            if table in TABLES_OF_CUSTOMERS:
                conditions.append("source_customer_id not in (from gone_customer)")
            place.parent.mkdir(parents=True, exist_ok=True)
            if conditions:
                connection.execute(f"copy (from '{path}' where {' and '.join(conditions)}) to '{place}'")
            else:
                shutil.copyfile(path, place)
    return folder


def hashes_of(home: Path) -> dict[str, str]:
    return table_hashes(home / "current" / "mainbank.duckdb", schemas=BUSINESS)


@pytest.mark.slow
def test_the_road_is_the_same_after_one_person_in_a_hundred_is_erased(tmp_path, mainbank):
    data, home = tmp_path / "data", tmp_path / "home"
    generate(data, customers=CUSTOMERS, months=24, seed=1)

    def run(home: Path, data: Path) -> dict[str, str]:
        outcome = mainbank(home, "run", "--source", "sample", "--data", str(data))
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return hashes_of(home)

    before = run(home, data)
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        chosen = connection.execute(
            "select person_id, list(source_customer_id) from raw.person_records "
            "where known_to = date '9999-12-31' group by person_id order by md5(person_id) limit ?",
            [CUSTOMERS // 100],
        ).fetchall()
    persons = [person for person, _ in chosen]
    outcome = mainbank(home, "erase", *persons, "--reason", "asked", "--with-shared")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    after = run(home, data)
    assert after != before
    # Replaying the same deliveries, which still hold the persons, changes nothing any more.
    assert run(home, data) == after
    # And it is the warehouse of a bank that never had them, built from scratch.
    never = write_without(data, tmp_path / "never", [customer for _, records in chosen for customer in records])
    assert run(tmp_path / "other", never) == after
    (line,) = (home / "decisions" / "erasures.jsonl").read_text().splitlines()
    # with the ids that went into theirs
    assert set(persons) <= set(json.loads(line)["person_ids"])
