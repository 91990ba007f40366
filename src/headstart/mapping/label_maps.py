"""Maps g from source labels to target labels, and how each is learned from labels that meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import InputError, unknown_name
from headstart.mapping.fit_maps import fit_affine

KINDS = ("confusion", "one-to-one", "smoothed", "identity")


@dataclass(frozen=True, eq=False)
class LabelMap:
    """The map of source classes to target classes: row a holds P(y_t = b | y_s = a).

    Parameters
    ----------
    source_classes, target_classes : arrays of shape (k_s,) and (k_t,)
        Sorted.
    matrix : array of shape (k_s, k_t)
        Rows sum to 1.

    Examples
    --------
    >>> g = LabelMap(np.array(["cat", "dog"]), np.array([0, 1, 2]), np.array([[0.1, 0.9, 0.0], [1.0, 0.0, 0.0]]))
    >>> g.transform(np.array(["dog", "cat"]))
    array([0, 1])
    >>> print(g)
          0     1     2
    cat  0.10  0.90  0.00
    dog  1.00  0.00  0.00
    """

    source_classes: np.ndarray
    target_classes: np.ndarray
    matrix: np.ndarray

    def __str__(self) -> str:
        import pandas as pd

        table = pd.DataFrame(self.matrix, self.source_classes, self.target_classes)
        return str(table.to_string(float_format="{:.2f}".format, max_rows=40, max_cols=15))

    def codes(self, ys: Any) -> np.ndarray:
        """Return the row of each source label, shape (n,).

        Raises
        ------
        InputError
            When a label is none of the source's classes.
        """
        ys = np.asarray(ys)
        place = np.minimum(np.searchsorted(self.source_classes, ys), len(self.source_classes) - 1)
        strange = self.source_classes[place] != ys
        if strange.any():
            raise InputError(unknown_name("source label", str(ys[strange][0]), map(str, self.source_classes)))
        return place

    def transform(self, ys: Any) -> np.ndarray:
        """Return the likeliest target label of each source label, shape (n,)."""
        return np.asarray(self.target_classes[self.matrix.argmax(axis=1)][self.codes(ys)])

    def probabilities(self, ys: Any) -> np.ndarray:
        """Return the probabilities of the target labels, shape (n, k_t)."""
        return np.asarray(self.matrix[self.codes(ys)])


@dataclass(frozen=True, eq=False)
class LinearLabelMap:
    """The map y -> slope y + offset of quantities.

    Examples
    --------
    >>> LinearLabelMap(slope=1.8, offset=32.0).transform([20.0])
    array([68.])
    """

    slope: float
    offset: float

    def __str__(self) -> str:
        return f"y -> {self.slope:.4g} y {'-' if self.offset < 0 else '+'} {abs(self.offset):.4g}"

    def transform(self, ys: Any) -> np.ndarray:
        """Return the target label of each source label, shape (n,)."""
        return self.slope * np.asarray(ys, dtype=float) + self.offset

    def inverse_transform(self, yt: Any) -> np.ndarray:
        """Return the source label of each target label, shape (n,).

        Raises
        ------
        InputError
            When the slope is zero.
        """
        if self.slope == 0:
            raise InputError("a label map with slope zero has no inverse")
        return (np.asarray(yt, dtype=float) - self.offset) / self.slope


def fit_classes(
    joint: np.ndarray, kind: str = "confusion", prior: np.ndarray | None = None, strength: float = 0.0
) -> np.ndarray:
    r"""Return the row-stochastic matrix G that minimises the squared distance of labels that meet.

    .. math:: \min_G \sum_{ab} J_{ab} \|G_a - e_b\|^2 + \eta \sum_a \|G_a - p\|^2,\qquad
              G_a = (J_a + \eta\,p) \;/\; \Bigl(\sum_b J_{ab} + \eta\Bigr)

    Without the penalty that is the confusion matrix, normalised: with paired rows the empirical conditional P(y_t |
    y_s), which NCE (Tran, Nguyen, Hassner, ICCV 2019) and LEEP (Nguyen, Hassner, Seeger, Archambeau, ICML 2020) score.

    Parameters
    ----------
    joint : array of shape (k_s, k_t)
        The mass J_ab at which labels a and b meet, see `Coupling.joint`.
    kind : {"confusion", "one-to-one", "smoothed"}
        As above without and with the penalty, which is a Dirichlet prior's (Cai, Ye, Feng, Qi, Liu: Bayesian-guided
        Label Mapping for Visual Reprogramming. NeurIPS 2024); or, of all matrices that give each class a partner of its
        own, the best (Hungarian method). With more source classes than target classes the rest, too, go where their
        mass is.
    prior : array of shape (k_t,), optional
        p, by default the shares of the target labels that meet something. A class that meets nothing has it as its row.
    strength : float
        The weight eta, in units of J.

    Examples
    --------
    >>> J = np.array([[0.3, 0.1], [0.35, 0.25]])
    >>> fit_classes(J).round(3).tolist(), fit_classes(J, "one-to-one").tolist()
    ([[0.75, 0.25], [0.583, 0.417]], [[1.0, 0.0], [0.0, 1.0]])
    """
    if kind not in KINDS:
        raise InputError(unknown_name("label map", kind, KINDS))
    k_t = joint.shape[1]
    if prior is None:
        met = joint.sum(axis=0)
        prior = met / met.sum() if met.sum() > 0 else np.full(k_t, 1 / k_t)
    if kind == "one-to-one":
        from scipy.optimize import linear_sum_assignment

        best = joint.argmax(axis=1)
        rows, columns = linear_sum_assignment(-joint)
        best[rows] = columns
        return np.eye(k_t)[best]
    eta = strength if kind == "smoothed" else 0.0
    mass = joint.sum(axis=1, keepdims=True) + eta
    return np.where(mass > 0, (joint + eta * prior) / np.where(mass > 0, mass, 1.0), prior)


def fit_quantities(ys: np.ndarray, yt: np.ndarray, weight: np.ndarray | None = None) -> LinearLabelMap:
    """Return the least-squares line from source labels to target labels, arrays of shape (n,).

    >>> print(fit_quantities(np.array([0.0, 100.0]), np.array([32.0, 212.0])))
    y -> 1.8 y + 32
    """
    line = fit_affine(ys[:, None], yt[:, None], weight)
    slope = float(line.A[0, 0])
    return LinearLabelMap(slope, float(line.shift[0] - slope * line.center[0]))
