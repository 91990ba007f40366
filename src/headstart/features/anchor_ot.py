"""Transport guided by anchors: rows of different spaces meet where they stand alike towards the classes' means."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from headstart.errors import InputError, unknown_name
from headstart.features.base import FeatureMethod
from headstart.features.class_means import class_means, shared_classes
from headstart.features.coupled_map import coupled_map
from headstart.mapping import Coupling, IdentityMap, Map
from headstart.mapping.anchors import anchor_costs
from headstart.mapping.measures import measures, numbered, with_labels
from headstart.mapping.transport import entropic, exact
from headstart.method import Needs

KINDS = ("exact", "entropic")


class AnchorOT(FeatureMethod):
    r"""Transport guided by anchors: couple rows of different spaces by how near they are to each class.

    .. math:: R_{ik} = \operatorname{softmax}_k\bigl(-2\,\|x_i - m_k\|^2 / (\tau \max\|x - m\|^2)\bigr),\qquad
              \min_\pi \sum_{ij} \pi_{ij}\, JS(R_i, R'_j)

    The means :math:`m_k, m'_k` of a class's labelled rows in the two domains are a pair of anchors. A row is described
    by its distances to the anchors of its own domain, which can be compared where columns cannot; JS is the
    Jensen-Shannon divergence. No row moves to a labelled target row of another class. One labelled target row a class
    will do; those without a label say where the target's rows are.

    Source rows are sent to the barycenters of the target rows they are coupled with. A map f learned from that, by
    ridge regression, takes old and new source rows into the target's space; target rows stay where they are.

    Parameters
    ----------
    transport : {"exact", "entropic"}, default "exact"
        "entropic" spreads every row over more target rows.
    reg : float, default 0.005
        Weight of the entropy; divergences lie between 0 and log 2.
    temperature : float, default 0.1
        :math:`\tau`, how far a row looks, in the largest squared distance to an anchor. The smaller, the more does the
        nearest anchor alone describe it.
    f : {"affine", "kernel"}, default "affine"
        The family of the map of source rows.
    alpha : float, default 0.1
        Its ridge penalty; for "affine" in units of the source's mean variance a column. The larger, the nearer are the
        images to their mean.
    n_clusters : int, None or "auto", default "auto"
        Couple so many clusters of each domain instead of single rows. None couples every row on its own; "auto" does
        so up to 10,000 rows of both domains, and makes 1,000 clusters beyond.
    max_iter : int, default 10000
        Stop the scaling of "entropic" after so many steps in any case, with a warning.
    tol : float, default 1e-5
        Stop it when the column sums are off by less, out of a total mass of 1.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the rows that clusters, or a kernel map, are learned from.

    Attributes
    ----------
    coupling_ : Coupling
        Of the rows that carry mass.
    n_anchors_ : int
        Classes with labelled rows in both domains.

    Raises
    ------
    NeedsError
        When no class has labelled rows in both domains.

    References
    ----------
    Gu, Yang, Zeng, Sun, Xu: Keypoint-Guided Optimal Transport. NeurIPS 2022.

    Examples
    --------
    The target has one column more than the source, another unit, and one label a class.

    >>> import numpy as np
    >>> Xs, ys = np.array([[0.0], [1.0], [9.0], [10.0]]), np.array([0, 0, 1, 1])
    >>> Xt = np.array([[5.0, -5.0], [15.0, -15.0], [0.0, 0.0], [20.0, -20.0]])
    >>> yt = np.array([np.nan, np.nan, 0, 1])
    >>> method = AnchorOT(alpha=1e-6).fit(Xs, Xt, ys, yt)
    >>> method.transform_source(np.array([[0.5], [9.5]])).round()
    array([[  2.,  -2.],
           [ 18., -18.]])
    """

    needs: ClassVar[Needs] = Needs(
        target_labels=True,
        target_rows=True,
        same_features=False,
        dense=True,
        learner="any",
        tasks=("classification",),
    )

    def __init__(
        self,
        transport: str = "exact",
        reg: float = 0.005,
        temperature: float = 0.1,
        f: str = "affine",
        alpha: float = 0.1,
        n_clusters: int | str | None = "auto",
        max_iter: int = 10_000,
        tol: float = 1e-5,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.transport = transport
        self.reg = reg
        self.temperature = temperature
        self.f = f
        self.alpha = alpha
        self.n_clusters = n_clusters
        self.max_iter = max_iter
        self.tol = tol
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of source rows into the target's space, and the identity for target rows."""
        name = "AnchorOT"
        if self.transport not in KINDS:
            raise InputError(f"{name}: {unknown_name('transport', self.transport, KINDS)}")
        if not (self.reg > 0 and self.temperature > 0):
            raise InputError(f"{name}: reg and temperature must be positive, not {self.reg} and {self.temperature}")
        labels = numbered(ys, yt, len(Xt), name, classes=True)
        shared = shared_classes(labels, name)
        self.n_anchors_ = len(shared)
        source, target = measures(Xs, Xt, labels, self.n_clusters, self.random_state)
        anchors = [class_means(m.rows, m.label, shared, m.mass) for m in (source, target)]
        C = anchor_costs(source.rows, target.rows, anchors[0], anchors[1], self.temperature)
        C, target = with_labels(C, source, target, labels, label_weight=0.0)
        if not (target.mass > 0).all():
            C, target = C[:, target.mass > 0], target.only(target.mass > 0)
        if self.transport == "exact":
            plan = exact(C, source.mass, target.mass)
        else:
            plan = entropic(C, source.mass, target.mass, self.reg, tol=self.tol, max_iter=self.max_iter)
        if not plan.converged:
            warnings.warn(
                f"{name}: transport stopped after {plan.n_iter} iterations with a residual of {plan.residual:.2g}; "
                "raise max_iter or reg",
                stacklevel=2,
            )
        self.coupling_ = Coupling.of(plan)
        moved = coupled_map(self.coupling_, source, target, self.f, self.alpha, self.random_state, Xs.dtype)
        return moved, IdentityMap()
