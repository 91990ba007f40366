"""Subspaces of a domain, spanned by principal axes or by partial least squares, and the map into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh

from headstart.errors import InputError
from headstart.mapping import LinearMap, Map


@dataclass(frozen=True, eq=False)
class CenteredMap:
    """The map x -> (x - center) A; rows may be sparse.

    Examples
    --------
    >>> import numpy as np
    >>> CenteredMap(center=np.array([1.0]), A=np.array([[2.0]])).transform(np.array([[3.0]]))
    array([[4.]])
    """

    center: np.ndarray
    A: np.ndarray

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows, shape (n, columns of A)."""
        if isinstance(X, np.ndarray):
            return (X - self.center) @ self.A
        return np.asarray(X @ self.A) - self.center @ self.A


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """Where a domain varies.

    Parameters
    ----------
    n : int
        Number of rows.
    mean : array of shape (d,)
        What was subtracted: the mean, or zero.
    values : array of shape (r,)
        Variance along each axis (n in the denominator), largest first.
    vectors : array of shape (d, r)
        The axes, orthonormal; r is the number of directions in which the rows vary.
    reach : float
        Largest squared distance of a row from `mean`.
    """

    n: int
    mean: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    reach: float

    def map_by(self, A: np.ndarray, dtype: Any) -> Map:
        """Return the map x -> (x - mean) A in the given precision."""
        if not self.mean.any():
            return LinearMap(A.astype(dtype, copy=False))
        return CenteredMap(self.mean.astype(dtype, copy=False), A.astype(dtype, copy=False))


def principal_axes(X: Any, center: bool, name: str, whose: str) -> PrincipalAxes:
    """Return the principal axes of rows, dense or sparse, by the smaller of X'X and XX'.

    Raises
    ------
    InputError
        When the rows do not vary.
    """
    n, d = X.shape
    X = X.astype(np.float64, copy=False)
    dense = isinstance(X, np.ndarray)
    mean = np.asarray(X.mean(axis=0)).ravel() if center else np.zeros(d)
    if dense and center:
        X = X - mean
    wide = d > n
    G = X @ X.T if wide else X.T @ X
    norms = np.einsum("ij,ij->i", X, X) if dense else np.asarray(X.multiply(X).sum(axis=1)).ravel()
    if not dense:
        G = G.toarray()
        if center:
            along = np.asarray(X @ mean).ravel()
            norms = norms - 2 * along + mean @ mean
            G = G - along[:, None] - along[None, :] + mean @ mean if wide else G - n * np.outer(mean, mean)
    values, vectors = eigh(G, driver="evd")
    # What rounding leaves of a constant column is no direction: a mean of n numbers errs by n eps at most, and centred
    # rows by that; sparse products are not centred before they are squared.
    eps = np.finfo(float).eps
    rounding = n * (mean @ mean) * ((4 * n * eps) ** 2 if dense else 4 * n * eps)
    kept = values > max(values[-1] * max(n, d) * eps, rounding, np.finfo(float).tiny)
    if not kept.any():
        raise InputError(f"{name}: {whose} rows are all the same and span no subspace; give rows that differ")
    values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
    if wide:
        # Vectors of the centred XX' are orthogonal to ones, so X may stay as it is.
        vectors = np.asarray(X.T @ vectors) / np.sqrt(values)
    return PrincipalAxes(n, mean, values / n, vectors, float(norms.max()))


def least_squares_axes(X: Any, Y: np.ndarray, k: int, center: bool) -> np.ndarray:
    """Return an orthonormal basis of the k weights of partial least squares, shape (d, k); fewer where Y is explained.

    The scores X r have the largest covariance with Y, one after another, and are uncorrelated. (De Jong: SIMPLS, an
    alternative approach to partial least squares regression. Chemometrics and Intelligent Laboratory Systems 1993.)

    Parameters
    ----------
    X : array or CSR matrix of shape (n, d)
    Y : array of shape (n, m)
        What is to be explained: classes as 0 and 1, or numbers.
    k : int
    center : bool
        Take the mean from X. From Y it is taken in any case.
    """
    X = X.astype(np.float64, copy=False)
    mean = np.asarray(X.mean(axis=0)).ravel() if center else np.zeros(X.shape[1])
    S = np.asarray(X.T @ (Y - Y.mean(axis=0)))
    start = np.linalg.norm(S)
    weights: list[np.ndarray] = []
    loadings: list[np.ndarray] = []
    while len(weights) < k and np.linalg.norm(S) > 1e-10 * start:
        r = np.linalg.svd(S, full_matrices=False)[0][:, 0]
        t = np.asarray(X @ r).ravel() - mean @ r
        p = np.asarray(X.T @ t).ravel() - mean * t.sum()
        for v in loadings * 2:
            p = p - v * (v @ p)
        v = p / np.linalg.norm(p)
        S = S - np.outer(v, v @ S)
        weights.append(r)
        loadings.append(v)
    return np.linalg.qr(np.column_stack(weights))[0] if weights else np.zeros((X.shape[1], 0))


def dimension_of(n_components: int | str, most: int, name: str) -> int | None:
    """Return the number of components asked for, at most as many as there are; None for "auto"."""
    if n_components == "auto":
        return None
    if isinstance(n_components, str) or n_components < 1:
        raise InputError(f"{name}: n_components must be a positive number or 'auto', not {n_components!r}")
    return min(int(n_components), most)
