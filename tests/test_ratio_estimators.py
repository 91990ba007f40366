"""Density ratios by a domain classifier, by nearest neighbours and by two densities, against what is known."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import gaussian_kde, multivariate_normal, norm
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.covariance import ledoit_wolf
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import LinearSVC

from headstart.draws import folds
from headstart.errors import InputError
from headstart.instances.densities import column_scale
from headstart.instances.domain_classifier import DomainClassifierWeighting, cut
from headstart.instances.gaussian import GaussianWeighting
from headstart.instances.kde import AROUND_SCOTT, KDEWeighting
from headstart.instances.nearest_neighbor import NearestNeighborWeighting

QUADRATIC = make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression())
WITH_RATIO = [DomainClassifierWeighting(random_state=0), GaussianWeighting(), KDEWeighting()]
ALL = [*WITH_RATIO, NearestNeighborWeighting(), NearestNeighborWeighting(n_neighbors=3, smoothing=0)]
SPARSE = [method for method in ALL if not method.needs.dense]


def shifted(n_s=150, n_t=120, d=3, seed=0, shift=0.5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_s, d)), shift + 0.8 * rng.normal(size=(n_t, d))


def true_ratio(X, shift=0.5):
    return (norm.pdf(X, shift, 0.8) / norm.pdf(X)).prod(axis=1)


def error(w, r):
    w, r = w / w.mean(), r / r.mean()
    return np.mean((w - r) ** 2) / np.mean(r**2)


@pytest.mark.parametrize(
    "method_for",
    [
        lambda n: DomainClassifierWeighting(QUADRATIC, random_state=0),
        lambda n: GaussianWeighting(),
        lambda n: KDEWeighting(),
        lambda n: KDEWeighting(bandwidth="cv"),
        lambda n: NearestNeighborWeighting(n_neighbors=int(np.sqrt(n)), smoothing=0),
    ],
    ids=["classifier", "gaussian", "kde", "kde-cv", "nearest"],
)
def test_weights_approach_the_known_ratio_with_more_rows(method_for):
    def mean_error(n):
        errors = []
        for seed in range(4):
            Xs, Xt = shifted(n, n, d=1, seed=seed)
            errors.append(error(method_for(n).weigh(Xs, Xt), true_ratio(Xs)))
        return np.mean(errors)

    few, many = mean_error(200), mean_error(4000)
    assert many < 0.4 * few
    assert many < 0.03  # weights of one have an error of 0.22


@pytest.mark.parametrize(
    ("method", "flatness"),
    [
        (DomainClassifierWeighting(random_state=0), 0.01),
        (GaussianWeighting(), 0.01),
        (KDEWeighting(), 0.05),
        (NearestNeighborWeighting(n_neighbors=60, smoothing=0), 0.06),
    ],
    ids=lambda value: type(value).__name__,
)
def test_weights_are_nearly_flat_without_a_shift(method, flatness):
    rng = np.random.default_rng(3)
    w = method.weigh(rng.normal(size=(3000, 2)), rng.normal(size=(3000, 2)))
    assert w.var() < flatness


@pytest.mark.parametrize("method", [GaussianWeighting(), KDEWeighting(), NearestNeighborWeighting()], ids=repr)
def test_weights_are_one_when_the_samples_are_equal(method):
    Xs, _ = shifted()
    np.testing.assert_allclose(method.weigh(Xs, Xs[::-1]), 1.0, rtol=1e-10)


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_weights_have_a_mean_of_one_and_keep_float32(method):
    Xs, Xt = shifted()
    wide = method.weigh(Xs, Xt)
    narrow = method.weigh(Xs.astype(np.float32), Xt.astype(np.float32))
    assert wide.mean() == pytest.approx(1.0, rel=1e-12)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, wide, rtol=1e-3)


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_the_order_of_rows_does_not_matter_even_where_rows_are_equal(method):
    rng = np.random.default_rng(0)
    Xs, Xt = rng.integers(0, 3, (80, 2)).astype(float), rng.integers(0, 4, (60, 2)).astype(float)
    i, j = rng.permutation(80), rng.permutation(60)
    w = method.weigh(Xs, Xt)
    np.testing.assert_allclose(method.weigh(Xs[i], Xt[j]), w[i], rtol=1e-6)


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_equal_source_rows_weigh_the_same(method):
    Xs, Xt = shifted(60, 50)
    w = method.weigh(np.repeat(Xs, 2, axis=0), np.repeat(Xt, 2, axis=0)).reshape(60, 2)
    np.testing.assert_allclose(w[:, 0], w[:, 1], rtol=1e-10)


@pytest.mark.parametrize("method", SPARSE, ids=repr)
def test_sparse_rows_are_weighed_as_dense_ones(method):
    Xs, Xt = (np.where(np.abs(X) < 0.5, 0.0, X) for X in shifted(d=6))
    np.testing.assert_allclose(method.weigh(csr_matrix(Xs), csr_matrix(Xt)), method.weigh(Xs, Xt), rtol=1e-3)


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_far_domains_give_finite_weights_and_a_warning(method):
    Xs, Xt = shifted()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        w = method.weigh(Xs, Xt + 1000.0)
    assert np.isfinite(w).all()
    assert w.mean() == pytest.approx(1.0)
    messages = [str(warning.message) for warning in said]
    assert all(warning.category is UserWarning for warning in said)
    if not isinstance(method, NearestNeighborWeighting) or not method.smoothing:
        assert any("hardly overlap" in message for message in messages)
    for message in messages:
        assert "\n" not in message
    if hasattr(method, "ratio_"):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            assert np.isfinite(method.ratio_((Xt + 1000.0).astype(np.float32)).astype(np.float32)).all()


@pytest.mark.parametrize("method", ALL, ids=repr)
@pytest.mark.parametrize("case", ["one target row", "one source row", "two rows", "all rows the same"])
def test_hardly_any_rows_give_finite_weights_with_a_mean_of_one(method, case):
    Xs, Xt = shifted(20, 20, d=2)
    Xs, Xt = {
        "one target row": (Xs, Xt[:1]),
        "one source row": (Xs[:3] if getattr(method, "n_neighbors", 1) > 1 else Xs[:1], Xt),
        "two rows": (Xs[:3], Xt[:2]),
        "all rows the same": (np.ones((20, 2)), np.ones((20, 2))),
    }[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        w = method.weigh(Xs, Xt)
    assert np.isfinite(w).all()
    assert w.mean() == pytest.approx(1.0)
    if case == "all rows the same":
        np.testing.assert_allclose(w, 1.0)


@pytest.mark.parametrize("method", [GaussianWeighting(), KDEWeighting()], ids=repr)
def test_columns_that_vary_in_neither_domain_change_nothing(method):
    Xs, Xt = shifted()
    more_s, more_t = np.column_stack([np.full(150, 0.1), Xs]), np.column_stack([np.full(120, 7.3), Xt])
    np.testing.assert_allclose(method.weigh(more_s, more_t), method.weigh(Xs, Xt), rtol=1e-10)


# Folds are dealt in an order that depends on the units; without folds, the classifier's weights are the same too.
@pytest.mark.parametrize("method", [DomainClassifierWeighting(folds=1), *WITH_RATIO[1:]], ids=repr)
def test_units_of_the_columns_do_not_matter(method):
    Xs, Xt = shifted()
    units, origin = np.array([1e-3, 1.0, 1e4]), np.array([5.0, 0.0, -300.0])
    np.testing.assert_allclose(method.weigh(Xs * units + origin, Xt * units + origin), method.weigh(Xs, Xt), rtol=1e-5)


@pytest.mark.parametrize(
    "method",
    [*WITH_RATIO[1:], KDEWeighting(max_centers=40, random_state=0), DomainClassifierWeighting(folds=1)],
    ids=repr,
)
def test_the_ratio_at_the_source_rows_is_their_weights(method):
    Xs, Xt = shifted()
    w = method.weigh(Xs, Xt)
    np.testing.assert_allclose(method.ratio_(Xs), w)


# Two Gaussians


@pytest.mark.parametrize("spread", [0.8, 0.2])
@pytest.mark.filterwarnings("ignore:GaussianWeighting")
def test_gaussian_ratio_is_the_closed_form_without_shrinkage(spread):
    Xs, Xt = shifted(d=4)
    Xt = 0.5 + (Xt - 0.5) * spread / 0.8
    method = GaussianWeighting(shrinkage=0.0)
    w = method.weigh(Xs, Xt)
    new = np.random.default_rng(5).normal(size=(30, 4))

    def log_ratio(X):
        fits = [multivariate_normal(Z.mean(axis=0), np.cov(Z.T, bias=True)) for Z in (Xt, Xs)]
        return fits[0].logpdf(X) - fits[1].logpdf(X)

    scale = 1 / np.exp(log_ratio(Xs)).mean()
    np.testing.assert_allclose(w, scale * np.exp(log_ratio(Xs)), rtol=1e-9, atol=1e-30)
    np.testing.assert_allclose(method.ratio_(new), scale * np.exp(log_ratio(new)), rtol=1e-9, atol=1e-30)


def test_gaussian_ratio_shrinks_as_ledoit_and_wolf_do_in_scaled_columns():
    Xs, Xt = shifted(40, 25, d=5)
    w = GaussianWeighting().weigh(Xs, Xt)
    s = np.sqrt((40 * Xs.var(axis=0) + 25 * Xt.var(axis=0)) / 63)
    logs = [
        multivariate_normal(Z.mean(axis=0), ledoit_wolf(Z)[0]).logpdf(Xs / s) * sign
        for Z, sign in ((Xt / s, 1), (Xs / s, -1))
    ]
    r = np.exp(sum(logs))
    np.testing.assert_allclose(w, r / r.mean(), rtol=1e-9)


def test_gaussian_ratio_for_one_target_row_is_log_linear():
    # The covariance is the source's, so the quadratic terms cancel.
    Xs, Xt = shifted(300, 1, d=2)
    w = GaussianWeighting().weigh(Xs, Xt)
    design = np.column_stack([np.ones(300), Xs])
    coefficients, *_ = np.linalg.lstsq(design, np.log(w), rcond=None)
    np.testing.assert_allclose(design @ coefficients, np.log(w), atol=1e-9)
    assert np.abs(coefficients[1:]).max() > 0.1


def test_gaussian_ratio_bears_columns_that_repeat_each_other():
    Xs, Xt = shifted()
    w = GaussianWeighting(shrinkage=0.0).weigh(Xs[:, [0, 0]], Xt[:, [0, 0]])
    np.testing.assert_allclose(w, GaussianWeighting(shrinkage=0.0).weigh(Xs[:, :1], Xt[:, :1]), rtol=1e-6)


@pytest.mark.parametrize("shrinkage", [-0.1, 1.5, "oas"])
def test_gaussian_weighting_refuses_other_shrinkages(shrinkage):
    with pytest.raises(InputError, match="shrinkage"):
        GaussianWeighting(shrinkage=shrinkage).weigh(*shifted())


# Two kernel density estimates


def test_kde_ratio_is_that_of_scipys_estimates_in_one_column():
    Xs, Xt = shifted(d=1, n_s=90, n_t=70)
    method = KDEWeighting(bandwidth=0.3)
    w = method.weigh(Xs, Xt)
    s = np.sqrt((90 * Xs.var() + 70 * Xt.var()) / 158)
    densities = [gaussian_kde(X[:, 0], bw_method=0.3 * s / X.std(ddof=1)) for X in (Xt, Xs)]
    r = densities[0](Xs[:, 0]) / densities[1](Xs[:, 0])
    np.testing.assert_allclose(w, r / r.mean(), rtol=1e-10)


@pytest.mark.parametrize("bandwidth", ["scott", "silverman", 0.8])
def test_kde_ratio_is_that_of_sklearns_estimates_with_each_row_counted_once(bandwidth):
    Xs, Xt = shifted(d=3, n_s=90, n_t=70)
    method = KDEWeighting(bandwidth=bandwidth)
    w = method.weigh(Xs, Xt)
    rules = {"scott": 70 ** (-1 / 7), "silverman": (70 * 5 / 4) ** (-1 / 7)}
    h = rules.get(bandwidth, bandwidth)
    assert method.bandwidth_ == pytest.approx(h)
    s = np.sqrt((90 * Xs.var(axis=0) + 70 * Xt.var(axis=0)) / 158)
    source, target = (KernelDensity(bandwidth=h).fit(X / s) for X in (Xs, Xt))
    r = np.exp(target.score_samples(Xs / s) - source.score_samples(Xs / s))
    np.testing.assert_allclose(w, r / r.mean(), rtol=1e-10)
    # A new row joins the rows of the source's density.
    new = np.random.default_rng(5).normal(size=(30, 3)) * 3
    itself = np.exp(KernelDensity(bandwidth=h).fit(new[:1]).score_samples(new[:1])[0])
    p_s = np.exp(source.score_samples(new / s)) + itself / 90
    np.testing.assert_allclose(method.ratio_(new), np.exp(target.score_samples(new / s)) / p_s / r.mean(), rtol=1e-9)


def test_kde_width_by_cross_validation_has_the_ratio_with_the_least_squared_error():
    Xs, Xt = shifted(60, 40, d=2)
    Zs, Zt = (column_scale(Xs, Xt)(X) for X in (Xs, Xt))

    def criterion(multiple):
        h = multiple * len(Zt) ** (-1 / 6)

        def sums(z, Z):
            return sum(np.exp(-((z - c) ** 2).sum() / (2 * h**2)) for c in Z)

        squares = [(sums(z, Zt) / 40 / (sums(z, Zs) / 60)) ** 2 for z in Zs]
        # A target row is left out of its own density; in the source's, any row counts itself once.
        others = [sums(z, np.delete(Zt, j, axis=0)) / 39 / ((sums(z, Zs) + 1) / 60) for j, z in enumerate(Zt)]
        return np.mean(squares) / 2 - np.mean(others)

    best = min(AROUND_SCOTT, key=criterion)
    method = KDEWeighting()
    method.weigh(Xs, Xt)
    assert method.bandwidth_ == pytest.approx(best * 40 ** (-1 / 6))


@pytest.mark.parametrize("d", [5, 10, 20])
def test_kde_width_by_cross_validation_serves_the_ratio_better_than_a_rule_for_densities(d):
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(1000, d)), 0.3 + 0.8 * rng.normal(size=(1000, d))
    r = np.exp(((Xs**2).sum(axis=1) - (((Xs - 0.3) / 0.8) ** 2).sum(axis=1)) / 2)
    errors = [
        np.mean((w / w.mean() - r / r.mean()) ** 2)
        for w in (KDEWeighting(bandwidth).weigh(Xs, Xt) for bandwidth in ("cv", "scott"))
    ]
    assert errors[0] < errors[1]


def test_kde_width_by_cross_validation_is_not_fooled_by_rows_given_twice():
    Xs, Xt = shifted(60, 40, d=2)
    once, twice = KDEWeighting(bandwidth="cv"), KDEWeighting(bandwidth="cv")
    once.weigh(Xs, Xt)
    twice.weigh(np.repeat(Xs, 2, axis=0), np.repeat(Xt, 2, axis=0))
    assert twice.bandwidth_ == pytest.approx(once.bandwidth_, rel=0.5)


def test_kde_of_fewer_centers_comes_near_that_of_all_rows():
    Xs, Xt = shifted(5000, 5000, d=2)
    exact = KDEWeighting().weigh(Xs, Xt)
    thinned = [KDEWeighting(max_centers=m, random_state=0).weigh(Xs, Xt) for m in (250, 2500)]
    assert error(thinned[1], exact) < 0.02
    assert error(thinned[1], exact) < error(thinned[0], exact)


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, "wide"])
def test_kde_weighting_refuses_other_bandwidths(bandwidth):
    with pytest.raises(InputError, match="bandwidth"):
        KDEWeighting(bandwidth=bandwidth).weigh(*shifted())
    with pytest.raises(InputError, match="max_centers"):
        KDEWeighting(max_centers=0).weigh(*shifted())


# Nearest neighbours


def votes_by_hand(Xs, Xt, k):
    """Give 1/k to each of the k nearest rows; ties at the last place share what is left."""
    votes = np.zeros(len(Xs))
    for x in Xt:
        distance = np.array([np.sum((z - x) ** 2) for z in Xs])
        left = k
        for d in np.unique(distance):
            tied = np.flatnonzero(distance == d)
            votes[tied] += min(len(tied), left) / (k * len(tied))
            left -= min(len(tied), left)
            if not left:
                break
    return votes


@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("smoothing", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("d", [2, 9])  # by a tree, by brute force
def test_nearest_neighbour_weights_equal_those_of_a_double_loop(k, smoothing, d):
    Xs, Xt = shifted(70, 55, d=d)
    w = NearestNeighborWeighting(n_neighbors=k, smoothing=smoothing).weigh(Xs, Xt)
    raw = votes_by_hand(Xs, Xt, k) + smoothing
    np.testing.assert_allclose(w, raw / raw.mean(), rtol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 4])
@pytest.mark.parametrize("d", [2, 9])
def test_equal_source_rows_share_their_votes(k, d):
    Xs, Xt = shifted(30, 55, d=d)
    Xs = Xs[np.random.default_rng(0).integers(0, 30, 80)]
    w = NearestNeighborWeighting(n_neighbors=k, smoothing=0).weigh(Xs, Xt)
    raw = votes_by_hand(Xs, Xt, k)
    np.testing.assert_allclose(w, raw / raw.mean(), rtol=1e-12, atol=1e-15)


def test_nearest_neighbours_are_right_far_from_the_origin():
    Xs, Xt = shifted(70, 55, d=9)
    near, far = (NearestNeighborWeighting(smoothing=0).weigh(Xs + o, Xt + o) for o in (0.0, 1e7))
    np.testing.assert_allclose(far, near)


def test_weighted_means_over_nearest_neighbours_approach_the_targets():
    def miss(n):
        misses = []
        for seed in range(5):
            Xs, Xt = shifted(n, n, d=1, seed=seed)
            w = NearestNeighborWeighting(smoothing=0).weigh(Xs, Xt)
            misses.append(np.average(Xs[:, 0] ** 2, weights=w) - (0.5**2 + 0.8**2))
        return np.sqrt(np.mean(np.square(misses)))

    assert miss(4000) < 0.5 * miss(100)


def test_smoothing_pulls_the_votes_towards_one_by_the_share_it_says():
    Xs, Xt = shifted(70, 140)
    bare, smooth = (NearestNeighborWeighting(smoothing=s).weigh(Xs, Xt) for s in (0, 1))
    np.testing.assert_allclose(smooth, (2 / 3) * bare + 1 / 3)


def test_fewer_voters_leave_the_votes_right_on_average():
    Xs, Xt = shifted(50, 400, d=2)
    whole = NearestNeighborWeighting(max_rows=None).weigh(Xs, Xt)
    drawn = [NearestNeighborWeighting(max_rows=100, random_state=seed).weigh(Xs, Xt) for seed in range(200)]
    # The mean of 200 draws of 100 of 400 rows has a standard error well below 0.1 in each weight.
    np.testing.assert_allclose(np.mean(drawn, axis=0), whole, atol=0.15)
    assert np.std(drawn, axis=0).max() > 0.1


def test_nearest_neighbours_refuse_what_has_no_meaning():
    Xs, Xt = shifted(5, 5)
    for setting, word in (({"n_neighbors": 6}, "n_neighbors"), ({"n_neighbors": 0}, "n_neighbors")):
        with pytest.raises(InputError, match=word):
            NearestNeighborWeighting(**setting).weigh(Xs, Xt)
    with pytest.raises(InputError, match="smoothing"):
        NearestNeighborWeighting(smoothing=-1).weigh(Xs, Xt)
    with pytest.raises(InputError, match="max_rows"):
        NearestNeighborWeighting(max_rows=0).weigh(Xs, Xt)


# Domain classifier


@pytest.mark.parametrize("classifier", [LogisticRegression(), GaussianNB()], ids=["decision", "probabilities"])
def test_held_out_odds_are_those_of_classifiers_fitted_by_hand(classifier):
    Xs, Xt = shifted(63, 41)
    method = DomainClassifierWeighting(classifier, folds=4, random_state=7)
    w = method.weigh(Xs, Xt)
    X, z = np.vstack([Xs, Xt]), np.repeat([0, 1], [63, 41])
    fold = np.concatenate([folds(Xs, 4, 7), folds(Xt, 4, 7)])
    odds, everywhere, aucs = np.empty(104), [], []
    for k in range(4):
        model = clone(classifier).fit(X[fold != k], z[fold != k])
        n_s, n_t = np.bincount(z[fold != k])
        p = model.predict_proba(X)[:, 1]
        if not hasattr(model, "decision_function"):
            p = np.clip(p, 1 / (n_s + n_t + 2), 1 - 1 / (n_s + n_t + 2))
        everywhere.append(p / (1 - p) * n_s / n_t)
        odds[fold == k] = everywhere[-1][fold == k]
        aucs.append(roc_auc_score(z[fold == k], odds[fold == k]))
    np.testing.assert_allclose(w, odds[:63] / odds[:63].mean(), rtol=1e-4)
    assert method.auc_ == pytest.approx(np.mean(aucs))
    mean = np.exp(np.mean(np.log(everywhere), axis=0))
    np.testing.assert_allclose(method.ratio_(X), mean / odds[:63].mean(), rtol=1e-4)


def test_default_classifier_finds_the_slope_of_a_moved_mean():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(20000, 2)), rng.normal([0.5, -1.0], 1, (20000, 2))
    w = DomainClassifierWeighting(random_state=0).weigh(Xs, Xt)
    slope = np.linalg.lstsq(np.column_stack([np.ones(20000), Xs]), np.log(w), rcond=None)[0]
    np.testing.assert_allclose(slope, [-0.625, 0.5, -1.0], atol=0.06)  # x'm - |m|^2 / 2


def test_cross_fitting_keeps_a_forest_from_knowing_its_rows():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    forest = RandomForestClassifier(30)
    seen = DomainClassifierWeighting(forest, folds=1, random_state=0)
    held = DomainClassifierWeighting(forest, folds=5, random_state=0)
    seen.weigh(Xs, Xt)
    held.weigh(Xs, Xt)
    # A forest tells the rows it was fitted on apart although nothing differs; held-out rows it can't.
    assert np.isnan(seen.auc_)
    assert roc_auc_score(np.repeat([0, 1], 300), np.concatenate([seen.ratio_(Xs), seen.ratio_(Xt)])) > 0.95
    assert held.auc_ == pytest.approx(0.5, abs=0.08)


def test_probabilities_of_zero_and_one_are_kept_away_from_them():
    Xs, Xt = shifted(100, 100, shift=0.5)
    method = DomainClassifierWeighting(RandomForestClassifier(3), random_state=0)
    w = method.weigh(Xs, Xt)
    assert w.min() > 0
    assert w.max() / w.min() <= 161.0**2 * (1 + 1e-9)  # 160 rows a fold: odds between 1/161 and 161
    assert w.max() / w.min() > 100


def test_classifier_weighting_is_the_same_for_the_same_random_state_and_uses_no_global_chance():
    Xs, Xt = shifted()
    forest = RandomForestClassifier(10)
    before = repr(np.random.get_state(legacy=False))
    first, second = (DomainClassifierWeighting(forest, random_state=3).weigh(Xs, Xt) for _ in range(2))
    other = DomainClassifierWeighting(forest, random_state=4).weigh(Xs, Xt)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert repr(np.random.get_state(legacy=False)) == before
    assert forest.random_state is None


def test_auc_is_near_one_half_without_a_shift_and_near_one_without_overlap():
    rng = np.random.default_rng(0)
    method = DomainClassifierWeighting(random_state=0)
    method.weigh(rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3)))
    assert method.auc_ == pytest.approx(0.5, abs=0.03)
    with pytest.warns(UserWarning, match="told apart with AUC 1.000"):
        method.weigh(rng.normal(size=(200, 3)), rng.normal(size=(200, 3)) + 20)
    assert method.auc_ > 0.999


@pytest.mark.parametrize(("n_s", "n_t", "used"), [(20, 30, 5), (20, 3, 3), (4, 30, 4), (20, 1, 5), (1, 2, 2)])
def test_each_fold_holds_rows_of_both_domains_and_a_lone_row_is_never_held_out(n_s, n_t, used):
    Xs, Xt = shifted(n_s, n_t)
    z = np.repeat([0, 1], [n_s, n_t])
    fold = cut(Xs, Xt, 5, 0)
    assert fold.max() + 1 == used
    for domain, n in ((0, n_s), (1, n_t)):
        if n == 1:
            assert fold[z == domain] == -1
        else:
            counts = np.bincount(fold[z == domain], minlength=used)
            assert counts.min() >= 1
            assert counts.max() - counts.min() <= 1


def test_copies_of_a_row_are_held_out_together():
    Xs, Xt = shifted(30, 20)
    i, j = np.random.default_rng(0).integers(0, 30, 90), np.random.default_rng(1).integers(0, 20, 50)
    fold = cut(Xs[i], Xt[j], 5, 0)
    for copies, of_rows in ((i, fold[:90]), (j, fold[90:])):
        assert all(len(set(of_rows[copies == row])) == 1 for row in set(copies))
        assert set(of_rows) == set(range(5))


def test_source_rows_stay_held_out_with_a_single_target_row():
    Xs, Xt = shifted(40, 1)
    method = DomainClassifierWeighting(LogisticRegression(tol=1e-8), random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        w = method.weigh(Xs, Xt)
    X, z = np.vstack([Xs, Xt]), np.repeat([0, 1], [40, 1])
    fold = cut(Xs, Xt, 5, 0)
    log_w = np.empty(40)
    for k in range(5):
        model = LogisticRegression(tol=1e-8).fit(X[fold != k], z[fold != k])
        rows = np.flatnonzero(fold == k)
        log_w[rows] = model.decision_function(X[rows]) + np.log((fold != k).sum() - 1)
    np.testing.assert_allclose(w, np.exp(log_w) / np.exp(log_w).mean(), rtol=1e-3)
    assert np.isnan(method.auc_)


def test_classifiers_without_probabilities_are_refused_and_welcome_when_calibrated():
    Xs, Xt = shifted()
    with pytest.raises(InputError, match="CalibratedClassifierCV"):
        DomainClassifierWeighting(LinearSVC()).weigh(Xs, Xt)
    w = DomainClassifierWeighting(CalibratedClassifierCV(LinearSVC()), random_state=0).weigh(Xs, Xt)
    assert np.corrcoef(w, true_ratio(Xs))[0, 1] > 0.3
    with pytest.raises(InputError, match="folds"):
        DomainClassifierWeighting(folds=0).weigh(Xs, Xt)
