"""CO-optimal transport beside POT's solver, brute force, and what it must not depend on."""

from itertools import permutations

import numpy as np
import ot
import pytest
from ot.coot import co_optimal_transport

from headstart.mapping.co_optimal import co_optimal, total
from headstart.mapping.transport import entropic, exact


def tables(n=30, m=25, d=6, k=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, k)) * rng.uniform(0.5, 2, size=k)


def objective(Xs, Xt, P, R, cost=0.0):
    """Sum_ijkl P_ij R_kl (X_ik - X'_jl)^2 + P C, term by term."""
    squares = np.square(Xs[:, None, :, None] - Xt[None, :, None, :])
    return float(np.einsum("ij,kl,ijkl->", P, R, squares) + (P * cost).sum())


def by_pot(Xs, Xt, cost=None, reg=(0, 0), start=None):
    a, b = np.full(len(Xs), 1 / len(Xs)), np.full(len(Xt), 1 / len(Xt))
    c, e = np.full(Xs.shape[1], 1 / Xs.shape[1]), np.full(Xt.shape[1], 1 / Xt.shape[1])
    begun = {
        "pi_sample": np.outer(a, b),
        "pi_feature": np.outer(c, e) if start is None else start,
        "duals_sample": (np.zeros(len(a)), np.zeros(len(b))),
        "duals_feature": (np.zeros(len(c)), np.zeros(len(e))),
    }
    *_, told = co_optimal_transport(
        Xs,
        Xt,
        epsilon=reg,
        alpha=0 if cost is None else (1, 0),
        M_samp=cost,
        warmstart=begun,
        nits_bcd=500,
        nits_ot=100_000,
        tol_sinkhorn=1e-10,
        early_stopping_tol=1e-12,
        tol_bcd=1e-12,
        log=True,
    )
    return float(told["distances"][-1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("labelled", [False, True])
def test_exact_couplings_are_as_good_as_pots_from_the_same_start(seed, labelled):
    Xs, Xt = tables(seed=seed)
    rng = np.random.default_rng(seed)
    cost = 3.0 * (rng.integers(0, 3, (30, 1)) != rng.integers(0, 3, 25)) if labelled else None
    start = exact(rng.uniform(size=(6, 5)), np.full(6, 1 / 6), np.full(5, 1 / 5)).coupling.toarray()
    rows, columns = co_optimal(Xs, Xt, cost=cost, start=start)
    assert rows.converged
    assert rows.objective <= by_pot(Xs, Xt, cost, start=start) + 1e-6
    P, R = rows.coupling.toarray(), columns.coupling.toarray()
    assert rows.objective == pytest.approx(objective(Xs, Xt, P, R, 0.0 if cost is None else cost))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("reg", [(0.2, 0.2), (0.5, 0.0), (0.0, 0.3)])
def test_entropic_couplings_are_as_good_as_pots_from_the_same_start(seed, reg):
    Xs, Xt = tables(n=20, m=15, seed=seed)
    cost = 2.0 * (np.arange(20)[:, None] % 3 != np.arange(15) % 3)
    rows, _ = co_optimal(Xs, Xt, cost=cost, reg=reg[0], reg_columns=reg[1], max_iter=500)
    assert rows.objective == pytest.approx(by_pot(Xs, Xt, cost, reg), abs=1e-6)


def test_each_coupling_is_the_best_one_beside_the_other():
    Xs, Xt = tables()
    rows, columns = co_optimal(Xs, Xt)
    P, R = rows.coupling.toarray(), columns.coupling.toarray()
    squares = np.square(Xs[:, None, :, None] - Xt[None, :, None, :])
    of_rows, of_columns = np.einsum("kl,ijkl->ij", R, squares), np.einsum("ij,ijkl->kl", P, squares)
    for C, here in ((of_rows, P), (of_columns, R)):
        best = ot.emd2(here.sum(axis=1), here.sum(axis=0), C)
        assert total(here, C) == pytest.approx(best, abs=1e-9)


def test_of_all_starts_the_best_is_the_optimum_by_brute_force():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    # Masses are equal, so an optimum is a pair of permutations.
    best = min(
        np.square(Xs[:, list(columns)] - Xt[list(rows)]).mean()
        for rows in permutations(range(4))
        for columns in permutations(range(3))
    )
    starts = [np.eye(3)[:, list(order)] / 3 for order in permutations(range(3))]
    found = [co_optimal(Xs, Xt, start=start)[0].objective for start in starts]
    assert min(found) == pytest.approx(best)
    assert min(found) < max(found) - 1e-3  # it has local minima


def test_rows_and_columns_in_another_order_are_found_again():
    rng = np.random.default_rng(1)
    X = rng.exponential(size=(40, 6)) * np.arange(1, 7)
    s, t = rng.permutation(40), rng.permutation(6)
    rows, columns = co_optimal(X, X[s][:, t])
    assert rows.objective == pytest.approx(0.0, abs=1e-12)
    assert np.array_equal(s[rows.coupling.toarray().argmax(axis=1)], np.arange(40))
    assert np.array_equal(t[columns.coupling.toarray().argmax(axis=1)], np.arange(6))


def test_the_objective_falls_with_every_round():
    Xs, Xt = tables(n=60, m=50, d=12, k=9, seed=3)
    for reg in (0.0, 0.1):
        values = [co_optimal(Xs, Xt, reg=reg, reg_columns=reg, max_iter=r)[0].objective for r in range(1, 8)]
        assert np.all(np.diff(values) <= 1e-7)
        assert values[-1] < values[0]


def test_masses_of_rows_are_kept():
    Xs, Xt = tables()
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(25))
    rows, columns = co_optimal(Xs, Xt, a, b)
    np.testing.assert_allclose(rows.coupling.toarray().sum(axis=1), a, atol=1e-12)
    np.testing.assert_allclose(rows.coupling.toarray().sum(axis=0), b, atol=1e-12)
    np.testing.assert_allclose(columns.coupling.toarray().sum(axis=0), 1 / 5)


def test_a_row_given_twice_is_as_a_row_of_twice_the_mass():
    Xs, Xt = tables(n=12, m=10)
    twice = np.repeat(Xs, np.append(2, np.ones(11, dtype=int)), axis=0)
    a = np.append(2, np.ones(11)) / 13
    assert co_optimal(twice, Xt)[0].objective == pytest.approx(co_optimal(Xs, Xt, a)[0].objective)


def test_the_objective_with_entropies_is_the_sum_of_its_terms():
    Xs, Xt = tables(n=10, m=8)
    rows, columns = co_optimal(Xs, Xt, reg=0.3, reg_columns=0.2, max_iter=500)
    P, R = rows.coupling, columns.coupling
    entropies = 0.3 * float((P * np.log(P * 80)).sum()) + 0.2 * float((R * np.log(R * 30)).sum())
    assert rows.objective == pytest.approx(objective(Xs, Xt, P, R) + entropies, abs=1e-6)


def test_constant_tables_and_few_rounds_are_told_truly():
    rows, _ = co_optimal(np.ones((4, 2)), np.ones((3, 5)))
    assert (rows.objective, rows.converged) == (0.0, True)
    Xs, Xt = tables()
    assert not co_optimal(Xs, Xt, max_iter=1)[0].converged


def test_scaling_that_begins_where_another_ended_ends_there_too():
    Xs, Xt = tables()
    C = np.abs(Xs[:, :1] - Xt[:, 0])
    a, b = np.full(30, 1 / 30), np.full(25, 1 / 25)
    once = entropic(C, a, b, 0.05)
    again = entropic(C, a, b, 0.05, start=once.g)
    assert again.n_iter < once.n_iter
    np.testing.assert_allclose(again.coupling, once.coupling, atol=1e-8)
