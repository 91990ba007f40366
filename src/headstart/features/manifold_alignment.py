"""Manifold alignment: both domains to one space, where classes meet and neighbors stay neighbors."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.linalg import block_diag, eigh

from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.class_means import class_means, shared_classes
from headstart.features.graph import laplacian, neighbour_graph
from headstart.features.moments import column_means, total_variance
from headstart.mapping import AffineMap, Map
from headstart.mapping.measures import numbered
from headstart.method import Needs

#: Components whose eigenvalue is below this share of the largest are left out.
LEAST_SHARE = 1e-10


class ManifoldAlignment(FeatureMethod):
    r"""Manifold alignment by labels: linear maps of both domains to a common space, by one eigenproblem.

    .. math:: \min_F \frac{tr\, F^\top Z\,(\mu L + L_s)\,Z^\top F}{tr\, F^\top Z L_d Z^\top F}

    Z holds the rows of both domains, each in columns of its own, so that F stacks a map for either. :math:`L_s` joins
    rows of the same class, whatever their domain, and pulls them together; :math:`L_d` joins rows of different classes,
    and pushes them apart; L joins near neighbors within a domain, labelled or not, and keeps them near. New rows are
    mapped by a matrix product.

    Parameters
    ----------
    n_components : int, optional
        Dimensions of the common space; by default one less than there are classes.
    mu : float, default 1.0
        Weight of the neighbors, beside labels that weigh as much at 1.
    n_neighbors : int, default 10
        Of a row in its own domain.
    reg : float, default 0.01
        A multiple of the identity added to the matrix in the numerator, in units of its mean diagonal entry. Without,
        the maps would fit the few labelled rows alone where the target has many columns.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Search of neighbors among more than 20,000 rows.

    Attributes
    ----------
    eigenvalues_ : array of shape (n_components,)
        Of the components, from the best: how far classes are apart, beside how near what belongs together is.

    Raises
    ------
    NeedsError
        When no class has labelled rows in both domains.

    Notes
    -----
    Rows are centred and scaled by domain. Every class of a domain weighs the same, however many labelled rows it has:
    one labelled target row counts as much as all source rows of its class. (In the paper all rows weigh the same, and
    many source rows drown few of the target.) The matrices of labels have a closed form in the sums of the classes, so
    that no array over pairs of rows is made; the problem has as many dimensions as both domains have columns, or rows
    where those are fewer.

    References
    ----------
    Wang, Mahadevan: Heterogeneous Domain Adaptation Using Manifold Alignment. IJCAI 2011.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys, yt = np.arange(60) % 3, np.where(np.arange(60) < 6, np.arange(60) % 3, np.nan)
    >>> Xs = 5 * np.eye(3)[ys] + rng.normal(size=(60, 3))
    >>> Xt = (5 * np.eye(3)[ys] + rng.normal(size=(60, 3))) @ rng.normal(size=(3, 4))
    >>> method = ManifoldAlignment().fit(Xs, Xt, ys, yt)
    >>> method.transform_source(Xs).shape, method.transform(Xt).shape
    ((60, 2), (60, 2))
    """

    needs: ClassVar[Needs] = Needs(
        target_labels=True,
        target_rows=True,
        same_features=False,
        dense=True,
        learner="any",
        tasks=("classification",),
    )

    def __init__(
        self,
        n_components: int | None = None,
        mu: float = 1.0,
        n_neighbors: int = 10,
        reg: float = 0.01,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_components = n_components
        self.mu = mu
        self.n_neighbors = n_neighbors
        self.reg = reg
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the linear maps of source and of target rows into the common space."""
        name, dtype = "ManifoldAlignment", Xs.dtype
        if not (self.mu >= 0 and self.reg > 0):
            raise InputError(f"{name}: mu must be zero or more and reg positive, not {self.mu} and {self.reg}")
        if self.n_components is not None and self.n_components < 1:
            raise InputError(f"{name}: n_components must be 1 or more, not {self.n_components}")
        labels = numbered(ys, yt, len(Xt), name, classes=True)
        shared_classes(labels, name)
        k = max(len(np.unique(np.append(labels.source, labels.target[labels.known]))), 2)
        rows, centers, axes = zip(*(_in_own_axes(X.astype(float)) for X in (Xs, Xt)), strict=True)
        near = block_diag(*(self._neighbors(Z) for Z in rows))
        alike, apart = label_matrices(rows[0], labels.source, rows[1], labels.target)
        self.eigenvalues_, F = directions(
            alike, apart, near, self.mu, self.reg, (k - 1) if self.n_components is None else self.n_components
        )
        own = np.split(F, [rows[0].shape[1]])
        images = [Z @ A for Z, A in zip(rows, own, strict=True)]
        # Variance 1 in all, the domains counting alike: one factor, and the components keep their proportions.
        spread = np.sqrt(np.mean([np.square(Y).sum(axis=1).mean() for Y in images]))
        # The sign is not to hang on rounding: the longer tail of the source is on the right.
        sign = np.where(np.power(images[0], 3).sum(axis=0) < 0, -1.0, 1.0) * (np.sqrt(F.shape[1]) / (spread or 1.0))
        maps = [
            AffineMap(center.astype(dtype), (V @ (A * sign)).astype(dtype), np.zeros(F.shape[1], dtype))
            for center, V, A in zip(centers, axes, own, strict=True)
        ]
        return maps[0], maps[1]

    def _neighbors(self, Z: np.ndarray) -> np.ndarray:
        """Return Z' L Z of one domain's neighbor graph, in the mean of a row."""
        L = laplacian(neighbour_graph(Z, self.n_neighbors, "binary", random_state=self.random_state))
        return np.asarray(Z.T @ (L @ Z) / len(Z))


def label_matrices(Zs: np.ndarray, ys: np.ndarray, Zt: np.ndarray, yt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return Z L_s Z' and Z L_d Z', shapes (d_s + d_t, d_s + d_t), where row i weighs 1 / its class in its domain.

    With W_ij = w_i w_j for rows of the same class (:math:`W_s`) or of different ones (:math:`W_d`), and L = D - W,

    .. math:: Z L_s Z^\top = \sum_i W_{c(i)} w_i z_i z_i^\top - \sum_c s_c s_c^\top,\qquad
              Z L_d Z^\top = \sum_i (W - W_{c(i)}) w_i z_i z_i^\top - s s^\top + \sum_c s_c s_c^\top

    where :math:`W_c` is the weight of a class, W that of all, :math:`s_c = \sum_{i \in c} w_i z_i`, and s their sum.
    """
    classes = np.unique(np.append(ys, yt[~np.isnan(yt)]))
    sums, here = np.zeros((len(classes), Zs.shape[1] + Zt.shape[1])), np.zeros((len(classes), 2))
    ends = slice(0, Zs.shape[1]), slice(Zs.shape[1], None)
    for domain, (Z, y, end) in enumerate(zip((Zs, Zt), (ys, yt), ends, strict=True)):
        there = np.isin(classes, y)
        here[:, domain] = there
        sums[there, end] = class_means(Z, y, classes[there])
    of_class = here.sum(axis=1)
    alike, apart = -sums.T @ sums, sums.T @ sums - np.outer(sums.sum(axis=0), sums.sum(axis=0))
    for Z, y, end in zip((Zs, Zt), (ys, yt), ends, strict=True):
        known = ~np.isnan(y)
        rows, at = Z[known], np.searchsorted(classes, y[known])
        w = 1 / np.bincount(at, minlength=len(classes))[at]
        alike[end, end] += (rows.T * (of_class[at] * w)) @ rows
        apart[end, end] += (rows.T * ((of_class.sum() - of_class[at]) * w)) @ rows
    return alike, apart


def directions(
    alike: np.ndarray, apart: np.ndarray, near: np.ndarray, mu: float, reg: float, n_components: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues of apart F = theta (alike + mu near + reg) F, and F, shape (d, k).

    Where nothing tells the classes apart there is one component, of zeros.
    """
    weight = float(np.trace(alike)) / (float(np.trace(near)) or 1.0)
    A = alike + (mu * weight) * near
    A[np.diag_indices_from(A)] += reg * (float(np.trace(A)) / len(A) or 1.0)
    d = len(A)
    values, F = eigh(apart, A, subset_by_index=(max(d - n_components, 0), d - 1))
    values, F = values[::-1], F[:, ::-1]
    kept = values > max(values[0], 0.0) * LEAST_SHARE
    return (values[kept], F[:, kept]) if kept.any() else (np.zeros(1), np.zeros((d, 1)))


def _in_own_axes(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centred rows of mean squared length 1, their center, and V such that rows (X - center) V are those.

    With more columns than rows, they are written in the axes that they span: outside nothing happens.
    """
    center = column_means(X)
    spread = np.sqrt(total_variance(X))
    unit = 1 / spread if spread > 0 else 1.0
    Z = (X - center) * unit
    if len(X) >= X.shape[1]:
        return Z, center, unit * np.eye(X.shape[1])
    _, s, Vt = np.linalg.svd(Z, full_matrices=False)
    V = Vt[s > LEAST_SHARE * (s[0] or 1.0)].T if s[0] > 0 else Vt[:1].T
    return Z @ V, center, unit * V
