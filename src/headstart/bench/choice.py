"""Choosing a method on real data, with few target labels and with none.

Every candidate is fitted on the whole case and asked about test rows that nobody saw; that tells which would have
been best, the oracle's. The choice itself sees cross-validation on the labelled target rows, source rows weighted to
look like the target's, and what the methods did on *other* data sets.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from headstart.bench.asked import Asked, Shown
from headstart.bench.cases import PAIRS, by_class, in_turn, keep, kept, packed, unpacked, with_rows
from headstart.bench.comparison import Case
from headstart.catalogue import standard_names
from headstart.choose import Candidate, shortlist
from headstart.choose.rule import SUREST, choose_by
from headstart.choose.splits import folds_of
from headstart.choose.unlabelled import validate
from headstart.domain import stack
from headstart.errors import HeadstartError
from headstart.evidence.gain import METRICS, paired_interval
from headstart.learners import make_learner

#: Quick methods of other families, beside the standard ones.
MORE = (
    "per-domain-standardization",
    "subspace-alignment",
    "jda",
    "easytl",
    "discriminant-transfer",
    "feature-augmentation",
    "balanced-weighting",
)
#: Labelled target rows of each class.
LABELS = (0, 3)
FOLDS, REPEATS, SOURCE_FOLDS = 5, 2, 3
#: The validator that needs no target label and weights source rows to look like the target's.
WEIGHTED = "importance-weighted"
CONSENSUS = "consensus of validators"


@dataclass(frozen=True)
class Cell:
    """One case: what each candidate reached on test rows, and what there was to choose by.

    Attributes
    ----------
    labels : int
        Labelled target rows of each class.
    accuracy : dict of str to two floats
        On two halves of the test rows, by candidate: what is best on one half is judged on the other. Without labels
        there is no target-only among what can be chosen.
    hits : dict of str to list of str
        By candidate, a line of zeros and ones for each repeat of cross-validation: labelled row by labelled row,
        whether the class was right out of fold.
    likelihoods : dict of str to list of float
        By candidate and labelled row, the mean over repeats of the log-likelihood out of fold; empty where there are
        no probabilities.
    folds : list of str
        For each repeat, the fold of each labelled row.
    without_labels : dict of str to dict of str to float
        By validator that needs no target label: its score of each candidate, larger is better.
    consensus : str
        The candidate that the consensus of validators chooses.
    """

    data: str
    pair: str
    draw: int
    labels: int
    tested: int
    accuracy: dict[str, tuple[float, float]]
    hits: dict[str, list[str]]
    likelihoods: dict[str, list[float]]
    folds: list[str]
    without_labels: dict[str, dict[str, float]]
    consensus: str

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What tells it from every other cell."""
        return self.data, self.pair, self.draw, self.labels

    @property
    def names(self) -> list[str]:
        """The candidates, target-only first where there is one."""
        return list(self.accuracy)

    @property
    def utilities(self) -> np.ndarray:
        """Hits out of fold, shape (candidates, repeats, labelled rows)."""
        return np.array([[unpacked(line) for line in self.hits[name]] for name in self.names], float)


def cells_of(asked: Asked, names: Sequence[str], done: set[tuple[Any, ...]]) -> Iterator[Cell]:
    """Yield the cells that are not there already, draw by draw."""
    # No labels first: these cases are the quick ones.
    for draw, labels in product(range(asked.draws or 1), LABELS):
        for pair in in_turn(names, asked.data):
            if (pair.data, pair.name, draw, labels) not in done:
                order = by_class(pair.target, labels, draw)
                yield measured(with_rows(pair, order, labels * len(pair.target.classes), draw), labels)


def measured(case: Case, labels: int) -> Cell:
    """Fit every candidate on the case, and measure all that a rule may choose by."""
    learner = make_learner("auto", "classification", case.draw)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = [*standard_names(), *MORE]
        candidates, _ = shortlist(wanted_here(wanted, labels), learner, case.source, case.target, case.plan, case.draw)
        accuracy, able = {}, []
        half = np.random.default_rng([case.draw, len(case.test)]).permutation(len(case.test)) % 2
        for entry in candidates:
            try:
                model = entry.fit(case.target)
            except HeadstartError:
                # A method that can't learn from this case is no candidate in it.
                continue
            able.append(entry)
            accuracy[entry.name] = _halves(model.predict(case.test.X) == case.test.labels, half)
        hits, likelihoods, folds = _out_of_fold(able, case) if labels else ({}, {}, [])
        transfers = sorted((c for c in able if not c.from_target_alone), key=lambda c: c.name != "source-only")
        found = validate(transfers, case.source, case.target, case.plan, folds=SOURCE_FOLDS, random_state=case.draw)
    columns = {**dict(zip(found.validators, found.scores.T, strict=True)), CONSENSUS: found.consensus()}
    scores = {
        name: _by_name(found.names, column.tolist()) for name, column in columns.items() if np.isfinite(column).all()
    }
    return Cell(
        case.data,
        case.pair,
        case.draw,
        labels,
        len(case.test),
        accuracy,
        hits,
        likelihoods,
        folds,
        scores,
        found.choice(),
    )


def _halves(right: np.ndarray, half: np.ndarray) -> tuple[float, float]:
    return round(float(right[half == 0].mean()), 5), round(float(right[half == 1].mean()), 5)


def _by_name(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return {name: round(float(value), 5) for name, value in zip(names, values, strict=True)}


def wanted_here(names: Sequence[str], labels: int) -> list[str]:
    """Leave out the methods that need target labels where there are none."""
    from headstart.catalogue import find

    return [name for name in names if labels or not find(name).load().needs.target_labels]


def _out_of_fold(
    candidates: Sequence[Candidate], case: Case
) -> tuple[dict[str, list[str]], dict[str, list[float]], list[str]]:
    """Return hits, log-likelihoods and folds of cross-validation on the labelled target rows."""
    labelled, rest = case.target.labelled_rows(), case.target.rows(~case.target.labelled)
    hits: dict[str, list[str]] = {entry.name: [] for entry in candidates}
    likelihoods = {entry.name: np.zeros(len(labelled)) for entry in candidates}
    folds = []
    for repeat in range(REPEATS):
        of_row = folds_of(labelled.labels, FOLDS, [case.draw, repeat], classes=True)
        folds.append(packed(of_row))
        for entry in candidates:
            right = np.zeros(len(labelled))
            for fold in range(int(of_row.max()) + 1):
                held = of_row == fold
                model = entry.fit(stack([labelled.rows(~held), rest]))
                test = labelled.rows(held)
                right[held] = METRICS["accuracy"].utility(model, test, test.labels)
                if model.has_probabilities:
                    likelihoods[entry.name][held] += METRICS["log loss"].utility(model, test, test.labels) / REPEATS
                else:
                    likelihoods[entry.name][held] = np.nan
            hits[entry.name].append(packed(right))
    said = {n: [] if np.isnan(v).any() else v.round(3).tolist() for n, v in likelihoods.items()}
    return hits, said, folds


def measure(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Measure every case, apply the rules of choice, show their regrets, and return the figures."""
    names = list(asked.sets({name: needed for name, (_, needed) in PAIRS.items()}))
    cells = kept(asked.cells, Cell)
    for cell in cells_of(asked, names, {cell.key for cell in cells}):
        cells.append(cell)
        keep(asked.cells, cell)
        asked.say(f"{' '.join(map(str, cell.key))}: best {max(cell.accuracy, key=cell.accuracy.__getitem__)}")
    cells = [cell for cell in cells if cell.data in names and cell.draw < (asked.draws or 1)]
    lines = {labels: lines_of([cell for cell in cells if cell.labels == labels]) for labels in LABELS}
    for labels, of in lines.items():
        if of:
            show(table_of(of, labels))
    return {
        "protocol": {"labels": LABELS, "folds": FOLDS, "repeats": REPEATS},
        "data": {name: (PAIRS[name][0].__doc__ or "").strip() for name in names},
        **{f"{labels} labels": [asdict(line) for line in of] for labels, of in lines.items()},
        "cells": [asdict(cell) for cell in cells],
    }


@dataclass(frozen=True)
class Line:
    """A rule's regret to the oracle, in points: mean over cases with a 95 % interval, and by data set.

    The oracle of `regret` picks the best by all test rows, luck included; that of `honest` picks by one half of them
    and is judged on the other.
    `over_single` is the regret less that of the single method that is best in hindsight (a blend is none); below zero,
    the rule is better. Cases share domains, so intervals are somewhat too narrow.
    """

    rule: str
    cases: int
    regret: tuple[float, float, float]
    honest: tuple[float, float, float]
    of_data: dict[str, float]
    over_single: tuple[float, float, float]


def lines_of(cells: Sequence[Cell]) -> list[Line]:
    """Return a line a rule, then one for always picking each method."""
    regrets: dict[str, dict[tuple[str, str], list[tuple[float, float]]]] = {}
    for cell in cells:
        reached = np.array(list(cell.accuracy.values()))
        best = reached.mean(axis=1).max()
        honest = np.mean([reached[np.argmax(reached[:, 1 - half]), half] for half in (0, 1)])
        chosen = {**chosen_by(cell, standing_elsewhere(cell, cells)), **{f"always {name}": name for name in cell.names}}
        told = {rule: cell.accuracy[name] for rule, name in chosen.items()}
        for rule, halves in told.items():
            of_rule = regrets.setdefault(rule, {})
            mean = float(np.mean(halves))
            of_rule.setdefault((cell.data, cell.pair), []).append((100 * (best - mean), 100 * (honest - mean)))
    both = {rule: {case: np.mean(values, axis=0) for case, values in of.items()} for rule, of in regrets.items()}
    means = {rule: {case: float(value[0]) for case, value in of.items()} for rule, of in both.items()}
    every = [rule for rule, of in means.items() if len(of) == max(map(len, means.values()))]
    # A mean of methods is no single one.
    singles = [rule for rule in every if rule.startswith("always ") and rule != f"always {SUREST}"]
    if not singles:
        return []
    single = means[min(singles, key=lambda rule: float(np.mean(list(means[rule].values()))))]
    lines = []
    for rule in every:
        of = means[rule]
        by_data = {d: float(np.mean([v for (data, _), v in of.items() if data == d])) for d in {d for d, _ in of}}
        against = np.array([of[case] - single[case] for case in of])
        lines.append(
            Line(
                rule,
                len(of),
                paired_interval(np.array(list(of.values()))),
                paired_interval(np.array([value[1] for value in both[rule].values()])),
                by_data,
                paired_interval(against),
            )
        )
    return lines


def standing_elsewhere(cell: Cell, cells: Sequence[Cell]) -> np.ndarray:
    """Return the candidates' standing on the other data sets; pictures in another form are the same data set."""
    scores: dict[str, dict[str, list[float]]] = {}
    for other in cells:
        if origin(other.data) != origin(cell.data) and other.labels == cell.labels:
            centre = float(np.mean(list(other.accuracy.values())))
            for name, halves in other.accuracy.items():
                scores.setdefault(origin(other.data), {}).setdefault(name, []).append(float(np.mean(halves)) - centre)
    of_data = [{name: float(np.mean(values)) for name, values in found.items()} for found in scores.values()]
    return np.array([float(np.mean([found[name] for found in of_data if name in found] or [0])) for name in cell.names])


def origin(data: str) -> str:
    """Return the data set that a form of it comes from.

    >>> origin("office-surf"), origin("heart")
    ('office', 'heart')
    """
    return data.split("-", maxsplit=1)[0]


def chosen_by(cell: Cell, standing: np.ndarray) -> dict[str, str]:
    """Return what each rule picks, a transfer or target-only, by the rule's name."""
    names = cell.names
    weighted = np.array([cell.without_labels[WEIGHTED].get(name, -np.inf) for name in names])
    found = {
        "standing elsewhere alone": names[int(np.argmax(standing))],
        "importance-weighted validation": names[int(np.argmax(weighted))],
    }
    found["consensus, kept to source-only where unsure"] = cell.consensus
    if cell.labels:
        rows = cell.utilities.mean(axis=1)
        found["cross-validation"] = names[1 + int(np.argmax(rows[1:].mean(axis=1)))]
        found["cross-validation, target-only too"] = names[int(np.argmax(rows.mean(axis=1)))]
        smooth = np.array([np.mean(cell.likelihoods.get(name) or [-np.inf]) for name in names])
        found["cross-validated likelihood"] = names[1 + int(np.argmax(smooth[1:]))]
        surest = names.index(SUREST) - 1 if SUREST in names else None
        found["the rule"] = names[1 + choose_by(rows[1:], surest)]
    elif SUREST in names:
        found["the rule"] = SUREST
    for validator, scores in cell.without_labels.items():
        if validator != WEIGHTED:
            found[validator] = max(scores, key=scores.__getitem__)
    return found


def table_of(lines: Sequence[Line], labels: int) -> Shown:
    """Return a table to print: a line a rule, the regret over all cases and in each data set."""
    sets = list(lines[0].of_data)
    rows = []
    for line in lines:
        (mean, low, high), (more, least, most) = line.regret, line.over_single
        regret, over = f"{mean:.1f} ({low:.1f} to {high:.1f})", f"{more:+.1f} ({least:+.1f} to {most:+.1f})"
        rows.append([line.rule, regret, f"{line.honest[0]:.1f}", over, *(f"{line.of_data[name]:.1f}" for name in sets)])
    title = f"{labels} labels a class: regret to the best candidate, in points, over {lines[0].cases} cases (95 % CI)"
    return Shown(title, ["choice", "regret", "to an honest oracle", "over the best single method", *sets], rows)
