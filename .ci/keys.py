"""Refuse key files among the tracked files: the secret scan passes over a file that holds 64 hexadecimal digits alone.

A hash is as long as a key, and detect-secrets cannot tell them apart; a line that is nothing else is no hash in any
file of this project.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

NAMES = frozenset({"master.key", "master.key.new", "token.key"})
ALONE = re.compile(rb"^\s*[0-9A-Fa-f]{64}\s*$", re.MULTILINE)


def main() -> int:
    """Print where a key seems to lie, never the key; 1 if one does."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout
    found = []
    for path in (Path(name.decode()) for name in listed.split(b"\0") if name):
        held = ALONE.search(path.read_bytes()) if path.is_file() else None
        if held:
            # The match may begin with the ends of lines before it.
            line = path.read_bytes()[: held.end()].rstrip().count(b"\n") + 1
            found.append(f"{path}, line {line}: 64 hexadecimal digits alone, as a key of the vault")
        elif path.name in NAMES:
            found.append(f"{path}: the name of a key file of the vault")
    for line in found:
        sys.stdout.write(f"{line}\n")
    if found:
        sys.stdout.write("take the file out of the repository (git rm --cached) and exchange that key: it is known\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
