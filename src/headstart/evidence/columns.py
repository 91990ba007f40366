"""How each column differs between two domains, and how the labels do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency, false_discovery_control, ks_2samp

from headstart.domain import Task, as_labels, known_labels, missing, task_of
from headstart.errors import InputError
from headstart.readers.columns import Kind

#: Columns that are tested one by one.
MOST_COLUMNS = 200


@dataclass(frozen=True)
class ColumnShift:
    """How one column differs: size between 0 and 1, p-value, and the p-value with false discoveries controlled."""

    column: str
    kind: str
    size: float
    p: float
    q: float
    note: str


@dataclass(frozen=True)
class LabelShift:
    """How the labels differ: size between 0 and 1, p-value, and the shares (or means) in each domain."""

    size: float
    p: float
    source: dict[str, float]
    target: dict[str, float]


def column_shifts(Xs: Any, Xt: Any, kinds: dict[str, Kind] | None = None) -> list[ColumnShift]:
    """Test each column: Kolmogorov-Smirnov for numbers and dates, chi-squared for categories.

    p-values are adjusted over the columns (Benjamini & Hochberg 1995) into q. Empty cells count as a category of
    their own; for numbers a difference in their share is named in the note. At most 200 columns are tested; sparse
    rows are not tested column by column, and the list is then empty.

    Parameters
    ----------
    Xs, Xt : array or DataFrame of shape (n_s, d) and (n_t, d)
    kinds : dict of column name to {"number", "date", "category"}, optional
        What the columns of tables hold, as `headstart.readers.align` found out. Of arrays, all are numbers.

    Returns
    -------
    list of ColumnShift
        Most different first.

    References
    ----------
    Benjamini & Hochberg: Controlling the False Discovery Rate: A Practical and Powerful Approach to Multiple Testing.
    Journal of the Royal Statistical Society B 57, 1995.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = column_shifts(rng.normal(0, 1, (99, 2)), rng.normal([0, 2], 1, (99, 2)))
    >>> found[0].column, found[0].q < 1e-9
    ('column 1', True)
    """
    tested = []
    if kinds is None:
        if not isinstance(Xs, np.ndarray) or not isinstance(Xt, np.ndarray):
            return []
        for j in range(min(Xs.shape[1], MOST_COLUMNS)):
            tested.append((f"column {j}", "number", *_number_shift(Xs[:, j], Xt[:, j])))
    else:
        for name, kind in list(kinds.items())[:MOST_COLUMNS]:
            if kind == "category":
                tested.append((name, kind, *_category_shift(Xs[name], Xt[name])))
            else:
                tested.append((name, kind, *_number_shift(_floats(Xs[name], kind), _floats(Xt[name], kind))))
    if not tested:
        return []
    adjusted = false_discovery_control([p for _, _, _, p, _ in tested])
    shifts = [
        ColumnShift(name, kind, size, p, float(q), note)
        for (name, kind, size, p, note), q in zip(tested, adjusted, strict=True)
    ]
    return sorted(shifts, key=lambda shift: (shift.q, -shift.size))


def _floats(values: Any, kind: str) -> np.ndarray:
    import pandas as pd

    if kind == "date":
        days = pd.to_datetime(values.astype(object).where(values.notna(), None), errors="coerce", utc=True)
        return np.asarray((days - pd.Timestamp("1970-01-01", tz="UTC")).dt.total_seconds(), dtype=float)
    return np.asarray(pd.to_numeric(values, errors="coerce"), dtype=float)


def _number_shift(a: np.ndarray, b: np.ndarray) -> tuple[float, float, str]:
    known_a, known_b = a[~np.isnan(a)], b[~np.isnan(b)]
    lost_a, lost_b = 1 - len(known_a) / len(a), 1 - len(known_b) / len(b)
    note = f"missing {lost_a:.0%} and {lost_b:.0%}" if abs(lost_a - lost_b) > 0.05 else ""
    if not len(known_a) or not len(known_b):
        return 0.0, 1.0, note or "empty"
    test = ks_2samp(known_a, known_b)
    mean = f"mean {known_a.mean():.4g} and {known_b.mean():.4g}"
    return float(test.statistic), float(test.pvalue), f"{mean}; {note}" if note else mean


def _category_shift(a: Any, b: Any) -> tuple[float, float, str]:
    return _count_shift(a.astype(object).where(a.notna(), "(missing)"), b.astype(object).where(b.notna(), "(missing)"))


def _count_shift(a: Any, b: Any) -> tuple[float, float, str]:
    """Return total variation distance, chi-squared p-value, and the value whose share differs most."""
    values, codes = np.unique(np.concatenate([np.asarray(a, dtype=str), np.asarray(b, dtype=str)]), return_inverse=True)
    counts = np.stack(
        [
            np.bincount(codes[: len(a)], minlength=len(values)),
            np.bincount(codes[len(a) :], minlength=len(values)),
        ]
    )
    if len(values) < 2:
        return 0.0, 1.0, ""
    shares = counts / counts.sum(axis=1, keepdims=True)
    most = int(np.abs(shares[0] - shares[1]).argmax())
    note = f"{values[most]!s}: {shares[0, most]:.0%} and {shares[1, most]:.0%}"
    distance = 0.5 * float(np.abs(shares[0] - shares[1]).sum())
    # Without Yates's correction, which makes p-values of two classes too large.
    return distance, float(chi2_contingency(counts, correction=False).pvalue), note


def label_shift(ys: Any, yt: Any, *, task: Task | None = None) -> LabelShift | None:
    """Compare the known labels of both domains: chi-squared for classes, Kolmogorov-Smirnov for numbers.

    Parameters
    ----------
    ys, yt : array of shape (n_s,) and (n_t,), or None
        Labels, some of which may be missing.
    task : {"classification", "regression"}, optional
        Read off the source's labels when not given.

    Returns
    -------
    LabelShift or None
        None where a domain has no known label.

    Examples
    --------
    >>> label_shift(["a", "b"] * 50, ["a"] * 80 + ["b"] * 20).size
    0.3
    """
    known = []
    for y, name in ((ys, "ys"), (yt, "yt")):
        labels = None if y is None else as_labels(y, where=f"label_shift: {name}")
        if labels is None or missing(labels).all():
            return None
        known.append(known_labels(labels, classes=task != "regression"))
    ys, yt = known
    if (task or task_of(ys)) == "regression":
        if "U" in (ys.dtype.kind, yt.dtype.kind):
            raise InputError("label_shift: the labels are not numbers; regression needs numbers")
        size, p, _ = _number_shift(ys.astype(float), yt.astype(float))
        return LabelShift(size, p, {"mean": float(ys.mean())}, {"mean": float(yt.mean())})
    size, p, _ = _count_shift(ys, yt)
    return LabelShift(round(size, 12), p, _shares(ys), _shares(yt))


def _shares(labels: np.ndarray) -> dict[str, float]:
    values, counts = np.unique(labels, return_counts=True)
    return {str(value): float(count / len(labels)) for value, count in zip(values, counts, strict=True)}
