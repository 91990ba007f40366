"""Template transfer: which forms of conjunction told most in one world are asked first in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.stats import rankdata
from sklearn.base import clone

from headstart.domain import Domain
from headstart.errors import NeedsError, StoreError
from headstart.method import Family, Knowledge, Method, Needs
from headstart.relations.boosting import Boosted, RelationalBoosting, Workbench, require_examples
from headstart.relations.facts import Predicate
from headstart.relations.literals import Conjunction, candidates, written
from headstart.relations.template_worth import split_worth, template_scores
from headstart.relations.templates import Template
from headstart.relations.trees import Node, Tree, nodes

#: How much the prior may count; by none of it, learning is from scratch.
STRENGTHS = (0.0, 1.0, 2.0, 4.0)
#: How much it counts where a class has too few examples to ask; then the prior is nearly all there is.
UNASKED = 1.0
FOLDS = 3


class TemplateTransfer(Method):
    r"""Ask first what had the form of the most telling questions elsewhere, whatever its predicates are called.

    The source is boosted, and every conjunction of its language is scored by what splits by it would have been worth at
    all inner nodes of all trees, a row of the source,

    .. math:: \frac{1}{n} \sum_{nodes} \left(\frac{G_1^2}{H_1 + s} + \frac{G_0^2}{H_0 + s} - \frac{G^2}{H + s}\right)

    with sums of first and second derivatives of the log-likelihood over the examples at the node. (At the first node,
    and without the shrinkage s, it is the squared correlation of conjunction and label; later ones tell what is left to
    be known.) Names are replaced by variables, and a template scores the mean of its best conjunctions. In the target
    the worth of a split by a conjunction is multiplied by :math:`\exp(\lambda (2 r - 1))`, where r, from 0 to 1, is the
    rank of its template's score among the source's; a template that the source could not try has the weight 1.
    :math:`\lambda` is what serves best in cross-validation; 0, which is learning from scratch, is among the choices.

    No name, no fact and no row leaves the source, and nothing is mapped: worlds need not share a single predicate.

    Parameters
    ----------
    strength : "best" or float
        How much the prior counts; best: what is best of 0, 1, 2 and 4 by log-likelihood out of fold.
    best : int
        Conjunctions of which a template's score is the mean, at most.
    random_state : int
        Of the folds.

    References
    ----------
    Davis, Domingos: Deep Transfer via Second-Order Markov Logic. ICML 2009.
    Van Haaren, Kolobov, Davis: TODTLER: Two-Order-Deep Transfer Learning. AAAI 2015.

    Examples
    --------
    >>> from headstart.relations import Facts, RelationalBoosting, facts_domain
    >>> def world(wrote, knows, name):
    ...     told = {wrote: [(f"{name}{i}", f"{wrote}{i // 2}") for i in range(16)],
    ...             knows: [(f"{name}{i}", f"{name}{(5 * i + 3) % 16}") for i in range(16)]}
    ...     pairs = [(f"{name}{i}", f"{name}{i + 1}") for i in range(0, 16, 2)]
    ...     return facts_domain(Facts.of(told), f"co{wrote}", pairs)
    >>> method = TemplateTransfer(strength=1.0)
    >>> learner = RelationalBoosting(n_trees=2)
    >>> source, target = world("wrote", "knows", "p"), world("plays", "sees", "m")
    >>> knowledge = method.extract(method.learn_source(source, learner), source)
    >>> model = method.learn_target(method.carry(knowledge, target), target, learner)
    >>> print(model.explain().splitlines()[1])
      1.00  co-occurrence: P(A, C), P(B, C); weight 2.72; here plays(A, C), plays(B, C)
    """

    family: ClassVar[Family] = Family.RELATIONS
    needs: ClassVar[Needs] = Needs(
        target_labels=True,
        source_rows=False,
        same_features=False,
        learner="any",
        tasks=("classification",),
        reads=("facts",),
    )

    def __init__(self, strength: float | Literal["best"] = "best", *, best: int = 3, random_state: int = 0) -> None:
        self.strength = strength
        self.best = best
        self.random_state = random_state

    def refuses(self, learner: Any) -> str | None:
        """Say that only relational trees ask conjunctions."""
        if isinstance(learner, RelationalBoosting):
            return None
        return f"weighs what trees ask, so it needs RelationalBoosting as the learner, not {type(learner).__name__}"

    def strengths(self) -> tuple[float, ...]:
        """Return the strengths among which one is chosen.

        Raises
        ------
        NeedsError
            When `strength` is none.
        """
        if self.strength == "best":
            return STRENGTHS
        if isinstance(self.strength, str) or not 0 <= self.strength < np.inf:
            raise NeedsError(f'strength is {self.strength!r}; give a number from 0 (scratch) on, or "best"')
        return (float(self.strength),)

    def learn_source(self, source: Domain, learner: Any) -> dict[Conjunction, float]:
        """Step 1: boost trees, and score every conjunction by what it would have told them."""
        self.strengths()
        if self.best < 1:
            raise NeedsError(f"best is {self.best}; a template's score is the mean of at least 1 conjunction")
        require_examples(source.X)
        rows = source.labelled_rows()
        if len(rows.classes) != 2:
            raise NeedsError(f"{source.name}: templates are scored by examples that hold and examples that don't")
        holds = rows.labels == rows.classes[1]
        asks = candidates(rows.X.facts, rows.X.predicate.types, learner.language)
        worth = split_worth(asks, rows.X, holds, learner)
        return {each: float(score) for each, score in zip(asks, worth, strict=True) if np.isfinite(score)}

    def extract(self, learned: Mapping[Conjunction, float], source: Domain) -> Knowledge:
        """Step 2: the scores of the templates; no name, no fact."""
        facts, head = source.X.facts, source.X.predicate
        return Knowledge(
            type(self).__name__,
            holds_source_rows=False,
            facts={
                "templates": template_scores(learned, facts.schema, head, self.best),
                "rows": source.n_labelled,
                "world": source.name,
            },
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> Prior:
        """Step 3: make the scores a prior for the target's conjunctions."""
        require_examples(target.X)
        told = knowledge.facts.get("templates")
        if not isinstance(told, Mapping):
            raise StoreError("the knowledge holds no templates; learn it again")
        return Prior(dict(told), target.X.facts.schema, target.X.predicate)

    def learn_target(self, carried: Prior, target: Domain, learner: Any) -> Templated:
        """Step 4: boost trees with the prior, as strong as serves best."""
        rows = target.labelled_rows()
        if len(rows.classes) < 2:
            raise NeedsError(
                f"{target.name}: templates tell where to look and not what holds, so label examples that hold and "
                "examples that don't"
            )
        learner = clone(learner)
        learner.classes_ = rows.classes
        bench = Workbench.of(rows.X, rows.labels == rows.classes[1], learner)
        among = self.strengths()
        benches = {each: carried.bench(bench, each) for each in among}
        told = cross_validated(benches, self.random_state) if len(among) > 1 else {}
        unasked = UNASKED if len(among) > 1 else among[0]
        strength = max(told, key=lambda each: (round(told[each], 9), -each)) if told else unasked
        model = benches[strength].from_scratch()
        return Templated(
            **{k: getattr(model, k) for k in ("bias", "trees", "head", "schema", "classes_")},
            strength=strength,
            prior=carried,
            likelihoods=told,
        )


@dataclass(frozen=True, eq=False)
class Prior:
    """The source's templates, and the vocabulary of the target to which they are held.

    Attributes
    ----------
    scores : dict of str to float
        By key of a template.
    schema : dict of str to Predicate
        Of the target.
    head : Predicate
        What the target is to predict.
    """

    scores: dict[str, float]
    schema: dict[str, Predicate]
    head: Predicate

    def __getstate__(self) -> dict[str, Any]:
        """Return scores and vocabulary, without what was worked out of them."""
        return {name: self.__dict__[name] for name in ("scores", "schema", "head")}

    @cached_property
    def ranks(self) -> dict[str, float]:
        """Ranks of the scores from 0 to 1, equal scores with their mean."""
        ranks = (rankdata(list(self.scores.values())) - 1) / max(len(self.scores) - 1, 1)
        return dict(zip(self.scores, map(float, ranks), strict=True)) if len(self.scores) > 1 else {}

    @cached_property
    def _known(self) -> dict[Conjunction, float]:
        return {}

    def rank(self, asks: Conjunction) -> float:
        """Return the rank of a conjunction's template, the middle for one that is new."""
        if asks not in self._known:
            self._known[asks] = self.ranks.get(Template.of(asks, self.schema, self.head).key, 0.5)
        return self._known[asks]

    def weights(self, asks: Sequence[Conjunction], strength: float) -> np.ndarray:
        """Return by how much the worth of splits is multiplied, shape (m,)."""
        return np.exp(strength * (2 * np.array([self.rank(each) for each in asks]) - 1))

    def bench(self, bench: Workbench, strength: float) -> Workbench:
        """Return a bench on which trees are grown with the prior."""
        prior = (lambda asks: self.weights(asks, strength)) if strength else None
        return replace(bench, prior=prior, _columns=None)


def cross_validated(benches: Mapping[float, Workbench], random_state: int) -> dict[float, float]:
    """Return the mean log-likelihood out of fold on each bench; nothing where a class has one example."""
    positive = next(iter(benches.values())).y > 0
    if min(positive.sum(), (~positive).sum()) < 2:
        return {}
    rng = np.random.default_rng(random_state)
    fold = np.empty(len(positive), dtype=int)
    for of in (positive, ~positive):
        fold[rng.permutation(np.flatnonzero(of))] = np.arange(of.sum()) % FOLDS
    found = {}
    for strength, bench in benches.items():
        parts = [
            bench.log_likelihood(bench.from_scratch(np.flatnonzero(fold != held)), np.flatnonzero(fold == held))
            for held in range(FOLDS)
        ]
        found[strength] = float(np.mean(np.concatenate(parts)))
    return found


@dataclass(frozen=True, eq=False)
class Templated(Boosted):
    """Trees that were grown with a prior from another world.

    Attributes
    ----------
    strength : float
        How much the prior counted; 0 is learning from scratch.
    prior : Prior
    likelihoods : dict of float to float
        Cross-validated mean log-likelihood under each strength; empty where it was not asked.
    """

    strength: float
    prior: Prior
    likelihoods: dict[float, float]

    def explain(self, most: int = 5) -> str:
        """Return the templates that counted most, with their share in what the trees tell apart, in readable lines."""
        share: dict[str, float] = {}
        example: dict[str, tuple[float, Conjunction]] = {}
        for tree in self.trees:
            for node in nodes(tree):
                key, told = Template.of(node.asks, self.schema, self.head).key, spread(node)
                share[key] = share.get(key, 0.0) + told
                example[key] = max(example.get(key, (-1.0, ())), (told, node.asks), key=lambda each: each[0])
        total = sum(share.values()) or 1.0
        lines = [f"templates that counted, of {len(self.prior.scores)} from the source, strength {self.strength:g}:"]
        for key in sorted(share, key=lambda each: (-share[each], each))[:most]:
            template, asks = Template.read(key), example[key][1]
            weight = float(self.prior.weights([asks], self.strength)[0])
            known = f"weight {weight:.2f}" if key in self.prior.ranks else "new here"
            here = written(asks, self.schema, self.head.arity)
            lines.append(f"  {share[key] / total:.2f}  {template.name}: {template}; {known}; here {here}")
        if self.likelihoods:
            values = "; ".join(f"{strength:g} {value:.4f}" for strength, value in self.likelihoods.items())
            lines.append(f"log-likelihood out of fold by strength: {values}")
        return "\n".join(lines)


def spread(node: Node) -> float:
    """Return how far a node sets examples apart: the sum of squares between its sides."""
    yes, no = node.yes.rows, node.no.rows
    return yes * no / max(yes + no, 1.0) * (_mean(node.yes) - _mean(node.no)) ** 2


def _mean(tree: Tree) -> float:
    if not isinstance(tree, Node):
        return tree.value
    rows = max(tree.rows, 1.0)
    return (tree.yes.rows * _mean(tree.yes) + tree.no.rows * _mean(tree.no)) / rows
