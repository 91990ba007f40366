"""Feature methods that are classifiers: they map rows of both domains to class scores, the largest of which wins."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from headstart.domain import Domain
from headstart.errors import NeedsError
from headstart.features.base import FeatureMethod
from headstart.fitting import to_mean_one
from headstart.inputs import Coded, coded, labels_of, rows_of_both
from headstart.mapping import Map
from headstart.method import Knowledge, Needs


class FeatureClassifier(FeatureMethod):
    """A method that writes `learn(Xs, Xt, labels, weight) -> (source map, target map)`, maps into class scores.

    The scores stand in the order of `classes_`. The learner given to `Transfer` is not used.
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any", tasks=("classification",))

    @abstractmethod
    def learn(self, Xs: Any, Xt: Any, labels: Coded, weight: np.ndarray) -> tuple[Map, Map]:
        """Return the maps of source and of target rows into class scores.

        Parameters
        ----------
        Xs, Xt : arrays or CSR matrices of shape (n_s, d) and (n_t, d)
        labels : Coded
        weight : array of shape (n_s + n_t,)
            What the label of each row counts; zero where it is not known.
        """

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the maps into class scores, by source labels and the target labels that are known."""
        return self._learned(Xs, Xt, ys, yt, None, None)

    def _learned(self, Xs: Any, Xt: Any, ys: Any, yt: Any, ws: Any, wt: Any) -> tuple[Map, Map]:
        name = type(self).__name__
        labels = coded(ys, yt, Xt.shape[0], name)
        self.classes_ = labels.classes
        return self.learn(Xs, Xt, labels, label_weights(labels, ws, wt, self.target_weight, name))

    def fit(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None, *, ws: Any = None, wt: Any = None) -> Self:
        """Learn the class scores.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
        ys, yt : arrays of shape (n_s,) and (n_t,)
            Labels; all of the source's must be known. Missing ones of the target are NaN or None.
        ws, wt : arrays of shape (n_s,) and (n_t,), optional
            What each row's label counts beside those of its domain.

        Raises
        ------
        InputError, NeedsError
            When rows or labels do not suit the method.
        """
        name = type(self).__name__
        Xs, Xt = rows_of_both(Xs, Xt, name, self.needs.dense)
        ys, yt = labels_of(ys, Xs.shape[0], name, "ys"), labels_of(yt, Xt.shape[0], name, "yt")
        self.source_map_, self.target_map_ = self._learned(Xs, Xt, ys, yt, ws, wt)
        self.columns_ = Xs.shape[1], Xt.shape[1]
        return self

    def carry(self, knowledge: Knowledge, target: Domain) -> Any:
        """Step 3: learn the class scores from the rows of both domains."""
        Xs, ys, ws = (knowledge.arrays[key] for key in ("X", "y", "weight"))
        self.fit(Xs, target.X, ys, target.y, ws=ws, wt=target.weight)
        return ScorePredictor(self.classes_, self.source_map_, self.target_map_)

    def learn_target(self, carried: Any, target: Domain, learner: Any) -> Any:
        """Step 4: the scores are the classifier; the learner is not used."""
        return carried


@dataclass(frozen=True, eq=False)
class ScorePredictor:
    """Class scores as a classifier."""

    classes_: np.ndarray
    source_map: Map
    target_map: Map

    def predict(self, X: Any) -> np.ndarray:
        """Return the classes of target rows, shape (n,)."""
        return np.asarray(self.classes_[self.target_map.transform(X).argmax(axis=1)])

    def predict_source(self, X: Any) -> np.ndarray:
        """Return the classes of source rows, shape (n,)."""
        return np.asarray(self.classes_[self.source_map.transform(X).argmax(axis=1)])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities for target rows, shape (n, k): those nearest to the scores."""
        return nearest_probabilities(self.target_map.transform(X))

    def predict_source_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities for source rows, shape (n, k)."""
        return nearest_probabilities(self.source_map.transform(X))


def nearest_probabilities(scores: np.ndarray) -> np.ndarray:
    """Return the probabilities, rows that are not negative and sum to 1, at the smallest Euclidean distance.

    All scores of a row fall by one number, and those below zero are zero then; the largest stays the largest. (Held,
    Wolfe, Crowder: Validation of Subgradient Optimization. Mathematical Programming 1974.)

    >>> nearest_probabilities(np.array([[0.5, 0.3, 0.0], [3.0, 1.0, 1.0]])).round(4)
    array([[0.5667, 0.3667, 0.0667],
           [1.    , 0.    , 0.    ]])
    """
    # Scores are seen from the largest, so that no digit is lost where all are large.
    below = (scores - scores.max(axis=1, keepdims=True)).astype(np.float64)
    falling = -np.sort(-below, axis=1)
    counts = np.arange(1, scores.shape[1] + 1)
    threshold = (np.cumsum(falling, axis=1) - 1) / counts
    kept = (falling > threshold).sum(axis=1)
    return np.maximum(below - threshold[np.arange(len(below)), kept - 1][:, None], 0.0)


def label_weights(
    labels: Coded, ws: np.ndarray | None, wt: np.ndarray | None, target_weight: float | str, name: str
) -> np.ndarray:
    """Return what the label of each row counts, shape (n_s + n_t,), as `fit_on_both` weighs the rows of a learner.

    Raises
    ------
    NeedsError
        When `target_weight` is neither a number nor "balanced", or no label counts.
    """
    if isinstance(target_weight, str) and target_weight != "balanced":
        raise NeedsError(f"target_weight must be a number or 'balanced', not {target_weight!r}")
    n_s, known = len(labels.source), labels.known
    own_s = None if ws is None else to_mean_one(np.asarray(ws, dtype=float))
    source = np.ones(n_s) if own_s is None else own_s
    target = np.zeros(len(known))
    if known.any():
        each = max(1.0, source.sum() / known.sum()) if isinstance(target_weight, str) else float(target_weight)
        own_t = None if wt is None else to_mean_one(np.asarray(wt, dtype=float)[known])
        target[known] = each if own_t is None else each * own_t
    weight = np.concatenate([source, target])
    if not weight.any():
        raise NeedsError(f"{name}: all weights are zero; there is no label to learn from")
    return weight
