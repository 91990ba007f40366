"""Protocols part the rows of a target exactly, hide what they should, and do not hang on the order of rows."""

import numpy as np
import pandas as pd
import pytest

from headstart.domain import Domain
from headstart.errors import InputError, NeedsError
from headstart.recommend import ratings_domain
from headstart.recommend.protocols import cold_users, leave_one_out, random_rows, shared_users, split, temporal, until


def made(name, users, seed, times=True, rated=False):
    """Rows of random users and items, each pair once."""
    rng = np.random.default_rng(seed)
    pairs = pd.DataFrame({"user": rng.choice(users, 400), "item": rng.integers(40, size=400)}).drop_duplicates()
    pairs["when"] = rng.permutation(len(pairs)) // 3
    pairs["stars"] = rng.integers(1, 6, len(pairs))
    return ratings_domain(pairs, time="when" if times else None, rating="stars" if rated else None, name=name)


@pytest.fixture
def both():
    return made("game", np.arange(60), 0), made("video", np.arange(30, 90), 1, rated=False)


def keys(domain):
    rows = domain.X
    return list(
        zip(rows.users.tolist(), rows.items.tolist(), rows.domains.tolist(), domain.labels.tolist(), strict=True)
    )


PARTS = {
    "cold": lambda source, target, seed: cold_users(source, target, 0.5, seed),
    "leave-one-out": lambda source, target, seed: leave_one_out(target, seed),
    "temporal": lambda source, target, seed: temporal(target, 0.2),
    "random": lambda source, target, seed: random_rows(target, 0.2, seed),
}


@pytest.mark.parametrize("protocol", PARTS)
def test_train_and_test_are_all_rows_and_have_none_in_common(protocol, both):
    source, target = both
    train, test = PARTS[protocol](source, target, 0)
    assert sorted(keys(train) + keys(test)) == sorted(keys(target))
    assert not set(keys(train)) & set(keys(test))
    assert (train.task, test.task, train.name, test.name) == (target.task, target.task, "video", "video")


@pytest.mark.parametrize("protocol", PARTS)
def test_shuffled_rows_are_parted_the_same_way(protocol, both):
    source, target = both
    order = np.random.default_rng(5).permutation(len(target))
    plain, shuffled = (PARTS[protocol](source, each, 3)[1] for each in (target, target.rows(order)))
    assert sorted(keys(plain)) == sorted(keys(shuffled))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_cold_users_lose_all_rows_and_are_known_elsewhere(share, both):
    source, target = both
    train, test = cold_users(source, target, share)
    cold = set(test.X.users.tolist())
    known = set(source.X.users.tolist()) & set(target.X.users.tolist())
    assert len(cold) == round(share * len(known))
    assert cold <= known
    assert not cold & set(train.X.users.tolist())
    assert set(test.X.users.tolist()) != set(cold_users(source, target, share, 1)[1].X.users.tolist()) or share > 0.9


def test_the_latest_row_is_left_out_and_nobody_becomes_cold(both):
    train, test = leave_one_out(both[1])
    latest = {
        user: max(t for u, t in zip(both[1].X.users, both[1].X.times, strict=True) if u == user)
        for user in test.X.users.tolist()
    }
    assert [latest[user] for user in test.X.users.tolist()] == test.X.times.tolist()
    assert len(set(test.X.users.tolist())) == len(test)
    assert set(test.X.users.tolist()) <= set(train.X.users.tolist())


def test_without_times_a_random_row_is_left_out():
    target = made("video", np.arange(20), 1, times=False)
    first, second = (leave_one_out(target, seed)[1] for seed in (0, 1))
    assert keys(first) == keys(leave_one_out(target, 0)[1])
    assert keys(first) != keys(second)


def test_no_test_row_is_earlier_than_a_training_row_and_sources_end_there_too(both):
    sources, train, test = split("temporal", [both[0]], both[1], 0.3)
    assert train.X.times.max() < test.X.times.min()
    assert sources[0].X.times.max() <= train.X.times.max()
    assert 0 < len(sources[0]) < len(both[0])
    assert abs(len(test) / len(both[1]) - 0.3) < 0.05


def test_what_has_no_label_takes_no_part():
    target = made("video", np.arange(20), 1, rated=True)
    y = target.y.copy()
    y[:50] = np.nan
    train, test = random_rows(Domain(target.X, y, "video", task="regression"), 0.5)
    assert len(train) + len(test) == len(target) - 50


def test_what_can_not_be_parted_is_refused(both):
    source, target = both
    with pytest.raises(NeedsError, match="no user of video stands in game"):
        cold_users(made("game", np.arange(1000, 1010), 0), target)
    with pytest.raises(InputError, match="between 0 and 1, not 1"):
        cold_users(source, target, 1.0)
    with pytest.raises(NeedsError, match="has no times"):
        temporal(made("video", np.arange(9), 0, times=False))
    with pytest.raises(InputError, match="no user has two rows"):
        leave_one_out(ratings_domain(pd.DataFrame({"user": [1, 2], "item": [1, 1]})))
    with pytest.raises(InputError, match="all rows would be test rows"):
        cold_users(source, target.rows(np.isin(target.X.users, shared_users([source], target)[:1])), 0.9)
    with pytest.raises(NeedsError, match="all rows are later"):
        until(source, -1.0)
    with pytest.raises(InputError, match="protocol must be one of"):
        split("hot", [source], target)
    with pytest.raises(InputError, match="a share goes with"):
        split("leave-one-out", [source], target, 0.5)


def test_ids_that_are_not_shared_make_nobody_the_same_person(both):
    rows = pd.DataFrame({"user": [1, 2, 3], "item": [1, 2, 3]})
    one, other = (ratings_domain(rows, name=name, shared="none") for name in ("game", "video"))
    assert len(shared_users([one], other)) == 0
