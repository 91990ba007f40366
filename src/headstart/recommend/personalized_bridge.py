"""PersonalizedBridge: everybody's own map from tastes in the source to tastes in the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from headstart.mapping import MappingLearner
from headstart.recommend.base import Arrived
from headstart.recommend.bridge_training import SharedUsers, trained_maps
from headstart.recommend.factorization import Preferences, RatingTastes
from headstart.recommend.taste_transfer import TasteTransfer, without_columns

#: Users whose maps are at hand at a time.
AT_A_TIME = 1024
#: Share of the shared users who are held out, to say when to stop.
HELD_OUT = 0.1


@dataclass(frozen=True, eq=False)
class Bridge:
    r"""From histories in the source to tastes in the target: :math:`[p_u, 1] M(c_u)`.

    Parameters
    ----------
    source : Preferences or RatingTastes
    weight : array of shape (columns,)
        What each item of the source counts for in c, :math:`\exp(e_j)`.
    hidden : array of shape (d + 1, h)
        From [c, 1] to the hidden layer.
    maps : array of shape (h + 1, d_s + 1, d_t)
        The map that each hidden number adds, and last the one that all users share.
    """

    source: Preferences | RatingTastes
    weight: np.ndarray
    hidden: np.ndarray
    maps: np.ndarray

    def tastes(self, history: csr_matrix) -> np.ndarray:
        """Return tastes in the target, shape (n, d_t)."""
        P = with_ones(self.source.tastes(history))
        z = with_ones(np.maximum(with_ones(self.characteristics(history)) @ self.hidden, 0.0))
        maps = self.maps.reshape(-1, self.maps.shape[2])
        found = np.empty((len(P), maps.shape[1]), dtype=np.float32)
        for start in range(0, len(P), AT_A_TIME):
            block = slice(start, start + AT_A_TIME)
            found[block] = (z[block, :, None] * P[block, None, :]).reshape(len(P[block]), -1) @ maps
        return found

    def characteristics(self, history: csr_matrix) -> np.ndarray:
        """Return c, the weighed mean of the vectors of what each user liked, shape (n, d)."""
        L = liked(history, isinstance(self.source, RatingTastes))
        L.data = self.weight[L.indices]
        return np.asarray(L @ self.source.vectors / np.maximum(np.asarray(L.sum(axis=1)), 1e-12))


@dataclass(frozen=True, eq=False)
class BridgedTastes:
    """Scores of tastes: those in the target, drawn to where the bridge brings those in the source.

    Parameters
    ----------
    bridge : Bridge
    target : Preferences or RatingTastes
    columns : slice
        Of the target's items in a history.
    item_vectors, item_bias : arrays
    """

    bridge: Bridge
    target: Preferences | RatingTastes
    columns: slice
    item_vectors: np.ndarray
    item_bias: np.ndarray

    def queries(self, history: csr_matrix, users: np.ndarray) -> np.ndarray:
        """Return tastes in the target, shape (n, d)."""
        there, here = without_columns(history, self.columns), history[:, self.columns]
        elsewhere = np.diff(there.indptr) > 0
        centre = np.zeros((history.shape[0], self.target.width))
        centre[elsewhere] = self.bridge.tastes(csr_matrix(there[elsewhere]))
        return self.target.tastes(here, centre).astype(np.float32)


class PersonalizedBridge(TasteTransfer):
    r"""A map from tastes in the source to tastes in the target for each user, made from what they liked.

    Each domain is factorised by itself. Then, with the item vectors :math:`v_j` of the source, an attention e and two
    layers, all learned,

    .. math:: c_u = \frac{\sum_{j \in h_u} \exp(e(v_j)) v_j}{\sum_{j \in h_u} \exp(e(v_j))}, \qquad
              M_u = M_0 + \sum_h \mathrm{relu}(A [c_u, 1])_h M_h, \qquad \hat p_u = [p_u, 1] M_u

    so that what is scored, :math:`\hat p_u^\top q_i`, foretells what shared users did in the target: the loss is that
    of the factorisation, over the ratings, or over all items where there are events only. It begins at the map that all
    users share (`EmbeddingMapping`), and stops when a tenth of the shared users, who are held out, is no longer
    foretold better. As there, who did something in the target has the taste that least squares find from there.

    The paper attends to the last 20 items that a user rated above 3; here it is all, of ratings those that the user
    rated no lower than the own mean. After training nothing of torch is left: a recommender holds arrays.

    Parameters
    ----------
    alpha : float, default 1e-3
        Penalty of the map at which it begins.
    hidden : int, default 50
    epochs : int, default 50
        At most.
    rate : float, default 3e-4
        Of learning, by Adam.
    decay : float, default 1e-2
        Of the weights, apart from what all users share (Loshchilov & Hutter 2019).
    random_state : int, default 0
        Where the weights begin, who is held out, and in what order users come.

    Raises
    ------
    NeedsError
        When fewer than ten users stand in both domains.

    References
    ----------
    Zhu, Tang, Liu, Zhuang, Xie, Zhang, Lin, He: Personalized Transfer of User Preferences for Cross-domain
    Recommendation. WSDM 2022.

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
    >>> fitted = PersonalizedBridge(epochs=5).fit(table, target="video", learner=learner)
    >>> sorted(fitted.recommend(30, k=4).items.tolist())
    ['show 0', 'show 2', 'show 4', 'show 6']
    """

    def __init__(
        self,
        alpha: float = 1e-3,
        hidden: int = 50,
        epochs: int = 50,
        rate: float = 3e-4,
        decay: float = 1e-2,
        random_state: Any = 0,
    ) -> None:
        self.alpha = alpha
        self.hidden = hidden
        self.epochs = epochs
        self.rate = rate
        self.decay = decay
        self.random_state = random_state

    def scorer(self, arrived: Arrived, learner: Any) -> BridgedTastes:
        """Factorise the target, and learn the bridge from the users who have both."""
        histories, both = arrived.histories, self.shared(arrived, learner)
        there, here, span = both.there, both.here, both.columns
        S, R = both.elsewhere, both.at_target
        rng = np.random.default_rng(self.random_state)
        order = rng.permutation(S.shape[0])
        out, kept = np.split(order, [max(1, int(HELD_OUT * S.shape[0]))])
        P, Q = there.tastes(S), here.tastes(R)
        start = MappingLearner(f="affine", pairing="paired", alpha=self.alpha, units="whole").fit(P[kept], Q[kept])
        vectors, bias = here.item_side(slice(None))
        shared = SharedUsers(
            with_ones(P),
            liked(S, histories.explicit),
            there.vectors,
            R,
            vectors,
            bias,
            None if isinstance(here, RatingTastes) else here.confidence,
        )
        bridge = Bridge(
            there,
            *trained_maps(
                shared,
                common_map(start.map_, there.width),
                kept,
                out,
                self.hidden,
                self.epochs,
                self.rate,
                self.decay,
                rng,
            ),
        )
        return BridgedTastes(bridge, here, span, vectors, bias)


def common_map(start: Any, width: int) -> np.ndarray:
    """Return an affine map as a matrix by which [p, 1] is multiplied, shape (d_s + 1, d_t)."""
    ends = start.transform(np.vstack([np.eye(width), np.zeros((1, width))]))
    return np.vstack([ends[:-1] - ends[-1], ends[-1:]])


def with_ones(X: np.ndarray) -> np.ndarray:
    """Return rows with a one behind each, float32."""
    return np.hstack([X, np.ones((len(X), 1))]).astype(np.float32)


def liked(history: csr_matrix, rated: bool) -> csr_matrix:
    """Return which items each user liked: all of events; of ratings those no lower than the user's mean."""
    if not rated:
        return csr_matrix((np.ones(history.nnz, dtype=np.float32), history.indices, history.indptr), history.shape)
    rows = np.repeat(np.arange(history.shape[0]), np.diff(history.indptr))
    sums = np.bincount(rows, history.data, minlength=history.shape[0])
    fine = history.data >= (sums / np.maximum(np.diff(history.indptr), 1))[rows] - 1e-6
    return csr_matrix((np.ones(fine.sum(), dtype=np.float32), (rows[fine], history.indices[fine])), history.shape)
