"""Where pretrained models come from: one name for each, "kind:rest"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import InputError, NeedsError, unknown_name

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone

#: What stands before the colon, the module that loads it, and the packages which that needs.
SOURCES = {
    "bundled": ("headstart.backbones.bundled", "headstart[vision,text]"),
    "hf": ("headstart.backbones.hugging_face", "headstart[torch]"),
    "keras": ("headstart.backbones.keras_applications", "headstart[keras]"),
    "timm": ("headstart.backbones.timm_models", "headstart[torch] timm"),
    "onnx": ("headstart.backbones.onnx_files", "headstart[onnx]"),
    "torch": ("headstart.backbones.torch_modules_by_path", "headstart[torch]"),
}
#: Sources of models that may be named by a path.
OF_PATHS = ("hf", "onnx")
#: The model that is taken when none is named.
DEFAULT = "bundled:efficientnet-lite0"


def backbone(name: str = DEFAULT, **options: Any) -> Backbone:
    """Return a pretrained model by its name.

    Parameters
    ----------
    name : str
        - "bundled:efficientnet-lite0", "bundled:minilm-l6": weights that come as packages.
        - "hf:FOLDER" or "hf:HUB-ID": a Hugging Face model of pictures or texts, from a folder or the hub.
        - "keras:VGG16": any model of keras.applications; weights="imagenet" or a file.
        - "timm:resnet18": any model of timm; weights="pretrained" or a file.
        - "onnx:FILE": a model of pictures in an ONNX file, with mean and std.
        - "torch:package.module:function": the torch model that a function of yours builds, with mean and std.
    **options
        What a source takes, see its module.

    Returns
    -------
    Backbone

    Raises
    ------
    InputError
        When the name is none of these, or nothing is there.
    NeedsError
        When a package is missing, with the command that installs it.

    Examples
    --------
    >>> backbone("no-such-model")
    Traceback (most recent call last):
        ...
    headstart.errors.InputError: 'no-such-model' names no source; write one of bundled:..., hf:..., keras:..., timm:...,
    onnx:..., torch:...
    """
    kind, colon, rest = name.partition(":")
    if not colon or not rest:
        raise InputError(f"{name!r} names no source; write one of {', '.join(f'{kind}:...' for kind in SOURCES)}")
    if kind not in SOURCES:
        raise InputError(unknown_name("source of models", kind, SOURCES))
    place, extra = SOURCES[kind]
    try:
        load: Callable[..., Backbone] = import_module(place).load
        return replace(load(rest, **options), address=lasting(name), options=options)
    except ModuleNotFoundError as error:
        raise NeedsError(f"{name} needs the package {error.name}; install it with: pip install '{extra}'") from error


def lasting(name: str) -> str:
    """Write the path of a model in full: what is saved is used from other folders too.

    >>> lasting("bundled:minilm-l6")
    'bundled:minilm-l6'
    """
    kind, _, rest = name.partition(":")
    return f"{kind}:{Path(rest).resolve()}" if kind in OF_PATHS and rest and Path(rest).exists() else name
