"""Statistics shared by the miners: discrimination, calibration, profit, intervals, drift.

Every metric of a score works on counts per distinct score (`ScoreCounts`), so ties are handled exactly
and a bootstrap replicate costs one pass over the distinct scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special, stats
from sklearn.isotonic import isotonic_regression

SMALLEST_PROBABILITY = 1e-6
BOOTSTRAP_RESOLUTION = 2000


@dataclass(frozen=True)
class ScoreCounts:
    """Weights of events and non-events per distinct score.

    Parameters
    ----------
    scores
        Distinct scores, ascending, shape (m,).
    positives, negatives
        Weight of events and of non-events at each score, shape (m,).
    """

    scores: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Weight at each score."""
        return np.asarray(self.positives + self.negatives)


@dataclass(frozen=True)
class Interval:
    """A value with the limits of its interval."""

    value: float
    lower: float
    upper: float


def count_scores(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> ScoreCounts:
    """Return the counts per distinct score.

    Parameters
    ----------
    labels
        0 or 1, shape (n,).
    scores
        Any real score, higher meaning more likely an event, shape (n,).
    weights
        Weight of each row, shape (n,); ones by default.
    """
    distinct, position = np.unique(scores, return_inverse=True)
    weight = np.ones(len(labels)) if weights is None else weights
    positives = np.bincount(position, weights=weight * labels, minlength=len(distinct))
    negatives = np.bincount(position, weights=weight * (1 - labels), minlength=len(distinct))
    return ScoreCounts(distinct, positives, negatives)


def area_under_curve(counts: ScoreCounts) -> float:
    """Return the probability that an event scores above a non-event, ties counting half (Mann-Whitney).

    Examples
    --------
    >>> area_under_curve(count_scores(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])))
    0.75
    """
    below = np.cumsum(counts.negatives) - counts.negatives
    pairs = counts.positives.sum() * counts.negatives.sum()
    if pairs == 0:
        return math.nan
    return float((counts.positives * (below + counts.negatives / 2)).sum() / pairs)


def average_precision(counts: ScoreCounts) -> float:
    """Return the mean precision over the recall steps, highest score first (sum of (R_i - R_{i-1}) P_i)."""
    positives, total = counts.positives[::-1], counts.total[::-1]
    events = positives.sum()
    if events == 0:
        return math.nan
    taken = np.cumsum(total)
    precision = np.divide(np.cumsum(positives), taken, out=np.zeros_like(taken), where=taken > 0)
    return float((positives * precision).sum() / events)


def base_rate(counts: ScoreCounts) -> float:
    """Return the share of events, which is the average precision of a score that knows nothing."""
    return float(counts.positives.sum() / counts.total.sum())


def lift_at(counts: ScoreCounts, share: float) -> float:
    """Return the event rate in the top `share` of rows over the base rate; a tie at the border counts in part."""
    positives, total = counts.positives[::-1], counts.total[::-1]
    events, mass = positives.sum(), total.sum()
    if events == 0:
        return math.nan
    wanted = share * mass
    before = np.cumsum(total) - total
    part = np.clip((wanted - before) / np.where(total > 0, total, 1.0), 0.0, 1.0)
    return float((positives * part).sum() / events / share)


def brier_score(counts: ScoreCounts) -> float:
    """Return the mean squared distance between probability and outcome (Brier 1950)."""
    errors = counts.positives * (1 - counts.scores) ** 2 + counts.negatives * counts.scores**2
    return float(errors.sum() / counts.total.sum())


def calibration_error(counts: ScoreCounts, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal mass.

    The mean distance of observed rate and mean probability over bins, weighted by the mass of the bin. Rows of one
    score stay together.
    """
    total = counts.total
    mass = total.sum()
    middle = (np.cumsum(total) - total / 2) / mass
    group = np.minimum((middle * bins).astype(int), bins - 1)
    observed = np.bincount(group, weights=counts.positives, minlength=bins)
    expected = np.bincount(group, weights=total * counts.scores, minlength=bins)
    return float(np.abs(observed - expected).sum() / mass)


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Return ln(p / (1 - p)), with p kept `SMALLEST_PROBABILITY` away from 0 and 1."""
    clipped = np.clip(probabilities, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return np.asarray(special.logit(clipped))


def logistic_line(values: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> tuple[float, float]:
    """Return intercept and slope of the maximum-likelihood logistic regression on one variable.

    Newton's method on grouped counts; a tiny ridge on the slope (1e-6) keeps separable data finite.

    Parameters
    ----------
    values
        The variable, shape (m,).
    positives, negatives
        Weight of events and non-events at each value, shape (m,).
    """
    total = positives + negatives
    centre = float((total * values).sum() / total.sum())
    scale = float(np.sqrt((total * (values - centre) ** 2).sum() / total.sum()))
    if scale == 0:
        return float(special.logit(np.clip(positives.sum() / total.sum(), 1e-6, 1 - 1e-6))), 0.0
    standard = (values - centre) / scale
    rate = np.clip(positives.sum() / total.sum(), 1e-6, 1 - 1e-6)
    estimate = np.array([float(special.logit(rate)), 0.0])
    ridge = 1e-6 * total.sum()

    def loss(found: np.ndarray) -> float:
        line = found[0] + found[1] * standard
        return float((total * np.logaddexp(0.0, line) - positives * line).sum() + ridge * found[1] ** 2 / 2)

    current = loss(estimate)
    for _ in range(50):
        fitted = special.expit(estimate[0] + estimate[1] * standard)
        weight = total * fitted * (1 - fitted) + 1e-12
        residual = positives - total * fitted
        gradient = np.array([residual.sum(), (residual * standard).sum() - ridge * estimate[1]])
        crossed = float((weight * standard).sum())
        curvature = np.array([[weight.sum(), crossed], [crossed, (weight * standard**2).sum() + ridge]])
        step = np.linalg.solve(curvature, gradient)
        # Newton overshoots when the line starts far off; the loss is convex, so halving always ends.
        while loss(estimate + step) > current and np.abs(step).max() > 1e-10:
            step /= 2
        estimate = estimate + step
        current = loss(estimate)
        if np.abs(step).max() < 1e-9:
            break
    intercept, slope = float(estimate[0]), float(estimate[1])
    return intercept - slope * centre / scale, slope / scale


def calibration_slope(counts: ScoreCounts) -> float:
    """Return the slope of the outcome on the log-odds of the probability; 1 is perfect, below 1 overconfident."""
    return logistic_line(log_odds(counts.scores), counts.positives, counts.negatives)[1]


def calibration_intercept(counts: ScoreCounts) -> float:
    """Return calibration in the large: the shift of the log-odds, slope held at 1, that meets the base rate."""
    offsets = log_odds(counts.scores)
    shift = 0.0
    for _ in range(50):
        fitted = special.expit(offsets + shift)
        weight = float((counts.total * fitted * (1 - fitted)).sum()) + 1e-12
        step = float((counts.positives - counts.total * fitted).sum()) / weight
        step = float(np.clip(step, -4.0, 4.0))
        shift += step
        if abs(step) < 1e-10:
            break
    return shift


@dataclass(frozen=True)
class CampaignValues:
    """What a retention campaign costs and brings, for the expected maximum profit.

    Parameters
    ----------
    customer_value
        Lifetime value of a customer who is kept, in money.
    offer_cost
        Cost of the incentive, in money.
    contact_cost
        Cost of the contact, in money.
    accepted_alpha, accepted_beta
        Parameters of the beta distribution of the share of would-be leavers who accept the offer.

    Notes
    -----
    Defaults are those of Verbraken, Verbeke and Baesens (2013): 200, 10, 1, Beta(6, 14). They are a
    telecommunications example; a bank sets its own.
    """

    customer_value: float = 200.0
    offer_cost: float = 10.0
    contact_cost: float = 1.0
    accepted_alpha: float = 6.0
    accepted_beta: float = 14.0


def expected_maximum_profit(counts: ScoreCounts, values: CampaignValues | None = None) -> tuple[float, float]:
    """Return the expected maximum profit per customer (EMPC) and the share of customers to contact.

    Parameters
    ----------
    counts
        Scores and outcomes; only the order of the scores matters.
    values
        The campaign's values; the published defaults when absent.

    Returns
    -------
    tuple of float
        Profit per customer in money, share of customers in the profit-maximising campaign.

    Notes
    -----
    Verbraken, Verbeke and Baesens (2013), IEEE TKDE 25(5). Profit at a cut-off is
    CLV (gamma (1 - delta) - phi) pi_0 F_0 - CLV (delta + phi) pi_1 F_1 with class 0 the churners,
    delta = offer / CLV, phi = contact / CLV. The maximum runs over the convex hull of the ROC curve,
    which is the isotonic regression of the outcome on the score: a block with event rate p is contacted
    once gamma exceeds (phi p + (delta + phi)(1 - p)) / (p (1 - delta)), so the integral over gamma
    splits into one closed beta integral per block.
    """
    chosen = values or CampaignValues()
    delta = chosen.offer_cost / chosen.customer_value
    phi = chosen.contact_cost / chosen.customer_value
    total = counts.total
    held = total > 0
    if not held.any():
        return math.nan, math.nan
    positives, total = counts.positives[held], total[held]
    rate = isotonic_regression(positives / total, sample_weight=total, y_min=0.0, y_max=1.0)
    alpha, beta = chosen.accepted_alpha, chosen.accepted_beta
    blocks, position = np.unique(rate, return_inverse=True)
    events = np.bincount(position, weights=positives)
    mass = np.bincount(position, weights=total)
    events, mass = events / total.sum(), mass / total.sum()
    with np.errstate(divide="ignore"):
        needed = (phi * blocks + (delta + phi) * (1 - blocks)) / (blocks * (1 - delta))
    needed = np.clip(needed, 0.0, 1.0)
    accepted = alpha / (alpha + beta) * special.betaincc(alpha + 1, beta, needed)
    contacted = special.betaincc(alpha, beta, needed)
    gain = (1 - delta) * events * accepted
    cost = (phi * events + (delta + phi) * (mass - events)) * contacted
    return (
        float(chosen.customer_value * (gain - cost).sum()),
        float((mass * contacted).sum()),
    )


def wilson_interval(successes: float, trials: float, level: float = 0.95) -> Interval:
    """Return a share with its Wilson score interval (Wilson 1927).

    Examples
    --------
    >>> found = wilson_interval(8, 10)
    >>> round(found.lower, 4), round(found.upper, 4)
    (0.4902, 0.9433)
    """
    if trials <= 0:
        return Interval(math.nan, math.nan, math.nan)
    z = float(stats.norm.ppf(0.5 + level / 2))
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def stability_index(actual: np.ndarray, expected: np.ndarray, smoothing: float = 0.5) -> float:
    """Return the population stability index, sum (a - e) ln(a / e), of two sets of bin counts.

    Parameters
    ----------
    actual, expected
        Counts per bin, shape (bins,).
    smoothing
        Added to every bin, so that an empty bin does not give infinity.

    Notes
    -----
    Below 0.1 small, 0.1 to 0.25 moderate, above large. With no drift at all its expectation is about
    (bins - 1)(1/N + 1/M); see `expected_stability_index`.
    """
    a = (actual + smoothing) / (actual + smoothing).sum()
    e = (expected + smoothing) / (expected + smoothing).sum()
    return float(((a - e) * np.log(a / e)).sum())


def expected_stability_index(bins: int, actual_count: float, expected_count: float) -> float:
    """Return the stability index that chance alone gives, (bins - 1)(1/N + 1/M)."""
    if actual_count <= 0 or expected_count <= 0:
        return math.nan
    return (bins - 1) * (1 / actual_count + 1 / expected_count)


def bootstrap_weights(groups: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """Return resampling weights per row, whole groups at a time.

    Parameters
    ----------
    groups
        Group number of each row, 0 to g - 1, shape (n,).
    replicates
        Number of resamples.
    seed
        Seed of the generator.

    Returns
    -------
    numpy.ndarray
        Shape (replicates, g), Poisson(1) counts: the weight of each *group*; take `[:, groups]` for rows.
    """
    size = int(groups.max()) + 1 if len(groups) else 0
    return np.random.default_rng(seed).poisson(1.0, size=(replicates, size)).astype(np.uint8)


def bootstrap_interval(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    metrics: Mapping[str, Callable[[ScoreCounts], float]],
    *,
    replicates: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Return each metric with its percentile bootstrap interval, resampling whole groups.

    Parameters
    ----------
    labels, scores
        Outcome (0 or 1) and score per row, shape (n,).
    groups
        Group number (person) of each row, 0 to g - 1, shape (n,).
    metrics
        Functions of `ScoreCounts` by name.
    replicates
        Number of resamples.
    seed
        Seed of the generator.
    level
        Level of the interval.
    """
    draws = bootstrap_draws(labels, scores, groups, metrics, replicates=replicates, seed=seed)
    whole = count_scores(labels, scores)
    return {name: percentile_interval(metric(whole), draws[name], level) for name, metric in metrics.items()}


def bootstrap_draws(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    metrics: Mapping[str, Callable[[ScoreCounts], float]],
    *,
    replicates: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return the bootstrap draws of each metric, shape (replicates,); same seed, same resamples.

    Scores are grouped into at most `BOOTSTRAP_RESOLUTION` bins of equal mass first: an interval needs no more,
    and a replicate then costs milliseconds whatever the size of the bank.
    """
    distinct, position = binned_scores(scores)
    weights = bootstrap_weights(groups, replicates, seed)
    found = {name: np.full(replicates, np.nan) for name in metrics}
    for number in range(replicates):
        weight = weights[number, groups].astype(float)
        positives = np.bincount(position, weights=weight * labels, minlength=len(distinct))
        negatives = np.bincount(position, weights=weight * (1 - labels), minlength=len(distinct))
        if positives.sum() == 0 or negatives.sum() == 0:
            continue
        counts = ScoreCounts(distinct, positives, negatives)
        for name, metric in metrics.items():
            found[name][number] = metric(counts)
    return found


def binned_scores(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ascending bin scores and the bin of each row; equal scores share a bin."""
    distinct, position, count = np.unique(scores, return_inverse=True, return_counts=True)
    if len(distinct) <= BOOTSTRAP_RESOLUTION:
        return distinct, position
    middle = np.cumsum(count) - count / 2
    bins = (middle / len(scores) * BOOTSTRAP_RESOLUTION).astype(int)
    _, bins = np.unique(bins, return_inverse=True)
    mass = np.bincount(bins, weights=count)
    return np.bincount(bins, weights=count * distinct) / mass, bins[position]


def percentile_interval(value: float, draws: np.ndarray, level: float = 0.95) -> Interval:
    """Return `value` with the percentile interval of its bootstrap draws; draws without a value are left out."""
    held = draws[np.isfinite(draws)]
    if len(held) == 0:
        return Interval(value, math.nan, math.nan)
    lower, upper = np.quantile(held, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(lower), float(upper))
