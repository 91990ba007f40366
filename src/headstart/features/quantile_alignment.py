"""Quantile alignment: each column of the source rows takes the target's distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.mapping import IdentityMap, Map
from headstart.method import Needs


class QuantileAlignment(FeatureMethod):
    r"""Quantile alignment: the optimal transport of each column on its own.

    .. math:: x \mapsto F_t^{-1}\bigl(F_s(x)\bigr)

    The map of least cost between distributions on a line is the one that keeps the order (monotone rearrangement). A
    value of the fit that takes the share :math:`(p, q]` of the source's mass goes to the mean of the target's values
    over the same share, as the barycenter of exact transport does; values between go in proportion, and values beyond
    the ends move as the ends do. The map is the same for units, skew and outliers of any kind, but knows columns
    alone: correlations stay the source's. Target rows stay where they are.

    Parameters
    ----------
    n_quantiles : int, optional
        Keep so many knots a column at most, of equal mass each; by default every distinct value is one. Fewer make
        the map smaller and smoother.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.

    References
    ----------
    Villani: Topics in Optimal Transportation, section 2.2. AMS 2003.

    Examples
    --------
    >>> import numpy as np
    >>> Xs, Xt = np.array([[1.0], [2.0], [3.0]]), np.array([[900.0], [10.0], [40.0]])
    >>> aligned = QuantileAlignment().fit(Xs, Xt)
    >>> aligned.transform_source([[1.0], [2.0], [3.0], [2.5], [4.0]]).ravel()
    array([ 10.,  40., 900., 470., 901.])
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any", dense=True)

    def __init__(self, n_quantiles: int | None = None, target_weight: float | str = "balanced") -> None:
        self.n_quantiles = n_quantiles
        self.target_weight = target_weight

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of source rows, and the identity for target rows. Labels are not used."""
        if self.n_quantiles is not None and self.n_quantiles < 1:
            raise InputError(f"QuantileAlignment: n_quantiles must be 1 or more, not {self.n_quantiles}")
        columns = [rearrangement(s, t, self.n_quantiles) for s, t in zip(Xs.T, Xt.T, strict=True)]
        ends = np.cumsum([0, *(len(knots) for knots, _ in columns)])
        knots, images = (np.concatenate(parts).astype(Xs.dtype) for parts in zip(*columns, strict=True))
        return PiecewiseLinearMap(knots, images, ends), IdentityMap()


@dataclass(frozen=True, eq=False)
class PiecewiseLinearMap:
    """The map of each column by straight lines between knots; beyond the last ones, values move as these do.

    Parameters
    ----------
    knots, images : arrays of shape (m,)
        Of all columns one after the other; the knots of a column ascend.
    ends : int array of shape (d + 1,)
        Column j has the knots from ends[j] up to ends[j + 1].

    Examples
    --------
    >>> twice = PiecewiseLinearMap(np.array([0.0, 1.0]), np.array([0.0, 2.0]), np.array([0, 2]))
    >>> twice.transform(np.array([[0.5], [3.0]]))
    array([[1.],
           [4.]])
    """

    knots: np.ndarray
    images: np.ndarray
    ends: np.ndarray

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows, shape (n, d)."""
        mapped = np.empty_like(X)
        for j, (start, stop) in enumerate(zip(self.ends[:-1], self.ends[1:], strict=True)):
            knots = self.knots[start:stop].astype(float)
            inside = np.clip(X[:, j].astype(float), knots[0], knots[-1])
            mapped[:, j] = np.interp(inside, knots, self.images[start:stop]) + (X[:, j] - inside)
        return mapped


def rearrangement(s: np.ndarray, t: np.ndarray, n_quantiles: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return knots and their images under the transport of least cost from one sample of numbers to another.

    The knots are the distinct values of s, or the means of `n_quantiles` shares of them, as equal as ties allow.
    """
    s, t = np.sort(s.astype(float)), np.sort(t.astype(float))
    knots, counts = np.unique(s, return_counts=True)
    shares = np.append(0.0, np.cumsum(counts)) / len(s)
    if n_quantiles is not None and n_quantiles < len(knots):
        # Equal values stay together, so that knots are distinct.
        shares = np.unique(shares[np.searchsorted(shares, np.linspace(0.0, 1.0, n_quantiles + 1))])
        knots = _means(s, shares)
    return knots, _means(t, shares)


def _means(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the means of sorted values over consecutive shares of their mass."""
    center = values.mean()
    sums = np.append(0.0, np.cumsum(values - center))
    at = np.interp(shares * len(values), np.arange(len(sums)), sums)
    return np.maximum.accumulate(center + np.diff(at) / (np.diff(shares) * len(values)))
