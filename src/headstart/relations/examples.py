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
    def of(
        cls, facts: Facts, predicate: str, rows: Iterable[Sequence[str]], types: Sequence[str] | None = None
    ) -> Examples:
        """Make examples of tuples; types that aren't given are read off the facts that mention the constants.

        Raises
        ------
        InputError
            When there is no tuple, they differ in length or from the types, or no fact mentions any constant of an
            argument.
        """
        told = [tuple(map(str, row)) for row in rows]
        arities = {len(row) for row in told}
        if len(arities) != 1:
            raise InputError(
                f"{facts.name}: {predicate} has no example"
                if not arities
                else f"{facts.name}: examples of {predicate} have {' and '.join(map(str, sorted(arities)))} arguments"
            )
        if types is None:
            types = [_type_of(facts, predicate, i, column) for i, column in enumerate(zip(*told, strict=True))]
        elif len(types) != len(told[0]):
            raise InputError(
                f"{facts.name}: {predicate} has {len(told[0])} arguments, and {len(types)} types are declared"
            )
        return cls(facts, Predicate(predicate, tuple(types)), _as_array(told))

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
        return self.facts.positions(self.constants).reshape(self.shape)

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

    Each tuple of constants of the types, no constant twice, is as likely as another. Fewer come where there are not
    so many.

    Examples
    --------
    >>> facts = Facts.of({"professor": [("ann",), ("eve",)], "student": [("bob",)]})
    >>> pairs = Examples.of(facts, "advisedby", [("bob", "ann")])
    >>> closed_world(facts, pairs.predicate, pairs.constants).tolist()
    [['bob', 'eve']]
    """
    rng = np.random.default_rng(random_state)
    pools = [facts.kinds[kind] for kind in predicate.types]
    sizes = tuple(map(len, pools))
    known = facts.positions(positive)
    wanted = round(per_positive * len(positive))
    if np.prod(sizes, dtype=float) <= 20 * wanted + 1000:
        grid = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1)
        rows = _unlike(np.column_stack([pool[at] for pool, at in zip(pools, grid.T, strict=True)]), known)
        rows = rows[np.sort(rng.permutation(len(rows))[:wanted])]
    else:
        rows = np.empty((0, len(pools)), dtype=np.int64)
        while len(rows) < wanted:
            more = np.column_stack([pool[rng.integers(len(pool), size=wanted)] for pool in pools])
            rows = _unlike(np.unique(np.concatenate([rows, more]), axis=0), known)
            rows = rows[np.sort(rng.permutation(len(rows))[:wanted])]
    return np.array(facts.names, dtype=object)[rows]


def _unlike(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the rows that are not known and in which no constant stands twice."""
    taken = set(map(tuple, known.tolist()))
    return rows[[row not in taken and len(set(row)) == len(row) for row in map(tuple, rows.tolist())]]


def facts_domain(
    facts: Facts,
    predicate: str,
    positive: Iterable[Sequence[str]],
    negative: Iterable[Sequence[str]] | None = None,
    *,
    unknown: Iterable[Sequence[str]] = (),
    types: Sequence[str] | None = None,
    name: str | None = None,
    random_state: int = 0,
) -> Domain:
    """Return a domain whose rows are examples of a predicate: 1 where it holds, 0 where not, missing if not known.

    Facts of the predicate itself are left out of the world, so that no example tells its own answer. Without negatives
    ten for each positive are drawn from the tuples that are not known to be true. The `types` of the predicate's
    arguments are read off the facts where they aren't given.

    Raises
    ------
    InputError
        When there is no positive (but where all examples are unknown), or a tuple is both positive and negative.
    """
    told = [tuple(map(str, row)) for row in positive]
    open_rows = [tuple(map(str, row)) for row in unknown]
    against = [tuple(map(str, row)) for row in negative or ()] if negative is not None or not told else None
    if not told and (against or not open_rows):
        raise InputError(f"{name or facts.name}: {predicate} has no positive example; there is nothing to learn from")
    world = facts.without(predicate)
    both = set(told) & set(against or ())
    if both:
        raise InputError(
            f"{name or facts.name}: {predicate}({', '.join(min(both))}) is both a positive and a negative example"
        )
    examples = Examples.of(world, predicate, [*told, *(against or ()), *open_rows], types)
    if against is None:
        drawn = closed_world(world, examples.predicate, examples.constants, random_state=random_state)
        against = [tuple(row) for row in drawn.tolist()]
        examples = Examples.of(world, predicate, [*told, *against, *open_rows], types)
    y = np.concatenate([np.ones(len(told)), np.zeros(len(against)), np.full(len(open_rows), np.nan)])
    return Domain(examples, y, name or facts.name, "facts", "classification", label=predicate)
