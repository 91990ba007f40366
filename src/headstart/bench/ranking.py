"""Ranking pretrained models for a target with few labels: whether scores find the model that serves best.

A target shows a few labelled rows, ten a class. Every score looks at the features of these rows alone. The truth is
what a user would get from each model: the accuracy, on rows that nobody has seen, of a classifier fitted to the same
few rows. Beside the scores stand orders that never look at the target: the number of parameters, and the rank that
the models have on other tasks.

Ridge, the first default score, was settled on the tasks in `SETTLING`; the figures to report are those of `TASKS`,
which share no picture with them. When the present default, the consensus of the scores, was picked, the figures of all
these were known. So it is put to the proof again on `TASKS` with other numbers of labelled rows and other draws.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.bench.asked import Asked, Shown
from headstart.bench.ranking_tasks import (
    DRAWS,
    FRESH,
    LABELLED,
    MOST_ROWS,
    ONE_TRAINING,
    SETTLING,
    SIDE,
    TASKS,
    TRUTHS,
    Draw,
    draws_of,
    independent,
    needed,
    networks,
    pool_of,
    probed,
    tuned,
)
from headstart.domain import Domain
from headstart.errors import InputError, unknown_name
from headstart.evidence.gain import paired_interval
from headstart.evidence.model_scores import (
    CONSENSUS,
    DEFAULT,
    consensus_among,
    head_probabilities,
    mean_ranks,
    names_of_scores,
    names_of_voters,
    score_models,
)

if TYPE_CHECKING:
    from headstart.backbones import Backbone

#: Orders that never look at the target's rows.
PARAMETERS, OTHER_TASKS, OTHER_SETS, CHANCE = (
    "parameters",
    "rank on other tasks",
    "rank on other data sets",
    "any model",
)


#: By task and draw, in it by model, in it by score; all but the consensus, which is made among the models compared.
Scores = dict[tuple[str, int], dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Cell:
    """What a user got from one model in one draw, with so many labelled rows a class: the accuracy on rows not seen."""

    task: str
    draw: int
    model: str
    truth: str
    accuracy: float
    seconds: float
    labelled: int = LABELLED

    @property
    def key(self) -> tuple[str, int, int, str, str]:
        """What tells it from every other cell."""
        return self.task, self.labelled, self.draw, self.model, self.truth


@dataclass(frozen=True)
class Line:
    """How well one order of the models serves, over tasks, each averaged over its draws: means and 95 % intervals.

    `tau` is the weighted tau, `regret` the best accuracy minus that of the model picked, in points; `first` and
    `among_three` say how often, in %, the pick is the best model and the best is among the first three. `over` is the
    regret minus that of the default score, task by task.
    """

    order: str
    tasks: int
    tau: tuple[float, float, float] | None
    regret: tuple[float, float, float]
    first: tuple[float, float, float]
    among_three: tuple[float, float, float] | None
    over: tuple[float, float, float] | None


def measure(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Measure truths and scores of all models on all tasks, show the tables, and return the figures."""
    truths = list(asked.methods) or ["probe"]
    for name in truths:
        if name not in TRUTHS:
            raise InputError(unknown_name("truth", name, TRUTHS))
    if asked.models is None:
        raise InputError("the pretrained networks are needed; name their folder with --models")
    tasks = list(asked.sets(needed()))
    draws = asked.draws or DRAWS
    models = dict(networks(asked.models))
    kept = {cell.key: cell for cell in _kept(asked.cells)}
    cells: list[Cell] = []
    scores: dict[int, Scores] = {budget: {} for budget in (LABELLED, *FRESH)}
    for task in tasks:
        shown = _Shown.to(models, pool_of(asked.data, task))
        for draw, wanted in _draws(shown.pool, draws, truths):
            for name, truth in product(models, wanted):
                cell = kept.get((task, draw.budget, draw.number, name, truth))
                said = f"{task} {draw.budget} a class, {draw.number}"
                if cell is None:
                    cell = _cell(shown, name, truth, draw)
                    _keep(asked.cells, cell)
                    asked.say(f"{said} {name} {truth}: {100 * cell.accuracy:.1f} %, {cell.seconds:.1f} s")
                cells.append(cell)
            # Scores are cheap, and those of the code at hand are wanted: they are made anew each time.
            scores[draw.budget][task, draw.number] = shown.scores(draw)
            asked.say(f"{task} {draw.budget} a class, {draw.number}: scored")
    parameters = {name: model.card.parameters for name, model in models.items()}
    return {
        "default": DEFAULT,
        "settings": {
            "rows": MOST_ROWS,
            "labelled a class": LABELLED,
            "draws": list(range(draws)),
            "fresh, labelled a class": list(FRESH),
            "fresh draws": list(_fresh(draws)),
            "side": SIDE,
        },
        "parameters": parameters,
        "one training": ONE_TRAINING,
        "accuracies": mean_accuracies([cell for cell in cells if cell.labelled == LABELLED], truths[0]),
        **_lines(cells, scores, parameters, truths, show),
        "scores": [
            {"task": task, "labelled": budget, "draw": draw, "model": model, **values}
            for budget, of_budget in scores.items()
            for (task, draw), of_models in of_budget.items()
            for model, values in of_models.items()
        ],
        "cells": [asdict(cell) for cell in cells],
    }


def _draws(pool: Domain, draws: int, truths: Sequence[str]) -> Iterator[tuple[Draw, Sequence[str]]]:
    """Yield the draws of a task, each with the truths to measure in it; fresh ones are probed only, if at all."""
    for draw in draws_of(pool, range(draws)):
        yield draw, truths
    if pool.name in TASKS and "probe" in truths:
        for budget in FRESH:
            for draw in draws_of(pool, _fresh(draws), budget):
                yield draw, ["probe"]


def _fresh(draws: int) -> range:
    return range(DRAWS, DRAWS + draws)


def _lines(
    cells: Sequence[Cell],
    scores: Mapping[int, Scores],
    parameters: Mapping[str, int],
    truths: Sequence[str],
    show: Callable[[Shown], None],
) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of every group of tasks, of models that count once and of all; show the former."""
    groups = {"reported": (TASKS, LABELLED), "settling": (SETTLING, LABELLED)}
    groups |= {f"fresh, {budget} a class": (TASKS, budget) for budget in FRESH}
    found = {}
    for (group, (of, budget)), truth in product(groups.items(), truths):
        those = [cell for cell in cells if cell.task in of and cell.labelled == budget]
        for whole, models in ((False, independent(parameters)), (True, list(parameters))):
            lines = summarise(those, scores[budget], parameters, truth, models)
            if not lines:
                continue
            found[f"{group}, {truth}{', every network' if whole else ''}"] = [vars(line) for line in lines]
            if not whole:
                show(_table(lines, f"{group} tasks, {truth}", len(models)))
    return found


@dataclass(frozen=True, eq=False)
class _Shown:
    """A task as every model sees it: features, and what the heads say."""

    pool: Domain
    models: Mapping[str, Backbone]
    features: dict[str, np.ndarray]
    heads: dict[str, np.ndarray]

    @classmethod
    def to(cls, models: Mapping[str, Backbone], pool: Domain) -> _Shown:
        items = list(pool.X[:, 0])
        features, heads = {}, {}
        for name, model in models.items():
            features[name] = model.features(items).astype(float)
            said = head_probabilities(model, items, features[name])
            if said is not None:
                heads[name] = said.astype(float)
        return cls(pool, models, features, heads)

    def scores(self, draw: Draw) -> dict[str, dict[str, float]]:
        at = draw.labelled
        with warnings.catch_warnings():
            # That some scores should not be used with so few rows is what the table shows.
            warnings.simplefilter("ignore", UserWarning)
            return score_models(
                {name: F[at] for name, F in self.features.items()},
                self.pool.labels[at],
                probabilities={name: P[at] for name, P in self.heads.items()},
                names=[name for name in names_of_scores("classification") if name != CONSENSUS],
                random_state=draw.number,
            )


def _cell(shown: _Shown, name: str, truth: str, draw: Draw) -> Cell:
    start = time.process_time()
    if truth == "probe":
        accuracy = probed(shown.pool, shown.features[name], draw)
    else:
        accuracy = tuned(shown.pool, shown.models[name], draw)
    return Cell(shown.pool.name, draw.number, name, truth, accuracy, time.process_time() - start, draw.budget)


def mean_accuracies(cells: Sequence[Cell], truth: str) -> dict[str, dict[str, float]]:
    """Return the accuracy of each model on each task, averaged over draws: what `headstart rank --known` reads."""
    found: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        if cell.truth == truth:
            found.setdefault(cell.task, {}).setdefault(cell.model, []).append(cell.accuracy)
    return {task: {model: float(np.mean(v)) for model, v in of.items()} for task, of in found.items()}


def summarise(
    cells: Sequence[Cell], scores: Scores, parameters: Mapping[str, int], truth: str, models: Sequence[str]
) -> list[Line]:
    """Return one line an order: every score, and the orders that never look at the target; the least regret first."""
    reached: dict[tuple[str, int], dict[str, float]] = {}
    for cell in cells:
        if cell.truth == truth:
            reached.setdefault((cell.task, cell.draw), {})[cell.model] = cell.accuracy
    means = mean_accuracies(cells, truth)
    found: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {}
    for (task, draw), of in sorted(reached.items()):
        if not all(model in of for model in models):
            continue
        orders = {
            **_scored(scores.get((task, draw), {}), models),
            **_static(task, means, parameters, models),
            CHANCE: np.zeros(len(models)),
        }
        for name, order in orders.items():
            judgement = judged(order, np.array([of[model] for model in models]))
            found.setdefault(name, {}).setdefault(task, []).append(judgement)
    by_task = {
        name: {task: np.mean(rows, axis=0) for task, rows in of_tasks.items()} for name, of_tasks in found.items()
    }
    lines = [_line(name, of_tasks, by_task.get(DEFAULT)) for name, of_tasks in by_task.items()]
    return sorted(lines, key=lambda line: line.regret[0])


def _scored(there: Mapping[str, Mapping[str, float]], models: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the order that each score gives, and their consensus; a model that has no such score comes last."""
    names = dict.fromkeys(name for model in models for name in there.get(model, {}))
    found = {name: np.array([there[model].get(name, -np.inf) for model in models]) for name in names}
    if names.keys() >= set(names_of_voters("classification")):
        found[CONSENSUS] = consensus_among([there[model] for model in models])
    return found


def _static(
    task: str, means: Mapping[str, Mapping[str, float]], parameters: Mapping[str, int], models: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return the orders by size, and by what was reached on other tasks: never by this one."""
    sets = {**TASKS, **SETTLING}
    orders = {PARAMETERS: np.array([float(parameters[model]) for model in models])}
    for name, others in (
        (OTHER_TASKS, [other for other in means if other != task]),
        (OTHER_SETS, [other for other in means if sets[other] != sets[task]]),
    ):
        tables = [means[other] for other in others if all(model in means[other] for model in models)]
        if tables:
            orders[name] = -mean_ranks(tables, models)
    return orders


def _line(name: str, of_tasks: Mapping[str, np.ndarray], default: Mapping[str, np.ndarray] | None) -> Line:
    values = np.array(list(of_tasks.values()))
    tau, regret, first, three = (_interval(values[:, j], j) for j in range(4))
    over = None
    if name != DEFAULT and default is not None and default.keys() == of_tasks.keys():
        over = paired_interval(np.array([value[1] - default[task][1] for task, value in of_tasks.items()]))
    looks = name != CHANCE
    return Line(name, len(values), tau if looks else None, regret, first, three if looks else None, over)


def _interval(values: np.ndarray, kind: int) -> tuple[float, float, float]:
    mean, low, high = paired_interval(values)
    least, most = (-1.0, 1.0) if kind == 0 else (0.0, 100.0)
    return mean, max(low, least), min(high, most)


def judged(order: np.ndarray, reached: np.ndarray) -> tuple[float, float, float, float]:
    """Return weighted tau, regret in points, and whether the best is first and among the first three, in %.

    Where an order has several firsts, one of them is picked at random: regret and hit are means over these.

    >>> judged(np.array([3.0, 2.0, 1.0, 0.0]), np.array([0.8, 0.9, 0.7, 0.6]))[1:]
    (10.0, 0.0, 100.0)
    """
    from scipy.stats import rankdata, weightedtau

    picked = order == order.max()
    best = reached == reached.max()
    tau = 0.0 if (order == order[0]).all() else float(weightedtau(reached, rankdata(order)).statistic)
    regret = round(100 * float(reached.max() - reached[picked].mean()), 10)
    among = rankdata(-order, method="max")[best].min() <= 3
    return tau, regret, 100 * float(best[picked].mean()), 100.0 * float(among)


def _kept(place: Path | None) -> list[Cell]:
    if place is None or not place.exists():
        return []
    return [Cell(**json.loads(line)) for line in place.read_text(encoding="utf-8").splitlines()]


def _keep(place: Path | None, cell: Cell) -> None:
    if place is not None:
        with place.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(cell)) + "\n")


def _table(lines: Sequence[Line], what: str, models: int) -> Shown:
    def wrote(value: tuple[float, float, float] | None, digits: int) -> str:
        if value is None:
            return "-"
        mean, low, high = (round(v, digits) + 0.0 for v in value)
        return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    rows = [
        [
            line.order + (" (default)" if line.order == DEFAULT else ""),
            wrote(line.regret, 1),
            wrote(line.over, 1),
            wrote(line.tau, 2),
            wrote(line.first, 0),
            wrote(line.among_three, 0),
        ]
        for line in lines
    ]
    title = f"{what}: {models} models on {lines[0].tasks} tasks, 95 % intervals over tasks"
    columns = ["order", "regret, points", "over the default's", "weighted tau", "best is first, %", "among three, %"]
    return Shown(title, columns, rows)
