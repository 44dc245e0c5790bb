"""A finished run of a small sample bank, made once for all tests that only read it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Mainbank:
    """The console program, as a user starts it, on a home of its own."""

    @staticmethod
    def start(home: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MAINBANK", "DAGSTER", "DBT"))}
        return subprocess.Popen(
            [Path(sys.executable).with_name("mainbank"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**kept, "MAINBANK_HOME": str(home), **variables},
        )

    def __call__(self, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(home, *arguments, **variables)
        output, errors = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


@pytest.fixture(scope="session")
def mainbank() -> Mainbank:
    return Mainbank()


@pytest.fixture(scope="session")
def generated_home(tmp_path_factory, mainbank) -> Path:
    home = tmp_path_factory.mktemp("generated") / "home"
    outcome = mainbank(home, "run", "--customers", "300")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    (home / "summary.txt").write_text(outcome.stdout)
    (home / "progress.txt").write_text(outcome.stderr)
    return home


@pytest.fixture(scope="session")
def default_home(tmp_path_factory, mainbank) -> Path:
    """What a newcomer has after `make run`: the sample bank in full, all models fitted. Takes minutes."""
    home = tmp_path_factory.mktemp("default") / "home"
    outcome = mainbank(home, "run")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    (home / "summary.txt").write_text(outcome.stdout)
    return home


@pytest.fixture(scope="session")
def generated_release(generated_home) -> Path:
    return generated_home / "current" / "mainbank.duckdb"
