"""Alternating least squares for all rows at once, by conjugate gradients on sparse matrices."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix

#: Entries of sparse rows whose vectors are held at a time by conjugate gradients.
ENTRIES = 4096
#: Rows whose normal equations are solved exactly at a time.
AT_A_TIME = 512


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray], right: np.ndarray, X: np.ndarray, steps: int
) -> np.ndarray:
    """Take some steps towards A_i x_i = b_i for every row i, from where X stands.

    `product` returns A_i p_i for all rows, shape (n, d). Hestenes & Stiefel 1952.
    """
    X = X.copy()
    R = right - product(X)
    P = R.copy()
    squares = np.einsum("nd,nd->n", R, R)
    tiny = np.finfo(X.dtype).tiny
    for _ in range(steps):
        AP = product(P)
        length = squares / np.maximum(np.einsum("nd,nd->n", P, AP), tiny)
        X += length[:, None] * P
        R -= length[:, None] * AP
        after = np.einsum("nd,nd->n", R, R)
        P = R + (after / np.maximum(squares, tiny))[:, None] * P
        squares = after
    return X


def implicit_half(C: csr_matrix, V: np.ndarray, X: np.ndarray, penalty: float, steps: int) -> np.ndarray:
    r"""Improve X towards the minimiser of a sum over all pairs, those without an event too.

    .. math:: \sum_{ij} (1 + c_{ij}) (\mathbb{1}[c_{ij} > 0] - x_i^\top v_j)^2 + \lambda \sum_i \|x_i\|^2

    Hu, Koren, Volinsky: Collaborative Filtering for Implicit Feedback Datasets. ICDM 2008; with conjugate gradients,
    Takacs, Pilaszy, Tikk: Applications of the Conjugate Gradient Method for Implicit Feedback. RecSys 2011.

    Parameters
    ----------
    C : csr_matrix of shape (n, m)
        How much more than a missing one each event counts.
    V : array of shape (m, d)
    X : array of shape (n, d)
        Where to begin.
    """
    G = V.T @ V + penalty * np.eye(V.shape[1], dtype=V.dtype)
    found = np.empty_like(X)
    for block in row_blocks(C.indptr):
        found[block] = _implicit_rows(C[block], V, G, X[block], steps)
    return found


def _implicit_rows(C: csr_matrix, V: np.ndarray, G: np.ndarray, X: np.ndarray, steps: int) -> np.ndarray:
    """Improve rows whose entries stay in the processor's cache together."""
    rows = np.repeat(np.arange(C.shape[0]), np.diff(C.indptr))
    at = V[C.indices]

    def product(P: np.ndarray) -> np.ndarray:
        inner = C.data * np.einsum("nd,nd->n", P[rows], at)
        return np.asarray(P @ G + csr_matrix((inner, C.indices, C.indptr), shape=C.shape) @ V)

    right = csr_matrix((1 + C.data, C.indices, C.indptr), shape=C.shape) @ V
    return conjugate_gradients(product, right, X, steps)


def row_blocks(indptr: np.ndarray) -> list[slice]:
    """Return slices of rows with about `ENTRIES` entries each; a row with more stands alone.

    >>> row_blocks(np.array([0, 3000, 3001, 9000, 9001]))  # the third row has 5,999
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    edges = [0]
    while edges[-1] < len(indptr) - 1:
        stop = int(np.searchsorted(indptr, indptr[edges[-1]] + ENTRIES, side="right")) - 1
        edges.append(max(stop, edges[-1] + 1))
    return [slice(start, stop) for start, stop in pairwise(edges)]


def implicit_solution(
    C: csr_matrix, V: np.ndarray, penalty: float, centre: np.ndarray | None = None, gram: np.ndarray | None = None
) -> np.ndarray:
    r"""Return the exact minimiser of `implicit_half`'s objective, shape (n, d); rows without an event get `centre`.

    With a centre the penalty is :math:`\lambda \|x_i - c_i\|^2`. `gram` is :math:`V^\top V`, where it is known: for
    few rows it is most of the work.
    """
    d = V.shape[1]
    G = (gram_of(V) if gram is None else gram) + penalty * np.eye(d)
    X = np.zeros((C.shape[0], d)) if centre is None else centre.astype(float)
    for start, length, index in padded_rows(C):
        at = C.indices[start[:, None] + np.arange(length)]
        weight = C.data[start[:, None] + np.arange(length)].astype(float)
        W = V[at].astype(float)
        A = G + np.swapaxes(W * weight[:, :, None], 1, 2) @ W
        right = ((1 + weight)[:, :, None] * W).sum(axis=1)
        if centre is not None:
            right += penalty * centre[index]
        X[index] = np.linalg.solve(A, right[:, :, None])[:, :, 0]
    return X


def gram_of(V: np.ndarray) -> np.ndarray:
    """Return V^T V in double precision, shape (d, d)."""
    V = V.astype(float)
    return np.asarray(V.T @ V)


def explicit_solution(
    R: csr_matrix, V: np.ndarray, penalty: float, weight: np.ndarray | None = None, centre: np.ndarray | None = None
) -> np.ndarray:
    r"""Return the minimiser of a sum over the ratings that are given, shape (n, d).

    .. math:: \sum_{ij} w_j (r_{ij} - x_i^\top v_j)^2 + \lambda \sum_i n_i \|x_i - c_i\|^2

    :math:`n_i` is the number of ratings of the row (Zhou et al.: Large-Scale Parallel Collaborative Filtering for
    the Netflix Prize. AAIM 2008). Rows without a rating get their centre, or zero.

    Parameters
    ----------
    R : csr_matrix of shape (n, m)
        What is stored is given, zeros too.
    V : array of shape (m, d)
    penalty : float
    weight : array of shape (m,), optional
    centre : array of shape (n, d), optional
    """
    d = V.shape[1]
    X = np.zeros((R.shape[0], d)) if centre is None else centre.astype(float)
    w = np.ones(R.shape[1]) if weight is None else weight
    for start, length, index in padded_rows(R):
        at = R.indices[start[:, None] + np.arange(length)]
        W = V[at].astype(float)
        weighed = np.swapaxes(W * w[at][:, :, None], 1, 2)
        A = weighed @ W + penalty * length * np.eye(d)
        right = (weighed @ R.data[start[:, None] + np.arange(length)][:, :, None].astype(float))[:, :, 0]
        if centre is not None:
            right += penalty * length * centre[index]
        X[index] = np.linalg.solve(A, right[:, :, None])[:, :, 0]
    return X


def padded_rows(C: csr_matrix) -> list[tuple[np.ndarray, int, np.ndarray]]:
    """Return blocks of rows with equally many entries: where each begins in `C.indices`, how many, which rows.

    >>> [(int(n), index.tolist()) for _, n, index in padded_rows(csr_matrix([[1, 0], [1, 1], [0, 0], [0, 2]]))]
    [(1, [0, 3]), (2, [1])]
    """
    lengths = np.diff(C.indptr)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    blocks = []
    edges = np.flatnonzero(np.diff(lengths[order])) + 1
    for index in np.split(order, edges):
        if not len(index):
            continue
        length = int(lengths[index[0]])
        step = max(1, min(AT_A_TIME, (1 << 22) // (length * 64)))
        for begin in range(0, len(index), step):
            part = index[begin : begin + step]
            blocks.append((C.indptr[part].astype(np.int64), length, part))
    return blocks
