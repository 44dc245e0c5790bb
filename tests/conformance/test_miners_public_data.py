"""The miners on public data with known answers."""

from __future__ import annotations

import pandas as pd
import pytest

from mining import churn

LEAKS = [
    "Naive_Bayes_Classifier_Attrition_Flag_Card_Category_Contacts_Count_12_mon_Dependent_count_Education_Level_"
    f"Months_Inactive_12_mon_{number}"
    for number in (1, 2)
]


@pytest.fixture(scope="module")
def card_customers(shared_data):
    """BankChurners: 10,127 card customers, 16.07 % attrited, two columns that know it."""
    table = pd.read_csv(shared_data / "bankchurners" / "BankChurners.csv")
    left = (table["Attrition_Flag"] == "Attrited Customer").astype(int)
    return table.drop(columns="Attrition_Flag"), left


def test_the_two_leaks_of_bankchurners_are_refused_by_name_and_no_honest_column_is(card_customers):
    features, left = card_customers
    result = churn.fit(features, left, groups="CLIENTNUM")
    assert result.leaking_columns == LEAKS
    assert [refusal.code for refusal in result.refusals] == ["leaking_column"] * 2
    assert all(name in refusal.sentence_en for name, refusal in zip(LEAKS, result.refusals, strict=True))
    assert result.model is None
    honest = result.columns.loc[result.columns["use"] == "used"]
    assert len(honest) == 19
    assert honest["auc_alone"].max() > 0.8
    missing = result.columns.set_index("column_name")["missing_ratio"]
    assert missing["Education_Level"] == pytest.approx(1519 / 10127)


@pytest.mark.slow
def test_bankchurners_without_the_leaks_reaches_its_known_auc_with_default_settings(card_customers):
    features, left = card_customers
    result = churn.fit(features.drop(columns=LEAKS), left, groups="CLIENTNUM")
    assert not result.is_refused
    assert result.metric("auc") >= 0.985
    assert result.metric("auc", "logistic") >= 0.91
    assert 0.9 <= result.metric("calibration_slope") <= 1.1
    assert result.metric("calibration_error") < 0.01
    assert "no time column" in result.run.method_en
    scores = churn.score(result.model, features.set_index("CLIENTNUM"))
    assert scores.loc[scores["is_listed"], "reason_1_en"].notna().all()
