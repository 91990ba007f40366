"""Every conjunction a node may ask, beside a plain join over the literals as they are printed."""

import re
from itertools import product

import numpy as np
import pytest

from headstart.relations.examples import Examples
from headstart.relations.facts import Facts
from headstart.relations.literals import (
    VARIABLES,
    Condition,
    Holds,
    Language,
    Path,
    Step,
    candidates,
    evaluate,
    predicates_of,
    rewritten,
    written,
)

LITERAL = re.compile(r"(\w+)\(([^)]*)\)")
SIZES = {"person": 5, "paper": 4, "place": 3}
SIGNATURES = {
    "wise": ("person",),
    "old": ("paper",),
    "knows": ("person", "person"),
    "wrote": ("paper", "person"),
    "met": ("person", "place", "person"),
}


def world(seed, density=0.25):
    rng = np.random.default_rng(seed)
    pools = {kind: [f"{kind}{i}" for i in range(n)] for kind, n in SIZES.items()}
    told = {
        name: [row for row in product(*(pools[kind] for kind in types)) if rng.random() < density]
        for name, types in SIGNATURES.items()
    }
    told = {name: rows or [next(product(*(pools[kind] for kind in SIGNATURES[name])))] for name, rows in told.items()}
    return told, pools


def joined(body, told, row):
    """Whether the printed literals hold of an example: try every fact for every literal, one after the other."""
    literals = [(name, [cell.strip() for cell in inner.split(",")]) for name, inner in LITERAL.findall(body)]

    def holds(at, bound):
        if at == len(literals):
            return True
        name, arguments = literals[at]
        for fact in told[name]:
            more = dict(bound)
            for said, constant in zip(arguments, fact, strict=True):
                if said == "_":
                    continue
                if said.startswith('"'):
                    if said.strip('"') != constant:
                        break
                elif more.setdefault(said, constant) != constant:
                    break
            else:
                if holds(at + 1, more):
                    return True
        return False

    return holds(0, dict(zip(VARIABLES, row, strict=False)))


@pytest.mark.parametrize(("seed", "types"), [(0, ("person", "person")), (1, ("paper", "person")), (2, ("person",))])
def test_sparse_products_say_what_a_plain_join_says_of_every_candidate(seed, types):
    told, pools = world(seed)
    facts = Facts.of(told, SIGNATURES)
    known = {kind: set(facts.of_kind(kind)) for kind in SIZES}
    rows = [
        row
        for row in product(*(pools[kind] for kind in types))
        if all(map(set.__contains__, map(known.get, types), row))
    ]
    examples = Examples.of(facts, "target", rows, types)
    asks = candidates(facts, types, Language(literals=2, values=True))
    assert any(len(each) == 2 for each in asks) == (len(types) == 2)
    kept = {}
    for each in asks:
        body = written(each, facts.schema, len(types))
        expected = [joined(body, told, row) for row in rows]
        assert evaluate(each, examples, kept).tolist() == expected, body


def test_all_conjunctions_of_two_literals_are_looked_at_and_each_once():
    told, _ = world(3)
    facts = Facts.of(told, SIGNATURES)
    bodies = [written(each, facts.schema, 2) for each in candidates(facts, ("paper", "person"))]
    assert len(set(bodies)) == len(bodies)
    # A literal with a new variable that nothing else speaks of is written with "_".
    assert "wrote(C, B)" not in bodies
    for wanted in (
        "old(A)",
        "wrote(A, B)",
        "wrote(_, B)",
        "wrote(C, B), old(C)",
        "wrote(A, C), knows(C, B)",
        "wrote(A, C), knows(B, C)",
        "wrote(A, C), met(C, _, B)",
        'met(B, "place1", _)',
        'wrote(A, C), met(C, "place1", _)',
        "old(A), wise(B)",
    ):
        assert wanted in bodies


def test_the_shortest_conjunctions_come_first():
    told, _ = world(4)
    facts = Facts.of(told, SIGNATURES)
    lengths = [sum(len(predicates_of(part)) for part in each) for each in candidates(facts, ("person", "person"))]
    assert lengths == sorted(lengths)
    assert set(lengths) == {1, 2}
    one = candidates(facts, ("person", "person"), Language(literals=1, values=False))
    assert {written(each, facts.schema, 2) for each in one} == {
        *(f"{name}({arguments})" for v in "AB" for name, arguments in [("wise", v), ("wrote", f"_, {v}")]),
        *(f"knows({v}, _)" for v in "AB"),
        *(f"knows(_, {v})" for v in "AB"),
        *(f"met({v}, _, _)" for v in "AB"),
        *(f"met(_, _, {v})" for v in "AB"),
        "knows(A, B)",
        "knows(B, A)",
        "met(A, _, B)",
        "met(B, _, A)",
    }


def test_types_with_many_constants_have_no_values():
    facts = Facts.of({"at": [(f"p{i}", f"level{i % 3}") for i in range(21)]}, {"at": ("person", "level")})
    told = {part.last.value for each in candidates(facts, ("person",)) for part in each}
    assert told == {"", "level0", "level1", "level2"}
    assert not any(part.last.value for each in candidates(facts, ("person",), Language(values=False)) for part in each)


def test_of_constants_that_no_fact_mentions_nothing_holds():
    told, _ = world(0)
    facts = Facts.of(told, SIGNATURES)
    strangers = Examples.of(facts, "target", [("nobody", "no one"), ("nobody", "person1")], ("person", "person"))
    on_first = [each for each in candidates(facts, ("person", "person")) if not _about(each) <= {1}]
    assert not any(evaluate(each, strangers).any() for each in on_first)
    # The part of an example that is known is still looked at.
    assert evaluate((Condition(1, (), Holds("knows", 0)),), strangers).tolist() == [
        False,
        facts.holds("knows", 0)[facts.constants["person1"]],
    ]


def _about(each):
    return {v for part in each for v in ([part.start, part.end] if isinstance(part, Path) else [part.variable])}


def test_of_no_example_nothing_is_said():
    told, _ = world(0)
    facts = Facts.of(told, SIGNATURES)
    none = Examples.of(facts, "target", [("person0", "person1")], ("person", "person"))[np.array([], dtype=int)]
    assert none.shape == (0, 2)
    for each in candidates(facts, ("person", "person")):
        assert evaluate(each, none).shape == (0,)


def test_a_predicate_that_the_world_lacks_never_holds():
    facts = Facts.of({"knows": [("a", "b"), ("b", "c")]})
    pairs = Examples.of(facts, "target", [("a", "b"), ("a", "c")])
    lacking = [
        (Condition(0, (), Holds("wise", 0)),),
        (Condition(0, (), Holds("met", 0, 1, "x")),),
        (Condition(0, (Step("knows", 0, 1),), Holds("wise", 0)),),
        (Path(0, 1, (Step("met", 0, 2),)),),
        (Path(0, 1, (Step("knows", 0, 1), Step("met", 0, 2))),),
    ]
    for each in lacking:
        assert not evaluate(each, pairs).any()
    assert evaluate((Path(0, 1, (Step("knows", 0, 1),)),), pairs).tolist() == [True, False]


def test_rewriting_with_variables_exchanged_turns_paths_round():
    schema = Facts.of({"wrote": [("t", "p")], "cites": [("t", "u")]}).schema
    path = (Path(0, 1, (Step("cites", 0, 1), Step("wrote", 0, 1))),)
    assert written(path, schema, 2) == "cites(A, C), wrote(C, B)"
    assert written(rewritten(path, lambda step: step, lambda at: 1 - at), schema, 2) == "wrote(C, A), cites(B, C)"
    gone = rewritten(path, lambda step: None if step.predicate == "wrote" else step)
    assert gone == ()
