"""Templates: what they keep of a conjunction, and whether a prior over them finds the right question."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from headstart.errors import NeedsError, StoreError
from headstart.method import Knowledge, four_steps, require
from headstart.relations import Facts, Predicate, RelationalBoosting, facts_domain
from headstart.relations.boosting import Workbench
from headstart.relations.literals import Condition, Holds, Path, Step, candidates, evaluate
from headstart.relations.template_transfer import STRENGTHS, TemplateTransfer, cross_validated
from headstart.relations.template_worth import gains, split_worth, template_scores
from headstart.relations.templates import Template
from headstart.relations.trees import Growth, Node

LEARNER = RelationalBoosting(n_trees=3)
SOURCE, TARGET = ("friends", "club", "trait", "likes"), ("allied", "treaty", "kind", "trades")


def world(words, seed, positives, *, by="shared", wrong=0.0, negatives=3):
    """Pairs of people: of one club, or (by="trait") the second has a trait; the other predicates mean nothing."""
    rng = np.random.default_rng(seed)
    head, shared, trait, other = words
    people = [f"{head}{i}" for i in range(40)]
    told = {shared: [(p, f"{shared}{rng.integers(13)}") for p in people]}
    told |= {f"{trait}{j}": [(p,) for p in people if rng.random() < 0.4] for j in range(10)}
    told |= {f"{other}{j}": [(p, f"{other}{j}_{rng.integers(13)}") for p in people] for j in range(2)}
    of, those = dict(told[shared]), {p for (p,) in told[f"{trait}0"]}
    pairs = [(a, b) for i, a in enumerate(people) for b in people[i + 1 :]]
    holds = [of[a] == of[b] if by == "shared" else b in those for a, b in pairs]
    yes = [pairs[i] for i in rng.permutation(np.flatnonzero(holds))[:positives]]
    no = [pairs[i] for i in rng.permutation(np.flatnonzero(~np.array(holds)))[: negatives * positives]]
    k = round(wrong * positives)
    return facts_domain(Facts.of(told, name=head), head, yes[k:] + no[:k], no[k:] + yes[:k])


def knowledge_of(source, method=None):
    method = method or TemplateTransfer()
    return method.extract(method.learn_source(source, LEARNER), source)


def first_question(model):
    return model.trees[0].asks if model.trees and isinstance(model.trees[0], Node) else None


def shares(relation):
    return (Path(0, 1, (Step(relation, 0, 1), Step(relation, 1, 0))),)


def with_prior(knowledge, target, strength):
    method = TemplateTransfer(strength)
    return method.learn_target(method.carry(knowledge, target), target, LEARNER)


@pytest.fixture(scope="module")
def knowledge():
    return knowledge_of(world(SOURCE, 1000, 60))


def test_a_prior_finds_the_right_question_where_scratch_is_misled(knowledge):
    found = {0.0: 0, 2.0: 0, "best": 0}
    for seed in range(20):
        target = world(TARGET, seed, 4, wrong=0.25)
        for strength in found:
            found[strength] += first_question(with_prior(knowledge, target, strength)) == shares("treaty")
    assert found[2.0] >= 18
    assert found["best"] >= found[0.0] + 5
    assert found[0.0] <= 14


def test_the_chosen_strength_predicts_unseen_pairs_better_than_scratch(knowledge):
    gains = []
    for seed in range(10):
        target, unseen = world(TARGET, seed, 5, wrong=0.2), world(TARGET, seed, 40)
        for_rows = {s: with_prior(knowledge, target, s).predict_proba(unseen.X)[:, 1] for s in (0.0, "best")}
        right = {s: np.log(np.where(unseen.y == 1, p, 1 - p)).mean() for s, p in for_rows.items()}
        gains.append(right["best"] - right[0.0])
    assert np.mean(gains) > 0.02


def test_no_strength_is_learning_from_scratch(knowledge):
    target = world(TARGET, 3, 8, wrong=0.2)
    alone = RelationalBoosting(n_trees=3).fit(target.X, target.labels)
    model = with_prior(knowledge, target, 0.0)
    assert model.trees == alone.boosted_.trees
    assert np.array_equal(model.predict_proba(target.X), alone.predict_proba(target.X))


def test_a_misleading_prior_costs_little_once_there_are_labels():
    misled = knowledge_of(world(SOURCE, 1000, 60, by="trait"))
    found = {0.0: 0, 4.0: 0, "best": 0}
    for seed in range(10):
        target = world(TARGET, seed, 12)
        for strength in found:
            found[strength] += first_question(with_prior(misled, target, strength)) == shares("treaty")
    assert found[0.0] == 10
    assert found[4.0] < 10  # so that the choice below is one
    assert found["best"] >= 9


def test_strength_is_what_cross_validation_prefers(knowledge):
    target = world(TARGET, 0, 6, wrong=0.2)
    model = with_prior(knowledge, target, "best")
    assert tuple(model.likelihoods) == STRENGTHS
    assert model.likelihoods[model.strength] == max(model.likelihoods.values())
    assert model.strength > 0


def test_with_one_positive_there_is_no_cross_validation(knowledge):
    target = world(TARGET, 0, 1, negatives=8)
    model = with_prior(knowledge, target, "best")
    assert model.likelihoods == {}
    assert model.strength == 1.0


def test_keys_do_not_change_with_the_names_of_predicates_and_constants():
    source = world(SOURCE, 5, 30).X
    rename = {name: f"x{i}" for i, name in enumerate(sorted(source.facts.schema, reverse=True))}
    schema = {rename[name]: Predicate(rename[name], spec.types) for name, spec in source.facts.schema.items()}

    def renamed(literal):
        if isinstance(literal, Step):
            return Step(rename[literal.predicate], literal.start, literal.end)
        value = f"other {literal.value}" if literal.value else ""
        return Holds(rename[literal.predicate], literal.position, literal.at, value)

    def new(part):
        steps = tuple(map(renamed, part.steps))
        if isinstance(part, Path):
            return Path(part.start, part.end, steps)
        return Condition(part.variable, steps, renamed(part.last))

    asks = candidates(source.facts, source.predicate.types)
    named = [each for each in asks if any(isinstance(part, Condition) and part.last.value for part in each)]
    assert len(asks) > 200
    assert named
    for each in asks:
        before = Template.of(each, source.facts.schema, source.predicate)
        after = Template.of(tuple(map(new, each)), schema, Predicate("h", source.predicate.types))
        assert before == after
        assert before.key == after.key


def test_keys_tell_forms_apart():
    same = Predicate("h", ("person", "person"))
    schema = {
        "wrote": Predicate("wrote", ("person", "title")),
        "writtenby": Predicate("writtenby", ("title", "person")),
        "cites": Predicate("cites", ("title", "title")),
        "parent": Predicate("parent", ("person", "person")),
        "boss": Predicate("boss", ("person", "person")),
        "old": Predicate("old", ("person",)),
        "rich": Predicate("rich", ("person",)),
    }

    def key(*parts):
        return Template.of(parts, schema, same).key

    def path(*steps):
        return Path(0, 1, tuple(Step(*step) for step in steps))

    def about(variable, name, position=0, at=-1, value=""):
        return Condition(variable, (), Holds(name, position, at, value))

    forms = [
        path(("parent", 0, 1)),
        path(("parent", 1, 0)),
        path(("parent", 0, 1), ("parent", 0, 1)),
        path(("parent", 0, 1), ("parent", 1, 0)),
        path(("parent", 1, 0), ("parent", 0, 1)),
        path(("parent", 0, 1), ("boss", 0, 1)),
        about(0, "old"),
        about(1, "old"),
        about(0, "wrote"),
        about(0, "wrote", 0, 1, "emma"),
    ]
    assert len({key(form) for form in forms}) == len(forms)
    # The order of arguments of different types is spelling; so is the name of a constant.
    assert key(path(("wrote", 0, 1), ("wrote", 1, 0))) == key(path(("writtenby", 1, 0), ("writtenby", 0, 1)))
    assert key(about(0, "wrote", 0, 1, "emma")) == key(about(0, "writtenby", 1, 0, "ivanhoe"))
    # One attribute of both ends is something else than two attributes.
    assert key(about(0, "old"), about(1, "old")) != key(about(0, "old"), about(1, "rich"))
    assert key(about(0, "old"), about(1, "rich")) == key(about(0, "rich"), about(1, "old"))


def test_arguments_of_a_head_of_two_types_may_stand_in_any_order():
    schema = {"likes": Predicate("likes", ("user", "film")), "old": Predicate("old", ("user",))}
    one, other = Predicate("rated", ("user", "film")), Predicate("ratedby", ("film", "user"))

    def about(variable):
        return (Condition(variable, (), Holds("old", 0)),)

    assert Template.of(about(0), schema, one) == Template.of(about(1), schema, other)
    forward, back = (Path(0, 1, (Step("likes", 0, 1),)),), (Path(0, 1, (Step("likes", 1, 0),)),)
    assert Template.of(forward, schema, one) == Template.of(back, schema, other)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("homophily", (Condition(0, (), Holds("p", 0)), Condition(1, (), Holds("p", 0)))),
        ("attributes of both", (Condition(0, (), Holds("p", 0)), Condition(1, (), Holds("q", 0)))),
        ("symmetry", (Path(0, 1, (Step("r", 1, 0),)),)),
        ("direct link", (Path(0, 1, (Step("r", 0, 1),)),)),
        ("transitivity", (Path(0, 1, (Step("r", 0, 1), Step("r", 0, 1))),)),
        ("co-occurrence", (Path(0, 1, (Step("r", 1, 0), Step("r", 0, 1))),)),
        ("path", (Path(0, 1, (Step("r", 0, 1), Step("s", 0, 1))),)),
        ("attribute", (Condition(0, (), Holds("p", 0)),)),
        ("part in a relation", (Condition(0, (), Holds("r", 0)),)),
        ("value", (Condition(0, (), Holds("r", 0, 1, "c")),)),
        ("attribute of a neighbour", (Condition(0, (Step("r", 0, 1),), Holds("p", 0)),)),
    ],
)
def test_templates_have_the_names_they_are_known_by(name, parts):
    schema = {"p": Predicate("p", ("t",)), "q": Predicate("q", ("t",))}
    schema |= {"r": Predicate("r", ("t", "t")), "s": Predicate("s", ("t", "t"))}
    template = Template.of(parts, schema, Predicate("h", ("t", "t")))
    assert template.name == name
    assert Template.read(template.key) == template


def test_no_name_and_no_fact_of_the_source_travels_and_json_keeps_all(knowledge):
    facts = dict(knowledge.facts, world="")
    told = json.dumps(facts)
    assert not any(word in told for word in SOURCE)
    assert not knowledge.holds_source_rows
    assert not knowledge.arrays
    back = Knowledge(knowledge.method, False, facts=json.loads(json.dumps(knowledge.facts)))
    assert back.facts == knowledge.facts
    target = world(TARGET, 2, 6, wrong=0.2)
    assert with_prior(back, target, 2.0).trees == with_prior(knowledge, target, 2.0).trees


def test_what_the_first_split_is_worth_is_the_squared_correlation_of_question_and_label():
    rng = np.random.default_rng(0)
    said, y = (rng.random((300, 20)) < 0.3).astype(float), rng.random(300) < 0.2
    p = y.mean()
    found = gains(said, y - p, np.full(300, p * (1 - p)), Growth(shrinkage=0.0, least=1)) / 300
    expected = [np.corrcoef(column, y)[0, 1] ** 2 for column in said.T]
    assert found == pytest.approx(np.array(expected), abs=1e-7)
    few = gains(said, y - p, np.full(300, p * (1 - p)), Growth(least=len(y)))
    assert not few.any()


def test_what_matters_only_once_another_question_is_asked_scores_too():
    """The label is trait0 of the second or else a shared club: the club alone tells less at first than in the end."""
    source = world(SOURCE, 3, 200, negatives=1)
    club = shares("club")
    asks = candidates(source.X.facts, source.X.predicate.types)
    those = {p for (p,) in source.X.facts.tuples["trait0"]}
    second = np.array([at in those for at in source.X.positions[:, 1]])
    holds = second | evaluate(club, source.X)
    once = split_worth(asks, source.X, holds, RelationalBoosting(n_trees=1, depth=1))
    all_along = split_worth(asks, source.X, holds, RelationalBoosting(n_trees=8))
    trait = (Condition(1, (), Holds("trait0", 0)),)
    ratio = [worth[asks.index(club)] / worth[asks.index(trait)] for worth in (once, all_along)]
    assert ratio[1] > ratio[0]
    others = [w for each, w in zip(asks, all_along, strict=True) if each not in (club, trait) and len(each) == 1]
    assert all_along[asks.index(club)] > np.nanmax(others)


def test_a_template_scores_the_mean_of_its_best_conjunctions():
    schema = {f"p{i}": Predicate(f"p{i}", ("t",)) for i in range(4)}
    worth = {(Condition(0, (), Holds(f"p{i}", 0)),): float(i) for i in range(4)}
    worth |= {(Condition(1, (), Holds("p0", 0)),): 7.0}
    head = Predicate("h", ("t", "t"))
    assert list(template_scores(worth, schema, head, best=3).values()) == [7.0, 2.0]
    assert list(template_scores(worth, schema, head, best=1).values()) == [7.0, 3.0]


def test_questions_that_leave_too_few_on_a_side_have_no_worth():
    source = world(SOURCE, 3, 20)
    asks = candidates(source.X.facts, source.X.predicate.types)
    worth = split_worth(asks, source.X, source.y > 0, RelationalBoosting(least=5))
    for each, told in zip(asks, worth, strict=True):
        yes = evaluate(each, source.X).sum()
        assert np.isnan(told) == (min(yes, len(source) - yes) < 5)


def test_a_template_the_source_could_not_try_has_the_weight_one(knowledge):
    target = world(TARGET, 0, 5)
    prior = TemplateTransfer().carry(knowledge, target)
    shared = shares("treaty")
    twice = (Path(0, 1, (Step("treaty", 0, 1), Step("trades0", 1, 0))),)
    assert prior.weights([shared], 2.0)[0] == pytest.approx(np.exp(2.0))
    assert Template.of(twice, prior.schema, prior.head).key not in prior.scores
    assert prior.weights([twice], 2.0)[0] == 1.0


def test_explanation_names_the_template_that_counted_most(knowledge):
    model = with_prior(knowledge, world(TARGET, 1, 10), 2.0)
    first = model.explain().splitlines()[1]
    assert "co-occurrence: P(A, C), P(B, C)" in first
    assert "treaty(A, C), treaty(B, C)" in first


def test_the_four_steps_and_the_choice_repeat(knowledge):
    source, target = world(SOURCE, 1000, 60), world(TARGET, 4, 6, wrong=0.2)
    journey = four_steps(TemplateTransfer(), source, target, LEARNER)
    assert journey.predictor.trees == with_prior(knowledge, target, "best").trees
    assert journey.predictor.likelihoods == with_prior(knowledge, target, "best").likelihoods


def test_folds_keep_classes_apart_and_a_bench_is_its_own_baseline(knowledge):
    target = world(TARGET, 4, 6, wrong=0.2)
    bench = Workbench.of(target.X, target.labels == 1, LEARNER)
    prior = TemplateTransfer().carry(knowledge, target)
    told = cross_validated({0.0: bench, 1.0: prior.bench(bench, 0.0), 2.0: prior.bench(bench, 2.0)}, 0)
    assert told[0.0] == told[1.0] != told[2.0]


def test_errors_say_what_to_do(knowledge):
    method, target = TemplateTransfer(), world(TARGET, 0, 5)
    with pytest.raises(NeedsError, match="RelationalBoosting as the learner, not LogisticRegression"):
        require(method, LogisticRegression(), target=target)
    with pytest.raises(NeedsError, match="label examples that hold and examples that don't"):
        method.learn_target(method.carry(knowledge, target), target.rows(target.y == 1), LEARNER)
    with pytest.raises(NeedsError, match="best is 0"):
        TemplateTransfer(best=0).learn_source(target, LEARNER)
    for strength in ("strong", -1.0, float("nan")):
        with pytest.raises(NeedsError, match="give a number from 0"):
            TemplateTransfer(strength).learn_source(target, LEARNER)
    with pytest.raises(StoreError, match="no templates"):
        method.carry(Knowledge("TemplateTransfer", False, facts={}), target)
    with pytest.raises(StoreError, match="is no template"):
        Template.read("[1, 2]")
