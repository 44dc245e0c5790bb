"""Whether customers with a higher loyalty index stay more often."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.ceilings.bank import SeedBank
from mining import loyalty


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
