"""The source contract: every table a bank can bring, its columns, keys, classes of personal data and meaning.

One YAML file per table in `tables/`; a further table is one more file. The raw tables, the dbt sources, the
validation of mappings and the data dictionary are made from it. No rule of any bank belongs here.
"""

from warehouse.contract.model import (
    Column,
    Contract,
    Meaning,
    Reference,
    Table,
    load_contract,
    raw_ddl,
)

__all__ = ["Column", "Contract", "Meaning", "Reference", "Table", "load_contract", "raw_ddl"]
