"""Among the slow proofs a skip that nobody named is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"


@pytest.mark.parametrize(
    ("variables", "exit_code"),
    [({}, 0), ({"FAIL_ON_SKIP": "1"}, 1), ({"FAIL_ON_SKIP": "1", "ALLOW_SKIP": "other test_absent"}, 0)],
)
def test_a_skip_fails_unless_it_is_named(tmp_path: Path, variables: dict[str, str], exit_code: int) -> None:
    shutil.copy(CONFTEST, tmp_path / "conftest.py")
    (tmp_path / "test_absent.py").write_text("import pytest\n\n\ndef test_absent():\n    pytest.skip('no driver')\n")
    kept = {name: value for name, value in os.environ.items() if name not in ("FAIL_ON_SKIP", "ALLOW_SKIP")}
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == exit_code, outcome.stdout + outcome.stderr
    assert ("name it in ALLOW_SKIP" in outcome.stdout) == (exit_code == 1)
