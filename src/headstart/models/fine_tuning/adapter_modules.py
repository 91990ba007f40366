"""Adapters as torch modules, put behind the blocks of a network. Only what trains or runs with torch imports this."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from headstart.backbones.torch_modules import blocks_of
from headstart.errors import InputError


class Bottleneck(nn.Module):
    """A narrow network of two layers, whose output is added to its input; at the beginning it adds nothing."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same shape: features are the last axis, or the second one of maps of features."""
        last = x.ndim - 1
        axis = 1 if x.ndim == 4 and x.shape[1] == self.down.in_features else last
        added = self.up(torch.relu(self.down(x.movedim(axis, last))))
        return x + added.movedim(last, axis)


class After:
    """What is called after a block: its output goes through an adapter."""

    def __init__(self, adapter: nn.Module) -> None:
        self.adapter = adapter

    def __call__(self, block: nn.Module, inputs: Any, output: Any) -> Any:
        """Return what the block is then taken to have given."""
        if isinstance(output, tuple):
            return (self.adapter(output[0]), *output[1:])
        return self.adapter(output)


def add_adapters(network: Any, sizes: dict[str, tuple[int, int]]) -> None:
    """Put adapters behind blocks: sizes give width and bottleneck, by the blocks' names in the body.

    The adapters are parts of the body, not of the blocks: a block may call all parts that it has, one after another.
    """
    # Names of torch's parts have no dots inside.
    network.body.adapters = nn.ModuleDict(
        {place.replace(".", "/"): Bottleneck(width, size) for place, (width, size) in sizes.items()}
    )
    for place, adapter in zip(sizes, network.body.adapters.values(), strict=True):
        network.body.get_submodule(place).register_forward_hook(After(adapter))


def blocks_alike(body: nn.Module) -> dict[str, nn.Module]:
    """Return the blocks of a body's longest list of blocks, and those of the same kinds in other lists, by name."""
    kinds = {type(block) for block in blocks_of(body).values()}
    found: dict[str, nn.Module] = {}
    for place, holder in body.named_modules():
        inside = any(f"{place}.".startswith(f"{block}.") for block in found)
        if inside or not isinstance(holder, nn.ModuleList | nn.Sequential):
            continue
        found |= {f"{place}.{name}": block for name, block in holder.named_children() if type(block) in kinds}
    return found


def widths_of_blocks(network: Any, batch: dict[str, torch.Tensor]) -> dict[str, int]:
    """Return how many features each block of a network gives, by the blocks' names in the body.

    Raises
    ------
    InputError
        When the body has no blocks that are called and give features.
    """
    body = network.body
    blocks = {} if isinstance(body, nn.Sequential | nn.ModuleList | nn.ModuleDict) else blocks_alike(body)
    widths: dict[str, int] = {}

    def caught(place: str) -> Any:
        def catch(block: nn.Module, inputs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            if isinstance(first, torch.Tensor) and first.is_floating_point() and first.ndim > 1:
                widths[place] = _width(tuple(first.shape))

        return catch

    handles = [block.register_forward_hook(caught(place)) for place, block in blocks.items()]
    try:
        with torch.no_grad():
            network.eval()(**batch)
    finally:
        for handle in handles:
            handle.remove()
    if not widths:
        raise InputError("the network has no list of blocks that adapters could stand behind; take LoRA")
    return {place: widths[place] for place in blocks if place in widths}


def _width(shape: tuple[int, ...]) -> int:
    """Return the features of a block's output; some networks of pictures have them last, after two equal edges."""
    if len(shape) == 4 and not (shape[1] == shape[2] != shape[3]):
        return shape[1]
    return shape[-1]
