"""GBC: how much the classes overlap, each taken as a Gaussian."""

from typing import Any, Literal

import numpy as np

from headstart.errors import InputError
from headstart.evidence.transferability.features import as_classes, as_features

COMPONENTS = 64
#: The least variance of a class, as a share of the mean variance within classes (of all rows, if that is zero).
FLOOR = 1e-6


def gbc(F: Any, y: Any, *, covariance: Literal["spherical", "diagonal"] = "spherical") -> float:
    r"""Gaussian Bhattacharyya coefficient: minus the summed overlap of each class with each other.

    .. math:: -\sum_{i \neq j} \exp(-D_B(i, j)), \quad
        D_B = \frac{1}{8} \Delta^\top \Sigma^{-1} \Delta
        + \frac{1}{2} \log \frac{|\Sigma|}{\sqrt{|\Sigma_i| |\Sigma_j|}}, \quad
        \Sigma = \frac{\Sigma_i + \Sigma_j}{2}, \quad \Delta = \mu_i - \mu_j

    on the first 64 principal components. It is 0 at best (no overlap) and -k(k - 1) at worst. A class with one row
    gets the mean variance within the classes. The Gaussians are those of the rows scored, so few rows a class flatter
    noise.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)
    covariance : "spherical" or "diagonal"
        One variance a class, or one for each of its directions.

    Raises
    ------
    InputError
        When features or labels can't be read, there is one class only, or the covariance is another word.

    References
    ----------
    Pandy, Agostinelli, Uijlings, Ferrari & Mensink: Transferability estimation using Bhattacharyya class separability.
    CVPR 2022.

    Examples
    --------
    >>> round(gbc([[-1.0], [1.0], [3.0], [5.0]], [0, 0, 1, 1]), 4)
    -0.2707
    """
    if covariance not in ("spherical", "diagonal"):
        raise InputError(f"covariance must be 'spherical' or 'diagonal', not {covariance!r}")
    features = as_features(F)
    classes = as_classes(y, features.n)
    Z = features.principal(COMPONENTS)
    if not features.rank:
        return -float(classes.k * (classes.k - 1))
    means = classes.means(Z)
    squares = (Z - means[classes.codes]) ** 2
    if covariance == "spherical":
        squares = np.broadcast_to(squares.mean(axis=1, keepdims=True), squares.shape)
    variances, pooled = classes.means(squares), squares.mean(axis=0)
    variances[classes.counts == 1] = pooled
    variances = np.maximum(variances, FLOOR * float(pooled.mean() or Z.var(axis=0).mean()))
    total = 0.0
    for i in range(classes.k - 1):
        middle = (variances[i] + variances[i + 1 :]) / 2
        distance = np.sum((means[i] - means[i + 1 :]) ** 2 / middle, axis=1) / 8
        logs = np.log(middle) - (np.log(variances[i]) + np.log(variances[i + 1 :])) / 2
        total += float(np.exp(-distance - logs.sum(axis=1) / 2).sum())
    return -2 * total
