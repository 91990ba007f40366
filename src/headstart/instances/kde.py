"""Ratio of two kernel density estimates."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.draws import pick
from headstart.errors import InputError
from headstart.instances.base import DensityRatioMethod, mean_one
from headstart.instances.densities import ColumnScale, column_scale, ratio_of_logs
from headstart.instances.places import places
from headstart.kernels import squared_distances

#: Widths that cross-validation tries, as multiples of Scott's, and the rows of each domain that it looks at.
AROUND_SCOTT = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
MOST_CV_ROWS = 1000
#: Rows at a smaller squared distance than this, in scaled columns, are at the same place.
SAME_PLACE = 1e-10
#: Kernel values held at once: 2 MB stay in the processor's cache. With very many centres, so many rows at least.
MOST_VALUES, FEWEST_ROWS = 250_000, 64


class KDEWeighting(DensityRatioMethod):
    r"""KDE weighting: the ratio of two kernel density estimates with Gaussian kernels.

    .. math:: r(x) \propto \frac{\sum_j k(x, x'_j)}{\sum_i k(x, x_i)},\qquad
              k(x, y) = \exp\Bigl(-\frac1{2h^2}\sum_c \frac{(x_c - y_c)^2}{s_c^2}\Bigr),

    with a mean of 1 over the source rows. :math:`s_c` is the pooled standard deviation of column c within the
    domains; a column that varies in neither domain is left out. Both densities have one width, so that what
    smoothing does to them cancels where they are alike: equal samples give weights of exactly 1.

    In the source's density a row counts itself. Leaving it out would let lone rows explode, for what they have beyond
    themselves can be next to nothing. So the ratio at any x has x itself once in the sum over i, whether it is one of
    the rows that the density was made of or not; far away from the source the ratio then stays finite, and weights
    and `ratio` agree. In more than about ten columns a density takes more rows than there ever are; use
    another ratio there.

    Parameters
    ----------
    bandwidth : "cv", "scott", "silverman" or float, default "cv"
        The width h in scaled columns. With n the fewer of the rows that the two densities are made of, and d columns,
        Scott's rule is n^(-1/(d+4)), Silverman's (n (d+2)/4)^(-1/(d+4)). "cv" takes, of half to 2.8 times Scott's, the
        width whose *ratio* has the least squared error by at most 1,000 distinct rows of each domain: in more than
        a few columns a ratio wants wider kernels than a density.
    max_centers : int or None, default 5000
        Estimate each density from at most so many rows, drawn at random, so that time grows with the number of rows
        and not with its square. None uses all. Measured on 5,000 rows of each domain, N(0, 1) and N(0.3, 0.8^2) in
        each of 2 columns: a relative squared error of 0.009 with all rows, 0.008 with 2,500 and 0.018 with 1,000; in
        5 columns 0.06, 0.08 and 0.08.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts when the learner is fitted, where source weights add up to the effective
        size; "balanced" lets them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the rows that the densities, and the cross-validation, are made of; not used when all are.

    Attributes
    ----------
    bandwidth_ : float
        The width h used.
    ratio_ : KDERatio
        The ratio as a function of rows.
    effective_size_ : float
        (sum w)^2 / sum w^2.

    References
    ----------
    Shimodaira: Improving predictive inference under covariate shift by weighting the log-likelihood function.
    Journal of Statistical Planning and Inference 90, 2000.
    Scott: Multivariate Density Estimation. Wiley 1992. Silverman: Density Estimation for Statistics and Data
    Analysis. Chapman & Hall 1986.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(0, 1, (500, 1)), rng.normal(1, 0.5, (500, 1))
    >>> w = KDEWeighting().weigh(Xs, Xt)
    >>> print(f"weighted mean of the source rows {np.average(Xs[:, 0], weights=w):.1f}")
    weighted mean of the source rows 0.9
    """

    def __init__(
        self,
        bandwidth: str | float = "cv",
        max_centers: int | None = 5000,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.bandwidth = bandwidth
        self.max_centers = max_centers
        self.target_weight = target_weight
        self.random_state = random_state

    def learn_ratio(self, Xs: Any, Xt: Any) -> "KDERatio":
        """Choose the width and draw the rows that both densities are made of."""
        if self.max_centers is not None and self.max_centers < 1:
            raise InputError(f"KDEWeighting: max_centers={self.max_centers}; take 1 or more, or None for all rows")
        scale = column_scale(Xs, Xt)
        Zs, Zt = scale(Xs), scale(Xt)
        source, target = self._centers(Zs), self._centers(Zt)
        self.bandwidth_ = self._bandwidth(source, target)
        unscaled = KDERatio(scale, source, target, self.bandwidth_, 0.0)
        _, log_scale = mean_one(unscaled.log_ratio(Zs))
        return KDERatio(scale, source, target, self.bandwidth_, log_scale)

    def _centers(self, Z: Any) -> Any:
        return Z if self.max_centers is None else Z[pick(Z, self.max_centers, self.random_state)]

    def _bandwidth(self, source: Any, target: Any) -> float:
        n, d = min(source.shape[0], target.shape[0]), source.shape[1]
        if not isinstance(self.bandwidth, str):
            if not self.bandwidth > 0:
                raise InputError(f"KDEWeighting: bandwidth={self.bandwidth}; take a number above 0")
            return float(self.bandwidth)
        if self.bandwidth == "scott":
            return scott(n, d)
        if self.bandwidth == "silverman":
            return float((n * (d + 2) / 4) ** (-1 / (d + 4)))
        if self.bandwidth == "cv":
            # Copies of a row would know where it lies when it is left out.
            distinct = [Z[places(Z)[1]] for Z in (source, target)]
            return best_multiple(*(Z[pick(Z, MOST_CV_ROWS, self.random_state)] for Z in distinct)) * scott(n, d)
        raise InputError(
            f"KDEWeighting: bandwidth must be 'scott', 'silverman', 'cv' or a number, not {self.bandwidth!r}"
        )


@dataclass(frozen=True, eq=False)
class KDERatio:
    """The ratio of two kernel density estimates over scaled columns, times exp(log_scale)."""

    scale: ColumnScale
    source: Any
    target: Any
    bandwidth: float
    log_scale: float

    def __call__(self, X: Any) -> np.ndarray:
        """Return the ratio at each row, shape (n,)."""
        return ratio_of_logs(self.log_ratio(self.scale(X)))

    def log_ratio(self, Z: Any) -> np.ndarray:
        """Return the log ratio at scaled rows, shape (n,)."""
        log_t, _ = log_kernel_sums(Z, self.target, self.bandwidth)
        log_s, nearest = log_kernel_sums(Z, self.source, self.bandwidth)
        itself = np.where(nearest < SAME_PLACE, -np.inf, 0.0)
        return np.asarray(log_t - np.logaddexp(log_s, itself) + self.log_scale)


def log_kernel_sums(Z: Any, centers: Any, h: float) -> tuple[np.ndarray, np.ndarray]:
    """Return log sum_i exp(-||z - c_i||^2 / (2 h^2)) and min_i ||z - c_i||^2 of each row z, both of shape (n,)."""
    rows = max(FEWEST_ROWS, MOST_VALUES // centers.shape[0])
    blocks = [_log_sums(squared_distances(Z[start : start + rows], centers), h) for start in range(0, Z.shape[0], rows)]
    return np.concatenate([sums for sums, _ in blocks]), np.concatenate([nearest for _, nearest in blocks])


def _log_sums(D: np.ndarray, h: float) -> tuple[np.ndarray, np.ndarray]:
    """Return log sum_j exp(-D_ij / (2 h^2)) and min_j D_ij for each i. Overwrites D."""
    nearest = D.min(axis=1)
    D -= nearest[:, None]
    D *= -0.5 / h**2
    return np.log(np.exp(D, out=D).sum(axis=1)) - nearest * (0.5 / h**2), nearest


def scott(n: int, d: int) -> float:
    """Return Scott's width for n rows of d columns of unit variance."""
    return float(n ** (-1 / (d + 4)))


def best_multiple(source: Any, target: Any) -> float:
    r"""Return the multiple of Scott's width whose ratio r has the least squared error, as far as rows can tell.

    Up to a constant half the squared error under p_s is :math:`\operatorname{E}_s r^2 / 2 - \operatorname{E}_t r`, as
    for ULSIF. Here r is the ratio of the densities as they are, not yet scaled: a kernel so narrow that rows see only
    themselves then has a ratio near 0 and gains nothing. A target row is left out where its own ratio is taken; where
    it has no other beside it, the answer is 1. Rows are distinct.
    """
    to_target, to_source = squared_distances(source, target), squared_distances(source, source)
    others, from_target = squared_distances(target, target), squared_distances(target, source)
    others[others < SAME_PLACE] = np.inf
    if not np.isfinite(others).any(axis=1).all():
        return 1.0
    more, left = np.log(source.shape[0] / target.shape[0]), np.log(np.isfinite(others).mean(axis=1))
    scores = []
    for multiple in AROUND_SCOTT:
        h = multiple * scott(min(source.shape[0], target.shape[0]), source.shape[1])
        at_source = np.exp(_log_sums(to_target.copy(), h)[0] - _log_sums(to_source.copy(), h)[0] + more)
        log_s, nearest = _log_sums(from_target.copy(), h)
        log_s = np.logaddexp(log_s, np.where(nearest < SAME_PLACE, -np.inf, 0.0))
        at_target = ratio_of_logs(_log_sums(others.copy(), h)[0] - left - log_s + more)
        scores.append(0.5 * np.mean(at_source**2) - np.mean(at_target))
    return AROUND_SCOTT[int(np.argmin(scores))]
