"""Ridge classification from sums, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from headstart.errors import InputError

#: Penalties that "auto" chooses from.
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
#: How much scores may be stretched before they are turned into probabilities: natural logarithms.
LEAST_STRETCH, MOST_STRETCH = -2.0, 5.0


@dataclass(frozen=True, eq=False)
class Sums:
    """What ridge regression has to know of weighted rows Z (n, r) and their classes Y (n, k), as 0 and 1.

    Parameters
    ----------
    weight : float
        The sum of the weights.
    rows : array of shape (r,)
    gram : array of shape (r, r)
    cross : array of shape (r, k)
    classes : array of shape (k,)
        The sums of Z, Z^T Z, Z^T Y and Y.
    """

    weight: float
    rows: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, Z: np.ndarray, Y: np.ndarray, w: np.ndarray) -> Sums:
        """Return the sums of rows with weights w (n,)."""
        Zw = Z * w[:, None]
        return cls(float(w.sum()), Zw.sum(axis=0), Zw.T @ Z, Zw.T @ Y, w @ Y)

    def plus(self, other: Sums) -> Sums:
        """Return the sums of both rows together."""
        return Sums(
            self.weight + other.weight,
            self.rows + other.rows,
            self.gram + other.gram,
            self.cross + other.cross,
            self.classes + other.classes,
        )

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Return the sums as arrays, to travel."""
        return {
            "weight": np.array([self.weight]),
            "rows": self.rows,
            "gram": self.gram,
            "cross": self.cross,
            "counts": self.classes,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Sums:
        """Return the sums from what has arrived."""
        return cls(float(arrays["weight"][0]), *(arrays[name] for name in ("rows", "gram", "cross", "counts")))

    def among(self, known: np.ndarray, classes: np.ndarray) -> Sums:
        """Write the sums over more classes."""
        at = np.searchsorted(classes, known)
        cross, counts = np.zeros((len(self.rows), len(classes))), np.zeros(len(classes))
        cross[:, at], counts[at] = self.cross, self.classes
        return Sums(self.weight, self.rows, self.gram, cross, counts)


@dataclass(frozen=True, eq=False)
class Ridge:
    r"""A fitted ridge classifier: scores :math:`z^\top W + b`, one a class.

    .. math:: \min_{W, b}\; \sum_i w_i \|z_i^\top W + b - y_i\|^2 + \alpha \|W\|^2

    Parameters
    ----------
    W : array of shape (r, k)
    b : array of shape (k,)
    inverse : array of shape (r, r)
        Of the centred Gram matrix plus alpha.
    mean : array of shape (r,)
    weight : float
    """

    W: np.ndarray
    b: np.ndarray
    inverse: np.ndarray
    mean: np.ndarray
    weight: float

    @classmethod
    def fit(cls, sums: Sums, alpha: float) -> Ridge:
        """Solve for the sums of some rows."""
        mean, share = sums.rows / sums.weight, sums.classes / sums.weight
        gram = sums.gram - sums.weight * np.outer(mean, mean)
        inverse = np.linalg.inv(gram + alpha * np.eye(len(mean)))
        W = inverse @ (sums.cross - sums.weight * np.outer(mean, share))
        return cls(W, share - mean @ W, inverse, mean, sums.weight)

    def scores(self, Z: np.ndarray) -> np.ndarray:
        """Return the scores of rows, shape (n, k)."""
        return np.asarray(Z @ self.W + self.b)

    def held_out(self, Z: np.ndarray, Y: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the scores that rows among those fitted would have, were each left out in turn, shape (n, k)."""
        centred = Z - self.mean
        h = w * (1 / self.weight + np.einsum("ij,jk,ik->i", centred, self.inverse, centred, optimize=True))
        h = np.minimum(h, 1 - 1e-9)[:, None]
        return np.asarray((self.scores(Z) - h * Y) / (1 - h))

    def head(self, stretch: float) -> Head:
        """Return what predicts: scores stretched, then softmax."""
        return Head(self.W * stretch, self.b * stretch)


@dataclass(frozen=True, eq=False)
class Head:
    r"""Class probabilities :math:`\operatorname{softmax}(z^\top W + b)`.

    Parameters
    ----------
    W : array of shape (r, k)
    b : array of shape (k,)
    """

    W: np.ndarray
    b: np.ndarray

    def probabilities(self, Z: np.ndarray) -> np.ndarray:
        """Return the probabilities of rows of shape (n, r), shape (n, k)."""
        return np.asarray(softmax(Z @ self.W + self.b, axis=1))


def chosen_alpha(alpha: float | str, sums: Sums, Z: np.ndarray, Y: np.ndarray, w: np.ndarray, name: str) -> float:
    """Return the penalty: a number given, or with "auto" that of the least squared error of rows left out in turn.

    Of equals the largest. `sums` are those of the rows, or of more.
    """
    if not isinstance(alpha, str):
        if not alpha > 0:
            raise InputError(f"{name}: alpha must be above zero, or 'auto', not {alpha}")
        return float(alpha)
    if alpha != "auto":
        raise InputError(f"{name}: alpha must be a number or 'auto', not {alpha!r}")
    errors = [float(w @ ((Ridge.fit(sums, a).held_out(Z, Y, w) - Y) ** 2).sum(axis=1)) for a in PENALTIES]
    return PENALTIES[len(errors) - 1 - int(np.argmin(errors[::-1]))]


def best_stretch(scores: np.ndarray, at: np.ndarray, w: np.ndarray) -> float:
    """Return what scores are best multiplied by before softmax: with the least log-loss of the classes `at` (n,).

    >>> scores = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    >>> round(best_stretch(scores, np.array([0, 0, 0, 1]), np.ones(4)), 3)        # the odds are 3 to 1
    1.099
    """
    return float(
        np.exp(
            minimize_scalar(
                lambda log: log_loss(np.exp(log) * scores, at, w),
                bounds=(LEAST_STRETCH, MOST_STRETCH),
                method="bounded",
            ).x
        )
    )


def log_loss(scores: np.ndarray, at: np.ndarray, w: np.ndarray) -> float:
    """Return the weighted mean of -log softmax(scores) at the classes `at`."""
    return float(-np.average(log_softmax(scores, axis=1)[np.arange(len(at)), at], weights=w))


def one_hot(y: np.ndarray, classes: np.ndarray) -> Any:
    """Return labels as 0 and 1, one column a class.

    >>> one_hot(np.array(["b", "a"]), np.array(["a", "b"]))
    array([[0., 1.],
           [1., 0.]])
    """
    return np.eye(len(classes))[np.searchsorted(classes, y)]
