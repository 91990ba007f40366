"""Hugging Face models of pictures and texts, from a folder or from the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headstart.backbones.backbone import Backbone
from headstart.backbones.card import Card, Modality
from headstart.backbones.preparation import PicturePreparation, TextPreparation
from headstart.backbones.torch_network import TorchNetwork
from headstart.errors import InputError

#: Tokens beyond which texts are cut, where the model states no length.
MOST_TOKENS = 512
#: Numbers of PIL's filters, as processors write them.
FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
#: Names that classifiers of pictures give to their last layer.
HEADS = ("classifier", "fc", "head")


def load(name: str, *, local_only: bool | None = None) -> Backbone:
    """Return a model.

    Parameters
    ----------
    name : str
        A folder with config.json and weights in safetensors, or an id on the hub.
    local_only : bool, optional
        Never ask the hub; by default it is asked where `name` is no folder.

    Raises
    ------
    InputError
        When there is nothing of this name, or it is not a model of pictures or texts.
    """
    from transformers import AutoConfig
    from transformers.utils import logging

    folder = Path(name)
    local = folder.is_dir()
    if local and not (folder / "config.json").is_file():
        raise InputError(f"{name}: holds no config.json; give the folder that save_pretrained wrote")
    options = {"local_files_only": local or bool(local_only), "trust_remote_code": False}
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(name, **options)
        picture = _has_processor(name, folder, options) or "image_size" in config.to_dict()
        return _picture_model(name, config, options) if picture else _text_model(name, folder, config, options)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"hf:{name}: {str(error).strip().splitlines()[0]}") from error
    finally:
        if shown:
            logging.enable_progress_bar()


def _has_processor(name: str, folder: Path, options: dict[str, Any]) -> bool:
    if folder.is_dir():
        return (folder / "preprocessor_config.json").is_file()
    from transformers.utils import cached_file

    return bool(cached_file(name, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False, **options))


def _picture_model(name: str, config: Any, options: dict[str, Any]) -> Backbone:
    from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification

    from headstart.backbones.torch_modules import Headless, PooledPictures, blocks_of

    preparation = _preparation(AutoImageProcessor.from_pretrained(name, backend="pil", **options), config)
    classifies = any("ForImageClassification" in kind for kind in config.architectures or ())
    if classifies:
        model = AutoModelForImageClassification.from_pretrained(name, use_safetensors=True, **options).eval()
        head = _detached_head(model)
        body: Any = Headless(model).eval()
        names = tuple(config.id2label[i] for i in sorted(config.id2label))
    else:
        model = AutoModel.from_pretrained(name, use_safetensors=True, **options).eval()
        head, body, names = None, PooledPictures(model).eval(), ()
    width = _width(body, preparation)
    network = TorchNetwork(body, width, head, blocks_of(body))
    return Backbone(_card(name, "image", config, network, preparation, len(names)), preparation, network, names)


def _detached_head(model: Any) -> Any:
    """Take the last layer off, so that the model gives what it would get."""
    from torch import nn

    for place in HEADS:
        head = getattr(model, place, None)
        if isinstance(head, nn.Module):
            setattr(model, place, nn.Identity())
            if not isinstance(head, nn.Sequential):
                return head
            # A head that flattens first gets features that are flat already.
            return nn.Sequential(*(part for part in head if not isinstance(part, nn.Flatten)))
    raise InputError(
        f"{type(model).__name__} has none of the last layers {', '.join(HEADS)}, so it can't be taken apart"
    )


def _preparation(processor: Any, config: Any) -> PicturePreparation:
    settings = processor.to_dict()
    size, crop = settings.get("size") or {}, settings.get("crop_size")
    cropped = bool(settings.get("do_center_crop")) and bool(crop)
    resize: Any = size.get("shortest_edge") or (size.get("height", 224), size.get("width", 224))
    if not settings.get("do_resize", True):
        raise InputError("a model whose processor does not resize takes pictures of one size only; give such a size")
    height, width = (resize, resize) if isinstance(resize, int) else resize
    if cropped:
        height, width = crop["height"], crop["width"]
    unit = 1 / settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    mean = settings.get("image_mean") if settings.get("do_normalize", True) else (0.0,) * 3
    std = settings.get("image_std") if settings.get("do_normalize", True) else (1.0,) * 3
    red, green, blue = (float(m) * unit for m in mean)
    return PicturePreparation(
        height,
        width,
        resize,
        interpolation=FILTERS[int(settings.get("resample", 2))],
        mean=(red, green, blue),
        std=tuple(float(s) * unit for s in std),  # type: ignore[arg-type]
    )


def _text_model(name: str, folder: Path, config: Any, options: dict[str, Any]) -> Backbone:
    from transformers import AutoModel, AutoTokenizer

    from headstart.backbones.torch_modules import PooledTexts, blocks_of

    tokenizer = AutoTokenizer.from_pretrained(name, **options)
    if tokenizer.pad_token is None:
        # Filled-up places are masked, so that any token serves.
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModel.from_pretrained(name, use_safetensors=True, **options).eval()
    body = PooledTexts(model, unit_length=_trained_on_unit_length(folder)).eval()
    places = min(getattr(config, "max_position_embeddings", MOST_TOKENS) or MOST_TOKENS, MOST_TOKENS)
    stated = _stated_length(folder)
    preparation = TextPreparation(tokenizer, stated or places, type(tokenizer).__name__)
    network = TorchNetwork(body, int(config.hidden_size), None, blocks_of(body))
    return Backbone(_card(name, "text", config, network, preparation, 0), preparation, network)


def _stated_length(folder: Path) -> int | None:
    place = folder / "sentence_bert_config.json"
    if not place.is_file():
        return None
    length = json.loads(place.read_text(encoding="utf-8")).get("max_seq_length")
    return int(length) if length else None


def _trained_on_unit_length(folder: Path) -> bool:
    place = folder / "modules.json"
    if not place.is_file():
        return False
    return any(part["type"].endswith("Normalize") for part in json.loads(place.read_text(encoding="utf-8")))


def _width(body: Any, preparation: PicturePreparation) -> int:
    import torch

    with torch.inference_mode():
        return int(body(torch.zeros(1, 3, preparation.height, preparation.width)).shape[1])


def _card(name: str, modality: Modality, config: Any, network: TorchNetwork, preparation: Any, classes: int) -> Card:
    shown = Path(name).name if Path(name).is_dir() else name
    kind = (config.architectures or [type(config).__name__])[0]
    return Card(
        name=f"hf:{shown}",
        modality=modality,
        source_task=f"not stated ({kind}{f', {classes} classes' if classes else ''})",
        licence=_licence(Path(name)),
        parameters=network.parameters,
        width=network.width,
        classes=classes or None,
        preparation=preparation.describe(),
        weights=network.fingerprint(),
    )


def _licence(folder: Path) -> str:
    """Read the licence off the head of the folder's README."""
    place = folder / "README.md"
    if place.is_file():
        for line in place.read_text(encoding="utf-8", errors="replace").splitlines()[:40]:
            key, colon, value = line.partition(":")
            if colon and key.strip().lower() in ("license", "licence"):
                return value.strip()
    return "not stated"
