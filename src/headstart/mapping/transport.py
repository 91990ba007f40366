"""Optimal transport between two discrete measures: exact, entropic and unbalanced couplings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from headstart.errors import InputError

#: Entries of a cost matrix that are looked at at once, and along each side where a part of it speaks for all.
BLOCK = 2**20
SIDE = 1000
#: Entries up to which the simplex gets every arc at once; arcs a row that it begins with beyond.
MOST_WHOLE = 250_000
ARCS = 15
#: Entropy, relative to the costs' spread, of the short scalings whose potentials tell the likely arcs.
WARM = (0.1, 0.02, 0.005)
WARM_STEPS = 12
MOST_PIVOTS = 10**9
MOST_ROUNDS = 100
#: Steps, at least, after which the over-relaxation is set anew, and its bound.
RELAX_EVERY = 20
MOST_RELAXED = 1.97
#: Size of a scaling's logarithm beyond which it is taken into the potentials.
MOST_LOG = {np.dtype(np.float64): 100.0, np.dtype(np.float32): 30.0}


@dataclass(frozen=True, eq=False)
class Plan:
    """A coupling, and how well it is solved.

    Parameters
    ----------
    coupling : array or CSR matrix of shape (n_s, n_t)
    f, g : arrays of shape (n_s,) and (n_t,)
        Dual potentials.
    objective : float
        What was minimised, at the coupling.
    residual : float
        How far from solved: what that is, the solver says.
    n_iter : int
    converged : bool
    """

    coupling: Any
    f: np.ndarray
    g: np.ndarray
    objective: float
    residual: float
    n_iter: int
    converged: bool


def exact(C: np.ndarray, a: np.ndarray, b: np.ndarray, start: np.ndarray | None = None) -> Plan:
    r"""Return the coupling of least cost, proved to be so by its potentials.

    .. math:: \min_\gamma \langle\gamma, C\rangle \quad s.t.\quad
              \gamma 1 = a,\;\; \gamma^\top 1 = b,\;\; \gamma \ge 0

    Few arcs carry mass, so the network simplex gets the likely ones only: those whose reduced cost C - f - g is small
    under the potentials of a short entropic solution. Arcs that the simplex's own potentials show to be missing are
    added until none is (after Schmitzer: A Sparse Multiscale Algorithm for Dense Optimal Transport. JMIV 2016). The
    residual is the largest violation of f_i + g_j <= C_ij, relative to the largest cost.

    Parameters
    ----------
    C : array of shape (n_s, n_t)
    a, b : arrays of shape (n_s,) and (n_t,)
        Positive masses with the same sum.
    start : array of shape (n_t,), optional
        A guess of the potential g, of a problem with nearly the same costs; the optimum does not depend on it.
    """
    import ot

    most = float(np.abs(C).max())
    arcs = np.arange(C.size) if C.size <= MOST_WHOLE else _likely_arcs(C, a, b, start)
    for n_iter in range(1, MOST_ROUNDS + 1):
        i, j = np.divmod(arcs, C.shape[1])
        graph = coo_matrix((C[i, j], (i, j)), shape=C.shape)
        flow, told = ot.emd(a, b, graph, numItermax=MOST_PIVOTS, log=True, check_marginals=False)
        f, g = np.asarray(told["u"]), np.asarray(told["v"])
        missing, lowest = _missing_arcs(C, f, g, 1e-10 * most)
        if not len(missing) or n_iter == MOST_ROUNDS:
            break
        arcs = np.union1d(arcs, missing)
    residual = max(0.0, -lowest) / most if most else 0.0
    converged = told["result_code"] == 1 and not len(missing)
    return Plan(csr_matrix(flow), f, g, float(told["cost"]), residual, n_iter, converged)


def partial(C: np.ndarray, a: np.ndarray, b: np.ndarray, mass: float) -> Plan:
    r"""Return the coupling of least cost among those that move a given mass.

    .. math:: \min_\gamma \langle\gamma, C\rangle \quad s.t.\quad
              \gamma 1 \le a,\;\; \gamma^\top 1 \le b,\;\; 1^\top\gamma 1 = m,\;\; \gamma \ge 0

    An exact transport with one more row and column that take what stays, at no cost but where they meet (Chapel, Alaya,
    Gasso: Partial Optimal Transport with Applications on Positive-Unlabeled Learning. NeurIPS 2020).

    Parameters
    ----------
    C, a, b
        As in `exact`.
    mass : float
        Above 0, and up to the sum of a.

    Raises
    ------
    InputError
        When the mass is not between.
    """
    if not 0 < mass <= min(a.sum(), b.sum()) + 1e-12:
        raise InputError(f"the mass to move must be above 0 and at most {min(a.sum(), b.sum()):.3g}, not {mass}")
    stays = a.sum() - mass, b.sum() - mass
    if max(stays) <= 0:
        return exact(C, a, b)
    wide = np.zeros((len(a) + 1, len(b) + 1))
    wide[:-1, :-1] = C
    wide[-1, -1] = 2 * float(np.abs(C).max()) + 1
    plan = exact(wide, np.append(a, stays[1]), np.append(b, stays[0]))
    moved = plan.coupling[:-1, :-1]
    objective = float(moved.multiply(C).sum())
    return Plan(moved, plan.f[:-1], plan.g[:-1], objective, plan.residual, plan.n_iter, plan.converged)


def entropic(
    C: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    reg: float,
    reg_mass: float = np.inf,
    *,
    tol: float = 1e-7,
    max_iter: int = 10_000,
    start: np.ndarray | None = None,
) -> Plan:
    r"""Return the coupling of least cost and entropy, with marginals that hold or are only pulled.

    .. math:: \min_\gamma \langle\gamma, C\rangle + \varepsilon KL(\gamma\,|\,a b^\top)
              + \rho KL(\gamma 1\,|\,a) + \rho KL(\gamma^\top 1\,|\,b)

    by scaling rows and columns in turn (Cuturi, NIPS 2013; Chizat, Peyre, Schmitzer, Vialard: Scaling Algorithms for
    Unbalanced Optimal Transport Problems. Mathematics of Computation 2018). Scalings that grow large are taken into
    the potentials, so that a small entropy does no harm. With an infinite rho the row sums hold exactly, and the
    residual is the sum of what the column sums lack; else it is the last change of the column scalings, made up for
    their rate of convergence.

    Parameters
    ----------
    C : array of shape (n_s, n_t)
    a, b : arrays of shape (n_s,) and (n_t,)
        Positive masses.
    reg, reg_mass : float
        The weights epsilon and rho.
    start : array of shape (n_t,), optional
        A guess of the potential g.
    """
    E, (u, v), (f, g), residual, n_iter = _scalings(C, a, b, reg, reg_mass, tol, max_iter, start)
    f, g = f + reg * np.log(u), g + reg * np.log(v)
    E *= (a * u)[:, None]
    E *= b * v
    rows, columns = E.sum(axis=1), E.sum(axis=0)
    objective = float(rows @ f + columns @ g - reg * (rows.sum() - a.sum() * b.sum()))
    if np.isfinite(reg_mass):
        objective += reg_mass * (kl(rows, a) + kl(columns, b))
    return Plan(E, f, g, objective, residual, n_iter, residual <= tol)


def kl(p: np.ndarray, q: np.ndarray) -> float:
    """Return the Kullback-Leibler divergence sum p log(p / q) - p + q of positive masses."""
    return float(np.sum(p * np.log(p / q) - p + q))


def entropy(P: np.ndarray) -> float:
    """Return sum p log p, with 0 log 0 = 0."""
    return float(sum(np.sum(P[rows] * np.log(np.maximum(P[rows], 1e-300))) for rows in blocks(P)))


def blocks(C: np.ndarray) -> Iterator[slice]:
    """Give slices of the rows of a matrix, few enough entries at a time."""
    step = max(1, BLOCK // C.shape[1])
    for start in range(0, len(C), step):
        yield slice(start, min(start + step, len(C)))


def spread_over(C: np.ndarray) -> tuple[slice, slice]:
    """Return slices of evenly spaced rows and columns, a thousand of each or so, that speak for a matrix."""
    return slice(None, None, -(-C.shape[0] // SIDE)), slice(None, None, -(-C.shape[1] // SIDE))


def _scalings(
    C: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    reg: float,
    reg_mass: float,
    tol: float,
    max_iter: int,
    start: np.ndarray | None,
    dtype: type = np.float64,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], float, int]:
    """Return E = exp((f + g - C) / reg), scalings u and v, potentials f and g; the plan is diag(a u) E diag(b v)."""
    power = 1.0 if np.isinf(reg_mass) else reg_mass / (reg_mass + reg)
    sure = 1.0 if np.isinf(reg_mass) else max(1 - power**2, 1e-6)
    most = MOST_LOG[np.dtype(dtype)]
    guess = np.zeros(C.shape[1]) if start is None else start
    f = _min_rows(C, guess)
    g = _min_rows(C.T, f)
    v = np.exp(np.maximum((guess - g) / reg, -most))
    u, E = np.ones(len(a)), _kernel(C, f, g, reg, dtype)
    omega, residual, past, window, look = 1.0, np.inf, np.inf, RELAX_EVERY, RELAX_EVERY
    for n_iter in range(1, max_iter + 1):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            fresh_u = (E @ (b * v).astype(dtype)).astype(float) ** -power * np.exp(f * ((power - 1) / reg))
            next_u = u ** (1 - omega) * fresh_u**omega
            fresh_v = (E.T @ (a * next_u).astype(dtype)).astype(float) ** -power * np.exp(g * ((power - 1) / reg))
            logs = max(np.abs(np.log(next_u)).max(), np.abs(np.log(fresh_v)).max())
        if not logs <= most:
            # Beyond what the numbers hold: two steps on the logarithms, from the last scalings that were sound.
            g = g + reg * np.log(v)
            f = power * _soft_rows(C, g, np.log(b), reg)
            g = power * _soft_rows(C.T, f, np.log(a), reg)
            u, v, E = np.ones(len(a)), np.ones(len(b)), _kernel(C, f, g, reg, dtype)
            omega, past, window, look = 1.0, np.inf, RELAX_EVERY, n_iter + RELAX_EVERY
            continue
        u, residual = next_u, float(b @ np.abs(v / fresh_v - 1)) / sure
        if residual <= tol:
            if omega == 1:
                break
            omega = 1.0
        v = v ** (1 - omega) * fresh_v**omega
        if n_iter == look:
            omega, past = _relaxed(omega, residual / past, window), residual
            # The stronger the relaxation, the longer its effect takes to show.
            window = max(RELAX_EVERY, int(12 / (2 - omega)))
            look += window
    return E, (u, v), (f, g), residual, n_iter


def _relaxed(omega: float, fall: float, steps: int) -> float:
    """Return the over-relaxation for the next steps, from that of the last ones and what they left of the residual.

    Scaling is a Gauss-Seidel iteration, so its rate tells the best factor (Lehmann, von Renesse, Sambale, Uschmajew:
    A Note on Overrelaxation in the Sinkhorn Algorithm. Optimization Letters 2022).
    """
    if fall >= 1:
        return 1 + 0.9 * (omega - 1)
    rate = fall ** (1 / steps)
    plain = (rate + omega - 1) ** 2 / max(rate * omega**2, 1e-300)
    if fall == 0 or rate <= omega - 1 or plain >= 1:
        return omega
    return max(omega, min(2 / (1 + np.sqrt(1 - plain)), MOST_RELAXED))


def _kernel(C: np.ndarray, f: np.ndarray, g: np.ndarray, reg: float, dtype: type) -> np.ndarray:
    E: np.ndarray = np.empty(C.shape, dtype)
    for rows in blocks(C):
        part = E[rows]
        np.subtract(f[rows, None] + g, C[rows], out=part, casting="same_kind")
        part /= reg
        np.exp(part, out=part)
    return E


def _min_rows(C: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return min_j C_ij - g_j."""
    return np.concatenate([(C[rows] - g).min(axis=1) for rows in blocks(C)])


def _soft_rows(C: np.ndarray, g: np.ndarray, log_b: np.ndarray, reg: float) -> np.ndarray:
    """Return -reg log sum_j b_j exp((g_j - C_ij) / reg)."""
    from scipy.special import logsumexp

    return np.concatenate([-reg * logsumexp((g - C[rows]) / reg + log_b, axis=1) for rows in blocks(C)])


def _likely_arcs(C: np.ndarray, a: np.ndarray, b: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """Return positions in C, flat and sorted: small reduced costs, the least of each row and column, and a path."""
    some = spread_over(C)
    scale = float(np.median(C[some] - C[some].min(axis=1, keepdims=True)))
    f = _min_rows(C, np.zeros(C.shape[1]) if start is None else start)
    g = np.zeros(C.shape[1]) if start is None else _min_rows(C.T, f)
    for level in WARM if scale > 0 and start is None else ():
        reg = level * scale
        _, (u, v), (f, g), _, _ = _scalings(C, a, b, reg, np.inf, 0.0, WARM_STEPS, g, np.float32)
        f, g = f + reg * np.log(u), g + reg * np.log(v)
    bound = np.quantile(C[some] - f[some[0], None] - g[some[1]], min(1.0, ARCS * max(C.shape) / C.size))
    best, at = np.full(C.shape[1], np.inf), np.zeros(C.shape[1], dtype=int)
    found = []
    for rows, R in _reduced_costs(C, f, g):
        i, j = np.nonzero(bound > R)
        lowest = R.argmin(axis=0)
        value = R[lowest, np.arange(len(lowest))]
        better = value < best
        best[better], at[better] = value[better], rows.start + lowest[better]
        found += [(rows.start + i) * C.shape[1] + j, np.arange(rows.start, rows.stop) * C.shape[1] + R.argmin(axis=1)]
    return np.unique(np.concatenate([*found, at * C.shape[1] + np.arange(len(at)), _path(a, b)]))


def _path(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the n_s + n_t - 1 arcs of the north-west corner rule: they join all rows, and allow a coupling."""
    ends = np.concatenate([np.cumsum(a)[:-1] / a.sum(), np.cumsum(b)[:-1] / b.sum()])
    of_a = np.repeat([True, False], [len(a) - 1, len(b) - 1])[np.argsort(ends, kind="stable")]
    i, j = np.concatenate([[0], np.cumsum(of_a)]), np.concatenate([[0], np.cumsum(~of_a)])
    return i * len(b) + j


def _reduced_costs(C: np.ndarray, f: np.ndarray, g: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for rows in blocks(C):
        yield rows, C[rows] - f[rows, None] - g


def _missing_arcs(C: np.ndarray, f: np.ndarray, g: np.ndarray, slack: float) -> tuple[np.ndarray, float]:
    """Return the arcs with a reduced cost below -slack, the lowest ones of each block, and the lowest of all."""
    found, lowest = [], 0.0
    for rows, R in _reduced_costs(C, f, g):
        low = np.flatnonzero(R.ravel() < -slack)
        if len(low) > ARCS * R.shape[1]:
            low = low[np.argpartition(R.ravel()[low], ARCS * R.shape[1])[: ARCS * R.shape[1]]]
        found.append(rows.start * C.shape[1] + low)
        lowest = min(lowest, float(R.min()))
    return np.concatenate(found), lowest
