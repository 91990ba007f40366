"""Transferability scores against their definitions, written out plainly."""

import numpy as np
import pytest
from scipy.linalg import eigh, svd
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal, spearmanr
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, r2_score
from sklearn.neighbors import KNeighborsClassifier

from headstart.errors import InputError, NeedsError
from headstart.evidence import transferability
from headstart.evidence.transferability import SCORES, EtranParts, Features
from headstart.evidence.transferability.features import SMALL_SIDE, as_classes
from headstart.evidence.transferability.log_sums import log_sum_exp
from headstart.evidence.transferability.probes import PENALTIES, lda_loo, ridge_loo, skill


def task(n=60, d=5, k=3, apart=1.0, seed=0):
    """Features with a mean of their own (as a ReLU layer's), columns that correlate, and classes of unlike sizes."""
    rng = np.random.default_rng(seed)
    y = np.minimum(rng.integers(0, k + 1, n), k - 1)
    mixed = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    return 2.0 + mixed + apart * rng.normal(size=(k, d))[y], y


def dense_evidence(F, y):
    """Maximise log N(y; 0, FF'/alpha + I/beta) numerically, from several starts."""
    n = len(y)

    def loss(logs):
        covariance = F @ F.T / np.exp(logs[0]) + np.eye(n) / np.exp(logs[1])
        _, log_det = np.linalg.slogdet(covariance)
        return 0.5 * (log_det + y @ np.linalg.solve(covariance, y) + n * np.log(2 * np.pi)) / n

    fits = [
        minimize(loss, [a, 1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 4000})
        for a in (-3.0, 0.0, 4.0)
    ]
    return -min(fit.fun for fit in fits)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (25, 40)])
def test_logme_is_the_maximum_of_the_dense_evidence(n, d):
    F, y = task(n, d, seed=1)
    expected = np.mean([dense_evidence(F, (y == c).astype(float)) for c in range(3)])
    assert transferability.logme(F, y) == pytest.approx(expected, abs=1e-7)


def test_logme_of_quantities_is_the_maximum_of_the_dense_evidence():
    F, _ = task(30, 4)
    y = F @ [1.0, -0.5, 0.0, 0.2] + np.random.default_rng(2).normal(size=30)
    assert transferability.logme(F, y, task="regression") == pytest.approx(dense_evidence(F, y), abs=1e-7)


def test_logme_counts_every_direction_so_that_wide_noise_scores_as_narrow_noise():
    rng = np.random.default_rng(0)
    y = np.arange(300) % 5
    scores = [transferability.logme(rng.normal(size=(300, d)), y) for d in (16, 290, 600)]
    np.testing.assert_allclose(scores, -0.614, atol=0.006)


@pytest.mark.parametrize("d", [20, 80])
def test_h_score_is_the_trace_of_its_definition(d):
    F, y = task(200, d, k=4)
    means = np.array([F[y == c].mean(axis=0) for c in range(4)])
    expected = np.trace(np.linalg.pinv(np.cov(F.T)) @ np.cov(means[y].T))
    assert transferability.h_score(F, y) == pytest.approx(expected, rel=1e-8)
    covariance, a = ledoit_wolf(F)
    expected = np.trace(np.linalg.solve(covariance, (1 - a) * np.cov(means[y].T, bias=True)))
    assert transferability.h_score(F, y, shrinkage=True) == pytest.approx(expected, rel=1e-8)


def test_nce_and_leep_are_what_loops_over_the_labels_give():
    rng = np.random.default_rng(0)
    theta = rng.dirichlet(np.full(4, 0.3), 50)
    y, z = rng.integers(0, 3, 50), theta.argmax(axis=1)
    nce = leep = 0.0
    for i in range(50):
        nce += np.log(np.mean((y == y[i]) & (z == z[i])) / np.mean(z == z[i])) / 50
        total = 0.0
        for s in range(4):
            total += theta[i, s] * theta[y == y[i], s].sum() / theta[:, s].sum()
        leep += np.log(total) / 50
    assert transferability.nce(z, y) == pytest.approx(nce)
    assert transferability.leep(theta, y) == pytest.approx(leep)


def test_leep_has_the_logarithm():
    theta, y = [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]], [0, 0, 1, 1]
    by_hand = np.log([0.9 * 0.85 + 0.1 * 0.15, 0.8 * 0.85 + 0.2 * 0.15]).mean()
    assert transferability.leep(theta, y) == pytest.approx(by_hand)


def test_transrate_is_its_log_determinants_with_unit_rows_and_classes_by_their_share():
    F, y = task(50, 6)
    Z = F - F.mean(axis=0)
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)

    def rate(Z):
        return np.linalg.slogdet(np.eye(6) + Z.T @ Z / (len(Z) * 1e-4))[1] / 2

    expected = rate(Z) - sum(np.mean(y == c) * rate(Z[y == c]) for c in range(3))
    assert transferability.transrate(F, y) == pytest.approx(expected)


@pytest.mark.parametrize("covariance", ["diagonal", "spherical"])
def test_gbc_is_the_bhattacharyya_coefficient_of_each_two_classes(covariance):
    F, y = task(60, 2, apart=2.0)
    Z = PCA(2).fit_transform(F)
    gaussians = []
    for c in range(3):
        variances = Z[y == c].var(axis=0)
        if covariance == "spherical":
            variances = np.full(2, variances.mean())
        gaussians.append(multivariate_normal(Z[y == c].mean(axis=0), np.diag(variances)))
    axis = np.linspace(-40, 40, 801)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    densities = [gaussian.pdf(grid) for gaussian in gaussians]
    step = (axis[1] - axis[0]) ** 2
    overlap = sum(np.sqrt(densities[i] * densities[j]).sum() * step for i in range(3) for j in range(3) if i != j)
    assert transferability.gbc(F, y, covariance=covariance) == pytest.approx(-overlap, rel=1e-4)


def test_lfc_is_the_cosine_of_the_centred_kernels():
    F, y = task(30, 4)
    H = np.eye(30) - 1 / 30

    def cosine(L):
        A, B = H @ F @ F.T @ H, H @ L @ H
        return np.sum(A * B) / np.linalg.norm(A) / np.linalg.norm(B)

    assert transferability.lfc(F, y) == pytest.approx(cosine(np.where(y[:, None] == y, 1.0, -1.0)))
    t = F[:, 0] ** 2
    assert transferability.lfc(F, t, task="regression") == pytest.approx(cosine(np.outer(t, t)))


def test_parc_is_spearmans_correlation_over_all_pairs():
    F, y = task(40, 50, apart=6.0)
    U, s, _ = np.linalg.svd(F - F.mean(axis=0), full_matrices=False)
    Z = U[:, :32] * s[:32]
    Z = Z * np.sign(Z[np.abs(Z).argmax(axis=0), np.arange(32)]) / Z.std(axis=0)
    pairs = np.tril_indices(40, -1)
    # Rounded, since rounding errors would break the ties of the labels' distances.
    of_labels = (1 - np.corrcoef(np.eye(3)[y])).round(9)
    expected = 100 * spearmanr((1 - np.corrcoef(Z))[pairs], of_labels[pairs])[0]
    assert transferability.parc(F, y) == pytest.approx(expected)


def plain_fda(X, y, shrinkage):
    """Fisher's discriminant with all its generalised eigenvectors, as the papers describe it."""
    k = y.max() + 1
    shares = np.bincount(y) / len(y)
    means = np.array([X[y == c].mean(axis=0) for c in range(k)])
    within = sum(shares[c] * np.cov(X[y == c].T, bias=True) for c in range(k))
    between = np.cov(X.T, bias=True) - within
    if shrinkage is None:
        shrinkage = max(np.exp(-5 * np.linalg.eigvalsh(within)[-1]), 1e-10)
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / X.shape[1] * np.eye(X.shape[1])
    U = eigh(between, within)[1][:, ::-1][:, : k - 1]
    coefficients = means @ U @ U.T
    scores = X @ coefficients.T - 0.5 * np.diag(means @ coefficients.T) + np.log(shares)
    return softmax(scores, axis=1), shrinkage


@pytest.mark.parametrize("scale", [0.05, 1.0])
def test_sfda_is_two_plain_discriminants_with_a_mixture_between_them(scale):
    F, y = task(60, 5)
    F = scale * F
    p, shrinkage = plain_fda(F, y, None)
    p = softmax(p, axis=1)[np.arange(60), y][:, None]
    means = np.array([F[y == c].mean(axis=0) for c in range(3)])
    others = np.array([(means.sum(axis=0) - means[c]) / 2 for c in y])
    again, _ = plain_fda(p * F + (1 - p) * others, y, shrinkage)
    assert transferability.sfda(F, y) == pytest.approx(again[np.arange(60), y].mean(), rel=1e-6)


def test_etran_is_the_energy_and_a_plain_discriminant():
    F, y = task(60, 5)
    parts = transferability.etran(F, y)
    assert parts.energy == pytest.approx(np.log(np.exp(F).sum(axis=1)).mean())
    p, _ = plain_fda(F, y, 1e-5 / (1 + 1e-5))
    assert parts.lda == pytest.approx(p[np.arange(60), y].mean(), rel=1e-6)


def test_a_candidates_etran_depends_on_the_other_candidates():
    a, b = EtranParts(1.0, 0.6), EtranParts(2.0, 0.59)
    assert transferability.etran_among([a, b]).argmax() == 0
    assert transferability.etran_among([a, b, EtranParts(1.5, 0.0)]).argmax() == 1
    with pytest.raises(InputError, match="two or more"):
        transferability.etran_among([a])


@pytest.mark.parametrize("d", [5, 50])
def test_leave_one_out_ridge_is_ridge_fitted_n_times(d):
    F, y = task(30, d)
    Y = np.eye(3)[y]
    features = Features(F)
    for share in (1e-3, 1.0):
        penalty = share * features.singular_values[0] ** 2
        expected = [
            Ridge(alpha=penalty).fit(np.delete(F, i, 0), np.delete(Y, i, 0)).predict(F[i : i + 1])[0] for i in range(30)
        ]
        np.testing.assert_allclose(ridge_loo(features, Y, np.array([share])), expected, atol=1e-9)


def test_ridge_takes_the_penalty_with_the_least_leave_one_out_error():
    F, _ = task(40, 8)
    y = F[:, 0] + 3 * np.random.default_rng(0).normal(size=40)
    features = Features(F)
    errors = [np.sum((y - ridge_loo(features, y[:, None], np.array([p]))[:, 0]) ** 2) for p in PENALTIES]
    others_mean = (y.sum() - y) / 39
    expected = 1 - min(errors) / np.sum((y - others_mean) ** 2)
    assert transferability.ridge(F, y, task="regression") == pytest.approx(expected)


@pytest.mark.parametrize("d", [4, 40])
def test_leave_one_out_lda_is_lda_fitted_n_times(d):
    F, y = task(30, d)
    a = 0.3
    within = sum(np.cov(F[y == c].T, bias=True) * np.mean(y == c) for c in range(3))
    ridge = a * np.trace(within) / d * np.eye(d)
    expected = np.empty((30, 3))
    for i in range(30):
        X, labels = np.delete(F, i, 0), np.delete(y, i)
        means = np.array([X[labels == c].mean(axis=0) for c in range(3)])
        covariance = (1 - a) * (X - means[labels]).T @ (X - means[labels]) / 30 + ridge
        expected[i] = [-0.5 * (F[i] - m) @ np.linalg.solve(covariance, F[i] - m) for m in means]
    np.testing.assert_allclose(lda_loo(Features(F), as_classes(y, 30), a), expected, rtol=1e-8)


def test_the_skill_is_the_share_of_entropy_that_the_best_temperature_explains():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 80)
    scores = np.eye(3)[y] + rng.normal(size=(80, 3))
    shares = np.bincount(y) / 80
    losses = [log_loss(y, softmax(np.log(shares) + t * scores, axis=1)) for t in np.linspace(0.5, 1.5, 201)]
    expected = 1 - min(losses) / log_loss(y, np.tile(shares, (80, 1)))
    assert skill(scores, as_classes(y, 80)) == pytest.approx(expected, abs=1e-5)
    assert skill(-scores, as_classes(y, 80)) == 0.0


@pytest.mark.parametrize("k", [1, 3])
def test_knn_is_scikit_learns_classifier_fitted_n_times(k):
    F, y = task(50, 3, k=2, apart=3.0)
    right = [
        KNeighborsClassifier(k, metric="cosine").fit(np.delete(F, i, 0), np.delete(y, i)).predict(F[i : i + 1]) == y[i]
        for i in range(50)
    ]
    assert transferability.knn(F, y, k=k) == pytest.approx(np.mean(right))


def test_knn_of_quantities_is_the_mean_of_the_nearest():
    F, _ = task(40, 3)
    y = F[:, 0]
    unit = F / np.linalg.norm(F, axis=1, keepdims=True)
    cosines = unit @ unit.T - 3 * np.eye(40)
    predicted = [y[np.argsort(row)[-5:]].mean() for row in cosines]
    expected = 1 - np.sum((y - predicted) ** 2) / np.sum((y - (y.sum() - y) / 39) ** 2)
    assert transferability.knn(F, y, task="regression") == pytest.approx(expected)
    assert r2_score(y, predicted) <= expected


def test_nleep_is_leep_of_a_mixtures_responsibilities():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    corners = 30 * np.eye(3, 6)[y]
    assert transferability.nleep(corners + rng.normal(size=(120, 6)), y) == pytest.approx(0.0, abs=1e-6)
    shuffled = rng.permutation(y)
    noise = transferability.nleep(corners + rng.normal(size=(120, 6)), shuffled)
    assert -np.log(3) < noise < -0.4


def test_task2vec_is_the_fisher_information_of_gains_on_the_features():
    F, y = task(40, 4)
    C = F - F.mean(axis=0)
    Y = np.eye(3)[y]
    largest = np.linalg.eigvalsh(C.T @ C)[-1]
    W = np.linalg.solve(C.T @ C + 1e-3 * largest * np.eye(4), C.T @ Y)
    expected = np.zeros(4)
    for row in C:
        logits = row @ W + np.log(Y.mean(axis=0))
        p = np.exp(logits - logsumexp(logits))
        for c in range(3):
            expected += p[c] * (row * (W @ (np.eye(3)[c] - p))) ** 2 / 40
    np.testing.assert_allclose(transferability.task2vec(F, y), expected, rtol=1e-9)


def test_tasks_that_need_the_same_features_are_nearer():
    F = np.random.default_rng(0).normal(size=(500, 6))
    first, same, other = (
        transferability.task2vec(F, labels) for labels in (F[:, 0] + F[:, 1] > 0, F[:, 0] - F[:, 1] > 0, F[:, 4] > 0)
    )
    assert transferability.task_distance(first, same) < transferability.task_distance(first, other)
    assert transferability.task_distance(first, first) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("n", "d"), [(400, SMALL_SIDE + 20), (SMALL_SIDE + 20, 400), (60, 5), (5, 60)])
def test_the_shared_factorisation_rebuilds_the_centred_features(n, d):
    F, _ = task(n, d, k=2)
    features = Features(F)
    U, s = features.factors
    np.testing.assert_allclose(U.T @ U, np.eye(len(s)), atol=1e-6)
    np.testing.assert_allclose(
        features.coordinates @ features.coordinates.T, features.centred @ features.centred.T, atol=1e-9 * s[0] ** 2
    )
    assert len(s) == min(n - 1, d)


def test_all_scores_share_one_factorisation_and_agree_with_each_alone(monkeypatch):
    F, y = task(80, 6)
    theta = np.random.default_rng(0).dirichlet(np.ones(4), 80)
    built = []
    monkeypatch.setattr(transferability.features, "svd", lambda *a, **settings: built.append(1) or svd(*a, **settings))
    together = transferability.score_all(F, y, source_probabilities=theta)
    assert len(built) == 1
    assert together.keys() == SCORES.keys()
    for name, value in together.items():
        first = {"leep": theta, "nce": theta.argmax(axis=1)}.get(name, F)
        assert SCORES[name].function(first, y) == pytest.approx(value, rel=1e-12)


def test_without_source_probabilities_or_for_quantities_the_scores_that_remain_are_given():
    F, y = task(40, 4)
    assert SCORES.keys() - transferability.score_all(F, y).keys() == {"nce", "leep"}
    scores = transferability.score_all(F, F[:, 0], task="regression")
    assert set(scores) == {"ridge", "knn", "logme", "lfc"}
    with pytest.raises(NeedsError, match="not defined for regression"):
        transferability.score_all(F, F[:, 0], task="regression", names=["lda"])
    with pytest.raises(NeedsError, match="source_probabilities"):
        transferability.score_all(F, y, names=["leep"])
    with pytest.raises(InputError, match="did you mean 'logme'"):
        transferability.score_all(F, y, names=["logm"])


def test_the_log_of_a_sum_of_exponentials_is_scipys_also_where_exponentials_overflow():
    A = np.random.default_rng(0).normal(size=(7, 5)) * np.array([1e-3, 1, 30, 800, 1e4, 0, 5])[:, None]
    np.testing.assert_allclose(log_sum_exp(A), logsumexp(A, axis=1, keepdims=True), rtol=1e-14)
