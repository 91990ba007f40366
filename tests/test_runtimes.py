"""A faster runtime gives torch's features or is not used; batches are prepared ahead, within bounds, in order."""

import threading
import time
import warnings
from contextlib import closing

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from headstart.backbones import Backbone, Card, runtimes  # noqa: E402
from headstart.backbones.preparation import PicturePreparation  # noqa: E402
from headstart.backbones.streaming import in_order  # noqa: E402
from headstart.backbones.torch_modules import PixelBody  # noqa: E402
from headstart.backbones.torch_network import TorchNetwork  # noqa: E402
from headstart.errors import InputError, NeedsError  # noqa: E402

FAST = [
    pytest.param(name, marks=pytest.mark.skipif(not runtimes.installed(name), reason=f"{name} is not installed"))
    for name in ("onnxruntime", "openvino")
]


class Words:
    """Numbers of characters as tokens, filled up to the longest; notes the shape of each batch."""

    def __init__(self):
        self.shapes = []

    def __call__(self, items):
        length = max(map(len, items))
        tokens = np.array([[ord(c) % 50 for c in text.ljust(length)] for text in items], dtype=np.int64)
        mask = np.array([[1] * len(text) + [0] * (length - len(text)) for text in items], dtype=np.int64)
        self.shapes.append(tokens.shape)
        return {"input_ids": tokens, "attention_mask": mask}

    def describe(self):
        return {"max_length": 512}


class TextBody(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(50, 8)
        self.mix = torch.nn.Linear(8, 8)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[..., None].float()
        values = self.table(input_ids)
        scores = self.mix(values) @ values.transpose(1, 2) + 1e9 * (mask.transpose(1, 2) - 1)
        return (torch.softmax(scores, dim=2) @ values * mask).sum(1) / mask.sum(1)


class Branching(torch.nn.Module):
    """Does something else with a single picture, which an export can't know."""

    def forward(self, pixels):
        return pixels.mean(dim=(2, 3)) * (2.0 if len(pixels) == 1 else 1.0)


class Complex(torch.nn.Module):
    def forward(self, pixels):
        return torch.special.zeta(2.0 + pixels.abs(), torch.ones(())).mean(dim=(2, 3))


def pictures(body=None):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 6, 3)
    body = body or torch.nn.Sequential(conv, torch.nn.BatchNorm2d(6), torch.nn.Hardswish())
    network = TorchNetwork(PixelBody(body).eval(), 6, None, {"conv": conv})
    return Backbone(Card("small", "image", "nothing", "none", 1, 6, None), PicturePreparation(12, 12), network)


def texts():
    torch.manual_seed(0)
    return Backbone(Card("words", "text", "nothing", "none", 1, 8, None), Words(), TorchNetwork(TextBody().eval(), 8))


def arrays(n):
    return list(np.random.default_rng(0).integers(0, 256, (n, 14, 15, 3)).astype(np.uint8))


@pytest.fixture
def fresh(monkeypatch):
    monkeypatch.setattr(runtimes, "_held", type(runtimes._held)())
    monkeypatch.setattr(runtimes, "_unfit", {})


@pytest.mark.parametrize("runtime", FAST)
@pytest.mark.parametrize("layer", [None, "conv"])
def test_every_runtime_gives_the_features_of_torch_for_any_number_of_pictures(fresh, runtime, layer):
    X = arrays(11)
    given = [pictures().features(X, layer=layer, runtime=r, batch_size=4, cache=False) for r in ("torch", runtime)]
    assert given[1].dtype == np.float32
    np.testing.assert_allclose(given[1], given[0], atol=1e-5)


@pytest.mark.parametrize("runtime", FAST)
def test_every_runtime_gives_the_features_of_torch_for_texts_of_any_length(fresh, runtime):
    rng = np.random.default_rng(0)
    X = ["".join(rng.choice(list("abcdefg "), n)) + "x" for n in rng.integers(0, 90, 30)]
    one, other = (texts().features(X, runtime=r, batch_size=2, cache=False) for r in ("torch", runtime))
    np.testing.assert_allclose(other, one, atol=1e-5)
    alone = np.concatenate([texts().features([text], runtime="torch", cache=False) for text in X])
    np.testing.assert_allclose(one, alone, atol=1e-5)


def test_auto_runs_many_items_with_a_faster_runtime_and_few_with_torch(fresh):
    some = pictures()
    some.features(arrays(runtimes.WORTH - 1), cache=False)
    assert not runtimes._held
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        some.features(arrays(runtimes.WORTH), cache=False)
    assert [key[0] for key in runtimes._held] == [next(name for name in runtimes.FASTEST if runtimes.installed(name))]


@pytest.mark.parametrize("body", [Branching(), Complex()])
def test_auto_is_torch_with_one_line_where_others_differ_or_cannot(fresh, body, capsys):
    some, X = pictures(body), arrays(runtimes.WORTH)
    with pytest.warns(UserWarning, match="torch is in its place"):
        found = some.features(X, cache=False)
    np.testing.assert_array_equal(found, some.features(X, runtime="torch", cache=False))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        some.features(X, cache=False)
    with pytest.raises(NeedsError, match="use runtime='torch'"):
        some.features(X, runtime="onnxruntime", cache=False)
    assert capsys.readouterr().out == ""


def test_changed_weights_are_another_network_for_a_runtime(fresh):
    some, X = pictures(), arrays(5)
    some.features(X, runtime="onnxruntime", cache=False)
    next(some.network.body.parameters()).data.mul_(2)
    found = some.features(X, runtime="onnxruntime", cache=False)
    np.testing.assert_allclose(found, some.features(X, runtime="torch", cache=False), atol=1e-5)


def test_an_exported_network_is_kept_and_a_broken_one_exported_anew(fresh, tmp_path):
    X = arrays(5)
    first = pictures().features(X, runtime="onnxruntime", cache=tmp_path)
    (file,) = tmp_path.rglob("*.onnx")
    file.write_bytes(file.read_bytes()[:-9])
    runtimes._held.clear()
    with pytest.warns(UserWarning, match="broken"):
        again = pictures().features([x.copy() + 1 for x in X], runtime="onnxruntime", cache=tmp_path)
    assert first.shape == again.shape
    assert [path.name for path in tmp_path.rglob("*.onnx")] == [file.name]


def test_a_runtime_that_is_unknown_or_not_installed_is_one_line(monkeypatch):
    with pytest.raises(InputError, match="no runtime 'onnx'"):
        pictures().features(arrays(1), runtime="onnx", cache=False)
    monkeypatch.setitem(runtimes.PACKAGES, "openvino", ("onnx", "no_such_package"))
    with pytest.raises(NeedsError, match="pip install onnx no_such_package"):
        pictures().features(arrays(1), runtime="openvino", cache=False)


def test_disagreement_is_in_units_of_the_spread():
    a = np.array([[1.0, 3.0], [1.0, 3.0]])
    assert runtimes.disagreement(a, a + 0.5) == pytest.approx(0.5)
    assert runtimes.disagreement(a, a[:1]) == np.inf
    assert runtimes.disagreement(np.zeros((2, 2)), np.full((2, 2), 1e-9)) == np.inf
    assert not runtimes.disagreement(a, a * np.nan) <= runtimes.AGREEMENT


def test_short_texts_go_together_in_greater_number_than_long_ones():
    some = texts()
    done = []
    some.features(
        ["ab"] * 300 + ["long " * 100] * 9,
        batch_size=2,
        cache=False,
        runtime="torch",
        progress=lambda *at: done.append(at),
    )
    sizes = {shape[1]: shape[0] for shape in some.preparation.shapes[:-1]}
    assert sizes[500] == 1
    assert sizes[2] > 30
    assert done[-1] == (309, 309)
    assert [a for a, _ in done] == sorted({a for a, _ in done})


def test_work_is_done_ahead_but_never_further_than_its_bound():
    lock, begun, most = threading.Lock(), [0], []

    def work(task):
        with lock:
            begun[0] += 1
        return task

    with closing(in_order(work, range(50), workers=3, ahead=5)) as found:
        for taken, value in enumerate(found):
            assert value == taken
            time.sleep(0.001)
            most.append(begun[0] - taken)
    assert 1 < max(most) <= 6


def test_an_error_comes_where_its_result_would_and_stops_the_rest():
    begun = []

    def work(task):
        begun.append(task)
        if task == 3:
            raise InputError("three")
        return task

    found = in_order(work, range(100), workers=2, ahead=4)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InputError, match="three"):
        next(found)
    assert len(begun) <= 8
