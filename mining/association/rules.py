"""Association rules with their measures and with the evidence that they are more than chance.

Whole levels are handled at a time: the rules of all itemsets of k items are the columns of one array per
antecedent pattern, so no Python runs per rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mining.association.baskets import LARGEST_BASKET_COUNT, BasketError, Integers, whole_number
from mining.association.significance import (
    Floats,
    benjamini_hochberg,
    fisher_log_p_values,
    holm,
    wilson_interval,
)
from mining.association.table import ItemsetTable, Lattice, table_of

__all__ = ["MEASURES", "RULE_COLUMNS", "association_rules"]

MEASURES = (
    "antecedent support",
    "consequent support",
    "support",
    "confidence",
    "lift",
    "representativity",
    "leverage",
    "conviction",
    "zhangs_metric",
    "jaccard",
    "certainty",
    "kulczynski",
    "imbalance_ratio",
)
"""The measures, under mlxtend's names; imbalance_ratio is Wu, Chen & Han's (2010), which mlxtend lacks."""

RULE_COLUMNS = (
    "antecedents",
    "consequents",
    *MEASURES,
    "antecedent_count",
    "consequent_count",
    "rule_count",
    "confidence_lower",
    "confidence_upper",
    "log_p_value",
    "fisher_p_value",
    "adjusted_p_value",
    "holm_p_value",
    "improvement",
    "is_redundant",
)

MAXIMUM_RULES = 5_000_000
"""Rules weighed at once by default: about 2 GB at 50 numbers per rule."""


def association_rules(
    itemsets: pd.DataFrame,
    basket_count: int,
    *,
    metric: str = "confidence",
    min_threshold: float = 0.8,
    max_consequent: int | None = None,
    confidence_level: float = 0.95,
    max_rules: int = MAXIMUM_RULES,
) -> pd.DataFrame:
    """Return the rules that frequent itemsets support, measured and tested.

    Parameters
    ----------
    itemsets : DataFrame
        Every frequent itemset, as `frequent_itemsets` or mlxtend returns them: ``itemsets``, ``support`` and, if
        there, ``count``. Closed or maximal itemsets alone are not enough, since the parts must be counted too.
    basket_count : int
        All baskets, the denominator of ``support``.
    metric : str
        The measure that `min_threshold` bounds: one of `MEASURES`, or "improvement".
    min_threshold : float
        Rules with a smaller `metric` are left out of the answer, not of the number of tests.
    max_consequent : int, optional
        Most items on the right-hand side; no limit by default.
    confidence_level : float
        Of the Wilson interval of the confidence.
    max_rules : int
        More rules than this to weigh is an error that says what to bound.

    Returns
    -------
    DataFrame
        The columns `RULE_COLUMNS`. ``attrs["rules_tested"]`` is the number of hypotheses the adjustment counts.
        ``adjusted_p_value`` is Benjamini-Hochberg's, ``holm_p_value`` Holm's. ``improvement`` is the confidence minus
        the best confidence of a rule to the same consequent from fewer of the same items, down to none; a rule is
        redundant when that is not positive.

    Raises
    ------
    BasketError
        When itemsets lack columns or parts, counts do not fit `basket_count`, a bound is out of range, or there are
        more than `max_rules` rules.

    Notes
    -----
    Tested are all rules of all candidates of the search, frequent or not (those that were not count with p = 1), up to
    the longest frequent itemset:
    an itemset that is frequent was *selected* for its count, so counting only the survivors would flatter them.

    Examples
    --------
    >>> from mining.association import frequent_itemsets
    >>> counted = {("card", "loan"): 30, ("card",): 20, ("loan",): 10, (): 40}
    >>> rules = association_rules(frequent_itemsets(counted, min_count=5), 100, min_threshold=0.7)
    >>> [(sorted(rule.antecedents), sorted(rule.consequents), rule.rule_count) for rule in rules.itertuples()]
    [(['loan'], ['card'], 30)]
    """
    allowed = (*MEASURES, "improvement")
    if metric not in allowed:
        raise BasketError(f"metric is {metric!r}; valid are {', '.join(allowed)}.")
    if not isinstance(min_threshold, Real) or min_threshold != min_threshold:  # noqa: PLR0124 (NaN)
        raise BasketError(f"min_threshold is {min_threshold!r}; it must be a number.")
    table = read_itemsets(itemsets, basket_count)
    basket_count = int(basket_count)
    rules = weigh_rules(
        table,
        basket_count,
        max_consequent=max_consequent,
        confidence_level=confidence_level,
        max_rules=max_rules,
    )
    kept = rules.measures[metric] >= min_threshold
    return rules.frame(kept)


@dataclass(frozen=True, eq=False)
class WeighedRules:
    """Every rule of a table of itemsets, in arrays of one length.

    Attributes
    ----------
    sets : ndarray of object
        The itemsets as frozensets, all levels after each other.
    antecedent, consequent : ndarray of int64
        Places in `sets`.
    measures : dict
        The remaining columns of `RULE_COLUMNS`, by name.
    tested : int
        Number of hypotheses the adjustment counts.
    """

    sets: npt.NDArray[np.object_]
    antecedent: Integers
    consequent: Integers
    measures: dict[str, npt.NDArray[Any]]
    tested: int

    @property
    def sides(self) -> tuple[Integers, Integers]:
        """Places of antecedents and consequents in `sets`."""
        return self.antecedent, self.consequent

    def frame(self, kept: npt.NDArray[np.bool_]) -> pd.DataFrame:
        """Return the kept rules with the columns `RULE_COLUMNS`."""
        some: slice | npt.NDArray[np.intp] = slice(None) if kept.all() else np.flatnonzero(kept)
        values = {
            "antecedents": self.sets[self.antecedent[some]],
            "consequents": self.sets[self.consequent[some]],
        } | {name: numbers[some] for name, numbers in self.measures.items()}
        made = pd.DataFrame({name: values[name] for name in RULE_COLUMNS}, copy=False)  # not stacked: half the time
        made.attrs["rules_tested"] = self.tested
        return made


def read_itemsets(itemsets: pd.DataFrame, basket_count: int) -> ItemsetTable:
    """Check a frame of itemsets and return it as a table."""
    missing = [name for name in ("itemsets", "support") if name not in itemsets]
    if missing:
        raise BasketError(f"The frame of itemsets has no column {missing[0]}; valid are support, itemsets and count.")
    basket_count = whole_number("basket_count", basket_count, "baskets")
    if basket_count > LARGEST_BASKET_COUNT:
        raise BasketError(f"basket_count is {basket_count}; valid is 1 to {LARGEST_BASKET_COUNT:,}.")
    support = itemsets["support"].to_numpy(dtype=np.float64)
    counts = np.rint(support * basket_count).astype(np.int64)
    if "count" in itemsets:
        counts = itemsets["count"].to_numpy(dtype=np.int64)
    wrong = (
        (np.abs(counts - support * basket_count) > 1e-6 * basket_count + 1e-6) | (counts > basket_count) | (counts < 1)
    )
    if "count" not in itemsets:
        wrong |= np.abs(counts - support * basket_count) > 1e-3
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise BasketError(
            f"Row {row} of the itemsets has support {support[row]} and count {counts[row]}, which do not fit "
            f"{basket_count:,} baskets; pass the number of baskets that the itemsets were mined from."
        )
    sets = itemsets["itemsets"].tolist()
    for row, itemset in enumerate(sets):
        if not isinstance(itemset, frozenset | set | tuple | list) or len(set(itemset)) < len(itemset):
            raise BasketError(
                f"Row {row} of the itemsets is {itemset!r}; an itemset is a frozenset (or a tuple or list) of items, "
                "each once."
            )
    labels = list(dict.fromkeys(item for itemset in sets for item in itemset))
    try:
        labels.sort()
    except TypeError:
        raise BasketError("Items are of types that have no common order; use one type, such as text.") from None
    code_of = {label: code for code, label in enumerate(labels)}
    coded = [sorted([code_of[item] for item in itemset]) for itemset in sets]
    if not all(coded):
        raise BasketError(f"Row {coded.index([])} of the itemsets is the empty set; every itemset needs an item.")
    table = table_of(tuple(labels), coded, counts)
    for codes in table.levels:
        repeated = np.flatnonzero((codes[1:] == codes[:-1]).all(axis=1))
        if len(repeated):
            named = " + ".join(str(labels[code]) for code in codes[repeated[0]])
            raise BasketError(f"The itemset {named} occurs twice; each itemset has one row.")
    return table


def weigh_rules(
    table: ItemsetTable,
    basket_count: int,
    *,
    max_consequent: int | None = None,
    confidence_level: float = 0.95,
    max_rules: int = MAXIMUM_RULES,
) -> WeighedRules:
    """Return every rule of a table of itemsets with all measures; parameters as `association_rules`."""
    if max_consequent is not None:
        max_consequent = whole_number("max_consequent", max_consequent, "items")
    patterns = [_antecedent_patterns(length, max_consequent or length) for length in range(1, len(table.levels) + 1)]
    sizes = [len(level) * len(masks) for level, masks in zip(table.levels, patterns, strict=True)]
    if sum(sizes) > max_rules:
        raise BasketError(
            f"{len(table):,} itemsets of up to {len(table.levels)} items make {sum(sizes):,} rules, more than "
            f"max_rules = {max_rules:,}; raise the count bound, or set max_len, max_consequent or max_rules."
        )
    lattice = Lattice(table)
    first_place = np.cumsum([0] + [len(level) for level in table.levels])
    antecedents, consequents, wholes, bests = [], [], [], []
    best_so_far: Floats = np.empty((0, 0))
    flat_counts = np.concatenate([*table.counts, np.empty(0, dtype=np.int64)])
    for length, masks in enumerate(patterns[1:], start=2):
        antecedent = lattice.parts_by_removal(length, masks, first_place)
        consequent = lattice.parts_by_lookup(length, (1 << length) - 1 - masks, first_place)
        whole = np.broadcast_to(np.arange(first_place[length - 1], first_place[length])[:, None], antecedent.shape)
        confidence = flat_counts[whole] / flat_counts[antecedent]
        simpler = _best_simpler(
            lattice.facets[length - 1], masks, patterns[length - 2], best_so_far, flat_counts[consequent] / basket_count
        )
        best_so_far = np.maximum(confidence, simpler)
        antecedents.append(antecedent.ravel())
        consequents.append(consequent.ravel())
        wholes.append(whole.ravel())
        bests.append(simpler.ravel())
    none = np.empty(0, dtype=np.int64)
    antecedent, consequent, whole = (np.concatenate([none, *part]) for part in (antecedents, consequents, wholes))
    simpler_confidence = np.concatenate([np.empty(0), *bests])
    tested = max(
        sum(count * len(masks) for count, masks in zip(lattice.candidates(), patterns, strict=True)), len(whole)
    )
    a, n, c = flat_counts[whole], flat_counts[antecedent], flat_counts[consequent]
    measures: dict[str, npt.NDArray[Any]] = dict(measure(a, n, c, basket_count))
    lower, upper = wilson_interval(a, n, confidence_level)
    table_of_rule, evidence = _evidence(a, n, c, basket_count, tested)
    improvement = measures["confidence"] - simpler_confidence
    measures |= {
        "antecedent_count": n,
        "consequent_count": c,
        "rule_count": a,
        "confidence_lower": lower,
        "confidence_upper": upper,
        **{name: values[table_of_rule] for name, values in evidence.items()},
        "improvement": improvement,
        "is_redundant": improvement <= 0,
    }
    sets = np.concatenate([np.empty(0, dtype=object), *(table.sets(level) for level in range(len(table.levels)))])
    return WeighedRules(sets, antecedent, consequent, measures, tested)


def measure(both: Integers, first: Integers, second: Integers, total: int) -> dict[str, Floats]:
    """Return the measures of rules from their counts, named as in `MEASURES`.

    Each is one quotient of whole numbers, so nothing is lost to cancellation. With n baskets, a of them with both
    sides, and n_A, n_C with one: lift a n / (n_A n_C); leverage (a n - n_A n_C) / n^2; conviction
    n_A (n - n_C) / (n (n_A - a)), infinite at confidence 1; Zhang's metric (a n - n_A n_C) /
    max(a (n - n_A), n_A (n_C - a)), 0 when that is 0; certainty (a n - n_A n_C) / (n_A (n - n_C)), 0 when n_C = n;
    Jaccard a / (n_A + n_C - a); Kulczynski (a / n_A + a / n_C) / 2; imbalance |n_A - n_C| / (n_A + n_C - a).
    The definitions are those of mlxtend 0.25 and, for the last, of Wu, Chen & Han (2010).
    """
    surplus = both * total - first * second
    either = first + second - both
    with np.errstate(divide="ignore", invalid="ignore"):
        zhang_bound = np.maximum(both * (total - first), first * (second - both))
        return {
            "antecedent support": first / total,
            "consequent support": second / total,
            "support": both / total,
            "confidence": both / first,
            "lift": (both * total) / (first * second),
            "representativity": np.ones(len(both)),
            "leverage": surplus / total**2,
            "conviction": np.where(both == first, np.inf, (first * (total - second)) / (total * (first - both))),
            "zhangs_metric": np.where(zhang_bound == 0, 0.0, surplus / zhang_bound),
            "jaccard": both / either,
            "certainty": np.where(second == total, 0.0, surplus / (first * (total - second))),
            "kulczynski": (both / first + both / second) / 2,
            "imbalance_ratio": np.abs(first - second) / either,
        }


def _antecedent_patterns(length: int, max_consequent: int) -> Integers:
    """Return the bit patterns of the antecedents in an itemset of so many items, larger antecedents first."""
    masks = np.arange(1, (1 << length) - 1, dtype=np.int64)
    sizes = np.bitwise_count(masks)
    allowed = length - sizes <= max_consequent
    order = np.lexsort((masks[allowed], -sizes[allowed].astype(np.int64)))
    return masks[allowed][order]


def _best_simpler(
    facets: Integers, masks: Integers, masks_below: Integers, best_below: Floats, share: Floats
) -> Floats:
    """Return for each rule the best confidence of a rule to the same consequent from fewer of the same items.

    Taking item i away from the antecedent gives a rule of the facet without i; `best_below` already holds the best
    over everything simpler than that rule, itself included. From no item at all the confidence is `share`.
    """
    best = share.copy()
    length = facets.shape[1]
    column_below = np.full(1 << (length - 1), -1, dtype=np.int64)
    column_below[masks_below] = np.arange(len(masks_below))
    for removed in range(length):
        holds = np.flatnonzero((masks >> removed & 1).astype(bool) & (np.bitwise_count(masks) > 1))
        if not len(holds):
            continue
        low = masks[holds] & ((1 << removed) - 1)
        high = masks[holds] >> (removed + 1) << removed
        columns = column_below[low | high]
        rows = facets[:, removed]
        best[:, holds] = np.maximum(best[:, holds], best_below[rows[:, None], columns])
    return best


def _evidence(
    both: Integers, first: Integers, second: Integers, total: int, tested: int
) -> tuple[npt.NDArray[np.intp], dict[str, Floats]]:
    """Return for each rule the number of its 2 x 2 table, and the evidence of each table.

    A rule and its reverse, and rules that happen to have the same counts, share a table: it is tested once and counts
    as often as there are rules.
    """
    low, high = np.minimum(first, second), np.maximum(first, second)
    base = int(high.max(initial=0)) + 1
    if base**3 < 2**63:
        keys = (low * base + high) * base + both
        distinct, number, repeats = np.unique(keys, return_inverse=True, return_counts=True)
        low, high, both = distinct // base // base, distinct // base % base, distinct % base
    else:
        number, repeats = np.arange(len(both)), np.ones(len(both), dtype=np.int64)
    log_p = fisher_log_p_values(both, low, high, total)
    return number, {
        "log_p_value": log_p,
        "fisher_p_value": np.exp(log_p),
        "adjusted_p_value": benjamini_hochberg(log_p, tested, repeats),
        "holm_p_value": holm(log_p, tested, repeats),
    }
