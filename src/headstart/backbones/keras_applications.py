"""Models of keras.applications: "keras:VGG16", on the backend that Keras runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.backbones.card import Card
from headstart.backbones.network import are_probabilities, probes, softmax
from headstart.backbones.preparation import PicturePreparation
from headstart.backbones.stated import stated_labels
from headstart.errors import InputError, NeedsError, unknown_name


@dataclass(frozen=True, eq=False)
class KerasNetwork:
    """A functional model of Keras.

    Parameters
    ----------
    model : keras.Model
    head : keras layer or None
        Its last layer with weights: dense, or a convolution of one pixel. None without a head.
    """

    model: Any
    head: Any = None
    parts: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def width(self) -> int:
        """Columns of the features."""
        return int((self.model.output if self.head is None else self.head.input).shape[self._channel()])

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of Keras, from the input on."""
        return tuple(layer.name for layer in self.model.layers if type(layer).__name__ != "InputLayer")

    @cached_property
    def probable(self) -> bool:
        """Whether the scores are probabilities already."""
        channels, height, width = self._size()
        return channels == 3 and are_probabilities(self._run(self.model, probes(height, width)))

    @property
    def parameters(self) -> int:
        """How many numbers are stored as weights."""
        return int(self.model.count_params())

    def features(self, batch: dict[str, np.ndarray], layer: str | None = None) -> np.ndarray:
        """Return what the head takes, or one layer's output averaged over space."""
        found = self._run(self._part(layer), batch["pixels"])
        if found.ndim == 4:
            found = found.mean(axis=(1, 2) if self._last() else (2, 3), dtype=float)
        return found.reshape(len(found), -1).astype(np.float32)

    def probabilities(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        """Return class probabilities of a batch."""
        if self.head is None:
            raise NeedsError("the model has no head that names classes; take its features")
        scores = self._run(self.model, batch["pixels"]).reshape(len(batch["pixels"]), -1)
        return scores.astype(np.float32) if self.probable else softmax(scores)

    def module(self, n_classes: int | None) -> Any:
        """Return a copy as a torch module, when Keras runs on torch.

        Raises
        ------
        NeedsError
            When it runs on something else.
        """
        import keras

        if keras.backend.backend() != "torch":
            raise NeedsError(
                f"Keras runs on {keras.backend.backend()} here; set KERAS_BACKEND=torch before the start to train it"
            )
        from headstart.backbones.keras_torch import as_torch

        return as_torch(self.model, self.head, self.width, n_classes, channels_last=self._last())

    def fingerprint(self) -> str:
        """Return SHA-256 over places, names, shapes and values of all weights."""
        found = sha256()
        for place, weight in enumerate(self.model.weights):
            # Names that Keras makes up count on from model to model; the last part of one does not.
            value = np.asarray(weight.numpy() if hasattr(weight, "numpy") else weight)
            found.update(f"{place} {weight.name} {value.dtype} {value.shape}".encode())
            found.update(np.ascontiguousarray(value).tobytes())
        return found.hexdigest()

    def identity(self) -> str:
        """Return SHA-256 over all that features depend on: kinds and settings of layers, and their weights."""
        found = sha256(self.fingerprint().encode())
        for layer in self.model.layers:
            settings = {key: value for key, value in layer.get_config().items() if key not in ("name", "dtype")}
            found.update(repr((type(layer).__name__, sorted(map(repr, settings.items())))).encode())
        return found.hexdigest()

    def _part(self, layer: str | None) -> Any:
        """Return the model up to a layer, or up to the head; each is made once."""
        import keras

        name = layer or ""
        if name not in self.parts:
            if layer is not None:
                end = self.model.get_layer(layer).output
            else:
                end = self.model.output if self.head is None else self.head.input
            self.parts[name] = keras.Model(self.model.inputs[0], end)
        return self.parts[name]

    def _run(self, model: Any, pixels: np.ndarray) -> np.ndarray:
        if self._last():
            pixels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        return np.asarray(model.predict_on_batch(pixels))

    def _size(self) -> tuple[int, int, int]:
        shape = self.model.input_shape[1:]
        channels, height, width = (shape[2], *shape[:2]) if self._last() else shape
        return channels, height, width

    def _last(self) -> bool:
        """Say whether colours are the last axis."""
        import keras

        return bool(keras.config.image_data_format() == "channels_last")

    def _channel(self) -> int:
        end = self.model.output if self.head is None else self.head.input
        return 1 if len(end.shape) == 4 and not self._last() else -1


def load(
    name: str,
    *,
    weights: str | Path = "imagenet",
    labels: Sequence[str] | str | Path | None = None,
    interpolation: str = "nearest",
    **options: Any,
) -> Backbone:
    """Return a model of keras.applications.

    Parameters
    ----------
    name : str
        Such as "VGG16".
    weights : "imagenet" or file
        "imagenet" is fetched the first time. A file is .weights.h5 or .h5 (weights alone are read from it) or .keras
        (a whole model, read in Keras' safe mode).
    labels : optional
        Names of classes, see `stated_labels`. By default ImageNet's where there are 1,000.
    interpolation : str
        How pictures are brought to the model's size; keras.utils.load_img takes the nearest pixel.
    **options
        What the function of Keras takes, such as alpha of MobileNet or include_top.

    Raises
    ------
    InputError
        When there is no such model, or the weights are not there or not its own.
    """
    keras = _keras()
    where = f"keras:{name}"
    known = [one for one in dir(keras.applications) if one[0].isupper()]
    if name not in known:
        raise InputError(unknown_name("model", name, known, "keras.applications"))
    model = _model(where, getattr(keras.applications, name), str(weights), options)
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise InputError(f"{where}: takes {shape}, not one batch of pictures")
    network = KerasNetwork(model, _head(model) if options.get("include_top", True) else None)
    channels, height, width = network._size()
    if channels != 3 or not height or not width:
        raise InputError(f"{where}: takes pictures of any size; state one, such as input_shape=(224, 224, 3)")
    preparation = _preparation(_module_of(name), height, width, interpolation)
    classes = int(model.output.shape[-1]) if network.head is not None else 0
    if labels is None and classes == 1000:
        labels = "imagenet"
    names = stated_labels(where, labels, classes) if classes else ()
    known_task = str(weights) == "imagenet"
    card = Card(
        name=where,
        modality="image",
        source_task="naming 1,000 kinds of things in photographs (ImageNet, ILSVRC 2012)"
        if known_task
        else f"not stated (weights of {Path(weights).name})",
        licence="not stated",
        parameters=network.parameters,
        width=network.width,
        classes=classes or None,
        preparation=preparation.describe(),
        weights=network.fingerprint(),
    )
    return Backbone(card, preparation, network, names)


def _keras() -> Any:
    """Import Keras; it runs on TensorFlow unless told otherwise before."""
    try:
        import keras
    except ModuleNotFoundError as error:
        if error.name not in ("tensorflow", "jax"):
            raise
        raise NeedsError(
            f"Keras is set to run on {error.name}, which is not installed; set KERAS_BACKEND=torch before the start"
        ) from error
    return keras


def _model(where: str, build: Any, weights: str, options: dict[str, Any]) -> Any:
    import keras

    path = Path(weights)
    try:
        if weights == "imagenet":
            return build(weights="imagenet", **options)
        if not path.is_file():
            raise InputError(f"{where}: {weights}: no such file of weights; or write weights='imagenet'")
        if path.suffix == ".keras":
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        if path.suffix != ".h5":
            raise InputError(f"{where}: {path.name}: weights come as .weights.h5, .h5 or .keras")
        model = build(weights=None, **options)
        with catch_warnings():
            # Keras only warns where a file lacks weights, and leaves them drawn by chance.
            simplefilter("error", UserWarning)
            model.load_weights(path)
        return model
    except InputError:
        raise
    except (OSError, ValueError, TypeError, KeyError, UserWarning) as error:
        raise InputError(f"{where}: {_said(error)}; check weights and options") from error
    except Exception as error:
        # A download that fails is raised by Keras as a bare Exception; anything of a kind of its own goes on.
        if type(error) is not Exception:
            raise
        raise InputError(f"{where}: {_said(error)}; fetch it once with a network, or give weights=FILE") from error


def _said(error: Exception) -> str:
    """Return the first line of a message."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _head(model: Any) -> Any:
    """Return the last layer with weights, when all that follows it has none and it makes the classes."""
    last: Any = next((layer for layer in reversed(model.layers) if layer.weights), None)
    kind = type(last).__name__
    if kind == "Dense" or (kind == "Conv2D" and tuple(last.kernel_size) == (1, 1) and 1 in last.output.shape[1:3]):
        return last if int(last.output.shape[-1]) == int(model.output.shape[-1]) else None
    return None


def _module_of(name: str) -> ModuleType:
    """Return the module of keras.applications that says how pictures are prepared for a model."""
    import keras

    if name.startswith("MobileNetV3"):
        # Its two models are not listed in their module.
        module: ModuleType = keras.applications.mobilenet_v3
        return module
    modules = [one for one in vars(keras.applications).values() if isinstance(one, ModuleType)]
    return next(one for one in modules if hasattr(one, name) and hasattr(one, "preprocess_input"))


def _preparation(module: ModuleType, height: int, width: int, interpolation: str) -> PicturePreparation:
    """Read the preparation off Keras' own function: black gives where colours begin, one bright red their order."""
    black = _prepared(module, (0.0, 0.0, 0.0))
    steps = _prepared(module, (255.0, 255.0, 255.0)) - black
    red = _prepared(module, (255.0, 0.0, 0.0)) - black
    std = 255 / steps
    return PicturePreparation(
        height,
        width,
        crop=False,
        interpolation=interpolation,
        mean=_three(-black * std),
        std=_three(std),
        colours="bgr" if abs(red[0]) < abs(red[2]) else "rgb",
    )


def _prepared(module: ModuleType, colour: tuple[float, float, float]) -> np.ndarray:
    pixel = np.array(colour).reshape(1, 1, 1, 3)
    return np.asarray(module.preprocess_input(pixel, data_format="channels_last"), dtype=float).reshape(3)


def _three(values: np.ndarray) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
