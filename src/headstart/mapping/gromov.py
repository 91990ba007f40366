"""Gromov-Wasserstein couplings: rows belong together when they stand alike among their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.errors import InputError, unknown_name
from headstart.kernels import squared_distances
from headstart.mapping.transport import Plan, entropic

#: Entropies, in units of the mean squared distance, from coarse to fine: what `gromov` goes down by default.
LEVELS = (0.1, 0.05, 0.02, 0.01)
#: Mass that still moves, out of 1, at which a level ends; and rounds after which it does in any case.
STILL = 1e-3
MOST_ROUNDS = 60
SCALING_STEPS = 500


def within(X: np.ndarray, kind: str = "euclidean", n_neighbors: int = 50) -> np.ndarray:
    """Return the distances between the rows of one domain, shape (n, n), with a mean square of 1.

    Parameters
    ----------
    X : array of shape (n, d)
    kind : {"euclidean", "geodesic", "steps"}
        Straight; along a graph of nearest neighbors, which follows curved clouds; or counted in edges of that graph,
        so that dense and sparse regions count alike.
    n_neighbors : int
        Of the graph. Where it falls into parts, they are as far apart as the farthest rows within one.

    Examples
    --------
    >>> within(np.array([[0.0], [1.0], [3.0]])).round(2)[0]
    array([0.  , 0.57, 1.7 ])
    """
    if kind == "euclidean":
        D = np.sqrt(squared_distances(X - X.mean(axis=0), X - X.mean(axis=0)))
        np.fill_diagonal(D, 0.0)
    elif kind in ("geodesic", "steps"):
        D = _along_graph(X, n_neighbors, weighted=kind == "geodesic")
    else:
        raise InputError(unknown_name("kind of distance", kind, ("euclidean", "geodesic", "steps")))
    unit = np.sqrt(np.mean(np.square(D)))
    return D / unit if unit > 0 else D


def _along_graph(X: np.ndarray, n_neighbors: int, *, weighted: bool) -> np.ndarray:
    from scipy.sparse.csgraph import shortest_path
    from sklearn.neighbors import kneighbors_graph

    k = min(n_neighbors, len(X) - 1)
    if k < 1:
        return np.zeros((len(X), len(X)))
    graph = kneighbors_graph(X, k, mode="distance" if weighted else "connectivity")
    D = shortest_path(graph.maximum(graph.T), directed=False, unweighted=not weighted)
    finite = np.isfinite(D)
    return np.where(finite, D, D[finite].max())


def gromov(
    Ds: np.ndarray,
    Dt: np.ndarray,
    a: np.ndarray | None = None,
    b: np.ndarray | None = None,
    *,
    cost: np.ndarray | None = None,
    levels: tuple[float, ...] = LEVELS,
    start: Any = None,
) -> Plan:
    r"""Return the entropic Gromov-Wasserstein coupling, with a cost between the domains the fused one.

    .. math:: \min_\pi \sum_{ijkl} \pi_{ij}\pi_{kl} (D_{ik} - D'_{jl})^2 + \langle\pi, C\rangle
              + \varepsilon KL(\pi\,|\,a b^\top)

    by going from coupling to coupling, each the entropic transport for the costs that the last one makes; the entropy
    falls level by level, so that the coarse shape decides before the fine one (Peyre, Cuturi, Solomon:
    Gromov-Wasserstein Averaging of Kernel and Distance Matrices. ICML 2016; Vayer, Courty, Tavenard, Chapel, Flamary:
    Optimal Transport for Structured Data. ICML 2019). The problem has many local minima: start from several couplings,
    and compare objectives. The objective is that without the entropy; the residual the mass that the last round moved.

    Parameters
    ----------
    Ds, Dt : arrays of shape (n_s, n_s) and (n_t, n_t)
        Distances, see `within`.
    a, b : arrays of shape (n_s,) and (n_t,), optional
        Masses.
    cost : array of shape (n_s, n_t), optional
    levels : tuple of float
        The entropies.
    start : array of shape (n_s, n_t), optional
        By default all rows belong to all.
    """
    a = np.full(len(Ds), 1 / len(Ds)) if a is None else a
    b = np.full(len(Dt), 1 / len(Dt)) if b is None else b
    P = np.outer(a, b) if start is None else start
    fixed = (np.square(Ds) @ a)[:, None] + np.square(Dt) @ b
    g, done, rounds = None, True, 0
    for reg in levels:
        for _ in range(MOST_ROUNDS):
            C = 2 * (fixed - 2 * (Ds @ P) @ Dt)
            if cost is not None:
                C += cost
            plan = entropic(C, a, b, reg, tol=1e-5, max_iter=SCALING_STEPS, start=g)
            g, moved, P = plan.g, float(np.abs(plan.coupling - P).sum()), plan.coupling
            rounds += 1
            if moved <= STILL:
                break
        done = moved <= STILL
    objective = float(np.vdot(fixed - 2 * (Ds @ P) @ Dt, P))
    if cost is not None:
        objective += float(np.vdot(cost, P))
    return Plan(P, plan.f, plan.g, objective, moved, rounds, done)
