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

from headstart.bench.apart import APART
from headstart.bench.asked import Asked, Shown
from headstart.bench.cases import PAIRS, Reader, by_class, in_turn, keep, kept, packed, unpacked, with_rows
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
    pairs = list(in_turn(names, asked.data, every_set()))
    # No labels first: these cases are the quick ones.
    for draw, labels in product(range(asked.draws or 1), LABELS):
        for pair in pairs:
            if (pair.data, pair.name, draw, labels) not in done:
                order = by_class(pair.target, labels, draw)
                yield measured(with_rows(pair, order, labels * len(pair.target.classes), draw), labels)


def every_set() -> dict[str, Reader]:
    """Return the sets that the rule was settled with, and those kept apart."""
    return {**PAIRS, **APART}


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
    sets = every_set()
    names = list(asked.sets({name: needed for name, (_, needed) in sets.items()}))
    cells = kept(asked.cells, Cell)
    for cell in cells_of(asked, names, {cell.key for cell in cells}):
        cells.append(cell)
        keep(asked.cells, cell)
        asked.say(f"{' '.join(map(str, cell.key))}: best {max(cell.accuracy, key=cell.accuracy.__getitem__)}")
    cells = [cell for cell in cells if cell.data in names and cell.draw < (asked.draws or 1)]
    figures: dict[str, Any] = {
        "protocol": {"labels": LABELS, "folds": FOLDS, "repeats": REPEATS},
        "data": {name: (sets[name][0].__doc__ or "").strip() for name in names},
    }
    for (suffix, group), labels in product((("", PAIRS), (", kept apart", APART)), LABELS):
        of = lines_of([cell for cell in cells if cell.labels == labels and cell.data in group])
        title = f"{labels} labels{suffix}"
        figures[title] = [asdict(line) for line in of]
        if of:
            show(table_of(of, title))
    if asked.cells is None:
        figures["cells"] = [asdict(cell) for cell in cells]
    return figures


@dataclass(frozen=True)
class Line:
    """A rule's regret to the oracle, in points: mean over cases with a 95 % interval, and by data set.

    A case is a source, a target and so many labels; its draws of rows are repetitions. Every oracle knows accuracies
    on test rows.

    Attributes
    ----------
    regret : three floats
        To the oracle method: for each case the one that is best in the mean over its draws.
    of_draw : three floats
        To an oracle that takes another method in each draw, and so profits from the luck of each.
    honest : three floats
        To an oracle that does not see what it is judged by: it takes the best of the other draws, or, of a single
        draw, of the other half of the test rows.
    of_data : dict of str to float
        The regret by data set.
    over_single : three floats
        The regret less that of the single method that is best in hindsight (a blend is none); below zero, the rule is
        better.

    Notes
    -----
    Cases share domains, so intervals are somewhat too narrow. With few draws the oracle method of a case is in part
    lucky and its regret too large; that to the honest oracle, which may take a worse one, is too small.
    """

    rule: str
    cases: int
    draws: int
    regret: tuple[float, float, float]
    of_draw: tuple[float, float, float]
    honest: tuple[float, float, float]
    of_data: dict[str, float]
    over_single: tuple[float, float, float]


def lines_of(cells: Sequence[Cell]) -> list[Line]:
    """Return a line a rule, then one for always picking each method."""
    draws: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        draws.setdefault((cell.data, cell.pair), []).append(cell)
    regrets: dict[str, dict[tuple[str, str], np.ndarray]] = {}
    for case, of_case in draws.items():
        oracles = np.mean(_oracles(of_case), axis=1)
        reached: dict[str, list[float]] = {}
        for cell in of_case:
            chosen = chosen_by(cell, standing_elsewhere(cell, cells))
            for rule, name in {**chosen, **{f"always {name}": name for name in cell.names}}.items():
                reached.setdefault(rule, []).append(float(np.mean(cell.accuracy[name])))
        for rule, values in reached.items():
            if len(values) == len(of_case):
                regrets.setdefault(rule, {})[case] = 100 * (oracles - np.mean(values))
    every = [rule for rule, of in regrets.items() if len(of) == len(draws)]
    # A mean of methods is no single one.
    singles = [rule for rule in every if rule.startswith("always ") and rule != f"always {SUREST}"]
    if not singles:
        return []
    single = np.array(list(min((regrets[rule] for rule in singles), key=_mean_regret).values()))
    lines = []
    for rule in every:
        of = np.array(list(regrets[rule].values()))
        by_data = {
            data: float(np.mean([value[0] for case, value in regrets[rule].items() if case[0] == data]))
            for data in dict.fromkeys(data for data, _ in draws)
        }
        regret, of_draw, honest = (paired_interval(column) for column in of.T)
        over_single = paired_interval(of[:, 0] - single[:, 0])
        fewest = min(map(len, draws.values()))
        lines.append(Line(rule, len(draws), fewest, regret, of_draw, honest, by_data, over_single))
    return lines


def _mean_regret(of: dict[tuple[str, str], np.ndarray]) -> float:
    return float(np.mean([value[0] for value in of.values()]))


def _oracles(of_case: Sequence[Cell]) -> np.ndarray:
    """Return what each of the three oracles of `Line` reaches in each draw of a case, shape (3, draws)."""
    names = [name for name in of_case[0].names if all(name in cell.accuracy for cell in of_case)]
    halves = np.array([[cell.accuracy[name] for name in names] for cell in of_case])
    whole = halves.mean(axis=2)
    best = whole[:, whole.mean(axis=0).argmax()]
    if len(whole) > 1:
        others = (whole.sum(axis=0) - whole).argmax(axis=1)
        honest = whole[np.arange(len(whole)), others]
    else:
        honest = np.mean([halves[:, halves[0, :, 1 - half].argmax(), half] for half in (0, 1)], axis=0)
    return np.array([best, whole.max(axis=1), honest])


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


def table_of(lines: Sequence[Line], title: str) -> Shown:
    """Return a table to print: a line a rule, the regret over all cases and in each data set."""
    sets = list(lines[0].of_data)
    rows = []
    for line in lines:
        (mean, low, high), (more, least, most) = line.regret, line.over_single
        regret, over = f"{mean:.1f} ({low:.1f} to {high:.1f})", f"{more:+.1f} ({least:+.1f} to {most:+.1f})"
        other = (f"{line.of_draw[0]:.1f}", f"{line.honest[0]:.1f}")
        rows.append([line.rule, regret, *other, over, *(f"{line.of_data[name]:.1f}" for name in sets)])
    draws = f", {lines[0].draws} draws of each" if lines[0].draws > 1 else ""
    title = f"{title}: regret to the best method, in points, over {lines[0].cases} cases{draws} (95 % CI)"
    columns = ["choice", "regret", "to the best of each draw", "to an honest oracle", "over the best single method"]
    return Shown(title, [*columns, *sets], rows)
