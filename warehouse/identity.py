"""One person, one customer: which person each customer record of a source system stands for.

For now each record is a person of its own. Only hashed ids and the evidence leave this module, never a clear value.
"""

from __future__ import annotations

import duckdb

from warehouse.contract.model import PERSON_RECORDS, Column
from warehouse.sources.specification import quote_name

#: Why a record is the person it is, as long as records are not compared with each other.
ONE_RECORD = "one record, one person"


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `raw.person_records` if it is not there yet."""
    columns = ", ".join(f"{quote_name(column.name)} {_definition(column)}" for column in PERSON_RECORDS.columns)
    connection.execute(f"create table if not exists raw.person_records ({columns})")


def assign(connection: duckdb.DuckDBPyConnection) -> int:
    """Give every customer record in `raw.customers` its person; the number of records.

    `person_id` is the first 16 hex digits of sha256(registered_on|source_system|source_customer_id), of the version
    of the record that was known first: it never changes when later versions arrive, and does not depend on the
    order of arrival. A record of which only deletions are known is no person.

    Parameters
    ----------
    connection
        The warehouse, open for writing.
    """
    connection.execute("delete from raw.person_records")
    connection.execute(
        """
        insert into raw.person_records by name
        with first_version as (
            select record_id, source_system, source_customer_id, registered_on
            from raw.customers
            where operation = 'upsert'
            qualify row_number() over (
                partition by source_system, source_customer_id order by known_on, source_row, row_hash
            ) = 1
        )

        select
            record_id,
            left(
                sha256(
                    concat(coalesce(cast(registered_on as varchar), ''), '|', source_system, '|', source_customer_id)
                ),
                16
            ) as person_id,
            source_system,
            source_customer_id,
            $evidence as evidence
        from first_version
        order by source_system, source_customer_id
        """,
        {"evidence": ONE_RECORD},
    )
    row = connection.execute("select count(*) from raw.person_records").fetchone()
    return int(row[0]) if row else 0


def _definition(column: Column) -> str:
    return f"{column.type}{' not null' if column.required else ''}"
