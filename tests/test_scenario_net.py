"""ScenarioNet: click prediction over scenarios."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from headstart.errors import InputError
from headstart.recommend.scenario_beginnings import beginnings
from headstart.recommend.scenario_layers import KINDS, NUMPY, Shape, deep, head, layers, logits, spans_of
from headstart.recommend.scenario_net import ScenarioNet
from headstart.store.parts import dump_part, load_part

torch = pytest.importorskip("torch")

TOLD = ("shared-bottom", "mmoe", "star", "pepnet", "glmix")
QUICK = {"learning_rate": 0.02, "batch": 200, "width": 8, "hidden": (16, 8), "experts": 2}


def planted(n, seed):
    """Items are as good in one scenario as in another; a long one is liked in half of the scenarios only."""
    rng = np.random.default_rng(seed)
    quality = np.random.default_rng(0).normal(0, 2, 60)
    item, scenario = rng.integers(60, size=n), rng.integers(8, size=n)
    length = rng.choice(["short", "long"], size=n)
    sign = np.where((length == "long") == (scenario % 2 == 0), 1.0, -1.0)
    y = (quality[item] + 2.0 * sign + rng.logistic(size=n) > 0).astype(int)
    price = rng.normal(5, 2, n)
    X = pd.DataFrame({"item": [f"i{i}" for i in item], "length": length, "price": price, "place": scenario})
    return X, y


@pytest.fixture(scope="module")
def planted_aucs():
    X, y = planted(1400, 1)
    Xt, yt = planted(4000, 2)
    found = {}
    for kind in (*TOLD, "pooled", "separate"):
        net = ScenarioNet(kind, **QUICK, patience=8, dropout=0.1).fit(X, y, scenario="place")
        found[kind] = roc_auc_score(yt, net.predict_proba(Xt)[:, 1])
    return found


@pytest.mark.parametrize("kind", TOLD)
def test_scenarios_share_what_is_common_and_keep_what_is_their_own(planted_aucs, kind):
    """Better than one network that isn't told the scenario, and than one for each on few rows."""
    assert planted_aucs[kind] > planted_aucs["pooled"] + 0.05
    assert planted_aucs[kind] > planted_aucs["separate"] + 0.03


def a_shape(kind, hidden=(6, 4)):
    return Shape(kind, fields=2, numbers=3, categories=9, scenarios=3, width=4, hidden=hidden, experts=2)


def some_rows(n=11):
    rng = np.random.default_rng(3)
    codes = np.column_stack([rng.integers(0, 5, n), rng.integers(5, 9, n)])
    return codes, rng.normal(size=(n, 3)).astype(np.float32), np.sort(rng.integers(0, 3, n))


def shaken(shape, seed=0):
    """Parameters none of which is zero or one."""
    rng = np.random.default_rng(seed)
    P = beginnings(shape, rng)
    return {name: (value + 0.3 * rng.random(value.shape)).astype(np.float32) for name, value in P.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_torch_and_numpy_compute_the_same(kind):
    from headstart.recommend.scenario_training import with_torch

    shape, (codes, values, scenario) = a_shape(kind), some_rows()
    P = shaken(shape)
    tensors = {name: torch.from_numpy(value) for name, value in P.items()}
    xp = with_torch(0.5, 0, training=False)
    by_torch = logits(tensors, shape, torch.from_numpy(codes), torch.from_numpy(values), spans_of(scenario), xp)
    np.testing.assert_allclose(
        logits(P, shape, codes, values, spans_of(scenario), NUMPY), by_torch.numpy(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_is_the_slope_of_the_loss_in_numpy(kind):
    from headstart.recommend.scenario_training import with_torch

    shape, (codes, values, scenario) = a_shape(kind), some_rows()
    values = values.astype(float)
    P = {name: value.astype(float) for name, value in shaken(shape).items()}
    tensors = {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in P.items()}
    xp = with_torch(0.0, 0, training=False)
    logits(tensors, shape, torch.from_numpy(codes), torch.from_numpy(values), spans_of(scenario), xp).sum().backward()
    # The head is behind every gate, so nothing that is held still is between it and the loss.
    name = next(name for name in P if name.startswith("head") and name.endswith(".W"))
    at, step = (1, 0), 1e-6

    def loss(change):
        moved = {**P, name: P[name] + change * np.eye(len(P[name]), 1, -1)}
        return logits(moved, shape, codes, values, spans_of(scenario), NUMPY).sum()

    slope = (loss(step) - loss(-step)) / (2 * step)
    assert tensors[name].grad[at].item() == pytest.approx(slope, rel=1e-5)
    touched = {name for name, value in tensors.items() if value.grad is not None and bool((value.grad != 0).any())}
    assert touched >= {"embeddings", "weights", "number_weights", "number_vectors"}


def test_star_whose_own_weights_are_one_is_the_shared_network():
    shape, (codes, values, scenario) = a_shape("star"), some_rows()
    P = beginnings(shape, np.random.default_rng(0))
    x, pairs = np.hstack([P["embeddings"][codes].reshape(11, -1), values]), np.ones((11, 4), np.float32)
    shared = head(P, "head", np.hstack([layers(P, "layer", x, 2, NUMPY), pairs]))
    np.testing.assert_allclose(deep(P, shape, x, pairs, spans_of(scenario), NUMPY), shared, rtol=1e-4, atol=1e-5)
    P["star1_0.W"] = 2 * P["star1_0.W"]
    changed = deep(P, shape, x, pairs, spans_of(scenario), NUMPY)
    differs = ~np.isclose(changed, shared, rtol=1e-4, atol=1e-5)
    assert differs[scenario == 1].any()
    assert not differs[scenario != 1].any()


def test_pepnet_gates_that_learned_nothing_are_one():
    shape, (codes, values, scenario) = a_shape("pepnet"), some_rows()
    P = beginnings(shape, np.random.default_rng(0))
    for name in P:
        if "_out." in name:
            P[name] = np.zeros_like(P[name])
    x, pairs = np.hstack([P["embeddings"][codes].reshape(11, -1), values]), np.ones((11, 4), np.float32)
    plain = {f"layer{k}.{part}": P[f"layer{k}_0.{part}"] for k in range(2) for part in "Wb"}
    shared = head(P, "head", np.hstack([layers(plain, "layer", x, 2, NUMPY), pairs]))
    np.testing.assert_allclose(deep(P, shape, x, pairs, spans_of(scenario), NUMPY), shared, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def small():
    X, y = planted(300, 1)
    return X, y, ScenarioNet(**{**QUICK, "epochs": 3}).fit(X, y, scenario="place")


def test_same_random_state_same_answer_and_another_another(small):
    X, y, net = small
    again = clone(net).fit(X, y, scenario="place").predict_proba(X)
    np.testing.assert_array_equal(again, net.predict_proba(X))
    other = clone(net).set_params(random_state=1).fit(X, y, scenario="place").predict_proba(X)
    assert not np.allclose(other, again)


def test_fit_leaves_the_global_generators_alone(small):
    X, y, net = small
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    clone(net).fit(X, y, scenario="place")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


def test_scenario_as_a_column_and_as_an_array_are_the_same(small):
    X, y, net = small
    given = clone(net).fit(X.drop(columns="place"), y, scenario=X["place"].to_numpy())
    np.testing.assert_array_equal(
        given.predict_proba(X.drop(columns="place"), scenario=X["place"].to_numpy()), net.predict_proba(X)
    )


def test_rows_are_answered_one_by_one_as_together(small):
    X, _, net = small
    one_by_one = np.concatenate([net.predict_proba(X.iloc[[i]]) for i in range(20)])
    np.testing.assert_allclose(one_by_one, net.predict_proba(X.head(20)), rtol=1e-4)


@pytest.mark.parametrize("kind", ["star", "separate"])
def test_an_unknown_scenario_gets_the_mean_of_the_known(small, kind):
    X, y, net = small
    net = clone(net).set_params(kind=kind, n_networks=2).fit(X, y, scenario="place")
    shares = X["place"].value_counts(normalize=True)
    new = net.decision_function(X.head(5).assign(place="moon"))
    known = sum(share * net.decision_function(X.head(5).assign(place=s)) for s, share in shares.items())
    np.testing.assert_allclose(new, known, rtol=1e-4, atol=1e-6)


def test_unknown_and_missing_categories_are_the_same_and_missing_numbers_the_mean(small):
    X, _, net = small
    rows = X.head(6)
    np.testing.assert_array_equal(
        net.predict_proba(rows.assign(item="never seen")), net.predict_proba(rows.assign(item=None))
    )
    np.testing.assert_allclose(
        net.predict_proba(rows.assign(price=np.nan)), net.predict_proba(rows.assign(price=X["price"].mean())), rtol=1e-5
    )


def test_several_networks_answer_by_their_mean(small):
    X, y, net = small
    two = clone(net).set_params(n_networks=2).fit(X, y, scenario="place")
    each = []
    for k in range(2):
        one = clone(two).fit(X, y, scenario="place")
        one.networks_ = one.networks_[k : k + 1]
        each.append(one.decision_function(X))
    np.testing.assert_allclose(two.decision_function(X), np.mean(each, axis=0), rtol=1e-5, atol=1e-6)


def test_with_times_the_latest_rows_are_held_back(small):
    _, _, net = small
    when = np.random.default_rng(0).permutation(50)
    learn, held = net._held_back(np.arange(50), when, 0)
    assert when[held].min() > when[learn].max()
    assert len(held) == 5


@pytest.mark.parametrize("kind", ["star", "separate"])
def test_saved_without_pickle_and_read_again(small, kind):
    X, y, net = small
    net = clone(net).set_params(kind=kind).fit(X, y, scenario="place")
    read = load_part(dump_part(net), "here")
    np.testing.assert_array_equal(read.predict_proba(X), net.predict_proba(X))


def test_predicts_without_torch_after_reading(small, tmp_path):
    X, _, net = small
    (tmp_path / "net").write_bytes(dump_part(net))
    X.to_json(tmp_path / "rows.json")
    code = f"""
import pathlib, sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoTorch())
import pandas as pd
from headstart.store.parts import load_part
folder = pathlib.Path({str(tmp_path)!r})
net = load_part((folder / "net").read_bytes(), "here")
print(net.predict_proba(pd.read_json(folder / "rows.json"))[:, 1].sum())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(said) == pytest.approx(net.predict_proba(X)[:, 1].sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "say"),
    [
        ({"kind": "moe"}, "no kind 'moe'"),
        ({"width": 0}, "width must be 1 or more"),
        ({"hidden": ()}, "hidden must be"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"numbers": ["cost"]}, "no column 'cost'"),
        ({"numbers": ["item"]}, "holds no numbers"),
    ],
)
def test_wrong_parameters_are_refused_in_one_line(small, change, say):
    X, y, net = small
    with pytest.raises(InputError, match=say) as refused:
        clone(net).set_params(**change).fit(X, y, scenario="place")
    assert "\n" not in str(refused.value)


def test_wrong_rows_are_refused_in_one_line(small):
    X, y, net = small
    for wrong, say in (
        (lambda: clone(net).fit(X.to_numpy(), y, scenario="place"), "named columns"),
        (lambda: clone(net).fit(X, y, scenario="plaec"), "did you mean 'place'"),
        (lambda: clone(net).fit(X, y), "scenario="),
        (lambda: clone(net).fit(X, y, scenario=[1, 2]), "names 2 rows"),
        (lambda: clone(net).fit(X, y[:-1], scenario="place"), "one label"),
        (lambda: clone(net).fit(X, np.zeros(len(X)), scenario="place"), "1 classes"),
        (lambda: clone(net).fit(X.head(4), [0, 1, 0, 1], scenario="place"), "too few"),
        (lambda: net.predict(X.drop(columns="item")), "no column 'item'"),
    ):
        with pytest.raises(InputError, match=say) as refused:
            wrong()
        assert "\n" not in str(refused.value)
