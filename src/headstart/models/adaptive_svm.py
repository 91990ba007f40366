"""AdaptiveSVM: a support vector machine that corrects the source classifier on the target's rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit, softmax
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning

from headstart.domain import Domain
from headstart.errors import InputError, NeedsError
from headstart.fitting import fit_learner
from headstart.kernels import median_gamma, rbf
from headstart.method import Family, Knowledge, Method, Needs
from headstart.models.counted import counted

#: Gap, relative to the objective, above which the solver says that it did not converge.
LARGEST_GAP = 1e-6


@dataclass(frozen=True, eq=False)
class LinearCorrection:
    """The corrections x -> W x + b of m scores: W of shape (m, d), b of shape (m,)."""

    W: np.ndarray
    b: np.ndarray

    def scores(self, X: Any) -> np.ndarray:
        """Return what is added to the scores of rows, shape (n, m)."""
        return np.asarray(X @ self.W.T + self.b)


@dataclass(frozen=True, eq=False)
class KernelCorrection:
    """The corrections x -> sum_j A_jm exp(-gamma ||x - x_j||^2) + b_m of m scores, over target rows x_j."""

    rows: Any
    A: np.ndarray
    b: np.ndarray
    gamma: float

    def scores(self, X: Any) -> np.ndarray:
        """Return what is added to the scores of rows, shape (n, m)."""
        return np.asarray(rbf(X.astype(np.float64), self.rows, self.gamma) @ self.A + self.b)


@dataclass(frozen=True, eq=False)
class AdaptedClassifier:
    """Source scores plus corrections: one score for two classes, else one a class, of which the largest wins.

    Parameters
    ----------
    classes_ : array of shape (k,)
    source : SourceScores
    correction : LinearCorrection or KernelCorrection
    """

    classes_: np.ndarray
    source: SourceScores
    correction: Any

    def decision_function(self, X: Any) -> np.ndarray:
        """Return f(x): shape (n,) for two classes, (n, k) for more."""
        scores = self.source.scores(X, self.classes_) + self.correction.scores(X)
        return np.asarray(scores[:, 0] if scores.shape[1] == 1 else scores)

    def predict(self, X: Any) -> np.ndarray:
        """Return the classes of rows, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the scores pressed into probabilities, shape (n, k): in the order of the scores, not calibrated."""
        f = self.decision_function(X).astype(np.float64)
        return np.column_stack([expit(-f), expit(f)]) if f.ndim == 1 else np.asarray(softmax(f, axis=1))


@dataclass(frozen=True, eq=False)
class SourceScores:
    """The source's classifiers, one for two classes and else one a class against the others.

    Parameters
    ----------
    models : list of fitted classifiers of 0 and 1, with decision_function
    classes : array of shape (k_s,)
    """

    models: list[Any]
    classes: np.ndarray

    def scores(self, X: Any, classes: np.ndarray) -> np.ndarray:
        """Return f_s(x), shape (n, 1) for two classes and (n, k) for more; 0 for those the source does not know."""
        known = np.column_stack([np.asarray(model.decision_function(X), dtype=np.float64) for model in self.models])
        if len(classes) == 2:
            return known
        if len(self.models) == 1:
            known = np.column_stack([-known, known])
        scores = np.zeros((len(known), len(classes)))
        scores[:, np.searchsorted(classes, self.classes)] = known
        return scores


class AdaptiveSVM(Method):
    r"""AdaptiveSVM: the source classifier plus a correction, learned on the target with the hinge loss.

    With :math:`f_s` the source's decision function, the target's is :math:`f(x) = f_s(x) + w \cdot \varphi(x)`, where

    .. math:: \min_{w, \xi \geq 0}\; \frac{1}{2} \|w\|^2 + C \sum_i \xi_i,
              \quad y_i f_s(x_i) + y_i\, w \cdot \varphi(x_i) \geq 1 - \xi_i

    over the labelled target rows, :math:`y_i = \pm 1`. The correction is as small as possible, and only rows that the
    source gets wrong, or right by less than the margin, ask for one. The dual is a quadratic programme over a box,

    .. math:: \max_{0 \leq \alpha_i \leq C}\; \sum_i (1 - y_i f_s(x_i)) \alpha_i
              - \frac{1}{2} \sum_{i j} \alpha_i \alpha_j y_i y_j \varphi(x_i) \cdot \varphi(x_j)

    solved by an interior-point method until the duality gap closes. As C goes to 0 the source's classifier is left;
    were :math:`f_s = 0`, a support vector machine on the target alone would be.

    Parameters
    ----------
    C : float, default 1
        What a target row's slack costs, times the row's weight.
    kernel : {"linear", "rbf"}, default "linear"
        Of the correction; the source's classifier is what it is.
    gamma : float, optional
        Of the rbf kernel; by default 1 / median squared distance of labelled target rows.
    fit_intercept : bool, default True
        Give the correction an intercept, which is penalised as w is: a constant column of ones in
        :math:`\varphi(x)`.
    tol : float, default 1e-9
        Duality gap, relative to the objective, at which the solver stops.
    max_iter : int, default 100
        Most steps of the solver.

    Attributes
    ----------
    gap_ : float
        The largest relative duality gap that was left.
    gamma_ : float
        Of the rbf kernel.

    Raises
    ------
    InputError, NeedsError
        When a parameter is not what it should be, the learner has no decision_function, or all source rows are of
        one class.

    Warns
    -----
    ConvergenceWarning
        When the gap is still above 1e-6, as it can be where C times the squared length of a row is beyond 1e8.

    Notes
    -----
    The learner given to `Transfer` learns :math:`f_s`: a support vector machine (`LinearSVC`, `SVC`) has scores on
    the scale of the margin, and logistic regression's log-odds do as well. More than two classes are learned each
    against the others, at the source and at the target; a class that the source does not know starts from
    :math:`f_s = 0`. The paper has no intercept in the correction (fit_intercept=False).

    What travels is the source's classifier. A linear one holds no row; kernel machines hold support vectors, and
    saving the knowledge finds that out. The correction by the rbf kernel keeps the labelled target rows, and takes
    time that grows with the cube of their number; so does the linear one for sparse rows. The
    probabilities are the scores through the logistic function (softmax): good for ranking rows, not calibrated.

    References
    ----------
    Yang, Yan, Hauptmann: Cross-Domain Video Concept Detection Using Adaptive SVMs. ACM Multimedia 2007.

    Examples
    --------
    In the source a row is positive beyond 0, in the target beyond 1.

    >>> import numpy as np
    >>> from sklearn.svm import LinearSVC
    >>> from headstart import Transfer
    >>> X = np.array([[-1.0], [-0.5], [0.5], [1.0], [-1.0], [0.5], [1.5], [2.5]])
    >>> y = [0, 0, 1, 1, 0, 0, 1, 1]
    >>> domain = ["source"] * 4 + ["target"] * 4
    >>> fitted = Transfer(AdaptiveSVM(C=10.0), LinearSVC()).fit(X, y, domain=domain)
    >>> fitted.predict([[0.6], [1.6]])
    array([0, 1])
    """

    family: ClassVar[Family] = Family.MODELS
    needs: ClassVar[Needs] = Needs(
        target_labels=True, source_rows=False, learner="any", tasks=("classification",), prepared_on="source"
    )

    def __init__(
        self,
        C: float = 1.0,
        kernel: str = "linear",
        gamma: float | None = None,
        fit_intercept: bool = True,
        tol: float = 1e-9,
        max_iter: int = 100,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter

    def refuses(self, learner: Any) -> str | None:
        """Say why a learner's decision values can't be corrected; None when they can."""
        if is_classifier(learner) and hasattr(learner, "decision_function"):
            return None
        return (
            f"corrects decision values, and {type(learner).__name__} gives none; take a support vector machine or "
            "logistic regression"
        )

    def learn_source(self, source: Domain, learner: Any) -> SourceScores:
        """Step 1: fit the learner on the labelled source rows, for more than two classes each against the others."""
        self._check()
        lack = self.refuses(learner)
        if lack:
            raise NeedsError(f"AdaptiveSVM {lack}")
        labelled = counted(source, "AdaptiveSVM")
        classes = labelled.classes
        if len(classes) < 2:
            raise NeedsError(
                f"AdaptiveSVM: all labelled rows of {source.name} are of class {classes[0]!s}; there is no source "
                "classifier to correct"
            )
        aims = classes[1:] if len(classes) == 2 else classes
        models = [
            fit_learner(learner, labelled.X, (labelled.labels == aim).astype(int), labelled.weight) for aim in aims
        ]
        return SourceScores(models, classes)

    def extract(self, learned: SourceScores, source: Domain) -> Knowledge:
        """Step 2: the fitted classifiers are the knowledge."""
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=False,
            parts={f"model-{i}": model for i, model in enumerate(learned.models)},
            facts={"rows": source.n_labelled, "classes": learned.classes.tolist()},
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> SourceScores:
        """Step 3: the classifiers arrive unchanged."""
        models = [knowledge.parts[f"model-{i}"] for i in range(len(knowledge.parts))]
        return SourceScores(models, np.array(knowledge.facts["classes"]))

    def learn_target(self, carried: SourceScores, target: Domain, learner: Any) -> AdaptedClassifier:
        """Step 4: learn the correction on the labelled target rows."""
        self._check()
        labelled = counted(target, "AdaptiveSVM")
        classes = np.union1d(carried.classes, labelled.classes)
        X = labelled.X.astype(np.float64)
        f_s = carried.scores(labelled.X, classes)
        aims = classes[1:] if f_s.shape[1] == 1 else classes
        Y = np.where(labelled.labels[:, None] == aims[None, :], 1.0, -1.0)
        upper = self.C * (np.ones(len(labelled)) if labelled.weight is None else labelled.weight)
        F = self._factor(X)
        A, gaps = np.empty_like(Y), np.empty(Y.shape[1])
        for m in range(Y.shape[1]):
            alpha, gaps[m] = solve_box_qp(
                Y[:, m, None] * F, 1.0 - Y[:, m] * f_s[:, m], upper, tol=self.tol, max_iter=self.max_iter
            )
            A[:, m] = alpha * Y[:, m]
        self.gap_ = float(gaps.max(initial=0.0))
        if self.gap_ > LARGEST_GAP:
            warnings.warn(
                f"AdaptiveSVM: relative duality gap {self.gap_:.1e} after {self.max_iter} steps; scale the columns, or "
                "raise max_iter",
                ConvergenceWarning,
                stacklevel=2,
            )
        b = A.sum(axis=0) if self.fit_intercept else np.zeros(A.shape[1])
        correction: LinearCorrection | KernelCorrection
        if self.kernel == "rbf":
            correction = KernelCorrection(X, A, b, self.gamma_)
        else:
            correction = LinearCorrection(np.asarray((X.T @ A).T), b)
        return AdaptedClassifier(classes, carried, correction)

    def _factor(self, X: Any) -> np.ndarray:
        """Return F of shape (n, r) with FF' the matrix of inner products of labelled target rows."""
        n, d = X.shape
        if self.kernel == "rbf":
            self.gamma_ = median_gamma(X, X[:0]) if self.gamma is None else float(self.gamma)
            K = rbf(X, X, self.gamma_)
        elif isinstance(X, np.ndarray) and d < n:
            return np.column_stack([X, np.ones(n)]) if self.fit_intercept else X
        else:
            K = X @ X.T
            K = K if isinstance(K, np.ndarray) else K.toarray()
        return root_of(K + 1.0 if self.fit_intercept else K)

    def _check(self) -> None:
        if self.kernel not in ("linear", "rbf"):
            raise InputError(f"AdaptiveSVM: kernel must be 'linear' or 'rbf', not {self.kernel!r}")
        if not 0 < self.C < np.inf:
            raise InputError(f"AdaptiveSVM: C must be above zero and finite, not {self.C}")
        if self.gamma is not None and not 0 < self.gamma < np.inf:
            raise InputError(f"AdaptiveSVM: gamma must be above zero and finite, not {self.gamma}")


def solve_box_qp(
    G: np.ndarray, p: np.ndarray, upper: np.ndarray, *, tol: float = 1e-9, max_iter: int = 100
) -> tuple[np.ndarray, float]:
    r"""Maximise p'a - ||G'a||^2 / 2 over 0 <= a <= upper.

    A primal-dual interior-point method with Mehrotra's predictor and corrector (SIAM Journal on Optimization 1992), in
    the shares t = a / upper. Newton's equations are solved for the change of G'a, which has as many entries as G has
    columns, and stay well conditioned as shares reach their bounds (Ferris & Munson: Interior-Point Methods for Massive
    Support Vector Machines. SIAM Journal on Optimization 2002). Steps end when the gap to the dual,
    ||G'a||^2 / 2 + sum upper (p - G G'a)_+, is below tol times its size.

    Parameters
    ----------
    G : array of shape (n, r)
    p, upper : arrays of shape (n,)

    Returns
    -------
    a : array of shape (n,)
    gap : float
        Relative duality gap of a.

    Examples
    --------
    >>> a, gap = solve_box_qp(np.eye(3), np.array([-1.0, 0.5, 9.0]), np.ones(3))
    >>> a.round(6) + 0.0, gap < 1e-9
    (array([0. , 0.5, 1. ]), True)
    """
    scale = float(np.abs(upper * p).max(initial=0.0))
    if scale == 0:
        return np.zeros(len(p)), 0.0
    p = upper * p / scale
    G = upper[:, None] * G / np.sqrt(scale)
    t = np.full(len(p), 0.5)
    rest, size = 1.0 - t, max(1.0, float(np.abs(p - G @ (G.T @ t)).max()))
    low, high = np.full(len(p), size), np.full(len(p), size)
    best, best_gap = t, np.inf
    for _ in range(max_iter):
        w = G.T @ t
        slope = p - G @ w
        dual = 0.5 * w @ w + np.maximum(slope, 0.0).sum()
        gap = float((dual - (p @ t - 0.5 * w @ w)) / dual) if dual > 0 else 0.0
        if gap < best_gap:
            best, best_gap = t, gap
        if gap <= tol:
            break
        newton = _Newton(G, slope + low - high, t, rest, low, high)
        dt, dl, dh = newton.direction(-t * low, -rest * high)
        length = min(_longest(t, dt), _longest(rest, -dt)), min(_longest(low, dl), _longest(high, dh))
        ahead = (t + length[0] * dt) @ (low + length[1] * dl) + (rest - length[0] * dt) @ (high + length[1] * dh)
        now = t @ low + rest @ high
        aim = now / (2 * len(t)) * (ahead / now) ** 3
        dt, dl, dh = newton.direction(aim - t * low - dt * dl, aim - rest * high + dt * dh)
        # One length for all: with two the quadratic term would keep the residual from falling.
        step = 0.995 * min(_longest(t, dt), _longest(rest, -dt), _longest(low, dl), _longest(high, dh))
        t, rest = t + step * dt, rest - step * dt
        low, high = low + step * dl, high + step * dh
    return np.clip(upper * best, 0.0, upper), best_gap


class _Newton:
    """Newton's equations (D + GG') dt = r at one point, as the least squares min ||D^-1/2 (r - G dw)||^2 + ||dw||^2.

    They are solved by an orthogonal factor: D's entries range from nothing to the infinite, and products would lose
    the small ones.
    """

    def __init__(
        self, G: np.ndarray, residual: np.ndarray, t: np.ndarray, rest: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> None:
        self.G, self.residual, self.at = G, residual, (t, rest, low, high)
        self.D = low / t + high / rest
        self.Q, self.R = np.linalg.qr(np.vstack([G / np.sqrt(self.D)[:, None], np.eye(G.shape[1])]))

    def direction(self, to_low: np.ndarray, to_high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the changes of t and of the bounds' multipliers, whose products with t and 1 - t are to change so."""
        t, rest, low, high = self.at
        r = self.residual + to_low / t - to_high / rest
        dt = self._solved(r)
        # Where D is small, r - G dw cancels; what is left over is solved for once more (iterative refinement).
        dt = dt + self._solved(r - self.D * dt - self.G @ (self.G.T @ dt))
        return dt, (to_low - low * dt) / t, (to_high + high * dt) / rest

    def _solved(self, r: np.ndarray) -> np.ndarray:
        dw = solve_triangular(self.R, self.Q[: len(r)].T @ (r / np.sqrt(self.D)))
        return np.asarray((r - self.G @ dw) / self.D)


def root_of(K: np.ndarray) -> np.ndarray:
    """Return F of shape (n, rank) with FF' = K, for K positive semi-definite.

    >>> root_of(np.array([[4.0, 2.0], [2.0, 1.0]])).shape
    (2, 1)
    """
    values, vectors = np.linalg.eigh(K)
    kept = values > values[-1] * len(K) * np.finfo(float).eps
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def _longest(x: np.ndarray, dx: np.ndarray) -> float:
    """Return the longest step, 1 at most, that leaves x + step dx at zero or more."""
    falling = dx < 0
    return float(min(1.0, (-x[falling] / dx[falling]).min(initial=1.0)))
