"""The common checks of methods whose rows stand in a world of their own: facts, and graphs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

import headstart
from headstart.catalogue import ENTRIES
from headstart.domain import Domain, stack
from headstart.errors import InputError, NeedsError
from headstart.learners import make_learner
from headstart.method import four_steps, learn_and_extract
from headstart.relations import Facts, Graph, RelationalBoosting, facts_domain
from headstart.store import dump_part, load_part

OF_FACTS = [entry for entry in ENTRIES if entry.load().needs.reads == ("facts",)]
OF_GRAPHS = [entry for entry in ENTRIES if entry.load().needs.reads == ("graph",)]
BOTH = [*OF_FACTS, *OF_GRAPHS]


def firm(seed, names=("boss", "worker", "project", "on"), name="firm"):
    """People on projects; who works for whom is a boss and a worker on one project."""
    boss, worker, project, on = names
    rng = np.random.default_rng(seed)
    bosses, workers = [f"b{i}" for i in range(6)], [f"w{i}" for i in range(14)]
    projects = {p: f"p{rng.integers(8)}" for p in [*bosses, *workers]}
    facts = Facts.of(
        {
            boss: [(b,) for b in bosses],
            worker: [(w,) for w in workers],
            project: [(p,) for p in sorted(set(projects.values()))],
            on: [(at, p) for p, at in projects.items()],
        },
        name=name,
    )
    pairs = [(w, b) for w in workers for b in bosses]
    holds = [pair for pair in pairs if projects[pair[0]] == projects[pair[1]]]
    return facts_domain(facts, "works_for", holds, [pair for pair in pairs if pair not in holds], name=name)


def town(seed, name="town"):
    """Two communities whose members mostly know one another and have noisy attributes."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], 30)
    near = rng.random((60, 60)) < np.where(y[:, None] == y, 0.2, 0.02)
    return Domain(Graph(np.triu(near, 1), rng.normal(size=(60, 4)) + 0.8 * y[:, None]).nodes(), y, name)


def domains(entry, target_labels=True):
    if entry in OF_GRAPHS:
        source, target = town(0, "there"), town(1, "here")
    else:
        source, target = firm(0, name="there"), firm(1, name="here")
    return source, target if target_labels else replace(target, y=None, task="classification")


def fitted(entry, source, target, method=None):
    learner = make_learner("auto", "classification", 0, target.modality)
    return four_steps(method or entry.load()(), source, target, learner)


@pytest.mark.parametrize("entry", BOTH, ids=lambda entry: entry.name)
def test_parameters_are_stored_and_left_alone(entry):
    method = entry.load()()
    before = repr(method)
    assert method.get_params() == clone(method).get_params()
    fitted(entry, *domains(entry), method=method)
    assert repr(method) == before


@pytest.mark.parametrize("entry", BOTH, ids=lambda entry: entry.name)
def test_rows_in_another_order_give_the_same_answer(entry):
    source, target = domains(entry)
    first = fitted(entry, source, target).predictor.predict_proba(target.X)
    order = np.random.default_rng(0).permutation(len(target))
    back = np.random.default_rng(1).permutation(len(source))
    again = fitted(entry, source.rows(back), target.rows(order)).predictor.predict_proba(target.X)
    np.testing.assert_allclose(first, again, atol=1e-6)


@pytest.mark.parametrize("entry", BOTH, ids=lambda entry: entry.name)
def test_a_second_fit_gives_the_same_answer_and_a_row_alone_is_predicted_as_among_others(entry):
    source, target = domains(entry)
    model = fitted(entry, source, target).predictor
    found = model.predict_proba(target.X)
    assert np.array_equal(found, fitted(entry, source, target).predictor.predict_proba(target.X))
    np.testing.assert_allclose(model.predict_proba(target.X[np.array([3])]), found[3:4], atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)
    assert set(model.predict(target.X)) <= set(model.classes_)


@pytest.mark.parametrize("entry", BOTH, ids=lambda entry: entry.name)
def test_a_target_without_labels_and_one_with_some_missing_are_learned_from(entry):
    source, target = domains(entry)
    if not entry.load().needs.target_labels:
        assert len(fitted(entry, *domains(entry, target_labels=False)).predictor.predict(target.X)) == len(target)
    y = target.y.astype(float).copy()
    y[::3] = np.nan
    some = replace(target, y=y)
    alone = replace(target.rows(~np.isnan(y)), task="classification")
    if entry in OF_FACTS:
        given = fitted(entry, source, some).predictor.predict_proba(target.X)
        np.testing.assert_allclose(given, fitted(entry, source, alone).predictor.predict_proba(target.X), atol=1e-9)
    else:
        assert fitted(entry, source, some).predictor.predict(target.X).shape == (len(target),)


@pytest.mark.parametrize("entry", BOTH, ids=lambda entry: entry.name)
def test_what_is_saved_predicts_the_same_and_holds_no_row(entry):
    source, target = domains(entry)
    model = fitted(entry, source, target).predictor
    again = load_part(dump_part(model), "test")
    assert np.array_equal(model.predict_proba(target.X), again.predict_proba(target.X))
    assert b"p7" not in dump_part(model)


@pytest.mark.parametrize("entry", OF_FACTS, ids=lambda entry: entry.name)
def test_the_knowledge_of_facts_is_json_and_holds_no_constant_of_the_source(entry):
    source, _ = domains(entry)
    knowledge, _ = learn_and_extract(entry.load()(), source, RelationalBoosting())
    told = json.dumps(knowledge.facts)
    assert json.loads(told) == knowledge.facts
    assert not knowledge.holds_source_rows
    assert '"b3"' not in told
    assert '"w3"' not in told


@pytest.mark.parametrize("entry", BOTH, ids=lambda entry: entry.name)
def test_rows_of_a_table_are_refused_in_one_line(entry):
    table = Domain(np.eye(4), [0, 1, 0, 1], "table")
    with pytest.raises(NeedsError, match="is for") as caught:
        fitted(entry, table, table)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["facts", "graph"])
def test_a_run_ends_in_a_result_that_is_saved_and_loaded(kind, tmp_path):
    source, target = domains(OF_FACTS[0] if kind == "facts" else OF_GRAPHS[0])
    result = headstart.run(source, target, repeats=1, curve_draws=1)
    assert {line.name for line in result.tried} >= {"target-only"}
    assert result.gain is not None
    result.save(tmp_path / "out")
    model = headstart.load(tmp_path / "out" / "model")
    assert np.array_equal(model.predict(target), result.model.predict(target))
    assert (tmp_path / "out" / "report.html").exists()


def test_knowledge_of_facts_travels_in_a_file(tmp_path):
    source, target = firm(0, name="there"), firm(1, ("chief", "hand", "task", "at"), name="here")
    headstart.learn(source, "predicate-mapping").save(tmp_path / "firm.knowledge")
    result = headstart.carry(tmp_path / "firm.knowledge", target, repeats=1, curve_draws=0)
    assert result.choice == "predicate-mapping"
    assert result.metric == "log loss"


def test_worlds_do_not_mix():
    with pytest.raises(InputError, match="one kind"):
        headstart.run(firm(0, name="facts"), town(0))
    with pytest.raises(InputError, match="one source"):
        stack([firm(0, name="a"), firm(1, name="b")])
    with pytest.raises(InputError, match="give one"):
        headstart.run([firm(0, name="a"), firm(1, name="b")], firm(2, name="c"))
    with pytest.raises(InputError, match="'auto'"):
        headstart.run(firm(0, name="a"), firm(1, name="b"), learner="forest")
