"""The learning curve and what the source was worth."""

import numpy as np
import pytest
from conftest import pair
from sklearn.linear_model import LogisticRegression

from headstart.choose import shortlist
from headstart.delivery import Plan
from headstart.evidence import METRICS, learning_curve
from headstart.evidence.curve import curve_sizes, drawing_order, rows_worth


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
