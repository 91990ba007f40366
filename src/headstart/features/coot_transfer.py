"""CO-optimal transport: rows of different spaces meet, while the columns learn which of them speak of the same."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np

from headstart.domain import missing
from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.coupled_map import coupled_map
from headstart.kernels import squared_distances
from headstart.mapping import Coupling, IdentityMap, Map
from headstart.mapping.co_optimal import co_optimal
from headstart.mapping.measures import Measure, measures, numbered, with_labels
from headstart.mapping.transport import exact
from headstart.method import Needs

#: Rows of both domains up to which each carries its own mass: every round is two transports.
MOST_COUPLED_ROWS = 4000


class COOTransfer(FeatureMethod):
    r"""CO-optimal transport: couple the rows of both domains and their columns at the same time.

    .. math:: \min_{\pi, \rho} \sum_{ijkl} \pi_{ij}\rho_{kl} (z_{ik} - z'_{jl})^2 + \langle\pi, C\rangle
              + \varepsilon KL(\pi) + \varepsilon' KL(\rho)

    with z the standardised rows of each domain. Spaces may differ, and no pair and no label is asked for: rows belong
    together when their entries agree in columns that belong together. Known target labels make it far easier: no row
    moves to a target row of another class (C), and the columns are first coupled by their means in the classes. Where
    labels are quantities, their squared distance is part of C.

    Source rows are sent to the barycenters of the target rows they are coupled with, in the target's space. A map f
    learned from that, by ridge regression, takes old and new source rows there; target rows stay where they are.

    Parameters
    ----------
    reg : float, default 0
        Entropy of the rows' coupling, where standardised entries have a mean square of 1; 0 is exact transport. An
        entropy spreads every row over more target rows, and takes longer the smaller it is.
    reg_columns : float, default 0
        Entropy of the columns' coupling.
    label_weight : float, default 1.0
        Weight of the squared distance of labels that are quantities, scaled to a mean of 1.
    f : {"affine", "kernel"}, default "affine"
        The family of the map of source rows.
    alpha : float, default 0.1
        Its ridge penalty; for "affine" in units of the source's mean variance a column. The larger, the nearer are the
        images to their mean.
    n_clusters : int, None or "auto", default "auto"
        Couple so many clusters of each domain instead of single rows. None couples every row on its own; "auto" does
        so up to 4,000 rows of both domains, and makes 1,000 clusters beyond.
    max_iter : int, default 100
        Stop after so many rounds in any case, with a warning.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the rows that clusters, or a kernel map, are learned from.

    Attributes
    ----------
    coupling_, columns_coupling_ : Coupling
        Of rows that carry mass, and of columns, shape (d_s, d_t).
    objective_ : float
        What was minimised.
    n_iter_ : int
        Rounds.

    Notes
    -----
    The problem has many local minima. Without target labels the first round sees no more of a row than its mean and
    its length, and the outcome may be far from the truth.

    References
    ----------
    Redko, Vayer, Flamary, Courty: CO-Optimal Transport. NeurIPS 2020.

    Examples
    --------
    The target has the source's columns in another order, and another unit.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 3)) + 3 * np.eye(3)[np.arange(60) % 3]
    >>> known = np.where(np.arange(60) < 9, np.arange(60) % 3, np.nan)
    >>> method = COOTransfer(alpha=1e-6).fit(X, 10 * X[:, [2, 0, 1]], np.arange(60) % 3, known)
    >>> method.columns_coupling_.toarray().argmax(axis=1)
    array([1, 2, 0])
    >>> bool(np.allclose(method.transform_source(X), 10 * X[:, [2, 0, 1]], atol=0.01))
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, same_features=False, dense=True, learner="any")

    def __init__(
        self,
        reg: float = 0.0,
        reg_columns: float = 0.0,
        label_weight: float = 1.0,
        f: str = "affine",
        alpha: float = 0.1,
        n_clusters: int | str | None = "auto",
        max_iter: int = 100,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.reg = reg
        self.reg_columns = reg_columns
        self.label_weight = label_weight
        self.f = f
        self.alpha = alpha
        self.n_clusters = n_clusters
        self.max_iter = max_iter
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of source rows into the target's space, and the identity for target rows."""
        name = "COOTransfer"
        if not min(self.reg, self.reg_columns) >= 0:
            raise InputError(f"{name}: reg and reg_columns must be zero or more, not {self.reg}, {self.reg_columns}")
        if self.max_iter < 1:
            raise InputError(f"{name}: max_iter must be 1 or more, not {self.max_iter}")
        labels = None if ys is None or yt is None or missing(yt).all() else numbered(ys, yt, len(Xt), name)
        source, target = measures(Xs, Xt, labels, self.n_clusters, self.random_state, most=MOST_COUPLED_ROWS)
        cost: np.ndarray | None = None
        if labels is not None:
            free = np.zeros((len(source.rows), len(target.rows)))
            cost, target = with_labels(free, source, target, labels, self.label_weight)
            if not (target.mass > 0).all():
                cost, target = cost[:, target.mass > 0], target.only(target.mass > 0)
        Zs, Zt = standardised(source), standardised(target)
        start: np.ndarray | None = None
        if cost is not None and labels is not None and labels.classes is not None:
            # Far above any cost of entries, so that no agreement of entries outweighs a label.
            cost = cost * max(float(np.square(Zs).mean(axis=1).max() + np.square(Zt).mean(axis=1).max()), 1.0)
            start = columns_by_class(Zs, source, Zt, target)
        rows, columns = co_optimal(
            Zs,
            Zt,
            source.mass,
            target.mass,
            cost=cost,
            reg=self.reg,
            reg_columns=self.reg_columns,
            max_iter=self.max_iter,
            start=start,
        )
        if not rows.converged:
            warnings.warn(
                f"{name}: stopped after {rows.n_iter} rounds, the last of which lowered the objective by "
                f"{rows.residual:.2g}; raise max_iter or reg",
                stacklevel=2,
            )
        self.objective_, self.n_iter_ = rows.objective, rows.n_iter
        self.coupling_, self.columns_coupling_ = Coupling.of(rows), Coupling.of(columns)
        moved = coupled_map(self.coupling_, source, target, self.f, self.alpha, self.random_state, Xs.dtype)
        return moved, IdentityMap()


def standardised(measure: Measure) -> np.ndarray:
    """Return rows with columns of mean 0 and variance 1; a constant column is 0."""
    Z = measure.rows - measure.mass @ measure.rows
    deviation = np.sqrt(measure.mass @ np.square(Z))
    # What rounding leaves of a constant column is no variance.
    varies = deviation > 1e-9 * np.abs(measure.rows).max(axis=0)
    return np.asarray(np.where(varies, Z / np.where(varies, deviation, 1.0), 0.0))


def columns_by_class(Zs: np.ndarray, source: Measure, Zt: np.ndarray, target: Measure) -> np.ndarray | None:
    """Return the exact coupling of columns by their means in the classes that both domains know, shape (d_s, d_t).

    It is the best one for the coupling of rows that joins the known target rows of a class with its source rows.
    """
    shared = np.intersect1d(source.label, target.label[~np.isnan(target.label)])
    if not len(shared):
        return None
    own_s, own_t = ((m.label == shared[:, None]) * m.mass for m in (source, target))
    # The root of a class's mass, so that squared differences count by it.
    root = np.sqrt(own_s.sum(axis=1, keepdims=True))
    Ms = root * (own_s @ Zs) / own_s.sum(axis=1, keepdims=True)
    Mt = root * (own_t @ Zt) / own_t.sum(axis=1, keepdims=True)
    e_s, e_t = (np.full(Z.shape[1], 1 / Z.shape[1]) for Z in (Zs, Zt))
    return np.asarray(exact(squared_distances(Ms.T, Mt.T), e_s, e_t).coupling.toarray())
