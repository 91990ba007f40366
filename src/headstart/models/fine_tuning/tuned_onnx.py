"""A tuned network, body and head, as an ONNX file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.backbones.runtimes import MAKERS, UnfitError, known
from headstart.backbones.torch_network import TorchNetwork
from headstart.errors import NeedsError, StoreError
from headstart.models.fine_tuning.probing import probes_of
from headstart.store.folder import staged_file
from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.models.fine_tuning.tuned import TunedNetwork

#: How far the file's scores may be from torch's, relative to the largest, or to 1.
ROUNDING = 1e-4


def write_onnx(tuned: TunedNetwork, path: str | Path) -> None:
    """Write a whole tuned network, from prepared pictures or texts to the scores of its classes, as an ONNX file.

    The file's metadata say which classes the scores are of, and how pictures or texts are prepared.

    Parameters
    ----------
    tuned : TunedNetwork
    path : path
        The file to write; what is there is replaced when the new one is whole and right.

    Raises
    ------
    NeedsError
        When onnx or onnxruntime is missing, or torch can't write the network down.
    StoreError
        When onnxruntime gives other scores than torch.

    Examples
    --------
    >>> write_onnx(FineTune().fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).tuned_, "network.onnx")    # doctest: +SKIP
    """
    path = Path(path)
    known("onnxruntime")
    import onnx

    from headstart.backbones.onnx_export import exported

    batch = probes_of(tuned.base.preparation)
    # As the body of a network without a head, body and head are exported together.
    whole = TorchNetwork(tuned.module(), len(tuned.classes_))
    try:
        graph = onnx.load_from_string(exported(whole, None, batch))
    except (RuntimeError, TypeError, ValueError) as error:
        said = str(error).strip().splitlines()
        raise NeedsError(
            f"{tuned.reader.model}: torch can't write it as ONNX ({said[0] if said else error!r})"
        ) from error
    _rename_output(graph, "scores")
    onnx.helper.set_model_props(graph, _metadata(tuned))
    graph.producer_name, graph.producer_version = "headstart", __version__
    with staged_file(path) as stage:
        onnx.save(graph, str(stage))
        for part in _parts(batch):
            _compare(path, whole.features(part), _scores(stage, part))


def _metadata(tuned: TunedNetwork) -> dict[str, str]:
    card = tuned.base.card
    return {
        "headstart.classes": json.dumps(tuned.classes_.tolist(), ensure_ascii=False),
        "headstart.modality": card.modality,
        "headstart.preparation": json.dumps(tuned.base.preparation.describe(), ensure_ascii=False),
        "headstart.pretrained": json.dumps(
            {"name": tuned.reader.model, "licence": card.licence, "weights": tuned.reader.weights_}, ensure_ascii=False
        ),
    }


def _rename_output(graph: Any, name: str) -> None:
    (output,) = graph.graph.output
    for node in graph.graph.node:
        node.output[:] = [name if value == output.name else value for value in node.output]
        node.input[:] = [name if value == output.name else value for value in node.input]
    output.name = name


def _parts(batch: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Return the batch, and its first item alone, a text cut in half: what an export may have taken as fixed."""
    alone = {
        name: value[:1] if value.ndim == 4 else np.ascontiguousarray(value[:1, : (value.shape[1] + 1) // 2])
        for name, value in batch.items()
    }
    return [batch, alone]


def _scores(path: Path, batch: dict[str, np.ndarray]) -> np.ndarray:
    """Return what onnxruntime makes of the file as it was written."""
    try:
        return MAKERS["onnxruntime"](path.read_bytes())(batch)
    except UnfitError as error:
        raise NeedsError(f"onnxruntime can't run what torch wrote: {error}") from error


def _compare(path: Path, ours: np.ndarray, theirs: np.ndarray) -> None:
    difference = float(abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")
    bound = ROUNDING * max(1.0, float(abs(ours).max()))
    # Not "greater than": what is no number does not agree.
    if not difference <= bound:
        raise StoreError(
            f"{path}: onnxruntime's scores differ from torch's by {difference:.2g}, more than {bound:.2g}; nothing was "
            "written"
        )
