"""What people decided about findings: appended to ``decisions/``, read by every build into schema ``decision``.

A verdict cannot be recomputed by a replay, so it is an input like a delivery. It counts from the as-of date of the
release it was given about: a build as of an earlier date does not know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from warehouse.home import Home
from warehouse.vault.files import append_line, read_lines

VERDICTS_FILE = "verdicts.jsonl"
VERDICT_TABLE = pa.schema(
    [
        ("knowledge_id", pa.string()),
        ("kind", pa.string()),
        ("task", pa.string()),
        ("statement_en", pa.string()),
        ("statement_zh", pa.string()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
        ("judged_as_of", pa.date32()),
        ("expires_on", pa.date32()),
        ("judged_by", pa.string()),
        ("decided_at", pa.timestamp("us")),
        ("sequence", pa.int64()),
    ]
)
"""Columns of ``decision.verdict``; `sequence` is the order in which they were given."""


def record_verdict(home: Home, bank: str, who: str, verdict: Mapping[str, Any]) -> None:
    """Append a verdict; what was said before stays.

    Parameters
    ----------
    home, bank
        The installation and the bank.
    who
        Account of whoever judged.
    verdict
        The other columns of `VERDICT_TABLE`.
    """
    line = {name: verdict[name].isoformat() if isinstance(verdict[name], date) else verdict[name] for name in verdict}
    decided_at = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    append_line(home.decisions / VERDICTS_FILE, {**line, "bank": bank, "judged_by": who, "decided_at": decided_at})


def verdicts(home: Home, bank: str) -> pa.Table:
    """Every verdict of a bank in the order in which they were given, as `VERDICT_TABLE`."""
    lines = [line for line in read_lines(home.decisions / VERDICTS_FILE) if line["bank"] == bank]
    rows = [
        {
            **{name: line.get(name) for name in VERDICT_TABLE.names},
            "judged_as_of": date.fromisoformat(line["judged_as_of"]),
            "expires_on": date.fromisoformat(line["expires_on"]),
            "decided_at": datetime.fromisoformat(line["decided_at"]),
            "sequence": number,
        }
        for number, line in enumerate(lines, start=1)
    ]
    return pa.Table.from_pylist(rows, schema=VERDICT_TABLE)


def write_decisions(connection: duckdb.DuckDBPyConnection, home: Home, bank: str) -> None:
    """Bring schema ``decision`` of the warehouse to what was decided until now."""
    connection.execute("create schema if not exists decision")
    connection.register("verdicts_to_write", verdicts(home, bank))
    connection.execute("create or replace table decision.verdict as from verdicts_to_write order by sequence")
    connection.unregister("verdicts_to_write")
