"""The road as a user drives it: the console program, a home of its own, what is in the release afterwards."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from warehouse.release import table_hashes
from warehouse.sample_bank.berka_shape import write_berka_shaped_bank

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--customers", "300")
BUSINESS = ("core", "customer", "relationship", "corporate", "mining")
"""Schemas whose rows depend on the deliveries alone; clock times and names of runs live in meta."""


def query(release, sql):
    with duckdb.connect(str(release), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_the_generated_bank_goes_the_whole_road_and_the_summary_says_where_things_are(
    generated_home, generated_release
):
    summary = (generated_home / "summary.txt").read_text()
    progress = (generated_home / "progress.txt").read_text()
    for word in ("As of", "landed", "core", "mining", "Seconds:", str(generated_home / "current" / "mainbank.duckdb")):
        assert word in summary
    for step in ("landing", "registration", "transformation", "association", "release"):
        assert f"{step:<16} done in" in progress
    assert "Traceback" not in summary + progress
    rows = dict(query(generated_release, "select schema_name || '.' || table_name, row_count from meta.release_table"))
    for table in ("core.dim_customer", "core.dim_account", "core.fct_transaction", "core.fct_account_month"):
        assert rows[table] > 0
    assert {"meta.data_dictionary", "meta.release", "meta.quality", "meta.settings", "meta.delivery"} <= set(rows)


def test_nothing_is_lost_between_the_files_and_the_release(generated_release):
    lost = query(
        generated_release,
        "select count(*) from meta.delivery "
        "where rows_read <> rows_landed + rows_quarantined + rows_filtered + rows_erased + rows_unchanged",
    )
    assert lost == [(0,)]
    landed = query(generated_release, "select sum(rows_landed) from meta.delivery where source = 'transactions'")
    assert query(generated_release, "select count(*) from core.fct_transaction") == landed


def test_every_public_column_is_in_the_dictionary_in_both_languages(generated_release):
    undescribed = query(
        generated_release,
        """
        select c.schema_name, c.table_name, c.column_name
        from duckdb_columns() as c
        left join meta.data_dictionary as d
            on c.schema_name = d.schema_name and c.table_name = d.table_name and c.column_name = d.column_name
        where not c.internal and c.table_name not in ('data_dictionary', 'release_table')
            and (coalesce(d.meaning_en, '') = '' or coalesce(d.meaning_zh, '') = '')
        order by all
        """,
    )
    assert undescribed == []


def test_no_token_and_no_identifier_is_in_the_release(generated_home, generated_release):
    columns = query(generated_release, "select column_name from duckdb_columns() where not internal")
    assert not [name for (name,) in columns if name.endswith("_token") or name == "record_id"]
    customers = next((generated_home / "sample").rglob("customers.parquet"))
    with duckdb.connect() as connection:
        clear = {
            value
            for column in ("name", "id_number", "mobile", "email", "address")
            for (value,) in connection.execute(f"select distinct {column} from '{customers}'").fetchall()
        } - {None}
    assert len(clear) > 1000
    with duckdb.connect(str(generated_release), read_only=True) as connection:
        texts = connection.execute(
            "select schema_name, table_name, column_name from duckdb_columns() "
            "where not internal and data_type = 'VARCHAR' order by all"
        ).fetchall()
        assert len(texts) > 50
        for schema, table, column in texts:
            rows = connection.execute(f'select distinct "{column}" from {schema}.{table}').fetchall()
            assert not {value for (value,) in rows} & clear, f"{schema}.{table}.{column}"


@pytest.fixture(scope="module")
def second_home(tmp_path_factory, generated_home):
    """A copy of the finished home, to be changed."""
    return shutil.copytree(generated_home, tmp_path_factory.mktemp("second") / "home", symlinks=True)


@pytest.mark.slow
def test_two_builds_from_scratch_give_equal_tables(tmp_path, mainbank, generated_release):
    outcome = mainbank(tmp_path / "home", "run", *SMALL)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    first = table_hashes(generated_release, schemas=BUSINESS)
    second = table_hashes(tmp_path / "home" / "current" / "mainbank.duckdb", schemas=BUSINESS)
    assert len(first) >= 10
    assert first == second


@pytest.mark.slow
def test_running_again_changes_no_row_and_makes_a_new_release(second_home, mainbank):
    before = table_hashes(second_home / "current" / "mainbank.duckdb", schemas=BUSINESS)
    target = os.readlink(second_home / "current")
    with duckdb.connect(str(second_home / "current" / "mainbank.duckdb"), read_only=True) as reader:
        process = mainbank.start(second_home, "run", *SMALL)
        reads = 0
        while process.poll() is None:
            reads += bool(reader.execute("select count(*) from core.fct_transaction").fetchall()[0][0])
            with duckdb.connect(str(second_home / "current" / "mainbank.duckdb"), read_only=True) as other:
                other.execute("select * from meta.release").fetchall()
            time.sleep(0.1)
        assert process.returncode == 0
        assert reads > 0
    assert os.readlink(second_home / "current") != target
    assert table_hashes(second_home / "current" / "mainbank.duckdb", schemas=BUSINESS) == before


@pytest.mark.slow
def test_before_the_first_month_is_over_every_miner_of_months_is_refused_and_the_rest_is_built(second_home, mainbank):
    outcome = mainbank(second_home, "run", *SMALL, "--as-of", "2024-01-15")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    release = second_home / "asof" / "2024-01-15.duckdb"
    runs = dict(query(release, "select miner, status from mining.model_run"))
    refused = {"segmentation", "loyalty", "churn_closure_or_drop", "churn_dormancy"}
    assert {miner for miner, status in runs.items() if status == "refused"} >= refused
    assert query(release, "select count(*) > 0 from core.fct_transaction") == [(True,)]


def test_a_second_run_on_the_same_home_is_refused_with_the_reason(second_home, mainbank):
    with (second_home / "tmp" / "run.lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.truncate(0)
        held.write("0a1b2c3d")
        held.flush()
        outcome = mainbank(second_home, "run", *SMALL)
    assert outcome.returncode == 2, outcome.stdout + outcome.stderr
    assert "another run is working on this home" in outcome.stdout
    assert "0a1b2c3d" in outcome.stdout


@pytest.mark.slow
def test_a_source_that_drifted_is_told_in_the_release_as_stale_and_the_others_go_on(tmp_path, mainbank):
    data, home = write_berka_shaped_bank(tmp_path / "data", customers=20, months=3), tmp_path / "home"

    def run():
        outcome = mainbank(home, "run", "--source", "berka", "--data", str(data))
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return home / "current" / "mainbank.duckdb"

    before = run().resolve()
    loans, later = (data / "loan.asc").read_text(), data / "1999/01/02"
    later.mkdir(parents=True)
    (data / "1999/01/01").mkdir()
    (data / "1999/01/01" / "loan.asc").write_text(loans)
    (later / "loan.asc").write_text(loans.replace('"duration"', '"dauer"', 1))
    shutil.copyfile(data / "disp.asc", later / "disp.asc")
    release = run()
    assert release.resolve() != before
    stopped = query(
        release,
        "select distinct source, cast(stale_since as varchar), reason_en from meta.freshness where is_stopped",
    )
    # Two sources read that file.
    assert sorted(row[:2] for row in stopped) == [("loan", "1999-01-01"), ("loan_outcome", "1999-01-01")]
    assert "missing: duration" in stopped[0][2]
    fresh = "select distinct cast(last_delivery_on as varchar) from meta.freshness where source = 'disp'"
    assert query(release, fresh) == [("1999-01-02",)]
    told = query(release, "select detail_en from meta.quality where rule = 'stands_still'")
    assert [row[0][:16] for row in told] == ["since 1999-01-01"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("step", ["landing", "registration", "transformation", "release"])
def test_a_run_killed_in_the_middle_is_completed_by_the_next(step, tmp_path, mainbank, generated_release):
    """SIGKILL as soon as a step begins to speak; the next run must not wait for the dead one's place in the pool."""
    home = tmp_path / "home"
    process = mainbank.start(home, "run", *SMALL)
    before = {"landing": "", "registration": "landing          done", "transformation": "registration     done"}
    awaited = before.get(step, "mining_results   done")
    for line in process.stderr:
        if awaited in line:
            process.kill()
            break
    process.communicate()
    assert process.returncode == -9
    assert not (home / "current").exists()
    outcome = mainbank(home, "run", *SMALL)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    rebuilt = table_hashes(home / "current" / "mainbank.duckdb", schemas=BUSINESS)
    assert rebuilt == table_hashes(generated_release, schemas=BUSINESS)


def test_a_failed_blocking_check_leaves_the_old_release_in_place(second_home, tmp_path):
    """A copy of the dbt project whose month table forgets the outflow: its accounting identity must stop the run."""
    target = os.readlink(second_home / "current")
    project = tmp_path / "dbt"
    shutil.copytree(ROOT / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    model = project / "models" / "core" / "fct_account_month.sql"
    right, wrong = "cast(outflow_amount as decimal(18, 2))", "cast(outflow_amount - 1 as decimal(18, 2))"
    assert right in model.read_text()
    model.write_text(model.read_text().replace(right, wrong))
    script = (
        "import sys; from pathlib import Path; from dagster_project.lib import dbt\n"
        "dbt.PROJECT = Path(sys.argv.pop(1)); dbt.TARGET = dbt.PROJECT / 'target'\n"
        "dbt.MANIFEST = dbt.TARGET / 'manifest.json'; dbt._FINGERPRINT = dbt.TARGET / 'fingerprint'\n"
        "from dagster_project.cli import main; main()\n"
    )
    outcome = subprocess.run(  # noqa: PLW1510
        [sys.executable, "-c", script, str(project), "run", *SMALL],
        capture_output=True,
        text=True,
        env={**os.environ, "MAINBANK_HOME": str(second_home)},
    )
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == 1, said
    assert "readers keep the one they have" in said
    assert os.readlink(second_home / "current") == target


@pytest.fixture(scope="module")
def berka_home(tmp_path_factory, mainbank, shared_data):
    home = tmp_path_factory.mktemp("berka") / "home"
    outcome = mainbank(home, "run", "--source", "berka", "--data", str(shared_data / "berka"))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return home


def accounts_by_side(release):
    return dict(
        query(
            release,
            """
            select
                case
                    when p.category like 'deposit%' then 'deposit' when p.category like 'loan%' then 'loan'
                    when p.category = 'credit_card' then 'card'
                end as kind,
                count(*)
            from core.dim_account as a inner join core.dim_product as p on a.product_code = p.product_code
            group by all
            """,
        )
    )


@pytest.mark.slow
def test_berka_as_of_its_last_transaction(berka_home):
    release = berka_home / "current" / "mainbank.duckdb"
    assert query(release, "select as_of::varchar, base_currency, time_zone from meta.release") == [
        ("1994-03-30", "CZK", "Europe/Prague")
    ]
    assert query(release, "select count(*), count(distinct transaction_id) from core.fct_transaction") == [
        (46997, 46997)
    ]
    assert query(release, "select count(distinct person_id) from core.dim_customer where is_current") == [(5369,)]
    assert query(release, "select count(*) from core.dim_customer where not is_known_on_assumed") == [(0,)]
    assert accounts_by_side(release) == {"deposit": 1229, "loan": 37, "card": 6}
    reconciled = query(
        release, "select checked_count, failing_count from meta.quality where rule = 'account_day_not_reconciled'"
    )
    assert reconciled == [(38821, 0)]
    landed = dict(query(release, "select source, rows_landed from meta.delivery"))
    assert landed["loan"] == 682  # landed, though 645 of them are not known yet
    assert landed["card"] == 892


@pytest.mark.slow
def test_what_berka_has_no_source_for_is_empty_and_says_so(berka_home):
    release = berka_home / "current" / "mainbank.duckdb"
    reasons = dict(
        query(release, "select subject, detail_en from meta.quality where rule = 'table_without_rows' order by all")
    )
    lacking = {
        "core.dim_campaign": "campaign_contacts, campaigns",
        "core.dim_employee": "employees",
        "core.fct_complaint": "complaints",
        "core.fct_contact": "contacts",
        "core.fct_payment_due": "payment_schedule",
        "core.fct_product_nav": "product_nav",
        "core.fct_survey_response": "survey_responses",
        "customer.customer_asset_gap": "crm_stated_assets",
    }
    assert {table: reasons[table] for table in lacking} == {
        table: f"no row of {source} is known" for table, source in lacking.items()
    }
    with duckdb.connect(str(release), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('core', 'customer')"
        ).fetchall()
        empty = {table for (table,) in tables if not connection.execute(f"select 1 from {table} limit 1").fetchall()}
    assert empty - {"customer.customer_rule"} == set(reasons)


@pytest.mark.slow
def test_berka_s_miners_give_what_its_tables_allow_and_say_why_not_the_rest(berka_home):
    release = berka_home / "current" / "mainbank.duckdb"
    runs = dict(query(release, "select miner, status from mining.model_run"))
    assert {miner for miner, status in runs.items() if status == "refused"} == {
        "churn_closure_or_drop",
        "churn_dormancy",
        "next_product",
    }
    reasons = query(release, "select reason_en from mining.model_run where status = 'refused' and miner like 'churn%'")
    assert all(
        "customers have a known outcome; a churn model that can be judged needs 1000" in why for (why,) in reasons
    )
    assert query(release, "select count(*) > 1 from mining.segment") == [(True,)]
    assert query(release, "select count(*) > 1000, bool_and(is_proven) from mining.loyalty_score") == [(True, True)]
    measures = query(release, "select count(*) filter (where is_available), count(*) from mining.loyalty_measure")
    assert 0 < measures[0][0] < measures[0][1]
    assert query(release, "select count(*) from mining.churn_score") == [(0,)]


@pytest.mark.slow
@pytest.mark.slow
def test_berka_as_of_the_end_of_1998_knows_every_account(berka_home, mainbank, shared_data):
    outcome = mainbank(
        berka_home, "run", "--source", "berka", "--data", str(shared_data / "berka"), "--as-of", "1998-12-31"
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    release = berka_home / "current" / "mainbank.duckdb"
    assert accounts_by_side(release) == {"deposit": 4500, "loan": 682, "card": 892}
    assert query(release, "select sum(contract_amount) from core.dim_account where account_id like 'core:LOAN-%'") == [
        (103261740,)
    ]


def test_the_run_is_in_dagsters_own_storage(generated_home):
    script = (
        "import json, dagster as dg\n"
        "instance = dg.DagsterInstance.get()\n"
        "runs = instance.get_runs()\n"
        "keys = sorted('/'.join(key.path) for key in instance.all_asset_keys())\n"
        "print(json.dumps([[(run.job_name, run.status.value) for run in runs], keys]))\n"
    )
    outcome = subprocess.run(  # noqa: PLW1510
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "DAGSTER_HOME": str(generated_home / "dagster")},
    )
    runs, keys = json.loads(outcome.stdout)
    assert runs == [["daily_refresh", "SUCCESS"]]
    for key in (
        "landing/transactions",
        "raw/transactions",
        "core/fct_transaction",
        "mined/association_rule",
        "release/mainbank",
    ):
        assert key in keys
