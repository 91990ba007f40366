"""EmbeddingMapping: tastes in the source, mapped to tastes in the target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix, diags_array

from headstart.mapping import Map, MappingLearner
from headstart.method import Family
from headstart.recommend.base import Arrived
from headstart.recommend.factorization import Preferences, RatingTastes
from headstart.recommend.neighbors import likeness
from headstart.recommend.scorers import Beside, Neighbors
from headstart.recommend.taste_transfer import TasteTransfer, without_columns


@dataclass(frozen=True, eq=False)
class MappedTastes:
    """Scores of tastes: those in the target, drawn to where the source's tastes are mapped.

    Parameters
    ----------
    source, target : Preferences or RatingTastes
    columns : slice
        Of the target's items in a history.
    map : Map
        f, from tastes in the source to tastes in the target.
    item_vectors, item_bias : arrays
    """

    source: Preferences | RatingTastes
    target: Preferences | RatingTastes
    columns: slice
    map: Map
    item_vectors: np.ndarray
    item_bias: np.ndarray

    def queries(self, history: csr_matrix, users: np.ndarray) -> np.ndarray:
        """Return tastes in the target, shape (n, d)."""
        there, here = without_columns(history, self.columns), history[:, self.columns]
        elsewhere = np.diff(there.indptr) > 0
        centre = np.zeros((history.shape[0], self.target.width))
        if elsewhere.any():
            centre[elsewhere] = self.map.transform(self.source.tastes(there[elsewhere]))
        return self.target.tastes(here, centre).astype(np.float32)


@dataclass(frozen=True, eq=False)
class TastesAndNeighbors:
    r"""Scores of tastes beside those of neighbours, both with a spread of one over the items.

    .. math:: s_{ui} = \frac{q_u^\top v_i}{\sigma_u} + w \frac{h_u^\top n_i}{\tau_u}
    """

    tastes: MappedTastes
    neighbors: Neighbors
    weight: float

    @property
    def item_vectors(self) -> Beside:
        """Both kinds of vectors, side by side."""
        return Beside((self.tastes.item_vectors, self.neighbors.item_vectors))

    @property
    def item_bias(self) -> np.ndarray:
        """None beside those of the ratings."""
        return self.tastes.item_bias

    @cached_property
    def covariance(self) -> np.ndarray:
        """Of the items' vectors, shape (d, d): made once, not for every user who asks."""
        return np.asarray(np.cov(self.tastes.item_vectors, rowvar=False, bias=True))

    def queries(self, history: csr_matrix, users: np.ndarray) -> Beside:
        """Return both kinds of queries, side by side."""
        q, near = self.tastes.queries(history, users), self.neighbors.queries(history, users)
        return _beside(q, near, *self._scales(q, near))

    def queries_on_one_scale(self, history: csr_matrix) -> Beside:
        """Return queries on the scale of the first history: what the others lack then shows in the scores."""
        guests = np.full(history.shape[0], -1)
        q, near = self.tastes.queries(history, guests), self.neighbors.queries(history, guests)
        of_taste, of_neighbors = self._scales(q[:1], near[:1])
        return _beside(q, near, np.repeat(of_taste, len(guests)), np.repeat(of_neighbors, len(guests)))

    def _scales(self, q: np.ndarray, near: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        """Return what brings the scores of tastes, and of neighbours, to their spread over the items, shape (n,)."""
        spread = np.sqrt(np.maximum(np.einsum("nd,de,ne->n", q, self.covariance, q), 1e-20))
        m = near.shape[1]
        mean = np.asarray(near.sum(axis=1)).ravel() / m
        square = np.asarray(near.multiply(near).sum(axis=1)).ravel() / m
        return 1 / spread, self.weight / np.sqrt(np.maximum(square - mean**2, 1e-20))


def _beside(q: np.ndarray, near: csr_matrix, of_taste: np.ndarray, of_neighbors: np.ndarray) -> Beside:
    scaled = csr_matrix(diags_array(of_neighbors.astype(np.float32)) @ near)
    return Beside(((q * of_taste[:, None]).astype(np.float32), scaled))


class EmbeddingMapping(TasteTransfer):
    r"""A map f from tastes in the source to tastes in the target, learned from the users who have both.

    Each domain is factorised by itself. Then, over shared users,

    .. math:: \min_f \sum_u \|f(p_u^{source}) - p_u^{target}\|^2

    by `headstart.mapping.MappingLearner`: this is the objective of all transfer, with users as pairs. Who did nothing
    in the target has the taste :math:`f(p_u)`; who did something, the one that least squares find when that is where
    they begin and what they are drawn to. Mapped tastes know what kind of thing someone likes; which very thing is
    said by neighbours (`CrossDomainItemKNN`), whose scores are added with weight `neighbors`.

    Parameters
    ----------
    f : str, default "affine"
        Family of maps, as in `MappingLearner`: "linear", "affine", "orthogonal", "low-rank", "kernel", "perceptron".
    alpha : float, default 1e-3
        Penalty of the map.
    neighbors : float, default 0.3
        What neighbours count beside tastes, each with a spread of one; 0 is the method as published. For events only.

    References
    ----------
    Man, Shen, Jin, Cheng: Cross-Domain Recommendation: An Embedding and Mapping Approach. IJCAI 2017.

    Examples
    --------
    Who plays chess watches films, who plays go series; user 30 only ever played.

    >>> import pandas as pd
    >>> from headstart.recommend import MatrixFactorization
    >>> rows = []
    >>> for user in range(30):
    ...     taste = user % 2
    ...     rows += [(user, f"game {2 * i + taste}", "game") for i in range(4) if (user + i) % 3]
    ...     rows += [(user, f"show {2 * i + taste}", "video") for i in range(4) if (user + 2 * i) % 3]
    >>> rows += [(30, "game 0", "game"), (30, "game 2", "game")]
    >>> table = pd.DataFrame(rows, columns=["user", "item", "domain"])
    >>> learner = MatrixFactorization(n_factors=4, penalty=1.0)
    >>> fitted = EmbeddingMapping().fit(table, target="video", learner=learner)
    >>> sorted(fitted.recommend(30, k=4).items.tolist())
    ['show 0', 'show 2', 'show 4', 'show 6']
    """

    family: ClassVar[Family] = Family.FEATURES

    def __init__(self, f: str = "affine", alpha: float = 1e-3, neighbors: float = 0.3) -> None:
        self.f = f
        self.alpha = alpha
        self.neighbors = neighbors

    def scorer(self, arrived: Arrived, learner: Any) -> MappedTastes | TastesAndNeighbors:
        """Factorise the target, and map the tastes of the users who have both."""
        histories, both = arrived.histories, self.shared(arrived, learner)
        P, Q = both.there.tastes(both.elsewhere), both.here.tastes(both.at_target)
        learned = MappingLearner(f=self.f, pairing="paired", alpha=self.alpha, units="whole").fit(P, Q)
        mapped = MappedTastes(both.there, both.here, both.columns, learned.map_, *both.here.item_side(slice(None)))
        if histories.explicit or not self.neighbors:
            return mapped
        return TastesAndNeighbors(mapped, likeness(histories, 0.0), float(self.neighbors))
