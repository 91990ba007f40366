"""Fine-tuning strategies, on a small network of random weights."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from headstart.backbones import Backbone, Card
from headstart.backbones.preparation import PicturePreparation
from headstart.backbones.torch_modules import Network, PixelBody
from headstart.backbones.torch_network import TorchNetwork
from headstart.errors import InputError, StoreError
from headstart.models.fine_tuning import L2SP, LPFT, BitFit, FineTune, FreezePlan, LinearProbe
from headstart.models.fine_tuning.linear_probe import as_head, fit_probe
from headstart.models.fine_tuning.training import Rows, Settings, train


def small(seed=0):
    """Return a small network of pictures with random weights, as a backbone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        first, second = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 12, 3)
        net = nn.Sequential(first, nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1), second, nn.BatchNorm2d(12))
        for norm in (net[1], net[5]):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
        network = TorchNetwork(PixelBody(net).eval(), 12, None, {})
    preparation = PicturePreparation(12, 12)
    card = Card("small", "image", "nothing", "none", network.parameters, 12, None, preparation.describe(), "")
    return Backbone(card, preparation, network)


def pictures(n=36, seed=0):
    """Return pictures of three colours, and the colours."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    X = rng.integers(0, 120, size=(n, 12, 12, 3))
    X[np.arange(n), :, :, y] += 100
    return list(X.astype(np.uint8)), np.array(["red", "green", "blue"])[y]


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_fine_tuning_learns_and_knows_its_classes():
    X, y = pictures()
    tuned = FineTune(small(), epochs=12, lr=3e-3, head_lr=1e-2).fit(X, y)
    assert tuned.classes_.tolist() == ["blue", "green", "red"]
    assert tuned.score(*pictures(seed=1)) > 0.9
    assert tuned.history_.loss[-1] < tuned.history_.loss[0]
    np.testing.assert_allclose(tuned.predict_proba(X).sum(axis=1), 1, atol=1e-5)


def test_l2sp_of_weight_zero_is_fine_tuning():
    X, y = pictures()
    one = FineTune(small(), epochs=2, weight_decay=0.0).fit(X, y)
    other = L2SP(small(), epochs=2, alpha=0.0, beta=0.0).fit(X, y)
    for name, value in state(one.network_).items():
        assert torch.equal(value, other.network_.state_dict()[name]), name


def test_a_larger_alpha_keeps_weights_nearer_to_where_they_were():
    X, y = pictures()
    began = small().network.body.state_dict()

    def moved(alpha):
        tuned = L2SP(small(), epochs=4, lr=3e-3, alpha=alpha, beta=0.0).fit(X, y)
        after = tuned.network_.body.state_dict()
        return sum(float(((after[n] - began[n]) ** 2).sum()) for n, _ in tuned.network_.body.named_parameters())

    assert moved(0.0) > moved(1.0) > moved(100.0)


def test_bitfit_moves_biases_and_the_head_only():
    X, y = pictures()
    began = dict(small().network.body.state_dict())
    tuned = BitFit(small(), epochs=2, lr=1e-2).fit(X, y)
    for name, value in tuned.network_.body.state_dict().items():
        assert torch.equal(value, began[name]) == (not name.endswith(".bias")), name
    biases = [f"body.network.{i}.bias" for i in (0, 1, 4, 5)]
    assert set(tuned.plan_.trained) == {*biases, "head.weight", "head.bias"}


def test_frozen_batch_norms_stand_still_and_move_only_when_told():
    X, y = pictures()
    began = small().network.body.state_dict()
    for move in (False, True):
        after = FineTune(small(), epochs=1, norms_move=move).fit(X, y).network_.body.state_dict()
        assert torch.equal(after["network.1.running_mean"], began["network.1.running_mean"]) == (not move)
    network = small().module(3)
    plan = FreezePlan.of(network, lambda name: name.startswith("head."), norms_move=True)
    plan.apply(network)
    network.train()
    assert not any(m.training for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert network.head.training
    assert plan.moving == ()


def test_a_plan_is_data_that_is_verified():
    network = small().module(3)
    plan = FreezePlan.of(network, lambda name: not name.startswith("body."))
    assert FreezePlan.from_dict(plan.to_dict()) == plan
    assert str(plan) == "trains 39 of 1,179 numbers (head); 2 of 2 batch norms stand still"
    plan.apply(network)
    plan.verify(network)
    network.body.network[0].weight.requires_grad_(True)
    with pytest.raises(InputError, match=r"body.network.0.weight is trained, against the plan"):
        plan.verify(network)
    with pytest.raises(InputError, match="another network"):
        plan.apply(small().module(4))
    with pytest.raises(InputError, match="trains nothing"):
        FreezePlan.of(network, lambda name: False)


def test_lpft_begins_where_the_probe_ends():
    X, y = pictures()
    begun = LPFT(small(), epochs=0).fit(X, y)
    probe = LinearProbe(small()).fit(X, y)
    np.testing.assert_allclose(begun.predict_proba(X), probe.predict_proba(X), atol=1e-4)
    assert LPFT(small(), epochs=3).fit(X, y).history_.loss[0] < FineTune(small(), epochs=3).fit(X, y).history_.loss[0]


@pytest.mark.parametrize("k", [2, 4])
def test_a_probe_as_a_head_gives_the_probes_probabilities(k):
    rng = np.random.default_rng(0)
    F, y = rng.normal(size=(60, 5)) * 3 + 1, np.arange(60) % k
    probe = fit_probe(F, y, 1.0)
    W, b = as_head(probe)
    scores = F @ W.T + b
    P = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(P / P.sum(axis=1, keepdims=True), probe.predict_proba(F), atol=1e-10)
    # The penalty is in units of the features: ten times larger features, the same probabilities.
    np.testing.assert_allclose(fit_probe(10 * F, y, 1.0).predict_proba(10 * F), probe.predict_proba(F), atol=1e-4)


def test_same_seed_same_weights_and_nothing_global_is_touched():
    X, y = pictures()
    before = torch.random.get_rng_state()
    one, two = (FineTune(small(), epochs=1, random_state=3).fit(X, y) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, two.network_.state_dict()[name]) for name, value in state(one.network_).items())
    other = FineTune(small(), epochs=1, random_state=4).fit(X, y)
    assert not torch.equal(one.network_.head.weight, other.network_.head.weight)


def test_what_did_not_move_is_told():
    X, y = pictures()
    with pytest.warns(UserWarning, match="trained parameters did not move"):
        FineTune(small(), epochs=1, lr=0.0, weight_decay=0.0).fit(X, y)


def test_best_weights_are_kept_and_patience_ends_training():
    X, y = pictures()
    codes = np.unique(y, return_inverse=True)[1]
    held = Rows(X[:12], codes[:12])
    for keep in ("best", "last"):
        network = small().module(3)
        plan = FreezePlan.of(network, lambda name: True)
        settings = Settings(epochs=12, lr=0.05, head_lr=0.2, keep=keep, patience=3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            history = train(network, Rows(X[12:], codes[12:]), small().preparation, plan, settings, validation=held)
        with torch.no_grad():
            scores = network(pixels=torch.from_numpy(small().preparation(X[:12])["pixels"]))
        loss = float(nn.functional.cross_entropy(scores, torch.from_numpy(codes[:12])))
        assert history.best_epoch == int(np.argmin(history.validation))
        wanted = min(history.validation) if keep == "best" else history.validation[-1]
        assert loss == pytest.approx(wanted, abs=1e-5)
        assert len(history.validation) <= history.best_epoch + 1 + 3


def test_rare_classes_weigh_the_same_when_balanced():
    X, y = pictures(45)
    few = np.array([i for i in range(45) if y[i] != "red" or i < 6])
    X, y = [X[i] for i in few], y[few]
    share = []
    for balanced in (False, True):
        tuned = FineTune(small(), epochs=2, lr=1e-6, head_lr=0.02, batch_size=8, balanced=balanced)
        share.append(tuned.fit(X, y).predict_proba(X)[:, 2].mean())
    assert share[1] > share[0]


CHILD = """
import sys
sys.path.insert(0, {tests!r})

from headstart.models.fine_tuning import training
from test_fine_tuning import FineTune, pictures, small
import torch
# A checkpoint every five steps.
training.Settings.__init__.__defaults__ = (*training.Settings.__init__.__defaults__[:-1], 5)
X, y = pictures()
def slowly(done, total):
    print(done, flush=True)
    if {pause}:
        import time
        time.sleep({pause})
tuned = FineTune(small(), epochs=4, lr=1e-3, batch_size=4, checkpoint={folder!r}).fit(X, y, progress=slowly)
torch.save(tuned.network_.state_dict(), {out!r})
"""


def test_a_training_that_is_killed_in_an_epoch_ends_with_the_same_weights(tmp_path):
    tests = str(Path(__file__).parent)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}

    def child(folder, out, pause):
        code = CHILD.format(tests=tests, folder=str(tmp_path / folder), out=str(tmp_path / out), pause=pause)
        return subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)

    assert child("whole", "whole.pt", 0).wait(timeout=120) == 0
    killed = child("cut", "cut.pt", 0.05)
    for line in killed.stdout:
        if int(line) == 13:
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=60)
    assert not (tmp_path / "cut.pt").exists()
    assert (tmp_path / "cut" / "checkpoint.pt").is_file()
    started = time.monotonic()
    again = child("cut", "cut.pt", 0)
    first = int(again.stdout.readline())
    assert again.wait(timeout=120) == 0
    assert 10 < first <= 14, f"began at step {first} after {time.monotonic() - started:.0f} s"
    one, two = (torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "cut.pt"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not (tmp_path / "cut" / "checkpoint.pt").exists()


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    X, y = pictures()

    class StopError(Exception):
        pass

    def stop(done, total):
        if done == 4:
            raise StopError

    with pytest.raises(StopError):
        FineTune(small(), epochs=3, checkpoint=str(tmp_path)).fit(X, y, progress=stop)
    assert (tmp_path / "checkpoint.pt").is_file()
    with pytest.raises(StoreError, match="another folder"):
        FineTune(small(), epochs=5, checkpoint=str(tmp_path)).fit(X, y)


def test_wrong_input_is_one_line():
    X, y = pictures()
    with pytest.raises(InputError, match="36 pictures or texts but 3 labels"):
        FineTune(small()).fit(X, y[:3])
    with pytest.raises(InputError, match="one class only"):
        FineTune(small()).fit(X, ["red"] * 36)
    with pytest.raises(InputError, match="no picture or text"):
        LinearProbe(small()).fit([], [])
    assert isinstance(small().module(2), Network)
