"""PRED: the source model's predictions as features of the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import is_classifier

from headstart.domain import Domain, task_of
from headstart.errors import InputError
from headstart.features.base import AlignedPredictor, FeatureMethod
from headstart.fitting import fit_learner
from headstart.inputs import source_labels_of
from headstart.learners import make_learner
from headstart.mapping import Map
from headstart.method import Knowledge, Needs

OUTPUTS = ("decision", "probabilities")


@dataclass(frozen=True, eq=False)
class PredictionMap:
    """The map x -> (x, what a model says of x); rows may be sparse.

    Parameters
    ----------
    model : fitted scikit-learn estimator
    output : str
        The method that is asked: "decision_function", "predict_proba" or "predict".
    """

    model: Any
    output: str

    def transform(self, X: Any) -> Any:
        """Return the rows with one column more (two classes, or a number), or k more (k > 2 classes)."""
        said = np.asarray(getattr(self.model, self.output)(X), dtype=X.dtype)
        said = said[:, None] if said.ndim == 1 else said
        if self.output == "predict_proba" and said.shape[1] <= 2:
            # The first of two probabilities is said by the second; the probability of an only class says nothing.
            said = said[:, 1:]
        if isinstance(X, np.ndarray):
            return np.hstack([X, said])
        from scipy.sparse import csr_matrix, hstack

        return hstack([X, csr_matrix(said)], format="csr")


class PRED(FeatureMethod):
    r"""PRED: learn the target from its own rows, with what the source model says of them as further features.

    .. math:: x \mapsto (x,\; h_s(x))

    with :math:`h_s` fitted on the source. The final learner sees labelled target rows only and finds out by itself how
    far the source model can be believed, and where. What travels is the source model; no source row does.

    Parameters
    ----------
    output : {"decision", "probabilities"}, default "decision"
        What a source classifier says: its decision values (log-odds, margins), or its class probabilities; where it
        has only one of them, that one. One column for two classes, k for k > 2. A source regression says its
        prediction.
    learner : estimator, optional
        What learns the source task; by default the transfer's own learner, and in `fit` alone logistic or ridge
        regression.

    Attributes
    ----------
    source_model_ : estimator
        :math:`h_s`, fitted.

    Notes
    -----
    A class of which no target row is labelled is never predicted, as whenever the target is learned from its own rows.
    Some learners keep source rows inside (support vectors, neighbours); saving the knowledge finds that out.

    References
    ----------
    Florian, Hassan, Ittycheriah, Jing, Kambhatla, Luo, Nicolov, Roukos: A Statistical Model for Multilingual Entity
    Detection and Tracking. HLT-NAACL 2004.
    Daume III: Frustratingly Easy Domain Adaptation. ACL 2007 (the baseline of that name).

    Examples
    --------
    >>> import numpy as np
    >>> Xs, ys = np.array([[0.0], [1.0], [2.0]]), np.array([0.5, 2.5, 4.5])
    >>> from sklearn.linear_model import LinearRegression
    >>> method = PRED(learner=LinearRegression()).fit(Xs, Xs, ys)
    >>> method.transform(np.array([[3.0]])).round(9)
    array([[3. , 6.5]])
    """

    needs: ClassVar[Needs] = Needs(target_labels=True, source_rows=False, learner="any", prepared_on="source")

    def __init__(self, output: str = "decision", learner: Any = None) -> None:
        self.output = output
        self.learner = learner

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Fit the source model; return the map of rows of either domain, twice. Target labels are not used."""
        labels = source_labels_of(ys, "PRED", classes=self.learner is None or is_classifier(self.learner))
        learner = make_learner("auto", task_of(labels), 0) if self.learner is None else self.learner
        added = self._arrived(fit_learner(learner, Xs, labels))
        return added, added

    def learn_source(self, source: Domain, learner: Any) -> Any:
        """Step 1: fit the learner on the labelled source rows."""
        labelled = source.labelled_rows()
        return fit_learner(
            learner if self.learner is None else self.learner, labelled.X, labelled.labels, labelled.weight
        )

    def extract(self, learned: Any, source: Domain) -> Knowledge:
        """Step 2: the fitted model is the knowledge."""
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=False,
            parts={"model": learned},
            facts={"rows": source.n_labelled},
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> Any:
        """Step 3: the model arrives as a map that adds what it says."""
        return self._arrived(knowledge.parts["model"])

    def learn_target(self, carried: Any, target: Domain, learner: Any) -> AlignedPredictor:
        """Step 4: fit the learner on the labelled target rows and what the source model says of them."""
        labelled = target.labelled_rows()
        model = fit_learner(learner, carried.transform(labelled.X), labelled.labels, labelled.weight)
        self.source_map_ = self.target_map_ = carried
        self.columns_ = target.X.shape[1], target.X.shape[1]
        return AlignedPredictor(model, carried, carried)

    def _arrived(self, model: Any) -> PredictionMap:
        if self.output not in OUTPUTS:
            raise InputError(f"PRED: output must be 'decision' or 'probabilities', not {self.output!r}")
        ways = ["decision_function", "predict_proba"]
        if self.output == "probabilities":
            ways.reverse()
        self.source_model_ = model
        return PredictionMap(model, next((way for way in ways if hasattr(model, way)), "predict"))
