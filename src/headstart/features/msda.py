"""mSDA: marginalised stacked denoising autoencoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from headstart.domain import stack_rows
from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.moments import BLOCK, column_means, mean_squares, products
from headstart.features.new_features import beside
from headstart.mapping import Map
from headstart.method import Needs

#: Features that one denoiser looks at, at most: it takes the inverse of a matrix of that size (0.2 GB).
MOST_AT_ONCE = 5000
#: Rows of both domains up to which all features (5,000 of them) are reconstructed, and how many are beyond.
MOST_ROWS, AUTO_FEATURES = 10_000, 500


class MSDA(FeatureMethod):
    r"""Marginalised stacked denoising autoencoders: what the features say about each other, layer upon layer.

    A layer learns to reconstruct the rows of both domains from copies in which each feature is set to zero with
    probability p. The mean over infinitely many copies has a closed form:

    .. math:: W = E[P]\, E[Q]^{-1}, \quad S = \bar X^\top \bar X, \quad
              E[Q]_{ij} = S_{ij}\, q_i q_j \;(i \neq j), \quad E[Q]_{ii} = S_{ii}\, q_i, \quad
              E[P]_{ij} = S_{ij}\, q_j

    with rows :math:`\bar x = (x, 1)` and :math:`q = (1 - p, \ldots, 1 - p, 1)`: the constant is never corrupted.
    Layers are stacked, :math:`h_1 = \tanh(W_1 \bar x)`, :math:`h_2 = \tanh(W_2 \bar h_1)`, ..., and the
    representation is :math:`[x, h_1, \ldots, h_l]`. Labels are not used. Target rows are mapped as source rows are.
    The new columns have no zeros: of sparse rows the representation is a sparse matrix where the old features are more
    than half as many as the new ones, and else an array.

    Parameters
    ----------
    n_layers : int, default 5
        l; the paper's number for reviews.
    corruption : float, default 0.5
        p, between 0 and 1. Larger: a feature is reconstructed more from the others, and less from itself.
    n_features : int or "auto", default "auto"
        How many features the layers reconstruct: those with the largest mean square, which for words is the most
        frequent ones, as in the paper's version for many features. "auto": all, but 5,000 at most, up to 10,000
        rows in both domains, and 500 beyond.
    reg : float, default 1e-5
        Added to the diagonal of E[Q], as in the authors' code. Larger: reconstructions shrink.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Deals more than 5,000 features out to parts of equal size. Each part reconstructs on its own, and the
        reconstructions are averaged, as in the paper.

    Attributes
    ----------
    features_ : int array
        Columns that are reconstructed.

    References
    ----------
    Chen, Xu, Weinberger, Sha: Marginalized Denoising Autoencoders for Domain Adaptation. ICML 2012.

    Examples
    --------
    Two words that always come together: from one of them, both are reconstructed alike.

    >>> import numpy as np
    >>> X = np.repeat([[1.0, 1.0], [0.0, 0.0]], 50, axis=0)
    >>> method = MSDA(n_layers=1).fit(X, X)
    >>> method.transform(np.array([[1.0, 0.0]])).round(2)
    array([[1.  , 0.  , 0.64, 0.64]])
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any")

    def __init__(
        self,
        n_layers: int = 5,
        corruption: float = 0.5,
        n_features: int | str = "auto",
        reg: float = 1e-5,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_layers = n_layers
        self.corruption = corruption
        self.n_features = n_features
        self.reg = reg
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of both domains' rows, twice. Labels are not used."""
        if not 0 < self.corruption < 1 or self.reg <= 0:
            raise InputError(
                f"MSDA: corruption must be between 0 and 1 and reg more than 0, not {self.corruption} and {self.reg}"
            )
        X = stack_rows([Xs, Xt])
        # Rounding must not decide between features that are equally frequent.
        frequency = mean_squares(X).astype(np.float32)
        self.features_ = np.sort(np.argsort(-frequency, kind="stable")[: self._width(*X.shape)])
        layers = [self._first_layer(X)]
        if self.n_layers > 1:
            H = activated(X, layers[0])
            for _ in range(self.n_layers - 1):
                S = second_moments(H)
                layers.append(denoiser(S, S[:, :-1], self.corruption, self.reg).astype(X.dtype))
                for start in range(0, len(H), BLOCK):
                    H[start : start + BLOCK] = activated(H[start : start + BLOCK], layers[-1])
        found = StackedMap(tuple(layers))
        return found, found

    def _width(self, n: int, d: int) -> int:
        if isinstance(self.n_features, str):
            if self.n_features != "auto":
                raise InputError(f"MSDA: n_features must be a number or 'auto', not {self.n_features!r}")
            return min(d, MOST_AT_ONCE if n <= MOST_ROWS else AUTO_FEATURES)
        return min(d, self.n_features)

    def _first_layer(self, X: Any) -> np.ndarray:
        """Return the weights from all features to those reconstructed: the average over parts of the features."""
        d = X.shape[1]
        n_parts = -(-d // MOST_AT_ONCE)
        if n_parts == 1:
            S = second_moments(X)
            return denoiser(S, S[:, self.features_], self.corruption, self.reg).astype(X.dtype)
        wanted = X[:, self.features_]
        W = np.zeros((d + 1, len(self.features_)))
        for part in np.array_split(np.random.default_rng(self.random_state).permutation(d), n_parts):
            own = X[:, part]
            cross = np.vstack([products(own, wanted), X.shape[0] * column_means(wanted)])
            W[np.append(part, d)] += denoiser(second_moments(own), cross, self.corruption, self.reg) / n_parts
        return W.astype(X.dtype)


def second_moments(X: Any) -> np.ndarray:
    """Return S, the sums of products of the rows (x, 1), shape (d + 1, d + 1)."""
    n, d = X.shape
    S = np.empty((d + 1, d + 1))
    S[:d, :d] = products(X, X)
    S[d, :d] = S[:d, d] = n * column_means(X)
    S[d, d] = n
    return S


def denoiser(S: np.ndarray, wanted: np.ndarray, p: float, reg: float) -> np.ndarray:
    """Return the weights W' = E[Q]^-1 E[P]' that reconstruct features from corrupted rows (x, 1), shape (d + 1, r).

    Parameters
    ----------
    S : array of shape (d + 1, d + 1)
        Sums of products of the rows (x, 1). Not needed any more afterwards: E[Q] takes its place.
    wanted : array of shape (d + 1, r)
        Sums of products of the rows (x, 1) with the features that are to be reconstructed.
    p : float
        The probability that a feature is set to zero.
    reg : float
        Added to the diagonal of E[Q].
    """
    q = np.full(len(S), 1 - p)
    q[-1] = 1.0
    right = np.asfortranarray(q[:, None] * wanted)
    diagonal = np.diag(S) * q + reg
    S *= q[:, None]
    S *= q
    S[np.diag_indices(len(S))] = diagonal
    # LAPACK works in place on columns, and S' = S.
    return np.asarray(cho_solve(cho_factor(S.T, lower=True, overwrite_a=True), right, overwrite_b=True))


def activated(X: Any, W: np.ndarray) -> np.ndarray:
    """Return tanh((x, 1) W), shape (n, r)."""
    H = np.asarray(X @ W[:-1])
    H += W[-1]
    return np.tanh(H, out=H)


@dataclass(frozen=True, eq=False)
class StackedMap:
    """The map x -> [x, h_1, ..., h_l] with h_1 = tanh((x, 1) W_1), h_2 = tanh((h_1, 1) W_2) ...; rows may be sparse."""

    layers: tuple[np.ndarray, ...]

    def transform(self, X: Any) -> Any:
        """Return the old features, and all layers beside them."""
        hidden: list[np.ndarray] = []
        for W in self.layers:
            hidden.append(activated(hidden[-1] if hidden else X, W))
        return beside(X, *hidden)
