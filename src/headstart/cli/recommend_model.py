"""A fitted recommender as a model that is saved and loaded like any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.delivery import Model
from headstart.domain import Domain
from headstart.method import Family
from headstart.readers import Vectorizer
from headstart.recommend.contenders import Contender


def deliver(chosen: Contender, sources: Sequence[Domain], target: Domain) -> Model:
    """Fit a contender and return it as a model with its card.

    Raises
    ------
    NeedsError
        As `Contender.recommender`.

    Examples
    --------
    >>> import pandas as pd
    >>> from headstart.recommend import ratings_domain
    >>> from headstart.recommend.contenders import contender
    >>> game = ratings_domain(pd.DataFrame({"user": [1, 2, 3], "item": ["chess", "go", "chess"]}), name="game")
    >>> video = ratings_domain(pd.DataFrame({"user": [1, 2], "item": ["film", "series"]}), name="video")
    >>> model = deliver(contender("cross-domain-item-knn"), [game], video)
    >>> model, model.recommend(3, k=1).items.tolist()
    (Model(CrossDomainItemKNN, ranking), ['film'])
    """
    recommender = chosen.recommender(sources, target)
    rows: Any = target.X
    card = {
        "method": type(chosen.method or chosen.learner).__name__,
        "family": str(chosen.method.family if chosen.method else Family.BASELINE),
        "learner": type(chosen.learner).__name__,
        "name": chosen.name,
        "target": target.name,
        "sources": [source.name for source in sources] if chosen.method else [],
        "shared": rows.shared,
        "label": target.label,
        "columns": 2,
        "spaces": "same",
        "rows": "ratings",
    }
    return Model(Vectorizer("passthrough"), recommender, target.task or "ranking", card)
