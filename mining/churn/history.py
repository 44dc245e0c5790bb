"""A customer against the customer's own past: columns that a single month's features do not show.

Who drifts away differs from others less than from the own self of half a year ago. These columns are read from
earlier months of the same panel, each as it was known then, so nothing later can get in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mining.churn.definitions import panel_grid
from mining.preparation import PREVIOUS_SUFFIX, against_suffix, typed_column

SMALLEST_CHANGE = 1e-9


def with_history(panel: pd.DataFrame, months: int = 6, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the panel with two more columns per numeric column: the month before, and the own past mean.

    Parameters
    ----------
    panel
        One row per `person_id` and `month_on`. Not changed.
    months
        Length of the past: ``<column>_against_<months>m`` is the value less the mean of the `months` months before
        (as many as there are), ``<column>_previous`` the value of the month before.
    columns
        Columns to compare; by default every numeric column that changes by different amounts (an age or a tenure
        only counts on and is left out).

    Returns
    -------
    pandas.DataFrame
        The rows and columns of `panel` in their order, and the new columns; missing in a person's first month.

    Raises
    ------
    ValueError
        As `mining.churn.label_months` for a panel that is no panel, and when a column is not numeric.

    Examples
    --------
    >>> rows = [("a", "2024-01-31", 10.0), ("a", "2024-02-29", 20.0), ("a", "2024-03-31", 3.0)]
    >>> found = with_history(pd.DataFrame(rows, columns=["person_id", "month_on", "aum_end"]))
    >>> found["aum_end_previous"].tolist(), found["aum_end_against_6m"].tolist()
    ([nan, 10.0, 20.0], [nan, 10.0, -12.0])
    """
    keys = ("person_id", "month_on")
    wanted = [name for name in panel.columns if name not in keys] if columns is None else list(columns)
    numeric = panel[[*keys]].copy()
    for name in wanted:
        values, kind = typed_column(panel[name])
        if kind == "numeric" and not pd.api.types.is_bool_dtype(panel[name].dtype):
            numeric[name] = values
        elif columns is not None:
            message = f"Column {name!r} is not numeric; only numbers can be compared with the own past."
            raise ValueError(message)
    names = [name for name in numeric.columns if name not in keys]
    grid = panel_grid(numeric, names)
    row = np.searchsorted(grid.persons.astype(str), panel["person_id"].astype(str).to_numpy(dtype=object).astype(str))
    moments = pd.to_datetime(panel["month_on"]).dt.strftime("%Y-%m-%d").to_numpy(dtype=object)
    column = np.searchsorted(grid.months.astype(str), moments.astype(str))
    added: dict[str, np.ndarray] = {}
    for name in names:
        own = grid.values[name]
        change = np.diff(own, axis=1)
        change = change[np.isfinite(change)]
        if columns is None and (len(change) == 0 or change.std() < SMALLEST_CHANGE * max(1.0, np.abs(change).max())):
            continue
        before = np.full(own.shape, np.nan)
        before[:, 1:] = own[:, :-1]
        added[f"{name}{PREVIOUS_SUFFIX}"] = before[row, column]
        added[f"{name}{against_suffix(months)}"] = (own - past_means(own, months))[row, column]
    return pd.concat([panel, pd.DataFrame(added, index=panel.index)], axis=1)


def past_means(values: np.ndarray, months: int) -> np.ndarray:
    """Return for each cell the mean of up to `months` cells before it in its row, NaN without any."""
    held = np.isfinite(values)
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    for step in range(1, min(months, values.shape[1] - 1) + 1):
        total[:, step:] += np.where(held, values, 0.0)[:, :-step]
        count[:, step:] += held[:, :-step]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
