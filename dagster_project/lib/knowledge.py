"""What `mainbank knowledge` shows and records: the register of the current release, and verdicts about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date

import duckdb

from mining.knowledge.register import VERDICTS
from warehouse.decisions import record_verdict, verdicts
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.release import FILE_NAME
from warehouse.yaml_file import closest_names

MONTHS_VALID = 12
"""A verdict is asked for again after a year: products, prices and customers change."""


@dataclass(frozen=True)
class Known:
    """One finding as it is shown; `pending` is a verdict given since the release was made."""

    knowledge_id: str
    kind: str
    task: str
    status: str
    killed_by: str | None
    verdict: str | None
    expires_on: date | None
    statement_en: str
    statement_zh: str
    pending: str | None


@contextmanager
def _release(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    file = home.current / FILE_NAME
    if not file.is_file():
        raise UserError("there is no release to read knowledge from", where=str(file), next_step="run: mainbank run")
    with duckdb.connect(str(file), read_only=True) as connection:
        has_register = connection.execute(
            "select count(*) from duckdb_tables() where schema_name = 'mining' and table_name = 'knowledge_register'"
        ).fetchall()[0][0]
        if not has_register:
            raise UserError(
                "the current release has no register of knowledge",
                where=str(file),
                found="a release made before knowledge was registered",
                next_step="run: mainbank run",
            )
        yield connection


def listed(home: Home, *, everything: bool, task: str | None) -> list[Known]:
    """Findings of the current release: those shown by default, or all; the strongest first.

    Raises
    ------
    UserError
        If there is no release with a register, or no such task in it.
    """
    with _release(home) as connection:
        bank = connection.execute("select bank from meta.release").fetchall()[0][0]
        tasks = [
            name
            for (name,) in connection.execute(
                "select distinct task from mining.knowledge_register order by all"
            ).fetchall()
        ]
        if task is not None and task not in tasks:
            raise UserError(
                "nothing was found for this task",
                where="--task",
                found=repr(task),
                valid=closest_names(task, tasks) or "no task found anything",
            )
        rows = connection.execute(
            """
            select
                knowledge_id, kind, task, status, killed_by, verdict, expires_on, statement_en, statement_zh,
                judged_as_of
            from mining.knowledge_register
            where (is_shown or $everything) and task = coalesce($task, task)
            order by is_shown desc, strata_effect_lower desc nulls last, knowledge_id
            """,
            {"everything": everything, "task": task},
        ).fetchall()
    given = {row["knowledge_id"]: row for row in verdicts(home, bank).to_pylist()}

    def pending(knowledge_id: str, *in_force: object) -> str | None:
        last = given.get(knowledge_id)
        if last is None or (last["verdict"], last["expires_on"], last["judged_as_of"]) == in_force:
            return None
        return str(last["verdict"])

    names = [field.name for field in fields(Known)][:-1]
    return [
        Known(**dict(zip(names, row[:9], strict=True)), pending=pending(row[0], row[5], row[6], row[9])) for row in rows
    ]


def kill_rates(home: Home) -> list[tuple[str, str, int, int, float | None]]:
    """Task, kind, findings beyond chance, those left as knowledge, and the share killed."""
    with _release(home) as connection:
        return connection.execute(
            "select task, kind, found_count, shown_count, kill_ratio from mining.knowledge_kill_rate order by all"
        ).fetchall()


def judge(home: Home, knowledge_id: str, verdict: str, reason: str, expires: str | None, *, who: str) -> date:
    """Record a verdict about a finding of the current release.

    Returns
    -------
    datetime.date
        Until when it holds.

    Raises
    ------
    UserError
        If there is no such finding or verdict, no reason, or the day is no day after the release's as-of date.
    """
    if verdict not in VERDICTS:
        raise UserError("there is no such verdict", where="--verdict", found=repr(verdict), valid=", ".join(VERDICTS))
    if not reason.strip():
        raise UserError(
            "a verdict needs a reason", where="--reason", found="nothing", next_step="say why in a sentence"
        )
    with _release(home) as connection:
        bank, as_of = connection.execute("select bank, as_of from meta.release").fetchall()[0]
        rows = connection.execute(
            "select kind, task, statement_en, statement_zh from mining.knowledge_register where knowledge_id = ?",
            [knowledge_id],
        ).fetchall()
        default = connection.execute("select cast(? + to_months(?) as date)", [as_of, MONTHS_VALID]).fetchall()[0][0]
    if not rows:
        raise UserError(
            "the current release has no such finding",
            where="KNOWLEDGE_ID",
            found=repr(knowledge_id),
            valid="an id that `mainbank knowledge list --all` shows",
        )
    until = default if expires is None else _day(expires, as_of)
    kind, task, english, chinese = rows[0]
    record_verdict(
        home,
        bank,
        who,
        {
            "knowledge_id": knowledge_id,
            "kind": kind,
            "task": task,
            "statement_en": english,
            "statement_zh": chinese,
            "verdict": verdict,
            "reason": reason.strip(),
            "judged_as_of": as_of,
            "expires_on": until,
        },
    )
    return until


def _day(text: str, as_of: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = as_of
    if day <= as_of:
        raise UserError(
            "a verdict expires on a day after the release's as-of date",
            where="--expires",
            found=repr(text),
            valid=f"a day after {as_of}, as 2026-12-31",
        )
    return day
