"""Sums of products and squares over rows, dense or sparse, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Rows, or columns of a sparse matrix, that are looked at together.
BLOCK = 2048


def products(X: Any, Y: Any) -> np.ndarray:
    """Return X'Y of rows X (n, a) and Y (n, b), both dense or both sparse, as a float64 array of shape (a, b)."""
    out = np.zeros((X.shape[1], Y.shape[1]))
    if isinstance(X, np.ndarray):
        for start in range(0, len(X), BLOCK):
            block = X[start : start + BLOCK].astype(np.float64, copy=False)
            # The same array twice lets BLAS compute half of a symmetric product.
            other = block if Y is X else Y[start : start + BLOCK].astype(np.float64, copy=False)
            out += block.T @ other
        return out
    transposed, columns = X.T.tocsr().astype(np.float64, copy=False), Y.tocsc()
    for start in range(0, Y.shape[1], BLOCK):
        out[:, start : start + BLOCK] = (transposed @ columns[:, start : start + BLOCK].tocsr()).toarray()
    return out


def column_means(X: Any) -> np.ndarray:
    """Return the mean of each column of an array or CSR matrix in float64, shape (d,)."""
    if isinstance(X, np.ndarray):
        return np.asarray(X.mean(axis=0, dtype=np.float64))
    # The mean of a sparse float32 matrix would be summed up in float32, whatever its dtype.
    return np.bincount(X.indices, weights=X.data, minlength=X.shape[1]) / X.shape[0]


def mean_squares(X: Any) -> np.ndarray:
    """Return the mean of each column's squares in float64, shape (d,)."""
    if isinstance(X, np.ndarray):
        return np.einsum("ij,ij->j", X, X, dtype=np.float64) / len(X)
    return column_means(X.multiply(X).tocsr())


def total_variance(X: Any) -> float:
    """Return the sum of the variances of all columns (n in the denominator)."""
    return float(np.maximum(mean_squares(X) - column_means(X) ** 2, 0.0).sum())
