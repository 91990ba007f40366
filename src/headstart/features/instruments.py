"""Regressions from one instrument's measurements to another's: components, and how many of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from headstart.draws import folds
from headstart.errors import InputError

#: Folds in which pairs are held out; up to so many pairs, each is one.
FOLDS = 10


def principal_components(C: np.ndarray, Y: np.ndarray, reg: float) -> tuple[np.ndarray, np.ndarray]:
    """Return W (m, r) and Q (r, q) such that W[:, :k] @ Q[:k] are the coefficients of regression on k components.

    With C = U S V', W = V S / (S^2 + reg S_1^2) and Q = U'Y. All components and reg = 0 are the pseudo-inverse.

    Parameters
    ----------
    C : array of shape (p, m)
    Y : array of shape (p, q)
    reg : float
        Ridge penalty, as a share of the largest squared singular value.
    """
    U, s, V = np.linalg.svd(C, full_matrices=False)
    kept = s > max(C.shape) * np.finfo(float).eps * s[0]
    U, s, V = U[:, kept], s[kept], V[kept]
    return V.T * (s / (s**2 + reg * s[:1] ** 2)), U.T @ Y


def partial_least_squares(C: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same for partial least squares with one response, Y of shape (p, 1).

    Scores t are orthonormal, C W = T (Wold, Martens, Wold: The Multivariate Calibration Problem in Chemistry Solved by
    the PLS Method. 1983).
    """
    E, f = C.copy(), Y[:, 0]
    weights: list[np.ndarray] = []
    loadings: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    # Below this, what is left of C or Y is rounding errors.
    least = max(C.shape) * np.finfo(float).eps * np.linalg.norm(C)
    for _ in range(min(C.shape)):
        w = E.T @ f
        size = np.linalg.norm(w)
        if size <= least * np.linalg.norm(Y):
            break
        t = E @ (w / size)
        length = np.linalg.norm(t)
        if length <= least:
            break
        t /= length
        # In exact arithmetic the new score is orthogonal to the former already.
        for former in scores:
            t -= former * (former @ t)
        loading = C.T @ t
        E = E - np.outer(t, loading)
        f = f - t * (t @ f)
        weights.append(w / (size * length))
        loadings.append(loading)
        scores.append(t)
    if not scores:
        return np.zeros((C.shape[1], 0)), np.zeros((0, 1))
    W, P, T = np.array(weights).T, np.array(loadings).T, np.array(scores).T
    return W @ np.linalg.inv(P.T @ W), T.T @ Y


def checked_components(n_components: Any, name: str) -> int | str | None:
    """Refuse a number of components that is none."""
    if n_components is None or n_components == "cv" or (not isinstance(n_components, str) and n_components >= 1):
        return n_components
    raise InputError(f"{name}: n_components must be a positive number, None or 'cv', not {n_components!r}")


def enough_pairs(p: int, background: bool, name: str) -> None:
    """Refuse a single pair where a mean is to be taken away."""
    if background and p < 2:
        raise InputError(f"{name}: one pair can't tell signal from background; give more, or set background=False")


def components_by_held_out_pairs(
    Xs: np.ndarray,
    Xt: np.ndarray,
    regressions: Callable[[np.ndarray, np.ndarray], Iterable[tuple[Any, Any, np.ndarray, np.ndarray]]],
    background: bool,
    random_state: int | None,
) -> tuple[int, np.ndarray]:
    """Return the number of components that brings held-out target rows near to their source rows.

    Up to 10 pairs each is held out once (leave-one-out), more in 10 folds. The fewest components are taken whose mean
    squared error is above the least by no more than one standard error of the difference, over the pairs (the rule of
    Breiman, Friedman, Olshen, Stone: Classification and Regression Trees. 1984). No label is used.

    Parameters
    ----------
    Xs, Xt : arrays of shape (p, d_s) and (p, d_t)
        Paired rows.
    regressions : callable
        Turns centred training rows (Xt, Xs) into regressions: columns of Xt, columns of Xs, W and Q.
    background : bool
        Whether the means of the training rows are taken away.
    random_state : int, optional
        Deals the pairs out.

    Returns
    -------
    k : int
    errors : array of shape (most,)
        Root mean squared error with 1, 2, ... components.
    """
    if len(Xs) < 2:
        return 1, np.zeros(0)
    of_row = folds(Xt, FOLDS, random_state)
    errors = np.zeros((len(Xs), min(Xt.shape)))
    for fold in range(int(of_row.max()) + 1):
        held = of_row == fold
        mean_t, mean_s = means(Xt[~held], background), means(Xs[~held], background)
        C, wanted = Xt[held] - mean_t, Xs[held] - mean_s
        found = list(regressions(Xt[~held] - mean_t, Xs[~held] - mean_s))
        # What every fold can try.
        errors = errors[:, : max(W.shape[1] for _, _, W, _ in found)]
        for columns_t, columns_s, W, Q in found:
            scores, missed = C[:, columns_t] @ W, wanted[:, columns_s].copy()
            for k in range(errors.shape[1]):
                # A regression with fewer components than others stays at its best.
                if k < W.shape[1]:
                    missed -= np.outer(scores[:, k], Q[k])
                errors[held, k] += np.einsum("ij,ij->i", missed, missed) / Xs.shape[1]
    if not errors.shape[1]:
        return 1, np.zeros(0)
    mean = errors.mean(axis=0)
    more = errors - errors[:, [int(np.argmin(mean))]]
    near = more.mean(axis=0) <= more.std(axis=0, ddof=1) / np.sqrt(len(Xs))
    return int(np.argmax(near)) + 1, np.sqrt(mean)


def means(X: np.ndarray, background: bool) -> np.ndarray:
    """Return the mean row, or zeros."""
    return X.mean(axis=0) if background else np.zeros(X.shape[1])
