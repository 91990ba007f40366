"""Feature augmentation against the problems it stands for, written out."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix, issparse
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from headstart import Domain, Transfer
from headstart.checks import check_method
from headstart.errors import InputError, NeedsError
from headstart.features import feature_augmentation as module
from headstart.features.feature_augmentation import BlocksMap, FeatureAugmentation
from headstart.method import four_steps
from headstart.store import parts
from headstart.store.parts import dump_part, load_part


def regression(n_s=40, n_l=8, n_u=30, d=3, seed=0):
    """Source, labelled and unlabelled target rows of two linear tasks that differ a little; labels of mean zero."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_s + n_l + n_u, d))
    w = rng.normal(size=d)
    y = X @ w + 0.1 * rng.normal(size=len(X))
    y[n_s:] += X[n_s:, 0]
    y -= y[: n_s + n_l].mean()
    y[n_s + n_l :] = np.nan
    return X, y, np.repeat(["source", "target"], [n_s, n_l + n_u])


@pytest.mark.parametrize("sparse", [False, True])
def test_the_kernel_doubles_within_a_domain_and_stays_across(sparse):
    rng = np.random.default_rng(0)
    X = {name: rng.normal(size=(5, 3)) for name in ("a", "b", "target")}
    both, names = np.vstack([X["a"], X["b"]]), np.repeat(["a", "b"], 5)
    as_given = csr_matrix if sparse else np.asarray
    method = FeatureAugmentation().fit(as_given(both), as_given(X["target"]), origin=names)
    rows = method.transform_source(as_given(both), origin=names), method.transform(as_given(X["target"]))
    assert all(issparse(Z) == sparse for Z in rows)
    Z = np.vstack([Z.toarray() if sparse else Z for Z in rows])
    everything = np.vstack(list(X.values()))
    within = np.kron(np.eye(3), np.ones((5, 5)))
    np.testing.assert_allclose(Z @ Z.T, (1 + within) * (everything @ everything.T))


def test_without_a_penalty_the_target_is_learned_from_its_own_rows_alone():
    X, y, domain = regression()
    fitted = Transfer(FeatureAugmentation(), LinearRegression(fit_intercept=False)).fit(X, y, domain=domain)
    own = LinearRegression(fit_intercept=False).fit(X[40:48], y[40:48])
    np.testing.assert_allclose(fitted.predict(X), own.predict(X), atol=1e-8)


@pytest.mark.parametrize("target_weight", [1.0, 5.0])
@pytest.mark.parametrize("unlabelled", [False, True])
def test_ridge_solves_the_problem_in_three_weight_vectors(unlabelled, target_weight):
    X, y, domain = regression()
    Xs, Xl, Xu, d, alpha = X[:40], X[40:48], X[48:], 3, 0.7
    # Labels whose weighted mean is zero, so that "the mean label" is zero.
    y[:48] -= np.average(y[:48], weights=np.repeat([1.0, target_weight], [40, 8]))
    method = FeatureAugmentation(unlabelled, unlabelled_weight=2.5, target_weight=target_weight)
    fitted = Transfer(method, Ridge(alpha=alpha, fit_intercept=False)).fit(X, y, domain=domain)

    # || Xs (w0 + ws) - ys ||^2 + g || Xl (w0 + wt) - yl ||^2 + u || Xu (ws - wt) ||^2 + alpha || (w0, ws, wt) ||^2
    one, none = np.eye(d), np.zeros((d, d))
    of_s, of_t, apart = np.hstack([one, one, none]), np.hstack([one, none, one]), np.hstack([none, one, -one])
    left = of_s.T @ Xs.T @ Xs @ of_s + target_weight * of_t.T @ Xl.T @ Xl @ of_t + alpha * np.eye(3 * d)
    if unlabelled:
        left += 2.5 * apart.T @ Xu.T @ Xu @ apart
    right = of_s.T @ Xs.T @ y[:40] + target_weight * of_t.T @ Xl.T @ y[40:48]
    w = np.linalg.solve(left, right)
    np.testing.assert_allclose(fitted.predict(X), X @ of_t @ w, atol=1e-8)
    np.testing.assert_allclose(fitted.predictor_.predict_source(X), X @ of_s @ w, atol=1e-8)


def test_much_weight_on_unlabelled_rows_makes_the_models_agree():
    X, y, domain = regression()
    gaps = []
    for weight in (0.0, 1.0, 1e6):
        fitted = Transfer(FeatureAugmentation(True, weight), Ridge(1e-3)).fit(X, y, domain=domain).predictor_
        gaps.append(np.abs(fitted.predict(X) - fitted.predict_source(X)).max())
    assert gaps[0] > gaps[1] > 100 * gaps[2]


def test_unlabelled_rows_do_not_pull_the_intercept():
    X, y, domain = regression()
    low = Transfer(FeatureAugmentation(True), Ridge()).fit(X, y, domain=domain).predict(X)
    high = Transfer(FeatureAugmentation(True), Ridge()).fit(X, y + 100, domain=domain).predict(X)
    np.testing.assert_allclose(high, low + 100, atol=1e-8)
    rng = np.random.default_rng(0)
    X, y = 1e-3 * rng.normal(size=(1500, 2)), np.full(1500, np.nan)
    y[:100], y[100:110] = np.arange(100) % 10 == 0, np.arange(10) == 0
    method = FeatureAugmentation(unlabelled=True, unlabelled_weight=1.0)
    fitted = Transfer(method, LogisticRegression()).fit(X, y, domain=np.repeat(["source", "target"], [100, 1400]))
    np.testing.assert_allclose(fitted.predict_proba(X)[:, 1], 0.1, atol=0.005)


def test_balanced_unlabelled_rows_count_as_the_source_together_and_one_each_at_most():
    for n_u, each in ((10, 1.0), (400, 0.1)):
        X, y, domain = regression(n_u=n_u)
        balanced = Transfer(FeatureAugmentation(True), Ridge()).fit(X, y, domain=domain).predict(X)
        by_hand = Transfer(FeatureAugmentation(True, each), Ridge()).fit(X, y, domain=domain).predict(X)
        np.testing.assert_allclose(balanced, by_hand, atol=1e-10)


def test_every_source_has_a_block_of_its_own_and_is_compared_with_the_target():
    X, y, domain = regression(n_s=60)
    domain = domain.astype("<U8")
    domain[:60] = np.where(np.arange(60) % 2, "far", "near")
    y[1:60:2] += 3 * X[1:60:2, 1]
    y[:68] -= y[:68].mean()  # there is no intercept, so the mean label is to be zero
    for unlabelled in (False, True):
        method = FeatureAugmentation(unlabelled, unlabelled_weight=1e6)
        fitted = Transfer(method, Ridge(1e-3, fit_intercept=False)).fit(X, y, domain=domain)
        _, far, near, target = fitted.predictor_.model.coef_.reshape(4, 3)
        if unlabelled:
            np.testing.assert_allclose([far, near], [target, target], atol=1e-2)
        else:
            assert abs((far - near)[1] - 3) < 0.2
    assert np.array_equal(fitted.predictor_.source_map.factors, [1, 0, 0, 0])
    mapped = fitted.method_.transform_source(X[:2], origin=["near", "far"])
    np.testing.assert_array_equal(mapped[0], np.concatenate([X[0], 0 * X[0], X[0], 0 * X[0]]))
    np.testing.assert_array_equal(mapped[1], np.concatenate([X[1], X[1], 0 * X[1], 0 * X[1]]))
    with pytest.raises(InputError, match="no source 'nera'; did you mean 'near'"):
        fitted.method_.transform_source(X[:1], origin=["nera"])


def test_target_labels_are_needed_unless_unlabelled_rows_take_part():
    X, y, domain = regression()
    y[domain == "target"] = np.nan
    with pytest.raises(NeedsError, match="labelled target rows"):
        Transfer(FeatureAugmentation(), Ridge()).fit(X, y, domain=domain)
    assert np.isfinite(Transfer(FeatureAugmentation(True), Ridge()).fit(X, y, domain=domain).predict(X)).all()
    assert FeatureAugmentation.needs.target_labels
    assert not FeatureAugmentation(unlabelled=True).needs.target_labels
    with pytest.raises(NeedsError, match="unlabelled_weight must be a number or 'balanced'"):
        Transfer(FeatureAugmentation(True, "much"), Ridge()).fit(X, y, domain=domain)


def test_classes_keep_their_type_where_no_target_row_is_labelled():
    X, y, _ = regression()
    for labels in ((y[:40] > 0).astype(int), np.where(y[:40] > 0, "yes", "no")):
        source, target = Domain(X[:40], labels), Domain(X[40:], task="classification")
        journey = four_steps(FeatureAugmentation(True), source, target, LogisticRegression())
        assert journey.predictor.predict(X).tolist()[0] in labels.tolist()
        assert journey.predictor.classes_.tolist() == np.unique(labels).tolist()
        assert isinstance(journey.predictor.classes_.tolist()[0], str | int)


def test_of_very_many_unlabelled_rows_some_are_drawn(monkeypatch):
    X, y, domain = regression(n_u=200)
    every = Transfer(FeatureAugmentation(True, 0.1), Ridge()).fit(X, y, domain=domain).predict(X)
    monkeypatch.setattr(module, "MOST_UNLABELLED", 100)
    drawn = Transfer(FeatureAugmentation(True, 0.2), Ridge()).fit(X, y, domain=domain).predict(X)
    assert 0 < np.abs(every - drawn).max() < 0.1


def test_a_saved_predictor_predicts_the_same(monkeypatch):
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in (BlocksMap,)}
    monkeypatch.setattr(parts, "TRUSTED", parts.TRUSTED | names)
    X, y, domain = regression()
    predictor = Transfer(FeatureAugmentation(), Ridge()).fit(X, y, domain=domain).predictor_
    np.testing.assert_array_equal(load_part(dump_part(predictor), "test").predict(X), predictor.predict(X))


@pytest.mark.parametrize("unlabelled", [False, True])
def test_feature_augmentation_passes_the_common_checks(unlabelled):
    check_method(FeatureAugmentation(unlabelled))
