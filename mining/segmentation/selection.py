"""How many segments: separation, compactness and stability together, against what chance alone would give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import isotonic_regression
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import davies_bouldin_score, silhouette_samples

UNSTABLE_BELOW, STABLE_ABOVE = 0.60, 0.75
"""Bounds of the bootstrap Jaccard similarity of a cluster (Hennig 2007)."""


def new_clusters(count: int, starts: int, seed: int) -> KMeans:
    """Return an unfitted k-means with explicit starts and seed."""
    return KMeans(count, n_init=starts, random_state=seed, algorithm="lloyd")


def fitted_clusters(prepared: np.ndarray, count: int, starts: int, seed: int) -> KMeans:
    """Return k-means fitted on prepared features; fewer distinct points than clusters is no warning but a refusal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return new_clusters(count, starts, seed).fit(prepared)


def mean_silhouette(prepared: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean silhouette, -1 when there is one cluster only."""
    if len(np.unique(labels)) < 2:
        return -1.0
    return float(silhouette_samples(prepared, labels).mean())


def cluster_stability(
    prepared: np.ndarray, model: KMeans, *, draws: int, size: int, starts: int, seed: int
) -> np.ndarray:
    """Return the bootstrap Jaccard similarity of each cluster, shape (k,).

    Parameters
    ----------
    prepared
        Prepared features, shape (rows, columns).
    model
        The clustering whose clusters are judged.
    draws, size
        Number of resamples (with replacement) and rows in each.
    starts
        Starts of k-means in each resample; always from new centres, never from those judged.
    seed
        Seed of the resamples.

    Notes
    -----
    Hennig (2007), Computational Statistics and Data Analysis 52: for each cluster the largest Jaccard
    similarity with a cluster of the resample, over the rows in the resample, averaged over the resamples.
    """
    generator = np.random.default_rng(seed)
    own = model.predict(prepared)
    count = model.n_clusters
    found = np.full((draws, count), np.nan)
    for draw in range(draws):
        rows = generator.integers(0, len(prepared), size)
        distinct = np.unique(rows)
        other = fitted_clusters(prepared[rows], count, starts, seed + draw + 1).predict(prepared[distinct])
        table = np.zeros((count, count))
        np.add.at(table, (own[distinct], other), 1)
        union = table.sum(axis=1)[:, None] + table.sum(axis=0)[None, :] - table
        similarity = np.divide(table, union, out=np.zeros_like(table), where=union > 0)
        here = table.sum(axis=1) > 0
        found[draw, here] = similarity.max(axis=1)[here]
    held = np.isfinite(found)
    return np.asarray(np.where(held, found, 0.0).sum(axis=0) / np.maximum(held.sum(axis=0), 1))


def permuted_columns(prepared: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the same columns, each shuffled by itself: every distribution kept, every relation gone."""
    return np.column_stack([generator.permutation(column) for column in prepared.T])


def single_cloud(prepared: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return one normal cloud with the same means and covariances: relations kept, groups gone."""
    mean, covariance = prepared.mean(axis=0), np.atleast_2d(np.cov(prepared.T))
    values, vectors = np.linalg.eigh(covariance)
    normal = generator.standard_normal(prepared.shape)
    return np.asarray(mean + normal * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)


def reordered(prepared: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """Return the values of each column in the order of `pattern`: every distribution kept, relations from there."""
    ranks = np.argsort(np.argsort(pattern, axis=0, kind="stable"), axis=0, kind="stable")
    return np.take_along_axis(np.sort(prepared, axis=0), ranks, axis=0)


def normal_copula(prepared: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return data with the same distributions and normal scores correlations, and no other relation."""
    ranks = stats.rankdata(prepared, axis=0)
    scores = stats.norm.ppf((ranks - 0.5) / len(prepared))
    return reordered(prepared, single_cloud(scores, generator))


HISTOGRAM_BINS = 40


def unimodal_histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shares per bin and edges of the most likely histogram with a single mode, be it flat or peaked."""
    counts, edges = np.histogram(values, HISTOGRAM_BINS)
    best, likelihood = counts / len(values), -np.inf
    for mode in range(1, HISTOGRAM_BINS + 1):
        rising = isotonic_regression(counts[:mode].astype(np.float64)).x
        falling = np.empty(0)
        if mode < len(counts):
            falling = isotonic_regression(counts[mode:].astype(np.float64), increasing=False).x
        shares = np.concatenate([rising, falling]) / len(values)
        found = float((counts * np.log(np.maximum(shares, 1e-12))).sum())
        if found > likelihood:
            best, likelihood = shares, found
    return best / best.sum(), edges


def unimodal_axes(prepared: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return data along the same principal axes, each with the single mode that fits it best: a gradient, no groups."""
    mean = prepared.mean(axis=0)
    _, vectors = np.linalg.eigh(np.atleast_2d(np.cov(prepared.T)))
    scores = (prepared - mean) @ vectors
    drawn = np.zeros_like(scores)
    for axis, own in enumerate(scores.T):
        shares, edges = unimodal_histogram(own)
        bins = generator.choice(len(shares), len(own), p=shares)
        values = edges[bins] + generator.random(len(own)) * np.diff(edges)[bins]
        if values.std() > 0:
            drawn[:, axis] = (values - values.mean()) / values.std() * own.std()
    return np.asarray(mean + drawn @ vectors.T)


def unimodal_copula(prepared: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return data with the same distributions, whose ranks follow a gradient along their own principal axes."""
    ranks = (stats.rankdata(prepared, axis=0) - 0.5) / len(prepared)
    return reordered(prepared, unimodal_axes(ranks, generator))


REFERENCES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "permuted_columns": permuted_columns,
    "single_cloud": single_cloud,
    "normal_copula": normal_copula,
    "unimodal_axes": unimodal_axes,
    "unimodal_copula": unimodal_copula,
}


@dataclass(frozen=True)
class Structure:
    """Share of the variance that the clustering explains, against data that has no groups.

    Parameters
    ----------
    explained
        Of the customers: 1 - within-cluster / total sum of squares.
    references
        Of each kind of data without groups (`REFERENCES`), one value per draw.

    Notes
    -----
    Within over total sum of squares is the cluster index of SigClust (Liu, Hayes, Nobel and Marron 2008, JASA
    103), which k-means itself minimises. A silhouette would not do: a handful of outliers far from the rest
    gives data without groups a high one. A cloud or a normal copula alone would not do either: a gradient whose
    latent variable is flat rather than normal is divided better than both. So the principal axes, of the values and
    of the ranks (for gradients that are curved), get the single mode that fits them best, as in Helgeson, Vock and Bair
    (2021), Biometrics 77.
    """

    explained: float
    references: dict[str, tuple[float, ...]]

    def bound(self, name: str, margin: float, deviations: float) -> float:
        """Return what the explained share must exceed: every draw, and their mean by `margin` and by `deviations`."""
        draws = self.references[name]
        spread = float(np.std(draws, ddof=1)) if len(draws) > 1 else 0.0
        return max(*draws, float(np.mean(draws)) + max(margin, deviations * spread))


def explained_share(prepared: np.ndarray, inertia: float) -> float:
    """Return 1 - within-cluster / total sum of squares."""
    total = float(((prepared - prepared.mean(axis=0)) ** 2).sum())
    return 1.0 - inertia / total if total > 0 else 0.0


def structure_of(sample: np.ndarray, count: int, draws: int, *, seed: int) -> Structure:
    """Return how the sample, clustered into `count`, compares with data that has no groups, clustered as often."""
    generator = np.random.default_rng(seed)
    found: dict[str, list[float]] = {name: [] for name in REFERENCES}
    for _ in range(draws):
        for name, reference_of in REFERENCES.items():
            reference = reference_of(sample, generator)
            found[name].append(explained_share(reference, fitted_clusters(reference, count, 5, seed).inertia_))
    own = explained_share(sample, fitted_clusters(sample, count, 5, seed).inertia_)
    return Structure(own, {name: tuple(values) for name, values in found.items()})


@dataclass(frozen=True)
class SelectionSettings:
    """How the number of segments is chosen.

    Parameters
    ----------
    fewest, most
        Numbers of segments tried.
    sample
        Persons drawn for silhouettes and references (their cost grows with the square).
    starts
        Starts of k-means.
    draws, resample, resample_starts
        Bootstrap resamples per number of segments, rows in each, and starts of k-means in each.
    smallest_share
        Smallest share of persons in a segment; fewer are for a list of persons, not for a campaign or a product.
    kept_silhouette
        Share of the best silhouette that a finer solution must keep.
    kept_compactness
        Largest Davies-Bouldin index, as multiple of the best one.
    """

    fewest: int = 2
    most: int = 12
    sample: int = 2000
    starts: int = 20
    draws: int = 20
    resample: int = 10_000
    resample_starts: int = 5
    smallest_share: float = 0.05
    kept_silhouette: float = 0.6
    kept_compactness: float = 1.3


def compared_counts(
    prepared: np.ndarray, sample: np.ndarray, settings: SelectionSettings, seed: int
) -> tuple[pd.DataFrame, dict[int, KMeans], dict[int, np.ndarray]]:
    """Return one row per number of segments tried, the fitted clusterings and their stability.

    Parameters
    ----------
    prepared
        Prepared features of all persons.
    sample
        Row numbers of the sample for silhouettes.
    settings, seed
        See `SelectionSettings`.

    Notes
    -----
    The rule: the finest solution that is stable and gives up little. Tiny and unstable solutions (a cluster below
    0.60) are out; those with *every* cluster stable (above 0.75) go first. The best
    silhouette and the best Davies-Bouldin index among them are the measure: the largest number of segments that keeps
    `kept_silhouette` of the one and stays within `kept_compactness` times the other is chosen. The highest
    silhouette itself would nearly always be the coarsest solution, which says the least.
    """
    part = prepared[sample]
    models: dict[int, KMeans] = {}
    stability: dict[int, np.ndarray] = {}
    rows = []
    for count in range(settings.fewest, min(settings.most, len(np.unique(part, axis=0)) - 1) + 1):
        model = fitted_clusters(prepared, count, settings.starts, seed)
        labels = model.labels_[sample]
        models[count] = model
        stability[count] = cluster_stability(
            prepared,
            model,
            draws=settings.draws,
            size=min(len(prepared), settings.resample),
            starts=settings.resample_starts,
            seed=seed,
        )
        share = np.bincount(model.labels_, minlength=count).min() / len(prepared)
        compactness = davies_bouldin_score(part, labels) if len(np.unique(labels)) > 1 else np.inf
        lowest, mean = float(stability[count].min()), float(stability[count].mean())
        rows.append((count, mean_silhouette(part, labels), float(compactness), lowest, mean, float(share)))
    table = pd.DataFrame(
        rows,
        columns=[
            "segment_count",
            "silhouette",
            "davies_bouldin",
            "lowest_stability",
            "mean_stability",
            "smallest_ratio",
        ],
    )
    is_large = table["smallest_ratio"] >= settings.smallest_share
    is_admissible = is_large & (table["lowest_stability"] > STABLE_ABOVE)
    if not is_admissible.any():
        is_admissible = is_large & (table["lowest_stability"] >= UNSTABLE_BELOW)
    best = table.loc[is_admissible]
    if len(best):
        is_admissible &= table["silhouette"] >= settings.kept_silhouette * best["silhouette"].max()
        is_admissible &= table["davies_bouldin"] <= settings.kept_compactness * best["davies_bouldin"].min()
    table["is_admissible"] = is_admissible
    table["is_chosen"] = is_admissible & (table["segment_count"] == table["segment_count"].where(is_admissible).max())
    return table, models, stability


def column_dependence(prepared: np.ndarray) -> np.ndarray:
    """Return for each column its strongest relation with another one, as bias-corrected Cramer's V.

    Parameters
    ----------
    prepared
        Shape (rows, columns).

    Returns
    -------
    numpy.ndarray
        Shape (columns,), 0 for a column that is independent of every other: it can tell nothing about groups of
        customers and would only dilute the distances.

    Notes
    -----
    Columns are cut at their sixths; V is corrected as in Bergsma (2013), Journal of the Korean Statistical
    Society 42.
    """
    codes = []
    for column in prepared.T:
        edges = np.unique(np.quantile(column, np.arange(1, 6) / 6))
        codes.append(np.unique(np.searchsorted(edges, column, side="left"), return_inverse=True)[1])
    strongest = np.zeros(prepared.shape[1])
    rows = len(prepared)
    for i, first in enumerate(codes):
        for j in range(i + 1, len(codes)):
            second = codes[j]
            height, width = int(first.max()) + 1, int(second.max()) + 1
            if min(height, width) < 2:
                continue
            table = np.bincount(first * width + second, minlength=height * width).reshape(height, width)
            expected = table.sum(axis=1)[:, None] * table.sum(axis=0)[None, :] / rows
            square = ((table - expected) ** 2 / expected).sum() / rows
            corrected = max(0.0, square - (height - 1) * (width - 1) / (rows - 1))
            levels = min(height - (height - 1) ** 2 / (rows - 1), width - (width - 1) ** 2 / (rows - 1))
            strength = float(np.sqrt(corrected / (levels - 1)))
            strongest[i], strongest[j] = max(strongest[i], strength), max(strongest[j], strength)
    return strongest
