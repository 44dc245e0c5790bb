"""What the shipped mapping and the contract say of each table: its key, when a row is known, whose row it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contract.model import load_contract
from warehouse.sample_bank.random_numbers import IntegerArray
from warehouse.sources.bank import load_bank

#: Tables that are no table of the contract: their rows are versions like those of the table whose columns they have.
LIKE = {"customers_elsewhere": "customers"}

#: Known before anything else: reference tables without a date of their own come with the initial load.
FROM_THE_START = -1_000_000


@dataclass(frozen=True)
class TableShape:
    """A table of the sample bank, as far as deliveries and faults need to know it.

    Attributes
    ----------
    key
        Columns that tell its things apart.
    known_on
        SQL expression of the day a row is known; None for reference tables that have no such day.
    is_versioned
        Whether rows are versions of things, each in force from its `updated_at`.
    owner
        Column that names the account or customer a row hangs on; None where it hangs on none.
    """

    name: str
    key: tuple[str, ...]
    known_on: str | None
    is_versioned: bool
    owner: str | None

    @property
    def is_of_customers(self) -> bool:
        """Whether its rows are about customers; reference tables are small and kept by hand."""
        return self.owner is not None or self.name == "customers"

    @property
    def own_key(self) -> str:
        """Column of the key that names the thing, before those that name its parts."""
        return next(name for name in self.key if name != "source_system")

    def known_days(self, rows: pa.Table) -> IntegerArray:
        """Day on which each row is known, as days since 1970-01-01."""
        if self.known_on is None or rows.num_rows == 0:
            return np.full(rows.num_rows, FROM_THE_START, np.int64)
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.register("rows", rows)
            days = connection.execute(f"select ({self.known_on})::date - date '1970-01-01' as day from rows")
            return np.asarray(days.fetchnumpy()["day"], np.int64)

    def keys(self, rows: pa.Table) -> pa.Array:
        """Key of each row as one text, without the source system, which is the same for a whole table."""
        columns = [pc.cast(rows.column(name), pa.string()) for name in self.key if name != "source_system"]
        joined = pc.binary_join_element_wise(*columns, "|", null_handling="replace", null_replacement="")
        return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


@lru_cache(maxsize=1)
def table_shapes() -> Mapping[str, TableShape]:
    """Shapes of the tables of the shipped mapping `sample`, by name."""
    contract = load_contract()
    shapes = {}
    for name, source in load_bank("sample").mapping.sources.items():
        if name not in contract.tables:
            continue  # the records of `customers_elsewhere`, system by system
        table = contract.tables[name]
        owners = [
            reference.columns[-1] for reference in table.references if reference.table in ("accounts", "customers")
        ]
        owner = "account_id" if "account_id" in owners else next(iter(owners), None)
        shapes[name] = TableShape(
            name,
            source.key,
            source.known_on,
            "updated_at" in table.column_names,
            owner,
        )
    return shapes


def shape_of(table: str) -> TableShape:
    """Shape of a table of the sample bank, whether the shipped mapping reads it or not.

    Examples
    --------
    >>> shape_of("customers_elsewhere").known_on == shape_of("customers").known_on
    True
    """
    shapes = table_shapes()
    return replace(shapes[LIKE[table]], name=table) if table in LIKE else shapes[table]
