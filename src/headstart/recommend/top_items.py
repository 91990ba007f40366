"""The best k of many items for many users, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.recommend.scorers import products

#: Scores that are held at a time.
BLOCK = 1 << 24


def top_items(
    queries: Any, item_vectors: Any, item_bias: np.ndarray, k: int, left_out: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best items of each query and their scores, best first; of equal ones the first item.

    Parameters
    ----------
    queries : array or csr_matrix of shape (n, d)
    item_vectors : array or csr_matrix of shape (m, d)
    item_bias : array of shape (m,)
    k : int
    left_out : csr_matrix of shape (n, m), optional
        Items that are not to come, where it is not zero.

    Returns
    -------
    items : int array of shape (n, k), -1 where there are no more
    scores : float array of shape (n, k), NaN there

    Examples
    --------
    >>> top_items(np.eye(2), np.array([[1.0, 0.0], [3.0, 1.0], [2.0, 5.0]]), np.zeros(3), 2)[0]
    array([[1, 2],
           [2, 1]])
    """
    n, m = queries.shape[0], item_vectors.shape[0]
    step = max(1, BLOCK // max(m, 1))
    items, scores = np.full((n, k), -1), np.full((n, k), np.nan)
    for start in range(0, n, step):
        block = slice(start, min(start + step, n))
        S = products(queries[block], item_vectors, item_bias)
        if left_out is not None:
            rows, columns = left_out[block].nonzero()
            S[rows, columns] = -np.inf
        best = (
            np.argpartition(-S, min(k, m) - 1, axis=1)[:, : min(k, m)] if k < m else np.tile(np.arange(m), (len(S), 1))
        )
        found = np.take_along_axis(S, best, axis=1)
        order = np.lexsort((best, -found), axis=1)[:, :k]
        best, found = np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1)
        fine = np.isfinite(found)
        items[block, : best.shape[1]] = np.where(fine, best, -1)
        scores[block, : best.shape[1]] = np.where(fine, found, np.nan)
    return items, scores
