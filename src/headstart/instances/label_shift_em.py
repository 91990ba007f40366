"""Maximum likelihood under label shift: calibrated probabilities and EM."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls
from scipy.special import log_softmax, softmax

from headstart.errors import InputError, NeedsError, unknown_name
from headstart.instances.label_shift import LabelShiftMethod, Predictions

CALIBRATIONS = ("bcts", "temperature")
#: A probability of zero counts as this one.
LEAST_PROBABILITY = 1e-12
#: Rows that the guess 1/T = 1 counts for, so that classes without an error have a finite 1/T.
GUESS = 0.01
#: Steps of EM before Newton's take over.
EM_STEPS = 5
#: A Newton step that only gains when it is shorter than this is replaced by one of EM's.
SHORTEST_STEP = 1e-6
#: Near the maximum L is flat, and rounding hides what a step gains.
ROUNDING = 1e-14


class LabelShiftEM(LabelShiftMethod):
    r"""Label shift by maximum likelihood: the class shares under which the target's rows are most probable.

    A classifier's probabilities p(y | x) in the source become :math:`p(j | x) q_j / p_j`, up to a factor, under class
    shares q, so that the log-likelihood of the target rows is, up to a constant,

    .. math:: L(q) = \frac{1}{n_t} \sum_i \log \sum_j \frac{q_j}{p_j}\, p(j | x_i) ,

    a concave function, which EM maximises (Saerens et al.). EM's last mile is slow, so after a few of its steps
    Newton steps on the same function take over, until the duality gap is below `tol`.

    Probabilities must be calibrated. They are mapped to softmax(log p / T + b) with T and b that minimise the log loss
    on the source rows, as the classifiers predict them that have not seen them (Alexandari et al.).

    Parameters
    ----------
    classifier : scikit-learn classifier with predict_proba, optional
        By default a logistic regression on standardised columns.
    folds : int, default 5
        Source rows are predicted by a classifier fitted without their fold, target rows by all of these; L is the
        mean over these classifiers.
    calibration : {"bcts", "temperature", None}, default "bcts"
        Learn T and b (bias-corrected temperature scaling), T alone, or nothing.
    tol : float, default 1e-8
        Stop when no shares can be better by more than this in L.
    max_iter : int, default 200
        Stop after so many steps in any case, with a warning.
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
    calibration_ : Calibration
        The map of probabilities that was learned on the source.
    log_likelihood_ : array
        L at the source's shares and after each step; never falls.
    gap_ : float
        No shares are better than those found by more than this in L.
    assumption_ : AssumptionTest or None
    effective_size_ : float

    References
    ----------
    Saerens, Latinne, Decaestecker: Adjusting the Outputs of a Classifier to New a Priori Probabilities: A Simple
    Procedure. Neural Computation 2002. Alexandari, Kundaje, Shrikumar: Maximum Likelihood with Bias-Corrected
    Calibration is Hard-To-Beat at Label Shift Adaptation. ICML 2020. Newton steps for mixture proportions: Kim,
    Carbonetto, Stephens, Anitescu: A Fast Algorithm for Maximum Likelihood Estimation of Mixture Proportions Using
    Sequential Quadratic Programming. JCGS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys, yt = rng.random(1000) < 0.5, rng.random(1000) < 0.8
    >>> Xs, Xt = rng.normal(size=(1000, 2)) + 2 * ys[:, None], rng.normal(size=(1000, 2)) + 2 * yt[:, None]
    >>> method = LabelShiftEM()
    >>> w = method.weigh(Xs, Xt, ys)
    >>> method.target_priors_.round(1)
    array([0.2, 0.8])
    >>> method.correct([[0.5, 0.5]]).round(1)
    array([[0.2, 0.8]])
    """

    def __init__(
        self,
        classifier: Any = None,
        folds: int = 5,
        calibration: str | None = "bcts",
        tol: float = 1e-8,
        max_iter: int = 200,
        check: bool = True,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.classifier = classifier
        self.folds = folds
        self.calibration = calibration
        self.tol = tol
        self.max_iter = max_iter
        self.check = check
        self.target_weight = target_weight
        self.random_state = random_state

    def learn_priors(self, predictions: Predictions) -> np.ndarray:
        """Calibrate the probabilities and maximise the likelihood of the target rows."""
        if self.calibration is not None and self.calibration not in CALIBRATIONS:
            raise InputError(unknown_name("calibration", self.calibration, CALIBRATIONS, where="LabelShiftEM"))
        k = predictions.source.shape[1]
        self.calibration_ = (
            Calibration(1.0, np.zeros(k))
            if self.calibration is None
            else calibrate(predictions.source, predictions.code, bias=self.calibration == "bcts")
        )
        calibrated = self.calibration_(predictions.target.reshape(-1, k))
        q, self.log_likelihood_, self.gap_ = most_likely_shares(
            calibrated / predictions.priors, predictions.priors, self.tol, self.max_iter
        )
        if self.gap_ > self.tol:
            warnings.warn(
                "LabelShiftEM stopped before the likelihood was at its maximum; raise max_iter or tol", stacklevel=3
            )
        return q

    def correct(self, probabilities: Any) -> np.ndarray:
        """Return the probabilities under the target's class shares, after `weigh`.

        Parameters
        ----------
        probabilities : array of shape (n, k)
            Probabilities of `classes_`, in that order, by any classifier that was fitted on the source and is
            calibrated there. Where it is `classifier`, `calibration_` maps its probabilities to calibrated ones.

        Returns
        -------
        array of shape (n, k), rows sum to 1.
        """
        if not hasattr(self, "class_weights_"):
            raise NeedsError("LabelShiftEM: no class shares are known yet; call weigh(Xs, Xt, ys) first")
        given = np.asarray(probabilities, dtype=float)
        k = len(self.classes_)
        if given.ndim != 2 or given.shape[1] != k or not (given >= 0).all():
            raise InputError(f"LabelShiftEM: give probabilities of the {k} classes, shape (n, {k}), zero or more")
        joint = np.maximum(given, LEAST_PROBABILITY) * self.class_weights_
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Calibration:
    """The map of probabilities p -> softmax(slope log p + bias); the slope is 1 / T."""

    slope: float
    bias: np.ndarray

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, shape (n, k)."""
        logs = np.log(np.maximum(probabilities, LEAST_PROBABILITY))
        return np.asarray(softmax(self.slope * logs + self.bias, axis=1))


def calibrate(probabilities: np.ndarray, code: np.ndarray, *, bias: bool, rounds: int = 100) -> Calibration:
    """Learn slope = 1/T >= 0 and bias that minimise the log loss, a convex problem, by Newton's method.

    Parameters
    ----------
    probabilities : array of shape (n, k)
    code : array of shape (n,)
        Numbers of the true classes; each occurs.
    bias : bool
        Learn a bias as well. Then mean calibrated probabilities equal the class shares.
    """
    logs = np.log(np.maximum(probabilities, LEAST_PROBABILITY))
    n, k = logs.shape
    truth = np.eye(k)[code]

    def loss(at: np.ndarray) -> float:
        log_p = log_softmax(at[0] * logs + at[1:], axis=1)
        return float(-log_p[np.arange(n), code].mean()) + 0.5 * GUESS / n * (at[0] - 1.0) ** 2

    at = np.append(1.0, np.zeros(k))
    value = loss(at)
    for _ in range(rounds):
        P = softmax(at[0] * logs + at[1:], axis=1)
        mean = (P * logs).sum(axis=1, keepdims=True)
        PL = P * (logs - mean)
        gradient = np.append(((P - truth) * logs).sum() / n + GUESS / n * (at[0] - 1.0), (P - truth).mean(axis=0))
        H = np.empty((k + 1, k + 1))
        H[0, 0] = (PL * logs).sum() / n + GUESS / n
        H[0, 1:] = H[1:, 0] = PL.mean(axis=0)
        H[1:, 1:] = np.diag(P.mean(axis=0)) - P.T @ P / n
        free = slice(0, k + 1) if bias else slice(0, 1)
        step = np.zeros(k + 1)
        step[free] = -np.linalg.lstsq(H[free, free], gradient[free], rcond=1e-13)[0]
        slope = float(gradient @ step)
        if -slope <= 1e-13 * max(1.0, abs(value)):
            break
        length = 1.0
        while length > 1e-10 and not loss(at + length * step) <= value + 1e-4 * length * slope:
            length *= 0.5
        at = at + length * step
        value = loss(at)
    if at[0] < 0:
        # Probabilities that point the wrong way are worth nothing: the best map with 1/T >= 0 forgets them.
        return Calibration(0.0, np.log(np.bincount(code) / n) if bias else np.zeros(k))
    return Calibration(float(at[0]), at[1:] - at[1:].mean())


def most_likely_shares(
    ratios: np.ndarray, start: np.ndarray, tol: float, max_iter: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Maximise L(q) = mean_i log sum_j q_j R_ij over shares q >= 0 with a sum of 1.

    With the gradient g, g'q = 1, and L(q*) - L(q) <= max_j g_j - 1, the duality gap. EM sets q_j to q_j g_j. Newton
    steps are taken on -L(q) + sum q over q >= 0, whose minimiser sums to 1; a step that would lower L is halved.

    Parameters
    ----------
    ratios : array of shape (n, k)
        R_ij, zero or more, not all zero in any row.
    start : array of shape (k,)

    Returns
    -------
    q, the values of L at the start and after each step, and the duality gap
    """
    # The largest ratio of each row becomes 1: this changes L by a constant, and nothing overflows.
    top = ratios.max(axis=1)
    R = np.maximum(ratios / top[:, None], 1e-100)
    constant = float(np.log(top).mean())
    q, mixed = start, R @ start
    trace = [float(np.log(mixed).mean())]
    for iteration in range(max_iter + 1):
        scaled = R / mixed[:, None]
        g = scaled.mean(axis=0)
        gap = float(g.max() - 1.0)
        if gap <= tol or iteration == max_iter:
            break
        by_em = q * g / (q @ g)
        ahead = by_em if iteration < EM_STEPS else _newton_step(scaled, g, by_em)
        length, value = 1.0, float(np.log(R @ ahead).mean())
        while value < trace[-1] - ROUNDING and length > SHORTEST_STEP:
            length *= 0.5
            ahead = 0.5 * (q + ahead)
            value = float(np.log(R @ ahead).mean())
        q = ahead if length > SHORTEST_STEP else by_em
        mixed = R @ q
        trace.append(float(np.log(mixed).mean()))
    return q, np.array(trace) + constant, gap


def _newton_step(scaled: np.ndarray, g: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Minimise the quadratic model of -L(q) + sum q over q >= 0, scaled to a sum of 1.

    With the rows R_i / (R q)_i in `scaled`, the Hessian is H = scaled' scaled / n, and H q = g, so that the model at q'
    is q' H q' / 2 - (2 g - 1)'q'.
    """
    H = scaled.T @ scaled / len(scaled)
    root = np.linalg.cholesky(H + 1e-12 * np.trace(H) * np.eye(len(H)))
    q = nnls(root.T, np.linalg.solve(root, 2.0 * g - 1.0))[0]
    return np.asarray(q / q.sum()) if q.any() else otherwise
