"""Fit segments, keep their identity, describe them, or refuse to draw lines where there are none."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from mining.gates import (
    Refusal,
    Run,
    data_hash,
    feature_hash,
    hashed_shares,
    metric_rows,
    parameters_text,
    refusal_frame,
    rounded_frame,
    text_hash,
)
from mining.model_files import ModelFile, ModelFileError, load_state, save_state
from mining.preparation import COLUMN_LABELS, Preparation, label_pair, typed_column, typed_columns
from mining.segmentation.identity import (
    Identities,
    PreviousSegments,
    contrast_names,
    decile_edges,
    drift_frame,
    matched_identities,
    migration_frame,
    reference_frame,
)
from mining.segmentation.selection import (
    STABLE_ABOVE,
    UNSTABLE_BELOW,
    SelectionSettings,
    Structure,
    column_dependence,
    compared_counts,
    structure_of,
)
from mining.segmentation.themes import BANK_THEMES, Theme, absent_columns, theme_columns

MODEL_FORMAT = 1
ABSENT = "absent: it, or another in its place, would make the segments"
NOT_IN_DISTANCE = "described: not one of the columns that make the segments"


@dataclass(frozen=True)
class Settings:
    """What decides a segmentation; every bound is data.

    Parameters
    ----------
    seed
        Seed of k-means, samples and resamples.
    minimum_persons
        Fewest persons.
    largest_missing_ratio
        A column with more missing is not used.
    weakest_dependence
        A column whose strongest relation with another (Cramer's V) is weaker is not used.
    tail, skew_bound
        Of `mining.preparation.Preparation`.
    themes
        Columns that make the segments, with their weight; the others describe them. With fewer than two of them,
        or none given, every usable column makes the segments and all weigh the same.
    selection
        How the number of segments is chosen.
    structure_draws
        Draws of each kind of data without groups that the clustering is compared with.
    structure_margin, structure_deviations
        The explained variance must exceed that of every reference, and the mean of their draws by this much and by
        this many standard deviations of the draws.
    smallest_overlap
        Jaccard similarity from which a segment is the one of the run before.
    """

    seed: int = 20240601
    minimum_persons: int = 500
    largest_missing_ratio: float = 0.5
    weakest_dependence: float = 0.1
    tail: float = 0.01
    skew_bound: float = 1.0
    themes: tuple[Theme, ...] = BANK_THEMES
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    structure_draws: int = 20
    structure_margin: float = 0.01
    structure_deviations: float = 3.0
    smallest_overlap: float = 0.3


@dataclass(frozen=True)
class SegmentationModel:
    """A fitted pipeline (log, winsor, scale, k-means) with the segment id of each cluster.

    Parameters
    ----------
    columns
        Feature columns in the order of the pipeline.
    pipeline
        Steps `prepare` and `cluster`.
    segment_ids
        Segment id per cluster number.
    run_id
        The run that fitted it.
    model_id
        Hash of the model file, empty until saved.
    """

    columns: list[str]
    pipeline: Pipeline
    segment_ids: list[int]
    run_id: str
    model_id: str = ""

    def assign(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return the segment of each person of whom anything is known, without fitting anything.

        Who has none of the model's columns has no row; `unassigned` names them.

        Parameters
        ----------
        features
            Indexed by person, with the model's columns.

        Returns
        -------
        pandas.DataFrame
            `person_id, segment_id, centre_distance, next_segment_id, next_distance` ordered by person.

        Raises
        ------
        ValueError
            When a column is missing, or a person appears twice.
        """
        persons, values = self._read(features)
        is_known = np.isfinite(values).any(axis=1)
        if not is_known.any():
            distances = np.empty((0, len(self.segment_ids)))
        else:
            with threadpool_limits(1):
                prepared = self.pipeline.named_steps["prepare"].transform(values[is_known])
                distances = self.pipeline.named_steps["cluster"].transform(prepared)
        return assignment_frame(persons[is_known], distances, np.array(self.segment_ids), self.run_id)

    def unassigned(self, features: pd.DataFrame) -> list[str]:
        """Return the persons without a value in any of the model's columns: `assign` gives them no segment.

        Raises
        ------
        ValueError
            As `assign`.
        """
        persons, values = self._read(features)
        return [str(person) for person in persons[~np.isfinite(values).any(axis=1)]]

    def _read(self, features: pd.DataFrame) -> tuple[pd.Index, np.ndarray]:
        absent = [name for name in self.columns if name not in features.columns]
        if absent:
            message = f"Columns missing from the features: {', '.join(absent)}. The segments were fitted with them."
            raise ValueError(message)
        ordered = ordered_persons(features)
        return ordered.index, number_matrix(ordered, self.columns)


@dataclass(frozen=True)
class SegmentationResult:
    """What a segmentation run shows, or why it shows nothing.

    Parameters
    ----------
    run, metrics, refusals
        As for every miner.
    assignments
        One row per person: segment, distance to its centre and to the next one.
    segments
        One row per segment: names, persons, share, stability, silhouette.
    profile
        One row per segment and column: median, mean, standardised contrast, bank-wide median.
    events
        kept, birth, death, split, merge against the run before.
    migration
        Moves from the run before, with exit and new; each origin sums to 1.
    drift
        Stability index per kept segment and column.
    reference
        Counts per bin that the next run measures drift against.
    choices
        One row per number of segments tried.
    columns
        Use of every column.
    model
        To assign persons with; None when refused.
    highest_segment_id
        Largest id ever given.
    """

    run: Run
    metrics: pd.DataFrame
    refusals: list[Refusal]
    assignments: pd.DataFrame
    segments: pd.DataFrame
    profile: pd.DataFrame
    events: pd.DataFrame
    migration: pd.DataFrame
    drift: pd.DataFrame
    reference: pd.DataFrame
    choices: pd.DataFrame
    columns: pd.DataFrame
    model: SegmentationModel | None
    highest_segment_id: int

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
            "assignments": self.assignments,
            "segments": self.segments,
            "profile": self.profile,
            "events": self.events,
            "migration": self.migration,
            "drift": self.drift,
            "reference": self.reference,
            "choices": self.choices,
            "columns": self.columns,
        }

    def as_previous(self) -> PreviousSegments:
        """Return what the next run must know of this one."""
        return PreviousSegments(
            self.assignments[["person_id", "segment_id"]] if len(self.assignments) else self.assignments,
            self.segments,
            self.highest_segment_id,
            self.reference,
        )


def ordered_persons(features: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by person, in the order of their ids as text.

    Raises
    ------
    ValueError
        When a person appears twice.
    """
    persons = features.index.astype(str)
    if persons.has_duplicates:
        message = f"{int(persons.duplicated().sum())} persons appear twice in the features; give one row per person."
        raise ValueError(message)
    order = np.argsort(persons.to_numpy(dtype=object).astype(str), kind="stable")
    return features.iloc[order].set_axis(persons[order], axis=0)


def number_matrix(features: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Return numeric columns as a matrix, NaN where missing.

    Raises
    ------
    ValueError
        When a column holds text.
    """
    parts = []
    for name in columns:
        values, kind = typed_column(features[name])
        if kind != "numeric" and values.notna().any():
            message = f"Column {name!r} was numeric when the segments were fitted and now holds text."
            raise ValueError(message)
        parts.append(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.column_stack(parts)


def assignment_frame(persons: pd.Index, distances: np.ndarray, segment_ids: np.ndarray, run_id: str) -> pd.DataFrame:
    """Return the assignment of each person from distances to the centres, shape (rows, clusters)."""
    nearest = np.argsort(distances, axis=1, kind="stable")
    rows = np.arange(len(distances))
    return rounded_frame(
        pd.DataFrame(
            {
                "person_id": persons.to_numpy(dtype=object),
                "run_id": run_id,
                "segment_id": segment_ids[nearest[:, 0]],
                "centre_distance": distances[rows, nearest[:, 0]],
                "next_segment_id": segment_ids[nearest[:, 1]],
                "next_distance": distances[rows, nearest[:, 1]],
            }
        )
    )


def fit(
    features: pd.DataFrame,
    settings: Settings | None = None,
    previous: SegmentationResult | PreviousSegments | None = None,
    names: Mapping[str, tuple[str, str]] | None = None,
) -> SegmentationResult:
    """Find the segments of the customers, or refuse.

    Parameters
    ----------
    features
        One row per person, indexed by person. The columns of `Settings.themes` make the segments, other numeric
        ones describe them; categories, dates, identifiers, columns that are mostly missing or independent of all
        others are not used. `columns` says which. Not changed.
    settings
        `Settings()` by default.
    previous
        The run before; its ids and names stay with the segments that continue.
    names
        Labels (English, Chinese) per feature column, over `COLUMN_LABELS`.

    Returns
    -------
    SegmentationResult
        With a model, or with the reasons why there is none.

    Raises
    ------
    ValueError
        When a person appears twice.

    Examples
    --------
    >>> import pandas as pd
    >>> result = fit(pd.DataFrame({"aum_average": [1.0, 2.0], "age": [30, 60]}, index=["a", "b"]))
    >>> result.is_refused, result.refusals[0].code
    (True, 'too_few_customers')
    """
    chosen = settings or Settings()
    before = previous.as_previous() if isinstance(previous, SegmentationResult) else previous
    labels = dict(COLUMN_LABELS) | dict(names or {})
    ordered = ordered_persons(features)
    typed = typed_columns(ordered)
    use = {name: f"ignored: {reason}" for name, reason in typed.ignored.items()}
    columns = []
    for name, kind in typed.kinds.items():
        missing = float(typed.frame[name].isna().mean())
        if kind != "numeric":
            use[name] = "ignored: category, has no distances"
        elif missing > chosen.largest_missing_ratio:
            use[name] = f"ignored: {missing:.0%} missing"
        else:
            columns.append(name)
            use[name] = "used"
    run = new_run(ordered, typed.frame[columns], chosen, before)
    if len(ordered) < chosen.minimum_persons:
        return refused_result(run, [few_refusal(len(ordered), chosen)], use, before)
    values = typed.frame[columns].to_numpy(dtype=np.float64)
    with threadpool_limits(1):
        prepared = new_preparation(chosen).fit_transform(values)
        dependence = column_dependence(prepared[sample_rows(ordered.index, 20_000, chosen.seed)])
        for name, strength in zip(columns, dependence, strict=True):
            if strength < chosen.weakest_dependence:
                use[name] = f"ignored: independent of the other columns (V = {strength:.2f})"
        columns = [name for name in columns if use[name] == "used"]
        if len(columns) < 2:
            refusal = Refusal(
                "no_structure",
                f"Only {len(columns)} numeric columns are related to another one; groups of customers show in "
                "columns that vary together.",
                f"仅有 {len(columns)} 个数值列与其他列相关；客户群体需体现在共同变化的列上。",
                str(len(columns)),
                ">= 2",
            )
            return refused_result(run, [refusal], use, before)
        weights = theme_columns(chosen.themes, columns)
        if len(weights) < 2:
            weights = dict.fromkeys(columns, 1.0)
        else:
            use |= dict.fromkeys(absent_columns(chosen.themes, list(use)), ABSENT)
            use |= {name: NOT_IN_DISTANCE for name in columns if name not in weights}
        usable = typed.frame[columns]
        return fitted_result(run, ordered, usable, use, weights, settings=chosen, before=before, labels=labels)


def few_refusal(count: int, settings: Settings) -> Refusal:
    """Return the refusal for too few customers, of those of whom anything is known."""
    return Refusal(
        "too_few_customers",
        f"Only {count} customers; segments that can be judged need {settings.minimum_persons}.",
        f"仅有 {count} 位客户；可检验的客户分群至少需要 {settings.minimum_persons} 位。",
        str(count),
        f">= {settings.minimum_persons}",
    )


def new_preparation(settings: Settings) -> Preparation:
    """Return the unfitted preparation of features."""
    return Preparation(settings.tail, settings.skew_bound, is_unit_free=True)


def fitted_result(
    run: Run,
    ordered: pd.DataFrame,
    usable: pd.DataFrame,
    use: dict[str, str],
    weights: dict[str, float],
    *,
    settings: Settings,
    before: PreviousSegments | None,
    labels: dict[str, tuple[str, str]],
) -> SegmentationResult:
    """Return the result on usable columns: choose, gate, match, describe.

    Columns with a weight make the segments; all are described.
    """
    columns = list(weights)
    values = usable[columns].to_numpy(dtype=np.float64)
    is_known = np.isfinite(values).any(axis=1)
    unassigned = int((~is_known).sum())
    ordered, usable, values = ordered.loc[is_known], usable.loc[is_known], values[is_known]
    if len(ordered) < settings.minimum_persons:
        return refused_result(run, [few_refusal(len(ordered), settings)], use, before)
    preparation = new_preparation(settings).fit(values)
    # The weights are part of the scale, so that the fitted pipeline holds them.
    preparation.scale_ = preparation.scale_ / np.array([weights[name] for name in columns])
    prepared = preparation.transform(values)
    sample = sample_rows(ordered.index, settings.selection.sample, settings.seed)
    choices, models, stabilities = compared_counts(prepared, sample, settings.selection, settings.seed)
    chosen_rows = choices.loc[choices["is_chosen"]]
    if len(chosen_rows) == 0:
        return refused_result(run, [count_refusal(choices, settings.selection)], use, before, choices=choices)
    count = int(chosen_rows["segment_count"].iloc[0])
    clusters, stability = models[count], stabilities[count]
    silhouettes = silhouette_samples(prepared[sample], clusters.labels_[sample])
    structure = structure_of(prepared[sample], count, settings.structure_draws, seed=settings.seed)
    metrics = metric_table(
        silhouettes, structure, chosen_rows.iloc[0], unassigned, run_id=run.run_id, seed=settings.seed
    )
    refusal = structure_refusal(structure, settings)
    if refusal is not None:
        return refused_result(run, [refusal], use, before, choices=choices, metrics=metrics)
    persons = ordered.index.to_numpy(dtype=object)
    identities = matched_identities(persons, clusters.labels_, count, before, settings.smallest_overlap)
    pipeline = Pipeline([("prepare", preparation), ("cluster", clusters)])
    model = SegmentationModel(columns, pipeline, identities.segment_ids.tolist(), run.run_id)
    assignments = assignment_frame(ordered.index, clusters.transform(prepared), identities.segment_ids, run.run_id)
    segment_of_row = assignments["segment_id"].to_numpy(dtype=np.int64)
    order = np.argsort(identities.segment_ids)
    standard = new_preparation(settings).fit_transform(usable.to_numpy(dtype=np.float64))
    contrasts = np.array([standard[segment_of_row == number].mean(axis=0) for number in identities.segment_ids])
    segments = segment_frame(
        clusters.labels_,
        identities,
        segment_names(
            clusters.labels_,
            identities,
            contrasts,
            before,
            columns=list(usable.columns),
            correlation=np.corrcoef(standard.T),
            labels=labels,
        ),
        sample=sample,
        silhouettes=silhouettes,
        stability=stability,
    )
    segments = segments.iloc[order].assign(run_id=run.run_id)
    profile = profile_frame(usable, segment_of_row, identities, contrasts=contrasts, labels=labels)
    profile = profile.assign(run_id=run.run_id)
    edges = {name: decile_edges(values[:, j]) for j, name in enumerate(columns)}
    return SegmentationResult(
        run,
        metrics,
        [],
        assignments,
        rounded_frame(segments),
        profile,
        rounded_frame(identities.events.assign(run_id=run.run_id)),
        rounded_frame(migration_frame(persons, segment_of_row, before).assign(run_id=run.run_id)),
        rounded_frame(drift_frame(values, columns, segment_of_row, before).assign(run_id=run.run_id)),
        rounded_frame(reference_frame(values, columns, segment_of_row, edges).assign(run_id=run.run_id)),
        rounded_frame(choices.assign(run_id=run.run_id)),
        column_frame(use, run.run_id),
        model,
        identities.highest_segment_id,
    )


def sample_rows(persons: pd.Index, size: int, seed: int) -> np.ndarray:
    """Return the rows of persons drawn by hash, at most `size`, ascending."""
    if len(persons) <= size:
        return np.arange(len(persons))
    draw = hashed_shares(pd.Series(persons), seed, "sample")
    return np.sort(np.argsort(draw, kind="stable")[:size])


def new_run(ordered: pd.DataFrame, usable: pd.DataFrame, settings: Settings, before: PreviousSegments | None) -> Run:
    """Return the run's identity; the run before is part of it, because ids and names come from there."""
    content = data_hash(usable.reset_index(names="(person)"))
    earlier = "" if before is None or len(before.assignments) == 0 else data_hash(
        before.assignments[["person_id", "segment_id"]].astype(str)
    )  # fmt: skip
    parameters = parameters_text(settings)
    return Run(
        "segmentation",
        text_hash("segmentation", parameters, content, earlier),
        settings.seed,
        parameters,
        None,
        None,
        len(ordered),
        len(ordered),
        usable.shape[1],
        feature_hash(dict.fromkeys(usable.columns, "numeric")),
        content,
        "k-means on log, winsorised, scaled features; number of segments by separation, compactness and stability",
        "对数、缩尾、标准化特征上的 k-means；群数由分离度、紧密度与稳定性共同决定",
        False,
    )


def count_refusal(choices: pd.DataFrame, settings: SelectionSettings) -> Refusal:
    """Return the refusal when no number of segments is admissible, by what none of them has."""
    if len(choices) == 0:
        return Refusal(
            "too_few_distinct",
            f"The customers are too much alike: fewer than {settings.fewest + 1} different ones.",
            f"客户过于相同：不同的客户不足 {settings.fewest + 1} 种。",
            f"at most {settings.fewest}",
            f">= {settings.fewest + 1}",
        )
    stability = choices["lowest_stability"]
    is_stable = stability >= UNSTABLE_BELOW
    if not is_stable.any():
        best = float(stability.max())
        return Refusal(
            "unstable",
            "No number of segments holds when the customers are resampled: the best solution's weakest segment "
            f"has a Jaccard stability of {best:.2f}.",
            f"重抽样后没有任何分群数能够保持稳定：最佳方案中最弱群的 Jaccard 稳定性为 {best:.2f}。",
            f"{best:.4f}",
            f">= {UNSTABLE_BELOW} for every segment",
        )
    share = float(choices.loc[is_stable, "smallest_ratio"].max())
    if share < settings.smallest_share:
        return Refusal(
            "segment_too_small",
            "Every number of segments that holds when the customers are resampled has a segment that is too small: "
            f"at best the smallest has {share:.1%} of the customers, {settings.smallest_share:.0%} are needed.",
            f"重抽样后能保持稳定的分群数都含有过小的群：最小群至多占客户的 {share:.1%}，"
            f"至少需要 {settings.smallest_share:.0%}。",
            f"{share:.4f}",
            f">= {settings.smallest_share}",
        )
    held = choices.loc[is_stable & (choices["smallest_ratio"] >= settings.smallest_share)]
    apart = held.iloc[int(held["silhouette"].to_numpy().argmax())]
    compact = held.iloc[int(held["davies_bouldin"].to_numpy().argmin())]
    return Refusal(
        "separation_disagrees",
        f"The measures of separation disagree: the best silhouette belongs to {apart['segment_count']:.0f} segments "
        f"({apart['silhouette']:.2f}), the best Davies-Bouldin index to {compact['segment_count']:.0f} "
        f"({compact['davies_bouldin']:.2f}), and no number of segments comes near to both.",
        f"分离度指标相互矛盾：轮廓系数最佳为 {apart['segment_count']:.0f} 群（{apart['silhouette']:.2f}），"
        f"Davies-Bouldin 指数最佳为 {compact['segment_count']:.0f} 群（{compact['davies_bouldin']:.2f}），"
        "没有分群数能同时接近两者。",
        f"{apart['segment_count']:.0f} segments by silhouette, {compact['segment_count']:.0f} by Davies-Bouldin",
        f"one number with >= {settings.kept_silhouette} of the silhouette and <= {settings.kept_compactness} times the "
        "Davies-Bouldin index",
    )


REFERENCE_WORDS = {
    "permuted_columns": ("their columns shuffled by themselves", "各列独立打乱的数据"),
    "single_cloud": ("one normal cloud with their relations", "相关结构相同的单一正态云团"),
    "normal_copula": (
        "data with their distributions and rank correlations but no groups",
        "分布与秩相关相同但无群体的数据",
    ),
    "unimodal_axes": ("a gradient with their relations but no gaps", "相关结构相同但无间断的连续数据"),
    "unimodal_copula": (
        "a gradient with their distributions and ranks but no gaps",
        "分布与秩结构相同但无间断的连续数据",
    ),
}
"""Data without groups (`mining.segmentation.selection.REFERENCES`) in words."""


def structure_refusal(structure: Structure, settings: Settings) -> Refusal | None:
    """Return the refusal when data without groups is divided as well as this data."""
    for name, (name_en, name_zh) in REFERENCE_WORDS.items():
        bound = structure.bound(name, settings.structure_margin, settings.structure_deviations)
        if structure.explained <= bound:
            mean = float(np.mean(structure.references[name]))
            return Refusal(
                "no_structure",
                f"The customers form no groups: their segments explain {structure.explained:.1%} of the variance, "
                f"those of {name_en} {mean:.1%}; more than {bound:.1%} is needed.",
                f"客户未形成群体：分群解释了 {structure.explained:.1%} 的方差，而{name_zh}为 {mean:.1%}；"
                f"须高于 {bound:.1%}。",
                f"{structure.explained:.4f}",
                f"> {bound:.4f}",
            )
    return None


def metric_table(
    silhouettes: np.ndarray, structure: Structure, choice: pd.Series, unassigned: int, *, run_id: str, seed: int
) -> pd.DataFrame:
    """Return the metrics of the solution; the silhouette's interval is a bootstrap over persons.

    The intervals of the references are the range of their draws.
    """
    generator = np.random.default_rng(seed)
    draws = [silhouettes[generator.integers(0, len(silhouettes), len(silhouettes))].mean() for _ in range(200)]
    low, high = np.quantile(draws, [0.025, 0.975])
    missing = float("nan")
    rows = [
        ("model", name, float(choice[name]), missing, missing)
        for name in ("segment_count", "davies_bouldin", "lowest_stability", "mean_stability")
    ]
    rows.append(("model", "unassigned_persons", float(unassigned), missing, missing))
    rows.append(("model", "silhouette", float(silhouettes.mean()), float(low), float(high)))
    rows.append(("model", "explained_variance", structure.explained, missing, missing))
    for name, references in structure.references.items():
        rows.append((name, "explained_variance", float(np.mean(references)), min(references), max(references)))
    return metric_rows(rows, run_id)


def segment_names(
    clusters: np.ndarray,
    identities: Identities,
    contrasts: np.ndarray,
    before: PreviousSegments | None,
    *,
    columns: list[str],
    correlation: np.ndarray,
    labels: dict[str, tuple[str, str]],
) -> pd.DataFrame:
    """Return name and present contrast per cluster; a kept segment keeps its name, the largest choose first."""
    sizes = np.bincount(clusters, minlength=len(identities.segment_ids))
    order = np.lexsort((identities.segment_ids, -sizes))
    earlier: dict[int, tuple[str, str]] = {}
    if before is not None and len(before.segments):
        ids = before.segments["segment_id"].astype(int)
        pairs = zip(before.segments["name_en"].astype(str), before.segments["name_zh"].astype(str), strict=True)
        earlier = dict(zip(ids, pairs, strict=True))
    kept = {
        int(k): earlier[int(identities.segment_ids[k])]
        for k in np.flatnonzero(identities.is_kept)
        if int(identities.segment_ids[k]) in earlier
    }
    described = contrast_names(contrasts, columns, correlation, order=order, taken=set(), labels=labels)
    unnamed = np.array([k for k in order if int(k) not in kept], dtype=np.int64)
    taken = {name for name, _ in kept.values()}
    fresh = contrast_names(contrasts, columns, correlation, order=unnamed, taken=taken, labels=labels)
    rows = [(*kept.get(k, fresh[k]), *described[k], k not in kept) for k in range(len(contrasts))]
    return pd.DataFrame(rows, columns=["name_en", "name_zh", "contrast_en", "contrast_zh", "is_new"])


def segment_frame(
    clusters: np.ndarray,
    identities: Identities,
    named: pd.DataFrame,
    *,
    sample: np.ndarray,
    silhouettes: np.ndarray,
    stability: np.ndarray,
) -> pd.DataFrame:
    """Return one row per segment, in the order of the clusters."""
    sizes = np.bincount(clusters, minlength=len(identities.segment_ids))
    frame = named.copy()
    frame.insert(0, "segment_id", identities.segment_ids)
    frame["person_count"] = sizes
    frame["person_ratio"] = sizes / sizes.sum()
    frame["stability"] = stability
    frame["stability_class"] = [
        "stable" if level > STABLE_ABOVE else "doubtful" if level >= UNSTABLE_BELOW else "unstable"
        for level in stability
    ]
    inside = [silhouettes[clusters[sample] == k] for k in range(len(sizes))]
    frame["silhouette"] = [float(part.mean()) if len(part) else np.nan for part in inside]
    return frame


def profile_frame(
    usable: pd.DataFrame,
    segments: np.ndarray,
    identities: Identities,
    *,
    contrasts: np.ndarray,
    labels: dict[str, tuple[str, str]],
) -> pd.DataFrame:
    """Return one row per segment and column; `z_score` is the mean on the prepared scale (bank-wide mean 0)."""
    values = usable.to_numpy(dtype=np.float64)
    rows = []
    for k in np.argsort(identities.segment_ids):
        inside = segments == identities.segment_ids[k]
        for j, name in enumerate(usable.columns):
            own, whole = values[inside, j], values[:, j]
            own = own[np.isfinite(own)]
            whole = whole[np.isfinite(whole)]
            rows.append(
                (int(identities.segment_ids[k]), name, *label_pair(labels, name),
                 float(contrasts[k, j]), float(np.median(own)) if len(own) else np.nan,
                 float(np.mean(own)) if len(own) else np.nan, float(np.median(whole)), float(inside.mean()))
            )  # fmt: skip
    frame = pd.DataFrame(
        rows,
        columns=[
            "segment_id", "column_name", "label_en", "label_zh", "z_score", "median", "mean",
            "bank_median", "person_ratio",
        ],
    )  # fmt: skip
    return rounded_frame(frame)


def column_frame(use: dict[str, str], run_id: str) -> pd.DataFrame:
    """Return the use of every column."""
    return pd.DataFrame([(run_id, name, use[name]) for name in sorted(use)], columns=["run_id", "column_name", "use"])


def refused_result(
    run: Run,
    refusals: list[Refusal],
    use: dict[str, str],
    before: PreviousSegments | None,
    *,
    choices: pd.DataFrame | None = None,
    metrics: pd.DataFrame | None = None,
) -> SegmentationResult:
    """Return a result without segments; what was measured stays readable."""
    empty = pd.DataFrame()
    return SegmentationResult(
        dataclasses.replace(run, is_refused=True),
        metric_rows([], run.run_id) if metrics is None else metrics,
        refusals,
        empty,
        empty,
        empty,
        empty,
        empty,
        empty,
        empty,
        empty if choices is None else rounded_frame(choices.assign(run_id=run.run_id)),
        column_frame(use, run.run_id),
        None,
        0 if before is None else before.highest_segment_id,
    )


def save_model(model: SegmentationModel, folder: Path | str) -> tuple[SegmentationModel, ModelFile]:
    """Write the model to `folder` and return it with its id, and the file."""
    state = {
        "format": MODEL_FORMAT,
        "miner": "segmentation",
        "columns": list(model.columns),
        "preparation": model.pipeline.named_steps["prepare"],
        "clusters": model.pipeline.named_steps["cluster"],
        "segment_ids": list(model.segment_ids),
        "run_id": model.run_id,
    }
    written = save_state(state, folder)
    return dataclasses.replace(model, model_id=written.model_id), written


def load_model(path: Path | str, model_id: str) -> SegmentationModel:
    """Return a saved model.

    Raises
    ------
    mining.model_files.ModelFileError
        When the file does not match `model_id`, holds a type that is not trusted, or is no segmentation.
    """
    state = load_state(path, model_id)
    if state.get("miner") != "segmentation" or state.get("format") != MODEL_FORMAT:
        message = (
            f"{Path(path).name}: holds miner {state.get('miner')!r} in format {state.get('format')!r}; "
            f"needed is 'segmentation' in format {MODEL_FORMAT}. Run `retrain`."
        )
        raise ModelFileError(message)
    clusters: KMeans = state["clusters"]
    pipeline = Pipeline([("prepare", state["preparation"]), ("cluster", clusters)])
    return SegmentationModel(state["columns"], pipeline, state["segment_ids"], state["run_id"], model_id)
