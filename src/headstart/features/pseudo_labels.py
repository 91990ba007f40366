"""Labels that are guessed for target rows, for the methods that align the domains class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from headstart.domain import stack_rows
from headstart.draws import pick
from headstart.fitting import fit_learner
from headstart.inputs import Coded

#: Source rows among which the nearest is looked for, at most; more are drawn from.
MOST_NEIGHBORS = 5000


def pseudo_labels(labeler: Any, Zs: np.ndarray, Zt: np.ndarray, labels: Coded) -> np.ndarray:
    """Return the class of each target row, as a number: the known one, or the one that a classifier gives.

    Parameters
    ----------
    labeler : classifier, optional
        Fitted on the source rows and the labelled target rows; by default the nearest neighbour decides, among 5,000
        rows at most.
    Zs, Zt : arrays of shape (n_s, k) and (n_t, k)
    labels : Coded
    """
    Z = stack_rows([Zs, Zt[labels.known]])
    codes = np.concatenate([labels.source, labels.target[labels.known]])
    if labeler is None:
        some = pick(Z, MOST_NEIGHBORS, 0)
        Z, codes, labeler = Z[some], codes[some], KNeighborsClassifier(1)
    guessed = np.asarray(fit_learner(labeler, Z, codes).predict(Zt))
    return np.where(labels.known, labels.target, guessed)
