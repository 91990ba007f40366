"""The learning curve and what the source was worth."""

import numpy as np
import pytest
from conftest import pair
from scipy.stats import ttest_1samp
from sklearn.linear_model import LogisticRegression

from headstart.choose import shortlist
from headstart.delivery import Plan
from headstart.evidence import METRICS, learning_curve
from headstart.evidence.curve import curve_sizes, drawing_order, mean_bands, rows_worth, worth_interval


def test_worth_is_the_horizontal_distance_between_the_curves():
    sizes = np.array([10, 20, 40, 80, 160])
    alone = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    # With the source, 20 rows do what takes 80 without.
    helped = np.array([0.7, 0.8, 0.85, 0.88, 0.9])
    assert rows_worth(sizes, alone, helped, 20) == (20, 60, False)


def test_worth_beyond_the_measured_range_is_a_lower_bound():
    sizes, alone = np.array([10, 20, 40]), np.array([0.5, 0.6, 0.7])
    assert rows_worth(sizes, alone, np.array([0.9, 0.9, 0.9]), 20) == (20, 20, True)
    assert rows_worth(sizes, alone, np.array([0.9, 0.9, 0.9]), 40) == (40, 30, True)


def test_a_source_without_use_is_worth_nothing():
    sizes, alone = np.array([10, 20, 40]), np.array([0.5, 0.6, 0.7])
    assert rows_worth(sizes, alone, alone - 0.1, 40) == (40, None, False)
    assert rows_worth(sizes, alone, alone, 40) == (40, None, False)


def test_sizes_double_and_hold_the_users_own_number():
    assert 37 in curve_sizes(37, 500, 10, extended=True)
    assert curve_sizes(5, 5, 8, extended=False) == [4]


def test_every_beginning_of_a_draw_holds_every_class_in_proportion():
    _, target, _ = pair(0.1, 0, n_labelled=60)
    for seed in range(10):
        order = drawing_order(target, np.random.default_rng(seed))
        assert sorted(order) == list(range(60))
        assert len(set(target.labels[order[:2]])) == 2
        share = target.labels[order[:30]].mean()
        assert share == pytest.approx(target.labels.mean(), abs=0.1)


def test_a_helpful_source_is_worth_rows_on_the_curve(helpful):
    source, target, test = helpful
    plan = Plan("classification")
    (alone, pooled), _ = shortlist(["pooled"], LogisticRegression(), source, target, plan)
    curve = learning_curve(alone, pooled, target, METRICS["accuracy"], test=test, draws=5)
    assert curve.sizes[-1] == 4 * target.n_labelled
    assert curve.transfer[0] > curve.target_only[0]
    assert curve.worth > 20
    assert np.argmax(curve.target_only) == len(curve.sizes) - 1


def test_bands_are_the_t_interval_of_the_mean_over_draws():
    scores = np.random.default_rng(0).normal(size=(6, 3, 2))
    low, high = mean_bands(scores)
    for size in range(3):
        for c in range(2):
            expected = ttest_1samp(scores[:, size, c], 0).confidence_interval(0.95)
            assert (low[size, c], high[size, c]) == pytest.approx((expected.low, expected.high))
    assert mean_bands(scores[:1]) is None


def test_the_worth_of_draws_that_agree_has_no_width():
    sizes = np.array([10, 20, 40, 80, 160])
    scores = np.tile(np.transpose([[0.5, 0.6, 0.7, 0.8, 0.9], [0.7, 0.8, 0.85, 0.88, 0.9]]), (4, 1, 1))
    assert worth_interval(sizes, scores, 20) == (60, 60)
    assert worth_interval(sizes, scores[:1], 20) == (None, None)


def test_a_worth_beyond_the_measured_range_has_no_upper_bound():
    sizes = np.array([10, 20, 40])
    alone, helped = [0.5, 0.6, 0.7], [0.9, 0.9, 0.9]
    scores = np.tile(np.transpose([alone, helped]), (4, 1, 1))
    assert worth_interval(sizes, scores, 20) == (20, None)
    # Draws that disagree: some show no worth at all.
    scores[:2, :, 1] = np.array(alone) - 0.4
    assert worth_interval(sizes, scores, 20) == (0, None)


def test_a_curve_tells_its_bands_and_the_range_of_its_worth(helpful):
    source, target, test = helpful
    (alone, pooled), _ = shortlist(["pooled"], LogisticRegression(), source, target, Plan("classification"))
    curve = learning_curve(alone, pooled, target, METRICS["accuracy"], test=test, draws=2)
    assert all(
        low <= mean <= high
        for low, mean, high in zip(curve.transfer_low, curve.transfer, curve.transfer_high, strict=True)
    )
    assert curve.worth_low <= curve.worth
    assert curve.document()["worth_range"] == curve.worth_range
    single = learning_curve(alone, pooled, target, METRICS["accuracy"], test=test, draws=1)
    assert (single.target_only_low, single.worth_low, single.worth_range) == (None, None, "not known from one draw")
