"""TransferTree: a decision tree of the source, refined on the target's rows (SER, STRUT)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import rel_entr
from sklearn.base import is_classifier

from headstart.domain import Domain
from headstart.errors import InputError
from headstart.method import Family, Knowledge, Method, Needs
from headstart.models.trees import (
    LEAF,
    ROUNDING,
    Growing,
    LabelledRows,
    Tree,
    TreesClassifier,
    TreesRegressor,
    as_tree,
    labelled_rows,
)


class TreeTransfer(Method):
    """What transfer by one tree and by many share: how trees are packed, and how they are refined."""

    family: ClassVar[Family] = Family.MODELS
    algorithm: str

    def extract(self, learned: Any, source: Domain) -> Knowledge:
        """Step 2: structure, thresholds and the shares of the classes at the nodes are the knowledge."""
        trees, classes = learned
        arrays = {
            part: np.concatenate([getattr(tree, part) for tree in trees])
            for part in ("left", "right", "feature", "threshold", "value")
        }
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=False,
            arrays={**arrays, "nodes": np.array([len(tree.left) for tree in trees])},
            facts={"rows": source.n_labelled, "classes": None if classes is None else classes.tolist()},
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> tuple[list[Tree], np.ndarray | None]:
        """Step 3: unpack the trees, with a share (of zero) for each class that only the target has."""
        arrays, classes = dict(knowledge.arrays), knowledge.facts["classes"]
        if classes is not None:
            known = np.array(classes)
            classes = np.union1d(known, target.classes)
            value = np.zeros((len(arrays["value"]), len(classes)))
            value[:, np.searchsorted(classes, known)] = arrays["value"]
            arrays["value"] = value
        ends = np.cumsum(arrays.pop("nodes"))[:-1]
        pieces = {part: np.split(array, ends) for part, array in arrays.items()}
        trees = [Tree(**dict(zip(pieces, parts, strict=True))) for parts in zip(*pieces.values(), strict=True)]
        return trees, classes

    def _classes_of(self, source: Domain, learner: Any, algorithms: tuple[str, ...]) -> np.ndarray | None:
        name, algorithm = type(self).__name__, self.algorithm
        if algorithm not in algorithms:
            raise InputError(f"{name}: algorithm must be one of {', '.join(algorithms)}, not {algorithm!r}")
        if not is_classifier(learner) and algorithm != "ser":
            raise InputError(f"{name}: {algorithm} compares classes and is for classification; take algorithm='ser'")
        return source.classes if is_classifier(learner) else None


def predictor_of(trees: list[Tree], classes: np.ndarray | None) -> TreesClassifier | TreesRegressor:
    """Return trees as what predicts."""
    return TreesRegressor(trees) if classes is None else TreesClassifier(trees, classes)


class NeedsByAlgorithm:
    """Needs in which only SER is for regression: read off a method; off its class, those of SER."""

    def __init__(self, needs: Needs) -> None:
        self.needs = needs

    def __get__(self, method: Any, owner: type) -> Needs:
        if method is None or method.algorithm == "ser":
            return self.needs
        return replace(self.needs, tasks=("classification",))


#: What both tree methods need.
TREE_NEEDS = Needs(target_labels=True, source_rows=False, dense=True, learner="any", prepared_on="source")


class TransferTree(TreeTransfer):
    r"""TransferTree: a decision tree learned on the source, whose structure or thresholds are refined on the target.

    **SER** (structure expansion and reduction). Expansion: in every leaf that labelled target rows reach, a tree is
    grown on those rows. Reduction, from the bottom up: an inner node becomes a leaf where that costs nothing,

    .. math:: \mathrm{error}(\mathrm{leaf}) \leq \mathrm{error}(\mathrm{subtree}),

    errors counted on the target rows that reach the node.

    **STRUT** (structure transfer). The tree keeps its features, and each node chooses its threshold anew, from the
    top down, on the target rows that reach it. With :math:`Q_l, Q_r` the target's shares of the classes left and
    right of a threshold, :math:`p_l, p_r` the parts of the rows there, and :math:`S_l, S_r` the source's shares at
    the two children, the threshold has the largest divergence gain

    .. math:: DG(\tau) = 1 - p_l\, JSD(Q_l, S_l) - p_r\, JSD(Q_r, S_r)

    (Jensen-Shannon divergence, base 2) among the local maxima of the information gain. The same with :math:`S_l` and
    :math:`S_r` exchanged is tried too; where that gains more, the two children swap places.

    In both, leaves that target rows reach give the target's shares of the classes. What travels is the tree; no
    source row does.

    Parameters
    ----------
    algorithm : {"ser", "strut"}, default "ser"
        STRUT is for classification; SER for regression too, with squared errors.
    max_depth : int, optional
    min_samples_leaf : int, default 1
        Limits of the source's tree and of each tree that expands a leaf, as in scikit-learn's trees. All are grown for
        information (entropy), as in the paper, or squared errors.
    random_state : int, optional, default 0
        Decides between equally good splits.

    Raises
    ------
    InputError
        When the algorithm is unknown or not for regression, or values are too large for float32.

    Notes
    -----
    The learner given to `Transfer` is not used; it says whether classes or numbers are predicted. Rows are compared
    in float32, as in scikit-learn's trees. Rows' weights count in errors, shares and gains.

    Where the paper leaves a choice. SER: a node that no target row reaches has error 0 as a subtree and as a leaf,
    and so becomes a leaf; it keeps the source's shares of the classes. A reduced node that target rows reach gives
    their shares. STRUT: a node reached by fewer than two target rows, by rows of one class, or by rows that are the
    same in the node's feature has no threshold to choose, and becomes a leaf. Thresholds are midpoints between values
    of the target; of equal divergence gains the one with more information wins, then the smallest threshold; children
    that swap must gain by it. A class that only the target knows has a source share of zero.

    With few target rows both algorithms leave small trees: they trust the target's labels wherever there are some.

    References
    ----------
    Segev, Harel, Mannor, Crammer, El-Yaniv: Learn on Source, Refine on Target: A Model Transfer Learning Framework
    with Random Forests. IEEE Transactions on Pattern Analysis and Machine Intelligence 39, 2017.

    Examples
    --------
    The source's threshold lies at 1.5; the target's rows have moved by ten, and STRUT finds the threshold again.

    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from headstart import Transfer
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [10.0], [11.0], [12.0], [13.0]])
    >>> y = ["a", "a", "b", "b", "a", "a", "b", "b"]
    >>> domain = ["source"] * 4 + ["target"] * 4
    >>> fitted = Transfer(TransferTree("strut"), DecisionTreeClassifier()).fit(X, y, domain=domain)
    >>> fitted.predictor_.trees[0].threshold[:1], fitted.predict([[11.4], [11.6]])
    (array([11.5]), array(['a', 'b'], dtype='<U1'))
    """

    needs: ClassVar[Needs] = NeedsByAlgorithm(TREE_NEEDS)  # type: ignore[assignment]

    def __init__(
        self,
        algorithm: str = "ser",
        max_depth: int | None = None,
        min_samples_leaf: int = 1,
        random_state: int | None = 0,
    ) -> None:
        self.algorithm = algorithm
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.random_state = random_state

    def learn_source(self, source: Domain, learner: Any) -> tuple[list[Tree], np.ndarray | None]:
        """Step 1: grow a tree on the labelled source rows."""
        classes = self._classes_of(source, learner, ("ser", "strut"))
        labelled = labelled_rows(source, classes, type(self).__name__)
        grown = self._growing().grow(labelled, np.arange(len(labelled.y)), self.random_state)
        return [as_tree(grown, None if classes is None else len(classes))], classes

    def learn_target(self, carried: Any, target: Domain, learner: Any) -> TreesClassifier | TreesRegressor:
        """Step 4: refine the tree on the labelled target rows."""
        (tree,), classes = carried
        labelled = labelled_rows(target, classes, type(self).__name__)
        if self.algorithm == "strut":
            refined = strut(tree, labelled)
        else:
            refined = ser(tree, labelled, self._growing(), np.random.default_rng(self.random_state))
        return predictor_of([refined], classes)

    def _growing(self) -> Growing:
        return Growing(self.max_depth, self.min_samples_leaf, None)


def ser(tree: Tree, labelled: LabelledRows, growing: Growing, rng: np.random.Generator) -> Tree:
    """Expand each leaf by a tree grown on the target rows that reach it, then reduce from the bottom up."""
    left, right = tree.left.tolist(), tree.right.tolist()
    feature, threshold = tree.feature.tolist(), tree.threshold.tolist()
    value = list(tree.value)
    reach = [np.arange(len(labelled.y)), *[np.empty(0, dtype=int)] * (len(left) - 1)]
    node = 0
    # What is added stands behind all nodes of the source's tree, and behind its parent: one pass goes from the top
    # down, and the same backwards from the bottom up.
    while node < len(left):
        rows = reach[node]
        if len(rows):
            value[node] = labelled.value(rows)
        if left[node] == LEAF and node < len(tree.left) and not labelled.alike(rows):
            grown = growing.grow(labelled, rows, int(rng.integers(2**31))).tree_
            # The root of what was grown takes the leaf's place; its other nodes come to the end.
            shift = len(left) - 1
            ahead = grown.node_count - 1
            for mine, theirs in ((left, grown.children_left), (right, grown.children_right)):
                moved = np.where(theirs == LEAF, LEAF, theirs + shift).tolist()
                mine[node] = moved[0]
                mine.extend(moved[1:])
            for mine, theirs in ((feature, np.maximum(grown.feature, 0)), (threshold, grown.threshold)):
                mine[node] = theirs[0].item()
                mine.extend(theirs[1:].tolist())
            value.extend([value[node]] * ahead)
            reach.extend([np.empty(0, dtype=int)] * ahead)
        if left[node] != LEAF:
            goes_left = labelled.X[rows, feature[node]] <= threshold[node]
            reach[left[node]], reach[right[node]] = rows[goes_left], rows[~goes_left]
        node += 1
    error = np.zeros(len(left))
    for node in reversed(range(len(left))):
        rows = reach[node]
        # Rows of one label, and no row, are right in any leaf of theirs.
        as_leaf = 0.0 if labelled.alike(rows) else labelled.error(rows, value[node])
        error[node] = as_leaf if left[node] == LEAF else error[left[node]] + error[right[node]]
        if as_leaf <= error[node] + ROUNDING * as_leaf:
            left[node] = right[node] = LEAF
            error[node] = as_leaf
    return _compact(left, right, feature, threshold, value)


def strut(tree: Tree, labelled: LabelledRows) -> Tree:
    """Choose each node's threshold anew on the target rows that reach it, from the top down."""
    left, right, threshold = tree.left.tolist(), tree.right.tolist(), tree.threshold.tolist()
    value = list(tree.value)
    reach = {0: np.arange(len(labelled.y))}
    for node in range(len(left)):
        if node not in reach:
            continue
        rows = reach[node]
        value[node] = labelled.value(rows)
        if left[node] == LEAF:
            continue
        at, sources = labelled.X[rows, tree.feature[node]], (tree.value[left[node]], tree.value[right[node]])
        found = None
        if not labelled.alike(rows):
            found = best_threshold(at, labelled.onehot[rows], labelled.weight[rows], *sources)  # type: ignore[index]
        if found is None:
            left[node] = right[node] = LEAF
            continue
        threshold[node], swaps = found
        if swaps:
            left[node], right[node] = right[node], left[node]
        goes_left = at <= threshold[node]
        reach[left[node]], reach[right[node]] = rows[goes_left], rows[~goes_left]
    return _compact(left, right, tree.feature.tolist(), threshold, value)


def best_threshold(
    x: np.ndarray, onehot: np.ndarray, weight: np.ndarray, S_l: np.ndarray, S_r: np.ndarray
) -> tuple[float, bool] | None:
    """Return STRUT's threshold for target values x (n,), and whether the children swap; None without any.

    Examples
    --------
    Source children (a, b) are (1, 0) on the left and (0, 1) on the right; in the target it is the other way round.

    >>> onehot = np.eye(2)[[1, 1, 0, 0]]
    >>> best_threshold(np.array([0.0, 1, 2, 3]), onehot, np.ones(4), np.array([1.0, 0]), np.array([0, 1.0]))
    (1.5, True)
    """
    order = np.argsort(x, kind="stable")
    x = x[order].astype(np.float64)
    cuts = np.flatnonzero(x[1:] > x[:-1])
    if not len(cuts):
        return None
    running = np.cumsum(onehot[order] * weight[order][:, None], axis=0)
    on_left = running[cuts]
    on_right = running[-1] - on_left
    # What is left of a difference of sums is rounding where a class has run out.
    on_right[on_right < ROUNDING * running[-1].sum()] = 0.0
    n_l, n_r = on_left.sum(axis=1), on_right.sum(axis=1)
    Q_l, Q_r = on_left / n_l[:, None], on_right / n_r[:, None]
    p_l, p_r = n_l / (n_l + n_r), n_r / (n_l + n_r)
    information = entropy(running[-1:] / running[-1].sum()) - p_l * entropy(Q_l) - p_r * entropy(Q_r)
    padded = np.concatenate([[0.0], information, [0.0]])
    peaks = np.flatnonzero((information >= padded[:-2] - ROUNDING) & (information >= padded[2:] - ROUNDING))
    straight = 1 - p_l * divergence(Q_l, S_l) - p_r * divergence(Q_r, S_r)
    swapped = 1 - p_l * divergence(Q_l, S_r) - p_r * divergence(Q_r, S_l)
    swaps = bool(swapped[peaks].max() > straight[peaks].max() + ROUNDING)
    gain = (swapped if swaps else straight)[peaks]
    peaks = peaks[gain >= gain.max() - ROUNDING]
    cut = cuts[peaks[np.argmax(information[peaks] >= information[peaks].max() - ROUNDING)]]
    return float((x[cut] + x[cut + 1]) / 2), swaps


def entropy(P: np.ndarray) -> np.ndarray:
    """Return the entropy of each row of shares in bits, shape (n,)."""
    return np.asarray(-rel_entr(P, 1.0).sum(axis=1) / np.log(2))


def divergence(P: np.ndarray, S: np.ndarray) -> np.ndarray:
    """Return the Jensen-Shannon divergence in bits between each row of P and the shares S, shape (n,).

    >>> divergence(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0.0, 1.0])).round(4)
    array([1.    , 0.3113])
    """
    M = (P + S) / 2
    return np.asarray((rel_entr(P, M) + rel_entr(S, M)).sum(axis=1) / (2 * np.log(2)))


def _compact(left: list[int], right: list[int], feature: list[int], threshold: list[float], value: list[Any]) -> Tree:
    """Return the tree of the nodes that the root still leads to."""
    kept, waiting = [], [0]
    while waiting:
        node = waiting.pop()
        kept.append(node)
        if left[node] != LEAF:
            waiting.extend((right[node], left[node]))
    place = {node: i for i, node in enumerate(kept)} | {LEAF: LEAF}
    return Tree(
        np.array([place[left[node]] for node in kept]),
        np.array([place[right[node]] for node in kept]),
        np.array([feature[node] for node in kept]),
        np.array([threshold[node] for node in kept]),
        np.array([value[node] for node in kept]),
    )
