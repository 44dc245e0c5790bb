"""Segments: found where they were planted, kept from run to run, refused where nothing is to be divided."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from mining import segmentation
from mining.examples import GROUPS, customer_groups
from mining.model_files import ModelFileError, load_state, save_state
from mining.preparation import COLUMN_LABELS, Preparation, label_pair, shown_value
from mining.segmentation import PreviousSegments, SelectionSettings, Settings
from mining.segmentation.clustering import count_refusal
from mining.segmentation.identity import contrast_names, matched_identities
from mining.segmentation.selection import (
    REFERENCES,
    cluster_stability,
    column_dependence,
    fitted_clusters,
    normal_copula,
    unimodal_histogram,
)
from mining.segmentation.themes import Theme, absent_columns, theme_columns

QUICK = Settings(
    selection=SelectionSettings(most=6, sample=500, starts=5, draws=6, resample=600, resample_starts=3),
    structure_draws=5,
)


@pytest.fixture(scope="module")
def planted():
    features, groups = customer_groups(1500)
    return features, groups, segmentation.fit(features, QUICK)


def codes(result):
    return [refusal.code for refusal in result.refusals]


# --- what is found -----------------------------------------------------------------------------------


def test_planted_groups_are_found(planted):
    features, groups, result = planted
    assert not result.is_refused
    assert len(result.segments) == len(GROUPS)
    found = result.assignments.set_index("person_id")["segment_id"]
    assert adjusted_rand_score(groups, found.loc[groups.index]) > 0.95
    assert len(result.assignments) == len(features)


def test_every_published_segment_is_stable_and_better_separated_than_chance(planted):
    result = planted[-1]
    assert (result.segments["stability"] > 0.75).all()
    assert (result.segments["stability_class"] == "stable").all()
    explained = result.metrics.loc[result.metrics["metric"] == "explained_variance"].set_index("subject")
    assert set(explained.index) == {"model", *REFERENCES}
    assert (explained.loc["model", "value"] > explained.loc[list(REFERENCES), "upper"]).all()


def test_numbers_of_segments_are_compared_side_by_side_and_one_is_chosen(planted):
    choices = planted[-1].choices
    assert choices["segment_count"].tolist() == list(range(2, 7))
    assert choices["is_chosen"].sum() == 1
    assert choices.loc[choices["is_chosen"], "is_admissible"].all()
    finest = choices.loc[choices["is_admissible"], "segment_count"].max()
    assert choices.loc[choices["is_chosen"], "segment_count"].iloc[0] == finest


def test_noise_categories_and_identifiers_do_not_shape_segments_and_the_run_says_so(planted):
    features, groups, _ = planted
    more = features.assign(customer_number=np.arange(len(features)), opened_on=pd.Timestamp("2020-01-01"))
    more["mostly_missing"] = np.where(np.arange(len(features)) % 3, np.nan, 1.0)
    result = segmentation.fit(more, QUICK)
    use = result.columns.set_index("column_name")["use"]
    assert use["shoe_size"].startswith("ignored: independent")
    assert use["gender"].startswith("ignored: category")
    assert use["customer_number"] == "ignored: identifier"
    assert use["opened_on"].startswith("ignored: date")
    assert "missing" in use["mostly_missing"]
    found = result.assignments.set_index("person_id")["segment_id"]
    assert adjusted_rand_score(groups, found.loc[groups.index]) > 0.95


def test_names_are_unique_in_both_languages_and_say_what_sets_the_segment_apart(planted):
    segments, profile = planted[-1].segments, planted[-1].profile
    assert segments["name_en"].is_unique
    assert segments["name_zh"].is_unique
    oldest = profile.loc[profile["column_name"] == "age"].sort_values("z_score").iloc[-1]
    name = segments.set_index("segment_id").loc[oldest["segment_id"]]
    assert "high age" in name["name_en"]
    assert name["name_zh"].startswith(("年龄高", "年龄很高"))


def test_the_profile_shows_medians_and_contrasts_of_every_segment_and_column(planted):
    features, _, result = planted
    use = result.columns["use"]
    used = result.columns.loc[(use == "used") | use.str.startswith("described"), "column_name"]
    assert len(result.profile) == len(result.segments) * len(used)
    members = result.assignments.loc[result.assignments["segment_id"] == 1, "person_id"]
    row = result.profile.loc[(result.profile["segment_id"] == 1) & (result.profile["column_name"] == "age")].iloc[0]
    assert row["median"] == features.loc[members, "age"].median()
    assert row["bank_median"] == features["age"].median()
    weighted = result.profile.groupby("column_name")[["z_score", "person_ratio"]].apply(
        lambda part: (part["z_score"] * part["person_ratio"]).sum()
    )
    assert np.allclose(weighted, 0, atol=1e-8)
    assert result.segments["person_ratio"].sum() == pytest.approx(1)


def test_themes_make_the_segments_the_rest_describes_them_and_what_is_absent_is_said(planted):
    use = planted[-1].columns.set_index("column_name")["use"]
    assert set(use[use == "used"].index) == {"age", "aum_average", "digital_share_3m"}
    assert use["products_held"].startswith("described")
    assert use["inflow_3m"].startswith("absent")
    assert "counter_share_3m" not in use.index
    assert "products_held" in set(planted[-1].profile["column_name"])


def test_without_columns_of_the_themes_every_usable_column_makes_the_segments(planted):
    features, groups, _ = planted
    result = segmentation.fit(features.rename(columns=lambda name: f"own_{name}"), QUICK)
    use = result.columns.set_index("column_name")["use"]
    assert use["own_products_held"] == use["own_age"] == "used"
    found = result.assignments.set_index("person_id")["segment_id"]
    assert adjusted_rand_score(groups, found.loc[groups.index]) > 0.95


def test_the_columns_of_a_theme_share_its_weight_and_the_first_alternative_stands():
    themes = (Theme("one", (("a", "b"), ("c",)), 2.0), Theme("two", (("d",),), 9.0), Theme("three", (("e",),), 1.0))
    assert theme_columns(themes, ["d", "c", "b", "a"]) == {"d": 3.0, "c": 1.0, "a": 1.0}
    assert absent_columns(themes, ["a", "b", "d"]) == ["c", "e"]


def test_amounts_in_another_currency_give_the_same_segments(planted):
    features, _, result = planted
    other = segmentation.fit(features.assign(aum_average=features["aum_average"] * 1_000), QUICK)
    assert (other.assignments["segment_id"] == result.assignments["segment_id"]).all()


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [0.1, 0.0])
def test_permuted_columns_are_refused(planted, bound):
    """With the bound at 0 the columns are all kept, so the gate on structure itself must refuse."""
    features, *_ = planted
    draw = np.random.default_rng(0)
    shuffled = pd.DataFrame({name: draw.permutation(features[name]) for name in features}, index=features.index)
    result = segmentation.fit(shuffled, dataclasses.replace(QUICK, weakest_dependence=bound))
    assert codes(result)[0] in ("no_structure", "unstable")
    assert result.model is None
    assert result.assignments.empty


def test_a_single_cloud_of_related_columns_is_refused_as_it_has_no_groups():
    draw = np.random.default_rng(0)
    cloud = pd.DataFrame(
        draw.multivariate_normal(np.zeros(4), 0.5 + 0.5 * np.eye(4), 2000), columns=["aum", "inflow", "outflow", "age"]
    )
    assert codes(segmentation.fit(cloud, QUICK))[0] in ("no_structure", "unstable")


def gradient(noise, *, is_curved=False, persons=3000):
    """Customers along one flat latent variable: everything is related, nobody is in a group."""
    draw = np.random.default_rng(int(noise * 10))
    latent = draw.uniform(0, 1, persons)

    def seen(slope):
        return slope * (latent + 0.29 * noise * draw.standard_normal(persons))

    columns = {
        "age": 20 + seen(60),
        "inflow_3m": 1e4 * (np.exp(seen(2)) if is_curved else 1 + seen(2)),
        "aum_average": 1e5 * (np.exp(seen(6)) if is_curved else 1 + seen(3)),
        "digital_share_3m": 0.9 - seen(0.8),
    }
    return pd.DataFrame(columns, index=[f"p{number:05d}" for number in range(persons)])


@pytest.mark.parametrize("is_curved", [False, True])
@pytest.mark.parametrize("noise", [0.1, 0.3, 0.6])
def test_a_gradient_without_groups_is_refused_however_stable_its_slices_are(noise, is_curved):
    settings = dataclasses.replace(QUICK, selection=dataclasses.replace(QUICK.selection, sample=1500))
    result = segmentation.fit(gradient(noise, is_curved=is_curved), settings)
    assert codes(result) == ["no_structure"]
    choice = result.choices.loc[result.choices["is_chosen"]].iloc[0]
    assert choice["lowest_stability"] > 0.75
    assert result.assignments.empty
    explained = result.metrics.loc[result.metrics["metric"] == "explained_variance"].set_index("subject")["value"]
    assert explained["model"] > explained["single_cloud"] > explained["permuted_columns"]


def test_the_copula_keeps_every_distribution_and_the_rank_correlations():
    draw = np.random.default_rng(0)
    first = draw.exponential(size=4000)
    values = np.column_stack([first, first + draw.exponential(size=4000), draw.uniform(size=4000)])
    drawn = normal_copula(values, draw)
    assert np.array_equal(np.sort(drawn, axis=0), np.sort(values, axis=0))
    ranks = [pd.DataFrame(data).corr(method="spearman").to_numpy() for data in (values, drawn)]
    assert np.allclose(*ranks, atol=0.05)


def test_a_histogram_of_two_groups_gets_one_mode_and_a_flat_one_stays_flat():
    draw = np.random.default_rng(0)
    two, _ = unimodal_histogram(np.concatenate([draw.normal(-3, 1, 2000), draw.normal(3, 1, 2000)]))
    steps = np.sign(np.diff(two))
    assert (np.diff(steps[steps != 0]) <= 0).all()
    flat, _ = unimodal_histogram(draw.uniform(size=20_000))
    assert flat.min() > 0.8 * flat.mean()


@pytest.mark.parametrize("values", [{}, {"age": 40.0, "aum_average": 5}])
def test_no_columns_and_only_constant_ones_are_refused_not_crashed(values):
    features = pd.DataFrame(values, index=[f"p{number}" for number in range(600)])
    result = segmentation.fit(features, QUICK)
    assert codes(result) == ["no_structure"]
    assert result.refusals[0].sentence_en.startswith("Only 0 numeric columns")


def test_each_reason_why_no_number_of_segments_will_do_has_its_own_code():
    def refused(*rows):
        names = ["segment_count", "silhouette", "davies_bouldin", "lowest_stability", "smallest_ratio"]
        return count_refusal(pd.DataFrame(rows, columns=names), SelectionSettings())

    unstable = refused((2, 0.4, 1.0, 0.41, 0.3), (3, 0.3, 1.0, 0.55, 0.2))
    assert (unstable.code, unstable.found) == ("unstable", "0.5500")
    small = refused((2, 0.4, 1.0, 0.85, 0.02), (3, 0.3, 1.0, 0.5, 0.2))
    assert (small.code, small.found, small.needed) == ("segment_too_small", "0.0200", ">= 0.05")
    assert "at best the smallest has 2.0% of the customers, 5% are needed" in small.sentence_en
    apart = refused((2, 0.8, 2.0, 0.85, 0.3), (3, 0.3, 0.5, 0.9, 0.2))
    assert apart.code == "separation_disagrees"
    assert apart.found == "2 segments by silhouette, 3 by Davies-Bouldin"
    assert refused().code == "too_few_distinct"
    for refusal in (unstable, small, apart):
        assert not set(refusal.sentence_zh) & set(";:,()")


def test_three_hundred_customers_are_refused_with_the_reason(planted):
    result = segmentation.fit(planted[0].head(300), QUICK)
    assert codes(result) == ["too_few_customers"]
    assert "300" in result.refusals[0].sentence_en


def test_nothing_but_equal_customers_is_refused_not_crashed():
    equal = pd.DataFrame({"aum": np.repeat([1.0, 2.0], 400), "age": np.repeat([30.0, 60.0], 400)})
    assert segmentation.fit(equal, QUICK).is_refused


def test_a_person_twice_is_an_error(planted):
    with pytest.raises(ValueError, match="1 persons appear twice"):
        segmentation.fit(pd.concat([planted[0], planted[0].head(1)]))


# --- who is who from run to run --------------------------------------------------------------------------


def test_ids_and_names_stay_when_the_customers_change_a_little(planted):
    features, _, first = planted
    draw = np.random.default_rng(5)
    later = features.sample(frac=0.9, random_state=1)
    later = later.assign(aum_average=later["aum_average"] * draw.lognormal(0, 0.1, len(later)))
    second = segmentation.fit(later, QUICK, previous=first)
    one = first.segments.set_index("segment_id")[["name_en", "name_zh"]]
    two = second.segments.set_index("segment_id")[["name_en", "name_zh"]]
    pd.testing.assert_frame_equal(one, two)
    assert (second.events["event"] == "kept").all()
    assert not second.segments["is_new"].any()
    both = first.assignments.merge(second.assignments, on="person_id", suffixes=("", "_now"))
    assert (both["segment_id"] == both["segment_id_now"]).mean() > 0.97


def test_the_run_before_can_be_read_back_from_its_tables(planted):
    features, _, first = planted
    tables = first.frames()
    previous = PreviousSegments(
        tables["assignments"], tables["segments"], first.highest_segment_id, tables["reference"]
    )
    again = segmentation.fit(features, QUICK, previous=previous)
    assert (again.events["event"] == "kept").all()
    assert (again.events["overlap_ratio"] == 1).all()
    assert again.segments["name_en"].tolist() == first.segments["name_en"].tolist()
    assert (again.drift["stability_index"] < 1e-9).all()
    assert again.run.run_id != first.run.run_id


def test_a_new_group_is_born_with_a_new_id_and_a_vanished_one_dies_and_its_id_is_not_given_again(planted):
    features, groups, first = planted
    dormant = (groups == "dormant").to_numpy()
    without = segmentation.fit(features[~dormant], QUICK)
    grown = segmentation.fit(features, QUICK, previous=without)
    births = grown.events.loc[grown.events["event"] == "birth"]
    assert births["segment_id"].tolist() == [without.highest_segment_id + 1]
    assert grown.segments.set_index("segment_id").loc[births["segment_id"].iloc[0], "is_new"]

    shrunk = segmentation.fit(features[~dormant], QUICK, previous=first)
    deaths = shrunk.events.loc[shrunk.events["event"] == "death", "segment_id"].tolist()
    gone = first.assignments.set_index("person_id")["segment_id"].loc[features.index[dormant]].mode().iloc[0]
    assert deaths == [gone]
    assert shrunk.highest_segment_id == first.highest_segment_id


def identities(before, now, highest=None):
    persons = np.array([f"p{number:03d}" for number in range(len(now))], dtype=object)
    held = pd.DataFrame({"person_id": persons, "segment_id": before})
    previous = PreviousSegments(held, pd.DataFrame(), highest or int(max(before)), pd.DataFrame())
    return matched_identities(persons, np.asarray(now), int(max(now)) + 1, previous, 0.3)


def test_renumbered_clusters_keep_their_ids():
    found = identities([1] * 50 + [2] * 30 + [3] * 20, [2] * 50 + [0] * 30 + [1] * 20)
    assert found.segment_ids.tolist() == [2, 3, 1]
    assert set(found.events["event"]) == {"kept"}


def test_a_split_and_a_merge_are_recorded_with_their_overlap():
    split = identities([1] * 60 + [2] * 40, [0] * 35 + [1] * 25 + [2] * 40, highest=7)
    events = split.events.loc[split.events["event"] == "split"]
    assert events["segment_id"].tolist() == [1, 1]
    assert sorted(events["other_segment_id"].tolist()) == [1, 8]
    assert sorted(events["overlap_ratio"].round(3)) == [0.417, 0.583]
    merged = identities([1] * 30 + [2] * 30 + [3] * 40, [0] * 60 + [1] * 40)
    events = merged.events.loc[merged.events["event"] == "merge"]
    assert events["other_segment_id"].tolist() == [1, 2]
    assert "death" in set(merged.events["event"])


def test_clusters_that_have_nothing_in_common_with_the_past_are_new():
    persons = np.array(["a", "b", "c", "d"], dtype=object)
    previous = PreviousSegments(
        pd.DataFrame({"person_id": ["x", "y"], "segment_id": [1, 2]}), pd.DataFrame(), 2, pd.DataFrame()
    )
    found = matched_identities(persons, np.array([0, 0, 1, 1]), 2, previous, 0.3)
    assert found.segment_ids.tolist() == [3, 4]
    assert found.events["event"].value_counts().to_dict() == {"birth": 2, "death": 2}


def test_moves_between_runs_include_exit_and_new_and_every_origin_sums_to_one(planted):
    features, _, first = planted
    newcomers = features.head(60).rename(index=lambda name: f"new-{name}")
    second = segmentation.fit(pd.concat([features.iloc[100:], newcomers]), QUICK, previous=first)
    moves = second.migration
    assert np.allclose(moves.groupby("from_segment")["ratio"].sum(), 1)
    assert moves.loc[moves["to_segment"] == "exit", "person_count"].sum() == 100
    assert moves.loc[moves["from_segment"] == "new", "person_count"].sum() == 60


def test_drift_is_large_where_customers_shifted_and_small_elsewhere(planted):
    features, _, first = planted
    aged = features.assign(age=features["age"] + 8)
    second = segmentation.fit(aged, QUICK, previous=first)
    drift = second.drift.set_index(["segment_id", "column_name"])
    assert (drift.xs("age", level="column_name")["drift"] == "large").all()
    assert (drift.xs("digital_share_3m", level="column_name")["drift"] == "small").all()
    assert (drift["expected_index"] > 0).all()


# --- parts ---------------------------------------------------------------------------------------------


def test_persons_are_assigned_without_fitting_as_the_fit_assigned_them(planted, tmp_path):
    features, _, result = planted
    pd.testing.assert_frame_equal(result.model.assign(features), result.assignments)
    one = result.model.assign(features.head(1))
    assert one["segment_id"].iloc[0] == result.assignments["segment_id"].iloc[0]
    with pytest.raises(ValueError, match="Columns missing from the features: age"):
        result.model.assign(features.drop(columns="age"))


def test_who_has_none_of_the_columns_gets_no_segment_and_is_counted(planted):
    features, _, result = planted
    unknown = features.head(5).copy()
    unknown.loc[unknown.index[1:3], result.model.columns] = np.nan
    unknown.loc[unknown.index[0], result.model.columns[0]] = np.nan
    assigned = result.model.assign(unknown)
    assert assigned["person_id"].tolist() == unknown.index[[0, 3, 4]].tolist()
    assert result.model.unassigned(unknown) == unknown.index[1:3].tolist()
    more = pd.concat([features, unknown.iloc[1:3].rename(index=lambda name: f"unknown-{name}")])
    again = segmentation.fit(more, QUICK)
    metric = again.metrics.set_index(["subject", "metric"])["value"]
    assert metric["model", "unassigned_persons"] == 2
    assert not again.assignments["person_id"].str.startswith("unknown").any()
    assert again.segments["person_count"].sum() == len(features)


def test_no_persons_get_no_rows(planted):
    features, _, result = planted
    none = result.model.assign(features.head(0))
    assert len(none) == 0
    assert none.columns.tolist() == result.assignments.columns.tolist()
    assert result.model.unassigned(features.head(0)) == []


def test_a_saved_model_assigns_the_same_and_another_miner_s_file_is_refused(planted, tmp_path):
    features, _, result = planted
    _, written = segmentation.save_model(result.model, tmp_path)
    loaded = segmentation.load_model(written.path, written.model_id)
    pd.testing.assert_frame_equal(loaded.assign(features), result.assignments)
    other = save_state({"miner": "churn", "format": 1}, tmp_path)
    assert load_state(other.path, other.model_id)["miner"] == "churn"
    with pytest.raises(ModelFileError, match="needed is 'segmentation'"):
        segmentation.load_model(other.path, other.model_id)


def test_stability_tells_clear_clusters_from_a_cut_through_one():
    draw = np.random.default_rng(0)
    clear = np.concatenate([draw.normal(0, 1, (200, 2)), draw.normal(8, 1, (200, 2))])
    with threadpool_limits(1):
        right, wrong = fitted_clusters(clear, 2, 5, 1), fitted_clusters(clear, 5, 5, 1)
        assert cluster_stability(clear, right, draws=10, size=400, starts=3, seed=1).min() > 0.95
        assert cluster_stability(clear, wrong, draws=10, size=400, starts=1, seed=1).min() < 0.75


def test_dependence_is_seen_whatever_its_shape_and_not_seen_where_there_is_none():
    draw = np.random.default_rng(0)
    first, alone = draw.normal(size=3000), draw.normal(size=3000)
    found = column_dependence(np.column_stack([first, first**2 + 0.1 * draw.normal(size=3000), alone]))
    assert found[0] > 0.4
    assert found[2] < 0.05


def test_preparation_learns_once_and_repeats_exactly():
    draw = np.random.default_rng(0)
    values = np.column_stack([np.exp(draw.normal(8, 2, 1000)), draw.normal(5, 2, 1000), draw.random(1000) < 0.004])
    values[5, 1] = np.nan
    preparation = Preparation().fit(values)
    assert preparation.is_skewed_.tolist() == [True, False, False]
    prepared = preparation.transform(values)
    assert np.allclose(prepared.mean(axis=0), 0, atol=1e-9)
    assert np.allclose(prepared.std(axis=0), 1, atol=1e-9)
    extreme = values[:1].copy()
    extreme[0, 0] = 1e15
    assert preparation.transform(extreme)[0, 0] == prepared[:, 0].max()
    assert np.array_equal(preparation.transform(values[:7]), prepared[:7])


def test_a_typical_segment_is_called_typical_and_equal_contrasts_get_different_names():
    contrasts = np.array([[0.0, 0.1], [1.0, 0.1], [1.0, 0.1], [1.0, 0.1]])
    names = contrast_names(
        contrasts, ["age", "aum"], np.eye(2), order=np.arange(4), taken=set(), labels={"age": ("age", "年龄")}
    )
    assert names[0] == ("typical customers", "典型客户")
    assert [name for name, _ in names[1:]] == ["high age", "high age (2)", "high age (3)"]
    assert names[2][1] == "年龄高（2）"
    taken = contrast_names(contrasts[1:2], ["age", "aum"], np.eye(2), order=np.arange(1), taken={"high age"}, labels={})
    assert taken[0][0] == "high age (2)"


def test_a_name_says_what_differs_from_the_segment_that_it_would_fit_as_well():
    contrasts = np.array([[1.0, 0.0, 0.1], [1.1, 1.2, 0.1], [1.0, 0.0, 0.8], [1.8, 0.1, 0.1]])
    labels = {"age": ("age", "年龄"), "counter": ("share at the counter", "柜面占比"), "aum": ("assets", "资产")}
    names = contrast_names(
        contrasts, ["age", "counter", "aum"], np.eye(3), order=np.arange(4), taken=set(), labels=labels
    )
    assert names == [
        ("high age, usual assets, usual share at the counter", "年龄高、资产居中、柜面占比居中"),
        ("high share at the counter, high age", "柜面占比高、年龄高"),
        ("high age, high assets", "年龄高、资产高"),
        ("very high age", "年龄很高"),
    ]


def test_labels_of_a_month_earlier_and_values_are_words_of_the_language():
    names = dict(COLUMN_LABELS) | {"outflow_1m": ("outflow in the month", "当月流出金额")}
    assert label_pair(names, "outflow_1m_previous") == ("outflow in the month before", "上月流出金额")
    assert label_pair(names, "inflow_3m_previous") == (
        "inflow in 3 months, to the end of the month before",
        "截至上月末近3个月流入金额",
    )
    assert label_pair(names, "aum_average_previous") == ("average assets the month before", "上月日均资产")
    assert label_pair(names, "aum_end_previous") == ("assets at the end of the month before", "上月末资产")
    assert label_pair(names, "age_previous") == ("age the month before", "上月年龄")
    english, chinese = label_pair(names, "aum_average_of_assets_ratio")
    assert english == "average assets of the month against those of 3 months"
    assert chinese == "当月日均资产与近3个月日均资产之比"
    assert shown_value("salary_stopped", 1.0, "en") == "yes"
    assert shown_value("has_mortgage", 0.0, "zh") == "否"
    assert shown_value("has_mortgage", 0.25, "en") == "0.25"
    assert shown_value("aum_change_3m_ratio", -0.004, "en") == "0%"
    assert shown_value("rate_gap", -0.00001, "en") == "0.00%"
    assert shown_value("aum_change_3m_ratio", -0.04, "en") == "-4%"
    assert shown_value("lum_end", -0.0, "zh") == "0"
