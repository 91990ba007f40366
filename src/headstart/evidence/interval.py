"""Intervals and tests of a mean difference over rows: fresh rows, or the rows of repeated cross-validation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest
from scipy.stats import t as student_t

from headstart.errors import InputError

LEVEL = 0.95

#: Share of the training sets' variation that counts. Settled on studies 0 to 99 of benchmarks/verdict_coverage.py with
#: 0, 0.25, 0.35, 0.5 and 1 in view: a row's two roles, learned from and scored on, partly cancel.
TRAINING_SHARE = 0.35
#: What stands for that variation, as a share of the rows' variance, when there is one repeat and it can't be seen.
UNSEEN = 0.5


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval and the test that agrees with it.

    Attributes
    ----------
    mean, low, high : float
    p : float
        Two-sided: below 1 - level just when the interval leaves zero out.
    error : float
        Standard error behind the interval.
    freedom : int
        Degrees of freedom of Student's t.
    """

    mean: float
    low: float
    high: float
    p: float
    error: float
    freedom: int

    def __str__(self) -> str:
        return f"{self.mean:+.4g} ({self.low:+.4g} to {self.high:+.4g}, p = {self.p:.2g})"

    def document(self) -> dict[str, Any]:
        """Return the interval in plain types."""
        return asdict(self)


def student_interval(mean: float, centre: float, error: float, freedom: int, level: float = LEVEL) -> Interval:
    """Return centre -+ t error, and the p-value of zero.

    >>> print(student_interval(0.5, 0.5, 0.25, 30))
    +0.5 (-0.01057 to +1.011, p = 0.055)
    """
    half = float(student_t.ppf(0.5 + level / 2, freedom)) * error
    p = float(centre == 0) if error == 0 else float(2 * student_t.sf(abs(centre) / error, freedom))
    return Interval(mean, centre - half, centre + half, p, error, freedom)


def rows_interval(differences: np.ndarray, folds: np.ndarray, level: float = LEVEL) -> Interval:
    r"""Return the mean difference of repeated cross-validation with its interval, row by row.

    A row is scored once a repeat, by a model that was learned without it. The mean moves with the rows it is scored
    on, and with the rows it is learned from:

    .. math:: \mathrm{Var}(\bar{d}) \approx \frac{S^2}{n} + 0.35\,(K - 1) C

    :math:`S^2` is the variance over rows of a row's mean over the repeats (the central limit theorem of
    cross-validation, Bayle et al. 2020). :math:`C` is the covariance of two rows held out together, each less its own
    mean over the repeats: rows scored by the same models move together as these vary. :math:`(K - 1) C` is the
    jackknife variance that leaves out a fold at a time, and not less than zero. A third of it counts, because a row
    that spoils the model it is learned in is often one that is badly scored too; how much these cancel can't be told
    without bias (Bengio & Grandvalet 2004), so the third was settled by simulation. With one repeat C is unknown, and
    half the first term takes its place.

    Parameters
    ----------
    differences : array of shape (repeats, n)
        Of each row in each repeat.
    folds : array of shape (repeats, n)
        Numbers from 0 of the folds in which a row was held out.
    level : float

    Returns
    -------
    Interval
        Its mean is the mean over splits, as cross-validation reports it.

    Raises
    ------
    InputError
        When the shapes differ, there are fewer than two rows, or a repeat has one fold.

    References
    ----------
    Bayle, Bayle, Janson, Mackey: Cross-validation Confidence Intervals for Test Error. NeurIPS 2020.
    Bengio, Grandvalet: No Unbiased Estimator of the Variance of K-Fold Cross-Validation. JMLR 2004.

    Examples
    --------
    >>> differences = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    >>> folds = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    >>> print(rows_interval(differences, folds))
    +0.5 (-0.1496 to +1.15, p = 0.092)
    """
    differences, folds = np.asarray(differences, dtype=float), np.asarray(folds, dtype=int)
    if differences.ndim != 2 or differences.shape != folds.shape or differences.shape[1] < 2:
        raise InputError(
            f"differences and folds must both have the shape (repeats, rows), with two rows or more, not "
            f"{differences.shape} and {folds.shape}"
        )
    repeats, n = differences.shape
    K = int(folds.max()) + 1
    sizes = np.stack([np.bincount(of_row, minlength=K) for of_row in folds])
    if K < 2 or not sizes.all():
        raise InputError("every repeat needs the same two folds or more, numbered from 0")
    sums = np.stack([np.bincount(f, d, minlength=K) for f, d in zip(folds, differences, strict=True)])
    mean = float((sums / sizes).mean())
    by_row = differences.mean(axis=0)
    variance = float(by_row.var(ddof=1)) / n
    if repeats > 1:
        variance += TRAINING_SHARE * (K - 1) * max(_covariance_held_together(differences - by_row, folds, sizes), 0.0)
    else:
        variance *= 1 + UNSEEN
    return student_interval(mean, mean, float(np.sqrt(variance)), n - 1, level)


def _covariance_held_together(centred: np.ndarray, folds: np.ndarray, sizes: np.ndarray) -> float:
    """Return the mean product of two rows of a fold; 1 - 1/repeats makes up for the centring."""
    pairs = int((sizes * (sizes - 1)).sum())
    if not pairs:
        return 0.0
    repeats, K = sizes.shape
    sums = np.stack([np.bincount(f, e, minlength=K) for f, e in zip(folds, centred, strict=True)])
    products = float((sums**2).sum() - (centred**2).sum())
    return products / pairs / (1 - 1 / repeats)


def fresh_rows_interval(differences: np.ndarray, most: float = 0.0, level: float = LEVEL) -> Interval:
    """Return the mean difference over independent rows with its interval.

    With `most`, two rows are added for the interval: one of difference -most and one of +most. For hits (most = 1)
    this is the adjusted Wald interval of Bonett & Price, which holds where few rows differ and the t interval is too
    narrow. The mean is that of the rows themselves.

    Parameters
    ----------
    differences : array of shape (n,)
    most : float
        The largest difference that a row can have, where there is one.
    level : float

    Raises
    ------
    InputError
        When there is no row, or one row and `most` is zero.

    References
    ----------
    Bonett, Price: Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on Paired Data.
    Journal of Educational and Behavioral Statistics, 2012.

    Examples
    --------
    >>> hits = np.array([1.0] * 5 + [0.0] * 35)
    >>> print(fresh_rows_interval(hits))
    +0.125 (+0.01788 to +0.2321, p = 0.023)
    >>> print(fresh_rows_interval(hits, most=1.0))
    +0.125 (-0.002832 to +0.2409, p = 0.055)
    """
    d = np.asarray(differences, dtype=float)
    n = len(d)
    if n < 2:
        raise InputError(f"an interval over rows needs two rows or more, not {n}")
    if most > 0:
        d_plus = np.append(d, [-most, most])
        centre, error = float(d_plus.mean()), float(np.sqrt(d_plus.var() / (n + 2)))
    else:
        centre, error = float(d.mean()), float(np.sqrt(d.var(ddof=1) / n))
    return student_interval(float(d.mean()), centre, error, n - 1, level)


def mcnemar(without: np.ndarray, with_source: np.ndarray) -> float:
    """Return the exact two-sided p-value of McNemar's test: whether two models are right equally often.

    Only the rows on which one is right and the other wrong count; under the null hypothesis each is as likely.

    Parameters
    ----------
    without, with_source : array of shape (n,)
        1 where the model is right, else 0.

    References
    ----------
    McNemar: Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages.
    Psychometrika, 1947.

    Examples
    --------
    >>> mcnemar(np.array([0, 0, 0, 0, 0, 1]), np.array([1, 1, 1, 1, 1, 1]))
    0.0625
    """
    difference = np.asarray(with_source, dtype=float) - np.asarray(without, dtype=float)
    won, lost = int((difference > 0).sum()), int((difference < 0).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def effect_size(differences: np.ndarray) -> float:
    """Return the mean difference in standard deviations of a row's difference (Cohen's d of paired rows).

    Of several repeats a row's mean counts. Without any variation it is 0 where the mean is 0, and infinite elsewhere.

    >>> effect_size(np.array([1.0, 0.0, 0.0, 1.0]))
    0.8660254037844387
    """
    by_row = np.atleast_2d(np.asarray(differences, dtype=float)).mean(axis=0)
    mean, spread = float(by_row.mean()), float(by_row.std(ddof=1)) if len(by_row) > 1 else 0.0
    if spread <= 1e-12 * abs(mean):
        return 0.0 if mean == 0 else float(np.copysign(np.inf, mean))
    return mean / spread
