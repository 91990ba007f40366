"""Scorers: from histories to how much each item of the target is liked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_matrix, issparse


class Scorer(Protocol):
    r"""What a recommender has learned: scores are products of queries and items.

    .. math:: s_{ui} = q(h_u)^\top v_i + b_i
    """

    @property
    def item_vectors(self) -> Any:
        """The vectors v of the target's items, shape (m, d), dense or CSR."""

    @property
    def item_bias(self) -> np.ndarray:
        """The biases b of the target's items, shape (m,)."""

    def queries(self, history: csr_matrix, users: np.ndarray) -> Any:
        """Return q, shape (n, d), dense or CSR.

        Parameters
        ----------
        history : csr_matrix of shape (n, columns)
            What each user did, in the columns of the recommender's `Histories`.
        users : int array of shape (n,)
            Who they are, -1 for guests: for what was learned about a user beyond the history.
        """


def scores_of(scorer: Scorer, history: csr_matrix, users: np.ndarray) -> np.ndarray:
    """Return the scores of all target items, shape (n, m), dense."""
    return products(scorer.queries(history, users), scorer.item_vectors, scorer.item_bias)


def products(queries: Any, item_vectors: Any, item_bias: np.ndarray | float) -> np.ndarray:
    """Return queries @ items.T + bias, dense, shape (n, m)."""
    found: Any
    if isinstance(queries, Beside):
        found = sum(products(q, V, 0.0) for q, V in zip(queries.parts, item_vectors.parts, strict=True))
    else:
        found = queries @ item_vectors.T
        found = found.toarray() if issparse(found) else np.asarray(found)
    if np.any(item_bias):
        found = found + item_bias
    return np.asarray(found, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Constant:
    """The same score for everybody: popularity, or the mean rating of each item.

    >>> Constant(np.array([3.0, 1.0])).queries(csr_matrix((2, 5)), np.array([0, 1])).shape
    (2, 0)
    """

    item_bias: np.ndarray

    @property
    def item_vectors(self) -> np.ndarray:
        """No item has a vector."""
        return np.zeros((len(self.item_bias), 0), dtype=np.float32)

    def queries(self, history: csr_matrix, users: np.ndarray) -> np.ndarray:
        """Nobody has a query."""
        return np.zeros((history.shape[0], 0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Items like those in the history: the query is the history itself.

    Parameters
    ----------
    item_vectors : csr_matrix or array of shape (m, columns)
        How like each target item is to every item.
    item_bias : array of shape (m,)
    """

    item_vectors: Any
    item_bias: np.ndarray

    def queries(self, history: csr_matrix, users: np.ndarray) -> csr_matrix:
        """Return the histories."""
        return history


@dataclass(frozen=True, eq=False)
class Beside:
    """Blocks of queries, or of items, that stand side by side; some may be sparse.

    >>> both = Beside((np.ones((2, 3)), csr_matrix(np.eye(2))))
    >>> both.shape, both[[1]].shape, float(products(both, both, np.zeros(2))[0, 1])
    ((2, 5), (1, 5), 3.0)
    """

    parts: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and columns of all blocks."""
        return int(self.parts[0].shape[0]), sum(int(part.shape[1]) for part in self.parts)

    def __getitem__(self, index: Any) -> Beside:
        return Beside(tuple(part[index] for part in self.parts))
