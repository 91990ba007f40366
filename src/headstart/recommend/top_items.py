"""The best k of many items for many users, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from headstart.recommend.scorers import products

#: Scores that are held at a time: few enough to stay in the processor's cache.
BLOCK = 1 << 20
#: Users of a block, items whose largest score is looked at first.
USERS, CHUNK = 256, 64


def top_items(
    queries: Any, item_vectors: Any, item_bias: np.ndarray, k: int, left_out: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best items of each query and their scores, best first; of equal ones the first item.

    Scores are made block by block, and only chunks of items whose largest score beats the k-th best so far are looked
    into: most of the work is the product.

    Parameters
    ----------
    queries : array, csr_matrix or Beside, of shape (n, d)
    item_vectors : array, csr_matrix or Beside, of shape (m, d)
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
    items, scores = np.full((n, k), -1), np.full((n, k), np.nan)
    kept = min(k, m)
    bias = item_bias[:, None] if item_bias.any() else None
    for start in range(0, n if kept else 0, USERS):
        users = slice(start, min(start + USERS, n))
        # To take all rows of a sparse matrix is not free.
        q, out = (queries, left_out) if n <= USERS else (queries[users], None if left_out is None else left_out[users])
        best = _best_of(q, item_vectors, bias, kept, out)
        fine = np.isfinite(best.scores)
        items[users, :kept] = np.where(fine, best.items, -1)
        scores[users, :kept] = np.where(fine, best.scores, np.nan)
    return items, scores


@dataclass(frozen=True, eq=False)
class Best:
    """The best so far of each user, shape (n, k), best first."""

    items: np.ndarray
    scores: np.ndarray

    def take(self, users: np.ndarray, items: np.ndarray, scores: np.ndarray) -> None:
        """Let new items in, each of a user; those of one user in the order of the items."""
        k = self.items.shape[1]
        some, at = np.unique(users, return_inverse=True)
        of = np.concatenate([np.repeat(np.arange(len(some)), k), at])
        items = np.concatenate([self.items[some].ravel(), items])
        scores = np.concatenate([self.scores[some].ravel(), scores])
        # Stable: what was there before stands before later items of the same score.
        order = np.lexsort((-scores, of))
        counts = np.bincount(of, minlength=len(some))
        chosen = order[(np.cumsum(counts) - counts)[:, None] + np.arange(k)]
        self.items[some], self.scores[some] = items[chosen], scores[chosen]


def _best_of(queries: Any, item_vectors: Any, bias: np.ndarray | None, k: int, left_out: csr_matrix | None) -> Best:
    """Return the k best items of a block of users."""
    n, m = queries.shape[0], item_vectors.shape[0]
    best = Best(np.full((n, k), -1), np.full((n, k), -np.inf, dtype=np.float32))
    step = max(CHUNK, BLOCK // n // CHUNK * CHUNK)
    out_users, out_items = (np.zeros(0, dtype=int),) * 2 if left_out is None else left_out.nonzero()
    if len(out_items):
        by_item = np.argsort(out_items, kind="stable")
        out_users, out_items = out_users[by_item], out_items[by_item]
    for start in range(0, m, step):
        stop = min(start + step, m)
        S = products(item_vectors[start:stop], queries, 0.0 if bias is None else bias[start:stop])
        here = slice(*np.searchsorted(out_items, [start, stop]))
        S[out_items[here] - start, out_users[here]] = -np.inf
        largest = _largest(S)
        if np.isnan(largest).any():
            S[np.isnan(S)] = -np.inf
            largest = _largest(S)
        least = best.scores[:, -1]
        if start == 0 and len(largest) >= k:
            # k chunks hold an item as good as the k-th largest of their best ones.
            least = np.nextafter(np.partition(largest, len(largest) - k, axis=0)[len(largest) - k], np.float32(-np.inf))
        best.take(*_better(S, largest, least, start))
    return best


def _largest(S: np.ndarray) -> np.ndarray:
    """Return the largest score of each chunk of items, shape (chunks, n), of scores of shape (items, n)."""
    whole = len(S) // CHUNK * CHUNK
    found = S[:whole].reshape(-1, CHUNK, S.shape[1]).max(axis=1)
    return found if whole == len(S) else np.vstack([found, S[whole:].max(axis=0)])


def _better(S: np.ndarray, largest: np.ndarray, least: np.ndarray, start: int) -> tuple[np.ndarray, ...]:
    """Return users, items and scores above each user's least, those of one user in the order of the items."""
    users, chunks = np.nonzero((largest > least).T)
    rows = chunks[:, None] * CHUNK + np.arange(CHUNK)
    scores = S[rows.clip(max=len(S) - 1), users[:, None]]
    pair, place = np.nonzero((scores > least[users, None]) & (rows < len(S)))
    return users[pair], start + rows[pair, place], scores[pair, place]
