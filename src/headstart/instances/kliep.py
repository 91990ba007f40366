"""Kullback-Leibler importance estimation procedure."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.draws import folds
from headstart.errors import InputError
from headstart.instances.base import DensityRatioMethod
from headstart.instances.kernel_ratio import (
    NEGLIGIBLE,
    KernelRatio,
    distances_in_blocks,
    draw_centers,
    kernel,
    ratio_of,
    widths_to_try,
)
from headstart.instances.mixture_weights import solve_mixture


class KLIEP(DensityRatioMethod):
    r"""Kullback-Leibler importance estimation: the ratio under which the target rows are likeliest.

    The ratio is a sum of Gaussian kernels at target rows, :math:`r(x) = \sum_l a_l \varphi_l(x)` with
    :math:`\varphi_l(x) = \exp(-\gamma \|x - c_l\|^2)`, that brings :math:`r\,p_s` as near to :math:`p_t` as it can in
    Kullback-Leibler divergence:

    .. math:: \max_{a \ge 0} \frac{1}{n_t} \sum_j \log \sum_l a_l \varphi_l(x'_j)
              \quad\text{s.t.}\quad \frac{1}{n_s} \sum_i \sum_l a_l \varphi_l(x_i) = 1

    With :math:`\psi_l = \varphi_l / \operatorname{mean}_s \varphi_l` these are the weights :math:`p` of a mixture of
    known components, and :math:`\max_l \operatorname{mean}_j \psi_l(x'_j) / (\Psi p)_j - 1` bounds what the objective
    can still gain. It is solved by Newton steps with an active set until that bound is below `tol`. Time grows with
    (n_s + n_t) * n_centers, memory with n_t * n_centers. Centres that no source row is near are left out, and so are
    target rows that no centre is near then: there is no source row to stand for them.

    Parameters
    ----------
    gamma : float, None or "cv", default "cv"
        Width of the kernel; None takes 1 / median squared distance between the rows of both domains; "cv" takes the
        width under which held-out target rows are likeliest.
    gammas : sequence of float, optional
        Widths that "cv" tries; by default five around the median rule's, from a tenth to ten times it.
    folds : int, default 5
        Folds of the target rows for "cv".
    n_centers : int, default 100
        Number of kernels; their centres are target rows drawn at random.
    tol : float, default 1e-6
        Stop when the duality gap, in nats a target row, is below tol.
    max_iter : int, default 100
        Stop after so many Newton steps in any case, with a warning.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts when the learner is fitted, where source weights add up to the effective
        size; "balanced" lets them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the centres and of the folds.

    Attributes
    ----------
    gamma_, objective_, gap_, n_iter_, effective_size_
        Width used, objective reached (a mean over the target rows that were not left out), duality gap there, Newton
        steps, and (sum w)^2 / sum w^2.
    ratio_ : KernelRatio
        The ratio as a function of rows.

    References
    ----------
    Sugiyama, Nakajima, Kashima, von Buenau, Kawanabe: Direct Importance Estimation with Model Selection and Its
    Application to Covariate Shift Adaptation. NIPS 2007.

    Kim, Carbonetto, Stephens, Anitescu: A Fast Algorithm for Maximum Likelihood Estimation of Mixture Proportions
    Using Sequential Quadratic Programming. Journal of Computational and Graphical Statistics 29(2), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(0, 1, (200, 1)), rng.normal(1, 0.5, (200, 1))
    >>> w = KLIEP().weigh(Xs, Xt)
    >>> print(f"{w.mean():.6f}")
    1.000000
    >>> bool(w[Xs[:, 0] > 0].mean() > 5 * w[Xs[:, 0] < 0].mean())
    True
    """

    def __init__(
        self,
        gamma: float | str | None = "cv",
        gammas: Sequence[float] | None = None,
        folds: int = 5,
        n_centers: int = 100,
        tol: float = 1e-6,
        max_iter: int = 100,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.gamma = gamma
        self.gammas = gammas
        self.folds = folds
        self.n_centers = n_centers
        self.tol = tol
        self.max_iter = max_iter
        self.target_weight = target_weight
        self.random_state = random_state

    def learn_ratio(self, Xs: Any, Xt: Any) -> KernelRatio:
        """Learn p_t(x) / p_s(x) from checked rows of both domains."""
        if self.folds < 2:
            raise InputError(f"KLIEP: folds must be 2 or more, not {self.folds}")
        rng = np.random.default_rng(self.random_state)
        gammas = widths_to_try(self.gamma, self.gammas, Xs, Xt)
        if len(gammas) > 1 and Xt.shape[0] == 1:
            warnings.warn("KLIEP: no target row to hold out; the middle width is taken unvalidated", stacklevel=3)
            gammas = [gammas[len(gammas) // 2]]
        drawn = draw_centers(Xt, self.n_centers, rng)
        centers = Xt[drawn].astype(float)
        means = _mean_kernels(centers, Xs, gammas)
        if not (means > NEGLIGIBLE).any():
            self.gamma_, self.objective_, self.gap_, self.n_iter_ = gammas[int(np.argmin(gammas))], -np.inf, 0.0, 0
            return ratio_of(centers, np.zeros(means.shape[1]), self.gamma_)
        D = np.hstack(list(distances_in_blocks(centers, Xt)))
        of_row = folds(Xt, self.folds, rng)
        best = -np.inf
        for gamma, mean in zip(gammas, means, strict=True):
            near = mean > NEGLIGIBLE
            if not near.any():
                continue
            Psi, tops = _components(D[near], gamma, mean[near])
            p, gap, n_iter = solve_mixture(Psi, tol=self.tol, max_iter=self.max_iter)
            score = 0.0
            if len(gammas) > 1:
                score = self._held_out_likelihood(D[near], gamma, mean[near], p, of_row, of_row[drawn][near])
            if score > best:
                best = score
                self.gamma_, self.gap_, self.n_iter_ = gamma, gap, n_iter
                self.objective_ = float((np.log(p @ Psi) + tops).mean())
                a = np.zeros(len(mean))
                a[near] = p / mean[near]
        if self.gap_ > self.tol:
            warnings.warn(
                f"KLIEP stopped after {self.n_iter_} Newton steps with a duality gap of {self.gap_:.2g} "
                f"(objective {self.objective_:.6g}); raise max_iter or tol",
                stacklevel=3,
            )
        return ratio_of(centers, a, self.gamma_)

    def _held_out_likelihood(
        self, D: np.ndarray, gamma: float, mean: np.ndarray, p: np.ndarray, of_row: np.ndarray, of_center: np.ndarray
    ) -> float:
        """Return the mean log ratio at target rows, learned without their fold; the solver starts from p.

        The centres of that fold are left out too: a kernel on the very row that is held out knows where it lies, and
        favours narrow kernels.
        """
        likelihood = np.empty(len(of_row))
        for fold in range(of_row.max() + 1):
            held, kept = of_row == fold, of_center != fold
            a = np.zeros(len(mean))
            if kept.any():
                Psi, _ = _components(D[np.ix_(kept, ~held)], gamma, mean[kept])
                a[kept] = solve_mixture(Psi, p[kept], self.tol, self.max_iter)[0] / mean[kept]
            likelihood[held] = np.log(np.maximum(a @ kernel(D[:, held], gamma), NEGLIGIBLE))
        return float(likelihood.mean())


def _mean_kernels(centers: Any, Xs: Any, gammas: Sequence[float]) -> np.ndarray:
    """Return mean_i exp(-gamma ||c_l - x_i||^2) over source rows, shape (widths, b)."""
    sums = np.zeros((len(gammas), centers.shape[0]))
    for D in distances_in_blocks(centers, Xs):
        for k, gamma in enumerate(gammas):
            sums[k] += kernel(D, gamma).sum(axis=1)
    return sums / Xs.shape[0]


def _components(D: np.ndarray, gamma: float, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return psi_l(x'_j) as exp(tops_j) Psi_lj: Psi of shape (b, n), whose columns have a maximum of 1, and tops.

    The tops only add a constant to the objective. Target rows with a negligible ratio under any weights are left out;
    each would pull the ratio towards the centre that happens to be the least far from it.
    """
    E = D * -gamma
    E -= np.log(mean)[:, None]
    tops = E.max(axis=0)
    reached = tops >= np.log(NEGLIGIBLE)
    if not reached.all():
        E, tops = E[:, reached], tops[reached]
    E -= tops
    return np.exp(E, out=E), tops
