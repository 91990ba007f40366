"""GraphClassifier: learn the classes of a graph's nodes from those of some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from headstart.domain import as_labels, as_weights, missing
from headstart.errors import InputError
from headstart.relations.graphs import Nodes, nodes_of
from headstart.relations.propagation import Axes, find_axes
from headstart.relations.ridge import Head, Ridge, Sums, best_stretch, chosen_alpha, one_hot

if TYPE_CHECKING:
    from headstart.relations.hidden_head import HiddenHead


@dataclass(frozen=True, eq=False)
class GraphPredictor:
    """From nodes of any graph with the same attributes to classes. No graph is inside.

    Parameters
    ----------
    axes : Axes
        Attributes into numbers.
    rounds : int
        How often they are propagated.
    centre : array of shape (r,)
        The mean that is taken away before.
    head : Head or HiddenHead
    classes_ : array of shape (k,)
    """

    axes: Axes
    rounds: int
    centre: np.ndarray
    head: Head | HiddenHead
    classes_: np.ndarray

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities of nodes, shape (n, k)."""
        nodes = nodes_of(X, type(self).__name__)
        require_columns(nodes, len(self.axes.scale), type(self).__name__)
        return self.head.probabilities(self.axes.directions(nodes, self.rounds, self.centre))

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of nodes, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class GraphClassifier(ClassifierMixin, BaseEstimator):
    r"""A linear classifier of nodes whose attributes are propagated along the links.

    .. math:: Z = S^k (\phi(X) - \mathbf{1} \mu^\top), \quad \bar z_i = z_i / \|z_i\|, \qquad
              \min_{W, b}\; \sum_i \|\bar z_i^\top W + b - y_i\|^2 + \alpha \|W\|^2

    with :math:`S = D^{-1/2} (A + I) D^{-1/2}`, :math:`\phi` the `Axes` of the whole graph, :math:`\mu` the mean of all
    nodes on them, and classes y as 0 and 1.
    Nodes without a label take part in axes and mean. Scores are stretched before softmax by what
    is best for the labelled rows, each left out in turn. It is the learner of `TargetOnly` for graphs.

    Parameters
    ----------
    rounds : int, default 10
        k; 0 is the classifier without the graph.
    axes : int, default 128
        Axes that are kept.
    alpha : float or "auto", default "auto"
        Penalty; "auto" takes that of 0.01, 0.1, ..., 100 with the least squared error, each row left out in turn.
    random_state : int, default 0
        The search for many axes begins at random ones.

    Attributes
    ----------
    classes_ : array of shape (k,)
    predictor_ : GraphPredictor

    References
    ----------
    Wu et al.: Simplifying Graph Convolutional Networks. ICML 2019.

    Examples
    --------
    Two cliques of four, joined by one link; one label in each.

    >>> from headstart.relations import Graph
    >>> links = np.kron(np.eye(2), np.ones((4, 4)))
    >>> links[3, 4] = 1
    >>> nodes = Graph(links, np.eye(8)).nodes()
    >>> GraphClassifier(rounds=3).fit(nodes[[0, 7]], ["left", "right"]).predict(nodes)
    array(['left', 'left', 'left', 'left', 'right', 'right', 'right', 'right'], dtype='<U5')
    """

    def __init__(
        self,
        rounds: int = 10,
        axes: int = 128,
        alpha: float | str = "auto",
        random_state: Any = 0,
    ) -> None:
        self.rounds = rounds
        self.axes = axes
        self.alpha = alpha
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from labelled nodes of a graph.

        Parameters
        ----------
        X : Nodes of shape (n, d)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional

        Raises
        ------
        InputError
            When rows are no nodes, a label is missing, or there is one class only.
        """
        name = type(self).__name__
        nodes, labels = nodes_of(X, name), as_labels(y, where=name)
        if len(labels) != len(nodes):
            raise InputError(f"{name}: {len(nodes)} nodes but {len(labels)} labels")
        if missing(labels).any():
            raise InputError(f"{name}: a label is missing; leave out the nodes without")
        labels = np.array(labels.tolist()) if labels.dtype.kind == "O" else labels
        w = np.ones(len(labels)) if sample_weight is None else as_weights(sample_weight, len(labels), where=name)
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise InputError(f"{name}: one class only ({self.classes_[0]}); label nodes of another class")
        rounds = whole(self.rounds, 0, f"{name}: rounds")
        axes = find_axes(nodes.graph, rounds, whole(self.axes, 1, f"{name}: axes"), self.random_state)
        centre = axes.centre(nodes.graph.nodes())
        Z = axes.directions(nodes, rounds, centre)
        Y = one_hot(labels, self.classes_)
        sums = Sums.of(Z, Y, w)
        fitted = Ridge.fit(sums, chosen_alpha(self.alpha, sums, Z, Y, w, name))
        head = fitted.head(best_stretch(fitted.held_out(Z, Y, w), Y.argmax(axis=1), w))
        self.predictor_ = GraphPredictor(axes, rounds, centre, head, self.classes_)
        self.n_features_in_ = nodes.shape[1]
        return self

    def predict_proba(self, X: Nodes) -> np.ndarray:
        """Return class probabilities of nodes, of the same graph or another, shape (n, k)."""
        check_is_fitted(self, "predictor_")
        return self.predictor_.predict_proba(X)

    def predict(self, X: Nodes) -> np.ndarray:
        """Return the likeliest class of nodes, shape (n,)."""
        check_is_fitted(self, "predictor_")
        return self.predictor_.predict(X)


def whole(value: Any, least: int, what: str) -> int:
    """Return a whole number that is not too small; refuse others."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InputError(f"{what} must be a whole number, {least} or more, not {value!r}")
    return int(value)


def require_columns(nodes: Nodes, columns: int, name: str) -> None:
    """Refuse nodes with another number of attributes."""
    if nodes.shape[1] != columns:
        raise InputError(f"{name}: nodes have {nodes.shape[1]} attributes; it was fitted on {columns}")
