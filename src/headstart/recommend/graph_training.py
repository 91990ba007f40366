"""How the vectors of BiGraphTransfer are learned: propagation in two graphs and pairwise ranking, with torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

#: Share of the target's rows that are held out, to say when to stop.
HELD_OUT = 0.03
#: Events of shared users that are foretold from the other domain alone.
AS_NEW = 0.5
#: Epochs in which held-out rows are foretold no better, after which training stops.
PATIENCE = 3
#: Items drawn at random above which the events of a batch shall stand.
AGAINST = 100
#: Items of which a held-out one should be the best.
RIVALS = 500


@dataclass(frozen=True, eq=False)
class Events:
    """Who did what, and what it counts in A: three arrays of shape (events,)."""

    users: np.ndarray
    items: np.ndarray
    strength: np.ndarray


@dataclass(frozen=True, eq=False)
class Side:
    r"""What all users did in one domain.

    Parameters
    ----------
    users, items : int arrays of shape (events,)
    degree : int array of shape (n,)
        How much each user did.
    scale : array of shape (m,)
        :math:`1 / \sqrt{d_i}`, of how many users each item has.
    """

    users: np.ndarray
    items: np.ndarray
    degree: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, part: csr_matrix) -> Side:
        """Read what users did from a part of the histories."""
        degree = np.diff(part.indptr)
        users = np.repeat(np.arange(part.shape[0]), degree)
        counts = np.bincount(part.indices, minlength=part.shape[1])
        return cls(users, part.indices, degree, (1 / np.sqrt(np.maximum(counts, 1))).astype(np.float32))

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items."""
        return len(self.degree), len(self.scale)

    def without(self, rows: np.ndarray) -> Side:
        """Return the side without some events."""
        kept = np.ones(len(self.users), dtype=bool)
        kept[rows] = False
        ones = np.ones(kept.sum(), dtype=np.float32)
        return Side.of(csr_matrix((ones, (self.users[kept], self.items[kept])), shape=self.shape))

    def events(self, rows: Any = slice(None)) -> Events:
        """Return some events, and what they count in A."""
        users, items = self.users[rows], self.items[rows]
        return Events(users, items, (self.scale[items] / np.sqrt(self.degree[users])).astype(np.float32))

    def graph(self) -> csr_matrix:
        """Return A, shape (n, m)."""
        return csr_matrix((self.events().strength, (self.users, self.items)), shape=self.shape)


def mix(degree: np.ndarray, other: np.ndarray, own: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of a user in a domain is what they did there and what they did in the other, shape (n,) each.

    >>> [w.tolist() for w in mix(np.array([3, 0, 5]), np.array([1, 2, 0]), 0.5)]
    [[0.625, 0.0, 1.0], [0.375, 1.0, 0.0]]
    """
    shared = (own + degree / np.maximum(degree + other, 1)) / 2
    w = np.where(other == 0, 1.0, np.where(degree == 0, 0.0, shared)).astype(np.float32)
    return w, 1 - w


@dataclass(frozen=True, eq=False)
class Graphs:
    """Both domains as sparse tensors; 0 is the source and 1 the target.

    Parameters
    ----------
    sides : pair of Side
    across, back : pairs of tensors
        A of each side, and its transpose.
    weights : pair of pairs of arrays
        `mix` of each side.
    """

    sides: tuple[Side, Side]
    across: tuple[Any, Any]
    back: tuple[Any, Any]
    weights: tuple[Any, Any]

    @classmethod
    def of(cls, source: Side, target: Side, own: float) -> Graphs:
        """Make both graphs."""
        A, B = source.graph(), target.graph()
        return cls(
            (source, target),
            (_sparse(A), _sparse(B)),
            (_sparse(csr_matrix(A.T)), _sparse(csr_matrix(B.T))),
            (mix(source.degree, target.degree, own), mix(target.degree, source.degree, own)),
        )

    def propagated(self, tables: Sequence[Any], layers: int) -> list[Any]:
        """Return the mean of all layers of the items of both sides."""
        import torch

        w = [[torch.tensor(each)[:, None] for each in pair] for pair in self.weights]
        layer = list(tables)
        total = list(tables)
        for _ in range(layers):
            U = self.of_users(layer)
            layer = [self.back[d] @ (w[d][0] * U[d] + w[d][1] * U[1 - d]) for d in (0, 1)]
            total = [sum_ + each for sum_, each in zip(total, layer, strict=True)]
        return [sum_ / (layers + 1) for sum_ in total]

    def of_users(self, items: Sequence[Any]) -> list[Any]:
        """Return what users are by what they did in each domain alone."""
        return [A @ table for A, table in zip(self.across, items, strict=True)]

    def margins(
        self, items: Sequence[Any], U: Sequence[Any], d: int, events: Events, as_new: np.ndarray, against: np.ndarray
    ) -> Any:
        """Return by how much events are above items drawn at random, shape (events, items against).

        Parameters
        ----------
        items, U : pairs of tensors
            Vectors of items, and `of_users` of them.
        d : int
            Of which side the events are.
        events : Events
        as_new : mask of shape (events,)
            Which are foretold from the other domain alone, where the user did something there.
        against : int array
            Items.
        """
        import torch
        from torch.nn.functional import embedding

        new = as_new & (self.sides[1 - d].degree[events.users] > 0)
        own = np.where(new, 0.0, self.weights[d][0][events.users]).astype(np.float32)
        at = torch.tensor(events.users)
        liked = embedding(torch.tensor(events.items), items[d])
        # The event itself is no part of what it is foretold from.
        here = embedding(at, U[d]) - torch.tensor(events.strength)[:, None] * liked
        w = torch.tensor(own)[:, None]
        u = w * here + (1 - w) * embedding(at, U[1 - d])
        return (u * liked).sum(1, keepdim=True) - u @ embedding(torch.tensor(against), items[d]).T


def trained_tables(
    source: Side,
    target: Side,
    start: Sequence[np.ndarray],
    layers: int,
    own: float,
    epochs: int,
    batch: int,
    rate: float,
    penalty: float,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Return the vectors of the items of both sides, from where they start.

    Parameters
    ----------
    source, target : Side
    start : pair of arrays of shape (items, d)
    layers, own, epochs, batch, rate, penalty
        As in `BiGraphTransfer`.
    rng : Generator
    """
    import torch
    from torch.nn.functional import embedding, logsigmoid

    crowd = np.flatnonzero(target.degree[target.users] > 1)
    out = rng.permutation(crowd)[: max(1, int(HELD_OUT * len(target.users)))]
    graphs = Graphs.of(source, target.without(out), own)
    held_out = Events(target.users[out], target.items[out], np.zeros(len(out), dtype=np.float32))
    rivals = rng.integers(target.shape[1], size=RIVALS)
    tables = [torch.tensor(each, dtype=torch.float32, requires_grad=True) for each in start]

    def reciprocal_rank() -> float:
        with torch.no_grad():
            items = graphs.propagated(tables, layers)
            as_new = np.arange(len(out)) % 2 == 0
            M = graphs.margins(items, graphs.of_users(items), 1, held_out, as_new, rivals)
            return float((1 / (1 + (M < 0).sum(1))).mean())

    def loss_of(parts: Sequence[np.ndarray]) -> Any:
        items = graphs.propagated(tables, layers)
        U = graphs.of_users(items)
        loss: Any = 0.0
        for d, part in enumerate(parts):
            events = graphs.sides[d].events(part)
            against = rng.integers(graphs.sides[d].shape[1], size=AGAINST)
            M = graphs.margins(items, U, d, events, rng.random(len(part)) < AS_NEW, against)
            first = embedding(torch.tensor(events.items), tables[d])
            loss = loss - logsigmoid(M).mean() + penalty * (first**2).sum() / len(part)
        return loss

    optimizer = torch.optim.Adam(tables, lr=rate)
    best, ends, stale = -1.0, [each.detach().clone() for each in tables], 0
    for _ in range(epochs):
        orders = [rng.permutation(len(side.users)) for side in graphs.sides]
        steps = max(1, round(max(len(order) for order in orders) / batch))
        for parts in zip(*(np.array_split(order, steps) for order in orders), strict=True):
            optimizer.zero_grad()
            loss_of(parts).backward()
            optimizer.step()
        now = reciprocal_rank()
        stale = 0 if now > best else stale + 1
        if now > best:
            best, ends = now, [each.detach().clone() for each in tables]
        if stale == PATIENCE:
            break
    return [table.numpy() for table in graphs.propagated(ends, layers)]


def _sparse(A: csr_matrix) -> Any:
    """Return a sparse tensor, in coordinates."""
    import torch

    C = A.tocoo()
    index = torch.tensor(np.stack([C.row, C.col]).astype(np.int64))
    return torch.sparse_coo_tensor(index, torch.tensor(C.data), C.shape, check_invariants=False).coalesce()
