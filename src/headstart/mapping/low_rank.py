"""Matrices too large to be written out, as a product of three."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class LowRank:
    """The matrix left core right', of shape (n, m).

    Parameters
    ----------
    left : array or CSR matrix of shape (n, r)
    core : array or CSR matrix of shape (r, q)
    right : array or CSR matrix of shape (m, q)

    Examples
    --------
    >>> M = LowRank(np.array([[1.0], [2.0]]), np.array([[10.0]]), np.array([[1.0], [3.0]]))
    >>> M @ np.array([1.0, 1.0]), M.sum(axis=0)
    (array([40., 80.]), array([30., 90.]))
    """

    left: Any
    core: Any
    right: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.left.shape[0], self.right.shape[0]

    @property
    def T(self) -> LowRank:  # noqa: N802
        """The transposed matrix."""
        return LowRank(self.right, self.core.T, self.left)

    def __matmul__(self, other: np.ndarray) -> np.ndarray:
        return np.asarray(self.left @ (self.core @ (self.right.T @ other)))

    def sum(self, axis: int) -> np.ndarray:
        """Return the sums over rows (0) or columns (1)."""
        matrix = self if axis == 1 else self.T
        return matrix @ np.ones(matrix.shape[1])

    def toarray(self) -> np.ndarray:
        """Return the whole matrix."""
        return self @ np.eye(self.shape[1])
