"""How dbt is called: in this process, through its documented programmatic interface.

Why not a process per call: importing dbt and reading the manifest costs about four seconds each time (see
``docs/adr``). Only the calls and their translation are here; what the data means is in ``dbt/``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2] / "dbt"
TARGET = PROJECT / "target"
MANIFEST = TARGET / "manifest.json"
_FINGERPRINT = TARGET / "fingerprint"

_parsed: Any = None
"""The parsed project of this process, shared by its calls."""


@dataclass(frozen=True)
class NodeResult:
    """What became of one model, seed or test.

    Parameters
    ----------
    unique_id : str
        dbt's id of the node.
    resource_type : str
        ``model``, ``seed``, ``test``, ``unit_test`` ...
    name : str
        Its name.
    status : str
        dbt's status: ``success``, ``pass``, ``warn``, ``fail``, ``error``, ``skipped``.
    failures : int
        Failing rows of a test.
    message : str
        dbt's message; empty where it has none.
    seconds : float
        Time it took.
    compiled : str
        The SQL that was made of it; empty where none was.
    """

    unique_id: str
    resource_type: str
    name: str
    status: str
    failures: int
    message: str
    seconds: float
    compiled: str

    @property
    def is_good(self) -> bool:
        """Whether what depends on it may go on."""
        return self.status in ("success", "pass", "warn", "no-op")


def project_fingerprint() -> str:
    """Hash of everything in the dbt project that decides what it builds."""
    digest = hashlib.sha256(version("dbt-core").encode())
    for path in sorted(PROJECT.rglob("*")):
        if path.suffix in (".sql", ".yml", ".csv") and TARGET not in path.parents:
            digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def variables(warehouse: Path, temporary: Path, memory_limit: str, threads: int) -> dict[str, str]:
    """The environment variables that dbt and its ``profiles.yml`` read."""
    return {
        "MAINBANK_WAREHOUSE": str(warehouse),
        "MAINBANK_MEMORY_LIMIT": memory_limit,
        "MAINBANK_THREADS": str(threads),
        "MAINBANK_TEMP": str(temporary),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(TARGET),
        "DBT_LOG_PATH": str(temporary / "dbt"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_USE_COLORS": "false",
    }


def prepare_manifest() -> Path:
    """Parse the dbt project if it changed since the last time, and return the manifest's path.

    The definitions are made from the manifest; parsing at each import would cost seconds in every process.
    """
    fingerprint = project_fingerprint()
    TARGET.mkdir(parents=True, exist_ok=True)
    with (TARGET / "parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # runs on several homes share the checkout
        if not (MANIFEST.is_file() and _FINGERPRINT.is_file() and _FINGERPRINT.read_text() == fingerprint):
            # Parsing opens no database; the values only have to be there.
            with _environment(variables(TARGET / "none.duckdb", TARGET, "1GB", 1)):
                invoke(["parse", "--quiet"])
            _FINGERPRINT.write_text(fingerprint)
    return MANIFEST


def load_manifest() -> dict[str, Any]:
    """The manifest as a dictionary, parsed first if the project changed."""
    manifest: dict[str, Any] = json.loads(prepare_manifest().read_text())
    return manifest


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class DbtError(Exception):
    """dbt could not run at all: the project does not parse, or an internal error."""


def invoke(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    on_node: Callable[[str, str, float], None] | None = None,
) -> list[NodeResult]:
    """Call dbt and give the database file back when it returns.

    Parameters
    ----------
    arguments : sequence of str
        As on the command line, without ``dbt``.
    environment : mapping of str to str, optional
        Variables for the time of the call, see `variables`.
    on_node : callable, optional
        Told name, status and seconds of each node as it ends.

    Returns
    -------
    list of NodeResult
        In the order in which they ended; empty for commands without nodes.

    Raises
    ------
    DbtError
        If dbt did not get as far as running nodes.
    """
    # dbt takes two seconds to import: only processes that call it pay.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    global _parsed  # noqa: PLW0603

    def hear(event: Any) -> None:
        if on_node is not None and event.info.name == "NodeFinished":
            info = event.data.node_info
            on_node(info.node_name, info.node_status, float(event.data.run_result.execution_time))

    with _environment(environment or {}):
        try:
            if arguments[0] != "parse" and _parsed is None:
                # Parsed without the run's variables: with them dbt would parse everything again for each new date.
                _parsed = dbtRunner().invoke(["parse", "--quiet", "--no-write-json"]).result
            runner = dbtRunner(callbacks=[hear], manifest=None if arguments[0] == "parse" else _parsed)
            outcome = runner.invoke(list(arguments))
        finally:
            # The adapter keeps the file open otherwise, and no other process could open it.
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    if outcome.exception is not None:
        raise DbtError(f"dbt {' '.join(arguments)}: {outcome.exception}") from outcome.exception
    # What runs before the nodes is none of them, but without it they are all skipped and none has failed.
    given = getattr(outcome.result, "results", [])
    results = [result for result in given if result.node.resource_type != "operation"]
    for result in given:
        if result.node.resource_type == "operation" and str(result.status) not in ("success", "pass"):
            raise DbtError(f"dbt {' '.join(arguments)}: {result.node.name}: {result.message}")
    if not outcome.success and not results:
        raise DbtError(f"dbt {' '.join(arguments)} failed; see its messages above")
    return [
        NodeResult(
            unique_id=result.node.unique_id,
            resource_type=str(result.node.resource_type),
            name=result.node.name,
            status=str(result.status),
            failures=int(result.failures or 0),
            message=str(result.message or ""),
            seconds=float(result.execution_time),
            compiled=str(getattr(result.node, "compiled_code", None) or ""),
        )
        for result in results
    ]
