"""Splits that test on labelled target rows only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator

from headstart.domain import as_labels, known_labels, missing
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

    def __init__(self, n_splits: int = 5, target: str = "target", random_state: int = 0) -> None:
        self.n_splits = n_splits
        self.target = target
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield train and test positions; `groups` names each row's domain."""
        if y is None or groups is None:
            raise InputError("TargetKFold needs the labels y and the domains as groups=...")
        labels = as_labels(y)
        rows = np.flatnonzero((np.asarray(groups).astype(str) == self.target) & ~missing(labels))
        if len(rows) < self.n_splits:
            raise InputError(f"{len(rows)} labelled target rows are too few for {self.n_splits} folds")
        classes = labels.dtype.kind not in "f" or bool((labels[rows] == np.round(labels[rows])).all())
        known = known_labels(labels[rows], classes=classes)
        of_row = folds_of(known, self.n_splits, self.random_state, classes=classes)
        everything = np.arange(len(labels))
        for fold in range(self.n_splits):
            test = rows[of_row == fold]
            yield np.setdiff1d(everything, test), test
