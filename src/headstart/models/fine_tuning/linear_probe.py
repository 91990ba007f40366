"""Linear probe: the pretrained network stays as it is, and a logistic regression is learned on its features."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from headstart.backbones import Backbone, backbone


class LinearProbe(ClassifierMixin, BaseEstimator):
    """Logistic regression on the features of a frozen pretrained network.

    Parameters
    ----------
    model : str or Backbone, default "bundled:efficientnet-lite0"
        See `headstart.backbone`.
    layer : str, optional
        The block whose output is taken; by default what the network's own head would get.
    C : float, default 1.0
        Inverse strength of the penalty, in units of the features' root mean square.

    Attributes
    ----------
    classes_ : array of shape (k,)
    probe_ : LogisticRegression
        On the features as they are.

    References
    ----------
    Alain, Bengio: Understanding Intermediate Layers Using Linear Classifier Probes. ICLR workshop 2017.

    Examples
    --------
    >>> probe = LinearProbe().fit(["cat.jpg", "cup.jpg"], ["cat", "cup"])      # doctest: +SKIP
    >>> probe.predict(["other.jpg"])                                          # doctest: +SKIP
    """

    def __init__(
        self, model: str | Backbone = "bundled:efficientnet-lite0", layer: str | None = None, C: float = 1.0
    ) -> None:
        self.model = model
        self.layer = layer
        self.C = C

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from pictures or texts and their classes."""
        self.backbone_ = opened(self.model)
        self.probe_ = fit_probe(self.backbone_.features(X, layer=self.layer), np.asarray(y), self.C)
        self.classes_ = self.probe_.classes_
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each picture or text, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, shape (n, k)."""
        check_is_fitted(self, "probe_")
        return np.asarray(self.probe_.predict_proba(self.backbone_.features(X, layer=self.layer)))


def opened(model: str | Backbone) -> Backbone:
    """Return a backbone, by its name or itself."""
    return backbone(model) if isinstance(model, str) else model


def fit_probe(F: np.ndarray, y: np.ndarray, C: float) -> LogisticRegression:
    """Return a logistic regression, penalised in units of the features' root mean square.

    One unit for all columns: columns that hardly vary would get large weights in units of their own, which serve badly
    as the head of a network whose features are about to move.
    """
    unit = float(np.sqrt(np.square(F, dtype=float).mean())) or 1.0
    probe = LogisticRegression(C=C, max_iter=2000).fit(F / unit, y)
    probe.coef_ = probe.coef_ / unit
    return probe


def as_head(probe: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (k, d) and offsets (k,) that give the probe's scores.

    Two classes, which logistic regression tells apart by one score, get half of it each, with opposite signs.
    """
    W, b = probe.coef_, probe.intercept_
    if len(W) == 1:
        W, b = np.concatenate([-W, W]) / 2, np.concatenate([-b, b]) / 2
    return W, b
