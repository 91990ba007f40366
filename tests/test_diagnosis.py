"""The diagnosis: the kinds of shift, what can't be known, and the tests that it rests on."""

import json

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from headstart import Domain
from headstart.evidence import measure_shift, shift
from headstart.evidence.conditional import largest_mean, largest_of_chance, residual_products
from headstart.evidence.diagnosis import FEW, TOO_SMALL, UNSEEN, combined
from headstart.evidence.stability import GIVEN_LABELS, GIVEN_ROWS, LABELS, ROWS, SomeRows, _label_parts, _nearest_shares


def logistic(rng, X, beta):
    return (rng.random(len(X)) < 1 / (1 + np.exp(-3 * X @ beta))).astype(int)


def case(kind, n=400, seed=0):
    rng = np.random.default_rng(seed)
    Xs, Xt = rng.normal(size=(2, n, 3))
    beta = np.array([1.0, 0, 0])
    if kind == "label":
        ys, yt = rng.random(n) < 0.5, rng.random(n) < 0.8
        return Xs + 2 * ys[:, None] * beta, Xt + 2 * yt[:, None] * beta, ys.astype(int), yt.astype(int)
    if kind == "covariate":
        Xt = Xt + np.array([0.7, 0.5, 0])
    turned = np.array([0, 1.0, 0]) if kind == "concept" else beta
    return Xs, Xt, logistic(rng, Xs, beta), logistic(rng, Xt, turned)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("covariate", "instance-based"),
        ("label", "instance-based"),
        ("concept", "model-based"),
        ("none", "baseline"),
    ],
)
def test_each_kind_is_named_and_speaks_for_its_family(kind, family):
    # Seed 0 is among the few where chance makes a label shift look unsure; how many are is in the benchmark.
    found = shift.diagnose(*case(kind, seed=1))
    assert (found.kind, found.family) == (kind, family)
    assert found.sure > 0.6
    assert ("bbse" in found.methods) == (kind == "label")


def test_a_covariate_shift_without_overlap_speaks_for_features_and_says_what_is_not_tested():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(300, 3)), rng.normal([5, 0, 0], 1, (300, 3))
    ys, yt = (logistic(rng, X, np.array([0, 1.0, 0])) for X in (Xs, Xt))
    found = shift.diagnose(Xs, Xt, ys, yt)
    assert (found.kind, found.family) == ("covariate", "feature-based")
    assert found.overlap < 0.1
    assert "hardly overlap" in found.unknown[0]


def test_without_target_labels_concept_shift_is_not_known_and_a_move_is_no_label_shift():
    Xs, Xt, ys, _ = case("covariate")
    found = shift.diagnose(Xs, Xt + np.array([0, 2.0, 0]), ys)
    assert found.kind == "covariate"
    assert UNSEEN in found.unknown
    assert set(found.tests) == {ROWS, GIVEN_LABELS}


def test_without_target_labels_a_label_shift_is_told_under_its_assumption():
    Xs, Xt, ys, _ = case("label", seed=1)
    found = shift.diagnose(Xs, Xt, ys)
    assert found.kind == "label"
    assert "only under its assumption" in " ".join(found.unknown)


def test_without_any_labels_rows_that_differ_leave_the_kind_open():
    Xs, Xt, *_ = case("covariate")
    found = shift.diagnose(Xs, Xt)
    assert (found.kind, found.family, found.methods) == ("unsure", None, ())


def test_few_target_labels_are_not_compared():
    Xs, Xt, ys, yt = case("concept")
    found = shift.diagnose(Xs, Xt, ys, [*yt[:10], *[None] * 390])
    assert FEW in found.unknown
    assert LABELS not in found.tests


def test_no_shift_is_not_claimed_from_few_rows():
    found = shift.diagnose(*case("none", n=60))
    assert found.kind == "unsure"
    assert TOO_SMALL in found.unknown


def test_a_regressions_concept_shift_is_named():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(2, 300, 3))
    ys, yt = Xs[:, 0] + 0.3 * rng.normal(size=300), Xt[:, 1] + 0.3 * rng.normal(size=300)
    assert shift.diagnose(Xs, Xt, ys, yt).kind == "concept"


def test_one_class_alone_and_a_class_in_one_domain_only_are_no_accident():
    Xs, Xt, *_ = case("none", n=100)
    assert shift.diagnose(Xs, Xt, np.zeros(100), np.zeros(100), permutations=19).tests[LABELS].p == 1.0
    apart = shift.diagnose(Xs, Xt, np.zeros(100), np.ones(100), permutations=99)
    assert np.isfinite([test.p for test in apart.tests.values()]).all()


def test_order_of_rows_and_names_of_classes_do_not_matter():
    Xs, Xt, ys, yt = case("covariate", n=150)
    rng = np.random.default_rng(1)
    a, b = rng.permutation(150), rng.permutation(150)
    first = shift.diagnose(Xs, Xt, ys, yt, permutations=99)
    again = shift.diagnose(Xs[a], Xt[b], ys[a], yt[b], permutations=99)
    named = shift.diagnose(Xs, Xt, np.array(["n", "y"])[ys], np.array(["n", "y"])[yt], permutations=99)
    for other in (again, named):
        assert (other.kind, other.sure) == (first.kind, first.sure)
        assert {k: t.p for k, t in other.tests.items()} == pytest.approx({k: t.p for k, t in first.tests.items()})


def test_residual_products_have_mean_zero_when_either_model_is_right():
    # A wrong model of the labels, a right one of the domain: the product's mean is 0 all the same.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40_000, 1))
    e = 1 / (1 + np.exp(-x[:, 0]))
    D = (rng.random(40_000) < e) - e
    R = (np.sin(2 * x) + 0.1 * rng.normal(size=x.shape)) - 0.2
    S = residual_products(x, R, D)
    assert S.shape == (40_000, 2)
    assert largest_mean(S, np.ones((40_000, 1)))[0] < 3.5


def test_the_largest_mean_is_that_of_the_t_statistics_and_chance_knows_its_columns():
    S = np.random.default_rng(0).normal(size=(200, 5))
    t = np.abs(S.mean(axis=0)) / (S.std(axis=0) / np.sqrt(200))
    assert largest_mean(S, np.ones((200, 1)))[0] == pytest.approx(t.max())
    # The 95 % point of the largest of five independent |normals|.
    from scipy.stats import norm

    assert np.quantile(largest_of_chance(S, 5000, 0), 0.95) == pytest.approx(
        norm.ppf((1 + 0.95 ** (1 / 5)) / 2), abs=0.12
    )


def test_parts_have_the_chi_squared_test_of_their_labels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2))
    y = rng.integers(0, 3, 90)
    rows = SomeRows.drawn(X[:50], X[50:], 0)
    found = _label_parts(y, rows, "classification")
    mask = rows.parts[:, 4] > 0
    counts = [np.bincount(y[mask & (rows.z == z)], minlength=3) for z in (0, 1)]
    assert found[4] == pytest.approx(chi2_contingency(counts, correction=False).pvalue)


def test_the_nearest_shares_are_those_of_a_mixture():
    A = np.array([[1.0, 0.2], [0.2, 1.0]])
    np.testing.assert_allclose(_nearest_shares(A, A @ [0.3, 0.7]), [0.3, 0.7], atol=1e-4)
    np.testing.assert_allclose(_nearest_shares(A, A @ [1.4, -0.4]), [1.0, 0.0], atol=1e-4)


def test_combined_p_values_hold_when_tests_are_the_same_or_independent():
    p = np.random.default_rng(0).uniform(size=(4000, 4))
    assert np.mean([combined(list(row)) <= 0.05 for row in p]) == pytest.approx(0.05, abs=0.012)
    assert combined([0.2] * 4) == pytest.approx(0.2)


def test_a_measured_shift_has_distances_and_diagnosis_in_plain_types():
    Xs, Xt, ys, yt = case("covariate", n=100)
    found = measure_shift(Domain(Xs, ys, "a"), Domain(Xt, yt, "b"), permutations=99, transport=True)
    plain = json.loads(json.dumps(found.document(), allow_nan=False))
    assert list(plain["distances"]) == [
        "MMD", "energy", "sliced Wasserstein", "CORAL", "Fréchet", "proxy A", "OTDD",
    ]  # fmt: skip
    assert plain["diagnosis"]["kind"] == found.diagnosis.kind
    assert set(plain["diagnosis"]["tests"]) == {ROWS, LABELS, GIVEN_LABELS, GIVEN_ROWS}
    assert plain["distances"]["MMD"]["p"] == 0.01
