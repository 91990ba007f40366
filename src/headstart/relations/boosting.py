"""Relational boosting: a sum of relational regression trees, the learner of relational domains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from headstart.errors import InputError
from headstart.relations.examples import Examples
from headstart.relations.facts import Predicate
from headstart.relations.literals import Language, candidates
from headstart.relations.trees import Columns, Growth, Leaf, Node, Tree, clauses, grow, scores


@dataclass(frozen=True, eq=False)
class Boosted:
    """A fitted sum of trees: the log-odds of an example are `bias` and a leaf of each tree.

    Attributes
    ----------
    bias : float
    trees : list of Tree
    head : Predicate
        What is predicted.
    schema : dict of str to Predicate
        Of the predicates that the trees ask about.
    classes_ : array of shape (2,)
    """

    bias: float
    trees: list[Tree]
    head: Predicate
    schema: dict[str, Predicate]
    classes_: np.ndarray

    def decision_function(self, X: Examples) -> np.ndarray:
        """Return log-odds, shape (n,)."""
        require_examples(X)
        kept: dict[Any, np.ndarray] = {}
        return sum((scores(tree, X, kept) for tree in self.trees), np.full(len(X), self.bias))

    def predict_proba(self, X: Examples) -> np.ndarray:
        """Return probabilities, shape (n, 2)."""
        p = sigmoid(self.decision_function(X))
        return np.column_stack([1 - p, p])

    def predict(self, X: Examples) -> np.ndarray:
        """Return classes, shape (n,)."""
        return np.asarray(self.classes_[np.argmax(self.predict_proba(X), axis=1)])

    def clauses(self, trees: int = 1) -> list[str]:
        """Return the first trees as clauses, one a leaf, each with what it adds to the log-odds."""
        return [clause for tree in self.trees[:trees] for clause in clauses(tree, self.head, self.schema)]


class RelationalBoosting(ClassifierMixin, BaseEstimator):
    r"""Boosted relational regression trees: whether a predicate holds of an example, from the facts around it.

    Each tree is fitted to the residuals of the sum so far. Its nodes ask conjunctions of up to two literals with new
    variables ("there is a C such that ..."); its leaves hold Newton steps, :math:`\eta \sum_i (y_i - p_i) / (s +
    \sum_i p_i (1 - p_i))`. A new variable lives in its node: nodes below don't see it.

    Unlike the original, all negatives are used and none are sampled, so that probabilities need no correction; a
    conjunction is evaluated for all examples at once by sparse products.

    Parameters
    ----------
    n_trees : int
    learning_rate : float
        The :math:`\eta` of the leaves.
    depth, leaves : int
        Of a tree, at most.
    least : int
        Examples of a leaf, at least; one of weight 2 counts twice.
    shrinkage : float
        The s of the leaves, in examples' worth of second derivatives.
    literals : int
        Of a node, at most.
    values : bool
        Whether literals may name constants, of types with few.

    Attributes
    ----------
    boosted_ : Boosted
    classes_ : array of shape (2,)

    References
    ----------
    Natarajan, Khot, Kersting, Gutmann, Shavlik: Gradient-based Boosting for Statistical Relational Learning: The
    Relational Dependency Network Case. Machine Learning 86, 2012.

    Examples
    --------
    >>> from headstart.relations import Facts, facts_domain
    >>> people = [f"p{i}" for i in range(12)]
    >>> facts = Facts.of({"parent": [(f"p{i}", f"p{i + 4}") for i in range(8)], "person": [(p,) for p in people]})
    >>> grandparents = [(f"p{i}", f"p{i + 8}") for i in range(4)]
    >>> rows = facts_domain(facts, "grandparent", grandparents)
    >>> model = RelationalBoosting(n_trees=1, least=1).fit(rows.X, rows.labels)
    >>> print(model.clauses()[0])
    +0.794  grandparent(A, B) :- parent(A, C), parent(C, B).
    """

    def __init__(
        self,
        n_trees: int = 20,
        learning_rate: float = 0.3,
        *,
        depth: int = 3,
        leaves: int = 8,
        least: int = 3,
        shrinkage: float = 1.0,
        literals: int = 2,
        values: bool = True,
    ) -> None:
        self.n_trees = n_trees
        self.learning_rate = learning_rate
        self.depth = depth
        self.leaves = leaves
        self.least = least
        self.shrinkage = shrinkage
        self.literals = literals
        self.values = values

    def fit(self, X: Examples, y: np.ndarray, sample_weight: np.ndarray | None = None) -> RelationalBoosting:
        """Fit to examples and whether the predicate holds.

        Parameters
        ----------
        X : Examples of shape (n, arity)
        y : array of shape (n,)
            Two classes; the larger is "holds".
        sample_weight : array of shape (n,), optional

        Raises
        ------
        InputError
            When X are no examples of facts, or y has not two classes.
        """
        require_examples(X)
        self.classes_ = two_classes(y, X)
        bench = Workbench.of(X, np.asarray(y) == self.classes_[1], self, sample_weight)
        self.boosted_ = bench.from_scratch()
        return self

    def decision_function(self, X: Examples) -> np.ndarray:
        """Return log-odds, shape (n,)."""
        check_is_fitted(self)
        return self.boosted_.decision_function(X)

    def predict_proba(self, X: Examples) -> np.ndarray:
        """Return probabilities, shape (n, 2)."""
        check_is_fitted(self)
        return self.boosted_.predict_proba(X)

    def predict(self, X: Examples) -> np.ndarray:
        """Return classes, shape (n,)."""
        check_is_fitted(self)
        return self.boosted_.predict(X)

    def clauses(self, trees: int = 1) -> list[str]:
        """Return the first trees as clauses, one a leaf, each with what it adds to the log-odds."""
        check_is_fitted(self)
        return self.boosted_.clauses(trees)

    @property
    def growth(self) -> Growth:
        """How far trees grow."""
        return Growth(self.depth, self.leaves, self.least, self.shrinkage)

    @property
    def language(self) -> Language:
        """Which conjunctions nodes may ask."""
        return Language(self.literals, self.values)


@dataclass(eq=False)
class Workbench:
    """Examples with what is evaluated of them: trees are grown, fitted again and scored here.

    Attributes
    ----------
    examples : Examples
    y : array of shape (n,)
        1 where the predicate holds, else 0.
    weight : array of shape (n,)
    learner : RelationalBoosting
        Its settings are followed.
    prior : callable, optional
        Of conjunctions, by how much the worth of a split by each is multiplied, shape (m,).
    """

    examples: Examples
    y: np.ndarray
    weight: np.ndarray
    learner: RelationalBoosting
    classes: np.ndarray
    prior: Any = None
    kept: dict[Any, np.ndarray] = field(default_factory=dict)
    _columns: Columns | None = None

    @classmethod
    def of(
        cls, X: Examples, holds: np.ndarray, learner: RelationalBoosting, weight: Any = None, prior: Any = None
    ) -> Workbench:
        """Lay out examples."""
        w = np.ones(len(X)) if weight is None else np.asarray(weight, dtype=float)
        classes = getattr(learner, "classes_", np.array([0, 1]))
        return cls(X, np.asarray(holds, dtype=float), w, learner, classes, prior)

    @property
    def columns(self) -> Columns:
        """What every conjunction of the language says of the examples; evaluated once."""
        if self._columns is None:
            asks = candidates(self.examples.facts, self.examples.predicate.types, self.learner.language)
            prior = None if self.prior is None else self.prior(asks)
            self._columns = Columns.of(asks, self.examples, self.kept, prior)
        return self._columns

    @property
    def rows(self) -> np.ndarray:
        """All positions."""
        return np.arange(len(self.y))

    def bias(self, rows: np.ndarray | None = None) -> float:
        """Return the log-odds of the class, one example of each added."""
        y, w = (self.y, self.weight) if rows is None else (self.y[rows], self.weight[rows])
        positive = float((w * y).sum()) + 0.5
        return float(np.log(positive / (float(w.sum()) + 1.0 - positive)))

    def derivatives(self, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return first and second derivatives of the log-likelihood by the log-odds."""
        p = sigmoid(psi)
        return self.weight * (self.y - p), self.weight * np.maximum(p * (1 - p), 1e-6)

    def from_scratch(self, rows: np.ndarray | None = None) -> Boosted:
        """Boost trees of the whole language."""
        at = self.rows if rows is None else rows
        bias = self.bias(at)
        return self.boosted(bias, self.continued([], np.full(len(self.y), bias), at))

    def continued(self, trees: Sequence[Tree], psi: np.ndarray, rows: np.ndarray) -> list[Tree]:
        """Return the trees and those that are grown after them, until there are as many as the learner has."""
        found = list(trees)
        while len(found) < self.learner.n_trees:
            g, h = self.derivatives(psi)
            grown = grow(self.columns, g, h, self.learner.growth, rows, self.weight)
            tree = scaled(grown, self.learner.learning_rate)
            if isinstance(tree, Leaf):
                break
            found.append(tree)
            psi = psi + scores(tree, self.examples, self.kept)
        return found

    def boosted(self, bias: float, trees: Sequence[Tree]) -> Boosted:
        """Return the fitted sum, with the schema of what it asks about."""
        return Boosted(
            bias, list(trees), self.examples.predicate, schema_of(trees, self.examples.facts.schema), self.classes
        )

    def log_likelihood(self, model: Boosted, rows: np.ndarray) -> np.ndarray:
        """Return the log-likelihood of each of some rows."""
        psi = np.full(len(self.y), model.bias)
        for tree in model.trees:
            psi += scores(tree, self.examples, self.kept)
        z = np.where(self.y > 0, psi, -psi)[rows]
        return -np.logaddexp(0, -z)


def schema_of(trees: Sequence[Tree], schema: dict[str, Predicate]) -> dict[str, Predicate]:
    """Return the part of a schema that trees ask about."""
    from headstart.relations.literals import predicates_of
    from headstart.relations.trees import nodes

    used = {name for tree in trees for node in nodes(tree) for part in node.asks for name in predicates_of(part)}
    return {name: schema[name] for name in sorted(used)}


def scaled(tree: Tree, by: float) -> Tree:
    """Return the tree with its leaves multiplied."""
    if isinstance(tree, Leaf):
        return replace(tree, value=tree.value * by)
    return Node(tree.asks, scaled(tree.yes, by), scaled(tree.no, by))


def leaves(tree: Tree) -> Iterator[Leaf]:
    """Yield the leaves."""
    if isinstance(tree, Leaf):
        yield tree
    else:
        yield from leaves(tree.yes)
        yield from leaves(tree.no)


def two_classes(y: np.ndarray, X: Examples) -> np.ndarray:
    """Return the two classes, what does not hold first.

    Raises
    ------
    InputError
        When there are more or fewer.
    """
    classes = np.unique(np.asarray(y))
    if len(classes) != 2:
        told = f"one class only ({classes[0]})" if len(classes) == 1 else f"{len(classes)} classes"
        raise InputError(
            f"{X.facts.name}: examples of {X.predicate.name} have {told}; a predicate holds or not, so give examples "
            "of both"
        )
    return classes


def require_examples(X: Any) -> None:
    """Refuse rows that are no examples of facts.

    Raises
    ------
    InputError
        When they are something else.
    """
    if not isinstance(X, Examples):
        raise InputError(f"relational trees take examples of facts, not {type(X).__name__}; read them with read_facts")


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-z)).

    >>> sigmoid(np.array([0.0]))
    array([0.5])
    """
    return np.asarray(0.5 * (1 + np.tanh(0.5 * z)))
