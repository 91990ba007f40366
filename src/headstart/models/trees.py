"""Decision trees as arrays: grown on labelled rows, taken apart, and predicting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from headstart.domain import Domain
from headstart.errors import InputError
from headstart.fitting import to_mean_one
from headstart.models.counted import counted

#: Differences of errors, gains and divergences that are rounding only.
ROUNDING = 1e-10

#: What stands for a leaf's children.
LEAF = -1


@dataclass(frozen=True, eq=False)
class Tree:
    """A binary tree as arrays; a node's children stand behind it.

    Parameters
    ----------
    left, right : int arrays of shape (nodes,)
        The children of each node, -1 for a leaf. A row goes left when its value is at most the threshold.
    feature : int array of shape (nodes,)
    threshold : array of shape (nodes,)
    value : array of shape (nodes, m)
        Shares of the m classes at each node, or (m = 1) the mean.

    Examples
    --------
    >>> stump = Tree(np.array([1, -1, -1]), np.array([2, -1, -1]), np.zeros(3, int), np.array([0.5, 0, 0]),
    ...              np.array([[2.0], [1.0], [3.0]]))
    >>> stump.values(np.array([[0.5], [0.6]])).ravel()
    array([1., 3.])
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray

    def values(self, X: np.ndarray) -> np.ndarray:
        """Return the values of the leaves that rows in float32 come to, shape (n, m)."""
        node = np.zeros(len(X), dtype=int)
        moving = np.flatnonzero(self.left[node] != LEAF)
        while len(moving):
            at = node[moving]
            goes_left = X[moving, self.feature[at]] <= self.threshold[at]
            node[moving] = np.where(goes_left, self.left[at], self.right[at])
            moving = moving[self.left[node[moving]] != LEAF]
        return np.asarray(self.value[node])


@dataclass(frozen=True, eq=False)
class TreesClassifier:
    """Trees, one or many, whose shares of the classes are averaged; the largest share wins."""

    trees: list[Tree]
    classes_: np.ndarray

    def predict(self, X: Any) -> np.ndarray:
        """Return the classes of rows, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the mean shares of the classes, shape (n, k)."""
        return _mean_values(self.trees, X)


@dataclass(frozen=True, eq=False)
class TreesRegressor:
    """Trees, one or many, whose predictions are averaged."""

    trees: list[Tree]

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions for rows, shape (n,)."""
        return _mean_values(self.trees, X)[:, 0]


def _mean_values(trees: list[Tree], X: Any) -> np.ndarray:
    # Beyond the largest float32 a row lies beyond every threshold, and infinity says that as well.
    with np.errstate(over="ignore"):
        single = np.asarray(X, dtype=np.float32)
    total = trees[0].values(single)
    for tree in trees[1:]:
        total = total + tree.values(single)
    return np.asarray(total / len(trees))


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows on which trees are grown and refined, in an order of their own.

    Parameters
    ----------
    X : float32 array of shape (n, d)
        Scikit-learn's trees see rows in float32; so do we, that each row goes where it went there.
    y : array of shape (n,)
        Numbers of the classes (classification) or values.
    weight : array of shape (n,)
        Of mean 1.
    onehot : array of shape (n, k) or None
        For classification, 1 at each row's class.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    onehot: np.ndarray | None

    def value(self, rows: np.ndarray) -> np.ndarray:
        """Return the classes' shares among some rows, or their mean, shape (m,)."""
        weight = self.weight[rows]
        aims = self.y[rows][:, None] if self.onehot is None else self.onehot[rows]
        return np.asarray(weight @ aims / weight.sum())

    def error(self, rows: np.ndarray, value: np.ndarray) -> float:
        """Return what a leaf of that value gets wrong: the weight of the rows of other classes, or squared errors."""
        weight = self.weight[rows]
        if self.onehot is None:
            return float(weight @ (self.y[rows] - value[0]) ** 2)
        return float(weight @ (self.y[rows] != value.argmax()))

    def alike(self, rows: np.ndarray) -> bool:
        """Tell whether there is nothing to split for: at most one row, or all labels the same."""
        return len(rows) < 2 or bool((self.y[rows] == self.y[rows[0]]).all())


def labelled_rows(domain: Domain, classes: np.ndarray | None, name: str) -> LabelledRows:
    """Return a domain's labelled rows of a weight above zero, sorted by label and contents.

    Raises
    ------
    InputError, NeedsError
        When a value is beyond what float32 holds, or no row weighs anything.
    """
    labelled = counted(domain, name)
    with np.errstate(over="ignore"):
        X = np.asarray(labelled.X, dtype=np.float32)
    if not np.isfinite(X).all():
        raise InputError(f"{name}: {domain.name} holds values beyond 3e38, too large for trees; scale the columns")
    y = labelled.labels.astype(float) if classes is None else np.searchsorted(classes, labelled.labels)
    own = to_mean_one(labelled.weight)
    weight = np.ones(len(y)) if own is None else own
    order = np.lexsort((weight, *X.T[::-1], y))
    onehot = None if classes is None else np.eye(len(classes))[y[order]]
    return LabelledRows(X[order], y[order], weight[order], onehot)


@dataclass(frozen=True)
class Growing:
    """How trees grow, those of the source and those that expand its leaves."""

    max_depth: int | None
    min_samples_leaf: int
    max_features: Any

    def grow(self, labelled: LabelledRows, rows: np.ndarray, seed: int | None, counts: np.ndarray | None = None) -> Any:
        """Return scikit-learn's tree, fitted on some rows, each of which counts once or `counts` times."""
        regression = labelled.onehot is None
        learner = (DecisionTreeRegressor if regression else DecisionTreeClassifier)(
            # STRUT looks for thresholds of locally largest information, so trees must be grown for information.
            criterion="squared_error" if regression else "entropy",
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            random_state=seed,
        )
        weight = labelled.weight[rows]
        return learner.fit(
            labelled.X[rows], labelled.y[rows], sample_weight=weight if counts is None else weight * counts
        )


def as_tree(fitted: Any, k: int | None) -> Tree:
    """Return scikit-learn's fitted tree as arrays, with a column for each of k classes (None: regression)."""
    grown = fitted.tree_
    value = np.array(grown.value[:, 0, :])
    if k is not None:
        shares = np.zeros((len(value), k))
        shares[:, fitted.classes_] = value / value.sum(axis=1, keepdims=True)
        value = shares
    left, right = (np.array(side, dtype=int) for side in (grown.children_left, grown.children_right))
    return Tree(left, right, np.maximum(grown.feature, 0).astype(int), np.array(grown.threshold), value)
