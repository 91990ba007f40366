"""Ratio of two Gaussian densities."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.covariance import empirical_covariance, ledoit_wolf, shrunk_covariance

from headstart.errors import InputError
from headstart.instances.base import DensityRatioMethod, mean_one
from headstart.instances.densities import ColumnScale, column_scale, ratio_of_logs
from headstart.method import Needs

#: Least variance of a domain in any direction, beside that of a column. A flat domain would else rule out all others.
LEAST_VARIANCE = 1e-6

#: Rows from which a covariance of its own is estimated.
FEWEST_ROWS = 3


class GaussianWeighting(DensityRatioMethod):
    r"""Gaussian weighting: the ratio of two Gaussian densities, one fitted to each domain.

    .. math:: \log r(x) = -\tfrac12 (x-\mu_t)^\top\Sigma_t^{-1}(x-\mu_t) + \tfrac12 (x-\mu_s)^\top\Sigma_s^{-1}(x-\mu_s)
              + c

    with c such that the weights have a mean of 1 over the source rows. With few rows a fit of so few parameters is
    steadier than any other ratio; it is as good as the domains are Gaussian. Columns are first divided by their
    pooled standard deviation within the domains, so units do not matter; those that vary in neither domain are
    left out. Covariances (by n) are shrunk, :math:`(1-\rho)S + \rho\,\mathrm{tr}(S)/d\,I`, and their eigenvalues are
    at least 1e-6. A domain of fewer than three rows takes the covariance of the other.

    Parameters
    ----------
    shrinkage : "ledoit-wolf" or float, default "ledoit-wolf"
        The share :math:`\rho` in each domain: between 0 (the sample's covariance) and 1 (a sphere), or that of Ledoit
        and Wolf, which vanishes as rows grow in number.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts when the learner is fitted, where source weights add up to the effective
        size; "balanced" lets them together count as much as all source rows, and each at least 1.

    Attributes
    ----------
    ratio_ : GaussianRatio
        The ratio as a function of rows.
    effective_size_ : float
        (sum w)^2 / sum w^2.

    References
    ----------
    Shimodaira: Improving predictive inference under covariate shift by weighting the log-likelihood function.
    Journal of Statistical Planning and Inference 90, 2000.
    Ledoit & Wolf: A well-conditioned estimator for large-dimensional covariance matrices. Journal of Multivariate
    Analysis 88, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(0, 1, (20000, 1)), rng.normal(1, 1, (20000, 1))
    >>> w = GaussianWeighting().weigh(Xs, Xt)
    >>> slope, intercept = np.polyfit(Xs[:, 0], np.log(w), 1)  # log r(x) = x - 1/2
    >>> print(f"log w = {slope:.1f} x {intercept:+.1f}")
    log w = 1.0 x -0.5
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, dense=True)

    def __init__(self, shrinkage: str | float = "ledoit-wolf", target_weight: float | str = "balanced") -> None:
        self.shrinkage = shrinkage
        self.target_weight = target_weight

    def learn_ratio(self, Xs: Any, Xt: Any) -> "GaussianRatio":
        """Fit a Gaussian to each domain."""
        scale = column_scale(Xs, Xt)
        rows = {"source": scale(Xs), "target": scale(Xt)}
        covariances = {name: self._covariance(X) for name, X in rows.items() if len(X) >= FEWEST_ROWS}
        sphere = np.eye(rows["source"].shape[1])
        source = gaussian(rows["source"], covariances.get("source", covariances.get("target", sphere)))
        target = gaussian(rows["target"], covariances.get("target", covariances.get("source", sphere)))
        _, log_scale = mean_one(target(rows["source"]) - source(rows["source"]))
        return GaussianRatio(scale, source, target, log_scale)

    def _covariance(self, X: np.ndarray) -> np.ndarray:
        if isinstance(self.shrinkage, str):
            if self.shrinkage != "ledoit-wolf":
                raise InputError(
                    "GaussianWeighting: shrinkage must be 'ledoit-wolf' or a number between 0 and 1, "
                    f"not {self.shrinkage!r}"
                )
            return np.asarray(ledoit_wolf(X)[0])
        if not 0 <= self.shrinkage <= 1:
            raise InputError(f"GaussianWeighting: shrinkage={self.shrinkage}; take a number between 0 and 1")
        return np.asarray(shrunk_covariance(empirical_covariance(X), self.shrinkage))


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A Gaussian density: its mean, a matrix that makes its covariance the identity, and the log of its height."""

    mean: np.ndarray
    whitening: np.ndarray
    log_height: float

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the log density at each row, shape (n,)."""
        Z = (X - self.mean) @ self.whitening
        return np.asarray(self.log_height - 0.5 * np.einsum("ij,ij->i", Z, Z))


def gaussian(X: np.ndarray, covariance: np.ndarray) -> Gaussian:
    """Return the Gaussian with the mean of the rows and a covariance, eigenvalues not below `LEAST_VARIANCE`."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, LEAST_VARIANCE)
    log_height = -0.5 * float(np.log(2 * np.pi * values).sum())
    return Gaussian(X.mean(axis=0), vectors / np.sqrt(values), log_height)


@dataclass(frozen=True, eq=False)
class GaussianRatio:
    """The ratio of two Gaussian densities over scaled columns, times exp(log_scale)."""

    scale: ColumnScale
    source: Gaussian
    target: Gaussian
    log_scale: float

    def __call__(self, X: Any) -> np.ndarray:
        """Return the ratio at each row, shape (n,)."""
        X = self.scale(X)
        return ratio_of_logs(self.target(X) - self.source(X) + self.log_scale)
