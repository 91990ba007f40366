"""Relations to anchors: how alike two rows of different spaces are, by what they are near to."""

from __future__ import annotations

import numpy as np

from headstart.kernels import squared_distances


def anchor_costs(
    Xs: np.ndarray, Xt: np.ndarray, As: np.ndarray, At: np.ndarray, temperature: float = 0.1
) -> np.ndarray:
    r"""Return the Jensen-Shannon divergences of the rows' relations to anchors, shape (n_s, n_t).

    .. math:: R_{ik} = \operatorname{softmax}_k\bigl(-2\,\|x_i - a_k\|^2 / (\tau \max\|x - a\|^2)\bigr),\qquad
              C_{ij} = JS(R^s_i, R^t_j)

    (Gu, Yang, Zeng, Sun, Xu: Keypoint-Guided Optimal Transport. NeurIPS 2022.)

    Parameters
    ----------
    Xs, Xt : arrays of shape (n_s, d_s) and (n_t, d_t)
    As, At : arrays of shape (p, d_s) and (p, d_t)
        The anchors, which stand for the same in both domains: paired rows, or means of classes. The largest distance
        is one from a row or an anchor to an anchor.
    temperature : float

    Examples
    --------
    >>> Xs, Xt = np.array([[0.0], [3.0], [9.0], [10.0]]), np.array([[0.0, 0.0], [0.0, -2.0], [0.0, -1.8], [0.0, -0.6]])
    >>> anchor_costs(Xs, Xt, Xs[[0, 3]], Xt[[0, 1]]).argmin(axis=1)
    array([0, 3, 2, 1])
    """
    Rs, Rt = _relations(Xs, As, temperature), _relations(Xt, At, temperature)
    C = np.zeros((len(Xs), len(Xt)))
    # One anchor at a time: an array over rows of both domains and anchors would not fit.
    for p, q in zip(Rs.T, Rt.T, strict=True):
        mean = 0.5 * (p[:, None] + q)
        mean *= np.log(np.maximum(mean, np.finfo(float).tiny))
        C -= mean
    C += 0.5 * (_negative_entropy(Rs)[:, None] + _negative_entropy(Rt))
    return np.maximum(C, 0.0, out=C)


def _relations(X: np.ndarray, anchors: np.ndarray, temperature: float) -> np.ndarray:
    center = X.mean(axis=0, dtype=float)
    A = anchors - center
    D = squared_distances(X - center, A)
    most = max(float(D.max()), float(squared_distances(A, A).max()))
    D *= -2.0 / (temperature * most if most > 0 else 1.0)
    D -= D.max(axis=1, keepdims=True)
    R = np.exp(D)
    return np.asarray(R / R.sum(axis=1, keepdims=True))


def _negative_entropy(R: np.ndarray) -> np.ndarray:
    return np.asarray((R * np.log(np.maximum(R, np.finfo(float).tiny))).sum(axis=1))
