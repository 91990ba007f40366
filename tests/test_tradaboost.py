"""TrAdaBoost and its dynamic variant: the papers' arithmetic by hand, and what boosting is to do."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from headstart import Domain, Transfer
from headstart.baselines import Pooled, SourceOnly
from headstart.errors import InputError, NeedsError
from headstart.instances.boosting import WeightedVote, round_beta
from headstart.instances.dynamic_tradaboost import DynamicTrAdaBoost
from headstart.instances.tradaboost import TrAdaBoost
from headstart.method import four_steps

BOTH = [TrAdaBoost, DynamicTrAdaBoost]


class Script:
    """What a scripted learner says in each round (for row number 0, 1, ...), and the weights that it was given."""

    def __init__(self, *rounds):
        self.rounds, self.weights = [np.array(said) for said in rounds], []

    def __deepcopy__(self, memo):
        return self


class Scripted(ClassifierMixin, BaseEstimator):
    def __init__(self, script):
        self.script = script

    def fit(self, X, y, sample_weight):
        self.said_ = self.script.rounds[len(self.script.weights)]
        self.script.weights.append(sample_weight.copy())
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.said_[X[:, 0].astype(int)]


class ScriptedSoft(Scripted):
    """Says the probability of class 1."""

    def predict_proba(self, X):
        p = self.said_[X[:, 0].astype(int)]
        return np.column_stack([1 - p, p])


#: Four source rows (0 to 3) and four target rows (4 to 7).
ROWS = np.arange(8.0)[:, None]
TRUTH = np.array([0, 1, 0, 1, 0, 1, 0, 1])


def run(method, learner, y=TRUTH, n_s=4):
    source, target = Domain(ROWS[:n_s], y[:n_s], name="source"), Domain(ROWS[n_s : len(y)], y[n_s:])
    return four_steps(method, source, target, learner).predictor


def wrong(*rows, y=TRUTH):
    said = y.copy()
    said[list(rows)] = 1 - said[list(rows)]
    return said


def three_rounds():
    return Script(wrong(1, 2, 3, 7), wrong(2, 3, 4), wrong(3, 5, 6))


def test_three_rounds_worked_by_hand():
    script, method = three_rounds(), TrAdaBoost(n_rounds=3)
    vote = run(method, Scripted(script))
    # beta = 1 / (1 + sqrt(2 ln 4 / 3)) = 1 / 1.961351
    assert method.beta_ == pytest.approx(0.509852, abs=1e-6)
    # Round 1: 1 of 4 target rows wrong; it trebles. Round 2: 1 of 6 wrong, times 5. Round 3: 2 of 10 wrong, times 4.
    np.testing.assert_allclose(method.errors_, [1 / 4, 1 / 6, 1 / 5])
    np.testing.assert_allclose(method.betas_, [1 / 3, 1 / 5, 1 / 4])
    given = [w / w[0] for w in script.weights]
    np.testing.assert_allclose(given[0], np.ones(8))
    np.testing.assert_allclose(given[1], [1, 0.509852, 0.509852, 0.509852, 1, 1, 1, 3], atol=1e-6)
    np.testing.assert_allclose(given[2], [1, 0.509852, 0.259949, 0.259949, 5, 1, 1, 3], atol=1e-6)
    # At the end 1, beta, beta^2, beta^3 in the source and 5, 4, 4, 3 in the target, 2.237792 on average.
    np.testing.assert_allclose(method.source_weights_, [0.446869, 0.227837, 0.116163, 0.059226], atol=1e-6)
    # Rounds ceil(3/2) = 2 and 3 vote, with ln 5 = 1.609438 and ln 4 = 1.386294, so with 53.7244% and 46.2756%.
    assert len(vote.models) == 2
    np.testing.assert_allclose(vote.weights, [1.609438, 1.386294], atol=1e-6)
    np.testing.assert_allclose(vote.predict_proba(ROWS[4:])[:, 1], [0.537244, 0.537244, 0.462756, 1], atol=1e-6)
    np.testing.assert_array_equal(vote.predict(ROWS[4:]), [1, 1, 0, 1])


def test_one_soft_round_worked_by_hand():
    #              source losses 0.1 0.5 0.0 0.9, target losses 0.2 0.2 0.4 0.0
    script = Script([0.1, 0.5, 0.0, 0.1, 0.2, 0.8, 0.4, 1.0])
    method = TrAdaBoost(n_rounds=1)
    vote = run(method, ScriptedSoft(script))
    # The error is 0.8 / 4 = 0.2, so 1 / beta_t = 4; beta = 1 / (1 + sqrt(2 ln 4)) = 1 / 2.665109 = 0.375219.
    np.testing.assert_allclose(method.errors_, [0.2])
    # Source: beta to the losses = 0.906626, 0.612551, 1, 0.413863; target: 4 to the losses = 1.319508, 1.319508,
    # 1.741101, 1; in all 8.313157, so 1.039145 on average.
    np.testing.assert_allclose(method.source_weights_, [0.872474, 0.589476, 0.962330, 0.398273], atol=1e-6)
    np.testing.assert_allclose(vote.predict_proba(ROWS)[:, 1], script.rounds[0])


def test_beta_is_the_papers_and_not_the_one_of_a_peer():
    assert round_beta(0.25) == pytest.approx(1 / 3)  # e / (1 - e), where e / (2 - e) would be 1/7
    assert round_beta(0.4) == pytest.approx(2 / 3)
    # Three classes: guessing errs in 2/3 of the rows and is worth nothing; beta_t = eps / (2 (1 - eps)).
    assert round_beta(0.5, k=3) == pytest.approx(0.5)
    assert 0.9 < round_beta(0.9, k=3) < 1


def test_three_classes_worked_by_hand():
    y = np.array([0, 1, 2, 0, 0, 1, 2, 0])
    script = Script([0, 1, 2, 1, 0, 1, 0, 1])  # source row 3 and target rows 6 and 7 wrong
    for method, factor in ((TrAdaBoost(1), 1.0), (DynamicTrAdaBoost(1), 1.5)):
        script.weights.clear()
        run(method, Scripted(script), y)
        assert method.betas_[0] == pytest.approx(0.5)  # 0.5 / (0.5 * 2)
        # Target 1, 1, 2, 2: it grows by 1.5 = k (1 - eps); so does the dynamic source.
        assert method.corrections_[0] == pytest.approx(factor)
        ends = np.array([factor] * 3 + [factor * 0.375219])
        np.testing.assert_allclose(method.source_weights_, 8 * ends / (ends.sum() + 6), atol=1e-6)


def test_dynamic_updates_worked_by_hand():
    method = DynamicTrAdaBoost(n_rounds=3)
    run(method, Scripted(three_rounds()))
    # C_t = 2 (1 - eps_t); row 0, always right, rises by 3/2, 5/3 and 8/5: by 4, as the target does from 4 to 16.
    np.testing.assert_allclose(method.corrections_, [3 / 2, 5 / 3, 8 / 5])
    ends = 4 * np.array([1, 0.509852, 0.259949, 0.132535])
    np.testing.assert_allclose(method.source_weights_, 8 * ends / (ends.sum() + 16), atol=1e-5)


@pytest.mark.parametrize(("method", "end"), [(DynamicTrAdaBoost(3), 0.5), (TrAdaBoost(3), 0.2)])
def test_a_source_that_is_always_right_keeps_its_weight_with_dynamic_updates_only(method, end):
    script = Script(wrong(7), wrong(4), wrong(5, 6))
    run(method, Scripted(script))
    shares = [w[:4].sum() / w.sum() for w in script.weights] + [method.source_weights_.sum() / 8]
    # Otherwise the target's growth, from 4 to 6, 10 and 16, presses it down.
    expected = [0.5] * 4 if end == 0.5 else [4 / 8, 4 / 10, 4 / 14, 4 / 20]
    np.testing.assert_allclose(shares, expected)


def test_dynamic_source_that_errs_by_nothing_keeps_its_share_where_losses_are_soft():
    script = Script(*[[0.0, 1.0, 0.0, 1.0, 0.1, 0.6, 0.3, 0.9]] * 3)
    method = DynamicTrAdaBoost(3)
    run(method, ScriptedSoft(script))
    # Target losses 0.1, 0.4, 0.3, 0.1: the error is 0.225, 1 / beta_t = 31/9, and the target grows by the mean of
    # 1.131649, 1.640014, 1.449225, 1.131649, which is less than 2 (1 - 0.225) = 1.55: by that the source would rise.
    assert method.corrections_[0] == pytest.approx(1.338134, abs=1e-6)
    assert method.source_weights_.sum() == pytest.approx(4)


def test_weights_given_stand_at_the_start():
    script = Script(TRUTH)
    own = np.array([1.0, 2, 3, 4, 2, 2, 2, 2])
    source = Domain(ROWS[:4], TRUTH[:4], name="source", weight=own[:4])
    target = Domain(ROWS[4:], TRUTH[4:], weight=own[4:])
    for target_weight, factor in ((1, 1.0), (3.0, 3.0), ("balanced", 10 / 8)):
        script.weights.clear()
        four_steps(TrAdaBoost(1, target_weight=target_weight), source, target, Scripted(script))
        expected = own * np.repeat([1, factor], 4)
        # The learner sees the total that the weights are worth in rows.
        np.testing.assert_allclose(script.weights[0], expected * expected.sum() / (expected @ expected))


def test_rows_without_weight_are_left_out_and_source_weights_stay_in_row_order():
    X, y, domain, _ = half_flipped()
    at = domain == "source"
    source, target = Domain(X[at], y[at], name="source"), Domain(X[~at], y[~at])
    own = np.ones(at.sum())
    own[::3] = 0
    weighted, without = TrAdaBoost(), TrAdaBoost()
    one = four_steps(weighted, Domain(X[at], y[at], name="source", weight=own), target, LogisticRegression()).predictor
    two = four_steps(without, source.rows(own > 0), target, LogisticRegression()).predictor
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-9)
    assert not weighted.source_weights_[::3].any()
    np.testing.assert_allclose(weighted.source_weights_[own > 0], without.source_weights_, atol=1e-9)


def test_a_faultless_learner_and_one_that_is_always_wrong_give_finite_votes():
    for said in (TRUTH, 1 - TRUTH):
        for kind in BOTH:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                warnings.simplefilter("ignore", UserWarning)
                method = kind(n_rounds=4)
                vote = run(method, Scripted(Script(*[said] * 4)))
            assert len(vote.models) == 3  # rounds 2, 3 and 4
            assert np.isfinite(vote.weights).all()
            assert (vote.weights > 0).all()
            assert np.isfinite(method.source_weights_).all()
            np.testing.assert_array_equal(vote.predict(ROWS), said)


def test_a_source_that_misleads_in_every_round_is_reported():
    with pytest.warns(UserWarning, match="the source misleads"):
        run(TrAdaBoost(2), Scripted(Script(1 - TRUTH, 1 - TRUTH)))


@pytest.mark.parametrize(("n_rounds", "voters"), [(1, 1), (2, 2), (3, 2), (10, 6), (11, 6)])
def test_rounds_from_half_on_vote(n_rounds, voters):
    assert len(run(TrAdaBoost(n_rounds), Scripted(Script(*[wrong(7)] * n_rounds))).models) == voters


def half_flipped(seed=0, n_s=600, n_t=60, n_test=600):
    """Return a source whose labels are flipped where column 1 is positive, a target, and test rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_s + n_t + n_test, 4))
    y = (X[:, 0] + 0.3 * rng.normal(size=len(X)) > 0).astype(int)
    lies = np.flatnonzero(X[:n_s, 1] > 0)
    y[lies] = 1 - y[lies]
    n = n_s + n_t
    return X[:n], y[:n], np.repeat(["source", "target"], [n_s, n_t]), (X[n:], y[n:])


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("depth", [2, 3])
def test_boosting_beats_source_only_and_pooled_where_half_of_the_source_is_wrong(kind, depth):
    scores = {"boosted": [], "pooled": [], "source": []}
    for seed in range(6):
        X, y, domain, test = half_flipped(seed)
        learner = DecisionTreeClassifier(max_depth=depth, random_state=0)
        for name, method in (("boosted", kind(n_rounds=20)), ("pooled", Pooled()), ("source", SourceOnly())):
            scores[name].append(Transfer(method, learner).fit(X, y, domain=domain).score(*test))
    means = {name: np.mean(values) for name, values in scores.items()}
    assert means["boosted"] > means["pooled"] + 0.05
    assert means["boosted"] > means["source"] + 0.1


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("learner", [DecisionTreeClassifier(max_depth=2, random_state=0), LogisticRegression()])
def test_source_rows_with_wrong_labels_fall(kind, learner):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(340, 3))
    y = (X[:, 0] > 0).astype(int)
    lies = rng.permutation(300)[:90]
    y[lies] = 1 - y[lies]
    fitted = Transfer(kind(), learner).fit(X, y, domain=np.repeat(["source", "target"], [300, 40]))
    w = fitted.method_.source_weights_
    assert w[lies].mean() < 0.2 * np.delete(w, lies).mean()
    assert fitted.method_.effective_size_ < 300
    assert fitted.method_.effective_size_ == pytest.approx(w.sum() ** 2 / (w @ w))


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    "learner",
    [
        DecisionTreeClassifier(max_depth=1, random_state=0),
        LogisticRegression(),
        RandomForestClassifier(10, max_depth=3, random_state=0),
        LinearSVC(random_state=0),
        RidgeClassifier(),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
)
@pytest.mark.parametrize("soft", [True, False])
def test_probabilities_sum_to_one_agree_with_predictions_and_come_again(kind, learner, soft):
    X, y, domain, test = half_flipped(n_s=200, n_t=40)
    y = y + (X[:, 2] > 0.5)
    named = np.array(["a", "b", "c"])[y].astype(object)
    named[-10:] = None
    one, two = (Transfer(kind(5, soft=soft), learner).fit(X, named, domain=domain) for _ in range(2))
    p = one.predict_proba(test[0])
    assert p.shape == (600, 3)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(one.classes_[p.argmax(axis=1)], one.predict(test[0]))
    np.testing.assert_array_equal(p, two.predict_proba(test[0]))


def test_a_class_that_the_target_lacks_can_be_predicted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(330, 2))
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    keep = (y != 2) | (np.arange(330) < 300)
    fitted = Transfer(TrAdaBoost(5), DecisionTreeClassifier(max_depth=3, random_state=0)).fit(
        X[keep], y[keep], domain=np.repeat(["source", "target"], [300, 30])[keep]
    )
    assert fitted.score(X, y) > 0.95
    assert set(fitted.predict(X)) == {0, 1, 2}


def test_one_class_in_all_is_predicted_without_ado():
    vote = run(TrAdaBoost(2), LogisticRegression(), y=np.ones(8, dtype=int))
    np.testing.assert_array_equal(vote.predict(ROWS), np.ones(8))


@pytest.mark.parametrize("kind", BOTH)
def test_sparse_rows_are_boosted_like_dense_ones(kind):
    X, y, domain, test = half_flipped()
    X = np.where(np.abs(X) < 0.4, 0.0, X)
    learner = DecisionTreeClassifier(max_depth=2, random_state=0)
    dense = Transfer(kind(5), learner).fit(X, y, domain=domain)
    sparse = Transfer(kind(5), learner).fit(csr_matrix(X), y, domain=domain)
    np.testing.assert_allclose(sparse.method_.source_weights_, dense.method_.source_weights_, atol=1e-8)
    np.testing.assert_allclose(sparse.predict_proba(csr_matrix(test[0])), dense.predict_proba(test[0]), atol=1e-8)


def test_sparse_source_rows_and_dense_target_rows_meet():
    X, y, domain, test = half_flipped()
    at = domain == "source"
    votes = [
        four_steps(TrAdaBoost(5), Domain(Xs, y[at], name="source"), Domain(Xt, y[~at]), LogisticRegression()).predictor
        for Xs, Xt in ((X[at], X[~at]), (csr_matrix(X[at]), X[~at]), (X[at], csr_matrix(X[~at])))
    ]
    for other in votes[1:]:
        np.testing.assert_allclose(other.predict_proba(test[0]), votes[0].predict_proba(test[0]), atol=1e-3)


def test_float32_rows_reach_the_learner_as_float32():
    X, y, domain, _ = half_flipped()
    fitted = Transfer(TrAdaBoost(3), LogisticRegression()).fit(X.astype(np.float32), y, domain=domain)
    assert {model.coef_.dtype for model in fitted.predictor_.models} == {np.dtype(np.float32)}


def test_weights_neither_overflow_nor_vanish_in_many_rounds():
    X, y, domain, _ = half_flipped(n_s=200, n_t=20)
    learner = DecisionTreeClassifier(max_depth=3, random_state=0)
    for kind in BOTH:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            method = Transfer(kind(n_rounds=120), learner).fit(X, y, domain=domain).method_
        assert np.isfinite(method.source_weights_).all()
        assert method.source_weights_.max() <= 220


def test_votes_come_back_from_a_file():
    X, y, domain, test = half_flipped()
    fitted = Transfer(TrAdaBoost(3), LogisticRegression()).fit(X, y, domain=domain)
    trusted = "headstart.instances.boosting.WeightedVote"
    from skops.io import dumps, get_untrusted_types, loads

    data = dumps(fitted.predictor_)
    strangers = set(get_untrusted_types(data=data))
    assert trusted in strangers
    again = loads(data, trusted=sorted(strangers))
    assert isinstance(again, WeightedVote)
    np.testing.assert_array_equal(again.predict_proba(test[0]), fitted.predict_proba(test[0]))


def test_wrong_settings_and_missing_rows_are_refused():
    X, y, domain, _ = half_flipped()
    for method, said in (
        (TrAdaBoost(0), "n_rounds"),
        (TrAdaBoost(target_weight="equal"), "target_weight"),
        (TrAdaBoost(target_weight=0), "target_weight"),
    ):
        with pytest.raises(InputError, match=said):
            Transfer(method, LogisticRegression()).fit(X, y, domain=domain)
    at = domain == "source"
    source, target = Domain(X[at], y[at], name="source", weight=np.zeros(at.sum())), Domain(X[~at], y[~at])
    with pytest.raises(NeedsError, match="no labelled source row has a weight"):
        four_steps(TrAdaBoost(), source, target, LogisticRegression())
    with pytest.raises(InputError, match="4 columns, target rows 3"):
        four_steps(TrAdaBoost(), Domain(X[at], y[at]), Domain(X[~at, :3], y[~at]), LogisticRegression())
