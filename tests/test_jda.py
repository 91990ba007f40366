"""JDA and BDA against the published loop with every matrix written out, and in their limit cases."""

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from headstart.errors import InputError, NeedsError
from headstart.features import components as module
from headstart.features.balance import a_distance, balance_of, class_distance
from headstart.features.bda import BDA
from headstart.features.jda import JDA
from headstart.features.tca import TCA
from headstart.kernels import rbf


def domains(n_s=70, n_t=60, d=4, seed=0, k=3):
    """Classes whose target rows have moved, each its own way."""
    rng = np.random.default_rng(seed)
    ys, yt = np.arange(n_s) % k, np.arange(n_t) % k
    centres, moved = 3 * rng.normal(size=(k, d)), rng.normal(size=(k, d))
    return centres[ys] + rng.normal(size=(n_s, d)), (centres + moved)[yt] + rng.normal(size=(n_t, d)), ys, yt


def represent(method, Xs, Xt, ys=None, yt=None):
    method.fit(Xs, Xt, ys, yt)
    return np.vstack([method.transform_source(Xs), method.transform(Xt)])


def of_classes(ys, target, k, priors=False):
    """The matrices M_c of the classes as published, entry by entry; W-BDA's where priors are wanted."""
    n_s, n = len(ys), len(ys) + len(target)
    total = np.zeros((n, n))
    for c in range(k):
        in_s, in_t = np.flatnonzero(ys == c), n_s + np.flatnonzero(target == c)
        if not (len(in_s) and len(in_t)):
            continue
        p_s, p_t = (len(in_s) / n_s, len(in_t) / len(target)) if priors else (1.0, 1.0)
        total[np.ix_(in_s, in_s)] += p_s / len(in_s) ** 2
        total[np.ix_(in_t, in_t)] += p_t / len(in_t) ** 2
        total[np.ix_(in_s, in_t)] -= np.sqrt(p_s * p_t) / (len(in_s) * len(in_t))
        total[np.ix_(in_t, in_s)] -= np.sqrt(p_s * p_t) / (len(in_s) * len(in_t))
    return total


def as_published(Xs, Xt, ys, kernel, reg, k_components, rounds, mu=0.5, priors=False, gamma=0.05):
    """The representation and the guessed classes after so many rounds, by a dense solver of the dual problem."""
    X, n_s, k = np.vstack([Xs, Xt]), len(Xs), len(np.unique(ys))
    n = len(X)
    e = np.concatenate([np.full(n_s, 1 / n_s), np.full(n - n_s, -1 / (n - n_s))])
    K = {"linear": X @ X.T, "rbf": rbf(X, X, gamma), "primal": X}[kernel]
    target = None
    for _ in range(rounds):
        M = k * np.outer(e, e)
        if target is not None:
            M = (1 - mu) * M + mu * of_classes(ys, target, k, priors)
        M /= np.linalg.norm(M)
        right = K.T @ M @ K + reg * np.eye(K.shape[1])
        values, A = eigh(K.T @ (np.eye(n) - 1 / n) @ K, right)
        Z = K @ A[:, ::-1][:, :k_components]
        target = KNeighborsClassifier(1).fit(Z[:n_s], ys).predict(Z[n_s:])
    return Z, target, values[::-1][:k_components]


def same_up_to_signs_and_size(Z, other, tolerance=1e-6):
    other = other * np.sign((Z * other).sum(axis=0))
    np.testing.assert_allclose(Z / np.linalg.norm(Z), other / np.linalg.norm(other), atol=tolerance)


@pytest.mark.parametrize("rounds", [1, 2, 3])
@pytest.mark.parametrize("kernel", ["linear", "primal", "rbf"])
def test_jda_is_the_published_loop(kernel, rounds):
    Xs, Xt, ys, _ = domains()
    method = JDA(n_components=3, kernel=kernel, gamma=0.05, reg=0.5, max_iter=rounds)
    Z = represent(method, Xs, Xt, ys)
    best, target, theta = as_published(Xs, Xt, ys, kernel, 0.5, 3, method.n_iter_)
    np.testing.assert_array_equal(method.pseudo_labels_, target)
    np.testing.assert_allclose(method.values_, theta, rtol=1e-7)
    same_up_to_signs_and_size(Z, best)
    assert method.residual_ <= 1e-6


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_one_round_without_target_labels_is_tca(kernel):
    Xs, Xt, ys, _ = domains()
    # JDA scales its discrepancy to Frobenius norm 1, which is 1/n_s + 1/n_t in TCA.
    size = 1 / len(Xs) + 1 / len(Xt)
    jda = represent(JDA(n_components=3, kernel=kernel, reg=2.0, max_iter=1), Xs, Xt, ys)
    tca = represent(TCA(n_components=3, kernel=kernel, reg=2.0 * size), Xs, Xt)
    np.testing.assert_allclose(jda, tca, atol=1e-6)


def class_gaps(Z, ys, yt):
    Zs, Zt = Z[: len(ys)], Z[len(ys) :]
    return np.mean([np.linalg.norm(Zs[ys == c].mean(axis=0) - Zt[yt == c].mean(axis=0)) for c in np.unique(ys)])


def test_class_means_meet_where_tca_leaves_them_apart():
    rng = np.random.default_rng(0)
    ys = np.arange(200) % 2
    Xs, Xt = rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
    Xs[:, 0] += 8 * ys
    Xt[:, 0] += 8 * ys
    Xt[:, 1] += np.where(ys == 1, 3.0, -3.0)  # the mean of all rows stays
    by_tca = represent(TCA(n_components=2, kernel="primal"), Xs, Xt)
    by_jda = represent(JDA(n_components=2), Xs, Xt, ys)
    assert class_gaps(by_jda, ys, ys) < 0.1 * class_gaps(by_tca, ys, ys)


def test_known_target_labels_are_kept_and_change_what_is_found():
    Xs, Xt, ys, yt = domains()
    some = np.where(np.arange(60) < 9, (yt + 1) % 3, np.nan)  # told otherwise than it would be guessed
    method = JDA(n_components=2)
    Z = represent(method, Xs, Xt, ys, some)
    np.testing.assert_array_equal(method.pseudo_labels_[:9], some[:9])
    assert np.abs(Z - represent(JDA(n_components=2), Xs, Xt, ys)).max() > 0.1


def test_with_all_target_labels_known_one_round_brings_the_classes_together():
    Xs, Xt, ys, yt = domains()
    method = JDA(n_components=1, reg=1e-3)
    known = represent(method, Xs, Xt, ys, yt.astype(float))
    assert method.n_iter_ == 1
    # Four differences of means leave nothing that is exactly equal in four dimensions; with fewer classes they do.
    two = ys < 2, yt < 2
    Z = represent(method, Xs[two[0]], Xt[two[1]], ys[two[0]], yt[two[1]].astype(float))
    assert class_gaps(Z, ys[two[0]], yt[two[1]]) < 1e-3
    assert class_gaps(known, ys, yt) < class_gaps(represent(TCA(1, "primal"), Xs, Xt), ys, yt)


def test_rounds_end_when_no_guess_changes():
    Xs, Xt, ys, _ = domains()
    long = JDA(n_components=2, max_iter=50)
    Z = represent(long, Xs, Xt, ys)
    assert 1 < long.n_iter_ < 50
    np.testing.assert_array_equal(Z, represent(JDA(n_components=2, max_iter=long.n_iter_ + 5), Xs, Xt, ys))


def test_a_start_from_the_round_before_changes_no_answer(monkeypatch):
    Xs, Xt, ys, _ = domains(n_s=150, n_t=150)
    whole = represent(JDA(n_components=3, kernel="rbf"), Xs, Xt, ys)
    monkeypatch.setattr(module, "MOST_WHOLE", 10)
    method = JDA(n_components=3, kernel="rbf")
    np.testing.assert_allclose(represent(method, Xs, Xt, ys), whole, atol=1e-4)
    assert method.residual_ <= 1e-6


def test_the_default_penalty_is_a_thousandth_of_the_spread_whatever_the_unit():
    Xs, Xt, ys, _ = domains()
    X = np.vstack([Xs, Xt])
    for kernel, P in (("primal", X), ("linear", X @ X.T), ("rbf", rbf(X, X, 0.1))):
        method = JDA(n_components=2, kernel=kernel, gamma=0.1).fit(Xs, Xt, ys)
        assert method.reg_ == pytest.approx(1e-3 * ((P - P.mean(axis=0)) ** 2).sum())
    for kernel in ("primal", "linear"):
        Z = represent(JDA(n_components=2, kernel=kernel), Xs, Xt, ys)
        np.testing.assert_allclose(represent(JDA(n_components=2, kernel=kernel), 50 * Xs, 50 * Xt, ys), Z, atol=1e-6)


def test_many_rows_do_not_make_little_differences_count_for_all():
    # Target classes lie ten per cent further out: so their means differ along what tells the classes apart.
    rng = np.random.default_rng(0)
    centres, ys, yt = 0.7 * rng.normal(size=(4, 50)), np.arange(8000) % 4, np.arange(8000) % 4
    Xs = centres[ys] + rng.normal(size=(8000, 50))
    Xt = 1.1 * centres[yt] + 0.5 + rng.normal(size=(8000, 50))
    assert (JDA().fit(Xs, Xt, ys).pseudo_labels_ == yt).mean() > 0.98


def test_the_labeler_guesses():
    class Second(KNeighborsClassifier):
        def predict(self, X):
            return np.full(len(X), self.classes_[1])

    Xs, Xt, ys, _ = domains()
    method = JDA(n_components=2, labeler=Second()).fit(Xs, Xt, np.array(["a", "b", "c"])[ys])
    assert set(method.pseudo_labels_) == {"b"}


def test_what_cannot_be_learned_from_is_refused():
    Xs, Xt, ys, _ = domains()
    with pytest.raises(NeedsError, match="source labels"):
        JDA().fit(Xs, Xt)
    with pytest.raises(InputError, match="max_iter"):
        JDA(max_iter=0).fit(Xs, Xt, ys)
    for balance in (1.5, -0.1, "guessed"):
        with pytest.raises(InputError, match="balance"):
            BDA(balance=balance).fit(Xs, Xt, ys)


@pytest.mark.parametrize("mu", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("priors", [False, True])
def test_bda_is_the_published_loop(mu, priors):
    Xs, Xt, ys, _ = domains(n_s=75)
    ys = np.where(np.arange(75) < 10, 0, ys)  # classes of unequal size
    method = BDA(n_components=2, reg=0.1, balance=mu, weighted=priors, max_iter=3)
    Z = represent(method, Xs, Xt, ys)
    best, target, theta = as_published(Xs, Xt, ys, "primal", 0.1, 2, method.n_iter_, mu, priors)
    np.testing.assert_array_equal(method.pseudo_labels_, target)
    np.testing.assert_allclose(method.values_, theta, rtol=1e-7)
    same_up_to_signs_and_size(Z, best)


def test_a_balance_of_one_half_is_jda_and_of_zero_is_its_first_round():
    Xs, Xt, ys, yt = domains()
    some = np.where(np.arange(60) < 6, yt, np.nan)
    half = represent(BDA(n_components=2, balance=0.5), Xs, Xt, ys, some)
    np.testing.assert_allclose(half, represent(JDA(n_components=2), Xs, Xt, ys, some), atol=1e-10)
    none = represent(BDA(n_components=2, balance=0.0), Xs, Xt, ys, some)
    np.testing.assert_allclose(none, represent(JDA(n_components=2, max_iter=1), Xs, Xt, ys), atol=1e-10)


def test_a_balance_of_one_is_blind_to_the_means_of_all_rows():
    Xs, Xt, ys, yt = domains(k=2)
    # Twice the rows of one class move the mean of all rows, and of no class: to have both vanish, a component must not
    # tell the classes apart.
    more = np.concatenate([np.arange(60), np.flatnonzero(yt == 1)])
    parting = {}
    for balance in (0.5, 1.0):
        method = BDA(n_components=1, balance=balance, reg=1e-6).fit(Xs, Xt[more], ys, yt[more].astype(float))
        assert class_gaps(np.vstack([method.transform_source(Xs), method.transform(Xt)]), ys, yt) < 1e-3
        Z = method.transform(Xt)[:, 0]
        parting[balance] = abs(Z[yt == 0].mean() - Z[yt == 1].mean())
    assert parting[1.0] > 1.0
    assert parting[0.5] < 0.01


def test_the_a_distance_is_two_apart_and_none_together():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    assert a_distance(X[:200], X[200:] + 10, 0) == 2.0
    assert a_distance(X[:200], X[200:], 0) < 0.25
    # Bayes error of N(0, 1) and N(2, 1) is P(N > 1) = 0.159.
    assert a_distance(X[:, :1], rng.normal(2, 1, size=(400, 1)), 0) == pytest.approx(2 - 4 * 0.1587, abs=0.15)
    # Five times the rows in one domain is no way to tell the domains apart.
    assert a_distance(X[:40], X[200:], 0) < 0.4
    assert a_distance(X[:1], X[200:], 0) == 0.0


def test_the_estimated_balance_says_where_the_domains_differ():
    rng = np.random.default_rng(0)
    y = np.arange(600) % 2
    X = rng.normal(size=(600, 3))
    swapped, shifted = X.copy(), X + 3.0
    swapped[:, 0] += np.where(y == 1, 3.0, -3.0)
    source = X.copy()
    source[:, 0] -= np.where(y == 1, 3.0, -3.0)

    def estimate(Xs, Xt):
        return balance_of(a_distance(Xs, Xt, 0), class_distance(Xs, Xt, y, y, 2, 0))

    assert estimate(source, swapped) > 0.9  # classes have changed places: all rows look the same
    assert estimate(X, shifted) == pytest.approx(0.5, abs=0.05)  # every class has moved as all rows have
    method = BDA(n_components=2).fit(source, swapped, y, y.astype(float))
    assert method.balance_ == pytest.approx(estimate(source, swapped))


def test_bda_does_not_hang_on_the_order_of_the_rows():
    Xs, Xt, ys, _ = domains(n_s=120, n_t=100)
    order = np.random.default_rng(0).permutation(120)
    method, shuffled = BDA(n_components=2).fit(Xs, Xt, ys), BDA(n_components=2).fit(Xs[order], Xt[::-1], ys[order])
    assert method.balance_ == shuffled.balance_
    np.testing.assert_allclose(method.transform(Xt), shuffled.transform(Xt), atol=1e-6)


def test_maps_serve_any_learner_for_new_rows():
    Xs, Xt, ys, yt = domains(n_s=300, n_t=300)
    method = JDA(n_components=3).fit(Xs, Xt[:200], ys)
    model = LogisticRegression().fit(method.transform_source(Xs), ys)
    assert model.score(method.transform(Xt[200:]), yt[200:]) > 0.85
