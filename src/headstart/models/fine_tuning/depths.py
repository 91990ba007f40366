"""How deep below the head each parameter of a network lies."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.backbones import Backbone
from headstart.backbones.torch_modules import Network, blocks_of
from headstart.backbones.torch_network import tensors_of


def layers_below(network: Network, batch: dict[str, torch.Tensor]) -> list[tuple[str, ...]]:
    """Return the names of the parameters, layer by layer, from the head down.

    The layers are the head, what follows the last block of the body's longest list of blocks, the blocks from the last
    to the first, and what comes before the first. Those without parameters are left out. What precedes the blocks and
    what follows them is seen by letting a batch pass. What takes no part in that, such as a pooler whose output nobody
    asks for, makes no layer of its own: it stands where it was registered, or with the nearest layer that is in use.

    Parameters
    ----------
    network : Network
    batch : dict of str to tensor
        What the body takes; its contents don't matter.

    Examples
    --------
    >>> from headstart.backbones.torch_modules import PixelBody
    >>> body = PixelBody(nn.Sequential(nn.Linear(4, 8, bias=False), nn.ReLU(), nn.Linear(8, 8, bias=False)))
    >>> layers_below(Network(body, nn.Linear(8, 2, bias=False)), {"pixels": torch.zeros(1, 4)})
    [('head.weight',), ('body.network.2.weight',), ('body.network.0.weight',)]
    """
    # A copy, so that the pass leaves no trace.
    body = deepcopy(network.body).eval()
    block: dict[nn.Module, int] = {}
    for i, one in enumerate(blocks_of(body).values()):
        for module in one.modules():
            block.setdefault(module, i)
    used, registered = _places(_passed(body, batch), block), _places(list(body.modules()), block)
    parameters = dict(body.named_parameters())
    place = {name: used[_owner(body, name, used)] for name, value in parameters.items() if value.grad is not None}
    top, bottom = max(place.values(), default=0), min(place.values(), default=0)
    names: dict[int, list[str]] = defaultdict(list)
    for name in parameters:
        at = place[name] if name in place else min(max(registered[_owner(body, name, registered)], bottom), top)
        names[at].append(f"body.{name}")
    head = tuple(f"head.{name}" for name, _ in network.head.named_parameters())
    return [head, *(tuple(names[at]) for at in sorted(names, reverse=True))]


def depths(network: Network, batch: dict[str, torch.Tensor]) -> dict[str, int]:
    """Return how many layers each parameter lies below the head, by its name; the head's own depth is 0."""
    return {name: depth for depth, names in enumerate(layers_below(network, batch)) for name in names}


def blank_batch(backbone: Backbone) -> dict[str, torch.Tensor]:
    """Return a batch of one black picture, or of one word."""
    blank: Any = "word" if backbone.card.modality == "text" else np.zeros((64, 64, 3), np.uint8)
    return tensors_of(backbone.preparation([blank]))


def _places(ordered: list[nn.Module], block: dict[nn.Module, int]) -> dict[nn.Module, int]:
    """Return the number of the block that each module is in, from 0 on.

    Outside of all blocks it is -1 before the first one, the number of blocks once all have begun, and in between that
    of the block that began last.
    """
    last = len({block[module] for module in ordered if module in block})
    place: dict[nn.Module, int] = {}
    begun: set[int] = set()
    latest = -1
    for module in ordered:
        if module in block:
            latest = place[module] = block[module]
            begun.add(latest)
        else:
            place[module] = max(block.values(), default=-1) + 1 if len(begun) == last else latest
    return place


def _passed(body: nn.Module, batch: dict[str, torch.Tensor]) -> list[nn.Module]:
    """Return the modules that a batch passes, in the order in which it enters them first.

    Parameters on which the features depend have a gradient afterwards.
    """
    entered: dict[nn.Module, None] = {}
    for module in body.modules():
        module.register_forward_pre_hook(lambda module, inputs: entered.setdefault(module))
    body.requires_grad_(True)
    body(**batch).sum().backward()
    return list(entered)


def _owner(body: nn.Module, name: str, known: dict[nn.Module, int]) -> nn.Module:
    """Return the module of a parameter, or the nearest one around it that is known: a list of them is never entered."""
    path = name.rpartition(".")[0]
    while body.get_submodule(path) not in known:
        path = path.rpartition(".")[0]
    return body.get_submodule(path)
