"""Methods that map every source in its own way."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np

from headstart.domain import Domain, stack_rows
from headstart.errors import InputError, unknown_name
from headstart.features.base import AlignedRows, FeatureMethod
from headstart.inputs import ONLY_SOURCE, labels_of, names_of_sources, rows_of_both
from headstart.mapping import Map
from headstart.method import Knowledge


class SourcesMethod(FeatureMethod):
    """A feature method that writes `align_sources(sources, Xt)`: a map for every source.

    In `Transfer` the sources are told apart by the names in `domain`.
    """

    source_maps_: dict[str, Map]

    @abstractmethod
    def align_sources(self, sources: dict[str, Any], Xt: Any) -> tuple[dict[str, Map], Map, Map]:
        """Return the map of each source, of source rows that name no source, and of target rows."""

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the maps of the only source and of the target. Labels are not used."""
        _, source_map, target_map = self.align_sources({ONLY_SOURCE: Xs}, Xt)
        return source_map, target_map

    def fit(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None, *, origin: Any = None) -> Self:
        """Align the domains.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
        ys, yt : ignored
        origin : array-like of shape (n_s,), optional
            The name of each row's source; without, there is one source.

        Raises
        ------
        InputError
            When rows do not suit the method.
        """
        name = type(self).__name__
        Xs, Xt = rows_of_both(Xs, Xt, name, self.needs.dense)
        labels_of(ys, Xs.shape[0], name, "ys")
        labels_of(yt, Xt.shape[0], name, "yt")
        names = names_of_sources(origin, Xs.shape[0], name)
        sources = {str(source): Xs[names == source] for source in np.unique(names)}
        self.source_maps_, self.source_map_, self.target_map_ = self.align_sources(sources, Xt)
        self.columns_ = Xs.shape[1], Xt.shape[1]
        return self

    def transform_source(self, X: Any, origin: Any = None) -> Any:
        """Map source rows into the common representation.

        Parameters
        ----------
        X : array of shape (n, d)
        origin : array-like of shape (n,), optional
            The name of each row's source. Without, and with several sources, the rows are of none in particular.
        """
        if origin is None:
            return super().transform_source(X)
        X = self._new_rows(X, self.columns_[0])
        names = names_of_sources(origin, X.shape[0], type(self).__name__)
        present = [str(source) for source in np.unique(names)]
        strange = [source for source in present if source not in self.source_maps_]
        if strange:
            raise InputError(unknown_name("source", strange[0], self.source_maps_, type(self).__name__))
        mapped = stack_rows([self.source_maps_[source].transform(X[names == source]) for source in present])
        # The blocks stand one below the other; back into the rows' order.
        return mapped[np.argsort(np.argsort(names, kind="stable"))]

    def carry(self, knowledge: Knowledge, target: Domain) -> AlignedRows:
        """Step 3: align the domains and map the rows of each source."""
        Xs, ys, weight, origin = (knowledge.arrays[name] for name in ("X", "y", "weight", "origin"))
        self.fit(Xs, target.X, origin=origin)
        mapped = self.transform_source(Xs, origin)
        return AlignedRows(mapped, ys, weight, self.source_map_, self.target_map_)
