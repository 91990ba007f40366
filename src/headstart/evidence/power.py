"""How many labelled rows would settle it, and what gain these rows could have shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import nct
from scipy.stats import t as student_t

from headstart.errors import InputError
from headstart.evidence.gain import Gain
from headstart.evidence.interval import LEVEL

POWER = 0.8
#: Rows beyond which it is only said that it takes more.
MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Power:
    """What a measurement of the gain can show.

    Attributes
    ----------
    rows : int
        Rows it rests on.
    spread : float
        Standard deviation of a row's difference that the interval stands for.
    visible : float
        The smallest true gain that so many rows show with a chance of `power`.
    chance : float
        The chance that so many rows show a gain of the size found.
    needed : int or None
        Rows that show a gain of the size found with a chance of `power`; None where no number up to a million does,
        or none was found.
    more : int or None
        The same, less the rows there are; 0 when these are enough.
    power : float
    """

    rows: int
    spread: float
    visible: float
    chance: float
    needed: int | None
    more: int | None
    power: float

    def __str__(self) -> str:
        seen = f"{self.rows} rows show a gain of {self.visible:.3g} with a chance of {self.power:.0%}"
        if self.needed is None:
            return f"{seen}; no gain was found that more rows could show"
        if not self.more:
            return f"{seen}, and one of the size found with {self.chance:.0%}"
        return f"{seen}; for one of the size found it takes about {self.needed} rows, {self.more} more"

    def document(self) -> dict[str, Any]:
        """Return all of it in plain types."""
        return asdict(self)


def chance_to_show(gain: float, spread: float, rows: int, level: float = LEVEL) -> float:
    r"""Return the chance that the interval of a true gain lies above zero.

    .. math:: P\left( T_{n - 1,\, \delta} > t_{n - 1,\, (1 + level) / 2} \right), \quad \delta = \sqrt{n}\, gain / s

    with the noncentral t distribution, for differences that are normal, or many.

    Parameters
    ----------
    gain : float
    spread : float
        Standard deviation s of a row's difference.
    rows : int

    Examples
    --------
    >>> round(chance_to_show(0.5, 1.0, 34), 2), round(chance_to_show(0.0, 1.0, 34), 3)
    (0.81, 0.025)
    """
    if rows < 2:
        raise InputError(f"a gain is measured on two rows or more, not {rows}")
    if not spread > 0:
        return float(gain > 0)
    delta = np.sqrt(rows) * gain / spread
    if abs(delta) > 30:
        return float(delta > 0)
    return float(nct.sf(student_t.ppf(0.5 + level / 2, rows - 1), rows - 1, delta))


def rows_needed(gain: float, spread: float, *, power: float = POWER, level: float = LEVEL) -> int | None:
    """Return the fewest rows that show a gain with a chance of `power`; None when more than a million.

    >>> rows_needed(0.5, 1.0), rows_needed(0.0, 1.0)
    (34, None)
    """
    _check_power(power)
    if gain <= 0 or chance_to_show(gain, spread, MOST_ROWS, level) < power:
        return None
    few, many = 1, MOST_ROWS
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if chance_to_show(gain, spread, middle, level) >= power else (middle, many)
    return many


def visible_gain(spread: float, rows: int, *, power: float = POWER, level: float = LEVEL) -> float:
    """Return the smallest true gain that these rows show with a chance of `power`.

    >>> round(visible_gain(1.0, 34), 2)
    0.5
    """
    from scipy.optimize import brentq

    _check_power(power)
    if not spread > 0:
        return 0.0
    # Twice both quantiles is beyond the answer for every number of rows from 2 on.
    most = 4 * spread * (student_t.ppf(0.5 + level / 2, rows - 1) + student_t.ppf(power, rows - 1)) / np.sqrt(rows)
    return float(brentq(lambda gain: chance_to_show(gain, spread, rows, level) - power, 0.0, most, xtol=1e-10 * spread))


def power_of(gain: Gain, *, power: float = POWER, level: float = LEVEL) -> Power | None:
    """Return what a measured gain's rows could show, and how many would settle it.

    The width of the interval says how much a row's difference varies, the variation of training sets included; more
    rows narrow it with the square root of their number. With cross-validation that is a number of labelled rows, with
    test rows one of test rows. The gain found is an estimate: where it is uncertain, so is the number. Where the
    interval has no finite width there is nothing to say, and None is returned.

    Examples
    --------
    >>> print(power_of(Gain("accuracy", 0.80, 0.82, 0.02, -0.02, 0.06, "", 100)))
    100 rows show a gain of 0.057 with a chance of 80%; for one of the size found it takes about 800 rows, 700 more
    """
    half = 0.5 * (gain.high - gain.low)
    if gain.rows < 2 or not np.isfinite(half):
        return None
    spread = float(half / student_t.ppf(0.5 + level / 2, gain.rows - 1) * np.sqrt(gain.rows))
    needed = rows_needed(gain.gain, spread, power=power, level=level)
    return Power(
        gain.rows,
        spread,
        visible_gain(spread, gain.rows, power=power, level=level),
        chance_to_show(gain.gain, spread, gain.rows, level),
        needed,
        None if needed is None else max(needed - gain.rows, 0),
        power,
    )


def _check_power(power: float) -> None:
    if not 0.05 < power < 1:
        raise InputError(f"power is a chance between 0.05 and 1, not {power!r}")
