"""A small bank written straight into raw tables, and dbt run on it in this process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from warehouse.contract import load_contract, raw_ddl
from warehouse.contract.model import PERSON_MERGES, PERSON_RECORDS

PROJECT = Path(__file__).resolve().parents[2] / "dbt"
FIRST_PASS = ("--exclude", "tag:mined", "--exclude-resource-type", "unit_test")
KNOWN_FROM_THE_START = date(1900, 1, 1)


def _variables(file: Path, folder: Path) -> dict[str, str]:
    return {
        "MAINBANK_WAREHOUSE": str(file),
        "MAINBANK_MEMORY_LIMIT": "1GB",
        "MAINBANK_THREADS": "2",
        "MAINBANK_TEMP": str(folder),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "log"),
        "DBT_LOG_LEVEL_FILE": "none",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


class Dbt:
    """dbt with a manifest that is parsed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: Any = None
        self.manifest = self.invoke(["parse"], folder / "none.duckdb").result

    def invoke(self, arguments: list[str], file: Path) -> Any:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        before = dict(os.environ)
        os.environ.update(_variables(file, self.folder))
        try:
            outcome = dbtRunner(manifest=self.manifest).invoke(["--quiet", *arguments])
            # What runs before the nodes is none of them.
            if hasattr(outcome.result, "results"):
                outcome.result.results = [r for r in outcome.result.results if r.node.resource_type != "operation"]
            return outcome
        finally:
            DuckDBConnectionManager.close_all_connections()
            os.environ.clear()
            os.environ.update(before)


class Warehouse:
    """A warehouse file: deliveries go in, dbt builds it, tables come out."""

    def __init__(self, dbt: Dbt, file: Path, copy_of: Path | None = None) -> None:
        self.dbt = dbt
        self.file = file
        self.batch = 0
        if copy_of is not None:
            shutil.copy(copy_of, file)
            return
        with duckdb.connect(file) as connection:
            connection.execute("create schema raw")
            for table in (*load_contract().tables.values(),):
                connection.execute(raw_ddl(table))
            for made in (PERSON_RECORDS, PERSON_MERGES):
                columns = ", ".join(f"{column.name} {column.type}" for column in made.columns)
                connection.execute(f"create table raw.{made.name} ({columns})")

    def deliver(
        self,
        table: str,
        rows: list[dict[str, Any]],
        known_on: date = KNOWN_FROM_THE_START,
        operation: str = "upsert",
    ) -> None:
        """Register one delivery as the next batch."""
        self.batch += 1
        contract = load_contract().tables[table]
        contract_columns = [column.raw_name for column in contract.columns]
        with duckdb.connect(self.file) as connection:
            for position, given in enumerate(rows, start=1):
                row = {"source_system": "core", **given}
                unknown = set(row) - set(contract_columns)
                assert not unknown, unknown
                content = "|".join(str(row.get(column)) for column in contract_columns)
                row |= {
                    "operation": operation,
                    "delivery_id": f"{table}-{known_on}-{operation}",
                    "known_on": known_on,
                    "is_known_on_assumed": known_on == KNOWN_FROM_THE_START,
                    "landed_at": datetime(2024, 1, 1),
                    "source_row": position,
                    "row_hash": hashlib.sha256(content.encode()).hexdigest(),
                    "batch": self.batch,
                }
                connection.execute(
                    f"insert into raw.{table} ({', '.join(row)}) values ({', '.join('?' for _ in row)})",
                    list(row.values()),
                )
            connection.execute("delete from raw.person_records")
            connection.execute(
                """
                insert into raw.person_records
                select
                    source_system || source_customer_id, 'person of ' || source_customer_id,
                    source_system, source_customer_id, min(known_on), date '9999-12-31', 'own record'
                from raw.customers
                group by all
                """
            )

    def dbt_command(self, command: str | list[str], as_of: str, *arguments: str) -> Any:
        settings = {"as_of": as_of, "base_currency": "CZK", "time_zone": "Europe/Prague"}
        words = [command] if isinstance(command, str) else command
        return self.dbt.invoke([*words, "--vars", json.dumps(settings), *arguments], self.file)

    def build(self, as_of: str, *arguments: str) -> None:
        """Seeds and models of the first pass, without tests."""
        outcome = self.dbt_command("build", as_of, *FIRST_PASS, "--exclude-resource-type", "test", *arguments)
        assert outcome.success, [
            (node.node.name, node.message) for node in outcome.result.results if node.message != "OK"
        ]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.file, read_only=True) as connection:
            return connection.execute(query).fetchall()

    def execute(self, statement: str) -> None:
        with duckdb.connect(self.file) as connection:
            connection.execute(statement)

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Rows of every table that others read, in an order of their own."""
        names = self.rows(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where schema_name in ('core', 'customer', 'features', 'quality') order by all"
        )
        return {name: sorted(self.rows(f"from {name}"), key=repr) for (name,) in names}
