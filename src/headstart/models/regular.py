"""Regular transfer: parameters pulled toward the source's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp, softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold

from headstart.domain import Domain
from headstart.errors import InputError
from headstart.method import Family, Knowledge, Method, Needs

#: Pulls tried by "cv", from none to the source's parameters as they are.
PULLS = (0.0, *np.logspace(-2, 4, 7), np.inf)

#: Columns up to which two classes are solved by Newton's method: a step costs their cube.
MOST_NEWTON_COLUMNS = 300


@dataclass(frozen=True)
class Parameters:
    """A linear model: coefficients W of shape (m, d), intercepts b of shape (m,), and classes (k,) or None.

    Two classes have one row (m = 1) of log-odds; k > 2 classes have one row each.
    """

    W: np.ndarray
    b: np.ndarray
    classes: np.ndarray | None = None


class RegularTransfer(Method):
    r"""Regular transfer: learn the target with parameters pulled toward the source's.

    The source model's parameters :math:`\theta_s = (W_s, b_s)` are the knowledge; no source row travels. At the
    target, logistic regression solves (with the learner's own C)

    .. math:: \min_{\theta = (W, b)}\; C \sum_i \ell(\theta; x_i, y_i) + \tfrac12 \|W\|^2
              + \tfrac{\text{pull}}{2} \|\theta - \theta_s\|^2

    and ridge regression the same with squared errors, alpha ||W||^2 and pull ||theta - theta_s||^2. With zero pull
    this is the learner on the target alone; with infinite pull it is the source model.

    Parameters
    ----------
    pull : float or "cv", default "cv"
        Strength of the pull; "cv" chooses among 0, 0.01, 0.1, ..., 10000 and infinity by cross-validation within
        the labelled target rows (log-loss, or squared error).
    folds : int, default 5
        Folds of that cross-validation.

    Notes
    -----
    The source's classes and the target's may differ: a class that the source does not know starts from zero
    parameters.

    References
    ----------
    Chelba & Acero: Adaptation of Maximum Entropy Capitalizer: Little Data Can Help a Lot. EMNLP 2004.
    Evgeniou & Pontil: Regularized Multi-Task Learning. KDD 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from headstart import Transfer
    >>> X = np.array([[0.0], [1.0], [2.0], [0.0], [1.0]])
    >>> y = np.array([0.0, 2.0, 4.0, 1.0, None])
    >>> domain = ["source"] * 3 + ["target"] * 2
    >>> source_model = Transfer(RegularTransfer(pull=np.inf), Ridge(alpha=0)).fit(X, y, domain=domain)
    >>> source_model.predict([[3.0]])
    array([6.])
    """

    family: ClassVar[Family] = Family.MODELS
    needs: ClassVar[Needs] = Needs(
        target_labels=True, source_rows=False, dense=True, learner="linear", prepared_on="source"
    )

    def __init__(self, pull: float | str = "cv", folds: int = 5) -> None:
        self.pull = pull
        self.folds = folds

    def learn_source(self, source: Domain, learner: Any) -> Any:
        """Step 1: fit the learner on the labelled source rows."""
        labelled = source.labelled_rows()
        if labelled.weight is None:
            return clone(learner).fit(labelled.X, labelled.labels)
        return clone(learner).fit(labelled.X, labelled.labels, sample_weight=labelled.weight)

    def extract(self, learned: Any, source: Domain) -> Knowledge:
        """Step 2: coefficients, intercepts and class names are the knowledge."""
        W = np.atleast_2d(learned.coef_)
        classes = learned.classes_.tolist() if hasattr(learned, "classes_") else None
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=False,
            arrays={"W": W, "b": np.broadcast_to(learned.intercept_, len(W)).astype(W.dtype)},
            facts={"rows": source.n_labelled, "classes": classes},
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> Parameters:
        """Step 3: bring the parameters to the classes of source and target together."""
        classes = knowledge.facts["classes"]
        arrived = Parameters(
            knowledge.arrays["W"], knowledge.arrays["b"], None if classes is None else np.array(classes)
        )
        if arrived.classes is None:
            return arrived
        return with_classes(arrived, np.union1d(arrived.classes, target.classes))

    def learn_target(self, carried: Parameters, target: Domain, learner: Any) -> Any:
        """Step 4: fit the learner on the labelled target rows, pulled toward the source's parameters."""
        labelled = target.labelled_rows()
        X, y = np.asarray(labelled.X), labelled.labels
        fit = _fit_ridge if carried.classes is None else _fit_logistic
        weight = np.ones(len(y)) if labelled.weight is None else labelled.weight
        pull = self.pull
        if isinstance(pull, str):
            if pull != "cv":
                raise InputError(f"RegularTransfer: pull must be a number or 'cv', not {pull!r}")
            pull = best_pull(fit, X, y, weight, carried, learner, self.folds)
        elif not pull >= 0:
            raise InputError(f"RegularTransfer: pull must be zero or more, not {pull}")
        self.pull_ = float(pull)
        return as_estimator(fit(X, y, weight, carried, self.pull_, learner), learner)


def fit_pulled(X: np.ndarray, y: np.ndarray, start: Parameters, learner: Any, folds: int = 5) -> Parameters:
    """Return a logistic regression pulled toward where it starts, as strongly as cross-validation asks for."""
    weight = np.ones(len(y))
    pull = best_pull(_fit_logistic, X, y, weight, start, learner, folds)
    return _fit_logistic(X, y, weight, start, pull, learner)


def with_classes(parameters: Parameters, classes: np.ndarray) -> Parameters:
    """Write the parameters for more classes; those that are new start from zero."""
    known = parameters.classes
    assert known is not None  # noqa: S101  (for the type checker: only classifiers come here)
    if len(known) == len(classes):
        return parameters
    W, b = parameters.W, parameters.b
    if len(known) == 2:
        W, b = np.vstack([-W, W]) / 2, np.concatenate([-b, b]) / 2
    wide_W, wide_b = np.zeros((len(classes), W.shape[1]), W.dtype), np.zeros(len(classes), b.dtype)
    at = np.searchsorted(classes, known)
    wide_W[at], wide_b[at] = W, b
    return Parameters(wide_W, wide_b, classes)


def best_pull(
    fit: Any, X: np.ndarray, y: np.ndarray, weight: np.ndarray, start: Parameters, learner: Any, folds: int
) -> float:
    """Choose the pull by cross-validated loss; of equals the strongest, for it trusts few target rows least."""
    if len(y) < 2:
        return float("inf")
    if start.classes is not None and np.unique(y, return_counts=True)[1].min() >= folds:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    else:
        splitter = KFold(min(folds, len(y)), shuffle=True, random_state=0)
    # Rows in an order of their own, so that the folds do not depend on the caller's.
    order = np.lexsort((*X.T[::-1], y))
    X, y, weight = X[order], y[order], weight[order]
    losses = np.zeros(len(PULLS))
    for train, test in splitter.split(X, y):
        near = start
        # From the strongest pull down: each solution starts the next.
        for i in reversed(range(len(PULLS))):
            near = fit(X[train], y[train], weight[train], start, PULLS[i], learner, near)
            losses[i] += float(weight[test] @ _losses(near, X[test], y[test]))
    return PULLS[len(PULLS) - 1 - int(np.argmin(losses[::-1]))]


def _losses(parameters: Parameters, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    scores = X @ parameters.W.T + parameters.b
    if parameters.classes is None:
        return np.asarray((y - scores[:, 0]) ** 2)
    at = np.searchsorted(parameters.classes, y)
    if len(parameters.classes) == 2:
        return np.asarray(-log_expit(np.where(at == 1, scores[:, 0], -scores[:, 0])))
    return np.asarray(logsumexp(scores, axis=1) - scores[np.arange(len(y)), at])


def _fit_ridge(
    X: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    start: Parameters,
    pull: float,
    learner: Any,
    near: Parameters | None = None,
) -> Parameters:
    """Solve the pulled least squares in closed form, for the difference from the source's parameters."""
    if np.isinf(pull):
        return start
    alpha = float(learner.alpha) if isinstance(learner, Ridge) else 0.0
    intercept = bool(learner.fit_intercept)
    d = X.shape[1]
    rows = np.column_stack([X, np.ones(len(X))]) if intercept else X
    theta_s = np.append(start.W[0], start.b) if intercept else start.W[0]
    own = np.append(np.full(d, alpha), 0.0) if intercept else np.full(d, alpha)
    # || y - R(theta_s + delta) ||^2 + own (theta_s + delta)^2 + pull delta^2, as one least-squares problem.
    root = np.sqrt(weight)
    tall = np.vstack([rows * root[:, None], np.diag(np.sqrt(own)), np.sqrt(pull) * np.eye(len(theta_s))])
    aim = np.concatenate([root * (y - rows @ theta_s), -np.sqrt(own) * theta_s, np.zeros(len(theta_s))])
    theta = theta_s + np.linalg.lstsq(tall, aim)[0]
    return Parameters(theta[None, :d].astype(X.dtype), theta[d:] if intercept else np.zeros(1))


def _fit_logistic(
    X: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    start: Parameters,
    pull: float,
    learner: Any,
    near: Parameters | None = None,
) -> Parameters:
    """Minimise the pulled logistic loss, from `near` (by default the source's parameters).

    Two classes and few columns go by Newton's method, else L-BFGS.
    """
    if np.isinf(pull):
        return start
    assert start.classes is not None  # noqa: S101  (for the type checker)
    near = near or start
    C = float(learner.C) if np.isfinite(learner.C) else 1e12
    ridge = 0.0 if np.isinf(learner.C) else 1.0 / C
    weight = weight * _class_weights(learner, y)
    theta_s = np.column_stack([start.W, start.b]).astype(float)
    rows = np.column_stack([X, np.ones(len(X))]).astype(float)
    at = np.searchsorted(start.classes, y)
    binary = len(start.classes) == 2
    signs = np.where(at == 1, 1.0, -1.0)
    onehot = np.eye(len(theta_s) if not binary else 2)[at]
    moves = np.ones_like(theta_s)
    if not learner.fit_intercept:
        moves[:, -1] = 0.0

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        theta = flat.reshape(theta_s.shape)
        scores = rows @ theta.T
        if binary:
            loss = -(weight * log_expit(signs * scores[:, 0])).sum()
            slope = (-weight * signs * expit(-signs * scores[:, 0]))[:, None]
        else:
            loss = (weight * (logsumexp(scores, axis=1) - scores[np.arange(len(at)), at])).sum()
            slope = weight[:, None] * (softmax(scores, axis=1) - onehot)
        moved = theta - theta_s
        value = loss + 0.5 * ridge * (theta[:, :-1] ** 2).sum() + 0.5 * pull / C * (moved**2).sum()
        gradient = slope.T @ rows + pull / C * moved
        gradient[:, :-1] += ridge * theta[:, :-1]
        return float(value), (gradient * moves).ravel()

    def curvature(flat: np.ndarray) -> np.ndarray:
        share = expit(rows @ flat)
        H = (rows * (weight * share * (1 - share))[:, None]).T @ rows
        H[np.diag_indices_from(H)] += pull / C + np.append(np.full(X.shape[1], ridge), 0.0)
        H[~np.outer(moves, moves).astype(bool)] = 0.0
        H[np.diag_indices_from(H)] += 1 - moves[0]
        return H

    first = np.column_stack([near.W, near.b]).astype(float).ravel()
    if binary and X.shape[1] <= MOST_NEWTON_COLUMNS:
        flat = _newton(objective, curvature, first, min(learner.tol, 1e-8))
    else:
        options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": min(learner.tol, 1e-6)}
        flat = minimize(objective, first, jac=True, method="L-BFGS-B", options=options).x
    theta = flat.reshape(theta_s.shape)
    return Parameters(theta[:, :-1].astype(X.dtype), theta[:, -1].astype(X.dtype), start.classes)


def _newton(objective: Any, curvature: Any, flat: np.ndarray, tol: float, rounds: int = 100) -> np.ndarray:
    """Minimise a convex function by Newton steps, halved until they descend (Armijo)."""
    value, gradient = objective(flat)
    for _ in range(rounds):
        if np.abs(gradient).max() <= tol:
            break
        H = curvature(flat)
        H[np.diag_indices_from(H)] += 1e-13 * np.trace(H)
        step = np.linalg.solve(H, -gradient)
        length = 1.0
        while True:
            ahead = flat + length * step
            new_value, new_gradient = objective(ahead)
            if new_value <= value + 1e-4 * length * float(gradient @ step) or length < 1e-10:
                break
            length /= 2
        if length < 1e-10:
            break
        flat, value, gradient = ahead, new_value, new_gradient
    return flat


def _class_weights(learner: Any, y: np.ndarray) -> np.ndarray:
    from sklearn.utils.class_weight import compute_sample_weight

    if getattr(learner, "class_weight", None) is None:
        return np.ones(len(y))
    return np.asarray(compute_sample_weight(learner.class_weight, y))


def as_estimator(parameters: Parameters, learner: Any) -> LogisticRegression | Ridge:
    """Return the parameters as a fitted scikit-learn model."""
    estimator = clone(learner)
    d = parameters.W.shape[1]
    estimator.n_features_in_ = d
    if parameters.classes is None:
        estimator.coef_, estimator.intercept_ = parameters.W[0], parameters.b[0]
    else:
        estimator.coef_, estimator.intercept_ = parameters.W, parameters.b
        estimator.classes_, estimator.n_iter_ = parameters.classes, np.zeros(1, dtype=np.int32)
    return estimator
