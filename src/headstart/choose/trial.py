"""The trial: every candidate on the same repeated splits of the labelled target rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from headstart.choose.rule import SUREST, choose_by
from headstart.evidence.gain import Gain, Metric, cross_validated_gain
from headstart.evidence.grouped_interval import group_means


@dataclass(frozen=True, eq=False)
class Trial:
    """What every candidate scored on every labelled target row, out of fold.

    Attributes
    ----------
    names : list of str
        Candidates, target-only first.
    utilities : array of shape (candidates, repeats, rows)
    folds : array of shape (repeats, rows)
        The fold in which a row was held out.
    seconds : list of float
        Mean time of one fit and its scoring.
    metric : Metric
    clusters : array of shape (rows,), optional
        Whose each row is, as numbers from 0. A user then counts once, however many rows are held out in however many
        folds: scores are means of users' means, and the interval is over users.
    """

    names: list[str]
    utilities: np.ndarray
    folds: np.ndarray
    seconds: list[float]
    metric: Metric
    clusters: np.ndarray | None = None

    @property
    def n_folds(self) -> int:
        """How many folds a repeat has."""
        return int(self.folds.max()) + 1

    @property
    def how(self) -> str:
        """Say how the gain was measured."""
        if self.clusters is not None:
            return (
                f"{len(self.folds)} x {self.n_folds}-fold cross-validation on {self.folds.shape[1]} labelled target "
                f"rows of {int(self.clusters.max()) + 1} users, {self._held_out}; interval over users"
            )
        return (
            f"{len(self.folds)} x {self.n_folds}-fold cross-validation on {self.folds.shape[1]} labelled target "
            "rows, interval over rows"
        )

    @property
    def _held_out(self) -> str:
        return "all rows of a user held out together" if self._users_whole else "rows held out one by one"

    @property
    def _users_whole(self) -> bool:
        """Whether a user's rows are held out together."""
        assert self.clusters is not None  # noqa: S101  (asked for where rows are of users)
        first = np.unique(self.clusters, return_index=True)[1]
        return bool((self.folds == self.folds[:, first][:, self.clusters]).all())

    def only(self, names: Sequence[str]) -> Trial:
        """Return the trial of these candidates, in this order."""
        at = [self.names.index(name) for name in names]
        return replace(self, names=list(names), utilities=self.utilities[at], seconds=[self.seconds[c] for c in at])

    def renamed(self, names: Sequence[str]) -> Trial:
        """Return the trial with other names for its candidates."""
        return replace(self, names=list(names))

    def score(self, name: str) -> float:
        """Return a candidate's mean utility over all splits."""
        c = self.names.index(name)
        if self.clusters is not None:
            return float(group_means(self.utilities[c].mean(axis=0), self.clusters).mean())
        return float(self._split_means(c).mean())

    def utilities_of(self, name: str) -> np.ndarray:
        """Return a candidate's utilities, shape (repeats, rows)."""
        return self.utilities[self.names.index(name)]

    def choice(self) -> str:
        """Return the candidate that `rule.choose_by` picks among those that transfer."""
        return self.names[self._chosen(np.ones(self.folds.shape[1], dtype=bool))]

    def _chosen(self, rows: np.ndarray) -> int:
        surest = self.names.index(SUREST) - 1 if SUREST in self.names else None
        utilities = self.utilities[1:].mean(axis=1)[:, rows]
        if self.clusters is not None:
            utilities = group_means(utilities, np.unique(self.clusters[rows], return_inverse=True)[1])
        return 1 + choose_by(utilities, surest)

    def gain(self, name: str) -> Gain:
        """Return one candidate's gain over target-only, as if no other had been tried."""
        return self._gain(self.utilities[self.names.index(name)], self.how)

    def gain_of_choice(self) -> Gain:
        """Return the gain of choosing the best candidate, choice included.

        For each held-out fold the choice is made on the other rows, so that picking the luckiest of several
        candidates does not pass for a gain. Where rows of the same users are in all folds, it is made on other users:
        their own other rows would tell what they are lucky with.
        """
        by_users = self.clusters is not None and self.clusters.any() and not self._users_whole
        chosen = np.empty(self.folds.shape)
        for repeat, of_row in enumerate(self._users_in_parts() if by_users else self.folds):
            for part in range(self.n_folds):
                held = of_row == part
                if held.any():
                    chosen[repeat, held] = self.utilities[self._chosen(~held), repeat, held]
        how = self.how
        if len(self.names) > 2:
            without = "a part of the users at a time" if by_users else "each held-out fold"
            how += f"; the choice among {len(self.names) - 1} transfers is made anew without {without}"
        return self._gain(chosen, how)

    def _users_in_parts(self) -> np.ndarray:
        """Return for each repeat the part, one of as many as there are folds, that each row's user is in."""
        assert self.clusters is not None  # noqa: S101  (asked for where rows are of users)
        n_users = int(self.clusters.max()) + 1
        parts = [np.random.default_rng(repeat).permutation(n_users) % self.n_folds for repeat in range(len(self.folds))]
        return np.stack(parts)[:, self.clusters]

    def _splits(self) -> list[np.ndarray]:
        return [of_row == fold for of_row in self.folds for fold in range(self.n_folds)]

    def _split_means(self, c: int) -> np.ndarray:
        utilities = np.repeat(self.utilities[c], self.n_folds, axis=0)
        return np.array([u[held].mean() for u, held in zip(utilities, self._splits(), strict=True)])

    def _gain(self, transfer: np.ndarray, how: str) -> Gain:
        return cross_validated_gain(self.metric, self.utilities[0], transfer, self.folds, how, self.clusters)
