"""The scores by name, what each needs, and all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from headstart.domain import TASKS, Task
from headstart.errors import InputError, NeedsError, unknown_name
from headstart.evidence.transferability.alignment import lfc, parc
from headstart.evidence.transferability.coding import transrate
from headstart.evidence.transferability.discriminants import energy, etran_lda, sfda
from headstart.evidence.transferability.features import as_features
from headstart.evidence.transferability.marginal import logme
from headstart.evidence.transferability.mixtures import nleep
from headstart.evidence.transferability.overlap import gbc
from headstart.evidence.transferability.probes import knn, lda, ridge
from headstart.evidence.transferability.scatter import h_score
from headstart.evidence.transferability.source_labels import leep, nce

FEATURES, PROBABILITIES, LABELS = "features", "source probabilities", "source labels"
CLASSES: frozenset[Task] = frozenset({"classification"})
BOTH: frozenset[Task] = frozenset(TASKS)


@dataclass(frozen=True)
class Score:
    """A transferability score; more is better.

    Attributes
    ----------
    name : str
    function : callable
        Takes features (or source labels, or probabilities) and labels.
    needs : frozenset of str
        "features", "source probabilities" or "source labels".
    tasks : frozenset of str
        "classification", "regression".
    best : float or None
        The best attainable value, where it is the same for all data.
    note : str
        Its known weakness, in one line.
    """

    name: str
    function: Callable[..., float]
    needs: frozenset[str]
    tasks: frozenset[Task]
    best: float | None
    note: str


def _score(
    name: str,
    function: Callable[..., float],
    best: float | None,
    note: str,
    needs: str = FEATURES,
    tasks: frozenset[Task] = CLASSES,
) -> Score:
    return Score(name, function, frozenset({needs}), tasks, best, note)


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        _score("ridge", ridge, 1.0, "copies of rows flatter it", tasks=BOTH),
        _score("lda", lda, 1.0, "copies of rows flatter it"),
        _score("knn", knn, 1.0, "imbalanced noise scores the largest class's share", tasks=BOTH),
        _score("logme", logme, None, "can't be compared between tasks; imbalanced noise scores higher", tasks=BOTH),
        _score("h-score-shrunk", partial(h_score, shrinkage=True), None, "sees linear separation of the means only"),
        _score("h-score", h_score, None, "invalid with few rows: noise scores near the best value"),
        _score(
            "transrate",
            transrate,
            None,
            "few rows a class flatter noise; two classes opposite each other look alike to it",
        ),
        _score("gbc", gbc, 0.0, "sees 64 directions of most variance only; few rows a class flatter noise"),
        _score("lfc", lfc, 1.0, "directions with much variance dominate it", tasks=BOTH),
        _score("parc", parc, None, "sees 32 directions of most variance only, all alike"),
        _score("nleep", nleep, 0.0, "scored on the rows fitted: noise scores above minus the labels' entropy"),
        _score("sfda", sfda, 1.0, "scored on the rows fitted: near 1 for noise when columns outnumber rows"),
        _score("etran-energy", energy, None, "looks at no label; grows with the scale of the features"),
        _score("etran-lda", etran_lda, 1.0, "scored on the rows fitted: near 1 for noise when columns outnumber rows"),
        _score("leep", leep, 0.0, "judges the source model's classes, not its features", needs=PROBABILITIES),
        _score("nce", nce, 0.0, "a source with more classes looks better", needs=LABELS),
    )
}


def score_all(
    F: Any,
    y: Any,
    *,
    source_probabilities: Any = None,
    task: Task = "classification",
    names: Iterable[str] | None = None,
    random_state: int = 0,
) -> dict[str, float]:
    """Return several scores of one candidate, by name, with one factorisation of its features.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
        The candidate's features of the target rows.
    y : array-like of shape (n,)
        Their labels.
    source_probabilities : array-like of shape (n, z), optional
        The source model's probabilities, for LEEP and (by the likeliest class) NCE.
    task : "classification" or "regression"
    names : iterable of str, optional
        Which scores, of `SCORES`; without, all that the task and what was given allow.
    random_state : int
        For NLEEP.

    Raises
    ------
    InputError
        When a name is not known, or features or labels can't be read.
    NeedsError
        When a score that was named is not for the task, or needs source probabilities.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 50)
    >>> scores = score_all(rng.normal(size=(100, 4)) + 3 * y[:, None], y, names=["ridge", "knn", "gbc"])
    >>> {name: round(value, 1) for name, value in scores.items()}
    {'ridge': 1.0, 'knn': 0.9, 'gbc': -0.0}
    """
    if task not in TASKS:
        raise InputError(f"task must be 'classification' or 'regression', not {task!r}")
    features = as_features(F)
    given = {FEATURES: features}
    if source_probabilities is not None:
        given[PROBABILITIES] = source_probabilities
        given[LABELS] = np.asarray(source_probabilities).argmax(axis=1)
    if names is None:
        names = [score.name for score in SCORES.values() if task in score.tasks and score.needs <= given.keys()]
    values = {}
    for name in names:
        if name not in SCORES:
            raise InputError(unknown_name("transferability score", name, SCORES))
        score = SCORES[name]
        if task not in score.tasks:
            raise NeedsError(f"{name} is not defined for {task}; leave it out")
        if not score.needs <= given.keys():
            raise NeedsError(
                f"{name} needs the source model's probabilities; give source_probabilities or leave it out"
            )
        settings: dict[str, Any] = {"task": task} if len(score.tasks) > 1 else {}
        if name == "nleep":
            settings["random_state"] = random_state
        values[name] = score.function(given[next(iter(score.needs))], y, **settings)
    return values
