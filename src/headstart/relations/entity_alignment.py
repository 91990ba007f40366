"""Entity alignment: which entities of two graphs are the same, from their relations, with few known pairs or none."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from headstart.errors import InputError, unknown_name
from headstart.mapping.coupling import Coupling
from headstart.relations.carry_over import Carried, carry_over
from headstart.relations.paris import paris
from headstart.relations.sparse_matching import (
    assigned_pairs,
    confidences,
    entries_of,
    greedy_pairs,
    largest_of_rows,
    mutual_pairs,
    outside,
    with_pairs,
)
from headstart.relations.structure import LEAST_VOTE, match_structure
from headstart.relations.triples import KnowledgeGraph
from headstart.relations.true_pairs import Retrieved, entity_pairs, retrieved

METHODS = ("auto", "structure", "literals", "both")
PAIRINGS = {"mutual": mutual_pairs, "greedy": greedy_pairs, "assigned": assigned_pairs}
#: The probability from which a pair found by literals is a seed of the structure.
SURE = 0.9


class EntityAlignment(BaseEstimator):
    """Find the entities of two knowledge graphs that are the same.

    "structure" needs some known pairs, the seeds. Each gets a random label of unit length. Labels go from entity to
    entity, to relations and back; what an entity sees in each round, side by side, describes it. Similar entities are
    matched by Sinkhorn's scaling, and the match is refined: entities whose likely neighbours belong together, over
    relations that say the same of the pairs so far, belong together. "literals" needs no pairs but literals that the
    graphs share, see `headstart.relations.paris.paris`. "both" takes the sure pairs of the literals as seeds.

    Parameters
    ----------
    method : {"auto", "structure", "literals", "both"}
        "auto": structure with pairs, literals without.
    n_dims : int
        Columns of the labels.
    n_rounds : int
        Rounds of the labels.
    n_candidates : int
        Target entities that stay in question for each source entity; k of the top-k.
    temperature : float
        Of the scaling; cosines that differ by less are hardly told apart.
    n_scalings : int
        Iterations of the scaling.
    n_refinements : int
        How often neighbours vote.
    neighbour_weight : float
        What the neighbours' votes count, from 0 to 1, beside the labels.
    n_reseedings : int
        How often all is done again with the mutually nearest pairs as seeds too.
    n_paris : int
        Rounds of the literals.
    one_to_one : {"mutual", "greedy", "assigned"}
        How `pairs_` are taken from the candidates: each other's best; the surest first; or the largest sum.
    random_state : int or None

    Attributes
    ----------
    pairs_ : DataFrame
        source, target, confidence: names, in the order of the source's entities. Seeds have confidence 1, also those
        that literals gave.
    confidence_ : CSR matrix of shape (n_s, n_t)
        Of each candidate: the smaller of its shares in its row and in its column of the match.
    coupling_ : Coupling
        The match as a measure on pairs, of mass 1.
    method_ : str
        What was done.
    seeds_ : int array of shape (p, 2)
        Positions of the pairs that were given, or taken from literals.

    Raises
    ------
    InputError
        When pairs or literals are missing, or a parameter is out of range.

    References
    ----------
    Mao, Wang, Xu, Lan, Wu: LightEA: a scalable, robust, and interpretable entity alignment framework via three-view
    label propagation. EMNLP 2022. Suchanek, Abiteboul, Senellart: PARIS. PVLDB 5 (3), 2011.

    Examples
    --------
    >>> here = KnowledgeGraph.of([("Rom", "liegt in", "Italien"), ("Paris", "liegt in", "Frankreich")])
    >>> there = KnowledgeGraph.of([("Rome", "in", "Italy"), ("Paris", "in", "France")])
    >>> alignment = EntityAlignment().fit(here, there, pairs=[("Rom", "Rome"), ("Paris", "Paris")])
    >>> alignment.pairs_
          source  target  confidence
    0        Rom    Rome         1.0
    1    Italien   Italy         1.0
    2      Paris   Paris         1.0
    3  Frankreich  France        1.0
    """

    def __init__(
        self,
        method: str = "auto",
        *,
        n_dims: int = 512,
        n_rounds: int = 3,
        n_candidates: int = 100,
        temperature: float = 0.02,
        n_scalings: int = 10,
        n_refinements: int = 5,
        neighbour_weight: float = 0.85,
        n_reseedings: int = 0,
        n_paris: int = 8,
        one_to_one: str = "mutual",
        random_state: int | None = 0,
    ) -> None:
        self.method = method
        self.n_dims = n_dims
        self.n_rounds = n_rounds
        self.n_candidates = n_candidates
        self.temperature = temperature
        self.n_scalings = n_scalings
        self.n_refinements = n_refinements
        self.neighbour_weight = neighbour_weight
        self.n_reseedings = n_reseedings
        self.n_paris = n_paris
        self.one_to_one = one_to_one
        self.random_state = random_state

    def fit(self, source: KnowledgeGraph, target: KnowledgeGraph, pairs: Any = None) -> Self:
        """Align two graphs.

        Parameters
        ----------
        source, target : KnowledgeGraph
        pairs : sequence of (source, target), optional
            Entities that are known to be the same, by name or by position; each at most once.

        Returns
        -------
        self : EntityAlignment
        """
        self._check_parameters()
        self.source_, self.target_ = source, target
        seeds = np.empty((0, 2), np.int64) if pairs is None else entity_pairs(pairs, source, target)
        self.method_ = self._resolved(source, target, len(seeds))
        (here, from_here), (there, from_there) = source.in_order(), target.in_order()
        to_here, to_there = np.argsort(from_here), np.argsort(from_there)
        known = np.stack([to_here[seeds[:, 0]], to_there[seeds[:, 1]]], axis=1)
        known = known[np.argsort(known[:, 0])]
        plan = csr_matrix((len(here), len(there)))
        if self.method_ != "structure":
            plan = outside(paris(here, there, self.n_paris), known)
            if self.method_ == "both":
                known = np.concatenate([known, _surest(plan)])
                if not len(known):
                    raise InputError("no pair is sure by its literals; give pairs, or use method 'literals'")
                known = known[np.argsort(known[:, 0])]
        if self.method_ != "literals":
            names = inspect.signature(match_structure).parameters.keys() & self.get_params().keys()
            plan = match_structure(here, there, known, **{name: getattr(self, name) for name in names})
        sure = confidences(plan) if self.method_ != "literals" else plan
        self.seeds_ = np.stack([from_here[known[:, 0]], from_there[known[:, 1]]], axis=1)
        self.confidence_ = _moved(with_pairs(sure, known), from_here, from_there)
        self.coupling_ = Coupling(_moved(with_pairs(plan, known), from_here, from_there, mass=1.0))
        self.pairs_ = self._named_pairs(sure, known, from_here, from_there)
        return self

    def ranking(self, entities: Any, k: int = 10) -> pd.DataFrame:
        """Return the k likeliest partners of source entities: source, rank, target, confidence.

        Parameters
        ----------
        entities : names or positions
        k : int
        """
        check_is_fitted(self, "confidence_")
        places = self.source_.find(entities, "source")
        best = largest_of_rows(self.confidence_[places], k)
        rows = []
        for row, place in enumerate(places.tolist()):
            part = slice(best.indptr[row], best.indptr[row + 1])
            order = np.argsort(-best.data[part], kind="stable")
            for rank, entry in enumerate(order.tolist(), 1):
                named = self.target_.entities[best.indices[part][entry]]
                rows.append((self.source_.entities[place], rank, named, float(best.data[part][entry])))
        return pd.DataFrame(rows, columns=["source", "rank", "target", "confidence"])

    def hits(self, true_pairs: Any, at: tuple[int, ...] = (1, 10), candidates: str = "tested") -> Retrieved:
        """Return how often the true partner is among the first k, and the mean reciprocal rank.

        Of candidates that are equally likely, the true one is ranked last. A partner that is no candidate is not found.

        Parameters
        ----------
        true_pairs : sequence of (source, target)
            By name or position; pairs that `fit` was given prove nothing.
        at : ints
        candidates : {"tested", "all"}
            Rank among the target entities of `true_pairs`, as publications do, or among all.
        """
        check_is_fitted(self, "confidence_")
        if candidates not in ("tested", "all"):
            raise InputError(unknown_name("kind of candidates", candidates, ("tested", "all")))
        pairs = entity_pairs(true_pairs, self.source_, self.target_)
        return retrieved(self.confidence_, pairs, at, candidates == "tested")

    def carry(self, values: Any, least: float = LEAST_VOTE) -> Carried:
        """Return the values of source entities at the target entities, weighted by confidence.

        Parameters
        ----------
        values : array of shape (n_s,), or dict
            In the order of the source's entities, or by name; see `headstart.relations.carry_over.carry_over`.
        least : float
            Candidates of less confidence don't count.
        """
        check_is_fitted(self, "confidence_")
        if isinstance(values, dict):
            places = self.source_.find(list(values), "values")
            column = pd.Series([None] * len(self.source_), dtype=object)
            column.iloc[places] = list(values.values())
            values = column
        sure = self.confidence_.copy()
        sure.data[sure.data < least] = 0
        sure.eliminate_zeros()
        return carry_over(sure, values)

    def _check_parameters(self) -> None:
        for name, known in (("method", METHODS), ("one_to_one", PAIRINGS)):
            if getattr(self, name) not in known:
                raise InputError(unknown_name(name, getattr(self, name), known))
        for name, least in (("n_dims", 1), ("n_rounds", 1), ("n_candidates", 1), ("n_scalings", 1), ("n_paris", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be {least} or more, not {getattr(self, name)}")
        if not self.temperature > 0:
            raise InputError(f"temperature must be more than 0, not {self.temperature}")
        if not 0 <= self.neighbour_weight <= 1:
            raise InputError(f"neighbour_weight must lie between 0 and 1, not {self.neighbour_weight}")
        if min(self.n_refinements, self.n_reseedings) < 0:
            raise InputError("n_refinements and n_reseedings must be 0 or more")

    def _resolved(self, source: KnowledgeGraph, target: KnowledgeGraph, n_seeds: int) -> str:
        lacking = [name for name, graph in (("source", source), ("target", target)) if not len(graph.literals)]
        bare = [name for name, graph in (("source", source), ("target", target)) if not len(graph.triples)]
        method = self.method
        if method == "auto":
            if not n_seeds and lacking:
                raise InputError(
                    f"nothing to align by: no pairs are given, and there are no literals in {' and '.join(lacking)}; "
                    "give pairs, or literals of both"
                )
            method = "structure" if n_seeds else "literals"
        if method == "structure" and not n_seeds:
            raise InputError("method 'structure' needs pairs; give some, or literals and method 'literals' or 'both'")
        if method != "structure" and lacking:
            raise InputError(f"method {method!r} needs literals; there are none in {' and '.join(lacking)}")
        if method != "literals" and bare:
            raise InputError(f"method {method!r} needs triples; there are none in {' and '.join(bare)}")
        return method

    def _named_pairs(
        self, sure: csr_matrix, known: np.ndarray, from_here: np.ndarray, from_there: np.ndarray
    ) -> pd.DataFrame:
        found = PAIRINGS[self.one_to_one](sure)
        confidence = np.concatenate([np.ones(len(known)), entries_of(sure, found)])
        pairs = np.concatenate([known, found])
        pairs = np.stack([from_here[pairs[:, 0]], from_there[pairs[:, 1]]], axis=1)
        order = np.argsort(pairs[:, 0])
        return pd.DataFrame(
            {
                "source": [self.source_.entities[i] for i in pairs[order, 0]],
                "target": [self.target_.entities[j] for j in pairs[order, 1]],
                "confidence": confidence[order],
            }
        )


def _moved(matrix: csr_matrix, rows: np.ndarray, columns: np.ndarray, mass: float | None = None) -> csr_matrix:
    """Return the matrix with rows and columns where they stood before sorting, scaled to a mass if one is given."""
    entries = matrix.tocoo()
    data = entries.data if mass is None or not entries.nnz else entries.data * (mass / entries.data.sum())
    return csr_matrix((data, (rows[entries.row], columns[entries.col])), shape=matrix.shape)


def _surest(probability: csr_matrix) -> np.ndarray:
    pairs = mutual_pairs(probability)
    return pairs[entries_of(probability, pairs) >= SURE]
