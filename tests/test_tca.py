"""TCA against its own generalised eigenproblem, solved by brute force, and against what others make of it."""

import warnings

import numpy as np
import pytest
from scipy.linalg import eig
from scipy.sparse import csr_matrix
from sklearn.decomposition import KernelPCA
from sklearn.linear_model import LogisticRegression

from headstart import Transfer
from headstart.errors import InputError
from headstart.features.tca import TCA
from headstart.kernels import rbf


def domains(n_s=60, n_t=80, d=5, shift=0.8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_s, d)), shift + rng.normal(size=(n_t, d)) @ np.diag(np.linspace(0.5, 1.5, d))


def as_published(Xs, Xt, kernel, mu, k, gamma=0.1):
    """K W of the published problem, with every matrix written out; w'(K L K + mu I) w = 1, for theta, largest first."""
    X = np.vstack([Xs, Xt])
    K = X @ X.T if kernel == "linear" else rbf(X, X, gamma)
    n = len(K)
    e = np.concatenate([np.full(len(Xs), 1 / len(Xs)), np.full(len(Xt), -1 / len(Xt))])
    L, H = np.outer(e, e), np.eye(n) - 1 / n
    right = K @ L @ K + mu * np.eye(n)
    values, W = eig(K @ H @ K, right)
    best = np.argsort(values.real)[::-1][:k]
    W = W.real[:, best]
    return K @ W / np.sqrt(np.einsum("ij,ij->j", W, right @ W)), values.real[best]


def as_the_peers_have_it(Xs, Xt, mu, k):
    """The embedding of skada 0.6.0 and ADAPT 0.4.5: `eigh` of a matrix that is not symmetric, mu at the discrepancy."""
    X = np.vstack([Xs, Xt])
    K, n = X @ X.T, len(X)
    e = np.concatenate([np.full(len(Xs), 1 / len(Xs)), np.full(len(Xt), -1 / len(Xt))])
    H = np.eye(n) - 1 / n
    _, W = np.linalg.eigh(np.linalg.solve(np.eye(n) + mu * K @ np.outer(e, e) @ K, K @ H @ K))
    return K @ W[:, -k:]


def represent(method, Xs, Xt):
    method.fit(Xs, Xt)
    return np.vstack([method.transform_source(Xs), method.transform(Xt)])


def between_share(Z, n_s):
    """What share of the variance lies between the domains' means."""
    n, n_t = len(Z), len(Z) - n_s
    apart = Z[:n_s].mean(axis=0) - Z[n_s:].mean(axis=0)
    return (n_s * n_t / n**2 * apart**2).sum() / Z.var(axis=0).sum()


@pytest.mark.parametrize("mu", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_tca_is_the_solution_of_the_published_problem(kernel, mu):
    Xs, Xt = domains()
    method = TCA(n_components=3, kernel=kernel, gamma=0.1, reg=mu)
    Z = represent(method, Xs, Xt)
    best, theta = as_published(Xs, Xt, kernel, mu, 3)
    np.testing.assert_allclose(method.values_, theta, rtol=1e-8)
    assert method.residual_ <= 1e-6
    factor = np.sqrt(best.var(axis=0).mean())
    for j in range(3):
        sign = np.sign(Z[:, j] @ best[:, j])
        np.testing.assert_allclose(Z[:, j], sign * best[:, j] / factor, atol=1e-6)


@pytest.mark.parametrize("mu", [1.0, 10.0])
def test_a_strong_shift_is_removed_as_far_as_exact_eigenvectors_do_it(mu):
    # The peers weigh the discrepancy where the paper weighs ||W||^2: their mu is our 1 / mu.
    Xs, Xt = domains(n_s=150, n_t=150, d=10, shift=3.0)
    Xs, Xt = 0.15 * Xs, 0.15 * Xt
    ours = between_share(represent(TCA(n_components=5, reg=1 / mu), Xs, Xt), 150)
    exact = between_share(as_published(Xs, Xt, "linear", 1 / mu, 5)[0], 150)
    theirs = between_share(as_the_peers_have_it(Xs, Xt, mu, 5), 150)
    assert ours == pytest.approx(exact, rel=1e-6)
    assert ours < theirs / 3


def test_larger_reg_adapts_less_until_nothing_but_kernel_pca_is_left():
    Xs, Xt = domains(shift=2.0)
    shares = [between_share(represent(TCA(n_components=2, reg=reg), Xs, Xt), 60) for reg in 10.0 ** np.arange(-2, 7)]
    assert all(np.diff(shares) > 0)
    X = np.vstack([Xs, Xt])
    centred = X - X.mean(axis=0)
    # Penalised dual coefficients of a kernel that is not centred: the directions of K H K.
    K = X @ X.T
    vectors = np.linalg.eigh(K @ (np.eye(140) - 1 / 140) @ K)[1]
    Z = represent(TCA(n_components=2, reg=1e12, whiten=True), Xs, Xt)
    pca = K @ vectors[:, ::-1][:, :2]
    assert np.abs(np.corrcoef(Z.T, pca.T)[[0, 1], [2, 3]]).min() > 1 - 1e-8
    scores = KernelPCA(2, kernel="linear").fit_transform(centred)
    centred_Z = represent(TCA(n_components=2, reg=1e12, whiten=True), centred[:60], centred[60:])
    assert np.abs(np.corrcoef(centred_Z.T, scores.T)[[0, 1], [2, 3]]).min() > 1 - 1e-8


def test_primal_components_are_those_of_the_problem_in_weights():
    Xs, Xt = domains()
    X = np.vstack([Xs, Xt])
    Z = represent(TCA(n_components=5, kernel="primal", reg=0.7), Xs, Xt)
    apart = Xs.mean(axis=0) - Xt.mean(axis=0)
    # All five directions are kept, so that inner products are those of a metric: W W' = (X'L X + mu I)^-1.
    metric = np.linalg.inv(np.outer(apart, apart) + 0.7 * np.eye(5))
    inner = X @ metric @ X.T
    np.testing.assert_allclose(Z @ Z.T * (inner[0, 0] / (Z[0] @ Z[0])), inner, rtol=1e-6, atol=1e-8)


def test_what_tells_the_domains_apart_is_small_though_every_direction_is_kept():
    Xs, Xt = domains(n_s=500, n_t=500, d=3, shift=2.0)
    kept = represent(TCA(n_components=3, kernel="primal", reg=0.01), Xs, Xt)
    whitened = represent(TCA(n_components=3, kernel="primal", reg=0.01, whiten=True), Xs, Xt)
    assert between_share(kept, 500) < 0.01
    assert between_share(whitened, 500) > 0.2


def test_variances_are_in_proportion_to_theta_or_one():
    Xs, Xt = domains()
    method = TCA(n_components=4, kernel="rbf")
    Z = represent(method, Xs, Xt)
    np.testing.assert_allclose(Z.var(axis=0), method.values_ / method.values_.mean(), rtol=1e-6)
    np.testing.assert_allclose(
        represent(TCA(n_components=4, kernel="rbf", whiten=True), Xs, Xt).var(axis=0), 1.0, rtol=1e-6
    )


def test_rows_come_back_in_the_callers_order():
    Xs, Xt = domains()
    rng = np.random.default_rng(1)
    y, domain = np.concatenate([np.arange(60) % 2, np.full(80, np.nan)]), np.repeat(["source", "target"], [60, 80])
    order = rng.permutation(140)
    X = np.vstack([Xs, Xt])
    for kernel in ("linear", "rbf"):
        model = Transfer(TCA(n_components=3, kernel=kernel), LogisticRegression()).fit(X, y, domain=domain)
        mixed = Transfer(TCA(n_components=3, kernel=kernel), LogisticRegression())
        mixed.fit(X[order], y[order], domain=domain[order])
        np.testing.assert_allclose(mixed.predict_proba(X[order]), model.predict_proba(X)[order], atol=1e-5)
        method = TCA(n_components=3, kernel=kernel).fit(Xs, Xt)
        shuffled = TCA(n_components=3, kernel=kernel).fit(Xs[::-1], Xt[rng.permutation(80)])
        # Signs, too: components don't hang on the order of the rows.
        np.testing.assert_allclose(shuffled.transform(Xt), method.transform(Xt), atol=1e-6)


@pytest.mark.parametrize("kernel", ["linear", "primal", "rbf"])
def test_sparse_rows_are_mapped_as_dense_ones(kernel):
    Xs, Xt = (X * (X > 0.3) for X in domains())
    dense = represent(TCA(n_components=3, kernel=kernel), Xs, Xt)
    method = TCA(n_components=3, kernel=kernel).fit(csr_matrix(Xs), csr_matrix(Xt))
    np.testing.assert_allclose(method.transform(csr_matrix(Xt)), dense[60:], atol=1e-6)
    np.testing.assert_allclose(method.transform_source(Xs), dense[:60], atol=1e-6)


@pytest.mark.parametrize("kernel", ["linear", "primal", "rbf"])
def test_float32_rows_stay_float32(kernel):
    Xs, Xt = domains()
    method = TCA(n_components=3, kernel=kernel).fit(Xs.astype(np.float32), Xt.astype(np.float32))
    assert method.transform(Xt.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(method.transform(Xt), represent(TCA(3, kernel), Xs, Xt)[60:], atol=1e-3)


def test_few_landmarks_keep_the_leading_components():
    Xs, Xt = domains(n_s=300, n_t=300)
    exact = TCA(n_components=3, kernel="rbf", gamma=0.05, reg=0.1)
    few = TCA(n_components=3, kernel="rbf", gamma=0.05, reg=0.1, rank=100)
    whole, low = represent(exact, Xs, Xt), represent(few, Xs, Xt)
    assert (exact.rank_, few.rank_) == (None, 100)
    assert np.linalg.svd(np.linalg.qr(whole)[0].T @ np.linalg.qr(low)[0], compute_uv=False).min() > 0.999


@pytest.mark.parametrize(
    ("case", "rows"),
    [
        ("rows that are all the same", (np.ones((20, 3)), np.ones((15, 3)))),
        ("no overlap", (np.random.default_rng(0).normal(size=(20, 3)), np.full((15, 3), 1000.0))),
        ("one target row", (np.random.default_rng(0).normal(size=(20, 3)), np.zeros((1, 3)))),
        ("more columns than rows", tuple(np.random.default_rng(0).normal(size=(2, 12, 40)))),
        ("columns that are nearly one", (np.outer(np.arange(20.0), [1, 1 + 1e-9]), np.arange(20.0).reshape(10, 2))),
    ],
)
@pytest.mark.parametrize("kernel", ["linear", "primal", "rbf"])
def test_hard_rows_have_a_finite_representation(case, rows, kernel):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(represent(TCA(kernel=kernel), *rows)).all(), case


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"reg": 0.0}, "reg"),
        ({"n_components": 0}, "n_components"),
        ({"kernel": "cubic"}, "kernel"),
        ({"rank": 0}, "rank"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings, word):
    with pytest.raises(InputError, match=word):
        TCA(**{"kernel": "rbf", **settings}).fit(*domains())
