from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize

from headstart.errors import InputError
from headstart.mapping import Coupling, LabelMap, LinearLabelMap
from headstart.mapping.label_maps import fit_classes, fit_quantities


def test_paired_labels_give_the_empirical_conditional_of_leep():
    rng = np.random.default_rng(0)
    ys, yt = rng.integers(0, 3, 200), rng.integers(0, 4, 200)
    coupling = Coupling.from_pairs(np.repeat(np.arange(200)[:, None], 2, axis=1), 200, 200)
    G = fit_classes(coupling.joint(np.eye(3)[ys], np.eye(4)[yt]))
    for z in range(3):
        for y in range(4):
            np.testing.assert_allclose(G[z, y], np.mean(yt[ys == z] == y), atol=1e-12)


def test_one_to_one_is_the_best_of_all_permutations():
    rng = np.random.default_rng(1)
    for shape in ((4, 4), (3, 5)):
        J = rng.random(shape)
        best = max(permutations(range(shape[1]), shape[0]), key=lambda p: sum(J[i, p[i]] for i in range(shape[0])))
        assert fit_classes(J, "one-to-one").argmax(axis=1).tolist() == list(best)


def test_with_too_few_partners_the_rest_go_where_their_mass_is():
    J = np.array([[0.5, 0.0], [0.0, 0.4], [0.01, 0.09]])
    assert fit_classes(J, "one-to-one").argmax(axis=1).tolist() == [0, 1, 1]


def test_smoothed_map_minimises_its_penalised_squares():
    rng = np.random.default_rng(2)
    J, prior, eta = rng.random((3, 4)), np.array([0.1, 0.2, 0.3, 0.4]), 0.7

    def value(G):
        G = G.reshape(3, 4)
        squares = ((G[:, None] - np.eye(4)) ** 2).sum(axis=2)
        return (J * squares).sum() + eta * ((G - prior) ** 2).sum()

    found = minimize(value, np.full(12, 0.25), tol=1e-12).x.reshape(3, 4)
    ours = fit_classes(J, "smoothed", prior, eta)
    np.testing.assert_allclose(ours, found, atol=1e-5)
    np.testing.assert_allclose(ours.sum(axis=1), 1)
    np.testing.assert_allclose(fit_classes(J, "smoothed", prior, 1e9), np.tile(prior, (3, 1)), atol=1e-6)


def test_a_class_that_meets_nothing_has_the_target_shares():
    G = fit_classes(np.array([[0.2, 0.6], [0.0, 0.0]]))
    np.testing.assert_allclose(G, [[0.25, 0.75], [0.25, 0.75]])


def test_label_map_speaks_in_names_and_refuses_strangers():
    g = LabelMap(np.array(["a", "b"]), np.array([1, 2]), np.array([[0.2, 0.8], [1.0, 0.0]]))
    assert g.transform(["b", "a", "b"]).tolist() == [1, 2, 1]
    np.testing.assert_allclose(g.probabilities(["a"]), [[0.2, 0.8]])
    with pytest.raises(InputError, match="'c'"):
        g.transform(["a", "c"])


def test_quantities_have_the_weighted_line_and_its_inverse():
    rng = np.random.default_rng(0)
    y, w = rng.normal(size=50), rng.random(50)
    z = 3 * y - 2 + rng.normal(size=50)
    slope, offset = np.polyfit(y, z, 1, w=np.sqrt(w))
    line = fit_quantities(y, z, w)
    np.testing.assert_allclose([line.slope, line.offset], [slope, offset], atol=1e-10)
    np.testing.assert_allclose(line.inverse_transform(line.transform(y)), y)
    with pytest.raises(InputError, match="no inverse"):
        LinearLabelMap(0.0, 1.0).inverse_transform([1.0])


def test_unknown_kinds_are_refused():
    with pytest.raises(InputError, match="label map"):
        fit_classes(np.eye(2), "nearest")
