"""Items of other domains whose users are the same: no training, one product of sparse matrices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from headstart.domain import Task
from headstart.errors import NeedsError
from headstart.method import Family, Needs
from headstart.recommend.base import Arrived, CrossDomainMethod
from headstart.recommend.histories import Histories
from headstart.recommend.rating_learner import RatingLearner
from headstart.recommend.scorers import Neighbors


class ItemKNN(RatingLearner):
    r"""Items whose users are those of the items in the history.

    .. math:: s_{ui} = \sum_{j \in h_u} \frac{|U_i \cap U_j|}{\sqrt{|U_i| |U_j|} + \beta}

    Parameters
    ----------
    shrink : float, default 0
        beta: what is held against likeness that rests on few users.

    References
    ----------
    Sarwar, Karypis, Konstan, Riedl: Item-Based Collaborative Filtering Recommendation Algorithms. WWW 2001.

    Examples
    --------
    >>> import pandas as pd
    >>> likes = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": list("abbca"), "domain": "shop"})
    >>> ItemKNN().fit(likes).recommender_.recommend(3).items.tolist()
    ['b', 'c']
    """

    tasks: ClassVar[tuple[Task, ...]] = ("ranking",)

    def __init__(self, shrink: float = 0.0) -> None:
        self.shrink = shrink

    def scorer(self, histories: Histories) -> Neighbors:
        """Count common users of each target item and every item."""
        return likeness(histories, self.shrink)


class CrossDomainItemKNN(CrossDomainMethod):
    """`ItemKNN` over all domains: the items of the target whose users did what this one did elsewhere.

    It needs users that are shared. Nothing is trained, and one new event changes what is recommended at once.

    Parameters
    ----------
    shrink : float, default 0

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({
    ...     "user": [1, 1, 2, 2, 3], "item": ["chess", "film", "go", "series", "chess"],
    ...     "domain": ["game", "video", "game", "video", "game"],
    ... })
    >>> CrossDomainItemKNN().fit(rows, target="video").recommend(3, k=1)
    Recommendations(film (0.707); from history in game, carried to video)
    """

    family: ClassVar[Family] = Family.INSTANCES
    # Its scores order items and are no ratings.
    needs: ClassVar[Needs] = replace(CrossDomainMethod.needs, tasks=("ranking",))
    least_shared: ClassVar[int] = 1

    def __init__(self, shrink: float = 0.0) -> None:
        self.shrink = shrink

    def scorer(self, arrived: Arrived, learner: Any) -> Neighbors:
        """Count common users of each target item and every item."""
        return likeness(arrived.histories, self.shrink)


def likeness(histories: Histories, shrink: float) -> Neighbors:
    """Return how like each target item is to every item.

    Raises
    ------
    NeedsError
        Of ratings: common users say what goes together, not how it is rated.
    """
    if histories.explicit:
        raise NeedsError("item neighbours are for events, not for ratings; take EmbeddingMapping or CollectiveMF")
    X = histories.matrix.copy()
    X.data = np.ones_like(X.data)
    counts = np.asarray(X.sum(axis=0)).ravel()
    span = histories.span(histories.target)
    common = (X[:, span].T @ X).tocoo()
    scale = np.sqrt(counts[span][common.row] * counts[common.col]) + shrink
    W = csr_matrix((common.data / np.maximum(scale, 1e-9), (common.row, common.col)), shape=common.shape)
    # An item says nothing about itself.
    own = csr_matrix((np.ones(W.shape[0]), (np.arange(W.shape[0]), np.arange(span.start, span.stop))), shape=W.shape)
    W = csr_matrix(W - W.multiply(own), dtype=np.float32)
    W.eliminate_zeros()
    return Neighbors(W.T.tocsr(), np.zeros(W.shape[0], dtype=np.float32))
