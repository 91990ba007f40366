"""TrAdaBoost.R2 and its two-stage form: the paper's arithmetic by hand, and what boosting is to do."""

import warnings

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from headstart import Domain, Transfer
from headstart.baselines import Pooled, SourceOnly, TargetOnly
from headstart.errors import InputError
from headstart.instances.boosting import WeightedMedian, adjusted_errors
from headstart.instances.tradaboost_r2 import TrAdaBoostR2
from headstart.instances.two_stage_tradaboost_r2 import TwoStageTrAdaBoostR2, with_target_share
from headstart.method import four_steps

BOTH = [TrAdaBoostR2(), TwoStageTrAdaBoostR2(n_steps=3, n_rounds=3, folds=2)]


class Noted:
    """What each fit was given: rows and weights. Where there are answers, they are what the fits predict in turn."""

    def __init__(self, *answers):
        self.answers, self.rows, self.weights = [np.array(said) for said in answers], [], []

    def __deepcopy__(self, memo):
        return self


class Scripted(RegressorMixin, BaseEstimator):
    def __init__(self, notes):
        self.notes = notes

    def fit(self, X, y, sample_weight):
        self.said_ = self.notes.answers[len(self.notes.weights)]
        self.notes.weights.append(sample_weight.copy())
        return self

    def predict(self, X):
        return self.said_[X[:, 0].astype(int)]


class NotingRidge(Ridge):
    """Ridge that takes note of what it is fitted on."""

    def __init__(self, notes, alpha=1.0):
        self.notes = notes
        super().__init__(alpha=alpha)

    def fit(self, X, y, sample_weight=None):
        self.notes.rows.append(np.asarray(X).copy())
        self.notes.weights.append(sample_weight.copy())
        return super().fit(X, y, sample_weight=sample_weight)


#: Four source rows (0 to 3) and four target rows (4 to 7), all with the label 0, so that predictions are residuals.
ROWS = np.arange(8.0)[:, None]


def run(method, learner):
    source = Domain(ROWS[:4], np.zeros(4), name="source", task="regression")
    return four_steps(method, source, Domain(ROWS[4:], np.zeros(4), task="regression"), learner).predictor


def test_three_rounds_worked_by_hand():
    notes = Noted(
        [0, 1, -2, 4, 2, 0, 0, -2],  # D = 4: errors 0, 1/4, 1/2, 1 and 1/2, 0, 0, 1/2
        [0, 0, 3, 6, 0, -6, 0, 0],  # D = 6: errors 0, 0, 1/2, 1 and 0, 1, 0, 0
        [0, 0, 0, 8, 0, 0, 4, 4],  # D = 8: errors 0, 0, 0, 1 and 0, 0, 1/2, 1/2
    )
    method = TrAdaBoostR2(n_rounds=3)
    median = run(method, Scripted(notes))
    assert method.beta_ == pytest.approx(0.509852, abs=1e-6)
    # Round 1: the error is 1/4, 1 / beta_t = 3; target rows become sqrt 3 = 1.732051, 1, 1, 1.732051.
    # Round 2: 1 of 5.464102, so 0.183013, and 1 / beta_t = 4.464102 for row 5.
    # Round 3: (1 + 1.732051) / 2 of 8.928203, so 0.153001, 1 / beta_t = 5.535898, its root 2.352849.
    np.testing.assert_allclose(method.errors_, [0.25, 0.183013, 0.153001], atol=1e-6)
    np.testing.assert_allclose(1 / method.betas_, [3, 4.464102, 5.535898], atol=1e-6)
    given = [w / w[0] for w in notes.weights]
    np.testing.assert_allclose(given[0], np.ones(8))
    np.testing.assert_allclose(given[1], [1, 0.845008, 0.714039, 0.509852, 1.732051, 1, 1, 1.732051], atol=1e-6)
    np.testing.assert_allclose(given[2], [1, 0.845008, 0.509852, 0.259949, 1.732051, 4.464102, 1, 1.732051], atol=1e-6)
    # At the end the source has beta to the powers 0, 1/4, 1 and 3, the target 1.732051, 4.464102, 2.352849, 4.075254.
    np.testing.assert_allclose(
        method.source_weights_, np.array([1, 0.845008, 0.509852, 0.132535]) / 1.888956, atol=1e-6
    )
    # Rounds 2 and 3 count with ln 4.464102 = 1.496068 and ln 5.535898 = 1.711254: the heavier one is the median of two.
    np.testing.assert_allclose(median.weights, [1.496068, 1.711254], atol=1e-6)
    np.testing.assert_array_equal(median.predict(ROWS), notes.answers[2])


def test_errors_are_relative_to_the_largest_by_three_losses():
    residuals = np.array([-2.0, 1.0, 0.0])
    np.testing.assert_allclose(adjusted_errors(residuals, "linear"), [1, 0.5, 0])
    np.testing.assert_allclose(adjusted_errors(residuals, "square"), [1, 0.25, 0])
    np.testing.assert_allclose(adjusted_errors(residuals, "exponential"), [0.632121, 0.393469, 0], atol=1e-6)
    np.testing.assert_array_equal(adjusted_errors(np.zeros(3), "linear"), np.zeros(3))


def test_boosting_stops_before_a_round_that_errs_by_half():
    bad = [0, 0, 0, 4, 4, 4, 2, 2]  # the target errs by 3/4 of the largest error
    good = [0, 1, 2, 4, 1, 0, 0, 1]
    method = TrAdaBoostR2(n_rounds=4)
    median = run(method, Scripted(Noted(good, good, bad, good)))
    assert len(method.errors_) == 2
    assert len(median.models) == 2  # rounds ceil(2 / 2) = 1 and 2
    with pytest.warns(UserWarning, match="the source misleads"):
        median = run(method, Scripted(Noted(bad, bad)))
    np.testing.assert_array_equal(median.predict(ROWS), bad)
    assert method.errors_ == pytest.approx([0.75])
    assert np.isfinite(median.weights).all()
    assert (median.weights > 0).all()


def test_weighted_median_is_where_half_the_weight_lies():
    class Says:
        def __init__(self, values):
            self.values = values

        def predict(self, X):
            return self.values

    rng = np.random.default_rng(0)
    for T in (1, 2, 5, 8):
        values, weights = rng.normal(size=(T, 40)), rng.uniform(0.1, 2, T)
        found = WeightedMedian([Says(v) for v in values], weights).predict(np.zeros((40, 1)))
        for i in range(40):
            below = [v for v in values[:, i] if weights[values[:, i] <= v].sum() >= weights.sum() / 2]
            assert found[i] == min(below)
    odd = WeightedMedian([Says(v) for v in values[:5]], np.ones(5)).predict(np.zeros((40, 1)))
    np.testing.assert_array_equal(odd, np.median(values[:5], axis=0))


def half_turned(seed=0, n_s=400, n_t=40, n_test=500, turned=True):
    """Return a source whose slope is turned where column 1 is positive, a target, and test rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_s + n_t + n_test, 3))
    slope = np.ones(len(X))
    if turned:
        slope[:n_s][X[:n_s, 1] > 0] = -1
    y = slope * X[:, 0] + 0.5 * X[:, 2] + 0.1 * rng.normal(size=len(X))
    n = n_s + n_t
    return X[:n], y[:n], np.repeat(["source", "target"], [n_s, n_t]), (X[n:], y[n:])


def mse(method, learner, data):
    X, y, domain, (X_test, y_test) = data
    fitted = Transfer(method, learner).fit(X, y, domain=domain)
    return float(np.mean((fitted.predict(X_test) - y_test) ** 2))


@pytest.mark.parametrize("learner", [DecisionTreeRegressor(max_depth=4, random_state=0), Ridge()])
def test_boosting_beats_source_only_and_pooled_where_half_of_the_source_is_wrong(learner):
    for ours in (TrAdaBoostR2(20), TwoStageTrAdaBoostR2()):
        loss = {
            name: np.mean([mse(method, learner, half_turned(seed)) for seed in range(2)])
            for name, method in (("ours", ours), ("pooled", Pooled()), ("source", SourceOnly()))
        }
        assert loss["ours"] < 0.8 * loss["pooled"]
        assert loss["ours"] < 0.5 * loss["source"]


def test_source_rows_that_tell_otherwise_fall():
    X, y, domain, _ = half_turned()
    for method in (TrAdaBoostR2(20), TwoStageTrAdaBoostR2()):
        fitted = Transfer(method, DecisionTreeRegressor(max_depth=4, random_state=0)).fit(X, y, domain=domain)
        w, contrary = fitted.method_.source_weights_, (X[:400, 1] > 0) & (np.abs(X[:400, 0]) > 1)
        assert w[contrary].mean() < 0.6 * w[X[:400, 1] < 0].mean()
        assert fitted.method_.effective_size_ == pytest.approx(w.sum() ** 2 / (w @ w))


@pytest.mark.parametrize("target_weight", [1.0, 4.0, "balanced"])
def test_the_targets_share_follows_the_schedule_in_every_fit(target_weight):
    X, y, domain, _ = half_turned(n_s=150, n_t=30)
    notes, S = Noted(), 5
    method = TwoStageTrAdaBoostR2(n_steps=S, n_rounds=3, folds=3, target_weight=target_weight)
    used = Transfer(method, NotingRidge(notes)).fit(X, y, domain=domain).method_
    start = {1.0: 30 / 180, 4.0: 120 / 270, "balanced": 1 / 2}[target_weight]
    schedule = start + np.arange(S) / (S - 1) * (1 - start)
    np.testing.assert_allclose(used.target_shares_, schedule, atol=1e-12)
    of_target = {row.tobytes() for row in X[domain == "target"]}
    seen = []
    for rows, w in zip(notes.rows, notes.weights, strict=True):
        mine = np.array([row.tobytes() in of_target for row in rows])
        seen.append(np.abs(w[mine].sum() / w.sum() - schedule).min())
        # In the last step source rows are gone.
        assert mine.all() or mine.sum() in (20, 30)
    assert max(seen) < 1e-12


def test_source_weights_fall_by_one_beta_to_their_errors_found_to_the_last_digit():
    rng = np.random.default_rng(0)
    w, e = rng.uniform(0.5, 2, 90), rng.uniform(0, 1, 60)
    w /= w.sum()
    for share in (w[60:].sum() + 1e-9, 0.5, 0.9, 0.999):
        new = with_target_share(w, e, share)
        assert new.sum() == pytest.approx(1, abs=1e-14)
        assert new[60:].sum() == pytest.approx(share, abs=1e-14)
        np.testing.assert_allclose(new[60:] / new[60], w[60:] / w[60])
        # log(new / old) is a line in e whose slope is ln(beta); a root finder finds the same one.
        slope, _ = np.polyfit(e, np.log(new[:60] / w[:60]), 1)
        goal = w[60:].sum() * (1 - share) / share
        other = brentq(lambda fall, goal=goal: np.log(w[:60] @ np.exp(-fall * e)) - np.log(goal), 0, 1e3, xtol=1e-14)
        assert slope == pytest.approx(-other, rel=1e-5, abs=1e-6)
        np.testing.assert_allclose(new[:60] / new[60:].sum() * w[60:].sum(), w[:60] * np.exp(-other * e), rtol=1e-6)
    assert not with_target_share(w, e, 1.0)[:60].any()


def test_source_rows_without_error_give_way_too_where_they_must():
    w = np.full(6, 1 / 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(with_target_share(w, np.zeros(4), 0.8), [0.05] * 4 + [0.4] * 2)
        np.testing.assert_allclose(with_target_share(w, np.array([0, 0, 1, 1.0]), 0.8), [0.1, 0.1, 0, 0, 0.4, 0.4])


def test_source_rows_keep_their_weight_within_a_step_and_target_rows_share_theirs():
    X, y, domain, _ = half_turned(n_s=100, n_t=20)
    notes = Noted()
    method = TwoStageTrAdaBoostR2(n_steps=1, n_rounds=4)
    used = Transfer(method, NotingRidge(notes)).fit(X, y, domain=domain).method_
    # The learner sees the total that the weights are worth in rows; here only their relations matter.
    rounds = [w / w[0] for w in notes.weights if len(w) == 120]
    assert len(rounds) == 4
    for w in rounds:
        np.testing.assert_allclose(w[:100], 1)
        assert w[100:].sum() == pytest.approx(20)
    # AdaBoost.R2: w beta^(1 - e), with the error over all rows.
    fitted = Ridge().fit(X, y)
    e = np.abs(y - fitted.predict(X))
    e /= e.max()
    beta = e.mean() / (1 - e.mean())
    raised = beta ** (1 - e[100:])
    np.testing.assert_allclose(rounds[1][100:], 20 * raised / raised.sum())
    assert used.betas_[0] == pytest.approx(beta)
    np.testing.assert_allclose(used.source_weights_, 1)


def used_on(data, method, learner):
    X, y, domain, _ = data
    return Transfer(method, learner).fit(X, y, domain=domain).method_


def test_the_step_with_the_least_cross_validated_error_is_chosen():
    helpful = used_on(half_turned(n_t=8, turned=False), TwoStageTrAdaBoostR2(), Ridge())
    contrary = half_turned(n_t=40, turned=False)
    contrary[1][:400] *= -1
    harmful = used_on(contrary, TwoStageTrAdaBoostR2(), Ridge())
    for used in (helpful, harmful):
        assert used.step_ == np.argmin(used.step_errors_) + 1
    assert helpful.step_ < 6
    assert helpful.step_errors_[0] < 0.5 * helpful.step_errors_[-1]
    assert harmful.target_shares_[harmful.step_ - 1] > 0.6
    assert harmful.step_errors_[0] > 5 * harmful.step_errors_.min()


def test_two_stages_do_nearly_as_well_as_the_better_of_source_and_target():
    for turned, n_t in ((False, 6), (True, 60)):
        data = [half_turned(seed, n_t=n_t, turned=turned) for seed in range(2)]
        loss = {
            name: np.mean([mse(method, Ridge(), one) for one in data])
            for name, method in (("ours", TwoStageTrAdaBoostR2()), ("s", SourceOnly()), ("t", TargetOnly()))
        }
        assert loss["ours"] < 1.2 * min(loss["s"], loss["t"])


def test_one_labelled_target_row_is_enough_and_said_to_be_little():
    X, y, domain, _ = half_turned(n_t=1)
    with pytest.warns(UserWarning, match="can't be held out"):
        fitted = Transfer(TwoStageTrAdaBoostR2(), Ridge()).fit(X, y, domain=domain)
    assert fitted.method_.step_ == 1


def test_a_learner_without_error_is_no_obstacle():
    X, y, domain, _ = half_turned(turned=False)
    y = X @ [1.0, 2.0, 0.0]
    for method in BOTH:
        for learner in (DecisionTreeRegressor(random_state=0), Ridge(1e-12)):
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                fitted = Transfer(method, learner).fit(X, y, domain=domain)
            np.testing.assert_allclose(fitted.predict(X), y, atol=1e-6)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("loss", ["linear", "square", "exponential"])
def test_answers_come_again_for_every_loss_and_random_learner(method, loss):
    X, y, domain, test = half_turned(n_s=100)
    learner = RandomForestRegressor(3, max_depth=3, random_state=0)
    answers = [
        Transfer(type(method)(**{**method.get_params(), "loss": loss}), learner)
        .fit(X, y, domain=domain)
        .predict(test[0])
        for _ in range(2)
    ]
    assert np.isfinite(answers[0]).all()
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("method", BOTH)
def test_sparse_rows_float32_and_weights_are_taken(method):
    X, y, domain, test = half_turned()
    X = np.where(np.abs(X) < 0.3, 0.0, X)
    # No trees: where two splits are equally good, the last digit decides, and boosting goes another way.
    learner = Ridge(solver="sparse_cg", tol=1e-13)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    weight[::7] = 0
    dense, sparse, fewer = (
        Transfer(method, learner).fit(rows, labels, domain=names, sample_weight=own)
        for rows, labels, names, own in (
            (X, y, domain, weight),
            (csr_matrix(X), y, domain, weight),
            (X[weight > 0], y[weight > 0], domain[weight > 0], weight[weight > 0]),
        )
    )
    np.testing.assert_allclose(sparse.predict(csr_matrix(test[0])), dense.predict(test[0]), atol=1e-6)
    np.testing.assert_allclose(fewer.predict(test[0]), dense.predict(test[0]), atol=1e-6)
    single = Transfer(method, Ridge()).fit(X.astype(np.float32), y.astype(np.float32), domain=domain)
    assert {model.coef_.dtype for model in single.predictor_.models} == {np.dtype(np.float32)}


def test_medians_come_back_from_a_file():
    from skops.io import dumps, get_untrusted_types, loads

    X, y, domain, test = half_turned()
    fitted = Transfer(TrAdaBoostR2(4), Ridge()).fit(X, y, domain=domain)
    data = dumps(fitted.predictor_)
    assert get_untrusted_types(data=data) == ["headstart.instances.boosting.WeightedMedian"]
    again = loads(data, trusted=["headstart.instances.boosting.WeightedMedian"])
    np.testing.assert_array_equal(again.predict(test[0]), fitted.predict(test[0]))


def test_wrong_settings_are_refused():
    X, y, domain, _ = half_turned()
    for method, said in (
        (TrAdaBoostR2(0), "n_rounds"),
        (TrAdaBoostR2(loss="absolute"), "loss"),
        (TwoStageTrAdaBoostR2(loss="absolute"), "loss"),
        (TwoStageTrAdaBoostR2(n_steps=0), "n_steps"),
        (TwoStageTrAdaBoostR2(folds=1), "folds"),
    ):
        with pytest.raises(InputError, match=said):
            Transfer(method, Ridge()).fit(X, y, domain=domain)
