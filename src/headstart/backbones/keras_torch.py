"""Keras models as torch modules, where Keras runs on torch. Only what trains with torch imports this file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.backbones.torch_modules import Network


class KerasBody(nn.Module):
    """A model of Keras as a torch module of pixels."""

    def __init__(self, model: nn.Module, *, channels_last: bool) -> None:
        super().__init__()
        self.model = model
        self.channels_last = channels_last

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features of shape (n, d)."""
        found: torch.Tensor = self.model(
            pixels.permute(0, 2, 3, 1) if self.channels_last else pixels, training=self.training
        )
        if found.ndim == 4:
            found = found.mean(dim=(1, 2) if self.channels_last else (2, 3))
        return found


def as_torch(model: Any, head: Any, width: int, n_classes: int | None, *, channels_last: bool) -> Network:
    """Return a copy of a model of Keras with features of some width, with its own head layer or a new linear one."""
    import keras

    whole = keras.models.clone_model(model)
    whole.set_weights(model.get_weights())
    end = whole.output if head is None else whole.get_layer(head.name).input
    body = KerasBody(keras.Model(whole.inputs[0], end), channels_last=channels_last)
    own = None if head is None else _linear(head)
    return Network(body, own if n_classes is None else nn.Linear(width, n_classes))


def _linear(head: Any) -> nn.Linear:
    """Return a dense layer, or a convolution of one pixel, as torch's: scores before any softmax."""
    weights = [np.asarray(value) for value in head.get_weights()]
    kernel = weights[0].reshape(-1, weights[0].shape[-1])
    found = nn.Linear(*kernel.shape, bias=len(weights) > 1)
    with torch.no_grad():
        found.weight.copy_(torch.from_numpy(kernel.T.copy()))
        if found.bias is not None:
            found.bias.copy_(torch.from_numpy(weights[1].copy()))
    return found
