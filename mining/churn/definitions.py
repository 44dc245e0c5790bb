"""What it means that a customer left: versioned definitions, side by side, over a customer-month panel.

A label belongs to a person and an as-of month t. Months t+1 to t+gap are time to act; the outcome is read in
the months t+gap+1 to t+gap+window. A person who left before or in the gap, whose outcome is not fully observed,
or who is excluded by a fact of the panel (death, freeze, merger) has no label but a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mining.gates import month_texts

LABEL_COLUMNS = (
    "person_id",
    "month_on",
    "definition",
    "version",
    "label",
    "event_kind",
    "event_on",
    "exclusion",
)


EXCLUSIONS_ZH = {
    "already left": "已流失",
    "never active": "从未主动交易",
    "deceased": "已身故",
    "judicial freeze": "司法冻结",
    "branch merger": "机构合并",
    "matured product re-booked": "到期资金短暂离开后续存",
}
"""Why somebody is not at risk, in Chinese."""
LEFT_IN_GAP = "left in the gap"
NOT_YET_OBSERVED = "outcome not yet observed"


@dataclass(frozen=True)
class ClosureOrDrop:
    """Churn as closure of the last account, or a lasting drop of assets.

    Parameters
    ----------
    drop
        Share of the baseline lost: an average AUM of at most (1 - drop) x baseline is a drop.
    baseline_months
        Months up to and with as-of whose average AUM is the baseline.
    hold_months
        Months in a row, up to the end of the outcome window, in each of which the average AUM must be that low: who
        came back by then has not left. The drop is dated by the month in which it has lasted so long; one that has by
        the end of the gap is no label.
    window_months, gap_months
        Length of the outcome window and of the time to act.
    minimum_baseline
        Baseline AUM (base currency) below which only closure counts, because half of little is noise.
    exclusion_columns
        Boolean panel column -> reason; true in any month from as-of to the end of the window excludes.

    Notes
    -----
    Domain reference, section 7; the default is a drop of at least 50 % within 3 months, or closure, gap 1 month.
    """

    drop: float = 0.5
    baseline_months: int = 3
    hold_months: int = 2
    window_months: int = 3
    gap_months: int = 1
    minimum_baseline: float = 1000.0
    exclusion_columns: Mapping[str, str] = field(
        default_factory=lambda: {
            "is_deceased": "deceased",
            "is_frozen": "judicial freeze",
            "is_branch_merged": "branch merger",
            "is_rebooked": "matured product re-booked",
        }
    )
    name: str = "closure_or_drop"
    version: str = "1"

    @property
    def horizon_months(self) -> int:
        """Months after as-of until the label is known."""
        return self.gap_months + self.window_months


@dataclass(frozen=True)
class Dormancy:
    """Churn as silence: no customer-initiated transaction for a number of days.

    Parameters
    ----------
    days
        Days without a customer-initiated transaction; interest and fees never count.
    window_months, gap_months
        Length of the outcome window and of the time to act.
    exclusion_columns
        As in `ClosureOrDrop`.

    Notes
    -----
    Domain reference, section 7. Read from `days_since_last_customer_transaction` at month ends; without that
    column, from whole months without a transaction (`customer_transactions_1m`), days / 30 of them in a row.
    """

    days: int = 90
    window_months: int = 3
    gap_months: int = 1
    exclusion_columns: Mapping[str, str] = field(
        default_factory=lambda: {
            "is_deceased": "deceased",
            "is_frozen": "judicial freeze",
            "is_branch_merged": "branch merger",
        }
    )
    name: str = "dormancy"
    version: str = "1"

    @property
    def horizon_months(self) -> int:
        """Months after as-of until the label is known."""
        return self.gap_months + self.window_months


Definition = ClosureOrDrop | Dormancy


@dataclass(frozen=True)
class PanelGrid:
    """A customer-month panel as a grid, persons by months.

    Parameters
    ----------
    persons, months
        Row and column keys, ascending.
    is_present
        Whether the panel has a row, shape (persons, months).
    values
        One array per column asked for, NaN where there is no row.
    """

    persons: np.ndarray
    months: np.ndarray
    is_present: np.ndarray
    values: dict[str, np.ndarray]


def panel_grid(panel: pd.DataFrame, columns: list[str]) -> PanelGrid:
    """Return a panel as a grid.

    Parameters
    ----------
    panel
        One row per `person_id` and `month_on`.
    columns
        Numeric or boolean columns to lay out; those the panel lacks are left out.

    Raises
    ------
    ValueError
        When a key column is missing, a key repeats, or a month of the calendar is missing between the first
        and the last (a silent gap would look as if everybody had left).
    """
    absent = [name for name in ("person_id", "month_on") if name not in panel.columns]
    if absent:
        message = f"The customer-month panel lacks {', '.join(absent)}; it has {', '.join(panel.columns)}."
        raise ValueError(message)
    month_of_row = month_texts(panel["month_on"])
    month_codes, months = pd.factorize(month_of_row, sort=True)
    person_codes, persons = pd.factorize(panel["person_id"].astype(str), sort=True)
    flat = person_codes.astype(np.int64) * max(len(months), 1) + month_codes
    if len(flat) and np.bincount(flat).max() > 1:
        double = int(pd.Series(flat).duplicated().to_numpy().argmax())
        message = (
            f"The customer-month panel has two rows for one person in {month_of_row.iloc[double]}; "
            "its grain is one row per person_id and month_on."
        )
        raise ValueError(message)
    calendar = pd.PeriodIndex(pd.to_datetime(pd.Series(months)), freq="M")
    steps = np.diff(calendar.astype("int64").to_numpy())
    if len(steps) and (steps != 1).any():
        before = months[int(np.argmax(steps != 1))]
        message = f"The customer-month panel jumps after {before}: give every month once, without holes."
        raise ValueError(message)
    shape = (len(persons), len(months))
    is_present = np.zeros(shape, dtype=bool)
    is_present[person_codes, month_codes] = True
    values: dict[str, np.ndarray] = {}
    for name in columns:
        if name in panel.columns:
            grid = np.full(shape, np.nan)
            grid[person_codes, month_codes] = panel[name].to_numpy(dtype=np.float64, na_value=np.nan)
            values[name] = grid
    return PanelGrid(np.asarray(persons, dtype=object), np.asarray(months, dtype=object), is_present, values)


def label_months(panel: pd.DataFrame, definition: Definition | None = None) -> pd.DataFrame:
    """Return one row per person and month of the panel: label, or the reason why there is none.

    Parameters
    ----------
    panel
        One row per `person_id` and `month_on`. `ClosureOrDrop` reads `aum_average` and `accounts_open`
        (either may be absent), `Dormancy` reads `days_since_last_customer_transaction` or
        `customer_transactions_1m`. A person whose rows end before the panel does counts as closed from then on.
    definition
        `ClosureOrDrop()` by default.

    Returns
    -------
    pandas.DataFrame
        Columns `LABEL_COLUMNS`; `label` is Int8 (1 left, 0 stayed, missing: excluded, see `exclusion`),
        `event_on` the month of the first event of a leaver.

    Raises
    ------
    ValueError
        When the panel has none of the columns the definition reads.
    """
    chosen = definition or ClosureOrDrop()
    if isinstance(chosen, ClosureOrDrop):
        return closure_or_drop_labels(panel, chosen)
    return dormancy_labels(panel, chosen)


def departed_at(panel: pd.DataFrame, as_of: str, definition: Definition | None = None) -> pd.Series:
    """Return who can no longer leave at a month's end, and why: a probability to leave means nothing for them.

    Parameters
    ----------
    panel, definition
        As in `label_months`.
    as_of
        The month, as in `month_on` of the panel.

    Returns
    -------
    pandas.Series
        Reason (``already left``, ``never active``, ``deceased`` ...) by person; others are not in it.

    Raises
    ------
    ValueError
        As `label_months`.
    """
    chosen = definition or ClosureOrDrop()
    if isinstance(chosen, ClosureOrDrop):
        labels = closure_or_drop_labels(panel, chosen, as_of)
    else:
        labels = dormancy_labels(panel, chosen, as_of)
    # Whose outcome is only not observed yet is at risk, and so is who leaves after the month.
    is_out = labels["exclusion"].notna() & ~labels["exclusion"].isin((NOT_YET_OBSERVED, LEFT_IN_GAP))
    return pd.Series(
        labels.loc[is_out, "exclusion"].to_numpy(dtype=object),
        index=pd.Index(labels.loc[is_out, "person_id"], name="person_id"),
        name="exclusion",
        dtype=object,
    )


def wanted_positions(grid: PanelGrid, as_of: str | None) -> list[int]:
    """Return the columns of the months asked for: all, or one."""
    return [position for position, month in enumerate(grid.months) if as_of is None or month == as_of]


def closure_or_drop_labels(panel: pd.DataFrame, definition: ClosureOrDrop, as_of: str | None = None) -> pd.DataFrame:
    """Return the labels of `ClosureOrDrop`; see `label_months`."""
    grid = panel_grid(panel, ["aum_average", "accounts_open", *definition.exclusion_columns])
    if not {"aum_average", "accounts_open"} & set(grid.values):
        message = "closure_or_drop reads aum_average and accounts_open; the panel has neither."
        raise ValueError(message)
    closed = closed_months(grid)
    aum = grid.values.get("aum_average", np.full(grid.is_present.shape, np.nan))
    held_aum = np.where(closed, 0.0, aum)
    dropped_before = completed_drops(aum, definition)
    none = len(grid.months)
    labels = []
    for position in wanted_positions(grid, as_of):
        end = position + definition.horizon_months
        dropped_on = np.full(len(grid.persons), none, dtype=np.int64)
        dropped_in_gap = np.zeros(len(grid.persons), dtype=bool)
        if end < len(grid.months):
            baseline = baseline_before(aum, position + 1, definition.baseline_months)
            # A drop is one when it has lasted: months up to as-of may be the first of it.
            first = max(0, position + 2 - definition.hold_months)
            with np.errstate(invalid="ignore"):
                is_low = held_aum[:, first : end + 1] <= (1 - definition.drop) * baseline[:, None]
            is_low &= ((baseline >= definition.minimum_baseline) & (baseline > 0))[:, None]
            months_low = run_lengths(is_low)[:, -1]
            lasted_on = end - months_low + definition.hold_months
            dropped_in_gap = (months_low >= definition.hold_months) & (lasted_on <= position + definition.gap_months)
            dropped_on = np.where(months_low >= definition.hold_months, lasted_on, none)
        since = max(0, position - definition.baseline_months + 1)
        was_gone = np.asarray(closed[:, position]) | dropped_before[:, since : position + 1].any(axis=1)
        labels.append(
            month_labels(
                grid,
                position,
                definition,
                {"closure": first_month(closed, position + 1 + definition.gap_months, end), "aum_drop": dropped_on},
                noted(
                    noted(np.full(len(grid.persons), None, dtype=object), was_gone, "already left"),
                    dropped_in_gap
                    | np.asarray(closed[:, position + 1 : position + 1 + definition.gap_months].any(axis=1)),
                    LEFT_IN_GAP,
                ),
            )
        )
    return assembled_labels(labels)


def dormancy_labels(panel: pd.DataFrame, definition: Dormancy, as_of: str | None = None) -> pd.DataFrame:
    """Return the labels of `Dormancy`; see `label_months`."""
    days_column, count_column = "days_since_last_customer_transaction", "customer_transactions_1m"
    grid = panel_grid(panel, [days_column, count_column, "accounts_open", *definition.exclusion_columns])
    closed = closed_months(grid)
    if days_column in grid.values:
        with np.errstate(invalid="ignore"):
            silent = grid.values[days_column] >= definition.days
        never = np.isnan(grid.values[days_column])
    elif count_column in grid.values:
        needed = max(1, round(definition.days / 30))
        quiet = np.nan_to_num(grid.values[count_column], nan=1.0) == 0
        silent = run_lengths(quiet) >= needed
        never = np.isnan(grid.values[count_column])
    else:
        message = f"dormancy reads {days_column} or {count_column}; the panel has neither."
        raise ValueError(message)
    silent &= ~closed
    labels = []
    for position in wanted_positions(grid, as_of):
        end = position + definition.horizon_months
        after_gap = position + 1 + definition.gap_months
        gone = silent | closed
        reason = np.full(len(grid.persons), None, dtype=object)
        reason = noted(reason, gone[:, position], "already left")
        reason = noted(reason, never[:, position], "never active")
        reason = noted(reason, gone[:, position + 1 : after_gap].any(axis=1), LEFT_IN_GAP)
        events = {"closure": first_month(closed, after_gap, end), "dormancy": first_month(silent, after_gap, end)}
        labels.append(month_labels(grid, position, definition, events, reason))
    return assembled_labels(labels)


def closed_months(grid: PanelGrid) -> np.ndarray:
    """Return where a person has no open account: stated as 0, or no row any more until the panel ends."""
    count = len(grid.months)
    if count == 0:
        return np.zeros(grid.is_present.shape, dtype=bool)
    last = count - 1 - np.argmax(grid.is_present[:, ::-1], axis=1)
    gone = np.arange(count)[None, :] > last[:, None]
    accounts = grid.values.get("accounts_open")
    return np.asarray(gone if accounts is None else gone | (accounts == 0))


def baseline_before(aum: np.ndarray, position: int, months: int) -> np.ndarray:
    """Return the mean AUM per person over the `months` columns before `position`."""
    return row_means(aum[:, max(0, position - months) : position])


def completed_drops(aum: np.ndarray, definition: ClosureOrDrop) -> np.ndarray:
    """Return the months in which a drop had lasted `hold_months` against the baseline before it.

    A person for whom that happened within the last `baseline_months` has left by this definition; once the
    baseline consists of the lower months only, the person is at risk again.
    """
    result = np.zeros(aum.shape, dtype=bool)
    hold = definition.hold_months
    for start in range(1, aum.shape[1] - hold + 1):
        baseline = baseline_before(aum, start, definition.baseline_months)
        with np.errstate(invalid="ignore"):
            is_low = aum[:, start : start + hold] <= (1 - definition.drop) * baseline[:, None]
        result[:, start + hold - 1] = is_low.all(axis=1) & (baseline >= definition.minimum_baseline)
    return result


def row_means(values: np.ndarray) -> np.ndarray:
    """Return the mean of each row over what is not missing, NaN for a row without any."""
    held = np.isfinite(values)
    count = held.sum(axis=1)
    total = np.where(held, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def run_lengths(flags: np.ndarray) -> np.ndarray:
    """Return for each cell how many true cells in a row end there, along axis 1."""
    lengths = np.zeros(flags.shape, dtype=np.int64)
    running = np.zeros(flags.shape[0], dtype=np.int64)
    for position in range(flags.shape[1]):
        running = np.where(flags[:, position], running + 1, 0)
        lengths[:, position] = running
    return lengths


def noted(reasons: np.ndarray, where: np.ndarray, text: str) -> np.ndarray:
    """Return the reasons with `text` where it applies and no earlier reason stands."""
    result = reasons.copy()
    result[where & pd.isna(reasons)] = text
    return result


def first_month(cells: np.ndarray, first: int, last: int) -> np.ndarray:
    """Return the first true column from `first` to `last` in each row, the number of columns where there is none."""
    window = cells[:, first : last + 1]
    if window.shape[1] == 0:
        return np.full(len(cells), cells.shape[1], dtype=np.int64)
    return np.asarray(np.where(window.any(axis=1), window.argmax(axis=1) + first, cells.shape[1]))


def month_labels(
    grid: PanelGrid,
    position: int,
    definition: Definition,
    events: dict[str, np.ndarray],
    reasons: np.ndarray,
) -> pd.DataFrame:
    """Return the labels of one as-of month.

    Parameters
    ----------
    grid
        The panel.
    position
        Number of the as-of month.
    definition
        Windows and exclusions.
    events
        Per kind of event, the month it began, the number of months where there was none; the earliest names a
        departure, the first of them if several began in the same month.
    reasons
        Exclusions already known per person, or None.
    """
    count = len(grid.months)
    window_end = position + definition.horizon_months
    here = grid.is_present[:, position]
    reason = reasons
    for column, text in definition.exclusion_columns.items():
        if column in grid.values:
            flagged = (grid.values[column][:, position : window_end + 1] == 1).any(axis=1)
            # A fact that is nobody's choice explains a departure in the gap as well.
            reason = np.where(flagged & (reason == LEFT_IN_GAP), text, reason)
            reason = noted(reason, flagged, text)
    earliest = np.full(len(grid.persons), count, dtype=np.int64)
    kind = np.full(len(grid.persons), None, dtype=object)
    for name, began in events.items():
        is_first = began < earliest
        kind[is_first] = name
        earliest = np.where(is_first, began, earliest)
    if window_end > count - 1:
        reason = noted(reason, np.ones(len(reason), dtype=bool), NOT_YET_OBSERVED)
    has_label = pd.isna(reason)
    left = earliest < count
    nothing = np.full(len(grid.persons), None, dtype=object)
    month_on = np.append(grid.months, nothing[:1]) if len(nothing) else grid.months
    frame = pd.DataFrame(
        {
            "person_id": grid.persons,
            "month_on": grid.months[position],
            "definition": definition.name,
            "version": definition.version,
            "label": pd.array(np.where(left, 1, 0), dtype="Int8"),
            "event_kind": np.where(left & has_label, kind, nothing),
            "event_on": np.where(left & has_label, month_on[earliest], nothing),
            "exclusion": reason,
        }
    )
    frame.loc[~has_label, "label"] = pd.NA
    return frame.loc[here]


def assembled_labels(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the months' labels as one frame ordered by person and month."""
    if not parts:
        empty = pd.DataFrame(columns=list(LABEL_COLUMNS), dtype=object)
        return empty.astype({"label": "Int8"})
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values(["person_id", "month_on"], kind="stable").reset_index(drop=True)


def compare_definitions(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return overlap and lead time of two definitions over the person-months both label.

    Parameters
    ----------
    first, second
        Frames of `label_months`.

    Returns
    -------
    pandas.DataFrame
        One row: names, counts (`labelled_count`, `both_count`, `first_only_count`, `second_only_count`),
        `overlap_ratio` (Jaccard) and `median_lead_months`: by how many months the first definition's event
        precedes the second's, over those in both.
    """
    keys = ["person_id", "month_on"]
    joined = first.dropna(subset=["label"]).merge(
        second.dropna(subset=["label"]), on=keys, suffixes=("_first", "_second")
    )
    one = joined["label_first"].to_numpy(dtype=bool)
    two = joined["label_second"].to_numpy(dtype=bool)
    both = joined.loc[one & two]
    lead = month_numbers(both["event_on_second"]) - month_numbers(both["event_on_first"])
    either = int((one | two).sum())
    return pd.DataFrame(
        [
            {
                "first_definition": str(first["definition"].iloc[0]) if len(first) else None,
                "second_definition": str(second["definition"].iloc[0]) if len(second) else None,
                "labelled_count": len(joined),
                "both_count": int((one & two).sum()),
                "first_only_count": int((one & ~two).sum()),
                "second_only_count": int((~one & two).sum()),
                "overlap_ratio": float((one & two).sum() / either) if either else np.nan,
                "median_lead_months": float(np.median(lead)) if len(lead) else np.nan,
            }
        ]
    )


def month_numbers(values: pd.Series) -> np.ndarray:
    """Return months as whole numbers, so that differences count months."""
    moments = pd.to_datetime(values)
    return (moments.dt.year * 12 + moments.dt.month).to_numpy(dtype=np.int64)


def training_rows(panel: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series, pd.Series, pd.Series]:
    """Return features, labels, persons and as-of months for `churn.fit`, row by row.

    The features of an as-of month are the panel's row of that month and nothing later.

    Parameters
    ----------
    panel
        Features, one row per `person_id` and `month_on`.
    labels
        A frame of `label_months`; rows without a label are left out.
    """
    known = labels.dropna(subset=["label"])[["person_id", "month_on", "label"]]
    keyed = panel.assign(person_id=panel["person_id"].astype(str), month_on=month_texts(panel["month_on"]))
    joined = keyed.merge(known, on=["person_id", "month_on"], how="inner").sort_values(
        ["person_id", "month_on"], kind="stable", ignore_index=True
    )
    features = joined.drop(columns=["person_id", "month_on", "label"])
    return features, joined["label"].astype(int), joined["person_id"], joined["month_on"]
