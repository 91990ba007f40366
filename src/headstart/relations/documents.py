"""Relational trees in plain JSON types, and back: what travels of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.errors import StoreError
from headstart.relations.boosting import Boosted
from headstart.relations.facts import Predicate
from headstart.relations.literals import Condition, Conjunction, Holds, Path, Step
from headstart.relations.trees import Leaf, Node, Tree


def document(model: Boosted) -> dict[str, Any]:
    """Return fitted trees in plain types.

    >>> head = Predicate("wise", ("person",))
    >>> told = document(Boosted(0.0, [Leaf(0.5, 2.0)], head, {}, np.array([0, 1])))
    >>> told["trees"], boosted(told).trees
    ([{'value': 0.5, 'rows': 2.0}], [Leaf(value=0.5, rows=2.0)])
    """
    return {
        "bias": model.bias,
        "head": [model.head.name, *model.head.types],
        "schema": {name: list(spec.types) for name, spec in model.schema.items()},
        "classes": np.asarray(model.classes_).tolist(),
        "trees": [_tree_document(tree) for tree in model.trees],
    }


def boosted(told: Mapping[str, Any]) -> Boosted:
    """Return the trees of a document.

    Raises
    ------
    StoreError
        When it is no such document.
    """
    try:
        name, *types = told["head"]
        return Boosted(
            float(told["bias"]),
            [_tree(tree) for tree in told["trees"]],
            Predicate(name, tuple(types)),
            {predicate: Predicate(predicate, tuple(of)) for predicate, of in told["schema"].items()},
            np.array(told["classes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError("the knowledge holds no relational trees; learn it again") from error


def _tree_document(tree: Tree) -> dict[str, Any]:
    if isinstance(tree, Leaf):
        return {"value": tree.value, "rows": tree.rows}
    asks = [_part_document(part) for part in tree.asks]
    return {"asks": asks, "yes": _tree_document(tree.yes), "no": _tree_document(tree.no)}


def _tree(told: Mapping[str, Any]) -> Tree:
    if "value" in told:
        return Leaf(float(told["value"]), float(told["rows"]))
    asks: Conjunction = tuple(_part(part) for part in told["asks"])
    return Node(asks, _tree(told["yes"]), _tree(told["no"]))


def _part_document(part: Condition | Path) -> dict[str, Any]:
    steps = [[step.predicate, step.start, step.end] for step in part.steps]
    if isinstance(part, Path):
        return {"start": part.start, "end": part.end, "steps": steps}
    last = part.last
    return {"variable": part.variable, "steps": steps, "last": [last.predicate, last.position, last.at, last.value]}


def _part(told: Mapping[str, Any]) -> Condition | Path:
    steps = tuple(Step(str(name), int(start), int(end)) for name, start, end in told["steps"])
    if "last" not in told:
        return Path(int(told["start"]), int(told["end"]), steps)
    name, position, at, value = told["last"]
    return Condition(int(told["variable"]), steps, Holds(str(name), int(position), int(at), str(value)))
