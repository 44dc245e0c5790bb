"""Association mining beside its peers: mlxtend's fpgrowth and pyfim (Borgelt's C), in one run on one machine.

    .venv/bin/python -m benchmarks.association [--case NAME ...] [--repeat N]

Each engine gets each case in a process of its own and its input in the form that is fastest for it:

mainbank  words of item bits that one DuckDB aggregate makes; read baskets where mining alone is timed
mlxtend   a boolean frame, sparse where baskets are sparse; it takes no weights, so each customer is a row
pyfim     tuples, or a dictionary of distinct tuples with their counts; the fastest of its fpgrowth, eclat and apriori
          is shown (it leaves out itemsets that every basket holds)

"mining" starts from that input and ends with mainbank's and mlxtend's frame, and pyfim's list of tuples. "end to end"
starts at a DuckDB file with one row per customer and product. Seconds are on the clock and, in brackets, of the
processor (all threads): on a machine that others use too the second are the fairer. Peak memory is the highest resident
set of the process while it was timed, less what it had before.

pyfim is no dependency of the project. To compare with it: `pip install --target FOLDER pyfim`, then `PEERS=FOLDER`.
Without it, or without the public data sets beside the repository, those lines are left out and said so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from mlxtend.frequent_patterns import association_rules as mlxtend_rules
from mlxtend.frequent_patterns import fpgrowth
from scipy import sparse

from mining import association
from warehouse.sample_bank.dates import month_number
from warehouse.sample_bank.parameters import DEFAULT_PARAMETERS, PRODUCT_COUNT
from warehouse.sample_bank.population import HELD_AT_START, draw_population
from warehouse.sample_bank.simulation import BankSettings

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
ENGINES = ("mainbank", "mlxtend", "pyfim")
PYFIM_ALGORITHMS = ("fpgrowth", "eclat", "apriori")

Timed = Callable[[], int]
"""What is timed; returns how many itemsets or rules it found."""


# Baskets ------------------------------------------------------------------------------------------------------------


def fimi(name: str) -> list[tuple[int, ...]]:
    lines = (DATA / "fimi" / name).read_text().splitlines()
    return [tuple(map(int, line.split())) for line in lines]


def dense_baskets() -> list[tuple[int, ...]]:
    """The mushroom data set where it is at hand, else baskets of its shape: 8,124 x 23 attributes of 23 species."""
    if (DATA / "fimi" / "mushroom.dat").exists():
        return fimi("mushroom.dat")
    generator = np.random.default_rng(23)
    values = [2, 6, 4, 10, 2, 9, 2, 2, 2, 12, 2, 5, 4, 4, 9, 9, 1, 4, 3, 5, 9, 6, 7]
    species = generator.choice(23, 8124, p=generator.dirichlet(np.full(23, 0.6)))
    columns, first = [], 0
    for count in [count for count in values if count > 1]:
        share = generator.dirichlet(np.full(count, 0.35))
        usual = generator.choice(count, 23, p=share)
        other = generator.choice(count, 8124, p=share)
        columns.append(first + np.where(generator.random(8124) < 0.65, usual[species], other))
        first += count
    return [tuple(row) for row in np.column_stack(columns).tolist()]


def independent_holdings(customers: int) -> np.ndarray:
    """60 products, each held by 60 % down to 0.5 % of the customers on its own: about 800,000 distinct baskets."""
    generator = np.random.default_rng(0)
    masks = np.zeros(customers, dtype=np.uint64)
    for product, share in enumerate(np.geomspace(0.6, 0.005, 60)):
        masks |= (generator.random(customers) < share).astype(np.uint64) << np.uint64(product)
    return masks


def bank_holdings(customers: int) -> np.ndarray:
    """20 products held in bundles by six kinds of customers, as in a retail bank: a few thousand distinct baskets."""
    generator = np.random.default_rng(1)
    kinds = generator.choice(6, customers, p=[0.35, 0.25, 0.15, 0.12, 0.08, 0.05])
    shares = generator.beta(0.35, 2.2, (6, 20)) * np.geomspace(1.0, 0.25, 20)
    masks = np.zeros(customers, dtype=np.uint64)
    for product in range(20):
        held = generator.random(customers) < shares[kinds, product]
        masks |= held.astype(np.uint64) << np.uint64(product)
    return masks


def sample_bank_holdings(customers: int) -> np.ndarray:
    """What the customers of the sample bank (seed 1) hold at the start of its window: 16 products."""
    start = month_number(BankSettings(customers=1).start)
    masks = np.zeros(customers, dtype=np.uint64)
    for first in range(0, customers, 100_000):
        numbers = np.arange(first, min(customers, first + 100_000))
        people = draw_population(numbers, start, 1, DEFAULT_PARAMETERS)
        held = people.wants & (people.opening_month == HELD_AT_START)
        for product, of_product in enumerate(held):
            masks[numbers] |= of_product.astype(np.uint64) << np.uint64(product)
    return masks


def write_holdings(masks: np.ndarray, products: int, path: Path) -> None:
    """Write a DuckDB file with the tables holdings (customer_id, product_code) and products (product_code)."""
    with duckdb.connect(path) as connection:
        connection.execute("create table products (product_code varchar)")
        connection.execute("create table holdings (customer_id bigint, product_code varchar)")
        connection.execute(f"insert into products select printf('P%02d', range) from range({products})")
        for start in range(0, len(masks), 100_000):
            octets = np.ascontiguousarray(masks[start : start + 100_000]).view(np.uint8).reshape(-1, 8)
            rows, columns = np.nonzero(np.unpackbits(octets, axis=1, bitorder="little"))
            held = pa.table({"customer": rows + start, "product": columns})
            connection.register("held", held)
            connection.execute("insert into holdings select customer, printf('P%02d', product) from held")
            connection.unregister("held")


PARTS = 8
"""Ranges of customers that are read one after the other: the aggregate of one fits the processor's cache, which takes
two thirds of the time and half of the memory of aggregating all customers at once."""
WORDS = """
with bits as (
    select product_code, 1::ubigint << (row_number() over (order by product_code) - 1)::ubigint as bit from products
)
select bit_or(bit) as word
from holdings join bits using (product_code)
where customer_id between ? and ?
group by customer_id
"""


def from_duckdb(path: str) -> tuple[list[str], np.ndarray]:
    """Return the products and, for each customer, the word of the bits of those held: what all engines begin with."""
    with duckdb.connect(path, read_only=True, config={"threads": 2}) as connection:
        items = [row[0] for row in connection.execute("select product_code from products order by 1").fetchall()]
        low, high = connection.execute("select min(customer_id), max(customer_id) from holdings").fetchall()[0]
        ends = np.linspace(low - 1, high, PARTS + 1).astype(int).tolist()
        ranges = [[end + 1, next_end] for end, next_end in pairwise(ends)]
        return items, np.concatenate([connection.execute(WORDS, one).fetchnumpy()["word"] for one in ranges])


def tuples_of(words: np.ndarray) -> list[tuple[int, ...]]:
    rows, codes = np.nonzero(np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little"))
    ends = np.searchsorted(rows, np.arange(1, len(words) + 1)).tolist()
    listed = codes.tolist()
    return [tuple(listed[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


# Engines ------------------------------------------------------------------------------------------------------------


def mine_pyfim(algorithm: str, baskets: object, min_count: int) -> int:
    import fim  # noqa: PLC0415

    return len(getattr(fim, algorithm)(baskets, supp=-min_count, zmin=1, target="s"))


def mine_mlxtend(frame: pd.DataFrame, min_count: int) -> int:
    return len(fpgrowth(frame, min_support=(min_count - 0.5) / len(frame)))


def mining_alone(baskets: list[tuple[int, ...]], min_count: int, engine: str) -> Timed:
    """Prepare the engine's own input and return what is timed."""
    name, _, algorithm = engine.partition(" ")
    if name == "pyfim":
        return lambda: mine_pyfim(algorithm, baskets, min_count)
    rows = np.repeat(np.arange(len(baskets)), [len(basket) for basket in baskets])
    items = np.concatenate([np.array(basket) for basket in baskets])
    labels, codes = np.unique(items, return_inverse=True)
    if name == "mlxtend":
        cells = sparse.csr_matrix((np.ones(len(rows), dtype=bool), (rows, codes)))
        frame = pd.DataFrame.sparse.from_spmatrix(cells)
        if cells.nnz > 0.1 * cells.shape[0] * cells.shape[1]:
            frame = pd.DataFrame(cells.toarray())
        return lambda: mine_mlxtend(frame, min_count)
    read = association.read_baskets(pd.DataFrame({"basket": rows, "item": labels[codes]}))
    return lambda: len(association.frequent_itemsets(read, min_count=min_count))


def end_to_end(path: str, min_count: int, engine: str) -> Timed:
    """Return what is timed, from the DuckDB file to the itemsets."""
    name, _, algorithm = engine.partition(" ")

    def mainbank() -> int:
        items, words = from_duckdb(path)
        return len(association.frequent_itemsets(association.pack_baskets(items, words), min_count=min_count))

    def mlxtend() -> int:
        items, words = from_duckdb(path)
        bits = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little", count=len(items))
        return mine_mlxtend(pd.DataFrame(bits.view(bool), columns=items), min_count)

    def pyfim() -> int:
        words, weights = np.unique(from_duckdb(path)[1], return_counts=True)
        return mine_pyfim(algorithm, dict(zip(tuples_of(words), weights.tolist(), strict=True)), min_count)

    def query() -> int:
        """The aggregate that all three begin with: nobody is faster, and nobody needs less memory."""
        return len(from_duckdb(path)[1])

    return {"mainbank": mainbank, "mlxtend": mlxtend, "pyfim": pyfim, "query": query}[name]


def rules(baskets: list[tuple[int, ...]], min_count: int, engine: str) -> Timed:
    labelled = pd.Series(baskets).explode()
    frame = pd.DataFrame({"basket": labelled.index, "item": labelled.to_numpy(dtype=np.int64)})
    found = association.frequent_itemsets(frame, min_count=min_count)
    if engine == "mlxtend":
        return lambda: len(mlxtend_rules(found, num_itemsets=len(baskets), metric="support", min_threshold=0.0))
    return lambda: len(association.association_rules(found, len(baskets), metric="support", min_threshold=0.0))


def quest(min_count: int, engine: str) -> Timed:
    return mining_alone(fimi("T10I4D100K.dat"), min_count, engine)


CASES: dict[str, tuple[str, Callable[[str, str], Timed]]] = {
    "quest-1000": ("T10I4D100K, count 1,000, mining", lambda _, engine: quest(1000, engine)),
    "quest-500": ("T10I4D100K, count 500, mining", lambda _, engine: quest(500, engine)),
    "quest-100": ("T10I4D100K, count 100, mining", lambda _, engine: quest(100, engine)),
    "dense": (
        "dense (mushroom or its shape), count 1,625, mining",
        lambda _, engine: mining_alone(dense_baskets(), 1625, engine),
    ),
    "worst-1%": (
        "1,000,000 customers x 60 independent products, 1 %, end to end",
        lambda folder, engine: end_to_end(f"{folder}/independent.duckdb", 10_000, engine),
    ),
    "worst-0.1%": (
        "1,000,000 customers x 60 independent products, 0.1 %, end to end",
        lambda folder, engine: end_to_end(f"{folder}/independent.duckdb", 1_000, engine),
    ),
    "bank-0.1%": (
        "1,000,000 customers of a bank, 20 products, 0.1 %, end to end",
        lambda folder, engine: end_to_end(f"{folder}/bank.duckdb", 1_000, engine),
    ),
    "sample-0.1%": (
        "1,000,000 customers of the sample bank, 16 products, 0.1 %, end to end",
        lambda folder, engine: end_to_end(f"{folder}/sample.duckdb", 1_000, engine),
    ),
    "rules": (
        "rules of T10I4D100K, count 100",
        lambda _, engine: rules(fimi("T10I4D100K.dat"), 100, engine),
    ),
}


# Running ------------------------------------------------------------------------------------------------------------


def resident(field: str) -> float:
    """Return a line of this process's memory in MB (VmRSS: now; VmHWM: highest since the last reset)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return float("nan")


def measure(case: str, engine: str, folder: str, repeat: int) -> dict[str, float]:
    """Time one engine on one case, in this process."""
    timed = CASES[case][1](folder, engine)
    seconds, processor, memory, found = [], [], [], 0
    for _ in range(repeat):
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        start, start_processor = time.perf_counter(), time.process_time()
        found = timed()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
        memory.append(resident("VmHWM") - before)
    return {"seconds": min(seconds), "processor": min(processor), "memory": memory[0], "found": found}


def child(case: str, engine: str, folder: str, repeat: int) -> dict[str, float]:
    """Time one engine on one case, in a process of its own."""
    arguments = ["--measure", case, engine, folder, "--repeat", str(repeat)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.association", *arguments], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def has_pyfim() -> bool:
    try:
        import fim  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def run(cases: list[str], repeat: int) -> None:
    print("| case | found | mainbank | mlxtend | pyfim | against mlxtend | against pyfim | peak MB (of each) |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        if any(case.startswith("worst") for case in cases):
            write_holdings(independent_holdings(1_000_000), 60, Path(folder) / "independent.duckdb")
        if any(case.startswith("bank") for case in cases):
            write_holdings(bank_holdings(1_000_000), 20, Path(folder) / "bank.duckdb")
        if any(case.startswith("sample") for case in cases):
            write_holdings(sample_bank_holdings(1_000_000), PRODUCT_COUNT, Path(folder) / "sample.duckdb")
        for case in cases:
            results = {}
            for engine in ENGINES:
                if engine == "pyfim" and (case == "rules" or not has_pyfim()):
                    continue
                names = [f"pyfim {algorithm}" for algorithm in PYFIM_ALGORITHMS] if engine == "pyfim" else [engine]
                times = 1 if engine == "mlxtend" else repeat
                tried = [child(case, name, folder, times) for name in names]
                results[engine] = min(tried, key=lambda result: result["seconds"])
            if results["mainbank"]["found"] != results["mlxtend"]["found"]:
                sys.exit(f"{case}: mainbank and mlxtend do not agree: {results}")
            print(row(CASES[case][0], results), flush=True)
            if case.startswith(("worst", "bank", "sample")):
                alone = child(case, "query", folder, repeat)
                print(
                    f"| of it the query alone, which all three begin with | | {alone['seconds']:.3g} s "
                    f"({alone['processor']:.3g}) | | | | | {alone['memory']:.0f} |",
                    flush=True,
                )


def row(title: str, results: dict[str, dict[str, float]]) -> str:
    ours = results["mainbank"]
    cells = [title, f"{results['mainbank']['found']:,.0f}"]
    for engine in ENGINES:
        one = results.get(engine)
        cells.append(f"{one['seconds']:.3g} s ({one['processor']:.3g})" if one else "-")
    for engine in ("mlxtend", "pyfim"):
        one = results.get(engine)
        ratios = [one[unit] / ours[unit] for unit in ("seconds", "processor")] if one else []
        cells.append(f"{ratios[0]:.3g}x ({ratios[1]:.3g}x)" if ratios else "-")
    cells.append(" / ".join(f"{results[engine]['memory']:.0f}" for engine in ENGINES if engine in results))
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--repeat", type=int, default=5, help="the best of so many runs counts (mlxtend: one run)")
    parser.add_argument("--measure", nargs=3, metavar=("CASE", "ENGINE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if "PEERS" in os.environ:
        sys.path.append(os.environ["PEERS"])
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure, repeat=arguments.repeat)))
        return
    if not has_pyfim():
        print("pyfim is not installed: its columns are left out (see the module's docstring).")
    cases = arguments.case
    if not DATA.is_dir():
        print("The public data sets are not beside the repository: the cases that need them are left out.")
        cases = [case for case in cases if not case.startswith(("quest", "rules"))]
    run(cases, arguments.repeat)


if __name__ == "__main__":
    main()
