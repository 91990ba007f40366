"""PooledRatings: all domains as one heap, for any learner."""

from __future__ import annotations

from typing import Any, ClassVar

from headstart.method import Family
from headstart.recommend.base import Arrived, CrossDomainMethod
from headstart.recommend.scorers import Scorer


class PooledRatings(CrossDomainMethod):
    """The learner on the histories of all domains together, with no word on which is which.

    Examples
    --------
    >>> import pandas as pd
    >>> from headstart.recommend import ItemKNN
    >>> rows = pd.DataFrame({
    ...     "user": [1, 1, 2, 2, 3], "item": ["chess", "film", "go", "series", "chess"],
    ...     "domain": ["game", "video", "game", "video", "game"],
    ... })
    >>> PooledRatings().fit(rows, target="video", learner=ItemKNN()).recommend(3, k=1).items.tolist()
    ['film']
    """

    family: ClassVar[Family] = Family.BASELINE

    def scorer(self, arrived: Arrived, learner: Any) -> Scorer:
        """Let the learner learn from everything."""
        found: Scorer = learner.scorer(arrived.histories)
        return found
