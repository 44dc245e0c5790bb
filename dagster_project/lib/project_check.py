"""What `make check` looks at beside the linters: dbt parses, generated files are current, SQL can travel."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dagster_project.lib import dbt

REFUSED_BY_SPARK = {
    r"\bgenerate_series\s*\(": "generate_series",
    r"\bunnest\s*\(": "unnest",
    r"\barg_(max|min)\s*\(": "arg_max / arg_min (use max_by / min_by with a unique order key)",
    r"\bstrftime\s*\(": "strftime",
    r"\*\s*exclude\b": "* exclude",
    r"\basof\s+(left\s+)?join\b": "asof join",
}
"""Constructs that stay out of the models: differences of dialect go through ``macros/dialect/``."""


def constructs_that_cannot_travel(project: Path = dbt.PROJECT) -> Iterator[str]:
    """Places where a model uses what Spark refuses, as ``file:line: construct``."""
    for path in sorted([*project.glob("models/**/*.sql"), *project.glob("tests/**/*.sql")]):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            code = line.split("--")[0].lower()
            for pattern, name in REFUSED_BY_SPARK.items():
                if re.search(pattern, code):
                    yield f"{path.relative_to(project.parent)}:{number}: {name} is refused by Spark"


def main() -> int:
    """Run the checks; print what is wrong."""
    problems = list(constructs_that_cannot_travel())
    dbt.prepare_manifest()
    generated = subprocess.run([sys.executable, "-m", "warehouse.contract.generate", "--check"], check=False)
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems or generated.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
