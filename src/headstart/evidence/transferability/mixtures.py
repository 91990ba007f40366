"""NLEEP: LEEP without a source classifier, by a Gaussian mixture of the features."""

from typing import Any

import numpy as np

from headstart.draws import pick
from headstart.evidence.transferability.features import as_classes, as_features
from headstart.evidence.transferability.log_sums import log_sum_exp
from headstart.evidence.transferability.source_labels import leep

ENERGY = 0.8
A_CLASS = 5
FEWEST_ROWS = 5
MEANS_STEPS = 5
EM_STEPS = 10
#: Variance that every component has, as a share of the mean variance.
FLOOR = 1e-6


def nleep(F: Any, y: Any, *, random_state: int = 0) -> float:
    r"""LEEP, with the components of a Gaussian mixture of the features in place of the source classes.

    The features are reduced to the principal components that hold 80 % of the variance. A mixture of five Gaussians a
    class is fitted, without labels; its responsibilities are the :math:`\theta(x_i)_z` of `leep`.

    It differs from the paper in three ways, for speed and for small samples: the Gaussians have diagonal covariances;
    ten steps of EM after five of k-means, not convergence; and there are no more components than a fifth of the rows.
    The labels are scored on the rows that they were counted on, so even noise scores above minus the labels' entropy.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)
    random_state : int
        Of the rows at which k-means starts, drawn evenly. The order of the rows makes no difference.

    Raises
    ------
    InputError
        When features or labels can't be read, or there is one class only.

    References
    ----------
    Li, Jia, Sang, Zhu, Green, Wang & Gong: Ranking neural checkpoints. CVPR 2021.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 50)
    >>> apart = nleep(rng.normal(size=(100, 5)) + 4 * y[:, None], y)
    >>> bool(apart > -0.05 > nleep(rng.normal(size=(100, 5)), y))
    True
    """
    features = as_features(F)
    classes = as_classes(y, features.n)
    if not features.rank:
        return leep(np.ones((features.n, 1)), y)
    energy = np.cumsum(features.singular_values**2)
    Z = features.principal(int(np.searchsorted(energy, ENERGY * energy[-1] * (1 - 1e-12))) + 1)
    components = max(2, min(A_CLASS * classes.k, features.n // FEWEST_ROWS))
    return leep(responsibilities(Z, components, random_state), y)


def responsibilities(Z: np.ndarray, components: int, random_state: int) -> np.ndarray:
    """Return how likely each row came from each component of a fitted mixture of diagonal Gaussians, shape (n, k)."""
    floor, squares = FLOOR * float(Z.var(axis=0).mean()), Z**2
    R = _nearest(Z, Z[pick(Z, components, random_state)])
    for _ in range(MEANS_STEPS):
        R = _nearest(Z, (R.T @ Z) / R.sum(axis=0)[:, None])
    for _ in range(EM_STEPS):
        counts = R.sum(axis=0)
        R, counts = R[:, counts > 0], counts[counts > 0]
        means = (R.T @ Z) / counts[:, None]
        variances = np.maximum((R.T @ squares) / counts[:, None] - means**2, 0.0) + floor
        distances = squares @ (1 / variances).T - 2 * Z @ (means / variances).T + np.sum(means**2 / variances, axis=1)
        logs = np.log(counts / len(Z)) - 0.5 * (distances + np.log(variances).sum(axis=1))
        R = np.exp(logs - log_sum_exp(logs))
    return R


def _nearest(Z: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return which centre is nearest to each row, one-hot, without centres that have no row."""
    nearest = np.argmin(np.sum(centres**2, axis=1) - 2 * Z @ centres.T, axis=1)
    return np.eye(len(centres))[nearest][:, np.bincount(nearest, minlength=len(centres)) > 0]
