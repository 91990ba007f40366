"""SSTCA beside the eigenproblem as written, TCA, and what its weights do."""

import numpy as np
import pytest
from scipy.linalg import eig

from headstart.checks import check_method
from headstart.errors import InputError
from headstart.features import sstca as module
from headstart.features.components import components
from headstart.features.discrepancy import marginal
from headstart.features.graph import laplacian, neighbour_graph
from headstart.features.representation import representation
from headstart.features.sstca import SSTCA, kernel_factor
from headstart.kernels import rbf


def domains(n=50, d=5, seed=0):
    rng = np.random.default_rng(seed)
    Xs, Xt = rng.normal(size=(n, d)), 0.6 + rng.normal(size=(n + 15, d)) @ np.diag(np.linspace(0.5, 1.5, d))
    w = np.linspace(1, -1, d)
    return Xs, Xs @ w, Xt, Xt @ w


def by_definition(K, K_yy, L, n_s, mu, gamma, manifold_weight):
    """All eigenpairs of K H (gamma K_yy + (1 - gamma) I) H K w = theta (K (e e' + c L) K + mu I) w, largest first."""
    n = len(K)
    H, e = np.eye(n) - 1 / n, marginal(n_s, n - n_s)
    left = K @ H @ (gamma * K_yy + (1 - gamma) * np.eye(n)) @ H @ K
    values, vectors = eig(left, K @ (e @ e.T + manifold_weight / n**2 * L) @ K + mu * np.eye(n))
    order = np.argsort(values.real)[::-1]
    return values.real[order], vectors.real[:, order]


def principal_cosines(Z1, Z2):
    return np.linalg.svd(np.linalg.qr(Z1)[0].T @ np.linalg.qr(Z2)[0], compute_uv=False)


@pytest.mark.parametrize("label_kernel", ["classes", "numbers"])
@pytest.mark.parametrize(("kernel", "most_whole"), [("rbf", 1000), ("rbf", 10), ("linear", 1000)])
def test_components_are_those_of_the_problem_as_written(monkeypatch, kernel, label_kernel, most_whole):
    monkeypatch.setattr(module, "MOST_WHOLE", most_whole)  # with more columns, by the Krylov method
    Xs, ys, Xt, yt = domains(n=100)
    yt = np.where(np.arange(115) < 6, yt, np.nan)
    if label_kernel == "classes":
        ys, yt = np.round(ys), np.round(yt)
    X, y = np.vstack([Xs, Xt]), np.concatenate([ys, yt])
    method = SSTCA(
        3, kernel, gamma=0.1, reg=0.5, label_weight=0.3, label_kernel=label_kernel, manifold_weight=50.0, n_neighbors=4
    ).fit(Xs, Xt, ys, yt)
    known = ~np.isnan(y)
    if label_kernel == "classes":
        K_yy = y[:, None] == y[None]
    else:
        apart = (y[known][:, None] - y[known][None]) ** 2
        K_yy = np.exp(-((y[:, None] - y[None]) ** 2) / np.median(apart[np.triu_indices(len(apart), 1)]))
    K_yy = np.where(known[:, None] & known[None], K_yy, 0.0)
    K = rbf(X, X, 0.1) if kernel == "rbf" else X @ X.T
    L = laplacian(neighbour_graph(X, 4), normalised=False).toarray()
    values, W = by_definition(K, K_yy, L, 100, 0.5, 0.3, 50.0)
    np.testing.assert_allclose(method.values_, values[:3], rtol=1e-6)
    Z = np.vstack([method.transform_source(Xs), method.transform(Xt)])
    for j in range(3):
        assert principal_cosines(Z[:, [j]], K @ W[:, [j]]).min() > 1 - 1e-8
    assert method.residual_ < 1e-6


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("kernel", ["linear", "primal", "rbf"])
def test_without_labels_and_graph_it_is_transfer_component_analysis(kernel, whiten):
    Xs, ys, Xt, _ = domains()
    method = SSTCA(3, kernel, reg=0.5, label_weight=0.0, manifold_weight=0.0, whiten=whiten).fit(Xs, Xt, ys)
    space = representation(Xs, Xt, kernel)
    found = components(space.P, 3, marginal(50, 65), 0.5)
    np.testing.assert_allclose(method.values_, found.values, rtol=1e-8)
    Z = np.vstack([method.transform_source(Xs), method.transform(Xt)])
    np.testing.assert_allclose(Z, space.P @ found.scaled(whiten), atol=1e-6)


def test_labels_that_are_not_given_are_not_needed():
    Xs, _, Xt, _ = domains()
    without = SSTCA(2, label_weight=0.5).fit(Xs, Xt)
    half = SSTCA(2, label_weight=0.0).fit(Xs, Xt)
    np.testing.assert_allclose(without.values_, half.values_ / 2)
    with pytest.raises(InputError, match="no label is known"):
        SSTCA(label_weight=1.0).fit(Xs, Xt)


def test_a_larger_weight_of_labels_makes_components_go_with_them():
    Xs, ys, Xt, _ = domains()
    explained = []
    for weight in (0.0, 0.9):
        Z = SSTCA(1, label_weight=weight, label_kernel="numbers").fit(Xs, Xt, ys).transform_source(Xs)
        explained.append(abs(np.corrcoef(Z[:, 0], ys)[0, 1]))
    assert explained[1] > explained[0] + 0.2


def test_a_larger_weight_of_the_graph_keeps_neighbours_together():
    Xs, ys, Xt, _ = domains()
    L = laplacian(neighbour_graph(np.vstack([Xs, Xt])), normalised=False)
    rough = []
    for weight in (0.0, 1e3, 1e6):
        method = SSTCA(3, "rbf", manifold_weight=weight, whiten=True).fit(Xs, Xt, ys)
        Z = np.vstack([method.transform_source(Xs), method.transform(Xt)])
        rough.append(np.sum(Z * (L @ Z)))
    assert rough[0] > rough[1] > rough[2]


def test_the_factor_of_a_kernel_of_numbers_gives_the_kernel():
    y = np.random.default_rng(0).normal(size=(400, 1))
    G = kernel_factor(y, 2.0)
    np.testing.assert_allclose(G @ G.T, rbf(y, y, 2.0), atol=1e-10)
    assert G.shape[1] < 60
    assert kernel_factor(np.ones((5, 1)), 1.0).shape == (5, 1)


def test_components_have_a_mean_variance_of_one_or_each_one():
    Xs, ys, Xt, _ = domains()
    for whiten in (False, True):
        method = SSTCA(4, "rbf", whiten=whiten).fit(Xs, Xt, ys)
        variance = np.vstack([method.transform_source(Xs), method.transform(Xt)]).var(axis=0)
        assert np.isclose(variance.mean(), 1)
        assert np.allclose(variance, 1) == whiten


def test_many_landmarks_give_nearly_the_exact_components():
    Xs, ys, Xt, _ = domains()
    exact, low = (SSTCA(2, "rbf", gamma=0.05, rank=rank).fit(Xs, Xt, ys) for rank in (None, 90))
    np.testing.assert_allclose(low.values_, exact.values_, rtol=1e-2)
    assert (low.rank_, exact.rank_) == (90, None)


def test_beyond_some_rows_landmarks_are_used(monkeypatch):
    monkeypatch.setattr(module, "MOST_EXACT_ROWS", 100)
    monkeypatch.setattr(module, "AUTO_RANK", 20)
    Xs, ys, Xt, _ = domains()
    assert SSTCA(2, "rbf").fit(Xs, Xt, ys).rank_ == 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reg": 0.0}, "reg"),
        ({"label_weight": 1.1}, "label_weight"),
        ({"manifold_weight": -1.0}, "manifold_weight"),
        ({"label_kernel": "delta"}, "label_kernel"),
    ],
)
def test_settings_without_a_solution_are_refused(settings, message):
    Xs, ys, Xt, _ = domains()
    with pytest.raises(InputError, match=message):
        SSTCA(**settings).fit(Xs, Xt, ys)


def test_text_labels_are_classes():
    Xs, ys, Xt, _ = domains()
    named = np.where(ys > 0, "up", "down")
    as_text = SSTCA(2).fit(Xs, Xt, named)
    np.testing.assert_allclose(as_text.values_, SSTCA(2).fit(Xs, Xt, (ys > 0).astype(float)).values_)
    with pytest.raises(InputError, match="not numbers"):
        SSTCA(label_kernel="numbers").fit(Xs, Xt, named)


@pytest.mark.parametrize("settings", [{"kernel": "rbf"}, {"kernel": "rbf", "rank": 30}])
def test_settings_pass_the_common_checks(settings):
    check_method(SSTCA(**settings))
