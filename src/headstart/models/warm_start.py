"""WarmStart: go on training the source's fitted learner on the target's rows."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.utils.class_weight import compute_sample_weight

from headstart.domain import Domain
from headstart.draws import canonical_order
from headstart.errors import InputError, NeedsError, listed
from headstart.fitting import fit_learner, is_linear, is_plain
from headstart.method import Family, Knowledge, Method, Needs
from headstart.models.counted import counted
from headstart.models.regular import Parameters, as_estimator, with_classes

#: Iterations, and passes over the target rows, when nothing is said.
FEW = 10

FORESTS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)
BOOSTING = (GradientBoostingClassifier, GradientBoostingRegressor)
NAIVE_BAYES = (GaussianNB, MultinomialNB, ComplementNB, BernoulliNB, CategoricalNB)


class WarmStart(Method):
    r"""WarmStart: go on training the source's fitted learner on the target, for a little while.

    From the source's parameters :math:`\theta_0 = \theta_s` training takes a few steps toward the target's optimum,

    .. math:: \theta_{j+1} = \theta_j - \eta_j H_j \nabla L_t(\theta_j), \quad j = 0, \ldots, \mathrm{rounds} - 1

    and stops (:math:`H_j` is L-BFGS's estimate of the inverse curvature, or 1): the fewer steps, the nearer it stays
    to the source. Stopping early regularises toward the source, as `RegularTransfer` does by its pull. What a step
    is, the learner says:

    - logistic regression, ridge and linear regression: iterations of L-BFGS on the learner's own objective over the
      target rows. No round leaves the source's model; many give the learner on the target alone.
    - learners with `partial_fit` (`SGDClassifier`, `SGDRegressor`, `Perceptron`, `MLPClassifier`, ...): passes over
      the target rows.
    - naive Bayes (by `partial_fit` too): one pass, whatever `rounds` says. The target's counts and moments are added
      to the source's, which are thus the prior; the result is the fit on both domains' rows.
    - random forests and extra trees: further trees, grown on the target rows, that vote with the source's.
    - gradient boosting: further trees, fitted to what the source's trees leave on the target rows.

    Parameters
    ----------
    rounds : int or "auto", default "auto"
        Iterations, passes or trees; "auto" is 10 iterations or passes, and as many trees as the source's learner has.

    Attributes
    ----------
    rounds_ : int
        The rounds that were gone (L-BFGS may need fewer).

    Raises
    ------
    InputError, NeedsError
        When the learner can't go on, all source rows are of one class, or the classes don't suit: only logistic
        regression can learn a class that the source does not know, and forests and boosting need a labelled target row
        of every class.

    Notes
    -----
    All other learners are refused in one line: those that solve for an optimum end at the target's, wherever they
    start (support vector machines, lasso); pipelines have no parameters of their own; histogram gradient boosting
    cuts the columns anew on the target rows, and its first trees would be misread.

    What travels is the fitted model. Rows are put into an order of their own before each fit, so that shuffled rows
    give the same model. Set `random_state` in a learner that draws.

    References
    ----------
    Yao, Rosasco, Caponnetto: On Early Stopping in Gradient Descent Learning. Constructive Approximation 26, 2007.
    Bottou: Large-Scale Machine Learning with Stochastic Gradient Descent. COMPSTAT 2010 (learning that goes on).
    Friedman: Greedy Function Approximation: A Gradient Boosting Machine. Annals of Statistics 29, 2001.

    Examples
    --------
    Naive Bayes goes on from the source's means and variances.

    >>> import numpy as np
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from headstart import Transfer
    >>> X, y = np.array([[0.0], [1.0], [4.0], [5.0], [3.0], [9.0]]), [0, 0, 1, 1, 0, 1]
    >>> domain = ["source"] * 4 + ["target"] * 2
    >>> Transfer(WarmStart(), GaussianNB()).fit(X, y, domain=domain).predictor_.theta_.round(4)
    array([[1.3333],
           [6.    ]])
    """

    family: ClassVar[Family] = Family.MODELS
    needs: ClassVar[Needs] = Needs(target_labels=True, source_rows=False, learner="any", prepared_on="source")

    def __init__(self, rounds: int | str = "auto") -> None:
        self.rounds = rounds

    def learn_source(self, source: Domain, learner: Any) -> Any:
        """Step 1: fit the learner on the labelled source rows."""
        self._check(learner)
        labelled = in_own_order(source)
        fitted = fit_learner(learner, labelled.X, labelled.labels, labelled.weight)
        if isinstance(fitted, DummyClassifier):
            raise NeedsError(
                f"WarmStart: all labelled rows of {source.name} are of class {source.classes[0]!s}; there is no "
                "classifier to go on with"
            )
        return fitted

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
        """Step 4: go on training a copy of the model on the labelled target rows."""
        self._check(learner)
        labelled = in_own_order(target)
        rounds = self.rounds
        if isinstance(rounds, str):
            rounds = int(carried.n_estimators) if isinstance(carried, FORESTS + BOOSTING) else FEW
        if is_linear(carried):
            model, self.rounds_ = descend(carried, labelled, rounds)
            return model
        if hasattr(carried, "classes_"):
            _require_classes(carried, labelled)
        model = deepcopy(carried)
        more = {} if labelled.weight is None else {"sample_weight": labelled.weight}
        if isinstance(model, FORESTS + BOOSTING):
            self.rounds_ = rounds
            if rounds:
                model.set_params(warm_start=True, n_estimators=carried.n_estimators + rounds)
                model.fit(labelled.X, labelled.labels, **more)
            return model
        self.rounds_ = min(rounds, 1) if isinstance(model, NAIVE_BAYES) else rounds
        for _ in range(self.rounds_):
            model.partial_fit(labelled.X, labelled.labels, **more)
        return model

    def refuses(self, learner: Any) -> str | None:
        """Say why training can't go on with a learner; None when it can."""
        lack = why_not(learner)
        return None if lack is None else f"can't go on with {type(learner).__name__}: {lack}"

    def _check(self, learner: Any) -> None:
        if self.rounds != "auto" and (isinstance(self.rounds, str) or self.rounds < 0 or self.rounds % 1):
            raise InputError(f"WarmStart: rounds must be 'auto' or a whole number of zero or more, not {self.rounds!r}")
        lack = self.refuses(learner)
        if lack:
            raise NeedsError(f"WarmStart {lack}")


def why_not(learner: Any) -> str | None:
    """Say why training can't go on with a learner; None when it can.

    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.svm import SVC
    >>> why_not(SGDClassifier()) is None, why_not(SVC())
    (True, 'it starts anew on other rows; take logistic ...')
    """
    if is_linear(learner):
        return None if is_plain(learner) else "only squared penalties and no sign constraints are known"
    if isinstance(learner, BOOSTING) and learner.n_iter_no_change is not None:
        return "it stops early on rows of its own; set n_iter_no_change=None"
    if isinstance(learner, BOOSTING + FORESTS):
        if getattr(learner, "class_weight", None) is not None:
            return "class_weight would be counted on the target rows alone; give sample weights"
        return None
    if hasattr(learner, "partial_fit"):
        if getattr(learner, "early_stopping", False):
            return "it stops early on rows of its own; set early_stopping=False"
        if getattr(learner, "class_weight", None) == "balanced":
            return "class_weight='balanced' needs all rows at once; give numbers"
        return None
    return "it starts anew on other rows; take logistic or ridge regression, SGD, naive Bayes, a perceptron or a forest"


def in_own_order(domain: Domain) -> Domain:
    """Return the labelled rows that count, in an order that does not depend on the caller's."""
    labelled = counted(domain, "WarmStart")
    # Rows that are the same but for their labels are in the order of these.
    labelled = labelled.rows(np.argsort(labelled.labels, kind="stable"))
    return labelled.rows(canonical_order(labelled.X))


def _require_classes(model: Any, labelled: Domain) -> None:
    name, here = type(model).__name__, labelled.classes
    strange = np.setdiff1d(here, model.classes_)
    if len(strange):
        raise NeedsError(
            f"WarmStart: {name} learned no class {listed(strange)} at the source and can't add one; leave those rows "
            "out, or take logistic regression"
        )
    lost = np.setdiff1d(model.classes_, here)
    if len(lost) and isinstance(model, FORESTS + BOOSTING):
        raise NeedsError(
            f"WarmStart: no labelled row of {labelled.name} is of class {listed(lost)}, and further trees of {name} "
            "need one; label one, or take another learner"
        )


def descend(model: Any, labelled: Domain, rounds: int) -> tuple[Any, int]:
    """Take a few iterations of L-BFGS on a linear learner's objective over the target rows, from its parameters.

    The objective, divided by the weight of the rows so that steps have one size for any number of them, is

        C sum_i w_i l(theta; x_i, y_i) + ||W||^2 / 2   (logistic regression), or
        sum_i w_i (y_i - theta(x_i))^2 + alpha ||W||^2   (ridge; alpha = 0 for linear regression).

    Returns
    -------
    model : estimator
        A fitted copy.
    iterations : int
        Those that were taken, `rounds` at most.
    """
    W = np.atleast_2d(model.coef_)
    start = Parameters(W, np.broadcast_to(model.intercept_, len(W)), getattr(model, "classes_", None))
    weight = np.ones(len(labelled)) if labelled.weight is None else labelled.weight
    if start.classes is not None:
        start = with_classes(start, np.union1d(start.classes, labelled.classes))
        if getattr(model, "class_weight", None) is not None:
            weight = weight * compute_sample_weight(model.class_weight, labelled.labels)
        penalty = 0.0 if np.isinf(model.C) else 1.0 / float(model.C)
    else:
        penalty = 2.0 * float(model.alpha) if isinstance(model, Ridge) else 0.0
    if rounds == 0:
        return as_estimator(start, model), 0
    X, total = labelled.X.astype(np.float64), weight.sum()
    first = np.column_stack([start.W, start.b]).astype(np.float64)
    aims = labelled.labels[:, None] if start.classes is None else _onehot(labelled.labels, start.classes)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        theta = flat.reshape(first.shape)
        scores = X @ theta[:, :-1].T + theta[:, -1]
        value, slope = _losses(scores, aims, regression=start.classes is None)
        slope = slope * weight[:, None] / total
        at_W = (X.T @ slope).T + penalty / total * theta[:, :-1]
        at_b = slope.sum(axis=0) if model.fit_intercept else np.zeros(len(theta))
        size = 0.5 * penalty / total * (theta[:, :-1] ** 2).sum()
        return float(weight @ value / total + size), np.column_stack([at_W, at_b]).ravel()

    options = {"maxiter": rounds, "maxfun": 50 * rounds, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(objective, first.ravel(), jac=True, method="L-BFGS-B", options=options)
    theta = found.x.reshape(first.shape).astype(labelled.X.dtype)
    return as_estimator(Parameters(theta[:, :-1], theta[:, -1], start.classes), model), int(found.nit)


def _losses(scores: np.ndarray, aims: np.ndarray, *, regression: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's loss (n,) and its slope by the scores (n, m): squared errors, or the logistic loss."""
    if regression:
        return (aims[:, 0] - scores[:, 0]) ** 2, 2.0 * (scores - aims)
    if scores.shape[1] == 1:
        scores = np.column_stack([np.zeros(len(scores)), scores])
        return logsumexp(scores, axis=1) - (scores * aims).sum(axis=1), (softmax(scores, axis=1) - aims)[:, 1:]
    return logsumexp(scores, axis=1) - (scores * aims).sum(axis=1), softmax(scores, axis=1) - aims


def _onehot(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return np.asarray(labels[:, None] == classes[None, :], dtype=float)
