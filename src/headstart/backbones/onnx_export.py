"""A body of torch as an ONNX model in memory. Only what exports imports this file."""

from __future__ import annotations

import warnings
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.backbones.torch_network import TorchNetwork, tensors_of


class Exported(nn.Module):
    """A body, or one of its blocks, whose inputs come by position as the exporter wants them."""

    def __init__(self, network: TorchNetwork, layer: str | None, names: list[str]) -> None:
        super().__init__()
        self.body = network.body
        self.network = network
        self.layer = layer
        self.names = names

    def forward(self, *values: torch.Tensor) -> Any:
        """Return features of shape (n, d)."""
        return self.network.run(dict(zip(self.names, values, strict=True)), self.layer)


def exported(network: TorchNetwork, layer: str | None, batch: dict[str, np.ndarray]) -> bytes:
    """Return the body up to a layer as an ONNX model that takes any number of items, and texts of any length.

    Parameters
    ----------
    network : TorchNetwork
    layer : str or None
    batch : dict of str to array
        Inputs as they come; shapes and types are taken from it, not the values.

    Raises
    ------
    RuntimeError
        When torch can't write the network down.
    """
    names = list(batch)
    axes: dict[str, dict[int, str]] = {
        name: {0: "n"} if value.ndim == 4 else {0: "n", 1: "length"} for name, value in batch.items()
    }
    place = BytesIO()
    # The tracer warns of each constant it keeps; whether it kept too many is checked on features. A network that it
    # can't write down it prints.
    with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Exported(network, layer, names).eval(),
            tuple(tensors_of(_example(batch)).values()),
            place,  # type: ignore[arg-type]
            input_names=names,
            output_names=["features"],
            dynamic_axes={**axes, "features": {0: "n"}},
            # The newer exporter needs a package more (onnxscript).
            dynamo=False,
        )
    return place.getvalue()


def _example(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Two items; the second text is shorter, so that what a network does about filled-up places is written down."""
    first = {name: np.repeat(value[:1], 2, axis=0) for name, value in batch.items()}
    if "attention_mask" in first:
        mask = np.ones_like(first["attention_mask"])
        mask[1, -1] = mask.shape[1] == 1
        first["attention_mask"] = mask
    return first
