"""Regularised learning under label shift."""

import warnings
from typing import Any

import numpy as np
from scipy.optimize import nnls

from headstart.errors import InputError
from headstart.instances.label_shift import LabelShiftMethod, Predictions

#: The authors' factor on their bound of the confusion matrix's error, which alone would flatten all weights.
ALPHA, DELTA = 0.01, 0.05


class RLLS(LabelShiftMethod):
    r"""Regularised learning under label shift: class weights that deviate from 1 as far as the data ask for it.

    With the confusion matrix :math:`C_{ij} = p_s(f(x) = i, y = j)`, the target's predicted shares :math:`\mu` and
    :math:`b = \mu - C 1`,

    .. math:: \hat\theta = \arg\min_{\theta \ge -1} \|C \theta - b\|_2 + \Delta \|\theta\|_2,
              \qquad w = 1 + \gamma \hat\theta .

    Class shares are q_j proportional to w_j p_j, and the weights q_j / p_j: w, scaled to a mean of 1 over source rows.

    Parameters
    ----------
    classifier : scikit-learn classifier, optional
        Any; by default a logistic regression on standardised columns.
    folds : int, default 5
        Source rows are predicted by a classifier fitted without their fold, target rows by all of these.
    soft : bool, default True
        Use predicted probabilities instead of predicted classes (the paper's choice).
    reg : float or "auto", default "auto"
        Delta. By default 0.01 times the paper's bound of the error of C, which holds with probability 0.95:
        3 (2 log(2k / 0.05) / (3 n_s) + sqrt(2 log(2k / 0.05) / n_s)); the factor is the authors'.
    gamma : float, default 1.0
        How far to trust the estimate, between 0 (all weights 1) and 1; the paper takes less than 1 when the target has
        few rows.
    check : bool, default True
        Test whether the target looks like the source with other class shares, and warn when it clearly does not.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts when the learner is fitted, where source weights add up to the effective
        size; "balanced" lets them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Folds and the test of the assumption.

    Attributes
    ----------
    classes_, source_priors_, target_priors_, class_weights_
        Classes, their shares in both domains, and the ratio of the shares; shape (k,) each.
    theta_, reg_, objective_, gap_
        The solution, Delta, the objective reached, and its duality gap: no solution is better by more.
    assumption_ : AssumptionTest or None
    effective_size_ : float

    References
    ----------
    Azizzadenesheli, Liu, Yang, Anandkumar: Regularized Learning for Domain Adaptation under Label Shifts. ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys, yt = rng.random(1000) < 0.5, rng.random(1000) < 0.8
    >>> Xs, Xt = rng.normal(size=(1000, 2)) + 2 * ys[:, None], rng.normal(size=(1000, 2)) + 2 * yt[:, None]
    >>> method = RLLS()
    >>> w = method.weigh(Xs, Xt, ys)
    >>> method.target_priors_.round(1)
    array([0.2, 0.8])
    """

    def __init__(
        self,
        classifier: Any = None,
        folds: int = 5,
        soft: bool = True,
        reg: float | str = "auto",
        gamma: float = 1.0,
        check: bool = True,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.classifier = classifier
        self.folds = folds
        self.soft = soft
        self.reg = reg
        self.gamma = gamma
        self.check = check
        self.target_weight = target_weight
        self.random_state = random_state

    @property
    def predicts_classes(self) -> bool:
        """Whether the classifier's classes are used instead of its probabilities."""
        return not self.soft

    def learn_priors(self, predictions: Predictions) -> np.ndarray:
        """Solve the regularised problem and return the target's class shares."""
        if not 0 <= self.gamma <= 1:
            raise InputError(f"RLLS: gamma must be between 0 and 1, not {self.gamma}")
        self.reg_ = self._reg(*predictions.source.shape)
        C = predictions.confusion
        b = predictions.target_shares - C.sum(axis=1)
        self.theta_, self.objective_, self.gap_ = least_norms(C, b, self.reg_)
        q = predictions.priors * (1.0 + self.gamma * self.theta_)
        if q.sum() < 1e-9:
            warnings.warn(
                "RLLS: the classifier predicts classes in the target that it never predicts in the source, so nothing "
                "is known about the class shares; they are kept as in the source",
                stacklevel=3,
            )
            return predictions.priors
        return q / q.sum()

    def _reg(self, n: int, k: int) -> float:
        if isinstance(self.reg, str):
            if self.reg != "auto":
                raise InputError(f"RLLS: reg must be a number or 'auto', not {self.reg!r}")
            log = np.log(2 * k / DELTA)
            return float(ALPHA * 3 * (2 * log / (3 * n) + np.sqrt(2 * log / n)))
        if self.reg < 0:
            raise InputError(f"RLLS: reg must be zero or more, not {self.reg}")
        return float(self.reg)


def least_norms(C: np.ndarray, b: np.ndarray, reg: float, rounds: int = 200) -> tuple[np.ndarray, float, float]:
    """Minimise ||C theta - b|| + reg ||theta|| over theta >= -1, for norms that are not squared.

    The minimiser is also that of the squared problem ||C theta - b||^2 + lam ||theta||^2, a non-negative least squares
    problem, for the right lam: with the residual r(lam) = ||C theta - b|| and the length t(lam) = ||theta||, the one
    with h(lam) = lam t / r = reg. As r is a convex decreasing function of t along all lam, with slope -h, h rises
    with lam, and lam is found by bisection. Without a zero of h - reg, theta is zero or the residual is.

    (u, v) = (C theta - b, lam theta) / r is a point of the dual problem when shrunk by min(1, reg / h), and gives the
    duality gap: (reg - h) t where h <= reg, else r (1 - reg / h).

    Returns
    -------
    theta, objective, gap

    Examples
    --------
    One class: |theta / 2 - 1| + 0.1 |theta| is smallest at theta = 2.

    >>> theta, objective, _ = least_norms(np.array([[0.5]]), np.array([1.0]), 0.1)
    >>> theta.round(6), round(objective, 6)
    (array([2.]), 0.2)
    """
    size = float(np.linalg.norm(b))
    if size == 0 or np.linalg.norm(C.T @ b) <= reg * size:
        return np.zeros(len(b)), size, 0.0
    low, high = -30.0, 5.0  # log10 of lam; C has entries below 1
    best = (np.zeros(len(b)), size, np.inf)
    for _ in range(rounds):
        middle = 0.5 * (low + high)
        theta, r, t = _ridge(C, b, 10.0**middle)
        h = 10.0**middle * t / r if r > 0 else np.inf
        gap = (reg - h) * t if h <= reg else r * (1 - reg / h)
        objective = r + reg * t
        if gap < best[2]:
            best = (theta, objective, float(gap))
        if gap <= 1e-10 * objective or high - low < 1e-12:
            break
        low, high = (middle, high) if h < reg else (low, middle)
    return best


def _ridge(C: np.ndarray, b: np.ndarray, lam: float) -> tuple[np.ndarray, float, float]:
    """Minimise ||C theta - b||^2 + lam ||theta||^2 over theta >= -1; return theta, ||C theta - b|| and ||theta||."""
    k = len(b)
    A = np.vstack([C, np.sqrt(lam) * np.eye(k)])
    theta = nnls(A, np.append(b + C.sum(axis=1), np.full(k, np.sqrt(lam))))[0] - 1.0
    return theta, float(np.linalg.norm(C @ theta - b)), float(np.linalg.norm(theta))
