"""Weights of a mixture of known components under which rows are likeliest, by sequential quadratic programming."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve

#: The solver keeps (p' Psi)_j above this share of 1 / n: at the optimum it is 1 / n or more, for no mean_j of
#: Psi_lj / (p' Psi)_j is above 1 there and each column of Psi has a maximum of 1.
LEAST = 1e-3


def solve_mixture(
    Psi: np.ndarray, start: np.ndarray | None = None, tol: float = 1e-6, max_iter: int = 100
) -> tuple[np.ndarray, float, int]:
    """Maximise mean_j log (p' Psi)_j over the simplex by sequential quadratic programming.

    Parameters
    ----------
    Psi : array of shape (b, n)
        Components, zero or more, at n rows; the maximum of each column is 1.
    start : array of shape (b,), optional
        Where to start, up to a factor; by default, and where this explains some row badly, all components weigh the
        same.
    tol : float
        Stop when the duality gap is below.
    max_iter : int
        Stop after so many steps in any case.

    Returns
    -------
    p : array of shape (b,)
    gap : float
        No weights have an objective that is higher by more than this.
    n_iter : int
    """
    b, n = Psi.shape
    p = np.full(b, 1.0 / b)
    if start is not None and (start @ Psi).min() > LEAST / n * start.sum():
        p = start / start.sum()
    r = p @ Psi
    n_iter = 0
    while True:
        # With the multiplier of sum p = 1, which is 1, the objective is mean log r - sum p and its gradient a - 1.
        a = Psi @ (1.0 / r) / n
        gap = max(0.0, float(a.max() - 1.0))
        if gap <= tol or n_iter == max_iter:
            return p, gap, n_iter
        working = np.flatnonzero((p > 0) | (a > 1.0))
        A = Psi[working] / r
        # A'p = 1, so H p = a, and the quadratic model around p in q is q'Hq / 2 - (2a - 1)'q.
        d = np.zeros(b)
        d[working] = least_quadratic(A @ A.T / n, 2.0 * a[working] - 1.0, p[working]) - p[working]
        step = _step(r, d @ Psi, d.sum(), (a - 1.0) @ d)
        if step == 0.0:
            return p, gap, n_iter
        p = np.maximum(p + step * d, 0.0)
        p /= p.sum()
        r = p @ Psi
        n_iter += 1


def _step(r: np.ndarray, change: np.ndarray, total: float, slope: float) -> float:
    """Return the first of 1, 1/2, 1/4 ... with which the objective grows as it should; 0 when rounding hides it."""
    now = np.log(r).mean()
    step = 1.0
    while step > np.finfo(float).eps:
        moved = r + step * change
        if moved.min() > LEAST / len(r) and np.log(moved).mean() - step * total >= now + 0.01 * step * slope:
            return step
        step /= 2
    return 0.0


def least_quadratic(H: np.ndarray, c: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Minimise q'Hq / 2 - c'q over q >= 0 with an active set that starts from the zeros of q.

    A slight pull towards the first q makes H definite where components are the same.
    """
    ridge = 1e-10 * np.trace(H) / len(H)
    H, c = H + ridge * np.eye(len(H)), c + ridge * q
    free = q > 0
    for _ in range(5 * len(q)):
        F = np.flatnonzero(free)
        best = np.zeros(len(q))
        best[F] = cho_solve(cho_factor(H[np.ix_(F, F)]), c[F])
        falls = F[best[F] < 0]
        if len(falls):
            shares = q[falls] / (q[falls] - best[falls])
            q = q + shares.min() * (best - q)
            free[falls[shares == shares.min()]] = False
            q[~free] = 0.0
            continue
        q = best
        slack = np.where(free, 0.0, H @ q - c)
        if slack.min() >= -1e-12:
            break
        free[slack.argmin()] = True
    return q
