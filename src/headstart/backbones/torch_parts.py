"""Take a torch network of pictures apart into its body and its last layer, and check that the parts make the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from headstart.backbones.network import probes
from headstart.backbones.preparation import PicturePreparation
from headstart.backbones.torch_modules import PixelBody, blocks_of
from headstart.backbones.torch_network import TorchNetwork
from headstart.errors import InputError, unknown_name

#: How far the parts' scores may be from the whole's, relative to the largest.
ROUNDING = 1e-4


def taken_apart(where: str, model: nn.Module, place: str | None, preparation: PicturePreparation) -> TorchNetwork:
    """Return a model as a body and a head; the model itself becomes the body.

    Parameters
    ----------
    where : str
        What messages begin with.
    model : torch module
        From pixels of shape (n, 3, h, w) to class scores, or to features when it has no head.
    place : str or None
        Dotted name of its last layer; None when all of it is body.
    preparation : PicturePreparation

    Raises
    ------
    InputError
        When it takes no such pictures, or body and head together do not give the scores that it gave.
    """
    model.eval()
    probe = torch.from_numpy(probes(preparation.height, preparation.width))
    with torch.inference_mode():
        try:
            whole = model(probe)
        except RuntimeError as error:
            said = str(error).strip().splitlines()[0]
            raise InputError(
                f"{where}: takes no pictures of {preparation.height} x {preparation.width}: {said}"
            ) from error
        if not isinstance(whole, torch.Tensor):
            raise InputError(f"{where}: gives a {type(whole).__name__}, not one tensor of scores or features")
        head = None if place is None else _detached(where, model, place)
        body = PixelBody(model).eval()
        features = body(probe)
        if features.ndim != 2:
            raise InputError(f"{where}: its features have shape {tuple(features.shape)}, not one row a picture")
        if head is not None and not _same(head, features, whole):
            raise InputError(
                f"{where}: the layer {place!r} does not turn features into its scores; name its last layer with head="
            )
    return TorchNetwork(body, int(features.shape[1]), head, blocks_of(body))


def read_weights(where: str, model: nn.Module, weights: str | Path) -> None:
    """Read a file of weights into a model: safetensors, or torch's own without anything that could run.

    Raises
    ------
    InputError
        When the file is missing, of another kind, or of another model.
    """
    from pickle import UnpicklingError

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(weights)
    if not path.is_file():
        raise InputError(f"{where}: {path}: no such file of weights")
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        elif path.suffix in (".pt", ".pth"):
            state = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise InputError(f"{where}: {path.name}: weights come as .safetensors, .pt or .pth")
        model.load_state_dict(state)
    except (UnpicklingError, SafetensorError, EOFError) as error:
        raise InputError(
            f"{where}: {path.name} holds more than weights, or is broken; save model.state_dict() as .safetensors"
        ) from error
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: {path.name} holds no weights of this model: {_first_two(error)}") from error


def _first_two(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:2])


def _detached(where: str, model: nn.Module, place: str) -> nn.Module:
    parent, _, name = place.rpartition(".")
    try:
        holder = model.get_submodule(parent)
        head = model.get_submodule(place)
    except AttributeError as error:
        raise InputError(
            unknown_name("layer", place, [name for name, _ in model.named_modules() if name], where)
        ) from error
    setattr(holder, name, nn.Identity())
    return head


def _same(head: nn.Module, features: torch.Tensor, whole: torch.Tensor) -> bool:
    try:
        parts = head(features)
    except RuntimeError:
        # The layer gets something of another shape inside the model: the caller says so.
        return False
    bound = ROUNDING * max(float(whole.abs().max()), 1.0)
    return parts.shape == whole.shape and torch.allclose(parts, whole, rtol=0, atol=bound)
