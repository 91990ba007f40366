"""Several sources: how much each helps the target, and which to use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from scipy.stats import norm

from headstart.baselines import TargetOnly
from headstart.catalogue import make
from headstart.choose.candidates import TARGET_ONLY, Candidate, candidate
from headstart.choose.search import try_all
from headstart.delivery import Plan
from headstart.domain import Domain, stack
from headstart.errors import InputError, NeedsError, listed
from headstart.evidence.gain import METRICS, Metric
from headstart.evidence.interval import LEVEL, rows_interval
from headstart.method import Method, require

#: Sources up to which every set of them is tried.
MOST_EXACT = 5
#: Orders that are drawn where there are more, in pairs of opposites.
ORDERS = 16
#: Labelled target rows that measuring takes, as for a gain.
LEAST_LABELLED = 4

#: Positions of the sources that are used together.
Coalition = frozenset[int]


@dataclass(frozen=True)
class SourceValue:
    """What one source is worth, in mean utility.

    Attributes
    ----------
    name : str
    rows : int
        Its labelled rows.
    value, low, high : float
        Its Shapley value: what it adds, in the mean over all orders in which the sources could come. The values of
        all sources sum to the gain of using all of them over using none. 95 % interval for all sources together.
    alone, alone_low, alone_high : float
        What it adds to the target's own rows when it is the only source.
    last, last_low, last_high : float
        What it adds to all other sources (leave one source out).
    error : float
        Standard error of the value that comes from drawing orders; 0 when every set was tried.
    """

    name: str
    rows: int
    value: float
    low: float
    high: float
    alone: float
    alone_low: float
    alone_high: float
    last: float
    last_low: float
    last_high: float
    error: float = 0.0

    @property
    def verdict(self) -> str:
        """Helps or hurts when the value's interval excludes zero, else no evidence."""
        return "helps" if self.low > 0 else "hurts" if self.high < 0 else "no evidence"


@dataclass(frozen=True)
class SourceValues:
    """What each of several sources is worth to a target, and which to use.

    Attributes
    ----------
    metric : str
    method : str
        What carries the sources.
    sources : list of SourceValue
        In the order given.
    none, all : float
        Mean utility of target-only and of all sources together.
    kept : list of str
        The sources to use: all but those that are shown to hurt.
    of_kept : float
        Mean utility of these. It is seen on the rows they were chosen by: a run with them measures it anew.
    exact : bool
        Whether every set of sources was tried.
    sets : int
        How many sets of sources were tried.
    how : str
    """

    metric: str
    method: str
    sources: list[SourceValue]
    none: float
    all: float
    kept: list[str]
    of_kept: float
    exact: bool
    sets: int
    how: str

    @property
    def left_out(self) -> list[str]:
        """The sources that are shown to hurt, and are better left out."""
        return [each.name for each in self.sources if each.name not in self.kept]

    def __str__(self) -> str:
        metric = METRICS[self.metric]
        unit = " points" if metric.points else f" in {self.metric}"
        ranked = sorted(self.sources, key=lambda each: -each.value)
        worth = ", ".join(f"{each.name} {metric.show_gain(each.value)} ({each.verdict})" for each in ranked)
        advice = "no source is shown to hurt"
        if self.left_out:
            used = f"use {', '.join(self.kept)}" if self.kept else "use none"
            advice = f"leave out {', '.join(self.left_out)}; {used}"
        return f"what each source adds{unit}: {worth}; {advice}"

    def document(self) -> dict[str, Any]:
        """Return the values in plain types."""
        return {
            "summary": str(self),
            "metric": self.metric,
            "method": self.method,
            "sources": [{**vars(each), "verdict": each.verdict} for each in self.sources],
            "none": self.none,
            "all": self.all,
            "kept": self.kept,
            "left_out": self.left_out,
            "of_kept": self.of_kept,
            "exact": self.exact,
            "sets": self.sets,
            "how": self.how,
        }


def source_values(
    sources: Sequence[Domain],
    target: Domain,
    plan: Plan,
    learner: Any,
    metric: Metric,
    *,
    method: str | Method = "pooled",
    folds: int = 5,
    repeats: int = 2,
    orders: int = ORDERS,
    most_exact: int = MOST_EXACT,
    n_jobs: int = 1,
    random_state: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> SourceValues:
    r"""Measure how much each source helps: Shapley values, each alone, and leaving each out.

    .. math:: \phi_i = \sum_{S \not\ni i} \frac{|S|!\,(n - |S| - 1)!}{n!} \bigl(v(S \cup \{i\}) - v(S)\bigr)

    with v(S) the cross-validated utility, on labelled target rows, of the method with the sources S; v of no source is
    target-only. All sets have the same splits, so a value is the mean of a difference row by row, and has
    the interval of a gain (`rows_interval`), at a level of 1 - 0.05 / n so that the n intervals hold together.

    With more than `most_exact` sources orders are drawn, each together with its opposite (Mitchell et al. 2022), and
    the standard error that this leaves is told and widens the interval.

    Sources whose value is shown to be below zero are left out; all of them are kept if what is left does worse than
    all.

    Parameters
    ----------
    sources : sequence of Domain
        Two or more, of different names, with the same columns.
    target : Domain
        With labelled rows.
    plan : Plan
    learner : estimator
    metric : Metric
    method : str or Method, default "pooled"
        What carries the sources: the cheapest, or the method that was chosen.
    folds, repeats : int
    orders : int
        Orders drawn when there are more than `most_exact` sources; made even.
    most_exact : int
    n_jobs, random_state, tick
        As `headstart.choose.try_all` takes them.

    Raises
    ------
    InputError
        When there are fewer than two sources, or two have one name.
    NeedsError
        When the target has too few labels, or the method can't work here.

    References
    ----------
    Shapley: A Value for n-Person Games. Contributions to the Theory of Games II, 1953. Ghorbani, Zou: Data Shapley.
    ICML 2019. Mitchell, Cooper, Frank, Holmes: Sampling Permutations for Shapley Value Estimation. JMLR 23, 2022.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(440, 2))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> good, bad = Domain(X[:200], y[:200], name="good"), Domain(X[200:400], 1 - y[200:400], name="bad")
    >>> found = source_values(
    ...     [good, bad], Domain(X[400:], y[400:]), Plan("classification"), LogisticRegression(), METRICS["accuracy"]
    ... )
    >>> found.kept
    ['good']
    """
    names = [source.name for source in sources]
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(f"sources are compared by name: give two or more of different names, not {listed(names)}")
    if target.n_labelled < LEAST_LABELLED:
        raise NeedsError(
            f"what a source is worth is measured on {LEAST_LABELLED} labelled target rows or more, and {target.name} "
            f"has {target.n_labelled}"
        )
    made = make(method)
    n = len(sources)
    for source in sources:
        require(made, learner, source=source, target=target, different=plan.different)
    exact = n <= most_exact
    drawn = [] if exact else _orders(n, orders, random_state)
    coalitions = _coalitions(n, drawn)
    alone = Candidate(TARGET_ONLY, TargetOnly(), learner, plan)
    offered = [alone, *(_with(sources, each, made, learner, plan) for each in coalitions if each)]
    settings: dict[str, Any] = {"folds": folds, "repeats": repeats, "n_jobs": n_jobs, "random_state": random_state}
    trial = try_all(offered, target, metric, tick=tick, **settings)
    v = dict(zip(coalitions, trial.utilities, strict=True))
    phi, error = _shapley(v, n) if exact else _sampled(v, n, drawn)
    everything, empty = frozenset(range(n)), frozenset[int]()
    bounds = lambda d, e=0.0: _bounds(d, trial.folds, 1 - (1 - LEVEL) / n, e)  # noqa: E731
    mean = lambda utilities: rows_interval(utilities, trial.folds).mean  # noqa: E731
    valued = [
        SourceValue(
            source.name,
            source.n_labelled,
            *bounds(phi[i], error[i]),
            *bounds(v[frozenset({i})] - v[empty]),
            *bounds(v[everything] - v[everything - {i}]),
            error=float(error[i]),
        )
        for i, source in enumerate(sources)
    ]
    kept = frozenset(i for i, each in enumerate(valued) if each.verdict != "hurts")
    if kept not in v:
        again = try_all([alone, _with(sources, kept, made, learner, plan)], target, metric, **settings)
        v[kept] = again.utilities[1]
    if mean(v[kept]) < mean(v[everything]):
        kept = everything
    way = "every set of sources" if exact else f"{len(drawn)} orders of the sources, drawn with their opposites"
    return SourceValues(
        metric.name,
        type(made).__name__,
        valued,
        mean(v[empty]),
        mean(v[everything]),
        [names[i] for i in sorted(kept)],
        mean(v[kept]),
        exact,
        len(coalitions),
        f"{way} in {trial.how}, for all sources together",
    )


def _with(sources: Sequence[Domain], chosen: Iterable[int], method: Method, learner: Any, plan: Plan) -> Candidate:
    """Return the method with some of the sources."""
    used = [sources[i] for i in sorted(chosen)]
    return replace(candidate(method, learner, stack(used), plan), name="+".join(source.name for source in used))


def _orders(n: int, orders: int, random_state: int) -> list[list[int]]:
    """Draw orders of n sources, each followed by its opposite."""
    rng = np.random.default_rng(random_state)
    drawn = [rng.permutation(n).tolist() for _ in range(max(orders // 2, 2))]
    return [order for one in drawn for order in (one, one[::-1])]


def _coalitions(n: int, drawn: list[list[int]]) -> list[Coalition]:
    """Return the sets to try, the empty one first: all of them, or those that the orders pass through.

    Each source alone and each left out are always among them.
    """
    everything = range(n)
    if not drawn:
        return [frozenset(each) for size in range(n + 1) for each in combinations(everything, size)]
    met = {frozenset(order[:size]) for order in drawn for size in range(n + 1)}
    met |= {frozenset({i}) for i in everything} | {frozenset(everything) - {i} for i in everything}
    return sorted(met, key=lambda each: (len(each), sorted(each)))


def _shapley(v: dict[Coalition, np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each source's Shapley value by repeat and row, shape (n, repeats, rows), from the values of all sets."""
    phi = []
    for i in range(n):
        without = [each for each in v if i not in each]
        phi.append(sum((v[each | {i}] - v[each]) / (n * comb(n - 1, len(each))) for each in without))
    return np.asarray(phi), np.zeros(n)


def _sampled(v: dict[Coalition, np.ndarray], n: int, drawn: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates of the same, and the standard error that drawing orders leaves in their means.

    An order and its opposite are one draw.
    """
    added = np.zeros((len(drawn), n, *v[frozenset()].shape))
    for at, order in enumerate(drawn):
        for place, i in enumerate(order):
            added[at, i] = v[frozenset(order[: place + 1])] - v[frozenset(order[:place])]
    pairs = (added[0::2] + added[1::2]) / 2
    error = pairs.mean(axis=(2, 3)).std(axis=0, ddof=1) / np.sqrt(len(pairs))
    return pairs.mean(axis=0), error


def _bounds(differences: np.ndarray, folds: np.ndarray, level: float, error: float) -> tuple[float, float, float]:
    """Return the mean of differences by repeat and row with its bounds, widened by what drawing orders left."""
    found = rows_interval(differences, folds, level)
    half = float(np.hypot(found.high - found.mean, norm.ppf(0.5 + level / 2) * error))
    return found.mean, found.mean - half, found.mean + half
