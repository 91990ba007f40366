"""Subspace alignment and the geodesic flow kernel, against their definitions and numerical integration."""

import numpy as np
import pytest
from scipy.linalg import null_space, subspace_angles
from scipy.sparse import csr_matrix
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA

from headstart.errors import InputError, NeedsError
from headstart.features.gfk import GFK, flow_factor, full_disagreement
from headstart.features.subspace_alignment import SubspaceAlignment, stable_dimension
from headstart.features.subspaces import PrincipalAxes, least_squares_axes, principal_axes


def domains(n_s=80, n_t=60, d=8, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d))
    return rng.normal(size=(n_s, d)) @ mix + 1.0, rng.normal(size=(n_t, d)) @ (
        mix + 0.5 * rng.normal(size=(d, d))
    ) - 2.0


def subspace(d, k, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, k)))[0]


def by_integration(Ps, Pt):
    """G as the integral of Phi(t) Phi(t)', with the geodesic of the paper: through the complement of Ps."""
    U, cosines, Vt = np.linalg.svd(Ps.T @ Pt)
    angles = np.arccos(np.clip(cosines, -1, 1))
    R = null_space(Ps.T)
    Q = R @ (R.T @ Pt @ Vt.T)
    sines = np.linalg.norm(Q, axis=0)
    Q = np.divide(Q, sines, out=np.zeros_like(Q), where=sines > 1e-7)
    G = np.zeros((len(Ps), len(Ps)))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    for t, w in zip((nodes + 1) / 2, weights / 2, strict=True):
        Phi = Ps @ U * np.cos(t * angles) + Q * np.sin(t * angles)
        G += w * Phi @ Phi.T
    return G


@pytest.mark.parametrize("d", [8, 100])
@pytest.mark.parametrize("center", [True, False])
def test_alignment_is_that_of_axes_found_another_way(d, center):
    Xs, Xt = domains(d=d)
    mean_s, mean_t = (Xs.mean(axis=0), Xt.mean(axis=0)) if center else (0, 0)
    Ps, Pt = (np.linalg.svd(X, full_matrices=False)[2][:3].T for X in (Xs - mean_s, Xt - mean_t))
    method = SubspaceAlignment(n_components=3, center=center).fit(Xs, Xt)
    Zs, Zt = method.transform_source(Xs), method.transform(Xt)
    # The signs of the target's axes are free.
    sign = np.sign(np.sum(Zt * ((Xt - mean_t) @ Pt), axis=0))
    np.testing.assert_allclose(Zt * sign, (Xt - mean_t) @ Pt, atol=1e-8)
    np.testing.assert_allclose(Zs * sign, (Xs - mean_s) @ Ps @ Ps.T @ Pt, atol=1e-8)


def test_no_other_matrix_turns_the_source_axes_nearer_to_the_targets():
    Xs, Xt = domains()
    s, t = (principal_axes(X, True, "", "").vectors[:, :3] for X in (Xs, Xt))
    np.testing.assert_allclose(np.linalg.lstsq(s, t)[0], s.T @ t, atol=1e-12)
    method = SubspaceAlignment(n_components=3).fit(Xs, Xt)
    moved = method.source_map_.A
    assert np.linalg.norm(moved - t) == pytest.approx(np.linalg.norm(s @ np.linalg.lstsq(s, t)[0] - t))


def test_with_all_components_only_the_means_are_moved():
    Xs, Xt = domains()
    method = SubspaceAlignment(n_components=8).fit(Xs, Xt)
    Z = np.vstack([method.transform_source(Xs), method.transform(Xt)])
    X = np.vstack([Xs - Xs.mean(axis=0), Xt - Xt.mean(axis=0)])
    np.testing.assert_allclose(Z @ Z.T, X @ X.T, atol=1e-8)


def test_fewer_axes_are_used_where_a_domain_varies_in_fewer_directions():
    Xs, Xt = domains()
    method = SubspaceAlignment(n_components=7).fit(Xs, Xt[:4])
    assert method.n_components_ == 3
    assert method.transform(Xt).shape == (60, 3)


@pytest.mark.parametrize("method", [SubspaceAlignment(), GFK()])
def test_rows_that_are_all_the_same_are_refused(method):
    Xs, Xt = domains()
    with pytest.raises(InputError, match="target rows are all the same"):
        method.fit(Xs, np.full_like(Xt, 0.1))
    with pytest.raises(InputError, match="source rows are all the same"):
        method.fit(Xs[:1], Xt)
    with pytest.raises(InputError, match="n_components"):
        type(method)(n_components=0).fit(Xs, Xt)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("d", [6, 90])
@pytest.mark.parametrize("sparse", [True, False])
def test_principal_axes_are_those_of_scikit_learn(center, d, sparse):
    X = np.random.default_rng(0).normal(size=(70, d)) * np.linspace(3, 1, d)
    X = np.where(np.abs(X) < 1.0, 0.0, X) + (0 if sparse else 5.0)
    axes = principal_axes(csr_matrix(X) if sparse else X, center, "", "")
    C = X - X.mean(axis=0) if center else X
    _, s, Vt = np.linalg.svd(C, full_matrices=False)
    r = min(d, 69 if center else 70)
    assert axes.vectors.shape == (d, r)
    np.testing.assert_allclose(axes.values, s[:r] ** 2 / 70, rtol=1e-8)
    np.testing.assert_allclose(np.abs(np.sum(axes.vectors[:, :4].T * Vt[:4], axis=1)), 1.0, atol=1e-8)
    np.testing.assert_allclose(axes.vectors.T @ axes.vectors, np.eye(r), atol=1e-8)
    assert axes.reach == pytest.approx((C**2).sum(axis=1).max())
    if center:
        np.testing.assert_allclose(axes.values[:3], PCA(3).fit(X).explained_variance_ * 69 / 70, rtol=1e-8)


def test_what_rounding_leaves_of_a_constant_column_is_no_direction():
    X = np.column_stack([np.full(50, 0.1), np.full(50, 1e6 / 3), np.linspace(0, 1e-3, 50)])
    assert len(principal_axes(X, True, "", "").values) == 1


def test_the_stable_dimension_is_the_papers_bound_evaluated_one_by_one():
    rng = np.random.default_rng(0)
    found = set()
    for reach in (1.0, 30.0, 300.0, 3000.0):
        source, target = (
            PrincipalAxes(n, np.zeros(9), np.sort(rng.uniform(0, 3, 9))[::-1], np.eye(9), reach) for n in (50, 200)
        )
        best = 1
        for k in range(1, 10):
            gaps = [a.values[k - 1] - (a.values[k] if k < 9 else 0) for a in (source, target)]
            factor = 8 * k**1.5 * reach * (1 + np.sqrt(np.log(2 / 0.1) / 2))
            if factor * (1 / (np.sqrt(50) * gaps[0]) + 1 / (np.sqrt(200) * gaps[1])) < 1e5:
                best = k
        assert stable_dimension(source, target) == best
        found.add(best)
    assert len(found) > 1


@pytest.mark.parametrize(("d", "k"), [(12, 1), (12, 4), (12, 6), (12, 9), (12, 12)])
def test_the_kernel_is_the_integral_along_the_geodesic(d, k):
    Ps, Pt = subspace(d, k, 1), subspace(d, k, 2)
    F, angles = flow_factor(Ps, Pt)
    np.testing.assert_allclose(F @ F.T, by_integration(Ps, Pt), atol=1e-10)
    np.testing.assert_allclose(np.sort(angles), np.sort(subspace_angles(Ps, Pt)), atol=1e-7)
    assert F.shape[1] <= min(2 * k, d)


@pytest.mark.parametrize("angle", [1e-12, 1e-8, 1e-5, 0.9e-3, 1.1e-3, 0.1, 1.0, np.pi / 2 - 1e-9, np.pi / 2])
def test_the_kernel_of_two_lines_is_exact_at_every_angle(angle):
    # By hand: the integral of (cos ta, sin ta)(cos ta, sin ta)' over t in [0, 1], in numbers that do not cancel.
    a = np.array([[1.0], [0.0]])
    F, angles = flow_factor(a, np.array([[np.cos(angle)], [np.sin(angle)]]))
    sinc, mixed = np.sinc(2 * angle / np.pi), np.sin(angle) ** 2 / (2 * angle)
    np.testing.assert_allclose(F @ F.T, [[(1 + sinc) / 2, mixed], [mixed, (1 - sinc) / 2]], atol=1e-15)
    assert angles[0] == pytest.approx(angle, rel=1e-3)


def test_without_an_angle_the_kernel_is_the_projection():
    P = subspace(10, 4, 3)
    turned = P @ np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    F, angles = flow_factor(P, turned)
    np.testing.assert_allclose(F @ F.T, P @ P.T, atol=1e-12)
    assert angles.max() < 1e-7


def test_at_right_angles_both_subspaces_count_alike():
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    F, _ = flow_factor(basis[:, :3], basis[:, 3:6])
    values = np.linalg.eigvalsh(F @ F.T)[::-1]
    np.testing.assert_allclose(values[:6], np.repeat([0.5 + 1 / np.pi, 0.5 - 1 / np.pi], 3), atol=1e-12)
    assert np.trace(F @ F.T) == pytest.approx(3.0)


def test_the_kernel_does_not_care_which_domain_is_the_source():
    Ps, Pt = subspace(9, 4, 0), subspace(9, 4, 1)
    (F, _), (back, _) = flow_factor(Ps, Pt), flow_factor(Pt, Ps)
    np.testing.assert_allclose(F @ F.T, back @ back.T, atol=1e-12)


def test_inner_products_of_mapped_rows_are_the_kernel():
    Xs, Xt = domains()
    method = GFK(n_components=3).fit(Xs, Xt)
    Ps, Pt = (PCA(3).fit(X).components_.T for X in (Xs, Xt))
    G = by_integration(Ps, Pt)
    Zs, Zt = method.transform_source(Xs), method.transform(Xt)
    np.testing.assert_allclose(Zs @ Zt.T, (Xs - Xs.mean(axis=0)) @ G @ (Xt - Xt.mean(axis=0)).T, atol=1e-7)


def test_auto_is_the_first_dimension_of_full_disagreement():
    Xs, Xt = domains(n_s=300, n_t=300, d=30, seed=4)
    Vs, Vt, Vb = (principal_axes(X, True, "", "").vectors for X in (Xs, Xt, np.vstack([Xs, Xt])))
    measured = [np.mean([np.sin(subspace_angles(V[:, :k], Vb[:, :k])[0]) for V in (Vs, Vt)]) for k in range(1, 16)]
    full = np.flatnonzero(np.array(measured) >= 0.99)
    assert full_disagreement(Vs, Vt, Vb) == (full[0] + 1 if len(full) else np.argmax(measured) + 1)
    assert GFK().fit(Xs, Xt).n_components_ == full_disagreement(Vs, Vt, Vb)


@pytest.mark.parametrize("sparse", [True, False])
def test_partial_least_squares_weights_span_those_of_scikit_learn(sparse):
    rng = np.random.default_rng(0)
    X = np.where(rng.uniform(size=(90, 12)) < 0.4, 0.0, rng.normal(size=(90, 12)) + 1)
    Y = np.eye(3)[np.argmax(X[:, :3] + 0.3 * rng.normal(size=(90, 3)), axis=1)]
    # One number is explained by the same weights in SIMPLS and in NIPALS; with more, the first weight is.
    one = least_squares_axes(csr_matrix(X) if sparse else X, Y[:, :1], 4, center=True)
    other = np.linalg.qr(PLSRegression(4, scale=False).fit(X, Y[:, 0]).x_weights_)[0]
    assert subspace_angles(one, other).max() < 1e-6
    many = least_squares_axes(X, Y, 4, center=True)
    first = PLSRegression(1, scale=False, tol=1e-14, max_iter=5000).fit(X, Y).x_weights_
    assert abs(float(many[:, 0] @ first[:, 0])) == pytest.approx(1.0, abs=1e-8)
    scores = (X - X.mean(axis=0)) @ many
    # The span is that of uncorrelated scores: it holds what explains the classes better than as many principal axes.
    left = np.linalg.lstsq(scores, Y - Y.mean(axis=0))[1].sum()
    assert left < np.linalg.lstsq(PCA(4).fit_transform(X), Y - Y.mean(axis=0))[1].sum()


def test_labels_lead_to_a_direction_of_little_variance():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=4000)
    X = np.column_stack([np.where(y, 0.6, -0.6), np.zeros((4000, 2))]) + rng.normal(size=(4000, 3)) * [0.2, 2, 2]
    wanted = np.array([[1.0], [0.0], [0.0]])
    led = GFK(n_components=1, source_subspace="pls").fit(X, X, y)
    blind = GFK(n_components=1).fit(X, X, y)
    assert subspace_angles(least_squares_axes(X, y[:, None] * 1.0, 1, center=True), wanted)[0] < 0.3
    # Source and target are the same rows: only the labels turn the source's direction away.
    assert blind.angles_[0] < 1e-7
    assert led.angles_[0] > 1.2


def test_labels_are_asked_for_and_numbers_will_do():
    Xs, Xt = domains()
    with pytest.raises(NeedsError, match="source labels"):
        GFK(source_subspace="pls").fit(Xs, Xt)
    with pytest.raises(InputError, match="source_subspace"):
        GFK(source_subspace="lda").fit(Xs, Xt)
    method = GFK(n_components=1, source_subspace="pls").fit(Xs, Xt, Xs @ np.arange(8.0))
    assert method.n_components_ == 1


def test_as_many_least_squares_axes_as_explain_the_labels():
    X = np.random.default_rng(0).normal(size=(60, 5))
    X = np.linalg.qr(X - X.mean(axis=0))[0]
    # Of uncorrelated columns of one variance, one direction explains a number completely.
    assert least_squares_axes(X, X[:, :1], 4, center=True).shape == (5, 1)
    assert least_squares_axes(X, np.ones((60, 1)), 4, center=True).shape == (5, 0)


@pytest.mark.parametrize("method", [SubspaceAlignment(n_components=2), GFK(n_components=2)])
def test_float32_rows_stay_float32(method):
    Xs, Xt = (X.astype(np.float32) for X in domains())
    method.fit(Xs, Xt)
    assert method.transform_source(Xs).dtype == method.transform(Xt).dtype == np.float32
