"""Label shift: known class shares, optimality of the solutions, and the test of the assumption."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from headstart import Transfer
from headstart.checks import check_method
from headstart.errors import InputError, NeedsError
from headstart.instances.bbse import BBSE, explained_shares
from headstart.instances.label_shift import ALARM, Predictions, assumption_test, cross_fitted
from headstart.instances.label_shift_em import LabelShiftEM, calibrate, most_likely_shares
from headstart.instances.mmd_target_shift import MMDTargetShift
from headstart.instances.rlls import RLLS, least_norms

METHODS = [BBSE, RLLS, LabelShiftEM, MMDTargetShift]
TWO = ([0.7, 0.3], [0.2, 0.8])
THREE = ([0.4, 0.3, 0.3], [0.1, 0.2, 0.7])


def rows(n, shares, seed, d=4, apart=2.0):
    """Return rows of Gaussian classes around corners, and their classes."""
    rng = np.random.default_rng(seed)
    y = rng.choice(len(shares), n, p=shares)
    return rng.normal(size=(n, d)) + apart * np.eye(len(shares), d)[y], y


def pair(n, shares, seed=0, **how):
    Xs, ys = rows(n, shares[0], 2 * seed, **how)
    Xt, yt = rows(n, shares[1], 2 * seed + 1, **how)
    return Xs, ys, Xt, yt


def quiet(method, *data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return method.weigh(*data)


@pytest.mark.parametrize("shares", [TWO, THREE], ids=["two classes", "three classes"])
@pytest.mark.parametrize("kind", METHODS)
def test_estimated_class_shares_approach_the_true_ones_with_more_rows(kind, shares):
    def error(n, seed):
        Xs, ys, Xt, _ = pair(n, shares, seed)
        method = kind(check=False)
        method.weigh(Xs, Xt, ys)
        return np.abs(method.target_priors_ - shares[1]).max()

    few, many = np.mean([error(300, s) for s in range(6)]), error(10_000, 7)
    assert many < few
    assert many < 0.02


@pytest.mark.parametrize("kind", METHODS)
def test_weights_are_class_shares_in_the_target_over_those_in_the_source(kind):
    Xs, ys, Xt, _ = pair(400, THREE)
    method = kind()
    w = method.weigh(Xs, Xt, ys)
    np.testing.assert_allclose(w, method.class_weights_[ys])
    np.testing.assert_allclose(method.source_priors_, np.bincount(ys) / 400)
    assert method.target_priors_.sum() == pytest.approx(1.0)
    ratio = method.target_priors_ / method.source_priors_
    np.testing.assert_allclose(method.class_weights_ / ratio, (method.class_weights_ / ratio)[0])
    if kind is not MMDTargetShift:  # whose mean weight may differ from 1 by eps
        assert w.mean() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", METHODS)
def test_class_weights_are_near_one_without_a_shift(kind):
    for shares in (THREE[0], [0.8, 0.2]):
        Xs, ys, Xt, _ = pair(3000, (shares, shares))
        method = kind()
        method.weigh(Xs, Xt, ys)
        np.testing.assert_allclose(method.class_weights_, 1.0, atol=0.12)


@pytest.mark.parametrize("kind", METHODS)
def test_a_class_absent_from_the_target_has_hardly_any_weight(kind):
    Xs, ys, Xt, _ = pair(2000, (THREE[0], [0.5, 0.5, 0.0]), apart=3.0)
    method = kind()
    method.weigh(Xs, Xt, ys)
    assert method.class_weights_[2] < 0.03


@pytest.mark.parametrize("kind", METHODS)
def test_weighting_improves_a_model_under_label_shift(kind):
    Xs, ys, Xt, _ = pair(600, THREE, apart=1.5)
    new, truth = rows(4000, THREE[1], 99, apart=1.5)
    plain = LogisticRegression().fit(Xs, ys)
    X, y = np.vstack([Xs, Xt]), np.concatenate([ys.astype(float), np.full(len(Xt), np.nan)])
    model = Transfer(kind(), LogisticRegression()).fit(X, y, domain=np.repeat(["source", "target"], 600))
    assert log_loss(truth, model.predict_proba(new)) < log_loss(truth, plain.predict_proba(new)) - 0.1
    assert model.score(new, truth) > plain.score(new, truth) + 0.05


def test_corrected_probabilities_have_a_lower_log_loss_in_the_target():
    Xs, ys, Xt, _ = pair(600, THREE, apart=1.5)
    new, truth = rows(4000, THREE[1], 99, apart=1.5)
    method = LabelShiftEM()
    method.weigh(Xs, Xt, ys)
    before = LogisticRegression().fit(Xs, ys).predict_proba(new)
    after = method.correct(before)
    np.testing.assert_allclose(after.sum(axis=1), 1.0)
    assert log_loss(truth, after) < log_loss(truth, before) - 0.1
    assert (after.argmax(axis=1) == truth).mean() > (before.argmax(axis=1) == truth).mean() + 0.05


def test_correction_is_bayes_rule():
    Xs, ys, Xt, _ = pair(500, TWO)
    method = LabelShiftEM()
    method.weigh(Xs, Xt, ys)
    p, q = method.source_priors_, method.target_priors_
    by_hand = np.array([0.3 * q[0] / p[0], 0.7 * q[1] / p[1]])
    np.testing.assert_allclose(method.correct([[0.3, 0.7]])[0], by_hand / by_hand.sum())


def test_correction_refuses_what_it_cannot_correct():
    with pytest.raises(NeedsError, match="call weigh"):
        LabelShiftEM().correct([[0.5, 0.5]])
    Xs, ys, Xt, _ = pair(100, TWO)
    method = LabelShiftEM()
    method.weigh(Xs, Xt, ys)
    with pytest.raises(InputError, match="2 classes"):
        method.correct([[0.2, 0.3, 0.5]])


def test_bbse_solves_a_worked_example():
    # p(f = i | y = j) = [[0.8, 0.4], [0.2, 0.6]] and a half of the target predicted as 0: q_0 = 0.25.
    code = np.repeat([0, 1], 1000)
    said = np.concatenate([np.repeat([0, 1], [800, 200]), np.repeat([0, 1], [400, 600])])
    q, identified = explained_shares(Predictions(code, np.eye(2)[said], np.full((1, 10, 2), 0.5)))
    assert identified
    np.testing.assert_allclose(q, [0.25, 0.75])


@pytest.mark.parametrize("soft", [True, False])
def test_bbse_satisfies_its_equation(soft):
    Xs, ys, Xt, _ = pair(800, THREE)
    method = BBSE(soft=soft)
    method.weigh(Xs, Xt, ys)
    seen = cross_fitted(None, Xs, ys, Xt, 5, 0, predicts_classes=not soft)
    np.testing.assert_allclose(seen.confusion @ method.class_weights_, seen.target_shares, atol=1e-12)


def test_confusion_matrix_counts_pairs_of_prediction_and_class():
    code = np.array([0, 0, 1, 1, 1])
    seen = Predictions(code, np.eye(2)[[0, 1, 1, 1, 0]], np.eye(2)[[[0, 1, 1]]])
    np.testing.assert_allclose(seen.confusion, [[0.2, 0.2], [0.2, 0.4]])
    np.testing.assert_allclose(seen.target_shares, [1 / 3, 2 / 3])


def test_source_rows_are_predicted_by_classifiers_that_have_not_seen_them():
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(200, 60)), rng.integers(0, 2, 200)
    seen = cross_fitted(None, X, noise, X, 5, 0, predicts_classes=True)
    # 60 columns let a classifier learn random classes by heart, but not foretell them.
    assert LogisticRegression().fit(X, noise).score(X, noise) > 0.7
    assert np.trace(seen.confusion) < 0.6


@pytest.mark.parametrize("kind", [BBSE, RLLS])
def test_a_classifier_that_knows_nothing_leaves_the_weights_near_one(kind):
    rng = np.random.default_rng(0)
    Xs, ys, Xt = rng.normal(size=(300, 2)), rng.integers(0, 2, 300), rng.normal(size=(300, 2))
    method = kind()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        method.weigh(Xs, Xt, ys)
    if kind is BBSE:
        assert not method.identified_
        assert any("does not tell all classes apart" in str(item.message) for item in caught)
    assert np.abs(method.class_weights_ - 1).max() < 1.0


def test_bbse_says_nothing_when_the_classes_are_told_apart():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BBSE().weigh(*_only(pair(500, TWO)))


def problems(n, most=10):
    """Return confusion matrices and right sides, from easy to singular."""
    for seed in range(n):
        rng = np.random.default_rng(seed)
        k, known = int(rng.integers(2, most)), rng.random()
        p = rng.dirichlet(np.full(k, 2.0))
        A = known * np.eye(k) + (1 - known) * rng.dirichlet(np.ones(k), size=k).T
        C = np.outer(A[:, 0], p) if seed % 6 == 0 else A * p
        mu = A @ rng.dirichlet(np.ones(k)) + (seed % 2) * 0.02 * rng.normal(size=k)
        yield C, mu - C.sum(axis=1), 10 ** rng.uniform(-4, 0.3)


def test_rlls_objective_equals_a_general_solvers():
    for C, b, reg in problems(40):
        theta, objective, gap = least_norms(C, b, reg)

        def value(t, C=C, b=b, reg=reg):
            return np.linalg.norm(C @ t - b) + reg * np.linalg.norm(t)

        assert objective == pytest.approx(value(theta), rel=1e-9)
        assert theta.min() >= -1
        starts = (np.full(len(b), 0.1), np.full(len(b), -0.5), np.linspace(-0.9, 2.0, len(b)))
        best = min(minimize(value, start, bounds=[(-1, None)] * len(b), method="SLSQP").fun for start in starts)
        assert objective <= best * (1 + 1e-6)
        assert 0 <= gap <= 1e-8 * objective


def test_rlls_gap_bounds_the_distance_to_the_optimum():
    # A point of the dual problem proves it: |u| <= 1, |v| <= reg, C'u + v >= 0 give a lower bound.
    for C, b, reg in problems(20):
        theta, objective, _ = least_norms(C, b, reg)
        if np.linalg.norm(C @ theta - b) < 1e-8 or not theta.any():
            continue
        u, v = (C @ theta - b) / np.linalg.norm(C @ theta - b), reg * theta / np.linalg.norm(theta)
        slack = C.T @ u + v
        assert slack.min() > -1e-5
        assert -u @ b - slack.sum() == pytest.approx(objective, rel=1e-4)


def test_rlls_leaves_all_weights_at_one_when_the_penalty_is_large():
    Xs, ys, Xt, _ = pair(300, TWO)
    method = RLLS(reg=10.0)
    np.testing.assert_allclose(method.weigh(Xs, Xt, ys), 1.0)
    assert not method.theta_.any()


def test_rlls_with_gamma_zero_trusts_the_source():
    Xs, ys, Xt, _ = pair(300, TWO)
    np.testing.assert_allclose(RLLS(gamma=0.0).weigh(Xs, Xt, ys), 1.0)


def test_rlls_penalty_is_the_papers_bound_times_a_hundredth():
    Xs, ys, Xt, _ = pair(300, TWO)
    method = RLLS()
    method.weigh(Xs, Xt, ys)
    log = np.log(4 / 0.05)
    assert method.reg_ == pytest.approx(0.03 * (2 * log / 900 + np.sqrt(2 * log / 300)))


def test_rlls_without_a_penalty_solves_the_equation_of_bbse():
    Xs, ys, Xt, _ = pair(800, THREE)
    rlls, bbse = RLLS(reg=0.0), BBSE()
    rlls.weigh(Xs, Xt, ys)
    bbse.weigh(Xs, Xt, ys)
    np.testing.assert_allclose(rlls.class_weights_, bbse.class_weights_, rtol=1e-5)


def likelihoods(n):
    for seed in range(n):
        rng = np.random.default_rng(seed)
        rows_, k = int(rng.integers(1, 400)), int(rng.integers(2, 12))
        R = rng.random((rows_, k)) ** rng.choice([1, 5, 40])
        if seed % 3 == 0:
            R = R * rng.random(k) ** 5
        if seed % 5 == 0:
            R[:, -1] = R[:, 0]
        yield R + 1e-12, rng.dirichlet(np.ones(k))


def test_shares_maximise_the_likelihood():
    for R, start in likelihoods(30):
        q, trace, gap = most_likely_shares(R, start, 1e-8, 200)
        assert q.min() >= 0
        assert q.sum() == pytest.approx(1.0)
        assert gap <= 1e-8
        # Optimality: the gradient is largest, and 1, wherever a share is not zero.
        gradient = (R / (R @ q)[:, None]).mean(axis=0)
        assert gradient.max() <= 1 + 1e-8
        np.testing.assert_allclose(gradient[q > 1e-4], 1.0, atol=1e-3)
        k = R.shape[1]
        other = minimize(
            lambda z, R=R: -np.log(R @ np.exp(z - z.max()) / np.exp(z - z.max()).sum()).mean(),
            np.zeros(k),
            method="BFGS",
        )
        assert trace[-1] >= -other.fun - 1e-8


def test_likelihood_never_falls():
    for R, start in likelihoods(60):
        trace = most_likely_shares(R, start, 1e-8, 200)[1]
        assert trace[0] == pytest.approx(np.log(R @ start).mean())
        assert (np.diff(trace) >= -1e-13).all()
    Xs, ys, Xt, _ = pair(300, THREE, apart=0.7)
    method = LabelShiftEM()
    method.weigh(Xs, Xt, ys)
    assert (np.diff(method.log_likelihood_) >= -1e-13).all()


def test_newton_steps_reach_what_em_reaches():
    R, start = next(likelihoods(1))
    q = start
    for _ in range(20_000):
        q = q * (R / (R @ q)[:, None]).mean(axis=0)
    np.testing.assert_allclose(most_likely_shares(R, start, 1e-10, 200)[0], q, atol=1e-3)


def test_em_warns_when_it_is_stopped_early():
    Xs, ys, Xt, _ = pair(300, THREE)
    with pytest.warns(UserWarning, match="raise max_iter"):
        LabelShiftEM(max_iter=1).weigh(Xs, Xt, ys)


@pytest.mark.parametrize("bias", [True, False])
def test_calibration_minimises_the_log_loss(bias):
    Xs, ys = rows(400, THREE[0], 0, apart=1.0)
    P = GaussianNB().fit(Xs[:30], ys[:30]).predict_proba(Xs)

    def loss(at):
        z = at[0] * np.log(np.maximum(P, 1e-12)) + (np.append(at[1:], 0.0) if bias else 0.0)
        return _log_loss(ys, z)

    found = calibrate(P, ys, bias=bias)
    best = minimize(loss, np.append(1.0, np.zeros(2 * bias)), method="BFGS")
    assert _log_loss(ys, np.log(found(P))) == pytest.approx(best.fun, abs=1e-5)
    assert found.slope == pytest.approx(best.x[0], rel=1e-2)
    if bias:  # then calibrated probabilities average to the class shares
        np.testing.assert_allclose(found(P).mean(axis=0), np.bincount(ys) / 400, atol=1e-6)


def _log_loss(y, z):
    return float((np.logaddexp.reduce(z, axis=1) - z[np.arange(len(y)), y]).mean())


def test_calibration_forgets_probabilities_that_point_the_wrong_way():
    Xs, ys = rows(300, TWO[1], 0)
    wrong = GaussianNB().fit(Xs, 1 - ys).predict_proba(Xs)
    np.testing.assert_allclose(calibrate(wrong, ys, bias=True)(wrong), np.tile(np.bincount(ys) / 300, (300, 1)))


def test_calibration_mends_an_overconfident_classifier():
    # Each column four times over: naive Bayes counts the same evidence four times.
    Xs, ys, Xt, _ = pair(4000, TWO, apart=1.0)
    found = {}
    for calibration in ("bcts", None):
        method = LabelShiftEM(classifier=GaussianNB(), calibration=calibration, check=False)
        method.weigh(np.repeat(Xs, 4, axis=1), np.repeat(Xt, 4, axis=1), ys)
        found[calibration] = abs(method.target_priors_[0] - TWO[1][0])
        slope = method.calibration_.slope
        assert slope == pytest.approx(0.25, abs=0.03) if calibration else slope == 1.0
    assert found["bcts"] < 0.03
    assert found["bcts"] < found[None]


def test_assumption_holds_under_pure_label_shift_and_is_rarely_rejected():
    pairs = [pair(150, shares, seed, apart=1.5) for seed in range(100) for shares in (TWO, THREE)]
    p = [assumption_test(*_only(data)).p_value for data in pairs]
    assert np.mean(np.array(p) < 0.05) <= 0.08
    assert np.mean(np.array(p) < ALARM) <= 0.025
    assert np.quantile(p, 0.5) > 0.3


def test_assumption_is_rarely_rejected_when_a_rare_class_has_become_frequent():
    # Nine rows of a class that hardly differs stand for nine tenths of the target: their mean is mostly noise.
    pairs = [pair(300, ([0.97, 0.03], [0.1, 0.9]), seed, apart=0.5) for seed in range(40)]
    p = [assumption_test(*_only(data)).p_value for data in pairs]
    assert np.mean(np.array(p) < 0.05) <= 0.1


def _only(data):
    return data[0], data[2], data[1]


@pytest.mark.parametrize("kind", ["covariate shift", "a class has moved", "scale"])
def test_assumption_is_rejected_when_other_things_change(kind):
    rejected = []
    for seed in range(20):
        Xs, ys, Xt, yt = pair(400, TWO, seed, apart=1.5)
        if kind == "covariate shift":
            pool, _ = rows(4000, TWO[0], 1000 + seed, apart=1.5)
            chance = 1 / (1 + np.exp(-1.5 * pool[:, 2:].sum(axis=1)))
            Xt = pool[np.random.default_rng(seed).random(4000) < chance][:400]
        elif kind == "scale":
            Xt = 1.3 * Xt
        else:
            Xt = Xt + (yt == 1)[:, None] * [0, 0, 0.8, 0]
        rejected.append(not assumption_test(Xs, Xt, ys).holds)
    assert np.mean(rejected) >= 0.9


@pytest.mark.parametrize("kind", METHODS)
def test_methods_warn_when_the_assumption_is_clearly_wrong(kind):
    Xs, ys, Xt, _ = pair(300, TWO)
    Xt[:, 2] += 2.0
    with pytest.warns(UserWarning, match="label shift is not all that differs"):
        kind().weigh(Xs, Xt, ys)
    method = kind(check=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*label shift")
        method.weigh(Xs, Xt, ys)
    assert method.assumption_ is None
    test = method.test_assumption(Xs, Xt, ys)
    assert not test.holds
    assert str(test) == "the target's rows do not look like the source's with other class shares (p = 0.001)"


def test_the_same_rows_in_both_domains_pass_the_test():
    Xs, ys = rows(100, TWO[0], 0)
    assert assumption_test(Xs, Xs, ys).p_value > 0.9
    assert assumption_test(np.ones((20, 2)), np.ones((10, 2)), np.arange(20) % 2).p_value == 1.0


@pytest.mark.parametrize("kind", METHODS)
def test_classes_may_have_names(kind):
    Xs, ys, Xt, _ = pair(200, TWO)
    named, numbered = kind(), kind()
    w = named.weigh(Xs, Xt, np.array(["ill", "well"])[ys])
    np.testing.assert_allclose(w, numbered.weigh(Xs, Xt, ys))
    assert named.classes_.tolist() == ["ill", "well"]
    np.testing.assert_allclose(named.weigh(Xs, Xt, np.array(["ill", "well"])[ys].astype(object)), w)


@pytest.mark.parametrize("few", [1, 2])
@pytest.mark.parametrize("kind", METHODS)
def test_a_class_with_a_row_or_two_is_no_obstacle(kind, few):
    Xs, ys, Xt, _ = pair(120, TWO)
    Xs, ys = np.vstack([Xs, 3 + Xs[:few]]), np.append(ys, np.full(few, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        w = quiet(kind(), Xs, Xt, ys)
    assert np.isfinite(w).all()
    assert w.min() >= 0
    # Two classes with a single row between them and nothing: a training fold of one class.
    lone = np.append(np.zeros(40, dtype=int), np.ones(few, dtype=int))
    assert np.isfinite(quiet(kind(), Xs[: 40 + few], Xt, lone)).all()


@pytest.mark.parametrize("kind", METHODS)
def test_hard_cases_give_finite_weights(kind):
    Xs, ys, Xt, _ = pair(100, TWO)
    cases = {
        "one target row": (Xs, Xt[:1], ys),
        "ten source rows": (Xs[:10], Xt, ys[:10]),
        "no overlap": (Xs, Xt + 1000, ys),
        "all rows the same": (np.ones_like(Xs), np.ones_like(Xt), ys),
        "one column": (Xs[:, :1], Xt[:, :1], ys),
        "one source class": (Xs, Xt, np.zeros(100)),
    }
    for name, data in cases.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            w = quiet(kind(), *data)
        assert np.isfinite(w).all(), name
        assert w.min() >= 0, name
        assert w.any(), name
        assert w.max() <= len(w), name


@pytest.mark.parametrize("kind", METHODS)
def test_float32_stays_float32_and_changes_little(kind):
    Xs, ys, Xt, _ = pair(300, THREE)
    w = kind().weigh(Xs.astype(np.float32), Xt.astype(np.float32), ys)
    assert w.dtype == np.float32
    np.testing.assert_allclose(w, kind().weigh(Xs, Xt, ys), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", METHODS)
def test_sparse_rows_get_the_weights_of_dense_ones(kind):
    Xs, ys, Xt, _ = pair(300, THREE)
    Xs, Xt = np.where(np.abs(Xs) < 0.5, 0, Xs), np.where(np.abs(Xt) < 0.5, 0, Xt)
    dense, sparse = kind(), kind()
    w = sparse.weigh(csr_matrix(Xs), csr_matrix(Xt), ys)
    np.testing.assert_allclose(w, dense.weigh(Xs, Xt, ys), rtol=5e-3, atol=1e-3)
    assert dense.assumption_.statistic == pytest.approx(sparse.assumption_.statistic, rel=1e-6)


@pytest.mark.parametrize("kind", METHODS)
def test_the_order_of_rows_does_not_matter(kind):
    Xs, ys, Xt, _ = pair(200, THREE)
    # Equal rows of different classes are the hard part of dealing out folds.
    Xs[:40] = Xs[40:80]
    rng = np.random.default_rng(0)
    a, b = rng.permutation(200), rng.permutation(200)
    first, second = kind(), kind()
    w = first.weigh(Xs, Xt, ys)
    np.testing.assert_allclose(second.weigh(Xs[a], Xt[b], ys[a]), w[a], rtol=1e-6)
    assert first.assumption_.p_value == pytest.approx(second.assumption_.p_value, abs=0.01)


def test_a_classifier_without_probabilities_serves_hard_predictions_only():
    Xs, ys, Xt, _ = pair(1000, TWO)
    for method in (BBSE(classifier=LinearSVC(), soft=False), RLLS(classifier=LinearSVC(), soft=False)):
        method.weigh(Xs, Xt, ys)
        np.testing.assert_allclose(method.target_priors_, TWO[1], atol=0.05)
    for method in (BBSE(classifier=LinearSVC()), LabelShiftEM(classifier=LinearSVC())):
        with pytest.raises(NeedsError, match="predict_proba"):
            method.weigh(Xs, Xt, ys)


@pytest.mark.parametrize("kind", METHODS)
def test_labels_that_do_not_fit_are_refused(kind):
    Xs, ys, Xt, yt = pair(60, TWO)
    with pytest.raises(InputError, match="by their labels"):
        kind().weigh(Xs, Xt)
    with pytest.raises(InputError, match="59 source labels"):
        kind().weigh(Xs, Xt, ys[:-1])
    with pytest.raises(InputError, match="3 target labels"):
        kind().weigh(Xs, Xt, ys, yt[:3])
    with pytest.raises(InputError, match="1 source labels are missing"):
        kind().weigh(Xs, Xt, np.where(np.arange(60) == 5, np.nan, ys))


@pytest.mark.parametrize(
    ("method", "word"),
    [
        (BBSE(folds=1), "folds"),
        (RLLS(gamma=2.0), "gamma"),
        (RLLS(reg=-1.0), "reg"),
        (RLLS(reg="some"), "reg"),
        (LabelShiftEM(calibration="platt"), "calibration"),
    ],
)
def test_parameters_without_a_meaning_are_refused(method, word):
    Xs, ys, Xt, _ = pair(60, TWO)
    with pytest.raises(InputError, match=word):
        method.weigh(Xs, Xt, ys)


@pytest.mark.parametrize("kind", METHODS)
def test_common_checks_pass(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check_method(kind())
