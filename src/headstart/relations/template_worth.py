"""What each form of conjunction told boosted trees: the scores of templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from headstart.relations.boosting import RelationalBoosting, Workbench
from headstart.relations.examples import Examples
from headstart.relations.facts import Predicate
from headstart.relations.literals import Conjunction, evaluate
from headstart.relations.templates import Template
from headstart.relations.trees import Growth, Node, Tree, scores


def split_worth(
    asks: Sequence[Conjunction], examples: Examples, holds: np.ndarray, learner: RelationalBoosting
) -> np.ndarray:
    """Return what splits by each conjunction are worth at the inner nodes of boosted trees, a row, shape (m,).

    It is nan where a conjunction leaves too few of all examples on one side.
    """
    bench = Workbench.of(examples, holds, learner)
    distinct: dict[bytes, int] = {}
    columns: list[np.ndarray] = []
    where = np.empty(len(asks), dtype=int)
    for j, each in enumerate(asks):
        column = evaluate(each, examples, bench.kept)
        where[j] = distinct.setdefault(np.packbits(column).tobytes(), len(columns))
        if where[j] == len(columns):
            columns.append(column)
    said = np.stack(columns, axis=1).astype(np.float32)
    worth = np.zeros(len(columns))
    psi = np.full(len(examples), bench.bias())
    for tree in bench.from_scratch().trees:
        g, h = bench.derivatives(psi)
        for rows in _asked(tree, bench, bench.rows):
            worth += gains(said[rows], g[rows], h[rows], learner.growth)
        psi = psi + scores(tree, examples, bench.kept)
    n1 = said.sum(axis=0)
    worth[(n1 < max(learner.least, 1)) | (len(examples) - n1 < max(learner.least, 1))] = np.nan
    return worth[where] / len(examples)


def gains(said: np.ndarray, g: np.ndarray, h: np.ndarray, growth: Growth) -> np.ndarray:
    """Return what a split by each column is worth, 0 where it leaves too few on one side.

    Parameters
    ----------
    said : array of shape (n, m)
        Ones where a conjunction holds.
    g, h : array of shape (n,)
        First and second derivatives.
    growth : Growth
    """
    n1, s = said.sum(axis=0), growth.shrinkage + 1e-9
    G1, H1 = g.astype(said.dtype) @ said, h.astype(said.dtype) @ said
    G, H = float(g.sum()), float(h.sum())
    found = G1**2 / (H1 + s) + (G - G1) ** 2 / (np.maximum(H - H1, 0) + s) - G**2 / (H + s)
    found[(n1 < growth.least) | (len(g) - n1 < growth.least)] = 0
    return np.maximum(found, 0)


def _asked(tree: Tree, bench: Workbench, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows that arrive at each inner node."""
    if isinstance(tree, Node):
        yield rows
        holds = evaluate(tree.asks, bench.examples, bench.kept)[rows]
        yield from _asked(tree.yes, bench, rows[holds])
        yield from _asked(tree.no, bench, rows[~holds])


def template_scores(
    worth: Mapping[Conjunction, float], schema: Mapping[str, Predicate], head: Predicate, best: int = 3
) -> dict[str, float]:
    """Return the score of each template, by key: the mean of the best of its conjunctions, the highest first."""
    of: dict[str, list[float]] = {}
    for asks, score in worth.items():
        of.setdefault(Template.of(asks, schema, head).key, []).append(score)
    found = {key: float(np.mean(sorted(of_it)[-best:])) for key, of_it in of.items()}
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))
