"""The components of kernel methods: a generalised eigenproblem with low-rank structure, solved to a residual."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cholesky, eigh, qr, solve_triangular

from headstart.errors import InputError

#: Columns of P up to which the problem is solved whole; beyond, by a block Krylov method.
MOST_WHOLE = 1500
#: The residual that is asked for, relative to the right-hand side (its largest), in the norm of its inverse.
TOLERANCE = 1e-6
#: Block Krylov: columns beyond those asked for, blocks before a restart, restarts.
SPARE_COLUMNS, DEPTH, MOST_RESTARTS = 12, 8, 40
#: Components whose eigenvalue is smaller than this share of the largest are left out: rounding errors are near.
LEAST_SHARE = 1e-9
#: Up to this share, eigenvalues are found to the tolerance each; smaller ones as well as those at this share.
SMALL_SHARE = 1e-6
#: So are they where a component's spread is no more than this share of its distance from zero.
LEAST_SPREAD = 1e-12
#: Rows of P that are centred at once.
BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Components:
    """Components P a of variance 1: coefficients a (r, k), eigenvalues (k,), and the relative residual."""

    a: np.ndarray
    values: np.ndarray
    residual: float

    def scaled(self, whiten: bool) -> np.ndarray:
        """Return coefficients of components of variance 1, or of variance theta over the mean theta, shape (r, k).

        The latter are as large as the penalty that they are held by allows: what differs between the domains is small
        in them even where every direction is kept. So large (but for a common factor) are the vectors that
        eigen-solvers return, and those that the published tables of JDA and TJM were made with.
        """
        return self.a if whiten else self.a * np.sqrt(self.values / (self.values.mean() or 1.0))


def components(
    P: np.ndarray,
    k: int,
    discrepancy: np.ndarray,
    reg: float,
    penalty: np.ndarray | None = None,
    start: np.ndarray | None = None,
    spread: np.ndarray | None = None,
    name: str = "components",
) -> Components:
    r"""Return the directions in which P varies most, beside what the domains differ by.

    The largest generalised eigenvalues of

    .. math:: P^\top H P\, a = \theta\, (P^\top E E^\top P + \lambda R)\, a

    with H the centring matrix: rows are spread, and the columns e of E, each a difference of two means, see little.

    Parameters
    ----------
    P : array of shape (n, r)
    k : int
        Number of components; fewer come back where P varies in fewer directions.
    discrepancy : array of shape (n,) or (n, c)
        E. Its product E E' is never formed.
    reg : float
        lambda, more than zero.
    penalty : array of shape (r,) or (r, r), optional
        R, as its diagonal or whole, positive definite; by default the identity.
    start : array of shape (r, b), optional
        Coefficients to start from, when the problem is too large to be solved whole.
    spread : array of shape (r, r), optional
        P' H P, where it is known from before: see `spread_matrix`.
    name : str
        Who asks, for the warning when the residual stays above 1e-6.

    Raises
    ------
    InputError
        When k or reg is not positive.
    """
    if k < 1 or reg <= 0:
        raise InputError(f"{name}: n_components and reg must be more than zero, not {k} and {reg}")
    E = discrepancy if discrepancy.ndim == 2 else discrepancy[:, None]
    to_a = _whitening(penalty)
    V = P.T @ E if penalty is None else to_a.adjoint(P.T @ E)
    n, r = P.shape
    k = min(k, r, n)
    root = LowRankRoot(V, reg)
    if r <= MOST_WHOLE or (penalty is not None and penalty.ndim == 2):
        S = to_a.adjoint(to_a.adjoint(spread_matrix(P) if spread is None else spread).T)
        values, y = eigh(root.solve(root.solve(S).T), subset_by_index=(r - k, r - 1))
        values, y = values[::-1], y[:, ::-1]
    else:

        def within(y: np.ndarray) -> np.ndarray:
            image = P @ to_a(root.solve(y))
            image -= image.mean(axis=0)
            return root.solve(to_a.adjoint(P.T @ image))

        first = np.random.default_rng(0).normal(size=(r, k + SPARE_COLUMNS))
        if start is not None:
            first[:, : start.shape[1]] = root.times(to_a.inverse(start))[:, : first.shape[1]]
        values, y = top_eigenpairs(within, first, k)
    b = root.solve(y)
    a = to_a(b)
    image = P @ a
    means = image.mean(axis=0)
    image -= means
    variances = np.einsum("ij,ij->j", image, image) / n
    kept = (values > max(values[0], 0.0) * LEAST_SHARE) & (variances > (LEAST_SPREAD * means) ** 2)
    if not kept.any():
        return Components(np.zeros((r, 1)), np.zeros(1), 0.0)
    values, b, a, image, variances = values[kept], b[:, kept], a[:, kept], image[:, kept], variances[kept]
    # In the norm of the right-hand side's inverse, where a strong discrepancy does not drown all else.
    right = root.solve(V @ (V.T @ b) + reg * b) * values
    left = root.solve(to_a.adjoint(P.T @ image))
    residual = float(np.linalg.norm(left - right, axis=0).max() / np.linalg.norm(right, axis=0).max())
    if residual > TOLERANCE:
        warnings.warn(f"{name}: the eigenproblem was solved to a residual of {residual:.1e} only", stacklevel=3)
    # The sign, too, is not to hang on the order of the rows: the longer tail is on the right.
    tails = np.where(np.einsum("ij,ij,ij->j", image, image, image) < 0, -1.0, 1.0)
    return Components(a * (tails / np.sqrt(variances)), values, residual)


def spread_matrix(P: np.ndarray) -> np.ndarray:
    """Return P' H P, shape (r, r), with H the centring matrix."""
    mean, total = P.mean(axis=0), np.zeros((P.shape[1], P.shape[1]))
    for start in range(0, len(P), BLOCK):
        centred = P[start : start + BLOCK] - mean
        total += centred.T @ centred
    return total


def total_spread(P: np.ndarray) -> float:
    """Return tr P' H P, more than zero also where rows don't vary, without a copy of P.

    >>> total_spread(np.array([[1.0, 5.0], [3.0, 5.0]]))
    2.0
    """
    size, mean = float(np.vdot(P, P)), P.mean(axis=0)
    return max(size - len(P) * float(mean @ mean), LEAST_SHARE * size) or 1.0


@dataclass(frozen=True, eq=False)
class Whitening:
    """The change b -> a = T b with T' R T = I, its transpose, and its inverse."""

    forward: Callable[[np.ndarray], np.ndarray]
    adjoint: Callable[[np.ndarray], np.ndarray]
    inverse: Callable[[np.ndarray], np.ndarray]

    def __call__(self, b: np.ndarray) -> np.ndarray:
        """Return T b."""
        return self.forward(b)


def _whitening(R: np.ndarray | None) -> Whitening:
    if R is None:
        return Whitening(lambda b: b, lambda b: b, lambda a: a)
    if R.ndim == 1:
        root = np.sqrt(R)[:, None]
        return Whitening(lambda b: b / root, lambda b: b / root, lambda a: a * root)
    L = cholesky(R, lower=True)
    return Whitening(
        lambda b: solve_triangular(L, b, lower=True, trans="T"),
        lambda b: solve_triangular(L, b, lower=True),
        lambda a: L.T @ a,
    )


class LowRankRoot:
    """The symmetric root of V V' + reg I, for V of few columns, as products."""

    def __init__(self, V: np.ndarray, reg: float) -> None:
        Q, s, _ = np.linalg.svd(V, full_matrices=False)
        self.Q, self.plain = Q, np.sqrt(reg)
        self.stretched = np.sqrt(s**2 + reg)

    def times(self, b: np.ndarray) -> np.ndarray:
        """Return (V V' + reg I)^(1/2) b."""
        inside = self.Q.T @ b
        return self.plain * b + self.Q @ ((self.stretched - self.plain)[:, None] * inside)

    def solve(self, b: np.ndarray) -> np.ndarray:
        """Return (V V' + reg I)^(-1/2) b."""
        inside = self.Q.T @ b
        return b / self.plain + self.Q @ ((1 / self.stretched - 1 / self.plain)[:, None] * inside)


def top_eigenpairs(
    apply: Callable[[Any], Any], start: np.ndarray, k: int, tolerance: float = TOLERANCE / 10
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k largest eigenvalues and their vectors of a symmetric operator, by block Krylov with restarts.

    A block of vectors costs hardly more than one where the operator is a large matrix in memory: what counts is how
    often it is read. (Golub & Underwood: The Block Lanczos Method for Computing Eigenvalues. 1977.)
    """
    width = start.shape[1]
    block, _ = qr(start, mode="economic")
    for _ in range(MOST_RESTARTS):
        basis, images = [block], [apply(block)]
        while True:
            Q, AQ = np.hstack(basis), np.hstack(images)
            T = Q.T @ AQ
            values, vectors = eigh((T + T.T) / 2)
            values, vectors = values[::-1][:width], vectors[:, ::-1][:, :width]
            block = Q @ vectors
            gaps = np.linalg.norm(AQ @ vectors[:, :k] - block[:, :k] * values[:k], axis=0)
            if (gaps <= tolerance * np.maximum(values[:k], SMALL_SHARE * values[0])).all():
                return values[:k], block[:, :k]
            if len(basis) > DEPTH:
                break
            fresh = images[-1]
            for _ in range(2):
                fresh = fresh - Q @ (Q.T @ fresh)
            fresh, _ = qr(fresh, mode="economic")
            # Where the space is exhausted, rounding errors are not orthogonal to it yet.
            fresh, _ = qr(fresh - Q @ (Q.T @ fresh), mode="economic")
            basis.append(fresh)
            images.append(apply(fresh))
        block, _ = qr(block, mode="economic")
    return values[:k], block[:, :k]
