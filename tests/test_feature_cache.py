"""Features are kept by content: never old ones, never twice, never broken ones."""

import multiprocessing
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
PIL = pytest.importorskip("PIL.Image")

from headstart.backbones import Backbone, Card  # noqa: E402
from headstart.backbones.cache import FeatureCache, Part, cache_of, default_folder, keys_of, packed  # noqa: E402
from headstart.backbones.preparation import PicturePreparation  # noqa: E402
from headstart.backbones.torch_modules import PixelBody  # noqa: E402
from headstart.backbones.torch_network import TorchNetwork  # noqa: E402
from headstart.cli import run_command  # noqa: E402
from headstart.errors import InputError  # noqa: E402


class Counting(TorchNetwork):
    """Counts the items that go through it."""

    seen = 0

    def features(self, batch, layer=None):
        type(self).seen += len(batch["pixels"])
        return super().features(batch, layer)


def network(seed=0, stride=2):
    torch.manual_seed(seed)
    conv = torch.nn.Conv2d(3, 5, 3, stride=stride)
    return Counting(PixelBody(torch.nn.Sequential(conv, torch.nn.ReLU())).eval(), 5, None, {"conv": conv})


def model(net=None, **preparation):
    Counting.seen = 0
    card = Card("small", "image", "nothing", "none", 140, 5, None)
    return Backbone(card, PicturePreparation(**{"height": 16, "width": 16, **preparation}), net or network())


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (20, 24, 3)).astype(np.uint8)


def files_of(folder):
    return sorted(path for path in folder.rglob("*.safetensors"))


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "pictures").mkdir()
    found = []
    for seed in range(6):
        found.append(tmp_path / "pictures" / f"{seed}.png")
        PIL.fromarray(picture(seed)).save(found[-1])
    return found


def test_a_second_run_equals_the_first_and_nothing_goes_through_the_network(paths, tmp_path):
    first = model().features(paths, cache=tmp_path / "cache")
    again = model()
    np.testing.assert_array_equal(again.features(paths[::-1], cache=tmp_path / "cache"), first[::-1])
    assert Counting.seen == 0
    np.testing.assert_array_equal(again.features(paths, cache=False), first)


def test_only_new_pictures_go_through_the_network_and_each_content_once(paths, tmp_path):
    some = model()
    some.features(paths[:2], cache=tmp_path / "cache")
    done = []
    found = some.features(
        [paths[0], paths[3], paths[3], str(paths[3]), paths[3].read_bytes(), paths[4]],
        cache=tmp_path / "cache",
        progress=lambda *at: done.append(at),
    )
    assert Counting.seen == 2 + 2
    assert done[-1] == (6, 6)
    np.testing.assert_array_equal(found, some.features([paths[i] for i in (0, 3, 3, 3, 3, 4)], cache=False))


def test_a_changed_file_gives_new_features_and_a_renamed_one_the_old(paths, tmp_path):
    some = model()
    old = some.features(paths, cache=tmp_path / "cache")
    PIL.fromarray(picture(77)).save(paths[2])
    moved = paths[0].rename(paths[0].with_name("moved.png"))
    new = some.features([moved, *paths[1:]], cache=tmp_path / "cache")
    assert Counting.seen == 6 + 1
    np.testing.assert_array_equal(np.delete(new, 2, axis=0), np.delete(old, 2, axis=0))
    np.testing.assert_array_equal(new[[2]], some.features([picture(77)], cache=False))


@pytest.mark.parametrize(
    "other",
    [
        lambda: model(height=18),
        lambda: model(mean=(0.0, 1.0, 2.0)),
        lambda: model(interpolation="nearest"),
        lambda: model(network(seed=1)),
        lambda: model(network(stride=1)),
    ],
)
def test_another_preparation_weights_or_setting_gives_its_own_features(paths, tmp_path, other):
    first = model().features(paths, cache=tmp_path / "cache")
    found = other()
    values = found.features(paths, cache=tmp_path / "cache")
    assert Counting.seen == 6
    np.testing.assert_array_equal(values, found.features(paths, cache=False))
    assert not np.array_equal(values, first)


@pytest.mark.parametrize("change", [lambda p: p.data.add_(1), lambda p: p.detach().numpy().__iadd__(1)])
def test_weights_changed_in_place_are_other_weights(tmp_path, change):
    some = model()
    old = some.features([picture(0)], cache=tmp_path)
    change(next(some.network.body.parameters()))
    new = some.features([picture(0)], cache=tmp_path)
    assert not np.array_equal(old, new)
    np.testing.assert_array_equal(new, some.features([picture(0)], cache=False))


def test_a_layer_and_the_output_are_kept_apart(tmp_path):
    some = model()
    output = some.features([picture(0)], cache=tmp_path)
    for _ in range(2):
        layer = some.features([picture(0)], layer="conv", cache=tmp_path)
        np.testing.assert_array_equal(layer, some.features([picture(0)], layer="conv", cache=False))
    assert not np.array_equal(layer, output)


def test_arrays_of_other_shape_or_type_have_other_keys():
    flat = np.zeros((4, 6), dtype=np.uint8)
    items = [flat, flat.T, flat.astype(float), flat.astype(bool), PIL.fromarray(flat), flat.tobytes()]
    assert len(set(keys_of(items, "image"))) == 6
    assert keys_of(["a", "b", 3], "text")[2] is None
    assert keys_of(["no such file"], "image") == [None]


@pytest.mark.parametrize("damage", ["cut", "empty", "header", "row"])
def test_a_broken_file_is_left_out_with_a_line_and_written_anew(paths, tmp_path, damage):
    some = model()
    first = some.features(paths, cache=tmp_path / "cache")
    (file,) = files_of(tmp_path / "cache")
    content = bytearray(file.read_bytes())
    if damage == "row":
        place = content.find(first[2].tobytes())
        content[place] ^= 1
    if damage == "header":
        content[9] ^= 255
    file.write_bytes({"cut": content[:-8], "empty": b""}.get(damage, content))
    with pytest.warns(UserWarning, match="broken"):
        np.testing.assert_array_equal(some.features(paths, cache=tmp_path / "cache"), first)
    assert Counting.seen == 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(some.features(paths, cache=tmp_path / "cache"), first)
    assert Counting.seen == 12


def test_what_was_done_before_an_error_is_kept(paths, tmp_path):
    some = model()
    with pytest.raises(InputError, match="no such file"):
        some.features([*paths[:4], tmp_path / "none.png"], batch_size=2, cache=tmp_path / "cache")
    assert Counting.seen == 4
    some.features(paths[:4], cache=tmp_path / "cache")
    assert Counting.seen == 4


def test_a_folder_that_cannot_be_written_is_a_warning_and_the_features_come(paths, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "features").write_text("in the way")
    with pytest.warns(UserWarning, match="can't be kept"):
        found = model().features(paths, cache=tmp_path / "cache")
    np.testing.assert_array_equal(found, model().features(paths, cache=False))
    with pytest.raises(InputError, match="is a file"):
        model().features(paths, cache=paths[0])


def test_many_small_files_become_one_and_no_row_is_lost(tmp_path):
    rows = FeatureCache(tmp_path).rows("weights", None, None)
    keys = [bytes([i]) * 32 for i in range(40)]
    for i, key in enumerate(keys):
        rows.write([key], np.full((1, 3), i, dtype=np.float32))
    assert len(files_of(tmp_path)) < 10
    found, values = rows.read([*keys[::-1], None, b"x" * 32])
    np.testing.assert_array_equal(found, [*[True] * 40, False, False])
    np.testing.assert_array_equal(values[:40, 0], np.arange(40)[::-1])


def test_what_was_used_longest_ago_goes_first(tmp_path):
    import os

    cache = FeatureCache(tmp_path, most_bytes=10_000)
    rows = {name: cache.rows(name, None, None) for name in "abc"}
    values = np.ones((1, 1000), dtype=np.float32)
    for age, name in enumerate("ab"):
        rows[name].write([name.encode() * 32], values)
        (file,) = rows[name]._paths()
        os.utime(file, (1000 + age, 1000 + age))
    assert rows["a"].read([b"a" * 32])[0].all()
    rows["c"].write([b"c" * 32], values)
    assert [rows[name].read([name.encode() * 32])[0].all() for name in "abc"] == [True, False, True]
    assert cache.info()["bytes"] <= 10_000


def test_rows_are_read_where_they_lie(tmp_path):
    path = tmp_path / "part.safetensors"
    keys = np.random.default_rng(0).integers(0, 256, (5, 32)).astype(np.uint8)
    values = np.arange(10, dtype=np.float32).reshape(5, 2)
    path.write_bytes(packed(keys, values))
    part = Part.opened(path)
    assert isinstance(part.rows, np.memmap)
    here, rows = part.lookup(keys[::-1])
    assert here.all()
    np.testing.assert_array_equal(rows, values[::-1])


def write_many(folder, number):
    rows = FeatureCache(folder).rows("weights", None, None)
    for i in range(60):
        rows.write([bytes([number, i]) * 16, bytes([9, i]) * 16], np.full((2, 4), i, dtype=np.float32))
        rows.read([bytes([9, i]) * 16])


def test_two_programs_can_write_at_the_same_time(tmp_path):
    context = multiprocessing.get_context("fork")
    programs = [context.Process(target=write_many, args=(tmp_path, number)) for number in (1, 2)]
    for program in programs:
        program.start()
    for program in programs:
        program.join()
        assert program.exitcode == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keys = [bytes([number, i]) * 16 for number in (1, 2, 9) for i in range(60)]
        found, values = FeatureCache(tmp_path).rows("weights", None, None).read(keys)
    np.testing.assert_array_equal(values[found][:, 0], np.tile(np.arange(60), 3)[found])
    assert found.mean() > 0.9


def test_the_command_says_what_is_kept_and_removes_only_that(paths, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    model().features(paths)
    mine = files_of(tmp_path / "cache")[0].parent / "notes.txt"
    mine.write_text("mine")
    assert run_command(["cache", "info"]) == 0
    assert "cache: 6 features of 1 networks and layers" in capsys.readouterr().out
    assert run_command(["cache", "clear"]) == 0
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [mine]
    assert run_command(["cache", "remove"]) == 2
    assert capsys.readouterr().err == "headstart: no action 'remove'; there is 'info', 'clear'\n"


def test_the_folder_and_its_size_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "here"))
    monkeypatch.setenv("HEADSTART_CACHE_GB", "0.5")
    assert cache_of(True) == FeatureCache(tmp_path / "here", 500_000_000)
    assert cache_of(False) is None
    monkeypatch.setenv("HEADSTART_CACHE_GB", "much")
    with pytest.raises(InputError, match="write a number"):
        cache_of(True)
    monkeypatch.delenv("HEADSTART_CACHE")
    assert default_folder().name == "headstart"
