"""Distances between samples: closed forms, brute force, second solvers, hard cases."""

import warnings

import numpy as np
import ot
import pytest
from scipy import stats
from scipy.linalg import sqrtm
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression

from headstart.errors import InputError, NeedsError
from headstart.evidence import shift


def clouds(n_s=30, n_t=20, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_s, d)), 0.5 + rng.normal(size=(n_t, d)) @ rng.normal(size=(d, d))


def test_energy_distance_is_twice_the_squared_distance_of_the_distribution_functions_in_one_column():
    Xs, Xt = clouds(d=1)
    assert shift.energy_distance(Xs, Xt, permutations=0).value == pytest.approx(
        stats.energy_distance(Xs[:, 0], Xt[:, 0]) ** 2
    )


def test_energy_distance_equals_the_means_of_distances():
    Xs, Xt = clouds()
    brute = 2 * cdist(Xs, Xt).mean() - cdist(Xs, Xs).mean() - cdist(Xt, Xt).mean()
    found = shift.energy_distance(Xs, Xt, permutations=999)
    assert found.value == pytest.approx(brute)
    assert found.p < 0.05


def test_wasserstein_of_each_column_is_that_of_scipy_and_of_transport():
    Xs, Xt = clouds()
    np.testing.assert_allclose(
        shift.wasserstein(Xs, Xt), [stats.wasserstein_distance(a, b) for a, b in zip(Xs.T, Xt.T, strict=True)]
    )
    squared = [ot.emd2_1d(a, b, metric="sqeuclidean") for a, b in zip(Xs.T, Xt.T, strict=True)]
    np.testing.assert_allclose(shift.wasserstein(Xs, Xt, order=2), np.sqrt(squared))


def test_sliced_wasserstein_of_a_translation_is_its_length_by_the_root_of_d():
    Xs = np.random.default_rng(0).normal(size=(50, 4))
    found = shift.sliced_wasserstein(Xs, Xs + np.array([3.0, 0, 0, 0]), directions=4000)
    assert found.value == pytest.approx(3 / 2, rel=0.05)


def test_sliced_wasserstein_has_a_p_value_where_it_is_asked_for():
    Xs, Xt = clouds()
    assert shift.sliced_wasserstein(Xs, Xt).p is None
    assert shift.sliced_wasserstein(Xs, Xt + 3, permutations=99).p == 0.01


@pytest.mark.parametrize("d", [3, 60])
def test_coral_distance_equals_its_formula_with_few_and_many_columns(d):
    Xs, Xt = clouds(d=d)
    true = np.square(np.cov(Xs.T) - np.cov(Xt.T)).sum() / (4 * d**2)
    assert shift.coral_distance(Xs, Xt) == pytest.approx(true)
    assert shift.coral_distance(csr_matrix(Xs), csr_matrix(Xt)) == pytest.approx(true)


@pytest.mark.parametrize("d", [3, 12])
def test_frechet_distance_equals_its_formula_by_matrix_roots(d):
    Xs, Xt = clouds(d=d)
    Cs, Ct = np.cov(Xs.T), np.cov(Xt.T)
    root = sqrtm(Cs)
    true = np.square(Xs.mean(0) - Xt.mean(0)).sum() + np.trace(Cs + Ct - 2 * np.real(sqrtm(root @ Ct @ root)))
    assert shift.frechet_distance(Xs, Xt) == pytest.approx(true)
    assert shift.frechet_distance(csr_matrix(Xs), csr_matrix(Xt)) == pytest.approx(true)


def test_frechet_distance_with_more_columns_than_rows_is_that_in_the_space_of_the_rows():
    rng = np.random.default_rng(0)
    Xs, Xt = clouds(d=5)
    Q = np.linalg.qr(rng.normal(size=(200, 5)))[0]
    assert shift.frechet_distance(Xs @ Q.T, Xt @ Q.T) == pytest.approx(shift.frechet_distance(Xs, Xt))


def test_otdd_of_points_alone_is_transport_with_label_distances():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(12, 2)), 1 + rng.normal(size=(15, 2))
    ys, yt = np.arange(12) % 2, np.array(["p", "q", "r"])[np.arange(15) % 3]
    C = cdist(Xs, Xt, "sqeuclidean")
    for i in range(12):
        for j in range(15):
            C[i, j] += shift.frechet_distance(Xs[ys == ys[i]], Xt[yt == yt[j]])
    assert shift.otdd(Xs, Xt, ys, yt).value == pytest.approx(np.sqrt(ot.emd2([], [], C)))


def test_otdd_does_not_look_at_the_names_of_labels_and_sees_labels_that_are_permuted():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = rng.normal(size=(60, 2)) + 4 * y[:, None]
    assert shift.otdd(X, X, y, 1 - y).value == pytest.approx(0, abs=1e-6)
    assert shift.otdd(X, X, y, rng.permutation(y)).value > 1


def test_otdd_leaves_out_rows_without_a_label_and_needs_some():
    X = np.array([[0.0], [2.0], [50.0]])
    assert shift.otdd(X, X + 1, [0, 0, None], [0, 0, None]).value == pytest.approx(np.sqrt(2))
    with pytest.raises(NeedsError, match="give yt"):
        shift.otdd(X, X, [0, 0, 1], None)


def test_a_linear_classifiers_proxy_a_distance_is_that_of_two_normals():
    # The best line errs in Phi(-1/2) of the rows when the means are one standard deviation apart.
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(2000, 2)), rng.normal([1, 0], 1, (2000, 2))
    true = 2 * (1 - 2 * stats.norm.cdf(-0.5))
    assert shift.proxy_a_distance(Xs, Xt).value == pytest.approx(true, abs=0.08)


def test_proxy_a_distance_of_noise_is_small_where_that_of_the_rows_learned_from_is_large():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(2, 60, 100))
    found = shift.proxy_a_distance(Xs, Xt)
    X, z = np.concatenate([Xs, Xt]), np.repeat([0, 1], 60)
    assert 2 * (2 * LogisticRegression(max_iter=1000).fit(X, z).score(X, z) - 1) > 1.9
    assert abs(found.value) < 0.7
    assert found.p > 0.05


def test_proxy_a_distance_is_balanced():
    # Whoever always says "source" is right in 95 % of the rows, and tells nothing.
    rng = np.random.default_rng(0)
    found = shift.proxy_a_distance(rng.normal(size=(1900, 2)), rng.normal(size=(100, 2)))
    assert abs(found.value) < 0.4


MEASURES = {
    "mmd": lambda Xs, Xt: shift.mmd(Xs, Xt, permutations=19),
    "energy": lambda Xs, Xt: shift.energy_distance(Xs, Xt, permutations=19),
    "wasserstein": shift.wasserstein,
    "sliced": lambda Xs, Xt: shift.sliced_wasserstein(Xs, Xt, permutations=19),
    "coral": shift.coral_distance,
    "frechet": shift.frechet_distance,
    "forest": lambda Xs, Xt: shift.classifier_two_sample_test(Xs, Xt, 19),
    "proxy A": lambda Xs, Xt: shift.proxy_a_distance(Xs, Xt, permutations=19),
    "diagnosis": lambda Xs, Xt: shift.diagnose(Xs, Xt, permutations=19),
}
RNG = np.random.default_rng(0)
HARD = {
    "constant": (np.ones((12, 2)), np.ones((10, 2))),
    "constant apart": (np.zeros((12, 2)), np.ones((10, 2))),
    "one column": (RNG.normal(size=(12, 1)), RNG.normal(size=(10, 1))),
    "wide": (RNG.normal(size=(12, 40)), RNG.normal(size=(10, 40))),
    "large": (1e8 * RNG.normal(size=(12, 2)), 1e8 * RNG.normal(size=(10, 2))),
    "sparse": (csr_matrix(RNG.poisson(0.3, (12, 30)) * 1.0), csr_matrix(RNG.poisson(0.3, (10, 30)) * 1.0)),
}


@pytest.mark.parametrize("measure", MEASURES)
def test_hard_cases_give_finite_answers_without_a_warning_and_edit_nothing(measure):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for Xs, Xt in HARD.values():
            before = Xs.copy(), Xt.copy()
            found = MEASURES[measure](Xs, Xt)
            numbers = (found.value, found.p) if isinstance(found, shift.Measured) else getattr(found, "sure", found)
            assert np.isfinite(np.asarray(numbers, dtype=float)).all()
            assert abs(Xs - before[0]).max() == 0
            assert abs(Xt - before[1]).max() == 0


@pytest.mark.parametrize("measure", MEASURES)
def test_different_columns_are_refused(measure):
    with pytest.raises(InputError, match="columns"):
        MEASURES[measure](np.eye(4), np.eye(3))
