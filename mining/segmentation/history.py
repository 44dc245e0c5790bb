"""One row per person from a customer-month panel: what a customer is usually like, not what last month was like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mining.gates import month_texts
from mining.preparation import typed_column


def usual_features(
    panel: pd.DataFrame, as_of: str | None = None, months: int = 12, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the mean of each number over the last months, and the last value of everything else.

    A group of customers shows in what they usually do; a single month or quarter is mostly noise. The mean runs over
    the months a person has, so a newcomer's is shorter.

    Parameters
    ----------
    panel
        One row per `person_id` and `month_on`. Rows after `as_of` are not read. Not changed.
    as_of
        The last month; the last of the panel by default. Only persons with a row in it are returned.
    months
        Length of the past, the last month included.
    columns
        Columns to keep; all but the keys by default.

    Returns
    -------
    pandas.DataFrame
        Indexed by person, ordered; for `mining.segmentation.fit`.

    Raises
    ------
    ValueError
        When `as_of` is no month of the panel.

    Examples
    --------
    >>> rows = [("a", "2024-01-31", 10.0, "F"), ("a", "2024-02-29", 20.0, "F"), ("b", "2024-02-29", 5.0, "M")]
    >>> panel = pd.DataFrame(rows, columns=["person_id", "month_on", "aum_average", "gender"])
    >>> usual_features(panel)["aum_average"].to_dict()
    {'a': 15.0, 'b': 5.0}
    """
    month = month_texts(panel["month_on"])
    last = str(month.max()) if as_of is None else month_texts(pd.Series([as_of], name="as_of")).iloc[0]
    if len(panel) and last not in set(month):
        message = f"as_of {last} is no month of the panel; it runs from {month.min()} to {month.max()}."
        raise ValueError(message)
    kept = sorted(set(month[month <= last]))[-months:]
    names = [name for name in panel.columns if name not in ("person_id", "month_on")] if columns is None else columns
    inside = month.isin(kept).to_numpy()
    rows = panel.loc[inside, list(names)].assign(
        person=panel.loc[inside, "person_id"].astype(str), month=month[inside].to_numpy()
    )
    rows = rows.sort_values(["person", "month"], kind="stable", ignore_index=True)
    current = rows.loc[rows["month"] == last].set_index("person")
    result: dict[str, pd.Series] = {}
    for name in names:
        values, kind = typed_column(rows[name])
        if kind == "numeric":
            means = pd.Series(values.to_numpy(dtype=np.float64), index=rows["person"]).groupby(level=0).mean()
            result[str(name)] = means.reindex(current.index)
        else:
            result[str(name)] = current[name]
    return pd.DataFrame(result, index=pd.Index(current.index, name="person_id"))
