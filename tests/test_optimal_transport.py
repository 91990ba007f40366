"""Couplings against POT, their duals, and problems that can be solved by hand."""

import warnings

import numpy as np
import ot
import pytest

from headstart.kernels import squared_distances
from headstart.mapping import transport as module
from headstart.mapping.measures import Labels, costs, distinct_rows, measures, with_labels
from headstart.mapping.nearest_shift import NearestShift, nearest
from headstart.mapping.regular_transport import l1l2, laplace, lpl1
from headstart.mapping.transport import entropic, entropy, exact


def problem(n=90, m=110, d=3, seed=0, uniform=False):
    """Rows of three classes, sorted by class, masses and costs with a median of 1."""
    rng = np.random.default_rng(seed)
    y, yt = np.sort(rng.integers(0, 3, n)), rng.integers(0, 3, m)
    Xs, Xt = rng.normal(size=(n, d)) + y[:, None], 0.5 + rng.normal(size=(m, d)) + yt[:, None]
    a, b = (np.full(k, 1 / k) if uniform else rng.dirichlet(np.full(k, 5.0)) for k in (n, m))
    C = squared_distances(Xs, Xt)
    return C / np.median(C), a, b, y, Xs, Xt


@pytest.mark.parametrize("arcs", ["all", "few"])
@pytest.mark.parametrize("kind", ["normal", "line", "ties", "forbidden", "constant", "far"])
def test_exact_transport_costs_what_pots_does_and_proves_it_by_its_dual(kind, arcs, monkeypatch):
    if arcs == "few":
        monkeypatch.setattr(module, "MOST_WHOLE", 0)
        monkeypatch.setattr(module, "ARCS", 2)
    C, a, b, y, Xs, Xt = problem(d=1 if kind == "line" else 5)
    if kind == "ties":
        C, a, b = np.round(4 * C), np.full(90, 1 / 90), np.full(110, 1 / 110)
    if kind == "forbidden":
        C[y == 0, :20] = 100 * C.max()
    if kind == "constant":
        C[:] = 2.0
    if kind == "far":
        C = squared_distances(Xs, Xt + 1000)
    plan = exact(C, a, b)
    assert plan.converged
    assert plan.objective == pytest.approx(ot.emd2(a, b, C, numItermax=10**7), rel=1e-9)
    assert plan.coupling.multiply(C).sum() == pytest.approx(plan.objective)
    np.testing.assert_allclose(np.ravel(plan.coupling.sum(axis=1)), a, atol=1e-12)
    np.testing.assert_allclose(np.ravel(plan.coupling.sum(axis=0)), b, atol=1e-12)
    assert (C - plan.f[:, None] - plan.g).min() >= -1e-9 * C.max()
    assert a @ plan.f + b @ plan.g == pytest.approx(plan.objective)


def test_exact_transport_is_optimal_where_pots_limit_stops_it_early():
    rng = np.random.default_rng(0)
    C = squared_distances(rng.normal(size=(700, 20)), rng.normal(size=(700, 20)))
    a = np.full(700, 1 / 700)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stopped, told = ot.emd(a, a, C, numItermax=5000, log=True)
    assert told["result_code"] != 1
    plan = exact(C, a, a)
    assert plan.objective < (stopped * C).sum() - 1e-3
    assert plan.residual < 1e-9


@pytest.mark.parametrize("reg", [0.02, 0.1, 1.0, 30.0])
def test_entropic_transport_is_pots_and_keeps_the_marginals(reg):
    C, a, b, *_ = problem()
    plan = entropic(C, a, b, reg, tol=1e-10)
    np.testing.assert_allclose(plan.coupling.sum(axis=1), a, atol=1e-12)
    np.testing.assert_allclose(plan.coupling.sum(axis=0), b, atol=1e-9)
    theirs = ot.sinkhorn(a, b, C, reg, method="sinkhorn_log", numItermax=100_000, stopThr=1e-11)
    np.testing.assert_allclose(plan.coupling, theirs, atol=1e-8)
    objective = (C * theirs).sum() + reg * (theirs * np.log(np.maximum(theirs, 1e-300) / np.outer(a, b))).sum()
    assert plan.objective == pytest.approx(objective, rel=1e-7)


def test_a_tiny_entropy_does_no_harm_and_comes_near_the_exact_cost():
    C, a, b, *_ = problem(n=40, m=30)
    plan = entropic(C, a, b, 2e-4, tol=1e-6, max_iter=50_000)
    best = exact(C, a, b).objective
    assert np.isfinite(plan.coupling).all()
    assert best - 1e-6 <= (plan.coupling * C).sum() <= best + 2e-3


def test_over_relaxation_saves_steps_and_changes_nothing(monkeypatch):
    C, a, b, *_ = problem(d=2)
    fast = entropic(C, a, b, 0.02)
    monkeypatch.setattr(module, "_relaxed", lambda *_: 1.0)
    plain = entropic(C, a, b, 0.02)
    assert fast.n_iter < 0.5 * plain.n_iter
    np.testing.assert_allclose(fast.coupling, plain.coupling, atol=1e-6)


def test_a_larger_entropy_spreads_the_coupling():
    C, a, b, *_ = problem()
    spread = [-entropy(entropic(C, a, b, reg).coupling) for reg in (0.01, 0.1, 1.0, 10.0)]
    assert (np.diff(spread) > 0.01).all()


@pytest.mark.parametrize("reg_mass", [0.1, 1.0, 50.0])
def test_unbalanced_transport_is_pots(reg_mass):
    C, a, b, *_ = problem()
    plan = entropic(C, a, b, 0.1, reg_mass, tol=1e-9)
    theirs = ot.unbalanced.sinkhorn_unbalanced(a, b, C, 0.1, reg_mass, reg_type="kl", numItermax=100_000, stopThr=1e-12)
    assert plan.converged
    np.testing.assert_allclose(plan.coupling, theirs, atol=1e-8)


def test_unbalanced_transport_meets_its_optimality_condition_and_leaves_outliers_behind():
    C, a, b, *_ = problem()
    C[0] += 50
    plan = entropic(C, a, b, 0.1, 0.5, tol=1e-10)
    P, sent, got = plan.coupling, plan.coupling.sum(axis=1), plan.coupling.sum(axis=0)
    likely = P > 1e-250
    gradient = C + 0.5 * np.log(sent / a)[:, None] + 0.5 * np.log(got / b)
    gradient[likely] += 0.1 * np.log((P / np.outer(a, b))[likely])
    assert np.abs(gradient[likely]).max() < 1e-6
    assert sent[0] < 1e-6 * a[0]
    assert (sent[1:] > 0.1 * a[1:]).all()


def test_unbalanced_transport_with_a_high_price_is_balanced():
    C, a, b, *_ = problem()
    np.testing.assert_allclose(entropic(C, a, b, 0.1, 1e6).coupling, entropic(C, a, b, 0.1).coupling, atol=1e-6)


def test_transport_with_a_concave_class_penalty_is_pots():
    C, a, b, y, *_ = problem(uniform=True)
    plan = lpl1(C, a, b, y, 0.5, 0.3, tol=1e-10, max_rounds=9, round_tol=0)
    theirs = ot.da.sinkhorn_lpl1_mm(a, y, b, C, 0.5, eta=0.3, numInnerItermax=5000, stopInnerThr=1e-11)
    np.testing.assert_allclose(plan.coupling, theirs, atol=1e-8)


def test_the_concave_class_penalty_never_rises_from_round_to_round_and_parts_the_classes():
    C, a, b, y, *_ = problem()
    plans = [lpl1(C, a, b, y, 0.5, 1.0, max_rounds=rounds, round_tol=0) for rounds in range(1, 7)]
    values = [plan.objective for plan in plans]
    assert (np.diff(values) <= 1e-9).all()
    assert values[-1] < values[0]

    def by_formula(P):
        masses = np.stack([P[y == c].sum(axis=0) for c in range(3)])
        penalty = (b * 110 * np.sqrt(masses / (b * 110) + 1e-3)).sum()
        return (P * C).sum() + 0.5 * (P * np.log(P / np.outer(a, b))).sum() + penalty

    assert values[-1] == pytest.approx(by_formula(plans[-1].coupling), rel=1e-9)
    assert values[-1] < by_formula(entropic(C, a, b, 0.5).coupling)


@pytest.mark.parametrize(("reg", "reg_class"), [(0.1, 0.1), (0.1, 1.0), (1.0, 5.0)])
def test_the_group_lasso_objective_is_not_above_pots_and_its_gap_bounds_what_is_missing(reg, reg_class):
    C, a, b, y, *_ = problem(uniform=True)

    def by_formula(P):
        norms = sum(np.sqrt((P[y == c] ** 2).sum(axis=0)).sum() for c in range(3))
        return (P * C).sum() + reg * (P * np.log(P / np.outer(a, b))).sum() + reg_class * norms

    plan = l1l2(C, a, b, y, reg, reg_class, round_tol=1e-3)
    assert plan.converged
    assert plan.objective == pytest.approx(by_formula(plan.coupling), rel=1e-9)
    theirs = ot.da.sinkhorn_l1l2_gl(a, y, b, C, reg, eta=reg_class, numItermax=50, numInnerItermax=2000)
    assert plan.objective <= by_formula(theirs) + 1e-3 * abs(plan.objective)
    better = l1l2(C, a, b, y, reg, reg_class, tol=1e-9, max_rounds=100, round_tol=1e-6).objective
    assert better - 1e-9 <= plan.objective <= better + 1e-3 * abs(plan.objective)


@pytest.mark.parametrize("solve", [lpl1, l1l2])
def test_a_row_of_twice_the_mass_counts_as_two_equal_rows_in_the_class_penalties(solve):
    C, a, b, y, *_ = problem(n=30, m=40, uniform=True)
    rows, columns = np.repeat(np.arange(30), 2), np.repeat(np.arange(40), 2)
    doubled = solve(C[rows][:, columns], a[rows] / 2, b[columns] / 2, y[rows], 1.0, 0.5, tol=1e-9)
    single = solve(C, a, b, y, 1.0, 0.5, n_rows=80 if solve is lpl1 else 60, tol=1e-9)
    np.testing.assert_allclose(doubled.coupling[::2, ::2] * 4, single.coupling, atol=1e-7)


def test_laplace_transport_without_its_penalty_is_exact():
    C, a, b, _, Xs, Xt = problem()
    assert laplace(C, (Xs, a), (Xt, b), 0.0).objective == pytest.approx(exact(C, a, b).objective)


def test_the_laplace_objective_is_not_above_pots():
    C, a, b, _, Xs, Xt = problem(n=60, m=60, uniform=True)
    plan = laplace(C, (Xs, a), (Xt, b), 0.5, 3, max_rounds=400, round_tol=1e-2)
    assert plan.converged
    # Where ours is a mean over the 3 n edges, POT divides their sum by n^2.
    theirs = ot.da.emd_laplace(a, b, Xs, Xt, C, sim="knn", sim_param=3, reg="pos", eta=0.5 * 60 / 3)

    def by_formula(P):
        total = (P * C).sum()
        for X, images in ((Xs, P @ Xt * 60), (Xt, P.T @ Xs * 60)):
            near = np.argsort(squared_distances(X, X), axis=1)[:, 1:4]
            total += 0.5 / 4 * np.square(images[:, None] - images[near]).sum(axis=2).mean()
        return total

    assert plan.objective == pytest.approx(by_formula(plan.coupling.toarray()), rel=1e-9)
    assert plan.objective <= by_formula(theirs) + 0.01 * plan.objective
    assert plan.objective < by_formula(exact(C, a, b).coupling.toarray())


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e7])
@pytest.mark.parametrize("d", [1, 2, 30])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_nearest_row_is_the_one_of_least_distance_however_small_the_difference(shift, d, dtype):
    rng = np.random.default_rng(0)
    rows = np.unique((rng.normal(size=(300, d)) + shift).astype(dtype), axis=0)
    X = (rng.normal(size=(200, d)) + shift).astype(dtype)
    distances = np.square(X[:, None].astype(float) - rows[None].astype(float)).sum(axis=2)
    np.testing.assert_array_equal(nearest(X, rows), distances.argmin(axis=1))
    np.testing.assert_array_equal(nearest(rows, rows), np.arange(len(rows)))


def test_a_new_row_moves_as_its_nearest_row_did():
    rng = np.random.default_rng(0)
    rows, shift, X = rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), rng.normal(size=(50, 2))
    moved = NearestShift(rows, shift).transform(X)
    for x, z in zip(X, moved, strict=True):
        np.testing.assert_allclose(z - x, shift[np.square(rows - x).sum(axis=1).argmin()])


def test_distinct_rows_carry_the_mass_of_all_their_copies():
    X = np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0], [-0.0, 0.0], [1.0, 2.0]])
    first, of_row = distinct_rows(X)
    np.testing.assert_array_equal(X[first][of_row], X)
    source, _ = measures(X, X, None, None, 0)
    np.testing.assert_allclose(np.sort(source.mass), [0.4, 0.6])


def test_clusters_hold_one_class_each_and_all_of_the_mass():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 2)), rng.integers(0, 3, 400).astype(float)
    yt = np.where(rng.uniform(size=400) < 0.1, y, np.nan)
    source, target = measures(X, X, Labels(y, yt, np.arange(3)), 30, 0)
    assert 20 <= len(source.rows) <= 33
    np.testing.assert_array_equal(source.label[source.of_row], y)
    np.testing.assert_array_equal(target.label[target.of_row], yt)
    for measure in (source, target):
        assert measure.mass.sum() == pytest.approx(1)
        for k in range(len(measure.rows)):
            np.testing.assert_allclose(measure.rows[k], X[measure.of_row == k].mean(axis=0))


def test_rows_become_clusters_where_there_are_many():
    X = np.random.default_rng(0).normal(size=(60, 2))
    for most, clustered in ((120, False), (119, True)):
        for measure in measures(X, X, None, "auto", 0, most=most, few=10):
            assert measure.clustered == clustered
            assert len(measure.rows) <= (10 if clustered else 60)
    # Copies are no further rows.
    assert not measures(np.tile(X, (9, 1)), X, None, "auto", 0, most=120)[0].clustered


def test_costs_are_scaled_as_told_and_the_spread_knows_no_shift():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(50, 3)), rng.normal(size=(60, 3)) + 7
    source, target = measures(Xs, Xt, None, None, 0)
    D = squared_distances(source.rows, target.rows)
    for scale, unit in (("median", np.median(D)), ("max", D.max()), (None, 1.0)):
        C, found = costs(source, target, scale)
        assert found == pytest.approx(unit)
        np.testing.assert_allclose(C * found, D)
    C, unit = costs(source, target, "spread")
    assert C.mean() == pytest.approx(1)
    assert unit == pytest.approx(Xs.var(axis=0).sum() + Xt.var(axis=0).sum())
    a, b = source.mass, target.mass
    assert exact(C, a, b).objective * unit == pytest.approx(
        exact(D, a, b).objective - np.square(Xs.mean(axis=0) - Xt.mean(axis=0)).sum()
    )


@pytest.mark.parametrize("known", ["few", "many", "all", "all of one class"])
def test_a_coupling_within_known_classes_exists_whatever_their_shares(known):
    rng = np.random.default_rng(0)
    y, yt = np.repeat([0.0, 1.0, 2.0], [10, 30, 60]), np.repeat([0.0, 1.0, 2.0], [60, 30, 10])
    hidden = {"few": 0.9, "many": 0.2}.get(known, 0.0)
    yt = np.where(rng.uniform(size=100) < hidden, np.nan, yt)
    if known == "all of one class":
        yt[:] = 1.0
    labels = Labels(y, yt, np.arange(3))
    source, target = measures(rng.normal(size=(100, 2)), rng.normal(size=(100, 2)), labels, None, 0)
    C, target = with_labels(costs(source, target, "spread")[0], source, target, labels, 1.0)
    reached = target.mass > 0
    P = exact(C[:, reached], source.mass, target.mass[reached]).coupling.toarray()
    differs = (source.label[:, None] != target.label[reached]) & ~np.isnan(target.label[reached])
    assert target.mass.sum() == pytest.approx(1)
    if known != "all of one class":
        assert P[differs].sum() < 1e-12
    else:
        np.testing.assert_allclose(P.sum(axis=1), source.mass)
