"""The asset graph, so that a change of it is seen in review: keys, groups, what depends on what, schedule, checks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The definitions, in this process, for the Berka mapping."""
    folder = tmp_path_factory.mktemp("definitions")
    variables = {"MAINBANK_HOME": str(folder / "home"), "MAINBANK_SOURCE": "berka", "MAINBANK_DATA": str(folder)}
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        from dagster_project.definitions import definitions

        return definitions().get_repository_def()
    finally:
        os.environ.clear()
        os.environ.update(before)


def nodes(graph):
    return {key.to_user_string(): graph.asset_graph.get(key) for key in graph.asset_graph.get_all_asset_keys()}


def test_every_asset_is_described_in_both_languages_owned_grouped_and_of_a_kind(graph):
    for name, node in nodes(graph).items():
        assert " | " in (node.description or ""), name
        assert node.owners, name
        assert node.group_name != "default", name
        assert node.kinds, name


def test_landed_sources_are_grouped_by_the_system_they_come_from(graph):
    groups = {name: node.group_name for name, node in nodes(graph).items() if name.startswith("landing/")}
    assert groups["landing/client"] == "landing_core", groups
    assert all(group.startswith("landing_") for group in groups.values()), groups


def test_the_release_depends_on_every_landed_source_through_one_connected_graph(graph):
    all_nodes = nodes(graph)
    upstream, queue = set(), ["release/mainbank"]
    while queue:
        for key in all_nodes[queue.pop()].parent_keys:
            name = key.to_user_string()
            if name not in upstream:
                upstream.add(name)
                queue.append(name)
    landed = {name for name in all_nodes if name.startswith("landing/")}
    assert landed == {
        f"landing/{source}"
        for source in ("district", "client", "disp", "account", "loan", "loan_outcome", "card", "order", "trans")
    }
    # Standing orders are landed and mapped to no table yet: nothing can depend on them.
    assert landed - upstream == {"landing/order"}
    public = {name for name in all_nodes if name.split("/")[0] in ("core", "customer", "mining", "meta")}
    assert public <= upstream


def test_whatever_writes_the_warehouse_is_in_the_pool_of_one(graph):
    pools = {node.name: node.pool for node in graph.get_all_jobs()[0].all_node_defs if hasattr(node, "pool")}
    assert pools
    assert set(pools.values()) == {"duckdb_writer"}, pools


def test_the_schedule_is_two_at_night_in_the_banks_time_zone(graph):
    schedule = graph.get_schedule_def("daily_refresh_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "Europe/Prague")
    assert {job.name for job in graph.get_all_jobs()} >= {"daily_refresh", "full_rebuild"}


def test_dbt_tests_and_gates_are_checks_and_those_that_must_hold_block(graph):
    checks = {key.to_user_string(): graph.asset_graph.get(key) for key in graph.asset_graph.asset_check_keys}
    names = set(checks)
    assert any(name.startswith("core/fct_account_month") for name in names)
    assert any(name.startswith("landing/trans") for name in names)
    assert any("audited" in name for name in names)
    assert any("supported_by_enough_baskets" in name for name in names)


def test_a_process_without_its_environment_is_refused_by_the_name_of_the_variable():
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAINBANK")}
    outcome = subprocess.run(  # noqa: PLW1510
        [sys.executable, "-c", "from dagster_project.lib.environment import Environment; Environment.read()"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=kept,
    )
    assert outcome.returncode != 0
    assert "MAINBANK_HOME is not set" in outcome.stderr
