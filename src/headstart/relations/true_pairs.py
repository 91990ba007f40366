"""Pairs of entities: read as positions, and scored against a match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from headstart.errors import InputError
from headstart.relations.triples import KnowledgeGraph


@dataclass(frozen=True)
class Retrieved:
    """How well true partners are found.

    Parameters
    ----------
    hits : dict
        For each k, the share of pairs whose true partner is among the first k.
    mrr : float
        The mean of 1 / rank, 0 where the partner is no candidate.
    n_pairs, n_candidates : int
        Pairs that were asked for, and target entities that could be named.
    """

    hits: dict[int, float]
    mrr: float
    n_pairs: int
    n_candidates: int

    def __repr__(self) -> str:
        hits = ", ".join(f"Hits@{k} {share:.3f}" for k, share in self.hits.items())
        return f"{hits}, MRR {self.mrr:.3f} ({self.n_pairs} pairs among {self.n_candidates} candidates)"


def retrieved(confidence: csr_matrix, pairs: np.ndarray, at: tuple[int, ...], among_tested: bool) -> Retrieved:
    """Score how well the true partners of positions are found, see `EntityAlignment.hits`."""
    rows, truth = confidence[pairs[:, 0]], pairs[:, 1]
    if among_tested:
        rows, truth = rows[:, truth], np.arange(len(pairs))
    entries = coo_matrix(rows)
    score = np.zeros(len(pairs))
    right = entries.col == truth[entries.row]
    score[entries.row[right]] = entries.data[right]
    rank = np.bincount(entries.row, entries.data >= score[entries.row], minlength=len(pairs))
    reciprocal = np.divide(1, rank, out=np.zeros(len(pairs)), where=score > 0)
    # Ranks, not their inverses, are compared: 1 / 49 * 49 is not 1.
    shares = {k: float(((rank <= k) & (score > 0)).mean()) for k in at}
    return Retrieved(shares, float(reciprocal.mean()), len(pairs), rows.shape[1])


def entity_pairs(pairs: Any, source: KnowledgeGraph, target: KnowledgeGraph) -> np.ndarray:
    """Return pairs of names or positions as positions of shape (p, 2).

    Raises
    ------
    InputError
        When there is none, an entity is not there, or one comes twice.
    """
    rows = pairs if isinstance(pairs, np.ndarray) else list(pairs.to_numpy() if hasattr(pairs, "to_numpy") else pairs)
    if not len(rows) or any(isinstance(row, str) or np.ndim(row) != 1 or len(row) != 2 for row in rows):
        raise InputError("pairs must be a list of (source, target), with at least one")
    columns = [
        graph.find([row[side] for row in rows], f"pairs, {name}")
        for side, (name, graph) in enumerate((("source", source), ("target", target)))
    ]
    for name, column, graph in (("source", columns[0], source), ("target", columns[1], target)):
        distinct, counts = np.unique(column, return_counts=True)
        if len(distinct) < len(column):
            twice = graph.entities[distinct[counts > 1][0]]
            raise InputError(f"pairs: the {name} entity {twice!r} comes twice; each has one partner")
    return np.stack(columns, axis=1)
