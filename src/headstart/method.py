"""Method: transfer in four steps, what a method needs, and the knowledge that travels.

Every method of every family runs the same four steps:

1. `learn_source`: learn the source task,
2. `extract`: take out the knowledge that is to travel,
3. `carry`: bring it to the target,
4. `learn_target`: learn the target task with it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from headstart.domain import Domain, Task, stack, stack_labels, stack_rows
from headstart.draws import folds
from headstart.errors import InputError, NeedsError

STEPS = ("learn the source task", "extract knowledge", "carry it over", "learn the target task")


class Family(StrEnum):
    """What a method moves."""

    BASELINE = "baseline"
    INSTANCES = "instance-based"
    FEATURES = "feature-based"
    MODELS = "model-based"
    RELATIONS = "relation-based"


@dataclass(frozen=True)
class Needs:
    """What a method needs to work.

    Parameters
    ----------
    target_labels : bool
        At least one labelled target row.
    source_labels : bool
        Labelled source rows. Only learning from the target alone does without.
    source_rows : bool
        The source rows themselves, when the knowledge is carried over. Without, the knowledge can travel to a
        place where the source data may not go.
    target_rows : bool
        Target rows (labelled or not) beyond those that the learner is fitted on.
    same_features : bool
        Source and target rows with the same columns. Without, each domain may have columns of its own: other names,
        and another number of them.
    dense : bool
        Rows that are not sparse.
    pairs : bool
        Rows of both domains in which the same thing was measured: `Domain.pair` says which.
    learner : {"any", "weighted", "linear"}
        Any learner; one that takes `sample_weight`; or a linear or logistic regression.
    tasks : tuple of {"classification", "regression"}
    prepared_on : {"both", "source", "target"}
        Which rows a vectoriser in front of the method may be fitted on.
    """

    target_labels: bool = False
    source_labels: bool = True
    source_rows: bool = True
    target_rows: bool = False
    same_features: bool = True
    dense: bool = False
    pairs: bool = False
    learner: Literal["any", "weighted", "linear"] = "weighted"
    tasks: tuple[Task, ...] = ("classification", "regression")
    prepared_on: Literal["both", "source", "target"] = "both"


class Predictor(Protocol):
    """What the last step returns: something that predicts target rows."""

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions for target rows, shape (n,)."""


@dataclass(frozen=True)
class Knowledge:
    """What leaves the source.

    Parameters
    ----------
    method : str
        Class name of the method that extracted it.
    holds_source_rows : bool
        Whether source rows are inside.
    arrays : dict of str to array
        Named arrays.
    parts : dict of str to object
        Fitted scikit-learn objects.
    facts : dict
        Whatever else there is to say, in plain JSON types: classes, number of rows, settings.
    """

    method: str
    holds_source_rows: bool
    arrays: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        inside = [
            *(f"{name} {tuple(a.shape)}" for name, a in self.arrays.items() if a is not None),
            *self.parts,
        ]
        rows = "with source rows" if self.holds_source_rows else "no source row"
        return f"Knowledge({self.method}: {', '.join(inside) or 'nothing'}; {rows})"


class Method(BaseEstimator, ABC):
    """A way to carry knowledge from a source domain to a target domain."""

    family: ClassVar[Family]
    needs: ClassVar[Needs] = Needs()

    @abstractmethod
    def learn_source(self, source: Domain, learner: Any) -> Any:
        """Step 1: learn the source task; return what was learned."""

    @abstractmethod
    def extract(self, learned: Any, source: Domain) -> Knowledge:
        """Step 2: take out of what was learned the knowledge that is to travel."""

    @abstractmethod
    def carry(self, knowledge: Knowledge, target: Domain) -> Any:
        """Step 3: bring the knowledge to the target; return what has arrived."""

    @abstractmethod
    def learn_target(self, carried: Any, target: Domain, learner: Any) -> Predictor:
        """Step 4: learn the target task with what has arrived; return a predictor for target rows."""


class RowMethod(Method):
    """A method whose knowledge is the labelled source rows themselves (instance- and feature-based methods)."""

    def learn_source(self, source: Domain, learner: Any) -> Domain:
        """Step 1: the source task is given by its labelled rows; keep those."""
        return source.labelled_rows()

    def extract(self, learned: Domain, source: Domain) -> Knowledge:
        """Step 2: the rows and their labels are the knowledge."""
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=True,
            arrays={
                "X": learned.X,
                "y": learned.labels,
                "origin": learned.origin,
                "weight": learned.weight,
                "pair": learned.pair,
            },
            facts={"rows": len(learned)},
        )


@dataclass(frozen=True)
class Journey:
    """The four steps, done: the predictor, the knowledge that travelled, and the seconds of each step."""

    predictor: Any
    knowledge: Knowledge
    seconds: dict[str, float]


def unannounced(step: str) -> None:
    """Tell nobody that a step begins."""


def learn_and_extract(
    method: Method, source: Domain, learner: Any, announce: Callable[[str], None] = unannounced
) -> tuple[Knowledge, dict[str, float]]:
    """Run steps 1 and 2, at the source; `announce` is told each step as it begins."""
    require(method, learner, source=source)
    clock: dict[str, float] = {}
    learned = _timed(clock, STEPS[0], announce, lambda: method.learn_source(source, learner))
    return _timed(clock, STEPS[1], announce, lambda: method.extract(learned, source)), clock


def carry_and_learn(
    method: Method,
    knowledge: Knowledge,
    target: Domain,
    learner: Any,
    announce: Callable[[str], None] = unannounced,
) -> tuple[Predictor, dict[str, float]]:
    """Run steps 3 and 4, at the target."""
    require(method, learner, target=target)
    clock: dict[str, float] = {}
    carried = _timed(clock, STEPS[2], announce, lambda: method.carry(knowledge, target))
    return _timed(clock, STEPS[3], announce, lambda: method.learn_target(carried, target, learner)), clock


def four_steps(
    method: Method,
    source: Domain,
    target: Domain,
    learner: Any,
    announce: Callable[[str], None] = unannounced,
) -> Journey:
    """Run a method's four steps and time each."""
    knowledge, before = learn_and_extract(method, source, learner, announce)
    predictor, after = carry_and_learn(method, knowledge, target, learner, announce)
    return Journey(predictor, knowledge, {**before, **after})


def _timed(clock: dict[str, float], step: str, announce: Callable[[str], None], work: Callable[[], Any]) -> Any:
    announce(step)
    start = time.perf_counter()
    done = work()
    clock[step] = time.perf_counter() - start
    return done


def unmet_needs(
    method: Method,
    learner: Any,
    *,
    task: Task | None = None,
    source: Domain | None = None,
    target: Domain | None = None,
    different: bool = False,
) -> str | None:
    """Say in a few words what a method lacks to work here; None when nothing.

    `different` says that source and target rows have different columns.
    """
    from scipy.sparse import issparse

    needs = method.needs
    if task is not None and task not in needs.tasks:
        return f"is not for {task}"
    if different and needs.same_features and needs.source_labels:
        return "needs source and target rows with the same columns"
    if needs.learner == "linear" and not is_linear(learner):
        return f"needs a linear learner (logistic regression, ridge), not {type(learner).__name__}"
    if needs.learner == "linear" and not is_plain(learner):
        return f"knows squared penalties only and no sign constraints, not {learner!r}"
    if needs.learner == "weighted" and not takes_weights(learner):
        return f"needs a learner that takes sample_weight, and {type(learner).__name__} takes none"
    if target is not None and needs.target_labels and not target.n_labelled:
        return "needs labelled target rows, and there are none"
    here = [domain for domain in (source, target) if domain is not None]
    if needs.pairs and any(domain.pair is None for domain in here):
        return "learns from paired rows; say with pair=... (--pair) what was measured in each row"
    if needs.dense and any(issparse(domain.X) for domain in here):
        return "takes no sparse rows"
    return None


def require(
    method: Method,
    learner: Any,
    *,
    source: Domain | None = None,
    target: Domain | None = None,
    different: bool = False,
) -> None:
    """Refuse what a method can't work with.

    Raises
    ------
    NeedsError
        With the method's name and what it lacks.
    """
    name = type(method).__name__
    if source is not None and method.needs.source_labels and not source.n_labelled:
        raise NeedsError(f"{name} needs labelled source rows, and there are none")
    lack = unmet_needs(method, learner, source=source, target=target, different=different)
    if lack:
        raise NeedsError(f"{name} {lack}")


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
