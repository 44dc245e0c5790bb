"""The next best product of each person: what they are likely to take up next of what suits them, and why.

Belongs here: eligibility, the probability to take up a product in the next period, the list, its proof against
popularity, and the sentence. Does not belong here: what a product earns and whom it may be sold to (data of the bank).

How it works
------------
Association says what is held together, not what comes next; so the probability is learnt from time-ordered pairs: what
persons held at a date, and what they took up in the period after it. For each product with enough take-ups a logistic
regression on the other products held, age band and assets band gives it; for the others it is the share of all.
Everything is proven out of time: learnt on the period before the last, judged on the last, against always naming the
most popular products the person may buy. Without that proof nothing is published.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression

from mining.association.baskets import BasketError
from mining.association.discovery import round_significant
from mining.association.holdings import Flags, Holdings
from mining.association.significance import wilson_interval
from mining.gates import METRIC_COLUMNS, Refusal
from mining.knowledge.interpretation import in_months, percent

__all__ = [
    "LIST_COLUMNS",
    "NextProductResult",
    "NextProductSettings",
    "Period",
    "eligible_products",
    "periods_of",
    "recommend",
]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

LIST_COLUMNS = {
    "run_id": "str",
    "person_id": "str",
    "rank": "int64",
    "item": "str",
    "probability": "float64",
    "expected_margin": "object",
    "expected_value": "object",
    "speaks_for_it": "str",
    "speaking_count": "int64",
    "speaking_taken_up": "int64",
    "all_count": "int64",
    "all_taken_up": "int64",
    "sentence_en": "str",
    "sentence_zh": "str",
}
"""Columns of the published list, in order; both margins are Decimal, absent where the bank does not say them."""
ALGORITHM = "next-product-1"


@dataclass(frozen=True, kw_only=True)
class NextProductSettings:
    """How the list is made and when it is refused.

    Attributes
    ----------
    top : int
        Products named per person.
    months : int
        Length of a period.
    minimum_taken_up : int
        Take-ups of a product from which on its probability is learnt; below, the share of all is used.
    minimum_persons : int
        Persons who took something up in the last period: with fewer nothing can be proven, and the run is refused.
    confidence_level : float
        Of the intervals.
    """

    top: int = 3
    months: int = 6
    minimum_taken_up: int = 30
    minimum_persons: int = 100
    confidence_level: float = 0.95

    def __post_init__(self) -> None:
        for name in ("top", "months", "minimum_taken_up", "minimum_persons"):
            if getattr(self, name) < 1:
                raise BasketError(f"{name} is {getattr(self, name)!r}; it must be a whole number of 1 or more.")


@dataclass(frozen=True, eq=False)
class Period:
    """A date and what followed it, rows the same persons throughout.

    Attributes
    ----------
    held : ndarray of bool, shape (persons, items)
        At the date.
    bands : sequence of Series
        Attributes of each person at the date (age band, assets band); absent values are a band.
    eligible : ndarray of bool, shape (persons, items)
        What each could have been offered at the date.
    taken_up : ndarray of bool, shape (persons, items), or None
        What each began to hold in the period after it; None where that is not known yet.
    """

    held: Flags
    bands: Sequence[pd.Series]
    eligible: Flags
    taken_up: Flags | None


@dataclass(frozen=True)
class NextProductResult:
    """What was found.

    Attributes
    ----------
    run_id : str
        Hash of the input and the settings.
    products : DataFrame
        `LIST_COLUMNS`, by person and rank; empty when refused.
    metrics : DataFrame
        `METRIC_COLUMNS`: hit rates with intervals, coverage.
    refusals : tuple of Refusal
        Why nothing is published.
    """

    run_id: str
    products: pd.DataFrame
    metrics: pd.DataFrame
    refusals: tuple[Refusal, ...]


def eligible_products(persons: pd.DataFrame, products: pd.DataFrame, held: Flags) -> Flags:
    """Return which products may be offered to whom.

    Parameters
    ----------
    persons : DataFrame
        One row per row of `held`: ``is_reachable`` (customer, alive, willing), ``party_type``, ``age``,
        ``risk_profile``.
    products : DataFrame
        One row per column of `held`: ``is_offered``, ``audience``, ``minimum_age``, ``risk_level``.
    held : ndarray of bool
        What each person holds: it is not offered again.

    Notes
    -----
    Suitability: a product of a risk level is offered to those whose assessed profile reaches it; without an assessment
    only level 1 and products without a level. An absent age does not reach a minimum age. An absent audience is both.
    A product of which nothing is known is not offered.

    Examples
    --------
    >>> persons = pd.DataFrame(
    ...     {"is_reachable": [True, True], "party_type": ["personal"] * 2, "age": [16, 40], "risk_profile": [5, None]}
    ... )
    >>> products = pd.DataFrame(
    ...     {
    ...         "is_offered": [True] * 2,
    ...         "audience": ["personal", None],
    ...         "minimum_age": [18, None],
    ...         "risk_level": [None, 3],
    ...     }
    ... )
    >>> eligible_products(persons, products, np.zeros((2, 2), dtype=bool)).tolist()
    [[False, True], [True, False]]
    """
    profile = persons["risk_profile"].astype("float64").fillna(1).to_numpy()[:, None]
    level = products["risk_level"].astype("float64").fillna(1).to_numpy()[None, :]
    age = persons["age"].astype("float64").fillna(-1).to_numpy()[:, None]
    youngest = products["minimum_age"].astype("float64").fillna(-1).to_numpy()[None, :]
    audience = products["audience"].to_numpy(dtype=object)[None, :]
    of_audience = (audience == persons["party_type"].to_numpy(dtype=object)[:, None]) | products[
        "audience"
    ].isna().to_numpy()[None, :]
    allowed: Flags = (
        ~held
        & persons["is_reachable"].to_numpy(dtype=bool)[:, None]
        & products["is_offered"].eq(True).fillna(False).to_numpy(dtype=bool)[None, :]
        & of_audience.astype(bool)
        & (profile >= level)
        & (age >= youngest)
    )
    return allowed


def periods_of(
    holdings: Holdings, persons: Sequence[pd.DataFrame], products: pd.DataFrame, days: Sequence[date]
) -> tuple[Period, Period, Period]:
    """Return the period before the last, the last, and the date of the list, as `recommend` takes them.

    Parameters
    ----------
    holdings : Holdings
        Who held what when.
    persons : sequence of three DataFrames
        At each of the days, indexed by ``person_id``: what `eligible_products` asks for, ``age_band`` and
        ``aum_decile``. A person without a row, or who holds nothing then, is offered nothing.
    products : DataFrame
        Indexed by item, as `eligible_products` asks for.
    days : sequence of three dates
        When each period begins, the last one being the date of the list.
    """
    products = products.reindex(list(holdings.items))
    made = []
    for day, until, known in zip(days, [*days[1:], None], persons, strict=True):
        held, there = holdings.held_at(day), known.reindex(pd.Index(holdings.persons))
        there["is_reachable"] = there["is_reachable"].eq(True) & np.asarray(held.any(axis=1))
        made.append(
            Period(
                held=held,
                bands=[there["age_band"], there["aum_decile"]],
                eligible=eligible_products(there, products, held),
                taken_up=None if until is None else holdings.opened_within(day, until),
            )
        )
    before, last, now = made
    return before, last, now


def recommend(
    persons: Sequence[str],
    items: Sequence[str],
    *,
    before: Period,
    last: Period,
    now: Period,
    margins: Sequence[object],
    labels: Mapping[str, tuple[str, str]] | None = None,
    settings: NextProductSettings | None = None,
) -> NextProductResult:
    """Name the next best products of each person, if the list is proven.

    Parameters
    ----------
    persons, items : sequence of str
        Names of the rows and columns of every matrix.
    before, last, now : Period
        Two periods ago, one period ago, and the date of the list (`taken_up` is None there).
    margins : sequence of Decimal or None
        Expected margin of each item in a year, in base currency; None where it is not known.
    labels : mapping, optional
        For each item its (English, Chinese) name.
    settings : NextProductSettings, optional
        Bounds.

    Notes
    -----
    The `top` most probable products are the list, in the order of expected margin times probability; where a margin is
    not known, in the order of probability after those with one. To choose by the product of both instead fills the
    lists of nearly everybody with the one or two products of the largest margin; the hit rate of that choice is
    measured beside.
    """
    bounds = settings or NextProductSettings()
    run_id = _run_name(persons, items, (before, last, now), margins, bounds)
    learnt = _Model.fit(before, bounds)
    if last.taken_up is None:
        raise BasketError("The last period needs what was taken up in it.")
    taken_up = last.taken_up & last.eligible
    judged: Flags = np.asarray(taken_up.any(axis=1))
    proof = _proof(learnt, last, taken_up, margins, bounds)
    refusals = _refusals(int(judged.sum()), proof, bounds)
    rows = [(run_id, *row) for row in proof]
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in LIST_COLUMNS.items()})
    if refusals:
        return NextProductResult(run_id, empty, pd.DataFrame(rows, columns=list(METRIC_COLUMNS)), refusals)
    model = _Model.fit(last, bounds)
    products = _listed((persons, items), model, (last, now), margins=margins, labels=labels or {}, settings=bounds)
    products.insert(0, "run_id", run_id)
    customers = int((now.held | now.eligible).any(axis=1).sum())
    covered = products["person_id"].nunique()
    rows += [
        (run_id, "list", "persons_with_an_offer", float(covered), None, None),
        (run_id, "list", "coverage", covered / customers if customers else None, None, None),
        (run_id, "list", "items_offered", float(products["item"].nunique()), None, None),
    ]
    return NextProductResult(run_id, products, pd.DataFrame(rows, columns=list(METRIC_COLUMNS)), ())


@dataclass(frozen=True, eq=False)
class _Model:
    """Probability to take up each item in a period: learnt where there were enough take-ups, else the share of all."""

    popularity: Floats
    categories: tuple[tuple[object, ...], ...]
    fitted: Mapping[int, LogisticRegression]

    @classmethod
    def fit(cls, period: Period, settings: NextProductSettings) -> _Model:
        if period.taken_up is None:
            raise BasketError("A period to learn from needs what was taken up in it.")
        eligible, taken_up = period.eligible, period.taken_up & period.eligible
        offered, taken = eligible.sum(axis=0), taken_up.sum(axis=0)
        categories = tuple(tuple(sorted(set(_text(band)))) for band in period.bands)
        columns = _columns(period, categories)
        # Persons who look alike are one row with a weight: a few thousand rows whatever the number of customers.
        alike, number = np.unique(columns, axis=0, return_inverse=True)
        number = number.ravel()
        fitted = {}
        for item in np.flatnonzero(taken >= settings.minimum_taken_up).tolist():
            yes = np.bincount(number[taken_up[:, item]], minlength=len(alike))
            no = np.bincount(number[eligible[:, item] & ~taken_up[:, item]], minlength=len(alike))
            if not no.any():
                continue
            rows = np.concatenate([np.flatnonzero(yes), np.flatnonzero(no)])
            answers = np.repeat([1, 0], [np.count_nonzero(yes), np.count_nonzero(no)])
            weights = np.concatenate([yes[yes > 0], no[no > 0]])
            fitted[item] = LogisticRegression(C=1.0, max_iter=500).fit(alike[rows], answers, sample_weight=weights)
        return cls(taken / np.maximum(offered, 1), categories, fitted)

    def probability(self, period: Period) -> Floats:
        """Return the probability of each person and item, shape (persons, items)."""
        columns = _columns(period, self.categories)
        alike, number = np.unique(columns, axis=0, return_inverse=True)
        values = np.tile(self.popularity, (len(alike), 1))
        for item, model in self.fitted.items():
            values[:, item] = model.predict_proba(alike)[:, 1]
        rounded: Floats = np.round(values, 10)[number.ravel()]  # equal persons stay equal on any machine
        return rounded


def _text(band: pd.Series) -> npt.NDArray[np.object_]:
    return band.astype(object).where(band.notna(), "absent").astype(str).to_numpy(dtype=object)


def _columns(period: Period, categories: Sequence[Sequence[object]]) -> npt.NDArray[np.float64]:
    parts = [period.held.astype(np.float64)]
    for band, names in zip(period.bands, categories, strict=True):
        parts.append((_text(band)[:, None] == np.array(names, dtype=object)[None, :]).astype(np.float64))
    return np.hstack(parts)


def _known_margins(margins: Sequence[object]) -> Floats:
    """Return each item's expected margin; not a number where it is not known."""
    return np.array([math.nan if margin is None else float(str(margin)) for margin in margins])


def _values(probability: Floats, margins: Floats) -> Floats:
    """Return expected margin times probability; below every known value where the margin is not known.

    Not minus infinity: that is the score of what may not be offered.
    """
    return np.nan_to_num(probability * margins, nan=np.finfo(np.float64).min)


def _top(score: Floats, eligible: Flags, top: int) -> npt.NDArray[np.int64]:
    """Return the places of the best eligible items of each person, best first, -1 where there are no more."""
    ranked = np.argsort(-np.where(eligible, score, -np.inf), axis=1, kind="stable")[:, :top]
    return np.where(np.take_along_axis(eligible, ranked, axis=1), ranked, -1)


def _proof(
    model: _Model,
    period: Period,
    taken_up: Flags,
    margins: Sequence[object],
    settings: NextProductSettings,
) -> list[tuple[str, str, float | None, float | None, float | None]]:
    """Return hit rates of the list, of popularity, and of their difference in the period after the one learnt from."""
    judged: Flags = np.asarray(taken_up.any(axis=1))
    count = int(judged.sum())
    metric = f"hit_rate_at_{settings.top}"
    if not count:
        return [(name, metric, None, None, None) for name in ("model", "popularity", "difference")]
    eligible = period.eligible[judged]
    probability = model.probability(period)[judged]
    popularity = np.broadcast_to(model.popularity, probability.shape)

    def hits(score: Floats) -> Flags:
        named = _top(score, eligible, settings.top)
        found = np.take_along_axis(taken_up[judged], np.maximum(named, 0), axis=1) & (named >= 0)
        return np.asarray(found.any(axis=1), dtype=np.bool_)

    ours, theirs = hits(probability), hits(popularity)
    z = NormalDist().inv_cdf(0.5 + settings.confidence_level / 2)
    rows: list[tuple[str, str, float | None, float | None, float | None]] = []
    by_value = hits(_values(probability, _known_margins(margins)))
    for name, found in (("model", ours), ("popularity", theirs), ("by_expected_value_alone", by_value)):
        lower, upper = wilson_interval(found.sum(keepdims=True), [count], settings.confidence_level)
        rows.append((name, metric, float(found.mean()), float(lower[0]), float(upper[0])))
    difference = ours.astype(np.int64) - theirs
    mean, error = float(difference.mean()), float(difference.std()) / math.sqrt(count)
    rows.append(("difference", metric, mean, mean - z * error, mean + z * error))
    rows.append(("model", "persons_judged", float(count), None, None))
    return rows


def _refusals(
    judged: int, proof: list[tuple[str, str, float | None, float | None, float | None]], settings: NextProductSettings
) -> tuple[Refusal, ...]:
    if judged < settings.minimum_persons:
        return (
            Refusal(
                "too_few_taken_up",
                f"Only {judged:,} persons took up a product in the last {in_months(settings.months)}; "
                f"{settings.minimum_persons:,} are needed to prove a list of next products.",
                f"近{settings.months}个月仅有{judged:,}位客户新增产品，证明推荐有效至少需要{settings.minimum_persons:,}位。",
                f"{judged:,}",
                f">= {settings.minimum_persons:,}",
            ),
        )
    rates = {
        name: (value, lower, upper) for name, metric, value, lower, upper in proof if metric.startswith("hit_rate")
    }
    difference, lower, upper = rates["difference"]
    if lower is None or lower <= 0 or difference is None or upper is None:
        ours, theirs = rates["model"][0] or 0.0, rates["popularity"][0] or 0.0
        found = f"{100 * ours:.1f} % against {100 * theirs:.1f} %"
        return (
            Refusal(
                "no_better_than_popularity",
                f"The list does not beat naming the most popular products: of {judged:,} persons who took something "
                f"up, it named it for {found} by popularity (hit rate at {settings.top}).",
                f"推荐未优于按热门程度推荐：在{judged:,}位新增产品的客户中，前{settings.top}项命中率为"
                f"{100 * ours:.1f}%，热门推荐为{100 * theirs:.1f}%。",
                found,
                "the lower bound of the difference above 0",
            ),
        )
    return ()


def _listed(
    names: tuple[Sequence[str], Sequence[str]],
    model: _Model,
    periods: tuple[Period, Period],
    *,
    margins: Sequence[object],
    labels: Mapping[str, tuple[str, str]],
    settings: NextProductSettings,
) -> pd.DataFrame:
    """Return the list of everybody with the reason of each line."""
    (persons, items), (last, now) = names, periods
    probability = model.probability(now)
    named: Places = _top(probability, now.eligible, settings.top)
    chosen = np.take_along_axis(probability, np.maximum(named, 0), axis=1)
    value = np.where(named >= 0, _values(chosen, _known_margins(margins)[np.maximum(named, 0)]), -np.inf)
    # stable: what has no margin stays in the order of probability, and absent places stay last
    named = np.take_along_axis(named, np.argsort(-value, axis=1, kind="stable"), axis=1)
    person, place = np.nonzero(named >= 0)
    item = named[person, place]
    share = probability[person, item]
    evidence = _pair_evidence(last)
    antecedent = _speaking(evidence, now.held, person, item)
    counts = {
        "speaking_count": evidence.exposed[antecedent, item],
        "speaking_taken_up": evidence.taken_up[antecedent, item],
        "all_count": evidence.everybody[item],
        "all_taken_up": evidence.everybody_taken_up[item],
    }
    nothing = antecedent < 0
    counts["speaking_count"] = np.where(nothing, counts["all_count"], counts["speaking_count"])
    counts["speaking_taken_up"] = np.where(nothing, counts["all_taken_up"], counts["speaking_taken_up"])
    money = [_money(margins[place_]) for place_ in range(len(items))]
    frame = pd.DataFrame(
        {
            "person_id": np.asarray(persons, dtype=object)[person],
            "rank": place + 1,
            "item": np.asarray(items, dtype=object)[item],
            "probability": share,
            "expected_margin": [money[one] for one in item],
            "expected_value": [
                None if money[one] is None else _times(money[one], p) for one, p in zip(item, share, strict=True)
            ],
            "speaks_for_it": [None if one < 0 else items[one] for one in antecedent],
            **counts,
        }
    )
    frame["probability"] = round_significant(frame["probability"].to_numpy(dtype=np.float64))
    made: dict[tuple[int, int], tuple[str, str]] = {}
    for one, other, numbers in zip(
        antecedent.tolist(), item.tolist(), np.column_stack(list(counts.values())).tolist(), strict=True
    ):
        if (one, other) not in made:
            made[one, other] = _sentence(
                None if one < 0 else items[one], items[other], numbers, labels, settings.months
            )
    sentences = [made[pair] for pair in zip(antecedent.tolist(), item.tolist(), strict=True)]
    frame["sentence_en"] = [english for english, _ in sentences]
    frame["sentence_zh"] = [chinese for _, chinese in sentences]
    return frame[[name for name in LIST_COLUMNS if name != "run_id"]]


@dataclass(frozen=True)
class _PairEvidence:
    """Time-ordered counts of the last period, by item held (rows) and item taken up (columns).

    `exposed` held the row's item, lacked the column's and could be offered it; `taken_up` of them took it up. Those
    for everybody who could be offered it are in the other two.
    """

    exposed: npt.NDArray[np.int64]
    taken_up: npt.NDArray[np.int64]
    everybody: npt.NDArray[np.int64]
    everybody_taken_up: npt.NDArray[np.int64]


def _pair_evidence(period: Period) -> _PairEvidence:
    held = period.held.astype(np.float64)
    eligible = period.eligible.astype(np.float64)
    taken_up = (period.taken_up & period.eligible).astype(np.float64) if period.taken_up is not None else 0 * eligible
    return _PairEvidence(
        *((held.T @ of).astype(np.int64) for of in (eligible, taken_up)),
        *(of.sum(axis=0).astype(np.int64) for of in (eligible, taken_up)),
    )


SMALLEST_SPEAKING_COUNT = 30
"""Persons behind a statement about a pair: with fewer its share says little."""


def _speaking(
    evidence: _PairEvidence, held: Flags, person: npt.NDArray[np.int64], item: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return for each line the held item whose holders took the product up most often; -1: none above the average."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(evidence.exposed >= SMALLEST_SPEAKING_COUNT, evidence.taken_up / evidence.exposed, -np.inf)
        of_all = evidence.everybody_taken_up / np.maximum(evidence.everybody, 1)
    best = np.where(share > of_all, share, -np.inf)
    speaking = np.empty(len(person), dtype=np.int64)
    for start in range(0, len(person), 1 << 16):
        some = slice(start, start + (1 << 16))
        of_line = np.where(held[person[some]], best[:, item[some]].T, -np.inf)
        place = of_line.argmax(axis=1)
        speaking[some] = np.where(np.isfinite(of_line[np.arange(len(place)), place]), place, -1)
    return speaking


def _sentence(
    held: str | None, item: str, numbers: Sequence[int], labels: Mapping[str, tuple[str, str]], months: int
) -> tuple[str, str]:
    """Return the reason in English and Chinese, from the counts of the last period."""
    exposed, taken_up, everybody, of_everybody = numbers
    english_item, chinese_item = labels.get(item, (item, item))
    average = percent(of_everybody / max(everybody, 1))
    if held is None:
        return (
            f"{of_everybody:,} of {everybody:,} persons who could be offered {english_item} took it up in the last "
            f"{in_months(months)} ({average} %); no product this person holds says more.",
            f"近{months}个月，在可推荐{chinese_item}的{everybody:,}位客户中有{of_everybody:,}位新开（{average}%）；"
            "该客户持有的产品未提供更强依据。",
        )
    english_held, chinese_held = labels.get(held, (held, held))
    share = percent(taken_up / exposed)
    return (
        f"Of {exposed:,} persons with {english_held} who could be offered {english_item}, {taken_up:,} took it up in "
        f"the last {in_months(months)} ({share} %), against {of_everybody:,} of all {everybody:,} ({average} %).",
        f"近{months}个月，在持有{chinese_held}且可推荐{chinese_item}的{exposed:,}位客户中，{taken_up:,}位新开"
        f"（{share}%）；全部{everybody:,}位可推荐客户中为{of_everybody:,}位（{average}%）。",
    )


CENT = Decimal("0.01")


def _money(margin: object) -> Decimal | None:
    return None if margin is None else Decimal(str(margin)).quantize(CENT, ROUND_HALF_EVEN)


def _times(margin: Decimal | None, probability: float) -> Decimal | None:
    """Return the expected value in money, from the probability as it is published."""
    return None if margin is None else (margin * Decimal(f"{probability:.10g}")).quantize(CENT, ROUND_HALF_EVEN)


def _run_name(
    persons: Sequence[str],
    items: Sequence[str],
    periods: Sequence[Period],
    margins: Sequence[object],
    settings: NextProductSettings,
) -> str:
    digest = hashlib.sha256(json.dumps([ALGORITHM, asdict(settings), list(items), list(map(str, margins))]).encode())
    digest.update("\n".join(map(str, persons)).encode())
    for period in periods:
        for cells in (period.held, period.eligible, period.taken_up):
            digest.update(b"" if cells is None else np.packbits(cells).tobytes())
        for band in period.bands:
            digest.update("\n".join(_text(band)).encode())
    return digest.hexdigest()[:16]
