"""What a recommender is worth to each user: ranks of held-out items into MRR, hits and NDCG; ratings into errors."""

from __future__ import annotations

import numpy as np

from headstart.domain import Domain
from headstart.recommend.histories import find_ids
from headstart.recommend.ratings import ratings_of
from headstart.recommend.recommender import USERS_AT_A_TIME, Recommender

#: Metrics of which less is better.
LOSSES = ("MAE", "RMSE")


def ranks_among_unseen(recommender: Recommender, test: Domain) -> np.ndarray:
    """Return the rank of each held-out item among all items that its user has not met, shape (n,); 1 is the best.

    Left out are the items that the user was trained on, and the user's other held-out items: each is ranked as if it
    were the only one to come. Items of equal score share their mean rank, so that a recommender that can't decide is
    not flattered. An item that training knows nothing of has the rank infinity: it is never found.

    Parameters
    ----------
    recommender : Recommender
        Fitted on the training rows.
    test : Domain
        Held-out rows of the recommender's target.
    """
    rows = ratings_of(test, "ranks_among_unseen")
    ranks = recommender.ranks(rows).astype(float)
    ranks[find_ids(recommender.items, rows.items) < 0] = np.inf
    _, user = np.unique(rows.users, return_inverse=True)
    order = np.lexsort((ranks, user))
    of_user, r = user[order], ranks[order]
    place = np.arange(len(r))
    # The positions, in order, at which a user begins, and a run of equal ranks begins and ends.
    user_begins = np.append(True, of_user[1:] != of_user[:-1])
    run_begins = user_begins | np.append(True, r[1:] != r[:-1])
    first = np.maximum.accumulate(np.where(user_begins, place, 0))
    start = np.maximum.accumulate(np.where(run_begins, place, 0))
    length = np.bincount(np.cumsum(run_begins) - 1)[np.cumsum(run_begins) - 1]
    better, equal = start - first, length - 1
    found = np.empty(len(r))
    found[order] = r - better - equal / 2
    return found


def draw_negatives(recommender: Recommender, test: Domain, n: int, random_state: int) -> np.ndarray:
    """Return n random items for each test user that the user neither was trained on nor holds out, shape (users, n).

    Positions among the recommender's items, by user id; -1 where there are fewer such items.
    """
    rows = ratings_of(test, "draw_negatives")
    users, at = np.unique(rows.users, return_inverse=True)
    m = len(recommender.items)
    column = find_ids(recommender.items, rows.items)
    histories = recommender.histories
    part, place = histories.part(histories.target), histories.positions(users)
    rng = np.random.default_rng(random_state)
    order = np.argsort(at, kind="stable")
    held = np.split(column[order], np.flatnonzero(np.diff(at[order])) + 1)
    drawn = np.full((len(users), min(n, m)), -1, dtype=np.int32)
    for user in range(len(users)):
        free = np.ones(m, dtype=bool)
        free[held[user][held[user] >= 0]] = False
        if place[user] >= 0:
            free[part.indices[part.indptr[place[user]] : part.indptr[place[user] + 1]]] = False
        there = np.flatnonzero(free)
        found = rng.choice(there, size=min(n, len(there)), replace=False)
        drawn[user, : len(found)] = found
    return drawn


def ranks_among(recommender: Recommender, test: Domain, negatives: np.ndarray) -> np.ndarray:
    """Return the rank of each held-out item among drawn items of its user only, shape (n,)."""
    rows = ratings_of(test, "ranks_among")
    users, at = np.unique(rows.users, return_inverse=True)
    column = find_ids(recommender.items, rows.items)
    found = np.full(len(rows), np.inf)
    order = np.argsort(at, kind="stable")
    for start in range(0, len(users), USERS_AT_A_TIME):
        block = users[start : start + USERS_AT_A_TIME]
        S = recommender.scores(block)
        drawn = negatives[start : start + len(block)]
        against = np.where(drawn < 0, -np.inf, np.take_along_axis(S, drawn.clip(0), axis=1))
        low, high = np.searchsorted(at[order], [start, start + len(block)])
        row = order[low:high]
        known = row[column[row] >= 0]
        own = S[at[known] - start, column[known]][:, None]
        others = against[at[known] - start]
        found[known] = 1 + (others > own).sum(axis=1) + (others == own).sum(axis=1) / 2
    return found


def ranking_scores(ranks: np.ndarray, user: np.ndarray, k: int) -> dict[str, np.ndarray]:
    r"""Return each user's mean over the held-out items, by metric; each array is of shape (users,).

    .. math:: \mathrm{MRR} = 1/r, \quad \mathrm{HR@k} = [r \le k], \quad \mathrm{NDCG@k} = [r \le k] / \log_2(1 + r)

    Parameters
    ----------
    ranks : array of shape (n,)
        r.
    user : int array of shape (n,)
        From 0 on, each there.
    k : int

    Examples
    --------
    >>> scores = ranking_scores(np.array([1.0, 3.0, 20.0]), np.array([0, 0, 1]), k=10)
    >>> {name: values.round(3).tolist() for name, values in scores.items()}
    {'NDCG@10': [0.75, 0.0], 'HR@10': [1.0, 0.0], 'MRR': [0.667, 0.05]}
    """
    hit = ranks <= k
    of_row = {f"NDCG@{k}": hit / np.log2(1 + ranks), f"HR@{k}": hit.astype(float), "MRR": 1 / ranks}
    return {name: mean_by(user, values) for name, values in of_row.items()}


def rating_scores(predicted: np.ndarray, ratings: np.ndarray, user: np.ndarray) -> dict[str, np.ndarray]:
    """Return each user's mean absolute error, and mean *squared* error under RMSE, whose root is taken over users.

    Examples
    --------
    >>> scores = rating_scores(np.array([3.0, 4.0]), np.array([5.0, 4.0]), np.array([0, 0]))
    >>> {name: values.tolist() for name, values in scores.items()}
    {'MAE': [1.0], 'RMSE': [2.0]}
    """
    error = np.asarray(predicted, dtype=float) - ratings
    return {"MAE": mean_by(user, np.abs(error)), "RMSE": mean_by(user, error**2)}


def mean_by(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean of the values of each group, numbered from 0."""
    return np.asarray(np.bincount(group, values) / np.bincount(group))
