"""Rules that were found are put to tests: what only looks like a rule is killed, and by the right test."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.association import (
    AssociationSettings,
    BasketError,
    MiningTask,
    PackedBaskets,
    VerificationSettings,
    read_holdings,
    run_task,
)
from mining.association.task import deciles, findings
from mining.association.verification import Sides, _within, count_sides, is_held_out

AS_OF = date(2025, 12, 31)
BANDS = ["aum_decile", "age_band", "occupation"]


def task(**changes: object) -> MiningTask:
    values: dict[str, object] = {
        "name": "holdings",
        "owner": "retail",
        "problem_en": "what goes with what",
        "problem_zh": "关联",
        "settings": AssociationSettings(min_support=0.005, min_confidence=0.01, keep_redundant=True),
        "strata": ("age_band",),
    }
    return MiningTask(**(values | changes))  # type: ignore[arg-type]


def frames(cells: dict[str, np.ndarray], opened: dict[str, np.ndarray] | None = None) -> pd.DataFrame:
    """Holdings since long ago, and openings in the last half year."""
    rows = []
    for day, of_day in (("2020-01-01", cells), ("2025-09-01", opened or {})):
        for item, held in of_day.items():
            rows += [(f"person {number:05}", item, day, None) for number in np.flatnonzero(held)]
    return pd.DataFrame(rows, columns=["person_id", "item", "held_from", "held_to"])


def persons(**bands: np.ndarray) -> pd.DataFrame:
    size = len(next(iter(bands.values())))
    frame = pd.DataFrame({name: np.zeros(size, dtype=int) for name in BANDS} | bands)
    return frame.set_index(pd.Index([f"person {number:05}" for number in range(size)], name="person_id"))


def evidence(result: object, antecedent: str, consequent: str) -> pd.Series:
    rules = result.rules.rules  # type: ignore[attr-defined]
    place = np.flatnonzero((rules["antecedent"] == antecedent) & (rules["consequent"] == consequent))
    return result.evidence.iloc[int(place[0])]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def world() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A true link, a pair that only shares its age, a pair that turns round with age, and noise."""
    chance = np.random.default_rng(5)
    age = chance.integers(0, 4, 12_000)

    def happens(share: np.ndarray | float) -> np.ndarray:
        return chance.random(len(age)) < share

    by_age = np.array([0.05, 0.1, 0.3, 0.6])[age]
    true_if, shared_if, turned_if = happens(0.2), happens(by_age), happens(by_age)
    cells = {
        "true_if": true_if,
        "true_then": happens(np.where(true_if, 0.4, 0.15)),
        "shared_if": shared_if,
        "shared_then": happens(by_age),
        "turned_if": turned_if,
        "turned_then": happens(np.where(turned_if, 0.7 * by_age, by_age * (1 - 0.7 * by_age) / (1 - by_age))),
        "noise": happens(0.2),
        "current": np.ones(len(age), dtype=bool),
    }
    opened = {"true_then": happens(np.where(cells["true_if"], 0.1, 0.02)) & ~cells["true_then"]}
    return frames(cells, opened), persons(age_band=age)


@pytest.fixture(scope="module")
def result(world: tuple[pd.DataFrame, pd.DataFrame]) -> object:
    rows, known = world
    left_out, since = frozenset({"current"}), date(2024, 1, 1)
    return run_task(task(), read_holdings(rows), known, AS_OF, left_out=left_out, history_from=since)


def test_a_true_link_stands_every_test(result: object) -> None:
    row = evidence(result, "true_if", "true_then")
    assert row["is_verified"]
    assert pd.isna(row["killed_by"])
    assert row["strata_lift"] > row["strata_lift_lower"] > 1.5
    assert row["next_period"] == "held"
    assert row["next_period_lift"] > 2


def test_what_only_shares_its_age_is_found_and_then_killed_within_strata(result: object) -> None:
    row = evidence(result, "shared_if", "shared_then")
    assert row["is_held_out"]
    assert row["holdout_lift"] > 1.3
    assert row["killed_by"] == "strata"
    assert row["strata_lift"] == pytest.approx(1, abs=0.05)


def test_a_pair_that_turns_round_with_age_is_flagged_as_simpsons(result: object) -> None:
    row = evidence(result, "turned_if", "turned_then")
    assert row["holdout_lift"] > 1
    assert (row["is_reversed"], row["reversed_within"], row["killed_by"]) == (True, "age_band", "simpson")
    assert row["strata_lift"] < 0.8
    assert not evidence(result, "true_if", "true_then")["is_reversed"]


def test_a_rule_must_hold_within_each_of_the_strata_and_not_only_crossed() -> None:
    chance = np.random.default_rng(7)
    age, decile = chance.integers(0, 2, 20_000), chance.integers(0, 2, 20_000)
    share = np.array([0.1, 0.5])[age]
    of_first, of_then = share * np.array([1.4, 0.6])[decile], share * np.array([0.6, 1.4])[decile]
    first = chance.random(len(age)) < of_first
    then = chance.random(len(age)) < np.where(
        first, 1.3 * of_then, of_then * (1 - 1.3 * of_first) / (1 - of_first)
    )  # 1.3 times inside the cells of both, 1.3 x 0.84 = 1.09 times inside an age
    rows = frames({"first": first, "then": then, "current": np.ones(len(age), dtype=bool)})
    known = persons(age_band=age, aum_decile=decile)
    for strata, killed, lift in ((("age_band", "aum_decile"), "strata", 1.09), (("aum_decile",), None, 1.5)):
        found = run_task(task(strata=strata), read_holdings(rows), known, AS_OF)
        row = evidence(found, "first", "then")
        assert (row["weakest_within"], row["killed_by"]) == (strata[0], killed)
        assert (row["strata_lift"] > lift) if killed is None else row["strata_lift"] == pytest.approx(lift, abs=0.03)
        said = findings(task(strata=strata), found).set_index("knowledge_id")["statement_en"]
        assert said.str.contains(f"of the same {'age' if killed else 'decile of assets'}:").any()


def test_noise_is_killed_by_chance_and_the_funnel_adds_up(result: object) -> None:
    assert evidence(result, "true_if", "noise")["killed_by"] == "chance"
    funnel = result.funnel  # type: ignore[attr-defined]
    killed = sum(funnel[f"killed_by_{test}"] for test in ("holdout", "simpson", "strata", "next_period"))
    assert funnel["rules_found"] == killed + funnel["rules_verified"] < funnel["rules_tested"]
    assert funnel["rules_verified"] > 0


def test_a_rule_that_goes_the_other_way_in_the_next_period_is_not_verified() -> None:
    chance = np.random.default_rng(6)
    first = chance.random(8000) < 0.3
    then = chance.random(8000) < np.where(first, 0.4, 0.1)
    opened = {"then": ~then & (chance.random(8000) < np.where(first, 0.01, 0.1))}
    everybody = np.ones(8000, dtype=bool)
    rows = frames({"first": first, "then": then, "current": everybody}, opened)
    known = persons(age_band=np.zeros(8000, dtype=int))
    row = evidence(run_task(task(), read_holdings(rows), known, AS_OF, history_from=date(2024, 1, 1)), "first", "then")
    assert (row["next_period"], row["killed_by"]) == ("reversed", "next_period")
    assert row["next_period_lift"] < 0.2


def test_without_history_the_next_period_is_not_judged(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    rows, known = world
    found = run_task(task(), read_holdings(rows), known, AS_OF, history_from=date(2025, 8, 1))
    assert set(found.evidence["next_period"]) == {"no_history"}
    assert found.evidence["next_period_lift"].isna().all()


def test_the_same_world_in_another_order_gives_the_same_evidence(
    world: tuple[pd.DataFrame, pd.DataFrame], result: object
) -> None:
    rows, known = world
    again = run_task(
        task(),
        read_holdings(rows.sample(frac=1.0, random_state=1)),
        known.sample(frac=1.0, random_state=2),
        AS_OF,
        left_out=frozenset({"current"}),
        history_from=date(2024, 1, 1),
    )
    pd.testing.assert_frame_equal(again.evidence, result.evidence)  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(findings(task(), again), findings(task(), result))  # type: ignore[arg-type]


def test_a_population_leaves_the_others_out(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    rows, known = world
    old = task(population={"age_band": ("3",)})
    found = run_task(old, read_holdings(rows), known, AS_OF, left_out=frozenset({"current"}))
    assert found.rules.metadata["basket_count"] == int((known["age_band"] == 3).sum())


def test_a_population_of_deciles_is_written_in_whole_numbers(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    rows, known = world
    known = known.assign(aum_decile=deciles(pd.Series(np.arange(len(known), dtype=float), index=known.index)))
    found = run_task(task(population={"aum_decile": ("9",)}), read_holdings(rows), known, AS_OF)
    assert found.rules.metadata["basket_count"] == (known["aum_decile"] == 9).sum() == len(known) / 10


def test_a_value_nobody_has_is_refused_by_name_and_those_there_are_told_only_where_they_are_not_personal(
    world: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    rows, known = world
    for name, told in (("age_band", "; values are 0, 1, 2, 3."), ("occupation", ".")):
        with pytest.raises(BasketError) as raised:
            run_task(task(population={name: ("0", "99")}), read_holdings(rows), known, AS_OF)
        assert str(raised.value) == f"population.{name}: nobody has '99'{told}"


def test_a_population_that_nobody_is_in_is_refused_as_too_few(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    rows, known = world
    known = known.assign(aum_decile=(known["age_band"] > 0).astype(float))
    nobody = task(population={"age_band": ("0",), "aum_decile": ("1",)})
    found = run_task(nobody, read_holdings(rows), known, AS_OF)
    assert "widen the population" in (found.rules.refused or "")
    assert findings(nobody, found).empty
    assert found.funnel["rules_verified"] == 0


def test_openings_in_a_window_are_baskets_too(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    rows, known = world
    opened = rows["held_from"].eq("2025-09-01")
    found = run_task(task(baskets="openings"), read_holdings(rows), known, AS_OF)
    assert found.rules.metadata["basket_count"] == rows.loc[opened, "person_id"].nunique()


def test_an_attribute_nobody_has_is_refused_by_name(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    rows, known = world
    with pytest.raises(BasketError, match="no attribute 'shoe_size'"):
        run_task(task(strata=("shoe_size",)), read_holdings(rows), known, AS_OF)


def test_statements_say_what_became_of_a_rule(result: object) -> None:
    said = findings(task(), result).set_index("knowledge_id")  # type: ignore[arg-type]
    rules = result.rules.rules.set_index(["antecedent", "consequent"])  # type: ignore[attr-defined]
    turned = said.loc[rules.loc[("turned_if", "turned_then"), "rule_id"]]
    assert "Within the strata it turns round" in turned["statement_en"]
    assert "辛普森悖论" in turned["statement_zh"]
    true = said.loc[rules.loc[("true_if", "true_then"), "rule_id"]]
    assert "It stood every test." in true["statement_en"]
    assert "通过全部检验" in true["statement_zh"]
    assert "In the 6 months after an earlier date" in true["statement_en"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 130), st.integers(1, 40))
def test_counts_by_group_are_those_of_counting_by_hand(seed: int, items: int, rows: int) -> None:
    chance = np.random.default_rng(seed)
    cells = chance.random((rows, items)) < 0.4
    bits = np.packbits(np.pad(cells, ((0, 0), (0, -items % 64))), axis=1, bitorder="little").view(np.uint64)
    baskets = PackedBaskets(tuple(f"{place:03}" for place in range(items)), bits, chance.integers(1, 9, rows), 1000)
    group = chance.integers(0, 3, rows)
    wanted = [sorted(chance.choice(items, min(items, 2), replace=False).tolist()) for _ in range(5)]
    labels = [[f"{place:03}" for place in side] for side in wanted]
    counts = count_sides(baskets, Sides.of(baskets, labels, labels).antecedent, group, 3)
    for number, side in enumerate(wanted):
        held = cells[:, side].all(axis=1)
        by_hand = [int(baskets.weights[held & (group == of_group)].sum()) for of_group in range(3)]
        assert counts[:, number].tolist() == by_hand


def test_within_strata_is_mantel_and_haenszels_test_against_one() -> None:
    """Two strata worked by hand: expected 6 and 20, hypergeometric variances; Cornfield's are close to them."""
    both, first, second, total = [10, 25], [20, 50], [30, 40], [100, 100]
    rows, weights, group = [], [], []
    for stratum in range(2):
        a, n, c, size = both[stratum], first[stratum], second[stratum], total[stratum]
        rows += [3, 1, 2, 0]
        weights += [a, n - a, c - a, size - n - c + a]
        group += [stratum] * 4
    words = np.array(rows, dtype=np.uint64)[:, None]
    baskets = PackedBaskets(("a", "b"), words, np.array(weights, dtype=np.int64), 200)
    found = _within(baskets, Sides.of(baskets, [["a"]], [["b"]]), np.array(group), 1.0)
    assert found.lift[0] == pytest.approx(35 / 26)
    variance = sum(n * c * (size - n) * (size - c) / size**3 for n, c, size in zip(first, second, total, strict=True))
    z = (35 - 26) / np.sqrt(variance)
    from scipy.stats import norm

    assert found.above_minimum[0] == pytest.approx(norm.logsf(z), rel=1e-9)


def test_the_same_baskets_are_held_out_in_every_run_whatever_else_is_there() -> None:
    names = [f"person {number}" for number in range(2000)]
    alone = is_held_out(names[:100], 1 / 3)
    np.testing.assert_array_equal(alone, is_held_out(names, 1 / 3)[:100])


@pytest.mark.parametrize(
    ("setting", "value"), [("holdout_share", 0.0), ("false_discovery_rate", 1.0), ("minimum_lift", 0.9)]
)
def test_bounds_of_the_tests_out_of_range_are_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(BasketError, match=f"{setting} is {value}"):
        VerificationSettings(**{setting: value})


def test_a_day_that_is_none_is_told_with_its_column() -> None:
    rows = pd.DataFrame({"person_id": ["a"], "item": ["card"], "held_from": ["soon"], "held_to": [None]})
    with pytest.raises(BasketError, match=r'Column held_from of the holdings: .*"soon".*such as 2024-01-05'):
        read_holdings(rows)
