"""Whether customers with a higher loyalty index stay more often, on sample banks of several seeds.

Run `python -m benchmarks.attainable_loyalty [SEED ...]`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.attainable import SeedBank, seed_bank
from mining import loyalty

SEEDS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class LoyaltyFigures:
    """What the proof says on one bank.

    Parameters
    ----------
    seed
        The bank.
    spearman
        Rank correlation of decile and retention in the next period.
    auc, auc_lower
        Of the index for staying, and the lower end of its 95 % interval.
    lowest, highest
        Retention in the lowest and the highest decile.
    seconds
        Of the fit, without reading the panel.
    """

    seed: int
    spearman: float
    auc: float
    auc_lower: float
    lowest: float
    highest: float
    seconds: float


def loyalty_figures(bank: SeedBank) -> LoyaltyFigures:
    """Return the figures of one bank, by the call and settings of the pipeline.

    Raises
    ------
    RuntimeError
        When the index was refused or could not be proven.
    """
    start = time.monotonic()
    result = loyalty.fit(bank.panel, outcomes=bank.outcomes)
    seconds = time.monotonic() - start
    if result.is_refused or not result.is_proven:
        raise RuntimeError(result.proof_en)
    metrics = result.metrics.loc[result.metrics["subject"] == "model"].set_index("metric")
    values, lower = metrics["value"].astype(float), metrics["lower"].astype(float)
    retention = result.retention.sort_values("loyalty_decile")["retention_ratio"]
    return LoyaltyFigures(
        bank.seed,
        float(values["retention_spearman"]),
        float(values["retention_auc"]),
        float(lower["retention_auc"]),
        float(retention.iloc[0]),
        float(retention.iloc[-1]),
        seconds,
    )


def main(seeds: list[int]) -> None:
    """Print the figures of banks of these seeds."""
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            found = loyalty_figures(seed_bank(Path(folder), seed))
        words = [f"{key} {value:.3f}" if key != "seed" else f"{key} {value}" for key, value in asdict(found).items()]
        sys.stdout.write("  ".join(words) + "\n")


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or list(SEEDS))
