"""Balanced weighting against weighted least squares by hand, and against the models at the ends of its path."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.svm import SVC

from headstart import Transfer
from headstart.baselines import Pooled, SourceOnly, TargetOnly
from headstart.checks import check_method
from headstart.domain import Domain
from headstart.errors import InputError, NeedsError
from headstart.fitting import held_out_loss
from headstart.instances.balanced import BALANCES, BalancedWeighting, balanced_weights, fit_balanced


def related(n_s=120, n_t=15, n_test=400, apart=1.0, classes=False, seed=0):
    """Return rows, labels and domains of two linear tasks whose coefficients differ by `apart`; then test rows."""
    rng = np.random.default_rng(seed)
    beta_s = np.array([1.0, -1.0, 0.5, 0.0])
    beta_t = beta_s + apart * np.array([-0.5, 0.5, 0.5, 1.0])
    X = rng.normal(size=(n_s + n_t + n_test, 4))
    y = np.append(X[:n_s] @ beta_s, X[n_s:] @ beta_t) + 0.3 * rng.normal(size=len(X))
    if classes:
        y = (y > 0).astype(float)
    domain = np.repeat(["source", "target"], [n_s, n_t])
    return X[: n_s + n_t], y[: n_s + n_t], domain, X[n_s + n_t :], y[n_s + n_t :]


def least_squares(X, y, w):
    """Solve weighted least squares with an intercept by its normal equations."""
    A = np.column_stack([X, np.ones(len(X))])
    return np.linalg.solve(A.T @ (w[:, None] * A), A.T @ (w * y))


def weights_by_hand(domain, g, own=None):
    own = np.ones(len(domain)) if own is None else own
    source = domain == "source"
    return np.where(source, (1 - g) * own / own[source].sum(), g * own / own[~source].sum())


@pytest.mark.parametrize("g", [0.1, 0.5, 0.93])
@pytest.mark.parametrize("weighted", [False, True])
def test_balanced_equals_weighted_least_squares_by_hand(g, weighted):
    X, y, domain, X_test, _ = related()
    own = np.random.default_rng(1).uniform(0.2, 3, len(X)) if weighted else None
    fitted = Transfer(BalancedWeighting(g), LinearRegression()).fit(X, y, domain=domain, sample_weight=own)
    theta = least_squares(X, y, weights_by_hand(domain, g, own))
    np.testing.assert_allclose(fitted.predict(X_test), X_test @ theta[:-1] + theta[-1], rtol=1e-9, atol=1e-9)


def test_balanced_minimises_the_mixture_of_mean_losses():
    X, y, domain, _, _ = related(classes=True)
    g, source = 0.3, domain == "source"
    model = Transfer(BalancedWeighting(g), LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000))
    model = model.fit(X, y, domain=domain).predictor_
    slope = (model.predict_proba(X)[:, 1] - y)[:, None] * np.column_stack([X, np.ones(len(X))])
    gradient = (1 - g) * slope[source].mean(axis=0) + g * slope[~source].mean(axis=0)
    assert np.abs(gradient).max() < 1e-5


@pytest.mark.parametrize(
    ("learner", "classes"),
    [
        (LinearRegression(), False),
        (Ridge(alpha=5.0), False),
        (LogisticRegression(C=0.1), True),
        (SVC(C=0.5), True),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_path_runs_exactly_from_source_only_over_pooled_to_target_only(learner, classes, weighted):
    X, y, domain, X_test, _ = related(classes=classes, seed=2)
    own = np.random.default_rng(1).uniform(0.2, 3, len(X)) if weighted else np.ones(len(X))
    if weighted:  # Pooled scales the source's own weights to a mean of 1
        own[domain == "source"] /= own[domain == "source"].mean()
        own[domain == "target"] /= own[domain == "target"].mean()
    for g, same in ((0, SourceOnly()), (15 / 135, Pooled(target_weight=1.0)), (1, TargetOnly())):
        answers = [
            Transfer(method, learner).fit(X, y, domain=domain, sample_weight=own).predict(X_test)
            for method in (BalancedWeighting(g), same)
        ]
        np.testing.assert_allclose(*answers, rtol=1e-10, atol=1e-10)


def test_half_and_half_is_pooled_with_balanced_domains():
    X, y, domain, X_test, _ = related()
    answers = [
        Transfer(method, LinearRegression()).fit(X, y, domain=domain).predict(X_test)
        for method in (BalancedWeighting(0.5), Pooled("balanced"))
    ]
    np.testing.assert_allclose(*answers, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("g", [0.0, 0.01, 0.4, 0.99, 1.0])
def test_the_total_weight_is_what_the_weights_are_worth(g):
    ws, wt = balanced_weights(np.ones(200), np.ones(8), g)
    w = np.concatenate([ws, wt])
    assert wt.sum() == pytest.approx(g * w.sum(), abs=1e-12)
    assert w.sum() == pytest.approx(w.sum() ** 2 / (w @ w), rel=1e-12)


def test_cross_validation_takes_the_balance_of_the_smallest_held_out_loss():
    X, y, domain, _, _ = related()
    method = Transfer(BalancedWeighting(folds=4, random_state=3), Ridge()).fit(X, y, domain=domain).method_
    source = domain == "source"
    target = Domain(X[~source], y[~source])
    losses = [
        held_out_loss(lambda part, g=g: fit_balanced(Ridge(), X[source], y[source], None, part, g), target, 4, 3)
        for g in BALANCES
    ]
    assert list(method.losses_.values()) == pytest.approx(losses)
    assert method.balance_ == BALANCES[int(np.argmin(losses))]


def test_cross_validation_trusts_a_like_source_and_turns_from_an_unlike_one():
    def chosen(apart):
        for seed in range(8):
            X, y, domain, _, _ = related(n_t=12, apart=apart, seed=seed)
            yield Transfer(BalancedWeighting(), LinearRegression()).fit(X, y, domain=domain).method_.balance_

    assert np.mean(list(chosen(apart=0.0))) < 0.5
    assert set(chosen(apart=8.0)) == {1.0}


def test_balanced_beats_both_ends_where_the_source_is_near():
    errors = {"balanced": [], "target": [], "source": []}
    for seed in range(12):
        X, y, domain, X_test, y_test = related(n_t=8, apart=0.35, seed=seed)
        for name, method in (("balanced", BalancedWeighting()), ("target", TargetOnly()), ("source", SourceOnly())):
            fitted = Transfer(method, LinearRegression()).fit(X, y, domain=domain)
            errors[name].append(np.mean((fitted.predict(X_test) - y_test) ** 2))
    mean = {name: np.mean(each) for name, each in errors.items()}
    assert mean["balanced"] < mean["target"]
    assert mean["balanced"] < mean["source"]


def test_of_equal_balances_the_target_is_trusted_most():
    # The target's rows are copies of the source's, and the task has no noise: every balance is right everywhere.
    X = np.repeat(np.array([[-2.0], [-1.0], [1.0], [2.0]]), 10, axis=0)
    y, domain = (X[:, 0] > 0).astype(float), np.tile(["source", "target"], 20)
    fitted = Transfer(BalancedWeighting(), SVC()).fit(X, y, domain=domain)
    assert set(fitted.method_.losses_.values()) == {0.0}
    assert fitted.method_.balance_ == 1.0


def test_with_one_labelled_target_row_every_row_counts_the_same():
    X, y, domain, X_test, _ = related()
    y[np.flatnonzero(domain == "target")[1:]] = np.nan
    fitted = Transfer(BalancedWeighting(), Ridge()).fit(X, y, domain=domain)
    known = ~np.isnan(y)
    np.testing.assert_allclose(fitted.predict(X_test), Ridge().fit(X[known], y[known]).predict(X_test), rtol=1e-10)
    assert fitted.method_.losses_ == {}


@pytest.mark.parametrize("balance", [0.3, "cv"])
def test_text_labels_sparse_rows_and_single_precision_change_nothing(balance):
    X, y, domain, X_test, _ = related(classes=True)
    X = np.where(np.abs(X) < 0.4, 0, X)
    learner = LogisticRegression(tol=1e-8, max_iter=2000)
    plain = Transfer(BalancedWeighting(balance), learner).fit(X, y, domain=domain)
    named = Transfer(BalancedWeighting(balance), learner).fit(X, np.where(y == 1, "yes", "no"), domain=domain)
    sparse = Transfer(BalancedWeighting(balance), learner).fit(csr_matrix(X), y, domain=domain)
    single = Transfer(BalancedWeighting(balance), learner).fit(X.astype(np.float32), y, domain=domain)
    expected = plain.predict_proba(X_test)
    np.testing.assert_allclose(named.predict_proba(X_test), expected, atol=1e-10)
    np.testing.assert_allclose(sparse.predict_proba(X_test), expected, atol=1e-5)
    np.testing.assert_allclose(single.predict_proba(X_test), expected, atol=1e-3)  # the solver works in float32
    assert single.predictor_.coef_.dtype == np.float32


def test_a_class_without_target_rows_is_still_predicted_while_the_source_has_a_say():
    X, y, domain, X_test, _ = related(classes=True)
    y = y + (X[:, 2] > 0.8)
    y[(domain == "target") & (y == 2)] = np.nan
    fitted = Transfer(BalancedWeighting(0.5), LogisticRegression()).fit(X, y, domain=domain)
    assert 2 in fitted.predict(X_test)


@pytest.mark.parametrize("wrong", [-0.1, 1.01, np.nan, "half"])
def test_balanced_refuses_a_balance_that_is_none(wrong):
    X, y, domain, _, _ = related()
    with pytest.raises(InputError, match="balance must be"):
        Transfer(BalancedWeighting(wrong), Ridge()).fit(X, y, domain=domain)


def test_balanced_refuses_a_single_fold_and_a_target_without_labels():
    X, y, domain, _, _ = related()
    with pytest.raises(InputError, match="at least 2 folds"):
        Transfer(BalancedWeighting(folds=1), Ridge()).fit(X, y, domain=domain)
    with pytest.raises(NeedsError, match="labelled target rows"):
        Transfer(BalancedWeighting(), Ridge()).fit(X, np.where(domain == "target", np.nan, y), domain=domain)


def test_balanced_with_a_fixed_number_passes_the_common_checks():
    check_method(BalancedWeighting(0.5))
