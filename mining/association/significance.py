"""How likely chance alone is to give what was counted: exact tests, corrections for many of them, intervals.

Everything works on whole arrays; nothing here knows what a rule is.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

__all__ = [
    "benjamini_hochberg",
    "fisher_log_p_values",
    "holm",
    "wilson_interval",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

STIRLING_TABLE = np.array(
    [0.0] + [math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2 * math.pi) for n in range(1, 16)]
)
"""log n! minus Stirling's formula for n = 0..15; beyond 15 five terms of the series are exact to 1e-16."""

TERMS_AT_ONCE = 1 << 18
"""Terms of tail sums held at a time: 2 MB, so that a block stays in the processor's cache."""


def fisher_log_p_values(both: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike, total: int) -> Floats:
    """Return the natural logarithm of the one-sided Fisher exact p-value of each 2 x 2 table.

    The p-value is the chance that at least `both` of the `first` marked baskets are among the `second` marked ones
    when marks fall independently: the upper tail of the hypergeometric distribution. The logarithm is returned because
    real rules reach p-values far below 1e-308, where a float is zero.

    Parameters
    ----------
    both, first, second : array_like of int, one shape (tables,)
        Baskets with both sides, with the first side, with the second side.
    total : int
        All baskets.

    Returns
    -------
    ndarray of float64, shape (tables,)
        Never above 0. Relative error of the p-value below 1e-10 in the tests (totals up to 1,000,000).

    Notes
    -----
    The probability at the observed count follows C. Loader, "Fast and Accurate Computation of Binomial Probabilities"
    (2000), which avoids the cancellation of log-gamma differences; the tail is summed outwards by the ratio of
    neighbouring terms, from the side on which the terms shrink.

    Examples
    --------
    >>> float(np.exp(fisher_log_p_values([3], [4], [4], 8))[0])  # Fisher's tea: 17/70
    0.24285714285714...
    """
    a = np.atleast_1d(np.asarray(both, dtype=np.int64))
    low = np.minimum(first, second).astype(np.int64).reshape(a.shape)
    high = np.maximum(first, second).astype(np.int64).reshape(a.shape)
    wrong = (a < 0) | (a > low) | (high > total) | (low + high - a > total)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"Table {row} is impossible: {a[row]} baskets with both sides, {low[row]} and {high[row]} with one, "
            f"{total} in all; no count may exceed the one it is part of."
        )
    log_p = np.zeros(a.shape)
    neither = total - low - high
    smallest_possible = np.maximum(-neither, 0)
    above_mean = a.astype(np.float64) * total >= low.astype(np.float64) * high
    upper = np.flatnonzero((a > smallest_possible) & above_mean)
    lower = np.flatnonzero((a > smallest_possible) & ~above_mean)
    if len(upper):
        x, k, n, rest = a[upper], high[upper], low[upper], neither[upper]
        log_p[upper] = _log_probability(x, k, n, total) + np.log(_tail_sum(k - x, n - x, x + 1, rest + x + 1))
    if len(lower):
        x, k, n, rest = a[lower] - 1, high[lower], low[lower], neither[lower]
        below = _log_probability(x, k, n, total) + np.log(_tail_sum(x, rest + x, k - x + 1, n - x + 1))
        log_p[lower] = np.log1p(-np.exp(np.minimum(below, -1e-300)))
    return np.minimum(log_p, 0.0)


def benjamini_hochberg(log_p_values: Floats, tests: int | None = None, repeats: npt.ArrayLike | None = None) -> Floats:
    """Return Benjamini-Hochberg adjusted p-values (Benjamini & Hochberg 1995), in the order given.

    Parameters
    ----------
    log_p_values : ndarray of float64, shape (shown,)
        Natural logarithms.
    tests : int, optional
        How many hypotheses were weighed, at least as many as shown; those not shown count with p = 1. Default: those
        shown.
    repeats : array_like of int, shape (shown,), optional
        How many hypotheses have each p-value, where equal ones are given once. Default: 1.

    Examples
    --------
    >>> benjamini_hochberg(np.log([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    order, ranks, count = _ranked_tests(log_p_values, tests, repeats)
    adjusted = np.empty(len(order))
    scaled = log_p_values[order] + math.log(count) - np.log(ranks)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1] if len(order) else scaled
    return np.exp(np.minimum(adjusted, 0.0))


def holm(log_p_values: Floats, tests: int | None = None, repeats: npt.ArrayLike | None = None) -> Floats:
    """Return Holm's step-down adjusted p-values (Holm 1979), in the order given; parameters as `benjamini_hochberg`.

    Examples
    --------
    >>> holm(np.log([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order, ranks, count = _ranked_tests(log_p_values, tests, repeats)
    before = np.append(0, ranks[:-1])[: len(order)]
    scaled = log_p_values[order] + np.log(count - before)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(scaled) if len(order) else scaled
    return np.exp(np.minimum(adjusted, 0.0))


def _ranked_tests(
    log_p_values: Floats, tests: int | None, repeats: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.intp], Integers, int]:
    """Return the order of the p-values, how many hypotheses each and those before it are, and how many there are."""
    order = np.argsort(log_p_values, kind="stable")
    times = np.ones(len(order), dtype=np.int64) if repeats is None else np.asarray(repeats, dtype=np.int64)
    ranks = np.cumsum(times[order])
    shown = int(times.sum())
    if tests is not None and tests < shown:
        raise ValueError(f"{tests} tests were named but {shown} p-values given; count every hypothesis weighed.")
    return order, ranks, max(shown if tests is None else tests, 1)


def wilson_interval(
    successes: npt.ArrayLike, trials: npt.ArrayLike, confidence_level: float = 0.95
) -> tuple[Floats, Floats]:
    """Return the Wilson score interval of each share (Wilson 1927).

    Parameters
    ----------
    successes, trials : array_like of int, one shape
        Trials are at least 1.
    confidence_level : float
        Between 0 and 1.

    Examples
    --------
    >>> [round(float(bound[0]), 4) for bound in wilson_interval([8], [10])]
    [0.4902, 0.9433]
    """
    if not 0.0 < confidence_level < 1.0:
        raise ValueError(f"confidence_level is {confidence_level!r}; it must lie between 0 and 1.")
    z = NormalDist().inv_cdf(0.5 + confidence_level / 2)
    hits = np.asarray(successes, dtype=np.float64)
    n = np.asarray(trials, dtype=np.float64)
    centre = hits + z * z / 2
    spread = z * np.sqrt(hits * (n - hits) / n + z * z / 4)
    lower = np.where(hits == 0, 0.0, (centre - spread) / (n + z * z))
    upper = np.where(hits == n, 1.0, (centre + spread) / (n + z * z))
    return lower, upper


def _log_probability(x: Integers, marked: Integers, drawn: Integers, total: int) -> Floats:
    """Return log P(X = x), hypergeometric: `drawn` of `total` baskets drawn, `marked` of them marked."""
    p = drawn / total
    q = (total - drawn) / total
    everything = np.full(x.shape, total, dtype=np.int64)
    return (
        _log_binomial(x, marked, p, q)
        + _log_binomial(drawn - x, total - marked, p, q)
        - _log_binomial(drawn, everything, p, q)
    )


def _log_binomial(x: Integers, n: Integers, p: Floats, q: Floats) -> Floats:
    """Return Loader's log of the binomial probability of x successes in n."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = np.where(p < 0.5, np.log(p), np.log1p(-q))
        log_q = np.where(q < 0.5, np.log(q), np.log1p(-p))
        inner = (
            _stirling_error(n)
            - _stirling_error(x)
            - _stirling_error(n - x)
            - _deviance(x, n * p)
            - _deviance(n - x, n * q)
            - 0.5 * (np.log(2 * np.pi) + np.log(x) + np.log1p(-x / n))
        )
        none = np.where(n == 0, 0.0, n * log_q)
        every = np.where(n == 0, 0.0, n * log_p)
    result: Floats = np.where(x == 0, none, np.where(x == n, every, inner))
    return result


def _stirling_error(n: Integers) -> Floats:
    """Return log n! - log(sqrt(2 pi n) (n / e)^n)."""
    square = np.square(np.maximum(n, 1), dtype=np.float64)
    series = (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / np.maximum(
        n, 1
    )
    result: Floats = np.where(n <= 15, STIRLING_TABLE[np.clip(n, 0, 15)], series)
    return result


def _deviance(x: Integers, mean: Floats) -> Floats:
    """Return x log(x / mean) + mean - x, by its series where x is near the mean and the terms would cancel."""
    difference = x - mean
    v = difference / (x + mean)
    term = 2.0 * x * v
    near = difference * v
    for power in range(1, 10):  # |v| < 0.1: the tenth term is below 1e-18 of the first
        term = term * v * v
        near = near + term / (2 * power + 1)
    far = x * np.log(x / mean) - difference
    result: Floats = np.where(np.abs(v) < 0.1, near, far)
    return result


def _tail_sum(up_1: Integers, up_2: Integers, down_1: Integers, down_2: Integers) -> Floats:
    """Return 1 + r0 + r0 r1 + ..., r_j = (up_1 - j)(up_2 - j) / ((down_1 + j)(down_2 + j)), until terms vanish.

    Rows whose terms have vanished leave the sum, and the blocks of terms grow for those that stay.
    """
    total = np.ones(len(up_1))
    term = np.ones(len(up_1))
    rows = np.arange(len(up_1))
    sides = [side.astype(np.float64) for side in (up_1, up_2, down_1, down_2)]
    start, width = 0, 8
    while len(rows):
        steps = np.arange(start, start + width, dtype=np.float64)
        for block in np.array_split(rows, max(1, math.ceil(len(rows) * width / TERMS_AT_ONCE))):
            up_a, up_b, down_a, down_b = (side[block, None] for side in sides)
            ratios = (up_a - steps) * (up_b - steps) / ((down_a + steps) * (down_b + steps))
            ratios[:, 0] *= term[block]
            terms = np.cumprod(ratios, axis=1)
            total[block] += terms.sum(axis=1)
            term[block] = terms[:, -1]
        rows = rows[term[rows] > 1e-17 * total[rows]]
        start, width = start + width, min(2 * width, 1024)
    return total
