"""Relational regression trees: inner nodes ask a conjunction of literals, leaves hold a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.relations.examples import Examples
from headstart.relations.facts import Predicate
from headstart.relations.literals import VARIABLES, Conjunction, evaluate, written

#: Log-odds of a Newton step, at most: where a class is rare, second derivatives are small and steps overshoot.
LONGEST = 4.0
#: Decimals to which the worth of splits is compared: what differs by rounding alone is a tie, and the shortest wins.
DIGITS = 8
#: Columns that are numbers at once.
BLOCK = 256


@dataclass(frozen=True)
class Leaf:
    """A leaf: what is added to the score of the examples that arrive, and how many they were."""

    value: float
    rows: float = 0.0


@dataclass(frozen=True)
class Node:
    """An inner node: whether the conjunction holds, and where it goes on if so and if not."""

    asks: Conjunction
    yes: Node | Leaf
    no: Node | Leaf

    @property
    def rows(self) -> float:
        """How many examples arrived when it was grown."""
        return self.yes.rows + self.no.rows


Tree = Node | Leaf


def scores(tree: Tree, examples: Examples, kept: dict[Any, np.ndarray] | None = None) -> np.ndarray:
    """Return the value of the leaf at which each example arrives, shape (n,)."""
    if isinstance(tree, Leaf):
        return np.full(len(examples), tree.value)
    holds = evaluate(tree.asks, examples, kept)
    return np.where(holds, scores(tree.yes, examples, kept), scores(tree.no, examples, kept))


def nodes(tree: Tree) -> Iterator[Node]:
    """Yield the inner nodes, each before those below it."""
    if isinstance(tree, Node):
        yield tree
        yield from nodes(tree.yes)
        yield from nodes(tree.no)


def clauses(tree: Tree, head: Predicate, schema: Mapping[str, Predicate]) -> list[str]:
    """Return the tree as clauses, one a leaf; what an example must not fulfil stands behind "not"."""
    arguments = ", ".join(VARIABLES[: head.arity])
    found = []

    def walk(at: Tree, said: list[str]) -> None:
        if isinstance(at, Leaf):
            found.append(f"{at.value:+.3f}  {head.name}({arguments}) :- {', '.join(said) or 'true'}.")
            return
        body = written(at.asks, schema, head.arity)
        walk(at.yes, [*said, body])
        walk(at.no, [*said, f"not({body})"])

    walk(tree, [])
    return found


@dataclass(frozen=True)
class Growth:
    """How far a tree grows.

    Parameters
    ----------
    depth : int
        Nodes on a way from the root, at most.
    leaves : int
        At most.
    least : float
        Rows of a leaf, at least.
    shrinkage : float
        Added to the second derivatives in a leaf: its value is that of a Newton step, drawn towards zero.
    """

    depth: int = 3
    leaves: int = 8
    least: float = 3.0
    shrinkage: float = 1.0


@dataclass(frozen=True, eq=False)
class Columns:
    """What all candidate conjunctions say of the examples: column j of `holds` belongs to `asks[j]`."""

    asks: Sequence[Conjunction]
    holds: np.ndarray
    prior: np.ndarray

    @classmethod
    def of(
        cls,
        asks: Sequence[Conjunction],
        examples: Examples,
        kept: dict[Any, np.ndarray],
        prior: Sequence[float] | None = None,
    ) -> Columns:
        """Evaluate conjunctions; of those that say the same of all examples the first is kept, constants none."""
        weights = np.ones(len(asks)) if prior is None else np.asarray(prior, dtype=float)
        seen: dict[bytes, int] = {}
        columns: list[np.ndarray] = []
        where: list[int] = []
        for position, each in enumerate(asks):
            column = evaluate(each, examples, kept)
            if not column.any() or column.all():
                continue
            key = np.packbits(column).tobytes()
            if key in seen:
                at = seen[key]
                if weights[position] > weights[where[at]]:
                    where[at] = position
                continue
            seen[key] = len(columns)
            columns.append(column)
            where.append(position)
        holds = np.stack(columns, axis=1) if columns else np.zeros((len(examples), 0), dtype=bool)
        return cls([asks[i] for i in where], holds, weights[where])


def leaf(g: np.ndarray, h: np.ndarray, growth: Growth, weight: np.ndarray) -> Leaf:
    """Return the leaf of a Newton step, no longer than `LONGEST`."""
    step = float(g.sum() / (h.sum() + growth.shrinkage + 1e-9))
    return Leaf(min(max(step, -LONGEST), LONGEST), float(weight.sum()))


def grow(
    columns: Columns,
    g: np.ndarray,
    h: np.ndarray,
    growth: Growth,
    rows: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Tree:
    r"""Grow a tree, best leaf first.

    A split is worth :math:`\frac{G_1^2}{H_1 + s} + \frac{G_0^2}{H_0 + s} - \frac{G^2}{H + s}` with sums of first and
    second derivatives on both sides, times the prior of the conjunction. A row counts as much as its `weight`, which
    the derivatives already hold.
    """
    root = np.arange(len(g)) if rows is None else rows
    w = np.ones(len(g)) if weight is None else weight
    open_leaves: list[tuple[float, int, tuple[str, ...], np.ndarray, int]] = []
    splits: dict[tuple[str, ...], int] = {}

    def offer(way: tuple[str, ...], at: np.ndarray) -> None:
        if len(way) < growth.depth and w[at].sum() >= 2 * growth.least and columns.holds.shape[1]:
            gain, j = _best_split(columns, np.stack([g, h, w])[:, at], at, growth)
            if gain > 1e-9:
                open_leaves.append((gain, -len(open_leaves), way, at, j))

    offer((), root)
    arrived: dict[tuple[str, ...], np.ndarray] = {(): root}
    while open_leaves and len(splits) + 1 < growth.leaves:
        best = max(open_leaves, key=lambda each: (round(each[0], DIGITS), each[1]))
        open_leaves.remove(best)
        _, _, way, at, j = best
        splits[way] = j
        holds = columns.holds[at, j]
        for answer, part in (("yes", at[holds]), ("no", at[~holds])):
            arrived[(*way, answer)] = part
            offer((*way, answer), part)

    def built(way: tuple[str, ...]) -> Tree:
        if way not in splits:
            at = arrived[way]
            return leaf(g[at], h[at], growth, w[at])
        return Node(columns.asks[splits[way]], built((*way, "yes")), built((*way, "no")))

    return built(())


def _best_split(columns: Columns, told: np.ndarray, at: np.ndarray, growth: Growth) -> tuple[float, int]:
    """Return the worth of the best split of some rows, and its column; `told` are their g, h and weights."""
    # Double precision, so that splits of equal worth come out equal; bits become numbers a block of columns at a time.
    holds = columns.holds[at]
    blocks = [told @ holds[:, first : first + BLOCK].astype(float) for first in range(0, holds.shape[1], BLOCK)]
    G1, H1, n1 = np.concatenate(blocks, axis=1)
    (G, H, n), s = told.sum(axis=1), growth.shrinkage + 1e-9
    G0, H0, n0 = G - G1, np.maximum(H - H1, 0), n - n1
    gain = (G1**2 / (H1 + s) + G0**2 / (H0 + s) - G**2 / (H + s)) * columns.prior
    gain[np.minimum(n1, n0) < growth.least - 1e-9] = -np.inf
    j = int(np.argmax(np.round(gain, DIGITS)))
    return float(gain[j]), j
