"""Each room imports only what it may: the rule of `docs/concepts.md`, read from the code itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("warehouse", "mining", "reporting", "dagster_project")
FORBIDDEN = {
    "warehouse": {"dagster", "dagster_dbt", "dbt", "mining", "reporting", "dagster_project"},
    "mining": {"duckdb", "dagster", "dagster_dbt", "dbt", "warehouse", "reporting", "dagster_project"},
    "reporting": {"dagster", "dagster_dbt", "dbt", "warehouse", "mining", "dagster_project"},
    "dagster_project": set(),
}


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.split(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room):
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, name in imports_of(path)
        if name in FORBIDDEN[room]
    ]
    assert found == []


def test_the_rooms_are_not_empty_so_the_rule_above_means_something():
    for room in ("warehouse", "mining", "dagster_project"):
        assert any(name for path in (ROOT / room).rglob("*.py") for _, name in imports_of(path)), room


def test_the_dbt_project_is_no_python_package():
    assert not (ROOT / "dbt" / "__init__.py").exists()


def test_only_the_sample_bank_and_tests_know_of_truth():
    allowed = {"sample_bank", "tests", "benchmarks"}
    found = [
        str(path.relative_to(ROOT))
        for room in (*ROOMS, "dbt")
        for path in sorted((ROOT / room).rglob("*"))
        if path.suffix in (".py", ".sql")
        and not allowed & set(path.parts)
        and ('"truth"' in path.read_text() or "truth/" in path.read_text())
    ]
    assert found == []
