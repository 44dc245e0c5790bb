"""What a newcomer finds after `make run` with nothing else said."""

import re
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MINERS = {"association", "next_product", "segmentation", "loyalty", "churn_closure_or_drop", "churn_dormancy"}


@pytest.fixture(scope="module")
def release(default_home):
    with duckdb.connect(str(default_home / "current" / "mainbank.duckdb"), read_only=True) as connection:
        yield connection


def test_the_readme_gives_the_rows_that_a_newcomer_finds(release):
    rows = dict(
        release.execute("select schema_name || '.' || table_name, row_count from meta.release_table").fetchall()
    )
    told = {}
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("`") and "." in cells[1]:
            names, counts = re.findall(r"`(\w+\.\w+)`", cells[1]), re.findall(r"\d[\d,]*", cells[3])
            told |= dict(zip(names, (int(count.replace(",", "")) for count in counts), strict=True))
    assert len(told) >= 15
    assert told == {name: rows[name] for name in told}


def test_every_miner_publishes_and_every_person_has_a_profile(release):
    published = release.execute("select miner from mining.model_run where status = 'published'").fetchall()
    assert {miner for (miner,) in published} == MINERS
    persons, profiles = release.execute(
        "select (select count(distinct person_id) from core.dim_customer), "
        "(select count(*) from customer.customer_profile)"
    ).fetchall()[0]
    assert persons == profiles > 10_000


def test_who_can_no_longer_leave_has_a_reason_and_no_probability(release):
    counts = """
        select
            (select count(*) from mining.churn_exclusion),
            (select count(*) from mining.churn_exclusion inner join mining.churn_score using (definition, person_id)),
            (select count(churn_probability) from customer.customer_profile where is_deceased)
    """
    excluded, scored, deceased = release.execute(counts).fetchall()[0]
    assert (excluded > 0, scored, deceased) == (True, 0, 0)
