"""SCL, SFA and MSDA against their definitions: one predictor a pivot, whole eigenproblems, every corruption."""

from itertools import product

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.sparse import csr_array, csr_matrix, issparse
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mutual_info_score

from headstart.errors import InputError
from headstart.features import msda as msda_module
from headstart.features import scl as scl_module
from headstart.features.moments import products, total_variance
from headstart.features.msda import MSDA, denoiser, second_moments
from headstart.features.new_features import beside
from headstart.features.occurrence import label_groups, mutual_information, occurrences
from headstart.features.scl import SCL, left_singular_vectors, pivot_predictors
from headstart.features.sfa import SFA, bipartite_eigenvectors, independent_features


def reviews(n=80, d=30, seed=0):
    """Rows of words, 0 or 1, that come in two moods; a third of the words is the source's, a third the target's."""
    rng = np.random.default_rng(seed)
    mood, lean = rng.integers(0, 2, 2 * n), rng.choice([-1, 1], d) * rng.uniform(0.2, 1, d)
    X = (rng.normal(size=(2 * n, d)) + np.outer(2 * mood - 1, lean) > 0.8).astype(float)
    X[:n, d // 3 : 2 * d // 3] = 0
    X[n:, 2 * d // 3 :] = 0
    return X[:n], X[n:], mood[:n], mood[n:]


METHODS = {"scl": SCL(n_components=5), "sfa": SFA(n_components=5), "msda": MSDA(n_layers=2, n_features=10)}


@pytest.mark.parametrize("name", METHODS)
def test_sparse_rows_are_mapped_as_dense_ones_are_and_stay_sparse(name):
    Xs, Xt, ys, _ = reviews()
    dense = METHODS[name].fit(Xs, Xt, ys)
    whole = dense.transform_source(Xs), dense.transform(Xt)
    for kind in (csr_matrix, csr_array):
        sparse = METHODS[name].fit(kind(Xs), kind(Xt), ys)
        for mapped, expected in zip(
            (sparse.transform_source(kind(Xs)), sparse.transform(kind(Xt))), whole, strict=True
        ):
            assert issparse(mapped)
            np.testing.assert_allclose(mapped.toarray(), expected, atol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_old_features_come_first_and_float32_is_kept(name):
    Xs, Xt, ys, _ = reviews()
    wide = METHODS[name].fit(Xs, Xt, ys).transform(Xt)
    assert np.array_equal(wide[:, :30], Xt)
    narrow = METHODS[name].fit(Xs.astype(np.float32), Xt.astype(np.float32), ys).transform(Xt.astype(np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, wide, atol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_the_rows_does_not_matter(name):
    Xs, Xt, ys, _ = reviews()
    order = np.random.default_rng(1).permutation(len(Xs))
    first = METHODS[name].fit(Xs, Xt, ys).transform(Xt)
    second = METHODS[name].fit(Xs[order], Xt[::-1], ys[order]).transform(Xt)
    np.testing.assert_allclose(first, second, atol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_words_of_the_target_are_learned_through_words_of_both(name):
    rng = np.random.default_rng(0)
    mood = rng.integers(0, 2, 600)
    # Words 0 to 5 are of both domains, and weak; words 6 to 11 are the source's, 12 to 17 the target's, and strong.
    weak, strong = np.where(mood, 0.35, 0.15), np.where(mood, 0.8, 0.05)
    both = rng.random((600, 6)) < np.column_stack([weak, 0.5 - weak] * 3)
    own = rng.random((600, 6)) < np.column_stack([strong, 0.85 - strong] * 3)
    empty = np.zeros((300, 6))
    Xs, Xt = np.hstack([both[:300], own[:300], empty]), np.hstack([both[300:], empty, own[300:]])
    settings = {"scl": {"n_components": 2}, "sfa": {"n_independent": 6, "n_components": 2}, "msda": {}}[name]
    method = type(METHODS[name])(**settings).fit(Xs.astype(float), Xt.astype(float), mood[:300])
    learner = LogisticRegression(max_iter=1000)
    alone = learner.fit(Xs, mood[:300]).score(Xt, mood[300:])
    carried = learner.fit(method.transform_source(Xs * 1.0), mood[:300]).score(method.transform(Xt * 1.0), mood[300:])
    assert alone < 0.8
    assert carried > 0.9


# Occurrence


@pytest.mark.parametrize("kind", [np.asarray, csr_matrix])
def test_words_are_on_where_they_occur_and_measured_columns_above_their_mean(kind):
    X = np.array([[0.0, 0.0, 5.0, -1.0, 0.0], [0.7, 3.0, 5.0, 0.0, 0.0], [0.0, 1.0, 5.0, -3.0, 0.0]])
    on, on_t = occurrences(kind(X), kind(X))
    assert on.toarray().tolist() == [[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 0]]
    assert (on != on_t).nnz == 0


def test_a_sparse_matrix_with_entries_given_twice_is_read_as_their_sum():
    twice = csr_matrix((np.array([0.5, 0.5, 0.6]), np.array([0, 0, 0]), np.array([0, 2, 3])), shape=(2, 1))
    on, _ = occurrences(twice, twice)
    assert on.toarray().tolist() == [[1], [0]]
    assert twice.nnz == 3


def test_mutual_information_equals_scikit_learns():
    Xs, _, ys, _ = reviews()
    expected = [mutual_info_score(word, ys) for word in Xs.T]
    on = np.array([Xs[ys == 0].sum(axis=0), Xs[ys == 1].sum(axis=0)])
    np.testing.assert_allclose(mutual_information(on, np.bincount(ys)), expected, atol=1e-12)


def test_labels_of_a_regression_are_cut_into_quarters():
    y = np.random.default_rng(0).normal(size=101)
    y[7] = np.nan
    known, group = label_groups(y)
    assert known.sum() == 100
    assert np.bincount(group).tolist() == [25, 25, 25, 25]
    assert y[known][group == 0].max() < y[known][group == 1].min()


@pytest.mark.parametrize("kind", [np.asarray, csr_matrix])
def test_sums_of_products_are_formed_block_by_block(kind):
    rng = np.random.default_rng(0)
    X, Y = rng.poisson(0.3, (5000, 7)).astype(np.float32), rng.poisson(0.3, (5000, 3)).astype(np.float32)
    np.testing.assert_allclose(products(kind(X), kind(Y)), X.T.astype(float) @ Y)
    np.testing.assert_allclose(total_variance(kind(X)), X.var(axis=0, dtype=float).sum())


def test_new_features_that_outnumber_the_old_ones_make_an_array():
    X, Z = csr_matrix(np.eye(3)), np.ones((3, 3))
    assert issparse(beside(X, Z))
    assert isinstance(beside(X, Z, Z), np.ndarray)
    np.testing.assert_array_equal(beside(X, Z, Z), np.hstack([np.eye(3), Z, Z]))


# SCL


@pytest.mark.parametrize("kind", [np.asarray, csr_matrix])
@pytest.mark.parametrize("n", [100, 20])
def test_pivot_predictors_are_those_solved_one_by_one_without_the_pivot(kind, n):
    rng = np.random.default_rng(0)
    X = rng.poisson(0.5, (n, 40)) * rng.uniform(0.5, 2, 40)
    pivots = np.array([3, 17, 0, 39])
    P = (X[:, pivots] > X[:, pivots].mean(axis=0)).astype(float)
    W = pivot_predictors(kind(X), csr_matrix(P), pivots, 0.3)
    for column, pivot in enumerate(pivots):
        others = np.delete(np.arange(40), pivot)
        y = P[:, column] / P[:, column].std()
        alone = Ridge(alpha=0.3 * X.var(axis=0).sum()).fit(X[:, others], y).coef_
        np.testing.assert_allclose(W[others, column], alone, atol=1e-10)
        assert W[pivot, column] == 0


def test_theta_spans_the_left_singular_vectors_of_the_predictors():
    W = np.random.default_rng(0).normal(size=(30, 12))
    theta, values = left_singular_vectors(W, 5)
    U, s, _ = np.linalg.svd(W)
    np.testing.assert_allclose(values, s[:5])
    np.testing.assert_allclose(np.abs(np.sum(theta * U[:, :5], axis=0)), 1, atol=1e-10)
    assert left_singular_vectors(W[:, :3] @ np.ones((3, 12)), 5)[0].shape == (30, 1)


@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_new_features_of_scl_are_centred_projections_of_one_size(scale):
    Xs, Xt, ys, _ = reviews()
    method = SCL(n_components=4, scale=scale).fit(Xs, Xt, ys)
    X = np.vstack([Xs, Xt])
    new = method.transform(X)[:, 30:]
    np.testing.assert_allclose(new.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(new.std(axis=0), scale * np.sqrt(X.var(axis=0).sum() / 4))
    P = csr_matrix(X[:, method.pivots_])
    theta, _ = left_singular_vectors(pivot_predictors(X, P, method.pivots_, 2.0), 4)
    projected = X @ theta
    np.testing.assert_allclose(new / new.std(axis=0), (projected - projected.mean(axis=0)) / projected.std(axis=0))


def test_the_scale_of_the_rows_is_the_scale_of_the_new_features():
    Xs, Xt, ys, _ = reviews()
    small, large = SCL().fit(Xs, Xt, ys).transform(Xt), SCL().fit(100 * Xs, 100 * Xt, ys).transform(100 * Xt)
    np.testing.assert_allclose(large, 100 * small, rtol=1e-6, atol=1e-6)


def test_pivots_are_common_words_that_tell_most_about_the_source_labels():
    Xs, Xt, ys, _ = reviews()
    pivots = SCL(n_pivots=4, min_count=10).fit(Xs, Xt, ys).pivots_
    common = np.flatnonzero((Xs.sum(axis=0) >= 10) & (Xt.sum(axis=0) >= 10))
    tells = {word: mutual_info_score(Xs[:, word], ys) for word in common}
    assert pivots.tolist() == sorted(common, key=lambda word: -tells[word])[:4]


def test_pivots_by_frequency_are_also_those_without_labels():
    Xs, Xt, ys, _ = reviews()
    frequent = np.argsort(-np.minimum(Xs.mean(axis=0), Xt.mean(axis=0)), kind="stable")[:6]
    assert SCL(n_pivots=6, pivots="frequency").fit(Xs, Xt, ys).pivots_.tolist() == frequent.tolist()
    assert SCL(n_pivots=6).fit(Xs, Xt).pivots_.tolist() == frequent.tolist()
    assert SCL(n_pivots=6).fit(Xs, Xt, np.full(len(Xs), np.nan)).pivots_.tolist() == frequent.tolist()


def test_predictors_of_many_features_are_learned_on_drawn_rows(monkeypatch):
    Xs, Xt, ys, _ = reviews(n=300)
    whole = SCL(n_components=1).fit(Xs, Xt, ys).transform(Xt)[:, 30]
    monkeypatch.setattr(scl_module, "MOST_EXACT", 25)
    seen = []
    monkeypatch.setattr(scl_module, "pivot_predictors", lambda X, *rest: seen.append(X) or pivot_predictors(X, *rest))
    few = SCL(n_components=1).fit(Xs, Xt, ys).transform(Xt)[:, 30]
    assert seen[0].shape == (25, 30)
    assert abs(np.corrcoef(whole, few)[0, 1]) > 0.5


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (SCL(min_count=1000), "lower min_count"),
        (SCL(pivots="all"), "pivots must be"),
        (SCL(reg=0.0), "reg must be"),
        (SFA(n_independent=0), "present in both domains"),
        (MSDA(corruption=1.0), "corruption"),
        (MSDA(n_features="most"), "n_features"),
    ],
)
def test_settings_that_make_no_sense_are_refused(method, message):
    with pytest.raises(InputError, match=message):
        method.fit(*reviews()[:2])


def test_one_column_has_no_other_to_learn_from():
    X = np.repeat([[0.0], [1.0]], 20, axis=0)
    with pytest.raises(InputError, match="nothing to learn"):
        SCL().fit(X, X)
    with pytest.raises(InputError, match="two features"):
        SFA().fit(X, X)


# SFA


def test_eigenvectors_are_those_of_the_whole_normalised_graph():
    M = np.random.default_rng(0).poisson(1.0, (25, 9)).astype(float)
    M[4] = 0
    A = np.block([[np.zeros((25, 25)), M], [M.T, np.zeros((9, 9))]])
    degrees = A.sum(axis=1)
    root = np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees, 1)), 0)
    values, vectors = eigh(root[:, None] * A * root)
    U, found, residual = bipartite_eigenvectors(csr_matrix(M), 6)
    np.testing.assert_allclose(found, values[::-1][:6], atol=1e-12)
    top = vectors[:25, ::-1][:, :6]
    np.testing.assert_allclose(np.abs(np.sum(U * top, axis=0)), 0.5, atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(U, axis=0), np.sqrt(0.5))
    assert residual < 1e-6
    assert not U[4].any()


def test_a_graph_in_pieces_has_as_many_eigenvalues_of_one():
    blocks = np.kron(np.eye(3), np.ones((4, 2)))
    U, values, _ = bipartite_eigenvectors(csr_matrix(blocks), 6)
    np.testing.assert_allclose(values, [1, 1, 1])
    # Words of one piece have the same new features, words of different pieces have orthogonal ones.
    likeness = U @ U.T
    np.testing.assert_allclose(likeness, np.kron(np.eye(3), np.full((4, 4), 0.125)), atol=1e-10)


def test_shared_features_are_frequent_ones_that_say_least_about_the_domain():
    Xs, Xt, _, _ = reviews()
    found = independent_features(csr_matrix(Xs), csr_matrix(Xt), 4)
    frequent = np.argsort(-np.minimum(Xs.mean(axis=0), Xt.mean(axis=0)), kind="stable")[:8]
    domain = np.repeat([0, 1], [len(Xs), len(Xt)])
    tells = [mutual_info_score(np.concatenate([Xs[:, word], Xt[:, word]]), domain) for word in frequent]
    assert found.tolist() == frequent[np.argsort(tells, kind="stable")][:4].tolist()


def test_new_features_of_sfa_come_from_specific_words_and_vary_as_gamma_says():
    Xs, Xt, _, _ = reviews()
    method = SFA(n_independent=5, n_components=3, gamma=0.4).fit(Xs, Xt)
    A = method.target_map_.A
    assert not A[method.independent_].any()
    X = np.vstack([Xs, Xt])
    assert total_variance(X @ A) == pytest.approx(0.16 * total_variance(X))
    specific = np.setdiff1d(np.arange(30), method.independent_)
    U, values, _ = bipartite_eigenvectors(csr_matrix(X[:, specific].T @ X[:, method.independent_]), 3)
    np.testing.assert_allclose(A[specific] / np.linalg.norm(A[specific]), U / np.linalg.norm(U), atol=1e-10)
    np.testing.assert_allclose(method.values_, values)
    assert method.residual_ < 1e-6


# MSDA


def corruptions(X, p):
    """All corrupted copies of rows (x, 1), the clean rows beside them, and the probability of each copy."""
    d = X.shape[1]
    masks = np.array(list(product([0, 1], repeat=d)))
    copies = np.vstack([np.column_stack([X * mask, np.ones(len(X))]) for mask in masks])
    chances = np.repeat((1 - p) ** masks.sum(axis=1) * p ** (d - masks.sum(axis=1)), len(X))
    return copies, np.tile(X, (len(masks), 1)), chances


@pytest.mark.parametrize("p", [0.5, 0.1, 0.9])
@pytest.mark.parametrize("d", [1, 4, 6])
def test_the_closed_form_is_the_mean_over_every_corruption(d, p):
    X = np.random.default_rng(0).normal(1, 1, (15, d))
    copies, clean, chances = corruptions(X, p)
    Q = copies.T @ (chances[:, None] * copies)
    P = copies.T @ (chances[:, None] * clean)
    S = second_moments(X)
    W = denoiser(S.copy(), S[:, :-1], p, 1e-5)
    np.testing.assert_allclose(W, np.linalg.solve(Q + 1e-5 * np.eye(d + 1), P), atol=1e-10)


def test_many_drawn_corruptions_come_to_the_closed_form():
    rng = np.random.default_rng(0)
    X = rng.poisson(0.7, (40, 8)).astype(float)
    S = second_moments(X)
    W = denoiser(S.copy(), S[:, :-1], 0.4, 1e-5)

    def distance(copies):
        drawn = np.tile(X, (copies, 1)) * (rng.random((40 * copies, 8)) > 0.4)
        drawn = np.column_stack([drawn, np.ones(len(drawn))])
        return np.abs(np.linalg.lstsq(drawn, np.tile(X, (copies, 1)), rcond=None)[0] - W).max()

    assert distance(4000) < 0.01 < distance(10)


def test_the_normal_equations_hold_with_columns_given_twice_and_empty_ones():
    rng = np.random.default_rng(0)
    X = rng.poisson(0.2, (300, 60)).astype(float)
    X[:, 5], X[:, 6] = X[:, 4], 0
    S = second_moments(csr_matrix(X))
    np.testing.assert_allclose(S, np.column_stack([X, np.ones(300)]).T @ np.column_stack([X, np.ones(300)]))
    W = denoiser(S.copy(), S[:, :-1], 0.5, 1e-5)
    q = np.append(np.full(60, 0.5), 1)
    Q = S * np.outer(q, q)
    np.fill_diagonal(Q, np.diag(S) * q + 1e-5)
    right = q[:, None] * S[:, :-1]
    assert np.abs(Q @ W - right).max() < 1e-10 * np.abs(right).max()
    assert not W[:, 6].any()


def test_without_any_feature_left_the_constant_gives_the_mean():
    X = np.random.default_rng(0).normal(2, 1, (200, 3))
    S = second_moments(X)
    W = denoiser(S.copy(), S[:, :-1], 1 - 1e-9, 1e-9)
    np.testing.assert_allclose(W[-1], X.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(W[:-1], 0, atol=3)
    S = second_moments(X)
    np.testing.assert_allclose(denoiser(S.copy(), S[:, :-1], 1e-9, 1e-9)[:-1], np.eye(3), atol=1e-6)


def test_layers_are_denoisers_of_the_layer_before():
    Xs, Xt, _, _ = reviews()
    method = MSDA(n_layers=3, corruption=0.3).fit(Xs, Xt)
    H, layers = np.vstack([Xs, Xt]), []
    for _ in range(3):
        S = second_moments(H)
        H = np.tanh(np.column_stack([H, np.ones(len(H))]) @ denoiser(S.copy(), S[:, :-1], 0.3, 1e-5))
        layers.append(H)
    np.testing.assert_allclose(method.transform(Xt), np.hstack([Xt, *(H[len(Xs) :] for H in layers)]), atol=1e-9)


def test_the_most_frequent_features_are_reconstructed_from_all(monkeypatch):
    Xs, Xt, _, _ = reviews()
    method = MSDA(n_layers=1, n_features=6).fit(Xs, Xt)
    frequency = np.vstack([Xs, Xt]).mean(axis=0)
    assert frequency[method.features_].min() >= np.delete(frequency, method.features_).max()
    whole = MSDA(n_layers=1).fit(Xs, Xt)
    np.testing.assert_allclose(method.transform(Xt)[:, 30:], whole.transform(Xt)[:, 30 + method.features_], atol=1e-12)
    monkeypatch.setattr(msda_module, "MOST_ROWS", 100)
    monkeypatch.setattr(msda_module, "AUTO_FEATURES", 6)
    assert MSDA().fit(Xs, Xt).features_.tolist() == method.features_.tolist()


@pytest.mark.parametrize("kind", [np.asarray, csr_matrix])
def test_more_features_than_fit_at_once_are_averaged_over_parts(monkeypatch, kind):
    Xs, Xt, _, _ = reviews()
    monkeypatch.setattr(msda_module, "MOST_AT_ONCE", 10)
    method = MSDA(n_layers=1, n_features=4, random_state=3).fit(kind(Xs), kind(Xt))
    X = np.vstack([Xs, Xt])
    parts = np.array_split(np.random.default_rng(3).permutation(30), 3)
    mean = 0
    for part in parts:
        S = second_moments(X)
        own = np.append(part, 30)
        W = denoiser(S[np.ix_(own, own)], S[np.ix_(own, method.features_)], 0.5, 1e-5)
        mean = mean + np.column_stack([Xt[:, part], np.ones(len(Xt))]) @ W / 3
    found = method.transform(kind(Xt))
    found = found if isinstance(found, np.ndarray) else found.toarray()
    np.testing.assert_allclose(found[:, 30:], np.tanh(mean), atol=1e-9)


def test_msda_of_measured_columns_a_thousand_apart_is_finite():
    rng = np.random.default_rng(0)
    method = MSDA().fit(rng.normal(size=(50, 3)), 1000 + rng.normal(size=(40, 3)))
    assert np.isfinite(method.transform(1000 + rng.normal(size=(5, 3)))).all()
