"""Intervals where rows belong to users."""

import numpy as np
import pytest

from headstart.choose.splits import folds_of, folds_of_groups
from headstart.errors import InputError
from headstart.evidence.gain import METRICS, cross_validated_gain, gain_on_rows
from headstart.evidence.grouped_interval import grouped_interval
from headstart.evidence.interval import fresh_rows_interval, rows_interval

USERS, ROWS = 30, 12


def one_study(rng):
    """Differences of rows in two repeats, whose users have effects of their own; the true mean is zero."""
    groups = np.repeat(np.arange(USERS), ROWS)
    own = rng.normal(size=USERS)[groups]
    return own + rng.normal(size=(2, len(groups))), groups


def covered(interval_of, held_together, studies=300):
    hits = 0
    for study in range(studies):
        rng = np.random.default_rng([7, study])
        differences, groups = one_study(rng)
        seeds = [[study, r] for r in range(2)]
        folds = np.stack(
            [
                folds_of_groups(groups, 5, seed) if held_together else folds_of(groups, 5, seed, classes=False)
                for seed in seeds
            ]
        )
        found = interval_of(differences, folds, groups)
        hits += found.low <= 0 <= found.high
    return hits / studies


@pytest.mark.parametrize("held_together", [True, False])
def test_intervals_over_users_hold_where_intervals_over_rows_are_far_too_narrow(held_together):
    by_users = covered(grouped_interval, held_together)
    by_rows = covered(lambda d, folds, groups: rows_interval(d, folds), held_together)
    assert by_users >= 0.92
    assert by_rows < 0.75


def test_where_every_group_is_one_row_the_interval_is_that_of_rows():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.3, 1, size=(3, 40))
    folds = np.stack([folds_of(np.zeros(40), 5, r, classes=False) for r in range(3)])
    one, other = grouped_interval(differences, folds, np.arange(40)), rows_interval(differences, folds)
    assert one.low == pytest.approx(other.low)
    assert one.high == pytest.approx(other.high)
    single = grouped_interval(differences[:1], folds[:1], np.arange(40))
    assert single.low == pytest.approx(rows_interval(differences[:1], folds[:1]).low)


def test_the_order_of_rows_makes_no_difference_and_neither_does_what_groups_are_called():
    rng = np.random.default_rng(0)
    differences, groups = one_study(rng)
    folds = np.stack([folds_of(groups, 5, r, classes=False) for r in range(2)])
    order = rng.permutation(len(groups))
    one = grouped_interval(differences, folds, groups)
    other = grouped_interval(differences[:, order], folds[:, order], (USERS - 1 - groups)[order])
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_a_user_counts_once_however_many_rows():
    metric = METRICS["NDCG@10"]
    groups = np.array([0] * 98 + [1, 2])
    alone, helped = np.zeros(100), np.array([0.9] * 98 + [0.3, 0.0])
    gain = gain_on_rows(metric, alone, helped, "by hand", groups)
    assert gain.gain == pytest.approx(0.4)
    expected = fresh_rows_interval(np.array([0.9, 0.3, 0.0]))
    assert (gain.low, gain.rows) == (pytest.approx(expected.low), 100)
    folds = np.arange(100)[None] % 5
    assert cross_validated_gain(metric, alone[None], helped[None], folds, "", groups).gain == pytest.approx(0.4)


def test_folds_of_groups_part_no_group_and_are_even():
    groups = np.random.default_rng(0).integers(0, 23, size=400)
    folds = folds_of_groups(groups, 5, 0)
    assert all(len(set(folds[groups == g])) == 1 for g in range(23))
    counts = [len(set(groups[folds == f])) for f in range(5)]
    assert max(counts) - min(counts) <= 1
    with pytest.raises(InputError, match="two users"):
        folds_of_groups(np.zeros(5), 5, 0)


def test_one_user_alone_bounds_nothing():
    with pytest.raises(InputError, match="two"):
        grouped_interval(np.ones((1, 4)), np.array([[0, 1, 0, 1]]), np.zeros(4, dtype=int))
