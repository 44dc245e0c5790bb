"""Sentences made from numbers, in English and Chinese: the same numbers always give the same words.

Each sentence names what was counted, out of how many, against what, and how sure that is. No sentence is written by
hand or by a model, so what a reader is told can be checked against the row it stands beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["BASKETS", "RuleEvidence", "Unit", "explain_rule"]


@dataclass(frozen=True)
class Unit:
    """What one basket is: the English plural, and the Chinese noun with its measure word."""

    english: str
    chinese: str


BASKETS = Unit("baskets", "个篮子")


@dataclass(frozen=True)
class RuleEvidence:
    """The numbers behind a rule "who has the antecedent also has the consequent".

    Counts are baskets; the bounds are those of the interval of the confidence at `confidence_level`.
    """

    antecedent: Sequence[str]
    consequent: Sequence[str]
    antecedent_count: int
    consequent_count: int
    rule_count: int
    basket_count: int
    confidence_lower: float
    confidence_upper: float
    confidence_level: float
    adjusted_p_value: float
    is_significant: bool
    tests: int


def explain_rule(
    evidence: RuleEvidence,
    labels: Mapping[str, tuple[str, str]] | None = None,
    unit: Unit = BASKETS,
) -> tuple[str, str]:
    """Return the English and the Chinese sentence of a rule.

    Parameters
    ----------
    evidence : RuleEvidence
        The numbers.
    labels : mapping, optional
        For each item code its (English, Chinese) name; a code without one stands for itself.
    unit : Unit
        What one basket is.

    Examples
    --------
    >>> numbers = RuleEvidence(["L"], ["P"], 682, 717, 682, 4500, 0.9944, 1.0, 0.95, 0.0, True, 90)
    >>> english, chinese = explain_rule(numbers, {"L": ("a loan", "贷款"), "P": ("a loan payment order", "还贷委托")})
    >>> english.split("; ")[0]
    'Of 682 baskets with a loan, 682 (100.0 %'
    >>> chinese.split("；")[0]
    '在有贷款的682个篮子中，682个篮子（100.0%，95%置信区间99.4%至100.0%）同时有还贷委托'
    """
    names = labels or {}
    english_if, chinese_if = _named(evidence.antecedent, names)
    english_then, chinese_then = _named(evidence.consequent, names)
    confidence = evidence.rule_count / evidence.antecedent_count
    average = evidence.consequent_count / evidence.basket_count
    level = f"{100 * evidence.confidence_level:.3g}"
    p_value = "< 1e-300" if evidence.adjusted_p_value < 1e-300 else f"= {evidence.adjusted_p_value:.2g}"
    english = (
        f"Of {evidence.antecedent_count:,} {unit.english} with {english_if}, {evidence.rule_count:,} "
        f"({_percent(confidence)} %; {level} % interval {_percent(evidence.confidence_lower)} to "
        f"{_percent(evidence.confidence_upper)} %) also have {english_then}, against {evidence.consequent_count:,} of "
        f"all {evidence.basket_count:,} ({_percent(average)} %): {confidence / average:.3g} times the average. "
    )
    chinese = (
        f"在有{chinese_if}的{evidence.antecedent_count:,}{unit.chinese}中，{evidence.rule_count:,}{unit.chinese}"
        f"（{_percent(confidence)}%，{level}%置信区间{_percent(evidence.confidence_lower)}%至"
        f"{_percent(evidence.confidence_upper)}%）同时有{chinese_then}；全部{evidence.basket_count:,}{unit.chinese}中有"
        f"{evidence.consequent_count:,}{unit.chinese}（{_percent(average)}%），"
        f"即平均水平的{confidence / average:.3g}倍。"
    )
    if evidence.is_significant:
        english += f"Chance does not explain it (adjusted p {p_value}, {evidence.tests:,} rules tested)."
        chinese += f"该结果难以用偶然解释（校正后p {p_value}，共检验{evidence.tests:,}条规则）。"
    else:
        english += f"It may be chance (adjusted p {p_value}, {evidence.tests:,} rules tested)."
        chinese += f"该结果可能出于偶然（校正后p {p_value}，共检验{evidence.tests:,}条规则）。"
    return english, chinese


def _named(codes: Sequence[str], names: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    pairs = [names.get(code, (code, code)) for code in codes]
    return " and ".join(pair[0] for pair in pairs), "和".join(pair[1] for pair in pairs)


def _percent(share: float) -> str:
    """Return a share in per cent; what is not quite none or all is not rounded to it."""
    if 0.0 < share < 0.0005:
        return "< 0.1"
    if 0.9995 <= share < 1.0:
        return "> 99.9"
    return f"{100 * share:.1f}"
