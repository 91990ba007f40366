"""What the methods that estimate densities share: columns on one scale, and ratios that stay finite."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import diags_array
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis

#: A ratio is at most exp(80), and one below exp(-80) is zero: what float32 still holds.
MOST_LOG_RATIO = 80.0


@dataclass(frozen=True, eq=False)
class ColumnScale:
    """Columns on one scale: those kept, less their centre, divided by their deviation.

    Called with rows of shape (n, d), it returns them in float64, shape (n, columns kept). Sparse rows are divided
    only, and stay sparse.
    """

    kept: np.ndarray
    center: np.ndarray
    deviation: np.ndarray

    def __call__(self, X: Any) -> Any:
        """Return the scaled rows."""
        X = X[:, self.kept].astype(float)
        if not isinstance(X, np.ndarray):
            return (X @ diags_array(1.0 / self.deviation)).tocsr()
        X -= self.center
        X /= self.deviation
        return X


def column_scale(Xs: Any, Xt: Any) -> ColumnScale:
    r"""Return the scale of the columns: the pooled standard deviation within the domains.

    .. math:: s_j^2 = \frac{\sum_i (x_{ij} - \bar x_j)^2 + \sum_i (x'_{ij} - \bar x'_j)^2}{n_s + n_t - 2}

    How far apart the domains are does not enter. A column that never varies within either domain tells no source row
    from another and is left out; where all are like that, the first is kept, undivided.
    """
    mean_s, squares_s, varies_s = _moments(Xs)
    _, squares_t, varies_t = _moments(Xt)
    deviation = np.sqrt((squares_s + squares_t) / max(Xs.shape[0] + Xt.shape[0] - 2, 1))
    kept = np.flatnonzero((varies_s | varies_t) & (deviation > 0))
    if not len(kept):
        return ColumnScale(np.array([0]), mean_s[:1], np.ones(1))
    return ColumnScale(kept, mean_s[kept], deviation[kept])


def _moments(X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of each column its mean, its sum of squares about the mean, and whether it varies."""
    if isinstance(X, np.ndarray):
        mean, variance, least, most = X.mean(axis=0, dtype=float), X.var(axis=0, dtype=float), X.min(0), X.max(0)
    else:
        mean, variance = mean_variance_axis(X.astype(float), axis=0)
        least, most = min_max_axis(X, axis=0)
    return mean, variance * X.shape[0], most > least


def ratio_of_logs(log_ratio: np.ndarray) -> np.ndarray:
    """Return exp(log_ratio), at most exp(80), and zero below exp(-80).

    Further out, where no source row lies, a ratio only says "very large".

    >>> ratio_of_logs(np.array([-1e5, 0.0, 1e5])).tolist()
    [0.0, 1.0, 5.54062238439351e+34]
    """
    log_ratio = np.where(log_ratio < -MOST_LOG_RATIO, -np.inf, log_ratio)
    return np.asarray(np.exp(np.minimum(log_ratio, MOST_LOG_RATIO)))
