"""`mainbank quality failures`: the rows that a test finds wrong, masked."""

import shutil

import duckdb
import pytest


@pytest.fixture(scope="module")
def broken_home(generated_home, tmp_path_factory):
    """A home like the generated one in which somebody changed the warehouse by hand."""
    home = tmp_path_factory.mktemp("broken") / "home"
    shutil.copytree(generated_home, home, symlinks=True)
    (home / "tmp" / "build.json").unlink(missing_ok=True)  # names the home it was copied from
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute(
            "update core.dim_customer set is_current = false where person_id in "
            "(select distinct person_id from core.dim_customer where city is not null and is_current "
            "order by 1 limit 3)"
        )
        connection.execute("update core.fct_payment_due set unpaid_amount = -1 where due_on = date '2024-03-05'")
        connection.execute("update core.dim_account set branch_id = 'core:nowhere' where account_id like '%7'")
    return home


def test_failing_rows_are_shown_by_rule_and_masked(mainbank, broken_home):
    outcome = mainbank(broken_home, "quality", "failures", "dim_customer_columns_hold")
    assert outcome.returncode == 0, outcome.stderr
    assert "only_the_open_version_is_current does not hold" in outcome.stdout
    assert "3 failing rows of dim_customer_columns_hold" in outcome.stdout
    with duckdb.connect(str(broken_home / "warehouse.duckdb"), read_only=True) as connection:
        cities = connection.execute("select distinct city from core.dim_customer where city is not null").fetchall()
        first = connection.execute(
            "select min(person_id) from core.dim_customer where valid_to = date '9999-12-31' and not is_current"
        ).fetchall()[0][0]
    assert f"person_id {first}" in outcome.stdout
    assert not any(city in outcome.stdout for (city,) in cities)
    assert "birth_year 1*" in outcome.stdout or "birth_year 2*" in outcome.stdout


def test_the_limit_is_of_each_rule_and_a_missing_parent_is_a_rule(mainbank, broken_home):
    outcome = mainbank(broken_home, "quality", "failures", "dim_account_columns_hold", "--limit", "2")
    assert outcome.returncode == 0, outcome.stderr
    assert "branch_id is not in dim_branch" in outcome.stdout
    assert outcome.stdout.count("branch_id core:nowhere") == 2


def test_a_test_of_one_rule_shows_its_rows(mainbank, broken_home):
    outcome = mainbank(broken_home, "quality", "failures", "no_customer_record_is_lost")
    assert outcome.returncode == 0, outcome.stderr
    assert "counted_record_count" in outcome.stdout


def test_a_test_that_passes_says_so_and_one_that_is_not_there_is_refused(mainbank, broken_home):
    outcome = mainbank(broken_home, "quality", "failures", "dim_channel_columns_hold")
    assert (outcome.returncode, outcome.stdout.strip()) == (0, "dim_channel_columns_hold: no row fails")
    outcome = mainbank(broken_home, "quality", "failures", "dim_channel_column_holds")
    assert outcome.returncode == 2
    assert "there is no such test" in outcome.stderr
