"""A user's own torch model: "torch:package.module:function", where the function builds it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from headstart.backbones.backbone import Backbone
from headstart.backbones.card import Card
from headstart.backbones.stated import stated_labels, stated_preparation
from headstart.errors import InputError


def load(
    path: str,
    *,
    size: int | Sequence[int] = 224,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    brightest: float = 1.0,
    resize: int | Sequence[int] | None = None,
    interpolation: str = "bilinear",
    weights: str | Path | None = None,
    head: str | None = "",
    labels: Sequence[str] | str | Path | None = None,
    licence: str = "not stated",
) -> Backbone:
    """Return the model that a function builds.

    Parameters
    ----------
    path : str
        "package.module:function": a module that Python can import, and what in it is called without arguments.
    size, mean, std, brightest, resize, interpolation
        How pictures are prepared, see `stated_preparation`.
    weights : file, optional
        .safetensors, or .pt and .pth that hold nothing but weights. By default as the function gives them.
    head : str or None
        Dotted name of its last layer, such as "fc"; by default its last linear one. None: it gives features.
    labels : optional
        Names of its classes, see `stated_labels`.
    licence : str

    Raises
    ------
    InputError
        When there is no such function, or what it gives is no model of pictures.

    Notes
    -----
    The import runs the user's own code, as any import does. No file is run that Python could not import.
    """
    import torch

    from headstart.backbones.torch_parts import read_weights, taken_apart

    where = f"torch:{path}"
    preparation = stated_preparation(
        where, size, mean, std, brightest=brightest, resize=resize, interpolation=interpolation
    )
    model = _built(where, path)
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"{where} gave a {type(model).__name__}, not a torch.nn.Module; return the model")
    if weights is not None:
        read_weights(where, model, weights)
    linear = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)]
    place = (linear[-1] if linear else None) if head == "" else head
    network = taken_apart(where, model, place, preparation)
    classes = 0 if network.head is None else _classes(network.head, network.width)
    names = stated_labels(where, labels, classes) if classes else ()
    card = Card(
        name=where,
        modality="image",
        source_task=f"not stated ({type(model).__name__}; features are what {place or 'the model'} "
        f"{'takes' if place else 'gives'})",
        licence=licence,
        parameters=network.parameters,
        width=network.width,
        classes=classes or None,
        preparation=preparation.describe(),
        weights=network.fingerprint(),
    )
    return Backbone(card, preparation, network, names)


def _built(where: str, path: str) -> Any:
    place, colon, name = path.partition(":")
    if not colon or not all(part.isidentifier() for part in [*place.split("."), name]):
        raise InputError(f"{where}: write torch:package.module:function, names of Python with dots, no file")
    try:
        function = getattr(import_module(place), name, None)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{where}: Python finds no module {error.name!r}; install it, or start where it can be imported"
        ) from error
    if not callable(function):
        raise InputError(f"{where}: {place} has no function {name!r}")
    return function()


def _classes(head: Any, width: int) -> int:
    import torch

    with torch.inference_mode():
        return int(head(torch.zeros(1, width)).shape[1])
