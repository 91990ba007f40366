"""AdversarialGraphTransfer: a hidden layer in which propagated nodes of both graphs can't be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain
from headstart.fitting import counts_each
from headstart.method import Family, Knowledge, Method, Needs
from headstart.relations.graph_learner import GraphPredictor, require_columns, whole
from headstart.relations.graph_transfer import own_weights
from headstart.relations.graphs import nodes_of
from headstart.relations.hidden_head import HiddenHead
from headstart.relations.propagation import Axes, find_axes
from headstart.relations.ridge import one_hot


@dataclass(frozen=True, eq=False)
class SpreadRows:
    """What is learned at the source, and what arrives: axes, and propagated rows with their labels."""

    axes: Axes
    Z: np.ndarray
    labelled: np.ndarray
    y: np.ndarray
    weight: np.ndarray


class AdversarialGraphTransfer(Method):
    r"""Adversarial graph transfer: as `GraphTransfer`, with a hidden layer that hides the domain in place of ridge.

    .. math:: \min_{f, g} \max_{d}\; \sum_i w_i\,\ell\bigl(g(f(\bar z_i)), y_i\bigr) / \textstyle\sum_i w_i
              - \lambda_p\, \mathrm{mean}\,\ell\bigl(d(f(\bar z)), \mathrm{domain}\bigr), \qquad
              \lambda_p = \lambda \Bigl( \tfrac{2}{1 + e^{-10 p}} - 1 \Bigr)

    f is a layer with rectified units, g and d are linear; p goes from 0 to 1 in training. Both sides learn at once: the
    gradient of d is turned round on its way into f. The domains count the same in the mean over all nodes.

    Parameters
    ----------
    rounds_source, rounds_target : int, default 2 and 10
        :math:`k_s, k_t`.
    axes : int, default 128
        Axes that are kept.
    width : int, default 64
        Units of the layer.
    strength : float, default 1.0
        :math:`\lambda`.
    epochs : int, default 200
        Steps of Adam over all nodes.
    target_weight : float or "balanced", default 10
        What a labelled target node counts beside a source node.
    random_state : int, default 0

    Notes
    -----
    Takes torch. The propagated source nodes travel.

    References
    ----------
    Ganin et al.: Domain-Adversarial Training of Neural Networks. JMLR 17, 2016.
    Dai et al.: Graph Transfer Learning via Adversarial Domain Adaptation with Graph Convolution. TKDE 35, 2023.

    Examples
    --------
    >>> from headstart.method import four_steps
    >>> from headstart.relations import Graph
    >>> links = np.kron(np.eye(2), np.ones((5, 5)))
    >>> source, target = Graph(links, np.eye(10)), Graph(links[::-1, ::-1], np.eye(10))
    >>> labels = np.repeat(["left", "right"], 5)
    >>> method = AdversarialGraphTransfer(epochs=50)
    >>> journey = four_steps(method, Domain(source.nodes(), labels), Domain(target.nodes()), None)
    >>> journey.predictor.predict(target.nodes()[[0, 9]])
    array(['left', 'right'], dtype='<U5')
    """

    family: ClassVar[Family] = Family.RELATIONS
    needs: ClassVar[Needs] = Needs(
        target_rows=True, learner="any", tasks=("classification",), prepared_on="source", reads=("graph",)
    )

    def __init__(
        self,
        rounds_source: int = 2,
        rounds_target: int = 10,
        axes: int = 128,
        width: int = 64,
        strength: float = 1.0,
        epochs: int = 200,
        target_weight: float | str = 10.0,
        random_state: int = 0,
    ) -> None:
        self.rounds_source = rounds_source
        self.rounds_target = rounds_target
        self.axes = axes
        self.width = width
        self.strength = strength
        self.epochs = epochs
        self.target_weight = target_weight
        self.random_state = random_state

    def learn_source(self, source: Domain, learner: Any) -> SpreadRows:
        """Step 1: find the axes and propagate."""
        name = type(self).__name__
        nodes = nodes_of(source.X, name)
        rounds = whole(self.rounds_source, 0, f"{name}: rounds_source")
        axes = find_axes(nodes.graph, rounds, whole(self.axes, 1, f"{name}: axes"), self.random_state)
        Z = axes.directions(nodes, rounds, axes.centre(nodes))
        return SpreadRows(axes, Z, np.flatnonzero(source.labelled), source.labels, own_weights(source))

    def extract(self, learned: SpreadRows, source: Domain) -> Knowledge:
        """Step 2: axes, and the propagated nodes with their labels, are the knowledge."""
        axes = {"scale": learned.axes.scale, "shift": learned.axes.shift, "V": learned.axes.V}
        rows = {"Z": learned.Z, "labelled": learned.labelled, "y": learned.y, "weight": learned.weight}
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=True,
            arrays={**axes, **rows},
            facts={"rows": source.n_labelled, "kind": learned.axes.kind},
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> SpreadRows:
        """Step 3: put axes and rows together again."""
        arrays = knowledge.arrays
        axes = Axes(knowledge.facts["kind"], arrays["scale"], arrays["shift"], arrays["V"])
        require_columns(nodes_of(target.X, type(self).__name__), len(axes.scale), type(self).__name__)
        return SpreadRows(axes, *(arrays[name] for name in ("Z", "labelled", "y", "weight")))

    def learn_target(self, carried: SpreadRows, target: Domain, learner: Any) -> GraphPredictor:
        """Step 4: propagate at the target, and train on the nodes of both."""
        name = type(self).__name__
        rounds = whole(self.rounds_target, 0, f"{name}: rounds_target")
        nodes = nodes_of(target.X, name)
        centre = carried.axes.centre(nodes)
        Zt = carried.axes.directions(nodes, rounds, centre)
        source_classes = np.unique(carried.y)
        classes = np.union1d(source_classes, target.classes) if target.n_labelled else source_classes
        own = own_weights(target)
        each = counts_each(self.target_weight, carried.weight.sum(), len(own), least=1.0)
        known = np.concatenate([carried.labelled, len(carried.Z) + np.flatnonzero(target.labelled)])
        Y = one_hot(np.concatenate([carried.y, target.labels]) if len(own) else carried.y, classes)
        head = self._train(carried.Z, Zt, known, Y, np.concatenate([carried.weight, each * own]))
        return GraphPredictor(carried.axes, rounds, centre, head, classes)

    def _train(self, Zs: np.ndarray, Zt: np.ndarray, known: np.ndarray, Y: np.ndarray, w: np.ndarray) -> HiddenHead:
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        name = type(self).__name__
        width, epochs = whole(self.width, 1, f"{name}: width"), whole(self.epochs, 1, f"{name}: epochs")
        rng = np.random.default_rng(self.random_state)
        shapes = {"V": (Zs.shape[1], width), "W": (width, Y.shape[1]), "D": (width, 1)}
        start = {key: rng.normal(size=shape) / np.sqrt(shape[0]) for key, shape in shapes.items()}
        start |= {"c": np.zeros(width), "b": np.zeros(Y.shape[1]), "e": np.zeros(1)}
        p = {key: torch.tensor(value, dtype=torch.float64, requires_grad=True) for key, value in start.items()}
        Z = torch.tensor(np.concatenate([Zs, Zt]), dtype=torch.float64)
        rows, aim = torch.tensor(known), torch.tensor(Y, dtype=torch.float64)
        weight = torch.tensor(w / w.sum(), dtype=torch.float64)
        of_target = torch.cat([torch.zeros(len(Zs), dtype=torch.float64), torch.ones(len(Zt), dtype=torch.float64)])
        half = torch.where(of_target > 0, 0.5 / len(Zt), 0.5 / len(Zs))
        steps = torch.optim.Adam(p.values(), lr=0.01)
        for epoch in range(epochs):
            strength = self.strength * (2 / (1 + np.exp(-10 * epoch / epochs)) - 1)
            hidden = torch.relu(Z @ p["V"] + p["c"])
            # A gradient that is turned round: the value is that of hidden, the slope -strength times it.
            turned = (1 + strength) * hidden.detach() - strength * hidden
            told = (turned @ p["D"] + p["e"])[:, 0]
            loss = (weight * cross_entropy(hidden[rows] @ p["W"] + p["b"], aim, reduction="none")).sum()
            loss = loss + (half * binary_cross_entropy_with_logits(told, of_target, reduction="none")).sum()
            steps.zero_grad()
            loss.backward()
            steps.step()
        V, c, W, b = (p[key].detach().numpy() for key in ("V", "c", "W", "b"))
        return HiddenHead(V, c, W, b)
