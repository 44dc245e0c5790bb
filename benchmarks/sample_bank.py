"""The sample bank against DuckDB writing the same finished tables, and how much memory the generator takes.

Run `python -m benchmarks.sample_bank [--customers N] [--months M]`. Generating computes every row and writes it; DuckDB
has the rows in memory already and only writes them, as zstd Parquet at its own level and at the generator's. Each runs
in a process of its own, one after the other, so that peaks are their own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb


def generated(folder: Path, customers: int, months: int) -> dict[str, float]:
    """Seconds and peak memory of the generator, import of its modules included in the peak only."""
    from warehouse.sample_bank.generate import generate  # noqa: PLC0415

    began, processor = time.perf_counter(), time.process_time()
    bank = generate(folder, customers=customers, months=months)
    return {
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - processor,
        "rows": sum(bank.rows.values()),
        **_used(folder),
    }


def written(folder: Path, source: Path, threads: int, level: int) -> dict[str, float]:
    """Seconds and peak memory of DuckDB writing the tables it holds; reading them is not counted."""
    folder.mkdir()
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute("set enable_progress_bar = false")
        tables = sorted(path.name for path in source.iterdir() if path.is_dir())
        for table in tables:
            connection.execute(f"create table {table} as select * from read_parquet('{source}/{table}/*.parquet')")
        began, processor = time.perf_counter(), time.process_time()
        for table in tables:
            options = f"format parquet, compression zstd, compression_level {level}"
            connection.execute(f"copy {table} to '{folder}/{table}.parquet' ({options})")
        seconds = {"seconds": time.perf_counter() - began, "processor": time.process_time() - processor}
    return {**seconds, **_used(folder)}


def _used(folder: Path) -> dict[str, float]:
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    return {"megabytes": size / 1e6, "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def _apart(function: str, *arguments: object) -> dict[str, float]:
    """Result of a function of this module, in a process of its own."""
    shown = ", ".join(f"Path({str(value)!r})" if isinstance(value, Path) else repr(value) for value in arguments)
    script = (
        "import json; from pathlib import Path; from benchmarks import sample_bank; "
        f"print(json.dumps(sample_bank.{function}({shown})))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(run.stdout)
    return figures


def _line(name: str, figures: dict[str, float], generator: dict[str, float] | None) -> str:
    cells = [f"{name:<34}"]
    for measure in ("seconds", "processor"):
        ratio = "" if generator is None else f"{figures[measure] / generator[measure]:.2f}"
        cells.append(f"{figures[measure]:8.2f} {ratio:>6}")
    return " ".join([*cells, f"{figures['megabytes']:7.1f} {figures['peak_gb']:8.2f}"])


def main() -> None:
    """Print a line for the generator and one for each way in which DuckDB writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=24)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bank = _apart("generated", folder / "bank", arguments.customers, arguments.months)
        print(f"{arguments.customers:,} customers x {arguments.months} months: {bank['rows']:,} rows")
        print(f"{'':<34} {'seconds':>8} {'ratio':>6} {'CPU s':>8} {'ratio':>6} {'MB':>7} {'peak GB':>8}")
        print(_line("generate", bank, None))
        for threads, level in ((1, 3), (1, 1), (2, 3)):
            peer = _apart("written", folder / f"{threads} {level}", folder / "bank", threads, level)
            print(_line(f"DuckDB, {threads} thread{'s' * (threads > 1)}, zstd level {level}", peer, bank))
        print("ratio: DuckDB's seconds by the generator's; 0.3 is claimed")


if __name__ == "__main__":
    main()
