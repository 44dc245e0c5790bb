"""Fit, prove or refuse: the whole course of a churn run, from a table of features to a model that may be used.

Out of time and out of person: with several as-of months, a model is judged on the latest months only, fitted
on months whose outcome was already known by then, and never on a person it is judged on. Without a time column
(cross-sectional data) it is judged by person-grouped cross-validation, and the result says so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mining.churn.leaks import future_date_refusals, leak_refusals, single_column_strength
from mining.churn.models import (
    BoostingSettings,
    ChurnModel,
    best_tree_count,
    fit_boosting,
    fit_calibration,
    fit_logistic,
    log_loss,
    raw_probabilities,
)
from mining.churn.scoring import Effects, column_groups, typical_stayer
from mining.gates import (
    Refusal,
    Run,
    canonical_order,
    data_hash,
    feature_hash,
    hashed_shares,
    metric_rows,
    month_texts,
    parameters_text,
    refusal_frame,
    rounded_frame,
    text_hash,
)
from mining.metrics import (
    CampaignValues,
    Interval,
    ScoreCounts,
    area_under_curve,
    average_precision,
    base_rate,
    bootstrap_draws,
    brier_score,
    calibration_error,
    calibration_intercept,
    calibration_slope,
    count_scores,
    expected_maximum_profit,
    lift_at,
    percentile_interval,
    wilson_interval,
)
from mining.preparation import COLUMN_LABELS, TypedFrame, fit_encoder, label_pair, typed_columns

RECENCY_NAME = re.compile(r"(since_last|recency|inactive)", re.IGNORECASE)
CANDIDATES = ("gradient_boosting", "logistic")
PANEL_ROWS = 1.5
"""Rows of a panel for each labelled row that a fit takes; see `drawn_persons`."""
CALIBRATING_EVENTS = 400
"""Leavers that calibrate are enough: a calibration has two numbers to learn. The rest of their fold fits."""


@dataclass(frozen=True)
class Settings:
    """What decides a churn run; every bound is data, none is in the code below.

    Parameters
    ----------
    seed
        Seed of splits, trees and resamples.
    folds
        Person folds; in turn one is judged, persons of the next calibrate, the others fit.
    test_share
        Share of the as-of months (the latest) that judge: the smaller one if twice `minimum_test_events` left in
        them, else more, up to the larger one; at least one month. Each is judged by candidates fitted on what was
        known by then, as the pipeline would have done.
    label_months
        Months from as-of until a label is known (gap + window): fitted months end this long before the judged one.
    replicates
        Bootstrap resamples of persons per interval.
    minimum_persons, minimum_event_persons, minimum_test_events
        Distinct persons, distinct persons who left, and leavers among the judged rows that a run needs.
    minimum_fit_months
        Months to fit on that an out-of-time run needs.
    leak_bound, named_leak_bound
        AUC of a single column from which it is refused; the second for columns named after the outcome.
    recency_column
        Column of the recency rule; found by name when absent.
    slope_bounds
        The interval of the calibration slope must touch this range.
    list_share
        Share of customers on the list (`lift` is read there).
    explain_together
        Rank correlation from which columns are explained together.
    maximum_rows
        Above it, whole persons are drawn by hash.
    fitted_rows
        Rows that a candidate learns from. Above it, the rows with the event stay and the others are drawn by hash:
        next to few leavers most stayers teach nothing new. The calibration, on all rows, sets the level right.
    boosting
        Of the gradient boosting.
    campaign
        Values of the expected maximum profit.
    """

    seed: int = 20240601
    folds: int = 5
    test_share: tuple[float, float] = (0.1, 0.25)
    label_months: int = 4
    replicates: int = 200
    minimum_persons: int = 1000
    minimum_event_persons: int = 100
    minimum_test_events: int = 50
    minimum_fit_months: int = 2
    leak_bound: float = 0.98
    named_leak_bound: float = 0.90
    recency_column: str | None = None
    slope_bounds: tuple[float, float] = (0.5, 2.0)
    list_share: float = 0.1
    explain_together: float = 0.8
    maximum_rows: int = 400_000
    fitted_rows: int = 60_000
    boosting: BoostingSettings = field(default_factory=BoostingSettings)
    campaign: CampaignValues = field(default_factory=CampaignValues)


@dataclass(frozen=True)
class ChurnResult:
    """What a churn run shows, or why it shows nothing.

    Parameters
    ----------
    run
        Identity, window and population of the run.
    metrics
        Columns `METRIC_COLUMNS`; subjects `gradient_boosting`, `logistic`, `recency_rule`, `model` (the one
        published) and `model_less_recency_rule` (paired difference).
    refusals
        Empty when a model is published.
    columns
        Per feature column: kind, use, share missing, AUC alone.
    calibration
        Per tenth of the judged rows: mean probability, observed rate with Wilson interval.
    gain
        Share of leavers reached by share contacted, per subject.
    folds
        Per fold: rows fitted, calibrated, judged; trees; candidates' log loss on the calibration persons.
    drivers
        Per explained group of columns: mean absolute effect on the log-odds.
    tested
        The judged rows: person, month, outcome, probability out of time and out of person.
    model
        The model to score with; None when refused.
    """

    run: Run
    metrics: pd.DataFrame
    refusals: list[Refusal]
    columns: pd.DataFrame
    calibration: pd.DataFrame
    gain: pd.DataFrame
    folds: pd.DataFrame
    drivers: pd.DataFrame
    tested: pd.DataFrame
    model: ChurnModel | None
    leaking_columns: list[str]

    @property
    def is_refused(self) -> bool:
        """Whether the run ended in a refusal."""
        return bool(self.refusals)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return every table of the result, by name."""
        return {
            "run": self.run.frame(),
            "metrics": self.metrics,
            "refusals": refusal_frame(self.refusals, self.run.run_id),
            "columns": self.columns,
            "calibration": self.calibration,
            "gain": self.gain,
            "folds": self.folds,
            "drivers": self.drivers,
        }

    def metric(self, name: str, subject: str = "model") -> float:
        """Return the value of a metric; NaN when the run has none."""
        found = self.metrics.loc[(self.metrics["subject"] == subject) & (self.metrics["metric"] == name), "value"]
        return float(found.iloc[0]) if len(found) else float("nan")


@dataclass(frozen=True)
class Rows:
    """The rows of a run in canonical order."""

    typed: TypedFrame
    labels: np.ndarray
    persons: pd.Series
    months: pd.Series | None


@dataclass(frozen=True)
class Split:
    """Row positions of one turn: fit, calibrate, judge; no person in two of them."""

    fold: int
    fit: np.ndarray
    calibrate: np.ndarray
    judge: np.ndarray


@dataclass(frozen=True)
class Judged:
    """Out-of-person scores of the judged rows, and what each turn did."""

    position: np.ndarray
    scores: dict[str, np.ndarray]
    turns: pd.DataFrame
    chosen: str
    trees: int
    recency_column: str


def fit(
    features: pd.DataFrame,
    labels: pd.Series | np.ndarray | Sequence[int],
    groups: pd.Series | np.ndarray | Sequence[Hashable] | str | None = None,
    as_of: pd.Series | np.ndarray | Sequence[object] | str | None = None,
    settings: Settings | None = None,
    *,
    names: Mapping[str, tuple[str, str]] | None = None,
    definition: str = "",
) -> ChurnResult:
    """Fit a churn model, judge it, and publish it or refuse.

    Parameters
    ----------
    features
        One row per observation (person, or person and as-of month). Numbers, booleans and categories; texts
        such as ``Unknown`` are missing values. Not changed.
    labels
        1 left, 0 stayed, missing: left out; as many as rows.
    groups
        Person per row, or the name of the column that holds it; the index by default.
    as_of
        As-of month per row, or the name of the column that holds it. Absent, or one month only: the data is
        cross-sectional and judged by person-grouped cross-validation.
    settings
        `Settings()` by default.
    names
        Labels (English, Chinese) per feature column, over `COLUMN_LABELS`.
    definition
        Name of what counts as leaving; runs of two definitions are two, though their rows may be the same.

    Returns
    -------
    ChurnResult
        With a model, or with the reasons why there is none.

    Raises
    ------
    ValueError
        When lengths differ, a label is neither 0 nor 1, or a date is none.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> few = pd.DataFrame({"aum_average": np.arange(300.0)})
    >>> result = fit(few, np.arange(300) % 2)
    >>> result.is_refused, result.refusals[0].code, result.model
    (True, 'too_few_customers', None)
    """
    chosen = settings or Settings()
    rows = canonical_rows(features, labels, groups, as_of)
    run = new_run(rows, chosen, definition)
    kept = sampled_rows(rows, chosen)
    refusals = size_refusals(kept, chosen)
    columns = pd.DataFrame()
    leaks: list[tuple[str, Refusal]] = []
    # Too few customers say nothing of single columns either.
    if kept.persons.nunique() >= chosen.minimum_persons and len(kept.typed.kinds):
        columns, leaks = judged_columns(kept, chosen)
        refusals = [*(refusal for _, refusal in leaks), *refusals]
    if not refusals:
        splits, split_refusals = person_splits(kept, chosen)
        refusals = split_refusals
    if refusals:
        return refused_result(run, refusals, columns, [name for name, _ in leaks])
    judged = judged_scores(kept, splits, chosen)
    metrics, refusals = judged_metrics(kept, judged, chosen, run.run_id)
    tables = judged_tables(kept, judged, run.run_id)
    if refusals:
        return refused_result(run, refusals, columns, [], metrics=metrics, tables=tables)
    model = final_model(kept, judged, chosen, run.run_id)
    drivers = driver_rows(model, kept, chosen, dict(COLUMN_LABELS) | dict(names or {}))
    return ChurnResult(
        run, metrics, [], columns, tables["calibration"], tables["gain"], tables["folds"], drivers,
        tables["tested"], model, [],
    )  # fmt: skip


def canonical_rows(
    features: pd.DataFrame,
    labels: pd.Series | np.ndarray | Sequence[int],
    groups: pd.Series | np.ndarray | Sequence[Hashable] | str | None,
    as_of: pd.Series | np.ndarray | Sequence[object] | str | None,
) -> Rows:
    """Return labelled rows in an order that does not depend on how they arrived; see `fit`."""
    frame = features.copy(deep=False)
    persons = column_or_values(frame, groups, "groups")
    months = column_or_values(frame, as_of, "as_of")
    frame = frame.drop(columns=[name for name in (groups, as_of) if isinstance(name, str)])
    if persons is None:
        persons = pd.Series(features.index.astype(str), name="person_id")
    for name, given in (("groups", persons), ("as_of", months)):
        if given is not None and given.isna().any():
            message = f"{name}: {int(given.isna().sum())} of {len(given)} values are missing; give each row its own."
            raise ValueError(message)
    outcome = pd.Series(np.asarray(labels, dtype=object))
    if len(outcome) != len(frame):
        message = f"{len(outcome)} labels for {len(frame)} rows of features; give one label per row."
        raise ValueError(message)
    numbers = pd.to_numeric(outcome, errors="coerce").astype(float)
    wrong = outcome.notna() & ~numbers.isin([0.0, 1.0])
    if wrong.any():
        message = (
            f"labels: {int(wrong.sum())} values are neither 0 (stayed) nor 1 (left). "
            "Translate the outcome first; leave excluded rows missing."
        )
        raise ValueError(message)
    held = numbers.notna().to_numpy()
    keys = pd.DataFrame({"person": persons.to_numpy(dtype=object)}).astype(str)
    keys["month"] = month_texts(months).to_numpy() if months is not None and len(months) else ""
    typed = typed_columns(frame.loc[held] if not held.all() else frame)
    content = typed.frame.reset_index(drop=True)
    content["(person)"] = keys["person"].to_numpy()[held]
    content["(month)"] = keys["month"].to_numpy()[held]
    content["(label)"] = numbers.to_numpy()[held]
    order = canonical_order(content, ["(person)", "(month)"])
    ordered = content.iloc[order].reset_index(drop=True)
    dates = typed.dates.iloc[order].reset_index(drop=True)
    usable = ordered[list(typed.kinds)]
    # A column that repeats the person is an identifier whatever its name.
    person_count = ordered["(person)"].nunique()
    same = [
        name
        for name in typed.kinds
        if _plain_text(usable[name].iloc[0]) == ordered["(person)"].iloc[0]
        and usable[name].nunique() == person_count
        and (usable[name].map(_plain_text).to_numpy(dtype=object) == ordered["(person)"].to_numpy(dtype=object)).all()
    ]
    kinds = {name: kind for name, kind in typed.kinds.items() if name not in same}
    ignored = typed.ignored | dict.fromkeys(same, "identifier")
    return Rows(
        TypedFrame(usable[list(kinds)], kinds, ignored, dates),
        ordered["(label)"].to_numpy(dtype=np.int64),
        ordered["(person)"],
        ordered["(month)"] if months is not None else None,
    )


def _plain_text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def column_or_values(
    frame: pd.DataFrame, given: pd.Series | np.ndarray | Sequence[object] | str | None, name: str
) -> pd.Series | None:
    """Return `given` as a series by position, or the column of that name.

    Raises
    ------
    ValueError
        When the column is not there or the length differs.
    """
    if given is None:
        return None
    if isinstance(given, str):
        if given not in frame.columns:
            message = f"{name}={given!r} is no column of the features; they have {', '.join(map(str, frame.columns))}."
            raise ValueError(message)
        return frame[given].reset_index(drop=True)
    values = given.reset_index(drop=True) if isinstance(given, pd.Series) else pd.Series(np.asarray(given), name=name)
    if len(values) != len(frame):
        message = f"{name} has {len(values)} values for {len(frame)} rows of features; give one per row."
        raise ValueError(message)
    return values


def new_run(rows: Rows, settings: Settings, definition: str) -> Run:
    """Return the run's identity; `is_refused` is set at the end."""
    content = rows.typed.frame.assign(person=rows.persons, label=rows.labels)
    if rows.months is not None:
        content["month"] = rows.months
    content_hash = data_hash(content)
    parameters = parameters_text(settings)
    has_time = rows.months is not None and rows.months.nunique() > 1
    return Run(
        "churn",
        text_hash("churn", definition, parameters, content_hash),
        settings.seed,
        parameters,
        str(rows.months.min()) if rows.months is not None and len(rows.months) else None,
        str(rows.months.max()) if rows.months is not None and len(rows.months) else None,
        int(rows.persons.nunique()),
        len(rows.labels),
        len(rows.typed.kinds),
        feature_hash(rows.typed.kinds),
        content_hash,
        "out of time: judged on the latest as-of months, on persons the model was not fitted on"
        if has_time
        else "no time column: judged by person-grouped cross-validation, which does not show how the model ages",
        "跨期检验：在最新取数月份、未参与训练的客户上评估"
        if has_time
        else "无时间列：按客户分组交叉验证评估，无法说明模型随时间的衰减",
        False,
    )


def sampled_rows(rows: Rows, settings: Settings) -> Rows:
    """Return all rows, or those of persons drawn by hash when there are more than `maximum_rows`."""
    if len(rows.labels) <= settings.maximum_rows:
        return rows
    share = settings.maximum_rows / len(rows.labels)
    held = hashed_shares(rows.persons, settings.seed, "sample") < share
    return Rows(
        TypedFrame(
            rows.typed.frame[held].reset_index(drop=True),
            rows.typed.kinds,
            rows.typed.ignored,
            rows.typed.dates[held].reset_index(drop=True),
        ),
        rows.labels[held],
        rows.persons[held].reset_index(drop=True),
        None if rows.months is None else rows.months[held].reset_index(drop=True),
    )


def drawn_persons(panel: pd.DataFrame, settings: Settings | None = None) -> pd.DataFrame:
    """Return a panel, or the rows of persons drawn by hash when it has far more rows than a fit takes.

    For what is worked out before a fit: the past of more persons than `fit` takes need not be held. The draw is
    independent of the one `fit` makes among the labelled rows, which still bounds them. A run counts the rows of those
    drawn.

    Parameters
    ----------
    panel
        With a column `person_id`.
    settings
        `Settings()` by default; up to `PANEL_ROWS` times their `maximum_rows` are kept, since not every month of a
        panel has a label.
    """
    chosen = settings or Settings()
    most = PANEL_ROWS * chosen.maximum_rows
    if len(panel) <= most:
        return panel
    return panel[hashed_shares(panel["person_id"], chosen.seed, "panel") < most / len(panel)]


def size_refusals(rows: Rows, settings: Settings) -> list[Refusal]:
    """Return the refusals for too few customers, too few who left or stayed, and no usable column."""
    refusals = []
    persons = int(rows.persons.nunique())
    leavers = int(rows.persons[rows.labels == 1].nunique())
    stayers = int(rows.persons[rows.labels == 0].nunique())
    if persons < settings.minimum_persons:
        refusals.append(
            Refusal(
                "too_few_customers",
                f"Only {persons} customers have a known outcome; a churn model that can be judged needs "
                f"{settings.minimum_persons}.",
                f"仅有 {persons} 位客户具有已知结果；可检验的流失模型至少需要 {settings.minimum_persons} 位。",
                str(persons),
                f">= {settings.minimum_persons}",
            )
        )
    if min(leavers, stayers) < settings.minimum_event_persons:
        fewer_en, fewer_zh = ("left", "流失") if leavers <= stayers else ("stayed", "留存")
        refusals.append(
            Refusal(
                "too_few_events",
                f"Only {min(leavers, stayers)} customers {fewer_en} within the outcome windows; "
                f"{settings.minimum_event_persons} are needed to learn from and to judge.",
                f"结果窗口内仅有 {min(leavers, stayers)} 位客户{fewer_zh}；学习与检验至少需要 "
                f"{settings.minimum_event_persons} 位。",
                str(min(leavers, stayers)),
                f">= {settings.minimum_event_persons}",
            )
        )
    if not rows.typed.kinds:
        refusals.append(
            Refusal(
                "no_features",
                "No column describes the customers: all are empty, constant, dates or identifiers.",
                "没有可用特征：各列均为空、常数、日期或标识。",
                "0",
                ">= 1",
            )
        )
    return refusals


def judged_columns(rows: Rows, settings: Settings) -> tuple[pd.DataFrame, list[tuple[str, Refusal]]]:
    """Return the table of columns, and the refusals of those that know the outcome."""
    # 40,000 rows judge a single column to about 0.01 of AUC even at 1 % events.
    share = min(1.0, 40_000 / len(rows.labels))
    held = hashed_shares(rows.persons, settings.seed, "columns") < share
    encoder = fit_encoder(rows.typed.frame, rows.typed.kinds)
    folds = (hashed_shares(rows.persons[held], settings.seed, "column folds") * 3).astype(int)
    strength = single_column_strength(
        encoder, encoder.encoded(rows.typed.frame[held]), rows.labels[held], folds, settings.seed
    )
    months = None if rows.months is None else rows.months
    leaks = [
        *leak_refusals(strength, settings.leak_bound, settings.named_leak_bound),
        *future_date_refusals(rows.typed, months),
    ]
    leaking = {name for name, _ in leaks}
    table = [
        (name, kind, "refused: leak" if name in leaking else "used", float(rows.typed.frame[name].isna().mean()),
         strength[name])
        for name, kind in rows.typed.kinds.items()
    ]  # fmt: skip
    table += [
        (name, "other", "refused: leak" if name in leaking else f"ignored: {reason}", np.nan, np.nan)
        for name, reason in sorted(rows.typed.ignored.items())
    ]
    frame = pd.DataFrame(table, columns=["column_name", "kind", "use", "missing_ratio", "auc_alone"])
    return rounded_frame(frame), leaks


def person_splits(rows: Rows, settings: Settings) -> tuple[list[Split], list[Refusal]]:
    """Return the turns of the evaluation, or why there are none."""
    fold, is_calibrating = person_folds(rows, settings)
    may_fit = np.ones(len(fold), dtype=bool)
    may_judge = np.ones(len(fold), dtype=bool)
    turns = [(may_fit, may_judge)]
    if rows.months is not None and rows.months.nunique() > 1:
        moments = pd.to_datetime(rows.months)
        number = (moments.dt.year * 12 + moments.dt.month).to_numpy()
        distinct = np.unique(number)
        fewest_months, most_months = (max(1, round(share * len(distinct))) for share in settings.test_share)
        for count in range(fewest_months, most_months + 1):
            first_judged = distinct[-count]
            left = rows.persons[(number >= first_judged) & (rows.labels == 1)]
            if left.nunique() >= 2 * settings.minimum_test_events:
                break
        may_judge = number >= first_judged
        may_fit = number + settings.label_months <= first_judged
        turns = [
            (number + settings.label_months <= month, number == month) for month in distinct[distinct >= first_judged]
        ]
        fit_months = len(np.unique(number[may_fit]))
        if fit_months < settings.minimum_fit_months:
            return [], [
                Refusal(
                    "too_few_months",
                    f"Only {fit_months} as-of months had a known outcome before the first judged month; "
                    f"{settings.minimum_fit_months} are needed for a judgement out of time.",
                    f"首个评估月份之前仅有 {fit_months} 个取数月份结果已知；跨期检验至少需要 "
                    f"{settings.minimum_fit_months} 个。",
                    str(fit_months),
                    f">= {settings.minimum_fit_months}",
                )
            ]
    judged_leavers = int(rows.persons[may_judge & (rows.labels == 1)].nunique())
    fit_leavers = int(rows.persons[may_fit & (rows.labels == 1)].nunique())
    fewest = min(judged_leavers, fit_leavers)
    if fewest < settings.minimum_test_events:
        return [], [
            Refusal(
                "too_few_events",
                f"Only {judged_leavers} customers left in the judged months and {fit_leavers} in the fitted "
                f"ones; {settings.minimum_test_events} are needed in each.",
                f"评估月份仅 {judged_leavers} 位、训练月份仅 {fit_leavers} 位客户流失;"
                f"各需至少 {settings.minimum_test_events} 位。",
                str(fewest),
                f">= {settings.minimum_test_events}",
            )
        ]
    splits = []
    for judged in range(settings.folds):
        calibrates = (fold == (judged + 1) % settings.folds) & is_calibrating
        fits = (fold != judged) & ~calibrates
        splits += [
            Split(
                judged,
                np.flatnonzero(is_known & fits),
                np.flatnonzero(is_known & calibrates),
                np.flatnonzero(is_judged & (fold == judged)),
            )
            for is_known, is_judged in turns
        ]
    return splits, []


def person_folds(rows: Rows, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Return the fold of each row's person, and whether the person calibrates when the fold before is judged."""
    fold = (hashed_shares(rows.persons, settings.seed, "folds") * settings.folds).astype(int)
    share = CALIBRATING_EVENTS * settings.folds / max(int(rows.labels.sum()), 1)
    return fold, hashed_shares(rows.persons, settings.seed, "calibration") < share


def judged_scores(rows: Rows, splits: list[Split], settings: Settings) -> Judged:
    """Return the scores of every candidate on persons (and months) it has not seen.

    The candidate that is published is chosen on the calibration persons of all turns, by log loss after calibration on
    the other half of them. Who calibrates in one turn is judged in another, so the choice between the two candidates,
    and nothing else, has seen the judged persons; out of time it has seen few of their judged months.
    """
    recency = recency_column(rows, splits[0], settings)
    encoded = fit_encoder(rows.typed.frame, rows.typed.kinds).encoded(rows.typed.frame)
    first = judged_turn(rows, encoded, splits[0], settings, None)
    # Each turn is fitted on one thread, so that it is the same on every machine; the turns are shared among the cores.
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        done = [
            first,
            *pool.map(lambda split: judged_turn(rows, encoded, split, settings, first.trees), splits[1:]),
        ]
    scores = {name: np.concatenate([turn.scores[name] for turn in done]) for name in CANDIDATES}
    scores["recency_rule"] = np.concatenate([recency_scores(rows, split, recency) for split in splits])
    losses = {
        name: sum(turn.losses[name] * len(split.calibrate) for turn, split in zip(done, splits, strict=True))
        for name in CANDIDATES
    }
    turns = [
        (split.fold, turn.fitted_rows, len(split.calibrate), len(split.judge), int(rows.labels[split.fit].sum()),
         turn.trees, turn.losses["gradient_boosting"], turn.losses["logistic"])
        for turn, split in zip(done, splits, strict=True)
    ]  # fmt: skip
    frame = pd.DataFrame(
        turns,
        columns=[
            "fold", "fitted_rows", "calibrated_rows", "judged_rows", "fitted_events", "trees",
            "boosting_log_loss", "logistic_log_loss",
        ],
    )  # fmt: skip
    chosen = min(CANDIDATES, key=lambda name: (losses[name], name))
    return Judged(
        np.concatenate([split.judge for split in splits]),
        scores,
        frame,
        chosen,
        int(np.median(frame["trees"])),
        recency,
    )


@dataclass(frozen=True)
class Turn:
    """What one turn found: calibrated scores of its judged rows and log loss per candidate."""

    scores: dict[str, np.ndarray]
    losses: dict[str, float]
    trees: int
    fitted_rows: int


def judged_turn(rows: Rows, encoded: np.ndarray, split: Split, settings: Settings, trees: int | None) -> Turn:
    """Fit both candidates on a turn's persons, calibrate them on others and score the judged ones.

    The number of trees is found in the first turn (`trees` is None) and kept for the others.
    """
    drawn = drawn_rows(rows, split.fit, settings)
    fitted, fitted_labels = encoded[drawn], rows.labels[drawn]
    calibrated, judged = encoded[split.calibrate], encoded[split.judge]
    if trees is None:
        tuning = hashed_shares(rows.persons.iloc[drawn], settings.seed, "tuning")
        is_tuning = tuning < settings.boosting.tuning_share
        trees = best_tree_count(fitted, fitted_labels, is_tuning, settings.boosting, seed=settings.seed)
    halves = hashed_shares(rows.persons.iloc[split.calibrate], settings.seed, "halves") < 0.5
    labels = rows.labels[split.calibrate]
    scores, losses = {}, {}
    for name in CANDIDATES:
        estimator = (
            fit_boosting(fitted, fitted_labels, trees, settings.boosting, settings.seed)
            if name == "gradient_boosting"
            else fit_logistic(fitted, fitted_labels)
        )
        raw = raw_probabilities(estimator, calibrated)
        losses[name] = crossed_loss(raw, labels, halves)
        scores[name] = fit_calibration(raw, labels, halves).apply(raw_probabilities(estimator, judged))
    return Turn(scores, losses, trees, len(drawn))


def drawn_rows(rows: Rows, position: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the rows of `position` to learn from; see `Settings.fitted_rows`."""
    left = rows.labels[position] == 1
    share = max(settings.fitted_rows - int(left.sum()), int(left.sum())) / max(int((~left).sum()), 1)
    if len(position) <= settings.fitted_rows or share >= 1:
        return position
    keys = rows.persons.iloc[position].astype(str)
    if rows.months is not None:
        keys = keys + "|" + rows.months.iloc[position].astype(str)
    return np.asarray(position[left | (hashed_shares(keys, settings.seed, "stayers") < share)])


def crossed_loss(raw: np.ndarray, labels: np.ndarray, halves: np.ndarray) -> float:
    """Return the log loss of a candidate's probabilities, each half of the persons calibrated on the other."""
    if min(labels[halves].sum(), labels[~halves].sum()) == 0:
        return log_loss(labels, raw)
    found = np.zeros(len(labels))
    for half in (False, True):
        fitted = fit_calibration(raw[halves != half], labels[halves != half], halves[halves != half])
        found[halves == half] = fitted.apply(raw[halves == half])
    return log_loss(labels, found)


def recency_column(rows: Rows, split: Split, settings: Settings) -> str:
    """Return the column of the naive rule: the setting, a recency by name, else the strongest numeric column.

    Raises
    ------
    ValueError
        When the setting names a column that is no numeric feature.
    """
    numeric = [name for name, kind in rows.typed.kinds.items() if kind == "numeric"]
    wanted = settings.recency_column
    if wanted is not None:
        if wanted not in numeric:
            message = f"recency_column={wanted!r} is no numeric feature; numeric are {', '.join(numeric)}."
            raise ValueError(message)
        return wanted
    if "days_since_last_customer_transaction" in numeric:
        return "days_since_last_customer_transaction"
    by_name = [name for name in numeric if RECENCY_NAME.search(name)]
    if by_name:
        return by_name[0]
    strengths = {}
    for name in numeric:
        values = rows.typed.frame[name].iloc[split.fit].to_numpy(dtype=np.float64)
        filled = np.where(np.isnan(values), np.nanmedian(values), values)
        strengths[name] = abs(area_under_curve(count_scores(rows.labels[split.fit], filled)) - 0.5)
    return max(sorted(strengths), key=lambda name: strengths[name]) if strengths else next(iter(rows.typed.kinds))


def recency_scores(rows: Rows, split: Split, column: str) -> np.ndarray:
    """Return the rule's scores on the judged rows; the direction is learned on the fitted rows."""
    if rows.typed.kinds[column] != "numeric":
        return np.zeros(len(split.judge))
    values = rows.typed.frame[column].to_numpy(dtype=np.float64)
    fitted = values[split.fit]
    # Never active is as long ago as it gets.
    filled = np.where(np.isnan(values), np.nanmax(fitted), values)
    area = area_under_curve(count_scores(rows.labels[split.fit], filled[split.fit]))
    return np.asarray((1.0 if area >= 0.5 else -1.0) * filled[split.judge])


def judged_metrics(rows: Rows, judged: Judged, settings: Settings, run_id: str) -> tuple[pd.DataFrame, list[Refusal]]:
    """Return the metrics with intervals, and the refusals they give."""
    labels = rows.labels[judged.position]
    persons = pd.factorize(rows.persons.iloc[judged.position], sort=True)[0]
    table: list[tuple[str, str, float, float, float]] = []
    draws: dict[str, np.ndarray] = {}
    found: dict[tuple[str, str], Interval] = {}
    ranking: dict[str, Callable[[ScoreCounts], float]] = {
        "auc": area_under_curve,
        "average_precision": average_precision,
        "lift_top": lambda counts: lift_at(counts, settings.list_share),
    }

    def profit(counts: ScoreCounts) -> float:
        return expected_maximum_profit(counts, settings.campaign)[0]

    def contacted(counts: ScoreCounts) -> float:
        return expected_maximum_profit(counts, settings.campaign)[1]

    whole: dict[str, Callable[[ScoreCounts], float]] = {
        **ranking,
        "base_rate": base_rate,
        "brier": brier_score,
        "calibration_error": calibration_error,
        "calibration_slope": calibration_slope,
        "calibration_intercept": calibration_intercept,
        "expected_maximum_profit": profit,
        "expected_maximum_profit_share": contacted,
    }
    for subject, scores in judged.scores.items():
        functions = {**ranking, "expected_maximum_profit": profit} if subject == "recency_rule" else whole
        own = bootstrap_draws(labels, scores, persons, functions, replicates=settings.replicates, seed=settings.seed)
        counts = count_scores(labels, scores)
        draws[subject] = own["auc"]
        for metric, function in functions.items():
            interval = percentile_interval(function(counts), own[metric])
            found[subject, metric] = interval
            table.append((subject, metric, interval.value, interval.lower, interval.upper))
            if subject == judged.chosen:
                table.append(("model", metric, interval.value, interval.lower, interval.upper))
    difference = percentile_interval(
        found[judged.chosen, "auc"].value - found["recency_rule", "auc"].value,
        draws[judged.chosen] - draws["recency_rule"],
    )
    table.append(("model_less_recency_rule", "auc", difference.value, difference.lower, difference.upper))
    # The gate against chance uses the 99 % interval: permuted labels pass it once in 200 runs, and must then
    # beat the recency rule as well.
    strict = percentile_interval(found[judged.chosen, "auc"].value, draws[judged.chosen], 0.99)
    slope = found[judged.chosen, "calibration_slope"]
    refusals = performance_refusals(strict, difference, slope, judged.recency_column, settings)
    return metric_rows(sorted(table, key=lambda row: row[:2]), run_id), refusals


def performance_refusals(
    area: Interval, difference: Interval, slope: Interval, recency: str, settings: Settings
) -> list[Refusal]:
    """Return the refusals for no better than chance, no better than the recency rule, not calibrated."""
    if np.isnan(area.value):
        return [
            Refusal(
                "cannot_be_judged",
                "The model cannot be judged: in the months held out from it, nobody left, or everybody did. Bring more "
                "history, or wait for months in which some leave and some stay.",
                "模型无法评估：预留的验证月份中没有客户流失，或全部流失。请补充历史数据，或等待同时有流失与留存的月份。",
                "one outcome",
                "leavers and stayers",
            )
        ]
    refusals = []
    if not area.lower > 0.5:
        refusals.append(
            Refusal(
                "no_better_than_chance",
                f"The model does not tell leavers from stayers better than chance: AUC {area.value:.3f}, "
                f"99% interval from {area.lower:.3f}. The features say nothing about these labels.",
                f"模型区分流失客户的能力不优于随机：AUC {area.value:.3f}，99% 区间下限 {area.lower:.3f}。"
                "特征与标签之间看不到关系。",
                f"lower limit {area.lower:.4f}",
                "lower limit > 0.5",
            )
        )
    if not difference.lower > 0:
        refusals.append(
            Refusal(
                "no_better_than_recency",
                f"The model is not shown to be better than the simple rule on {recency}: AUC difference "
                f"{difference.value:+.3f}, 95% interval {difference.lower:+.3f} to {difference.upper:+.3f}. "
                "Use the rule, or bring more history.",
                f"未能证明模型优于基于 {recency} 的简单规则：AUC 差 {difference.value:+.3f}，95% 区间 "
                f"{difference.lower:+.3f} 至 {difference.upper:+.3f}。请使用该规则，或补充历史数据。",
                f"lower limit {difference.lower:+.4f}",
                "lower limit > 0",
            )
        )
    low, high = settings.slope_bounds
    if not (slope.upper >= low and slope.lower <= high):
        refusals.append(
            Refusal(
                "not_calibrated",
                f"The probabilities are not calibrated: slope {slope.value:.2f}, 95% interval "
                f"{slope.lower:.2f} to {slope.upper:.2f}, outside {low} to {high}.",
                f"概率未校准：斜率 {slope.value:.2f}，95% 区间 {slope.lower:.2f} 至 {slope.upper:.2f}，"
                f"超出 {low} 至 {high}。",
                f"{slope.lower:.4f} to {slope.upper:.4f}",
                f"touches {low} to {high}",
            )
        )
    return refusals


def judged_tables(rows: Rows, judged: Judged, run_id: str) -> dict[str, pd.DataFrame]:
    """Return calibration by tenths, gain curves, turns and the judged rows."""
    labels = rows.labels[judged.position]
    scores = judged.scores[judged.chosen]
    order = np.argsort(scores, kind="stable")
    calibration = []
    for number, part in enumerate(np.array_split(order, 10)):
        if len(part) == 0:
            continue
        observed = wilson_interval(float(labels[part].sum()), len(part))
        calibration.append(
            (run_id, number + 1, len(part), float(scores[part].mean()), observed.value, observed.lower, observed.upper)
        )
    gain = []
    for subject, held in judged.scores.items():
        counts = count_scores(labels, held)
        for step in range(1, 21):
            share = step / 20
            gain.append((run_id, subject, share, lift_at(counts, share) * share))
    tested = pd.DataFrame(
        {
            "run_id": run_id,
            "person_id": rows.persons.iloc[judged.position].to_numpy(),
            "month_on": None if rows.months is None else rows.months.iloc[judged.position].to_numpy(),
            "outcome": labels,
            "probability": scores,
        }
    ).sort_values(["person_id", "month_on"] if rows.months is not None else ["person_id"], kind="stable")
    return {
        "calibration": rounded_frame(
            pd.DataFrame(
                calibration,
                columns=["run_id", "tenth", "row_count", "mean_probability", "observed_ratio", "lower", "upper"],
            )
        ),
        "gain": rounded_frame(
            pd.DataFrame(gain, columns=["run_id", "subject", "contacted_ratio", "leavers_reached_ratio"])
        ),
        "folds": rounded_frame(judged.turns.assign(run_id=run_id)),
        "tested": rounded_frame(tested),
    }


def final_model(rows: Rows, judged: Judged, settings: Settings, run_id: str) -> ChurnModel:
    """Return the model that is published: the chosen candidate, fitted on all months, calibrated on other persons."""
    fold, is_calibrating = person_folds(rows, settings)
    calibrating = (fold == 0) & is_calibrating
    fitting = ~calibrating
    encoder = fit_encoder(rows.typed.frame, rows.typed.kinds)
    encoded = encoder.encoded(rows.typed.frame)
    drawn = drawn_rows(rows, np.flatnonzero(fitting), settings)
    estimator = (
        fit_boosting(encoded[drawn], rows.labels[drawn], judged.trees, settings.boosting, settings.seed)
        if judged.chosen == "gradient_boosting"
        else fit_logistic(encoded[drawn], rows.labels[drawn])
    )
    halves = hashed_shares(rows.persons[calibrating], settings.seed, "halves") < 0.5
    raw = raw_probabilities(estimator, encoded[calibrating])
    reference, texts = typical_stayer(encoder, rows.typed.frame, encoded, rows.labels)
    return ChurnModel(
        judged.chosen,
        encoder,
        estimator,
        fit_calibration(raw, rows.labels[calibrating], halves),
        reference,
        texts,
        column_groups(encoder, encoded, settings.explain_together),
        settings.seed,
        run_id,
    )


def driver_rows(model: ChurnModel, rows: Rows, settings: Settings, names: dict[str, tuple[str, str]]) -> pd.DataFrame:
    """Return the groups of columns by mean absolute effect on up to 1,000 persons of the latest month."""
    held = np.ones(len(rows.labels), dtype=bool) if rows.months is None else rows.months == rows.months.max()
    position = np.flatnonzero(held)
    draw = np.argsort(hashed_shares(rows.persons.iloc[position], settings.seed, "drivers"), kind="stable")
    position = np.sort(position[draw[:1000]])
    encoded = model.encoder.encoded(rows.typed.frame.iloc[position])
    effects = Effects(model, encoded)
    table = []
    for group in model.groups:
        effect = effects.of(group)
        english = " / ".join(label_pair(names, name)[0] for name in group)
        chinese = " / ".join(label_pair(names, name)[1] for name in group)
        table.append((model.run_id, ", ".join(group), english, chinese, float(np.abs(effect).mean()),
                      float(effect.mean())))  # fmt: skip
    frame = pd.DataFrame(
        table,
        columns=["run_id", "column_names", "label_en", "label_zh", "mean_absolute_effect", "mean_effect"],
    )
    frame = frame.sort_values(["mean_absolute_effect", "column_names"], ascending=[False, True])
    return rounded_frame(frame.assign(driver_rank=np.arange(1, len(frame) + 1)))


def refused_result(
    run: Run,
    refusals: list[Refusal],
    columns: pd.DataFrame,
    leaking: list[str],
    *,
    metrics: pd.DataFrame | None = None,
    tables: dict[str, pd.DataFrame] | None = None,
) -> ChurnResult:
    """Return a result without a model and without scores; the measurements that led to it stay readable."""
    held = tables or {}
    empty = pd.DataFrame()
    return ChurnResult(
        Run(**{**run.__dict__, "is_refused": True}),
        metric_rows([], run.run_id) if metrics is None else metrics,
        refusals,
        columns,
        held.get("calibration", empty),
        held.get("gain", empty),
        held.get("folds", empty),
        empty,
        held.get("tested", empty),
        None,
        leaking,
    )
