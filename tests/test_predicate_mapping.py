"""Predicate mapping: a renamed world is mapped back exactly, and arguments turn round where they must."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from sklearn.base import clone

from headstart.domain import Domain
from headstart.errors import NeedsError
from headstart.relations import Examples, Facts, RelationalBoosting, facts_domain
from headstart.relations.boosting import Workbench
from headstart.relations.facts import Predicate
from headstart.relations.literals import Condition, Holds, Path, Step, evaluate
from headstart.relations.predicate_map import Image, PredicateMap, Search, translated, walk_likeness, walk_statistics
from headstart.relations.predicate_mapping import PredicateMapping
from headstart.relations.revision import refitted
from headstart.relations.trees import Leaf, Node

TYPES = {
    "wise": ("person",),
    "old": ("paper",),
    "wrote": ("paper", "person"),
    "cites": ("paper", "paper"),
    "guides": ("person", "person"),
}
NAMES = {
    "wise": "q1",
    "old": "a7",
    "wrote": "m3",
    "cites": "b2",
    "guides": "z5",
    "trusts": "k9",
    "person": "u",
    "paper": "v",
}
LEARNER = RelationalBoosting(n_trees=4)


def university(seed=0):
    """Facts, pairs of people and whether one trusts the other: its pupil, or a wise author of the same paper."""
    rng = np.random.default_rng(seed)
    # More of each than the 20 that make a type's constants values: names of the source would mean nothing elsewhere.
    people, papers = [f"p{i}" for i in range(22)], [f"t{i}" for i in range(24)]
    told = {
        "wise": [(p,) for p in people if rng.random() < 0.4],
        "old": [(t,) for t in papers if rng.random() < 0.7],
        "wrote": [(t, str(p)) for t in papers for p in rng.choice(people, rng.integers(1, 4), replace=False)],
        "cites": [(t, u) for t in papers for u in papers if t > u and rng.random() < 0.12],
        "guides": [(a, b) for a in people for b in people if a < b and rng.random() < 0.08],
    }
    guides, wise = set(told["guides"]), {p for (p,) in told["wise"]}
    shared = {(a, b) for t in papers for a, b in product([p for u, p in told["wrote"] if u == t], repeat=2)}
    pairs = [(a, b) for a in people for b in people if a != b]
    holds = np.array([(a, b) in guides or ((a, b) in shared and b in wise) for a, b in pairs])
    return told, pairs, holds ^ (rng.random(len(pairs)) < 0.03)


def domain_of(told, types, head, pairs, holds, of):
    facts = Facts.of(told, types, name=head)
    return Domain(Examples.of(facts, head, pairs, of), holds.astype(float), head, "facts", "classification", label=head)


@pytest.fixture(scope="module")
def source():
    told, pairs, holds = university()
    return domain_of(told, TYPES, "trusts", pairs, holds, ("person", "person"))


@pytest.fixture(scope="module")
def renamed():
    """The source with every predicate, type and object called otherwise, and facts and predicates in another order."""
    told, pairs, holds = university()
    rng = np.random.default_rng(9)
    objects = sorted({c for rows in [*told.values(), pairs] for row in rows for c in row})
    called = dict(zip(objects, (f"o{i:03}" for i in rng.permutation(len(objects))), strict=True))
    other = {
        NAMES[name]: [tuple(called[c] for c in told[name][i]) for i in rng.permutation(len(told[name]))]
        for name in rng.permutation(list(told))
    }
    types = {NAMES[name]: tuple(NAMES[kind] for kind in of) for name, of in TYPES.items()}
    return domain_of(other, types, "k9", [(called[a], called[b]) for a, b in pairs], holds, ("u", "u"))


@pytest.fixture(scope="module")
def knowledge(source):
    method = PredicateMapping()
    return method.extract(method.learn_source(source, LEARNER), source)


def unlabelled(domain):
    return replace(domain, y=np.full(len(domain), np.nan))


@pytest.mark.parametrize("search", ["likelihood", "walk"])
def test_a_renamed_world_is_mapped_back_and_foretold_alike(source, renamed, knowledge, search):
    method = PredicateMapping(search, take="mapped")
    there = renamed if search == "likelihood" else unlabelled(renamed)
    carried = method.carry(knowledge, there)
    mapping = carried.mappings[0]
    assert {"guides", "wrote", "wise"} <= set(mapping.images)
    assert mapping.head == Image("k9", (0, 1))
    assert mapping.images == {name: Image(NAMES[name], tuple(range(len(TYPES[name])))) for name in mapping.images}
    assert mapping.kinds.items() <= {"person": "u", "paper": "v"}.items()
    model = method.learn_target(carried, renamed, LEARNER)
    bench = Workbench.of(source.X, source.labels == 1, clone(LEARNER))
    here = refitted(bench, carried.model.trees, bench.rows)
    np.testing.assert_allclose(model.predict_proba(renamed.X), here.predict_proba(source.X), atol=1e-12)
    assert len(np.unique(model.predict_proba(renamed.X)[:, 1])) > 4


def test_no_fact_of_the_source_travels(source, knowledge):
    told = json.dumps(knowledge.facts)
    assert not any(f'"{constant}"' in told for constant in source.X.facts.constants)
    assert not knowledge.holds_source_rows


def test_a_target_without_labels_has_the_sources_trees(source, renamed, knowledge):
    for search in ("likelihood", "walk"):
        method = PredicateMapping(search)
        there = unlabelled(renamed)
        model = method.learn_target(method.carry(knowledge, there), there, LEARNER)
        assert model.variant == "mapped"
        expected = method.learn_source(source, LEARNER).predict_proba(source.X)
        np.testing.assert_allclose(model.predict_proba(renamed.X), expected, atol=1e-12)
        assert "wrote(A, B) -> m3(A, B)" in model.explain()


def test_likeness_of_walks_is_one_only_for_the_true_mapping(source, renamed):
    names = list(TYPES)
    here, there = walk_statistics(source.X.facts, names), walk_statistics(renamed.X.facts, list(renamed.X.facts.schema))
    legal = list(
        Search().legal(names, source.X.facts.schema, source.X.predicate, renamed.X.facts.schema, renamed.X.predicate)
    )
    told = [walk_likeness(mapping, here, there) for mapping in legal]
    right = [
        all(image == Image(NAMES[name], tuple(range(len(TYPES[name])))) for name, image in mapping.images.items())
        for mapping in legal
    ]
    assert sum(right) == 2  # the head may turn round: walks don't know it
    assert {round(value, 12) for value, true in zip(told, right, strict=True) if true} == {1.0}
    assert max(value for value, true in zip(told, right, strict=True) if not true) < 0.99


def family(seed, turned):
    """Uncles of a family; in the turned one children point to parents and nephews to uncles."""
    rng = np.random.default_rng(seed)
    people = [f"{'c' if turned else 'p'}{i}" for i in range(30)]
    parent = [(people[int(rng.integers(0, max(i // 2, 1)))], people[i]) for i in range(4, 30)]
    man = [(p,) for p in people if rng.random() < 0.5]
    brother = [
        (a, b)
        for a in people
        for b in people
        if (a,) in set(man) and a != b and {q for q, c in parent if c == a} & {q for q, c in parent if c == b}
    ]
    uncle = sorted({(a, c) for a, b in brother for q, c in parent if q == b})
    others = [(a, b) for a in people for b in people if a != b and (a, b) not in set(uncle)]
    others = [others[i] for i in rng.choice(len(others), 5 * len(uncle), replace=False)]
    turn = (lambda rows: [row[::-1] for row in rows]) if turned else list
    told = {"childof" if turned else "parent": turn(parent), "kin" if turned else "brother": brother}
    head = "nephew" if turned else "uncle"
    kind = "human" if turned else "person"
    types = dict.fromkeys(told, (kind, kind))
    return facts_domain(Facts.of(told, types, name=head), head, turn(uncle), turn(others), types=(kind, kind))


def test_kinship_needs_arguments_turned_round():
    source, target, test = family(1, False), family(2, True), family(3, True)
    learner = RelationalBoosting(n_trees=6)
    told = {}
    for inversion in (True, False):
        method = PredicateMapping(inversion=inversion, take="mapped")
        knowledge = method.extract(method.learn_source(source, learner), source)
        assert any("brother(A, C), parent(C, B)" in line for line in method.learn_source(source, learner).clauses(1))
        model = method.learn_target(method.carry(knowledge, target), target, learner)
        p = model.predict_proba(test.X)[:, 1]
        told[inversion] = (model.mapping, np.log(np.where(test.labels > 0, p, 1 - p)).mean())
    mapping = told[True][0]
    assert mapping.head == Image("nephew", (1, 0))
    assert mapping.images["parent"] == Image("childof", (1, 0))
    assert mapping.images["brother"].predicate == "kin"
    assert "uncle(A, B) -> nephew(B, A)" in mapping.lines(source.X.facts.schema, source.X.predicate)
    images = [image for image in (told[False][0].head, *told[False][0].images.values()) if image]
    assert all(image.places == (0, 1) for image in images)
    assert told[True][1] > -0.1
    assert told[False][1] < told[True][1] - 0.1


def test_from_scratch_is_relational_boosting(renamed, knowledge):
    method = PredicateMapping(take="scratch")
    model = method.learn_target(method.carry(knowledge, renamed), renamed, LEARNER)
    alone = clone(LEARNER).fit(renamed.X, renamed.labels)
    np.testing.assert_array_equal(model.predict_proba(renamed.X), alone.predict_proba(renamed.X))
    assert model.trees == alone.boosted_.trees


def test_cross_validation_takes_the_variant_of_the_highest_likelihood(renamed, knowledge):
    few = renamed.rows(np.arange(0, len(renamed), 2))
    method = PredicateMapping()
    model = method.learn_target(method.carry(knowledge, few), few, LEARNER)
    assert set(model.likelihoods) == {"mapped", "revised", "scratch"}
    assert model.variant == max(model.likelihoods, key=model.likelihoods.get)
    taken = PredicateMapping(take=model.variant).learn_target(method.carry(knowledge, few), few, LEARNER)
    np.testing.assert_array_equal(model.predict_proba(renamed.X), taken.predict_proba(renamed.X))


def test_what_has_no_image_is_dropped():
    mapping = PredicateMap(Image("k9", (1, 0)), {"wise": None, "wrote": Image("m3", (1, 0)), "in": Image("at", (1, 0))})
    wise, wrote = Condition(0, (), Holds("wise", 0)), Path(0, 1, (Step("wrote", 1, 0), Step("wrote", 0, 1)))
    few, many = Leaf(1.0, 2.0), Leaf(2.0, 5.0)
    assert translated(Node((wise,), few, many), mapping, str.__len__) == many
    assert translated(Node((wise,), Leaf(1.0, 5.0), Leaf(2.0, 2.0)), mapping, bool) == Leaf(1.0, 5.0)
    both = translated(Node((wrote, wise), few, many), mapping, bool)
    # The example's variables change places with the head's arguments, so the path goes the other way round.
    assert both == Node((Path(0, 1, (Step("m3", 0, 1), Step("m3", 1, 0))),), few, many)
    below = translated(Node((wise,), few, Node((wrote,), few, many)), mapping, bool)
    assert below == both
    half_gone = (Condition(1, (Step("wrote", 1, 0),), Holds("wise", 0)),)
    assert translated(Node(half_gone, few, many), mapping, bool) == many
    named = (Condition(0, (), Holds("in", 0, 1, "x")),)
    assert translated(Node(named, few, many), mapping, lambda value: True).asks == (
        Condition(1, (), Holds("at", 1, 0, "x")),
    )
    assert translated(Node(named, few, many), mapping, lambda value: False).asks == (Condition(1, (), Holds("at", 1)),)
    assert translated(few, mapping, bool) == few


def test_every_legal_mapping_is_yielded_once_and_types_stay_one_to_one():
    source = {name: Predicate(name, of) for name, of in {"r": ("a", "b"), "s": ("b", "b"), "u": ("a",)}.items()}
    target = {
        name: Predicate(name, of)
        for name, of in {
            "R": ("x", "y"),
            "S": ("y", "y"),
            "T": ("y", "x"),
            "U": ("x",),
            "V": ("y",),
            "W": ("x", "x"),
        }.items()
    }
    found = list(
        Search(most=10**6).legal(["r", "s", "u"], source, Predicate("h", ("a",)), target, Predicate("H", ("x",)))
    )
    told = {str((m.head, m.images)) for m in found}
    assert len(told) == len(found)
    # b is no a, so nothing goes to W.
    # a goes to x with the head: r to R or the turned T or nothing; s to S either way or nothing; u to U or nothing.
    assert len(found) == 3 * 3 * 2
    for mapping in found:
        assert mapping.kinds["a"] == "x"
        assert len(set(mapping.kinds.values())) == len(mapping.kinds)
    kept = Search(inversion=False, empty=False).legal(
        ["r", "s", "u"], source, Predicate("h", ("a",)), target, Predicate("H", ("x",))
    )
    assert [m.images for m in kept] == [{"r": Image("R", (0, 1)), "s": Image("S", (0, 1)), "u": Image("U", (0,))}]


def test_where_no_mapping_is_legal_it_says_why(source, knowledge):
    alone = Facts.of({"old": [("a",), ("b",)]})
    method = PredicateMapping()
    with pytest.raises(NeedsError, match=r"trusts.*has 2 arguments and new.* 1"):
        method.carry(knowledge, facts_domain(alone, "new", [("a",)], [("b",)]))
    two = Facts.of({"old": [("a",)], "kept": [("b",)]})
    with pytest.raises(NeedsError, match=r"types of trusts.*one to one"):
        method.carry(knowledge, facts_domain(two, "new", [("a", "b")], []))
    with pytest.raises(NeedsError, match="did you mean 'walk'"):
        PredicateMapping("walks").learn_source(source, LEARNER)
    with pytest.raises(NeedsError, match="no variant to take 'scratched'"):
        PredicateMapping(take="scratched").learn_source(source, LEARNER)
    assert "needs RelationalBoosting as the learner, not str" in method.refuses("tree")
    assert method.refuses(LEARNER) is None


def test_a_target_with_one_class_keeps_the_sources_parameters(renamed, knowledge):
    positives = renamed.rows(renamed.y == 1)
    method = PredicateMapping()
    model = method.learn_target(method.carry(knowledge, positives), positives, LEARNER)
    assert model.variant == "mapped"
    assert model.bias == knowledge.facts["model"]["bias"]


def test_leaves_fitted_again_are_drawn_towards_what_they_held(renamed):
    X, y = renamed.X, renamed.labels
    eta, s = 0.5, 7.0
    bench = Workbench.of(X, y == 1, RelationalBoosting(learning_rate=eta, shrinkage=s))
    asks = (Path(0, 1, (Step("m3", 1, 0), Step("m3", 0, 1))),)
    trees = [Node(asks, Leaf(0.9, 1.0), Leaf(-0.4, 1.0)), Leaf(0.3, 1.0)]
    found = refitted(bench, trees, bench.rows)
    p = (y.sum() + 0.5) / (len(y) + 1)
    yes = evaluate(asks, X)
    psi = np.full(len(y), np.log(p / (1 - p)))
    assert 0 < yes.sum() < len(y)
    for leaf, part, held in ((found.trees[0].yes, yes, 0.9), (found.trees[0].no, ~yes, -0.4)):
        value = (eta * (y - p)[part].sum() + s * held) / (p * (1 - p) * part.sum() + s)
        assert leaf == Leaf(pytest.approx(value), part.sum())
        psi[part] += leaf.value
    q = 1 / (1 + np.exp(-psi))
    assert found.trees[1].value == pytest.approx((eta * (y - q).sum() + s * 0.3) / ((q * (1 - q)).sum() + s))
    # Of no row, a leaf keeps its value.
    assert refitted(bench, trees, bench.rows[~yes]).trees[0].yes.value == pytest.approx(0.9)


def test_a_target_with_nothing_to_map_to_still_gets_probabilities(knowledge):
    facts = Facts.of({"near": [("a", "b", "c"), ("b", "c", "a"), ("d", "a", "b")]}, {"near": ("x", "x", "x")})
    target = facts_domain(facts, "far", [("a", "b"), ("b", "c")], [("c", "a"), ("c", "b"), ("d", "c")])
    model = PredicateMapping().carry(knowledge, target)
    assert all(image is None for image in model.mappings[0].images.values())
    told = PredicateMapping(take="mapped").learn_target(model, target, LEARNER).predict_proba(target.X)[:, 1]
    assert len(set(told.round(12))) == 1
    assert told[0] == pytest.approx(0.4, abs=0.15)
