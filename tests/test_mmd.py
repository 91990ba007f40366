"""Maximum mean discrepancy: its formula, its permutations, its blocks."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from headstart.errors import InputError
from headstart.evidence import shift
from headstart.evidence.mmd import permuted_sums, pooled_gamma, unbiased
from headstart.kernels import rbf


def brute_mmd(Xs, Xt, gamma):
    def k(a, b):
        return np.exp(-gamma * ((a - b) ** 2).sum())

    n, m = len(Xs), len(Xt)
    within_s = sum(k(Xs[i], Xs[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_t = sum(k(Xt[i], Xt[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_s + within_t - 2 * sum(k(a, b) for a in Xs for b in Xt) / (n * m)


def test_mmd_equals_its_formula_term_by_term():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(9, 3)), 0.5 + rng.normal(size=(7, 3))
    assert shift.mmd(Xs, Xt, gamma=0.3, permutations=0).value == pytest.approx(brute_mmd(Xs, Xt, 0.3), abs=1e-13)


def test_mmd_of_normal_samples_nears_the_closed_form():
    # E k(x, x') of two normals with variance 1 and means a apart is exp(-g a^2 / (1 + 4 g)) / sqrt(1 + 4 g).
    rng = np.random.default_rng(1)
    Xs, Xt = rng.normal(size=(3000, 1)), 1 + rng.normal(size=(3000, 1))
    g = 0.5
    true = 2 * (1 - np.exp(-g / (1 + 4 * g))) / np.sqrt(1 + 4 * g)
    assert shift.mmd(Xs, Xt, gamma=g, permutations=0).value == pytest.approx(true, abs=0.02)


def test_permuted_sums_are_those_of_permuted_rows_and_go_past_one_block(monkeypatch):
    monkeypatch.setattr("headstart.evidence.mmd.ROWS_A_BLOCK", 7)
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(10, 2)), rng.normal(size=(15, 2))
    observed, chance = permuted_sums(Xs, Xt, lambda A, B: rbf(A, B, 0.5), 50, 0)
    assert unbiased(observed, 10, 15)[0] == pytest.approx(brute_mmd(Xs, Xt, 0.5), abs=1e-12)
    # Drawn anew, the same way, and reckoned term by term.
    from headstart.draws import canonical_order

    rows = np.concatenate([Xs, Xt])
    rows = rows[canonical_order(rows)]
    Z = np.zeros((25, 50), dtype=np.float32)
    Z[:10] = 1
    np.random.default_rng(0).permuted(Z, axis=0, out=Z)
    for j in (0, 17, 49):
        direct = brute_mmd(rows[Z[:, j] == 1], rows[Z[:, j] == 0], 0.5)
        assert unbiased(chance, 10, 15)[j] == pytest.approx(direct, abs=1e-6)


def test_the_p_value_of_all_permutations_is_that_of_every_split():
    from itertools import combinations

    rng = np.random.default_rng(3)
    Xs, Xt = rng.normal(size=(5, 1)), 1 + rng.normal(size=(5, 1))
    rows, gamma = np.concatenate([Xs, Xt]), 0.5
    observed = brute_mmd(Xs, Xt, gamma)
    splits = [
        brute_mmd(rows[list(chosen)], np.delete(rows, list(chosen), axis=0), gamma)
        for chosen in combinations(range(10), 5)
    ]
    exact = np.mean(np.array(splits) >= observed - 1e-12)
    assert shift.mmd(Xs, Xt, gamma=gamma, permutations=9999).p == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("estimator", ["block", "linear"])
def test_blocks_estimate_the_same_number(estimator):
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(4000, 2)), 0.8 + rng.normal(size=(4000, 2))
    full = shift.mmd(Xs[:1500], Xt[:1500], gamma=0.4, permutations=0).value
    found = shift.mmd(Xs, Xt, gamma=0.4, estimator=estimator, permutations=99)
    assert found.value == pytest.approx(full, abs=0.03)
    assert found.p == 0.01


def test_one_block_of_all_pairs_is_the_statistic_of_pairs():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(6, 2)), rng.normal(size=(6, 2))
    # With one block the pairing matters only in which cross terms are left out: all but the paired ones.
    full = brute_mmd(Xs, Xt, 0.5)
    block = shift.mmd(Xs, Xt, gamma=0.5, estimator="block", block_size=6, permutations=0).value
    cross = rbf(Xs, Xt, 0.5)
    assert abs(block - full) <= 2 * (cross.max() - cross.min()) / 5


@pytest.mark.parametrize("estimator", ["full", "block", "linear"])
def test_p_values_are_not_small_without_a_shift(estimator):
    rng = np.random.default_rng(0)
    p = [
        shift.mmd(*rng.normal(size=(2, 40, 3)), estimator=estimator, permutations=99, random_state=r).p
        for r in range(60)
    ]
    assert np.mean(np.array(p) <= 0.1) <= 0.2
    assert 0.38 < np.mean(p) < 0.62


def test_the_order_of_rows_does_not_matter_and_nothing_is_edited():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(30, 3)), 0.2 + rng.normal(size=(25, 3))
    kept = Xs.copy(), Xt.copy()
    first = shift.mmd(Xs, Xt, permutations=99)
    again = shift.mmd(Xs[::-1], Xt[rng.permutation(25)], permutations=99)
    assert (first.value, first.p) == (pytest.approx(again.value), again.p)
    np.testing.assert_array_equal((Xs, Xt)[0], kept[0])
    np.testing.assert_array_equal(Xt, kept[1])


def test_sparse_rows_give_what_dense_ones_give():
    rng = np.random.default_rng(0)
    Xs, Xt = (rng.poisson(0.4, size=(n, 20)).astype(float) for n in (30, 40))
    dense, sparse = shift.mmd(Xs, Xt, permutations=99), shift.mmd(csr_matrix(Xs), csr_matrix(Xt), permutations=99)
    assert (sparse.value, sparse.p) == (pytest.approx(dense.value), dense.p)


def test_equal_rows_are_no_shift_and_a_width_is_found():
    found = shift.mmd(np.ones((10, 3)), np.ones((12, 3)), permutations=99)
    assert (found.value, found.p) == (pytest.approx(0, abs=1e-12), 1.0)
    assert pooled_gamma(np.ones((22, 3))) == 1.0


def test_what_is_no_sample_is_refused():
    with pytest.raises(InputError, match="columns"):
        shift.mmd(np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(InputError, match="1 rows; it takes 2"):
        shift.mmd(np.ones((1, 2)), np.ones((3, 2)))
    with pytest.raises(InputError, match="estimator"):
        shift.mmd(np.ones((3, 2)), np.ones((3, 2)), estimator="half")
    with pytest.raises(InputError, match="NaN"):
        shift.mmd(np.full((3, 2), np.nan), np.ones((3, 2)))
