"""Loyalty: from the measures there are, with the weights that are said, and proven by who stayed."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mining import loyalty
from mining.churn import ClosureOrDrop
from mining.examples import customer_panel
from mining.loyalty import MEASURES, Level, Settings, compared_weights, entropy_weights
from mining.loyalty.index import index_decile, moved_words
from mining.loyalty.measures import scaled_part
from mining.loyalty.weights import BUSINESS_WEIGHTS

QUICK = Settings(replicates=60)


@pytest.fixture(scope="module")
def planted():
    panel, truth = customer_panel(persons=2500)
    return panel, truth, loyalty.fit(panel, QUICK)


def small_panel(persons=600, months=6, **columns):
    """The same columns for everybody, plus tenure, assets, their growth and products, which differ."""
    names = np.array([f"p{number:04d}" for number in range(persons)], dtype=object)
    parts = []
    for number, month in enumerate(pd.date_range("2024-01-31", periods=months, freq="ME")):
        frame = pd.DataFrame({"person_id": names, "month_on": month})
        frame["tenure_months"] = np.arange(persons) % 97 + number
        frame["aum_average"] = (1000.0 + np.arange(persons) % 89 * 100) * (1 + np.arange(persons) % 7 * number / 50)
        frame["products_held"] = 1 + np.arange(persons) % 4
        for name, values in columns.items():
            frame[name] = values
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def codes(result):
    return [refusal.code for refusal in result.refusals]


# --- what is measured ---------------------------------------------------------------------------------


def test_a_measure_without_its_columns_is_absent_and_the_reason_names_the_column(planted):
    measures = planted[-1].measures.set_index("measure")
    assert len(measures) == len(MEASURES) == 10
    assert not measures.loc["satisfaction", "is_available"]
    assert measures.loc["satisfaction", "absence_en"] == "no column satisfaction_gap"
    assert measures.loc["satisfaction", "absence_zh"] == "缺少列 satisfaction_gap"
    assert measures.loc["satisfaction", "weight_used"] == 0
    assert planted[-1].customers["measure_satisfaction"].isna().all()
    assert measures.loc["growth", "is_available"]


def test_weights_renormalise_over_the_measures_a_person_has_and_the_row_says_which(planted):
    result = planted[-1]
    weights = result.measures.set_index("measure")["weight_used"]
    assert weights.sum() == pytest.approx(1)
    without = result.customers.loc[result.customers["measure_after_complaint"].isna()].iloc[0]
    with_one = result.customers.loc[result.customers["measure_after_complaint"].notna()].iloc[0]
    for row in (without, with_one):
        used = row["measures_used"].split(", ")
        values = np.array([row[f"measure_{name}"] for name in used])
        own = weights[used].to_numpy()
        assert row["loyalty_index"] == pytest.approx((values * own).sum() / own.sum(), abs=1e-8)
        assert row["measures_used_count"] == len(used)
        assert row["weight_covered_ratio"] == pytest.approx(own.sum(), abs=1e-9)
    assert "after_complaint" not in without["measures_used"]
    assert "after_complaint" in with_one["measures_used"]
    assert "出现问题时的态度" in with_one["measures_used_zh"]


def test_an_attitude_after_a_complaint_is_measured_only_where_there_was_one(planted):
    panel, _, result = planted
    last = panel.loc[panel["month_on"] == panel["month_on"].max()].set_index("person_id")["complaints_12m"]
    own = result.customers.set_index("person_id")["measure_after_complaint"]
    assert (own.notna() == (last.loc[own.index] > 0)).all()


def test_every_measure_is_between_zero_and_one_and_turned_so_that_one_is_loyal(planted):
    panel, _, result = planted
    values = result.customers.filter(like="measure_").drop(columns=["measures_used"], errors="ignore")
    values = values.select_dtypes("float")
    held = values.to_numpy()[np.isfinite(values.to_numpy())]
    assert held.min() >= 0
    assert held.max() <= 1
    last = panel.loc[panel["month_on"] == panel["month_on"].max()].set_index("person_id")
    customers = result.customers.set_index("person_id")
    share = (last["external_outflow_3m"] / (last["aum_average"] + last["external_outflow_3m"])).loc[customers.index]
    assert customers["measure_competitors"].corr(share, method="spearman") < -0.3
    assert customers["measure_persistence"].corr(last["tenure_months"].loc[customers.index]) > 0.5


def test_scaling_winsorises_aligns_and_tells_nothing_of_what_is_the_same_for_all():
    values = np.append(np.arange(100.0), [1e9, np.nan])
    scaled = scaled_part(values, 0.05, is_loyal_when_high=True)
    assert scaled[0] == 0
    assert scaled[100] == 1
    assert np.isnan(scaled[101])
    turned = scaled_part(values, 0.05, is_loyal_when_high=False)
    assert np.allclose(turned[:101], 1 - scaled[:101])
    assert np.isnan(scaled_part(np.full(50, 3.0), 0.05, is_loyal_when_high=True)).all()
    rare = scaled_part(np.append(np.zeros(99), 4.0), 0.05, is_loyal_when_high=False)
    assert rare[:99].min() == 1
    assert rare[99] == 0


def test_moving_money_when_the_rate_gap_widens_is_price_sensitive():
    rows = small_panel(months=8, rate_gap=0.01, external_outflow_3m=0.0)
    month = rows["month_on"].rank(method="dense").astype(int)
    moves = (rows["person_id"].str[1:].astype(int) % 5 == 0).to_numpy()
    rows.loc[month >= 4, "rate_gap"] = 0.02
    rows.loc[(month == 6) & moves, "external_outflow_3m"] = 500.0
    own = loyalty.fit(rows, QUICK).customers["measure_price_sensitivity"].to_numpy()
    first_month = moves[: len(own)]
    assert own[first_month].max() < own[~first_month].min()
    calm = small_panel(months=8, rate_gap=0.01, external_outflow_3m=5.0)
    assert loyalty.fit(calm, QUICK).customers["measure_price_sensitivity"].isna().all()


def test_levels_follow_the_bounds_given(planted):
    panel, _, result = planted
    bounds = (Level(0.0, "low", "低"), Level(0.6, "high", "高"))
    own = loyalty.fit(panel, dataclasses.replace(QUICK, levels=bounds)).customers
    assert ((own["loyalty_index"] >= 0.6) == (own["level_en"] == "high")).all()
    assert set(own["level_zh"]) == {"低", "高"}
    assert set(result.customers["level_zh"]) <= {"游离", "摇摆", "稳定", "忠诚"}


def test_who_is_covered_by_too_little_weight_has_no_index_rather_than_a_guess():
    panel = small_panel()
    few = panel["person_id"] < "p0050"
    panel.loc[few, ["tenure_months", "products_held"]] = np.nan
    panel.loc[few, "aum_average"] = np.nan
    own = loyalty.fit(panel, QUICK).customers.set_index("person_id")
    assert own.loc[own.index < "p0050", ["loyalty_index", "level_en", "loyalty_decile"]].isna().all(axis=None)
    assert own.loc[own.index >= "p0050", "loyalty_index"].notna().all()


def test_deciles_keep_equal_values_together():
    decile = index_decile(np.append(np.repeat(0.5, 30), [0.1, 0.9, np.nan]))
    assert len(set(decile[:30])) == 1
    assert decile[30] == 1
    assert decile[31] == 10
    assert np.isnan(decile[32])


# --- weights -------------------------------------------------------------------------------------------


def test_ahp_gives_saaty_s_weights_and_consistency():
    # Eigenvector and eigenvalue of this matrix solved by hand: det(A - lambda I) = 0 gives 3.0037.
    found = compared_weights(["a", "b", "c"], [("a", "b", 3), ("a", "c", 5), ("b", "c", 2)])
    assert [round(found.weights[name], 3) for name in "abc"] == [0.648, 0.230, 0.122]
    assert found.largest_eigenvalue == pytest.approx(3.0037, abs=1e-4)
    assert found.consistency_index == pytest.approx((found.largest_eigenvalue - 3) / 2)
    assert found.consistency_ratio == pytest.approx(found.consistency_index / 0.58)


def test_a_pair_that_nobody_compared_is_named():
    with pytest.raises(ValueError, match="compares a with c"):
        compared_weights(["a", "b", "c"], [("a", "b", 3), ("b", "c", 2)])
    with pytest.raises(ValueError, match="a : b is 0"):
        compared_weights(["a", "b"], [("a", "b", 0)])


def test_entropy_rewards_dispersion_and_gives_nothing_to_a_constant():
    draw = np.random.default_rng(0)
    weights = entropy_weights(
        {"even": np.full(500, 0.5), "mild": draw.uniform(0.4, 0.6, 500), "wide": draw.uniform(0, 1, 500)}
    )
    assert weights["even"] == pytest.approx(0, abs=1e-12)
    assert weights["wide"] > weights["mild"] > 0
    share = np.array([0.2, 0.3, 0.5])
    by_hand = 1 + (share * np.log(share)).sum() / np.log(3)
    other = np.array([0.1, 0.1, 0.8])
    other_by_hand = 1 + (other * np.log(other)).sum() / np.log(3)
    found = entropy_weights({"x": share, "y": other})
    assert found["x"] == pytest.approx(by_hand / (by_hand + other_by_hand))


def test_all_three_weightings_stand_side_by_side_and_one_is_used(planted):
    panel, _, by_business = planted
    measures = by_business.measures
    for column in ("weight_business", "weight_ahp", "weight_entropy"):
        assert measures[column].sum() == pytest.approx(1)
    assert measures["weight_used"].tolist() == measures["weight_business"].tolist()
    assert (measures["ahp_consistency_ratio"] < 0.1).all()
    by_ahp = loyalty.fit(panel, dataclasses.replace(QUICK, weighting="ahp"))
    assert by_ahp.measures["weight_used"].tolist() == by_ahp.measures["weight_ahp"].tolist()
    by_entropy = loyalty.fit(panel, dataclasses.replace(QUICK, weighting="entropy"))
    assert by_entropy.measures["weight_used"].tolist() == by_entropy.measures["weight_entropy"].tolist()
    assert sum(BUSINESS_WEIGHTS.values()) == pytest.approx(1)


def test_judgements_that_contradict_each_other_are_refused_when_they_are_used():
    names = sorted(measure.name for measure in MEASURES)
    circle = []
    for i, first in enumerate(names):
        for j, second in enumerate(names[i + 1 :], start=i + 1):
            circle.append((first, second, 9.0 if (j - i) % 2 else 1 / 9))
    settings = dataclasses.replace(QUICK, weighting="ahp", judgements=tuple(circle))
    assert codes(loyalty.fit(small_panel(), settings)) == ["inconsistent_judgements"]
    assert not loyalty.fit(small_panel(), dataclasses.replace(settings, weighting="business")).is_refused


# --- the proof -------------------------------------------------------------------------------------------


def test_retention_rises_with_the_index_where_departures_were_planted(planted):
    result = planted[-1]
    assert result.is_proven
    metric = result.metrics.set_index(["subject", "metric"])["value"]
    assert metric["model", "retention_spearman"] >= 0.8
    assert metric["model", "retention_auc"] > 0.7
    curve = result.retention
    assert curve["loyalty_decile"].tolist() == list(range(1, 11))
    assert ((curve["lower"] <= curve["retention_ratio"]) & (curve["retention_ratio"] <= curve["upper"])).all()
    assert curve["retention_ratio"].iloc[0] < curve["lower"].iloc[-1]
    assert "Retention over the next 3 months rises" in result.proof_en


def test_an_index_that_does_not_tell_who_stays_is_refused(planted):
    panel, *_ = planted
    draw = np.random.default_rng(0)
    # Whole histories change hands, departures stay where they are: the features no longer say anything.
    names = panel["person_id"].unique()
    owner = dict(zip(names, draw.permutation(names), strict=True))
    fate = ["person_id", "month_on", "accounts_open", "days_since_last_customer_transaction"]
    others = [name for name in panel.columns if name not in (*fate, "customer_transactions_1m")]
    swapped = panel.assign(person_id=panel["person_id"].map(owner))[["person_id", "month_on", *others]]
    shuffled = panel[fate].merge(swapped, on=["person_id", "month_on"], how="left")
    result = loyalty.fit(shuffled, QUICK)
    assert codes(result) == ["index_says_nothing"]
    assert result.customers.empty
    assert len(result.retention) == 10


def test_without_departures_the_index_is_given_and_said_to_be_unproven():
    result = loyalty.fit(small_panel(months=9), QUICK)
    assert not result.is_refused
    assert not result.is_proven
    assert result.proof_en == "No proof yet: 0 customers left in the past periods, 50 are needed."
    assert "尚无检验" in result.proof_zh
    assert result.retention.empty
    short = loyalty.fit(small_panel(months=5), QUICK)
    assert short.proof_en == "No proof yet: it needs 7 months of history, there are 5."


def test_the_definition_of_staying_can_be_the_bank_s_own(planted):
    panel, _, by_silence = planted
    by_assets = loyalty.fit(panel, dataclasses.replace(QUICK, retention=ClosureOrDrop(gap_months=0)))
    assert by_assets.is_proven
    assert by_assets.retention["kept_count"].sum() != by_silence.retention["kept_count"].sum()


def test_nothing_after_as_of_is_read(planted):
    panel, *_ = planted
    corrupted = panel.copy()
    later = corrupted["month_on"] > "2023-12-31"
    for name in ("aum_average", "customer_transactions_1m", "tenure_months", "accounts_open"):
        corrupted[name] = corrupted[name].astype(float)
        corrupted.loc[later, name] = 0.0
    honest = loyalty.fit(panel, QUICK, as_of="2023-12-31")
    poisoned = loyalty.fit(corrupted, QUICK, as_of="2023-12-31")
    pd.testing.assert_frame_equal(honest.customers, poisoned.customers)
    pd.testing.assert_frame_equal(honest.retention, poisoned.retention)
    assert honest.run.run_id == poisoned.run.run_id


# --- what is refused ------------------------------------------------------------------------------------


def test_three_hundred_customers_and_too_few_measures_are_refused_with_the_reason():
    assert codes(loyalty.fit(small_panel(300), QUICK)) == ["too_few_customers"]
    bare = small_panel()[["person_id", "month_on", "tenure_months"]]
    assert codes(loyalty.fit(bare, QUICK)) == ["too_few_measures"]


def test_wrong_settings_and_inputs_are_named():
    panel = small_panel(20)
    with pytest.raises(ValueError, match="weighting='magic' is not valid"):
        loyalty.fit(panel, Settings(weighting="magic"))
    with pytest.raises(ValueError, match="business_weights names luck"):
        loyalty.fit(panel, Settings(business_weights={"luck": 1.0}))
    with pytest.raises(ValueError, match="must begin at 0 and rise"):
        loyalty.fit(panel, Settings(levels=(Level(0.5, "high", "高"),)))
    with pytest.raises(ValueError, match="as_of 2030-01-31 is no month of the panel"):
        loyalty.fit(panel, as_of="2030-01-31")
    with pytest.raises(ValueError, match="lacks month_on"):
        loyalty.fit(panel.drop(columns="month_on"))


def test_weights_that_say_nothing_are_named():
    panel = small_panel(20)
    nothing = dict.fromkeys(BUSINESS_WEIGHTS, 0.0)
    with pytest.raises(ValueError, match="business_weights are all 0"):
        loyalty.fit(panel, Settings(business_weights=nothing))
    with pytest.raises(ValueError, match=r"business_weights\['growth'\] is nan"):
        loyalty.fit(panel, Settings(business_weights={"volume": 1.0, "growth": float("nan")}))
    with pytest.raises(ValueError, match=r"business_weights\['growth'\] is -1"):
        loyalty.fit(panel, Settings(business_weights={"volume": 1.0, "growth": -1}))
    unread = loyalty.fit(small_panel(), Settings(business_weights={"satisfaction": 1.0}))
    assert codes(unread) == ["no_weight"]
    assert (unread.measures["weight_used"] == 0).all()


def test_text_where_a_number_belongs_is_named_with_what_is_valid():
    panel = small_panel(20).astype({"aum_average": object})
    panel.loc[3, "aum_average"] = "n. a."
    with pytest.raises(
        ValueError, match=r"Column 'aum_average' of the panel holds 'n\. a\.' in 1 rows; valid is a number"
    ):
        loyalty.fit(panel)
    with pytest.raises(
        ValueError, match="Column 'is_deceased' of the panel holds 'no' in 120 rows; valid is true, false"
    ):
        loyalty.fit(small_panel(20, is_deceased="no"))


def test_outcomes_that_end_early_or_are_empty_are_called_outcomes():
    panel = small_panel(20)
    with pytest.raises(ValueError, match="no month of the outcomes; they run from 2024-01-31 to 2024-05-31"):
        loyalty.fit(panel, outcomes=panel.loc[panel["month_on"] < "2024-06-01"])
    with pytest.raises(ValueError, match="no month of the outcomes; they have no rows"):
        loyalty.fit(panel, outcomes=panel.head(0))
    with pytest.raises(ValueError, match="The outcomes lack month_on"):
        loyalty.fit(panel, outcomes=panel.drop(columns="month_on"))


def test_the_words_of_the_proof_say_what_the_numbers_say():
    rising, _ = moved_words([0.8, 0.85, 0.9])
    assert rising == "rises from 80.0% in the lowest decile to 90.0% in the highest"
    wavy, chinese = moved_words([0.8, 0.95, 0.9])
    assert wavy == f"{rising}, falling at 1 of the 2 steps between deciles"
    assert chinese == "由最低十分位的 80.0% 上升至最高十分位的 90.0%，其间 2 级中有 1 级下降"
    assert moved_words([0.9, 0.7, 0.8])[0].startswith("falls from 90.0%")
    assert moved_words([0.9, 0.7, 0.9])[0].startswith("stays at 90.0%")


def test_every_row_says_whether_the_index_is_proven_and_why_not(planted):
    assert planted[-1].customers["is_proven"].all()
    assert (planted[-1].customers["proof_en"] == planted[-1].proof_en).all()
    unproven = loyalty.fit(small_panel(months=9), QUICK).customers
    assert not unproven["is_proven"].any()
    assert unproven["proof_en"].str.startswith("No proof yet: 0 customers left").all()
    assert unproven["proof_zh"].str.startswith("尚无检验：").all()


def test_closed_customers_are_not_measured(planted):
    panel, *_ = planted
    closed = panel.copy()
    last = closed["month_on"] == closed["month_on"].max()
    gone = last & (closed["person_id"] < "P000100")
    closed.loc[gone, "accounts_open"] = 0
    own = loyalty.fit(closed, QUICK).customers
    assert (own["person_id"] >= "P000100").all()


def test_who_died_did_not_leave_and_no_measure_reads_what_became_of_the_customers(planted):
    panel, _, result = planted
    months = sorted(panel["month_on"].unique())
    late = panel["person_id"].isin(sorted(set(panel["person_id"]))[:500])
    outcomes = panel.assign(is_deceased=late & (panel["month_on"] >= months[1]))
    told = loyalty.fit(panel, QUICK, outcomes=outcomes)
    assert told.retention["person_count"].sum() < result.retention["person_count"].sum()
    columns = ["person_id", "loyalty_index", "loyalty_decile", "measures_used"]
    pd.testing.assert_frame_equal(told.customers[columns], result.customers[columns])
    assert told.run.run_id != result.run.run_id
    same = loyalty.fit(panel, QUICK, outcomes=panel)
    pd.testing.assert_frame_equal(same.retention.drop(columns="run_id"), result.retention.drop(columns="run_id"))
