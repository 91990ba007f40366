"""Blend: several methods together, their probabilities or predictions averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from headstart.baselines import Pooled, TargetOnly
from headstart.domain import Domain
from headstart.errors import NeedsError
from headstart.features import CORAL, MEDA, DiscriminantTransfer, EasyTL, FeatureAugmentation
from headstart.fitting import source_probabilities_of
from headstart.instances import KMM, BalancedWeighting, NearestNeighborWeighting
from headstart.method import Family, Knowledge, Method, Needs, RowMethod, four_steps, unmet_needs
from headstart.models import RegularTransfer


class Blend(RowMethod):
    r"""Average several methods: with few target labels a mean is surer than a choice.

    .. math:: p(y \mid x) = \frac{1}{M} \sum_{m=1}^{M} p_m(y \mid x)

    With twenty labelled rows the best of ten methods by cross-validation is mostly the luckiest; their mean has no
    such luck in it, and where they err apart it errs less than each. Members that can't work here, for want of target
    labels or of a learner that they take, are left out. Where one gives no probabilities, all vote; numbers are
    averaged.

    Parameters
    ----------
    members : sequence of Method, optional
        By default, for classes, three that go different ways: discriminant transfer, balanced weighting and MEDA where
        there are target labels; discriminant transfer on rows that are aligned and on rows that are not, and EasyTL,
        where there are none. For numbers, one or two of each kind: target-only, pooled, KMM, nearest-neighbor
        weighting, CORAL, feature augmentation, RegularTransfer.

    Raises
    ------
    NeedsError
        When no member can work here.

    References
    ----------
    Dietterich: Ensemble Methods in Machine Learning. Multiple Classifier Systems, 2000.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from headstart import Transfer
    >>> X, y = np.array([[0.0], [1.0], [0.2], [0.9]]), np.array([0, 1, 0, 1])
    >>> fitted = Transfer(Blend(), LogisticRegression(C=100)).fit(X, y, domain=["source"] * 2 + ["target"] * 2)
    >>> fitted.predict([[0.1], [0.8]])
    array([0, 1])
    """

    family: ClassVar[Family] = Family.MODELS
    needs: ClassVar[Needs] = Needs(dense=True)

    def __init__(self, members: Sequence[Method] | None = None) -> None:
        self.members = members

    def carry(self, knowledge: Knowledge, target: Domain) -> Knowledge:
        """Step 3: the source rows arrive as they are; each member carries them in its own way."""
        return knowledge

    def learn_target(self, carried: Knowledge, target: Domain, learner: Any) -> Blended:
        """Step 4: run the four steps of each member, and put what comes out together."""
        arrays = carried.arrays
        source = Domain(
            arrays["X"],
            arrays["y"],
            "source",
            task=target.task,
            origin=arrays["origin"],
            weight=arrays["weight"],
            pair=arrays["pair"],
        )
        predictors = []
        for member in self.members or default_members(target):
            if unmet_needs(member, learner, task=target.task, source=source, target=target) is None:
                predictors.append(four_steps(clone(member), source, target, learner).predictor)
        if not predictors:
            raise NeedsError("Blend: none of its members can work here; name others with members=[...]")
        return Blended(predictors, target.task == "regression")


#: Landmarks of MEDA, so that it does not take the square of many rows.
RANK = 500


def default_members(target: Domain) -> list[Method]:
    """Return the methods that are blended where nobody said which.

    Those for classes were picked among 85 methods and settings, by what mixtures of them had right on the test rows of
    two draws of the cases of `headstart bench choice`.
    """
    if target.task == "regression":
        return [
            TargetOnly(),
            Pooled(),
            KMM(),
            NearestNeighborWeighting(),
            CORAL(),
            FeatureAugmentation(),
            RegularTransfer(),
        ]
    if target.n_labelled:
        return [DiscriminantTransfer(shrinkage=0.3), BalancedWeighting(), MEDA(rank=RANK)]
    return [DiscriminantTransfer(), DiscriminantTransfer(unlabelled=0.6, alignment=None), EasyTL()]


def _all_sure(blended: Blended) -> bool:
    return all(hasattr(predictor, "predict_proba") for predictor in blended.predictors)


def _all_sure_at_source(blended: Blended) -> bool:
    return all(source_probabilities_of(predictor) is not None for predictor in blended.predictors)


@dataclass(frozen=True, eq=False)
class Blended:
    """The mean of predictors for target rows: of probabilities, or of numbers; without probabilities, a vote."""

    predictors: list[Any]
    numbers: bool

    @property
    def classes_(self) -> np.ndarray:
        """All classes that any predictor knows, in order."""
        return np.unique(np.concatenate([predictor.classes_ for predictor in self.predictors]))

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions for target rows, shape (n,); of equally likely classes the first."""
        if self.numbers:
            return np.asarray(np.mean([predictor.predict(X) for predictor in self.predictors], axis=0))
        if _all_sure(self):
            return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
        return self._vote([predictor.predict(X) for predictor in self.predictors])

    def predict_source(self, X: Any) -> np.ndarray:
        """Return predictions for source rows, each predictor's in its own way, shape (n,): a mean or a vote."""
        given = [getattr(predictor, "predict_source", predictor.predict)(X) for predictor in self.predictors]
        return np.asarray(np.mean(given, axis=0)) if self.numbers else self._vote(given)

    @available_if(_all_sure)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities for target rows, shape (n, k)."""
        return self._mean([predictor.predict_proba(X) for predictor in self.predictors])

    @available_if(_all_sure_at_source)
    def predict_source_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities for source rows, each predictor's in its own way, shape (n, k)."""
        ways = [source_probabilities_of(predictor) for predictor in self.predictors]
        return self._mean([way(X) for way in ways if way is not None])

    def _mean(self, given: list[np.ndarray]) -> np.ndarray:
        classes = self.classes_
        total = np.zeros((len(given[0]), len(classes)))
        for predictor, probabilities in zip(self.predictors, given, strict=True):
            total[:, np.searchsorted(classes, predictor.classes_)] += probabilities
        return np.asarray(total / len(given))

    def _vote(self, given: list[np.ndarray]) -> np.ndarray:
        classes = self.classes_
        votes = sum((np.asarray(labels)[:, None] == classes).astype(int) for labels in given)
        return np.asarray(classes[np.asarray(votes).argmax(axis=1)])
