"""A quadratic programme over weights with bounds and a bounded sum: the problem of kernel mean matching."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from headstart.instances.gram import DenseGram, Gram, LowRankGram, low_rank_factor, sketch

#: Gradient steps on a working set before the interior-point method takes over.
MOST_GRADIENT_STEPS = 600
#: Rank up to which a kernel is solved through its factor.
MOST_RANK = 600
#: Columns of the sketch of a kernel on which gradient steps are slow: its solution says which rows matter.
SKETCH_RANK = 400
#: Rounds without a smaller gap after which the solver gives up (and KMM warns).
MOST_STALE_ROUNDS = 4


def solve_box_sum_qp(
    K: Gram,
    kappa: np.ndarray,
    upper: float,
    total: tuple[float, float],
    *,
    tol: float = 1e-6,
    max_iter: int = 20000,
) -> tuple[np.ndarray, float, float, int]:
    """Minimise w'Kw/2 - kappa'w over 0 <= w <= upper and total[0] <= sum w <= total[1], over all rows.

    A kernel of low rank (few columns) is factored, and an interior-point method solves the problem on all rows.
    Else most weights end at zero, so the problem is solved on a working set of rows, all rows are checked, the
    rows that would still gain are added, and so on until the Frank-Wolfe gap *of the whole problem*, an upper bound of
    the distance to the optimal objective, is below tol times the objective's size.

    Parameters
    ----------
    K : DenseGram or LowRankGram of shape (n, n)
    kappa : array of shape (n,)

    Returns
    -------
    w, objective, gap, iterations
    """
    kappa = kappa.astype(float)
    n = len(kappa)
    F = low_rank_factor(K.K, most=min(MOST_RANK, n // 3)) if isinstance(K, DenseGram) else None
    w = (
        project_box_sum(np.ones(n), upper, total)
        if F is None
        else _interior_point(LowRankGram(F, np.zeros(n)), kappa, upper, total, 0.3 * tol)
    )
    w *= _best_scale(K.times(w), w, kappa, upper, total)
    used, stale, hard, sketched, best = 0, 0, False, False, (w, np.inf, np.inf)
    while True:
        gradient = K.times(w) - kappa
        objective = float(0.5 * (w @ (gradient - kappa)))
        gap = float(gradient @ (w - least_linear(gradient, upper, total)))
        stale = 0 if gap < 0.9 * best[2] else stale + 1
        best = (w, objective, gap) if gap < best[2] else best
        if gap <= tol * abs(objective) or used >= max_iter or stale == MOST_STALE_ROUNDS:
            return *best, used
        if hard and not sketched and isinstance(K, DenseGram):
            w = _interior_point(sketch(K.K, min(SKETCH_RANK, n // 3)), kappa, upper, total, 0.3 * tol)
            w *= _best_scale(K.times(w), w, kappa, upper, total)
            sketched, stale = True, 0
            continue
        chosen = _working_set(
            np.maximum(w, best[0]), gradient, fewest=int(np.ceil(1.5 * total[0] / upper)), first=used == 0
        )
        # While rows are missing from the working set, an exact solution on it is wasted.
        inner = max(0.3 * tol, min(0.01 * gap / abs(objective), 1e-3))
        start, w = w[chosen], np.zeros(n)
        part = K.rows(chosen), kappa[chosen], upper, total
        if hard:
            w[chosen], steps = _interior_point(*part, inner), 1
        else:
            w[chosen], steps = _accelerated_gradient(*part, start, inner, max_iter - used)
            hard = steps >= MOST_GRADIENT_STEPS
        used += steps


def _working_set(w: np.ndarray, gradient: np.ndarray, *, fewest: int, first: bool) -> np.ndarray:
    """Return the rows in use and half as many again (at least 200) of those that would gain most, if there are so many.

    There are `fewest` rows at least, for fewer could not reach the smallest sum.
    """
    # An interior point leaves traces of weight everywhere; what carries little is not held, it may come back.
    held = np.zeros(len(w), dtype=bool) if first else w > 0.01 * w.mean()
    extra = max(200, len(w) // 8 if first else int(held.sum()) // 2)
    if held.any():
        # Rows in use have the gradient of the sum's multiplier; only rows below it would gain weight.
        extra = min(extra, int((gradient[~held] < np.median(gradient[held])).sum()))
    extra = max(extra, fewest - int(held.sum()), 1)
    order = np.argsort(np.where(held, np.inf, gradient), kind="stable")
    held[order[: min(extra, int((~held).sum()))]] = True
    return np.flatnonzero(held)


def _best_scale(Kw: np.ndarray, w: np.ndarray, kappa: np.ndarray, upper: float, total: tuple[float, float]) -> float:
    """Return the best multiple of w that is still allowed."""
    curvature = float(w @ Kw)
    best = float(kappa @ w) / curvature if curvature > 0 else 1.0
    return float(np.clip(best, total[0] / w.sum(), min(total[1] / w.sum(), upper / w.max())))


def _accelerated_gradient(
    K: Gram,
    kappa: np.ndarray,
    upper: float,
    total: tuple[float, float],
    start: np.ndarray,
    tol: float,
    max_iter: int,
) -> tuple[np.ndarray, int]:
    """Solve the problem on few rows by projected gradient with momentum and restarts.

    O'Donoghue & Candes: Adaptive Restart for Accelerated Gradient Schemes. Found. Comput. Math. 2015.
    """
    step = 1.0 / largest_eigenvalue(K.times, len(kappa))
    w = project_box_sum(start, upper, total)
    Kw = K.times(w)
    ahead, Kahead, momentum = w, Kw, 1.0
    for iteration in range(1, min(max_iter, MOST_GRADIENT_STEPS) + 1):
        new = project_box_sum(ahead - step * (Kahead - kappa), upper, total)
        Knew = K.times(new)
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
    return w, iteration


def _interior_point(
    K: Gram,
    kappa: np.ndarray,
    upper: float,
    total: tuple[float, float],
    tol: float,
    rounds: int = 80,
) -> np.ndarray:
    """Solve the problem on few rows by a primal-dual interior-point method.

    An ill-conditioned kernel (few columns, many rows) makes gradient steps slow; here a step costs a factorisation
    of K + D on the working set, but some thirty of them are enough for any kernel. The sum of the weights is a
    variable s of its own, bound by 1'w = s. Mehrotra's predictor and corrector; Wright: Primal-Dual
    Interior-Point Methods, SIAM 1997.
    """
    n = len(kappa)
    fixed = total[1] - total[0] <= 1e-12 * total[1]
    low = np.append(np.zeros(n), total[0])
    high = np.append(np.full(n, upper), total[1])
    middle = 0.5 * (total[0] + total[1])
    x = np.append(np.full(n, min(middle / n, 0.5 * upper)), middle)
    scale = max(float(np.abs(kappa).max()), 1e-12)
    y, z_low, z_high = 0.0, np.full(n + 1, scale), np.full(n + 1, scale)
    z_low[n] = z_high[n] = 0.0 if fixed else scale
    a = np.append(np.ones(n), -1.0)
    inside = np.append(np.ones(n, dtype=bool), not fixed)

    for _ in range(rounds):
        below, above = np.where(inside, x - low, 1.0), np.where(inside, high - x, 1.0)
        gradient = np.append(K.times(x[:n]) - kappa, 0.0)
        dual = -(gradient + a * y - z_low + z_high)
        dual[n] *= not fixed
        primal = -float(a @ x)
        mu = float(z_low @ below + z_high @ above) / (2 * inside.sum())
        objective = abs(float(0.5 * x[:n] @ (gradient[:n] - kappa)))
        if mu * 2 * n <= 0.1 * tol * objective and np.abs(dual).max() * x[n] <= 0.1 * tol * objective:
            break
        D = z_low / below + z_high / above
        solve = K.with_diagonal(D[:n])
        of_ones = solve(np.ones(n))
        give = 0.0 if fixed else 1.0 / D[n]

        def direction(r_low: np.ndarray, r_high: np.ndarray) -> tuple[np.ndarray, ...]:
            right = dual + r_low / below - r_high / above
            of_right = solve(right[:n])
            dy = (of_right.sum() - give * right[n] - primal) / (of_ones.sum() + give)
            dx = np.append(of_right - of_ones * dy, give * (right[n] + dy))
            return dx, dy, (r_low - z_low * dx) / below, (r_high + z_high * dx) / above

        def longest(dx: np.ndarray, dz_low: np.ndarray, dz_high: np.ndarray) -> float:
            return min(
                _room(below, dx),
                _room(above, -dx),
                _room(z_low, dz_low),
                _room(z_high, dz_high),
            )

        dx, dy, dz_low, dz_high = direction(-z_low * below, -z_high * above)
        step = longest(dx, dz_low, dz_high)
        ahead = (z_low + step * dz_low) @ (below + step * dx) + (z_high + step * dz_high) @ (above - step * dx)
        centre = (float(ahead) / (2 * inside.sum()) / mu) ** 3 * mu
        dx, dy, dz_low, dz_high = direction(
            inside * (centre - dx * dz_low) - z_low * below, inside * (centre + dx * dz_high) - z_high * above
        )
        step = min(1.0, 0.995 * longest(dx, dz_low, dz_high))
        x, y = x + step * dx, y + step * float(dy)
        z_low, z_high = z_low + step * dz_low, z_high + step * dz_high
    # An interior point has no zeros: drop the smallest weights, as many as cannot be felt in the gap.
    w = x[:n].copy()
    order = np.argsort(w)
    w[order[np.cumsum(w[order]) <= 0.1 * tol * objective / total[1]]] = 0.0
    return project_box_sum(w, upper, total)


def _room(distance: np.ndarray, step: np.ndarray) -> float:
    """Return how far, at most 1, one may go along a step before a distance is used up."""
    shrinking = step < 0
    return min(1.0, float((distance[shrinking] / -step[shrinking]).min())) if shrinking.any() else 1.0


def largest_eigenvalue(product: Callable[[np.ndarray], np.ndarray], n: int, rounds: int = 30) -> float:
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
