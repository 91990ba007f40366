"""CollectiveMF: one vector for each user, whatever the domain."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.base import clone

from headstart.domain import Domain
from headstart.method import Family
from headstart.recommend.base import Arrived, CrossDomainMethod, n_shared
from headstart.recommend.factorization import MatrixFactorization
from headstart.recommend.scorers import Scorer


class CollectiveMF(CrossDomainMethod):
    r"""One factorisation of all domains, in which users (or items) share their vectors.

    .. math:: \min \sum_d w_d \sum_{u,i} c_{ui} (r_{ui}^d - p_u^\top q_i^d)^2 + \lambda (\|P\|^2 + \|Q\|^2)

    With one domain it is `MatrixFactorization`.

    Parameters
    ----------
    source_weight : float, default 1.0
        w of the sources; the target's is 1.

    References
    ----------
    Singh, Gordon: Relational Learning via Collective Matrix Factorization. KDD 2008.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({
    ...     "user": [1, 1, 2, 2, 3, 4], "item": ["chess", "film", "go", "series", "chess", "go"],
    ...     "domain": ["game", "video", "game", "video", "game", "game"],
    ... })
    >>> learner = MatrixFactorization(n_factors=2, penalty=0.1)
    >>> fitted = CollectiveMF().fit(rows, target="video", learner=learner)
    >>> [fitted.recommend(user, k=1).items.tolist() for user in (3, 4)]
    [['film'], ['series']]
    """

    family: ClassVar[Family] = Family.FEATURES

    def __init__(self, source_weight: float = 1.0) -> None:
        self.source_weight = source_weight

    def lacks(self, source: Domain, target: Domain) -> str | None:
        """Say that neither a user nor an item stands in both domains."""
        if any(n_shared(source.X, target.X, what) for what in ("users", "items")):
            return None
        return f"lives on users or items that {source.name} and {target.name} share, and they share none"

    def refuses(self, learner: Any) -> str | None:
        """Say that the learner must factorise."""
        if isinstance(learner, MatrixFactorization):
            return None
        return f"factorises all domains together, and {type(learner).__name__} does not; take MatrixFactorization"

    def scorer(self, arrived: Arrived, learner: Any) -> Scorer:
        """Factorise all domains together."""
        histories = arrived.histories
        weights = dict.fromkeys(histories.sources, self.source_weight)
        joint: MatrixFactorization = clone(learner).set_params(weights={**weights, **(learner.weights or {})})
        return joint.scorer(histories)
