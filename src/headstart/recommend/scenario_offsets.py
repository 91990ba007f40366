"""What every category adds in every scenario, beyond what it says everywhere: drawn to zero, as mixed effects are."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

#: Steps of the search for the optimum, at most.
STEPS = 60


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
    across = A.T.tocsr()

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        z = base + A @ u
        error = 1 / (1 + np.exp(-z)) - y
        loss = float(np.logaddexp(0.0, (1 - 2 * y) * z).sum())
        return loss + 0.5 * penalty * float(u @ u), across @ error + penalty * u

    found = minimize(objective, np.zeros(A.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    return np.asarray(found.x).reshape(size)


def sums_of(offsets: np.ndarray, codes: np.ndarray, scenario: np.ndarray) -> np.ndarray:
    """Return what the offsets of each row's categories add up to in its scenario, shape (n,)."""
    return np.asarray(offsets[scenario[:, None], codes].sum(axis=1))


def _design(codes: np.ndarray, scenario: np.ndarray, size: tuple[int, int]) -> csr_matrix:
    n, fields = codes.shape
    columns = (scenario[:, None] * size[1] + codes).ravel()
    return csr_matrix((np.ones(n * fields), columns, np.arange(n + 1) * fields), shape=(n, size[0] * size[1]))
