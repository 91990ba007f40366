"""One measured number between two samples, with its p-value where it has one, and the rows that go in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from headstart.errors import InputError
from headstart.inputs import rows_of_both

#: Share of chance that lies below `Measured.noise`.
NOISE_LEVEL = 0.95


@dataclass(frozen=True)
class Measured:
    """A number, and how surely it is more than chance.

    Attributes
    ----------
    value : float
    p : float or None
        The chance of a value at least as large when there is no shift; None where it was not tested.
    how : str
        How both were reckoned, with the number of rows.
    noise : float or None
        What chance alone exceeds in one case of twenty: a value below it may be noise.

    Examples
    --------
    >>> print(Measured(0.12, 0.002, "999 permutations", 0.03))
    0.12 (p = 0.002; chance alone gives up to 0.03)
    >>> print(Measured(1.5))
    1.5
    """

    value: float
    p: float | None = None
    how: str = ""
    noise: float | None = None

    def __str__(self) -> str:
        if self.p is None:
            return f"{self.value:.3g}"
        chance = "" if self.noise is None else f"; chance alone gives up to {self.noise:.3g}"
        return f"{self.value:.3g} (p = {self.p:.2g}{chance})"

    def document(self) -> dict[str, Any]:
        """Return the number in plain types."""
        return asdict(self)


def beside_chance(value: float, chance: np.ndarray, how: str) -> Measured:
    """Return a value with its p-value: the share of chance's values, the observed one among them, as large.

    Values that differ by rounding alone count as equal.

    >>> beside_chance(3.0, np.array([1.0, 2.0, 3.0]), "3 permutations").p  # the observed, and one as large, of four
    0.5
    """
    if not len(chance):
        return Measured(float(value), None, how)
    slack = 1e-6 * float(np.std(chance)) + 1e-12 * abs(value)
    p = (1 + int((chance >= value - slack).sum())) / (1 + len(chance))
    return Measured(float(value), float(p), how, float(np.quantile(chance, NOISE_LEVEL)))


def two_samples(Xs: Any, Xt: Any, name: str, least: int = 2) -> tuple[Any, Any]:
    """Return the rows of both samples as floats, shape (n_s, d) and (n_t, d), dense or CSR; refuse what is none.

    Raises
    ------
    InputError
        When they are no tables of finite numbers, differ in columns, or one has fewer than `least` rows.
    """
    Xs, Xt = (X if issparse(X) or not hasattr(X, "to_numpy") else X.to_numpy() for X in (Xs, Xt))
    for X, which in ((Xs, "source"), (Xt, "target")):
        if hasattr(X, "shape") and len(X.shape) == 2 and X.shape[0] < least:
            raise InputError(f"{name}: the {which} has {X.shape[0]} rows; it takes {least} at least")
    Xs, Xt = rows_of_both(Xs, Xt, name, dense=False)
    return Xs.astype(float, copy=False), Xt.astype(float, copy=False)
