"""ULSIF and RULSIF against explicit loops, refits without a pair of rows, and known ratios."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import norm
from sklearn.base import clone

from headstart.errors import InputError
from headstart.instances.kernel_ratio import draw_centers, kernel
from headstart.instances.rulsif import RULSIF
from headstart.instances.ulsif import MOST_PAIRS, ULSIF, coefficients, kernel_sums, leave_one_out, left_out_pairs
from headstart.kernels import median_gamma, rbf, squared_distances

METHODS = [ULSIF(), RULSIF(), RULSIF(alpha=0.5)]


def shifted(n_s=150, n_t=120, d=3, seed=0, shift=0.7):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_s, d)), shift + 0.8 * rng.normal(size=(n_t, d))


def phi(x, centers, gamma):
    return np.array([np.exp(-gamma * ((x - c) ** 2).sum()) for c in centers])


def by_loops(Xs, Xt, centers, gamma, reg, alpha):
    """Return max(0, (H + reg I)^-1 h) as the papers write it, row by row."""
    H, h = np.zeros((len(centers), len(centers))), np.zeros(len(centers))
    for x in Xs:
        H += (1 - alpha) / len(Xs) * np.outer(phi(x, centers, gamma), phi(x, centers, gamma))
    for x in Xt:
        H += alpha / len(Xt) * np.outer(phi(x, centers, gamma), phi(x, centers, gamma))
        h += phi(x, centers, gamma) / len(Xt)
    return np.maximum(np.linalg.solve(H + reg * np.eye(len(h)), h), 0)


def by_refits(Xs, Xt, pairs, centers, gamma, reg, alpha):
    """Return the mean score of pairs, each under coefficients learned from all other rows."""
    scores = []
    for i, j in zip(*pairs, strict=True):
        theta = by_loops(np.delete(Xs, i, axis=0), np.delete(Xt, j, axis=0), centers, gamma, reg, alpha)
        r_x, r_y = theta @ phi(Xs[i], centers, gamma), theta @ phi(Xt[j], centers, gamma)
        scores.append(alpha / 2 * r_y**2 + (1 - alpha) / 2 * r_x**2 - r_y)
    return np.mean(scores)


def relative(ratio, alpha):
    return ratio / (alpha * ratio + 1 - alpha)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.7])
@pytest.mark.parametrize(("n_s", "n_t"), [(50, 30), (20, 45)])
def test_closed_form_equals_explicit_loops(alpha, n_s, n_t):
    Xs, Xt = shifted(n_s=n_s, n_t=n_t)
    method = RULSIF(alpha=alpha, gamma=0.4, reg=0.05)
    w = method.weigh(Xs, Xt)
    theta = by_loops(Xs, Xt, Xt, 0.4, 0.05, alpha)
    by_hand = [theta @ phi(x, Xt, 0.4) for x in Xs]
    np.testing.assert_allclose(w, by_hand, rtol=1e-8)
    assert (theta == 0).any()  # clipping had something to do


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.6, 0.95])
@pytest.mark.parametrize(("n_s", "n_t"), [(12, 20), (20, 12), (9, 9), (2, 2), (2, 30)])
def test_leave_one_out_equals_refits_without_each_pair(alpha, n_s, n_t):
    Xs, Xt = shifted(n_s=n_s, n_t=n_t, d=2, seed=n_s)
    centers, gamma, regs = Xt[:8], 0.6, [1e-3, 0.1, 2.0]
    m = min(n_s, n_t)
    pairs = np.arange(m)[::-1], np.arange(m)
    source, target = kernel_sums(centers, Xs, [gamma])[0], kernel_sums(centers, Xt, [gamma])[0]
    Phi_s, Phi_t = (kernel(squared_distances(centers, X), gamma) for X in (Xs[pairs[0]], Xt[pairs[1]]))
    scores = leave_one_out(source, target, Phi_s, Phi_t, alpha, regs)
    refits = [by_refits(Xs, Xt, pairs, centers, gamma, reg, alpha) for reg in regs]
    np.testing.assert_allclose(scores, refits, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("method", [ULSIF(random_state=4), RULSIF(alpha=0.3, random_state=4)])
def test_cross_validation_takes_the_width_and_regularisation_with_the_least_score(method):
    Xs, Xt = shifted(n_s=25, n_t=18, d=2)
    method = clone(method).set_params(n_centers=10, gammas=[0.1, 0.5, 3.0], regs=[0.01, 0.1, 1.0])
    method.weigh(Xs, Xt)
    rng = np.random.default_rng(4)
    centers = Xt[draw_centers(Xt, 10, rng)]
    pairs = left_out_pairs(Xs, Xt, rng)
    scores = {
        (gamma, reg): by_refits(Xs, Xt, pairs, centers, gamma, reg, method.alpha)
        for gamma in method.gammas
        for reg in method.regs
    }
    assert method.score_ == pytest.approx(min(scores.values()), rel=1e-8)
    assert (method.gamma_, method.reg_) == min(scores, key=scores.get)


def test_pairs_are_rows_without_repetition_and_not_too_many():
    Xs, Xt = shifted(n_s=30, n_t=20)
    of_source, of_target = left_out_pairs(Xs, Xt, np.random.default_rng(0))
    assert len(of_source) == len(of_target) == len(set(of_source)) == len(set(of_target)) == 20
    Xs, Xt = shifted(n_s=MOST_PAIRS + 100, n_t=MOST_PAIRS + 50)
    assert len(left_out_pairs(Xs, Xt, np.random.default_rng(0))[0]) == MOST_PAIRS


def test_rulsif_with_alpha_zero_is_ulsif():
    Xs, Xt = shifted()
    np.testing.assert_array_equal(RULSIF(alpha=0.0).weigh(Xs, Xt), ULSIF().weigh(Xs, Xt))


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_rulsif_estimates_a_ratio_with_a_bound(alpha):
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(0, 1, (3000, 1)), rng.normal(2, 0.5, (3000, 1))
    w = RULSIF(alpha=alpha).weigh(Xs, Xt)
    truth = relative(norm.pdf(Xs[:, 0], 2, 0.5) / norm.pdf(Xs[:, 0]), alpha)
    assert w.max() < 1.15 / alpha
    assert np.mean((w - truth) ** 2) < 0.02 * np.mean(truth**2)


@pytest.mark.parametrize("method", METHODS)
def test_weights_follow_a_known_density_ratio_more_closely_with_more_rows(method):
    def error(n):
        # mean (w / sum w - r / sum r)^2 over mean (r / sum r)^2, with the true (relative) ratio r at source rows
        errors = []
        for seed in range(5):
            rng = np.random.default_rng(seed)
            Xs, Xt = rng.normal(0, 1, (n, 1)), rng.normal(0.5, 0.7, (n, 1))
            r = relative(norm.pdf(Xs[:, 0], 0.5, 0.7) / norm.pdf(Xs[:, 0]), method.alpha)
            w = method.weigh(Xs, Xt)
            errors.append(np.mean((w / w.sum() - r / r.sum()) ** 2) / np.mean((r / r.sum()) ** 2))
        return np.mean(errors)

    few, many = error(200), error(4000)
    assert many < few / 3
    assert many < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_flat_without_a_shift(method):
    rng = np.random.default_rng(0)
    w = method.weigh(rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2)))
    assert w.std() < 0.1
    assert w.mean() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n_s", "n_t"), [(30, 500), (500, 30), (2, 7), (9, 2)])
def test_ratio_at_the_source_rows_is_the_weights(method, n_s, n_t):
    Xs, Xt = shifted(n_s=n_s, n_t=n_t)
    w = method.weigh(Xs, Xt)
    np.testing.assert_array_equal(method.ratio_(Xs), w)
    assert w.min() >= 0
    np.testing.assert_allclose(method.ratio_(Xs[:1]), w[:1], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_weights_do_not_depend_on_the_order_of_rows(method):
    Xs, Xt = shifted(n_s=400, n_t=350)
    order = np.random.default_rng(1).permutation(400)
    shuffled = method.weigh(Xs[order], Xt[np.random.default_rng(2).permutation(350)])
    np.testing.assert_allclose(shuffled, method.weigh(Xs, Xt)[order], rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_rows_given_twice_change_nothing(method):
    # With every centre twice, each of a pair takes half its coefficient under half the ridge.
    Xs, Xt = shifted(n_s=90, n_t=40)
    fixed = clone(method).set_params(gamma=0.5, reg=0.1)
    once = fixed.weigh(Xs, Xt)
    twice = fixed.set_params(reg=0.2).weigh(np.repeat(Xs, 2, axis=0), np.repeat(Xt, 2, axis=0))
    np.testing.assert_allclose(twice[::2], once, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_fit_leaves_its_parameters(method):
    before = method.get_params()
    method.weigh(*shifted())
    assert method.get_params() == before
    assert (method.gamma, method.reg) == ("cv", "cv")


@pytest.mark.parametrize("method", [ULSIF(gamma=1.0), RULSIF(gamma=1.0)])
@pytest.mark.parametrize("shift", [25.0, 100.0])
def test_no_overlap_gives_zero_weights_and_says_so(method, shift):
    # At a shift of 25 kernels are above zero, but their squares are not.
    with pytest.warns(UserWarning, match="all weights are zero") as said:
        w = method.weigh(*shifted(n_s=40, n_t=30, d=1, shift=shift))
    assert sorted("hardly overlap" in str(warning.message) for warning in said) == [False, True]
    assert not w.any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n_s", "n_t"), [(40, 1), (1, 40)])
def test_a_domain_of_one_row_leaves_nothing_to_validate_with(method, n_s, n_t):
    Xs, Xt = shifted(n_s=n_s, n_t=n_t)
    with pytest.warns(UserWarning, match="unvalidated"):
        w = method.weigh(Xs, Xt)
    assert np.isnan(method.score_)
    assert np.isfinite(w).all()
    assert method.gamma_ == pytest.approx(median_gamma(Xs, Xt))


@pytest.mark.parametrize("method", METHODS)
def test_float32_stays_float32_and_sparse_rows_give_the_dense_answer(method):
    Xs, Xt = shifted(n_s=300, n_t=250)
    Xs, Xt = np.where(np.abs(Xs) < 0.5, 0, Xs), np.where(np.abs(Xt) < 0.5, 0, Xt)
    dense = method.weigh(Xs, Xt)
    np.testing.assert_allclose(method.weigh(csr_matrix(Xs), csr_matrix(Xt)), dense, rtol=1e-6)
    single = method.weigh(Xs.astype(np.float32), Xt.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, dense, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_cross_validation_holds_no_matrix_of_rows_times_rows(method):
    Xs, Xt = shifted(n_s=5000, n_t=5000, d=5)
    tracemalloc.start()
    method.weigh(Xs, Xt)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # one matrix of 5000 x 5000 takes 200 MB


def test_coefficients_are_the_nonnegative_part_of_a_ridge_solution():
    rng = np.random.default_rng(0)
    Xs, Xt = shifted(n_s=60, n_t=40)
    source, target = (kernel_sums(Xt[:12], X, [0.5])[0] for X in (Xs, Xt))
    theta = coefficients(source, target, 0.2, 0.3)
    Ks, Kt = rbf(Xs, Xt[:12], 0.5), rbf(Xt, Xt[:12], 0.5)

    def objective(t):
        return 0.1 * np.mean((Kt @ t) ** 2) + 0.4 * np.mean((Ks @ t) ** 2) - np.mean(Kt @ t) + 0.15 * t @ t

    H = 0.2 * Kt.T @ Kt / 40 + 0.8 * Ks.T @ Ks / 60
    unclipped = np.linalg.solve(H + 0.3 * np.eye(12), Kt.mean(axis=0))
    np.testing.assert_allclose(theta, np.maximum(unclipped, 0), rtol=1e-9)
    assert all(objective(unclipped) < objective(unclipped + 1e-3 * rng.normal(size=12)) for _ in range(20))


@pytest.mark.parametrize(
    ("method", "word"),
    [
        (ULSIF(gamma=0.0), "gamma"),
        (ULSIF(gamma="auto"), "gamma"),
        (ULSIF(reg=0.0), "reg"),
        (ULSIF(reg="auto"), "reg"),
        (ULSIF(regs=[]), "regs"),
        (ULSIF(n_centers=0), "n_centers"),
        (RULSIF(alpha=1.0), "alpha"),
        (RULSIF(alpha=-0.1), "alpha"),
    ],
)
def test_settings_that_mean_nothing_are_refused(method, word):
    with pytest.raises(InputError, match=word):
        method.weigh(*shifted())
