"""Mapping transfer: take the source rows to where the target's are, with their labels, and learn there."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from headstart.domain import Domain, missing, paired_rows
from headstart.errors import NeedsError
from headstart.features.base import AlignedRows, FeatureMethod
from headstart.inputs import labels_of, rows_of_both
from headstart.mapping import IdentityMap, Map
from headstart.mapping.learner import MappingLearner
from headstart.method import AllRowsMethod, Knowledge, Needs

#: Starts where the columns of the domains differ.
AUTO_STARTS = 4


class MappingTransfer(AllRowsMethod, FeatureMethod):
    r"""Map the source rows into the target's space by a learned f, relabel them by a learned g, and learn there.

    .. math:: (x_i, y_i) \mapsto (f(x_i), g(y_i)),\qquad f, g, \pi \;\text{as in}\; MappingLearner

    Rows of the domains may have different columns. Where pairs are known (`Transfer.fit(..., pair=...)`) they are used;
    else rows find their partners by the shape of the two clouds and by the labels. By default labels mean the same on
    both sides, and a known target label steers the coupling; with ``relabel=True`` the names of the classes are taken
    to be the domains' own, and the source's are translated.

    Parameters
    ----------
    f : str, default "auto"
        The family of maps, see `MappingLearner`. "auto" is "affine" with pairs. Without, it is one whose maps do not
        shrink: "bures", in closed form, where there are as many columns on both sides, and "covariance" where columns
        differ.
    relabel : bool, default False
        Translate the source's labels by g. Target labels must be known in part.
    g : {"confusion", "one-to-one", "smoothed"}, default "one-to-one"
        The label map, with `relabel`.
    alpha : float, default 0.01
        Penalty of the map.
    label_weight : float, default 1.0
        What labels count beside rows when partners are found.
    units : {"auto", "columns", "whole"} or None, default "auto"
        See `MappingLearner`.
    n_starts : int or "auto", default "auto"
        Starts from the shape of the domains. "auto" is none where there are as many columns on both sides, which are
        taken to mean the same, and 4 where columns differ.
    n_clusters : int, None or "auto", default "auto"
        See `MappingLearner`.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0

    Attributes
    ----------
    mapping_ : MappingLearner
        As fitted, with `label_map_`, `confidence_`, `coupling_`.

    References
    ----------
    Perrot, Courty, Flamary, Habrard: Mapping Estimation for Discrete Optimal Transport. NIPS 2016.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs = rng.normal(size=(100, 2)) * [1.0, 3.0]
    >>> Xt = rng.normal(size=(100, 2)) * [2.0, 6.0] + 5
    >>> moved = MappingTransfer().fit(Xs, Xt).transform_source(Xs)
    >>> (moved.std(axis=0) / Xt.std(axis=0)).round(6)
    array([1., 1.])
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, same_features=False, dense=True, learner="any")

    def __init__(
        self,
        f: str = "auto",
        relabel: bool = False,
        g: str = "one-to-one",
        alpha: float = 0.01,
        label_weight: float = 1.0,
        units: str | None = "auto",
        n_starts: int | str = "auto",
        n_clusters: int | str | None = "auto",
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.f = f
        self.relabel = relabel
        self.g = g
        self.alpha = alpha
        self.label_weight = label_weight
        self.units = units
        self.n_starts = n_starts
        self.n_clusters = n_clusters
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of source rows into the target's space, and the identity for target rows."""
        return self._learned(Xs, Xt, ys, yt, None), IdentityMap()

    def _learned(self, Xs: Any, Xt: Any, ys: Any, yt: Any, pairs: np.ndarray | None) -> Map:
        if self.relabel and (ys is None or yt is None or missing(yt).all()):
            raise NeedsError("MappingTransfer: relabel=True learns from labels of both domains; give ys and some of yt")
        paired = pairs is not None and len(pairs) > 0
        alike = Xs.shape[1] == Xt.shape[1]
        f = ("affine" if paired else "bures" if alike else "covariance") if self.f == "auto" else self.f
        n_starts = (0 if alike else AUTO_STARTS) if self.n_starts == "auto" else self.n_starts
        learner = MappingLearner(
            f,
            self.g if self.relabel else "identity",
            pairing="partial" if paired else "unpaired",
            label_weight=self.label_weight,
            alpha=self.alpha,
            units=self.units,
            n_starts=int(n_starts),
            n_clusters=self.n_clusters,
            random_state=self.random_state,
        )
        self.mapping_ = learner.fit(Xs, Xt, ys, yt, pairs=pairs if paired else None)
        return self.mapping_.map_

    def fit(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None, *, pairs: Any = None) -> Self:
        """Learn the maps.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d_s) and (n_t, d_t)
        ys, yt : arrays of shape (n_s,) and (n_t,), optional
            Labels; missing ones are NaN or None.
        pairs : int array of shape (p, 2), optional
            Positions of paired rows: of the source, and of the target.

        Raises
        ------
        InputError, NeedsError
            When rows, labels or pairs do not suit.
        """
        name = type(self).__name__
        Xs, Xt = rows_of_both(Xs, Xt, name, dense=True, same_columns=False)
        ys, yt = labels_of(ys, len(Xs), name, "ys"), labels_of(yt, len(Xt), name, "yt")
        self.source_map_, self.target_map_ = self._learned(Xs, Xt, ys, yt, pairs), IdentityMap()
        self.columns_ = Xs.shape[1], Xt.shape[1]
        return self

    def carry(self, knowledge: Knowledge, target: Domain) -> AlignedRows:
        """Step 3: learn the maps, map the labelled source rows and, where asked for, their labels."""
        Xs, ys, names = (knowledge.arrays[key] for key in ("X", "y", "pair"))
        pairs = None
        if names is not None and target.pair is not None:
            pairs = paired_rows(names, target.pair, type(self).__name__)
        self.fit(Xs, target.X, ys, target.y, pairs=pairs)
        source = Domain(Xs, ys, task=target.task, weight=knowledge.arrays["weight"]).labelled_rows()
        labels = self.mapping_.transform_labels(source.labels) if self.relabel else source.labels
        moved = self.transform_source(source.X)
        return AlignedRows(moved, labels, source.weight, self.source_map_, self.target_map_)
