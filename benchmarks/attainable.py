"""What the miners find on sample banks against the best that could be found by who knows their truth.

Run `python -m benchmarks.attainable [--banks FOLDER] [SEED ...]`; banks are kept in the folder if one is given.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.ceilings.bank import seed_bank
from benchmarks.ceilings.churn import churn_attained
from benchmarks.ceilings.loyalty import loyalty_figures
from benchmarks.ceilings.segments import segment_figures


def figures_of(seed: int, folder: Path) -> dict[str, dict[str, float]]:
    """The figures of each miner on the bank of a seed."""
    bank = seed_bank(folder / str(seed), seed)
    segments, churn = segment_figures(bank), churn_attained(bank)
    return {
        "segments": asdict(segments) | {"ratio": segments.ratio, "gaussian_ratio": segments.gaussian_ratio},
        "loyalty": asdict(loyalty_figures(bank)),
        "churn": asdict(churn) | {"auc_ratio": churn.auc_ratio, "lift_ratio": churn.lift_ratio},
    }


def main() -> None:
    """Print a line for each seed and miner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, default=[1])
    parser.add_argument("--banks", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for seed in arguments.seeds:
            for miner, figures in figures_of(seed, arguments.banks or Path(temporary)).items():
                words = "  ".join(f"{name} {value:.4g}" for name, value in figures.items() if name != "seed")
                sys.stdout.write(f"seed {seed}  {miner:<9} {words}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
