r"""Maps f learned from rows that belong together: the minimiser of a weighted squared distance, family by family.

Every function here solves

.. math:: \min_{f \in F}\; \sum_i w_i \|f(x_i) - y_i\|^2 + \alpha\,\Omega(f),\qquad \sum_i w_i = 1

for rows x_i of the source and y_i of the target. Where a row has no partner but a coupling, y_i is the barycenter of
the rows it is coupled with: the sum over all pairs differs from this one by what no f can change.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.draws import pick
from headstart.errors import InputError
from headstart.kernels import median_gamma, rbf
from headstart.mapping.kernel_map import KernelMap
from headstart.mapping.maps import AffineMap, LinearMap
from headstart.mapping.perceptron_map import PerceptronMap

#: Rows that the kernel map keeps, at most.
MOST_LANDMARKS = 500


def fit_linear(X: np.ndarray, Y: np.ndarray, weight: np.ndarray | None = None, alpha: float = 0.0) -> LinearMap:
    r"""Return the ridge regression through zero, x -> x A, with :math:`\Omega = \|A\|^2`.

    Parameters
    ----------
    X, Y : arrays of shape (n, d_s) and (n, d_t)
    weight : array of shape (n,), optional
    alpha : float
        0 is least squares; of several solutions the shortest.

    Examples
    --------
    >>> fit_linear(np.array([[1.0], [2.0]]), np.array([[3.0], [6.0]])).A
    array([[3.]])
    """
    return LinearMap(_ridge(X, Y, _shares(weight, len(X)), alpha).astype(_precision(X, Y)))


def fit_affine(X: np.ndarray, Y: np.ndarray, weight: np.ndarray | None = None, alpha: float = 0.0) -> AffineMap:
    r"""Return the ridge regression x -> (x - m) A + b, with :math:`\Omega = \|A\|^2`; the intercept is free.

    Parameters
    ----------
    X, Y, weight, alpha
        As in `fit_linear`.

    Examples
    --------
    >>> fit_affine(np.array([[1.0], [2.0]]), np.array([[3.0], [7.0]])).transform(np.array([[3.0]]))
    array([[11.]])
    """
    w = _shares(weight, len(X))
    center, shift = w @ X, w @ Y
    return _affine(center, _ridge(X - center, Y - shift, w, alpha), shift, X, Y)


def fit_orthogonal(X: np.ndarray, Y: np.ndarray, weight: np.ndarray | None = None, *, scale: bool = False) -> AffineMap:
    r"""Return the rotation or reflection with a shift that brings rows nearest: x -> s (x - m) Q + b, Q Q' = 1.

    Orthogonal Procrustes: with the singular value decomposition :math:`\sum_i w_i \bar x_i^\top \bar y_i = U S V^\top`
    it is :math:`Q = U V^\top` (Schoenemann: A Generalized Solution of the Orthogonal Procrustes Problem. Psychometrika
    1966).

    Parameters
    ----------
    X, Y : arrays of shape (n, d_s) and (n, d_t)
        The source has no more columns than the target.
    weight : array of shape (n,), optional
    scale : bool
        Whether s is free; else it is 1.

    Raises
    ------
    InputError
        When the source has more columns than the target: no Q keeps all lengths then.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, -2.0]])
    >>> fit_orthogonal(X, X[:, ::-1]).transform(np.array([[5.0, 7.0]])).round(10)
    array([[7., 5.]])
    """
    if X.shape[1] > Y.shape[1]:
        raise InputError(
            f"an orthogonal map leads to at least as many columns, not from {X.shape[1]} to {Y.shape[1]}; "
            "take f='affine', or map the other way round"
        )
    w = _shares(weight, len(X))
    center, shift = w @ X, w @ Y
    Xw = (X - center) * w[:, None]
    U, S, Vt = np.linalg.svd(Xw.T @ (Y - shift), full_matrices=False)
    size = np.vdot(Xw, X - center)
    s = S.sum() / size if scale and size > 0 else 1.0
    return _affine(center, s * (U @ Vt), shift, X, Y)


def fit_low_rank(
    X: np.ndarray, Y: np.ndarray, weight: np.ndarray | None = None, alpha: float = 0.0, *, rank: int
) -> AffineMap:
    r"""Return the ridge regression whose matrix A has at most a given rank.

    The unrestricted solution A, projected on the leading eigenvectors of :math:`A^\top (C_x + \alpha I) A` (Izenman:
    Reduced-Rank Regression for the Multivariate Linear Model. Journal of Multivariate Analysis 1975; with a penalty
    Mukherjee & Zhu, Statistical Analysis and Data Mining 2011).

    Parameters
    ----------
    X, Y, weight, alpha
        As in `fit_linear`.
    rank : int

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    >>> np.linalg.matrix_rank(fit_low_rank(X, X @ np.diag([3.0, 1.0]), rank=1).A)
    np.int64(1)
    """
    if rank < 1:
        raise InputError(f"rank must be 1 or more, not {rank}")
    w = _shares(weight, len(X))
    center, shift = w @ X, w @ Y
    Xc = X - center
    A = _ridge(Xc, Y - shift, w, alpha)
    fitted = A.T @ ((Xc * w[:, None]).T @ (Xc @ A) + alpha * A)
    V = np.linalg.eigh(fitted)[1][:, -rank:]
    return _affine(center, A @ V @ V.T, shift, X, Y)


def fit_covariance(
    X: np.ndarray, Y: np.ndarray, weight: np.ndarray | None, factors: tuple[np.ndarray, np.ndarray]
) -> AffineMap:
    r"""Return the nearest map x -> (x - m) W Q L' + b, Q Q' = 1, that gives the source the target's covariance.

    With :math:`W^\top C_s W = I` and :math:`C_t = L L^\top`. All members of the family give their images the same
    covariance, so that none can shrink; of them, CORAL and the Bures map are two choices of Q, and here the rows say
    which. As with `fit_orthogonal`, :math:`Q = U V^\top` of
    :math:`\sum_i w_i (W^\top \bar x_i) (L^\top \bar y_i)^\top`.

    Parameters
    ----------
    X, Y, weight
        As in `fit_linear`.
    factors : arrays of shape (d_s, r_s) and (d_t, r_t)
        W and L, see `covariance_factors`.
    """
    w = _shares(weight, len(X))
    center, shift = w @ X, w @ Y
    W, L = factors
    U, _, Vt = np.linalg.svd((((X - center) * w[:, None]) @ W).T @ ((Y - shift) @ L), full_matrices=False)
    return _affine(center, W @ (U @ Vt) @ L.T, shift, X, Y)


def covariance_factors(Xs: np.ndarray, Xt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return W with W' cov(Xs) W = I and L with L L' = cov(Xt), in the leading directions that both have.

    Examples
    --------
    >>> W, L = covariance_factors(np.array([[-1.0], [1.0]]), np.array([[-3.0], [3.0]]))
    >>> float(abs(W[0, 0] * L[0, 0]))
    3.0
    """
    (values_s, V_s), (values_t, V_t) = _axes(Xs), _axes(Xt)
    # With fewer directions on the source's side every one of them has a place; with more, the strongest have.
    r = min(len(values_s), len(values_t))
    return V_s[:, :r] / np.sqrt(values_s[:r]), V_t * np.sqrt(values_t)


def _axes(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return variances and directions of the principal axes along which rows vary, the largest first."""
    values, V = np.linalg.eigh(_covariance(X, ddof=0))
    kept = np.flatnonzero(values > max(values[-1], 0.0) * len(values) * np.finfo(X.dtype).eps)[::-1]
    return values[kept], V[:, kept]


def fit_kernel(
    X: np.ndarray,
    Y: np.ndarray,
    weight: np.ndarray | None = None,
    alpha: float = 1e-3,
    *,
    gamma: float | None = None,
    n_landmarks: int | None = MOST_LANDMARKS,
    random_state: int | None = 0,
) -> KernelMap:
    r"""Return the kernel ridge regression x -> b + sum_j exp(-gamma ||x - l_j||^2) A_j, with the norm of its space.

    The l_j are all rows, or, where there are more, some drawn from them (Nystroem's method: Williams & Seeger, NIPS
    2000). b is the mean of Y.

    Parameters
    ----------
    X, Y, weight
        As in `fit_linear`.
    alpha : float
        Positive.
    gamma : float, optional
        By default 1 / median squared distance between rows.
    n_landmarks : int, optional
        None keeps all rows.
    random_state : int, optional
        Choice of the landmarks.

    Examples
    --------
    >>> X = np.linspace(0, 3, 20)[:, None]
    >>> fit_kernel(X, np.sin(X), alpha=1e-6).transform(np.array([[1.5]])).round(3)
    array([[0.997]])
    """
    if not alpha > 0:
        raise InputError(f"a kernel map needs a positive alpha, not {alpha}; without, it only repeats the rows")
    w = _shares(weight, len(X))
    X64, shift = X.astype(float), w @ Y
    gamma = median_gamma(X64, X64) if gamma is None else gamma
    rows = X64 if n_landmarks is None else X64[pick(X64, n_landmarks, random_state)]
    values, vectors = np.linalg.eigh(rbf(rows, rows, gamma))
    kept = values > values[-1] * len(values) * np.finfo(float).eps
    # In this basis of the landmarks' functions the norm is the Euclidean one.
    root = vectors[:, kept] / np.sqrt(values[kept])
    A = root @ _ridge(rbf(X64, rows, gamma) @ root, Y - shift, w, alpha)
    return KernelMap(rows, A, gamma, shift)


def fit_perceptron(
    X: np.ndarray,
    Y: np.ndarray,
    weight: np.ndarray | None = None,
    alpha: float = 1e-4,
    *,
    hidden: tuple[int, ...] = (64,),
    max_iter: int = 500,
    random_state: int | None = 0,
) -> PerceptronMap:
    """Return a multi-layer perceptron with rectified linear units, trained by Adam.

    Parameters
    ----------
    X, Y, weight, alpha
        As in `fit_linear`; alpha is the weight decay.
    hidden : tuple of int
        Units of each hidden layer.
    max_iter : int
        Passes over the rows, at most.
    random_state : int, optional
        First weights and order of the rows.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> float(np.abs(fit_perceptron(X, np.abs(X)).transform(X) - np.abs(X)).mean()) < 0.05
    True
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    order = np.lexsort(X.T[::-1])
    w = _shares(weight, len(X))[order] * len(X)
    center, spread = Y.mean(axis=0), np.where(Y.std(axis=0) > 0, Y.std(axis=0), 1.0)
    net = MLPRegressor(hidden_layer_sizes=hidden, alpha=alpha, max_iter=max_iter, random_state=random_state)
    with warnings.catch_warnings():
        # The end of a pass limit is no failure: alpha and max_iter are how smooth the map is asked to be.
        warnings.simplefilter("ignore", ConvergenceWarning)
        wanted = ((Y - center) / spread)[order]
        net.fit(X[order], wanted.ravel() if Y.shape[1] == 1 else wanted, sample_weight=w)
    dtype = _precision(X, Y)
    *inner, last = net.coefs_
    *thresholds, offset = net.intercepts_
    matrices = (*inner, last * spread)
    offsets = (*thresholds, offset * spread + center)
    return PerceptronMap(tuple(A.astype(dtype) for A in matrices), tuple(b.astype(dtype) for b in offsets))


def gaussian_map(Xs: np.ndarray, Xt: np.ndarray) -> AffineMap:
    r"""Return the optimal map between the Gaussians of two samples' means and covariances.

    .. math:: x \mapsto (x - \mu_s)\,C_s^{-1/2}\bigl(C_s^{1/2} C_t C_s^{1/2}\bigr)^{1/2} C_s^{-1/2} + \mu_t

    Any factor :math:`C_s = L L^\top` may stand for the root. Where the source does not vary, the image does not either.
    The samples need not be paired. (Knott, Smith: On the Optimal Mapping of Distributions. Journal of Optimization
    Theory and Applications 1984.)
    """
    values, V = np.linalg.eigh(_covariance(Xs))
    kept = values > max(values[-1], 0.0) * len(values) * np.finfo(float).eps
    L, P = V[:, kept] * np.sqrt(values[kept]), V[:, kept] / np.sqrt(values[kept])
    squares, U = np.linalg.eigh(L.T @ _covariance(Xt) @ L)
    A = P @ (U * np.sqrt(np.maximum(squares, 0.0))) @ U.T @ P.T
    return AffineMap(Xs.mean(axis=0), A.astype(Xs.dtype), Xt.mean(axis=0))


def _covariance(X: np.ndarray, ddof: int = 1) -> np.ndarray:
    """Return the sample covariance; that of one row alone is zero."""
    centred = X.astype(float) - X.mean(axis=0, dtype=float)
    return np.asarray(centred.T @ centred / max(len(X) - ddof, 1))


def _ridge(X: np.ndarray, Y: np.ndarray, w: np.ndarray, alpha: float) -> np.ndarray:
    """Return the A that minimises sum_i w_i ||x_i A - y_i||^2 + alpha ||A||^2; of several the shortest."""
    if alpha < 0:
        raise InputError(f"alpha must be zero or more, not {alpha}")
    root = np.sqrt(w)[:, None]
    U, s, Vt = np.linalg.svd(root * X, full_matrices=False)
    kept = s > (s[0] if len(s) else 0.0) * max(X.shape) * np.finfo(X.dtype).eps
    U, s, Vt = U[:, kept], s[kept], Vt[kept]
    return np.asarray(Vt.T @ ((s / (s**2 + alpha))[:, None] * (U.T @ (root * Y))))


def _shares(weight: np.ndarray | None, n: int) -> np.ndarray:
    return np.full(n, 1 / n) if weight is None else weight / weight.sum()


def _precision(X: np.ndarray, Y: np.ndarray) -> Any:
    return np.result_type(X.dtype, Y.dtype)


def _affine(center: np.ndarray, A: np.ndarray, shift: np.ndarray, X: np.ndarray, Y: np.ndarray) -> AffineMap:
    dtype = _precision(X, Y)
    return AffineMap(center.astype(dtype), A.astype(dtype), shift.astype(dtype))
