"""Saved models and knowledge: whole or not at all, checked, and never code from a file."""

import json
import os
import zipfile

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import headstart
from headstart import Domain
from headstart.baselines import TargetOnly
from headstart.delivery import Plan, fit_target_only
from headstart.errors import StoreError
from headstart.store import dump_part, load_part, read_folder, staged, write_folder
from headstart.store.folder import seal


@pytest.fixture
def model():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    target = Domain(X, (X[:, 0] > 0).astype(int))
    return fit_target_only(TargetOnly(), LogisticRegression(), target, Plan("classification"))[0]


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def refused(folder, message):
    with pytest.raises(StoreError, match=message) as caught:
        headstart.load(folder)
    assert "\n" not in str(caught.value)


def reseal(folder, **changes):
    """Write a manifest with a right checksum, as a careful forger would."""
    manifest = json.loads((folder / "manifest.json").read_text()) | changes
    files = {name: (folder / name).read_bytes() for name in manifest.pop("files") if (folder / name).is_file()}
    manifest.pop("checksum")
    kind = manifest.pop("kind")
    (folder / "manifest.json").write_text(seal(kind, manifest, files))


def test_a_changed_part_is_refused(folder):
    data = bytearray((folder / "predictor.skops").read_bytes())
    data[100] ^= 1
    (folder / "predictor.skops").write_bytes(data)
    refused(folder, r"predictor.skops was changed after it was saved \(checksum\)")


def test_a_changed_manifest_is_refused(folder):
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace("classification", "regression"))
    refused(folder, r"manifest.json was changed after it was saved \(checksum\)")


def test_a_newer_schema_is_refused(folder):
    reseal(folder, schema=99)
    refused(folder, "schema 99, newer than 1; update headstart")


def test_a_missing_part_or_manifest_is_refused(folder):
    (folder / "vectorizer.skops").unlink()
    refused(folder, "vectorizer.skops is missing")
    (folder / "manifest.json").write_text("{")
    refused(folder, "not JSON")
    (folder / "manifest.json").unlink()
    refused(folder, "holds no manifest.json")
    refused(folder / "nowhere", "no such folder")


def test_a_manifest_that_names_files_elsewhere_is_refused(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {"../escape": b"x"}
    for name in ("files", "checksum", "kind"):
        manifest.pop(name)
    (folder / "manifest.json").write_text(seal("model", manifest, files))
    refused(folder, "outside its folder")


def test_another_kind_of_folder_is_refused(tmp_path):
    write_folder(tmp_path / "other", "cake", {}, {"a": b"b"})
    refused(tmp_path / "other", "not a headstart model")


class Evil:
    def __reduce__(self):
        return (os.system, ("touch headstart-was-here",))


def test_a_type_that_is_not_trusted_is_refused_at_save_and_at_load(folder):
    from skops.io import dumps

    with pytest.raises(StoreError, match="not trusted"):
        dump_part(Evil())
    (folder / "predictor.skops").write_bytes(dumps(Evil()))
    reseal(folder)
    refused(folder, r"holds a type that is not trusted, .*Evil")


def test_a_pickle_in_place_of_a_part_is_refused(folder, tmp_path, monkeypatch):
    import pickle

    monkeypatch.chdir(tmp_path)
    (folder / "predictor.skops").write_bytes(pickle.dumps(Evil()))
    reseal(folder)
    refused(folder, "not a part that headstart saved")
    assert not (tmp_path / "headstart-was-here").exists()


def test_a_function_named_in_a_part_is_not_called(folder):
    # A part whose schema names a function of the standard library instead of a class.
    from skops.io import dumps

    path = folder / "predictor.skops"
    path.write_bytes(dumps(LogisticRegression()))
    with zipfile.ZipFile(path) as archive:
        schema = archive.read("schema.json").decode()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "schema.json",
            schema.replace("LogisticRegression", "system").replace("sklearn.linear_model._logistic", "os"),
        )
    reseal(folder)
    refused(folder, "not trusted|not a part")


def test_parts_come_back_as_they_were():
    rng = np.random.default_rng(0)
    fitted = LogisticRegression().fit(rng.normal(size=(20, 2)), np.arange(20) % 2)
    np.testing.assert_array_equal(load_part(dump_part(fitted), "here").coef_, fitted.coef_)


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def interrupted(replace):
        with staged(tmp_path / "out", replace=replace) as stage:
            (stage / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(replace=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "half").write_text("whole")
    with pytest.raises(KeyboardInterrupt):
        interrupted(replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "half").read_text() == "whole"


def test_force_replaces_our_own_files_and_keeps_others(tmp_path):
    out = tmp_path / "out"
    (out / "model").mkdir(parents=True)
    (out / "model" / "old").write_text("old")
    (out / "thesis.txt").write_text("years of work")
    with staged(out, replace=True) as stage:
        (stage / "model").mkdir()
        (stage / "model" / "new").write_text("new")
    assert [path.name for path in (out / "model").iterdir()] == ["new"]
    assert (out / "thesis.txt").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    with pytest.raises(StoreError, match="not empty"), staged(out):
        pass


def test_the_same_content_gives_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    source = Domain(rng.normal(size=(50, 3)), np.arange(50) % 2, name="s")
    for name in ("a", "b"):
        headstart.learn(source).save(tmp_path / name)
    one, two = (zipfile.ZipFile(tmp_path / name) for name in "ab")
    assert one.read("manifest.json") == two.read("manifest.json") or one.namelist() == two.namelist()
    assert one.read("arrays.safetensors") == two.read("arrays.safetensors")


def test_knowledge_files_are_checked_like_folders(tmp_path):
    rng = np.random.default_rng(0)
    source = Domain(rng.normal(size=(50, 3)), np.arange(50) % 2, name="s")
    target = Domain(rng.normal(size=(20, 3)), np.arange(20) % 2, name="t")
    path = tmp_path / "k.knowledge"
    headstart.learn(source).save(path)
    data = bytearray(path.read_bytes())
    at = data.find(b"arrays.safetensors", 2000) + 60
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(StoreError, match="changed"):
        headstart.carry(path, target)
    path.write_text("no zip")
    with pytest.raises(StoreError, match="is not a headstart knowledge file"):
        headstart.carry(path, target)
    with pytest.raises(StoreError, match="no such file"):
        headstart.carry(tmp_path / "nowhere", target)


def test_folders_read_back_what_was_written(tmp_path):
    write_folder(tmp_path / "f", "thing", {"a": 1}, {"x": b"123"})
    manifest, files = read_folder(tmp_path / "f", "thing")
    assert (manifest["a"], files) == (1, {"x": b"123"})
