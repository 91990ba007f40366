"""Mapping predicates: which predicate of the target plays the part of which of the source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from urllib.parse import quote, unquote

import numpy as np

from headstart.errors import NeedsError
from headstart.relations.facts import Facts, Predicate
from headstart.relations.literals import Conjunction, Holds, Step, rewritten
from headstart.relations.trees import Leaf, Node, Tree, nodes


@dataclass(frozen=True)
class Image:
    """What a source predicate becomes: argument i of the source is argument `places[i]` of the target predicate."""

    predicate: str
    places: tuple[int, ...]


@dataclass(frozen=True)
class PredicateMap:
    """A mapping of predicates and, following from it, of types.

    Attributes
    ----------
    head : Image
        Of the predicate that is learned.
    images : dict of str to Image or None
        By source predicate; None where the target has nothing that plays its part.
    kinds : dict of str to str
        By source type.
    """

    head: Image
    images: dict[str, Image | None]
    kinds: dict[str, str] = field(default_factory=dict)

    def lines(self, source: Mapping[str, Predicate], head: Predicate) -> list[str]:
        """Return the mapping in readable lines."""
        found = []
        for name, image in {head.name: self.head, **self.images}.items():
            arity = len(image.places) if image else source[name].arity
            here = f"{name}({', '.join('ABCDEFG'[:arity])})"
            if image is None:
                found.append(f"{here} -> nothing")
                continue
            there = np.argsort(image.places).tolist()
            found.append(f"{here} -> {image.predicate}({', '.join('ABCDEFG'[i] for i in there)})")
        return found


def translated(tree: Tree, mapping: PredicateMap, values: Callable[[str], bool]) -> Tree:
    """Return a tree in the target's predicates.

    A literal without an image is dropped with its part of the conjunction; a node that asks nothing any more gives way
    to its larger branch. A constant stays where the target has one of its name, and becomes "anything" elsewhere.
    """
    if isinstance(tree, Leaf):
        return tree
    asks = translated_conjunction(tree.asks, mapping, values)
    if not asks:
        return translated(tree.yes if tree.yes.rows >= tree.no.rows else tree.no, mapping, values)
    return Node(asks, translated(tree.yes, mapping, values), translated(tree.no, mapping, values))


def translated_conjunction(asks: Conjunction, mapping: PredicateMap, values: Callable[[str], bool]) -> Conjunction:
    """Return a conjunction in the target's predicates; parts without an image are gone."""
    variable = mapping.head.places

    def change(literal: Step | Holds) -> Step | Holds | None:
        image = mapping.images.get(literal.predicate)
        if image is None:
            return None
        if isinstance(literal, Step):
            return Step(image.predicate, image.places[literal.start], image.places[literal.end])
        place = image.places[literal.position]
        if literal.at < 0 or not values(literal.value):
            return Holds(image.predicate, place)
        return Holds(image.predicate, place, image.places[literal.at], literal.value)

    return rewritten(asks, change, lambda at: variable[at])


def uses(trees: Sequence[Tree]) -> dict[str, float]:
    """Return the predicates that trees ask about, with the examples that were asked, in order of appearance."""
    from headstart.relations.literals import predicates_of

    found: dict[str, float] = {}
    for tree in trees:
        for node in nodes(tree):
            for part in node.asks:
                for name in predicates_of(part):
                    found[name] = found.get(name, 0.0) + node.rows
    return found


@dataclass(frozen=True)
class Search:
    """Which mappings are legal.

    A source predicate goes to a target predicate of the same arity, or to nothing. Types go with it, one to one and
    the same wherever they occur; two source predicates have different images.

    Parameters
    ----------
    inversion : bool
        Whether arguments may change places.
    empty : bool
        Whether a predicate may go to nothing though there are images for it.
    most : int
        Mappings looked at; what comes first is what the order of predicates and the closeness of names give.
    """

    inversion: bool = True
    empty: bool = True
    most: int = 20_000

    def legal(
        self,
        order: Sequence[str],
        source: Mapping[str, Predicate],
        source_head: Predicate,
        target: Mapping[str, Predicate],
        target_head: Predicate,
    ) -> Iterator[PredicateMap]:
        """Yield legal mappings of the predicates in `order`, depth first."""
        if source_head.arity != target_head.arity:
            raise NeedsError(
                f"no legal mapping: {source_head} has {source_head.arity} arguments and {target_head} "
                f"{target_head.arity}; predicates of one arity can be mapped"
            )
        start = [
            PredicateMap(Image(target_head.name, places), {}, agreed)
            for places in self._places(target_head.arity)
            if (agreed := agreeing({}, source_head.types, [target_head.types[i] for i in places])) is not None
        ]
        if not start:
            raise NeedsError(
                f"no legal mapping: the types of {source_head} can't go one to one to those of {target_head}; "
                "declare types that fit (types=...)"
            )
        made = 0
        waiting = list(reversed(start))
        while waiting and made < self.most:
            mapping = waiting.pop()
            if len(mapping.images) == len(order):
                made += 1
                yield mapping
            else:
                more = self.further(mapping, order[len(mapping.images)], source, target)
                waiting.extend(reversed(list(more)))

    def further(
        self, mapping: PredicateMap, name: str, source: Mapping[str, Predicate], target: Mapping[str, Predicate]
    ) -> Iterator[PredicateMap]:
        """Yield the legal mappings that map one predicate more."""
        spec = source[name]
        taken = {image.predicate for image in mapping.images.values() if image}
        several = False
        for candidate in target.values():
            if candidate.arity != spec.arity or candidate.name in taken:
                continue
            for places in self._places(spec.arity):
                agreed = agreeing(mapping.kinds, spec.types, [candidate.types[i] for i in places])
                if agreed is not None:
                    several = True
                    yield PredicateMap(mapping.head, {**mapping.images, name: Image(candidate.name, places)}, agreed)
        if self.empty or not several:
            yield PredicateMap(mapping.head, {**mapping.images, name: None}, mapping.kinds)

    def _places(self, arity: int) -> list[tuple[int, ...]]:
        return list(permutations(range(arity))) if self.inversion else [tuple(range(arity))]


def agreeing(kinds: Mapping[str, str], source: Sequence[str], target: Sequence[str]) -> dict[str, str] | None:
    """Return the type mapping with more pairs, or None where it would not be one to one.

    >>> agreeing({"film": "paper"}, ["film", "person"], ["paper", "human"])
    {'film': 'paper', 'person': 'human'}
    >>> agreeing({"film": "paper"}, ["film", "person"], ["human", "paper"])
    """
    found = dict(kinds)
    for one, other in zip(source, target, strict=True):
        if found.setdefault(one, other) != other:
            return None
    return found if len(set(found.values())) == len(found) else None


def walk_statistics(facts: Facts, names: Sequence[str]) -> dict[str, float]:
    """Return, of a random walk on the facts, how often one literal can follow another, and how many ends each has.

    The share of the ends of step a from which step b can be taken, by "a>b"; and the mean number of ends of each step,
    in logarithms, by its name. No label is looked at: what plays the same part in two worlds has similar figures.
    """
    steps = [Step(p, i, j) for p in names for i, j in permutations(range(facts.schema[p].arity), 2)]
    found: dict[str, float] = {}
    lasts = [(p, i) for p in names for i in range(facts.schema[p].arity)]
    for step in steps:
        matrix = facts.matrix(step.predicate, step.start, step.end)
        degree = np.diff(matrix.indptr)
        found[_key(step)] = float(np.log(degree[degree > 0].mean())) if matrix.nnz else 0.0
        ends = np.asarray(matrix.sum(axis=0)).ravel()
        for p, i in lasts:
            if facts.schema[p].types[i] == facts.schema[step.predicate].types[step.end]:
                found[f"{_key(step)}>{_place(p, i)}"] = float((ends * facts.holds(p, i)).sum() / max(ends.sum(), 1))
    for p, i in lasts:
        here = facts.holds(p, i)
        of_kind = len(facts.kinds[facts.schema[p].types[i]])
        found[_place(p, i)] = float(here.sum() / max(of_kind, 1))
        for q, j in lasts:
            if q != p and facts.schema[p].types[i] == facts.schema[q].types[j]:
                found[f"{_place(p, i)}&{_place(q, j)}"] = float((here & facts.holds(q, j)).sum() / max(here.sum(), 1))
    return found


def _key(step: Step) -> str:
    return _place(step.predicate, f"{step.start}{step.end}")


def _place(name: str, places: object) -> str:
    """Write a predicate and arguments of it; the key's own signs are written otherwise in a name."""
    return f"{quote(name, safe='')}/{places}"


_PLACE = re.compile(r"(?P<name>[^/>&]+)/(?P<places>\d+)")


def walk_likeness(
    mapping: PredicateMap,
    source: Mapping[str, float],
    target: Mapping[str, float],
    weight: Mapping[str, float] | None = None,
) -> float:
    """Return how alike the walks are, 1 for the same: minus the mean difference of the statistics that map.

    What is mapped to nothing, or happens in one world and never in the other, counts as different. With `weight`, a
    statistic counts as much as the less used of its predicates.
    """
    total, differing = 0.0, 0.0
    for key, value in source.items():
        places = [(unquote(found["name"]), found["places"]) for found in _PLACE.finditer(key)]
        if any(name not in mapping.images for name, _ in places):
            continue
        w = min((weight or {}).get(name, 1.0) for name, _ in places)
        images = [mapping.images[name] for name, _ in places]
        total += w
        if any(image is None for image in images):
            differing += w
            continue
        parts = [
            _place(image.predicate, "".join(str(image.places[int(place)]) for place in at))
            for image, (_, at) in zip(images, places, strict=True)
            if image
        ]
        other = target.get(_renamed(key, parts))
        differing += w * (1.0 if other is None or (value > 0) != (other > 0) else min(abs(value - other), 1.0))
    return 1.0 - differing / total if total else 0.0


def _renamed(key: str, parts: Sequence[str]) -> str:
    """Return the key of a statistic with its predicates and places replaced, one after the other.

    >>> _renamed("actor/0&movie/1", ["student/0", "publication/1"])
    'student/0&publication/1'
    """
    signs = _PLACE.sub("\0", key).split("\0")
    return "".join(sign + part for sign, part in zip(signs, [*parts, ""], strict=True))


def name_likeness(mapping: PredicateMap) -> float:
    """Return how alike the names of predicates and their images are, between 0 and 1."""
    pairs = [(name, image.predicate if image else None) for name, image in mapping.images.items()]
    return float(np.mean([0.0 if there is None else _alike(here, there) for here, there in pairs] or [0.0]))


def _alike(one: str, other: str) -> float:
    """Return the share of three-letter pieces that two names have in common.

    >>> _alike("publication", "publications") > _alike("publication", "professor")
    True
    """
    pieces = [{f"  {name.lower()} "[i : i + 3] for i in range(len(name) + 1)} for name in (one, other)]
    return len(pieces[0] & pieces[1]) / len(pieces[0] | pieces[1])
