"""The map that moves a row as the nearest row of the fit was moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: Distances that are held at once.
MOST_AT_ONCE = 2**22


@dataclass(frozen=True, eq=False)
class NearestShift:
    """The map x -> x + shift of the nearest of some rows: a transport of those rows, carried on to all others.

    Ferradans, Papadakis, Peyre, Aujol: Regularized Discrete Optimal Transport. SIAM Journal on Imaging Sciences 2014.

    Parameters
    ----------
    rows, shift : arrays of shape (m, d)
        Distinct rows, and how each was moved.

    Examples
    --------
    >>> NearestShift(np.array([[0.0], [5.0]]), np.array([[1.0], [-1.0]])).transform(np.array([[0.5], [4.0]]))
    array([[1.5],
           [3. ]])
    """

    rows: np.ndarray
    shift: np.ndarray

    def transform(self, X: Any) -> np.ndarray:
        """Return the moved rows, shape (n, d)."""
        return np.asarray(X + self.shift[nearest(X, self.rows)])


def nearest(X: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the position of the nearest of some distinct rows, shape (n,); the first of those that are as near.

    Distances are first found by one matrix product in single precision; where its rounding leaves open which is the
    least, by differences in double precision.

    >>> nearest(np.array([[1e8 + 1.0], [1e8 + 3.0]]), np.array([[1e8], [1e8 + 1.0], [1e8 + 3.0]]))
    array([1, 2])
    """
    center = rows.mean(axis=0, dtype=float)
    R = rows - center
    unit = max(float(np.abs(R).max()), float(np.abs(X - center).max()), np.finfo(np.float32).tiny)
    R /= unit
    half = 0.5 * np.einsum("ij,ij->i", R, R)
    # One more column adds half the squared norm of each row to the products.
    screen = np.column_stack([-R, half]).astype(np.float32).T
    rounding = 4 * (R.shape[1] + 4) * np.finfo(np.float32).eps
    found = np.empty(len(X), dtype=int)
    step = max(1, MOST_AT_ONCE // len(rows))
    for start in range(0, len(X), step):
        P = (X[start : start + step] - center) / unit
        D = np.column_stack([P, np.ones(len(P))]).astype(np.float32) @ screen
        every = np.arange(len(P))
        at = D.argmin(axis=1)
        lowest = D[every, at]
        bound = lowest + rounding * (half.max() + np.linalg.norm(P, axis=1) * np.sqrt(2 * half.max()))
        D[every, at] = np.inf
        for i in np.flatnonzero(D.min(axis=1) <= bound):
            close = np.sort(np.append(np.flatnonzero(D[i] <= bound[i]), at[i]))
            at[i] = close[np.square(rows[close] - X[start + i].astype(float)).sum(axis=1).argmin()]
        found[start : start + step] = at
    return found
