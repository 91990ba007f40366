"""Target-only: no transfer at all."""

from typing import Any, ClassVar

from headstart.domain import Domain
from headstart.fitting import fit_learner
from headstart.method import Family, Knowledge, Method, Needs


class TargetOnly(Method):
    """Learn from the labelled target rows alone: what transfer has to beat.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from headstart import Transfer
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([1, 1, 0, 1])
    >>> fitted = Transfer(TargetOnly(), LogisticRegression(C=100)).fit(
    ...     X, y, domain=["source", "source", "target", "target"]
    ... )
    >>> fitted.predict([[2.0], [3.0]])
    array([0, 1])
    """

    family: ClassVar[Family] = Family.BASELINE
    needs: ClassVar[Needs] = Needs(
        target_labels=True,
        source_labels=False,
        source_rows=False,
        learner="any",
        prepared_on="target",
        tasks=("classification", "regression", "ranking"),
        reads=("table", "facts", "graph", "ratings"),
    )

    def learn_source(self, source: Domain, learner: Any) -> None:
        """Step 1: nothing is learned from the source."""

    def extract(self, learned: None, source: Domain) -> Knowledge:
        """Step 2: no knowledge leaves the source."""
        return Knowledge(method=type(self).__name__, holds_source_rows=False)

    def carry(self, knowledge: Knowledge, target: Domain) -> None:
        """Step 3: nothing arrives."""

    def learn_target(self, carried: None, target: Domain, learner: Any) -> Any:
        """Step 4: fit the learner on the labelled target rows."""
        labelled = target.labelled_rows()
        return fit_learner(learner, labelled.X, labelled.labels, labelled.weight)
