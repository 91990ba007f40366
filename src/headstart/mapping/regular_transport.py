"""Optimal transport with a further penalty: groups by class, and smoothness along graphs of neighbors."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, diags

from headstart.mapping.transport import Plan, entropic, entropy, exact

#: Mass added to each group's under the root, as published: the penalty's slope stays finite.
SMOOTHING = 1e-3
#: Fall of the objective, beside what the gradient promises, from which a step is taken; steps are halved until then.
ENOUGH = 0.25
MOST_HALVINGS = 20


def lpl1(
    C: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    group: np.ndarray,
    reg: float,
    reg_class: float,
    *,
    n_rows: int | None = None,
    tol: float = 1e-7,
    max_iter: int = 10_000,
    max_rounds: int = 50,
    round_tol: float = 1e-3,
) -> Plan:
    r"""Return the entropic coupling under a concave penalty of how many classes send mass to a target row.

    .. math:: \min_\gamma \langle\gamma, C\rangle + \varepsilon KL(\gamma\,|\,a b^\top)
              + \eta \sum_{c,j} (\gamma_{cj} + 0.001)^{1/2},\qquad \gamma_{cj} = \sum_{i \in c} \gamma_{ij}

    Each round replaces the penalty by its tangent, which lies above it, so that the objective never rises (Courty,
    Flamary, Tuia: Domain Adaptation with Regularized Optimal Transport. ECML 2014). The residual is the
    mass that the last round moved between classes and target rows, out of a total of 1.

    Parameters
    ----------
    C, a, b, tol, max_iter
        As in `entropic`.
    group : int array of shape (n_s,)
        The class of each source row; equal ones stand together.
    reg, reg_class : float
        The weights epsilon and eta.
    n_rows : int, optional
        Target rows in all, by default n_t. A target row of mass b_j stands for b_j n_rows equal ones.
    """
    heads, of_row = _heads(group)
    count = b * (len(b) if n_rows is None else n_rows)
    plan = entropic(C, a, b, reg, tol=tol, max_iter=max_iter)
    masses = _masses(plan.coupling, heads)
    for n_iter in range(1, max_rounds + 1):
        slope, guess, before = 0.5 / np.sqrt(masses / count + SMOOTHING), plan.g, masses
        del plan
        plan = entropic(C + reg_class * slope[of_row], a, b, reg, tol=tol, max_iter=max_iter, start=guess)
        masses = _masses(plan.coupling, heads)
        moved = float(np.abs(masses - before).sum())
        if moved <= round_tol or n_iter == max_rounds:
            break
    above = count * np.sqrt(masses / count + SMOOTHING) - slope * masses
    value = plan.objective + reg_class * float(above.sum())
    return Plan(plan.coupling, plan.f, plan.g, value, moved, n_iter, plan.converged and moved <= round_tol)


def l1l2(
    C: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    group: np.ndarray,
    reg: float,
    reg_class: float,
    *,
    n_rows: int | None = None,
    tol: float = 1e-7,
    max_iter: int = 10_000,
    max_rounds: int = 50,
    round_tol: float = 1e-4,
) -> Plan:
    r"""Return the entropic coupling under a group lasso of the mass that each class sends to a target row.

    .. math:: \min_\gamma \langle\gamma, C\rangle + \varepsilon KL(\gamma\,|\,a b^\top)
              + \eta \sum_{c,j} \|\gamma_{\mathcal{I}_c j}\|_2

    by generalised conditional gradient (Courty, Flamary, Tuia, Rakotomamonjy, TPAMI 2017): the penalty is made linear,
    the entropic problem solved, and a step taken towards its solution that lowers the whole objective. The residual
    is the duality gap, an upper bound of what the objective lacks, relative to its size.

    Parameters
    ----------
    C, a, b, group, reg, reg_class, tol, max_iter
        As in `lpl1`.
    n_rows : int, optional
        Source rows in all, by default n_s. A source row of mass a_i stands for a_i n_rows equal ones.
    """
    heads, of_row = _heads(group)
    count = (a * (len(a) if n_rows is None else n_rows))[:, None]

    def norms(P: np.ndarray) -> np.ndarray:
        return np.sqrt(_masses(P * P / count, heads))

    def penalty(P: np.ndarray) -> float:
        return float(np.vdot(C, P)) + reg_class * float(norms(P).sum())

    # The marginals are fixed, so KL(P | a b') is sum P log P up to a constant.
    constant = float(a @ np.log(a) + b @ np.log(b))
    plan = entropic(C, a, b, reg, tol=tol, max_iter=max_iter)
    P, g, solved, gap = plan.coupling, plan.g, plan.converged, np.inf
    entropy_P = entropy(P)
    value = penalty(P) + reg * entropy_P
    for n_iter in range(1, max_rounds + 1):
        slope = P / count
        slope /= np.maximum(norms(P), 1e-300)[of_row]
        slope *= reg_class
        slope += C
        toward = entropic(slope, a, b, reg, tol=tol, max_iter=max_iter, start=g)
        g, solved, step = toward.g, toward.converged, toward.coupling
        step -= P
        gap = -float(np.vdot(slope, step)) + reg * (entropy_P - entropy(P + step))
        del slope, toward
        relative = gap / max(abs(value - reg * constant), 1e-300)
        if relative <= round_tol or n_iter == max_rounds:
            break
        length = 1.0
        for _ in range(MOST_HALVINGS):
            trial = P + length * step
            entropy_trial = entropy(trial)
            reached = penalty(trial) + reg * entropy_trial
            if reached <= value - ENOUGH * length * gap:
                break
            length /= 2
        P, entropy_P, value = trial, entropy_trial, reached
    converged = bool(solved and relative <= round_tol)
    return Plan(P, plan.f, g, value - reg * constant, relative, n_iter, converged)


def laplace(
    C: np.ndarray,
    source: tuple[np.ndarray, np.ndarray],
    target: tuple[np.ndarray, np.ndarray],
    reg_laplace: float,
    n_neighbors: int = 3,
    *,
    max_rounds: int = 50,
    round_tol: float = 1e-3,
) -> Plan:
    r"""Return the coupling under which neighbors stay neighbors, in the image of either domain.

    .. math:: \min_\gamma \langle\gamma, C\rangle + \frac{\eta}{4}\Bigl(
              \operatorname{mean}_{i \sim k} \|\hat x_i - \hat x_k\|^2 +
              \operatorname{mean}_{j \sim l} \|\hat x'_j - \hat x'_l\|^2\Bigr)

    over pairs of nearest neighbors, each as often as it has mass, where the images are barycenters, :math:`\hat x_i =
    \sum_j \gamma_{ij} x'_j / a_i` and :math:`\hat x'_j = \sum_i \gamma_{ij} x_i / b_j` (Flamary, Courty,
    Rakotomamonjy, Tuia: Optimal Transport with Laplacian Regularization. NIPS workshop 2014). Solved by conditional
    gradient with exact steps; the residual is the duality gap, relative to the objective.

    Parameters
    ----------
    C : array of shape (n_s, n_t)
    source, target : tuples of rows (n, d) and masses (n,)
    reg_laplace : float
        The weight eta.
    n_neighbors : int
    """
    (Xs, a), (Xt, b) = source, target
    L, M = _graph(Xs, a, n_neighbors), _graph(Xt, b, n_neighbors)

    def smooth(P: Any) -> float:
        forth, back = P @ Xt, P.T @ Xs
        return 0.5 * reg_laplace * float(np.vdot(forth, L @ forth) + np.vdot(back, M @ back))

    plan = exact(C, a, b)
    P, solved, relative = plan.coupling, plan.converged, np.inf
    for n_iter in range(1, max_rounds + 1):
        gradient = (L @ (P @ Xt)) @ Xt.T
        gradient += Xs @ (M @ (P.T @ Xs)).T
        gradient *= reg_laplace
        gradient += C
        toward = exact(gradient, a, b)
        solved, step = toward.converged, (toward.coupling - P).tocsr()
        gap = -float(step.multiply(gradient).sum())
        curved, value = smooth(step), float(P.multiply(C).sum()) + smooth(P)
        relative = gap / max(abs(value), 1e-300)
        if relative <= round_tol or n_iter == max_rounds:
            break
        length = 1.0 if gap >= 2 * curved else gap / (2 * curved)
        P = (P + length * step).tocsr()
    return Plan(P, plan.f, plan.g, value, relative, n_iter, bool(solved and relative <= round_tol))


def _heads(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each class begins, and the number of each row's class."""
    heads = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    return heads, np.repeat(np.arange(len(heads)), np.diff(np.append(heads, len(group))))


def _masses(P: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Return the sums over the rows of each class, shape (k, n_t)."""
    return np.add.reduceat(P, heads, axis=0)


def _graph(X: np.ndarray, mass: np.ndarray, n_neighbors: int) -> csr_matrix:
    """Return D^(-1) L D^(-1), with L the Laplacian of the graph of neighbors, and D the masses.

    An edge weighs as much as the product of its ends' masses; the weights sum to 1.
    """
    from sklearn.neighbors import kneighbors_graph

    k = min(n_neighbors, len(X) - 1)
    if k < 1:
        return csr_matrix((len(X), len(X)))
    S = kneighbors_graph(X, k)
    S = diags(mass) @ (S + S.T) @ diags(mass)
    S = S / S.sum()
    L = diags(np.asarray(S.sum(axis=1)).ravel()) - S
    return csr_matrix(diags(1 / mass) @ L @ diags(1 / mass))
