"""The register of knowledge: from hypothesis over tests and verdicts to expiry, and the commands about it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from typer.testing import CliRunner

from dagster_project import cli
from dagster_project.lib.knowledge import judge, kill_rates, listed
from mining.knowledge.register import FINDING_COLUMNS, REGISTER_COLUMNS, VERDICTS, register
from warehouse.decisions import VERDICT_TABLE, record_verdict, verdicts, write_decisions
from warehouse.errors import UserError
from warehouse.home import Home

AS_OF = date(2025, 12, 31)


def finding(knowledge_id: str, killed_by: str | None = None) -> dict[str, object]:
    numbers = {name: 1.5 for name, kind in FINDING_COLUMNS.items() if kind == "float64"}
    words = {name: f"{name} of {knowledge_id}" for name in ("statement_en", "statement_zh", "run_id")}
    flags = {"is_reversed": killed_by == "simpson", "is_verified": killed_by is None}
    named = {"knowledge_id": knowledge_id, "kind": "rule", "task": "holdings", "killed_by": killed_by}
    return numbers | words | flags | named | {"next_period": "held", "reversed_within": None}


def said(
    knowledge_id: str, verdict: str, judged: date = AS_OF, expires: date = date(2026, 12, 31)
) -> dict[str, object]:
    words = {"kind": "rule", "task": "holdings", "statement_en": "what it was", "statement_zh": "当时的陈述"}
    days = {"judged_as_of": judged, "expires_on": expires}
    return {"knowledge_id": knowledge_id, "verdict": verdict, "reason": "because"} | words | days


def statuses(findings: list[dict[str, object]], given: list[dict[str, object]], as_of: date = AS_OF) -> dict[str, str]:
    rows = register(pd.DataFrame(findings), pd.DataFrame(given), as_of)
    assert list(rows.columns) == list(REGISTER_COLUMNS)
    shown = set(rows.loc[rows["is_shown"], "status"])
    assert shown <= {"verified", "confirmed"}
    return dict(zip(rows["knowledge_id"], rows["status"], strict=True))


def test_what_stood_its_tests_is_verified_and_what_did_not_is_killed() -> None:
    assert statuses([finding("a"), finding("b", "strata")], []) == {"a": "verified", "b": "killed"}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_only_a_confirmation_keeps_a_finding(verdict: str) -> None:
    expected = "confirmed" if verdict == "confirmed" else "rejected"
    assert statuses([finding("a")], [said("a", verdict)]) == {"a": expected}


def test_the_last_verdict_counts_and_none_brings_back_what_a_test_killed() -> None:
    assert statuses([finding("a")], [said("a", "trivial"), said("a", "confirmed")]) == {"a": "confirmed"}
    assert statuses([finding("a")], [said("a", "confirmed"), said("a", "trivial")]) == {"a": "rejected"}
    assert statuses([finding("a", "simpson")], [said("a", "confirmed")]) == {"a": "killed"}


@pytest.mark.parametrize("verdict", ["confirmed", "trivial"])
def test_a_verdict_expires_on_its_day_and_is_then_asked_for_again(verdict: str) -> None:
    given = [said("a", verdict)]
    before = "confirmed" if verdict == "confirmed" else "rejected"
    assert statuses([finding("a")], given, date(2026, 12, 30)) == {"a": before}
    assert statuses([finding("a")], given, date(2026, 12, 31)) == {"a": "expired"}


def test_a_build_as_of_an_earlier_date_does_not_know_a_later_verdict() -> None:
    assert statuses([finding("a")], [said("a", "trivial")], date(2025, 12, 30)) == {"a": "verified"}


def test_what_was_judged_and_is_not_found_any_more_stays_in_the_register_with_its_statement() -> None:
    rows = register(pd.DataFrame([finding("a")]), pd.DataFrame([said("z", "confirmed")]), AS_OF).set_index(
        "knowledge_id"
    )
    assert rows.loc["z", "status"] == "gone"
    assert rows.loc["z", "statement_en"] == "what it was"
    assert not rows.loc["z", "is_shown"]


def verdict_line(knowledge_id: str, verdict: str) -> dict[str, object]:
    return said(knowledge_id, verdict)


def test_verdicts_are_appended_per_bank_and_brought_into_schema_decision(tmp_path: Path) -> None:
    home = Home(tmp_path)
    record_verdict(home, "mine", "expert", verdict_line("a", "trivial"))
    record_verdict(home, "another", "expert", verdict_line("a", "confirmed"))
    first = (home.decisions / "verdicts.jsonl").read_bytes()
    record_verdict(home, "mine", "expert", verdict_line("a", "confirmed"))
    assert (home.decisions / "verdicts.jsonl").read_bytes().startswith(first)
    assert [row["verdict"] for row in verdicts(home, "mine").to_pylist()] == ["trivial", "confirmed"]
    with duckdb.connect() as connection:
        for _ in range(2):
            write_decisions(connection, home, "mine")
        rows = connection.sql("select * from decision.verdict order by sequence").to_arrow_table()
    assert rows.schema.names == VERDICT_TABLE.names
    assert [row["sequence"] for row in rows.to_pylist()] == [1, 2]
    assert rows.to_pylist()[1]["expires_on"] == date(2026, 12, 31)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose release holds a register of four findings."""
    home = Home(tmp_path)
    folder = home.releases / "2025-12-31.0001"
    folder.mkdir(parents=True)
    home.current.symlink_to(folder)
    findings = [finding("a1"), finding("b2"), finding("c3", "strata"), finding("d4", "chance")]
    rows = register(pd.DataFrame(findings), pd.DataFrame([said("b2", "confirmed")]), AS_OF)  # noqa: F841 (read below)
    with duckdb.connect(str(folder / "mainbank.duckdb")) as connection:
        connection.execute("create schema meta; create schema mining")
        connection.execute("create table meta.release as select 'sample' as bank, date '2025-12-31' as as_of")
        connection.execute("create table mining.knowledge_register as from rows")
        connection.execute(
            "create table mining.knowledge_kill_rate as "
            "select 'holdings' as task, 'rule' as kind, 3 as found_count, 2 as shown_count, 1 / 3::double as kill_ratio"
        )
    monkeypatch.setenv("MAINBANK_HOME", str(tmp_path))
    return home


def test_verified_knowledge_is_listed_by_default_and_the_rest_on_request(home: Home) -> None:
    assert {row.knowledge_id for row in listed(home, everything=False, task=None)} == {"a1", "b2"}
    assert {row.knowledge_id for row in listed(home, everything=True, task="holdings")} == {"a1", "b2", "c3", "d4"}
    assert kill_rates(home) == [("holdings", "rule", 3, 2, pytest.approx(1 / 3))]


def test_the_commands_list_judge_and_show_the_verdict_as_pending(home: Home) -> None:
    runner = CliRunner()
    shown = runner.invoke(cli.application, ["knowledge", "list"])
    assert shown.exit_code == 0
    assert "a1  holdings  verified" in shown.output
    assert "statement_zh of a1" in shown.output
    assert "c3" not in shown.output
    assert "3 found beyond chance, 2 left; kill rate 33 %" in shown.output
    given = runner.invoke(
        cli.application, ["knowledge", "judge", "a1", "--verdict", "trivial", "--reason", "the loan needs the order"]
    )
    assert given.exit_code == 0, given.output
    assert "a1: trivial until 2026-12-31" in given.output
    (row,) = verdicts(home, "sample").to_pylist()
    assert (row["knowledge_id"], row["reason"], row["judged_as_of"]) == ("a1", "the loan needs the order", AS_OF)
    assert row["judged_by"]
    assert row["statement_en"] == "statement_en of a1"
    assert "judged since: trivial" in runner.invoke(cli.application, ["knowledge", "list"]).output


@pytest.mark.parametrize(
    ("arguments", "problem", "valid"),
    [
        (("zz", "trivial", "because", None), "no such finding", "knowledge list --all"),
        (("a1", "wrong", "because", None), "no such verdict", "confirmed, contradicts_fact, trivial, not_actionable"),
        (("a1", "trivial", " ", None), "needs a reason", None),
        (("a1", "trivial", "because", "2025-12-31"), "expires on a day after", "2025-12-31"),
        (("a1", "trivial", "because", "soon"), "expires on a day after", "2025-12-31"),
    ],
)
def test_a_verdict_that_cannot_be_taken_is_refused_and_nothing_is_written(
    home: Home, arguments: tuple[str, str, str, str | None], problem: str, valid: str | None
) -> None:
    with pytest.raises(UserError) as raised:
        judge(home, *arguments, who="expert")
    assert problem in raised.value.problem
    assert valid is None or valid in (raised.value.valid or "")
    assert not (home.decisions / "verdicts.jsonl").exists()


def test_without_a_release_or_a_register_the_next_step_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(UserError, match=r"no release to read knowledge from(.|\n)*mainbank run"):
        listed(home, everything=False, task=None)
    folder = home.releases / "2025-12-31.0001"
    folder.mkdir(parents=True)
    home.current.symlink_to(folder)
    duckdb.connect(str(folder / "mainbank.duckdb")).close()
    with pytest.raises(UserError, match="no register of knowledge"):
        kill_rates(home)


def test_an_unknown_task_is_told_the_known_ones(home: Home) -> None:
    with pytest.raises(UserError) as raised:
        listed(home, everything=True, task="holding")
    assert raised.value.valid == "holdings"
