"""The structure: entities are the same when they stand in the same relations to entities that are known to be."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from headstart.relations.label_propagation import Views, random_labels
from headstart.relations.neighbour_agreement import neighbour_agreement, relation_agreement
from headstart.relations.sparse_matching import (
    confidences,
    largest_of_rows,
    mutual_pairs,
    nearest,
    outside,
    placed,
    sinkhorn,
    with_pairs,
)
from headstart.relations.statements import Statements
from headstart.relations.triples import KnowledgeGraph

#: Partners of an entity that vote for its neighbours, and the confidence that a vote needs.
VOTES, LEAST_VOTE = 10, 0.05


def match_structure(
    source: KnowledgeGraph,
    target: KnowledgeGraph,
    known: np.ndarray,
    *,
    n_dims: int,
    n_rounds: int,
    n_candidates: int,
    temperature: float,
    n_scalings: int,
    n_refinements: int,
    neighbour_weight: float,
    n_reseedings: int,
    random_state: int | None,
) -> csr_matrix:
    """Return the match of the entities that are in no known pair, shape (n_s, n_t); see `EntityAlignment`.

    Parameters
    ----------
    source, target : KnowledgeGraph
        In order: the random labels depend on it.
    known : int array of shape (p, 2)
        Positions of the seeds, in order too.
    """
    rng = np.random.default_rng(random_state)
    here, there = Statements.of_graph(source), Statements.of_graph(target)
    turn = rng.permutation(n_dims)
    shape = len(source), len(target)
    free_s, free_t = (np.setdiff1d(np.arange(n), known[:, side]) for side, n in enumerate(shape))
    seeds, plan = known, csr_matrix(shape)
    for again in range(n_reseedings + 1):
        labels = random_labels(len(seeds), n_dims, rng)
        S, T = (
            seen_of(statements, seeds[:, side], labels, n_rounds, turn)[free]
            for side, (statements, free) in enumerate(((here, free_s), (there, free_t)))
        )
        similar = placed(nearest(S, T, n_candidates), free_s, free_t, shape)
        plan = sinkhorn(similar, temperature, n_scalings)
        for _ in range(n_refinements):
            sure = with_pairs(largest_of_rows(confidences(plan), VOTES, LEAST_VOTE), known)
            agreement = relation_agreement(here, there, sure)
            votes = outside(neighbour_agreement(here, there, sure, agreement, 2 * n_candidates), known)
            mixed = ((1 - neighbour_weight) * similar + neighbour_weight * votes).tocsr()
            plan = sinkhorn(largest_of_rows(mixed, n_candidates), temperature, n_scalings)
        if again < n_reseedings:
            seeds = np.concatenate([known, mutual_pairs(plan)])
            seeds = seeds[np.argsort(seeds[:, 0])]
    return plan


def seen_of(
    statements: Statements, places: np.ndarray, labels: np.ndarray, n_rounds: int, turn: np.ndarray
) -> np.ndarray:
    """Return what each entity sees of labels that are put at some places, shape (n, (n_rounds + 1) d)."""
    start = np.zeros((statements.n_nodes, labels.shape[1]), dtype=np.float32)
    start[places] = labels
    return Views(statements).propagate(start, n_rounds, turn)
