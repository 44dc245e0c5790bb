"""Churn on sample banks against the best that could be known: who knows the customers' true state."""

from __future__ import annotations

import pytest

from benchmarks.attainable import seed_bank
from benchmarks.attainable_churn import ChurnAttained, churn_attained

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=(1, 2, 3, 4, 5))
def attained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ChurnAttained:
    seed: int = request.param
    return churn_attained(seed_bank(tmp_path_factory.mktemp(f"seed_{seed}"), seed))


@pytest.mark.xfail(reason="0.94 on seed 1; 0.96 when the same features learn from true chances")
def test_leavers_are_told_from_stayers_nearly_as_well_as_can_be(attained: ChurnAttained) -> None:
    assert attained.auc_ratio >= 0.95, attained


def test_the_probabilities_are_calibrated(attained: ChurnAttained) -> None:
    assert 0.9 <= attained.slope <= 1.1, attained


@pytest.mark.xfail(reason="0.81 on seed 1; 0.84 when the same features learn from true chances")
def test_the_list_holds_nearly_as_many_leavers_as_can_be(attained: ChurnAttained) -> None:
    assert attained.lift_ratio >= 0.85, attained
