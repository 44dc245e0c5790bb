"""No key of the vault can be committed unnoticed."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCAN = ROOT / ".ci" / "keys.py"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("master.key", "KEY\n", "master.key, line 1"),
        ("notes/anything.txt", "this is it:\n\n  KEY\n", "notes/anything.txt, line 3"),
        ("old.bin", "KEY", "old.bin, line 1"),
        ("windows.txt", "a\r\nKEY\r\n", "windows.txt, line 2"),
        ("home/vault/token.key", "{}", "home/vault/token.key: the name"),
        ("requirements.lock", "package==1 --hash=sha256:KEY\n", None),
        ("code.py", 'DIGEST = "KEY"\n', None),
    ],
)
def test_a_key_file_among_the_tracked_files_is_refused(name: str, text: str, said: str | None, tmp_path: Path) -> None:
    key = secrets.token_hex(32)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.replace("KEY", key).encode())
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
        subprocess.run(command, cwd=tmp_path, check=True)
    outcome = subprocess.run([sys.executable, SCAN], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert outcome.returncode == (0 if said is None else 1), outcome.stdout
    assert (said or "") in outcome.stdout
    assert key not in outcome.stdout


def test_the_check_asks_it() -> None:
    assert ".venv/bin/python .ci/keys.py" in (ROOT / "Makefile").read_text()
