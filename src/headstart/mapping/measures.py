"""Domains as discrete measures: rows that carry mass, what it costs to move it, and where labels forbid it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.domain import known_labels, missing, task_of
from headstart.draws import pick
from headstart.errors import InputError
from headstart.inputs import coded, source_labels_of
from headstart.kernels import squared_distances
from headstart.mapping.nearest_shift import nearest
from headstart.mapping.transport import spread_over

#: Rows of both domains up to which each carries its own mass, and the clusters of a domain beyond.
MOST_EXACT_ROWS = 10_000
AUTO_CLUSTERS = 1000
#: Rows a cluster from which the clusters are learned, and the steps that takes.
ROWS_A_CLUSTER = 10
STEPS = 20
#: Share of a class's mass that its known target rows may ask for, where others are unknown: scaling needs some slack.
MOST_ASKED = 0.99
#: Cost of what labels forbid, beside the largest cost.
FORBIDDEN = 100.0


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of both domains as numbers: quantities, or classes 0 ... k - 1; NaN where not known.

    Parameters
    ----------
    source, target : arrays of shape (n_s,) and (n_t,)
    classes : array of shape (k,), optional
        The classes; None when labels are quantities.
    """

    source: np.ndarray
    target: np.ndarray
    classes: np.ndarray | None

    @property
    def known(self) -> np.ndarray:
        """Mask of shape (n_t,): the target rows with a label."""
        return ~np.isnan(self.target)


def numbered(ys: Any, yt: Any, n_t: int, name: str, classes: bool | None = None) -> Labels:
    """Write the labels of both domains as numbers; text and few whole numbers are classes, where that is not told."""
    if classes is None:
        classes = ys is None or task_of(known_labels(ys, classes=True)) == "classification"
    if classes:
        both = coded(ys, yt, n_t, name)
        return Labels(both.source.astype(float), np.where(both.known, both.target, np.nan), both.classes)
    target = np.full(n_t, np.nan)
    if yt is not None:
        target[~missing(yt)] = known_labels(yt, classes=False)
    return Labels(source_labels_of(ys, name, classes=False).astype(float), target, None)


@dataclass(frozen=True, eq=False)
class Measure:
    """Rows that carry mass: the distinct rows of a domain, or clusters of them.

    Parameters
    ----------
    rows : array of shape (m, d)
    mass : array of shape (m,)
        Sums to 1.
    label : array of shape (m,)
        NaN where it is not known. Equal classes stand together.
    of_row : int array of shape (n,)
        Which of them each row of the domain belongs to.
    clustered : bool
    """

    rows: np.ndarray
    mass: np.ndarray
    label: np.ndarray
    of_row: np.ndarray
    clustered: bool = False

    def only(self, kept: np.ndarray) -> Measure:
        """Return the measure of some of the rows; those of the domain that belong to others have -1."""
        place = np.where(kept, np.cumsum(kept) - 1, -1)
        return replace(
            self, rows=self.rows[kept], mass=self.mass[kept], label=self.label[kept], of_row=place[self.of_row]
        )


def measures(
    Xs: np.ndarray,
    Xt: np.ndarray,
    labels: Labels | None,
    n_clusters: int | str | None,
    random_state: int | None,
    *,
    most: int = MOST_EXACT_ROWS,
    few: int = AUTO_CLUSTERS,
    weights: tuple[Any, Any] = (None, None),
) -> tuple[Measure, Measure]:
    """Return the domains as measures: of distinct rows, up to `most` of both together, and of `few` clusters beyond.

    Rows that are equal, in their label too, become one, so that their order makes no difference. Clusters hold rows of
    one class, known target rows apart from the others.
    """
    if not (n_clusters is None or n_clusters == "auto" or (isinstance(n_clusters, int) and n_clusters > 0)):
        raise InputError(f"n_clusters must be a whole number, None or 'auto', not {n_clusters!r}")
    none = np.full(len(Xs), np.nan), np.full(len(Xt), np.nan)
    ys, yt = none if labels is None else (labels.source, labels.target)
    both = distinct(Xs, ys, weights[0]), distinct(Xt, yt, weights[1])
    if n_clusters == "auto":
        n_clusters = few if sum(len(measure.rows) for measure in both) > most else None
    if n_clusters is None:
        return both
    by_class = labels is not None and labels.classes is not None
    source, target = (clustered(m, int(n_clusters), by_class, random_state) for m in both)
    return source, target


def distinct_rows(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each distinct row first stands, and which of them each row is.

    Their order hangs on their contents alone, and rows that begin alike stand together.

    >>> distinct_rows(np.array([[2.0, 5.0], [0.0, 1.0], [2.0, 5.0], [-0.0, 1.0]]))
    (array([1, 0]), array([1, 0, 1, 0]))
    """
    # Adding zero turns -0.0 into 0.0: equal numbers must have equal bytes.
    keys = np.ascontiguousarray(X + 0.0, dtype=float)
    as_bytes = keys.view(f"V{keys.shape[1] * keys.itemsize}").ravel()
    _, first, of_row = np.unique(as_bytes, return_index=True, return_inverse=True)
    return first, of_row.ravel()


def distinct(X: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> Measure:
    """Return a domain as a measure of its distinct rows; y holds numbers, NaN where a label is not known."""
    first, of_row = distinct_rows(np.column_stack([y, X]))
    mass = np.bincount(of_row, weights=weight)
    return Measure(X[first].astype(float), mass / mass.sum(), y[first].astype(float), of_row)


def clustered(measure: Measure, k: int, by_class: bool, random_state: int | None) -> Measure:
    """Return the measure of at most about k clusters, by k-means, within each class or where labels are known."""
    known = ~np.isnan(measure.label)
    group = np.where(known, measure.label if by_class else 0.0, -1.0)
    rows = measure.rows
    cluster, found = np.empty(len(rows), dtype=int), 0
    for name in np.unique(group):
        of_group = np.flatnonzero(group == name)
        share = max(1, round(k * len(of_group) / len(rows)))
        own = np.unique(nearest(rows[of_group], _centers(rows[of_group], share, random_state)), return_inverse=True)
        cluster[of_group] = found + own[1]
        found += len(own[0])
    mass = np.bincount(cluster, measure.mass)
    columns = np.column_stack([measure.rows, np.where(known, measure.label, 0.0)])
    means = np.stack([np.bincount(cluster, measure.mass * column) for column in columns.T], axis=1) / mass[:, None]
    label = np.where(np.bincount(cluster, known) > 0, np.round(means[:, -1]) if by_class else means[:, -1], np.nan)
    return Measure(means[:, :-1], mass, label, cluster[measure.of_row], clustered=True)


def _centers(X: np.ndarray, k: int, random_state: int | None) -> np.ndarray:
    from sklearn.cluster import KMeans

    if len(X) <= k:
        return X
    some = X[pick(X, ROWS_A_CLUSTER * k, random_state)]
    start = some[pick(some, k, random_state)]
    centers: np.ndarray = KMeans(k, init=start, n_init=1, max_iter=STEPS).fit(some).cluster_centers_
    return np.unique(centers, axis=0)


def costs(source: Measure, target: Measure, scale: str | float | None) -> tuple[np.ndarray, float]:
    """Return squared distances divided by a scale, shape (m_s, m_t), and that scale.

    With "spread", the rows of each domain are first centered: what the distance between the means adds is the same
    for every coupling.
    """
    Xs, Xt = source.rows, target.rows
    if scale == "spread":
        Xs, Xt = Xs - source.mass @ Xs, Xt - target.mass @ Xt
    C = squared_distances(Xs, Xt)
    if scale == "spread":
        unit = float(source.mass @ np.square(Xs).sum(axis=1) + target.mass @ np.square(Xt).sum(axis=1))
    elif scale == "median":
        unit = float(np.median(C[spread_over(C)]))
    elif scale == "max":
        unit = float(C.max())
    elif scale is None:
        unit = 1.0
    else:
        raise InputError(f"cost_scale must be 'spread', 'median', 'max' or None, not {scale!r}")
    unit = unit if unit > 0 else 1.0
    C /= unit
    return C, unit


def with_labels(
    C: np.ndarray, source: Measure, target: Measure, labels: Labels, label_weight: float
) -> tuple[np.ndarray, Measure]:
    """Make known target labels count: return the costs, edited in place, and the target with masses that fit them.

    No mass may move between different classes; where labels are quantities, their squared distance is added,
    `label_weight` times, scaled to a mean of 1 between source rows.
    """
    known = np.flatnonzero(~np.isnan(target.label))
    if not len(known):
        return C, target
    if labels.classes is None:
        variance = float(np.average(np.square(source.label - source.mass @ source.label), weights=source.mass))
        if variance > 0:
            C[:, known] += label_weight / (2 * variance) * np.square(source.label[:, None] - target.label[known])
        return C, target
    target = _fitting_masses(source, target, len(labels.classes))
    ends = ~np.isin(source.label, target.label[target.mass > 0]) & (not np.isnan(target.label).any())
    differs = (source.label[:, None] != target.label[known]) & ~ends[:, None]
    C[:, known] = np.where(differs, FORBIDDEN * max(float(C.max()), 1.0), C[:, known])
    return C, target


def _fitting_masses(source: Measure, target: Measure, k: int) -> Measure:
    """Let the known target rows of a class ask for no more mass than the source rows of that class have.

    What they asked for beyond goes to the rows whose class is not known, or, where every class is known, to those of
    classes from which more comes. So a coupling within the classes exists.
    """
    known = ~np.isnan(target.label)
    group = np.where(known, target.label, k).astype(int)
    asked = np.bincount(group, target.mass, k + 1)
    given = np.bincount(source.label.astype(int), source.mass, k)
    if known.all():
        # Source rows of a class that no target row has may go anywhere.
        there = np.where(asked[:k] > 0, given, 0.0)
        rest = asked[:k] * (there > 0) if there.any() else asked[:k]
        got = np.append(there + (1 - there.sum()) * rest / rest.sum(), 0.0)
    else:
        got = np.append(np.minimum(asked[:k], MOST_ASKED * given), 0.0)
        got[k] = 1 - got.sum()
    return replace(target, mass=target.mass * (got / np.where(asked > 0, asked, 1.0))[group])
