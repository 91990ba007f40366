"""CORAL against its closed form."""

import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power

from headstart.features import CORAL


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    return rng.normal(size=(200, 6)) @ mix, 2 + rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6))


@pytest.mark.parametrize("reg", [1.0, 0.01])
def test_coral_equals_its_closed_form(rows, reg):
    Xs, Xt = rows
    Cs, Ct = np.cov(Xs.T) + reg * np.eye(6), np.cov(Xt.T) + reg * np.eye(6)
    closed = (Xs - Xs.mean(0)) @ fractional_matrix_power(Cs, -0.5) @ fractional_matrix_power(Ct, 0.5) + Xt.mean(0)
    np.testing.assert_allclose(CORAL(reg=reg).fit(Xs, Xt).transform_source(Xs), closed, rtol=1e-10, atol=1e-10)


def test_coral_gives_the_source_the_targets_covariance_and_mean(rows):
    Xs, Xt = rows
    aligned = CORAL(reg=0).fit(Xs, Xt).transform_source(Xs)
    np.testing.assert_allclose(np.cov(aligned.T), np.cov(Xt.T), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(aligned.mean(0), Xt.mean(0), atol=1e-8)


def test_coral_leaves_target_rows_alone_and_can_keep_the_source_mean(rows):
    Xs, Xt = rows
    method = CORAL(align_means=False).fit(Xs, Xt)
    assert method.transform(Xt) is Xt
    np.testing.assert_allclose(method.transform_source(Xs).mean(0), Xs.mean(0), atol=1e-8)


def test_coral_is_the_identity_on_equal_domains(rows):
    Xs, _ = rows
    np.testing.assert_allclose(CORAL().fit(Xs, Xs).transform_source(Xs), Xs, atol=1e-10)


def test_coral_works_with_more_columns_than_rows():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(10, 40)), rng.normal(size=(8, 40))
    for reg in (0.0, 1.0):
        assert np.isfinite(CORAL(reg=reg).fit(Xs, Xt).transform_source(Xs)).all()
