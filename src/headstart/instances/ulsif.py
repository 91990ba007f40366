"""Unconstrained least-squares importance fitting."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve

from headstart.draws import pick
from headstart.errors import InputError
from headstart.instances.base import DensityRatioMethod
from headstart.instances.kernel_ratio import (
    KernelRatio,
    distances_in_blocks,
    draw_centers,
    kernel,
    positive,
    ratio_of,
    widths_to_try,
)
from headstart.kernels import squared_distances

#: Regularisations that cross-validation tries.
REGS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
#: Most pairs of rows that are left out in turn, so that with many rows their time no longer grows.
MOST_PAIRS = 2000


class ULSIF(DensityRatioMethod):
    r"""Least-squares importance fitting: the ratio with the least squared error, in closed form.

    The ratio is a sum of Gaussian kernels at target rows, :math:`r(x) = \sum_l \theta_l \varphi_l(x)` with
    :math:`\varphi_l(x) = \exp(-\gamma \|x - c_l\|^2)`. Up to a constant its squared error under :math:`p_s` is
    :math:`\operatorname{E}_s r^2 / 2 - \operatorname{E}_t r`, which has its least value, with a ridge, at

    .. math:: \theta = (H + \lambda I)^{-1} h,\qquad
              H = \frac{1}{n_s} \sum_i \varphi(x_i) \varphi(x_i)^\top,\qquad
              h = \frac{1}{n_t} \sum_j \varphi(x'_j)

    Negative coefficients are then set to 0. Unlike KLIEP's, the weights have no mean of exactly 1. Time grows with
    (n_s + n_t) * n_centers^2; the rows' kernels are held in blocks.

    Parameters
    ----------
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
        Width and regularisation used, their leave-one-out score (see `leave_one_out`; nan where a domain has but one
        row, and then "cv" takes the middle of what it would try), and (sum w)^2 / sum w^2.
    ratio_ : KernelRatio
        The ratio as a function of rows.

    References
    ----------
    Kanamori, Hido, Sugiyama: A Least-squares Approach to Direct Importance Estimation. JMLR 10, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(0, 1, (200, 1)), rng.normal(1, 0.5, (200, 1))
    >>> w = ULSIF().weigh(Xs, Xt)
    >>> bool(w[Xs[:, 0] > 0].mean() > 5 * w[Xs[:, 0] < 0].mean())
    True
    """

    #: Share of the target in the ratio's denominator; RULSIF has it as a parameter.
    alpha: float = 0.0

    def __init__(
        self,
        gamma: float | str | None = "cv",
        reg: float | str = "cv",
        gammas: Sequence[float] | None = None,
        regs: Sequence[float] | None = None,
        n_centers: int = 100,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.gamma = gamma
        self.reg = reg
        self.gammas = gammas
        self.regs = regs
        self.n_centers = n_centers
        self.target_weight = target_weight
        self.random_state = random_state

    def learn_ratio(self, Xs: Any, Xt: Any) -> KernelRatio:
        """Learn p_t(x) / (alpha p_t(x) + (1 - alpha) p_s(x)) from checked rows of both domains."""
        rng = np.random.default_rng(self.random_state)
        gammas, regs = widths_to_try(self.gamma, self.gammas, Xs, Xt), self._regs_to_try()
        centers = Xt[draw_centers(Xt, self.n_centers, rng)].astype(float)
        source, target = kernel_sums(centers, Xs, gammas), kernel_sums(centers, Xt, gammas)
        if min(Xs.shape[0], Xt.shape[0]) > 1:
            rows_s, rows_t = left_out_pairs(Xs, Xt, rng)
            Ds, Dt = (squared_distances(centers, X.astype(float)) for X in (Xs[rows_s], Xt[rows_t]))
            scores = np.array(
                [
                    leave_one_out(source[k], target[k], kernel(Ds, gamma), kernel(Dt, gamma), self.alpha, regs)
                    for k, gamma in enumerate(gammas)
                ]
            )
            width, ridge = divmod(int(scores.argmin()), len(regs))
            self.score_ = float(scores[width, ridge])
        else:
            width, ridge, self.score_ = len(gammas) // 2, len(regs) // 2, np.nan
            if len(gammas) * len(regs) > 1:
                warnings.warn(
                    f"{type(self).__name__}: a domain's only row can't be left out, so the middle width and "
                    "regularisation are taken unvalidated",
                    stacklevel=3,
                )
        self.gamma_, self.reg_ = gammas[width], regs[ridge]
        return ratio_of(centers, coefficients(source[width], target[width], self.alpha, self.reg_), self.gamma_)

    def _regs_to_try(self) -> list[float]:
        if not isinstance(self.reg, str):
            return positive("reg", [self.reg])
        if self.reg != "cv":
            raise InputError(f"reg must be a number or 'cv', not {self.reg!r}")
        return positive("regs", REGS if self.regs is None else self.regs)


@dataclass(frozen=True, eq=False)
class KernelSums:
    """Sums over n rows: `squares`, sum_i phi(x_i) phi(x_i)' of shape (b, b), and `total`, sum_i phi(x_i)."""

    squares: np.ndarray
    total: np.ndarray
    n: int


def kernel_sums(centers: Any, X: Any, gammas: Sequence[float]) -> list[KernelSums]:
    """Return the sums over all rows for each width; the distances are computed once, a block of rows at a time."""
    b = centers.shape[0]
    sums = [KernelSums(np.zeros((b, b)), np.zeros(b), X.shape[0]) for _ in gammas]
    for D in distances_in_blocks(centers, X):
        for total, gamma in zip(sums, gammas, strict=True):
            Phi = kernel(D, gamma)
            total.squares[:] += Phi @ Phi.T
            total.total[:] += Phi.sum(axis=1)
    return sums


def coefficients(source: KernelSums, target: KernelSums, alpha: float, reg: float) -> np.ndarray:
    """Return max(0, (H + reg I)^-1 h), shape (b,), with H = alpha H_t + (1 - alpha) H_s."""
    H = alpha / target.n * target.squares + (1.0 - alpha) / source.n * source.squares
    theta = solve(H + reg * np.eye(len(H)), target.total / target.n, assume_a="pos")
    return np.maximum(theta, 0.0)


def left_out_pairs(Xs: Any, Xt: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return which source row and which target row are left out together, shape (min(n_s, n_t, MOST_PAIRS),) each.

    Rows are drawn without replacement, and paired by chance.
    """
    m = min(Xs.shape[0], Xt.shape[0], MOST_PAIRS)
    return rng.permutation(pick(Xs, m, rng)), rng.permutation(pick(Xt, m, rng))


def leave_one_out(
    source: KernelSums, target: KernelSums, Phi_s: np.ndarray, Phi_t: np.ndarray, alpha: float, regs: Sequence[float]
) -> np.ndarray:
    r"""Return the leave-one-out score for each regularisation.

    The m-th pair is source row x with phi(x) = Phi_s[:, m] and target row y with phi(y) = Phi_t[:, m]. Both are left
    out, the other n_s - 1 and n_t - 1 rows give `coefficients`, and the pair's score under these is

    .. math:: \tfrac{\alpha}{2} r(y)^2 + \tfrac{1 - \alpha}{2} r(x)^2 - r(y)

    Without the pair, H + reg I is B - c_t phi(y) phi(y)' - c_s phi(x) phi(x)' with c_t = alpha / (n_t - 1),
    c_s = (1 - alpha) / (n_s - 1) and a B that all pairs share. Its inverse follows from B's by Woodbury's identity
    with a 2 x 2 system a pair, and B's from one eigendecomposition for all regularisations.

    Parameters
    ----------
    source, target : KernelSums
        Over all rows.
    Phi_s, Phi_t : arrays of shape (b, pairs)
        Kernels of the rows that are left out.
    alpha : float
    regs : sequence of float

    Returns
    -------
    scores : array of shape (len(regs),)
        Mean over the pairs; lower is better.
    """
    c_t, c_s = alpha / (target.n - 1), (1.0 - alpha) / (source.n - 1)
    values, Q = np.linalg.eigh(c_t * target.squares + c_s * source.squares)
    values = np.maximum(values, 0.0)
    s, X, Y = Q.T @ target.total, Q.T @ Phi_s, Q.T @ Phi_t
    XX, XY, YY = X * X, X * Y, Y * Y
    scores = []
    for reg in regs:
        inverse = 1.0 / (values + reg)
        # x'B^-1 x and so on, a number for each pair.
        xx, xy, yy, xs, ys = inverse @ XX, inverse @ XY, inverse @ YY, (inverse * s) @ X, (inverse * s) @ Y
        # x'B^-1 h and y'B^-1 h, where h = (s - y) / (n_t - 1) is the pair's own.
        xh, yh = (xs - xy) / (target.n - 1), (ys - yy) / (target.n - 1)
        # (I - C U'B^-1 U) k = C U'B^-1 h with U = [x y], C = diag(c_s, c_t); then theta = B^-1 (h + U k).
        determinant = (1.0 - c_s * xx) * (1.0 - c_t * yy) - c_s * c_t * xy**2
        k_s = c_s * ((1.0 - c_t * yy) * xh + c_t * xy * yh) / determinant
        k_t = c_t * ((1.0 - c_s * xx) * yh + c_s * xy * xh) / determinant
        theta = (Q * inverse) @ (s[:, None] / (target.n - 1) + X * k_s + Y * (k_t - 1.0 / (target.n - 1)))
        np.maximum(theta, 0.0, out=theta)
        r_x, r_y = np.einsum("lm,lm->m", theta, Phi_s), np.einsum("lm,lm->m", theta, Phi_t)
        scores.append((alpha / 2.0 * r_y**2 + (1.0 - alpha) / 2.0 * r_x**2 - r_y).mean())
    return np.array(scores)
