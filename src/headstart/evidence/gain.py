"""What the transfer was worth: metrics, and the gain over target-only with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.stats import t as student_t

from headstart.domain import Task
from headstart.errors import InputError, unknown_name
from headstart.evidence.grouped_interval import group_means, grouped_interval
from headstart.evidence.interval import LEVEL, Interval, effect_size, fresh_rows_interval, mcnemar, rows_interval

Verdict = Literal["helps", "hurts", "no evidence"]


@dataclass(frozen=True)
class Metric:
    """A metric that is a mean over rows.

    Parameters
    ----------
    name : str
    task : {"classification", "regression", "ranking"}
    utility : callable
        (model, rows, y) -> one number a row, larger is better.
    sign : {1, -1}
        -1 for losses: the score shown is minus the mean utility.
    points : bool
        Whether gains are told in points (hundredths).
    """

    name: str
    task: Task
    utility: Callable[[Any, Any, np.ndarray], np.ndarray]
    sign: int = 1
    points: bool = False

    def show(self, utility: float) -> str:
        """Write a mean utility as a score."""
        value = self.sign * utility
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"

    def show_gain(self, gain: float) -> str:
        """Write a difference of mean utilities, with its sign."""
        if self.points:
            # + 0.0 so that a trace below zero is not written as -0.0.
            return f"{round(100 * gain, 1) + 0.0:+.1f}"
        return f"{gain:+.3f}" if abs(gain) < 10 else f"{gain:+.3g}"


def _hits(model: Any, X: Any, y: np.ndarray) -> np.ndarray:
    return (model.predict(X) == y).astype(float)


def _log_likelihood(model: Any, X: Any, y: np.ndarray) -> np.ndarray:
    probabilities, classes = model.predict_proba(X), model.classes_
    at = np.searchsorted(classes, y).clip(0, len(classes) - 1)
    given = np.where(classes[at] == y, probabilities[np.arange(len(y)), at], 0.0)
    return np.asarray(np.log(np.clip(given, 1e-6, 1.0)))


def _closeness(model: Any, X: Any, y: np.ndarray) -> np.ndarray:
    return -np.abs(model.predict(X) - y)


def _squared_closeness(model: Any, X: Any, y: np.ndarray) -> np.ndarray:
    return -((np.asarray(model.predict(X)) - y) ** 2)


#: How far down a list of recommendations is looked.
TOP = 10


def _discounted(model: Any, X: Any, y: np.ndarray) -> np.ndarray:
    ranks = model.ranks(X)
    return np.where(ranks <= TOP, 1 / np.log2(1 + ranks), 0.0)


def _among_the_first(model: Any, X: Any, y: np.ndarray) -> np.ndarray:
    return np.asarray(model.ranks(X) <= TOP, dtype=float)


def _reciprocal(model: Any, X: Any, y: np.ndarray) -> np.ndarray:
    return np.asarray(1 / model.ranks(X))


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "classification", _hits, points=True),
        Metric("log loss", "classification", _log_likelihood, sign=-1),
        Metric("mean absolute error", "regression", _closeness, sign=-1),
        Metric("mean squared error", "regression", _squared_closeness, sign=-1),
        Metric("NDCG@10", "ranking", _discounted),
        Metric("hit rate@10", "ranking", _among_the_first, points=True),
        Metric("reciprocal rank", "ranking", _reciprocal),
    )
}


def metric_for(task: Task, name: str | None) -> Metric:
    """Return the metric of a name, or the task's first."""
    fitting = {metric.name: metric for metric in METRICS.values() if metric.task == task}
    if name is None:
        return next(iter(fitting.values()))
    plain = name.replace("-", " ").replace("_", " ").lower()
    found = next((metric for metric in fitting.values() if metric.name.lower() == plain), None)
    if found is None:
        raise InputError(unknown_name(f"{task} metric", name, fitting))
    return found


@dataclass(frozen=True)
class Gain:
    """The gain of a transfer over target-only, in mean utility, with its interval.

    Attributes
    ----------
    metric : str
    target_only, transfer : float
        Mean utilities of both.
    gain, low, high : float
        transfer - target_only, and the bounds of its 95 % confidence interval.
    how : str
        How it was measured.
    rows : int
        Labelled target rows it rests on.
    p : float or None
        Two-sided p-value of no gain, which agrees with the interval.
    effect_size : float or None
        The gain in standard deviations of a row's difference (of its mean over repeats, in cross-validation).
    mcnemar : float or None
        Exact p-value of McNemar's test, where hits are compared on test rows.
    """

    metric: str
    target_only: float
    transfer: float
    gain: float
    low: float
    high: float
    how: str
    rows: int
    p: float | None = None
    effect_size: float | None = None
    mcnemar: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Helps or hurts when the interval excludes zero, else no evidence."""
        return "helps" if self.low > 0 else "hurts" if self.high < 0 else "no evidence"

    @property
    def rows_to_settle(self) -> int | None:
        """Labelled rows at which a gain of this size would leave zero out, as the width shrinks with 1/sqrt(n)."""
        if self.verdict != "no evidence" or self.gain <= 0 or not np.isfinite(self.high - self.low):
            return None
        return int(np.ceil(self.rows * (0.5 * (self.high - self.low) / self.gain) ** 2))

    def __str__(self) -> str:
        metric = METRICS[self.metric]
        unit = " points" if metric.points else ""
        name = self.metric if metric.sign > 0 else f"{self.metric} (less is better)"
        return (
            f"{name} {metric.show(self.target_only)} -> {metric.show(self.transfer)} "
            f"({metric.show_gain(self.gain)}{unit}, 95% CI {metric.show_gain(self.low)} to "
            f"{metric.show_gain(self.high)})"
        )

    def document(self) -> dict[str, Any]:
        """Return the gain in plain types."""
        return {**asdict(self), "verdict": self.verdict, "rows_to_settle": self.rows_to_settle}


def cross_validated_gain(
    metric: Metric,
    target_only: np.ndarray,
    transfer: np.ndarray,
    folds: np.ndarray,
    how: str,
    clusters: np.ndarray | None = None,
) -> Gain:
    """Return the gain measured by repeated cross-validation, with the interval over rows.

    Parameters
    ----------
    metric : Metric
    target_only, transfer : array of shape (repeats, n)
        Utility of each row out of fold.
    folds : array of shape (repeats, n)
    how : str
    clusters : array of shape (n,), optional
        Whose each row is, as numbers from 0: means and interval are then over users, see `grouped_interval`.

    Examples
    --------
    >>> folds = np.arange(20).reshape(1, 20) % 5
    >>> alone, helped = np.zeros((1, 20)), np.array([[1.0, 0.0, 1.0, 1.0] * 5])
    >>> cross_validated_gain(METRICS["accuracy"], alone, helped, folds, "by hand").verdict
    'helps'
    """
    differences = np.asarray(transfer, dtype=float) - target_only
    if clusters is not None:
        alone = float(group_means(np.asarray(target_only, dtype=float).mean(axis=0), clusters).mean())
        interval = grouped_interval(differences, folds, clusters)
        return _gain(metric, alone, interval, group_means(differences, clusters), how, folds.shape[1])
    interval = rows_interval(differences, folds)
    alone = rows_interval(target_only, folds).mean
    return _gain(metric, alone, interval, differences, how, folds.shape[1])


def gain_on_rows(
    metric: Metric, target_only: np.ndarray, transfer: np.ndarray, how: str, clusters: np.ndarray | None = None
) -> Gain:
    """Return the gain on rows that neither model has learned from.

    Hits are compared by the adjusted Wald interval, which holds where few rows differ, and by McNemar's exact test;
    other utilities by the paired t interval. One row alone bounds nothing.

    Parameters
    ----------
    metric : Metric
    target_only, transfer : array of shape (n,)
        Utility of each row.
    how : str
    clusters : array of shape (n,), optional
        Whose each row is, as numbers from 0: a user's mean is then one observation.

    Examples
    --------
    >>> alone, helped = np.array([0.0] * 10 + [1.0] * 30), np.ones(40)
    >>> gain = gain_on_rows(METRICS["accuracy"], alone, helped, "by hand")
    >>> print(gain, f"{gain.mcnemar:.3f}")
    accuracy 0.750 -> 1.000 (+25.0 points, 95% CI +8.9 to +38.7) 0.002
    """
    rows = len(target_only)
    if clusters is not None:
        target_only, transfer = (group_means(np.asarray(u, dtype=float), clusters) for u in (target_only, transfer))
    differences = np.asarray(transfer, dtype=float) - target_only
    hits = metric.name == "accuracy"
    if len(differences) > 1:
        interval = fresh_rows_interval(differences, 1.0 if hits else 0.0)
    else:
        interval = Interval(float(differences.mean()), -np.inf, np.inf, 1.0, np.inf, 0)
    gain = _gain(metric, float(np.mean(target_only)), interval, differences, how, rows)
    return replace(gain, mcnemar=mcnemar(target_only, transfer)) if hits else gain


def _gain(metric: Metric, alone: float, interval: Interval, differences: np.ndarray, how: str, rows: int) -> Gain:
    return Gain(
        metric.name,
        alone,
        alone + interval.mean,
        interval.mean,
        interval.low,
        interval.high,
        how,
        rows,
        interval.p,
        effect_size(differences),
    )


def corrected_interval(
    differences: np.ndarray, test_train_ratio: float, level: float = LEVEL
) -> tuple[float, float, float]:
    r"""Return mean, lower and upper bound of a difference over repeated splits of the same rows.

    The splits' training sets overlap, so the differences are not independent. The variance of their mean is taken
    as :math:`(1/J + n_\text{test}/n_\text{train})\,S^2`, with Student's t on J - 1 degrees of freedom.

    Parameters
    ----------
    differences : array of shape (J,)
        One difference a split.
    test_train_ratio : float
        n_test / n_train of a split.

    References
    ----------
    Nadeau & Bengio: Inference for the Generalization Error. Machine Learning 52, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> mean, low, high = corrected_interval(np.array([0.1, 0.2, 0.3]), 0.25)
    >>> round(mean, 3), round(low, 3), round(high, 3)
    (0.2, -0.129, 0.529)
    """
    J = len(differences)
    mean = float(np.mean(differences))
    if J < 2:
        return mean, -np.inf, np.inf
    variance = (1 / J + test_train_ratio) * float(np.var(differences, ddof=1))
    half = float(student_t.ppf(0.5 + level / 2, J - 1) * np.sqrt(variance))
    return mean, mean - half, mean + half


def paired_interval(differences: np.ndarray, level: float = LEVEL) -> tuple[float, float, float]:
    """Return mean, lower and upper bound of a difference over independent rows (paired t interval)."""
    return corrected_interval(differences, 0.0, level)
