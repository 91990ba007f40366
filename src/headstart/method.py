"""Method: transfer in four steps, what a method needs, and the knowledge that travels.

Every method of every family runs the same four steps:

1. `learn_source`: learn the source task,
2. `extract`: take out the knowledge that is to travel,
3. `carry`: bring it to the target,
4. `learn_target`: learn the target task with it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, Literal

from sklearn.base import BaseEstimator

from headstart.domain import WORLDS, Domain, Task
from headstart.errors import NeedsError
from headstart.fitting import Predictor, is_linear, is_plain, takes_weights

#: Arrays and parts that a printed knowledge names.
SHOWN = 8
#: What rows may be, as it is said in a message.
CALLED = {"table": "a table", "facts": "facts", "graph": "a graph", "ratings": "ratings"}
STEPS = ("learn the source task", "extract knowledge", "carry it over", "learn the target task")


class Family(StrEnum):
    """What a method moves."""

    BASELINE = "baseline"
    INSTANCES = "instance-based"
    FEATURES = "feature-based"
    MODELS = "model-based"
    RELATIONS = "relation-based"


@dataclass(frozen=True)
class Needs:
    """What a method needs to work.

    Parameters
    ----------
    target_labels : bool
        At least one labelled target row.
    source_labels : bool
        Labelled source rows. Only learning from the target alone does without.
    source_rows : bool
        The source rows themselves, when the knowledge is carried over. Without, the knowledge can travel to a
        place where the source data may not go.
    target_rows : bool
        Target rows (labelled or not) beyond those that the learner is fitted on.
    same_features : bool
        Source and target rows with the same columns. Without, each domain may have columns of its own: other names,
        and another number of them.
    dense : bool
        Rows that are not sparse.
    items : bool
        The pictures or texts themselves, beside their features: the method trains a network on them.
    pairs : bool
        Rows of both domains in which the same thing was measured: `Domain.pair` says which.
    learner : {"any", "weighted", "linear"}
        Any learner; one that takes `sample_weight`; or a linear or logistic regression.
    tasks : tuple of {"classification", "regression"}
    prepared_on : {"both", "source", "target"}
        Which rows a vectoriser in front of the method may be fitted on.
    reads : tuple of str
        What rows may be: of a table (features of pictures and texts are too), examples of facts, nodes of a graph.
    """

    target_labels: bool = False
    source_labels: bool = True
    source_rows: bool = True
    target_rows: bool = False
    same_features: bool = True
    dense: bool = False
    items: bool = False
    pairs: bool = False
    learner: Literal["any", "weighted", "linear"] = "weighted"
    tasks: tuple[Task, ...] = ("classification", "regression")
    prepared_on: Literal["both", "source", "target"] = "both"
    reads: tuple[str, ...] = ("table",)


@dataclass(frozen=True)
class Knowledge:
    """What leaves the source.

    Parameters
    ----------
    method : str
        Class name of the method that extracted it.
    holds_source_rows : bool
        Whether source rows are inside.
    arrays : dict of str to array
        Named arrays.
    parts : dict of str to object
        Fitted scikit-learn objects.
    facts : dict
        Whatever else there is to say, in plain JSON types: classes, number of rows, settings.
    """

    method: str
    holds_source_rows: bool
    arrays: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        inside = [
            *(f"{name} {tuple(a.shape)}" for name, a in self.arrays.items() if a is not None),
            *self.parts,
        ]
        if len(inside) > SHOWN:
            inside = [*inside[:SHOWN], f"and {len(inside) - SHOWN} more"]
        rows = "with source rows" if self.holds_source_rows else "no source row"
        return f"Knowledge({self.method}: {', '.join(inside) or 'nothing'}; {rows})"


class Method(BaseEstimator, ABC):
    """A way to carry knowledge from a source domain to a target domain."""

    family: ClassVar[Family]
    needs: ClassVar[Needs] = Needs()

    def refuses(self, learner: Any) -> str | None:
        """Say what keeps the method from working with a learner, where `needs` has no word for it; None if nothing."""
        return None

    def lacks(self, source: Domain, target: Domain) -> str | None:
        """Say what is not in these domains though the method lives on it, where `needs` has no word for it."""
        return None

    @abstractmethod
    def learn_source(self, source: Domain, learner: Any) -> Any:
        """Step 1: learn the source task; return what was learned."""

    @abstractmethod
    def extract(self, learned: Any, source: Domain) -> Knowledge:
        """Step 2: take out of what was learned the knowledge that is to travel."""

    @abstractmethod
    def carry(self, knowledge: Knowledge, target: Domain) -> Any:
        """Step 3: bring the knowledge to the target; return what has arrived."""

    @abstractmethod
    def learn_target(self, carried: Any, target: Domain, learner: Any) -> Predictor:
        """Step 4: learn the target task with what has arrived; return a predictor for target rows."""


class RowMethod(Method):
    """A method whose knowledge is the labelled source rows themselves (instance- and feature-based methods)."""

    def learn_source(self, source: Domain, learner: Any) -> Domain:
        """Step 1: the source task is given by its labelled rows; keep those."""
        return source.labelled_rows()

    def extract(self, learned: Domain, source: Domain) -> Knowledge:
        """Step 2: the rows and their labels are the knowledge."""
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=True,
            arrays={
                "X": learned.X,
                "y": learned.labels,
                "origin": learned.origin,
                "weight": learned.weight,
                "pair": learned.pair,
            },
            facts={"rows": len(learned)},
        )


class AllRowsMethod(RowMethod):
    """A row method that also learns from source rows without a label."""

    def learn_source(self, source: Domain, learner: Any) -> Domain:
        """Step 1: keep the labelled rows, and the others, which show the source's shape or have a partner."""
        return source

    def extract(self, learned: Domain, source: Domain) -> Knowledge:
        """Step 2: the rows, their labels where known, and what was measured in each are the knowledge."""
        knowledge = super().extract(learned, source)
        return replace(knowledge, arrays={**knowledge.arrays, "y": learned.y})


@dataclass(frozen=True)
class Journey:
    """The four steps, done: the predictor, the knowledge that travelled, and the seconds of each step."""

    predictor: Any
    knowledge: Knowledge
    seconds: dict[str, float]


def unannounced(step: str) -> None:
    """Tell nobody that a step begins."""


def learn_and_extract(
    method: Method, source: Domain, learner: Any, announce: Callable[[str], None] = unannounced
) -> tuple[Knowledge, dict[str, float]]:
    """Run steps 1 and 2, at the source; `announce` is told each step as it begins."""
    require(method, learner, source=source)
    clock: dict[str, float] = {}
    learned = _timed(clock, STEPS[0], announce, lambda: method.learn_source(source, learner))
    return _timed(clock, STEPS[1], announce, lambda: method.extract(learned, source)), clock


def carry_and_learn(
    method: Method,
    knowledge: Knowledge,
    target: Domain,
    learner: Any,
    announce: Callable[[str], None] = unannounced,
) -> tuple[Predictor, dict[str, float]]:
    """Run steps 3 and 4, at the target."""
    require(method, learner, target=target)
    clock: dict[str, float] = {}
    carried = _timed(clock, STEPS[2], announce, lambda: method.carry(knowledge, target))
    return _timed(clock, STEPS[3], announce, lambda: method.learn_target(carried, target, learner)), clock


def four_steps(
    method: Method,
    source: Domain,
    target: Domain,
    learner: Any,
    announce: Callable[[str], None] = unannounced,
) -> Journey:
    """Run a method's four steps and time each."""
    knowledge, before = learn_and_extract(method, source, learner, announce)
    predictor, after = carry_and_learn(method, knowledge, target, learner, announce)
    return Journey(predictor, knowledge, {**before, **after})


def _timed(clock: dict[str, float], step: str, announce: Callable[[str], None], work: Callable[[], Any]) -> Any:
    announce(step)
    start = time.perf_counter()
    done = work()
    clock[step] = time.perf_counter() - start
    return done


def unmet_needs(
    method: Method,
    learner: Any,
    *,
    task: Task | None = None,
    source: Domain | None = None,
    target: Domain | None = None,
    different: bool = False,
) -> str | None:
    """Say in a few words what a method lacks to work here; None when nothing.

    `different` says that source and target rows have different columns.
    """
    from scipy.sparse import issparse

    needs = method.needs
    here = [domain for domain in (source, target) if domain is not None]
    for domain in here:
        kind = domain.modality if domain.modality in WORLDS else "table"
        if kind not in needs.reads:
            return f"is for {' or '.join(CALLED[each] for each in needs.reads)}, and {domain.name} is {CALLED[kind]}"
    if task is not None and task not in needs.tasks:
        return f"is not for {task}"
    if different and needs.same_features and needs.source_labels:
        return "needs source and target rows with the same columns"
    if needs.learner == "linear" and not is_linear(learner):
        return f"needs a linear learner (logistic regression, ridge), not {type(learner).__name__}"
    if needs.learner == "linear" and not is_plain(learner):
        return f"knows squared penalties only and no sign constraints, not {learner!r}"
    if needs.learner == "weighted" and not takes_weights(learner):
        return f"needs a learner that takes sample_weight, and {type(learner).__name__} takes none"
    refused = method.refuses(learner)
    if refused:
        return refused
    if target is not None and needs.target_labels and not target.n_labelled:
        return "needs labelled target rows, and there are none"
    if needs.pairs and any(domain.pair is None for domain in here):
        return "learns from paired rows; say with pair=... (--pair) what was measured in each row"
    if needs.items and any(domain.items is None for domain in here):
        return "trains a network on pictures or texts, and these rows are a table"
    if needs.dense and any(issparse(domain.X) for domain in here):
        return "takes no sparse rows"
    return None


def require(
    method: Method,
    learner: Any,
    *,
    source: Domain | None = None,
    target: Domain | None = None,
    different: bool = False,
) -> None:
    """Refuse what a method can't work with.

    Raises
    ------
    NeedsError
        With the method's name and what it lacks.
    """
    name = type(method).__name__
    if source is not None and method.needs.source_labels and not source.n_labelled:
        raise NeedsError(f"{name} needs labelled source rows, and there are none")
    lack = unmet_needs(method, learner, source=source, target=target, different=different)
    if lack:
        raise NeedsError(f"{name} {lack}")
