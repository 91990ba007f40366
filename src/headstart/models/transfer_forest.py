"""TransferForest: a random forest of the source, each tree refined on the target's rows (SER, STRUT, both)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError
from headstart.method import Needs
from headstart.models.transfer_tree import TREE_NEEDS, NeedsByAlgorithm, TreeTransfer, predictor_of, ser, strut
from headstart.models.trees import Growing, Tree, TreesClassifier, TreesRegressor, as_tree, labelled_rows

#: Which of a forest's trees are refined by which algorithm.
ALGORITHMS = ("ser", "strut", "mix")


class TransferForest(TreeTransfer):
    r"""TransferForest: a random forest learned on the source, each tree of which is refined on the target.

    The source's trees are grown on rows drawn with replacement, each split on a few columns drawn by chance
    (Breiman 2001). At the target each tree is refined by SER or STRUT, as `TransferTree` does it, on all labelled
    target rows; the trees that expand leaves draw columns too. The forest's answer is the mean of the trees':

    .. math:: p(y \mid x) = \frac{1}{T} \sum_{t=1}^{T} p_t(y \mid x)

    What travels are the trees; no source row does.

    Parameters
    ----------
    algorithm : {"ser", "strut", "mix"}, default "ser"
        "mix" refines the first half of the trees by SER and the others by STRUT. STRUT and mix are for
        classification.
    n_estimators : int, default 50
        Trees.
    max_depth : int, optional
    min_samples_leaf : int, default 1
    max_features : "sqrt", "log2", int, float or None, default "sqrt"
        As in scikit-learn's forests, for the source's trees and for those that expand their leaves.
    random_state : int, optional, default 0

    Raises
    ------
    InputError
        When the algorithm is unknown or not for regression, or there are too few trees.

    Notes
    -----
    The paper's mix is the union of the forest refined by SER and the one refined by STRUT; here the union has
    n_estimators trees in all, so that the three algorithms are compared at the same size. Trees vote by their mean
    shares of the classes, as in scikit-learn, and not by a majority. For regression scikit-learn's forests try all
    columns at each split by default; here `max_features` says so for both tasks.

    References
    ----------
    Segev, Harel, Mannor, Crammer, El-Yaniv: Learn on Source, Refine on Target: A Model Transfer Learning Framework
    with Random Forests. IEEE Transactions on Pattern Analysis and Machine Intelligence 39, 2017.
    Breiman: Random Forests. Machine Learning 45, 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from headstart import Transfer
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(size=(200, 3)), 2.0 + rng.normal(size=(20, 3))])
    >>> y = np.append(X[:200, 0] > 0.0, X[200:, 0] > 2.0)
    >>> domain = np.repeat(["source", "target"], [200, 20])
    >>> forest = TransferForest("strut", n_estimators=10)
    >>> fitted = Transfer(forest, RandomForestClassifier()).fit(X, y, domain=domain)
    >>> fitted.predict([[1.0, 2.0, 2.0], [3.0, 2.0, 2.0]])
    array([False,  True])
    """

    needs: ClassVar[Needs] = NeedsByAlgorithm(TREE_NEEDS)  # type: ignore[assignment]

    def __init__(
        self,
        algorithm: str = "ser",
        n_estimators: int = 50,
        max_depth: int | None = None,
        min_samples_leaf: int = 1,
        max_features: Any = "sqrt",
        random_state: int | None = 0,
    ) -> None:
        self.algorithm = algorithm
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.random_state = random_state

    def learn_source(self, source: Domain, learner: Any) -> tuple[list[Tree], np.ndarray | None]:
        """Step 1: grow a random forest on the labelled source rows."""
        classes = self._classes_of(source, learner, ALGORITHMS)
        if self.n_estimators < (2 if self.algorithm == "mix" else 1):
            raise InputError(f"TransferForest: {self.n_estimators} trees are too few for {self.algorithm!r}; take more")
        labelled = labelled_rows(source, classes, type(self).__name__)
        n, rng, growing = len(labelled.y), np.random.default_rng(self.random_state), self._growing()
        trees = []
        for _ in range(self.n_estimators):
            times = np.bincount(rng.integers(n, size=n), minlength=n)
            drawn = np.flatnonzero(times)
            grown = growing.grow(labelled, drawn, int(rng.integers(2**31)), times[drawn])
            trees.append(as_tree(grown, None if classes is None else len(classes)))
        return trees, classes

    def learn_target(self, carried: Any, target: Domain, learner: Any) -> TreesClassifier | TreesRegressor:
        """Step 4: refine each tree on the labelled target rows."""
        trees, classes = carried
        labelled = labelled_rows(target, classes, type(self).__name__)
        rng, growing = np.random.default_rng(self.random_state), self._growing()
        by_ser = {"ser": len(trees), "strut": 0, "mix": (len(trees) + 1) // 2}[self.algorithm]
        refined = [ser(tree, labelled, growing, rng) for tree in trees[:by_ser]]
        return predictor_of(refined + [strut(tree, labelled) for tree in trees[by_ser:]], classes)

    def _growing(self) -> Growing:
        return Growing(self.max_depth, self.min_samples_leaf, self.max_features)
