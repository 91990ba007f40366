"""Ranking pretrained models for a target, before any is trained."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.choose.ranking import Progress, Ranked, Ranking, half_samples, holds_zero, interval_of, require_rankable
from headstart.domain import ITEMS, Domain
from headstart.draws import canonical_order
from headstart.errors import InputError, listed, unknown_name
from headstart.evidence.model_scores import (
    CONSENSUS,
    DEFAULT,
    head_probabilities,
    mean_ranks,
    names_of_scores,
    names_of_voters,
    needs_head,
    score_models,
)

if TYPE_CHECKING:
    from headstart.backbones import Backbone

#: Orders that never look at the target.
PARAMETERS, ELSEWHERE = "parameters", "other tasks"
#: Half-samples behind the intervals: each costs every score of every model, and tells their width to a tenth.
DRAWS = 50


def rank_models(
    models: Sequence[str | Backbone],
    target: Domain,
    *,
    score: str | None = None,
    scores: Sequence[str] | None = None,
    static: str | Path | Mapping[str, Mapping[str, float]] | None = None,
    draws: int = DRAWS,
    random_state: int = 0,
    progress: Progress = lambda stage, done, total: None,
) -> Ranking:
    r"""Rank pretrained models by what their features promise for a target, before any is trained.

    Each model turns the labelled pictures or texts of the target into features, and every transferability score is
    computed on these. Two models are tied when the rows can't tell them apart: their difference is computed again on
    halves of the rows, the same for all models, drawn within each class without replacement. With n rows, m of them
    in a half and a statistic s, its variance is

    .. math:: \frac{m}{n - m} \cdot \frac{1}{B} \sum_b \left(s_b - \bar s\right)^2

    (the delete-d jackknife). A bootstrap would not do: rows drawn twice are their own neighbours, and scores that
    leave one row out would find it again.

    Parameters
    ----------
    models : sequence of str or Backbone
        Two or more, such as "bundled:efficientnet-lite0" and "hf:FOLDER".
    target : Domain
        Pictures or texts, some of them labelled. Rows without a label are not looked at.
    score : str, optional
        The score to rank by; by default `headstart.evidence.model_scores.DEFAULT`, the consensus of all that need
        features only.
    scores : sequence of str, optional
        Scores to show beside it; by default all that the task has. Those that rest on what a model's own head says are
        there only for models that have one.
    static : path or mapping of mappings, optional
        What the models reached on other tasks, by task and in it by model: a JSON file, such as
        `headstart bench ranking -o` writes it. It gives an order that never looks at this target, which a score
        should beat. A task of the target's own name is left out.
    draws : int
        Half-samples.
    random_state : int
    progress : callable
        Called with (what is going on, done, total).

    Returns
    -------
    Ranking

    Raises
    ------
    InputError
        When there are fewer than two models, two of one name, a target without labels or with one class, or models
        that do not read what the target holds.

    References
    ----------
    Shao & Wu: A General Theory for Jackknife Variance Estimation. Annals of Statistics 17, 1989.

    Examples
    --------
    >>> rank_models(["bundled:efficientnet-lite0", "hf:models/vit"], photographs)      # doctest: +SKIP
    """
    rows, items = _labelled_items(target)
    names, found = _opened(models, target)
    by = DEFAULT if score is None else score
    task = rows.task or "classification"
    offered = names_of_scores(task)
    wanted = list(dict.fromkeys([by, *(offered if scores is None else scores)]))
    for name in wanted:
        if name not in offered:
            raise InputError(unknown_name(f"score for {task}", name, offered))
    y = rows.labels
    features, heads = {}, {}
    for name, model in zip(names, found, strict=True):
        F = model.features(items, progress=partial(progress, f"read: {name}"))
        features[name] = F.astype(float)
        said = head_probabilities(model, items, F) if any(map(needs_head, wanted)) else None
        if said is not None:
            heads[name] = said.astype(float)
    if needs_head(by) and len(heads) < len(names):
        raise InputError(
            f"{by} rests on what a model's own head says, and {listed(name for name in names if name not in heads)} "
            "has none; rank by another score (--score), or leave the model out"
        )
    return _ranking(rows, y, names, found, features, heads, by, wanted, static, draws, random_state, progress)


def _ranking(
    rows: Domain,
    y: np.ndarray,
    names: list[str],
    found: list[Backbone],
    features: dict[str, np.ndarray],
    heads: dict[str, np.ndarray],
    by: str,
    wanted: list[str],
    static: str | Path | Mapping[str, Mapping[str, float]] | None,
    draws: int,
    random_state: int,
    progress: Progress,
) -> Ranking:
    task = rows.task or "classification"
    order_of_rows = canonical_order(features[min(names)], y)
    halves, scale = half_samples(y[order_of_rows] if task == "classification" else None, len(y), draws, random_state)

    def scored(at: np.ndarray, wanted: list[str]) -> dict[str, dict[str, float]]:
        rows_of = {name: F[at] for name, F in features.items()}
        said_of = {name: P[at] for name, P in heads.items()}
        return score_models(rows_of, y[at], probabilities=said_of, task=task, names=wanted, random_state=random_state)

    again = np.empty((len(halves), len(names)))
    with warnings.catch_warnings():
        # Which scores say nothing with so few rows is told once, in the notes.
        warnings.simplefilter("ignore", UserWarning)
        values = scored(order_of_rows, wanted)
        progress("score", 1, 1)
        for b, half in enumerate(halves):
            of_half = scored(order_of_rows[half], [by])
            again[b] = [of_half[name][by] for name in names]
            progress("tell apart", b + 1, len(halves))
    full = np.array([values[name][by] for name in names])
    place = sorted(range(len(names)), key=lambda i: (-full[i], names[i]))
    about = [_about(model) for model in found]
    ranked = tuple(
        Ranked(
            names[i],
            float(full[i]),
            *interval_of(full[i], again[:, i], scale)[1:],
            behind := interval_of(full[place[0]] - full[i], again[:, place[0]] - again[:, i], scale),
            holds_zero(behind),
            values[names[i]],
            about[i],
        )
        for i in place
    )
    ties = tuple(
        (names[i], names[j])
        for at, i in enumerate(place)
        for j in place[at + 1 :]
        if holds_zero(interval_of(full[i] - full[j], again[:, i] - again[:, j], scale))
    )
    orders, notes = _static(names, found, static, rows.name)
    made = f"consensus of {len(names_of_voters(task))} scores" if by == CONSENSUS else by
    return Ranking(
        "models",
        rows.name,
        len(y),
        by,
        f"{made} on features of {len(y)} labelled {ITEMS[rows.modality]}; 95 % intervals from {len(halves)} "
        "half-samples",
        ranked,
        ties,
        orders,
        (*_warnings(found, names, len(y), bool(len(halves))), *notes),
    )


def _labelled_items(target: Domain) -> tuple[Domain, list[Any]]:
    """Return the labelled rows, and their pictures or texts.

    Raises
    ------
    InputError
        When there are too few, or the target is a table.
    """
    from headstart.backbones.transformer import items_in

    if target.modality not in ITEMS:
        raise InputError(
            f"{target.name}: is a table, and pretrained models read pictures or texts; to rank sources for a table, "
            "give their files"
        )
    require_rankable(target)
    rows = target.labelled_rows()
    return rows, items_in(rows.X, rows.modality)


def _opened(models: Sequence[str | Backbone], target: Domain) -> tuple[list[str], list[Backbone]]:
    from headstart.backbones import backbone

    found = [backbone(model) if isinstance(model, str) else model for model in models]
    if len(found) < 2:
        raise InputError(f"a ranking needs two models or more, not {len(found)}")
    for model in found:
        if model.card.modality != target.modality:
            raise InputError(
                f"{model.card.name} reads {ITEMS[model.card.modality]}, and {target.name} holds "
                f"{ITEMS[target.modality]}; leave it out"
            )
    names = [model.card.name.removeprefix("hf:") for model in found]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise InputError(f"two models are called {listed(twice)}; name each once, or rename a folder")
    return names, found


def _about(model: Backbone) -> dict[str, Any]:
    card = model.card
    return {
        "source_task": card.source_task,
        "licence": card.licence,
        "parameters": card.parameters,
        "width": card.width,
        "classes": card.classes,
        "weights": card.weights,
    }


def _warnings(found: list[Backbone], names: list[str], n: int, told: bool) -> list[str]:
    notes = []
    wide = [name for name, model in zip(names, found, strict=True) if model.card.width >= n]
    if wide:
        notes.append(
            f"no more labelled rows ({n}) than features in {listed(wide)}: scores that are fitted and measured on the "
            "same rows look good there whatever the model; those that leave rows out (ridge, lda, knn) don't"
        )
    if not told:
        notes.append("two labelled rows a class don't say how sure a score is, so that all count as tied")
    same: dict[str, list[str]] = {}
    for name, model in zip(names, found, strict=True):
        same.setdefault(model.card.weights or name, []).append(name)
    notes += [f"{listed(twins)} have the same weights: one model" for twins in same.values() if len(twins) > 1]
    return notes


def _static(
    names: list[str],
    found: list[Backbone],
    static: str | Path | Mapping[str, Mapping[str, float]] | None,
    target: str,
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return orders that don't look at the target: by size, and by what the models reached on other tasks."""
    sizes = {name: model.card.parameters for name, model in zip(names, found, strict=True)}
    orders = {PARAMETERS: tuple(sorted(names, key=lambda name: (-sizes[name], name)))}
    if static is None:
        return orders, []
    tables = {task: of for task, of in _known(static).items() if task != target}
    there = [name for name in names if tables and all(name in of for of in tables.values())]
    if len(there) < 2:
        where = static if isinstance(static, str | Path) else "static"
        raise InputError(f"{where}: holds no other task on which two of these models stand; leave it out")
    ranks = dict(zip(there, mean_ranks(list(tables.values()), there), strict=True))
    orders[ELSEWHERE] = tuple(sorted(there, key=lambda name: (ranks[name], name)))
    absent = [name for name in names if name not in ranks]
    return orders, [f"not on every other task, so without a rank there: {listed(absent)}"] if absent else []


def _known(static: str | Path | Mapping[str, Mapping[str, float]]) -> Mapping[str, Mapping[str, float]]:
    """Read what models reached on tasks.

    Raises
    ------
    InputError
        When the file is no such table.
    """
    if not isinstance(static, str | Path):
        return static
    path = Path(static)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give what headstart bench ranking -o wrote")
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: is no JSON; give what headstart bench ranking -o wrote") from error
    tables = read.get("accuracies", read) if isinstance(read, dict) else None
    if not isinstance(tables, dict) or not all(
        isinstance(of, dict) and all(isinstance(value, int | float) for value in of.values()) for of in tables.values()
    ):
        raise InputError(f"{path}: must hold numbers by task and in it by model")
    return tables
