"""Scores with reasons: calibrated probability, place on the list, and three reasons in words for those listed.

A reason answers: which of this customer's features, compared with the typical customer who stays, raises the
risk most? For a group of features G the effect on the model's log-odds f is the mean of two replacements,

    1/2 [f(x) - f(x with G as typical)] + 1/2 [f(typical with G as x) - f(typical)],

the first and the last term of the baseline Shapley value. It *is* the Shapley value when the model is additive
(the logistic model on its prepared scale) or has interactions of two groups, and needs two predictions per
group instead of 2^groups. Features that move together (rank correlation above a bound) are replaced together;
otherwise each would hide behind the other and neither would be named.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mining.churn.models import ChurnModel
from mining.gates import month_texts, rounded_frame
from mining.metrics import log_odds
from mining.preparation import (
    COLUMN_LABELS,
    Encoder,
    category_text,
    label_pair,
    shown_value,
    typed_column,
)

REASON_COUNT = 3
SMALLEST_EFFECT = 0.01
"""Log-odds below which an effect is no reason (about 1 % of the odds)."""
CORRELATED_ROWS = 20_000
"""Rows that give a rank correlation to 0.01, evenly spaced."""


def score(
    model: ChurnModel,
    features: pd.DataFrame,
    as_of: str | None = None,
    *,
    list_share: float = 0.1,
    value_at_stake: pd.Series | None = None,
    names: Mapping[str, tuple[str, str]] | None = None,
) -> pd.DataFrame:
    """Return one row per person: probability of leaving, rank, and reasons for those on the list.

    Parameters
    ----------
    model
        Of `churn.fit` or `churn.load_model`.
    features
        One row per person, indexed by person. Not changed. Columns the model does not use are ignored. Persons of
        whom no column of the model is known have no row in the result.
    as_of
        Month the features belong to, written into `month_on`.
    list_share
        Share of persons on the list, those with the highest probability.
    value_at_stake
        Money lost with the customer, indexed as `features`; gives `expected_loss` = probability x value.
    names
        Labels (English, Chinese) per feature column, over those of `COLUMN_LABELS`.

    Returns
    -------
    pandas.DataFrame
        `person_id, month_on, run_id, model_id, probability, risk_rank, risk_decile` (1 = highest), `is_listed`,
        `value_at_stake, expected_loss`, and for each of three reasons `reason_n_column`, `reason_n_effect`
        (log-odds), `reason_n_en`, `reason_n_zh`; missing where there is no further reason.

    Raises
    ------
    ValueError
        When a column of the model is missing or changed its kind, or a person appears twice.
    """
    persons = pd.Series(features.index.astype(str))
    if persons.duplicated().any():
        message = f"{int(persons.duplicated().sum())} persons appear twice in the features; give one row per person."
        raise ValueError(message)
    order = np.argsort(persons.to_numpy(dtype=object).astype(str), kind="stable")
    ordered = features.iloc[order]
    encoded = model.encoder.encoded(ordered)
    known = ordered[model.encoder.columns].notna().any(axis=1).to_numpy()
    order, ordered, encoded = order[known], ordered[known], encoded[known]
    probability = model.calibration.apply(model.raw(encoded))
    # The order of the raw score decides within equal calibrated steps, then the id.
    rank_order = np.lexsort((np.arange(len(ordered)), -model.raw(encoded), -probability))
    rank = np.empty(len(ordered), dtype=np.int64)
    rank[rank_order] = np.arange(1, len(ordered) + 1)
    listed_count = int(np.ceil(list_share * len(ordered)))
    result = pd.DataFrame(
        {
            "person_id": persons.iloc[order].to_numpy(dtype=object),
            "month_on": as_of,
            "run_id": model.run_id,
            "model_id": model.model_id or None,
            "probability": probability,
            "risk_rank": rank,
            "risk_decile": (rank - 1) * 10 // max(len(ordered), 1) + 1,
            "is_listed": rank <= listed_count,
            "value_at_stake": np.nan,
            "expected_loss": np.nan,
        }
    )
    if value_at_stake is not None:
        value = value_at_stake.reindex(ordered.index).to_numpy(dtype=np.float64, na_value=np.nan)
        result["value_at_stake"] = value
        result["expected_loss"] = probability * value
    listed = result["is_listed"].to_numpy(dtype=bool)
    reasons = reason_rows(model, ordered.loc[listed], encoded[listed], dict(COLUMN_LABELS) | dict(names or {}))
    for column in reasons.columns:
        filler = np.full(len(result), np.nan if column.endswith("_effect") else None, dtype=object)
        filler[listed] = reasons[column].to_numpy(dtype=object)
        result[column] = filler.astype(np.float64) if column.endswith("_effect") else filler
    if as_of is not None:
        result["month_on"] = month_texts(pd.Series([as_of], name="as_of")).iloc[0]
    return rounded_frame(result)


class Effects:
    """Effects of groups of columns on the log-odds of the same rows; see the module."""

    def __init__(self, model: ChurnModel, encoded: np.ndarray) -> None:
        self.model, self.encoded = model, encoded
        self.sources = np.array(model.encoder.sources, dtype=object)
        self.typical = log_odds(model.raw(model.reference[None, :]))[0]
        self.own = log_odds(model.raw(encoded))

    def of(self, columns: list[str], rows: np.ndarray | None = None) -> np.ndarray:
        """Return the effect of a group of source columns, shape (rows,); only of the rows given by position, if any."""
        inside = np.isin(self.sources, columns)
        encoded = self.encoded if rows is None else self.encoded[rows]
        own = self.own if rows is None else self.own[rows]
        reference = self.model.reference
        same = (encoded[:, inside] == reference[inside]) | (np.isnan(encoded[:, inside]) & np.isnan(reference[inside]))
        # Who is typical in the group has no effect of it.
        differs = ~same.all(axis=1)
        encoded = encoded[differs]
        without = np.where(inside, reference, encoded)
        only = np.where(inside, encoded, reference)
        last = own[differs] - log_odds(self.model.raw(without))
        first = log_odds(self.model.raw(only)) - self.typical
        effects = np.zeros(len(differs))
        effects[differs] = (first + last) / 2
        return effects


def reason_rows(
    model: ChurnModel, features: pd.DataFrame, encoded: np.ndarray, names: dict[str, tuple[str, str]]
) -> pd.DataFrame:
    """Return the reasons of each row, strongest first; see `score` for the columns."""
    found = Effects(model, encoded)
    effects = np.column_stack([found.of(group) for group in model.groups])
    order = np.argsort(-effects, axis=1, kind="stable")
    speakers = np.empty(effects.shape, dtype=object)
    for number, group in enumerate(model.groups):
        speakers[:, number] = group[0]
        spoken = np.flatnonzero((order[:, :REASON_COUNT] == number).any(axis=1))
        if len(group) > 1 and len(spoken):
            # The member that alone explains most speaks for its group.
            alone = np.column_stack([found.of([name], spoken) for name in group])
            speakers[spoken, number] = np.array(group, dtype=object)[alone.argmax(axis=1)]
    values = {name: typed_column(features[name])[0].to_numpy(dtype=object) for name in model.encoder.columns}
    columns: dict[str, list[object]] = {}
    for number in range(REASON_COUNT):
        prefix = f"reason_{number + 1}"
        parts: dict[str, list[object]] = {"column": [], "effect": [], "en": [], "zh": []}
        for row in range(len(encoded)):
            position = order[row, number] if number < order.shape[1] else None
            if position is None or effects[row, position] < SMALLEST_EFFECT:
                for part, filler in (("column", None), ("effect", np.nan), ("en", None), ("zh", None)):
                    parts[part].append(filler)
                continue
            name = str(speakers[row, position])
            english, chinese = reason_sentences(name, values[name][row], model.reference_text.get(name), names)
            parts["column"].append(name)
            parts["effect"].append(float(effects[row, position]))
            parts["en"].append(english)
            parts["zh"].append(chinese)
        columns |= {f"{prefix}_{part}": held for part, held in parts.items()}
    return pd.DataFrame(columns)


def reason_sentences(
    name: str, value: object, typical: float | str | None, names: dict[str, tuple[str, str]]
) -> tuple[str, str]:
    """Return the reason in English and Chinese: label, the customer's value, the typical value of stayers."""
    english, chinese = label_pair(names, name)
    own = value if isinstance(value, (float, str)) else None
    return (
        f"{english[:1].upper()}{english[1:]}: {shown_value(name, own, 'en')} "
        f"(customers who stay: {shown_value(name, typical, 'en')})",
        f"{chinese}：{shown_value(name, own, 'zh')}（留存客户典型值：{shown_value(name, typical, 'zh')}）",
    )


def typical_stayer(
    encoder: Encoder, frame: pd.DataFrame, encoded: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, dict[str, float | str | None]]:
    """Return the typical customer who stays: medians and most frequent categories among those who stayed.

    Returns
    -------
    tuple
        Encoded reference, shape (encoded columns,), and the same per source column in words.
    """
    stayed = labels == 0
    sources = np.array(encoder.sources, dtype=object)
    reference = np.zeros(encoded.shape[1])
    texts: dict[str, float | str | None] = {}
    for name in encoder.columns:
        inside = sources == name
        if encoder.kinds[name] == "numeric":
            held = encoded[:, inside][stayed]
            held = held[np.isfinite(held)]
            reference[inside] = np.median(held) if len(held) else np.nan
            texts[name] = float(np.median(held)) if len(held) else None
            continue
        levels = encoder.categories[name]
        counts = encoded[:, inside][stayed].sum(axis=0)
        missing = int(frame[name][stayed].isna().sum())
        if len(counts) == 0 or counts.max() < missing:
            texts[name] = None
            continue
        chosen = int(counts.argmax())
        reference[inside] = np.eye(len(levels))[chosen]
        texts[name] = category_text(levels[chosen])
    return reference, texts


def column_groups(encoder: Encoder, encoded: np.ndarray, bound: float) -> list[list[str]]:
    """Return source columns grouped by absolute rank correlation above `bound` (linked groups, single linkage)."""
    sources = np.array(encoder.sources, dtype=object)
    numeric = [name for name in encoder.columns if encoder.kinds[name] == "numeric"]
    parent = {name: name for name in encoder.columns}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    if len(numeric) > 1:
        step = max(1, len(encoded) // CORRELATED_ROWS)
        part = np.column_stack([encoded[::step, sources == name][:, 0] for name in numeric])
        ranks = pd.DataFrame(part, columns=numeric).rank()
        correlation = np.abs(ranks.corr().to_numpy())
        for i, first in enumerate(numeric):
            for j in range(i + 1, len(numeric)):
                if correlation[i, j] > bound:
                    one, two = sorted((root(first), root(numeric[j])))
                    parent[two] = one
    groups: dict[str, list[str]] = {}
    for name in encoder.columns:
        groups.setdefault(root(name), []).append(name)
    return [groups[name] for name in sorted(groups)]
