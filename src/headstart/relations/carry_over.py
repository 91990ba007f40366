"""Carrying over: what is known of source entities, told of the target entities that they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from headstart.errors import InputError


@dataclass(frozen=True, eq=False)
class Carried:
    """What has arrived at the target entities.

    Parameters
    ----------
    values : array of shape (n_t,)
        The likeliest class, or the weighted mean; None or NaN where nothing arrived.
    weight : array of shape (n_t,)
        The confidence that came along, in all.
    classes : array of shape (k,), optional
        The classes, in order; None for quantities.
    frequencies : array of shape (n_t, k), optional
        The share of each class.
    """

    values: np.ndarray
    weight: np.ndarray
    classes: np.ndarray | None = None
    frequencies: np.ndarray | None = None

    @property
    def coverage(self) -> float:
        """The share of target entities at which something arrived."""
        return float((self.weight > 0).mean())

    def __repr__(self) -> str:
        what = "quantities" if self.classes is None else f"{len(self.classes)} classes"
        return (
            f"Carried({what} to {(self.weight > 0).sum()} of {len(self.weight)} target entities, {self.coverage:.0%})"
        )


def carry_over(confidence: csr_matrix, values: Any) -> Carried:
    """Return the values of source entities, weighted by confidence, at the target entities.

    Parameters
    ----------
    confidence : CSR matrix of shape (n_s, n_t)
    values : array of shape (n_s,)
        Numbers are quantities, of which the weighted mean arrives; anything else, bools too, are classes. None and NaN
        are not known.

    Raises
    ------
    InputError
        When there is not one value for each source entity, or none is known.

    Examples
    --------
    >>> confidence = csr_matrix([[0.5, 0.0], [0.25, 1.0]])
    >>> carry_over(confidence, [3.0, 6.0]).values, carry_over(confidence, ["red", "blue"]).values
    (array([4., 6.]), array(['red', 'blue'], dtype=object))
    """
    column = pd.Series(values, dtype=None if isinstance(values, np.ndarray | pd.Series) else object).infer_objects()
    n_s, n_t = confidence.shape
    if len(column) != n_s:
        raise InputError(f"carry: {len(column)} values for {n_s} source entities; leave unknown ones as None")
    known = column.notna().to_numpy()
    if not known.any():
        raise InputError("carry: no value is known")
    back = confidence.T.tocsr()
    weight = back @ known.astype(float)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        numbers = np.where(known, column.to_numpy(dtype=float, na_value=np.nan), 0.0)
        mean = np.divide(back @ numbers, weight, out=np.full(n_t, np.nan), where=weight > 0)
        return Carried(mean, weight)
    codes, classes = pd.factorize(column[known].astype(object), sort=False)
    order = np.argsort(np.array([str(name) for name in classes]), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    rows = np.flatnonzero(known)
    one_hot = csr_matrix((np.ones(len(rows)), (rows, place[np.asarray(codes)])), shape=(n_s, len(classes)))
    told = np.asarray((back @ one_hot).todense())
    shares = np.divide(told, weight[:, None], out=np.zeros_like(told), where=weight[:, None] > 0)
    named = np.array(classes, dtype=object)[order]
    likeliest = np.where(weight > 0, named[shares.argmax(axis=1)], None)
    return Carried(np.asarray(likeliest), weight, named, shares)
