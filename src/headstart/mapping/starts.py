"""Where to begin: couplings found without a map, from the shape of the domains, their classes, or chance."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from math import perm
from typing import Any

import numpy as np

from headstart.kernels import squared_distances
from headstart.mapping.gromov import gromov, within
from headstart.mapping.measures import Measure
from headstart.mapping.transport import entropic

#: Matchings of classes up to which all are scored.
MOST_MATCHINGS = 10_000
#: Entropies of a start that already has a shape.
FINE = (0.02, 0.01)
#: Entropy and steps of couplings that only begin something.
ROUGH, ROUGH_TOL, ROUGH_STEPS = 1.0, 1e-4, 300
#: How much the first costs of a start by chance vary, in units of that entropy.
NOISE = 3.0


def gromov_starts(
    source: Measure, target: Measure, kind: str, n_neighbors: int, n_random: int, n_matchings: int, random_state: Any
) -> Iterator[tuple[str, np.ndarray]]:
    """Give couplings that keep distances within the domains, each with a few words on what it began with.

    From no idea; from the matchings of classes under which their distances agree best, where labels are known on both
    sides; and from chance.
    """
    Ds, Dt = (within(measure.rows, kind, n_neighbors) for measure in (source, target))
    a, b = source.mass, target.mass
    yield "shape", gromov(Ds, Dt, a, b).coupling
    for matching in class_matchings(Ds, Dt, source, target, n_matchings):
        yield "classes", gromov(Ds, Dt, a, b, levels=FINE, start=_within_classes(source, target, matching)).coupling
    rng = np.random.default_rng(random_state)
    for _ in range(n_random):
        # Rows stand in an order of their own, so chance falls on the same rows whatever order they came in.
        first = entropic(NOISE * rng.normal(size=(len(a), len(b))), a, b, ROUGH, tol=ROUGH_TOL, max_iter=ROUGH_STEPS)
        yield "chance", gromov(Ds, Dt, a, b, levels=FINE, start=first.coupling).coupling


def as_they_stand(source: Measure, target: Measure) -> np.ndarray:
    """Return an entropic coupling of rows that are near to each other in the same columns."""
    C = squared_distances(source.rows, target.rows)
    scale = float(np.median(C))
    plan = entropic(C, source.mass, target.mass, 0.05 * scale if scale > 0 else 1.0, tol=ROUGH_TOL)
    coupling: np.ndarray = plan.coupling
    return coupling


def class_matchings(
    Ds: np.ndarray, Dt: np.ndarray, source: Measure, target: Measure, most: int
) -> list[dict[float, float]]:
    """Return the one-to-one matchings of classes under which mean distances between classes agree best, best first.

    None where the labels of either side are missing altogether, or there are too many matchings to score.
    """
    classes_s, classes_t = (np.unique(m.label[~np.isnan(m.label)]) for m in (source, target))
    k_s, k_t = len(classes_s), len(classes_t)
    if min(k_s, k_t) < 2 or perm(max(k_s, k_t), min(k_s, k_t)) > MOST_MATCHINGS:
        return []
    Bs, ps = _between_classes(Ds, source, classes_s)
    Bt, pt = _between_classes(Dt, target, classes_t)
    small, large = (k_s, k_t) if k_s <= k_t else (k_t, k_s)
    scored = []
    for image in permutations(range(large), small):
        i = np.arange(small)
        rows, columns = (i, np.array(image)) if k_s <= k_t else (np.array(image), i)
        w = np.sqrt(ps[rows] * pt[columns])
        apart = float(w @ np.square(Bs[np.ix_(rows, rows)] - Bt[np.ix_(columns, columns)]) @ w)
        scored.append((apart / w.sum() ** 2, dict(zip(classes_s[rows], classes_t[columns], strict=True))))
    scored.sort(key=lambda item: item[0])
    return [matching for _, matching in scored[:most]]


def _between_classes(D: np.ndarray, measure: Measure, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean distances between and within classes, and the classes' masses."""
    members = np.where(measure.label[:, None] == classes, measure.mass[:, None], 0.0)
    mass = members.sum(axis=0)
    members /= mass
    return members.T @ D @ members, mass / mass.sum()


def _within_classes(source: Measure, target: Measure, matching: dict[float, float]) -> np.ndarray:
    """Return the coupling that sends the rows of a class to all those of its partner, as far as the masses allow."""
    wanted = np.array([matching.get(label, np.nan) for label in source.label])
    met = wanted[:, None] == target.label
    open_ends = np.isnan(wanted)[:, None] | np.isnan(target.label)
    C = np.where(met, 0.0, np.where(open_ends, 5.0, 10.0))
    plan = entropic(C, source.mass, target.mass, ROUGH, tol=ROUGH_TOL, max_iter=ROUGH_STEPS)
    coupling: np.ndarray = plan.coupling
    return coupling
