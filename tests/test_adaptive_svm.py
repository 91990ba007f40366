"""The adaptive SVM against quadprog, against LinearSVC where the source says nothing, and at both ends of C."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC

from headstart import Domain, Transfer
from headstart.checks import check_method
from headstart.delivery import Plan
from headstart.errors import InputError, NeedsError
from headstart.kernels import rbf
from headstart.models.adaptive_svm import AdaptiveSVM, SourceScores, solve_box_qp
from headstart.parcel import pack, read_parcel, unpack


class Fixed:
    """A source classifier that is given by its decision function."""

    def __init__(self, decision_function):
        self.decision_function = decision_function


SILENT = Fixed(lambda X: np.zeros(X.shape[0]))
LEARNER = LinearSVC(C=0.5, tol=1e-8, max_iter=100000)


def data(n=60, d=4, classes=2, seed=0, flip=0.1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    score = X @ rng.normal(size=(d, classes))
    y = score.argmax(axis=1)
    return X, np.where(rng.random(n) < flip, rng.integers(classes, size=n), y)


def adapted(method, models, X, y, classes=(0, 1), weight=None):
    target = Domain(X, y, task="classification", weight=weight)
    return method.learn_target(SourceScores(models, np.array(classes)), target, LEARNER)


def primal(w_squared, f, y, C):
    return 0.5 * w_squared + C * np.maximum(0.0, 1.0 - y * f).sum()


@pytest.mark.parametrize("rank", [2, 30])
@pytest.mark.parametrize("upper", [1e-3, 1.0, 100.0])
def test_the_box_programme_meets_its_optimality_conditions(upper, rank):
    rng = np.random.default_rng(0)
    F, p = rng.normal(size=(30, rank)), rng.normal(size=30)
    Q, bounds = F @ F.T, upper * rng.uniform(0.5, 1.5, size=30)
    a, gap = solve_box_qp(F, p, bounds)
    assert gap < 1e-9
    assert (a >= 0).all()
    assert (a <= bounds).all()
    slope = p - Q @ a
    at_bounds = np.maximum(slope, 0) @ (bounds - a) + np.maximum(-slope, 0) @ a
    assert at_bounds <= 1e-8 * max(1.0, abs(p @ a))


def test_the_dual_equals_quadprogs():
    quadprog = pytest.importorskip("quadprog")
    X, y = data()
    signs, f_s = np.where(y == 1, 1.0, -1.0), X @ [0.3, -0.2, 0.5, 0.1]
    Q = signs[:, None] * (rbf(X, X, 0.5) + 1.0) * signs
    p, n = 1.0 - signs * f_s, len(y)
    bounds = np.vstack([np.eye(n), -np.eye(n)]).T
    theirs = quadprog.solve_qp(Q, p, bounds, np.append(np.zeros(n), np.full(n, -2.0)))[0]
    mine, _ = solve_box_qp(np.linalg.cholesky(Q), p, np.full(n, 2.0))
    np.testing.assert_allclose(mine, theirs, atol=1e-5)
    method = AdaptiveSVM(C=2.0, kernel="rbf", gamma=0.5)
    model = adapted(method, [Fixed(lambda X: X @ [0.3, -0.2, 0.5, 0.1])], X, y)
    expected = f_s + (rbf(X, X, 0.5) + 1.0) @ (theirs * signs)
    np.testing.assert_allclose(model.decision_function(X), expected, atol=1e-4)


@pytest.mark.parametrize("intercept", [True, False])
def test_the_primal_equals_quadprogs(intercept):
    quadprog = pytest.importorskip("quadprog")
    X, y = data(n=40)
    signs, f_s = np.where(y == 1, 1.0, -1.0), X @ [0.3, -0.2, 0.5, 0.1]
    rows = np.column_stack([X, np.ones(len(X))]) if intercept else X
    n, d = rows.shape
    # Variables (w, xi): a speck of curvature on xi, for quadprog wants some.
    H = np.diag(np.append(np.ones(d), np.full(n, 1e-9)))
    margins = np.hstack([signs[:, None] * rows, np.eye(n)])
    conditions = np.vstack([margins, np.hstack([np.zeros((n, d)), np.eye(n)])]).T
    w = quadprog.solve_qp(
        H, np.append(np.zeros(d), np.full(n, -3.0)), conditions, np.append(1 - signs * f_s, np.zeros(n))
    )
    model = adapted(AdaptiveSVM(C=3.0, fit_intercept=intercept), [Fixed(lambda X: X @ [0.3, -0.2, 0.5, 0.1])], X, y)
    np.testing.assert_allclose(model.correction.W[0], w[0][: X.shape[1]], atol=1e-5)
    np.testing.assert_allclose(model.correction.b[0], w[0][4] if intercept else 0.0, atol=1e-5)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_where_the_source_says_nothing_it_is_linear_svc_on_the_target(C, intercept):
    X, y = data()
    plain = LinearSVC(C=C, loss="hinge", fit_intercept=intercept, tol=1e-10, max_iter=1000000).fit(X, y)
    model = adapted(AdaptiveSVM(C=C, fit_intercept=intercept), [SILENT], X, y)
    signs = np.where(y == 1, 1.0, -1.0)
    mine, theirs = (
        primal((W**2).sum() + b**2, X @ W + b, signs, C)
        for W, b in (
            (model.correction.W[0], model.correction.b[0]),
            (plain.coef_[0], float(np.ravel(plain.intercept_)[0])),
        )
    )
    assert mine <= theirs * (1 + 1e-8)
    np.testing.assert_allclose(model.correction.W, plain.coef_, atol=2e-3)
    np.testing.assert_allclose(model.decision_function(X), plain.decision_function(X), atol=5e-3)


def test_where_the_source_says_nothing_and_without_intercept_it_is_svc_through_the_origin():
    # Rows mirrored with their labels leave no use for an intercept, so SVC's free one is zero.
    X, y = data(n=30)
    X, y = np.vstack([X, -X]), np.append(y, 1 - y)
    plain = SVC(C=0.7, kernel="linear", tol=1e-8).fit(X, y)
    model = adapted(AdaptiveSVM(C=0.7, fit_intercept=False), [SILENT], X, y)
    np.testing.assert_allclose(model.decision_function(X), plain.decision_function(X), atol=1e-5)


def test_as_c_goes_to_zero_the_source_is_left():
    X, y = data(n=120)
    domain = np.repeat(["source", "target"], 60)
    source = LEARNER.fit(X[:60], y[:60])
    for kernel in ("linear", "rbf"):
        fitted = Transfer(AdaptiveSVM(C=1e-9, kernel=kernel), LEARNER).fit(X, y, domain=domain)
        np.testing.assert_allclose(fitted.decision_function(X), source.decision_function(X), atol=1e-5)


def test_a_source_with_every_margin_kept_is_not_corrected():
    X, y = data(flip=0.0)
    far = np.where(y == 1, 1.5, -1.5)
    model = adapted(AdaptiveSVM(C=10.0), [Fixed(lambda X: far)], X, y)
    np.testing.assert_allclose(model.correction.W, 0.0, atol=1e-7)


@pytest.mark.parametrize(("C", "w"), [(10.0, 1.0), (0.1, 0.2)])
def test_one_row_is_corrected_as_worked_out_by_hand(C, w):
    # Row 2, class 1, f_s = -1: the margin asks for -1 + 2 w >= 1. Its multiplier is (1 + 1) / 4 = 0.5, or C.
    model = adapted(AdaptiveSVM(C=C, fit_intercept=False), [Fixed(lambda X: -np.ones(len(X)))], np.array([[2.0]]), [1])
    np.testing.assert_allclose(model.correction.W, [[w]], rtol=1e-6)


def test_several_classes_are_learned_each_against_the_others():
    X, y = data(n=150, classes=3)
    source, target = Domain(X[:90], y[:90], task="classification"), Domain(X[90:], y[90:], task="classification")
    method = AdaptiveSVM(C=2.0)
    model = method.learn_target(method.learn_source(source, LEARNER), target, LEARNER)
    assert model.decision_function(X).shape == (150, 3)
    for c in range(3):
        alone = Transfer(AdaptiveSVM(C=2.0), LEARNER)
        alone.fit(X, (y == c).astype(int), domain=np.repeat(["source", "target"], [90, 60]))
        np.testing.assert_allclose(model.decision_function(X)[:, c], alone.decision_function(X), atol=1e-5)
    np.testing.assert_array_equal(model.predict(X), model.decision_function(X).argmax(axis=1))


def test_a_class_that_the_source_does_not_know_is_learned_from_nothing():
    X, y = data(n=150, classes=3, flip=0.0)
    known = np.flatnonzero(y[:90] < 2)
    names = np.array(["a", "b", "c"])
    source = Domain(X[known], names[y[known]])
    target = Domain(X[90:], names[y[90:]])
    method = AdaptiveSVM(C=1.0)
    model = method.learn_target(method.learn_source(source, LEARNER), target, LEARNER)
    plain = LinearSVC(C=1.0, loss="hinge", tol=1e-9, max_iter=1000000).fit(X[90:], y[90:] == 2)
    np.testing.assert_allclose(model.decision_function(X)[:, 2], plain.decision_function(X), atol=5e-3)
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert "c" in model.predict(X)
    untouched = AdaptiveSVM(C=1e-9).learn_target(method.learn_source(source, LEARNER), target, LEARNER)
    two = clone(LEARNER).fit(X[known], y[known]).decision_function(X)
    np.testing.assert_allclose(untouched.decision_function(X), np.column_stack([-two, two, 0 * two]), atol=1e-5)


def test_a_row_that_weighs_two_is_a_row_twice():
    X, y = data()
    twice = adapted(AdaptiveSVM(), [SILENT], np.vstack([X, X[:10]]), np.append(y, y[:10]))
    heavy = adapted(AdaptiveSVM(), [SILENT], X, y, weight=np.append(np.full(10, 2.0), np.ones(50)))
    np.testing.assert_allclose(twice.correction.W, heavy.correction.W, atol=1e-6)


def test_probabilities_have_the_order_of_the_scores():
    for classes in (2, 3):
        X, y = data(n=100, classes=classes)
        fitted = Transfer(AdaptiveSVM(), LEARNER).fit(X, y, domain=np.repeat(["source", "target"], 50))
        scores = fitted.decision_function(X)
        scores = scores if classes == 3 else np.column_stack([-scores, scores])
        np.testing.assert_array_equal(fitted.predict(X), scores.argmax(axis=1))
        np.testing.assert_array_equal(np.argsort(fitted.predict_proba(X)), np.argsort(scores))


def test_a_solver_stopped_early_says_so():
    X, y = data()
    with pytest.warns(ConvergenceWarning, match="duality gap"):
        adapted(AdaptiveSVM(max_iter=2), [SILENT], X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapted(AdaptiveSVM(C=1e4), [SILENT], 10 * X, y)


@pytest.mark.parametrize(
    "method", [AdaptiveSVM(), AdaptiveSVM(kernel="rbf"), AdaptiveSVM(C=100.0, fit_intercept=False)]
)
def test_the_common_checks_pass(method):
    check_method(method)


def test_a_linear_source_travels_without_rows_and_a_kernel_machine_is_found_out(tmp_path, monkeypatch):
    from headstart.store import parts

    module = "headstart.models.adaptive_svm."
    trusted = {module + name for name in ("AdaptedClassifier", "KernelCorrection", "LinearCorrection", "SourceScores")}
    monkeypatch.setattr(parts, "TRUSTED", parts.TRUSTED | trusted)
    X, y = data(n=120, classes=3)
    source, target, plan = Domain(X[:60], y[:60], name="s"), Domain(X[60:], y[60:]), Plan("classification")
    assert pack(AdaptiveSVM(), SVC(), source, plan).holds_row_of(source)
    for kernel in ("linear", "rbf"):
        parcel = pack(AdaptiveSVM(kernel=kernel), LEARNER, source, plan)
        assert not parcel.holds_row_of(source)
        parcel.save(tmp_path / kernel)
        made = read_parcel(tmp_path / kernel, lambda name, parameters: AdaptiveSVM(**parameters))
        here, there = unpack(parcel, target, plan)[0], unpack(made, target, plan)[0]
        np.testing.assert_array_equal(here.predict_proba(X), there.predict_proba(X))
        there.save(tmp_path / f"{kernel}-model", check_on=X)


def test_what_does_not_suit_is_refused_in_one_line():
    X, y = data(n=120)
    domain = np.repeat(["source", "target"], 60)
    with pytest.raises(NeedsError, match="RandomForestClassifier gives none"):
        Transfer(AdaptiveSVM(), RandomForestClassifier()).fit(X, y, domain=domain)
    with pytest.raises(NeedsError, match="are of class 1; there is no source classifier"):
        Transfer(AdaptiveSVM(), LogisticRegression()).fit(X, np.where(domain == "source", 1, y), domain=domain)
    for wrong, match in (
        ({"C": 0.0}, "C must be above"),
        ({"kernel": "poly"}, "'linear' or 'rbf'"),
        ({"gamma": -1}, "gamma"),
    ):
        with pytest.raises(InputError, match=match):
            Transfer(AdaptiveSVM(**wrong), LEARNER).fit(X, y, domain=domain)
