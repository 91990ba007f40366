"""Discriminant transfer: beside scikit-learn's discriminant, on repeated rows, on rows that tell where classes are."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from headstart import Transfer
from headstart.checks import check_method
from headstart.errors import InputError
from headstart.features import DiscriminantTransfer
from headstart.features.discriminant_transfer import gaussians


def classes(n, k, d, seed, apart=2.0):
    """Rows of k classes of as many rows each, with columns that go together."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(k), n)
    mixing = rng.normal(size=(d, d)) / np.sqrt(d) + np.eye(d)
    return rng.normal(size=(n * k, d)) @ mixing + apart * rng.normal(size=(k, d))[y], y


def test_it_keeps_the_contract():
    check_method(DiscriminantTransfer())


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_of_source_rows_alone_it_is_scikit_learns_discriminant(shrinkage):
    X, y = classes(60, 3, 5, seed=0)
    method = DiscriminantTransfer(shrinkage, unlabelled=0, alignment=None).fit(X, X[:7] + 1, y)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(X, y)
    ours, other = method.transform(X), theirs.decision_function(X)
    # One scale, and one number a row, are free.
    ours, other = (scores - scores.mean(axis=1, keepdims=True) for scores in (ours, other))
    np.testing.assert_allclose(ours / ours.std(), other / other.std(), atol=1e-6)


def test_with_more_columns_than_rows_it_is_the_same_as_by_the_whole_covariance():
    X, y = classes(6, 3, 40, seed=1)
    told = np.eye(3)[y]
    middle = X.mean(axis=0)
    _, A, shift = gaussians(X - middle, told, 0.4, 40)
    method = DiscriminantTransfer(0.4, unlabelled=0, alignment=None).fit(X, X + 1, y)
    scores, expected = method.transform(X + 1), (X + 1 - middle) @ A + shift
    scores, expected = (s - s.mean(axis=1, keepdims=True) for s in (scores, expected))
    np.testing.assert_allclose(scores / scores.std(), expected / expected.std(), atol=1e-7)


def test_a_weight_of_two_is_a_row_given_twice():
    X, y = classes(20, 2, 3, seed=2)
    Xt, _ = classes(15, 2, 3, seed=3)
    weight = np.tile([1.0, 2.0], 20)
    rows = np.repeat(np.arange(40), weight.astype(int))
    one = DiscriminantTransfer(alignment=None).fit(X, Xt, y, ws=weight)
    other = DiscriminantTransfer(alignment=None).fit(X[rows], Xt, y[rows])
    np.testing.assert_allclose(one.transform(Xt), other.transform(Xt), atol=1e-8)


def test_turned_and_moved_rows_change_nothing_where_nothing_is_aligned():
    X, y = classes(30, 3, 4, seed=4)
    Xt, _ = classes(30, 3, 4, seed=5)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    plain = DiscriminantTransfer(alignment=None).fit(X, Xt, y)
    turned = DiscriminantTransfer(alignment=None).fit(X @ turn + 7, Xt @ turn + 7, y)
    scores, others = plain.transform(Xt), turned.transform(Xt @ turn + 7)
    np.testing.assert_allclose(
        scores - scores.mean(axis=1, keepdims=True), others - others.mean(axis=1, keepdims=True), atol=1e-8
    )


def moved(seed):
    """A source, and a target whose classes moved, each in its own way, by less than half of what lies between them."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], 80)
    centers = 5.0 * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    away = rng.normal(size=(3, 2))
    away *= 2.2 / np.linalg.norm(away, axis=1, keepdims=True)
    return rng.normal(size=(240, 2)) + centers[y], rng.normal(size=(240, 2)) + (centers + away)[y], y


def test_target_rows_without_labels_tell_where_their_classes_are():
    gained = []
    for seed in range(10):
        Xs, Xt, y = moved(seed)
        right = [
            (DiscriminantTransfer(unlabelled=share, alignment=None).fit(Xs, Xt, y).transform(Xt).argmax(axis=1) == y)
            for share in (0.0, 0.6)
        ]
        gained.append(right[1].mean() - right[0].mean())
    assert np.mean(gained) > 0.03
    assert np.min(gained) > -0.02


def test_the_alignment_goes_by_whether_a_target_label_is_known():
    Xs, Xt, y = moved(0)
    labels = np.where(np.arange(240) % 40 == 0, y, np.nan)
    for yt, alignment in ((None, "coral"), (labels, None)):
        by_itself, told = (DiscriminantTransfer(alignment=a).fit(Xs, Xt, y, yt) for a in ("auto", alignment))
        np.testing.assert_array_equal(by_itself.transform(Xt), told.transform(Xt))
        other = DiscriminantTransfer(alignment=None if alignment else "coral").fit(Xs, Xt, y, yt)
        assert not np.allclose(by_itself.transform(Xt), other.transform(Xt))


def test_labelled_target_rows_draw_the_centres_to_them():
    Xs, Xt, y = moved(1)
    labels = np.where(np.arange(240) % 16 == 0, y, np.nan)
    far = [
        np.linalg.norm(
            DiscriminantTransfer(unlabelled=0, alignment=None, target_weight=w).fit(Xs, Xt, y, labels).centers_
            - np.array([Xt[y == c].mean(axis=0) for c in range(3)])
        )
        for w in (0.0, 16.0, 1e6)
    ]
    assert far[0] > far[1] > far[2]


def test_rows_without_any_spread_and_one_column_are_learned_too():
    X, y = np.repeat([[0.0], [1.0]], 5, axis=0), np.repeat(["a", "b"], 5)
    domain = ["source"] * 10 + ["target"] * 2
    fitted = Transfer(DiscriminantTransfer(shrinkage=0.0), LogisticRegression()).fit(
        np.concatenate([X, [[0.0], [1.0]]]), np.concatenate([y, [None, None]]), domain=domain
    )
    assert fitted.predict([[0.1], [0.9]]).tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"alignment": "tca"}, "alignment must be"),
        ({"shrinkage": 1.5}, "shrinkage must be"),
        ({"unlabelled": 1.0}, "unlabelled must be"),
        ({"max_iter": -1}, "max_iter must be"),
    ],
)
def test_what_a_parameter_can_not_be_is_said(settings, words):
    X, y = classes(5, 2, 2, seed=0)
    with pytest.raises(InputError, match=words):
        DiscriminantTransfer(**settings).fit(X, X, y)


def test_a_class_that_weighs_nothing_is_refused():
    X, y = classes(5, 2, 2, seed=0)
    with pytest.raises(InputError, match="all weigh zero"):
        DiscriminantTransfer().fit(X, X, y, ws=(y == 0).astype(float))
