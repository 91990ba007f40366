"""Choosing for a target without labels: importance-weighted validation on the source, and a table of validators."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.choose.candidates import Candidate
from headstart.choose.validators import VALIDATORS
from headstart.choose.validators.consensus import consensus, ranks_by_kind
from headstart.choose.validators.gathered import FOLDS, LEARNER_BACK, METHOD_BACK, MIXED, gathered
from headstart.delivery import Plan
from headstart.domain import Domain, Task
from headstart.errors import InputError, listed, unknown_name
from headstart.evidence.power import rows_needed
from headstart.fitting import effective_size
from headstart.instances import DomainClassifierWeighting
from headstart.readers import Vectorizer

#: The gain that the advice on labelling aims to show.
GAIN_TO_SHOW = 0.05

#: The validators that choose where nobody said. Settled with the target accuracies of Office-Caltech10 SURF and heart
#: in view: there a vote of the source (importance-weighted), of certainty or of the crowd made choices worse.
#: Probabilities have no vote for another reason too: a method's learner is as sure as it is made to be.
VOTERS: dict[Task, tuple[str, ...]] = {
    "classification": ("class-clusters", "class-silhouette", "stability"),
    "regression": ("importance-weighted", "stability", "crowd"),
}


@dataclass(frozen=True, eq=False)
class Validation:
    """What every validator says of every candidate.

    Attributes
    ----------
    names : list of str
        Candidates, the reference (source-only) first.
    validators : list of str
    scores : array of shape (candidates, validators)
        Larger is better; NaN where a validator has no score.
    voters : tuple of str
        The validators whose consensus chooses.
    effective_rows : float
        How many source rows the importance-weighted scores really rest on.
    seconds : list of float
        Time of each candidate's fits.
    """

    names: list[str]
    validators: list[str]
    scores: np.ndarray
    voters: tuple[str, ...]
    effective_rows: float
    seconds: list[float]

    def score(self, name: str, validator: str) -> float:
        """Return one validator's score of one candidate."""
        return float(self.scores[self.names.index(name), self._column(validator)])

    def consensus(self) -> np.ndarray:
        """Return the consensus of the voters on each candidate, shape (candidates,), between 0 and 1."""
        return consensus(*self._votes())

    def choice(self, by: str | None = None) -> str:
        """Return the best candidate by the consensus, or by one validator.

        The consensus leaves the reference only for a candidate that most kinds of validators rank above it; by one
        validator it is the best score, the first of equals.
        """
        if by is not None:
            column = self.scores[:, self._column(by)]
            if not np.isfinite(column).all():
                raise InputError(f"{by} can't score every candidate here; choose by another validator")
            return self.names[int(np.argmax(column))]
        votes = np.stack([np.full(len(self.names), 0.5), *ranks_by_kind(*self._votes()).values()])[1:]
        best = int(np.argmax(self.consensus()))
        for_it, against = (votes[:, best] > votes[:, 0]).sum(), (votes[:, best] < votes[:, 0]).sum()
        return self.names[best if for_it > against else 0]

    def document(self) -> dict[str, Any]:
        """Return the table in plain types."""
        return {
            "choice": self.choice(),
            "voters": list(self.voters),
            "effective_rows": self.effective_rows,
            "candidates": [
                {
                    "name": name,
                    "consensus": float(share),
                    "seconds": seconds,
                    "scores": {
                        validator: float(score) if np.isfinite(score) else None
                        for validator, score in zip(self.validators, row, strict=True)
                    },
                }
                for name, share, seconds, row in zip(
                    self.names, self.consensus(), self.seconds, self.scores, strict=True
                )
            ],
        }

    def __str__(self) -> str:
        wide = max(len(name) for name in self.names)
        lines = [f"{self.choice()} is chosen by the consensus of {', '.join(self.voters)}"]
        heads = ["consensus", *self.validators]
        lines.append(" " * wide + "  " + "  ".join(heads))
        for name, share, row in zip(self.names, self.consensus(), self.scores, strict=True):
            cells = [f"{value:.3f}" if np.isfinite(value) else "-" for value in (share, *row)]
            padded = "  ".join(cell.rjust(len(head)) for cell, head in zip(cells, heads, strict=True))
            lines.append(f"{name.ljust(wide)}  {padded}")
        return "\n".join(lines)

    def _votes(self) -> tuple[np.ndarray, list[str]]:
        at = [self._column(name) for name in self.voters]
        return self.scores[:, at], [VALIDATORS[name].kind for name in self.voters]

    def _column(self, validator: str) -> int:
        if validator not in self.validators:
            raise InputError(unknown_name("validator", validator, self.validators))
        return self.validators.index(validator)


def validate(
    candidates: Sequence[Candidate],
    source: Domain,
    target: Domain,
    plan: Plan,
    *,
    validators: Sequence[str] | None = None,
    folds: int = FOLDS,
    random_state: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Validation:
    """Score candidates by validators that need no target label.

    Each candidate is fitted once a fold, on the source without that fold and on all target rows; all validators look
    at the same predictions.

    Parameters
    ----------
    candidates : sequence of Candidate
        The reference, source-only, first.
    source, target : Domain
        With the same columns. Labels that the target has are learned from, as the candidate's method does.
    plan : Plan
    validators : sequence of str, optional
        Of `VALIDATORS`; by default all that cost no further fits, and those that vote by default. Those that are
        named all vote.
    folds : int, default 3

    Raises
    ------
    InputError
        When there is no candidate, two have one name, a validator is not known or not for the task, or the columns
        differ.
    """
    if not candidates:
        raise InputError("no method asked for works without target labels; add source-only, pooled, kmm or coral")
    if len({entry.name for entry in candidates}) < len(candidates):
        raise InputError("each candidate needs a name of its own")
    if plan.different:
        raise InputError("between different columns candidates can't be validated without target labels; label some")
    names, voters = _asked(validators, plan.task)
    labelled = source.labelled_rows()
    weights = importance_weights(labelled, target, plan, random_state)
    needs = {VALIDATORS[name].needs or "" for name in names}
    seconds = [0.0] * len(candidates)
    last = time.perf_counter()

    def timed(done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[(done - 1) * len(candidates) // total] += now - last
        last = now
        tick(done, total)

    evidence = gathered(
        candidates,
        source,
        target,
        plan,
        weights,
        also=needs & {LEARNER_BACK, METHOD_BACK, MIXED},
        n_folds=folds,
        random_state=random_state,
        tick=timed,
    )
    scores = np.array([[VALIDATORS[name](each) for name in names] for each in evidence])
    return Validation(
        [entry.name for entry in candidates], names, scores, voters, float(effective_size(weights)), seconds
    )


def _asked(validators: Sequence[str] | None, task: Task) -> tuple[list[str], tuple[str, ...]]:
    """Return the validators to be computed, and those that vote."""
    if validators is None:
        cheap = [
            name
            for name, each in VALIDATORS.items()
            if task in each.tasks and each.needs not in (LEARNER_BACK, METHOD_BACK)
        ]
        return cheap, VOTERS[task]
    for name in validators:
        if name not in VALIDATORS:
            raise InputError(unknown_name("validator", name, VALIDATORS))
    unfit = [name for name in validators if task not in VALIDATORS[name].tasks]
    if unfit or not validators:
        raise InputError(f"no validator for {task}: {listed(unfit)}; there is {listed(_asked(None, task)[0], 20)}")
    return list(validators), tuple(validators)


def importance_weights(source: Domain, target: Domain, plan: Plan, random_state: int) -> np.ndarray:
    """Return p_t(x) / p_s(x) for each source row, from a cross-fitted classifier; the mean is 1."""
    vectorizer = Vectorizer(plan.vectorizer, plan.kinds).fit([source.X, target.X])
    classifier = DomainClassifierWeighting(random_state=random_state)
    return classifier.weigh(vectorizer.transform(source.X), vectorizer.transform(target.X)).astype(float)


def rows_to_show_a_gain(disagreement: float, gain: float = GAIN_TO_SHOW) -> int | None:
    """Return the labelled target rows that would show a gain in accuracy with 95 % confidence and a chance of 80 %.

    Two models that disagree on a share p of rows differ in accuracy by a mean of per-row differences with variance
    p - gain^2; that the models vary with the labelled rows adds about a quarter to the variance of the mean.

    >>> rows_to_show_a_gain(0.2, 0.05)
    777
    """
    variance = max(disagreement - gain**2, gain * (1 - gain))
    return rows_needed(gain, float(np.sqrt(1.25 * variance)))
