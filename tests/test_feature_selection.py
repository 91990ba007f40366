"""Feature selection against other implementations of its statistics, brute force, and its own rule by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix, issparse
from scipy.stats import ks_2samp, ttest_ind
from sklearn.linear_model import LogisticRegression, Ridge

from headstart import Transfer
from headstart.checks import check_method
from headstart.errors import InputError
from headstart.features import feature_selection as module
from headstart.features.feature_selection import CRITERIA, ColumnsMap, FeatureSelection, differences
from headstart.store import parts
from headstart.store.parts import dump_part, load_part


def samples(n=60, m=45, seed=0):
    """Continuous, rounded, mostly zero and constant columns."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n + m, 5))
    X[n:, 1] += 0.6
    X[:, 2] = np.round(X[:, 2] * 1.5)
    X[:, 3] *= rng.uniform(size=n + m) < 0.2
    X[:, 4] = 7.0
    return X[:n], X[n:]


def test_ks_is_that_of_scipy_with_ties_and_without():
    Xs, Xt = samples()
    method = FeatureSelection("ks").fit(Xs, Xt)
    for j in range(5):
        other = ks_2samp(Xs[:, j], Xt[:, j], method="asymp")
        assert method.statistic_[j] == pytest.approx(other.statistic, abs=1e-12)
        assert method.pvalue_[j] == pytest.approx(other.pvalue, abs=1e-10)


def test_smd_has_the_p_value_of_welchs_test():
    Xs, Xt = samples()
    method = FeatureSelection("smd").fit(Xs, Xt)
    spread = np.sqrt((Xs.var(axis=0, ddof=1) + Xt.var(axis=0, ddof=1)) / 2)
    away = np.abs(Xs.mean(axis=0) - Xt.mean(axis=0))
    np.testing.assert_allclose(method.statistic_[:4], away[:4] / spread[:4])
    np.testing.assert_allclose(method.pvalue_[:4], ttest_ind(Xs[:, :4], Xt[:, :4], equal_var=False).pvalue)
    assert (method.statistic_[4], method.pvalue_[4]) == (0.0, 1.0)


def test_mmd_is_half_the_energy_distance_by_brute_force():
    Xs, Xt = samples()
    method = FeatureSelection("mmd").fit(Xs, Xt)
    for j in range(4):
        a, b = Xs[:, j], Xt[:, j]
        across, within_a, within_b = (np.abs(u[:, None] - v).mean() for u, v in ((a, b), (a, a), (b, b)))
        # MMD^2 with k(x, x') = (|x| + |x'| - |x - x'|) / 2

        def k(u, v):
            return (np.abs(u[:, None]) + np.abs(v) - np.abs(u[:, None] - v)) / 2

        squared = k(a, a).mean() + k(b, b).mean() - 2 * k(a, b).mean()
        assert squared == pytest.approx(across - (within_a + within_b) / 2)
        assert method.statistic_[j] ** 2 == pytest.approx(squared / across, rel=1e-9)
    assert (method.statistic_[4], method.pvalue_[4]) == (0.0, 1.0)


def test_mmd_p_values_agree_with_permutations():
    rng = np.random.default_rng(1)
    for shift in (0.0, 0.25, 0.45):
        X = np.append(rng.exponential(size=50), shift + rng.exponential(size=70))[:, None]
        of_source = np.arange(120) < 50
        groups = np.array([of_source, *(rng.permutation(of_source) for _ in range(2000))])
        statistics, pvalues = differences(X, groups, "mmd")
        assert pvalues[0, 0] == pytest.approx((statistics[1:] >= statistics[0]).mean(), abs=0.03)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_p_values_are_uniform_without_a_shift(criterion):
    rng = np.random.default_rng(0)
    p = FeatureSelection(criterion).fit(rng.normal(size=(80, 2000)), rng.normal(size=(60, 2000))).pvalue_
    for level in (0.05, 0.2, 0.5):
        # Kolmogorov's asymptotic p-values are somewhat large for few rows, the others are not.
        low = 0.7 if criterion == "ks" else 0.85
        assert low * level < (p <= level).mean() < 1.15 * level


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_false_discovery_rate_is_kept(criterion):
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(60):
        Xs, Xt = rng.normal(size=(100, 40)), rng.normal(size=(100, 40))
        Xt[:, :20] += 0.8
        dropped = np.setdiff1d(np.arange(40), FeatureSelection(criterion, fdr=0.2).fit(Xs, Xt).kept_)
        assert np.isin(np.arange(20), dropped).mean() > 0.9
        shares.append((dropped >= 20).mean())
    assert np.mean(shares) < 0.13  # 0.2 times the share of columns without a shift, and chance


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_column_stays_that_tells_the_classes_apart_better_than_the_domains(criterion):
    rng = np.random.default_rng(0)
    ys = np.arange(300) % 3
    Xs, Xt = rng.normal(size=(300, 4)), rng.normal(size=(300, 4))
    Xs[:, 0] += 2.0 * (ys == 2)  # relevant, and stays
    Xs[:, 1] += 2.0 * (ys == 2)
    Xt[:, 0] += 2.0 * (ys == 2)
    Xt[:, 1] += 0.7 + 2.0 * (ys == 2)  # relevant, with a small shift
    Xt[:, 2] += 0.7  # the same shift, and irrelevant
    named = np.array(["low", "middle", "top"])[ys]
    method = FeatureSelection(criterion).fit(Xs, Xt, named)
    assert method.kept_.tolist() == [0, 1, 3]
    assert method.relevance_[2] == method.relevance_[3] == 0.0
    assert method.relevance_[1] > method.statistic_[1] > 0
    assert FeatureSelection(criterion, relevance=0.0).fit(Xs, Xt, named).kept_.tolist() == [0, 3]
    assert FeatureSelection(criterion).fit(Xs, Xt).kept_.tolist() == [0, 3]


def test_relevance_is_the_largest_statistic_of_a_class_against_the_rest():
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = rng.normal(size=(90, 2)) + np.outer(y == 1, [2.0, 0.0])
    method = FeatureSelection("ks").fit(X, X, y)
    by_class = [ks_2samp(X[y == c, 0], X[y != c, 0], method="asymp").statistic for c in range(3)]
    assert method.relevance_[0] == pytest.approx(max(by_class))
    labels = X[:, 0] + 0.1 * rng.normal(size=90)
    of_numbers = FeatureSelection("ks").fit(X, X, np.where(np.arange(90) < 5, np.nan, labels))
    above = labels[5:] > np.median(labels[5:])
    assert of_numbers.relevance_[0] == pytest.approx(ks_2samp(X[5:, 0][above], X[5:, 0][~above]).statistic)


def test_a_threshold_and_a_number_of_columns_take_the_place_of_the_test():
    Xs, Xt = np.zeros((4, 3)), np.zeros((4, 3))
    Xs[:, 0], Xt[:, 0] = [0, 1, 2, 3], [0, 1, 2, 9]  # ks 1/4
    Xs[:, 1], Xt[:, 1] = [0, 1, 2, 3], [0, 1, 8, 9]  # ks 1/2
    Xs[:, 2], Xt[:, 2] = [0, 1, 2, 3], [0, 7, 8, 9]  # ks 3/4
    np.testing.assert_allclose(FeatureSelection().fit(Xs, Xt).statistic_, [0.25, 0.5, 0.75])
    assert FeatureSelection().fit(Xs, Xt).kept_.tolist() == [0, 1, 2]  # four rows prove nothing
    assert FeatureSelection(threshold=0.5).fit(Xs, Xt).kept_.tolist() == [0, 1]
    assert FeatureSelection(threshold=0.1).fit(Xs, Xt).kept_.tolist() == [0]  # one is always kept
    flipped = FeatureSelection(n_features=2).fit(Xs[:, ::-1], Xt[:, ::-1])
    assert flipped.kept_.tolist() == [1, 2]
    np.testing.assert_array_equal(flipped.transform(Xt[:, ::-1]), Xt[:, [1, 0]])
    for settings, said in (
        ({"n_features": 4}, "from 1 to the 3 columns"),
        ({"n_features": 1, "threshold": 0.5}, "not both"),
        ({"criterion": "auc"}, "'ks', 'smd' or 'mmd'"),
        ({"fdr": 0.0}, "fdr must be between 0 and 1"),
    ):
        with pytest.raises(InputError, match=said):
            FeatureSelection(**settings).fit(Xs, Xt)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("block", [2**22, 200])
def test_sparse_rows_and_blocks_of_columns_give_the_same(criterion, block, monkeypatch):
    Xs, Xt = samples()
    y = (Xs[:, 0] > 0).astype(int)
    whole = FeatureSelection(criterion).fit(Xs, Xt, y)
    monkeypatch.setattr(module, "MOST_AT_ONCE", block)
    method = FeatureSelection(criterion).fit(csr_matrix(Xs), csr_matrix(Xt), y)
    for name in ("statistic_", "pvalue_", "relevance_", "kept_"):
        np.testing.assert_allclose(getattr(method, name), getattr(whole, name), atol=1e-12)
    mapped = method.transform(csr_matrix(Xt))
    assert issparse(mapped)
    np.testing.assert_array_equal(mapped.toarray(), whole.transform(Xt))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_domains_apart_by_a_constant_leave_the_best_column(criterion):
    X = np.ones((20, 3))
    far = np.vstack([X, X * [2.0, 3.0, 4.0]])
    y = np.append(np.arange(20) % 2, np.full(20, np.nan))
    fitted = Transfer(FeatureSelection(criterion), LogisticRegression())
    fitted.fit(far, y, domain=np.repeat(["source", "target"], 20))
    assert fitted.method_.kept_.tolist() == [0]
    assert (fitted.method_.pvalue_ < 1e-3).all()
    assert np.isfinite(fitted.predict_proba(far)).all()


def test_a_saved_predictor_predicts_the_same(monkeypatch):
    name = f"{ColumnsMap.__module__}.{ColumnsMap.__qualname__}"
    monkeypatch.setattr(parts, "TRUSTED", parts.TRUSTED | {name})
    Xs, Xt = samples()
    X, y = np.vstack([Xs, Xt]), np.append(Xs[:, 0], np.full(45, np.nan))
    predictor = Transfer(FeatureSelection(), Ridge()).fit(X, y, domain=np.repeat(["source", "target"], [60, 45]))
    again = load_part(dump_part(predictor.predictor_), "test")
    np.testing.assert_array_equal(again.predict(X), predictor.predict(X))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_feature_selection_passes_the_common_checks(criterion):
    check_method(FeatureSelection(criterion))
