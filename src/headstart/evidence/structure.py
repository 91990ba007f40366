"""What structure was carried: which predicate took which part, and the clauses before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.relations.facts import Predicate
from headstart.relations.predicate_map import Image
from headstart.relations.predicate_mapping import Transferred
from headstart.relations.trees import Tree, clauses

#: Trees that are told as clauses.
TOLD = 2
VARIABLES = "ABCDEFG"


@dataclass(frozen=True)
class Part:
    """A source predicate and what plays its part in the target.

    Attributes
    ----------
    source : str
        As a literal, `movie(A, B)`.
    target : str or None
        The same arguments in their places there, `publication(B, A)`; None where nothing plays the part.
    inverted : bool
        Whether arguments change places.
    head : bool
        Whether it is what is learned.
    """

    source: str
    target: str | None
    inverted: bool
    head: bool

    @classmethod
    def of(cls, predicate: Predicate, image: Image | None, head: bool) -> Part:
        """Tell a predicate and its image."""
        names = VARIABLES[: predicate.arity]
        here = f"{predicate.name}({', '.join(names)})"
        if image is None:
            return cls(here, None, False, head)
        order = sorted(range(predicate.arity), key=lambda i: image.places[i])
        there = f"{image.predicate}({', '.join(names[i] for i in order)})"
        return cls(here, there, order != list(range(predicate.arity)), head)

    def document(self) -> dict[str, Any]:
        """Return it in plain types."""
        return {"source": self.source, "target": self.target, "inverted": self.inverted, "head": self.head}


@dataclass(frozen=True, eq=False)
class Structure:
    """The structure that a relation-based transfer carried.

    Attributes
    ----------
    parts : list of Part
        The mapping, the predicate to learn first.
    kinds : dict of str to str
        Which type became which.
    new : list of str
        Target predicates that the delivered trees ask about though nothing was mapped to them.
    variant : str or None
        What was taken: "mapped", "revised" or "scratch".
    likelihoods : dict of str to float
        Cross-validated mean log-likelihood of each; empty where it was not asked.
    before, after : list of list of str
        The first trees as clauses, in the source's words and in the target's.
    lines : list of str
        What a method without a mapping says that it carried.
    """

    parts: list[Part] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    variant: str | None = None
    likelihoods: dict[str, float] = field(default_factory=dict)
    before: list[list[str]] = field(default_factory=list)
    after: list[list[str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it in plain types."""
        return {
            "mapping": [part.document() for part in self.parts],
            "kinds": self.kinds,
            "new": self.new,
            "variant": self.variant,
            "likelihoods": self.likelihoods,
            "before": self.before,
            "after": self.after,
            "lines": self.lines,
        }


def structure_of(predictor: Any) -> Structure | None:
    """Return what structure a fitted predictor was given, or None where it tells of none.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.relations.boosting import Boosted
    >>> from headstart.relations.predicate_map import PredicateMap
    >>> head, there = Predicate("workedunder", ("person", "person")), Predicate("advisedby", ("human", "human"))
    >>> classes = np.array([0, 1])
    >>> mapping = PredicateMap(Image("advisedby", (1, 0)), {})
    >>> source = Boosted(0.0, [], head, {}, classes)
    >>> told = {"variant": "mapped", "mapping": mapping, "source": source, "likelihoods": {}}
    >>> model = Transferred(0.0, [], there, {}, classes, **told)
    >>> structure_of(model).parts
    [Part(source='workedunder(A, B)', target='advisedby(B, A)', inverted=True, head=True)]
    """
    if not isinstance(predictor, Transferred):
        told = _lines(predictor)
        return Structure(lines=told) if told else None
    source, mapping = predictor.source, predictor.mapping
    parts = [Part.of(source.head, mapping.head, True)]
    parts += [Part.of(source.schema[name], image, False) for name, image in mapping.images.items()]
    images = {image.predicate for image in mapping.images.values() if image}
    return Structure(
        parts,
        dict(mapping.kinds),
        [_literal(spec) for name, spec in predictor.schema.items() if name not in images],
        predictor.variant,
        dict(predictor.likelihoods),
        _told(source.trees, source.head, source.schema),
        _told(predictor.trees, predictor.head, predictor.schema),
    )


def _literal(predicate: Predicate) -> str:
    return f"{predicate.name}({', '.join(VARIABLES[: predicate.arity])})"


def _told(trees: Sequence[Tree], head: Predicate, schema: Mapping[str, Predicate]) -> list[list[str]]:
    return [clauses(tree, head, schema) for tree in trees[:TOLD]]


def _lines(predictor: Any) -> list[str]:
    """Return what a predictor tells of templates, or else of itself, line by line."""
    for name in ("templates", "explain"):
        tell = getattr(predictor, name, None)
        if callable(tell):
            told = tell()
            return told.splitlines() if isinstance(told, str) else [str(line) for line in told]
    return []
