"""Per-domain standardization: what it takes away, and what it does where there is nothing to measure by."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge
from sklearn.preprocessing import RobustScaler, StandardScaler

from headstart import Transfer
from headstart.checks import check_method
from headstart.errors import HeadstartError
from headstart.features import per_domain_standardization as module
from headstart.features.per_domain_standardization import PerDomainStandardization, ScalingMap
from headstart.store import parts
from headstart.store.parts import dump_part, load_part


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.gamma(2.0, size=(60, 4)), 5 - 3 * rng.gamma(3.0, size=(45, 4))


@pytest.mark.parametrize("robust", [False, True])
def test_each_domain_is_scaled_as_scikit_learn_scales_it(rows, robust):
    method = PerDomainStandardization(robust=robust).fit(*rows)
    for X, mapped in zip(rows, (method.transform_source(rows[0]), method.transform(rows[1])), strict=True):
        scaler = RobustScaler(unit_variance=True) if robust else StandardScaler()
        np.testing.assert_allclose(mapped, scaler.fit_transform(X), atol=1e-12)


@pytest.mark.parametrize("robust", [False, True])
def test_other_units_and_offsets_make_no_difference(rows, robust):
    Xs, _ = rows
    method = PerDomainStandardization(robust=robust).fit(Xs, Xs * [1.8, 10.0, 1e-3, 2.0] + [32.0, -5.0, 7.0, 0.0])
    np.testing.assert_allclose(
        method.transform(Xs * [1.8, 10.0, 1e-3, 2.0] + [32.0, -5.0, 7.0, 0.0]), method.transform_source(Xs), atol=1e-8
    )


def test_parts_can_be_left_out(rows):
    Xs, Xt = rows
    only_mean = PerDomainStandardization(with_std=False).fit(Xs, Xt).transform(Xt)
    np.testing.assert_allclose(only_mean, Xt - Xt.mean(axis=0))
    only_scale = PerDomainStandardization(with_mean=False).fit(Xs, Xt).transform(Xt)
    np.testing.assert_allclose(only_scale, Xt / Xt.std(axis=0))


def test_an_outlier_moves_the_robust_map_little(rows):
    Xs, Xt = rows
    spoilt = Xs.copy()
    spoilt[0] = 1e6
    for robust, least, most in ((False, 0.9, 2.0), (True, 0.0, 0.1)):
        calm = PerDomainStandardization(robust=robust).fit(Xs, Xt).transform_source(Xs[1:])
        shaken = PerDomainStandardization(robust=robust).fit(spoilt, Xt).transform_source(Xs[1:])
        assert least <= np.abs(calm - shaken).max() / np.abs(calm).max() < most


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("block", [2**23, 100])
def test_sparse_rows_are_scaled_like_dense_ones_and_stay_sparse(rows, robust, block, monkeypatch):
    monkeypatch.setattr(module, "MOST_AT_ONCE", block)
    Xs, Xt = (X * (np.abs(X) > 1) for X in rows)
    dense = PerDomainStandardization(with_mean=False, robust=robust).fit(Xs, Xt)
    sparse = PerDomainStandardization(with_mean=False, robust=robust).fit(csr_matrix(Xs), csr_matrix(Xt))
    mapped = sparse.transform(csr_matrix(Xt))
    assert mapped.format == "csr"
    np.testing.assert_allclose(mapped.toarray(), dense.transform(Xt), atol=1e-12)
    with pytest.raises(HeadstartError, match=r"[Ss]parse"):
        PerDomainStandardization().fit(csr_matrix(Xs), csr_matrix(Xt))


def test_a_column_with_equal_quartiles_is_scaled_by_its_deviation():
    X = np.zeros((20, 1))
    X[0] = 4.0
    mapped = PerDomainStandardization(robust=True).fit(X, X).transform(X)
    np.testing.assert_allclose(mapped, X / X.std())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_column_takes_the_scale_of_all_rows(rows, dtype):
    Xs, Xt = (X.astype(dtype) for X in rows)
    Xt[:, 0], Xs[:, 1], Xt[:, 1] = 0.1, 0.3, 0.3
    method = PerDomainStandardization().fit(Xs, Xt)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mapped = method.transform(Xt)
    assert mapped.dtype == dtype
    np.testing.assert_allclose(mapped[:, :2], 0.0, atol=1e-6)
    np.testing.assert_allclose(method.target_map_.scale[0], np.append(Xs[:, 0], Xt[:, 0]).std(), rtol=1e-5)
    assert method.target_map_.scale[1] == 1.0


def test_a_domain_of_one_row_is_measured_by_all_rows(rows):
    Xs, Xt = rows[0], rows[1][:1]
    everything = np.vstack([Xs, Xt])
    mapped = PerDomainStandardization().fit(Xs, Xt).transform(Xt)
    np.testing.assert_allclose(mapped, (Xt - everything.mean(axis=0)) / everything.std(axis=0))


def test_every_source_is_a_domain_of_its_own(rows):
    A, B = rows
    X, y = np.vstack([A, 100 + A, B]), np.append(np.tile(A[:, 0], 2), np.full(len(B), np.nan))
    domain = np.repeat(["a", "b", "target"], [60, 60, 45])
    order = np.random.default_rng(0).permutation(len(X))
    transfer = Transfer(PerDomainStandardization(), Ridge()).fit(X[order], y[order], domain=domain[order])
    method = transfer.method_
    np.testing.assert_allclose(
        method.transform_source(A, origin=["a"] * 60), method.transform_source(100 + A, origin=["b"] * 60)
    )
    # What the learner saw: rows of a and of b that mean the same.
    alone = Transfer(PerDomainStandardization(), Ridge(0.5))
    keep = domain != "b"
    np.testing.assert_allclose(
        transfer.predict(B), alone.fit(X[keep], y[keep], domain=domain[keep]).predict(B), atol=1e-10
    )
    # A row that names no source is measured by all source rows.
    both = np.vstack([A, 100 + A])
    np.testing.assert_allclose(method.transform_source(A[:3]), (A[:3] - both.mean(axis=0)) / both.std(axis=0))


def test_a_saved_predictor_predicts_the_same(rows, monkeypatch):
    name = f"{ScalingMap.__module__}.{ScalingMap.__qualname__}"
    monkeypatch.setattr(parts, "TRUSTED", parts.TRUSTED | {name})
    X, y = np.vstack(rows), np.append(rows[0][:, 0], np.full(45, np.nan))
    for method in (PerDomainStandardization(), PerDomainStandardization(with_mean=False)):
        fitted = Transfer(method, Ridge()).fit(X, y, domain=np.repeat(["source", "target"], [60, 45]))
        again = load_part(dump_part(fitted.predictor_), "test")
        np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


@pytest.mark.parametrize("settings", [{}, {"with_mean": False}, {"robust": True}])
def test_per_domain_standardization_passes_the_common_checks(settings):
    check_method(PerDomainStandardization(**settings))
