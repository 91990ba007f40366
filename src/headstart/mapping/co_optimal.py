"""CO-optimal transport: rows and columns of two tables are matched together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from headstart.mapping.transport import Plan, entropic, exact

#: Fall of the objective, beside its size, at which the rounds end.
TOL = 1e-7


def co_optimal(
    Xs: np.ndarray,
    Xt: np.ndarray,
    a: np.ndarray | None = None,
    b: np.ndarray | None = None,
    *,
    cost: np.ndarray | None = None,
    reg: float = 0.0,
    reg_columns: float = 0.0,
    max_iter: int = 100,
    start: np.ndarray | None = None,
) -> tuple[Plan, Plan]:
    r"""Return the couplings of rows and of columns under which entries that meet are alike.

    .. math:: \min_{\pi, \rho} \sum_{ijkl} \pi_{ij}\rho_{kl} (X_{ik} - X'_{jl})^2 + \langle\pi, C\rangle
              + \varepsilon KL(\pi) + \varepsilon' KL(\rho)

    by turns: with one coupling fixed the other is an optimal transport (Redko, Vayer, Flamary, Courty: CO-Optimal
    Transport. NeurIPS 2020). The objective, entropies included, falls from round to round; it has many local minima.

    Parameters
    ----------
    Xs, Xt : arrays of shape (n_s, d_s) and (n_t, d_t)
        Columns of each domain with comparable spreads.
    a, b : arrays of shape (n_s,) and (n_t,), optional
        Masses of the rows; columns all have the same.
    cost : array of shape (n_s, n_t), optional
        What else it costs to couple two rows: different labels, say.
    reg, reg_columns : float
        Entropies of the two couplings, in units of squared entries; 0 is exact transport.
    max_iter : int
        Rounds, at most.
    start : array of shape (d_s, d_t), optional
        Coupling of the columns to begin with; by default all belong to all.

    Returns
    -------
    tuple of Plan
        Of rows, with the whole objective, and of columns.

    Examples
    --------
    >>> X = np.array([[1.0, 20.0, 0.0], [2.0, 10.0, 0.0], [4.0, 0.0, 30.0]])
    >>> rows, columns = co_optimal(X, X[::-1][:, [2, 0, 1]])
    >>> rows.coupling.toarray().argmax(axis=1), columns.coupling.toarray().argmax(axis=1), round(rows.objective, 9)
    (array([2, 1, 0]), array([1, 2, 0]), 0.0)
    """
    a = np.full(len(Xs), 1 / len(Xs)) if a is None else a
    b = np.full(len(Xt), 1 / len(Xt)) if b is None else b
    c, e = np.full(Xs.shape[1], 1 / Xs.shape[1]), np.full(Xt.shape[1], 1 / Xt.shape[1])
    rho = np.outer(c, e) if start is None else start
    last = np.inf
    n_iter, fall = 0, np.inf
    g_rows: np.ndarray | None = None
    g_columns: np.ndarray | None = None
    while n_iter == 0 or (n_iter < max_iter and fall > TOL * abs(last)):
        n_iter += 1
        C = _meeting(Xs, Xt, rho, c, e)
        rows = _solved(C if cost is None else C + cost, a, b, reg, g_rows)
        # What the rows alone are charged: the cost between them, and their entropy.
        own = rows.objective - total(rows.coupling, C)
        columns = _solved(_meeting(Xs.T, Xt.T, rows.coupling, a, b), c, e, reg_columns, g_columns)
        rho, objective = columns.coupling, own + columns.objective
        g_rows, g_columns = rows.g, columns.g
        fall, last = last - objective, objective
    done = rows.converged and columns.converged and fall <= TOL * abs(objective)
    rows = replace(rows, objective=objective, residual=fall, n_iter=n_iter, converged=done)
    return rows, columns


def _meeting(X: np.ndarray, Y: np.ndarray, rho: Any, c: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Return sum_kl rho_kl (X_ik - Y_jl)^2, shape (rows of X, rows of Y)."""
    C = (X @ rho) @ Y.T
    C *= -2.0
    C += (np.square(X) @ c)[:, None]
    C += np.square(Y) @ e
    return np.maximum(C, 0.0, out=C)


def _solved(C: np.ndarray, a: np.ndarray, b: np.ndarray, reg: float, g: np.ndarray | None) -> Plan:
    """Return the coupling for the costs of a round; scaling begins where that of the last round ended."""
    return entropic(C, a, b, reg, start=g) if reg > 0 else exact(C, a, b)


def total(P: Any, C: np.ndarray) -> float:
    """Return the sum of P_ij C_ij, for a dense or sparse P."""
    return float(P.multiply(C).sum()) if issparse(P) else float(np.vdot(P, C))
