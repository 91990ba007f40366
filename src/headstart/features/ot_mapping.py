"""Optimal transport mapping: source rows travel, with their labels, to where the target's rows are."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np

from headstart.domain import missing
from headstart.errors import InputError, NeedsError, unknown_name
from headstart.features.base import FeatureMethod
from headstart.mapping import IdentityMap, Map
from headstart.mapping.fit_maps import gaussian_map
from headstart.mapping.measures import (
    AUTO_CLUSTERS,
    MOST_EXACT_ROWS,
    Labels,
    Measure,
    costs,
    distinct_rows,
    measures,
    numbered,
    with_labels,
)
from headstart.mapping.nearest_shift import NearestShift
from headstart.mapping.regular_transport import l1l2, laplace, lpl1
from headstart.mapping.transport import Plan, entropic, exact
from headstart.method import Needs

KINDS = ("exact", "entropic", "lpl1", "l1l2", "laplace", "unbalanced", "linear")
BY_CLASS = ("lpl1", "l1l2")
WITHOUT_ENTROPY = ("exact", "laplace")
#: "laplace" solves many transport problems, so it holds fewer rows, and clusters, that carry mass on their own.
MOST_LAPLACE_ROWS = 2000
LAPLACE_CLUSTERS = 500


class OTMapping(FeatureMethod):
    r"""Optimal transport: move the source rows, with their labels, onto the target's rows at the least cost.

    .. math:: \min_\gamma \sum_{ij} \gamma_{ij} \|x_i - x'_j\|^2 / s + \Omega(\gamma)
              \quad s.t.\quad \gamma 1 = a,\;\; \gamma^\top 1 = b,\;\; \gamma \ge 0,\qquad
              x_i \mapsto \sum_j \gamma_{ij} x'_j / a_i

    A source row goes to the barycenter of the target rows that it sends its mass to; target rows stay where they are.
    New rows move as the nearest source row of the fit did, and nothing is solved again. Target labels that are known
    steer the coupling: no row moves to a target row of another class; where labels are quantities, their squared
    distance is part of the cost.

    Parameters
    ----------
    transport : str, default "entropic"
        - "exact": no penalty; the optimum, proved by its dual.
        - "entropic": an entropy. The larger `reg`, the more target rows each row is spread over.
        - "lpl1": also a concave penalty of the classes that share a target row (`reg_class`).
        - "l1l2": the same, by a group lasso.
        - "laplace": exact, and neighbors stay neighbors (`reg_laplace`).
        - "unbalanced": entropic, and mass may be left behind or made at a price (`reg_mass`), so that outliers and
          other class sizes need not be matched.
        - "linear": the map between Gaussians of the domains' means and covariances, in closed form.
    reg : float, default 0.1
        Weight of the entropy, in units of the cost scale.
    reg_class : float, default 0.1
        Weight of the penalty by class; larger keeps the classes further apart.
    reg_laplace : float, default 0.3
        Weight of the distances between the images of neighbors; larger keeps them closer.
    reg_mass : float, default 1.0
        Price of mass that is not moved; larger keeps the marginals closer, and infinity exactly.
    label_weight : float, default 1.0
        Weight of the squared label distance, scaled to a mean of 1, beside the squared distance of rows.
    cost_scale : {"spread", "median", "max"}, optional, default "spread"
        What s is: the median or the largest squared distance, as in the literature; or the mean squared distance of
        centered rows, which the shift between the means does not blow up: the penalties then mean the same however
        far apart the domains are. None is 1.
    n_neighbors : int, default 3
        Neighbors, for "laplace".
    n_clusters : int, None or "auto", default "auto"
        Move so many clusters of each domain instead of single rows; a row moves as its cluster does. None moves
        every row on its own; "auto" does so up to 10,000 rows of both domains, and makes 1,000 clusters beyond
        ("laplace": 2,000 rows, 500 clusters).
    max_iter : int, default 10000
        Stop the scaling of rows and columns after so many steps in any case, with a warning.
    max_rounds : int, default 100
        Stop the outer rounds of "lpl1", "l1l2" and "laplace" after so many in any case, with a warning.
    tol : float, default 1e-5
        Stop the scaling when the column sums are off by less, out of a total mass of 1.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the rows that clusters are learned from.

    Attributes
    ----------
    cost_ : float
        Mean squared distance that mass was moved (not for "linear").
    objective_, residual_, n_iter_, scale_
        What was minimised, how far from solved it is, iterations or rounds, and s (not for "linear").
    n_clusters_ : int or None
        Clusters of the source; None where every row moved on its own.

    Notes
    -----
    Tables of 1-nearest-neighbor accuracy on transported rows use ``transport="lpl1", cost_scale="median", reg=2,
    reg_class=1, max_rounds=9``. The penalties by class are those of the literature, which weigh less in larger samples.

    References
    ----------
    Courty, Flamary, Tuia, Rakotomamonjy: Optimal Transport for Domain Adaptation. IEEE TPAMI 2017. Knott, Smith: On the
    Optimal Mapping of Distributions. Journal of Optimization Theory and Applications 1984. Ferradans, Papadakis, Peyre,
    Aujol: Regularized Discrete Optimal Transport. SIAM Journal on Imaging Sciences 2014.

    Examples
    --------
    >>> import numpy as np
    >>> Xs, Xt = np.array([[0.0], [1.0], [5.0]]), np.array([[7.0], [13.0], [8.0]])
    >>> moved = OTMapping(transport="exact").fit(Xs, Xt)
    >>> moved.transform_source(Xs).ravel(), moved.transform_source([[5.5]]), round(moved.cost_, 9)
    (array([ 7.,  8., 13.]), array([[13.5]]), 54.0)
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any", dense=True)

    def __init__(
        self,
        transport: str = "entropic",
        reg: float = 0.1,
        reg_class: float = 0.1,
        reg_laplace: float = 0.3,
        reg_mass: float = 1.0,
        label_weight: float = 1.0,
        cost_scale: str | None = "spread",
        n_neighbors: int = 3,
        n_clusters: int | str | None = "auto",
        max_iter: int = 10_000,
        max_rounds: int = 100,
        tol: float = 1e-5,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.transport = transport
        self.reg = reg
        self.reg_class = reg_class
        self.reg_laplace = reg_laplace
        self.reg_mass = reg_mass
        self.label_weight = label_weight
        self.cost_scale = cost_scale
        self.n_neighbors = n_neighbors
        self.n_clusters = n_clusters
        self.max_iter = max_iter
        self.max_rounds = max_rounds
        self.tol = tol
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of source rows, and the identity for target rows."""
        if self.transport not in KINDS:
            raise InputError(f"OTMapping: {unknown_name('transport', self.transport, KINDS)}")
        if self.transport == "linear":
            return gaussian_map(Xs, Xt), IdentityMap()
        if self.transport not in WITHOUT_ENTROPY and self.reg <= 0:
            raise InputError(f"OTMapping: reg must be positive, not {self.reg}; without entropy, take 'exact'")
        labels = self._labels(ys, yt, len(Xt))
        source, target = self._measures(Xs, Xt, labels)
        self.n_clusters_ = len(source.rows) if source.clustered else None
        C, self.scale_ = costs(source, target, self.cost_scale)
        if labels is not None:
            C, target = with_labels(C, source, target, labels, self.label_weight)
        if not (target.mass > 0).all():
            C, target = C[:, target.mass > 0], target.only(target.mass > 0)
        plan = self._plan(C, source, target, len(Xs), len(Xt))
        if not plan.converged:
            warnings.warn(
                f"OTMapping: {self.transport} transport stopped after {plan.n_iter} iterations with a residual of "
                f"{plan.residual:.2g}; raise max_iter, max_rounds or reg",
                stacklevel=2,
            )
        self.objective_, self.residual_, self.n_iter_ = plan.objective, plan.residual, plan.n_iter
        images, self.cost_ = barycenters(plan.coupling, source.rows, target.rows)
        return shift_of(source, images, Xs.dtype), IdentityMap()

    def _labels(self, ys: Any, yt: Any, n_t: int) -> Labels | None:
        """Return the labels as numbers, where they have a say."""
        by_class = self.transport in BY_CLASS
        if not by_class and (ys is None or yt is None or missing(yt).all()):
            return None
        labels = numbered(ys, yt, n_t, "OTMapping")
        if by_class and labels.classes is None:
            raise NeedsError(f"OTMapping: '{self.transport}' groups rows by class, and the labels are quantities")
        return labels

    def _measures(self, Xs: np.ndarray, Xt: np.ndarray, labels: Labels | None) -> tuple[Measure, Measure]:
        most, few = MOST_EXACT_ROWS, AUTO_CLUSTERS
        if self.transport == "laplace":
            most, few = MOST_LAPLACE_ROWS, LAPLACE_CLUSTERS
        return measures(Xs, Xt, labels, self.n_clusters, self.random_state, most=most, few=few)

    def _plan(self, C: np.ndarray, source: Measure, target: Measure, n_s: int, n_t: int) -> Plan:
        a, b, tol, steps, rounds = source.mass, target.mass, self.tol, self.max_iter, self.max_rounds
        if self.transport == "exact":
            return exact(C, a, b)
        if self.transport == "entropic":
            return entropic(C, a, b, self.reg, tol=tol, max_iter=steps)
        if self.transport == "unbalanced":
            return entropic(C, a, b, self.reg, self.reg_mass, tol=tol, max_iter=steps)
        if self.transport == "laplace":
            unit = np.sqrt(self.scale_)
            ends = (source.rows / unit, a), (target.rows / unit, b)
            return laplace(C, *ends, self.reg_laplace, self.n_neighbors, max_rounds=rounds)
        by_class, count = (lpl1, n_t) if self.transport == "lpl1" else (l1l2, n_s)
        group, weights = source.label.astype(int), (self.reg, self.reg_class)
        return by_class(C, a, b, group, *weights, n_rows=count, tol=tol, max_iter=steps, max_rounds=rounds)


def barycenters(coupling: Any, Xs: np.ndarray, Xt: np.ndarray) -> tuple[np.ndarray, float]:
    """Return sum_j P_ij x'_j / sum_j P_ij, shape (n_s, d), and the mean squared distance of the moves.

    A row that sends no mass stays where it is.
    """
    sent, got = (np.asarray(coupling.sum(axis=axis)).ravel() for axis in (1, 0))
    # From the source's mean, so that rows far from zero lose no digits.
    center = Xs.mean(axis=0)
    Y, X = coupling @ (Xt - center), Xs - center
    total = sent @ np.square(X).sum(axis=1) + got @ np.square(Xt - center).sum(axis=1) - 2 * np.vdot(X, Y)
    moved = sent > 0
    images = Xs.copy()
    images[moved] = center + Y[moved] / sent[moved, None]
    return images, float(total / sent.sum()) if moved.any() else 0.0


def shift_of(source: Measure, images: np.ndarray, dtype: Any) -> NearestShift:
    """Return the map that takes rows to their images; equal rows with different labels go to the mean of theirs."""
    rows, of_row = distinct_rows(source.rows)
    mass = np.bincount(of_row, source.mass)
    shift = (images - source.rows) * source.mass[:, None]
    mean = np.stack([np.bincount(of_row, column) for column in shift.T], axis=1) / mass[:, None]
    return NearestShift(source.rows[rows].astype(dtype), mean.astype(dtype))
