"""Statements: triples read both ways, and how two graphs' statements match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from headstart.relations.triples import KnowledgeGraph


@dataclass(frozen=True, eq=False)
class Statements:
    """The statements r(x, y) of a graph, and r^-1(y, x) of each, sorted by x.

    Parameters
    ----------
    n_nodes, n_relations : int
        Relations count both ways: r^-1 is r + m, with m = n_relations / 2.
    x, r, y : int arrays of shape (s,)
    """

    n_nodes: int
    n_relations: int
    x: np.ndarray
    r: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, triples: np.ndarray, n_nodes: int, n_relations: int) -> Statements:
        """Return the statements of triples (x, r, y)."""
        h, r, t = triples.T
        x, y = np.concatenate([h, t]), np.concatenate([t, h])
        both = np.concatenate([r, r + n_relations])
        order = np.lexsort((y, both, x))
        return cls(n_nodes, 2 * n_relations, x[order], both[order], y[order])

    @classmethod
    def of_graph(cls, graph: KnowledgeGraph) -> Statements:
        """Return the statements between the entities of a graph."""
        return cls.of(graph.triples, len(graph), len(graph.relations))

    def rarity(self) -> np.ndarray:
        """Return log(|T| / |T_r|) of each statement, shape (s,): a rare relation says more; never less than 1e-3."""
        counts = np.bincount(self.r, minlength=self.n_relations)
        # A graph of one relation would else have no weights at all.
        return np.maximum(np.log(len(self.r) / 2 / np.maximum(counts, 1)), 1e-3)[self.r]

    def inverse_functionality(self) -> np.ndarray:
        """Return fun^-1(r) = #y / #(x, y) of each relation, shape (m,): 1 where y tells which x it is."""
        counts = np.bincount(self.r, minlength=self.n_relations)
        distinct = np.unique(self.r * np.int64(self.n_nodes) + self.y) // self.n_nodes
        return np.asarray(np.bincount(distinct, minlength=self.n_relations) / np.maximum(counts, 1))

    def ends(self) -> csr_matrix:
        """Return the matrix of statements and their y, shape (s, n)."""
        rows = np.arange(len(self.y) + 1)
        return csr_matrix((np.ones(len(self.y), np.float32), self.y, rows), shape=(len(self.y), self.n_nodes))


def relation_meetings(
    source: Statements, target: Statements, partner: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how often relations say the same of paired nodes.

    Parameters
    ----------
    source, target : Statements
    partner : int array of shape (n_s,)
        The target node that a source node is paired with, -1 for none; no target node twice.
    confidence : array of shape (n_s,)
        Pr(x = x').

    Returns
    -------
    met : array of shape (m_s, m_t)
        sum over r(x, y) of Pr(x = x') Pr(y = y') where r'(x', y') is stated.
    of_source, of_target : arrays of shape (m_s,) and (m_t,)
        The same sum without the condition, over the statements of a relation whose two nodes are paired.
    """
    found, sure = partner >= 0, np.where(partner >= 0, confidence, 0.0)
    back = np.zeros(target.n_nodes)
    back[partner[found]] = sure[found]
    weight = sure[source.x] * sure[source.y]
    of_source = np.bincount(source.r, weight, minlength=source.n_relations)
    of_target = np.bincount(target.r, back[target.x] * back[target.y], minlength=target.n_relations)
    said = np.flatnonzero(weight > 0)
    wanted = partner[source.x[said]] * np.int64(target.n_nodes) + partner[source.y[said]]
    stated = target.x * np.int64(target.n_nodes) + target.y
    order = np.argsort(stated, kind="stable")
    first, last = (np.searchsorted(stated[order], wanted, side=side) for side in ("left", "right"))
    many = last - first
    # Every target statement between the same two nodes: positions first, first + 1, ... last - 1 of each.
    step = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    there = target.r[order[np.repeat(first, many) + step]]
    here = np.repeat(said, many)
    met = np.bincount(
        source.r[here] * np.int64(target.n_relations) + there,
        weight[here],
        minlength=source.n_relations * target.n_relations,
    )
    return met.reshape(source.n_relations, target.n_relations), of_source, of_target
