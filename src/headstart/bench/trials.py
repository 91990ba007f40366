"""Published tables, done again: what is tried, on which rows, and how far ours is from print."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from headstart.bench.asked import Shown
from headstart.catalogue import make
from headstart.domain import stack_rows
from headstart.evidence.gain import paired_interval
from headstart.method import Method
from headstart.transfer import Transfer

ACCURACY = "accuracy in %"
#: How far below the printed mean a method may stay, in points.
BAND = 1.5


@dataclass(frozen=True, eq=False)
class Rows:
    """One task of one draw: labelled source rows, target rows, and the labels that only the score sees."""

    Xs: Any
    ys: np.ndarray
    Xt: Any
    yt: np.ndarray


@dataclass(frozen=True)
class Trial:
    """One line of a table.

    Parameters
    ----------
    name : str
        As the table calls it.
    method : str, optional
        Name in the catalogue; without, the learner is fitted on the source rows as they are.
    parameters : dict
        Of the method: those of its paper or of its authors' published code.
    learner : str
        What learns on the aligned rows: a key of the table's learners.
    prepare : callable, optional
        Brings the rows of both domains into the form that the paper asks for; it sees no label.
    grid : dict of str to sequence
        Parameters that are chosen where their paper does so: by cross-validation on the source, in 5 folds.
    """

    name: str
    method: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    learner: str = "1NN"
    prepare: Callable[[Any, Any], tuple[Any, Any]] | None = None
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def settings(self) -> str:
        """Say in a line how the rows are prepared, what the method is told, and what learns."""
        steps = [(self.prepare.__doc__ or "").splitlines()[0].rstrip(".")] if self.prepare else []
        chosen = [f"{', '.join(self.grid)} by 5 folds of the source"] if self.grid else []
        called = [" ".join(repr(self.made()).split())] if self.method else []
        return "; ".join([*steps, *called, *chosen, self.learner])

    def made(self, draw: int = 0) -> Method:
        """Return the method, with the draw's number as its seed."""
        method = make(self.method or "", {name: clone(value, safe=False) for name, value in self.parameters.items()})
        return method.set_params(random_state=draw) if "random_state" in method.get_params() else method


@dataclass(frozen=True)
class Table:
    """A published table: its tasks, its lines, and what was printed.

    Parameters
    ----------
    protocol : str
        In words, with the source of the printed numbers.
    needed : str
        The file or folder in the data folder.
    tasks : sequence of str
    draws : int
        Random draws of source rows; 1 where all are used.
    rows : callable
        (data folder, task, draw) -> Rows.
    trials : sequence of Trial
        First those without transfer, which the others are compared with.
    learners : dict
        What makes the learner of a name.
    printed : dict
        Name of a line: the printed number of each task, in the order of `tasks`.
    sds : dict
        Name of a line: the printed standard deviation of each task, where there are draws.
    """

    protocol: str
    needed: str
    tasks: Sequence[str]
    draws: int
    rows: Callable[[Path, str, int], Rows]
    trials: Sequence[Trial]
    learners: Mapping[str, Callable[[], Any]]
    printed: Mapping[str, Sequence[float]]
    sds: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """What one trial scored on one task of one draw, and the seconds of its fit."""

    trial: str
    task: str
    draw: int
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Line:
    """One line of a table beside print.

    Parameters
    ----------
    table, trial, settings, score : str
        Where it stands, what was tried, how, and what the numbers are.
    tasks : dict of str to float
        Ours, the mean over the draws.
    sds : dict of str to float
        Over the draws, where there are several.
    mean : float
    printed_mean, difference : float, optional
        The printed mean over the tasks, and ours less that.
    printed : dict of str to float, optional
    within : bool, optional
        At most 1.5 points below the printed mean; with draws: for how many tasks ours is at most the printed standard
        deviation below is `tasks_within_sd`.
    tasks_within_sd : int, optional
    gain : tuple, optional
        Over the line without transfer that has the same rows and learner (or learner, or over the first), with a 95 %
        interval; the tasks are the units.
    seconds : float
        A fit, on average.
    """

    table: str
    trial: str
    settings: str
    score: str
    tasks: dict[str, float]
    sds: dict[str, float] | None
    mean: float
    printed: dict[str, float] | None
    printed_mean: float | None
    difference: float | None
    within: bool | None
    tasks_within_sd: int | None
    gain: tuple[float, float, float] | None
    seconds: float


def scores_of(
    table: Table, folder: Path, trials: Sequence[Trial], draws: int, jobs: int, tick: Callable[[Score], None]
) -> list[Score]:
    """Fit every trial on every task and draw, and score it on the target's labels."""
    asked = [(task, draw, trial) for task in table.tasks for draw in range(draws) for trial in trials]
    scores = []
    with threadpool_limits(1):
        work = (delayed(_score)(table, folder, task, draw, trial) for task, draw, trial in asked)
        for score in Parallel(n_jobs=jobs, return_as="generator")(work):
            scores.append(score)
            tick(score)
    return scores


def _score(table: Table, folder: Path, task: str, draw: int, trial: Trial) -> Score:
    rows = table.rows(folder, task, draw)
    Xs, Xt = (rows.Xs, rows.Xt) if trial.prepare is None else trial.prepare(rows.Xs, rows.Xt)
    learner = table.learners[trial.learner]()
    start = time.perf_counter()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if trial.method is None:
            predicted = learner.fit(Xs, rows.ys).predict(Xt)
        else:
            method = trial.made(draw)
            if trial.grid:
                method.set_params(**chosen_on_source(method, trial.grid, learner, Xs, rows.ys, Xt))
            predicted = transferred(method, learner, Xs, rows.ys, Xt).predict(Xt)
    seconds = time.perf_counter() - start
    return Score(trial.name, task, draw, 100 * float(accuracy_score(rows.yt, predicted)), seconds)


def transferred(method: Method, learner: Any, Xs: Any, ys: np.ndarray, Xt: Any) -> Transfer:
    """Return a transfer that has seen no target label."""
    return Transfer(method, learner).fit(
        stack_rows([Xs, Xt]),
        np.concatenate([ys, np.full(Xt.shape[0], np.nan)]),
        domain=np.repeat(["source", "target"], [Xs.shape[0], Xt.shape[0]]),
    )


def chosen_on_source(
    method: Method, grid: Mapping[str, Sequence[Any]], learner: Any, Xs: Any, ys: np.ndarray, Xt: Any
) -> dict[str, Any]:
    """Return the parameters under which held-out source rows are predicted best, in 5 folds; the first of equals."""
    cuts = list(StratifiedKFold(5, shuffle=True, random_state=0).split(Xs, ys))
    combinations = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]

    def held_out(parameters: dict[str, Any]) -> float:
        right = 0
        for train, held in cuts:
            tried = clone(method).set_params(**parameters)
            model = transferred(tried, learner, Xs[train], ys[train], Xt)
            right += int((model.predictor_.predict_source(Xs[held]) == ys[held]).sum())
        return right / len(ys)

    return max(combinations, key=held_out)


def lines_of(name: str, table: Table, trials: Sequence[Trial], scores: Sequence[Score]) -> list[Line]:
    """Return one line a trial, in their order."""
    found: list[Line] = []
    for trial in trials:
        of_trial = [score for score in scores if score.trial == trial.name]
        by_task = {task: np.array([s.accuracy for s in of_trial if s.task == task]) for task in table.tasks}
        tasks = {task: float(values.mean()) for task, values in by_task.items()}
        mean = float(np.mean(list(tasks.values())))
        printed = (
            dict(zip(table.tasks, table.printed[trial.name], strict=True)) if trial.name in table.printed else None
        )
        sds = table.sds.get(trial.name)
        printed_mean = None if printed is None else float(np.mean(list(printed.values())))
        difference = None if printed_mean is None else mean - printed_mean
        plain = _without_transfer(trial, trials, found)
        found.append(
            Line(
                table=name,
                trial=trial.name,
                settings=trial.settings(),
                score=ACCURACY,
                tasks=tasks,
                sds={task: float(v.std(ddof=1)) for task, v in by_task.items()} if table.draws > 1 else None,
                mean=mean,
                printed=printed,
                printed_mean=printed_mean,
                difference=difference,
                within=None if difference is None or sds else difference >= -BAND,
                tasks_within_sd=_within(tasks, printed, sds) if printed and sds else None,
                gain=paired_interval(np.array([tasks[t] - plain[t] for t in tasks])) if plain else None,
                seconds=float(np.mean([s.seconds for s in of_trial])),
            )
        )
    return found


def _without_transfer(trial: Trial, trials: Sequence[Trial], found: Sequence[Line]) -> Mapping[str, float] | None:
    """Return what the nearest line without a method reached: that of the same rows and learner, or the first."""
    if trial.method is None and trial.prepare is None:
        return None
    plain = [(of, line.tasks) for line, of in zip(found, trials, strict=False) if of.method is None]
    alike = [
        tasks for of, tasks in plain if trial.method and (of.prepare, of.learner) == (trial.prepare, trial.learner)
    ]
    raw = [(of, tasks) for of, tasks in plain if of.prepare is None]
    alike += [tasks for of, tasks in raw if of.learner == trial.learner]
    return next(iter([*alike, *(tasks for _, tasks in raw)]), None)


def _within(tasks: Mapping[str, float], printed: Mapping[str, float], sds: Sequence[float]) -> int:
    # Print has one decimal.
    allowed = zip(tasks.values(), printed.values(), sds, strict=True)
    return sum(ours >= theirs - sd - 0.05 for ours, theirs, sd in allowed)


def shown(title: str, lines: Sequence[Line]) -> Shown:
    """Return a table to print: a line a method, a column a task."""
    digits = 1 if lines[0].score == ACCURACY else 3
    in_print = any(line.printed for line in lines)
    columns = ["", *lines[0].tasks, "mean", *(["print", "difference"] if in_print else [])]
    rows = []
    for line in lines:
        row = [line.trial, *(f"{score:.{digits}f}" for score in line.tasks.values()), f"{line.mean:.{digits}f}"]
        if in_print:
            row += ["" if line.printed_mean is None else f"{line.printed_mean:.1f}", difference(line)]
        gain = "" if line.gain is None else "{:+.{d}f} ({:+.{d}f} to {:+.{d}f})".format(*line.gain, d=digits)
        rows.append([*row, gain, f"{line.seconds:.1f}"])
    return Shown(title, [*columns, "over no transfer (95% CI)", "seconds"], rows)


def difference(line: Line) -> str:
    """Say how far a line is from print, and whether that is within the band."""
    if line.difference is None:
        return ""
    if line.tasks_within_sd is not None:
        return f"{line.difference:+.1f}, {line.tasks_within_sd} of {len(line.tasks)} within 1 sd"
    return f"{line.difference:+.1f}, {'within' if line.within else 'below'}"
