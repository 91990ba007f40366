"""Source weighting against known ratios, its formula by hand, and sources made better and worse on purpose."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from headstart import Domain, Transfer
from headstart.baselines import Pooled
from headstart.checks import CHECKS, check_method
from headstart.errors import InputError, NeedsError
from headstart.instances import KMM
from headstart.instances.source_weighting import SourceWeighting, constant_error

BETA = np.array([1.0, -1.0, 0.5])


def sources(kind, n=150, n_t=60, labelled=25, n_test=500, classes=True, seed=0):
    """Return rows, labels and domains of sources "good" and "bad" and a target, then test rows.

    "moved": the bad source's rows lie elsewhere, where the task is another. "flipped": its labels are the opposite.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2 * n + n_t + n_test, 3))
    y = X @ BETA
    bad = slice(n, 2 * n)
    if kind == "moved":
        X[bad, 2] += 3.0
        y[bad] = X[bad] @ [-1.0, 1.0, 0.5] - 1.5
    else:
        y[bad] *= -1
    y += 0.3 * rng.normal(size=len(y))
    if classes:
        y = (y > 0).astype(float)
    here = 2 * n + n_t
    X_test, y_test = X[here:], y[here:].copy()
    y[2 * n + labelled :] = np.nan
    return X[:here], y[:here], np.repeat(["good", "bad", "target"], [n, n, n_t]), X_test, y_test


def test_by_ratio_the_weights_of_known_densities_are_found():
    # p_s is half N(0, 1) and half N(2, 1), p_t is N(0, 1): the mean of p_t / p_s over each source by quadrature.
    rng = np.random.default_rng(0)
    n = 4000
    Xs = np.append(rng.normal(0, 1, n), rng.normal(2, 1, n))[:, None]
    method = SourceWeighting()
    method.weigh(Xs, rng.normal(0, 1, (n, 1)), origin=np.repeat(["near", "far"], n))
    grid = np.linspace(-8, 10, 20001)
    near, far = (np.exp(-0.5 * (grid - m) ** 2) / np.sqrt(2 * np.pi) for m in (0, 2))
    ratio = near / (0.5 * near + 0.5 * far)
    expected = [np.sum(p * ratio) * (grid[1] - grid[0]) for p in (near, far)]
    found = [method.source_weights_[name] for name in ("near", "far")]
    assert sum(expected) == pytest.approx(2)
    assert found == pytest.approx(expected, abs=0.08)


def test_by_ratio_a_source_weighs_the_mean_of_its_rows_ratios():
    X, _, domain, _, _ = sources("moved")
    source = domain != "target"
    method = SourceWeighting(ratio=KMM())
    w = method.weigh(X[source], X[~source], origin=domain[source])
    rows = KMM().weigh(X[source], X[~source])
    means = {name: rows[domain[source] == name].mean() / rows.mean() for name in ("bad", "good")}
    assert method.source_weights_ == pytest.approx(means)
    np.testing.assert_allclose(w, [means[name] for name in domain[source]])
    assert method.effective_size_ == pytest.approx(w.sum() ** 2 / (w @ w))


@pytest.mark.parametrize(("by", "kind"), [("ratio", "moved"), ("validation", "flipped"), ("validation", "moved")])
@pytest.mark.parametrize(("classes", "learner"), [(True, LogisticRegression()), (False, Ridge())])
def test_the_better_source_weighs_more_and_pooled_is_beaten(by, kind, classes, learner):
    for seed in range(4):
        X, y, domain, X_test, y_test = sources(kind, classes=classes, seed=seed)
        weighted = Transfer(SourceWeighting(by, target_weight=1.0), learner).fit(X, y, domain=domain)
        pooled = Transfer(Pooled(1.0), learner).fit(X, y, domain=domain)
        found = weighted.method_.source_weights_
        assert found["good"] > 3 * found["bad"]
        assert weighted.score(X_test, y_test) > pooled.score(X_test, y_test)


@pytest.mark.parametrize("classes", [True, False])
def test_validation_weights_by_hand(classes):
    X, y, domain, _, _ = sources("moved", classes=classes, seed=1)
    rng = np.random.default_rng(0)
    domain = np.where((domain == "bad") & (rng.random(len(X)) < 0.1), "mixed", domain)
    domain = np.where((domain == "good") & (rng.random(len(X)) < 0.5), "mixed", domain)
    learner = LogisticRegression() if classes else Ridge()
    method = Transfer(SourceWeighting("validation"), learner).fit(X, y, domain=domain).method_
    known = (domain == "target") & ~np.isnan(y)
    Xt, yt = X[known], y[known]
    n = len(yt)
    guess = DummyClassifier(strategy="prior") if classes else DummyRegressor()
    way = "predict_proba" if classes else "predict"
    others = cross_val_predict(guess, Xt, yt, cv=LeaveOneOut(), method=way)
    aim = np.column_stack([yt == 0, yt == 1]) if classes else yt
    e_0 = np.sum((others - aim) ** 2) / n
    worth = {}
    for name in ("good", "bad", "mixed"):
        rows = domain == name
        e = np.sum((getattr(learner.fit(X[rows], y[rows]), way)(Xt) - aim) ** 2) / n
        assert method.errors_[name] == pytest.approx(e)
        assert method.constant_errors_[name] == pytest.approx(e_0)
        worth[name] = max(e_0 / ((n * e + e_0) / (n + 1)) - 1, 0)
    assert sum(value > 0 for value in worth.values()) >= 2
    mean = np.mean([worth[name] for name in domain[domain != "target"]])
    assert method.source_weights_ == pytest.approx({name: value / mean for name, value in worth.items()}, abs=1e-12)


def test_a_source_that_knows_nothing_gets_next_to_nothing():
    X, y, domain, _, _ = sources("flipped", n=400, labelled=60)
    rng = np.random.default_rng(0)
    y[domain == "bad"] = rng.permutation(y[domain == "bad"])
    found = Transfer(SourceWeighting("validation"), LogisticRegression()).fit(X, y, domain=domain).method_
    assert found.source_weights_["bad"] < 0.02 * found.source_weights_["good"]


def test_a_perfect_source_weighs_no_more_than_the_labelled_target_rows_allow():
    # "good" makes no error and "fair" one of 20; e_0 = 1/2: worth 20 and (1/2 - 1/20) / (1/20 + 1/40) = 6.
    Xt = np.append(np.linspace(-2, -1, 10), np.linspace(1, 2, 10))[:, None]
    yt = np.repeat([0, 1], 10)
    Xs = np.array([[-1.0], [1.0], [-1.0], [1.2]])  # borders at 0 and at 0.1
    Xt[10] = 0.05
    method = SourceWeighting("validation", judge=SVC(kernel="linear", C=1e6))
    method.weigh(Xs, Xt, [0, 1, 0, 1], yt, origin=["good", "good", "fair", "fair"])
    assert method.errors_ == {"good": 0.0, "fair": 0.05}
    assert method.constant_errors_ == {"good": 0.5, "fair": 0.5}
    assert method.source_weights_["good"] / method.source_weights_["fair"] == pytest.approx(20 / 6)


@pytest.mark.parametrize("soft", [True, False])
def test_the_constants_error_with_weights_is_that_of_repeated_rows_left_out_together(soft):
    labels = np.array(["a", "a", "b", "c", "b", "a"])
    weight = np.array([1.0, 2.0, 3.0, 1.0, 0.5, 2.5])
    rows = Domain(np.zeros((6, 1)), labels, weight=weight)
    if not soft:
        assert constant_error(rows, soft) == pytest.approx(1 - 5.5 / 10)
        return
    total = 0.0
    for i in range(6):
        others = np.arange(6) != i
        share = np.array([weight[others & (labels == c)].sum() for c in "abc"]) / weight[others].sum()
        total += weight[i] * np.sum((share - [labels[i] == c for c in "abc"]) ** 2)
    assert constant_error(rows, soft) == pytest.approx(total / 10)


@pytest.mark.parametrize("by", ["ratio", "validation"])
def test_one_source_weighs_one(by):
    X, y, domain, X_test, _ = sources("moved")
    domain = np.where(domain == "target", "target", "all")
    weighted = Transfer(SourceWeighting(by), LogisticRegression()).fit(X, y, domain=domain)
    pooled = Transfer(Pooled(), LogisticRegression()).fit(X, y, domain=domain)
    assert weighted.method_.source_weights_ == {"all": 1.0}
    np.testing.assert_array_equal(weighted.predict_proba(X_test), pooled.predict_proba(X_test))
    alone = SourceWeighting(by)
    source = domain == "all"
    np.testing.assert_array_equal(alone.weigh(X[source], X[~source], y[source], y[~source]), 1.0)
    assert alone.source_weights_ == {"source": 1.0}


@pytest.mark.parametrize("by", ["ratio", "validation"])
def test_sample_weights_multiply_the_sources_weights(by):
    X, y, domain, X_test, _ = sources("moved", classes=False)
    own = np.random.default_rng(1).uniform(0.2, 2, len(X))
    fitted = Transfer(SourceWeighting(by, target_weight=2.0), LinearRegression())
    fitted.fit(X, y, domain=domain, sample_weight=own)
    source, known = domain != "target", (domain == "target") & ~np.isnan(y)
    ws = own[source] * np.array([fitted.method_.source_weights_[name] for name in domain[source]])
    w = np.append(ws * ws.sum() / (ws @ ws), 2 * own[known] / own[known].mean())
    rows, labels = np.vstack([X[source], X[known]]), np.append(y[source], y[known])
    by_hand = LinearRegression().fit(rows, labels, sample_weight=w)
    np.testing.assert_allclose(fitted.predict(X_test), by_hand.predict(X_test), rtol=1e-9, atol=1e-9)
    if by == "validation":  # and the source models are fitted with them
        bad = domain == "bad"
        model = LinearRegression().fit(X[bad], y[bad], sample_weight=own[bad])
        error = np.average((model.predict(X[known]) - y[known]) ** 2, weights=own[known])
        assert fitted.method_.errors_["bad"] == pytest.approx(error)


def test_where_no_source_beats_a_constant_all_weigh_the_same_and_the_user_is_told():
    X, y, domain, _, _ = sources("flipped")
    y[domain == "good"] = 1 - y[domain == "good"]
    with pytest.warns(UserWarning, match="no source predicts the 25 labelled target rows better"):
        fitted = Transfer(SourceWeighting("validation"), LogisticRegression()).fit(X, y, domain=domain)
    assert fitted.method_.source_weights_ == {"good": 1.0, "bad": 1.0}


@pytest.mark.parametrize(("classes", "learner"), [(True, LogisticRegression()), (False, Ridge())])
def test_target_labels_that_can_not_tell_leave_the_sources_alike(classes, learner):
    X, y, domain, _, _ = sources("flipped", classes=classes)
    target = domain == "target"
    y[target & (y != 1) if classes else np.arange(len(X)) > np.flatnonzero(target)[0]] = np.nan
    with pytest.warns(UserWarning, match="all sources weigh the same"):
        fitted = Transfer(SourceWeighting("validation"), learner).fit(X, y, domain=domain)
    assert set(fitted.method_.source_weights_.values()) == {1.0}


@pytest.mark.parametrize("by", ["ratio", "validation"])
def test_a_class_missing_in_the_target_or_in_a_source_is_no_obstacle(by):
    X, y, domain, X_test, _ = sources("moved")
    y[(domain == "good") & (X[:, 1] > 0.8)] = 2.0
    y[(domain == "target") & (y == 0)] = np.nan
    y[np.flatnonzero((domain == "target") & (y == 1))[:4]] = 0.0
    y[(domain == "bad") & (y == 0)] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        fitted = Transfer(SourceWeighting(by), LogisticRegression()).fit(X, y, domain=domain)
    assert set(fitted.classes_) == {0, 1, 2}
    assert np.isfinite(fitted.predict_proba(X_test)).all()


@pytest.mark.parametrize("by", ["ratio", "validation"])
def test_text_labels_sparse_rows_single_precision_and_order_change_nothing(by):
    X, y, domain, _, _ = sources("moved")
    X = np.where(np.abs(X) < 0.4, 0, X)

    def found(X, y, domain=domain):
        fitted = Transfer(SourceWeighting(by), LogisticRegression(tol=1e-6)).fit(X, y, domain=domain)
        return fitted.method_.source_weights_

    expected = found(X, y)
    order = np.random.default_rng(1).permutation(len(X))
    named = np.array([None if np.isnan(v) else ("no", "yes")[int(v)] for v in y], dtype=object)
    assert found(X, named) == pytest.approx(expected)
    assert found(csr_matrix(X), y) == pytest.approx(expected, rel=1e-3)
    assert found(X.astype(np.float32), y) == pytest.approx(expected, rel=1e-3)
    assert found(X[order], y[order], domain[order]) == pytest.approx(expected, rel=1e-4)
    source = domain != "target"
    single = X.astype(np.float32)
    w = SourceWeighting(by).weigh(single[source], single[~source], y[source], y[~source], origin=domain[source])
    assert w.dtype == np.float32


@pytest.mark.parametrize("classes", [True, False])
def test_alone_it_weighs_like_within_transfer(classes):
    X, y, domain, _, _ = sources("flipped", classes=classes)
    source = domain != "target"
    learner = LogisticRegression(max_iter=2000) if classes else Ridge()
    for by in ("ratio", "validation"):
        alone = SourceWeighting(by)
        w = alone.weigh(X[source], X[~source], y[source], y[~source], origin=domain[source])
        within = Transfer(SourceWeighting(by), learner).fit(X, y, domain=domain).method_
        assert alone.source_weights_ == pytest.approx(within.source_weights_)
        np.testing.assert_allclose(w, [alone.source_weights_[name] for name in domain[source]])
        assert w.mean() == pytest.approx(1)


def test_the_judge_and_the_ratio_of_ones_own_are_used_and_seeded():
    X, y, domain, _, _ = sources("flipped")
    forest = RandomForestClassifier(10)
    found = [
        Transfer(SourceWeighting("validation", judge=forest, random_state=3), SVC()).fit(X, y, domain=domain).method_
        for _ in range(2)
    ]
    assert found[0].errors_ == found[1].errors_
    model = RandomForestClassifier(10, random_state=3).fit(X[domain == "bad"], y[domain == "bad"])
    known = (domain == "target") & ~np.isnan(y)
    away = model.predict_proba(X[known])[:, 1] - y[known]
    assert found[0].errors_["bad"] == pytest.approx(2 * np.mean(away**2))
    assert forest.random_state is None
    neighbours = SourceWeighting("validation", judge=KNeighborsClassifier(3))  # takes no sample_weight, and needs none
    assert Transfer(neighbours, SVC()).fit(X, y, domain=domain).method_.source_weights_["good"] > 1


def test_source_weighting_refuses_what_it_can_not_work_with():
    X, y, domain, _, _ = sources("moved")
    source = domain != "target"
    unlabelled = np.where(source, y, np.nan)
    with pytest.raises(NeedsError, match="needs labelled target rows"):
        Transfer(SourceWeighting("validation"), LogisticRegression()).fit(X, unlabelled, domain=domain)
    with pytest.raises(NeedsError, match="needs labelled target rows"):
        SourceWeighting("validation").weigh(X[source], X[~source], y[source], unlabelled[~source])
    with pytest.raises(NeedsError, match="give ys and yt"):
        SourceWeighting("validation").weigh(X[source], X[~source])
    with pytest.raises(InputError, match="a source label is missing"):
        SourceWeighting("validation").weigh(X[source], X[~source], unlabelled[: source.sum()] * np.nan, y[~source])
    with pytest.raises(InputError, match="by must be"):
        Transfer(SourceWeighting("size"), LogisticRegression()).fit(X, y, domain=domain)
    with pytest.raises(InputError, match="name the source of each of the 300 rows"):
        SourceWeighting().weigh(X[source], X[~source], origin=["a", "b"])
    with pytest.raises(InputError, match="not for classification"):
        Transfer(SourceWeighting("validation", judge=Ridge()), LogisticRegression()).fit(X, y, domain=domain)


def test_no_warning_where_a_small_source_has_all_the_weight():
    X, y, domain, _, _ = sources("flipped", n=200)
    drop = np.flatnonzero(domain == "good")[10:]
    X, y, domain = (np.delete(array, drop, axis=0) for array in (X, y, domain))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method = Transfer(SourceWeighting("validation"), LogisticRegression()).fit(X, y, domain=domain).method_
    assert method.source_weights_["bad"] == 0
    assert method.effective_size_ == pytest.approx(10)


def test_source_weighting_passes_the_common_checks():
    check_method(SourceWeighting())
    for check in CHECKS:
        if check.__name__ != "check_no_target_labels":  # by validation it needs some, and says so
            check(SourceWeighting("validation"))
