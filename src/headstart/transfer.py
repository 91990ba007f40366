"""Transfer(method, learner): the scikit-learn face of every method."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import Tags, check_array, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from headstart.domain import Domain, Task, as_labels, as_pair, as_weights, known_labels, missing, require_learnable
from headstart.errors import InputError, NeedsError, unknown_name
from headstart.fitting import takes_weights
from headstart.method import Method, four_steps, require, unmet_needs


def _predictor_has(name: str) -> Any:
    return available_if(lambda transfer: hasattr(getattr(transfer, "predictor_", None) or transfer.learner, name))


def _in_the_order_of(target: Domain, source: Domain) -> tuple[Domain, bool]:
    """Return the source with its columns in the target's order, and whether the two have different columns."""
    if not (hasattr(source.X, "columns") and hasattr(target.X, "columns")):
        return source, source.X.shape[1] != target.X.shape[1]
    if set(source.X.columns) != set(target.X.columns):
        return source, True
    return source.with_rows(source.X[list(target.X.columns)]), False


class Transfer(MetaEstimatorMixin, BaseEstimator):
    """Learn a target task with the help of a source, by one method and one learner.

    Parameters
    ----------
    method : Method
        How knowledge is carried over: `CORAL()`, `KMM()`, `RegularTransfer()`, ...
    learner : scikit-learn estimator
        What learns the task; most methods need one that takes `sample_weight`.
    target : str, default "target"
        The name of the target in `domain`; all other names are sources.

    Attributes
    ----------
    predictor_ : object
        What predicts target rows.
    method_ : Method
        The fitted copy of the method, with what it found out (attributes ending in `_`).
    classes_ : array of shape (k,)
        For classifiers.
    seconds_ : dict of str to float
        Time of each of the four steps.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from headstart.features import CORAL
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(size=(100, 2)), 3 + 2 * rng.normal(size=(100, 2))])
    >>> y = np.append(X[:100, 0] > 0, X[100:, 0] > 3).astype(float)
    >>> y[110:] = np.nan                                   # ten labelled target rows
    >>> domain = np.repeat(["source", "target"], 100)
    >>> fitted = Transfer(CORAL(), LogisticRegression()).fit(X, y, domain=domain)
    >>> fitted.predict([[9.0, 0.0], [-3.0, 0.0]])
    array([1, 0])
    """

    def __init__(self, method: Method, learner: Any, target: str = "target") -> None:
        self.method = method
        self.learner = learner
        self.target = target

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        learner = get_tags(self.learner)
        tags.estimator_type = learner.estimator_type
        tags.classifier_tags = learner.classifier_tags
        tags.regressor_tags = learner.regressor_tags
        tags.input_tags.sparse = learner.input_tags.sparse and not self.method.needs.dense
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any, *, domain: Any, sample_weight: Any = None, pair: Any = None) -> Self:
        """Run the four steps.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, d)
            Rows of all domains, in any order.
        y : array-like of shape (n,)
            Labels; a missing one is NaN, None or pandas.NA.
        domain : array-like of shape (n,)
            The name of each row's domain.
        sample_weight : array-like of shape (n,), optional
            How much each row counts when the learner is fitted; it multiplies the weight that a method finds. How the
            domains' rows are distributed is judged by the rows as they stand. A row of weight zero is left out.
        pair : array-like of shape (n,), optional
            What was measured in each row, for methods that learn from pairs: rows of two domains with the same value
            are a pair. Missing (NaN, None) where a row has no partner.

        Raises
        ------
        InputError, NeedsError
            When the data or the learner do not suit the method.
        """
        return self._travel(*self._domains(X, y, domain, sample_weight, pair), different=False)

    def fit_domains(self, source: Domain, target: Domain) -> Self:
        """Run the four steps between two domains given as such, whose rows may have different columns.

        With different columns the method must be one that needs no shared ones (`needs.same_features` is False).
        Afterwards the estimator speaks of target rows as ever: `n_features_in_` is the number of the target's columns.

        Parameters
        ----------
        source, target : Domain
            Rows as numeric arrays, sparse matrices or tables of shape (n_s, d_s) and (n_t, d_t); labels, of which some
            may be missing; weights and pairs as the domains have them. A row of weight zero is left out. Columns are
            the same where two tables name the same ones, in any order, and elsewhere where there are as many.

        Raises
        ------
        InputError, NeedsError
            When the domains or the learner do not suit the method.

        Examples
        --------
        Forty samples are measured by an instrument with five channels, and eight of them by one with three too.

        >>> import numpy as np
        >>> from sklearn.linear_model import Ridge
        >>> from headstart import Domain
        >>> from headstart.features import DirectStandardization
        >>> rng = np.random.default_rng(0)
        >>> content = rng.uniform(size=(60, 2))
        >>> wide, narrow = content @ rng.normal(size=(2, 5)), content @ rng.normal(size=(2, 3))
        >>> source = Domain(wide[:40], content[:40, 0], "wide", task="regression", pair=np.arange(40))
        >>> target = Domain(narrow[:8], name="narrow", pair=np.arange(8))
        >>> fitted = Transfer(DirectStandardization(), Ridge(1e-6)).fit_domains(source, target)
        >>> fitted.n_features_in_, bool(np.abs(fitted.predict(narrow[40:]) - content[40:, 0]).max() < 1e-3)
        (3, True)
        """
        for domain in (source, target):
            if not isinstance(domain, Domain):
                raise InputError(f"fit_domains takes two domains, not {type(domain).__name__}; fit takes arrays")
        source, different = _in_the_order_of(target, source)
        return self._travel(self._checked(source), self._checked(target), different=different)

    def _travel(self, source: Domain, target: Domain, *, different: bool) -> Self:
        lack = unmet_needs(self.method, self.learner, task=self._task, different=different)
        if lack:
            require(self.method, self.learner, different=different)
            raise InputError(f"{type(self.method).__name__} {lack}")
        require_learnable(source, target)
        self.method_ = clone(self.method)
        journey = four_steps(self.method_, source, target, self.learner)
        self.predictor_, self.seconds_ = journey.predictor, journey.seconds
        self.n_features_in_ = target.X.shape[1]
        if hasattr(self.predictor_, "classes_"):
            self.classes_ = self.predictor_.classes_
        return self

    def _checked(self, domain: Domain) -> Domain:
        try:
            X = self._rows(domain.X)
        except InputError as error:
            raise InputError(f"{domain.name}: {error}") from error
        return self._counted(replace(domain, X=X, task=self._task))

    def _counted(self, domain: Domain) -> Domain:
        """Leave out the rows of weight zero; refuse weights that the learner can't take."""
        if domain.weight is None:
            return domain
        if not takes_weights(self.learner):
            raise NeedsError(f"{type(self.learner).__name__} takes no sample_weight; leave the weights out")
        return domain.rows(domain.weight > 0)

    @property
    def _task(self) -> Task:
        return "classification" if is_classifier(self.learner) else "regression"

    def _domains(self, X: Any, y: Any, domain: Any, sample_weight: Any, pair: Any) -> tuple[Domain, Domain]:
        X = self._rows(X)
        names = np.asarray(domain).astype(str)
        if names.shape != (X.shape[0],):
            raise InputError(f"domain must name the domain of each of the {X.shape[0]} rows, not {names.shape}")
        labels = as_labels(y)
        if len(labels) != X.shape[0]:
            raise InputError(f"{X.shape[0]} rows but {len(labels)} labels")
        pair = None if pair is None else as_pair(pair, X.shape[0])
        weight = None if sample_weight is None else as_weights(sample_weight, X.shape[0], where="sample_weight")
        everything = self._counted(Domain(X, labels, task=self._task, origin=names, weight=weight, pair=pair))
        names = np.asarray(everything.origin)
        is_target = names == self.target
        if not is_target.any():
            raise InputError(unknown_name("domain", self.target, np.unique(names)) + " (set target=...)")
        if is_target.all():
            raise InputError(f"all rows are of the target {self.target!r}; there is no source to transfer from")
        source, target = everything.rows(~is_target), everything.rows(is_target)
        return replace(source, name="source"), replace(target, name=self.target, origin=None)

    def _rows(self, X: Any) -> Any:
        try:
            return check_array(
                X, accept_sparse="csr", dtype=[np.float64, np.float32], estimator=type(self.method).__name__
            )
        except (ValueError, TypeError) as error:
            raise InputError(str(error).strip().splitlines()[0]) from error

    def _new_rows(self, X: Any) -> Any:
        check_is_fitted(self, "predictor_")
        X = self._rows(X)
        if X.shape[1] != self.n_features_in_:
            raise InputError(f"rows have {X.shape[1]} columns; the model was fitted on {self.n_features_in_}")
        return X

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions for target rows, shape (n,)."""
        return np.asarray(self.predictor_.predict(self._new_rows(X)))

    @_predictor_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities for target rows, shape (n, k)."""
        return np.asarray(self.predictor_.predict_proba(self._new_rows(X)))

    @_predictor_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the learner's decision values for target rows."""
        return np.asarray(self.predictor_.decision_function(self._new_rows(X)))

    def score(self, X: Any, y: Any, domain: Any = None) -> float:
        """Return accuracy (classification) or R^2 (regression) on target rows with known labels.

        Parameters
        ----------
        X, y : rows and labels
        domain : array-like of shape (n,), optional
            Each row's domain; rows of other domains are left out. By default all rows are target rows.
        """
        labels = as_labels(y)
        scored = ~missing(labels)
        if domain is not None:
            scored &= np.asarray(domain).astype(str) == self.target
        if not scored.any():
            raise InputError("no target row with a known label to score on")
        truth = known_labels(labels[scored], classes=is_classifier(self.learner))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataConversionWarning)
            predicted = self.predict(X[scored])
        return float(accuracy_score(truth, predicted) if is_classifier(self.learner) else r2_score(truth, predicted))
