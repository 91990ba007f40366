"""What each learned row is worth to nearest neighbours: exact Shapley values in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.domain import Task
from headstart.errors import InputError

#: Distances that differ by less than this share of the largest are the same.
ROUNDING = 1e-10


def knn_shapley(X: Any, y: Any, Xq: Any, yq: Any, k: int = 5, task: Task = "classification") -> np.ndarray:
    r"""Return the Shapley value of each learned row for each row asked about, under k nearest neighbours.

    The value of a set of rows S for a row (x, y) is, with the neighbours of x in S taken from the nearest on,

    .. math:: v(S) = \frac{1}{k} \sum_{j \le \min(k, |S|)} (1[y_{(j)} = y] - p_y) + p_y, \qquad
              v(S) = -\Bigl(\frac{1}{k} \sum_{j \le \min(k, |S|)} (y_{(j)} - \bar y) - (y - \bar y)\Bigr)^2

    for classes and for quantities. With less than k rows the places that are left hold what is said when nothing is
    learned: each class with its share :math:`p` among all learned rows, or their mean label :math:`\bar y`. The Shapley
    value is the mean, over all orders in which the rows could come, of what a row adds when it comes. For classes, with
    rows sorted by distance and :math:`m_i = 1[y_i = y] - p_y`,

    .. math:: s_n = \frac{\min(k, n)}{n k} m_n, \qquad
              s_i = s_{i+1} + \frac{m_i - m_{i+1}}{k} \, \frac{\min(k, i)}{i}

    The paper gives empty places no hit (p = 0); then a row is worth something for being there, and rows with a wrong
    label seldom come out below zero.

    Rows at the same distance stand for their order at random: their values are the mean over it, so the order in which
    rows are given makes no difference. For quantities such rows are sorted by label.

    Parameters
    ----------
    X, y : arrays of shape (n, d) and (n,)
        Learned rows and their labels.
    Xq, yq : arrays of shape (m, d) and (m,)
        Rows asked about and their labels.
    k : int
    task : {"classification", "regression"}

    Returns
    -------
    array of shape (m, n)
        Its rows sum to v(all) - v(none).

    Raises
    ------
    InputError
        When there is no row, or k is less than 1.

    References
    ----------
    Jia, Dao, Wang, Hubis, Gurel, Li, Zhang, Spanos, Song: Efficient Task-Specific Data Valuation for Nearest Neighbor
    Algorithms. PVLDB 12(11), 2019.

    Examples
    --------
    >>> knn_shapley(np.array([[0.0], [1.0]]), np.array(["a", "b"]), np.array([[0.2]]), np.array(["a"]), k=1)
    array([[ 0.75, -0.25]])
    """
    from sklearn.metrics.pairwise import euclidean_distances

    if k < 1 or not X.shape[0] or not Xq.shape[0]:
        raise InputError(f"values of {X.shape[0]} rows for {Xq.shape[0]} rows with k = {k}: none may be zero")
    y, yq = np.asarray(y), np.asarray(yq)
    values = np.empty((Xq.shape[0], X.shape[0]))
    distances = euclidean_distances(Xq, X)
    if task == "regression":
        y, yq = y.astype(float) - y.astype(float).mean(), yq.astype(float) - y.astype(float).mean()
    for at, (distance, asked) in enumerate(zip(distances, yq, strict=True)):
        if task == "regression":
            values[at] = _quantities(_snapped(distance), y, asked, k)
        else:
            values[at] = _classes(_snapped(distance), (y == asked) - np.mean(y == asked), k)
    return values


def _snapped(distance: np.ndarray) -> np.ndarray:
    """Return the rank of each distance, the same where they differ by rounding only."""
    order = np.argsort(distance, kind="stable")
    ranks = np.empty(len(order), dtype=int)
    steps = np.diff(distance[order]) > ROUNDING * max(float(distance.max()), np.finfo(float).tiny)
    ranks[order] = np.concatenate([[0], np.cumsum(steps)])
    return ranks


def _classes(rank: np.ndarray, m: np.ndarray, k: int) -> np.ndarray:
    """Return the values for one row; those of rows at one distance are the mean over their order.

    In the recursion s_p = m_p c_p - sum_{q > p} m_q (c_{q-1} - c_q), with c_i = min(k, i) / (i k), which is linear in
    m. So a row's mean value follows from its own m and, for each place behind, the mean m there.
    """
    n = len(rank)
    order = np.argsort(rank, kind="stable")
    m = m[order]
    i = np.arange(1, n + 1)
    c = np.minimum(k, i) / (i * k)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(rank[order]) > 0]))
    size = np.diff(np.append(starts, n))
    group = np.repeat(np.arange(len(starts)), size)
    count, mean_c = np.add.reduceat(m, starts), np.add.reduceat(c, starts) / size
    last = starts + size - 1
    falls = np.concatenate([[0.0], c[:-1] - c[1:]])
    behind = np.append(np.cumsum(((count / size)[group] * falls)[::-1])[::-1], 0.0)[last + 1]
    others = (count[group] - m) / np.maximum(size - 1, 1)[group]
    found = m * mean_c[group] - behind[group] - others * (mean_c - c[last])[group]
    values = np.empty(n)
    values[order] = found
    return values


def _quantities(rank: np.ndarray, y: np.ndarray, asked: float, k: int) -> np.ndarray:
    """Return the values for one row of a quantity (Jia et al. 2019, theorem 6)."""
    n = len(rank)
    order = np.lexsort((y, rank))
    t = y[order]
    values = np.empty(n)
    # The farthest row counts where fewer than k come before it: it may be the first, second, ... `few`-th to come.
    few = min(k, n)
    before = few * (few - 1) / 2 * (t.sum() - t[-1]) / max(n - 1, 1)
    last = -t[-1] / k * (few * (t[-1] / k - 2 * asked) + 2 * before / k) / n
    i = np.arange(1, n)
    if n == 1:
        return np.array([last])
    # What the other rows that count bring to a sum, given that one of places i and i + 1 counts too.
    ahead = np.concatenate([[0.0], np.cumsum(t)])[:-2] * np.minimum(k - 1, i - 1) / np.maximum(i - 1, 1)
    later = np.arange(3, n + 1)
    share = np.minimum(k, later - 1) * np.minimum(k - 1, later - 2) / ((later - 1) * (later - 2))
    beyond = np.concatenate([np.cumsum((share * t[2:])[::-1])[::-1], [0.0]]) * i / np.minimum(k, i)
    pair = t[:-1] + t[1:]
    steps = (t[1:] - t[:-1]) / k * np.minimum(k, i) / i * ((pair + ahead + beyond) / k - 2 * asked)
    found = np.append(last + np.cumsum(steps[::-1])[::-1], last)
    values[order] = found
    return values
