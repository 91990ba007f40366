"""Relation-based transfer on real worlds: films, a university and citations teach one another.

Learned on one fold of the target and tested on the other four, for every fold: the protocol in which there is least
target data. The source is the whole of its world. All negatives are learned from and all are tested.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import average_precision_score, roc_auc_score
from threadpoolctl import threadpool_limits

from headstart.bench.asked import Asked, Shown
from headstart.bench.cases import keep, kept
from headstart.bench.relations_data import (
    FOLDS,
    TARGETS,
    random_world,
    whole,
    with_labels_dealt_anew,
    with_positives,
    world,
)
from headstart.bench.relations_tables import curve_lines, mapping_lines, plain_table, tables, wrong_lines
from headstart.domain import Domain
from headstart.errors import InputError, unknown_name
from headstart.relations.boosting import RelationalBoosting
from headstart.relations.predicate_mapping import PredicateMapping

#: Part of the benchmark: what it needs in the folder.
PARTS = {
    "mapping": "relational",
    "curve": "relational",
    "wrong": "relational",
    "entities": "dbp15k/zh_en",
    "citation": "citation",
}
DIRECTIONS = (("imdb", "uwcse"), ("uwcse", "imdb"), ("cora", "imdb"), ("imdb", "cora"))
#: From the target alone.
SCRATCH = "scratch"
VARIANTS = (SCRATCH, "mapped", "revised", "best")
#: Another method, where it is there: the module that holds it, and its class.
TEMPLATES = "template-transfer"
MODULE, CLASS = "headstart.relations.template_transfer", "TemplateTransfer"
#: Positive examples of a learning curve; random draws of them.
POSITIVES, DRAWS = (5, 10, 25), 5
#: Sources that can be of no help to the target: of another structure, and without any.
WRONG, WRONG_TARGET = ("cora", "shuffled", "random"), "uwcse"
#: Positive examples beside a wrong source, None for all of the fold; draws of each.
WRONG_POSITIVES: tuple[int | None, ...] = (None, 10)
WRONG_DRAWS = 3


@dataclass(frozen=True)
class Cell:
    """One method, learned on one fold of a target and tested on the others.

    Attributes
    ----------
    source : str
        Empty for scratch, which has none.
    positives : int or None
        Drawn from the fold, with negatives in proportion; None for all.
    auc_roc, auc_pr, cll : float
        Areas under the curves, and the mean log-likelihood, on the other folds.
    seconds_mapping, seconds_learning : float
        To find the mapping, and to fit, revise and choose; on the wall.
    cpu_seconds : float
        Both, of the processor.
    taken : str
        Which variant was delivered.
    mapping : list of str
        What became of which predicate.
    """

    source: str
    target: str
    positives: int | None
    draw: int
    fold: int
    method: str
    auc_roc: float
    auc_pr: float
    cll: float
    seconds_mapping: float
    seconds_learning: float
    cpu_seconds: float
    taken: str = ""
    likelihoods: dict[str, float] = field(default_factory=dict)
    mapping: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from every other cell."""
        return self.source, self.target, self.positives, self.draw, self.fold, self.method


@dataclass(frozen=True)
class Question:
    """What is asked: methods, from one source, for each fold of one target."""

    source: str
    target: str
    positives: int | None = None
    draw: int = 0
    methods: tuple[str, ...] = VARIANTS


def measure(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Measure the parts that are wanted, show their tables, and return the figures."""
    parts = list(asked.sets(PARTS))
    methods = _methods(asked)
    cells: dict[tuple[Any, ...], Cell] = {cell.key: cell for cell in kept(asked.cells, Cell)}
    bench = _Bench(asked, cells)
    found: dict[str, Any] = {
        "protocol": {
            "directions": [f"{source} -> {target}" for source, target in DIRECTIONS],
            "targets": TARGETS,
            "folds": "learned on one, tested on the other four, each in turn",
            "source": "the whole of its world",
            "negatives": "all learned from, all tested",
            "intervals": "95 %, Student's t over the five folds, draws averaged within a fold; their tests share rows",
            "positives": POSITIVES,
            "draws": asked.draws or DRAWS,
            "learner": repr(RelationalBoosting()),
        }
    }
    if "mapping" in parts:
        of = [cell for question in mapping_questions(methods) for cell in bench.answers(question)]
        found["mapping"] = mapping_lines(of)
    if "curve" in parts:
        of = [cell for question in curve_questions(methods, asked.draws or DRAWS) for cell in bench.answers(question)]
        found["curve"] = curve_lines(of)
    if "wrong" in parts:
        draws = asked.draws or WRONG_DRAWS
        of = [cell for question in wrong_questions(methods, draws) for cell in bench.answers(question)]
        found["wrong"] = wrong_lines(of)
    for shown in tables(found):
        show(shown)
    if cells:
        found["cells"] = [asdict(replace(cell, mapping=[])) for cell in cells.values()]
    for name, module, function, place in OTHERS:
        if name not in parts:
            continue
        if find_spec(module) is None:
            asked.note(f"skipped: {name}, for {module} is not there yet")
            continue
        asked.say(f"{name}: on its way")
        found[name] = getattr(import_module(module), function)(asked.data / place)
        show(plain_table(name, found[name]))
    return found


#: Parts that others measure: the module, its function, and what it reads.
OTHERS = (
    ("entities", "headstart.bench.entities", "measure_entities", "dbp15k/zh_en"),
    ("citation", "headstart.bench.citation", "measure_citation", "citation"),
)


def _methods(asked: Asked) -> tuple[str, ...]:
    """Return the methods that are wanted and there; scratch is what the others are compared with."""
    there = (*VARIANTS, *((TEMPLATES,) if find_spec(MODULE) else ()))
    for wanted in asked.methods:
        if wanted not in (*VARIANTS, TEMPLATES):
            raise InputError(unknown_name("method", wanted, (*VARIANTS, TEMPLATES)))
    return tuple(name for name in there if name == SCRATCH or not asked.methods or name in asked.methods)


def mapping_questions(methods: Sequence[str]) -> Iterator[Question]:
    """Yield each direction, with all examples of a fold."""
    for source, target in DIRECTIONS:
        yield Question(source, target, methods=tuple(methods))


def curve_questions(methods: Sequence[str], draws: int) -> Iterator[Question]:
    """Yield each direction with few positive examples, draw by draw."""
    wanted = tuple(name for name in methods if name != "revised")
    for draw in range(draws):
        for source, target in DIRECTIONS:
            for positives in POSITIVES:
                yield Question(source, target, positives, draw, wanted)


def wrong_questions(methods: Sequence[str], draws: int) -> Iterator[Question]:
    """Yield the sources that can be of no help; Cora is always the same, so that only its examples are drawn."""
    wanted = tuple(name for name in methods if name != "revised")
    for source in WRONG:
        for positives in WRONG_POSITIVES:
            for draw in range(1 if source == "cora" and positives is None else draws):
                yield Question(source, WRONG_TARGET, positives, draw, wanted)


class _Bench:
    """Answers questions: figures that are there are not measured again."""

    def __init__(self, asked: Asked, cells: dict[tuple[Any, ...], Cell]) -> None:
        self.asked, self.cells = asked, cells
        self.folder = asked.data / "relational"
        self.source = lru_cache(maxsize=None)(self._source)
        self.fold = lru_cache(maxsize=None)(self._fold)
        self.knowledge = lru_cache(maxsize=None)(self._knowledge)

    def answers(self, question: Question) -> Iterator[Cell]:
        """Yield a cell for each fold and method, those of scratch with the source's name."""
        for fold in FOLDS:
            missing = [name for name in question.methods if _key(question, fold, name) not in self.cells]
            for cell in self._measured(question, fold, missing) if missing else ():
                self.cells[cell.key] = cell
                keep(self.asked.cells, cell)
                self.asked.say(
                    f"{question.source} -> {question.target}, {question.positives or 'all'} positives, draw "
                    f"{question.draw}, fold {fold}: {cell.method} {cell.auc_roc:.3f} {cell.auc_pr:.3f} {cell.cll:.3f}"
                )
            for name in question.methods:
                yield replace(self.cells[_key(question, fold, name)], source=question.source)

    def _measured(self, question: Question, fold: int, methods: Sequence[str]) -> Iterator[Cell]:
        here, there = self.fold(question.target, fold)
        here = with_positives(here, question.positives, question.draw)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            carried: dict[str, tuple[Any, float, float]] = {}
            for name in methods:
                method = TEMPLATES if name == TEMPLATES else "mapping"
                start, cpu = time.perf_counter(), time.process_time()
                if name == SCRATCH:
                    model: Any = clone(RelationalBoosting()).fit(here.X, here.labels)
                    mapped, mapped_cpu = 0.0, 0.0
                else:
                    step = make(name)
                    if method not in carried:
                        knowledge = self.knowledge(method, question.source, _draw_of(question))
                        start, cpu = time.perf_counter(), time.process_time()
                        arrived = step.carry(knowledge, here)
                        carried[method] = (arrived, time.perf_counter() - start, time.process_time() - cpu)
                    arrived, mapped, mapped_cpu = carried[method]
                    start, cpu = time.perf_counter(), time.process_time()
                    model = step.learn_target(arrived, here, RelationalBoosting())
                seconds, cpu = time.perf_counter() - start, time.process_time() - cpu + mapped_cpu
                yield Cell(
                    *_key(question, fold, name), *figures(model, there), *_seconds(mapped, seconds, cpu), *_told(model)
                )

    def _source(self, name: str, draw: int) -> Domain:
        if name == "random":
            return random_world(draw)
        if name == "shuffled":
            return with_labels_dealt_anew(self.source("imdb", 0), draw)
        return whole(self.folder, name)

    def _fold(self, name: str, fold: int) -> tuple[Domain, Domain]:
        return world(self.folder, name, [(fold, "test")]), world(self.folder, name, [(fold, "train")])

    def _knowledge(self, method: str, source: str, draw: int) -> Any:
        step, rows = make(method), self.source(source, draw)
        return step.extract(step.learn_source(rows, RelationalBoosting()), rows)


def make(name: str) -> Any:
    """Return a method by the name that it has here."""
    if name == TEMPLATES:
        return getattr(import_module(MODULE), CLASS)()
    return PredicateMapping(take="best" if name == "mapping" else name)  # type: ignore[arg-type]


def figures(model: Any, test: Domain) -> tuple[float, float, float]:
    """Return AUC-ROC, AUC-PR and the mean log-likelihood on test rows."""
    p = np.clip(model.predict_proba(test.X)[:, 1], 1e-9, 1 - 1e-9)
    y = test.labels == 1
    likelihood = float(np.mean(np.log(np.where(y, p, 1 - p))))
    return round(float(roc_auc_score(y, p)), 5), round(float(average_precision_score(y, p)), 5), round(likelihood, 5)


def _key(question: Question, fold: int, method: str) -> tuple[str, str, int | None, int, int, str]:
    source = "" if method == SCRATCH else question.source
    return source, question.target, question.positives, question.draw, fold, method


def _draw_of(question: Question) -> int:
    """Return the draw of the source: what is real is one."""
    return question.draw if question.source in ("shuffled", "random") else 0


def _seconds(mapping: float, learning: float, cpu: float) -> tuple[float, float, float]:
    return round(mapping, 4), round(learning, 4), round(cpu, 4)


def _told(model: Any) -> tuple[str, dict[str, float], list[str]]:
    """Return which variant was taken, by which likelihoods, and the mapping."""
    mapping = getattr(model, "mapping", None)
    likelihoods = {name: round(value, 5) for name, value in getattr(model, "likelihoods", {}).items()}
    lines = [] if mapping is None else mapping.lines(model.source.schema, model.source.head)
    return getattr(model, "variant", ""), likelihoods, lines
