"""Canonical correlations: closed forms, scikit-learn, brute force, and maps that hold for new rows."""

import warnings

import numpy as np
import pytest
from scipy.linalg import eigh, sqrtm
from scipy.optimize import minimize
from sklearn import cross_decomposition
from sklearn.linear_model import LogisticRegression

from headstart import Transfer
from headstart.errors import InputError
from headstart.features.cca import CCA
from headstart.kernels import median_gamma, rbf


def views(n=200, seed=0, noise=0.5):
    """Two views of the same latent rows, with different columns and noise."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3)) * [3, 2, 1]
    return tuple(z @ rng.normal(size=(3, d)) + noise * rng.normal(size=(n, d)) + 5 for d in (6, 4))


def whitened_cross_covariance(Xs, Xt, reg):
    n = len(Xs)
    Z, Y = Xs - Xs.mean(axis=0), Xt - Xt.mean(axis=0)
    Cs, Ct = Z.T @ Z / n, Y.T @ Y / n
    Cs, Ct = (C + reg * np.trace(C) / len(C) * np.eye(len(C)) for C in (Cs, Ct))
    return np.linalg.inv(sqrtm(Cs)) @ (Z.T @ Y / n) @ np.linalg.inv(sqrtm(Ct)), Cs, Ct


@pytest.mark.parametrize("reg", [0.0, 0.01, 1.0])
def test_correlations_and_maps_are_those_of_the_whitened_cross_covariance(reg):
    Xs, Xt = views()
    K, Cs, Ct = whitened_cross_covariance(Xs, Xt, reg)
    U, correlations, Vt = np.linalg.svd(K, full_matrices=False)
    fitted = CCA(reg=reg).fit(Xs, Xt)
    np.testing.assert_allclose(fitted.correlations_, correlations, atol=1e-8)
    A, B = np.linalg.inv(sqrtm(Cs)) @ U, np.linalg.inv(sqrtm(Ct)) @ Vt.T
    for scores, X, W in ((fitted.transform_source(Xs), Xs, A), (fitted.transform(Xt), Xt, B)):
        np.testing.assert_allclose(np.abs(scores), np.abs((X - X.mean(axis=0)) @ W), atol=1e-8)


def test_plain_correlations_are_those_of_the_pairs_and_of_scikit_learn():
    Xs, Xt = views(noise=2.0)
    fitted = CCA(reg=0, n_components=2).fit(Xs, Xt)
    S, T = fitted.transform_source(Xs), fitted.transform(Xt)
    own = [np.corrcoef(S[:, k], T[:, k])[0, 1] for k in range(2)]
    np.testing.assert_allclose(fitted.correlations_, own, atol=1e-10)
    theirs = cross_decomposition.CCA(2, tol=1e-14, max_iter=100_000).fit(Xs, Xt)
    P, Q = theirs.transform(Xs, Xt)
    np.testing.assert_allclose([np.corrcoef(P[:, k], Q[:, k])[0, 1] for k in range(2)], own, atol=1e-8)
    np.testing.assert_allclose(S.T @ S / 200, np.eye(2), atol=1e-10)
    np.testing.assert_allclose(S.T @ T / 200, np.diag(own), atol=1e-10)


def test_no_pair_of_directions_correlates_more_by_brute_force():
    Xs, Xt = views(n=60, noise=3.0)
    Z, Y = Xs - Xs.mean(axis=0), Xt - Xt.mean(axis=0)

    def against(w):
        return -np.corrcoef(Z @ w[:6], Y @ w[6:])[0, 1]

    rng = np.random.default_rng(0)
    best = max(-minimize(against, rng.normal(size=10), tol=1e-10).fun for _ in range(5))
    assert CCA(reg=0).fit(Xs, Xt).correlations_[0] == pytest.approx(best, abs=1e-6)


def test_with_one_column_each_the_correlation_is_pearsons():
    Xs, Xt = views()
    fitted = CCA(reg=0).fit(Xs[:, :1], Xt[:, :1])
    assert fitted.correlations_[0] == pytest.approx(abs(np.corrcoef(Xs[:, 0], Xt[:, 0])[0, 1]))


def test_plain_correlations_do_not_change_with_units_and_mixtures_of_columns():
    Xs, Xt = views()
    rng = np.random.default_rng(1)
    mixed = CCA(reg=0).fit(Xs @ rng.normal(size=(6, 6)) + 7, 100 * Xt[:, ::-1])
    np.testing.assert_allclose(mixed.correlations_, CCA(reg=0).fit(Xs, Xt).correlations_, atol=1e-9)


def test_kernel_correlations_solve_the_generalised_eigenproblem_of_the_kernels():
    Xs, Xt = views(n=40)
    fitted = CCA(kernel="rbf", reg=0.5).fit(Xs, Xt)
    H = np.eye(40) - 1 / 40
    Ks, Kt = (H @ rbf(X, X, median_gamma(X, X)) @ H for X in (Xs, Xt))
    # rho is in units of the mean variance in the 39 directions that centred rows have.
    ridge = [K @ K / 40 + 0.5 * np.trace(K) / 40 / 39 * K for K in (Ks, Kt)]
    zero = np.zeros((40, 40))
    left = np.block([[zero, Ks @ Kt / 40], [Kt @ Ks / 40, zero]])
    right = np.block([[ridge[0], zero], [zero, ridge[1]]]) + 1e-12 * np.eye(80)
    values = eigh(left, right, eigvals_only=True)[::-1]
    np.testing.assert_allclose(fitted.correlations_[:5], values[:5], atol=1e-6)


def test_kernel_scores_are_centred_and_those_of_new_rows_go_through_the_same_map():
    Xs, Xt = views(n=60)
    fitted = CCA(kernel="rbf", n_components=3).fit(Xs, Xt)
    S = fitted.transform_source(Xs)
    np.testing.assert_allclose(S.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(fitted.transform_source(Xs[7:8]), S[7:8], atol=1e-12)
    near = fitted.transform_source(Xs[:5] + 1e-7)
    np.testing.assert_allclose(near, S[:5], atol=1e-4)


def test_a_kernel_finds_a_dependence_that_no_line_shows():
    rng = np.random.default_rng(0)
    turn = rng.uniform(-2, 2, size=(300, 1))
    Xs, Xt = turn, np.square(turn) + 0.05 * rng.normal(size=(300, 1))
    new = rng.uniform(-2, 2, size=(200, 1))
    straight, bent = (CCA(kernel=kernel, n_components=1).fit(Xs, Xt) for kernel in ("linear", "rbf"))
    held = [
        abs(np.corrcoef(m.transform_source(new)[:, 0], m.transform(np.square(new))[:, 0])[0, 1])
        for m in (straight, bent)
    ]
    assert held[0] < 0.3
    assert held[1] > 0.95


def test_a_learner_of_source_scores_reads_target_rows_of_other_columns():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    z = rng.normal(size=(300, 3)) + 3 * y[:, None] * [1, 0, 0]
    Xs, Xt = z @ rng.normal(size=(3, 8)), z @ rng.normal(size=(3, 5))
    fitted = CCA(n_components=3).fit(Xs[:40], Xt[:40])
    learner = LogisticRegression().fit(fitted.transform_source(Xs[40:150]), y[40:150])
    assert learner.score(fitted.transform(Xt[150:]), y[150:]) > 0.9


def test_pairs_by_position_are_the_rows_they_name():
    Xs, Xt = views(n=30)
    order = np.random.default_rng(0).permutation(30)
    named = CCA().fit(Xs, Xt[order], pairs=np.column_stack([order, np.arange(30)]))
    np.testing.assert_allclose(named.correlations_, CCA().fit(Xs, Xt).correlations_)


def test_more_columns_than_pairs_columns_without_variance_and_float32_are_borne():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(8, 30)).astype(np.float32), rng.normal(size=(8, 20)).astype(np.float32)
    Xs[:, 2] = 4.0
    for kernel in ("linear", "rbf"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted = CCA(kernel=kernel).fit(Xs, Xt)
        assert fitted.transform_source(Xs).dtype == fitted.transform(Xt).dtype == np.float32
        assert np.isfinite(fitted.transform(Xt)).all()
    # Eight pairs in so many columns correlate as one likes: without reg that shows.
    np.testing.assert_allclose(CCA(reg=0).fit(Xs, Xt).correlations_, 1.0, atol=1e-5)


def test_what_cannot_be_learned_from_is_refused_in_a_line():
    Xs, Xt = views(n=20)
    with pytest.raises(InputError, match="all the same"):
        CCA().fit(np.ones((20, 2)), Xt)
    with pytest.raises(InputError, match="reg must be positive"):
        CCA(kernel="rbf", reg=0).fit(Xs, Xt)
    with pytest.raises(InputError, match="no kernel 'linaer'; did you mean 'linear'"):
        CCA(kernel="linaer").fit(Xs, Xt)
    with pytest.raises(InputError, match="n_components 1 or more"):
        CCA(n_components=0).fit(Xs, Xt)


def test_named_pairs_in_transfer_give_what_positions_give():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80)
    z = rng.normal(size=(80, 2)) + 3 * y[:, None]
    Xs, Xt = z @ rng.normal(size=(2, 3)), z @ rng.normal(size=(2, 3))
    labels = np.concatenate([y, np.full(80, np.nan)])
    domain, sample = np.repeat(["source", "target"], 80), np.tile(np.arange(80), 2)
    fitted = Transfer(CCA(), LogisticRegression()).fit(np.vstack([Xs, Xt]), labels, domain=domain, pair=sample)
    alone = CCA().fit(Xs, Xt)
    learner = LogisticRegression().fit(alone.transform_source(Xs), y)
    np.testing.assert_allclose(fitted.predict_proba(Xt), learner.predict_proba(alone.transform(Xt)), atol=1e-6)
