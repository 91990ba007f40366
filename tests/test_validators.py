"""Validators: closed forms, brute force, and the failures that are known of them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from headstart.choose.validators import VALIDATORS, Probes, Unlabelled
from headstart.choose.validators.consensus import consensus, ranks_by_kind
from headstart.choose.validators.gathered import crowd_of, probed

CLASSES = np.array([0, 1, 2])


def evidence(**given):
    """Evidence of six source and target rows, of which a test cares for some."""
    plain = Unlabelled(
        task="classification",
        source_labels=np.array([0, 0, 1, 1, 2, 2]),
        source_predicted=np.array([0, 0, 1, 1, 2, 0]),
        weights=np.ones(6),
        target_predicted=np.array([0, 0, 1, 1, 2, 2]),
        target_rows=np.random.default_rng(0).normal(size=(6, 2)),
        classes=CLASSES,
    )
    return replace(plain, **given)


def collapsed(n=30):
    """A model that is sure that every target row is of class 0."""
    P = np.zeros((n, 3))
    P[:, 0] = 1.0
    rows = np.random.default_rng(0).normal(size=(n, 2))
    return evidence(target_probabilities=P, target_predicted=np.zeros(n, dtype=int), target_rows=rows)


def honest(n=30):
    """A model that is fairly sure, of classes of equal size."""
    P = np.full((n, 3), 0.1)
    P[np.arange(n), np.arange(n) % 3] = 0.8
    rows = np.eye(3)[np.arange(n) % 3] + 0.1 * np.random.default_rng(0).normal(size=(n, 3))
    return evidence(target_probabilities=P, target_predicted=np.arange(n) % 3, target_rows=rows)


def test_source_risk_counts_hits_and_importance_weighting_weighs_them():
    weights = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 3.0])
    assert VALIDATORS["source-risk"](evidence()) == pytest.approx(5 / 6)
    assert VALIDATORS["importance-weighted"](evidence(weights=weights)) == pytest.approx(0.5)


def test_in_regression_the_utility_is_minus_the_absolute_error():
    given = evidence(
        task="regression",
        source_labels=np.array([0.0, 1.0]),
        source_predicted=np.array([0.5, 3.0]),
        weights=np.array([1.5, 0.5]),
        classes=np.empty(0),
    )
    assert VALIDATORS["source-risk"](given) == pytest.approx(-1.25)
    assert VALIDATORS["importance-weighted"](given) == pytest.approx(-(0.75 + 1.0) / 2)
    assert np.isnan(VALIDATORS["entropy"](given))


def test_importance_weighting_finds_the_better_model_under_covariate_shift_where_source_risk_does_not():
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    w = np.exp(x - 0.5)  # the target is N(1, 1)
    y = (x > 0).astype(int)
    left, right = np.where(x < 0.8, y, 0), np.where(x > -0.8, y, 1)  # wrong on the right, wrong on the left
    scores = {}
    for name, predicted in (("left", left), ("right", right)):
        given = evidence(source_labels=y, source_predicted=predicted, weights=w / w.mean())
        scores[name] = VALIDATORS["source-risk"](given), VALIDATORS["importance-weighted"](given)
    # With Phi the normal distribution function: 1 - Phi(-0.8) for both at the source, Phi(-0.2) and 1 - Phi(-1.8).
    assert scores["left"] == pytest.approx((0.7881, 0.4207), abs=0.03)
    assert scores["right"] == pytest.approx((0.7881, 0.9641), abs=0.03)


def test_importance_weighting_praises_the_wrong_model_under_concept_shift():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    y = (x > 0).astype(int)  # in the target the classes are the other way round
    as_source, as_target = (
        VALIDATORS["importance-weighted"](evidence(source_labels=y, source_predicted=p, weights=np.ones(200)))
        for p in (y, 1 - y)
    )
    assert (as_source, as_target) == (1.0, 0.0)


def test_dev_is_the_regression_of_the_weighted_utility_on_the_weights_read_off_at_one():
    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 2, 50), rng.integers(0, 2, 50), rng.exponential(size=50)
    slope, intercept = np.polyfit(w, w * (y == p), 1)
    given = evidence(source_labels=y, source_predicted=p, weights=w)
    assert VALIDATORS["dev"](given) == pytest.approx(slope + intercept)


def test_dev_is_less_noisy_than_plain_weighting_where_weights_and_utility_go_together():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        x = rng.normal(size=100)
        w, y = np.exp(0.7 * x - 0.245), np.ones(100, dtype=int)
        given = evidence(source_labels=y, source_predicted=(rng.random(100) < 0.9).astype(int), weights=w)
        found.append((VALIDATORS["dev"](given), float((w * given.utility(given.source_predicted)).mean())))
    of_dev, plain = np.std(found, axis=0)
    assert of_dev < 0.6 * plain


def test_dev_is_unstable_and_may_leave_the_range_of_what_it_estimates():
    # Weights far from 1: the line through (0.2, 0) and (0.4, 0.4) is at 1.6 where the weight is 1.
    given = evidence(source_labels=np.array([1, 1]), source_predicted=np.array([0, 1]), weights=np.array([0.2, 0.4]))
    assert VALIDATORS["dev"](given) == pytest.approx(1.6)


def test_dev_with_equal_weights_is_the_mean_by_fold():
    given = evidence(fold=np.array([0, 1, 0, 1, 0, 1]))
    assert VALIDATORS["dev"](given) == pytest.approx(5 / 6)


def test_certainty_has_its_closed_forms():
    P = np.array([[0.5, 0.5], [1.0, 0.0]])
    given = evidence(target_probabilities=P, classes=np.array([0, 1]))
    assert VALIDATORS["entropy"](given) == pytest.approx(-0.5 * np.log(2))
    of_mean = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert VALIDATORS["information-maximisation"](given) == pytest.approx(of_mean - 0.5 * np.log(2))
    norms = np.sqrt(np.linalg.eigvalsh(P @ P.T))
    assert VALIDATORS["nuclear-norm"](given) == pytest.approx(norms.sum() / 2)


def test_information_and_nuclear_norm_are_largest_for_sure_classes_of_equal_size():
    sure = evidence(target_probabilities=np.eye(3)[[0, 1, 2, 0, 1, 2]])
    assert VALIDATORS["information-maximisation"](sure) == pytest.approx(np.log(3))
    assert VALIDATORS["nuclear-norm"](sure) == pytest.approx(1.0)


def test_soft_neighbourhood_density_is_the_entropy_of_soft_neighbours_by_brute_force():
    P = softmax(np.random.default_rng(0).normal(size=(7, 3)), axis=1)
    F = [row / np.sqrt(sum(v * v for v in row)) for row in P]
    total = 0.0
    for i in range(7):
        close = np.array([np.exp(float(F[i] @ F[j]) / 0.05) for j in range(7) if j != i])
        q = close / close.sum()
        total -= float((q * np.log(q)).sum())
    assert VALIDATORS["soft-neighbourhood-density"](evidence(target_probabilities=P)) == pytest.approx(total / 7)


@pytest.mark.parametrize("name", ["entropy", "soft-neighbourhood-density"])
def test_entropy_and_soft_neighbourhood_density_reward_a_collapsed_model(name):
    assert VALIDATORS[name](collapsed()) > VALIDATORS[name](honest())


def test_a_collapsed_model_is_at_the_very_top_of_soft_neighbourhood_density():
    assert VALIDATORS["soft-neighbourhood-density"](collapsed(30)) == pytest.approx(np.log(29))


@pytest.mark.parametrize("name", ["information-maximisation", "nuclear-norm", "class-clusters", "class-silhouette"])
def test_the_others_see_through_a_collapsed_model(name):
    assert VALIDATORS[name](collapsed()) < VALIDATORS[name](honest())


def test_class_clusters_are_found_whatever_the_numbers_of_the_classes():
    given = honest()
    assert VALIDATORS["class-clusters"](given) == pytest.approx(1.0)
    renamed = replace(given, target_predicted=(given.target_predicted + 1) % 3)
    assert VALIDATORS["class-clusters"](renamed) == pytest.approx(1.0)
    shuffled = replace(given, target_predicted=np.random.default_rng(1).permutation(given.target_predicted))
    assert abs(VALIDATORS["class-clusters"](shuffled)) < 0.2


def test_the_silhouette_is_what_rousseeuw_says_by_brute_force():
    given = honest(9)
    X = given.target_rows - given.target_rows.mean(axis=0)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    D, of = np.linalg.norm(X[:, None] - X[None], axis=2), given.target_predicted
    total = 0.0
    for i in range(9):
        mean = [D[i, (of == c) & (np.arange(9) != i)].mean() for c in range(3)]
        own, other = mean[of[i]], min(mean[c] for c in range(3) if c != of[i])
        total += (other - own) / max(other, own)
    assert VALIDATORS["class-silhouette"](given) == pytest.approx(total / 9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["class-clusters", "class-silhouette"])
@pytest.mark.parametrize("rows", [np.ones((6, 2)), np.zeros((6, 1)), np.arange(6.0)[:, None]])
def test_clusters_of_hard_rows_are_finite(name, rows):
    with np.errstate(all="raise"):
        assert np.isfinite(VALIDATORS[name](evidence(target_rows=rows)))


def test_class_clusters_take_few_rows():
    two = evidence(target_rows=np.eye(2), target_predicted=np.array([0, 1]))
    assert np.isfinite(VALIDATORS["class-clusters"](two))
    assert VALIDATORS["class-silhouette"](two) == -1.0


def test_going_back_scores_what_came_back():
    back = np.array([0, 1, 1, 1, 2, 2])
    given = evidence(way_back=back, way_back_by_method=1 + 0 * back)
    assert VALIDATORS["reverse"](given) == pytest.approx(5 / 6)
    assert VALIDATORS["circular"](given) == pytest.approx(2 / 6)
    assert np.isnan(VALIDATORS["reverse"](evidence()))


def test_mixval_is_the_mean_of_both_sides_and_a_side_without_pairs_is_zero():
    probes = Probes(np.array([0, 0, 1, 1]), np.array([True, True, True, False]), np.array([0, 1, 1, 1]))
    assert VALIDATORS["mixval"](evidence(probes=probes)) == pytest.approx((2 / 3 + 1) / 2)
    one_class = Probes(np.zeros(3), np.ones(3, dtype=bool), np.zeros(3))
    assert VALIDATORS["mixval"](evidence(probes=one_class)) == 0.5


def test_mixed_rows_are_told_apart_by_a_linear_model_as_far_as_the_leading_row_leads():
    rows = np.array([[-1.0], [-2.0], [1.0], [2.0]])
    asked = []

    def predict(X):
        asked.append(X)
        return (X[:, 0] > 0).astype(int)

    probes = probed(predict, predict(rows), rows, 0)
    assert probes.same.sum() == 4
    assert (probes.predicted == probes.leading)[probes.same].all()
    ends = {round(0.55 * a + 0.45 * b, 6) for a in (-1, -2, 1, 2) for b in (-1, -2, 1, 2) if a != b}
    assert {round(float(value), 6) for value in asked[-1][:, 0]} <= ends


def test_mixed_rows_of_one_row_are_none():
    assert len(probed(lambda X: X[:, 0], np.array([0]), np.ones((1, 2)), 0).same) == 0


def test_the_crowd_prefers_the_majority_by_brute_force():
    answers = [np.array([0, 1, 2, 0]), np.array([0, 1, 2, 1]), np.array([2, 1, 0, 1])]
    crowd = crowd_of(answers, CLASSES)
    for each in answers:
        expected = np.mean([(each == other).mean() for other in answers])
        assert VALIDATORS["crowd"](evidence(target_predicted=each, crowd=crowd)) == pytest.approx(expected)


def test_the_crowd_is_wrong_together():
    wrong, right = np.array([1, 1, 1]), np.array([0, 0, 0])
    crowd = crowd_of([wrong, wrong, right], CLASSES)
    scores = [VALIDATORS["crowd"](evidence(target_predicted=each, crowd=crowd)) for each in (wrong, right)]
    assert scores[0] > scores[1]


def test_stability_is_the_mean_agreement_of_pairs_and_a_collapsed_model_is_stable():
    by_fold = np.array([[0, 0, 1], [0, 1, 1], [2, 1, 1]])
    assert VALIDATORS["stability"](evidence(by_fold=by_fold)) == pytest.approx((2 / 3 + 1 / 3 + 2 / 3) / 3)
    assert VALIDATORS["stability"](evidence(by_fold=np.zeros((3, 5), dtype=int))) == 1.0
    numbers = evidence(task="regression", by_fold=np.array([[0.0, 1.0], [1.0, 1.0]]))
    assert VALIDATORS["stability"](numbers) == -0.5


def test_the_consensus_does_not_care_for_scale_and_gives_each_kind_one_vote():
    scores = np.array([[1.0, 100.0, -3.0], [2.0, 200.0, -4.0], [3.0, 300.0, -5.0]])
    kinds = ["source", "source", "clusters"]
    np.testing.assert_allclose(consensus(scores, kinds), 0.5)
    np.testing.assert_allclose(consensus(np.exp(scores / 100), kinds), 0.5)
    np.testing.assert_allclose(consensus(scores, ["a", "b", "c"]), [1 / 3, 0.5, 2 / 3])


def test_equals_share_their_ranks_and_who_can_not_score_everyone_has_no_vote():
    scores = np.array([[1.0, np.nan], [1.0, 5.0], [0.0, 9.0]])
    np.testing.assert_allclose(consensus(scores, ["a", "b"]), [0.75, 0.75, 0.0])
    assert list(ranks_by_kind(scores, ["a", "b"])) == ["a"]
    np.testing.assert_allclose(consensus(np.full((2, 1), np.nan), ["a"]), 0.5)
    np.testing.assert_allclose(consensus(np.array([[3.0]]), ["a"]), 0.0)
