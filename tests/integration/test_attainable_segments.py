"""The segments of sample banks agree with the true groups nearly as well as centres put where the groups are."""

import pytest

from benchmarks.attainable import seed_bank
from benchmarks.attainable_segments import SEEDS, segment_figures


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_segments_reach_nine_tenths_of_what_the_true_centres_reach(seed, tmp_path_factory):
    figures = segment_figures(seed_bank(tmp_path_factory.mktemp("attainable"), seed))
    assert figures.groups == 8
    assert figures.ratio >= 0.9
    assert figures.lowest_stability > 0.75
    # Curved boundaries between groups of known shape tell more than any k-means can; measured 0.81 to 0.83.
    assert figures.gaussian_ratio >= 0.8
