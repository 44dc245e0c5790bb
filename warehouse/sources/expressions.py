"""SQL expressions of a mapping, taken apart by DuckDB's own parser: what they read, and whether they may stand.

An expression sees one row. It may not look at other rows (aggregates, windows, subqueries) and may not answer
differently tomorrow (clock, random numbers, settings), or two builds from the same deliveries would differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb


class ExpressionError(Exception):
    """An expression that cannot stand in a mapping: what is wrong with it, and what would be valid."""

    def __init__(self, problem: str, valid: str | None = None) -> None:
        self.problem = problem
        self.valid = valid
        super().__init__(problem)


@dataclass(frozen=True)
class Expression:
    """A parsed expression: its text, the columns it reads, the functions it calls."""

    text: str
    references: tuple[tuple[str, ...], ...]
    functions: tuple[str, ...]
    is_bare: bool


def parse_expression(connection: duckdb.DuckDBPyConnection, text: str) -> Expression:
    """Take a SQL expression apart.

    Parameters
    ----------
    connection
        Any connection; nothing is read or written.
    text
        One scalar SQL expression.

    Raises
    ------
    ExpressionError
        It does not parse, is more than one expression, or uses what sees other rows.

    Examples
    --------
    >>> with duckdb.connect() as connection:
    ...     parse_expression(connection, "coalesce(k_symbol, owner.kind)").references
    (('k_symbol',), ('owner', 'kind'))
    """
    # The line break ends a trailing comment, which would otherwise swallow what is built around the text.
    row = connection.execute(
        "select json_serialize_sql(cast(? as varchar), skip_null := true, skip_empty := true)", [f"select {text}\n"]
    ).fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if parsed["error"]:
        raise ExpressionError(f"this is not a SQL expression: {parsed.get('error_message', 'it does not parse')}")
    statements = parsed["statements"]
    node = statements[0]["node"] if statements else {}
    extra = set(node) - {"type", "select_list", "from_table", "aggregate_handling", "cte_map"}
    is_plain = node.get("from_table", {}).get("type") == "EMPTY" and not extra
    if len(statements) != 1 or not is_plain or len(node["select_list"]) != 1:
        raise ExpressionError("one SQL expression is expected here, not a query or a list")
    root = node["select_list"][0]
    if "alias" in root:
        raise ExpressionError(f"an expression has no alias (found {root['alias']!r})", "the expression alone")
    references: list[tuple[str, ...]] = []
    functions: list[str] = []
    for part in _parts(root):
        kind = part.get("class")
        if kind in ("SUBQUERY", "WINDOW", "STAR"):
            raise ExpressionError(
                f"an expression sees one row: it may not hold a {kind.lower()}", "scalar functions and case"
            )
        if kind == "COLUMN_REF":
            references.append(tuple(part["column_names"]))
        elif kind == "FUNCTION":
            functions.append(part["function_name"].lower())
    return Expression(
        text, tuple(dict.fromkeys(references)), tuple(dict.fromkeys(functions)), root["class"] == "COLUMN_REF"
    )


def refused_functions(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Functions that may not stand in an expression, each with the reason."""
    rows = connection.execute(
        """
        select
            function_name,
            bool_or(function_type = 'scalar' and stability <> 'CONSISTENT') as is_unstable,
            bool_and(function_type in ('aggregate', 'window')) as is_aggregate,
        from duckdb_functions()
        where function_type in ('scalar', 'aggregate', 'window', 'macro')
        group by function_name
        """
    ).fetchall()
    reasons = {}
    for name, is_unstable, is_aggregate in rows:
        if is_unstable:
            reasons[name] = "its answer depends on the clock, on chance or on how the database was opened"
        elif is_aggregate:
            reasons[name] = "it looks at several rows"
    return reasons


def result_type(connection: duckdb.DuckDBPyConnection, text: str, relation: str) -> str:
    """Type of an expression over a relation, by binding it.

    Raises
    ------
    ExpressionError
        It does not bind.
    """
    try:
        row = connection.execute(f"describe select (\n{text}\n) as bound from {relation}").fetchone()
    except duckdb.Error as error:
        # Without the excerpt of a statement that nobody wrote.
        message = " ".join(str(error).split("\n\nLINE", 1)[0].split())
        raise ExpressionError(f"DuckDB cannot read this expression: {message}") from error
    if row is None:
        raise ExpressionError("DuckDB cannot read this expression")
    return str(row[1]).strip('"')


def _parts(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from _parts(child)
    elif isinstance(node, list):
        for child in node:
            yield from _parts(child)
