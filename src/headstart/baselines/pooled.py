"""Pooled: source and target rows in one heap."""

from typing import Any, ClassVar

from headstart.domain import Domain
from headstart.fitting import fit_on_both, to_mean_one
from headstart.method import Family, Knowledge, Needs, RowMethod


class Pooled(RowMethod):
    """Learn from source rows and labelled target rows together.

    Parameters
    ----------
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row; "balanced" lets them together
        count as much as all source rows, and each at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from headstart import Transfer
    >>> X, y = np.array([[0.0], [1.0], [0.2], [0.9]]), np.array([0, 1, 0, 1])
    >>> fitted = Transfer(Pooled(), LogisticRegression(C=100)).fit(
    ...     X, y, domain=["source", "source", "target", "target"]
    ... )
    >>> fitted.predict([[0.1], [0.8]])
    array([0, 1])
    """

    family: ClassVar[Family] = Family.BASELINE
    needs: ClassVar[Needs] = Needs()

    def __init__(self, target_weight: float | str = "balanced") -> None:
        self.target_weight = target_weight

    def carry(self, knowledge: Knowledge, target: Domain) -> Knowledge:
        """Step 3: the source rows arrive as they are."""
        return knowledge

    def learn_target(self, carried: Knowledge, target: Domain, learner: Any) -> Any:
        """Step 4: fit the learner on both domains' rows."""
        arrived = carried.arrays
        own = to_mean_one(arrived["weight"])
        return fit_on_both(learner, arrived["X"], arrived["y"], own, target, self.target_weight)
