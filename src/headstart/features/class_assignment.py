"""The linear program that gives every row a class, at the smallest cost, and every class a row.

The matrix of a solution has one entry of 1 a row, so the program is a flow: paths between classes solve it, and a price
a class proves that the solution is the best.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, eq=False)
class Program:
    """The solution of the linear program: the class of each row, the prices, the objective, and the duality gap."""

    classes: np.ndarray
    prices: np.ndarray
    objective: float
    gap: float


def assigned(D: np.ndarray, lacking: np.ndarray | None = None) -> Program:
    """Solve the program by shortest augmenting paths.

    Every row starts with its nearest centre. A class that got none takes one along the cheapest path: from a class with
    rows to spare to another, and from there on. There are at most as many paths as classes, and after each the
    assignment is the cheapest of those that give the classes served so far their row (Ahuja, Magnanti, Orlin: Network
    Flows, 1993, chapter 9). The prices are the mean of the corners of their optimal set, so that rows are not on the
    border between classes unless they must be.

    Parameters
    ----------
    D : array of shape (n, k)
        Distances of rows from centres.
    lacking : bool array of shape (k,), optional
        The classes that must have a row; by default all.
    """
    n, k = D.shape
    must = np.ones(k, dtype=bool) if lacking is None else lacking
    nearest = D.argmin(axis=1)
    if n < must.sum():
        best = float(D.min(axis=1).sum())
        return Program(nearest, np.zeros(k), best, 0.0)
    classes, counts = nearest.copy(), np.bincount(nearest, minlength=k)
    moves = Moves(D, classes)
    for empty in np.flatnonzero(must & (counts == 0)):
        spare = np.where(must, counts > 1, counts > 0)
        path = cheapest_path(moves.cost, spare, int(empty))
        for a, b in reversed(list(pairwise(path))):
            moves.move(a, b)
        counts[path[0]] -= 1
        counts[empty] += 1
    prices = middle_prices(moves.cost, must & (counts == 1))
    objective = float(D[np.arange(n), classes].sum())
    dual = float((D - prices).min(axis=1).sum() + prices[must].sum())
    return Program(classes, prices, objective, objective - dual)


class Moves:
    """What it costs to move the cheapest row of class a to class b, as a matrix (k, k), and the move itself."""

    def __init__(self, D: np.ndarray, classes: np.ndarray) -> None:
        self.D, self.classes = D, classes
        k = D.shape[1]
        self.cost, self.row = np.full((k, k), np.inf), np.zeros((k, k), dtype=int)
        for a in range(k):
            self._look(a)

    def _look(self, a: int) -> None:
        rows = np.flatnonzero(self.classes == a)
        self.cost[a] = np.inf
        if len(rows):
            more = self.D[rows] - self.D[rows, a][:, None]
            which = more.argmin(axis=0)
            self.cost[a], self.row[a] = more[which, np.arange(len(which))], rows[which]
        self.cost[a, a] = 0.0

    def move(self, a: int, b: int) -> None:
        """Move the cheapest row of class a to class b."""
        self.classes[self.row[a, b]] = b
        self._look(a)
        self._look(b)


def cheapest_path(cost: np.ndarray, spare: np.ndarray, end: int) -> list[int]:
    """Return the classes on the cheapest path from one with rows to spare (Bellman-Ford)."""
    k = len(cost)
    length, before = np.where(spare, 0.0, np.inf), np.full(k, -1)
    # What is gained by less than this is a rounding error, with which a path may run in circles.
    least = 1e-13 * np.abs(cost[np.isfinite(cost)]).max()
    for _ in range(k):
        through = length[:, None] + cost
        best = through.argmin(axis=0)
        shorter = through[best, np.arange(k)] < length - least
        if not shorter.any():
            break
        length[shorter], before[shorter] = through[best, np.arange(k)][shorter], best[shorter]
    path = [end]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return path[::-1]


def middle_prices(cost: np.ndarray, lone: np.ndarray) -> np.ndarray:
    """Return prices u in the middle of those that are optimal: u_b - u_a <= cost_ab, u >= 0, and zero if not lone.

    The corners that are averaged are the shortest paths from each lone class, and from all others as one (row 0), in
    which each inequality is as slack as it can be in at least one.
    """
    u = np.zeros(len(cost))
    if not lone.any():
        return u
    others = ~lone
    d = np.zeros((lone.sum() + 1, lone.sum() + 1))
    d[1:, 1:] = cost[np.ix_(lone, lone)]
    d[0, 1:] = cost[np.ix_(others, lone)].min(axis=0, initial=np.inf)
    d[1:, 0] = np.minimum(cost[np.ix_(lone, others)].min(axis=1, initial=np.inf), 0.0)
    _close(d)
    if np.isinf(d[0, 1:]).any():
        # No other class has a row to compete for, and nothing keeps prices from rising together: they stay moderate.
        finite = np.abs(cost[np.isfinite(cost)])
        d[0, 1:] = -d[1:, 0].min() + finite.mean()
        _close(d)
    u[lone] = np.maximum((d - d[:, :1]).mean(axis=0)[1:], 0.0)
    return u


def _close(d: np.ndarray) -> None:
    """Make d the lengths of shortest paths, in place (Floyd-Warshall)."""
    for via in range(len(d)):
        np.minimum(d, d[:, via : via + 1] + d[via], out=d)
