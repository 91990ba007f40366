"""Conjunctions of literals about the variables of an example: what a node of a relational tree asks.

The variables of an example are A, B, ... A node asks either how one of them stands, or how two are connected:

- a *condition* on a variable: `professor(A)`, `publication(_, A)`, `inphase(A, "postquals")`, or the same of something
  one step away, `publication(C, A), award(C)`;
- a *path* from one variable to another: `tempadvisedby(A, B)`, or `publication(C, A), publication(C, B)`.

A new variable is read "there is a C such that". Each is evaluated with sparse products, for all examples at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from headstart.relations.examples import Examples
from headstart.relations.facts import Facts, Predicate

VARIABLES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: A type with no more constants than this has values, which a literal may name.
MOST_VALUES = 20


@dataclass(frozen=True, order=True)
class Step:
    """A literal that leads from the variable at one argument to that at another."""

    predicate: str
    start: int
    end: int

    @property
    def back(self) -> Step:
        """The same literal, gone through the other way."""
        return Step(self.predicate, self.end, self.start)


@dataclass(frozen=True, order=True)
class Holds:
    """A literal about the variable at one argument; another argument may be a constant, the others are anything."""

    predicate: str
    position: int
    at: int = -1
    value: str = ""


@dataclass(frozen=True, order=True)
class Condition:
    """What is asked of one variable of the example: a literal about it, or about what a step leads to."""

    variable: int
    steps: tuple[Step, ...]
    last: Holds


@dataclass(frozen=True, order=True)
class Path:
    """A chain of literals from one variable of the example to another."""

    start: int
    end: int
    steps: tuple[Step, ...]


#: What a node asks: all of it must hold.
Conjunction = tuple[Condition | Path, ...]


def predicates_of(part: Condition | Path) -> tuple[str, ...]:
    """Return the predicates of its literals, in order."""
    steps = tuple(step.predicate for step in part.steps)
    return (*steps, part.last.predicate) if isinstance(part, Condition) else steps


def written(parts: Conjunction, schema: Mapping[str, Predicate], arity: int) -> str:
    """Write a conjunction as a clause body.

    >>> schema = {"publication": Predicate("publication", ("title", "person"))}
    >>> written((Path(0, 1, (Step("publication", 1, 0), Step("publication", 0, 1))),), schema, 2)
    'publication(C, A), publication(C, B)'
    """
    literals: list[str] = []
    new = arity

    def literal(name: str, said: Mapping[int, str]) -> None:
        arguments = (said.get(i, "_") for i in range(schema[name].arity))
        literals.append(f"{name}({', '.join(arguments)})")

    for part in parts:
        here = VARIABLES[part.variable if isinstance(part, Condition) else part.start]
        for at, step in enumerate(part.steps):
            if isinstance(part, Path) and at == len(part.steps) - 1:
                there = VARIABLES[part.end]
            else:
                there, new = VARIABLES[new], new + 1
            said = {step.start: here, step.end: there} if step.start != step.end else {step.start: here}
            literal(step.predicate, said)
            here = there
        if isinstance(part, Condition):
            value = {part.last.at: f'"{part.last.value}"'} if part.last.at >= 0 else {}
            literal(part.last.predicate, {part.last.position: here, **value})
    return ", ".join(literals) or "true"


def evaluate(parts: Conjunction, examples: Examples, kept: dict[Any, np.ndarray] | None = None) -> np.ndarray:
    """Return of which examples a conjunction holds, booleans of shape (n,).

    `kept` keeps what was evaluated of the same examples.
    """
    found = np.ones(len(examples), dtype=bool)
    for part in parts:
        key = part
        column = None if kept is None else kept.get(key)
        if column is None:
            column = _column(part, examples)
            if kept is not None:
                kept[key] = column
        found &= column
    return found


def _column(part: Condition | Path, examples: Examples) -> np.ndarray:
    """Return of which examples one condition or path holds."""
    facts, at = examples.facts, examples.positions
    found = np.zeros(len(at), dtype=bool)
    if isinstance(part, Condition):
        vector = _vector(part, facts)
        known = at[:, part.variable] >= 0
        found[known] = vector[at[known, part.variable]]
        return found
    known = (at[:, part.start] >= 0) & (at[:, part.end] >= 0)
    if not known.any():
        return found
    middle = (len(part.steps) + 1) // 2
    left = _product(part.steps[:middle], facts)
    right = _product(tuple(step.back for step in reversed(part.steps[middle:])), facts)
    a, b = at[known, part.start], at[known, part.end]
    if right is None:
        found[known] = np.asarray(left[a, b]).ravel() > 0
    else:
        # The rows of one end times the rows of the other: no product of whole matrices.
        found[known] = np.asarray(left[a].multiply(right[b]).sum(axis=1)).ravel() > 0
    return found


def _product(steps: tuple[Step, ...], facts: Facts) -> Any:
    """Return what a chain of steps leads to, as a sparse matrix; None for no step."""
    if not steps:
        return None
    key = ("product", steps)
    if key not in facts.kept:
        found: csr_matrix = facts.matrix(steps[0].predicate, steps[0].start, steps[0].end)
        for step in steps[1:]:
            found = found @ facts.matrix(step.predicate, step.start, step.end)
            found.data[:] = 1
        facts.kept[key] = found
    return facts.kept[key]


def _vector(condition: Condition, facts: Facts) -> np.ndarray:
    """Return of which constants a condition holds."""
    key = ("vector", condition.steps, condition.last)
    if key not in facts.kept:
        last = condition.last
        if last.at < 0:
            found = facts.holds(last.predicate, last.position)
        else:
            value = facts.constants.get(last.value, -1)
            matrix = facts.matrix(last.predicate, last.position, last.at)
            found = np.zeros(matrix.shape[0], dtype=bool) if value < 0 else matrix[:, [value]].toarray().ravel() > 0
        for step in reversed(condition.steps):
            found = facts.matrix(step.predicate, step.start, step.end) @ found.astype(np.float32) > 0
        facts.kept[key] = found
    return np.asarray(facts.kept[key])


@dataclass(frozen=True)
class Language:
    """Which conjunctions are looked at.

    Parameters
    ----------
    literals : int
        Literals of a conjunction, at most.
    values : bool
        Whether a literal may name a constant, of types with 20 constants at most.
    predicates : sequence of str, optional
        Those that may occur; all of the schema without.
    """

    literals: int = 2
    values: bool = True
    predicates: tuple[str, ...] | None = None


def candidates(facts: Facts, types: Sequence[str], language: Language = Language()) -> list[Conjunction]:
    """Return every conjunction that a node may ask about examples of these types, the shortest first."""
    schema = {
        name: spec for name, spec in facts.schema.items() if language.predicates is None or name in language.predicates
    }
    steps = _steps(schema)
    found: list[Conjunction] = []
    single: list[list[Condition]] = []
    for variable, kind in enumerate(types):
        about = [Condition(variable, (), last) for last in _lasts(facts, schema, kind, language)]
        single.append(about)
        found += [(condition,) for condition in about]
        if language.literals >= 2:
            for step in steps.get(kind, ()):
                of = schema[step.predicate].types[step.end]
                for last in _lasts(facts, schema, of, language):
                    # publication(C, A), publication(C, _) says nothing more than its first literal.
                    if last.at < 0 and last.predicate == step.predicate and last.position == step.end:
                        continue
                    found.append((Condition(variable, (step,), last),))
    for start in range(len(types)):
        for end in range(len(types)):
            if start < end:
                found += [(path,) for path in _paths(schema, steps, types, start, end, language.literals)]
    if language.literals >= 2:
        found += [
            (one, other)
            for i, j in product(range(len(types)), repeat=2)
            if i < j
            for one, other in product(single[i], single[j])
            if one.last.at < 0 and other.last.at < 0
        ]
    return sorted(found, key=lambda parts: _length(parts, schema))


def _length(parts: Conjunction, schema: Mapping[str, Predicate]) -> tuple[int, int]:
    """Return how much a conjunction says: its literals, and their arguments. Of equals the shortest is preferred."""
    names = [name for part in parts for name in predicates_of(part)]
    return len(names), sum(schema[name].arity for name in names)


def _steps(schema: Mapping[str, Predicate]) -> dict[str, list[Step]]:
    """Return, by type, the literals that lead on from a constant of it."""
    found: dict[str, list[Step]] = {}
    for name, spec in schema.items():
        for start, end in product(range(spec.arity), repeat=2):
            if start != end:
                found.setdefault(spec.types[start], []).append(Step(name, start, end))
    return found


def _lasts(facts: Facts, schema: Mapping[str, Predicate], kind: str, language: Language) -> Iterator[Holds]:
    for name, spec in schema.items():
        for position in range(spec.arity):
            if spec.types[position] != kind:
                continue
            yield Holds(name, position)
            for at in range(spec.arity):
                values = facts.of_kind(spec.types[at]) if language.values and at != position else []
                if 1 < len(values) <= MOST_VALUES:
                    yield from (Holds(name, position, at, value) for value in values)


def _paths(
    schema: Mapping[str, Predicate],
    steps: Mapping[str, Sequence[Step]],
    types: Sequence[str],
    start: int,
    end: int,
    longest: int,
) -> Iterator[Path]:
    ways: list[tuple[tuple[Step, ...], str]] = [((), types[start])]
    for _ in range(longest):
        ways = [
            ((*way, step), schema[step.predicate].types[step.end]) for way, kind in ways for step in steps.get(kind, ())
        ]
        yield from (Path(start, end, way) for way, kind in ways if kind == types[end])


def rewritten(
    parts: Conjunction,
    change: Callable[[Step | Holds], Step | Holds | None],
    variable: Callable[[int], int] = lambda at: at,
) -> Conjunction:
    """Return a conjunction with literals and the example's variables changed; a part that loses a literal is gone."""
    found: list[Condition | Path] = []
    for part in parts:
        steps = [change(step) for step in part.steps]
        kept = tuple(step for step in steps if isinstance(step, Step))
        if len(kept) < len(steps):
            continue
        if isinstance(part, Path):
            start, end = variable(part.start), variable(part.end)
            back = tuple(step.back for step in reversed(kept))
            found.append(Path(start, end, kept) if start <= end else Path(end, start, back))
            continue
        last = change(part.last)
        if isinstance(last, Holds):
            found.append(Condition(variable(part.variable), kept, last))
    return tuple(found)
