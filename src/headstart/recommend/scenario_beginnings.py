"""What the parameters of a network over scenarios begin with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from headstart.recommend.scenario_layers import Shape

#: Parameters that no gradient changes: of the normalisation by scenario.
MOVING = ("means", "variances")


def beginnings(shape: Shape, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return parameters to begin with, by name."""
    P: dict[str, np.ndarray] = {
        "embeddings": rng.normal(0, 0.05, (shape.categories, shape.width)),
        "weights": np.zeros((shape.categories, 1)),
        "number_vectors": rng.normal(0, 0.05, (shape.numbers, shape.width)),
        "number_weights": np.zeros(shape.numbers),
    }

    def dense(name: str, m: int, k: int, scale: float = 1.0) -> None:
        P[f"{name}.W"] = scale * rng.normal(0, np.sqrt(2.0 / (m + k)), (m, k))
        P[f"{name}.b"] = np.zeros(k)

    def topped(name: str, m: int) -> None:
        # The products begin with their plain sum, which is a factorisation machine.
        dense(name, m, 1)
        P[f"{name}.W"] = np.vstack([P[f"{name}.W"], np.ones((shape.width, 1))])

    sizes = (shape.inputs, *shape.hidden)
    steps = list(enumerate(pairwise(sizes)))
    if shape.kind != "pooled":
        P["own_weights"] = np.zeros((shape.scenarios * shape.categories, 1))
    if shape.kind in ("star", "pepnet"):
        P["scenarios"] = rng.normal(0, 0.05, (shape.scenarios, shape.width))
    if shape.kind in ("pooled", "star"):
        for k, (m, into) in steps:
            dense(f"layer{k}", m, into)
        topped("head", sizes[-1])
    if shape.kind == "pepnet":
        prior = shape.width + shape.inputs
        _gate(dense, "epnet", shape.width * (1 + shape.fields), shape.fields * shape.width, shape.width)
        for k, (m, into) in steps:
            dense(f"layer{k}_0", m, into)
            _gate(dense, f"ppnet{k}", prior, m, shape.width)
        topped("head", sizes[-1])
        _gate(dense, "ppnet_head", prior, sizes[-1] + shape.width, shape.width)
    if shape.kind in ("shared-bottom", "mmoe"):
        names = ["bottom"] if shape.kind == "shared-bottom" else [f"expert{k}_" for k in range(shape.experts)]
        for name in names:
            for k, (m, into) in steps[:-1]:
                dense(f"{name}{k}", m, into)
        for s in range(shape.scenarios):
            dense(f"tower{s}_0", *sizes[-2:])
            topped(f"head{s}", sizes[-1])
            if shape.kind == "mmoe":
                dense(f"gate{s}", shape.inputs, shape.experts)
    if shape.kind == "star":
        _star_beginnings(P, shape)
        dense("auxiliary0", shape.width + shape.inputs, shape.hidden[-1])
        dense("auxiliary_head", shape.hidden[-1], 1, 0.0)
    return {name: value.astype(np.float32) for name, value in P.items()}


def _gate(dense: Callable[..., None], name: str, m: int, k: int, between: int) -> None:
    dense(f"{name}_in", m, between)
    dense(f"{name}_out", between, k, 0.1)


def _star_beginnings(P: dict[str, np.ndarray], shape: Shape) -> None:
    """Begin every scenario's own weights with one, so that all begin with the shared network."""
    for name in [name for name in P if name.startswith(("layer", "head"))]:
        layer, kind = name.removeprefix("layer").split(".")
        for s in range(shape.scenarios):
            P[f"star{s}_{layer}.{kind}"] = np.ones_like(P[name]) if kind == "W" else np.zeros_like(P[name])
    m = shape.inputs
    P |= {"gain": np.ones(m), "shift": np.zeros(m)}
    P |= {"gains": np.ones((shape.scenarios, m)), "shifts": np.zeros((shape.scenarios, m))}
    P |= {"means": np.zeros((shape.scenarios, m)), "variances": np.ones((shape.scenarios, m))}
