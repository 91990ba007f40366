"""What each of several sources is worth: the axioms of Shapley's value, and a planted source that hurts."""

import json
from itertools import permutations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from headstart import Domain
from headstart.choose.sources import _sampled, _shapley, source_values
from headstart.delivery import Plan
from headstart.errors import InputError, NeedsError
from headstart.evidence import METRICS


def hospital(name, n, seed, beta=(1.0, 1.0, 0.0)):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return Domain(X, (X @ np.array(beta) + 0.3 * rng.normal(size=n) > 0).astype(int), name=name)


def valued(sources, target, **settings):
    return source_values(sources, target, Plan("classification"), LogisticRegression(), METRICS["accuracy"], **settings)


@pytest.fixture(scope="module")
def found():
    sources = [hospital("good", 150, 0), hospital("harmful", 150, 1, (-1.0, -1.0, 0.0)), hospital("small", 10, 2)]
    return valued(sources, hospital("target", 150, 3))


def test_a_planted_harmful_source_is_found_and_left_out(found):
    assert [each.verdict for each in found.sources][1] == "hurts"
    assert found.kept == ["good", "small"]
    assert found.left_out == ["harmful"]
    assert found.of_kept > found.all
    assert found.sources[1].last < 0 < found.sources[0].value


def test_the_values_sum_to_the_gain_of_all_sources_over_none(found):
    assert found.exact
    assert found.sets == 8
    assert sum(each.value for each in found.sources) == pytest.approx(found.all - found.none)


def test_equal_sources_are_worth_the_same():
    twin = hospital("one", 40, 0)
    both = valued([twin, Domain(twin.X, twin.y, name="two")], hospital("target", 40, 1))
    one, two = both.sources
    assert one.value == pytest.approx(two.value)
    assert (one.low, one.high) == pytest.approx((two.low, two.high))


def game(n, seed=0):
    """Draw utilities, shape (2, 6), for every set of n sources."""
    rng = np.random.default_rng(seed)
    sets = [frozenset(i for i in range(n) if code >> i & 1) for code in range(2**n)]
    return {each: rng.normal(size=(2, 6)) for each in sets}


def mean_over_orders(v, n):
    phi = np.zeros((n, 2, 6))
    orders = list(permutations(range(n)))
    for order in orders:
        for place, i in enumerate(order):
            phi[i] += (v[frozenset(order[: place + 1])] - v[frozenset(order[:place])]) / len(orders)
    return phi


def test_the_exact_value_is_the_mean_over_all_orders():
    v = game(4)
    np.testing.assert_allclose(_shapley(v, 4)[0], mean_over_orders(v, 4))


def test_a_source_that_adds_nothing_to_any_set_is_worth_nothing():
    v = game(3)
    v = {each: v[each - {2}] for each in v}
    np.testing.assert_allclose(_shapley(v, 3)[0][2], 0, atol=1e-12)


def test_all_orders_drawn_once_give_the_exact_values_and_few_are_within_their_stated_error():
    v = game(5)
    truth, _ = _shapley(v, 5)
    half = [list(order) for order in permutations(range(5)) if order < order[::-1]]
    paired = [order for one in half for order in (one, one[::-1])]
    np.testing.assert_allclose(_sampled(v, 5, paired)[0], truth)
    rng, inside = np.random.default_rng(0), []
    for _ in range(200):
        drawn = [order for _ in range(10) for one in [rng.permutation(5).tolist()] for order in (one, one[::-1])]
        phi, error = _sampled(v, 5, drawn)
        inside.append(np.abs(phi.mean(axis=(1, 2)) - truth.mean(axis=(1, 2))) < 2.26 * error)
    assert 0.9 < np.mean(inside) < 0.99


def test_many_sources_are_drawn_with_a_stated_error_and_still_sum_up():
    sources = [hospital(f"s{i}", 30, i, (-1.0, -1.0, 0.0) if i == 5 else (1.0, 1.0, 0.0)) for i in range(6)]
    drawn = valued(sources, hospital("target", 80, 9), orders=6, repeats=1)
    assert not drawn.exact
    assert drawn.sets < 2**6
    assert sum(each.value for each in drawn.sources) == pytest.approx(drawn.all - drawn.none)
    assert any(each.error > 0 for each in drawn.sources)
    assert min(drawn.sources, key=lambda each: each.value).name == "s5"


def test_nothing_is_left_out_when_sources_are_alike():
    sources = [hospital(name, 60, seed) for seed, name in enumerate("abc")]
    assert valued(sources, hospital("target", 40, 9), repeats=1).left_out == []


def test_regression_is_valued_in_its_own_metric():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(260, 3))
    y = X @ [1.0, 2.0, 0.0]
    sources = [Domain(X[:100], y[:100], name="good"), Domain(X[100:200], -y[100:200], name="bad")]
    target = Domain(X[200:], y[200:] + 0.1 * rng.normal(size=60))
    values = source_values(sources, target, Plan("regression"), Ridge(), METRICS["mean absolute error"])
    assert values.left_out == ["bad"]
    json.dumps(values.document(), allow_nan=False)


def test_what_is_missing_is_said_in_one_line():
    one = hospital("one", 20, 0)
    with pytest.raises(InputError, match="different names"):
        valued([one, one], hospital("target", 20, 1))
    with pytest.raises(NeedsError, match="labelled target rows"):
        valued([one, hospital("two", 20, 1)], Domain(one.X))
