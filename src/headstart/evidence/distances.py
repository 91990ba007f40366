"""Distances between two samples: of all pairs, of sorted columns, and of means and covariances."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from headstart.evidence.measured import Measured, beside_chance, two_samples
from headstart.evidence.mmd import permuted_sums
from headstart.kernels import squared_distances

#: Columns that are sorted at a time.
COLUMNS_A_BLOCK = 256


def energy_distance(Xs: Any, Xt: Any, *, permutations: int = 999, random_state: int = 0) -> Measured:
    r"""Return the energy distance of two samples, with the p-value of a permutation test.

    .. math:: D = 2 E\|x - x'\| - E\|x - \tilde{x}\| - E\|x' - \tilde{x}'\|

    Means are over all pairs, a row with itself among them, so that it is never negative, and 0 only for equal
    samples. It has no width to choose, but units matter: bring columns to one scale first. In one column it is twice
    the integral of the squared difference of the distribution functions. Time grows with the square of the rows.

    Parameters
    ----------
    Xs, Xt : array or sparse matrix of shape (n_s, d) and (n_t, d)
    permutations : int
        With 0, the p-value is None.

    Raises
    ------
    InputError
        When the samples differ in columns or have fewer than two rows.

    References
    ----------
    Székely & Rizzo: Energy statistics: A class of statistics based on distances. Journal of Statistical Planning
    and Inference 143, 2013.

    Examples
    --------
    >>> energy_distance(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]), permutations=0).value
    1.0
    """
    Xs, Xt = two_samples(Xs, Xt, "energy_distance")
    n_s, n_t = Xs.shape[0], Xt.shape[0]
    observed, chance = permuted_sums(Xs, Xt, lambda A, B: np.sqrt(squared_distances(A, B)), permutations, random_state)

    def distance(sums: np.ndarray) -> np.ndarray:
        return np.asarray(2 * sums[2] / (n_s * n_t) - sums[0] / n_s**2 - sums[1] / n_t**2)

    how = f"every pair of {n_s} and {n_t} rows, {permutations} permutations"
    # What rounding leaves of a distance of zero is no distance.
    return beside_chance(max(float(distance(observed)[0]), 0.0), distance(chance), how)


def wasserstein(Xs: Any, Xt: Any, *, order: int = 1) -> np.ndarray:
    r"""Return the Wasserstein distance of each column, shape (d,), in the column's units.

    .. math:: W_p = \left( \int_0^1 |F_s^{-1}(u) - F_t^{-1}(u)|^p \, du \right)^{1/p}

    The quantile functions of samples are steps, so the integral is a sum, exact for any two numbers of rows. Of
    order 1 it is how far the values must move on average.

    Parameters
    ----------
    Xs, Xt : array or sparse matrix of shape (n_s, d) and (n_t, d)
    order : int
        The p above: 1, 2 and so on.

    Raises
    ------
    InputError
        When the samples differ in columns or have no rows.

    References
    ----------
    Peyré & Cuturi: Computational Optimal Transport. Foundations and Trends in Machine Learning 11, 2019, section 2.6.

    Examples
    --------
    >>> wasserstein(np.array([[0.0, 5.0], [1.0, 5.0]]), np.array([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0]]))
    array([1.5, 0. ])
    """
    Xs, Xt = two_samples(Xs, Xt, "wasserstein", least=1)
    return np.concatenate(
        [
            _sorted_distances(_dense(Xs[:, j : j + COLUMNS_A_BLOCK]), _dense(Xt[:, j : j + COLUMNS_A_BLOCK]), order)
            for j in range(0, Xs.shape[1], COLUMNS_A_BLOCK)
        ]
    ) ** (1 / order)


def _sorted_distances(Xs: np.ndarray, Xt: np.ndarray, order: int) -> np.ndarray:
    """Return W_p^p of each column, shape (d,)."""
    n_s, n_t = len(Xs), len(Xt)
    # Where either quantile function steps, in units of 1 / (n_s n_t): whole numbers, so nothing is rounded.
    ends = np.union1d(np.arange(1, n_s + 1) * n_t, np.arange(1, n_t + 1) * n_s)
    width = np.diff(ends, prepend=0) / (n_s * n_t)
    gaps = np.abs(np.sort(Xs, axis=0)[(ends - 1) // n_t] - np.sort(Xt, axis=0)[(ends - 1) // n_s])
    return np.asarray(width @ gaps**order)


def _dense(X: Any) -> np.ndarray:
    return X.toarray() if issparse(X) else X


def sliced_wasserstein(
    Xs: Any, Xt: Any, *, order: int = 2, directions: int = 100, permutations: int = 0, random_state: int = 0
) -> Measured:
    r"""Return the Wasserstein distance averaged over random directions.

    .. math:: SW_p = \left( \frac{1}{L} \sum_l W_p^p(\theta_l' x, \theta_l' x') \right)^{1/p},
        \quad \|\theta_l\| = 1

    Parameters
    ----------
    Xs, Xt : array or sparse matrix of shape (n_s, d) and (n_t, d)
    order : int
    directions : int
        L above, drawn evenly from the sphere.
    permutations : int
        Behind the p-value, each of which sorts all again; None without.

    Raises
    ------
    InputError
        When the samples differ in columns or have fewer than two rows.

    References
    ----------
    Bonneel, Rabin, Peyré, Pfister: Sliced and Radon Wasserstein Barycenters of Measures. Journal of Mathematical
    Imaging and Vision 51, 2015.

    Examples
    --------
    >>> Xs = np.random.default_rng(0).normal(size=(50, 1))
    >>> print(sliced_wasserstein(Xs, Xs + 3.0))  # in one column all directions agree
    3
    """
    from headstart.domain import stack_rows
    from headstart.draws import canonical_order

    Xs, Xt = two_samples(Xs, Xt, "sliced_wasserstein")
    rng = np.random.default_rng(random_state)
    theta = rng.normal(size=(Xs.shape[1], directions))
    theta /= np.linalg.norm(theta, axis=0)
    Ps, Pt = Xs @ theta, Xt @ theta

    def distance(A: np.ndarray, B: np.ndarray) -> float:
        return float(_sorted_distances(A, B, order).mean() ** (1 / order))

    both = stack_rows([Ps, Pt])
    both = both[canonical_order(both)]
    chance = np.empty(permutations)
    for trial in range(permutations):
        drawn = rng.permutation(len(both))
        chance[trial] = distance(both[drawn[: len(Ps)]], both[drawn[len(Ps) :]])
    how = f"order {order}, {directions} directions, {len(Ps)} and {len(Pt)} rows, {permutations} permutations"
    return beside_chance(distance(Ps, Pt), chance, how)


def coral_distance(Xs: Any, Xt: Any) -> float:
    r"""Return the distance of the covariances that deep CORAL makes small.

    .. math:: \frac{1}{4 d^2} \|C_s - C_t\|_F^2

    Means play no part. With more columns than rows it is reckoned from the products of rows, without a (d, d) matrix.

    Parameters
    ----------
    Xs, Xt : array or sparse matrix of shape (n_s, d) and (n_t, d)

    Raises
    ------
    InputError
        When the samples differ in columns or have fewer than two rows.

    References
    ----------
    Sun & Saenko: Deep CORAL: Correlation Alignment for Deep Domain Adaptation. ECCV Workshops 2016.

    Examples
    --------
    >>> coral_distance(np.array([[-1.0], [1.0]]), np.array([[-2.0], [2.0]]))  # variances 2 and 8
    9.0
    """
    Xs, Xt = two_samples(Xs, Xt, "coral_distance")
    d = Xs.shape[1]
    if d <= min(Xs.shape[0], Xt.shape[0]):
        squared = float(np.square(_covariance(Xs) - _covariance(Xt)).sum())
    else:
        parts = [float(np.square(_products(A, B)).sum()) for A, B in ((Xs, Xs), (Xt, Xt), (Xs, Xt))]
        squared = max(parts[0] + parts[1] - 2 * parts[2], 0.0)
    return squared / (4 * d**2)


def frechet_distance(Xs: Any, Xt: Any) -> float:
    r"""Return the squared Fréchet distance of the Gaussians with the samples' means and covariances.

    .. math::
        \|\mu_s - \mu_t\|^2 + \mathrm{tr}\left( C_s + C_t - 2 (C_s^{1/2} C_t C_s^{1/2})^{1/2} \right)

    It is the squared 2-Wasserstein distance of these Gaussians. The last trace is the sum of the singular values of
    A B' for any A'A = C_s and B'B = C_t, which needs no root of a matrix and so stays exact where a covariance is
    singular.

    Parameters
    ----------
    Xs, Xt : array or sparse matrix of shape (n_s, d) and (n_t, d)

    Raises
    ------
    InputError
        When the samples differ in columns or have no rows.

    References
    ----------
    Dowson & Landau: The Fréchet distance between multivariate normal distributions. Journal of Multivariate
    Analysis 12, 1982.

    Examples
    --------
    >>> round(frechet_distance(np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])), 6)  # (3 - 0)^2 + 2 (2 - 1)^2
    11.0
    """
    Xs, Xt = two_samples(Xs, Xt, "frechet_distance", least=1)
    means = [np.asarray(X.mean(axis=0)).ravel() for X in (Xs, Xt)]
    apart = float(np.square(means[0] - means[1]).sum())
    if Xs.shape[1] <= min(Xs.shape[0], Xt.shape[0]):
        Cs, Ct = _covariance(Xs), _covariance(Xt)
        traces, product = float(np.trace(Cs) + np.trace(Ct)), _root(Cs) @ _root(Ct).T
    else:
        traces = float(_spread(Xs, means[0]) + _spread(Xt, means[1]))
        product = _products(Xs, Xt)
    # Rounding may leave a little below zero.
    return apart + max(traces - 2 * float(np.linalg.svd(product, compute_uv=False).sum()), 0.0)


def _covariance(X: Any) -> np.ndarray:
    """Return the covariance by n - 1, shape (d, d); of one row, zeros."""
    n = X.shape[0]
    mean = np.asarray(X.mean(axis=0)).ravel()
    if issparse(X):
        return np.asarray(((X.T @ X).toarray() - n * np.outer(mean, mean)) / max(n - 1, 1))
    centered = X - mean
    return np.asarray(centered.T @ centered / max(n - 1, 1))


def _root(C: np.ndarray) -> np.ndarray:
    """Return A with A'A = C."""
    values, vectors = np.linalg.eigh(C)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T


def _products(A: Any, B: Any) -> np.ndarray:
    """Return the inner products of centered rows divided by the roots of n - 1, shape (n_a, n_b)."""
    G = _dense(A @ B.T)
    G = G - G.mean(axis=0) - G.mean(axis=1, keepdims=True) + G.mean()
    return np.asarray(G / np.sqrt(max(A.shape[0] - 1, 1) * max(B.shape[0] - 1, 1)))


def _spread(X: Any, mean: np.ndarray) -> float:
    """Return the trace of the covariance."""
    from headstart.kernels import squared_norms

    n = X.shape[0]
    return float((squared_norms(X).sum() - n * mean @ mean) / max(n - 1, 1))
