"""Kernel mean matching over labels against the published problem, a second solver, and known ratios."""

import warnings

import numpy as np
import pytest
import quadprog
from scipy.stats import norm
from sklearn.linear_model import Ridge

from headstart import Transfer
from headstart.checks import check_method
from headstart.errors import InputError
from headstart.instances.box_sum_qp import least_linear
from headstart.instances.mmd_target_shift import (
    MMDTargetShift,
    embedded_problem,
    exact_means,
    gaussian_factor,
    landmark_means,
)
from headstart.kernels import median_gamma, rbf


def quantities(n_s=100, n_t=80, seed=0, mean=0.8, spread=0.6):
    """Return rows that depend on a quantity y, which is N(0, 1) in the source and N(mean, spread^2) in the target."""
    rng = np.random.default_rng(seed)
    ys, yt = rng.normal(size=n_s), mean + spread * rng.normal(size=n_t)

    def seen(y):
        return np.column_stack([y, np.sin(2 * y), 0.3 * y**2]) + 0.4 * rng.normal(size=(len(y), 3))

    return seen(ys), seen(yt), ys


def classes(n_s=120, n_t=90, seed=0):
    rng = np.random.default_rng(seed)
    ys, yt = rng.choice(3, n_s, p=[0.5, 0.3, 0.2]), rng.choice(3, n_t, p=[0.1, 0.2, 0.7])
    means = 2.0 * np.eye(3)
    return rng.normal(size=(n_s, 3)) + means[ys], rng.normal(size=(n_t, 3)) + means[yt], ys


def published(Xs, Xt, L, gamma, reg):
    """Return the quadratic and linear terms of the paper's objective, with all matrices written out."""
    n_s, n_t = len(Xs), len(Xt)
    omega = np.linalg.solve(L + reg * n_s * np.eye(n_s), L)
    K, Kc = rbf(Xs, Xs, gamma), rbf(Xs, Xt, gamma)
    return omega.T @ K @ omega / n_s**2, omega.T @ Kc.sum(axis=1) / (n_s * n_t)


def by_quadprog(P, kappa, B, eps):
    """Solve the problem by an independent active-set solver (dual, Goldfarb & Idnani)."""
    n = len(P)
    A = np.vstack([np.ones(n), -np.ones(n), np.eye(n), -np.eye(n)])
    b = np.concatenate([[n * (1 - eps)], [-n * (1 + eps)], np.zeros(n), np.full(n, -B)])
    if eps == 0:  # one equation instead of two inequalities
        A, b = np.delete(A, 1, axis=0), np.delete(b, 1)
    beta = quadprog.solve_qp(P + 1e-12 * np.trace(P) * np.eye(n), kappa, A.T, b, int(eps == 0))[0]
    return beta, 0.5 * beta @ P @ beta - kappa @ beta


@pytest.mark.parametrize("B", [10.0, 1.5])
@pytest.mark.parametrize("eps", [0.0, 0.2])
def test_class_weights_solve_the_published_problem(B, eps):
    Xs, Xt, ys = classes()
    method = MMDTargetShift(B=B, eps=eps, check=False)
    beta = method.weigh(Xs, Xt, ys)
    P, kappa = published(Xs, Xt, (ys[:, None] == ys).astype(float), method.gamma_, method.reg)
    reached = 0.5 * beta @ P @ beta - kappa @ beta
    best, least = by_quadprog(P, kappa, B, eps)
    assert reached == pytest.approx(method.objective_, rel=1e-8)
    assert reached <= least + 1e-6 * abs(least)
    np.testing.assert_allclose(beta, [best[ys == j].mean() for j in ys], atol=1e-3)


@pytest.mark.parametrize("B", [10.0, 1.5])
@pytest.mark.parametrize("eps", [0.0, 0.2])
@pytest.mark.parametrize("ridge", [0.1, 1e-3])
def test_weights_of_quantities_solve_the_published_problem_with_the_ridge(B, eps, ridge):
    Xs, Xt, ys = quantities()
    method = MMDTargetShift(B=B, eps=eps, ridge=ridge, tol=1e-9)
    beta = method.weigh(Xs, Xt, ys)
    P, kappa = published(Xs, Xt, rbf(ys[:, None], ys[:, None], method.gamma_y_), method.gamma_, method.reg)
    P, kappa = P + ridge / 100 * np.eye(100), kappa + ridge / 100
    reached = 0.5 * beta @ P @ beta - kappa @ beta + ridge / 2
    best, least = by_quadprog(P, kappa, B, eps)
    assert reached == pytest.approx(method.objective_, rel=1e-6)
    assert abs(reached - least - ridge / 2) <= 1e-6 * abs(reached)
    np.testing.assert_allclose(beta, best, atol=0.02)


def test_a_tiny_ridge_leaves_the_papers_objective():
    Xs, Xt, ys = quantities()
    method = MMDTargetShift(ridge=1e-7)
    beta = method.weigh(Xs, Xt, ys)
    P, kappa = published(Xs, Xt, rbf(ys[:, None], ys[:, None], method.gamma_y_), method.gamma_, method.reg)
    reached, least = 0.5 * beta @ P @ beta - kappa @ beta, by_quadprog(P, kappa, 10.0, method.B / 40)[1]
    assert abs(reached - least) <= 1e-5 * abs(least)


def test_the_solver_with_a_ridge_converges_from_few_rows_to_many():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        Xs, Xt, ys = quantities(int(rng.integers(5, 800)), int(rng.integers(1, 800)), seed, mean=rng.normal())
        method = MMDTargetShift(tol=1e-10)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*stopped")
            method.weigh(Xs, Xt, ys)
        assert 0 <= method.gap_ <= 1e-10 * abs(method.objective_)
        assert method.n_iter_ < 60


@pytest.mark.parametrize("labels", ["classes", "quantities"])
@pytest.mark.parametrize("B", [10.0, 1.2])
def test_weights_respect_upper_bound_and_sum(labels, B):
    Xs, Xt, ys = classes(401) if labels == "classes" else quantities(401, mean=1.5)
    for eps in (None, 0.0, 0.05):
        beta = MMDTargetShift(B=B, eps=eps, check=False).weigh(Xs, Xt, ys)
        used = B / (4 * np.sqrt(401)) if eps is None else eps
        assert beta.min() >= 0
        assert beta.max() <= B
        assert 1 - used - 1e-9 <= beta.mean() <= 1 + used + 1e-9


@pytest.mark.parametrize("labels", ["classes", "quantities"])
def test_duality_gap_is_small_on_many_rows(labels):
    Xs, Xt, ys = classes(2000, 1500) if labels == "classes" else quantities(2000, 1500)
    method = MMDTargetShift(check=False)
    beta = method.weigh(Xs, Xt, ys)
    L = (ys[:, None] == ys).astype(float) if labels == "classes" else rbf(ys[:, None], ys[:, None], method.gamma_y_)
    P, kappa = published(Xs, Xt, L, method.gamma_, method.reg)
    gradient = P @ beta - kappa + method.ridge_ / 2000 * (beta - 1)
    eps = 10 / (4 * np.sqrt(2000))
    gap = gradient @ (beta - least_linear(gradient, 10.0, (2000 * (1 - eps), 2000 * (1 + eps))))
    assert -1e-9 <= gap <= 1e-6 * abs(method.objective_)


def test_the_problem_in_few_columns_is_the_problem_written_out():
    Xs, Xt, ys = quantities(60, 50)
    L = rbf(ys[:, None], ys[:, None], 0.5)
    P, kappa = published(Xs, Xt, L, 0.3, 1e-2)
    G = gaussian_factor(ys, 0.5)
    F, linear = embedded_problem(G, *exact_means(G, Xs, Xt, 0.3), 1e-2)
    np.testing.assert_allclose(G @ G.T, L, atol=1e-7)
    np.testing.assert_allclose(F @ F.T, P, atol=1e-6 * np.abs(P).max())
    np.testing.assert_allclose(linear, kappa, atol=1e-6 * np.abs(kappa).max())


def test_all_rows_as_landmarks_are_the_exact_kernel():
    Xs, Xt, ys = quantities(80, 60)
    G = gaussian_factor(ys, 0.5)
    exact, landmarks = exact_means(G, Xs, Xt, 0.3), landmark_means(G, Xs, Xt, 0.3, 140, 0)
    for one, other in zip(exact, landmarks, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6 * np.abs(one).max())


def test_landmarks_lose_little():
    Xs, Xt, ys = classes(2000, 2000)
    exact, landmarks = MMDTargetShift(check=False), MMDTargetShift(rank=200, check=False)
    exact.weigh(Xs, Xt, ys)
    landmarks.weigh(Xs, Xt, ys)
    np.testing.assert_allclose(landmarks.target_priors_, exact.target_priors_, atol=0.01)


def test_weights_follow_a_known_density_ratio_more_closely_with_more_rows():
    def error(n, seed):
        Xs, Xt, ys = quantities(n, n, seed)
        w = MMDTargetShift().weigh(Xs, Xt, ys)
        return np.sqrt(np.mean((w - norm.pdf(ys, 0.8, 0.6) / norm.pdf(ys)) ** 2))

    many = error(4000, 0)
    assert many < np.mean([error(200, seed) for seed in range(5)])
    assert many < 0.15


def test_weighted_labels_have_the_targets_mean_and_spread():
    Xs, Xt, ys = quantities(3000, 3000)
    w = MMDTargetShift().weigh(Xs, Xt, ys)
    mean = np.average(ys, weights=w)
    assert mean == pytest.approx(0.8, abs=0.05)
    assert np.sqrt(np.average((ys - mean) ** 2, weights=w)) == pytest.approx(0.6, abs=0.08)


def test_weights_of_quantities_are_a_smooth_function_of_the_label():
    Xs, Xt, ys = quantities(2000, 2000)
    order = np.argsort(ys)
    steps = np.abs(np.diff(MMDTargetShift().weigh(Xs, Xt, ys)[order]))
    assert np.quantile(steps, 0.99) < 0.05
    # The same problem with hardly a ridge has solutions that jump.
    assert steps.sum() < 0.5 * np.abs(np.diff(MMDTargetShift(ridge=1e-6).weigh(Xs, Xt, ys)[order])).sum()


def test_weighting_improves_a_regression_under_target_shift():
    Xs, Xt, ys = quantities(800, 800, mean=1.5, spread=0.4)
    new, _, _ = quantities(1, 1)
    rng = np.random.default_rng(5)
    truth = 1.5 + 0.4 * rng.normal(size=3000)
    new = np.column_stack([truth, np.sin(2 * truth), 0.3 * truth**2]) + 0.4 * rng.normal(size=(3000, 3))
    X, y = np.vstack([Xs, Xt]), np.append(ys, np.full(800, np.nan))
    model = Transfer(MMDTargetShift(), Ridge()).fit(X, y, domain=np.repeat(["source", "target"], 800))
    plain = Ridge().fit(Xs, ys)
    assert np.mean((model.predict(new) - truth) ** 2) < 0.8 * np.mean((plain.predict(new) - truth) ** 2)


def test_transfer_says_whether_whole_numbers_are_classes_or_quantities():
    rng = np.random.default_rng(0)
    ys = rng.integers(0, 5, 100)
    X = np.vstack([ys[:, None] + rng.normal(size=(100, 2)), 3 + rng.normal(size=(50, 2))])
    y, domain = np.append(ys.astype(float), np.full(50, np.nan)), np.repeat(["source", "target"], [100, 50])
    fitted = Transfer(MMDTargetShift(), Ridge()).fit(X, y, domain=domain).method_
    assert fitted.classes_ is None
    assert fitted.gamma_y_ > 0
    alone = MMDTargetShift()
    alone.weigh(X[:100], X[100:], ys)
    assert alone.classes_.tolist() == [0, 1, 2, 3, 4]


def test_labels_far_from_all_others_do_no_harm():
    Xs, Xt, ys = quantities(300, 300)
    ys[:3] = [1e6, -1e6, 1e9]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        w = MMDTargetShift().weigh(Xs, Xt, ys)
    assert np.isfinite(w).all()
    assert np.isfinite(MMDTargetShift().weigh(Xs, Xt, np.full(300, 0.5), task="regression")).all()


@pytest.mark.parametrize("data", ["one target row", "ten source rows", "no overlap", "all rows the same"])
def test_hard_cases_with_quantities_give_finite_weights(data):
    Xs, Xt, ys = quantities()
    cases = {
        "one target row": (Xs, Xt[:1], ys),
        "ten source rows": (Xs[:10], Xt, ys[:10]),
        "no overlap": (Xs, Xt + 1000, ys),
        "all rows the same": (np.ones_like(Xs), np.ones_like(Xt), ys),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        w = MMDTargetShift().weigh(*cases[data])
    assert np.isfinite(w).all()
    assert 0 <= w.min() <= w.max() <= 10
    assert w.any()


def test_order_of_rows_does_not_matter_for_quantities():
    Xs, Xt, ys = quantities()
    rng = np.random.default_rng(0)
    a, b = rng.permutation(len(Xs)), rng.permutation(len(Xt))
    np.testing.assert_allclose(MMDTargetShift().weigh(Xs[a], Xt[b], ys[a]), MMDTargetShift().weigh(Xs, Xt, ys)[a])


def test_gamma_is_the_median_rules():
    Xs, Xt, ys = quantities()
    method = MMDTargetShift()
    method.weigh(Xs, Xt, ys)
    assert method.gamma_ == pytest.approx(median_gamma(Xs, Xt))
    distances = (ys[:, None] - ys[None, :])[np.triu_indices(100, 1)] ** 2
    assert 1 / method.gamma_y_ == pytest.approx(np.median(distances), rel=0.1)


def test_a_warning_is_given_when_the_solver_is_stopped_early():
    Xs, Xt, ys = quantities(500, 500)
    with pytest.warns(UserWarning, match="raise max_iter"):
        MMDTargetShift(max_iter=1, tol=1e-14).weigh(Xs, Xt, ys)


@pytest.mark.parametrize(
    "wrong", [{"reg": 0.0}, {"ridge": 0.0}, {"eps": 1.0}, {"B": 0.5, "eps": 0.1}, {"rank": "some"}]
)
def test_parameters_without_a_meaning_are_refused(wrong):
    with pytest.raises(InputError, match="MMDTargetShift"):
        MMDTargetShift(**wrong).weigh(*quantities(20, 20))


def test_common_checks_pass_with_landmarks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check_method(MMDTargetShift(rank=30))
