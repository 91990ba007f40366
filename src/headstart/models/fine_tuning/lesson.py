"""A network and what it is trained for, as one module from a batch to the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True, eq=False)
class Rows:
    """Pictures or texts, and the numbers of their classes."""

    items: Sequence[Any]
    y: np.ndarray


@dataclass(frozen=True, eq=False)
class Step:
    """One batch on its way through the network: what an objective sees.

    Of several processes each sees its own share of the batch.

    Attributes
    ----------
    network : torch module
        With a `body` and a `head`.
    batch : dict of str to tensor
        What the body took.
    features, scores : tensors of shape (n, d) and (n, k)
        What body and head gave, in float32.
    y : tensor of shape (n,)
        Numbers of the classes.
    at : tensor of shape (n,)
        Positions among the rows that are trained on.
    loss : tensor
        Cross-entropy of the scores.
    """

    network: Any
    batch: dict[str, torch.Tensor]
    features: torch.Tensor
    scores: torch.Tensor
    y: torch.Tensor
    at: torch.Tensor
    loss: torch.Tensor


#: From a step to the loss that is descended; a torch module where it has parameters of its own.
Objective = Callable[[Step], torch.Tensor]


class Lesson(nn.Module):
    """A network and its objective, as one module from a batch to the loss.

    Parameters
    ----------
    network : torch module
        With a `body` and a `head`.
    objective : callable or torch module, optional
    weight : tensor of shape (k,), optional
        What each class counts; a class beyond them counts 1.
    precision : torch.dtype, optional
        What body and head compute in, where that is not float32; the objective computes in float32.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective | None,
        weight: torch.Tensor | None,
        precision: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.precision = precision
        self.weight: torch.Tensor | None
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, y: torch.Tensor, at: torch.Tensor, **batch: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch."""
        features, scores = self.run(batch)
        loss = self.cross_entropy(scores, y)
        if self.objective is None:
            return loss
        return self.objective(Step(self.network, batch, features, scores, y, at, loss))

    def run(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features and scores of a batch, in float32."""
        network: Any = self.network
        device = next(iter(batch.values())).device.type
        with torch.autocast(device, self.precision, enabled=self.precision is not None):
            features = network.body(**batch)
            scores = network.head(features)
        return features.float(), scores.float()

    def cross_entropy(self, scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the mean loss; with class weights it is divided by the sum of the rows' weights."""
        return nn.functional.cross_entropy(scores, y, self._weight(scores.shape[1]))

    def counts(self, y: torch.Tensor, k: int) -> float:
        """Return the sum of the rows' weights; without any, how many rows there are."""
        weight = self._weight(k)
        return float(len(y)) if weight is None else float(weight[y].sum())

    def _weight(self, k: int) -> torch.Tensor | None:
        own = self.weight
        return None if own is None else nn.functional.pad(own, (0, k - len(own)), value=1.0)


def class_weights(y: np.ndarray, balanced: bool) -> torch.Tensor | None:
    """Return what each class counts, so that the rows of each weigh the same together; 1 where it has no row.

    >>> class_weights(np.array([0, 0, 0, 2]), True)
    tensor([0.6667, 1.0000, 2.0000])
    """
    if not balanced:
        return None
    count = np.bincount(y)
    share = len(y) / (np.count_nonzero(count) * np.maximum(count, 1))
    return torch.tensor(np.where(count > 0, share, 1.0), dtype=torch.float32)
