"""The objective of map, label map and coupling, and its descent by turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from headstart.kernels import squared_distances
from headstart.mapping.co_optimal import total
from headstart.mapping.families import Family
from headstart.mapping.low_rank import LowRank
from headstart.mapping.maps import Map
from headstart.mapping.measures import Measure
from headstart.mapping.transport import Plan, blocks


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of rows as vectors: one column a class, or one column of quantities.

    Parameters
    ----------
    values : array of shape (n, k)
        Zero where the label is not known.
    known : bool array of shape (n,)
    classes : bool
    """

    values: np.ndarray
    known: np.ndarray
    classes: bool


@dataclass(frozen=True, eq=False)
class Side:
    """One domain as the descent sees it: rows that carry mass and look for partners, rows that have one, labels."""

    free: Measure
    free_labels: Labels
    paired: np.ndarray
    paired_labels: Labels


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a descent ended.

    Parameters
    ----------
    map : Map
    label_map : object or None
        What `Problem.fit_labels` returned.
    plan : Plan or None
        Of the rows without a partner.
    trace : tuple of float
        The objective after each sweep.
    charges : array of shape (m,)
        What each free source row is charged, by its mass.
    converged : bool
    """

    map: Map
    label_map: Any
    plan: Plan | None
    trace: tuple[float, ...]
    charges: np.ndarray
    converged: bool

    @property
    def objective(self) -> float:
        """The objective at the end."""
        return self.trace[-1]


@dataclass(frozen=True, eq=False)
class Problem:
    r"""The objective, and all that a descent needs.

    .. math:: \sum_{ij} \pi_{ij} \Bigl(\frac{\|f(x_i) - x'_j\|^2}{s_x}
              + \lambda \frac{\|g(y_i) - y'_j\|^2}{s_y}\Bigr) + \frac{\alpha\,\Omega(f)}{s_x}
              + \varepsilon\, KL(\pi\,|\,a b^\top)

    Parameters
    ----------
    source, target : Side
    family : Family
        Of the maps f.
    fit_labels : callable, optional
        Takes joint sums and labels, returns g; None where labels have no say.
    s_x, s_y : float
        Variances of the target's rows and labels: the objective has no unit.
    label_weight : float
        The weight lambda.
    pair_share : float
        Mass of the rows with a partner, out of 1.
    couple : callable
        Takes costs, masses, the weight of the entropy and a guess of the target's potential; returns a plan.
    levels : tuple of float
        Weights of the entropy, from coarse to fine.
    max_iter, tol
        Sweeps at most, and the relative fall of the objective at which they end.
    """

    source: Side
    target: Side
    family: Family
    fit_labels: Callable[[Problem, Any], Any] | None
    s_x: float
    s_y: float
    label_weight: float
    pair_share: float
    couple: Callable[[np.ndarray, np.ndarray, np.ndarray, float, np.ndarray | None], Plan]
    levels: tuple[float, ...]
    max_iter: int
    tol: float

    def fitted(self, P: Any) -> tuple[Map, Any]:
        """Return the best f and g for a coupling of the free rows; None couples none."""
        X, Y, w = [], [], []
        if P is not None:
            mass = np.asarray(P.sum(axis=1)).ravel()
            sent = mass > 0
            X.append(self.source.free.rows[sent])
            Y.append((P @ self.target.free.rows)[sent] / mass[sent, None])
            w.append((1 - self.pair_share) * mass[sent])
        if len(self.source.paired) and self.pair_share > 0:
            n = len(self.source.paired)
            X.append(self.source.paired)
            Y.append(self.target.paired)
            w.append(np.full(n, self.pair_share / n))
        f = self.family.fit(np.concatenate(X), np.concatenate(Y), np.concatenate(w))
        return f, None if self.fit_labels is None else self.fit_labels(self, P)

    def joint(self, P: Any) -> np.ndarray:
        """Return the sums of y y'^T over coupled rows with known labels, shape (k_s, k_t)."""
        source, target = self.source, self.target
        joint = np.zeros((source.free_labels.values.shape[1], target.free_labels.values.shape[1]))
        if P is not None:
            joint += (1 - self.pair_share) * (source.free_labels.values.T @ (P @ target.free_labels.values))
        if len(source.paired) and self.pair_share > 0:
            both = source.paired_labels.known & target.paired_labels.known
            share = self.pair_share / len(both)
            joint += share * (source.paired_labels.values[both].T @ target.paired_labels.values[both])
        return joint

    def costs(self, f: Map, g: Any) -> np.ndarray:
        """Return what it costs to couple each free source row with each free target row."""
        C = squared_distances(f.transform(self.source.free.rows), self.target.free.rows)
        C /= self.s_x
        if g is not None and self.label_weight > 0:
            ys, yt = self.source.free_labels, self.target.free_labels
            # Some rows at a time: one matrix of costs is all that is held.
            for rows in blocks(C):
                charge = squared_distances(g(ys.values[rows]), yt.values)
                charge *= self.label_weight / self.s_y
                C[rows] += np.where(ys.known[rows, None] & yt.known, charge, 0.0)
        return C

    def charged_to_pairs(self, f: Map, g: Any) -> float:
        """Return the mean cost of the rows with a partner."""
        if not len(self.source.paired) or self.pair_share == 0:
            return 0.0
        apart = np.square(f.transform(self.source.paired) - self.target.paired).sum(axis=1)
        charge = float(apart.mean()) / self.s_x
        if g is not None and self.label_weight > 0:
            ys, yt = self.source.paired_labels, self.target.paired_labels
            both = ys.known & yt.known
            off = np.square(g(ys.values[both]) - yt.values[both]).sum() / len(both)
            charge += self.label_weight * float(off) / self.s_y
        return charge

    def penalties(self, f: Map, g: Any) -> float:
        """Return what the maps themselves are charged."""
        own = 0.0 if g is None else self.label_weight / self.s_y * g.penalty
        return self.family.penalty(f) / self.s_x + own

    def solution_without_coupling(self) -> Solution:
        """Return the best maps where every source row belongs to every target row alike: constants."""
        a, b = self.source.free.mass, self.target.free.mass
        P = LowRank(a[:, None], np.ones((1, 1)), b[:, None])
        f, g = self.fitted(P)
        F = f.transform(self.source.free.rows)
        # A square of a difference, over all pairs of independent rows, needs the moments only.
        value = _apart(a, F, b, self.target.free.rows) / self.s_x
        if g is not None:
            ys, yt = self.source.free_labels, self.target.free_labels
            wa, wb = a * ys.known, b * yt.known
            value += self.label_weight / self.s_y * _apart(wa, g(ys.values), wb, yt.values)
        value = (1 - self.pair_share) * value + self.pair_share * self.charged_to_pairs(f, g)
        value += self.penalties(f, g)
        return Solution(f, g, None, (float(value),), np.empty(0), converged=True)

    def solution_of_pairs(self) -> Solution:
        """Return the solution where every row that counts has a partner: one step each, in closed form."""
        f, g = self.fitted(None)
        objective = self.charged_to_pairs(f, g) + self.penalties(f, g)
        return Solution(f, g, None, (objective,), np.empty(0), converged=True)

    def descend(self, P: Any) -> Solution:
        """Return where coupling, map and label map end, fitted by turns, beginning with a coupling of the free rows.

        Every step minimises the objective in one of the three, so it never rises; where a family's fit is not exact, a
        step that would raise it is not taken. A finer entropy only lowers what is charged.
        """
        f, g = self.fitted(P)
        return self.descend_from(f, g)

    def descend_from(self, f: Map, g: Any) -> Solution:
        """Return where the descent ends that begins with a map and a label map."""
        a, b, rest = self.source.free.mass, self.target.free.mass, 1 - self.pair_share
        C = self.costs(f, g)
        trace: list[float] = []
        kept: Plan | None = None
        for level in self.levels:
            for _ in range(self.max_iter):
                plan = self.couple(C, a, b, level, None if kept is None else kept.g)
                own = plan.objective - total(plan.coupling, C)
                before = np.inf if self.family.exact else self._value(plan, C, own, f, g)
                del C
                next_f, next_g = self.fitted(plan.coupling)
                C = self.costs(next_f, next_g)
                value = self._value(plan, C, own, next_f, next_g)
                if before < value:
                    next_f, next_g, value = f, g, before
                    C = self.costs(f, g)
                fall = trace[-1] - value if trace else np.inf
                # What a solver's tolerance leaves may exceed what a late sweep gains: such a sweep is not taken.
                if kept is None or fall >= 0:
                    kept, f, g = plan, next_f, next_g
                    trace.append(value)
                else:
                    C = self.costs(f, g)
                converged = fall <= self.tol * abs(value)
                if converged:
                    break
        assert kept is not None  # noqa: S101  (there is a level, and a sweep of it)
        P = kept.coupling
        spent = P.multiply(C).sum(axis=1) if issparse(P) else np.einsum("ij,ij->i", P, C)
        charges = rest * np.asarray(spent).ravel()
        return Solution(f, g, kept, tuple(trace), charges, converged and kept.converged)

    def _value(self, plan: Plan, C: np.ndarray, own: float, f: Map, g: Any) -> float:
        free = total(plan.coupling, C) + own
        return (1 - self.pair_share) * free + self.pair_share * self.charged_to_pairs(f, g) + self.penalties(f, g)


def _apart(a: np.ndarray, F: np.ndarray, b: np.ndarray, Y: np.ndarray) -> float:
    """Return sum_ij a_i b_j ||f_i - y_j||^2."""
    squares = b.sum() * (a @ np.square(F).sum(axis=1)) + a.sum() * (b @ np.square(Y).sum(axis=1))
    return float(squares - 2 * (a @ F) @ (b @ Y))
