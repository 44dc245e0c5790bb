"""A customer against the customer's own past: columns that a single month's features do not show.

Who drifts away differs from others less than from the own self of half a year ago. These columns are read from
earlier months of the same panel, each as it was known then, so nothing later can get in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from mining.churn.definitions import PanelGrid, panel_grid
from mining.gates import month_texts
from mining.preparation import (
    OF_ASSETS_SUFFIX,
    PREVIOUS_SUFFIX,
    against_suffix,
    share_suffix,
    spread_suffix,
    typed_column,
)

SMALLEST_CHANGE = 1e-9
SMALLEST_AMOUNT = 100.0
"""A column that is hardly ever negative and typically at least this is an amount of money."""
LARGEST_NEGATIVE_SHARE = 0.01
"""Assets may be overdrawn for once."""
ASSETS = "aum_average"
ASSET_MONTHS = 3
"""Months, with the own one, whose mean is what amounts are compared with: the baseline of `ClosureOrDrop`."""
LONG_MONTHS = 12
"""A whole year: amounts that are high for the season or for once come back to the mean of a year."""
HALVED = "aum_average_halved_12m_ratio"


def with_history(
    panel: pd.DataFrame,
    months: int = 6,
    columns: Sequence[str] | None = None,
    as_of: str | None = None,
    made: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the panel with columns that compare each numeric column with the customer's own past and assets.

    Parameters
    ----------
    panel
        One row per `person_id` and `month_on`. Not changed.
    months
        Length of the past: ``<column>_against_<months>m`` is the value less the mean of the `months` months before
        (as many as there are), ``<column>_previous`` the value of the month before. Amounts of money have
        ``<column>_of_<months>m_ratio`` as well, the value over that mean, because a loss counts by its share, and the
        same over a year. Where the panel has `aum_average`: ``<column>_of_assets_ratio``, an amount over the own mean
        assets of three months; ``aum_average_spread_<months>m_ratio`` and over a year, how much assets usually vary;
        and ``aum_average_halved_12m_ratio``, in how many months of a year they fell to half within three.
    columns
        Columns to compare; by default every numeric column but those that change by the same amount each month or
        only count on by one (a tenure, an age).
    as_of
        Return the rows of this month only, which takes a fraction of the time: enough to score.
    made
        Names of the new columns to make, others than these are left out: those a model was fitted on. By default the
        data decides which column is an amount, and may decide otherwise a month later.

    Returns
    -------
    pandas.DataFrame
        The rows and columns of `panel` in their order, and the new columns; missing in a person's first month.

    Raises
    ------
    ValueError
        As `mining.churn.label_months` for a panel that is no panel, when a column is not numeric, and when the panel
        has no month `as_of`.

    Examples
    --------
    >>> rows = [("a", "2024-01-31", 10.0), ("a", "2024-02-29", 20.0), ("a", "2024-03-31", 3.0)]
    >>> found = with_history(pd.DataFrame(rows, columns=["person_id", "month_on", "aum_end"]))
    >>> found["aum_end_previous"].tolist(), found["aum_end_against_6m"].tolist()
    ([nan, 10.0, 20.0], [nan, 10.0, -12.0])
    """
    keys = ["person_id", "month_on"]
    wanted = [name for name in panel.columns if name not in keys] if columns is None else list(columns)
    grid = panel_grid(panel, [])
    place = places(grid, panel)
    # One column at a time: all of them as grids would hold the panel a second time.
    compared = panel
    if as_of is not None:
        asked = month_texts(pd.Series([as_of], name="as_of")).iloc[0]
        if asked not in grid.months:
            known = f"{grid.months[0]} to {grid.months[-1]}" if len(grid.months) else "no month at all"
            message = f"as_of={as_of!r} is no month of the panel, which has {known}."
            raise ValueError(message)
        panel = panel[(month_texts(panel["month_on"]) == asked).to_numpy()]
    row, column_of_row = places(grid, panel)
    added: dict[str, np.ndarray] = {}

    def laid_out(name: str) -> np.ndarray | None:
        values, kind = typed_column(compared[name])
        if kind != "numeric" or pd.api.types.is_bool_dtype(compared[name].dtype):
            return None
        cells = np.full((len(grid.persons), len(grid.months)), np.nan)
        cells[place] = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return cells

    def add(column: str, by_data: bool, values: Callable[[], np.ndarray]) -> None:
        if by_data if made is None else column in made:
            added[column] = values()[row, column_of_row]

    held = laid_out(ASSETS) if ASSETS in wanted else None
    assets = None if held is None else own_and_past_means(held, ASSET_MONTHS)
    for name in wanted:
        own = laid_out(name)
        if own is None:
            if columns is not None:
                message = f"Column {name!r} is not numeric; only numbers can be compared with the own past."
                raise ValueError(message)
            continue
        compares = columns is not None or not is_clock(own)
        has_shares = columns is None and compares and is_amount(own)
        add(f"{name}{PREVIOUS_SUFFIX}", compares, partial(previous, own))
        add(f"{name}{against_suffix(months)}", compares, partial(less_past, own, months))
        for length in (months, LONG_MONTHS):
            add(f"{name}{share_suffix(length)}", has_shares, partial(of_past, own, length))
        if assets is not None:
            add(f"{name}{OF_ASSETS_SUFFIX}", has_shares, partial(shares, own, assets))
        if assets is not None and name == ASSETS:
            for length in (months, LONG_MONTHS):
                add(f"{name}{spread_suffix(length)}", columns is None, partial(relative_spreads, own, length))
            add(HALVED, columns is None, partial(halved_share, own, assets))
    return pd.concat([panel, pd.DataFrame(added, index=panel.index)], axis=1)


def places(grid: PanelGrid, panel: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the person's and the month's place in the grid for each row of a panel."""
    persons = panel["person_id"].astype(str).to_numpy(dtype=object).astype(str)
    months = month_texts(panel["month_on"]).to_numpy(dtype=object).astype(str)
    return np.searchsorted(grid.persons.astype(str), persons), np.searchsorted(grid.months.astype(str), months)


def previous(values: np.ndarray) -> np.ndarray:
    """Return for each cell the one before it in its row."""
    found = np.full(values.shape, np.nan)
    found[:, 1:] = values[:, :-1]
    return found


def less_past(values: np.ndarray, months: int) -> np.ndarray:
    """Return for each cell how far it is above the mean of up to `months` cells before it."""
    return np.asarray(values - past_means(values, months))


def of_past(values: np.ndarray, months: int) -> np.ndarray:
    """Return for each cell its share of the mean of up to `months` cells before it."""
    return shares(values, past_means(values, months))


def relative_spreads(values: np.ndarray, months: int) -> np.ndarray:
    """Return for each cell the spread of up to `months` cells before it as a share of their mean."""
    return shares(past_spreads(values, months), past_means(values, months))


def halved_share(values: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Return for each cell in what share of the year before it the values had halved; see `halved`."""
    return past_means(halved(values, baseline), LONG_MONTHS)


def past_means(values: np.ndarray, months: int) -> np.ndarray:
    """Return for each cell the mean of up to `months` cells before it in its row, NaN without any."""
    held = np.isfinite(values)
    filled = np.where(held, values, 0.0)
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    for step in range(1, min(months, values.shape[1] - 1) + 1):
        total[:, step:] += filled[:, :-step]
        count[:, step:] += held[:, :-step]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def own_and_past_means(values: np.ndarray, months: int) -> np.ndarray:
    """Return for each cell the mean of up to `months` cells that end with it, NaN without any."""
    shifted = np.column_stack([values, np.full(len(values), np.nan)])
    return past_means(shifted, months)[:, 1:]


def past_spreads(values: np.ndarray, months: int) -> np.ndarray:
    """Return for each cell the standard deviation of up to `months` cells before it, NaN without any."""
    mean = past_means(values, months)
    return np.asarray(np.sqrt(np.maximum(past_means(values**2, months) - mean**2, 0)))


def halved(values: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Return 1 where a cell is at most half of the baseline before its own three months, 0 elsewhere, NaN unknown."""
    found = np.full(values.shape, np.nan)
    now, before = values[:, ASSET_MONTHS + 1 :], baseline[:, : -ASSET_MONTHS - 1]
    is_known = np.isfinite(now) & np.isfinite(before)
    found[:, ASSET_MONTHS + 1 :] = np.where(is_known, now <= 0.5 * before, np.nan)
    return found


def is_clock(values: np.ndarray) -> bool:
    """Return whether a column changes by the same amount each month or only counts on by one, and so tells nothing."""
    change = np.diff(values, axis=1)
    change = change[np.isfinite(change)]
    if len(change) == 0 or change.std() < SMALLEST_CHANGE * max(1.0, np.abs(change).max()):
        return True
    return bool(np.isin(change, (0.0, 1.0)).all())


def is_amount(values: np.ndarray) -> bool:
    """Return whether a column holds amounts of money; see `SMALLEST_AMOUNT`."""
    held = values[np.isfinite(values) & (values != 0)]
    return bool(len(held) and (held < 0).mean() <= LARGEST_NEGATIVE_SHARE and np.median(held) >= SMALLEST_AMOUNT)


def shares(values: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return values over a whole, NaN where there is none."""
    return np.where(whole > 0, values / np.where(whole > 0, whole, 1.0), np.nan)
