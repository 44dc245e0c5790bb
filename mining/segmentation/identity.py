"""Who is who from run to run: segments keep their id and name, and every change is a recorded event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from mining.metrics import expected_stability_index, stability_index
from mining.preparation import joined_words, label_pair

EVENT_COLUMNS = ["event", "segment_id", "other_segment_id", "person_count", "overlap_ratio"]
NAMED_CONTRAST, WEAKEST_CONTRAST, STRONG_CONTRAST, REPEATED_CORRELATION = 0.5, 0.3, 1.5, 0.7
LONGEST_NAME = 4


@dataclass(frozen=True)
class PreviousSegments:
    """What a run must know of the one before it; each field can be read back from a published table.

    Parameters
    ----------
    assignments
        `person_id, segment_id`.
    segments
        `segment_id, name_en, name_zh`.
    highest_segment_id
        Largest id ever given; the id of a segment that died is not given again.
    reference
        `segment_id, column_name, bin, upper_edge, person_count` of that run, for drift; may be empty.
    """

    assignments: pd.DataFrame
    segments: pd.DataFrame
    highest_segment_id: int
    reference: pd.DataFrame


@dataclass(frozen=True)
class Identities:
    """Segment id per cluster number, and what happened to the segments of the run before.

    Parameters
    ----------
    segment_ids
        Shape (clusters,).
    is_kept
        Whether the id existed in the run before, shape (clusters,).
    events
        Columns `EVENT_COLUMNS`; kept, birth, death, split, merge.
    highest_segment_id
        Largest id given so far.
    """

    segment_ids: np.ndarray
    is_kept: np.ndarray
    events: pd.DataFrame
    highest_segment_id: int


def matched_identities(
    persons: np.ndarray,
    clusters: np.ndarray,
    count: int,
    previous: PreviousSegments | None,
    smallest_overlap: float,
) -> Identities:
    """Return ids for clusters, by the assignment that overlaps most with the run before.

    Parameters
    ----------
    persons, clusters
        Person and cluster number of each row.
    count
        Number of clusters.
    previous
        The run before, if any.
    smallest_overlap
        Jaccard similarity (over persons in both runs) below which a pair is no match.

    Notes
    -----
    Hungarian algorithm on the Jaccard similarities. A previous segment *split* when two or more clusters each
    draw at least half of their known members from it and hold at least a fifth of it; a cluster is a *merge*
    when at least half of two or more previous segments went into it.
    """
    if previous is None or len(previous.assignments) == 0:
        sizes = np.bincount(clusters, minlength=count)
        order = np.lexsort((np.arange(count), -sizes))
        first = 0 if previous is None else previous.highest_segment_id
        segment_ids = np.empty(count, dtype=np.int64)
        segment_ids[order] = np.arange(first + 1, first + count + 1)
        births: list[tuple[str, int, int | None, int, float]] = [
            ("birth", int(number), None, int(sizes[k]), np.nan) for k, number in enumerate(segment_ids)
        ]
        return Identities(segment_ids, np.zeros(count, bool), event_frame(births), first + count)
    before = previous.assignments.assign(person_id=previous.assignments["person_id"].astype(str))
    now = pd.DataFrame({"person_id": persons.astype(str), "cluster": clusters})
    joined = now.merge(before[["person_id", "segment_id"]], on="person_id")
    old_ids = np.unique(before["segment_id"].to_numpy(dtype=np.int64))
    table = np.zeros((len(old_ids), count))
    positions = np.searchsorted(old_ids, joined["segment_id"].to_numpy(dtype=np.int64))
    np.add.at(table, (positions, joined["cluster"].to_numpy(dtype=np.int64)), 1)
    union = table.sum(axis=1)[:, None] + table.sum(axis=0)[None, :] - table
    similarity = np.divide(table, union, out=np.zeros_like(table), where=union > 0)
    rows, columns = linear_sum_assignment(-similarity)
    segment_ids = np.zeros(count, dtype=np.int64)
    is_kept = np.zeros(count, dtype=bool)
    events: list[tuple[str, int, int | None, int, float]] = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if similarity[row, column] >= smallest_overlap:
            segment_ids[column], is_kept[column] = old_ids[row], True
            events.append(("kept", int(old_ids[row]), None, int(table[row, column]), float(similarity[row, column])))
    highest = max(previous.highest_segment_id, int(old_ids.max()))
    sizes = np.bincount(clusters, minlength=count)
    for column in np.lexsort((np.arange(count), -sizes)).tolist():
        if not is_kept[column]:
            highest += 1
            segment_ids[column] = highest
            events.append(("birth", highest, None, int(sizes[column]), np.nan))
    kept_ids = set(segment_ids[is_kept].tolist())
    for row, old in enumerate(old_ids):
        if int(old) not in kept_ids:
            events.append(("death", int(old), None, int(table[row].sum()), np.nan))
    of_cluster = table / np.maximum(table.sum(axis=0), 1)[None, :]
    of_segment = table / np.maximum(table.sum(axis=1), 1)[:, None]
    for row, old in enumerate(old_ids):
        parts = np.flatnonzero((of_cluster[row] >= 0.5) & (of_segment[row] >= 0.2))
        if len(parts) > 1:
            events += [
                ("split", int(old), int(segment_ids[k]), int(table[row, k]), float(of_segment[row, k])) for k in parts
            ]
    for column in range(count):
        sources = np.flatnonzero(of_segment[:, column] >= 0.5)
        if len(sources) > 1:
            events += [
                ("merge", int(segment_ids[column]), int(old_ids[i]), int(table[i, column]),
                 float(of_segment[i, column]))
                for i in sources
            ]  # fmt: skip
    return Identities(segment_ids, is_kept, event_frame(events), highest)


def event_frame(events: list[tuple[str, int, int | None, int, float]]) -> pd.DataFrame:
    """Return events in a fixed order."""
    frame = pd.DataFrame(events, columns=EVENT_COLUMNS)
    frame["other_segment_id"] = frame["other_segment_id"].astype("Int64")
    return frame.sort_values(["event", "segment_id", "other_segment_id"], kind="stable", ignore_index=True)


def migration_frame(persons: np.ndarray, segments: np.ndarray, previous: PreviousSegments | None) -> pd.DataFrame:
    """Return the moves between the run before and this one, including exit and new; each origin sums to 1.

    Parameters
    ----------
    persons, segments
        Person and segment id of each row of this run.
    previous
        The run before; without it the frame is empty.

    Returns
    -------
    pandas.DataFrame
        `from_segment` and `to_segment` (ids as text, ``new`` and ``exit``), `person_count`, `ratio` of the origin.
    """
    columns = ["from_segment", "to_segment", "person_count", "ratio"]
    if previous is None or len(previous.assignments) == 0:
        return pd.DataFrame(columns=columns)
    before = pd.DataFrame(
        {
            "person_id": previous.assignments["person_id"].astype(str),
            "from_segment": previous.assignments["segment_id"].astype(int).astype(str),
        }
    )
    now = pd.DataFrame({"person_id": persons.astype(str), "to_segment": segments.astype(int).astype(str)})
    joined = before.merge(now, on="person_id", how="outer")
    joined["from_segment"] = joined["from_segment"].fillna("new")
    joined["to_segment"] = joined["to_segment"].fillna("exit")
    counts = joined.groupby(["from_segment", "to_segment"]).size().rename("person_count").reset_index()
    counts["ratio"] = counts["person_count"] / counts.groupby("from_segment")["person_count"].transform("sum")
    return counts[columns]


def contrast_names(
    contrasts: np.ndarray,
    columns: list[str],
    correlation: np.ndarray,
    *,
    order: np.ndarray,
    taken: set[str],
    labels: dict[str, tuple[str, str]],
) -> list[tuple[str, str]]:
    """Return a unique English and Chinese name per cluster, from what sets it apart.

    A name begins with the strongest contrasts to all customers. While it would fit another cluster as well, the column
    that differs most from that cluster, the nearest one, is added; a number is the last resort.

    Parameters
    ----------
    contrasts
        Mean standardised value per cluster and column, shape (clusters, columns).
    columns
        Names of the columns.
    correlation
        Correlation of the columns; two that say the same are not both named among the strongest.
    order
        Order in which clusters choose; those left out get no name.
    taken
        English names that are in use.
    labels
        Labels per column.
    """
    names: list[tuple[str, str]] = [("", "")] * len(contrasts)
    words = np.array([[contrast_word(value) for value in row] for row in contrasts])
    used = set(taken)
    for cluster in order:
        spoken = strongest_contrasts(contrasts[cluster], columns, correlation)
        for _ in range(LONGEST_NAME):
            added = telling_column(contrasts, words, int(cluster), spoken, columns)
            if added is None or len(spoken) >= LONGEST_NAME:
                break
            spoken.append(added)
        name = contrast_name(words[cluster], spoken, columns, labels)
        if name[0] in used:
            for j in sorted(range(len(columns)), key=lambda j: (-abs(contrasts[cluster, j]), columns[j])):
                longer = contrast_name(words[cluster], [*spoken, j], columns, labels)
                if j not in spoken and abs(contrasts[cluster, j]) >= WEAKEST_CONTRAST and longer[0] not in used:
                    name = longer
                    break
        number, unique = 2, name
        while unique[0] in used:
            unique = (f"{name[0]} ({number})", f"{name[1]}（{number}）")
            number += 1
        used.add(unique[0])
        names[int(cluster)] = unique
    return names


def contrast_word(value: float) -> str:
    """Return the word for a mean standardised value."""
    if abs(value) < WEAKEST_CONTRAST:
        return "usual"
    size = "very " if abs(value) >= STRONG_CONTRAST else ""
    return f"{size}{'high' if value > 0 else 'low'}"


WORDS_ZH = {"usual": "居中", "high": "高", "low": "低", "very high": "很高", "very low": "很低"}


def strongest_contrasts(contrast: np.ndarray, columns: list[str], correlation: np.ndarray) -> list[int]:
    """Return up to two columns that set a cluster most apart from all customers and do not say the same."""
    spoken: list[int] = []
    for j in sorted(range(len(columns)), key=lambda j: (-abs(contrast[j]), columns[j])):
        smallest = WEAKEST_CONTRAST if not spoken else NAMED_CONTRAST
        if len(spoken) == 2 or abs(contrast[j]) < smallest:
            break
        if all(abs(correlation[j, i]) < REPEATED_CORRELATION for i in spoken):
            spoken.append(j)
    return spoken


def telling_column(
    contrasts: np.ndarray, words: np.ndarray, cluster: int, spoken: list[int], columns: list[str]
) -> int | None:
    """Return the column that tells a cluster from the nearest one that what is spoken would fit too, None if none."""
    others = [
        other
        for other in range(len(contrasts))
        if other != cluster and is_said_of(words[other, spoken], words[cluster, spoken])
    ]
    others.sort(key=lambda other: (float(((contrasts[other] - contrasts[cluster]) ** 2).sum()), other))
    for other in others if spoken else []:
        apart = np.abs(contrasts[other] - contrasts[cluster])
        telling = [
            j
            for j in range(len(columns))
            if j not in spoken
            and apart[j] >= WEAKEST_CONTRAST
            and not is_said_of(words[other, [j]], words[cluster, [j]])
        ]
        if telling:
            return min(telling, key=lambda j: (-apart[j], columns[j]))
    return None


def is_said_of(other: np.ndarray, own: np.ndarray) -> bool:
    """Return whether every word would be said of another cluster: what is very high is high."""
    return all(theirs in (word, f"very {word}") for theirs, word in zip(other, own, strict=True))


def contrast_name(
    words: np.ndarray, spoken: list[int], columns: list[str], labels: dict[str, tuple[str, str]]
) -> tuple[str, str]:
    """Return the name made of the columns in `spoken`; no contrast at all is a typical customer."""
    if not spoken:
        return "typical customers", "典型客户"
    english, chinese = [], []
    for j in spoken:
        en, zh = label_pair(labels, columns[j])
        english.append(f"{words[j]} {en}")
        chinese.append(f"{zh}{WORDS_ZH[str(words[j])]}")
    return joined_words(english, "en"), joined_words(chinese, "zh")


def reference_frame(
    values: np.ndarray, columns: list[str], segments: np.ndarray, edges: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Return counts per segment, column and bin: what the next run measures drift against.

    Parameters
    ----------
    values
        Feature values as delivered, shape (rows, columns), NaN where missing.
    columns
        Names of the columns.
    segments
        Segment id of each row.
    edges
        Upper edges of the bins per column, the last one infinite; missing values have bin 0.
    """
    parts = []
    for j, name in enumerate(columns):
        codes = bin_codes(values[:, j], edges[name])
        bins = len(edges[name]) + 1
        for segment in np.unique(segments):
            counts = np.bincount(codes[segments == segment], minlength=bins)
            parts.append(
                pd.DataFrame(
                    {
                        "segment_id": int(segment),
                        "column_name": name,
                        "bin": np.arange(bins),
                        "upper_edge": np.append(np.nan, np.where(np.isfinite(edges[name]), edges[name], np.nan)),
                        "person_count": counts,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def bin_codes(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin of each value: 0 when missing, else 1 + the number of edges below it."""
    codes = 1 + np.searchsorted(edges, np.nan_to_num(values, nan=0.0), side="left")
    return np.asarray(np.where(np.isnan(values), 0, np.minimum(codes, len(edges))))


def decile_edges(values: np.ndarray) -> np.ndarray:
    """Return distinct upper edges of tenths of the values that are there, the last one infinite."""
    held = values[np.isfinite(values)]
    if len(held) == 0:
        return np.array([np.inf])
    inner = np.unique(np.quantile(held, np.arange(1, 10) / 10))
    return np.append(inner, np.inf)


def drift_frame(
    values: np.ndarray, columns: list[str], segments: np.ndarray, previous: PreviousSegments | None
) -> pd.DataFrame:
    """Return the population stability index of every kept segment and column against the run before.

    Beside each index stands what chance alone gives for segments of these sizes; empty without a run before.
    """
    names = ["segment_id", "column_name", "stability_index", "expected_index", "person_count", "previous_count",
             "drift"]  # fmt: skip
    if previous is None or len(previous.reference) == 0:
        return pd.DataFrame(columns=names)
    rows = []
    keys = previous.reference[["segment_id", "column_name"]].drop_duplicates()
    keys = keys.sort_values(["segment_id", "column_name"])
    for segment, column in zip(keys["segment_id"].astype(int), keys["column_name"].astype(str), strict=True):
        inside = segments == segment
        if column not in columns or not inside.any():
            continue
        held = previous.reference
        part = held.loc[(held["segment_id"] == segment) & (held["column_name"] == column)]
        ordered = part.sort_values("bin")
        edges = ordered["upper_edge"].to_numpy(dtype=np.float64)[1:].copy()
        edges[-1] = np.inf
        codes = bin_codes(values[inside, columns.index(column)], edges)
        actual = np.bincount(codes, minlength=len(edges) + 1).astype(float)
        expected = ordered["person_count"].to_numpy(dtype=np.float64)
        used = (actual > 0) | (expected > 0)
        index = stability_index(actual[used], expected[used])
        chance = expected_stability_index(int(used.sum()), actual.sum(), expected.sum())
        rows.append(
            (segment, column, index, chance, int(actual.sum()), int(expected.sum()),
             drift_word(index - chance))
        )  # fmt: skip
    return pd.DataFrame(rows, columns=names)


def drift_word(index: float) -> str:
    """Return small, moderate or large, by the customary bounds 0.1 and 0.25."""
    if index < 0.1:
        return "small"
    return "moderate" if index <= 0.25 else "large"
