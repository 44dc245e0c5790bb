"""The candidates and the fitted churn model: gradient boosting or logistic, calibrated on its own persons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from mining.metrics import log_odds, logistic_line
from mining.model_files import ModelFile, ModelFileError, load_state, save_state
from mining.preparation import Encoder, Preparation

MODEL_FORMAT = 1
ISOTONIC_MINIMUM_EVENTS = 1000
"""Below this many events isotonic regression overfits (Niculescu-Mizil and Caruana 2005 put it near 1,000)."""
TREE_TOLERANCE = 0.002
ISOTONIC_MINIMUM_GAIN = 0.005
"""Isotonic replaces the sigmoid only when it lowers the log loss on other persons by this share."""


@dataclass(frozen=True)
class BoostingSettings:
    """Gradient boosting: many small, regularised trees; their number is found on persons of its own.

    Parameters
    ----------
    learning_rate, leaves, minimum_leaf, penalty
        Of `HistGradientBoostingClassifier`.
    column_share
        Share of the columns drawn for each split: many columns say nearly the same, and trees that see different ones
        err differently.
    most_trees
        Largest number of trees tried.
    tuning_share
        Share of training persons on which the number of trees is found.
    """

    learning_rate: float = 0.05
    leaves: int = 8
    minimum_leaf: int = 100
    penalty: float = 1.0
    column_share: float = 0.15
    most_trees: int = 500
    tuning_share: float = 0.25


@dataclass(frozen=True)
class Calibration:
    """Map from a model's raw probability to a calibrated one: sigmoid on the log-odds, or isotonic steps.

    Parameters
    ----------
    method
        ``sigmoid`` or ``isotonic``.
    intercept, slope
        Of the sigmoid.
    raw, calibrated
        Knots of the isotonic map, ascending.
    """

    method: str
    intercept: float
    slope: float
    raw: np.ndarray
    calibrated: np.ndarray

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, same shape."""
        if self.method == "sigmoid":
            return np.asarray(special.expit(self.intercept + self.slope * log_odds(probabilities)))
        return np.asarray(np.interp(probabilities, self.raw, self.calibrated))


def fit_sigmoid(raw: np.ndarray, labels: np.ndarray) -> Calibration:
    """Return the sigmoid calibration (Platt on the log-odds)."""
    intercept, slope = logistic_line(log_odds(raw), labels.astype(float), 1.0 - labels)
    # A negative slope would turn the order around: such a model knows nothing, its map is flat.
    return Calibration("sigmoid", intercept, max(slope, 0.0), np.empty(0), np.empty(0))


def fit_isotonic(raw: np.ndarray, labels: np.ndarray) -> Calibration:
    """Return the isotonic calibration, kept half an event away from 0 and 1."""
    edge = 0.5 / len(labels)
    steps = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(raw, labels)
    return Calibration("isotonic", 0.0, 1.0, steps.X_thresholds_, steps.y_thresholds_)


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean negative log-likelihood."""
    clipped = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return float(-np.mean(np.where(labels == 1, np.log(clipped), np.log1p(-clipped))))


def fit_calibration(raw: np.ndarray, labels: np.ndarray, halves: np.ndarray) -> Calibration:
    """Return the calibration of a model on persons it was not fitted on.

    The rule: the sigmoid, unless there are `ISOTONIC_MINIMUM_EVENTS` events and isotonic, fitted on one half of
    the persons and read on the other, lowers the log loss by `ISOTONIC_MINIMUM_GAIN`.

    Parameters
    ----------
    raw, labels
        Raw probability and outcome per row.
    halves
        Half (False or True) of the row's person.
    """
    if labels.sum() >= ISOTONIC_MINIMUM_EVENTS:
        losses = {}
        for fit_one in (fit_sigmoid, fit_isotonic):
            found = np.zeros(len(labels))
            for half in (False, True):
                found[halves == half] = fit_one(raw[halves != half], labels[halves != half]).apply(raw[halves == half])
            losses[fit_one] = log_loss(labels, found)
        if losses[fit_isotonic] < (1 - ISOTONIC_MINIMUM_GAIN) * losses[fit_sigmoid]:
            return fit_isotonic(raw, labels)
    return fit_sigmoid(raw, labels)


def new_boosting(settings: BoostingSettings, trees: int, seed: int) -> HistGradientBoostingClassifier:
    """Return an unfitted boosting; early stopping is off, because it would split persons and months at random."""
    return HistGradientBoostingClassifier(
        learning_rate=settings.learning_rate,
        max_iter=trees,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.minimum_leaf,
        l2_regularization=settings.penalty,
        max_features=settings.column_share,
        early_stopping=False,
        random_state=seed,
    )


def best_tree_count(
    encoded: np.ndarray,
    labels: np.ndarray,
    is_tuning: np.ndarray,
    settings: BoostingSettings,
    *,
    seed: int,
) -> int:
    """Return the fewest trees whose log loss on the tuning persons is near the lowest.

    The tuning persons are seen in the same months as the others. What the last trees still gain on them belongs to
    these months and is gone in later ones, so a loss within `TREE_TOLERANCE` of the lowest is as good. The number tried
    is doubled until the loss has passed its lowest point.
    """
    if labels[is_tuning].sum() < 5 or labels[~is_tuning].sum() < 5:
        return min(100, settings.most_trees)
    with threadpool_limits(1):
        model = new_boosting(settings, 1, seed).set_params(warm_start=True)
        trees = min(100, settings.most_trees)
        while True:
            model.set_params(max_iter=trees)
            model.fit(encoded[~is_tuning], labels[~is_tuning])
            losses = [
                log_loss(labels[is_tuning], staged[:, 1]) for staged in model.staged_predict_proba(encoded[is_tuning])
            ]
            if np.argmin(losses) + 1 < 0.8 * trees or trees == settings.most_trees:
                return int(np.argmax(np.array(losses) <= min(losses) * (1 + TREE_TOLERANCE))) + 1
            trees = min(2 * trees, settings.most_trees)


def fit_boosting(
    encoded: np.ndarray,
    labels: np.ndarray,
    trees: int,
    settings: BoostingSettings,
    seed: int,
) -> HistGradientBoostingClassifier:
    """Return the gradient boosting fitted on every row given, on one thread."""
    with threadpool_limits(1):
        return new_boosting(settings, trees, seed).fit(encoded, labels)


def fit_logistic(encoded: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Return the logistic baseline: log, winsor, scale, missing indicators, ridge.

    Newton's method ends in about ten steps where gradient methods crawl along correlated columns.
    """
    with threadpool_limits(1):
        return Pipeline(
            [
                ("prepare", Preparation(with_indicators=True)),
                ("classify", LogisticRegression(C=0.5, solver="newton-cholesky", max_iter=100, tol=1e-6)),
            ]
        ).fit(encoded, labels)


def raw_probabilities(estimator: Any, encoded: np.ndarray) -> np.ndarray:
    """Return the estimator's probability of leaving, shape (rows,)."""
    if len(encoded) == 0:
        return np.empty(0)
    if isinstance(estimator, HistGradientBoostingClassifier):
        return np.asarray(estimator.predict_proba(encoded)[:, 1])
    # Threads that share a product of matrices round it differently; trees are summed row by row.
    with threadpool_limits(1):
        return np.asarray(estimator.predict_proba(encoded)[:, 1])


@dataclass(frozen=True)
class ChurnModel:
    """A fitted, calibrated churn model with all that scoring needs.

    Parameters
    ----------
    kind
        ``gradient_boosting`` or ``logistic``.
    encoder
        From the feature columns to numbers.
    estimator
        The fitted classifier.
    calibration
        From raw to calibrated probability.
    reference
        Encoded features of the typical customer who stays, NaN where the typical value is missing.
    reference_text
        The same per source column, as number or category.
    groups
        Source columns that move together and are explained together.
    seed
        Seed of the run.
    run_id
        The run that fitted the model.
    model_id
        Hash of the model file, empty until saved.
    """

    kind: str
    encoder: Encoder
    estimator: Any
    calibration: Calibration
    reference: np.ndarray
    reference_text: dict[str, float | str | None]
    groups: list[list[str]]
    seed: int
    run_id: str
    model_id: str = ""

    def raw(self, encoded: np.ndarray) -> np.ndarray:
        """Return raw probabilities of encoded features."""
        return raw_probabilities(self.estimator, encoded)

    def probabilities(self, features: pd.DataFrame) -> np.ndarray:
        """Return calibrated probabilities of leaving, shape (rows,)."""
        return self.calibration.apply(self.raw(self.encoder.encoded(features)))


def save_model(model: ChurnModel, folder: Path | str) -> tuple[ChurnModel, ModelFile]:
    """Write the model to `folder` and return it with its id, and the file."""
    state = {
        "format": MODEL_FORMAT,
        "miner": "churn",
        "kind": model.kind,
        "columns": list(model.encoder.columns),
        "kinds": dict(model.encoder.kinds),
        "categories": {name: list(levels) for name, levels in model.encoder.categories.items()},
        "estimator": model.estimator,
        "method": model.calibration.method,
        "intercept": float(model.calibration.intercept),
        "slope": float(model.calibration.slope),
        "calibration_raw": np.asarray(model.calibration.raw, dtype=np.float64),
        "calibration_value": np.asarray(model.calibration.calibrated, dtype=np.float64),
        "reference": np.asarray(model.reference, dtype=np.float64),
        "reference_text": dict(model.reference_text),
        "groups": [list(group) for group in model.groups],
        "seed": model.seed,
        "run_id": model.run_id,
    }
    written = save_state(state, folder)
    return replace(model, model_id=written.model_id), written


def load_model(path: Path | str, model_id: str) -> ChurnModel:
    """Return a saved model.

    Raises
    ------
    mining.model_files.ModelFileError
        When the file does not match `model_id`, holds a type that is not trusted, or is no churn model.
    """
    state = load_state(path, model_id)
    if state.get("miner") != "churn" or state.get("format") != MODEL_FORMAT:
        message = (
            f"{Path(path).name}: holds miner {state.get('miner')!r} in format {state.get('format')!r}; "
            f"needed is 'churn' in format {MODEL_FORMAT}. Run `retrain`."
        )
        raise ModelFileError(message)
    return ChurnModel(
        state["kind"],
        Encoder(state["columns"], state["kinds"], state["categories"]),
        state["estimator"],
        Calibration(
            state["method"],
            state["intercept"],
            state["slope"],
            state["calibration_raw"],
            state["calibration_value"],
        ),
        state["reference"],
        state["reference_text"],
        state["groups"],
        state["seed"],
        state["run_id"],
        model_id,
    )
