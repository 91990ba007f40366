"""The labels of both ends of a mapping: what they are, as numbers, and how g is learned from those that meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.domain import known_labels, missing, task_of
from headstart.errors import InputError
from headstart.inputs import labels_of
from headstart.mapping.descent import Labels, Problem
from headstart.mapping.label_maps import LabelMap, LinearLabelMap, fit_classes, fit_quantities


@dataclass(frozen=True, eq=False)
class ClassStep:
    """g as the descent uses it: a matrix over one-hot labels, and what the matrix itself is charged."""

    matrix: np.ndarray
    penalty: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the expected target labels of source labels."""
        return values @ self.matrix


@dataclass(frozen=True, eq=False)
class LineStep:
    """g as the descent uses it: a line for one column of quantities."""

    line: LinearLabelMap
    penalty: float = 0.0

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the target labels of source labels."""
        return self.line.transform(values)


@dataclass(frozen=True, eq=False)
class LabelEnds:
    """The labels of both domains.

    Parameters
    ----------
    source_codes, target_codes : arrays of shape (n_s,) and (n_t,)
        Number of the class, or the quantity; NaN where it is not known.
    source_classes, target_classes : arrays of shape (k_s,) and (k_t,), or None for quantities
    """

    source_codes: np.ndarray
    target_codes: np.ndarray
    source_classes: np.ndarray | None
    target_classes: np.ndarray | None

    @property
    def meet(self) -> bool:
        """Whether labels are known on both sides."""
        return bool(np.isfinite(self.source_codes).any() and np.isfinite(self.target_codes).any())

    @property
    def columns(self) -> tuple[int, int]:
        """How many columns the labels take as vectors; 0 stands for one column of quantities."""
        if self.source_classes is None or self.target_classes is None:
            return 0, 0
        return len(self.source_classes), len(self.target_classes)

    def spread(self) -> float:
        """Return the total variance of the target's labels as vectors."""
        known = self.target_codes[np.isfinite(self.target_codes)]
        if not len(known):
            return 1.0
        vectors = one_column_each(known, self.columns[1]).values
        return max(float(vectors.var(axis=0).sum()), np.finfo(float).tiny) if len(np.unique(known)) > 1 else 1.0

    def step(self, kind: str, strength: float) -> Callable[[Problem, Any], Any] | None:
        """Return what fits g to a coupling; None where no labels meet."""
        if not self.meet:
            return None
        if kind == "identity":
            line = self.source_classes is None
            same = LineStep(LinearLabelMap(1.0, 0.0)) if line else ClassStep(np.eye(self.columns[0]), 0.0)
            return lambda problem, P: same
        if self.source_classes is None:
            return lambda problem, P: LineStep(_line(problem, P))
        known = self.target_codes[np.isfinite(self.target_codes)].astype(int)
        prior = np.bincount(known, minlength=self.columns[1]) / len(known)
        eta = strength if kind == "smoothed" else 0.0

        def fitted(problem: Problem, P: Any) -> ClassStep:
            G = fit_classes(problem.joint(P), kind, prior, eta)
            return ClassStep(G, eta * float(np.square(G - prior).sum()))

        return fitted

    def public(self, step: Any) -> LabelMap | LinearLabelMap | None:
        """Return g for use outside."""
        if step is None:
            return None
        if self.source_classes is None or self.target_classes is None:
            line: LinearLabelMap = step.line
            return line
        return LabelMap(self.source_classes, self.target_classes, step.matrix)


def label_ends(ys: Any, yt: Any, n_s: int, n_t: int, *, same: bool = False) -> LabelEnds:
    """Read the labels of both domains; where they mean the `same`, each side has the classes of both.

    Raises
    ------
    InputError
        When they are classes on one side and quantities on the other.
    """
    name = "MappingLearner"
    both = labels_of(ys, n_s, name, "ys"), labels_of(yt, n_t, name, "yt")
    tasks = {task_of(known_labels(y, classes=True)) for y in both if y is not None and not missing(y).all()}
    if len(tasks) > 1:
        raise InputError(f"{name}: labels are classes on one side and quantities on the other")
    classes = "regression" not in tasks
    known = [None if y is None or missing(y).all() else known_labels(y, classes=classes) for y in both]
    names = [np.empty(0) if labels is None else np.unique(labels) for labels in known]
    if same and classes and all(labels is not None for labels in known):
        names = [np.union1d(*names)] * 2
    (source, source_classes), (target, target_classes) = (
        _coded(y, labels, n, classes_ if classes else None)
        for y, labels, n, classes_ in zip(both, known, (n_s, n_t), names, strict=True)
    )
    return LabelEnds(source, target, source_classes, target_classes)


def one_column_each(codes: np.ndarray, k: int) -> Labels:
    """Return labels as vectors: one column for each of k classes, or for k = 0 one column of quantities."""
    known = np.isfinite(codes)
    if k == 0:
        return Labels(np.where(known, codes, 0.0)[:, None], known, classes=False)
    return Labels((np.where(known, codes, -1.0)[:, None] == np.arange(k)).astype(float), known, classes=True)


def _coded(
    y: np.ndarray | None, labels: np.ndarray | None, n: int, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    codes = np.full(n, np.nan)
    if y is not None and labels is not None:
        codes[~missing(y)] = labels if classes is None else np.searchsorted(classes, labels)
    return codes, classes


def _line(problem: Problem, P: Any) -> LinearLabelMap:
    """Return the least-squares line through the labels that meet."""
    ys, yt, w = [], [], []
    source, target = problem.source, problem.target
    if P is not None:
        from_, to = source.free_labels, target.free_labels
        met = np.asarray(P @ to.known.astype(float)).ravel() * from_.known
        sent = met > 0
        ys.append(from_.values[sent, 0])
        yt.append(np.asarray(P @ to.values[:, 0]).ravel()[sent] / met[sent])
        w.append((1 - problem.pair_share) * met[sent])
    if len(source.paired) and problem.pair_share > 0:
        both = source.paired_labels.known & target.paired_labels.known
        ys.append(source.paired_labels.values[both, 0])
        yt.append(target.paired_labels.values[both, 0])
        w.append(np.full(int(both.sum()), problem.pair_share / len(both)))
    if not sum(len(part) for part in ys):
        return LinearLabelMap(1.0, 0.0)
    return fit_quantities(np.concatenate(ys), np.concatenate(yt), np.concatenate(w))
