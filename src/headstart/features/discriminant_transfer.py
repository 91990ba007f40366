"""DiscriminantTransfer: one Gaussian a class, learned from both domains, and from target rows without labels too."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax

from headstart.errors import InputError
from headstart.features.class_scores import FeatureClassifier
from headstart.features.coral import alignment_of
from headstart.features.easytl import AlignedScores, mean_lead
from headstart.inputs import Coded
from headstart.mapping import AffineMap, IdentityMap, Map
from headstart.method import Needs

#: The steps end when no probability moves by more.
MOVED = 1e-3
#: Added to the diagonal of the covariance at least, relative to a column's mean square: so that it can be inverted.
LEAST = 1e-9


class DiscriminantTransfer(FeatureClassifier):
    r"""Discriminant transfer: a Gaussian a class, with one covariance, learned from all rows of both domains.

    A row belongs to the class of the largest

    .. math:: g_c(x) = m_c^\top S^{-1} x - \tfrac12\, m_c^\top S^{-1} m_c,\qquad
              S = (1 - s)\,\hat S + s\,\frac{\operatorname{tr} \hat S}{d}\,I

    with the weighted centres :math:`m_c` and the covariance :math:`\hat S` around them (linear discriminant analysis
    with classes that are equally likely, Friedman's shrinkage). They are learned from source rows, labelled target
    rows, and target rows without labels, each of which counts for every class as much as that is likely,
    :math:`\operatorname{softmax}_c\, g_c(x)`, by the centres and covariance before: a few steps of expectation
    maximisation, as Nigam and others classify texts. All of them together count a given share.

    Without target labels the source's covariance is aligned with the target's first (`CORAL`); Sun and Saenko do so
    before a discriminant too. With some, the rows are taken as they are: what aligns the domains blindly then costs
    more than it gains. The method is a classifier: the learner of `Transfer` is not used. As a transformer it gives the
    scores :math:`g_c(x) / h`, one a class, with h twice the mean lead of the best class over the second among target
    rows. Probabilities are those nearest to the scores: a row with twice the mean lead, or more, is certain.

    Parameters
    ----------
    shrinkage : float, default 0.5
        s, from 0 (the covariance as it is) to 1 (the nearest centre decides); a little, where rows are no more than
        columns.
    unlabelled : float, default 0.3
        The share, below 1, that target rows without labels count together; with 0 they are not looked at.
    alignment : {"auto", "coral", None}, default "auto"
        What is done about the domains' covariances beforehand; "auto" is "coral" where no target label is known.
    reg : float, default 1.0
        Added to the diagonal of both covariances before they are aligned.
    max_iter : int, default 10
        Steps at most; it ends before when no probability moves by more than 0.001.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row; "balanced" lets them together count as much as all source
        rows, and each at least 1.

    Attributes
    ----------
    classes_, centers_, n_iter_
        Classes in the order of the scores, the classes' centres of shape (k, d), and the steps that were done.

    References
    ----------
    Friedman: Regularized Discriminant Analysis. Journal of the American Statistical Association 84, 1989.
    Nigam, McCallum, Thrun, Mitchell: Text Classification from Labeled and Unlabeled Documents using EM. Machine
    Learning 39, 2000.
    Sun, Saenko: From Virtual to Reality: Fast Adaptation of Virtual Object Detectors to Real Domains. BMVC 2014.

    Examples
    --------
    The target is turned and moved; its rows without labels say where the classes are.

    >>> rng = np.random.default_rng(0)
    >>> ys, yt = np.repeat([0, 1], 100), np.repeat([0, 1], 100)
    >>> Xs = rng.normal(size=(200, 2)) + 3 * ys[:, None] * [1.0, 0.0]
    >>> Xt = rng.normal(size=(200, 2)) + 4 * yt[:, None] * [0.8, 0.6] + [1.0, -1.0]
    >>> for unlabelled in (0.0, 0.6):
    ...     method = DiscriminantTransfer(unlabelled=unlabelled, alignment=None).fit(Xs, Xt, ys)
    ...     print(f"{(method.transform(Xt).argmax(axis=1) == yt).mean():.2f}")
    0.81
    0.94
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, dense=True, learner="any", tasks=("classification",))

    def __init__(
        self,
        shrinkage: float = 0.5,
        unlabelled: float = 0.3,
        alignment: str | None = "auto",
        reg: float = 1.0,
        max_iter: int = 10,
        target_weight: float | str = "balanced",
    ) -> None:
        self.shrinkage = shrinkage
        self.unlabelled = unlabelled
        self.alignment = alignment
        self.reg = reg
        self.max_iter = max_iter
        self.target_weight = target_weight

    def learn(self, Xs: Any, Xt: Any, labels: Coded, weight: np.ndarray) -> tuple[Map, Map]:
        """Return the maps of source and of target rows to class scores."""
        self._check()
        by = self._alignment(Xs, Xt, labels)
        rows = np.concatenate([by.transform(Xs), Xt[labels.known], Xt[~labels.known]]).astype(np.float64)
        codes = np.concatenate([labels.source, labels.target[labels.known]])
        counted = np.concatenate([weight[: len(Xs)], weight[len(Xs) :][labels.known]])
        k, (n, d) = len(labels.classes), (len(codes), rows.shape[1])
        middle = np.average(rows[:n], axis=0, weights=counted)
        rows -= middle
        # With more columns than rows, all that is learned lies in the space of the rows.
        basis = np.linalg.qr(rows.T)[0] if d > len(rows) else None
        rows = rows if basis is None else rows @ basis
        told = np.zeros((len(rows), k))
        told[np.arange(n), codes] = counted
        if not told.any(axis=0).all():
            raise InputError(f"{type(self).__name__}: the rows of a class all weigh zero; leave them out")
        centers, A, shift = gaussians(rows[:n], told[:n], self.shrinkage, d)
        self.n_iter_ = 0
        if len(rows) > n and self.unlabelled:
            each = self.unlabelled / (1 - self.unlabelled) * counted.sum() / (len(rows) - n)
            for _ in range(self.max_iter):
                likely = each * softmax(rows[n:] @ A + shift, axis=1)
                moved = np.abs(likely - told[n:]).max() / each
                if moved <= MOVED:
                    break
                told[n:] = likely
                centers, A, shift = gaussians(rows, told, self.shrinkage, d)
                self.n_iter_ += 1
        if basis is not None:
            centers, A = centers @ basis.T, basis @ A
        self.centers_ = centers + middle
        scale = 2 * mean_lead((Xt - middle) @ A + shift)
        target_map = AffineMap(middle.astype(Xt.dtype), (A / scale).astype(Xt.dtype), (shift / scale).astype(Xt.dtype))
        return AlignedScores(by, target_map), target_map

    def _alignment(self, Xs: np.ndarray, Xt: np.ndarray, labels: Coded) -> Map:
        if self.alignment is None or (self.alignment == "auto" and labels.known.any()):
            return IdentityMap()
        return alignment_of(Xs, Xt, self.reg)

    def _check(self) -> None:
        name = type(self).__name__
        if self.alignment not in ("auto", "coral", None):
            raise InputError(f"{name}: alignment must be 'auto', 'coral' or None, not {self.alignment!r}")
        if not 0 <= self.shrinkage <= 1:
            raise InputError(f"{name}: shrinkage must be from 0 to 1, not {self.shrinkage}")
        if not 0 <= self.unlabelled < 1:
            raise InputError(f"{name}: unlabelled must be from 0 to below 1, not {self.unlabelled}")
        if self.max_iter < 0:
            raise InputError(f"{name}: max_iter must be 0 or more, not {self.max_iter}")


def gaussians(X: np.ndarray, told: np.ndarray, shrinkage: float, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the classes' centres m, shape (k, r), and what scores rows, g(x) = x A + shift, of (r, k) and (k,).

    Parameters
    ----------
    X : array of shape (n, r)
    told : array of shape (n, k)
        What each row counts for each class.
    shrinkage : float
    d : int
        Columns over which the mean variance is taken: those of the rows before they were brought to r.

    Examples
    --------
    >>> X, told = np.array([[0.0], [2.0], [4.0], [6.0]]), np.repeat(np.eye(2), 2, axis=0)
    >>> m, A, shift = gaussians(X, told, 0.0, 1)
    >>> m.ravel(), (X @ A + shift).round(2)[:2]
    (array([1., 5.]), array([[ -0.5, -12.5],
           [  1.5,  -2.5]]))
    """
    of_class, of_row = told.sum(axis=0), told.sum(axis=1)
    centers = told.T @ X / of_class[:, None]
    # Around the centres: sum_ic t_ic (x_i - m_c) (x_i - m_c)' = sum_i t_i x_i x_i' - sum_c t_c m_c m_c'.
    around_zero = (X * of_row[:, None]).T @ X / of_class.sum()
    S = around_zero - (centers * of_class[:, None]).T @ centers / of_class.sum()
    ridge = max(shrinkage * np.trace(S), LEAST * np.trace(around_zero)) / d
    S *= 1 - shrinkage
    S[np.diag_indices_from(S)] += ridge or 1.0
    A = cho_solve(cho_factor(S, lower=True), centers.T)
    return centers, A, -0.5 * (centers.T * A).sum(axis=0)
