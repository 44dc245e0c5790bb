"""The leak guard: features that know the outcome are refused by name, honest strong ones are not.

A leak shows in one of three ways: the column alone tells leavers from stayers almost perfectly; its name speaks
of the outcome and it is suspiciously strong; it is a date after the as-of month. Each column is judged alone by
a shallow tree, fitted and scored on different persons, so that non-monotone columns, columns whose *missing*
values give the outcome away, and categories are all seen, and a column of many distinct values gains nothing
by memory.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from mining.gates import Refusal
from mining.metrics import area_under_curve, count_scores
from mining.preparation import Encoder, TypedFrame

OUTCOME_NAME = re.compile(
    r"(attrit|churn|(^|_)(closed|closure|cancel\w*|exit\w*|lapsed|left|outcome|label|target|terminat\w*|"
    r"departed|departure)(_|$)|naive_bayes|流失|销户)",
    re.IGNORECASE,
)
"""Words that name the outcome. A name alone refuses nothing: last year's churn score may be honest."""

TREE_DEPTH = 3
SMALLEST_LEAF_SHARE = 0.005


def single_column_strength(
    encoder: Encoder, encoded: np.ndarray, labels: np.ndarray, folds: np.ndarray, seed: int
) -> dict[str, float]:
    """Return for each source column the AUC that it reaches alone, on persons it was not fitted on.

    Parameters
    ----------
    encoder
        How the columns became numbers.
    encoded
        Encoded features, shape (rows, encoded columns).
    labels
        Outcome per row, 0 or 1.
    folds
        Fold number per row; persons do not cross folds.
    seed
        Seed of the trees.

    Returns
    -------
    dict
        AUC per source column, at least 0.5 in expectation.
    """
    sources = np.array(encoder.sources, dtype=object)
    leaf = max(5, int(SMALLEST_LEAF_SHARE * len(labels)))
    strength: dict[str, float] = {}
    for name in encoder.columns:
        part = encoded[:, sources == name]
        part = np.column_stack([np.nan_to_num(part, nan=0.0), np.isnan(part).any(axis=1)])
        scores = np.zeros(len(labels))
        areas = []
        for fold in np.unique(folds):
            inside = folds == fold
            if len(np.unique(labels[~inside])) < 2 or len(np.unique(labels[inside])) < 2:
                continue
            tree = DecisionTreeClassifier(max_depth=TREE_DEPTH, min_samples_leaf=leaf, random_state=seed)
            tree.fit(part[~inside], labels[~inside])
            scores[inside] = tree.predict_proba(part[inside])[:, 1]
            areas.append(area_under_curve(count_scores(labels[inside], scores[inside])))
        strength[name] = float(np.mean(areas)) if areas else 0.5
    return strength


def leak_refusals(strength: dict[str, float], bound: float, named_bound: float) -> list[tuple[str, Refusal]]:
    """Return a refusal per column that tells the outcome, with the column's name.

    Parameters
    ----------
    strength
        AUC per column alone (`single_column_strength`).
    bound
        AUC from which any column is refused.
    named_bound
        AUC from which a column named after the outcome is refused.
    """
    result = []
    for name, area in sorted(strength.items()):
        is_named = bool(OUTCOME_NAME.search(name))
        limit = named_bound if is_named else bound
        if area >= limit:
            why_en = " and is named after the outcome" if is_named else ""
            why_zh = "，且列名指向结果" if is_named else ""
            result.append(
                (
                    name,
                    Refusal(
                        "leaking_column",
                        f"Column {name} alone tells leavers from stayers (AUC {area:.3f}){why_en}; it very "
                        "likely knows the outcome. Remove it from the features or correct its as-of date.",
                        f"列 {name} 单独即可区分流失与留存客户（AUC {area:.3f}）{why_zh}，很可能包含结果信息。"
                        "请将其移出特征，或修正其取数时点。",
                        f"{area:.4f}",
                        f"< {limit:.2f}",
                    ),
                )
            )
    return result


def future_date_refusals(typed: TypedFrame, as_of: pd.Series | None) -> list[tuple[str, Refusal]]:
    """Return a refusal per date column that holds a date after its row's as-of month."""
    result: list[tuple[str, Refusal]] = []
    if as_of is None:
        return result
    month_end = (pd.to_datetime(as_of) + pd.offsets.MonthEnd(0)).to_numpy()
    for name in typed.dates.columns:
        moments = pd.to_datetime(typed.dates[name], errors="coerce").to_numpy()
        later = moments > month_end + np.timedelta64(1, "D")
        # Agreed future dates (a maturity) are honest.
        is_agreed = bool(re.search(r"(matur|due|expir|until|valid_to|到期)", name, re.IGNORECASE))
        if later.any() and not is_agreed:
            count = int(later.sum())
            result.append(
                (
                    name,
                    Refusal(
                        "leaking_column",
                        f"Column {name} holds {count} dates after the as-of month of their row; it was not "
                        "known then. Remove it from the features or correct its as-of date.",
                        f"列 {name} 有 {count} 个日期晚于该行的取数月份，当时尚不可知。请移出特征或修正取数时点。",
                        f"{count} later dates",
                        "0 later dates",
                    ),
                )
            )
    return result
