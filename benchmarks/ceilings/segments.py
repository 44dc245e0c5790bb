"""How well the segments agree with the true groups, against oracles that know the groups' parameters.

The oracles see what the miner's k-means sees: the same customers, the same columns, prepared by the fitted pipeline.
They know the true groups' parameters there: the *nearest centre* oracle the eight means, and so where k-means would
have to put its centres; the *Gaussian* oracle the means, covariances and shares, and so curved boundaries that no
k-means can draw. Neither is a bound for other columns or other months.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestCentroid

from benchmarks.ceilings.bank import SeedBank
from dagster_project.lib.miners import present_customers
from mining import segmentation


@dataclass(frozen=True)
class SegmentFigures:
    """Agreement with the true groups on one bank, as adjusted Rand indices.

    Parameters
    ----------
    seed, persons, groups, segments
        The bank, its customers, the true groups and the segments found.
    model, nearest_centre, gaussian
        Of the segments and of the two oracles.
    lowest_stability
        Bootstrap Jaccard similarity of the least stable segment.
    seconds
        Of the fit, without reading the panel.
    """

    seed: int
    persons: int
    groups: int
    segments: int
    model: float
    nearest_centre: float
    gaussian: float
    lowest_stability: float
    seconds: float

    @property
    def ratio(self) -> float:
        """Of the nearest-centre oracle."""
        return self.model / self.nearest_centre

    @property
    def gaussian_ratio(self) -> float:
        """Of the Gaussian oracle."""
        return self.model / self.gaussian


def true_groups(bank: SeedBank) -> pd.Series:
    """Return the true group of each customer."""
    groups = pd.read_parquet(bank.truth / "groups", columns=["source_customer_id", "group"])
    return groups.assign(source_customer_id=groups["source_customer_id"].astype(str)).set_index("source_customer_id")[
        "group"
    ]


def segment_figures(bank: SeedBank) -> SegmentFigures:
    """Return the figures of one bank, by the calls and settings of the pipeline.

    Raises
    ------
    RuntimeError
        When the segmentation was refused.
    """
    start = time.monotonic()
    features = segmentation.usual_features(bank.panel).loc[present_customers(bank.panel).index]
    result = segmentation.fit(features)
    seconds = time.monotonic() - start
    if result.model is None:
        raise RuntimeError(result.refusals[0].sentence_en)
    found = result.assignments.set_index("person_id")["segment_id"]
    truth = true_groups(bank).loc[found.index].to_numpy()
    columns = features.loc[found.index, result.model.columns].to_numpy(dtype=np.float64, na_value=np.nan)
    prepared = result.model.pipeline.named_steps["prepare"].transform(columns)
    nearest = NearestCentroid().fit(prepared, truth).predict(prepared)
    gaussian = QuadraticDiscriminantAnalysis().fit(prepared, truth).predict(prepared)
    return SegmentFigures(
        bank.seed,
        len(found),
        len(np.unique(truth)),
        len(result.segments),
        float(adjusted_rand_score(truth, found)),
        float(adjusted_rand_score(truth, nearest)),
        float(adjusted_rand_score(truth, gaussian)),
        float(result.segments["stability"].min()),
        seconds,
    )
