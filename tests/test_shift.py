"""The shift: p-values that hold, power where there is a shift, columns named."""

import numpy as np
import pandas as pd
import pytest

from headstart import Domain
from headstart.evidence import measure_shift
from headstart.evidence.shift import classifier_two_sample_test, column_shifts


def test_the_classifier_tests_p_value_is_uniform_without_a_shift():
    rng = np.random.default_rng(0)
    p = [
        classifier_two_sample_test(rng.normal(size=(30, 2)), rng.normal(size=(30, 2)), 99, seed).p for seed in range(20)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.2
    assert 0.3 < np.mean(p) < 0.7


def test_the_classifier_test_sees_a_shift_that_no_single_column_shows():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(400, 2))
    b = rng.normal(size=(400, 1)) @ np.ones((1, 2)) + 0.2 * rng.normal(size=(400, 2))
    b /= b.std(axis=0)
    found = classifier_two_sample_test(a, b)
    assert found.value > 0.7
    assert found.p <= 0.01


def test_columns_that_differ_are_found_and_named():
    rng = np.random.default_rng(0)
    frame = {f"c{i}": rng.normal(size=300) for i in range(8)}
    other = {f"c{i}": rng.normal(size=300) for i in range(8)} | {"c3": rng.normal(1, 1, 300)}
    a = pd.DataFrame(frame).assign(town=rng.choice(["Ulm", "Bonn"], 300))
    b = pd.DataFrame(other).assign(town=rng.choice(["Ulm", "Bonn"], 300, p=[0.9, 0.1]))
    kinds = dict.fromkeys(frame, "number") | {"town": "category"}
    differing = {shift.column for shift in column_shifts(a, b, kinds) if shift.q <= 0.05}
    assert differing == {"c3", "town"}


def test_false_discoveries_are_controlled():
    rng = np.random.default_rng(1)
    found = [
        any(shift.q <= 0.05 for shift in column_shifts(rng.normal(size=(50, 20)), rng.normal(size=(50, 20)), None))
        for _ in range(60)
    ]
    assert np.mean(found) <= 0.15


def test_label_shift_is_tested_where_both_have_labels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    even, skewed = np.repeat([0, 1], 100), np.repeat([0, 1], [170, 30])
    shift = measure_shift(Domain(X, even, "a"), Domain(X, skewed, "b"), permutations=19)
    assert shift.labels.size == pytest.approx(0.35)
    assert shift.labels.p < 1e-6
    assert measure_shift(Domain(X, even, "a"), Domain(X, None, "b"), permutations=19).labels is None


def test_equal_domains_can_not_be_told_apart():
    rng = np.random.default_rng(0)
    shift = measure_shift(Domain(rng.normal(size=(200, 3)), name="a"), Domain(rng.normal(size=(200, 3)), name="b"))
    assert "can't be told apart" in str(shift)
