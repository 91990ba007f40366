"""Maps f from one feature space to another, as fitted: arrays and a `transform`."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


class Map(Protocol):
    """A fitted map of rows."""

    def transform(self, X: Any) -> Any:
        """Return the mapped rows."""


@dataclass(frozen=True, eq=False)
class IdentityMap:
    """The map that leaves rows where they are."""

    def transform(self, X: Any) -> Any:
        """Return the rows as they are."""
        return X

    def inverse_transform(self, Y: Any) -> Any:
        """Return the rows as they are."""
        return Y


@dataclass(frozen=True, eq=False)
class AffineMap:
    """The map x -> (x - center) A + shift.

    Examples
    --------
    >>> import numpy as np
    >>> AffineMap(center=np.array([1.0]), A=np.array([[2.0]]), shift=np.array([5.0])).transform(np.array([[3.0]]))
    array([[9.]])
    """

    center: np.ndarray
    A: np.ndarray
    shift: np.ndarray

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows, shape (n, columns of A)."""
        return (X - self.center) @ self.A + self.shift

    def inverse_transform(self, Y: Any) -> np.ndarray:
        """Return the rows that are mapped nearest to Y, shape (n, rows of A); the shortest, where several are."""
        return (Y - self.shift) @ np.linalg.pinv(self.A) + self.center


@dataclass(frozen=True, eq=False)
class LinearMap:
    """The map x -> x A; rows may be sparse.

    Examples
    --------
    >>> import numpy as np
    >>> LinearMap(A=np.array([[2.0], [1.0]])).transform(np.array([[3.0, 4.0]]))
    array([[10.]])
    """

    A: np.ndarray

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows, shape (n, columns of A)."""
        return np.asarray(X @ self.A)

    def inverse_transform(self, Y: Any) -> np.ndarray:
        """Return the rows that are mapped nearest to Y, shape (n, rows of A); the shortest, where several are."""
        return np.asarray(Y @ np.linalg.pinv(self.A))
