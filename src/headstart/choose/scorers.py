"""Scorers for scikit-learn's cross-validation of `Transfer`: by target labels, or by validators without them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from headstart.choose.validators import VALIDATORS, Unlabelled
from headstart.choose.validators.gathered import LEARNER_BACK, MIXED, probed
from headstart.domain import as_labels, known_labels, missing, take
from headstart.draws import canonical_order
from headstart.errors import InputError, NeedsError, unknown_name
from headstart.fitting import fit_learner
from headstart.instances import DomainClassifierWeighting
from headstart.transfer import Transfer

#: Evidence that one fitted model can't give: other candidates, other folds, a way back with the source's other rows.
OF_SEVERAL = {
    "crowd": "compares candidates",
    "by_fold": "compares folds",
    "way_back_by_method": "fits the method backwards, for which a scorer lacks the source",
}


def target_accuracy(estimator: Any, X: Any, y: Any) -> float:
    """Return the share of rows with a known label that are predicted right, as target rows.

    For splits whose test rows are target rows: `TargetKFold`, `RepeatedTargetKFold`, `pseudo_targets`.

    Raises
    ------
    InputError
        When no label is known.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> always_one = DummyClassifier(strategy="constant", constant=1).fit([[0.0], [0.0]], [0, 1])
    >>> target_accuracy(always_one, np.zeros((3, 1)), [1, 0, np.nan])
    0.5
    """
    labels = as_labels(y)
    known = np.flatnonzero(~missing(labels))
    if not len(known):
        raise InputError("no test row has a label; for a target without labels take SourceKFold and validator_scorer")
    return float((estimator.predict(take(X, known)) == known_labels(labels, classes=True)).mean())


def validator_scorer(name: str, random_state: int = 0) -> ValidatorScorer:
    """Return a validator as a scorer, for `GridSearchCV(Transfer(...), grid, cv=SourceKFold(), scoring=...)`.

    Parameters
    ----------
    name : str
        Of `VALIDATORS`, but those that look at more than one fitted model: crowd, stability, circular.
    random_state : int, default 0
        For importance weights and mixed rows.

    Raises
    ------
    InputError, NeedsError
        When there is no such validator, or it takes more than one model.

    Examples
    --------
    >>> validator_scorer("information-maximisation")
    ValidatorScorer(name='information-maximisation', random_state=0)
    """
    return ValidatorScorer(name, random_state)


@dataclass(frozen=True)
class ValidatorScorer:
    """A validator as a scorer: (estimator, X, y) into a number; test rows with a label are source, others target."""

    name: str
    random_state: int = field(default=0)

    def __post_init__(self) -> None:
        if self.name not in VALIDATORS:
            raise InputError(unknown_name("validator", self.name, VALIDATORS))
        needs = VALIDATORS[self.name].needs
        if needs in OF_SEVERAL:
            raise NeedsError(f"{self.name} {OF_SEVERAL[needs]}; use headstart.choose.validate, or another validator")

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        """Return the validator's score of a fitted `Transfer`, or of a pipeline that ends with one."""
        return VALIDATORS[self.name](self._evidence(estimator, X, y))

    def _evidence(self, estimator: Any, X: Any, y: Any) -> Unlabelled:
        if isinstance(estimator, Pipeline):
            X, estimator = estimator[:-1].transform(X), estimator[-1]
        if not isinstance(estimator, Transfer):
            raise InputError(f"validators score a Transfer, or a pipeline that ends with one, not {estimator!r}")
        labels = as_labels(y)
        gone = missing(labels)
        if gone.all() or not gone.any():
            raise InputError("validators need source rows with and target rows without a label: take cv=SourceKFold()")
        if not hasattr(X, "tocsr"):
            X = np.asarray(X)
        X = X.tocsr() if hasattr(X, "tocsr") else X
        Xs, Xt = X[~gone], X[gone]
        classes = is_classifier(estimator)
        ys = known_labels(labels, classes=classes)
        all_of = np.union1d(estimator.classes_, np.unique(ys)) if classes else np.empty(0)
        predictor, needs = estimator.predictor_, VALIDATORS[self.name].needs
        predicted = estimator.predict(Xt)
        P = None
        if needs == "target_probabilities":
            if not hasattr(estimator, "predict_proba"):
                raise NeedsError(
                    f"{self.name} needs probabilities; take a learner that gives them, or 'class-clusters'"
                )
            P = np.zeros((Xt.shape[0], len(all_of)))
            P[:, np.searchsorted(all_of, estimator.classes_)] = estimator.predict_proba(Xt)
        weighs = self.name in ("importance-weighted", "dev")
        return Unlabelled(
            "classification" if classes else "regression",
            ys,
            np.asarray(getattr(predictor, "predict_source", predictor.predict)(Xs)),
            DomainClassifierWeighting(random_state=self.random_state).weigh(Xs, Xt) if weighs else np.ones(len(ys)),
            predicted,
            Xt,
            all_of,
            P,
            way_back=_back(estimator, Xt, predicted, Xs) if needs == LEARNER_BACK else None,
            probes=probed(predictor.predict, predicted, Xt, self.random_state) if needs == MIXED and classes else None,
        )


def _back(estimator: Transfer, Xt: Any, predicted: np.ndarray, Xs: Any) -> np.ndarray:
    order = canonical_order(Xt)
    return np.asarray(fit_learner(estimator.learner, Xt[order], predicted[order]).predict(Xs))
