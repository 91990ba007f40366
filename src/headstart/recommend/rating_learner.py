"""RatingLearner: learns to recommend from one heap of histories."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from headstart.domain import Domain, Task
from headstart.errors import InputError, NeedsError
from headstart.recommend.histories import Histories
from headstart.recommend.ratings import Ratings, as_domains
from headstart.recommend.recommender import Recommender
from headstart.recommend.scorers import Scorer

#: How many ratings the mean of all counts for where an item has few of its own.
PRIOR = 5.0


def fallback_scores(histories: Histories) -> np.ndarray:
    """Return what everybody gets who did nothing yet, shape (m,): popularity, or mean ratings drawn to the mean.

    An item's mean counts with its ratings, and the mean of all as five.
    """
    R = histories.part(histories.target)
    counts = np.asarray((R != 0).sum(axis=0)).ravel() if not histories.explicit else R.getnnz(axis=0)
    if not histories.explicit:
        return np.asarray(counts, dtype=np.float32)
    mean = float(R.data.mean()) if R.nnz else 0.0
    sums = np.asarray(R.sum(axis=0)).ravel()
    return np.asarray((sums + PRIOR * mean) / (counts + PRIOR), dtype=np.float32)


class RatingLearner(RegressorMixin, BaseEstimator):
    """Learns to recommend from one heap of histories; what a method does with several is the method's.

    A member writes `scorer`.
    """

    #: "regression" where its scores are ratings, "ranking" where they order items.
    tasks: ClassVar[tuple[Task, ...]] = ("regression", "ranking")

    @abstractmethod
    def scorer(self, histories: Histories) -> Scorer:
        """Learn from histories of all domains in them, and return what scores the items of the last."""

    def recommender(self, histories: Histories) -> Recommender:
        """Return a recommender of the last domain's items."""
        return Recommender(histories, self.scorer(histories), fallback_scores(histories), type(self).__name__)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from ratings.

        Parameters
        ----------
        X : Ratings, Domain, or DataFrame with columns user, item, domain and perhaps rating
            Of one domain or several; the last one's items are recommended.
        y : array-like of shape (n,), optional
            Ratings. Without, what happened is all there is to learn from.
        sample_weight : None
            Rows are not weighed.
        """
        if sample_weight is not None:
            raise NeedsError(f"{type(self).__name__} takes no sample_weight; leave the weights out")
        if isinstance(X, Ratings):
            if y is not None and len(np.asarray(y)) != len(X):
                raise InputError(f"{len(X)} rows but {len(np.asarray(y))} ratings")
            implicit = y is None or (np.asarray(y) == 1).all()
            task: Any = "ranking" if implicit else "regression"
            parts = [Domain(X, np.ones(len(X)) if implicit else y, X.names[-1], task=task)]
        else:
            parts = list(as_domains(X).values())
        self.recommender_ = self.recommender(Histories.of(parts))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return how much the user of each row likes its item, shape (n,)."""
        check_is_fitted(self, "recommender_")
        return self.recommender_.predict(X)

    def ranks(self, X: Any) -> np.ndarray:
        """Return the rank of each row's item among those its user has not seen, shape (n,)."""
        check_is_fitted(self, "recommender_")
        return self.recommender_.ranks(X)
