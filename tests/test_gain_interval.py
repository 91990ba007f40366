"""The interval of the gain over rows: formulas, hand-worked cases, and how often it holds."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from headstart.choose import Trial
from headstart.errors import InputError
from headstart.evidence import METRICS
from headstart.evidence.gain import cross_validated_gain, gain_on_rows
from headstart.evidence.interval import effect_size, fresh_rows_interval, mcnemar, rows_interval, student_interval


def folds_for(n, repeats, rng, k=5):
    return np.stack([rng.permutation(np.arange(n) % k) for _ in range(repeats)])


def test_without_variation_over_repeats_the_interval_is_that_of_the_rows():
    rng = np.random.default_rng(0)
    d = rng.normal(0.1, 1, 50)
    interval = rows_interval(np.tile(d, (4, 1)), folds_for(50, 4, rng))
    expected = ttest_1samp(d, 0)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert interval.p == pytest.approx(expected.pvalue)


def test_the_variation_of_training_sets_equals_the_mean_product_of_rows_held_out_together():
    rng = np.random.default_rng(1)
    d, folds = rng.normal(size=(3, 20)), folds_for(20, 3, rng)
    # Each fold's models are a little better or worse on all its rows.
    d += rng.normal(0, 2, (3, 5))[np.arange(3)[:, None], folds]
    e = d - d.mean(axis=0)
    products = [
        e[r, i] * e[r, j]
        for r, i, j in product(range(3), range(20), range(20))
        if i != j and folds[r, i] == folds[r, j]
    ]
    covariance = np.mean(products) / (1 - 1 / 3)
    assert covariance > 1
    variance = d.mean(axis=0).var(ddof=1) / 20 + 0.35 * 4 * covariance
    assert rows_interval(d, folds).error == pytest.approx(np.sqrt(variance))


def test_one_repeat_takes_half_the_rows_variance_for_what_it_cannot_see():
    rng = np.random.default_rng(2)
    d = rng.normal(size=(1, 30))
    assert rows_interval(d, folds_for(30, 1, rng)).error == pytest.approx(np.sqrt(1.5 * d.var(ddof=1) / 30))


def test_the_order_of_rows_does_not_matter_and_inputs_are_kept():
    rng = np.random.default_rng(3)
    d, folds, order = rng.normal(size=(5, 31)), folds_for(31, 5, rng), rng.permutation(31)
    kept = d.copy(), folds.copy()
    assert rows_interval(d, folds).document() == pytest.approx(rows_interval(d[:, order], folds[:, order]).document())
    assert np.array_equal(d, kept[0])
    assert np.array_equal(folds, kept[1])


def test_the_mean_is_that_over_splits():
    d = np.array([[1.0, 0.0, 0.0, 1.0, 1.0]])
    folds = np.array([[0, 0, 0, 1, 1]])
    assert rows_interval(d, folds).mean == pytest.approx((1 / 3 + 1) / 2)


def test_p_is_below_five_percent_just_when_zero_is_left_out():
    rng = np.random.default_rng(4)
    for seed in range(200):
        d = rng.normal(rng.uniform(-0.6, 0.6), 1, (2, 24))
        interval = rows_interval(d, folds_for(24, 2, rng))
        hits = fresh_rows_interval(rng.choice([-1.0, 0.0, 1.0], 24, p=[0.1, 0.6, 0.3]), most=1.0)
        for each in (interval, hits):
            assert (each.p < 0.05) == (each.low > 0 or each.high < 0), seed


def test_no_difference_at_all_is_no_evidence_and_raises_no_warning():
    folds = np.arange(10)[None, :] % 5
    gain = cross_validated_gain(METRICS["accuracy"], np.ones((1, 10)), np.ones((1, 10)), folds, "")
    assert (gain.verdict, gain.p, gain.low, gain.high, gain.effect_size) == ("no evidence", 1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("d", "folds"),
    [
        (np.zeros((1, 1)), np.zeros((1, 1), dtype=int)),
        (np.zeros((1, 4)), np.zeros((1, 4), dtype=int)),
        (np.zeros((2, 4)), np.array([[0, 1, 0, 1]])),
        (np.zeros((2, 4)), np.array([[0, 1, 0, 1], [0, 0, 2, 2]])),
    ],
)
def test_what_is_no_cross_validation_is_refused(d, folds):
    with pytest.raises(InputError):
        rows_interval(d, folds)


def test_the_interval_covers_and_the_plain_t_interval_over_splits_does_not():
    # The model is the mean of the rows learned from; its gain over guessing zero, in squared error, is known.
    rng = np.random.default_rng(5)
    n, truths, found = 40, [], []
    for _ in range(300):
        y = rng.normal(0.25, 1, n)
        folds = folds_for(n, 5, rng)
        d, means, true = np.empty((5, n)), [], []
        for r, k in product(range(5), range(5)):
            held = folds[r] == k
            model = y[~held].mean()
            d[r, held] = y[held] ** 2 - (y[held] - model) ** 2
            means.append(d[r, held].mean())
            true.append(0.25**2 - (0.25 - model) ** 2)
        truths.append(np.mean(true))
        found.append((rows_interval(d, folds), ttest_1samp(means, 0).confidence_interval(0.95)))
    truth = np.mean(truths)
    held_rows = np.mean([i.low <= truth <= i.high for i, _ in found])
    plain = np.mean([t.low <= truth <= t.high for _, t in found])
    assert 0.92 <= held_rows <= 0.985
    assert plain < 0.8


def test_models_that_are_equal_are_said_to_differ_in_few_studies_of_few_rows():
    # Hits of twelve and of thirty rows; one repeat, so that nothing but rows varies.
    rng = np.random.default_rng(6)
    for n in (12, 30):
        folds = np.arange(n)[None, :] % 5
        d = rng.choice([-1.0, 0.0, 1.0], size=(1000, 1, n), p=[0.15, 0.7, 0.15])
        assert np.mean([rows_interval(row, folds).low > 0 for row in d]) <= 0.025


def test_few_differing_rows_do_not_prove_a_gain():
    # Five rows won, none lost: McNemar's p is 1/16, and the plain interval is too sure.
    d = np.array([1.0] * 5 + [0.0] * 195)
    assert fresh_rows_interval(d).low > 0 > fresh_rows_interval(d, most=1.0).low
    assert mcnemar(np.zeros(200), d) == pytest.approx(1 / 16)


def test_the_adjusted_interval_equals_the_published_formula():
    # Bonett & Price: proportions (n12 + 1) / (n + 2) and (n21 + 1) / (n + 2); here with Student's t.
    won, lost, n = 9, 3, 40
    d = np.array([1.0] * won + [-1.0] * lost + [0.0] * (n - won - lost))
    p12, p21 = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    error = np.sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    by_hand = student_interval(d.mean(), p12 - p21, error, n - 1)
    assert fresh_rows_interval(d, most=1.0).document() == pytest.approx(by_hand.document())


def test_mcnemar_is_the_sign_test_of_rows_that_differ():
    rng = np.random.default_rng(7)
    alone, helped = rng.integers(0, 2, 60), rng.integers(0, 2, 60)
    won, lost = int(((helped == 1) & (alone == 0)).sum()), int(((helped == 0) & (alone == 1)).sum())
    assert mcnemar(alone, helped) == pytest.approx(binomtest(won, won + lost).pvalue)
    assert mcnemar(alone, alone) == 1.0


def test_effect_size_is_the_mean_in_standard_deviations():
    d = np.array([[0.5, 0.1, 0.3], [0.1, 0.5, 0.3]])
    assert effect_size(d) == np.inf
    assert effect_size(np.array([1.0, 0.0, 0.0])) == pytest.approx((1 / 3) / np.sqrt(1 / 3))
    assert effect_size(np.zeros(4)) == 0.0


def test_gain_on_test_rows_has_mcnemar_for_hits_only():
    rng = np.random.default_rng(8)
    alone, helped = rng.integers(0, 2, 80).astype(float), np.ones(80)
    gain = gain_on_rows(METRICS["accuracy"], alone, helped, "by hand")
    assert gain.verdict == "helps"
    assert gain.mcnemar < 1e-6
    assert gain.gain == pytest.approx((helped - alone).mean())
    assert gain_on_rows(METRICS["log loss"], -alone, -helped, "").mcnemar is None
    assert set(gain.document()) >= {"p", "effect_size", "mcnemar", "rows_to_settle"}


def test_trial_and_function_agree():
    rng = np.random.default_rng(9)
    folds, utilities = folds_for(40, 3, rng), rng.integers(0, 2, (2, 3, 40)).astype(float)
    gain = Trial(["target-only", "m"], utilities, folds, [0.0, 0.0], METRICS["accuracy"]).gain("m")
    interval = rows_interval(utilities[1] - utilities[0], folds)
    assert (gain.gain, gain.low, gain.high, gain.p) == (interval.mean, interval.low, interval.high, interval.p)
    assert gain.transfer - gain.target_only == pytest.approx(gain.gain)
