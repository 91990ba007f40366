"""Attributes as numbers that spread along the links of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_matrix, diags_array, issparse

from headstart.relations.graphs import Graph, Nodes

#: Directions that are looked at beyond those that are wanted, and passes over the matrix.
MORE, PASSES = 10, 4


def propagate(graph: Graph, Z: np.ndarray, rounds: int) -> np.ndarray:
    r"""Return :math:`S^k Z`: every node takes the mean of itself and its neighbours, weighted, k times over.

    Parameters
    ----------
    graph : Graph
        With S, its `propagation`.
    Z : array of shape (n, r)
    rounds : int
        k; none leaves Z as it is.

    Examples
    --------
    >>> pair = Graph(np.array([[0, 1], [1, 0]]), np.eye(2))
    >>> propagate(pair, np.array([[1.0], [0.0]]), 1)
    array([[0.5],
           [0.5]])
    """
    for _ in range(rounds):
        Z = graph.propagation @ Z
    return Z


def are_counts(attributes: Any) -> bool:
    """Tell whether attributes are counts (or yes and no): whole numbers, zero or more."""
    values = attributes.data if issparse(attributes) else attributes
    return values.dtype.kind in "ub" or bool((values >= 0).all() and (values == np.round(values)).all())


@dataclass(frozen=True, eq=False)
class Axes:
    r"""How attributes become numbers, as found at one graph; it reads those of any other.

    Counts of words become TF-IDF: which occur, times :math:`\ln\frac{1+n}{1+n_j} + 1` with :math:`n_j` the nodes in
    which word j does, rows of length 1. Other columns are divided by their standard deviation, dense ones after
    their mean is taken away. Both are then projected on the first right singular vectors of the *propagated* rows:
    the axes in which the neighbourhoods differ most.

    Parameters
    ----------
    kind : {"counts", "numbers"}
    scale, shift : arrays of shape (d,)
        What columns are multiplied by, after the shift is taken away.
    V : array of shape (d, r)
    """

    kind: Literal["counts", "numbers"]
    scale: np.ndarray
    shift: np.ndarray
    V: np.ndarray

    def project(self, attributes: Any) -> np.ndarray:
        """Return attributes of shape (n, d) on the axes, shape (n, r)."""
        return np.asarray(_scaled(self.kind, self.scale, self.shift, attributes) @ self.V)

    def centre(self, nodes: Nodes) -> np.ndarray:
        """Return the mean of nodes on the axes, before they are propagated, shape (r,)."""
        return np.asarray(self.project(nodes.attributes).mean(axis=0))

    def directions(self, nodes: Nodes, rounds: int, centre: np.ndarray) -> np.ndarray:
        r"""Return where the nodes' neighbourhoods lie, seen from a centre, shape (m, r).

        .. math:: \bar z_i = z_i / \|z_i\|, \qquad Z = S^k (\phi(X) - \mathbf{1} \mu^\top)

        The length of a propagated row tells how many neighbours a node has and how much they agree; of two graphs that
        is not the same, while the direction still is. A row of length zero stays.
        """
        kept, key = nodes.graph.kept, ("directions", rounds, centre.tobytes(), self.V.tobytes())
        if key not in kept:
            # One set at a time: they are large, and most callers ask for the same again.
            for old in [each for each in kept if each[0] == "directions"]:
                del kept[old]
            kept[key] = unit_rows(propagate(nodes.graph, self.project(nodes.graph.attributes) - centre, rounds))
        return np.asarray(kept[key][nodes.index])


def find_axes(graph: Graph, rounds: int, most: int, random_state: Any = 0) -> Axes:
    """Find the axes in which the attributes of a graph, propagated, differ most.

    Parameters
    ----------
    graph : Graph
    rounds : int
    most : int
        Axes that are kept. With no more columns than that, the columns are the axes.
    random_state : int or Generator
        The search for many axes begins at random ones.
    """
    key = ("axes", rounds, most, random_state)
    if isinstance(random_state, int) and key in graph.kept:
        return graph.kept[key]
    found = _found_axes(graph, rounds, most, random_state)
    if isinstance(random_state, int):
        graph.kept[key] = found
    return found


def _found_axes(graph: Graph, rounds: int, most: int, random_state: Any) -> Axes:
    X = graph.attributes
    n, d = X.shape
    if are_counts(X):
        kind: Literal["counts", "numbers"] = "counts"
        scale = np.log((1 + n) / (1 + np.asarray((X != 0).sum(axis=0), dtype=float).ravel())) + 1
        shift = np.zeros(d)
    else:
        kind = "numbers"
        mean = np.asarray(X.mean(axis=0), dtype=float).ravel()
        square = np.asarray((X.multiply(X) if issparse(X) else X * X).mean(axis=0), dtype=float).ravel()
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        scale = 1 / np.where(deviation > 1e-12 * np.sqrt(square), deviation, 1.0)
        scale[square == 0] = 1.0
        shift = np.zeros(d) if issparse(X) else mean
    if d <= most:
        return Axes(kind, scale, shift, np.eye(d))
    V = _singular_vectors(graph, _scaled(kind, scale, shift, X), rounds, min(most, n), random_state)
    return Axes(kind, scale, shift, V)


def _scaled(kind: str, scale: np.ndarray, shift: np.ndarray, X: Any) -> Any:
    if kind == "counts":
        occurs = csr_matrix(X != 0, dtype=float)
        rows = csr_matrix(occurs @ diags_array(scale))
        length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        return csr_matrix(diags_array(1 / np.where(length > 0, length, 1.0)) @ rows)
    if issparse(X):
        return csr_matrix(X @ diags_array(scale))
    return (np.asarray(X, dtype=float) - shift) * scale


def _singular_vectors(graph: Graph, X: Any, rounds: int, r: int, random_state: Any) -> np.ndarray:
    """Return the first r right singular vectors of S^k X, shape (d, r), without writing S^k X down.

    Halko, Martinsson, Tropp: Finding Structure with Randomness. SIAM Review 53, 2011. The random start is one in the
    space of the columns, so that the order of the nodes makes no difference.
    """
    rng = np.random.default_rng(random_state)
    width = min(r + MORE, *X.shape)
    Q = np.linalg.qr(rng.normal(size=(X.shape[1], width)))[0]
    for _ in range(PASSES):
        # X^T S^k S^k X Q: S is symmetric.
        Q = np.linalg.qr(X.T @ propagate(graph, X @ Q, 2 * rounds))[0]
    V = np.linalg.svd(propagate(graph, X @ Q, rounds), full_matrices=False)[2]
    V = np.asarray(Q @ V[:r].T)
    # Of the two signs of a vector the one whose largest entry is positive.
    return np.asarray(V * np.sign(V[np.abs(V).argmax(axis=0), np.arange(V.shape[1])]))


def unit_rows(Z: np.ndarray) -> np.ndarray:
    """Return rows of length 1 in the same directions; zero stays.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    return np.asarray(Z / np.where(length > 0, length, 1.0))
