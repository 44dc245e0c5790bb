"""`make bench`: every benchmark of this folder in turn; each compares side by side in one run and prints a table."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        sys.stdout.write(f"\n== {path.stem}\n")
        runpy.run_path(str(path), run_name="__main__")
