"""EasyTL's linear program beside a general solver, its prices, and what they say of new rows."""

import time

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import eye, kron

from headstart.checks import check_method
from headstart.errors import InputError
from headstart.features.class_assignment import assigned
from headstart.features.coral import CORAL
from headstart.features.easytl import EasyTL, distances


def by_definition(D, must):
    """Objective and classes of the program as written, by HiGHS."""
    n, k = D.shape
    one_class = kron(eye(n), np.ones((1, k)))
    one_row = kron(np.ones((1, n)), eye(k)).tocsr()[np.flatnonzero(must)]
    found = linprog(D.ravel(), -one_row, -np.ones(must.sum()), one_class, np.ones(n), method="highs")
    return found.fun, found.x.reshape(n, k).argmax(axis=1)


@pytest.mark.parametrize("seed", range(40))
def test_the_program_is_solved_as_a_general_solver_solves_it(seed):
    rng = np.random.default_rng(seed)
    k = rng.integers(2, 9)
    n = rng.integers(k, 3 * k)
    D = rng.random((n, k)) + rng.random(k) * rng.choice([0, 1, 3])
    must = rng.random(k) < 0.8
    must[0] = True
    found = assigned(D, must)
    objective, classes = by_definition(D, must)
    assert np.isclose(found.objective, objective)
    np.testing.assert_array_equal(found.classes, classes)


@pytest.mark.parametrize("seed", range(20))
def test_the_prices_prove_the_optimum_and_give_its_answer(seed):
    rng = np.random.default_rng(seed)
    D = rng.random((12, 8)) + 3 * rng.random(8)
    found = assigned(D)
    u = found.prices
    # Any prices bound the optimum from below; these reach it.
    assert found.objective == pytest.approx((D - u).min(axis=1).sum() + u.sum())
    assert abs(found.gap) < 1e-12
    assert (u >= 0).all()
    counts = np.bincount(found.classes, minlength=8)
    assert (u[counts > 1] == 0).all()
    np.testing.assert_array_equal((D - u).argmin(axis=1), found.classes)
    reduced = np.sort(D - u, axis=1)
    assert (reduced[:, 1] - reduced[:, 0]).min() > 1e-9  # no row stands on a border


def test_an_example_by_hand():
    # Both rows are nearer to the first class; the second row loses 2 by going, the first 8.
    found = assigned(np.array([[1.0, 9.0], [4.0, 6.0]]))
    assert found.classes.tolist() == [0, 1]
    assert found.objective == 7
    assert 2 < found.prices[1] - found.prices[0] < 8


def test_a_class_may_be_served_through_another():
    # The third class takes the second's only row, which takes one of the first's.
    D = np.array([[0.0, 1.0, 9.0], [0.0, 2.0, 9.0], [5.0, 0.0, 1.0]])
    assert assigned(D).classes.tolist() == [1, 0, 2]


def test_with_rows_enough_everywhere_the_nearest_centre_decides():
    rng = np.random.default_rng(0)
    D = rng.random((100, 4))
    found = assigned(D)
    np.testing.assert_array_equal(found.classes, D.argmin(axis=1))
    assert not found.prices.any()


def test_fewer_rows_than_classes_go_to_the_nearest_centre():
    found = assigned(np.array([[3.0, 1.0, 2.0]]))
    assert found.classes.tolist() == [1]
    assert not found.prices.any()


def test_equal_rows_of_which_one_must_go_leave_prices_finite():
    found = assigned(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]))
    assert sorted(found.classes) == [0, 0, 1]
    assert found.prices.tolist() == [0, 1]
    assert found.gap == 0


def test_many_rows_and_classes_take_bounded_time():
    rng = np.random.default_rng(0)
    D = rng.random((100_000, 40))
    D[:, 10:] += 1.0 + rng.random(30)  # thirty classes that are nobody's nearest
    start = time.perf_counter()
    found = assigned(D)
    assert time.perf_counter() - start < 10
    assert abs(found.gap) < 1e-8 * found.objective
    np.testing.assert_array_equal((D - found.prices).argmin(axis=1), found.classes)
    assert (np.bincount(found.classes, minlength=40) >= 1).all()


def classes_in_the_plane(n=60, seed=0):
    rng = np.random.default_rng(seed)
    ys = np.repeat(["a", "b", "c"], n // 3)
    means = {"a": [0, 0], "b": [4, 0], "c": [0, 4]}
    places = np.array([means[y] for y in ys], dtype=float)
    return places + rng.normal(size=(n, 2)), ys, places + rng.normal(size=(n, 2)), ys


def test_predictions_of_the_rows_of_the_fit_are_the_programs_answer():
    Xs, ys, Xt, _ = classes_in_the_plane()
    Xt = Xt[:20] + 1.0  # all of one class: the others must take rows
    method = EasyTL(alignment=None).fit(Xs, Xt, ys)
    centers = np.array([Xs[ys == c].mean(axis=0) for c in "abc"])
    objective, classes = by_definition(distances(Xt, centers), np.ones(3, dtype=bool))
    np.testing.assert_array_equal(method.transform(Xt).argmax(axis=1), classes)
    assert np.isclose(method.objective_, objective)
    assert set(classes) == {0, 1, 2}


def test_without_alignment_and_with_rows_enough_it_is_the_nearest_class_mean():
    Xs, ys, Xt, _ = classes_in_the_plane()
    method = EasyTL(alignment=None).fit(Xs, Xt, ys)
    centers = np.array([Xs[ys == c].mean(axis=0) for c in "abc"])
    np.testing.assert_array_equal(
        method.transform(Xt).argmax(axis=1), ((Xt[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
    )


def test_coral_comes_first():
    Xs, ys, Xt, _ = classes_in_the_plane()
    Xt = Xt * [3.0, 0.5] + 10
    aligned = CORAL(reg=0.1).fit(Xs, Xt).transform_source(Xs)
    np.testing.assert_allclose(
        EasyTL(reg=0.1).fit(Xs, Xt, ys).transform(Xt), EasyTL(alignment=None).fit(aligned, Xt, ys).transform(Xt)
    )


def test_known_target_labels_move_centres_and_serve_their_class():
    Xs, ys = np.array([[0.0], [10.0], [20.0]]), np.array([0, 1, 2])
    Xt, yt = np.array([[1.0], [2.0], [14.0]]), np.array([np.nan, np.nan, 1.0])
    method = EasyTL(alignment=None, target_weight=1.0).fit(Xs, Xt, ys, yt)
    # Class 1 has its row and its centre is 12 now; class 2 has none and takes the row that loses least: 2.
    np.testing.assert_array_equal(method.transform(Xt[:2]).argmax(axis=1), [0, 2])
    assert method.objective_ == 1 + 18
    assert method.prices_[1] == 0


def test_a_row_that_weighs_twice_is_a_row_given_twice_in_its_centre():
    Xs, ys, Xt, _ = classes_in_the_plane()
    weight = np.where(np.arange(60) % 2, 1.0, 2.0)
    twice = np.concatenate([Xs, Xs[::2]]), np.concatenate([ys, ys[::2]])
    np.testing.assert_allclose(
        EasyTL(alignment=None).fit(Xs, Xt, ys, ws=weight).transform(Xt),
        EasyTL(alignment=None).fit(twice[0], Xt, twice[1]).transform(Xt),
    )


def test_float32_rows_get_float32_scores_and_the_same_answers():
    Xs, ys, Xt, _ = classes_in_the_plane()
    narrow = EasyTL().fit(Xs.astype(np.float32), Xt.astype(np.float32), ys).transform(Xt.astype(np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, EasyTL().fit(Xs, Xt, ys).transform(Xt), atol=1e-4)


def test_distances_far_from_zero_keep_their_digits():
    X, centers = np.array([[1e8 + 3.0, 0.0]]), np.array([[1e8, 4.0], [1e8, 0.0]])
    np.testing.assert_allclose(distances(X, centers), [[5.0, 3.0]])


def test_an_unknown_alignment_is_refused():
    Xs, ys, Xt, _ = classes_in_the_plane()
    with pytest.raises(InputError, match="alignment"):
        EasyTL(alignment="pca").fit(Xs, Xt, ys)


@pytest.mark.parametrize("alignment", ["coral", None])
def test_easytl_passes_the_common_checks(alignment):
    check_method(EasyTL(alignment=alignment))
