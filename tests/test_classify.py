"""headstart classify: what is in a photograph."""

import json

import numpy as np
import pytest
from PIL import Image
from skimage import data

import headstart
from headstart.backbones import backbone
from headstart.cli import run_command
from headstart.errors import InputError, NeedsError


@pytest.fixture(scope="module")
def network():
    return backbone("bundled:efficientnet-lite0")


@pytest.fixture
def photographs(tmp_path):
    for name in ("cat", "coffee", "rocket"):
        Image.fromarray(getattr(data, name)()).save(tmp_path / f"{name}.png")
    return tmp_path


def test_bundled_weights_name_a_cat_a_cup_and_a_rocket(photographs, capsys):
    assert run_command(["classify", str(photographs), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"]["licence"] == "Apache-2.0"
    names = {place.split("/")[-1]: {guess["name"] for guess in top} for place, top in found["pictures"].items()}
    assert names["cat.png"] & {"tabby", "tiger cat", "Egyptian cat"}
    assert names["coffee.png"] & {"espresso", "cup", "coffee mug"}
    assert names["rocket.png"] & {"missile", "projectile", "space shuttle"}


def test_lines_hold_name_and_probability_and_the_likeliest_comes_first(photographs, capsys):
    assert run_command(["classify", str(photographs / "coffee.png"), "--top", "2", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.out.split(": ")[1].startswith("espresso 9")
    assert shown.out.count("%") == 2
    assert shown.err == ""


def test_a_broken_picture_is_named_and_the_others_are_classified(photographs, capsys):
    (photographs / "a.jpg").write_bytes(b"no picture")
    assert run_command(["classify", str(photographs)]) == 2
    shown = capsys.readouterr()
    assert shown.out.count("\n") == 3
    assert "a.jpg: not a picture that can be read" in shown.err
    assert "Traceback" not in shown.err


def test_mistakes_are_one_line(tmp_path, capsys):
    for arguments, said in (
        (["none.png"], "no such file"),
        ([str(tmp_path)], "holds no picture"),
        (["x.png", "--model", "vgg16"], "names no source"),
        (["x.png", "--model", "bundled:resnet"], "bundled model"),
        (["x.png", "--model", "hf:" + str(tmp_path)], "config.json"),
    ):
        assert run_command(["classify", *arguments]) == 2
        shown = capsys.readouterr()
        assert said in shown.err
        assert shown.out == ""


def test_probabilities_sum_to_one_and_batches_make_no_difference(network):
    pictures = [data.cat(), data.coffee(), data.rocket()]
    P = network.probabilities(pictures)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(network.probabilities(pictures, batch_size=1), P, atol=1e-5)
    assert [best[0].probability for best in network.classify(pictures, top=1)] == P.max(axis=1).tolist()


def test_the_head_on_the_features_gives_the_probabilities(network):
    import torch

    F = network.features([data.cat(), data.coffee()])
    assert F.dtype == np.float32
    with torch.inference_mode():
        scores = network.network.head(torch.from_numpy(F))
    np.testing.assert_allclose(
        torch.softmax(scores, 1).numpy(), network.probabilities([data.cat(), data.coffee()]), atol=1e-6
    )


def test_layers_give_features_of_their_own(network):
    shallow, deep = (network.features([data.cat()], layer=network.layers[i]) for i in (0, -1))
    assert shallow.shape[1] < deep.shape[1]
    with pytest.raises(InputError, match="layer"):
        network.features([data.cat()], layer="block 99")


def test_a_module_for_training_is_a_copy_with_a_new_head(network):
    import torch

    module = network.module(4)
    before = network.network.fingerprint()
    for parameter in module.parameters():
        parameter.data.zero_()
    assert network.network.fingerprint() == before
    assert module(pixels=torch.zeros(2, 3, 224, 224)).shape == (2, 4)
    assert network.card.weights == before


def test_texts_have_features_of_length_one_whatever_stands_beside_them():
    model = headstart.backbone("bundled:minilm-l6")
    texts = ["A cat sleeps.", "The kitten is asleep on the sofa by the window.", "Shares fell sharply on Monday."]
    F = model.features(texts)
    np.testing.assert_allclose(np.linalg.norm(F, axis=1), 1, atol=1e-5)
    assert F[0] @ F[1] > F[0] @ F[2] + 0.2
    for i, text in enumerate(texts):
        np.testing.assert_allclose(model.features([text])[0], F[i], atol=1e-5)
    with pytest.raises(NeedsError, match="no head"):
        model.classify(texts)
    with pytest.raises(InputError, match="text 2 is empty"):
        model.features(["good", "  "])
