"""Do the domains overlap at all? Where they don't, no weight of a source row means anything."""

import warnings
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.metrics import roc_auc_score
from sklearn.utils.sparsefuncs import mean_variance_axis

from headstart.draws import folds, pick

#: Held-out AUC of telling the domains apart from which they are said not to overlap.
APART = 0.995
#: Rows of each domain that are looked at; with fewer than the least, nothing is said.
MOST_ROWS, LEAST_ROWS = 2000, 20


def warn_when_apart(name: str, Xs: Any, Xt: Any) -> None:
    """Warn, in the name of a method, when rows that were held out can be told apart by a straight line."""
    auc = held_out_separation(Xs, Xt)
    if auc > APART:
        warnings.warn(
            f"{name}: held-out rows of source and target are told apart with AUC {auc:.3f}: the domains hardly "
            "overlap, so source rows can hardly stand for the target's; trust labelled target rows instead",
            stacklevel=3,
        )


def held_out_separation(Xs: Any, Xt: Any) -> float:
    """Return the AUC of the difference of the means, each column by its variance, on the half of the rows not used.

    This is Fisher's discriminant with a diagonal covariance. It sees domains that have moved apart, and costs no more
    than reading the rows. Rows that are too few to tell count as inseparable, 0.5.

    >>> rng = np.random.default_rng(0)
    >>> round(held_out_separation(rng.normal(size=(400, 2)), rng.normal(size=(400, 2))), 1)
    0.5
    >>> held_out_separation(rng.normal(size=(400, 2)), 9 + rng.normal(size=(400, 2)))
    1.0
    """
    if min(Xs.shape[0], Xt.shape[0]) < LEAST_ROWS:
        return 0.5
    halves = []
    for X in (Xs, Xt):
        rows = X[pick(X, MOST_ROWS, 0)].astype(float)
        half = folds(rows, 2, 0)
        halves.append((rows[half == 0], rows[half == 1]))
    (mean_s, var_s), (mean_t, var_t) = (_moments(first) for first, _ in halves)
    spread = var_s + var_t
    direction = np.divide(mean_t - mean_s, spread, out=np.zeros_like(spread), where=spread > 0)
    # A column that is constant in both domains, at different values, tells them apart by itself.
    direction[(spread == 0) & (mean_t != mean_s)] = np.sign(mean_t - mean_s)[(spread == 0) & (mean_t != mean_s)]
    scores = [held @ direction for _, held in halves]
    truth = np.repeat([0, 1], [len(scores[0]), len(scores[1])])
    return float(roc_auc_score(truth, np.concatenate(scores)))


def _moments(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of each column, of dense or sparse rows."""
    if issparse(X):
        mean, variance = mean_variance_axis(X, axis=0)
        return mean, variance
    return X.mean(axis=0), X.var(axis=0)
