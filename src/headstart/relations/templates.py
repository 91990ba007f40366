"""Second-order templates: what a conjunction says when nobody knows the names of its predicates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from typing import Any

from headstart.errors import StoreError
from headstart.relations.facts import Predicate
from headstart.relations.literals import Condition, Conjunction, Holds, Path, Step, rewritten, written

#: How predicates of a template are written.
LETTERS = "PQRSTUVW"


@dataclass(frozen=True)
class Template:
    """A conjunction with variables in the places of its predicates' names, in a canonical form.

    Two conjunctions, of one world or of two, have one template when a renaming of predicates and constants turns one
    into the other. What stays: conditions and paths, which literals have the same predicate, arities, whether a
    constant is named, and which arguments of the head have the same type. The order of arguments stays where it alone
    tells them apart, between arguments of one type (`parent(A, B)` is not `parent(B, A)`); arguments of different types
    may stand in any order.

    Attributes
    ----------
    head : tuple of int
        Of each argument of the head, the number of its type, by first appearance: (0, 0) where both are of one.
    arities : tuple of int
        Of each predicate.
    parts : Conjunction
        Its predicates are "0", "1", ... by first appearance, and constants are left out.

    Examples
    --------
    >>> schema = {"publication": Predicate("publication", ("title", "person"))}
    >>> asks = (Path(0, 1, (Step("publication", 1, 0), Step("publication", 0, 1))),)
    >>> template = Template.of(asks, schema, Predicate("advisedby", ("person", "person")))
    >>> template.name, str(template)
    ('co-occurrence', 'P(A, C), P(B, C)')
    >>> template.key
    '[[0,0],[2],[["path",0,1,[[0,0,1],[0,1,0]]]]]'
    >>> Template.read(template.key) == template
    True
    """

    head: tuple[int, ...]
    arities: tuple[int, ...]
    parts: Conjunction

    @classmethod
    def of(cls, asks: Conjunction, schema: Mapping[str, Predicate], head: Predicate) -> Template:
        """Return the template of a conjunction about examples of a predicate."""
        found = [
            _numbered(each, schema, tuple(head.types[at] for at in order))
            for order in _orders(head.types)
            for each in permutations(_reordered(asks, order))
        ]
        return min(found, key=lambda template: template.key)

    @cached_property
    def key(self) -> str:
        """The template in JSON."""
        told = [list(self.head), list(self.arities), [_told(part) for part in self.parts]]
        return json.dumps(told, separators=(",", ":"))

    @classmethod
    def read(cls, key: str) -> Template:
        """Return the template of a key.

        Raises
        ------
        StoreError
            When it is no such key.
        """
        try:
            head, arities, parts = json.loads(key)
            return cls(tuple(head), tuple(arities), tuple(_heard(part) for part in parts))
        except (ValueError, TypeError, IndexError) as error:
            raise StoreError(f"{key!r} is no template; learn the knowledge again") from error

    def __str__(self) -> str:
        name = {str(i): LETTERS[i] for i in range(len(self.arities))}
        schema = {name[str(i)]: Predicate(name[str(i)], ("",) * arity) for i, arity in enumerate(self.arities)}

        def change(literal: Step | Holds) -> Step | Holds:
            new = replace(literal, predicate=name[literal.predicate])
            return replace(new, value="c") if isinstance(new, Holds) and new.at >= 0 else new

        return written(rewritten(self.parts, change), schema, len(self.head))

    @property
    def name(self) -> str:
        """What it is called: homophily, symmetry, transitivity, co-occurrence, path, attribute, ..."""
        if len(self.parts) > 1:
            first, *others = self.parts
            same = all(isinstance(one, Condition) and _about(one) == _about(first) for one in others)
            return "homophily" if same else "attributes of both"
        (part,) = self.parts
        return _path_name(part.steps, self.head) if isinstance(part, Path) else self._condition_name(part)

    def _condition_name(self, condition: Condition) -> str:
        if condition.last.at >= 0:
            name = "value"
        else:
            name = "attribute" if self.arities[int(condition.last.predicate)] == 1 else "part in a relation"
        return f"{name} of a neighbour" if condition.steps else name


def _path_name(steps: tuple[Step, ...], head: tuple[int, ...]) -> str:
    if len(steps) == 1:
        return "symmetry" if len(set(head)) == 1 and steps[0].start > steps[0].end else "direct link"
    if len(steps) == 2 and steps[1] == steps[0].back:
        return "co-occurrence"
    return "transitivity" if len(set(steps)) == 1 else "path"


def _about(part: Condition | Path) -> object:
    return (part.steps, part.last) if isinstance(part, Condition) else part


def _orders(types: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the orders of arguments in which those of one type stay in theirs."""
    for order in permutations(range(len(types))):
        if all(i < j or types[i] != types[j] for at, i in enumerate(order) for j in order[at + 1 :]):
            yield order


def _reordered(asks: Conjunction, order: tuple[int, ...]) -> Conjunction:
    """Return a conjunction about the example's variables in another order."""
    return rewritten(asks, lambda literal: literal, order.index)


def _numbered(asks: Conjunction, schema: Mapping[str, Predicate], head: tuple[str, ...]) -> Template:
    """Return a conjunction, as it is ordered, with predicates and arguments numbered."""
    mentioned: dict[str, list[int]] = {}
    for part in asks:
        for step in part.steps:
            mentioned.setdefault(step.predicate, []).extend((step.start, step.end))
        if isinstance(part, Condition):
            places = [part.last.position, part.last.at] if part.last.at >= 0 else [part.last.position]
            mentioned.setdefault(part.last.predicate, []).extend(places)
    number = {name: str(i) for i, name in enumerate(mentioned)}
    place: dict[str, dict[int, int]] = {}
    for name, positions in mentioned.items():
        types = schema[name].types
        kinds = dict.fromkeys([*(types[i] for i in positions), *types])
        ordered = [i for kind in kinds for i in range(len(types)) if types[i] == kind]
        place[name] = {i: at for at, i in enumerate(ordered)}

    def change(literal: Step | Holds) -> Step | Holds:
        name, at = literal.predicate, place[literal.predicate]
        if isinstance(literal, Step):
            return Step(number[name], at[literal.start], at[literal.end])
        return Holds(number[name], at[literal.position], at.get(literal.at, -1))

    types_of_head = list(dict.fromkeys(head))
    return Template(
        tuple(types_of_head.index(kind) for kind in head),
        tuple(schema[name].arity for name in mentioned),
        rewritten(asks, change),
    )


def _told(part: Condition | Path) -> list[object]:
    steps = [[int(step.predicate), step.start, step.end] for step in part.steps]
    if isinstance(part, Path):
        return ["path", part.start, part.end, steps]
    return ["condition", part.variable, steps, [int(part.last.predicate), part.last.position, part.last.at]]


def _heard(told: Sequence[Any]) -> Condition | Path:
    if told[0] == "path":
        _, start, end, ways = told
        return Path(int(start), int(end), _steps(ways))
    _, variable, ways, (name, position, at) = told
    return Condition(int(variable), _steps(ways), Holds(str(name), int(position), int(at)))


def _steps(told: Sequence[Sequence[int]]) -> tuple[Step, ...]:
    return tuple(Step(str(name), int(start), int(end)) for name, start, end in told)
