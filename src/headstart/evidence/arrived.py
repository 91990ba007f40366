"""How the source rows arrive: the first three of a method's four steps, and what they leave to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.base import clone

from headstart.delivery import Plan
from headstart.domain import Domain
from headstart.errors import NeedsError
from headstart.fitting import as_worth, to_mean_one
from headstart.mapping import IdentityMap, Map
from headstart.method import Family, Method, require


class Carries(Protocol):
    """A method with its source at hand: what `headstart.choose.Candidate` is."""

    @property
    def method(self) -> Method:
        """The method, not fitted."""

    @property
    def learner(self) -> Any:
        """The learner of the target task."""

    @property
    def plan(self) -> Plan:
        """How rows become numbers."""

    @property
    def source(self) -> Domain | None:
        """The source rows."""


@dataclass(frozen=True, eq=False)
class Arrived:
    """Source rows as they arrive at the target, beside the target's rows.

    Attributes
    ----------
    method : Method
        As fitted while carrying.
    rows : array of shape (n_s,)
        Which rows of the source these are: those with a label.
    Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
        Rows of both domains as numbers, before.
    Zs, Zt : arrays of shape (n_s, d') and (n_t, d')
        The same rows after: in the space that the learner is fitted in.
    ys : array of shape (n_s,)
        Labels as they arrive.
    ws : array of shape (n_s,) or None
        What each source row counts when the learner is fitted; None where all count 1.
    origin : array of str of shape (n_s,)
        The domain that each source row came from.
    target_map : Map
        What brings other target rows, as numbers, into the learner's space.
    vectorizer : Vectorizer
        What makes numbers of target rows.
    columns : list of str or None
        What the columns of Xt are called.
    """

    method: Method
    rows: np.ndarray
    Xs: Any
    Xt: Any
    Zs: Any
    Zt: Any
    ys: np.ndarray
    ws: np.ndarray | None
    origin: np.ndarray
    target_map: Map
    vectorizer: Any
    columns: list[str] | None

    def brought(self, X: Any) -> Any:
        """Return other target rows in the learner's space."""
        return self.target_map.transform(self.vectorizer.transform(X))


def arrived(transfer: Carries, target: Domain) -> Arrived:
    """Carry the source rows to the target, without learning there.

    Parameters
    ----------
    transfer : Candidate
        Of a method that moves source rows: pooled, instance-based or feature-based.
    target : Domain

    Raises
    ------
    NeedsError
        When no source row arrives: the method carries parameters, or the source is not at hand.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from headstart.choose import Candidate
    >>> from headstart.features import CORAL
    >>> source = Domain(np.arange(8.0)[:, None], np.arange(8.0), name="source")
    >>> target = Domain(np.arange(4.0)[:, None] + 10, np.arange(4.0))
    >>> plan = Plan("regression", vectorizer="passthrough")
    >>> found = arrived(Candidate("coral", CORAL(), Ridge(), plan, source), target)
    >>> float(found.Xs.mean()), round(float(found.Zs.mean()), 9)
    (3.5, 11.5)
    """
    method, plan, source = clone(transfer.method), transfer.plan, transfer.source
    name = type(method).__name__
    if source is None or method.family not in (Family.BASELINE, Family.INSTANCES, Family.FEATURES):
        raise NeedsError(f"{name}: no source row arrives at the target; look at the rows with the method 'pooled'")
    require(method, transfer.learner, source=source, target=target, different=plan.different)
    if plan.different:
        vectorizer, of_source = plan.fitted_on(target.X), plan.at_source().fitted_on(source.X)
    else:
        seen = {"both": [source.X, target.X], "source": [source.X], "target": [target.X]}[method.needs.prepared_on]
        vectorizer = of_source = plan.fitted_on(*seen)
    vectors, numbers = of_source.transform(source.X), vectorizer.transform(target.X)
    knowledge = method.extract(method.learn_source(source.with_rows(vectors), transfer.learner), source)
    carried = method.carry(knowledge, target.with_rows(numbers))
    held = getattr(carried, "arrays", None) or {key: getattr(carried, key, None) for key in ("X", "y", "weight")}
    rows = np.flatnonzero(source.labelled)
    if held.get("X") is None or held["X"].shape[0] != len(rows):
        raise NeedsError(
            f"{name}: what arrives at the target are not the labelled source rows one by one; look at the rows with "
            "the method 'pooled'"
        )
    weigh = as_worth if method.family == Family.INSTANCES else to_mean_one
    target_map: Map = getattr(carried, "target_map", None) or IdentityMap()
    origin = source.origin[rows] if source.origin is not None else np.full(len(rows), source.name, dtype=object)
    return Arrived(
        method=method,
        rows=rows,
        Xs=vectors[rows],
        Xt=numbers,
        Zs=held["X"],
        Zt=target_map.transform(numbers),
        ys=np.asarray(held["y"]),
        ws=None if held["weight"] is None else weigh(np.asarray(held["weight"], dtype=float)),
        origin=origin,
        target_map=target_map,
        vectorizer=vectorizer,
        columns=vectorizer.names(),
    )
