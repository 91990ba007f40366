"""The neighbour graph of rows and its Laplacian L: f'Lf is small where a function f changes little between neighbours.

Rows given twice are one node, the first of them; the others have no edge. For a function of rows, which takes one value
on all copies, nothing is lost by that, and no copy takes the place of a neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags

from headstart.draws import canonical_order
from headstart.errors import InputError
from headstart.kernels import squared_distances, squared_norms

Affinity = Literal["cosine", "rbf", "binary"]
AFFINITIES: tuple[Affinity, ...] = ("cosine", "rbf", "binary")
#: Rows up to which the nearest are looked for among all; beyond, in the leaves of random trees.
MOST_EXACT_ROWS = 20_000
TREES, LEAF = 8, 256
#: Numbers that are held at once.
MOST_AT_ONCE = 2**22


def neighbour_graph(
    X: Any,
    n_neighbors: int = 10,
    affinity: str = "rbf",
    gamma: float | None = None,
    random_state: int | None = 0,
    nodes: np.ndarray | None = None,
) -> csr_matrix:
    """Return the symmetric matrix W of edge weights, shape (n, n).

    Two rows have an edge when one of them is among the `n_neighbors` nearest of the other. Up to 20,000 different rows
    the nearest are exact. Beyond they are looked for in the leaves of 8 trees, whose nodes are cut in half along the
    difference of two random rows (leaves have 256 rows at most), and, where rows are not sparse, among the neighbours
    of the neighbours found. Where neighbours are at equal distance, the rows' contents decide, not their order.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, d)
    n_neighbors : int
    affinity : {"cosine", "rbf", "binary"}
        An edge weighs the cosine of the angle between its rows, 0 where it is negative; exp(-gamma ||x - x'||^2); or 1.
        With "cosine" the nearest are those at the smallest angle, else those at the smallest distance.
    gamma : float, optional
        For "rbf"; by default 1 / median squared length of an edge.
    random_state : int, optional
        The trees; not used when the nearest are exact.
    nodes : int array of shape (u,), optional
        Positions of one row of each kind, in an order of their own: those of the rows that X was computed from, where
        rounding may have made equal rows differ. By default they are found: see `distinct_rows`.

    Examples
    --------
    >>> neighbour_graph(np.array([[0.0], [1.0], [3.0], [3.0]]), 1, "binary").toarray()
    array([[0., 1., 0., 0.],
           [1., 0., 1., 0.],
           [0., 1., 0., 0.],
           [0., 0., 0., 0.]])
    """
    if affinity not in AFFINITIES:
        raise InputError(f"affinity must be {', '.join(AFFINITIES[:-1])} or {AFFINITIES[-1]}, not {affinity!r}")
    if n_neighbors < 1:
        raise InputError(f"n_neighbors must be 1 or more, not {n_neighbors}")
    n, nodes = X.shape[0], distinct_rows(X) if nodes is None else nodes
    # In an order of their own, equal rows meet equal arithmetic: ties are cut alike however rows came in.
    rows = X[nodes].astype(np.float64)
    rows = to_unit_length(rows) if affinity == "cosine" else rows
    pairs = _pairs(nearest(rows, min(n_neighbors, len(nodes) - 1), random_state))
    if affinity == "cosine":
        weight = np.maximum(1 - _squared_lengths(rows, pairs) / 2, 0.0)
        weight[~((squared_norms(rows) > 0)[pairs].all(axis=1))] = 0.0
    elif affinity == "rbf":
        length = _squared_lengths(rows, pairs)
        weight = np.exp(-length * (gamma if gamma is not None else 1 / np.median(length))) if len(length) else length
    else:
        weight = np.ones(len(pairs))
    left, right = nodes[pairs[:, 0]], nodes[pairs[:, 1]]
    both = np.concatenate([left, right]), np.concatenate([right, left])
    W = coo_matrix((np.concatenate([weight, weight]), both), shape=(n, n)).tocsr()
    W.eliminate_zeros()
    return W


def laplacian(W: csr_matrix, normalised: bool = True) -> csr_matrix:
    """Return D - W, or I - D^(-1/2) W D^(-1/2), with D the diagonal of W's sums; zero where a row has no edge.

    >>> laplacian(csr_matrix([[0.0, 2.0], [2.0, 0.0]])).toarray()
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    degree = np.asarray(W.sum(axis=1)).ravel()
    if not normalised:
        return csr_matrix(diags(degree) - W)
    linked = degree > 0
    root = np.zeros_like(degree)
    root[linked] = 1 / np.sqrt(degree[linked])
    return csr_matrix(diags(linked.astype(float)) - diags(root) @ W @ diags(root))


def distinct_rows(X: Any) -> np.ndarray:
    """Return the positions of one row of each kind, in an order that the rows' contents decide."""
    order = canonical_order(X)
    rows = X[order]
    if isinstance(rows, np.ndarray):
        differs = (rows[1:] != rows[:-1]).any(axis=1)
    else:
        gap = rows[1:] - rows[:-1]
        gap.eliminate_zeros()
        differs = gap.getnnz(axis=1) > 0
    return np.asarray(order[np.append(True, differs)])


def to_unit_length(X: Any) -> Any:
    """Return rows divided by their lengths; rows of zeros stay what they are."""
    length = np.sqrt(squared_norms(X))
    scale = 1 / np.where(length > 0, length, 1.0)
    return X * scale[:, None] if isinstance(X, np.ndarray) else csr_matrix(diags(scale) @ X)


def nearest(X: Any, p: int, random_state: int | None = 0) -> np.ndarray:
    """Return the p nearest other rows of each row, shape (n, p): exact for few rows, near enough for many."""
    n = X.shape[0]
    if p < 1:
        return np.empty((n, 0), dtype=np.int64)
    if n <= MOST_EXACT_ROWS:
        return exact_nearest(X, p)
    # Half the memory traffic; what is found is approximate anyway, and centred rows lose little.
    near = (X - X.mean(axis=0) if isinstance(X, np.ndarray) else X).astype(np.float32)
    found, distance = tree_nearest(near, p, random_state)
    return refined(near, found, distance) if isinstance(near, np.ndarray) else found


def exact_nearest(X: Any, p: int) -> np.ndarray:
    """Return the p nearest other rows of each row, by all distances, a block at a time."""
    n = X.shape[0]
    found = np.empty((n, p), dtype=np.int64)
    block = max(1, MOST_AT_ONCE // n)
    for start in range(0, n, block):
        D = squared_distances(X[start : start + block], X)
        here = np.arange(len(D))
        D[here, start + here] = np.inf
        found[start : start + block] = np.argpartition(D, p - 1, axis=1)[:, :p]
    return found


def tree_nearest(X: Any, p: int, random_state: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the p nearest rows that share a leaf of some tree with each row, and their squared distances.

    Dasgupta & Freund: Random Projection Trees and Low Dimensional Manifolds. STOC 2008. All nodes of a level are cut
    along one direction, the difference of two rows: directions in which rows vary are drawn more often.
    """
    n, size = X.shape[0], max(LEAF, p + 1)
    rng = np.random.default_rng(random_state)
    levels = int(np.ceil(np.log2(n / size))) + 1
    found, distance = np.empty((n, TREES * p), dtype=np.int64), np.empty((n, TREES * p), dtype=X.dtype)
    for tree in range(TREES):
        ends = rng.integers(n, size=(2, levels))
        along = X @ (X[ends[0]] - X[ends[1]]).T
        along = along if isinstance(along, np.ndarray) else along.toarray()
        columns = slice(tree * p, (tree + 1) * p)
        for rows in _leaves(along, np.arange(n), 0, size):
            D = squared_distances(X[rows], X[rows])
            np.fill_diagonal(D, np.inf)
            of_row = np.argpartition(D, p - 1, axis=1)[:, :p]
            found[rows, columns] = rows[of_row]
            distance[rows, columns] = np.take_along_axis(D, of_row, axis=1)
    return _smallest(found, distance, p)


def _leaves(along: np.ndarray, rows: np.ndarray, level: int, size: int) -> Iterator[np.ndarray]:
    if len(rows) <= size:
        yield rows
        return
    half = len(rows) // 2
    order = np.argpartition(along[rows, level], half)
    yield from _leaves(along, rows[order[:half]], level + 1, size)
    yield from _leaves(along, rows[order[half:]], level + 1, size)


def refined(X: np.ndarray, found: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return better neighbours: the nearest among those found and their neighbours.

    Dong, Moses, Li: Efficient k-Nearest Neighbor Graph Construction for Generic Similarity Measures. WWW 2011.
    """
    n, p = found.shape
    norms = squared_norms(X)
    better = np.empty_like(found)
    block = max(1, MOST_AT_ONCE // (p * p * X.shape[1]))
    for start in range(0, n, block):
        here = np.arange(start, min(n, start + block))
        others = found[found[here]].reshape(len(here), -1)
        D = norms[others] + norms[here][:, None] - 2 * np.einsum("ijk,ik->ij", X[others], X[here])
        D[others == here[:, None]] = np.inf
        candidates = np.hstack([found[here], others])
        better[here] = _smallest(candidates, np.hstack([distance[here], D]), p)[0]
    return better


def _smallest(found: np.ndarray, distance: np.ndarray, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the p nearest of each row's candidates, each counted once, and their distances."""
    order = np.argsort(found, axis=1, kind="stable")
    found, distance = np.take_along_axis(found, order, axis=1), np.take_along_axis(distance, order, axis=1)
    distance[:, 1:][found[:, 1:] == found[:, :-1]] = np.inf
    best = np.argpartition(distance, p - 1, axis=1)[:, :p]
    return np.take_along_axis(found, best, axis=1), np.take_along_axis(distance, best, axis=1)


def _pairs(found: np.ndarray) -> np.ndarray:
    """Return the edges of a neighbour list, each once, shape (e, 2)."""
    n, p = found.shape
    left, right = np.repeat(np.arange(n), p), found.ravel()
    code = np.unique(np.minimum(left, right) * np.int64(n) + np.maximum(left, right))
    return np.column_stack([code // n, code % n])


def _squared_lengths(X: Any, pairs: np.ndarray) -> np.ndarray:
    """Return ||x_i - x_j||^2 of each pair, shape (e,)."""
    lengths = np.empty(len(pairs))
    block = max(1, MOST_AT_ONCE // X.shape[1])
    for start in range(0, len(pairs), block):
        part = pairs[start : start + block]
        lengths[start : start + block] = squared_norms(X[part[:, 0]] - X[part[:, 1]])
    return lengths
