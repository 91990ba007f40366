"""Models of timm (Wightman: PyTorch Image Models. 2019): "timm:resnet18"."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from pathlib import Path
from typing import Any

from headstart.backbones.backbone import Backbone
from headstart.backbones.card import Card
from headstart.backbones.preparation import PicturePreparation
from headstart.backbones.stated import of_colours, stated_labels
from headstart.errors import InputError, NeedsError, unknown_name

#: Share of a picture's shorter side that is kept, where a model states none.
CROP = 0.875


def load(
    name: str,
    *,
    weights: str | Path = "pretrained",
    labels: Sequence[str] | str | Path | None = None,
    **options: Any,
) -> Backbone:
    """Return a model of timm.

    Parameters
    ----------
    name : str
        As timm lists it, such as "resnet18" or "resnet18.a1_in1k".
    weights : "pretrained" or file
        "pretrained" are fetched from the hub the first time; a file is .safetensors, or .pt and .pth with weights only.
    labels : optional
        Names of classes, see `stated_labels`. By default ImageNet's where the model says it has its 1,000.
    **options
        What timm.create_model takes, such as num_classes.

    Raises
    ------
    InputError
        When timm has no such model, or the weights are not there.
    NeedsError
        When timm can't be imported.
    """
    timm = _timm()
    from headstart.backbones.torch_parts import read_weights, taken_apart

    where = f"timm:{name}"
    pretrained = str(weights) == "pretrained"
    if not timm.is_model(name):
        raise InputError(unknown_name("model", name, timm.list_models(), "timm"))
    try:
        model = timm.create_model(name, pretrained=pretrained, **options)
    except (OSError, RuntimeError, TypeError) as error:
        advice = "; fetch it once with a network, or give weights=FILE" if pretrained else ""
        raise InputError(f"{where}: {str(error).strip().splitlines()[0]}{advice}") from error
    if not pretrained:
        read_weights(where, model, weights)
    preparation = timm_preparation(where, timm.data.resolve_model_data_config(model))
    classifier = model.get_classifier()
    place = next((part for part, module in model.named_modules() if part and module is classifier), None)
    classes = int(model.num_classes)
    if classes and place is None:
        raise InputError(f"{where}: its classifier is not one layer, so it can't be taken apart; set num_classes=0")
    network = taken_apart(where, model, place if classes else None, preparation)
    facts = model.pretrained_cfg
    if labels is None and classes == 1000 and str(facts.get("tag") or "").endswith("in1k"):
        labels = "imagenet"
    names = stated_labels(where, labels, classes) if classes else ()
    card = Card(
        name=where,
        modality="image",
        source_task=f"not stated ({facts.get('architecture') or name}{'.' if facts.get('tag') else ''}"
        f"{facts.get('tag') or ''})",
        licence=str(facts.get("license") or "not stated"),
        parameters=network.parameters,
        width=network.width,
        classes=classes or None,
        preparation=preparation.describe(),
        weights=network.fingerprint(),
    )
    return Backbone(card, preparation, network, names)


def timm_preparation(where: str, facts: dict[str, Any]) -> PicturePreparation:
    """Return the preparation that timm's data configuration states.

    Parameters
    ----------
    where : str
        What messages begin with.
    facts : dict
        input_size, crop_pct, crop_mode, interpolation, mean and std.

    Raises
    ------
    InputError
        When pictures are prepared in a way that headstart does not know.

    Examples
    --------
    >>> facts = {"input_size": (3, 224, 224), "crop_pct": 0.95, "crop_mode": "center", "interpolation": "bicubic",
    ...          "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    >>> timm_preparation("timm:x", facts).resize
    235
    """
    colours, height, width = facts["input_size"]
    mode, share = facts.get("crop_mode") or "center", facts.get("crop_pct") or CROP
    if colours != 3 or mode not in ("center", "squash") or (mode == "center" and height != width):
        raise InputError(f"{where}: pictures of {colours} x {height} x {width}, cut as {mode!r}, are not known here")
    scaled = floor(height / share), floor(width / share)
    return PicturePreparation(
        height,
        width,
        scaled if mode == "squash" else scaled[0],
        interpolation=facts["interpolation"],
        mean=of_colours(where, "mean", facts["mean"], 255),
        std=of_colours(where, "std", facts["std"], 255),
        corner="nearest",
    )


def _timm() -> Any:
    """Import timm; its torchvision is a binary that may not fit the torch that is here."""
    try:
        import timm
        import timm.data
    except ModuleNotFoundError:
        raise
    except (ImportError, RuntimeError, OSError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NeedsError(
            f"timm can't be imported ({said}); its torchvision must fit your torch: pip install -U torch torchvision"
        ) from error
    return timm
