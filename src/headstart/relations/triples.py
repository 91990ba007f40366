"""Knowledge graphs: entities, and triples that say which relation holds between which two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from headstart.errors import InputError, listed, unknown_name


def no_triples() -> np.ndarray:
    """Return no triples, shape (0, 3)."""
    return np.empty((0, 3), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class KnowledgeGraph:
    """Entities, and triples (head, relation, tail) by positions; with literals, (entity, attribute, value) too.

    Parameters
    ----------
    entities, relations : sequences of str
        Names, each once.
    triples : int array of shape (t, 3)
        Positions of head, relation and tail.
    attributes, values : sequences of str
        Names of the attributes, and the texts that are values.
    literals : int array of shape (a, 3)
        Positions of entity, attribute and value.

    Raises
    ------
    InputError
        When there is no entity, a name comes twice, or a triple names what is not there.

    Examples
    --------
    >>> graph = KnowledgeGraph.of([("Ada", "knows", "Bob"), ("Bob", "lives in", "Rome")])
    >>> graph
    KnowledgeGraph(3 entities, 2 relations, 2 triples)
    >>> graph.entities, graph.triples.tolist()
    (('Ada', 'Bob', 'Rome'), [[0, 0, 1], [1, 1, 2]])
    """

    entities: Sequence[str]
    relations: Sequence[str]
    triples: np.ndarray
    attributes: Sequence[str] = ()
    values: Sequence[str] = ()
    literals: np.ndarray = field(default_factory=no_triples)

    def __post_init__(self) -> None:
        if not len(self.entities):
            raise InputError("a graph needs entities; this one has none")
        for kind, names in (("entity", self.entities), ("relation", self.relations), ("attribute", self.attributes)):
            if len(set(names)) < len(names):
                seen: set[str] = set()
                twice = [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
                raise InputError(f"a graph names each {kind} once; twice there is {listed(dict.fromkeys(twice), 3)}")
        sizes = len(self.entities), len(self.relations), len(self.entities)
        object.__setattr__(self, "triples", _positions(self.triples, sizes, "triples"))
        sizes = len(self.entities), len(self.attributes), len(self.values)
        object.__setattr__(self, "literals", _positions(self.literals, sizes, "literals"))

    def __repr__(self) -> str:
        literals = f", {len(self.literals)} literals" if len(self.literals) else ""
        return (
            f"KnowledgeGraph({len(self.entities)} entities, {len(self.relations)} relations, "
            f"{len(self.triples)} triples{literals})"
        )

    def __len__(self) -> int:
        return len(self.entities)

    @classmethod
    def of(
        cls,
        triples: Iterable[Sequence[Any]],
        literals: Iterable[Sequence[Any]] = (),
        *,
        entities: Iterable[Any] = (),
    ) -> Self:
        """Return the graph of triples of names; positions follow the order in which names first appear.

        Parameters
        ----------
        triples : iterable of (head, relation, tail)
        literals : iterable of (entity, attribute, value), optional
            Values are compared as text.
        entities : iterable of names, optional
            Entities that come first, and are there even if no triple names them.

        Raises
        ------
        InputError
            When a triple has not three parts, or there is no entity.
        """
        places: dict[str, int] = {}
        for name in entities:
            places.setdefault(str(name), len(places))
        relations: dict[str, int] = {}
        attributes: dict[str, int] = {}
        values: dict[str, int] = {}
        rows = _numbered(triples, (places, relations, places), "triple")
        texts = _numbered(literals, (places, attributes, values), "literal")
        return cls(tuple(places), tuple(relations), rows, tuple(attributes), tuple(values), texts)

    @cached_property
    def places(self) -> dict[str, int]:
        """The position of each entity's name."""
        return {name: place for place, name in enumerate(self.entities)}

    def find(self, names: Any, where: str = "") -> np.ndarray:
        """Return the positions of entities that are given by name or by position, shape (n,).

        Raises
        ------
        InputError
            When an entity is not there.
        """
        given = np.asarray(names)
        if given.ndim != 1:
            raise InputError(f"{where or 'names'}: give a list of names or positions, not an array of {given.shape}")
        if given.dtype.kind in "iu":
            if len(given) and (given.min() < 0 or given.max() >= len(self)):
                raise InputError(f"{where or 'positions'}: there are {len(self)} entities, from 0 to {len(self) - 1}")
            return given.astype(np.int64)
        found = np.empty(len(given), dtype=np.int64)
        for row, name in enumerate(given.tolist()):
            place = self.places.get(str(name))
            if place is None:
                # Close names are looked for among few: the search is slow.
                raise InputError(
                    unknown_name("entity", name, self.entities, where)
                    if len(self) <= 1000
                    else f"{where + ': ' if where else ''}no entity {str(name)!r} among {len(self)}"
                )
            found[row] = place
        return found

    def in_order(self) -> tuple[KnowledgeGraph, np.ndarray]:
        """Return the graph with names and triples sorted, each triple once, and where its entities stood, shape (n,).

        What is computed on it does not depend on the order in which the graph was given.
        """
        entity, entities = _sorted(self.entities)
        relation, relations = _sorted(self.relations)
        attribute, attributes = _sorted(self.attributes)
        value, values = _sorted(self.values)
        triples, literals = self.triples, self.literals
        graph = KnowledgeGraph(
            [self.entities[i] for i in entities],
            [self.relations[i] for i in relations],
            np.unique(np.stack([entity[triples[:, 0]], relation[triples[:, 1]], entity[triples[:, 2]]], 1), axis=0),
            [self.attributes[i] for i in attributes],
            [self.values[i] for i in values],
            np.unique(np.stack([entity[literals[:, 0]], attribute[literals[:, 1]], value[literals[:, 2]]], 1), axis=0),
        )
        return graph, entities


def _sorted(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return where each name goes when sorted, and which name goes there."""
    order = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place, order


def _numbered(rows: Iterable[Sequence[Any]], places: tuple[dict[str, int], ...], kind: str) -> np.ndarray:
    found = []
    for row in rows:
        if isinstance(row, str) or len(row) != 3:
            raise InputError(f"a {kind} has three parts, not {row!r}")
        found.append([known.setdefault(str(name), len(known)) for name, known in zip(row, places, strict=True)])
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def _positions(rows: Any, sizes: tuple[int, int, int], what: str) -> np.ndarray:
    rows = np.array(rows)
    if rows.size == 0:
        return no_triples()
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype.kind not in "iu":
        raise InputError(f"{what} must be whole numbers of shape (t, 3), not {rows.dtype} {rows.shape}")
    if rows.min() < 0 or (rows.max(axis=0) >= sizes).any():
        raise InputError(f"{what} name positions beyond the {' and '.join(map(str, sizes))} that there are")
    return rows.astype(np.int64)
