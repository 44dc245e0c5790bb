"""Audit the locked dependencies for known vulnerabilities; say so, and pass, where no advisory service answers.

A bank's build machine often reaches a mirror of the package index and nothing else: a check that failed there would be
switched off. What was audited is counted, so that an audit of nothing does not look like a clean one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"


def main() -> int:
    """Run pip-audit and print what came of it; 1 if a dependency is vulnerable."""
    command = [Path(sys.executable).with_name("pip-audit"), "--requirement", LOCK, "--no-deps", "--disable-pip"]
    options = ["--progress-spinner", "off", "--timeout", "10", "--format", "json"]
    outcome = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    try:
        dependencies = json.loads(outcome.stdout)["dependencies"]
    except (ValueError, KeyError):
        dependencies = []
    audited = [found for found in dependencies if "vulns" in found]
    vulnerable = [found for found in audited if found["vulns"]]
    for found in vulnerable:
        names = ", ".join(f"{item['id']} (fixed in {item['fix_versions'] or 'no version'})" for item in found["vulns"])
        sys.stdout.write(f"{found['name']} {found['version']}: {names}\n")
    if not audited:
        reason = (outcome.stderr.strip().splitlines() or [""])[-1][:120] if not dependencies else ""
        sys.stdout.write(f"dependency audit: NOT DONE, no advisory service answered for any dependency {reason}\n")
    else:
        sys.stdout.write(f"dependency audit: {len(audited)} audited, {len(vulnerable)} vulnerable\n")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
