"""BiGraphTransfer: what users did in both domains as two graphs, joined at the users who stand in both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from headstart.errors import NeedsError
from headstart.method import Family, Needs
from headstart.recommend.base import Arrived, CrossDomainMethod
from headstart.recommend.factorization import MatrixFactorization
from headstart.recommend.graph_training import Side, mix, trained_tables
from headstart.recommend.histories import Histories
from headstart.recommend.taste_transfer import TasteTransfer, require_shared

#: Of the numbers with which the vectors begin.
SPREAD = 0.1


@dataclass(frozen=True, eq=False)
class GraphTastes:
    r"""Scores of users who are what they did in both domains, degree-weighed.

    Parameters
    ----------
    vectors : array of shape (columns, d)
        Of all items, those of the target last: the mean of all layers.
    scale : array of shape (columns,)
        :math:`1 / \sqrt{d_i}`, of how many users each item has.
    columns : slice
        Of the target's items.
    own : float
        lambda.
    item_bias : array of shape (m,)
    """

    vectors: np.ndarray
    scale: np.ndarray
    columns: slice
    own: float
    item_bias: np.ndarray

    @property
    def item_vectors(self) -> np.ndarray:
        """The vectors of the target's items."""
        return self.vectors[self.columns]

    def queries(self, history: csr_matrix, users: np.ndarray) -> np.ndarray:
        """Return what users are in the target, shape (n, d)."""
        there, here = slice(0, self.columns.start), self.columns
        sums, degrees = [], []
        for side in (here, there):
            part = csr_matrix(history[:, side])
            degree = np.diff(part.indptr)
            part.data = self.scale[side][part.indices] / np.sqrt(np.repeat(degree, degree))
            sums.append(part @ self.vectors[side])
            degrees.append(degree)
        own, other = mix(degrees[0], degrees[1], self.own)
        return np.asarray(own[:, None] * sums[0] + other[:, None] * sums[1], dtype=np.float32)


class BiGraphTransfer(CrossDomainMethod):
    r"""Two graphs of users and items, in which the vectors of shared users pass from each to the other in every layer.

    In each domain, with A what users did divided by the roots of both degrees, layer by layer

    .. math:: U_l = A I_l, \qquad \tilde U_l = w U_l + w' U'_l, \qquad I_{l+1} = A^\top \tilde U_l

    where U' are the same users in the other domain, and of who stands in both, with degrees d and d',

    .. math:: w = \frac{1}{2} \Bigl(\lambda + \frac{d}{d + d'}\Bigr), \qquad w' = 1 - w .

    Who stands in one domain alone is in the other what they are there. The mean of all layers, I, is what is scored:
    :math:`\tilde u^\top i`. :math:`I_0` is learned, so that what someone did is above what they did not, drawn at
    random (BPR), in both domains; and it stops when rows that are held out are no longer foretold better.

    Four things are not as published, for the sake of users who are new to the target, or altogether. Users have no
    vectors of their own, they are what they did, so that a guest is what a user with the same history is. An event is
    foretold from the others alone. Of shared users, half of their events are foretold from the other domain alone. And
    :math:`I_0` begins at a factorisation of both domains together (`CollectiveMF`), not at random.

    Parameters
    ----------
    layers : int, default 1
        Beyond the first.
    own : float, default 0.8
        lambda: how much of itself a domain keeps of a shared user.
    epochs : int, default 10
        At most.
    batch : int, default 16384
        Events of each domain.
    rate : float, default 0.003
        Of learning, by Adam.
    penalty : float, default 1e-4
        Of the vectors in a batch.
    random_state : int, default 0

    Raises
    ------
    NeedsError
        When there are ratings, or fewer than ten users stand in both domains.

    References
    ----------
    Liu, Li, Li, Pan: Cross Domain Recommendation via Bi-directional Transfer Graph Collaborative Filtering Networks.
    CIKM 2020.
    He, Deng, Wang, Li, Zhang, Wang: LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation.
    SIGIR 2020.

    Examples
    --------
    Who plays chess watches films, who plays go series; user 30 only ever played.

    >>> import pandas as pd
    >>> rows = []
    >>> for user in range(30):
    ...     taste = user % 2
    ...     rows += [(user, f"game {2 * i + taste}", "game") for i in range(4) if (user + i) % 3]
    ...     rows += [(user, f"show {2 * i + taste}", "video") for i in range(4) if (user + 2 * i) % 3]
    >>> rows += [(30, "game 0", "game"), (30, "game 2", "game")]
    >>> table = pd.DataFrame(rows, columns=["user", "item", "domain"])
    >>> learner = MatrixFactorization(n_factors=4, penalty=1.0)
    >>> fitted = BiGraphTransfer().fit(table, target="video", learner=learner)
    >>> sorted(fitted.recommend(30, k=4).items.tolist())
    ['show 0', 'show 2', 'show 4', 'show 6']
    """

    family: ClassVar[Family] = Family.FEATURES
    needs: ClassVar[Needs] = Needs(
        target_labels=True, same_features=False, learner="any", tasks=("ranking",), reads=("ratings",)
    )

    least_shared: ClassVar[int] = TasteTransfer.least_shared

    def __init__(
        self,
        layers: int = 1,
        own: float = 0.8,
        epochs: int = 10,
        batch: int = 16_384,
        rate: float = 0.003,
        penalty: float = 1e-4,
        random_state: Any = 0,
    ) -> None:
        self.layers = layers
        self.own = own
        self.epochs = epochs
        self.batch = batch
        self.rate = rate
        self.penalty = penalty
        self.random_state = random_state

    def refuses(self, learner: Any) -> str | None:
        """Say that the learner must factorise."""
        if isinstance(learner, MatrixFactorization):
            return None
        return f"begins at vectors of items, and {type(learner).__name__} finds none; take MatrixFactorization"

    def scorer(self, arrived: Arrived, learner: Any) -> GraphTastes:
        """Learn the vectors of all items."""
        histories = arrived.histories
        span = histories.span(histories.target)
        require_graph(histories, span)
        rng = np.random.default_rng(self.random_state)
        H = histories.matrix
        source, target = Side.of(csr_matrix(H[:, : span.start])), Side.of(csr_matrix(H[:, span]))
        vectors = learner.factorise(histories).vectors
        vectors = vectors * (SPREAD / max(float(vectors.std()), 1e-12))
        tables = trained_tables(
            source,
            target,
            (vectors[: span.start], vectors[span]),
            self.layers,
            self.own,
            self.epochs,
            self.batch,
            self.rate,
            self.penalty,
            rng,
        )
        scale = np.concatenate([source.scale, target.scale])
        return GraphTastes(np.concatenate(tables), scale, span, self.own, np.zeros(len(tables[1]), dtype=np.float32))


def require_graph(histories: Histories, span: slice) -> None:
    """Refuse ratings, and domains that share fewer than ten users.

    Raises
    ------
    NeedsError
    """
    if histories.explicit:
        raise NeedsError("BiGraphTransfer learns from events, and these are ratings; leave the ratings out")
    elsewhere = np.diff(csr_matrix(histories.matrix[:, : span.start]).indptr) > 0
    both = np.flatnonzero(elsewhere & histories.active(histories.target))
    require_shared(both, histories, "BiGraphTransfer")
