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
    elif isinstance(item_vectors, Each):
        found = queries[:, item_vectors.columns]
    elif isinstance(queries, Each):
        # Asked the other way round, items first.
        found = item_vectors[:, queries.columns].T
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
class Each:
    """Items that stand for themselves: a query is then the row of all their scores, and may be sparse.

    Parameters
    ----------
    columns : slice or int array of shape (m,)
        Where their scores stand in a query.
    total : int
        Scores in a query.

    >>> items = Each(slice(0, 3), 3)
    >>> products(csr_matrix([[1.0, 0.0, 2.0]]), items[np.array([2, 0])], 0.0)
    array([[2., 1.]], dtype=float32)
    """

    columns: Any
    total: int

    @property
    def shape(self) -> tuple[int, int]:
        """Items, and scores in a query."""
        return len(np.arange(self.total)[self.columns]), self.total

    def __getitem__(self, index: Any) -> Each:
        if isinstance(index, slice) and isinstance(self.columns, slice):
            # Blocks of items stay slices, which cost nothing to take.
            within = range(self.total)[self.columns][index]
            return Each(slice(within.start, within.stop), self.total)
        return Each(np.arange(self.total)[self.columns][index], self.total)


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Items like those in the history: the query is what the events of the history add up to, item by item.

    Parameters
    ----------
    towards : csr_matrix of shape (columns, m)
        How like every item is to each target item.
    item_bias : array of shape (m,)
    """

    towards: csr_matrix
    item_bias: np.ndarray

    @property
    def item_vectors(self) -> Each:
        """Each item for itself."""
        return Each(slice(0, self.towards.shape[1]), self.towards.shape[1])

    def queries(self, history: csr_matrix, users: np.ndarray) -> csr_matrix:
        """Return the sums over events, shape (n, m)."""
        return csr_matrix(history @ self.towards)


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
