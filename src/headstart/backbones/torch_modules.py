"""The torch modules that networks are put together from. Only what trains or runs with torch imports this file."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Network(nn.Module):
    """A body and a head: a batch's tensors to class scores.

    Batch norms named in `still` do not move, in training either.
    """

    still: frozenset[str] = frozenset()

    def __init__(self, body: nn.Module, head: nn.Module | None) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Identity() if head is None else head

    def train(self, mode: bool = True) -> Network:
        """Set training or evaluation; what stands still is evaluated in both."""
        super().train(mode)
        for name, module in self.named_modules():
            if name in self.still:
                module.eval()
        return self

    def forward(self, **batch: torch.Tensor) -> torch.Tensor:
        """Return scores of shape (n, k)."""
        scores: torch.Tensor = self.head(self.body(**batch))
        return scores


class PixelBody(nn.Module):
    """A network of pixels whose output is pooled over space."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features of shape (n, d)."""
        found = self.network(pixels)
        return found.mean(dim=(2, 3)) if found.ndim == 4 else found


class Extracting(nn.Module):
    """A network that has `extract_features` beside its forward: the former alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return a map of features, shape (n, d, h, w)."""
        found: torch.Tensor = self.net.extract_features(pixels)  # type: ignore[operator]
        return found


class Headless(nn.Module):
    """A Hugging Face classifier of pictures without its last layer: what that layer would get."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features of shape (n, d)."""
        return self.model(pixel_values=pixels).logits.flatten(1)


class PooledPictures(nn.Module):
    """A Hugging Face body of pictures: its pooled output, or else the mean over patches or space."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features of shape (n, d)."""
        found = self.model(pixel_values=pixels)
        pooled = getattr(found, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)
        last = found.last_hidden_state
        return last.mean(dim=(2, 3)) if last.ndim == 4 else last.mean(dim=1)


class PooledTexts(nn.Module):
    """A Hugging Face body of texts: the mean over tokens, brought to length 1 where the model was trained so."""

    def __init__(self, model: nn.Module, *, unit_length: bool) -> None:
        super().__init__()
        self.model = model
        self.unit_length = unit_length

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return features of shape (n, d)."""
        last = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[..., None].to(last.dtype)
        mean = (last * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return nn.functional.normalize(mean, dim=1) if self.unit_length else mean


def blocks_of(body: nn.Module) -> dict[str, Any]:
    """Return the blocks of the longest list of blocks inside a body, by their names."""
    longest: dict[str, Any] = {}
    for name, module in body.named_modules():
        if isinstance(module, nn.ModuleList | nn.Sequential):
            blocks = {f"{name}.{child}": block for child, block in module.named_children()}
            if len(blocks) > len(longest):
                longest = blocks
    return longest
