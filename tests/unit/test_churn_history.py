"""Customers against their own past: read from earlier months only."""

import numpy as np
import pandas as pd
import pytest

from mining import churn
from mining.examples import customer_panel
from mining.gates import hashed_shares


@pytest.fixture(scope="module")
def panel():
    return customer_panel(persons=300, months=10)[0]


def test_the_own_past_is_the_mean_of_the_months_before_as_pandas_counts_it(panel):
    found = churn.with_history(panel, months=3)
    ordered = found.sort_values(["person_id", "month_on"])
    own = ordered.groupby("person_id")["aum_average"]
    past = own.transform(lambda values: values.shift(1).rolling(3, min_periods=1).mean())
    assert np.allclose(ordered["aum_average_against_3m"], ordered["aum_average"] - past, equal_nan=True)
    assert np.allclose(ordered["aum_average_previous"], own.shift(1), equal_nan=True)


def test_amounts_are_shares_of_their_own_past_and_of_the_own_assets(panel):
    found = churn.with_history(panel, months=3).sort_values(["person_id", "month_on"])
    assets = found.groupby("person_id")["aum_average"]
    past = assets.transform(lambda values: values.shift(1).rolling(3, min_periods=1).mean())
    mean = assets.transform(lambda values: values.rolling(3, min_periods=1).mean())
    spread = assets.transform(lambda values: values.shift(1).rolling(3, min_periods=1).std(ddof=0))
    amount = found["aum_average"]
    assert np.allclose(found["aum_average_of_3m_ratio"], (amount / past).where(past > 0), equal_nan=True)
    assert np.allclose(found["aum_average_of_assets_ratio"], (amount / mean).where(mean > 0), equal_nan=True)
    own = found["aum_average_spread_3m_ratio"]
    assert np.allclose(own, (spread / past).where(past > 0), equal_nan=True, atol=1e-6)
    assert "customer_transactions_1m_of_3m_ratio" not in found


def test_rows_and_columns_stay_and_constants_and_counters_are_not_compared(panel):
    before = panel.copy(deep=True)
    found = churn.with_history(panel)
    pd.testing.assert_frame_equal(panel, before)
    pd.testing.assert_frame_equal(found[panel.columns], panel)
    added = set(found.columns) - set(panel.columns)
    assert "customer_transactions_1m_against_6m" in added
    assert not {"tenure_months_previous", "age_previous", "gender_previous", "digital_share_3m_previous"} & added


def test_nothing_later_gets_in(panel):
    corrupted = panel.copy()
    later = corrupted["month_on"] > "2023-06-30"
    corrupted.loc[later, "aum_average"] = 1e12
    honest, poisoned = churn.with_history(panel), churn.with_history(corrupted)
    pd.testing.assert_frame_equal(honest[~later], poisoned[~later])
    assert not honest[later].equals(poisoned[later])


def test_the_order_of_rows_does_not_matter(panel):
    shuffled = panel.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(churn.with_history(shuffled).sort_index(), churn.with_history(panel))


def test_a_column_that_is_no_number_is_named(panel):
    with pytest.raises(ValueError, match="'gender' is not numeric"):
        churn.with_history(panel, columns=["gender"])


def test_one_month_alone_is_the_same_as_among_all(panel):
    month = sorted(panel["month_on"].unique())[-1]
    everything = churn.with_history(panel)
    alone = churn.with_history(panel, as_of=month)
    pd.testing.assert_frame_equal(alone, everything[everything["month_on"] == month])


def test_a_model_s_own_columns_are_made_whatever_the_data_of_the_day_looks_like(panel):
    rows = panel
    fitted = [name for name in churn.with_history(rows).columns if name not in rows.columns]
    overdrawn = rows.assign(aum_average=-rows["aum_average"].astype(float))
    assert [name for name in churn.with_history(overdrawn).columns if name not in rows.columns] != fitted
    again = churn.with_history(overdrawn, made=fitted)
    assert [name for name in again.columns if name not in rows.columns] == fitted


def test_a_month_that_the_panel_does_not_have_is_an_error(panel):
    with pytest.raises(ValueError, match="is no month of the panel"):
        churn.with_history(panel, as_of="2031-01-31")


def test_of_a_large_panel_whole_persons_are_drawn_and_a_fit_draws_again_among_them():
    months = ("2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30")
    panel = pd.DataFrame([(f"p{number}", month) for number in range(2000) for month in months])
    panel.columns = ["person_id", "month_on"]
    settings = churn.Settings(maximum_rows=1000)
    drawn = churn.drawn_persons(panel, settings)
    assert 1200 < len(drawn) < 1800
    assert (drawn.groupby("person_id").size() == len(months)).all()
    again = churn.drawn_persons(panel.sample(frac=1, random_state=1), settings)
    assert set(again["person_id"]) == set(drawn["person_id"])
    # Drawn by another number than the fit draws by: else all who were drawn once would be drawn twice.
    kept = hashed_shares(drawn["person_id"], settings.seed, "sample") < settings.maximum_rows / len(drawn)
    assert 0.5 < kept.mean() < 0.8
    assert churn.drawn_persons(panel).equals(panel)
