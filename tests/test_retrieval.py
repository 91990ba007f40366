"""Retrieval by cosine and by cross-domain similarity local scaling: by brute force, by hand, and with a hub."""

import numpy as np
import pytest

from headstart.errors import InputError
from headstart.mapping import retrieval
from headstart.mapping.retrieval import (
    best_matches,
    local_similarity,
    mutual_neighbors,
    nearest_targets,
    precision_at,
    unit_rows,
)


def cosines(Q, T):
    return np.array([[q @ t / np.linalg.norm(q) / np.linalg.norm(t) for t in T] for q in Q])


def csls(Q, T, k):
    """CSLS entry by entry, as in the paper: 2 cos - r_T(q) - r_S(t)."""
    C = cosines(Q, T)
    r_q = [np.mean(sorted(row)[-k:]) for row in C]
    r_t = [np.mean(sorted(column)[-k:]) for column in C.T]
    return np.array([[2 * C[i, j] - r_q[i] - r_t[j] for j in range(len(T))] for i in range(len(Q))])


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    return rng.normal(size=(37, 6)) + 0.3, rng.normal(size=(53, 6)) * rng.uniform(0.1, 9, size=(53, 1)) + 0.3


@pytest.fixture(params=[(1024, 4096), (8, 5), (37, 1)])
def blocks(request, monkeypatch):
    """Blocks that hold all, and blocks that do not divide the rows, smaller than k."""
    monkeypatch.setattr(retrieval, "QUERY_BLOCK", request.param[0])
    monkeypatch.setattr(retrieval, "TARGET_BLOCK", request.param[1])


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("k", [1, 7, 53])
def test_nearest_targets_are_those_of_brute_force_in_whatever_blocks(tables, k):
    for method, S in (("cosine", cosines(*tables)), ("csls", csls(*tables, 10))):
        indices, scores = nearest_targets(*tables, k=k, method=method)
        order = np.argsort(-S, axis=1)[:, :k]
        np.testing.assert_array_equal(indices, order)
        np.testing.assert_allclose(scores, np.take_along_axis(S, order, axis=1), atol=1e-12)


@pytest.mark.usefixtures("blocks")
def test_mutual_neighbors_are_those_of_brute_force(tables):
    A, B = tables
    S = csls(A, B, 4)
    expected = [(i, j) for i in range(37) for j in range(53) if S[i].argmax() == j and S[:, j].argmax() == i]
    assert mutual_neighbors(A, B, n_neighbors=4).tolist() == [list(pair) for pair in expected]
    assert mutual_neighbors(B, A, n_neighbors=4)[:, ::-1].tolist() == sorted(map(list, expected), key=lambda p: p[1])
    to_B, to_A, scores = best_matches(A, B, 4)
    np.testing.assert_array_equal(to_B, S.argmax(axis=1))
    np.testing.assert_array_equal(to_A, S.argmax(axis=0))
    np.testing.assert_allclose(scores, np.append(S.max(axis=1), S.max(axis=0)), atol=1e-12)


def test_with_fewer_rows_than_neighbors_all_of_them_count(tables):
    A, B = tables
    np.testing.assert_allclose(local_similarity(A, B[:3], 10), cosines(A, B[:3]).mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(nearest_targets(A[:1], B[:1], 1)[1], [[0.0]], atol=1e-12)


def hub_and_words():
    """Two hundred words, their noisy translations, and three hubs beside the direction that all words share."""
    rng = np.random.default_rng(1)
    common = np.r_[1.0, np.zeros(49)]
    Q = unit_rows(rng.normal(size=(200, 50))) + 0.8 * common
    hubs = common + 0.02 * rng.normal(size=(3, 50))
    return Q, np.vstack([Q + 0.17 * rng.normal(size=Q.shape), hubs])


def test_csls_takes_from_hubs_what_cosine_gives_them():
    Q, T = hub_and_words()
    found = {method: nearest_targets(Q, T, 5, method)[0] for method in ("cosine", "csls")}
    right = {method: precision_at(indices, np.arange(200), (1,))[1] for method, indices in found.items()}
    # The largest number of queries that one target is among the first five of (N_5 of the hubness literature).
    hubness = {method: np.bincount(indices.ravel()).max() for method, indices in found.items()}
    assert hubness["cosine"] > 150
    assert hubness["csls"] < 0.6 * hubness["cosine"]
    assert right["csls"] > right["cosine"] + 0.05


def test_densities_of_the_whole_table_make_the_answer_independent_of_the_other_queries():
    Q, T = hub_and_words()
    density = local_similarity(T, Q)
    together = nearest_targets(Q, T, 3)[0]
    np.testing.assert_array_equal(together, nearest_targets(Q, T, 3, target_density=density)[0])
    for i in (0, 50):
        np.testing.assert_array_equal(nearest_targets(Q[[i]], T, 3, target_density=density)[0][0], together[i])


def test_single_precision_stays_single_and_says_the_same(tables):
    A, B = tables
    indices, scores = nearest_targets(A.astype(np.float32), B.astype(np.float32), 3)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(indices, nearest_targets(A, B, 3)[0])


def test_of_equal_targets_the_first_comes_first():
    T = np.repeat(np.eye(3), 4, axis=0)
    np.testing.assert_array_equal(nearest_targets(np.eye(3), T, 4, "cosine")[0], np.arange(12).reshape(3, 4))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", ["csls", "cosine"])
def test_rows_of_zeros_and_of_extreme_lengths_get_finite_scores(method):
    Q = np.array([[0.0, 0.0], [1e200, 1e200], [5e-324, 0.0]])
    indices, scores = nearest_targets(Q, Q, 3, method)
    assert np.isfinite(scores).all()
    assert np.sort(indices, axis=1).tolist() == [[0, 1, 2]] * 3
    np.testing.assert_allclose(np.linalg.norm(unit_rows(Q), axis=1), [0, 1, 1])
    wide = unit_rows(np.array([[3e38, 3e38]], dtype=np.float32))
    assert wide.dtype == np.float32
    np.testing.assert_allclose(wide, [[0.5**0.5, 0.5**0.5]], rtol=1e-6)


def test_inputs_are_not_changed(tables):
    before = [table.copy() for table in tables]
    nearest_targets(*tables, 3)
    mutual_neighbors(*tables)
    for table, kept in zip(tables, before, strict=True):
        np.testing.assert_array_equal(table, kept)


def test_precision_counts_a_query_with_several_right_targets_once_and_one_with_none_not_at_all():
    indices = [[3, 1, 2], [0, 4, 5], [9, 8, 7], [6, 6, 6]]
    truth = [{1, 2}, 0, [], np.array([5])]
    assert precision_at(indices, truth, (1, 2, 3)) == {1: 1 / 3, 2: 2 / 3, 3: 2 / 3}
    assert precision_at(indices, {1: 5, 0: [2]}, (2, 3)) == {2: 0.0, 3: 1.0}


def test_what_does_not_suit_is_said_in_one_line(tables):
    A, B = tables
    with pytest.raises(InputError, match="6 columns, target rows 5"):
        nearest_targets(A, B[:, :5])
    with pytest.raises(InputError, match="did you mean 'cosine'"):
        nearest_targets(A, B, method="cosin")
    with pytest.raises(InputError, match="from 1 to the 53 targets, not 54"):
        nearest_targets(A, B, k=54)
    with pytest.raises(InputError, match="n_neighbors must be 1 or more"):
        mutual_neighbors(A, B, n_neighbors=0)
    with pytest.raises(InputError, match=r"must have shape \(53,\)"):
        nearest_targets(A, B, target_density=np.ones(37))
    with pytest.raises(InputError, match="as many columns as the largest k"):
        precision_at([[1, 2]], [1], (1, 5))
    with pytest.raises(InputError, match="2 queries but 1 right"):
        precision_at([[1], [2]], [1], (1,))
    with pytest.raises(InputError, match="no query has a right target"):
        precision_at([[1], [2]], [[], []], (1,))
    with pytest.raises(InputError, match="beyond the 2"):
        precision_at([[1], [2]], {2: 1}, (1,))
