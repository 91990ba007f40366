"""H-score: how much of the features' spread lies between the classes."""

import warnings
from typing import Any

import numpy as np

from headstart.evidence.transferability.features import as_classes, as_features


def h_score(F: Any, y: Any, shrinkage: bool = False) -> float:
    r"""H-score, plain or with the covariance shrunk.

    .. math:: \mathrm{tr}\,(\mathrm{cov}(f)^{+} \mathrm{cov}(E[f|y])), \quad
        \mathrm{tr}\,(\Sigma_a^{-1} (1-a) \mathrm{cov}(E[f|y])), \quad
        \Sigma_a = (1-a) \mathrm{cov}(f) + a \frac{\mathrm{tr}\, \mathrm{cov}(f)}{d} I

    where a is the shrinkage of Ledoit and Wolf. The best value is the number of classes less one, or the number of
    directions if that is smaller. The plain form reaches it on pure noise once there are no more rows than columns:
    labels at random score about (k - 1) r / (n - 1), where r is the rank. It warns when that is half its bound or more.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)
    shrinkage : bool
        Whether to shrink the covariance.

    Raises
    ------
    InputError
        When features or labels can't be read, or there is one class only.

    References
    ----------
    Bao, Li, Huang, Zhang, Zheng, Zamir & Guibas: An information-theoretic approach to transferability in task transfer
    learning. ICIP 2019. Ibrahim, Ponomareva & Mazumder: Newer is not always better: Rethinking transferability
    metrics, their peculiarities, stability and performance. ECML PKDD 2022.
    Ledoit & Wolf: A well-conditioned estimator for large-dimensional covariance matrices. JMVA 2004.

    Examples
    --------
    >>> F = np.array([[0.0], [1.0], [3.0], [4.0]])
    >>> round(h_score(F, [0, 0, 1, 1]), 4)
    0.9
    >>> rng = np.random.default_rng(0)
    >>> noise, y = rng.normal(size=(100, 400)), np.repeat([0, 1], 50)
    >>> round(h_score(noise, y, shrinkage=True), 1)
    0.1
    """
    features = as_features(F)
    classes = as_classes(y, features.n)
    U, s = features.factors
    means = classes.means(U)
    between = classes.counts @ means**2
    if not shrinkage:
        if 2 * features.rank >= features.n - 1:
            bound = min(classes.k - 1, features.rank)
            chance = min((classes.k - 1) * features.rank / (features.n - 1), bound)
            warnings.warn(
                f"H-score: {features.n} rows are too few for {features.rank} directions; labels at random would score "
                f"about {chance:.2g} of at most {bound}; use shrinkage=True",
                UserWarning,
                stacklevel=2,
            )
        return float(between.sum())
    if not features.rank:
        return 0.0
    squares = s**2 / features.n
    lengths = np.sum(features.coordinates**2, axis=1)
    a = ledoit_wolf_shrinkage(float(squares.sum()), float(np.sum(squares**2)), lengths, features.d)
    shrunk = (1 - a) * squares + a * squares.sum() / features.d
    return float(np.sum((1 - a) * squares / shrunk * between))


def ledoit_wolf_shrinkage(trace: float, squared_norm: float, squared_lengths: np.ndarray, d: int) -> float:
    r"""Return Ledoit and Wolf's shrinkage of a covariance towards a multiple of the identity.

    .. math:: a = \min(1, \beta^2 / \delta^2), \quad \delta^2 = \|S\|^2 - (\mathrm{tr}\, S)^2 / d, \quad
        \beta^2 = \frac{1}{n} \Bigl(\frac{1}{n} \sum_i \|x_i\|^4 - \|S\|^2\Bigr)

    Parameters
    ----------
    trace, squared_norm : float
        Of S, the covariance of the centred rows (divided by n): its trace and its squared Frobenius norm.
    squared_lengths : array of shape (n,)
        Of the centred rows.
    d : int
        How many columns the rows have.
    """
    n = len(squared_lengths)
    delta = squared_norm - trace**2 / d
    beta = (float(np.mean(squared_lengths**2)) - squared_norm) / n
    # All directions alike: S is its own target, and any shrinkage gives the same.
    return 0.0 if beta <= 0 else 1.0 if beta >= delta else beta / delta
