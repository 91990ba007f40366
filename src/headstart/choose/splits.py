"""Splits that treat the source rightly, for scikit-learn's cross-validation of `Transfer`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator

from headstart.domain import as_labels, known_labels, missing, stack_rows, take
from headstart.errors import InputError


def folds_of(labels: np.ndarray, folds: int, seed: Any, *, classes: bool) -> np.ndarray:
    """Return the fold (0, 1, ...) of each labelled row; classes are dealt out evenly, however few their rows.

    With fewer rows than folds, every row is a fold of its own.

    >>> folds_of(np.array(["a"] * 4 + ["b"] * 2), 2, 0, classes=True).tolist()
    [0, 1, 1, 0, 1, 0]
    """
    folds = min(folds, len(labels))
    if folds < 2:
        raise InputError("cross-validation needs two labelled target rows or more")
    order = np.random.default_rng(seed).permutation(len(labels))
    if classes:
        order = order[np.argsort(labels[order], kind="stable")]
    of_row = np.empty(len(labels), dtype=int)
    of_row[order] = np.arange(len(labels)) % folds
    return of_row


def folds_of_groups(groups: np.ndarray, folds: int, seed: Any) -> np.ndarray:
    """Return the fold (0, 1, ...) of each row, where the rows of a group are held out together.

    Groups are dealt out in turn, whatever their size.

    >>> folds_of_groups(np.array([0, 0, 1, 1, 2, 2]), 3, 0).tolist()
    [1, 1, 2, 2, 0, 0]
    """
    names, at = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise InputError("cross-validation needs rows of two users or more to hold out some; hold out rows instead")
    return folds_of(names, folds, seed, classes=False)[at]


class TargetKFold(BaseCrossValidator):
    """Folds over the labelled target rows; source rows and unlabelled rows are always learned from, never scored.

    For `GridSearchCV(Transfer(...), grid, cv=TargetKFold())`, with the domains given twice: as `groups` for the
    splits and as `domain` for the fit.

    Parameters
    ----------
    n_splits : int, default 5
    target : str, default "target"
        The target's name among the groups.
    random_state : int, default 0

    Examples
    --------
    >>> import numpy as np
    >>> y, groups = np.array([0, 1, 0, 1, 0, 1, np.nan]), np.array(["source"] * 2 + ["target"] * 5)
    >>> for train, test in TargetKFold(2).split(np.zeros((7, 1)), y, groups):
    ...     print(len(train), test)
    5 [3 4]
    5 [2 5]
    """

    def __init__(self, n_splits: int = 5, target: str = "target", random_state: Any = 0) -> None:
        self.n_splits = n_splits
        self.target = target
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield train and test positions; `groups` names each row's domain."""
        labels, names = _labels_and_names(self, y, groups)
        rows = np.flatnonzero((names == self.target) & ~missing(labels))
        of_row = _folds(labels, rows, self.n_splits, self.random_state, "target")
        everything = np.arange(len(labels))
        for fold in range(self.n_splits):
            test = rows[of_row == fold]
            yield np.setdiff1d(everything, test), test


class RepeatedTargetKFold(BaseCrossValidator):
    """`TargetKFold`, several times over with other folds.

    Parameters
    ----------
    n_splits, n_repeats : int, default 5
    target : str, default "target"
        The target's name among the groups.
    random_state : int, default 0

    Examples
    --------
    >>> y, groups = np.array([0, 1, 0, 1, 0, 1, np.nan]), np.array(["source"] * 2 + ["target"] * 5)
    >>> splits = list(RepeatedTargetKFold(2, 3).split(np.zeros((7, 1)), y, groups))
    >>> len(splits), sorted(np.concatenate([test for _, test in splits]).tolist())
    (6, [2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5])
    """

    def __init__(self, n_splits: int = 5, n_repeats: int = 5, target: str = "target", random_state: int = 0) -> None:
        self.n_splits = n_splits
        self.n_repeats = n_repeats
        self.target = target
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds of all repeats."""
        return self.n_splits * self.n_repeats

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield train and test positions; `groups` names each row's domain."""
        _labels_and_names(self, y, groups)
        for repeat in range(self.n_repeats):
            yield from TargetKFold(self.n_splits, self.target, [self.random_state, repeat]).split(X, y, groups)


class SourceKFold(BaseCrossValidator):
    """Folds over the labelled source rows, for a target without labels; target rows are always learned from.

    A test set is a fold of the source and all target rows without a label, so that a scorer of `validator_scorer`
    sees both: what has a label there is source, what has none is target. Target rows with a label are learned from
    only.

    Parameters
    ----------
    n_splits : int, default 3
    target : str, default "target"
        The target's name among the groups.
    random_state : int, default 0

    Examples
    --------
    >>> y, groups = np.array([0, 1, 0, 1, np.nan]), np.array(["source"] * 4 + ["target"])
    >>> for train, test in SourceKFold(2).split(np.zeros((5, 1)), y, groups):
    ...     print(train, test)
    [0 3 4] [1 2 4]
    [1 2 4] [0 3 4]
    """

    def __init__(self, n_splits: int = 3, target: str = "target", random_state: int = 0) -> None:
        self.n_splits = n_splits
        self.target = target
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield train and test positions; `groups` names each row's domain."""
        labels, names = _labels_and_names(self, y, groups)
        gone, of_target = missing(labels), names == self.target
        rows, unlabelled = np.flatnonzero(~of_target & ~gone), np.flatnonzero(of_target & gone)
        if not len(unlabelled):
            raise InputError(f"no row of {self.target!r} is without a label; for a labelled target take TargetKFold")
        of_row = _folds(labels, rows, self.n_splits, self.random_state, "source")
        everything = np.arange(len(labels))
        for fold in range(self.n_splits):
            held = rows[of_row == fold]
            yield np.setdiff1d(everything, held), np.sort(np.concatenate([held, unlabelled]))


class LeaveOneSourceOut(BaseCrossValidator):
    """Each source in turn is held out and predicted, as a domain that was never seen; all else is learned from.

    It asks what a model is worth in a domain to come (domain generalisation). The left-out rows are not adapted to:
    they are predicted as target rows are. `pseudo_targets` lets each source play the target instead.

    Parameters
    ----------
    target : str, default "target"
        The target's name among the groups.

    Examples
    --------
    >>> y, groups = np.array([0, 1, 0, 1, np.nan]), np.array(["ulm", "ulm", "bonn", "bonn", "target"])
    >>> for train, test in LeaveOneSourceOut().split(np.zeros((5, 1)), y, groups):
    ...     print(train, test)
    [0 1 4] [2 3]
    [2 3 4] [0 1]
    """

    def __init__(self, target: str = "target") -> None:
        self.target = target

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of sources with labels."""
        return len(_labelled_sources(*_labels_and_names(self, y, groups), self.target))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield train and test positions; `groups` names each row's domain."""
        labels, names = _labels_and_names(self, y, groups)
        for source in _labelled_sources(labels, names, self.target):
            yield np.flatnonzero(names != source), np.flatnonzero((names == source) & ~missing(labels))


@dataclass(frozen=True, eq=False)
class PseudoTargets:
    """Rows in which each source plays the target once.

    Attributes
    ----------
    X, y, domain : rows, labels and domains of all plays, on top of each other
    cv : list of (train, test)
        One split a source; what `cv=` takes.
    sources : list of str
        Who plays the target in each split.
    """

    X: Any
    y: np.ndarray
    domain: np.ndarray
    cv: list[tuple[np.ndarray, np.ndarray]]
    sources: list[str]

    def __repr__(self) -> str:
        return f"PseudoTargets({', '.join(self.sources)}; {len(self.y)} rows)"


def pseudo_targets(X: Any, y: Any, domain: Any, target: str = "target") -> PseudoTargets:
    """Let each source play a target without labels: its rows are learned from unlabelled, and scored with labels.

    What is best over targets that are known may be best for the one that is not (leave one domain out). The real
    target takes no part; so every source needs its like among the others. The rows are there once for each play, and
    once more for the score.

    Parameters
    ----------
    X : array, sparse matrix or table of shape (n, d)
    y : array-like of shape (n,)
    domain : array-like of shape (n,)
    target : str, default "target"
        The real target's name, and the name that each source has in its play.

    Raises
    ------
    InputError
        When fewer than two sources have labels.

    Examples
    --------
    For `GridSearchCV(Transfer(...), grid, cv=plays.cv, refit=False).fit(plays.X, plays.y, domain=plays.domain)`.

    >>> X, y, domain = np.arange(4.0)[:, None], [0, 1, 0, 1], ["ulm", "ulm", "bonn", "bonn"]
    >>> plays = pseudo_targets(X, y, domain)
    >>> train, test = plays.cv[0]
    >>> plays.domain[train], plays.y[train], plays.y[test]
    (array(['ulm', 'ulm', 'target', 'target'], dtype='<U6'), array([ 0.,  1., nan, nan]), array([0., 1.]))
    """
    labels, names = as_labels(y), np.asarray(domain).astype(str)
    sources = _labelled_sources(labels, names, target)
    if len(sources) < 2:
        raise InputError("pseudo targets take two sources with labels or more: one plays, the others teach")
    numeric = labels.dtype.kind in "fiu"
    # A label that is to be missing must have a type that can say so.
    labels = labels.astype(float if numeric else object)
    blocks: list[Any] = []
    of_y, of_name, cv, start = [], [], [], 0
    for source in sources:
        others, own = np.flatnonzero((names != source) & (names != target)), np.flatnonzero(names == source)
        scored = own[~missing(labels[own])]
        blocks.extend(take(X, rows) for rows in (others, own, scored))
        of_y.extend(
            [labels[others], np.full(len(own), np.nan if numeric else None, dtype=labels.dtype), labels[scored]]
        )
        of_name.extend([names[others], np.full(len(own) + len(scored), target)])
        learned = len(others) + len(own)
        cv.append((np.arange(start, start + learned), np.arange(start + learned, start + learned + len(scored))))
        start += learned + len(scored)
    return PseudoTargets(stack_rows(blocks), np.concatenate(of_y), np.concatenate(of_name), cv, sources)


def _labels_and_names(splitter: Any, y: Any, groups: Any) -> tuple[np.ndarray, np.ndarray]:
    if y is None or groups is None:
        raise InputError(f"{type(splitter).__name__} needs the labels y and the domains as groups=...")
    return as_labels(y), np.asarray(groups).astype(str)


def _folds(labels: np.ndarray, rows: np.ndarray, n_splits: int, seed: Any, whose: str) -> np.ndarray:
    """Return the fold of each of the labelled rows at `rows`."""
    if len(rows) < n_splits:
        raise InputError(f"{len(rows)} labelled {whose} rows are too few for {n_splits} folds")
    classes = labels.dtype.kind not in "f" or bool((labels[rows] == np.round(labels[rows])).all())
    return folds_of(known_labels(labels[rows], classes=classes), n_splits, seed, classes=classes)


def _labelled_sources(labels: np.ndarray, names: np.ndarray, target: str) -> list[str]:
    """Return the names of the sources that have labels, sorted."""
    return sorted(set(names[(names != target) & ~missing(labels)].tolist()))
