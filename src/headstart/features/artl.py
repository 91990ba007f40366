"""ARTL: adaptation regularization, with the squared loss."""

from typing import Any, ClassVar

import numpy as np

from headstart.domain import stack_rows
from headstart.features.adapted_least_squares import AdaptedClassifier
from headstart.features.graph import distinct_rows
from headstart.inputs import Coded
from headstart.mapping import Map
from headstart.method import Needs


class ARTL(AdaptedClassifier):
    r"""Adaptation regularization: a classifier for both domains, to whose errors its adaptation is a penalty.

    Minimises, over the functions f of the kernel's space (one a class),

    .. math:: \sum_i w_i\,\|y_i - f(x_i)\|^2 + \sigma\|f\|^2
              + \lambda\,\operatorname{tr}(F^\top M F) + \gamma\,\operatorname{tr}(F^\top L F)

    where i runs over the labelled rows, y has a 1 for the class and 0 otherwise, and F are the values at all rows. M
    takes the squared differences between the domains of f's means, and of its means in each class (classes of target
    rows are guessed where they are not known); L is the normalised Laplacian of the graph of nearest neighbours. The
    minimum is in closed form, with K the kernel and E the diagonal of the weights w:

    .. math:: F = K\alpha,\qquad \alpha = ((E + \lambda M + \gamma L) K + \sigma I)^{-1} E Y

    This is the paper's ARRLS. The method is a classifier: the learner of `Transfer` is not used. As a transformer it
    gives the scores f(x), one a class. Probabilities are those nearest to the scores.

    Parameters
    ----------
    kernel : {"rbf", "linear"}, default "rbf"
        exp(-gamma ||x - x'||^2), or the inner product.
    gamma : float, optional
        Width of the rbf kernel; by default 1 / median squared distance. The authors take rows of length 1 and 0.5.
    mmd_weight : float, default 10.0
        lambda: the larger, the nearer the means of f in both domains. M is scaled to Frobenius norm 1, with the
        difference of the domains' means counting as much as all classes together, as the authors do.
    manifold_weight : float, default 1.0
        gamma in the formula: the larger, the more alike f is among neighbours.
    reg : float, default 0.1
        sigma, more than zero: the larger, the smoother f.
    n_neighbors : int, default 10
        Neighbours in the graph.
    affinity : {"rbf", "cosine", "binary"}, default "rbf"
        Weights of the graph's edges, and the distance that tells who is near: see `neighbour_graph`; the paper's is
        "cosine", which suits counts and pictures.
    max_iter : int, default 10
        How often the classifier is learned, each time with the classes guessed by the last one; it ends before when no
        guess changes. 1 is the paper's closed form, with the guesses of `labeler`.
    labeler : classifier, optional
        Guesses the target rows' classes first; by default the nearest neighbour.
    rank : int, None or "auto", default "auto"
        Landmarks of a Nystroem approximation of the rbf kernel; None: exact; "auto": exact up to 10,000 rows of both
        domains together, beyond it 1,000 landmarks, fewer with more than 100,000 rows (500 with 200,000).
    target_weight : float or "balanced", default "balanced"
        What the error at a labelled target row counts beside a source row's; "balanced" lets them together count as
        much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the landmarks, and the trees of the graph with more than 20,000 rows.

    Attributes
    ----------
    classes_, gamma_, n_iter_, residual_
        Classes in the order of the scores, kernel width used, how often the classifier was learned, and the residual
        of its equations, relative to the right-hand side.

    References
    ----------
    Long, Wang, Ding, Pan, Yu: Adaptation Regularization: A General Framework for Transfer Learning. IEEE Transactions
    on Knowledge and Data Engineering 2014.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys = rng.integers(2, size=200)
    >>> Xs = rng.normal(size=(200, 2)) + 4 * ys[:, None]
    >>> Xt = rng.normal(size=(200, 2)) + 4 * ys[:, None] + [2.0, 0.0]
    >>> scores = ARTL().fit(Xs, Xt, ys).transform(Xt)
    >>> bool((scores.argmax(axis=1) == ys).mean() > 0.95)
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any", tasks=("classification",))

    def __init__(
        self,
        kernel: str = "rbf",
        gamma: float | None = None,
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
        self.kernel = kernel
        self.gamma = gamma
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
        """Return the map of rows of both domains to class scores, twice."""
        by, _ = self.adapt(Xs, Xt, labels, weight, distinct_rows(stack_rows([Xs, Xt])), lambda guessed: 0.5)
        return by, by
