"""Three ways to weigh the measures: by business judgement, by pairwise comparison (AHP), by entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RANDOM_INDEX = {1: 0.0, 2: 0.0, 3: 0.58, 4: 0.90, 5: 1.12, 6: 1.24, 7: 1.32, 8: 1.41, 9: 1.45, 10: 1.49}
"""Mean consistency index of random judgements by number of measures (Saaty 1980)."""

LARGEST_CONSISTENCY_RATIO = 0.1

IMPORTANCE: dict[str, int] = {
    "repeat_transactions": 5,
    "persistence": 4,
    "price_sensitivity": 3,
    "competitors": 4,
    "after_complaint": 3,
    "growth": 4,
    "low_churn_risk": 3,
    "new_products": 2,
    "volume": 3,
    "satisfaction": 3,
}
"""Importance grades (1 least, 5 most) behind the default judgements; a bank gives its own comparisons."""

BUSINESS_WEIGHTS: dict[str, float] = {
    "repeat_transactions": 0.18,
    "persistence": 0.13,
    "price_sensitivity": 0.08,
    "competitors": 0.14,
    "after_complaint": 0.08,
    "growth": 0.14,
    "low_churn_risk": 0.07,
    "new_products": 0.05,
    "volume": 0.07,
    "satisfaction": 0.06,
}
"""Default business weights; they sum to 1."""


def default_judgements() -> tuple[tuple[str, str, float], ...]:
    """Return pairwise judgements on Saaty's scale: one grade more important is 2, two grades 3, and so on."""
    names = sorted(IMPORTANCE)
    result = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            step = IMPORTANCE[first] - IMPORTANCE[second]
            result.append((first, second, float(step + 1) if step >= 0 else 1.0 / (1 - step)))
    return tuple(result)


@dataclass(frozen=True)
class Comparison:
    """Weights of an analytic hierarchy process with their consistency.

    Parameters
    ----------
    weights
        By measure, summing to 1.
    largest_eigenvalue
        Of the matrix of judgements.
    consistency_index, consistency_ratio
        (lambda_max - n) / (n - 1), and that over the random index.
    """

    weights: dict[str, float]
    largest_eigenvalue: float
    consistency_index: float
    consistency_ratio: float


def compared_weights(names: Sequence[str], judgements: Sequence[tuple[str, str, float]]) -> Comparison:
    """Return the principal eigenvector of the pairwise judgements (Saaty 1980).

    Parameters
    ----------
    names
        Measures to weigh.
    judgements
        (first, second, how many times more important the first is); each pair once, in either order.

    Raises
    ------
    ValueError
        When a pair is missing or a judgement is not positive.

    Examples
    --------
    >>> found = compared_weights(["a", "b", "c"], [("a", "b", 2), ("a", "c", 4), ("b", "c", 2)])
    >>> [round(found.weights[name], 4) for name in "abc"], round(abs(found.consistency_ratio), 6)
    ([0.5714, 0.2857, 0.1429], 0.0)
    """
    position = {name: i for i, name in enumerate(names)}
    matrix = np.full((len(names), len(names)), np.nan)
    np.fill_diagonal(matrix, 1.0)
    for first, second, value in judgements:
        if value <= 0:
            message = f"Judgement {first} : {second} is {value}; give a positive number, 1 for equal importance."
            raise ValueError(message)
        if first in position and second in position:
            matrix[position[first], position[second]] = value
            matrix[position[second], position[first]] = 1.0 / value
    if np.isnan(matrix).any():
        i, j = np.argwhere(np.isnan(matrix))[0]
        message = f"No judgement compares {names[i]} with {names[j]}; give every pair of measures once."
        raise ValueError(message)
    count = len(names)
    values, vectors = np.linalg.eig(matrix)
    largest = int(values.real.argmax())
    vector = np.abs(vectors[:, largest].real)
    eigenvalue = float(values[largest].real)
    index = (eigenvalue - count) / (count - 1) if count > 1 else 0.0
    random_index = RANDOM_INDEX.get(count, 1.49)
    return Comparison(
        {name: float(vector[i] / vector.sum()) for i, name in enumerate(names)},
        eigenvalue,
        index,
        index / random_index if random_index else 0.0,
    )


def entropy_weights(measures: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return weights that grow with the dispersion of a measure.

    Parameters
    ----------
    measures
        0-1 per person and measure, NaN where absent.

    Notes
    -----
    p = x / sum x, e = -sum p ln p / ln n, w = (1 - e) / sum (1 - e). Entropy rewards dispersion, not meaning:
    the weights by judgement are shown beside it.
    """
    divergence: dict[str, float] = {}
    for name, values in measures.items():
        held = values[np.isfinite(values)]
        if len(held) < 2 or held.sum() == 0:
            divergence[name] = 0.0
            continue
        share = held / held.sum()
        used = share[share > 0]
        divergence[name] = max(0.0, 1.0 + float((used * np.log(used)).sum()) / np.log(len(held)))
    return normalised(divergence)


def normalised(weights: Mapping[str, float]) -> dict[str, float]:
    """Return weights that sum to 1; zeros stay zeros when all are 0, for the caller to refuse."""
    total = sum(weights.values())
    if total <= 0:
        return dict.fromkeys(weights, 0.0)
    return {name: value / total for name, value in weights.items()}
