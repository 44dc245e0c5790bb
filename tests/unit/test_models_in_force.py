"""Which model a build is given: promoted ones stay, refused ones change nothing, later ones are not known earlier."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from dagster_project.lib.build import Build
from dagster_project.lib.miners import MODEL_RUN, Stopwatch, as_run_table, model_in_force, unusable
from dagster_project.lib.model_store import ModelStore
from mining import segmentation
from mining.examples import customer_groups
from mining.model_files import ModelFileError
from warehouse.errors import UserError
from warehouse.home import Home

JUNE, JULY = date(2024, 6, 30), date(2024, 7, 31)
QUICK = segmentation.Settings(
    selection=segmentation.SelectionSettings(most=6, sample=500, starts=5, draws=6, resample=600, resample_starts=3),
    structure_draws=5,
)


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    return customer_groups(1500)[0]


@pytest.fixture
def store(tmp_path) -> ModelStore:
    return ModelStore(Home(tmp_path), "bank")


def in_force(store, features, day, *, is_retraining=False, as_of=None):
    build = Build(store._folder, store._folder, day, is_live=True, run_id="r")

    def fit(_promotion):
        result = segmentation.fit(features, QUICK)
        model = result.model
        return result, None if model is None else lambda folder: segmentation.save_model(model, folder)[1].model_id

    def apply(promotion):
        return segmentation.load_model(promotion.model_file, promotion.model_id).assign(features)

    return model_in_force("segmentation", store, build, is_retraining=is_retraining, fit=fit, apply=apply)


def test_a_model_is_fitted_once_and_then_in_force(store, features):
    first, rows = in_force(store, features, JUNE)
    assert (first.status, len(rows)) == ("published", len(features))
    again, same = in_force(store, features, JULY)
    assert again.runs["run_id"].tolist() == first.runs["run_id"].tolist()
    assert [value.isoformat() for value in again.runs["as_of"]] == ["2024-06-30"]
    pd.testing.assert_frame_equal(rows, same)


def test_a_refused_fit_keeps_the_last_good_model_and_says_why(store, features):
    in_force(store, features, JUNE)
    shown, rows = in_force(store, features.head(100), JULY, is_retraining=True)
    assert shown.status == "kept"
    assert shown.runs["status"].tolist() == ["published", "refused"]
    assert [str(value)[:10] for value in shown.runs["as_of"]] == ["2024-06-30", "2024-07-31"]
    assert "Only 100 customers" in shown.runs["reason_en"].iloc[1]
    assert shown.refusals["code"].tolist() == ["too_few_customers"]
    assert len(rows) == 100  # today's customers, by the model of June
    assert as_run_table(shown.runs).schema == MODEL_RUN


def test_without_any_good_model_nothing_is_shown_but_the_reason(store, features):
    shown, rows = in_force(store, features.head(100), JUNE)
    assert (shown.status, shown.promotion, rows) == ("refused", None, None)
    assert len(shown.frames["assignments"]) == 0


def test_a_build_as_of_an_old_date_does_not_know_a_later_model(store, features):
    in_force(store, features, JULY)
    assert store.in_force("segmentation", JUNE) is None
    assert store.in_force("segmentation", JULY).as_of == JULY
    in_force(store, features.iloc[:-50], JUNE)  # fitted for the old build: no step back for today's
    assert store.in_force("segmentation", JUNE).as_of == JUNE
    assert store.in_force("segmentation", JULY).as_of == JULY


def test_a_model_that_no_longer_fits_the_features_is_fitted_anew(store, features):
    first, _ = in_force(store, features, JUNE)
    used = segmentation.load_model(first.promotion.model_file, first.promotion.model_id).columns
    shown, rows = in_force(store, features.drop(columns=used[0]), JULY)
    assert shown.status == "published"
    assert shown.promotion.as_of == JULY
    assert len(rows) == len(features)


def test_a_model_file_that_was_changed_is_not_read(store, features):
    first, _ = in_force(store, features, JUNE)
    path = first.promotion.model_file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError):
        in_force(store, features, JULY)


def test_a_later_model_never_takes_the_files_of_an_earlier_one(store, features):
    first, _ = in_force(store, features, JUNE)
    in_force(store, features, JULY, is_retraining=True)  # equal features, equal run
    old, _ = in_force(store, features, JUNE)
    assert [value.isoformat() for value in old.runs["as_of"]] == ["2024-06-30"]
    assert old.promotion.folder == first.promotion.folder
    new, _ = in_force(store, features, JULY)
    assert [str(value)[:10] for value in new.runs["as_of"]] == ["2024-07-31"]


def test_a_refused_fit_shows_nothing_where_the_model_in_force_no_longer_applies(store, features):
    first, _ = in_force(store, features, JUNE)
    used = segmentation.load_model(first.promotion.model_file, first.promotion.model_id).columns
    shown, rows = in_force(store, features.drop(columns=used[0]).head(100), JULY, is_retraining=True)
    assert (shown.status, rows) == ("refused", None)
    assert "Only 100 customers" in shown.runs["reason_en"].iloc[0]


def test_a_model_file_that_is_gone_is_said_with_what_to_do(store, features):
    first, _ = in_force(store, features, JUNE)
    first.promotion.model_file.unlink()
    with pytest.raises(ModelFileError, match="Restore it from the backup or run `retrain`"):
        in_force(store, features, JULY)


def test_a_miner_whose_model_may_not_be_used_is_refused_in_words(store):
    build = Build(store._folder, store._folder, JULY, is_live=True, run_id="r")
    mined = unusable("segmentation", build, Stopwatch(), ["segment"], ModelFileError("x.skops: changed."))
    assert (mined.status, mined.reason) == ("refused", "The model in force may not be used. x.skops: changed.")
    assert as_run_table(mined.runs).schema == MODEL_RUN
    assert len(mined.tables["segment"].columns) == 0


def test_a_broken_line_of_promotions_is_named(store, features):
    in_force(store, features, JUNE)
    with store._decisions.open("a") as handle:
        handle.write("{half\n")
    with pytest.raises(UserError, match="line 2"):
        store.in_force("segmentation", JULY)
