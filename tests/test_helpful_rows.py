"""What source rows are worth: closed forms against brute force, refits, and rows with planted wrong labels."""

import json
import warnings
from itertools import combinations
from math import comb

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from headstart import Domain
from headstart.baselines import Pooled
from headstart.choose import Candidate
from headstart.delivery import Plan
from headstart.domain import stack
from headstart.errors import InputError, NeedsError
from headstart.evidence.helpful_rows import helpful_rows
from headstart.evidence.neighbour_values import knn_shapley
from headstart.evidence.removal import removal_effects
from headstart.features import CORAL, TCA
from headstart.instances import KMM
from headstart.models import RegularTransfer


def value_of_set(S, distance, y, asked, k, task):
    if task == "regression":
        first = sorted(S, key=lambda j: (distance[j], y[j]))[:k]
        return -((sum(y[j] - y.mean() for j in first) / k - (asked - y.mean())) ** 2)
    hits, left = 0.0, k
    for at in sorted({distance[j] for j in S}):
        level = [j for j in S if distance[j] == at]
        hits += min(left, len(level)) * np.mean([y[j] == asked for j in level])
        left -= min(left, len(level))
    return (hits + left * np.mean(y == asked)) / k


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("n", [1, 2, 5, 7])
@pytest.mark.parametrize("k", [1, 3, 9])
def test_neighbour_values_are_the_shapley_values_of_every_set_also_with_ties(task, n, k):
    rng = np.random.default_rng(n + 10 * k)
    X = rng.integers(0, 4, (n, 1)).astype(float)
    y, asked = (rng.integers(0, 2, n), 1) if task == "classification" else (rng.normal(size=n), 0.3)
    distance = np.abs(X[:, 0] - 1)
    brute = np.zeros(n)
    for i in range(n):
        for size in range(n):
            for S in combinations([j for j in range(n) if j != i], size):
                added = value_of_set((*S, i), distance, y, asked, k, task) - value_of_set(
                    S, distance, y, asked, k, task
                )
                brute[i] += added / (n * comb(n - 1, size))
    np.testing.assert_allclose(knn_shapley(X, y, np.ones((1, 1)), np.array([asked]), k, task)[0], brute)


def test_neighbour_values_sum_to_what_neighbours_gain_over_guessing():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.integers(0, 3, 50)
    asked, labels = rng.normal(size=(20, 3)), rng.integers(0, 3, 20)
    nearest = np.argsort(((asked[:, None] - X) ** 2).sum(axis=2), axis=1)[:, :5]
    hits = (y[nearest] == labels[:, None]).mean(axis=1)
    guessed = np.array([np.mean(y == label) for label in labels])
    np.testing.assert_allclose(knn_shapley(X, y, asked, labels, 5).sum(axis=1), hits - guessed)


def test_equal_rows_are_worth_the_same_and_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    X, y = np.repeat(rng.normal(size=(10, 2)), 3, axis=0), np.repeat(rng.integers(0, 2, 10), 3)
    asked, labels = rng.normal(size=(6, 2)), rng.integers(0, 2, 6)
    values = knn_shapley(X, y, asked, labels, 4)
    np.testing.assert_allclose(values[:, 0::3], values[:, 2::3])
    order = rng.permutation(30)
    np.testing.assert_allclose(knn_shapley(X[order], y[order], asked, labels, 4), values[:, order])


@pytest.mark.parametrize("learner", [Ridge(1.5), Ridge(0.2, fit_intercept=False), LinearRegression()])
def test_squared_loss_without_a_row_is_that_of_a_real_refit(learner):
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(30, 4)), rng.normal(size=30), rng.uniform(0.3, 3, 30)
    asked, labels = rng.normal(size=(9, 4)), rng.normal(size=9)
    model = clone(learner).fit(X, y, w)
    without = [clone(learner).fit(*(np.delete(a, i, 0) for a in (X, y, w))).predict(asked) for i in range(30)]
    change = (np.array(without).T - labels[:, None]) ** 2 - ((model.predict(asked) - labels) ** 2)[:, None]
    np.testing.assert_allclose(removal_effects(model, X, y, w, asked, labels), change, atol=1e-10)


@pytest.mark.parametrize("classes", [2, 3])
def test_log_loss_without_a_row_is_close_to_that_of_a_real_refit(classes):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 3)), rng.integers(0, classes, 80)
    asked, labels, w = rng.normal(size=(9, 3)), rng.integers(0, classes, 9), rng.uniform(0.5, 2, 80)
    learner = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000, class_weight={c: 1 + c for c in range(classes)})

    def loss(model):
        return -np.log(model.predict_proba(asked)[np.arange(9), labels])

    model = clone(learner).fit(X, y, w)
    real = np.array([loss(clone(learner).fit(*(np.delete(a, i, 0) for a in (X, y, w)))) for i in range(80)]).T
    real -= loss(model)[:, None]
    found = removal_effects(model, X, y, w, asked, labels)
    assert np.corrcoef(found.ravel(), real.ravel())[0, 1] > 0.995
    assert np.abs(found - real).max() < 0.1 * np.abs(real).max()


def test_a_learner_without_a_closed_form_is_refused_in_one_line():
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    with pytest.raises(NeedsError, match="SVC is no linear or logistic regression"):
        removal_effects(SVC().fit(X, y), X, y, np.ones(20), X, y)
    with pytest.raises(NeedsError, match="penalty"):
        removal_effects(LinearRegression().fit(X[:3], X[:3, 0]), X[:3], X[:3, 0], np.ones(3), X, X[:, 0])


def two_domains(n_s=200, n_t=60, flipped=0.15, shift=1.0, seed=0):
    """A source whose labels are wrong in a known share of rows, and a target that is moved against it."""
    rng = np.random.default_rng(seed)
    Xs, Xt = rng.normal(size=(n_s, 4)), rng.normal(size=(n_t, 4)) + shift
    ys, yt = (Xs[:, 0] + Xs[:, 1] > 0).astype(int), (Xt[:, 0] + Xt[:, 1] > 2 * shift).astype(int)
    wrong = rng.random(n_s) < flipped
    ys[wrong] = 1 - ys[wrong]
    return Domain(Xs, ys, name="source"), Domain(Xt, yt), wrong


def carried(source, method=None, learner=None, task="classification"):
    learner = learner or (LogisticRegression() if task == "classification" else Ridge())
    return Candidate("it", method or Pooled(), learner, Plan(task), source)


@pytest.mark.parametrize(("method", "shift"), [(Pooled(), 0.0), (CORAL(), 1.0)])
@pytest.mark.parametrize(("by", "least"), [("neighbours", 0.85), ("learner", 0.9)])
def test_planted_wrong_labels_rank_lowest(method, shift, by, least):
    aucs = []
    for seed in range(3):
        source, target, wrong = two_domains(n_t=120, shift=shift, seed=seed)
        found = helpful_rows(carried(source, method), target, by=by)
        aucs.append(roc_auc_score(wrong, -found.values))
        assert wrong[found.harmful(10)].mean() >= 0.8
    assert np.mean(aucs) > least


def test_wrong_quantities_rank_lowest():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(150, 3)), rng.normal(size=(60, 3))
    ys, yt = Xs @ [1.0, 1.0, 0.0], Xt @ [1.0, 1.0, 0.0]
    wrong = np.arange(150) < 20
    ys = np.where(wrong, -3 * ys, ys)
    for by in ("neighbours", "learner"):
        found = helpful_rows(carried(Domain(Xs, ys), task="regression"), Domain(Xt, yt, task="regression"), by=by)
        assert roc_auc_score(wrong, -found.values) > 0.8
        assert found.by_class == []


def test_no_target_row_is_its_own_witness():
    # With labels by chance, rows that were their own neighbours would be worth much; held out, the target's rows are
    # worth nothing.
    rng = np.random.default_rng(0)
    target = Domain(rng.normal(size=(200, 3)), rng.integers(0, 2, 200))
    found = helpful_rows(carried(Domain(rng.normal(size=(20, 3)), rng.integers(0, 2, 20), name="source")), target, k=1)
    assert abs(found.target.value) < 0.15
    own = knn_shapley(target.X, target.y, target.X, target.y, 1)
    assert own.sum(axis=1).mean() > 0.4


def test_the_held_out_rows_have_no_part_in_the_mapping():
    # The mapping that a fold is valued by can't have seen the fold: CORAL's target mean would move with it.
    source, target, _ = two_domains()
    seen = []

    class Watched(CORAL):
        def align(self, Xs, Xt, ys=None, yt=None):
            seen.append(len(Xt))
            return super().align(Xs, Xt, ys, yt)

    helpful_rows(carried(source, Watched()), target, folds=4)
    assert seen == [45] * 4


def test_sums_over_classes_and_domains_are_sums_of_the_values():
    source, target, _ = two_domains()
    other = Domain(source.X[:50] + 3, 1 - source.y[:50], name="other")
    found = helpful_rows(carried(stack([source, other])), target)
    total = found.values.sum()
    assert found.source.value == pytest.approx(total)
    assert sum(share.value for share in found.by_class) == pytest.approx(total)
    assert [share.name for share in found.by_domain] == ["other", "source"]
    assert found.by_domain[1].value == pytest.approx(found.values[:200].sum())
    assert [share.rows for share in found.by_domain] == [50, 200]


def test_values_do_not_depend_on_the_order_of_rows():
    source, target, _ = two_domains(n_s=60)
    order, turned = np.random.default_rng(1).permutation(60), np.random.default_rng(2).permutation(60)
    for by in ("neighbours", "learner"):
        found = helpful_rows(carried(source), target, by=by)
        again = helpful_rows(carried(source.rows(order)), target.rows(turned), by=by)
        np.testing.assert_allclose(again.values, found.values[order], atol=1e-6)


def test_source_rows_without_a_label_keep_their_places_out():
    source, target, _ = two_domains()
    labels = source.y.astype(float)
    labels[::2] = np.nan
    found = helpful_rows(carried(Domain(source.X, labels)), target)
    np.testing.assert_array_equal(found.rows, np.arange(1, 200, 2))
    assert set(found.harmful(10)) <= set(found.rows)


def test_instance_weights_count_for_the_learner():
    source, target, _ = two_domains(shift=1.0)
    found = helpful_rows(carried(source, KMM()), target, by="learner")
    weight = KMM().weigh(source.X, target.X)
    near, far = np.abs(found.values[weight > np.median(weight)]), np.abs(found.values[weight <= np.median(weight)])
    assert near.mean() > 2 * far.mean()


def test_hard_cases_give_finite_values_or_one_line():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        constant = Domain(np.ones((10, 3)), np.arange(10) % 2, name="source")
        for by in ("neighbours", "learner"):
            equal = Domain(np.ones((6, 3)), np.arange(6) % 2)
            assert np.isfinite(helpful_rows(carried(constant), equal, by=by).values).all()
        wide = Domain(rng.normal(size=(8, 40)), np.arange(8) % 2, name="source")
        # A class that the target has and nobody learned.
        target = Domain(rng.normal(size=(5, 40)), np.array([0, 0, 1, 1, 2]))
        for by in ("neighbours", "learner"):
            assert np.isfinite(helpful_rows(carried(wide), target, by=by).values).all()
    with pytest.raises(NeedsError, match="2 labelled"):
        helpful_rows(carried(wide), Domain(wide.X))
    with pytest.raises(NeedsError, match="'pooled'"):
        helpful_rows(carried(wide, RegularTransfer()), target)
    with pytest.raises(InputError, match="neighbours"):
        helpful_rows(carried(wide), target, by="neighbors")


def test_the_document_is_plain_json_and_counts_rows_from_one():
    source, target, _ = two_domains()
    found = helpful_rows(carried(source, TCA(n_components=2)), target)
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["harmful"][0]["row"] == found.harmful(1)[0] + 1
    assert document["helped"] + document["hurt"] <= document["rows"] == 200
    assert document["summary"] == str(found)
