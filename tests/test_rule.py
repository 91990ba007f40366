"""The rule of choice."""

import numpy as np

from headstart.choose.rule import choose_by


def test_without_a_surest_candidate_the_best_mean_is_chosen():
    rng = np.random.default_rng(0)
    utilities = rng.normal(size=(5, 30))
    assert choose_by(utilities) == utilities.mean(axis=1).argmax()


def test_surest_candidate_is_left_only_for_one_that_is_ten_rows_ahead():
    def ahead_on(rows, behind=0):
        d = np.zeros(40)
        d[:rows], d[rows : rows + behind] = 1.0, -1.0
        return choose_by(np.stack([np.zeros(40), d]), surest=0)

    # Ten times the root mean square is 4.5 with eight rows, 2.2 with two, 10 with forty.
    assert ahead_on(8) == 1
    assert ahead_on(2) == 0
    assert ahead_on(26, 14) == 1
    assert ahead_on(24, 16) == 0


def test_rule_is_one_standard_error_at_a_hundred_rows_whatever_the_unit():
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 1e3):
        d = rng.normal(size=100)
        d -= d.mean()
        error = np.sqrt((d**2).mean() / 100)
        for ahead, left in ((0.9, 0), (1.1, 1)):
            moved = scale * (d + ahead * error * np.sqrt(1 + ahead**2 / 100))
            assert choose_by(np.stack([np.zeros(100), moved]), surest=0) == left


def test_ten_rows_say_too_little_to_leave_the_surest():
    assert choose_by(np.stack([np.zeros(10), np.ones(10)]), surest=0) == 0
    assert choose_by(np.stack([np.zeros(11), np.ones(11)]), surest=0) == 1


def test_many_useless_candidates_on_few_rows_seldom_displace_the_surest():
    rng = np.random.default_rng(1)
    left = [choose_by((rng.uniform(size=(10, 20)) < 0.7).astype(float), surest=0) != 0 for _ in range(200)]
    by_mean = [(rng.uniform(size=(10, 20)) < 0.7).mean(axis=1).argmax() != 0 for _ in range(200)]
    assert np.mean(left) < np.mean(by_mean)


def test_one_row_is_no_reason_to_leave_the_surest():
    assert choose_by(np.array([[0.0], [1.0]]), surest=0) == 0
