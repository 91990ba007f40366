"""What every density ratio must do: come nearer the truth with more rows, be flat without a shift, tell new rows."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from headstart.errors import InputError, NeedsError
from headstart.instances import (
    KLIEP,
    KMM,
    RULSIF,
    ULSIF,
    DomainClassifierWeighting,
    GaussianWeighting,
    KDEWeighting,
    NearestNeighborWeighting,
)
from headstart.instances.overlap import held_out_separation

MEAN, DEVIATION = 0.5, 0.8


def squares():
    """Return a classifier whose log odds are quadratic, as the log ratio of two Gaussians is."""
    return make_pipeline(PolynomialFeatures(2), StandardScaler(), LogisticRegression(C=100, max_iter=2000))


def nearest(n):
    """Return nearest-neighbour weighting with as many neighbours as bring single weights to the ratio."""
    return NearestNeighborWeighting(n_neighbors=int(np.sqrt(n)), smoothing=0)


METHODS = {
    "kmm": lambda n: KMM(),
    "kliep": lambda n: KLIEP(),
    "ulsif": lambda n: ULSIF(),
    "rulsif": lambda n: RULSIF(),
    "domain classifier": lambda n: DomainClassifierWeighting(squares()),
    "nearest neighbour": nearest,
    "gaussian": lambda n: GaussianWeighting(),
    "kde": lambda n: KDEWeighting(),
}


def samples(n, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)), MEAN + DEVIATION * rng.normal(size=(n, 1))


def true_ratio(X, alpha=0.0):
    """Return p_t / (alpha p_t + (1 - alpha) p_s) of N(0, 1) and N(MEAN, DEVIATION^2)."""
    r = np.exp((X**2 - ((X - MEAN) / DEVIATION) ** 2)[:, 0] / 2) / DEVIATION
    return r / (alpha * r + 1 - alpha)


def error(w, r):
    """Return the mean squared error of weights scaled to a mean of 1, beside the mean square of the ratio."""
    w, r = w / w.mean(), r / r.mean()
    return ((w - r) ** 2).mean() / (r**2).mean()


@pytest.mark.filterwarnings("ignore:KMM")
@pytest.mark.parametrize("name", METHODS)
def test_weights_come_nearer_the_true_ratio_with_more_rows(name):
    alpha = 0.1 if name == "rulsif" else 0.0
    errors = {}
    for n in (150, 2400):
        of_seeds = []
        for seed in range(4):
            Xs, Xt = samples(n, seed)
            of_seeds.append(error(METHODS[name](n).weigh(Xs, Xt), true_ratio(Xs, alpha)))
        errors[n] = np.mean(of_seeds)
    flat = error(np.ones(10_000), true_ratio(np.random.default_rng(9).normal(size=(10_000, 1)), alpha))
    assert errors[2400] < 0.6 * errors[150]
    assert errors[2400] < 0.25 * flat


@pytest.mark.parametrize("name", METHODS)
def test_weights_are_flat_without_a_shift(name):
    rng = np.random.default_rng(3)
    w = METHODS[name](3000).weigh(rng.normal(size=(3000, 1)), rng.normal(size=(3000, 1)))
    # With weights of exactly 1 this is 0; with those of the shift above it is 0.55.
    assert np.std(w) < 0.3
    assert w.mean() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("method", [KLIEP(), ULSIF(), RULSIF(), GaussianWeighting(), KDEWeighting()])
def test_the_ratio_at_the_source_rows_is_the_weight(method):
    Xs, Xt = samples(300, 0)
    w = method.weigh(Xs, Xt)
    np.testing.assert_allclose(method.ratio(Xs), w, rtol=1e-9)
    assert method.ratio(Xs[:5].astype(np.float32)).dtype == np.float32
    grid = np.linspace(-2, 2, 9)[:, None]
    assert np.corrcoef(np.log(method.ratio(grid)), np.log(true_ratio(grid)))[0, 1] > 0.9


def test_a_ratio_before_weigh_and_rows_of_other_columns_are_refused():
    with pytest.raises(NeedsError, match="call weigh"):
        KLIEP().ratio(np.zeros((2, 1)))
    with pytest.raises(InputError, match="source rows have 1 columns, target rows 2"):
        KLIEP().weigh(np.zeros((3, 1)), np.zeros((3, 2)))
    with pytest.raises(InputError, match=r"KMM: .*NaN"):
        KMM().weigh(np.array([[np.nan]]), np.zeros((3, 1)))


@pytest.mark.parametrize("name", METHODS)
def test_domains_that_do_not_overlap_give_finite_weights_and_a_word_about_it(name):
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(80, 2)), 50 + rng.normal(size=(60, 2))
    method = METHODS[name](80)
    with pytest.warns(UserWarning, match="hardly overlap"):
        w = method.weigh(Xs, Xt)
    assert np.isfinite(w).all()
    assert 0 <= w.min() <= w.max() <= len(Xs) + 1e-9


def test_kmm_says_when_few_rows_carry_nearly_all_the_weight():
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match=r"\d+ of 200 source rows carry 95% of the weight"):
        KMM(gamma=1.0).weigh(rng.normal(size=(200, 2)), 1.5 + 0.1 * rng.normal(size=(60, 2)))


def test_domains_that_overlap_are_not_said_to_be_apart():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KLIEP().weigh(rng.normal(size=(300, 40)), 0.2 + rng.normal(size=(200, 40)))
        # More columns than rows: any two samples can be parted, but not rows that were held out.
        assert held_out_separation(rng.normal(size=(40, 300)), rng.normal(size=(40, 300))) < 0.9
