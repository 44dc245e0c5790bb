"""From a table of features to numbers: kinds of columns, missing words, encodings, winsor and scale.

Everything here is fitted on training rows and carried by the model, so scoring repeats it exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

MISSING_WORDS = frozenset(
    {"", "-", "?", "unknown", "n/a", "na", "nan", "null", "missing", "not available", "未知", "不详", "缺失"}
)
"""Texts that mean "no value", compared trimmed and in lower case."""

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T]|$)")
IDENTIFIER_NAME = re.compile(
    r"(^|_)(id|ids|key|token|uuid|number|num|no)$|^(client|customer|account|person)_?(num|no|number|id)$",
    re.IGNORECASE,
)
DISTINCT_SHARE_OF_IDENTIFIER = 0.98
LARGEST_CATEGORY_COUNT = 30
OTHER_CATEGORY = "(other)"


@dataclass(frozen=True)
class TypedFrame:
    """Features judged by kind.

    Parameters
    ----------
    frame
        Usable columns in alphabetical order: float64 for numbers, object (text or None) for categories.
    kinds
        ``numeric`` or ``categorical`` per usable column.
    ignored
        Reason per column that is not used.
    dates
        Date columns, as given (they are never features; a leak guard may look at them).
    """

    frame: pd.DataFrame
    kinds: dict[str, str]
    ignored: dict[str, str]
    dates: pd.DataFrame


def typed_columns(features: pd.DataFrame) -> TypedFrame:
    """Return the columns of `features` by kind, missing words as missing, identifiers and constants left out.

    Parameters
    ----------
    features
        One row per observation; any dtypes. Not changed.

    Raises
    ------
    ValueError
        When two columns share a name.
    """
    names = [str(name) for name in features.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = f"Columns named twice: {', '.join(repeated)}. Give every feature its own name."
        raise ValueError(message)
    usable: dict[str, pd.Series] = {}
    kinds: dict[str, str] = {}
    ignored: dict[str, str] = {}
    dates: dict[str, pd.Series] = {}
    for position in np.argsort(np.array(names, dtype=object).astype(str), kind="stable"):
        name = names[int(position)]
        column = features.iloc[:, int(position)]
        if is_date(column):
            dates[name] = column
            ignored[name] = "date: give a number of days instead"
            continue
        values, kind = typed_column(column)
        held = values.notna()
        if not held.any():
            ignored[name] = "empty"
        elif held.all() and (values == values.iloc[0]).all():
            ignored[name] = "constant"
        elif is_identifier(name, values, kind):
            ignored[name] = "identifier"
        else:
            usable[name] = values
            kinds[name] = kind
    frame = pd.DataFrame(usable, index=features.index)
    return TypedFrame(frame, kinds, ignored, pd.DataFrame(dates, index=features.index))


def is_date(column: pd.Series) -> bool:
    """Return whether a column holds dates."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or isinstance(column.dtype, pd.PeriodDtype):
        return True
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        held = column.dropna().head(50)
        return bool(len(held)) and all(
            hasattr(value, "isoformat") or (isinstance(value, str) and ISO_DATE.match(value)) for value in held
        )
    return False


def typed_column(column: pd.Series) -> tuple[pd.Series, str]:
    """Return a column as numbers or as text, with its kind; missing words and infinities become missing."""
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        numbers = pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index)
        return numbers.where(np.isfinite(numbers)), "numeric"
    # Texts repeat: each is read once.
    codes, distinct = pd.factorize(column.astype(object), use_na_sentinel=False)
    texts = pd.Series(distinct, dtype=object)
    missing = texts.isna() | texts.astype(str).str.strip().str.lower().isin(MISSING_WORDS)
    texts = texts.where(~missing, None)
    found = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if (np.isnan(found) == missing.to_numpy()).all():
        return pd.Series(np.where(np.isfinite(found), found, np.nan)[codes], index=column.index), "numeric"
    words = np.array([None if value is None else str(value) for value in texts], dtype=object)
    return pd.Series(words[codes], index=column.index, dtype=object), "categorical"


def is_identifier(name: str, values: pd.Series, kind: str) -> bool:
    """Return whether a column names its row rather than describes it."""
    held = values.dropna()
    share = held.nunique() / max(len(held), 1)
    if kind == "categorical":
        return held.nunique() > LARGEST_CATEGORY_COUNT and share > 0.5
    whole = bool((held == np.floor(held)).all())
    return whole and share >= DISTINCT_SHARE_OF_IDENTIFIER and bool(IDENTIFIER_NAME.search(name))


@dataclass(frozen=True)
class Encoder:
    """How columns become numbers: numeric ones as they are, categories one column per level.

    Parameters
    ----------
    columns
        Source columns in order.
    kinds
        Kind per source column.
    categories
        Levels per categorical column that get a column of their own; the rest is `OTHER_CATEGORY`.
    """

    columns: list[str]
    kinds: dict[str, str]
    categories: dict[str, list[str]] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        """Source column of each encoded column."""
        result: list[str] = []
        for name in self.columns:
            result.extend([name] * len(self.categories.get(name, [""])))
        return result

    def encoded(self, frame: pd.DataFrame) -> np.ndarray:
        """Return `frame` as a matrix, shape (rows, encoded columns), NaN where missing.

        Raises
        ------
        ValueError
            When a column is missing or a numeric one holds text.
        """
        absent = [name for name in self.columns if name not in frame.columns]
        if absent:
            message = f"Columns missing from the features: {', '.join(absent)}. The model was fitted with them."
            raise ValueError(message)
        parts: list[np.ndarray] = []
        for name in self.columns:
            values, kind = typed_column(frame[name])
            if self.kinds[name] == "numeric":
                if kind != "numeric" and values.notna().any():
                    message = f"Column {name!r} was numeric when the model was fitted and now holds text."
                    raise ValueError(message)
                parts.append(values.to_numpy(dtype=np.float64, na_value=np.nan)[:, None])
                continue
            texts = values.map(lambda value: None if pd.isna(value) else category_text(value))
            levels = self.categories[name]
            known = texts.where(texts.isna() | texts.isin(levels), OTHER_CATEGORY).to_numpy(dtype=object)
            parts.append(np.column_stack([(known == level).astype(np.float64) for level in levels]))
        return np.hstack(parts)


def category_text(value: Any) -> str:
    """Return a category as text; whole numbers without a decimal point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def fit_encoder(frame: pd.DataFrame, kinds: dict[str, str]) -> Encoder:
    """Return the encoder of the training rows; the rarest levels beyond `LARGEST_CATEGORY_COUNT` are merged."""
    categories: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        if kind == "categorical":
            counts = frame[name].dropna().astype(str).value_counts()
            ordered = sorted(counts.index, key=lambda level: (-counts[level], level))
            levels = sorted(ordered[:LARGEST_CATEGORY_COUNT])
            categories[name] = [*levels, OTHER_CATEGORY] if len(ordered) > len(levels) else levels
    return Encoder(list(kinds), dict(kinds), categories)


class Preparation(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Median for missing, log for skewed, winsor, scale to mean 0 and variance 1.

    Parameters
    ----------
    tail
        Share cut at each end by the winsor.
    skew_bound
        Absolute skewness above which a column is taken as sign(x) ln(1 + |x| / s), s its median magnitude
        for columns with negative values and 1 otherwise (log1p).
    with_indicators
        Whether a 0/1 column per source column with missing values is added.
    is_unit_free
        Whether s is the median magnitude for every column: then amounts in another currency give the same, and
        nothing (0) is near to little instead of far from everything.
    """

    def __init__(
        self,
        tail: float = 0.01,
        skew_bound: float = 1.0,
        *,
        with_indicators: bool = False,
        is_unit_free: bool = False,
    ) -> None:
        self.tail = tail
        self.skew_bound = skew_bound
        self.with_indicators = with_indicators
        self.is_unit_free = is_unit_free

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Preparation:  # noqa: ARG002, N803
        """Learn medians, skewed columns, winsor limits and scale from X, shape (rows, columns)."""
        values = np.asarray(X, dtype=np.float64)
        self.n_features_in_ = values.shape[1]
        self.median_ = np.array([np.nanmedian(column) if np.isfinite(column).any() else 0.0 for column in values.T])
        self.indicator_ = np.isnan(values).any(axis=0) & bool(self.with_indicators)
        filled = np.where(np.isnan(values), self.median_, values)
        low, high = np.quantile(filled, [self.tail, 1 - self.tail], axis=0)
        # A column that is constant between the limits (a rare flag) would vanish: keep its full range.
        flat = low == high
        self.lower_ = np.where(flat, filled.min(axis=0), low)
        self.upper_ = np.where(flat, filled.max(axis=0), high)
        clipped = np.clip(filled, self.lower_, self.upper_)
        centred = clipped - clipped.mean(axis=0)
        deviation = clipped.std(axis=0)
        safe = np.where(deviation > 0, deviation, 1.0)
        skewness = (centred**3).mean(axis=0) / safe**3
        few = np.array([len(np.unique(column)) <= 2 for column in clipped.T], dtype=bool)
        self.is_skewed_ = (np.abs(skewness) > self.skew_bound) & ~few
        magnitude = np.array(
            [
                np.median(np.abs(column[column != 0]))
                if (self.is_unit_free or (column < 0).any()) and (column != 0).any()
                else 1.0
                for column in clipped.T
            ]
        )
        self.unit_ = np.where(magnitude > 0, magnitude, 1.0)
        logged = self._logged(clipped)
        self.mean_ = logged.mean(axis=0)
        spread = logged.std(axis=0)
        self.scale_ = np.where(spread > 1e-12, spread, 1.0)
        return self

    def _logged(self, clipped: np.ndarray) -> np.ndarray:
        logged = np.sign(clipped) * np.log1p(np.abs(clipped) / self.unit_)
        return np.where(self.is_skewed_, logged, clipped)

    def transform(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return X prepared, shape (rows, columns + indicators)."""
        values = np.asarray(X, dtype=np.float64)
        missing = np.isnan(values)
        filled = np.where(missing, self.median_, values)
        prepared = (self._logged(np.clip(filled, self.lower_, self.upper_)) - self.mean_) / self.scale_
        if self.indicator_.any():
            return np.hstack([prepared, missing[:, self.indicator_].astype(np.float64)])
        return np.asarray(prepared)


PREVIOUS_SUFFIX = "_previous"
OF_ASSETS_SUFFIX = "_of_assets_ratio"


def against_suffix(months: int) -> str:
    """Return the suffix of a column that compares a value with the own mean of the months before."""
    return f"_against_{months}m"


def share_suffix(months: int) -> str:
    """Return the suffix of a column that gives a value as a share of the own mean of the months before."""
    return f"_of_{months}m_ratio"


def spread_suffix(months: int) -> str:
    """Return the suffix of a column that gives the own spread over the months before as a share of their mean."""
    return f"_spread_{months}m_ratio"


def label_pair(names: dict[str, tuple[str, str]], column: str) -> tuple[str, str]:
    """Return the English and Chinese label of a column; its name in words when it has none.

    Examples
    --------
    >>> label_pair(COLUMN_LABELS, "age")
    ('age', '年龄')
    >>> label_pair(COLUMN_LABELS, "aum_average_against_6m")
    ('average assets against the own mean of 6 months', '月日均资产较本人前6个月均值')
    >>> label_pair(COLUMN_LABELS, "outflow_3m_previous")
    ('outflow in 3 months, to the end of the month before', '截至上月末近3个月流出金额')
    """
    if column in names:
        return names[column]
    compared = re.fullmatch(r"(.+)_against_(\d+)m", column)
    if compared:
        english, chinese = label_pair(names, compared.group(1))
        months = compared.group(2)
        return f"{english} against the own mean of {months} months", f"{chinese}较本人前{months}个月均值"
    shared = re.fullmatch(r"(.+)_(of|spread)_(\d+)m_ratio", column)
    if shared:
        english, chinese = label_pair(names, shared.group(1))
        months = shared.group(3)
        if shared.group(2) == "spread":
            return f"fluctuation of {english} over {months} months", f"前{months}个月{chinese}波动率"
        return f"{english} as a share of the own mean of {months} months", f"{chinese}占本人前{months}个月均值比例"
    if column == f"aum_average{OF_ASSETS_SUFFIX}":
        return "average assets of the month against those of 3 months", "当月日均资产与近3个月日均资产之比"
    if column.endswith(OF_ASSETS_SUFFIX):
        english, chinese = label_pair(names, column.removesuffix(OF_ASSETS_SUFFIX))
        return f"{english} as a share of the own average assets", f"{chinese}占本人日均资产比例"
    if column.endswith(PREVIOUS_SUFFIX):
        return previous_label(*label_pair(names, column.removesuffix(PREVIOUS_SUFFIX)))
    words = column.replace("_", " ")
    return words, words


def previous_label(english: str, chinese: str) -> tuple[str, str]:
    """Return the label of a column a month earlier, whatever period the column is about.

    Examples
    --------
    >>> previous_label("outflow in the month", "当月流出金额")
    ('outflow in the month before', '上月流出金额')
    >>> previous_label("assets at month end", "月末资产")
    ('assets at the end of the month before', '上月末资产')
    """
    if "in the month" in english:
        english = english.replace("in the month", "in the month before")
    elif english.endswith(" at month end"):
        english = f"{english.removesuffix(' at month end')} at the end of the month before"
    elif re.search(r"\b(in|over|within|last) (the )?(last )?\d+\b", english):
        english = f"{english}, to the end of the month before"
    else:
        english = f"{english} the month before"
    if "当月" in chinese:
        chinese = chinese.replace("当月", "上月")
    elif re.search(r"[近前]?\d+个月", chinese):
        chinese = f"截至上月末{chinese}"
    else:
        chinese = f"上{chinese}" if chinese.startswith("月") else f"上月{chinese}"
    return english, chinese


FLAG_NAME = re.compile(r"^(is|has|was)_|_stopped$")
"""Names of columns that hold yes or no."""


def shown_value(column: str, value: float | str | None, language: str) -> str:
    """Return a value as a reader expects it, judged by the suffix of its column.

    Examples
    --------
    >>> shown_value("digital_share_3m_ratio", 0.25, "en"), shown_value("aum_average", 1234567.8, "en")
    ('25%', '1,234,568')
    >>> shown_value("salary_stopped", 1.0, "en"), shown_value("has_payroll", 0.0, "zh")
    ('yes', '否')
    """
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "missing" if language == "en" else "缺失"
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)) or (FLAG_NAME.search(column) and value in (0, 1)):
        words = ("yes", "no") if language == "en" else ("是", "否")
        return words[0] if value else words[1]
    if re.search(r"(_ratio|_share)(_|$)", column):
        shown = f"{value * 100:.0f}%"
    elif re.search(r"(_rate|rate_gap)(_|$)", column):
        shown = f"{value * 100:.2f}%"
    elif abs(value) >= 1000:
        shown = f"{value:,.0f}"
    else:
        shown = f"{value:.4g}"
    # A small negative number may be rounded to nothing, which has no sign.
    return shown if re.search(r"[1-9a-z]", shown) else shown.removeprefix("-")


def joined_words(words: Sequence[str], language: str) -> str:
    """Return words as a list in a sentence."""
    return ("、" if language == "zh" else ", ").join(words)


COLUMN_LABELS: dict[str, tuple[str, str]] = {
    "accounts_open": ("number of open accounts", "存续账户数"),
    "active_months_6m": ("number of active months in the last 6", "近6个月活跃月数"),
    "age": ("age", "年龄"),
    "atm_transactions_3m": ("number of ATM transactions in 3 months", "近3个月ATM交易笔数"),
    "aum_average": ("average assets", "月日均资产"),
    "aum_average_halved_12m_ratio": (
        "share of the last 12 months in which assets had halved",
        "近12个月中资产减半的月份占比",
    ),
    "aum_change_3m_ratio": ("change of assets over 3 months", "近3个月资产变动率"),
    "aum_end": ("assets at month end", "月末资产"),
    "branch_transactions_3m": ("number of branch transactions in 3 months", "近3个月网点交易笔数"),
    "closed_products_6m": ("number of products closed early in 6 months", "近6个月提前关闭产品数"),
    "complaint_longest_wait_days_6m": ("longest wait of a complaint in 6 months", "近6个月投诉最长等待天数"),
    "complaints_12m": ("number of complaints in 12 months", "近12个月投诉次数"),
    "complaints_open": ("number of open complaints", "未结投诉数"),
    "counter_share_3m": ("share of transactions at the counter", "近3个月柜面交易占比"),
    "customer_transactions_1m": ("number of own transactions in the month", "当月主动交易笔数"),
    "customer_transactions_3m": ("number of own transactions in 3 months", "近3个月主动交易笔数"),
    "days_since_last_customer_transaction": ("days since the last own transaction", "距上次主动交易天数"),
    "days_since_unanswered_complaint": ("days that the oldest open complaint has waited", "最久未结投诉天数"),
    "digital_share_3m": ("share of digital transactions", "近3个月线上交易占比"),
    "external_outflow_3m": ("amount moved to other banks in 3 months", "近3个月转往他行金额"),
    "external_outflow_3m_ratio": ("share of the outflow that leaves the bank", "近3个月外流占流出比"),
    "gender": ("gender", "性别"),
    "has_credit_card": ("credit card", "持有信用卡"),
    "has_mortgage": ("mortgage", "持有住房按揭"),
    "has_payroll": ("salary paid here", "代发工资"),
    "has_wealth": ("wealth or fund product", "持有理财类产品"),
    "inflow_3m": ("inflow in 3 months", "近3个月流入金额"),
    "lum_end": ("loans at month end", "月末贷款余额"),
    "mobile_transactions_3m": ("number of mobile transactions in 3 months", "近3个月手机银行交易笔数"),
    "money_fund_outflow_3m": ("amount moved to money funds in 3 months", "近3个月转往货币基金金额"),
    "other_bank_outflow_3m": ("amount moved to accounts at other banks in 3 months", "近3个月转往他行账户金额"),
    "outflow_3m": ("outflow in 3 months", "近3个月流出金额"),
    "products_held": ("number of products held", "持有产品数"),
    "rate_gap": ("gap to the market rate", "与市场利率差"),
    "salary_months_3m": ("number of months with salary in the last 3", "近3个月代发工资月数"),
    "salary_stopped": ("salary stopped", "工资停发"),
    "tenure_months": ("tenure in months", "在行月数"),
    "term_maturing_3m": ("deposits maturing within 3 months", "3个月内到期定期金额"),
    "wallet_outflow_3m": ("amount moved to wallets in 3 months", "近3个月转往第三方钱包金额"),
    "window_dressing_ratio": ("month-end assets against their average", "月末冲时点比率"),
}
"""Labels (English, Chinese) of the features the warehouse delivers; a caller may pass others."""
