"""What every category adds in every scenario, beyond what it says everywhere: drawn to zero, as mixed effects are."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, cg

#: Newton steps, at most, and conjugate gradients in each; they end when the gradient is this share of the first one.
NEWTON, CONJUGATE, SMALL = 20, 60, 1e-4


def fit_offsets(
    codes: np.ndarray,
    scenario: np.ndarray,
    y: np.ndarray,
    base: np.ndarray,
    size: tuple[int, int],
    penalty: float,
) -> np.ndarray:
    r"""Return the offsets of categories by scenario, shape (scenarios, categories).

    .. math:: \min_u \sum_i \log(1 + e^{-t_i z_i}) + \frac{\lambda}{2} \|u\|^2, \qquad
              z_i = base_i + \sum_{c \in i} u_{s_i, c}, \qquad t_i = \pm 1

    `base` must come from models that have not seen the row, or offsets would only repeat what was learned by heart. For
    the same reason lambda can't be chosen on these rows: the models of some have seen the others.

    Parameters
    ----------
    codes : int array of shape (n, fields)
    scenario : int array of shape (n,)
    y : array of 0 and 1, shape (n,)
    base : array of shape (n,)
        Log-odds without offsets.
    size : (scenarios, categories)
    penalty : float
        lambda.

    Examples
    --------
    In scenario 1 the category says the opposite of what is said everywhere.

    >>> codes, scenario = np.array([[0], [1]] * 40), np.repeat([0, 1], 40)
    >>> y = (codes[:, 0] + scenario) % 2
    >>> base = 2.0 * codes[:, 0] - 1
    >>> offsets = fit_offsets(codes, scenario, y, base, (2, 2), 1.0)
    >>> bool((offsets[1] * [1, -1] > 1).all())
    True
    """
    A = _design(codes, scenario, size)
    t = 1 - 2 * y
    u, first = np.zeros(A.shape[1]), None

    def loss(u: np.ndarray) -> float:
        return float(np.logaddexp(0.0, t * (base + A @ u)).sum()) + 0.5 * penalty * float(u @ u)

    now = loss(u)
    for _ in range(NEWTON):
        chance = 1 / (1 + np.exp(-(base + A @ u)))
        slope = A.T @ (chance - y) + penalty * u
        length = float(np.linalg.norm(slope))
        first = length if first is None else first
        if length <= SMALL * first:
            break
        curvature = chance * (1 - chance)
        hessian = LinearOperator(2 * A.shape[1:], lambda v, w=curvature: A.T @ (w * (A @ v)) + penalty * v, dtype=float)
        step, _ = cg(hessian, -slope, rtol=0.03, maxiter=CONJUGATE)
        share = 1.0
        # A whole step is too long only far from the optimum.
        while (then := loss(u + share * step)) > now and share > SMALL:
            share /= 2
        if then > now:
            break
        u, now = u + share * step, then
    return u.reshape(size)


def sums_of(offsets: np.ndarray, codes: np.ndarray, scenario: np.ndarray) -> np.ndarray:
    """Return what the offsets of each row's categories add up to in its scenario, shape (n,)."""
    return np.asarray(offsets[scenario[:, None], codes].sum(axis=1))


def _design(codes: np.ndarray, scenario: np.ndarray, size: tuple[int, int]) -> csr_matrix:
    n, fields = codes.shape
    columns = (scenario[:, None] * size[1] + codes).ravel()
    return csr_matrix((np.ones(n * fields), columns, np.arange(n + 1) * fields), shape=(n, size[0] * size[1]))
