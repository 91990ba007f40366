"""Going on from the source's model: against partial_fit by hand, pooled fits, and the ends of early stopping."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from headstart import Domain, Transfer
from headstart.checks import check_method, check_order_of_rows, check_same_seed_same_answer
from headstart.delivery import Plan
from headstart.errors import InputError, NeedsError
from headstart.models.warm_start import WarmStart, in_own_order
from headstart.parcel import pack, read_parcel, unpack

LINEAR = [
    LogisticRegression(tol=1e-10, max_iter=20000),
    LogisticRegression(C=0.1, tol=1e-10, max_iter=20000, fit_intercept=False),
    LogisticRegression(C=3.0, tol=1e-10, max_iter=20000, class_weight="balanced"),
    Ridge(alpha=2.0),
    Ridge(alpha=0.5, fit_intercept=False),
    LinearRegression(),
]


def data(learner=None, classes=2, seed=0):
    """Return the rows and labels of 200 source rows and 60 target rows."""
    rng = np.random.default_rng(seed)
    X = np.vstack([rng.normal(size=(200, 5)), 0.5 + rng.normal(size=(60, 5))])
    score = X @ rng.normal(size=(5, classes)) + rng.normal(size=(260, classes))
    regression = isinstance(learner, Ridge | LinearRegression | SGDRegressor | RandomForestRegressor)
    regression |= isinstance(learner, GradientBoostingRegressor)
    return X, score[:, 0] if regression else score.argmax(axis=1), np.repeat(["source", "target"], [200, 60])


def sorted_parts(X, y):
    """Return (X, y) of source and target as the method orders them."""
    parts = [in_own_order(Domain(X[at], y[at])) for at in (slice(200), slice(200, None))]
    return [(part.X, part.labels) for part in parts]


def objective(learner, W, b, X, y):
    """Return a linear learner's objective on rows: that of ridge, or of logistic regression with two classes."""
    scores = X @ np.ravel(W) + float(np.ravel(b)[0])
    if isinstance(learner, Ridge):
        return ((y - scores) ** 2).sum() + learner.alpha * (W**2).sum()
    return learner.C * np.logaddexp(0, -np.where(y == 1, scores, -scores)).sum() + 0.5 * (W**2).sum()


# Linear learners


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("learner", LINEAR, ids=repr)
def test_no_round_leaves_the_source_and_many_reach_the_target_alone(learner, classes):
    X, y, domain = data(learner, classes)
    none = Transfer(WarmStart(0), learner).fit(X, y, domain=domain).predictor_
    source = clone(learner).fit(X[:200], y[:200])
    np.testing.assert_allclose(none.coef_, source.coef_, atol=1e-6)
    np.testing.assert_allclose(none.intercept_, source.intercept_, atol=1e-6)
    many = Transfer(WarmStart(3000), learner).fit(X, y, domain=domain).predictor_
    alone = clone(learner).fit(X[200:], y[200:])
    np.testing.assert_allclose(many.coef_, alone.coef_, atol=1e-3)
    np.testing.assert_allclose(many.intercept_, alone.intercept_, atol=1e-3)


@pytest.mark.parametrize("learner", [LogisticRegression(C=0.5), Ridge(alpha=3.0)], ids=repr)
def test_the_first_round_goes_down_the_gradient(learner):
    X, y, domain = data(learner)
    source = clone(learner).fit(*sorted_parts(X, y)[0])
    once = Transfer(WarmStart(1), learner).fit(X, y, domain=domain).predictor_
    step = np.append(np.ravel(once.coef_ - source.coef_), once.intercept_ - source.intercept_)
    start, gradient = np.append(np.ravel(source.coef_), source.intercept_), np.empty(6)
    for j, e in enumerate(np.eye(6) * 1e-5):
        up, down = (objective(learner, t[:5], t[5], X[200:], y[200:]) for t in (start + e, start - e))
        gradient[j] = (up - down) / 2e-5
    cosine = -step @ gradient / np.linalg.norm(step) / np.linalg.norm(gradient)
    np.testing.assert_allclose(cosine, 1.0, atol=1e-6)


@pytest.mark.parametrize("learner", [LogisticRegression(C=0.5), Ridge(alpha=3.0)], ids=repr)
def test_more_rounds_fit_the_target_better_and_never_worse(learner):
    X, y, domain = data(learner)
    losses = []
    for rounds in (0, 1, 2, 4, 8, 16):
        model = Transfer(WarmStart(rounds), learner).fit(X, y, domain=domain).predictor_
        losses.append(objective(learner, model.coef_, model.intercept_, X[200:], y[200:]))
    assert (np.diff(losses) <= 1e-9).all()
    assert losses[-1] < losses[0]


def test_logistic_regression_learns_a_class_that_the_source_does_not_know():
    X, y, domain = data(classes=3)
    y[:200] = np.minimum(y[:200], 1)
    fitted = Transfer(WarmStart(50), LogisticRegression()).fit(X, y, domain=domain)
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert (fitted.predict(X[200:]) == 2).any()


def test_a_class_without_a_target_row_is_still_predicted():
    X, y, domain = data(classes=3)
    kept = (np.arange(260) < 200) | (y < 2)
    few = Transfer(WarmStart(1), LogisticRegression()).fit(X[kept], y[kept], domain=domain[kept])
    assert few.classes_.tolist() == [0, 1, 2]
    assert (few.predict(X) == 2).any()


def test_a_row_that_weighs_two_is_a_row_twice():
    X, y, domain = data()
    again = np.append(np.arange(260), np.arange(200, 220))
    weight = np.ones(260)
    weight[200:220] = 2.0
    twice = Transfer(WarmStart(5), LogisticRegression()).fit(X[again], y[again], domain=domain[again])
    heavy = Transfer(WarmStart(5), LogisticRegression()).fit(X, y, domain=domain, sample_weight=weight)
    np.testing.assert_allclose(twice.predictor_.coef_, heavy.predictor_.coef_, atol=1e-7)


# Learners with partial_fit


@pytest.mark.parametrize(
    "learner",
    [
        SGDClassifier(random_state=0),
        SGDRegressor(random_state=0),
        Perceptron(random_state=0),
        MLPClassifier((4,), max_iter=20, random_state=0),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_partial_fit_goes_on_as_by_hand(learner):
    X, y, domain = data(learner)
    model = Transfer(WarmStart(3), learner).fit(X, y, domain=domain).predictor_
    source, target = sorted_parts(X, y)
    by_hand = clone(learner).fit(*source)
    for _ in range(3):
        by_hand.partial_fit(*target)
    np.testing.assert_array_equal(model.predict(X), by_hand.predict(X))
    name = "coefs_" if isinstance(learner, MLPClassifier) else "coef_"
    for mine, theirs in zip(getattr(model, name), getattr(by_hand, name), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "learner", [GaussianNB(var_smoothing=1e-14), MultinomialNB(), BernoulliNB(binarize=1.0)], ids=repr
)
@pytest.mark.parametrize("rounds", ["auto", 1, 7])
def test_naive_bayes_goes_on_to_the_pooled_fit(learner, rounds):
    X, y, domain = data()
    X = np.abs(X)
    fitted = Transfer(WarmStart(rounds), learner).fit(X, y, domain=domain)
    np.testing.assert_allclose(fitted.predict_proba(X), clone(learner).fit(X, y).predict_proba(X), atol=1e-9)
    assert fitted.method_.rounds_ == 1


# Ensembles


@pytest.mark.parametrize(
    "learner",
    [
        RandomForestClassifier(6, random_state=0),
        ExtraTreesClassifier(6, random_state=0),
        RandomForestRegressor(6, random_state=0),
    ],
    ids=repr,
)
def test_a_forest_keeps_its_trees_and_adds_some_of_the_target(learner):
    X, y, domain = data(learner)
    model = Transfer(WarmStart(4), learner).fit(X, y, domain=domain).predictor_
    source, _ = sorted_parts(X, y)
    before = clone(learner).fit(*source)
    assert len(model.estimators_) == 10
    for mine, theirs in zip(model.estimators_, before.estimators_, strict=False):
        np.testing.assert_array_equal(mine.predict(X), theirs.predict(X))
    # The new trees have seen 60 rows at most.
    assert max(tree.tree_.n_node_samples[0] for tree in model.estimators_[6:]) <= 60
    assert len(Transfer(WarmStart(), learner).fit(X, y, domain=domain).predictor_.estimators_) == 12


@pytest.mark.parametrize(
    "learner",
    [
        GradientBoostingClassifier(n_estimators=5, random_state=0),
        GradientBoostingRegressor(n_estimators=5, random_state=0),
    ],
    ids=repr,
)
def test_boosting_fits_further_trees_to_what_the_sources_leave(learner):
    X, y, domain = data(learner)
    model = Transfer(WarmStart(7), learner).fit(X, y, domain=domain).predictor_
    source, target = sorted_parts(X, y)
    by_hand = clone(learner).fit(*source).set_params(warm_start=True, n_estimators=12).fit(*target)
    np.testing.assert_array_equal(model.predict(X), by_hand.predict(X))
    before = Transfer(WarmStart(0), learner).fit(X, y, domain=domain).predictor_
    assert model.score(X[200:], y[200:]) > before.score(X[200:], y[200:])


# As a method


def test_what_has_arrived_is_not_changed_by_going_on():
    X, y, _ = data()
    source, target = Domain(X[:200], y[:200]), Domain(X[200:], y[200:])
    for learner in (GaussianNB(), SGDClassifier(random_state=0), RandomForestClassifier(3, random_state=0)):
        method = WarmStart()
        arrived = method.carry(method.extract(method.learn_source(source, learner), source), target)
        before = arrived.predict(X)
        first = method.learn_target(arrived, target, learner).predict(X)
        np.testing.assert_array_equal(arrived.predict(X), before)
        np.testing.assert_array_equal(method.learn_target(arrived, target, learner).predict(X), first)


def test_the_common_checks_pass():
    check_method(WarmStart())
    check_method(WarmStart(1))


@pytest.mark.parametrize(
    "learner", [SGDClassifier(random_state=0), GaussianNB(), RandomForestClassifier(4, random_state=0)], ids=repr
)
def test_the_order_of_the_rows_does_not_matter_to_other_learners(learner, monkeypatch):
    import headstart.checks

    regressor = SGDRegressor(random_state=0)
    monkeypatch.setattr(
        headstart.checks, "learner_for", lambda task: learner if task == "classification" else regressor
    )
    check_order_of_rows(WarmStart())
    check_same_seed_same_answer(WarmStart())


@pytest.mark.parametrize(
    "learner",
    [
        LogisticRegression(),
        GaussianNB(),
        SGDClassifier(random_state=0),
        MLPClassifier((3,), max_iter=5, random_state=0),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_model_goes_on_after_travelling_in_a_file(learner, tmp_path, monkeypatch):
    from headstart.store import parts

    adam = "sklearn.neural_network._stochastic_optimizers.AdamOptimizer"
    monkeypatch.setattr(parts, "TRUSTED", parts.TRUSTED | {adam})
    X, y, _ = data(classes=3)
    names, plan = np.array(["a", "b", "c"]), Plan("classification")
    source, target = Domain(X[:200], names[y[:200]], name="s"), Domain(X[200:], names[y[200:]])
    parcel = pack(WarmStart(2), learner, source, plan)
    assert not parcel.holds_row_of(source)
    parcel.save(tmp_path / "knowledge")
    made = read_parcel(tmp_path / "knowledge", lambda name, parameters: WarmStart(**parameters))
    here, there = unpack(parcel, target, plan)[0], unpack(made, target, plan)[0]
    np.testing.assert_array_equal(here.predict(X), there.predict(X))
    there.save(tmp_path / "model", check_on=X)


@pytest.mark.parametrize(
    ("learner", "why"),
    [
        (SVC(), "starts anew"),
        (DecisionTreeClassifier(), "starts anew"),
        (HistGradientBoostingClassifier(), "starts anew"),
        (make_pipeline(StandardScaler(), SGDClassifier()), "starts anew"),
        (MLPClassifier(solver="lbfgs"), "starts anew"),
        (LogisticRegression(l1_ratio=1.0, solver="saga"), "squared penalties"),
        (SGDClassifier(early_stopping=True), "early_stopping=False"),
        (SGDClassifier(class_weight="balanced"), "give numbers"),
        (GradientBoostingClassifier(n_iter_no_change=3), "n_iter_no_change=None"),
        (RandomForestClassifier(class_weight="balanced"), "sample weights"),
    ],
    ids=repr,
)
def test_a_learner_that_can_not_go_on_is_refused_in_one_line(learner, why):
    X, y, domain = data()
    with pytest.raises(NeedsError, match=why) as caught:
        Transfer(WarmStart(), learner).fit(X, y, domain=domain)
    assert "\n" not in str(caught.value)


def test_a_regressor_that_solves_for_an_optimum_is_refused():
    X, y, domain = data(Ridge())
    with pytest.raises(NeedsError, match="can't go on with Lasso"):
        Transfer(WarmStart(), Lasso()).fit(X, y, domain=domain)


def test_classes_that_do_not_suit_are_refused_in_one_line():
    X, y, domain = data(classes=3)
    new = np.where(domain == "source", np.minimum(y, 1), y)
    for learner in (GaussianNB(), RandomForestClassifier(2)):
        with pytest.raises(NeedsError, match="learned no class '2' at the source"):
            Transfer(WarmStart(), learner).fit(X, new, domain=domain)
    lost = np.where(domain == "target", np.minimum(y, 1), y)
    with pytest.raises(NeedsError, match="no labelled row of target is of class '2'"):
        Transfer(WarmStart(), RandomForestClassifier(2)).fit(X, lost, domain=domain)
    assert set(Transfer(WarmStart(), GaussianNB()).fit(X, lost, domain=domain).predict(X)) == {0, 1, 2}
    with pytest.raises(NeedsError, match="are of class 1; there is no classifier to go on with"):
        Transfer(WarmStart(), GaussianNB()).fit(X, np.where(domain == "source", 1, y), domain=domain)


@pytest.mark.parametrize("rounds", [-1, 2.5, "many"])
def test_wrong_rounds_are_refused(rounds):
    X, y, domain = data()
    with pytest.raises(InputError, match="rounds must be 'auto' or a whole number"):
        Transfer(WarmStart(rounds), LogisticRegression()).fit(X, y, domain=domain)
