"""What feature-based methods share: align both domains, then learn on the aligned rows."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from headstart.domain import Domain
from headstart.errors import InputError
from headstart.fitting import fit_on_both, to_mean_one
from headstart.inputs import checked_rows, labels_of, rows_of_both
from headstart.mapping import Map
from headstart.method import Family, Knowledge, RowMethod


@dataclass(frozen=True)
class AlignedRows:
    """What arrives: mapped source rows with their labels, and the maps of both domains."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None
    source_map: Map
    target_map: Map


class FeatureMethod(RowMethod):
    """A method that writes `align(Xs, Xt, ys, yt) -> (source map, target map)`; a transformer on its own.

    `align` gets checked rows (arrays or CSR matrices of one float type) and labels as arrays, or None.
    """

    family: ClassVar[Family] = Family.FEATURES
    target_weight: float | str

    @abstractmethod
    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the maps of source and of target rows into the common representation."""

    def fit(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> Self:
        """Align the domains.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
        ys, yt : arrays of shape (n_s,) and (n_t,), optional
            Labels, for the methods that use them; missing ones are NaN or None.

        Raises
        ------
        InputError, NeedsError
            When rows or labels do not suit the method.
        """
        name = type(self).__name__
        Xs, Xt = rows_of_both(Xs, Xt, name, self.needs.dense, self.needs.same_features)
        ys, yt = labels_of(ys, Xs.shape[0], name, "ys"), labels_of(yt, Xt.shape[0], name, "yt")
        self.source_map_, self.target_map_ = self.align(Xs, Xt, ys, yt)
        self.columns_ = Xs.shape[1], Xt.shape[1]
        return self

    def transform_source(self, X: Any) -> Any:
        """Map source rows into the common representation."""
        check_is_fitted(self, "source_map_")
        return self.source_map_.transform(self._new_rows(X, self.columns_[0]))

    def transform(self, X: Any) -> Any:
        """Map target rows, new ones too, into the common representation."""
        check_is_fitted(self, "target_map_")
        return self.target_map_.transform(self._new_rows(X, self.columns_[1]))

    def _new_rows(self, X: Any, columns: int) -> Any:
        X = checked_rows(X, type(self).__name__, self.needs.dense)
        if X.shape[1] != columns:
            raise InputError(f"{type(self).__name__}: rows have {X.shape[1]} columns; it was fitted on {columns}")
        return X

    def carry(self, knowledge: Knowledge, target: Domain) -> AlignedRows:
        """Step 3: align the domains and map the source rows."""
        Xs, ys = knowledge.arrays["X"], knowledge.arrays["y"]
        self.fit(Xs, target.X, ys, target.y)
        return AlignedRows(
            self.transform_source(Xs), ys, knowledge.arrays["weight"], self.source_map_, self.target_map_
        )

    def learn_target(self, carried: AlignedRows, target: Domain, learner: Any) -> AlignedPredictor:
        """Step 4: fit the learner on the mapped source rows and the mapped labelled target rows."""
        mapped = target.with_rows(carried.target_map.transform(target.X))
        model = fit_on_both(learner, carried.X, carried.y, to_mean_one(carried.weight), mapped, self.target_weight)
        return AlignedPredictor(model, carried.source_map, carried.target_map)


def _model_has(name: str) -> Any:
    return available_if(lambda predictor: hasattr(predictor.model, name))


@dataclass(frozen=True, eq=False)
class AlignedPredictor:
    """A learner in the common representation, with the ways into it from both domains."""

    model: Any
    source_map: Map
    target_map: Map

    @property
    def classes_(self) -> np.ndarray:
        """The classes that the learner knows."""
        classes: np.ndarray = self.model.classes_
        return classes

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions for target rows, shape (n,)."""
        return np.asarray(self.model.predict(self.target_map.transform(X)))

    def predict_source(self, X: Any) -> np.ndarray:
        """Return predictions for source rows, shape (n,)."""
        return np.asarray(self.model.predict(self.source_map.transform(X)))

    @_model_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities for target rows, shape (n, k)."""
        return np.asarray(self.model.predict_proba(self.target_map.transform(X)))

    @_model_has("predict_proba")
    def predict_source_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities for source rows, shape (n, k)."""
        return np.asarray(self.model.predict_proba(self.source_map.transform(X)))

    @_model_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the learner's decision values for target rows."""
        return np.asarray(self.model.decision_function(self.target_map.transform(X)))
