"""What every miner of customers must do, whichever it is."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mining import churn, loyalty, segmentation
from mining.churn import BoostingSettings
from mining.examples import customer_groups, customer_panel
from mining.gates import METRIC_COLUMNS, hashed_shares, rounded, rounded_frame, text_hash
from mining.segmentation import SelectionSettings


@dataclasses.dataclass(frozen=True)
class Miner:
    name: str
    table: Callable[[], pd.DataFrame]
    mine: Callable[[pd.DataFrame], Any]
    figure: str
    published: str


def churn_table() -> pd.DataFrame:
    panel, _ = customer_panel(persons=1500, months=14)
    features, labels, persons, months = churn.training_rows(panel, churn.label_months(panel))
    return features.assign(label=labels, person_id=persons, month_on=months)


def mine_churn(table: pd.DataFrame) -> churn.ChurnResult:
    settings = churn.Settings(folds=3, replicates=20, boosting=BoostingSettings(most_trees=20))
    labels = table["label"] if "label" in table.columns else []
    features = table.drop(columns=["label"], errors="ignore")
    keys = {"groups": "person_id", "as_of": "month_on"} if len(table.columns) else {}
    return churn.fit(features, labels, settings=settings, **keys)


def mine_segments(table: pd.DataFrame) -> segmentation.SegmentationResult:
    settings = segmentation.Settings(
        selection=SelectionSettings(most=5, sample=400, starts=4, draws=5, resample=500, resample_starts=3),
        structure_draws=4,
    )
    return segmentation.fit(table, settings)


def mine_loyalty(table: pd.DataFrame) -> loyalty.LoyaltyResult:
    return loyalty.fit(table, loyalty.Settings(replicates=20))


MINERS = (
    Miner("churn", churn_table, mine_churn, "aum_average", "tested"),
    Miner("segmentation", lambda: customer_groups(1000)[0], mine_segments, "aum_average", "assignments"),
    Miner("loyalty", lambda: customer_panel(persons=900, months=10)[0], mine_loyalty, "aum_average", "customers"),
)


@pytest.fixture(scope="module", params=MINERS, ids=lambda miner: miner.name)
def mined(request):
    miner: Miner = request.param
    table = miner.table()
    before = table.copy(deep=True)
    return miner, table, before, miner.mine(table)


def published(miner, result):
    frames = result.frames() | {"tested": getattr(result, "tested", pd.DataFrame())}
    assert len(frames[miner.published]) > 0
    return frames


def test_it_publishes_on_planted_customers(mined):
    miner, _, _, result = mined
    assert result.refusals == []
    assert not result.is_refused
    assert len(published(miner, result)["metrics"]) > 0


def test_it_does_not_change_its_input(mined):
    _, table, before, _ = mined
    pd.testing.assert_frame_equal(table, before)


def test_the_same_input_gives_the_same_tables_in_whatever_order_rows_and_columns_come(mined):
    miner, table, _, result = mined
    shuffled = table.sample(frac=1.0, random_state=3)
    again = miner.mine(shuffled[sorted(shuffled.columns, reverse=True)])
    one, two = published(miner, result), published(miner, again)
    assert one.keys() == two.keys()
    for name, frame in one.items():
        pd.testing.assert_frame_equal(frame, two[name], check_exact=True, obj=f"{miner.name}.{name}")


def test_other_data_is_another_run(mined):
    miner, table, _, result = mined
    changed = table.copy()
    changed[miner.figure] = changed[miner.figure] * 1.5
    other = miner.mine(changed)
    assert other.run.run_id != result.run.run_id
    assert other.run.feature_hash == result.run.feature_hash
    assert other.run.data_hash != result.run.data_hash


def test_an_empty_table_and_a_handful_of_customers_are_refused_with_reasons_in_both_languages(mined):
    miner, table, _, _ = mined
    few = table.head(40)
    for small in (few, few.head(0)):
        result = miner.mine(small)
        assert result.is_refused
        assert result.run.is_refused
        assert getattr(result, "model", None) is None
        for refusal in result.refusals:
            assert re.fullmatch(r"[a-z_]+", refusal.code)
            assert re.search(r"[a-z]{4}", refusal.sentence_en)
            assert re.search(r"[\u4e00-\u9fff]{4}", refusal.sentence_zh)
            assert refusal.found
            assert refusal.needed
        frames = result.frames()
        assert len(frames["refusals"]) == len(result.refusals)
        assert len(frames[miner.published]) == 0 if miner.published in frames else result.tested.empty


def test_tables_are_ready_to_be_written(mined):
    miner, _, _, result = mined
    for name, frame in published(miner, result).items():
        assert re.fullmatch(r"[a-z_]+", name)
        for column in frame.columns:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", column), f"{name}.{column}"
            held = frame[column].dropna()
            assert not held.map(lambda value: isinstance(value, (list, dict, set, tuple))).any(), f"{name}.{column}"
            if pd.api.types.is_float_dtype(frame[column].dtype):
                values = held.to_numpy(dtype=float)
                assert all(value == rounded(value) for value in values[:200]), f"{name}.{column}"
        assert list(frame.index) == list(range(len(frame))), name
    assert tuple(result.metrics.columns) == METRIC_COLUMNS
    assert (result.metrics["run_id"] == result.run.run_id).all()


def test_the_run_is_described(mined):
    miner, _, _, result = mined
    run = result.run
    assert run.miner == miner.name
    assert re.fullmatch(r"[0-9a-f]{16}", run.run_id)
    assert json.loads(run.parameters)["seed"] == run.seed
    assert run.persons > 0
    assert run.feature_count > 0
    assert run.method_en
    assert run.method_zh
    assert len(run.frame()) == 1
    if "month_on" in mined[1].columns:
        assert run.window_from < run.window_to


def test_results_cannot_be_changed_afterwards(mined):
    _, _, _, result = mined
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.refusals = []
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.run.run_id = "another"


def test_rounding_keeps_ten_significant_digits_and_leaves_the_rest():
    frame = pd.DataFrame({"value": [1 / 3, 2e-20 / 3, 0.0, np.nan, np.inf, -123456789.123456], "name": list("abcdef")})
    held = rounded_frame(frame)["value"].tolist()
    assert held[:3] == [0.3333333333, 6.666666667e-21, 0.0]
    assert np.isnan(held[3])
    assert held[4] == np.inf
    assert held[5] == -123456789.1


def test_hashes_do_not_run_parts_together_and_shares_are_even():
    assert text_hash("ab", "c") != text_hash("a", "bc")
    shares = hashed_shares(pd.Series(range(20_000)), 1, "folds")
    assert np.allclose(np.histogram(shares, 10, (0, 1))[0], 2000, atol=200)
    assert np.array_equal(shares[:5], hashed_shares(pd.Series(["0", "1", "2", "3", "4"]), 1, "folds"))
    assert abs(np.corrcoef(shares, hashed_shares(pd.Series(range(20_000)), 1, "other"))[0, 1]) < 0.05
