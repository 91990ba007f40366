"""Learners fitted on rows that count differently, of one domain or of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from headstart.domain import Domain, stack, stack_labels, stack_rows
from headstart.draws import folds
from headstart.errors import InputError, NeedsError


class Predictor(Protocol):
    """What the last step returns: something that predicts target rows."""

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions for target rows, shape (n,)."""


def source_probabilities_of(predictor: Any) -> Callable[[Any], np.ndarray] | None:
    """Return what gives a predictor's class probabilities for source rows; None where nothing does.

    A predictor that maps source rows in its own way (`predict_source`) says so by `predict_source_proba`; any other
    reads them as target rows.
    """
    own: Callable[[Any], np.ndarray] | None = getattr(predictor, "predict_source_proba", None)
    if own is not None or hasattr(predictor, "predict_source"):
        return own
    return getattr(predictor, "predict_proba", None)


def is_linear(learner: Any) -> bool:
    """Tell whether a learner is one whose parameters `RegularTransfer` can pull."""
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

    return isinstance(learner, LinearRegression | LogisticRegression | Ridge)


def is_plain(learner: Any) -> bool:
    """Tell whether a linear learner has a squared penalty and no constraints, as `RegularTransfer` solves it.

    >>> from sklearn.linear_model import LogisticRegression, Ridge
    >>> is_plain(LogisticRegression()), is_plain(LogisticRegression(l1_ratio=1.0)), is_plain(Ridge(positive=True))
    (True, False, False)
    """
    settings = learner.get_params()
    squared = settings.get("penalty", "l2") in ("l2", "deprecated") and not settings.get("l1_ratio")
    return squared and not settings.get("positive", False)


def takes_weights(learner: Any) -> bool:
    """Tell whether `learner.fit` takes sample_weight (a pipeline: its last step)."""
    last = learner.steps[-1][1] if isinstance(learner, Pipeline) else learner
    return has_fit_parameter(last, "sample_weight")


def fit_learner(learner: Any, X: Any, y: np.ndarray, weight: np.ndarray | None = None) -> Any:
    """Return a fitted clone of the learner.

    Where only one class is left, no classifier can be fitted; then the predictor is the constant one.
    """
    if is_classifier(learner) and len(np.unique(y)) == 1:
        return DummyClassifier(strategy="most_frequent").fit(X, y)
    if weight is not None and not takes_weights(learner):
        if np.ptp(weight) > 0:
            raise NeedsError(
                f"{type(learner).__name__} takes no sample_weight, and rows weigh differently here; take another "
                "learner, or target_weight=1 where the method has that"
            )
        weight = None
    fitted = clone(learner)
    if weight is None:
        return fitted.fit(X, y)
    if isinstance(fitted, Pipeline):
        return fitted.fit(X, y, **{f"{fitted.steps[-1][0]}__sample_weight": weight})
    return fitted.fit(X, y, sample_weight=weight)


def fit_on_both(
    learner: Any,
    Xs: Any,
    ys: np.ndarray,
    ws: np.ndarray | None,
    target: Domain,
    target_weight: float | str,
) -> Any:
    """Fit the learner on weighted source rows and the labelled target rows together.

    Source weights are taken as they are, None as ones. A labelled target row weighs `target_weight`, or with "balanced"
    as much as makes both domains count the same, and 1 at least: a source worth few rows does not make less of the
    target's. Weights of the target's own are scaled to a mean of 1 and multiply that. Where all source weights are
    zero, the target's rows are all there is to learn from.

    Raises
    ------
    NeedsError
        When all source weights are zero and no target row is labelled.
    """
    from scipy.sparse import issparse

    labelled = target.labelled_rows()
    ws = np.ones(len(ys)) if ws is None else np.asarray(ws, dtype=float)
    kept = ws > 0
    each = counts_each(target_weight, ws.sum(), len(labelled), least=1.0)
    if not len(labelled):
        if not kept.any():
            raise NeedsError("all source weights are zero: the source has no row like the target's; label target rows")
        return fit_learner(learner, Xs[kept], ys[kept], ws[kept])
    if not kept.any():
        return fit_learner(learner, labelled.X, labelled.labels, labelled.weight)
    own = to_mean_one(labelled.weight)
    wt = np.full(len(labelled), each) if own is None else each * own
    Xt = labelled.X.tocsr() if issparse(labelled.X) else labelled.X
    X = stack_rows([Xs[kept], Xt])
    y = stack_labels([ys[kept], labelled.labels], [int(kept.sum()), len(labelled)])
    return fit_learner(learner, X, np.asarray(y), np.concatenate([ws[kept], wt]))


def counts_each(
    weight: float | str,
    total: float,
    n: int,
    *,
    least: float = 0.0,
    most: float = np.inf,
    name: str = "target_weight",
) -> float:
    """Return what each of n rows counts: a number given, or with "balanced" a share of a total, between bounds.

    >>> counts_each("balanced", total=100.0, n=20), counts_each("balanced", total=10.0, n=20, least=1.0)
    (5.0, 1.0)
    """
    if isinstance(weight, str):
        if weight != "balanced":
            raise NeedsError(f"{name} must be a number or 'balanced', not {weight!r}")
        return float(np.clip(total / max(n, 1), least, most))
    if not weight >= 0:
        raise InputError(f"{name} must be zero or more, not {weight}")
    return float(weight)


def effective_size(w: np.ndarray) -> float:
    """Return (sum w)^2 / sum w^2: as many rows of equal weight would estimate a mean as well; 0 when all are zero.

    Kish: Survey Sampling, Wiley 1965.

    >>> effective_size(np.array([1.0, 1.0, 0.0])), effective_size(np.array([1e-200, 0.0]))
    (2.0, 1.0)
    """
    top = float(w.max(initial=0.0))
    if top == 0:
        return 0.0
    share = w / top
    return float(share.sum() ** 2 / (share @ share))


def as_worth(w: np.ndarray) -> np.ndarray:
    """Scale weights to a total of what they are worth in rows, their effective size.

    Where few rows carry the weight, a total of n would tell a learner with a penalty that it has n rows to trust.

    >>> as_worth(np.array([5.0, 5.0, 0.0, 0.0]))
    array([1., 1., 0., 0.])
    """
    return np.asarray(w / w.sum() * effective_size(w)) if w.any() else w


def to_mean_one(weight: np.ndarray | None) -> np.ndarray | None:
    """Scale rows' own weights to a mean of 1; None, and weights that are all zero, stay what they are."""
    return weight if weight is None or not weight.any() else weight / weight.mean()


def held_out_loss(fit: Callable[[Domain], Predictor], target: Domain, k: int = 5, random_state: Any = 0) -> float:
    """Return the cross-validated loss of a way to learn, over the labelled target rows.

    The loss is the mean Brier score where there are probabilities, else the share of errors; for regression the mean
    squared error. `fit` gets the target without the labels of a fold, and so without those rows.

    Raises
    ------
    InputError
        When there are fewer than two folds, or labelled rows.
    """
    if min(k, target.n_labelled) < 2:
        raise InputError(
            f"cross-validation takes at least 2 folds and 2 labelled rows, not {k} and {target.n_labelled}"
        )
    labelled, rest = target.labelled_rows(), target.rows(~target.labelled)
    classes = target.task == "classification"
    of_row = folds(labelled.X, k, random_state, labelled.labels if classes else None)
    loss = np.empty(len(labelled))
    for fold in range(int(of_row.max()) + 1):
        held = of_row == fold
        train = labelled.rows(~held)
        model = fit(stack([train, rest]) if len(rest) else train)
        loss[held] = losses(model, labelled.rows(held))
    return float(np.average(loss, weights=labelled.weight))


def losses(model: Any, held: Domain) -> np.ndarray:
    """Return a model's loss at each of some labelled rows, shape (n,): see `held_out_loss`."""
    if held.task != "classification":
        return np.asarray((model.predict(held.X) - held.labels) ** 2)
    if not hasattr(model, "predict_proba"):
        return np.asarray(model.predict(held.X) != held.labels, dtype=float)
    truth = held.labels[:, None] == model.classes_[None, :]
    brier = ((model.predict_proba(held.X) - truth) ** 2).sum(axis=1)
    # A class that the model does not know has no column: its missing share counts as well.
    return np.asarray(brier + ~truth.any(axis=1))
