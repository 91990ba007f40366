"""Matching on sparse matrices: the nearest rows block by block, Sinkhorn's scaling, and pairs out of the plan."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, hstack, identity

#: Entries of a block that is dense for a while: 64 MiB of float32.
BLOCK = 2**24


def nearest(S: np.ndarray, T: np.ndarray, k: int, block: int = BLOCK) -> csr_matrix:
    """Return the inner products of each row with the k rows of the other side that are nearest, shape (n_s, n_t).

    Rows of zeros have none. Never more than `block` products (or one row of them) are held at once.
    """
    n_s, n_t = len(S), len(T)
    if not n_s or not n_t:
        return csr_matrix((n_s, n_t), dtype=np.float32)
    k = min(k, n_t)
    columns, values = np.empty((n_s, k), dtype=np.int32), np.empty((n_s, k), dtype=np.float32)
    height = max(1, block // n_t)
    for start in range(0, n_s, height):
        rows = slice(start, start + height)
        products = S[rows] @ T.T
        if k < n_t:
            columns[rows] = np.sort(np.argpartition(products, n_t - k, axis=1)[:, n_t - k :], axis=1)
        else:
            columns[rows] = np.arange(n_t)
        values[rows] = np.take_along_axis(products, columns[rows], axis=1)
    values[~S.any(axis=1)] = 0
    values[np.isin(columns, np.flatnonzero(~T.any(axis=1)))] = 0
    found = csr_matrix((values.ravel(), columns.ravel(), np.arange(0, n_s * k + 1, k)), shape=(n_s, n_t))
    found.eliminate_zeros()
    return found


def sinkhorn(similarity: csr_matrix, temperature: float, n_iter: int) -> csr_matrix:
    r"""Return the plan :math:`u_i e^{s_{ij} / \tau} v_j`, by turns with rows and with columns that sum to one.

    Entries that are not there have no mass. Columns come last.

    Parameters
    ----------
    similarity : CSR matrix of shape (n_s, n_t)
    temperature : float
        tau.
    n_iter : int

    References
    ----------
    Cuturi. Sinkhorn distances: lightspeed computation of optimal transport. NeurIPS 2013.

    Examples
    --------
    >>> plan = sinkhorn(csr_matrix([[0.9, 0.8], [0.9, 0.1]]), 0.02, 20)
    >>> plan.toarray().round(1)
    array([[0., 1.],
           [1., 0.]])
    """
    rows = row_of_entries(similarity)
    values = similarity.data.astype(float)
    largest = np.full(similarity.shape[0], -np.inf)
    np.maximum.at(largest, rows, values)
    kernel = csr_matrix(
        (np.exp((values - largest[rows]) / temperature), similarity.indices, similarity.indptr), shape=similarity.shape
    )
    u, v = np.ones(kernel.shape[0]), np.ones(kernel.shape[1])
    for _ in range(n_iter):
        u = _inverse(kernel @ v)
        v = _inverse(kernel.T @ u)
    return csr_matrix((u[rows] * kernel.data * v[kernel.indices], kernel.indices, kernel.indptr), shape=kernel.shape)


def _inverse(x: np.ndarray) -> np.ndarray:
    return np.divide(1.0, x, out=np.zeros_like(x), where=x > 0)


def confidences(plan: csr_matrix) -> csr_matrix:
    """Return the smaller of an entry's shares in its row and in its column: 1 for two that have only each other."""
    of_row, of_column = (np.asarray(plan.sum(axis=axis)).ravel() for axis in (1, 0))
    most = np.maximum(of_row[row_of_entries(plan)], of_column[plan.indices])
    return csr_matrix((plan.data * _inverse(most), plan.indices, plan.indptr), shape=plan.shape)


def row_of_entries(matrix: csr_matrix) -> np.ndarray:
    """Return the row of each stored entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def largest_of_rows(matrix: csr_matrix, k: int, least: float = 0.0) -> csr_matrix:
    """Return the k largest entries of each row, and of those the ones that are larger than `least`."""
    keep = matrix.data > least
    for row in np.flatnonzero(np.diff(matrix.indptr) > k).tolist():
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        values = matrix.data[part]
        keep[part][np.argpartition(values, len(values) - k)[: len(values) - k]] = False
    return csr_matrix((matrix.data[keep], (row_of_entries(matrix)[keep], matrix.indices[keep])), shape=matrix.shape)


def best_of_rows(matrix: csr_matrix) -> np.ndarray:
    """Return the column of each row's largest entry, the first of equals, -1 for a row without; shape (n_s,)."""
    columns = np.full(matrix.shape[0], -1)
    filled = np.flatnonzero(np.diff(matrix.indptr))
    if len(filled):
        most = np.zeros(matrix.shape[0])
        most[filled] = np.maximum.reduceat(matrix.data, matrix.indptr[filled])
        rows = row_of_entries(matrix)
        best = np.flatnonzero((matrix.data == most[rows]) & (matrix.data > 0))[::-1]
        columns[rows[best]] = matrix.indices[best]
    return columns


def mutual_pairs(matrix: csr_matrix) -> np.ndarray:
    """Return the pairs of rows and columns that are each other's best, shape (p, 2)."""
    there, back = best_of_rows(matrix), best_of_rows(matrix.T.tocsr())
    rows = np.flatnonzero(there >= 0)
    rows = rows[back[there[rows]] == rows]
    return np.stack([rows, there[rows]], axis=1)


def greedy_pairs(matrix: csr_matrix) -> np.ndarray:
    """Return one-to-one pairs, the largest entry first, shape (p, 2)."""
    rows = row_of_entries(matrix)
    order = np.lexsort((matrix.indices, rows, -matrix.data))
    order = order[matrix.data[order] > 0]
    free_row, free_column = np.ones(matrix.shape[0], bool), np.ones(matrix.shape[1], bool)
    pairs = []
    for row, column in zip(rows[order].tolist(), matrix.indices[order].tolist(), strict=True):
        if free_row[row] and free_column[column]:
            free_row[row] = free_column[column] = False
            pairs.append((row, column))
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def assigned_pairs(matrix: csr_matrix, n_candidates: int = 10) -> np.ndarray:
    """Return the one-to-one pairs with the largest sum, among the largest entries of each row, shape (p, 2).

    A row may stay alone. Solved exactly on the sparse matrix (Jonker and Volgenant 1987, as in SciPy).
    """
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    kept = coo_matrix(largest_of_rows(matrix, n_candidates))
    # Each row's own spare column, at the price of an entry of zero, makes a full matching possible.
    costs = csr_matrix((2 - kept.data / max(1.0, kept.data.max(initial=0.0)), (kept.row, kept.col)), shape=kept.shape)
    rows, columns = min_weight_full_bipartite_matching(hstack([costs, 2 * identity(matrix.shape[0])]).tocsr())
    real = columns < matrix.shape[1]
    return np.stack([rows[real], columns[real]], axis=1).astype(np.int64)


def placed(matrix: csr_matrix, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_matrix:
    """Return the matrix of some rows and columns among all."""
    entries = matrix.tocoo()
    return csr_matrix((entries.data, (rows[entries.row], columns[entries.col])), shape=shape)


def outside(matrix: csr_matrix, pairs: np.ndarray) -> csr_matrix:
    """Return the matrix without the rows and columns of pairs."""
    entries = matrix.tocoo()
    free = [np.ones(size, dtype=bool) for size in matrix.shape]
    for side in (0, 1):
        free[side][pairs[:, side]] = False
    keep = free[0][entries.row] & free[1][entries.col]
    return csr_matrix((entries.data[keep], (entries.row[keep], entries.col[keep])), shape=matrix.shape)


def with_pairs(matrix: csr_matrix, pairs: np.ndarray) -> csr_matrix:
    """Return the matrix with an entry of 1 for each pair; their rows and columns must be empty."""
    return (matrix + csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=matrix.shape)).tocsr()


def entries_of(matrix: csr_matrix, pairs: np.ndarray) -> np.ndarray:
    """Return the entries at pairs of rows and columns, shape (p,)."""
    return np.asarray(matrix[pairs[:, 0], pairs[:, 1]]).ravel() if len(pairs) else np.empty(0)
