"""The rows that a test of dbt found wrong, for whoever has to repair them; values of classed columns are masked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagster_project.lib import dbt
from dagster_project.lib.build import Build, last_build, reading
from warehouse.contract import load_contract
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.sources.bank import Bank
from warehouse.vault import mask

#: Columns of the star that tell what a classed column of the contract tells.
_DERIVED = {"birth_year": "quasi_identifier", "age_band": "quasi_identifier"}


@dataclass(frozen=True)
class FailingRow:
    """One row that breaks a test.

    Parameters
    ----------
    rule : str
        Which rule of the test; empty where the test is one rule.
    values : dict of str to str or None
        Its columns, masked.
    """

    rule: str
    values: dict[str, str | None]


def failing_rows(home: Home, bank: Bank, test: str, limit: int) -> list[FailingRow]:
    """Ask the warehouse as it stands again, and give the rows that a test finds wrong.

    Parameters
    ----------
    home, bank
        The installation and its bank.
    test : str
        Name of the test, as `meta.quality` and the asset checks show it.
    limit : int
        How many rows at most, of each rule.

    Returns
    -------
    list of FailingRow
        Empty if the test passes.

    Raises
    ------
    UserError
        If there is no such test, or nothing to ask.
    """
    build = last_build(home, bank)
    with reading(build, bank) as connection:
        tables = {row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()}
        failed = (
            connection.execute(
                "select distinct name from bookkeeping.check_result where status in ('fail', 'error') order by all"
            ).fetchall()
            if "check_result" in tables
            else []
        )
    known = {node["name"] for node in dbt.load_manifest()["nodes"].values() if node["resource_type"] == "test"}
    if test not in known:
        names = ", ".join(row[0] for row in failed) or "none failed; all are in meta.quality, layer test"
        raise UserError("there is no such test", where="TEST", found=test, valid=f"of the last run: {names}")
    query = _compiled(build, bank, test, limit)
    with reading(build, bank) as connection:
        found = connection.sql(query)
        columns = found.columns
        # `columns_hold` gives each row as one text and limits them by itself, rule by rule.
        is_listed = columns == ["rule", "failing_row"]
        rows = [dict(zip(columns, row, strict=True)) for row in (found if is_listed else found.limit(limit)).fetchall()]
    if is_listed:
        return [FailingRow(row["rule"], _masked(json.loads(row["failing_row"]))) for row in rows]
    return [FailingRow("", _masked(row)) for row in rows]


def _compiled(build: Build, bank: Bank, test: str, limit: int) -> str:
    settings: Mapping[str, Any] = {
        "as_of": build.as_of.isoformat(),
        "base_currency": bank.settings.base_currency,
        "time_zone": bank.settings.time_zone,
        "failing_rows": limit,
    }
    # Quiet alone would print the SQL of what is compiled by name.
    results = dbt.invoke(
        ["compile", "--log-level", "none", "--no-write-json", "--vars", json.dumps(settings), "--select", test],
        environment=dbt.variables(
            build.warehouse, build.temporary, bank.settings.resources.memory_limit, bank.settings.resources.threads
        ),
    )
    # dbt knows the file as `warehouse`; here it is the only one, whatever its name.
    return next(result.compiled for result in results if result.name == test).replace('"warehouse".', "")


def _masked(values: Mapping[str, Any]) -> dict[str, str | None]:
    classes = {
        name: column.personal_data
        for table in load_contract().tables.values()
        for column in table.columns
        if column.personal_data != "none"
        for name in (column.name, column.raw_name)
    } | _DERIVED
    return {
        name: mask(None if value is None else str(value), classes.get(name, "none")) for name, value in values.items()
    }
