"""Rules on entities that were not there when they were learned, and how well links rank."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from headstart.errors import InputError, NeedsError
from headstart.method import Knowledge, four_steps, require
from headstart.relations import Examples, Facts, Predicate, RelationalBoosting, facts_domain
from headstart.relations.boosting import Boosted
from headstart.relations.inductive_links import InductiveLinks, without
from headstart.relations.link_ranking import LinkRanks, corrupted, links_domain, links_evaluation, rank_links
from headstart.relations.literals import Path, Step
from headstart.relations.trees import Leaf, Node, scores

LEARNER = RelationalBoosting(n_trees=8)


def family(name, seed=0, n=60, drop=()):
    """Who is whose uncle: the brother of a parent, among predicates that do not matter."""
    rng = np.random.default_rng(seed)
    people = [f"{name}{i}" for i in range(n)]
    parent = [(people[int(rng.integers(n // 3))], child) for child in people[n // 3 :]]
    brother = [(people[i], people[i ^ 1]) for i in range(n // 3 // 2 * 2)]
    noise = {f"knows{j}": [(p, people[int(rng.integers(n))]) for p in people] for j in range(3)}
    siblings = {b: a for a, b in brother}
    uncles = [(siblings[elder], child) for elder, child in parent if elder in siblings]
    told = {"parent": parent, "brother": brother, "tall": [(p,) for p in people if rng.random() < 0.5], **noise}
    facts = Facts.of({p: rows for p, rows in told.items() if p not in drop}, name=name)
    return facts_domain(facts, "uncle", uncles, random_state=seed)


def knowledge_of(source, learner=LEARNER):
    method = InductiveLinks()
    return method.extract(method.learn_source(source, learner), source)


def carried_to(target, knowledge, *, refit=True):
    method = InductiveLinks(refit)
    return method.learn_target(method.carry(knowledge, target), target, LEARNER)


def unlabelled(domain):
    return domain.rows(np.zeros(0, dtype=int))


@pytest.fixture(scope="module")
def source():
    return family("a")


@pytest.fixture(scope="module")
def knowledge(source):
    return knowledge_of(source)


def test_in_a_world_with_other_names_for_its_entities_rules_predict_the_same(source, knowledge):
    model = RelationalBoosting(n_trees=8).fit(source.X, source.labels)
    # The names of b.. sort as those of a..: the same world.
    renamed = family("b")
    assert not set(renamed.X.facts.constants) & set(source.X.facts.constants)
    other = carried_to(unlabelled(renamed), knowledge)
    assert np.array_equal(other.predict_proba(renamed.X), model.predict_proba(source.X))


def test_unseen_families_are_predicted_without_one_label(knowledge):
    target = family("c", seed=5, n=90)
    model = carried_to(unlabelled(target), knowledge)
    assert (model.predict(target.X) == target.y).mean() > 0.97
    p = model.predict_proba(target.X)[:, 1]
    rate = np.array([1 - target.y.mean(), target.y.mean()])
    assert np.log(np.where(target.y == 1, p, 1 - p)).mean() > rate @ np.log(rate) / 2


def test_few_labels_draw_leaves_and_many_move_them(knowledge):
    target = family("c", seed=5, n=90)
    few = target.rows(np.r_[np.flatnonzero(target.y == 1)[:2], np.flatnonzero(target.y == 0)[:4]])
    before = carried_to(unlabelled(target), knowledge)
    after = carried_to(few, knowledge)
    assert after.refitted
    assert not before.refitted
    assert [node.asks for node in after.trees] == [node.asks for node in before.trees]
    # A learner with great shrinkage stays where the source was.
    method = InductiveLinks()
    stiff = RelationalBoosting(n_trees=8, shrinkage=1e9)
    kept = method.learn_target(method.carry(knowledge, target), target, stiff)
    values = [[tree.yes.value, tree.no.value] for tree in before.trees if isinstance(tree.yes, Leaf)]
    assert values
    assert np.allclose(
        values, [[tree.yes.value, tree.no.value] for tree in kept.trees if isinstance(tree.yes, Leaf)], atol=1e-6
    )
    # Labels turned round turn the leaves round.
    against, now = target.X.constants[target.y == 1].tolist(), target.X.constants[target.y == 0].tolist()
    flipped = facts_domain(target.X.facts, "uncle", now, against)
    other = carried_to(flipped, knowledge)
    assert other.predict_proba(target.X)[target.y == 1, 1].mean() < 0.5
    assert carried_to(flipped, knowledge, refit=False).predict_proba(target.X)[target.y == 1, 1].mean() > 0.5


def test_a_predicate_that_the_target_lacks_never_holds():
    known = {"r": Predicate("r", ("t", "t")), "s": Predicate("s", ("t", "t"))}
    facts = Facts.of({"r": [("a", "b"), ("b", "c")]}, {"r": ("t", "t")})
    rows = Examples(facts, Predicate("h", ("t", "t")), np.array([("a", "b"), ("b", "a")], dtype=object))
    by_r, by_s = (Path(0, 1, (Step("r", 0, 1),)),), (Path(0, 1, (Step("s", 0, 1),)),)
    tree = Node(by_s, Leaf(5.0), Node(by_r, Node(by_s, Leaf(3.0), Leaf(1.0)), Leaf(-1.0)))
    cut = without(tree, facts.schema)
    assert cut == Node(by_r, Leaf(1.0), Leaf(-1.0))
    assert scores(cut, rows).tolist() == scores(tree, rows).tolist() == [1.0, -1.0]
    assert without(tree, known) == tree


def test_rules_go_on_without_a_predicate_and_say_so(knowledge):
    lacking = family("d", seed=3, drop=("knows0", "knows1", "knows2", "tall"))
    model = carried_to(lacking, knowledge)
    assert (model.predict(lacking.X) == lacking.y).mean() > 0.97
    parted = family("d", seed=3, drop=("brother",))
    model = carried_to(parted, knowledge)
    assert model.missing == ("brother",)
    assert "never holds here: 'brother'" in model.explain()
    assert "brother" not in model.schema


def test_a_target_with_none_of_the_predicates_is_told_to_map_them(knowledge):
    rows = [(f"x{i}", f"x{i + 1}") for i in range(8)]
    facts = Facts.of({"cites": rows, "wrote": rows})
    with pytest.raises(NeedsError, match=r"rules ask about .*'parent'.* has 'cites', 'wrote': use PredicateMapping"):
        InductiveLinks().carry(knowledge, facts_domain(facts, "uncle", rows[:2]))


def test_errors_say_what_to_do(source, knowledge):
    rows = [(f"x{i}", f"x{i + 1}") for i in range(8)]
    other = facts_domain(Facts.of({"parent": rows}), "cousin", rows[:2])
    with pytest.raises(NeedsError, match=r"rules are about uncle.* asks for cousin.*PredicateMapping"):
        InductiveLinks().carry(knowledge, other)
    unary = Facts.of({"parent": [(f"x{i}",) for i in range(9)], "brother": rows})
    with pytest.raises(NeedsError, match="relations of one name must have the same arguments"):
        InductiveLinks().carry(knowledge, facts_domain(unary, "uncle", rows[:2]))
    with pytest.raises(NeedsError, match="RelationalBoosting as the learner, not LogisticRegression"):
        require(InductiveLinks(), LogisticRegression(), source=source)


def test_knowledge_survives_json_and_holds_no_fact(source, knowledge):
    told = json.dumps(knowledge.facts)
    assert not any(f'"{constant}"' in told for constant in source.X.facts.constants)
    back = Knowledge("InductiveLinks", False, facts=json.loads(told))
    target = family("c", seed=5)
    one, other = carried_to(target, knowledge), carried_to(target, back)
    assert one.trees == other.trees
    assert one.bias == other.bias


def test_the_four_steps_run(source):
    journey = four_steps(InductiveLinks(), source, family("c", seed=5), LEARNER)
    assert journey.predictor.refitted


# Links


def friends(name, n=40):
    """Pairs who like each other, and whom anyone may know."""
    rng = np.random.default_rng(len(name))
    return Facts.of(
        {
            "likes": [(f"{name}{i}", f"{name}{i ^ 1}") for i in range(n)],
            "knows": [(f"{name}{i}", f"{name}{rng.integers(n)}") for i in range(n)],
        },
        {"likes": ("p", "p"), "knows": ("p", "p")},
        name=name,
    )


def without_links(facts, every):
    rows = [(facts.names[a], facts.names[b]) for a, b in facts.tuples["likes"]]
    held = rows[::every]
    told = {"likes": [row for row in rows if row not in held]}
    told["knows"] = [(facts.names[a], facts.names[b]) for a, b in facts.tuples["knows"]]
    return Facts.of(told, {"likes": ("p", "p"), "knows": ("p", "p")}, name=facts.name), held


def test_a_rule_about_the_relation_itself_finds_links_among_strangers():
    rows = links_domain(friends("a"), "likes", per_positive=6)
    method = InductiveLinks()
    knowledge = method.extract(method.learn_source(rows, LEARNER), rows)
    world, held = without_links(friends("bb"), 4)
    target = links_domain(world, "likes", share=0.2)
    model = method.learn_target(method.carry(knowledge, target), unlabelled(target), LEARNER)
    found = links_evaluation(model, world, "likes", held)
    assert found.mrr > 0.9
    assert len(found.ranks) == 2 * len(held)
    head, tail = held[0]
    assert rank_links(model, world, "likes", [head])[head][0][0] == tail


class ByName:
    """Scores tails by a table."""

    def __init__(self, table):
        self.table = table

    def decision_function(self, X):
        return np.array([self.table[b] for _, b in X.constants])


def test_ranks_are_filtered_and_equals_stand_in_the_middle():
    facts = Facts.of({"r": [("a", "b")], "p": [(x,) for x in "abcde"]}, {"r": ("t", "t"), "p": ("t",)})
    model = ByName({"a": 0.0, "b": 9.0, "c": 1.0, "d": 1.0, "e": 2.0})
    # b is a fact, e is known to be true: both out of the way; d is as good as c.
    only = {"replaced": "tail"}
    assert links_evaluation(model, facts, "r", [("a", "c")], known=[("a", "e")], **only).ranks.tolist() == [1.5]
    assert links_evaluation(model, facts, "r", [("a", "c")], **only).ranks.tolist() == [2.5]
    # Of two links that are asked for neither stands in the way of the other.
    assert links_evaluation(model, facts, "r", [("a", "c"), ("a", "e")], **only).ranks.tolist() == [1.5, 1.0]
    assert links_evaluation(model, facts, "r", [("a", "c")], candidates=["e", "a"], **only).ranks.tolist() == [2.0]
    ranked = rank_links(model, facts, "r", ["a"])["a"]
    assert [tail for tail, _ in ranked] == ["e", "c", "d", "a"]


def test_heads_are_ranked_when_they_are_asked_for():
    facts = Facts.of({"r": [("a", "b")], "p": [(x,) for x in "abcd"]}, {"r": ("t", "t"), "p": ("t",)})

    class ByHead:
        def decision_function(self, X):
            return np.array([{"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0}[a] for a, _ in X.constants])

    assert links_evaluation(ByHead(), facts, "r", [("d", "c")], replaced="head").ranks.tolist() == [4.0]
    # a is left out, as a(b) is a fact.
    assert links_evaluation(ByHead(), facts, "r", [("c", "b")], replaced="head").ranks.tolist() == [2.0]
    assert len(links_evaluation(ByHead(), facts, "r", [("d", "c")]).ranks) == 2


def test_reciprocal_ranks_and_hits_are_means():
    ranks = LinkRanks.together([LinkRanks(np.array([1.0, 4.0])), LinkRanks(np.array([10.0, 11.0]))])
    assert ranks.mrr == pytest.approx((1 + 1 / 4 + 1 / 10 + 1 / 11) / 4)
    assert (ranks.hits(1), ranks.hits(10)) == (0.25, 0.75)
    assert np.isnan(LinkRanks.together([]).mrr)


def test_examples_of_links_do_not_tell_their_own_answer():
    facts = friends("a")
    rows = links_domain(facts, "likes", share=0.3, per_positive=5)
    world = rows.X.facts
    inside = {(world.names[a], world.names[b]) for a, b in world.tuples["likes"]}
    positive = {tuple(row) for row in rows.X.constants[rows.y == 1]}
    assert len(positive) == 12
    assert not positive & inside
    assert positive | inside == {(facts.names[a], facts.names[b]) for a, b in facts.tuples["likes"]}
    assert len(facts.tuples["likes"]) == 40


def test_corrupted_links_keep_one_end_and_are_not_true():
    facts = friends("a")
    true = [(facts.names[a], facts.names[b]) for a, b in facts.tuples["likes"]]
    made = corrupted(facts, "likes", true[:10], per_positive=4)
    assert len(made) == len(set(made)) == 40
    assert not set(made) & set(true)
    heads, tails = {a for a, _ in true[:10]}, {b for _, b in true[:10]}
    assert all(a in heads or b in tails for a, b in made)
    assert sum(a in heads for a, _ in made) >= 20
    assert sum(b in tails for _, b in made) >= 20
    assert made == corrupted(facts, "likes", true[:10], per_positive=4)
    everything = Facts.of({"r": [(a, b) for a in "ab" for b in "ab"]})
    assert corrupted(everything, "r", [("a", "b")]) == []


def test_links_that_cannot_be_asked_are_refused():
    facts = Facts.of({"r": [("a", "b")], "p": [("a",), ("c",)]}, {"r": ("t", "t"), "p": ("t",)})
    model = Boosted(0.0, [], Predicate("r", ("t", "t")), {}, np.array([0, 1]))
    with pytest.raises(InputError, match=r"r\(a, b\) is a fact and a link to find"):
        links_evaluation(model, facts, "r", [("a", "b")])
    with pytest.raises(InputError, match="links nothing"):
        rank_links(model, facts, "p", ["a"])
    with pytest.raises(InputError, match="no predicate 'q'"):
        links_domain(facts, "q")
    with pytest.raises(InputError, match="share is 0"):
        links_domain(facts, "r", share=0)
    with pytest.raises(InputError, match="give a larger share"):
        links_domain(facts, "r", share=0.1)


def test_a_model_that_says_nothing_ranks_in_the_middle():
    facts = Facts.of({"r": [("a", "b")], "p": [(x,) for x in "abcde"]}, {"r": ("t", "t"), "p": ("t",)})
    model = Boosted(-1.0, [], Predicate("r", ("t", "t")), {}, np.array([0, 1]))
    assert links_evaluation(model, facts, "r", [("a", "c")], replaced="tail").ranks.tolist() == [2.5]
