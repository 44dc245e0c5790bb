"""How late each delivered table comes, as metadata of the asset that measures it."""

from __future__ import annotations

from typing import Any

import dagster as dg
import duckdb

TABLE = ("meta", "table_lag")
"""Where the lag is measured: the model's own schema and name."""


def lag_metadata(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Lag per delivered table, p50 and p95, as `meta.table_lag` has it.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To a warehouse in which the table is built.

    Returns
    -------
    dict
        One table of all, with the reason where there is no lag; and the hours from a row's own time to its landing as a
        number each, by table and source system, so that Dagster draws them over its runs. A table without a lag has
        no number.

    Examples
    --------
    >>> connection = duckdb.connect()
    >>> _ = connection.execute(
    ...     "create schema meta; create table meta.table_lag as select "
    ...     "'accounts' as table_name, 'core' as source_system, 3 as timed_count, "
    ...     " 20 as landing_p50_hours, 44 as landing_p95_hours, -4 as delivery_p50_hours, "
    ...     "20 as delivery_p95_hours, null as lag_absence"
    ... )
    >>> found = lag_metadata(connection)
    >>> found["accounts (core), p50 hours"], found["accounts (core), p95 hours"]
    (20, 44)
    >>> print(found["lag by table"].value.splitlines()[-1])
    | accounts | core | 3 | 20 | 44 | -4 | 20 |  |
    """
    rows = connection.execute(
        "select table_name, source_system, timed_count, landing_p50_hours, landing_p95_hours, "
        "delivery_p50_hours, delivery_p95_hours, lag_absence from meta.table_lag order by all"
    ).fetchall()
    lines = [
        "| table | source system | rows timed | landed p50 (hours) | p95 | delivered p50 | p95 | no lag because |",
        "|---|---|---:|---:|---:|---:|---:|---|",
        *("| " + " | ".join("" if value is None else str(value) for value in row) + " |" for row in rows),
    ]
    return {
        "lag by table": dg.MetadataValue.md("\n".join(lines)),
        **{
            f"{table} ({source_system}), {name} hours": hours
            for table, source_system, _, p50, p95, *_ in rows
            for name, hours in (("p50", p50), ("p95", p95))
            if hours is not None
        },
    }
