"""What the vault costs: landing with and without it, side by side, and its share of a whole run.

"Without" is the same mapping with every class `none`: nothing is tokenised and nothing sealed. Each landing runs in a
process of its own, the two in turn; the best of the repetitions counts, since the machine may be shared.
`CUSTOMERS`, `MONTHS`, `REPEAT` and `SMALL` (of the whole run) in the environment change the size.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from warehouse.home import Home
from warehouse.landing import land
from warehouse.sample_bank.generate import generate
from warehouse.sources.bank import load_bank

CUSTOMERS = int(os.environ.get("CUSTOMERS", "50000"))
MONTHS = int(os.environ.get("MONTHS", "6"))
REPEAT = int(os.environ.get("REPEAT", "3"))
SMALL = int(os.environ.get("SMALL", "2000"))


def land_once(data: Path, home: Path, kind: str) -> None:
    """Land a sample bank and print the seconds, imports and mapping not counted."""
    bank = load_bank("sample")
    if kind == "without":
        open_sources = {
            name: dataclasses.replace(
                source, columns=tuple(dataclasses.replace(c, personal_data="none") for c in source.columns)
            )
            for name, source in bank.mapping.sources.items()
        }
        bank = dataclasses.replace(bank, mapping=dataclasses.replace(bank.mapping, sources=open_sources))
    started, cpu = time.perf_counter(), time.process_time()
    results = land(bank, data, Home(home))
    seconds = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    print(json.dumps(seconds | {"rows": sum(result.entry.rows_landed for result in results)}))


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(data: Path, root: Path) -> dict[str, dict[str, float]]:
    """Best seconds of landing, with and without the vault, and what it left on the disk."""
    best: dict[str, dict[str, float]] = {}
    for turn in range(REPEAT):
        for kind in ("without", "with"):
            home = root / f"{kind}{turn}"
            command = [sys.executable, "-m", "benchmarks.vault", str(data), str(home), kind]
            outcome = subprocess.run(command, capture_output=True, text=True, check=True)
            measured = json.loads(outcome.stdout)
            measured |= {"landing": size_of(home / "landing") / 1e6, "vault": size_of(home / "vault") / 1e6}
            best[kind] = min(best.get(kind, measured), measured, key=lambda found: found["seconds"])
            shutil.rmtree(home)
    return best


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        generate(root / "data", customers=CUSTOMERS, months=MONTHS, seed=1)
        best = measure(root / "data", root / "homes")
        print(f"{CUSTOMERS:,} customers, {MONTHS} months, {best['with']['rows']:,} rows, best of {REPEAT}\n")
        print("| landing | seconds | CPU seconds | rows per second | landing MB | vault MB |")
        print("|---|---:|---:|---:|---:|---:|")
        for kind, found in best.items():
            speed = found["rows"] / found["seconds"]
            sizes = f"{found['landing']:.0f} | {found['vault']:.1f}"
            print(f"| {kind} the vault | {found['seconds']:.2f} | {found['cpu']:.2f} | {speed:,.0f} | {sizes} |")
        print(f"\nRatio of landing: {best['with']['seconds'] / best['without']['seconds']:.2f}")
        # The contract does not let a class be lowered, so a whole run without the vault cannot be made: it is the
        # run with it, less the difference of landing the same files.
        generate(root / "small", customers=SMALL, months=24, seed=1)
        small = measure(root / "small", root / "small_homes")
        cost = small["with"]["seconds"] - small["without"]["seconds"]
        seconds = run_once(root / "small", root / "home")
        print(f"Whole run of {SMALL:,} customers, 24 months: {seconds:.1f} s, {cost:.1f} s of it the vault")
        print(f"Ratio of the whole run: {seconds / (seconds - cost):.3f}")


def run_once(data: Path, home: Path) -> float:
    """Seconds of a whole run, as its summary states them."""
    outcome = subprocess.run(
        [Path(sys.executable).with_name("mainbank"), "run", "--source", "sample", "--data", str(data)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MAINBANK_HOME": str(home)},
    )
    line = next(line for line in outcome.stdout.splitlines() if line.startswith("Seconds:"))
    return float(line.rsplit(";", 1)[1].split()[0])


if __name__ == "__main__":
    if len(sys.argv) == 4:
        land_once(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    else:
        main()
