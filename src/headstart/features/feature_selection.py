"""Feature selection: leave out the columns by which the domains differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import gammaincc
from scipy.stats import false_discovery_control, kstwo
from scipy.stats import t as student

from headstart.domain import known_labels, missing, stack_rows, task_of
from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.mapping import Map
from headstart.method import Needs

CRITERIA = ("ks", "smd", "mmd")
#: Entries of columns that are sorted at once.
MOST_AT_ONCE = 2**22


@dataclass(frozen=True, eq=False)
class ColumnsMap:
    """The map that keeps some columns; rows may be sparse.

    Examples
    --------
    >>> import numpy as np
    >>> ColumnsMap(np.array([0, 2])).transform(np.array([[1.0, 2.0, 3.0]]))
    array([[1., 3.]])
    """

    columns: np.ndarray

    def transform(self, X: Any) -> Any:
        """Return the kept columns, shape (n, kept), sparse where the rows are."""
        return X[:, self.columns]


class FeatureSelection(FeatureMethod):
    r"""Feature selection by stability: drop the columns that are distributed otherwise in the target.

    Column by column, the samples of both domains are compared by one of three statistics, with F and G their
    distribution functions:

    .. math:: \mathrm{ks} = \max_t |F(t) - G(t)|,\qquad
              \mathrm{smd} = \frac{|\mu_s - \mu_t|}{\sqrt{(\sigma_s^2 + \sigma_t^2) / 2}},\qquad
              \mathrm{mmd} = \sqrt{\frac{\int (F - G)^2}{\int F (1 - G) + G (1 - F)}}

    "mmd" is the maximum mean discrepancy of the distance kernel (half the energy distance), as a share of the largest
    that is possible. A column has shifted where the differences are more than chance, with false discoveries under
    control.

    A column that has shifted is kept nevertheless when it tells more than it shifts. How much it tells, its relevance,
    is the same statistic between the source rows of a class and those of all others (the largest over the classes;
    for numbers, between labels above the median and the rest), and zero where it is no more than chance. So a column
    stays that tells the classes apart better than it tells the domains apart.

    Parameters
    ----------
    criterion : {"ks", "smd", "mmd"}, default "ks"
        The statistic: Kolmogorov-Smirnov, standardized mean difference, or maximum mean discrepancy.
    fdr : float, default 0.05
        The expected share of columns without a shift among those that are said to have shifted (Benjamini & Hochberg);
        also the level at which relevance is more than chance.
    threshold : float, optional
        Say instead that a column has shifted whose statistic is above so much.
    n_features : int, optional
        Keep so many columns instead: those with the least statistic - relevance * (what they tell).
    relevance : float, default 1
        What telling the classes apart counts beside telling the domains apart; with 0 labels are not looked at.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.

    Attributes
    ----------
    kept_ : int array of shape (k,)
        The columns that are kept, in their order: one at least, the best by the rule of `n_features`.
    statistic_, pvalue_ : arrays of shape (d,)
        The statistic between the domains, and its p-value for one column alone.
    relevance_ : array of shape (d,)
        What each column tells; zeros without source labels.

    Notes
    -----
    p-values: the asymptotic Kolmogorov distribution; Welch's t-test; and for "mmd" a gamma distribution with mean and
    variance of the limit under the null hypothesis, which are integrals of the pooled distribution function. Rows
    given twice count twice. Where classes have other shares in the target, relevant columns differ rightly: that is
    why relevance has a say.

    References
    ----------
    Uguroglu, Carbonell: Feature Selection for Transfer Learning. ECML PKDD 2011 (by maximum mean discrepancy).
    Benjamini, Hochberg: Controlling the False Discovery Rate. Journal of the Royal Statistical Society B 57, 1995.
    Szekely, Rizzo: Energy Statistics: A Class of Statistics Based on Distances. JSPI 143, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(size=(200, 3)), rng.normal(size=(200, 3)) + [0.0, 0.0, 2.0]
    >>> FeatureSelection().fit(Xs, Xt).kept_
    array([0, 1])
    >>> ys = (Xs[:, 2] > 0).astype(int)                        # what has shifted says all there is to say
    >>> FeatureSelection().fit(Xs, Xt, ys).kept_
    array([0, 1, 2])
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any")

    def __init__(
        self,
        criterion: str = "ks",
        fdr: float = 0.05,
        threshold: float | None = None,
        n_features: int | None = None,
        relevance: float = 1.0,
        target_weight: float | str = "balanced",
    ) -> None:
        self.criterion = criterion
        self.fdr = fdr
        self.threshold = threshold
        self.n_features = n_features
        self.relevance = relevance
        self.target_weight = target_weight

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map that keeps the stable and the relevant columns, for both domains."""
        self._check(Xs.shape[1])
        of_source = np.repeat([True, False], [Xs.shape[0], Xt.shape[0]])
        statistics, pvalues = differences(stack_rows([Xs, Xt]), of_source[None, :], self.criterion)
        self.statistic_, self.pvalue_ = statistics[0], pvalues[0]
        self.relevance_ = np.zeros(Xs.shape[1])
        if ys is not None and self.relevance > 0:
            labelled = ~missing(ys)
            self.relevance_ = self._relevance(Xs[labelled], known_labels(ys, classes=True))
        self.kept_ = self._kept()
        chosen = ColumnsMap(self.kept_)
        return chosen, chosen

    def _check(self, d: int) -> None:
        if self.criterion not in CRITERIA:
            raise InputError(f"FeatureSelection: criterion must be 'ks', 'smd' or 'mmd', not {self.criterion!r}")
        if not 0 < self.fdr < 1:
            raise InputError(f"FeatureSelection: fdr must be between 0 and 1, not {self.fdr}")
        if not self.relevance >= 0:
            raise InputError(f"FeatureSelection: relevance must be zero or more, not {self.relevance}")
        if self.n_features is not None and self.threshold is not None:
            raise InputError("FeatureSelection: give n_features or threshold, not both")
        if self.n_features is not None and not 1 <= self.n_features <= d:
            raise InputError(f"FeatureSelection: n_features must be from 1 to the {d} columns, not {self.n_features}")

    def _relevance(self, X: Any, labels: np.ndarray) -> np.ndarray:
        if len(labels) and task_of(labels) == "classification":
            classes = np.unique(labels)
            groups = labels[None, :] == (classes[1:] if len(classes) == 2 else classes)[:, None]
        else:
            groups = (labels > np.median(labels))[None, :] if len(labels) else np.zeros((0, 0), dtype=bool)
        groups = groups[groups.any(axis=1) & ~groups.all(axis=1)]
        if not len(groups):
            return np.zeros(X.shape[1])
        statistics, pvalues = differences(X, groups, self.criterion)
        # The largest of several: its p-value is the smallest, times their number (Bonferroni).
        by_chance = false_discovery_control(np.minimum(pvalues.min(axis=0) * len(groups), 1.0)) > self.fdr
        return np.where(by_chance, 0.0, statistics.max(axis=0))

    def _kept(self) -> np.ndarray:
        told = self.relevance * self.relevance_
        in_order = np.argsort(self.statistic_ - told, kind="stable")
        if self.n_features is not None:
            return np.sort(in_order[: self.n_features])
        if self.threshold is not None:
            shifted = self.statistic_ > self.threshold
        else:
            shifted = false_discovery_control(self.pvalue_) <= self.fdr
        kept = np.flatnonzero(~shifted | ((told > 0) & (told >= self.statistic_)))
        return kept if len(kept) else in_order[:1]


def differences(X: Any, groups: np.ndarray, criterion: str) -> tuple[np.ndarray, np.ndarray]:
    """Return how each column differs between the rows of a group and all others, and the p-values, both (g, d).

    Parameters
    ----------
    X : array or CSR matrix of shape (n, d)
    groups : bool array of shape (g, n)
        Each with rows inside and outside.
    criterion : {"ks", "smd", "mmd"}
    """
    compare = {"ks": kolmogorov_smirnov, "smd": mean_difference, "mmd": distance_discrepancy}[criterion]
    found = [[compare(block, order, group) for group in groups] for block, order in _sorted_columns(X)]
    statistics = np.hstack([[statistic for statistic, _ in of_block] for of_block in found])
    pvalues = np.hstack([[pvalue for _, pvalue in of_block] for of_block in found])
    return statistics, pvalues


def _sorted_columns(X: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of sorted columns, scaled to the range from 0 to 1, with the order of their rows."""
    width = max(1, MOST_AT_ONCE // X.shape[0])
    X = X if isinstance(X, np.ndarray) else X.tocsc()
    for start in range(0, X.shape[1], width):
        block = X[:, start : start + width]
        block = (block if isinstance(block, np.ndarray) else block.toarray()).astype(np.float64)
        order = np.argsort(block, axis=0, kind="stable")
        block = np.take_along_axis(block, order, axis=0)
        spread = block[-1] - block[0]
        yield (block - block[0]) / np.where(spread > 0, spread, 1.0), order


def kolmogorov_smirnov(Z: np.ndarray, order: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest difference of the distribution functions, and its asymptotic p-value, shape (b,) each.

    Z are sorted columns, shape (n, b), `order` the order of their rows, `group` a mask of rows.
    """
    F, G = _distributions(order, group)
    between = Z[1:] > Z[:-1]
    statistic = np.abs((F - G)[:-1] * between).max(axis=0, initial=0.0)
    n, m = int(group.sum()), int((~group).sum())
    return statistic, kstwo.sf(statistic, max(round(n * m / (n + m)), 1))


def distance_discrepancy(Z: np.ndarray, order: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the discrepancy of the distance kernel as a share of the largest possible, and its p-value.

    With n and m rows, n m / (n + m) times the integral of (F - G)^2 tends to a weighted sum of squared normal
    variables whose weights add up to the integral of H (1 - H), and their squares to twice that of
    H(u)^2 (1 - H(v))^2 over u < v, where H is the pooled distribution function.
    """
    F, G = (distribution[:-1] for distribution in _distributions(order, group))
    gaps = np.diff(Z, axis=0)
    apart = (gaps * (F - G) ** 2).sum(axis=0)
    most = (gaps * (F * (1 - G) + G * (1 - F))).sum(axis=0)
    n, m = group.sum(), (~group).sum()
    H = (np.arange(1, len(Z)) / len(Z))[:, None]
    total = (gaps * H * (1 - H)).sum(axis=0)
    left, right = gaps * H**2, gaps * (1 - H) ** 2
    squares = 2 * (right * np.cumsum(left, axis=0)).sum(axis=0) - (left * right).sum(axis=0)
    varies = total > 0
    total, squares, most = (np.where(varies, sums, 1.0) for sums in (total, squares, most))
    pvalue = gammaincc(total**2 / (2 * squares), n * m / (n + m) * apart * total / (2 * squares))
    return np.sqrt(apart / most), np.where(varies, pvalue, 1.0)


def mean_difference(Z: np.ndarray, order: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the difference of the means in standard deviations, and the p-value of Welch's t-test."""
    inside = group[order]
    n, m = group.sum(), (~group).sum()
    mean_n, mean_m = (Z * inside).sum(axis=0) / n, (Z * ~inside).sum(axis=0) / m
    # Columns range from 0 to 1: this much is rounding errors. A row alone has the other group's variance.
    least = np.finfo(float).eps
    var_n = (((Z - mean_n) * inside) ** 2).sum(axis=0) / max(n - 1, 1)
    var_m = (((Z - mean_m) * ~inside) ** 2).sum(axis=0) / max(m - 1, 1)
    var_n, var_m = (var_n if n > 1 else var_m), (var_m if m > 1 else var_n)
    apart = np.abs(mean_n - mean_m)
    apart = np.where(apart > len(Z) * least, apart, 0.0)
    of_mean_n, of_mean_m = np.maximum(var_n, least**2) / n, np.maximum(var_m, least**2) / m
    freedom = (of_mean_n + of_mean_m) ** 2 / (of_mean_n**2 / max(n - 1, 1) + of_mean_m**2 / max(m - 1, 1))
    statistic = apart / np.sqrt(np.maximum((var_n + var_m) / 2, least**2))
    return statistic, 2 * student.sf(apart / np.sqrt(of_mean_n + of_mean_m), freedom)


def _distributions(order: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distribution functions of a group and of the others after each sorted row, shape (n, b) each."""
    inside = group[order]
    return np.cumsum(inside, axis=0) / group.sum(), np.cumsum(~inside, axis=0) / (~group).sum()
