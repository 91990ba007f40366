"""Relational boosting beside its definition: splits by brute force, leaves by formula, and what must not matter."""

import json
from itertools import product

import numpy as np
import pytest
from sklearn.base import clone

from headstart.errors import InputError, StoreError
from headstart.relations import Examples, Facts, RelationalBoosting, facts_domain
from headstart.relations.boosting import Boosted, leaves
from headstart.relations.documents import boosted, document
from headstart.relations.facts import Predicate
from headstart.relations.literals import candidates, evaluate, predicates_of, written
from headstart.relations.trees import Leaf, Node, scores


def world(seed=0, n=14):
    """A world with chance facts, and a predicate that follows from them but for some noise."""
    rng = np.random.default_rng(seed)
    people = [f"p{i}" for i in range(n)]
    places = ["x", "y", "z"]
    told = {
        "wise": [(p,) for p in people if rng.random() < 0.5],
        "knows": [(a, b) for a in people for b in people if a != b and rng.random() < 0.2],
        "lives": [(p, str(rng.choice(places))) for p in people],
        "met": [(a, str(rng.choice(places)), b) for a in people for b in people if rng.random() < 0.1],
    }
    types = {
        "wise": ("person",),
        "knows": ("person", "person"),
        "lives": ("person", "place"),
        "met": ("person", "place", "person"),
    }
    knows, home = set(told["knows"]), dict(told["lives"])
    pairs = [(a, b) for a in people for b in people if a != b]
    holds = [any((a, c) in knows and (c, b) in knows for c in people) and home[a] != "x" for a, b in pairs]
    holds = np.array(holds) ^ (rng.random(len(pairs)) < 0.05)
    return Facts.of(told, types), pairs, holds, told, types


@pytest.fixture(scope="module")
def small():
    facts, pairs, holds, *_ = world()
    domain = facts_domain(
        facts,
        "trusts",
        [p for p, h in zip(pairs, holds, strict=True) if h],
        [p for p, h in zip(pairs, holds, strict=True) if not h],
        types=("person", "person"),
    )
    return domain.X, domain.labels


def log_likelihood(psi, y):
    return -np.logaddexp(0, np.where(y > 0, -psi, psi)).sum()


def arrivals(tree, X, rows):
    """Yield each leaf with the rows that arrive at it, by following the questions."""
    if isinstance(tree, Leaf):
        yield tree, rows
        return
    holds = evaluate(tree.asks, X)[rows]
    yield from arrivals(tree.yes, X, rows[holds])
    yield from arrivals(tree.no, X, rows[~holds])


def test_the_first_split_is_the_best_of_all_and_of_equals_the_shortest(small):
    X, y = small
    p = (y.sum() + 0.5) / (len(y) + 1)
    g, h = y - p, np.full(len(y), p * (1 - p))
    for least, s in product((1, 20), (0.1, 1.0, 10.0)):
        best = []
        for place, asks in enumerate(candidates(X.facts, X.predicate.types)):
            yes = evaluate(asks, X)
            if min(yes.sum(), (~yes).sum()) < least:
                continue
            worth = sum(g[part].sum() ** 2 / (h[part].sum() + s) for part in (yes, ~yes)) - g.sum() ** 2 / (h.sum() + s)
            best.append((-round(worth, 9), place, asks))
        model = RelationalBoosting(n_trees=1, depth=1, least=least, shrinkage=s).fit(X, y)
        assert model.boosted_.trees[0].asks == min(best)[2]


def test_of_two_questions_with_one_answer_the_shorter_is_asked():
    people = [f"p{i}" for i in range(12)]
    told = {
        "boss": [(f"p{i}", f"p{i + 6}") for i in range(6)],
        "aged": [(p,) for p in people[:6]],
        "person": [(p,) for p in people],
    }
    facts = Facts.of(told)
    rows = facts_domain(facts, "rich", [(p,) for p in people[:6]], [(p,) for p in people[6:]])
    # boss(A, _) and aged(A) hold of the same, not(boss(_, A)) too: a unary literal says it with fewer arguments.
    assert " :- aged(A)." in RelationalBoosting(n_trees=1, depth=1).fit(rows.X, rows.labels).clauses()[0]


def test_a_question_and_its_opposite_are_a_tie():
    # `young` holds where `aged` does not, so both split alike: the first by name is asked, however sums are rounded.
    rng = np.random.default_rng(0)
    people = [f"p{i:03}" for i in range(300)]
    aged = rng.random(300) < 0.37
    y = (aged ^ (rng.random(300) < 0.2)).astype(int)
    facts = Facts.of(
        {
            "young": [(p,) for p, a in zip(people, aged, strict=True) if not a],
            "aged": [(p,) for p, a in zip(people, aged, strict=True) if a],
        },
        {"young": ("p",), "aged": ("p",)},
    )
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(300)
        X = Examples.of(facts, "rich", [(people[i],) for i in order])
        model = RelationalBoosting(n_trees=20, depth=1).fit(X, y[order])
        assert {written(tree.asks, facts.schema, 1) for tree in model.boosted_.trees} == {"aged(A)"}


@pytest.mark.parametrize(("eta", "s"), [(0.3, 1.0), (1.0, 0.2)])
def test_leaves_are_newton_steps(small, eta, s):
    X, y = small
    model = RelationalBoosting(n_trees=3, learning_rate=eta, shrinkage=s).fit(X, y).boosted_
    psi = np.full(len(y), np.log((y.sum() + 0.5) / ((1 - y).sum() + 0.5)))
    assert model.bias == pytest.approx(psi[0])
    for tree in model.trees:
        p = 1 / (1 + np.exp(-psi))
        arrived = 0
        for leaf, rows in arrivals(tree, X, np.arange(len(y))):
            step = (y - p)[rows].sum() / ((p * (1 - p))[rows].sum() + s)
            assert leaf.value == pytest.approx(eta * np.clip(step, -4, 4))
            assert leaf.rows == len(rows) >= 3
            arrived += len(rows)
        assert arrived == len(y)
        psi = psi + scores(tree, X)
    np.testing.assert_allclose(model.decision_function(X), psi)


def test_probabilities_are_probabilities_and_more_trees_fit_the_rows_better(small):
    X, y = small
    model = RelationalBoosting(n_trees=25).fit(X, y)
    P = model.predict_proba(X)
    assert ((P > 0) & (P < 1)).all()
    np.testing.assert_allclose(P.sum(axis=1), 1)
    b = model.boosted_
    told = [
        log_likelihood(Boosted(b.bias, b.trees[:k], b.head, b.schema, b.classes_).decision_function(X), y)
        for k in range(len(b.trees) + 1)
    ]
    assert (np.diff(told) > 0).all()
    # Fewer trees are the first of more.
    np.testing.assert_array_equal(
        RelationalBoosting(n_trees=7).fit(X, y).predict_proba(X),
        Boosted(b.bias, b.trees[:7], b.head, b.schema, b.classes_).predict_proba(X),
    )


def test_trees_keep_within_their_bounds(small):
    X, y = small
    for depth, most, least in [(1, 8, 3), (2, 3, 3), (4, 6, 15)]:
        model = RelationalBoosting(n_trees=5, depth=depth, leaves=most, least=least).fit(X, y)
        for tree in model.boosted_.trees:
            of = list(leaves(tree))
            assert len(of) <= most
            assert min(leaf.rows for leaf in of) >= least
            assert deepest(tree) <= depth


def deepest(tree):
    return 1 + max(deepest(tree.yes), deepest(tree.no)) if isinstance(tree, Node) else 0


def test_noise_free_rules_are_found_in_a_world_not_seen():
    facts, pairs, _, told, _ = world(1)
    knows = set(told["knows"])
    people = {c for pair in pairs for c in pair}
    rule = lambda a, b, knows=knows: any((a, c) in knows and (c, b) in knows for c in people)  # noqa: E731
    y = np.array([int(rule(a, b)) for a, b in pairs])
    model = RelationalBoosting(n_trees=10).fit(Examples.of(facts, "trusts", pairs, ("person", "person")), y)
    assert "knows(A, C), knows(C, B)" in model.clauses()[0]
    facts, pairs, _, told, _ = world(2)
    y = np.array([int(rule(a, b, set(told["knows"]))) for a, b in pairs])
    np.testing.assert_array_equal(model.predict(Examples.of(facts, "trusts", pairs, ("person", "person"))), y)


@pytest.mark.parametrize("least", [1, 3, 10])
def test_a_weight_of_two_is_a_row_twice_and_of_zero_a_row_left_out(small, least):
    X, y = small
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    model = RelationalBoosting(n_trees=4, least=least)
    weighted = clone(model).fit(X, y, sample_weight=weight)
    again = np.repeat(np.arange(len(y)), weight)
    repeated = clone(model).fit(X[again], y[again])
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-12)
    assert weighted.clauses(4) == repeated.clauses(4)


def test_the_order_of_rows_and_of_facts_does_not_matter(small):
    X, y = small
    rng = np.random.default_rng(3)
    first = RelationalBoosting(n_trees=6).fit(X, y)
    order = rng.permutation(len(y))
    shuffled_rows = RelationalBoosting(n_trees=6).fit(X[order], y[order])
    assert shuffled_rows.clauses(6) == first.clauses(6)
    np.testing.assert_allclose(shuffled_rows.predict_proba(X), first.predict_proba(X), atol=1e-12)
    _, _, _, told, types = world()
    told = {name: [told[name][i] for i in rng.permutation(len(told[name]))] for name in reversed(told)}
    other = Examples.of(Facts.of(told, types), "trusts", X.constants.tolist(), ("person", "person"))
    np.testing.assert_array_equal(
        RelationalBoosting(n_trees=6).fit(other, y).predict_proba(other), first.predict_proba(X)
    )


def test_it_clones_and_keeps_its_parameters(small):
    X, y = small
    model = RelationalBoosting(n_trees=2, depth=1, values=False)
    before = model.get_params()
    model.fit(X, y)
    assert model.get_params() == before == clone(model).get_params()
    assert not hasattr(clone(model), "boosted_")
    told = RelationalBoosting(n_trees=2).fit(X, np.where(y > 0, "yes", "no"))
    assert told.classes_.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(told.predict(X) == "yes", told.predict_proba(X)[:, 1] > 0.5)


def test_constants_of_no_fact_and_worlds_without_a_predicate_get_an_answer(small):
    X, y = small
    model = RelationalBoosting(n_trees=5).fit(X, y)
    used = set(model.boosted_.schema)
    assert "knows" in used
    strangers = Examples.of(X.facts, "trusts", [("nobody", "no one"), ("p1", "no one")], X.predicate.types)
    told = model.predict_proba(strangers)
    assert np.isfinite(told).all()
    # Of strangers nothing holds, so they arrive where every answer is no.
    assert model.decision_function(strangers)[0] == pytest.approx(
        model.boosted_.bias + sum(at_no(tree) for tree in model.boosted_.trees)
    )
    bare = Facts.of({"wise": [("p1",)], "old": [("p2",)]}, {"wise": ("person",), "old": ("person",)})
    told = model.predict_proba(Examples.of(bare, "trusts", [("p1", "p2")], ("person", "person")))
    assert told.shape == (1, 2)


def at_no(tree):
    return at_no(tree.no) if isinstance(tree, Node) else tree.value


def test_where_nothing_can_be_asked_the_share_of_positives_is_told():
    facts = Facts.of({"person": [(f"p{i}",) for i in range(8)]})
    rows = facts_domain(facts, "rich", [("p0",), ("p1",)], [("p2",), ("p3",), ("p4",), ("p5",)])
    model = RelationalBoosting().fit(rows.X, rows.labels)
    assert model.boosted_.trees == []
    np.testing.assert_allclose(model.predict_proba(rows.X)[:, 1], 2.5 / 7)
    assert model.decision_function(rows.X).shape == (6,)
    assert model.predict(rows.X[np.array([], dtype=int)]).shape == (0,)


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_only_is_refused(small, only):
    X, _ = small
    with pytest.raises(InputError, match=f"trusts.*one class only \\({only}\\)"):
        RelationalBoosting().fit(X, np.full(len(X), only))


def test_what_is_no_example_is_refused(small):
    X, y = small
    with pytest.raises(InputError, match="3 classes"):
        RelationalBoosting().fit(X, np.arange(len(y)) % 3)
    with pytest.raises(InputError, match="examples of facts, not ndarray"):
        RelationalBoosting().fit(np.eye(3), [0, 1, 1])
    with pytest.raises(InputError, match="not list"):
        RelationalBoosting(n_trees=1).fit(X, y).boosted_.predict([[1]])


def test_trees_are_the_same_after_a_journey_through_json(small):
    X, y = small
    model = RelationalBoosting(n_trees=8).fit(X, y).boosted_
    told = json.loads(json.dumps(document(model)))
    back = boosted(told)
    assert (back.bias, back.trees, back.head, back.schema) == (model.bias, model.trees, model.head, model.schema)
    np.testing.assert_array_equal(back.classes_, model.classes_)
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    assert any(len(part.steps) == 2 for tree in back.trees for part in tree.asks)
    used = {name for tree in model.trees for node in inner(tree) for part in node.asks for name in predicates_of(part)}
    assert set(model.schema) == used


def inner(tree):
    return [tree, *inner(tree.yes), *inner(tree.no)] if isinstance(tree, Node) else []


def test_what_is_no_document_is_refused():
    whole = document(Boosted(0.0, [Leaf(0.5, 2.0)], Predicate("wise", ("person",)), {}, np.array([0, 1])))
    for broken in ({}, {**whole, "trees": [{"asks": []}]}, {**whole, "head": []}, {**whole, "bias": "much"}):
        with pytest.raises(StoreError, match="learn it again"):
            boosted(broken)
