"""What customers are usually like: means over the past, nothing later."""

import numpy as np
import pandas as pd
import pytest

from mining import segmentation
from mining.examples import customer_panel


@pytest.fixture(scope="module")
def panel():
    return customer_panel(persons=200, months=10)[0]


def test_numbers_are_means_over_the_months_a_person_has_and_the_rest_is_the_last_value(panel):
    found = segmentation.usual_features(panel, months=4)
    months = sorted(panel["month_on"].unique())[-4:]
    inside = panel[panel["month_on"].isin(months)]
    expected = inside.groupby("person_id")["aum_average"].mean()
    assert np.allclose(found["aum_average"], expected.loc[found.index])
    last = panel[panel["month_on"] == months[-1]].set_index("person_id")
    assert sorted(found.index) == sorted(last.index)
    assert (found["gender"] == last["gender"].loc[found.index]).all()


def test_nothing_after_as_of_gets_in_and_the_order_of_rows_does_not_matter(panel):
    as_of = "2023-06-30"
    corrupted = panel.copy()
    corrupted.loc[corrupted["month_on"] > as_of, "aum_average"] = -1e9
    honest = segmentation.usual_features(panel, as_of)
    poisoned = segmentation.usual_features(corrupted.sample(frac=1, random_state=2), as_of)
    pd.testing.assert_frame_equal(honest, poisoned)


def test_a_month_that_is_not_there_is_named(panel):
    with pytest.raises(ValueError, match="as_of 2031-01-31 is no month of the panel"):
        segmentation.usual_features(panel, "2031-01-31")


def test_a_person_s_missing_months_are_left_out_and_nothing_known_is_missing():
    panel = pd.DataFrame(
        [("b", "2024-02-29", np.nan, "x"), ("a", "2024-01-31", 1.0, "u"), ("a", "2024-02-29", np.nan, "v")],
        columns=["person_id", "month_on", "inflow_3m", "region"],
    )
    found = segmentation.usual_features(panel)
    assert found.index.tolist() == ["a", "b"]
    assert found.loc["a", "inflow_3m"] == 1.0
    assert np.isnan(found.loc["b", "inflow_3m"])
    assert found["region"].tolist() == ["v", "x"]
