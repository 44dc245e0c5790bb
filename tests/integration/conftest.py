"""A finished run of the generated bank, made once for all tests that only read it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_mainbank(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The console program, as a user starts it, on a home of its own."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("MAINBANK", "DAGSTER", "DBT"))
    }
    return subprocess.run(  # noqa: PLW1510
        [Path(sys.executable).with_name("mainbank"), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**environment, "MAINBANK_HOME": str(home), **variables},
    )


@pytest.fixture(scope="session")
def mainbank():
    return run_mainbank


@pytest.fixture(scope="session")
def generated_home(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("generated") / "home"
    outcome = run_mainbank(home, "run")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    (home / "summary.txt").write_text(outcome.stdout)
    (home / "progress.txt").write_text(outcome.stderr)
    return home


@pytest.fixture(scope="session")
def generated_release(generated_home) -> Path:
    return generated_home / "current" / "mainbank.duckdb"
