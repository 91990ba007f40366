"""Relative unconstrained least-squares importance fitting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.errors import InputError
from headstart.instances.kernel_ratio import KernelRatio
from headstart.instances.ulsif import ULSIF


class RULSIF(ULSIF):
    r"""Relative least-squares importance fitting: a density ratio that has a bound.

    The weights estimate the *relative* ratio

    .. math:: r_\alpha(x) = \frac{p_t(x)}{\alpha\,p_t(x) + (1 - \alpha)\,p_s(x)} \le \frac{1}{\alpha}

    which is flatter than :math:`p_t / p_s` and can be estimated where that explodes: alpha = 0 is the plain ratio of
    ULSIF, and towards alpha = 1 all weights are the same. The bound is the true ratio's; the estimate comes near it
    and may pass it by its error. Solved in closed form as for ULSIF, with

    .. math:: H = \frac{\alpha}{n_t} \sum_j \varphi(x'_j) \varphi(x'_j)^\top
                  + \frac{1 - \alpha}{n_s} \sum_i \varphi(x_i) \varphi(x_i)^\top

    Parameters
    ----------
    alpha : float, default 0.1
        Share of the target in the denominator, from 0 to below 1.
    gamma : float, None or "cv", default "cv"
        Width of the kernel; None takes 1 / median squared distance between the rows of both domains; "cv" takes the
        width (and regularisation) with the least leave-one-out score.
    reg : float or "cv", default "cv"
        Regularisation lambda.
    gammas, regs : sequence of float, optional
        What "cv" tries: by default five widths around the median rule's, from a tenth to ten times it, and the
        regularisations 0.0001, 0.001, 0.01, 0.1 and 1.
    n_centers : int, default 100
        Number of kernels; their centres are target rows drawn at random.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts when the learner is fitted, where source weights add up to the effective
        size; "balanced" lets them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the centres and of the pairs that are left out.

    Attributes
    ----------
    gamma_, reg_, score_, effective_size_
        Width and regularisation used, their leave-one-out score (see `ulsif.leave_one_out`; nan where a domain has
        but one row, and then "cv" takes the middle of what it would try), and (sum w)^2 / sum w^2.
    ratio_ : KernelRatio
        The relative ratio as a function of rows; `ratio` returns it too.

    References
    ----------
    Yamada, Suzuki, Kanamori, Hachiya, Sugiyama: Relative Density-Ratio Estimation for Robust Distribution
    Comparison. NIPS 2011; Neural Computation 25(5), 2013.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(0, 1, (200, 1)), rng.normal(1, 0.5, (200, 1))
    >>> w = RULSIF(alpha=0.5).weigh(Xs, Xt)
    >>> bool(w.max() < 1.1 / 0.5)
    True
    """

    def __init__(
        self,
        alpha: float = 0.1,
        gamma: float | str | None = "cv",
        reg: float | str = "cv",
        gammas: Sequence[float] | None = None,
        regs: Sequence[float] | None = None,
        n_centers: int = 100,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        super().__init__(gamma, reg, gammas, regs, n_centers, target_weight, random_state)
        self.alpha = alpha

    def learn_ratio(self, Xs: Any, Xt: Any) -> KernelRatio:
        """Learn p_t(x) / (alpha p_t(x) + (1 - alpha) p_s(x)) from checked rows of both domains."""
        if not 0.0 <= self.alpha < 1.0:
            raise InputError(f"RULSIF: alpha must be from 0 to below 1, not {self.alpha}")
        return super().learn_ratio(Xs, Xt)
