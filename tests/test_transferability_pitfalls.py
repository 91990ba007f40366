"""What published implementations of transferability scores get wrong, and the hard cases."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from headstart.errors import HeadstartError, InputError, NeedsError
from headstart.evidence import transferability
from headstart.evidence.transferability import SCORES, Features
from headstart.evidence.transferability.coding import coding_rate

OF_FEATURES = [name for name, score in SCORES.items() if "features" in score.needs]
#: Their papers score the rows that were fitted, or use the scale of the features.
RESUBSTITUTION = {"h-score", "sfda", "etran-lda", "transrate"}
BY_SCALE = {"sfda", "etran-energy"}


def blobs(n=90, d=6, k=3, apart=2.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.normal(size=(n, d)) + apart * rng.normal(size=(k, d))[y], y


def noise(n, d, k, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)), np.arange(n) % k


def quietly(name, F, y, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        return SCORES[name].function(F, y, **settings)


def score_or_message(name, F, y, **settings):
    try:
        return quietly(name, F, y, **settings), ""
    except HeadstartError as error:
        return np.nan, str(error)


@pytest.mark.parametrize("name", sorted(set(OF_FEATURES) - RESUBSTITUTION - {"etran-energy"}))
def test_pure_noise_with_more_columns_than_rows_scores_far_below_knowledge(name):
    F, y = noise(200, 500, 5)
    informative = F + 3 * np.random.default_rng(1).normal(size=(5, 500))[y]
    knows, none = quietly(name, informative, y), quietly(name, F, y)
    nothing = np.mean([quietly(name, F[:, :20], np.random.default_rng(s).permutation(y)) for s in range(5)])
    assert none < nothing + 0.3 * (knows - nothing)


@pytest.mark.parametrize("name", ["ridge", "lda"])
def test_leave_one_out_skill_of_noise_is_zero_however_wide_or_imbalanced(name):
    for d in (5, 95, 300):
        for seed in range(3):
            F, y = noise(100, d, 5, seed)
            assert quietly(name, F, y) < 0.03
            assert quietly(name, F, (np.arange(100) % 10 == 0).astype(int)) < 0.06


def test_accuracy_of_imbalanced_noise_is_the_largest_share_at_most():
    F, _ = noise(200, 30, 2)
    assert quietly("knn", F, (np.arange(200) % 10 == 0).astype(int)) <= 0.905


@pytest.mark.parametrize(("name", "word"), [("h-score", "shrinkage=True"), ("sfda", "ridge"), ("etran-lda", "ridge")])
def test_scores_that_noise_fools_say_so(name, word):
    F, y = noise(60, 120, 3)
    with pytest.warns(UserWarning, match=word):
        fooled = SCORES[name].function(F, y)
    assert fooled > 0.95 * (2 if name == "h-score" else 1)
    assert "noise" in SCORES[name].note
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SCORES[name].function(F[:, :6], y)


def test_transrate_of_noise_with_few_rows_a_class_beats_knowledge_and_it_says_so():
    F, y = noise(200, 500, 5)
    with pytest.warns(UserWarning, match="noise can score"):
        none = transferability.transrate(F, y)
    with pytest.warns(UserWarning, match="40 rows for 199 directions"):
        knows = transferability.transrate(F + 3 * np.random.default_rng(1).normal(size=(5, 500))[y], y)
    assert none > knows
    assert "noise" in SCORES["transrate"].note


def test_plain_h_score_never_exceeds_its_bound():
    F, y = blobs(60, 59, 3)
    F[:, 1] = F[:, 0] * (1 + 1e-9)
    assert quietly("h-score", F, y) <= 2 + 1e-9
    assert quietly("h-score", F[:, :1], y) <= 1


def test_shrunk_h_score_is_fine_where_the_plain_one_is_not():
    F, y = noise(300, 1280, 10)
    assert quietly("h-score", F, y) == pytest.approx(9)
    assert transferability.h_score(F, y, shrinkage=True) < 0.5


@pytest.mark.parametrize("name", sorted(set(OF_FEATURES) - BY_SCALE))
@pytest.mark.parametrize("d", [6, 120])
def test_rescaled_features_score_the_same(name, d):
    F, y = blobs(d=d)
    scores = [quietly(name, scale * F, y) for scale in (1e-3, 1.0, 1e3)]
    np.testing.assert_allclose(scores, scores[1], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", list(SCORES))
def test_an_unused_label_id_changes_nothing(name):
    F, y = blobs()
    given = {"leep": np.random.default_rng(0).dirichlet(np.ones(4), 90), "nce": (F[:, 0] > 0).astype(int)}.get(name, F)
    first = quietly(name, given, y)
    assert quietly(name, given, np.array([0, 1, 7])[y]) == first
    assert quietly(name, given, np.array(["a", "b", "c"])[y]) == first
    assert quietly(name, given, pd.Series(pd.Categorical(np.array(["a", "b", "d"])[y], list("abcd")))) == first


def test_an_empty_source_class_gives_no_nan():
    theta = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    y = np.arange(20) % 2
    wider = np.column_stack([theta[:, :1], np.zeros(20), theta[:, 1:]])
    assert transferability.leep(wider, y) == pytest.approx(transferability.leep(theta, y))
    assert transferability.nce(wider.argmax(axis=1), y) == pytest.approx(transferability.nce(theta.argmax(axis=1), y))


@pytest.mark.parametrize("name", list(SCORES))
def test_what_is_given_is_left_as_it_was(name):
    F, y = blobs()
    given = {"leep": np.random.default_rng(0).dirichlet(np.ones(4), 90), "nce": y[::-1].copy()}.get(name, F)
    copies = given.copy(), y.copy()
    quietly(name, given, y)
    np.testing.assert_array_equal(given, copies[0])
    np.testing.assert_array_equal(y, copies[1])
    assert given.flags.writeable


@pytest.mark.parametrize("name", OF_FEATURES)
@pytest.mark.parametrize("d", [6, 120])
def test_the_order_of_the_rows_makes_no_difference(name, d):
    F, y = blobs(d=d, apart=0.7)
    order = np.random.default_rng(5).permutation(90)
    assert quietly(name, F[order], y[order]) == pytest.approx(quietly(name, F, y), rel=1e-7, abs=1e-9)


def test_nleep_is_the_same_for_the_same_seed_and_touches_no_global_generator():
    F, y = blobs(apart=0.5)
    before = repr(np.random.get_state())
    first, again, other = (transferability.nleep(F, y, random_state=seed) for seed in (3, 3, 4))
    assert first == again != other
    assert repr(np.random.get_state()) == before


def test_transrate_weighs_classes_by_their_share():
    F, y = blobs(90, 6, 2, apart=1.0)
    y = np.where(np.arange(90) < 81, 0, 1)
    Z = F - F.mean(axis=0)
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    whole, zero, one = (coding_rate(part, 1e-4) for part in (Z, Z[:81], Z[81:]))
    assert transferability.transrate(F, y) == pytest.approx(whole - 0.9 * zero - 0.1 * one)
    assert abs(zero - one) > 1


def test_copies_of_rows_are_not_neighbours_unless_asked_for():
    F, y = noise(100, 40, 2)
    twice, labels = np.repeat(F, 2, axis=0), np.repeat(y, 2)
    assert transferability.knn(twice, labels, k=1) == transferability.knn(F, y, k=1) < 0.7
    assert transferability.knn(twice, labels, k=1, keep_copies=True) == 1.0
    assert Features(twice).copies == 100
    assert Features(F).copies == 0


def test_more_source_classes_look_better_to_nce_and_its_note_says_so():
    y = np.arange(30) % 3
    assert transferability.nce(np.arange(30), y) == 0
    assert transferability.nce(np.arange(30) % 2, y) == pytest.approx(-np.log(3))
    assert "more classes" in SCORES["nce"].note


def test_a_perfect_fit_has_finite_evidence():
    y = np.arange(60) % 3
    assert np.isfinite(transferability.logme(np.eye(3)[y], y))
    assert np.isfinite(transferability.logme(np.eye(60), y))


HARD = {
    "a constant column": lambda F, y: (np.column_stack([F, np.full(len(F), 3.0)]), y),
    "one column": lambda F, y: (F[:, :1], y),
    "two columns": lambda F, y: (F[:, :2], y),
    "all rows equal": lambda F, y: (np.ones_like(F), y),
    "all features zero": lambda F, y: (np.zeros_like(F), y),
    "ten rows": lambda F, y: (F[:10], y[:10]),
    "two rows": lambda F, y: (F[:2], y[:2]),
    "each row a class": lambda F, y: (F[:10], np.arange(10)),
    "a class of one": lambda F, y: (F, np.where(np.arange(len(y)) == 0, 9, y)),
    "features that name the class": lambda F, y: (np.eye(3)[y], y),
    "repeated columns": lambda F, y: (np.hstack([F, F]), y),
    "huge values": lambda F, y: (1e60 * F, y),
    "tiny values": lambda F, y: (1e-60 * F, y),
    "a mean far from zero": lambda F, y: (F + 1e6, y),
    "columns of unlike scale": lambda F, y: (F * 10.0 ** np.arange(-6, 6, 2), y),
}


@pytest.mark.parametrize("name", OF_FEATURES)
@pytest.mark.parametrize("case", list(HARD))
def test_hard_cases_give_a_finite_score_or_one_clear_line(name, case):
    F, y = HARD[case](*blobs())
    score, said = score_or_message(name, F, y)
    assert np.isfinite(score) if not said else "\n" not in said
    assert not said or case in {"all rows equal", "all features zero", "each row a class", "two rows"}


@pytest.mark.parametrize("name", ["ridge", "knn", "logme", "lfc"])
@pytest.mark.parametrize("case", [case for case in HARD if case not in {"each row a class", "a class of one"}])
def test_hard_cases_of_regression_give_a_finite_score_or_one_clear_line(name, case):
    F, _ = HARD[case](*blobs())
    y = np.random.default_rng(0).normal(size=len(F))
    score, said = score_or_message(name, F, y, task="regression")
    assert np.isfinite(score) if not said else name == "knn" and "all rows are equal" in said


def test_what_can_not_be_scored_is_refused_in_one_line():
    F, y = blobs()
    holed = F.copy()
    holed[3, 1] = np.nan
    for wrong, labels, word in (
        (holed, y, "row 4"),
        (F[:, 0], y, "table"),
        (F, y[:-1], "89 labels"),
        (F, np.zeros(90), "one class"),
        (F, np.where(np.arange(90) == 5, np.nan, y), "row 6 has no label"),
        (np.full((90, 2), "x"), y, "not numbers"),
        (1e200 * F, y, "rescale"),
    ):
        with pytest.raises(InputError, match=word):
            transferability.score_all(wrong, labels)
    with pytest.raises(NeedsError, match="sparse"):
        transferability.ridge(csr_matrix(F), y)
    with pytest.raises(InputError, match="all labels"):
        transferability.ridge(F, np.ones(90), task="regression")
    with pytest.raises(InputError, match="not numbers"):
        transferability.logme(F, np.array(["a", "b"])[y % 2], task="regression")
    with pytest.raises(InputError, match="row 1 does not hold probabilities"):
        transferability.leep(F, y)
