"""The learner of map, label map and coupling."""

import warnings

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge

from headstart import Domain, Transfer
from headstart.errors import InputError, NeedsError, StoreError
from headstart.features import MappingTransfer
from headstart.mapping import Coupling, LinearMap, MappingLearner, load_mapping, save_mapping
from headstart.mapping.fit_maps import gaussian_map
from headstart.mapping.learner import COUPLINGS


def turned(seed=0, n=150, d=4, k=3, anchors=0):
    """Return source, labels, target, its labels, the turn, the shift and the permutation of the labels.

    Independent samples of the same classes; `anchors` rows stand at the head of both.
    """
    rng = np.random.default_rng(seed)
    centers, spread = 2.5 * rng.normal(size=(k, d)), np.linspace(0.4, 1.2, d)
    share = np.arange(3, 3 + k) / np.arange(3, 3 + k).sum()
    ys, yt = rng.choice(k, n, p=share), rng.choice(k, n, p=share)
    Xs, Z = centers[ys] + rng.normal(size=(n, d)) * spread, centers[yt] + rng.normal(size=(n, d)) * spread
    Z[:anchors], yt[:anchors] = Xs[:anchors], ys[:anchors]
    Q, permutation = np.linalg.qr(rng.normal(size=(d, d)))[0], rng.permutation(k)
    return Xs, ys, Z @ Q + 7, permutation[yt], Q, 7, permutation


def relative_error(moved, Xs, Q, shift):
    truth = Xs @ Q + shift
    return float(np.square(moved - truth).sum() / np.square(truth - truth.mean(0)).sum())


def test_paired_affine_map_is_ridge_on_scaled_columns():
    Xs, _, Xt, _, *_ = turned()
    learner = MappingLearner(alpha=0.2).fit(Xs, Xt)
    Zs, Zt = (Xs - Xs.mean(0)) / Xs.std(0), (Xt - Xt.mean(0)) / Xt.std(0)
    ridge = Ridge(alpha=0.2 * len(Xs)).fit(Zs, Zt)
    np.testing.assert_allclose(learner.transform(Xs), ridge.predict(Zs) * Xt.std(0) + Xt.mean(0), atol=1e-8)
    np.testing.assert_allclose(
        learner.objective_,
        (np.square(ridge.predict(Zs) - Zt).sum(1).mean() + 0.2 * np.square(ridge.coef_).sum()) / 4,
        atol=1e-10,
    )


def test_paired_orthogonal_map_is_procrustes_and_one_scale():
    Xs, _, Xt, _, *_ = turned()
    Xc, Yc = Xs - Xs.mean(0), Xt - Xt.mean(0)
    R, _ = orthogonal_procrustes(Xc, Yc)
    plain = MappingLearner(f="orthogonal", units=None).fit(Xs, Xt)
    np.testing.assert_allclose(plain.transform(Xs), Xc @ R + Xt.mean(0), atol=1e-8)
    scaled = MappingLearner(f="orthogonal").fit(Xs, Xt)
    size = np.sqrt(np.square(Yc).sum() / np.square(Xc).sum())
    np.testing.assert_allclose(scaled.transform(Xs), size * Xc @ R + Xt.mean(0), atol=1e-8)


def test_paired_covariance_map_follows_the_canonical_axes():
    # The best map between whitened rows pairs the canonical directions: its matrix is U V' of their cross-covariance.
    Xs, _, _, _, *_ = turned()
    Xt = Xs @ np.random.default_rng(1).normal(size=(4, 4)) + np.random.default_rng(2).normal(size=(150, 4))
    learner = MappingLearner(f="covariance", units=None).fit(Xs, Xt)

    def whitened(X):
        values, V = np.linalg.eigh(np.cov(X.T, bias=True))
        return (X - X.mean(0)) @ V / np.sqrt(values), V * np.sqrt(values)

    (Zs, _), (Zt, L) = whitened(Xs), whitened(Xt)
    U, _, Vt = np.linalg.svd(Zs.T @ (Zt @ (L.T @ L)) / len(Xs))
    np.testing.assert_allclose(learner.transform(Xs), Zs @ U @ Vt @ L.T + Xt.mean(0), atol=1e-8)


def test_paired_labels_give_the_empirical_conditional():
    rng = np.random.default_rng(0)
    Xs, ys, Xt = rng.normal(size=(90, 2)), rng.integers(0, 3, 90), rng.normal(size=(90, 2))
    yt = np.array(["x", "y"])[rng.integers(0, 2, 90)]
    yt = np.where(rng.random(90) < 0.2, None, yt)
    learner = MappingLearner().fit(Xs, Xt, ys, yt)
    known = np.array([label is not None for label in yt])
    for a in range(3):
        share = np.mean(yt[known & (ys == a)] == "y")
        np.testing.assert_allclose(learner.label_map_[a], [1 - share, share], atol=1e-12)


def test_taken_literally_f_is_the_target_mean_and_g_its_shares_and_it_warns():
    Xs, ys, Xt, yt, *_ = turned(n=60)
    with pytest.warns(UserWarning, match="nothing is learned"):
        learner = MappingLearner(pairing="unpaired", literal=True).fit(Xs, Xt, ys, yt)
    np.testing.assert_allclose(learner.transform(Xs), np.tile(Xt.mean(0), (60, 1)), atol=1e-8)
    np.testing.assert_allclose(learner.label_map_, np.tile(np.bincount(yt) / 60, (3, 1)), atol=1e-8)
    # In units of the variances each of the two terms is 1.
    np.testing.assert_allclose(learner.objective_, 2.0, atol=1e-8)
    np.testing.assert_allclose(learner.coupling_.toarray(), 1 / 3600)


def test_without_pairs_turn_and_label_permutation_are_found():
    right = 0
    for seed in range(4):
        Xs, ys, Xt, yt, Q, shift, permutation = turned(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            learner = MappingLearner(f="orthogonal", pairing="unpaired").fit(Xs, Xt, ys, yt)
        if (learner.label_map_.argmax(axis=1) == permutation).all():
            right += 1
            assert relative_error(learner.transform(Xs), Xs, Q, shift) < 0.3
        else:
            assert learner.confidence_ < 0.7
    assert right >= 3


def test_a_few_anchors_settle_the_map():
    for seed in range(4):
        Xs, ys, Xt, yt, Q, shift, permutation = turned(seed, anchors=5)
        pairs = np.repeat(np.arange(5)[:, None], 2, axis=1)
        learner = MappingLearner(f="orthogonal", pairing="partial").fit(Xs, Xt, ys, yt, pairs=pairs)
        assert relative_error(learner.transform(Xs), Xs, Q, shift) < 0.05
        assert learner.label_map_.argmax(axis=1).tolist() == permutation.tolist()
        assert learner.transform_labels([2, 0]).tolist() == permutation[[2, 0]].tolist()
        matrix = learner.coupling_.toarray()
        assert (matrix[:5, :5] > 0).sum() == 5
        np.testing.assert_allclose(matrix[np.arange(5), np.arange(5)], 0.1)
        np.testing.assert_allclose(matrix.sum(), 1)


def test_a_round_cloud_says_that_it_can_not_know():
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="another start ends elsewhere"):
        learner = MappingLearner(f="orthogonal", pairing="unpaired").fit(
            rng.normal(size=(120, 3)), rng.normal(size=(120, 3))
        )
    assert learner.confidence_ < 0.7


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize("f", ["affine", "orthogonal", "covariance", "kernel", "low-rank"])
def test_the_objective_never_rises_between_sweeps(f, coupling):
    Xs, ys, Xt, yt, *_ = turned(n=40)
    settings = {"pairing": "unpaired", "coupling": coupling, "n_starts": 0, "max_iter": 8, "alpha": 0.01}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner = MappingLearner(f, **settings).fit(Xs, Xt, ys, yt)
        first = MappingLearner(f, **{**settings, "max_iter": 1}).fit(Xs, Xt, ys, yt)
    assert len(learner.trace_) > 1
    assert np.diff(learner.trace_).max() <= 0
    assert learner.objective_ < first.objective_


def test_the_objective_is_what_its_formula_says():
    Xs, ys, Xt, yt, *_ = turned(n=50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner = MappingLearner(pairing="unpaired", units=None, label_weight=0.7, alpha=0.1).fit(Xs, Xt, ys, yt)
    P = learner.coupling_.toarray()
    moved, spoken = learner.transform(Xs), learner.label_map_[ys]
    rows = sum(P[i] @ np.square(moved[i] - Xt).sum(1) for i in range(50)) + 0.1 * np.square(learner.map_.A).sum()
    labels = sum(P[i] @ np.square(spoken[i] - np.eye(3)[yt]).sum(1) for i in range(50))
    expected = rows / Xt.var(0).sum() + 0.7 * labels / np.eye(3)[yt].var(0).sum()
    np.testing.assert_allclose(learner.objective_, expected, rtol=1e-10)


def test_the_order_of_rows_makes_no_difference_to_the_last_digit():
    Xs, ys, Xt, yt, *_ = turned(n=80, anchors=6)
    rng = np.random.default_rng(5)
    order_s, order_t = rng.permutation(80), rng.permutation(80)
    place_s, place_t = np.argsort(order_s), np.argsort(order_t)
    pairs = np.repeat(np.arange(6)[:, None], 2, axis=1)
    moved_pairs = np.stack([place_s[pairs[:, 0]], place_t[pairs[:, 1]]], axis=1)[::-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for given, again in ((None, None), (pairs, moved_pairs)):
            learner = MappingLearner(pairing="unpaired" if given is None else "partial", n_starts=3)
            one = clone(learner).fit(Xs, Xt, ys, yt, pairs=given)
            two = clone(learner).fit(Xs[order_s], Xt[order_t], ys[order_s], yt[order_t], pairs=again)
            assert np.array_equal(one.map_.A, two.map_.A)
            assert one.objective_ == two.objective_
            assert np.array_equal(one.coupling_.toarray()[order_s][:, order_t], two.coupling_.toarray())


def test_units_make_no_difference():
    Xs, ys, Xt, yt, *_ = turned(n=80)
    units_s, units_t = np.array([1.0, 1000.0, 0.01, 7.0]), np.array([3.0, 0.001, 60.0, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for f, of_s, of_t in (("affine", units_s, units_t), ("orthogonal", 1000.0, 0.01), ("covariance", 50.0, 2.0)):
            learner = MappingLearner(f, pairing="unpaired", n_starts=2)
            one = clone(learner).fit(Xs, Xt, ys, yt)
            two = clone(learner).fit(Xs * of_s + 5, Xt * of_t - 3, ys, yt)
            np.testing.assert_allclose(
                two.transform(Xs * of_s + 5), one.transform(Xs) * of_t - 3, rtol=1e-6, atol=1e-6 * np.max(of_t)
            )
            np.testing.assert_allclose(two.label_map_, one.label_map_, atol=1e-8)
            np.testing.assert_allclose(two.objective_, one.objective_, rtol=1e-8)


def test_more_pairs_are_better_on_average():
    errors = []
    for anchors in (5, 15, 40, 80):
        found = []
        for seed in range(5):
            Xs, ys, Xt, yt, Q, shift, _ = turned(seed, n=80, anchors=anchors)
            pairs = np.repeat(np.arange(anchors)[:, None], 2, axis=1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                learner = MappingLearner("affine", pairing="partial", n_starts=0).fit(Xs, Xt, ys, yt, pairs=pairs)
            found.append(relative_error(learner.transform(Xs), Xs, Q, shift))
        errors.append(np.mean(found))
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 1e-12


def test_spaces_of_other_dimensions_are_joined_by_their_shape():
    rng = np.random.default_rng(0)
    ys, yt = rng.choice(3, 120, p=[0.2, 0.3, 0.5]), rng.choice(3, 120, p=[0.2, 0.3, 0.5])
    centers = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 15.0]])
    into = np.linalg.qr(rng.normal(size=(5, 5)))[0][:2]
    Xs = centers[ys] + rng.normal(size=(120, 2))
    Xt = (centers[yt] + rng.normal(size=(120, 2))) @ into
    for f in ("affine", "orthogonal", "covariance"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            learner = MappingLearner(f, pairing="unpaired", units="whole", n_starts=3).fit(Xs, Xt)
        nearest = np.square(learner.transform(Xs)[:, None] - centers @ into).sum(axis=2).argmin(axis=1)
        assert (nearest == ys).mean() > 0.95
    with pytest.raises(InputError, match="n_starts above 0"):
        MappingLearner(pairing="unpaired", n_starts=0).fit(Xs, Xt)


def test_many_rows_are_coupled_by_clusters_and_found_as_well():
    Xs, ys, Xt, yt, Q, shift, permutation = turned(n=4000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner = MappingLearner("orthogonal", pairing="unpaired", n_clusters=200, n_starts=3).fit(Xs, Xt, ys, yt)
    assert learner.label_map_.argmax(axis=1).tolist() == permutation.tolist()
    assert relative_error(learner.transform(Xs), Xs, Q, shift) < 0.1
    assert "low rank" in repr(learner.coupling_)
    learner.coupling_.require_marginals(np.full(4000, 1 / 4000), np.full(4000, 1 / 4000))


def test_clusters_keep_pairs_apart():
    Xs, ys, Xt, yt, *_ = turned(n=300, anchors=4)
    pairs = np.repeat(np.arange(4)[:, None], 2, axis=1)
    learner = MappingLearner("orthogonal", pairing="partial", n_clusters=40, n_starts=1)
    P = learner.fit(Xs, Xt, ys, yt, pairs=pairs).coupling_.toarray()
    np.testing.assert_allclose(np.diag(P[:4, :4]), 0.125)
    np.testing.assert_allclose([P[:4, 4:].sum(), P[4:, :4].sum(), P.sum()], [0, 0, 1], atol=1e-12)


def test_quantities_have_a_line_as_label_map():
    rng = np.random.default_rng(0)
    Xs = rng.normal(size=(200, 3)) * [1.0, 2.0, 4.0]
    ys = Xs @ [1.0, -1.0, 0.5] + 0.1 * rng.normal(size=200)
    yt = np.where(np.arange(200) < 50, np.nan, 10 + 2 * ys)
    learner = MappingLearner().fit(Xs, Xs[:, ::-1], ys, yt)
    np.testing.assert_allclose([learner.g_.slope, learner.g_.offset], [2, 10], atol=1e-8)
    assert learner.label_map_ is None
    moved = MappingLearner(pairing="unpaired", n_starts=0, label_weight=3.0).fit(Xs, 2 * Xs + 1, ys, yt)
    np.testing.assert_allclose([moved.g_.slope, moved.g_.offset], [2, 10], rtol=0.1)
    with pytest.raises(InputError, match="classes on one side"):
        MappingLearner().fit(Xs, Xs, ys, np.arange(200) % 2)


def test_labels_that_mean_the_same_stay_what_they_are():
    Xs, ys, Xt, yt, *_ = turned(n=60)
    names = np.array(["a", "b", "c"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner = MappingLearner("orthogonal", "identity", "unpaired").fit(Xs, Xt, names[ys], names[yt])
    assert learner.label_map_.tolist() == np.eye(3).tolist()


def test_a_map_that_nearly_collapses_is_told():
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="nearly collapsed"):
        MappingLearner(pairing="unpaired", coupling="entropic", reg=5.0, n_starts=0).fit(
            rng.normal(size=(60, 3)), rng.normal(size=(60, 3))
        )


def test_a_function_of_ones_own_may_be_the_family():
    Xs, _, Xt, _, *_ = turned(n=50)
    learner = MappingLearner(lambda X, Y, weight: LinearMap(np.linalg.lstsq(X, Y, rcond=None)[0]), units=None)
    np.testing.assert_allclose(learner.fit(Xs, Xt).map_.A, np.linalg.lstsq(Xs, Xt, rcond=None)[0])


def test_inverse_takes_target_rows_back_where_there_is_one():
    Xs, _, _, _, Q, *_ = turned(n=50)
    learner = MappingLearner().fit(Xs, Xs @ Q + 3)
    np.testing.assert_allclose(learner.inverse_transform(Xs @ Q + 3), Xs, atol=1e-8)
    with pytest.raises(InputError, match="no inverse"):
        MappingLearner("kernel").fit(Xs, Xs @ Q).inverse_transform(Xs)


def test_float32_rows_give_float32_images():
    Xs, _, Xt, _, *_ = turned(n=60)
    for f in ("linear", "affine", "orthogonal", "covariance", "low-rank", "kernel", "bures", "perceptron"):
        learner = MappingLearner(f).fit(Xs.astype(np.float32), Xt.astype(np.float32))
        assert learner.transform(Xs.astype(np.float32)).dtype == np.float32


def test_hard_rows_end_in_finite_maps_or_a_clear_line():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(30, 3))
    for Xs, Xt in (
        (normal, np.ones((20, 3))),
        (np.ones((20, 3)), normal),
        (normal[:, :1], normal[:, :1] * 1e6),
        (np.repeat(normal[:3], 5, axis=0), normal),
        (normal[:2], normal[:3]),
        (rng.normal(size=(6, 20)), rng.normal(size=(7, 30))),
        (normal + 1e8, normal - 1e8),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            for f in ("affine", "covariance", "orthogonal", "kernel"):
                learner = MappingLearner(f, pairing="unpaired", n_starts=2).fit(Xs, Xt)
                assert np.isfinite(learner.transform(Xs)).all()


def test_wrong_input_is_one_line():
    Xs, ys, Xt, *_ = turned(n=30)
    for settings, fit, said in (
        ({}, {"Xt": Xt[:20]}, "are not pairs"),
        ({"pairing": "sorted"}, {}, "pairing"),
        ({"pairing": "partial"}, {}, "needs pairs"),
        ({"pairing": "unpaired"}, {"pairs": [[0, 0]]}, "pairing is 'unpaired'"),
        ({"pairing": "partial"}, {"pairs": [[0, 99]]}, "beyond"),
        ({"pairing": "unpaired", "coupling": "best"}, {}, "kind of coupling"),
        ({"g": "any"}, {}, "label map"),
        ({"f": "cubic"}, {}, "family of maps"),
        ({"pairing": "unpaired", "n_clusters": 0}, {}, "n_clusters"),
        ({"pairing": "partial", "pair_share": 2.0}, {"pairs": [[0, 0]]}, "pair_share"),
        ({"pairing": "unpaired", "distances": "round"}, {}, "kind of distance"),
        ({}, {"ys": ys[:5]}, "30 rows but 5 labels"),
        ({}, {"Xs": np.full((30, 4), np.nan)}, "NaN"),
    ):
        with pytest.raises(InputError, match=said):
            MappingLearner(**settings).fit(**{"Xs": Xs, "Xt": Xt, **fit})
    with pytest.raises(InputError, match="no label map"):
        MappingLearner().fit(Xs, Xt).transform_labels([0])
    with pytest.raises(InputError, match="fitted on 4"):
        MappingLearner().fit(Xs, Xt).transform(Xs[:, :2])


def test_saved_maps_come_back_and_changed_files_are_refused(tmp_path):
    Xs, ys, Xt, yt, *_ = turned(n=60)
    for f in ("linear", "affine", "orthogonal", "kernel", "perceptron"):
        learner = MappingLearner(f).fit(Xs, Xt, ys, yt)
        save_mapping(tmp_path / f, learner.map_, learner.g_, {"columns": ["a", "b"]})
        again = load_mapping(tmp_path / f)
        assert np.array_equal(again.map.transform(Xs), learner.transform(Xs))
        assert np.array_equal(again.label_map.transform(ys), learner.transform_labels(ys))
        assert again.card == {"columns": ["a", "b"]}
    with pytest.raises(StoreError, match="not empty"):
        save_mapping(tmp_path / "affine", learner.map_)
    data = (tmp_path / "affine" / "map.skops").read_bytes()
    (tmp_path / "affine" / "map.skops").write_bytes(data + b"x")
    with pytest.raises(StoreError, match="changed"):
        load_mapping(tmp_path / "affine")


def test_mapping_transfer_brings_a_turned_source_to_a_target_with_few_labels():
    Xs, ys, Xt, yt, Q, shift, _ = turned(n=120, anchors=6)
    few = np.where(np.arange(120) < 6, ys, np.nan)
    pair_s = np.where(np.arange(120) < 6, np.arange(120.0), np.nan)
    source, target = Domain(Xs, ys, "source", pair=pair_s), Domain(Xt, few, "target", pair=pair_s)
    back = np.argsort(turned(n=120, anchors=6)[-1])
    fitted = Transfer(MappingTransfer(), LogisticRegression(max_iter=1000)).fit_domains(source, target)
    assert (fitted.predict(Xt) == back[yt]).mean() > 0.95
    assert relative_error(fitted.method_.transform_source(Xs), Xs, Q, shift) < 0.05


def test_mapping_transfer_translates_labels_when_asked():
    Xs, ys, Xt, yt, *_ = turned(n=120)
    names = np.array(["x", "y", "z"], dtype=object)
    known = np.where(np.arange(120) < 40, names[yt], None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = Transfer(MappingTransfer("orthogonal", relabel=True, n_starts=6), LogisticRegression()).fit_domains(
            Domain(Xs, np.array(["p", "q", "r"])[ys], "source"), Domain(Xt, known, "target")
        )
    assert (fitted.predict(Xt) == names[yt]).mean() > 0.9
    with pytest.raises(NeedsError, match="labels of both domains"):
        MappingTransfer(relabel=True).fit(Xs, Xt, ys)


def test_without_turning_mapping_transfer_moves_columns_that_mean_the_same():
    rng = np.random.default_rng(0)
    Xs = rng.normal(size=(150, 3))
    Xt = rng.normal(size=(150, 3)) * [2.0, 1.0, 0.5] + [5.0, 0.0, -3.0]
    method = MappingTransfer().fit(Xs, Xt)
    A = method.source_map_.A
    np.testing.assert_allclose(A, gaussian_map(Xs, Xt).A, atol=1e-8)
    assert np.abs(A - np.diag(Xt.std(0) / Xs.std(0))).max() < 0.15
    assert isinstance(method.mapping_.coupling_, Coupling)
