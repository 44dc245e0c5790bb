"""Running the graph from the console: the same Dagster job that the schedule starts, in this process."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import duckdb
import yaml
from rich.console import Console
from rich.table import Table

from dagster_project.lib import dbt
from dagster_project.lib.build import current_build
from dagster_project.lib.environment import Environment, bank_of
from dagster_project.lib.mining_tasks import tasks_of
from dagster_project.lib.overrides import read_overrides
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import check_deliveries
from warehouse.release import FILE_NAME

if TYPE_CHECKING:
    import dagster as dg

DAGSTER_SETTINGS = {
    "telemetry": {"enabled": False},
    "concurrency": {"pools": {"default_limit": 1}},
    "run_retries": {"enabled": False},
}
"""One writer: every asset that writes the warehouse is in a pool, and a pool has one place."""


def prepare_dagster(environment: Environment) -> None:
    """Give Dagster its home inside ours, and this process the environment the definitions are made from."""
    home = Home(environment.home)
    home.prepare()
    events = {
        "module": "dagster_project.lib.event_storage",
        "class": "KeptSqliteEventLogStorage",
        "config": {"base_dir": str(home.dagster / "history" / "runs")},
    }
    settings = {**DAGSTER_SETTINGS, "event_log_storage": events}
    (home.dagster / "dagster.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    os.environ.update(environment.variables())


def run_job(job_name: str, environment: Environment, console: Console) -> int:
    """Execute a job of the graph and print what came of it.

    Returns
    -------
    int
        Exit code: 0 published, 1 a check or a step failed, 2 a mistake the user can mend.
    """
    started = time.monotonic()
    # Mistakes in the mapping and the files are told at once, not after Dagster and dbt were imported.
    bank = bank_of(environment.source)
    read_overrides(bank, Home(environment.home))
    tasks_of(bank)
    check_deliveries(bank, environment.data, Home(environment.home))
    prepare_dagster(environment)
    console.print(
        f"Bank {environment.source}, data {environment.data}, home {environment.home}", soft_wrap=True, markup=False
    )
    dbt.prepare_manifest()

    import dagster as dg  # noqa: PLC0415

    from dagster_project.definitions import definitions  # noqa: PLC0415

    job = definitions().resolve_job_def(job_name)
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance, raise_on_error=False, run_config={"loggers": {"console": {"config": {}}}}
        )
    if not result.success:
        return _tell_failure(result, console)
    durations = {
        event.step_key or "": event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success
    }
    print_summary(environment, durations, time.monotonic() - started, console)
    return 0


def _names_of(kind: type[Exception]) -> set[str]:
    """Names of a class of errors and of all that are made from it: Dagster keeps no more than the name."""
    return {kind.__name__}.union(*(_names_of(special) for special in kind.__subclasses__()))


def _tell_failure(result: dg.ExecuteInProcessResult, console: Console) -> int:
    """Print why a run failed, and return its exit code."""
    code = 1
    told = False
    for event in result.all_events:
        if event.is_step_failure:
            error, user_failure = event.step_failure_data.error, event.step_failure_data.user_failure_data
        elif event.event_type_value == "PIPELINE_FAILURE" and not told:
            # Before the first step: the lock of the home, the home itself.
            error, user_failure = event.job_failure_data.error, None
        else:
            continue
        chain = []
        while error is not None:
            chain.append(error)
            error = error.cause
        # What the user can mend is said by our own error, wherever in the chain it stands; else the first cause speaks.
        mine = next((one for one in chain if one.cls_name in _names_of(UserError)), None)
        message = (mine or chain[-1]).message.strip() if chain else ""
        if mine is not None:
            code = UserError.exit_code
            message = message.partition(": ")[2]
        if user_failure is not None and user_failure.description:
            message = user_failure.description
        console.print(f"\n{event.step_key or 'the run'} failed: {message}", markup=False, soft_wrap=True)
        told = True
    console.print(
        "Nothing was published; readers keep the release they have. `mainbank dev` shows the run.", soft_wrap=True
    )
    return code


def print_summary(environment: Environment, durations: dict[str, float], seconds: float, console: Console) -> None:
    """Print rows per layer, the surest rules, seconds per stage, and where things are."""
    from dagster_project.defs.resources import installation_of  # noqa: PLC0415

    installation = installation_of(environment)
    build = current_build(installation.home)
    place = (
        installation.home.current / FILE_NAME if build.is_live else installation.home.as_of / f"{build.as_of}.duckdb"
    )
    with duckdb.connect(str(place), read_only=True) as connection:
        layers = connection.execute(
            "select 'landed', count(*), sum(rows_landed), sum(rows_quarantined) from meta.delivery union all "
            "select schema_name, count(*), sum(row_count), null from meta.release_table "
            "where schema_name <> 'meta' group by schema_name order by all"
        ).fetchall()
        rules = connection.execute(
            "select statement_en, statement_zh from mining.knowledge where kind = 'rule' "
            "order by strata_effect_lower desc, knowledge_id limit 3"
        ).fetchall()
        killed = connection.execute(
            "select task, found_count, shown_count, kill_ratio from mining.knowledge_kill_rate order by all"
        ).fetchall()
        runs = connection.execute(
            "select miner, status, as_of, reason_en from mining.model_run order by all"
        ).fetchall()
        segments = connection.execute(
            "select s.name_en, s.name_zh, count(*) from mining.segment as s "
            "inner join mining.segment_assignment as a using (run_id, segment_id) group by all order by all"
        ).fetchall()
        metrics = connection.execute(
            "select miner, subject, metric, value, lower, upper from mining.model_metric "
            # Absent where nobody left in the months held out, or nobody took anything up: the refusal says so.
            "where value is not null "
            "and (subject, metric) in (('model', 'auc'), ('recency_rule', 'auc'), ('model', 'retention_auc'), "
            "('model', 'hit_rate_at_3'), ('popularity', 'hit_rate_at_3'))"
        ).fetchall()
        listed = connection.execute(
            "select churn_reason_1, churn_reason_1_zh from customer.customer_profile "
            "where churn_reason_1 is not null order by churn_probability desc, person_id limit 1"
        ).fetchall()
        warnings = connection.execute(
            "select rule, subject, failing_count, detail_en from meta.quality "
            "where failing_count > 0 and severity <> 'info' order by all limit 8"
        ).fetchall()
    table = Table("layer", "tables", "rows", box=None, pad_edge=False, title_justify="left")
    table.columns[1].justify = table.columns[2].justify = "right"
    for layer, tables, rows, quarantined in layers:
        table.add_row(layer, f"{tables:,}", f"{rows:,}" + (f" ({quarantined:,} quarantined)" if quarantined else ""))
    console.print()
    console.print(f"As of {build.as_of}", style="bold")
    console.print(table)
    console.print("\nStrongest verified rules", style="bold")
    for english, chinese in rules:
        console.print(f"  {english}\n  {chinese}", markup=False, soft_wrap=True)
    if not rules:
        console.print("  none", markup=False)
    for task, found, shown, ratio in killed:
        share = "" if ratio is None else f", {100 * ratio:.0f} % killed by tests and verdicts"
        console.print(
            f"  {task}: {found:,} found beyond chance, {shown:,} verified{share}", markup=False, soft_wrap=True
        )
    if segments:
        console.print("\nSegments", style="bold")
    for english, chinese, count in segments:
        console.print(f"  {count:>9,}  {english} | {chinese}", markup=False, soft_wrap=True)
    if metrics:
        console.print("\nOut of time", style="bold")
    for miner, subject, metric, value, lower, upper in sorted(metrics):
        interval = "" if lower is None else f" (95 % interval {lower:.3f} to {upper:.3f})"
        console.print(f"  {miner}, {subject}: {metric} {value:.3f}{interval}", markup=False, soft_wrap=True)
    for english, chinese in listed:
        console.print(f"  likeliest to leave: {english} | {chinese}", markup=False, soft_wrap=True)
    refused = [run for run in runs if run[1] == "refused"]
    if refused:
        console.print("\nRefused", style="bold")
    for miner, _, _, reason in refused:
        console.print(f"  {miner}: {reason}", markup=False, soft_wrap=True)
    if warnings:
        console.print("\nWorth a look (all of it in meta.quality)", style="bold")
        for rule, subject, failing, detail in warnings:
            console.print(f"  {subject}: {rule}, {failing:,} ({detail})", markup=False, soft_wrap=True)
    stages = ", ".join(f"{name} {took:.1f}" for name, took in durations.items())
    console.print(f"\nSeconds: {stages}; {seconds:.1f} in all", soft_wrap=True)
    console.print(f"For BI tools, read-only: {place}", soft_wrap=True)
    console.print("The run, its assets and checks: make dev", soft_wrap=True)
