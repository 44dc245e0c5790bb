"""A mining task: one question about what goes with what, from holdings to rules with the evidence for each.

Belongs here: what a task says and the order of its steps. Its file is read elsewhere; a new question is a new file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from mining.association.baskets import BasketError, Integers, PackedBaskets
from mining.association.discovery import (
    AssociationResult,
    AssociationSettings,
    mine_rules,
    round_significant,
    significant_rules,
)
from mining.association.holdings import Flags, Holdings, months_before
from mining.association.verification import (
    EVIDENCE_COLUMNS,
    NextPeriod,
    Sides,
    VerificationSettings,
    is_held_out,
    verify_rules,
)
from mining.knowledge.interpretation import TestEvidence, explain_tests
from mining.knowledge.register import FINDING_COLUMNS

__all__ = ["ATTRIBUTES", "BASKET_KINDS", "STRATA", "MiningTask", "TaskResult", "deciles", "findings", "run_task"]

BASKET_KINDS = ("holdings", "openings")
"""What a basket is: what a person holds at the date, or what they opened in the months before it."""
ATTRIBUTES = ("party_type", "age_band", "aum_band", "aum_decile", "gender", "region", "education", "occupation")
"""Attributes of persons that a population or strata may name."""
OPEN_VALUES = frozenset({"party_type", "age_band", "aum_band", "aum_decile"})
"""Attributes whose values may be listed in a message; those of the others are personal data."""
STRATA = ("aum_decile", "age_band", "occupation")
"""Within each of which, and within whose combinations, a rule must hold unless the task says otherwise. Deciles of
assets, since the bands of the tiers leave nine customers in ten in one, in which the wealthier still hold more."""


@dataclass(frozen=True, kw_only=True)
class MiningTask:
    """One question.

    Attributes
    ----------
    name : str
        Short name; part of the id of each rule, so that verdicts are about this question.
    owner : str
        Who answers for it.
    problem_en, problem_zh : str
        What the bank wants to know.
    baskets : str
        One of `BASKET_KINDS`.
    months : int
        Length of the window of openings, and of the period in which a rule must hold next.
    population : mapping
        By attribute of persons the values that belong; empty: everybody.
    settings : AssociationSettings
        Bounds of the search.
    strata : tuple of str
        Attributes of persons: a rule must hold within each of them and within all of them crossed.
    verification : VerificationSettings
        Bounds of the tests.
    target_verified : int
        Verified rules that make the task a success: set before the run.
    stated_in : str
        Where the question is written down, for messages.
    """

    name: str
    owner: str
    problem_en: str
    problem_zh: str
    baskets: str = "holdings"
    months: int = 6
    population: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: AssociationSettings
    strata: tuple[str, ...] = STRATA
    verification: VerificationSettings = field(default_factory=VerificationSettings)
    target_verified: int = 1
    stated_in: str = ""


@dataclass(frozen=True)
class TaskResult:
    """What a task found.

    Attributes
    ----------
    rules : AssociationResult
        The run.
    evidence : DataFrame
        `EVIDENCE_COLUMNS`, one row per row of ``rules.rules``.
    """

    rules: AssociationResult
    evidence: pd.DataFrame

    @property
    def funnel(self) -> dict[str, int]:
        """How many rules were tested, found, and are left after each test."""
        killed = self.evidence["killed_by"]
        found = int((killed != "chance").sum())
        counts = {"rules_tested": int(str(self.rules.metadata.get("rules_tested", 0))), "rules_found": found}
        for test in ("holdout", "simpson", "strata", "next_period"):
            counts[f"killed_by_{test}"] = int((killed == test).sum())
        return counts | {"rules_verified": int(self.evidence["is_verified"].sum())}


def run_task(
    task: MiningTask,
    holdings: Holdings,
    persons: pd.DataFrame,
    as_of: date,
    *,
    left_out: frozenset[str] = frozenset(),
    history_from: date | None = None,
) -> TaskResult:
    """Find rules, and put those found to the tests of knowledge.

    Parameters
    ----------
    task : MiningTask
        The question.
    holdings : Holdings
        Who held what when.
    persons : DataFrame
        Indexed by ``person_id``: the attributes at the date, among them those the task names. Absent values are a band
        of their own. A person without a row is in no population.
    as_of : date
        Up to when.
    left_out : frozenset of str
        Items that say nothing (near-universal ones); who holds only these has an empty basket.
    history_from : date, optional
        Since when holdings are known; the next period is tested only where the earlier baskets are after it.

    Raises
    ------
    BasketError
        When the task names an attribute that persons do not have, or a value that nobody has.
    """
    absent = [name for name in (*task.population, *task.strata) if name not in persons]
    if absent:
        raise BasketError(
            f"The persons have no attribute {absent[0]!r}; they have {', '.join(map(str, persons.columns))}."
        )
    known = persons.reindex(pd.Index(holdings.persons))
    member = pd.Index(holdings.persons).isin(persons.index)
    for name, values in task.population.items():
        texts = _texts(known[name])
        strange = sorted(set(values) - set(texts.dropna()))
        if strange:
            there = f"; values are {', '.join(sorted(set(texts.dropna())))}" if name in OPEN_VALUES else ""
            raise BasketError(f"population.{name}: nobody has {', '.join(map(repr, strange))}{there}.")
        member &= texts.isin(values).to_numpy()
    items = np.array([item not in left_out for item in holdings.items], dtype=bool)

    cells = _cells(task, holdings, as_of)
    chosen = member & cells.any(axis=1)
    baskets = holdings.pack(cells[chosen] & items)
    if not chosen.any():
        rules = mine_rules(pd.DataFrame({"basket": [], "item": []}), task.settings)
        return TaskResult(rules, pd.DataFrame(columns=list(EVIDENCE_COLUMNS)))
    rules = mine_rules(baskets, task.settings)
    if not len(rules.rules):
        return TaskResult(rules, pd.DataFrame(columns=list(EVIDENCE_COLUMNS)))

    held_out = is_held_out(holdings.persons[chosen].tolist(), task.verification.holdout_share)
    searched = _some(baskets, ~held_out)
    apart = significant_rules(searched, task.settings, share=searched.basket_count / baskets.basket_count)
    ids = rules.rules["rule_id"].tolist()
    evidence = verify_rules(
        baskets,
        Sides.of(baskets, *rules.sides),
        rules.rules["is_significant"].to_numpy(dtype=bool),
        held_out=held_out,
        found_apart=np.array([rule in apart for rule in ids], dtype=bool),
        strata={name: _bands(known[name][chosen]) for name in task.strata},
        next_period=_next(task, holdings, as_of, (member, items), rule_ids=ids, history_from=history_from),
        settings=task.verification,
    )
    return TaskResult(rules, evidence)


def findings(task: MiningTask, result: TaskResult) -> pd.DataFrame:
    """Return the rules of a task as rows of the knowledge register, `FINDING_COLUMNS`."""
    rules = result.rules.rules
    evidence = result.evidence.reset_index(drop=True)
    made = pd.DataFrame(
        {
            "knowledge_id": rules["rule_id"],
            "kind": "rule",
            "task": task.name,
            "run_id": rules["run_id"],
            "effect": rules["lift"],
            "adjusted_p_value": rules["adjusted_p_value"],
            "holdout_effect": evidence["holdout_lift"],
            "holdout_adjusted_p_value": evidence["holdout_adjusted_p_value"],
            "strata_effect": evidence["strata_lift"],
            "strata_effect_lower": evidence["strata_lift_lower"],
            "is_reversed": evidence["is_reversed"],
            "reversed_within": evidence["reversed_within"],
            "next_period": evidence["next_period"],
            "next_period_effect": evidence["next_period_lift"],
            "killed_by": evidence["killed_by"],
            "is_verified": evidence["is_verified"],
        }
    )
    said = [
        explain_tests(TestEvidence(outside, within, least, names, period, after, killed, task.months))
        for outside, within, least, names, period, after, killed in zip(
            made["holdout_effect"].tolist(),
            made["strata_effect"].tolist(),
            made["strata_effect_lower"].tolist(),
            [names.split(" and ") for names in evidence["weakest_within"]],
            made["next_period"].tolist(),
            made["next_period_effect"].tolist(),
            made["killed_by"].astype(object).where(made["killed_by"].notna(), None).tolist(),
            strict=True,
        )
    ]
    made["statement_en"] = [f"{rule} {tests[0]}" for rule, tests in zip(rules["sentence_en"], said, strict=True)]
    made["statement_zh"] = [f"{rule}{tests[1]}" for rule, tests in zip(rules["sentence_zh"], said, strict=True)]
    for name, kind in FINDING_COLUMNS.items():
        if kind == "float64":
            made[name] = round_significant(made[name].to_numpy(dtype=np.float64))
    return made[list(FINDING_COLUMNS)]


def _cells(task: MiningTask, holdings: Holdings, day: date) -> Flags:
    """Return the baskets of a date."""
    if task.baskets == "holdings":
        return holdings.held_at(day)
    return holdings.opened_within(months_before(day, task.months), day)


def _next(
    task: MiningTask,
    holdings: Holdings,
    as_of: date,
    chosen: tuple[Flags, Flags],
    *,
    rule_ids: list[str],
    history_from: date | None,
) -> NextPeriod | None:
    """Return what became of those who were customers a period ago; None where that is not known."""
    earlier = months_before(as_of, task.months)
    needed = earlier if task.baskets == "holdings" else months_before(earlier, task.months)
    if history_from is None or needed < history_from:
        return None
    member, items = chosen
    cells = _cells(task, holdings, earlier)
    found = significant_rules(holdings.pack(cells[member & cells.any(axis=1)] & items), task.settings)
    held = holdings.held_at(earlier)
    there = member & held.any(axis=1)
    taken_up = held | holdings.opened_within(earlier, as_of)
    return NextPeriod(holdings.pack(held[there]), holdings.pack(taken_up[there]), [rule in found for rule in rule_ids])


def _some(baskets: PackedBaskets, kept: Flags) -> PackedBaskets:
    """Return some of the baskets as all there are."""
    return PackedBaskets(baskets.items, baskets.words[kept], baskets.weights[kept], int(baskets.weights[kept].sum()))


def deciles(values: pd.Series) -> pd.Series:
    """Return the tenth of the values each is in, 0 to 9; equal values share it, absent ones have none.

    Examples
    --------
    >>> deciles(pd.Series([5.0, 1.0, 1.0, 9.0, None])).tolist()
    [5.0, 0.0, 0.0, 7.0, nan]
    """
    ranks = values.rank(method="min") - 1
    tenths: pd.Series = (10 * ranks // max(int(values.notna().sum()), 1)).astype("float64")
    return tenths


def _texts(values: pd.Series) -> pd.Series:
    """Return values as a task's file writes them: a decile is 9, not 9.0."""
    whole = values.astype("Int64") if pd.api.types.is_float_dtype(values) else values
    return whole.astype("string")


def _bands(values: pd.Series) -> Integers:
    """Return the number of each value; absent ones are a band of their own."""
    return (pd.factorize(values, sort=True)[0] + 1).astype(np.int64)
