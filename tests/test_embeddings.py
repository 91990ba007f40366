"""Embedding alignment: two tables whose rotation is known, with pairs, with few, and with none."""

import warnings

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.base import clone

from headstart.errors import InputError
from headstart.mapping import embeddings
from headstart.mapping.embeddings import EmbeddingAlignment
from headstart.mapping.retrieval import best_matches, mutual_neighbors, unit_rows


def bilingual(n=1500, d=40, noise=0.1, seed=0):
    """Return two tables and the pairs of words that mean the same, shape (n, 2).

    Words stand in clusters of unequal size, with a spectrum that falls as a power, a mean that is not zero and some
    hubs. The second table is a rotation of the first, with noise of a share of each row's length, a tenth of other
    words, and another order.
    """
    rng = np.random.default_rng(seed)
    spectrum = np.arange(1, d + 1) ** -0.5
    sizes = np.arange(1, 41) ** -0.7
    centers = rng.normal(size=(40, d)) * spectrum

    def words(count):
        near = rng.normal(size=(count, d)) * spectrum * rng.uniform(0.4, 1.2, size=(count, 1))
        return centers[rng.choice(40, count, p=sizes / sizes.sum())] + near

    mean = 0.5 * rng.normal(size=d) * spectrum
    Es = words(n) + mean
    Es[rng.choice(n, 10, replace=False)] = 2 * Es.mean(axis=0) + 0.2 * rng.normal(size=(10, d)) * spectrum
    Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    Et = np.vstack([Es, words(n // 10) + mean]) @ Q
    Et += noise * np.linalg.norm(Et, axis=1, keepdims=True) / np.sqrt(d) * rng.normal(size=Et.shape)
    rank = np.append(np.arange(n), rng.integers(0, n, n // 10)) * np.exp(0.2 * rng.normal(size=len(Et)))
    order = np.argsort(rank)
    return Es.astype(np.float32), Et[order].astype(np.float32), np.column_stack([np.arange(n), np.argsort(order)[:n]])


@pytest.fixture(scope="module")
def tables():
    return bilingual()


@pytest.fixture(scope="module")
def noisy():
    return bilingual(noise=0.6)


@pytest.fixture(scope="module")
def unsupervised(tables):
    Es, Et, _ = tables
    return EmbeddingAlignment(n_start=400).fit(Es, Et)


def split(truth, given, seed=1):
    order = np.random.default_rng(seed).permutation(len(truth))
    return truth[order[:given]], truth[order[given:]]


def test_a_rotation_without_noise_is_found_exactly():
    rng = np.random.default_rng(0)
    Es, Q = rng.normal(size=(200, 8)) + 1, np.linalg.qr(rng.normal(size=(8, 8)))[0]
    fitted = EmbeddingAlignment().fit(Es, 3 * Es @ Q, pairs=np.column_stack([np.arange(20), np.arange(20)]))
    np.testing.assert_allclose(fitted.map_.A, Q, atol=1e-10)
    np.testing.assert_allclose(fitted.transform(Es), fitted.targets_, atol=1e-10)
    assert fitted.translate(Es).ravel().tolist() == list(range(200))
    # All that is found agrees with what was given.
    assert (fitted.pairs_[:, 0] == fitted.pairs_[:, 1]).all()
    assert fitted.pairs_[:20].tolist() == [[i, i] for i in range(20)]


def test_without_refinement_the_map_is_scipys_procrustes_of_the_prepared_pairs(noisy):
    Es, Et, truth = noisy
    given, _ = split(truth, 300)
    fitted = EmbeddingAlignment(n_refinements=0).fit(Es, Et, given)
    X, Y = (unit_rows(unit_rows(E) - unit_rows(E).mean(axis=0)) for E in (Es.astype(float), Et.astype(float)))
    X, Y = X[given[:, 0]], Y[given[:, 1]]
    Q, _ = orthogonal_procrustes(X - X.mean(axis=0), Y - Y.mean(axis=0))
    np.testing.assert_allclose(fitted.map_.A, Q, atol=1e-4)
    np.testing.assert_allclose(fitted.transform(Es)[given[:, 0]], (X - X.mean(axis=0)) @ Q + Y.mean(axis=0), atol=1e-4)
    assert fitted.criterion_.shape == (1,)
    assert fitted.confidence_ is None


@pytest.mark.parametrize("given", [300, 50])
def test_with_pairs_words_are_translated_that_were_not_given(tables, given):
    Es, Et, truth = tables
    pairs, rest = split(truth, given)
    assert EmbeddingAlignment().fit(Es, Et, pairs).score(Es, rest) > 0.98


def test_refinement_makes_of_few_pairs_what_many_are_worth(noisy):
    Es, Et, truth = noisy
    pairs, rest = split(truth, 30)
    first = EmbeddingAlignment(n_refinements=0).fit(Es, Et, pairs).score(Es, rest)
    refined = EmbeddingAlignment().fit(Es, Et, pairs)
    many = EmbeddingAlignment(n_refinements=0).fit(Es, Et, split(truth, 1000)[0]).score(Es, rest)
    assert first < 0.5
    assert refined.score(Es, rest) > many - 0.03
    assert refined.criterion_.argmax() > 0


def test_csls_finds_more_right_translations_than_cosine(noisy):
    Es, Et, truth = noisy
    pairs, rest = split(truth, 300)
    fitted = EmbeddingAlignment().fit(Es, Et, pairs)
    found = {method: fitted.precision(Es, rest, k=(1, 5), method=method) for method in ("csls", "cosine")}
    assert found["csls"][1] > found["cosine"][1] + 0.03
    assert found["csls"][5] >= found["csls"][1]


def test_without_pairs_the_rotation_is_found_and_the_starts_agree(tables, unsupervised):
    Es, _, truth = tables
    assert unsupervised.score(Es, truth) > 0.98
    assert unsupervised.confidence_ > 0.9
    assert unsupervised.start_criterion_.shape == (3,)


@pytest.mark.parametrize("start", ["profiles", "gromov"])
def test_each_kind_of_start_finds_it_alone(tables, start):
    Es, Et, truth = tables
    fitted = EmbeddingAlignment(starts=[start], n_start=400, n_refinements=2).fit(Es, Et)
    assert fitted.score(Es, truth) > 0.98
    assert fitted.confidence_ is None


@pytest.mark.parametrize("start", ["profiles", "gromov"])
def test_a_start_matches_the_rows_of_a_rotated_table_in_whatever_order(start):
    rng = np.random.default_rng(0)
    X = unit_rows(rng.exponential(size=(60, 8)) - 1)
    order = rng.permutation(60)
    matches = embeddings.STARTS[start](X, (X @ np.linalg.qr(rng.normal(size=(8, 8)))[0])[order])
    assert matches.shape == (120, 2)
    assert (order[matches[:, 1]] == matches[:, 0]).mean() > 0.95


def test_a_start_learns_on_until_another_round_makes_nothing_better():
    Es, Et, truth = bilingual(noise=0.3)
    X, Y = (unit_rows(E - E.mean(axis=0))[:400] for E in (unit_rows(Es), unit_rows(Et)))
    rng = np.random.default_rng(0)
    there = truth[:400, 1] < 400
    # One match in eight is right.
    matches = np.column_stack([np.arange(400), rng.integers(0, 400, 400)])
    matches[::8][there[::8], 1] = truth[:400:8, 1][there[::8]]
    f, value = embeddings._self_learned(X, Y, matches, 10, rng)
    to_t, to_s, scores = best_matches(f.transform(X), Y)
    assert (to_t == truth[:400, 1])[there].mean() > 0.95
    assert value == pytest.approx(scores.mean(), abs=1e-5)
    again = embeddings._procrustes(X, Y, embeddings._both_ways(to_t, to_s))
    assert value > best_matches(again.transform(X), Y)[2].mean() - embeddings.BETTER


def test_given_pairs_stay_and_their_rows_get_no_other_partner(tables):
    Es, Et, truth = tables
    given = truth[:200].copy()
    given[[3, 8], 1] = given[[8, 3], 1]  # two that are wrong
    found = EmbeddingAlignment(n_refinements=1).fit(Es, Et, given).pairs_
    np.testing.assert_array_equal(found[:200], given)
    assert len(found) > 1000
    assert not np.isin(found[200:, 0], given[:, 0]).any()
    assert not np.isin(found[200:, 1], given[:, 1]).any()


def test_rows_of_one_direction_have_none_once_they_are_centred():
    lengths = np.linspace(1, 9.9, 40)[:, None]
    E = np.hstack([0.1 * lengths, 0.2 * lengths, 0.7 * lengths]).astype(np.float32)
    fitted = EmbeddingAlignment().fit(E, E, pairs=[[0, 0]])
    np.testing.assert_array_equal(fitted.targets_, np.zeros((40, 3)))


def test_the_pairs_found_are_the_mutual_neighbors_under_the_map(tables, unsupervised):
    Es, _, truth = tables
    expected = mutual_neighbors(unsupervised.transform(Es), unsupervised.targets_)
    np.testing.assert_array_equal(unsupervised.pairs_, expected)
    right = (truth[unsupervised.pairs_[:, 0], 1] == unsupervised.pairs_[:, 1]).mean()
    assert right > 0.98


def test_starts_that_disagree_are_told(tables):
    Es, *_ = tables
    unrelated = np.random.default_rng(5).normal(size=(300, 40)).astype(np.float32)
    with pytest.warns(UserWarning, match="the starts agree on .* give some pairs") as told:
        fitted = EmbeddingAlignment(n_start=200).fit(Es[:300], unrelated)
    assert len(told) == 1
    assert "\n" not in str(told[0].message)
    assert fitted.confidence_ < 0.5


def test_the_same_random_state_gives_the_same_map_and_nothing_global_is_drawn_from(tables, unsupervised):
    Es, Et, _ = tables
    state = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(clone(unsupervised).fit(Es, Et).map_.A, unsupervised.map_.A)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_the_map_does_not_depend_on_the_units_of_a_row(tables):
    Es, Et, truth = tables
    lengths = np.random.default_rng(0).uniform(0.1, 50, size=(len(Es), 1)).astype(np.float32)
    one, other = (EmbeddingAlignment(n_refinements=1).fit(E, Et, truth[:200]) for E in (Es, Es * lengths))
    np.testing.assert_allclose(one.map_.A, other.map_.A, atol=1e-4)


def test_a_word_alone_is_translated_as_among_others(tables, unsupervised):
    Es, *_ = tables
    together = unsupervised.translate(Es[:50], k=3)
    alone = np.vstack([unsupervised.translate(Es[[i]], k=3) for i in range(50)])
    np.testing.assert_array_equal(together, alone)


def test_a_word_with_several_right_translations_counts_once():
    E = np.random.default_rng(0).normal(size=(60, 5))
    fitted = EmbeddingAlignment().fit(E, E, pairs=[[i, i] for i in range(30)])
    assert fitted.precision(E, [[40, 3], [40, 40], [41, 3]], k=(1,)) == {1: 0.5}
    assert fitted.score(E, [[40, 40], [40, 7]]) == 1.0


def test_the_source_may_have_fewer_columns(tables):
    Es, Et, truth = tables
    wide = np.hstack([Et, 0.001 * Et[:, :5]])
    pairs, rest = split(truth, 300)
    fitted = EmbeddingAlignment(n_refinements=1).fit(Es, wide, pairs)
    assert fitted.map_.A.shape == (40, 45)
    assert fitted.score(Es, rest) > 0.98
    with pytest.raises(InputError, match="from 45 columns to 40; exchange source and target"):
        EmbeddingAlignment().fit(wide, Es, pairs[:, ::-1])


def test_single_precision_stays_single_and_inputs_stay_as_they_are(tables):
    Es, Et, truth = tables
    before = Es.copy(), Et.copy()
    fitted = EmbeddingAlignment(n_refinements=1).fit(Es, Et, truth[:100])
    assert fitted.transform(Es).dtype == fitted.map_.A.dtype == fitted.targets_.dtype == np.float32
    assert fitted.transform(Es[:3].astype(float)).dtype == np.float64
    np.testing.assert_array_equal(Es, before[0])
    np.testing.assert_array_equal(Et, before[1])


@pytest.mark.parametrize("pairs", [None, [[0, 0]]])
@pytest.mark.parametrize(
    ("Es", "Et"),
    [
        (np.ones((10, 3)), np.ones((12, 3))),
        (np.full((10, 3), 0.1, dtype=np.float32), np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)),
        (np.zeros((4, 2)), np.eye(2)),
        (np.linspace(-1, 2, 10)[:, None], np.linspace(-2, 1, 9)[:, None]),
        (np.random.default_rng(0).normal(size=(10, 30)), np.random.default_rng(1).normal(size=(8, 30))),
        (np.repeat(np.eye(4), 3, axis=0), np.repeat(np.eye(4), 2, axis=0)),
        (np.eye(3), np.array([[1.0, 0.0, 0.0]])),
        (np.eye(3)[:1], np.eye(3)[:1]),
    ],
)
@pytest.mark.parametrize("center", [True, False])
def test_hard_cases_give_finite_answers(Es, Et, pairs, center):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="EmbeddingAlignment: the starts agree")
        fitted = EmbeddingAlignment(center=center).fit(Es, Et, pairs)
        assert np.isfinite(fitted.transform(Es)).all()
        assert np.isfinite(fitted.criterion_).all()
        assert fitted.translate(Es).max() < len(Et)


def test_what_does_not_suit_is_said_in_one_line(tables):
    Es, Et, truth = tables
    with pytest.raises(InputError, match=r"whole numbers of shape \(p, 2\)"):
        EmbeddingAlignment().fit(Es, Et, pairs=[[0.5, 1.0]])
    with pytest.raises(InputError, match="beyond the 1500 source rows or 1650 target rows"):
        EmbeddingAlignment().fit(Es, Et, pairs=[[0, 1650]])
    with pytest.raises(InputError, match="did you mean 'gromov'"):
        EmbeddingAlignment(starts=["gromow"]).fit(Es, Et)
    with pytest.raises(InputError, match="starts must be a sequence"):
        EmbeddingAlignment(starts="gromov").fit(Es, Et)
    with pytest.raises(InputError, match="n_start must be 2 or more"):
        EmbeddingAlignment(n_start=1).fit(Es, Et)
    fitted = EmbeddingAlignment(n_refinements=0).fit(Es, Et, truth[:100])
    with pytest.raises(InputError, match="rows have 39 columns; it was fitted on 40"):
        fitted.transform(Es[:, :39])
    with pytest.raises(InputError, match="did you mean 'csls'"):
        fitted.translate(Es, method="CSLS")
