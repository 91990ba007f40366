"""Kernel mean matching against its own problem, a second solver, and known ratios."""

import warnings

import numpy as np
import pytest
import quadprog
from scipy.stats import norm

from headstart.errors import InputError
from headstart.instances import KMM
from headstart.instances.box_sum_qp import least_linear, project_box_sum, solve_box_sum_qp
from headstart.instances.gram import DenseGram, LowRankGram
from headstart.kernels import median_gamma, nystroem_map, rbf


def shifted(n_s=150, n_t=120, d=3, seed=0, shift=0.7):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_s, d)), shift + 0.8 * rng.normal(size=(n_t, d))


def problem(Xs, Xt, gamma):
    return rbf(Xs, Xs, gamma), len(Xs) / len(Xt) * rbf(Xs, Xt, gamma).sum(axis=1)


def by_quadprog(K, kappa, B, eps):
    """Solve the published problem by an independent active-set solver (dual, Goldfarb & Idnani)."""
    n = len(K)
    A = np.vstack([np.eye(n), -np.eye(n), np.ones(n), -np.ones(n)])
    b = np.concatenate([np.zeros(n), np.full(n, -B), [n * (1 - eps)], [-n * (1 + eps)]])
    w = quadprog.solve_qp(K + 1e-10 * np.eye(n), kappa, A.T, b)[0]
    return 0.5 * w @ K @ w - kappa @ w


@pytest.mark.parametrize("B", [1000.0, 5.0, 1.5])
@pytest.mark.parametrize("eps", [None, 0.01])
@pytest.mark.parametrize("d", [1, 3, 20])
def test_kmm_objective_equals_an_independent_solvers(B, eps, d):
    Xs, Xt = shifted(d=d)
    method = KMM(B=B, eps=eps)
    w = method.weigh(Xs, Xt)
    K, kappa = problem(Xs, Xt, method.gamma_)
    used_eps = (np.sqrt(len(Xs)) - 1) / np.sqrt(len(Xs)) if eps is None else eps
    reached, best = 0.5 * w @ K @ w - kappa @ w, by_quadprog(K, kappa, B, used_eps)
    assert reached == pytest.approx(method.objective_, rel=1e-9)
    assert abs(reached - best) <= 2e-5 * abs(best)


@pytest.mark.parametrize("B", [1000.0, 2.0])
@pytest.mark.parametrize("eps", [None, 0.0, 0.05])
def test_kmm_weights_respect_upper_bound_and_sum(B, eps):
    Xs, Xt = shifted(n_s=401, shift=1.5)
    w = KMM(B=B, eps=eps).weigh(Xs, Xt)
    used_eps = (np.sqrt(401) - 1) / np.sqrt(401) if eps is None else eps
    assert w.min() >= 0
    assert w.max() <= B
    assert 1 - used_eps - 1e-9 <= w.mean() <= 1 + used_eps + 1e-9


def test_kmm_solves_the_whole_problem_and_not_batches():
    # 1,015 rows: a solver in batches of floor(n / 2^k) would leave rows out or miss the optimum.
    Xs, Xt = shifted(n_s=1015, n_t=800, d=5)
    method = KMM()
    w = method.weigh(Xs, Xt)
    K, kappa = problem(Xs, Xt, method.gamma_)
    n = len(Xs)
    eps = (np.sqrt(n) - 1) / np.sqrt(n)
    gradient = K @ w - kappa
    gap = gradient @ (w - least_linear(gradient, 1000.0, (n * (1 - eps), n * (1 + eps))))
    assert 0 <= gap <= 1e-5 * abs(method.objective_)


def test_kmm_weights_are_flat_without_a_shift():
    rng = np.random.default_rng(0)
    Xs = rng.normal(size=(600, 2))
    w = KMM(gamma=0.05).weigh(Xs, Xs)
    K, kappa = problem(Xs, Xs, 0.05)
    flat = np.ones(600)
    # w = 1 is optimal when both samples are the same.
    assert 0.5 * w @ K @ w - kappa @ w == pytest.approx(0.5 * flat @ K @ flat - kappa @ flat, rel=1e-6)


def test_kmm_weights_follow_a_known_density_ratio_more_closely_with_more_rows():
    def error(n):
        rng = np.random.default_rng(1)
        Xs, Xt = rng.normal(0, 1, (n, 1)), rng.normal(0.5, 0.7, (n, 1))
        ratio = norm.pdf(Xs[:, 0], 0.5, 0.7) / norm.pdf(Xs[:, 0])
        w = KMM(gamma=0.5, B=10).weigh(Xs, Xt)
        # KMM matches means of smooth functions, so compare smoothed weights: bins of the rows.
        bins = np.digitize(Xs[:, 0], np.linspace(-2, 2, 9))
        means = [(w[bins == b].mean(), ratio[bins == b].mean()) for b in range(1, 9)]
        return float(np.mean([(a - b) ** 2 for a, b in means]))

    assert error(4000) < error(200)
    assert error(4000) < 0.05


def test_kmm_with_all_landmarks_equals_the_exact_kernel():
    Xs, Xt = shifted(n_s=80, n_t=60)
    exact, full = KMM(rank=None), KMM(rank=140, random_state=0)
    exact.weigh(Xs, Xt)
    full.weigh(Xs, Xt)
    assert full.objective_ == pytest.approx(exact.objective_, rel=1e-4)


def test_a_low_rank_gram_multiplies_and_solves_as_the_whole_matrix_does():
    rng = np.random.default_rng(0)
    F, rest, D, v = rng.normal(size=(30, 4)), rng.uniform(0, 1, 30), rng.uniform(0.1, 1, 30), rng.normal(size=30)
    K, low = F @ F.T + np.diag(rest), LowRankGram(F, rest)
    few = np.where(np.arange(30) < 5, v, 0.0)
    for gram in (low, DenseGram(K)):
        np.testing.assert_allclose(gram.times(v), K @ v, atol=1e-12)
        np.testing.assert_allclose(gram.times(few), K @ few, atol=1e-12)
        np.testing.assert_allclose(gram.rows(np.arange(3, 9)).times(v[:6]), K[3:9, 3:9] @ v[:6], atol=1e-12)
        np.testing.assert_allclose(gram.with_diagonal(D)(v), np.linalg.solve(K + np.diag(D), v), atol=1e-9)


@pytest.mark.parametrize("d", [3, 10, 50])
def test_few_landmarks_come_close_to_the_exact_objective(d):
    Xs, Xt = shifted(n_s=1500, n_t=1500, d=d, shift=0.3)
    exact, few = KMM(rank=None), KMM(rank=300, random_state=0)
    exact.weigh(Xs, Xt)
    w = few.weigh(Xs, Xt)
    K, kappa = problem(Xs, Xt, exact.gamma_)
    assert (0.5 * w @ K @ w - kappa @ w - exact.objective_) <= 1e-3 * abs(exact.objective_)


def test_nystroem_features_reproduce_the_kernel_on_landmarks():
    Xs, Xt = shifted(n_s=40, n_t=30)
    features = nystroem_map(Xs, Xt, 0.3, 70, 0)
    np.testing.assert_allclose(features(Xs) @ features(Xt).T, rbf(Xs, Xt, 0.3), atol=1e-6)


def test_kmm_warns_when_it_is_stopped_early():
    Xs, Xt = shifted(n_s=300, d=20)
    with pytest.warns(UserWarning, match="raise max_iter"):
        KMM(max_iter=20, tol=1e-12).weigh(Xs, Xt)


def test_kmm_does_not_warn_when_solved():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KMM().weigh(*shifted(n_s=500, d=2))


def test_kmm_keeps_float32():
    Xs, Xt = shifted()
    assert KMM().weigh(Xs.astype(np.float32), Xt.astype(np.float32)).dtype == np.float32


def test_kmm_refuses_a_bound_that_leaves_no_weights():
    with pytest.raises(InputError, match="raise B"):
        KMM(B=0.5, eps=0.1).weigh(*shifted())


def test_projection_is_the_nearest_point_of_the_set():
    rng = np.random.default_rng(0)
    for _ in range(50):
        v, upper = rng.normal(0, 3, 6), 2.0
        total = tuple(np.sort(rng.uniform(1, 10, 2)))
        w = project_box_sum(v, upper, total)
        assert total[0] - 1e-9 <= w.sum() <= total[1] + 1e-9
        # Nearest: (v - w)'(u - w) <= 0 for every allowed u, so for the one that maximises it.
        u = least_linear(w - v, upper, total)
        assert (v - w) @ (u - w) <= 1e-8


def test_linear_step_equals_linear_programming():
    from scipy.optimize import linprog

    rng = np.random.default_rng(0)
    for _ in range(30):
        g, total = rng.normal(size=7), tuple(np.sort(rng.uniform(0, 14, 2)))
        s = least_linear(g, 2.0, total)
        best = linprog(g, A_ub=[np.ones(7), -np.ones(7)], b_ub=[total[1], -total[0]], bounds=[(0, 2)] * 7)
        assert g @ s == pytest.approx(best.fun, abs=1e-9)


def test_solver_reaches_the_optimum_of_an_ill_conditioned_problem():
    Xs, Xt = shifted(n_s=500, n_t=500, d=1)
    K, kappa = problem(Xs, Xt, median_gamma(Xs, Xt))
    _, objective, gap, _ = solve_box_sum_qp(DenseGram(K), kappa, 1000.0, (22.0, 978.0))
    assert gap <= 1e-6 * abs(objective)
