"""Judgement: every method's scores for every user, the verdict, and which recommender is delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from headstart.errors import InputError
from headstart.recommend.twins import Twins
from headstart.recommend.user_bootstrap import (
    Spread,
    bootstrap_means,
    spread,
    spread_of_choice,
    verdict_of,
)
from headstart.recommend.user_scores import LOSSES

if TYPE_CHECKING:
    import pandas as pd

#: Users below which nothing is said of them as a group.
LEAST_USERS = 10


@dataclass(frozen=True, eq=False)
class Measured:
    """What one method scored.

    Attributes
    ----------
    name : str
    transfers : bool
        False: it learned from the target alone.
    scores : dict of str to array of shape (users,)
        By metric; under RMSE the mean squared error.
    coverage : float
        Share of the target's items that stand in anybody's first k.
    seconds : float
        To fit.
    """

    name: str
    transfers: bool
    scores: dict[str, np.ndarray]
    coverage: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What carrying is worth to held-out users. `evaluate` makes it.

    Attributes
    ----------
    target, protocol : str
    sources : list of str
    metric : str
        The one that decides.
    users : array of shape (n,)
        Ids of those whose rows were held out.
    warm : bool array of shape (n,)
        Who has training rows in the target.
    measured : list of Measured
    rows, items : int
        Held-out rows, and items that can be recommended.
    negatives : int or None
        How many random items each held-out one was ranked among; None: all.
    k : int
    twins : Twins
        Items that may be the same under two names.
    notes : list of str
    """

    target: str
    sources: list[str]
    protocol: str
    metric: str
    users: np.ndarray
    warm: np.ndarray
    measured: list[Measured]
    rows: int
    items: int
    negatives: int | None
    k: int
    random_state: int
    draws: int
    twins: Twins
    notes: list[str]

    def __repr__(self) -> str:
        return f"Evaluation({self.sentence})"

    def only(self, group: Literal["warm", "cold"]) -> Evaluation:
        """Return the evaluation of those users who have training rows in the target (warm), or have none (cold).

        Coverage stays that of all.

        Raises
        ------
        InputError
            When there are fewer than ten.
        """
        mask = self.warm if group == "warm" else ~self.warm
        if mask.sum() < LEAST_USERS:
            raise InputError(f"{mask.sum()} {group} users are too few to tell anything; it takes {LEAST_USERS}")
        measured = [
            replace(each, scores={name: values[mask] for name, values in each.scores.items()}) for each in self.measured
        ]
        return replace(self, users=self.users[mask], warm=self.warm[mask], measured=measured)

    @property
    def groups(self) -> list[Literal["warm", "cold"]]:
        """The groups that are there beside another, each of ten users at least."""
        both = min(self.warm.sum(), (~self.warm).sum()) >= LEAST_USERS
        return ["warm", "cold"] if both else []

    @property
    def transfers(self) -> list[str]:
        """Names of the methods that carry."""
        return [each.name for each in self.measured if each.transfers]

    @property
    def baselines(self) -> list[str]:
        """Names of those that learned from the target alone."""
        return [each.name for each in self.measured if not each.transfers]

    @property
    def baseline(self) -> str | None:
        """The best of those that learned from the target alone."""
        return self._best(self.baselines)

    @property
    def choice(self) -> str | None:
        """The best of those that carry."""
        return self._best(self.transfers)

    @property
    def delivered(self) -> str:
        """The best transfer where it is shown to help, else the best baseline; what there is, where one is missing."""
        transfer, alone = self.choice, self.baseline
        if transfer is None or alone is None:
            return transfer or alone or ""
        return transfer if self.verdict == "helps" else alone

    @property
    def verdict(self) -> Literal["helps", "hurts", "no evidence"]:
        """Whether the interval of `gain` leaves zero out."""
        return "no evidence" if self.gain is None else verdict_of(self.gain)

    @cached_property
    def gain(self) -> Spread | None:
        """By how much the best transfer is better than the best baseline; None where one is missing.

        The interval allows for the choice among several of each: see `user_bootstrap.spread_of_choice`.
        """
        if not self.transfers or not self.baselines:
            return None
        (t, drawn_t), (b, drawn_b) = (self._utilities(names) for names in (self.transfers, self.baselines))
        return spread_of_choice(t, drawn_t, b, drawn_b)

    def score(self, name: str, metric: str | None = None) -> Spread:
        """Return what a method scored, with its interval over users."""
        value, drawn = self._figures[name, metric or self.metric]
        return spread(value, drawn)

    def difference(self, name: str) -> Spread | None:
        """Return by how much a method is better than the best baseline: for losses, by how much it errs less.

        As if no other had been tried; None for that baseline itself, and where there is none.
        """
        if self.baseline is None or name == self.baseline:
            return None
        return self._difference(name, self.baseline)

    def table(self) -> pd.DataFrame:
        """Return a row for each method, baselines first: every metric, and the one that decides with its interval."""
        import pandas as pd

        rows = []
        for each in sorted(self.measured, key=lambda m: m.transfers):
            decisive, gain = self.score(each.name), self.difference(each.name)
            scores = {metric: self._figures[each.name, metric][0] for metric in each.scores}
            rows.append(
                {
                    "method": each.name,
                    "learns from": "all domains" if each.transfers else f"{self.target} alone",
                    **scores,
                    "low": decisive.low,
                    "high": decisive.high,
                    "gain": np.nan if gain is None else gain.value,
                    "gain low": np.nan if gain is None else gain.low,
                    "gain high": np.nan if gain is None else gain.high,
                    "coverage": each.coverage,
                    "seconds": each.seconds,
                }
            )
        return pd.DataFrame(rows).set_index("method")

    @property
    def among(self) -> str:
        """Say what held-out items were ranked among."""
        if self.negatives is None:
            return f"all {self.items:,} items that the user has not met"
        return (
            f"SAMPLED: {self.negatives:,} random items instead of all {self.items:,}; such figures are higher, and can "
            "put methods in another order"
        )

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.gain is None:
            missing = "a method that carries" if not self.transfers else "one that learns from the target alone"
            return f"a gain can't be told: {missing} is missing; delivered: {self.delivered}"
        start = {
            "helps": "transfer helps",
            "hurts": "transfer hurts",
            "no evidence": "no evidence that transfer helps",
        }[self.verdict]
        less = f"{self.metric} better by" if self.metric in LOSSES else self.metric
        n = len(self.transfers), len(self.baselines)
        chosen = f", the interval allows for choosing among {n[0]} and {n[1]}" if max(n) > 1 else ""
        return (
            f"{start}: {less} {self.gain.value:+.4f} (95% CI {self.gain.low:+.4f} to {self.gain.high:+.4f}) for "
            f"{len(self.users):,} users of {self.target}, {self.choice} over {self.baseline}{chosen}; "
            f"delivered: {self.delivered}"
        )

    def document(self) -> dict[str, Any]:
        """Return everything in plain types, for JSON."""
        return {
            "target": self.target,
            "sources": list(self.sources),
            "protocol": self.protocol,
            "metric": self.metric,
            "k": self.k,
            "ranked_among": None if self.metric in LOSSES else "all" if self.negatives is None else "sample",
            "negatives": self.negatives,
            "users": {"all": len(self.users), "warm": int(self.warm.sum()), "cold": int((~self.warm).sum())},
            "rows": self.rows,
            "items": self.items,
            "random_state": self.random_state,
            "draws": self.draws,
            "methods": self._told(),
            "groups": {group: self.only(group)._told() for group in self.groups},
            "baseline": self.baseline,
            "choice": self.choice,
            "gain": None if self.gain is None else self.gain.document(),
            "verdict": self.verdict,
            "delivered": self.delivered,
            "sentence": self.sentence,
            "twins": self.twins.document(),
            "notes": list(self.notes),
        }

    def _told(self) -> list[dict[str, Any]]:
        told = []
        for each in self.measured:
            gain = self.difference(each.name)
            told.append(
                {
                    "method": each.name,
                    "transfers": each.transfers,
                    "scores": {metric: self.score(each.name, metric).document() for metric in each.scores},
                    "gain": None if gain is None else gain.document(),
                    "coverage": each.coverage,
                    "seconds": round(each.seconds, 3),
                }
            )
        return told

    @property
    def _sign(self) -> int:
        return -1 if self.metric in LOSSES else 1

    def _utilities(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return what methods are worth, shape (p,), and for each draw of users, shape (draws, p); more is better."""
        figures = [self._figures[name, self.metric] for name in names]
        return (
            self._sign * np.array([value for value, _ in figures]),
            self._sign * np.column_stack([drawn for _, drawn in figures]),
        )

    def _best(self, names: Sequence[str]) -> str | None:
        return names[int(self._utilities(names)[0].argmax())] if names else None

    @cached_property
    def _figures(self) -> dict[tuple[str, str], tuple[float, np.ndarray]]:
        """By method and metric: the figure, and what it is for the same draws of users, shape (draws,)."""
        columns = {(each.name, metric): values for each in self.measured for metric, values in each.scores.items()}
        values = np.column_stack(list(columns.values()))
        means, drawn = values.mean(axis=0), bootstrap_means(values, self.draws, self.random_state)
        return {
            key: (float(_figure(key[1], means[at])), _figure(key[1], drawn[:, at])) for at, key in enumerate(columns)
        }

    def _difference(self, one: str, other: str) -> Spread:
        (value, drawn), (against, drawn_against) = (self._figures[name, self.metric] for name in (one, other))
        return spread(self._sign * (value - against), self._sign * (drawn - drawn_against))


def _figure(metric: str, mean: Any) -> Any:
    """Return the figure that is shown of a mean over users."""
    return np.sqrt(mean) if metric == "RMSE" else mean
