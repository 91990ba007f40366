"""Layers of a network that peft adapts, and the way back. Only what trains with peft imports this file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import torch
from peft import PeftConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from headstart.errors import InputError


def adaptable(network: nn.Module) -> dict[str, Any]:
    """Return the layers of a network's body that can be adapted and merged again, by their names.

    These are the linear ones, and the convolutions that are neither grouped (so not the depthwise ones) nor dilated.
    Layers of a kind of their own are among them if they compute as torch's do, and convolutions of such a kind if they
    see one pixel: where a layer pads or normalises by itself, peft would train something else than what it merges.

    Raises
    ------
    InputError
        When there is none.
    """
    found = {
        name: module
        for name, module in network.named_modules()
        if name.startswith("body") and _adaptable(module) and not _read_by_its_parent(network, name)
    }
    if not found:
        raise InputError(
            "the network has no linear layer and no ungrouped convolution that could be adapted; take FineTune"
        )
    return found


def pattern(names: Iterable[str]) -> str:
    """Return the regular expression that matches these names and no other: peft takes plain names as endings."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def inject(network: nn.Module, config: PeftConfig, targets: dict[str, Any]) -> nn.Module:
    """Put adapters into a network, at the layers named in the configuration."""
    for name, module in targets.items():
        if isinstance(module, nn.Conv2d) and type(module) is not nn.Conv2d:
            _put(network, name, _twin(module))
    with warnings.catch_warnings():
        # That the head has the name of no known language model is nothing to warn of.
        warnings.simplefilter("ignore")
        inject_adapter_in_model(config, network)
    for name, module in targets.items():
        adapted = network.get_submodule(name)
        # Some networks look at a layer before they call it, say to pad what it takes.
        for setting in module.__constants__:
            if hasattr(module, setting) and not hasattr(adapted, setting):
                setattr(adapted, setting, getattr(module, setting))
    return network


def merge(network: nn.Module) -> nn.Module:
    """Work what the adapters learned into the weights, and give the network back its own layers.

    Raises
    ------
    InputError
        When training went astray, and weights are no numbers.
    """
    adapted = [(name, module) for name, module in network.named_modules() if isinstance(module, BaseTunerLayer)]
    for name, module in adapted:
        module.merge()
        layer = _origin(module.get_base_layer())
        if not torch.isfinite(layer.weight).all():
            raise InputError(f"training went astray: weights of {name} are no numbers; lower lr")
        _put(network, name, layer)
    del network.peft_config
    return network.eval()


def _adaptable(module: nn.Module) -> bool:
    if isinstance(module, nn.Linear):
        return type(module) is nn.Linear or _computes_as(nn.Linear, module, [(2, module.in_features)])
    if not isinstance(module, nn.Conv2d) or module.groups > 1:
        return False
    pointwise = tuple(module.kernel_size) == (1, 1)
    if type(module) is not nn.Conv2d:
        # How a layer pads by itself can hang on the size of what comes; where one pixel is seen there is no padding.
        sizes = [(1, module.in_channels, edge, edge) for edge in (9, 10)]
        return pointwise and _computes_as(nn.Conv2d, module, sizes)
    # peft's own convolutions are not dilated, and are padded with zeros.
    return module.padding_mode == "zeros" and (pointwise or tuple(module.dilation) == (1, 1))


def _computes_as(kind: Any, module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> bool:
    """Say whether a layer of a kind of its own does what torch's does."""
    for shape in shapes:
        probe = torch.linspace(-1, 1, prod(shape)).reshape(shape)
        with torch.no_grad():
            mine, plain = module(probe), kind.forward(module, probe)
        if mine.shape != plain.shape or not torch.equal(mine, plain):
            return False
    return True


def _read_by_its_parent(network: nn.Module, name: str) -> bool:
    """Say whether a layer is never called: torch's attention reads the weights of its last layer itself."""
    return isinstance(network.get_submodule(name.rpartition(".")[0]), nn.MultiheadAttention)


def _twin(module: nn.Conv2d) -> nn.Conv2d:
    """Return torch's own convolution with the same weights: peft builds its layers by the type of what it adapts."""
    size: Any = tuple(module.kernel_size)
    twin = nn.Conv2d(module.in_channels, module.out_channels, size, bias=module.bias is not None, device="meta")
    twin.stride, twin.padding = tuple(module.stride), module.padding
    twin._reversed_padding_repeated_twice = module._reversed_padding_repeated_twice
    twin.weight, twin.bias = module.weight, module.bias
    # In a tuple it is no part of the network.
    twin.origin = (module,)  # type: ignore[assignment]
    return twin


def _origin(module: Any) -> Any:
    """Return the layer that a twin stands for, with the twin's weights; any other layer as it is."""
    if not hasattr(module, "origin"):
        return module
    (origin,) = module.origin
    origin.weight, origin.bias = module.weight, module.bias
    return origin


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
