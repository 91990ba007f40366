"""The neighbour graph, beside a search by all distances, and its Laplacian."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from headstart.errors import InputError
from headstart.features import graph as module
from headstart.features.graph import laplacian, neighbour_graph, to_unit_length


def brute_force(X, p, affinity, gamma=None):
    """Edge weights, from all distances, for rows without ties."""
    Z = X / np.linalg.norm(X, axis=1, keepdims=True) if affinity == "cosine" else X
    D = ((Z[:, None] - Z[None]) ** 2).sum(axis=2)
    np.fill_diagonal(D, np.inf)
    near = np.zeros_like(D, dtype=bool)
    near[np.arange(len(X))[:, None], np.argsort(D, axis=1)[:, :p]] = True
    near |= near.T
    if affinity == "rbf":
        np.fill_diagonal(D, 0.0)
        gamma = 1 / np.median(D[np.triu(near)]) if gamma is None else gamma
        return near * np.exp(-gamma * D)
    return near * {"cosine": np.maximum(Z @ Z.T, 0), "binary": 1.0}[affinity]


def clusters(n, d=20, seed=0):
    rng = np.random.default_rng(seed)
    centers = 2 * rng.normal(size=(20, d))
    spread = rng.normal(size=(5, d))
    return centers[rng.integers(20, size=n)] + rng.normal(size=(n, 5)) @ spread + 0.1 * rng.normal(size=(n, d))


@pytest.mark.parametrize("gamma", [None, 0.3])
@pytest.mark.parametrize("affinity", ["cosine", "rbf", "binary"])
def test_the_edges_are_those_of_all_distances(affinity, gamma):
    X = np.random.default_rng(0).normal(size=(80, 3))
    W = neighbour_graph(X, 4, affinity, gamma)
    np.testing.assert_allclose(W.toarray(), brute_force(X, 4, affinity, gamma), atol=1e-12)
    assert abs(W - W.T).max() == 0


def test_blocks_change_nothing(monkeypatch):
    X = np.random.default_rng(0).normal(size=(200, 5))
    whole = neighbour_graph(X, 5)
    monkeypatch.setattr(module, "MOST_AT_ONCE", 900)
    np.testing.assert_allclose(neighbour_graph(X, 5).toarray(), whole.toarray(), atol=1e-12)


@pytest.mark.parametrize("most_exact", [10_000, 0])
@pytest.mark.parametrize("affinity", ["cosine", "rbf"])
def test_the_order_of_the_rows_does_not_matter_where_all_distances_are_tied(monkeypatch, affinity, most_exact):
    monkeypatch.setattr(module, "MOST_EXACT_ROWS", most_exact)
    monkeypatch.setattr(module, "LEAF", 32)
    grid = np.stack(np.meshgrid(np.arange(12.0), np.arange(12.0)), axis=-1).reshape(-1, 2)
    order = np.random.default_rng(0).permutation(len(grid))
    W, shuffled = neighbour_graph(grid, 3, affinity), neighbour_graph(grid[order], 3, affinity)
    assert np.array_equal(W.toarray()[np.ix_(order, order)], shuffled.toarray())


@pytest.mark.parametrize("sparse", [False, True])
def test_rows_given_twice_are_one_node(sparse):
    X = np.random.default_rng(0).normal(size=(30, 3))
    X[X < 0] = 0
    twice = np.concatenate([X, X[:10]])
    W = neighbour_graph(csr_matrix(twice) if sparse else twice, 3, "binary").toarray()
    f = X @ [1.0, 2.0, 3.0]
    roughness = [
        v @ laplacian(csr_matrix(G), normalised=False) @ v
        for v, G in ((f, neighbour_graph(X, 3, "binary")), (np.concatenate([f, f[:10]]), W))
    ]
    assert np.isclose(*roughness)
    assert (np.minimum(W[:10].sum(axis=1), W[30:].sum(axis=1)) == 0).all()


def test_rows_that_only_rounding_tells_apart_are_one_node_where_that_is_known():
    X = np.random.default_rng(0).normal(size=(20, 3))
    noisy = np.concatenate([X, X * (1 + 1e-15)])
    W = neighbour_graph(noisy, 3, "binary", nodes=np.arange(20)).toarray()
    np.testing.assert_array_equal(W[:20, :20], neighbour_graph(X, 3, "binary").toarray())
    assert not W[20:].any()


def test_rows_that_are_all_the_same_have_no_edge():
    W = neighbour_graph(np.ones((6, 2)), 3, "rbf")
    assert W.nnz == 0
    assert laplacian(W).nnz == 0


def test_rows_of_zeros_have_no_angle():
    X = np.vstack([np.zeros((1, 2)), np.random.default_rng(0).normal(size=(9, 2))])
    W = neighbour_graph(X, 3, "cosine")
    assert np.isfinite(W.data).all()
    assert W[0].nnz == 0
    assert W.min() >= 0


def test_sparse_rows_have_the_graph_of_dense_ones():
    X = np.random.default_rng(0).normal(size=(100, 30))
    X[np.abs(X) < 1] = 0
    for affinity in ("cosine", "rbf"):
        np.testing.assert_allclose(
            neighbour_graph(csr_matrix(X), 4, affinity).toarray(), neighbour_graph(X, 4, affinity).toarray(), atol=1e-12
        )


@pytest.mark.parametrize(("sparse", "least"), [(False, 0.95), (True, 0.8)])
def test_most_neighbours_are_found_without_all_distances(monkeypatch, sparse, least):
    X = clusters(4000)
    rows = csr_matrix(X) if sparse else X
    exact = neighbour_graph(rows, 10, "binary")
    monkeypatch.setattr(module, "MOST_EXACT_ROWS", 0)
    near = neighbour_graph(rows, 10, "binary")
    recall = exact.multiply(near).sum() / exact.sum()
    assert least < recall < 1
    order = np.random.default_rng(0).permutation(4000)
    assert abs(neighbour_graph(rows[order], 10, "binary") - near[order][:, order]).nnz == 0


def test_the_laplacian_measures_differences_along_edges():
    X = np.random.default_rng(0).normal(size=(40, 3))
    W = neighbour_graph(X, 4)
    f, dense = X[:, 0] ** 2, W.toarray()
    expected = (dense * (f[:, None] - f[None]) ** 2).sum() / 2
    assert np.isclose(f @ laplacian(W, normalised=False) @ f, expected)
    g = f / np.sqrt(dense.sum(axis=1))
    assert np.isclose(f @ laplacian(W) @ f, (dense * (g[:, None] - g[None]) ** 2).sum() / 2)
    values = np.linalg.eigvalsh(laplacian(W).toarray())
    assert abs(values[0]) < 1e-12
    assert values[-1] <= 2


def test_unit_length_leaves_rows_of_zeros():
    X = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(to_unit_length(X), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(to_unit_length(csr_matrix(X)).toarray(), [[0.6, 0.8], [0, 0]])


def test_what_makes_no_graph_is_refused():
    with pytest.raises(InputError, match="affinity must be"):
        neighbour_graph(np.eye(3), 1, "likeness")
    with pytest.raises(InputError, match="n_neighbors"):
        neighbour_graph(np.eye(3), 0)
