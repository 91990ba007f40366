"""GlobalMean: one number for all."""

from __future__ import annotations

import numpy as np

from headstart.recommend.histories import Histories
from headstart.recommend.rating_learner import RatingLearner
from headstart.recommend.recommender import Recommender
from headstart.recommend.scorers import Constant


class GlobalMean(RatingLearner):
    """The mean of all ratings of the target, for everybody and everything: what any recommender has to beat.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"user": [1, 1, 2], "item": list("abb"), "rating": [5, 3, 1], "domain": "film"})
    >>> fitted = GlobalMean().fit(rows)
    >>> fitted.recommender_.scores([1, 99]).tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """

    def scorer(self, histories: Histories) -> Constant:
        """Take the mean."""
        R = histories.part(histories.target)
        mean = float(R.data.mean()) if R.nnz else 0.0
        return Constant(np.full(R.shape[1], mean, dtype=np.float32))

    def recommender(self, histories: Histories) -> Recommender:
        """Return a recommender that says the same of newcomers."""
        scorer = self.scorer(histories)
        return Recommender(histories, scorer, scorer.item_bias, type(self).__name__)
