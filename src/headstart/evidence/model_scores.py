"""Transferability scores of several pretrained models on the same target rows, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.backbones.torch_network import TorchNetwork
from headstart.domain import Task
from headstart.evidence.transferability import SCORES, EtranParts, Features, etran_among, score_all

if TYPE_CHECKING:
    from headstart.backbones import Backbone

#: The two parts of ETran, which become one score only among candidates.
ETRAN_PARTS = ("etran-energy", "etran-lda")
ETRAN = "etran"


def names_of_scores(task: Task) -> tuple[str, ...]:
    """Return the scores that models can be ranked by in a task; ETran's two parts count as one."""
    fitting = [name for name, score in SCORES.items() if task in score.tasks]
    names = [name for name in fitting if name not in ETRAN_PARTS]
    return (*names, ETRAN) if len(names) < len(fitting) else tuple(names)


def score_models(
    features: Mapping[str, np.ndarray],
    y: np.ndarray,
    *,
    probabilities: Mapping[str, np.ndarray] | None = None,
    task: Task = "classification",
    names: Sequence[str] | None = None,
    random_state: int = 0,
) -> dict[str, dict[str, float]]:
    """Return the scores of each model on the same rows; more is better in all of them.

    Parameters
    ----------
    features : mapping of str to array of shape (n, d)
        By model; d may differ.
    y : array of shape (n,)
        Labels.
    probabilities : mapping of str to array of shape (n, z), optional
        What the heads say of the rows, of the models that have one; scores that rest on them are left out for the
        others.
    task : {"classification", "regression"}
    names : sequence of str, optional
        The scores wanted; by default all of the task.
    random_state : int

    Returns
    -------
    dict of dict
        By model, and in it by score. ETran is made of two parts that are put on one scale among the candidates, so it
        changes when others join.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 30)
    >>> told = rng.normal(size=(60, 3)) + 2 * y[:, None]
    >>> found = score_models({"good": told, "noise": rng.normal(size=(60, 3))}, y, names=["ridge"])
    >>> found["good"]["ridge"] > found["noise"]["ridge"]
    True
    """
    wanted = names_of_scores(task) if names is None else tuple(names)
    single = [*(name for name in wanted if name != ETRAN), *(ETRAN_PARTS if ETRAN in wanted else ())]
    heads = probabilities or {}
    found = {
        model: score_all(
            Features(F),
            y,
            source_probabilities=heads.get(model),
            task=task,
            names=[name for name in single if model in heads or not needs_head(name)],
            random_state=random_state,
        )
        for model, F in features.items()
    }
    if ETRAN in wanted:
        parts = [EtranParts(*(scores.pop(part) for part in ETRAN_PARTS)) for scores in found.values()]
        for scores, value in zip(found.values(), etran_among(parts), strict=True):
            scores[ETRAN] = float(value)
    return found


def needs_head(name: str) -> bool:
    """Tell whether a score rests on what a model's own head says of the rows."""
    return name in SCORES and SCORES[name].needs != {"features"}


def head_probabilities(model: Backbone, items: Sequence[Any], F: np.ndarray) -> np.ndarray | None:
    """Return what a model's own head says of items whose features are `F`, shape (n, z); None without a head.

    Of a network in two parts only the head is run, for the features are what it takes.
    """
    if not model.label_names:
        return None
    if not isinstance(model.network, TorchNetwork):
        return model.probabilities(items)
    import torch

    with torch.inference_mode():
        scores = model.network.head(torch.from_numpy(np.ascontiguousarray(F, dtype=np.float32)))
        return np.asarray(torch.softmax(scores.float(), dim=1).numpy())


def mean_ranks(tables: Sequence[Mapping[str, float]], models: Sequence[str]) -> np.ndarray:
    """Return the mean rank of each model over tasks, 1 for the best; equals share theirs.

    Parameters
    ----------
    tables : sequence of mapping of str to float
        Of each task, what every model reached; more is better.
    models : sequence of str

    Examples
    --------
    >>> mean_ranks([{"a": 0.9, "b": 0.8}, {"a": 0.5, "b": 0.5}], ["a", "b"])
    array([1.25, 1.75])
    """
    from scipy.stats import rankdata

    ranks = [rankdata([-table[model] for model in models]) for table in tables]
    return np.asarray(np.mean(ranks, axis=0))
