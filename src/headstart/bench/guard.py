"""The guard on real harm: what is delivered where the source helps, and where it can only hurt.

A third of the cases and more are made harmful: the source's labels are dealt out anew, follow another rule, or the
source's columns mean something else. `run`'s own pieces try, choose and decide; the models that each guard would
deliver are asked about target rows that nobody saw.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from headstart.bench.asked import Asked, Shown
from headstart.bench.cases import PAIRS, in_turn, keep, kept, packed, unpacked, with_rows
from headstart.bench.comparison import Case
from headstart.choose import GUARDS, Decision, Trial, decide, shortlist, try_all
from headstart.domain import Domain
from headstart.evidence.curve import drawing_order
from headstart.evidence.gain import METRICS, paired_interval
from headstart.learners import make_learner

#: Labelled target rows.
LABELS = (20, 40, 80)
FOLDS, REPEATS = 5, 2
TARGET_ONLY = "target-only"
#: What always-transfer delivers is what a guard that is off does.
ALWAYS = "off"
#: Always one transfer, the one that most people try: all rows in one heap.
ALWAYS_POOLED = "always pooled"
SHOWN = (*GUARDS, ALWAYS_POOLED)
#: A source as it comes, and what is done to it.
AS_IT_COMES = "as it comes"
#: Pairs by data set, as source and target: so that the targets have enough rows, and each data set its share.
CHOSEN: dict[str, tuple[str, ...]] = {
    "heart": (
        "cleveland -> hungarian",
        "hungarian -> cleveland",
        "cleveland -> va",
        "va -> cleveland",
        "switzerland -> hungarian",
        "va -> hungarian",
    ),
    "wine": ("red -> white", "white -> red"),
    "digits": ("usps -> mnist", "mnist -> usps"),
    "office-surf": ("amazon -> caltech10", "caltech10 -> amazon", "webcam -> amazon", "dslr -> webcam"),
    "office-backbone": ("amazon -> caltech10", "caltech10 -> amazon", "webcam -> amazon", "dslr -> webcam"),
    "reviews": ("books -> dvd", "kitchen -> electronics", "electronics -> books", "dvd -> kitchen"),
}
#: Pairs of each data set, so many of those above, whose source is also made harmful.
HARMED = 1
#: Points from which a transfer truly helps, and beyond which a delivered model is much worse than target-only.
MUCH = 3.0


def permuted(source: Domain, rng: np.random.Generator) -> Domain:
    """Deal the labels out anew: the rows say nothing about them."""
    return replace(source, y=rng.permutation(source.labels))


def another_rule(source: Domain, rng: np.random.Generator) -> Domain:
    """Let each class be called what the next one is: there is a rule, and it is wrong here."""
    classes = source.classes
    return replace(source, y=np.roll(classes, -1)[np.searchsorted(classes, source.labels)])


def far_away(source: Domain, rng: np.random.Generator) -> Domain:
    """Deal the columns out anew: each holds what another should."""
    order = rng.permutation(source.X.shape[1])
    if hasattr(source.X, "columns"):
        return source.with_rows(source.X.iloc[:, order].set_axis(source.X.columns, axis=1))
    return source.with_rows(source.X[:, order])


HARMS: dict[str, Callable[[Domain, np.random.Generator], Domain]] = {
    "permuted labels": permuted,
    "another task": another_rule,
    "far domain": far_away,
}


@dataclass(frozen=True)
class Cell:
    """One case: what the trial said, what each guard delivers, and what each candidate reached on test rows.

    Attributes
    ----------
    harm : str
        "as it comes", or what was done to the source.
    labels : int
        Labelled target rows.
    accuracy : dict of str to float
        On the test rows, target-only first.
    hits : dict of str to list of str
        By candidate and repeat: row by labelled row, whether the class was right out of fold.
    folds : list of str
        For each repeat, the fold of each labelled row.
    """

    data: str
    pair: str
    harm: str
    draw: int
    labels: int
    tested: int
    accuracy: dict[str, float]
    hits: dict[str, list[str]]
    folds: list[str]

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What tells it from every other cell."""
        return self.data, self.pair, self.harm, self.draw, self.labels

    @property
    def trial(self) -> Trial:
        """The trial again, from its hits."""
        names = list(self.accuracy)
        utilities = np.array([[unpacked(line) for line in self.hits[name]] for name in names], float)
        folds = np.array([unpacked(line) for line in self.folds])
        return Trial(names, utilities, folds, [0.0] * len(names), METRICS["accuracy"])

    def decision(self, guard: str) -> Decision:
        """Return what a guard decides on this trial."""
        if guard == ALWAYS_POOLED:
            return Decision("pooled", "nothing is asked")
        trial = self.trial
        return decide(trial.gain_of_choice(), trial.choice(), guard)

    def change(self, guard: str) -> float:
        """Return how much better than target-only the delivered model is on the test rows, in points."""
        return 100 * (self.accuracy[self.decision(guard).delivered] - self.accuracy[TARGET_ONLY])


def cells_of(asked: Asked, names: Sequence[str], done: set[tuple[Any, ...]]) -> Iterator[Cell]:
    """Yield the cells that are not there already, draw by draw: each pair as it comes, some harmed as well."""
    for draw in range(asked.draws or 1):
        for pair in in_turn(names, asked.data):
            if pair.name not in CHOSEN[pair.data]:
                continue
            order = drawing_order(pair.target, np.random.default_rng(draw))
            for labels in LABELS:
                case = None
                for harm in [AS_IT_COMES, *(HARMS if CHOSEN[pair.data].index(pair.name) < HARMED else ())]:
                    if (pair.data, pair.name, harm, draw, labels) not in done:
                        case = case or with_rows(pair, order, labels, draw)
                        yield measured(harmed(case, harm), harm, labels)


def harmed(case: Case, harm: str) -> Case:
    """Return the case with its source harmed, as it comes to the methods: after columns were made of its rows."""
    if harm == AS_IT_COMES:
        return case
    return replace(case, source=HARMS[harm](case.source, np.random.default_rng([case.draw, 1])))


def measured(case: Case, harm: str, labels: int) -> Cell:
    """Try the standard methods as a run does, and ask each, fitted on all it may see, about the test rows."""
    learner = make_learner("auto", "classification", case.draw)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        candidates, _ = shortlist(None, learner, case.source, case.target, case.plan, case.draw)
        trial = try_all(
            candidates, case.target, METRICS["accuracy"], folds=FOLDS, repeats=REPEATS, random_state=case.draw
        )
        accuracy = {
            entry.name: round(float((entry.fit(case.target).predict(case.test.X) == case.test.labels).mean()), 5)
            for entry in candidates
        }
    hits = {name: [packed(line) for line in trial.utilities[c]] for c, name in enumerate(trial.names)}
    folds = [packed(line) for line in trial.folds]
    return Cell(case.data, case.pair, harm, case.draw, labels, len(case.test), accuracy, hits, folds)


@dataclass(frozen=True)
class Line:
    """What a guard delivered, over cases: differences to target-only on test rows, in points.

    Attributes
    ----------
    change : (mean, low, high)
        With its 95 % interval; pairs, each averaged over its cases, are the units.
    much_worse : float
        Share of cases in which the delivered model is more than 3 points worse.
    worst : float
    transfers : int
        Cases in which a transfer was delivered.
    helping, delivered_of_helping : int
        Cases in which the transfer that looked best is more than 3 points better, and in how many of them it was
        delivered.
    """

    guard: str
    cases: str
    n: int
    change: tuple[float, float, float]
    much_worse: float
    worst: float
    transfers: int
    helping: int
    delivered_of_helping: int


def measure(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Measure every case, show what each guard delivers, and return the figures."""
    names = list(asked.sets({name: PAIRS[name][1] for name in CHOSEN}))
    cells = kept(asked.cells, Cell)
    for cell in cells_of(asked, names, {cell.key for cell in cells}):
        cells.append(cell)
        keep(asked.cells, cell)
        asked.say(f"{' '.join(map(str, cell.key))}: {', '.join(f'{g} {cell.change(g):+.1f}' for g in SHOWN)}")
    cells = [cell for cell in cells if cell.data in names and cell.draw < (asked.draws or 1)]
    groups = {"all": cells, "harmed": [cell for cell in cells if cell.harm != AS_IT_COMES]}
    for harm in [AS_IT_COMES, *HARMS]:
        groups[harm] = [cell for cell in cells if cell.harm == harm]
    for labels in LABELS:
        groups[f"{labels} labels"] = [cell for cell in cells if cell.labels == labels]
    lines = [line_of(guard, name, of) for name, of in groups.items() if of for guard in SHOWN]
    show(table_of(lines))
    return {
        "protocol": {"labels": LABELS, "folds": FOLDS, "repeats": REPEATS, "pairs": CHOSEN, "harmed": HARMED},
        "harms": {name: (harm.__doc__ or "").strip() for name, harm in HARMS.items()},
        "lines": [asdict(line) for line in lines],
        "cells": [asdict(cell) for cell in cells],
    }


def line_of(guard: str, name: str, cells: Sequence[Cell]) -> Line:
    """Return what a guard delivers over these cases."""
    changes = np.array([cell.change(guard) for cell in cells])
    best = np.array([cell.change(ALWAYS) for cell in cells])
    transfers = np.array([cell.decision(guard).delivered != TARGET_ONLY for cell in cells])
    of_pair: dict[tuple[str, str], list[float]] = {}
    for cell, change in zip(cells, changes, strict=True):
        of_pair.setdefault((cell.data, cell.pair), []).append(float(change))
    units = np.array([np.mean(values) for values in of_pair.values()])
    return Line(
        guard,
        name,
        len(cells),
        paired_interval(units),
        float((changes < -MUCH).mean()),
        float(changes.min()),
        int(transfers.sum()),
        int((best > MUCH).sum()),
        int((transfers & (best > MUCH)).sum()),
    )


def table_of(lines: Sequence[Line]) -> Shown:
    """Return a table to print: a line for each group of cases and guard."""
    rows = []
    for line in lines:
        mean, low, high = line.change
        rows.append(
            [
                line.cases,
                f"{line.guard} (always transfer)" if line.guard == ALWAYS else line.guard,
                str(line.n),
                f"{mean:+.1f} ({low:+.1f} to {high:+.1f})",
                f"{100 * line.much_worse:.0f} %",
                f"{line.worst:+.1f}",
                f"{line.transfers}",
                f"{line.delivered_of_helping} of {line.helping}",
            ]
        )
    columns = [
        "cases",
        "guard",
        "n",
        "over target-only (95% CI)",
        "worse by > 3 points",
        "worst",
        "transfers",
        "delivered of those that help by > 3",
    ]
    return Shown("What each guard delivers, beside target-only, in points of accuracy on test rows", columns, rows)
