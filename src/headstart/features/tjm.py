"""Transfer joint matching."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.components import MOST_WHOLE, Components, components, spread_matrix
from headstart.features.discrepancy import marginal, to_unit_norm
from headstart.features.representation import Representation, representation
from headstart.mapping import Map
from headstart.method import Needs

#: A source row whose coefficients are smaller than this share of the usual ones is as good as left out.
LEAST_NORM = 1e-3
#: Rows of P that are worked on at once.
BLOCK = 4096


class TJM(FeatureMethod):
    r"""Transfer joint matching: components in which the domains' means agree, made of few source rows.

    .. math:: \min_A\; \operatorname{tr}(A^\top K M K A) + \lambda\Bigl(\sum_{i \in s} \|a_i\| + \sum_{i \in t}
              \|a_i\|^2\Bigr) \quad\text{s.t.}\quad A^\top K H K A = I

    with K the kernel matrix of the rows of both domains, H the centring matrix, M = e e' where e takes the difference
    of the domains' means, scaled to Frobenius norm 1 as in the authors' programs, and :math:`a_i` the row of A that
    belongs to row i of the source s or the target t. The norms of whole rows, not squared, leave out source rows that
    are of no use for what both domains share; on large samples, where all norms are far below 1 and their squares cost
    next to nothing, that may be every one of them, and the components are made of target rows. No label is used.

    Solved by iterated reweighting: each step is an eigenproblem, and the objective never rises. Where the kernel has
    few dimensions, K = U S^2 U', a step with weights G of the rows has
    :math:`A = G^{-1} U (U^\top G^{-1} U)^{-1} a` for the best :math:`a = U^\top A`, and is solved for a.

    Parameters
    ----------
    n_components : int, default 20
        Columns of the representation; fewer where the rows vary in fewer directions. 20 in the paper.
    kernel : {"linear", "rbf"}, default "linear"
        The inner product, or exp(-gamma ||x - x'||^2).
    gamma : float, optional
        Width of the rbf kernel; by default 1 / median squared distance between the rows of both domains.
    reg : float, default 1.0
        :math:`\lambda`, more than zero; 1 in the paper. Larger means less adaptation, and fewer source rows.
    max_iter : int, default 50
        Eigenproblems that are solved, at most; 10 in the paper.
    tol : float, default 1e-4
        Stop when a step lowers the objective by less than this share.
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
    importance_ : array of shape (n_s,)
        The norm :math:`\|a_i\|` of each source row beside the mean norm of all rows: what is near zero is left out.
    objectives_ : array of shape (n_iter_,)
        The objective after each step.
    values_, residual_, gamma_, rank_, n_iter_
        Spread over penalty of each component, the last eigenproblem's relative residual, kernel width,
        landmarks used (None: none), and steps.

    References
    ----------
    Long, Wang, Ding, Sun, Yu: Transfer Joint Matching for Unsupervised Domain Adaptation. CVPR 2014.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(size=(100, 3)), rng.normal(size=(100, 3)) + [5.0, 0.0, 0.0]
    >>> method = TJM(n_components=2).fit(Xs, Xt)
    >>> Zs, Zt = method.transform_source(Xs), method.transform(Xt)
    >>> bool(np.abs(Zs.mean(axis=0) - Zt.mean(axis=0)).max() < 0.01)
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any")

    def __init__(
        self,
        n_components: int = 20,
        kernel: str = "linear",
        gamma: float | None = None,
        reg: float = 1.0,
        max_iter: int = 50,
        tol: float = 1e-4,
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
        self.tol = tol
        self.whiten = whiten
        self.rank = rank
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the one map of the rows of both domains, twice. Labels are not used."""
        if self.kernel == "primal":
            raise InputError("TJM: kernel must be linear or rbf, not 'primal': it is rows that get coefficients")
        if self.max_iter < 1:
            raise InputError(f"TJM: max_iter must be 1 or more, not {self.max_iter}")
        space = representation(Xs, Xt, self.kernel, self.gamma, self.rank, self.random_state, "TJM")
        self.gamma_, self.rank_ = space.gamma, space.rank
        solved = joint_matching(space, self.n_components, self.reg, self.tol, self.max_iter)
        found, norms, objectives = solved.found, solved.norms, solved.objectives
        self.values_, self.residual_ = found.values, found.residual
        self.objectives_, self.n_iter_ = objectives, len(objectives)
        self.importance_ = norms[: space.n_s] / (norms.mean() or 1.0)
        if self.n_iter_ == self.max_iter > 1 and objectives[-2] - objectives[-1] > self.tol * objectives[-2]:
            warnings.warn(
                f"TJM stopped after {self.n_iter_} steps, the last of which lowered the objective by "
                f"{1 - objectives[-1] / objectives[-2]:.2g} of itself; raise max_iter",
                stacklevel=2,
            )
        both = space.map_of(found.scaled(self.whiten))
        return both, both


@dataclass(frozen=True, eq=False)
class Matched:
    """Components, the norm of each row's coefficients (n_s + n_t,), and the objective after each step."""

    found: Components
    norms: np.ndarray
    objectives: np.ndarray


def joint_matching(space: Representation, k: int, reg: float, tol: float, max_iter: int) -> Matched:
    """Find k components by iterated reweighting, with ||a|| written as sqrt(||a||^2 + floor^2)."""
    P, n_s, n = space.P, space.n_s, len(space.P)
    E = to_unit_norm(marginal(n_s, n - n_s))
    spread = spread_matrix(P) if P.shape[1] <= MOST_WHOLE else None
    weight, floor, start = np.ones(n), 0.0, None
    objectives: list[float] = []
    while len(objectives) < max_iter:
        penalty = _penalty(space, weight)
        found = components(P, k, E, reg, penalty=penalty, start=start, spread=spread, name="TJM")
        start = found.a
        # The constraint has sums of squares 1, where components have variance 1.
        a = found.a / np.sqrt(n)
        A = _dual(space, weight, penalty, a)
        norms = np.linalg.norm(A, axis=1)
        floor = floor or LEAST_NORM * float(np.sqrt(np.mean(norms**2))) or 1.0
        smooth = np.hypot(norms[:n_s], floor)
        apart = float(np.sum((E.T @ (P @ a)) ** 2))
        objectives.append(apart + reg * float(smooth.sum() + np.sum(norms[n_s:] ** 2)))
        weight[:n_s] = 1 / (2 * smooth)
        if len(objectives) > 1 and objectives[-2] - objectives[-1] <= tol * objectives[-2]:
            break
    return Matched(found, norms, np.array(objectives))


def _penalty(space: Representation, weight: np.ndarray) -> np.ndarray:
    """Return R such that a'R a is the least sum_i weight_i ||A_i||^2 of all A with P a = K A."""
    if space.scale is None:
        return weight
    P, r = space.P, space.P.shape[1]
    N = np.zeros((r, r))
    for first in range(0, len(P), BLOCK):
        U = P[first : first + BLOCK] / space.scale
        N += U.T @ (U / weight[first : first + BLOCK, None])
    R = cho_solve(cho_factor(N), np.eye(r))
    return np.asarray((R + R.T) / 2)


def _dual(space: Representation, weight: np.ndarray, penalty: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Return that A, shape (n_s + n_t, k)."""
    if space.scale is None:
        return a
    return np.asarray(space.P @ ((penalty @ a) / space.scale[:, None]) / weight[:, None])
