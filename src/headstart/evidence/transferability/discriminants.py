"""Linear discriminants: SFDA, ETran, and what they share with the leave-one-out probe."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.special import softmax

from headstart.errors import InputError
from headstart.evidence.transferability.features import Classes, Features, as_classes, as_features
from headstart.evidence.transferability.log_sums import log_sum_exp

#: A covariance within classes is given at least this share of the largest variance in every direction: rounding leaves
#: it no more exact than that.
LEAST = 1e-11
ETRAN_RIDGE = 1e-5
ETRAN_WEIGHTS = (0.15, 0.85)


class EtranParts(NamedTuple):
    """The two parts of ETran for one candidate."""

    energy: float
    lda: float


def sfda(F: Any, y: Any) -> float:
    r"""Self-challenging Fisher discriminant analysis: the mean probability of the right class.

    A linear discriminant with the covariance within classes :math:`(1-\lambda) S_w + \lambda \bar s I`, where
    :math:`\lambda = \max(e^{-5\sigma}, 10^{-10})`, :math:`\sigma` is the largest eigenvalue of :math:`S_w` and
    :math:`\bar s` the mean one, gives each row a probability p of its class. The probabilities go through a softmax
    again, each row is mixed with the mean of the other classes' means, :math:`p x + (1-p) \bar\mu`, and the
    discriminant with the same :math:`\lambda` is fitted and scored anew. All this is as in the authors' code, down to
    the mean of p where the paper has its logarithm.

    It is 1 at best. It is scored on the rows it is fitted on, so with more directions than rows noise scores near 1:
    it warns then. Through :math:`\lambda` it depends on the scale of the features. The features given are not changed.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)

    Raises
    ------
    InputError
        When features or labels can't be read, or there is one class only.

    References
    ----------
    Shao, Zhao, Zhang, Wang, Yang, Ge, Shan, Luo: Not all models are equal: Predicting model transferability in a
    self-challenging Fisher space. ECCV 2022.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 50)
    >>> bool(sfda(rng.normal(size=(100, 4)) + 3 * y[:, None], y) > 0.9 > sfda(rng.normal(size=(100, 4)), y))
    True
    """
    features = as_features(F)
    classes = as_classes(y, features.n)
    warn_of_resubstitution("SFDA", features, classes)
    X = features.coordinates
    if not features.rank:
        return float(classes.shares @ classes.shares)
    Sw = scatter_within(X, classes, features.singular_values**2) / features.n
    last = len(Sw) - 1
    largest = float(eigh(Sw, eigvals_only=True, subset_by_index=[last, last], check_finite=False)[0])
    shrinkage = max(float(np.exp(-5 * largest)), 1e-10)
    p = softmax(softmax(discriminant(X, classes, Sw, features.d, shrinkage), axis=1), axis=1)
    p = p[np.arange(features.n), classes.codes][:, None]
    means = classes.means(X)
    others = (means.sum(axis=0) - means) / (classes.k - 1)
    X = p * X + (1 - p) * others[classes.codes]
    X = X - X.mean(axis=0)
    Sw = scatter_within(X, classes, X.T @ X) / features.n
    return _mean_probability(discriminant(X, classes, Sw, features.d, shrinkage), classes)


def etran(F: Any, y: Any) -> EtranParts:
    r"""Return ETran's two parts: the energy of the features, and the mean probability of the right class.

    .. math:: \frac{1}{n} \sum_i \log \sum_j e^{F_{ij}}, \quad \frac{1}{n} \sum_i p(y_i|x_i)

    p comes from a linear discriminant on all rows, its covariance within classes raised by 1e-5 of its mean
    eigenvalue. The score is 0.15 times the first plus 0.85 times the second, each scaled to 0 to 1 *over the
    candidates*: see `etran_among`. One candidate has no score of its own, and another candidate can change who wins.

    The energy does not look at the labels and depends on the scale of the features. The discriminant is scored on the
    rows it is fitted on, so with more directions than rows noise scores near 1: it warns then.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)

    Raises
    ------
    InputError
        When features or labels can't be read, or there is one class only.

    References
    ----------
    Gholami, Akbari, Wang, Kamranian & Zhang: ETran: Energy-based transferability estimation. ICCV 2023.

    Examples
    --------
    >>> parts = etran([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [5.0, 0.0], [5.0, 1.0], [6.0, 0.0]], [0, 0, 0, 1, 1, 1])
    >>> round(parts.energy, 3), round(parts.lda, 3)
    (3.225, 1.0)
    """
    return EtranParts(energy(F), etran_lda(F, y))


def etran_among(parts: Sequence[EtranParts]) -> np.ndarray:
    """Return ETran's score of each of several candidates, shape (c,), from their parts.

    Each part is scaled to 0 to 1 over the candidates; a part that is the same for all says nothing and counts 0.

    Raises
    ------
    InputError
        When there are fewer than two candidates.

    Examples
    --------
    >>> etran_among([EtranParts(1.0, 0.5), EtranParts(3.0, 0.9), EtranParts(2.0, 0.7)])
    array([0. , 1. , 0.5])
    """
    if len(parts) < 2:
        raise InputError("ETran's score is relative to other candidates; give two or more")
    values = np.array(parts, dtype=float)
    width = np.ptp(values, axis=0)
    scaled = np.divide(values - values.min(axis=0), width, out=np.zeros_like(values), where=width > 0)
    return np.asarray(scaled @ np.array(ETRAN_WEIGHTS))


def energy(F: Any, y: Any = None) -> float:
    """Return the mean, over rows, of the log of the sum of the features' exponentials: ETran's first part.

    The labels are taken, as by every score, and not looked at.
    """
    return float(np.mean(log_sum_exp(as_features(F).F)))


def etran_lda(F: Any, y: Any) -> float:
    """Return the mean probability of the right class under a linear discriminant: ETran's second part."""
    features = as_features(F)
    classes = as_classes(y, features.n)
    warn_of_resubstitution("ETran", features, classes)
    X = features.coordinates
    Sw = scatter_within(X, classes, features.singular_values**2) / features.n
    return _mean_probability(discriminant(X, classes, Sw, features.d, ETRAN_RIDGE / (1 + ETRAN_RIDGE)), classes)


def scatter_within(X: np.ndarray, classes: Classes, total: np.ndarray) -> np.ndarray:
    """Return the scatter of centred rows within their classes, shape (r, r), from the total scatter or its diagonal."""
    means = classes.means(X)
    scatter = -(means.T * classes.counts) @ means
    if total.ndim == 1:
        scatter.flat[:: len(total) + 1] += total
    else:
        scatter += total
    return scatter


def shrunk(Sw: np.ndarray, d: int, shrinkage: float, top: float) -> np.ndarray:
    """Return (1 - a) Sw + a (tr Sw / d) I, with at least 1e-11 of the largest variance `top` in every direction."""
    A = (1 - shrinkage) * Sw
    A.flat[:: len(A) + 1] += max(shrinkage * float(np.trace(Sw)) / d, LEAST * top)
    return A


def discriminant(X: np.ndarray, classes: Classes, Sw: np.ndarray, d: int, shrinkage: float) -> np.ndarray:
    r"""Return :math:`x^\top A^{-1} \mu_c - \frac{1}{2} \mu_c^\top A^{-1} \mu_c + \log \pi_c`, shape (n, k).

    Projecting on the k - 1 Fisher directions first, as papers do, gives the same differences between classes: these
    directions span the images of the class means under A's inverse.
    """
    logs = np.log(classes.shares)
    if not X.shape[1]:
        return np.tile(logs, (len(X), 1))
    top = float((X**2).sum(axis=0).max()) / len(X)
    means = classes.means(X)
    solved = cho_solve(cho_factor(shrunk(Sw, d, shrinkage, top), lower=True, check_finite=False), means.T)
    return np.asarray(X @ solved - 0.5 * np.einsum("cr,rc->c", means, solved) + logs)


def warn_of_resubstitution(name: str, features: Features, classes: Classes) -> None:
    """Say that a score on the rows fitted is near its best value whatever the labels."""
    if features.rank >= features.n - classes.k:
        warnings.warn(
            f"{name}: with {features.rank} directions for {features.n} rows it is near 1 for any labels, since it is "
            "scored on the rows it was fitted on; use ridge or lda",
            UserWarning,
            stacklevel=3,
        )


def _mean_probability(scores: np.ndarray, classes: Classes) -> float:
    return float(softmax(scores, axis=1)[np.arange(len(scores)), classes.codes].mean())
