"""The two losses of Bi-Tuning. Only what trains with torch imports this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import log_softmax, normalize

if TYPE_CHECKING:
    from headstart.models.fine_tuning.training import Step


class Contrasts(nn.Module):
    """The loss of a step, and both contrasts of Bi-Tuning; it holds the projection."""

    def __init__(self, width: int, projection: int, cross_entropy: float, contrast: float, temperature: float) -> None:
        super().__init__()
        self.projection = nn.Linear(width, projection)
        self.cross_entropy = cross_entropy
        self.contrast = contrast
        self.temperature = temperature

    def forward(self, step: Step) -> torch.Tensor:
        """Return the loss of a step."""
        head, T = step.network.head, self.temperature
        first = contrastive_cross_entropy(step.features, head.weight, head.bias, step.y, T)
        second = categorical_contrast(self.projection(step.features), step.y, T)
        return step.loss + self.cross_entropy * first + self.contrast * second


def contrastive_cross_entropy(
    features: torch.Tensor, W: torch.Tensor, b: torch.Tensor, y: torch.Tensor, temperature: float
) -> torch.Tensor:
    r"""Return how badly a class's weights pick out the rows of the class among all of a batch.

    .. math:: -\frac{1}{n} \sum_i \frac{1}{|K_i|} \sum_{j \in K_i} \log
              \frac{e^{\cos(v_{y_i}, h_j) / T}}{\sum_l e^{\cos(v_{y_i}, h_l) / T}},\quad K_i = \{j: y_j = y_i\}

    with :math:`h = (f, 1)` and :math:`v_c = (w_c, b_c)`. A softmax over rows, where cross-entropy takes one over
    classes.

    Parameters
    ----------
    features : tensor of shape (n, d)
    W, b : tensors of shape (k, d) and (k,)
        The head.
    y : int tensor of shape (n,)
    temperature : float

    Examples
    --------
    >>> loss = contrastive_cross_entropy(torch.zeros(2, 1), torch.zeros(2, 1), torch.ones(2), torch.tensor([0, 1]), 1.0)
    >>> round(float(loss), 4)
    0.6931
    """
    h = normalize(torch.cat([features, features.new_ones(len(features), 1)], dim=1), dim=1)
    v = normalize(torch.cat([W, b[:, None]], dim=1), dim=1)
    scores = log_softmax(v[y] @ h.T / temperature, dim=1)
    same = (y[:, None] == y[None, :]).to(scores.dtype)
    return -((same * scores).sum(dim=1) / same.sum(dim=1)).mean()


def categorical_contrast(z: torch.Tensor, y: torch.Tensor, temperature: float) -> torch.Tensor:
    r"""Return how badly rows of a class find each other among the other rows of a batch.

    .. math:: -\frac{1}{|A|} \sum_{i \in A} \frac{1}{|K_i|} \sum_{j \in K_i} \log
              \frac{e^{\cos(z_i, z_j) / T}}{\sum_{l \neq i} e^{\cos(z_i, z_l) / T}},\quad
              K_i = \{j \neq i: y_j = y_i\}

    with :math:`A` the rows that have another of their class in the batch; zero where there is none.

    Parameters
    ----------
    z : tensor of shape (n, p)
        Projected features.
    y : int tensor of shape (n,)
    temperature : float

    Examples
    --------
    >>> float(categorical_contrast(torch.eye(2), torch.tensor([0, 1]), 1.0))
    0.0
    """
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    same = (y[:, None] == y[None, :]) & ~itself
    count = same.sum(dim=1)
    found = count > 0
    if not found.any():
        return z.sum() * 0
    unit = normalize(z, dim=1)
    scores = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    # A row itself has the logarithm of zero: it is no sought row, and must not be multiplied by zero either.
    log_share = log_softmax(scores, dim=1).masked_fill(~same, 0.0)
    return -(log_share.sum(dim=1)[found] / count[found]).mean()
