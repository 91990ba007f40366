"""Revising relational trees on other data: leaves fitted again, nodes pruned, leaves expanded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headstart.relations.boosting import Boosted, Workbench, scaled
from headstart.relations.literals import evaluate
from headstart.relations.trees import LONGEST, Leaf, Node, Tree, grow, scores

#: What a split must add to the objective, in log-likelihood, to stay when trees are revised.
WORTH = 0.5


def refitted(bench: Workbench, trees: Sequence[Tree], rows: np.ndarray) -> Boosted:
    """Return the trees with leaves fitted to some rows, one tree after the other, each drawn towards what it held."""
    psi = np.full(len(bench.y), bias := bench.bias(rows))
    found = []
    for tree in trees:
        g, h = bench.derivatives(psi)
        found.append(_fitted(bench, tree, g, h, rows))
        psi = psi + scores(found[-1], bench.examples, bench.kept)
    return bench.boosted(bias, found)


def revised(bench: Workbench, trees: Sequence[Tree], rows: np.ndarray) -> Boosted:
    """Return the trees pruned where a split tells nothing in the target, and expanded where another would.

    A tree of which a leaf is left is dropped, and new ones are grown after the last, with any literal of the target,
    until there are as many as the learner has.
    """
    psi = np.full(len(bench.y), bias := bench.bias(rows))
    found: list[Tree] = []
    for tree in trees:
        g, h = bench.derivatives(psi)
        pruned = _pruned(bench, _fitted(bench, tree, g, h, rows), g, h, rows)
        changed = _expanded(bench, pruned, g, h, rows, bench.learner.depth)
        if isinstance(changed, Leaf):
            continue
        found.append(changed)
        psi = psi + scores(changed, bench.examples, bench.kept)
    return bench.boosted(bias, bench.continued(found, psi, rows))


def _fitted(bench: Workbench, tree: Tree, g: np.ndarray, h: np.ndarray, rows: np.ndarray) -> Tree:
    if isinstance(tree, Leaf):
        s, rate = bench.learner.shrinkage, bench.learner.learning_rate
        value = (rate * float(g[rows].sum()) + s * tree.value) / (float(h[rows].sum()) + s + 1e-9)
        return Leaf(min(max(value, -rate * LONGEST), rate * LONGEST), float(bench.weight[rows].sum()))
    holds = evaluate(tree.asks, bench.examples, bench.kept)[rows]
    return replace(
        tree,
        yes=_fitted(bench, tree.yes, g, h, rows[holds]),
        no=_fitted(bench, tree.no, g, h, rows[~holds]),
    )


def _objective(g: np.ndarray, h: np.ndarray, rows: np.ndarray, shrinkage: float) -> float:
    """Return the log-likelihood that a Newton step on the rows adds, by its second-order expansion."""
    return 0.5 * float(g[rows].sum()) ** 2 / (float(h[rows].sum()) + shrinkage + 1e-9)


def _pruned(bench: Workbench, tree: Tree, g: np.ndarray, h: np.ndarray, rows: np.ndarray) -> Tree:
    if isinstance(tree, Leaf):
        return tree
    holds = evaluate(tree.asks, bench.examples, bench.kept)[rows]
    yes, no = rows[holds], rows[~holds]
    tree = replace(tree, yes=_pruned(bench, tree.yes, g, h, yes), no=_pruned(bench, tree.no, g, h, no))
    if not isinstance(tree.yes, Leaf) or not isinstance(tree.no, Leaf):
        return tree
    s = bench.learner.shrinkage
    if _objective(g, h, yes, s) + _objective(g, h, no, s) - _objective(g, h, rows, s) >= WORTH:
        return tree
    held = (tree.yes.value * len(yes) + tree.no.value * len(no)) / max(len(rows), 1)
    return _fitted(bench, Leaf(held), g, h, rows)


def _expanded(bench: Workbench, tree: Tree, g: np.ndarray, h: np.ndarray, rows: np.ndarray, depth: int) -> Tree:
    if isinstance(tree, Node):
        holds = evaluate(tree.asks, bench.examples, bench.kept)[rows]
        return replace(
            tree,
            yes=_expanded(bench, tree.yes, g, h, rows[holds], depth - 1),
            no=_expanded(bench, tree.no, g, h, rows[~holds], depth - 1),
        )
    if depth < 1 or len(rows) < 2 * bench.learner.least:
        return tree
    growth = replace(bench.learner.growth, depth=depth)
    grown = grow(bench.columns, g, h, growth, rows, bench.weight)
    if isinstance(grown, Leaf):
        return tree
    return scaled(grown, bench.learner.learning_rate)
