"""Strategies that train few numbers beside the pretrained ones, and tuned networks as files."""

import json
import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from test_fine_tuning import pictures, small, state
from torch import nn

from headstart.backbones import Backbone, Card, backbone
from headstart.backbones.preparation import PicturePreparation
from headstart.backbones.torch_modules import Network, PixelBody
from headstart.backbones.torch_network import TorchNetwork, tensors_of
from headstart.domain import Domain
from headstart.errors import InputError, NeedsError, StoreError
from headstart.method import four_steps
from headstart.models.fine_tuning.about import trained
from headstart.models.fine_tuning.adapter import Adapter
from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.ia3 import IA3
from headstart.models.fine_tuning.linear_probe import LinearProbe
from headstart.models.fine_tuning.lora import LoRA
from headstart.models.fine_tuning.model_card import model_card
from headstart.models.fine_tuning.peft_layers import adaptable
from headstart.models.fine_tuning.probing import probes_of
from headstart.models.fine_tuning.tuned import TunedNetwork
from headstart.models.fine_tuning.tuned_onnx import write_onnx
from headstart.store import dump_part, load_part

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "a", "the", "very"]
SENTENCES = ["a good film", "a bad film", "the very good film", "very bad", "good", "the bad film"]
SAID = np.array(["+", "-", "+", "-", "+", "-"])


class Padding(nn.Conv2d):
    """Pads by itself, as TensorFlow's convolutions do."""

    def forward(self, x):
        return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))


class Pointwise(nn.Conv2d):
    """Has a constructor of its own, and computes as torch's does."""

    def __init__(self, width, size):
        super().__init__(width, size, 1)


class Standardised(nn.Conv2d):
    """Scales its weights before it uses them."""

    def forward(self, x):
        return nn.functional.conv2d(x, self.weight / self.weight.std(), self.bias)


class Looking(nn.Module):
    """Looks at its layer before it calls it, as Hugging Face's MobileNets do."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(8, 8, 3)

    def forward(self, x):
        edge = self.convolution.kernel_size[0] - self.convolution.stride[0]
        return self.convolution(nn.functional.pad(x, (0, edge, edge, 0)))


class WithAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        return self.linear(self.attention(tokens, tokens, tokens, need_weights=False)[0]).mean(1)


def of_layers(*layers, width=8, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = PixelBody(nn.Sequential(*(make() for make in layers))).eval()
    preparation = PicturePreparation(12, 12)
    network = TorchNetwork(body, width, None, {})
    card = Card("layers", "image", "nothing", "none", network.parameters, width, None, preparation.describe(), "")
    return Backbone(card, preparation, network)


def many_layers():
    return of_layers(
        lambda: Padding(3, 8, 3, 2),
        nn.ReLU,
        lambda: nn.Conv2d(8, 8, 3, groups=8),
        lambda: nn.Conv2d(8, 8, 3, padding=2, dilation=2),
        lambda: nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"),
        lambda: Standardised(8, 8, 1),
        lambda: Pointwise(8, 8),
        lambda: nn.Conv2d(8, 8, 3, 1, 1),
        Looking,
        WithAttention,
    )


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token=WORDS[1]))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token=WORDS[0], unk_token=WORDS[1]).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture
def texts(bert):
    return backbone(f"hf:{bert}")


def begun(strategy, base, classes=3, seed=0):
    """Return the network as the strategy trains it, in evaluation."""
    strategy.backbone_ = base
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return strategy._altered(base.module(classes)).eval()


def shake(network, part, seed=0):
    """Change what is trained, as training would."""
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if part in name:
                value.add_(0.1 * torch.randn(value.shape, generator=draws))


def scores(network, base):
    with torch.no_grad():
        return network(**tensors_of(probes_of(base.preparation)))


def bases(texts):
    return {"small": small(), "layers": many_layers(), "bert": texts}


# Merging.


@pytest.mark.parametrize("which", ["small", "layers", "bert"])
@pytest.mark.parametrize(
    ("strategy", "part"), [(LoRA(), "lora_"), (LoRA(dora=True), "lora_"), (IA3(), "ia3_")], ids=["lora", "dora", "ia3"]
)
def test_what_is_merged_gives_what_the_adapters_gave(strategy, part, which, texts):
    base = bases(texts)[which]
    network = begun(strategy, base)
    plain = Network(network.body, network.head)
    began = base.module(3)
    began.head.load_state_dict(plain.head.state_dict())
    untouched = scores(began.eval(), base)
    torch.testing.assert_close(scores(network, base), untouched, rtol=0, atol=1e-6 * float(untouched.abs().max()))
    shake(network, part)
    trained_so = scores(network, base)
    bound = 1e-5 * float(trained_so.abs().max())
    assert float((trained_so - untouched).abs().max()) > 10 * bound
    merged = strategy._settled(network)
    torch.testing.assert_close(scores(merged, base), trained_so, rtol=0, atol=bound)
    # Its weights, in a network that never saw an adapter, give the same.
    again = base.module(3)
    assert list(merged.state_dict()) == list(again.state_dict())
    assert [type(module) for module in merged.modules()] == [type(module) for module in again.modules()]
    again.load_state_dict(merged.state_dict())
    assert torch.equal(scores(again.eval(), base), scores(merged, base))


def test_a_merged_layer_is_the_formula():
    base = of_layers(lambda: nn.Conv2d(3, 8, 1), width=8)
    strategy = LoRA(rank=4, alpha=6.0)
    network = begun(strategy, base)
    shake(network, "lora_B")
    values = {name: value.detach().double() for name, value in network.state_dict().items()}
    A, B = (values[f"body.network.0.lora_{one}.default.weight"].flatten(1) for one in "AB")
    W = values["body.network.0.base_layer.weight"].flatten(1)
    merged = strategy._settled(network).state_dict()["body.network.0.weight"].flatten(1).double()
    torch.testing.assert_close(merged, W + 6 / 2 * B @ A, rtol=0, atol=1e-6)


def test_dora_learns_length_and_direction_apart():
    base = of_layers(lambda: nn.Conv2d(3, 8, 1), width=8)
    strategy = LoRA(rank=2, alpha=2.0, rank_stabilised=False, dora=True)
    network = begun(strategy, base)
    shake(network, "lora_")
    values = {name: value.detach().double() for name, value in network.state_dict().items()}
    A, B = (values[f"body.network.0.lora_{one}.default.weight"].flatten(1) for one in "AB")
    m = values["body.network.0.lora_magnitude_vector.default.weight"].reshape(-1, 1)
    V = values["body.network.0.base_layer.weight"].flatten(1) + B @ A
    merged = strategy._settled(network).state_dict()["body.network.0.weight"].flatten(1).double()
    torch.testing.assert_close(merged, m * V / V.norm(dim=1, keepdim=True), rtol=0, atol=1e-6)


def test_only_layers_are_adapted_that_peft_can_merge_again():
    assert list(adaptable(many_layers().module(3))) == [
        f"body.network.{i}" for i in ("6", "7", "8.convolution", "9.linear")
    ]


def test_dora_leaves_a_layer_with_a_row_of_zeros_alone():
    base = of_layers(lambda: nn.Conv2d(3, 8, 3), lambda: nn.Conv2d(8, 8, 1))
    with torch.no_grad():
        base.network.body.network[0].weight[2] = 0
    network = begun(LoRA(dora=True), base)
    assert torch.isfinite(scores(network, base)).all()
    assert not any("network.0.lora" in name for name, _ in network.named_parameters())
    assert any("network.1.lora" in name for name, _ in network.named_parameters())


def test_a_network_without_layers_that_could_be_adapted_is_refused():
    base = of_layers(lambda: nn.Conv2d(3, 3, 3, groups=3), width=3)
    for strategy in (LoRA(), IA3()):
        with pytest.raises(InputError, match="take FineTune"):
            begun(strategy, base)


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"alpha": 0.0}, {"alpha": float("nan")}, {"dropout": 1.0}])
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        LoRA(small(), **wrong).fit(*pictures())


def test_weights_that_are_no_numbers_are_told_of():
    network = begun(LoRA(), small())
    with torch.no_grad():
        network.body.network[0].lora_B["default"].weight[:] = float("nan")
    with pytest.raises(InputError, match=r"body.network.0 are no numbers; lower lr"):
        LoRA()._settled(network)


# Training.


@pytest.mark.parametrize(
    ("strategy", "part"),
    [(LoRA, ".lora_"), (IA3, ".ia3_"), (Adapter, "body.adapters.")],
    ids=["lora", "ia3", "adapter"],
)
def test_the_pretrained_weights_do_not_move_in_training(strategy, part):
    X, y = pictures()
    seen = {}

    class Watched(strategy):
        def _settled(self, network):
            seen.update(state(network))
            return super()._settled(network)

    base = small()
    tuned = Watched(base, epochs=3, lr=1e-2).fit(X, y)
    began = base.network.body.state_dict()
    own = {name: value for name, value in seen.items() if part not in name and not name.startswith("head.")}
    assert len(own) == len(began)
    for name, value in own.items():
        assert torch.equal(value, began[name.removeprefix("body.").replace(".base_layer", "")]), name
    assert all(part in name or name.startswith("head.") for name in tuned.plan_.trained)
    assert any(part in name for name in tuned.plan_.trained)


@pytest.mark.parametrize(
    ("strategy", "count"),
    [
        # Both convolutions, (3 * 9 + 8) * 8 and (8 * 9 + 12) * 8, and the head of 39.
        (LoRA(), 991),
        (IA3(), 8 + 12 + 39),
        # Blocks of 8, 8, 8, 8, 12 and 12 channels.
        (Adapter(bottleneck=2), 4 * (2 * 8 * 2 + 8 + 2) + 2 * (2 * 12 * 2 + 12 + 2) + 39),
    ],
    ids=["lora", "ia3", "adapter"],
)
def test_the_plan_says_how_few_numbers_are_trained(strategy, count):
    strategy.set_params(model=small(), epochs=1)
    assert str(strategy.fit(*pictures()).plan_).startswith(f"trains {count:,} of ")


@pytest.mark.parametrize("strategy", [LoRA, IA3, Adapter])
def test_few_numbers_learn_too(strategy):
    # Factors are few, and start at 1: they take larger steps.
    tuned = strategy(small(), epochs=12, lr=0.1 if strategy is IA3 else 1e-2, head_lr=3e-2).fit(*pictures())
    assert tuned.score(*pictures(seed=1)) > 0.9
    assert tuned.history_.loss[-1] < 0.7 * tuned.history_.loss[0]


@pytest.mark.parametrize("strategy", [LoRA, IA3, Adapter])
def test_texts_are_learned_and_the_network_is_found_again(strategy, texts, bert, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tuned = strategy(texts, epochs=25, lr=1e-2, head_lr=1e-2).fit(SENTENCES, SAID).tuned_
    assert tuned.predict(SENTENCES).tolist() == SAID.tolist()
    tuned.save(tmp_path / "tuned", check_on=SENTENCES)
    again = TunedNetwork.load(tmp_path / "tuned", model=f"hf:{bert}")
    np.testing.assert_array_equal(again.predict_proba(SENTENCES), tuned.predict_proba(SENTENCES))


def test_adapters_are_drawn_from_the_seed():
    X, y = pictures()
    for strategy in (LoRA, Adapter):
        before = torch.random.get_rng_state()
        one, same, other = (strategy(small(), epochs=0, random_state=seed).fit(X, y) for seed in (1, 1, 2))
        drawn = [begun(strategy(small()), small(), seed=seed) for seed in (1, 1, 2)]
        first, second, third = ([value for name, value in state(one).items() if "body" in name] for one in drawn)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(first, third, strict=True))
        assert torch.equal(before, torch.random.get_rng_state())
        np.testing.assert_array_equal(one.tuned_.values["head.weight"], same.tuned_.values["head.weight"])
        assert not np.array_equal(one.tuned_.values["head.weight"], other.tuned_.values["head.weight"])


def test_keys_values_and_inner_features_are_scaled_in_a_transformer(texts):
    network = begun(IA3(), texts)
    scaled = {name.split(".ia3_l")[0] for name, _ in network.named_parameters() if ".ia3_l" in name}
    ends = ("attention.self.key", "attention.self.value", "output.dense")
    assert scaled == {f"body.model.encoder.layer.{i}.{end}" for i in range(2) for end in ends}
    sizes = {
        name.split("layer.0.")[1].split(".ia3")[0]: value.numel()
        for name, value in network.named_parameters()
        if "layer.0." in name and ".ia3_l" in name
    }
    # The feed-forward part has 32 inner features: what is scaled is what its second layer takes.
    assert sizes == {"attention.self.key": 16, "attention.self.value": 16, "output.dense": 32}


def test_a_transformer_whose_layers_have_other_names_is_refused():
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(3, 8)

        def forward(self, x):
            return self.one(x.mean((2, 3)))

    with pytest.raises(InputError, match="take LoRA"):
        begun(IA3(), of_layers(Other))


# Adapters.


@pytest.mark.parametrize("which", ["small", "layers", "bert"])
def test_a_network_with_new_adapters_gives_exactly_what_it_gave(which, texts):
    base = bases(texts)[which]
    network = begun(Adapter(), base)
    assert len(network.body.adapters) > 1
    plain = base.module(3)
    plain.head.load_state_dict(network.head.state_dict())
    assert torch.equal(scores(network, base), scores(plain.eval(), base))
    shake(network, "adapters")
    assert not torch.equal(scores(network, base), scores(plain, base))


def test_adapters_stand_behind_all_blocks_of_a_kind_in_lists_of_any_length():
    from headstart.models.fine_tuning.adapter_modules import blocks_alike

    class Block(nn.Sequential):
        pass

    def stage(n):
        return nn.Sequential(*(Block(nn.Sequential(nn.ReLU()), Block(nn.ReLU())) for _ in range(n)))

    body = PixelBody(nn.Sequential(stage(1), stage(4), stage(2)))
    places = [f"network.{i}.{j}" for i, n in enumerate((1, 4, 2)) for j in range(n)]
    assert list(blocks_alike(body)) == places


def test_an_adapter_is_the_formula_on_channels_and_on_tokens():
    from headstart.models.fine_tuning.adapter_modules import Bottleneck

    adapter = Bottleneck(5, 2)
    shake(adapter, "")
    W1, b1, W2, b2 = (value.detach().numpy() for value in adapter.parameters())
    h = np.random.default_rng(0).normal(size=(3, 4, 4, 5)).astype(np.float32)
    expected = h + np.maximum(h @ W1.T + b1, 0) @ W2.T + b2
    with torch.no_grad():
        tokens = adapter(torch.from_numpy(h[0])).numpy()
        channels = adapter(torch.from_numpy(h.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(tokens, expected[0], atol=1e-5)
    np.testing.assert_allclose(channels.transpose(0, 2, 3, 1), expected, atol=1e-5)


def test_a_copy_of_a_network_with_adapters_has_adapters_of_its_own():
    base = small()
    network = begun(Adapter(), base)
    copy = deepcopy(network)
    shake(network, "adapters")
    assert not torch.equal(scores(copy, base), scores(network, base))
    copy.load_state_dict(network.state_dict())
    assert torch.equal(scores(copy, base), scores(network, base))


def test_a_tuned_network_puts_its_adapters_together_again_and_others_go_on_from_there():
    X, y = pictures()
    first = Adapter(small(), epochs=3, lr=1e-2, bottleneck=3).fit(X, y)
    again = TunedNetwork(first.tuned_.reader, first.classes_, first.tuned_.values)
    np.testing.assert_array_equal(again.predict_proba(X), first.predict_proba(X))
    assert again.backbone.features(X, cache=False).shape == (36, 12)
    for strategy in (Adapter, LoRA, LinearProbe):
        on = strategy(small(), epochs=1).fit(X, y, start=first.tuned_).tuned_
        adapters = {name: value.shape for name, value in on.values.items() if "adapters" in name}
        assert adapters == {name: value.shape for name, value in first.tuned_.values.items() if "adapters" in name}
        assert not any("lora" in name or "base_layer" in name for name in on.values)


@pytest.mark.parametrize("strategy", [LoRA, IA3, Adapter])
def test_four_steps_carry_what_was_learned_at_the_source(strategy):
    X, y = pictures()
    column = np.empty((36, 1), dtype=object)
    column[:, 0] = X
    source = Domain(column, y, "source", items=column[:, 0])
    target = Domain(column, None, "target", task="classification", items=column[:, 0])
    predictor = four_steps(strategy(small(), epochs=8, lr=1e-2, head_lr=1e-2), source, target, None).predictor
    alone = strategy(small(), epochs=8, lr=1e-2, head_lr=1e-2).fit(X, y)
    np.testing.assert_array_equal(predictor.predict_proba(X), alone.predict_proba(X))


def test_a_network_without_blocks_has_no_place_for_adapters():
    class Flat(nn.Module):
        def forward(self, pixels):
            return pixels.mean((2, 3))

    base = small()
    network = TorchNetwork(Flat(), 3, None, {})
    with pytest.raises(InputError, match="take LoRA"):
        begun(Adapter(), Backbone(base.card, base.preparation, network))
    with pytest.raises(InputError, match="bottleneck=0"):
        begun(Adapter(bottleneck=0), base)


# Tuned networks as files.


@pytest.mark.parametrize("strategy", [FineTune, LoRA, IA3, Adapter, LinearProbe])
def test_a_tuned_network_goes_through_a_saved_part(strategy):
    X, y = pictures()
    tuned = strategy(small(), epochs=1).fit(X, y).tuned_
    again = load_part(dump_part(tuned), "here")
    assert isinstance(again, TunedNetwork)
    assert again.values.keys() == tuned.values.keys()
    for name, value in tuned.values.items():
        np.testing.assert_array_equal(again.values[name], value)
    again.reader = tuned.reader
    np.testing.assert_array_equal(again.predict_proba(X), tuned.predict_proba(X))


@pytest.mark.parametrize("labels", [["a", "b"], [0, 1], [False, True], [1.5, 2.5]])
def test_a_saved_folder_gives_back_classes_of_their_own_type(labels, tmp_path):
    X, _ = pictures()
    tuned = FineTune(small(), epochs=1, norms_move=True).fit(X, np.array(labels)[np.arange(36) % 2]).tuned_
    tuned.save(tmp_path / "tuned", check_on=X[:5])
    again = TunedNetwork.load(tmp_path / "tuned", model=small())
    assert again.classes_.dtype == tuned.classes_.dtype
    assert again.classes_.tolist() == labels
    np.testing.assert_array_equal(again.predict_proba(X), tuned.predict_proba(X))
    assert sorted(path.name for path in (tmp_path / "tuned").iterdir()) == ["manifest.json", "values.safetensors"]
    with pytest.raises(InputError, match="small"):
        # A model made in memory is not found by its name.
        TunedNetwork.load(tmp_path / "tuned")


def test_a_folder_that_was_changed_or_another_pretrained_model_is_refused(tmp_path, texts, bert):
    tuned = FineTune(texts, epochs=1).fit(SENTENCES, SAID).tuned_
    folder = tmp_path / "tuned"
    tuned.save(folder)
    with pytest.raises(StoreError, match="not empty"):
        tuned.save(folder)
    other = backbone(f"hf:{bert}")
    with torch.no_grad():
        next(other.network.body.parameters()).add_(1)
    changed = Backbone(
        Card(**{**vars(other.card), "weights": other.network.fingerprint()}), other.preparation, other.network
    )
    with pytest.raises(StoreError, match="name the model that was tuned"):
        TunedNetwork.load(folder, model=changed)
    data = bytearray((folder / "values.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "values.safetensors").write_bytes(data)
    with pytest.raises(StoreError, match="checksum"):
        TunedNetwork.load(folder, model=texts)


def test_values_that_the_pretrained_model_has_no_place_for_are_refused():
    tuned = FineTune(small(), epochs=1).fit(*pictures()).tuned_
    values = {**tuned.values, "body.network.99.weight": np.zeros(3, np.float32)}
    with pytest.raises(StoreError, match=r"body.network.99.weight"):
        TunedNetwork(tuned.reader, tuned.classes_, values).module()


@pytest.mark.parametrize("strategy", [LoRA, Adapter, LinearProbe])
def test_onnxruntime_gives_the_scores_of_a_network_of_pictures(strategy, tmp_path):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    X, y = pictures()
    tuned = strategy(small(), epochs=2, lr=1e-2).fit(X, y).tuned_
    write_onnx(tuned, tmp_path / "out.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"))
    (found,) = session.run(["scores"], tuned.base.preparation(X))
    with torch.no_grad():
        expected = tuned.module()(**tensors_of(tuned.base.preparation(X))).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (tuned.classes_[found.argmax(1)] == tuned.predict(X)).all()
    facts = {
        one.key: json.loads(one.value)
        for one in onnx.load(tmp_path / "out.onnx").metadata_props
        if one.key != "headstart.modality"
    }
    assert facts["headstart.classes"] == ["blue", "green", "red"]
    assert facts["headstart.preparation"] == tuned.base.preparation.describe()
    assert facts["headstart.pretrained"]["licence"] == "none"


@pytest.mark.parametrize("strategy", [LoRA, Adapter])
def test_onnxruntime_gives_the_scores_of_texts_of_any_length(strategy, texts, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    tuned = strategy(texts, epochs=2, lr=1e-2).fit(SENTENCES, SAID).tuned_
    write_onnx(tuned, tmp_path / "out.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"))
    for some in (SENTENCES, SENTENCES[:1], ["a very very very very good film"] * 3):
        batch = texts.preparation(some)
        with torch.no_grad():
            expected = tuned.module()(**tensors_of(batch)).numpy()
        np.testing.assert_allclose(session.run(["scores"], batch)[0], expected, atol=1e-4)


def test_a_file_whose_scores_are_not_torchs_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    from headstart.models.fine_tuning import tuned_onnx

    tuned = LinearProbe(small()).fit(*pictures()).tuned_
    right = tuned_onnx._scores
    for wrong in (lambda found: found + 0.01, lambda found: found * np.nan, lambda found: found[:, :2]):
        monkeypatch.setattr(tuned_onnx, "_scores", lambda path, batch, wrong=wrong: wrong(right(path, batch)))
        with pytest.raises(StoreError, match="nothing was written"):
            write_onnx(tuned, tmp_path / "out.onnx")
        assert list(tmp_path.iterdir()) == []


def test_a_network_that_torch_cannot_write_down_is_told_of_in_one_line(tmp_path):
    pytest.importorskip("onnxruntime")

    class Strange(nn.Module):
        def forward(self, x):
            return torch.linalg.eigvalsh(x[:, 0] @ x[:, 0].transpose(1, 2))

    tuned = LinearProbe(of_layers(lambda: nn.Conv2d(3, 1, 1), Strange, width=12)).fit(*pictures()).tuned_
    with pytest.raises(NeedsError, match="can't write it as ONNX") as caught:
        write_onnx(tuned, tmp_path / "out.onnx")
    assert "\n" not in str(caught.value)


# Cards.


def test_a_card_says_what_is_known_and_what_is_not():
    X, y = pictures()
    strategy = LoRA(small(), epochs=2).fit(X, y)
    tuned = TunedNetwork(strategy.tuned_.reader, strategy.classes_, strategy.tuned_.values, trained(strategy, y))
    page = model_card(tuned)
    assert page.startswith("# small, tuned\n\nTakes pictures, gives one of 3 classes: `blue`, `green`, `red`.")
    for said in (
        "- licence: none",
        "- trained for: nothing",
        "rank=8",
        f"- plan: {strategy.plan_}",
        "| red | 12 |",
        f"| 2 | {strategy.history_.loss[1]:.4f} |",
        "There were no validation rows.",
        '"height": 12',
        "Nothing was measured on rows that had no part in training",
        'TunedNetwork.load("FOLDER")',
        "- torch ",
    ):
        assert said in page, said
    json.dumps(tuned.about, allow_nan=False)
    measured = model_card(tuned, measured={"accuracy on 36 pictures": "0.97"})
    assert "- accuracy on 36 pictures: 0.97" in measured
    assert "Nothing was measured" not in measured
    bare = model_card(TunedNetwork(strategy.tuned_.reader, strategy.classes_, strategy.tuned_.values))
    assert "How it was trained was not recorded; 1,080 numbers of the body differ" in bare


def test_how_it_was_trained_travels_with_the_folder(tmp_path):
    X, y = pictures()
    strategy = Adapter(small(), epochs=1).fit(X, y)
    tuned = TunedNetwork(strategy.tuned_.reader, strategy.classes_, strategy.tuned_.values, trained(strategy, y))
    tuned.save(tmp_path / "tuned")
    assert model_card(TunedNetwork.load(tmp_path / "tuned", model=small())) == model_card(tuned)
    assert load_part(dump_part(tuned), "here").about == tuned.about
