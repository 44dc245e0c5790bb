"""One row per person from a customer-month panel: what a customer is usually like, not what last month was like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mining.gates import month_texts
from mining.preparation import typed_column


def usual_features(
    panel: pd.DataFrame, as_of: str | None = None, months: int = 24, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the mean of each number over the last months, and the last value of everything else.

    A group of customers shows in what they usually do; a single month or quarter is mostly noise, and one year still
    has the one thirteenth salary, the one large purchase. The mean runs over the months a person has, so a newcomer's
    is shorter.

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
    inside = np.flatnonzero(month.isin(kept).to_numpy())
    code, persons = pd.factorize(panel["person_id"].iloc[inside].astype(str), sort=True)
    is_current = (month.iloc[inside] == last).to_numpy()
    current = inside[is_current][np.argsort(code[is_current], kind="stable")]
    place = np.sort(code[is_current])
    # The order of rows must not show in the last digit of a sum.
    order = np.lexsort((month.iloc[inside].to_numpy(dtype=str), code))
    inside, code = inside[order], code[order]
    result: dict[str, np.ndarray] = {}
    for name in names:
        kind = typed_column(panel[name].iloc[current])[1]
        if kind == "numeric":  # text now is no number, whatever it was; numbers now may have been text
            values, kind = typed_column(panel[name].iloc[inside])
        if kind == "numeric":
            numbers = values.to_numpy(dtype=np.float64)
            held = np.isfinite(numbers)
            count = np.bincount(code[held], minlength=len(persons))
            total = np.bincount(code[held], weights=numbers[held], minlength=len(persons))
            result[str(name)] = np.where(count > 0, total / np.maximum(count, 1), np.nan)[place]
        else:
            result[str(name)] = panel[name].iloc[current].to_numpy()
    return pd.DataFrame(result, index=pd.Index(np.asarray(persons)[place], name="person_id"))
