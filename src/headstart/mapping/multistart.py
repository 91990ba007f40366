"""Several starts of a descent: the best of them, and whether the others agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.errors import InputError
from headstart.mapping.anchors import anchor_costs
from headstart.mapping.descent import Problem, Side, Solution
from headstart.mapping.label_ends import one_column_each
from headstart.mapping.measures import clustered
from headstart.mapping.starts import as_they_stand, gromov_starts
from headstart.mapping.transport import entropic

#: Rows or clusters of a domain among which the starts are compared, and how many of them go on to all rows.
COARSE = 300
FINALISTS = 3
#: Plausibility beside the best below which a start is not followed further.
PLAUSIBLE = 0.05
#: Mass in which two couplings must differ to be two starts, and agreement above which two solutions are one.
SAME_START = 0.02
SAME_END = 0.98
#: Entropy of the coupling of rows by their relations to anchors, whose costs reach log 2.
ANCHORED = 0.01


@dataclass(frozen=True)
class Start:
    """One beginning of the descent: where it ended, with many rows among their clusters.

    Parameters
    ----------
    name : str
        What it began with: "as they stand", "pairs", "anchors", "shape", "classes" or "chance".
    objective : float
    map_agreement, label_agreement : float
        How much of the best start's map and label map it shares, between 0 and 1.
    plausibility : float
        1 for the best; near 0 where the rows are charged so much more that another sample would hardly change it.
    """

    name: str
    objective: float
    map_agreement: float
    label_agreement: float
    plausibility: float


@dataclass(frozen=True)
class StartSettings:
    """How starts are made, see `MappingLearner`."""

    distances: str
    n_neighbors: int
    n_starts: int
    random_state: Any


def best_of_starts(problem: Problem, settings: StartSettings) -> tuple[Solution, tuple[Start, ...]]:
    """Return the best of the descents from several starts, and how the starts compare.

    With many rows the starts are compared among clusters, and the best few that differ go on to the rows.
    """
    coarse = replace(
        problem,
        source=_coarser(problem.source, settings.random_state),
        target=_coarser(problem.target, settings.random_state),
    )
    tried: list[tuple[str, Solution]] = []
    begun: list[np.ndarray] = []
    for name, P in _starts(coarse, settings):
        if P is None:
            tried.append((name, coarse.descend(None)))
        elif all(np.abs(P - other).sum() > SAME_START for other in begun):
            begun.append(P)
            tried.append((name, coarse.descend(P)))
    tried.sort(key=lambda item: item[1].objective)
    starts = _compared(coarse, tried)
    if coarse.source is problem.source and coarse.target is problem.target:
        return tried[0][1], starts
    finalists: list[Solution] = []
    for (_, solution), start in zip(tried, starts, strict=True):
        another = all(_agreement(coarse, solution, f)[0] < SAME_END for f in finalists)
        if len(finalists) < FINALISTS and another and start.plausibility >= PLAUSIBLE:
            finalists.append(solution)
    refined = [problem.descend_from(solution.map, solution.label_map) for solution in finalists]
    best = min(range(len(refined)), key=lambda i: refined[i].objective)
    tried.sort(key=lambda item: item[1] is not finalists[best])
    return refined[best], _compared(coarse, tried)


def confidence(starts: tuple[Start, ...], agreement: str) -> float:
    """Return how far the answer would be the same had the next plausible start been taken; 1 with no other start."""
    return min((1 - start.plausibility * (1 - getattr(start, agreement)) for start in starts), default=1.0)


def _coarser(side: Side, random_state: Any) -> Side:
    """Return a side whose free rows are few clusters; the same, where they are few already."""
    if len(side.free.rows) <= COARSE:
        return side
    k = side.free_labels.values.shape[1] if side.free_labels.classes else 0
    free = clustered(side.free, COARSE, k > 0, random_state)
    return replace(side, free=free, free_labels=one_column_each(free.label, k))


def _starts(coarse: Problem, settings: StartSettings) -> Iterator[tuple[str, np.ndarray | None]]:
    """Give couplings of the free rows to begin with; None is a map from the pairs alone."""
    source, target = coarse.source, coarse.target
    if len(source.paired):
        yield "pairs", None
        yield "anchors", _by_anchors(coarse)
    if source.free.rows.shape[1] == target.free.rows.shape[1]:
        yield "as they stand", as_they_stand(source.free, target.free)
    elif not settings.n_starts and not len(source.paired):
        raise InputError("domains with different columns and no pairs need starts from their shape: n_starts above 0")
    if not settings.n_starts:
        return
    n_matchings = settings.n_starts // 2
    yield from gromov_starts(
        source.free,
        target.free,
        settings.distances,
        settings.n_neighbors,
        n_matchings=n_matchings,
        n_random=max(0, settings.n_starts - 1 - n_matchings),
        random_state=settings.random_state,
    )


def _by_anchors(coarse: Problem) -> np.ndarray:
    source, target = coarse.source, coarse.target
    C = anchor_costs(source.free.rows, target.free.rows, source.paired, target.paired)
    coupling: np.ndarray = entropic(C, source.free.mass, target.free.mass, ANCHORED, tol=1e-4).coupling
    return coupling


def _compared(coarse: Problem, tried: list[tuple[str, Solution]]) -> tuple[Start, ...]:
    best = tried[0][1]
    return tuple(
        Start(name, solution.objective, *_agreement(coarse, best, solution), _plausibility(coarse, best, solution))
        for name, solution in tried
    )


def _agreement(coarse: Problem, one: Solution, other: Solution) -> tuple[float, float]:
    """Return the share of map and of label map that two solutions have in common, between 0 and 1."""
    side, w = coarse.source.free, coarse.source.free.mass
    F, H = one.map.transform(side.rows), other.map.transform(side.rows)
    spread = w @ np.square(F - w @ F).sum(axis=1) + w @ np.square(H - w @ H).sum(axis=1)
    apart = w @ np.square(F - H).sum(axis=1)
    maps = 1.0 if apart == 0 else max(0.0, 1 - float(apart / spread)) if spread > 0 else 0.0
    if one.label_map is None:
        return maps, 1.0
    labels = coarse.source.free_labels
    mass = w * labels.known
    if not mass.any():
        return maps, 1.0
    A, B = one.label_map(labels.values), other.label_map(labels.values)
    if labels.classes:
        return maps, float(mass @ np.minimum(A, B).sum(axis=1) / mass.sum())
    off = mass @ np.square(A - B).sum(axis=1) / mass.sum() / coarse.s_y
    return maps, max(0.0, 1 - float(off) / 2)


def _plausibility(coarse: Problem, best: Solution, other: Solution) -> float:
    """Return exp(-z^2 / 2), where z is the difference of the objectives in standard errors over the rows' charges."""
    w = coarse.source.free.mass
    difference = (other.charges - best.charges) / np.where(w > 0, w, 1.0)
    variance = w @ np.square(difference - w @ difference) * (w @ w)
    gap = other.objective - best.objective
    if gap <= 0:
        return 1.0
    return float(np.exp(-0.5 * gap**2 / variance)) if variance > 0 else 0.0
