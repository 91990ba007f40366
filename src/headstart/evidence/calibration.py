"""Whether a model's probabilities can be taken at their word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headstart.errors import InputError

BINS = 15
SIMULATIONS = 999


@dataclass(frozen=True)
class Bin:
    """Rows of like confidence: how many, how sure the model is of them, and how often it is right."""

    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """How well the confidence of a model (the probability of the class it predicts) agrees with its accuracy.

    Attributes
    ----------
    bins : list of Bin
        Of about equally many rows, by rising confidence.
    error : float
        Expected calibration error: mean distance of confidence and accuracy over the bins.
    error_by_chance : float
        What that would be on average, were the model calibrated: with few rows it is not zero.
    p : float
        Share of calibrated models with an error at least as large.
    debiased : float
        Root mean squared calibration error, less what chance adds.
    brier : float
        Mean squared distance of the probabilities and the true class, over all classes.
    reliability, resolution, uncertainty, within : float
        Parts of the mean squared distance of confidence and hit: reliability (0 is best) - resolution + uncertainty +
        within, the last for the spread inside the bins.
    rows : int
    """

    bins: list[Bin]
    error: float
    error_by_chance: float
    p: float
    debiased: float
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float
    rows: int

    def __str__(self) -> str:
        confidence, accuracy = (
            sum(b.rows * value for b, value in zip(self.bins, of, strict=True)) / self.rows
            for of in ([b.confidence for b in self.bins], [b.accuracy for b in self.bins])
        )
        word = (
            "no sign of miscalibration" if self.p > 0.05 else "too sure" if confidence > accuracy else "miscalibrated"
        )
        return (
            f"{word}: confidence {confidence:.3f}, accuracy {accuracy:.3f}; calibration error {self.error:.3f}, "
            f"{self.error_by_chance:.3f} by chance alone (p = {self.p:.2g}, {self.rows} rows)"
        )

    def document(self) -> dict[str, Any]:
        """Return all of it in plain types."""
        return {**asdict(self), "summary": str(self)}


def reliability(
    probabilities: np.ndarray,
    y: np.ndarray,
    *,
    classes: np.ndarray | None = None,
    bins: int = BINS,
    random_state: int = 0,
) -> Reliability:
    r"""Measure the calibration of probabilities on rows that the model has not learned from.

    With bins B of :math:`n_B` rows, mean confidence :math:`c_B` and accuracy :math:`a_B`, the expected calibration
    error and the square of its debiased form (Kumar et al. 2019) are

    .. math:: \sum_B \frac{n_B}{n} |a_B - c_B|, \quad
        \sum_B \frac{n_B}{n} \left( (a_B - c_B)^2 - \frac{a_B (1 - a_B)}{n_B - 1} \right)

    The bins hold about equally many rows; equal confidences stay together. There are fewer bins than asked for where
    they would hold less than ten rows. The error of a calibrated model, and the p-value, come from drawing hits with
    the confidences as their chances (Brocker & Smith 2007). The decomposition of the squared error is Murphy's (1973)
    with the term for the spread inside bins (Stephenson et al. 2008), so that it adds up.

    Parameters
    ----------
    probabilities : array of shape (n, k)
        Rows sum to 1.
    y : array of shape (n,)
        True labels.
    classes : array of shape (k,), optional
        The label of each column; by default the sorted labels, of which there must be k then. A true label that is
        not among them counts as a miss.
    bins : int
    random_state : int

    Raises
    ------
    InputError
        When the shapes do not fit, or a row is no distribution.

    References
    ----------
    Kumar, Liang, Ma: Verified Uncertainty Calibration. NeurIPS 2019.
    Brocker, Smith: Increasing the Reliability of Reliability Diagrams. Weather and Forecasting, 2007.
    Murphy: A New Vector Partition of the Probability Score. Journal of Applied Meteorology, 1973.
    Stephenson, Coelho, Jolliffe: Two Extra Components in the Brier Score Decomposition. Weather and Forecasting, 2008.

    Examples
    --------
    >>> probabilities = np.tile([0.1, 0.9], (40, 1))
    >>> print(reliability(probabilities, np.array([0, 1] * 20)))
    too sure: confidence 0.900, accuracy 0.500; calibration error 0.400, 0.038 by chance alone (p = 0.001, 40 rows)
    """
    P, y = np.asarray(probabilities, dtype=float), np.asarray(y)
    labels = np.unique(y) if classes is None else np.asarray(classes)
    if P.ndim != 2 or P.shape != (len(y), len(labels)) or not len(y):
        raise InputError(f"probabilities of shape {P.shape} do not fit {len(y)} labels and {len(labels)} classes")
    if not np.isfinite(P).all() or (P < -1e-9).any() or (np.abs(P.sum(axis=1) - 1) > 1e-4).any():
        raise InputError("each row of probabilities must be zero or more and sum to 1")
    truth = (y[:, None] == labels).astype(float)
    n = len(y)
    # Without a true class among the columns, the truth is a class of probability 0.
    brier = float((((P - truth) ** 2).sum(axis=1) + (1 - truth.sum(axis=1))).mean())
    confidence = np.clip(P.max(axis=1), 0.0, 1.0)
    hit = truth[np.arange(n), P.argmax(axis=1)]
    order = np.lexsort((hit, confidence))
    confidence, hit = confidence[order], hit[order]
    of_row = equal_bins(confidence, max(1, min(bins, n // 10)))
    size = np.bincount(of_row)
    c, a = np.bincount(of_row, confidence) / size, np.bincount(of_row, hit) / size
    error = float(size @ np.abs(a - c) / n)
    by_chance = np.array(
        [size @ np.abs(np.bincount(of_row, hits) / size - c) / n for hits in _calibrated_hits(confidence, random_state)]
    )
    noise = np.where(size > 1, a * (1 - a) / np.maximum(size - 1, 1), 0.0)
    reliability_term, mean = float(size @ (a - c) ** 2 / n), float(hit.mean())
    resolution, uncertainty = float(size @ (a - mean) ** 2 / n), mean * (1 - mean)
    squared = float(((confidence - hit) ** 2).mean())
    return Reliability(
        [Bin(int(m), float(sure), float(right)) for m, sure, right in zip(size, c, a, strict=True)],
        error,
        float(by_chance.mean()),
        float((1 + (by_chance >= error - 1e-12).sum()) / (1 + len(by_chance))),
        max(float(size @ ((a - c) ** 2 - noise) / n), 0.0) ** 0.5,
        brier,
        reliability_term,
        resolution,
        uncertainty,
        squared - (reliability_term - resolution + uncertainty),
        n,
    )


def equal_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin (0, 1, ...) of each value: about equally many in each, equal values together, none empty.

    >>> equal_bins(np.array([0.1, 0.2, 0.2, 0.2, 0.9, 1.0]), 3).tolist()
    [0, 0, 0, 0, 1, 1]
    """
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf") if bins > 1 else []
    return np.asarray(np.unique(np.searchsorted(np.unique(edges), values, side="left"), return_inverse=True)[1])


def _calibrated_hits(confidence: np.ndarray, random_state: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(random_state)
    for _ in range(SIMULATIONS):
        yield (rng.uniform(size=len(confidence)) < confidence).astype(float)
