"""Churn: found where it was planted, refused where there is nothing, and never by peeking."""

import dataclasses
import hashlib
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy import special
from sklearn.preprocessing import FunctionTransformer

from mining import churn
from mining.churn import BoostingSettings, Settings
from mining.churn.models import Calibration, ChurnModel, fit_boosting, fit_calibration, fit_logistic, fit_sigmoid
from mining.churn.scoring import Effects
from mining.churn.training import canonical_rows, drawn_rows, performance_refusals, person_splits
from mining.examples import customer_panel
from mining.metrics import Interval, area_under_curve, count_scores
from mining.model_files import ModelFileError, save_state
from mining.preparation import fit_encoder

QUICK = Settings(folds=3, replicates=40, boosting=BoostingSettings(most_trees=40))


def people(rows=2000, seed=5):
    """Independent persons whose log-odds of leaving are known."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "aum_average": np.exp(draw.normal(10, 1, rows)),
            "complaints_open": draw.poisson(0.3, rows),
            "days_since_last_customer_transaction": draw.integers(0, 60, rows),
            "gender": draw.choice(["F", "M", "Unknown"], rows),
            "segment": draw.choice(["payroll", "saver", "trader"], rows),
        },
        index=pd.Index([f"c{number:05d}" for number in range(rows)], name="person_id"),
    )
    line = (
        -2.4
        + 1.4 * frame["complaints_open"]
        - 0.9 * (np.log(frame["aum_average"]) - 10)
        + 0.8 * (frame["segment"] == "trader")
    )
    odds = special.expit(line.to_numpy())
    return frame, (draw.random(rows) < odds).astype(int), odds


@pytest.fixture(scope="module")
def independent():
    features, labels, odds = people()
    return features, labels, odds, churn.fit(features, labels, settings=QUICK)


@pytest.fixture(scope="module")
def over_time():
    panel, truth = customer_panel()
    labels = churn.label_months(panel)
    features, left, persons, months = churn.training_rows(panel, labels)
    return panel, truth, features, left, persons, months, churn.fit(features, left, persons, months, QUICK)


def codes(result):
    return [refusal.code for refusal in result.refusals]


# --- what is found -----------------------------------------------------------------------------------


def test_planted_departures_are_found_nearly_as_well_as_by_who_knows_the_odds(independent):
    _, labels, odds, result = independent
    ceiling = area_under_curve(count_scores(labels, odds))
    assert not result.is_refused
    assert result.metric("auc") >= 0.95 * ceiling
    assert result.metric("auc") <= ceiling + 0.02
    assert 0.8 < result.metric("calibration_slope") < 1.2
    assert result.metric("calibration_error") < 0.03


def test_the_probabilities_are_near_the_true_ones(independent):
    features, _, odds, result = independent
    found = result.model.probabilities(features)
    assert np.corrcoef(found, odds)[0, 1] > 0.9
    assert abs(found.mean() - odds.mean()) < 0.02


def test_every_metric_has_an_interval_around_it_and_baselines_stand_beside_it(over_time):
    result = over_time[-1]
    own = result.metrics.loc[result.metrics["subject"] == "model"].set_index("metric")
    expected = {
        "auc", "average_precision", "base_rate", "lift_top", "brier", "calibration_error", "calibration_slope",
        "calibration_intercept", "expected_maximum_profit", "expected_maximum_profit_share",
    }  # fmt: skip
    assert expected == set(own.index)
    assert (own["lower"] <= own["upper"]).all()
    centred = own.drop(index="calibration_error")  # resampling adds noise to an absolute value: biased upwards
    assert ((centred["lower"] <= centred["value"]) & (centred["value"] <= centred["upper"])).all()
    assert {"gradient_boosting", "logistic", "recency_rule", "model_less_recency_rule"} <= set(
        result.metrics["subject"]
    )
    assert result.metric("auc") > result.metric("auc", "recency_rule")
    assert result.metric("average_precision") > 2 * result.metric("base_rate")


def test_the_planted_drivers_come_first(independent):
    drivers = independent[-1].drivers
    assert set(drivers["column_names"].head(3)) == {"aum_average", "complaints_open", "segment"}


# --- how it is judged ---------------------------------------------------------------------------------


def test_no_person_is_on_two_sides_and_fitted_months_end_before_judged_months_begin(over_time):
    _, _, features, left, persons, months, _ = over_time
    rows = canonical_rows(features, left, persons, months)
    splits, refusals = person_splits(rows, QUICK)
    assert refusals == []
    judged = []
    for split in splits:
        sides = [set(rows.persons.iloc[part]) for part in (split.fit, split.calibrate, split.judge)]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]  # noqa: PT018
        last_fitted = pd.Period(rows.months.iloc[np.append(split.fit, split.calibrate)].max(), "M")
        first_judged = pd.Period(rows.months.iloc[split.judge].min(), "M")
        assert (first_judged - last_fitted).n >= QUICK.label_months
        assert rows.months.iloc[split.judge].nunique() == 1  # each month is judged by what was known by then
        judged += split.judge.tolist()
    first = rows.months.iloc[judged].min()
    assert sorted(judged) == np.flatnonzero(rows.months >= first).tolist()


def test_a_person_s_fold_does_not_depend_on_who_else_is_there(over_time):
    _, _, features, left, persons, months, _ = over_time
    rows = canonical_rows(features, left, persons, months)
    half = (persons.astype(str) < "P001000").to_numpy()
    fewer = canonical_rows(features[half], left[half], persons[half], months[half])
    fold_of = {}
    for held in (fewer, rows):
        for split in person_splits(held, QUICK)[0]:
            for person in set(held.persons.iloc[split.judge]):
                assert fold_of.setdefault(person, split.fold) == split.fold
    assert len(set(fold_of.values())) == QUICK.folds


def test_with_several_months_it_says_out_of_time_and_without_it_says_what_that_cannot_show(independent, over_time):
    assert over_time[-1].run.method_en.startswith("out of time")
    assert "no time column" in independent[-1].run.method_en
    assert "无时间列" in independent[-1].run.method_zh


def test_isotonic_needs_a_thousand_events_and_a_gain():
    draw = np.random.default_rng(0)
    raw = draw.uniform(0.02, 0.98, 6000)
    bent = np.where(raw < 0.5, 0.1, 0.9)  # no sigmoid follows a step
    labels = (draw.random(6000) < bent).astype(int)
    halves = draw.random(6000) < 0.5
    assert fit_calibration(raw, labels, halves).method == "isotonic"
    few = slice(0, 1500)
    assert labels[few].sum() < 1000
    assert fit_calibration(raw[few], labels[few], halves[few]).method == "sigmoid"
    straight = (draw.random(6000) < raw).astype(int)
    assert fit_calibration(raw, straight, halves).method == "sigmoid"


def test_a_model_that_knows_nothing_is_calibrated_to_a_flat_line_not_turned_around():
    draw = np.random.default_rng(0)
    raw, labels = draw.random(500), np.repeat([0, 1], 250)
    upside_down = np.where(labels == 1, raw * 0.5, 0.5 + raw * 0.5)
    assert fit_sigmoid(upside_down, labels).slope == 0


# --- what is refused ----------------------------------------------------------------------------------


def test_permuted_labels_are_refused_and_what_was_measured_stays_readable(over_time):
    _, _, features, left, persons, months, _ = over_time
    result = churn.fit(features, np.random.default_rng(0).permutation(left), persons, months, QUICK)
    assert "no_better_than_chance" in codes(result)
    assert result.model is None
    assert result.run.is_refused
    assert 0.4 < result.metric("auc") < 0.6
    assert result.drivers.empty


def test_a_model_judged_where_nobody_left_says_so_and_names_no_figure(over_time):
    absent = Interval(np.nan, np.nan, np.nan)
    (refusal,) = performance_refusals(absent, absent, Interval(0.0, np.nan, np.nan), "days", QUICK)
    assert refusal.code == "cannot_be_judged"
    assert "nan" not in refusal.sentence_en + refusal.sentence_zh
    # Where some left and some stayed, it is the figures that decide.
    good = Interval(0.8, 0.7, 0.9)
    assert performance_refusals(good, good, Interval(1.0, 0.9, 1.1), "days", QUICK) == []


@pytest.mark.parametrize("seed", range(3))
def test_permuted_labels_of_independent_persons_are_refused(independent, seed):
    features, labels, *_ = independent
    shuffled = np.random.default_rng(seed).permutation(labels)
    assert churn.fit(features, shuffled, settings=QUICK).is_refused


def test_three_hundred_customers_are_refused_with_the_reason():
    features, labels, _ = people(300)
    result = churn.fit(features, labels, settings=QUICK)
    refusal = result.refusals[0]
    assert refusal.code == "too_few_customers"
    assert (refusal.found, refusal.needed) == ("300", ">= 1000")
    assert "300" in refusal.sentence_en and "300" in refusal.sentence_zh  # noqa: PT018
    assert result.model is None


def test_too_few_departures_and_too_few_months_are_refused():
    features, labels, _ = people()
    rare = np.where(np.cumsum(labels) <= 40, labels, 0)
    assert codes(churn.fit(features, rare, settings=QUICK)) == ["too_few_events"]
    panel, _ = customer_panel(months=9)
    training = churn.training_rows(panel, churn.label_months(panel))
    assert codes(churn.fit(*training, QUICK)) == ["too_few_months"]


def test_a_model_no_better_than_the_recency_rule_is_refused_and_the_rule_is_named():
    draw = np.random.default_rng(7)
    days = draw.integers(0, 365, 3000)
    features = pd.DataFrame({"days_since_last_customer_transaction": days, "noise": draw.normal(size=3000)})
    labels = (draw.random(3000) < special.expit(-4 + days / 80)).astype(int)
    result = churn.fit(features, labels, settings=QUICK)
    assert codes(result) == ["no_better_than_recency"]
    assert "days_since_last_customer_transaction" in result.refusals[0].sentence_en
    assert result.metric("auc") > 0.7


# --- leaks ---------------------------------------------------------------------------------------------


def leaking(features, labels, **columns):
    return churn.fit(features.assign(**columns), labels, settings=QUICK)


def test_a_column_that_knows_the_outcome_is_refused_by_name(independent):
    features, labels, *_ = independent
    draw = np.random.default_rng(1)
    result = leaking(features, labels, balance_after=labels * 100 + draw.normal(size=len(labels)))
    assert result.leaking_columns == ["balance_after"]
    assert codes(result) == ["leaking_column"]
    assert "balance_after" in result.refusals[0].sentence_en
    assert result.model is None


@pytest.mark.parametrize("kind", ["missing values", "category", "both ends"])
def test_leaks_without_a_rising_line_are_found_too(independent, kind):
    features, labels, *_ = independent
    draw = np.random.default_rng(2)
    noise = draw.normal(size=len(labels))
    column = {
        "missing values": np.where(labels == 1, noise, np.nan),
        "category": np.where(labels == 1, draw.choice(["x", "y"], len(labels)), "z"),
        "both ends": np.where(labels == 1, np.sign(noise) * 9, noise),
    }[kind]
    assert leaking(features, labels, note=column).leaking_columns == ["note"]


def test_an_honest_strong_column_is_not_refused(independent):
    features, labels, *_ = independent
    draw = np.random.default_rng(3)
    strong = labels * 2.2 + draw.normal(size=len(labels))
    alone = area_under_curve(count_scores(labels, strong))
    assert 0.91 < alone < 0.97
    assert not leaking(features, labels, transactions_fall=strong).is_refused


def test_the_same_strength_is_refused_when_the_name_speaks_of_the_outcome(independent):
    features, labels, *_ = independent
    strong = labels * 2.4 + np.random.default_rng(3).normal(size=len(labels))
    assert leaking(features, labels, attrition_score=strong).leaking_columns == ["attrition_score"]
    weak = labels * 0.3 + np.random.default_rng(3).normal(size=len(labels))
    assert not leaking(features, labels, attrition_score=weak).leaking_columns


def test_a_date_after_the_as_of_month_is_refused_and_a_maturity_is_not(over_time):
    _, _, features, left, persons, months, _ = over_time
    months_end = pd.to_datetime(months)
    later = features.assign(closed_on=months_end + pd.Timedelta(days=40))
    assert churn.fit(later, left, persons, months, QUICK).leaking_columns == ["closed_on"]
    maturing = canonical_rows(features.assign(matures_on=months_end + pd.Timedelta(days=40)), left, persons, months)
    assert "matures_on" in maturing.typed.ignored


def test_an_identifier_is_ignored_and_said_and_gains_nothing_by_memory(independent):
    features, labels, *_ = independent
    result = leaking(
        features, labels, customer_id=np.arange(len(labels)), card_token=[f"t{i}" for i in range(len(labels))]
    )
    use = result.columns.set_index("column_name")["use"]
    assert use["customer_id"] == use["card_token"] == "ignored: identifier"
    assert not result.is_refused


def test_unknown_is_a_missing_value(independent):
    columns = independent[-1].columns.set_index("column_name")
    assert columns.loc["gender", "missing_ratio"] == pytest.approx(1 / 3, abs=0.05)
    assert independent[-1].model.encoder.categories["gender"] == ["F", "M"]


# --- scores and reasons --------------------------------------------------------------------------------


def test_the_list_is_the_riskiest_tenth_and_only_it_has_reasons(independent):
    features, _, _, result = independent
    scores = churn.score(result.model, features, "2024-06-30", value_at_stake=features["aum_average"])
    assert scores["is_listed"].sum() == 200
    listed, others = scores[scores["is_listed"]], scores[~scores["is_listed"]]
    assert listed["probability"].min() >= others["probability"].max()
    assert others[[f"reason_{n}_en" for n in (1, 2, 3)]].isna().all(axis=None)
    assert listed["reason_1_en"].notna().all()
    assert (listed["reason_1_effect"] >= listed["reason_2_effect"].fillna(0)).all()
    assert scores["probability"].between(0, 1).all()
    expected = scores["probability"] * scores["value_at_stake"]
    assert np.allclose(scores["expected_loss"], expected, rtol=1e-8)
    assert (scores["month_on"] == "2024-06-30").all()


def test_a_reason_names_what_was_planted_in_both_languages(independent):
    features, _, _, result = independent
    troubled = features.head(50).copy()
    troubled["complaints_open"] = 4
    rest = features.iloc[50:].assign(complaints_open=0)
    scores = churn.score(result.model, pd.concat([troubled, rest])).set_index("person_id")
    own = scores.loc[troubled.index]
    assert own["is_listed"].mean() > 0.7
    listed = own[own["is_listed"]]
    reasons = listed[[f"reason_{n}_column" for n in (1, 2, 3)]]
    assert (reasons == "complaints_open").any(axis=1).all()
    first = listed.loc[listed["reason_1_column"] == "complaints_open"].iloc[0]
    assert first["reason_1_en"] == "Number of open complaints: 4 (customers who stay: 0)"
    assert first["reason_1_zh"] == "未结投诉数：4（留存客户典型值：0）"


def test_effects_of_an_additive_model_are_exact_and_add_up(independent):
    features, labels, *_ = independent
    numeric = features[["aum_average", "complaints_open", "days_since_last_customer_transaction"]]
    kinds = dict.fromkeys(numeric.columns, "numeric")
    encoder = fit_encoder(numeric, kinds)
    encoded = encoder.encoded(numeric)
    estimator = fit_logistic(encoded, labels)
    reference = np.median(encoded, axis=0)
    flat = Calibration("sigmoid", 0.0, 1.0, np.empty(0), np.empty(0))
    model = ChurnModel("logistic", encoder, estimator, flat, reference, {}, [[n] for n in kinds], 1, "run")
    effects = np.column_stack([Effects(model, encoded).of([name]) for name in kinds])
    line = special.logit(model.raw(encoded)) - special.logit(model.raw(reference[None, :]))
    assert np.allclose(effects.sum(axis=1), line, atol=1e-8)
    prepared = estimator.named_steps["prepare"].transform(encoded)
    typical = estimator.named_steps["prepare"].transform(reference[None, :])
    by_hand = (prepared - typical) * estimator.named_steps["classify"].coef_[0]
    assert np.allclose(effects, by_hand, atol=1e-8)


def test_columns_that_move_together_are_explained_together():
    features, labels, _ = people()
    result = churn.fit(features.assign(aum_end=features["aum_average"] * 1.01), labels, settings=QUICK)
    assert ["aum_average", "aum_end"] in result.model.groups


def test_a_score_needs_the_columns_and_kinds_it_was_fitted_with(independent):
    features, _, _, result = independent
    with pytest.raises(ValueError, match="Columns missing from the features: aum_average"):
        churn.score(result.model, features.drop(columns="aum_average"))
    with pytest.raises(ValueError, match="'aum_average' was numeric"):
        churn.score(result.model, features.assign(aum_average="much"))
    with pytest.raises(ValueError, match="1 persons appear twice"):
        churn.score(result.model, pd.concat([features, features.head(1)]))


def test_a_category_never_seen_and_a_missing_value_are_scored(independent):
    features, _, _, result = independent
    odd = features.head(5).assign(segment="newcomer", aum_average=np.nan, gender=None)
    assert np.isfinite(result.model.probabilities(odd)).all()


# --- inputs --------------------------------------------------------------------------------------------


def test_wrong_inputs_are_named():
    features, labels, _ = people(50)
    with pytest.raises(ValueError, match="49 labels for 50 rows"):
        churn.fit(features, labels[:-1])
    with pytest.raises(ValueError, match="50 values are neither 0"):
        churn.fit(features, ["left"] * 50)
    with pytest.raises(ValueError, match="groups='customer' is no column"):
        churn.fit(features, labels, groups="customer")
    features, labels, _ = people()
    with pytest.raises(ValueError, match="recency_column='gender' is no numeric feature"):
        churn.fit(features, labels, settings=dataclasses.replace(QUICK, recency_column="gender"))


def test_rows_without_a_label_are_left_out(independent):
    features, labels, _, result = independent
    more = pd.concat([features, features.rename(index=lambda name: f"x{name}")])
    held = np.concatenate([labels.astype(float), np.full(len(labels), np.nan)])
    assert churn.fit(more, held, settings=QUICK).run.run_id == result.run.run_id


def test_above_a_bound_every_leaver_row_is_learned_from_and_a_draw_of_the_others(over_time):
    _, _, features, left, persons, months, whole = over_time
    rows = canonical_rows(features, left, persons, months)
    every = np.arange(len(rows.labels))
    assert drawn_rows(rows, every, QUICK) is every
    events = int(rows.labels.sum())
    fewer = dataclasses.replace(QUICK, fitted_rows=3 * events)
    drawn = drawn_rows(rows, every, fewer)
    assert rows.labels[drawn].sum() == events
    assert len(drawn) == pytest.approx(3 * events, rel=0.1)
    half = every[::2]
    assert set(half[rows.labels[half] == 1]) <= set(drawn_rows(rows, half, fewer))
    result = churn.fit(features, left, persons, months, fewer)
    assert not result.is_refused
    assert 0.8 < result.metric("calibration_slope") < 1.2
    assert result.metric("calibration_intercept") == pytest.approx(whole.metric("calibration_intercept"), abs=0.15)


def test_the_logistic_baseline_converges_on_columns_that_nearly_repeat_each_other():
    draw = np.random.default_rng(4)
    own = draw.normal(size=(4000, 5))
    columns = np.hstack([own, *(own + 1e-3 * draw.normal(size=own.shape) for _ in range(6))])
    labels = (draw.random(4000) < special.expit(own[:, 0] - 3)).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = fit_logistic(columns, labels)
    assert estimator[-1].n_iter_[0] < 50


def test_larger_banks_are_drawn_by_person(over_time):
    _, _, features, left, persons, months, _ = over_time
    smaller = dataclasses.replace(QUICK, maximum_rows=18_000, minimum_persons=500)
    result = churn.fit(features, left, persons, months, smaller)
    assert result.run.rows == len(features)
    assert result.tested["person_id"].nunique() < 0.9 * persons.nunique()


# --- model files ---------------------------------------------------------------------------------------


def test_a_saved_model_scores_the_same_and_is_named_by_its_content(independent, tmp_path):
    features, _, _, result = independent
    model, written = churn.save_model(result.model, tmp_path)
    loaded = churn.load_model(written.path, written.model_id)
    pd.testing.assert_frame_equal(churn.score(loaded, features), churn.score(model, features))
    assert written.path.name == f"{written.model_id}.skops"
    assert written.path.stat().st_mode & 0o077 == 0
    again = churn.fit(*people()[:2], settings=QUICK)
    assert churn.save_model(again.model, tmp_path)[1].model_id == written.model_id


def test_both_kinds_of_model_are_trusted(over_time, tmp_path):
    _, _, features, left, persons, months, result = over_time
    rows = canonical_rows(features, left, persons, months)
    encoded = result.model.encoder.encoded(rows.typed.frame)
    for estimator, kind in (
        (fit_logistic(encoded, rows.labels), "logistic"),
        (fit_boosting(encoded, rows.labels, 10, BoostingSettings(), 1), "gradient_boosting"),
    ):
        model = dataclasses.replace(result.model, kind=kind, estimator=estimator)
        _, written = churn.save_model(model, tmp_path)
        loaded = churn.load_model(written.path, written.model_id)
        assert np.array_equal(loaded.probabilities(features), model.probabilities(features))


def test_a_model_file_that_was_changed_is_not_loaded(independent, tmp_path):
    _, written = churn.save_model(independent[-1].model, tmp_path)
    content = bytearray(written.path.read_bytes())
    content[len(content) // 2] ^= 1
    written.path.write_bytes(bytes(content))
    with pytest.raises(ModelFileError, match="was changed or belongs to another run"):
        churn.load_model(written.path, written.model_id)


def test_a_model_file_with_a_type_that_is_not_trusted_is_not_loaded(tmp_path):
    content = skops.io.dumps({"miner": "churn", "format": 1, "estimator": FunctionTransformer(subprocess.run)})
    path = tmp_path / "evil.skops"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"types that are not trusted: .*run"):
        churn.load_model(path, hashlib.sha256(content).hexdigest())


def test_a_model_of_another_miner_is_not_loaded(tmp_path):
    written = save_state({"miner": "segmentation", "format": 1}, tmp_path)
    with pytest.raises(ModelFileError, match="needed is 'churn'"):
        churn.load_model(written.path, written.model_id)


def test_the_run_and_the_model_are_the_same_in_another_process(independent, tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_churn as t\n"
        "from mining import churn\n"
        "result = churn.fit(*t.people()[:2], settings=t.QUICK)\n"
        "print(result.run.run_id, churn.save_model(result.model, sys.argv[2])[1].model_id)"
    )
    folder = str(Path(__file__).parent)
    found = subprocess.run(
        [sys.executable, "-c", script, folder, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.split()
    own = churn.save_model(independent[-1].model, tmp_path)[1].model_id
    assert found == [independent[-1].run.run_id, own]


def test_runs_of_two_definitions_are_two_though_their_rows_are_the_same():
    few = pd.DataFrame({"aum_average": np.arange(300.0)})
    runs = {churn.fit(few, np.arange(300) % 2, definition=name).run.run_id for name in ("closure_or_drop", "dormancy")}
    assert len(runs) == 2


def test_of_whom_nothing_is_known_nothing_is_said(independent):
    features, _, _, result = independent
    some = features.head(20).astype(object)
    some.iloc[3] = None
    scores = churn.score(result.model, some)
    assert len(scores) == 19
    assert str(some.index[3]) not in set(scores["person_id"])


@pytest.mark.parametrize("name", ["groups", "as_of"])
def test_a_row_without_a_person_or_a_month_is_an_error(name):
    rows = pd.DataFrame({"aum_average": np.arange(300.0)})
    values = [None, *("2024-01-31" for _ in range(299))]
    with pytest.raises(ValueError, match="1 of 300 values are missing"):
        churn.fit(rows, np.arange(300) % 2, **{name: values})


def test_a_date_written_as_text_is_a_date(over_time):
    _, _, features, left, persons, months, _ = over_time
    known = features.assign(closing_letter=np.where(left == 1, "2099-01-01", "2020-01-01"))
    result = churn.fit(known, left, persons, months, QUICK)
    assert result.leaking_columns == ["closing_letter"]
