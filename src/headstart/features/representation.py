"""What kernel methods learn on: a matrix P, one row a row of the data, such that every representation is P A.

Methods such as TCA and JDA look for coefficients A of a representation K A, where K is the kernel matrix of both
domains together, and penalise ||A||^2. Only with an exact nonlinear kernel is P = K. With K = Phi Phi' of low rank,
and Phi = U S V' (thin), nothing is lost by A = U a: then K A = U S^2 a and ||A|| = ||a||, so that P = U S^2 has as
many columns as the rank. Penalising the weights W of a linear map X W instead of A, as JDA's authors do ("primal"),
gives P = U S.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.linalg import eigh

from headstart.domain import stack_rows
from headstart.draws import pick
from headstart.errors import InputError
from headstart.kernels import median_gamma, rbf
from headstart.mapping import KernelMap, LinearMap, Map

Kernel = Literal["linear", "primal", "rbf"]
KERNELS: tuple[Kernel, ...] = ("linear", "primal", "rbf")
#: Rows of both domains together up to which a nonlinear kernel is held whole (0.8 GB then), and the landmarks beyond.
MOST_EXACT_ROWS = 10_000
AUTO_RANK = 300


@dataclass(frozen=True, eq=False)
class Representation:
    """The matrix P, and the way from coefficients to a map.

    Parameters
    ----------
    P : array of shape (n_s + n_t, r)
        Source rows first. Every representation is P @ a.
    scale : array of shape (r,), optional
        Lengths of the columns of P, which are orthogonal: U = P / scale has K A = P (U' A). None where P = K itself.
    n_s : int
        Number of source rows.
    gamma : float, optional
        Width of the kernel exp(-gamma ||x - x'||^2).
    rank : int, optional
        Number of landmarks; None where the kernel is exact.
    map_of : callable
        Turns coefficients a, shape (r, k), into the map of rows.
    """

    P: np.ndarray
    scale: np.ndarray | None
    n_s: int
    gamma: float | None
    rank: int | None
    map_of: Callable[[np.ndarray], Map]


def representation(
    Xs: Any,
    Xt: Any,
    kernel: str,
    gamma: float | None = None,
    rank: int | str | None = "auto",
    random_state: int | None = 0,
    name: str = "kernel",
) -> Representation:
    """Return P for the rows of both domains.

    Parameters
    ----------
    Xs, Xt : arrays or CSR matrices of shape (n_s, d) and (n_t, d)
    kernel : {"linear", "primal", "rbf"}
        The inner product; the inner product, penalising the weights of the linear map instead of the dual
        coefficients; or exp(-gamma ||x - x'||^2).
    gamma : float, optional
        By default 1 / median squared distance.
    rank : int, None or "auto"
        Landmarks of a Nystroem approximation of the rbf kernel; None: exact; "auto": exact up to 10,000 rows in all,
        else 300 landmarks. Linear kernels are always exact.
    random_state : int, optional
        Choice of the landmarks.
    name : str
        Who asks, for messages.
    """
    if kernel not in KERNELS:
        raise InputError(f"{name}: kernel must be {', '.join(KERNELS[:-1])} or {KERNELS[-1]}, not {kernel!r}")
    X, n_s = stack_rows([Xs, Xt]), Xs.shape[0]
    dtype = X.dtype
    X = X.astype(np.float64, copy=False)
    if kernel != "rbf":
        power = 1 if kernel == "primal" else 2
        U, s, weights = thin_svd(X)
        return Representation(
            U * s**power,
            s**power,
            n_s,
            None,
            None,
            lambda a: LinearMap(weights(a * s[:, None] ** (power - 1)).astype(dtype)),
        )
    gamma = median_gamma(Xs, Xt) if gamma is None else gamma
    m = rank_for(rank, X.shape[0])
    if m is None:
        return Representation(rbf(X, X, gamma), None, n_s, gamma, None, lambda a: KernelMap(X, a, gamma))
    landmarks = X[pick(X, m, random_state)]
    values, vectors = np.linalg.eigh(rbf(landmarks, landmarks, gamma))
    kept = values > values[-1] * len(values) * np.finfo(float).eps
    root = vectors[:, kept] / np.sqrt(values[kept])
    P, s, weights = thin_svd(KernelMap(landmarks, root, gamma).transform(X))
    P *= s**2  # in place: with many rows P is by far the largest array
    return Representation(P, s**2, n_s, gamma, m, lambda a: KernelMap(landmarks, root @ weights(a * s[:, None]), gamma))


def rank_for(rank: int | str | None, rows: int) -> int | None:
    """Return the number of landmarks for so many rows of both domains; None for the exact kernel."""
    if rank == "auto":
        return AUTO_RANK if rows > MOST_EXACT_ROWS else None
    if isinstance(rank, str) or (rank is not None and rank < 1):
        raise InputError(f"rank must be a positive number, None or 'auto', not {rank!r}")
    return None if rank is None or rank >= rows else rank


def thin_svd(X: Any) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Return U and s of X = U diag(s) V', and the function a -> V a; by the smaller of X'X and XX'.

    X is an array or a sparse matrix of shape (n, d); U has shape (n, r), with r the numerical rank.
    """
    n, d = X.shape
    wide = d > n
    G = X @ X.T if wide else X.T @ X
    G = G if isinstance(G, np.ndarray) else G.toarray()
    values, vectors = eigh(G, driver="evd")
    kept = values > max(values[-1], 0.0) * max(n, d) * np.finfo(float).eps
    if not kept.any():
        return np.zeros((n, 1)), np.zeros(1), lambda a: np.zeros((d, a.shape[1]))
    s, vectors = np.sqrt(values[kept][::-1]), vectors[:, kept][:, ::-1]
    if wide:
        return vectors, s, lambda a: np.asarray(X.T @ (vectors @ (a / s[:, None])))
    U = np.asarray(X @ vectors)
    U /= s
    return U, s, lambda a: vectors @ a
