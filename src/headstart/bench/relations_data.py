"""Relational worlds to measure on: films, a university, citations, and worlds that can be of no help."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError
from headstart.relations.examples import facts_domain
from headstart.relations.facts import Facts

#: What is learned in each world.
TARGETS = {"imdb": "workedunder", "uwcse": "advisedby", "cora": "samevenue"}
#: Folds of each world.
FOLDS = (1, 2, 3, 4, 5)
#: Facts with this beginning tell the labels again.
TELLS = "recursion_"
#: Of the random world: people, things, and pairs of people that are asked about.
PEOPLE, THINGS, ASKED = 60, 120, 1500

_FACT = re.compile(r"(\w+)\((.*)\)\.$")
Tuples = dict[str, list[tuple[str, ...]]]


def read_tuples(place: Path) -> Tuples:
    """Read ground facts, `movie(up, pete).`, one a line, by predicate.

    Raises
    ------
    InputError
        When a line is none.
    """
    found: Tuples = {}
    for number, line in enumerate(place.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        told = _FACT.match(line.strip())
        if told is None:
            raise InputError(
                f"{place}, line {number}: {line.strip()[:60]!r} is no fact; one looks like movie(up, pete)."
            )
        found.setdefault(told[1], []).append(tuple(part.strip() for part in told[2].split(",")))
    return found


def world(folder: Path, name: str, parts: Sequence[tuple[int, str]]) -> Domain:
    """Return the examples of a world's target predicate, and the facts around them, of some parts of its folds.

    Parameters
    ----------
    folder : Path
        With `NAME/fold_K/PART_facts.txt`, `PART_pos.txt` and `PART_neg.txt`.
    name : str
    parts : sequence of (int, str)
        Fold and part: "test" is the fold itself, "train" are the four others.
    """
    facts: Tuples = {}
    labels: Tuples = {"pos": [], "neg": []}
    target = TARGETS[name]
    for fold, part in parts:
        place = folder / name / f"fold_{fold}"
        for predicate, rows in read_tuples(place / f"{part}_facts.txt").items():
            if not predicate.startswith(TELLS):
                facts.setdefault(predicate, []).extend(rows)
        for kind, of in labels.items():
            of.extend(read_tuples(place / f"{part}_{kind}.txt").get(target, []))
    # Cora's folds share pairs, so the four others hold some twice: they count as often as the files say, as in the
    # published figures. A pair that is known to be true somewhere is true.
    positive = sorted(labels["pos"])
    true = set(positive)
    negative = sorted(pair for pair in labels["neg"] if pair not in true)
    known = Facts.of(facts, also={target: positive + negative}, name=name)
    return facts_domain(known, target, positive, negative, name=name)


def whole(folder: Path, name: str) -> Domain:
    """Return all of a world."""
    return world(folder, name, [(FOLDS[0], "train"), (FOLDS[0], "test")])


def with_positives(domain: Domain, positives: int | None, draw: int) -> Domain:
    """Return so many positive examples, drawn at random, and negatives in the proportion that they have; None is all.

    Where there are not so many, all are taken.
    """
    if positives is None:
        return domain
    rng = np.random.default_rng([draw, positives])
    yes, no = np.flatnonzero(domain.labels == 1), np.flatnonzero(domain.labels == 0)
    kept = rng.permutation(yes)[:positives]
    against = rng.permutation(no)[: max(round(len(kept) * len(no) / len(yes)), 1)]
    return domain.rows(np.sort(np.concatenate([kept, against])))


def with_labels_dealt_anew(domain: Domain, draw: int) -> Domain:
    """Return the world with its labels dealt out anew: no fact has to do with them."""
    return replace(domain, y=np.random.default_rng([draw, 1]).permutation(domain.labels), name="shuffled")


def random_world(draw: int) -> Domain:
    """Return a world in which facts and labels are drawn at random: there is nothing to learn."""
    rng = np.random.default_rng([draw, 2])
    people, things = [f"p{i}" for i in range(PEOPLE)], [f"t{i}" for i in range(THINGS)]

    def some(of: Sequence[str], share: float) -> list[tuple[str, ...]]:
        return [(each,) for each in of if rng.random() < share]

    def pairs(one: Sequence[str], other: Sequence[str], count: int) -> list[tuple[str, ...]]:
        return [(str(rng.choice(one)), str(rng.choice(other))) for _ in range(count)]

    facts: Mapping[str, list[tuple[str, ...]]] = {
        "tall": some(people, 0.3),
        "old": some(people, 0.5),
        "owns": pairs(things, people, 2 * THINGS),
        "knows": pairs(people, people, 3 * PEOPLE),
        "colour": [(each, f"c{rng.integers(6)}") for each in things],
    }
    asked = sorted({pair for pair in pairs(people, people, ASKED) if pair[0] != pair[1]})
    holds = rng.random(len(asked)) < 0.1
    return facts_domain(
        Facts.of(facts, also={"likes": asked}, name="random"),
        "likes",
        [pair for pair, yes in zip(asked, holds, strict=True) if yes],
        [pair for pair, yes in zip(asked, holds, strict=True) if not yes],
        name="random",
    )
