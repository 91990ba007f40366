"""What every category adds in every scenario, beyond what it says everywhere: drawn to zero, as mixed effects are."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, cg

#: Newton steps, at most, and conjugate gradients in each; they end when the gradient is this share of the first one.
NEWTON, CONJUGATE, SMALL = 20, 100, 1e-4


def fit_offsets(
    codes: np.ndarray,
    scenario: np.ndarray,
    y: np.ndarray,
    base: np.ndarray,
    size: tuple[int, int],
    penalty: float,
    factors: csr_matrix | None = None,
) -> np.ndarray:
    r"""Return the offsets of categories by scenario, shape (scenarios, categories).

    .. math:: \min_{v, a} \sum_i \log(1 + e^{-t_i z_i}) + \frac{\lambda}{2} (\|v\|^2 + \|a\|^2), \qquad
              z_i = base_i + \sum_{c \in i} u_{s_i, c}, \qquad u_s = v_s + F a_s, \qquad t_i = \pm 1

    That draws the offsets to zero as if u_s were normal with the covariance (I + F F') / lambda: what is seen of one
    category in a scenario is in part expected of those that are like it.

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
    factors : sparse array of shape (categories, m), optional
        F, as of `likeness_factors`; without, every offset is by itself.

    Examples
    --------
    In scenario 1 the category says the opposite of what is said everywhere.

    >>> codes, scenario = np.array([[0], [1]] * 40), np.repeat([0, 1], 40)
    >>> y = (codes[:, 0] + scenario) % 2
    >>> base = 2.0 * codes[:, 0] - 1
    >>> offsets = fit_offsets(codes, scenario, y, base, (2, 2), 1.0)
    >>> bool((offsets[1] * [1, -1] > 1).all())
    True

    A third category, which is seen in scenario 0 only, is like the first.

    >>> offsets = fit_offsets(codes, scenario, y, base, (2, 3), 1.0, csr_matrix([[1.0], [0.0], [1.0]]))
    >>> bool(offsets[1, 2] > 0.5)
    True
    """
    A = _design(codes, scenario, size)
    F = csr_matrix((size[1], 0)) if factors is None else csr_matrix(factors)
    t = 1 - 2 * y
    own = size[0] * size[1]
    theta = np.zeros(own + size[0] * F.shape[1])
    squares = csr_matrix(F.multiply(F))

    def offsets(theta: np.ndarray) -> np.ndarray:
        return np.asarray(theta[:own] + (F @ theta[own:].reshape(size[0], -1).T).T.ravel())

    def back(r: np.ndarray, through: csr_matrix) -> np.ndarray:
        of_category = A.T @ r
        return np.concatenate([of_category, (through.T @ of_category.reshape(size).T).T.ravel()])

    def loss(theta: np.ndarray) -> float:
        z = base + A @ offsets(theta)
        return float(np.logaddexp(0.0, t * z).sum()) + 0.5 * penalty * float(theta @ theta)

    now, first = loss(theta), None
    for _ in range(NEWTON):
        chance = 1 / (1 + np.exp(-(base + A @ offsets(theta))))
        slope = back(chance - y, F) + penalty * theta
        length = float(np.linalg.norm(slope))
        first = length if first is None else first
        if length <= SMALL * first:
            break
        w = chance * (1 - chance)
        hessian = LinearOperator(
            2 * theta.shape, lambda v, w=w: back(w * (A @ offsets(v)), F) + penalty * v, dtype=float
        )
        # A row has one category of a column, and a factor is of one column: squares are all that is on the diagonal.
        diagonal = back(w, squares) + penalty
        scaled = LinearOperator(2 * theta.shape, lambda v, diagonal=diagonal: v / diagonal, dtype=float)
        step, _ = cg(hessian, -slope, rtol=0.03, maxiter=CONJUGATE, M=scaled)
        share = 1.0
        # A whole step is too long only far from the optimum.
        while (then := loss(theta + share * step)) > now and share > SMALL:
            share /= 2
        if then > now:
            break
        theta, now = theta + share * step, then
    return offsets(theta).reshape(size)


def sums_of(offsets: np.ndarray, codes: np.ndarray, scenario: np.ndarray) -> np.ndarray:
    """Return what the offsets of each row's categories add up to in its scenario, shape (n,)."""
    return np.asarray(offsets[scenario[:, None], codes].sum(axis=1))


def _design(codes: np.ndarray, scenario: np.ndarray, size: tuple[int, int]) -> csr_matrix:
    n, fields = codes.shape
    columns = (scenario[:, None] * size[1] + codes).ravel()
    return csr_matrix((np.ones(n * fields), columns, np.arange(n + 1) * fields), shape=(n, size[0] * size[1]))
