"""Strategies of fine-tuning on the whole road: tried, judged, delivered, saved, carried."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from test_pictures import checkpoint, own_cache, photos, save_vit, world  # noqa: F401  (fixtures)

import headstart
from headstart import Domain
from headstart.catalogue import STRATEGIES, names_in, strategy_of
from headstart.choose.candidates import TARGET_ONLY
from headstart.cli import run_command
from headstart.errors import NeedsError, StoreError
from headstart.models.fine_tuning import L2SP, LPFT, TunedNetwork
from headstart.parcel import found_at
from headstart.readers import read_domains

pytest.importorskip("PIL.Image")
pytest.importorskip("transformers")

QUICK = {"epochs": 2, "lr": 1e-3}


@pytest.fixture(scope="module")
def domains(world):  # noqa: F811
    return read_domains(world)


@pytest.fixture(scope="module")
def result(domains, checkpoint):  # noqa: F811
    return headstart.run(
        domains["studio"], domains["street"], methods=[LPFT(**QUICK)], model=checkpoint, guard="off", folds=3
    )


def test_a_strategy_is_tried_with_the_source_and_without(result):
    names = [line.name for line in result.tried]
    assert names[0] == TARGET_ONLY
    assert names[1] in (f"{TARGET_ONLY}, lp-ft", f"{TARGET_ONLY}, features")
    assert names[2:] == ["lp-ft"]
    assert [line.gain is None for line in result.tried] == [True, True, False]
    assert result.choice == result.decision.delivered == "lp-ft"
    # The baseline of the verdict is the best that the target gives alone.
    scores = {line.name: line.score for line in result.tried}
    alone = max(scores[name] for name in names[:2])
    assert result.gain.target_only == pytest.approx(alone) == pytest.approx(scores[TARGET_ONLY])
    assert result.gain.gain == pytest.approx(scores["lp-ft"] - alone)
    assert result.settings["repeats"] == 1
    assert result.settings["curve_draws"] == 0
    assert result.curve is None


def test_the_runs_model_and_seed_reach_the_strategy(domains, checkpoint):  # noqa: F811
    found = headstart.run(
        domains["studio"], domains["street"], methods=[LPFT(**QUICK)], model=checkpoint, folds=3, random_state=5
    )
    assert checkpoint in found.settings["methods"]["lp-ft"]
    assert "random_state=5" in found.settings["methods"]["lp-ft"]


def test_the_delivered_network_is_saved_whole_and_takes_pictures(result, domains, tmp_path):
    folder = result.save(tmp_path / "out")
    model = headstart.load(folder / "model")
    assert isinstance(model.predictor, TunedNetwork)
    pictures = list(domains["street"].X[:, 0])
    P = model.predict_proba(pictures)
    np.testing.assert_array_equal(P, result.model.predict_proba(pictures))
    np.testing.assert_array_equal(model.predict(pictures), model.classes_[P.argmax(axis=1)])
    written = pd.read_csv(folder / "predictions.csv")
    assert written["prediction"].tolist() == model.predict(pictures).tolist()
    assert json.loads((folder / "result.json").read_text())["delivered"] == "lp-ft"


def test_what_is_delivered_is_what_the_four_steps_give(result, domains, checkpoint):  # noqa: F811
    source, target = domains["studio"], domains["street"].labelled_rows()
    first = LPFT(checkpoint, **QUICK).fit(source.X[:, 0], source.labels)
    second = LPFT(checkpoint, **QUICK).fit(target.X[:, 0], target.labels, start=first.tuned_)
    pictures = list(target.X[:, 0])
    np.testing.assert_allclose(result.model.predict_proba(pictures), second.predict_proba(pictures), atol=1e-6)


def test_weights_travel_without_pictures_and_give_the_same_result(result, domains, checkpoint, tmp_path):  # noqa: F811
    parcel = headstart.learn(domains["studio"], LPFT(**QUICK), model=checkpoint)
    assert not parcel.knowledge.holds_source_rows
    parcel.save(tmp_path / "studio.knowledge")
    found = headstart.carry(tmp_path / "studio.knowledge", domains["street"], guard="off", folds=3)
    pictures = list(domains["street"].X[:, 0])
    np.testing.assert_allclose(found.model.predict_proba(pictures), result.model.predict_proba(pictures), atol=1e-6)
    assert len(repr(parcel.knowledge)) < 1000


def test_without_target_labels_the_network_arrives_as_it_left(domains, checkpoint):  # noqa: F811
    street = domains["street"]
    bare = Domain(street.X, name="street", modality="image")
    found = headstart.run(domains["studio"], bare, methods=[LPFT(**QUICK)], model=checkpoint)
    assert found.verdict == "cannot be proven"
    source = domains["studio"]
    alone = LPFT(checkpoint, **QUICK).fit(source.X[:, 0], source.labels)
    pictures = list(street.X[:, 0])
    np.testing.assert_allclose(found.model.predict_proba(pictures), alone.predict_proba(pictures), atol=1e-6)


def test_a_class_that_only_the_target_knows_is_learned(domains, checkpoint):  # noqa: F811
    source, target = domains["studio"], domains["street"].labelled_rows()
    y = np.where(np.arange(len(target)) % 4 == 0, "green", target.labels.astype(object))
    arrived = LPFT(checkpoint, **QUICK).fit(source.X[:, 0], source.labels).tuned_
    wide = arrived.with_classes(np.array(["blue", "green", "red"]))
    pictures = list(source.X[:10, 0])
    # What the head knew of its own classes, it still says of them.
    np.testing.assert_allclose(
        np.log(wide.predict_proba(pictures)[:, 2] / wide.predict_proba(pictures)[:, 0]),
        np.log(arrived.predict_proba(pictures)[:, 1] / arrived.predict_proba(pictures)[:, 0]),
        atol=1e-4,
    )
    tuned = LPFT(checkpoint, **QUICK).fit(target.X[:, 0], y.astype(str), start=arrived)
    assert tuned.classes_.tolist() == ["blue", "green", "red"]


def test_a_table_is_no_food_for_networks():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    source, target = Domain(X[:30], y[:30], "source"), Domain(X[30:], y[30:], "target")
    with pytest.raises(NeedsError, match="lp-ft trains a network on pictures or texts, and these rows are a table"):
        headstart.run(source, target, methods=["lp_ft"])


def test_a_strategy_that_lacks_something_is_refused_by_name_and_left_out_of_a_group(domains, checkpoint):  # noqa: F811
    with pytest.raises(NeedsError, match="distill needs a teacher: name a pretrained network"):
        headstart.run(domains["studio"], domains["street"], methods=["lp-ft", "distill"], model=checkpoint)
    with pytest.raises(NeedsError, match="LwF needs a network with a head of its own"):
        headstart.run(domains["studio"], domains["street"], methods=["lwf"], model=checkpoint)


def test_groups_of_methods_leave_networks_out_unless_they_are_asked_for():
    strategies = names_in(STRATEGIES)
    assert {"lp-ft", "fine-tune", "linear-probe"} <= set(strategies)
    assert not set(strategies) & {*names_in("all"), *names_in("model-based")}


def test_settings_of_a_strategy_are_read_from_the_command_line():
    read = strategy_of("l2_sp:alpha=0.5, epochs=3,balanced=true,checkpoint=here")
    assert repr(read) == repr(L2SP(alpha=0.5, epochs=3, balanced=True, checkpoint="here"))
    for text, message in (
        ("lpft", "no strategy 'lpft'; did you mean 'lp-ft'"),
        ("lp_ft:epoch=3", "lp_ft: no setting 'epoch'; did you mean 'epochs'"),
        ("lp_ft:lr", "no setting 'lr'"),
        ("lp_ft:lr=fast", "lp_ft: lr must be a number, not 'fast'"),
        ("coral", "no strategy 'coral'"),
    ):
        with pytest.raises(NeedsError, match=message):
            strategy_of(text)


def test_command_line_trains_delivers_and_predicts(world, checkpoint, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "out"
    assert run_command(
        ["run", str(world), "--source", "studio", "--target", "street", "--model", checkpoint, "--folds", "3",
         "--strategy", "lp_ft:epochs=1", "--guard", "off", "--out", str(out), "--quiet"]
    ) == 0  # fmt: skip
    capsys.readouterr()
    new = sorted(map(str, (world / "street").glob("new*.png")))
    assert run_command(["predict", str(out / "model"), *new]) == 0
    table = capsys.readouterr().out
    assert table.splitlines()[0] == "row,picture,prediction,p(blue),p(red)"
    assert len(table.splitlines()) == len(new) + 1


def test_the_model_card_tells_what_was_trained_on_what_and_measured(result, tmp_path):
    card = (result.save(tmp_path / "out") / "model_card.md").read_text()
    for line in (
        "# lp-ft for `street`",
        "- takes: pictures",
        "- gives: one of `blue`, `red`",
        "| studio | source | 40 | 40 |",
        "| street | target | 22 | 16 |",
        "- strategy: LPFT (",
        "- began at: the network that LPFT had tuned on 40 rows",
        "| target-only, lp-ft | ",
        "nothing was measured",
        "headstart predict model new/*.jpg",
    ):
        assert line in card, line
    assert result.sentence[1:] in card
    assert "learner" not in card


def test_every_run_writes_a_model_card(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    y = X[:, 0] + 0.1 * rng.normal(size=90)
    found = headstart.run(
        Domain(X[:60], y[:60], "old"), Domain(X[60:], y[60:], "new"), methods=["pooled"], repeats=1, curve_draws=0
    )
    card = (found.save(tmp_path / "out") / "model_card.md").read_text()
    assert "- gives: a number" in card
    assert "- takes: tables with 3 columns" in card
    assert "learner: `Ridge" in card


def test_a_trained_network_is_exported_and_nothing_else(result, domains, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = result.save(tmp_path / "out")
    place = tmp_path / "network.onnx"
    assert run_command(["export", str(folder / "model"), str(place)]) == 0
    session = onnxruntime.InferenceSession(str(place))
    pictures = list(domains["street"].X[:5, 0])
    (scores,) = session.run(None, result.model.predictor.base.preparation(pictures))
    P = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(P / P.sum(axis=1, keepdims=True), result.model.predict_proba(pictures), atol=1e-4)
    names = json.loads(session.get_modelmeta().custom_metadata_map["headstart.classes"])
    assert names == ["blue", "red"]
    before = place.read_bytes()
    assert run_command(["export", str(folder / "model"), str(place)]) == 2
    assert place.read_bytes() == before
    reads = result.settings["reads"]["model"]
    plain = headstart.run(domains["studio"], domains["street"], model=reads, methods=["pooled"],
                          guard="off", folds=3, repeats=1, curve_draws=0)  # fmt: skip
    plain.save(tmp_path / "plain")
    assert run_command(["export", str(tmp_path / "plain" / "model"), str(tmp_path / "x.onnx")]) == 2
    assert "holds no trained network but pooled" in capsys.readouterr().err


def test_target_only_is_the_best_that_the_target_gives_alone(domains, checkpoint):  # noqa: F811
    # A learner that can't tell anything apart, so that the network alone is better.
    found = headstart.run(
        domains["studio"],
        domains["street"],
        methods=[LPFT(epochs=1, lr=1e-4)],
        learner=DummyClassifier(strategy="constant", constant="red"),
        model=checkpoint,
        folds=3,
    )
    lines = {line.name: line for line in found.tried}
    assert list(lines) == [TARGET_ONLY, f"{TARGET_ONLY}, features", "lp-ft"]
    assert lines[TARGET_ONLY].score > lines[f"{TARGET_ONLY}, features"].score == pytest.approx(0.5, abs=0.1)
    assert found.gain.target_only == pytest.approx(lines[TARGET_ONLY].score)
    assert any("target-only is lp-ft on the target's labels" in note for note in found.notes)
    if found.decision.delivered == TARGET_ONLY:
        assert found.model.takes_items


def test_a_pretrained_model_may_have_moved_but_not_changed(result, domains, checkpoint, tmp_path):  # noqa: F811
    from shutil import copytree

    place = checkpoint.removeprefix("hf:")
    moved, other = tmp_path / "moved", tmp_path / "other"
    copytree(place, moved)
    save_vit(other, seed=9)
    folder = result.save(tmp_path / "out") / "model"
    pictures = list(domains["street"].X[:4, 0])
    again = headstart.load(folder, model=f"hf:{moved}")
    np.testing.assert_array_equal(again.predict_proba(pictures), result.model.predict_proba(pictures))
    with pytest.raises(StoreError, match="bring those back"):
        headstart.load(folder, model=f"hf:{other}").predict(pictures)
    parcel = headstart.learn(domains["studio"], LPFT(**QUICK), model=checkpoint)
    told = found_at(parcel, f"hf:{moved}")
    assert told.knowledge.parts["network"] is told.plan.reader
    found = headstart.carry(told, domains["street"], guard="off", folds=3)
    assert found.settings["reads"]["model"] == f"hf:{moved}"
    np.testing.assert_allclose(found.model.predict_proba(pictures), result.model.predict_proba(pictures), atol=1e-6)
