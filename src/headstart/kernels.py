"""Kernels and their widths, shared by the kernel methods of all families."""

from collections.abc import Callable
from typing import Any

import numpy as np


def squared_distances(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return ||a_i - b_j||^2 as an array of shape (n_a, n_b), never negative."""
    D = A @ B.T
    D *= -2.0
    D += np.einsum("ij,ij->i", A, A)[:, None]
    D += np.einsum("ij,ij->i", B, B)[None, :]
    return np.maximum(D, 0.0, out=D)


def rbf(A: np.ndarray, B: np.ndarray, gamma: float) -> np.ndarray:
    """Return exp(-gamma ||a_i - b_j||^2), shape (n_a, n_b)."""
    K = squared_distances(A, B)
    K *= -gamma
    return np.exp(K, out=K)


def median_gamma(Xs: np.ndarray, Xt: np.ndarray, most: int = 1000) -> float:
    """Return 1 / median squared distance between distinct rows of both domains together.

    At most `most` rows of each domain are looked at, evenly spaced after sorting, so that the answer does not
    depend on the order of the rows. With constant rows the answer is 1.
    """
    rows = np.concatenate([_spread(Xs, most), _spread(Xt, most)]).astype(float)
    distances = squared_distances(rows, rows)[np.triu_indices(len(rows), 1)]
    positive = distances[distances > 0]
    return float(1.0 / np.median(positive)) if len(positive) else 1.0


def _spread(X: np.ndarray, most: int) -> np.ndarray:
    ordered = X[np.lexsort(X.T[::-1])]
    if len(X) <= most:
        return ordered
    return ordered[np.linspace(0, len(X) - 1, most).astype(int)]


def nystroem_map(
    Xs: np.ndarray, Xt: np.ndarray, gamma: float, rank: int, random_state: int | None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the map x -> K_mm^(-1/2) k(landmarks, x), whose inner products approximate the kernel.

    Landmarks are drawn from the rows of both domains (Williams & Seeger, NIPS 2000).
    """
    rows = np.concatenate([Xs, Xt])
    picked = np.random.default_rng(random_state).choice(len(rows), min(rank, len(rows)), replace=False)
    landmarks: Any = rows[np.sort(picked)]
    values, vectors = np.linalg.eigh(rbf(landmarks, landmarks, gamma))
    keep = values > values[-1] * len(values) * np.finfo(values.dtype).eps
    root = vectors[:, keep] / np.sqrt(values[keep])
    return lambda X: rbf(X, landmarks, gamma) @ root
