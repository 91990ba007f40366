"""Linear probe: the pretrained network stays as it is, and a logistic regression is learned on its features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from headstart.models.fine_tuning.fine_tune import FineTune, Progress
from headstart.models.fine_tuning.tuned import HEAD, TunedNetwork, reader_of
from headstart.models.regular import Parameters, fit_pulled


class LinearProbe(FineTune):
    """Logistic regression on the features of a frozen pretrained network.

    Between domains the source's probe is the knowledge, and the target's is pulled toward it, as strongly as
    cross-validation on the target's labels asks for (see `headstart.models.RegularTransfer`).

    Parameters
    ----------
    model : str or Backbone, default "bundled:efficientnet-lite0"
        See `headstart.backbone`.
    C : float, default 1.0
        Inverse strength of the penalty, in units of the features' root mean square. No other parameter of `FineTune`
        does anything here.

    Attributes
    ----------
    classes_ : array of shape (k,)
    tuned_ : TunedNetwork
        The pretrained network with the probe for a head.

    References
    ----------
    Alain, Bengio: Understanding Intermediate Layers Using Linear Classifier Probes. ICLR workshop 2017.

    Examples
    --------
    >>> probe = LinearProbe().fit(["cat.jpg", "cup.jpg"], ["cat", "cup"])      # doctest: +SKIP
    >>> probe.predict(["other.jpg"])                                          # doctest: +SKIP
    """

    def __init__(self, model: Any = "bundled:efficientnet-lite0", *, C: float = 1.0, **shared: Any) -> None:
        super().__init__(model, **shared)
        self.C = C

    def _learn(self, items: Sequence[Any], codes: np.ndarray, start: TunedNetwork | None, progress: Progress) -> None:
        W, b = probe_head(self._features(items, start), codes, len(self.classes_), self.C, start)
        before = {} if start is None else start.values
        reader = reader_of(self.backbone_) if start is None else start.reader
        self.tuned_ = TunedNetwork(reader, self.classes_, {**before, HEAD[0]: W, HEAD[1]: b})


def probe_head(
    F: np.ndarray, codes: np.ndarray, k: int, C: float, start: TunedNetwork | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the head that a probe of features is, weights (k, d) and offsets (k,) in float32.

    Where there is a head to begin with, the probe is pulled toward it, as strongly as cross-validation asks for.
    """
    if start is None:
        W, b = as_head(fit_probe(F, codes, C))
    else:
        unit = _unit(F)
        W, b = (start.values[name].astype(float) for name in HEAD)
        began = Parameters(*_as_log_odds(W * unit, b), np.arange(k))
        found = fit_pulled(F / unit, codes, began, LogisticRegression(C=C))
        W, b = _of_each_class(found.W / unit, found.b)
    return W.astype(np.float32), b.astype(np.float32)


def fit_probe(F: np.ndarray, y: np.ndarray, C: float) -> LogisticRegression:
    """Return a logistic regression, penalised in units of the features' root mean square.

    One unit for all columns: columns that hardly vary would get large weights in units of their own, which serve badly
    as the head of a network whose features are about to move.
    """
    unit = _unit(F)
    probe = LogisticRegression(C=C, max_iter=2000).fit(F / unit, y)
    probe.coef_ = probe.coef_ / unit
    return probe


def as_head(probe: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (k, d) and offsets (k,) that give the probe's scores."""
    return _of_each_class(probe.coef_, probe.intercept_)


def _unit(F: np.ndarray) -> float:
    return float(np.sqrt(np.square(F, dtype=float).mean())) or 1.0


def _of_each_class(W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, which logistic regression tells apart by one score, get half of it each, with opposite signs."""
    if len(W) == 1:
        return np.concatenate([-W, W]) / 2, np.concatenate([-b, b]) / 2
    return W, b


def _as_log_odds(W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the one score of two classes, from one of each."""
    return (W[1:] - W[:1], b[1:] - b[:1]) if len(W) == 2 else (W, b)
