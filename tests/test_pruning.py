"""Instance pruning against rows flipped on purpose, a hand-worked choice, and cross-validation by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from headstart import Domain, Transfer
from headstart.baselines import Pooled
from headstart.checks import check_method
from headstart.draws import folds
from headstart.errors import InputError, NeedsError
from headstart.instances.pruning import SHARES, InstancePruning, doubts

BETA = np.array([1.5, -1.0, 1.0, 0.5, 0.0])


def planted(flipped=0.3, n_s=300, n_t=60, n_test=600, classes=True, seed=0):
    """Return rows, labels and domains, a mask of the wrong source labels, and test rows of one task.

    The wrong labels all lie on one side (where the first column is positive), so that they bend the pooled model.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_s + n_t + n_test, 5))
    y = X @ BETA + 0.3 * rng.normal(size=len(X))
    wrong = np.zeros(n_s, dtype=bool)
    wrong[rng.choice(np.flatnonzero(X[:n_s, 0] > 0), int(flipped * n_s), replace=False)] = True
    if classes:
        y = (y > 0).astype(float)
        y[:n_s][wrong] = 1 - y[:n_s][wrong]
    else:
        y[:n_s][wrong] += rng.choice([5.0, 8.0], wrong.sum())
    n = n_s + n_t
    return X[:n], y[:n], np.repeat(["source", "target"], [n_s, n_t]), wrong, X[n:], y[n:]


def probabilities_of_own(X, y, domain):
    source = domain == "source"
    judge = LogisticRegression().fit(X[~source], y[~source])
    return judge.predict_proba(X[source])[np.arange(source.sum()), y[source].astype(int)]


@pytest.mark.parametrize("seed", range(4))
def test_most_rows_that_are_dropped_were_flipped_and_most_flipped_rows_are_dropped(seed):
    X, y, domain, wrong, _, _ = planted(seed=seed)
    dropped = ~Transfer(InstancePruning(0.3), LogisticRegression()).fit(X, y, domain=domain).method_.kept_
    assert (wrong & dropped).sum() / dropped.sum() > 0.8
    assert (wrong & dropped).sum() / wrong.sum() > 0.75


@pytest.mark.parametrize(("classes", "learner"), [(True, LogisticRegression()), (False, Ridge())])
@pytest.mark.parametrize("share", [0.3, "cv"])
def test_pruning_beats_pooled_where_source_labels_mislead(classes, learner, share):
    for seed in range(4):
        X, y, domain, _, X_test, y_test = planted(classes=classes, seed=seed)
        pooled = Transfer(Pooled(1.0), learner).fit(X, y, domain=domain)
        pruned = Transfer(InstancePruning(share, target_weight=1.0), learner).fit(X, y, domain=domain)
        assert pruned.score(X_test, y_test) > pooled.score(X_test, y_test)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target_weight", ["balanced", 3.0])
def test_without_a_share_pruning_is_pooled(weighted, target_weight):
    X, y, domain, _, X_test, _ = planted()
    own = np.random.default_rng(1).uniform(0.1, 2, len(X)) if weighted else None
    answers = [
        Transfer(method, LogisticRegression()).fit(X, y, domain=domain, sample_weight=own).predict_proba(X_test)
        for method in (InstancePruning(0.0, target_weight=target_weight), Pooled(target_weight))
    ]
    np.testing.assert_array_equal(*answers)


def test_the_rows_that_go_have_the_smallest_probabilities_of_their_own_label():
    X, y, domain, _, _, _ = planted()
    kept = Transfer(InstancePruning(0.2), LogisticRegression()).fit(X, y, domain=domain).method_.kept_
    probability = probabilities_of_own(X, y, domain)
    np.testing.assert_array_equal(np.flatnonzero(~kept), np.sort(np.argsort(probability)[:60]))


def test_a_row_whose_label_the_judge_shares_never_goes():
    X, y, domain, _, _, _ = planted()
    method = Transfer(InstancePruning(0.9), LogisticRegression()).fit(X, y, domain=domain).method_
    np.testing.assert_array_equal(~method.kept_, probabilities_of_own(X, y, domain) < 0.5)
    assert method.share_ == 0.9


def test_the_rows_that_go_have_the_largest_residuals():
    X, y, domain, _, _, _ = planted(classes=False)
    source = domain == "source"
    kept = Transfer(InstancePruning(0.25), Ridge()).fit(X, y, domain=domain).method_.kept_
    residual = np.abs(y[source] - Ridge().fit(X[~source], y[~source]).predict(X[source]))
    np.testing.assert_array_equal(np.flatnonzero(~kept), np.sort(np.argsort(residual)[-75:]))


def test_the_model_is_the_learner_on_the_rows_that_are_kept():
    X, y, domain, _, X_test, _ = planted(classes=False)
    own = np.random.default_rng(1).uniform(0.2, 2, len(X))
    fitted = Transfer(InstancePruning(0.3, target_weight=2.0), LinearRegression())
    fitted.fit(X, y, domain=domain, sample_weight=own)
    source = domain == "source"
    left = np.append(np.flatnonzero(source)[fitted.method_.kept_], np.flatnonzero(~source))
    ws = own[source][fitted.method_.kept_]
    w = np.append(ws / ws.mean(), 2 * own[~source] / own[~source].mean())
    by_hand = LinearRegression().fit(X[left], y[left], sample_weight=w)
    np.testing.assert_allclose(fitted.predict(X_test), by_hand.predict(X_test), rtol=1e-9)


@pytest.mark.parametrize("classes", [True, False])
def test_cross_validation_judges_without_the_rows_held_out(classes):
    X, y, domain, _, _, _ = planted(n_t=30, classes=classes, seed=3)
    learner = LogisticRegression() if classes else Ridge()
    method = Transfer(InstancePruning(folds=4, random_state=5), learner).fit(X, y, domain=domain).method_
    source = domain == "source"
    Xs, ys, Xt, yt = X[source], y[source], X[~source], y[~source]
    of_row = folds(Xt, 4, 5, yt if classes else None)
    for share in SHARES:
        losses = []
        for fold in range(4):
            train, held = of_row != fold, of_row == fold
            judge = learner.fit(Xt[train], yt[train])
            if classes:
                own = judge.predict_proba(Xs)[np.arange(len(ys)), ys.astype(int)]
                doubt = np.where(own < 0.5, -own, -1.0)
            else:
                doubt = np.abs(ys - judge.predict(Xs))
            worst = np.argsort(-doubt)[: int(share * len(ys) + 1e-9)]
            left = np.setdiff1d(np.arange(len(ys)), worst[doubt[worst] > -1.0])
            w = np.append(np.ones(len(left)), np.full(train.sum(), len(left) / train.sum()))
            model = learner.fit(np.vstack([Xs[left], Xt[train]]), np.append(ys[left], yt[train]), sample_weight=w)
            if classes:
                losses.extend(2 * (model.predict_proba(Xt[held])[:, 1] - yt[held]) ** 2)
            else:
                losses.extend((model.predict(Xt[held]) - yt[held]) ** 2)
        assert method.losses_[share] == pytest.approx(np.mean(losses), rel=1e-3)
    assert method.share_ == min(SHARES, key=lambda share: (method.losses_[share], share))


def test_of_equal_shares_the_smallest_is_taken():
    # All labels are right and far from the border: no share changes anything.
    X = np.repeat(np.array([[-2.0], [-1.0], [1.0], [2.0]]), 10, axis=0)
    y, domain = (X[:, 0] > 0).astype(float), np.tile(["source", "target"], 20)
    method = Transfer(InstancePruning(), LogisticRegression()).fit(X, y, domain=domain).method_
    assert len(set(method.losses_.values())) == 1
    assert method.share_ == 0.0
    assert method.kept_.all()


def test_classes_without_target_labels_are_kept():
    X, y, domain, wrong, _, _ = planted()
    source = np.flatnonzero(domain == "source")
    rare = source[::7]
    y[rare] = 2.0
    fitted = Transfer(InstancePruning(0.6), LogisticRegression()).fit(X, y, domain=domain)
    kept = fitted.method_.kept_
    assert kept[::7].all()
    assert not kept[wrong & (y[source] < 2)].all()
    assert 2 in fitted.classes_


def test_a_judge_of_one_class_drops_nothing():
    X, y, domain, _, _, _ = planted()
    y[(domain == "target") & (y == 1)] = np.nan
    assert Transfer(InstancePruning(0.5), LogisticRegression()).fit(X, y, domain=domain).method_.kept_.all()


def test_one_labelled_row_has_no_say():
    X, y, domain, _, X_test, _ = planted(classes=False)
    y[np.flatnonzero(domain == "target")[1:]] = np.nan
    fitted = Transfer(InstancePruning(), Ridge()).fit(X, y, domain=domain)
    assert fitted.method_.share_ == 0.0
    np.testing.assert_array_equal(
        fitted.predict(X_test), Transfer(Pooled(), Ridge()).fit(X, y, domain=domain).predict(X_test)
    )


def test_doubts_of_three_classes_by_hand():
    X = np.zeros((4, 1))
    judge = KNeighborsClassifier(10).fit(np.zeros((10, 1)), ["a"] * 5 + ["b"] * 3 + ["c"] * 2)
    np.testing.assert_allclose(doubts(judge, X, np.array(["a", "b", "c", "unknown"])), [0.0, 0.2, 0.3, 0.0])


def test_a_learner_without_probabilities_leaves_the_judging_to_logistic_regression():
    X, y, domain, _, _, _ = planted()
    by_svm = Transfer(InstancePruning(0.2), SVC()).fit(X, y, domain=domain).method_.kept_
    by_logistic = Transfer(InstancePruning(0.2), LogisticRegression()).fit(X, y, domain=domain).method_.kept_
    np.testing.assert_array_equal(by_svm, by_logistic)


def test_a_judge_of_ones_own_is_used():
    X, y, domain, _, _, _ = planted()
    source = domain == "source"
    judge = DecisionTreeClassifier(max_depth=3, random_state=0)
    kept = Transfer(InstancePruning(0.9, judge=judge), LogisticRegression()).fit(X, y, domain=domain).method_.kept_
    probability = judge.fit(X[~source], y[~source]).predict_proba(X[source])[:, 1]
    own = np.where(y[source] == 1, probability, 1 - probability)
    assert (own == 0.5).any()  # undecided, so kept
    np.testing.assert_array_equal(kept, own >= 0.5)


@pytest.mark.parametrize("classes", [True, False])
def test_alone_it_weighs_like_within_transfer(classes):
    X, y, domain, _, _, _ = planted(classes=classes, n_t=30)
    y[np.flatnonzero(domain == "target")[20:]] = np.nan
    source = domain == "source"
    learner = LogisticRegression(max_iter=2000) if classes else Ridge()
    for share in (0.2, "cv"):
        alone = InstancePruning(share)
        w = alone.weigh(X[source], X[~source], y[source], y[~source])
        within = Transfer(InstancePruning(share), learner).fit(X, y, domain=domain).method_
        np.testing.assert_array_equal(w, within.kept_)
        assert alone.share_ == within.share_
        assert alone.effective_size_ == pytest.approx(within.kept_.sum())


def test_rows_that_are_doubted_alike_are_chosen_by_their_contents():
    X, y, domain, _, _, _ = planted()
    order = np.random.default_rng(1).permutation(len(X))
    method = InstancePruning(0.1, judge=DecisionTreeClassifier(max_depth=2, random_state=0))
    first = Transfer(method, LogisticRegression()).fit(X, y, domain=domain).method_.kept_
    second = Transfer(method, LogisticRegression()).fit(X[order], y[order], domain=domain[order]).method_.kept_
    assert first.sum() == 270
    np.testing.assert_array_equal(first[order[domain[order] == "source"]], second)


@pytest.mark.parametrize("share", [0.2, "cv"])
def test_text_labels_sparse_rows_and_single_precision_drop_the_same_rows(share):
    X, y, domain, _, _, _ = planted()
    X = np.where(np.abs(X) < 0.3, 0, X)

    def kept(X, y):
        learner = LogisticRegression(tol=1e-7, max_iter=2000)
        return Transfer(InstancePruning(share), learner).fit(X, y, domain=domain).method_.kept_

    expected = kept(X, y)
    np.testing.assert_array_equal(kept(X, np.where(y == 1, "yes", "no")), expected)
    np.testing.assert_array_equal(kept(csr_matrix(X), y), expected)
    assert (kept(X.astype(np.float32), y) != expected).sum() <= 2  # rows at the edge may swap
    source = domain == "source"
    w = InstancePruning(0.2).weigh(X[source].astype(np.float32), X[~source].astype(np.float32), y[source], y[~source])
    assert w.dtype == np.float32


@pytest.mark.parametrize("wrong", [-0.1, 1.0, np.nan, "half"])
def test_pruning_refuses_a_share_that_is_none(wrong):
    X, y, domain, _, _, _ = planted()
    with pytest.raises(InputError, match="share must be"):
        Transfer(InstancePruning(wrong), LogisticRegression()).fit(X, y, domain=domain)


def test_pruning_refuses_what_can_not_judge():
    X, y, domain, _, _, _ = planted()
    source = domain == "source"
    with pytest.raises(InputError, match="no probabilities"):
        Transfer(InstancePruning(judge=SVC()), LogisticRegression()).fit(X, y, domain=domain)
    with pytest.raises(InputError, match="not for classification"):
        Transfer(InstancePruning(judge=Ridge()), LogisticRegression()).fit(X, y, domain=domain)
    with pytest.raises(InputError, match="at least 2 folds"):
        Transfer(InstancePruning(folds=1), LogisticRegression()).fit(X, y, domain=domain)
    with pytest.raises(NeedsError, match="give ys and yt"):
        InstancePruning().weigh(X[source], X[~source])
    with pytest.raises(NeedsError, match="there are none"):
        InstancePruning().weigh(X[source], X[~source], y[source], np.full((~source).sum(), np.nan))
    with pytest.raises(InputError, match="a source label is missing"):
        InstancePruning().weigh(X[source], X[~source], np.where(X[source, 0] > 1, np.nan, y[source]), y[~source])


def test_pruning_takes_domains_with_weights_of_their_own():
    X, y, domain, _, _, _ = planted()
    source = domain == "source"
    weight = np.where(np.arange((~source).sum()) < 30, 1.0, 1e-9)
    method = InstancePruning(0.2)
    parts = Domain(X[source], y[source], name="source"), Domain(X[~source], y[~source], weight=weight)
    knowledge = method.extract(method.learn_source(parts[0], None), parts[0])
    method.learn_target(method.carry(knowledge, parts[1]), parts[1], LogisticRegression())
    half = np.append(np.flatnonzero(source), np.flatnonzero(~source)[:30])
    fewer = Transfer(InstancePruning(0.2), LogisticRegression()).fit(X[half], y[half], domain=domain[half]).method_
    assert (method.kept_ != fewer.kept_).sum() <= 2


def test_pruning_with_a_fixed_number_passes_the_common_checks():
    check_method(InstancePruning(0.3))
