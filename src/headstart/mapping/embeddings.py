"""Embedding alignment: two tables of word vectors, or of other embeddings, into one space."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from headstart.errors import InputError, listed, unknown_name
from headstart.inputs import checked_rows, rows_of_both
from headstart.mapping.fit_maps import fit_orthogonal
from headstart.mapping.gromov import gromov, within
from headstart.mapping.maps import AffineMap
from headstart.mapping.retrieval import (
    best_matches,
    local_similarity,
    mutual,
    nearest_targets,
    precision_at,
    top,
    unit_rows,
)

#: Share of the similarities that the first rounds of a start look at; it doubles when they stop getting better.
FIRST_KEPT = 0.1
#: Rounds without a better match after which it doubles, what counts as better, and rounds that end it in any case.
PATIENCE = 10
BETTER = 1e-4
MOST_ROUNDS = 500
#: Agreement of the starts below which a fit warns.
ENOUGH = 0.5


@dataclass(frozen=True, eq=False)
class _Round:
    """A map, what it makes mutual neighbors, and how well everything matches under it."""

    map: AffineMap
    pairs: np.ndarray
    criterion: float


class EmbeddingAlignment(BaseEstimator):
    r"""Align two embedding tables by a rotation, from some pairs or from none, and translate by nearest neighbors.

    Rows get length 1, are centred, and get length 1 again. With pairs the rotation is that of Procrustes,

    .. math:: \min_{Q Q^\top = I} \sum_{(i, j)} \|(x_i - m) Q + b - x'_j\|^2

    and then, some rounds, rows that are each other's nearest by CSLS become pairs beside those given, and Procrustes is
    solved again. Without pairs there are several starts on the first rows of both tables: rows are matched that have
    the same sorted profile of similarities to their own table, or by an entropic Gromov-Wasserstein coupling. Each
    start learns on from its own matches, at first looking only at a random part of the similarities, so that it leaves
    poor optima, then at more and more. Of the starts, and of the rounds after, the one is kept under which rows match
    best: the mean CSLS of every row's best match, in both directions.

    **Order matters**: tables list frequent words first, as files of word vectors do. Their first rows are known best,
    and for most of them the other table has a partner among its own first rows.

    Parameters
    ----------
    center : bool, default True
        Subtract the mean of the rows.
    n_refinements : int, default 5
        Rounds after the first map.
    n_frequent : int, default 10000
        First rows of both tables that become pairs, and whose matches say which round is best.
    n_neighbors : int, default 10
        Neighbors of the local scaling in CSLS.
    starts : sequence of {"profiles", "gromov"}, default ("profiles", "profiles", "gromov")
        Starts when there are no pairs. Those of one kind differ in what chance looks at.
    n_start : int, default 1000
        First rows of both tables that the starts look at.
    random_state : int, default 0

    Attributes
    ----------
    map_ : AffineMap
        The rotation with a shift, from prepared source rows to prepared target rows.
    means_ : tuple of arrays of shape (d_s,) and (d_t,)
        What is subtracted from rows of length 1.
    pairs_ : int array of shape (p, 2)
        The pairs given, and the mutual neighbors among the first rows under the map.
    criterion_ : array of shape (at most n_refinements + 1,)
        Mean CSLS of the best matches, round by round; the map is that of the largest.
        Rounds end when no pairs are found.
    start_criterion_ : array of shape (number of starts,), or None with pairs
    confidence_ : float, or None
        Agreement of the starts: the share of first rows whose nearest target is the same under the best start and
        under another, the mean over the others. None with pairs, or with one start.
    targets_ : array of shape (n_t, d_t)
        The prepared target rows.
    target_density_ : array of shape (n_t,)
        How near each target is to the mapped first source rows.

    References
    ----------
    Schoenemann: A Generalized Solution of the Orthogonal Procrustes Problem. Psychometrika 1966.
    Conneau, Lample, Ranzato, Denoyer, Jegou: Word Translation Without Parallel Data. ICLR 2018.
    Artetxe, Labaka, Agirre: A robust self-learning method for fully unsupervised cross-lingual mappings of word
    embeddings. ACL 2018.
    Alvarez-Melis, Jaakkola: Gromov-Wasserstein Alignment of Word Embedding Spaces. EMNLP 2018.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Es = rng.normal(size=(300, 10))
    >>> Et = Es @ np.linalg.qr(rng.normal(size=(10, 10)))[0]
    >>> aligned = EmbeddingAlignment().fit(Es, Et, pairs=[[i, i] for i in range(20)])
    >>> aligned.translate(Es[40:44]).ravel()
    array([40, 41, 42, 43])
    """

    def __init__(
        self,
        center: bool = True,
        n_refinements: int = 5,
        n_frequent: int = 10_000,
        n_neighbors: int = 10,
        starts: Any = ("profiles", "profiles", "gromov"),
        n_start: int = 1000,
        random_state: int | None = 0,
    ) -> None:
        self.center = center
        self.n_refinements = n_refinements
        self.n_frequent = n_frequent
        self.n_neighbors = n_neighbors
        self.starts = starts
        self.n_start = n_start
        self.random_state = random_state

    def fit(self, Es: Any, Et: Any, pairs: Any = None) -> Self:
        """Learn the map.

        Parameters
        ----------
        Es, Et : arrays of shape (n_s, d_s) and (n_t, d_t)
            Frequent words first; the source has no more columns than the target.
        pairs : int array of shape (p, 2), optional
            Positions of source rows and of target rows that mean the same. A row may stand in several.

        Raises
        ------
        InputError
            When rows, pairs or settings do not suit.

        Warns
        -----
        UserWarning
            When the starts disagree.
        """
        self._check_settings()
        Es, Et = rows_of_both(Es, Et, "EmbeddingAlignment", dense=True, same_columns=False)
        if Es.shape[1] > Et.shape[1]:
            raise InputError(
                f"EmbeddingAlignment: a rotation does not lead from {Es.shape[1]} columns to {Et.shape[1]}; "
                "exchange source and target"
            )
        given = np.empty((0, 2), dtype=int) if pairs is None else _positions(pairs, len(Es), len(Et))
        self.means_ = _mean(Es, self.center), _mean(Et, self.center)
        Xs, self.targets_ = _prepared(Es, self.means_[0]), _prepared(Et, self.means_[1])
        frequent = Xs[: self.n_frequent], self.targets_[: self.n_frequent]
        self.start_criterion_: np.ndarray | None = None
        self.confidence_: float | None = None
        first = self._started(*frequent) if pairs is None else _procrustes(Xs, self.targets_, given)
        rounds = [self._judged(first, *frequent, given)]
        for _ in range(self.n_refinements):
            if not len(rounds[-1].pairs):
                break
            rounds.append(self._judged(_procrustes(Xs, self.targets_, rounds[-1].pairs), *frequent, given))
        self.criterion_ = np.array([one.criterion for one in rounds])
        best = rounds[int(self.criterion_.argmax())]
        self.map_, self.pairs_ = best.map, best.pairs
        self.target_density_ = local_similarity(self.targets_, self.map_.transform(frequent[0]), self.n_neighbors)
        return self

    def transform(self, E: Any) -> np.ndarray:
        """Return source rows, new ones too, among the prepared target rows, shape (n, d_t)."""
        check_is_fitted(self, "map_")
        E = checked_rows(E, "EmbeddingAlignment", dense=True)
        columns = len(self.means_[0])
        if E.shape[1] != columns:
            raise InputError(f"EmbeddingAlignment: rows have {E.shape[1]} columns; it was fitted on {columns}")
        return self.map_.transform(_prepared(E, self.means_[0].astype(E.dtype))).astype(E.dtype, copy=False)

    def translate(self, E: Any, k: int = 1, method: str = "csls") -> np.ndarray:
        """Return the positions of the k nearest targets of each source row, shape (n, k), best first.

        Parameters
        ----------
        E : array of shape (n, d_s)
        k : int
        method : {"csls", "cosine"}
        """
        mapped = self.transform(E)
        # An answer does not depend on which other rows are asked for: the targets' densities are those of the fit.
        density = self.target_density_
        return nearest_targets(mapped, self.targets_, k, method, self.n_neighbors, target_density=density)[0]

    def precision(self, E: Any, pairs: Any, k: Any = (1, 5, 10), method: str = "csls") -> dict[int, float]:
        """Return the share of words of a dictionary with a right translation among the first k, for each k.

        Parameters
        ----------
        E : array of shape (n, d_s)
            The source table.
        pairs : int array of shape (p, 2)
            Positions of words of the source and of right targets; a word may have several, and counts once.
        k : sequence of int
        method : {"csls", "cosine"}
        """
        check_is_fitted(self, "map_")
        E = checked_rows(E, "EmbeddingAlignment", dense=True)
        pairs = _positions(pairs, len(E), len(self.targets_))
        words, of_pair = np.unique(pairs[:, 0], return_inverse=True)
        right: list[set[int]] = [set() for _ in words]
        for query, target in zip(of_pair, pairs[:, 1].tolist(), strict=True):
            right[query].add(target)
        return precision_at(self.translate(E[words], max(k), method), right, k)

    def score(self, E: Any, pairs: Any) -> float:
        """Return the share of words of a dictionary whose first translation by CSLS is right."""
        return self.precision(E, pairs, k=(1,))[1]

    def _check_settings(self) -> None:
        for name, least in (("n_refinements", 0), ("n_frequent", 1), ("n_neighbors", 1), ("n_start", 2)):
            if getattr(self, name) < least:
                raise InputError(f"EmbeddingAlignment: {name} must be {least} or more, not {getattr(self, name)}")
        if isinstance(self.starts, str) or not len(self.starts):
            raise InputError(f"EmbeddingAlignment: starts must be a sequence of {listed(STARTS)}, not {self.starts!r}")
        for start in self.starts:
            if start not in STARTS:
                raise InputError(unknown_name("start", start, STARTS))

    def _judged(self, f: AffineMap, Xs: np.ndarray, Xt: np.ndarray, given: np.ndarray) -> _Round:
        to_t, to_s, scores = best_matches(f.transform(Xs), Xt, self.n_neighbors)
        found = mutual(to_t, to_s)
        new = ~np.isin(found[:, 0], given[:, 0]) & ~np.isin(found[:, 1], given[:, 1])
        return _Round(f, np.vstack([given, found[new]]), float(scores.mean(dtype=float)))

    def _started(self, Xs: np.ndarray, Xt: np.ndarray) -> AffineMap:
        """Return the map of the best start; tell how far the starts agree."""
        n = min(len(Xs), len(Xt), self.n_start)
        Xs, Xt = Xs[:n], Xt[:n]
        streams = np.random.default_rng(self.random_state).spawn(len(self.starts))
        # What a kind of start matches is the same each time: only what follows is up to chance.
        first = {kind: STARTS[kind](Xs, Xt) for kind in dict.fromkeys(self.starts)}
        learned = [
            _self_learned(Xs, Xt, first[kind], self.n_neighbors, rng)
            for kind, rng in zip(self.starts, streams, strict=True)
        ]
        maps, criterion = [f for f, _ in learned], np.array([matched for _, matched in learned])
        best = int(criterion.argmax())
        self.start_criterion_ = criterion
        nearest = [best_matches(f.transform(Xs), Xt, self.n_neighbors)[0] for f in maps]
        same = [float(np.mean(nearest[best] == other)) for i, other in enumerate(nearest) if i != best]
        self.confidence_ = float(np.mean(same)) if same else None
        if self.confidence_ is not None and self.confidence_ < ENOUGH:
            warnings.warn(
                f"EmbeddingAlignment: the starts agree on {self.confidence_:.0%} of the first {n} rows only; "
                "the map may be wrong: give some pairs, or raise n_start",
                stacklevel=3,
            )
        return maps[best]


def _positions(pairs: Any, n_s: int, n_t: int) -> np.ndarray:
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu" or not len(pairs):
        raise InputError(f"pairs must be whole numbers of shape (p, 2), not {pairs.dtype} {pairs.shape}")
    if pairs.min() < 0 or (pairs.max(axis=0) >= (n_s, n_t)).any():
        raise InputError(f"pairs name rows beyond the {n_s} source rows or {n_t} target rows")
    return pairs


def _mean(E: np.ndarray, center: bool) -> np.ndarray:
    mean = unit_rows(E).mean(axis=0, dtype=float) if center else np.zeros(E.shape[1])
    return np.asarray(mean.astype(E.dtype))


def _prepared(E: np.ndarray, mean: np.ndarray) -> np.ndarray:
    X = unit_rows(E)
    X -= mean
    # A row at the mean has no direction: what is left of it is rounding.
    X[np.abs(X).max(axis=1) <= 8 * np.finfo(X.dtype).eps] = 0.0
    return unit_rows(X)


def _procrustes(Xs: np.ndarray, Xt: np.ndarray, pairs: np.ndarray) -> AffineMap:
    f = fit_orthogonal(Xs[pairs[:, 0]].astype(float), Xt[pairs[:, 1]].astype(float))
    return AffineMap(*(part.astype(Xs.dtype) for part in (f.center, f.A, f.shift)))


def _by_profiles(Xs: np.ndarray, Xt: np.ndarray) -> np.ndarray:
    """Return matches of rows with like sorted profiles of similarities within their tables, shape (p, 2).

    The similarities are those of the root of the Gram matrix, whose differences large values rule less.
    """
    profiles = []
    for X in (Xs, Xt):
        U, S, _ = np.linalg.svd(X.astype(float), full_matrices=False)
        M = (U * S) @ U.T
        M.sort(axis=1)
        M = unit_rows(M)
        profiles.append(unit_rows(M - M.mean(axis=0)))
    to_t, to_s, _ = best_matches(profiles[0], profiles[1])
    return _both_ways(to_t, to_s)


def _by_gromov(Xs: np.ndarray, Xt: np.ndarray) -> np.ndarray:
    """Return matches of rows by the entropic Gromov-Wasserstein coupling of their distances, shape (p, 2)."""
    P = gromov(within(Xs.astype(float)), within(Xt.astype(float))).coupling
    return _both_ways(P.argmax(axis=1), P.argmax(axis=0))


def _both_ways(to_t: np.ndarray, to_s: np.ndarray) -> np.ndarray:
    """Return the matches of both directions, shape (n_s + n_t, 2); what is mutual stands twice and counts twice."""
    forward = np.column_stack([np.arange(len(to_t)), to_t])
    return np.vstack([forward, np.column_stack([to_s, np.arange(len(to_s))])])


def _self_learned(
    Xs: np.ndarray, Xt: np.ndarray, pairs: np.ndarray, n_neighbors: int, rng: np.random.Generator
) -> tuple[AffineMap, float]:
    """Return the best of the maps that matches and Procrustes lead to by turns, and its mean CSLS.

    A match is looked for among a random part of the pairs of rows. The part grows from `FIRST_KEPT` to all.
    """
    best, best_map = -np.inf, _procrustes(Xs, Xt, pairs)
    f, kept, still, beaten = best_map, FIRST_KEPT, 0, -np.inf
    for _ in range(MOST_ROUNDS):
        S = _csls(f.transform(Xs), Xt, n_neighbors)
        value = float(S.max(axis=1).mean(dtype=float) + S.max(axis=0).mean(dtype=float)) / 2
        if value > best:
            best, best_map = value, f
        still += 1
        if value > beaten + BETTER:
            still, beaten = 0, value
        if still >= PATIENCE:
            if kept >= 1:
                break
            kept, still = min(1.0, 2 * kept), 0
        if kept < 1:
            S[rng.random(S.shape, dtype=np.float32) >= kept] = -np.inf
        f = _procrustes(Xs, Xt, _both_ways(S.argmax(axis=1), S.argmax(axis=0)))
    return best_map, best


def _csls(A: np.ndarray, B: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Return the CSLS of all rows, shape (n, m): for the few first rows, whose matrix is changed after."""
    A, B = unit_rows(A), unit_rows(B)
    S = A @ B.T
    k = min(n_neighbors, *S.shape)
    r_A, r_B = top(S, k).mean(axis=1), top(np.ascontiguousarray(S.T), k).mean(axis=1)
    S *= 2
    S -= r_A[:, None]
    S -= r_B
    return S


#: Kinds of start, and what they match rows by.
STARTS = {"profiles": _by_profiles, "gromov": _by_gromov}
