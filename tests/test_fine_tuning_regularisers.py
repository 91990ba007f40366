"""Strategies that hold fine-tuning back: slower or later below, near to what was seen, without weak directions."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from test_fine_tuning import pictures, small, state
from torch import nn

from headstart.backbones import Backbone, Card, backbone
from headstart.backbones.preparation import PicturePreparation
from headstart.backbones.torch_modules import Network, PixelBody
from headstart.backbones.torch_network import TorchNetwork
from headstart.domain import Domain
from headstart.errors import InputError, NeedsError
from headstart.models.fine_tuning.bss import BSS, weakest
from headstart.models.fine_tuning.delta import DELTA
from headstart.models.fine_tuning.delta_maps import Maps, attention, distance
from headstart.models.fine_tuning.depths import blank_batch, depths, layers_below
from headstart.models.fine_tuning.discriminative_lr import DiscriminativeLR
from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.gradual_unfreezing import GradualUnfreezing, thawed
from headstart.models.fine_tuning.linear_probe import as_head, fit_probe
from headstart.models.fine_tuning.stoch_norm import StochNorm
from headstart.models.fine_tuning.stoch_norm_modules import StochNorm1d, StochNorm2d, plain, stochastic
from headstart.models.fine_tuning.training import Rows, Settings, Step, train


def of_modules(*modules):
    """Return pixels through modules, pooled, as a backbone."""
    network = TorchNetwork(PixelBody(nn.Sequential(*modules)).eval(), 12, None, {})
    preparation = PicturePreparation(12, 12)
    card = Card("own", "image", "nothing", "none", network.parameters, 12, None, preparation.describe(), "")
    return Backbone(card, preparation, network)


def without_norms():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return of_modules(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 12, 3))


PAD, UNKNOWN = "[PAD]", "[UNK]"


def bert(folder):
    """Return a BERT of three layers and random weights, read from a folder."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = {word: i for i, word in enumerate([PAD, UNKNOWN, "good", "bad", "film", "a", "very"])}
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(WordLevel(words, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD).save_pretrained(folder)
    return backbone(f"hf:{folder}")


TEXTS = ["a good film", "a very bad film", "good", "bad", "very very good", "a bad film"] * 3
MARKS = ["+", "-", "+", "-", "+", "-"] * 3


def same(one, other):
    return all(torch.equal(value, other.network_.state_dict()[name]) for name, value in state(one.network_).items())


# Depths.


def test_depth_counts_blocks_with_weights_from_the_head_down():
    network = small().module(3)
    found = depths(network, blank_batch(small()))
    assert found == {
        "head.weight": 0,
        "head.bias": 0,
        **{f"body.network.{i}.{kind}": d for i, d in ((5, 1), (4, 2), (1, 3), (0, 4)) for kind in ("weight", "bias")},
    }


def test_depth_in_efficientnet_goes_from_the_last_convolution_to_the_stem():
    model = backbone("bundled:efficientnet-lite0")
    network = model.module(3)
    before = state(network)
    found = depths(network, blank_batch(model))
    assert found.keys() == {name for name, _ in network.named_parameters()}
    own = "body.network.net."
    assert {d for name, d in found.items() if name.startswith((f"{own}_conv_head", f"{own}_bn1"))} == {1}
    assert {d for name, d in found.items() if name.startswith((f"{own}_conv_stem", f"{own}_bn0"))} == {18}
    for i in range(16):
        assert {d for name, d in found.items() if name.startswith(f"{own}_blocks.{i}.")} == {17 - i}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_depth_in_bert_ends_with_the_embeddings(tmp_path):
    model = bert(tmp_path)
    found = depths(model.module(2), blank_batch(model))
    assert {d for name, d in found.items() if "embeddings" in name} == {4}
    for i in range(3):
        assert {d for name, d in found.items() if f"layer.{i}." in name} == {3 - i}


class Backwards(nn.Module):
    """Registers what it uses last first, and what it uses first last; and something that it never uses."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 4)
        self.idle = nn.Linear(4, 4)
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.between = nn.Linear(4, 4)
        self.first = nn.Linear(4, 4)

    def forward(self, pixels):
        found = self.blocks[0](self.first(pixels))
        return self.last(self.blocks[1](self.between(found)))


def test_what_precedes_the_blocks_is_told_by_the_order_of_use():
    network = Network(Backwards(), nn.Linear(4, 2, bias=False))
    layers = layers_below(network, {"pixels": torch.zeros(1, 4)})
    assert [sorted({name.removesuffix(".weight").removesuffix(".bias") for name in layer}) for layer in layers] == [
        ["head"],
        ["body.last"],
        ["body.blocks.1"],
        ["body.between", "body.blocks.0"],
        ["body.first", "body.idle"],
    ]


# Discriminative learning rates.


def test_rates_fall_by_the_decay_with_each_layer():
    method = DiscriminativeLR(small(), lr=0.1, head_lr=0.7, decay=0.5)
    method.backbone_ = small()
    rate = method._rates(small().module(3))
    assert [rate(f"body.network.{i}.weight") for i in (5, 4, 1, 0)] == [0.05, 0.025, 0.0125, 0.00625]
    assert rate("head.weight") == 0.7


def test_deeper_layers_move_less_and_decay_one_is_fine_tuning():
    X, y = pictures()
    began = small().network.body.state_dict()
    # Each step of Adam is about as long as its learning rate: one epoch of one batch shows it.
    once = DiscriminativeLR(small(), epochs=1, batch_size=64, lr=1e-3, decay=0.5, weight_decay=0.0).fit(X, y)
    after = once.network_.body.state_dict()
    step = [float((after[f"network.{i}.bias"] - began[f"network.{i}.bias"]).abs().max()) for i in (5, 1)]
    assert step[0] == pytest.approx(0.5e-3, rel=0.01)
    assert step[1] == pytest.approx(0.125e-3, rel=0.01)
    assert same(DiscriminativeLR(small(), epochs=2, decay=1.0).fit(X, y), FineTune(small(), epochs=2).fit(X, y))
    with pytest.raises(InputError, match="decay must be above 0"):
        DiscriminativeLR(small(), decay=0.0).fit(X, y)


# Gradual unfreezing.


@pytest.mark.parametrize("layers", [2, 5, 18])
@pytest.mark.parametrize("epochs", [0, 1, 2, 3, 7, 30, 100])
def test_layers_join_in_one_after_another_and_the_second_half_trains_all(layers, epochs):
    counts = thawed(layers, epochs)
    assert len(counts) == max(epochs, 1)
    assert counts == sorted(counts)
    assert set(counts[epochs // 2 :]) == {layers}
    if epochs > 1:
        assert counts[0] == 1
        assert len(set(counts)) == min(layers, epochs // 2 + 1)


def test_after_each_epoch_only_the_layers_that_had_joined_have_moved():
    X, y = pictures()
    method = GradualUnfreezing(small())
    method.backbone_ = model = small()
    network = model.module(3)
    plans = method._plans(network, 10)
    seen = [state(network)]

    def watch(done, total):
        if done % 3 == 0:
            seen.append(state(network))

    rows = Rows(X, np.unique(y, return_inverse=True)[1])
    train(network, rows, model.preparation, plans, Settings(epochs=10, lr=1e-3), progress=watch)
    assert len(seen) == 11
    order = [("head",), ("body.network.5",), ("body.network.4",), ("body.network.1",), ("body.network.0",)]
    for epoch in range(10):
        now, before = seen[epoch + 1], seen[epoch]
        moved = {name.rpartition(".")[0] for name, value in now.items() if not torch.equal(value, before[name])}
        assert moved == {name for layer in order[: epoch + 1] for name in layer}, epoch


def test_a_single_epoch_of_gradual_unfreezing_is_fine_tuning(tmp_path):
    X, y = pictures()
    assert same(GradualUnfreezing(small(), epochs=1).fit(X, y), FineTune(small(), epochs=1).fit(X, y))
    with warnings.catch_warnings():
        # The pooler is trained, and nothing comes of it.
        warnings.simplefilter("ignore")
        texts = GradualUnfreezing(bert(tmp_path), epochs=16, lr=3e-3, head_lr=1e-2).fit(TEXTS, MARKS)
    assert texts.plan_.frozen == ()
    assert texts.score(TEXTS, MARKS) > 0.9


# DELTA.


def test_delta_of_weight_zero_is_fine_tuning():
    X, y = pictures()
    assert same(
        DELTA(small(), epochs=2, alpha=0.0, beta=0.0).fit(X, y), FineTune(small(), epochs=2, weight_decay=0.0).fit(X, y)
    )


def test_the_distance_of_maps_is_what_the_formula_says():
    rng = np.random.default_rng(0)
    A, B, w = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 4, 5)), np.array([0.5, 2.0, 0.5])
    byhand = sum(w[j] * ((A[i, j] - B[i, j]) ** 2).sum() for i in range(2) for j in range(3)) / (2 * 20)
    assert float(distance(torch.tensor(A), torch.tensor(B), torch.tensor(w), None)) == pytest.approx(byhand, rel=1e-5)
    # Tokens: channels come last, and what fills up does not count.
    T, U, mask = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4)), np.array([[1, 1, 1], [1, 0, 0]])
    byhand = (((T[0] - U[0]) ** 2).sum() / 3 + ((T[1, 0] - U[1, 0]) ** 2).sum()) / 2
    found = distance(torch.tensor(T), torch.tensor(U), None, torch.tensor(mask))
    assert float(found) == pytest.approx(byhand, rel=1e-5)


def step_of(network, X, y):
    """Return a whole batch on its way through the network."""
    batch = {"pixels": torch.from_numpy(small().preparation(X)["pixels"])}
    features = network.body(**batch)
    scores = network.head(features)
    codes = torch.from_numpy(np.unique(y, return_inverse=True)[1])
    return Step(
        network, batch, features, scores, codes, torch.arange(len(X)), nn.functional.cross_entropy(scores, codes)
    )


def test_the_penalty_of_delta_by_hand():
    X, y = pictures(6)
    method = DELTA(small(), alpha=0.7, beta=0.3, layers=["network.1", "network.5"])
    method.backbone_ = small()
    network = small().module(3).eval()
    objective = method._objective(network, Rows(X, np.arange(6) % 3))
    head = 0.15 * sum(float((value.detach() ** 2).sum()) for value in network.head.parameters())
    step = step_of(network, X, y)
    # Where training begins, nothing has moved.
    assert float((objective(step) - step.loss).detach()) == pytest.approx(head, rel=1e-5)
    with torch.no_grad():
        # The bias of a norm is added to all that comes out of it, of the second norm by 2 in one channel.
        network.body.network[5].bias[3] += 2
    step = step_of(network, X, y)
    assert float((objective(step) - step.loss).detach()) == pytest.approx(0.7 * 4 + head, rel=1e-4)
    objective(step_of(network, X, y)).backward()
    slope = float(network.body.network[5].bias.grad[3])
    step = step_of(network, X, y)
    network.zero_grad()
    step.loss.backward()
    assert slope - float(network.body.network[5].bias.grad[3]) == pytest.approx(0.7 * 2 * 2, rel=1e-4)


def test_the_frozen_copy_is_neither_trained_nor_kept():
    X, y = pictures()
    plain_, tuned = FineTune(small(), epochs=2).fit(X, y), DELTA(small(), epochs=2, alpha=1.0).fit(X, y)
    assert tuned.tuned_.values.keys() == plain_.tuned_.values.keys()
    assert tuned.plan_.sizes == plain_.plan_.sizes
    method = DELTA(small())
    method.backbone_ = small()
    network = small().module(3)
    objective = method._objective(network, Rows(X, np.arange(36) % 3))
    assert not isinstance(objective, nn.Module)
    network.train()
    network.body.train()
    inside = dict(zip(objective.__code__.co_freevars, objective.__closure__, strict=True))
    frozen = inside["frozen"].cell_contents
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    objective(step_of(network, X, y)).backward()
    assert not any(module.training for module in frozen.modules())
    assert not any(value.requires_grad or value.grad is not None for value in frozen.parameters())
    # Statistics of batches too stand still in it.
    assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())


def test_in_half_precision_too_nothing_has_moved_where_training_begins():
    X, y = pictures()
    net = small().network.body.network
    net[3].p = 0.0
    one = FineTune(of_modules(*net), epochs=1, batch_size=64, mixed_precision="bf16").fit(X, y)
    other = DELTA(of_modules(*net), epochs=1, batch_size=64, mixed_precision="bf16", alpha=1e3, beta=0.0).fit(X, y)
    assert other.history_.loss[0] == one.history_.loss[0]


def test_a_larger_alpha_keeps_features_nearer_to_what_they_were():
    X, y = pictures()
    began = small().features(X, cache=False)

    def moved(alpha):
        tuned = DELTA(small(), epochs=4, lr=3e-3, alpha=alpha, beta=0.0).fit(X, y)
        return float(((tuned.tuned_.features(X) - began) ** 2).sum())

    assert moved(0.0) > moved(0.1) > moved(10.0)


def test_the_attention_of_channels_is_the_softmax_of_what_the_loss_rises():
    X, y = pictures(12)
    model, codes = small(), np.unique(y, return_inverse=True)[1]
    body, batch = model.network.body, {"pixels": torch.from_numpy(model.preparation(X)["pixels"])}
    with torch.no_grad():
        F = body(**batch).numpy()
    W, b = as_head(fit_probe(F, codes, 1.0))
    found = attention(body, "network.5", batch, (W, b), codes)

    # The last norm's map is averaged over space: to set a channel to zero there is to set a feature to zero.
    def loss(G):
        scores = G @ W.T + b
        return np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(12), codes])

    rises = [loss(np.where(np.arange(12) == j, 0, F)) - loss(F) for j in range(12)]
    wanted = 12 * np.exp(rises) / np.exp(rises).sum()
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4)
    assert np.ptp(wanted) > 0.01
    assert not any(module._forward_hooks for module in body.modules())


def test_delta_weighs_channels_of_pictures_and_texts_by_attention(tmp_path):
    X, y = pictures()
    some = DELTA(small(), epochs=2, alpha=1.0, attention=True, attention_rows=9).fit(X, y)
    assert not same(some, DELTA(small(), epochs=2, alpha=1.0).fit(X, y))
    assert same(some, clone(some).fit(X, y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        texts = DELTA(bert(tmp_path), epochs=2, alpha=1.0, attention=True).fit(TEXTS, MARKS)
    assert np.isfinite(texts.predict_proba(TEXTS)).all()
    start = small()
    first = DELTA(start, epochs=1).fit(X, y).tuned_
    only = [x for x, label in zip(X, y, strict=True) if label == "red"]
    DELTA(start, epochs=1).fit(only, ["red"] * 12, start=first)
    with pytest.raises(NeedsError, match="two classes"):
        DELTA(start, epochs=1, attention=True).fit(only, ["red"] * 12, start=first)


def test_delta_compares_four_blocks_spread_over_the_body_or_those_that_are_named():
    method = DELTA()
    method.backbone_ = model = backbone("bundled:efficientnet-lite0")
    network = model.module(3)
    assert method._places(network) == [f"network.net._blocks.{i}" for i in (3, 7, 11, 15)]
    method.layers = ["block 16", "block 1"]
    assert method._places(network) == [f"network.net._blocks.{i}" for i in (15, 0)]
    X, y = pictures()
    with pytest.raises(InputError, match=r"no layer 'network\.9'; did you mean"):
        DELTA(small(), layers=["network.9"]).fit(X, y)
    with pytest.raises(InputError, match="none is named"):
        DELTA(small(), layers=[]).fit(X, y)
    maps = Maps(Backwards(), ["idle"])
    with pytest.raises(InputError, match="nothing passes the layer 'idle'"):
        maps.taken()


# Batch spectral shrinkage.


def test_the_weakest_directions_by_hand_and_by_numpy():
    # Singular values 5 (along (3, 4)) and 2.
    F = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]])
    assert [float(weakest(F, k)) for k in (1, 2, 9)] == pytest.approx([4, 29, 29], rel=1e-6)
    G = np.random.default_rng(0).normal(size=(7, 4))
    wanted = (np.linalg.svd(G, compute_uv=False)[-3:] ** 2).sum()
    assert float(weakest(torch.tensor(G), 3)) == pytest.approx(wanted, rel=1e-5)


def test_the_gradient_of_the_weakest_direction_is_twice_its_part_of_the_features():
    F = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weakest(F, 1).backward()
    U, s, V = np.linalg.svd(F.detach().numpy(), full_matrices=False)
    np.testing.assert_allclose(F.grad.numpy(), 2 * s[-1] * np.outer(U[:, -1], V[-1]), atol=1e-5)


@pytest.mark.parametrize(
    "F", [torch.ones(4, 3), torch.zeros(3, 5), torch.ones(1, 3), torch.eye(3)], ids=["twice", "zero", "one row", "ties"]
)
def test_hard_batches_have_finite_gradients(F):
    F = F.clone().requires_grad_()
    weakest(F, 2).backward()
    assert torch.isfinite(F.grad).all()


def test_bss_of_weight_zero_is_fine_tuning_and_a_larger_one_shrinks():
    X, y = pictures()
    assert same(BSS(small(), epochs=2, eta=0.0).fit(X, y), FineTune(small(), epochs=2).fit(X, y))

    def least(eta):
        tuned = BSS(small(), epochs=6, lr=3e-3, eta=eta, k=4, batch_size=36).fit(X, y)
        return float(weakest(torch.from_numpy(tuned.tuned_.features(X)), 4))

    assert least(0.0) > least(1.0) > least(30.0)
    with pytest.raises(InputError, match="k must be at least 1"):
        BSS(small(), k=0).fit(X, y)
    assert torch.isnan(weakest(torch.tensor([[np.nan, 1.0]]), 1))
    with pytest.raises(InputError, match="not finite"):
        BSS(small(), epochs=3, eta=1e30, lr=1e30).fit(X, y)


# Stochastic normalisation.


def norms(p, seed=0):
    """Return a batch norm with statistics of its own, and its stochastic twin."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(5)
    with torch.no_grad():
        for value in (norm.weight, norm.bias, norm.running_mean):
            value.normal_()
        norm.running_var.uniform_(0.5, 2)
    twin = nn.Sequential(nn.BatchNorm2d(5))
    twin.load_state_dict({f"0.{name}": value for name, value in norm.state_dict().items()})
    assert stochastic(twin, p) == 1
    assert isinstance(twin[0], StochNorm2d)
    return norm, twin


@pytest.fixture
def chance():
    with torch.random.fork_rng():
        yield


def test_p_zero_is_a_batch_norm_in_training(chance):
    norm, twin = norms(0.0)
    for _ in range(3):
        x = torch.randn(4, 5, 3, 2) * 2 + 1
        assert torch.equal(norm(x), twin(x))
    assert all(torch.equal(value, twin.state_dict()[f"0.{name}"]) for name, value in norm.state_dict().items())
    norm.eval(), twin.eval()
    assert torch.equal(norm(x), twin(x))


def test_p_one_is_a_batch_norm_in_evaluation_whose_statistics_move(chance):
    norm, twin = norms(1.0)
    for _ in range(3):
        x = torch.randn(4, 5, 3, 2) * 2 + 1
        assert torch.equal(norm.eval()(x), twin(x))
        norm.train()(x)
        assert torch.equal(norm.running_mean, twin[0].running_mean)
        assert torch.equal(norm.running_var, twin[0].running_var)


def test_between_them_each_channel_is_one_or_the_other(chance):
    norm, twin = norms(0.3)
    twin[0].momentum = 0.0
    x = torch.randn(4, 5, 3, 2) * 2 + 1
    norm.momentum = 0.0
    by_batch, by_running = norm.train()(x), norm.eval()(x)
    chosen = []
    for _ in range(400):
        found = twin(x)
        for c in range(5):
            chosen.append(torch.equal(found[:, c], by_running[:, c]))
            assert chosen[-1] or torch.equal(found[:, c], by_batch[:, c])
    # 2000 draws: four standard deviations are 0.041.
    assert np.mean(chosen) == pytest.approx(0.3, abs=0.041)


def test_a_single_value_in_each_channel_is_normalised_by_running_statistics(chance):
    norm, twin = norms(0.0)
    x = torch.randn(1, 5, 1, 1)
    assert torch.equal(twin(x), norm.eval()(x))
    assert torch.equal(twin[0].running_mean, norm.running_mean)
    flat = nn.Sequential(nn.BatchNorm1d(3))
    stochastic(flat, 0.5)
    assert isinstance(flat[0], StochNorm1d)
    assert torch.isfinite(flat(torch.ones(1, 3))).all()
    assert torch.isfinite(flat(torch.ones(4, 3))).all()


def test_plain_norms_come_back_with_the_same_weights_and_statistics():
    network = small().module(3)
    names, before = list(network.state_dict()), state(network)
    stochastic(network, 0.5)
    assert list(network.state_dict()) == names
    plain(network)
    assert {type(network.body.network[i]) for i in (1, 5)} == {nn.BatchNorm2d}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_stoch_norm_with_p_zero_is_fine_tuning_with_moving_norms():
    X, y = pictures()

    def model():
        net = small().network.body.network
        return of_modules(*(net[i] for i in (0, 1, 2, 4, 5)))

    with torch.random.fork_rng():
        zero = StochNorm(model(), epochs=2, p=0.0).fit(X, y)
    moving = FineTune(model(), epochs=2, norms_move=True).fit(X, y)
    assert same(zero, moving)
    half = StochNorm(model(), epochs=2).fit(X, y)
    assert not same(half, moving)
    assert half.plan_.moving == ("body.network.1", "body.network.4")
    assert half.plan_.still == ()
    began, after = model().network.body.state_dict(), half.network_.body.state_dict()
    assert not torch.equal(after["network.1.running_var"], began["network.1.running_var"])
    assert same(half, clone(half).fit(X, y))
    # Norms that are told to stand still do, and then there is nothing to choose between.
    still = StochNorm(model(), epochs=2, norms_move=False).fit(X, y)
    assert still.plan_.moving == ()
    assert same(still, FineTune(model(), epochs=2).fit(X, y))


def test_stoch_norm_says_in_one_line_what_it_needs():
    X, y = pictures()
    with pytest.raises(NeedsError, match="own has no batch norm for StochNorm to change"):
        StochNorm(without_norms()).fit(X, y)
    with pytest.raises(InputError, match="p is a probability"):
        StochNorm(small(), p=1.5).fit(X, y)

    class OwnNorm(nn.BatchNorm2d):
        pass

    with pytest.raises(NeedsError, match="not OwnNorm"):
        StochNorm(of_modules(nn.Conv2d(3, 12, 3), OwnNorm(12))).fit(X, y)


# All of them.

STRATEGIES = [DiscriminativeLR, GradualUnfreezing, DELTA, BSS, StochNorm]


@pytest.mark.parametrize("kind", STRATEGIES)
def test_each_learns_pictures_and_carries_them_to_another_domain(kind):
    X, y = pictures()
    method = kind(small(), epochs=16, lr=3e-3, head_lr=1e-2, random_state=1)
    assert repr(clone(method).get_params()) == repr(method.get_params())
    tuned = method.fit(X, y)
    assert tuned.score(*pictures(seed=1)) > 0.8
    method.set_params(epochs=1)
    source, target = (Domain(np.array([[None]] * len(y)), y, modality="image", items=X) for _ in range(2))
    knowledge = method.extract(method.learn_source(source, None), source)
    assert method.learn_target(method.carry(knowledge, target), target, None).predict(X).shape == (36,)


@pytest.mark.parametrize("kind", STRATEGIES)
@pytest.mark.parametrize("batch_size", [1, 16])
def test_few_rows_and_rows_given_twice_are_safe(kind, batch_size):
    X, y = pictures(3)
    with warnings.catch_warnings():
        # That norms stand still in batches of one row is said in a line.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        tuned = kind(small(), epochs=2, batch_size=batch_size).fit([*X, X[0]], [*y, y[0]])
    assert np.isfinite(tuned.predict_proba(X)).all()
