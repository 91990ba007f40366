"""Joint geometrical and statistical alignment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from headstart.draws import canonical_order
from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.discrepancy import balanced_discrepancy
from headstart.features.pseudo_labels import pseudo_labels
from headstart.features.scatter import (
    Damped,
    Directions,
    KernelMatrix,
    Scatter,
    between_classes,
    directions,
    features,
    kernel_directions,
    kernel_settings,
    warn_when_rough,
)
from headstart.features.subspaces import dimension_of
from headstart.inputs import Coded, coded
from headstart.kernels import median_gamma, rbf
from headstart.mapping import KernelMap, Map
from headstart.method import Needs

#: Columns at most, and the share of a domain's scatter that a squared norm counts, when nothing is said.
MOST_AUTO, AUTO_UNIT = 10, 0.01
EPS = np.finfo(float).eps


class JGSA(FeatureMethod):
    r"""Joint geometrical and statistical alignment: two maps, near each other, for what differs between the domains.

    Source rows are mapped by A, target rows by B, the leading solutions of

    .. math:: \max_{A, B} \frac{\beta\,\operatorname{tr} A^\top S_b A + \mu\,\operatorname{tr} B^\top S_t B}
              {\operatorname{MMD}(A, B) + \beta\,\operatorname{tr} A^\top S_w A
               + \varrho\,(\lambda\|A - B\|^2 + \mu\|B\|^2)}

    with the scatter between and within the source's classes, :math:`S_b` and :math:`S_w`, the target's scatter
    :math:`S_t` (sums over rows, as in the paper), and the squared differences of the domains' means and of each
    class's means (scaled as by the authors of JDA). Solutions are scaled to :math:`\|a\|^2 + \|b\|^2 = 1`. Target
    classes are guessed, the maps found, the classes guessed again in the common representation, until they stay.

    With the kernel :math:`\exp(-\gamma\|x-x'\|^2)` A and B are functions of its space. The paper's kernel form
    penalises :math:`\|A\|` there, so that for a linear kernel it and the primal form are the same.

    Parameters
    ----------
    n_components : int or "auto", default "auto"
        Columns of A and B; fewer where the rows vary in fewer directions. "auto": half as many as the rows have,
        and 10 at most. The paper tries 20 to 200, for pictures. With as many as the rows' own columns, most of them
        belong to one domain only.
    kernel : {"linear", "rbf"}, default "linear"
        Linear maps (the paper's primal form), or functions of the kernel's space.
    gamma : float, optional
        Width of the rbf kernel; by default 1 / median squared distance between the rows of both domains.
    rank : int, None or "auto", default "auto"
        Landmark rows of a Nystroem approximation of the rbf kernel. None: exact; "auto": exact up to 10,000 rows of
        both domains together, 300 landmarks beyond.
    reg : float, optional
        :math:`\varrho`, more than zero: the unit of the squared norms; larger makes smaller and smoother maps, nearer
        to each other. By default 1 % of a domain's scatter (total, of both domains the mean), so that neither the
        number of rows nor their scale matters. 1 in the paper, for some thousand rows of unit length.
    divergence : float, default 1.0
        :math:`\lambda`, more than zero; larger keeps A and B nearer to each other.
    mu : float, default 1.0
        :math:`\mu`, more than zero; larger makes more of the target's variance, beside the source's classes.
    beta : float, default 0.1
        :math:`\beta`; larger counts the source's classes for more. 0.1 for objects and 0.01 for digits in the paper.
    max_iter : int, default 10
        Rounds of guessing and solving, at most.
    labeler : classifier, optional
        Guesses the target's classes; by default the nearest neighbour. Known target labels stay what they are.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the landmark rows.

    Attributes
    ----------
    values_, residual_, n_components_, reg_, gamma_, rank_, n_iter_
        Eigenvalues, the eigenproblem's relative residual, columns, unit of the norms, kernel width, landmarks used
        (None: none), and rounds.

    References
    ----------
    Zhang, Li, Ogunbona: Joint Geometrical and Statistical Alignment for Visual Domain Adaptation. CVPR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys = np.repeat([0, 1], 100)
    >>> Xs = rng.normal(size=(200, 2)) + np.outer(ys, [4.0, 0.0])
    >>> Xt = rng.normal(size=(200, 2)) + np.outer(ys, [4.0, 0.0]) + [0.0, 3.0]
    >>> method = JGSA(n_components=1).fit(Xs, Xt, ys)
    >>> Zs, Zt = method.transform_source(Xs), method.transform(Xt)
    >>> bool(abs(Zs.mean() - Zt.mean()) < 0.1 * Zs.std())
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any", dense=True, tasks=("classification",))

    def __init__(
        self,
        n_components: int | str = "auto",
        kernel: str = "linear",
        gamma: float | None = None,
        rank: int | str | None = "auto",
        reg: float | None = None,
        divergence: float = 1.0,
        mu: float = 1.0,
        beta: float = 0.1,
        max_iter: int = 10,
        labeler: Any = None,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.rank = rank
        self.reg = reg
        self.divergence = divergence
        self.mu = mu
        self.beta = beta
        self.max_iter = max_iter
        self.labeler = labeler
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the maps of source and of target rows, by source labels and the target labels that are known."""
        name = type(self).__name__
        if min(self.divergence, self.mu) <= 0 or self.beta < 0 or (self.reg is not None and self.reg <= 0):
            raise InputError(f"{name}: reg, divergence and mu must be more than zero, and beta not less")
        labels = coded(ys, yt, len(Xt), name)
        self.rank_ = kernel_settings(self.kernel, self.rank, len(Xs) + len(Xt), name)
        k = dimension_of(self.n_components, len(Xs) + len(Xt), name)
        k = min(MOST_AUTO, (Xs.shape[1] + 1) // 2) if k is None else k
        whole = self.kernel == "rbf" and self.rank_ is None
        problem = self._on_rows(Xs, Xt, labels, k) if whole else self._on_features(Xs, Xt, labels, k)
        guessed = pseudo_labels(self.labeler, Xs, Xt, labels)
        self.n_iter_, settled = 0, False
        while self.n_iter_ < max(self.max_iter, 1) and not settled:
            found, Zs, Zt, maps = problem(balanced_discrepancy(labels, guessed, 0.5))
            before, guessed = guessed, pseudo_labels(self.labeler, Zs, Zt, labels)
            settled = np.array_equal(before, guessed)
            self.n_iter_ += 1
        self.values_, self.residual_, self.n_components_ = found.values, found.residual, len(found.values)
        warn_when_rough(self.residual_, name)
        return maps()

    def _on_features(self, Xs: Any, Xt: Any, labels: Coded, k: int) -> Problem:
        """Solve for the weights A and B of explicit features, with the matrices of the paper."""
        name, n_s = type(self).__name__, len(Xs)
        space = features(Xs, Xt, self.kernel, self.gamma, self.rank_, self.random_state)
        self.gamma_ = space.gamma
        Fs, Ft = space.Phi[:n_s], space.Phi[n_s:]
        r, none = Fs.shape[1], np.zeros
        S_b = Scatter(0.0, labels.source, between_classes(labels.source, 1.0)).gram(Fs)
        S_w = Scatter(1.0, labels.source, none((n_s, 0))).gram(Fs)
        S_t = Scatter(1.0, np.zeros(len(Xt), dtype=int), none((len(Xt), 0))).gram(Ft)
        if self.kernel == "linear":
            # Centred rows err by eps times their length.
            rounding = (100 * EPS) ** 2 * (np.sum(Fs**2) + np.sum(Ft**2))
            self.reg_ = self._unit(np.trace(S_b) + np.trace(S_w) + np.trace(S_t), rounding)
        else:
            self.reg_ = self._unit(*_unit_scatter((len(F), np.sum(F.mean(axis=0) ** 2)) for F in (Fs, Ft)))
        apart, size = self.reg_ * self.divergence * np.eye(r), self.reg_ * self.mu * np.eye(r)
        left = np.block([[self.beta * S_b, none((r, r))], [none((r, r)), self.mu * S_t]])
        right = np.block([[self.beta * S_w + apart, -apart], [-apart, apart + size]])

        def solve(E: np.ndarray) -> Solution:
            V = np.concatenate([Fs.T @ E[:n_s], Ft.T @ E[n_s:]])
            found = directions(left, right + V @ V.T, k, name)
            w = found.w / np.linalg.norm(found.w, axis=0)
            A, B = w[:r], w[r:]
            return found, Fs @ A, Ft @ B, lambda: (space.map_of(A), space.map_of(B))

        return solve

    def _on_rows(self, Xs: np.ndarray, Xt: np.ndarray, labels: Coded, k: int) -> Problem:
        r"""Solve with the exact kernel.

        With C = A - B the penalty is lambda ||C||^2 + mu ||B||^2, source rows see C + B and target rows B: the problem
        of one function of a kernel k (1/lambda + 1/mu) among source rows, and k / mu otherwise.
        """
        name, n_s = type(self).__name__, len(Xs)
        X = np.concatenate([Xs, Xt]).astype(np.float64)
        gamma = self.gamma_ = median_gamma(Xs, Xt) if self.gamma is None else self.gamma
        K = rbf(X, X, gamma)

        def times(rows: slice, columns: slice, z: np.ndarray) -> np.ndarray:
            image = K[rows, columns] @ (z / self.mu)
            of_s, by_s = (slice(part.start, min(part.stop, n_s)) for part in (rows, columns))
            if of_s.start < n_s and by_s.start < n_s:
                image[: of_s.stop - of_s.start] += K[of_s, by_s] @ (z[: by_s.stop - by_s.start] / self.divergence)
            return image

        def among(rows: np.ndarray) -> np.ndarray:
            # All of them are source rows.
            return K[np.ix_(rows, rows)] * (1 / self.divergence + 1 / self.mu)

        self.reg_ = self._unit(*_unit_scatter([(n_s, K[:n_s, :n_s].mean()), (len(Xt), K[n_s:, n_s:].mean())]))
        of_class, of_target = np.full(len(X), -1), np.full(len(X), -1)
        of_class[:n_s], of_target[n_s:] = labels.source, 0
        damped = Damped(KernelMatrix(times, among), Scatter(self.beta, of_class, np.zeros((len(X), 0))), self.reg_)
        D = Scatter(self.mu, of_target, between_classes(of_class, self.beta))
        order, start = canonical_order(X), None

        def solve(E: np.ndarray) -> Solution:
            nonlocal start
            found = kernel_directions(damped, E, D, k, order, name, start)
            start = found.start
            B, C = found.w / self.mu, found.w[:n_s] / self.divergence
            A = B.copy()
            A[:n_s] += C
            # ||A||^2 + ||B||^2 by A = B + C, where z is A's value at source rows.
            of_C = K[:n_s, :n_s] @ C
            CC, BC = _inner(C, of_C), _inner(C, found.z[:n_s] - of_C)
            BB = (_inner(found.w, found.z) - self.divergence * CC) / self.mu
            length = np.sqrt(np.maximum(CC + 2 * BC + 2 * BB, np.finfo(float).tiny))
            Z, A, B = found.z / length, A / length, B / length
            return found, Z[:n_s], Z[n_s:], lambda: (KernelMap(X, A, gamma), KernelMap(X, B, gamma))

        return solve

    def _unit(self, scatter: float, rounding: float) -> float:
        """Return what multiplies the squared norms, by the scatter of both domains and what of it may be rounding."""
        if scatter <= rounding:
            raise InputError(f"{type(self).__name__}: the rows of each domain are all the same; give rows that differ")
        return AUTO_UNIT * float(scatter) / 2 if self.reg is None else self.reg


def _unit_scatter(domains: Iterable[tuple[int, float]]) -> tuple[float, float]:
    """Return the scatter of features of length 1, by numbers of rows and the squared lengths of their means.

    Those of an rbf kernel have that length, also where landmarks miss a part of it.
    """
    sizes = list(domains)
    return sum(n * (1 - mean) for n, mean in sizes), 100 * EPS * sum(n for n, _ in sizes)


#: Eigenpairs, source rows and target rows in the common representation, and the maps when they are wanted.
Solution = tuple[Directions, np.ndarray, np.ndarray, Callable[[], tuple[Map, Map]]]
Problem = Callable[[np.ndarray], Solution]


def _inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the inner products of columns, shape (k,)."""
    return np.einsum("ij,ij->j", a, b)
