"""Rows with new features beside the old ones, dense or sparse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack


@dataclass(frozen=True, eq=False)
class NewFeaturesMap:
    """The map x -> [x, x A + shift]; rows may be sparse, and stay so.

    Examples
    --------
    >>> import numpy as np
    >>> NewFeaturesMap(A=np.array([[2.0], [1.0]]), shift=np.array([-1.0])).transform(np.array([[3.0, 4.0]]))
    array([[3., 4., 9.]])
    """

    A: np.ndarray
    shift: np.ndarray

    def transform(self, X: Any) -> Any:
        """Return the old features and the new ones beside them, shape (n, d + columns of A)."""
        return beside(X, X @ self.A + self.shift)


def beside(X: Any, *new: np.ndarray) -> Any:
    """Put dense columns to the right of X: as an array where X is one, else as a CSR matrix.

    Where the new columns outnumber the old ones two to one or more, the outcome is an array in any case: it takes less
    memory then than the CSR matrix would.
    """
    if isinstance(X, np.ndarray):
        return np.hstack([X, *new])
    if sum(Z.shape[1] for Z in new) >= 2 * X.shape[1]:
        return np.hstack([X.toarray(), *new])
    return hstack([X, *(csr_matrix(Z) for Z in new)], format="csr")


def with_fixed_signs(U: np.ndarray) -> np.ndarray:
    """Return the columns with signs that do not hang on how they were computed.

    Each column has a positive product with one fixed random vector.

    >>> with_fixed_signs(np.array([[1.0], [2.0]])) == with_fixed_signs(np.array([[-1.0], [-2.0]]))
    array([[ True],
           [ True]])
    """
    axis = np.random.default_rng(0).normal(size=len(U))
    return np.asarray(U * np.where(axis @ U < 0, -1.0, 1.0))
