"""On sample banks customers with a higher loyalty index stay more often, decile by decile."""

import pytest

from benchmarks.attainable import seed_bank
from benchmarks.attainable_loyalty import SEEDS, loyalty_figures


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_retention_rises_with_the_loyalty_decile(seed, tmp_path_factory):
    figures = loyalty_figures(seed_bank(tmp_path_factory.mktemp("attainable"), seed))
    assert figures.spearman >= 0.9
    assert figures.auc_lower > 0.5
