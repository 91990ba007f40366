"""Per-domain standardization: every domain measured from its own mean, in its own units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.sparsefuncs import mean_variance_axis

from headstart.domain import stack_rows
from headstart.features.sources import SourcesMethod
from headstart.mapping import Map
from headstart.method import Needs

#: The interquartile range of the standard normal distribution, 2 * 0.6745.
NORMAL_IQR = 1.3489795003921634
#: Entries of columns that are held at once when quartiles of sparse rows are looked for.
MOST_AT_ONCE = 2**23


@dataclass(frozen=True)
class _DenseWhereCentred(Needs):
    """Needs rows that are not sparse, unless `with_mean=False`."""

    def __get__(self, method: Any, owner: Any = None) -> Needs:
        return self if method is None or method.with_mean else replace(self, dense=False)


@dataclass(frozen=True, eq=False)
class ScalingMap:
    """The map x -> (x - center) / scale, column by column; rows may be sparse where there is no center.

    Examples
    --------
    >>> import numpy as np
    >>> ScalingMap(center=np.array([1.0, 0.0]), scale=np.array([2.0, 1.0])).transform(np.array([[5.0, 5.0]]))
    array([[2., 5.]])
    """

    center: np.ndarray | None
    scale: np.ndarray

    def transform(self, X: Any) -> Any:
        """Return the mapped rows, shape (n, d), sparse where the rows are."""
        if isinstance(X, np.ndarray):
            return (X if self.center is None else X - self.center) / self.scale
        return X.multiply(1 / self.scale).tocsr()


class PerDomainStandardization(SourcesMethod):
    r"""Per-domain standardization: bring every column of every domain to mean 0 and standard deviation 1.

    .. math:: x \mapsto \frac{x - \mu_D}{\sigma_D}\quad\text{column by column, for the domain D of the row}

    It takes away shifts of location and scale that every column has for itself: other units, another instrument's
    offset and gain. What it cannot know is whether a difference of means is such a shift, or is what is to be
    predicted: where the classes' shares differ between domains, means differ rightly.

    Parameters
    ----------
    with_mean : bool, default True
        Subtract the mean. Sparse rows can't be centred: they need `with_mean=False`, and are scaled only.
    with_std : bool, default True
        Divide by the standard deviation.
    robust : bool, default False
        Take the median for the mean, and for the standard deviation the interquartile range / 1.349, which is the
        same for normal columns. Where a column's quartiles are equal, it is the standard deviation after all.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.

    Notes
    -----
    With several sources, each is a domain of its own; new source rows without a name of their source are measured by
    all source rows together. A column that is constant in one domain takes its scale from the rows of all domains,
    and stays as it is where it is constant there too. A domain of a single row has no scale, and a mean of little
    worth: it takes both from the rows of all domains.

    References
    ----------
    Fernando, Habrard, Sebban, Tuytelaars: Unsupervised Visual Domain Adaptation Using Subspace Alignment. ICCV 2013,
    and most papers on these features standardise each domain for itself before their own method.

    Examples
    --------
    >>> import numpy as np
    >>> celsius, fahrenheit = np.array([[10.0], [20.0], [30.0]]), np.array([[50.0], [68.0], [86.0]])
    >>> method = PerDomainStandardization().fit(celsius, fahrenheit)
    >>> bool(np.allclose(method.transform_source([[25.0]]), method.transform([[77.0]])))
    True
    """

    needs: ClassVar[Needs] = _DenseWhereCentred(target_rows=True, dense=True, learner="any")

    def __init__(
        self,
        with_mean: bool = True,
        with_std: bool = True,
        robust: bool = False,
        target_weight: float | str = "balanced",
    ) -> None:
        self.with_mean = with_mean
        self.with_std = with_std
        self.robust = robust
        self.target_weight = target_weight

    def align_sources(self, sources: dict[str, Any], Xt: Any) -> tuple[dict[str, Map], Map, Map]:
        """Return the maps of each source, of source rows that name no source, and of target rows."""
        Xs = stack_rows(list(sources.values()))
        everywhere = location_and_scale(stack_rows([Xs, Xt]), self.robust)
        maps = {name: self._map(X, everywhere) for name, X in sources.items()}
        unnamed = self._map(Xs, everywhere) if len(maps) > 1 else next(iter(maps.values()))
        return maps, unnamed, self._map(Xt, everywhere)

    def _map(self, X: Any, everywhere: tuple[np.ndarray, np.ndarray]) -> Map:
        center, scale = location_and_scale(X, self.robust) if X.shape[0] > 1 else everywhere
        scale = np.where(scale > 0, scale, np.where(everywhere[1] > 0, everywhere[1], 1.0))
        return ScalingMap(
            center.astype(X.dtype) if self.with_mean else None,
            (scale if self.with_std else np.ones_like(scale)).astype(X.dtype),
        )


def location_and_scale(X: Any, robust: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column, or median and IQR / 1.349; of a constant column 0 as scale.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, d)
    robust : bool
    """
    if isinstance(X, np.ndarray):
        center, scale = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
        largest = np.abs(X).max(axis=0)
    else:
        center, variance = mean_variance_axis(X.astype(np.float64), axis=0)
        scale, largest = np.sqrt(variance), np.asarray(abs(X).max(axis=0).todense()).ravel()
    # Rounding errors of a mean are no spread.
    scale[scale <= 10 * np.finfo(np.float64).eps * largest] = 0.0
    if robust:
        low, center, high = np.hstack([np.quantile(block, (0.25, 0.5, 0.75), axis=0) for block in _columns(X)])
        scale = np.where((high > low) & (scale > 0), (high - low) / NORMAL_IQR, scale)
    return center, scale


def _columns(X: Any) -> Iterator[np.ndarray]:
    """Yield blocks of columns of rows, as arrays of doubles."""
    width = max(1, MOST_AT_ONCE // X.shape[0])
    X = X if isinstance(X, np.ndarray) else X.tocsc()
    for start in range(0, X.shape[1], width):
        block = X[:, start : start + width]
        yield (block if isinstance(block, np.ndarray) else block.toarray()).astype(np.float64)
