"""Models of pictures in ONNX files: "onnx:FILE". They run with onnxruntime; torch is not needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.backbones.card import Card
from headstart.backbones.network import are_probabilities, probes, softmax
from headstart.backbones.stated import stated_labels, stated_preparation
from headstart.errors import InputError, NeedsError, listed, unknown_name

#: Steps between a last layer and the scores, which leave the classes what they are.
AFTER = {"Softmax", "LogSoftmax", "Add", "Flatten", "Reshape", "Squeeze", "Identity", "Cast", "Dropout"}
#: Kinds of last layers.
LAST = {"Gemm", "MatMul"}
#: What may stand in the JSON file beside a model.
STATED = ("size", "mean", "std", "brightest", "resize", "interpolation", "labels", "features", "licence")


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A graph of ONNX.

    Parameters
    ----------
    graph : onnx model
    pixels : str
        Name of its input.
    channels_last : bool
        Whether colours are its input's last axis.
    one_by_one : bool
        Whether it takes one picture at a time.
    taken : str
        Name of what are its features.
    given : str or None
        Name of its scores; None without a head.
    layers : tuple of str
        Names inside the graph whose values can be features.
    width : int
    """

    graph: Any
    pixels: str
    channels_last: bool
    one_by_one: bool
    taken: str
    given: str | None
    layers: tuple[str, ...]
    width: int = 0
    probable: bool = False
    sessions: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def parameters(self) -> int:
        """How many numbers are stored as weights."""
        return sum(int(np.prod(weight.dims)) for weight in self.graph.graph.initializer)

    def features(self, batch: dict[str, np.ndarray], layer: str | None = None) -> np.ndarray:
        """Return the features of a batch, or one layer's values averaged over space."""
        return self._averaged(self.run(batch["pixels"], layer or self.taken))

    def probabilities(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        """Return class probabilities of a batch."""
        if self.given is None:
            raise NeedsError("the graph has no head that names classes; take its features")
        scores = self.run(batch["pixels"], self.given).reshape(len(batch["pixels"]), -1)
        return scores.astype(np.float32) if self.probable else softmax(scores)

    def module(self, n_classes: int | None) -> Any:
        """Refuse: a graph of ONNX can't be trained."""
        raise NeedsError("an ONNX file can't be trained on; train a head on its features, or load the model from torch")

    def fingerprint(self) -> str:
        """Return SHA-256 over names, shapes and values of all weights."""
        from onnx.numpy_helper import to_array

        found = sha256()
        for weight in sorted(self.graph.graph.initializer, key=lambda one: one.name):
            value = to_array(weight)
            found.update(f"{weight.name} {value.dtype} {value.shape}".encode())
            found.update(np.ascontiguousarray(value).tobytes())
        return found.hexdigest()

    def identity(self) -> str:
        """Return SHA-256 over all that features depend on: the graph with its weights, and what is taken from it."""
        found = sha256(self.graph.SerializeToString(deterministic=True))
        found.update(self.taken.encode())
        return found.hexdigest()

    def run(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """Return the values of one name inside the graph."""
        if self.channels_last:
            pixels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        parts = np.split(pixels, len(pixels)) if self.one_by_one else [pixels]
        session = self._session(name)
        return np.concatenate([np.asarray(session.run([name], {self.pixels: part})[0]) for part in parts])

    def _averaged(self, found: np.ndarray) -> np.ndarray:
        if found.ndim == 4 and found.shape[1:3] != (1, 1):
            # Inside, graphs have colours first: those exported with colours last transpose once and go on so.
            found = found.mean(axis=(2, 3), dtype=float)
        elif found.ndim == 4:
            found = found.reshape(len(found), -1)
        elif found.ndim == 3:
            found = found.mean(axis=1, dtype=float)
        return found.astype(np.float32)

    def _session(self, name: str) -> Any:
        """Return a session that gives one name; each is made once, as making one takes longer than running it."""
        if name not in self.sessions:
            import onnx
            import onnxruntime

            model = self.graph
            if name not in {one.name for one in model.graph.output}:
                model = onnx.ModelProto()
                model.CopyFrom(self.graph)
                model.graph.output.append(onnx.ValueInfoProto(name=name))
            settings = onnxruntime.SessionOptions()
            settings.log_severity_level = 3
            self.sessions[name] = onnxruntime.InferenceSession(
                model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
            )
        return self.sessions[name]


def load(
    name: str,
    *,
    features: str | None = None,
    labels: Sequence[str] | str | Path | None = None,
    licence: str | None = None,
    **stated: Any,
) -> Backbone:
    """Return the model of a file.

    Parameters
    ----------
    name : str
        The file. A JSON file of the same name beside it (model.onnx, model.json) may state what follows.
    features : str, optional
        Name of an output, or of a value inside the graph. By default what the last Gemm or MatMul takes.
    labels : optional
        Names of classes, see `stated_labels`.
    licence : str, optional
    **stated
        size (where the graph takes any), mean, std, brightest, resize, interpolation: see `stated_preparation`.

    Raises
    ------
    InputError
        When the file is no model of pictures, or its preparation or features are not stated and can't be read off it.
    """
    import onnx

    where = f"onnx:{Path(name).name}"
    graph = _read(where, name)
    options = _beside(where, Path(name).with_suffix(".json"))
    options |= {"features": features} if features is not None else {}
    options |= {"labels": labels} if labels is not None else {}
    options |= {"licence": licence} if licence is not None else {}
    for key, value in stated.items():
        if key not in STATED:
            raise InputError(unknown_name("option", key, STATED, where))
        options[key] = value
    pixels, channels_last, one_by_one, size = _input(where, graph)
    known, licence = options.pop("labels", None), options.pop("licence", None)
    asked = options.pop("features", None)
    wanted = options.pop("size", None)
    preparation = stated_preparation(
        where, size or wanted, options.pop("mean", None), options.pop("std", None), **options
    )
    try:
        shaped = onnx.shape_inference.infer_shapes(graph)
    except onnx.shape_inference.InferenceError:
        # Shapes serve to list layers; a graph without them runs all the same.
        shaped = graph
    outputs = [one.name for one in graph.graph.output]
    inside = {value for node in graph.graph.node for value in node.output}
    if asked is not None and asked not in inside:
        raise InputError(unknown_name("output", asked, [*outputs, *_layers(shaped)], where))
    given, taken, how = _ends(where, graph, outputs, asked)
    network = OnnxNetwork(graph, pixels, channels_last, one_by_one, taken, given, _layers(shaped))
    return _measured(where, network, preparation, known, how, licence or "not stated")


def _measured(where: str, network: OnnxNetwork, preparation: Any, labels: Any, how: str, licence: str) -> Backbone:
    """Run two probes through the network, to see how wide its features are and whether its scores are probabilities."""
    from dataclasses import replace

    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph
    from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NotThere

    probe = probes(preparation.height, preparation.width)
    try:
        width = int(network.features({"pixels": probe}).shape[1])
        scores = None if network.given is None else network.run(probe, network.given).reshape(len(probe), -1)
    except (Fail, InvalidArgument, InvalidGraph, NotThere) as error:
        raise InputError(f"{where}: does not run: {str(error).strip().splitlines()[0]}") from error
    network = replace(network, width=width, probable=scores is not None and are_probabilities(scores))
    classes = 0 if scores is None else scores.shape[1]
    names = stated_labels(where, labels, classes) if classes else ()
    card = Card(
        name=where,
        modality="image",
        source_task=f"not stated (features are {how})",
        licence=licence,
        parameters=network.parameters,
        width=width,
        classes=classes or None,
        preparation=preparation.describe(),
        weights=network.fingerprint(),
    )
    return Backbone(card, preparation, network, names)


def _read(where: str, name: str) -> Any:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    if not Path(name).is_file():
        raise InputError(f"onnx:{name}: no such file; check the path")
    try:
        model = onnx.load(name)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, OSError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{where}: not a model that can be read ({said}); export it again") from error
    return model


def _beside(where: str, place: Path) -> dict[str, Any]:
    if not place.is_file():
        return {}
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{place}: not JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f'{place}: holds no object of options, such as {{"mean": [...], "std": [...]}}')
    for key in found:
        if key not in STATED:
            raise InputError(unknown_name("option", key, STATED, str(place)))
    return found


def _input(where: str, model: Any) -> tuple[str, bool, bool, tuple[int, int] | None]:
    """Return the input's name, whether colours come last, whether one picture goes at a time, height and width."""
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in weights]
    if len(inputs) != 1:
        raise InputError(f"{where}: takes {listed(one.name for one in inputs)}; a model of pictures takes one input")
    kind = inputs[0].type.tensor_type
    sizes = [one.dim_value if one.HasField("dim_value") else None for one in kind.shape.dim]
    shown = tuple("?" if number is None else number for number in sizes)
    if len(sizes) != 4 or kind.elem_type != 1 or 3 not in (sizes[1], sizes[3]):
        raise InputError(f"{where}: its input has shape {shown}; pictures are float32 of (n, 3, h, w) or (n, h, w, 3)")
    if sizes[0] not in (None, 0, 1):
        raise InputError(f"{where}: takes {sizes[0]} pictures at a time; export it with a free number of them, or one")
    channels_last = sizes[1] != 3
    height, width = sizes[1:3] if channels_last else sizes[2:4]
    return inputs[0].name, channels_last, sizes[0] == 1, (height, width) if height and width else None


def _ends(where: str, model: Any, outputs: list[str], asked: str | None) -> tuple[str | None, str, str]:
    """Return the names of scores and of features, and how these were found."""
    made = {value: node for node in model.graph.node for value in node.output}
    constants = {one.name for one in model.graph.initializer} | {
        value for node in model.graph.node if node.op_type == "Constant" for value in node.output
    }
    scores = [name for name in outputs if name != asked]
    if asked is not None:
        return (scores[0] if scores else None), asked, f"{asked!r}, as asked"
    name = outputs[0]
    while name in made:
        node = made[name]
        flowing = [value for value in node.input if value and value not in constants]
        if node.op_type not in LAST | {"Add"}:
            # What else it takes is a shape or a setting.
            flowing = flowing[:1]
        if len(flowing) != 1:
            break
        if node.op_type in LAST:
            how = f"what the last {node.op_type} takes, {flowing[0]!r}"
            return outputs[0], flowing[0], how
        if node.op_type not in AFTER:
            break
        name = flowing[0]
    raise InputError(
        f"{where}: no Gemm or MatMul gives its scores; name its features with features=, one of "
        f"{listed(outputs + [value for node in model.graph.node[-6:] for value in node.output], 6)}"
    )


def _layers(shaped: Any) -> tuple[str, ...]:
    """Return names of float values inside the graph that have a row for each picture and 2 to 4 axes."""
    known = {}
    for value in [*shaped.graph.value_info, *shaped.graph.output]:
        kind = value.type.tensor_type
        if kind.elem_type == 1 and 2 <= len(kind.shape.dim) <= 4:
            known[value.name] = kind
    flowing = {one.name for one in shaped.graph.input} - {one.name for one in shaped.graph.initializer}
    names = []
    for node in shaped.graph.node:
        if flowing.intersection(node.input):
            flowing.update(node.output)
            names += [value for value in node.output if value in known]
    return tuple(names)
