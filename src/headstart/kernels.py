"""Kernels and their widths, shared by the kernel methods of all families. Rows may be sparse."""

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.domain import stack_rows
from headstart.draws import canonical_order, pick


def squared_norms(X: Any) -> np.ndarray:
    """Return ||x_i||^2, shape (n,), of dense or sparse rows."""
    if isinstance(X, np.ndarray):
        return np.einsum("ij,ij->i", X, X)
    return np.asarray(X.multiply(X).sum(axis=1)).ravel()


def squared_distances(A: Any, B: Any) -> np.ndarray:
    """Return ||a_i - b_j||^2 as an array of shape (n_a, n_b), never negative."""
    D = A @ B.T
    D = D if isinstance(D, np.ndarray) else D.toarray()
    D *= -2.0
    D += squared_norms(A)[:, None]
    D += squared_norms(B)[None, :]
    return np.maximum(D, 0.0, out=D)


def rbf(A: Any, B: Any, gamma: float) -> np.ndarray:
    """Return exp(-gamma ||a_i - b_j||^2), shape (n_a, n_b)."""
    K = squared_distances(A, B)
    K *= -gamma
    return np.exp(K, out=K)


def rbf_sums(A: Any, B: Any, gamma: float, block: int = 2048) -> np.ndarray:
    """Return sum_j exp(-gamma ||a_i - b_j||^2), shape (n_a,), without holding the whole kernel."""
    sums = np.zeros(A.shape[0])
    for start in range(0, B.shape[0], block):
        sums += rbf(A, B[start : start + block], gamma).sum(axis=1)
    return sums


def median_gamma(Xs: Any, Xt: Any, most: int = 1000) -> float:
    """Return 1 / median squared distance between distinct rows of both domains together.

    At most `most` rows of each domain are looked at, evenly spaced in an order of their own, so that the answer does
    not depend on the order of the rows. With constant rows the answer is 1.
    """
    blocks = [_spread(Xs, most), _spread(Xt, most)]
    distances = np.concatenate(
        [
            squared_distances(blocks[0], blocks[0])[np.triu_indices(blocks[0].shape[0], 1)],
            squared_distances(blocks[1], blocks[1])[np.triu_indices(blocks[1].shape[0], 1)],
            squared_distances(blocks[0], blocks[1]).ravel(),
        ]
    )
    positive = distances[distances > 0]
    return float(1.0 / np.median(positive)) if len(positive) else 1.0


def _spread(X: Any, most: int) -> Any:
    order = canonical_order(X)
    if len(order) > most:
        order = order[np.linspace(0, len(order) - 1, most).astype(int)]
    return X[order].astype(float)


def nystroem_map(Xs: Any, Xt: Any, gamma: float, rank: int, random_state: int | None) -> Callable[[Any], np.ndarray]:
    """Return the map x -> K_mm^(-1/2) k(landmarks, x), whose inner products approximate the kernel.

    Landmarks are drawn from the rows of both domains (Williams & Seeger, NIPS 2000).
    """
    rows = stack_rows([Xs, Xt])
    landmarks = rows[pick(rows, rank, random_state)]
    values, vectors = np.linalg.eigh(rbf(landmarks, landmarks, gamma))
    keep = values > values[-1] * len(values) * np.finfo(values.dtype).eps
    root = vectors[:, keep] / np.sqrt(values[keep])
    return lambda X: rbf(X, landmarks, gamma) @ root
