"""Choosing where no gain can be proven: a target with no labelled rows, or too few to measure on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from headstart.choose import Candidate, Validation, folds_of, validate
from headstart.choose.candidates import candidate
from headstart.choose.rule import SUREST
from headstart.choose.unlabelled import importance_weights, rows_to_show_a_gain
from headstart.delivery import Plan
from headstart.domain import WORLDS, Domain
from headstart.errors import InputError, listed
from headstart.evidence import EstimatedAccuracy, estimated_accuracy
from headstart.evidence.gain import Metric, metric_for
from headstart.findings import Findings, structure_carried, with_what_moved
from headstart.fitting import source_probabilities_of
from headstart.result import Tried

#: Gains, in accuracy, for which an unlabelled target is told how many labels would show them.
GAINS_TO_SHOW = (0.10, 0.05)
#: Effective source rows below which importance-weighted scores are said to rest on little.
FEW_EFFECTIVE = 30
#: The validator whose score is the task's metric.
WEIGHTED = "importance-weighted"


@dataclass(frozen=True, eq=False)
class Unproven:
    """What is delivered without proof, why, and what can be said of it; in which metric, and with which notes."""

    choice: str
    sentence: str
    metric: Metric
    notes: list[str] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


def choose_unproven(
    candidates: list[Candidate],
    source: Domain | None,
    target: Domain,
    plan: Plan,
    metric: Metric,
    *,
    random_state: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Unproven:
    """Choose by the source and by how models behave on the target; say what could be proven with how many labels.

    Probabilities of source rows are not part of the contract: several candidates are compared by the task's first
    metric, whatever was asked for.
    """
    why = _why(plan, target)
    able = [
        c for c in candidates if not c.from_target_alone and (target.n_labelled or not c.method.needs.target_labels)
    ]
    if not able:
        raise InputError(f"{target.name} {why}, and {candidates[-1].name} needs some; label a few rows")
    if source is None or len(able) == 1:
        sentence = _sentence(plan, target, why, f"{able[0].name} is the only candidate", able[0], able[0])
        found = _findings(able[0], source, target, None, random_state)
        return Unproven(able[0].name, sentence, metric, findings=found)
    if plan.different or target.modality == "ratings":
        # Source rows can't be weighted to look like the target's: that takes shared columns.
        raise InputError(
            f"{target.name} {why}, and {'of ratings' if target.modality == 'ratings' else 'between different columns'} "
            "methods can't be compared without; name one of "
            f"{listed([c.name for c in able], 12)} with methods=[...] (--method)"
        )
    able.sort(key=lambda entry: entry.name != "source-only")
    metric, notes = metric_for(plan.task, None), []
    trial = validate(able, source, target, plan, random_state=random_state, tick=tick)
    # A few labels make a mean of methods better, and say little about which of them is best; none say nothing.
    few = target.n_labelled > 0 and SUREST in trial.names
    none = not target.n_labelled and plan.task == "classification" and SUREST in trial.names
    choice = SUREST if few or none else trial.choice()
    chosen = next(entry for entry in able if entry.name == choice)
    if trial.effective_rows < FEW_EFFECTIVE:
        notes.append(
            f"the importance-weighted scores rest on {trial.effective_rows:.0f} effective source rows: "
            "the target lies where the source has few rows, so do not trust them far"
        )
    shown = metric.show(trial.score(choice, WEIGHTED))
    why_this = f"chosen by the consensus of {', '.join(trial.voters)}"
    if few:
        why_this = "chosen as the mean of several methods"
    elif none:
        why_this = f"chosen as what serves best without labels elsewhere; the consensus here is for {trial.choice()}"
    how = f"{choice} {why_this} ({metric.name} {shown} on source rows weighted to look like the target's)"
    tried = [
        Tried(entry.name, str(entry.family), trial.score(entry.name, WEIGHTED), None, None, None, seconds)
        for entry, seconds in zip(able, trial.seconds, strict=True)
    ]
    sentence = _sentence(plan, target, why, how, chosen, able[0])
    return Unproven(choice, sentence, metric, notes, tried, _findings(chosen, source, target, trial, random_state))


def _why(plan: Plan, target: Domain) -> str:
    if target.n_labelled:
        return f"has only {target.n_labelled} labelled rows, too few to measure on"
    absent = plan.label is not None and target.label is None
    return "has no labelled rows" + (f" (no column {plan.label!r})" if absent else "")


def _sentence(plan: Plan, target: Domain, why: str, how: str, choice: Candidate, reference: Candidate) -> str:
    advice = "Label 100 target rows or more and run again to have the gain measured."
    if plan.task == "classification":
        disagreement = 0.25
        if choice is not reference:
            one, other = choice.fit(target), reference.fit(target)
            disagreement = max(disagreement, float((one.predict(target) != other.predict(target)).mean()))
        few, many = (rows_to_show_a_gain(disagreement, gain) for gain in GAINS_TO_SHOW)
        advice = f"About {few} labelled target rows would show a gain of 10 points, {many} one of 5."
    return f"a gain cannot be proven: {target.name} {why}. {how}. {advice}"


def _findings(
    choice: Candidate, source: Domain | None, target: Domain, trial: Validation | None, random_state: int
) -> Findings:
    estimated = estimate(choice, source, target, random_state)
    found = Findings(validation=trial, estimated=estimated, relations=structure_carried([choice], target))
    whole = choice.method.needs.items or target.modality in WORLDS
    return found if whole else with_what_moved(found, choice, target, random_state)


def estimate(
    choice: Candidate, source: Domain | None, target: Domain, random_state: int = 0
) -> EstimatedAccuracy | None:
    """Return the accuracy to expect, where the model gives probabilities for source rows too.

    A quarter of the labelled source rows is kept from a model like the chosen one, which is then asked about them in
    the way that it has for source rows. Their importance-weighted accuracy is only that of a model which reads rows of
    both domains alike.
    """
    plan = choice.plan
    if source is None or plan.different or plan.task != "classification" or choice.method.needs.items:
        return None
    if target.modality in WORLDS:
        return None
    labelled = source.labelled_rows()
    held = folds_of(labelled.labels, 4, random_state, classes=True) == 0
    model = candidate(choice.method, choice.learner, labelled.rows(~held), choice.plan).fit(target)
    if not model.has_probabilities or source_probabilities_of(model.predictor) is None:
        return None
    aside = labelled.rows(held)
    known = np.isin(aside.labels, model.classes_)
    aside = aside.rows(known)
    alike = not hasattr(model.predictor, "predict_source")
    weights = importance_weights(labelled, target, plan, random_state)[held][known] if alike else None
    return estimated_accuracy(
        model.predict_source_proba(aside.X),
        aside.labels,
        model.predict_proba(target),
        classes=model.classes_,
        weights=weights,
        random_state=random_state,
    )
