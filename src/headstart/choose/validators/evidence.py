"""What validators look at: the answers of one candidate, where no target label is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.domain import Task


@dataclass(frozen=True, eq=False)
class Probes:
    """Mixed target rows, and what the candidate said of them.

    Attributes
    ----------
    leading : array of shape (m,)
        The predicted class of the row that makes up most of the mixture.
    same : array of bool, shape (m,)
        Whether both rows of the mixture are predicted to be of one class.
    predicted : array of shape (m,)
        What the candidate says of the mixture.
    """

    leading: np.ndarray
    same: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """The answers of one candidate, computed once; every validator makes a number of them.

    Attributes
    ----------
    task : {"classification", "regression"}
    source_labels, source_predicted : arrays of shape (n_s,)
        The labelled source rows, each predicted by a model that was fitted without it.
    weights : array of shape (n_s,)
        p_t(x) / p_s(x) of these rows, on a scale on which their mean should be 1.
    target_predicted : array of shape (n_t,)
        Predictions for target rows: the mean of the models of all folds, or the vote where there is no mean.
    target_rows : array or sparse matrix of shape (n_t, d)
        Target rows as numbers, the same for every candidate.
    classes : array of shape (k,)
        The source's classes; empty in regression.
    target_probabilities : array of shape (n_t, k), optional
        Of the classes; None where the learner gives none.
    fold : array of int of shape (n_s,), optional
        The fold in which a source row was held out; by default one for all.
    by_fold : array of shape (folds, n_t), optional
        Predictions for target rows by the model of each fold.
    crowd : array of shape (n_t, k) or (n_t,), optional
        The share of candidates that predict each class; in regression, their mean prediction.
    way_back : array of shape (n_s,), optional
        Predictions for held-out source rows by the learner alone, fitted on target rows labelled by the candidate.
    way_back_by_method : array of shape (n_s,), optional
        The same by the candidate's method, carried from the target to the source.
    probes : Probes, optional
        Mixed target rows.
    """

    task: Task
    source_labels: np.ndarray
    source_predicted: np.ndarray
    weights: np.ndarray
    target_predicted: np.ndarray
    target_rows: Any
    classes: np.ndarray
    target_probabilities: np.ndarray | None = None
    fold: np.ndarray | None = None
    by_fold: np.ndarray | None = None
    crowd: np.ndarray | None = None
    way_back: np.ndarray | None = None
    way_back_by_method: np.ndarray | None = None
    probes: Probes | None = None

    def utility(self, predicted: np.ndarray) -> np.ndarray:
        """Return how good predictions of the source rows are, shape (n_s,): hits, or minus the absolute error."""
        if self.task == "classification":
            return np.asarray(predicted == self.source_labels, dtype=float)
        return -np.abs(np.asarray(predicted, dtype=float) - self.source_labels)


@dataclass(frozen=True)
class Validator:
    """A validator: evidence on one candidate in, a number out, larger is better.

    Parameters
    ----------
    name : str
    kind : {"source", "certainty", "neighbours", "clusters", "distances", "way back", "crowd", "stability"}
        What the number is made of. Validators of one kind err together; a consensus asks one of each.
    score : callable
        Unlabelled -> float.
    needs : str, optional
        The part of the evidence without which there is no score: the name of an attribute.
    tasks : tuple
    """

    name: str
    kind: str
    score: Callable[[Unlabelled], float]
    needs: str | None = None
    tasks: tuple[Task, ...] = ("classification",)

    def __call__(self, evidence: Unlabelled) -> float:
        """Return the score; NaN for another task, or where what is needed is not known of the candidate."""
        if evidence.task not in self.tasks or (self.needs and getattr(evidence, self.needs) is None):
            return float("nan")
        return float(self.score(evidence))
