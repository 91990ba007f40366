"""TJM against its dual problem with every matrix written out, and as a descent."""

import warnings

import numpy as np
import pytest
from scipy.linalg import eigh

from headstart.errors import InputError
from headstart.features import components as module
from headstart.features.discrepancy import marginal, to_unit_norm
from headstart.features.jda import JDA
from headstart.features.representation import representation
from headstart.features.tjm import LEAST_NORM, TJM, _dual, _penalty
from headstart.kernels import rbf

KERNELS = [("linear", None), ("rbf", None), ("rbf", 25)]


def domains(n_s=50, n_t=60, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_s, d)), 0.8 + rng.normal(size=(n_t, d)) @ np.diag(np.linspace(0.5, 1.5, d))


def represent(method, Xs, Xt):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # stopped early on purpose
        method.fit(Xs, Xt)
    return np.vstack([method.transform_source(Xs), method.transform(Xt)])


def kernel_matrix(Xs, Xt, kernel, rank, gamma=0.1):
    """K as the method has it: exact, or by landmarks."""
    X = np.vstack([Xs, Xt])
    if rank is None:
        return X @ X.T if kernel == "linear" else rbf(X, X, gamma)
    low = representation(Xs, Xt, "rbf", gamma, rank)
    return low.P / low.scale @ low.P.T


def discrepancy_matrix(n_s, n_t):
    e = np.concatenate([np.full(n_s, 1 / n_s), np.full(n_t, -1 / n_t)])
    return np.outer(e, e) / np.linalg.norm(np.outer(e, e))


def by_definition(K, n_s, reg, k, steps):
    """A and the objective after each of some steps, with A'K H K A = I, by a dense solver of the dual problem."""
    n = len(K)
    M, H, g = discrepancy_matrix(n_s, n - n_s), np.eye(n) - 1 / n, np.ones(n)
    objectives, floor = [], 0.0
    for _ in range(steps):
        values, A = eigh(K @ H @ K, K @ M @ K + reg * np.diag(g))
        A = A[:, ::-1][:, :k]
        A /= np.sqrt(np.einsum("ij,ij->j", A, K @ H @ K @ A))
        norms = np.linalg.norm(A, axis=1)
        floor = floor or LEAST_NORM * np.sqrt(np.mean(norms**2))
        smooth = np.sqrt(norms[:n_s] ** 2 + floor**2)
        objectives.append(np.trace(A.T @ K @ M @ K @ A) + reg * (smooth.sum() + (norms[n_s:] ** 2).sum()))
        g[:n_s] = 1 / (2 * smooth)
    return A, np.array(objectives), values[::-1][:k]


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize(("kernel", "rank"), KERNELS)
def test_tjm_is_the_dual_problem_as_written(kernel, rank, steps):
    Xs, Xt = domains()
    method = TJM(n_components=2, kernel=kernel, gamma=0.1, reg=0.5, max_iter=steps, tol=0.0, rank=rank)
    Z = represent(method, Xs, Xt)
    K = kernel_matrix(Xs, Xt, kernel, rank)
    A, objectives, theta = by_definition(K, 50, 0.5, 2, steps)
    np.testing.assert_allclose(method.objectives_, objectives, rtol=1e-6)
    np.testing.assert_allclose(method.values_, theta, rtol=1e-6)
    norms = np.linalg.norm(A, axis=1)
    np.testing.assert_allclose(method.importance_, norms[:50] / norms.mean(), rtol=1e-4)
    other = K @ A * np.sqrt(theta)
    other *= np.sign((Z * other).sum(axis=0))
    np.testing.assert_allclose(Z / np.linalg.norm(Z), other / np.linalg.norm(other), atol=1e-6)
    assert method.residual_ <= 1e-6


@pytest.mark.parametrize("reg", [0.1, 10.0])
@pytest.mark.parametrize(("kernel", "rank"), KERNELS)
@pytest.mark.parametrize("seed", range(3))
def test_the_objective_never_rises(kernel, rank, reg, seed):
    Xs, Xt = domains(n_s=120, n_t=90, d=6, seed=seed)
    method = TJM(n_components=5, kernel=kernel, reg=reg, tol=1e-10, rank=rank).fit(Xs, Xt)
    steps = np.diff(method.objectives_)
    assert len(steps) > 1
    assert (steps <= 1e-9 * method.objectives_[:-1]).all()
    assert method.objectives_[-1] < method.objectives_[0]


@pytest.mark.parametrize(("kernel", "rank"), [("linear", None), ("rbf", 20)])
def test_the_penalty_of_a_low_rank_kernel_is_the_least_of_all_coefficients_with_its_representation(kernel, rank):
    Xs, Xt = domains(n_s=20, n_t=25)
    space = representation(Xs, Xt, kernel, 0.1, rank)
    rng = np.random.default_rng(0)
    weight, a = rng.uniform(0.1, 10, 45), rng.normal(size=(space.P.shape[1], 1))
    R, U = _penalty(space, weight), space.P / space.scale
    A = _dual(space, weight, R, a)
    np.testing.assert_allclose(U.T @ A, a, atol=1e-9)  # so that K A = P a
    # The least-norm solution of U' G^(-1/2) b = a, with b = G^(1/2) A.
    b = np.linalg.lstsq(U.T / np.sqrt(weight), a, rcond=None)[0]
    np.testing.assert_allclose(A, b / np.sqrt(weight)[:, None], atol=1e-8)
    np.testing.assert_allclose((a.T @ R @ a).item(), (b**2).sum(), rtol=1e-8)


def smooth_norms(A, K, n_s, reg):
    """sqrt(||a_i||^2 + floor^2) of the source rows, where the floor is a share of the first step's norms."""
    first = by_definition(K, n_s, reg, A.shape[1], 1)[0]
    return np.hypot(np.linalg.norm(A[:n_s], axis=1), LEAST_NORM * np.sqrt((first**2).sum(axis=1).mean()))


@pytest.mark.parametrize(("kernel", "size"), [("rbf", 1.0), ("linear", 0.1)])
def test_the_solution_is_stationary(kernel, size):
    Xs, Xt = (size * X for X in domains())
    method = TJM(n_components=2, kernel=kernel, gamma=0.1, reg=0.5, tol=1e-13, max_iter=2000, whiten=True)
    Z = represent(method, Xs, Xt) / np.sqrt(110)
    K = kernel_matrix(Xs, Xt, kernel, None)
    steps = method.n_iter_
    A = by_definition(K, 50, 0.5, 2, steps)[0]
    np.testing.assert_allclose(np.abs(K @ A), np.abs(Z), atol=1e-6)
    # The gradient of the Lagrangian: zero for every row.
    g = np.concatenate([1 / (2 * smooth_norms(A, K, 50, 0.5)), np.ones(60)])
    left = (K @ discrepancy_matrix(50, 60) @ K + 0.5 * np.diag(g)) @ A
    right = K @ (np.eye(110) - 1 / 110) @ K @ A / method.values_
    assert np.abs(left - right).max() < 1e-4 * np.abs(left).max()


def test_no_point_near_the_solution_is_better():
    Xs, Xt = domains()
    method = TJM(n_components=2, kernel="rbf", gamma=0.1, reg=0.5, tol=1e-13, max_iter=500, whiten=True).fit(Xs, Xt)
    K, M = kernel_matrix(Xs, Xt, "rbf", None), discrepancy_matrix(50, 60)
    S = K @ (np.eye(110) - 1 / 110) @ K

    def objective(A):
        A = A @ np.linalg.inv(np.linalg.cholesky(A.T @ S @ A)).T
        rows = smooth_norms(A, K, 50, 0.5).sum() + np.linalg.norm(A[50:]) ** 2
        return np.trace(A.T @ K @ M @ K @ A) + 0.5 * rows

    A = method.source_map_.A
    best = objective(A)
    assert best == pytest.approx(method.objectives_[-1], rel=1e-9)
    rng = np.random.default_rng(0)
    for size in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        for _ in range(20):
            assert objective(A + size * np.abs(A).mean() * rng.normal(size=A.shape)) > best


@pytest.mark.parametrize(("kernel", "rank"), KERNELS)
def test_the_first_step_is_that_of_jda_without_classes(kernel, rank):
    Xs, Xt = domains()
    one = represent(TJM(n_components=2, kernel=kernel, rank=rank, max_iter=1), Xs, Xt)
    other = JDA(n_components=2, kernel=kernel, rank=rank, reg=1.0, max_iter=1).fit(Xs, Xt, np.arange(50) % 2)
    np.testing.assert_allclose(one[50:], other.transform(Xt), atol=1e-6)


def test_few_source_rows_are_used_and_none_that_say_little():
    rng = np.random.default_rng(0)
    # Small rows take large coefficients, of which norms are cheaper than squares.
    Xs, Xt = 0.05 * rng.normal(size=(80, 4)), 0.05 * rng.normal(size=(80, 4))
    Xs[:20] /= 10
    method = TJM(n_components=2, tol=1e-6, max_iter=500).fit(Xs, Xt)
    assert method.importance_[:20].max() < 0.01
    assert 1 <= (method.importance_ > 1.0).sum() <= 6
    squares = TJM(n_components=2, max_iter=1).fit(Xs, Xt)
    assert (squares.importance_[20:] > 0.1).mean() > 0.9


def test_both_ways_to_solve_agree(monkeypatch):
    Xs, Xt = domains(n_s=150, n_t=150)
    method = TJM(n_components=3, kernel="rbf", tol=1e-8)
    whole = represent(method, Xs, Xt)
    objective = method.objectives_[-1]
    monkeypatch.setattr(module, "MOST_WHOLE", 10)
    monkeypatch.setattr("headstart.features.tjm.MOST_WHOLE", 10)
    np.testing.assert_allclose(represent(method, Xs, Xt), whole, atol=1e-3)
    assert method.objectives_[-1] == pytest.approx(objective, rel=1e-6)
    assert method.residual_ <= 1e-6


def test_the_discrepancy_falls_with_reg_and_never_to_the_contrary():
    Xs, Xt = domains()
    e = to_unit_norm(marginal(50, 60))
    gaps = []
    for reg in (1e-3, 1e-1, 1e1, 1e3):
        Z = represent(TJM(n_components=2, kernel="rbf", gamma=0.1, reg=reg, whiten=True), Xs, Xt)
        gaps.append(float(np.linalg.norm(e.T @ Z)))
    assert all(np.diff(gaps) > 0)


def test_tjm_warns_when_it_is_stopped_early_and_only_then():
    Xs, Xt = domains()
    with pytest.warns(UserWarning, match="raise max_iter"):
        TJM(kernel="rbf", max_iter=2, tol=1e-6).fit(Xs, Xt)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TJM(kernel="rbf").fit(Xs, Xt)


def test_what_has_no_meaning_is_refused():
    with pytest.raises(InputError, match="linear or rbf"):
        TJM(kernel="primal").fit(*domains())
    with pytest.raises(InputError, match="max_iter"):
        TJM(max_iter=0).fit(*domains())
