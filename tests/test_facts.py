"""Facts and examples of them: types inferred and declared, and what is refused."""

import numpy as np
import pytest

from headstart.errors import InputError
from headstart.relations import Examples, Facts, facts_domain
from headstart.relations.examples import closed_world
from headstart.relations.facts import Predicate


def refused(message, make, *args, **settings):
    with pytest.raises(InputError, match=message) as caught:
        make(*args, **settings)
    assert "\n" not in str(caught.value)


def test_arguments_that_share_a_constant_have_one_type():
    facts = Facts.of(
        {"professor": [("ann",)], "publication": [("t1", "ann"), ("t1", "bob")], "taughtby": [("c1", "bob")]}
    )
    assert facts.schema["publication"].types == ("publication", "professor")
    assert facts.schema["taughtby"].types[1] == "professor"
    assert len(facts.kinds) == 3
    assert facts.of_kind("professor") == ["ann", "bob"]


def test_examples_tell_types_too_but_are_no_facts():
    told = {"left": [("a",)], "right": [("b",)]}
    assert len(Facts.of(told).kinds) == 2
    facts = Facts.of(told, also={"pair": [("a", "b"), ("b", "a")]})
    assert len(facts.kinds) == 1
    assert "pair" not in facts.schema


def test_declared_types_keep_constants_of_one_name_apart():
    facts = Facts.of({"likes": [("1", "2"), ("2", "1")]}, {"likes": ("person", "item")})
    assert {kind: facts.of_kind(kind) for kind in facts.kinds} == {"item": ["1", "2"], "person": ["1", "2"]}
    assert Examples.of(facts, "bought", [("1", "1")], ("person", "item")).predicate.types == ("person", "item")


def test_the_order_of_facts_and_predicates_changes_nothing():
    rng = np.random.default_rng(0)
    told = {f"r{i}": [(f"c{a}", f"c{b}") for a, b in rng.integers(0, 9, (8, 2))] for i in range(4)}
    told["u"] = [(f"c{i}",) for i in range(5)]
    shuffled = {name: [told[name][i] for i in rng.permutation(len(told[name]))] for name in rng.permutation(list(told))}
    one, other = Facts.of(told), Facts.of(shuffled)
    assert one.schema == other.schema
    assert list(one.schema) == list(other.schema)
    assert one.constants == other.constants
    for name in told:
        np.testing.assert_array_equal(one.tuples[name], other.tuples[name])


def test_a_fact_said_twice_counts_once():
    facts = Facts.of({"met": [("a", "x", "b"), ("a", "y", "b"), ("a", "x", "b")]}, {"met": ("p", "q", "p")})
    assert len(facts) == 2
    assert facts.matrix("met", 0, 2).toarray().max() == 1


def test_what_is_no_world_is_refused():
    refused("'1', '2' arguments.*give one of them another name", Facts.of, {"p": [("a",), ("a", "b")]})
    refused("holds no fact", Facts.of, {})
    refused("holds no fact", Facts.of, {"p": []})
    refused("no argument", Facts.of, {"p": [()]})
    refused("2 arguments, and 1 types", Facts.of, {"p": [("a", "b")]}, {"p": ("x",)})
    refused(
        "several declared types",
        Facts.of,
        {"p": [("a",)], "q": [("b",)], "r": [("a",), ("b",)]},
        {"p": ("x",), "q": ("y",)},
    )
    facts = Facts.of({"p": [("a",)]})
    refused("no fact mentions a constant at argument 1 of q, such as b", Examples.of, facts, "q", [("b",)])
    refused("has no example", Examples.of, facts, "q", [])
    refused("1 and 2 arguments", Examples.of, facts, "q", [("a",), ("a", "a")])
    refused("1 arguments, and 2 types", Examples.of, facts, "q", [("a",)], ("x", "y"))
    refused("no positive example", facts_domain, facts, "q", [])
    refused("both a positive and a negative", facts_domain, facts, "q", [("a",)], [("a",)])
    with pytest.raises(InputError, match="did you mean 'parent'"):
        Facts.of({"parent": [("a", "b")]}).predicate("parents")


def test_rows_are_positive_negative_and_unknown_and_the_predicate_is_no_fact():
    facts = Facts.of({"knows": [("a", "b"), ("b", "c")], "likes": [("a", "b")]})
    domain = facts_domain(facts, "likes", [("a", "b")], [("b", "a")], unknown=[("a", "c")])
    assert (domain.modality, domain.task, domain.label) == ("facts", "classification", "likes")
    np.testing.assert_array_equal(domain.y, [1, 0, np.nan])
    assert "likes" not in domain.X.facts.schema
    assert domain.labelled_rows().X.constants.tolist() == [["a", "b"], ["b", "a"]]
    open_only = facts_domain(facts, "likes", [], unknown=[("a", "c"), ("c", "a")])
    assert (len(open_only), open_only.n_labelled, open_only.task) == (2, 0, "classification")


@pytest.mark.parametrize(("n", "positives"), [(8, 3), (400, 2)])
def test_drawn_negatives_are_no_positives_and_of_the_right_types(n, positives):
    facts = Facts.of({"l": [(f"l{i}",) for i in range(n)], "r": [(f"r{i}",) for i in range(n)]})
    holds = np.array([[f"l{i}", f"r{i}"] for i in range(positives)], dtype=object)
    predicate = Predicate("pair", ("l", "r"))
    drawn = closed_world(facts, predicate, holds, random_state=1).tolist()
    assert len({tuple(row) for row in drawn}) == len(drawn) == 10 * positives
    assert not {tuple(row) for row in drawn} & {tuple(row) for row in holds.tolist()}
    assert all(a[0] == "l" and b[0] == "r" for a, b in drawn)
    assert drawn == closed_world(facts, predicate, holds, random_state=1).tolist()
    assert drawn != closed_world(facts, predicate, holds, random_state=2).tolist()


def test_unknown_examples_are_never_drawn_as_negatives():
    facts = Facts.of({"l": [("a",), ("b",)], "r": [("x",), ("y",)]})
    domain = facts_domain(facts, "pair", [("a", "x")], unknown=[("b", "y")])
    told = dict(zip(map(tuple, domain.X.constants.tolist()), domain.y.tolist(), strict=True))
    assert told[("a", "y")] == told[("b", "x")] == 0
    assert np.isnan(told[("b", "y")])


def test_examples_of_two_worlds_do_not_stand_together():
    one, other = (Examples.of(Facts.of({"p": [("a",)]}), "q", [("a",)]) for _ in range(2))
    assert len(Examples.stack_rows([one, one])) == 2
    refused("different facts", Examples.stack_rows, [one, other])
