"""LogME: the marginal likelihood of a Bayesian linear model on the features."""

from typing import Any

import numpy as np

from headstart.domain import Task
from headstart.evidence.transferability.features import Features, as_classes, as_features, as_quantities
from headstart.evidence.transferability.peaks import highest

#: The ratio alpha / beta is sought between these powers of ten times the largest eigenvalue of F'F.
POWERS = (-14.0, 8.0)
#: A fit's residual, as a share of the labels' sum of squares, counts as no smaller than this.
SMALLEST_RESIDUAL = 1e-12


def logme(F: Any, y: Any, *, task: Task = "classification") -> float:
    r"""Logarithm of the maximum evidence of a Bayesian linear model, per row; the mean over classes.

    .. math:: \frac{1}{n} \max_{\alpha,\beta} \Bigl[ \frac{d}{2} \log\alpha + \frac{n}{2} \log\beta
        - \frac{1}{2} \log|\alpha I + \beta F^\top F| - \frac{\beta}{2} \|Fm - y\|^2 - \frac{\alpha}{2} \|m\|^2
        - \frac{n}{2} \log 2\pi \Bigr]

    with :math:`m = \beta(\alpha I + \beta F^\top F)^{-1} F^\top y`, and y the column of one class, one-hot. As in the
    paper the features are not centred and there is no intercept.

    The determinant is that of all d directions, so that features with more columns than rows get no bonus (the authors'
    code leaves out (d - r)/2 log alpha, where r is the rank, and scores noise at 3.6 then). Nothing is added to any
    denominator, so the score does not change when the features are rescaled. Given the ratio of alpha and beta, the
    best beta is known in closed form; the ratio's maximum is sought on a grid and refined, not by the paper's
    fixed-point iteration, whose limit is a stationary point of the same function. A perfect fit has unbounded evidence:
    the residual counts as no less than 1e-12 of the labels' sum of squares. There is no best value, and scores of
    different tasks can't be compared: imbalanced noise scores higher than balanced noise.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)
    task : "classification" or "regression"
        For regression y is taken as it is.

    Raises
    ------
    InputError
        When features or labels can't be read, or all labels are the same.

    References
    ----------
    You, Liu, Wang & Long: LogME: Practical assessment of pre-trained models for transfer learning. ICML 2021.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise, y = rng.normal(size=(100, 300)), np.repeat([0, 1], 50)
    >>> round(logme(noise, y), 2), round(logme(noise + y[:, None], y), 2)
    (-1.07, -0.15)
    """
    features = as_features(F)
    if task == "regression":
        return float(evidences(features, as_quantities(y, features.n)[:, None])[0])
    return float(evidences(features, as_classes(y, features.n).one_hot).mean())


def evidences(features: Features, Y: np.ndarray) -> np.ndarray:
    """Return the log maximum evidence per row of each column of Y, shape (c,)."""
    # In the orthonormal directions (U, 1/sqrt(n)) the matrix FF' is the diagonal s^2 bordered by `border`: the mean of
    # the features, put back. Its determinant and inverse follow from the Schur complement of the last entry, here in a
    # form that only adds positive numbers.
    n = features.n
    U, s = features.factors
    squares = s**2
    mu = (U.T @ (features.centred @ features.mean)) / s
    aside = max(float(features.mean @ features.mean - mu @ mu), 0.0)
    border = s * mu * np.sqrt(n)
    z, z_mean, total = U.T @ Y, Y.sum(axis=0) / np.sqrt(n), np.sum(Y**2, axis=0)
    rest = np.maximum(total - np.sum(z**2, axis=0) - z_mean**2, 0.0)
    largest = max(float(squares.max(initial=0.0)), n * float(features.mean @ features.mean))
    if largest == 0:
        return -0.5 * np.log(2 * np.pi * np.e * total / n)

    mu_squared, z_squared, z_border = mu**2, z**2, z * border[:, None]

    def at(log_t: np.ndarray) -> np.ndarray:
        t = np.exp(log_t)
        inverse = 1 / (squares[:, None] + t)
        schur = t + n * aside + n * t * (mu_squared @ inverse)
        residual = rest + t * (
            np.sum(z_squared * inverse, axis=0) + (z_mean - np.sum(z_border * inverse, axis=0)) ** 2 / schur
        )
        log_det = np.log1p(squares[:, None] / t).sum(axis=0) + np.log(schur / t)
        beta = n / np.maximum(residual, SMALLEST_RESIDUAL * total)
        return np.asarray(0.5 * (np.log(beta / (2 * np.pi * np.e)) - log_det / n))

    grid = np.log(largest) + np.log(10) * np.arange(POWERS[0], POWERS[1] + 0.1, 0.5)
    values = np.array([at(np.full(Y.shape[1], point)) for point in grid])
    best = values.argmax(axis=0)
    peak = highest(at, grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)])
    return np.maximum(at(peak), values.max(axis=0))
