"""Training of networks over scenarios, with torch; what comes out are plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.recommend.scenario_beginnings import MOVING, beginnings
from headstart.recommend.scenario_layers import NUMPY, Numbers, Shape, logits, own_codes, spans_of


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Parameters
    ----------
    learning_rate, penalty, own_penalty, dropout, masked : float
        Of Adam; of the squares of the embeddings that a row looks up, and of the scenario's own weights; the share of
        hidden units dropped; and the share of categories that are hidden, so that the unknown one is learned.
    batch, epochs, patience : int
        Training stops when the loss on the rows held back has not become smaller for so many epochs.
    """

    learning_rate: float
    penalty: float
    own_penalty: float
    dropout: float
    masked: float
    batch: int
    epochs: int
    patience: int


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to learn from: codes (n, fields), values (n, numbers), scenario (n,) from 0 on, y (n,) of 0 and 1."""

    codes: np.ndarray
    values: np.ndarray
    scenario: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Rows:
        """Return some rows, sorted by scenario."""
        rows = rows[np.argsort(self.scenario[rows], kind="stable")]
        return Rows(self.codes[rows], self.values[rows], self.scenario[rows], self.y[rows])


def trained(
    shape: Shape, rows: Rows, held: Rows, unknown: np.ndarray, settings: Training, seed: int
) -> tuple[dict[str, np.ndarray], int]:
    """Return the parameters of the epoch with the smallest loss on the rows held back, and its number.

    Parameters
    ----------
    unknown : int array of shape (fields,)
        The code of each column's unknown category.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    rng = np.random.default_rng(seed)
    P = {name: torch.from_numpy(value) for name, value in beginnings(shape, rng).items()}
    slopes = [value.requires_grad_() for name, value in P.items() if name not in MOVING]
    arrays = {name: value.detach().numpy() for name, value in P.items()}
    xp = with_torch(settings.dropout, seed)
    adam = torch.optim.Adam(slopes, lr=settings.learning_rate)
    best, best_loss, best_epoch = {name: value.copy() for name, value in arrays.items()}, np.inf, 0
    for epoch in range(settings.epochs):
        order = rng.permutation(len(rows))
        for first in range(0, len(order), settings.batch):
            part = rows.take(order[first : first + settings.batch])
            codes = torch.from_numpy(
                np.where(rng.random(part.codes.shape) < settings.masked, unknown[None, :], part.codes)
            )
            spans = spans_of(part.scenario)
            told = logits(P, shape, codes, torch.from_numpy(part.values), spans, xp)
            loss = binary_cross_entropy_with_logits(told, torch.from_numpy(part.y))
            looked_up = settings.penalty * sum(
                (xp.rows(P[name], codes) ** 2).sum() for name in ("embeddings", "weights")
            )
            if shape.kind != "pooled":
                own = xp.rows(P["own_weights"], own_codes(shape, codes, spans, xp))
                looked_up = looked_up + settings.own_penalty * (own**2).sum()
            loss = loss + looked_up / len(part)
            adam.zero_grad()
            loss.backward()
            adam.step()
        if shape.kind == "star":
            settle(arrays, shape, rows)
        loss_held = log_loss(arrays, shape, held)
        if loss_held < best_loss:
            best, best_loss, best_epoch = {name: value.copy() for name, value in arrays.items()}, loss_held, epoch + 1
        elif epoch + 1 - best_epoch >= settings.patience:
            break
    return best, best_epoch


def with_torch(dropout: float, seed: int, training: bool = True) -> Numbers:
    """Return torch's functions; what is dropped is drawn from a generator of its own."""
    import torch
    from torch.nn.functional import embedding

    chance = torch.Generator().manual_seed(seed)

    def dropped(Z: torch.Tensor) -> torch.Tensor:
        if not training or dropout == 0.0:
            return Z
        return Z * (torch.rand(Z.shape, generator=chance) >= dropout) / (1.0 - dropout)

    return Numbers(
        sigmoid=torch.sigmoid,
        relu=torch.relu,
        softmax=lambda Z: torch.softmax(Z, dim=-1),
        rows=lambda table, codes: embedding(codes, table),
        index=torch.from_numpy,
        joined=lambda parts: torch.cat(tuple(parts), dim=-1),
        stacked=lambda parts: torch.cat(tuple(parts)),
        still=lambda Z: Z.detach(),
        dropped=dropped,
        training=training,
    )


def settle(P: dict[str, np.ndarray], shape: Shape, rows: Rows) -> None:
    """Write the means and variances of each scenario's inputs, over its training rows, for predictions."""
    for s in np.unique(rows.scenario):
        of = rows.scenario == s
        x = np.hstack([P["embeddings"][rows.codes[of]].reshape(int(of.sum()), -1), rows.values[of]])
        P["means"][s], P["variances"][s] = x.mean(axis=0), x.var(axis=0)


def log_loss(P: dict[str, np.ndarray], shape: Shape, rows: Rows) -> float:
    """Return the mean loss on rows sorted by scenario."""
    z = logits(P, shape, rows.codes, rows.values, spans_of(rows.scenario), NUMPY)
    return float(np.mean(np.logaddexp(0.0, z) - rows.y * z))
