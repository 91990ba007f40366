"""The whole road: look, shortlist, try, verdict, deliver; and its two halves, learn and carry."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from headstart.catalogue import make
from headstart.choose import (
    GUARDS,
    Candidate,
    Decision,
    Trial,
    decide,
    shortlist,
    try_all,
    try_without_labels,
)
from headstart.choose.candidates import TARGET_ONLY, from_parcel
from headstart.choose.unlabelled import rows_to_show_a_gain
from headstart.delivery import Model, Parcel, Plan, pack, read_parcel, versions, without_rows
from headstart.domain import Domain, Task, require_classes, require_learnable, stack
from headstart.errors import InputError, unknown_name
from headstart.evidence import Curve, Gain, Metric, Shift, learning_curve, measure_shift
from headstart.evidence.gain import metric_for, paired_interval
from headstart.learners import make_learner
from headstart.method import Method
from headstart.readers import align
from headstart.result import Result, Tried

#: Labelled target rows below which no gain is measured.
LEAST_LABELLED = 4
BUDGET_UNITS = {"s": 1, "m": 60, "h": 3600}

#: (what is going on, how much is done, of how much)
Progress = Callable[[str, int, int], None]


def _silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


def run(
    source: Domain | Sequence[Domain],
    target: Domain,
    *,
    test: Domain | None = None,
    learner: Any = "auto",
    methods: Sequence[str | Method] | None = None,
    metric: str | None = None,
    guard: str = "strict",
    vectorizer: Any = "auto",
    folds: int = 5,
    repeats: int = 5,
    curve_draws: int = 5,
    budget: str | float | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: Progress = _silent,
) -> Result:
    """Find out whether and how a source helps a target, and deliver the model.

    Look (how far apart are they?), shortlist (which methods can work here?), try (all on the same repeated splits
    of the labelled target rows), verdict (the gain over target-only with an interval), deliver (what the guard
    allows). A target without labels is told so: candidates are then chosen by importance-weighted validation on
    the source.

    Parameters
    ----------
    source : Domain or sequence of Domain
        Labelled source data; several sources are stacked.
    target : Domain
        The target; labels may be missing in part or altogether.
    test : Domain, optional
        More labelled target rows, never used to learn or to choose. When given, the verdict is measured on them.
    learner : str or estimator, default "auto"
        "auto" (logistic or ridge regression), "logistic", "ridge", "svm", "forest", "boosting", or a scikit-learn
        estimator.
    methods : sequence of str or Method, optional
        Candidates; by default the whole catalogue. See `headstart.methods()`.
    metric : str, optional
        "accuracy" or "log loss"; "mean absolute error" or "mean squared error".
    guard : {"strict", "lenient", "off"}
        strict: target-only is delivered unless the transfer is shown to help. lenient: a transfer that looks like
        helping and is not shown to hurt is delivered. off: the best-looking transfer is.
    vectorizer : "auto", "passthrough" or transformer
        How rows become numbers; see `headstart.readers.Vectorizer`.
    folds, repeats : int
        Cross-validation on the labelled target rows.
    curve_draws : int
        Draws behind each point of the learning curve; 0 leaves the curve out.
    budget : str or float, optional
        Time for trying, such as "5m" or seconds; no further repeat begins after it.
    random_state : int
        The same number gives the same result.
    n_jobs : int
        Fits at the same time (threads).
    progress : callable
        Called with (what is going on, done, total).

    Returns
    -------
    Result

    Raises
    ------
    InputError, NeedsError
        When data or settings don't allow a run.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart import Domain, run
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 5))
    >>> y = (X @ [1, 1, 1, 0, 0] + 0.3 * rng.normal(size=400) > 0).astype(int)
    >>> result = run(Domain(X[:360], y[:360], "source"), Domain(X[360:], y[360:], "target"), curve_draws=0)
    >>> result.verdict in ("helps", "no evidence")
    True
    """
    sources = [source] if isinstance(source, Domain) else list(source)
    _require_domains(sources, target, test)
    aligned = align([*sources, *([] if test is None else [test])], target)
    merged = stack(aligned.sources[: len(sources)])
    target = aligned.target
    merged, target, task = _agree_on_task(merged, target)
    test = None if test is None else replace(aligned.sources[-1], task=task).labelled_rows()
    require_learnable(merged, target)
    plan = Plan(task, aligned.kinds, vectorizer, merged.label or target.label)
    road = _Road(
        plan,
        metric_for(task, metric),
        guard,
        folds,
        repeats,
        curve_draws,
        budget,
        random_state,
        n_jobs,
        progress,
    )
    with road.noting():
        road.notes.extend(aligned.notes)
        learner = make_learner(learner, task, random_state)
        candidates, left_out = shortlist(_seeded(methods, random_state), learner, merged, target, plan)
        progress("look", 0, 1)
        shift = measure_shift(
            merged, target, kinds=plan.kinds, vectorizer=vectorizer, random_state=random_state
        )
        progress("look", 1, 1)
        return road.travel(candidates, left_out, target, test, shift, learner, source=merged, sources=sources)


def learn(
    source: Domain | Sequence[Domain],
    method: str | Method = "regular-transfer",
    *,
    learner: Any = "auto",
    vectorizer: Any = "auto",
    allow_source_rows: bool = False,
    random_state: int = 0,
) -> Parcel:
    """Run the first half of the road at the source: learn the source task and extract what may travel.

    Parameters
    ----------
    source : Domain or sequence of Domain
    method : str or Method
        One that needs no source rows later: "regular-transfer" or "source-only".
    allow_source_rows : bool
        Some learners keep rows inside (support vectors, neighbours). That is refused unless allowed here.

    Returns
    -------
    Parcel
        `parcel.save("site.knowledge")`, then `headstart.carry("site.knowledge", target)` elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart import Domain, carry, learn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(340, 5))
    >>> y = (X @ [1, 1, 1, 0, 0] > 0).astype(int)
    >>> parcel = learn(Domain(X[:300], y[:300], "here"))
    >>> parcel.knowledge
    Knowledge(RegularTransfer: W (1, 5), b (1,); no source row)
    >>> result = carry(parcel, Domain(X[300:], y[300:], "there"), curve_draws=0)
    >>> result.choice
    'regular-transfer'
    """
    sources = [source] if isinstance(source, Domain) else list(source)
    aligned = align(sources[:-1], sources[-1])
    merged = stack([*aligned.sources, aligned.target])
    if not merged.n_labelled or merged.task is None:
        raise InputError(f"{merged.name}: all labels are missing; a source needs labelled rows")
    require_classes(merged.task, merged.labels, replace(merged, y=None))
    chosen = make(method)
    if chosen.needs.source_rows or not chosen.needs.source_labels:
        raise InputError(
            f"{type(chosen).__name__} {'needs the source rows at the target' if chosen.needs.source_rows else 'takes nothing from the source'}; "
            "methods whose knowledge can travel: regular-transfer, source-only"
        )
    plan = Plan(merged.task, aligned.kinds, vectorizer, merged.label)
    parcel = pack(clone(chosen), make_learner(learner, merged.task, random_state), merged, plan)
    return without_rows(parcel, merged, allow=allow_source_rows)


def carry(
    knowledge: str | Path | Parcel,
    target: Domain,
    *,
    test: Domain | None = None,
    metric: str | None = None,
    guard: str = "strict",
    folds: int = 5,
    repeats: int = 5,
    curve_draws: int = 5,
    budget: str | float | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: Progress = _silent,
) -> Result:
    """Run the second half of the road at the target: the same result as `run` with that method, without the source.

    Parameters
    ----------
    knowledge : path or Parcel
        What `learn` made, or the file it was saved in.
    target : Domain
        At least four labelled rows are needed to measure a gain.

    Returns
    -------
    Result
        Without a shift: the source rows are not here to compare with.
    """
    parcel = knowledge if isinstance(knowledge, Parcel) else read_parcel(knowledge, make)
    plan = parcel.plan
    _require_domains([], target, test)
    target = _with_columns_of(parcel, target)
    test = None if test is None else replace(_with_columns_of(parcel, test), task=plan.task).labelled_rows()
    classes = parcel.knowledge.facts.get("classes") or getattr(
        parcel.knowledge.parts.get("model"), "classes_", []
    )
    require_classes(plan.task, np.array(classes), target)
    road = _Road(
        plan,
        metric_for(plan.task, metric),
        guard,
        folds,
        repeats,
        curve_draws,
        budget,
        random_state,
        n_jobs,
        progress,
    )
    with road.noting():
        road.notes.append(f"the rows of {parcel.source} are not here, so the shift was not measured")
        candidates = [from_parcel(parcel, plan)]
        if target.n_labelled:
            (alone, *_), _ = shortlist([TARGET_ONLY], parcel.learner, target, target, plan)
            candidates.insert(0, alone)
        return road.travel(candidates, {}, target, test, None, parcel.learner, sources=[parcel.source])


def _require_domains(sources: list[Domain], target: Domain, test: Domain | None) -> None:
    for domain in (*sources, target, *([] if test is None else [test])):
        if not isinstance(domain, Domain):
            raise InputError(
                f"run takes domains, not {type(domain).__name__}; make one with headstart.read(...)"
            )
        if not len(domain):
            raise InputError(f"{domain.name}: has no rows")
    if test is not None and not test.n_labelled:
        raise InputError(f"{test.name}: the test rows have no labels; there is nothing to measure on")
    names = [domain.name for domain in (*sources, target)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two domains are called {name!r}; name them apart (read(..., name=...))")


def _agree_on_task(source: Domain, target: Domain) -> tuple[Domain, Domain, Task]:
    """Let the source say what the task is where the target alone can't."""
    if source.task is None:
        raise InputError(f"{source.name}: all labels are missing; a source needs labelled rows")
    if target.n_labelled and target.task != source.task and target.labels.dtype.kind in "fiu":
        # A few numbers may look like classes where all numbers of the source do not.
        target = replace(target, task=source.task)
    return source, replace(target, task=target.task or source.task), source.task


def _with_columns_of(parcel: Parcel, target: Domain) -> Domain:
    kinds = parcel.plan.kinds
    target = replace(target, task=parcel.plan.task)
    if kinds is None:
        return target
    if not hasattr(target.X, "columns"):
        raise InputError(f"{target.name}: the knowledge is about a table with named columns; give one")
    lost = [name for name in kinds if name not in target.X.columns]
    if lost:
        raise InputError(unknown_name("column", lost[0], target.X.columns, target.name))
    return target.with_rows(target.X[list(kinds)])


def _seeded(methods: Sequence[str | Method] | None, random_state: int) -> Sequence[str | Method] | None:
    """Give methods without a random_state the run's."""
    if methods is None:
        return None
    seeded = []
    for method in methods:
        made = clone(make(method))
        if made.get_params().get("random_state", 0) is None:
            made.set_params(random_state=random_state)
        seeded.append(made)
    return seeded


def _seconds(budget: str | float | None) -> float:
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


class _Road:
    """From candidates to the result: what `run` and `carry` have in common."""

    def __init__(
        self,
        plan: Plan,
        metric: Metric,
        guard: str,
        folds: int,
        repeats: int,
        curve_draws: int,
        budget: str | float | None,
        random_state: int,
        n_jobs: int,
        progress: Progress,
    ) -> None:
        if guard not in GUARDS:
            raise InputError(unknown_name("guard", guard, GUARDS))
        if folds < 2 or repeats < 1:
            raise InputError(f"folds must be 2 or more and repeats 1 or more, not {folds} and {repeats}")
        self.plan, self.metric, self.guard = plan, metric, guard
        self.folds, self.repeats, self.curve_draws = folds, repeats, curve_draws
        self.random_state, self.n_jobs, self.progress = random_state, n_jobs, progress
        self.start = time.monotonic()
        self.deadline = self.start + _seconds(budget)
        self.budget = budget
        self.notes: list[str] = []

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Turn warnings into notes of the result."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        self.notes.extend(dict.fromkeys(_first_line(item) for item in caught))

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
        curve, gain = None, None
        if len(by_name) < len(candidates):
            raise InputError("each method can be tried once in a run; give each name once")
        if target.n_labelled >= LEAST_LABELLED and len(candidates) < 2:
            raise InputError("target-only alone is no transfer; name a method that transfers")
        if target.n_labelled >= LEAST_LABELLED:
            trial = self._try(candidates, target)
            choice = trial.choice()
            gain = trial.gain_of_choice() if test is None else None
            tried = _table(trial, by_name)
            if gain is None and test is not None:
                gain = self._gain_on(test, by_name[TARGET_ONLY].fit(target), by_name[choice].fit(target))
            assert gain is not None  # noqa: S101
            decision = decide(gain, choice, self.guard)
            curve = self._curve(by_name[TARGET_ONLY], by_name[choice], target, test)
            verdict, sentence = gain.verdict, _sentence(gain, curve, decision, choice)
        else:
            choice, tried, sentence = self._without_labels(candidates, source, target)
            verdict, decision = "cannot be proven", Decision(choice, "chosen without target labels")
        self.progress("deliver", 0, 1)
        model, steps = by_name[decision.delivered].fit_timed(target)
        self.progress("deliver", 1, 1)
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
            model=_with_card(model, by_name[decision.delivered], verdict),
            steps=steps,
            domains={
                "sources": [_describe(domain) for domain in sources],
                "target": _describe(target),
                "test": None if test is None else _describe(test),
                "columns": target.X.shape[1],
                "classes": target.classes.tolist()
                if target.task == "classification" and target.n_labelled
                else None,
            },
            settings=self._settings(learner, candidates),
            versions=versions(),
            target=target,
            notes=self.notes,
            seconds=time.monotonic() - self.start,
        )

    def _try(self, candidates: list[Candidate], target: Domain) -> Trial:
        trial = try_all(
            candidates,
            target,
            self.metric,
            folds=self.folds,
            repeats=self.repeats,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            deadline=self.deadline,
            tick=self.tick("try"),
        )
        if len(trial.folds) < self.repeats:
            self.notes.append(f"the budget ended trying after {len(trial.folds)} of {self.repeats} repeats")
        return trial

    def _gain_on(self, test: Domain, alone: Model, transfer: Model) -> Gain:
        """Measure the gain of one model over another on rows that neither has seen the labels of."""
        without = self.metric.utility(alone, test.X, test.labels)
        with_source = self.metric.utility(transfer, test.X, test.labels)
        mean, low, high = paired_interval(with_source - without)
        how = f"{len(test)} labelled test rows, never used to learn or choose; paired interval over rows"
        return Gain(
            self.metric.name,
            float(without.mean()),
            float(with_source.mean()),
            mean,
            low,
            high,
            how,
            len(test),
        )

    def _curve(
        self, alone: Candidate, transfer: Candidate, target: Domain, test: Domain | None
    ) -> Curve | None:
        if not self.curve_draws or target.n_labelled < 2 * LEAST_LABELLED:
            return None
        return learning_curve(
            alone,
            transfer,
            target,
            self.metric,
            test=test,
            draws=self.curve_draws,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            tick=self.tick("learning curve"),
        )

    def _without_labels(
        self, candidates: list[Candidate], source: Domain | None, target: Domain
    ) -> tuple[str, list[Tried], str]:
        """Choose among candidates that need no target labels, and say what could be proven with how many."""
        why = (
            "has no labelled rows" if not target.n_labelled else f"has only {target.n_labelled} labelled rows"
        )
        open_ones = [candidate for candidate in candidates if not candidate.method.needs.target_labels]
        if source is None or len(open_ones) == 1:
            if not open_ones:
                raise InputError(
                    f"{target.name} {why}, and {candidates[-1].name} needs some; label a few rows"
                )
            choice, tried = open_ones[0].name, []
            estimate = f"{choice} is the only candidate"
            reference = choice
        else:
            open_ones.sort(key=lambda candidate: candidate.name != "source-only")
            # Probabilities of source rows are not part of the contract: what is compared is the task's first metric.
            self.metric = metric = metric_for(self.plan.task, None)
            trial = try_without_labels(
                open_ones,
                source,
                target,
                self.plan,
                metric,
                random_state=self.random_state,
                tick=self.tick("try"),
            )
            choice, reference = trial.choice(), trial.names[0]
            tried = [
                Tried(c.name, str(c.family), score, None, None, None, None)
                for c, score in zip(open_ones, trial.scores, strict=True)
            ]
            shown = metric.show(trial.scores[trial.names.index(choice)])
            estimate = f"{choice} chosen by importance-weighted source validation ({metric.name} {shown} if only covariates shift)"
            if trial.effective_rows < 30:
                self.notes.append(
                    f"the importance-weighted scores rest on {trial.effective_rows:.0f} effective source rows: "
                    "the target lies where the source has few rows, so do not trust them far"
                )
        advice = self._advice(choice, reference, {c.name: c for c in open_ones}, target)
        return choice, tried, f"a gain cannot be proven: {target.name} {why}. {estimate}. {advice}"

    def _advice(self, choice: str, reference: str, by_name: dict[str, Candidate], target: Domain) -> str:
        if self.plan.task == "regression":
            return "Label 100 target rows or more and run again to have the gain measured."
        disagreement = 0.25
        if choice != reference:
            one, other = by_name[choice].fit(target), by_name[reference].fit(target)
            disagreement = max(disagreement, float((one.predict(target.X) != other.predict(target.X)).mean()))
        rows = rows_to_show_a_gain(disagreement, 0.05)
        few = rows_to_show_a_gain(disagreement, 0.10)
        return f"About {few} labelled target rows would show a gain of 10 points, {rows} one of 5."

    def _settings(self, learner: Any, candidates: list[Candidate]) -> dict[str, Any]:
        return {
            "random_state": self.random_state,
            "learner": repr(learner),
            "metric": self.metric.name,
            "guard": self.guard,
            "vectorizer": self.plan.vectorizer
            if isinstance(self.plan.vectorizer, str)
            else repr(self.plan.vectorizer),
            "folds": self.folds,
            "repeats": self.repeats,
            "curve_draws": self.curve_draws,
            "budget": self.budget,
            "methods": {candidate.name: repr(candidate.method) for candidate in candidates},
        }


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
        known = name != TARGET_ONLY
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


def _sentence(gain: Gain, curve: Curve | None, decision: Decision, choice: str) -> str:
    """Say the verdict in one line."""
    if gain.verdict == "helps":
        worth = f", {curve}" if curve is not None and curve.worth is not None else ""
        return f"transfer helps: {gain}{worth}; {decision.delivered} is delivered"
    lead = "transfer hurts" if gain.verdict == "hurts" else "no evidence that transfer helps"
    more = ""
    if gain.rows_to_settle is not None and gain.verdict == "no evidence":
        more = f"; about {gain.rows_to_settle} labelled rows would settle a gain of this size"
    return f"{lead}: {gain}{more}; {decision.delivered} is delivered"


def _with_card(model: Model, candidate: Candidate, verdict: str) -> Model:
    return replace(model, card={**model.card, "name": candidate.name, "verdict": verdict})
