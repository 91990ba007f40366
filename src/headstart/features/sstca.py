"""Semi-supervised transfer component analysis."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular
from scipy.sparse import csr_matrix

from headstart.domain import known_labels, missing, stack_labels, stack_rows, task_of
from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.components import (
    LEAST_SHARE,
    LEAST_SPREAD,
    MOST_WHOLE,
    SPARE_COLUMNS,
    TOLERANCE,
    spread_matrix,
    top_eigenpairs,
)
from headstart.features.discrepancy import marginal
from headstart.features.graph import laplacian, neighbour_graph
from headstart.features.representation import AUTO_RANK, representation
from headstart.kernels import median_gamma, rbf
from headstart.mapping import Map
from headstart.method import Needs

#: Rows of both domains together up to which a nonlinear kernel is whole: matrices are multiplied and factorised here.
MOST_EXACT_ROWS = 5000
#: Numbers that are held at once beside the matrices.
MOST_AT_ONCE = 2**22


class SSTCA(FeatureMethod):
    r"""Semi-supervised transfer component analysis: TCA whose components go with the labels and keep neighbours.

    .. math:: \min_W\; \operatorname{tr}(W^\top K L K W) + \mu\operatorname{tr}(W^\top W)
              + \frac{\lambda}{n^2}\operatorname{tr}(W^\top K \mathcal{L} K W)
              \quad\text{s.t.}\quad W^\top K H \tilde K_{yy} H K W = I,\qquad
              \tilde K_{yy} = \gamma K_{yy} + (1 - \gamma) I

    with K the kernel matrix of the n rows of both domains, H the centring matrix, L = e e', where e takes the
    difference of the domains' means, and :math:`\mathcal{L}` the Laplacian of the graph of nearest neighbours.
    :math:`K_{yy}` is a kernel of the labels, where both are known, and 0 otherwise: 1 for the same class; for numbers
    :math:`\exp(-\gamma_y (y - y')^2)`, with :math:`\gamma_y` 1 / median squared difference. W is made of the leading
    vectors of :math:`K H \tilde K_{yy} H K\,w = \theta\,(K (L + \frac{\lambda}{n^2}\mathcal{L}) K + \mu I)\,w`, and
    the representation is K W. With :math:`\gamma = \lambda = 0` this is `TCA`.

    Parameters
    ----------
    n_components : int, default 20
        Columns of the representation; fewer where the rows vary in fewer directions.
    kernel : {"linear", "primal", "rbf"}, default "linear"
        The inner product; the inner product, where the weights of the linear map are penalised instead of W; or
        exp(-gamma ||x - x'||^2).
    gamma : float, optional
        Width of the rbf kernel; by default 1 / median squared distance between the rows of both domains.
    reg : float, default 1.0
        :math:`\mu`, more than zero. Larger means less adaptation.
    label_weight : float, default 0.5
        :math:`\gamma`, between 0 (labels are not used) and 1 (nothing but labels counts); 0.5 in the paper.
    label_kernel : {"auto", "classes", "numbers"}, default "auto"
        What labels are; "auto" looks: text, true/false and few whole numbers are classes.
    manifold_weight : float, default 100.0
        :math:`\lambda`. The larger, the more alike the representation of neighbours is.
    n_neighbors : int, default 10
        Neighbours in the graph.
    affinity : {"rbf", "cosine", "binary"}, default "rbf"
        Weights of the graph's edges, and the distance that tells who is near: see `neighbour_graph`.
    whiten : bool, default False
        Give every component variance 1. Otherwise components are as large as the penalties allow, with a mean variance
        of 1.
    rank : int, None or "auto", default "auto"
        Landmark rows of a Nystroem approximation of the rbf kernel. None: exact; "auto": exact up to 5,000 rows of
        both domains together, 300 landmarks beyond.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the landmark rows, and the trees of the graph with more than 20,000 rows.

    Attributes
    ----------
    values_, residual_, gamma_, rank_
        The values :math:`\theta`, the eigenproblem's largest relative residual, kernel width, and landmarks used (None:
        none).

    References
    ----------
    Pan, Tsang, Kwok, Yang: Domain Adaptation via Transfer Component Analysis. IEEE Transactions on Neural Networks
    2011.

    Examples
    --------
    The class tells the first column apart, the domain the second, and the third varies more than both.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys = np.repeat([0, 1], 100)
    >>> Xs = rng.normal(size=(200, 3)) * [1, 1, 5] + np.outer(ys, [4.0, 0.0, 0.0])
    >>> Xt = rng.normal(size=(200, 3)) * [1, 1, 5] + np.outer(ys, [4.0, 0.0, 0.0]) + [0.0, 3.0, 0.0]
    >>> Z = SSTCA(n_components=1).fit(Xs, Xt, ys).transform(Xt)
    >>> bool(abs(np.corrcoef(Z[:, 0], ys)[0, 1]) > 0.8)
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any")

    def __init__(
        self,
        n_components: int = 20,
        kernel: str = "linear",
        gamma: float | None = None,
        reg: float = 1.0,
        label_weight: float = 0.5,
        label_kernel: str = "auto",
        manifold_weight: float = 100.0,
        n_neighbors: int = 10,
        affinity: str = "rbf",
        whiten: bool = False,
        rank: int | str | None = "auto",
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.reg = reg
        self.label_weight = label_weight
        self.label_kernel = label_kernel
        self.manifold_weight = manifold_weight
        self.n_neighbors = n_neighbors
        self.affinity = affinity
        self.whiten = whiten
        self.rank = rank
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the one map of the rows of both domains, twice, by the labels that are known."""
        name = type(self).__name__
        if self.n_components < 1 or self.reg <= 0:
            raise InputError(
                f"{name}: n_components and reg must be more than zero, not {self.n_components} and {self.reg}"
            )
        if not 0 <= self.label_weight <= 1 or self.manifold_weight < 0:
            raise InputError(f"{name}: label_weight must be between 0 and 1, and manifold_weight not negative")
        n_s, n_t = Xs.shape[0], Xt.shape[0]
        G = label_factor(stack_labels([ys, yt], [n_s, n_t]), n_s + n_t, self.label_kernel, name)
        if self.label_weight == 1 and not G.any():
            raise InputError(f"{name}: no label is known, and label_weight=1 lets nothing else count; lower it")
        rank = AUTO_RANK if self.rank == "auto" and n_s + n_t > MOST_EXACT_ROWS else self.rank
        graph = neighbour_graph(stack_rows([Xs, Xt]), self.n_neighbors, self.affinity, random_state=self.random_state)
        space = representation(Xs, Xt, self.kernel, self.gamma, rank, self.random_state, name)
        self.gamma_, self.rank_ = space.gamma, space.rank
        held = penalty(space.P, marginal(n_s, n_t), self.reg, laplacian(graph, normalised=False), self.manifold_weight)
        found = label_components(space.P, self.n_components, held, G, self.label_weight, self.whiten, name)
        self.values_, self.residual_ = found.values, found.residual
        both = space.map_of(found.a)
        return both, both


def label_factor(labels: np.ndarray | None, n: int, label_kernel: str, name: str) -> np.ndarray:
    """Return G, shape (n, c), with G G' the kernel of the labels, and zero where one is not known."""
    if label_kernel not in ("auto", "classes", "numbers"):
        raise InputError(f"{name}: label_kernel must be auto, classes or numbers, not {label_kernel!r}")
    known = np.zeros(n, dtype=bool) if labels is None else ~missing(labels)
    if labels is None or not known.any():
        return np.zeros((n, 1))
    y = known_labels(labels, classes=True)
    if label_kernel == "numbers" and y.dtype.kind not in "fiub":
        raise InputError(f"{name}: the labels are not numbers; take label_kernel='classes'")
    if label_kernel == "classes" or (label_kernel == "auto" and task_of(y) == "classification"):
        of_known = (y[:, None] == np.unique(y)).astype(float)
    else:
        column = y.astype(float)[:, None]
        of_known = kernel_factor(column, median_gamma(column, column))
    G = np.zeros((n, of_known.shape[1]))
    G[known] = of_known
    return G


def kernel_factor(X: np.ndarray, gamma: float, tol: float = 1e-12) -> np.ndarray:
    """Return G, shape (n, r), with G G' = exp(-gamma ||x - x'||^2) up to `tol`: Cholesky with the largest pivot first.

    For one column, few columns of G are enough. (Fine & Scheinberg: Efficient SVM Training Using Low-Rank Kernel
    Representations. JMLR 2001.)
    """
    left, columns = np.ones(len(X)), np.zeros((len(X), 0))
    while left.max() > tol and columns.shape[1] < len(X):
        pivot = int(left.argmax())
        rest = rbf(X, X[[pivot]], gamma)[:, 0] - columns @ columns[pivot]
        column = rest / np.sqrt(left[pivot])
        columns = np.column_stack([columns, column])
        left = left - column**2
        left[pivot] = 0.0
    return columns


def penalty(P: np.ndarray, e: np.ndarray, reg: float, L: csr_matrix, manifold_weight: float) -> np.ndarray:
    """Return P' (e e' + manifold_weight / n^2 L) P + reg I, shape (r, r)."""
    n, r = P.shape
    B = np.zeros((r, r))
    block = max(1, MOST_AT_ONCE // n)
    for start in range(0, r, block):
        part = slice(start, start + block)
        B[:, part] = P.T @ (L @ P[:, part])
    B *= manifold_weight / n**2
    # Of rounding errors the symmetric part is enough.
    B += B.T
    B /= 2
    apart = P.T @ e
    B += apart @ apart.T
    B.flat[:: r + 1] += reg
    return B


@dataclass(frozen=True, eq=False)
class LabelComponents:
    """Coefficients a (r, k), values theta (k,), and the largest relative residual."""

    a: np.ndarray
    values: np.ndarray
    residual: float


def label_components(
    P: np.ndarray, k: int, B: np.ndarray, G: np.ndarray, label_weight: float, whiten: bool, name: str
) -> LabelComponents:
    """Return the leading vectors of P' H (label_weight G G' + (1 - label_weight) I) H P a = theta B a."""
    n, r = P.shape
    k = min(k, r)

    def spread(a: np.ndarray) -> np.ndarray:
        image = _centred(P @ a)
        image = (1 - label_weight) * image + label_weight * _centred(G @ (G.T @ image))
        return np.asarray(P.T @ image)

    if r <= MOST_WHOLE:
        with_labels = P.T @ _centred(G)
        S = (1 - label_weight) * spread_matrix(P) + label_weight * with_labels @ with_labels.T
        values, a = eigh(S, B, subset_by_index=(r - k, r - 1))
        values, a = values[::-1], a[:, ::-1]
    else:
        values, a = _by_krylov(spread, B, k)
    image = P @ a
    means = image.mean(axis=0)
    image -= means
    variances = np.einsum("ij,ij->j", image, image) / n
    kept = (values > max(values[0], 0.0) * LEAST_SHARE) & (variances > (LEAST_SPREAD * means) ** 2)
    if not kept.any():
        return LabelComponents(np.zeros((r, 1)), np.zeros(1), 0.0)
    values, a, image, variances = values[kept], a[:, kept], image[:, kept], variances[kept]
    right = B @ a * values
    residual = float((np.linalg.norm(spread(a) - right, axis=0) / np.linalg.norm(right, axis=0)).max())
    if residual > TOLERANCE:
        warnings.warn(f"{name}: the eigenproblem was solved to a residual of {residual:.1e} only", stacklevel=4)
    # The sign is not to hang on the order of the rows: the longer tail is on the right.
    tails = np.where(np.einsum("ij,ij,ij->j", image, image, image) < 0, -1.0, 1.0)
    return LabelComponents(a * (tails / np.sqrt(variances if whiten else variances.mean())), values, residual)


def _by_krylov(spread: Callable[[np.ndarray], np.ndarray], B: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k leading values and vectors of spread(a) = theta B a, with a' B a = 1."""
    root = cholesky(B, lower=True)

    def whitened(y: np.ndarray) -> np.ndarray:
        inside = spread(solve_triangular(root, y, lower=True, trans="T"))
        return np.asarray(solve_triangular(root, inside, lower=True))

    first = np.random.default_rng(0).normal(size=(len(B), k + SPARE_COLUMNS))
    values, y = top_eigenpairs(whitened, first, k)
    return values, solve_triangular(root, y, lower=True, trans="T")


def _centred(X: np.ndarray) -> np.ndarray:
    return X - X.mean(axis=0)
