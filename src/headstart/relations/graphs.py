"""Graphs, and their nodes as the rows of a domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix, diags_array, eye_array, issparse

from headstart.errors import InputError


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph whose nodes have attributes. Links count both ways; a link of a node to itself counts nothing.

    Parameters
    ----------
    adjacency : sparse matrix or array of shape (n, n)
        Weights of the links, zero or more; kept as CSR. A link that is given one way, or both ways with two weights,
        has the larger weight.
    attributes : sparse matrix or array of shape (n, d)
        What is known of each node. Sparse attributes are kept as CSR.
    names : array-like of shape (n,), optional
        What the nodes are called; no name stands twice.

    Raises
    ------
    InputError
        When shapes don't fit, a number is not finite, a weight is negative, or a name stands twice.

    Examples
    --------
    >>> path = Graph(np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]]), np.eye(3), names=["a", "b", "c"])
    >>> path
    Graph(3 nodes, 2 links, 3 attributes)
    >>> path.nodes()[[2, 0]].names.tolist()
    ['c', 'a']
    """

    adjacency: Any
    attributes: Any
    names: np.ndarray | None = None
    #: What was worked out of the whole graph, for it is asked for again with each part of its nodes.
    kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Return the graph without what was worked out of it."""
        return {**self.__dict__, "kept": {}}

    def __post_init__(self) -> None:
        links = csr_matrix(self.adjacency, dtype=float, copy=True)
        n = links.shape[0]
        if links.shape != (n, n) or n == 0:
            raise InputError(f"graph: the adjacency must be of shape (n, n), not {links.shape}")
        attributes = self.attributes
        attributes = attributes.tocsr() if issparse(attributes) else np.asarray(attributes)
        if attributes.ndim != 2 or attributes.shape[0] != n:
            raise InputError(f"graph: {n} nodes but attributes of shape {attributes.shape}; give a row for each node")
        if attributes.dtype.kind not in "fiub":
            raise InputError(f"graph: attributes must be numbers, not {attributes.dtype}")
        if not np.isfinite(attributes.data if issparse(attributes) else attributes).all():
            raise InputError("graph: an attribute is missing or infinite; fill it in")
        if not (np.isfinite(links.data) & (links.data >= 0)).all():
            raise InputError("graph: a link's weight is negative or not finite; weights are zero or more")
        links.setdiag(0)
        links = csr_matrix(links.maximum(links.T))
        links.eliminate_zeros()
        object.__setattr__(self, "adjacency", links)
        object.__setattr__(self, "attributes", attributes)
        if self.names is not None:
            names = np.asarray(self.names)
            if names.shape != (n,):
                raise InputError(f"graph: {n} nodes but names of shape {names.shape}")
            found, count = np.unique(names, return_counts=True)
            if count.max() > 1:
                raise InputError(f"graph: the name {found[count.argmax()]!s} stands {count.max()} times")
            object.__setattr__(self, "names", names)

    def __len__(self) -> int:
        return int(self.adjacency.shape[0])

    def __repr__(self) -> str:
        return f"Graph({len(self)} nodes, {self.adjacency.nnz // 2} links, {self.attributes.shape[1]} attributes)"

    @classmethod
    def of(cls, links: Any, attributes: Any = None, names: Any = None) -> Graph:
        """Return a graph of an adjacency (sparse matrix or array), or of a networkx graph.

        Parameters
        ----------
        links : sparse matrix, array or networkx graph
            Of a networkx graph, "weight" weighs the links, and nodes are in its order.
        attributes : sparse matrix or array of shape (n, d), or str
            Of a networkx graph also what the nodes' attributes are called: numbers, or vectors of the same length.
        names : array-like of shape (n,), optional
            By default the nodes of the networkx graph, as text.

        Examples
        --------
        >>> Graph.of(csr_matrix([[0, 1], [1, 0]]), attributes=[[1.0], [2.0]])
        Graph(2 nodes, 1 links, 1 attributes)
        """
        if attributes is None:
            raise InputError("graph: give attributes, a row of numbers for each node; the degree of each will do")
        if not hasattr(links, "adj"):
            return cls(links, attributes, names)
        from networkx import to_scipy_sparse_array

        nodes = list(links.nodes)
        if isinstance(attributes, str):
            lacking = [node for node in nodes if attributes not in links.nodes[node]]
            if lacking:
                raise InputError(f"graph: node {lacking[0]!r} has no {attributes!r}; give every node one")
            rows = [np.atleast_1d(links.nodes[node][attributes]) for node in nodes]
            if len({len(row) for row in rows}) > 1:
                raise InputError(f"graph: {attributes!r} of the nodes differ in length")
            attributes = np.array(rows)
        called = np.array([str(node) for node in nodes]) if names is None else names
        return cls(to_scipy_sparse_array(links, nodelist=nodes), attributes, called)

    def nodes(self) -> Nodes:
        """Return all nodes, as rows."""
        return Nodes(self, np.arange(len(self)))

    @cached_property
    def propagation(self) -> csr_matrix:
        r"""The normalised adjacency with a link of each node to itself, shape (n, n).

        .. math:: S = D^{-1/2} (A + I) D^{-1/2}, \qquad D = \operatorname{diag}((A + I) \mathbf{1})
        """
        own = self.adjacency + eye_array(len(self), format="csr")
        root = diags_array(1 / np.sqrt(np.asarray(own.sum(axis=1)).ravel()))
        return csr_matrix(root @ own @ root)

    def same_as(self, other: Graph) -> bool:
        """Tell whether another graph is this one, or a copy of it."""
        if self is other:
            return True
        return (
            self.adjacency.shape == other.adjacency.shape
            and self.attributes.shape == other.attributes.shape
            and (self.adjacency != other.adjacency).nnz == 0
            and _equal(self.attributes, other.attributes)
        )


def _equal(a: Any, b: Any) -> bool:
    if issparse(a) != issparse(b):
        return False
    return (a != b).nnz == 0 if issparse(a) else bool(np.array_equal(a, b))


@dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes of a graph as rows: some of them, in any order, with the whole graph around them.

    Parameters
    ----------
    graph : Graph
    index : int array of shape (m,)
        Positions of the nodes in the graph.

    Examples
    --------
    >>> nodes = Graph(np.array([[0, 1], [1, 0]]), [[5.0], [6.0]]).nodes()
    >>> nodes.shape, len(nodes[np.array([False, True])]), nodes[[1]].attributes
    ((2, 1), 1, array([[6.]]))
    """

    #: What a domain of such rows is.
    modality: ClassVar[str] = "graph"

    graph: Graph
    index: np.ndarray

    def __post_init__(self) -> None:
        index = np.asarray(self.index, dtype=int)
        if index.ndim != 1:
            raise InputError(f"nodes: positions must be one row of whole numbers, not of shape {index.shape}")
        if len(index) and not (index.min() >= 0 and index.max() < len(self.graph)):
            raise InputError(f"nodes: position {index.max()} in a graph of {len(self.graph)} nodes")
        object.__setattr__(self, "index", index)

    @property
    def shape(self) -> tuple[int, int]:
        """How many nodes, and how many attributes each has."""
        return len(self.index), int(self.graph.attributes.shape[1])

    @property
    def attributes(self) -> Any:
        """The attributes of these nodes, shape (m, d)."""
        return self.graph.attributes[self.index]

    @property
    def names(self) -> np.ndarray:
        """The names of these nodes, or their positions, shape (m,)."""
        return self.index if self.graph.names is None else self.graph.names[self.index]

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        return f"Nodes({len(self)} of {self.graph!r})"

    def __getitem__(self, rows: Any) -> Nodes:
        """Return the nodes at positions, a slice or a mask of these, with the same graph."""
        return Nodes(self.graph, np.atleast_1d(self.index[rows]))

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        """Refuse to become a table: the links would be lost unsaid."""
        raise InputError("nodes of a graph are no table; take a method that reads graphs, or nodes.attributes")

    def __matmul__(self, axes: np.ndarray) -> np.ndarray:
        """Return the nodes' attributes times a matrix or vector: it puts rows into an order of their own."""
        return np.asarray(self.attributes @ axes)

    @staticmethod
    def stack_rows(blocks: Sequence[Nodes]) -> Nodes:
        """Put nodes of one graph on top of each other.

        Raises
        ------
        InputError
            When they are of different graphs.
        """
        if not all(blocks[0].graph.same_as(block.graph) for block in blocks[1:]):
            raise InputError("nodes of different graphs can't be put together; take one source graph, or join them")
        return Nodes(blocks[0].graph, np.concatenate([block.index for block in blocks]))


def nodes_of(X: Any, name: str) -> Nodes:
    """Return rows that are nodes of a graph (a graph: all of it); refuse others, in one line."""
    if isinstance(X, Graph):
        return X.nodes()
    if not isinstance(X, Nodes):
        raise InputError(f"{name} takes the nodes of a graph, not {type(X).__name__}; see headstart.relations.Graph")
    return X
