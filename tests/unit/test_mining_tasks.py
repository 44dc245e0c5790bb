"""A mining task is a file: what it says is what runs, and what is wrong in it is told by file, line and key."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from dagster_project.lib.mining_tasks import SHIPPED_TASKS, read_task, saying_where, tasks_of
from mining.association import read_holdings, run_task
from warehouse.errors import UserError
from warehouse.sources.bank import load_bank

TEXT = (SHIPPED_TASKS / "holdings.yml").read_text(encoding="utf-8")


def written(folder: Path, text: str, name: str = "question.yml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_the_shipped_task_says_what_runs() -> None:
    task = read_task(SHIPPED_TASKS / "holdings.yml")
    assert (task.name, task.baskets, task.strata) == ("holdings", "holdings", ("aum_decile", "age_band", "occupation"))
    assert (task.settings.min_support, task.settings.max_len, task.settings.basket) == (0.005, 4, "holdings")
    assert task.verification.minimum_lift == 1.1
    assert task.target_verified == 5


def test_a_new_question_is_a_file_beside_the_mapping_and_no_code(tmp_path: Path) -> None:
    text = TEXT.replace("task: holdings", "task: young_openings").replace("of: holdings", "of: openings")
    text += "population: {age_band: [18-24, 25-34], party_type: [personal]}\n"
    written(tmp_path / "tasks", text)
    bank = replace(load_bank("sample"), folder=tmp_path)
    both = tasks_of(bank)
    assert [task.name for task in both] == ["holdings", "young_openings"]
    assert both[1].baskets == "openings"
    assert both[1].settings.unit.english == "lists of what a person opened in 6 months"
    assert both[1].population == {"age_band": ("18-24", "25-34"), "party_type": ("personal",)}


def test_openings_of_one_month_are_called_so(tmp_path: Path) -> None:
    text = TEXT.replace("baskets: {of: holdings, months: 6}", "baskets: {of: openings, months: 1}")
    assert read_task(written(tmp_path, text)).settings.unit.english == "lists of what a person opened in 1 month"


def test_the_task_that_the_page_shows_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "association.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    task = read_task(written(tmp_path, example))
    assert (task.name, task.problem_en) == ("openings_of_the_young", "What do the young open together?")
    assert task.population == {"age_band": ("18-24", "25-34"), "party_type": ("personal",)}
    assert (task.strata, task.target_verified) == (("aum_decile", "age_band"), 3)


def test_a_task_of_the_bank_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    written(tmp_path / "tasks", TEXT.replace("min_support: 0.005", "min_count: 20"))
    (only,) = tasks_of(replace(load_bank("sample"), folder=tmp_path))
    assert (only.settings.min_count, only.settings.min_support) == (20, None)


def test_a_file_with_the_longer_ending_is_a_task_too(tmp_path: Path) -> None:
    written(tmp_path / "tasks", TEXT.replace("task: holdings", "task: longer"), "longer.yaml")
    assert [task.name for task in tasks_of(replace(load_bank("sample"), folder=tmp_path))] == ["holdings", "longer"]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "tasks", TEXT, "a.yml")
    written(tmp_path / "tasks", TEXT, "b.yml")
    with pytest.raises(UserError, match=r"two tasks have one name(.|\n)*also in a.yml"):
        tasks_of(replace(load_bank("sample"), folder=tmp_path))


@pytest.mark.parametrize(
    ("change", "problem", "where", "valid"),
    [
        (("owner: retail products", ""), "required and absent here: owner", "line", "task"),
        (("min_support: 0.005", "min_suport: 0.005"), "this key is not known here", "bounds.min_suport", "min_support"),
        (("min_support: 0.005", "min_len: 2"), "this key is not known here", "bounds.min_len", "max_len"),
        (("  min_support: 0.005", "  max_width: 5"), "exactly one bound of frequency", "bounds", "min_support"),
        (("min_support: 0.005", "min_support: 5"), "a number is expected here", "bounds.min_support", "0 to 1.0"),
        (("min_support: 0.005", "min_support: 0"), "a share above 0 is expected", "bounds.min_support", "0.01"),
        (("max_len: 4", "max_len: some"), "a whole number is expected here", "bounds.max_len", "at least 1"),
        (("of: holdings", "of: holding"), "this name is not known here", "baskets.of", "holdings"),
        (("age_band, occupation", "age, occupation"), "this name is not known here", "tests.strata[1]", "age_band"),
        (("[aum_decile, age_band, occupation]", "[]"), "at least one attribute", "tests.strata", "party_type"),
        (("minimum_lift: 1.1", "minimum_lift: 0.5"), "minimum_lift is 0.5; it must be 1 or more", "tests", None),
        (("holdout_share: 0.3333", "holdout_share: 1"), "holdout_share is 1.0; it must lie between", "tests", None),
        (("task: holdings", "task: my holdings"), "a task's name is one word", "task", "letters"),
        (
            ("target: {verified_rules: 5}", "target: {verified_rules: -1}"),
            "a whole number",
            "verified_rules",
            "at least",
        ),
        (("months: 6", "months: 0"), "a whole number is expected here", "baskets.months", "at least 1"),
        (("months: 6", "months: 1200"), "a period this long is not looked at", "baskets.months", "1 to 120 months"),
        (("rate: 0.05", "rate: 5"), "a number is expected here", "tests.false_discovery_rate", "0 to 1.0"),
        (("rate: 0.05", "rate: 0"), "false_discovery_rate is 0.0; it must lie between", "tests", None),
        (("minimum_lift: 1.1", "minimum_lift: nan"), "a number is expected here", "tests.minimum_lift", "0 to any"),
        (("target:", "population: {age_band: []}\ntarget:"), "at least one value", "population.age_band", "everybody"),
        (("target:", "population: {age_band: 65+}\ntarget:"), "a list is expected", "population.age_band", "[a, b]"),
        (
            ("target:", "population: {shoe_size: [43]}\ntarget:"),
            "persons have no such attribute",
            "population.shoe_size",
            "party_type",
        ),
    ],
)
def test_what_is_wrong_is_told_by_place_with_what_would_be_valid(
    tmp_path: Path, change: tuple[str, str], problem: str, where: str, valid: str | None
) -> None:
    before, after = change
    assert before in TEXT
    file = written(tmp_path, TEXT.replace(before, after, 1))
    with pytest.raises(UserError) as raised:
        read_task(file)
    assert problem in raised.value.problem
    assert str(file) in (raised.value.where or "")
    assert where in (raised.value.where or "")
    assert valid is None or valid in (raised.value.valid or "")
    assert raised.value.exit_code == 2


def test_a_value_nobody_has_is_told_by_file_and_setting_when_the_persons_are_read(tmp_path: Path) -> None:
    file = written(tmp_path, TEXT + "population: {age_band: [18-99]}\n")
    rows = pd.DataFrame({"person_id": ["a"], "item": ["card"], "held_from": ["2024-01-01"], "held_to": [None]})
    known = pd.DataFrame({"aum_decile": [0.0], "age_band": ["18-24"], "occupation": ["clerk"]}, index=["a"])
    task = read_task(file)
    with pytest.raises(UserError) as raised, saying_where(task):
        run_task(task, read_holdings(rows), known, date(2025, 12, 31))
    assert raised.value.where == str(file)
    assert raised.value.found == "population.age_band: nobody has '18-99'; values are 18-24."
    assert raised.value.exit_code == 2
