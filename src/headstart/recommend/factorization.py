"""MatrixFactorization: users and items as vectors, whose products are ratings or preferences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from headstart.recommend.histories import Histories
from headstart.recommend.least_squares import explicit_solution, gram_of, implicit_half, implicit_solution
from headstart.recommend.rating_learner import RatingLearner


@dataclass(frozen=True, eq=False)
class Preferences:
    """From histories of events to vectors of taste, by one exact step of least squares.

    Parameters
    ----------
    vectors : array of shape (columns, d)
        Of all items that histories are about.
    confidence : array of shape (columns,)
        How much more than a missing one an event counts.
    penalty : float
    """

    vectors: np.ndarray
    confidence: np.ndarray
    penalty: float

    @property
    def width(self) -> int:
        """Numbers in a vector of taste."""
        return int(self.vectors.shape[1])

    @cached_property
    def gram(self) -> np.ndarray:
        """The product of all vectors with themselves, shape (d, d): made once, not for every user who asks."""
        return gram_of(self.vectors)

    def tastes(self, history: csr_matrix, centre: np.ndarray | None = None) -> np.ndarray:
        """Return vectors of taste, shape (n, d); who did nothing gets the centre, or zero."""
        C = csr_matrix((self.confidence[history.indices], history.indices, history.indptr), shape=history.shape)
        return implicit_solution(C, self.vectors, self.penalty, centre, self.gram)

    def item_side(self, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors and biases of some items, with which tastes are multiplied."""
        V = self.vectors[columns]
        return V, np.zeros(len(V), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class RatingTastes:
    """From histories of ratings to vectors of taste; the last number of each is how kindly a user rates.

    Parameters
    ----------
    vectors : array of shape (columns, d)
    bias : array of shape (columns,)
        The mean rating and how far each item is above it.
    penalty : float
        Times the number of ratings.
    weight : array of shape (columns,)
    """

    vectors: np.ndarray
    bias: np.ndarray
    penalty: float
    weight: np.ndarray

    @property
    def width(self) -> int:
        """Numbers in a vector of taste."""
        return int(self.vectors.shape[1]) + 1

    def tastes(self, history: csr_matrix, centre: np.ndarray | None = None) -> np.ndarray:
        """Return vectors of taste, shape (n, d + 1)."""
        # Of all items, only those of the histories count.
        met, at = np.unique(history.indices, return_inverse=True)
        left = history.data - self.bias[history.indices]
        R = csr_matrix((left, at, history.indptr), shape=(history.shape[0], len(met)))
        return explicit_solution(R, with_one(self.vectors[met]), self.penalty, self.weight[met], centre)

    def item_side(self, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors and biases of some items, with which tastes are multiplied."""
        return with_one(self.vectors[columns]), self.bias[columns]


@dataclass(frozen=True, eq=False)
class Factors:
    """A scorer of tastes and item vectors."""

    tastes: Preferences | RatingTastes
    item_vectors: np.ndarray
    item_bias: np.ndarray

    def queries(self, history: csr_matrix, users: np.ndarray) -> np.ndarray:
        """Return tastes, shape (n, d)."""
        return self.tastes.tastes(history).astype(np.float32)


class MatrixFactorization(RatingLearner):
    r"""Users and items as vectors: r_ui is about p_u . q_i.

    Of ratings, with the mean :math:`\mu`, kindness :math:`b_u` and quality :math:`b_i`:

    .. math:: \min \sum_{(u,i)} w_{d(i)} (r_{ui} - \mu - b_u - b_i - p_u^\top q_i)^2
              + \lambda (n_u (\|p_u\|^2 + b_u^2) + n_i (\|q_i\|^2 + b_i^2))

    Of events without ratings, where everything that did not happen counts a little:

    .. math:: \min \sum_{u,i} (1 + \alpha w_{d(i)} s_{ui}) (s_{ui} - p_u^\top q_i)^2 + \lambda (\|P\|^2 + \|Q\|^2)

    solved in turn for users and items. Everybody's vector is then one exact step from the history, so that a guest's
    is what a user's with the same history is.

    Parameters
    ----------
    n_factors : int, default 64
    penalty : float, optional
        lambda; by default 50 of events, 0.1 of ratings.
    alpha : float, default 20
        How much more an event counts than one that did not happen; for events only.
    iterations : int, default 15
    weights : dict of domain to float, optional
        w, where histories are of several domains; 1 where none is named.
    random_state : int, default 0
        Where the vectors begin.

    References
    ----------
    Koren, Bell, Volinsky: Matrix Factorization Techniques for Recommender Systems. Computer 2009.
    Hu, Koren, Volinsky: Collaborative Filtering for Implicit Feedback Datasets. ICDM 2008.

    Examples
    --------
    Two camps that each like their own.

    >>> import pandas as pd
    >>> likes = pd.DataFrame({"user": [1, 1, 2, 2, 3, 3, 4, 4, 5], "item": list("ababcdcda"), "domain": "shop"})
    >>> fitted = MatrixFactorization(n_factors=2, penalty=0.1).fit(likes)
    >>> fitted.recommender_.recommend(5, k=1).items.tolist()
    ['b']
    """

    def __init__(
        self,
        n_factors: int = 64,
        penalty: float | None = None,
        alpha: float = 20.0,
        iterations: int = 15,
        weights: dict[str, float] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.n_factors = n_factors
        self.penalty = penalty
        self.alpha = alpha
        self.iterations = iterations
        self.weights = weights
        self.random_state = random_state

    def factorise(self, histories: Histories) -> Preferences | RatingTastes:
        """Return the vectors of all items in histories, and how tastes are read off a history."""
        weight = self._weights(histories)
        if histories.explicit:
            return explicit_factors(
                histories.matrix,
                histories.things,
                weight,
                self.n_factors,
                0.1 if self.penalty is None else self.penalty,
                self.iterations,
                self.random_state,
            )
        return implicit_factors(
            histories.matrix,
            histories.things,
            self.alpha * weight,
            self.n_factors,
            50.0 if self.penalty is None else self.penalty,
            self.iterations,
            self.random_state,
        )

    def scorer(self, histories: Histories) -> Factors:
        """Learn from histories of all domains in them, and return what scores the items of the last."""
        tastes = self.factorise(histories)
        return Factors(tastes, *tastes.item_side(histories.span(histories.target)))

    def _weights(self, histories: Histories) -> np.ndarray:
        weights = self.weights or {}
        return np.concatenate(
            [
                np.full(len(ids), float(weights.get(name, 1.0)), dtype=np.float32)
                for name, ids in zip(histories.domains, histories.items, strict=True)
            ]
        )


def implicit_factors(
    R: csr_matrix,
    things: np.ndarray,
    confidence: np.ndarray,
    n_factors: int,
    penalty: float,
    iterations: int,
    random_state: Any,
    steps: int = 3,
) -> Preferences:
    """Return item vectors of events; columns of the same thing share one.

    Parameters
    ----------
    R : csr_matrix of shape (n, columns)
    things : int array of shape (columns,)
    confidence : array of shape (columns,)
    """
    rng = np.random.default_rng(random_state)
    active = np.flatnonzero(np.diff(R.indptr))
    R = R[active]
    C = csr_matrix((confidence[R.indices], things[R.indices], R.indptr), shape=(R.shape[0], int(things.max()) + 1))
    C.sum_duplicates()
    across = C.T.tocsr()
    U = rng.normal(0, 0.01, (C.shape[0], n_factors)).astype(np.float32)
    V = rng.normal(0, 0.01, (C.shape[1], n_factors)).astype(np.float32)
    # The products are small: threads would wait for each other longer than they work.
    with threadpool_limits(1):
        for _ in range(iterations):
            U = implicit_half(C, V, U, penalty, steps)
            V = implicit_half(across, U, V, penalty, steps)
    return Preferences(V[things], confidence, penalty)


def explicit_factors(
    R: csr_matrix,
    things: np.ndarray,
    weight: np.ndarray,
    n_factors: int,
    penalty: float,
    iterations: int,
    random_state: Any,
) -> RatingTastes:
    """Return item vectors and biases of ratings; columns of the same thing share one."""
    rng = np.random.default_rng(random_state)
    n_things = int(things.max()) + 1
    active = np.flatnonzero(np.diff(R.indptr))
    R = R[active]
    w = weight[R.indices]
    mean = float(np.average(R.data, weights=w)) if R.nnz else 0.0
    T = csr_matrix((R.data - mean, things[R.indices], R.indptr), shape=(R.shape[0], n_things))
    # A thing that stands in several domains counts as in the one that counts most.
    weigh = np.zeros(n_things)
    np.maximum.at(weigh, things, weight)
    across = T.T.tocsr()
    V, b = rng.normal(0, 0.1, (n_things, n_factors)), np.zeros(n_things)
    with threadpool_limits(1):
        for _ in range(iterations):
            U = explicit_solution(_less(T, b[T.indices]), with_one(V), penalty, weigh)
            P, kindness = U[:, :-1], U[:, -1]
            VB = explicit_solution(_less(across, kindness[across.indices]), with_one(P), penalty)
            V, b = VB[:, :-1], VB[:, -1]
    return RatingTastes(
        V[things].astype(np.float32), (mean + b)[things].astype(np.float32), penalty, weight.astype(np.float32)
    )


def with_one(V: np.ndarray) -> np.ndarray:
    """Return vectors with a one behind them."""
    return np.hstack([V, np.ones((len(V), 1), dtype=V.dtype)])


def _less(R: csr_matrix, values: np.ndarray) -> csr_matrix:
    return csr_matrix((R.data - values, R.indices, R.indptr), shape=R.shape)
