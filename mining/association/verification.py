"""Whether a rule that was found also holds: on baskets it was not found on, inside strata, and in the next period.

Belongs here: the tests a found rule must stand, and which of them killed it. Does not belong here: finding rules
(`discovery`), and what a person says about one (`mining.knowledge`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import log_ndtr, ndtri

from mining.association.baskets import BasketError, Integers, PackedBaskets
from mining.association.holdings import Flags
from mining.association.significance import Floats, benjamini_hochberg, fisher_log_p_values

__all__ = [
    "EVIDENCE_COLUMNS",
    "NextPeriod",
    "Sides",
    "VerificationSettings",
    "count_sides",
    "is_held_out",
    "verify_rules",
]

EVIDENCE_COLUMNS = (
    "is_found_apart",
    "holdout_lift",
    "holdout_adjusted_p_value",
    "is_held_out",
    "weakest_within",
    "strata_lift",
    "strata_lift_lower",
    "strata_adjusted_p_value",
    "holds_within_strata",
    "is_reversed",
    "reversed_within",
    "next_period_openings",
    "next_period_lift",
    "next_period_adjusted_p_value",
    "next_period",
    "killed_by",
    "is_verified",
)
"""What `verify_rules` returns for each rule."""

CELLS_AT_ONCE = 1 << 24
"""Basket rows times itemsets looked at at once: 16 MB of booleans."""


@dataclass(frozen=True, kw_only=True)
class VerificationSettings:
    """How strict the tests of a found rule are.

    Attributes
    ----------
    holdout_share : float
        Share of the baskets that rules are not sought on, 0 < share < 1.
    false_discovery_rate : float
        Of each of the tests (Benjamini-Hochberg over the rules that reach it).
    minimum_lift : float
        A rule holds within strata when its lift there is not smaller than this, beyond chance.
    """

    holdout_share: float = 1 / 3
    false_discovery_rate: float = 0.05
    minimum_lift: float = 1.1

    def __post_init__(self) -> None:
        for name in ("holdout_share", "false_discovery_rate"):
            value = getattr(self, name)
            if not 0.0 < value < 1.0:
                raise BasketError(f"{name} is {value!r}; it must lie between 0 and 1.")
        if not self.minimum_lift >= 1.0:
            raise BasketError(f"minimum_lift is {self.minimum_lift!r}; it must be 1 or more.")


@dataclass(frozen=True)
class Sides:
    """Both sides of some rules, as words of item bits of one set of baskets, shape (rules, words)."""

    antecedent: npt.NDArray[np.uint64]
    consequent: npt.NDArray[np.uint64]

    @classmethod
    def of(
        cls, baskets: PackedBaskets, antecedents: Sequence[Sequence[str]], consequents: Sequence[Sequence[str]]
    ) -> Sides:
        """Return the sides of rules given by the labels of their items, each of them an item of the baskets."""
        place_of = {str(item): place for place, item in enumerate(baskets.items)}

        def words(sides: Sequence[Sequence[str]]) -> npt.NDArray[np.uint64]:
            made = np.zeros((len(sides), baskets.words.shape[1]), dtype=np.uint64)
            for row, side in enumerate(sides):
                for item in side:
                    made[row, place_of[item] // 64] |= np.uint64(1) << np.uint64(place_of[item] % 64)
            return made

        return cls(words(antecedents), words(consequents))

    @property
    def both(self) -> npt.NDArray[np.uint64]:
        """All items of each rule."""
        return self.antecedent | self.consequent

    def __len__(self) -> int:
        return len(self.antecedent)


@dataclass(frozen=True)
class NextPeriod:
    """What became of the baskets of an earlier date.

    Attributes
    ----------
    before : PackedBaskets
        The baskets at the earlier date, one row per person, each of weight 1.
    after : PackedBaskets
        What the same persons, row by row, held then or took up from then to now.
    is_found_before : sequence of bool
        For each rule whether it was already significant on the baskets of the earlier date.
    """

    before: PackedBaskets
    after: PackedBaskets
    is_found_before: Sequence[bool]


def is_held_out(baskets: Sequence[str] | pd.Series, share: float) -> Flags:
    """Return which baskets are held out: chosen by a hash of their name, so the same ones in every run.

    Examples
    --------
    >>> held_out = is_held_out([f"customer {number}" for number in range(3000)], 1 / 3)
    >>> bool(900 < held_out.sum() < 1100)
    True
    """
    hashes = pd.util.hash_array(np.asarray(baskets, dtype=object), categorize=False)
    flags: Flags = hashes < np.uint64(share * 2**64)
    return flags


def count_sides(baskets: PackedBaskets, sides: npt.NDArray[np.uint64], group: Integers, groups: int) -> Integers:
    """Return how many baskets of each group hold all items of each side, shape (groups, sides).

    Parameters
    ----------
    baskets : PackedBaskets
        The baskets.
    sides : ndarray of uint64, shape (sides, words)
        Items as bits.
    group : ndarray of int, shape (rows,)
        Group of each row.
    groups : int
        Number of groups.
    """
    distinct, place = np.unique(sides, axis=0, return_inverse=True)
    counts = np.zeros((groups, len(distinct)), dtype=np.int64)
    at_once = max(1, CELLS_AT_ONCE // max(1, len(group)))
    for start in range(0, len(distinct), at_once):
        some = distinct[start : start + at_once]
        held = np.ones((len(some), len(group)), dtype=bool)
        for word in range(some.shape[1]):
            held &= (baskets.words[:, word] & some[:, word, None]) == some[:, word, None]
        for number, rows in enumerate(held):
            counts[:, start + number] = np.bincount(
                group[rows], weights=baskets.weights[rows], minlength=groups
            )  # exact: sums of whole numbers below 2^53
    return counts[:, place.ravel()]


def verify_rules(
    baskets: PackedBaskets,
    sides: Sides,
    is_significant: Flags,
    *,
    held_out: Flags,
    found_apart: Flags,
    strata: Mapping[str, Integers],
    next_period: NextPeriod | None = None,
    settings: VerificationSettings | None = None,
) -> pd.DataFrame:
    """Put found rules to the tests of knowledge.

    Parameters
    ----------
    baskets : PackedBaskets
        One row per basket.
    sides : Sides
        The rules.
    is_significant : ndarray of bool, shape (rules,)
        Whether each stood after the adjustment for all rules tested; only these are put to the tests.
    held_out : ndarray of bool, shape (rows,)
        The baskets the rules were not sought on.
    found_apart : ndarray of bool, shape (rules,)
        Whether a search on the other baskets alone found the rule significant.
    strata : mapping
        By name the stratum number of each row, 0 or more. Rules must hold within each of them alone and within all
        of them crossed, and the Simpson flag looks at each of these too.
    next_period : NextPeriod, optional
        What came after an earlier date; without it `next_period` is "no_history".
    settings : VerificationSettings, optional
        Bounds.

    Returns
    -------
    DataFrame
        The columns `EVIDENCE_COLUMNS`, one row per rule. `strata_lift` and its bound are those of the strata that
        speak least for the rule, `weakest_within`. `killed_by` is the first test that the rule did not stand:
        "chance", "holdout", "simpson", "strata", "next_period"; absent for what is verified.

    Notes
    -----
    Hold-out (Webb 2007): a rule that the other baskets gave is tested by Fisher's exact test on the held-out ones,
    adjusted for the rules that came so far. Strata: observed over expected number of baskets with both sides, when the
    sides were independent inside each stratum (indirect standardisation); its test against `minimum_lift` and its
    bound use the conditional variance of the tables (Cornfield 1956) summed over strata, as Mantel & Haenszel (1959)
    do against 1. Simpson: the lift of all is above 1 and that inside the strata below 1, both beyond chance. Next
    period: of the persons who lacked part of the consequent at the earlier date, did those with the antecedent take it
    up more often than the others; "held", "reversed" (less often, beyond chance), "not_shown" (too few to tell).
    """
    bounds = settings or VerificationSettings()
    rules = len(sides)
    rate = bounds.false_discovery_rate
    significant = np.asarray(is_significant, dtype=bool)
    crossed = _crossed(strata, len(baskets.weights))

    apart = np.asarray(found_apart, dtype=bool) & significant
    held = PackedBaskets(
        baskets.items, baskets.words[held_out], baskets.weights[held_out], int(baskets.weights[held_out].sum())
    )
    outside = _tables(held, sides, np.zeros(int(held_out.sum()), dtype=np.int64), 1)
    holdout_adjusted = _adjusted(_fisher(outside), apart, rules)
    stands_outside = apart & (holdout_adjusted <= rate)

    several = dict(strata) if len(strata) == 1 else {**strata, " and ".join(strata): crossed}
    evidence = {name: _within(baskets, sides, numbers, bounds.minimum_lift) for name, numbers in several.items()}
    reversed_within = np.full(rules, None, dtype=object)
    for name, within in evidence.items():
        turned = significant & (_adjusted(within.below_one, significant, rules) <= rate)
        reversed_within[turned & (reversed_within == None)] = name  # noqa: E711 (element by element)
    # A rule holds when it holds within each of the strata and all crossed: where the evidence is least, it is judged.
    least = np.argmax([within.above_minimum for within in evidence.values()], axis=0)
    weakest = [np.choose(least, [getattr(within, name) for within in evidence.values()]) for name in ("lift", "lower")]
    strata_adjusted = np.max(
        [_adjusted(within.above_minimum, significant, rules) for within in evidence.values()], axis=0
    )
    holds_within = significant & (strata_adjusted <= rate)
    is_reversed = reversed_within != None  # noqa: E711

    openings, next_lift, next_adjusted, verdict = _next_period(next_period, sides, significant, rate)
    killed_by = np.select(
        [~significant, ~stands_outside, is_reversed, ~holds_within, verdict == "reversed"],
        ["chance", "holdout", "simpson", "strata", "next_period"],
        default="",
    ).astype(object)
    verified = killed_by == ""
    killed_by[verified] = None
    return pd.DataFrame(
        {
            "is_found_apart": apart,
            "holdout_lift": _lift(outside),
            "holdout_adjusted_p_value": holdout_adjusted,
            "is_held_out": stands_outside,
            "weakest_within": np.array(list(evidence), dtype=object)[least],
            "strata_lift": weakest[0],
            "strata_lift_lower": weakest[1],
            "strata_adjusted_p_value": strata_adjusted,
            "holds_within_strata": holds_within,
            "is_reversed": is_reversed,
            "reversed_within": reversed_within,
            "next_period_openings": openings,
            "next_period_lift": next_lift,
            "next_period_adjusted_p_value": next_adjusted,
            "next_period": verdict,
            "killed_by": killed_by,
            "is_verified": verified,
        }
    )[list(EVIDENCE_COLUMNS)]


@dataclass(frozen=True)
class _Tables:
    """2 x 2 tables of rules by group, each of shape (groups, rules)."""

    both: Integers
    first: Integers
    second: Integers
    total: Integers


@dataclass(frozen=True)
class _Within:
    """Evidence of rules within strata: log p-values that the lift is above a minimum, and below 1."""

    lift: Floats
    lower: Floats
    above_minimum: Floats
    below_one: Floats


def _crossed(strata: Mapping[str, Integers], rows: int) -> Integers:
    """Return the number of the combination of strata that each row is in."""
    crossed = np.zeros(rows, dtype=np.int64)
    for numbers in strata.values():
        crossed = crossed * (int(numbers.max(initial=0)) + 1) + numbers
    return np.unique(crossed, return_inverse=True)[1].astype(np.int64)


def _tables(baskets: PackedBaskets, sides: Sides, group: Integers, groups: int) -> _Tables:
    counts = count_sides(baskets, np.concatenate([sides.both, sides.antecedent, sides.consequent]), group, groups)
    both, first, second = np.split(counts, 3, axis=1)
    total = np.bincount(group, weights=baskets.weights, minlength=groups).astype(np.int64)
    return _Tables(both, first, second, np.broadcast_to(total[:, None], both.shape))


def _fisher(tables: _Tables) -> Floats:
    total = int(tables.total[0, 0]) if tables.total.size else 0
    return fisher_log_p_values(tables.both[0], tables.first[0], tables.second[0], total)


def _lift(tables: _Tables) -> Floats:
    expected = tables.first[0] * tables.second[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, tables.both[0] * tables.total[0] / expected, np.nan)


def _adjusted(log_p: Floats, tested: Flags, rules: int) -> Floats:
    """Return adjusted p-values of the tested rules; absent for the others."""
    adjusted = np.full(rules, np.nan)
    adjusted[tested] = benjamini_hochberg(log_p[tested])
    return adjusted


def _within(baskets: PackedBaskets, sides: Sides, group: Integers, minimum_lift: float) -> _Within:
    """Return what is seen within strata; a rule that no stratum can tell about has an absent lift and p = 1."""
    tables = _tables(baskets, sides, group, int(group.max(initial=0)) + 1)
    size = np.maximum(tables.total, 1)
    expected = tables.first * tables.second / size
    telling = (tables.first > 0) & (tables.second > 0) & (tables.first < size) & (tables.second < size)
    observed = np.where(telling, tables.both, 0).sum(axis=0)
    expected_sum = np.where(telling, expected, 0.0).sum(axis=0)
    known = expected_sum > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = np.where(known, observed / expected_sum, np.nan)

    def score(at: Floats | float) -> tuple[Floats, Floats]:
        """Observed minus expected at a lift, and its standard error."""
        fitted = np.minimum(np.maximum(at * expected, 1e-9), np.minimum(tables.first, tables.second) - 1e-9)
        fitted = np.maximum(fitted, tables.first + tables.second - size + 1e-9)
        cells = (
            fitted,
            tables.first - fitted,
            tables.second - fitted,
            size - tables.first - tables.second + fitted,
        )
        inverse = sum(1.0 / np.maximum(cell, 1e-9) for cell in cells)
        variance = np.where(telling, 1.0 / inverse, 0.0).sum(axis=0)
        return observed - np.where(telling, fitted, 0.0).sum(axis=0), np.sqrt(variance)

    difference, error = score(minimum_lift)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.where(known & (error > 0), log_ndtr(-(difference / error)), 0.0)
        difference, error = score(1.0)
        below = np.where(known & (error > 0), log_ndtr(difference / error), 0.0)
        _, error = score(np.where(known, lift, 1.0))
        lower = np.where(known, np.maximum(observed + ndtri(0.05) * error, 0.0) / expected_sum, np.nan)
    return _Within(lift, lower, above, below)


def _next_period(
    next_period: NextPeriod | None, sides: Sides, significant: Flags, rate: float
) -> tuple[npt.NDArray[np.object_], Floats, Floats, npt.NDArray[np.object_]]:
    """Return openings, lift, adjusted p-value and verdict in words of each rule in the next period."""
    rules = len(sides)
    openings = np.full(rules, None, dtype=object)
    lift, adjusted = np.full(rules, np.nan), np.full(rules, np.nan)
    verdict = np.full(rules, "no_history", dtype=object)
    if next_period is None:
        return openings, lift, adjusted, verdict
    before, after = next_period.before, next_period.after
    first, second = np.zeros(rules, dtype=np.int64), np.zeros(rules, dtype=np.int64)
    both, total = np.zeros(rules, dtype=np.int64), np.zeros(rules, dtype=np.int64)
    up, down = np.zeros(rules), np.zeros(rules)
    distinct, place = np.unique(sides.consequent, axis=0, return_inverse=True)
    for number, wanted in enumerate(distinct):  # who can take it up differs by consequent; its rules share that
        lacks = ((before.words & wanted) != wanted).any(axis=1)
        takes = lacks & ((after.words & wanted) == wanted).all(axis=1)
        of_consequent = np.flatnonzero(place.ravel() == number)
        exposed = count_sides(before, sides.antecedent[of_consequent], lacks.astype(np.int64) + takes, 3)
        total[of_consequent], second[of_consequent] = lacks.sum(), takes.sum()
        first[of_consequent], both[of_consequent] = exposed[1:].sum(axis=0), exposed[2]
        everybody, takers = int(lacks.sum()), np.full(len(of_consequent), takes.sum())
        up[of_consequent] = fisher_log_p_values(exposed[2], exposed[1:].sum(axis=0), takers, everybody)
        others = everybody - exposed[1:].sum(axis=0)
        down[of_consequent] = fisher_log_p_values(takers - exposed[2], others, takers, everybody)
    tested = significant & np.asarray(next_period.is_found_before, dtype=bool)
    adjusted = _adjusted(up, tested, rules)
    less = _adjusted(down, tested, rules)
    openings[:] = second.tolist()
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = np.where((first > 0) & (second > 0), (both * total) / (first * second), np.nan)
    verdict = np.where(
        ~tested, "not_found_before", np.where(adjusted <= rate, "held", np.where(less <= rate, "reversed", "not_shown"))
    ).astype(object)
    return openings, lift, adjusted, verdict
