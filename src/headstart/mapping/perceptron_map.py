"""The map of a multi-layer perceptron, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class PerceptronMap:
    """The map x -> h(... h(x A_1 + b_1) ...) A_l + b_l, with h(z) = max(z, 0).

    Parameters
    ----------
    matrices : tuple of arrays A_1 ... A_l
    offsets : tuple of arrays b_1 ... b_l

    Examples
    --------
    >>> layers = (np.array([[1.0, -1.0]]), np.array([[1.0], [1.0]])), (np.zeros(2), np.zeros(1))
    >>> PerceptronMap(*layers).transform(np.array([[-3.0], [2.0]]))
    array([[3.],
           [2.]])
    """

    matrices: tuple[np.ndarray, ...]
    offsets: tuple[np.ndarray, ...]

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows, shape (n, columns of A_l)."""
        hidden = X
        for A, b in zip(self.matrices[:-1], self.offsets[:-1], strict=True):
            hidden = np.maximum(hidden @ A + b, 0.0)
        return np.asarray(hidden @ self.matrices[-1] + self.offsets[-1])
