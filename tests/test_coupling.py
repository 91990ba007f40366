import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist, jensenshannon

from headstart.errors import InputError
from headstart.mapping import Coupling
from headstart.mapping.anchors import anchor_costs
from headstart.mapping.gromov import gromov, within
from headstart.mapping.low_rank import LowRank
from headstart.mapping.transport import partial


def cloud(n, seed=0, d=3):
    return np.random.default_rng(seed).normal(size=(n, d)) * np.arange(1, d + 1)


def test_couplings_of_every_kind_keep_what_they_promise():
    C = cdist(cloud(20), cloud(30, 1))
    a, b = np.full(20, 1 / 20), np.full(30, 1 / 30)
    for kind in ("exact", "entropic"):
        Coupling.from_costs(C, kind=kind).require_marginals(a, b)
    part = Coupling.from_costs(C, kind="partial", mass=0.6)
    np.testing.assert_allclose(part.mass, 0.6)
    assert (part.source_mass <= a + 1e-12).all()
    assert (part.target_mass <= b + 1e-12).all()
    assert Coupling.from_costs(C, kind="unbalanced", reg_mass=0.1).mass < 1
    with pytest.raises(InputError, match="source masses are off by"):
        part.require_marginals(a, b)
    with pytest.raises(InputError, match="kind of coupling"):
        Coupling.from_costs(C, kind="optimal")


@pytest.mark.parametrize("shifted", [0.0, -3.0])
def test_partial_transport_is_the_optimum_of_its_linear_program(shifted):
    C = cdist(cloud(7), cloud(9, 1)) + shifted
    rows, columns = np.kron(np.eye(7), np.ones(9)), np.kron(np.ones(7), np.eye(9))
    bound = np.append(np.full(7, 1 / 7), np.full(9, 1 / 9))
    for mass in (0.3, 0.8, 1.0):
        best = linprog(C.ravel(), np.vstack([rows, columns]), bound, np.ones((1, 63)), [mass])
        found = partial(C, bound[:7], bound[7:], mass)
        np.testing.assert_allclose([found.objective, found.coupling.sum()], [best.fun, mass], atol=1e-9)
    with pytest.raises(InputError, match="mass to move"):
        partial(C, bound[:7], bound[7:], 1.2)


def test_barycenters_are_weighted_means_and_rows_without_mass_go_nowhere():
    P = np.array([[0.1, 0.3], [0.0, 0.0], [0.6, 0.0]])
    Y = np.array([[0.0, 1e9], [4.0, 1e9 + 8]])
    for matrix in (P, csr_matrix(P)):
        np.testing.assert_allclose(Coupling(matrix).barycenters(Y), [[3, 1e9 + 6], [np.nan] * 2, [0, 1e9]])


def test_dense_sparse_and_low_rank_couplings_are_the_same_matrix():
    rng = np.random.default_rng(0)
    left, core, right = rng.random((6, 2)), rng.random((2, 3)), rng.random((5, 3))
    P = left @ core @ right.T
    Xt, Ys, Yt = rng.normal(size=(5, 2)), np.eye(2)[rng.integers(0, 2, 6)], np.eye(3)[rng.integers(0, 3, 5)]
    for matrix in (P, csr_matrix(P), LowRank(left, core, right)):
        coupling = Coupling(matrix)
        assert coupling.shape == (6, 5)
        np.testing.assert_allclose(coupling.toarray(), P)
        np.testing.assert_allclose(coupling.transposed().toarray(), P.T)
        np.testing.assert_allclose(coupling.source_mass, P.sum(1))
        np.testing.assert_allclose(coupling.target_mass, P.sum(0))
        np.testing.assert_allclose(coupling.barycenters(Xt), P @ Xt / P.sum(1, keepdims=True))
        np.testing.assert_allclose(coupling.joint(Ys, Yt), Ys.T @ P @ Yt)
        assert "6 x 5" in repr(coupling)
    Coupling.independent(6, 5).require_marginals(np.full(6, 1 / 6), np.full(5, 1 / 5))


def test_pairs_are_positions_and_nothing_else():
    assert Coupling.from_pairs([[0, 2], [3, 1]], 4, 3).toarray()[[0, 3], [2, 1]].tolist() == [0.5, 0.5]
    for wrong, said in (
        ([[0, 1, 2]], "whole numbers of shape"),
        ([[0.5, 1.0]], "whole numbers"),
        (np.empty((0, 2), dtype=int), "whole numbers"),
        ([[0, 3]], "beyond"),
        ([[-1, 0]], "beyond"),
        ([[0, 0], [0, 1]], "twice"),
    ):
        with pytest.raises(InputError, match=said):
            Coupling.from_pairs(wrong, 4, 3)
    with pytest.raises(InputError, match="zero or more"):
        Coupling(np.array([[-0.1, 0.2]]))


def test_anchor_costs_are_jensen_shannon_divergences_of_relations():
    Xs, Xt, pairs = cloud(12), cloud(15, 1, d=5), np.array([[0, 3], [4, 4], [7, 0]])

    def relations(X, anchors):
        D = cdist(X, X[anchors], "sqeuclidean")
        R = np.exp(-2 * D / (0.1 * D.max()))
        return R / R.sum(1, keepdims=True)

    Rs, Rt = relations(Xs, pairs[:, 0]), relations(Xt, pairs[:, 1])
    expected = [[jensenshannon(p, q) ** 2 for q in Rt] for p in Rs]
    np.testing.assert_allclose(anchor_costs(Xs, Xt, Xs[pairs[:, 0]], Xt[pairs[:, 1]]), expected, atol=1e-10)


def test_anchors_find_the_partners_of_a_cloud_in_other_dimensions():
    rng = np.random.default_rng(0)
    Xs = cloud(60, d=3)
    order = rng.permutation(60)
    Xt = (Xs @ np.linalg.qr(rng.normal(size=(6, 6)))[0][:3] + 5)[order]
    place = np.argsort(order)
    pairs = np.stack([np.arange(12), place[:12]], axis=1)
    P = Coupling.from_anchors(Xs, Xt, pairs).toarray()
    assert (P[np.arange(12), place[:12]] > 0).all()
    assert (P.argmax(axis=1) == place).mean() > 0.9


def test_a_domain_that_is_fully_paired_leaves_the_rest_of_the_other_out():
    coupling = Coupling.from_anchors(cloud(3), cloud(5, 1), np.array([[0, 0], [1, 2], [2, 4]]))
    np.testing.assert_allclose(coupling.target_mass, [1 / 3, 0, 1 / 3, 0, 1 / 3])


def test_gromov_objective_is_the_four_fold_sum_and_equals_that_of_pot():
    import ot

    Ds, Dt = within(cloud(12)), within(cloud(9, 1, d=2))
    plan = gromov(Ds, Dt, levels=(0.05,))
    P = plan.coupling
    brute = sum(
        P[i, j] * P[k, m] * (Ds[i, k] - Dt[j, m]) ** 2
        for i in range(12)
        for j in range(9)
        for k in range(12)
        for m in range(9)
    )
    # The column sums are only nearly those asked for.
    np.testing.assert_allclose(plan.objective, brute, atol=1e-5)
    a, b = np.full(12, 1 / 12), np.full(9, 1 / 9)
    constant, hCs, hCt = ot.gromov.init_matrix(Ds, Dt, a, b, "square_loss")
    np.testing.assert_allclose(plan.objective, ot.gromov.gwloss(constant, hCs, hCt, P), atol=1e-10)
    np.testing.assert_allclose(P.sum(1), a, atol=1e-8)
    # At a fixed point the coupling is the entropic transport of the costs that it makes.
    theirs = ot.sinkhorn(a, b, 2 * (constant - hCs @ P @ hCt.T), 0.05, method="sinkhorn_log", stopThr=1e-12)
    np.testing.assert_allclose(P, theirs, atol=2e-4)


def test_gromov_recognises_a_turned_and_shuffled_cloud_in_other_dimensions():
    rng = np.random.default_rng(0)
    X = cloud(40) + 5 * np.repeat(np.eye(3), [20, 12, 8], axis=0)
    order = rng.permutation(40)
    Xt = (X @ np.linalg.qr(rng.normal(size=(5, 5)))[0][:3])[order]
    plan = gromov(within(X), within(Xt), levels=(0.1, 0.05, 0.02, 0.01, 0.003))
    assert (plan.coupling.argmax(axis=1) == np.argsort(order)).mean() > 0.9


def test_a_cost_between_the_domains_breaks_a_tie_that_distances_leave():
    X = np.array([[0.0], [1.0], [2.0]])
    cost = np.array([[5.0, 5.0, 0.0], [0.0, 0.0, 0.0], [0.0, 5.0, 5.0]])
    assert gromov(within(X), within(X), cost=cost).coupling.argmax(axis=1).tolist() == [2, 1, 0]


def test_distances_along_a_graph_follow_a_bent_cloud():
    angle = np.linspace(0, 1.9 * np.pi, 60)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    straight, along = within(ring), within(ring, "geodesic", 3)
    assert straight[0, -1] < 0.2 * straight.max()
    assert along[0, -1] == along.max()
    steps = within(ring, "steps", 2)
    np.testing.assert_allclose(steps[20, 30] / steps[20, 21], 10)
    apart = np.vstack([ring, ring + 100])
    assert np.isfinite(within(apart, "geodesic", 3)).all()
    assert within(ring[:1], "geodesic").tolist() == [[0.0]]
    with pytest.raises(InputError, match="kind of distance"):
        within(ring, "manhattan")
