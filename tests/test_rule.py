"""The rule of choice."""

import numpy as np
from scipy.stats import t as student_t

from headstart.choose.rule import choose_by


def test_without_a_surest_candidate_the_best_mean_is_chosen():
    rng = np.random.default_rng(0)
    utilities = rng.normal(size=(5, 30))
    assert choose_by(utilities) == utilities.mean(axis=1).argmax()


def test_surest_candidate_is_left_only_for_one_shown_to_be_better():
    d = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0])
    half = student_t.ppf(0.975, 7) * d.std(ddof=1) / np.sqrt(8)
    surest = np.zeros(8)
    assert choose_by(np.stack([surest, d - d.mean() + 0.99 * half]), surest=0) == 0
    assert choose_by(np.stack([surest, d - d.mean() + 1.01 * half]), surest=0) == 1


def test_six_hits_of_six_against_none_of_six_are_shown_and_two_of_six_are_not():
    none, two, six = np.zeros(6), np.array([1.0, 1.0, 0, 0, 0, 0]), np.ones(6)
    assert choose_by(np.stack([none, two]), surest=0, most=1.0) == 0
    assert choose_by(np.stack([none, six]), surest=0, most=1.0) == 1


def test_many_useless_candidates_on_few_rows_seldom_displace_the_surest():
    rng = np.random.default_rng(1)
    left = [choose_by((rng.uniform(size=(10, 20)) < 0.7).astype(float), surest=0) != 0 for _ in range(200)]
    by_mean = [(rng.uniform(size=(10, 20)) < 0.7).mean(axis=1).argmax() != 0 for _ in range(200)]
    assert np.mean(left) < np.mean(by_mean)


def test_one_row_is_no_reason_to_leave_the_surest():
    assert choose_by(np.array([[0.0], [1.0]]), surest=0) == 0
