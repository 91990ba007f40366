"""The rule of choice: rows decide where there are many, standing elsewhere where there are few."""

import numpy as np
import pytest

from headstart.choose.rule import advantages, choose_by, standing_of


def test_posterior_means_are_those_worked_by_hand():
    utilities = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    # Means 1/2, 1/4 and 0, less their mean 1/4; four rows beside a standing that is worth six.
    found = advantages(utilities, np.array([-0.1, 0.0, 0.1]), worth=6.0)
    np.testing.assert_allclose(found, [(4 * 0.25 - 6 * 0.1) / 10, 0.0, (-4 * 0.25 + 6 * 0.1) / 10])
    assert choose_by(utilities, np.array([-0.1, 0.0, 0.1]), worth=6.0) == 0
    assert choose_by(utilities, np.array([-0.2, 0.0, 0.2]), worth=6.0) == 2


def test_without_standing_the_best_mean_is_chosen_and_of_equals_the_first():
    utilities = np.random.default_rng(0).integers(2, size=(6, 30)).astype(float)
    assert choose_by(utilities) == int(np.argmax(utilities.mean(axis=1)))
    assert choose_by(np.ones((4, 5))) == 0
    assert choose_by(np.ones((4, 5)), np.array([0.0, 0.1, 0.1, 0.0])) == 1


def test_few_rows_leave_the_standing_and_many_rows_overrule_it():
    few = np.array([[1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]])
    standing = np.array([0.0, 0.06])
    assert choose_by(few, standing) == 1
    assert choose_by(np.tile(few, 20), standing) == 0


def test_a_row_that_is_hard_for_all_and_the_order_of_candidates_change_nothing():
    rng = np.random.default_rng(1)
    utilities, standing = rng.normal(size=(5, 20)), rng.normal(size=5)
    found = advantages(utilities, standing)
    np.testing.assert_allclose(advantages(utilities + rng.normal(size=20), standing), found)
    order = rng.permutation(5)
    np.testing.assert_allclose(advantages(utilities[order], standing[order]), found[order])


@pytest.mark.parametrize("rows", [6, 30])
def test_where_methods_stand_as_elsewhere_the_rule_regrets_less_than_the_rows_or_the_standing_alone(rows):
    rng = np.random.default_rng(2)
    standing = np.linspace(-0.1, 0.1, 8)
    regrets = []
    for _ in range(600):
        truth = np.clip(0.7 + standing + 0.08 * rng.normal(size=8), 0, 1)
        hits = (rng.uniform(size=(8, rows)) < truth[:, None]).astype(float)
        picked = [choose_by(hits, standing), choose_by(hits), int(np.argmax(standing))]
        regrets.append(truth.max() - truth[picked])
    rule, alone, prior = np.mean(regrets, axis=0)
    assert rule < alone
    assert rule < prior


def test_standing_is_the_mean_over_data_sets_of_the_advantage_over_these_candidates():
    elsewhere = [{"a": 0.6, "b": 0.8, "other": 0.1}, {"a": 0.5}, {"b": 0.9, "a": 0.5}]
    np.testing.assert_allclose(standing_of(["a", "b", "new"], elsewhere), [(-0.1 + 0.0 - 0.2) / 3, 0.15, 0.0])


def test_no_standing_is_told_of_nothing():
    assert standing_of(["a", "b"], []).tolist() == [0.0, 0.0]
