"""The search: every candidate on the same repeated splits, cheap looks first, the better half further, within a time.

Nothing that is tried is forgotten: a candidate that is not tried further keeps the scores of the repeats it was in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from joblib import Parallel, delayed

from headstart.choose.candidates import TARGET_ONLY, Candidate
from headstart.choose.kept import Kept
from headstart.choose.splits import folds_of, folds_of_groups
from headstart.choose.trial import Trial
from headstart.domain import Domain, stack
from headstart.evidence.gain import Metric

#: Transfers that are tried in every repeat; of more, the better half goes on after each, down to so many.
MOST_TO_THE_END = 8
#: The best transfers that are tried with other settings too.
MOST_TUNED = 3
#: The share of a budget that trying may take; the rest is for curves and the delivered model.
SHARE_FOR_TRYING = 0.7


@dataclass(frozen=True, eq=False)
class Searched:
    """What a search found.

    Attributes
    ----------
    trial : Trial
        Of every candidate that was tried. In repeats that a candidate was not in, a row counts as it did on average
        in those before.
    candidates : list of Candidate
        Those of the trial, in its order: the ones given, and those with other settings.
    repeats : dict of str to int
        How many repeats each was in.
    left_out : dict of str to str
        Candidates that the budget left no time for, and why.
    """

    trial: Trial
    candidates: list[Candidate]
    repeats: dict[str, int]
    left_out: dict[str, str] = field(default_factory=dict)


def try_all(
    candidates: Sequence[Candidate],
    target: Domain,
    metric: Metric,
    *,
    folds: int = 5,
    repeats: int = 5,
    n_jobs: int = 1,
    random_state: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Trial:
    """Try every candidate in every repeat; see `search`."""
    return search(
        candidates,
        target,
        metric,
        folds=folds,
        repeats=repeats,
        most=len(candidates),
        n_jobs=n_jobs,
        random_state=random_state,
        tick=tick,
    ).trial


def search(
    candidates: Sequence[Candidate],
    target: Domain,
    metric: Metric,
    *,
    folds: int = 5,
    repeats: int = 5,
    most: int = MOST_TO_THE_END,
    others: Callable[[Candidate], Sequence[Candidate]] = lambda candidate: (),
    n_jobs: int = 1,
    random_state: int = 0,
    seconds: float = np.inf,
    kept: Kept | None = None,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Searched:
    """Try candidates on the same splits: fit without a fold of the labelled target rows, score on it.

    First each is fitted once. With a budget, that tells which would take too long; these are left out. Then whole
    repeats follow: after each, the better half of the transfers goes on as long as there are more than `most`
    (successive halving), or fewer where the budget is short. Held-out rows are not seen in fitting in any way, not
    even unlabelled.

    Parameters
    ----------
    candidates : sequence of Candidate
        Target-only first.
    most : int
        Transfers that go on to the end, however many are given.
    others : callable
        Gives a candidate's like with other settings; asked of the best three after the first repeat.
    seconds : float
        The budget. At least one repeat of target-only and one transfer is always made.
    kept : Kept, optional
        Scores of an earlier search that was stopped are taken from it, and new ones written to it.

    References
    ----------
    Jamieson & Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter Optimization. AISTATS 2016
    (successive halving).
    """
    if candidates[0].name != TARGET_ONLY:
        raise ValueError("target-only must come first")
    run = _Run(list(candidates), target, metric, folds, repeats, n_jobs, random_state, seconds, kept, tick)
    run.screen()
    run.repeat(0)
    run.add([other for candidate in run.best(MOST_TUNED) for other in others(candidate)])
    for r in range(1, repeats):
        run.halve(most)
        if not run.has_time_for_a_repeat():
            break
        run.repeat(r)
    return run.searched()


class _Run:
    """A search under way."""

    def __init__(
        self,
        candidates: list[Candidate],
        target: Domain,
        metric: Metric,
        folds: int,
        repeats: int,
        n_jobs: int,
        random_state: int,
        seconds: float,
        kept: Kept | None,
        tick: Callable[[int, int], None],
    ) -> None:
        self.candidates, self.metric, self.n_jobs = candidates, metric, n_jobs
        self.kept, self.tick = kept, tick
        self.labelled, self.rest = target.labelled_rows(), target.rows(~target.labelled)
        classes = target.task == "classification"
        labels = self.labelled.labels
        together = self.labelled.held_together
        self.of_rows = np.stack(
            [
                folds_of(labels, folds, [random_state, r], classes=classes)
                if together is None
                else folds_of_groups(together, folds, [random_state, r])
                for r in range(repeats)
            ]
        )
        self.n_folds = int(self.of_rows.max()) + 1
        self.scores = np.full((len(candidates), repeats, len(self.labelled)), np.nan)
        self.took: list[list[float]] = [[] for _ in candidates]
        self.alive = list(range(len(candidates)))
        self.left_out: dict[str, str] = {}
        self.deadline, self.budget = time.monotonic() + SHARE_FOR_TRYING * seconds, seconds
        self.done = 0

    def screen(self) -> None:
        """Fit each once; leave out what there is no time for."""
        if self.deadline == np.inf:
            return
        for c in list(self.alive):
            first_two = c == 0 or not any(self._transfers(other) and self.took[other] for other in self.alive)
            if not first_two and time.monotonic() > self.deadline:
                self._leave_out(c, "was not begun when the budget's time for trying ended")
            else:
                self._score([(c, 0, 0)])
        while self._seconds_of_a_repeat() > self.deadline - time.monotonic():
            transfers = [c for c in self.alive if self._transfers(c)]
            slowest = max(self.alive[1:], key=lambda c: self.took[c][0], default=0)
            if slowest == 0 or (self._transfers(slowest) and len(transfers) == 1):
                break
            self._leave_out(slowest, f"takes {self.took[slowest][0]:.1f} s a fit; the budget has no time for it")

    def repeat(self, r: int) -> None:
        """Score all that go on on every fold of one repeat."""
        self._score([(c, r, fold) for fold in range(self.n_folds) for c in self.alive if self._missing(c, r, fold)])

    def add(self, candidates: list[Candidate]) -> None:
        """Take in further candidates, if there is time, and bring them to where the others are."""
        known = {candidate.name for candidate in self.candidates}
        for candidate in candidates:
            if candidate.name in known or time.monotonic() > self.deadline:
                continue
            self.candidates.append(candidate)
            self.took.append([])
            self.scores = np.concatenate([self.scores, np.full_like(self.scores[:1], np.nan)])
            self.alive.append(len(self.candidates) - 1)
            self._score([(self.alive[-1], 0, fold) for fold in range(self.n_folds)])

    def halve(self, most: int) -> None:
        """Let the better half of the transfers go on while there are more than `most`, or no time for them."""
        transfers = [c for c in self._ranked() if self._transfers(c)]
        going_on = transfers[: max(most, (len(transfers) + 1) // 2)]
        self._go_on_with(going_on)
        while len(going_on) > 1 and not self.has_time_for_a_repeat():
            going_on = going_on[: (len(going_on) + 1) // 2]
            self._go_on_with(going_on)

    def has_time_for_a_repeat(self) -> bool:
        """Tell whether another repeat of all that go on would end in time."""
        return self._seconds_of_a_repeat() <= self.deadline - time.monotonic()

    def best(self, n: int) -> list[Candidate]:
        """Return the best transfers so far."""
        return [self.candidates[c] for c in self._ranked() if self._transfers(c)][:n]

    def searched(self) -> Searched:
        """Return what was found, of the candidates that were in a whole repeat."""
        whole = [c for c in range(len(self.candidates)) if not np.isnan(self.scores[c, 0]).any()]
        repeats = int((~np.isnan(self.scores[0]).any(axis=1)).sum())
        scores = self.scores[whole, :repeats]
        in_repeat = ~np.isnan(scores).any(axis=2)
        before = np.stack([rows[was].mean(axis=0) for rows, was in zip(scores, in_repeat, strict=True)])
        scores = np.where(in_repeat[:, :, None], scores, before[:, None, :])
        candidates = [self.candidates[c] for c in whole]
        names = [candidate.name for candidate in candidates]
        took = [float(np.mean(self.took[c])) for c in whole]
        trial = Trial(names, scores, self.of_rows[:repeats], took, self.metric, self.labelled.clusters)
        return Searched(trial, candidates, dict(zip(names, in_repeat.sum(axis=1).tolist(), strict=True)), self.left_out)

    def _score(self, tasks: list[tuple[int, int, int]]) -> None:
        running = Parallel(n_jobs=self.n_jobs, prefer="threads", return_as="generator")(
            delayed(self._scored)(*task) for task in tasks
        )
        for left, ((c, r, fold), (utility, took)) in zip(
            range(len(tasks) - 1, -1, -1), zip(tasks, running, strict=True), strict=True
        ):
            self.scores[c, r, self.of_rows[r] == fold] = utility
            self.took[c].append(took)
            self.done += 1
            ahead = left + (len(self.of_rows) - r - 1) * self.n_folds * len(self.alive)
            self.tick(self.done, self.done + ahead)

    def _scored(self, c: int, r: int, fold: int) -> tuple[np.ndarray, float]:
        held = self.of_rows[r] == fold
        candidate = self.candidates[c]
        found = None if self.kept is None else self.kept.find(candidate, held, self.metric)
        if found is not None:
            return found
        train = self.labelled.rows(~held)
        start = time.perf_counter()
        model = candidate.fit(stack([train, self.rest]) if len(self.rest) else train)
        test = self.labelled.rows(held)
        utility, took = self.metric.utility(model, test, test.labels), time.perf_counter() - start
        if self.kept is not None:
            self.kept.add(candidate, held, self.metric, utility, took)
        return utility, took

    def _missing(self, c: int, r: int, fold: int) -> bool:
        return bool(np.isnan(self.scores[c, r, self.of_rows[r] == fold]).any())

    def _transfers(self, c: int) -> bool:
        return not self.candidates[c].from_target_alone

    def _ranked(self) -> list[int]:
        """Return those that go on, best first; of equals the first given."""
        return sorted(self.alive, key=lambda c: -float(np.nanmean(self.scores[c])))

    def _seconds_of_a_repeat(self) -> float:
        return sum(float(np.mean(self.took[c])) for c in self.alive if self.took[c]) * self.n_folds / self.n_jobs

    def _leave_out(self, c: int, why: str) -> None:
        self.alive.remove(c)
        self.left_out[self.candidates[c].name] = why

    def _go_on_with(self, transfers: list[int]) -> None:
        """Keep these transfers, target-only, and the best of what else is learned from the target alone."""
        alone = [c for c in self._ranked() if not self._transfers(c)]
        self.alive = sorted({0, alone[0], *transfers})
