"""Predicate mapping: relational trees learned in one world, translated to the predicates of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.base import clone

from headstart.domain import Domain
from headstart.errors import NeedsError, unknown_name
from headstart.method import Family, Knowledge, Method, Needs
from headstart.relations.boosting import Boosted, RelationalBoosting, Workbench, require_examples, schema_of
from headstart.relations.documents import boosted, document
from headstart.relations.examples import Examples
from headstart.relations.predicate_map import (
    PredicateMap,
    Search,
    name_likeness,
    translated,
    uses,
    walk_likeness,
    walk_statistics,
)
from headstart.relations.revision import refitted, revised
from headstart.relations.trees import Tree

SEARCHES = ("likelihood", "walk", "name")
VARIANTS = ("mapped", "revised", "scratch")
#: Trees that a mapping is judged by, and mappings that are judged by all of them.
FIRST, FINAL = 3, 20
#: Log-likelihood that a likeness of walks of 1 is worth: where labels can't tell mappings apart, it decides.
LIKENESS = 2.0
#: Rows that mappings are judged on, at most.
JUDGED = 3000
FOLDS = 3


class PredicateMapping(Method):
    r"""Translate relational trees: find which predicate plays the part of which, then learn the parameters again.

    The four steps: boosted relational trees are learned in the source; the trees and statistics of random walks are
    the knowledge: no fact travels, and of constants those that a tree names (none with values=False of the learner);
    every legal mapping of the source's predicates is scored in the target and the best is taken; the leaves are fitted
    again, each drawn towards its source's value,

    .. math:: v = \frac{\eta \sum_i (y_i - p_i) + s\,v_{source}}{\sum_i p_i (1 - p_i) + s}

    and the trees are revised: nodes that tell nothing are pruned, and leaves are expanded with any literal of the
    target, also of predicates to which nothing was mapped. Which of the mapped, the revised and a model from scratch
    is taken is decided by cross-validated log-likelihood.

    Parameters
    ----------
    search : {"likelihood", "walk", "name"}
        What a mapping is scored by: the target's labels; how alike random walks on the facts are, which needs no label;
        how alike the names are, no label either. Without target labels "likelihood" becomes "walk".
    inversion : bool
        Whether a predicate may be mapped with its arguments in another order.
    empty : bool
        Whether a predicate may be mapped to nothing.
    take : {"best", "mapped", "revised", "scratch"}
        best: decided by cross-validation.
    most : int
        Mappings looked at.
    random_state : int
        Of the folds.

    References
    ----------
    Mihalkova, Huynh, Mooney: Mapping and Revising Markov Logic Networks for Transfer Learning. AAAI 2007.
    Azevedo Santos, Paes, Zaverucha: Transfer Learning by Mapping and Revising Boosted Relational Dependency Networks.
    Machine Learning 109, 2020.

    Examples
    --------
    >>> from headstart.relations import Facts, RelationalBoosting, facts_domain
    >>> def world(parent, person, name):
    ...     told = {parent: [(f"{name}{i}", f"{name}{i + 4}") for i in range(8)],
    ...             person: [(f"{name}{i}",) for i in range(12)]}
    ...     return facts_domain(Facts.of(told), f"grand{parent}", [(f"{name}{i}", f"{name}{i + 8}") for i in range(4)])
    >>> method = PredicateMapping(take="mapped")
    >>> learner = RelationalBoosting(n_trees=2, least=1)
    >>> source, target = world("parent", "person", "p"), world("boss", "worker", "w")
    >>> knowledge = method.extract(method.learn_source(source, learner), source)
    >>> model = method.learn_target(method.carry(knowledge, target), target, learner)
    >>> print(model.explain().splitlines()[1])
      grandparent(A, B) -> grandboss(A, B)
    """

    family: ClassVar[Family] = Family.RELATIONS
    needs: ClassVar[Needs] = Needs(
        source_rows=False, same_features=False, learner="any", tasks=("classification",), reads=("facts",)
    )

    def __init__(
        self,
        search: Literal["likelihood", "walk", "name"] = "likelihood",
        *,
        inversion: bool = True,
        empty: bool = True,
        take: Literal["best", "mapped", "revised", "scratch"] = "best",
        most: int = 20_000,
        random_state: int = 0,
    ) -> None:
        self.search = search
        self.inversion = inversion
        self.empty = empty
        self.take = take
        self.most = most
        self.random_state = random_state

    def refuses(self, learner: Any) -> str | None:
        """Say that only relational trees can be mapped."""
        if isinstance(learner, RelationalBoosting):
            return None
        return f"maps relational trees, so it needs RelationalBoosting as the learner, not {type(learner).__name__}"

    def learn_source(self, source: Domain, learner: Any) -> RelationalBoosting:
        """Step 1: boost relational trees."""
        if self.search not in SEARCHES:
            raise NeedsError(unknown_name("search", self.search, SEARCHES))
        if self.take not in ("best", *VARIANTS):
            raise NeedsError(unknown_name("variant to take", self.take, ("best", *VARIANTS)))
        require_examples(source.X)
        rows = source.labelled_rows()
        learned: RelationalBoosting = clone(learner).fit(rows.X, rows.labels)
        return learned

    def extract(self, learned: RelationalBoosting, source: Domain) -> Knowledge:
        """Step 2: the trees, and how a random walk on the facts goes; no fact."""
        model = learned.boosted_
        names = list(uses(model.trees))
        return Knowledge(
            type(self).__name__,
            holds_source_rows=False,
            facts={
                "model": document(model),
                "walk": walk_statistics(source.X.facts, names),
                "rows": source.n_labelled,
                "classes": np.asarray(model.classes_).tolist(),
                "world": source.name,
            },
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> Carried:
        """Step 3: find the mappings that serve the target best, and translate the trees."""
        require_examples(target.X)
        model = boosted(knowledge.facts["model"])
        facts, head = target.X.facts, target.X.predicate
        order = list(uses(model.trees))
        search = Search(self.inversion, self.empty, self.most)
        statistics = walk_statistics(facts, list(facts.schema)) if order else {}
        walk, weight = knowledge.facts["walk"], uses(model.trees)

        def likeness(mapping: PredicateMap) -> float:
            return name_likeness(mapping) if self.search == "name" else walk_likeness(mapping, walk, statistics, weight)

        by_labels = self.search == "likelihood" and len(target.classes) == 2
        judged = _Judged.of(target, model, self.random_state) if by_labels else None
        early = list(uses(model.trees[:FIRST]))

        def worth(mapping: PredicateMap, trees: int | None) -> float:
            return LIKENESS * likeness(mapping) + (judged.log_likelihood(mapping, trees) if judged else 0.0)

        legal = search.legal(early, model.schema, model.head, facts.schema, head)
        best = best_first([(worth(mapping, FIRST), mapping) for mapping in legal])[:FINAL]
        for name in order[len(early) :]:
            further = [
                more for _, mapping in best for more in search.further(mapping, name, model.schema, facts.schema)
            ]
            best = best_first([(worth(mapping, None), mapping) for mapping in further])[:FINAL]
        mappings = [mapping for _, mapping in best_first([(worth(mapping, None), mapping) for _, mapping in best])]
        return Carried(model, knowledge.facts.get("world", "source"), mappings, likeness)

    def learn_target(self, carried: Carried, target: Domain, learner: Any) -> Transferred:
        """Step 4: fit the leaves again, revise the trees, and take what cross-validation says is best."""
        rows = target.labelled_rows()
        if len(rows.classes) < 2:
            return carried.as_it_is(target)
        learner = clone(learner)
        learner.classes_ = rows.classes
        bench = Workbench.of(rows.X, rows.labels == rows.classes[1], learner)
        variants = Variants(bench, carried)
        told: dict[str, float] = {}
        name: str = self.take
        if name == "best":
            told = variants.cross_validated(self.random_state)
            name = max(told, key=lambda variant: told[variant])
        mapping = carried.mappings[0]
        model = variants.made(name, bench.rows, mapping)
        return Transferred(
            **{k: getattr(model, k) for k in ("bias", "trees", "head", "schema", "classes_")},
            variant=name,
            mapping=mapping,
            source=carried.model,
            likelihoods=told,
        )


def best_first(scored: Sequence[tuple[float, PredicateMap]]) -> list[tuple[float, PredicateMap]]:
    """Return mappings, the best first; of equals the one that maps more, then the one that came first."""
    order = sorted(
        range(len(scored)),
        key=lambda i: (-round(scored[i][0], 9), sum(image is None for image in scored[i][1].images.values()), i),
    )
    return [scored[i] for i in order]


@dataclass(frozen=True, eq=False)
class _Judged:
    """Target rows that mappings are judged on."""

    bench: Workbench
    model: Boosted

    @classmethod
    def of(cls, target: Domain, model: Boosted, random_state: int) -> _Judged:
        rows = target.labelled_rows()
        holds = rows.labels == rows.classes[1]
        if len(rows) > JUDGED:
            rng = np.random.default_rng(random_state)
            share = JUDGED / len(rows)
            keep = np.sort(
                np.concatenate(
                    [
                        rng.permutation(np.flatnonzero(holds == c))[: max(int(share * (holds == c).sum()), 300)]
                        for c in (True, False)
                    ]
                )
            )
            rows, holds = rows.rows(keep), holds[keep]
        return cls(Workbench.of(rows.X, holds, RelationalBoosting()), model)

    def log_likelihood(self, mapping: PredicateMap, trees: int | None) -> float:
        """Return the log-likelihood of the rows under the mapped trees, leaves fitted to them."""
        known = self.bench.examples.facts.constants.__contains__
        mapped = [translated(tree, mapping, known) for tree in self.model.trees[:trees]]
        fitted = refitted(self.bench, mapped, self.bench.rows)
        return float(self.bench.log_likelihood(fitted, self.bench.rows).sum())


@dataclass(frozen=True, eq=False)
class Carried:
    """What has arrived: the source's trees, and the mappings that serve the target, the best first."""

    model: Boosted
    world: str
    mappings: list[PredicateMap]
    likeness: Callable[[PredicateMap], float]

    def trees(self, mapping: PredicateMap, target: Examples) -> list[Tree]:
        """Return the trees in the target's predicates."""
        known = target.facts.constants.__contains__
        return [translated(tree, mapping, known) for tree in self.model.trees]

    def as_it_is(self, target: Domain) -> Transferred:
        """Return the mapped trees with the source's parameters, for a target without labels."""
        mapping = self.mappings[0]
        trees = self.trees(mapping, target.X)
        classes = np.array([0, 1])
        return Transferred(
            self.model.bias,
            trees,
            target.X.predicate,
            schema_of(trees, target.X.facts.schema),
            self.model.classes_ if len(self.model.classes_) == 2 else classes,
            variant="mapped",
            mapping=mapping,
            source=self.model,
            likelihoods={},
        )


@dataclass(frozen=True, eq=False)
class Transferred(Boosted):
    """Trees that came from another world.

    Attributes
    ----------
    variant : {"mapped", "revised", "scratch"}
        What was taken.
    mapping : PredicateMap
    source : Boosted
        The trees as they were learned.
    likelihoods : dict of str to float
        Cross-validated mean log-likelihood of each variant; empty where it was not asked.
    """

    variant: str
    mapping: PredicateMap
    source: Boosted
    likelihoods: dict[str, float]

    def explain(self, trees: int = 1) -> str:
        """Return the mapping, and the first trees as clauses before and after, in readable lines."""
        told = "; ".join(f"{name} {value:.4f}" for name, value in self.likelihoods.items())
        lines = ["mapping:", *(f"  {line}" for line in self.mapping.lines(self.source.schema, self.source.head))]
        lines += [f"taken: {self.variant}{f' (log-likelihood out of fold: {told})' if told else ''}", "before:"]
        lines += [f"  {clause}" for clause in self.source.clauses(trees)]
        lines += ["after:", *(f"  {clause}" for clause in self.clauses(trees))]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Variants:
    """The models among which the target's labels decide."""

    bench: Workbench
    carried: Carried

    def made(self, name: str, rows: np.ndarray, mapping: PredicateMap) -> Boosted:
        """Return one of them, fitted to some rows."""
        if name == "scratch":
            return self.bench.from_scratch(rows)
        trees = self.carried.trees(mapping, self.bench.examples)
        return refitted(self.bench, trees, rows) if name == "mapped" else revised(self.bench, trees, rows)

    def cross_validated(self, random_state: int) -> dict[str, float]:
        """Return the mean log-likelihood out of fold of each variant, the mapping chosen anew in each fold."""
        positive = self.bench.y > 0
        if min(positive.sum(), (~positive).sum()) < 2:
            return {"mapped": 0.0}
        rng = np.random.default_rng(random_state)
        fold = np.empty(len(positive), dtype=int)
        for of in (positive, ~positive):
            fold[rng.permutation(np.flatnonzero(of))] = np.arange(of.sum()) % FOLDS
        found: dict[str, list[np.ndarray]] = {name: [] for name in VARIANTS}
        for held in range(FOLDS):
            train, test = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
            mapping = self._best_on(train)
            for name in VARIANTS:
                found[name].append(self.bench.log_likelihood(self.made(name, train, mapping), test))
        return {name: float(np.mean(np.concatenate(values))) for name, values in found.items()}

    def _best_on(self, rows: np.ndarray) -> PredicateMap:
        worth = []
        for mapping in self.carried.mappings:
            trees = self.carried.trees(mapping, self.bench.examples)[:FIRST]
            fitted = refitted(self.bench, trees, rows)
            told = float(self.bench.log_likelihood(fitted, rows).sum()) + LIKENESS * self.carried.likeness(mapping)
            worth.append((told, mapping))
        return best_first(worth)[0][1]
