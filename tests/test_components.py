"""The eigenproblem that the kernel methods share, and the matrices it stands on."""

import numpy as np
import pytest
from scipy.linalg import eig
from scipy.sparse import csr_matrix

from headstart.errors import InputError
from headstart.features import components as module
from headstart.features.components import components, spread_matrix
from headstart.features.discrepancy import conditional, marginal, to_unit_norm
from headstart.features.representation import representation


def domains(n=60, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), 0.8 + rng.normal(size=(n + 15, d)) @ np.diag(np.linspace(0.5, 1.5, d))


def by_definition(K, E, reg, R=None):
    """All eigenpairs of K H K A = (K E E' K + reg R) A theta, by a general solver, largest first."""
    n = len(K)
    H = np.eye(n) - 1 / n
    values, vectors = eig(K @ H @ K, K @ E @ E.T @ K + reg * (np.eye(n) if R is None else R))
    order = np.argsort(values.real)[::-1]
    return values.real[order], vectors.real[:, order]


def principal_cosines(Z1, Z2):
    """Cosines of the principal angles between the spans of two sets of columns."""
    return np.linalg.svd(np.linalg.qr(Z1)[0].T @ np.linalg.qr(Z2)[0], compute_uv=False)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_components_are_those_of_the_dual_problem_as_written(kernel):
    Xs, Xt = domains()
    X = np.vstack([Xs, Xt])
    R = representation(Xs, Xt, kernel, gamma=0.1)
    K = R.P if kernel == "rbf" else X @ X.T
    E = marginal(len(Xs), len(Xt))
    found = components(R.P, 3, E, 0.5)
    values, A = by_definition(K, E, 0.5)
    np.testing.assert_allclose(found.values, values[:3], rtol=1e-8)
    for j in range(3):
        assert principal_cosines(R.P @ found.a[:, [j]], K @ A[:, [j]]).min() > 1 - 1e-10
    assert found.residual < 1e-6


def test_the_primal_kernel_penalises_the_weights_of_the_map():
    Xs, Xt = domains()
    X, E = np.vstack([Xs, Xt]), marginal(60, 75)
    R = representation(Xs, Xt, "primal")
    W = R.map_of(components(R.P, 2, E, 0.5).a).A
    C = X - X.mean(axis=0)
    values, vectors = eig(C.T @ C, X.T @ E @ E.T @ X + 0.5 * np.eye(5))
    best = vectors.real[:, np.argsort(values.real)[::-1][:2]]
    assert principal_cosines(W, best).min() > 1 - 1e-10


@pytest.mark.parametrize("penalty", [None, "diagonal"])
def test_the_krylov_method_finds_what_the_whole_solution_finds(monkeypatch, penalty):
    Xs, Xt = domains(n=300, d=12)
    P = representation(Xs, Xt, "rbf", gamma=0.05).P
    E = np.hstack([marginal(300, 315), conditional(np.arange(300) % 3, np.arange(315) % 3, 3)])
    R = None if penalty is None else np.random.default_rng(0).uniform(0.5, 2.0, len(P))
    whole = components(P, 6, E, 0.3, R)
    monkeypatch.setattr(module, "MOST_WHOLE", 10)
    krylov = components(P, 6, E, 0.3, R)
    assert krylov.residual < 1e-6
    np.testing.assert_allclose(krylov.values, whole.values, rtol=1e-9)
    assert principal_cosines(P @ whole.a, P @ krylov.a).min() > 1 - 1e-9


def test_a_penalty_on_all_coefficients_is_solved_as_written():
    Xs, Xt = domains(n=20)
    P, E = representation(Xs, Xt, "rbf", gamma=0.1).P, marginal(20, 35)
    B = np.random.default_rng(1).normal(size=(55, 55))
    R = B @ B.T + np.eye(55)
    found = components(P, 2, E, 0.5, R)
    values, _ = by_definition(P, E, 0.5, R)
    np.testing.assert_allclose(found.values, values[:2], rtol=1e-7)


def test_components_have_variance_one():
    Xs, Xt = domains()
    R = representation(Xs, Xt, "rbf")
    Z = R.P @ components(R.P, 4, marginal(60, 75), 1.0).a
    np.testing.assert_allclose(Z.var(axis=0), 1.0)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kernel", ["linear", "primal", "rbf", "landmarks"])
@pytest.mark.parametrize("d", [4, 200])
def test_the_map_of_the_rows_of_the_fit_is_their_representation(kernel, sparse, d):
    Xs, Xt = domains(d=d)
    if sparse:
        Xs, Xt = csr_matrix(Xs * (Xs > 0)), csr_matrix(Xt * (Xt > 0))
    rank = 20 if kernel == "landmarks" else None
    R = representation(Xs, Xt, "rbf" if kernel == "landmarks" else kernel, rank=rank)
    a = components(R.P, 3, marginal(60, 75), 1.0).a
    X = np.vstack([Xs.toarray(), Xt.toarray()]) if sparse else np.vstack([Xs, Xt])
    np.testing.assert_allclose(R.map_of(a).transform(X), R.P @ a, rtol=1e-6, atol=1e-8)


def test_as_many_landmarks_as_rows_are_the_exact_kernel():
    Xs, Xt = domains(n=30)
    exact = representation(Xs, Xt, "rbf", gamma=0.2)
    low = representation(Xs, Xt, "rbf", gamma=0.2, rank=74)
    K = low.P / low.scale @ low.P.T
    assert np.abs(K - exact.P).max() < 0.02


def test_the_columns_of_the_discrepancy_take_differences_of_means():
    rng = np.random.default_rng(0)
    Z, source, target = rng.normal(size=(9, 2)), np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1, -1])
    np.testing.assert_allclose(marginal(4, 5).T @ Z, [Z[:4].mean(axis=0) - Z[4:].mean(axis=0)])
    E = conditional(source, target, 3)
    assert E.shape == (9, 2)  # no target row of class 2
    np.testing.assert_allclose(E[:, 0] @ Z, Z[:2].mean(axis=0) - Z[4])
    np.testing.assert_allclose(E[:, 1] @ Z, Z[2] - Z[5:8].mean(axis=0))
    assert np.isclose(np.linalg.norm(to_unit_norm(E) @ to_unit_norm(E).T), 1)


def test_components_are_scaled_to_variance_one_or_in_proportion_to_theta():
    Xs, Xt = domains()
    R = representation(Xs, Xt, "rbf")
    found = components(R.P, 4, marginal(60, 75), 1.0)
    np.testing.assert_allclose((R.P @ found.scaled(whiten=True)).var(axis=0), 1.0)
    np.testing.assert_allclose((R.P @ found.scaled(whiten=False)).var(axis=0), found.values / found.values.mean())


def test_signs_do_not_hang_on_the_order_of_the_rows():
    Xs, Xt = domains()
    P, E, order = representation(Xs, Xt, "rbf").P, marginal(60, 75), np.random.default_rng(0).permutation(135)
    Z, shuffled = P @ components(P, 5, E, 1.0).a, P[np.ix_(order, order)]
    np.testing.assert_allclose(shuffled @ components(shuffled, 5, E[order], 1.0).a, Z[order], atol=1e-7)


def test_a_spread_that_is_known_is_that_which_is_found():
    Xs, Xt = domains()
    P, E = representation(Xs, Xt, "linear").P, marginal(60, 75)
    H = np.eye(135) - 1 / 135
    S = spread_matrix(P)
    np.testing.assert_allclose(S, P.T @ H @ P, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(components(P, 2, E, 1.0, spread=S).a, components(P, 2, E, 1.0).a, rtol=1e-10)


def test_rows_that_do_not_vary_have_one_component_which_is_zero():
    P = np.outer(np.ones(20), [3.0, 1.0, 1 / 3])
    found = components(P, 2, marginal(10, 10), 1.0)
    np.testing.assert_array_equal(P @ found.scaled(whiten=False), np.zeros((20, 1)))


@pytest.mark.parametrize(("k", "reg"), [(0, 1.0), (2, 0.0), (2, -1.0)])
def test_numbers_that_are_not_positive_are_refused(k, reg):
    with pytest.raises(InputError, match="more than zero"):
        components(np.eye(5), k, marginal(2, 3), reg)


def test_eigenvalues_near_zero_do_not_keep_the_krylov_method_from_ending(monkeypatch):
    rng, reads = np.random.default_rng(0), []
    P = representation(rng.normal(size=(150, 1)), 1 + rng.normal(size=(150, 1)), "rbf").P
    plain = module.top_eigenpairs

    def counted(apply, start, k):
        return plain(lambda block: reads.append(1) or apply(block), start, k)

    monkeypatch.setattr(module, "MOST_WHOLE", 10)
    monkeypatch.setattr(module, "top_eigenpairs", counted)
    found = components(P, 20, marginal(150, 150), 1.0)
    assert found.values[-1] < 1e-6 * found.values[0]
    assert found.residual < 1e-9
    assert len(reads) < 20


def test_domains_far_apart_leave_the_eigenproblem_well_solved():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(2000, 5)), rng.normal(size=(2000, 5)) + np.array([1000.0, 0, 1000.0, 0, 0])
    P = representation(Xs, Xt, "linear").P
    found = components(P, 4, to_unit_norm(marginal(2000, 2000)), 1.0)
    assert found.residual < 1e-9
    # In the directions across the shift, means differ by chance: and that, too, is taken out.
    Z = P @ found.a
    assert np.abs(Z[:2000].mean(axis=0) - Z[2000:].mean(axis=0)).max() < 1e-3
