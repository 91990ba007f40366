"""GraphTransfer: classes of a graph's nodes, learned at another graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError
from headstart.fitting import counts_each, to_mean_one
from headstart.method import Family, Knowledge, Method, Needs
from headstart.relations.graph_learner import GraphPredictor, require_columns, whole
from headstart.relations.graphs import nodes_of
from headstart.relations.propagation import Axes, find_axes
from headstart.relations.ridge import Ridge, Sums, best_stretch, chosen_alpha, log_loss, one_hot

#: Rounds at the target that "auto" chooses from.
ROUNDS = (0, 1, 2, 5, 10, 20)


@dataclass(frozen=True, eq=False)
class GraphKnowledge:
    """What arrives: how attributes become numbers, and what the source's labelled nodes say of the head."""

    axes: Axes
    sums: Sums
    classes: np.ndarray
    alpha: float
    stretch: float


class GraphTransfer(Method):
    r"""Graph transfer: a linear head on attributes that are propagated, farther at the target than at the source.

    .. math:: Z = S^k (\phi(X) - \mathbf{1} \mu^\top), \quad \bar z_i = z_i / \|z_i\|, \qquad
              S = D^{-1/2} (A + I) D^{-1/2}, \qquad k = k_s \text{ or } k_t

    In each graph every node takes the weighted mean of itself and its neighbours, k times over; attributes
    :math:`\phi(X)` are TF-IDF or standardised columns on the axes of the propagated source (`Axes`). Each domain's rows
    are seen from their own mean :math:`\mu`, so that a shift of the attributes makes no difference, and only directions
    count, for lengths tell of a graph's density. The head is a ridge regression of the classes as 0 and 1, in closed
    form, on the labelled nodes of both domains:

    .. math:: \min_{W, b}\; \sum_i w_i \|\bar z_i^\top W + b - y_i\|^2 + \alpha \|W\|^2

    Parameters
    ----------
    rounds_source : int, default 2
        :math:`k_s`.
    rounds_target : int or "auto", default 10
        :math:`k_t`. "auto" chooses among 0, 1, 2, 5, 10 and 20 by the log-loss of the labelled target nodes, each
        left out in turn, and takes 10 where none is labelled.
    axes : int, default 128
        Axes that are kept.
    alpha : float or "auto", default "auto"
        Penalty; "auto" takes that of 0.01, 0.1, ..., 100 with the least squared error of source nodes, each left out
        in turn.
    target_weight : float or "balanced", default 10
        What a labelled target node counts beside a source node; "balanced" lets them together count as much as all
        source nodes, and each at least 1: that is much for a handful of nodes and many axes.
    random_state : int, default 0
        The search for many axes begins at random ones.

    Attributes
    ----------
    rounds_target_ : int
        The rounds at the target.

    Notes
    -----
    No source node travels: axes, and sums over the labelled source nodes do (of z, z z^T, z y^T and y), from which the
    fit on both domains' nodes follows exactly. Scores are stretched before softmax by what is best for the source's
    nodes, each left out in turn; at the target probabilities may be too sure. Nor is the target's graph inside
    the predictor. It reads nodes of any graph with the same attributes, seen from the mean of the target's.

    Nodes of the source without a label help to find the axes and its mean; unlabelled nodes of the target its mean.
    Neighbours of other domains or sets of rows count as neighbours: their attributes are seen, their labels never.

    References
    ----------
    Wu et al.: Simplifying Graph Convolutional Networks. ICML 2019.
    Liu et al.: Rethinking Propagation for Unsupervised Graph Domain Adaptation. AAAI 2024 (farther at the target).

    Examples
    --------
    >>> from headstart import Domain
    >>> from headstart.method import four_steps
    >>> from headstart.relations import Graph
    >>> def town(seed, n=100):
    ...     rng = np.random.default_rng(seed)
    ...     side = np.repeat([0, 1], n // 2)
    ...     links = rng.uniform(size=(n, n)) < np.where(side[:, None] == side, 0.1, 0.01)
    ...     return Graph(links, rng.normal(side[:, None] * [0.5, -0.5], 1.0)), side
    >>> (source, ys), (target, yt) = town(0), town(1)
    >>> said = {}
    >>> for rounds in (0, 10):
    ...     method = GraphTransfer(rounds_source=min(rounds, 2), rounds_target=rounds)
    ...     journey = four_steps(method, Domain(source.nodes(), ys), Domain(target.nodes()), None)
    ...     said[rounds] = float((journey.predictor.predict(target.nodes()) == yt).mean())
    >>> said                                                  # the share that is right
    {0: 0.65, 10: 1.0}
    """

    family: ClassVar[Family] = Family.RELATIONS
    needs: ClassVar[Needs] = Needs(
        source_rows=False, learner="any", tasks=("classification",), prepared_on="source", reads=("graph",)
    )

    def __init__(
        self,
        rounds_source: int = 2,
        rounds_target: int | str = 10,
        axes: int = 128,
        alpha: float | str = "auto",
        target_weight: float | str = 10.0,
        random_state: Any = 0,
    ) -> None:
        self.rounds_source = rounds_source
        self.rounds_target = rounds_target
        self.axes = axes
        self.alpha = alpha
        self.target_weight = target_weight
        self.random_state = random_state

    def learn_source(self, source: Domain, learner: Any) -> GraphKnowledge:
        """Step 1: find the axes, propagate, and take the sums of the labelled source nodes."""
        name = type(self).__name__
        nodes = nodes_of(source.X, name)
        rounds = whole(self.rounds_source, 0, f"{name}: rounds_source")
        axes = find_axes(nodes.graph, rounds, whole(self.axes, 1, f"{name}: axes"), self.random_state)
        Z = axes.directions(nodes[source.labelled], rounds, axes.centre(nodes))
        Y, w = one_hot(source.labels, source.classes), own_weights(source)
        sums = Sums.of(Z, Y, w)
        alpha = chosen_alpha(self.alpha, sums, Z, Y, w, name)
        stretch = best_stretch(Ridge.fit(sums, alpha).held_out(Z, Y, w), Y.argmax(axis=1), w)
        return GraphKnowledge(axes, sums, source.classes, alpha, stretch)

    def extract(self, learned: GraphKnowledge, source: Domain) -> Knowledge:
        """Step 2: axes and sums are the knowledge."""
        axes = {"scale": learned.axes.scale, "shift": learned.axes.shift, "V": learned.axes.V}
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=False,
            arrays={**axes, **learned.sums.as_arrays()},
            facts={
                "rows": source.n_labelled,
                "classes": learned.classes.tolist(),
                "kind": learned.axes.kind,
                "alpha": learned.alpha,
                "stretch": learned.stretch,
            },
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> GraphKnowledge:
        """Step 3: put axes and sums together again, for the classes of both domains."""
        arrays, facts = knowledge.arrays, knowledge.facts
        axes = Axes(facts["kind"], arrays["scale"], arrays["shift"], arrays["V"])
        require_columns(nodes_of(target.X, type(self).__name__), len(axes.scale), type(self).__name__)
        known = np.array(facts["classes"])
        classes = np.union1d(known, target.classes) if target.n_labelled else known
        sums = Sums.from_arrays(arrays).among(known, classes)
        return GraphKnowledge(axes, sums, classes, facts["alpha"], facts["stretch"])

    def learn_target(self, carried: GraphKnowledge, target: Domain, learner: Any) -> GraphPredictor:
        """Step 4: propagate at the target, add the sums of its labelled nodes, and solve."""
        rounds = self._rounds(target)
        _, self.rounds_target_, centre, fitted = min(
            (self._fit(carried, target, each) for each in rounds), key=lambda found: (found[0], -found[1])
        )
        return GraphPredictor(carried.axes, self.rounds_target_, centre, fitted.head(carried.stretch), carried.classes)

    def _rounds(self, target: Domain) -> tuple[int, ...]:
        """Return the rounds to try at the target."""
        if not isinstance(self.rounds_target, str):
            return (whole(self.rounds_target, 0, f"{type(self).__name__}: rounds_target"),)
        if self.rounds_target != "auto":
            raise InputError(
                f"{type(self).__name__}: rounds_target must be a whole number or 'auto', not {self.rounds_target!r}"
            )
        return ROUNDS if target.n_labelled else (10,)

    def _fit(self, carried: GraphKnowledge, target: Domain, rounds: int) -> tuple[float, int, np.ndarray, Ridge]:
        """Return the log-loss of labelled target nodes, each left out in turn; the rounds, the mean and the fit."""
        nodes = nodes_of(target.X, type(self).__name__)
        centre = carried.axes.centre(nodes)
        if not target.n_labelled:
            return 0.0, rounds, centre, Ridge.fit(carried.sums, carried.alpha)
        Z = carried.axes.directions(nodes[target.labelled], rounds, centre)
        Y, own = one_hot(target.labels, carried.classes), own_weights(target)
        w = own * counts_each(self.target_weight, carried.sums.weight, len(own), least=1.0)
        fitted = Ridge.fit(carried.sums.plus(Sums.of(Z, Y, w)), carried.alpha)
        loss = log_loss(carried.stretch * fitted.held_out(Z, Y, w), Y.argmax(axis=1), own)
        return loss, rounds, centre, fitted


def own_weights(domain: Domain) -> np.ndarray:
    """Return the weights of a domain's labelled rows, of mean 1."""
    labelled = domain.labelled_rows()
    own = to_mean_one(labelled.weight)
    return np.ones(len(labelled)) if own is None else own
