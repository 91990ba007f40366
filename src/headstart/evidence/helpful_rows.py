"""Which source rows helped the target and which hurt: a value for each, on target rows that were held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from headstart.domain import Domain, stack_labels, stack_rows
from headstart.draws import folds as folds_of
from headstart.errors import InputError, NeedsError, unknown_name
from headstart.evidence.arrived import Arrived, Carries, arrived
from headstart.evidence.interval import UNSEEN
from headstart.evidence.neighbour_values import knn_shapley
from headstart.evidence.removal import refuses_removal, removal_effects
from headstart.fitting import counts_each, fit_learner, to_mean_one

BY = ("neighbours", "learner")
#: Rows that a document names on each side.
SHOWN = 20
#: Decimals of a number in a document.
DECIMALS = 6


@dataclass(frozen=True)
class Share:
    """What a group of rows is worth together: the sum of their values, its 95 % interval, and how many they are."""

    name: str
    rows: int
    value: float
    low: float
    high: float

    def document(self) -> dict[str, Any]:
        """Return the share in plain types."""
        numbers = {key: round(getattr(self, key), DECIMALS) for key in ("value", "low", "high")}
        return {"name": self.name, "rows": self.rows, **numbers}


@dataclass(frozen=True, eq=False)
class HelpfulRows:
    """What each source row is worth to the target.

    Attributes
    ----------
    rows : array of shape (n,)
        Positions in the source of the rows that were valued: those with a label.
    values, low, high : arrays of shape (n,)
        The mean value over held-out target rows, and its 95 % interval over these rows (one row at a time: among many
        rows some intervals leave out zero by chance).
    by_class, by_domain : list of Share
        Sums over the source rows of each class (none for quantities) and of each source domain.
    source, target : Share
        Sums over all source rows, and over the target's own learned rows (in the mean over the folds).
    by : str
        "neighbours" or "learner".
    unit : str
        What a value is a gain in; more is better.
    how : str
    """

    rows: np.ndarray
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    by_class: list[Share]
    by_domain: list[Share]
    source: Share
    target: Share
    by: str
    unit: str
    how: str

    def helpful(self, most: int = SHOWN) -> np.ndarray:
        """Return positions in the source of the most helpful rows, the best first; only rows with a value above 0."""
        order = np.argsort(-self.values, kind="stable")
        return np.asarray(self.rows[order[self.values[order] > 0][:most]])

    def harmful(self, most: int = SHOWN) -> np.ndarray:
        """Return positions in the source of the most harmful rows, the worst first; only rows with one below 0."""
        order = np.argsort(self.values, kind="stable")
        return np.asarray(self.rows[order[self.values[order] < 0][:most]])

    def __str__(self) -> str:
        n, good, bad = len(self.values), int((self.values > 0).sum()), int((self.values < 0).sum())
        worst = ", ".join(str(row + 1) for row in self.harmful(3))
        return (
            f"{good} of {n} source rows helped and {bad} hurt, by the mean over held-out target rows"
            f"{f' (most: rows {worst})' if worst else ''}"
        )

    def document(self) -> dict[str, Any]:
        """Return the values in plain types: all groups, and the rows at both ends."""
        return {
            "summary": str(self),
            "by": self.by,
            "unit": self.unit,
            "how": self.how,
            "rows": len(self.values),
            "helped": int((self.values > 0).sum()),
            "hurt": int((self.values < 0).sum()),
            "source": self.source.document(),
            "target": self.target.document(),
            "by_class": [share.document() for share in self.by_class],
            "by_domain": [share.document() for share in self.by_domain],
            "helpful": self._told(self.helpful()),
            "harmful": self._told(self.harmful()),
        }

    def _told(self, positions: np.ndarray) -> list[dict[str, Any]]:
        at = np.searchsorted(self.rows, positions)
        return [
            {"row": int(self.rows[i]) + 1}
            | {key: round(float(getattr(self, name)[i]), DECIMALS) for key, name in _COLUMNS.items()}
            for i in at
        ]


_COLUMNS = {"value": "values", "low": "low", "high": "high"}


def helpful_rows(
    transfer: Carries,
    target: Domain,
    *,
    by: Literal["neighbours", "learner"] = "neighbours",
    k: int = 5,
    folds: int = 5,
    random_state: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> HelpfulRows:
    """Value each source row for the target: what it brought on labelled target rows that were held out.

    In each fold the method carries the source to the target without the held-out rows; these are then brought into
    the learner's space, and every learned row, of the source and of the target, gets a value for each of them.

    Parameters
    ----------
    transfer : Candidate
        Of a method that moves source rows: pooled, instance-based or feature-based.
    target : Domain
        With labelled rows.
    by : {"neighbours", "learner"}
        "neighbours": exact Shapley values of k nearest neighbours (`knn_shapley`), whatever the learner. A row's own
        weight plays no part. "learner": what the linear learner would lose without the row (`removal_effects`), at its
        weight.
    k : int
        Neighbours.
    folds : int
    random_state : int
        For the folds.
    tick : callable
        Told how many folds are done, and of how many.

    Raises
    ------
    NeedsError
        When no source row arrives, the learner is not linear (by="learner"), or fewer than two target rows have labels.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from headstart.baselines import Pooled
    >>> from headstart.choose import Candidate
    >>> from headstart.delivery import Plan
    >>> X, y = np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat([0, 1], 10)
    >>> source = Domain(X, np.append(y[:-1], 0), name="source")             # the last row has the wrong label
    >>> pooled = Candidate("pooled", Pooled(), LogisticRegression(), Plan("classification"), source)
    >>> helpful_rows(pooled, Domain(X + 0.1, y)).harmful(1)
    array([19])
    """
    if by not in BY:
        raise InputError(unknown_name("way to value rows", by, BY))
    if min(folds, target.n_labelled) < 2:
        raise NeedsError(
            f"rows are valued on held-out target rows: that takes 2 labelled ones and 2 folds or more, not "
            f"{target.n_labelled} and {folds}"
        )
    labelled, rest = np.flatnonzero(target.labelled), np.flatnonzero(~target.labelled)
    known, classes = target.labels, target.task == "classification"
    numbers = transfer.plan.fitted_on(target.X).transform(target.X)[labelled]
    fold = folds_of(numbers, folds, random_state, known if classes else None)
    n_folds, own, found = int(fold.max()) + 1, [], None
    sums: list[np.ndarray] = []
    of_class: list[dict[str, np.ndarray]] = []
    of_domain: list[dict[str, np.ndarray]] = []
    for number in range(n_folds):
        held = fold == number
        learned = target.rows(np.concatenate([labelled[~held], rest]))
        found = arrived(transfer, learned)
        values = _values(found, transfer, learned, target.rows(labelled[held]), by, k)
        n = len(found.rows)
        V, others = values[:, :n], values[:, n:]
        sums.append(np.stack([V.sum(axis=0), (V**2).sum(axis=0)]))
        own.append(others.sum(axis=1))
        of_class.append(_by_group(V, found.ys if classes else None))
        of_domain.append(_by_group(V, found.origin))
        tick(number + 1, n_folds)
    assert found is not None  # noqa: S101  (two folds at least)
    total, squares = np.sum(sums, axis=0)
    mean, low, high = _bounds(total, squares, len(known))
    in_all = np.concatenate([np.sum(list(groups.values()), axis=0) for groups in of_domain])
    unit = {("neighbours", True): "accuracy of nearest neighbours above guessing", ("learner", True): "log loss"}.get(
        (by, classes), "squared error"
    )
    way = f"Shapley values of {k} nearest neighbours" if by == "neighbours" else "loss without the row, by one step"
    return HelpfulRows(
        rows=found.rows,
        values=mean,
        low=low,
        high=high,
        by_class=_shares(of_class, found.ys.astype(str)),
        by_domain=_shares(of_domain, found.origin.astype(str)),
        source=_share("source", in_all, len(found.rows)),
        target=_share(target.name, np.concatenate(own), round(len(known) * (1 - 1 / n_folds))),
        by=by,
        unit=unit,
        how=f"{way}, on {len(known)} labelled target rows, each held out once in {n_folds} folds",
    )


def _values(found: Arrived, transfer: Carries, learned: Domain, held: Domain, by: str, k: int) -> np.ndarray:
    """Return the value of each learned row, the source's first, for each held-out row."""
    mask = learned.labelled
    own = learned.rows(mask)
    n_s, n_t = len(found.ys), len(own)
    X = stack_rows([found.Zs, found.Zt[np.flatnonzero(mask)]])
    y = np.asarray(stack_labels([found.ys, own.labels], [n_s, n_t]))
    asked = found.brought(held.X)
    classes = held.task == "classification"
    if by == "neighbours":
        return knn_shapley(X, y, asked, held.labels, k, "classification" if classes else "regression")
    if classes and len(np.unique(y)) < 2:
        raise NeedsError("all rows are of one class; there is nothing that a row could teach")
    lack = refuses_removal(transfer.learner, X.shape[1], len(np.unique(y)) if classes else 1)
    if lack:
        raise NeedsError(f"{lack}; value the rows with by='neighbours'")
    ws = np.ones(n_s) if found.ws is None else found.ws
    each = counts_each(getattr(found.method, "target_weight", 1.0), float(ws.sum()), n_t, least=1.0)
    scale = to_mean_one(own.weight)
    w = np.concatenate([ws, np.full(n_t, each) if scale is None else each * scale])
    model = fit_learner(transfer.learner, X, y, w)
    # Of a class that nobody has learned, no learned row tells anything.
    told = np.isin(held.labels, model.classes_) if classes else np.ones(len(held), dtype=bool)
    values = np.zeros((len(held), n_s + n_t))
    values[told] = removal_effects(model, X, y, w, asked[np.flatnonzero(told)], held.labels[told])
    return values


def _by_group(V: np.ndarray, groups: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return, for each held-out row, the sum of the values of each group of source rows."""
    if groups is None:
        return {}
    names = groups.astype(str)
    return {str(name): V[:, names == name].sum(axis=1) for name in np.unique(names)}


def _bounds(total: Any, squares: Any, m: int) -> tuple[Any, Any, Any]:
    """Return means over m held-out rows and their t intervals, from the sums and the sums of squares.

    The variance is widened for the rows that are learned from, as that of a gain of one repeat.
    """
    from scipy.stats import t as student_t

    mean = total / m
    variance = np.maximum(squares - m * mean**2, 0.0) / (m - 1)
    half = student_t.ppf(0.975, m - 1) * np.sqrt((1 + UNSEEN) * variance / m)
    return mean, mean - half, mean + half


def _shares(folds: list[dict[str, np.ndarray]], groups: np.ndarray) -> list[Share]:
    names = dict.fromkeys(name for fold in folds for name in fold)
    # A method that maps labels may know other classes in another fold; what is not there is worth nothing there.
    sizes = {name: int((groups == name).sum()) for name in names}
    lengths = [len(next(iter(fold.values()))) if fold else 0 for fold in folds]
    return [
        _share(
            name,
            np.concatenate([fold.get(name, np.zeros(n)) for fold, n in zip(folds, lengths, strict=True)]),
            sizes[name],
        )
        for name in names
    ]


def _share(name: str, sums: np.ndarray, rows: int) -> Share:
    return Share(name, rows, *map(float, _bounds(sums.sum(), (sums**2).sum(), len(sums))))
