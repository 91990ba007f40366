import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, Ridge

from headstart.errors import InputError
from headstart.mapping import AffineMap, IdentityMap, LinearMap
from headstart.mapping.families import FAMILIES, Settings, Units, family_of, in_precision, rescaled, units_of
from headstart.mapping.fit_maps import (
    covariance_factors,
    fit_affine,
    fit_covariance,
    fit_kernel,
    fit_linear,
    fit_low_rank,
    fit_orthogonal,
    fit_perceptron,
    gaussian_map,
)


def rows(n=80, d_s=4, d_t=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d_s)) + 3
    return X, X @ rng.normal(size=(d_s, d_t)) + rng.normal(size=(n, d_t)) - 1, rng.random(n) + 0.1


def test_affine_map_is_least_squares_and_ridge_of_scikit_learn():
    X, Y, w = rows()
    np.testing.assert_allclose(fit_affine(X, Y).transform(X), LinearRegression().fit(X, Y).predict(X), atol=1e-10)
    ours = fit_affine(X, Y, w, alpha=0.3)
    theirs = Ridge(alpha=0.3 * w.sum()).fit(X, Y, sample_weight=w)
    np.testing.assert_allclose(ours.transform(X), theirs.predict(X), atol=1e-10)


def test_linear_map_is_ridge_through_zero():
    X, Y, w = rows()
    theirs = Ridge(alpha=0.3 * w.sum(), fit_intercept=False).fit(X, Y, sample_weight=w)
    np.testing.assert_allclose(fit_linear(X, Y, w, alpha=0.3).A, theirs.coef_.T, atol=1e-10)


def test_with_more_columns_than_rows_the_shortest_least_squares_map_is_returned():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(5, 9)), rng.normal(size=(5, 2))
    fitted = fit_affine(X, Y)
    np.testing.assert_allclose(fitted.transform(X), Y, atol=1e-10)
    np.testing.assert_allclose(fitted.A, np.linalg.pinv(X - X.mean(0)) @ (Y - Y.mean(0)), atol=1e-10)


def test_orthogonal_map_is_procrustes():
    X, Y, _ = rows(d_t=4)
    R, _ = orthogonal_procrustes(X - X.mean(0), Y - Y.mean(0))
    fitted = fit_orthogonal(X, Y)
    np.testing.assert_allclose(fitted.A, R, atol=1e-8)
    np.testing.assert_allclose(fitted.transform(X).mean(0), Y.mean(0), atol=1e-10)


def test_scaled_procrustes_finds_rotation_and_scale():
    X, _, _ = rows()
    Q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))
    np.testing.assert_allclose(fit_orthogonal(X, 2.5 * X @ Q + 7, scale=True).A, 2.5 * Q, atol=1e-10)


def test_no_member_of_a_family_does_better_on_the_rows():
    X, Y, w = rows(d_t=4)
    rng = np.random.default_rng(2)

    def loss(fitted):
        return (w / w.sum()) @ np.square(fitted.transform(X) - Y).sum(1)

    best = loss(fit_orthogonal(X, Y, w))
    factors = covariance_factors(X, Y)
    best_covariance = loss(fit_covariance(X, Y, w, factors))
    center, shift = w @ X / w.sum(), w @ Y / w.sum()
    for _ in range(50):
        Q = np.linalg.qr(rng.normal(size=(4, 4)))[0]
        assert loss(AffineMap(center, Q, shift)) >= best
        assert loss(AffineMap(center, factors[0] @ Q @ factors[1].T, shift)) >= best_covariance


def test_covariance_maps_give_the_target_covariance_in_any_dimension():
    rng = np.random.default_rng(0)
    for d_s, d_t in ((4, 4), (6, 3)):
        X = rng.normal(size=(200, d_s)) @ rng.normal(size=(d_s, d_s))
        Y = rng.normal(size=(150, d_t)) @ rng.normal(size=(d_t, d_t))
        moved = fit_covariance(X, Y[rng.integers(150, size=200)], None, covariance_factors(X, Y)).transform(X)
        np.testing.assert_allclose(np.cov(moved.T, bias=True), np.cov(Y.T, bias=True), atol=1e-8)


def test_covariance_maps_leave_out_directions_that_a_domain_lacks():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(50, 2)) @ np.ones((2, 3)), rng.normal(size=(60, 3))
    fitted = fit_covariance(X, Y[:50], None, covariance_factors(X, Y))
    assert np.isfinite(fitted.A).all()
    assert np.linalg.matrix_rank(fitted.A) == 1


def test_low_rank_map_is_the_best_of_its_rank():
    X, Y, w = rows(d_t=4)
    root = np.sqrt(w / w.sum())[:, None]
    Xc, Yc = X - w @ X / w.sum(), Y - w @ Y / w.sum()
    for rank in (1, 2, 3):
        fitted = fit_low_rank(X, Y, w, rank=rank)
        assert np.linalg.matrix_rank(fitted.A, tol=1e-8) == rank
        # Eckart and Young on the fitted values: what the best matrix of that rank leaves of them.
        S = np.linalg.svd(root * (Xc @ np.linalg.lstsq(root * Xc, root * Yc, rcond=None)[0]), compute_uv=False)
        full = np.square(root * (fit_affine(X, Y, w).transform(X) - Y)).sum()
        left = np.square(root * (fitted.transform(X) - Y)).sum()
        np.testing.assert_allclose(left, full + np.square(S[rank:]).sum(), rtol=1e-10)


def test_low_rank_ridge_meets_its_optimality_condition():
    X, Y, w = rows(d_t=4)
    alpha, share = 0.5, w / w.sum()
    fitted = fit_low_rank(X, Y, w, alpha, rank=2)
    Xc, Yc = X - share @ X, Y - share @ Y
    gradient = (Xc * share[:, None]).T @ (Xc @ fitted.A - Yc) + alpha * fitted.A
    # Within the row space of A nothing is left to gain.
    V = np.linalg.svd(fitted.A)[2][:2]
    np.testing.assert_allclose(gradient @ V.T, 0, atol=1e-10)


def test_kernel_map_is_kernel_ridge_around_the_mean():
    X, Y, _ = rows()
    theirs = KernelRidge(alpha=0.01 * len(X), kernel="rbf", gamma=0.2).fit(X, Y - Y.mean(0))
    ours = fit_kernel(X, Y, alpha=0.01, gamma=0.2, n_landmarks=None)
    np.testing.assert_allclose(ours.transform(X[:9] + 0.1), theirs.predict(X[:9] + 0.1) + Y.mean(0), atol=1e-7)


def test_landmarks_come_close_to_all_rows_and_do_not_depend_on_the_order():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    Y = np.sin(2 * X)
    whole = fit_kernel(X, Y, alpha=1e-3, gamma=0.5, n_landmarks=None).transform(X)
    some = fit_kernel(X, Y, alpha=1e-3, gamma=0.5, n_landmarks=80)
    assert np.abs(some.transform(X) - whole).mean() < 0.005
    order = rng.permutation(400)
    again = fit_kernel(X[order], Y[order], alpha=1e-3, gamma=0.5, n_landmarks=80)
    np.testing.assert_allclose(again.transform(X), some.transform(X), atol=1e-8)


def test_perceptron_bends_where_a_line_can_not():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 2))
    Y = np.abs(X)
    fitted = fit_perceptron(X, Y, alpha=1e-5)
    assert np.square(fitted.transform(X) - Y).mean() < 0.1 * np.square(fit_affine(X, Y).transform(X) - Y).mean()


def test_bures_map_error_falls_like_one_over_root_n_to_below_005_at_5000_rows():
    d, errors = 5, {}
    for n in (500, 5000):
        found = []
        for seed in range(6):
            rng = np.random.default_rng(seed)
            A, B = rng.normal(size=(2, d, d))
            # Both have their variances between 1/4 and about 10, as real columns that were scaled.
            S, T = A @ A.T + 0.25 * np.eye(d), B @ B.T + 0.25 * np.eye(d)
            Xs, Xt = (rng.multivariate_normal(np.zeros(d), C, n) for C in (S, T))
            values, V = np.linalg.eigh(S)
            root, inverse = (V * np.sqrt(values)) @ V.T, (V / np.sqrt(values)) @ V.T
            inner, U = np.linalg.eigh(root @ T @ root)
            truth = inverse @ (U * np.sqrt(inner)) @ U.T @ inverse
            found.append(np.linalg.norm(gaussian_map(Xs, Xt).A - truth) / np.linalg.norm(truth))
        errors[n] = float(np.mean(found))
    assert errors[5000] < 0.05
    assert 2.2 < errors[500] / errors[5000] < 4.5  # sqrt(10) = 3.16


def test_inverse_takes_images_back():
    X, _, _ = rows()
    rng = np.random.default_rng(0)
    affine = AffineMap(rng.normal(size=4), rng.normal(size=(4, 6)), rng.normal(size=6))
    np.testing.assert_allclose(affine.inverse_transform(affine.transform(X)), X, atol=1e-10)
    linear = LinearMap(rng.normal(size=(4, 4)))
    np.testing.assert_allclose(linear.inverse_transform(linear.transform(X)), X, atol=1e-9)
    assert IdentityMap().inverse_transform(X) is X


def test_a_rescaled_map_is_the_map_of_the_scaled_rows():
    X, Y, _ = rows()
    source, target = units_of(X, "columns"), units_of(Y, "whole")
    for fit in (fit_affine, fit_kernel):
        inner = fit(source.of(X), target.of(Y), None, 0.1)
        expected = target.back(inner.transform(source.of(X)))
        np.testing.assert_allclose(rescaled(source, inner, target).transform(X), expected, atol=1e-10)
    plain = Units(np.zeros(4), np.full(4, 2.0)), Units(np.zeros(3), np.full(3, 5.0))
    inner = fit_linear(plain[0].of(X), plain[1].of(Y))
    assert isinstance(rescaled(plain[0], inner, plain[1]), LinearMap)


def test_units_do_not_blow_up_rounding_of_constant_columns():
    X = np.column_stack([np.full(50, 1e8) + np.random.default_rng(0).normal(size=50) * 1e-9, np.arange(50.0)])
    assert units_of(X, "columns").unit[0] == 1.0
    assert units_of(np.ones((5, 2)), "whole").unit.tolist() == [1.0, 1.0]


def test_families_are_named_or_given_and_others_refused():
    X, Y, _ = rows()
    for name in FAMILIES:
        if name in ("orthogonal", "bures"):
            continue
        fitted = family_of(name, Settings(), X, Y).fit(X, Y, np.full(len(X), 1 / len(X)))
        assert fitted.transform(X).shape == Y.shape
        small = in_precision(rescaled(units_of(X, "columns"), fitted, units_of(Y, "columns")), np.float32)
        assert small.transform(X.astype(np.float32)).dtype == np.float32
    own = family_of(lambda X, Y, weight: IdentityMap(), Settings(), X, Y)
    assert not own.exact
    with pytest.raises(InputError, match="family of maps"):
        family_of("cubic", Settings(), X, Y)
    with pytest.raises(InputError, match="Bures"):
        family_of("bures", Settings(), X, Y)
    with pytest.raises(InputError, match="orthogonal map leads to at least as many columns"):
        fit_orthogonal(X, Y)
    with pytest.raises(InputError, match="alpha must be zero or more"):
        fit_affine(X, Y, alpha=-1.0)
    with pytest.raises(InputError, match="positive alpha"):
        fit_kernel(X, Y, alpha=0.0)
    with pytest.raises(InputError, match="rank"):
        fit_low_rank(X, Y, rank=0)
    with pytest.raises(InputError, match="units"):
        units_of(X, "rows")
