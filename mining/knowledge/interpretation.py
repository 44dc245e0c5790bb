"""Sentences made from numbers, in English and Chinese: the same numbers always give the same words.

Each sentence names what was counted, out of how many, against what, and how sure that is. No sentence is written by
hand or by a model, so what a reader is told can be checked against the row it stands beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "BASKETS",
    "RuleEvidence",
    "TestEvidence",
    "Unit",
    "explain_rule",
    "explain_tests",
    "in_months",
    "percent",
    "times",
]


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
    level = f"{100 * evidence.confidence_level:.6g}"
    p_value = "< 1e-300" if evidence.adjusted_p_value < 1e-300 else f"= {evidence.adjusted_p_value:.2g}"
    english = (
        f"Of {evidence.antecedent_count:,} {unit.english} with {english_if}, {evidence.rule_count:,} "
        f"({percent(confidence)} %; {level} % interval {percent(evidence.confidence_lower)} to "
        f"{percent(evidence.confidence_upper)} %) also have {english_then}, against {evidence.consequent_count:,} of "
        f"all {evidence.basket_count:,} ({percent(average)} %): {times(confidence / average)} times the average. "
    )
    chinese = (
        f"在有{chinese_if}的{evidence.antecedent_count:,}{unit.chinese}中，{evidence.rule_count:,}{unit.chinese}"
        f"（{percent(confidence)}%，{level}%置信区间{percent(evidence.confidence_lower)}%至"
        f"{percent(evidence.confidence_upper)}%）同时有{chinese_then}；全部{evidence.basket_count:,}{unit.chinese}中有"
        f"{evidence.consequent_count:,}{unit.chinese}（{percent(average)}%），"
        f"即平均水平的{times(confidence / average)}倍。"
    )
    if evidence.is_significant:
        english += f"Chance does not explain it (adjusted p {p_value}, {evidence.tests:,} rules tested)."
        chinese += f"该结果难以用偶然解释（校正后p {p_value}，共检验{evidence.tests:,}条规则）。"
    else:
        english += f"It may be chance (adjusted p {p_value}, {evidence.tests:,} rules tested)."
        chinese += f"该结果可能出于偶然（校正后p {p_value}，共检验{evidence.tests:,}条规则）。"
    return english, chinese


@dataclass(frozen=True)
class TestEvidence:
    """The numbers behind what became of a rule after it was found; lifts that could not be counted are not numbers."""

    __test__ = False  # not a test case, whatever its name says to pytest

    holdout_lift: float
    strata_lift: float
    strata_lift_lower: float
    strata: Sequence[str]
    next_period: str
    next_period_lift: float
    killed_by: str | None
    months: int


STRATA_NAMES = {
    "party_type": ("kind of party", "客户类型"),
    "age_band": ("age", "年龄"),
    "aum_band": ("tier", "资产层级"),
    "aum_decile": ("decile of assets", "资产十分位"),
    "gender": ("gender", "性别"),
    "region": ("region", "地区"),
    "education": ("education", "学历"),
    "occupation": ("occupation", "职业"),
}
OUTCOMES = {
    None: ("It stood every test.", "通过全部检验。"),
    "chance": ("It was not put to further tests: it may be chance.", "因可能出于偶然，未作进一步检验。"),
    "holdout": (
        "A search without the baskets held out did not find it, or these did not confirm it.",
        "不含留出样本的搜索未能发现它，或留出样本未能证实它。",
    ),
    "simpson": ("Within the strata it turns round (Simpson's paradox).", "分层后方向反转（辛普森悖论）。"),
    "strata": ("Most of it is the make-up of the customers.", "主要由客户结构造成。"),
    "next_period": ("In the next period it went the other way.", "下一期方向相反。"),
}


def explain_tests(evidence: TestEvidence) -> tuple[str, str]:
    """Return in English and Chinese what became of a rule in its tests.

    Examples
    --------
    >>> numbers = TestEvidence(1.9, 0.6, 0.53, ["age_band"], "no_history", float("nan"), "simpson", 6)
    >>> english, chinese = explain_tests(numbers)
    >>> english.split(". ")[1]
    'Among persons of the same age: 0.6 times what independence gives (at least 0.53)'
    >>> print(chinese)
    留出样本中为平均的1.9倍。同年龄客户中为独立时的0.6倍（至少0.53倍）。分层后方向反转（辛普森悖论）。
    """
    english, chinese = OUTCOMES[evidence.killed_by]
    if evidence.killed_by == "chance":
        return english, chinese
    parts: list[tuple[str, str]] = []
    if evidence.holdout_lift == evidence.holdout_lift:
        lift = times(evidence.holdout_lift)
        parts.append((f"On baskets held out: {lift} times the average.", f"留出样本中为平均的{lift}倍。"))
    if evidence.strata_lift == evidence.strata_lift:
        names = [STRATA_NAMES.get(name, (name, name)) for name in evidence.strata]
        lift, lower = times(evidence.strata_lift), times(evidence.strata_lift_lower)
        parts.append(
            (
                f"Among persons of the same {', '.join(name for name, _ in names)}: {lift} times what independence "
                f"gives (at least {lower}).",
                f"同{'、'.join(name for _, name in names)}客户中为独立时的{lift}倍（至少{lower}倍）。",
            )
        )
    if evidence.next_period in ("held", "reversed"):
        lift = times(evidence.next_period_lift)
        parts.append(
            (
                f"In the {in_months(evidence.months)} after an earlier date those with the one took up the other "
                f"{lift} times as often as the average.",
                f"此前时点之后的{evidence.months}个月内，有前者的客户新增后者为平均的{lift}倍。",
            )
        )
    parts.append((english, chinese))
    return " ".join(part for part, _ in parts), "".join(part for _, part in parts)


def _named(codes: Sequence[str], names: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    pairs = [names.get(code, (code, code)) for code in codes]
    return " and ".join(pair[0] for pair in pairs), "和".join(pair[1] for pair in pairs)


def percent(share: float) -> str:
    """Return a share in per cent; what is not quite none or all is not rounded to it.

    Examples
    --------
    >>> percent(0.583), percent(0.0001), percent(0.9999), percent(1.0)
    ('58.3', '< 0.1', '> 99.9', '100.0')
    """
    if 0.0 < share < 0.0005:
        return "< 0.1"
    if 0.9995 <= share < 1.0:
        return "> 99.9"
    return f"{100 * share:.1f}"


def times(ratio: float) -> str:
    """Return how many times the average, to three digits and without a power of ten.

    Examples
    --------
    >>> times(1.389), times(999.6), times(24_500.0)
    ('1.39', '1,000', '24,500')
    """
    return f"{ratio:.3g}" if ratio < 999.5 else f"{ratio:,.0f}"


def in_months(count: int) -> str:
    """Return a number of months in English.

    Examples
    --------
    >>> in_months(1), in_months(6)
    ('1 month', '6 months')
    """
    return f"{count:,} {'month' if count == 1 else 'months'}"
