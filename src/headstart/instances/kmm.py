"""Kernel mean matching."""

import warnings
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq

from headstart.errors import InputError
from headstart.instances.base import InstanceMethod
from headstart.kernels import median_gamma, nystroem_map, rbf
from headstart.method import Needs

#: Source rows up to which the kernel is held whole (0.8 GB then), and the landmarks used beyond.
MOST_EXACT_ROWS = 10_000
AUTO_RANK = 1_000


class KMM(InstanceMethod):
    r"""Kernel mean matching: weight the source rows so that their mean in feature space is the target's.

    Solves, over all source rows at once,

    .. math:: \min_w \tfrac12 w^\top K w - \kappa^\top w
              \quad\text{s.t.}\quad 0 \le w_i \le B,\quad \bigl|\textstyle\sum_i w_i - n_s\bigr| \le n_s\varepsilon

    with :math:`K_{ij} = k(x_i, x_j)` over source rows and
    :math:`\kappa_i = \frac{n_s}{n_t}\sum_j k(x_i, x'_j)`. The weights estimate the density ratio
    :math:`p_t(x)/p_s(x)` without estimating either density.

    Parameters
    ----------
    gamma : float, optional
        Width of the kernel exp(-gamma ||x - x'||^2); by default 1 / median squared distance between the rows
        of both domains.
    B : float, default 1000
        Upper bound of a weight.
    eps : float, optional
        How far the mean weight may be from 1; by default (sqrt(n_s) - 1) / sqrt(n_s), as in the paper.
    rank : int, None or "auto", default "auto"
        Use a Nystroem approximation of the kernel with so many landmark rows: time and memory then grow with
        n_s * rank instead of n_s^2. None keeps the kernel exact; "auto" does so up to 10,000 source rows and uses
        1,000 landmarks beyond.
    tol : float, default 1e-6
        Stop when the Frank-Wolfe duality gap is below tol times the objective's size.
    max_iter : int, default 20000
        Stop after so many iterations in any case, with a warning.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row of average weight when the learner is fitted;
        "balanced" lets all labelled target rows together count as much as all source rows.
    random_state : int, optional
        Choice of the landmark rows; not used when the kernel is exact.

    Attributes
    ----------
    gamma_, rank_, objective_, gap_, n_iter_, effective_size_
        Kernel width and rank used, objective reached, duality gap there, iterations, and (sum w)^2 / sum w^2.

    References
    ----------
    Huang, Smola, Gretton, Borgwardt, Schoelkopf: Correcting Sample Selection Bias by Unlabeled Data. NIPS 2006.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(0, 1, (200, 1)), rng.normal(1, 0.5, (200, 1))
    >>> w = KMM().weigh(Xs, Xt)
    >>> bool(w[Xs[:, 0] > 0].mean() > 5 * w[Xs[:, 0] < 0].mean())
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, dense=True)

    def __init__(
        self,
        gamma: float | None = None,
        B: float = 1000.0,  # noqa: N803  (the paper's letter)
        eps: float | None = None,
        rank: int | str | None = "auto",
        tol: float = 1e-6,
        max_iter: int = 20000,
        target_weight: float | str = "balanced",
        random_state: int | None = None,
    ) -> None:
        self.gamma = gamma
        self.B = B
        self.eps = eps
        self.rank = rank
        self.tol = tol
        self.max_iter = max_iter
        self.target_weight = target_weight
        self.random_state = random_state

    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> np.ndarray:
        """Return the weight of each source row.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
            Source and target rows. Labels are not used.

        Returns
        -------
        w : array of shape (n_s,), between 0 and B.
        """
        n_s = len(Xs)
        eps = (np.sqrt(n_s) - 1) / np.sqrt(n_s) if self.eps is None else self.eps
        if self.B < 1 - eps:
            raise InputError(f"KMM: B={self.B} leaves no weights with a mean of at least {1 - eps:.3g}; raise B")
        self.gamma_ = median_gamma(Xs, Xt) if self.gamma is None else self.gamma
        self.rank_ = (AUTO_RANK if n_s > MOST_EXACT_ROWS else None) if self.rank == "auto" else self.rank
        K, kappa = _kernel_terms(Xs, Xt, self.gamma_, self.rank_, self.random_state)
        w, self.objective_, self.gap_, self.n_iter_ = solve_kmm(
            K,
            kappa,
            self.B,
            (n_s * (1 - eps), n_s * (1 + eps)),
            factored=self.rank_ is not None,
            tol=self.tol,
            max_iter=self.max_iter,
        )
        if self.gap_ > self.tol * abs(self.objective_):
            warnings.warn(
                f"KMM stopped after {self.n_iter_} iterations with a duality gap of {self.gap_:.2g} "
                f"(objective {self.objective_:.6g}); raise max_iter",
                stacklevel=2,
            )
        self.effective_size_ = float(w.sum() ** 2 / (w @ w)) if w.any() else 0.0
        return w.astype(Xs.dtype, copy=False)


def _kernel_terms(
    Xs: Any, Xt: Any, gamma: float, rank: int | None, random_state: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return F of shape (n_s, r) or the kernel K of shape (n_s, n_s), and the vector kappa of shape (n_s,)."""
    scale = len(Xs) / len(Xt)
    if rank is None:
        return rbf(Xs, Xs, gamma), scale * _row_sums(Xs, Xt, gamma)
    features = nystroem_map(Xs, Xt, gamma, rank, random_state)
    Fs = features(Xs)
    return Fs, scale * (Fs @ features(Xt).sum(axis=0))


def _row_sums(Xs: np.ndarray, Xt: np.ndarray, gamma: float, block: int = 2048) -> np.ndarray:
    """Return sum_j k(x_i, x'_j) without holding the whole n_s x n_t kernel."""
    return sum(rbf(Xs, Xt[start : start + block], gamma).sum(axis=1) for start in range(0, len(Xt), block))


def solve_kmm(
    K: np.ndarray,
    kappa: np.ndarray,
    upper: float,
    total: tuple[float, float],
    *,
    factored: bool = False,
    tol: float = 1e-6,
    max_iter: int = 20000,
) -> tuple[np.ndarray, float, float, int]:
    """Minimise w'Kw/2 - kappa'w over 0 <= w <= upper and total[0] <= sum w <= total[1], over all rows.

    Most weights end at zero, so the problem is solved on a working set of rows, all rows are checked, the rows
    that would still gain are added, and so on until the Frank-Wolfe gap *of the whole problem*, an upper bound of
    the distance to the optimal objective, is below tol times the objective's size.

    Parameters
    ----------
    K : array of shape (n, n), or with `factored` of shape (n, r) such that the kernel is K K'.
    kappa : array of shape (n,)

    Returns
    -------
    w, objective, gap, iterations
    """
    kappa = kappa.astype(float)
    n = len(kappa)
    w = project_box_sum(np.ones(n), upper, total)
    w *= _best_scale(_times(K, w, factored), w, kappa, upper, total)
    used = 0
    while True:
        gradient = _times(K, w, factored) - kappa
        objective = float(0.5 * (w @ (gradient - kappa)))
        gap = float(gradient @ (w - least_linear(gradient, upper, total)))
        if gap <= tol * abs(objective) or used >= max_iter:
            return w, objective, gap, used
        chosen = _working_set(w, gradient, first=used == 0)
        block = K[chosen] if factored else K[np.ix_(chosen, chosen)]
        w_new = np.zeros(n)
        w_new[chosen], steps = _accelerated_gradient(
            block, kappa[chosen], upper, total, w[chosen], factored, 0.3 * tol, max_iter - used
        )
        w = w_new
        used += steps


def _working_set(w: np.ndarray, gradient: np.ndarray, *, first: bool) -> np.ndarray:
    """Return the rows in use and as many again (at least 200) of those with the steepest descent."""
    held = np.zeros(len(w), dtype=bool) if first else w > 0
    extra = max(200, len(w) // 8 if first else int(held.sum()) // 2)
    order = np.argsort(np.where(held, np.inf, gradient), kind="stable")
    held[order[: min(extra, int((~held).sum()))]] = True
    return np.flatnonzero(held)


def _times(K: np.ndarray, w: np.ndarray, factored: bool) -> np.ndarray:
    """Return the kernel times w, touching only the rows in use."""
    used = np.flatnonzero(w)
    if factored:
        return K @ (K[used].T @ w[used])
    return w @ K if 2 * len(used) > len(w) else w[used] @ K[used]


def _best_scale(
    Kw: np.ndarray, w: np.ndarray, kappa: np.ndarray, upper: float, total: tuple[float, float]
) -> float:
    """Return the best multiple of w that is still allowed."""
    curvature = float(w @ Kw)
    best = float(kappa @ w) / curvature if curvature > 0 else 1.0
    return float(np.clip(best, total[0] / w.sum(), min(total[1] / w.sum(), upper / w.max())))


def _accelerated_gradient(
    K: np.ndarray,
    kappa: np.ndarray,
    upper: float,
    total: tuple[float, float],
    start: np.ndarray,
    factored: bool,
    tol: float,
    max_iter: int,
) -> tuple[np.ndarray, int]:
    """Solve the problem on few rows by projected gradient with momentum and restarts.

    O'Donoghue & Candes: Adaptive Restart for Accelerated Gradient Schemes. Found. Comput. Math. 2015.
    """

    def product(v: np.ndarray) -> np.ndarray:
        return K @ (K.T @ v) if factored else K @ v

    step = 1.0 / largest_eigenvalue(product, len(kappa))
    w = project_box_sum(start, upper, total)
    Kw = product(w)
    ahead, Kahead, momentum = w, Kw, 1.0
    for iteration in range(1, max_iter + 1):
        new = project_box_sum(ahead - step * (Kahead - kappa), upper, total)
        Knew = product(new)
        if (ahead - new) @ (new - w) > 0:
            momentum = 1.0
        next_momentum = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        beta = (momentum - 1) / next_momentum
        ahead, Kahead = new + beta * (new - w), Knew + beta * (Knew - Kw)
        w, Kw, momentum = new, Knew, next_momentum
        if iteration % 20 == 0:
            gradient = Kw - kappa
            gap = gradient @ (w - least_linear(gradient, upper, total))
            if gap <= tol * abs(0.5 * (w @ Kw) - kappa @ w):
                break
        if iteration % 500 == 0:
            w = ahead = _newton_on_free(K @ K.T if factored else K, kappa, upper, total, w)
            Kw = Kahead = product(w)
            momentum = 1.0
    return w, iteration


def _newton_on_free(
    K: np.ndarray, kappa: np.ndarray, upper: float, total: tuple[float, float], w: np.ndarray, rounds: int = 50
) -> np.ndarray:
    """Take Newton steps over the weights that are strictly between their bounds, fixing each that reaches one.

    An ill-conditioned kernel (few columns, many rows) makes gradient steps slow; a factorisation of the free
    block is cheap, for few weights are free. With the sum at a bound the step keeps it.
    """
    for _ in range(rounds):
        free = np.flatnonzero((w > 0) & (w < upper))
        if len(free) == 0:
            return w
        H = K[np.ix_(free, free)] + 1e-11 * np.trace(K) / len(K) * np.eye(len(free))
        downhill = kappa[free] - K[free] @ w
        held = not total[0] * (1 + 1e-9) < w.sum() < total[1] * (1 - 1e-9)
        step = np.linalg.solve(H, np.column_stack([downhill, np.ones(len(free))]))
        d = step[:, 0] - held * step[:, 1] * (step[:, 0].sum() / step[:, 1].sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(d < 0, w[free] / -d, np.where(d > 0, (upper - w[free]) / d, np.inf))
        length = min(1.0, float(room.min()), _room_of_sum(w.sum(), d.sum(), total))
        reached = room <= length
        w = w.copy()
        w[free] = np.clip(w[free] + length * d, 0.0, upper)
        w[free[reached & (d < 0)]] = 0.0
        w[free[reached & (d > 0)]] = upper
        if length == 1.0:
            return w
    return w


def _room_of_sum(total_now: float, change: float, total: tuple[float, float]) -> float:
    """Return how far a step that changes the sum by `change` may go."""
    if abs(change) <= 1e-12 * total_now:
        return np.inf
    return max(0.0, ((total[1] if change > 0 else total[0]) - total_now) / change)


def largest_eigenvalue(product: Any, n: int, rounds: int = 30) -> float:
    """Return an upper estimate of the largest eigenvalue of a positive semidefinite map, by power iteration."""
    v = np.ones(n) / np.sqrt(n)
    value = 1.0
    for _ in range(rounds):
        u = product(v)
        value = float(np.linalg.norm(u))
        if value == 0:
            return 1.0
        v = u / value
    return 1.01 * value


def project_box_sum(v: np.ndarray, upper: float, total: tuple[float, float]) -> np.ndarray:
    """Return the nearest point to v with entries in [0, upper] and a sum within `total`.

    The point is clip(v - tau, 0, upper), where tau = 0 if the sum is allowed and else solves for the nearer bound.
    """
    w = np.clip(v, 0.0, upper)
    low, high = total
    bound = low if w.sum() < low else high if w.sum() > high else None
    if bound is None:
        return w

    def excess(tau: float) -> float:
        return float(np.clip(v - tau, 0.0, upper).sum() - bound)

    tau = brentq(excess, v.min() - upper - 1.0, v.max() + 1.0, xtol=1e-14, rtol=1e-14)
    w = np.clip(v - tau, 0.0, upper)
    free = (w > 0) & (w < upper)
    if free.any():
        w[free] += (bound - w.sum()) / free.sum()
        w = np.clip(w, 0.0, upper)
    return w


def least_linear(gradient: np.ndarray, upper: float, total: tuple[float, float]) -> np.ndarray:
    """Return the minimiser of gradient's over 0 <= s <= upper and total[0] <= sum s <= total[1].

    Fill the smallest entries first: negative ones up to the largest sum, others only up to the smallest sum.
    """
    order = np.argsort(gradient, kind="stable")
    budget = np.where(gradient[order] < 0, total[1], total[0])
    filled = np.clip(budget - upper * np.arange(len(gradient)), 0.0, upper)
    s = np.empty_like(gradient)
    s[order] = filled
    return s
