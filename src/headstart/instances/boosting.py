"""What transfer boosting shares: the rows of both domains stacked once, betas, losses, and the models that vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain, stack_rows, take
from headstart.errors import InputError, NeedsError
from headstart.fitting import effective_size
from headstart.inputs import checked_rows
from headstart.method import Family, Knowledge, RowMethod

#: Errors are kept between LEAST_ERROR and MOST_OF_CHANCE times the error of guessing (0.49 at most with two classes).
#: Then every beta lies between 0 and 1: a faultless round has much say, a useless one hardly any, none an infinite or
#: a negative one; and after a useless round the target rows that it got wrong still rise a little, so that boosting
#: doesn't stand still.
LEAST_ERROR, MOST_OF_CHANCE = 1e-6, 0.98


@dataclass(frozen=True)
class SourceRows:
    """What arrives: source rows as they are, their labels, weights (or None) and where each came from (or None)."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None
    origin: np.ndarray | None


@dataclass(frozen=True)
class BothDomains:
    """Source rows on top of labelled target rows, with the weights at the start; rows of weight zero are left out.

    `kept` marks, among the source rows that arrived, those that are here.
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray
    n_source: int
    kept: np.ndarray
    origin: np.ndarray | None

    @cached_property
    def by_source(self) -> dict[str, tuple[np.ndarray, Any, np.ndarray]]:
        """For each source by name: positions, rows and labels of its rows and the target's, stacked once."""
        if self.origin is None:
            return {"source": (np.arange(len(self.y)), self.X, self.y)}
        target = np.arange(self.n_source, len(self.y))
        positions = {
            str(name): np.concatenate([np.flatnonzero(self.origin == name), target]) for name in np.unique(self.origin)
        }
        return {name: (at, take(self.X, at), self.y[at]) for name, at in positions.items()}


class TransferBoosting(RowMethod):
    """A method that boosts a learner on source and target rows together.

    Source rows arrive as they are; `learn_target` begins with `stacked` and ends with `surviving`.
    """

    family: ClassVar[Family] = Family.INSTANCES
    n_rounds: int
    target_weight: float | str

    def carry(self, knowledge: Knowledge, target: Domain) -> SourceRows:
        """Step 3: the source rows come along; which of them count shows when the target is learned."""
        return SourceRows(*(knowledge.arrays[name] for name in ("X", "y", "weight", "origin")))

    def stacked(self, carried: SourceRows, target: Domain) -> BothDomains:
        """Put the rows of both domains on top of each other and weigh them for the first round.

        Raises
        ------
        InputError, NeedsError
            When a parameter or the rows do not suit, or a domain has no labelled row that weighs anything.
        """
        name = type(self).__name__
        if self.n_rounds < 1:
            raise InputError(f"{name}: n_rounds must be 1 or more, not {self.n_rounds}")
        if self.target_weight != "balanced" and (isinstance(self.target_weight, str) or self.target_weight <= 0):
            raise InputError(f"{name}: target_weight must be 'balanced' or above 0, not {self.target_weight!r}")
        labelled = target.labelled_rows()
        Xs, Xt = (checked_rows(X, name, dense=False) for X in (carried.X, labelled.X))
        if Xs.shape[1] != Xt.shape[1]:
            raise InputError(f"{name}: source rows have {Xs.shape[1]} columns, target rows {Xt.shape[1]}")
        ws, wt = (np.ones(X.shape[0]) if w is None else w for X, w in ((Xs, carried.weight), (Xt, labelled.weight)))
        kept, counted = ws > 0, wt > 0
        for domain, counts in (("source", kept), ("target", counted)):
            if not counts.any():
                raise NeedsError(f"{name}: no labelled {domain} row has a weight above zero; there is nothing to boost")
        if not kept.all():
            Xs, ws = take(Xs, kept), ws[kept]
        if not counted.all():
            Xt, wt = take(Xt, counted), wt[counted]
        each = ws.sum() / wt.sum() if isinstance(self.target_weight, str) else float(self.target_weight)
        return BothDomains(
            X=stack_rows([Xs, Xt]),
            y=np.concatenate([carried.y[kept], labelled.labels[counted]]),
            weight=np.concatenate([ws, each * wt]),
            n_source=Xs.shape[0],
            kept=kept,
            origin=None if carried.origin is None else carried.origin[kept],
        )

    def surviving(self, w: np.ndarray, both: BothDomains) -> None:
        """Take note of the source rows' weights at the end, where a source row and a target row weigh 1 on average.

        Sets `source_weights_` and `effective_size_`, (sum w)^2 / sum w^2.
        """
        ws = w[: both.n_source] * (len(w) / w.sum())
        self.source_weights_ = np.zeros(len(both.kept))
        self.source_weights_[both.kept] = ws
        self.effective_size_ = effective_size(ws)


@dataclass(frozen=True, eq=False)
class WeightedVote:
    """Classifiers that vote, each with a weight.

    Each gives its vote to the class that it predicts; where `soft`, it shares the vote out by its probabilities, if
    it has any. A tie goes to the first of the classes.

    >>> from sklearn.dummy import DummyClassifier
    >>> X = np.zeros((2, 1))
    >>> models = [DummyClassifier(strategy="constant", constant=c).fit(X, ["no", "yes"]) for c in ("yes", "no")]
    >>> vote = WeightedVote(models, np.array([3.0, 1.0]), np.array(["no", "yes"]), soft=False)
    >>> vote.predict(X[:1]), vote.predict_proba(X[:1])
    (array(['yes'], dtype='<U3'), array([[0.25, 0.75]]))
    """

    models: list[Any]
    weights: np.ndarray
    classes_: np.ndarray
    soft: bool

    def predict(self, X: Any) -> np.ndarray:
        """Return the class with the largest share of the vote, shape (n,)."""
        return np.asarray(self.classes_[np.argmax(self.predict_proba(X), axis=1)])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return each class's share of the vote, shape (n, k)."""
        shares = sum(
            weight * class_votes(model, X, self.classes_, self.soft)
            for model, weight in zip(self.models, self.weights / self.weights.sum(), strict=True)
        )
        return np.asarray(shares / np.sum(shares, axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class WeightedMedian:
    """Regressors of which the weighted median counts.

    >>> from sklearn.dummy import DummyRegressor
    >>> X = np.zeros((1, 1))
    >>> models = [DummyRegressor(strategy="constant", constant=c).fit(X, [0.0]) for c in (9.0, 1.0, 2.0)]
    >>> WeightedMedian(models, np.array([1.0, 1.0, 1.5])).predict(X)
    array([2.])
    """

    models: list[Any]
    weights: np.ndarray

    def predict(self, X: Any) -> np.ndarray:
        """Return the smallest prediction at or below which half the weight lies, shape (n,)."""
        predictions = np.stack([np.asarray(model.predict(X)) for model in self.models])
        order = np.argsort(predictions, axis=0, kind="stable")
        running = np.cumsum(self.weights[order], axis=0)
        middle = np.argmax(running >= 0.5 * running[-1], axis=0)
        return np.asarray(predictions[order[middle, np.arange(predictions.shape[1])], np.arange(predictions.shape[1])])


def class_votes(model: Any, X: Any, classes: np.ndarray, soft: bool) -> np.ndarray:
    """Return a model's vote, shape (n, k): its probabilities where `soft` and it has them, else 1 for its class."""
    votes = np.zeros((X.shape[0], len(classes)))
    if soft and hasattr(model, "predict_proba"):
        votes[:, np.searchsorted(classes, model.classes_)] = model.predict_proba(X)
    else:
        votes[np.arange(len(votes)), np.searchsorted(classes, model.predict(X))] = 1.0
    return votes


def class_losses(model: Any, X: Any, at: np.ndarray, classes: np.ndarray, soft: bool) -> np.ndarray:
    """Return |h(x) - c(x)| of each row, between 0 and 1: what the vote leaves for classes other than `classes[at]`."""
    return np.asarray(1.0 - class_votes(model, X, classes, soft)[np.arange(len(at)), at])


def adjusted_errors(residuals: np.ndarray, loss: str) -> np.ndarray:
    """Return each row's error between 0 and 1 as in AdaBoost.R2, relative to D, the largest one.

    >>> adjusted_errors(np.array([-4.0, 1.0, 0.0]), "linear"), adjusted_errors(np.array([-4.0, 1.0, 0.0]), "square")
    (array([1.  , 0.25, 0.  ]), array([1.    , 0.0625, 0.    ]))
    """
    size = np.abs(residuals).astype(float)
    D = size.max()
    if D == 0:
        return size
    share = size / D
    if loss == "linear":
        return share
    return share**2 if loss == "square" else -np.expm1(-share)


def require_loss(name: str, loss: str) -> None:
    """Refuse a loss that AdaBoost.R2 does not have."""
    if loss not in ("linear", "square", "exponential"):
        raise InputError(f"{name}: loss must be 'linear', 'square' or 'exponential', not {loss!r}")


def source_beta(n_source: int, n_rounds: int) -> float:
    """Return beta = 1 / (1 + sqrt(2 ln n_s / N)), by whose power a source row falls (the Hedge bound's choice).

    >>> round(source_beta(100, 10), 4)
    0.5103
    """
    return float(1 / (1 + np.sqrt(2 * np.log(n_source) / n_rounds)))


def round_beta(error: float, k: int = 2) -> float:
    """Return beta_t = eps_t / ((1 - eps_t) (k - 1)); for two classes, and for regression, eps_t / (1 - eps_t).

    >>> round_beta(0.25), round_beta(0.5, k=3)
    (0.333..., 0.5)
    """
    eps = float(np.clip(error, LEAST_ERROR, MOST_OF_CHANCE * (k - 1) / k))
    return eps / ((1 - eps) * (k - 1))


def vote_weights(betas: Sequence[float]) -> np.ndarray:
    """Return log(1 / beta_t), the weight of each round's vote."""
    return -np.log(np.asarray(betas))
