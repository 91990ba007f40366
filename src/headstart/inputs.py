"""Rows and labels on their way into a method that is used on its own: checked once, refused in one line."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array

from headstart.domain import as_labels, known_labels, missing
from headstart.errors import InputError, NeedsError


def checked_rows(X: Any, name: str, dense: bool) -> Any:
    """Return rows as an array (or CSR matrix) of floats; refuse what is none, in one line."""
    try:
        return check_array(X, accept_sparse=False if dense else "csr", dtype=[np.float64, np.float32], estimator=name)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: {str(error).strip().splitlines()[0]}") from error


def rows_of_both(Xs: Any, Xt: Any, name: str, dense: bool, same_columns: bool = True) -> tuple[Any, Any]:
    """Return checked rows of both domains, of one precision: float32 where both are; refuse different columns."""
    Xs, Xt = checked_rows(Xs, name, dense), checked_rows(Xt, name, dense)
    if same_columns and Xs.shape[1] != Xt.shape[1]:
        raise InputError(f"{name}: source rows have {Xs.shape[1]} columns, target rows {Xt.shape[1]}")
    both = np.result_type(Xs.dtype, Xt.dtype)
    return Xs.astype(both, copy=False), Xt.astype(both, copy=False)


#: What a source is called that has no name.
ONLY_SOURCE = "source"


def names_of_sources(origin: Any, n: int, name: str) -> np.ndarray:
    """Return the name of each row's source as text, shape (n,); without `origin` there is one source."""
    names = np.full(n, ONLY_SOURCE) if origin is None else np.asarray(origin).astype(str)
    if names.shape != (n,):
        raise InputError(f"{name}: origin must name the source of each of the {n} rows, not {names.shape}")
    return names


def labels_of(y: Any, n: int, name: str, where: str) -> np.ndarray | None:
    """Return labels, some of which may be missing, as an array of shape (n,); None for none."""
    if y is None:
        return None
    labels = as_labels(y, where=f"{name}: {where}")
    if len(labels) != n:
        raise InputError(f"{name}: {n} rows but {len(labels)} labels in {where}")
    return labels


def source_labels_of(ys: np.ndarray | None, name: str, *, classes: bool = True) -> np.ndarray:
    """Return the source's labels, every one of which must be known; whole numbers where classes are numbered.

    Raises
    ------
    NeedsError, InputError
        When there are none, or one is missing.
    """
    if ys is None:
        raise NeedsError(f"{name} learns from source labels; give ys")
    labels = known_labels(ys, classes=classes)
    if len(labels) != len(ys):
        raise InputError(f"{name}: a source label is missing; leave out the rows without")
    return labels


@dataclass(frozen=True, eq=False)
class Coded:
    """Classes as numbers 0 ... k - 1, for use inside a method.

    Parameters
    ----------
    classes : array of shape (k,)
        The classes of both domains, sorted.
    source : int array of shape (n_s,)
        The class of each source row.
    target : int array of shape (n_t,)
        The class of each target row; what it holds where the label is not known means nothing.
    known : bool array of shape (n_t,)
        Which target labels are known.
    """

    classes: np.ndarray
    source: np.ndarray
    target: np.ndarray
    known: np.ndarray


def coded(ys: np.ndarray | None, yt: np.ndarray | None, n_t: int, name: str) -> Coded:
    """Give the classes of both domains numbers.

    >>> both = coded(np.array(["a", "c", "a"]), np.array([None, "c"], dtype=object), 2, "example")
    >>> both.classes.tolist(), both.source.tolist(), both.known.tolist(), int(both.target[1])
    (['a', 'c'], [0, 1, 0], [False, True], 1)
    """
    source = source_labels_of(ys, name)
    known = np.zeros(n_t, dtype=bool) if yt is None else ~missing(yt)
    labelled = known_labels(yt, classes=True) if yt is not None and known.any() else source[:0]
    if len(labelled) and (labelled.dtype.kind in "US") != (source.dtype.kind in "US"):
        raise InputError(f"{name}: source and target labels are of different kinds; write them one way")
    classes = np.unique(np.concatenate([source, labelled]))
    target = np.zeros(n_t, dtype=int)
    target[known] = np.searchsorted(classes, labelled)
    return Coded(classes, np.searchsorted(classes, source), target, known)
