"""The head that a pretrained network came with, and how a training holds on to it. Only what trains imports this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn

from headstart.backbones import Backbone
from headstart.errors import InputError, NeedsError

if TYPE_CHECKING:
    from headstart.models.fine_tuning.training import Step


class OldHead(nn.Module):
    r"""The loss of a step, and how far the old head's scores of the current features are from wanted answers.

    .. math:: \ell + \lambda \, \frac{1}{n} \sum_i \left( -\sum_s q_{is} \log p_{is} \right), \quad
              p_{is} = \frac{e^{o_s(f_i) / T}}{\sum_u e^{o_u(f_i) / T}}

    with :math:`o(f_i)` the old head's scores of the features of row i. The head goes on learning.

    Parameters
    ----------
    head : torch module
        From features to scores of m classes.
    answers : array of shape (r, m)
        What is wanted, q: probabilities.
    by : {"class", "row"}
        Whether there is an answer for each class of the training, or for each of its rows.
    trade_off : float
        The factor lambda.
    temperature : float
        T.
    """

    answers: torch.Tensor

    def __init__(
        self,
        head: nn.Module,
        answers: np.ndarray,
        by: Literal["class", "row"],
        trade_off: float,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.head = head.requires_grad_(True)
        self.by = by
        self.trade_off = trade_off
        self.temperature = temperature
        # No part of a checkpoint: it is found again from rows and pretrained network.
        self.register_buffer("answers", torch.from_numpy(answers.astype(np.float32)), persistent=False)

    def forward(self, step: Step) -> torch.Tensor:
        """Return the loss of a step."""
        wanted = self.answers[step.y if self.by == "class" else step.at]
        found = nn.functional.log_softmax(self.head(step.features) / self.temperature, dim=1)
        return step.loss - self.trade_off * (wanted * found).sum(dim=1).mean()


def own_head(base: Backbone, method: str) -> nn.Module:
    """Return a copy of the head that a pretrained network came with.

    Raises
    ------
    NeedsError
        When it has none.
    """
    if not base.label_names:
        raise NeedsError(
            f"{method} needs a network with a head of its own, and {base.card.name} has none; take another network, "
            "or L2SP"
        )
    head: nn.Module = base.module(None).head
    return head


def tempered(P: np.ndarray, temperature: float) -> np.ndarray:
    r"""Return probabilities at another temperature, float64 of shape (n, k): those of the same scores divided by it.

    .. math:: p_s^{1/T} / \sum_u p_u^{1/T}

    >>> tempered(np.array([[0.8, 0.2, 0.0]]), 2.0).round(3).tolist()
    [[0.667, 0.333, 0.0]]
    """
    if not temperature > 0:
        raise InputError(f"a temperature must be above zero, not {temperature}")
    P = np.asarray(P, dtype=float)
    powers = (P / P.max(axis=1, keepdims=True)) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
