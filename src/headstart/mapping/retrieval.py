"""Retrieval: the target rows that belong to a query, by cosine or by cross-domain similarity local scaling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from headstart.errors import InputError, unknown_name
from headstart.inputs import rows_of_both

METHODS = ("csls", "cosine")
#: Queries and targets whose similarities are held at once.
QUERY_BLOCK = 1024
TARGET_BLOCK = 4096


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Return the rows with length 1, shape (n, d); a row of zeros stays one.

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    # By the largest entry first: the square of a large or a tiny one is no number of its type.
    largest = np.abs(X).max(axis=1, keepdims=True)
    X = X / np.where(largest > 0, largest, 1)
    length = np.sqrt(np.einsum("ij,ij->i", X, X))[:, None]
    X /= np.where(length > 0, length, 1)
    return X


def local_similarity(X: Any, others: Any, n_neighbors: int = 10) -> np.ndarray:
    r"""Return how near each row is to its nearest rows of the other side, shape (n,): large for a hub.

    .. math:: r(x) = \frac{1}{k} \sum_{y \in N_k(x)} \cos(x, y)

    Parameters
    ----------
    X, others : arrays of shape (n, d) and (m, d)
    n_neighbors : int
        k; all rows of the other side, where it has no more.

    Raises
    ------
    InputError
        When rows do not suit, or `n_neighbors` is less than 1.

    Examples
    --------
    >>> local_similarity(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), 2)
    array([0.5])
    """
    X, others = rows_of_both(X, others, "local_similarity", dense=True)
    return _density(unit_rows(X), unit_rows(others), n_neighbors)


def nearest_targets(
    queries: Any,
    targets: Any,
    k: int = 10,
    method: str = "csls",
    n_neighbors: int = 10,
    *,
    target_density: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the targets that are nearest to each query, and their scores, both of shape (n, k), best first.

    The score is the cosine, or

    .. math:: CSLS(q, t) = 2\cos(q, t) - r(q) - r(t)

    with r of `local_similarity`, which takes from hubs, the targets that are near to very many queries, what they have
    too much (Conneau, Lample, Ranzato, Denoyer, Jegou: Word Translation Without Parallel Data. ICLR 2018). Similarities
    are computed block by block, in float32 where both sides are. Of equal scores the first target comes first.

    Parameters
    ----------
    queries, targets : arrays of shape (n, d) and (m, d)
        In one space: map the queries first.
    k : int
    method : {"csls", "cosine"}
    n_neighbors : int
        Neighbors of the local scaling.
    target_density : array of shape (m,), optional
        r of the targets, from `local_similarity(targets, all mapped rows)`; by default from the queries alone, which
        says little when they are few.

    Raises
    ------
    InputError
        When rows or settings do not suit.

    Examples
    --------
    The third target is near to all queries, and by cosine the answer to two of them.

    >>> queries = np.array([[1.0, 0.0, 0.1], [0.0, 1.0, 0.1], [0.1, 0.1, 1.0]])
    >>> targets = np.array([[1.0, -0.9, 0.0], [-0.9, 1.0, 0.0], [0.7, 0.7, 0.7]])
    >>> nearest_targets(queries, targets, k=1, method="cosine")[0].ravel()
    array([0, 1, 2])
    >>> indices, scores = nearest_targets(queries, targets, k=3, n_neighbors=2)
    >>> indices[2], bool((np.diff(scores) <= 0).all())
    (array([2, 0, 1]), True)
    """
    Q, T = rows_of_both(queries, targets, "nearest_targets", dense=True)
    if method not in METHODS:
        raise InputError(unknown_name("method", method, METHODS))
    if not 1 <= k <= len(T):
        raise InputError(f"nearest_targets: k must be from 1 to the {len(T)} targets, not {k}")
    Q, T = unit_rows(Q), unit_rows(T)
    if method == "cosine":
        return _largest(Q, T, k, None, None)
    if target_density is None:
        target_density = _density(T, Q, n_neighbors)
    elif np.shape(target_density) != (len(T),):
        raise InputError(f"nearest_targets: target_density must have shape ({len(T)},), not {np.shape(target_density)}")
    return _largest(Q, T, k, _density(Q, T, n_neighbors), np.asarray(target_density, dtype=Q.dtype))


def best_matches(A: Any, B: Any, n_neighbors: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what each row of A, and each of B, is nearest to by CSLS, and how well they all match.

    Parameters
    ----------
    A, B : arrays of shape (n, d) and (m, d)
        In one space.
    n_neighbors : int

    Returns
    -------
    to_B : int array of shape (n,)
    to_A : int array of shape (m,)
    scores : array of shape (n + m,)
        CSLS of both, one after the other.
    """
    A, B = rows_of_both(A, B, "best_matches", dense=True)
    A, B = unit_rows(A), unit_rows(B)
    r_A, r_B = _density(A, B, n_neighbors), _density(B, A, n_neighbors)
    to_B, forward = _largest(A, B, 1, r_A, r_B)
    to_A, backward = _largest(B, A, 1, r_B, r_A)
    return to_B[:, 0], to_A[:, 0], np.concatenate([forward[:, 0], backward[:, 0]])


def mutual_neighbors(A: Any, B: Any, n_neighbors: int = 10) -> np.ndarray:
    """Return the pairs of rows that are each other's nearest by CSLS, shape (p, 2), in the order of A.

    Parameters
    ----------
    A, B : arrays of shape (n, d) and (m, d)
        In one space.
    n_neighbors : int

    Examples
    --------
    >>> mutual_neighbors(np.array([[1.0, 0.1], [0.1, 1.0]]), np.array([[0.0, 1.0], [-1.0, 0.0], [1.0, 0.0]]))
    array([[0, 2],
           [1, 0]])
    """
    to_B, to_A, _ = best_matches(A, B, n_neighbors)
    return mutual(to_B, to_A)


def mutual(to_B: np.ndarray, to_A: np.ndarray) -> np.ndarray:
    """Return the pairs (i, j) with to_B[i] = j and to_A[j] = i, shape (p, 2)."""
    rows = np.flatnonzero(to_A[to_B] == np.arange(len(to_B)))
    return np.column_stack([rows, to_B[rows]])


def precision_at(indices: Any, truth: Any, k: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """Return the share of queries with a right target among their first k, for each k.

    Parameters
    ----------
    indices : int array of shape (n, at least the largest k)
        Targets of each query, best first.
    truth : sequence of length n, or mapping
        The right target of each query, or several of them (a list or set); or a mapping from a query's position to
        them. A query without a right target is not counted.
    k : sequence of int

    Raises
    ------
    InputError
        When no query has a right target, a position is not there, or `indices` has fewer columns than k.

    Examples
    --------
    >>> precision_at([[4, 2], [0, 1], [7, 3]], [[2, 9], 0, 5], k=(1, 2))
    {1: 0.3333333333333333, 2: 0.6666666666666666}
    """
    indices = np.asarray(indices)
    if indices.ndim != 2 or not len(k) or not 1 <= min(k) <= max(k) <= indices.shape[1]:
        raise InputError(f"precision_at: indices must have as many columns as the largest k, not shape {indices.shape}")
    if not isinstance(truth, Mapping):
        if len(truth) != len(indices):
            raise InputError(f"precision_at: {len(indices)} queries but {len(truth)} right targets")
        truth = dict(enumerate(truth))
    right = {query: set(targets if isinstance(targets, Iterable) else [targets]) for query, targets in truth.items()}
    known = [query for query, targets in right.items() if targets]
    if not known:
        raise InputError("precision_at: no query has a right target; give some")
    if min(known) < 0 or max(known) >= len(indices):
        raise InputError(f"precision_at: truth names queries beyond the {len(indices)} that indices has")
    hits = np.array([[target in right[query] for target in indices[query].tolist()] for query in known])
    return {wanted: float(hits[:, :wanted].any(axis=1).mean()) for wanted in k}


def _density(X: np.ndarray, others: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Return the mean cosine of unit rows to their nearest others, shape (n,)."""
    if n_neighbors < 1:
        raise InputError(f"n_neighbors must be 1 or more, not {n_neighbors}")
    k = min(n_neighbors, len(others))
    r = np.empty(len(X), dtype=X.dtype)
    for i in range(0, len(X), QUERY_BLOCK):
        block = X[i : i + QUERY_BLOCK]
        most = np.empty((len(block), 0), dtype=X.dtype)
        for j in range(0, len(others), TARGET_BLOCK):
            most = np.hstack([most, top(block @ others[j : j + TARGET_BLOCK].T, k)])
            most = top(most, k)
        r[i : i + QUERY_BLOCK] = most.mean(axis=1)
    return r


def top(S: np.ndarray, k: int) -> np.ndarray:
    """Return the k largest entries of each row, in no order; all, where there are no more."""
    return S if k >= S.shape[1] else np.partition(S, S.shape[1] - k, axis=1)[:, -k:]


def _largest(
    Q: np.ndarray, T: np.ndarray, k: int, r_Q: np.ndarray | None, r_T: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k targets with the largest cosine, or CSLS where densities are given, and the scores."""
    indices, scores = np.empty((len(Q), k), dtype=np.intp), np.empty((len(Q), k), dtype=Q.dtype)
    for i in range(0, len(Q), QUERY_BLOCK):
        block = slice(i, i + QUERY_BLOCK)
        best = np.empty((len(Q[block]), 0), dtype=Q.dtype)
        where = np.empty(best.shape, dtype=np.intp)
        for j in range(0, len(T), TARGET_BLOCK):
            S = Q[block] @ T[j : j + TARGET_BLOCK].T
            if r_T is not None:
                S *= 2
                S -= r_T[j : j + TARGET_BLOCK]
            found = _places_of_largest(S, k)
            best = np.hstack([best, np.take_along_axis(S, found, axis=1)])
            where = np.hstack([where, found + j])
            if best.shape[1] > k:
                best, where = _first(best, where, k)
        indices[block], scores[block] = _first(best, where, k)[::-1]
    if r_Q is not None:
        scores -= r_Q[:, None]
    return indices, scores


def _places_of_largest(S: np.ndarray, k: int) -> np.ndarray:
    if k == 1:
        return S.argmax(axis=1)[:, None]
    if k >= S.shape[1]:
        return np.broadcast_to(np.arange(S.shape[1]), S.shape)
    return np.argpartition(S, S.shape[1] - k, axis=1)[:, -k:]


def _first(best: np.ndarray, where: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((where, -best), axis=1)[:, :k]
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(where, order, axis=1)
