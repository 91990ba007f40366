"""Facts: what is known of a relational world, predicates over typed constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from headstart.errors import InputError, listed, unknown_name


@dataclass(frozen=True)
class Predicate:
    """A predicate and the types of its arguments.

    >>> print(Predicate("publication", ("title", "person")))
    publication(title, person)
    """

    name: str
    types: tuple[str, ...]

    @property
    def arity(self) -> int:
        """How many arguments it has."""
        return len(self.types)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.types)})"


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a world: ground facts, `publication(title25, person284)`, and the types of their arguments.

    A fact that is not there is false. Unary predicates are kept as boolean vectors and pairs of arguments as sparse
    matrices, so that a conjunction of literals is a sparse product.

    Parameters
    ----------
    schema : dict of str to Predicate
    constants : dict of str to int
        Every constant and its position. Constants of two types may have one name: no literal takes one for the other.
    tuples : dict of str to array of shape (m, arity)
        Of each predicate, positions of its arguments, each fact once.
    kinds : dict of str to array of int
        Of each type, the positions of its constants, in the order of their names.
    name : str

    Examples
    --------
    >>> facts = Facts.of({"professor": [("ann",)], "publication": [("t1", "ann"), ("t1", "bob")]})
    >>> facts
    Facts('facts', 3 facts of 2 predicates, 3 constants of 2 types)
    >>> print(facts.schema["professor"])
    professor(professor)
    >>> facts.matrix("publication", 1, 0).toarray().astype(int).tolist()
    [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    """

    schema: dict[str, Predicate]
    constants: dict[str, int]
    tuples: dict[str, np.ndarray]
    kinds: dict[str, np.ndarray]
    name: str = "facts"
    kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        facts: Mapping[str, Iterable[Sequence[str]]],
        types: Mapping[str, Sequence[str]] | None = None,
        *,
        also: Mapping[str, Iterable[Sequence[str]]] | None = None,
        name: str = "facts",
    ) -> Facts:
        """Make facts of tuples of constants.

        Parameters
        ----------
        facts : mapping of str to iterable of sequences of str
            By predicate.
        types : mapping of str to sequence of str, optional
            The types of a predicate's arguments. Of predicates without an entry they are inferred: two arguments that
            share a constant have the same type. A type is called after the unary predicates that hold of it, or after
            the first predicate in which it occurs.
        also : mapping, optional
            Tuples that tell types and constants, but are no facts: examples of the predicate to learn.
        name : str

        Raises
        ------
        InputError
            When a predicate has two arities, a constant two types, or there is no fact.
        """
        told = {predicate: [tuple(map(str, row)) for row in rows] for predicate, rows in facts.items()}
        beside = {predicate: [tuple(map(str, row)) for row in rows] for predicate, rows in (also or {}).items()}
        if not any(told.values()):
            raise InputError(f"{name}: holds no fact")
        arities = {p: _arity(p, [*told.get(p, []), *beside.get(p, [])], name) for p in {**told, **beside}}
        arities = {p: arity for p, arity in arities.items() if arity}
        given = {p: tuple(types[p]) for p in arities if types and p in types}
        for predicate, of in given.items():
            if len(of) != arities[predicate]:
                raise InputError(
                    f"{name}: {predicate} has {arities[predicate]} arguments, and {len(of)} types are declared"
                )
        schema = _typed(arities, {p: [*told.get(p, []), *beside.get(p, [])] for p in arities}, given)
        every = {p: [*told.get(p, []), *beside.get(p, [])] for p in schema}
        constants = {c: i for i, c in enumerate(sorted({c for rows in every.values() for row in rows for c in row}))}
        ids = {
            p: np.array([constants[c] for row in rows for c in row], dtype=np.int64).reshape(-1, arities[p])
            for p, rows in every.items()
        }
        tuples = {p: _distinct(ids[p][: len(told[p])]) for p in sorted(schema) if p in told}
        of_kind: dict[str, list[np.ndarray]] = {}
        for predicate, spec in schema.items():
            for position, kind in enumerate(spec.types):
                of_kind.setdefault(kind, []).append(ids[predicate][:, position])
        kinds = {kind: np.unique(np.concatenate(of)) for kind, of in sorted(of_kind.items())}
        return cls({p: schema[p] for p in tuples}, constants, tuples, kinds, name)

    def __getstate__(self) -> dict[str, Any]:
        """Return what the facts are, without what was evaluated of them."""
        return {**self.__dict__, "kept": {}}

    def __repr__(self) -> str:
        return (
            f"Facts({self.name!r}, {len(self):,} facts of {len(self.schema)} predicates, {len(self.constants):,} "
            f"constants of {len(self.kinds)} types)"
        )

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.tuples.values())

    @cached_property
    def names(self) -> list[str]:
        """The constants by position."""
        return list(self.constants)

    def of_kind(self, kind: str) -> list[str]:
        """Return the constants of a type, in the order of their names."""
        return [self.names[i] for i in self.kinds.get(kind, ())]

    def predicate(self, name: str) -> Predicate:
        """Return a predicate of the schema.

        Raises
        ------
        InputError
            When there is none of that name.
        """
        if name not in self.schema:
            raise InputError(f"{self.name}: {unknown_name('predicate', name, self.schema)}")
        return self.schema[name]

    def holds(self, name: str, position: int) -> np.ndarray:
        """Return of each constant whether it stands at a position of some fact, booleans; none of no such predicate."""
        key = ("holds", name, position)
        if key not in self.kept:
            found = np.zeros(len(self.constants), dtype=bool)
            if name in self.tuples:
                found[self.tuples[name][:, position]] = True
            self.kept[key] = found
        return np.asarray(self.kept[key])

    def matrix(self, name: str, start: int, end: int) -> csr_matrix:
        """Return which constants at `start` stand in a fact with which at `end`, a sparse matrix of zeros and ones."""
        key = ("matrix", name, start, end)
        if key not in self.kept:
            rows = self.tuples.get(name, np.empty((0, 1 + max(start, end)), dtype=np.int64))
            shape = (len(self.constants), len(self.constants))
            found = csr_matrix((np.ones(len(rows), dtype=np.float32), (rows[:, start], rows[:, end])), shape=shape)
            found.data[:] = 1
            self.kept[key] = found
        return self.kept[key]

    def without(self, *predicates: str) -> Facts:
        """Return the facts without those of some predicates; constants and types stay."""
        left = {name: rows for name, rows in self.tuples.items() if name not in predicates}
        return Facts({name: self.schema[name] for name in left}, self.constants, left, self.kinds, self.name)

    def positions(self, rows: Iterable[Sequence[str]]) -> np.ndarray:
        """Return positions of tuples of constants, shape (m, arity); -1 for a constant that no fact mentions."""
        return np.array([[self.constants.get(str(c), -1) for c in row] for row in rows], dtype=np.int64)


def _distinct(rows: np.ndarray) -> np.ndarray:
    """Return each row once, in order."""
    return np.unique(rows, axis=0) if len(rows) else rows


def _arity(predicate: str, rows: Sequence[tuple[str, ...]], name: str) -> int:
    arities = sorted({len(row) for row in rows})
    if len(arities) > 1:
        first = {len(row): row for row in reversed(rows)}
        raise InputError(
            f"{name}: {predicate} is used with {listed(map(str, arities))} arguments: "
            f"{predicate}({', '.join(first[arities[0]])}) and {predicate}({', '.join(first[arities[1]])}); "
            "give one of them another name"
        )
    if arities == [0]:
        raise InputError(f"{name}: {predicate} has no argument; a fact is about something")
    return arities[0] if arities else 0


def _typed(
    arities: Mapping[str, int],
    rows: Mapping[str, Sequence[tuple[str, ...]]],
    given: Mapping[str, tuple[str, ...]],
) -> dict[str, Predicate]:
    """Return the schema: arguments of one type where they share a constant or are declared so."""
    places = [(p, i) for p in sorted(arities) for i in range(arities[p])]
    root = {place: place for place in places}

    def find(place: tuple[str, int]) -> tuple[str, int]:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    def join(one: tuple[str, int], other: tuple[str, int]) -> None:
        one, other = find(one), find(other)
        root[max(one, other)] = min(one, other)

    first: dict[Any, tuple[str, int]] = {}
    of_declared: dict[str, dict[str, tuple[str, int]]] = {}
    for predicate, position in places:
        declared = given.get(predicate)
        keys: Iterable[Any] = {row[position] for row in rows[predicate]}
        if declared:
            # What is declared is one type where it is so called, and no other, though constants have the same name.
            for constant in keys:
                of_declared.setdefault(constant, {})[declared[position]] = (predicate, position)
            keys = [("type", declared[position])]
        for key in keys:
            join(first.setdefault(key, (predicate, position)), (predicate, position))
    for predicate, position in places:
        if of_declared and predicate not in given:
            shared = [of_declared.get(row[position], {}) for row in rows[predicate]]
            kinds = {kind: place for of in shared for kind, place in of.items()}
            if len(kinds) > 1:
                raise InputError(
                    f"argument {position + 1} of {predicate} holds constants of several declared types, "
                    f"{listed(sorted(kinds))}; declare its types too"
                )
            for place in kinds.values():
                join(place, (predicate, position))
    groups: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for place in places:
        groups.setdefault(find(place), []).append(place)
    names: dict[tuple[str, int], str] = {}
    for head, members in groups.items():
        declared_here = [given[p][i] for p, i in members if p in given]
        names[head] = declared_here[0] if declared_here else _name_of_type(members, arities)
    twice = {name for name in names.values() if list(names.values()).count(name) > 1}
    for head, name in names.items():
        if name in twice and not any(p in given for p, _ in groups[head]):
            names[head] = f"{head[0]}_{head[1] + 1}"
    return {p: Predicate(p, tuple(names[find((p, i))] for i in range(arity))) for p, arity in arities.items()}


def _name_of_type(members: Sequence[tuple[str, int]], arities: Mapping[str, int]) -> str:
    binary = [(p, i) for p, i in members if arities[p] > 1]
    unary = [p for p, _ in members if arities[p] == 1]
    if unary:
        return "/".join(unary[:2])
    predicate, position = binary[0]
    return predicate if len(binary) == 1 else f"{predicate}_{position + 1}"
