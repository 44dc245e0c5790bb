"""Exact tests, corrections and intervals against independent computations."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mining.association.significance import benjamini_hochberg, fisher_log_p_values, holm, wilson_interval


@st.composite
def tables(draw: st.DrawFn, largest: int) -> tuple[int, int, int, int]:
    total = draw(st.integers(1, largest))
    first = draw(st.integers(0, total))
    second = draw(st.integers(0, total))
    both = draw(st.integers(max(0, first + second - total), min(first, second)))
    return both, first, second, total


def exact_log_p(both: int, first: int, second: int, total: int) -> float:
    ways = sum(
        math.comb(second, count) * math.comb(total - second, first - count)
        for count in range(both, min(first, second) + 1)
        if first - count <= total - second
    )
    share = Fraction(ways, math.comb(total, first))
    return math.log(share.numerator) - math.log(share.denominator)


@given(tables(400))
def test_fisher_equals_the_count_of_ways(table: tuple[int, int, int, int]) -> None:
    both, first, second, total = table
    found = float(fisher_log_p_values([both], [first], [second], total)[0])
    assert found == pytest.approx(exact_log_p(*table), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("both", "first", "second", "total"),
    [(682, 682, 717, 4500), (300, 2_000, 9_000, 20_000), (40, 300, 2_500, 20_000), (990, 1000, 1000, 20_000)],
)
def test_fisher_keeps_its_accuracy_far_below_the_smallest_float(both: int, first: int, second: int, total: int) -> None:
    found = float(fisher_log_p_values([both], [first], [second], total)[0])
    assert found == pytest.approx(exact_log_p(both, first, second, total), abs=1e-10)


def test_fisher_agrees_with_scipy_on_large_banks() -> None:
    generator = np.random.default_rng(11)
    total = 1_000_000
    first = generator.integers(1, total, 200)
    second = generator.integers(1, total, 200)
    mean = first * second / total
    both = np.clip(
        np.rint(mean + generator.normal(0, 3, 200) * np.sqrt(mean)).astype(int),
        np.maximum(0, first + second - total),
        np.minimum(first, second),
    )
    expected = stats.hypergeom.sf(both - 1, total, first, second)
    found = np.exp(fisher_log_p_values(both, first, second, total))
    shown = expected > 1e-12
    np.testing.assert_allclose(found[shown], expected[shown], rtol=1e-7)


def test_fisher_is_symmetric_in_its_sides() -> None:
    generator = np.random.default_rng(5)
    first, second = generator.integers(1, 500, (2, 300))
    both = generator.integers(0, np.minimum(first, second) + 1)
    np.testing.assert_array_equal(
        fisher_log_p_values(both, first, second, 1000), fisher_log_p_values(both, second, first, 1000)
    )


def test_an_impossible_table_is_refused() -> None:
    with pytest.raises(ValueError, match="Table 1 is impossible: 5 baskets with both sides"):
        fisher_log_p_values([1, 5], [4, 4], [4, 4], 10)


@given(st.lists(st.floats(1e-300, 1.0), min_size=1, max_size=60))
def test_benjamini_hochberg_equals_scipys(p_values: list[float]) -> None:
    np.testing.assert_allclose(
        benjamini_hochberg(np.log(p_values)), stats.false_discovery_control(p_values), rtol=1e-10
    )


def test_hypotheses_not_shown_count_with_p_of_one() -> None:
    shown = np.array([0.001, 0.02, 0.0004])
    padded = np.concatenate([shown, np.ones(97)])
    for adjust in (benjamini_hochberg, holm):
        np.testing.assert_allclose(adjust(np.log(shown), 100), adjust(np.log(padded))[:3], rtol=1e-12)
        with pytest.raises(ValueError, match="2 tests were named but 3"):
            adjust(np.log(shown), 2)


@given(st.lists(st.floats(1e-300, 1.0), min_size=1, max_size=60))
def test_holm_follows_its_definition(p_values: list[float]) -> None:
    adjusted = holm(np.log(p_values))
    order = np.argsort(p_values, kind="stable")
    running = 0.0
    for rank, place in enumerate(order):
        running = min(1.0, max(running, (len(p_values) - rank) * p_values[place]))
        assert adjusted[place] == pytest.approx(running, rel=1e-10)


def test_equal_p_values_may_be_given_once() -> None:
    values, repeats = np.log([0.02, 0.0001, 0.3]), [3, 2, 4]
    for adjust in (benjamini_hochberg, holm):
        each = adjust(np.repeat(values, repeats), 40)
        np.testing.assert_allclose(np.repeat(adjust(values, 40, repeats), repeats), each, rtol=1e-12)
    with pytest.raises(ValueError, match="8 tests were named but 9"):
        holm(values, 8, repeats)


def test_holm_and_benjamini_hochberg_of_nothing_are_nothing() -> None:
    nothing = np.empty(0)
    assert len(holm(nothing, 5)) == len(benjamini_hochberg(nothing, 5)) == 0


@given(st.integers(1, 5000), st.data())
def test_wilson_equals_scipys(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    lower, upper = wilson_interval([successes], [trials])
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert lower[0] == pytest.approx(expected.low, abs=1e-12)
    assert upper[0] == pytest.approx(expected.high, abs=1e-12)


def test_the_wilson_interval_covers_as_often_as_it_says() -> None:
    successes = np.random.default_rng(2).binomial(200, 0.07, 20_000)
    lower, upper = wilson_interval(successes, np.full(20_000, 200))
    assert np.mean((lower <= 0.07) & (upper >= 0.07)) == pytest.approx(0.95, abs=0.015)


def test_a_confidence_level_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"confidence_level is 95; it must lie between 0 and 1"):
        wilson_interval([1], [2], 95)
