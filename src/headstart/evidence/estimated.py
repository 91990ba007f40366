"""An estimate of the accuracy on a target without labels, and what it can't see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import entr

from headstart.errors import InputError
from headstart.evidence.interval import LEVEL
from headstart.instances.label_shift_em import calibrate

RESAMPLES = 199
LIMITS = (
    "No estimate without target labels can see concept shift: if the same row would have another label in the target, "
    "all of these are wrong, and nothing shows it. Where the target has rows unlike any of the source's, confidence "
    "there is extrapolated, and all can be too high. Label some rows to know."
)


@dataclass(frozen=True)
class EstimatedAccuracy:
    """The accuracy on a target without labels, by several estimators.

    Attributes
    ----------
    estimates : dict of estimator to accuracy
    lows, highs : dict of estimator to bound
        95 % bootstrap intervals over the rows, each if its estimator's assumption holds.
    low, high : float
        From the lowest lower to the highest upper bound: a range, not a confidence interval, for the assumptions
        can't be tested.
    source_accuracy : float
        On the held-out source rows that the estimates rest on.
    temperature : float
        By which the logarithms of the probabilities were divided; more than 1 means that the model was too sure.
    limits : str
    """

    estimates: dict[str, float]
    lows: dict[str, float]
    highs: dict[str, float]
    low: float
    high: float
    source_accuracy: float
    temperature: float
    limits: str = LIMITS

    def __str__(self) -> str:
        each = ", ".join(f"{name} {value:.3f}" for name, value in self.estimates.items())
        return (
            f"estimated accuracy {self.low:.2f} to {self.high:.2f} ({each}; on the source {self.source_accuracy:.3f}); "
            "not if labels mean something else in the target, which no estimate can see"
        )

    def document(self) -> dict[str, Any]:
        """Return all of it in plain types."""
        return {**asdict(self), "summary": str(self)}


def estimated_accuracy(
    source_probabilities: np.ndarray,
    source_labels: np.ndarray,
    target_probabilities: np.ndarray,
    *,
    classes: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    level: float = LEVEL,
    random_state: int = 0,
) -> EstimatedAccuracy:
    """Estimate a model's accuracy on a target without labels from its probabilities.

    The probabilities are calibrated on the source rows by one temperature (Guo et al. 2017). Then

    - *average confidence* is the mean largest probability on the target: right if the model is calibrated there too;
    - *difference of confidences* (Guillory et al. 2021) is the source accuracy plus the change of the mean
      confidence: right if the gap between confidence and accuracy stays;
    - *thresholded confidence* (ATC, Garg et al. 2022) is the share of target rows with more negative entropy than the
      threshold above which the share of source rows equals the source accuracy;
    - *importance-weighted* is the source accuracy with each row weighted by p_t(x) / p_s(x): right under covariate
      shift, with good weights.

    Parameters
    ----------
    source_probabilities : array of shape (n_s, k)
        On labelled source rows that the model has not learned from.
    source_labels : array of shape (n_s,)
    target_probabilities : array of shape (n_t, k)
    classes : array of shape (k,), optional
        The label of each column; by default the sorted source labels.
    weights : array of shape (n_s,), optional
        Density ratios of the source rows.
    level : float
    random_state : int
        Of the bootstrap, which draws source and target rows again, the temperature kept.

    Raises
    ------
    InputError
        When shapes do not fit, a source label is not among the classes, or weights are not positive.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks. ICML 2017.
    Guillory, Shankar, Ebrahimi, Darrell, Schmidt: Predicting with Confidence on Unseen Distributions. ICCV 2021.
    Garg, Balakrishnan, Lipton, Neyshabur, Sedghi: Leveraging Unlabeled Data to Predict Out-of-Distribution
    Performance. ICLR 2022.
    Sugiyama, Krauledat, Mueller: Covariate Shift Adaptation by Importance Weighted Cross Validation. JMLR 2007.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def rows(n, slope):
    ...     p = 1 / (1 + np.exp(-slope * rng.normal(size=n)))
    ...     return np.column_stack([1 - p, p]), (rng.uniform(size=n) < p).astype(int)
    >>> (P_s, y_s), (P_t, y_t) = rows(500, 3.0), rows(500, 1.0)
    >>> found = estimated_accuracy(P_s, y_s, P_t)
    >>> found.low < (P_t.argmax(axis=1) == y_t).mean() < found.high < found.source_accuracy
    True
    """
    P_s, P_t = np.asarray(source_probabilities, dtype=float), np.asarray(target_probabilities, dtype=float)
    y = np.asarray(source_labels)
    labels = np.unique(y) if classes is None else np.asarray(classes)
    if P_s.ndim != 2 or P_t.ndim != 2 or P_s.shape != (len(y), len(labels)) or P_t.shape[1] != len(labels):
        raise InputError(
            f"probabilities of shapes {P_s.shape} and {P_t.shape} do not fit {len(y)} source labels and {len(labels)} "
            "classes"
        )
    if not len(P_s) or not len(P_t):
        raise InputError("an estimate needs source rows and target rows")
    order = np.argsort(labels, kind="stable")
    at = np.searchsorted(labels[order], y).clip(0, len(labels) - 1)
    code = order[at]
    if (labels[code] != y).any():
        raise InputError("a source label is not among the classes")
    if weights is not None:
        weights = np.asarray(weights, dtype=float)
        if weights.shape != (len(y),) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum() > 0:
            raise InputError("give one weight a source row, zero or more, not all zero")
    calibration = calibrate(P_s, code, bias=False)
    hit = (P_s.argmax(axis=1) == code).astype(float)
    P_s, P_t = calibration(P_s), calibration(P_t)
    views = {
        "sure_s": P_s.max(axis=1),
        "sure_t": P_t.max(axis=1),
        "score_s": -entr(P_s).sum(axis=1),
        "score_t": -entr(P_t).sum(axis=1),
    }
    rows_s, rows_t = np.arange(len(hit)), np.arange(len(P_t))
    estimates = _estimates(hit, views, weights, rows_s, rows_t)
    rng = np.random.default_rng(random_state)
    again = [
        _estimates(hit, views, weights, rng.integers(0, len(hit), len(hit)), rng.integers(0, len(P_t), len(P_t)))
        for _ in range(RESAMPLES)
    ]
    lows, highs = (
        {name: float(np.quantile([found[name] for found in again], share)) for name in estimates}
        for share in (0.5 - level / 2, 0.5 + level / 2)
    )
    return EstimatedAccuracy(
        estimates,
        lows,
        highs,
        min(lows.values()),
        max(highs.values()),
        float(hit.mean()),
        float(1 / calibration.slope) if calibration.slope > 0 else float("inf"),
    )


def _estimates(
    hit: np.ndarray,
    views: Mapping[str, np.ndarray],
    weights: np.ndarray | None,
    rows_s: np.ndarray,
    rows_t: np.ndarray,
) -> dict[str, float]:
    accuracy = float(hit[rows_s].mean())
    confidence_s, confidence_t = float(views["sure_s"][rows_s].mean()), float(views["sure_t"][rows_t].mean())
    found = {
        "average confidence": confidence_t,
        "difference of confidences": float(np.clip(accuracy + confidence_t - confidence_s, 0.0, 1.0)),
        "thresholded confidence": thresholded_confidence(views["score_s"][rows_s], accuracy, views["score_t"][rows_t]),
    }
    if weights is not None:
        w = weights[rows_s]
        found["importance-weighted"] = float(w @ hit[rows_s] / w.sum()) if w.sum() > 0 else accuracy
    return found


def thresholded_confidence(source_scores: np.ndarray, source_accuracy: float, target_scores: np.ndarray) -> float:
    """Return the share of target rows above the threshold that as many source rows are below as are wrong.

    >>> thresholded_confidence(np.array([0.1, 0.2, 0.3, 0.4]), 0.75, np.array([0.05, 0.15, 0.35, 0.5]))
    0.5
    """
    scores = np.sort(source_scores)
    wrong = round((1 - source_accuracy) * len(scores))
    if wrong == len(scores):
        return 0.0
    return float((target_scores >= scores[wrong]).mean())
