"""CORAL: correlation alignment."""

from typing import Any, ClassVar

import numpy as np

from headstart.features.base import FeatureMethod
from headstart.mapping import AffineMap, IdentityMap, Map
from headstart.method import Needs


class CORAL(FeatureMethod):
    r"""Correlation alignment: give the source rows the target's covariance.

    .. math:: x \mapsto (x - \mu_s)\,C_s^{-1/2} C_t^{1/2} + \mu,\qquad
              C_\bullet = \operatorname{cov}(X_\bullet) + \lambda I

    with :math:`\mu = \mu_t` when means are aligned too and :math:`\mu = \mu_s` otherwise. Of all linear maps that
    take the covariance :math:`C_s` to :math:`C_t` it is the one in the paper (whitening, then re-colouring).
    Target rows stay where they are.

    Parameters
    ----------
    reg : float, default 1.0
        :math:`\lambda`, added to the diagonal of both covariances; 1 in the paper, for standardised columns.
    align_means : bool, default True
        Move the source mean onto the target mean as well. The paper standardises each domain beforehand, which
        does the same.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.

    References
    ----------
    Sun, Feng, Saenko: Return of Frustratingly Easy Domain Adaptation. AAAI 2016.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(size=(500, 2)), rng.normal(size=(500, 2)) @ [[2.0, 1.0], [0.0, 1.0]]
    >>> aligned = CORAL(reg=1e-9).fit(Xs, Xt).transform_source(Xs)
    >>> bool(np.allclose(np.cov(aligned.T), np.cov(Xt.T)))
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, dense=True, learner="any")

    def __init__(self, reg: float = 1.0, align_means: bool = True, target_weight: float | str = "balanced") -> None:
        self.reg = reg
        self.align_means = align_means
        self.target_weight = target_weight

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of source rows, and the identity for target rows. Labels are not used."""
        return alignment_of(Xs, Xt, self.reg, self.align_means), IdentityMap()


def coral_matrix(Xs: np.ndarray, Xt: np.ndarray, reg: float) -> np.ndarray:
    """Return C_s^(-1/2) C_t^(1/2), shape (d, d)."""
    return _symmetric_power(covariance(Xs, reg), -0.5) @ _symmetric_power(covariance(Xt, reg), 0.5)


def alignment_of(Xs: np.ndarray, Xt: np.ndarray, reg: float, align_means: bool = True) -> AffineMap:
    """Return the map that gives source rows the target's covariance, and its mean unless told otherwise."""
    mean_s = Xs.mean(axis=0)
    A = coral_matrix(Xs, Xt, reg).astype(Xs.dtype, copy=False)
    return AffineMap(mean_s, A, Xt.mean(axis=0) if align_means else mean_s)


def covariance(X: np.ndarray, reg: float) -> np.ndarray:
    """Return the sample covariance (n - 1 in the denominator) plus reg on the diagonal, shape (d, d)."""
    centred = X - X.mean(axis=0)
    return centred.T @ centred / max(len(X) - 1, 1) + reg * np.eye(X.shape[1])


def _symmetric_power(C: np.ndarray, power: float) -> np.ndarray:
    """Return C^power of a symmetric positive semidefinite C; directions without variance map to zero."""
    values, vectors = np.linalg.eigh(C)
    kept = values > values[-1] * len(values) * np.finfo(values.dtype).eps
    powered = np.zeros_like(values)
    powered[kept] = values[kept] ** power
    return (vectors * powered) @ vectors.T
