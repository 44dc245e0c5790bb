"""The process that talks to databases: requests as JSON lines come in, Arrow streams and a line of outcome go out.

It is a process of its own since the drivers are native code: they write what a server says, perhaps with values of
rows, to the standard error, end in panics, and keep threads. Here all of that is caught, and memory is given back when
it ends. `warehouse.sources.database` is the other side; nothing else starts this.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa


def open_stream(request: dict[str, Any]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Begin to read the result of a statement."""
    if request["driver"] == "odbc":
        import arrow_odbc  # noqa: PLC0415

        reader = arrow_odbc.read_arrow_batches_from_odbc(
            request["statement"],
            connection_string=request["url"],
            batch_size=request["rows"],
            # Without a bound a text column of unknown length takes gigabytes per batch.
            max_bytes_per_batch=1 << 27,
            max_text_size=request["longest_text"],
            login_timeout_sec=request["seconds"],
        )
        return reader.schema, iter(reader)
    if request["driver"] == "sqlite":
        return read_sqlite(request)
    import connectorx  # noqa: PLC0415

    stream = connectorx.read_sql(
        request["url"],
        request["statement"],
        return_type="arrow_stream",
        batch_size=request["rows"],
        pre_execution_query=request["before"] or None,
    )
    return stream.schema, iter(stream)


def read_sqlite(request: dict[str, Any]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Rows of a SQLite file, all as text.

    SQLite has types for values, not for columns: connectorx takes them from the first row, and refuses a NULL there.
    """
    path = urllib.parse.quote(request["url"].removeprefix("sqlite://"))
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=request["lock_seconds"])
    cursor = connection.execute(request["statement"])
    schema = pa.schema([(column[0], pa.string()) for column in cursor.description])

    def batches() -> Iterator[pa.RecordBatch]:
        while rows := cursor.fetchmany(request["rows"]):
            columns = [[None if v is None else str(v) for v in column] for column in zip(*rows, strict=True)]
            yield pa.record_batch([pa.array(column, pa.string()) for column in columns], schema=schema)
        connection.close()

    return schema, batches()


def answer(request: dict[str, Any], out: BinaryIO) -> None:
    """Write the stream of one statement, then a line that says whether it is whole."""
    outcome: dict[str, Any] = {"rows": 0}
    writer: pa.ipc.RecordBatchStreamWriter | None = None
    try:
        schema, batches = open_stream(request)
        writer = pa.ipc.new_stream(out, schema)
        for batch in batches:
            writer.write_batch(batch)
            outcome["rows"] += batch.num_rows
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a native driver is no Exception; the other side raises
        outcome["error"] = str(error) or type(error).__name__
    if writer is None:
        writer = pa.ipc.new_stream(out, pa.schema([]))
    writer.close()
    out.write(json.dumps(outcome).encode() + b"\n")
    out.flush()


def main() -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin.buffer:
        answer(json.loads(line), sys.stdout.buffer)


if __name__ == "__main__":
    main()
