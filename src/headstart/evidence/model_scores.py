"""Transferability scores of several pretrained models on the same target rows, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.backbones.torch_network import TorchNetwork
from headstart.domain import Task
from headstart.errors import InputError
from headstart.evidence.transferability import SCORES, EtranParts, Features, etran_among, score_all

if TYPE_CHECKING:
    from headstart.backbones import Backbone

#: The two parts of ETran, which become one score only among candidates.
ETRAN_PARTS = ("etran-energy", "etran-lda")
ETRAN = "etran"
#: The mean rank over the scores that need features only.
CONSENSUS = "consensus"
#: What models are ranked by unless another score is asked for.
DEFAULT = CONSENSUS
#: Scores that differ by no more than this share of themselves, or by this much of one, differ by rounding.
ROUNDING, LEAST = 1e-9, 1e-12


def names_of_scores(task: Task) -> tuple[str, ...]:
    """Return the scores that models can be ranked by in a task; ETran's two parts count as one."""
    fitting = [name for name, score in SCORES.items() if task in score.tasks]
    names = [name for name in fitting if name not in ETRAN_PARTS]
    return (*names, *((ETRAN,) if len(names) < len(fitting) else ()), CONSENSUS)


def names_of_voters(task: Task) -> tuple[str, ...]:
    """Return the scores whose ranks make up the consensus: those that need features only."""
    return tuple(name for name in names_of_scores(task) if name != CONSENSUS and not needs_head(name))


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
        By model, and in it by score. ETran is made of two parts that are put on one scale among the candidates, and
        the consensus of ranks among them, so both change when others join.

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
    voters = names_of_voters(task) if CONSENSUS in wanted else ()
    needed = dict.fromkeys([*(name for name in wanted if name != CONSENSUS), *voters])
    single = [*(name for name in needed if name != ETRAN), *(ETRAN_PARTS if ETRAN in needed else ())]
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
    if ETRAN in needed:
        parts = [EtranParts(*(scores.pop(part) for part in ETRAN_PARTS)) for scores in found.values()]
        for scores, value in zip(found.values(), etran_among(parts), strict=True):
            scores[ETRAN] = float(value)
    if CONSENSUS in wanted:
        for scores, value in zip(found.values(), consensus_among(list(found.values()), task), strict=True):
            scores[CONSENSUS] = float(value)
    return {model: {name: scores[name] for name in wanted if name in scores} for model, scores in found.items()}


def consensus_among(scores: Sequence[Mapping[str, float]], task: Task = "classification") -> np.ndarray:
    r"""Return the consensus of the scores of each of several candidates, shape (m,).

    .. math:: \frac{1}{S} \sum_s \frac{m - r_{is}}{m - 1}

    where :math:`r_{is}` is the rank of candidate i of m by score s, 1 for the best; equals share theirs. It is 1 for a
    candidate that is first by every score, 0 for one that is last by every score. It has no setting: every score
    counts alike, also those that few rows fool. Where a score says the same of all candidates, as such scores often do
    then, it favours none. Scores that rest on a model's own head don't count, so that a model without one is judged
    by the same scores as the others. It says nothing of how good the best is: that is what single scores are for.

    Parameters
    ----------
    scores : sequence of mapping of str to float
        Of each candidate, its scores by name, all of `names_of_voters` among them; more is better.
    task : {"classification", "regression"}

    Raises
    ------
    InputError
        When there are fewer than two candidates.

    References
    ----------
    Adding ranks up is the count of Borda: Mémoire sur les élections au scrutin, 1781.

    Examples
    --------
    >>> first, second = ({name: value for name in names_of_voters("regression")} for value in (0.7, 0.4))
    >>> consensus_among([first, second, {**second, "knn": 0.9}], "regression").round(3).tolist()
    [0.875, 0.188, 0.438]
    """
    m = len(scores)
    if m < 2:
        raise InputError("the consensus of scores is relative to other candidates; give two or more")
    tables = [{str(i): of[name] for i, of in enumerate(scores)} for name in names_of_voters(task)]
    return np.asarray((m - mean_ranks(tables, [str(i) for i in range(m)])) / (m - 1))


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
    """Return the mean rank of each model over tables, 1 for the best; equals, but for rounding, share theirs.

    Parameters
    ----------
    tables : sequence of mapping of str to float
        Of each task, or by each score, what every model reached; more is better.
    models : sequence of str

    Examples
    --------
    >>> mean_ranks([{"a": 0.9, "b": 0.8}, {"a": 0.5, "b": 0.5 + 1e-15}], ["a", "b"])
    array([1.25, 1.75])
    """
    ranks = [_ranks(np.array([table[model] for model in models])) for table in tables]
    return np.asarray(np.mean(ranks, axis=0))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value, 1 for the largest; those that differ by rounding share theirs.

    A score that is perfect whatever the labels, as H-score is with more columns than rows, is so but for rounding, and
    the order of the rows must not decide who is first by it.
    """
    from scipy.stats import rankdata

    order = np.argsort(-values)
    ordered = values[order]
    sizes = np.maximum(np.abs(ordered[:-1]), np.abs(ordered[1:]))
    apart = ordered[:-1] - ordered[1:] > ROUNDING * sizes + LEAST
    place = np.empty(len(values))
    place[order] = np.concatenate([[0], np.cumsum(apart)])
    return np.asarray(rankdata(place))
