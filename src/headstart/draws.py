"""Draws that don't depend on the order of the rows: samples and folds.

Rows are first put into an order of their own, by their contents; chance then acts on that order. So shuffled rows
are drawn alike, which the common checks ask of every method.
"""

from typing import Any

import numpy as np


def canonical_order(X: Any, labels: np.ndarray | None = None) -> np.ndarray:
    """Return the positions that put rows into an order of their own, shape (n,).

    Rows, dense or sparse, are sorted by a fixed random projection, within each label where labels are given. Equal
    rows keep their order; which of them comes first makes no difference.

    >>> X = np.array([[3.0], [1.0], [2.0]])
    >>> X[canonical_order(X)].ravel(), X[::-1][canonical_order(X[::-1])].ravel()
    (array([1., 2., 3.]), array([1., 2., 3.]))
    """
    axis = np.random.default_rng(0).normal(size=X.shape[1])
    keys = np.einsum("ij,j->i", X, axis) if isinstance(X, np.ndarray) else X @ axis
    return np.lexsort((keys,) if labels is None else (keys, labels))


def pick(X: Any, most: int, random_state: Any) -> np.ndarray:
    """Return the positions of `most` rows drawn without replacement (all of them, if there are no more)."""
    order = canonical_order(X)
    if len(order) <= most:
        return order
    return order[np.sort(np.random.default_rng(random_state).choice(len(order), most, replace=False))]


def folds(X: Any, k: int, random_state: Any, labels: np.ndarray | None = None) -> np.ndarray:
    """Return the fold (0 ... k - 1) of each row, shape (n,); labels, where given, are dealt out evenly.

    With fewer rows than folds, every row is a fold of its own.

    >>> folds(np.array([[0.0], [1.0], [2.0], [3.0]]), 2, 0, labels=np.array([0, 0, 1, 1])).tolist()
    [0, 1, 0, 1]
    """
    rng = np.random.default_rng(random_state)
    order = canonical_order(X)[rng.permutation(X.shape[0])]
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    of_row = np.empty(len(order), dtype=int)
    of_row[order] = np.arange(len(order)) % min(k, len(order))
    return of_row
