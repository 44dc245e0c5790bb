"""What every miner shares: refusals, run records, canonical order, hashes and rounding.

A miner never publishes a made-up figure. What it cannot show it refuses, with a code, a sentence in English
and one in Chinese, what was found and what would be needed. Statistics live in `mining.metrics`,
the preparation of columns in `mining.preparation`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

SIGNIFICANT_DIGITS = 10
"""Floats are published to this many significant digits, so that equal runs give equal rows."""

METRIC_COLUMNS = ("run_id", "subject", "metric", "value", "lower", "upper")


@dataclass(frozen=True)
class Refusal:
    """One reason why a miner does not publish.

    Parameters
    ----------
    code
        Short stable name of the gate, e.g. ``too_few_customers``.
    sentence_en, sentence_zh
        The reason in words.
    found
        What the gate measured.
    needed
        What would have passed.
    """

    code: str
    sentence_en: str
    sentence_zh: str
    found: str
    needed: str


@dataclass(frozen=True)
class Run:
    """What identifies a run of a miner: inputs, parameters, window and population.

    Notes
    -----
    `run_id` is a hash of the miner, its parameters and its input; two runs with equal inputs have equal ids.
    `feature_hash` covers the names and kinds of the columns, `data_hash` also their values.
    """

    miner: str
    run_id: str
    seed: int
    parameters: str
    window_from: str | None
    window_to: str | None
    persons: int
    rows: int
    feature_count: int
    feature_hash: str
    data_hash: str
    method_en: str
    method_zh: str
    is_refused: bool

    def frame(self) -> pd.DataFrame:
        """Return the run as a frame of one row."""
        return pd.DataFrame([dataclasses.asdict(self)])


class MinerResult(Protocol):
    """What every miner returns, however it got there."""

    @property
    def run(self) -> Run:
        """The run's identity."""

    @property
    def metrics(self) -> pd.DataFrame:
        """Metrics with their intervals, columns `METRIC_COLUMNS`."""

    @property
    def refusals(self) -> list[Refusal]:
        """Why nothing is published; empty when something is."""

    @property
    def is_refused(self) -> bool:
        """Whether the run ended in a refusal."""

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return every table of the result, by name."""


def rounded(value: float) -> float:
    """Return `value` with `SIGNIFICANT_DIGITS` significant digits.

    Examples
    --------
    >>> rounded(0.1 + 0.2)
    0.3
    """
    if not math.isfinite(value) or value == 0:
        return float(value)
    return float(f"{value:.{SIGNIFICANT_DIGITS - 1}e}")


def rounded_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with every float column rounded to `SIGNIFICANT_DIGITS` digits and a fresh row index."""
    result = frame.reset_index(drop=True).copy()
    for column in result.columns:
        if pd.api.types.is_float_dtype(result[column].dtype):
            values = result[column].to_numpy(dtype=np.float64, na_value=np.nan)
            with np.errstate(all="ignore"):
                magnitude = np.floor(np.log10(np.abs(values)))
            shown = np.char.mod(f"%.{SIGNIFICANT_DIGITS - 1}e", values).astype(np.float64)
            result[column] = np.where(np.isfinite(magnitude), shown, values)
    return result


def text_hash(*parts: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of `parts`, separated unambiguously."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()[:16]


def hashed_shares(keys: pd.Series, seed: int, purpose: str) -> np.ndarray:
    """Return a number in [0, 1) per key that depends on nothing but key, seed and purpose.

    Splits made from it do not change when other persons come or go.

    Parameters
    ----------
    keys
        Identifiers of persons; compared as text, so 7 and "7" are one person.
    seed
        Seed of the run.
    purpose
        Name of the split; different purposes are independent of each other.

    Returns
    -------
    numpy.ndarray
        Shape (len(keys),).
    """
    hash_key = hashlib.sha256(f"{seed}|{purpose}".encode()).hexdigest()[:16]
    texts = keys.astype(str).to_numpy(dtype=object)
    hashes = pd.util.hash_array(texts, hash_key=hash_key, categorize=True)
    # 53 bits are what a float holds exactly.
    return (hashes >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def canonical_order(frame: pd.DataFrame, keys: Sequence[str]) -> np.ndarray:
    """Return the positions that put rows in an order independent of how they arrived.

    Rows are ordered by `keys` as text, then by a hash of the whole row, so duplicates of a key have
    one order too.
    """
    content = pd.util.hash_pandas_object(hashable(frame), index=False).to_numpy()
    levels = [content]
    levels.extend(frame[key].astype(str).to_numpy(dtype=object).astype(str) for key in reversed(keys))
    return np.lexsort(levels)


def hashable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with the columns pandas cannot hash (mixed objects) as text."""
    result = frame.copy()
    for column in result.columns:
        if result[column].dtype == object:
            result[column] = result[column].astype(str)
    return result


def data_hash(frame: pd.DataFrame) -> str:
    """Return a hash of the values of `frame`, in the order of its rows and columns."""
    content = pd.util.hash_pandas_object(hashable(frame), index=False).to_numpy()
    names = "|".join(map(str, frame.columns))
    return text_hash(names, hashlib.sha256(content.tobytes()).hexdigest())


def feature_hash(kinds: Mapping[str, str]) -> str:
    """Return a hash of the names and kinds of the feature columns."""
    return text_hash(*(f"{name}:{kinds[name]}" for name in sorted(kinds)))


def parameters_text(settings: Any) -> str:
    """Return the settings dataclass as JSON with sorted keys."""
    return json.dumps(dataclasses.asdict(settings), sort_keys=True, ensure_ascii=False, default=str)


def metric_rows(rows: Sequence[tuple[str, str, float, float, float]], run_id: str) -> pd.DataFrame:
    """Return the metric table of a run from (subject, metric, value, lower, upper)."""
    frame = pd.DataFrame(
        [(run_id, *row) for row in rows],
        columns=list(METRIC_COLUMNS),
    )
    for column in ("value", "lower", "upper"):
        frame[column] = frame[column].astype(float)
    return rounded_frame(frame)


def refusal_frame(refusals: Sequence[Refusal], run_id: str) -> pd.DataFrame:
    """Return the refusals of a run as a table; no row when nothing was refused."""
    columns = ["run_id", "code", "sentence_en", "sentence_zh", "found", "needed"]
    return pd.DataFrame(
        [(run_id, item.code, item.sentence_en, item.sentence_zh, item.found, item.needed) for item in refusals],
        columns=columns,
    ).astype(object)


def month_texts(values: pd.Series) -> pd.Series:
    """Return months (dates, timestamps, periods or ISO text) as the ISO date given, text that sorts by time.

    Raises
    ------
    ValueError
        When a value is no date.
    """
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp(how="end")
    # A panel repeats few months many times: each is read once.
    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    try:
        moments = pd.to_datetime(pd.Series(distinct, name=values.name))
    except (ValueError, TypeError) as error:
        message = f"Column {values.name!r}: a value is not a date. Give dates such as 2024-06-30 (one per month)."
        raise ValueError(message) from error
    return pd.Series(
        moments.dt.strftime("%Y-%m-%d").to_numpy(dtype=object)[codes], index=values.index, name=values.name
    )
