"""EASE: every item's score as a linear regression on all other items, in closed form."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix

from headstart.errors import NeedsError
from headstart.recommend.histories import Histories
from headstart.recommend.rating_learner import RatingLearner


@dataclass(frozen=True, eq=False)
class ItemRegression:
    """Scores of a linear regression from what was done to the items of the target.

    Parameters
    ----------
    weights : array of shape (p, q)
        B, from p things to q items of the target.
    place : int array of shape (columns,)
        Which thing each column of a history is, -1 where it is none.
    item_vectors : csr_matrix of shape (m, q)
        Which item of the target each column of B is for; an item that was left out has no one.
    item_bias : array of shape (m,)
    """

    weights: np.ndarray
    place: np.ndarray
    item_vectors: csr_matrix
    item_bias: np.ndarray

    def queries(self, history: csr_matrix, users: np.ndarray) -> np.ndarray:
        """Return the scores of the q items, shape (n, q)."""
        return np.asarray(by_place(history, self.place, len(self.weights)) @ self.weights, dtype=np.float32)


class EASE(RatingLearner):
    r"""Items as linear regressions on all other items, at once and exactly.

    .. math:: \min_B \|X - X B\|^2 + \lambda \|B\|^2 \quad \text{with } \mathrm{diag}(B) = 0,

    with X of ones where a user did something. Its solution is, of :math:`P = (X^\top X + \lambda I)^{-1}`,

    .. math:: B_{ij} = - P_{ij} / P_{jj} \quad \text{for } i \ne j.

    Of histories of several domains X holds all of them, and only the columns of the target's items are found.

    Parameters
    ----------
    penalty : float, default 500
        lambda. Larger is better where there are more users, or fewer events each.
    max_items : int, default 12000
        Of more items in all domains together, the most popular are taken and the others score 0, and a warning says
        so: memory is 4 bytes times the square of this number, or twice that for a while.

    Raises
    ------
    NeedsError
        When there are ratings: a regression of ones knows no ratings.

    References
    ----------
    Steck: Embarrassingly Shallow Autoencoders for Sparse Data. WWW 2019.

    Examples
    --------
    >>> import pandas as pd
    >>> likes = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": list("abcda"), "domain": "shop"})
    >>> EASE(penalty=1.0).fit(likes).recommender_.recommend(3, k=1).items.tolist()
    ['b']
    """

    def __init__(self, penalty: float = 500.0, max_items: int = 12_000) -> None:
        self.penalty = penalty
        self.max_items = max_items

    def scorer(self, histories: Histories) -> ItemRegression:
        """Solve for the columns of the target's items."""
        if histories.explicit:
            raise NeedsError("EASE learns from events, and these are ratings; leave the ratings out")
        span, things = histories.span(histories.target), histories.things
        kept = most_popular(histories, self.max_items)
        place = np.where(np.isin(things, kept), np.searchsorted(kept, things), -1)
        X = by_place(histories.matrix, place, len(kept))
        found = np.flatnonzero(place[span] >= 0)
        one_each = csr_matrix(
            (np.ones(len(found), dtype=np.float32), (found, np.arange(len(found)))),
            shape=(len(place[span]), len(found)),
        )
        weights = ease_weights(X, place[span][found], self.penalty)
        return ItemRegression(weights, place, one_each, np.zeros(len(place[span]), dtype=np.float32))


def ease_weights(X: csr_matrix, columns: np.ndarray, penalty: float) -> np.ndarray:
    """Return the columns of B, shape (items, columns), float32.

    Parameters
    ----------
    X : csr_matrix of shape (n, items)
    columns : int array
        Of which items.
    penalty : float
    """
    G = np.asarray((X.T @ X).todense(), dtype=np.float32)
    G[np.diag_indices_from(G)] += np.float32(penalty)
    P = np.zeros((len(G), len(columns)), dtype=np.float32, order="F")
    at = np.arange(len(columns))
    P[columns, at] = 1.0
    P = cho_solve(cho_factor(G, lower=True, overwrite_a=True), P, overwrite_b=True)
    P /= -P[columns, at]
    P[columns, at] = 0.0
    return np.ascontiguousarray(P)


def most_popular(histories: Histories, limit: int) -> np.ndarray:
    """Return the things that most users did, sorted; warn when some are left out."""
    counts = np.bincount(histories.things[histories.matrix.indices], minlength=int(histories.things.max()) + 1)
    if len(counts) <= limit:
        return np.arange(len(counts))
    warnings.warn(
        f"EASE: of {len(counts):,} items the {limit:,} most popular are taken and the others score 0; raise max_items "
        f"if there is memory for {4 * len(counts) ** 2 / 2**30:.1f} GiB",
        stacklevel=5,
    )
    return np.sort(np.argsort(-counts, kind="stable")[:limit])


def by_place(history: csr_matrix, place: np.ndarray, width: int) -> csr_matrix:
    """Return histories with their columns moved to `place`, shape (n, width), of ones; -1 is left out."""
    at = place[history.indices]
    X = csr_matrix(((at >= 0).astype(np.float32), at.clip(0), history.indptr.copy()), shape=(history.shape[0], width))
    X.sum_duplicates()
    X.data = np.minimum(X.data, np.float32(1.0))
    X.eliminate_zeros()
    return X
