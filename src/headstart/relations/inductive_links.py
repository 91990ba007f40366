"""Inductive links: rules learned among some entities, asked about others that have the same relations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sklearn.base import clone

from headstart.domain import Domain
from headstart.errors import NeedsError, listed
from headstart.method import Family, Knowledge, Method, Needs
from headstart.relations.boosting import Boosted, RelationalBoosting, Workbench, require_examples, schema_of
from headstart.relations.documents import boosted, document
from headstart.relations.facts import Facts, Predicate
from headstart.relations.literals import predicates_of
from headstart.relations.predicate_map import uses
from headstart.relations.revision import refitted
from headstart.relations.trees import Node, Tree

#: Predicates that an error names, at most.
NAMED = 6


class InductiveLinks(Method):
    r"""Take rules to other entities: relations have the same names there, and no entity needs to be known.

    Relational trees ask which facts are around an example and not who it is, so that what was learned in one world
    holds in another with the same relations. The trees travel, no fact does. A predicate that the target does not have
    never holds. With labels in the target the leaves are fitted again, each drawn towards its source's value,

    .. math:: v = \frac{\eta \sum_i (y_i - p_i) + s\,v_{source}}{\sum_i p_i (1 - p_i) + s}

    and without them they stay. A question that names a constant is about that constant: learn with
    ``RelationalBoosting(values=False)`` where the target has others.

    Where relations have other names, `PredicateMapping` finds which plays the part of which.

    Parameters
    ----------
    refit : bool
        Whether leaves are fitted again where there are labels.

    References
    ----------
    Teru, Denis, Hamilton: Inductive Relation Prediction by Subgraph Reasoning. ICML 2020 (the task).
    Meilicke, Chekol, Ruffinelli, Stuckenschmidt: Anytime Bottom-Up Rule Learning for Knowledge Graph Completion.
    IJCAI 2019 (rules for it).

    Examples
    --------
    >>> from headstart.relations import Facts, RelationalBoosting, facts_domain
    >>> def world(name):
    ...     told = {"parent": [(f"{name}{i}", f"{name}{i + 4}") for i in range(8)]}
    ...     pairs = [(f"{name}{i}", f"{name}{i + 8}") for i in range(4)]
    ...     return facts_domain(Facts.of(told), "grandparent", pairs)
    >>> method, learner = InductiveLinks(), RelationalBoosting(n_trees=1, least=1)
    >>> source, target = world("p"), world("q")
    >>> knowledge = method.extract(method.learn_source(source, learner), source)
    >>> model = method.learn_target(method.carry(knowledge, target), target.rows(slice(0, 0)), learner)
    >>> print(model.explain())
    leaves: as in the source
    rules:
      +0.794  grandparent(A, B) :- parent(A, C), parent(C, B).
      -0.261  grandparent(A, B) :- not(parent(A, C), parent(C, B)).
    """

    family: ClassVar[Family] = Family.RELATIONS
    needs: ClassVar[Needs] = Needs(
        source_rows=False, same_features=False, learner="any", tasks=("classification",), reads=("facts",)
    )

    def __init__(self, refit: bool = True) -> None:
        self.refit = refit

    def refuses(self, learner: Any) -> str | None:
        """Say that only relational trees ask about facts."""
        if isinstance(learner, RelationalBoosting):
            return None
        return f"carries relational trees, so it needs RelationalBoosting as the learner, not {type(learner).__name__}"

    def learn_source(self, source: Domain, learner: Any) -> RelationalBoosting:
        """Step 1: boost relational trees."""
        require_examples(source.X)
        rows = source.labelled_rows()
        learned: RelationalBoosting = clone(learner).fit(rows.X, rows.labels)
        return learned

    def extract(self, learned: RelationalBoosting, source: Domain) -> Knowledge:
        """Step 2: the trees; no fact."""
        return Knowledge(
            type(self).__name__,
            holds_source_rows=False,
            facts={"model": document(learned.boosted_), "rows": source.n_labelled, "world": source.name},
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> Rules:
        """Step 3: hold the trees to the target's predicates.

        Raises
        ------
        NeedsError
            When it has none of them, one with another number of arguments, or another predicate to learn.
        """
        require_examples(target.X)
        model = boosted(knowledge.facts["model"])
        facts, head = target.X.facts, target.X.predicate
        if (head.name, head.arity) != (model.head.name, model.head.arity):
            raise NeedsError(
                f"rules are about {model.head}, and the target asks for {head}; "
                "use PredicateMapping where relations have other names"
            )
        missing = missing_predicates(model, facts)
        trees = [without(tree, facts.schema) for tree in model.trees]
        return Rules(model, trees, missing)

    def learn_target(self, carried: Rules, target: Domain, learner: Any) -> Linked:
        """Step 4: fit the leaves again where there are labels."""
        rows = target.labelled_rows()
        if not self.refit or len(rows.classes) < 2:
            model = replace(
                carried.model,
                trees=carried.trees,
                head=target.X.predicate,
                schema=schema_of(carried.trees, target.X.facts.schema),
            )
            return Linked(**_fields(model), source=carried.model, missing=carried.missing, refitted=False)
        learner = clone(learner)
        learner.classes_ = rows.classes
        bench = Workbench.of(rows.X, rows.labels == rows.classes[1], learner)
        model = refitted(bench, carried.trees, bench.rows)
        return Linked(**_fields(model), source=carried.model, missing=carried.missing, refitted=True)


def missing_predicates(model: Boosted, facts: Facts) -> tuple[str, ...]:
    """Return the predicates of rules that a world does not have.

    Raises
    ------
    NeedsError
        When it has none of them, or one with another number of arguments.
    """
    asked = list(uses(model.trees))
    other = [name for name in asked if name in facts.schema and facts.schema[name].arity != model.schema[name].arity]
    if other:
        raise NeedsError(
            f"rules ask about {model.schema[other[0]]}, and {facts.name} has {facts.schema[other[0]]}; "
            "relations of one name must have the same arguments"
        )
    missing = tuple(name for name in asked if name not in facts.schema)
    if asked and len(missing) == len(asked):
        raise NeedsError(
            f"rules ask about {listed(asked, NAMED)}; {facts.name} has {listed(facts.schema, NAMED)}: "
            "use PredicateMapping where relations have other names"
        )
    return missing


def without(tree: Tree, schema: Mapping[str, Predicate]) -> Tree:
    """Return a tree without nodes that ask about predicates of no schema: what they ask never holds."""
    if not isinstance(tree, Node):
        return tree
    if any(name not in schema for part in tree.asks for name in predicates_of(part)):
        return without(tree.no, schema)
    return Node(tree.asks, without(tree.yes, schema), without(tree.no, schema))


def _fields(model: Boosted) -> dict[str, Any]:
    return {name: getattr(model, name) for name in ("bias", "trees", "head", "schema", "classes_")}


@dataclass(frozen=True, eq=False)
class Rules:
    """What has arrived: the source's trees, the same without what the target lacks, and what that is."""

    model: Boosted
    trees: list[Tree]
    missing: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Linked(Boosted):
    """Trees from a world with the same relations.

    Attributes
    ----------
    source : Boosted
        The trees as they were learned.
    missing : tuple of str
        Predicates they ask about which the target does not have.
    refitted : bool
        Whether leaves were fitted to labels of the target.
    """

    source: Boosted
    missing: tuple[str, ...]
    refitted: bool

    def explain(self, trees: int = 1) -> str:
        """Return how the trees came, and the first as clauses, in readable lines."""
        lines = [f"leaves: {'fitted again, drawn towards the source' if self.refitted else 'as in the source'}"]
        if self.missing:
            lines.append(f"never holds here: {listed(self.missing, NAMED)}, of which there is no fact")
        return "\n".join([*lines, "rules:", *(f"  {clause}" for clause in self.clauses(trees))])
