"""How near churn comes to the best that could be known, on sample banks of several seeds.

The ceiling is the share of possible futures, lived on from the customers' true state at the as-of month, in which the
evaluated definition comes true. Model and ceiling are judged on the same customers and months, against what happened.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date

import pandas as pd

from benchmarks.ceilings.bank import CUSTOMERS, MONTHS, SeedBank
from mining import churn
from mining.metrics import ScoreCounts, area_under_curve, calibration_slope, count_scores, lift_at
from warehouse.sample_bank.futures import ChurnDefinition, churn_chances
from warehouse.sample_bank.simulation import BankSettings, state_at

FUTURES = 200


@dataclass(frozen=True)
class ChurnAttained:
    """Figures of one bank.

    Parameters
    ----------
    seed
        Of the bank.
    seconds
        Of `churn.fit`.
    rows, events
        Judged persons and months, and how many of them left.
    auc, auc_ceiling, lift, lift_ceiling
        Of the model and of who knows the true state.
    slope
        Calibration slope of the model.
    """

    seed: int
    seconds: float
    rows: int
    events: int
    auc: float
    auc_ceiling: float
    slope: float
    lift: float
    lift_ceiling: float

    @property
    def auc_ratio(self) -> float:
        """AUC as a share of what is attainable."""
        return self.auc / self.auc_ceiling

    @property
    def lift_ratio(self) -> float:
        """Lift in the top tenth as a share of what is attainable."""
        return self.lift / self.lift_ceiling


def churn_attained(
    bank: SeedBank, *, customers: int = CUSTOMERS, months: int = MONTHS, futures: int = FUTURES
) -> ChurnAttained:
    """Fit as the pipeline does, with the default settings, and compare with the ceiling.

    Compared are the first and the last judged as-of month: their outcome windows do not overlap.
    """
    labels = churn.label_months(bank.outcomes)
    rows = churn.training_rows(churn.with_history(bank.panel), labels)
    began = time.monotonic()
    result = churn.fit(*rows)
    seconds = time.monotonic() - began
    if result.is_refused:
        raise RuntimeError(result.refusals[0].sentence_en)
    judged = result.tested
    settings = BankSettings(customers=customers, months=months, seed=bank.seed)
    ceilings = pd.concat(
        [
            ceiling(settings, str(month), futures)
            for month in sorted({judged["month_on"].min(), judged["month_on"].max()})
        ]
    )
    both = judged.merge(ceilings, on=["person_id", "month_on"], validate="one_to_one")
    outcome = both["outcome"].to_numpy()
    model: ScoreCounts = count_scores(outcome, both["probability"].to_numpy())
    best: ScoreCounts = count_scores(outcome, both["chance"].to_numpy())
    return ChurnAttained(
        bank.seed,
        seconds,
        len(both),
        int(outcome.sum()),
        area_under_curve(model),
        area_under_curve(best),
        calibration_slope(model),
        lift_at(model, 0.1),
        lift_at(best, 0.1),
    )


def ceiling(settings: BankSettings, month_on: str, futures: int) -> pd.DataFrame:
    """Probability of the evaluated definition per customer, given the true state at the end of a month."""
    evaluated = churn.ClosureOrDrop()
    definition = ChurnDefinition(
        gap=evaluated.gap_months,
        outcome=evaluated.window_months,
        drop=evaluated.drop,
        held=evaluated.hold_months,
        baseline_months=evaluated.baseline_months,
        smallest_baseline=evaluated.minimum_baseline,
    )
    chances = churn_chances(state_at(date.fromisoformat(month_on), settings), definition, futures)
    return pd.DataFrame(
        {
            "person_id": chances.source_customer_id.to_pandas(),
            "month_on": month_on,
            "chance": chances.in_outcome,
        }
    )
