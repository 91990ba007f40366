"""Methods for domains with different columns: by hand, by brute force, in hard cases, and what they gain."""

import warnings

import numpy as np
import ot
import pytest
from scipy.linalg import block_diag
from sklearn.linear_model import LogisticRegression, Ridge

from headstart import Domain
from headstart.bench import Asked, heterogeneous
from headstart.checks import check_method
from headstart.errors import InputError, NeedsError
from headstart.features.anchor_ot import AnchorOT
from headstart.features.class_means import class_means
from headstart.features.coot_transfer import COOTransfer
from headstart.features.graph import laplacian, neighbour_graph
from headstart.features.heterogeneous_augmentation import HeterogeneousAugmentation, projections
from headstart.features.manifold_alignment import ManifoldAlignment, label_matrices
from headstart.kernels import squared_distances
from headstart.mapping.anchors import anchor_costs
from headstart.mapping.fit_maps import fit_affine
from headstart.method import four_steps

METHODS = [AnchorOT, COOTransfer, ManifoldAlignment, HeterogeneousAugmentation]
BY_LABELS = [AnchorOT, ManifoldAlignment, HeterogeneousAugmentation]


def views(n=90, m=80, known=2, seed=0, k=3):
    """Other rows of the same classes in 4 columns and in 7; some labels of the target; and all of them."""
    rng = np.random.default_rng(seed)
    ys, yt = np.arange(n) % k, np.arange(m) % k
    centers = 4 * np.eye(k, 3)
    zs, zt = (centers[y] + rng.normal(size=(len(y), 3)) for y in (ys, yt))
    Xs, Xt = zs @ rng.normal(size=(3, 4)) + 1, np.tanh(zt @ rng.normal(size=(3, 7)) / 4)
    return Xs, Xt, ys, np.where(np.arange(m) < known * k, yt, np.nan), yt


@pytest.mark.parametrize(
    "method",
    [
        AnchorOT(),
        AnchorOT("entropic", f="kernel"),
        COOTransfer(),
        COOTransfer(f="kernel", reg=0.2),
        ManifoldAlignment(),
        ManifoldAlignment(n_components=3, mu=0.0),
        HeterogeneousAugmentation(),
    ],
    ids=repr,
)
def test_the_common_checks_pass(method):
    check_method(method)


@pytest.mark.parametrize("cls", METHODS)
def test_different_columns_go_through_the_four_steps(cls):
    Xs, Xt, ys, yt, truth = views()
    model = four_steps(cls(), Domain(Xs, ys, name="a"), Domain(Xt, yt, name="b"), LogisticRegression()).predictor
    hidden = np.isnan(yt)
    assert (model.predict(Xt[hidden]) == truth[hidden]).mean() > 0.85
    assert (model.predict_source(Xs) == ys).mean() > 0.85
    fitted = cls().fit(Xs, Xt, ys, yt)
    assert fitted.transform_source(Xs).shape[1] == fitted.transform(Xt).shape[1]
    with pytest.raises(InputError, match="rows have 4 columns; it was fitted on 7"):
        fitted.transform(Xs)


@pytest.mark.parametrize("cls", METHODS)
def test_the_order_of_rows_and_copies_of_all_of_them_make_no_difference(cls):
    Xs, Xt, ys, yt, _ = views(n=45, m=42)
    first = cls().fit(Xs, Xt, ys, yt)
    rng = np.random.default_rng(0)
    s, t = rng.permutation(np.repeat(np.arange(45), 2)), rng.permutation(np.repeat(np.arange(42), 2))
    again = cls().fit(Xs[s], Xt[t], ys[s], yt[t])
    for one, other in (
        (first.transform_source(Xs), again.transform_source(Xs)),
        (first.transform(Xt), again.transform(Xt)),
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("cls", METHODS)
def test_a_new_row_is_mapped_as_the_same_row_of_the_fit_was(cls):
    Xs, Xt, ys, yt, _ = views()
    for rows in (np.float64, np.float32):
        fitted = cls().fit(Xs.astype(rows), Xt.astype(rows), ys, yt)
        together, alone = fitted.transform_source(Xs.astype(rows)), fitted.transform_source(Xs[5:6].astype(rows))
        assert together.dtype == fitted.transform(Xt.astype(rows)).dtype == rows
        np.testing.assert_allclose(alone, together[5:6], atol=1e-5)


@pytest.mark.parametrize("cls", BY_LABELS)
def test_without_a_class_that_both_know_it_is_said_what_is_needed(cls):
    Xs, Xt, ys, yt, _ = views()
    for labels in (None, np.full(len(Xt), np.nan)):
        with pytest.raises(NeedsError, match="needs labelled target rows, and there are none"):
            cls().fit(Xs, Xt, ys, labels)
    with pytest.raises(NeedsError, match="none in common"):
        cls().fit(Xs, Xt, ys, np.where(np.isnan(yt), np.nan, 9))


@pytest.mark.parametrize("cls", METHODS)
def test_hard_cases_give_finite_rows_and_no_warning(cls):
    Xs, Xt, ys, yt, _ = views()
    lone = np.where(np.arange(len(Xt)) == 1, 1.0, np.nan)
    wide = np.random.default_rng(0).normal(size=(len(Xt), 200))
    still = np.column_stack([Xt, np.full(len(Xt), 3.3), np.zeros(len(Xt))])
    cases = [
        (Xs, Xt, ys, lone),  # one labelled target row in all
        (Xs, Xt[:1], ys, np.array([2.0])),  # one target row in all
        (Xs[:, :1], Xt, ys, yt),
        (Xs, Xt[:, :1], ys, yt),
        (Xs, wide, ys, yt),
        (Xs, still, ys, yt),
        (Xs[:10], Xt[:10], ys[:10], yt[:10]),
        (np.ones_like(Xs), Xt, ys, yt),
        (Xs, np.ones_like(Xt), ys, yt),
        (Xs * 1e8, Xt * 1e-8, ys, yt),
    ]
    for rows_s, rows_t, labels_s, labels_t in cases:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted = cls().fit(rows_s, rows_t, labels_s, labels_t)
            assert np.isfinite(fitted.transform_source(rows_s)).all()
            assert np.isfinite(fitted.transform(rows_t)).all()


# AnchorOT


def test_anchors_are_class_means_and_costs_are_divergences_worked_by_hand():
    Xs, Xt = np.array([[0.0], [1.0]]), np.array([[0.0, 0.0], [2.0, 0.0]])
    C = anchor_costs(Xs, Xt, As=np.array([[0.0], [1.0]]), At=np.array([[0.0, 0.0], [2.0, 0.0]]), temperature=1.0)
    p = 1 / (1 + np.exp(-2.0))  # how surely a row belongs to the anchor that it is
    mean = 0.5
    divergence = p * np.log(p / mean) + (1 - p) * np.log((1 - p) / mean)
    np.testing.assert_allclose(C, [[0, divergence], [divergence, 0]], atol=1e-12)
    means = class_means(
        np.array([[0.0], [4.0], [9.0]]), np.array([1.0, 1, 0]), np.array([0.0, 1]), np.array([3.0, 1, 1])
    )
    np.testing.assert_allclose(means, [[9.0], [1.0]])


def test_source_rows_go_where_the_line_through_the_barycenters_of_pots_plan_leads():
    Xs, Xt, ys, yt, _ = views(n=40, m=30)
    fitted = AnchorOT(alpha=0.1).fit(Xs, Xt, ys, yt)
    known = ~np.isnan(yt)
    C = anchor_costs(
        Xs,
        Xt,
        np.array([Xs[ys == c].mean(axis=0) for c in range(3)]),
        np.array([Xt[yt == c].mean(axis=0) for c in range(3)]),
        0.1,
    )
    C[:, known] += 1e3 * (ys[:, None] != yt[known])
    P = ot.emd(np.full(40, 1 / 40), np.full(30, 1 / 30), C)
    line = fit_affine(Xs, 40 * P @ Xt, alpha=0.1 * Xs.var(axis=0).mean())
    np.testing.assert_allclose(fitted.transform_source(Xs), line.transform(Xs), atol=1e-8)
    assert fitted.coupling_.objective == pytest.approx((P * C).sum())


@pytest.mark.parametrize("transport", ["exact", "entropic"])
@pytest.mark.parametrize("cls", [AnchorOT, COOTransfer])
def test_no_mass_goes_to_a_known_row_of_another_class(cls, transport):
    Xs, Xt, ys, yt, _ = views(n=40, m=30)
    settings = {"transport": transport} if cls is AnchorOT else {"reg": 0.2 * (transport == "entropic")}
    fitted = cls(**settings).fit(Xs, Xt, ys, yt)
    # Rows that carry mass stand in an order of their own: equal classes together, unknown ones last.
    P = fitted.coupling_.toarray()
    of_s, of_t = np.sort(ys), np.sort(yt)
    known = ~np.isnan(of_t)
    assert P[:, known][of_s[:, None] != of_t[known]].max() < 1e-9
    assert P[:, known].sum() == pytest.approx(known.mean(), abs=1e-5)


def test_a_class_that_the_target_has_not_labelled_finds_its_rows_by_the_other_anchors():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 4
    corners = np.array([[0, 0], [6, 0], [0, 6], [9, 9]])
    Xs, zt = (corners[y] + 0.5 * rng.normal(size=(120, 2)) for _ in range(2))
    B = np.linalg.qr(rng.normal(size=(5, 2)))[0].T
    yt = np.where((np.arange(120) < 12) & (y < 3), y, np.nan)
    fitted = AnchorOT(temperature=1.0).fit(Xs, zt @ B, y, yt)
    moved = fitted.transform_source(Xs)
    to = np.array([(zt[y == c] @ B).mean(axis=0) for c in range(4)])
    assert fitted.n_anchors_ == 3
    assert np.array_equal(squared_distances(moved[y == 3], to).argmin(axis=1), np.full(30, 3))


# COOTransfer


def test_columns_in_another_order_and_unit_are_found_without_any_label():
    rng = np.random.default_rng(0)
    X = rng.exponential(size=(60, 5)) ** np.arange(1, 6)
    order = rng.permutation(5)
    fitted = COOTransfer(alpha=0).fit(X, 100 * X[:, order] + 7)
    assert np.array_equal(order[fitted.columns_coupling_.toarray().argmax(axis=1)], np.arange(5))
    np.testing.assert_allclose(fitted.transform_source(X), 100 * X[:, order] + 7, rtol=1e-6)
    assert fitted.objective_ == pytest.approx(0.0, abs=1e-10)


def test_the_objective_is_that_of_the_standardised_rows():
    Xs, Xt, *_ = views(n=20, m=16)
    fitted = COOTransfer().fit(Xs, Xt)
    Zs, Zt = ((X - X.mean(axis=0)) / X.std(axis=0) for X in (Xs, Xt))
    order_s, order_t = (_order_of_measure(X) for X in (Xs, Xt))
    P, R = fitted.coupling_.toarray(), fitted.columns_coupling_.toarray()
    squares = np.square(Zs[order_s][:, None, :, None] - Zt[order_t][None, :, None, :])
    assert fitted.objective_ == pytest.approx(np.einsum("ij,kl,ijkl->", P, R, squares))


def _order_of_measure(X):
    from headstart.mapping.measures import distinct_rows

    return distinct_rows(np.column_stack([np.full(len(X), np.nan), X]))[0]


def test_quantities_as_labels_lead_rows_to_rows_of_like_labels():
    rng = np.random.default_rng(0)
    ys, yt = rng.uniform(size=60), rng.uniform(size=50)
    Xs, Xt = rng.normal(size=(60, 3)), np.column_stack([yt, rng.normal(size=(50, 4))])
    Xs[:, 0] = ys
    model = four_steps(COOTransfer(label_weight=10.0), Domain(Xs, ys, name="a"), Domain(Xt, yt, name="b"), Ridge(1e-3))
    assert np.abs(model.predictor.predict(Xt) - yt).mean() < 0.1
    moved = COOTransfer(label_weight=10.0).fit(Xs, Xt, ys, yt).transform_source(Xs)
    assert np.corrcoef(moved[:, 0], ys)[0, 1] > 0.95


# ManifoldAlignment


def test_the_matrices_of_labels_are_those_of_the_whole_graphs():
    Xs, Xt, ys, yt, _ = views(n=12, m=10)
    known = ~np.isnan(yt)
    Z = block_diag(Xs, Xt[known])
    y = np.append(ys, yt[known])
    of_domain = np.repeat([0, 1], [12, known.sum()])
    w = np.array([1 / ((y == c) & (of_domain == d)).sum() for c, d in zip(y, of_domain, strict=True)])
    for found, same in zip(label_matrices(Xs, ys.astype(float), Xt, yt), (True, False), strict=True):
        W = np.outer(w, w) * ((y[:, None] == y) == same)
        np.testing.assert_allclose(found, Z.T @ (np.diag(W.sum(axis=1)) - W) @ Z, atol=1e-10)


def test_directions_are_stationary_and_ordered_by_the_quotient_that_is_minimised():
    Xs, Xt, ys, yt, _ = views(n=40, m=35)
    fitted = ManifoldAlignment(n_components=2, mu=0.5, reg=1e-3).fit(Xs, Xt, ys, yt)
    Zs, Zt = ((X - X.mean(axis=0)) / np.sqrt(X.var(axis=0).sum()) for X in (Xs, Xt))
    alike, apart = label_matrices(Zs, ys.astype(float), Zt, yt)
    near = block_diag(*(Z.T @ (laplacian(neighbour_graph(Z, 10, "binary")) @ Z) / len(Z) for Z in (Zs, Zt)))
    A = alike + 0.5 * np.trace(alike) / np.trace(near) * near
    A += 1e-3 * np.trace(A) / len(A) * np.eye(len(A))
    # The map of standardised rows, read off the fitted maps.
    F = np.vstack([m.A * np.sqrt(X.var(axis=0).sum()) for m, X in ((fitted.source_map_, Xs), (fitted.target_map_, Xt))])
    for f, value in zip(F.T, fitted.eigenvalues_, strict=True):
        np.testing.assert_allclose(apart @ f, value * A @ f, atol=1e-8 * np.abs(apart @ f).max() + 1e-10)

    def quotient(f):
        return (f @ A @ f) / (f @ apart @ f)

    rng = np.random.default_rng(0)
    nudged = [quotient(F[:, 0] + 0.1 * rng.normal(size=len(F)) * np.abs(F).max()) for _ in range(200)]
    assert quotient(F[:, 0]) < min(nudged)


def test_classes_meet_in_the_common_space_and_its_scale_is_one():
    Xs, Xt, ys, yt, truth = views(known=5)
    fitted = ManifoldAlignment().fit(Xs, Xt, ys, yt)
    S, T = fitted.transform_source(Xs), fitted.transform(Xt)
    assert S.shape[1] == 2
    assert np.mean([np.square(S).mean(), np.square(T).mean()]) == pytest.approx(1.0)
    means = [np.array([Z[y == c].mean(axis=0) for c in range(3)]) for Z, y in ((S, ys), (T, truth))]
    assert np.array_equal(squared_distances(*means).argmin(axis=1), np.arange(3))


def test_more_columns_than_rows_give_what_the_same_rows_give_in_fewer():
    Xs, Xt, ys, yt, _ = views(n=30, m=28)
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.normal(size=(50, 7)))[0]
    thin, wide = (ManifoldAlignment().fit(Xs, X, ys, yt) for X in (Xt, Xt @ Q.T))
    # Directions in which nothing varies hold nothing but the mean diagonal entry that `reg` is measured in.
    np.testing.assert_allclose(wide.transform(Xt @ Q.T), thin.transform(Xt), atol=1e-6)


# HeterogeneousAugmentation


def test_q_is_the_ridge_regression_of_the_source_means_on_the_target_means():
    rng = np.random.default_rng(0)
    share = np.array([0.5, 0.3, 0.2])
    Ms, Mt = rng.normal(size=(3, 4)), rng.normal(size=(3, 6))
    Ms, Mt = Ms - share @ Ms, Mt - share @ Mt
    P, Q = projections(Ms, Mt, share, None, alpha=0.1)
    s = np.linalg.svd(np.sqrt(share)[:, None] * Mt, compute_uv=False)[:2]
    W = np.diag(share)
    theirs = np.linalg.solve(Mt.T @ W @ Mt + 0.1 * np.mean(s**2) * np.eye(6), Mt.T @ W @ Ms @ P)
    np.testing.assert_allclose(Q, theirs, atol=1e-10)
    np.testing.assert_allclose(P.T @ P, np.eye(2), atol=1e-12)
    # P holds all that the class means differ by.
    np.testing.assert_allclose(Ms @ P @ P.T, Ms, atol=1e-12)


def test_a_row_is_its_shared_part_then_itself_in_the_block_of_its_domain():
    Xs, Xt, ys, yt, _ = views()
    fitted = HeterogeneousAugmentation(alpha=0).fit(Xs, Xt, ys, yt)
    S, T = fitted.transform_source(Xs), fitted.transform(Xt)
    assert S.shape[1] == T.shape[1] == 2 + 4 + 7
    assert not S[:, 6:].any()
    assert not T[:, 2:6].any()
    scale = np.sqrt(Xt.var(axis=0).sum() / Xs.var(axis=0).sum())
    np.testing.assert_allclose(np.diff(S[:, 2:6], axis=0), scale * np.diff(Xs, axis=0))
    np.testing.assert_allclose(np.diff(T[:, 6:], axis=0), np.diff(Xt, axis=0))
    # Without a penalty the means of labelled rows coincide, class by class.
    for c in range(3):
        np.testing.assert_allclose(S[ys == c, :2].mean(axis=0), T[yt == c, :2].mean(axis=0), atol=1e-9)


# What it is worth


@pytest.mark.parametrize("cls", [AnchorOT, COOTransfer, ManifoldAlignment])
def test_one_label_a_class_of_digits_is_worth_more_with_the_other_view_of_other_digits(cls):
    found = heterogeneous.reached("pixels-to-gradients", 1, 0, [_name(cls)])
    by = {one.method: one.accuracy for one in found if one.learner == "logistic regression"}
    assert by[_name(cls)] > by["target-only"] + 3


def _name(cls):
    return next(name for name, known in heterogeneous.METHODS.items() if known is cls)


def test_gradients_of_a_turned_picture_are_turned():
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(3, 8, 8))
    H = heterogeneous.gradients(images).reshape(3, 4, 4, 8)
    turned = heterogeneous.gradients(np.rot90(images, axes=(1, 2)).copy()).reshape(3, 4, 4, 8)
    # A quarter of a turn moves the cells, and every direction by two of the eight bins.
    np.testing.assert_allclose(turned, np.roll(np.rot90(H, axes=(1, 2)), -2, axis=3), atol=1e-12)
    np.testing.assert_allclose(np.square(H).sum(axis=(1, 2, 3)), 1)


def test_the_benchmark_compares_every_method_with_the_target_alone(tmp_path):
    tables = []
    figures = heterogeneous.measure(Asked(tmp_path, only=["latent"], methods=["anchor-ot"], draws=2), tables.append)
    assert len(tables) == 1
    lines = figures["lines"]
    assert {line["method"] for line in lines} == {"target-only", "anchor-ot", "label spreading, target alone"}
    assert {(line["labels"], line["learner"]) for line in lines} >= {(1, "1NN"), (3, "3NN"), (5, "logistic regression")}
    rows = heterogeneous.latent(0)
    assert rows.Xs.shape == (300, 20)
    assert rows.Xt.shape == (300, 50)
    with pytest.raises(InputError, match="did you mean 'anchor-ot'"):
        heterogeneous.measure(Asked(tmp_path, methods=["anchor-to"]), tables.append)
