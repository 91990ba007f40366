"""Propagation: what each entity sees of the seeds, over relations and neighbours."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from headstart.mapping.retrieval import unit_rows
from headstart.relations.statements import Statements


class Views:
    """The three views of a graph: entity from entity, entity from relation, relation from entity.

    A statement weighs log(|T| / |T_r|). What comes along a relation and what comes against it are kept apart by turning
    the second: its columns change places.
    """

    def __init__(self, statements: Statements) -> None:
        n, m = statements.n_nodes, statements.n_relations
        w = statements.rarity().astype(np.float32)
        forth = statements.r < m // 2
        self.out, self.into = (
            csr_matrix((w[side], (statements.x[side], statements.y[side])), shape=(n, n)) for side in (forth, ~forth)
        )
        self.from_relations = csr_matrix((w, (statements.x, statements.r)), shape=(n, m))
        self.to_relations = csr_matrix((np.ones_like(w), (statements.r, statements.x)), shape=(m, n))

    def propagate(self, labels: np.ndarray, n_rounds: int, turn: np.ndarray) -> np.ndarray:
        """Return the labels and those of each round side by side, rows of unit length, shape (n, (n_rounds + 1) d).

        Parameters
        ----------
        labels : float32 array of shape (n, d)
            Zero where nothing is known.
        n_rounds : int
        turn : int array of shape (d,)
            A permutation of the columns.
        """
        n, d = labels.shape
        seen = np.empty((n, (n_rounds + 1) * d), dtype=np.float32)
        seen[:, :d] = labels
        relations = np.zeros((self.to_relations.shape[0], d), dtype=np.float32)
        for step in range(1, n_rounds + 1):
            before = np.ascontiguousarray(seen[:, (step - 1) * d : step * d])
            now = self.into @ before
            now = now[:, turn]
            now += self.out @ before
            now += self.from_relations @ relations
            relations = unit_rows(self.to_relations @ before)
            seen[:, step * d : (step + 1) * d] = unit_rows(now)
        # In place, for this is the largest array of all; its parts have unit length already, or none.
        length = np.sqrt(np.einsum("ij,ij->i", seen, seen))[:, None]
        seen /= np.where(length > 0, length, 1)
        return seen


def random_labels(n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Return n random directions in d columns, float32."""
    return unit_rows(rng.standard_normal((n, d), dtype=np.float32))
