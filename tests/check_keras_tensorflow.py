"""Keras on TensorFlow, apart from the other tests: TensorFlow is large, and torch and it are seldom wanted together.

``make check-tensorflow`` installs it into an environment of its own and runs this. It is not collected by default.
"""

import os

import numpy as np
import pytest
from PIL import Image

from headstart.backbones import backbone
from headstart.errors import NeedsError

SIZE, CLASSES = 64, 7
LABELS = [f"class {number}" for number in range(CLASSES)]


@pytest.fixture(scope="module")
def keras():
    """Return Keras on TensorFlow; not at the top, so that to look for tests in this file changes nothing."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    return keras


@pytest.fixture(scope="module")
def vgg16(keras):
    """Return VGG16 with random weights, wide enough that classes differ."""
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, input_shape=(SIZE, SIZE, 3), classes=CLASSES)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(weight * 1.4 if weight.name == "kernel" else rng.normal(0, 0.1, weight.shape))
    return model


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Return two pictures that are not of the model's size."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    found = [str(folder / f"{number}.png") for number in range(2)]
    for number, path in enumerate(found):
        coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        Image.fromarray(coarse).resize((90 + 20 * number, 70), Image.Resampling.BICUBIC).save(path)
    return found


@pytest.fixture(scope="module")
def truth(keras, vgg16, paths):
    """Return the probabilities that Keras alone gives."""
    loaded = [keras.utils.img_to_array(keras.utils.load_img(path, target_size=(SIZE, SIZE))) for path in paths]
    return vgg16.predict(keras.applications.vgg16.preprocess_input(np.stack(loaded)), verbose=0)


def found_in(file):
    return backbone("keras:VGG16", weights=file, input_shape=(SIZE, SIZE, 3), classes=CLASSES, labels=LABELS)


def test_keras_runs_on_tensorflow_and_its_classes_differ(keras, truth):
    assert keras.backend.backend() == "tensorflow"
    assert np.ptp(truth, axis=1).min() > 0.05
    assert np.abs(truth[0] - truth[1]).max() > 1e-3


@pytest.mark.parametrize("file", ["some.weights.h5", "whole.keras"])
def test_weights_from_a_file_give_the_probabilities_of_keras(keras, vgg16, paths, truth, tmp_path, file):
    place = str(tmp_path / file)
    (vgg16.save_weights if file.endswith(".h5") else vgg16.save)(place)
    model = found_in(place)
    np.testing.assert_allclose(model.probabilities(paths), truth, atol=1e-5)
    for row, guesses in zip(truth, model.classify(paths, top=3), strict=True):
        best = np.argsort(-row)[:3]
        assert [guess.name for guess in guesses] == [LABELS[j] for j in best]
        np.testing.assert_allclose([guess.probability for guess in guesses], row[best], atol=1e-5)
    end = keras.Model(vgg16.input, vgg16.get_layer("fc2").output)
    assert model.features(paths).shape == (2, 4096)
    loaded = np.stack([keras.utils.img_to_array(keras.utils.load_img(p, target_size=(SIZE, SIZE))) for p in paths])
    known = end.predict(keras.applications.vgg16.preprocess_input(loaded), verbose=0)
    np.testing.assert_allclose(model.features(paths), known, rtol=1e-4, atol=1e-4)


def test_to_train_it_torch_is_asked_for(vgg16, tmp_path):
    place = str(tmp_path / "some.weights.h5")
    vgg16.save_weights(place)
    with pytest.raises(NeedsError, match="KERAS_BACKEND=torch"):
        found_in(place).module(2)
