"""From candidates to the result: try, judge, deliver. What `run` and `carry` have in common."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from headstart.catalogue import name_of
from headstart.choose import GUARDS, Candidate, Decision, Kept, Trial, decide, search
from headstart.choose.candidates import TARGET_ONLY, with_other_settings
from headstart.choose.search import Searched
from headstart.delivery import Model, Plan, versions
from headstart.domain import WORLDS, Domain
from headstart.errors import InputError, listed, unknown_name
from headstart.evidence import Curve, Gain, Metric, Shift, gain_on_rows, learning_curve
from headstart.findings import Findings, Judged, look_inside
from headstart.method import STEPS
from headstart.result import Result, Tried
from headstart.unproven import choose_unproven

#: Labelled target rows below which candidates are not compared on them.
LEAST_LABELLED = 4
#: Labelled target rows below which no gain is told from them alone: with fewer, the interval of a source that is no
#: use leaves out zero more often than it should.
LEAST_TO_PROVE = 12
#: How often cross-validation is repeated, and draws behind each point of a curve, where nobody said.
REPEATS, CURVE_DRAWS = 5, 5
#: The same where each fit trains a network.
NETWORK_REPEATS = 1
BUDGET_UNITS = {"s": 1, "m": 60, "h": 3600}

#: (what is going on, how much is done, of how much)
Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


class Road:
    """From candidates to the result: what `run` and `carry` have in common."""

    def __init__(
        self,
        plan: Plan,
        metric: Metric,
        guard: str,
        folds: int,
        repeats: int | None,
        curve_draws: int | None,
        budget: str | float | None,
        random_state: int,
        n_jobs: int,
        progress: Progress,
        *,
        trials: int = 1,
        kept: Kept | None = None,
    ) -> None:
        if guard not in GUARDS:
            raise InputError(unknown_name("guard", guard, GUARDS))
        if folds < 2 or (repeats is not None and repeats < 1):
            raise InputError(f"folds must be 2 or more and repeats 1 or more, not {folds} and {repeats}")
        if trials < 1:
            raise InputError(f"trials must be 1 or more, not {trials}")
        self.plan, self.metric, self.guard = plan, metric, guard
        self.trials, self.kept = trials, kept
        self.folds, self.repeats, self.curve_draws = folds, repeats, curve_draws
        self.random_state, self.n_jobs, self.progress = random_state, n_jobs, progress
        self.start = time.monotonic()
        self.seconds, self.budget = seconds_of(budget), budget
        self.notes: list[str] = []

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Turn warnings into notes of the result, and give each fit one BLAS thread.

        The fits are small, so more threads gain little and get in each other's way; and the result does not
        depend on how many there are.
        """
        with (
            threadpool_limits(1),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            yield
        self.notes.extend(once_each([_first_line(item) for item in caught]))

    def tick(self, stage: str) -> Callable[[int, int], None]:
        """Return a progress callback for one stage."""
        return lambda done, total: self.progress(stage, done, total)

    def travel(
        self,
        candidates: list[Candidate],
        left_out: dict[str, str],
        target: Domain,
        test: Domain | None,
        shift: Shift | None,
        learner: Any,
        *,
        source: Domain | None = None,
        sources: Sequence[Domain | str],
    ) -> Result:
        """Try, judge, deliver."""
        by_name = {candidate.name: candidate for candidate in candidates}
        verdict: str
        curve, gain, findings = None, None, Findings()
        self._take_time_for(candidates)
        if len(by_name) < len(candidates):
            raise InputError("each method can be tried once in a run; give each name once")
        measurable = target.n_labelled >= (LEAST_TO_PROVE if test is None else LEAST_LABELLED)
        if measurable and all(candidate.from_target_alone for candidate in candidates):
            raise InputError("target-only alone is no transfer; name a method that transfers")
        if measurable:
            searched = self._search(candidates, source, target)
            candidates, left_out = searched.candidates, {**left_out, **searched.left_out}
            by_name = {candidate.name: candidate for candidate in candidates}
            trial = self._best_alone_first(searched.trial, by_name)
            tried = _table(trial, by_name)
            # A transfer that gains over the best without the source gains over each.
            trial = trial.only([TARGET_ONLY, *(n for n in trial.names if not by_name[n].from_target_alone)])
            choice = trial.choice()
            alone, transfer = by_name[TARGET_ONLY], by_name[choice]
            if test is None:
                scored, utilities = (
                    target.labelled_rows(),
                    (trial.utilities_of(TARGET_ONLY), trial.utilities_of(choice)),
                )
                gain = trial.gain_of_choice()
            else:
                scored, utilities = test, self._utilities_on(test, alone.fit(target), transfer.fit(target))
                gain = gain_on_rows(self.metric, *utilities, self._how_on(test), test.clusters)
            decision = decide(gain, choice, self.guard)
            curve = self._curve(alone, transfer, target, test)
            judged = Judged(
                alone,
                transfer,
                by_name[decision.delivered],
                target,
                test,
                source,
                self.metric,
                gain,
                shift,
                scored,
                utilities,
                self.random_state,
                self.n_jobs,
            )
            findings = look_inside(judged, self.tick("look inside"))
            verdict, sentence = gain.verdict, _sentence(gain, curve, decision, tested=test is not None)
        else:
            unproven = choose_unproven(
                candidates,
                source,
                target,
                self.plan,
                self.metric,
                random_state=self.random_state,
                tick=self.tick("try"),
            )
            choice, tried, sentence = unproven.choice, unproven.tried, unproven.sentence
            findings, self.metric = unproven.findings, unproven.metric
            self.notes.extend(unproven.notes)
            verdict, decision = "cannot be proven", Decision(choice, "chosen without target labels")
        model, steps = by_name[decision.delivered].fit_timed(
            target, lambda step: self.progress("deliver", STEPS.index(step), len(STEPS))
        )
        self.progress("deliver", len(STEPS), len(STEPS))
        return Result(
            verdict=verdict,
            sentence=sentence,
            gain=gain,
            decision=decision,
            choice=choice,
            metric=self.metric.name,
            tried=tried,
            left_out=left_out,
            shift=shift,
            curve=curve,
            findings=findings,
            model=_with_card(model, by_name[decision.delivered], verdict),
            steps=steps,
            domains={
                "sources": [_describe(domain) for domain in sources],
                "target": _describe(target),
                "test": None if test is None else _describe(test),
                "columns": target.X.shape[1],
                "classes": target.classes.tolist() if target.task == "classification" and target.n_labelled else None,
            },
            settings=self._settings(learner, candidates),
            versions=versions(),
            target=target,
            notes=self.notes,
            seconds=time.monotonic() - self.start,
        )

    def _take_time_for(self, candidates: list[Candidate]) -> None:
        """Settle how much is repeated where nobody said: less where each fit trains a network."""
        trained = any(candidate.method.needs.items for candidate in candidates)
        if self.repeats is None:
            self.repeats = NETWORK_REPEATS if trained else REPEATS
        if self.curve_draws is None:
            self.curve_draws = 0 if trained else CURVE_DRAWS

    def _best_alone_first(self, trial: Trial, by_name: dict[str, Candidate]) -> Trial:
        """Call the best of what was learned from the target alone target-only, and let it come first."""
        alone = [name for name in trial.names if by_name[name].from_target_alone]
        best = max(alone, key=trial.score)
        if best == TARGET_ONLY:
            return trial
        strategy = name_of(by_name[best].method)
        self.notes.append(f"target-only is {strategy} on the target's labels: the best without the source")
        other = f"{TARGET_ONLY}, features"
        by_name[other], by_name[TARGET_ONLY] = by_name[TARGET_ONLY], by_name.pop(best)
        called = {best: TARGET_ONLY, TARGET_ONLY: other}
        order = [best, *(name for name in trial.names if name != best)]
        return trial.only(order).renamed([called.get(name, name) for name in order])

    def _search(self, candidates: list[Candidate], source: Domain | None, target: Domain) -> Searched:
        repeats = self.repeats or REPEATS
        found = search(
            candidates,
            target,
            self.metric,
            folds=self.folds,
            repeats=repeats,
            others=lambda entry: [] if source is None else with_other_settings(entry, source, self.trials),
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            seconds=self.seconds - (time.monotonic() - self.start),
            kept=self.kept,
            tick=self.tick("try"),
        )
        made = len(found.trial.folds)
        if made < repeats:
            self.notes.append(f"the budget ended trying after {made} of {repeats} repeats")
        fewer = [name for name, repeats_of in found.repeats.items() if repeats_of < made]
        if fewer:
            self.notes.append(
                f"{len(fewer)} of {len(found.candidates)} candidates were not tried further after the first repeats: "
                f"{listed(fewer, 6)}"
            )
        return found

    def _utilities_on(self, test: Domain, alone: Model, transfer: Model) -> tuple[np.ndarray, np.ndarray]:
        """Return what each test row, whose label no model has seen, says of each model."""
        return self.metric.utility(alone, test, test.labels), self.metric.utility(transfer, test, test.labels)

    def _how_on(self, test: Domain) -> str:
        if test.clusters is not None:
            users = int(test.clusters.max()) + 1
            return f"{len(test)} test rows of {users} users, never used to learn or choose; paired interval over users"
        interval = "adjusted Wald interval" if self.metric.name == "accuracy" else "paired interval"
        return f"{len(test)} labelled test rows, never used to learn or choose; {interval} over rows"

    def _curve(self, alone: Candidate, transfer: Candidate, target: Domain, test: Domain | None) -> Curve | None:
        if not self.curve_draws or target.n_labelled < 2 * LEAST_LABELLED:
            return None
        return learning_curve(
            alone,
            transfer,
            target,
            self.metric,
            # Test rows of another world can't join those that are learned from.
            test=None if target.modality in WORLDS else test,
            draws=self.curve_draws,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            tick=self.tick("learning curve"),
        )

    def _settings(self, learner: Any, candidates: list[Candidate]) -> dict[str, Any]:
        return {
            "random_state": self.random_state,
            "learner": repr(learner),
            "metric": self.metric.name,
            "guard": self.guard,
            "spaces": "different" if self.plan.different else "same",
            "vectorizer": self.plan.vectorizer if isinstance(self.plan.vectorizer, str) else repr(self.plan.vectorizer),
            "folds": self.folds,
            "repeats": self.repeats,
            "curve_draws": self.curve_draws,
            "budget": self.budget,
            "trials": self.trials,
            "methods": {candidate.name: repr(candidate.method) for candidate in candidates},
        }


def seconds_of(budget: str | float | None) -> float:
    """Read a time such as "90s", "5m", "1h" or 90; without one there is no end.

    >>> seconds_of("5m"), seconds_of(90)
    (300.0, 90.0)
    """
    if budget is None:
        return float("inf")
    text = str(budget).strip().lower()
    number, unit = (text[:-1], text[-1]) if text[-1:] in BUDGET_UNITS else (text, "s")
    try:
        seconds = float(number) * BUDGET_UNITS[unit]
    except ValueError:
        raise InputError(f"budget must be a time such as '90s', '5m' or '1h', not {budget!r}") from None
    if not seconds > 0:
        raise InputError(f"budget must be more than zero, not {budget!r}")
    return seconds


def once_each(lines: Sequence[str]) -> list[str]:
    """Keep the first of the lines that differ in their figures only, and say how many there were.

    >>> once_each(["3 of 60 rows carry 95%", "no gap", "4 of 61 rows carry 95%", "no gap"])
    ['3 of 60 rows carry 95% (2 fits, the figures of the first)', 'no gap']
    """
    alike: dict[str, list[str]] = {}
    for line in lines:
        alike.setdefault(re.sub(r"\d[\d.,]*", "#", line), []).append(line)
    return [
        found[0] + (f" ({len(found)} fits, the figures of the first)" if len(set(found)) > 1 else "")
        for found in alike.values()
    ]


def _first_line(caught: warnings.WarningMessage) -> str:
    return str(caught.message).strip().splitlines()[0]


def _describe(domain: Domain | str) -> dict[str, Any]:
    if isinstance(domain, str):
        return {"name": domain, "rows": None, "labelled": None}
    return {"name": domain.name, "rows": len(domain), "labelled": domain.n_labelled}


def _table(trial: Trial, by_name: dict[str, Candidate]) -> list[Tried]:
    lines = []
    for name, seconds in zip(trial.names, trial.seconds, strict=True):
        gain = trial.gain(name)
        known = not by_name[name].from_target_alone
        lines.append(
            Tried(
                name,
                str(by_name[name].family),
                trial.score(name),
                gain.gain if known else None,
                gain.low if known else None,
                gain.high if known else None,
                seconds,
            )
        )
    return lines


def _sentence(gain: Gain, curve: Curve | None, decision: Decision, *, tested: bool) -> str:
    """Say the verdict in one line."""
    if gain.verdict == "helps":
        worth = f", {curve}" if curve is not None and curve.worth is not None else ""
        return f"transfer helps: {gain}{worth}; {decision.delivered} is delivered"
    lead = "transfer hurts" if gain.verdict == "hurts" else "no evidence that transfer helps"
    more = ""
    if gain.rows_to_settle is not None and gain.verdict == "no evidence":
        rows = f"about {gain.rows_to_settle}" if gain.rows_to_settle < 100_000 else "more than 100,000"
        more = f"; {rows} labelled {'test ' if tested else ''}rows would settle a gain of this size"
    return f"{lead}: {gain}{more}; {decision.delivered} is delivered"


def _with_card(model: Model, candidate: Candidate, verdict: str) -> Model:
    return replace(model, card={**model.card, "name": candidate.name, "verdict": verdict})
