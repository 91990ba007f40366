"""What any recommender must beat: popularity, mean ratings of items, and of users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from headstart.errors import NeedsError
from headstart.recommend.histories import Histories
from headstart.recommend.rating_learner import PRIOR, RatingLearner, fallback_scores
from headstart.recommend.scorers import Constant


class Popularity(RatingLearner):
    """The items of the target that most users chose or rated, whoever asks.

    Of ratings too it counts how many there are: what is predicted then orders, and is no rating.

    Examples
    --------
    >>> import pandas as pd
    >>> likes = pd.DataFrame({"user": [1, 2, 2, 3], "item": list("abca"), "domain": "shop"})
    >>> Popularity().fit(likes).recommender_.recommend(2).items.tolist()
    ['a']
    """

    def scorer(self, histories: Histories) -> Constant:
        """Count the users of each item."""
        return Constant(histories.part(histories.target).getnnz(axis=0).astype(np.float32))


class ItemMean(RatingLearner):
    """The mean rating of each item, drawn to the mean of all as by five ratings; the same for everybody.

    Raises
    ------
    NeedsError
        When there are no ratings.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"user": [1, 2, 1], "item": list("aab"), "domain": "shop", "rating": [5.0, 5.0, 2.0]})
    >>> ItemMean().fit(rows).recommender_.recommend(3).items.tolist()
    ['a', 'b']
    """

    def scorer(self, histories: Histories) -> Constant:
        """Return the mean ratings."""
        require_ratings(histories, type(self).__name__)
        return Constant(fallback_scores(histories))


@dataclass(frozen=True, eq=False)
class Kindness:
    """Scores an item by its mean, and by how far above the means of what they rated a user rates.

    Parameters
    ----------
    levels : array of shape (columns,)
        Mean ratings of the items of all domains.
    prior : float
        For how many ratings counts that a user is like others.
    item_bias : array of shape (m,)
        The levels of the target's items.
    """

    levels: np.ndarray
    prior: float
    item_bias: np.ndarray

    @property
    def item_vectors(self) -> np.ndarray:
        """Each item gains as much from a kind user."""
        return np.ones((len(self.item_bias), 1), dtype=np.float32)

    def queries(self, history: csr_matrix, users: np.ndarray) -> np.ndarray:
        """Return how much above the items' means each user rates, shape (n, 1)."""
        above = csr_matrix(
            (history.data - self.levels[history.indices], history.indices, history.indptr), history.shape
        )
        return np.asarray(above.sum(axis=1) / (np.diff(history.indptr)[:, None] + self.prior), dtype=np.float32)


class UserMean(RatingLearner):
    r"""How kindly the user rates, in whatever domain, and how good the item is.

    .. math:: \hat r_{ui} = \mu_{d(i)} + b_i + b_u, \qquad
              b_u = \frac{1}{n_u + 5} \sum_{j \in h_u} (r_{uj} - \mu_{d(j)} - b_j)

    with the mean :math:`\mu_d` of each domain, so that a domain where everything is rated highly makes nobody kind.
    For users who did nothing in the target yet it is the first thing that a method across domains must beat.

    Raises
    ------
    NeedsError
        When there are no ratings.

    References
    ----------
    Koren: Factor in the Neighbors: Scalable and Accurate Collaborative Filtering. TKDD 2010, section 2.1.

    Examples
    --------
    Ann rates all games low, and will rate films low.

    >>> import pandas as pd
    >>> rows = pd.DataFrame({
    ...     "user": ["ann"] * 6 + ["bob"] * 6 + ["eve"], "item": [*"abcdef" * 2, "up"],
    ...     "domain": ["game"] * 12 + ["film"], "rating": [2.0] * 6 + [4.0] * 6 + [4.0],
    ... })
    >>> fitted = UserMean().fit(rows)
    >>> [round(float(fitted.recommender_.scores([user])[0, 0]), 2) for user in ("ann", "bob", "eve")]
    [3.45, 4.55, 4.0]
    """

    def scorer(self, histories: Histories) -> Kindness:
        """Return the levels of all items; how kind someone is is read off their history."""
        require_ratings(histories, type(self).__name__)
        means = [fallback_scores(histories.only(name)) for name in histories.domains]
        return Kindness(np.concatenate(means), PRIOR, means[-1])


def require_ratings(histories: Histories, name: str) -> None:
    """Refuse events without ratings.

    Raises
    ------
    NeedsError
    """
    if not histories.explicit:
        raise NeedsError(f"{name} learns from ratings, and there are only events; give a column of ratings")
