"""What runs a network: torch, or a runtime that only infers and is faster at that.

A faster runtime gets the body of the network as ONNX, and is used only when its features agree with torch's.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from headstart.backbones.torch_network import TorchNetwork
from headstart.errors import InputError, NeedsError, unknown_name

if TYPE_CHECKING:
    from headstart.backbones.cache import FeatureCache
    from headstart.backbones.network import Network

Batch = dict[str, np.ndarray]
Run = Callable[[Batch], np.ndarray]

#: The packages that a runtime needs.
PACKAGES = {
    "torch": ("torch",),
    "onnxruntime": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
}
#: What "auto" tries, the fastest first.
FASTEST = ("onnxruntime", "openvino")
#: With fewer items than this, writing the network down takes "auto" longer than it saves.
WORTH = 64
#: Features may differ from torch's by this much of their spread.
AGREEMENT = 1e-3
#: Items of the first batch on which agreement is checked.
CHECKED = 8
#: Networks held in memory beside torch's.
MOST_HELD = 4

_held: OrderedDict[tuple[str, ...], Run] = OrderedDict()
_unfit: dict[tuple[str, ...], str] = {}
_lock = Lock()


class UnfitError(Exception):
    """A runtime can't run this network, or its features are not torch's."""


def known(runtime: str) -> str:
    """Return the name of a runtime, or "auto".

    Raises
    ------
    InputError, NeedsError
        When there is none of this name, or its packages are not installed.
    """
    if runtime == "auto":
        return runtime
    if runtime not in PACKAGES:
        raise InputError(unknown_name("runtime", runtime, ("auto", *PACKAGES)))
    if not installed(runtime):
        raise NeedsError(
            f"the runtime {runtime} needs packages; install them with: pip install {' '.join(PACKAGES[runtime])}"
        )
    return runtime


def installed(runtime: str) -> bool:
    """Say whether the packages of a runtime are there."""
    return all(find_spec(package) is not None for package in PACKAGES[runtime])


def chosen(
    network: Network,
    layer: str | None,
    runtime: str,
    batch: Batch,
    n_items: int,
    cache: FeatureCache | None = None,
    identity: str | None = None,
) -> Run:
    """Return what gives the features of batches.

    Parameters
    ----------
    network : Network
        One that is not of torch runs as it does.
    layer : str or None
    runtime : {"auto", "torch", "onnxruntime", "openvino"}
        "auto" is the fastest that is installed and agrees with torch. Fewer than `WORTH` items run with torch.
    batch : dict of str to array
        The first batch: on its first items the features are compared with torch's.
    n_items : int
        How many items there are in all.
    cache : FeatureCache, optional
        Where the exported network is kept.
    identity : str, optional
        The network's, if it is known already.

    Raises
    ------
    NeedsError
        When the named runtime can't run the network, or its features differ from torch's.
    """
    plain = partial(network.features, layer=layer)
    if not isinstance(network, TorchNetwork):
        if runtime != "auto":
            raise NeedsError(f"this is no model of torch, so it can't run with {runtime}; leave runtime out")
        return plain
    if runtime == "torch" or (runtime == "auto" and n_items < WORTH):
        return plain
    identity = identity or network.identity()
    if runtime != "auto":
        try:
            run = _checked(runtime, network, identity, layer, batch, cache)
        except UnfitError as error:
            raise _refused(runtime, error) from error
        return partial(_or_error, run, runtime)
    for name in FASTEST:
        key = _key(name, identity, layer)
        if not installed(name) or key in _unfit:
            continue
        try:
            return partial(_or_torch, _checked(name, network, identity, layer, batch, cache), plain, key)
        except UnfitError as error:
            _given_up(key, error)
    return plain


def _or_error(run: Run, runtime: str, batch: Batch) -> np.ndarray:
    try:
        return run(batch)
    except UnfitError as error:
        raise _refused(runtime, error) from error


def _or_torch(run: Run, plain: Run, key: tuple[str, ...], batch: Batch) -> np.ndarray:
    if key not in _unfit:
        try:
            return run(batch)
        except UnfitError as error:
            _given_up(key, error)
    return plain(batch)


def _refused(runtime: str, error: UnfitError) -> NeedsError:
    return NeedsError(f"{runtime}: {error}; use runtime='torch'")


def _given_up(key: tuple[str, ...], error: UnfitError) -> None:
    """Say once that a runtime is not used for a network, and remember it."""
    _unfit[key] = str(error)
    warnings.warn(f"{key[0]} is not used for this network, torch is in its place: {error}", stacklevel=5)


def _key(runtime: str, identity: str, layer: str | None) -> tuple[str, ...]:
    import torch

    return runtime, identity, repr(layer), str(torch.get_num_threads())


def _checked(
    runtime: str, network: TorchNetwork, identity: str, layer: str | None, batch: Batch, cache: FeatureCache | None
) -> Run:
    """Return the network in a runtime, made and compared with torch if that was not done before."""
    key = _key(runtime, identity, layer)
    with _lock:
        if key not in _held:
            run = MAKERS[runtime](_written(network, identity, layer, batch, cache))
            for part in _samples(batch):
                difference = disagreement(network.features(part, layer), run(part))
                # Not "greater than": what is no number does not agree.
                if not difference <= AGREEMENT:
                    raise UnfitError(
                        f"its features differ from torch's by {difference:.2g} of their spread, more than {AGREEMENT:g}"
                    )
            _held[key] = run
            while len(_held) > MOST_HELD:
                _held.popitem(last=False)
        _held.move_to_end(key)
        return _held[key]


def disagreement(ours: np.ndarray, theirs: np.ndarray) -> float:
    r"""Return the largest difference of two arrays, in units of the first one's spread.

    .. math:: \max_{ij} |a_{ij} - b_{ij}| / \sigma, \quad \sigma^2 = mean_{ij} (a_{ij} - \bar a)^2

    Of a constant array its size takes the spread's place; arrays of other shapes differ infinitely.

    Examples
    --------
    >>> disagreement(np.array([[0.0, 2.0]]), np.array([[0.0, 2.5]]))
    0.5
    """
    if ours.shape != theirs.shape:
        return float("inf")
    ours, theirs = ours.astype(float), theirs.astype(float)
    scale = float(ours.std()) or float(np.abs(ours).max(initial=0.0))
    difference = float(np.abs(ours - theirs).max(initial=0.0))
    if difference == 0:
        return 0.0
    return difference / scale if scale else float("inf")


def _samples(batch: Batch) -> list[Batch]:
    """Return the first items; and one of them alone, a text half as long: what an export may have taken as fixed."""
    first = {name: value[:CHECKED] for name, value in batch.items()}
    alone = {
        name: np.ascontiguousarray(value[:1] if value.ndim == 4 else value[:1, : (value.shape[1] + 1) // 2])
        for name, value in batch.items()
    }
    return [first, alone]


def _written(
    network: TorchNetwork, identity: str, layer: str | None, batch: Batch, cache: FeatureCache | None
) -> bytes:
    """Return the network as ONNX, from the cache if it is there."""
    import torch

    name = sha256(repr((identity, layer, sorted(batch), torch.__version__)).encode()).hexdigest()
    found = None if cache is None else cache.network(name)
    if found is not None:
        return found
    from headstart.backbones.onnx_export import exported

    try:
        made = exported(network, layer, batch)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UnfitError(f"torch can't export it ({_line(error)})") from error
    if cache is not None:
        cache.keep_network(name, made)
    return made


def _onnxruntime(model: bytes) -> Run:
    import onnxruntime
    import torch
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    names_of = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    refusals = tuple(getattr(errors, name) for name in names_of)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except refusals as error:
        raise UnfitError(f"it does not take the network ({_line(error)})") from error
    names = {place.name for place in session.get_inputs()}

    def run(batch: Batch) -> np.ndarray:
        try:
            (found,) = session.run(None, {name: value for name, value in batch.items() if name in names})
        except refusals as error:
            raise UnfitError(f"it does not run the network ({_line(error)})") from error
        return np.asarray(found, dtype=np.float32)

    return run


def _openvino(model: bytes) -> Run:
    import openvino
    import torch

    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        # Some processors would take 16 bits by default.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(model, b""), "CPU", settings)
    except RuntimeError as error:
        raise UnfitError(f"it does not take the network ({_line(error)})") from error
    names = {name for place in compiled.inputs for name in place.names}

    def run(batch: Batch) -> np.ndarray:
        try:
            found = compiled({name: value for name, value in batch.items() if name in names})[0]
        except RuntimeError as error:
            raise UnfitError(f"it does not run the network ({_line(error)})") from error
        return np.array(found, dtype=np.float32)

    return run


MAKERS: dict[str, Callable[[bytes], Run]] = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
