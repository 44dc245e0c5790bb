"""Labels: who left under which definition, and who has no label and why."""

import pandas as pd
import pytest

from mining import churn
from mining.churn import ClosureOrDrop, Dormancy
from mining.churn.definitions import LABEL_COLUMNS

MONTHS = [str(month.date()) for month in pd.date_range("2024-01-31", periods=12, freq="ME")]


def panel_of(**persons):
    """Lay out {person: {column: [value per month]}}; a shorter list ends the person's rows."""
    rows = []
    for person, columns in persons.items():
        for number in range(len(next(iter(columns.values())))):
            row = {name: values[number] for name, values in columns.items()}
            rows.append({"person_id": person, "month_on": MONTHS[number], **row})
    return pd.DataFrame(rows)


def assets(values, accounts=None):
    return {"aum_average": values, "accounts_open": accounts or [1] * len(values)}


def label_at(labels, person, month):
    row = labels.loc[(labels["person_id"] == person) & (labels["month_on"] == month)]
    assert len(row) == 1
    return row.iloc[0]


def test_a_lasting_fall_to_half_is_a_departure_and_a_dip_is_not():
    labels = churn.label_months(
        panel_of(
            steady=assets([10_000] * 12),
            fell=assets([10_000] * 6 + [5_000] * 6),
            dipped=assets([10_000] * 6 + [5_000] + [10_000] * 5),
            fell_less=assets([10_000] * 6 + [5_100] * 6),
        )
    )
    asked = "2024-05-31"  # the gap is June, the outcome is read in July to September
    assert label_at(labels, "fell", asked)["label"] == 1
    assert label_at(labels, "fell", asked)["event_kind"] == "aum_drop"
    assert label_at(labels, "fell", asked)["event_on"] == "2024-08-31"  # low in July, and for the second month
    for person in ("steady", "dipped", "fell_less"):
        assert label_at(labels, person, asked)["label"] == 0, person


def test_closing_and_having_no_row_any_more_are_both_closures():
    labels = churn.label_months(
        panel_of(
            steady=assets([10_000] * 12),
            closed=assets([10_000] * 6 + [0] * 6, [1] * 6 + [0] * 6),
            gone=assets([10_000] * 6),
        )
    )
    for person in ("closed", "gone"):
        row = label_at(labels, person, "2024-04-30")
        assert (row["label"], row["event_kind"], row["event_on"]) == (1, "closure", "2024-07-31")


def test_who_leaves_in_the_gap_cannot_be_acted_on_and_has_no_label():
    labels = churn.label_months(panel_of(steady=assets([10_000] * 12), gone=assets([10_000] * 6)))
    row = label_at(labels, "gone", "2024-06-30")
    assert pd.isna(row["label"])
    assert row["exclusion"] == "left in the gap"


def test_an_outcome_that_is_not_yet_observed_is_no_label_even_when_the_customer_already_left():
    labels = churn.label_months(panel_of(steady=assets([10_000] * 12), gone=assets([10_000] * 11)))
    for person in ("steady", "gone"):
        row = label_at(labels, person, "2024-09-30")
        assert pd.isna(row["label"])
        assert row["exclusion"] == "outcome not yet observed"
    assert label_at(labels, "steady", "2024-08-31")["label"] == 0


def test_who_has_already_left_cannot_leave_again():
    labels = churn.label_months(
        panel_of(
            steady=assets([10_000] * 12),
            closed=assets([10_000] * 3 + [0] * 9, [1] * 3 + [0] * 9),
            fell=assets([10_000] * 4 + [1_000] * 8),
        )
    )
    assert label_at(labels, "closed", "2024-05-31")["exclusion"] == "already left"
    assert label_at(labels, "fell", "2024-06-30")["exclusion"] == "already left"


def test_facts_that_are_nobody_s_choice_exclude():
    deceased = assets([10_000] * 5 + [0] * 7, [1] * 5 + [0] * 7) | {"is_deceased": [False] * 5 + [True] * 7}
    steady = assets([10_000] * 12) | {"is_deceased": [False] * 12}
    labels = churn.label_months(panel_of(steady=steady, deceased=deceased))
    assert label_at(labels, "deceased", "2024-03-31")["exclusion"] == "deceased"
    assert label_at(labels, "steady", "2024-03-31")["label"] == 0


def test_half_of_little_is_noise_and_only_closure_counts():
    labels = churn.label_months(panel_of(steady=assets([10_000] * 12), small=assets([100] * 6 + [10] * 6)))
    assert label_at(labels, "small", "2024-05-31")["label"] == 0


def test_silence_is_a_departure_by_dormancy_and_interest_postings_do_not_break_it():
    # The panel counts customer-initiated transactions only: interest never appears in these columns.
    active = {"days_since_last_customer_transaction": [5] * 12, "customer_transactions_1m": [3] * 12}
    silent_days = [5] * 5 + [35, 65, 95, 125, 155, 185, 215]
    silent = {
        "days_since_last_customer_transaction": silent_days,
        "customer_transactions_1m": [3] * 5 + [0] * 7,
    }
    panel = panel_of(active=active, silent=silent)
    labels = churn.label_months(panel, Dormancy(days=90))
    row = label_at(labels, "silent", "2024-05-31")
    assert (row["label"], row["event_kind"], row["event_on"]) == (1, "dormancy", "2024-08-31")
    assert label_at(labels, "active", "2024-05-31")["label"] == 0
    assert label_at(labels, "silent", "2024-08-31")["exclusion"] == "already left"
    by_count = churn.label_months(panel.drop(columns="days_since_last_customer_transaction"), Dormancy(days=90))
    assert label_at(by_count, "silent", "2024-05-31")["event_on"] == "2024-08-31"


def test_definitions_are_compared_on_the_rows_both_label():
    columns = {"days_since_last_customer_transaction": [5] * 12}
    silent = {"days_since_last_customer_transaction": [5] * 5 + [35, 65, 95, 125, 155, 185, 215]}
    panel = panel_of(
        both=assets([10_000] * 7 + [1_000] * 5) | silent,
        only_assets=assets([10_000] * 7 + [1_000] * 5) | columns,
        neither=assets([10_000] * 12) | columns,
    )
    first = churn.label_months(panel, ClosureOrDrop())
    second = churn.label_months(panel, Dormancy(days=90))
    first = first.loc[first["month_on"] == "2024-05-31"]
    found = churn.compare_definitions(first, second).iloc[0]
    assert (found["labelled_count"], found["both_count"]) == (3, 1)
    assert (found["first_only_count"], found["second_only_count"]) == (1, 0)
    assert found["overlap_ratio"] == 0.5
    assert found["median_lead_months"] == -1  # silent for 90 days in August, down for two months in September


def test_features_of_a_month_do_not_change_when_everything_later_is_corrupted():
    panel = panel_of(**{f"p{number}": assets([10_000 + number] * (12 if number % 3 else 7)) for number in range(9)})
    features, labels, persons, months = churn.training_rows(panel, churn.label_months(panel))
    corrupted = panel.copy()
    later = corrupted["month_on"] > "2024-04-30"
    corrupted.loc[later, "aum_average"] = -1.0
    again, _, _, again_months = churn.training_rows(corrupted, churn.label_months(panel))
    early = (months <= "2024-04-30").to_numpy()
    pd.testing.assert_frame_equal(features[early], again[(again_months <= "2024-04-30").to_numpy()])
    assert len(features) == len(labels) == len(persons)
    assert "label" not in features.columns


def test_a_month_that_is_missing_for_everybody_is_refused_because_it_would_look_like_departures():
    panel = panel_of(a=assets([10_000] * 12))
    with pytest.raises(ValueError, match="jumps after 2024-03-31"):
        churn.label_months(panel.loc[panel["month_on"] != "2024-04-30"])


def test_two_rows_for_one_person_and_month_are_refused():
    panel = panel_of(a=assets([10_000] * 12))
    with pytest.raises(ValueError, match="two rows for one person in 2024-01-31"):
        churn.label_months(pd.concat([panel, panel.head(1)]))


def test_a_panel_without_the_columns_a_definition_reads_is_refused_by_name():
    panel = panel_of(a={"age": [30] * 12})
    with pytest.raises(ValueError, match="aum_average and accounts_open"):
        churn.label_months(panel)
    with pytest.raises(ValueError, match="days_since_last_customer_transaction or customer_transactions_1m"):
        churn.label_months(panel, Dormancy())


def test_labels_have_one_row_per_person_and_month_with_a_label_or_a_reason():
    labels = churn.label_months(panel_of(a=assets([10_000] * 12), b=assets([10_000] * 5)))
    assert tuple(labels.columns) == LABEL_COLUMNS
    assert not labels.duplicated(["person_id", "month_on"]).any()
    assert (labels["label"].isna() == labels["exclusion"].notna()).all()


def test_a_drop_that_has_lasted_by_the_end_of_the_gap_cannot_be_acted_on_and_has_no_label():
    labels = churn.label_months(
        panel_of(steady=assets([10_000] * 12), fell=assets([10_000] * 3 + [100] * 9)),
    )
    # Low in April and May: the definition is fulfilled in May, which is the gap of April and the window of March.
    assert label_at(labels, "fell", "2024-04-30")["exclusion"] == "left in the gap"
    assert label_at(labels, "fell", "2024-05-31")["exclusion"] == "already left"
    for asked in ("2024-02-29", "2024-03-31"):
        row = label_at(labels, "fell", asked)
        assert (row["label"], row["event_on"]) == (1, "2024-05-31"), asked


def test_the_earliest_event_dates_and_names_a_departure():
    fell_then_closed = assets([10_000] * 5 + [100] * 2 + [0] * 5, [1] * 7 + [0] * 5)
    labels = churn.label_months(panel_of(steady=assets([10_000] * 12), both=fell_then_closed))
    row = label_at(labels, "both", "2024-04-30")
    assert (row["label"], row["event_kind"], row["event_on"]) == (1, "aum_drop", "2024-07-31")


def test_who_has_left_or_never_acted_is_told_apart_from_who_is_at_risk():
    panel = panel_of(
        steady=assets([10_000] * 12),
        closed=assets([10_000] * 10 + [0] * 2, [1] * 10 + [0] * 2),
        fell=assets([10_000] * 10 + [100] * 2),
    )
    assert churn.departed_at(panel, "2024-12-31").to_dict() == {"closed": "already left", "fell": "already left"}
    assert churn.departed_at(panel, "2024-10-31").to_dict() == {}
    silent = panel_of(
        active={"days_since_last_customer_transaction": [5] * 12},
        silent={"days_since_last_customer_transaction": [5] * 8 + [35, 65, 95, 125]},
        never={"days_since_last_customer_transaction": [float("nan")] * 12},
    )
    assert churn.departed_at(silent, "2024-12-31", churn.Dormancy()).to_dict() == {
        "never": "never active",
        "silent": "already left",
    }
