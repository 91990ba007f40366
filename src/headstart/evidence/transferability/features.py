"""The features and labels that the scores look at, and the one factorisation that they share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import eigh, svd

from headstart.domain import as_labels, known_labels, missing
from headstart.errors import InputError, NeedsError

#: Up to this many rows or columns, whichever are fewer, the singular values are found directly.
SMALL_SIDE = 256
#: Features beyond this have squares and sums of squares that a float can't hold.
LARGEST = 1e100


@dataclass(frozen=True, eq=False)
class Features:
    r"""A feature matrix, with everything that several scores need of it computed once.

    The centred matrix is factorised as :math:`F - 1\mu^\top = U S V^\top`. Scores that don't change when the features
    are rotated work on the coordinates :math:`US`, which have no more columns than there are rows.

    Up to 256 rows or columns the factorisation is a singular value decomposition. Larger ones come from the
    eigenvectors of the Gram matrix on the smaller side, which is several times faster; directions whose singular value
    is below about one millionth of the largest are then lost.

    Parameters
    ----------
    F : array-like of shape (n, d)
        Features, a row each. Kept as given where they are float64 already, and never edited.

    Raises
    ------
    InputError
        When this is no table of two or more rows of finite numbers.
    NeedsError
        When the rows are sparse.

    Examples
    --------
    >>> features = Features([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    >>> features
    Features(3 rows x 2 columns)
    >>> features.singular_values.round(3)
    array([2.828])
    """

    F: Any

    def __post_init__(self) -> None:
        if hasattr(self.F, "tocsr"):
            raise NeedsError("features are sparse; transferability scores need dense ones: give F.toarray()")
        try:
            F = np.asarray(self.F, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError("features are not numbers; give an array of shape (n, d)") from error
        if F.ndim != 2 or F.shape[0] < 2 or F.shape[1] < 1:
            raise InputError(f"features must form a table of two or more rows, not {F.shape}")
        if not np.isfinite(F).all():
            row = int(np.flatnonzero(~np.isfinite(F).all(axis=1))[0])
            raise InputError(f"features: row {row + 1} holds NaN or infinity; fill or leave out such rows")
        if np.abs(F).max() > LARGEST:
            raise InputError(f"features: a value is beyond {LARGEST:g}; rescale the features")
        F = F.view()
        F.flags.writeable = False
        object.__setattr__(self, "F", F)

    def __repr__(self) -> str:
        return f"Features({self.n} rows x {self.d} columns)"

    @property
    def n(self) -> int:
        """How many rows."""
        return int(self.F.shape[0])

    @property
    def d(self) -> int:
        """How many columns."""
        return int(self.F.shape[1])

    @cached_property
    def mean(self) -> np.ndarray:
        """The mean of each column, shape (d,)."""
        return np.asarray(self.F.mean(axis=0))

    @cached_property
    def centred(self) -> np.ndarray:
        """The features less their means, shape (n, d)."""
        C = self.F - self.mean
        # What is left of a constant column is rounding, not a direction.
        C[:, np.ptp(self.F, axis=0) == 0] = 0.0
        return C

    @cached_property
    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """U of shape (n, r) and the r positive singular values of the centred features, largest first."""
        C = self.centred
        if min(C.shape) <= SMALL_SIDE:
            U, s, _ = svd(C, full_matrices=False, check_finite=False)
            keep = s > s[0] * max(C.shape) * np.finfo(float).eps
            return np.ascontiguousarray(U[:, keep]), s[keep]
        wide = self.n <= self.d
        squares, vectors = eigh(C @ C.T if wide else C.T @ C, driver="evd", check_finite=False, overwrite_a=True)
        keep = squares > squares[-1] * max(C.shape) * np.finfo(float).eps
        s, vectors = np.sqrt(squares[keep][::-1]), vectors[:, keep][:, ::-1]
        return np.ascontiguousarray(vectors if wide else C @ (vectors / s)), s

    @property
    def left(self) -> np.ndarray:
        """The left singular vectors U of the centred features, shape (n, r)."""
        return self.factors[0]

    @property
    def singular_values(self) -> np.ndarray:
        """The singular values of the centred features, shape (r,)."""
        return self.factors[1]

    @property
    def rank(self) -> int:
        """How many directions the centred features have."""
        return len(self.factors[1])

    @cached_property
    def coordinates(self) -> np.ndarray:
        """The centred features in their principal directions, shape (n, r)."""
        return self.left * self.singular_values

    def principal(self, m: int) -> np.ndarray:
        """Return the first m principal components, shape (n, min(m, r)).

        The sign of each is such that the row farthest from the mean is positive.
        """
        Z = self.coordinates[:, :m]
        farthest = np.abs(Z).argmax(axis=0)
        return Z * np.sign(Z[farthest, np.arange(Z.shape[1])])

    @cached_property
    def groups(self) -> np.ndarray:
        """A number for each row, shape (n,), the same for equal rows."""
        numbers: dict[bytes, int] = {}
        # Adding zero makes -0.0 the 0.0 that it equals.
        return np.array([numbers.setdefault((row + 0.0).tobytes(), len(numbers)) for row in self.F])

    @property
    def copies(self) -> int:
        """How many rows repeat an earlier one; leave-one-out scores of ridge and lda see through these."""
        return self.n - int(self.groups.max()) - 1


@dataclass(frozen=True, eq=False)
class Classes:
    """Labels as numbers, with only those classes that occur.

    Attributes
    ----------
    codes : array of int of shape (n,)
    counts : array of shape (k,)
    """

    codes: np.ndarray
    counts: np.ndarray

    @property
    def k(self) -> int:
        """How many classes."""
        return len(self.counts)

    @property
    def shares(self) -> np.ndarray:
        """The share of each class, shape (k,)."""
        return self.counts / len(self.codes)

    @cached_property
    def one_hot(self) -> np.ndarray:
        """Each row's class, shape (n, k)."""
        return np.eye(self.k)[self.codes]

    def means(self, X: np.ndarray) -> np.ndarray:
        """Return the mean of the rows of each class, shape (k, columns of X)."""
        return (self.one_hot.T @ X) / self.counts[:, None]


def as_features(F: Any) -> Features:
    """Return features, with what was computed of them before."""
    return F if isinstance(F, Features) else Features(F)


def as_classes(y: Any, n: int) -> Classes:
    """Return the labels as numbers; a class id that no row has leaves no trace.

    Raises
    ------
    InputError
        When there are not n labels, one is missing, or all are the same.
    """
    labels = _complete(y, n)
    names, codes = np.unique(known_labels(labels, classes=True), return_inverse=True)
    if len(names) < 2:
        raise InputError(f"one class only ({names[0]}): there is nothing to tell apart; add rows of another class")
    return Classes(codes, np.bincount(codes).astype(float))


def as_quantities(y: Any, n: int) -> np.ndarray:
    """Return numeric labels in float64, shape (n,).

    Raises
    ------
    InputError
        When there are not n labels, one is missing or not a number, or all are the same.
    """
    labels = _complete(y, n)
    if labels.dtype.kind not in "fiub":
        raise InputError("the labels are not numbers; regression needs numbers")
    if np.ptp(labels := labels.astype(np.float64)) == 0:
        raise InputError(f"all labels are {labels[0]:g}: there is nothing to predict; add rows with other labels")
    return labels


def _complete(y: Any, n: int) -> np.ndarray:
    labels = as_labels(y)
    if len(labels) != n:
        raise InputError(f"{n} rows but {len(labels)} labels; give one label a row")
    gone = missing(labels)
    if gone.any():
        raise InputError(f"row {int(np.flatnonzero(gone)[0]) + 1} has no label; give labelled rows only")
    return labels
