"""Neighbour agreement: two entities belong together when their neighbours do, over relations that say the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_matrix, vstack

from headstart.relations.sparse_matching import BLOCK, entries_of, largest_of_rows, mutual_pairs
from headstart.relations.statements import Statements, relation_meetings


def relation_agreement(source: Statements, target: Statements, confidence: csr_matrix) -> np.ndarray:
    """Return how far relations say the same of entities that are paired, from 0 to 1, shape (m_s, m_t).

    The statements in which r and r' meet, by the geometric mean of those of each; one is added to it, so that a single
    meeting proves little.
    """
    pairs = mutual_pairs(confidence)
    partner, sure = np.full(confidence.shape[0], -1), np.zeros(confidence.shape[0])
    partner[pairs[:, 0]] = pairs[:, 1]
    sure[pairs[:, 0]] = entries_of(confidence, pairs)
    met, of_source, of_target = relation_meetings(source, target, partner, sure)
    return np.minimum(met / (np.sqrt(np.outer(of_source, of_target)) + 1), 1).astype(np.float32)


def neighbour_agreement(
    source: Statements,
    target: Statements,
    confidence: csr_matrix,
    agreement: np.ndarray,
    k: int,
    block: int = BLOCK,
) -> csr_matrix:
    r"""Return how far the neighbours of two entities belong together, the k largest of each row, shape (n_s, n_t).

    .. math:: N(x, x') = \frac{1}{\|x\| \|x'\|} \sum_{r(x, y),\, r'(x', y')} w_r w_{r'} \frac{1 + W(r, r')}{2} P(y, y')

    over relations that run the same way, with P the confidence, W the agreement of relations and the length of x the
    root of the sum of its squared weights: the cosine of neighbourhoods, were P a one-to-one pairing.

    Parameters
    ----------
    source, target : Statements
    confidence : CSR matrix of shape (n_s, n_t)
        P; few entries a row.
    agreement : array of shape (m_s, m_t)
        W, of `relation_agreement`.
    k : int
    block : int
        Pairs of statements that are held at once, about.
    """
    ws, wt = source.rarity().astype(np.float32), target.rarity().astype(np.float32)
    lengths = [
        np.sqrt(np.bincount(side.x, w.astype(float) ** 2, minlength=side.n_nodes))
        for side, w in ((source, ws), (target, wt))
    ]
    inverse = [np.divide(1, n, out=np.zeros_like(n), where=n > 0).astype(np.float32) for n in lengths]
    reached = (confidence.astype(np.float32) @ target.ends().T).tocsr()
    parts = []
    # The neighbour y may be met over as many pairs as it, and all that it may be, have statements.
    load = np.diff(reached.indptr)[source.y]
    for first, last in _blocks(source, load, block):
        low, high = np.searchsorted(source.x, [first, last])
        met = reached[source.y[low:high]].tocoo()
        here, there = met.row + low, met.col
        same_way = (source.r[here] < source.n_relations // 2) == (target.r[there] < target.n_relations // 2)
        here, there, p = here[same_way], there[same_way], met.data[same_way]
        p = p * ws[here] * wt[there] * (0.5 + 0.5 * agreement[source.r[here], target.r[there]])
        p *= inverse[0][source.x[here]] * inverse[1][target.x[there]]
        rows = csr_matrix((p, (source.x[here] - first, target.x[there])), shape=(last - first, target.n_nodes))
        parts.append(largest_of_rows(rows, k))
    return vstack(parts).tocsr()


def _blocks(source: Statements, load: np.ndarray, block: int) -> Iterator[tuple[int, int]]:
    """Give ranges of entities whose statements have a load of about `block`, or of one entity."""
    before = np.concatenate([[0], np.cumsum(np.bincount(source.x, load, minlength=source.n_nodes))])
    first = 0
    while first < source.n_nodes:
        last = int(np.searchsorted(before, before[first] + block, side="right")) - 1
        last = min(max(last, first + 1), source.n_nodes)
        yield first, last
        first = last
