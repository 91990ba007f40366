"""How alike two representations of the same items are: centred kernel alignment, debiased, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.draws import canonical_order
from headstart.errors import InputError

#: Items compared with each other at once; more are compared in batches.
BATCH = 512
#: Items that an unbiased estimate takes.
LEAST_ITEMS = 4


def cka(X: Any, Y: Any, *, debiased: bool = True, batch: int | None = None, random_state: int = 0) -> float:
    r"""Return the linear centred kernel alignment of two representations of the same items.

    .. math:: \mathrm{CKA} = \frac{\mathrm{HSIC}(K, L)}
              {\sqrt{\mathrm{HSIC}(K, K) \mathrm{HSIC}(L, L)}}, \qquad K = X X^T, \; L = Y Y^T

    1 when one representation is a rotation and a scaling of the other. Without debiasing HSIC is the plain
    tr(KHLH), and CKA comes near 1 for any two representations, noise too, when there are more columns than items.
    Debiased it is the unbiased estimate of Song et al.,

    .. math:: \mathrm{HSIC}_1 = \frac{1}{n(n-3)} \sum_{i \ne j} \tilde K_{ij} \tilde L_{ij}, \qquad
              \tilde K_{ij} = K_{ij} - \frac{\sum_l K_{il} + \sum_l K_{lj}}{n-2}
              + \frac{\sum_{lm} K_{lm}}{(n-1)(n-2)}, \quad K_{ii} = 0

    so that unrelated representations have 0 in the mean, and single values may lie a little below it.

    Parameters
    ----------
    X, Y : arrays of shape (n, d_x) and (n, d_y)
    debiased : bool
    batch : int, optional
        Compare items within batches of this size only and take the mean of HSIC over batches (Nguyen et al. 2021): it
        estimates the same, at n x batch instead of n x n.
    random_state : int
        For the batches.

    Returns
    -------
    float
        0 where a representation says the same of every item.

    Raises
    ------
    InputError
        When the rows differ in number, or are fewer than 4.

    References
    ----------
    Kornblith, Norouzi, Lee, Hinton: Similarity of Neural Network Representations Revisited. ICML 2019. Song, Smola,
    Gretton, Borgwardt, Bedo: Supervised Feature Selection via Dependence Estimation. ICML 2007. Nguyen, Raghu,
    Kornblith: Do Wide and Deep Networks Learn the Same Things? ICLR 2021.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, noise = rng.normal(size=(40, 200)), rng.normal(size=(40, 200))
    >>> round(cka(X, 3 * X), 6), abs(cka(X, noise)) < 0.1, cka(X, noise, debiased=False) > 0.8
    (1.0, True, True)
    """
    return float(cka_matrix([X], [Y], debiased=debiased, batch=batch, random_state=random_state)[0, 0])


def cka_matrix(
    Xs: Sequence[Any],
    Ys: Sequence[Any],
    *,
    debiased: bool = True,
    batch: int | None = None,
    random_state: int = 0,
) -> np.ndarray:
    """Return the alignment of each representation in one list with each in the other, shape (len(Xs), len(Ys)).

    Parameters as in `cka`; all have the same n rows.

    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> cka_matrix([X, 2 * X + 1], [X]).round(6).tolist()
    [[1.0], [1.0]]
    """
    blocks = [_rows(F) for F in (*Xs, *Ys)]
    n = len(blocks[0])
    if {len(F) for F in blocks} != {n} or n < LEAST_ITEMS:
        counts = sorted({len(F) for F in blocks})
        raise InputError(
            f"representations of {' and '.join(map(str, counts))} items; all must show the same {LEAST_ITEMS} items "
            "or more"
        )
    size = n if batch is None else max(batch, LEAST_ITEMS)
    parts = np.array_split(_shuffled(blocks[0], size, random_state), max(1, n // size))
    centre = _u_centred if debiased else _centred
    H = np.zeros((len(blocks), len(blocks)))
    for part in parts:
        G = np.stack([centre(F[part]).ravel() for F in blocks])
        m = len(part)
        H += G @ G.T / (m * (m - 3) if debiased else (m - 1) ** 2)
    own = np.diag(H)
    product = np.sqrt(own[: len(Xs), None]) * np.sqrt(own[None, len(Xs) :])
    cross = H[: len(Xs), len(Xs) :]
    return np.asarray(np.where(product > 0, cross / np.where(product > 0, product, 1.0), 0.0))


def _rows(F: Any) -> np.ndarray:
    """Return a representation, centred and scaled: neither changes the alignment, and both keep it from overflow."""
    F = np.asarray(F, dtype=float)
    if F.ndim != 2:
        raise InputError(f"a representation is a table of items and columns, not of shape {F.shape}")
    scale = float(np.abs(F).max(initial=0.0))
    if not np.isfinite(scale):
        raise InputError("a representation holds numbers that are not finite")
    F = F / scale if scale > 0 else F
    centred = F - F.mean(axis=0)
    spread = float(np.abs(centred).max(initial=0.0))
    # What rounding leaves of columns that are all the same is no difference between items.
    return centred / spread if spread > 1e-12 else np.zeros_like(centred)


def _shuffled(F: np.ndarray, size: int, random_state: int) -> np.ndarray:
    """Return the items in an order for batches that does not depend on how they were given."""
    if size >= len(F):
        return np.arange(len(F))
    return canonical_order(F)[np.random.default_rng(random_state).permutation(len(F))]


def _centred(F: np.ndarray) -> np.ndarray:
    C = F - F.mean(axis=0)
    return np.asarray(C @ C.T)


def _u_centred(F: np.ndarray) -> np.ndarray:
    """Return the U-centred kernel: its off-diagonal products estimate HSIC without bias."""
    K = F @ F.T
    n = len(K)
    np.fill_diagonal(K, 0.0)
    row = K.sum(axis=0) / (n - 2)
    K = K - row - row[:, None] + row.sum() / (n - 1)
    np.fill_diagonal(K, 0.0)
    return np.asarray(K)


@dataclass(frozen=True, eq=False)
class LayerSimilarity:
    """How alike the layers of two networks see the same items.

    Attributes
    ----------
    first, second : str
        Names of the networks.
    rows, columns : list of str
        Their layers.
    matrix : array of shape (len(rows), len(columns))
        Debiased linear CKA.
    items : int
    """

    first: str
    second: str
    rows: list[str]
    columns: list[str]
    matrix: np.ndarray
    items: int

    def partners(self) -> list[tuple[str, str, float]]:
        """Return each layer of the first network, the layer of the second most like it, and how alike they are."""
        best = self.matrix.argmax(axis=1)
        return [
            (row, self.columns[j], float(self.matrix[i, j]))
            for i, (row, j) in enumerate(zip(self.rows, best, strict=True))
        ]

    def __str__(self) -> str:
        lines = [f"{row} of {self.first} is most like {other} ({value:.2f})" for row, other, value in self.partners()]
        return "; ".join(lines) + f" of {self.second}"

    def document(self) -> dict[str, Any]:
        """Return the similarity in plain types."""
        return {
            "first": self.first,
            "second": self.second,
            "rows": self.rows,
            "columns": self.columns,
            "matrix": [[round(float(value), 4) for value in row] for row in self.matrix],
            "items": self.items,
            "how": "debiased linear centred kernel alignment: 1 the same up to rotation and scale, 0 unrelated",
            "summary": str(self),
        }


def layer_similarity(
    first: Any,
    second: Any,
    items: Any,
    *,
    layers: Sequence[str] | None = None,
    of_second: Sequence[str] | None = None,
    batch: int = BATCH,
    random_state: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> LayerSimilarity:
    """Compare the layers of two pretrained networks, or of one before and after tuning, on the same items.

    Parameters
    ----------
    first, second : Backbone
    items : sequence
        Pictures or texts, at least four.
    layers, of_second : sequences of str, optional
        Layers of the first and of the second; by default all.
    batch : int
        Items compared with each other at once.
    random_state : int
    tick : callable
        Told how many layers are read, and of how many.

    Raises
    ------
    InputError
        When there is no such layer, or there are fewer than four items.
    """
    rows, columns = list(layers or first.layers), list(of_second or second.layers)
    total, features = len(rows) + len(columns), []
    for network, names in ((first, rows), (second, columns)):
        for name in names:
            features.append(network.features(items, layer=name))
            tick(len(features), total)
    matrix = cka_matrix(features[: len(rows)], features[len(rows) :], batch=batch, random_state=random_state)
    return LayerSimilarity(first.card.name, second.card.name, rows, columns, matrix, len(features[0]))
