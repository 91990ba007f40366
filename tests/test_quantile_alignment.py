"""Quantile alignment against exact transport on a line, and where there is little to align."""

import numpy as np
import ot
import pytest

from headstart.errors import InputError
from headstart.features.quantile_alignment import QuantileAlignment, rearrangement


def by_transport(s, t):
    """The barycenters of exact one-dimensional transport; equal values share theirs."""
    P = ot.emd_1d(s, t)
    images = P @ t * len(s)
    return np.array([images[s == value].mean() for value in s])


@pytest.mark.parametrize("sizes", [(50, 50), (50, 70), (70, 30), (7, 1), (1, 5)])
@pytest.mark.parametrize("ties", [False, True])
def test_images_are_the_barycenters_of_pots_transport_on_a_line(sizes, ties):
    rng = np.random.default_rng(0)
    s, t = rng.normal(size=sizes[0]), np.exp(rng.normal(size=sizes[1]))
    if ties:
        s, t = np.round(s), np.round(2 * t)
    moved = QuantileAlignment().fit(s[:, None], t[:, None]).transform_source(s[:, None]).ravel()
    np.testing.assert_allclose(moved, by_transport(s, t), atol=1e-9)


def test_equal_samples_change_places_in_order_at_the_least_cost():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(40, 3)), rng.gamma(2.0, size=(40, 3))
    moved = QuantileAlignment().fit(Xs, Xt).transform_source(Xs)
    for j in range(3):
        np.testing.assert_allclose(moved[np.argsort(Xs[:, j]), j], np.sort(Xt[:, j]))
        assert np.mean((moved[:, j] - Xs[:, j]) ** 2) == pytest.approx(ot.wasserstein_1d(Xs[:, j], Xt[:, j], p=2))


def test_a_monotone_change_of_units_is_undone_for_new_rows():
    rng = np.random.default_rng(0)
    Xs, new = rng.normal(size=(5000, 1)), rng.uniform(-1.5, 1.5, size=(50, 1))
    aligned = QuantileAlignment().fit(Xs, np.exp(rng.normal(size=(5000, 1)))).transform_source(new)
    np.testing.assert_allclose(aligned, np.exp(new), rtol=0.12)


def test_the_map_keeps_the_order_and_goes_on_beyond_the_ends_as_these_moved():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(30, 1)), rng.normal(size=(45, 1)) ** 3
    fitted = QuantileAlignment().fit(Xs, Xt)
    line = np.linspace(-10, 10, 2001)[:, None]
    assert (np.diff(fitted.transform_source(line).ravel()) >= -1e-12).all()
    top = Xs.max(keepdims=True).reshape(1, 1)
    np.testing.assert_allclose(fitted.transform_source(top + 5), fitted.transform_source(top) + 5)


def test_constant_columns_go_to_the_targets_mean_and_take_nothing_along():
    Xs = np.column_stack([np.full(20, 3.0), np.arange(20.0)])
    Xt = np.column_stack([np.arange(20.0), np.full(20, 7.0)])
    fitted = QuantileAlignment().fit(Xs, Xt)
    moved = fitted.transform_source(Xs)
    np.testing.assert_allclose(moved[:, 0], 9.5)
    np.testing.assert_allclose(moved[:, 1], 7.0)
    np.testing.assert_allclose(fitted.transform_source([[4.0, 3.5]]), [[10.5, 7.0]])


def test_few_quantiles_come_close_to_all_of_them():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(4000, 1)), rng.gamma(3.0, size=(3000, 1))
    every, few = (QuantileAlignment(n_quantiles=n).fit(Xs, Xt) for n in (None, 200))
    assert len(every.source_map_.knots) == 4000
    assert len(few.source_map_.knots) == 200
    inner = np.linspace(-2, 2, 99)[:, None]
    assert np.abs(every.transform_source(inner) - few.transform_source(inner)).max() < 0.1


def test_quantiles_of_a_sample_with_many_ties_are_distinct_knots():
    knots, images = rearrangement(np.repeat([0.0, 1.0], [90, 10]), np.arange(100.0), n_quantiles=1)
    np.testing.assert_allclose((knots, images), ([0.1], [49.5]))
    s = np.concatenate([np.zeros(90), np.arange(1.0, 11.0)])
    knots, images = rearrangement(s, np.arange(100.0), n_quantiles=10)
    np.testing.assert_allclose(knots, [0.0, 5.5], atol=1e-12)
    np.testing.assert_allclose(images, [44.5, 94.5])


def test_the_order_of_rows_makes_no_difference():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(40, 2)), rng.normal(size=(50, 2))
    first = QuantileAlignment().fit(Xs, Xt).transform_source(Xs)
    second = QuantileAlignment().fit(rng.permutation(Xs), rng.permutation(Xt)).transform_source(Xs)
    np.testing.assert_allclose(first, second, atol=1e-12)


def test_single_precision_stays():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(40, 2)).astype(np.float32), rng.normal(size=(50, 2)).astype(np.float32)
    fitted = QuantileAlignment().fit(Xs, Xt)
    assert fitted.transform_source(Xs).dtype == np.float32


def test_no_quantile_at_all_is_refused():
    with pytest.raises(InputError, match="n_quantiles"):
        QuantileAlignment(n_quantiles=0).fit(np.eye(3), np.eye(3))
