"""JGSA and SCA: the eigenproblems as the papers write them, their limit cases, and what all routes agree on."""

import numpy as np
import pytest
from scipy.linalg import eig
from scipy.sparse import csr_matrix
from sklearn.decomposition import KernelPCA
from sklearn.neighbors import KNeighborsClassifier

from headstart.errors import InputError, NeedsError
from headstart.features import scatter as module
from headstart.features.jgsa import JGSA
from headstart.features.sca import SCA, scatters
from headstart.features.scatter import Scatter, between_classes, centred
from headstart.kernels import rbf


def domains(n_s=40, n_t=30, d=5, classes=3, seed=0, shift=0.7):
    rng = np.random.default_rng(seed)
    ys, yt = np.arange(n_s) % classes, np.arange(n_t) % classes
    means = 2 * rng.normal(size=(classes, d))
    Xs = rng.normal(size=(n_s, d)) + means[ys]
    return Xs, ys, (rng.normal(size=(n_t, d)) + means[yt]) * np.linspace(0.5, 1.5, d) + shift, yt


def leading(left, right, k):
    """The leading generalised eigenpairs by a general solver."""
    values, vectors = eig(left, right)
    order = np.argsort(values.real)[::-1][:k]
    return values.real[order], vectors.real[:, order]


def same_up_to_sign(found, wanted, atol):
    sign = np.sign(np.sum(found * wanted, axis=0))
    np.testing.assert_allclose(found, wanted * sign, atol=atol * np.abs(wanted).max())


def jgsa_as_written(Ks, Kt, ys, yt, *, lam, mu, beta, penalty):
    """The matrices of the paper for columns of features (or kernel rows) Ks, Kt, shape (r, n_s) and (r, n_t)."""
    n_s, n_t, r, classes = len(ys), len(yt), len(Ks), np.unique(ys)
    S_w, S_b, mean = np.zeros((r, r)), np.zeros((r, r)), Ks.mean(axis=1, keepdims=True)
    L = np.zeros((n_s + n_t, n_s + n_t))
    L += len(classes) * np.block(
        [
            [np.full((n_s, n_s), 1 / n_s**2), np.full((n_s, n_t), -1 / (n_s * n_t))],
            [np.full((n_t, n_s), -1 / (n_s * n_t)), np.full((n_t, n_t), 1 / n_t**2)],
        ]
    )
    for c in classes:
        X = Ks[:, ys == c]
        n = X.shape[1]
        S_w += X @ (np.eye(n) - 1 / n) @ X.T
        off = X.mean(axis=1, keepdims=True) - mean
        S_b += n * off @ off.T
        both, of_t = np.concatenate([ys == c, yt == c]).astype(float), np.concatenate([np.zeros(n_s), yt == c])
        sign = both - 2 * of_t
        size = np.concatenate([np.full(n_s, n), np.full(n_t, (yt == c).sum())])
        L += np.outer(sign / size, sign / size)
    L /= np.linalg.norm(L)
    both = np.block([[Ks, np.zeros((r, n_t))], [np.zeros((r, n_s)), Kt]])
    M = both @ L @ both.T
    S_t = Kt @ (np.eye(n_t) - 1 / n_t) @ Kt.T
    Z = np.zeros((r, r))
    left = np.block([[beta * S_b, Z], [Z, mu * S_t]])
    right = M + np.block([[lam * penalty + beta * S_w, -lam * penalty], [-lam * penalty, (lam + mu) * penalty]])
    return left, right


@pytest.mark.parametrize("d", [5, 90])
def test_jgsa_solves_the_papers_primal_problem(d):
    Xs, ys, Xt, yt = domains(d=d)
    method = JGSA(n_components=4, reg=1.0, divergence=0.7, mu=1.3, beta=0.2).fit(Xs, Xt, ys, yt)
    left, right = jgsa_as_written(Xs.T, Xt.T, ys, yt, lam=0.7, mu=1.3, beta=0.2, penalty=np.eye(d))
    values, W = leading(left, right, 4)
    W /= np.linalg.norm(W, axis=0)
    np.testing.assert_allclose(method.values_, values, rtol=1e-7)
    A, B = method.source_map_.A, method.target_map_.A
    same_up_to_sign(np.vstack([A, B]), W, atol=1e-6)
    assert method.residual_ < 1e-6


@pytest.mark.parametrize("mu", [1.0, 1.5])
def test_jgsa_solves_the_papers_kernel_problem(mu):
    Xs, ys, Xt, yt = domains(n_s=21, n_t=18)
    method = JGSA(4, kernel="rbf", gamma=0.2, reg=1.0, divergence=0.8, mu=mu, beta=0.3).fit(Xs, Xt, ys, yt)
    X = np.vstack([Xs, Xt])
    K = rbf(X, X, 0.2)
    left, right = jgsa_as_written(K[:, :21], K[:, 21:], ys, yt, lam=0.8, mu=mu, beta=0.3, penalty=K)
    values, W = leading(left, right, 4)
    A, B = W[:39], W[39:]
    length = np.sqrt(np.sum(A * (K @ A), axis=0) + np.sum(B * (K @ B), axis=0))
    np.testing.assert_allclose(method.values_, values, rtol=1e-5)
    Z = np.vstack([method.transform_source(Xs), method.transform(Xt)])
    same_up_to_sign(Z, np.vstack([K[:21] @ A, K[21:] @ B]) / length, atol=1e-4)
    assert method.residual_ < 1e-6


def sca_as_written(K, y, n_s, beta, delta, reg):
    """Numerator and denominator for f = K a by the definitions of the scatters, each a mean of squares."""
    n, known = len(y), np.flatnonzero(y >= 0)

    def squares(rows, about):
        return sum(np.outer(K[i] - m, K[i] - m) for i, m in zip(rows, about, strict=True)) / len(rows)

    of_class = {c: K[y == c].mean(axis=0) for c in np.unique(y[known])}
    total = squares(np.arange(n), [K.mean(axis=0)] * n)
    within = squares(known, [of_class[c] for c in y[known]])
    middle = K[known].mean(axis=0)
    between = sum(np.outer(of_class[c] - middle, of_class[c] - middle) for c in y[known]) / len(known)
    sides = [K[:n_s].mean(axis=0), K[n_s:].mean(axis=0)]
    apart = sum(np.outer(m - np.mean(sides, axis=0), m - np.mean(sides, axis=0)) for m in sides) / 2
    return (1 - beta) * total + beta * between, delta * apart + within + reg * K


@pytest.mark.parametrize(("beta", "delta", "reg"), [(0.3, 2.0, 0.01), (1.0, 0.0, 0.1), (0.0, 5.0, 1.0)])
def test_sca_solves_the_papers_problem(beta, delta, reg):
    Xs, ys, Xt, yt = domains()
    k = 2 if beta == 1.0 else 4
    known = np.where(np.arange(30) < 6, yt.astype(float), np.nan)
    method = SCA(k, gamma=0.15, beta=beta, delta=delta, reg=reg).fit(Xs, Xt, ys, known)
    X, y = np.vstack([Xs, Xt]), np.concatenate([ys, np.where(np.isnan(known), -1, yt)])
    K = rbf(X, X, 0.15)
    left, right = sca_as_written(K, y, 40, beta, delta, reg)
    values, a = leading(left, right, k)
    np.testing.assert_allclose(method.values_, values, rtol=1e-6)
    scale = np.sqrt(np.sum(a * (right @ a), axis=0))
    same_up_to_sign(np.vstack([method.transform_source(Xs), method.transform(Xt)]), K @ a / scale, atol=1e-5)
    assert method.residual_ < 1e-6


def test_without_classes_and_domains_sca_is_kernel_pca():
    Xs, ys, Xt, _ = domains()
    method = SCA(5, gamma=0.1, beta=0.0, delta=0.0, reg=1e6).fit(Xs, Xt, ys)
    X = np.vstack([Xs, Xt])
    other = KernelPCA(5, kernel="rbf", gamma=0.1).fit(X)
    np.testing.assert_allclose(method.values_ * 1e6, other.eigenvalues_ / 70, rtol=1e-5)
    Z = method.transform(X) * 1e3
    same_up_to_sign(Z - Z.mean(axis=0), other.transform(X), atol=1e-5)


def test_with_classes_only_sca_is_the_fisher_discriminant():
    Xs, ys, Xt, _ = domains(classes=2)
    method = SCA(3, kernel="linear", beta=1.0, delta=0.0, reg=0.05).fit(Xs, Xt, ys)
    a, b = Xs[ys == 0], Xs[ys == 1]
    S_w = (np.cov(a.T, ddof=0) * len(a) + np.cov(b.T, ddof=0) * len(b)) / len(Xs)
    w = np.linalg.solve(S_w + 0.05 * np.eye(5), a.mean(axis=0) - b.mean(axis=0))
    found = method.target_map_.A
    assert found.shape == (5, 1)  # two classes differ in one direction
    assert abs(found[:, 0] @ w) / np.linalg.norm(found) / np.linalg.norm(w) == pytest.approx(1.0, abs=1e-10)


def test_a_large_delta_brings_the_means_of_the_domains_together():
    Xs, ys, Xt, _ = domains(shift=3.0)
    apart = []
    for delta in (0.0, 1.0, 1e6):
        method = SCA(3, delta=delta).fit(Xs, Xt, ys)
        Zs, Zt = method.transform_source(Xs), method.transform(Xt)
        apart.append(np.linalg.norm(Zs.mean(axis=0) - Zt.mean(axis=0)) / np.vstack([Zs, Zt]).std())
    assert apart[0] > apart[1] > 10 * apart[2]


def test_a_large_divergence_makes_the_two_maps_one():
    Xs, ys, Xt, yt = domains()
    apart = []
    for divergence in (1e-2, 1.0, 1e6):
        method = JGSA(2, divergence=divergence).fit(Xs, Xt, ys, yt)
        apart.append(np.linalg.norm(method.source_map_.A - method.target_map_.A))
    assert apart[0] > apart[1] > 1e3 * apart[2]


@pytest.mark.parametrize("kind", [JGSA, SCA])
def test_all_rows_as_landmarks_are_the_exact_kernel(kind, monkeypatch):
    Xs, ys, Xt, _ = domains()
    exact = kind(3, kernel="rbf").fit(Xs, Xt, ys)
    # One landmark short of all, which would be the exact kernel.
    near = kind(3, kernel="rbf", rank=69).fit(Xs, Xt, ys)
    assert exact.rank_ is None
    assert near.rank_ == 69
    np.testing.assert_allclose(near.values_, exact.values_, rtol=0.05)
    monkeypatch.setattr(f"{kind.__module__}.kernel_settings", lambda *_: 70)
    all_of_them = kind(3, kernel="rbf").fit(Xs, Xt, ys)
    np.testing.assert_allclose(all_of_them.values_, exact.values_, rtol=1e-6)
    same_up_to_sign(all_of_them.transform(Xt), exact.transform(Xt), atol=1e-5)
    same_up_to_sign(all_of_them.transform_source(Xs), exact.transform_source(Xs), atol=1e-5)


@pytest.mark.parametrize("kind", [JGSA, SCA])
def test_the_krylov_method_finds_what_the_whole_solution_finds(kind, monkeypatch):
    Xs, ys, Xt, _ = domains(n_s=300, n_t=330)
    monkeypatch.setattr(module, "MOST_WHOLE", 1000)
    whole = kind(4, kernel="rbf").fit(Xs, Xt, ys)
    rounds, solver = [], module.top_eigenpairs
    monkeypatch.setattr(module, "top_eigenpairs", lambda *given: rounds.append(1) or solver(*given))
    monkeypatch.setattr(module, "MOST_WHOLE", 10)
    krylov = kind(4, kernel="rbf").fit(Xs, Xt, ys)
    assert rounds
    assert krylov.residual_ < 1e-6
    np.testing.assert_allclose(krylov.values_, whole.values_, rtol=1e-8)
    same_up_to_sign(krylov.transform(Xt), whole.transform(Xt), atol=1e-5)


def test_a_kernel_that_is_all_but_constant_gives_no_components_of_rounding_errors(recwarn):
    Xs, ys, Xt, _ = domains(n_s=320, n_t=320)
    method = SCA(20, gamma=1e-6).fit(Xs, Xt, ys)
    assert 1 <= len(method.values_) < 20
    assert method.residual_ < 1e-6
    assert not recwarn.list


def test_total_scatter_is_between_plus_within():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(30, 2)), rng.integers(-1, 3, size=30)
    nothing = np.zeros((30, 0))
    total = Scatter(1.0, np.where(y >= 0, 0, -1), nothing)
    parts = Scatter(1.0, y, between_classes(y, 1.0))
    np.testing.assert_allclose(z.T @ total.times(z), z.T @ parts.times(z), atol=1e-10)
    np.testing.assert_allclose(parts.gram(z), z.T @ parts.times(z), atol=1e-10)
    np.testing.assert_allclose(parts.gram(csr_matrix(z)), parts.gram(z), atol=1e-10)
    by_hand = sum(((z[y == c] - z[y == c].mean(axis=0)) ** 2).sum() for c in range(3))
    assert (centred(z, y) ** 2).sum() == pytest.approx(by_hand)


def test_two_domains_are_half_their_difference_from_the_middle():
    z = np.array([[1.0], [3.0], [10.0]])
    _, drawn = scatters(np.array([0, 1, -1]), 2, 0.5, 4.0)
    assert (drawn.E.T @ z).item() ** 2 == pytest.approx(4.0 * ((2 - 10) / 2) ** 2)


def test_known_target_labels_are_never_guessed_and_always_used():
    Xs, ys, Xt, yt = domains(shift=4.0)
    seen = []

    class Spy(KNeighborsClassifier):
        def predict(self, X):
            seen.append(self.n_samples_fit_)
            return super().predict(X)

    known = np.where(np.arange(30) < 10, yt.astype(float), np.nan)
    method = JGSA(2, labeler=Spy(1)).fit(Xs, Xt, ys, known)
    assert set(seen) == {50}
    assert method.n_iter_ == len(seen) - 1
    plain = SCA(2).fit(Xs, Xt, ys)
    assert not np.allclose(SCA(2).fit(Xs, Xt, ys, known).values_, plain.values_)


def test_all_labels_known_is_one_round():
    Xs, ys, Xt, yt = domains()
    assert JGSA(2).fit(Xs, Xt, ys, yt).n_iter_ == 1


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_jgsa_undoes_a_change_of_the_target(kernel):
    rng = np.random.default_rng(0)
    means = 2 * rng.normal(size=(3, 6))
    ys, yt = rng.integers(3, size=(2, 200))
    Xs, Xt = rng.normal(size=(200, 6)) + means[ys], rng.normal(size=(200, 6)) + means[yt]
    turn = np.linalg.qr(np.eye(6) + 0.4 * rng.normal(size=(6, 6)))
    Xt = Xt @ (turn[0] * np.sign(np.diag(turn[1]))) + 1.0
    raw = KNeighborsClassifier(1).fit(Xs, ys).score(Xt, yt)
    method = JGSA(kernel=kernel).fit(Xs, Xt, ys)
    aligned = KNeighborsClassifier(1).fit(method.transform_source(Xs), ys).score(method.transform(Xt), yt)
    assert aligned > raw + 0.1


def test_the_default_unit_makes_jgsa_blind_to_the_scale_and_number_of_rows():
    Xs, ys, Xt, yt = domains()
    method = JGSA(2).fit(Xs, Xt, ys, yt)
    larger = JGSA(2).fit(10 * np.vstack([Xs, Xs]), 10 * np.vstack([Xt, Xt]), np.tile(ys, 2), np.tile(yt, 2))
    np.testing.assert_allclose(larger.values_, method.values_, rtol=1e-8)
    same_up_to_sign(larger.source_map_.A, method.source_map_.A, atol=1e-7)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_float32_rows_stay_float32(kernel):
    Xs, ys, Xt, _ = domains()
    for method in (JGSA(2, kernel=kernel), SCA(2, kernel=kernel)):
        method.fit(Xs.astype(np.float32), Xt.astype(np.float32), ys)
        assert method.transform(Xt.astype(np.float32)).dtype == np.float32
        wide = type(method)(2, kernel=kernel).fit(Xs, Xt, ys).transform(Xt)
        same_up_to_sign(method.transform(Xt.astype(np.float32)), wide, atol=1e-2)


def test_what_cannot_be_learned_from_is_refused():
    Xs, ys, Xt, _ = domains()
    with pytest.raises(NeedsError, match="source labels"):
        SCA().fit(Xs, Xt)
    with pytest.raises(InputError, match="beta"):
        SCA(beta=1.5).fit(Xs, Xt, ys)
    with pytest.raises(InputError, match="more than zero"):
        JGSA(mu=0).fit(Xs, Xt, ys)
    with pytest.raises(InputError, match="kernel must be"):
        JGSA(kernel="primal").fit(Xs, Xt, ys)
    with pytest.raises(InputError, match="all the same"):
        JGSA().fit(np.ones_like(Xs), np.ones_like(Xt), ys)
