"""On sample banks of 20 seeds: what was planted is found, and next to nothing that is not there is called a finding."""

from __future__ import annotations

import pytest

from benchmarks.ceilings.rules import RuleFigures, rule_figures

pytestmark = pytest.mark.slow

SEEDS = range(1, 21)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> list[RuleFigures]:
    folder = tmp_path_factory.mktemp("seeds")
    return [rule_figures(folder / str(seed), seed) for seed in SEEDS]


def test_every_planted_rule_with_power_is_found_on_every_bank(figures: list[RuleFigures]) -> None:
    assert all(one.planted_with_power >= 5 for one in figures)
    assert [one.planted_with_power_found for one in figures] == [one.planted_with_power for one in figures]


def test_of_what_is_found_at_most_one_in_twenty_is_false(figures: list[RuleFigures]) -> None:
    rates = [one.found_false / one.found for one in figures]
    assert sum(rates) / len(rates) <= 0.05


def test_of_what_is_verified_at_most_one_in_twenty_is_false_even_within_latent_groups(
    figures: list[RuleFigures],
) -> None:
    assert all(one.planted_with_power_verified >= 5 for one in figures)
    for name in ("verified_false", "verified_false_within_age", "verified_false_within_group_and_age"):
        rates = [getattr(one, name) / one.verified for one in figures]
        assert sum(rates) / len(rates) <= 0.05, name


def test_simpsons_pair_is_flagged_on_every_bank(figures: list[RuleFigures]) -> None:
    assert all(one.simpson_flagged for one in figures)


def test_next_products_beat_popularity_out_of_time(figures: list[RuleFigures]) -> None:
    assert sum(one.difference_lower > 0 for one in figures) == len(figures)
    assert all(one.hit_rate > one.popularity_hit_rate for one in figures)
