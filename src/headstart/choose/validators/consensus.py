"""A consensus of validators: each kind has one say, by the ranks it gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata


def consensus(scores: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    r"""Return each candidate's mean rank, scaled to 0 (worst of all for every kind) to 1 (best for every kind).

    .. math:: \frac{1}{|K|} \sum_{\kappa \in K} \frac{1}{|\kappa|} \sum_{v \in \kappa} \frac{r_v - 1}{m - 1}

    with r the rank among the m candidates, 1 for the worst, and the mean rank for equals: Borda's count, where
    validators of one kind share one vote, since they err together. A validator that can't score every candidate has
    no vote. Ranks, because the scores of different validators have no scale in common.

    Parameters
    ----------
    scores : array of shape (m, v)
        Larger is better; NaN where there is no score.
    kinds : sequence of str
        The kind of each validator.

    Returns
    -------
    shares : array of shape (m,); all 0.5 where nobody has a vote.

    References
    ----------
    de Borda: Memoire sur les elections au scrutin. 1781. Dwork, Kumar, Naor, Sivakumar: Rank Aggregation Methods for
    the Web. WWW 2001.

    Examples
    --------
    Two validators of one kind are for the first candidate, one of another kind for the second: one vote each.

    >>> consensus(np.array([[2.0, 9.0, 0.0], [1.0, 8.0, 1.0]]), ["source", "source", "clusters"])
    array([0.5, 0.5])
    """
    by_kind = ranks_by_kind(scores, kinds)
    if not len(by_kind):
        return np.full(len(scores), 0.5)
    return np.asarray(np.mean(list(by_kind.values()), axis=0))


def ranks_by_kind(scores: np.ndarray, kinds: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the mean scaled rank of each candidate by kind, for the kinds that have a vote.

    >>> ranks_by_kind(np.array([[2.0, np.nan], [1.0, 8.0], [0.0, 1.0]]), ["source", "clusters"])
    {'source': array([1. , 0.5, 0. ])}
    """
    voting = np.isfinite(scores).all(axis=0)
    ranks = [(rankdata(column) - 1) / max(len(column) - 1, 1) for column in scores.T[voting]]
    of = np.asarray(kinds)[voting]
    return {
        str(kind): np.mean([rank for rank, name in zip(ranks, of, strict=True) if name == kind], axis=0)
        for kind in dict.fromkeys(of.tolist())
    }
