"""Every method on the same cases, against learning from the source alone and from the target alone."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from headstart.bench.asked import Shown
from headstart.catalogue import make
from headstart.delivery import Plan, fit_together
from headstart.domain import Domain, stack
from headstart.errors import HeadstartError, InputError
from headstart.evidence.curve import drawing_order
from headstart.evidence.gain import METRICS, Metric, metric_for, paired_interval
from headstart.learners import make_learner
from headstart.method import unmet_needs

SOURCE_ONLY, TARGET_ONLY = "source-only", "target-only"


@dataclass(frozen=True, eq=False)
class Case:
    """One question put to every method.

    Parameters
    ----------
    data, pair : str
        The data set, and the source and target in it.
    draw : int
        Which draw of labelled rows this is; the seed of whatever is drawn.
    source, target, test : Domain
        Labelled source rows; target rows, some of them labelled; target rows to score on that no method sees.
    plan : Plan
        How rows become numbers.
    """

    data: str
    pair: str
    draw: int
    source: Domain
    target: Domain
    test: Domain
    plan: Plan


@dataclass(frozen=True)
class Score:
    """What one method scored in one case: the mean utility, the seconds of its fit; or why it could not."""

    data: str
    pair: str
    draw: int
    method: str
    metric: str
    utility: float | None
    seconds: float
    left_out: str | None = None


@dataclass(frozen=True)
class Line:
    """One method on one data set: its score, and its gains with their 95 % intervals.

    The units of an interval are the pairs of domains, each averaged over its draws; with a single pair, the draws.
    Pairs share domains and draws share rows, so the intervals are somewhat too narrow.
    """

    data: str
    method: str
    metric: str
    units: int
    score: float
    over_target_only: tuple[float, float, float]
    over_source_only: tuple[float, float, float]
    units_worse_than_target_only: int
    seconds: float


def with_labels(domain: Domain, labelled: int, test: int | float, draw: int) -> tuple[Domain, Domain]:
    """Return a target with so many labelled rows (drawn in proportion to the classes), and test rows of their own.

    `test` is a number of rows, or a share of them. The rows that are neither are the target's without labels.
    """
    order = drawing_order(domain, np.random.default_rng(draw))
    kept = test if isinstance(test, int) else round(test * len(order))
    if labelled + kept > len(order):
        raise InputError(f"{domain.name}: {len(order)} rows are too few for {labelled} labelled and {kept} test rows")
    known, rest = domain.rows(order[:labelled]), domain.rows(order[labelled : len(order) - kept])
    unknown = replace(rest, y=None)
    return stack_as_one(known, unknown), replace(domain.rows(order[len(order) - kept :]), name=f"{domain.name}-test")


def stack_as_one(known: Domain, unknown: Domain) -> Domain:
    """Put rows of one domain on top of each other."""
    return replace(stack([known, unknown]), name=known.name, origin=None) if len(unknown) else known


def compare(
    cases: Iterable[Case],
    methods: Sequence[str],
    *,
    n_jobs: int = 1,
    tick: Callable[[Score], None] = lambda score: None,
) -> list[Score]:
    """Fit every method in every case and score it on the case's test rows; with the task's standard learner."""
    tasks = ((case, method) for case in cases for method in methods)
    scores = []
    with threadpool_limits(1):
        for score in Parallel(n_jobs=n_jobs, return_as="generator")(delayed(_score)(*task) for task in tasks):
            scores.append(score)
            tick(score)
    return scores


def _score(case: Case, name: str) -> Score:
    metric = metric_for(case.plan.task, None)
    learner = make_learner("auto", case.plan.task, case.draw)
    method = make(name)
    if "random_state" in method.get_params():
        method.set_params(random_state=case.draw)
    about = (case.data, case.pair, case.draw, name, metric.name)
    lack = unmet_needs(method, learner, task=case.plan.task, target=case.target)
    if lack:
        return Score(*about, None, 0.0, lack)
    start = time.perf_counter()
    try:
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, _ = fit_together(method, learner, case.source, case.target, case.plan)
    except HeadstartError as error:
        return Score(*about, None, time.perf_counter() - start, str(error))
    seconds = time.perf_counter() - start
    return Score(*about, float(metric.utility(model, case.test.X, case.test.labels).mean()), seconds)


def summarise(scores: Sequence[Score]) -> list[Line]:
    """Return one line a data set and method, in the order in which they were tried."""
    lines = []
    for data in dict.fromkeys(score.data for score in scores):
        of_data = [score for score in scores if score.data == data]
        by_pair = len({score.pair for score in of_data}) > 1
        reached: dict[str, dict[object, list[float]]] = {}
        for score in of_data:
            if score.utility is not None:
                unit = score.pair if by_pair else score.draw
                reached.setdefault(score.method, {}).setdefault(unit, []).append(score.utility)
        means = {method: {unit: np.mean(u) for unit, u in units.items()} for method, units in reached.items()}
        for method, units in means.items():
            over = {
                baseline: np.array([units[unit] - means[baseline][unit] for unit in units])
                for baseline in (TARGET_ONLY, SOURCE_ONLY)
            }
            metric = METRICS[of_data[0].metric]
            lines.append(
                Line(
                    data,
                    method,
                    metric.name,
                    len(units),
                    metric.sign * float(np.mean(list(units.values()))),
                    paired_interval(over[TARGET_ONLY]),
                    paired_interval(over[SOURCE_ONLY]),
                    int((over[TARGET_ONLY] < 0).sum()),
                    float(np.mean([s.seconds for s in of_data if s.method == method and s.utility is not None])),
                )
            )
    return lines


def utilities(scores: Sequence[Score]) -> dict[str, dict[str, dict[str, list[float | None]]]]:
    """Return the utility of every draw, by data set, pair and method: what the lines are made of."""
    found: dict[str, dict[str, dict[str, list[float | None]]]] = {}
    for score in scores:
        of_method = found.setdefault(score.data, {}).setdefault(score.pair, {}).setdefault(score.method, [])
        of_method.append(None if score.utility is None else round(score.utility, 5))
    return found


def shown(gain: tuple[float, float, float], metric: Metric) -> str:
    """Write a gain with its interval.

    >>> shown((0.0123, -0.0045, 0.0291), METRICS["accuracy"])
    '+1.2 (-0.4 to +2.9)'
    """
    mean, low, high = (metric.show_gain(value) for value in gain)
    return f"{mean} ({low} to {high})"


def table_of(lines: Sequence[Line], protocol: str) -> Shown:
    """Return a table to print: a line a method, with its gains."""
    metric = METRICS[lines[0].metric]
    columns = [
        "method",
        metric.name,
        "over target-only (95% CI)",
        "over source-only (95% CI)",
        "worse than target-only",
        "seconds",
    ]
    rows = [
        [
            line.method,
            metric.show(metric.sign * line.score),
            shown(line.over_target_only, metric),
            shown(line.over_source_only, metric),
            f"{line.units_worse_than_target_only} of {line.units}",
            f"{line.seconds:.2f}",
        ]
        for line in lines
    ]
    return Shown(f"{lines[0].data}: {protocol}", columns, rows)
