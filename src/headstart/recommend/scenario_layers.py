"""The layers of a network over scenarios, written once for numpy and torch.

Every function takes the parameters as a dict of arrays, or of torch tensors, and `Numbers`, the few functions whose
names differ between the two. Rows come sorted by scenario; `spans` says from where to where each stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Parameters = dict[str, Any]
#: Scenario, first row, row after the last.
Span = tuple[int, int, int]
KINDS = ("pooled", "shared-bottom", "mmoe", "star", "pepnet")
#: So that nothing is divided by zero in a normalisation.
SMALL = 1e-5


@dataclass(frozen=True)
class Numbers:
    """What is computed with: functions of numpy or torch.

    Parameters
    ----------
    sigmoid, relu, softmax : callable
        Of an array; softmax over the last axis.
    rows : callable
        Of a table and codes.
    index : callable
        Of an int array of numpy.
    joined : callable
        Of a list of arrays, side by side.
    stacked : callable
        Of a list of arrays, one below the other.
    still : callable
        The same array, through which no gradient goes.
    dropped : callable
        Randomly zeroed when training, the same array otherwise.
    training : bool
    """

    sigmoid: Callable[[Any], Any]
    relu: Callable[[Any], Any]
    softmax: Callable[[Any], Any]
    rows: Callable[[Any, Any], Any]
    index: Callable[[np.ndarray], Any]
    joined: Callable[[Sequence[Any]], Any]
    stacked: Callable[[Sequence[Any]], Any]
    still: Callable[[Any], Any]
    dropped: Callable[[Any], Any]
    training: bool = False


def _softmax(Z: np.ndarray) -> np.ndarray:
    raised = np.exp(Z - Z.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _sigmoid(Z: np.ndarray) -> np.ndarray:
    # By tanh, which can't overflow.
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * Z))


NUMPY = Numbers(
    sigmoid=_sigmoid,
    relu=lambda Z: np.maximum(Z, 0),
    softmax=_softmax,
    rows=lambda table, codes: table[codes],
    index=lambda codes: codes,
    joined=lambda parts: np.concatenate(parts, axis=-1),
    stacked=np.concatenate,
    still=lambda Z: Z,
    dropped=lambda Z: Z,
)


@dataclass(frozen=True)
class Shape:
    """How large a network is.

    Parameters
    ----------
    kind : str
    fields, numbers : int
        Columns of categories and of numbers.
    categories : int
        Over all columns, with an unknown one for each.
    scenarios, width : int
        Scenarios, and numbers in an embedding.
    hidden : tuple of int
    experts : int
        Of MMoE.
    """

    kind: str
    fields: int
    numbers: int
    categories: int
    scenarios: int
    width: int
    hidden: tuple[int, ...]
    experts: int

    @property
    def inputs(self) -> int:
        """Numbers that come into the first layer."""
        return self.fields * self.width + self.numbers


def logits(P: Parameters, shape: Shape, codes: Any, values: Any, spans: Sequence[Span], xp: Numbers) -> Any:
    """Return the log-odds of a click, shape (n,).

    Parameters
    ----------
    codes : int array of shape (n, fields)
        Rows of the table of embeddings.
    values : array of shape (n, numbers)
        Standardised.
    spans : list of (scenario, first, after the last)
    """
    E = xp.rows(P["embeddings"], codes)
    n = len(E)
    x = E.reshape(n, -1)
    if shape.kind == "pepnet":
        x = x * gate(P, "epnet", xp.joined([scenario_rows(P, spans, xp), xp.still(x)]), xp)
        E = x.reshape(E.shape)
    pairs = products(E, values, P["number_vectors"])
    x = xp.joined([x, values])
    alone = xp.rows(P["weights"], codes)[:, :, 0].sum(1) + values @ P["number_weights"]
    if shape.kind != "pooled":
        alone = alone + xp.rows(P["own_weights"], own_codes(shape, codes, spans, xp))[:, :, 0].sum(1)
    return alone + deep(P, shape, x, pairs, spans, xp)


def own_codes(shape: Shape, codes: Any, spans: Sequence[Span], xp: Numbers) -> Any:
    """Return the rows of the table of each scenario's own weights, shape (n, fields)."""
    return codes + shape.categories * xp.index(_repeated(spans))[:, None]


def products(E: Any, values: Any, vectors: Any) -> Any:
    """Return the products of all pairs of fields, summed over the pairs, shape (n, width): sum_(i<j) v_i * v_j.

    Rendle: Factorization Machines. ICDM 2010; kept apart by coordinate as by He & Chua, SIGIR 2017.
    """
    total = E.sum(1) + values @ vectors
    return 0.5 * (total**2 - (E**2).sum(1) - values**2 @ vectors**2)


def deep(P: Parameters, shape: Shape, x: Any, pairs: Any, spans: Sequence[Span], xp: Numbers) -> Any:
    """Return what the layers over the embeddings say, shape (n,), in the way of the kind."""
    if shape.kind == "pooled":
        return head(P, "head", xp.joined([layers(P, "layer", x, len(shape.hidden), xp), pairs]))
    if shape.kind == "pepnet":
        return personalised(P, shape, x, pairs, spans, xp)
    if shape.kind == "star":
        return star(P, shape, x, pairs, spans, xp)
    if shape.kind == "shared-bottom":
        bottom = layers(P, "bottom", x, len(shape.hidden) - 1, xp)
        inputs = [bottom[first:last] for _, first, last in spans]
    else:
        inputs = mixtures(P, shape, x, spans, xp)
    found = []
    for (s, first, last), z in zip(spans, inputs, strict=True):
        found.append(head(P, f"head{s}", xp.joined([layers(P, f"tower{s}_", z, 1, xp), pairs[first:last]])))
    return xp.stacked(found)


def layers(P: Parameters, name: str, x: Any, depth: int, xp: Numbers) -> Any:
    """Return x after so many layers: relu(x W + b)."""
    for k in range(depth):
        x = xp.dropped(xp.relu(x @ P[f"{name}{k}.W"] + P[f"{name}{k}.b"]))
    return x


def head(P: Parameters, name: str, x: Any) -> Any:
    """Return one number a row, shape (n,)."""
    return (x @ P[f"{name}.W"] + P[f"{name}.b"])[:, 0]


def mixtures(P: Parameters, shape: Shape, x: Any, spans: Sequence[Span], xp: Numbers) -> list[Any]:
    r"""Return the experts, mixed by each scenario's gate: :math:`\sum_k softmax(x G_s)_k f_k(x)` (MMoE)."""
    experts = [layers(P, f"expert{k}_", x, len(shape.hidden) - 1, xp) for k in range(shape.experts)]
    found = []
    for s, first, last in spans:
        shares = xp.softmax(x[first:last] @ P[f"gate{s}.W"] + P[f"gate{s}.b"])
        found.append(sum(shares[:, k : k + 1] * expert[first:last] for k, expert in enumerate(experts)))
    return found


def star(P: Parameters, shape: Shape, x: Any, pairs: Any, spans: Sequence[Span], xp: Numbers) -> Any:
    """Return the star topology: W_shared * W_s in every layer and biases that add up, and the auxiliary network."""
    found = []
    for s, first, last in spans:
        z = partitioned(P, s, x[first:last], xp)
        for k in range(len(shape.hidden)):
            z = xp.dropped(
                xp.relu(z @ (P[f"layer{k}.W"] * P[f"star{s}_{k}.W"]) + P[f"layer{k}.b"] + P[f"star{s}_{k}.b"])
            )
        z = xp.joined([z, pairs[first:last]])
        found.append((z @ (P["head.W"] * P[f"star{s}_head.W"]) + P["head.b"] + P[f"star{s}_head.b"])[:, 0])
    auxiliary = layers(P, "auxiliary", xp.joined([scenario_rows(P, spans, xp), x]), 1, xp)
    return xp.stacked(found) + head(P, "auxiliary_head", auxiliary)


def partitioned(P: Parameters, s: int, z: Any, xp: Numbers) -> Any:
    """Return the partitioned normalisation: mean and spread of the scenario, gains and shifts shared and its own."""
    if xp.training and len(z) > 1:
        mean, variance = z.mean(0), z.var(0, correction=0)
    else:
        mean, variance = P["means"][s], P["variances"][s]
    scaled = (z - mean) / (variance + SMALL) ** 0.5
    return P["gain"] * P["gains"][s] * scaled + P["shift"] + P["shifts"][s]


def personalised(P: Parameters, shape: Shape, x: Any, pairs: Any, spans: Sequence[Span], xp: Numbers) -> Any:
    """Return PPNet: gates that see the scenario and, without gradient, the row scale what comes into every layer."""
    prior = xp.joined([scenario_rows(P, spans, xp), xp.still(x)])
    for k in range(len(shape.hidden)):
        x = layers(P, f"layer{k}_", x * gate(P, f"ppnet{k}", prior, xp), 1, xp)
    x = xp.joined([x, pairs])
    return head(P, "head", x * gate(P, "ppnet_head", prior, xp))


def gate(P: Parameters, name: str, z: Any, xp: Numbers) -> Any:
    """Return 2 sigmoid(relu(z W + b) V + c): 1 where the gate has learned nothing."""
    return 2.0 * xp.sigmoid(
        xp.relu(z @ P[f"{name}_in.W"] + P[f"{name}_in.b"]) @ P[f"{name}_out.W"] + P[f"{name}_out.b"]
    )


def scenario_rows(P: Parameters, spans: Sequence[Span], xp: Numbers) -> Any:
    """Return the embedding of each row's scenario, shape (n, width)."""
    return xp.rows(P["scenarios"], xp.index(_repeated(spans)))


def _repeated(spans: Sequence[Span]) -> np.ndarray:
    return np.repeat([s for s, _, _ in spans], [last - first for _, first, last in spans])


def spans_of(scenario: np.ndarray) -> list[Span]:
    """Return the spans of sorted scenarios.

    >>> spans_of(np.array([0, 0, 2]))
    [(0, 0, 2), (2, 2, 3)]
    """
    names, first = np.unique(scenario, return_index=True)
    last = [*first[1:].tolist(), len(scenario)]
    return list(zip(names.tolist(), first.tolist(), last, strict=True))
