"""Graphs and their nodes as rows; propagation; files that hold a graph."""

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csr_matrix, random_array

from headstart import Domain
from headstart.domain import stack_rows
from headstart.errors import InputError
from headstart.relations import Graph, Nodes, read_graph
from headstart.relations.propagation import Axes, find_axes, propagate, unit_rows
from headstart.relations.ridge import Ridge, Sums


def some_graph(n=30, d=6, seed=0, counts=False):
    rng = np.random.default_rng(seed)
    links = random_array((n, n), density=0.1, rng=rng, format="csr")
    X = rng.poisson(0.7, size=(n, d)) if counts else rng.normal(size=(n, d))
    return Graph(links, X)


def test_propagation_is_a_power_of_the_dense_matrix():
    graph = some_graph()
    A = graph.adjacency.toarray() + np.eye(30)
    root = np.diag(A.sum(axis=1) ** -0.5)
    Z = np.random.default_rng(1).normal(size=(30, 3))
    for k in (0, 1, 2, 7):
        want = np.linalg.matrix_power(root @ A @ root, k) @ Z
        np.testing.assert_allclose(propagate(graph, Z, k), want, atol=1e-12)


def test_links_count_both_ways_and_to_itself_not_at_all():
    graph = Graph(np.array([[5.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 3.0, 0.0]]), np.eye(3))
    np.testing.assert_array_equal(graph.adjacency.toarray(), [[0, 2, 0], [2, 0, 3], [0, 3, 0]])


def test_a_node_without_links_keeps_its_attributes():
    graph = Graph(np.zeros((2, 2)), [[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(propagate(graph, np.asarray(graph.attributes), 9), graph.attributes)


def test_what_was_given_is_not_edited():
    links, X = csr_matrix(np.ones((3, 3))), np.eye(3)
    Graph(links, X)
    np.testing.assert_array_equal(links.toarray(), np.ones((3, 3)))
    np.testing.assert_array_equal(X, np.eye(3))


def test_axes_are_the_singular_vectors_of_the_propagated_rows():
    rng = np.random.default_rng(0)
    graph = Graph(random_array((60, 60), density=0.05, rng=rng), rng.normal(size=(60, 3)) @ rng.normal(size=(3, 40)))
    axes = find_axes(graph, rounds=2, most=3)
    X = np.asarray(graph.attributes)
    rows = propagate(graph, (X - X.mean(axis=0)) / X.std(axis=0), 2)
    V = np.linalg.svd(rows)[2][:3].T
    # The same subspace: all of its directions are of length 1 in the other.
    np.testing.assert_allclose(np.linalg.svd(V.T @ axes.V)[1], 1.0, atol=1e-9)


def test_counts_become_tf_idf():
    from sklearn.feature_extraction.text import TfidfTransformer

    graph = some_graph(counts=True)
    axes = find_axes(graph, rounds=1, most=100)
    assert axes.kind == "counts"
    want = TfidfTransformer().fit_transform((graph.attributes > 0).astype(float)).toarray()
    np.testing.assert_allclose(axes.project(graph.attributes), want, atol=1e-12)
    np.testing.assert_allclose(axes.project(csr_matrix(graph.attributes)), want, atol=1e-12)


def test_a_constant_column_of_numbers_says_nothing():
    X = np.column_stack([np.full(5, 0.1), np.arange(5) - 0.5])
    axes = find_axes(Graph(np.zeros((5, 5)), X), rounds=1, most=10)
    assert axes.kind == "numbers"
    np.testing.assert_allclose(axes.project(X)[:, 0], 0, atol=1e-12)


def test_directions_are_unit_rows_of_what_is_propagated_from_the_centre():
    graph = some_graph()
    axes = find_axes(graph, 1, 100)
    centre = axes.centre(graph.nodes()[:4])
    np.testing.assert_allclose(centre, axes.project(graph.attributes)[:4].mean(axis=0))
    Z = propagate(graph, axes.project(graph.attributes) - centre, 3)
    np.testing.assert_allclose(axes.directions(graph.nodes()[[8, 2]], 3, centre), unit_rows(Z)[[8, 2]])
    np.testing.assert_allclose(np.linalg.norm(unit_rows(Z), axis=1), 1)


def test_ridge_of_sums_is_the_ridge_of_rows_and_leaves_rows_out_as_refitting_does():
    from sklearn.linear_model import Ridge as OfRows

    rng = np.random.default_rng(0)
    Z, Y, w = rng.normal(size=(20, 4)), np.eye(3)[rng.integers(3, size=20)], rng.uniform(0.5, 2, size=20)
    fitted = Ridge.fit(Sums.of(Z[:8], Y[:8], w[:8]).plus(Sums.of(Z[8:], Y[8:], w[8:])), alpha=0.7)
    want = OfRows(alpha=0.7).fit(Z, Y, sample_weight=w)
    np.testing.assert_allclose(fitted.scores(Z), want.predict(Z), atol=1e-10)
    left_out = [
        OfRows(alpha=0.7).fit(np.delete(Z, i, 0), np.delete(Y, i, 0), sample_weight=np.delete(w, i)).predict(Z[[i]])[0]
        for i in range(20)
    ]
    np.testing.assert_allclose(fitted.held_out(Z, Y, w), left_out, atol=1e-10)


def test_nodes_are_rows_of_a_domain_and_keep_their_whole_graph():
    graph = some_graph()
    domain = Domain(graph.nodes(), np.arange(30) % 2, modality="graph")
    part = domain.rows(np.arange(30) % 3 == 0)
    assert part.X.shape == (10, 6)
    assert part.X.graph is graph
    np.testing.assert_array_equal(part.rows(np.array([2, 0])).X.index, [6, 0])
    np.testing.assert_array_equal(part.X.attributes, graph.attributes[::3])
    np.testing.assert_array_equal(graph.nodes()[-1].index, [29])


def test_nodes_of_one_graph_are_stacked_and_of_two_refused():
    graph = some_graph()
    nodes = graph.nodes()
    copy = Nodes(Graph(graph.adjacency.copy(), graph.attributes.copy()), np.array([3]))
    np.testing.assert_array_equal(stack_rows([nodes[[1, 2]], nodes[[0]], copy]).index, [1, 2, 0, 3])
    with pytest.raises(InputError, match="different graphs"):
        stack_rows([nodes, some_graph(seed=1).nodes()])


@pytest.mark.parametrize(
    ("links", "X", "names", "word"),
    [
        (np.ones((2, 3)), np.ones((2, 1)), None, "shape"),
        (np.ones((2, 2)), np.ones((3, 1)), None, "row for each node"),
        (-np.ones((2, 2)), np.ones((2, 1)), None, "negative"),
        (np.ones((2, 2)), [[np.nan], [1.0]], None, "missing"),
        (np.ones((2, 2)), [["a"], ["b"]], None, "numbers"),
        (np.ones((2, 2)), np.ones((2, 1)), ["a", "a"], "stands 2 times"),
    ],
)
def test_what_is_no_graph_is_refused_in_one_line(links, X, names, word):
    with pytest.raises(InputError, match=word) as refused:
        Graph(links, X, names)
    assert "\n" not in str(refused.value)


def test_nodes_do_not_become_a_table_unsaid():
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(InputError, match="no table"):
        np.asarray(some_graph().nodes())
    with pytest.raises(InputError, match="no table"):
        LogisticRegression().fit(some_graph().nodes(), np.arange(30) % 2)


def test_nodes_are_dealt_into_folds_whatever_their_order():
    from headstart.draws import folds

    nodes, order = some_graph().nodes(), np.random.default_rng(1).permutation(30)
    np.testing.assert_array_equal(folds(nodes, 5, 0)[order], folds(nodes[order], 5, 0))


def test_positions_outside_the_graph_are_refused():
    with pytest.raises(InputError, match="position 30"):
        Nodes(some_graph(), np.array([30]))


def test_a_networkx_graph_is_read_in_its_order():
    networkx = pytest.importorskip("networkx")
    given = networkx.Graph()
    given.add_node("b", x=[1.0, 2.0])
    given.add_node("a", x=[3.0, 4.0])
    given.add_edge("a", "b", weight=0.5)
    graph = Graph.of(given, "x")
    assert graph.names.tolist() == ["b", "a"]
    np.testing.assert_array_equal(graph.attributes, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(graph.adjacency.toarray(), [[0, 0.5], [0.5, 0]])
    with pytest.raises(InputError, match="'b' has no 'y'"):
        Graph.of(given, "y")


def test_a_matlab_file_is_read_and_nodes_of_several_classes_are_counted(tmp_path):
    path = tmp_path / "town.mat"
    links = csr_matrix(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]]), dtype=float)
    group = np.array([[0, 1], [1, 1], [0, 0]], dtype=np.uint8)
    savemat(path, {"network": links, "attrb": np.arange(6).reshape(3, 2), "group": group})
    with pytest.warns(UserWarning, match="1 of 3 nodes belong to several classes"):
        domain = read_graph(path)
    assert (domain.name, domain.modality) == ("town", "graph")
    np.testing.assert_array_equal(domain.y, [1, 0, np.nan])
    np.testing.assert_array_equal(domain.X.attributes, np.arange(6).reshape(3, 2))


def test_a_matlab_file_without_classes_has_no_labels(tmp_path):
    savemat(tmp_path / "a.mat", {"network": np.zeros((2, 2)), "attrb": np.eye(2)})
    assert read_graph(tmp_path / "a.mat", name="new").n_labelled == 0


@pytest.mark.parametrize(
    ("matrices", "word"),
    [
        ({"attrb": np.eye(2)}, "no matrix 'network'; there is 'attrb'"),
        ({"network": np.eye(2), "attrb": np.array([["a"], [{}]], dtype=object)}, "'attrb' holds object"),
        ({"network": np.eye(2), "attrb": np.eye(3)}, "a.mat: graph: 2 nodes but attributes"),
        ({"network": np.eye(2), "attrb": np.eye(2), "group": np.eye(3)}, "2 nodes but 'group'"),
    ],
)
def test_broken_matlab_files_are_named(tmp_path, matrices, word):
    savemat(tmp_path / "a.mat", matrices)
    with pytest.raises(InputError, match=word):
        read_graph(tmp_path / "a.mat")


def test_what_is_no_matlab_file_is_refused(tmp_path):
    (tmp_path / "a.mat").write_text("a,b\n" * 100)
    with pytest.raises(InputError, match=r"a.mat: can't be read as a MATLAB file"):
        read_graph(tmp_path / "a.mat")
    with pytest.raises(InputError, match="no such file"):
        read_graph(tmp_path / "b.mat")


def files(folder, links, people="name,age,tall\nann,31,1.5\nbob,40,1.7\neve,25,0.1\n", votes="name,vote\neve,no\n"):
    for name, text in (("links.csv", links), ("people.csv", people), ("votes.csv", votes)):
        (folder / name).write_text(text)
    return {"path": folder / "links.csv", "attributes": folder / "people.csv", "labels": folder / "votes.csv"}


def test_lists_of_links_and_tables_are_read(tmp_path):
    domain = read_graph(**files(tmp_path, "from,to,weight\n# a comment\neve,ann,2\n\nann,eve\nann,eve,0.5\n"))
    graph = domain.X.graph
    assert graph.names.tolist() == ["ann", "bob", "eve"]
    np.testing.assert_array_equal(graph.adjacency.toarray(), [[0, 0, 2], [0, 0, 0], [2, 0, 0]])
    np.testing.assert_array_equal(graph.attributes, [[31, 1.5], [40, 1.7], [25, 0.1]])
    assert domain.y.tolist() == [None, None, "no"]


def test_without_a_table_the_attribute_is_how_many_links_a_node_has(tmp_path):
    (tmp_path / "links.tsv").write_text("new york\tparis, france\nrome\tnew york\n")
    domain = read_graph(tmp_path / "links.tsv")
    assert domain.X.names.tolist() == ["new york", "paris, france", "rome"]
    assert domain.X.attributes.ravel().tolist() == [2, 1, 1]


def test_labels_that_are_numbers_are_numbers(tmp_path):
    domain = read_graph(**files(tmp_path, "ann,bob\n", votes="name,vote\nann,1\nbob,\neve,0\n"))
    np.testing.assert_array_equal(domain.y, [1, np.nan, 0])


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"links": "ann,bob\nann\n"}, r"links.csv, line 2: a link is two names"),
        ({"links": "ann,zoe\n"}, r"links.csv, line 1: no node 'zoe'"),
        ({"links": "ann,bob,-1\n"}, r"links.csv, line 1: '-1' is not a number of zero or more"),
        ({"links": "ann,bob\n", "people": "name,age\nann,31\nann,4\n"}, r"people.csv, line 3: the node 'ann'"),
        ({"links": "ann,bob\n", "people": "name,age\nann,old\n"}, r"people.csv, line 2: 'old' is not a number"),
        ({"links": "ann,bob\n", "people": "name,age\nann,3,4\n"}, r"people.csv, line 2: 3 values under 2"),
        ({"links": "ann,bob\n", "people": "name,age\n"}, r"people.csv: is empty"),
        ({"links": "ann,bob\n", "votes": "name,vote\nzoe,no\n"}, r"votes.csv, line 2: no node 'zoe'"),
        ({"links": "ann,bob\n", "votes": "name,vote\nann,no\nann,no\n"}, r"votes.csv, line 3: .* label already"),
    ],
)
def test_bad_lines_are_named(tmp_path, given, word):
    with pytest.raises(InputError, match=word) as refused:
        read_graph(**files(tmp_path, **given))
    assert "\n" not in str(refused.value)


def test_axes_survive_saving():
    from headstart.store import dump_part, load_part

    graph = some_graph()
    axes = find_axes(graph, 1, 3)
    again = load_part(dump_part(axes), "axes")
    assert isinstance(again, Axes)
    np.testing.assert_array_equal(again.project(graph.attributes), axes.project(graph.attributes))
