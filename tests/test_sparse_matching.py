"""The sparse matching is the dense one where nothing is left out, and the best one where brute force can tell."""

from itertools import permutations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import logsumexp

from headstart.relations.label_propagation import random_labels
from headstart.relations.sparse_matching import (
    assigned_pairs,
    best_of_rows,
    confidences,
    greedy_pairs,
    largest_of_rows,
    mutual_pairs,
    nearest,
    sinkhorn,
)


def dense_log_sinkhorn(S, temperature, n_iter):
    log = S / temperature
    for _ in range(n_iter):
        log = log - logsumexp(log, axis=1, keepdims=True)
        log = log - logsumexp(log, axis=0, keepdims=True)
    return np.exp(log)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return random_labels(40, 16, rng), random_labels(33, 16, rng)


@pytest.mark.parametrize("block", [1, 100, 10**6])
def test_with_all_candidates_the_blocks_are_dense_log_sinkhorn(rows, block):
    S, T = rows
    plan = sinkhorn(nearest(S, T, len(T), block), 0.02, 10)
    assert plan.nnz == len(S) * len(T)
    wanted = dense_log_sinkhorn((S @ T.T).astype(float), 0.02, 10)
    np.testing.assert_allclose(plan.toarray(), wanted, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("block", [1, 100, 10**6])
def test_the_nearest_are_the_largest_products(rows, block):
    S, T = rows
    found = nearest(S, T, 5, block).toarray()
    products = S @ T.T
    for row, values in zip(products, found, strict=True):
        assert set(np.flatnonzero(values)) == set(np.argsort(-row)[:5])
        np.testing.assert_allclose(values[values != 0], row[values != 0], rtol=1e-5)


def test_rows_of_zeros_are_near_to_nothing(rows):
    S, T = (side.copy() for side in rows)
    S[3], T[4] = 0, 0
    found = nearest(S, T, len(T))
    assert found[3].nnz == found[:, 4].nnz == 0


def random_sparse(seed, n=7, m=6):
    rng = np.random.default_rng(seed)
    dense = rng.random((n, m)) * (rng.random((n, m)) < 0.7)
    return dense, csr_matrix(dense)


@pytest.mark.parametrize("seed", range(5))
def test_assigned_pairs_have_the_largest_sum_of_all(seed):
    dense, matrix = random_sparse(seed)
    best = max(sum(dense[i, j] for j, i in enumerate(order)) for order in permutations(range(7), 6))
    pairs = assigned_pairs(matrix)
    assert dense[pairs[:, 0], pairs[:, 1]].sum() == pytest.approx(best)
    assert (dense[pairs[:, 0], pairs[:, 1]] > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_mutual_pairs_are_largest_of_row_and_column_and_greedy_has_them(seed):
    dense, matrix = random_sparse(seed)
    wanted = {
        (i, j)
        for i, j in zip(*np.nonzero(dense), strict=True)
        if dense[i, j] == dense[i].max() and dense[i, j] == dense[:, j].max()
    }
    assert set(map(tuple, mutual_pairs(matrix).tolist())) == wanted
    greedy = greedy_pairs(matrix)
    assert wanted <= set(map(tuple, greedy.tolist()))
    for column in greedy.T:
        assert len(np.unique(column)) == len(column)


def test_the_largest_of_rows_are_kept_and_small_ones_dropped():
    matrix = csr_matrix([[0.1, 0.5, 0.3, 0.2], [0.0, 0.0, 0.05, 0.0], [0.0, 0.0, 0.0, 0.0]])
    kept = largest_of_rows(matrix, 2, least=0.1).toarray()
    assert kept.tolist() == [[0, 0.5, 0.3, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert best_of_rows(matrix).tolist() == [1, 2, -1]


def test_confidence_is_the_smaller_share():
    plan = csr_matrix([[0.6, 0.2], [0.6, 0.0]])
    np.testing.assert_allclose(confidences(plan).toarray(), [[0.5, 0.25], [0.5, 0.0]])


def test_nothing_matches_nothing():
    empty = csr_matrix((3, 4))
    for pairs in (mutual_pairs, greedy_pairs, assigned_pairs):
        assert pairs(empty).shape == (0, 2)
    assert nearest(np.ones((0, 2), np.float32), np.ones((3, 2), np.float32), 2).shape == (0, 3)
    assert sinkhorn(empty, 0.1, 3).nnz == confidences(empty).nnz == 0
