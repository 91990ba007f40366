"""PARIS: entities, and relations, aligned by the literals that they share; nothing is trained, no pair is needed."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from headstart.relations.sparse_matching import entries_of, mutual_pairs
from headstart.relations.statements import Statements, relation_meetings
from headstart.relations.triples import KnowledgeGraph

#: Below which a probability is not kept.
LEAST = 1e-3


def paris(
    source: KnowledgeGraph,
    target: KnowledgeGraph,
    n_rounds: int = 8,
    start: float = 0.1,
    most_shared: int = 10_000,
) -> csr_matrix:
    r"""Return the probability that two entities are the same, shape (n_s, n_t), sparse.

    .. math:: P(x = x') = 1 - \prod_{r(x,y),\, r'(x',y')}
        \left(1 - P(r' \subseteq r)\, f^{-1}(r)\, P(y = y')\right)
        \left(1 - P(r \subseteq r')\, f^{-1}(r')\, P(y = y')\right)

    with f^-1(r) = #y / #(x, y), the inverse functionality. Relations and attributes count both ways. Two values are the
    same when their texts are, but for case and outer blanks. Of each round's pairs the next one believes those that are
    each other's likeliest, and of them it counts

    .. math:: P(r \subseteq r') =
        \frac{\sum_{r(x,y),\, r'(x',y')} P(x = x') P(y = y')}{\sum_{r(x,y)} P(x = x') P(y = y')}

    Parameters
    ----------
    source, target : KnowledgeGraph
    n_rounds : int
        Rounds; fewer are run when the pairs come to rest.
    start : float
        P(r in r') of the first round, for all r and r', and of relations that no pair tells of.
    most_shared : int
        A value, or a pair of entities, that brings more pairs of statements than that says nothing and is left out:
        "male" would else compare everyone with everyone.

    References
    ----------
    Suchanek, Abiteboul, Senellart. PARIS: probabilistic alignment of relations, instances, and schema. PVLDB 5 (3),
    2011.

    Examples
    --------
    >>> here = KnowledgeGraph.of([], [("a", "born", "1815"), ("b", "born", "1912")])
    >>> there = KnowledgeGraph.of([], [("A", "year", "1815"), ("B", "year", "1912")])
    >>> paris(here, there).toarray().round(2)
    array([[1., 0.],
           [0., 1.]])
    """
    (here, there), same_value = _with_values(source, target)
    n_s, n_t = len(source), len(target)
    in_source = np.full((here.n_relations, there.n_relations), start)
    in_target = in_source.copy()
    functional = here.inverse_functionality(), there.inverse_functionality()
    load = np.bincount(here.y, minlength=here.n_nodes), np.bincount(there.y, minlength=there.n_nodes)
    told = here.ends(), there.ends()
    probability = csr_matrix((n_s, n_t))
    previous: np.ndarray | None = None
    for _ in range(n_rounds):
        pairs = mutual_pairs(probability)
        sure = entries_of(probability, pairs)
        y = np.concatenate([pairs, same_value])
        p = np.concatenate([sure, np.ones(len(same_value))])
        if previous is not None and len(previous):
            partner, confidence = np.full(here.n_nodes, -1), np.zeros(here.n_nodes)
            partner[y[:, 0]], confidence[y[:, 0]] = y[:, 1], p
            met, of_source, of_target = relation_meetings(here, there, partner, confidence)
            in_target = _share(met, of_source[:, None], start)
            in_source = _share(met, of_target[None, :], start)
        kept = load[0][y[:, 0]] * load[1][y[:, 1]] <= most_shared
        same = csr_matrix((p[kept], (y[kept, 0], y[kept, 1])), shape=(here.n_nodes, there.n_nodes))
        met_ends = (told[0] @ same @ told[1].T).tocoo()
        a, b, p = met_ends.row, met_ends.col, met_ends.data
        between = (here.x[a] < n_s) & (there.x[b] < n_t)
        a, b, p = a[between], b[between], p[between]
        r, r_ = here.r[a], there.r[b]
        certain = 1 - 1e-12
        doubt = np.log1p(-np.minimum(in_source[r, r_] * functional[0][r] * p, certain))
        doubt += np.log1p(-np.minimum(in_target[r, r_] * functional[1][r_] * p, certain))
        unlike = csr_matrix((doubt, (here.x[a], there.x[b])), shape=(n_s, n_t))
        probability = csr_matrix((-np.expm1(unlike.data), unlike.indices, unlike.indptr), shape=unlike.shape)
        probability.data[probability.data < LEAST] = 0
        probability.eliminate_zeros()
        before, previous = previous, mutual_pairs(probability)
        if before is not None and np.array_equal(before, previous) and np.array_equal(pairs, previous):
            now = entries_of(probability, previous)
            if np.abs(now - sure).max(initial=0) < LEAST:
                break
    return probability


def _share(met: np.ndarray, of_all: np.ndarray, start: float) -> np.ndarray:
    """Return met / of_all; `start` where a relation has no pair to tell of."""
    return np.divide(met, of_all, out=np.full(met.shape, start), where=np.broadcast_to(of_all > 0, met.shape))


def _with_values(source: KnowledgeGraph, target: KnowledgeGraph) -> tuple[tuple[Statements, Statements], np.ndarray]:
    """Return statements on entities and values, values after the entities, and the pairs of equal values."""
    texts = [_distinct(graph) for graph in (source, target)]
    found = []
    for graph, (place, distinct) in zip((source, target), texts, strict=True):
        literals = graph.literals
        n, m = len(graph), len(graph.relations)
        rows = np.stack([literals[:, 0], literals[:, 1] + m, place[literals[:, 2]] + n], axis=1)
        triples = np.unique(np.concatenate([graph.triples, rows]), axis=0)
        found.append(Statements.of(triples, n + len(distinct), m + len(graph.attributes)))
    at = {text: place for place, text in enumerate(texts[1][1])}
    pairs = [(i + len(source), at[text] + len(target)) for i, text in enumerate(texts[0][1]) if text in at]
    return (found[0], found[1]), np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _distinct(graph: KnowledgeGraph) -> tuple[np.ndarray, list[str]]:
    """Return the place of each value among the texts that differ, and these."""
    places: dict[str, int] = {}
    place = [places.setdefault(value.strip().casefold(), len(places)) for value in graph.values]
    return np.array(place, dtype=np.int64), list(places)
