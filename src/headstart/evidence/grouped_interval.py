"""The interval of cross-validation where rows belong together: what counts is how many users there are, not rows."""

from __future__ import annotations

import numpy as np

from headstart.errors import InputError
from headstart.evidence.interval import LEVEL, TRAINING_SHARE, UNSEEN, Interval, student_interval


def group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the mean of each group, shape (..., groups), of values of shape (..., n); groups are numbers from 0.

    >>> group_means(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 1])).tolist()
    [2.0, 5.0]
    """
    sizes = np.bincount(groups)
    flat = np.atleast_2d(values.reshape(-1, values.shape[-1]))
    means = np.stack([np.bincount(groups, row, minlength=len(sizes)) for row in flat]) / sizes
    return means.reshape(*values.shape[:-1], len(sizes))


def mean_over_groups(values: np.ndarray, groups: np.ndarray | None) -> float:
    """Return the mean over groups of a group's mean, or over rows where there are no groups.

    >>> mean_over_groups(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 1]))
    3.5
    """
    return float(np.mean(values if groups is None else group_means(np.asarray(values, dtype=float), groups)))


def grouped_interval(differences: np.ndarray, folds: np.ndarray, groups: np.ndarray, level: float = LEVEL) -> Interval:
    r"""Return the mean over groups of the mean over a group's rows, with its interval.

    Rows of one user are alike, so a hundred rows of ten users say less than a hundred rows of a hundred. Each group
    (user) is one observation, whether its rows were held out together or in several folds:

    .. math:: \mathrm{Var}(\bar{d}) \approx \frac{S^2}{U} + 0.35\,(K - 1) C

    :math:`S^2` is the variance over the U groups of a group's mean, over its rows and the repeats. :math:`C` is, as in
    `rows_interval`, the covariance of two rows that were held out together, each less its own mean over the repeats;
    here of two rows of different groups, and each counts as much as it does in the mean. Where every group is one row,
    the interval is that of `rows_interval`, but for folds of unequal size.

    Parameters
    ----------
    differences : array of shape (repeats, n)
        Of each row in each repeat.
    folds : array of shape (repeats, n)
        The folds, numbered from 0, in which a row was held out.
    groups : array of shape (n,)
        Numbers from 0.
    level : float

    Raises
    ------
    InputError
        When there is one group only.

    References
    ----------
    Cameron, Miller: A Practitioner's Guide to Cluster-Robust Inference. Journal of Human Resources, 2015.

    Examples
    --------
    Six rows of two users: two observations.

    >>> differences, folds = np.array([[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]]), np.array([[0, 1, 0, 1, 0, 1]])
    >>> grouped_interval(differences, folds, np.array([0, 0, 0, 1, 1, 1])).freedom
    1
    """
    differences, folds = np.atleast_2d(np.asarray(differences, dtype=float)), np.atleast_2d(folds)
    sizes = np.bincount(groups)
    n_groups = len(sizes)
    if n_groups < 2:
        raise InputError("an interval over users needs two of them or more")
    of_groups = group_means(differences.mean(axis=0), groups)
    mean = float(of_groups.mean())
    variance = float(of_groups.var(ddof=1)) / n_groups
    repeats, K = len(differences), int(folds.max()) + 1
    if repeats > 1:
        weight = 1.0 / (n_groups * sizes[groups])
        together = _held_together(differences - differences.mean(axis=0), folds, groups, weight)
        variance += TRAINING_SHARE * (K - 1) * max(together, 0.0)
    else:
        variance *= 1 + UNSEEN
    return student_interval(mean, mean, float(np.sqrt(variance)), n_groups - 1, level)


def _held_together(centred: np.ndarray, folds: np.ndarray, groups: np.ndarray, weight: np.ndarray) -> float:
    """Return the weighted mean product of two rows of a fold and of different groups."""
    products = pairs = 0.0
    n_groups = int(groups.max()) + 1
    for of_row, e in zip(folds, centred, strict=True):
        cell = of_row * n_groups + groups
        cells = n_groups * (int(folds.max()) + 1)
        for values, is_weight in ((weight * e, False), (weight, True)):
            by_cell = np.bincount(cell, values, minlength=cells).reshape(-1, n_groups)
            found = float((by_cell.sum(axis=1) ** 2).sum() - (by_cell**2).sum())
            if is_weight:
                pairs += found
            else:
                products += found
    if pairs <= 0:
        return 0.0
    return products / pairs / (1 - 1 / len(folds))
