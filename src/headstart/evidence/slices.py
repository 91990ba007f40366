"""Where the gain comes from: the gain in parts of the rows, corrected for looking at many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headstart.errors import InputError
from headstart.evidence.interval import LEVEL, fresh_rows_interval

#: Rows below which nothing is said of a slice.
LEAST_ROWS = 10
#: Parts of equal size that a column of numbers is cut into.
PARTS = 4
#: Values of a column of categories that are looked at, the most frequent first.
MOST_VALUES = 20


@dataclass(frozen=True)
class SliceGain:
    """The gain in a part of the rows.

    Attributes
    ----------
    column, value : str
        What the rows have in common.
    rows : int
    target_only, transfer, gain : float
        Mean utilities, and their difference.
    low, high : float or None
        Simultaneous interval: all slices' intervals hold together with 95 % confidence or more. None when there are
        too few rows.
    p : float or None
        Two-sided p-value of no gain, corrected for the number of slices (Holm).
    note : str
        "too few rows", or nothing.
    """

    column: str
    value: str
    rows: int
    target_only: float
    transfer: float
    gain: float
    low: float | None
    high: float | None
    p: float | None
    note: str = ""

    def __str__(self) -> str:
        found = f"{self.column} = {self.value}: {self.gain:+.3f} on {self.rows} rows"
        if self.p is None:
            return f"{found}, {self.note}"
        return f"{found} ({self.low:+.3f} to {self.high:+.3f}, p = {self.p:.2g})"

    def document(self) -> dict[str, Any]:
        """Return the slice's gain in plain types."""
        return asdict(self)


def sliced_gains(
    target_only: np.ndarray,
    transfer: np.ndarray,
    columns: Mapping[str, Any],
    *,
    least: int = LEAST_ROWS,
    parts: int = PARTS,
    level: float = LEVEL,
) -> list[SliceGain]:
    """Return the gain in every slice of the rows, the worst first and slices with too few rows last.

    A column of categories, or of few numbers, has a slice for each value; one of many numbers is cut at its quantiles.
    For gains by class, give the labels as a column. In each slice the interval is that of `fresh_rows_interval` with
    two rows added, as far out as any difference seen, for slices are small. Looking at m slices, each interval has
    the level 1 - (1 - level) / m (Bonferroni), and the p-values are Holm's.

    Parameters
    ----------
    target_only, transfer : array of shape (n,) or (repeats, n)
        Utility of each row: on test rows, or out of fold. Of several repeats the mean counts.
    columns : mapping of name to n values
        Numbers or categories; a missing value is a category of its own.
    least : int
        Rows below which nothing is said.
    parts : int
        Slices of a column of numbers.
    level : float

    Raises
    ------
    InputError
        When a column has another number of rows.

    References
    ----------
    Holm: A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of Statistics, 1979.

    Examples
    --------
    >>> alone, helped = np.zeros(40), np.array([1.0] * 20 + [0.0] * 20)
    >>> for line in sliced_gains(alone, helped, {"ward": ["a"] * 20 + ["b"] * 15 + ["c"] * 5}):
    ...     print(line)
    ward = b: +0.000 on 15 rows (-0.209 to +0.209, p = 1)
    ward = a: +1.000 on 20 rows (+0.693 to +1.125, p = 7.2e-09)
    ward = c: +0.000 on 5 rows, too few rows
    """
    alone, helped = (np.atleast_2d(np.asarray(u, dtype=float)).mean(axis=0) for u in (target_only, transfer))
    n = len(alone)
    if helped.shape != (n,):
        raise InputError(f"target-only has {n} rows and transfer {len(helped)}; give utilities of the same rows")
    slices = [
        (name, value, mask) for name, values in columns.items() for value, mask in slices_of(values, parts, n, name)
    ]
    difference = helped - alone
    most = float(np.abs(difference).max(initial=0.0))
    tested = [mask.sum() >= max(least, 2) for _, _, mask in slices]
    strict = 1 - (1 - level) / max(sum(tested), 1)
    intervals = [
        fresh_rows_interval(difference[mask], most, strict) if enough else None
        for (_, _, mask), enough in zip(slices, tested, strict=True)
    ]
    corrected = iter(holm([interval.p for interval in intervals if interval is not None]))
    lines = [
        SliceGain(
            name,
            value,
            int(mask.sum()),
            float(alone[mask].mean()),
            float(helped[mask].mean()),
            float(difference[mask].mean()),
            None if interval is None else interval.low,
            None if interval is None else interval.high,
            None if interval is None else next(corrected),
            "" if interval is not None else "too few rows",
        )
        for (name, value, mask), interval in zip(slices, intervals, strict=True)
    ]
    return sorted(lines, key=lambda line: (line.p is None, line.gain, line.column, line.value))


def holm(p: Sequence[float]) -> list[float]:
    """Return Holm's corrected p-values: the i-th smallest of m times m - i + 1, made to rise, at most 1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1.0)
    return [float(value) for value in corrected]


def slices_of(values: Any, parts: int, n: int, name: str = "column") -> list[tuple[str, np.ndarray]]:
    """Return (what the value is, mask of shape (n,)) for each slice of a column.

    >>> [(value, int(mask.sum())) for value, mask in slices_of(np.arange(100.0), 2, 100)]
    [('up to 49.5', 50), ('over 49.5', 50)]
    >>> [(value, int(mask.sum())) for value, mask in slices_of(["a", None, "a"], 2, 3)]
    [('a', 2), ('(missing)', 1)]
    """
    import pandas as pd

    column = pd.Series(np.asarray(values).tolist() if not isinstance(values, pd.Series) else values.to_numpy())
    if len(column) != n:
        raise InputError(f"{name} has {len(column)} values for {n} rows")
    lost = column.isna().to_numpy()
    gone = [("(missing)", lost)] if lost.any() else []
    if pd.api.types.is_numeric_dtype(column) and column[~lost].nunique() > max(parts, MOST_VALUES // 2):
        numbers = column.to_numpy(dtype=float)
        cuts = np.unique(np.quantile(numbers[~lost], np.linspace(0, 1, parts + 1)[1:-1]))
        part = np.searchsorted(cuts, numbers, side="left")
        named = [(_range(cuts, i), (part == i) & ~lost) for i in range(len(cuts) + 1)]
        return [(value, mask) for value, mask in named if mask.any()] + gone
    text = column[~lost].astype(str)
    counts = text.value_counts()
    # By count, then by name: the order of the rows must not decide.
    frequent = sorted(counts.index, key=lambda value: (-counts[value], value))[:MOST_VALUES]
    whole = np.full(n, "", dtype=object)
    whole[~lost] = text.to_numpy()
    return [(str(value), (whole == value) & ~lost) for value in frequent] + gone


def _range(cuts: np.ndarray, i: int) -> str:
    if i == 0:
        return f"up to {cuts[0]:.4g}"
    return f"over {cuts[-1]:.4g}" if i == len(cuts) else f"over {cuts[i - 1]:.4g} to {cuts[i]:.4g}"
