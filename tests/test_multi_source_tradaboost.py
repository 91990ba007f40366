"""TrAdaBoost with several sources: a round by hand, and the choice between good and bad sources."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from headstart import Domain, Transfer
from headstart.baselines import Pooled
from headstart.domain import stack
from headstart.instances.multi_source_tradaboost import MultiSourceTrAdaBoost
from headstart.instances.tradaboost import TrAdaBoost
from headstart.method import four_steps

#: Rows 0 and 1 are of source "a", 2 and 3 of "b", 4 to 7 of the target.
ROWS = np.arange(8.0)[:, None]
TRUTH = np.array([0, 1, 0, 1, 0, 1, 0, 1])


class Plan:
    """The rows that each candidate gets wrong, in the order of the fits; takes note of what each fit was given."""

    def __init__(self, *wrong):
        self.wrong, self.given = wrong, []

    def __deepcopy__(self, memo):
        return self


class Planned(ClassifierMixin, BaseEstimator):
    def __init__(self, plan):
        self.plan = plan

    def fit(self, X, y, sample_weight):
        self.said_ = TRUTH.copy()
        wrong = list(self.plan.wrong[len(self.plan.given)])
        self.said_[wrong] = 1 - self.said_[wrong]
        self.plan.given.append(dict(zip(X[:, 0].astype(int).tolist(), sample_weight.tolist(), strict=True)))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.said_[X[:, 0].astype(int)]


def test_two_rounds_worked_by_hand():
    # Round 1: a errs on target rows 4 and 5, b on 6. Round 2: a on 7, b on 6.
    plan = Plan({4, 5}, {6, 0, 3}, {7, 1, 3}, {6})
    method = MultiSourceTrAdaBoost(n_rounds=2)
    sources = stack([Domain(ROWS[2:4], TRUTH[2:4], name="b"), Domain(ROWS[:2], TRUTH[:2], name="a")])
    vote = four_steps(method, sources, Domain(ROWS[4:], TRUTH[4:]), Planned(plan)).predictor
    # Each candidate sees its own source and the target, with equal weights first.
    assert [sorted(given) for given in plan.given] == [[0, 1, 4, 5, 6, 7], [2, 3, 4, 5, 6, 7]] * 2
    np.testing.assert_allclose(list(plan.given[0].values()), np.ones(6))
    # Round 1: errors 2/4 and 1/4, so b is kept; its row 6 trebles. Then 1/6 and 3/6: a is kept, row 7 times 5.
    assert method.chosen_sources_.tolist() == ["b", "a"]
    np.testing.assert_allclose(method.errors_, [1 / 4, 1 / 6])
    # exp(-2 alpha_S) = 1 / (1 + sqrt(2 ln 4 / 2)) = 0.459261 for every source row that the kept candidate gets wrong,
    # of whichever source.
    assert method.beta_ == pytest.approx(0.459261, abs=1e-6)
    in_a, in_b = plan.given[2], plan.given[3]
    np.testing.assert_allclose([in_a[i] / in_a[4] for i in (0, 1, 5, 6, 7)], [0.459261, 1, 1, 3, 1], atol=1e-6)
    np.testing.assert_allclose([in_b[i] / in_b[4] for i in (2, 3, 5, 6, 7)], [1, 0.459261, 1, 3, 1], atol=1e-6)
    # At the end a: 0.459261, 0.459261; b: 1, 0.210921; target 1, 1, 3, 5; in all 12.129443. Rows come as b, then a.
    ends = np.array([1, 0.210921, 0.459261, 0.459261])
    np.testing.assert_allclose(method.source_weights_, ends / (12.129443 / 8), atol=1e-6)
    # 2 alpha_t = ln 3 = 1.098612 and ln 5 = 1.609438; both rounds vote, the second with 59.4317%.
    np.testing.assert_allclose(vote.weights, [1.098612, 1.609438], atol=1e-6)
    np.testing.assert_allclose(vote.predict_proba(ROWS[4:])[:, 1], [0, 1, 0.405683, 0.405683], atol=1e-6)
    np.testing.assert_array_equal(vote.predict(ROWS[4:]), [0, 1, 0, 0])


def test_where_candidates_err_alike_the_first_by_name_is_kept():
    method = MultiSourceTrAdaBoost(n_rounds=1)
    sources = stack([Domain(ROWS[2:4], TRUTH[2:4], name="b"), Domain(ROWS[:2], TRUTH[:2], name="a")])
    four_steps(method, sources, Domain(ROWS[4:], TRUTH[4:]), Planned(Plan({4}, {5})))
    assert method.chosen_sources_.tolist() == ["a"]


def good_and_bad(seed=0, n_s=200, n_t=30, n_test=500, classes=2):
    """Return two sources, one right and one with turned labels, a target, and test rows of it."""
    rng = np.random.default_rng(seed)
    sizes = [n_s, n_s, n_t, n_test]
    X = rng.normal(size=(sum(sizes), 3))
    score = X[:, 0] + 0.5 * X[:, 1] + 0.2 * rng.normal(size=len(X))
    y = np.digitize(score, [0.0] if classes == 2 else [-0.5, 0.5])
    y[n_s : 2 * n_s] = classes - 1 - y[n_s : 2 * n_s]
    n = sum(sizes[:3])
    return X[:n], y[:n], np.repeat(["good", "bad", "target"], sizes[:3]), (X[n:], y[n:])


@pytest.mark.parametrize(
    ("learner", "classes"),
    [(LogisticRegression(), 2), (LogisticRegression(), 3), (DecisionTreeClassifier(max_depth=2, random_state=0), 2)],
)
def test_the_good_source_is_chosen_in_nearly_all_rounds_and_pooling_is_beaten(learner, classes):
    ours, pooled, chosen = [], [], []
    for seed in range(4):
        X, y, domain, test = good_and_bad(seed, n_t=100, classes=classes)
        fitted = Transfer(MultiSourceTrAdaBoost(), learner).fit(X, y, domain=domain)
        ours.append(fitted.score(*test))
        pooled.append(Transfer(Pooled(), learner).fit(X, y, domain=domain).score(*test))
        chosen.extend(fitted.method_.chosen_sources_)
    assert np.mean(np.array(chosen) == "good") >= 0.9
    assert np.mean(ours) > np.mean(pooled) + 0.015


def test_rows_of_the_bad_source_fall():
    X, y, domain, _ = good_and_bad()
    fitted = Transfer(MultiSourceTrAdaBoost(), LogisticRegression()).fit(X, y, domain=domain)
    w = fitted.method_.source_weights_
    assert w[200:].mean() < 0.1 * w[:200].mean()  # in the order of the rows: the good source came first


@pytest.mark.parametrize("soft", [True, False])
def test_with_one_source_every_round_is_tradaboosts_and_all_vote(soft):
    X, y, domain, _ = good_and_bad()
    domain = np.where(domain == "target", "target", "source")
    one, two = (
        Transfer(kind(6, soft=soft), DecisionTreeClassifier(max_depth=2, random_state=0)).fit(X, y, domain=domain)
        for kind in (MultiSourceTrAdaBoost, TrAdaBoost)
    )
    np.testing.assert_allclose(one.method_.errors_, two.method_.errors_, atol=1e-12)
    np.testing.assert_allclose(one.method_.source_weights_, two.method_.source_weights_, atol=1e-9)
    assert len(one.predictor_.models) == 6
    assert len(two.predictor_.models) == 4
    assert set(one.method_.chosen_sources_) == {"source"}


def test_a_source_without_a_name_will_do():
    X, y, _, test = good_and_bad()
    source, target = Domain(X[:200], y[:200], name="good"), Domain(X[400:], y[400:])
    method = MultiSourceTrAdaBoost(3)
    predictor = four_steps(method, source, target, LogisticRegression()).predictor
    assert method.chosen_sources_.tolist() == ["source"] * 3
    assert np.mean(predictor.predict(test[0]) == test[1]) > 0.9


def test_sources_may_come_mixed_and_lack_classes():
    X, y, domain, test = good_and_bad(classes=3)
    keep = ~((domain == "bad") & (y > 0))  # the bad source has one class left
    X, y, domain = X[keep], np.array(["low", "middle", "top"])[y[keep]], domain[keep]
    order = np.random.default_rng(1).permutation(len(X))
    plain, mixed = (
        Transfer(MultiSourceTrAdaBoost(5), LogisticRegression()).fit(X[at], y[at], domain=domain[at])
        for at in (np.arange(len(X)), order)
    )
    np.testing.assert_allclose(plain.predict_proba(test[0]), mixed.predict_proba(test[0]), atol=1e-3)
    assert plain.method_.chosen_sources_.tolist() == mixed.method_.chosen_sources_.tolist()
    p = plain.predict_proba(test[0])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(plain.classes_[p.argmax(axis=1)], plain.predict(test[0]))


@pytest.mark.parametrize("learner", [LinearSVC(random_state=0), DecisionTreeClassifier(max_depth=2, random_state=0)])
def test_sparse_rows_and_weights_are_taken(learner):
    X, y, domain, test = good_and_bad()
    X = np.where(np.abs(X) < 0.3, 0.0, X)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    weight[:50] = 0
    dense, sparse = (
        Transfer(MultiSourceTrAdaBoost(4), learner).fit(rows, y, domain=domain, sample_weight=weight)
        for rows in (X, csr_matrix(X))
    )
    assert dense.method_.chosen_sources_.tolist() == sparse.method_.chosen_sources_.tolist()
    assert np.mean(dense.predict(test[0]) == sparse.predict(csr_matrix(test[0]))) > 0.99


def test_float32_rows_reach_the_learner_as_float32():
    X, y, domain, _ = good_and_bad()
    fitted = Transfer(MultiSourceTrAdaBoost(2), LogisticRegression()).fit(X.astype(np.float32), y, domain=domain)
    assert {model.coef_.dtype for model in fitted.predictor_.models} == {np.dtype(np.float32)}
