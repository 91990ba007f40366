"""MEDA: manifold embedded distribution alignment."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from headstart.domain import stack_rows
from headstart.draws import canonical_order, folds
from headstart.errors import InputError
from headstart.features.adapted_least_squares import AdaptedClassifier
from headstart.features.balance import balance_of
from headstart.features.gfk import GFK
from headstart.features.graph import distinct_rows, to_unit_length
from headstart.inputs import Coded
from headstart.mapping import Map
from headstart.method import Needs

#: Folds in which two sets of rows are told apart, and the ridge penalty there, relative to the columns' mean square.
FOLDS, RIDGE = 5, 1e-3


class MEDA(AdaptedClassifier):
    r"""Manifold embedded distribution alignment: ARTL on a manifold's features, its penalties in balance.

    .. math:: \sum_i w_i\,\|y_i - f(z_i)\|^2 + \eta\|f\|^2
              + \lambda\,\operatorname{tr}(F^\top M_\mu F) + \rho\,\operatorname{tr}(F^\top L F),\qquad
              M_\mu = (1 - \mu)\,k M_0 + \mu \sum_c M_c

    with z the row in the features of the geodesic flow kernel (`GFK`), :math:`M_0` the squared difference of the
    domains' means, :math:`M_c` that of class c, and L the Laplacian of the neighbour graph, all as in `ARTL`, and
    solved as there. The balance is estimated from how well a linear classifier tells the domains apart on rows held
    out (A-distances :math:`d = 2\,(1 - 2\,\mathrm{error})`):

    .. math:: \mu = \frac{\bar d_c}{d_0 + \bar d_c}

    with :math:`d_0` between the domains, and :math:`\bar d_c` the mean of those between the rows of a class. Target
    rows' classes are guessed where they are not known, and guessed anew from every solution. The method is a
    classifier: the learner of `Transfer` is not used. As a transformer it gives the scores f(z), one a class.
    Probabilities are those nearest to the scores.

    Parameters
    ----------
    n_components : int or "auto", default 20
        Dimension of the subspaces between which the geodesic flows, at most as many as there are; 20 in the paper. Too
        few lose what tells classes apart. "auto" is that of `GFK`.
    center : bool, default True
        Take its own mean from each domain first. False for rows that are standardised within each domain already, or
        where zero means something, as in pictures.
    unit_length : bool, default False
        Scale the manifold's features to length 1, as the authors do; that suits counts and pictures.
    kernel : {"rbf", "linear"}, default "rbf"
        exp(-gamma ||z - z'||^2), or the inner product.
    gamma : float, optional
        Width of the rbf kernel; by default 1 / median squared distance. The authors take 0.5, with unit lengths.
    mu : float, optional
        Balance between 0 (the domains as a whole) and 1 (class by class); by default it is estimated.
    mmd_weight : float, default 10.0
        lambda: the larger, the nearer the means of f in both domains.
    manifold_weight : float, default 1.0
        rho: the larger, the more alike f is among neighbours.
    reg : float, default 0.1
        eta, more than zero: the larger, the smoother f.
    n_neighbors : int, default 10
        Neighbours in the graph.
    affinity : {"rbf", "cosine", "binary"}, default "rbf"
        Weights of the graph's edges, and the distance that tells who is near; the paper's is "cosine".
    max_iter : int, default 10
        How often the classifier is learned; it ends before when no guess changes.
    labeler : classifier, optional
        Guesses the target rows' classes first, on the manifold's features; by default the nearest neighbour.
    rank : int, None or "auto", default "auto"
        Landmarks of a Nystroem approximation of the rbf kernel; None: exact; "auto": exact up to 10,000 rows of both
        domains together, beyond it 1,000 landmarks, fewer with more than 100,000 rows (500 with 200,000).
    target_weight : float or "balanced", default "balanced"
        What the error at a labelled target row counts beside a source row's; "balanced" lets them together count as
        much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the landmarks, the folds of the A-distances, and the trees of a graph with more than 20,000 rows.

    Attributes
    ----------
    classes_, n_components_, gamma_, mu_, n_iter_, residual_
        Classes in the order of the scores, dimension of the subspaces, kernel width used, last balance, how often the
        classifier was learned, and the residual of its equations, relative to the right-hand side.

    References
    ----------
    Wang, Feng, Chen, Yu, Huang, Yu: Visual Domain Adaptation with Manifold Embedded Distribution Alignment. ACM
    Multimedia 2018.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys = rng.integers(2, size=200)
    >>> Xs = rng.normal(size=(200, 3)) + 4 * ys[:, None]
    >>> Xt = rng.normal(size=(200, 3)) + 4 * ys[:, None] + [2.0, 0.0, 0.0]
    >>> method = MEDA(n_components=2).fit(Xs, Xt, ys)
    >>> bool((method.transform(Xt).argmax(axis=1) == ys).mean() > 0.95), 0 <= method.mu_ <= 1
    (True, True)
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any", tasks=("classification",))

    def __init__(
        self,
        n_components: int | str = 20,
        center: bool = True,
        unit_length: bool = False,
        kernel: str = "rbf",
        gamma: float | None = None,
        mu: float | None = None,
        mmd_weight: float = 10.0,
        manifold_weight: float = 1.0,
        reg: float = 0.1,
        n_neighbors: int = 10,
        affinity: str = "rbf",
        max_iter: int = 10,
        labeler: Any = None,
        rank: int | str | None = "auto",
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_components = n_components
        self.center = center
        self.unit_length = unit_length
        self.kernel = kernel
        self.gamma = gamma
        self.mu = mu
        self.mmd_weight = mmd_weight
        self.manifold_weight = manifold_weight
        self.reg = reg
        self.n_neighbors = n_neighbors
        self.affinity = affinity
        self.max_iter = max_iter
        self.labeler = labeler
        self.rank = rank
        self.target_weight = target_weight
        self.random_state = random_state

    def learn(self, Xs: Any, Xt: Any, labels: Coded, weight: np.ndarray) -> tuple[Map, Map]:
        """Return the maps of source and of target rows: into the manifold's features, and from there to scores."""
        name = type(self).__name__
        if self.mu is not None and not 0 <= self.mu <= 1:
            raise InputError(f"{name}: mu must be between 0 and 1, not {self.mu}")
        manifold = GFK(self.n_components, center=self.center)
        flows = manifold.align(Xs, Xt)
        self.n_components_ = manifold.n_components_
        to_manifold = [ManifoldMap(flow, self.unit_length) for flow in flows]
        Zs, Zt = to_manifold[0].transform(Xs), to_manifold[1].transform(Xt)
        X = stack_rows([Xs, Xt])
        apart = Balance(Zs, Zt, labels.source, canonical_order(X), self.random_state)

        def balance(guessed: np.ndarray) -> float:
            self.mu_ = apart.mu(guessed) if self.mu is None else float(self.mu)
            return self.mu_

        by, _ = self.adapt(Zs, Zt, labels, weight, distinct_rows(X), balance)
        return ScoreMap(to_manifold[0], by), ScoreMap(to_manifold[1], by)


@dataclass(frozen=True, eq=False)
class ManifoldMap:
    """The map of rows to the features of the geodesic flow kernel, scaled to length 1 where that is asked for."""

    flow: Map
    unit_length: bool

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows, shape (n, 2k)."""
        Z = self.flow.transform(X)
        return np.asarray(to_unit_length(Z) if self.unit_length else Z)


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """One map after another."""

    first: Map
    second: Map

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows."""
        return np.asarray(self.second.transform(self.first.transform(X)))


class Balance:
    """The balance mu, as estimated from how far apart the domains are as a whole, and class by class.

    Folds are drawn by the rows' places in an order of their own, not by their features on the manifold: these may be
    turned or mirrored, which changes no distance and should not change the folds.
    """

    def __init__(
        self, Zs: np.ndarray, Zt: np.ndarray, source: np.ndarray, order: np.ndarray, random_state: int | None
    ) -> None:
        self.Z, self.n_s, self.source, self.random_state = np.concatenate([Zs, Zt]), len(Zs), source, random_state
        self.place = np.empty(len(order))
        self.place[order] = np.arange(len(order))
        self.whole = self._apart(np.arange(len(Zs)), np.arange(len(Zt)))

    def _apart(self, of_s: np.ndarray, of_t: np.ndarray) -> float:
        fewest = min(len(of_s), len(of_t))
        if fewest < 2:
            return 0.0
        rows = np.concatenate([of_s, self.n_s + of_t])
        side = np.repeat([0, 1], [len(of_s), len(of_t)])
        of_row = folds(self.place[rows][:, None], min(FOLDS, fewest), self.random_state, side)
        return a_distance(self.Z[rows], side, of_row)

    def mu(self, target: np.ndarray) -> float:
        """Return the balance when these are the target rows' classes; 1/2 where nothing tells the domains apart."""
        within = [
            self._apart(np.flatnonzero(self.source == c), np.flatnonzero(target == c))
            for c in np.intersect1d(self.source, target)
        ]
        of_classes = float(np.mean(within)) if within else 0.0
        return balance_of(self.whole, of_classes)


def a_distance(Z: np.ndarray, side: np.ndarray, of_row: np.ndarray) -> float:
    """Return the A-distance 2 (1 - 2 error) of two sets of rows, between 0 and 2.

    The error is that of a linear least-squares classifier on rows held out, the mean of its errors in both sets; it
    counts as 1/2 where it is larger. (Ben-David, Blitzer, Crammer, Pereira: Analysis of Representations for Domain
    Adaptation. NIPS 2006.)

    Parameters
    ----------
    Z : array of shape (n, k)
    side : int array of shape (n,)
        0 or 1: the set of each row.
    of_row : int array of shape (n,)
        The fold of each row; every fold leaves rows of both sets to learn from.
    """
    X = np.column_stack([Z - Z.mean(axis=0), np.ones(len(Z))]).astype(np.float64)
    weight = 1 / np.bincount(side)[side]
    wanted = np.where(side == 1, weight, -weight)
    parts = [of_row == fold for fold in range(of_row.max() + 1)]
    grams = [(X[part] * weight[part][:, None]).T @ X[part] for part in parts]
    sums = [X[part].T @ wanted[part] for part in parts]
    gram, total = np.sum(grams, axis=0), np.sum(sums, axis=0)
    ridge = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    wrong = np.empty(len(X))
    for part, own_gram, own_sum in zip(parts, grams, sums, strict=True):
        guess = X[part] @ np.linalg.solve(gram - own_gram + ridge, total - own_sum)
        # A row on the border is half wrong.
        wrong[part] = (1 - np.sign(guess) * np.where(side[part] == 1, 1, -1)) / 2
    error = (wrong[side == 0].mean() + wrong[side == 1].mean()) / 2
    return float(max(0.0, 2 * (1 - 2 * error)))
