"""Transfer as a scikit-learn estimator."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from headstart import Domain, Transfer
from headstart.baselines import Pooled, SourceOnly, TargetOnly
from headstart.checks import example
from headstart.choose import TargetKFold
from headstart.errors import InputError, NeedsError
from headstart.features import CORAL
from headstart.instances import BBSE, KMM, InstanceMethod
from headstart.method import Needs, four_steps


def test_it_works_in_a_pipeline():
    X, y, domain = example()
    pipeline = make_pipeline(StandardScaler(), Transfer(CORAL(), LogisticRegression()))
    pipeline.fit(X, y, transfer__domain=domain)
    assert pipeline.predict(X).shape == (110,)


def test_it_works_in_a_grid_search_over_target_folds():
    X, y, domain = example(labelled=30)
    search = GridSearchCV(
        Transfer(CORAL(), LogisticRegression()),
        {"method__reg": [0.1, 1.0], "learner__C": [0.1, 1.0]},
        cv=TargetKFold(3),
    )
    search.fit(X, y, groups=domain, domain=domain)
    assert set(search.best_params_) == {"method__reg", "learner__C"}
    assert 0.5 < search.best_score_ <= 1


def test_it_works_with_metadata_routing():
    X, y, domain = example(labelled=30)
    with sklearn.config_context(enable_metadata_routing=True):
        transfer = Transfer(Pooled(), LogisticRegression())
        transfer.set_fit_request(domain=True).set_score_request(domain=True)
        search = GridSearchCV(transfer, {"learner__C": [0.1, 1.0]}, cv=3 * [(np.arange(110), np.arange(110))])
        search.fit(X, y, domain=domain)
    assert search.best_score_ > 0.5


def test_a_clone_is_unfitted_and_equal():
    transfer = Transfer(KMM(B=5.0), SVC(), target="here")
    assert repr(clone(transfer)) == repr(transfer)
    assert clone(transfer).get_params()["method__B"] == 5.0


def test_it_is_what_its_learner_is():
    assert is_classifier(Transfer(CORAL(), SVC()))
    assert is_regressor(Transfer(CORAL(), Ridge()))
    assert not hasattr(Transfer(CORAL(), SVC()), "predict_proba")
    assert hasattr(Transfer(CORAL(), LogisticRegression()), "predict_proba")


def test_target_only_equals_the_learner_on_the_labelled_target_rows():
    X, y, domain = example()
    rows = (domain == "target") & ~np.isnan(y)
    alone = LogisticRegression().fit(X[rows], y[rows])
    transfer = Transfer(TargetOnly(), LogisticRegression()).fit(X, y, domain=domain)
    np.testing.assert_array_equal(transfer.predict_proba(X), alone.predict_proba(X))


def test_source_only_equals_the_learner_on_the_source_rows():
    X, y, domain = example()
    rows = domain == "source"
    alone = LogisticRegression().fit(X[rows], y[rows])
    transfer = Transfer(SourceOnly(), LogisticRegression()).fit(X, y, domain=domain)
    np.testing.assert_array_equal(transfer.predict_proba(X), alone.predict_proba(X))


def test_pooled_equals_the_learner_on_weighted_rows():
    X, y, domain = example()
    rows = ~np.isnan(y)
    weight = np.where(domain == "target", 20.0, 1.0)[rows]
    together = LogisticRegression(tol=1e-10).fit(X[rows], y[rows], sample_weight=weight)
    transfer = Transfer(Pooled(target_weight=20), LogisticRegression(tol=1e-10)).fit(X, y, domain=domain)
    np.testing.assert_allclose(transfer.predict_proba(X), together.predict_proba(X), atol=1e-6)


def test_several_sources_are_stacked():
    X, y, domain = example()
    apart = np.where((domain == "source") & (np.arange(110) % 2 == 0), "other", domain)
    one = Transfer(CORAL(), LogisticRegression()).fit(X, y, domain=domain)
    two = Transfer(CORAL(), LogisticRegression()).fit(X, y, domain=apart)
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


def test_score_speaks_of_labelled_target_rows():
    X, y, domain = example()
    transfer = Transfer(Pooled(), LogisticRegression()).fit(X, y, domain=domain)
    rows = (domain == "target") & ~np.isnan(y)
    by_hand = (transfer.predict(X[rows]) == y[rows]).mean()
    assert transfer.score(X, y, domain=domain) == pytest.approx(by_hand)
    assert transfer.score(X[rows], y[rows]) == pytest.approx(by_hand)


def test_sparse_rows_work_where_the_method_allows():
    from scipy.sparse import csr_matrix

    X, y, domain = example()
    dense = Transfer(Pooled(), LogisticRegression(tol=1e-10)).fit(X, y, domain=domain)
    sparse = Transfer(Pooled(), LogisticRegression(tol=1e-10)).fit(csr_matrix(X), y, domain=domain)
    np.testing.assert_allclose(sparse.predict_proba(csr_matrix(X)), dense.predict_proba(X), atol=1e-6)
    with pytest.raises(NeedsError, match="no sparse rows"):
        Transfer(CORAL(), LogisticRegression()).fit(csr_matrix(X), y, domain=domain)


def test_a_learner_without_weights_is_refused_where_weights_are_needed():
    X, y, domain = example()
    with pytest.raises(NeedsError, match="takes none"):
        Transfer(KMM(), KNeighborsClassifier()).fit(X, y, domain=domain)
    assert Transfer(TargetOnly(), KNeighborsClassifier(3)).fit(X, y, domain=domain).predict(X).shape == (110,)


def test_a_pipeline_with_a_weighted_last_step_is_a_learner():
    X, y, domain = example()
    learner = make_pipeline(StandardScaler(), LogisticRegression())
    assert Transfer(KMM(), learner).fit(X, y, domain=domain).score(X, y, domain=domain) > 0.5


def test_a_misspelt_target_names_the_domains():
    X, y, domain = example()
    with pytest.raises(InputError, match="'target'"):
        Transfer(CORAL(), LogisticRegression(), target="traget").fit(X, y, domain=domain)


class FirstRows(InstanceMethod):
    """Weigh the first ten source rows, by the order of their first column, and no others."""

    target_weight = 1.0
    needs = Needs()

    def weigh(self, Xs, Xt, ys=None, yt=None):
        return np.where(Xs[:, 0] <= np.sort(Xs[:, 0])[9], 7.0, 0.0)


def test_weights_of_few_rows_leave_a_penalty_as_strong_as_on_few_rows():
    X, y, domain = example("regression")
    y[domain == "target"] = np.nan
    rows = domain == "source"
    first = rows & (X[:, 0] <= np.sort(X[rows, 0])[9])
    by_hand = Ridge(alpha=5.0).fit(X[first], y[first])
    weighted = Transfer(FirstRows(), Ridge(alpha=5.0)).fit(X, y, domain=domain)
    np.testing.assert_allclose(weighted.predict(X), by_hand.predict(X), rtol=1e-8)


def test_a_method_that_weighs_all_rows_alike_equals_pooled():
    X, y, domain = example()
    alike = Transfer(BBSE(classifier=DummyClassifier(), check=False), LogisticRegression()).fit(X, y, domain=domain)
    pooled = Transfer(Pooled(), LogisticRegression()).fit(X, y, domain=domain)
    np.testing.assert_allclose(alike.predict_proba(X), pooled.predict_proba(X), rtol=1e-6)


class Nothing(FirstRows):
    """Weigh no source row."""

    def weigh(self, Xs, Xt, ys=None, yt=None):
        return np.zeros(len(Xs))


def test_where_all_weights_are_zero_the_target_is_learned_alone_or_the_user_told():
    X, y, domain = example()
    alone = Transfer(TargetOnly(), LogisticRegression()).fit(X, y, domain=domain)
    weighted = Transfer(Nothing(), LogisticRegression()).fit(X, y, domain=domain)
    np.testing.assert_array_equal(weighted.predict_proba(X), alone.predict_proba(X))
    y[domain == "target"] = np.nan
    with pytest.raises(NeedsError, match="all source weights are zero"):
        Transfer(Nothing(), LogisticRegression()).fit(X, y, domain=domain)


def test_row_weights_are_checked_where_they_enter():
    X, y, domain = example()
    for wrong, words in ((-np.ones(110), "row 1: weight -1"), (np.ones(3), "110 rows but weights of shape")):
        with pytest.raises(InputError, match=words):
            Transfer(Pooled(), LogisticRegression()).fit(X, y, domain=domain, sample_weight=wrong)
    with pytest.raises(NeedsError, match="takes no sample_weight"):
        Transfer(SourceOnly(), KNeighborsClassifier()).fit(X, y, domain=domain, sample_weight=np.ones(110))


def test_a_source_worth_few_rows_does_not_make_less_of_the_targets_own():
    X, y, domain = example("regression")
    rows, known = domain == "source", (domain == "target") & ~np.isnan(y)
    first = rows & (X[:, 0] <= np.sort(X[rows, 0])[9])
    method = FirstRows()
    for target_weight, each in (("balanced", 1.0), (2.0, 2.0)):  # ten source rows count, and twelve of the target
        method.target_weight = target_weight
        learned = first | known
        by_hand = Ridge().fit(X[learned], y[learned], sample_weight=np.where(known, each, 1.0)[learned])
        source, target = Domain(X[rows], y[rows], name="source"), Domain(X[~rows], y[~rows])
        predictor = four_steps(method, source, target, Ridge()).predictor
        np.testing.assert_allclose(predictor.predict(X), by_hand.predict(X), rtol=1e-8)
