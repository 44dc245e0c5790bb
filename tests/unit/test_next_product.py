"""The next best product: what suits, what is likely, what speaks for it; nothing where it is not proven."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from mining.association import NextProductSettings, Period, eligible_products, recommend
from mining.association.next_product import LIST_COLUMNS, NextProductResult, _sentence

ITEMS = ("card", "fund", "gold", "loan", "payroll", "term")
PERSONS = [f"person {number:05}" for number in range(6000)]


def period(seed: int, *, linked: bool, is_last: bool = False) -> Period:
    """Holdings, and take-ups: with `linked`, holders of payroll take up cards and of funds gold."""
    chance = np.random.default_rng(seed)
    held = chance.random((len(PERSONS), 6)) < [0.2, 0.2, 0.1, 0.1, 0.4, 0.3]
    share = np.tile([0.02, 0.02, 0.02, 0.02, 0.0, 0.03], (len(PERSONS), 1))
    if linked:
        share[:, 0] = np.where(held[:, 4], 0.06, 0.005)
        share[:, 2] = np.where(held[:, 1], 0.10, 0.002)
        share[:, 3] = np.where(held[:, 5], 0.06, 0.002)
    taken_up = ~held & (chance.random(held.shape) < share)
    band = pd.Series(chance.integers(0, 3, len(PERSONS)))
    return Period(held=held, bands=[band], eligible=~held, taken_up=None if is_last else taken_up)


def listed(*, linked: bool, **changes: object) -> NextProductResult:
    return recommend(
        PERSONS,
        ITEMS,
        before=period(1, linked=linked),
        last=period(2, linked=linked),
        now=period(3, linked=linked, is_last=True),
        margins=[Decimal("100.00"), Decimal("10.00"), Decimal("40.00"), Decimal("900.00"), None, Decimal("30.00")],
        labels={"card": ("a credit card", "信用卡"), "payroll": ("a payroll account", "工资账户")},
        settings=NextProductSettings(**changes),  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def result() -> NextProductResult:
    return listed(linked=True, top=2)


def test_a_link_in_time_beats_popularity_and_is_published(result: NextProductResult) -> None:
    assert result.refusals == ()
    rates = result.metrics.set_index(["subject", "metric"])
    assert rates.loc[("difference", "hit_rate_at_2"), "lower"] > 0
    own, popular = (rates.loc[(name, "hit_rate_at_2"), "value"] for name in ("model", "popularity"))
    assert own > popular + 0.05
    assert rates.loc[("difference", "hit_rate_at_2"), "value"] == pytest.approx(own - popular)
    assert 0 < rates.loc[("list", "coverage"), "value"] <= 1
    assert list(result.products.columns) == list(LIST_COLUMNS)


def test_nothing_is_offered_that_is_held_and_ranks_follow_the_expected_value(result: NextProductResult) -> None:
    held = period(3, linked=True).held
    place = {person: number for number, person in enumerate(PERSONS)}
    rows = result.products
    assert not held[rows["person_id"].map(place), rows["item"].map(ITEMS.index)].any()
    for _, of_person in rows.head(600).groupby("person_id"):
        assert of_person["rank"].tolist() == list(range(1, len(of_person) + 1))
        values = [value for value in of_person["expected_value"] if value is not None]
        assert values == sorted(values, reverse=True)
        assert of_person["expected_value"].isna().tolist() == sorted(of_person["expected_value"].isna())


def test_money_is_decimal_and_absent_where_no_margin_is_known(result: NextProductResult) -> None:
    rows = result.products
    known = rows[rows["item"] != "payroll"]
    assert all(isinstance(value, Decimal) for value in known["expected_value"])
    first = known.iloc[0]
    exact = first["expected_margin"] * Decimal(str(first["probability"]))
    assert abs(first["expected_value"] - exact) <= Decimal("0.01")
    assert rows.loc[rows["item"] == "payroll", "expected_value"].isna().all()


def test_the_sentence_states_the_counts_of_the_row(result: NextProductResult) -> None:
    rows = result.products
    row = rows[(rows["item"] == "card") & (rows["speaks_for_it"] == "payroll")].iloc[0]
    last = period(2, linked=True)
    exposed = last.held[:, 4] & ~last.held[:, 0]
    assert row["speaking_count"] == exposed.sum()
    assert row["speaking_taken_up"] == (exposed & last.taken_up[:, 0]).sum()
    assert row["sentence_en"].startswith(
        f"Of {row['speaking_count']:,} persons with a payroll account who could be offered a credit card, "
        f"{row['speaking_taken_up']:,} took it up"
    )
    assert f"在持有工资账户且可推荐信用卡的{row['speaking_count']:,}位客户中" in row["sentence_zh"]


def test_what_does_not_beat_popularity_is_refused_in_words() -> None:
    refused = listed(linked=False)
    assert refused.products.empty
    assert [reason.code for reason in refused.refusals] == ["no_better_than_popularity"]
    assert "does not beat naming the most popular" in refused.refusals[0].sentence_en
    assert "热门" in refused.refusals[0].sentence_zh
    assert refused.metrics["value"].notna().any()


def test_too_few_take_ups_prove_nothing() -> None:
    refused = listed(linked=True, minimum_persons=100_000)
    assert refused.products.empty
    assert refused.refusals[0].code == "too_few_taken_up"


def test_the_same_input_gives_the_same_list_and_another_another_run(result: NextProductResult) -> None:
    again = listed(linked=True, top=2)
    pd.testing.assert_frame_equal(result.products, again.products)
    assert listed(linked=True, top=3).run_id != result.run_id


def test_eligibility_is_suitability_age_audience_and_the_shelf() -> None:
    persons = pd.DataFrame(
        {
            "is_reachable": [True, False, True, True],
            "party_type": ["personal", "personal", "corporate", "personal"],
            "age": [40, 40, None, 16],
            "risk_profile": [2, 5, 5, None],
        }
    )
    products = pd.DataFrame(
        {
            "is_offered": [True, True, True, False],
            "audience": [None, "personal", "personal", None],
            "minimum_age": [None, 18, None, None],
            "risk_level": [None, 2, 3, None],
        }
    )
    held = np.zeros((4, 4), dtype=bool)
    held[0, 0] = True
    assert eligible_products(persons, products, held).tolist() == [
        [False, True, False, False],  # holds the first; the third is riskier than the profile
        [False, False, False, False],  # did not agree to be contacted
        [True, False, False, False],  # a firm, and the others are for persons
        [True, False, False, False],  # too young for the second, no risk assessment for the third
    ]


def test_margins_do_not_change_who_is_named_only_the_order(result: NextProductResult) -> None:
    flat = recommend(
        PERSONS,
        ITEMS,
        before=period(1, linked=True),
        last=period(2, linked=True),
        now=period(3, linked=True, is_last=True),
        margins=[None] * 6,
        settings=NextProductSettings(top=2),
    )
    named = result.products.groupby("person_id")["item"].agg(set)
    pd.testing.assert_series_equal(named, flat.products.groupby("person_id")["item"].agg(set))
    assert (flat.products["item"].tolist()) != result.products["item"].tolist()


def test_a_product_of_which_nothing_is_known_is_not_offered() -> None:
    persons = pd.DataFrame({"is_reachable": [True], "party_type": ["personal"], "age": [40], "risk_profile": [5]})
    known = pd.DataFrame({"is_offered": [True], "audience": [None], "minimum_age": [None], "risk_level": [None]})
    products = known.set_axis(["card"]).reindex(["card", "unheard_of"])
    held = np.zeros((1, 2), dtype=bool)
    assert eligible_products(persons, products, held).tolist() == [[True, False]]
    products["is_offered"] = products["is_offered"].astype("boolean")
    assert eligible_products(persons, products, held).tolist() == [[True, False]]


def test_a_choice_by_value_alone_gives_no_place_to_what_may_not_be_offered() -> None:
    last = period(2, linked=True)
    unknown = recommend(
        PERSONS,
        ITEMS,
        before=period(1, linked=True),
        last=last,
        now=period(3, linked=True, is_last=True),
        margins=[None] * 6,
        settings=NextProductSettings(top=3),
    )
    assert last.taken_up is not None
    named = last.eligible & (np.cumsum(last.eligible, axis=1) <= 3)  # all are worth the same: the first three
    judged = last.taken_up.any(axis=1)
    expected = (named & last.taken_up)[judged].any(axis=1).mean()
    rates = unknown.metrics.set_index(["subject", "metric"])["value"]
    assert rates["by_expected_value_alone", "hit_rate_at_3"] == pytest.approx(expected)


def test_a_share_below_a_tenth_of_a_per_cent_is_not_called_none() -> None:
    english, chinese = _sentence(None, "gold", [40_000, 3, 40_000, 3], {}, 1)
    assert english.startswith("3 of 40,000 persons who could be offered gold took it up in the last 1 month (< 0.1 %)")
    assert "3位新开（< 0.1%）" in chinese
