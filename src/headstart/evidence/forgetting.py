"""What the model has forgotten of the source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headstart.domain import Domain, stack
from headstart.errors import InputError
from headstart.evidence.curve import drawing_order
from headstart.evidence.gain import METRICS, Metric
from headstart.evidence.interval import fresh_rows_interval

#: Share of the labelled source rows that neither model learns from.
HELD_OUT = 0.25
LEAST_ROWS = 8


@dataclass(frozen=True)
class Forgetting:
    """How much worse than source-only a transfer is on the source.

    Attributes
    ----------
    metric : str
    source_only, transfer : float
        Mean utilities on source rows that neither has learned from.
    lost, low, high : float
        source_only - transfer and its 95 % interval over the rows; below zero where the transfer is better.
    p : float
    rows : int
    """

    metric: str
    source_only: float
    transfer: float
    lost: float
    low: float
    high: float
    p: float
    rows: int

    def __str__(self) -> str:
        metric = METRICS[self.metric]
        word = "forgets" if self.low > 0 else "gains on the source" if self.high < 0 else "no sign of forgetting"
        unit = " points" if metric.points else ""
        return (
            f"{word}: {self.metric} on the source {metric.show(self.source_only)} -> {metric.show(self.transfer)} "
            f"(lost {metric.show_gain(self.lost)}{unit}, 95% CI {metric.show_gain(self.low)} to "
            f"{metric.show_gain(self.high)})"
        )

    def document(self) -> dict[str, Any]:
        """Return all of it in plain types."""
        return {**asdict(self), "summary": str(self)}


@dataclass(frozen=True)
class _AskedAboutSource:
    """A model asked about source rows, which some methods map in their own way."""

    model: Any

    def predict(self, X: Any) -> np.ndarray:
        own_way = getattr(self.model, "predict_source", self.model.predict)
        return np.asarray(own_way(X))


def measure_forgetting(
    source_only: Callable[[Domain], Any],
    transfer: Callable[[Domain], Any],
    source: Domain,
    metric: Metric,
    *,
    held_out: float = HELD_OUT,
    random_state: int = 0,
) -> Forgetting:
    """Compare source-only and a transfer on source rows that neither has learned from.

    Both are fitted anew without a part of the labelled source rows, classes in proportion: a delivered model has
    learned from all source rows, so asking it about these would flatter it.

    Parameters
    ----------
    source_only, transfer : callable
        Source domain -> fitted model, with `predict_source` where source rows go another way than target rows.
    source : Domain
    metric : Metric
        One that needs predictions only: not log loss.
    held_out : float
        Share of the labelled source rows to compare on.
    random_state : int

    Raises
    ------
    InputError
        When there are too few labelled source rows, or the metric needs probabilities.
    NeedsError
        From the model, when it can't be asked about source rows.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 3))
    >>> source = Domain(X, (X[:, 0] > 0).astype(int), "source")
    >>> fit = lambda part: LogisticRegression().fit(part.X, part.labels)
    >>> turned = lambda part: LogisticRegression().fit(part.X, (part.X[:, 1] > 0).astype(int))
    >>> lost = measure_forgetting(fit, turned, source, METRICS["accuracy"])
    >>> lost.rows, lost.low > 0.3
    (100, True)
    """
    if metric.name == "log loss":
        raise InputError("forgetting is measured by predictions, not probabilities; take accuracy")
    labelled = source.labelled_rows()
    if not 0 < held_out < 1 or len(labelled) * held_out < LEAST_ROWS:
        raise InputError(
            f"{len(labelled)} labelled source rows, of which {held_out:.0%} are held out, are too few to see what was "
            f"forgotten; {LEAST_ROWS} must be held out at least"
        )
    order = drawing_order(labelled, np.random.default_rng(random_state))
    kept = len(order) - round(held_out * len(order))
    aside = labelled.rows(np.sort(order[kept:]))
    rest = source.rows(~source.labelled)
    train = labelled.rows(np.sort(order[:kept]))
    seen = stack([train, rest]) if len(rest) else train
    alone, helped = (
        metric.utility(_AskedAboutSource(fit(seen)), aside.X, aside.labels) for fit in (source_only, transfer)
    )
    interval = fresh_rows_interval(alone - helped, 1.0 if metric.name == "accuracy" else 0.0)
    return Forgetting(
        metric.name,
        float(alone.mean()),
        float(helped.mean()),
        interval.mean,
        interval.low,
        interval.high,
        interval.p,
        len(aside),
    )
