r"""Components that spread some rows and draw others together: what JGSA and SCA solve.

Both look for functions f = <w, phi(x)> with much of one scatter and little of another,

.. math:: \max_w \frac{z^\top D z}{\varrho\|w\|^2 + z^\top N z},\qquad z = (f(x_1), \ldots, f(x_n))

and D and N are of one kind: rows centred within groups, and some columns of differences of means. With explicit
features the problem is as large as the features are many; with an exact kernel it is solved on the rows, by one
Cholesky factor of the rows that N centres and a block Krylov method.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, cholesky, eigh

from headstart.domain import stack_rows
from headstart.draws import pick
from headstart.errors import InputError
from headstart.features.components import DEPTH, LEAST_SHARE, SPARE_COLUMNS, TOLERANCE, top_eigenpairs
from headstart.features.representation import rank_for, thin_svd
from headstart.kernels import median_gamma, rbf
from headstart.mapping import KernelMap, LinearMap, Map

#: Rows that are centred at once.
BLOCK = 8192
#: Rows up to which the exact kernel's problem is solved whole; it is also where a Krylov space would be half of it.
MOST_WHOLE = 500
#: Eigenvalues of an exact kernel below this share of the largest that there could be are left out.
ROUNDING = 1e-8


@dataclass(frozen=True, eq=False)
class Scatter:
    """The quadratic form z -> weight * sum_i (z_i - mean of its group)^2 + ||E'z||^2.

    Parameters
    ----------
    weight : float
    group : int array of shape (n,)
        The group of each row, 0, 1, ...; -1 for rows that are not looked at.
    E : array of shape (n, c)
        Columns that take differences of means.
    """

    weight: float
    group: np.ndarray
    E: np.ndarray

    def groups(self) -> list[np.ndarray]:
        """Return the positions of the rows of each group; some may have none."""
        return _groups(self.group)

    def times(self, z: np.ndarray) -> np.ndarray:
        """Return D z, the form as a matrix; z has shape (n, b)."""
        return self.weight * centred(z, self.group) + self.E @ (self.E.T @ z)

    def gram(self, Phi: Any) -> np.ndarray:
        """Return Phi' D Phi, shape (r, r), for features Phi (n, r), dense or sparse."""
        differences = np.asarray(Phi.T @ self.E)
        total = differences @ differences.T
        for rows in self.groups():
            if len(rows):
                total += self.weight * _centred_gram(Phi, rows)
        return total


def centred(z: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return z (n, b) less the mean of its group, and 0 for rows of no group: a projection."""
    result = np.zeros_like(z)
    for rows in _groups(group):
        if len(rows):
            result[rows] = z[rows] - z[rows].mean(axis=0)
    return result


def _groups(group: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(group == g) for g in range(group.max(initial=-1) + 1)]


def span_of(scatter: Scatter) -> slice:
    """Return the slice from the first row that is in a group to the last."""
    rows = np.flatnonzero(scatter.group >= 0)
    return slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)


def _centred_gram(Phi: Any, rows: np.ndarray) -> np.ndarray:
    if not isinstance(Phi, np.ndarray):
        mean = np.asarray(Phi[rows].mean(axis=0)).ravel()
        return np.asarray((Phi[rows].T @ Phi[rows]).toarray() - len(rows) * np.outer(mean, mean))
    parts = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    mean = sum(Phi[part].sum(axis=0) for part in parts) / len(rows)
    total = np.zeros((Phi.shape[1], Phi.shape[1]))
    for part in parts:
        centred = Phi[part] - mean
        total += centred.T @ centred
    return total


def between_classes(y: np.ndarray, weight: float) -> np.ndarray:
    """Return E, shape (n, k), with ||E'z||^2 = weight * sum_c n_c (mean of class c - mean of all)^2.

    y holds classes 0, 1, ...; a row with -1 has none and is not looked at.
    """
    labelled = y >= 0
    columns = []
    for c in np.unique(y[labelled]):
        of = y == c
        columns.append(np.sqrt(weight * of.sum()) * (of / of.sum() - labelled / labelled.sum()))
    return np.column_stack(columns) if columns else np.zeros((len(y), 0))


@dataclass(frozen=True, eq=False)
class Features:
    """Explicit features Phi of the rows of both domains, whose inner products are the kernel.

    Parameters
    ----------
    Phi : array or CSR matrix of shape (n_s + n_t, r)
    gamma : float, optional
    map_of : callable
        Turns weights w, shape (r, k), into the map of rows x -> phi(x) w.
    """

    Phi: Any
    gamma: float | None
    map_of: Callable[[np.ndarray], Map]


def features(Xs: Any, Xt: Any, kernel: str, gamma: float | None, rank: int | None, random_state: Any) -> Features:
    """Return explicit features: the columns, fewer where rows are fewer; or those of so many landmark rows."""
    X, dtype = stack_rows([Xs, Xt]), Xs.dtype
    X = X.astype(np.float64)
    if kernel == "linear":
        if X.shape[1] <= X.shape[0]:
            return Features(X, None, lambda w: LinearMap(w.astype(dtype)))
        U, s, weights = thin_svd(X)
        return Features(U * s, None, lambda w: LinearMap(weights(w).astype(dtype)))
    gamma = median_gamma(Xs, Xt) if gamma is None else gamma
    landmarks = X[pick(X, X.shape[0] if rank is None else rank, random_state)]
    values, vectors = np.linalg.eigh(rbf(landmarks, landmarks, gamma))
    kept = values > values[-1] * len(values) * np.finfo(float).eps
    root = vectors[:, kept] / np.sqrt(values[kept])
    Phi = KernelMap(landmarks, root, gamma).transform(X)
    return Features(Phi, gamma, lambda w: KernelMap(landmarks, root @ w, gamma))


def kernel_settings(kernel: str, rank: int | str | None, rows: int, name: str) -> int | None:
    """Check the kernel's name, and return the number of landmarks for so many rows; None for an exact kernel."""
    if kernel not in ("linear", "rbf"):
        raise InputError(f"{name}: kernel must be linear or rbf, not {kernel!r}")
    return rank_for(rank, rows) if kernel == "rbf" else None


@dataclass(frozen=True, eq=False)
class Directions:
    """Weights w (r, k), or coefficients of the rows (n, k); eigenvalues (k,), and the largest relative residual."""

    w: np.ndarray
    values: np.ndarray
    residual: float


def directions(left: np.ndarray, right: np.ndarray, k: int, name: str) -> Directions:
    """Return the k largest eigenpairs of left w = theta right w, with right positive definite and w' right w = 1.

    Only positive eigenvalues count, so fewer may come back.
    """
    r = len(left)
    values, w = eigh(left, right, subset_by_index=(max(r - k, 0), r - 1))
    kept = _that_count(values[::-1], name)
    values, w = values[::-1][kept], w[:, ::-1][:, kept]
    return Directions(w, values, _residual(left @ w, right @ w * values))


@dataclass(frozen=True, eq=False)
class KernelMatrix:
    """A kernel matrix as it is used.

    Parameters
    ----------
    times : callable
        (rows, columns, z) -> K[rows, columns] z, for slices of rows and columns.
    among : callable
        rows -> K[rows, rows], for an int array of rows; the array is new.
    """

    times: Callable[[slice, slice, np.ndarray], np.ndarray]
    among: Callable[[np.ndarray], np.ndarray]


class Damped:
    """The matrix S = (reg K^-1 + v Pi)^-1 as products, for a kernel matrix K and the projection Pi of a scatter.

    By Woodbury's formula, (K - K Pi (reg/v I + Pi K Pi)^-1 Pi K) / reg, so that K is never inverted and one Cholesky
    factor, of the rows that Pi centres, serves every problem with the same groups.
    """

    def __init__(self, K: KernelMatrix, within: Scatter, reg: float) -> None:
        self.K, self.within, self.reg = K, within, reg
        self.span = span_of(within)
        groups = [rows for rows in within.groups() if len(rows)]
        self.damps = within.weight > 0 and bool(groups)
        if self.damps:
            # Rows of a group beside each other, so that a group is a view.
            self.rows = np.concatenate(groups)
            M = K.among(self.rows)
            ends = np.cumsum([len(rows) for rows in groups])
            for start, end in zip([0, *ends[:-1]], ends, strict=True):
                M[start:end] -= M[start:end].mean(axis=0)
                M[:, start:end] -= M[:, start:end].mean(axis=1, keepdims=True)
            M.flat[:: len(M) + 1] += reg / within.weight
            # The transpose of a C array is in the order that LAPACK edits in place.
            self.L = cholesky(M.T, lower=True, overwrite_a=True, check_finite=False)

    def times(self, rows: slice, columns: slice, u: np.ndarray) -> np.ndarray:
        """Return S[rows, columns] u."""
        image = self.K.times(rows, columns, u)
        if self.damps:
            span = self.span
            if rows.start <= span.start and span.stop <= rows.stop:
                seen = image[span.start - rows.start : span.stop - rows.start]
            else:
                seen = self.K.times(span, columns, u)
            image -= self.K.times(rows, span, self._held_back(seen))
        image /= self.reg
        return image

    def coefficients(self, u: np.ndarray) -> np.ndarray:
        """Return a with K a = S u, for u of shape (n, b)."""
        a = u.copy()
        if self.damps:
            a[self.span] -= self._held_back(self.K.times(self.span, slice(0, len(u)), u))
        a /= self.reg
        return a

    def _held_back(self, seen: np.ndarray) -> np.ndarray:
        """Return Pi (reg/v I + Pi K Pi)^-1 Pi K u by the rows of K u in the span."""
        inner, at = np.zeros_like(seen), self.rows - self.span.start
        inner[at] = cho_solve((self.L, True), self._centred(seen)[at], check_finite=False)
        return self._centred(inner)

    def _centred(self, z: np.ndarray) -> np.ndarray:
        return centred(z, self.within.group[self.span])


@dataclass(frozen=True, eq=False)
class KernelDirections(Directions):
    """Directions as coefficients of the rows, with the values z (n, k) at the rows, and where to start from next."""

    z: np.ndarray
    start: np.ndarray


def kernel_directions(
    damped: Damped, E: np.ndarray, D: Scatter, k: int, order: np.ndarray, name: str, start: np.ndarray | None = None
) -> KernelDirections:
    r"""Return coefficients a of components f(x_i) = (K a)_i, the largest eigenpairs of a problem on the rows.

    .. math:: K D K a = \theta\,(\varrho K + K N K)\,a,\qquad N = v\,\Pi + E E^\top

    scaled to a'(reg K + K N K) a = 1. With S = (reg K^-1 + N)^-1 and D = G G', the values are z = S G y for the
    eigenvectors y of G' S G.

    Parameters
    ----------
    damped : Damped
        (reg K^-1 + v Pi)^-1.
    E : array of shape (n, c)
    D : Scatter
    k : int
    order : int array of shape (n,)
        The rows in an order of their own, in which chance is dealt out.
    name : str
        Who asks, for messages.
    start : array of shape (rows that D sees + c_D, b), optional
        The `start` of a similar problem's answer.
    """
    n, root = len(E), np.sqrt(D.weight)
    K, reg, N = damped.K, damped.reg, replace(damped.within, E=E)
    every, seen = slice(0, n), span_of(D)
    group, m = D.group[seen], seen.stop - seen.start
    both = damped.times(every, every, np.hstack([E, D.E]))
    SE, SD = both[:, : E.shape[1]], both[:, E.shape[1] :]
    core = np.eye(E.shape[1]) + E.T @ SE

    def apply(y: np.ndarray) -> np.ndarray:
        """Return G' S G y; what D centres needs S between the rows that D sees only."""
        u = root * centred(y[:m], group)
        z = damped.times(seen, seen, u) + SD[seen] @ y[m:]
        along_E = SE[seen].T @ u + E.T @ (SD @ y[m:])
        along_D = SD[seen].T @ u + D.E.T @ (SD @ y[m:])
        back = np.linalg.solve(core, along_E)
        return np.concatenate([root * centred(z - SE[seen] @ back, group), along_D - (D.E.T @ SE) @ back])

    # What the kernel's rounding makes of the eigenvalues: those below are left out, and the residual is asked for
    # beside it.
    largest = K.times(every, every, np.ones((n, 1))).max()
    floor = ROUNDING * (D.weight + np.linalg.norm(D.E.T @ D.E, 2)) * largest / reg
    size = m + D.E.shape[1]
    k = min(k, sum(len(rows) - 1 for rows in D.groups() if len(rows)) * (root > 0) + D.E.shape[1])
    if size <= max(MOST_WHOLE, 2 * (k + SPARE_COLUMNS) * (DEPTH + 1)):
        whole = apply(np.eye(size))
        values, y = eigh((whole + whole.T) / 2, subset_by_index=(size - k, size - 1))
        values, y = values[::-1], y[:, ::-1]
    else:
        first = np.random.default_rng(0).normal(size=(size, k + SPARE_COLUMNS))
        first[np.argsort(np.argsort(order)[seen])] = first[:m].copy()
        if start is not None:
            first[:, : start.shape[1]] = start
        values, y = top_eigenpairs(lambda y: apply(y) + floor * y, first, k)
        values = values - floor
    kept = _that_count(values, name, floor)
    values, y = values[kept], y[:, kept] / np.sqrt(values[kept])
    Gy = D.E @ y[m:]
    Gy[seen] += root * centred(y[:m], group)
    # E'z by S, and not from z: a large E makes z nearly orthogonal to it.
    a = damped.coefficients(Gy - E @ np.linalg.solve(core, SE.T @ Gy))
    z = K.times(every, every, a)
    right = K.times(every, every, reg * a + N.times(z)) * values
    left = K.times(every, every, D.times(z))
    return KernelDirections(a, values, _residual(left, right), z, y)


def _that_count(values: np.ndarray, name: str, floor: float = np.finfo(float).tiny) -> np.ndarray:
    kept: np.ndarray = values > max(values[0] * LEAST_SHARE, floor)
    if not kept.any():
        raise InputError(f"{name}: the rows do not vary in any direction to learn from; give rows that differ")
    return kept


def _residual(left: np.ndarray, right: np.ndarray) -> float:
    return float((np.linalg.norm(left - right, axis=0) / np.linalg.norm(right, axis=0)).max())


def warn_when_rough(residual: float, name: str) -> None:
    """Warn when the eigenproblem was solved to a residual above 1e-6."""
    if residual > TOLERANCE:
        warnings.warn(f"{name}: the eigenproblem was solved to a residual of {residual:.1e} only", stacklevel=4)
