"""Findings: what a run tells beyond its verdict. Where it helped, how far it can be trusted, and what moved.

Each finding is None where it does not apply: it takes labels, probabilities, source rows or several sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from headstart.catalogue import make
from headstart.choose import Candidate, SourceValues, folds_of, source_values
from headstart.choose.candidates import candidate
from headstart.domain import WORLDS, Domain, stack
from headstart.errors import NeedsError
from headstart.evidence import (
    Arrived,
    DomainMap,
    EstimatedAccuracy,
    Forgetting,
    Gain,
    HelpfulRows,
    LabelTable,
    Metric,
    Moved,
    Power,
    Reliability,
    Shift,
    SliceGain,
    arrived,
    domain_map,
    helpful_rows,
    label_table,
    measure_forgetting,
    moved,
    power_of,
    reliability,
    sliced_gains,
)
from headstart.evidence.grouped_interval import group_means
from headstart.evidence.recommendation import Recommendation, activity, recommendation_of
from headstart.evidence.structure import Structure, structure_of
from headstart.method import Family

#: Columns that gains are cut by, beside the classes: the more there are, the wider each interval must be.
MOST_SLICED = 6
#: Folds behind probabilities of rows that were not learned from.
FOLDS = 5
#: Labelled source rows below which a quarter of them would not show what was forgotten.
LEAST_TO_FORGET = 40


@dataclass(frozen=True, eq=False)
class Findings:
    """What a run tells beyond its verdict.

    Attributes
    ----------
    slices : list of SliceGain
        The gain by class and by column.
    power : Power or None
        What gain these rows could show, and how many would settle this one.
    before, after : Reliability or None
        Calibration of target-only and of the delivered model, on rows not learned from.
    forgetting : Forgetting or None
        What the transfer lost on the source.
    estimated : EstimatedAccuracy or None
        The accuracy to expect on a target without labels.
    validation : Validation or None
        What each candidate scored without target labels.
    rows : HelpfulRows or None
        Which source rows helped.
    columns : Moved or None
        How far each column moved.
    plane : DomainMap or None
        Both domains in two dimensions, before and after.
    labels : LabelTable or None
        Which source label became which target label.
    sources : SourceValues or None
        What each of several sources was worth.
    relations : Structure or None
        Which predicate took which part, and the clauses before and after.
    recommendation : Recommendation or None
        Of ratings: who and what stands in each domain, and what some users are recommended, and why.
    """

    slices: list[SliceGain] = field(default_factory=list)
    power: Power | None = None
    before: Reliability | None = None
    after: Reliability | None = None
    forgetting: Forgetting | None = None
    estimated: EstimatedAccuracy | None = None
    validation: Any = None
    rows: HelpfulRows | None = None
    columns: Moved | None = None
    plane: DomainMap | None = None
    labels: LabelTable | None = None
    sources: SourceValues | None = None
    relations: Structure | None = None
    recommendation: Recommendation | None = None

    def document(self) -> dict[str, Any]:
        """Return the findings in plain types, by the names that they have in result.json."""
        return {
            "slices": [line.document() for line in self.slices],
            "power": _told(self.power),
            "calibration": {"before": _told(self.before), "after": _told(self.after)},
            "forgetting": _told(self.forgetting),
            "estimated": _told(self.estimated),
            "validation": _told(self.validation),
            "understanding": {
                "rows": _told(self.rows),
                "columns": _told(self.columns),
                "map": _told(self.plane),
                "labels": _told(self.labels),
                "sources": _told(self.sources),
            },
            "relations": _told(self.relations),
            "recommendation": _told(self.recommendation),
        }


def _told(finding: Any) -> Any:
    return None if finding is None else finding.document()


@dataclass(frozen=True, eq=False)
class Judged:
    """A run whose verdict is known: what findings are drawn from.

    `utilities` are those of target-only and of the chosen transfer on the rows of `scored`, shape (n,) or (repeats, n).
    """

    alone: Candidate
    transfer: Candidate
    delivered: Candidate
    target: Domain
    test: Domain | None
    source: Domain | None
    metric: Metric
    gain: Gain
    shift: Shift | None
    scored: Domain
    utilities: tuple[np.ndarray, np.ndarray]
    random_state: int = 0
    n_jobs: int = 1


def look_inside(run: Judged, announce: Callable[[int, int], None] = lambda done, total: None) -> Findings:
    """Draw findings from a run that was judged on target labels.

    Where a network was trained, only those are drawn that take no further training.
    """
    if run.target.modality == "ratings":
        return look_at_ratings(run)
    found = Findings(
        slices=sliced_gains(*run.utilities, slices_in(run.scored, run.shift)),
        power=power_of(run.gain),
    )
    if any(entry.method.needs.items for entry in (run.alone, run.transfer, run.delivered)):
        return found
    if run.target.modality in WORLDS:
        before, after = calibration_of(run.alone, run), calibration_of(run.delivered, run)
        carried = structure_carried([run.transfer, run.delivered], run.target)
        return replace(found, before=before, after=after, relations=carried)
    steps: list[Callable[[Findings], Findings]] = [
        lambda so_far: replace(so_far, before=calibration_of(run.alone, run), after=calibration_of(run.delivered, run)),
        lambda so_far: replace(so_far, forgetting=forgotten(run)),
        lambda so_far: with_what_moved(so_far, run.transfer, run.target, run.random_state),
        lambda so_far: replace(so_far, sources=values_of_sources(run)),
    ]
    for done, step in enumerate(steps):
        announce(done, len(steps))
        found = step(found)
    announce(len(steps), len(steps))
    return found


def look_at_ratings(run: Judged) -> Findings:
    """Draw findings from a run on ratings: gains by how much is known of a user, and examples of what is recommended.

    In the slices a user is one row, for a user's rows are no independent observations.
    """
    clusters = run.scored.clusters
    assert clusters is not None  # noqa: S101  (rows of ratings are users')
    alone, helped = (group_means(np.atleast_2d(u).mean(axis=0), clusters) for u in run.utilities)
    users = np.unique(run.scored.X.users)
    columns = {}
    if run.test is not None:
        columns[f"rows in {run.target.name}"] = activity(users, run.target)
    elif run.target.held_together is None:
        columns[f"other rows in {run.target.name}"] = activity(users, run.target, less=1)
    if run.source is not None and run.source.X.shared in ("users", "both"):
        columns[f"rows in {run.source.name}"] = activity(users, run.source)
    predictor = run.delivered.fit(run.target).recommender
    return Findings(
        slices=sliced_gains(alone, helped, columns),
        power=power_of(run.gain),
        recommendation=recommendation_of(predictor, run.source, run.target, run.random_state),
    )


def slices_in(rows: Domain, shift: Shift | None) -> dict[str, Any]:
    """Return what gains are cut by: the class, and the columns that differ most between the domains."""
    columns: dict[str, Any] = {}
    if rows.task == "classification":
        columns[rows.label or "class"] = rows.labels
    if rows.items is not None:
        # Columns of features have no meaning of their own.
        return columns
    order = [] if shift is None else [column.column for column in shift.columns]
    if hasattr(rows.X, "columns"):
        names = order or [str(name) for name in rows.X.columns]
        return columns | {name: rows.X[name] for name in names[:MOST_SLICED] if name not in columns}
    if not isinstance(rows.X, np.ndarray):
        return columns
    names = order or [f"column {j}" for j in range(rows.X.shape[1])]
    return columns | {name: rows.X[:, int(name.removeprefix("column "))] for name in names[:MOST_SLICED]}


def calibration_of(entry: Candidate, run: Judged) -> Reliability | None:
    """Return the calibration of a candidate on test rows, or out of fold."""
    if run.target.task != "classification":
        return None
    rows = run.target.labelled_rows() if run.test is None else run.test
    if run.test is not None:
        parts = [(run.target, np.ones(len(rows), dtype=bool))]
    else:
        of_row = folds_of(rows.labels, FOLDS, run.random_state, classes=True)
        rest = run.target.rows(~run.target.labelled)
        parts = [
            (stack([rows.rows(of_row != fold), rest]) if len(rest) else rows.rows(of_row != fold), of_row == fold)
            for fold in range(int(of_row.max()) + 1)
        ]
    classes = np.unique(np.concatenate([rows.labels, run.target.labels]))
    probabilities = np.zeros((len(rows), len(classes)))
    for learned, held in parts:
        model = entry.fit(learned)
        if not model.has_probabilities:
            return None
        known = np.isin(model.classes_, classes)
        given = model.predict_proba(rows.rows(held))[:, known]
        probabilities[np.ix_(held, np.searchsorted(classes, model.classes_[known]))] = given
    total = probabilities.sum(axis=1, keepdims=True)
    if (total == 0).any():
        return None
    return reliability(probabilities / total, rows.labels, classes=classes, random_state=run.random_state)


def forgotten(run: Judged) -> Forgetting | None:
    """Return what the transfer lost on the source, where it can be asked about source rows."""
    entry, source = run.transfer, run.source
    if source is None or run.metric.name == "log loss" or source.n_labelled < LEAST_TO_FORGET:
        return None

    def fitted(method: Any) -> Callable[[Domain], Any]:
        return lambda part: candidate(method, entry.learner, part, entry.plan).fit(run.target)

    try:
        return measure_forgetting(
            fitted(make("source-only")), fitted(entry.method), source, run.metric, random_state=run.random_state
        )
    except NeedsError:
        return None


def with_what_moved(so_far: Findings, entry: Candidate, target: Domain, random_state: int) -> Findings:
    """Add what can be seen of the source rows as they arrive; of parameters that travel, nothing can."""
    found = rows_that_arrive(entry, target)
    if found is None:
        return so_far
    feature_based = entry.method.family == Family.FEATURES
    columns = None
    if feature_based and not entry.plan.different:
        columns = moved(found.method, found.Xs, found.Xt, columns=found.columns, random_state=random_state)
    plane = None
    if not entry.plan.different:
        plane = domain_map(
            found.Xs,
            found.Xt,
            found.ys,
            target.y,
            after=(found.Zs, found.Zt) if feature_based else None,
            weight=None if feature_based else found.ws,
            random_state=random_state,
        )
    labels = label_table(found.method)
    rows = helpful_rows(entry, target, random_state=random_state) if target.n_labelled >= FOLDS else None
    return replace(so_far, rows=rows, columns=columns, plane=plane, labels=labels)


def rows_that_arrive(entry: Candidate, target: Domain) -> Arrived | None:
    """Return the source rows as they arrive, or None where none does."""
    try:
        return arrived(entry, target)
    except NeedsError:
        return None


def values_of_sources(run: Judged) -> SourceValues | None:
    """Return what each of several sources was worth, carried by pooling: the cheapest way."""
    if run.source is None or run.transfer.plan.different:
        return None
    sources = run.source.parts()
    if len(sources) < 2:
        return None
    try:
        return source_values(
            sources,
            run.target,
            run.transfer.plan,
            run.transfer.learner,
            run.metric,
            n_jobs=run.n_jobs,
            random_state=run.random_state,
        )
    except NeedsError:
        return None


def structure_carried(entries: Sequence[Candidate], target: Domain) -> Structure | None:
    """Return the structure that the first relation-based of some candidates carries, or None where none is."""
    for entry in entries:
        if entry.method.family == Family.RELATIONS:
            return structure_of(entry.fit(target).predictor)
    return None
