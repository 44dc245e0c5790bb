"""One run of association mining: from baskets and settings to the rows that are published.

Belongs here: the order of the steps, the refusal of what is too little, the names of runs and rules, and the columns
of the published rules. The counting, the measures and the tests are in the other modules of this room.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from mining.association.baskets import (
    BasketError,
    BasketInput,
    Baskets,
    as_read,
    distinct_baskets,
    merged_rows,
    read_baskets,
)
from mining.association.itemsets import MAXIMUM_ITEMSETS, count_bound, find_itemsets, itemset_frame
from mining.association.rules import WeighedRules, weigh_rules
from mining.association.table import ItemsetTable
from mining.knowledge.interpretation import BASKETS, RuleEvidence, Unit, explain_rule

__all__ = ["PUBLISHED_COLUMNS", "AssociationResult", "AssociationSettings", "mine_rules", "significant_rules"]

ALGORITHM = "association-1"
"""Part of every run's name; raised when the same baskets and settings would give other rows than before."""

ItemsOfSides = tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]]
"""The items of each rule's antecedent, and those of its consequent."""

PUBLISHED_COLUMNS = {
    "run_id": "str",
    "rule_id": "str",
    "basket": "str",
    "antecedent": "str",
    "consequent": "str",
    "antecedent_length": "int64",
    "consequent_length": "int64",
    "basket_count": "int64",
    "antecedent_count": "int64",
    "consequent_count": "int64",
    "rule_count": "int64",
    "support": "float64",
    "confidence": "float64",
    "lift": "float64",
    "leverage": "float64",
    "conviction": "float64",
    "zhangs_metric": "float64",
    "jaccard": "float64",
    "certainty": "float64",
    "kulczynski": "float64",
    "imbalance_ratio": "float64",
    "confidence_lower": "float64",
    "confidence_upper": "float64",
    "fisher_p_value": "float64",
    "adjusted_p_value": "float64",
    "is_significant": "bool",
    "sentence_en": "str",
    "sentence_zh": "str",
}
"""Columns of the published rules, in order, with their types."""


@dataclass(frozen=True, kw_only=True)
class AssociationSettings:
    """What a run mines and how strict it is.

    Attributes
    ----------
    basket : str
        What a basket is, in a word: "holdings" (held at a date) or "openings" (opened in a window).
    min_count, min_support : int, float, optional
        The bound of frequency: exactly one of them.
    max_len, max_consequent : int, optional
        Most items in a rule, and on its right-hand side.
    max_width, max_itemsets : int, optional
        As in `frequent_itemsets`; what they cut is in the metadata of the run.
    min_confidence : float
        Rules below it are not published; they still count as tested.
    false_discovery_rate : float
        A rule is significant when its Benjamini-Hochberg adjusted p-value is at most this.
    confidence_level : float
        Of the Wilson interval.
    universal_share : float
        Items in at least this share of the baskets are dropped first (everybody has a current account, so a rule to
        it says nothing); above 1 keeps all.
    minimum_baskets : int
        With fewer baskets the run is refused.
    keep_redundant : bool
        Also publish rules on which a simpler rule is as good.
    labels : mapping
        For item codes their (English, Chinese) names, used in the sentences.
    unit : Unit
        What one basket is called in the sentences.
    """

    basket: str = "holdings"
    min_count: int | None = None
    min_support: float | None = None
    max_len: int | None = None
    max_consequent: int | None = 1
    max_width: int | None = None
    max_itemsets: int = MAXIMUM_ITEMSETS
    min_confidence: float = 0.1
    false_discovery_rate: float = 0.05
    confidence_level: float = 0.95
    universal_share: float = 0.95
    minimum_baskets: int = 100
    keep_redundant: bool = False
    labels: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unit: Unit = BASKETS

    def __post_init__(self) -> None:
        for name in ("min_confidence", "false_discovery_rate"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise BasketError(f"{name} is {value!r}; it must lie between 0 and 1.")
        if not self.universal_share > 0.0:
            raise BasketError(f"universal_share is {self.universal_share!r}; it must be above 0 (above 1: keep all).")


@dataclass(frozen=True)
class AssociationResult:
    """What a run found.

    Attributes
    ----------
    run_id : str
        Hash of the baskets, the settings and the algorithm: the same for the same input.
    itemsets : DataFrame
        ``support``, ``count``, ``itemsets``, as `frequent_itemsets` returns them.
    rules : DataFrame
        The columns `PUBLISHED_COLUMNS`, the surest rule first.
    metadata : dict
        Counts and bounds of the run, for a run log.
    refused : str or None
        Why nothing was mined; both frames are then empty.
    sides : tuple of two lists
        The items of the antecedent and of the consequent of each row of `rules`.
    """

    run_id: str
    itemsets: pd.DataFrame
    rules: pd.DataFrame
    metadata: dict[str, object]
    refused: str | None
    sides: ItemsOfSides = ((), ())


def mine_rules(
    baskets: BasketInput, settings: AssociationSettings, *, basket_count: int | None = None
) -> AssociationResult:
    """Mine, weigh, test and word the rules of one set of baskets.

    Parameters
    ----------
    baskets : DataFrame or mapping
        See `read_baskets`. A long frame without any row is not an error here but refused as too little.
    settings : AssociationSettings
        Bounds and names.
    basket_count : int, optional
        All baskets, empty ones included; default: the baskets given.

    Raises
    ------
    BasketError
        When the baskets or a setting cannot be used.

    Examples
    --------
    >>> counted = {("card", "loan"): 300, ("card",): 200, ("loan",): 50, (): 450}
    >>> result = mine_rules(counted, AssociationSettings(min_support=0.05))
    >>> result.rules[["antecedent", "consequent", "rule_count", "confidence"]].values.tolist()
    [['card', 'loan', 300, 0.6], ['loan', 'card', 300, 0.8571428571]]
    """
    count_bound(1, min_count=settings.min_count, min_support=settings.min_support)
    if isinstance(baskets, pd.DataFrame) and baskets.empty and {"basket", "item"} <= set(baskets.columns):
        empty = Baskets((), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.int64), 0)
        return _refused(empty, settings, "no basket holds any item")
    read = distinct_baskets(read_baskets(merged_rows(as_read(baskets, basket_count=basket_count))))
    if read.basket_count < settings.minimum_baskets:
        return _refused(read, settings, f"{read.basket_count:,} baskets are fewer than minimum_baskets")
    run_id = run_name(read, settings)
    universal, bound, table, weighed = _weighed(read, settings)
    of_interest = weighed.measures["confidence"] >= settings.min_confidence
    if not settings.keep_redundant:
        of_interest &= ~weighed.measures["is_redundant"].astype(bool)
    rules, both_sides = _published(weighed.frame(of_interest), run_id, read.basket_count, weighed.tested, settings)
    metadata: dict[str, object] = {
        "run_id": run_id,
        "algorithm": ALGORITHM,
        "basket": settings.basket,
        "basket_count": read.basket_count,
        "item_count": len(read.items),
        "dropped_items": [str(item) for item, drop in zip(read.items, universal, strict=True) if drop],
        "min_count": bound,
        "cut": list(table.cut),
        "itemset_count": len(table),
        "rules_tested": weighed.tested,
        "rules_published": len(rules),
        "rules_significant": int(rules["is_significant"].sum()),
    }
    return AssociationResult(run_id, itemset_frame(table, read.basket_count), rules, metadata, None, both_sides)


def significant_rules(baskets: BasketInput, settings: AssociationSettings, *, share: float = 1.0) -> set[str]:
    """Return the ids of all rules that stand the adjustment on these baskets, redundant and weak ones too.

    Parameters
    ----------
    baskets : BasketInput
        See `read_baskets`.
    settings : AssociationSettings
        Of the run whose rules they are compared with.
    share : float
        How large a share of that run's baskets these are; a bound given as a count is scaled with it.
    """
    read = distinct_baskets(read_baskets(merged_rows(as_read(baskets))))
    if read.basket_count < settings.minimum_baskets:
        return set()
    if settings.min_count is not None:
        settings = replace(settings, min_count=max(1, round(settings.min_count * share)))
    _, _, _, weighed = _weighed(read, settings)
    stands = np.flatnonzero(weighed.measures["adjusted_p_value"] <= settings.false_discovery_rate)
    sides = [[sorted(map(str, items)) for items in weighed.sets[part[stands]]] for part in weighed.sides]
    return {_rule_name(settings.basket, left, right) for left, right in zip(*sides, strict=True)}


def _weighed(
    read: Baskets, settings: AssociationSettings
) -> tuple[npt.NDArray[np.bool_], int, ItemsetTable, WeighedRules]:
    """Return which items were dropped, the bound, the itemsets and their rules."""
    universal = read.item_counts() >= settings.universal_share * read.basket_count
    bound = count_bound(read.basket_count, min_count=settings.min_count, min_support=settings.min_support)
    table = find_itemsets(
        read.without(universal),
        bound,
        max_len=settings.max_len,
        max_width=settings.max_width,
        max_itemsets=settings.max_itemsets,
    )
    weighed = weigh_rules(
        table,
        read.basket_count,
        max_consequent=settings.max_consequent,
        confidence_level=settings.confidence_level,
    )
    return universal, bound, table, weighed


def run_name(baskets: Baskets, settings: AssociationSettings) -> str:
    """Return the name of a run of distinct baskets: the same for the same baskets and settings."""
    digest = hashlib.sha256(json.dumps([ALGORITHM, asdict(settings)], sort_keys=True, default=str).encode())
    digest.update(json.dumps([baskets.basket_count, *map(str, baskets.items)]).encode())
    held = baskets.widths > 0  # an empty basket is part of the number of baskets, however it was given
    for numbers in (baskets.widths[held], baskets.codes, baskets.weights[held]):
        digest.update(numbers.astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def _refused(baskets: Baskets, settings: AssociationSettings, found: str) -> AssociationResult:
    run_id = run_name(baskets, settings)
    reason = (
        f"No rules of {settings.basket}: {found} (minimum_baskets = {settings.minimum_baskets:,}); "
        "map more of the bank's accounts, widen the population, or lower minimum_baskets."
    )
    nothing = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in PUBLISHED_COLUMNS.items()})
    itemsets = pd.DataFrame(
        {
            "support": pd.Series(dtype="float64"),
            "count": pd.Series(dtype="int64"),
            "itemsets": pd.Series(dtype="str"),
        }
    )
    metadata: dict[str, object] = {
        "run_id": run_id,
        "algorithm": ALGORITHM,
        "basket": settings.basket,
        "basket_count": baskets.basket_count,
        "refused": reason,
    }
    return AssociationResult(run_id, itemsets, nothing, metadata, reason)


def _published(
    rules: pd.DataFrame, run_id: str, basket_count: int, tested: int, settings: AssociationSettings
) -> tuple[pd.DataFrame, ItemsOfSides]:
    sides = {side: [sorted(map(str, items)) for items in rules[f"{side}s"]] for side in ("antecedent", "consequent")}
    made = pd.DataFrame(
        {
            "run_id": run_id,
            "basket": settings.basket,
            "basket_count": basket_count,
            **{side: [" + ".join(items) for items in named] for side, named in sides.items()},
            **{f"{side}_length": [len(items) for items in named] for side, named in sides.items()},
        },
        index=rules.index,
    )
    made["rule_id"] = [_rule_name(settings.basket, left, right) for left, right in zip(*sides.values(), strict=True)]
    for name in PUBLISHED_COLUMNS:
        if name in rules:
            made[name] = rules[name].replace(np.inf, np.nan) if name == "conviction" else rules[name]
    made["is_significant"] = rules["adjusted_p_value"] <= settings.false_discovery_rate
    sentences = [
        explain_rule(
            RuleEvidence(
                antecedent=left,
                consequent=right,
                antecedent_count=row.antecedent_count,
                consequent_count=row.consequent_count,
                rule_count=row.rule_count,
                basket_count=basket_count,
                confidence_lower=row.confidence_lower,
                confidence_upper=row.confidence_upper,
                confidence_level=settings.confidence_level,
                adjusted_p_value=row.adjusted_p_value,
                is_significant=row.is_significant,
                tests=tested,
            ),
            settings.labels,
            settings.unit,
        )
        for left, right, row in zip(*sides.values(), made.itertuples(index=False), strict=True)
    ]
    made["sentence_en"] = [english for english, _ in sentences]
    made["sentence_zh"] = [chinese for _, chinese in sentences]
    order = rules.assign(antecedent=made["antecedent"], consequent=made["consequent"]).sort_values(
        ["log_p_value", "antecedent", "consequent"], kind="stable"
    )
    places = rules.index.get_indexer(order.index)
    made = made.loc[order.index, list(PUBLISHED_COLUMNS)].reset_index(drop=True)
    for name, kind in PUBLISHED_COLUMNS.items():
        if kind == "float64":
            made[name] = round_significant(made[name].to_numpy(dtype=np.float64))
    antecedents, consequents = ([named[place] for place in places] for named in sides.values())
    return made.astype(PUBLISHED_COLUMNS), (antecedents, consequents)


def _rule_name(basket: str, antecedent: Sequence[str], consequent: Sequence[str]) -> str:
    """Return the name of a rule: the same in every run, so that a verdict on it keeps."""
    stated = json.dumps([basket, list(antecedent), list(consequent)], ensure_ascii=False)
    return hashlib.sha256(stated.encode()).hexdigest()[:16]


def round_significant(values: npt.NDArray[np.float64], digits: int = 10) -> npt.NDArray[np.float64]:
    """Return the values rounded to so many significant digits.

    Examples
    --------
    >>> round_significant(np.array([2 / 3, 1e-300 / 3, np.nan]))
    array([6.66666667e-001, 3.33333333e-301,             nan])
    """
    return np.array([float(f"{value:.{digits}g}") for value in values.tolist()], dtype=np.float64)
