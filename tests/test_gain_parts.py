"""Gains in slices, power, forgetting, calibration and estimated accuracy."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, norm
from sklearn.linear_model import LogisticRegression

from headstart.domain import Domain
from headstart.errors import InputError
from headstart.evidence import METRICS, Gain
from headstart.evidence.calibration import equal_bins, reliability
from headstart.evidence.estimated import estimated_accuracy, thresholded_confidence
from headstart.evidence.forgetting import measure_forgetting
from headstart.evidence.interval import fresh_rows_interval
from headstart.evidence.power import chance_to_show, power_of, rows_needed, visible_gain
from headstart.evidence.slices import holm, sliced_gains, slices_of


def test_a_slice_that_loses_comes_first_and_one_with_few_rows_last():
    rng = np.random.default_rng(0)
    ward = np.repeat(["a", "b", "c"], [60, 60, 5])
    alone = rng.normal(size=125)
    helped = alone + np.where(ward == "a", -1.0, 1.0) + rng.normal(0, 0.5, 125)
    lines = sliced_gains(alone, helped, {"ward": ward})
    assert [line.value for line in lines] == ["a", "b", "c"]
    assert lines[0].high < 0 < lines[1].low
    assert (lines[2].low, lines[2].p, lines[2].note) == (None, None, "too few rows")
    assert lines[0].gain == pytest.approx((helped - alone)[ward == "a"].mean())


def test_slices_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(1)
    columns = {"age": rng.normal(size=90), "sex": rng.choice(["f", "m"], 90)}
    alone, helped, order = rng.normal(size=90), rng.normal(size=90), rng.permutation(90)
    one = sliced_gains(alone, helped, columns)
    other = sliced_gains(alone[order], helped[order], {name: values[order] for name, values in columns.items()})
    assert [(s.column, s.value, s.rows) for s in one] == [(s.column, s.value, s.rows) for s in other]
    assert [s.p for s in one] == pytest.approx([s.p for s in other])


def test_looking_at_many_slices_finds_nothing_where_nothing_is():
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(100):
        groups = {f"g{i}": rng.integers(0, 4, 120) for i in range(3)}
        lines = sliced_gains(np.zeros(120), rng.normal(size=120), groups)
        found += any(line.p <= 0.05 for line in lines)
        assert all((line.p <= 0.05) >= (line.low > 0 or line.high < 0) for line in lines)
    assert found / 100 <= 0.1


def test_holm_by_hand_and_never_below_the_raw_values():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    p = np.random.default_rng(3).uniform(size=20)
    assert (np.array(holm(p)) >= false_discovery_control(p) - 1e-12).all()
    assert holm([]) == []


def test_numbers_are_cut_at_quantiles_and_missing_values_are_a_slice():
    numbers = np.append(np.arange(80.0), [np.nan] * 20)
    slices = dict(slices_of(numbers, 4, 100))
    assert [int(mask.sum()) for mask in slices.values()] == [20, 20, 20, 20, 20]
    assert slices["(missing)"][80:].all()
    kinds = dict(slices_of(pd.Series(["x", "y", None, "x"]), 4, 4))
    assert {value: int(mask.sum()) for value, mask in kinds.items()} == {"x": 2, "y": 1, "(missing)": 1}
    constant = dict(slices_of(np.ones(30), 4, 30))
    assert [int(mask.sum()) for mask in constant.values()] == [30]
    with pytest.raises(InputError, match="age has 3 values for 4 rows"):
        slices_of([1, 2, 3], 4, 4, "age")


def test_rows_needed_show_the_gain_with_the_stated_power_in_simulation():
    rng = np.random.default_rng(4)
    for gain in (0.3, 0.6):
        n = rows_needed(gain, 1.0)
        assert chance_to_show(gain, 1.0, n) >= 0.8 > chance_to_show(gain, 1.0, n - 1)
        shown = [fresh_rows_interval(rng.normal(gain, 1.0, n)).low > 0 for _ in range(2000)]
        assert np.mean(shown) == pytest.approx(0.8, abs=0.035)


def test_power_approaches_the_normal_formula_with_many_rows():
    n = rows_needed(0.02, 1.0)
    assert n == pytest.approx(((norm.ppf(0.975) + norm.ppf(0.8)) / 0.02) ** 2, rel=1e-3)
    assert visible_gain(1.0, n) == pytest.approx(0.02, rel=1e-3)
    assert rows_needed(-0.1, 1.0) is None
    assert rows_needed(1e-5, 1.0) is None


@pytest.mark.parametrize("rows", [2, 3, 12, 500])
def test_the_visible_gain_is_seen_with_the_stated_power(rows):
    assert chance_to_show(visible_gain(2.0, rows), 2.0, rows) == pytest.approx(0.8, abs=1e-6)


def test_power_of_a_gain_reads_the_spread_off_its_interval():
    d = np.random.default_rng(5).normal(0.4, 1.0, 50)
    interval = fresh_rows_interval(d)
    found = power_of(Gain("accuracy", 0.5, 0.6, interval.mean, interval.low, interval.high, "", 50))
    assert found.spread == pytest.approx(d.std(ddof=1))
    assert found.more == max(found.needed - 50, 0)
    assert found.chance == pytest.approx(chance_to_show(interval.mean, found.spread, 50))
    assert power_of(Gain("accuracy", 0.5, 0.6, 0.1, -np.inf, np.inf, "", 50)) is None
    no_spread = power_of(Gain("accuracy", 0.5, 0.5, 0.0, 0.0, 0.0, "", 50))
    assert (no_spread.visible, no_spread.needed) == (0.0, None)


def source_of(n=400, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 3))
    return Domain(X, (X[:, 0] > 0).astype(int), "source")


def test_a_model_that_learned_something_else_has_forgotten_the_source():
    source, seen = source_of(), []

    def alone(part):
        seen.append(len(part))
        return LogisticRegression().fit(part.X, part.labels)

    def other(part):
        return LogisticRegression().fit(part.X, (part.X[:, 1] > 0).astype(int))

    lost = measure_forgetting(alone, other, source, METRICS["accuracy"])
    assert seen == [300]
    assert lost.rows == 100
    assert lost.low > 0.3
    assert str(lost).startswith("forgets")
    same = measure_forgetting(alone, alone, source, METRICS["accuracy"])
    assert same.lost == 0.0
    assert same.low < 0 < same.high


def test_forgetting_asks_the_model_the_source_way():
    class Turned:
        def predict(self, X):
            raise AssertionError("source rows are asked about by predict_source")

        def predict_source(self, X):
            return (X[:, 0] > 0).astype(int)

    lost = measure_forgetting(lambda part: Turned(), lambda part: Turned(), source_of(), METRICS["accuracy"])
    assert (lost.source_only, lost.transfer) == (1.0, 1.0)
    with pytest.raises(InputError, match="too few"):
        measure_forgetting(lambda part: Turned(), lambda part: Turned(), source_of(20), METRICS["accuracy"])
    with pytest.raises(InputError, match="accuracy"):
        measure_forgetting(lambda part: Turned(), lambda part: Turned(), source_of(), METRICS["log loss"])


def two_classes(n, rng, slope=2.0, sharper=1.0):
    z = slope * rng.normal(size=n)
    p = 1 / (1 + np.exp(-sharper * z))
    return np.column_stack([1 - p, p]), (rng.uniform(size=n) < 1 / (1 + np.exp(-z))).astype(int)


def test_calibration_error_by_hand():
    P = np.repeat([[0.4, 0.6], [0.1, 0.9]], 20, axis=0)
    y = np.array([1] * 10 + [0] * 10 + [1] * 20)
    found = reliability(P, y, bins=2)
    assert [(b.rows, b.accuracy) for b in found.bins] == [(20, 0.5), (20, 1.0)]
    assert [b.confidence for b in found.bins] == pytest.approx([0.6, 0.9])
    assert found.error == pytest.approx(0.1)
    assert found.debiased == pytest.approx(np.sqrt(0.01 - 0.5 * 0.25 / 19))
    assert found.brier == pytest.approx(2 * (0.5 * 0.16 + 0.5 * 0.36 + 0.01) / 2)


def test_the_parts_of_the_squared_error_add_up():
    P, y = two_classes(300, np.random.default_rng(6))
    found = reliability(P, y)
    squared = ((P.max(axis=1) - (P.argmax(axis=1) == y)) ** 2).mean()
    parts = found.reliability - found.resolution + found.uncertainty + found.within
    assert parts == pytest.approx(squared)
    assert found.brier == pytest.approx(2 * ((P[:, 1] - y) ** 2).mean())
    assert abs(found.within) < 0.01


def test_calibrated_probabilities_are_found_calibrated_and_sharpened_ones_too_sure():
    rng = np.random.default_rng(7)
    p = [reliability(*two_classes(200, rng)).p for _ in range(30)]
    assert np.mean(np.array(p) <= 0.05) <= 0.17
    assert np.mean(p) == pytest.approx(0.5, abs=0.15)
    sharp = reliability(*two_classes(500, rng, sharper=3.0))
    assert sharp.p <= 0.01
    assert str(sharp).startswith("too sure")
    # The plain error is far from zero for a calibrated model, the debiased one nearer.
    calibrated = [reliability(*two_classes(200, rng)) for _ in range(12)]
    assert np.mean([c.debiased for c in calibrated]) < 0.75 * np.mean([c.error for c in calibrated])


def test_reliability_in_hard_cases():
    one = reliability(np.ones((12, 1)), np.zeros(12), classes=np.array([0]))
    assert (one.error, one.brier) == (0.0, 0.0)
    # A true class that the model does not know is a miss.
    unknown = reliability(np.tile([1.0, 0.0], (10, 1)), np.full(10, 7), classes=np.array([0, 1]))
    assert unknown.error == pytest.approx(1.0)
    assert unknown.brier == pytest.approx(2.0)
    P, y = two_classes(90, np.random.default_rng(8))
    order = np.random.default_rng(9).permutation(90)
    assert reliability(P, y).error == pytest.approx(reliability(P[order], y[order]).error)
    with pytest.raises(InputError):
        reliability(P, y, classes=np.array([0, 1, 2]))
    with pytest.raises(InputError, match="sum to 1"):
        reliability(2 * P, y)
    assert equal_bins(np.ones(9), 3).tolist() == [0] * 9


def test_estimates_are_right_where_only_the_rows_shift():
    rng = np.random.default_rng(10)
    P_s, y_s = two_classes(1500, rng, slope=3.0, sharper=2.0)
    P_t, y_t = two_classes(1500, rng, slope=1.0, sharper=2.0)
    found = estimated_accuracy(P_s, y_s, P_t, weights=np.ones(1500))
    truth = (P_t.argmax(axis=1) == y_t).mean()
    for name in ("average confidence", "difference of confidences"):
        assert found.estimates[name] == pytest.approx(truth, abs=0.05), name
    assert found.temperature == pytest.approx(2.0, rel=0.15)
    assert found.estimates["importance-weighted"] == pytest.approx(found.source_accuracy)
    assert found.low < truth < found.high
    assert "concept shift" in found.limits


def test_thresholded_confidence_is_right_where_errors_are_the_unsure_rows():
    # Wrong just below a score of 0.3: 30 % of the source rows, 60 % of the target's.
    rng = np.random.default_rng(13)
    source, target = rng.uniform(size=4000), rng.uniform(size=4000) ** (np.log(0.3) / np.log(0.6))
    assert thresholded_confidence(source, (source >= 0.3).mean(), target) == pytest.approx(
        (target >= 0.3).mean(), abs=0.01
    )


def test_without_a_shift_all_estimates_equal_the_source_accuracy():
    P, y = two_classes(2000, np.random.default_rng(11))
    found = estimated_accuracy(P, y, P)
    assert list(found.estimates.values()) == pytest.approx([found.source_accuracy] * 3, abs=0.02)


def test_no_estimate_sees_that_labels_mean_something_else():
    rng = np.random.default_rng(12)
    (P_s, y_s), (P_t, y_t) = two_classes(800, rng), two_classes(800, rng)
    found = estimated_accuracy(P_s, y_s, P_t)
    assert (P_t.argmax(axis=1) == 1 - y_t).mean() < found.low - 0.2


def test_estimates_in_hard_cases():
    assert thresholded_confidence(np.zeros(5), 0.0, np.zeros(5)) == 0.0
    assert thresholded_confidence(np.zeros(5), 1.0, np.zeros(5)) == 1.0
    sure = np.tile([1.0, 0.0], (6, 1))
    found = estimated_accuracy(sure, np.zeros(6, dtype=int), sure, classes=np.array([0, 1]))
    assert found.low == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(InputError, match="not among the classes"):
        estimated_accuracy(sure, np.full(6, 3), sure, classes=np.array([0, 1]))
    with pytest.raises(InputError, match="weight"):
        estimated_accuracy(sure, np.zeros(6, dtype=int), sure, classes=np.array([0, 1]), weights=np.zeros(6))
