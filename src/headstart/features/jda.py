"""Joint distribution adaptation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.components import MOST_WHOLE, components, spread_matrix, total_spread
from headstart.features.discrepancy import conditional, joint_differences, marginal, to_unit_norm
from headstart.features.pseudo_labels import pseudo_labels
from headstart.features.representation import representation
from headstart.inputs import coded
from headstart.mapping import Map
from headstart.method import Needs

#: The penalty beside the total spread, by default.
SHARE = 1e-3
#: Classes of target rows, as numbers (-1: none), to columns E of shape (n_s + n_t, c).
Differences = Callable[[np.ndarray], np.ndarray]


class JDA(FeatureMethod):
    r"""Joint distribution adaptation: components in which the domains' means agree, and those of every class.

    .. math:: \min_A\; \operatorname{tr}(A^\top K M K A) + \lambda \|A\|^2
              \quad\text{s.t.}\quad A^\top K H K A = I, \qquad M \propto k\,M_0 + \sum_{c=1}^{k} M_c

    with K the kernel matrix of the rows of both domains, H the centring matrix, :math:`M_0 = e\,e^\top`, where e takes
    the difference of the domains' means, and :math:`M_c` the same for the rows of class c; M has Frobenius norm 1. So
    the authors' programs weigh and scale what the paper adds up.

    Classes of target rows are those that are known; the others are guessed in the representation that was found last
    (at first it is found with the known ones alone, or with none), until no guess changes or `max_iter` is reached.

    Parameters
    ----------
    n_components : int, default 20
        Columns of the representation; fewer where the rows vary in fewer directions. 100 in the paper.
    kernel : {"linear", "primal", "rbf"}, default "primal"
        The inner product, where the weights of the linear map are penalised, as the paper begins; the inner product,
        and the penalty on the dual coefficients A, as in the paper's tables ("linear"); or exp(-gamma ||x - x'||^2).
    gamma : float, optional
        Width of the rbf kernel; by default 1 / median squared distance between the rows of both domains.
    reg : float, optional
        :math:`\lambda`, more than zero; larger means less adaptation. In the paper 1 for objects and 0.1 for digits,
        where rows have length one; with many rows, or longer ones, that gives up every direction in which class means
        differ, be it ever so little. By default a thousandth of the total spread tr K H K (or tr X'H X for "primal",
        which on the paper's objects is 1, about).
    max_iter : int, default 10
        Times that the components are found, at most; 10 in the paper.
    labeler : classifier, optional
        Guesses target classes; by default the nearest neighbour, as in the paper.
    whiten : bool, default False
        Give every component variance 1, as the constraint has it. Otherwise its variance is proportional to what it
        achieves, spread over penalty, with a mean of 1 over the components: what tells the domains apart is small in
        all of them, even where no direction is left out. The paper's tables were made so.
    rank : int, None or "auto", default "auto"
        Landmark rows of a Nystroem approximation of the rbf kernel. None: exact; "auto": exact up to 10,000 rows of
        both domains together, 300 landmarks beyond.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the landmark rows.

    Attributes
    ----------
    values_, residual_, reg_, gamma_, rank_, n_iter_, pseudo_labels_
        Spread over penalty of each component, the eigenproblem's relative residual, penalty, kernel width and landmarks
        used (None: none), times that components were found, and the classes of the target rows as guessed or known.

    References
    ----------
    Long, Wang, Ding, Sun, Yu: Transfer Feature Learning with Joint Distribution Adaptation. ICCV 2013.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys = np.repeat([0, 1], 100)
    >>> Xs = rng.normal(size=(200, 2)) + np.outer(ys, [4.0, 0.0])
    >>> Xt = rng.normal(size=(200, 2)) + np.outer(ys, [4.0, 3.0])
    >>> method = JDA(n_components=1).fit(Xs, Xt, ys)
    >>> Zs, Zt = method.transform_source(Xs), method.transform(Xt)
    >>> bool(all(abs(Zs[ys == c].mean() - Zt[ys == c].mean()) < 0.1 * Zs.std() for c in (0, 1)))
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any", tasks=("classification",))

    def __init__(
        self,
        n_components: int = 20,
        kernel: str = "primal",
        gamma: float | None = None,
        reg: float | None = None,
        max_iter: int = 10,
        labeler: Any = None,
        whiten: bool = False,
        rank: int | str | None = "auto",
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.reg = reg
        self.max_iter = max_iter
        self.labeler = labeler
        self.whiten = whiten
        self.rank = rank
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the one map of the rows of both domains, twice, by source labels and the target's known ones."""
        name = type(self).__name__
        if self.max_iter < 1:
            raise InputError(f"{name}: max_iter must be 1 or more, not {self.max_iter}")
        labels = coded(ys, yt, Xt.shape[0], name)
        space = representation(Xs, Xt, self.kernel, self.gamma, self.rank, self.random_state, name)
        self.gamma_, self.rank_ = space.gamma, space.rank
        P, n_s, k = space.P, space.n_s, len(labels.classes)
        spread = spread_matrix(P) if P.shape[1] <= MOST_WHOLE else None
        self.reg_ = SHARE * total_spread(P) if self.reg is None else self.reg
        differences = self.differences(Xs, Xt, labels.source, k)
        target, start = np.where(labels.known, labels.target, -1), None
        self.n_iter_ = 0
        while self.n_iter_ < self.max_iter:
            self.n_iter_ += 1
            E = to_unit_norm(differences(target))
            found = components(P, self.n_components, E, self.reg_, start=start, spread=spread, name=name)
            a = found.scaled(self.whiten)
            Z, start, before = P @ a, found.a, target
            target = pseudo_labels(self.labeler, Z[:n_s], Z[n_s:], labels)
            if np.array_equal(before, target):
                break
        self.values_, self.residual_, self.pseudo_labels_ = found.values, found.residual, labels.classes[target]
        both = space.map_of(a)
        return both, both

    def differences(self, Xs: Any, Xt: Any, source: np.ndarray, k: int) -> Differences:
        """Return the function from target classes to the differences of means that are to vanish."""
        of_all = marginal(len(source), Xt.shape[0])
        return lambda target: joint_differences(of_all, conditional(source, target, k), k, balance=0.5)
