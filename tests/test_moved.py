"""What a mapping did: columns before and after, the map of both domains, and the table of labels."""

import json
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import ks_2samp, wasserstein_distance
from sklearn.linear_model import LogisticRegression

from headstart import Domain
from headstart.choose import Candidate
from headstart.delivery import Plan
from headstart.errors import InputError
from headstart.evidence.arrived import arrived
from headstart.evidence.domain_map import domain_map
from headstart.evidence.label_table import label_table
from headstart.evidence.moved import moved
from headstart.features import CORAL, TCA, MappingTransfer, QuantileAlignment
from headstart.instances import KMM
from headstart.mapping import IdentityMap, LabelMap, LinearLabelMap, LinearMap, MappingLearner


class Fitted:
    """A method as fitted by hand."""

    def __init__(self, source_map, target_map):
        self.transform_source, self.transform = source_map.transform, target_map.transform


def clouds(n=400, shift=(3.0, 0.0, 0.0), seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 3)) * [1.0, 2.0, 1.0] + shift


def test_the_shifted_column_moved_and_lies_where_the_target_is():
    Xs, Xt = clouds()
    found = moved(CORAL().fit(Xs, Xt), Xs, Xt, columns=["a", "b", "c"])
    assert found.keeps_columns
    first = found.columns[0]
    assert (first.column, first.share) == ("a", None)
    assert first.ks_before == pytest.approx(ks_2samp(Xs[:, 0], Xt[:, 0]).statistic)
    assert first.distance_before == pytest.approx(wasserstein_distance(Xs[:, 0], Xt[:, 0]) / Xt[:, 0].std())
    assert first.ks_after < 0.1 < first.ks_before
    assert first.moved == pytest.approx(3.0, abs=0.3)
    assert found.after < found.before


def test_nothing_moves_under_the_identity():
    Xs, Xt = clouds()
    found = moved(Fitted(IdentityMap(), IdentityMap()), Xs, Xt)
    assert all(each.moved == 0 and each.ks_after == each.ks_before for each in found.columns)
    assert str(found).endswith("no column was moved")


def test_columns_that_are_mapped_each_by_itself_are_kept_though_the_target_moves_too():
    Xs, Xt = clouds()
    assert moved(QuantileAlignment().fit(Xs, Xt), Xs, Xt).keeps_columns
    both_halved = Fitted(LinearMap(np.eye(3) / 2), LinearMap(np.eye(3) / 2))
    found = moved(both_halved, Xs, Xt)
    assert found.keeps_columns
    np.testing.assert_allclose([each.moved for each in found.columns], 0, atol=1e-9)


def test_shares_of_a_linear_map_are_its_squared_entries():
    rng = np.random.default_rng(0)
    Xt = rng.normal(size=(1000, 3))
    A = np.array([[3.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    found = moved(Fitted(LinearMap(A), LinearMap(A)), rng.normal(size=(1000, 3)), Xt)
    assert not found.keeps_columns
    shares = {each.column: each.share for each in found.columns}
    assert shares["column 0"] == pytest.approx(0.9, abs=0.02)
    assert shares["column 1"] == pytest.approx(0.1, abs=0.02)
    assert shares["column 2"] == 0
    assert sum(shares.values()) == pytest.approx(1)
    assert found.axes == 2


def test_a_kernel_method_has_shares_and_its_own_axes():
    Xs, Xt = clouds(80)
    found = moved(TCA(n_components=2).fit(Xs, Xt), Xs, Xt)
    assert not found.keeps_columns
    assert all(each.moved is None and each.share >= 0 for each in found.columns)
    assert "of TCA's own" in str(found)
    json.dumps(found.document(), allow_nan=False)


def test_the_order_of_rows_does_not_change_what_moved():
    Xs, Xt = clouds(1500)
    method = CORAL().fit(Xs, Xt)
    order = np.random.default_rng(0).permutation(1500)
    one, two = moved(method, Xs, Xt), moved(method, Xs[order], Xt[order[::-1]])
    assert [each.column for each in one.columns] == [each.column for each in two.columns]
    np.testing.assert_allclose([each.moved for each in one.columns], [each.moved for each in two.columns])


def test_hard_columns_give_finite_figures():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        Xs, Xt = np.ones((10, 2)), np.ones((10, 2))
        Xt[:, 1] = 5.0
        found = moved(Fitted(IdentityMap(), IdentityMap()), Xs, Xt)
        json.dumps(found.document(), allow_nan=False)
        assert {each.column: each.ks_before for each in found.columns} == {"column 0": 0.0, "column 1": 1.0}
        one = moved(CORAL().fit(Xs[:, :1], Xt[:, :1]), Xs[:, :1], Xt[:, :1])
        json.dumps(one.document(), allow_nan=False)
    with pytest.raises(InputError, match="3 columns and target rows 2"):
        moved(CORAL(), np.ones((4, 3)), np.ones((4, 2)))


# The map of both domains.


def test_axes_are_the_principal_ones_of_both_domains_counting_the_same():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)), rng.normal(size=(300, 4)) + 1
    found = domain_map(Xs, Xt)
    within = np.sqrt((Xs.var(axis=0) + Xt.var(axis=0)) / 2)
    A, B = Xs / within, Xt / within
    middle = (A.mean(axis=0) + B.mean(axis=0)) / 2
    covariance = sum((Z - middle).T @ (Z - middle) / len(Z) for Z in (A, B)) / 2
    values, vectors = np.linalg.eigh(covariance)
    np.testing.assert_allclose(found.before.share, values[:-3:-1] / values.sum())
    np.testing.assert_allclose(
        np.abs(found.before.source), np.abs((A - middle) @ vectors[:, :-3:-1])[found.source_rows], atol=1e-9
    )


def test_a_shift_is_seen_before_and_gone_after():
    Xs, Xt = clouds()
    Zs = CORAL().fit(Xs, Xt).transform_source(Xs)
    found = domain_map(Xs, Xt, after=(Zs, Xt))
    assert found.same_axes
    np.testing.assert_array_equal(found.after.target, found.before.target)
    assert found.before.apart > 1.5
    assert found.after.apart < 0.1


def test_another_space_has_its_own_axes_turned_like_the_first():
    Xs, Xt = clouds()
    found = domain_map(Xs, Xt, after=(-Xs[:, ::-1], -Xt[:, ::-1]))
    assert not found.same_axes
    np.testing.assert_allclose(np.abs(found.after.share), found.before.share)
    np.testing.assert_allclose(found.after.target, found.before.target, atol=1e-9)


def test_at_most_so_many_rows_are_drawn_whatever_their_order():
    Xs, Xt = clouds(1000)
    ys = np.arange(1000) % 3
    found = domain_map(Xs, Xt, ys, most=100)
    assert found.before.source.shape == (100, 2)
    assert found.source_labels == ys[found.source_rows].tolist()
    assert found.target_labels == [None] * 100
    order = np.random.default_rng(0).permutation(1000)
    again = domain_map(Xs[order], Xt, ys[order], most=100)
    np.testing.assert_allclose(again.before.source, found.before.source)
    assert again.source_labels == found.source_labels


def test_weights_are_sizes_with_a_mean_of_one():
    Xs, Xt = clouds(100, shift=(0.3, 0.0, 0.0))
    found = domain_map(Xs, Xt, weight=KMM().weigh(Xs, Xt))
    assert found.size.mean() == pytest.approx(1)
    assert json.loads(json.dumps(found.document(), allow_nan=False))["size"] == pytest.approx(found.size, abs=1e-3)


def test_sparse_rows_and_hard_cases_are_mapped():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        rng = np.random.default_rng(0)
        Xs, Xt = (rng.random((30, 500)) * (rng.random((30, 500)) < 0.02) for _ in range(2))
        sparse = domain_map(csr_matrix(Xs), csr_matrix(Xt), after=(csr_matrix(Xs), csr_matrix(Xt)))
        assert sparse.same_axes
        wide = domain_map(rng.normal(size=(5, 90)), rng.normal(size=(3, 90)))
        one = domain_map(rng.normal(size=(5, 1)), rng.normal(size=(3, 1)))
        equal = domain_map(np.ones((4, 2)), np.ones((4, 2)))
        single = domain_map(np.ones((1, 2)), np.zeros((1, 2)))
        for each in (sparse, wide, one, equal, single):
            json.dumps(each.document(), allow_nan=False)
        assert equal.before.apart == 0
        assert one.before.share == pytest.approx((1, 0))


# The table of labels, and what a candidate leaves to look at.


def test_label_maps_of_methods_become_tables():
    learner = MappingLearner(f="orthogonal")
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    Xs = rng.normal(size=(200, 2)) * [1.0, 3.0] + np.array([[0.0, 0.0], [4.0, 4.0]])[y]
    learner.fit(Xs, Xs + 10, y, np.array(["even", "odd"])[y])
    table = label_table(learner)
    assert table.likeliest == [("0", "even", pytest.approx(1.0)), ("1", "odd", pytest.approx(1.0))]
    assert table.one_to_one
    np.testing.assert_array_equal(table.matrix, learner.label_map_)
    assert json.loads(json.dumps(table.document()))["classes"] == [2, 2]


def test_a_line_a_merge_and_nothing_are_told_apart():
    assert label_table(LinearLabelMap(1.8, 32.0)).document()["line"] == {"slope": 1.8, "offset": 32.0}
    merged = LabelMap(np.array(["a", "b"]), np.array(["x", "y"]), np.array([[0.9, 0.1], [0.6, 0.4]]))
    assert not label_table(merged).one_to_one
    assert label_table(CORAL()) is None


def test_a_candidate_leaves_rows_before_and_after_and_the_method_as_fitted():
    Xs, Xt = clouds(40, shift=(0.3, 0.0, 0.0))
    y = np.arange(40) % 2
    source, target = Domain(Xs, y, name="source"), Domain(Xt, y)
    plan = Plan("classification", vectorizer="passthrough")
    coral = arrived(Candidate("coral", CORAL(), LogisticRegression(), plan, source), target)
    np.testing.assert_allclose(coral.Zs, CORAL().fit(Xs, Xt).transform_source(Xs))
    np.testing.assert_array_equal(coral.brought(Xt[:3]), Xt[:3])
    assert moved(coral.method, coral.Xs, coral.Xt).method == "CORAL"
    kmm = arrived(Candidate("kmm", KMM(), LogisticRegression(), plan, source), target)
    weight = KMM().weigh(Xs, Xt)
    np.testing.assert_allclose(kmm.ws / kmm.ws.sum(), weight / weight.sum())
    mapped = arrived(Candidate("map", MappingTransfer(relabel=True), LogisticRegression(), plan, source), target)
    assert label_table(mapped.method).rows == ["0", "1"]
