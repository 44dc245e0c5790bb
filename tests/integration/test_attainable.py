"""The miners on sample banks of five seeds, held against who knows the truth.

The claims are on the mean of the seeds: a bank has a thousand judged leavers, whose chance moves a lift by two percent.
"""

from statistics import mean

import pytest

from benchmarks.ceilings.bank import seed_bank
from benchmarks.ceilings.churn import churn_attained
from benchmarks.ceilings.loyalty import loyalty_figures
from benchmarks.ceilings.segments import segment_figures

pytestmark = pytest.mark.slow

SEEDS = (1, 2, 3, 4, 5)
ONE_SEED = 0.02
"""How far a single seed may stay behind the claim on their mean."""


@pytest.fixture(scope="module")
def banks(tmp_path_factory):
    return [tmp_path_factory.mktemp(f"seed_{seed}") for seed in SEEDS]


def figures_of(banks, function):
    """One bank in memory at a time."""
    return [function(seed_bank(folder, seed)) for folder, seed in zip(banks, SEEDS, strict=True)]


def test_segments_reach_nine_tenths_of_what_the_true_centres_reach(banks):
    figures = figures_of(banks, segment_figures)
    assert {found.groups for found in figures} == {8}
    assert mean(found.ratio for found in figures) >= 0.9, figures
    assert min(found.ratio for found in figures) >= 0.9 - ONE_SEED, figures
    assert min(found.lowest_stability for found in figures) > 0.75
    # Curved boundaries between groups of known shape tell more than any k-means can.
    assert mean(found.gaussian_ratio for found in figures) >= 0.75, figures


def test_retention_rises_with_the_loyalty_decile(banks):
    for found in figures_of(banks, loyalty_figures):
        assert found.spearman >= 0.9, found
        assert found.auc_lower > 0.5, found


def test_leavers_are_told_from_stayers_nearly_as_well_as_can_be(banks):
    figures = figures_of(banks, churn_attained)
    assert mean(found.auc_ratio for found in figures) >= 0.95, figures
    assert min(found.auc_ratio for found in figures) >= 0.95 - ONE_SEED, figures
    # Aimed at is 0.85; docs/churn.md says how far it is.
    assert mean(found.lift_ratio for found in figures) >= 0.82, figures
    assert min(found.lift_ratio for found in figures) >= 0.82 - ONE_SEED, figures
    for found in figures:
        assert 0.9 <= found.slope <= 1.1, found
