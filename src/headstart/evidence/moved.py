"""Which columns a feature-based method moved, and what that brought: each column before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.stats import ks_2samp, rankdata, wasserstein_distance

from headstart.draws import canonical_order, pick
from headstart.errors import InputError

#: Rows of each domain that are looked at, and columns that are named: those that differed most.
MOST_ROWS, MOST_COLUMNS = 1000, 200
#: Rank correlation from which on a column counts as kept.
KEPT = 1 - 1e-6


@dataclass(frozen=True)
class MovedColumn:
    """One column, before and after.

    Attributes
    ----------
    column : str
    ks_before, distance_before : float
        How far apart the domains were in it: the largest distance of the distribution functions, and the Wasserstein
        distance in standard deviations of the target.
    ks_after, distance_after : float or None
        The same after; None where the method makes axes of its own, in which no column is itself any more.
    moved : float or None
        How far the source rows were moved in it, on average, in the target's standard deviations.
    share : float or None
        Where the method makes axes of its own: how much of where a row lies there hangs on this column, between 0
        (not at all) and 1 or more (the row lies where another would, once it has the other's value).
    """

    column: str
    ks_before: float
    distance_before: float
    ks_after: float | None
    distance_after: float | None
    moved: float | None
    share: float | None


@dataclass(frozen=True)
class Moved:
    """What a feature-based method did to the columns.

    Attributes
    ----------
    method : str
    keeps_columns : bool
        Whether each target column is still itself after the mapping.
    columns : list of MovedColumn
        The most moved first; where columns are not kept, those with the largest share first.
    before, after : float
        Mean of the Kolmogorov-Smirnov distances over columns before, and over columns or new axes after.
    axes : int
        Columns of the learner's space.
    """

    method: str
    keeps_columns: bool
    columns: list[MovedColumn]
    before: float
    after: float
    axes: int

    def __str__(self) -> str:
        nearer = f"the domains' mean distance in a column went from {self.before:.2f} to {self.after:.2f}"
        first = [each for each in self.columns[:3] if (each.moved if self.keeps_columns else each.share)]
        if self.keeps_columns:
            most = ", ".join(f"{each.column} ({each.moved:.2f} sd)" for each in first)
            return f"{nearer}; moved most: {most}" if most else f"{nearer}; no column was moved"
        most = ", ".join(f"{each.column} ({each.share:.0%})" for each in first)
        return f"{nearer}, on {self.axes} axes of {self.method}'s own; they hang most on {most or 'no column'}"

    def document(self) -> dict[str, Any]:
        """Return the columns in plain types."""
        return {
            "summary": str(self),
            "method": self.method,
            "keeps_columns": self.keeps_columns,
            "before": round(self.before, 4),
            "after": round(self.after, 4),
            "axes": self.axes,
            "columns": [
                {key: round(value, 4) if isinstance(value, float) else value for key, value in vars(each).items()}
                for each in self.columns
            ],
        }


def moved(method: Any, Xs: Any, Xt: Any, *, columns: Sequence[str] | None = None, random_state: int = 0) -> Moved:
    r"""Compare each column before and after a fitted feature-based method.

    A column is *kept* when, in the target, what stands in it after rises with what stood in it before: so for methods
    that leave target rows where they are (CORAL, maps by optimal transport) or treat each column by itself (quantiles,
    standardisation). Then both states are told in the target's standard deviations of that state,

    .. math:: u = (x - \mu_t) / \sigma_t, \qquad u' = (z - \mu'_t) / \sigma'_t, \qquad
              \text{moved} = \mathrm{mean} |u' - u|

    over the source rows. Otherwise the method makes axes of its own, and a column's share is how far rows of the target
    move there when the column is given another row's value, against giving them all of it:

    .. math:: \text{share}_j = \frac{\sum_i \|z(x_i \mid x_{ij} := x_{\pi(i) j}) - z(x_i)\|^2}
              {\sum_i \|z(x_{\pi(i)}) - z(x_i)\|^2}

    For linear maps of uncorrelated columns the shares sum to 1.

    Parameters
    ----------
    method : FeatureMethod
        Fitted: `transform_source` and `transform` work.
    Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
        Rows of both domains with the same columns. At most 1,000 of each are looked at.
    columns : sequence of str, optional
        What the columns are called.
    random_state : int
        For the rows that are drawn, and the other row's values.

    Raises
    ------
    InputError
        When the domains have different columns: there is no before then.

    References
    ----------
    Fisher, Rudin, Dominici: All Models are Wrong, but Many are Useful. JMLR 20, 2019 (giving a column other rows'
    values).

    Examples
    --------
    >>> from headstart.features import CORAL
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + [3.0, 0.0]
    >>> found = moved(CORAL().fit(Xs, Xt), Xs, Xt, columns=["age", "weight"])
    >>> found.columns[0].column, round(found.columns[0].moved, 1), found.columns[0].ks_after < 0.1
    ('age', 3.2, True)
    """
    if Xs.shape[1] != Xt.shape[1]:
        raise InputError(
            f"source rows have {Xs.shape[1]} columns and target rows {Xt.shape[1]}; columns are compared where they "
            "are the same"
        )
    names = [f"column {j}" for j in range(Xs.shape[1])] if columns is None else [str(name) for name in columns]
    if len(names) != Xs.shape[1]:
        raise InputError(f"{len(names)} names for {Xs.shape[1]} columns")
    Xs, Xt = (X[pick(X, MOST_ROWS, random_state)] for X in (Xs, Xt))
    A, B = _dense(Xs), _dense(Xt)
    Zs, Zt = _dense(method.transform_source(Xs)), _dense(method.transform(Xt))
    named = np.argsort([-_ks(A[:, j], B[:, j]) for j in range(A.shape[1])], kind="stable")[:MOST_COLUMNS]
    kept = Zt.shape == B.shape and all(_rises(B[:, j], Zt[:, j]) for j in named)
    share = None if kept else _shares(method, Xt, B, Zt, named, random_state)
    found = []
    for at, j in enumerate(named):
        before = _in_target_units(A[:, j], B[:, j])
        after = _in_target_units(Zs[:, j], Zt[:, j]) if kept else None
        found.append(
            MovedColumn(
                names[j],
                _ks(A[:, j], B[:, j]),
                float(wasserstein_distance(*before)),
                None if after is None else _ks(Zs[:, j], Zt[:, j]),
                None if after is None else float(wasserstein_distance(*after)),
                None if after is None else float(np.abs(after[0] - before[0]).mean()),
                None if share is None else float(share[at]),
            )
        )
    found.sort(key=lambda each: -((each.moved if kept else each.share) or 0.0))
    looked_at = named if kept else range(min(Zt.shape[1], MOST_COLUMNS))
    return Moved(
        type(method).__name__,
        kept,
        found,
        float(np.mean([each.ks_before for each in found])),
        float(np.mean([_ks(Zs[:, j], Zt[:, j]) for j in looked_at])),
        int(Zt.shape[1]),
    )


def _dense(X: Any) -> np.ndarray:
    return np.asarray(X.toarray() if issparse(X) else X, dtype=float)


def _ks(a: np.ndarray, b: np.ndarray) -> float:
    """Return the distance of two distribution functions; numbers that differ by rounding only are the same."""
    scale = max(float(np.abs(a).max()), float(np.abs(b).max()))
    if scale == 0:
        return 0.0
    return float(ks_2samp(np.round(a / scale, 10), np.round(b / scale, 10), method="asymp").statistic)


def _rises(before: np.ndarray, after: np.ndarray) -> bool:
    """Tell whether a column rises with what it was; one that is the same for all rows tells nothing against it."""
    ranks = [rankdata(_rounded(values)) for values in (before, after)]
    centred = [r - r.mean() for r in ranks]
    norms = [float(np.sqrt(c @ c)) for c in centred]
    if norms[0] == 0 or norms[1] == 0:
        return norms[0] == norms[1]
    return float(centred[0] @ centred[1]) / (norms[0] * norms[1]) > KEPT


def _rounded(values: np.ndarray) -> np.ndarray:
    scale = float(np.abs(values).max())
    return np.round(values / scale, 10) if scale > 0 else values


def _in_target_units(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both in the target's standard deviations around its mean; where it has none, in those of all rows."""
    both = np.concatenate([source, target])
    least = 1e-9 * max(float(np.abs(both).max()), np.finfo(float).tiny)
    spread = next((float(v.std()) for v in (target, both) if v.std() > least), 1.0)
    return (source - target.mean()) / spread, (target - target.mean()) / spread


def _shares(method: Any, Xt: Any, B: np.ndarray, Zt: np.ndarray, named: np.ndarray, random_state: int) -> np.ndarray:
    """Return how much of where a row lies hangs on each named column, shape (len(named),)."""
    order = canonical_order(B)
    other = np.empty(len(order), dtype=int)
    # Each row is given the values of one some steps further on: never its own.
    other[order] = np.roll(order, int(np.random.default_rng(random_state).integers(1, max(len(order), 2))))
    whole = float(((Zt[other] - Zt) ** 2).sum())
    share = np.zeros(len(named))
    if whole <= 0:
        return share
    for at, j in enumerate(named):
        changed = B.copy()
        changed[:, j] = B[other, j]
        given = type(Xt)(changed) if issparse(Xt) else changed.astype(Xt.dtype)
        share[at] = float(((_dense(method.transform(given)) - Zt) ** 2).sum()) / whole
    return share
