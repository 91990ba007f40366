"""Kernel matrices as the solvers see them: whole, or as a low-rank factor and a diagonal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve


class Gram(Protocol):
    """A positive semidefinite matrix that is only ever multiplied, cut and solved with."""

    def times(self, w: np.ndarray) -> np.ndarray:
        """Return the matrix times w, shape (n,)."""

    def rows(self, chosen: np.ndarray) -> Gram:
        """Return the matrix of some rows and the same columns."""

    def with_diagonal(self, D: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return v -> (K + diag(D))^-1 v, for D > 0."""


@dataclass(frozen=True, eq=False)
class DenseGram:
    """A kernel matrix K of shape (n, n), held whole."""

    K: np.ndarray

    def times(self, w: np.ndarray) -> np.ndarray:
        """Return K w, touching only the rows in use."""
        used = np.flatnonzero(w)
        return w @ self.K if 2 * len(used) > len(w) else w[used] @ self.K[used]

    def rows(self, chosen: np.ndarray) -> DenseGram:
        """Return the matrix of some rows and the same columns."""
        return DenseGram(self.K[np.ix_(chosen, chosen)])

    def with_diagonal(self, D: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return v -> (K + diag(D))^-1 v by a Cholesky factorisation."""
        H = self.K + np.diag(D + 1e-13 * np.trace(self.K) / len(self.K))
        factor = cho_factor(H, lower=True, overwrite_a=True, check_finite=False)
        return lambda v: np.asarray(cho_solve(factor, v, check_finite=False))


@dataclass(frozen=True, eq=False)
class LowRankGram:
    """F F' + diag(rest), with F of shape (n, r) and rest of shape (n,): n * r numbers instead of n^2."""

    F: np.ndarray
    rest: np.ndarray

    def times(self, w: np.ndarray) -> np.ndarray:
        """Return (F F' + diag(rest)) w, touching only the rows in use."""
        used = np.flatnonzero(w)
        inner = self.F.T @ w if 2 * len(used) > len(w) else self.F[used].T @ w[used]
        return np.asarray(self.F @ inner + self.rest * w)

    def rows(self, chosen: np.ndarray) -> LowRankGram:
        """Return the matrix of some rows and the same columns."""
        return LowRankGram(self.F[chosen], self.rest[chosen])

    def with_diagonal(self, D: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return v -> (F F' + diag(rest + D))^-1 v by the Woodbury identity."""
        whole = self.rest + D
        scaled = self.F / whole[:, None]
        small = np.eye(self.F.shape[1]) + self.F.T @ scaled
        factor = cho_factor(small, lower=True, overwrite_a=True, check_finite=False)
        return lambda v: v / whole - scaled @ cho_solve(factor, scaled.T @ v, check_finite=False)


def low_rank_factor(K: np.ndarray, most: int, tol: float = 1e-9) -> np.ndarray | None:
    """Return F of shape (n, r), r <= most, with trace(K - F F') <= tol trace(K); None when there is none.

    >>> low_rank_factor(np.outer([1.0, 2.0], [1.0, 2.0]), most=1)
    array([[1.],
           [2.]])
    """
    F, rest = pivoted_cholesky(K, most, tol, hopeless=True)
    return F if rest.sum() <= tol * np.trace(K) else None


def sketch(K: np.ndarray, rank: int) -> LowRankGram:
    """Return the kernel with so many columns of it exact, and the diagonal exact."""
    return LowRankGram(*pivoted_cholesky(K, rank, 0.0))


def pivoted_cholesky(K: np.ndarray, most: int, tol: float, hopeless: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return F of shape (n, r), r <= most, and the diagonal of K - F F', once its sum is at most tol trace(K).

    Cholesky factorisation with diagonal pivoting, stopped early; Fine & Scheinberg, JMLR 2001. With `hopeless` it
    also stops when `most` columns won't do.
    """
    left = K.diagonal().astype(float)
    trace = float(left.sum())
    F = np.zeros((len(K), most))
    for r in range(most):
        rest = float(left.sum())
        # The trace falls ever more slowly: at this rate, how many columns would it take at least?
        stuck = hopeless and r % 50 == 0 and r > 0 and rest > 0 and r * np.log(tol) / np.log(rest / trace) > most
        if rest <= tol * trace or stuck:
            return F[:, :r], left
        pivot = int(np.argmax(left))
        F[:, r] = (K[:, pivot] - F[:, :r] @ F[pivot, :r]) / np.sqrt(left[pivot])
        left = np.maximum(left - F[:, r] ** 2, 0.0)
        left[pivot] = 0.0
    return F, left
