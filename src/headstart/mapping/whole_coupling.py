"""The coupling of all rows, from that of distinct rows, clusters and pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import block_diag, csr_matrix, hstack, issparse

from headstart.mapping.coupling import Coupling
from headstart.mapping.descent import Problem, Solution
from headstart.mapping.low_rank import LowRank
from headstart.mapping.measures import Measure


def whole_coupling(
    best: Solution, problem: Problem, pairs: np.ndarray, places: tuple[np.ndarray, np.ndarray]
) -> Coupling:
    """Return the coupling of all rows, in the caller's order.

    Parameters
    ----------
    best : Solution
    problem : Problem
    pairs : int array of shape (p, 2)
        Positions in the problem's order.
    places : int arrays of shape (n_s,) and (n_t,)
        Where each of the caller's rows stands in the problem's order.
    """
    n_s, n_t = (len(place) for place in places)
    if problem.pair_share == 1:
        matrix: Any = Coupling.from_pairs(pairs, n_s, n_t).matrix
    elif best.plan is None:
        return Coupling.independent(n_s, n_t)
    else:
        matrix = _free(best.plan.coupling, problem, pairs, n_s, n_t)
    if isinstance(matrix, LowRank):
        matrix = LowRank(matrix.left[places[0]], matrix.core, matrix.right[places[1]])
    else:
        matrix = matrix[places[0]][:, places[1]]
    return Coupling(matrix, best.objective, best.converged)


def _free(P: Any, problem: Problem, pairs: np.ndarray, n_s: int, n_t: int) -> Any:
    source, target = problem.source.free, problem.target.free
    left, right = _memberships(source, pairs[:, 0], n_s), _memberships(target, pairs[:, 1], n_t)
    scaled = P.multiply(1 - problem.pair_share).tocsr() if issparse(P) else (1 - problem.pair_share) * P
    many = source.clustered or target.clustered
    matrix: Any = LowRank(left, scaled, right) if many else left @ scaled @ right.T
    if not len(pairs):
        return matrix
    paired = problem.pair_share * Coupling.from_pairs(pairs, n_s, n_t).matrix
    return (
        _with_pairs(matrix, paired)
        if many
        else np.asarray(matrix + paired)
        if not issparse(matrix)
        else matrix + paired
    )


def _memberships(measure: Measure, paired: np.ndarray, n: int) -> csr_matrix:
    """Return the share that each row has in its distinct row or cluster, shape (n, m); columns sum to 1."""
    free = np.setdiff1d(np.arange(n), paired)
    count = np.bincount(measure.of_row, minlength=len(measure.rows))
    return csr_matrix((1 / count[measure.of_row], (free, measure.of_row)), shape=(n, len(measure.rows)))


def _with_pairs(matrix: LowRank, paired: csr_matrix) -> LowRank:
    """Return left core right' + paired as one product: every pair is a cluster of its own."""
    rows, columns = paired.nonzero()
    one = np.ones(len(rows))
    left = csr_matrix((one, (rows, np.arange(len(rows)))), shape=(paired.shape[0], len(rows)))
    right = csr_matrix((one, (columns, np.arange(len(rows)))), shape=(paired.shape[1], len(rows)))
    mass = np.asarray(paired[rows, columns]).ravel()
    core = block_diag([csr_matrix(matrix.core), csr_matrix(np.diag(mass))]).tocsr()
    return LowRank(hstack([matrix.left, left]).tocsr(), core, hstack([matrix.right, right]).tocsr())
