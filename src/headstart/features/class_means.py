"""The classes that join domains with different columns, and where their rows lie on average."""

from __future__ import annotations

import numpy as np

from headstart.errors import NeedsError
from headstart.mapping.measures import Labels


def shared_classes(labels: Labels, name: str) -> np.ndarray:
    """Return the numbers of the classes that have labelled rows in both domains, sorted.

    Raises
    ------
    NeedsError
        When no target row is labelled, or none with a class of the source.
    """
    if not labels.known.any():
        raise NeedsError(f"{name} needs labelled target rows, and there are none")
    shared = np.intersect1d(labels.source, labels.target[labels.known])
    if not len(shared):
        raise NeedsError(f"{name} needs a class with labelled rows in both domains, and they have none in common")
    return shared


def class_means(X: np.ndarray, label: np.ndarray, classes: np.ndarray, mass: np.ndarray | None = None) -> np.ndarray:
    """Return the mean row of each class, shape (k, d); rows may weigh differently.

    >>> class_means(np.array([[1.0], [3.0], [9.0]]), np.array([0.0, 0.0, np.nan]), np.array([0.0]))
    array([[2.]])
    """
    own = (label == classes[:, None]) * (np.ones(len(X)) if mass is None else mass)
    return np.asarray(own @ X / own.sum(axis=1, keepdims=True))
