"""Families of maps f: how the best member is found, what it is charged, and in which units it is looked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from headstart.errors import InputError, unknown_name
from headstart.kernels import median_gamma, rbf
from headstart.mapping.fit_maps import (
    covariance_factors,
    fit_affine,
    fit_covariance,
    fit_kernel,
    fit_linear,
    fit_low_rank,
    fit_orthogonal,
    fit_perceptron,
    gaussian_map,
)
from headstart.mapping.kernel_map import KernelMap
from headstart.mapping.maps import AffineMap, LinearMap, Map
from headstart.mapping.perceptron_map import PerceptronMap

FAMILIES = ("linear", "affine", "orthogonal", "covariance", "low-rank", "kernel", "bures", "perceptron")
#: Families whose members turn a domain as a whole: columns keep their units beside one another.
WHOLE = ("orthogonal", "covariance", "bures")


@dataclass(frozen=True)
class Settings:
    """What the families can be told: the penalty, the rank, the kernel's width and landmarks, the seed."""

    alpha: float = 0.0
    rank: int = 2
    gamma: float | None = None
    n_landmarks: int | None = 500
    random_state: int | None = 0


@dataclass(frozen=True, eq=False)
class Family:
    """A family of maps.

    Parameters
    ----------
    fit : callable
        Takes rows X, rows Y and weights; returns the member that brings them nearest.
    penalty : callable
        What a member is charged.
    exact : bool
        Whether `fit` finds the very minimum, so that a step never raises the objective.
    """

    fit: Callable[[np.ndarray, np.ndarray, np.ndarray], Map]
    penalty: Callable[[Any], float]
    exact: bool = True


@dataclass(frozen=True, eq=False)
class Units:
    """The center and the unit of each column: rows are looked at as (x - center) / unit."""

    center: np.ndarray
    unit: np.ndarray

    def of(self, X: np.ndarray) -> np.ndarray:
        """Return the rows in these units."""
        return (X - self.center) / self.unit

    def back(self, Z: np.ndarray) -> np.ndarray:
        """Return the rows in their own units again."""
        return Z * self.unit + self.center


@dataclass(frozen=True, eq=False)
class RescaledMap:
    """A map between rows in other units."""

    source: Units
    map: Map
    target: Units

    def transform(self, X: Any) -> Any:
        """Return the mapped rows."""
        return self.target.back(self.map.transform(self.source.of(X)))


def units_of(X: np.ndarray, kind: str | None, *, centered: bool = True) -> Units:
    """Return the units of a domain: of each column, of all columns together, or none.

    >>> units_of(np.array([[1.0, 10.0], [3.0, 30.0]]), "columns").unit
    array([ 1., 10.])
    """
    if kind not in ("columns", "whole", None):
        raise InputError(f"units must be 'auto', 'columns', 'whole' or None, not {kind!r}")
    d = X.shape[1]
    # Sums over sorted columns do not depend on the order of the rows.
    X = np.sort(X, axis=0)
    if kind is None:
        return Units(np.zeros(d), np.ones(d))
    center = X.mean(axis=0, dtype=float) if centered else np.zeros(d)
    # The smallest spread that is more than rounding of the values themselves.
    tiny = np.abs(X).max(axis=0, initial=0.0) * 16 * np.finfo(X.dtype).eps
    spread = np.sqrt(np.mean(np.square(X - center, dtype=float), axis=0))
    if kind == "columns":
        return Units(center, np.where(spread > tiny, spread, 1.0))
    whole = float(np.sqrt(np.square(np.where(spread > tiny, spread, 0.0)).mean()))
    return Units(center, np.full(d, whole if whole > 0 else 1.0))


def rescaled(source: Units, inner: Map, target: Units) -> Map:
    """Return a map of scaled rows as one of rows in their own units; what is affine stays readable.

    >>> own = Units(np.array([1.0]), np.array([2.0])), Units(np.array([0.0]), np.array([10.0]))
    >>> rescaled(own[0], AffineMap(np.array([0.0]), np.array([[3.0]]), np.array([1.0])), own[1]).A
    array([[15.]])
    """
    if isinstance(inner, AffineMap):
        A = inner.A / source.unit[:, None] * target.unit
        return AffineMap(source.back(inner.center), A, target.back(inner.shift))
    if isinstance(inner, LinearMap) and not source.center.any() and not target.center.any():
        return LinearMap(inner.A / source.unit[:, None] * target.unit)
    return RescaledMap(source, inner, target)


def in_precision(fitted: Any, dtype: Any) -> Any:
    """Return a map of ours with its arrays in one precision; what a caller's own function made is left as it is."""
    if isinstance(fitted, RescaledMap):
        ends = (Units(units.center.astype(dtype), units.unit.astype(dtype)) for units in (fitted.source, fitted.target))
        source, target = ends
        return RescaledMap(source, in_precision(fitted.map, dtype), target)
    if isinstance(fitted, AffineMap | LinearMap):
        return type(fitted)(**{name: value.astype(dtype) for name, value in vars(fitted).items()})
    if isinstance(fitted, PerceptronMap):
        return PerceptronMap(
            tuple(A.astype(dtype) for A in fitted.matrices), tuple(b.astype(dtype) for b in fitted.offsets)
        )
    return fitted


def family_of(f: Any, settings: Settings, Xs: np.ndarray, Xt: np.ndarray) -> Family:
    """Return a family by its name, or the one of a function `fit(X, Y, weight) -> map`.

    Raises
    ------
    InputError
        When there is no family of that name, or it does not lead from one domain's columns to the other's.
    """
    if callable(f):
        return Family(f, _nothing, exact=False)
    if f not in FAMILIES:
        raise InputError(unknown_name("family of maps", f, FAMILIES))
    alpha = settings.alpha
    if f == "linear":
        return Family(partial(fit_linear, alpha=alpha), lambda member: alpha * _size(member))
    if f == "affine":
        return Family(partial(fit_affine, alpha=alpha), lambda member: alpha * _size(member))
    if f == "low-rank":
        return Family(partial(fit_low_rank, alpha=alpha, rank=settings.rank), lambda member: alpha * _size(member))
    if f == "orthogonal":
        return Family(fit_orthogonal, _nothing)
    if f == "covariance":
        # Where rows weigh differently, images of one covariance need not have one size, and the fit is only near.
        return Family(partial(fit_covariance, factors=covariance_factors(Xs, Xt)), _nothing, exact=False)
    if f == "bures":
        if Xs.shape[1] != Xt.shape[1]:
            raise InputError(
                f"the Bures map leads to as many columns, not from {Xs.shape[1]} to {Xt.shape[1]}; "
                "take f='covariance' or 'affine'"
            )
        only = gaussian_map(Xs, Xt)
        return Family(lambda X, Y, weight: only, _nothing)
    if f == "kernel":
        gamma = median_gamma(Xs, Xs) if settings.gamma is None else settings.gamma
        alpha = alpha if alpha > 0 else 1e-3
        to_kernel = partial(
            fit_kernel,
            alpha=alpha,
            gamma=gamma,
            n_landmarks=settings.n_landmarks,
            random_state=settings.random_state,
        )
        return Family(to_kernel, lambda member: alpha * _kernel_size(member))
    # The weight decay of the literature where no other is asked for.
    fit = partial(fit_perceptron, alpha=alpha if alpha > 0 else 1e-4, random_state=settings.random_state)
    return Family(fit, _nothing, exact=False)


def _nothing(member: Map) -> float:
    return 0.0


def _size(member: AffineMap | LinearMap) -> float:
    return float(np.square(member.A).sum())


def _kernel_size(member: KernelMap) -> float:
    return float(np.vdot(member.A, rbf(member.rows, member.rows, member.gamma) @ member.A))
