"""How fast sources are landed, beside the bare library: connectorx to Parquet, DuckDB's COPY of a CSV to Parquet.

A PostgreSQL server from a wheel holds the postings, with one identifying column in eight (`IDENTIFYING=0`: none). Each
measurement is a process of its own, the two of a pair in turn; the best of the repetitions counts, since the machine
may be shared. `ROWS` and `REPEAT` in the environment change the size.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import connectorx
import duckdb
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "unit"))

from servers import postgres  # noqa: E402
from small_bank import SETTINGS, write_bank  # noqa: E402

from warehouse.home import Home  # noqa: E402
from warehouse.landing import land  # noqa: E402
from warehouse.sources.bank import load_bank  # noqa: E402

ROWS = int(os.environ.get("ROWS", "1000000"))
REPEAT = int(os.environ.get("REPEAT", "3"))
IDENTIFYING = os.environ.get("IDENTIFYING", "1") == "1"

MAPPING = """\
bank: small
sources:
  posting:
    source_system: core
    {origin}
    key: [posting_id]
    known_on: cast(posted_at as date)
    columns:
      posting_id: {{type: BIGINT, required: true}}
      account_id: {{type: BIGINT, required: true}}
      posted_at: {{type: TIMESTAMP, required: true}}
      amount: {{type: "DECIMAL(18,2)"}}
      kind: {{}}
      channel: {{}}
      balance_after: {{type: "DECIMAL(18,2)"}}
      other_side: {{{class_}}}
tables:
  branches:
    - rows: [{{source_system: core, branch_id: B}}]
  products:
    - rows: [{{source_system: core, product_code: D, category: deposit_demand, side: liability}}]
  customers:
    []
  accounts:
    []
  transactions:
    - from: posting
      columns:
        transaction_id: posting_id
        account_id: account_id
        posted_at: posted_at
        currency: "'CNY'"
        amount: amount
        balance_after: balance_after
"""
DATABASE = 'database: {url_from: BENCHMARK_URL, table: posting, cursor: posting_id, overlap: "1000"}'
FILE = "file: posting.csv\n    format: {type: csv}"
TABLE = """
create table posting as
select i as posting_id, i % 50000 as account_id, timestamp '2024-01-01' + i * interval '1 second' as posted_at,
    cast(((i * 7919) % 1000000) / 100.0 as numeric(18, 2)) as amount,
    (array['salary','payment','transfer','fee'])[1 + i % 4] as kind,
    (array['mobile','atm','counter'])[1 + i % 3] as channel,
    cast(((i * 104729) % 10000000) / 100.0 as numeric(18, 2)) as balance_after,
    '6222' || lpad((i % 200000)::text, 12, '0') as other_side
from generate_series(1::bigint, {rows}) i
"""


def peak_megabytes() -> float:
    """Most memory this process has held; what `getrusage` says of it begins with that of the process before."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure_once(kind: str, folder: Path) -> None:
    """Do one thing, and print the seconds, imports not counted."""
    started = time.perf_counter()
    rows = 0
    if kind == "connectorx":
        reader = connectorx.read_sql(
            os.environ["BENCHMARK_URL"], "select * from posting", return_type="arrow_stream", batch_size=1 << 16
        )
        with pq.ParquetWriter(folder / "out.parquet", reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
                rows += batch.num_rows
    elif kind == "duckdb":
        with duckdb.connect(config={"threads": 2}) as connection:
            connection.execute(
                f"copy (from read_csv('{folder / 'posting.csv'}')) to '{folder / 'out.parquet'}' (compression zstd)"
            )
    else:
        bank = load_bank(folder / ("file" if kind == "landed_csv" else "database"))
        (result,) = land(bank, folder, Home(folder / f"home_{kind.partition('_')[0]}"), delivered_on=date(2026, 1, 2))
        rows = result.entry.rows_landed
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows, "megabytes": peak_megabytes()}))


def best_of(kinds: tuple[str, ...], folder: Path) -> dict[str, dict[str, float]]:
    """Best seconds of each, in turn."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(REPEAT):
        for kind in kinds:
            command = [sys.executable, "-m", "benchmarks.sources", kind, str(folder)]
            outcome = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
            found = json.loads(outcome.stdout)
            best[kind] = min(best.get(kind, found), found, key=lambda item: item["seconds"])
            if kind != kinds[-1] or kind == "landed_csv":
                shutil.rmtree(folder / f"home_{kind.partition('_')[0]}", ignore_errors=True)
        shutil.rmtree(folder / "home_database", ignore_errors=True)
    return best


def main() -> None:
    with tempfile.TemporaryDirectory() as name, postgres() as server:
        folder = Path(name)
        server.run(TABLE.format(rows=ROWS))
        os.environ["BENCHMARK_URL"] = server.url
        class_ = "personal_data: direct_identifier" if IDENTIFYING else ""
        write_bank(folder / "database", MAPPING.format(origin=DATABASE, class_=class_), SETTINGS)
        write_bank(folder / "file", MAPPING.format(origin=FILE, class_=class_), SETTINGS)
        (folder / "posting.csv").write_text(
            "posting_id,account_id,posted_at,amount,kind,channel,balance_after,other_side\n"
            + server.run("copy posting to stdout (format csv)")
            + "\n"
        )
        found = best_of(("connectorx", "database"), folder) | best_of(("duckdb", "landed_csv"), folder)
        print(f"{ROWS:,} rows, best of {REPEAT}, identifying column: {IDENTIFYING}\n")
        print("| what | seconds | rows per second | peak MB |\n|---|---:|---:|---:|")
        for kind, one in found.items():
            speed = f"{ROWS / one['seconds']:,.0f}"
            print(f"| {kind} | {one['seconds']:.2f} | {speed} | {one['megabytes']:.0f} |")
        print(f"\ndatabase: {found['connectorx']['seconds'] / found['database']['seconds']:.2f} x bare connectorx")
        print(f"CSV: {found['duckdb']['seconds'] / found['landed_csv']['seconds']:.2f} x bare DuckDB COPY")
        increments(folder, server)


def increments(folder: Path, server: object) -> None:
    """What a day of 1,000 rows costs behind tables of two sizes."""
    for size in (ROWS // 10, ROWS):
        server.run(f"drop table posting; {TABLE.format(rows=size)}; create index on posting (posting_id)")  # type: ignore[attr-defined]
        home = folder / "home_increment"
        shutil.rmtree(home, ignore_errors=True)
        command = [sys.executable, "-m", "benchmarks.sources", "increment", str(folder)]
        subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        server.run(  # type: ignore[attr-defined]
            "insert into posting select posting_id + 1000, account_id, posted_at, amount, kind, channel, "
            f"balance_after, other_side from posting where posting_id > {size - 1000}"
        )
        outcome = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        found = json.loads(outcome.stdout)
        print(f"1,000 rows behind {size:,}: {found['seconds']:.2f} s, {found['rows']:,} landed")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure_once(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
