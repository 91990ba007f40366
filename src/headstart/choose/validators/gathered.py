"""Evidence for validators: each candidate is fitted once a fold, without a part of the source."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headstart.choose.candidates import Candidate, candidate
from headstart.choose.validators.evidence import Probes, Unlabelled
from headstart.delivery import Model, Plan
from headstart.domain import Domain
from headstart.draws import canonical_order, folds
from headstart.errors import InputError
from headstart.fitting import fit_learner

#: Parts into which the source is cut.
FOLDS = 3
#: How much of a mixture is the row that leads, as in the paper.
LEADING = 0.55
#: Evidence that costs fits of its own.
LEARNER_BACK, METHOD_BACK, MIXED = "way_back", "way_back_by_method", "probes"


def gathered(
    candidates: Sequence[Candidate],
    source: Domain,
    target: Domain,
    plan: Plan,
    weights: np.ndarray,
    *,
    also: Collection[str] = (),
    n_folds: int = FOLDS,
    random_state: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> list[Unlabelled]:
    """Return the evidence on each candidate.

    Every candidate learns from the source without a fold of its labelled rows, and from all target rows, as often as
    there are folds. Held-out source rows are predicted the way that the method has for source rows (`predict_source`).
    Probabilities of source rows are not part of a method's contract, so validators look at predictions there.

    Parameters
    ----------
    weights : array of shape (n_s,)
        p_t(x) / p_s(x) of the labelled source rows.
    also : names of evidence
        What costs more: "way_back" one fit of the learner a fold, "way_back_by_method" one of the method, "probes"
        predictions for mixed rows.
    """
    labelled, vectorizer = source.labelled_rows(), plan.fitted_on(source.X, target.X)
    Xs, Xt = vectorizer.transform(labelled.X), vectorizer.transform(target.X)
    classes = np.empty(0)
    if plan.task == "classification":
        classes = np.union1d(labelled.classes, target.classes) if target.n_labelled else labelled.classes
    of_row = folds(Xs, n_folds, random_state, labelled.labels if len(classes) else None)
    if of_row.max() < 1:
        raise InputError(f"{source.name}: too few labelled rows to hold some out; two are the least")
    n_folds = int(of_row.max()) + 1
    found: list[Unlabelled] = []
    for entry in candidates:
        at_source: dict[str, list[Any]] = {name: [None] * n_folds for name in ("held", LEARNER_BACK, METHOD_BACK)}
        at_target: list[np.ndarray] = []
        probabilities: list[np.ndarray | None] = []
        probes: list[Probes] = []
        for fold in range(n_folds):
            held = of_row == fold
            train, test = labelled.rows(~held), labelled.rows(held)
            model = candidate(entry.method, entry.learner, train, plan).fit(target)
            predicted, P = model.predictions(target)
            at_target.append(predicted)
            probabilities.append(None if P is None else _of_all(classes, model.classes_, P))
            at_source["held"][fold] = model.predict_source(test)
            if LEARNER_BACK in also:
                at_source[LEARNER_BACK][fold] = fit_learner(entry.learner, Xt, predicted).predict(Xs[held])
            if METHOD_BACK in also:
                at_source[METHOD_BACK][fold] = _carried_back(entry, target, predicted, train, plan).predict(test)
            if MIXED in also and not model.takes_items and len(classes):
                of_model = model.vectorizer.transform(target.X)
                probes.append(probed(model.predictor.predict, predicted, of_model, random_state))
            tick(len(found) * n_folds + fold + 1, n_folds * len(candidates))
        P = None if any(each is None for each in probabilities) else np.mean(np.stack(probabilities), axis=0)  # type: ignore[arg-type]
        found.append(
            Unlabelled(
                plan.task,
                labelled.labels,
                _in_place(at_source["held"], of_row),
                weights,
                _together(at_target, P, classes),
                Xt,
                classes,
                P,
                fold=of_row,
                by_fold=np.stack(at_target),
                way_back=_in_place(at_source[LEARNER_BACK], of_row) if LEARNER_BACK in also else None,
                way_back_by_method=_in_place(at_source[METHOD_BACK], of_row) if METHOD_BACK in also else None,
                probes=_stacked(probes) if probes else None,
            )
        )
    crowd = crowd_of([each.target_predicted for each in found], classes)
    return [replace(each, crowd=crowd) for each in found]


def crowd_of(predicted: Sequence[np.ndarray], classes: np.ndarray) -> np.ndarray:
    """Return the share of candidates that predict each class, shape (n, k); without classes the mean, shape (n,).

    >>> crowd_of([np.array([0, 1]), np.array([0, 0])], np.array([0, 1]))
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    if not len(classes):
        return np.asarray(np.mean(np.stack(predicted), axis=0))
    return np.asarray(np.mean([each[:, None] == classes[None, :] for each in predicted], axis=0))


def _of_all(classes: np.ndarray, known: np.ndarray, P: np.ndarray) -> np.ndarray:
    """Give a column to every class, of zeros where the model does not know it."""
    wide = np.zeros((len(P), len(classes)))
    wide[:, np.searchsorted(classes, known)] = P
    return wide


def _together(predicted: Sequence[np.ndarray], P: np.ndarray | None, classes: np.ndarray) -> np.ndarray:
    """Return what the folds' models say together: by their mean where there is one, else by vote."""
    if not len(classes):
        return np.asarray(np.mean(np.stack(predicted), axis=0))
    return np.asarray(classes[(crowd_of(predicted, classes) if P is None else P).argmax(axis=1)])


def _in_place(parts: Sequence[np.ndarray], of_row: np.ndarray) -> np.ndarray:
    """Put the folds' predictions back to their rows."""
    whole = np.empty(len(of_row), dtype=np.concatenate(parts).dtype)
    for fold, part in enumerate(parts):
        whole[of_row == fold] = part
    return whole


def _carried_back(entry: Candidate, target: Domain, predicted: np.ndarray, train: Domain, plan: Plan) -> Model:
    """Return the method's model for source rows, learned from the target with its predicted labels."""
    teaching = replace(target, y=predicted, task=plan.task)
    return candidate(entry.method, entry.learner, teaching, plan).fit(replace(train, y=None, weight=None))


def probed(predict: Callable[[Any], np.ndarray], predicted: np.ndarray, rows: Any, random_state: int) -> Probes:
    """Mix each target row with one of its own predicted class, and one of another, and ask the model.

    Parameters
    ----------
    predict : callable
        Rows of numbers into predictions.
    predicted : array of shape (n,)
        The predictions for the rows as they are.
    rows : array or sparse matrix of shape (n, d)
    """
    order = canonical_order(rows)
    order = order[np.random.default_rng(random_state).permutation(len(order))]
    by_class = order[np.argsort(predicted[order], kind="stable")]
    within = by_class.copy()
    for name in np.unique(predicted):
        of_class = predicted[by_class] == name
        within[of_class] = np.roll(by_class[of_class], 1)
    leads, follows = np.concatenate([by_class, order]), np.concatenate([within, np.roll(order, 1)])
    same = predicted[leads] == predicted[follows]
    # A row is not mixed with itself, and of the chance pairs only those of two classes are taken.
    kept = np.where(np.arange(len(leads)) < len(order), leads != follows, ~same)
    leads, follows, same = leads[kept], follows[kept], same[kept]
    if not len(leads):
        return Probes(predicted[:0], same, predicted[:0])
    mixed = LEADING * rows[leads] + (1 - LEADING) * rows[follows]
    return Probes(predicted[leads], same, np.asarray(predict(mixed)))


def _stacked(probes: Sequence[Probes]) -> Probes:
    return Probes(
        np.concatenate([each.leading for each in probes]),
        np.concatenate([each.same for each in probes]),
        np.concatenate([each.predicted for each in probes]),
    )
