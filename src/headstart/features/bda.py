"""Balanced distribution adaptation."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.errors import InputError
from headstart.features.balance import a_distance, balance_of, class_distance
from headstart.features.discrepancy import conditional, joint_differences, marginal
from headstart.features.jda import JDA, Differences


class BDA(JDA):
    r"""Balanced distribution adaptation: JDA with a balance between the means of all rows and those of classes.

    .. math:: \min_A\; \operatorname{tr}(A^\top K M K A) + \lambda \|A\|^2
              \quad\text{s.t.}\quad A^\top K H K A = I,
              \qquad M \propto (1 - \mu)\,k\,M_0 + \mu \sum_{c=1}^{k} M_c

    with K, H, :math:`M_0` and :math:`M_c` as in :class:`JDA`, which is :math:`\mu = 1/2`; with :math:`\mu = 0` it is
    TCA with M of Frobenius norm 1. Target classes are known or guessed as there. While none is, and where no class is
    in both domains, :math:`\mu` has no say and M is :math:`M_0`.

    Parameters
    ----------
    n_components : int, default 20
        Columns of the representation; fewer where the rows vary in fewer directions.
    kernel : {"linear", "primal", "rbf"}, default "primal"
        The inner product, where the weights of the linear map are penalised, as in the paper; the inner product, and
        the penalty on the dual coefficients A ("linear"); or exp(-gamma ||x - x'||^2).
    gamma : float, optional
        Width of the rbf kernel; by default 1 / median squared distance between the rows of both domains.
    reg : float, optional
        :math:`\lambda`, more than zero; larger means less adaptation. 0.1 in the authors' programs, where rows have
        length one; by default as in :class:`JDA`, a thousandth of the total spread.
    balance : float or "estimated", default "estimated"
        :math:`\mu`, from 0, where the means of all rows count, to 1, where those of classes do. "estimated": the share
        of the classes in what tells the domains apart, by A-distances of linear classifiers, each time that classes
        were guessed.
    weighted : bool, default False
        W-BDA: multiply the mean of a class by the root of the class's share of its domain, so that a class that
        is rarer in one domain counts less there.
    max_iter : int, default 10
        Times that the components are found, at most; 10 in the authors' programs.
    labeler : classifier, optional
        Guesses target classes; by default the nearest neighbour, as in the paper.
    whiten : bool, default False
        Give every component variance 1, as the constraint has it. Otherwise its variance is proportional to what it
        achieves, spread over penalty, with a mean of 1 over the components.
    rank : int, None or "auto", default "auto"
        Landmark rows of a Nystroem approximation of the rbf kernel. None: exact; "auto": exact up to 10,000 rows of
        both domains together, 300 landmarks beyond.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the landmark rows, and of rows and folds for the estimate of the balance.

    Attributes
    ----------
    balance_, values_, residual_, reg_, gamma_, rank_, n_iter_, pseudo_labels_
        The balance used last; the others as in :class:`JDA`.

    References
    ----------
    Wang, Chen, Hao, Feng, Shen: Balanced Distribution Adaptation for Transfer Learning. ICDM 2017.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys = np.repeat([0, 1], 100)
    >>> Xs = rng.normal(size=(200, 2)) + np.outer(ys, [4.0, 0.0])
    >>> Xt = rng.normal(size=(200, 2)) + np.outer(ys, [4.0, 3.0])
    >>> method = BDA(n_components=1).fit(Xs, Xt, ys)
    >>> bool(method.balance_ > 0.5)
    True
    """

    def __init__(
        self,
        n_components: int = 20,
        kernel: str = "primal",
        gamma: float | None = None,
        reg: float | None = None,
        balance: float | str = "estimated",
        weighted: bool = False,
        max_iter: int = 10,
        labeler: Any = None,
        whiten: bool = False,
        rank: int | str | None = "auto",
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        super().__init__(n_components, kernel, gamma, reg, max_iter, labeler, whiten, rank, target_weight, random_state)
        self.balance = balance
        self.weighted = weighted

    def differences(self, Xs: Any, Xt: Any, source: np.ndarray, k: int) -> Differences:
        """Return the function from target classes to the differences of means that are to vanish, balanced."""
        estimated = self.balance == "estimated"
        if not estimated and (isinstance(self.balance, str) or not 0 <= self.balance <= 1):
            raise InputError(f"BDA: balance must be between 0 and 1, or 'estimated', not {self.balance!r}")
        of_all = marginal(len(source), Xt.shape[0])
        apart = a_distance(Xs, Xt, self.random_state) if estimated else 0.0

        def of(target: np.ndarray) -> np.ndarray:
            if estimated:
                by_class = class_distance(Xs, Xt, source, target, k, self.random_state)
                self.balance_ = balance_of(apart, by_class)
            else:
                self.balance_ = float(self.balance)
            of_classes = conditional(source, target, k)
            weighted = by_priors(of_classes, source, target) if self.weighted else of_classes
            return joint_differences(of_all, weighted, k, self.balance_)

        return of


def by_priors(E: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Multiply each class's mean in E by the root of the class's share of its domain.

    A class's entries are 1 / (its rows) in the source, and -1 / (its rows) in the target.

    >>> E = conditional(np.array([0, 0, 0, 1]), np.array([0, 1]), 2)
    >>> (by_priors(E, np.array([0, 0, 0, 1]), np.array([0, 1])) ** 2).sum(axis=0).round(12).tolist()
    [0.75, 0.75]
    """
    n_s, classed = len(source), (target >= 0).sum()
    rows_s, rows_t = (E[:n_s] > 0).sum(axis=0), (E[n_s:] < 0).sum(axis=0)
    return np.concatenate([E[:n_s] * np.sqrt(rows_s / n_s), E[n_s:] * np.sqrt(rows_t / max(classed, 1))])
