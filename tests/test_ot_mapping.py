"""Optimal transport mapping: where rows go, by hand, in closed form, and in the hard cases."""

import warnings

import numpy as np
import ot
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge

from headstart import Transfer
from headstart.errors import InputError, NeedsError
from headstart.features.ot_mapping import KINDS, OTMapping, barycenters
from headstart.kernels import squared_distances
from headstart.mapping.fit_maps import gaussian_map

NOT_LINEAR = [kind for kind in KINDS if kind != "linear"]


def domains(n=80, m=90, d=3, seed=0):
    rng = np.random.default_rng(seed)
    y, yt = rng.integers(0, 2, n), rng.integers(0, 2, m)
    return rng.normal(size=(n, d)) + 3 * y[:, None], 1.5 * rng.normal(size=(m, d)) + 3 * yt[:, None] + 2, y, yt


def method(kind, **parameters):
    return OTMapping(transport=kind, **{"max_rounds": 20, **parameters})


@pytest.fixture(autouse=True)
def _few_rounds():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*transport stopped after 20 iterations")
        yield


def test_exact_images_are_the_barycenters_of_pots_plan():
    Xs, Xt, *_ = domains()
    fitted = method("exact").fit(Xs, Xt)
    C = squared_distances(Xs, Xt)
    P = ot.emd(np.full(80, 1 / 80), np.full(90, 1 / 90), C)
    np.testing.assert_allclose(fitted.transform_source(Xs), P @ Xt * 80, atol=1e-8)
    assert fitted.cost_ == pytest.approx((P * C).sum())
    assert fitted.objective_ * fitted.scale_ == pytest.approx(
        fitted.cost_ - np.square(Xs.mean(axis=0) - Xt.mean(axis=0)).sum()
    )


def test_barycenters_and_cost_are_those_of_a_coupling_worked_by_hand():
    P = np.array([[0.25, 0.25], [0.0, 0.5], [0.0, 0.0]])
    images, cost = barycenters(P, np.array([[0.0], [1.0], [9.0]]), np.array([[2.0], [4.0]]))
    np.testing.assert_allclose(images, [[3.0], [4.0], [9.0]])  # the last row sends no mass, and stays
    assert cost == pytest.approx(0.25 * 4 + 0.25 * 16 + 0.5 * 9)


@pytest.mark.parametrize("kind", NOT_LINEAR)
def test_rows_of_the_fit_go_where_they_went_and_new_ones_move_as_their_nearest(kind):
    Xs, Xt, y, _ = domains()
    fitted = method(kind).fit(Xs, Xt, y)
    moved = fitted.transform_source(Xs)
    new = np.random.default_rng(1).normal(size=(40, 3)) * 3
    near = squared_distances(new, Xs).argmin(axis=1)
    np.testing.assert_allclose(fitted.transform_source(new), new + moved[near] - Xs[near])
    assert fitted.transform(Xt) is Xt or np.array_equal(fitted.transform(Xt), Xt)


@pytest.mark.parametrize("kind", NOT_LINEAR)
def test_neither_the_order_of_rows_nor_copies_of_all_of_them_make_a_difference(kind):
    Xs, Xt, y, _ = domains(n=40, m=45)
    moved = method(kind).fit(Xs, Xt, y).transform_source(Xs)
    rng = np.random.default_rng(2)
    # The penalties by class, as published, weigh less in larger samples.
    copies = 1 if kind in ("lpl1", "l1l2") else 2
    s, t = (rng.permutation(np.repeat(np.arange(n), copies)) for n in (40, 45))
    again = method(kind).fit(Xs[s], Xt[t], y[s])
    np.testing.assert_allclose(again.transform_source(Xs), moved, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_images_move_with_the_target_when_it_is_shifted(kind):
    Xs, Xt, y, _ = domains(n=40, m=45)
    near, far = (method(kind).fit(Xs, Xt + shift, y).transform_source(Xs) for shift in (0.0, 1000.0))
    np.testing.assert_allclose(far - 1000, near, atol=1e-4)


def test_equal_rows_of_different_classes_share_the_mean_of_their_images():
    Xs, ys = np.array([[0.0], [0.0], [0.0], [5.0]]), np.array([0, 1, 1, 1])
    Xt, yt = np.array([[10.0], [20.0], [20.0], [30.0]]), np.array([0, 1, 1, 1])
    fitted = method("exact").fit(Xs, Xt, ys, yt)
    np.testing.assert_allclose(fitted.transform_source([[0.0], [5.0]]), [[50 / 3], [30.0]])


def test_the_linear_map_carries_mean_and_covariance_and_is_pots():
    Xs, Xt, *_ = domains(n=200, m=300)
    Xt = Xt @ np.random.default_rng(3).normal(size=(3, 3))
    moved = method("linear").fit(Xs, Xt).transform_source(Xs)
    np.testing.assert_allclose(moved.mean(axis=0), Xt.mean(axis=0))
    np.testing.assert_allclose(np.cov(moved.T), np.cov(Xt.T))
    A, _ = ot.gaussian.bures_wasserstein_mapping(Xs.mean(axis=0), Xt.mean(axis=0), np.cov(Xs.T), np.cov(Xt.T))
    np.testing.assert_allclose(gaussian_map(Xs, Xt).A, A, atol=1e-8)


def test_the_linear_map_is_symmetric_and_positive_as_the_gradient_of_a_convex_function():
    Xs, Xt, *_ = domains(d=5)
    A = gaussian_map(Xs, Xt @ np.random.default_rng(3).normal(size=(5, 5))).A
    np.testing.assert_allclose(A, A.T)
    assert np.linalg.eigvalsh(A).min() > 0


def test_the_linear_map_of_columns_that_are_apart_is_that_of_each_column():
    Xs = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, -3.0]])
    np.testing.assert_allclose(gaussian_map(Xs, Xs * [2.0, 0.5] + 7).A, np.diag([2.0, 0.5]), atol=1e-12)


def test_the_linear_map_bears_columns_without_variance_and_more_columns_than_rows():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(10, 30)), rng.normal(size=(12, 30))
    Xs[:, 3] = 1.0
    moved = gaussian_map(Xs, Xt).transform(Xs)
    assert np.abs(moved).max() < 20
    np.testing.assert_allclose(
        gaussian_map(np.ones((5, 2)), Xt[:, :2]).transform(np.ones((1, 2)))[0], Xt[:, :2].mean(0)
    )


@pytest.mark.parametrize("kind", NOT_LINEAR)
def test_no_row_goes_to_a_target_row_of_another_known_class(kind):
    # The classes lie so that costs alone would exchange them.
    rng = np.random.default_rng(0)
    y, yt = np.repeat([0, 1], [30, 30]), np.repeat([0, 1], [45, 15])
    Xs, Xt = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
    Xs[:, 0] += 10 * y
    Xt[:, 0] += 10 * (1 - yt)
    moved = method(kind).fit(Xs, Xt, y, yt.astype(float)).transform_source(Xs)
    assert (moved[y == 0, 0] > 6).all()
    assert (moved[y == 1, 0] < 4).all()


def test_known_quantities_send_rows_to_labels_like_theirs():
    rng = np.random.default_rng(0)
    ys, yt = rng.normal(size=50), rng.normal(size=50)
    Xs, Xt = rng.normal(size=(50, 2)), np.column_stack([yt, rng.normal(size=50)])
    moved = method("exact", label_weight=1e6).fit(Xs, Xt, ys, yt).transform_source(Xs)
    # Transport of labels alone keeps their order.
    np.testing.assert_allclose(moved[np.argsort(ys), 0], np.sort(yt))
    plain = method("exact", label_weight=0.0).fit(Xs, Xt, ys, yt).transform_source(Xs)
    np.testing.assert_allclose(plain, method("exact").fit(Xs, Xt).transform_source(Xs), atol=1e-10)


def test_transport_undoes_a_known_map_of_gaussians_better_with_more_rows():
    def error(n):
        rng = np.random.default_rng(0)
        Xs, Xt = rng.normal(size=(n, 1)), np.exp(rng.normal(size=(n, 1)))
        moved = method("exact").fit(Xs, Xt).transform_source(Xs).ravel()
        inner = np.abs(Xs.ravel()) < norm.ppf(0.9)
        return np.abs(moved - np.exp(Xs.ravel()))[inner].mean()

    assert error(500) < 0.6 * error(40)
    assert error(500) < 0.15


@pytest.mark.parametrize("kind", ["exact", "lpl1", "laplace"])
def test_clusters_cost_little_accuracy(kind):
    rng = np.random.default_rng(0)
    y, yt = rng.integers(0, 2, 300), rng.integers(0, 2, 300)
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    Xs = rng.normal(size=(300, 2)) + 4 * np.outer(y, [1, 1])
    Xt = (rng.normal(size=(300, 2)) + 4 * np.outer(yt, [1, 1])) @ turn + 5
    X, labels = np.vstack([Xs, Xt]), np.append(y, np.full(300, np.nan))
    domain = np.repeat(["source", "target"], 300)
    model = Transfer(method(kind, n_clusters=30), LogisticRegression()).fit(X, labels, domain=domain)
    assert model.method_.n_clusters_ in range(25, 34)
    assert model.score(Xt, yt) > 0.95
    assert Transfer(OTMapping(), LogisticRegression()).fit(X, labels, domain=domain).method_.n_clusters_ is None


def test_clusters_do_not_hang_on_the_order_of_rows():
    Xs, Xt, *_ = domains(n=300, m=300)
    rng = np.random.default_rng(1)
    first = method("exact", n_clusters=20).fit(Xs, Xt).transform_source(Xs)
    second = method("exact", n_clusters=20).fit(rng.permutation(Xs), rng.permutation(Xt)).transform_source(Xs)
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_source_labels_travel_with_their_rows_in_regression():
    rng = np.random.default_rng(0)
    Xs = rng.normal(size=(200, 2))
    ys, shift = Xs @ [1.0, -2.0], np.array([5.0, -3.0])
    X = np.vstack([Xs, Xs + shift])
    model = Transfer(OTMapping(transport="exact"), Ridge(alpha=1e-6)).fit(
        X, np.append(ys, np.full(200, np.nan)), domain=np.repeat(["source", "target"], 200)
    )
    np.testing.assert_allclose(model.predict(Xs + shift), ys, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_stays(kind):
    Xs, Xt, y, _ = domains()
    fitted = method(kind).fit(Xs.astype(np.float32), Xt.astype(np.float32), y)
    moved = fitted.transform_source(Xs.astype(np.float32))
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, method(kind).fit(Xs, Xt, y).transform_source(Xs), atol=2e-3)


def test_stopping_early_is_said():
    Xs, Xt, y, _ = domains()
    with pytest.warns(UserWarning, match="raise max_iter"):
        OTMapping(max_iter=2, tol=1e-12).fit(Xs, Xt)
    with pytest.warns(UserWarning, match="max_rounds"):
        OTMapping(transport="laplace", max_rounds=1, reg_laplace=10.0).fit(Xs, Xt)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("exact", "entropic", "lpl1", "l1l2", "unbalanced"):
            OTMapping(transport=kind).fit(Xs, Xt, y)


def test_what_can_not_be_done_is_refused_in_one_line():
    Xs, Xt, *_ = domains()
    for wrong, words in (
        ({"transport": "emd"}, "no transport 'emd'"),
        ({"reg": 0.0}, "take 'exact'"),
        ({"cost_scale": "mean"}, "cost_scale"),
        ({"n_clusters": "many"}, "n_clusters"),
    ):
        with pytest.raises(InputError, match=words):
            OTMapping(**wrong).fit(Xs, Xt)
    with pytest.raises(NeedsError, match="quantities"):
        OTMapping(transport="lpl1").fit(Xs, Xt, Xs[:, 0])
    with pytest.raises(NeedsError, match="give ys"):
        OTMapping(transport="l1l2").fit(Xs, Xt)
