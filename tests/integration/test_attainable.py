"""The miners on sample banks of five seeds, held against who knows the truth."""

import pytest

from benchmarks.ceilings.bank import seed_bank
from benchmarks.ceilings.churn import churn_attained
from benchmarks.ceilings.loyalty import loyalty_figures
from benchmarks.ceilings.segments import segment_figures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=(1, 2, 3, 4, 5))
def bank(request, tmp_path_factory):
    return seed_bank(tmp_path_factory.mktemp(f"seed_{request.param}"), request.param)


def test_segments_reach_nine_tenths_of_what_the_true_centres_reach(bank):
    figures = segment_figures(bank)
    assert figures.groups == 8
    assert figures.ratio >= 0.9, figures
    assert figures.lowest_stability > 0.75
    # Curved boundaries between groups of known shape tell more than any k-means can.
    assert figures.gaussian_ratio >= 0.8, figures


def test_retention_rises_with_the_loyalty_decile(bank):
    figures = loyalty_figures(bank)
    assert figures.spearman >= 0.9, figures
    assert figures.auc_lower > 0.5, figures


def test_leavers_are_told_from_stayers_nearly_as_well_as_can_be(bank):
    figures = churn_attained(bank)
    assert figures.auc_ratio >= 0.95, figures
    assert 0.9 <= figures.slope <= 1.1, figures
    assert figures.lift_ratio >= 0.85, figures
