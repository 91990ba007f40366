"""Least squares in a kernel's space, adapted: penalties on the domains' discrepancy and on jumps between neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lu_factor, lu_solve, solve
from scipy.sparse import csr_matrix, diags

from headstart.domain import stack_rows
from headstart.draws import pick
from headstart.errors import InputError
from headstart.features.class_scores import FeatureClassifier
from headstart.features.discrepancy import balanced_discrepancy
from headstart.features.graph import laplacian, neighbour_graph
from headstart.features.pseudo_labels import pseudo_labels
from headstart.features.representation import rank_for, representation
from headstart.inputs import Coded
from headstart.kernels import median_gamma, rbf
from headstart.mapping import KernelMap, Map

KERNELS = ("linear", "rbf")
#: Landmarks with many rows: as many as these numbers allow for (0.8 GB), within bounds.
MOST_FEATURES, LEAST_LANDMARKS, MOST_LANDMARKS = 10**8, 100, 1000
#: Numbers that are held at once beside the matrix.
MOST_AT_ONCE = 2**22
#: The residual that is asked for, relative to the right-hand side.
TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Solution:
    """Scores F (n, k) of the rows, coefficients a, and the residual of the normal equations."""

    F: np.ndarray
    a: np.ndarray
    residual: float


class Problem(Protocol):
    r"""The minimum over functions f of a kernel's space, one a class, for any discrepancy V given later.

    .. math:: \sum_i w_i \|y_i - f(x_i)\|^2 + \sigma\|f\|^2 + \gamma\,\mathrm{tr}\,F^\top L F + \|V^\top F\|^2
    """

    @property
    def gamma(self) -> float | None:
        """Width of the kernel."""

    def minimum(self, V: np.ndarray) -> Solution:
        """Return the minimum for V, shape (n, m)."""

    def map_of(self, a: np.ndarray) -> Map:
        """Return the map of rows to scores."""


def problem(
    Xs: Any,
    Xt: Any,
    Y: np.ndarray,
    weight: np.ndarray,
    L: csr_matrix,
    manifold_weight: float,
    reg: float,
    kernel: str,
    gamma: float | None,
    rank: int | str | None,
    random_state: int | None,
    name: str,
) -> Problem:
    """Return the problem, factorised: whole for an exact nonlinear kernel, else in the features of low rank."""
    if kernel not in KERNELS:
        raise InputError(f"{name}: kernel must be linear or rbf, not {kernel!r}")
    if reg <= 0 or manifold_weight < 0:
        raise InputError(f"{name}: reg must be more than zero, and manifold_weight not less")
    A, wY = csr_matrix(diags(weight) + manifold_weight * L), weight[:, None] * Y
    if kernel == "linear":
        space = representation(Xs, Xt, "primal", name=name)
        return InFeatures(space.P, space.map_of, None, A, reg, wY)
    gamma = median_gamma(Xs, Xt) if gamma is None else gamma
    X = stack_rows([Xs, Xt]).astype(np.float64, copy=False)
    m = landmarks_for(rank, X.shape[0])
    if m is None:
        return InRows(X, gamma, A, reg, wY)
    # Nystroem's features: K is replaced by K_nm K_mm^-1 K_mn.
    landmarks = X[pick(X, m, random_state)]
    values, vectors = np.linalg.eigh(rbf(landmarks, landmarks, gamma))
    kept = values > values[-1] * len(values) * np.finfo(float).eps
    root = vectors[:, kept] / np.sqrt(values[kept])
    Phi = KernelMap(landmarks, root, gamma).transform(X)
    return InFeatures(Phi, lambda a: KernelMap(landmarks, root @ a, gamma), gamma, A, reg, wY)


def landmarks_for(rank: int | str | None, rows: int) -> int | None:
    """Return the number of landmarks: "auto" is none up to 10,000 rows, else 1,000, or fewer that fill 0.8 GB."""
    m = rank_for(rank, rows)
    return max(LEAST_LANDMARKS, min(MOST_LANDMARKS, MOST_FEATURES // rows)) if m is not None and rank == "auto" else m


class InRows:
    """The problem for an exact kernel: f = K a with ((A + V V') K + reg I) a = w Y, and A = diag(w) + gamma L.

    A is sparse and V has few columns, so one factorisation, of A K + reg I in the kernel's own place, serves every V
    (Woodbury's formula); the kernel is computed again, a block at a time, where a product with it is needed.
    """

    def __init__(self, X: Any, gamma: float, A: csr_matrix, reg: float, wY: np.ndarray) -> None:
        self.X, self.gamma, self.A, self.reg, self.wY = X, gamma, A, reg, wY
        K = rbf(X, X, gamma)
        block = max(1, MOST_AT_ONCE // len(K))
        for start in range(0, len(K), block):
            part = slice(start, start + block)
            # K is symmetric: its rows here are columns of K, and columns of A K once they are written back.
            K[part] = (A @ K[part].T).T
        K.flat[:: len(K) + 1] += reg
        self.factor = lu_factor(K.T, overwrite_a=True, check_finite=False)
        self.a = lu_solve(self.factor, wY)
        self.F = self.map_of(self.a).transform(X)

    def map_of(self, a: np.ndarray) -> Map:
        """Return the map of rows to scores."""
        return KernelMap(self.X, a, self.gamma)

    def minimum(self, V: np.ndarray) -> Solution:
        """Return the minimum for V, shape (n, m)."""
        a_V = lu_solve(self.factor, V)
        F_V = self.map_of(a_V).transform(self.X)
        share = solve(np.eye(V.shape[1]) + V.T @ F_V, V.T @ self.F)
        F, a = self.F - F_V @ share, self.a - a_V @ share
        gap = self.A @ F + V @ (V.T @ F) + self.reg * a - self.wY
        return Solution(F, a, float(np.linalg.norm(gap) / np.linalg.norm(self.wY)))


class InFeatures:
    """The problem for features Phi with K = Phi Phi': f = Phi a with (Phi' (A + V V') Phi + reg I) a = Phi' w Y."""

    def __init__(
        self,
        Phi: np.ndarray,
        map_of: Callable[[np.ndarray], Map],
        gamma: float | None,
        A: csr_matrix,
        reg: float,
        wY: np.ndarray,
    ) -> None:
        self.Phi, self.map_of, self.gamma = Phi, map_of, gamma
        n, r = Phi.shape
        self.G = reg * np.eye(r)
        block = max(1, MOST_AT_ONCE // r)
        for start in range(0, n, block):
            part = slice(start, start + block)
            self.G += Phi[part].T @ (A[part] @ Phi)
        self.G = (self.G + self.G.T) / 2
        self.right = Phi.T @ wY

    def minimum(self, V: np.ndarray) -> Solution:
        """Return the minimum for V, shape (n, m)."""
        B = self.Phi.T @ V
        G = self.G + B @ B.T
        a = cho_solve(cho_factor(G), self.right)
        size = np.linalg.norm(self.right) or 1.0
        return Solution(self.Phi @ a, a, float(np.linalg.norm(G @ a - self.right) / size))


def one_hot(labels: Coded) -> np.ndarray:
    """Return 1 where a row's known class is the column's, shape (n_s + n_t, k); rows without a label are zero."""
    codes = np.concatenate([labels.source, np.where(labels.known, labels.target, -1)])
    return (codes[:, None] == np.arange(len(labels.classes))).astype(float)


class AdaptedClassifier(FeatureClassifier):
    """What ARTL and MEDA share: the parameters of the penalties, and guessing classes and solving in turns."""

    kernel: str
    gamma: float | None
    mmd_weight: float
    manifold_weight: float
    reg: float
    n_neighbors: int
    affinity: str
    max_iter: int
    labeler: Any
    rank: int | str | None
    random_state: int | None

    def adapt(
        self,
        Zs: Any,
        Zt: Any,
        labels: Coded,
        weight: np.ndarray,
        nodes: np.ndarray,
        balance: Callable[[np.ndarray], float],
    ) -> tuple[Map, Solution]:
        """Return the map of rows to scores, and the last solution.

        The target's classes are guessed anew from each solution, until no guess changes or `max_iter` is reached.
        `nodes` are the positions of one row of each kind; `balance` tells mu from the guessed classes.
        """
        name, n_s = type(self).__name__, len(labels.source)
        if self.mmd_weight < 0 or self.max_iter < 1:
            raise InputError(f"{name}: mmd_weight must not be negative, and max_iter must be 1 or more")
        graph = neighbour_graph(
            stack_rows([Zs, Zt]), self.n_neighbors, self.affinity, random_state=self.random_state, nodes=nodes
        )
        scores = problem(
            Zs,
            Zt,
            one_hot(labels),
            weight,
            laplacian(graph),
            self.manifold_weight,
            self.reg,
            self.kernel,
            self.gamma,
            self.rank,
            self.random_state,
            name,
        )
        guessed = pseudo_labels(self.labeler, Zs, Zt, labels)
        for n_iter in range(1, self.max_iter + 1):
            self.n_iter_ = n_iter
            V = balanced_discrepancy(labels, guessed, balance(guessed))
            found = scores.minimum(np.sqrt(self.mmd_weight) * V)
            before, guessed = guessed, np.where(labels.known, labels.target, found.F[n_s:].argmax(axis=1))
            if np.array_equal(before, guessed):
                break
        self.gamma_, self.residual_ = scores.gamma, found.residual
        if found.residual > TOLERANCE:
            warnings.warn(
                f"{name}: the equations were solved to a residual of {found.residual:.1e}; raise reg", stacklevel=2
            )
        return scores.map_of(found.a), found
