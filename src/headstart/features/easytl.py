"""EasyTL: easy transfer learning."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from headstart.errors import InputError
from headstart.features.class_assignment import assigned
from headstart.features.class_scores import FeatureClassifier
from headstart.features.coral import alignment_of
from headstart.inputs import Coded
from headstart.kernels import squared_distances
from headstart.mapping import IdentityMap, Map
from headstart.method import Needs

#: Numbers that are held at once.
MOST_AT_ONCE = 2**22


class EasyTL(FeatureClassifier):
    r"""Easy transfer learning: the nearest class centre decides, but every class gets at least one target row.

    With :math:`D_{cj}` the distance of target row j from the centre of class c, the classes of the target rows are the
    solution of a linear program:

    .. math:: \min_{M \ge 0} \sum_{cj} D_{cj} M_{cj}\quad\text{s.t.}\quad
              \sum_c M_{cj} = 1,\quad \sum_j M_{cj} \ge 1

    The dual has one price :math:`u_c \ge 0` a class, which is zero where a class has more rows than it must have, and a
    row belongs to the class of the smallest :math:`D_c(x) - u_c`. That answers for new rows too, and for those of the
    fit it is the program's own answer, unless rows given twice belong to different classes there. Known target labels
    are kept: they count in the centres, and their classes have their row. With fewer target rows left than classes that
    lack one, the program has no solution, and the nearest centre decides alone.

    The domains' covariances are aligned first (`CORAL`), unless that is switched off. The method is a classifier: the
    learner of `Transfer` is not used. As a transformer it gives the scores :math:`(u_c - D_c(x)) / s`, one a class,
    with s twice the mean lead of the best class over the second among target rows. Probabilities are those nearest to
    the scores: a row with twice the mean lead, or more, is certain.

    Parameters
    ----------
    alignment : {"coral", None}, default "coral"
        What is done about the domains' covariances beforehand. None is the paper's EasyTL(c).
    reg : float, default 1.0
        Added to the diagonal of both covariances before they are aligned; 1 in the paper, for standardised columns.
    align_means : bool, default True
        With "coral", move the source mean onto the target mean as well. The paper standardises each domain beforehand,
        which does the same.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts in its class's centre beside a source row; "balanced" lets them together count
        as much as all source rows, and each at least 1.

    Attributes
    ----------
    classes_, prices_, objective_, gap_
        Classes in the order of the scores, the prices u, the program's objective, and by how much it is above that of
        the dual: not at all, but for rounding.

    References
    ----------
    Wang, Chen, Yu, Huang, Yang: Easy Transfer Learning by Exploiting Intra-domain Structures. ICME 2019.

    Examples
    --------
    Both target rows are nearer to the first class; the one to lose less goes to the second.

    >>> import numpy as np
    >>> Xs, ys = np.array([[0.0], [10.0]]), np.array([0, 1])
    >>> method = EasyTL(alignment=None).fit(Xs, np.array([[1.0], [4.0]]), ys)
    >>> method.transform(np.array([[1.0], [4.0]])).argmax(axis=1), method.objective_
    (array([0, 1]), 7.0)
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, dense=True, learner="any", tasks=("classification",))

    def __init__(
        self,
        alignment: str | None = "coral",
        reg: float = 1.0,
        align_means: bool = True,
        target_weight: float | str = "balanced",
    ) -> None:
        self.alignment = alignment
        self.reg = reg
        self.align_means = align_means
        self.target_weight = target_weight

    def learn(self, Xs: Any, Xt: Any, labels: Coded, weight: np.ndarray) -> tuple[Map, Map]:
        """Return the maps of source and of target rows to class scores."""
        by = self._alignment(Xs, Xt)
        rows = np.concatenate([by.transform(Xs), Xt[labels.known]])
        codes = np.concatenate([labels.source, labels.target[labels.known]])
        counted = np.concatenate([weight[: len(Xs)], weight[len(Xs) :][labels.known]])
        centers = class_centers(rows, codes, counted, len(labels.classes))
        D = distances(Xt[~labels.known], centers)
        lacking = np.ones(len(labels.classes), dtype=bool)
        lacking[labels.target[labels.known]] = False
        program = assigned(D, lacking)
        self.prices_, self.objective_, self.gap_ = program.prices, program.objective, program.gap
        scale = 2 * mean_lead(self.prices_ - D)
        target_map = CenterScores(centers, self.prices_, scale)
        return AlignedScores(by, target_map), target_map

    def _alignment(self, Xs: np.ndarray, Xt: np.ndarray) -> Map:
        if self.alignment is None:
            return IdentityMap()
        if self.alignment != "coral":
            raise InputError(f"{type(self).__name__}: alignment must be 'coral' or None, not {self.alignment!r}")
        return alignment_of(Xs, Xt, self.reg, self.align_means)


@dataclass(frozen=True, eq=False)
class CenterScores:
    """The map of rows to (u_c - D_c(x)) / s, with D_c(x) the distance from the centre of class c."""

    centers: np.ndarray
    prices: np.ndarray
    scale: float

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the scores, shape (n, k), in the rows' own precision."""
        return ((self.prices - distances(X, self.centers)) / self.scale).astype(X.dtype, copy=False)


@dataclass(frozen=True, eq=False)
class AlignedScores:
    """The map of source rows to scores, by way of the target's space."""

    alignment: Map
    scores: Map

    def transform(self, X: Any) -> np.ndarray:
        """Return the scores, shape (n, k)."""
        return np.asarray(self.scores.transform(self.alignment.transform(X)))


def class_centers(X: np.ndarray, codes: np.ndarray, weight: np.ndarray, k: int) -> np.ndarray:
    """Return the weighted mean of each class's rows, shape (k, d)."""
    return np.array(
        [np.average(X[codes == c].astype(np.float64), axis=0, weights=weight[codes == c]) for c in range(k)]
    )


def distances(X: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of each row from each centre, shape (n, k), in double precision."""
    # Seen from the centres' middle, no digits are lost where rows are far from zero.
    middle = centers.mean(axis=0)
    around, D = centers - middle, np.empty((len(X), len(centers)))
    block = max(1, MOST_AT_ONCE // X.shape[1])
    for start in range(0, len(X), block):
        D[start : start + block] = np.sqrt(squared_distances(X[start : start + block] - middle, around))
    return D


def mean_lead(scores: np.ndarray) -> float:
    """Return the mean difference of the two best scores of a row; 1 where there is none."""
    if not len(scores) or scores.shape[1] < 2:
        return 1.0
    two = np.partition(scores, -2, axis=1)[:, -2:]
    return float((two[:, 1] - two[:, 0]).mean()) or 1.0
