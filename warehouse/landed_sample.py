"""A few landed rows, as they may be shown to who operates the warehouse."""

from __future__ import annotations

import itertools

import pyarrow.parquet as pq

from warehouse import vault
from warehouse.home import Home
from warehouse.ledger import LedgerEntry
from warehouse.sources.specification import DerivedColumn, SourceColumn, SourceSpec

SAMPLE_ROWS = 5


def masked_rows(home: Home, source: SourceSpec, entry: LedgerEntry, rows: int = SAMPLE_ROWS) -> list[dict[str, str]]:
    """First rows of a landed delivery, each personal value masked.

    Parameters
    ----------
    entry
        A delivery of the source that is in force.
    rows
        At most so many.

    Returns
    -------
    list of dict
        A row by column: the source's own columns and when it was known. An absent value is an empty text; of an
        identifying column landing holds a token only, of which the first characters are shown.
    """
    columns: list[SourceColumn | DerivedColumn] = [*source.columns, *source.derive]
    classes = {column.name: column.personal_data for column in columns}
    # Keys lead to a person where other tables are at hand, and what is shown here outlives an erasure.
    keys = {name for name in classes if name in source.key or name.endswith(("_id", "_no", "_number"))}
    shown = {
        name: "quasi_identifier" if name in keys and class_ == "none" else class_ for name, class_ in classes.items()
    }
    with pq.ParquetFile(entry.parquet_path(home.landing)) as file:
        batches = file.iter_batches(batch_size=rows)
        found = list(itertools.islice((row for batch in batches for row in batch.to_pylist()), rows))
    return [
        {
            name: "" if value is None else vault.mask(str(value), shown.get(name, "none")) or ""
            for name, value in row.items()
            if name in shown or name == "_known_on"
        }
        for row in found
    ]
