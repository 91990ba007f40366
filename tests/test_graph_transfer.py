"""Transfer between graphs: planted communities, closed forms, order of nodes, saving."""

import numpy as np
import pytest

from headstart import Domain
from headstart.errors import InputError
from headstart.method import carry_and_learn, four_steps, learn_and_extract
from headstart.relations import AdversarialGraphTransfer, Graph, GraphClassifier, GraphTransfer
from headstart.relations.propagation import find_axes, unit_rows
from headstart.store import dump_part, load_part

BOTH = (GraphTransfer, AdversarialGraphTransfer)


def town(seed, n=120, inside=0.12, across=0.01, clear=0.4, shift=0.0):
    """Two communities; each node's attributes say little of its own, those of all its neighbours much."""
    rng = np.random.default_rng(seed)
    side = rng.permutation(np.repeat([0, 1], n // 2))
    links = np.triu(rng.uniform(size=(n, n)) < np.where(side[:, None] == side, inside, across), 1)
    return Graph(links, rng.normal(clear * (2 * side[:, None] - 1) * [1, -1, 1], 1.0) + shift), side


def travelled(method, source, ys, target, yt=None):
    source, target = Domain(source.nodes(), ys, modality="graph"), Domain(target.nodes(), yt, modality="graph")
    return four_steps(method, source, target, None).predictor


@pytest.mark.parametrize("method", BOTH)
def test_planted_communities_are_found_with_the_graph_and_not_without(method):
    pytest.importorskip("torch")
    (source, ys), (target, yt) = town(0), town(1, shift=2.0)
    with_graph = travelled(method(), source, ys, target).predict(target.nodes())
    without = travelled(method(rounds_source=0, rounds_target=0), source, ys, target).predict(target.nodes())
    assert (with_graph == yt).mean() >= 0.98
    assert (without == yt).mean() < 0.85


def test_without_rounds_it_is_plain_ridge_on_both_domains_rows():
    from sklearn.linear_model import Ridge

    (source, ys), (target, yt) = town(0), town(1)
    labels = np.where(np.arange(120) < 9, yt, np.nan)
    predictor = travelled(GraphTransfer(0, 0, alpha=2.0, target_weight=3.0), source, ys, target, labels)
    X = np.asarray(source.attributes)

    def rows(graph):
        Z = (graph.attributes - X.mean(axis=0)) / X.std(axis=0)
        return unit_rows(Z - Z.mean(axis=0))

    plain = Ridge(alpha=2.0).fit(
        np.vstack([rows(source), rows(target)[:9]]),
        np.eye(2)[np.concatenate([ys, yt[:9]])],
        sample_weight=np.repeat([1.0, 3.0], [120, 9]),
    )
    odds = np.diff(np.log(predictor.predict_proba(target.nodes())), axis=1)[:, 0]
    want = np.diff(plain.predict(rows(target)), axis=1)[:, 0]
    # Scores but for the stretch, which is one number.
    np.testing.assert_allclose(odds / odds[0], want / want[0], rtol=1e-7)


def test_a_shift_of_the_targets_attributes_makes_no_difference():
    (source, ys), (target, _) = town(0), town(1)
    moved = Graph(target.adjacency, target.attributes + np.array([3.0, -2.0, 10.0]))
    first, second = (travelled(GraphTransfer(), source, ys, g).predict_proba(g.nodes()) for g in (target, moved))
    np.testing.assert_allclose(second, first, atol=1e-9)


def test_the_graph_does_not_matter_without_rounds():
    (source, ys), (target, _) = town(0), town(1)
    alone = Graph(np.zeros((120, 120)), target.attributes)
    method = GraphTransfer(0, 0)
    with_links = travelled(method, source, ys, target).predict_proba(target.nodes())
    np.testing.assert_array_equal(with_links, travelled(method, source, ys, alone).predict_proba(alone.nodes()))


@pytest.mark.parametrize("method", BOTH)
def test_permuted_nodes_get_permuted_predictions(method):
    pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    (source, ys), (target, yt) = town(0), town(1)
    labels = np.where(np.arange(120) < 10, yt, np.nan)

    def permuted(graph, order):
        return Graph(graph.adjacency[order][:, order], graph.attributes[order])

    of, to = rng.permutation(120), rng.permutation(120)
    first = travelled(method(axes=2), source, ys, target, labels).predict_proba(target.nodes())
    moved = permuted(target, to)
    second = travelled(method(axes=2), permuted(source, of), ys[of], moved, labels[to]).predict_proba(moved.nodes())
    np.testing.assert_allclose(second, first[to], atol=1e-9)


def test_rows_of_a_domain_in_any_order_give_the_same():
    (source, ys), (target, _) = town(0), town(1)
    order = np.random.default_rng(0).permutation(120)
    method = GraphTransfer()
    first = four_steps(method, Domain(source.nodes(), ys), Domain(target.nodes()), None).predictor
    second = four_steps(
        method, Domain(source.nodes()[order], ys[order]), Domain(target.nodes()[order[::-1]]), None
    ).predictor
    np.testing.assert_allclose(first.predict_proba(target.nodes()), second.predict_proba(target.nodes()), atol=1e-10)


def test_a_node_alone_is_predicted_as_among_others_and_from_its_own_attributes_where_it_has_no_links():
    (source, ys), (target, _) = town(0), town(1)
    predictor = travelled(GraphTransfer(), source, ys, target)
    together = predictor.predict_proba(target.nodes())
    np.testing.assert_allclose(predictor.predict_proba(target.nodes()[[7]]), together[[7]], atol=1e-12)
    alone = Graph(np.zeros((1, 1)), target.attributes[[7]])
    lonely = Graph(np.zeros((120, 120)), target.attributes)
    np.testing.assert_allclose(
        predictor.predict_proba(alone.nodes()), predictor.predict_proba(lonely.nodes()[[7]]), atol=1e-12
    )


def test_labels_of_the_target_teach_a_class_that_the_source_lacks():
    (source, ys), (target, yt) = town(0), town(1)
    names = np.where(yt == 0, "none", "new").astype(object)
    labels = np.where(np.arange(120) < 20, names, None)
    predictor = travelled(GraphTransfer(), source, np.where(ys == 0, "none", "old"), target, labels)
    assert predictor.classes_.tolist() == ["new", "none", "old"]
    assert (predictor.predict(target.nodes()) == names).mean() > 0.9


def test_source_labels_that_are_wrong_are_outvoted_by_labels_of_the_target():
    (source, ys), (target, yt) = town(0), town(1)
    labels = np.where(np.arange(120) < 40, yt, np.nan)
    wrong = travelled(GraphTransfer(), source, 1 - ys, target).predict(target.nodes())
    heavy = travelled(GraphTransfer(target_weight=1000.0), source, 1 - ys, target, labels).predict(target.nodes())
    assert (wrong == yt).mean() < 0.05
    assert (heavy == yt).mean() > 0.95


def test_auto_takes_no_rounds_where_links_mislead_and_many_where_they_tell():
    rng = np.random.default_rng(0)
    (source, ys), (target, yt) = town(0, clear=1.5), town(1, clear=1.5)
    links = np.triu(rng.uniform(size=(120, 120)) < np.where(yt[:, None] == yt, 0.0, 0.1), 1)
    labels = np.where(np.arange(120) < 40, yt, np.nan)
    chosen = []
    for graph in (Graph(links, target.attributes), town(1, clear=0.3)[0]):
        method = GraphTransfer(rounds_source=0, rounds_target="auto")
        travelled(method, source, ys, graph, labels)
        chosen.append(method.rounds_target_)
    assert chosen[0] == 0
    assert chosen[1] >= 2


def test_no_source_row_travels_and_the_graph_stays_out_of_the_model():
    (source, ys), (target, _) = town(0), town(1)
    knowledge, _ = learn_and_extract(GraphTransfer(), Domain(source.nodes(), ys), None)
    assert not knowledge.holds_source_rows
    assert all(len(source) not in array.shape for array in knowledge.arrays.values())
    predictor, _ = carry_and_learn(GraphTransfer(), knowledge, Domain(target.nodes()), None)
    larger = town(5, n=500)[0]
    small, large = (len(dump_part(travelled(GraphTransfer(), source, ys, graph))) for graph in (target, larger))
    assert abs(small - large) < 200
    assert predictor.predict(larger.nodes()).shape == (500,)


@pytest.mark.parametrize("method", BOTH)
def test_saved_models_predict_the_same_on_new_graphs(method):
    pytest.importorskip("torch")
    (source, ys), (target, _) = town(0), town(1)
    predictor = travelled(method(), source, ys, target)
    again = load_part(dump_part(predictor), "predictor")
    for graph in (target, town(2)[0]):
        np.testing.assert_array_equal(again.predict_proba(graph.nodes()), predictor.predict_proba(graph.nodes()))


def test_probabilities_are_as_sure_as_they_are_right():
    (source, ys), (target, yt) = town(0, n=400, clear=0.2, across=0.06), town(1, n=400, clear=0.2, across=0.06)
    p = travelled(GraphTransfer(2, 2), source, ys, target).predict_proba(target.nodes())
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert abs(p.max(axis=1).mean() - (p.argmax(axis=1) == yt).mean()) < 0.1


def test_the_learner_of_graphs_is_ridge_on_directions():
    from sklearn.linear_model import Ridge

    graph, y = town(0)
    nodes = graph.nodes()
    fitted = GraphClassifier(rounds=3, alpha=1.0).fit(nodes[:30], y[:30])
    axes = find_axes(graph, 3, 128)
    Z = axes.directions(nodes, 3, axes.centre(nodes))
    want = Ridge(alpha=1.0).fit(Z[:30], np.eye(2)[y[:30]]).predict(Z)
    np.testing.assert_array_equal(fitted.predict(nodes), want.argmax(axis=1))
    assert fitted.score(nodes[30:], y[30:]) > 0.9
    assert GraphClassifier(rounds=0).fit(nodes[:30], y[:30]).score(nodes[30:], y[30:]) < 0.85


def test_a_node_of_weight_two_counts_as_two_nodes():
    graph, y = town(0)
    nodes = graph.nodes()
    twice = GraphClassifier().fit(nodes[np.r_[:20, :5]], y[np.r_[:20, :5]])
    weighed = GraphClassifier(alpha=1.0).fit(nodes[:20], y[:20], sample_weight=np.repeat([2.0, 1.0], [5, 15]))
    again = GraphClassifier(alpha=1.0).fit(nodes[np.r_[:20, :5]], y[np.r_[:20, :5]])
    np.testing.assert_array_equal(weighed.predict(nodes), again.predict(nodes))
    assert twice.predict(nodes).shape == (120,)


def test_the_learner_saves_and_is_cloned():
    from sklearn.base import clone

    graph, y = town(0)
    fitted = clone(GraphClassifier(rounds=2, alpha=3.0)).fit(graph.nodes(), y)
    assert fitted.get_params()["alpha"] == 3.0
    again = load_part(dump_part(fitted), "learner")
    np.testing.assert_array_equal(again.predict_proba(graph.nodes()), fitted.predict_proba(graph.nodes()))


@pytest.mark.parametrize(
    ("work", "word"),
    [
        (lambda g, y: GraphClassifier().fit(np.eye(3), [0, 1, 1]), "takes the nodes of a graph, not ndarray"),
        (lambda g, y: GraphClassifier().fit(g.nodes()[:2], [0, 0]), "one class only"),
        (lambda g, y: GraphClassifier().fit(g.nodes()[:2], [0, None]), "a label is missing"),
        (lambda g, y: GraphClassifier(rounds=-1).fit(g.nodes(), y), "rounds must be a whole number"),
        (lambda g, y: GraphClassifier(alpha="cv").fit(g.nodes(), y), "alpha must be a number or 'auto'"),
        (lambda g, y: GraphClassifier(alpha=0.0).fit(g.nodes(), y), "alpha must be above zero"),
        (lambda g, y: travelled(GraphTransfer(rounds_target="cv"), g, y, g), "rounds_target must be a whole number or"),
        (
            lambda g, y: travelled(GraphTransfer(), g, y, Graph(np.eye(2), np.eye(2))),
            "nodes have 2 attributes; it was fitted on 3",
        ),
    ],
)
def test_what_does_not_suit_is_refused_in_one_line(work, word):
    with pytest.raises(InputError, match=word):
        work(*town(0))


def test_inputs_are_left_as_they_were():
    (source, ys), (target, _) = town(0), town(1)
    before = source.attributes.copy(), target.attributes.copy(), target.adjacency.toarray()
    travelled(GraphTransfer(), source, ys, target)
    after = source.attributes, target.attributes, target.adjacency.toarray()
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
