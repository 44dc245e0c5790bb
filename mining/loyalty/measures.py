"""The ten measures of loyalty, each from the columns it needs; a measure whose columns are absent is absent.

A measure has one or more parts. A part is a number per person, higher or lower being more loyal; it is
winsorised, scaled to 0-1 and turned so that 1 is loyal. A person's measure is the mean of the parts that person
has. What cannot be observed for a person (an attitude after a complaint, without a complaint) is absent, not 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mining.churn.definitions import PanelGrid, run_lengths

PANEL_COLUMNS = (
    "accounts_open",
    "aum_average",
    "churn_probability",
    "complaints_12m",
    "complaints_open",
    "customer_transactions_1m",
    "external_outflow_3m",
    "lum_end",
    "new_product_take_up_ratio",
    "products_held",
    "rate_gap",
    "salary_months_3m",
    "satisfaction_gap",
    "tenure_months",
    "wallet_outflow_3m",
)
SMALLEST_RATE_STEP = 0.0005
"""A rate gap that widens by less (5 basis points a month) is no change of price."""

PartFunction = Callable[[PanelGrid, int], np.ndarray]


@dataclass(frozen=True)
class Part:
    """One number per person.

    Parameters
    ----------
    columns
        Panel columns it needs.
    value
        From the panel up to the as-of position, shape (persons,); NaN where it cannot be observed.
    is_loyal_when_high
        Direction.
    """

    columns: tuple[str, ...]
    value: PartFunction
    is_loyal_when_high: bool


@dataclass(frozen=True)
class Measure:
    """One of the ten measures.

    Parameters
    ----------
    number
        In the domain reference, section 5.
    name
        Column-safe name.
    label_en, label_zh
        For readers.
    parts
        What it is made of.
    """

    number: int
    name: str
    label_en: str
    label_zh: str
    parts: tuple[Part, ...]


def last_value(column: str) -> PartFunction:
    """Return the part that reads a column at as-of."""

    def value(grid: PanelGrid, position: int) -> np.ndarray:
        return np.asarray(grid.values[column][:, position])

    return value


def active_share(grid: PanelGrid, position: int) -> np.ndarray:
    """Return the months with a customer-initiated transaction over the months at risk."""
    counts = grid.values["customer_transactions_1m"][:, : position + 1]
    held = np.isfinite(counts)
    at_risk = held.sum(axis=1)
    return np.where(at_risk > 0, (held & (counts > 0)).sum(axis=1) / np.maximum(at_risk, 1), np.nan)


def longest_activity(grid: PanelGrid, position: int) -> np.ndarray:
    """Return the longest unbroken run of active months over the months at risk."""
    counts = grid.values["customer_transactions_1m"][:, : position + 1]
    held = np.isfinite(counts)
    longest = run_lengths(held & (counts > 0)).max(axis=1)
    return np.where(held.any(axis=1), longest / np.maximum(held.sum(axis=1), 1), np.nan)


def moved_after_rate_change(grid: PanelGrid, position: int) -> np.ndarray:
    """Return the mean share of assets moved to other banks in the three months from each widening rate gap.

    `external_outflow_3m` two months later covers the month of the change and the two after it.
    """
    gap, aum, moved = (grid.values[name] for name in ("rate_gap", "aum_average", "external_outflow_3m"))
    total, count = np.zeros(len(gap)), np.zeros(len(gap))
    for month in range(1, position - 1):
        with np.errstate(invalid="ignore", divide="ignore"):
            share = moved[:, month + 2] / aum[:, month - 1]
            widened = (gap[:, month] - gap[:, month - 1]) > SMALLEST_RATE_STEP
        used = widened & np.isfinite(share)
        total += np.where(used, np.clip(share, 0.0, 1.0), 0.0)
        count += used
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def outflow_share(column: str) -> PartFunction:
    """Return the part: money moved out in three months over what is there plus what was moved."""

    def value(grid: PanelGrid, position: int) -> np.ndarray:
        moved, aum = grid.values[column][:, position], grid.values["aum_average"][:, position]
        whole = np.maximum(aum, 0.0) + moved
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(whole > 0, moved / whole, np.where(np.isfinite(whole), 0.0, np.nan)))

    return value


def first_observed(values: np.ndarray) -> np.ndarray:
    """Return the first value of each row that is there."""
    held = np.isfinite(values)
    position = held.argmax(axis=1)
    return np.where(held.any(axis=1), values[np.arange(len(values)), position], np.nan)


def aum_growth(grid: PanelGrid, position: int) -> np.ndarray:
    """Return ln of assets now over assets at the start of the window, per month, at least three months apart."""
    aum = np.maximum(grid.values["aum_average"][:, : position + 1], 0.0)
    held = np.isfinite(aum)
    months = position - held.argmax(axis=1)
    with np.errstate(invalid="ignore"):
        growth = np.log1p(aum[:, position]) - np.log1p(first_observed(aum))
    return np.where(months >= 3, growth / np.maximum(months, 1), np.nan)


def product_growth(grid: PanelGrid, position: int) -> np.ndarray:
    """Return products held now less those at the start of the window, at least three months apart."""
    products = grid.values["products_held"][:, : position + 1]
    months = position - np.isfinite(products).argmax(axis=1)
    change = products[:, position] - first_observed(products)
    return np.where(months >= 3, change, np.nan)


def assets_after_complaint(grid: PanelGrid, position: int) -> np.ndarray:
    """Return ln of assets now over assets at the start of the window, for those who complained in it."""
    return np.where(grid.values["complaints_12m"][:, position] > 0, aum_growth(grid, position), np.nan)


def open_after_complaint(grid: PanelGrid, position: int) -> np.ndarray:
    """Return complaints still open, for those who complained within 12 months."""
    open_now = grid.values["complaints_open"][:, position]
    return np.where(grid.values["complaints_12m"][:, position] > 0, open_now, np.nan)


def business_volume(grid: PanelGrid, position: int) -> np.ndarray:
    """Return ln(1 + assets + loans)."""
    volume = np.maximum(grid.values["aum_average"][:, position], 0.0)
    if "lum_end" in grid.values:
        volume = volume + np.nan_to_num(np.maximum(grid.values["lum_end"][:, position], 0.0))
    return np.asarray(np.log1p(volume))


MEASURES: tuple[Measure, ...] = (
    Measure(
        1,
        "repeat_transactions",
        "repeat transactions",
        "重复交易",
        (Part(("customer_transactions_1m",), active_share, True),),
    ),
    Measure(
        2,
        "persistence",
        "persistence",
        "持久性",
        (
            Part(("tenure_months",), last_value("tenure_months"), True),
            Part(("customer_transactions_1m",), longest_activity, True),
        ),
    ),
    Measure(
        3,
        "price_sensitivity",
        "calm when prices change",
        "价格敏感度（反向）",
        (Part(("rate_gap", "aum_average", "external_outflow_3m"), moved_after_rate_change, False),),
    ),
    Measure(
        4,
        "competitors",
        "turned away from competitors",
        "对竞争者的态度（反向）",
        (
            Part(("external_outflow_3m", "aum_average"), outflow_share("external_outflow_3m"), False),
            Part(("wallet_outflow_3m", "aum_average"), outflow_share("wallet_outflow_3m"), False),
            Part(("salary_months_3m",), last_value("salary_months_3m"), True),
        ),
    ),
    Measure(
        5,
        "after_complaint",
        "stays when things go wrong",
        "出现问题时的态度",
        (
            Part(("complaints_12m", "aum_average"), assets_after_complaint, True),
            Part(("complaints_12m", "complaints_open"), open_after_complaint, False),
        ),
    ),
    Measure(
        6,
        "growth",
        "growth",
        "成长",
        (Part(("aum_average",), aum_growth, True), Part(("products_held",), product_growth, True)),
    ),
    Measure(
        7,
        "low_churn_risk",
        "low probability of leaving",
        "流失概率（反向）",
        (Part(("churn_probability",), last_value("churn_probability"), False),),
    ),
    Measure(
        8,
        "new_products",
        "take-up of new products",
        "新产品接受度",
        (Part(("new_product_take_up_ratio",), last_value("new_product_take_up_ratio"), True),),
    ),
    Measure(
        9,
        "volume",
        "volume by kind of product",
        "各类产品业务量",
        (
            Part(("aum_average",), business_volume, True),
            Part(("products_held",), last_value("products_held"), True),
        ),
    ),
    Measure(
        10,
        "satisfaction",
        "satisfaction gap",
        "满意度差距",
        (Part(("satisfaction_gap",), last_value("satisfaction_gap"), True),),
    ),
)


def scaled_part(values: np.ndarray, tail: float, *, is_loyal_when_high: bool) -> np.ndarray:
    """Return values winsorised at their tails, scaled to 0-1 and turned so that 1 is loyal.

    A part that is the same for everybody (within the winsor limits) tells nothing and is absent for everybody;
    when only the tails differ (a rare flag), the full range is used.
    """
    held = np.isfinite(values)
    if not held.any():
        return np.full(values.shape, np.nan)
    low, high = np.quantile(values[held], [tail, 1 - tail])
    if low == high:
        low, high = values[held].min(), values[held].max()
    if low == high:
        return np.full(values.shape, np.nan)
    scaled = (np.clip(values, low, high) - low) / (high - low)
    return np.asarray(scaled if is_loyal_when_high else 1.0 - scaled)


def measured(grid: PanelGrid, position: int, here: np.ndarray, tail: float) -> dict[str, np.ndarray]:
    """Return each measure that the panel's columns allow, 0-1 per person in `here`.

    Parameters
    ----------
    grid
        Panel of the window; nothing after `position` is read.
    position
        As-of month in the grid.
    here
        Which persons are measured, shape (persons,).
    tail
        Share winsorised at each end.

    Returns
    -------
    dict
        By name of measure, shape (persons in `here`,); measures without any value are left out.
    """
    result: dict[str, np.ndarray] = {}
    for measure in MEASURES:
        parts = [
            scaled_part(part.value(grid, position)[here], tail, is_loyal_when_high=part.is_loyal_when_high)
            for part in measure.parts
            if set(part.columns) <= set(grid.values)
        ]
        if not parts:
            continue
        stacked = np.column_stack(parts)
        held = np.isfinite(stacked)
        count = held.sum(axis=1)
        value = np.where(count > 0, np.where(held, stacked, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
        if np.isfinite(value).any():
            result[measure.name] = value
    return result


def absence_reason(measure: Measure, columns: set[str]) -> tuple[str, str]:
    """Return why a measure is absent, in English and Chinese."""
    wanted = [sorted(set(part.columns) - columns) for part in measure.parts]
    if all(wanted):
        fewest = min(wanted, key=lambda names: (len(names), names))
        return f"no column {', '.join(fewest)}", f"缺少列 {'、'.join(fewest)}"
    return "the same for every customer, or not observed for any", "所有客户相同或均未观察到"
