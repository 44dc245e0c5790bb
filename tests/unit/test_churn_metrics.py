"""Metrics agree with other implementations, with published formulas and with brute force."""

import numpy as np
import pytest
from scipy import integrate, special, stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from mining import metrics
from mining.metrics import CampaignValues


@pytest.fixture(scope="module")
def scored():
    draw = np.random.default_rng(3)
    line = draw.normal(-2, 1.2, 4000)
    labels = (draw.random(4000) < special.expit(line)).astype(int)
    # Two digits: many ties, as calibrated steps give.
    return labels, np.round(special.expit(0.8 * line - 0.1), 2).clip(0.01, 0.99)


def test_auc_and_precision_and_brier_are_those_of_scikit_learn_ties_included(scored):
    labels, scores = scored
    counts = metrics.count_scores(labels, scores)
    assert metrics.area_under_curve(counts) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert metrics.average_precision(counts) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert metrics.brier_score(counts) == pytest.approx(brier_score_loss(labels, scores), abs=1e-12)


def test_calibration_slope_is_the_coefficient_of_an_unpenalised_logistic_regression(scored):
    labels, scores = scored
    line = metrics.log_odds(scores)
    model = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(line[:, None], labels)
    counts = metrics.count_scores(labels, scores)
    assert metrics.calibration_slope(counts) == pytest.approx(model.coef_[0, 0], abs=1e-4)
    shift = metrics.calibration_intercept(counts)
    assert special.expit(line + shift).mean() == pytest.approx(labels.mean(), abs=1e-9)


def test_the_slope_is_found_from_a_bad_start_without_overshooting():
    values = np.array([-13.8, -4.0, -3.9, 9.0])
    positives, negatives = np.array([0.0, 10.0, 12.0, 1.0]), np.array([5.0, 800.0, 900.0, 0.0])
    intercept, slope = metrics.logistic_line(values, positives, negatives)
    fitted = special.expit(intercept + slope * values)
    assert (positives - (positives + negatives) * fitted).sum() == pytest.approx(0, abs=1e-3)


def test_expected_maximum_profit_is_the_integral_of_the_best_cut_off(scored):
    labels, scores = scored
    values = CampaignValues()
    delta, phi = values.offer_cost / values.customer_value, values.contact_cost / values.customer_value
    cuts = np.concatenate([[np.inf], np.unique(scores)[::-1]])
    reached = np.array([((scores >= cut) & (labels == 1)).mean() for cut in cuts])
    wasted = np.array([((scores >= cut) & (labels == 0)).mean() for cut in cuts])

    def best(gamma):
        profits = (gamma * (1 - delta) - phi) * reached - (delta + phi) * wasted
        return values.customer_value * profits.max() * stats.beta.pdf(gamma, 6, 14)

    grid = np.linspace(0, 1, 4001)
    expected = integrate.trapezoid([best(gamma) for gamma in grid], grid)
    profit, share = metrics.expected_maximum_profit(metrics.count_scores(labels, scores), values)
    assert profit == pytest.approx(expected, rel=1e-4)
    assert 0 < share < 1


def test_a_perfect_score_earns_the_most_and_a_constant_one_earns_what_contacting_all_or_none_earns():
    labels = np.repeat([1, 0], [100, 900])
    perfect, _ = metrics.expected_maximum_profit(metrics.count_scores(labels, labels.astype(float)))
    blind, _ = metrics.expected_maximum_profit(metrics.count_scores(labels, np.zeros(1000)))
    # With every leaver and nobody else contacted: (gamma (1 - delta) - phi) x CLV x base rate.
    assert perfect == pytest.approx(0.1 * 200 * (0.3 * 0.95 - 0.005), rel=0.01)
    assert blind < 0.01 * perfect


def test_lift_counts_a_tie_at_the_border_in_part():
    labels, scores = np.repeat([1, 0], [50, 50]), np.zeros(100)
    assert metrics.lift_at(metrics.count_scores(labels, scores), 0.1) == pytest.approx(1.0)
    ordered = np.arange(100)[::-1].astype(float)
    assert metrics.lift_at(metrics.count_scores(labels, ordered), 0.1) == pytest.approx(2.0)


def test_calibration_error_is_small_for_true_probabilities_and_the_shift_for_shifted_ones():
    draw = np.random.default_rng(8)
    truth = draw.uniform(0.05, 0.6, 40_000)
    labels = (draw.random(40_000) < truth).astype(int)
    assert metrics.calibration_error(metrics.count_scores(labels, truth)) < 0.01
    shifted = metrics.calibration_error(metrics.count_scores(labels, truth + 0.1))
    assert shifted == pytest.approx(0.1, abs=0.01)


def test_stability_index_is_zero_without_a_shift_and_as_published_with_one():
    counts = np.array([100.0, 200.0, 300.0, 400.0])
    assert metrics.stability_index(counts, counts * 5, smoothing=0) == pytest.approx(0)
    actual, expected = np.array([0.4, 0.6]), np.array([0.5, 0.5])
    by_hand = -0.1 * np.log(0.8) + 0.1 * np.log(1.2)
    assert metrics.stability_index(actual, expected, smoothing=0) == pytest.approx(by_hand)
    draw = np.random.default_rng(1)
    chance = [
        metrics.stability_index(draw.multinomial(500, [0.1] * 10), draw.multinomial(800, [0.1] * 10))
        for _ in range(300)
    ]
    assert np.mean(chance) == pytest.approx(metrics.expected_stability_index(10, 500, 800), rel=0.15)


def test_the_bootstrap_resamples_persons_so_repeated_rows_do_not_narrow_the_interval():
    draw = np.random.default_rng(2)
    labels, scores = draw.integers(0, 2, 300), draw.normal(size=300)
    functions = {"auc": metrics.area_under_curve}
    persons = np.arange(300)
    single = metrics.bootstrap_interval(labels, scores, persons, functions, replicates=300, seed=1)["auc"]
    repeated = metrics.bootstrap_interval(
        np.tile(labels, 6), np.tile(scores, 6), np.tile(persons, 6), functions, replicates=300, seed=1
    )["auc"]
    assert repeated.upper - repeated.lower == pytest.approx(single.upper - single.lower, rel=1e-9)


def test_the_interval_holds_the_true_auc_about_as_often_as_it_says():
    # Two normal distributions one deviation apart: AUC = Phi(1 / sqrt 2) = 0.7602.
    truth, hits = stats.norm.cdf(1 / np.sqrt(2)), 0
    for seed in range(40):
        draw = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 150)
        scores = draw.normal(size=300) + labels
        found = metrics.bootstrap_interval(
            labels, scores, np.arange(300), {"auc": metrics.area_under_curve}, replicates=100, seed=seed
        )["auc"]
        hits += found.lower <= truth <= found.upper
    assert hits >= 33


def test_coarse_bins_give_the_same_interval_as_every_score():
    draw = np.random.default_rng(4)
    labels = draw.integers(0, 2, 9000)
    scores = labels + 2 * draw.normal(size=9000)
    whole = metrics.area_under_curve(metrics.count_scores(labels, scores))
    binned, position = metrics.binned_scores(scores)
    assert len(binned) <= metrics.BOOTSTRAP_RESOLUTION
    assert metrics.area_under_curve(metrics.count_scores(labels, binned[position])) == pytest.approx(whole, abs=1e-4)
