"""Layers of networks: similarity and transferability against brute force, and the known traps of both."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from headstart import Domain
from headstart.errors import InputError, NeedsError
from headstart.evidence.layers import compare_layers, layer_transferability, leave_one_out, probe
from headstart.evidence.similarity import cka, cka_matrix, layer_similarity


def hsic_by_sums(X, Y):
    """Song et al. 2007, theorem 2, with plain sums."""
    n = len(X)
    K, L = X @ X.T, Y @ Y.T
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    one = np.ones(n)
    return (
        np.trace(K @ L) + (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ K @ L @ one)
    ) / (n * (n - 3))


def representations(n=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    return X, X @ rng.normal(size=(5, 7)) + 0.5 * rng.normal(size=(n, 7))


def test_debiased_similarity_equals_the_published_sums():
    X, Y = representations()
    truth = hsic_by_sums(X, Y) / np.sqrt(hsic_by_sums(X, X) * hsic_by_sums(Y, Y))
    assert cka(X, Y) == pytest.approx(truth)


def test_the_estimate_has_no_bias():
    # Over all items of a finite world, drawn without end: HSIC of 5 items is right in the mean, whatever the columns.
    rng = np.random.default_rng(0)
    unrelated = [cka(rng.normal(size=(8, 50)), rng.normal(size=(8, 50))) for _ in range(400)]
    assert abs(np.mean(unrelated)) < 3 * np.std(unrelated) / 20


def test_plain_similarity_is_inflated_with_more_columns_than_items_and_debiased_is_not():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(50, 1000)), rng.normal(size=(50, 1000))
    assert cka(X, Y, debiased=False) > 0.9
    assert abs(cka(X, Y)) < 0.1


def test_turns_shifts_and_scales_change_nothing():
    X, Y = representations()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    assert cka(X, 3 * X @ turn + 100) == pytest.approx(1)
    assert cka(1e150 * X + 7e150, Y) == pytest.approx(cka(X, Y))
    assert cka(Y, X) == pytest.approx(cka(X, Y))


def test_batches_estimate_the_same_and_do_not_depend_on_the_order_of_items():
    X, Y = representations(2000)
    whole, batched = cka(X, Y), cka(X, Y, batch=64)
    assert batched == pytest.approx(whole, abs=0.02)
    order = np.random.default_rng(3).permutation(2000)
    assert cka(X[order], Y[order], batch=64) == pytest.approx(batched)


def test_a_layer_that_says_the_same_of_every_item_is_like_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        X, _ = representations()
        assert cka(X, np.full((12, 3), 0.1)) == 0
        assert cka(np.zeros((12, 3)), np.zeros((12, 3))) == 0
    with pytest.raises(InputError, match="4 items"):
        cka(X[:3], X[:3])
    with pytest.raises(InputError, match="11 and 12 items"):
        cka_matrix([X], [X[:11]])


def network(name, features):
    """A backbone of which only the layers are asked."""
    return SimpleNamespace(
        card=SimpleNamespace(name=name),
        layers=tuple(features),
        features=lambda items, layer: np.stack([features[layer][int(item)] for item in items]),
    )


def test_layers_of_two_networks_find_their_partners():
    rng = np.random.default_rng(0)
    low, high = rng.normal(size=(60, 30)), rng.normal(size=(60, 10))
    one = network("one", {"a": low, "b": high})
    other = network("other", {"x": high @ np.linalg.qr(rng.normal(size=(10, 10)))[0], "y": 2 * low})
    found = layer_similarity(one, other, list(range(60)))
    assert [partner for _, partner, _ in found.partners()] == ["y", "x"]
    np.testing.assert_allclose(found.matrix, [[0, 1], [1, 0]], atol=0.1)
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["rows"] == ["a", "b"]
    assert document["summary"].startswith("a of one is most like y")


@pytest.mark.parametrize("shape", [(20, 3), (12, 40)])
def test_leave_one_out_is_that_of_real_refits(shape):
    rng = np.random.default_rng(0)
    F, Y = rng.normal(size=shape) + 5, rng.normal(size=(shape[0], 2))
    C = F - F.mean(axis=0)
    s = np.linalg.svd(C, compute_uv=False)
    s = s[s > 1e-8]
    for alpha in (0.01, 1.0):
        found = leave_one_out(F, Y, [alpha])[0]
        strength = alpha * (s**2).mean()
        for i in range(len(F)):
            model = Ridge(strength).fit(np.delete(F, i, 0), np.delete(Y, i, 0))
            np.testing.assert_allclose(found[i], model.predict(F[i : i + 1])[0], atol=1e-8)


def test_the_probe_picks_each_penalty_without_the_row_it_is_for():
    rng = np.random.default_rng(0)
    F, y = rng.normal(size=(15, 6)), rng.normal(size=15)
    penalties = (0.01, 1.0, 100.0)
    said = leave_one_out(F, y[:, None], penalties)[:, :, 0]
    utility = probe(F, y, classes=False, penalties=penalties)
    for i in range(15):
        others = np.delete((said - y) ** 2, i, axis=1).sum(axis=1)
        assert utility[i] == pytest.approx(-abs(said[others.argmin(), i] - y[i]))


def test_noise_never_scores_high_however_many_columns():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    assert np.mean([probe(rng.normal(size=(60, 500)), y, classes=True).mean() for _ in range(10)]) < 0.58


def test_the_scale_of_features_makes_no_difference():
    rng = np.random.default_rng(0)
    F, y = rng.normal(size=(40, 5)), np.arange(40) % 2
    np.testing.assert_array_equal(probe(F, y, classes=True), probe(1e6 * F, y, classes=True))


def test_the_layer_that_tells_is_where_to_cut_and_ties_are_told():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 150)
    told = np.eye(3)[y] + 0.6 * rng.normal(size=(150, 3))
    turned = told @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    found = compare_layers({"stem": rng.normal(size=(150, 8)), "early": turned, "late": told}, y)
    assert found.cut in ("early", "late")
    assert found.ties == [({"early", "late"} - {found.cut}).pop()]
    assert not found.layers[0].tied
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["cut"] == found.cut
    assert [layer["tied"] for layer in document["layers"]] == [False, True, True]


def test_ties_name_the_earliest_layer_when_a_later_one_looks_best():
    y = np.arange(40) % 2
    clear = y[:, None] + np.linspace(0, 0.1, 40)[:, None]
    nearly = clear.copy()
    nearly[:1] = 1 - nearly[:1]
    found = compare_layers({"early": nearly, "late": clear}, y)
    assert found.cut == "late"
    assert str(found).endswith("early is the earliest of these, and the cheapest")


def test_a_network_is_probed_on_the_labelled_items_only():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2.0
    features = {"stem": rng.normal(size=(30, 4)), "head": y[:, None] + 0.1 * rng.normal(size=(30, 4))}
    labels = y.copy()
    labels[20:] = np.nan
    target = Domain(np.zeros((30, 1)), labels, items=np.arange(30))
    found = layer_transferability(network("net", features), target)
    assert (found.cut, found.items, found.network) == ("head", 20, "net")
    with pytest.raises(NeedsError, match="two classes"):
        layer_transferability(network("net", features), Domain(np.zeros((30, 1)), np.zeros(30, dtype=int)))


def test_hard_layers_give_finite_scores():
    y = np.arange(10) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = compare_layers({"constant": np.ones((10, 3)), "one": np.ones((10, 1)) * y[:, None]}, y)
        assert np.isfinite([each.score for each in found.layers]).all()
        assert found.cut == "one"
        quantities = compare_layers({"equal": np.zeros((10, 2))}, np.arange(10.0), classes=False)
        assert np.isfinite(quantities.layers[0].score)
