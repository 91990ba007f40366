"""Examples of a predicate: tuples of constants that know the facts around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError
from headstart.relations.facts import Facts, Predicate


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows of a relational domain: tuples of constants of which a predicate holds or not, and the facts around them.

    It behaves as a matrix of shape (n, arity) does where rows are taken; each part still knows all facts.

    Parameters
    ----------
    facts : Facts
    predicate : Predicate
        The one to learn, with its types.
    constants : array of str of shape (n, arity)

    Examples
    --------
    >>> facts = Facts.of({"professor": [("ann",)], "publication": [("t1", "ann"), ("t1", "bob")]})
    >>> pairs = Examples.of(facts, "advisedby", [("bob", "ann"), ("ann", "bob")])
    >>> pairs
    Examples(2 of advisedby(professor, professor))
    >>> pairs[np.array([0])].constants.tolist()
    [['bob', 'ann']]
    """

    #: What a domain of such rows is.
    modality: ClassVar[str] = "facts"

    facts: Facts
    predicate: Predicate
    constants: np.ndarray

    @classmethod
    def of(cls, facts: Facts, predicate: str, rows: Iterable[Sequence[str]]) -> Examples:
        """Make examples of tuples; the predicate's types are read off the facts that mention the constants.

        Raises
        ------
        InputError
            When there is no tuple, they differ in length, or no fact mentions any constant of an argument.
        """
        told = [tuple(map(str, row)) for row in rows]
        arities = {len(row) for row in told}
        if len(arities) != 1:
            raise InputError(
                f"{facts.name}: {predicate} has no example"
                if not arities
                else f"{facts.name}: examples of {predicate} have {' and '.join(map(str, sorted(arities)))} arguments"
            )
        columns = list(zip(*told, strict=True))
        types = tuple(_type_of(facts, predicate, i, column) for i, column in enumerate(columns))
        return cls(facts, Predicate(predicate, types), _as_array(told))

    def __getstate__(self) -> dict[str, Any]:
        """Return what the examples are, without what was evaluated of them."""
        return {key: value for key, value in self.__dict__.items() if key != "positions"}

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and arguments."""
        return len(self.constants), self.predicate.arity

    def __len__(self) -> int:
        return len(self.constants)

    def __getitem__(self, index: Any) -> Examples:
        return replace(self, constants=self.constants[index])

    def __repr__(self) -> str:
        return f"Examples({len(self):,} of {self.predicate})"

    @cached_property
    def positions(self) -> np.ndarray:
        """Positions of the constants among those of their types, shape (n, arity); -1 where no fact mentions one."""
        return self.facts.positions(self.constants)

    @staticmethod
    def stack_rows(blocks: Sequence[Examples]) -> Examples:
        """Put examples on top of each other.

        Raises
        ------
        InputError
            When they are of different predicates or different facts.
        """
        first = blocks[0]
        if any(block.facts is not first.facts or block.predicate != first.predicate for block in blocks):
            raise InputError("examples of different facts can't stand together; give one source of facts")
        return replace(first, constants=np.concatenate([block.constants for block in blocks]))


def _as_array(rows: Sequence[tuple[str, ...]]) -> np.ndarray:
    found = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        found[i] = row
    return found


def _type_of(facts: Facts, predicate: str, position: int, column: Sequence[str]) -> str:
    known = np.array([facts.constants.get(c, -1) for c in set(column)], dtype=np.int64)
    shares = {kind: int(np.isin(known, of).sum()) for kind, of in facts.kinds.items()}
    best = max(shares, key=lambda kind: (shares[kind], kind))
    if not shares[best]:
        raise InputError(
            f"{facts.name}: no fact mentions a constant at argument {position + 1} of {predicate}, such as "
            f"{column[0]}; facts and examples must be of one world"
        )
    return best


def closed_world(
    facts: Facts,
    predicate: Predicate,
    positive: np.ndarray,
    *,
    per_positive: float = 10.0,
    random_state: int = 0,
) -> np.ndarray:
    """Return negatives: tuples of the types of which the predicate is not known to hold, drawn at random.

    Constants are drawn from those at the same argument of positives and of other predicates of the type. Fewer come
    where there are not so many.

    Examples
    --------
    >>> facts = Facts.of({"professor": [("ann",), ("eve",)], "student": [("bob",)]})
    >>> pairs = Examples.of(facts, "advisedby", [("bob", "ann")])
    >>> closed_world(facts, pairs.predicate, pairs.constants).tolist()
    [['bob', 'eve']]
    """
    rng = np.random.default_rng(random_state)
    pools = [facts.of_kind(kind) for kind in predicate.types]
    known = {tuple(row) for row in positive.tolist()}
    wanted = round(per_positive * len(positive))
    possible = int(np.prod([len(pool) for pool in pools], dtype=float))
    if possible <= 20 * wanted + 1000:
        grid = np.stack(np.meshgrid(*[np.arange(len(p)) for p in pools], indexing="ij"), axis=-1).reshape(
            -1, len(pools)
        )
        rows = [tuple(pool[i] for pool, i in zip(pools, at, strict=True)) for at in grid]
        rows = [row for row in rows if row not in known and len(set(row)) == len(row)]
        chosen = rng.permutation(len(rows))[:wanted]
        rows = [rows[i] for i in sorted(chosen)]
    else:
        drawn: set[tuple[str, ...]] = set()
        while len(drawn) < wanted:
            row = tuple(pool[int(rng.integers(len(pool)))] for pool in pools)
            if row not in known and len(set(row)) == len(row):
                drawn.add(row)
        rows = sorted(drawn)
    return _as_array(rows) if rows else np.empty((0, len(pools)), dtype=object)


def facts_domain(
    facts: Facts,
    predicate: str,
    positive: Iterable[Sequence[str]],
    negative: Iterable[Sequence[str]] | None = None,
    *,
    unknown: Iterable[Sequence[str]] = (),
    name: str | None = None,
    random_state: int = 0,
) -> Domain:
    """Return a domain whose rows are examples of a predicate: 1 where it holds, 0 where not, missing if not known.

    Facts of the predicate itself are left out of the world, so that no example tells its own answer. Without negatives
    ten for each positive are drawn from the tuples that are not known to be true.

    Raises
    ------
    InputError
        When there is no positive, or a tuple is both positive and negative.
    """
    told = [tuple(map(str, row)) for row in positive]
    if not told:
        raise InputError(f"{name or facts.name}: {predicate} has no positive example; there is nothing to learn from")
    world = facts.without(predicate)
    against = None if negative is None else [tuple(map(str, row)) for row in negative]
    both = set(told) & set(against or ())
    if both:
        raise InputError(
            f"{name or facts.name}: {predicate}({', '.join(min(both))}) is both a positive and a negative example"
        )
    open_rows = [tuple(map(str, row)) for row in unknown]
    examples = Examples.of(world, predicate, [*told, *(against or ()), *open_rows])
    if against is None:
        drawn = closed_world(world, examples.predicate, examples.constants, random_state=random_state)
        against = [tuple(row) for row in drawn.tolist()]
        examples = Examples.of(world, predicate, [*told, *against, *open_rows])
    y = np.concatenate([np.ones(len(told)), np.zeros(len(against)), np.full(len(open_rows), np.nan)])
    return Domain(examples, y, name or facts.name, "facts", "classification", label=predicate)
