"""Joint distribution transport: its objective, its limits, and what known labels do."""

import numpy as np
import ot
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

from headstart import Transfer
from headstart.errors import NeedsError
from headstart.features.jdot import JDOT, class_losses, penalty
from headstart.kernels import squared_distances


def quantities(n=70, m=60, seed=0):
    """Rows and labels of a regression whose target is turned and shifted."""
    rng = np.random.default_rng(seed)
    Xs, Z = rng.normal(size=(n, 2)) * [2, 1], rng.normal(size=(m, 2)) * [2, 1]
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    return Xs, Xs @ [1.0, 0.5], Z @ turn + 3, Z @ [1.0, 0.5]


def classes(n=90, seed=0, angle=0.6):
    rng = np.random.default_rng(seed)
    y, yt = rng.permutation(np.arange(n) % 3), rng.permutation(np.arange(n) % 3)
    means = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 8.0]])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return rng.normal(size=(n, 2)) + means[y], y, (rng.normal(size=(n, 2)) + means[yt]) @ turn, yt


def learned(method, learner, Xs, ys, Xt, yt=None):
    labels = np.full(len(Xt), np.nan) if yt is None else yt
    domain = np.repeat(["source", "target"], [len(Xs), len(Xt)])
    return Transfer(method, learner).fit(np.vstack([Xs, Xt]), np.append(ys, labels), domain=domain)


@pytest.mark.parametrize("labelled", [0, 5])
@pytest.mark.parametrize("reg", [0.0, 0.05])
@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_the_objective_never_rises_with_squared_loss_and_ridge(alpha, reg, labelled):
    Xs, ys, Xt, yt = quantities()
    yt[labelled:] = np.nan
    method = learned(JDOT(alpha=alpha, reg=reg, tol=1e-9, max_iter=200), Ridge(alpha=3.0), Xs, ys, Xt, yt).method_
    assert len(method.objectives_) > 2
    assert (np.diff(method.objectives_) <= 1e-7).all()
    assert method.objectives_[-1] < method.objectives_[0]


@pytest.mark.parametrize("labelled", [0, 9])
def test_the_objective_never_rises_with_logarithmic_loss_and_logistic_regression(labelled):
    Xs, ys, Xt, yt = classes()
    learner = LogisticRegression(C=0.5, max_iter=5000, tol=1e-8)
    known = np.where(np.arange(90) < labelled, yt, np.nan)
    method = learned(JDOT(alpha=0.3, tol=1e-9), learner, Xs, ys, Xt, known).method_
    assert (np.diff(method.objectives_) <= 1e-5).all()


def test_the_objective_is_that_of_the_formula_and_its_coupling_is_optimal_for_its_predictor():
    Xs, ys, Xt, _ = quantities(n=40, m=40)
    model = learned(JDOT(alpha=0.5, cost_scale="max", tol=0, max_iter=60), Ridge(alpha=2.0), Xs, ys, Xt)
    f, method = model.predictor_.model, model.method_
    C = 0.5 * squared_distances(Xs, Xt) / squared_distances(Xs, Xt).max()
    C += np.square(ys[:, None] - f.predict(Xt)) / (2 * ys.var())
    a = np.full(40, 1 / 40)
    best = ot.emd2(a, a, C) + 2.0 * np.square(f.coef_).sum() / (2 * ys.var() * 40)
    assert method.objectives_[-1] == pytest.approx(best, rel=1e-6)
    # One more step changes nothing: ridge on the labels that the coupling brings is the predictor.
    again = Ridge(alpha=2.0).fit(Xt, ot.emd(a, a, C).T @ ys * 40)
    np.testing.assert_allclose(again.coef_, f.coef_, rtol=1e-4)


def test_a_large_alpha_is_transport_of_rows_alone():
    Xs, ys, Xt, _ = quantities(n=50, m=60)
    model = learned(JDOT(alpha=1e6), Ridge(), Xs, ys, Xt)
    P = ot.emd(np.full(50, 1 / 50), np.full(60, 1 / 60), squared_distances(Xs, Xt))
    np.testing.assert_allclose(model.predict(Xt), Ridge().fit(Xt, P.T @ ys * 60).predict(Xt), atol=1e-6)
    np.testing.assert_allclose(model.method_.transform_source(Xs), P @ Xt * 50, atol=1e-6)


def test_classes_come_along_the_coupling_by_their_mass():
    Xs, ys = np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 1, 2, 2])
    Xt = np.array([[5.0], [15.0]])
    model = learned(JDOT(alpha=1e3), LogisticRegression(C=1e6, max_iter=5000), Xs, ys, Xt)
    np.testing.assert_allclose(model.predict_proba(Xt), [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], atol=0.01)


def test_a_turned_target_is_learned_without_its_labels_by_both_tasks():
    Xs, ys, Xt, yt = classes()
    alone = LogisticRegression().fit(Xs, ys).score(Xt, yt)
    assert learned(JDOT(), LogisticRegression(), Xs, ys, Xt).score(Xt, yt) > max(0.93, alone + 0.02)
    Xs, ys, Xt, yt = quantities(n=200, m=200)
    assert Ridge().fit(Xs, ys).score(Xt, yt) < 0
    assert learned(JDOT(), Ridge(), Xs, ys, Xt).score(Xt, yt) > 0.6


def test_known_target_labels_decide_what_the_rows_leave_open():
    # Two classes turned by a right angle: without labels, either way round costs the same.
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40)
    Xs = rng.normal(size=(80, 2)) + 8 * np.column_stack([y, 0 * y])
    for up in (0, 1):
        Xt = rng.normal(size=(80, 2)) + 8 * np.column_stack([0 * y, y == up])
        known = np.where(np.arange(80) % 20 == 0, y, np.nan)
        assert learned(JDOT(alpha=0.1), LogisticRegression(), Xs, y, Xt, known).score(Xt, y) > 0.97


def test_a_class_that_only_the_target_has_is_learned_from_its_labels():
    Xs, ys, Xt, yt = classes()
    Xs, ys = Xs[ys < 2], ys[ys < 2]
    known = np.where((yt == 2) & (np.arange(90) < 30), 2.0, np.nan)
    model = learned(JDOT(), LogisticRegression(), Xs, ys, Xt, known)
    assert set(model.classes_) == {0, 1, 2}
    assert (model.predict(Xt)[~np.isnan(known)] == 2).all()


def test_drawn_rows_learn_nearly_what_all_do():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(1500, 5)) * [3, 1, 1, 1, 1], rng.normal(size=(1500, 5)) * [3, 1, 1, 1, 1] + 4
    w = np.array([1.0, 0.5, 0.0, 0.0, 0.0])
    model = learned(JDOT(n_rows=300), Ridge(alpha=1e-3), Xs, Xs @ w, Xt)
    np.testing.assert_allclose(model.predictor_.model.coef_, w, atol=0.2)
    assert model.score(Xt, (Xt - 4) @ w) > 0.95
    Xs, ys, Xt, yt = classes(n=600)
    ys[:3] = 3  # a class of three rows is not lost
    every, some = (learned(JDOT(n_rows=k), LogisticRegression(), Xs, ys, Xt) for k in (None, 150))
    assert some.score(Xt, yt) > every.score(Xt, yt) - 0.04
    assert set(some.classes_) == {0, 1, 2, 3}
    assert len(some.method_.source_map_.rows) in range(149, 153)


def test_learners_without_probabilities_will_do():
    Xs, ys, Xt, yt = classes(angle=0.3)
    assert learned(JDOT(), LinearSVC(), Xs, ys, Xt).score(Xt, yt) > 0.93


def test_weights_of_source_rows_are_mass():
    Xs, ys, Xt, _ = quantities(n=30, m=60)
    domain = np.repeat(["source", "target"], [30, 60])
    weight = np.append(np.where(np.arange(30) < 10, 2.0, 1.0), np.ones(60))
    X, labels = np.vstack([Xs, Xt]), np.append(ys, np.full(60, np.nan))
    weighted = Transfer(JDOT(), Ridge()).fit(X, labels, domain=domain, sample_weight=weight)
    copied = learned(JDOT(), Ridge(), np.vstack([Xs, Xs[:10]]), np.append(ys, ys[:10]), Xt)
    # With more rows the labels' variance and so the loss's unit is the same; the coupling too.
    np.testing.assert_allclose(weighted.predict(Xt), copied.predict(Xt), atol=1e-8)


def test_alone_it_is_a_transformer_with_a_learner_of_its_own():
    Xs, ys, Xt, yt = classes()
    method = JDOT().fit(Xs, Xt, ys)
    assert LogisticRegression().fit(method.transform_source(Xs), ys).score(method.transform(Xt), yt) > 0.93
    same = learned(JDOT(), LogisticRegression(max_iter=1000), Xs, ys, Xt).method_
    np.testing.assert_allclose(method.transform_source(Xs), same.transform_source(Xs))
    assert JDOT(labeler=Ridge()).fit(Xs, Xt, ys).n_iter_ > 1
    with pytest.raises(NeedsError, match="give ys"):
        JDOT().fit(Xs, Xt)


def test_stopping_early_is_said():
    Xs, ys, Xt, _ = quantities()
    with pytest.warns(UserWarning, match="raise max_iter"):
        learned(JDOT(max_iter=1), Ridge(), Xs, ys, Xt)


def test_penalties_are_those_that_the_learners_minimise():
    X, y = np.eye(4), np.array([0, 0, 1, 1])
    ridge = Ridge(alpha=3.0).fit(X, y)
    assert penalty(ridge) == pytest.approx(3 * np.square(ridge.coef_).sum())
    logistic = LogisticRegression(C=4.0).fit(X, y)
    assert penalty(logistic) == pytest.approx(np.square(logistic.coef_).sum() / 8)
    assert penalty(LinearSVC().fit(X, y)) == 0


def test_the_losses_of_classes_that_the_model_does_not_know_are_the_largest():
    model = LogisticRegression().fit([[0.0], [1.0]], ["a", "c"])
    losses = class_losses(model, np.array([[0.0], [5.0]]), np.array(["a", "b", "c"]))
    np.testing.assert_allclose(losses[[0, 2]], -np.log(model.predict_proba([[0.0], [5.0]]).T))
    np.testing.assert_allclose(losses[1], -np.log(1e-6))
