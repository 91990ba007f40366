"""The learning curve with and without the source, and how many labelled rows the source was worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import t as student_t
from sklearn.isotonic import isotonic_regression

from headstart.domain import Domain, stack
from headstart.errors import NeedsError
from headstart.evidence.gain import Metric
from headstart.evidence.grouped_interval import mean_over_groups
from headstart.evidence.interval import LEVEL

RESAMPLES = 999


class Fits(Protocol):
    """Something that learns from target rows and gives a model."""

    def fit(self, target: Domain) -> Any:
        """Return a fitted model."""


@dataclass(frozen=True)
class Curve:
    """Mean utility by number of labelled target rows, with and without the source.

    Attributes
    ----------
    sizes : list of int
        Labelled target rows learned from.
    target_only, transfer : list of float
        Mean utility at each size.
    target_only_sd, transfer_sd : list of float
        Standard deviation over the draws.
    rows : int
        The number of labelled rows that `worth` is about.
    worth : int or None
        How many labelled rows the source was worth there; None when it was worth none.
    beyond : bool
        Whether the worth is only a lower bound: the curves end before they meet.
    draws : int
    scored_on : str
    """

    sizes: list[int]
    target_only: list[float]
    transfer: list[float]
    target_only_sd: list[float]
    transfer_sd: list[float]
    rows: int
    worth: int | None
    beyond: bool
    draws: int
    scored_on: str
    target_only_low: list[float] | None = None
    target_only_high: list[float] | None = None
    transfer_low: list[float] | None = None
    transfer_high: list[float] | None = None
    worth_low: int | None = None
    worth_high: int | None = None

    @property
    def worth_range(self) -> str:
        """Say between which numbers of labelled rows the worth lies."""
        if self.worth_low is None:
            return "not known from one draw"
        upper = "beyond the measured range" if self.worth_high is None else f"{self.worth_high}"
        return f"{self.worth_low} to {upper}"

    def __str__(self) -> str:
        if self.worth is None:
            return f"worth no labelled rows at {self.rows}"
        return f"worth {'more than' if self.beyond else 'about'} {self.worth} labelled rows"

    def document(self) -> dict[str, Any]:
        """Return the curve in plain types."""
        return {**asdict(self), "summary": str(self), "worth_range": self.worth_range}


def learning_curve(
    target_only: Fits,
    transfer: Fits,
    target: Domain,
    metric: Metric,
    *,
    test: Domain | None = None,
    draws: int = 5,
    n_jobs: int = 1,
    random_state: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Curve | None:
    """Learn from more and more labelled target rows, with and without the source.

    Each draw orders the labelled rows at random (every class comes early, then in proportion) and learns from ever
    longer beginnings; what is not learned from is scored on. Without `test`, a fifth of the labelled rows is put
    aside for that in each draw; with it, its rows join the pool, so that the curve can go beyond the labelled rows.
    Where rows are held out together, whole users are put aside, and means are over users. Sizes with too few rows for
    the transfer (too few users who stand in both domains, say) are left out; None where all are.
    """
    labelled = target.labelled_rows()
    pool = labelled if test is None else stack([labelled, test.labelled_rows()])
    rest = target.rows(~target.labelled)
    sizes = curve_sizes(len(labelled), len(pool), _least(pool), extended=test is not None)
    tasks = [(draw, size) for draw in range(draws) for size in sizes]

    def score(draw: int, size: int) -> tuple[float, float]:
        order = drawing_order(pool, np.random.default_rng([random_state, draw]))
        first, last = parted(order, sizes[-1], pool.held_together)
        train, held = pool.rows(np.sort(first[:size])), pool.rows(np.sort(last))
        seen = stack([_plain(train), _plain(rest)]) if len(rest) else _plain(train)
        try:
            alone, helped = (metric.utility(entry.fit(seen), held, held.labels) for entry in (target_only, transfer))
        except NeedsError:
            return np.nan, np.nan
        return mean_over_groups(alone, held.clusters), mean_over_groups(helped, held.clusters)

    scores = np.empty((draws, len(sizes), 2))
    running = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(score)(draw, size) for draw, size in tasks
    )
    for done, ((draw, size), pair) in enumerate(zip(tasks, running, strict=True), 1):
        scores[draw, sizes.index(size)] = pair
        tick(done, len(tasks))
    enough: np.ndarray = np.asarray(~np.isnan(scores).any(axis=(0, 2)))
    if not enough.any():
        return None
    sizes, scores = [size for size, fine in zip(sizes, enough, strict=True) if fine], scores[:, enough]
    means, spreads = (
        scores.mean(axis=0),
        scores.std(axis=0, ddof=1) if draws > 1 else np.zeros((len(sizes), 2)),
    )
    rows, worth, beyond = rows_worth(np.array(sizes), means[:, 0], means[:, 1], len(labelled))
    bands = mean_bands(scores)
    worth_low, worth_high = worth_interval(np.array(sizes), scores, len(labelled), random_state=random_state)
    return Curve(
        sizes,
        means[:, 0].tolist(),
        means[:, 1].tolist(),
        spreads[:, 0].tolist(),
        spreads[:, 1].tolist(),
        rows,
        worth,
        beyond,
        draws,
        "the test rows not learned from" if test is not None else "a fifth of the labelled rows, put aside each time",
        target_only_low=None if bands is None else bands[0][:, 0].tolist(),
        target_only_high=None if bands is None else bands[1][:, 0].tolist(),
        transfer_low=None if bands is None else bands[0][:, 1].tolist(),
        transfer_high=None if bands is None else bands[1][:, 1].tolist(),
        worth_low=worth_low,
        worth_high=worth_high,
    )


def mean_bands(scores: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray] | None:
    """Return lower and upper band of the mean over draws, each of shape (sizes, 2); None with one draw.

    Parameters
    ----------
    scores : array of shape (draws, sizes, 2)
        Of target-only and transfer.

    Examples
    --------
    >>> low, high = mean_bands(np.array([[[0.6, 0.8]], [[0.7, 0.8]], [[0.8, 0.8]]]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([[0.452, 0.8]], [[0.948, 0.8]])
    """
    draws = len(scores)
    if draws < 2:
        return None
    mean = scores.mean(axis=0)
    half = student_t.ppf(0.5 + level / 2, draws - 1) * scores.std(axis=0, ddof=1) / np.sqrt(draws)
    return mean - half, mean + half


def worth_interval(
    sizes: np.ndarray,
    scores: np.ndarray,
    n_labelled: int,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    random_state: int = 0,
) -> tuple[int | None, int | None]:
    """Return an interval of the labelled rows that the source is worth, by bootstrap over the draws.

    Draws are taken again with replacement, and the worth is read off the mean curves anew. The bounds are percentiles
    of the worths, one beyond the measured range being more than any other: an upper bound among these is None, a
    lower bound is the most that was measured. With few draws the interval is narrower than it should be.

    Parameters
    ----------
    sizes : array of shape (sizes,)
    scores : array of shape (draws, sizes, 2)
        Of target-only and transfer.
    n_labelled : int

    References
    ----------
    Hernandez, Kaplan, Henighan, McCandlish: Scaling Laws for Transfer. arXiv 2102.01293, 2021 (effective data
    transferred).

    Examples
    --------
    >>> sizes, alone, helped = np.array([10, 20, 40, 80]), [0.6, 0.7, 0.8, 0.9], [0.8, 0.85, 0.9, 0.92]
    >>> worth_interval(sizes, np.array([np.transpose([alone, helped])] * 3), 20)
    (37, 37)
    """
    draws = len(scores)
    if draws < 2:
        return None, None
    rng = np.random.default_rng([random_state, draws])
    # Few draws have few different resamples: each is read once.
    taken, which = np.unique(np.sort(rng.integers(0, draws, (resamples, draws)), axis=1), axis=0, return_inverse=True)
    means = [scores[rows].mean(axis=0) for rows in taken]
    read = [rows_worth(sizes, mean[:, 0], mean[:, 1], n_labelled) for mean in means]
    worths = np.array([worth or 0 for _, worth, _ in read])[which.ravel()]
    open_ended = np.array([beyond for *_, beyond in read])[which.ravel()]
    # Those beyond the range come last; a bound that is one of them is known from below only.
    order = np.lexsort((worths, open_ended))
    low, high = (order[round(share * (resamples - 1))] for share in (0.5 - level / 2, 0.5 + level / 2))
    return int(worths[low]), None if open_ended[high] else int(worths[high])


def _plain(domain: Domain) -> Domain:
    return replace(domain, origin=None)


def _least(pool: Domain) -> int:
    """Return the smallest size worth learning from: a row of each class, eight rows; of ratings, a fiftieth of them."""
    if pool.clusters is not None:
        return max(8, len(pool) // 50)
    return max(len(pool.classes), 8) if pool.task == "classification" else 8


def curve_sizes(n_labelled: int, n_pool: int, least: int, *, extended: bool) -> list[int]:
    """Return doubling sizes; up to four times the labelled rows when the pool goes beyond them.

    >>> curve_sizes(40, 1797, 10, extended=True), curve_sizes(294, 294, 8, extended=False)
    ([10, 20, 40, 80, 160], [8, 16, 32, 64, 128, 236])
    """
    most = min(4 * n_labelled, n_pool - n_pool // 5) if extended else n_labelled - n_labelled // 5
    anchors = {most} | ({n_labelled} if extended and n_labelled < most else set())
    doubling = [least * 2**i for i in range(32) if least * 2**i < most]
    between = {size for size in doubling if all(not anchor / 1.5 < size < anchor * 1.5 for anchor in anchors)}
    return sorted(anchors | between)


def drawing_order(pool: Domain, rng: np.random.Generator) -> np.ndarray:
    """Return a random order of the rows in which every class comes early and then in proportion."""
    order = rng.permutation(len(pool))
    if pool.held_together is not None:
        turn = rng.permutation(int(pool.held_together.max()) + 1)
        return order[np.argsort(turn[pool.held_together[order]], kind="stable")]
    if pool.task != "classification":
        return order
    labels = pool.labels[order]
    place = np.empty(len(order))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        place[rows] = (np.arange(len(rows)) + rng.uniform(size=len(rows))) / len(rows)
        place[rows[0]] = -1 + rng.uniform()
    return order[np.argsort(place, kind="stable")]


def parted(order: np.ndarray, most: int, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to learn from, in order, and those to score on: what comes after the first `most`.

    Groups, which follow each other in the order, are not parted: the last ones are put aside whole.

    >>> parted(np.arange(6), 4, np.array([0, 0, 0, 1, 1, 1]))
    (array([0, 1, 2]), array([3, 4, 5]))
    """
    if groups is None:
        return order[:most], order[most:]
    aside = np.isin(groups[order], groups[order[most:]])
    if aside.all():
        aside = groups[order] == groups[order[-1]]
    return order[~aside], order[aside]


def rows_worth(
    sizes: np.ndarray, target_only: np.ndarray, transfer: np.ndarray, n_labelled: int
) -> tuple[int, int | None, bool]:
    """Return (rows, worth, beyond): the horizontal distance between the curves.

    Both curves are made monotone (isotonic regression) and read on a logarithmic scale of rows. If target-only,
    with more rows, reaches what the transfer does with the labelled rows, the worth is how many more it took. Else
    the worth is how many fewer rows the transfer needs for what target-only does with the most.

    >>> sizes = np.array([10, 20, 40, 80])
    >>> rows_worth(sizes, np.array([0.6, 0.7, 0.8, 0.9]), np.array([0.8, 0.85, 0.9, 0.92]), 40)
    (40, 40, False)
    >>> rows_worth(sizes, np.array([0.6, 0.7, 0.8, 0.9]), np.array([0.8, 0.85, 0.9, 0.92]), 80)
    (80, 40, False)
    """
    logs = np.log(sizes)
    alone = np.asarray(isotonic_regression(target_only))
    helped = np.asarray(isotonic_regression(transfer))
    at = min(n_labelled, int(sizes[-1]))
    reached = float(np.interp(np.log(at), logs, helped))
    here = float(np.interp(np.log(at), logs, alone))
    if reached <= here:
        return at, None, False
    if alone[-1] >= reached:
        return at, max(1, round(_size_for(reached, logs, alone) - at)), False
    if at < sizes[-1]:
        return at, int(sizes[-1] - at), True
    if helped[0] >= alone[-1]:
        return at, int(at - sizes[0]), True
    return at, max(1, round(at - _size_for(float(alone[-1]), logs, helped))), False


def _size_for(level: float, logs: np.ndarray, utility: np.ndarray) -> float:
    """Return the (interpolated) size at which a rising curve first reaches a level within its range."""
    i = int(np.argmax(utility >= level))
    if i == 0:
        return float(np.exp(logs[0]))
    share = (level - utility[i - 1]) / (utility[i] - utility[i - 1])
    return float(np.exp(logs[i - 1] + share * (logs[i] - logs[i - 1])))
