"""Methods that learn from pairs: the same samples, measured in both domains."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from headstart.domain import Domain, paired_rows
from headstart.errors import InputError, NeedsError
from headstart.features.base import AlignedRows, FeatureMethod
from headstart.inputs import rows_of_both
from headstart.mapping import Map
from headstart.method import AllRowsMethod, Knowledge, Needs


class PairedMethod(AllRowsMethod, FeatureMethod):
    """A feature method that writes `align_pairs(Xs, Xt)`, where row i of both is the same sample.

    In `Transfer` the pairs are named by `fit(..., pair=...)`: rows of the domains with the same value are a pair.
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, same_features=False, dense=True, pairs=True, learner="any")

    @abstractmethod
    def align_pairs(self, Xs: np.ndarray, Xt: np.ndarray) -> tuple[Map, Map]:
        """Return the maps of source and of target rows, learned from paired rows, shapes (p, d_s) and (p, d_t)."""

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the maps of source and of target rows, where row i of both is the same sample."""
        if len(Xs) != len(Xt):
            raise InputError(
                f"{type(self).__name__}: {len(Xs)} source rows and {len(Xt)} target rows are not pairs; give pairs"
            )
        return self.align_pairs(Xs, Xt)

    def fit(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None, *, pairs: Any = None) -> Self:
        """Learn from pairs.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d_s) and (n_t, d_t)
        ys, yt : ignored
        pairs : int array of shape (p, 2), optional
            Positions of paired rows: of the source, and of the target. By default row i of both is the same sample.

        Raises
        ------
        InputError
            When rows are no pairs, or a pair names a row that is not there.
        """
        if pairs is None:
            return super().fit(Xs, Xt)
        name = type(self).__name__
        Xs, Xt = rows_of_both(Xs, Xt, name, dense=True, same_columns=self.needs.same_features)
        pairs = np.asarray(pairs)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu" or not len(pairs):
            raise InputError(f"{name}: pairs must be whole numbers of shape (p, 2), not {pairs.dtype} {pairs.shape}")
        if pairs.min() < 0 or (pairs.max(axis=0) >= (len(Xs), len(Xt))).any():
            raise InputError(f"{name}: pairs name rows beyond the {len(Xs)} source rows or {len(Xt)} target rows")
        return super().fit(Xs[pairs[:, 0]], Xt[pairs[:, 1]])

    def carry(self, knowledge: Knowledge, target: Domain) -> AlignedRows:
        """Step 3: learn the maps from the pairs, and map the labelled source rows."""
        name = type(self).__name__
        Xs, names = knowledge.arrays["X"], knowledge.arrays["pair"]
        if names is None or target.pair is None:
            raise NeedsError(f"{name} learns from paired rows; say with pair=... (--pair) what each row measured")
        pairs = paired_rows(names, target.pair, name)
        if not len(pairs):
            raise NeedsError(f"{name} learns from paired rows, and no value of pair stands in both domains")
        self.fit(Xs, target.X, pairs=pairs)
        everything = Domain(Xs, knowledge.arrays["y"], task=target.task, weight=knowledge.arrays["weight"])
        source = everything.labelled_rows()
        mapped = self.transform_source(source.X)
        return AlignedRows(mapped, source.labels, source.weight, self.source_map_, self.target_map_)
