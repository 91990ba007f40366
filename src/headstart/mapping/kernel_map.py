"""Maps by kernels: a row is mapped by its likeness to some rows that are kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.kernels import rbf

#: Entries of the kernel that are held at once.
MOST_AT_ONCE = 2**23


@dataclass(frozen=True, eq=False)
class KernelMap:
    """The map x -> shift + sum_i exp(-gamma ||x - x_i||^2) A_i; rows may be sparse.

    Parameters
    ----------
    rows : array or CSR matrix of shape (m, d)
        The rows x_i: all those of the fit, or landmarks.
    A : array of shape (m, k)
    gamma : float
    shift : array of shape (k,) or 0

    Examples
    --------
    >>> import numpy as np
    >>> KernelMap(np.zeros((1, 2)), np.array([[5.0]]), gamma=1.0).transform(np.zeros((1, 2)))
    array([[5.]])
    """

    rows: Any
    A: np.ndarray
    gamma: float
    shift: Any = 0.0

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows, shape (n, k), in the rows' own precision."""
        mapped = np.empty((X.shape[0], self.A.shape[1]), dtype=X.dtype)
        block = max(1, MOST_AT_ONCE // self.rows.shape[0])
        for start in range(0, X.shape[0], block):
            # Squared distances lose too many digits in float32.
            part = X[start : start + block].astype(np.float64)
            mapped[start : start + block] = rbf(part, self.rows, self.gamma) @ self.A + self.shift
        return mapped
