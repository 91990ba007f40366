"""Black box shift estimation."""

import warnings
from typing import Any

import numpy as np
from scipy.linalg import helmert

from headstart.instances.label_shift import LabelShiftMethod, Predictions


class BBSE(LabelShiftMethod):
    r"""Black box shift estimation: the class shares that explain what a source classifier predicts in the target.

    Under label shift a classifier errs in the target as it does in the source, class by class. With the confusion
    matrix :math:`C_{ij} = p_s(f(x) = i, y = j)` and the target's predicted shares :math:`\mu_i = p_t(f(x) = i)`,

    .. math:: C w = \mu, \qquad w_j = q(y = j) / p(y = j) .

    The target's class shares are q_j = w_j p_j; negative ones are set to zero and the others scaled to a sum of 1.

    Parameters
    ----------
    classifier : scikit-learn classifier, optional
        Any; by default a logistic regression on standardised columns.
    folds : int, default 5
        Source rows are predicted by a classifier fitted without their fold, target rows by all of these.
    soft : bool, default True
        Use predicted probabilities instead of predicted classes, which wastes less of what the classifier knows.
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
        Classes, their shares in both domains, and w; shape (k,) each.
    identified_ : bool
        Whether the classifier tells all classes apart. Where it does not, the shares stay as in the source: a
        difference between classes that moves its predictions by less than their sampling error says nothing.
    assumption_ : AssumptionTest or None
    effective_size_ : float

    References
    ----------
    Lipton, Wang, Smola: Detecting and Correcting for Label Shift with Black Box Predictors. ICML 2018.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys, yt = rng.random(1000) < 0.5, rng.random(1000) < 0.8
    >>> Xs, Xt = rng.normal(size=(1000, 2)) + 2 * ys[:, None], rng.normal(size=(1000, 2)) + 2 * yt[:, None]
    >>> method = BBSE()
    >>> w = method.weigh(Xs, Xt, ys)
    >>> method.target_priors_.round(1)
    array([0.2, 0.8])
    """

    def __init__(
        self,
        classifier: Any = None,
        folds: int = 5,
        soft: bool = True,
        check: bool = True,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.classifier = classifier
        self.folds = folds
        self.soft = soft
        self.check = check
        self.target_weight = target_weight
        self.random_state = random_state

    @property
    def predicts_classes(self) -> bool:
        """Whether the classifier's classes are used instead of its probabilities."""
        return not self.soft

    def learn_priors(self, predictions: Predictions) -> np.ndarray:
        """Solve C w = mu for the target's class shares."""
        q, self.identified_ = explained_shares(predictions)
        if not self.identified_:
            warnings.warn(
                "BBSE: the classifier does not tell all classes apart; where it does not, their shares are kept as in "
                "the source (another classifier, or more source rows, may help)",
                stacklevel=3,
            )
        return q


def explained_shares(predictions: Predictions) -> tuple[np.ndarray, bool]:
    """Return the class shares q (k,) with A q = mu, where A_ij = p_s(f(x) = i | y = j), and whether all are determined.

    Columns of A, and mu, sum to 1, so that q = p + H'z with the k - 1 contrasts H; z solves H A H' z = H (mu - A p) on
    the singular vectors whose singular value exceeds the sampling error of A, and is zero on others.
    """
    p, A = predictions.priors, predictions.confusion / predictions.priors
    H = helmert(len(p))
    U, size, Vt = np.linalg.svd(H @ A @ H.T)
    told = size > _sampling_error(predictions, A)
    right = U.T @ (H @ (predictions.target_shares - A @ p))
    q = np.maximum(p + H.T @ (Vt[told].T @ (right[told] / size[told])), 0.0)
    return q / q.sum(), bool(told.all())


def _sampling_error(predictions: Predictions, A: np.ndarray) -> float:
    """Return the root mean square of the error of A: rows vary around their class's column, n_j of them average.

    What rounding leaves of a matrix without an inverse counts as error too.
    """
    spread = float(((predictions.source - A.T[predictions.code]) ** 2).sum(axis=1).mean())
    return float(np.sqrt(spread * (1.0 / np.bincount(predictions.code)).sum())) + 1e-10
