"""Common checks of all strategies of fine-tuning, on a small network of random weights."""

import inspect

import numpy as np
import pytest
import torch
from sklearn.base import clone
from test_fine_tuning import pictures, small
from torch import nn

from headstart import Domain
from headstart.backbones import Backbone
from headstart.backbones.torch_network import TorchNetwork
from headstart.catalogue import STRATEGIES, find, names_in
from headstart.method import Family, four_steps
from headstart.models.fine_tuning import TunedNetwork
from headstart.store import dump_part, load_part

NAMES = names_in(STRATEGIES)


def network():
    """Return the small network with a head of four classes of its own."""
    plain = small()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = nn.Linear(12, 4)
    whole = TorchNetwork(plain.network.body, 12, head, {"first": plain.network.body.network[0]})
    return Backbone(plain.card, plain.preparation, whole, ("a", "b", "c", "d"))


def strategy(name, **settings):
    extra = {"distill": {"teacher": small(3)}, "soup": {"ingredients": [{"lr": 1e-3}, {"lr": 3e-3}]}}.get(name, {})
    return find(name).load()(network(), **{"epochs": 2, "batch_size": 12, **extra, **settings})


@pytest.mark.parametrize("name", NAMES)
def test_the_constructor_stores_and_nothing_else(name):
    kind = find(name).load()
    made = kind()
    assert set(vars(made)) == set(made.get_params(deep=False))
    assert repr(clone(made)) == repr(made)
    for each in made.get_params(deep=False):
        assert made.set_params(**{each: made.get_params(deep=False)[each]}) is made
    assert kind.family == Family.MODELS
    assert kind.needs.items
    assert not kind.needs.source_rows


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_has_an_example_and_a_reference(name):
    text = inspect.getdoc(find(name).load())
    assert "Examples" in text
    assert "References" in text or name in ("fine-tune", "from-scratch")


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_leaves_its_parameters_and_repeats_itself(name):
    X, y = pictures()
    before = torch.random.get_rng_state()
    made = strategy(name, random_state=3)
    told = repr(made)
    one = made.fit(X, y)
    assert repr(one) == told
    assert torch.equal(torch.random.get_rng_state(), before)
    P = one.predict_proba(X)
    assert P.shape == (36, 3)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(one.predict(X), one.classes_[P.argmax(axis=1)])
    again = strategy(name, random_state=3).fit(X, y)
    assert one.tuned_.values.keys() == again.tuned_.values.keys()
    for key, value in one.tuned_.values.items():
        np.testing.assert_array_equal(value, again.tuned_.values[key])


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_out_is_a_plain_network_and_is_saved_whole(name):
    X, y = pictures()
    tuned = strategy(name).fit(X, y).tuned_
    assert isinstance(tuned, TunedNetwork)
    known = set(network().module(3).state_dict())
    strange = [key for key in tuned.values if key not in known]
    assert not strange or name == "adapter"
    again = load_part(dump_part(tuned), "here")
    # A small network put together by hand has no address: it is handed over.
    again.reader = tuned.reader
    np.testing.assert_array_equal(again.predict_proba(X), tuned.predict_proba(X))


@pytest.mark.parametrize("name", NAMES)
def test_the_four_steps_go_on_where_the_source_ended(name):
    X, y = pictures(seed=1)
    Z, z = pictures(24, seed=2)
    source = Domain(X, y, "source", "image")
    known = np.where(np.arange(24) < 12, z.astype(object), None)
    target = Domain(Z, known, "target", "image")
    made = strategy(name)
    from dataclasses import replace

    source, target = (replace(domain, items=domain.X[:, 0]) for domain in (source, target))
    journey = four_steps(clone(made), source, target, None)
    assert not journey.knowledge.holds_source_rows
    assert journey.predictor.classes_.tolist() == ["blue", "green", "red"]
    bare = replace(target, y=None)
    arrived = four_steps(clone(made), source, bare, None).predictor
    np.testing.assert_array_equal(arrived.predict_proba(Z), strategy(name).fit(X, y).predict_proba(Z))
