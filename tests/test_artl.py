"""ARTL and MEDA: the closed form beside the equations as written, the objective, limit cases, and the balance."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import norm
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression

from headstart.checks import check_method
from headstart.draws import folds
from headstart.errors import InputError, NeedsError
from headstart.features.adapted_least_squares import one_hot, problem
from headstart.features.artl import ARTL
from headstart.features.class_scores import label_weights, nearest_probabilities
from headstart.features.discrepancy import balanced_discrepancy, marginal
from headstart.features.graph import laplacian, neighbour_graph
from headstart.features.meda import MEDA, Balance, a_distance
from headstart.inputs import Coded, coded
from headstart.kernels import rbf


def domains(n_s=60, n_t=50, d=4, seed=0):
    rng = np.random.default_rng(seed)
    ys, yt = rng.integers(3, size=n_s), rng.integers(3, size=n_t)
    means = 2 * rng.normal(size=(3, d))
    return means[ys] + rng.normal(size=(n_s, d)), ys, means[yt] + rng.normal(size=(n_t, d)) + 0.7, yt


def as_written(K, weight, V, L, Y, manifold_weight, reg):
    """Scores K a with ((E + V V' + manifold_weight L) K + reg I) a = E Y, everything dense."""
    E = np.diag(weight)
    a = np.linalg.solve((E + V @ V.T + manifold_weight * L.toarray()) @ K + reg * np.eye(len(K)), E @ Y)
    return K @ a


def parts(seed=0):
    Xs, ys, Xt, yt = domains(seed=seed)
    labels = coded(ys, np.where(np.arange(50) < 5, yt, np.nan), 50, "test")
    L = laplacian(neighbour_graph(np.vstack([Xs, Xt]), 5))
    weight = label_weights(labels, None, None, 2.0, "test")
    V = np.sqrt(10.0) * balanced_discrepancy(labels, yt, 0.5)
    return Xs, Xt, labels, L, weight, V


@pytest.mark.parametrize("kernel", ["rbf", "linear", "landmarks"])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_closed_form_is_the_one_written(kernel, sparse):
    Xs, Xt, labels, L, weight, V = parts()
    if sparse:
        Xs, Xt = csr_matrix(Xs * (Xs > 0)), csr_matrix(Xt * (Xt > 0))
    X = np.vstack([Xs.toarray(), Xt.toarray()]) if sparse else np.vstack([Xs, Xt])
    rank = 25 if kernel == "landmarks" else None
    name = "linear" if kernel == "linear" else "rbf"
    scores = problem(Xs, Xt, one_hot(labels), weight, L, 0.7, 0.1, name, 0.2, rank, 0, "test")
    K = {"rbf": rbf(X, X, 0.2), "linear": X @ X.T, "landmarks": getattr(scores, "Phi", X) @ getattr(scores, "Phi", X).T}
    found = scores.minimum(V)
    np.testing.assert_allclose(found.F, as_written(K[kernel], weight, V, L, one_hot(labels), 0.7, 0.1), atol=1e-8)
    np.testing.assert_allclose(scores.map_of(found.a).transform(X), found.F, atol=1e-8)
    assert found.residual < 1e-10


def test_as_many_landmarks_as_rows_span_the_exact_kernel():
    Xs, Xt, labels, L, weight, V = parts()
    exact, low = (
        problem(Xs, Xt, one_hot(labels), weight, L, 0.7, 0.1, "rbf", 0.05, rank, 0, "test").minimum(V).F
        for rank in (None, 109)
    )
    np.testing.assert_allclose(low, exact, atol=5e-3)


def test_no_step_from_the_minimum_lowers_the_objective():
    Xs, Xt, labels, L, weight, V = parts()
    X, Y = np.vstack([Xs, Xt]), one_hot(labels)
    K = rbf(X, X, 0.2)
    a = problem(Xs, Xt, Y, weight, L, 0.7, 0.1, "rbf", 0.2, None, 0, "test").minimum(V).a

    def objective(a):
        F = K @ a
        fit = (weight[:, None] * (Y - F) ** 2).sum()
        return fit + 0.1 * np.sum(a * F) + 0.7 * np.sum(F * (L @ F)) + np.sum((V.T @ F) ** 2)

    rng = np.random.default_rng(0)
    for _ in range(10):
        step = rng.normal(size=a.shape)
        slope = (objective(a + 1e-4 * step) - objective(a - 1e-4 * step)) / 2e-4
        assert abs(slope) < 1e-5 * np.linalg.norm(step)
        assert objective(a + 0.01 * step) > objective(a)


@pytest.mark.parametrize("weighted", [False, True])
def test_without_adaptation_it_is_kernel_ridge_regression(weighted):
    Xs, ys, Xt, _ = domains()
    ws = np.random.default_rng(0).uniform(0.5, 2.0, len(ys)) if weighted else None
    method = ARTL(gamma=0.2, mmd_weight=0.0, manifold_weight=0.0, reg=0.3).fit(Xs, Xt, ys, ws=ws)
    ridge = KernelRidge(alpha=0.3, kernel="rbf", gamma=0.2)
    ridge.fit(Xs, np.eye(3)[ys], sample_weight=None if ws is None else ws / ws.mean())
    np.testing.assert_allclose(method.transform(Xt), ridge.predict(Xt), atol=1e-8)


def test_larger_weights_bring_means_together_and_neighbours_too():
    Xs, ys, Xt, _ = domains()
    L = laplacian(neighbour_graph(np.vstack([Xs, Xt])))

    def scores(**settings):
        method = ARTL(max_iter=1, **settings).fit(Xs, Xt, ys)
        return np.vstack([method.transform_source(Xs), method.transform(Xt)])

    apart = [np.linalg.norm(marginal(60, 50).T @ scores(mmd_weight=w)) for w in (0.0, 1.0, 100.0)]
    assert apart[0] > 1.2 * apart[1] > 2 * apart[2]
    rough = [np.sum(F * (L @ F)) for F in (scores(manifold_weight=w) for w in (0.0, 1.0, 100.0))]
    assert rough[0] > 1.2 * rough[1] > 2 * rough[2]


@pytest.mark.parametrize("rank", [None, 20])
def test_the_map_gives_the_rows_of_the_fit_their_scores(rank):
    Xs, ys, Xt, _ = domains()
    labels = coded(ys, None, 50, "test")
    method = ARTL(rank=rank)
    weight = label_weights(labels, None, None, 1.0, "test")
    by, found = method.adapt(Xs, Xt, labels, weight, np.arange(110), lambda guessed: 0.5)
    np.testing.assert_allclose(by.transform(np.vstack([Xs, Xt])), found.F, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(method.fit(Xs, Xt, ys).transform(Xt), found.F[60:], rtol=1e-6, atol=1e-8)
    assert method.residual_ < 1e-10


def test_it_ends_when_its_own_answers_are_its_guesses():
    Xs, ys, Xt, _ = domains()
    method = ARTL(max_iter=50).fit(Xs, Xt, ys)
    assert 1 < method.n_iter_ < 50

    class Told(LogisticRegression):
        def predict(self, X):
            return method.transform(X).argmax(axis=1)

    again = ARTL(max_iter=1, labeler=Told()).fit(Xs, Xt, ys)
    np.testing.assert_allclose(again.transform(Xt), method.transform(Xt), atol=1e-10)


def test_a_target_label_that_weighs_much_is_kept():
    Xs, ys, Xt, _ = domains()
    plain = ARTL().fit(Xs, Xt, ys).transform(Xt).argmax(axis=1)
    odd = np.full(50, np.nan)
    odd[:3] = (plain[:3] + 1) % 3
    for weight, kept in ((1e4, True), (1e-6, False)):
        told = ARTL(target_weight=weight, max_iter=1, gamma=1.0).fit(Xs, Xt, ys, odd).transform(Xt).argmax(axis=1)
        assert np.array_equal(told[:3], odd[:3]) == kept


def test_sparse_and_dense_rows_get_the_same_scores():
    Xs, ys, Xt, _ = domains()
    Xs, Xt = Xs * (Xs > 0), Xt * (Xt > 0)
    dense = ARTL(labeler=LogisticRegression()).fit(Xs, Xt, ys).transform(Xt)
    sparse = ARTL(labeler=LogisticRegression()).fit(csr_matrix(Xs), csr_matrix(Xt), ys).transform(csr_matrix(Xt))
    np.testing.assert_allclose(sparse, dense, atol=1e-6)


def test_the_discrepancy_weighs_means_and_classes_by_mu():
    labels = Coded(np.arange(2), np.array([0, 0, 1]), np.zeros(4, dtype=int), np.zeros(4, dtype=bool))
    guessed, F = np.array([0, 1, 1, 1]), np.random.default_rng(0).normal(size=(7, 2))
    for mu in (0.0, 0.3, 1.0):
        V = balanced_discrepancy(labels, guessed, mu)
        whole = F[:3].mean(axis=0) - F[3:].mean(axis=0)
        first, second = F[:2].mean(axis=0) - F[3], F[2] - F[4:].mean(axis=0)
        expected = (1 - mu) * 2 * whole @ whole + mu * (first @ first + second @ second)
        scale = np.linalg.norm(V @ V.T)
        assert np.isclose(scale, 1)
        unscaled = np.linalg.norm(
            sum(s * np.outer(e, e) for s, e in zip([2 * (1 - mu), mu, mu], differences(guessed), strict=True))
        )
        assert np.isclose(np.sum((V.T @ F) ** 2) * unscaled, expected)


def differences(guessed):
    """The vectors whose products with F are the differences of means in the test above."""
    source = np.array([0, 0, 1])
    yield np.append(np.full(3, 1 / 3), np.full(4, -1 / 4))
    for c in (0, 1):
        of_s, of_t = source == c, guessed == c
        yield np.append(of_s / of_s.sum(), -(of_t / of_t.sum()))


def test_probabilities_are_the_nearest_to_the_scores():
    S = 3 * np.random.default_rng(0).normal(size=(200, 5))
    P = nearest_probabilities(S)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    np.testing.assert_array_equal(P.argmax(axis=1), S.argmax(axis=1))
    # Optimality: scores fall by the same number where probabilities are positive, by less where they are zero.
    fall = np.where(P > 0, S - P, np.nan)
    threshold = np.nanmean(fall, axis=1, keepdims=True)
    assert np.nanmax(np.abs(fall - threshold)) < 1e-12
    assert (P >= 0).all()
    assert (S - P - threshold).max() < 1e-12
    np.testing.assert_allclose(nearest_probabilities(P), P, atol=1e-12)


def test_weights_of_labels_are_those_of_a_learner_fitted_on_both():
    labels = Coded(np.arange(2), np.zeros(6, dtype=int), np.zeros(4, dtype=int), np.array([True, False, True, False]))
    np.testing.assert_allclose(label_weights(labels, None, None, "balanced", "t"), [1] * 6 + [3, 0, 3, 0])
    np.testing.assert_allclose(
        label_weights(labels, np.arange(1.0, 7), np.array([1.0, 9, 3, 9]), 2.0, "t"),
        [*(np.arange(1.0, 7) / 3.5), 1, 0, 3, 0],
    )
    with pytest.raises(NeedsError, match="target_weight"):
        label_weights(labels, None, None, "half", "t")


def apart(A, B):
    side = np.repeat([0, 1], [len(A), len(B)])
    return a_distance(np.vstack([A, B]), side, folds(np.vstack([A, B]), 5, 0, side))


def test_the_distance_of_two_gaussians_is_that_of_the_best_border():
    rng = np.random.default_rng(0)
    for shift in (0.5, 1.0, 2.0):
        A, B = rng.normal(size=(20_000, 3)), rng.normal([shift, 0.0, 0.0], size=(30_000, 3))
        assert apart(A, B) == pytest.approx(2 * (1 - 2 * norm.cdf(-shift / 2)), abs=0.02)
    assert apart(A, A + 100.0) == 2.0
    assert apart(A, rng.normal(size=(20_000, 3))) < 0.05


def test_the_balance_is_on_the_side_of_what_differs():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 500)
    Zs = rng.normal(size=(1000, 2))
    moved = np.where(y[:, None] == 0, 3.0, -3.0) * [1.0, 0.0]

    def balance(Zs, Zt):
        return Balance(Zs, Zt, y[: len(Zs)], np.arange(len(Zs) + len(Zt)), 0)

    # The classes change places: as a whole, the domains are alike.
    assert balance(Zs - moved, rng.normal(size=(1000, 2)) + moved).mu(y) > 0.9
    # All rows move alike: as much as a whole as class by class.
    assert balance(Zs, rng.normal([20.0, 0.0], size=(1000, 2))).mu(y) == pytest.approx(0.5)
    # No class is in both domains; nothing tells equal domains apart; one row of a class tells nothing.
    assert balance(Zs, Zs + 20.0).mu(y + 2) == 0.0
    assert balance(np.ones((9, 2)), np.ones((9, 2))).mu(y[:9]) == 0.5
    assert balance(Zs, Zs + 20.0).mu(np.append([0], np.full(999, 2))) == 0.0


def test_with_the_whole_space_as_manifold_meda_is_artl():
    Xs, ys, Xt, _ = domains()
    meda = MEDA(n_components=4, center=False, mu=0.5, gamma=0.1).fit(Xs, Xt, ys)
    artl = ARTL(gamma=0.1).fit(Xs, Xt, ys)
    np.testing.assert_allclose(meda.transform(Xt), artl.transform(Xt), atol=1e-8)
    np.testing.assert_allclose(meda.transform_source(Xs), artl.transform_source(Xs), atol=1e-8)
    assert (meda.mu_, meda.n_iter_) == (0.5, artl.n_iter_)


def test_features_of_unit_length_do_not_feel_the_lengths_of_rows():
    Xs, ys, Xt, _ = domains()
    method = MEDA(n_components=2, center=False, unit_length=True).fit(Xs, Xt, ys)
    np.testing.assert_allclose(method.transform(7 * Xt), method.transform(Xt), atol=1e-10)


def test_meda_estimates_its_balance_from_rows_in_any_order():
    Xs, ys, Xt, _ = domains()
    order = np.random.default_rng(0).permutation(60)
    first, second = MEDA().fit(Xs, Xt, ys), MEDA().fit(Xs[order], Xt, ys[order])
    assert 0 < first.mu_ <= 1
    assert first.mu_ == pytest.approx(second.mu_)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"reg": 0.0}, "reg"), ({"kernel": "primal"}, "kernel"), ({"mmd_weight": -1.0}, "mmd"), ({"max_iter": 0}, "max")],
)
def test_settings_without_a_minimum_are_refused(settings, message):
    Xs, ys, Xt, _ = domains()
    for method in (ARTL(**settings), MEDA(**settings)):
        with pytest.raises(InputError, match=message):
            method.fit(Xs, Xt, ys)
    with pytest.raises(InputError, match="mu must"):
        MEDA(mu=1.5).fit(Xs, Xt, ys)


@pytest.mark.parametrize("method", [ARTL(kernel="linear"), ARTL(rank=30), MEDA(unit_length=True, affinity="cosine")])
def test_settings_pass_the_common_checks(method):
    check_method(method)
