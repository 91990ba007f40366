"""The rule of choice."""

import numpy as np

from headstart.choose.rule import choose_by


def test_without_a_surest_candidate_the_best_mean_is_chosen():
    rng = np.random.default_rng(0)
    utilities = rng.normal(size=(5, 30))
    assert choose_by(utilities) == utilities.mean(axis=1).argmax()


def test_surest_candidate_is_left_only_for_one_that_is_six_rows_ahead():
    surest = np.zeros(20)
    d = np.where(np.arange(20) < 8, 1.0, 0.0)
    # Eight rows ahead, six times the root mean square is 3.8; with two rows, 1.9.
    assert choose_by(np.stack([surest, d]), surest=0) == 1
    assert choose_by(np.stack([surest, np.where(np.arange(20) < 1, 1.0, 0.0)]), surest=0) == 0
    back_and_forth = np.where(np.arange(20) < 11, 1.0, -1.0)
    assert choose_by(np.stack([surest, back_and_forth]), surest=0) == 0


def test_rule_is_one_standard_error_at_thirty_six_rows_whatever_the_unit():
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 1e3):
        d = rng.normal(size=36)
        d -= d.mean()
        error = np.sqrt((d**2).mean() / 36)
        for ahead, left in ((0.9, 0), (1.1, 1)):
            moved = scale * (d + ahead * error * np.sqrt(1 + ahead**2 / 36))
            assert choose_by(np.stack([np.zeros(36), moved]), surest=0) == left


def test_six_rows_say_too_little_to_leave_the_surest():
    assert choose_by(np.stack([np.zeros(6), np.ones(6)]), surest=0) == 0


def test_many_useless_candidates_on_few_rows_seldom_displace_the_surest():
    rng = np.random.default_rng(1)
    left = [choose_by((rng.uniform(size=(10, 20)) < 0.7).astype(float), surest=0) != 0 for _ in range(200)]
    by_mean = [(rng.uniform(size=(10, 20)) < 0.7).mean(axis=1).argmax() != 0 for _ in range(200)]
    assert np.mean(left) < np.mean(by_mean)


def test_one_row_is_no_reason_to_leave_the_surest():
    assert choose_by(np.array([[0.0], [1.0]]), surest=0) == 0
