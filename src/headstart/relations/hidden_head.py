"""A head with a hidden layer: what the adversarial graph transfer leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax


@dataclass(frozen=True, eq=False)
class HiddenHead:
    r"""Class probabilities :math:`\operatorname{softmax}(\max(0, z^\top V + c)^\top W + b)`.

    Parameters
    ----------
    V : array of shape (r, h)
    c : array of shape (h,)
    W : array of shape (h, k)
    b : array of shape (k,)
    """

    V: np.ndarray
    c: np.ndarray
    W: np.ndarray
    b: np.ndarray

    def probabilities(self, Z: np.ndarray) -> np.ndarray:
        """Return the probabilities of rows of shape (n, r), shape (n, k)."""
        return np.asarray(softmax(np.maximum(Z @ self.V + self.c, 0) @ self.W + self.b, axis=1))
