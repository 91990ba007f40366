"""A Hugging Face classifier of texts as a torch module. Only what trains or runs with torch imports this file."""

from __future__ import annotations

import torch
from torch import nn


class HeadlessTexts(nn.Module):
    """A classifier of texts without its last layer: what that layer would get.

    Parameters
    ----------
    model : torch module
    filling : int
        The token that fills up. Models that read from left to right take the last token before it.
    """

    def __init__(self, model: nn.Module, filling: int) -> None:
        super().__init__()
        self.model = model
        model.config.pad_token_id = filling  # type: ignore[union-attr]

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return features of shape (n, d)."""
        found: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return found
