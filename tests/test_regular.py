"""Regular transfer against scikit-learn at zero pull, the source at infinite pull, and optimality in between."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from headstart import Transfer
from headstart.errors import InputError, NeedsError
from headstart.models import RegularTransfer

LEARNERS = [
    LogisticRegression(tol=1e-10, max_iter=20000),
    LogisticRegression(C=0.1, tol=1e-10, max_iter=20000, fit_intercept=False),
    LogisticRegression(C=3.0, tol=1e-10, max_iter=20000, class_weight="balanced"),
    Ridge(alpha=2.0),
    Ridge(alpha=0.5, fit_intercept=False),
    LinearRegression(),
]


def data(learner, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X = np.vstack([rng.normal(size=(200, 5)), 0.5 + rng.normal(size=(60, 5))])
    score = X @ rng.normal(size=(5, classes)) + rng.normal(size=(260, classes))
    y = score[:, 0] if isinstance(learner, Ridge | LinearRegression) else score.argmax(axis=1).astype(float)
    return X, y, np.repeat(["source", "target"], [200, 60])


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("learner", LEARNERS, ids=repr)
def test_zero_pull_equals_the_learner_on_the_target_alone(learner, classes):
    X, y, domain = data(learner, classes)
    model = Transfer(RegularTransfer(pull=0), learner).fit(X, y, domain=domain).predictor_
    alone = learner.fit(X[200:], y[200:])
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=2e-5)
    np.testing.assert_allclose(model.intercept_, alone.intercept_, atol=2e-5)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("learner", LEARNERS, ids=repr)
def test_infinite_pull_equals_the_source_model(learner, classes):
    X, y, domain = data(learner, classes)
    model = Transfer(RegularTransfer(pull=np.inf), learner).fit(X, y, domain=domain).predictor_
    source = learner.fit(X[:200], y[:200])
    np.testing.assert_array_equal(model.coef_, source.coef_)
    np.testing.assert_array_equal(model.intercept_, source.intercept_)
    np.testing.assert_array_equal(model.predict(X), source.predict(X))
    strong = Transfer(RegularTransfer(pull=1e9), learner).fit(X, y, domain=domain).predictor_
    np.testing.assert_allclose(strong.coef_, source.coef_, atol=1e-5)


def test_ridge_in_between_equals_a_general_minimiser():
    learner = Ridge(alpha=2.0)
    X, y, domain = data(learner)
    model = Transfer(RegularTransfer(pull=7.0), learner).fit(X, y, domain=domain).predictor_
    source = Ridge(alpha=2.0).fit(X[:200], y[:200])
    start = np.append(source.coef_, source.intercept_)

    def objective(theta):
        residual = y[200:] - X[200:] @ theta[:5] - theta[5]
        return residual @ residual + 2.0 * theta[:5] @ theta[:5] + 7.0 * ((theta - start) ** 2).sum()

    best = minimize(objective, np.zeros(6), tol=1e-14).x
    np.testing.assert_allclose(np.append(model.coef_, model.intercept_), best, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_in_between_has_a_zero_gradient(classes):
    learner = LogisticRegression(C=0.5, tol=1e-12, max_iter=20000)
    X, y, domain = data(learner, classes)
    model = Transfer(RegularTransfer(pull=3.0), learner).fit(X, y, domain=domain).predictor_
    source = learner.fit(X[:200], y[:200])
    P = model.predict_proba(X[200:])
    onehot = np.eye(classes)[y[200:].astype(int)]
    slope = (P - onehot) if classes > 2 else (P - onehot)[:, 1:]
    gradient = 0.5 * slope.T @ X[200:] + model.coef_ + 3.0 * (model.coef_ - source.coef_)
    np.testing.assert_allclose(gradient, 0, atol=1e-4)
    at_intercept = 0.5 * slope.sum(0) + 3.0 * (model.intercept_ - source.intercept_)
    np.testing.assert_allclose(at_intercept, 0, atol=1e-4)


def test_a_class_that_the_source_does_not_know_can_be_learned():
    learner = LogisticRegression(max_iter=5000)
    X, y, domain = data(learner, 3)
    y[:200] = np.minimum(y[:200], 1)
    transfer = Transfer(RegularTransfer(pull=0.01), learner).fit(X, y, domain=domain)
    assert transfer.classes_.tolist() == [0, 1, 2]
    assert (transfer.predict(X[200:]) == 2).any()


def test_widening_two_classes_to_three_keeps_their_odds():
    learner = LogisticRegression()
    X, y, domain = data(learner, 2)
    y[-1] = 2
    two = LogisticRegression().fit(X[:200], y[:200])
    three = Transfer(RegularTransfer(pull=np.inf), learner).fit(X, y, domain=domain)
    log_odds = np.log(three.predict_proba(X)[:, 1] / three.predict_proba(X)[:, 0])
    np.testing.assert_allclose(log_odds, two.decision_function(X), atol=1e-10)


def test_cross_validation_trusts_a_good_source_and_leaves_a_bad_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2060, 5))
    y = (X @ [2.0, -1.0, 1.0, 0.0, 0.5] > 0).astype(float)
    domain = np.repeat(["source", "target"], [2000, 60])
    good = Transfer(RegularTransfer(), LogisticRegression()).fit(X, y, domain=domain)
    y[:2000] = 1 - y[:2000]
    bad = Transfer(RegularTransfer(), LogisticRegression()).fit(X, y, domain=domain)
    assert good.method_.pull_ > 10 * bad.method_.pull_


def test_a_wrong_pull_or_learner_is_refused():
    X, y, domain = data(Ridge())
    with pytest.raises(InputError, match="zero or more"):
        Transfer(RegularTransfer(pull=-1.0), Ridge()).fit(X, y, domain=domain)
    with pytest.raises(InputError, match="'cv'"):
        Transfer(RegularTransfer(pull="auto"), Ridge()).fit(X, y, domain=domain)
    from sklearn.svm import SVR

    with pytest.raises(NeedsError, match="linear learner"):
        Transfer(RegularTransfer(), SVR()).fit(X, y, domain=domain)


@pytest.mark.parametrize("learner", [LogisticRegression(l1_ratio=1.0, solver="saga"), Ridge(positive=True)])
def test_a_penalty_that_it_does_not_solve_is_refused_and_not_replaced(learner):
    X, y, domain = data(learner)
    with pytest.raises(NeedsError, match="squared penalties only"):
        Transfer(RegularTransfer(), learner).fit(X, y, domain=domain)
