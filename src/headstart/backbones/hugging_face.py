"""Hugging Face models of pictures and texts, from a folder or from the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.backbones.card import Card, Modality
from headstart.backbones.preparation import PicturePreparation, Preparation, TextPreparation
from headstart.backbones.stated import of_colours
from headstart.backbones.torch_network import TorchNetwork, tensors_of
from headstart.errors import InputError

#: Tokens beyond which texts are cut, where the model states no length.
MOST_TOKENS = 512
#: Numbers of PIL's filters, as processors write them.
FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
#: Pixels from which on ConvNeXt's processor cuts nothing away.
UNCUT = 384
#: Where classifiers have their last layer.
HEADS = ("classifier.out_proj", "classifier", "fc", "head", "score")
#: How far the parts' scores may be from the model's own, and prepared pictures from the processor's.
ROUNDING = 1e-3


def load(name: str, *, local_only: bool | None = None) -> Backbone:
    """Return a model.

    Parameters
    ----------
    name : str
        A folder with config.json and weights in safetensors, or an id on the hub.
    local_only : bool, optional
        Never ask the hub, take what was fetched before; by default the hub is asked where `name` is no folder and
        HF_HUB_OFFLINE does not say otherwise.

    Raises
    ------
    InputError
        When there is nothing of this name, it is not a model of pictures or texts, its weights are not in
        safetensors, or it needs code of its own to run.
    """
    from safetensors import SafetensorError
    from transformers import AutoConfig

    folder = Path(name)
    local = folder.is_dir()
    if local and not (folder / "config.json").is_file():
        raise InputError(f"{name}: holds no config.json; give the folder that save_pretrained wrote")
    if local and not any(folder.glob("*.safetensors")):
        raise InputError(
            f"{name}: holds no weights in safetensors; other files of weights can run code and are not read: "
            "write it anew with save_pretrained"
        )
    if not local and (folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1):
        raise InputError(f"hf:{name}: no such folder; check the path")
    options = {"local_files_only": local or bool(local_only), "trust_remote_code": False}
    with _quiet():
        try:
            config = AutoConfig.from_pretrained(name, **options)
            picture = _file(name, "preprocessor_config.json", options) or "image_size" in config.to_dict()
            return _picture_model(name, config, options) if picture else _text_model(name, config, options)
        except InputError:
            raise
        except OSError as error:
            advice = "" if local else "; check the id, fetch it once with a network, or give a folder"
            raise InputError(f"hf:{name}: {_said(error)}{advice}") from error
        except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise InputError(f"hf:{name}: {_said(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Show no bars and tables while a model is loaded: what is wrong with it is said in one line."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _said(error: Exception) -> str:
    """Return the first line of a message."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _file(name: str, part: str, options: dict[str, Any]) -> Path | None:
    """Return a file of a folder, or of a model on the hub; None where it has none."""
    if Path(name).is_dir():
        place = Path(name) / part
        return place if place.is_file() else None
    from transformers.utils import cached_file

    found = cached_file(
        name, part, _raise_exceptions_for_missing_entries=False, local_files_only=options["local_files_only"]
    )
    return Path(found) if found else None


def _loaded(kind: Any, name: str, options: dict[str, Any]) -> Any:
    """Return a model with its weights, all of them from the file."""
    model, report = kind.from_pretrained(name, use_safetensors=True, output_loading_info=True, **options)
    missing = sorted(report["missing_keys"])
    if missing and all(key.startswith("pooler.") for key in missing):
        # What was never trained would be drawn by chance, another one each time.
        model.pooler = None
    elif missing:
        raise InputError(f"hf:{name}: {len(missing)} of its weights are not in the file, such as {missing[0]}")
    return model.eval()


def _picture_model(name: str, config: Any, options: dict[str, Any]) -> Backbone:
    from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification

    from headstart.backbones.torch_modules import Headless, PooledPictures

    processor = AutoImageProcessor.from_pretrained(name, backend="pil", **options)
    preparation = _preparation(processor)
    _check_prepared(name, processor, preparation)
    batch = preparation(_probe_pictures())
    if _names_classes(config, "ForImageClassification"):
        model = _loaded(AutoModelForImageClassification, name, options)
        network = _parts(name, model, Headless(model), batch)
        names = _labels(config)
    else:
        network = _whole(PooledPictures(_loaded(AutoModel, name, options)), batch)
        names = ()
    return Backbone(_card(name, "image", config, network, preparation, names, options), preparation, network, names)


def _names_classes(config: Any, ending: str) -> bool:
    """Say whether a model has a head of classes, one of which an item is of."""
    if not any(ending in kind for kind in config.architectures or ()):
        return False
    return config.num_labels > 1 and config.problem_type in (None, "single_label_classification")


def _labels(config: Any) -> tuple[str, ...]:
    return tuple(str(config.id2label[i]) for i in sorted(config.id2label))


def _whole(body: Any, batch: dict[str, np.ndarray]) -> TorchNetwork:
    """Return a network without a head."""
    import torch

    from headstart.backbones.torch_modules import blocks_of

    with torch.inference_mode():
        width = int(body.eval()(**tensors_of(batch)).shape[1])
    return TorchNetwork(body, width, None, blocks_of(body))


def _parts(name: str, model: Any, body: Any, batch: dict[str, np.ndarray]) -> TorchNetwork:
    """Take the last layer off, so that the body gives what it would get, and check that both give what the model did.

    `body` gives the model's scores at first, its features afterwards.
    """
    import torch

    tensors = tensors_of(batch)
    with torch.inference_mode():
        scores = body.eval()(**tensors)
        head = _detached_head(model)
        network = _whole(body, batch)
        again = head(body(**tensors))
    if again.shape != scores.shape or not torch.allclose(again, scores, rtol=ROUNDING, atol=ROUNDING):
        raise InputError(f"hf:{name}: its last layer does not give its scores, so it can't be taken apart")
    return TorchNetwork(body, network.width, head.eval(), network.blocks)


def _detached_head(model: Any) -> Any:
    from torch import nn

    for place in HEADS:
        parent, _, last = place.rpartition(".")
        holder = getattr(model, parent, None) if parent else model
        head = getattr(holder, last, None)
        if isinstance(head, nn.Module):
            setattr(holder, last, nn.Identity())
            if not isinstance(head, nn.Sequential):
                return head
            # A head that flattens first gets features that are flat already.
            return nn.Sequential(*(part for part in head if not isinstance(part, nn.Flatten)))
    raise InputError(
        f"{type(model).__name__} has none of the last layers {', '.join(HEADS)}, so it can't be taken apart"
    )


def _preparation(processor: Any) -> PicturePreparation:
    """Return what a processor's settings say; `_check_prepared` sees to it that this is all it does."""
    settings = processor.to_dict()
    size, crop = settings.get("size") or {}, settings.get("crop_size")
    if not settings.get("do_resize", True):
        raise InputError("a model whose processor does not resize takes pictures of one size only; give such a size")
    resize: Any = size.get("shortest_edge") or (size.get("height") or 224, size.get("width") or 224)
    height, width = (resize, resize) if isinstance(resize, int) else resize
    if settings.get("do_center_crop") and crop:
        height, width = crop["height"], crop["width"]
    elif isinstance(resize, int) and settings.get("crop_pct"):
        # ConvNeXt's: small sizes are cut out of a larger picture, large ones are not cut at all.
        resize = int(resize / settings["crop_pct"]) if resize < UNCUT else (resize, resize)
    unit = 1 / settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    normal = settings.get("do_normalize", True)
    return PicturePreparation(
        height,
        width,
        resize,
        interpolation=FILTERS[int(settings.get("resample", 2))],
        mean=of_colours("image_mean", "mean", settings["image_mean"] if normal else (0.0,) * 3, unit),
        std=of_colours("image_std", "std", settings["image_std"] if normal else (1.0,) * 3, unit),
    )


def _probe_pictures() -> list[np.ndarray]:
    """Return a wide and a tall picture of noise."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ((61, 83), (98, 47))]


def _check_prepared(name: str, processor: Any, preparation: PicturePreparation) -> None:
    pictures = _probe_pictures()
    ours = preparation(pictures)["pixels"]
    theirs = [processor(images=picture, return_tensors="np")["pixel_values"] for picture in pictures]
    if any(one.shape != (1, *ours.shape[1:]) for one in theirs) or not np.allclose(
        np.concatenate(theirs), ours, rtol=0, atol=ROUNDING
    ):
        raise InputError(
            f"hf:{name}: its {type(processor).__name__} prepares pictures in a way that headstart does not know; "
            "take its module into torch:package.module:function with a preparation of your own"
        )


def _text_model(name: str, config: Any, options: dict[str, Any]) -> Backbone:
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    from headstart.backbones.torch_modules import PooledTexts
    from headstart.backbones.torch_texts import HeadlessTexts

    tokenizer = AutoTokenizer.from_pretrained(name, **options)
    # Filled up at the end, each token keeps its place.
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        # Filled-up places are masked, so that any token serves that does not end a text.
        filling = next(one for one in (config.pad_token_id, tokenizer.eos_token_id, 0) if one is not None)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(filling)
    classifies = _names_classes(config, "ForSequenceClassification")
    model = _loaded(AutoModelForSequenceClassification if classifies else AutoModel, name, options)
    stated = _stated_length(_file(name, "sentence_bert_config.json", options))
    preparation = TextPreparation(tokenizer, stated or _places(model, config), type(tokenizer).__name__)
    batch = preparation(["a", "a b c"])
    if classifies:
        network = _parts(name, model, HeadlessTexts(model, tokenizer.pad_token_id), batch)
        names = _labels(config)
    else:
        # What is made of the first token alone is not used: it would be counted, and trained in vain.
        model.pooler = None
        unit_length = _trained_on_unit_length(_file(name, "modules.json", options))
        network, names = _whole(PooledTexts(model, unit_length=unit_length), batch), ()
    return Backbone(_card(name, "text", config, network, preparation, names, options), preparation, network, names)


def _places(model: Any, config: Any) -> int:
    """Return how many tokens a model has places for."""
    places = getattr(config, "max_position_embeddings", None) or MOST_TOKENS
    for part, module in model.named_modules():
        if part.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            # RoBERTa counts places from after the one for filling up.
            places -= module.padding_idx + 1
    return min(places, MOST_TOKENS)


def _stated_length(place: Path | None) -> int | None:
    if place is None:
        return None
    length = json.loads(place.read_text(encoding="utf-8")).get("max_seq_length")
    return int(length) if length else None


def _trained_on_unit_length(place: Path | None) -> bool:
    if place is None:
        return False
    return any(part["type"].endswith("Normalize") for part in json.loads(place.read_text(encoding="utf-8")))


def _card(
    name: str,
    modality: Modality,
    config: Any,
    network: TorchNetwork,
    preparation: Preparation,
    names: tuple[str, ...],
    options: dict[str, Any],
) -> Card:
    shown = Path(name).name if Path(name).is_dir() else name
    kind = (config.architectures or [type(config).__name__])[0]
    return Card(
        name=f"hf:{shown}",
        modality=modality,
        source_task=f"not stated ({kind}{f', {len(names)} classes' if names else ''})",
        licence=_licence(_file(name, "README.md", options)),
        parameters=network.parameters,
        width=network.width,
        classes=len(names) or None,
        preparation=preparation.describe(),
        weights=network.fingerprint(),
    )


def _licence(place: Path | None) -> str:
    """Read the licence off the head of a model's README."""
    if place is not None:
        for line in place.read_text(encoding="utf-8", errors="replace").splitlines()[:40]:
            key, colon, value = line.partition(":")
            if colon and key.strip().lower() in ("license", "licence"):
                return value.strip()
    return "not stated"
