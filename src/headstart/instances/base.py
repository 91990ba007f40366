"""What instance-based methods share: weigh the source rows, then learn on both domains."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from headstart.domain import Domain, require_learnable
from headstart.errors import InputError, NeedsError
from headstart.fitting import as_worth, effective_size, fit_on_both
from headstart.inputs import checked_rows, rows_of_both
from headstart.instances.overlap import warn_when_apart
from headstart.method import Family, Knowledge, Needs, RowMethod

#: A few rows carry nearly all the weight when this share of the rows (one at least) carries that share of the weight.
FEW, NEARLY_ALL = 0.05, 0.95


@dataclass(frozen=True)
class WeightedRows:
    """What arrives: source rows, their labels, and a weight for each."""

    X: Any
    y: np.ndarray
    weight: np.ndarray


class InstanceMethod(RowMethod):
    """A method that writes `weigh(Xs, Xt, ys, yt) -> w (n_s,)` and stores a parameter `target_weight`.

    `weigh` begins with `rows_of_both` and ends with `finished`.
    """

    family: ClassVar[Family] = Family.INSTANCES
    target_weight: float | str

    @abstractmethod
    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> np.ndarray:
        """Return a weight, zero or more, for each source row."""

    def carry(self, knowledge: Knowledge, target: Domain) -> WeightedRows:
        """Step 3: weigh the source rows by how much they look like the target's."""
        Xs, ys, own = (knowledge.arrays[name] for name in ("X", "y", "weight"))
        weight = self.weigh(Xs, target.X, ys, target.y)
        return WeightedRows(Xs, ys, weight if own is None else own * weight)

    def learn_target(self, carried: WeightedRows, target: Domain, learner: Any) -> Any:
        """Step 4: fit the learner on the weighted source rows and the labelled target rows.

        The source weights' total is what they are worth in rows, so that the learner's penalty is as strong as on so
        many rows.
        """
        return fit_on_both(learner, carried.X, carried.y, as_worth(carried.weight), target, self.target_weight)

    def rows_of_both(self, Xs: Any, Xt: Any) -> tuple[Any, Any]:
        """Check rows on their way in: numbers, finite, with the same columns; float32 stays float32.

        Raises
        ------
        InputError
        """
        return rows_of_both(Xs, Xt, type(self).__name__, self.needs.dense)

    def finished(self, w: np.ndarray, Xs: Any) -> np.ndarray:
        """Take note of the effective size, say when few rows carry nearly all the weight, keep the rows' precision.

        Sets `effective_size_`.
        """
        n = len(w)
        self.effective_size_ = effective_size(w)
        name = type(self).__name__
        if not w.any():
            warnings.warn(f"{name}: no source row lies near the target's rows; all weights are zero", stacklevel=3)
        else:
            running = np.cumsum(np.sort(w)[::-1])
            carriers = int(np.searchsorted(running, NEARLY_ALL * running[-1])) + 1
            if carriers <= max(1, int(FEW * n)) < n:
                warnings.warn(
                    f"{name}: {carriers} of {n} source rows carry {NEARLY_ALL:.0%} of the weight (effective size "
                    f"{self.effective_size_:.1f}): few source rows look like the target's",
                    stacklevel=3,
                )
        return np.asarray(w.astype(Xs.dtype, copy=False))


def labelled_pair(name: str, Xs: Any, ys: Any, Xt: Any, yt: Any) -> tuple[Domain, Domain]:
    """Return checked rows and their labels as source and target, for a `weigh` that uses the labels of both.

    Raises
    ------
    InputError, NeedsError
        When labels are not there or do not fit.
    """
    if ys is None or yt is None:
        raise NeedsError(f"{name} compares labels; give ys and yt")
    source = Domain(Xs, ys, name="source")
    if not source.labelled.all():
        raise InputError(f"{name}: a source label is missing; leave out the rows without")
    target = Domain(Xt, yt, task=source.task)
    require_learnable(source, target)
    if not target.n_labelled:
        raise NeedsError(f"{name} needs labelled target rows, and there are none")
    return source, target


class Ratio(Protocol):
    """A density ratio p_t(x) / p_s(x) as a function of rows. Ours are frozen data classes, so that they can travel."""

    def __call__(self, X: Any) -> np.ndarray:
        """Return the ratio at each row, shape (n,)."""


class DensityRatioMethod(InstanceMethod):
    """An instance method whose weights are a density ratio that is defined for new rows too.

    It writes `learn_ratio(Xs, Xt)`, which returns a `Ratio`; `weigh` and `ratio` follow.
    """

    needs: ClassVar[Needs] = Needs(target_rows=True)

    @abstractmethod
    def learn_ratio(self, Xs: Any, Xt: Any) -> Ratio:
        """Learn p_t(x) / p_s(x) from checked rows of both domains."""

    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> np.ndarray:
        """Return the density ratio at each source row.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
            Source and target rows. Labels are not used.

        Returns
        -------
        w : array of shape (n_s,), zero or more.
        """
        Xs, Xt = self.rows_of_both(Xs, Xt)
        warn_when_apart(type(self).__name__, Xs, Xt)
        self.ratio_ = self.learn_ratio(Xs, Xt)
        return self.finished(self.ratio_(Xs), Xs)

    def ratio(self, X: Any) -> np.ndarray:
        """Return the density ratio p_t(x) / p_s(x) at any rows, shape (n,), after `weigh`."""
        if not hasattr(self, "ratio_"):
            raise NeedsError(f"{type(self).__name__}: no ratio is known yet; call weigh(Xs, Xt) first")
        X = checked_rows(X, type(self).__name__, self.needs.dense)
        return np.asarray(self.ratio_(X).astype(X.dtype, copy=False))


def mean_one(log_w: np.ndarray) -> tuple[np.ndarray, float]:
    """Return exp(log_w) scaled to a mean of 1, and the logarithm of the scale; neither over- nor underflows.

    E_s[p_t / p_s] = 1, so a density ratio known up to a factor is scaled so that its mean over the source rows is 1;
    then no weight exceeds n_s.

    >>> mean_one(np.array([1000.0, 1000.0, -1000.0]))[0]
    array([1.5, 1.5, 0. ])
    """
    top = log_w.max()
    scale = float(np.log(len(log_w)) - top - np.log(np.exp(log_w - top).sum()))
    return np.exp(log_w + scale), scale
