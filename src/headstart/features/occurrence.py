"""Where features occur, and what that says about classes and domains: for the methods that come from text.

A feature is *on* in a row where it lies above its mean, the mean of both domains' means. A word that a row has or has
not is on where it occurs, as in the papers; for measured columns the same rule splits low from high. A column whose
mean is below zero is on where it lies below, so that the zeros of sparse rows are always off; what is off and what is
on makes no difference to the methods here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import rel_entr

from headstart.domain import known_labels, missing, task_of
from headstart.features.moments import column_means, mean_squares

#: How far above its mean, as a share of its root mean square, a feature must lie to be on: rounding does not decide.
MARGIN = 1e-6
#: Groups of equal size into which the labels of a regression are cut.
LABEL_GROUPS = 4


def occurrences(Xs: Any, Xt: Any) -> tuple[csr_matrix, csr_matrix]:
    """Return where each feature is on in source and target rows, as sparse matrices of ones (n_s, d) and (n_t, d).

    >>> here, there = occurrences(np.array([[0.0, 3.0], [1.0, 3.0]]), np.array([[1.0, 3.0]]))
    >>> here.toarray().tolist(), there.toarray().tolist()
    ([[0.0, 0.0], [1.0, 0.0]], [[1.0, 0.0]])
    """
    mean = (column_means(Xs) + column_means(Xt)) / 2
    margin = MARGIN * np.sqrt((mean_squares(Xs) + mean_squares(Xt)) / 2)
    sign = np.where(mean < -margin, -1.0, 1.0)
    level = np.abs(mean) + margin
    return _above(Xs, sign, level), _above(Xt, sign, level)


def _above(X: Any, sign: np.ndarray, level: np.ndarray) -> csr_matrix:
    if isinstance(X, np.ndarray):
        return csr_matrix(sign * X > level).astype(np.float64)
    on = X.tocsr(copy=True)
    on.sum_duplicates()
    high = sign[on.indices] * on.data > level[on.indices]
    on = csr_matrix((high.astype(np.float64), on.indices, on.indptr), shape=on.shape)
    on.eliminate_zeros()
    return on


def counts(on: Any) -> np.ndarray:
    """Return in how many rows each feature is on, shape (d,)."""
    return np.asarray(on.sum(axis=0)).ravel()


def label_groups(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which labels are known, a mask of shape (n,), and the group of each of those, numbered from 0.

    Classes are the groups; the labels of a regression are cut into four groups of equal size.

    >>> label_groups(np.array([0.5, 9.5, np.nan, 2.5, 3.5]))
    (array([ True,  True, False,  True,  True]), array([0, 3, 1, 2]))
    """
    known, labels = ~missing(y), known_labels(y, classes=True)
    if len(labels) and task_of(labels) == "regression":
        cuts = np.quantile(labels, np.arange(1, LABEL_GROUPS) / LABEL_GROUPS)
        return known, np.searchsorted(cuts, labels)
    return known, np.unique(labels, return_inverse=True)[1]


def counts_by_group(on: csr_matrix, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return in how many rows of each group each feature is on, shape (k, d), and the groups' sizes, shape (k,)."""
    size = np.bincount(group)
    members = csr_matrix((np.ones(len(group)), (group, np.arange(len(group)))), shape=(len(size), len(group)))
    return (members @ on).toarray(), size


def mutual_information(on: np.ndarray, size: np.ndarray) -> np.ndarray:
    r"""Return what being on says about the group, in nats, shape (d,).

    .. math:: I = \sum_{v, g} p(v, g) \log \frac{p(v, g)}{p(v)\, p(g)}

    Parameters
    ----------
    on : array of shape (k, d)
        In how many rows of each group each feature is on.
    size : array of shape (k,)
        Rows of each group.

    Examples
    --------
    >>> mutual_information(np.array([[2, 1], [0, 1]]), np.array([2, 2])).round(3)
    array([0.693, 0.   ])
    """
    n, of_group = size.sum(), size[:, None] / size.sum()
    return np.asarray(
        sum(rel_entr(joint / n, joint.sum(axis=0) / n * of_group).sum(axis=0) for joint in (on, size[:, None] - on))
    )
