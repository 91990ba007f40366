"""Nearest-neighbour weighting."""

from typing import Any, ClassVar

import numpy as np
from sklearn.neighbors import NearestNeighbors

from headstart.draws import pick
from headstart.errors import InputError
from headstart.instances.base import InstanceMethod
from headstart.instances.overlap import warn_when_apart
from headstart.instances.places import places
from headstart.method import Needs

#: Columns up to which a tree finds neighbours sooner than comparing all rows.
MOST_TREE_COLUMNS = 5


class NearestNeighborWeighting(InstanceMethod):
    r"""Nearest-neighbour weighting: a source row weighs as much as target rows have it for their nearest.

    Each target row gives one vote, 1/k to each of its k nearest source rows (Euclidean distance on the columns as
    they are). With :math:`c_i` the votes of source row i,

    .. math:: w_i = n_s\,\frac{c_i + \lambda}{n_t + \lambda n_s},

    which has a mean of 1. Without smoothing, weighted means over the source rows are those over each target row's
    nearest source rows, and so approach the target's. The weight of a single row stays noisy however many rows there
    are when k = 1, for the size of its cell is chance; it approaches p_t(x)/p_s(x) when k grows as well, as
    sqrt(n_s) for instance. Smoothing pulls all weights towards 1, by the share :math:`\lambda n_s/(n_t+\lambda n_s)`
    of the way.

    The weights belong to the sample: a row outside of it has no cell, so there is no `ratio` for new rows. Equal
    source rows share their votes evenly, as breaking ties by chance would do on average.

    Parameters
    ----------
    n_neighbors : int, default 1
        Source rows among which a target row divides its vote; 1 as in the paper. More make weights smoother.
    smoothing : float, default 1
        Votes that every source row has beforehand (Laplace), so that none weighs nothing; 1 as in the paper, 0 for
        the votes alone.
    max_rows : int or None, default 50000
        Let at most so many target rows vote, drawn at random, so that time grows with n_s * max_rows; None lets all.
        Measured on 5,000 rows of each domain with half of the voters: weighted means as near to the target's as with
        all, and weights that differ from those of all by a relative squared difference of 0.02 (50 columns) to 0.18
        (one column).
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts when the learner is fitted, where source weights add up to the effective
        size; "balanced" lets them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the target rows that vote; not used when all do.

    Attributes
    ----------
    effective_size_ : float
        (sum w)^2 / sum w^2.

    References
    ----------
    Loog: Nearest neighbor-based importance weighting. MLSP 2012.

    Examples
    --------
    >>> import numpy as np
    >>> Xs, Xt = np.array([[0.0], [1.0], [5.0]]), np.array([[0.9], [1.2], [4.0]])
    >>> NearestNeighborWeighting(smoothing=0).weigh(Xs, Xt)
    array([0., 2., 1.])
    >>> NearestNeighborWeighting().weigh(Xs, Xt)
    array([0.5, 1.5, 1. ])
    """

    needs: ClassVar[Needs] = Needs(target_rows=True)

    def __init__(
        self,
        n_neighbors: int = 1,
        smoothing: float = 1.0,
        max_rows: int | None = 50_000,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.smoothing = smoothing
        self.max_rows = max_rows
        self.target_weight = target_weight
        self.random_state = random_state

    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> np.ndarray:
        """Return the weight of each source row.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
            Source and target rows. Labels are not used.

        Returns
        -------
        w : array of shape (n_s,), with a mean of 1.

        Raises
        ------
        InputError
            When there are fewer source rows than neighbours, smoothing is negative, or no row may vote.
        """
        Xs, Xt = self.rows_of_both(Xs, Xt)
        warn_when_apart("NearestNeighborWeighting", Xs, Xt)
        n_s, n_t = Xs.shape[0], Xt.shape[0]
        if not 1 <= self.n_neighbors <= n_s:
            raise InputError(
                f"NearestNeighborWeighting: n_neighbors={self.n_neighbors} with {n_s} source rows; "
                "take at least 1 and no more than there are"
            )
        if self.smoothing < 0:
            raise InputError(f"NearestNeighborWeighting: smoothing={self.smoothing}; take 0 or more")
        if self.max_rows is not None and self.max_rows < 1:
            raise InputError(
                f"NearestNeighborWeighting: max_rows={self.max_rows}; take 1 or more, or None for all rows"
            )
        voters = Xt if self.max_rows is None else Xt[pick(Xt, self.max_rows, self.random_state)]
        c = votes(Xs, voters, self.n_neighbors) * (n_t / voters.shape[0])
        return self.finished(n_s * (c + self.smoothing) / (n_t + self.smoothing * n_s), Xs)


def votes(Xs: Any, Xt: Any, k: int) -> np.ndarray:
    """Return the votes of each source row, shape (n_s,): 1/k from each target row to its k nearest source rows.

    Where equal source rows compete for the last of the k places, they share it.
    """
    place, first = places(Xs)
    rows, voters = Xs[first].astype(float), Xt.astype(float)
    if isinstance(rows, np.ndarray):
        # Distances lose digits far from the origin. A row of the data as the origin keeps whole numbers whole.
        origin = rows[len(rows) // 2]
        rows, voters = rows - origin, voters - origin
    tree = isinstance(rows, np.ndarray) and rows.shape[1] <= MOST_TREE_COLUMNS
    search = NearestNeighbors(n_neighbors=min(k, rows.shape[0]), algorithm="kd_tree" if tree else "brute")
    nearest = search.fit(rows).kneighbors(voters, return_distance=False)
    copies = np.bincount(place)
    reached = np.cumsum(copies[nearest], axis=1)
    before = reached - copies[nearest]
    taken = np.minimum(reached, k) - np.minimum(before, k)
    total = np.bincount(nearest.ravel(), weights=taken.ravel(), minlength=len(copies))
    return np.asarray((total / (k * copies))[place])
