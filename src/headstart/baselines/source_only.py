"""Source-only: the source model as it is."""

from typing import Any, ClassVar

from headstart.domain import Domain
from headstart.fitting import fit_learner
from headstart.method import Family, Knowledge, Method, Needs


class SourceOnly(Method):
    """Learn from the source rows alone and use the model on the target as it is.

    What travels is the fitted model. Some learners keep rows inside (support vectors, neighbours); saving the
    knowledge finds that out and says so.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from headstart import Transfer
    >>> X, y = np.array([[0.0], [1.0], [0.2], [0.9]]), np.array([0, 1, None, None])
    >>> fitted = Transfer(SourceOnly(), LogisticRegression(C=100)).fit(
    ...     X, y, domain=["source", "source", "target", "target"]
    ... )
    >>> fitted.predict([[0.2], [0.9]])
    array([0, 1])
    """

    family: ClassVar[Family] = Family.BASELINE
    needs: ClassVar[Needs] = Needs(source_rows=False, learner="any", prepared_on="source")

    def learn_source(self, source: Domain, learner: Any) -> Any:
        """Step 1: fit the learner on the labelled source rows."""
        labelled = source.labelled_rows()
        return fit_learner(learner, labelled.X, labelled.labels, labelled.weight)

    def extract(self, learned: Any, source: Domain) -> Knowledge:
        """Step 2: the fitted model is the knowledge."""
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=False,
            parts={"model": learned},
            facts={"rows": source.n_labelled},
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> Any:
        """Step 3: the model arrives unchanged."""
        return knowledge.parts["model"]

    def learn_target(self, carried: Any, target: Domain, learner: Any) -> Any:
        """Step 4: nothing more is learned."""
        return carried
