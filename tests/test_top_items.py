"""The best items are those of a full sort, whatever the queries and items are written as."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse import random as random_sparse

from headstart.recommend import top_items as module
from headstart.recommend.scorers import Beside, products
from headstart.recommend.top_items import top_items


def fully_sorted(queries, items, bias, k, left_out=None):
    """Sort all scores of each user; of equal ones the first item comes first."""
    S = products(queries, items, bias)
    if left_out is not None:
        S[left_out.nonzero()] = -np.inf
    order = np.argsort(-S, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(S, order, axis=1)
    found, scores = np.full((len(S), k), -1), np.full((len(S), k), np.nan)
    found[:, : order.shape[1]] = np.where(np.isfinite(best), order, -1)
    scores[:, : order.shape[1]] = np.where(np.isfinite(best), best, np.nan)
    return found, scores


def made(kind, n, m, rng):
    """Queries and items of small whole numbers: their scores are exact, and many are equal."""
    q, V = rng.integers(-2, 3, (n, 4)).astype(np.float32), rng.integers(-2, 3, (m, 4)).astype(np.float32)
    if kind == "dense":
        return q, V
    h = random_sparse(n, 9, 0.3, "csr", np.float32, random_state=rng, data_rvs=lambda size: rng.integers(1, 3, size))
    N = random_sparse(m, 9, 0.3, "csr", np.float32, random_state=rng, data_rvs=lambda size: rng.integers(1, 3, size))
    h, N = csr_matrix(h), csr_matrix(N)
    return (h, N) if kind == "sparse" else (Beside((q, h)), Beside((V, N)))


@pytest.mark.parametrize("kind", ["dense", "sparse", "beside"])
@pytest.mark.parametrize(
    ("n", "m", "k"), [(1, 1000, 10), (7, 129, 3), (5, 64, 64), (3, 5, 9), (300, 700, 1), (2, 1, 1)]
)
def test_the_best_are_those_of_a_full_sort_with_equal_scores(kind, n, m, k, monkeypatch):
    rng = np.random.default_rng(n + m + k)
    queries, items = made(kind, n, m, rng)
    left_out = csr_matrix((rng.random((n, m)) < 0.4).astype(np.float32))
    for block in (64, 1000, 1 << 20):
        monkeypatch.setattr(module, "BLOCK", block)
        for bias in (np.zeros(m), rng.integers(-3, 4, m).astype(np.float32)):
            for out in (None, left_out):
                found, scores = top_items(queries, items, bias, k, out)
                expected, expected_scores = fully_sorted(queries, items, bias, k, out)
                np.testing.assert_array_equal(found, expected)
                np.testing.assert_array_equal(scores, expected_scores)


def test_scores_that_rise_and_scores_that_are_all_equal_end_in_the_same_order(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 128)
    one = np.ones((2, 1), dtype=np.float32)
    rising = np.arange(1000, dtype=np.float32)[:, None]
    assert top_items(one, rising, np.zeros(1000), 3)[0].tolist() == [[999, 998, 997]] * 2
    assert top_items(one, 0 * rising, np.zeros(1000), 3)[0].tolist() == [[0, 1, 2]] * 2


def test_a_stored_zero_leaves_nothing_out():
    left_out = csr_matrix((np.array([0.0, 1.0]), ([0, 0], [2, 1])), shape=(1, 3))
    assert top_items(np.ones((1, 1)), np.arange(3.0)[:, None], np.zeros(3), 2, left_out)[0].tolist() == [[2, 0]]


def test_what_is_no_number_is_never_recommended():
    vectors = np.array([[1.0], [np.nan], [3.0], [-np.inf]])
    items, scores = top_items(np.ones((1, 1)), vectors, np.zeros(4), 4)
    assert items.tolist() == [[2, 0, -1, -1]]
    np.testing.assert_array_equal(scores, [[3, 1, np.nan, np.nan]])


def test_nobody_and_nothing_are_answered():
    assert top_items(np.zeros((0, 3)), np.zeros((5, 3)), np.zeros(5), 2)[0].shape == (0, 2)
    assert top_items(np.zeros((2, 3)), np.zeros((0, 3)), np.zeros(0), 2)[0].tolist() == [[-1, -1]] * 2
