"""How the maps of PersonalizedBridge are learned: by what shared users did in the target, with torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

#: Users of a batch.
BATCH = 128
#: Epochs in which held-out users are foretold no better, after which training stops.
PATIENCE = 5
#: How far the logarithm of what an item counts may be from zero.
BOUND = 8.0


@dataclass(frozen=True, eq=False)
class SharedUsers:
    """What is known of n users who stand in both domains.

    Parameters
    ----------
    tastes : array of shape (n, d_s + 1)
        In the source, with a one behind.
    liked : csr_matrix of shape (n, columns)
        Items of the source.
    vectors : array of shape (columns, d)
        Of these items.
    done : csr_matrix of shape (n, m)
        Ratings or events in the target.
    item_vectors, item_bias : arrays of shape (m, d_t) and (m,)
        Of the target's items.
    confidence : array of shape (m,), optional
        How much more than a missing one an event counts; None of ratings.
    """

    tastes: np.ndarray
    liked: csr_matrix
    vectors: np.ndarray
    done: csr_matrix
    item_vectors: np.ndarray
    item_bias: np.ndarray
    confidence: np.ndarray | None


def trained_maps(
    shared: SharedUsers,
    common: np.ndarray,
    kept: np.ndarray,
    out: np.ndarray,
    hidden: int,
    epochs: int,
    rate: float,
    decay: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what each source item counts for, the hidden layer, and the maps, as `Bridge` holds them.

    Parameters
    ----------
    shared : SharedUsers
    common : array of shape (d_s + 1, d_t)
        The map that all users share at the beginning.
    kept, out : int arrays
        Which users are learned from, and which say when to stop.
    hidden, epochs, rate, decay
        As in `PersonalizedBridge`.
    rng : Generator
    """
    import torch

    d, scale = shared.vectors.shape[1], float(shared.vectors.std()) or 1.0

    def leaf(array: np.ndarray) -> Any:
        return torch.tensor(array, dtype=torch.float32, requires_grad=True)

    attention = leaf(rng.normal(0, 1 / np.sqrt(d), (d + 1, d)))
    score = leaf(rng.normal(0, 0.1 / np.sqrt(d), d))
    layer = leaf(rng.normal(0, 1 / np.sqrt(d), (d + 1, hidden)))
    maps = leaf(rng.normal(0, 0.1 * common.std() / np.sqrt(hidden), (hidden, *common.shape)))
    together = leaf(common)
    leaves = [attention, score, layer, maps, together]
    V = torch.tensor(np.hstack([shared.vectors / scale, np.ones((len(shared.vectors), 1))]), dtype=torch.float32)
    P = torch.tensor(shared.tastes, dtype=torch.float32)
    loss = _loss_of(shared)

    def counts(of: Any) -> Any:
        return torch.exp((torch.relu(of @ attention) @ score).clamp(-BOUND, BOUND))

    def mapped(users: np.ndarray) -> Any:
        rows, columns = _cells(shared.liked[users])
        w = counts(V[columns])
        sums = torch.zeros(len(users), d + 1).index_add(0, rows, w[:, None] * V[columns])
        c = sums / torch.zeros(len(users)).index_add(0, rows, w).clamp(min=1e-12)[:, None]
        p = P[users]
        outer = (torch.relu(c @ layer)[:, :, None] * p[:, None, :]).reshape(len(users), -1)
        return outer @ maps.reshape(-1, common.shape[1]) + p @ together

    def held_out() -> float:
        with torch.no_grad():
            return float(loss(mapped(out), out))

    optimizer = torch.optim.AdamW(
        [{"params": leaves[:-1], "weight_decay": decay}, {"params": leaves[-1:], "weight_decay": 0.0}], lr=rate
    )
    best, ends, stale = held_out(), [each.detach().clone() for each in leaves], 0
    for _ in range(epochs):
        shuffled = rng.permutation(kept)
        for start in range(0, len(shuffled), BATCH):
            users = shuffled[start : start + BATCH]
            optimizer.zero_grad()
            loss(mapped(users), users).backward()
            optimizer.step()
        now = held_out()
        stale = 0 if now < best else stale + 1
        if now < best:
            best, ends = now, [each.detach().clone() for each in leaves]
        if stale == PATIENCE:
            break
    with torch.no_grad():
        for each, end in zip(leaves, ends, strict=True):
            each.copy_(end)
        weight = counts(V).numpy()
    # The vectors were scaled for the sake of training.
    unscaled = ends[2].numpy() / np.array([[scale]] * d + [[1.0]], dtype=np.float32)
    return weight, unscaled, np.concatenate([ends[3].numpy(), ends[4].numpy()[None]])


def _loss_of(shared: SharedUsers) -> Any:
    r"""Return what tastes (n, d_t) of some users cost, a row of the target: the factorisation's own objective.

    Of events :math:`\sum_i (1 + c_i s_{ui}) (s_{ui} - p_u^\top q_i)^2` over all items, by the Gram matrix of the items.
    """
    import torch

    Q = torch.tensor(shared.item_vectors, dtype=torch.float32)
    b = torch.tensor(shared.item_bias, dtype=torch.float32)
    G = Q.T @ Q
    confidence = None if shared.confidence is None else torch.tensor(shared.confidence, dtype=torch.float32)

    def loss(tastes: Any, users: np.ndarray) -> Any:
        part = shared.done[users]
        rows, columns = _cells(part)
        s = (tastes[rows] * Q[columns]).sum(1) + b[columns]
        if confidence is None:
            return ((s - torch.tensor(part.data)) ** 2).mean()
        happened = (1 + confidence[columns]) * (1 - s) ** 2 - s**2
        return (((tastes @ G) * tastes).sum() + happened.sum()) / len(rows)

    return loss


def _cells(part: csr_matrix) -> tuple[Any, Any]:
    """Return the rows and columns of what is stored."""
    import torch

    rows = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
    return torch.tensor(rows), torch.tensor(part.indices.astype(np.int64))
