"""Density ratios that are sums of Gaussian kernels: what KLIEP, ULSIF and RULSIF share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.draws import pick
from headstart.errors import InputError
from headstart.kernels import median_gamma, squared_distances

#: Widths that cross-validation tries, as multiples of the median rule's gamma.
AROUND_MEDIAN = (0.1, 10**-0.5, 1.0, 10**0.5, 10.0)
#: A ratio or a mean kernel value below this is as good as zero, and is zero: its square and its inverse are then
#: numbers too, also in float32.
NEGLIGIBLE = 1e-30
#: Rows whose distances to the centres are held at once.
BLOCK = 4096


@dataclass(frozen=True, eq=False)
class KernelRatio:
    """The function x -> sum_l coefficients_l exp(-gamma ||x - centers_l||^2).

    Parameters
    ----------
    centers : array or CSR matrix of shape (b, d)
    coefficients : array of shape (b,), zero or more
    gamma : float
    """

    centers: Any
    coefficients: np.ndarray
    gamma: float

    def __call__(self, X: Any) -> np.ndarray:
        """Return the ratio at each row, shape (n,), in float64."""
        blocks = [self.coefficients @ kernel(D, self.gamma) for D in distances_in_blocks(self.centers, X)]
        values = np.concatenate(blocks)
        values[values < NEGLIGIBLE] = 0.0
        return values


def ratio_of(centers: Any, coefficients: np.ndarray, gamma: float) -> KernelRatio:
    """Return the ratio with the centres whose coefficients are above zero, and no others."""
    kept = coefficients > 0
    return KernelRatio(centers[kept], coefficients[kept], gamma)


def draw_centers(Xt: Any, n_centers: int, rng: np.random.Generator) -> np.ndarray:
    """Return the positions of up to `n_centers` target rows, drawn without replacement."""
    if n_centers < 1:
        raise InputError(f"n_centers must be 1 or more, not {n_centers}")
    return pick(Xt, n_centers, rng)


def distances_in_blocks(centers: Any, X: Any) -> Iterator[np.ndarray]:
    """Yield ||c_l - x_i||^2 for one block of rows after the other, each of shape (b, rows of the block)."""
    for start in range(0, X.shape[0], BLOCK):
        yield squared_distances(centers, X[start : start + BLOCK].astype(float, copy=False))


def kernel(D: np.ndarray, gamma: float) -> np.ndarray:
    """Return exp(-gamma D) for squared distances D."""
    K = D * -gamma
    return np.exp(K, out=K)


def widths_to_try(gamma: float | str | None, gammas: Sequence[float] | None, Xs: Any, Xt: Any) -> list[float]:
    """Return the candidates for gamma: the one given, the median rule's (None), or several ("cv").

    Raises
    ------
    InputError
        When a width is no number above zero.
    """
    if gamma is None:
        return [median_gamma(Xs, Xt)]
    if not isinstance(gamma, str):
        return positive("gamma", [gamma])
    if gamma != "cv":
        raise InputError(f"gamma must be a number, None (the median rule) or 'cv', not {gamma!r}")
    if gammas is not None:
        return positive("gammas", gammas)
    median = median_gamma(Xs, Xt)
    return [factor * median for factor in AROUND_MEDIAN]


def positive(name: str, numbers: Sequence[float]) -> list[float]:
    """Return the numbers of a parameter as floats; refuse an empty list and what is not above zero."""
    checked = [float(number) for number in numbers]
    if not checked or not all(0 < number < np.inf for number in checked):
        raise InputError(f"{name} must be above zero and finite, not {numbers}")
    return checked
