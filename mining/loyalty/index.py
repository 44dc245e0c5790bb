"""The loyalty index per person, and the proof that it means something: retention in the period after it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from mining.churn.definitions import ClosureOrDrop, Definition, Dormancy, PanelGrid, label_months, panel_grid
from mining.gates import (
    Refusal,
    Run,
    data_hash,
    feature_hash,
    metric_rows,
    month_texts,
    parameters_text,
    refusal_frame,
    rounded_frame,
    text_hash,
)
from mining.loyalty.measures import MEASURES, PANEL_COLUMNS, absence_reason, measured
from mining.loyalty.weights import (
    BUSINESS_WEIGHTS,
    LARGEST_CONSISTENCY_RATIO,
    Comparison,
    compared_weights,
    default_judgements,
    entropy_weights,
    normalised,
)
from mining.metrics import area_under_curve, bootstrap_interval, wilson_interval
from mining.preparation import joined_words

WEIGHTINGS = ("business", "ahp", "entropy")


@dataclass(frozen=True)
class Level:
    """A band of the index.

    Parameters
    ----------
    lower
        Smallest index of the band; bands are half-open.
    name_en, name_zh
        For readers.
    """

    lower: float
    name_en: str
    name_zh: str


@dataclass(frozen=True)
class Settings:
    """What decides the index; every bound is data.

    Parameters
    ----------
    seed
        Seed of the resamples.
    weighting
        ``business``, ``ahp`` or ``entropy``.
    business_weights
        Weight per measure.
    judgements
        Pairwise judgements for AHP.
    window_months
        Months of history read at as-of.
    tail
        Share winsorised at each end.
    levels
        Bands of the index, ascending.
    minimum_persons, minimum_measures
        Fewest persons and fewest measures.
    smallest_weight
        Share of the weight that a person's measures must cover; below it the person has no index.
    retention
        Who counts as gone in the next period; absent: closed or silent for 90 days (`Dormancy`), or closed when
        the panel does not tell transactions. A fall of assets is not the default: balances swing back, so it
        would count the recently grown as disloyal.
    proof_periods
        Largest number of past as-of months, one retention window apart, the proof is read at.
    minimum_history
        Months of history an as-of month of the proof needs.
    minimum_leavers
        Leavers that the proof needs.
    replicates
        Bootstrap resamples of persons.
    """

    seed: int = 20240601
    weighting: str = "business"
    business_weights: dict[str, float] = field(default_factory=lambda: dict(BUSINESS_WEIGHTS))
    judgements: tuple[tuple[str, str, float], ...] = field(default_factory=default_judgements)
    window_months: int = 12
    tail: float = 0.05
    levels: tuple[Level, ...] = (
        Level(0.0, "drifting", "游离"),
        Level(0.40, "wavering", "摇摆"),
        Level(0.55, "steady", "稳定"),
        Level(0.70, "devoted", "忠诚"),
    )
    minimum_persons: int = 500
    minimum_measures: int = 3
    smallest_weight: float = 0.4
    retention: Definition | None = None
    proof_periods: int = 4
    minimum_history: int = 4
    minimum_leavers: int = 50
    replicates: int = 200


@dataclass(frozen=True)
class LoyaltyResult:
    """What a loyalty run shows, or why it shows nothing.

    Parameters
    ----------
    run, metrics, refusals
        As for every miner.
    customers
        One row per person: index, decile (10 = most loyal), level, whether the index is proven and what the proof
        says, measures used and their values.
    measures
        One row per measure: available or why not, coverage, weights by business, AHP, entropy, weight used.
    retention
        One row per decile of the index at past as-of months: persons, kept, retention with Wilson interval.
    is_proven
        Whether retention was seen to rise with the index; False with an empty `retention` when the history or
        the leavers do not suffice to tell.
    proof_en, proof_zh
        What the proof says, or why there is none.
    """

    run: Run
    metrics: pd.DataFrame
    refusals: list[Refusal]
    customers: pd.DataFrame
    measures: pd.DataFrame
    retention: pd.DataFrame
    is_proven: bool
    proof_en: str
    proof_zh: str

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
            "customers": self.customers,
            "measures": self.measures,
            "retention": self.retention,
        }


@dataclass(frozen=True)
class Indexed:
    """The index at one as-of month."""

    persons: np.ndarray
    measures: dict[str, np.ndarray]
    weights: dict[str, float]
    index: np.ndarray
    covered: np.ndarray


def fit(
    panel: pd.DataFrame,
    settings: Settings | None = None,
    as_of: str | None = None,
    outcomes: pd.DataFrame | None = None,
) -> LoyaltyResult:
    """Return the loyalty of every customer at as-of, with its proof, or refuse.

    Parameters
    ----------
    panel
        One row per `person_id` and `month_on`, with any of the columns of `mining.loyalty.measures`. Rows after
        `as_of` are not read. Not changed.
    settings
        `Settings()` by default.
    as_of
        Month of the index; the last month of the panel by default.
    outcomes
        What became of the customers, as known now: one row per `person_id` and `month_on` with what the retention
        definition reads (accounts, transactions, who died or was frozen). Only the proof reads it, no measure
        does; absent: the proof reads the panel. Not changed.

    Returns
    -------
    LoyaltyResult
        With an index per person, or with the reasons why there is none.

    Raises
    ------
    ValueError
        When a key column is missing, a key repeats, a month is missing in between, `as_of` is not in the panel,
        or a setting is not valid.

    Examples
    --------
    >>> import pandas as pd
    >>> few = pd.DataFrame({"person_id": ["a", "b"], "month_on": ["2024-06-30"] * 2, "tenure_months": [3, 90]})
    >>> result = fit(few)
    >>> [refusal.code for refusal in result.refusals]
    ['too_few_customers', 'too_few_measures']
    """
    chosen = settings or Settings()
    check_settings(chosen)
    known = known_rows(panel, as_of, "panel")
    became = (
        known
        if outcomes is None
        else known_rows(outcomes, str(known["month_on"].max()) if len(known) else None, "outcomes")
    )
    run = new_run(known, chosen, None if outcomes is None else became)
    if len(known) == 0:
        return refused_result(run, [too_few_customers(0, chosen)])
    grid = panel_grid(known, list(PANEL_COLUMNS))
    last = len(grid.months) - 1
    found = indexed_month(grid, last, chosen, None)
    comparison = compared_weights([measure.name for measure in MEASURES], chosen.judgements)
    refusals = []
    if len(found.persons) < chosen.minimum_persons:
        refusals.append(too_few_customers(len(found.persons), chosen))
    if len(found.measures) < chosen.minimum_measures:
        refusals.append(
            Refusal(
                "too_few_measures",
                f"Only {len(found.measures)} of the ten measures can be read from the columns delivered; "
                f"{chosen.minimum_measures} are needed.",
                f"十项度量中仅 {len(found.measures)} 项可由现有列得出；至少需要 {chosen.minimum_measures} 项。",
                str(len(found.measures)),
                f">= {chosen.minimum_measures}",
            )
        )
    elif sum(found.weights.values()) <= 0:
        readable = [(measure.label_en, measure.label_zh) for measure in MEASURES if measure.name in found.measures]
        refusals.append(
            Refusal(
                "no_weight",
                "None of the measures that can be read has a weight above 0: "
                f"{joined_words([en for en, _ in readable], 'en')}.",
                f"可得度量的权重均为 0：{joined_words([zh for _, zh in readable], 'zh')}。",
                "0",
                "> 0",
            )
        )
    if chosen.weighting == "ahp" and comparison.consistency_ratio >= LARGEST_CONSISTENCY_RATIO:
        refusals.append(
            Refusal(
                "inconsistent_judgements",
                f"The pairwise judgements contradict each other: consistency ratio {comparison.consistency_ratio:.3f}.",
                f"成对判断相互矛盾：一致性比率 {comparison.consistency_ratio:.3f}。",
                f"{comparison.consistency_ratio:.4f}",
                f"< {LARGEST_CONSISTENCY_RATIO}",
            )
        )
    measures = measure_frame(found, comparison, set(grid.values), chosen, run.run_id)
    if refusals:
        return refused_result(run, refusals, measures)
    proof = proven(grid, became, found, chosen, run.run_id)
    if proof.refusal is not None:
        return refused_result(run, [proof.refusal], measures, proof)
    return LoyaltyResult(
        run,
        proof.metrics,
        [],
        customer_frame(found, str(grid.months[last]), chosen, run.run_id).assign(
            is_proven=proof.is_proven, proof_en=proof.sentence_en, proof_zh=proof.sentence_zh
        ),
        measures,
        proof.retention,
        proof.is_proven,
        proof.sentence_en,
        proof.sentence_zh,
    )


def check_settings(settings: Settings) -> None:
    """Raise a ValueError when a setting is not valid."""
    if settings.weighting not in WEIGHTINGS:
        message = f"weighting={settings.weighting!r} is not valid; choose one of {', '.join(WEIGHTINGS)}."
        raise ValueError(message)
    names = {measure.name for measure in MEASURES}
    unknown = sorted(set(settings.business_weights) - names)
    if unknown:
        message = f"business_weights names {', '.join(unknown)}; the measures are {', '.join(sorted(names))}."
        raise ValueError(message)
    for name, weight in settings.business_weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            message = f"business_weights[{name!r}] is {weight}; give a number from 0, and 0 to leave a measure out."
            raise ValueError(message)
    if settings.weighting == "business" and not sum(settings.business_weights.values()) > 0:
        message = "business_weights are all 0; give at least one measure a weight above 0."
        raise ValueError(message)
    lower = [level.lower for level in settings.levels]
    if not lower or lower[0] > 0 or lower != sorted(set(lower)):
        message = f"levels begin at {lower}; they must begin at 0 and rise."
        raise ValueError(message)


def known_rows(panel: pd.DataFrame, as_of: str | None, source: str) -> pd.DataFrame:
    """Return the rows up to as-of, with the columns the measures and the retention definition read.

    `source` is what messages call the rows: the panel or the outcomes.
    """
    absent = [name for name in ("person_id", "month_on") if name not in panel.columns]
    if absent:
        words = "customer-month panel lacks" if source == "panel" else f"{source} lack"
        message = f"The {words} {', '.join(absent)}; the columns are {', '.join(map(str, panel.columns))}."
        raise ValueError(message)
    others = [name for name in panel.columns if name not in ("person_id", "month_on")]
    flags = [name for name in others if str(name).startswith("is_")]
    extra = ["days_since_last_customer_transaction"]
    wanted = sorted(({*PANEL_COLUMNS, *extra} & set(others)) | set(flags))
    known = pd.DataFrame({name: numbers(panel[name], source) for name in wanted}, index=panel.index)
    known.insert(0, "person_id", panel["person_id"].astype(str))
    known.insert(1, "month_on", month_texts(panel["month_on"]))
    if as_of is not None:
        last = month_texts(pd.Series([as_of], name="as_of")).iloc[0]
        if last not in set(known["month_on"]):
            held = f"from {known['month_on'].min()} to {known['month_on'].max()}"
            words = f"it runs {held}" if source == "panel" else f"they run {held}"
            if len(known) == 0:
                words = "it has no rows" if source == "panel" else "they have no rows"
            message = f"as_of {last} is no month of the {source}; {words}."
            raise ValueError(message)
        known = known.loc[known["month_on"] <= last]
    return known.sort_values(["person_id", "month_on"], kind="stable", ignore_index=True)


def numbers(column: pd.Series, source: str) -> pd.Series:
    """Return a column as numbers.

    Raises
    ------
    ValueError
        When a value is neither a number nor missing; names the column and the value.
    """
    try:
        return column.astype(float)
    except (TypeError, ValueError) as error:
        found = pd.to_numeric(column, errors="coerce")
        wrong = column[found.isna() & column.notna()]
        is_flag = str(column.name).startswith("is_")
        valid = "true, false, 1, 0 or missing" if is_flag else "a number or missing"
        shown = "missing values of an unknown kind" if wrong.empty else f"{wrong.iloc[0]!r} in {len(wrong)} rows"
        message = f"Column {column.name!r} of the {source} holds {shown}; valid is {valid}."
        raise ValueError(message) from error


def new_run(known: pd.DataFrame, settings: Settings, became: pd.DataFrame | None) -> Run:
    """Return the run's identity."""
    parameters = parameters_text(settings)
    content = data_hash(known) if became is None else text_hash(data_hash(known), data_hash(became))
    columns = [name for name in known.columns if name not in ("person_id", "month_on")]
    return Run(
        "loyalty",
        text_hash("loyalty", parameters, content),
        settings.seed,
        parameters,
        str(known["month_on"].min()) if len(known) else None,
        str(known["month_on"].max()) if len(known) else None,
        int(known["person_id"].nunique()),
        len(known),
        len(columns),
        feature_hash(dict.fromkeys(columns, "numeric")),
        content,
        f"weighted sum of 0-1 measures, weights by {settings.weighting}; proof by retention in the next period",
        f"0-1 度量加权求和，权重方式 {settings.weighting}；以下一期留存率检验",
        False,
    )


def too_few_customers(count: int, settings: Settings) -> Refusal:
    """Return the refusal for too few customers."""
    return Refusal(
        "too_few_customers",
        f"Only {count} customers at as-of; scales and deciles need {settings.minimum_persons}.",
        f"取数时点仅有 {count} 位客户；刻度与十分位至少需要 {settings.minimum_persons} 位。",
        str(count),
        f">= {settings.minimum_persons}",
    )


def window_grid(grid: PanelGrid, position: int, months: int) -> PanelGrid:
    """Return the grid of the window that ends at `position`; later months are not in it."""
    start = max(0, position - months + 1)
    return PanelGrid(
        grid.persons,
        grid.months[start : position + 1],
        grid.is_present[:, start : position + 1],
        {name: values[:, start : position + 1] for name, values in grid.values.items()},
    )


def indexed_month(grid: PanelGrid, position: int, settings: Settings, weights: dict[str, float] | None) -> Indexed:
    """Return measures and index at one month, for customers with an open account.

    Parameters
    ----------
    grid
        The panel.
    position
        As-of month.
    settings
        Scales and weighting.
    weights
        Weights to use, as at the run's as-of; computed when absent.
    """
    window = window_grid(grid, position, settings.window_months)
    here = window.is_present[:, -1]
    if "accounts_open" in grid.values:
        here = here & ~(window.values["accounts_open"][:, -1] == 0)
    measures = measured(window, len(window.months) - 1, here, settings.tail)
    if weights is not None:
        measures = {name: values for name, values in measures.items() if name in weights}
    used = chosen_weights(measures, settings) if weights is None else weights
    count = int(here.sum())
    total, covered = np.zeros(count), np.zeros(count)
    for name, values in measures.items():
        held = np.isfinite(values)
        total += np.where(held, values, 0.0) * used[name]
        covered += held * used[name]
    whole = sum(used.values())
    share = covered / whole if whole > 0 else covered
    index = np.where(share >= settings.smallest_weight, total / np.where(covered > 0, covered, 1.0), np.nan)
    return Indexed(grid.persons[here], measures, used, index, share)


def chosen_weights(measures: dict[str, np.ndarray], settings: Settings) -> dict[str, float]:
    """Return the weights of the available measures, summing to 1, by the weighting of the settings."""
    if not measures:
        return {}
    if settings.weighting == "entropy":
        return entropy_weights(measures)
    if settings.weighting == "ahp":
        whole = compared_weights([measure.name for measure in MEASURES], settings.judgements).weights
    else:
        whole = settings.business_weights
    return normalised({name: whole.get(name, 0.0) for name in measures})


def measure_frame(
    found: Indexed, comparison: Comparison, columns: set[str], settings: Settings, run_id: str
) -> pd.DataFrame:
    """Return one row per measure; weights are renormalised over the measures that are available."""
    held = found.measures
    business = normalised({name: settings.business_weights.get(name, 0.0) for name in held}) if held else {}
    judged = normalised({name: comparison.weights[name] for name in held}) if held else {}
    entropy = entropy_weights(held) if held else {}
    rows = []
    for measure in MEASURES:
        name = measure.name
        is_available = name in held
        reason = ("", "") if is_available else absence_reason(measure, columns)
        rows.append(
            (run_id, measure.number, name, measure.label_en, measure.label_zh, is_available, reason[0] or None,
             reason[1] or None, float(np.isfinite(held[name]).mean()) if is_available else 0.0,
             business.get(name, 0.0), judged.get(name, 0.0), entropy.get(name, 0.0), found.weights.get(name, 0.0),
             comparison.consistency_ratio)
        )  # fmt: skip
    frame = pd.DataFrame(
        rows,
        columns=[
            "run_id", "measure_number", "measure", "label_en", "label_zh", "is_available", "absence_en",
            "absence_zh", "coverage_ratio", "weight_business", "weight_ahp", "weight_entropy", "weight_used",
            "ahp_consistency_ratio",
        ],
    )  # fmt: skip
    return rounded_frame(frame)


def index_decile(index: np.ndarray) -> np.ndarray:
    """Return the tenth of each index (1 lowest, 10 highest), NaN where there is none; equal values stay together."""
    decile = np.full(len(index), np.nan)
    held = np.isfinite(index)
    if held.any():
        rank = stats.rankdata(index[held], method="average")
        decile[held] = np.minimum(np.ceil(rank / held.sum() * 10), 10)
    return decile


def customer_frame(found: Indexed, month: str, settings: Settings, run_id: str) -> pd.DataFrame:
    """Return one row per person, with the list of the measures that made the index."""
    position = np.searchsorted([level.lower for level in settings.levels], found.index, side="right") - 1
    has_index = np.isfinite(found.index)
    nothing = np.full(len(found.index), None, dtype=object)
    names = [measure.name for measure in MEASURES if measure.name in found.measures]
    labels = {measure.name: (measure.label_en, measure.label_zh) for measure in MEASURES}
    held = np.column_stack([np.isfinite(found.measures[name]) for name in names])
    codes = held @ (1 << np.arange(len(names)))
    words = {int(code): [name for bit, name in enumerate(names) if code >> bit & 1] for code in np.unique(codes)}
    frame = pd.DataFrame(
        {
            "person_id": found.persons,
            "month_on": month,
            "run_id": run_id,
            "loyalty_index": found.index,
            "loyalty_decile": pd.array(index_decile(found.index), dtype="Int64"),
            "level_en": np.where(
                has_index, np.array([level.name_en for level in settings.levels], dtype=object)[position], nothing
            ),
            "level_zh": np.where(
                has_index, np.array([level.name_zh for level in settings.levels], dtype=object)[position], nothing
            ),
            "measures_used": [", ".join(words[int(code)]) for code in codes],
            "measures_used_en": [joined_words([labels[name][0] for name in words[int(code)]], "en") for code in codes],
            "measures_used_zh": [joined_words([labels[name][1] for name in words[int(code)]], "zh") for code in codes],
            "measures_used_count": held.sum(axis=1),
            "weight_covered_ratio": found.covered,
        }
    )
    for measure in MEASURES:
        frame[f"measure_{measure.name}"] = found.measures.get(measure.name, np.full(len(frame), np.nan))
    return rounded_frame(frame.sort_values("person_id", kind="stable"))


@dataclass(frozen=True)
class Proof:
    """What past months say of the index."""

    metrics: pd.DataFrame
    retention: pd.DataFrame
    is_proven: bool
    sentence_en: str
    sentence_zh: str
    refusal: Refusal | None


def proven(grid: PanelGrid, became: pd.DataFrame, found: Indexed, settings: Settings, run_id: str) -> Proof:
    """Return the proof: the index at past months against who was still there one period later.

    Past months are one retention window apart; each is scaled on its own customers, with the weights of the run.
    `became` is what labels are read from, the panel or the outcomes.
    """
    retention_of = settings.retention or default_retention(set(became.columns))
    horizon = retention_of.horizon_months
    last = len(grid.months) - 1
    positions = [
        position
        for position in range(last - horizon, settings.minimum_history - 2, -horizon)
        if position >= settings.minimum_history - 1
    ][: settings.proof_periods]
    empty = Proof(metric_rows([], run_id), retention_frame([], run_id), False, "", "", None)
    if not positions:
        return dataclasses.replace(
            empty,
            sentence_en=f"No proof yet: it needs {settings.minimum_history + horizon} months of history, "
            f"there are {last + 1}.",
            sentence_zh=f"尚无检验：需要 {settings.minimum_history + horizon} 个月历史，现有 {last + 1} 个月。",
        )
    labels = label_months(became, retention_of).dropna(subset=["label"])
    parts = []
    for position in positions:
        past = indexed_month(grid, position, settings, found.weights)
        scored = pd.DataFrame(
            {"person_id": past.persons, "index": past.index, "decile": index_decile(past.index)}
        ).dropna()
        month = labels.loc[labels["month_on"] == grid.months[position], ["person_id", "label"]]
        parts.append(scored.merge(month, on="person_id"))
    rows = pd.concat(parts, ignore_index=True)
    kept = 1 - rows["label"].to_numpy(dtype=np.int64)
    leavers = int((kept == 0).sum())
    if leavers < settings.minimum_leavers or kept.sum() == 0:
        return dataclasses.replace(
            empty,
            sentence_en=f"No proof yet: {leavers} customers left in the past periods, "
            f"{settings.minimum_leavers} are needed.",
            sentence_zh=f"尚无检验：过去各期仅 {leavers} 位客户离开，至少需要 {settings.minimum_leavers} 位。",
        )
    persons = pd.factorize(rows["person_id"], sort=True)[0]
    index = rows["index"].to_numpy(dtype=np.float64)
    area = bootstrap_interval(
        kept, index, persons, {"auc": area_under_curve}, replicates=settings.replicates, seed=settings.seed
    )["auc"]
    curve, shares, tenths = [], [], []
    for decile in range(1, 11):
        inside = rows["decile"].to_numpy() == decile
        if not inside.any():
            continue
        share = wilson_interval(float(kept[inside].sum()), int(inside.sum()))
        curve.append(
            (decile, int(inside.sum()), int(kept[inside].sum()), share.value, share.lower, share.upper,
             float(index[inside].mean()))
        )  # fmt: skip
        shares.append(share.value)
        tenths.append(decile)
    rising = float(stats.spearmanr(tenths, shares).statistic) if len(set(shares)) > 1 else math.nan
    metrics = metric_rows(
        [
            ("model", "retention_auc", area.value, area.lower, area.upper),
            ("model", "retention_spearman", rising, math.nan, math.nan),
            ("model", "retention_rate", float(kept.mean()), math.nan, math.nan),
            ("chance", "retention_auc", 0.5, math.nan, math.nan),
        ],
        run_id,
    )
    retention = retention_frame(curve, run_id)
    if not (area.lower > 0.5 and rising > 0 and shares[-1] > shares[0]):
        words_en, words_zh = moved_words(shares)
        refusal = Refusal(
            "index_says_nothing",
            f"Retention does not rise with the index: {words_en}, AUC {area.value:.3f} (95% interval from "
            f"{area.lower:.3f}), rank correlation over deciles {rising:+.2f}. The index is not published.",
            f"留存率未随忠诚度指数上升：{words_zh}，AUC {area.value:.3f}（95% 区间下限 {area.lower:.3f}），"
            f"十分位秩相关 {rising:+.2f}。指数不予发布。",
            f"AUC lower limit {area.lower:.4f}, rank correlation {rising:+.4f}, lowest decile {shares[0]:.4f}, "
            f"highest {shares[-1]:.4f}",
            "AUC lower limit > 0.5, rank correlation > 0, highest decile > lowest",
        )
        return Proof(metrics, retention, False, refusal.sentence_en, refusal.sentence_zh, refusal)
    words_en, words_zh = moved_words(shares)
    return Proof(
        metrics,
        retention,
        True,
        f"Retention over the next {horizon} months {words_en} (rank correlation {rising:+.2f}, AUC {area.value:.3f}).",
        f"未来 {horizon} 个月留存率{words_zh}（秩相关 {rising:+.2f}，AUC {area.value:.3f}）。",
        None,
    )


def moved_words(shares: list[float]) -> tuple[str, str]:
    """Return what retention does from the lowest decile to the highest, and how often it falls on the way.

    Examples
    --------
    >>> moved_words([0.8, 0.7, 0.9])[0]
    'rises from 80.0% in the lowest decile to 90.0% in the highest, falling at 1 of the 2 steps between deciles'
    """
    first, last = shares[0], shares[-1]
    if first == last:
        return f"stays at {first:.1%} from the lowest decile to the highest", f"由最低到最高十分位均为 {first:.1%}"
    verb_en, verb_zh = ("rises", "上升") if last > first else ("falls", "下降")
    english = f"{verb_en} from {first:.1%} in the lowest decile to {last:.1%} in the highest"
    chinese = f"由最低十分位的 {first:.1%} {verb_zh}至最高十分位的 {last:.1%}"
    steps = len(shares) - 1
    falls = sum(after < before for before, after in itertools.pairwise(shares))
    if last > first and falls:
        english += f", falling at {falls} of the {steps} steps between deciles"
        chinese += f"，其间 {steps} 级中有 {falls} 级下降"
    return english, chinese


def default_retention(columns: set[str]) -> Definition:
    """Return who counts as gone when the settings do not say; see `Settings`."""
    if {"days_since_last_customer_transaction", "customer_transactions_1m"} & columns:
        return Dormancy(gap_months=0)
    return ClosureOrDrop(gap_months=0, minimum_baseline=math.inf, name="closure")


def retention_frame(curve: list[tuple[int, int, int, float, float, float, float]], run_id: str) -> pd.DataFrame:
    """Return the retention curve as a table."""
    frame = pd.DataFrame(
        curve,
        columns=["loyalty_decile", "person_count", "kept_count", "retention_ratio", "lower", "upper", "mean_index"],
    )
    return rounded_frame(frame.assign(run_id=run_id))


def refused_result(
    run: Run, refusals: list[Refusal], measures: pd.DataFrame | None = None, proof: Proof | None = None
) -> LoyaltyResult:
    """Return a result without an index; what was measured stays readable."""
    empty = pd.DataFrame()
    return LoyaltyResult(
        dataclasses.replace(run, is_refused=True),
        metric_rows([], run.run_id) if proof is None else proof.metrics,
        refusals,
        empty,
        empty if measures is None else measures,
        empty if proof is None else proof.retention,
        False,
        refusals[0].sentence_en,
        refusals[0].sentence_zh,
    )
